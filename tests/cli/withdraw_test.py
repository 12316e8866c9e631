"""What SP 800-88 Rev. 2 §4.6 asks for in a certificate; a certificate withdrawn by a quorum; a newer ledger extract
that tells the holder of a bundle so. The second verifier is asked each time, too."""
import json
import pathlib
import shutil
import sys

sys.path.insert(0, str(pathlib.Path(__file__).parents[1] / "support"))
import harness
import scenario
from scenario import APPROVER, AUDITOR, OPERATOR, SECOND

ROOT = pathlib.Path(__file__).resolve().parents[2]
SCRIPT = ROOT / "scripts" / "verify_certificate.py"
LOW = ("--require", "low", "--allow-test-grade")
REASON = ("--reason", "a copy of the key turned up")


class Issued(scenario.World):
    quorum = 2

    @classmethod
    def prepare(cls):
        box = cls.box
        box.kesu("dataset", "update", "loans-2019", "--service", "Object Store, Tokyo", "--contact", "loans desk, ext. 55",
                 "--asset", "FA-2019-77", "--reason", "for the certificate")
        box.kesu("vault", "contact", "--contact", "+81 3 0000 0000", "--place", "Tokyo data centre")
        box.kesu("vault", "contact", "--of", OPERATOR, "--contact", "tanaka@bank.example")
        box.kesu("vault", "contact", "--of", OPERATOR, "--place", "Head office")
        cls.seal("loans-2019", {"a": b"one", "b": b"two"})
        case = cls("both")
        cls.erasure = case.plan("loans-2019")["erasure"]
        case.request(cls.erasure)
        case.approve(cls.erasure)
        case.approve(cls.erasure, by=SECOND)
        case.run_erasure(cls.erasure)
        cls.bundle = box.path / "bundle"
        box.kesu("certificate", "bundle", cls.erasure, "-o", cls.bundle)
        cls.trust = box.path / "trust"
        cls.trust.write_text(box.run(harness.program("kesu"), "trust", "propose", cls.bundle, "--json").json["trust"])
        cls.certificate = json.loads((cls.bundle / "certificate.json").read_text())

    def both(self, bundle, *words, code=0):
        """Both programs' reports, which agree on what is asked here."""
        words = ("--trust", self.trust, *LOW, *words, "--json")
        first = self.box.run(harness.program("kesu"), "verify", bundle, *words, code=code).json
        mine = self.box.run("/usr/bin/python3", "-B", SCRIPT, bundle, *words, code=code).json
        for name in ("verdict", "withdrawn", "as_of", "certificate"):
            self.assertEqual(first[name], mine[name], name)
        self.assertEqual({e["part"] for e in first["errors"]}, {e["part"] for e in mine["errors"]})
        return first

    def withdraw(self, by, **options):
        return self.box.kesu("certificate", "withdraw", self.certificate["id"], *REASON, "--by", by, "--key",
                             self.key_of(by).private, **options).json

    def extract(self, name="extract.zip"):
        path = self.box.state / name
        size = self.box.kesu("ledger", "extract", "-o", path).json["size"]
        return path, size


