"""`key attest`: an officer who attended the making of a key signs what the token says of it; who may, when, and what the
certificate and its readers make of it."""
import json
import pathlib
import shutil
import sys

sys.path.insert(0, str(pathlib.Path(__file__).parents[1] / "support"))
import harness
import scenario
from clock_test import at
from scenario import APPROVER, AUDITOR, BOTH, OPERATOR, SECOND

VERIFIER, MIXED = "森 雪", "Operator And Auditor"
LOW = ("--require", "low", "--allow-test-grade")
SECOND_READER = harness.SOURCE / "scripts" / "verify_certificate.py"


class Attest(scenario.World):
    officers = (*scenario.World.officers, (VERIFIER, "Verifier", "verifier", "mori"), (MIXED, "Both", "operator,auditor", "mixed"))

    def attest(self, by=AUDITOR, key="loans", *words, **options):
        return self.box.kesu("key", "attest", key, *(words or self.signer(by)), **options)

    def seal_some(self):
        self.seal("loans-2019", {"a": b"one", "b": b"two"})

    def bundle(self, name="bundle"):
        erasure = self.approved("loans-2019")
        self.run_erasure(erasure)
        shutil.rmtree(self.box.path / name, ignore_errors=True)
        self.box.kesu("certificate", "bundle", erasure, "-o", self.box.path / name)
        return self.box.path / name

    def readers(self, bundle, trust=None, code=0):
        """The report of kesu verify; the second reader says the same."""
        path = self.box.path / "trust"
        path.write_text(trust or self.box.kesu("trust", "propose", bundle, vault=False).json["trust"])
        report = self.box.kesu("verify", bundle, "--trust", path, *LOW, vault=False, code=code).json
        other = self.box.run("/usr/bin/python3", "-B", SECOND_READER, bundle, "--trust", path, *LOW, "--json", code=code).json
        self.assertEqual(other, report)
        return report, {c["id"]: c for c in report["claims"]}

    def test_attested(self):
        shown = self.attest().json["versions"][0]["attested"]
        self.assertEqual([(a["name"], a["role"]) for a in shown], [(AUDITOR, "auditor")])
        self.attest(VERIFIER)
        (self.box.vault / "registers.db").unlink()
        shown = self.box.kesu("key", "show", "loans").json["versions"][0]["attested"]
        self.assertEqual([(a["name"], a["role"]) for a in shown], [(AUDITOR, "auditor"), (VERIFIER, "verifier")])
        self.assertIn(f"attended by {AUDITOR} (auditor); attended by {VERIFIER} (verifier)", self.box.text("key", "show", "loans").stdout)
        self.seal_some()
        bundle = self.bundle()
        report, claims = self.readers(bundle)
        self.assertEqual((report["verdict"], report["errors"]), ("complete", []))
        origin = claims["key-origin"]
        self.assertEqual(origin["level"], "attested")
        self.assertEqual(origin["rests_on"], ["attributes at birth and before destruction", f"signature of {AUDITOR} (attest)",
                                              f"signature of {VERIFIER} (attest)"])
        self.assertEqual(origin["detail"], f"1 key version; the making of loans.1 was attended by {AUDITOR}, {VERIFIER}")
        document = json.loads((bundle / "certificate.json").read_bytes())
        stored = next(c for c in document["claims"] if c["id"] == "key-origin")
        self.assertEqual((stored["level"], stored["premises"]), ("attested", ["program-honest", "token-as-assayed"]))
        self.assertTrue(document["test_grade"])
        parts = [r["part"] for r in document["evidence_chain"] if r["part"].startswith("attest ")]
        self.assertEqual(len(parts), 4)
        with self.subTest("nobody says that the vendor attests it"):
            for path in ("certificate.html", "certificate.json"):
                self.assertNotIn("endor", (bundle / path).read_text().replace("Vendor", ""))
        with self.subTest("the README's lines check the statements"):
            readme = (bundle / "README.txt").read_text()
            loop = "\n".join(l for l in readme.splitlines() if l.startswith(("    for s in", "      ssh-keygen")))
            self.assertEqual(self.box.run("sh", "-ec", loop, cwd=bundle).stdout.count("Good"), 4 + len(self.officers))
        with self.subTest("issued again: the same bytes"):
            erasure = document["erasure"]
            self.box.kesu("certificate", "bundle", erasure, "-o", self.box.path / "again")
            self.assertEqual((self.box.path / "again" / "MANIFEST").read_bytes(), (bundle / "MANIFEST").read_bytes())
        with self.subTest("a reader who does not know who attended it"):
            trust = (self.box.path / "trust").read_text().splitlines()
            line = next(l for l in trust if l.startswith("officer ") and l.split()[2] == self.key_of(AUDITOR).public.read_text().split()[1])
            report, _ = self.readers(bundle, "\n".join(l for l in trust if l != line) + "\n", code=7)
            self.assertFalse(report["officers_known"])
            (self.box.path / "keys").write_text(f'x namespaces="kesu-approve-v1" {line.removeprefix("officer ")}\n')
            report, _ = self.readers(bundle, "\n".join([l for l in trust if l != line] + ["officers keys"]) + "\n", code=7)
            self.assertFalse(report["officers_known"])
            (self.box.path / "keys").write_text(f'x namespaces="kesu-key-attest-v1" {line.removeprefix("officer ")}\n')
            self.readers(bundle, "\n".join([l for l in trust if l != line] + ["officers keys"]) + "\n")

    def test_without_it(self):
        self.seal_some()
        report, claims = self.readers(self.bundle())
        self.assertEqual((report["verdict"], claims["key-origin"]["level"]), ("complete", "recorded"))

    def test_one_version_of_two(self):
        self.attest()
        self.seal_some()
        self.box.kesu("key", "rotate", "loans")
        self.attest(AUDITOR, "loans", code=2, error="usage")
        self.seal("loans-2019", {"c": b"three"})
        self.attest(AUDITOR, "loans.2", code=3, error="state-refused")
        _, claims = self.readers(self.bundle())
        self.assertEqual(claims["key-origin"]["level"], "recorded")
        self.assertEqual(claims["key-origin"]["detail"], f"2 key versions; the making of loans.1 was attended by {AUDITOR}")

    def test_who_may(self):
        entries = self.entries()
        for by in (OPERATOR, BOTH, MIXED):
            self.attest(by, code=3, error="requester-is-approver")
        self.attest(APPROVER, code=3, error="not-enrolled")
        self.box.kesu("key", "attest", "loans", "--as", AUDITOR, code=2, error="usage")
        self.box.kesu("key", "attest", "loans", "--as", AUDITOR, "--key", self.key_of(APPROVER).private, code=6, error="signature-bad")
        self.box.kesu("key", "attest", "nothing", *self.signer(AUDITOR), code=2, error="not-found")
        self.nothing_changed(entries)
        self.attest()
        self.attest(code=3, error="state-refused")

    def test_not_when_it_is_too_late(self):
        entries = len(self.entries())
        self.attest(code=3, error="state-refused", env=at("+25h"))
        self.assertEqual({e["type"] for e in self.entries()[entries:]}, {"finding-recorded"})
        self.box.restore("prepared")
        self.seal_some()
        refused = self.attest(code=3, error="state-refused").json["error"]
        self.assertIn("wrapped under it already", refused["message"])
        self.assertNotIn("key-attested", [e["type"] for e in self.entries()])

    def test_not_what_it_is_not_for(self):
        (self.box.path / "raw").write_bytes(bytes(range(32)))
        self.box.kesu("key", "import", "brought", "--from", self.box.path / "raw", "--origin-place", "safe 2", "--custodian", "C", code=None)
        keys = {k["name"]: k["versions"][0]["origin"] for k in self.box.kesu("key", "list").json}
        if keys.get("brought") == "imported":
            self.attest(AUDITOR, "brought", code=3, error="state-refused")
        self.attest(AUDITOR, "control-kesu-test" if "control-kesu-test" in keys else next(k for k in keys if k.startswith("control")),
                    code=3, error="state-refused")
        self.box.kesu("key", "suspend", "loans", "--reason", "x")
        self.attest(code=3, error="state-refused")

    def test_signed_elsewhere(self):
        statement = self.box.path / "statement.json"
        said = self.box.kesu("key", "attest", "loans", "--as", AUDITOR, "--export", statement).json
        self.assertEqual(said["namespace"], "kesu-key-attest-v1")
        text = statement.read_text()
        s = json.loads(text)
        self.assertEqual(s["attributes"]["CKA_LABEL"], f"kesu:{s['version']}")
        self.assertTrue(s["attributes"]["CKA_LOCAL"] and s["attributes"]["CKA_NEVER_EXTRACTABLE"])
        self.assertIn(s["identity"]["serial"], s["summary"][0])
        transcript = json.loads((self.box.vault / "evidence" / s["transcript"]).read_bytes())
        self.assertEqual(transcript["answer"]["keys"][0]["answer"], "usable")
        signature = self.box.path / "statement.json.sig"
        sign = lambda space, data: signature.write_bytes(self.key_of(AUDITOR).sign(space, data))
        hand_in = lambda **options: self.box.kesu("key", "attest", "loans", "--as", AUDITOR, "--signature", signature, **options)
        entries = self.entries()
        sign("kesu-approve-v1", text.encode())
        hand_in(code=6, error="signature-bad")
        sign("kesu-key-attest-v1", text.replace("loans.1", "loans.2").encode())
        hand_in(code=6, error="signature-bad")
        sign("kesu-key-attest-v1", text.encode())
        draft = next((self.box.vault / "plans").glob("*.attest.*.json"))
        kept = draft.read_text()
        draft.write_text(kept.replace('"CKA_EXTRACTABLE": false', '"CKA_EXTRACTABLE": true'))
        hand_in(code=1, error="conflict")
        draft.unlink()
        hand_in(code=2, error="not-found")
        self.nothing_changed(entries)
        draft.write_text(kept)
        hand_in()
        entry = self.entries()[-1]
        self.assertEqual((entry["type"], [n["id"].split("-")[0] for n in entry["nodes"]]), ("key-attested", ["key", "opr"]))
        self.assertEqual(entry["body"]["transcript"], s["transcript"])

    def test_who_attends_it_cannot_approve_and_keep_it(self):
        """The auditor becomes an approver later: he may, and then his attestation counts for nothing."""
        self.attest()
        self.seal_some()
        self.box.kesu("operator", "grant", AUDITOR, "approver", "--reason", "x", "--by", APPROVER, "--key", self.key_of(APPROVER).private)
        erasure = self.plan("loans-2019")["erasure"]
        self.request(erasure)
        self.approve(erasure, AUDITOR)
        self.run_erasure(erasure)
        self.box.kesu("certificate", "bundle", erasure, "-o", self.box.path / "judged")
        report, claims = self.readers(self.box.path / "judged")
        self.assertEqual((report["verdict"], claims["key-origin"]["level"]), ("complete", "recorded"))
        self.assertIn("requested or approved the erasure", report["errors"][0]["what"])


if __name__ == "__main__":
    scenario.main()
