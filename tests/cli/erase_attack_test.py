"""What stands between an approval and the first destruction: cancelling while it runs, registers that lie about people,
evidence that is missing, a token that says yes and does nothing."""
import json
import pathlib
import sqlite3
import sys

sys.path.insert(0, str(pathlib.Path(__file__).parents[1] / "support"))
import scenario
import shim_world


class Attack(shim_world.ShimWorld):
    @classmethod
    def prepare(cls):
        cls.put_shim_before_token()
        cls.seal("loans-2019", {"a.txt": b"one", "b.txt": b"two"})

    def untouched(self):
        self.assertNotIn("destroy-intended", self.types())
        self.assertIn(f"kesu:{self.version_of('loans')}", self.token_labels())

    def test_cancelled_or_rejected_while_the_keys_are_inspected(self):
        erasure = self.approved("loans-2019")
        self.box.snapshot("approved")
        for act in (("cancel", erasure, "--reason", "stop"), ("reject", erasure, *self.signer(scenario.SECOND))):
            with self.subTest(act[0]):
                self.box.restore("approved")
                with self.held("C_Login 1", "erase", "run", erasure, "-y", probe=True) as run:
                    self.box.kesu("erase", *act)
                self.assertEqual(run.returncode, 3, run.out)
                self.assertIn('"state-refused"', run.out)
                self.untouched()
                self.assertEqual(self.opened(self.out, name=act[0]), {"src/a.txt": b"one", "src/b.txt": b"two"})

    def test_a_last_checkpoint_that_is_not_signed(self):
        """Everything is destroyed and recorded by then: that is no failure, and the certificate signs one."""
        erasure = self.approved("loans-2019")
        self.box.snapshot("approved")
        self.run_erasure(erasure, env=self.script("C_Sign * delay 0"))
        last = self.counted("C_Sign")
        self.box.restore("approved")
        done = self.run_erasure(erasure, env=self.script(f"C_Sign {last}+ return CKR_DEVICE_REMOVED"))
        self.assertIn("kesu certificate bundle", done.stderr)
        self.assertEqual(self.stage(erasure), "destroyed")
        self.box.kesu("certificate", "bundle", erasure, "-o", self.box.state / "bundle")

    # Registers that lie about people: what they let through once is not believed when it counts.

    def lie(self, kind, row, change):
        with sqlite3.connect(self.box.vault / "registers.db") as db:
            (text,), = db.execute("SELECT json FROM rows WHERE kind = ? AND id = ?", (kind, row)).fetchall()
            value = json.loads(text)
            change(value)
            db.execute("UPDATE rows SET json = ? WHERE kind = ? AND id = ?",
                       (json.dumps(value, sort_keys=True, separators=(",", ":"), ensure_ascii=False), kind, row))

    def operator(self, name):
        return next(e["nodes"][0]["id"] for e in self.entries()
                    if e["type"] == "operator-enrolled" and e["body"]["name"] == name)

    def test_a_role_that_only_a_register_knows(self):
        self.box.kesu("key", "create", "other")
        erasure = self.plan("loans-2019")["erasure"]
        self.request(erasure)
        before = self.entries()
        self.lie("operator", self.operator(scenario.AUDITOR), lambda row: row["roles"].append("approver"))
        self.approve(erasure, scenario.AUDITOR, code=3, error="not-enrolled")
        self.lie("operator", self.operator(scenario.OPERATOR), lambda row: row["roles"].append("approver"))
        order = ("key", "extend", "other.1", "--recipient-until", "2040-01-01", "--reason", "r")
        self.box.kesu(*order, *self.signer(scenario.OPERATOR), code=3, error="not-enrolled")
        self.only_refused(before)

    def test_a_requester_that_only_a_register_knows(self):
        erasure = self.plan("loans-2019")["erasure"]
        self.request(erasure, scenario.BOTH)
        before = self.entries()
        other = self.operator(scenario.OPERATOR)
        self.lie("erasure", erasure, lambda row: row["request"].update(operator=other))
        self.approve(erasure, scenario.BOTH, code=3, error="requester-is-approver")
        self.only_refused(before)

    # Evidence.

    def test_evidence_that_is_missing_is_missed_before(self):
        erasure = self.approved("loans-2019")
        entries = self.entries()
        body = {e["type"]: e["body"] for e in entries}
        named = {
            "genesis": body["genesis"]["statement"], "genesis signature": body["genesis"]["signatures"][0]["signature"],
            "birth": next(e["body"]["birth"] for e in entries if e["type"] == "key-created"
                          and e["nodes"][0]["id"] == self.version_of("loans")),
            "request": body["erasure-requested"]["statement"], "its signature": body["erasure-requested"]["signature"],
            "approval": body["erasure-approved"]["signature"]}
        for what, digest in named.items():
            for alter in (lambda p: p.unlink(), lambda p: p.write_bytes(p.read_bytes() + b" ")):
                with self.subTest(what):
                    path = self.box.vault / "evidence" / digest
                    kept = path.read_bytes()
                    path.chmod(0o600)
                    alter(path)
                    refused = self.run_erasure(erasure, code=(2, 3, 5, 6))
                    self.assertIn(refused.error_code, ("not-found", "ledger-damaged", "signature-bad"))
                    self.untouched()
                    path.write_bytes(kept)
        self.run_erasure(erasure)
        self.box.kesu("certificate", "bundle", erasure, "-o", self.box.state / "bundle")


if __name__ == "__main__":
    scenario.main()