class Record(Issued):
    def test_a_copy_that_turns_up_later(self):
        """A certificate that is not true any more is not handed out, and what is to be done is said."""
        copy = self.box.kesu("copy", "add", "loans.1", "--kind", "backup", "--place", "tape 7", "--custodian", "Ito").json["id"]
        entry = next(e for e in self.entries() if e["type"] == "copy-registered")
        for code in ("first", "again"):
            said = self.box.kesu("certificate", "bundle", self.erasure, "-o", self.box.state / code, code=1,
                                 error="conflict").json["error"]
            self.assertIn(f"entry {entry['seq']} (copy-registered", said["cause"])
            self.assertIn(f"kesu certificate withdraw {self.certificate['id'][:12]}", said["next"])
            self.assertFalse((self.box.state / code).exists())
        self.box.kesu("copy", "destroy", copy, "--how", "shredded", "--as", APPROVER)
        self.box.kesu("certificate", "bundle", self.erasure, "-o", self.box.state / "ended", code=1, error="conflict")
        self.withdraw(APPROVER, code=4)
        self.withdraw(SECOND)
        anew = self.box.state / "w"
        self.box.kesu("certificate", "bundle", self.erasure, "-o", anew, code=3, error="state-refused")
        self.box.kesu("certificate", "bundle", self.erasure, "-o", anew, "--withdrawn")
        report = self.both(anew, code=7)
        self.assertEqual((report["verdict"], report["withdrawn"], {e["part"] for e in report["errors"]}), ("incomplete", True, {"certificate.json"}))
        self.assertIn("the certificate was withdrawn", report["shortfalls"])
        self.assertIn("copies", " ".join(e["what"] for e in report["errors"]))
        self.assertEqual((anew / "certificate.json").read_bytes(), (self.bundle / "certificate.json").read_bytes())
        said = self.box.run(harness.program("kesu"), "verify", anew, "--trust", self.trust, *LOW, code=7).stdout
        self.assertIn("WITHDRAWN", said)
        for error in report["errors"]:
            self.assertIn(f"\n    {error['part']}: {error['what']}\n", said)
        self.assertIn("  found\n", said)
        # Altered, it is what an altered one is.
        (anew / "README.txt").write_bytes(b"read me")
        self.both(anew, code=6)

    def test_a_key_that_was_known_to_somebody(self):
        self.box.kesu("key", "compromise", "loans", "--version", "1", "--reason", "a thief had it", "-y")
        anew = self.box.state / "w"
        said = self.box.kesu("certificate", "bundle", self.erasure, "-o", anew, code=1, error="conflict").json["error"]
        self.assertIn("certificate withdraw", said["next"])
        self.withdraw(APPROVER, code=4)
        self.withdraw(SECOND)
        self.box.kesu("certificate", "bundle", self.erasure, "-o", anew, "--withdrawn")
        report = self.both(anew, code=7)
        levels = {c["id"]: c["level"] for c in report["claims"]}
        self.assertEqual((report["withdrawn"], levels["uncompromised"]), (True, "absent"))
        self.assertIn("claims: uncompromised says proven, the bundle gives absent", [e["what"] for e in report["errors"]])
        path, _ = self.extract()
        self.assertTrue(self.both(self.bundle, "--ledger", path, code=7)["withdrawn"])

    def test_the_fields_of_800_88(self):
        c = self.certificate
        self.assertEqual(c["contact"], {"contact": "+81 3 0000 0000", "place": "Tokyo data centre"})
        d, = c["datasets"]
        self.assertEqual((d["service"], d["contact"], d["asset"], d["destination"], d["contract"]),
                         ("Object Store, Tokyo", "loans desk, ext. 55", "FA-2019-77", "", "CLOUD-2023-11"))
        by_action = {p["action"]: p for p in c["people"]}
        self.assertEqual((by_action["request"]["contact"], by_action["request"]["place"]),
                         ("tanaka@bank.example", "Head office"))
        self.assertEqual((by_action["approve"]["contact"], by_action["approve"]["place"]), ("", ""))
        self.assertEqual((c["method"]["id"], c["verification"]["id"]), ("cryptographic-erase", "inspection"))
        html = (self.bundle / "certificate.html").read_text()
        for text in ("Object Store, Tokyo", "FA-2019-77", "+81 3 0000 0000", "tanaka@bank.example"):
            self.assertIn(text, html)
        self.both(self.bundle)

    def test_what_was_recorded_later_is_no_part_of_it(self):
        self.box.kesu("vault", "contact", "--contact", "elsewhere")
        self.box.kesu("certificate", "bundle", self.erasure, "-o", self.box.state / "again")
        self.assertEqual((self.box.state / "again" / "MANIFEST").read_bytes(), (self.bundle / "MANIFEST").read_bytes())
        self.both(self.box.state / "again")

    def test_shown_and_refused(self):
        rows = {r["name"]: r for r in self.box.kesu("vault", "contact").json}
        self.assertEqual((rows[OPERATOR]["contact"], rows[OPERATOR]["place"]), ("tanaka@bank.example", "Head office"))
        self.assertIsNone(rows[AUDITOR]["recorded"])
        (self.box.vault / "registers.db").unlink()
        self.assertEqual({r["name"]: r for r in self.box.kesu("vault", "contact").json}, rows)
        entries = self.entries()
        self.box.kesu("vault", "contact", "--of", OPERATOR, code=2, error="usage")
        self.box.kesu("vault", "contact", "--of", "Nobody", "--place", "x", code=2, error="not-found")
        self.box.kesu("vault", "contact", "--place", "two\nlines", code=2, error="bad-input")
        self.nothing_changed(entries)


