"""Attempts to destroy that are refused stay in the ledger, and nothing rests on them."""
import json
import pathlib
import sys

sys.path.insert(0, str(pathlib.Path(__file__).parents[1] / "support"))
import harness
import scenario
from clock_test import at

SECOND_READER = harness.SOURCE / "scripts" / "verify_certificate.py"


class Refused(scenario.World):
    @classmethod
    def prepare(cls):
        cls.seal("loans-2019", {"a": b"one"})

    def refusals(self):
        return [(e["nodes"][0]["id"], e["body"]["detail"]) for e in self.entries()
                if e["type"] == "finding-recorded" and e["body"]["what"] == "destruction-refused"]

    def requested(self):
        erasure = self.plan("loans-2019")["erasure"]
        self.request(erasure, scenario.BOTH)
        return erasure

    def recorded(self, node, *details):
        """These, in this order; the ledger is sound, and nobody is asked to do something about it."""
        seen = self.refusals()
        self.assertEqual([n for n, _ in seen], [node] * len(details))
        for (_, is_), wanted in zip(seen, details):
            self.assertIn(wanted, is_)
        self.box.kesu("ledger", "verify")
        self.assertEqual([d for d in self.box.kesu("status").json["due"] if d["what"] == "finding"], [])
        self.assertIn(f"kesu:{self.version_of('loans')}", self.token_labels())

    def test_alone(self):
        """By who requested it, without anybody else; then with, and the certificate is as without these attempts."""
        erasure = self.requested()
        self.run_erasure(erasure, code=4, error="approvals-missing")
        self.run_erasure(erasure, code=4, error="approvals-missing")       # said once
        self.approve(erasure, scenario.BOTH, code=3)
        self.recorded(erasure, "erase run was refused: ", f"erase approve as {scenario.BOTH} was refused: ")
        self.assertIn("(approvals-missing)", self.refusals()[0][1])
        self.assertIn("(requester-is-approver)", self.refusals()[1][1])
        self.approve(erasure)
        self.run_erasure(erasure)
        bundle, trust = self.box.path / "bundle", self.box.path / "trust"
        self.box.kesu("certificate", "bundle", erasure, "-o", bundle)
        trust.write_text(self.box.kesu("trust", "propose", bundle, vault=False).json["trust"])
        words = (bundle, "--trust", trust, "--require", "low", "--allow-test-grade", "--json")
        report = self.box.run(harness.program("kesu"), "verify", *words).json
        self.assertEqual((report["verdict"], report["errors"]), ("complete", []))
        self.assertEqual({c["id"]: c["level"] for c in report["claims"]}["uncompromised"], "proven")
        other = self.box.run("/usr/bin/python3", "-B", SECOND_READER, *words).json
        for member in report:
            self.assertEqual(other[member], report[member], member)
        opened = [json.loads(line)["body"].get("what") for line in (bundle / "ledger" / "bodies.jsonl").read_text().splitlines()]
        self.assertEqual(opened.count("destruction-refused"), 2)

    def test_under_hold(self):
        erasure = self.requested()
        self.approve(erasure)
        self.box.kesu("hold", "place", "loans-2019", "--case", "2026-17", "--reason", "a court asks", *self.signer(scenario.OPERATOR)[:2])
        self.run_erasure(erasure, code=3, error="held")
        self.recorded(erasure, "a legal hold is in force (held)")

    def test_a_key_under_hold(self):
        self.box.kesu("key", "create", "spare")
        version, vault = f"{self.box.kesu('key', 'show', 'spare').json['id']}.1", self.box.kesu("status").json["vault"]
        self.box.kesu("hold", "place", version, "--case", "2026-17", "--reason", "a court asks", *self.signer(scenario.OPERATOR)[:2])
        self.box.kesu("key", "destroy", "spare", "-y", code=3, error="held")
        self.recorded(vault["id"] if isinstance(vault, dict) else vault,
                      f"key destroy of {version[:-2]} was refused: a legal hold is in force (held)")

    def test_a_key_in_use(self):
        """Every bundle of the vault shows it: so it names no dataset and no key but by its identifier."""
        vault, key = self.box.kesu("status").json["vault"], self.version_of("loans")[:-2]
        for words in (("loans",), ("loans", "--version", "1"), ("loans",), ("loans.1",)):
            self.box.kesu("key", "destroy", *words, "-y", code=3, error="in-use")
        self.recorded(vault["id"] if isinstance(vault, dict) else vault,
                      f"key destroy of {key} was refused: something that is kept depends on it (in-use)",
                      f"key destroy of {key}.1 was refused: ")
        self.assertNotIn("loans", " ".join(d for _, d in self.refusals()))

    def test_in_turn(self):
        """Two in turn are two, not one more each time; the next day they are said again."""
        erasure = self.requested()
        for _ in range(3):
            self.run_erasure(erasure, code=4, error="approvals-missing")
            self.approve(erasure, scenario.BOTH, code=3, error="requester-is-approver")
        self.recorded(erasure, "erase run was", "erase approve as")
        for offset, said in (("+23h", 2), ("+25h", 3)):
            self.run_erasure(erasure, code=4, error="approvals-missing", env=at(offset))
            self.assertEqual(len(self.refusals()), said, offset)
        self.assertEqual(self.refusals()[2], self.refusals()[0])

    # Who may not approve.

    def test_without_the_role(self):
        erasure = self.requested()
        for person in (scenario.OPERATOR, scenario.AUDITOR, scenario.OPERATOR):
            self.approve(erasure, person, code=3, error="not-enrolled")
        self.box.kesu("operator", "revoke", scenario.SECOND, "--reason", "left", *self.signer(scenario.APPROVER, "--by"))
        self.approve(erasure, scenario.SECOND, code=3, error="not-enrolled")
        self.box.kesu("erase", "approve", erasure, "--as", "Mallory", "--key", self.box.officer("mallory").private, code=2, error="not-found")
        self.recorded(erasure, *(f"erase approve as {name} was refused: {name} is not enrolled as approver: {why} (not-enrolled)" for name, why in (
            (scenario.OPERATOR, "roles in force: operator"), (scenario.AUDITOR, "roles in force: auditor"), (scenario.SECOND, "revoked"))))

    def test_in_the_name_of_another(self):
        """The operator's own key under the approver's name; a signature over something else is a wrong file."""
        erasure = self.requested()
        mine = self.box.officer("mallory")
        statement, wrong = self.box.path / "statement", self.box.path / "wrong.sig"
        self.box.kesu("erase", "approve", erasure, "--as", scenario.APPROVER, "--export", statement)
        wrong.write_bytes(mine.sign("kesu-approve-v1", b"something else"))
        self.box.kesu("erase", "approve", erasure, "--as", scenario.APPROVER, "--signature", wrong, code=6, error="signature-bad")
        self.assertEqual(self.refusals(), [])
        self.box.kesu("erase", "approve", erasure, "--as", scenario.APPROVER, "--key", mine.private, code=6, error="signature-bad")
        self.recorded(erasure, f"erase approve as {scenario.APPROVER} was refused: the signature is not {scenario.APPROVER}'s over this statement: "
                      "made with another key: SHA256:")
        self.assertIn("(signature-bad)", self.refusals()[0][1])

    def test_an_erasure_that_is_over(self):
        erasure = self.requested()
        self.box.kesu("erase", "cancel", erasure, "--reason", "not yet")
        self.approve(erasure, scenario.AUDITOR, code=3, error="not-enrolled")
        self.assertEqual(self.refusals(), [])

    def test_a_stale_approval(self):
        erasure = self.requested()
        self.approve(erasure)
        self.run_erasure(erasure, code=4, error="approvals-missing", env=at("+15d"))
        self.assertIn("(approvals-missing)", self.refusals()[-1][1])

    def test_a_changed_plan(self):
        """A hold came and went since it was requested: what was approved before serves no more."""
        erasure = self.requested()
        self.approve(erasure)
        hold = self.box.kesu("hold", "place", "loans-2019", "--case", "2026-17", "--reason", "a court asks", *self.signer(scenario.OPERATOR)[:2]).json
        self.box.kesu("hold", "release", hold[0]["id"], "--reason", "it is settled", *self.signer(scenario.APPROVER))
        self.run_erasure(erasure, code=3, error="plan-changed")
        self.recorded(erasure, "a hold was placed since erasure")


if __name__ == "__main__":
    scenario.main()
