"""kesu-verify.html with a verification, a validation, contacts and changed settings of a dataset: what `kesu verify` says."""
import json
import pathlib
import shutil
import sys

sys.path.insert(0, str(pathlib.Path(__file__).parents[1] / "support"))
import scenario
import verify_page
from scenario import APPROVER
from certificate_facts_test import VALIDATOR, VERIFIER


class VerifyPageLater(verify_page.Driver, scenario.World):
    officers = (*scenario.World.officers, (VERIFIER, "Verifier", "verifier", "mori"), (VALIDATOR, "Validator", "validator", "abe"))

    @classmethod
    def prepare(cls):
        box = cls.box
        cls.seal("loans-2019", {"a": b"one", "b": b"two"})
        box.kesu("dataset", "update", "loans-2019", "--region", "osaka", "--unreadable-until", "2040", "--service", "Store",
                 "--asset", "FA-77", "--reason", "moved")
        box.kesu("vault", "contact", "--contact", "+81 3 0000 0000", "--place", "東京")
        box.kesu("vault", "contact", "--of", VERIFIER, "--place", "大阪")
        case = cls("setUp")
        erasure = case.approved("loans-2019")
        case.run_erasure(erasure)
        box.kesu("erase", "verify", erasure, *cls.signer(VERIFIER))
        box.kesu("erase", "validate", erasure, *cls.signer(VALIDATOR))
        cls.issue(erasure)
        cls.open_page()

    def test_as_kesu_verify(self):
        said = self.check()
        self.assertEqual((said["verdict"], said["errors"]), ("complete", []))
        self.assertEqual((said["levels"]["verified-gone"], said["levels"]["validated"]), ("attested", "attested"))
        kesu = self.kesu_verify(self.bundle, self.trust, "--require", "low", "--allow-test-grade")
        self.assertEqual(self.saved(), kesu)

    def test_a_statement_of_somebody_else_is_red(self):
        document = json.loads((self.bundle / "certificate.json").read_text())
        verifier, validator = (next(p["operator"] for p in document["people"] if p["action"] == a) for a in ("verify", "validate"))
        shutil.copy(self.bundle / "approvals" / f"validate.{validator}.json.sig", self.bundle / "approvals" / f"verify.{verifier}.json.sig")
        self.red(f"approvals/verify.{verifier}.json")

    def test_withdrawn_since_it_came_untrue(self):
        box, certificate = self.box, json.loads((self.bundle / "certificate.json").read_text())
        box.kesu("key", "compromise", "loans", "--version", "1", "--reason", "a thief had it", "-y")
        box.kesu("copy", "add", "loans.1", "--kind", "backup", "--place", "tape 7", "--custodian", "Ito")
        box.kesu("certificate", "withdraw", certificate["id"], "--reason", "a copy turned up", *self.signer(APPROVER, "--by"))
        anew = self.elsewhere / "withdrawn"
        box.kesu("certificate", "bundle", certificate["erasure"], "-o", anew, "--withdrawn")
        said, kesu = self.check(anew), self.kesu_verify(anew, self.trust, "--require", "low", "--allow-test-grade")
        self.assertEqual((said["verdict"], kesu["verdict"], kesu["withdrawn"]), ("incomplete", "incomplete", True))
        self.assertIn("WITHDRAWN", said["text"])
        page = self.saved()
        for name in ("verdict", "withdrawn", "shortfalls"):
            self.assertEqual(sorted(page[name]) if name == "shortfalls" else page[name], sorted(kesu[name]) if name == "shortfalls" else kesu[name])
        levels = lambda r: {c["id"]: c["level"] for c in r["claims"]}
        self.assertEqual(levels(page), levels(kesu))
        self.assertEqual({e["part"] for e in page["errors"]}, {"certificate.json"})
        for report in (page, kesu):
            self.assertTrue(any("uncompromised says proven" in e["what"] for e in report["errors"]), report["errors"])
        # Nothing else is forgiven.
        path = anew / "README.txt"
        path.write_bytes(path.read_bytes() + b" ")
        self.red("MANIFEST", anew)


if __name__ == "__main__":
    scenario.main()