class Withdraw(Issued):
    def test_by_the_quorum(self):
        one = self.withdraw(APPROVER, code=4)
        self.assertEqual((one["state"], one["approvals"]), ("issued", {"have": 1, "need": 2}))
        self.withdraw(APPROVER, code=4)                                    # the same person twice is one
        self.withdraw(OPERATOR, code=3, error="not-enrolled")
        two = self.withdraw(SECOND)
        self.assertEqual((two["state"], two["withdraw_reason"], two["approvals"]),
                         ("withdrawn", REASON[1], {"have": 2, "need": 2}))
        entry = [e for e in self.entries() if e["type"] == "certificate-withdrawn"][0]
        self.assertEqual(len(entry["body"]["approvals"]), 2)
        self.withdraw(APPROVER, code=3, error="state-refused")
        listed, = self.box.kesu("certificate", "list").json
        (self.box.vault / "registers.db").unlink()
        self.assertEqual(self.box.kesu("certificate", "list").json, [listed])
        self.assertEqual((listed["state"], listed["withdrawn"] is not None), ("withdrawn", True))
        self.box.kesu("ledger", "verify")

    def test_a_statement_for_another_reason_does_not_count(self):
        self.withdraw(APPROVER, code=4)
        out = self.box.kesu("certificate", "withdraw", self.certificate["id"], "--reason", "another", "--by", SECOND, "--key",
                            self.key_of(SECOND).private, code=4).json
        self.assertEqual(out["approvals"], {"have": 1, "need": 2})

    def test_signed_elsewhere(self):
        self.withdraw(APPROVER, code=4)
        statement = self.box.state / "statement"
        words = ("certificate", "withdraw", self.certificate["id"][:12], *REASON, "--by", SECOND)
        self.box.kesu(*words, "--export", statement)
        text = json.loads(statement.read_text())
        self.assertEqual((text["type"], text["document"]),
                         ("kesu-withdraw-v1", self.box.run("sha256sum", self.bundle / "certificate.json").stdout.split()[0]))
        signature = self.box.state / "statement.sig"
        signature.write_bytes(self.key_of(SECOND).sign("kesu-release-v1", statement.read_bytes()))
        self.box.kesu(*words, "--signature", signature, code=6, error="signature-bad")
        signature.write_bytes(self.key_of(SECOND).sign("kesu-withdraw-v1", statement.read_bytes()))
        self.assertEqual(self.box.kesu(*words, "--signature", signature).json["state"], "withdrawn")

    def test_the_bundle_afterwards(self):
        self.withdraw(APPROVER, code=4)
        self.withdraw(SECOND)
        words = ("certificate", "bundle", self.erasure, "-o", self.box.state / "after")
        self.box.kesu(*words, code=3, error="state-refused")
        self.box.kesu(*words, "--withdrawn")
        report = self.both(self.box.state / "after", code=7)
        self.assertTrue(report["withdrawn"])
        self.assertIn("the certificate was withdrawn", report["shortfalls"])
        self.box.kesu("certificate", "render", self.box.state / "after", "-o", self.box.state / "pages", code=3,
                      error="state-refused")
        self.box.kesu("certificate", "render", self.certificate["id"], "-o", self.box.state / "pages", code=3,
                      error="state-refused")
        self.assertFalse((self.box.state / "pages").exists())

    def test_a_newer_extract_tells(self):
        before, size = self.extract("before")
        report = self.both(self.bundle, "--ledger", before)
        self.assertEqual((report["withdrawn"], report["as_of"]), (False, size))
        self.withdraw(APPROVER, code=4)
        self.withdraw(SECOND)
        self.assertFalse(self.both(self.bundle)["withdrawn"])               # the bundle alone cannot know
        after, size = self.extract()
        report = self.both(self.bundle, "--ledger", after, code=7)
        self.assertEqual((report["withdrawn"], report["as_of"]), (True, size))
        # A later bundle of the same vault serves as well; an older extract takes nothing back.
        self.box.kesu("certificate", "bundle", self.erasure, "--withdrawn", "-o", self.box.state / "after")
        self.both(self.bundle, "--ledger", self.box.state / "after", code=7)
        report = self.both(self.box.state / "after", "--ledger", before, code=7)
        self.assertEqual((report["withdrawn"], report["as_of"]), (True, size))

    def test_extracts_that_are_not(self):
        self.box.kesu("vault", "contact", "--place", "elsewhere")            # the ledger goes on
        good, _ = self.extract("good")
        def altered(name, change):
            bad = self.box.state / name
            shutil.copytree(good, bad)
            change(bad)
            report = self.both(self.bundle, "--ledger", bad, code=6)
            self.assertTrue(all(e["part"].startswith("--ledger ") for e in report["errors"]), report["errors"])
            self.assertFalse(report["withdrawn"])
        note = "ledger/checkpoint-b"
        altered("unsigned", lambda p: (p / note).write_text((p / note).read_text().replace("\n\n", "1\n\n", 1)))
        altered("cut", lambda p: shutil.copy(self.bundle / "ledger/headers.gz", p / "ledger/headers.gz"))
        altered("missing", lambda p: (p / "ledger/headers.gz").unlink())
        self.box.kesu("ledger", "extract", "-o", good, code=3, error="already-exists")

    def test_an_extract_of_another_vault(self):
        other = self.box.path / "other"
        genesis = self.write_genesis(self.box.path / "other.json", self.officers, 2)
        self.box.token("other")
        self.box.kesu("init", other, "--genesis", genesis, "--provider", self.box.token_uri, vault=False)
        path = self.box.state / "foreign"
        self.box.kesu("ledger", "extract", "-o", path, "--vault", other, vault=False)
        self.both(self.bundle, "--ledger", path, code=6)


if __name__ == "__main__":
    harness.main()
