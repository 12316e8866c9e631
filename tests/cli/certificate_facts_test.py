"""What a certificate says of what changed on the way: settings of a dataset, a verification, a validation. Both verifiers
read it alike."""
import json
import pathlib
import sys

sys.path.insert(0, str(pathlib.Path(__file__).parents[1] / "support"))
import harness
import scenario

VERIFIER, VALIDATOR = "森 雪", "阿部 健"


class Facts(scenario.World):
    officers = (*scenario.World.officers, (VERIFIER, "Verifier", "verifier", "mori"), (VALIDATOR, "Validator", "validator", "abe"))

    @classmethod
    def prepare(cls):
        cls.seal("loans-2019", {"a": b"one", "b": b"two"})

    def issued(self, *later):
        erasure = self.approved("loans-2019")
        self.run_erasure(erasure)
        for action, person in later:
            self.box.kesu("erase", action, erasure, *self.signer(person))
        bundle = self.box.state / "bundle"
        self.box.kesu("certificate", "bundle", erasure, "-o", bundle)
        return bundle

    def both(self, bundle):
        """The report, the same of both verifiers in verdict, claims and errors."""
        words = (bundle, "--require", "low", "--allow-test-grade", "--json")
        report = self.box.run(harness.program("kesu"), "verify", *words, code=7).json
        second = self.box.run("/usr/bin/python3", "-B", harness.SOURCE / "scripts" / "verify_certificate.py", *words, code=7).json
        self.assertEqual((report["errors"], second["errors"]), ([], []))
        for member in ("verdict", "claims", "limits", "premises"):
            self.assertEqual(report[member], second[member], member)
        return report

    def test_settings_are_the_last(self):
        self.box.kesu("dataset", "update", "loans-2019", "--region", "osaka", "--unreadable-until", "2040", "--reason", "moved")
        bundle = self.issued()
        dataset, = json.loads((bundle / "certificate.json").read_text())["datasets"]
        self.assertEqual(dataset["region"], "osaka")
        claims = {c["id"]: c for c in self.both(bundle)["claims"]}
        self.assertIn("until 2040", claims["algorithms"]["detail"])

    def test_verified_and_validated(self):
        claims = {c["id"]: c for c in self.both(self.issued(("verify", VERIFIER), ("validate", VALIDATOR)))["claims"]}
        self.assertEqual((claims["verified-gone"]["level"], claims["validated"]["level"]), ("attested", "attested"))

    def test_verified_only(self):
        claims = {c["id"]: c for c in self.both(self.issued(("verify", VERIFIER)))["claims"]}
        self.assertEqual((claims["verified-gone"]["level"], claims["validated"]["level"]), ("attested", "absent"))


if __name__ == "__main__":
    scenario.main()
