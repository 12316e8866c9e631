"""`erase verify` and `erase validate`: two more officers, each somebody else than those whose work he judges; what the
certificate says of them, and what a reader makes of it."""
import json
import pathlib
import shutil
import sys

sys.path.insert(0, str(pathlib.Path(__file__).parents[1] / "support"))
import scenario
from scenario import APPROVER, AUDITOR, BOTH, OPERATOR

VERIFIER, VALIDATOR, ALL = "森 雪", "阿部 健", "All Roles"


class Later(scenario.World):
    officers = (*scenario.World.officers, (VERIFIER, "Verifier", "verifier", "mori"), (VALIDATOR, "Validator", "validator", "abe"),
                (ALL, "Everything", "operator,approver,verifier,validator", "all"))

    @classmethod
    def prepare(cls):
        cls.seal("loans-2019", {"a": b"one", "b": b"two"})

    def destroyed(self, by=OPERATOR):
        erasure = self.plan("loans-2019")["erasure"]
        self.request(erasure, by=by)
        self.approve(erasure)
        self.run_erasure(erasure)
        return erasure

    def act(self, action, erasure, by, **options):
        return self.box.kesu("erase", action, erasure, *self.signer(by), **options)

    def bundle(self, erasure, name="bundle"):
        self.box.kesu("certificate", "bundle", erasure, "-o", self.box.state / name)
        return self.box.state / name

    def claims(self, bundle, *words, code=7):
        report = self.box.kesu("verify", bundle, "--require", "low", "--allow-test-grade", *words, code=code).json
        return report, {c["id"]: c for c in report["claims"]}

    def test_both(self):
        erasure = self.destroyed()
        done = self.act("verify", erasure, VERIFIER).json
        self.assertEqual((done["stage"], done["verified"]["name"], done["validated"]), ("verified", VERIFIER, None))
        done = self.act("validate", erasure, VALIDATOR).json
        self.assertEqual((done["stage"], done["validated"]["name"]), ("validated", VALIDATOR))
        (self.box.vault / "registers.db").unlink()
        self.assertEqual(self.box.kesu("erase", "status", erasure).json, done)
        bundle = self.bundle(erasure)
        report, claims = self.claims(bundle)
        self.assertEqual(report["errors"], [])
        self.assertEqual((claims["verified-gone"]["level"], claims["validated"]["level"]), ("attested", "attested"))
        self.assertIn(f"signature of {VERIFIER} (verify)", claims["verified-gone"]["rests_on"])
        self.assertEqual(claims["authorised"]["level"], "proven")
        document = json.loads((bundle / "certificate.json").read_text())
        self.assertEqual(document["stage"], "validated")
        self.assertEqual([(p["action"], p["role"]) for p in document["people"]][-2:],
                         [("verify", "verifier"), ("validate", "validator")])
        page_one = self.box.run("pdftotext", "-layout", "-l", "1", bundle / "certificate.pdf", "-").stdout
        self.assertRegex(page_one, rf"検証者 +{VERIFIER}")
        self.assertRegex(page_one, rf"妥当性確認者 +{VALIDATOR}")
        # With ssh-keygen alone, as the bundle's README says.
        for action, opr in ((p["action"], p["operator"]) for p in document["people"]):
            self.box.run("sh", "-c", f"ssh-keygen -Y verify -f allowed_signers -I {opr} -n kesu-{action}-v1 "
                                     f"-s {action}.{opr}.json.sig < {action}.{opr}.json", cwd=bundle / "approvals")
        again = self.bundle(erasure, "again")
        self.assertEqual((again / "MANIFEST").read_bytes(), (bundle / "MANIFEST").read_bytes())

    def test_without_them_nothing_is_claimed(self):
        _, claims = self.claims(self.bundle(self.destroyed()))
        self.assertEqual((claims["verified-gone"]["level"], claims["validated"]["level"]), ("recorded", "absent"))

    def test_who_may(self):
        erasure = self.destroyed(by=ALL)
        entries = self.entries()
        self.act("verify", erasure, AUDITOR, code=3, error="not-enrolled")
        self.act("verify", erasure, ALL, code=3, error="requester-is-approver")
        self.act("validate", erasure, VALIDATOR, code=3, error="state-refused")
        self.box.kesu("erase", "verify", erasure, "--as", VERIFIER, code=2)
        self.box.kesu("erase", "verify", erasure, "--as", VERIFIER, "--key", self.key_of(APPROVER).private, code=6,
                      error="signature-bad")
        self.nothing_changed(entries)
        self.act("verify", erasure, VERIFIER)
        self.act("verify", erasure, VERIFIER, code=3, error="state-refused")
        self.act("validate", erasure, VERIFIER, code=3, error="not-enrolled")
        self.act("validate", erasure, ALL, code=3, error="requester-is-approver")
        self.bundle(erasure)
        self.act("validate", erasure, VALIDATOR, code=3, error="state-refused")

    def test_not_before_and_not_after(self):
        erasure = self.approved("loans-2019")
        self.act("verify", erasure, VERIFIER, code=3, error="state-refused")
        self.run_erasure(erasure)
        self.bundle(erasure)
        self.act("verify", erasure, VERIFIER, code=3, error="state-refused")

    def test_signed_elsewhere(self):
        erasure = self.destroyed()
        for action, person in (("verify", VERIFIER), ("validate", VALIDATOR)):
            file = self.box.state / f"{action}.json"
            words = ("erase", action, erasure, "--as", person)
            name_space = self.box.kesu(*words, "--export", file).json["namespace"]
            self.assertEqual(name_space, f"kesu-{action}-v1")
            self.box.run("ssh-keygen", "-q", "-Y", "sign", "-n", name_space, "-f", self.key_of(person).private, file)
            self.box.kesu(*words, "--signature", f"{file}.sig")
        _, claims = self.claims(self.bundle(erasure))
        self.assertEqual((claims["verified-gone"]["level"], claims["validated"]["level"]), ("attested", "attested"))

    def test_of_an_exported_inspection_only_its_transcripts_are_believed(self):
        erasure = self.destroyed()
        file = self.box.state / "verify.json"
        words = ("erase", "verify", erasure, "--as", VERIFIER)
        self.box.kesu(*words, "--export", file)
        self.box.run("ssh-keygen", "-q", "-Y", "sign", "-n", "kesu-verify-v1", "-f", self.key_of(VERIFIER).private, file)
        kept, = (self.box.vault / "plans").glob("*.verify.*.inspections.json")
        said = json.loads(kept.read_text())
        said["inspections"][0]["before"], said["result"] = "0" * 64, {"absent": 99}
        kept.write_text(json.dumps(said))
        self.box.kesu(*words, "--signature", f"{file}.sig")
        body = next(e["body"] for e in self.entries() if e["type"] == "erasure-verified")
        self.assertEqual(body["result"], {"absent": 1, "unknown": 0, "usable": 0, "refused": 0})
        _, claims = self.claims(self.bundle(erasure))
        self.assertEqual(claims["verified-gone"]["level"], "attested")

    def test_a_key_that_is_back_is_not_verified(self):
        saved = self.box.state / "token-copy"
        tokens = self.token_files()[0].parent.parent
        shutil.copytree(tokens, saved)
        erasure = self.destroyed()
        shutil.rmtree(tokens)
        shutil.copytree(saved, tokens)
        entries = self.entries()
        self.act("verify", erasure, VERIFIER, code=5, error="outcome-unknown")
        self.nothing_changed(entries)

    def test_a_reader_believes_no_statement_that_does_not_fit(self):
        erasure = self.destroyed()
        self.act("verify", erasure, VERIFIER)
        self.act("validate", erasure, VALIDATOR)
        bundle = self.bundle(erasure)
        for action in ("verify", "validate"):
            statement, = (bundle / "approvals").glob(f"{action}.*.json")
            for change in (lambda f: f.unlink(), lambda f: f.write_text(f.read_text().replace("absent", "gone").replace("Accepts", "Takes"))):
                with self.subTest(action):
                    forged = self.box.state / "forged"
                    shutil.rmtree(forged, ignore_errors=True)
                    shutil.copytree(bundle, forged)
                    change(forged / "approvals" / statement.name)
                    report, _ = self.claims(forged, code=6)
                    self.assertTrue(any(statement.name in e["part"] for e in report["errors"]), report["errors"])


if __name__ == "__main__":
    scenario.main()
