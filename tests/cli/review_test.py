"""kesu operator review: who may act here, what stands out, and a review that is signed and kept."""
import json
import pathlib
import sys

sys.path.insert(0, str(pathlib.Path(__file__).parents[1] / "support"))
import harness
import scenario
from clock_test import at as at_time
from scenario import APPROVER, AUDITOR, OPERATOR

DAY = 86_400


class Review(scenario.World):
    def review(self, *words, **options):
        return self.box.kesu("operator", "review", *words, **options)

    def due(self, env=None):
        return [d for d in self.box.kesu("status", code=None, env=env).json["due"] if d["what"] == "people-review"]

    def test_what_it_shows(self):
        report = self.review().json
        listed = {p["id"]: p for p in self.box.kesu("operator", "list").json}
        self.assertEqual({p["id"] for p in report["people"]}, set(listed))
        for p in report["people"]:
            self.assertEqual({k: p[k] for k in listed[p["id"]]}, listed[p["id"]])
            self.assertEqual((p["present"], p["verified"], p["strength_bits"]), (None, None, 128))
        self.assertEqual((report["last"], report["last_by"]), (None, None))
        genesis = self.entries()[0]["time"]
        self.assertEqual(self.box.run("date", "-u", "-d", f"{genesis} + 365 days", "+%F").stdout.strip(), report["next"][:10])
        # Everybody signed at genesis; then who asks and who approves.
        before = {p["name"]: p["last_used"] for p in report["people"]}
        self.seal("loans-2019", {"a": b"one"})
        erasure = self.plan("loans-2019")["erasure"]
        self.request(erasure)
        self.approve(erasure)
        after = {p["name"]: p["last_used"] for p in self.review().json["people"]}
        times = {e["type"]: e["time"] for e in self.entries()}
        self.assertEqual((after[OPERATOR], after[APPROVER]), (times["erasure-requested"], times["erasure-approved"]))
        self.assertEqual(after[AUDITOR], before[AUDITOR])
        self.assertEqual(self.due(), [])

    def test_recorded_and_due_again(self):
        late = at_time("+366d")
        overdue, = self.due(late)
        self.assertTrue(overdue["overdue"])
        self.assertIn("kesu operator review", overdue["next"])
        soon, = self.due(at_time("+340d"))
        self.assertFalse(soon["overdue"])
        self.review("--record", "--as", OPERATOR, "--key", self.signer(OPERATOR)[3], code=3, error="not-enrolled")
        self.review("--record", code=2)
        self.review("--as", AUDITOR, code=2)
        report = self.review("--record", "--note", "四半期の確認", *self.signer(AUDITOR), env=late).json
        self.assertEqual(report["last_by"], AUDITOR)
        entry = [e for e in self.entries() if e["body"].get("what") == "people-reviewed"]
        self.assertEqual((len(entry), entry[0]["type"], entry[0]["body"]["detail"], report["last"]), (1, "document-attached", "四半期の確認", entry[0]["time"]))
        self.assertEqual(self.due(late), [])
        self.assertEqual([d["overdue"] for d in self.due(at_time("+732d"))], [True])
        statement = self.box.vault / "evidence" / entry[0]["body"]["document"]
        said = json.loads(statement.read_bytes())
        self.assertEqual((said["type"], said["role"], said["name"], len(said["people"])), ("kesu-review-v1", "auditor", AUDITOR, len(self.officers)))
        self.assertTrue(all("signed nothing since" in line for line in said["people"]))      # a year has passed
        with self.subTest("a stock tool checks it"):
            allowed = self.box.path / "allowed"
            allowed.write_text(f"{AUDITOR.replace(' ', '.')} {self.key_of(AUDITOR).public.read_text()}")
            done = self.box.run("sh", "-c", f"ssh-keygen -Y verify -f {allowed} -I '{AUDITOR.replace(' ', '.')}' -n kesu-review-v1 -s "
                                f"{self.box.vault / 'evidence' / entry[0]['body']['signature']} < {statement}")
            self.assertIn("Good", done.stdout)
        (self.box.vault / "registers.db").unlink()
        self.assertEqual(self.review(env=late).json["last"], report["last"])
        self.box.kesu("ledger", "verify", env=late)

    def test_signed_elsewhere(self):
        out = self.box.path / "review.json"
        said = self.review("--record", "--as", APPROVER, "--export", out).json
        self.assertEqual(said["namespace"], "kesu-review-v1")
        self.box.run("ssh-keygen", "-Y", "sign", "-n", "kesu-review-v1", "-f", self.signer(APPROVER)[3], out)
        signature = ("--record", "--as", APPROVER, "--signature", f"{out}.sig")
        self.review(*signature, "--note", "another", code=None, error="signature-bad")
        self.review("--record", "--as", APPROVER, "--export", out)
        (self.box.path / "review.json.sig").unlink()
        self.box.run("ssh-keygen", "-Y", "sign", "-n", "kesu-review-v1", "-f", self.signer(APPROVER)[3], out)
        self.assertEqual(self.review(*signature).json["last_by"], APPROVER)
        # The statement is recorded: what was signed once serves once.
        self.review(*signature, code=None, error="signature-bad")

    def test_what_stands_out(self):
        until = self.box.run("date", "-u", "-d", "+10 days", "+%F").stdout.strip()
        self.box.kesu("operator", "grant", AUDITOR, "verifier", "--until", until, "--reason", "a while", "--by", APPROVER, "--key", self.signer(APPROVER)[3])
        remarks = lambda env=None: {p["name"]: p["remarks"] for p in self.review(env=env).json["people"]}  # noqa: E731
        self.assertEqual(remarks()[AUDITOR], ["verifier ends soon"])
        self.assertEqual(remarks()[OPERATOR], [])
        self.assertIn("verifier is over", remarks(at_time("+20d"))[AUDITOR])
        self.assertIn("ends soon", self.box.text("operator", "review").stdout)


if __name__ == "__main__":
    scenario.main()
