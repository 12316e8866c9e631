"""Erasures: who may ask and approve, what the plan binds, what stops a run, and that only approved keys die."""
import json
import os
import pathlib
import re
import subprocess
import sys
import time

sys.path.insert(0, str(pathlib.Path(__file__).parents[1] / "support"))
import scenario
from scenario import APPROVER, AUDITOR, BOTH, OPERATOR, SECOND


class Erase(scenario.World):
    @classmethod
    def prepare(cls):
        cls.seal("loans-2019", {"a": b"one", "b": b"two" * 20000})
        cls.box.kesu("key", "create", "kept")
        cls.box.kesu("dataset", "add", "kept-1", "--key", "kept")

    def doomed(self):
        return f"kesu:{self.version_of('loans')}"

    def test_whole_flow(self):
        plan = self.plan("loans-2019")
        self.assertEqual(sorted(plan), ["blockers", "bytes", "copies", "datasets", "earliest_certificate", "erasure",
                                        "first_irreversible", "key_versions", "objects", "plan_digest", "processes", "quorum",
                                        "reversible_until", "shared", "waiting_seconds"])
        # Two files, and the manifest of their tree.
        self.assertEqual((plan["objects"], plan["blockers"], plan["shared"]), (3, [], []))
        self.assertGreater(plan["bytes"], 60003)
        self.assertEqual([v["version"] for v in plan["key_versions"]], [self.version_of("loans")])
        erasure = plan["erasure"]
        requested = self.request(erasure)
        self.assertEqual(sorted(requested), ["approvals", "certificate", "datasets", "id", "plan_digest", "reason", "requested",
                                             "requested_by", "reversible_until", "stage", "steps", "validated", "verified", "waiting_for", "waiting_until"])
        self.assertEqual((requested["stage"], requested["requested_by"], requested["plan_digest"]),
                         ("requested", OPERATOR, plan["plan_digest"]))
        self.assertEqual(self.box.kesu("dataset", "show", "loans-2019").json["state"], "frozen")
        self.box.kesu("status", "--check", code=4)
        approved = self.approve(erasure)
        self.assertEqual((approved["stage"], approved["approvals"]["have"], approved["approvals"]["need"]), ("approved", 1, 1))
        entries = self.entries()
        self.box.kesu("erase", "run", erasure, "--dry-run")
        self.box.kesu("erase", "run", erasure, code=3, error="not-confirmed")
        self.nothing_changed(entries)
        self.assertIn(self.doomed(), self.token_labels())
        done = self.run_erasure(erasure).json
        self.assertEqual(done["stage"], "destroyed")
        self.assertEqual([(s["step"], s["state"]) for s in done["steps"]], [("destroy", "destroyed")])
        self.assertNotIn(self.doomed(), self.token_labels())
        self.assertEqual(len(self.token_labels()), 2)     # the control key and `kept`
        self.assertEqual({d["name"]: d["state"] for d in self.box.kesu("dataset", "list").json},
                         {"loans-2019": "erased", "kept-1": "open"})
        self.assertEqual([e["id"] for e in self.box.kesu("erase", "list").json], [erasure])
        self.box.kesu("ledger", "verify")
        # Once is enough.
        self.run_erasure(erasure, code=3, error="state-refused")
        self.approve(erasure, SECOND, code=3, error="state-refused")
        self.box.kesu("erase", "cancel", erasure, "--reason", "no", code=3, error="state-refused")
        self.box.kesu("erase", "plan", "loans-2019", code=3)

    def test_planning_changes_nothing(self):
        entries = self.entries()
        self.plan("loans-2019")
        text = self.box.text("erase", "plan", "--contract", "CLOUD-2023-11").stdout
        for word in ("nothing has been changed", "loans-2019", "loans.1", "next"):
            self.assertIn(word, text)
        self.nothing_changed(entries)
        self.box.kesu("erase", "plan", code=2, error="usage")
        self.box.kesu("erase", "plan", "nobody", code=2, error="not-found")
        self.box.kesu("erase", "plan", "--contract", "NONE", code=2, error="not-found")
        self.box.kesu("erase", "plan", "--contract", "CLOUD-2023-11", "--except", "loans-2019", code=2, error="not-found")

    def test_nothing_sealed_nothing_to_erase(self):
        blocker, = self.plan("kept-1", code=3)["blockers"]
        self.assertIn("no key would be destroyed", blocker["what"])

    # People.

    def test_who_may_request(self):
        erasure = self.plan("loans-2019")["erasure"]
        for person in (APPROVER, AUDITOR):
            self.request(erasure, person, code=3, error="not-enrolled")
        self.box.kesu("erase", "request", erasure, "--as", "Mallory", "--key", self.box.officer("mallory").private, code=2,
                      error="not-found")
        self.box.kesu("erase", "request", erasure, "--as", OPERATOR, "--key", self.key_of(BOTH).private, code=6,
                      error="signature-bad")
        self.box.kesu("erase", "request", erasure, "--as", OPERATOR, code=2, error="usage")
        self.box.kesu("erase", "request", erasure, "--as", OPERATOR, "--key", "/nowhere", code=2, error="not-found")
        self.box.kesu("erase", "request", "era-00000000", *self.signer(OPERATOR), code=2, error="not-found")
        self.assertEqual(self.box.kesu("erase", "list").json, [])
        self.request(erasure)
        self.request(erasure, code=3, error="already-exists")

    def test_who_may_approve(self):
        erasure = self.plan("loans-2019")["erasure"]
        self.approve(erasure, code=2, error="not-found")
        self.request(erasure, BOTH)
        self.approve(erasure, BOTH, code=3, error="requester-is-approver")
        for person in (OPERATOR, AUDITOR):
            self.approve(erasure, person, code=3, error="not-enrolled")
        self.box.kesu("erase", "approve", erasure, "--as", APPROVER, "--key", self.key_of(SECOND).private, code=6,
                      error="signature-bad")
        self.run_erasure(erasure, code=4, error="approvals-missing")
        self.assertIn(self.doomed(), self.token_labels())
        self.approve(erasure)
        self.approve(erasure, code=3, error="already-exists")

    def test_reject_and_cancel_free_the_datasets(self):
        for how in ("reject", "cancel"):
            with self.subTest(how):
                erasure = self.plan("loans-2019")["erasure"]
                self.request(erasure)
                self.box.kesu("seal", "loans-2019", self.write("c"), "-o", self.out, code=3, error="frozen")
                if how == "reject":
                    self.box.kesu("erase", "reject", erasure, *self.signer(OPERATOR), code=3, error="not-enrolled")
                    self.box.kesu("erase", "reject", erasure, *self.signer(APPROVER))
                else:
                    self.box.kesu("erase", "cancel", erasure, code=2, error="usage")
                    self.box.kesu("erase", "cancel", erasure, "--reason", "contract renewed")
                self.assertEqual(self.stage(erasure), "rejected" if how == "reject" else "cancelled")
                self.run_erasure(erasure, code=3, error="state-refused")
                self.approve(erasure, code=3, error="state-refused")
                self.box.kesu("seal", "loans-2019", self.write(how), "-o", self.out)
        self.box.kesu("status", "--check")

    # Signatures made elsewhere.

    def test_signed_elsewhere(self):
        erasure = self.plan("loans-2019")["erasure"]
        for action, person in (("request", OPERATOR), ("approve", APPROVER)):
            statement = self.box.state / f"{action}.json"
            shown = self.box.kesu("erase", action, erasure, "--as", person, "--export", statement).json
            self.assertEqual(shown, {"statement": str(statement), "namespace": f"kesu-{action}-v1"})
            document = json.loads(statement.read_bytes())
            self.assertEqual((document["action"], document["name"], document["erasure"]), (action, person, erasure))
            self.assertTrue(any("loans-2019, 3 objects" in line for line in document["summary"]))
            if action == "approve":
                self.assertEqual(self.stage(erasure), "requested")
            officer = self.key_of(person)
            signature = pathlib.Path(f"{statement}.sig")
            foreign = {"another namespace": officer.sign("file", statement.read_bytes()),
                       "another statement": officer.sign(f"kesu-{action}-v1", statement.read_bytes() + b" "),
                       "another person": self.key_of(BOTH).sign(f"kesu-{action}-v1", statement.read_bytes()),
                       "no signature": b"approved\n"}
            for what, data in foreign.items():
                with self.subTest(what):
                    signature.write_bytes(data)
                    self.box.kesu("erase", action, erasure, "--as", person, "--signature", signature, code=6,
                                  error="signature-bad")
            self.box.run("ssh-keygen", "-Y", "sign", "-f", officer.private, "-n", f"kesu-{action}-v1", statement, code=(0, 255))
            signature.write_bytes(officer.sign(f"kesu-{action}-v1", statement.read_bytes()))
            self.box.kesu("erase", action, erasure, "--as", person, "--signature", signature)
        self.assertEqual(self.stage(erasure), "approved")
        self.run_erasure(erasure)

    def test_a_signature_serves_one_erasure(self):
        first = self.plan("loans-2019")["erasure"]
        statement = self.box.state / "s.json"
        self.box.kesu("erase", "request", first, "--as", OPERATOR, "--export", statement)
        signature = self.box.state / "s.json.sig"
        signature.write_bytes(self.key_of(OPERATOR).sign("kesu-request-v1", statement.read_bytes()))
        second = self.plan("loans-2019")["erasure"]
        self.assertNotEqual(first, second)
        self.box.kesu("erase", "request", second, "--as", OPERATOR, "--signature", signature, code=6, error="signature-bad")

    def test_key_held_by_an_agent(self):
        socket = self.box.state / "agent"
        agent = subprocess.Popen(["ssh-agent", "-D", "-a", str(socket)], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        try:
            for _ in range(100):
                if socket.exists():
                    break
                time.sleep(0.02)
            env = {"SSH_AUTH_SOCK": socket}
            self.box.run("ssh-add", "-q", self.key_of(OPERATOR).private, env=env)
            public = self.box.state / "only.pub"
            public.write_text(self.key_of(OPERATOR).line + "\n")
            erasure = self.plan("loans-2019")["erasure"]
            request = ("erase", "request", erasure, "--as", OPERATOR, "--key", public)
            self.box.kesu(*request, code=6, error="signature-bad")
            self.box.kesu(*request, env=env)
        finally:
            agent.terminate()
            agent.wait()

    # What the plan binds.

    def test_changed_between_plan_and_request(self):
        for what in ("rotate", "seal"):
            with self.subTest(what):
                erasure = self.plan("loans-2019")["erasure"]
                if what == "rotate":
                    self.box.kesu("key", "rotate", "loans")
                else:
                    self.box.kesu("seal", "loans-2019", self.write(f"new-{what}"), "-o", self.out)
                error = self.request(erasure, code=3, error="plan-changed")["error"]
                self.assertIn("plan anew", error["next"])
        self.approved("loans-2019")

    def test_keys_of_a_requested_erasure_take_nothing_new(self):
        erasure = self.plan("loans-2019")["erasure"]
        self.request(erasure)
        for stage in ("requested", "approved"):
            with self.subTest(stage):
                self.box.kesu("seal", "loans-2019", self.write("new"), "-o", self.out, code=3, error="frozen")
                self.box.kesu("key", "rotate", "loans", code=3, error="frozen")
                self.box.kesu("dataset", "add", "other", "--key", "loans", code=3, error="frozen")
                self.box.kesu("key", "destroy", "loans", "-y", code=3, error="in-use")
            if stage == "requested":
                self.approve(erasure)
        self.box.kesu("erase", "cancel", erasure, "--reason", "not yet")
        self.box.kesu("key", "rotate", "loans")
        self.box.kesu("seal", "loans-2019", self.write("new"), "-o", self.out)
        self.run_erasure(self.approved("loans-2019"))
        self.assertEqual([v["state"] for v in self.box.kesu("key", "show", "loans").json["versions"]],
                         ["destroyed", "destroyed"])

    def test_altered_plan_file(self):
        erasure = self.plan("loans-2019")["erasure"]
        path = self.box.vault / "plans" / f"{erasure}.json"
        document = json.loads(path.read_bytes())
        document["quorum"] = 0
        path.write_text(json.dumps(document, separators=(",", ":"), sort_keys=True, ensure_ascii=False))
        self.request(erasure, code=3, error="plan-changed")
        path.write_text("{")
        self.request(erasure, code=2, error="bad-input")
        # Once requested, the plan comes from the ledger's evidence.
        erasure = self.approved("loans-2019")
        (self.box.vault / "plans" / f"{erasure}.json").unlink()
        self.run_erasure(erasure)

    # Shared keys.

    def share(self):
        self.box.kesu("dataset", "add", "mail", "--key", "loans")
        self.box.kesu("seal", "mail", self.write("m", b"mail"), "-o", self.out)

    def test_shared_key_blocks_naming_the_other_dataset(self):
        self.share()
        blocked = self.plan("loans-2019", code=3)
        self.assertEqual(blocked["shared"], ["mail"])
        self.assertTrue(any("mail" in b["what"] and b["next"] for b in blocked["blockers"]))
        self.assertIsNone(blocked["erasure"])  # such a plan is not kept
        self.assertIn("blocked by", self.box.text("erase", "plan", "loans-2019", code=3).stdout)

    def test_shared_key_between_plan_and_request(self):
        erasure = self.plan("loans-2019")["erasure"]
        self.share()
        self.assertIn(self.request(erasure, code=3)["error"]["code"], ("plan-changed", "plan-blocked"))

    def test_both_datasets_of_a_shared_key(self):
        self.share()
        self.box.kesu("seal", "kept-1", self.write("k", b"kept"), "-o", self.out)
        erasure = self.approved("loans-2019", "mail")
        self.run_erasure(erasure)
        states = {d["name"]: d["state"] for d in self.box.kesu("dataset", "list").json}
        self.assertEqual(states, {"loans-2019": "erased", "mail": "erased", "kept-1": "open"})
        self.assertEqual(self.opened(self.out / "k.kesu"), {"k": b"kept"})

    def test_a_frozen_dataset_cannot_be_planned_again(self):
        first = self.plan("loans-2019")["erasure"]
        second = self.plan("loans-2019")["erasure"]
        self.request(first)
        self.request(second, code=3)
        blocked = self.plan("loans-2019", code=3)
        self.assertTrue(any(first in b["what"] for b in blocked["blockers"]))

    def test_ambiguous_plan(self):
        self.plan("loans-2019")
        self.plan("loans-2019")
        self.request("era-", code=2, error="identifier-ambiguous")

    # Processes that hold keys.

    def test_a_living_process_is_waited_for(self):
        erasure = self.approved("loans-2019")
        process, go_on = self.held_up()
        try:
            result = self.run_erasure(erasure, code=4, error="processes-alive")
            self.assertIn(f"process {process.pid}", result.json["error"]["cause"])
            self.assertEqual(self.stage(erasure), "approved")
            self.assertIn(self.doomed(), self.token_labels())
            question, = self.box.kesu("status").json["questions"]
            self.assertFalse(question["settled_by_next_command"])
        finally:
            go_on()
            output = process.communicate(timeout=60)
        self.assertEqual(process.returncode, 0, output)
        self.assertEqual(sorted(self.files_below(self.box.state / "slow")), ["src/a", "src/b"])
        self.run_erasure(erasure)

    def test_a_killed_process_is_settled(self):
        erasure = self.approved("loans-2019")
        process, _ = self.held_up()
        process.kill()
        process.communicate()
        question, = self.box.kesu("status").json["questions"]
        self.assertTrue(question["settled_by_next_command"])
        self.box.kesu("status", "--check", code=8)
        self.run_erasure(erasure)
        ended = [e["body"]["how"] for e in self.entries() if e["type"] == "process-ended"]
        self.assertIn("found-dead", ended)

    def held_up(self):
        """A `kesu open` that waits, in the middle, for its token's configuration; and what lets it go on."""
        fifo = self.box.state / "softhsm2.fifo"
        os.mkfifo(fifo)
        before = len(self.entries())
        process = subprocess.Popen(self.box.kesu_command("open", self.out, "-o", self.box.state / "slow"),
                                   env={**self.box.env, "SOFTHSM2_CONF": str(fifo)}, stdout=subprocess.PIPE,
                                   stderr=subprocess.PIPE)
        self.addCleanup(process.kill)
        for _ in range(500):
            if "process-started" in [e["type"] for e in self.entries()[before:]]:
                break
            time.sleep(0.02)
        else:
            self.fail("the command did not get there")
        return process, lambda: fifo.write_text(pathlib.Path(self.box.env["SOFTHSM2_CONF"]).read_text())


class TwoApprovals(scenario.World):
    quorum = 2

    @classmethod
    def prepare(cls):
        cls.seal("loans-2019", {"a": b"one"})

    def test_quorum(self):
        erasure = self.plan("loans-2019")["erasure"]
        self.request(erasure, BOTH)
        self.assertEqual(self.approve(erasure)["stage"], "requested")
        error = self.run_erasure(erasure, code=4, error="approvals-missing").json["error"]
        self.assertIn("1 of 2", error["message"])
        self.approve(erasure, code=3, error="already-exists")
        self.approve(erasure, BOTH, code=3, error="requester-is-approver")
        self.assertEqual(self.approve(erasure, SECOND)["stage"], "approved")
        self.run_erasure(erasure)


class Waiting(scenario.World):
    """A vault whose genesis statement asks for a waiting period."""
    @classmethod
    def write_genesis(cls, path, officers, quorum=1, sign=True, words=()):
        super().write_genesis(path, officers, quorum, sign=False)
        document = json.loads(path.read_bytes()) | {"waiting_seconds": 3600}
        path.write_text(json.dumps(document, ensure_ascii=False, indent=2, sort_keys=True) + "\n")
        for *_, key in officers:
            cls.sign_genesis(path, key)
        return path

    def test_not_yet(self):
        self.seal("loans-2019", {"a": b"one"})
        erasure = self.approved("loans-2019")
        self.assertRegex(self.box.kesu("erase", "status", erasure).json["waiting_until"], r"^20\d\d-.*Z$")
        error = self.run_erasure(erasure, code=4, error="waiting").json["error"]
        self.assertTrue(re.search(r"\d\d:\d\d", error["message"]), error)
        self.assertEqual(self.opened(self.out), {"src/a": b"one"})
        self.box.kesu("erase", "cancel", erasure, "--reason", "thought again")


if __name__ == "__main__":
    scenario.main()
