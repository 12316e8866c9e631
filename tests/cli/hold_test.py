"""Legal holds: in force at once, at the one place that every destruction passes; released by approvers only."""
import json
import pathlib
import sys

sys.path.insert(0, str(pathlib.Path(__file__).parents[1] / "support"))
import harness
import harness_kill
import scenario
import shim_world
from scenario import APPROVER, AUDITOR, OPERATOR, SECOND

CASE = ("--case", "2026-118", "--reason", "court order")


class Hold(scenario.World):
    @classmethod
    def prepare(cls):
        cls.seal("loans-2019", {"a": b"one"})

    def place(self, name, by=AUDITOR, **options):
        return self.box.kesu("hold", "place", name, *CASE, "--as", by, **options).json

    def release(self, hold, by=APPROVER, **options):
        return self.box.kesu("hold", "release", hold, "--reason", "case closed", *self.signer(by), **options).json

    def alive(self):
        self.assertEqual(self.box.kesu("key", "show", "loans").json["state"], "active")
        self.assertEqual(self.opened(self.out), {"src/a": b"one"})

    def test_placed_shown_released(self):
        hold, = self.place("loans-2019")
        self.assertEqual((hold["name"], hold["case"], hold["state"], hold["placed_by"]),
                         ("loans-2019", "2026-118", "placed", AUDITOR))
        self.assertEqual(self.box.kesu("dataset", "list").json[0]["state"], "held")
        self.assertEqual([h["id"] for h in self.box.kesu("status").json["holds"]], [hold["id"]])
        self.seal("loans-2019", {"b": b"more"}, below="more")            # a hold keeps, it does not stop work
        released = self.release(hold["id"][:12])
        self.assertEqual((released["state"], released["release_reason"], released["approvals"]),
                         ("released", "case closed", {"have": 1, "need": 1}))
        self.assertEqual(self.box.kesu("status").json["holds"], [])
        self.assertEqual(self.box.kesu("dataset", "list").json[0]["state"], "open")
        entry = [e for e in self.entries() if e["type"] == "hold-released"][0]
        self.assertEqual(len(entry["body"]["approvals"]), 1)
        self.box.kesu("hold", "release", hold["id"], "--reason", "again", *self.signer(APPROVER), code=3, error="state-refused")
        (self.box.vault / "registers.db").unlink()
        self.assertEqual(self.box.kesu("hold", "list").json[0]["state"], "released")
        self.box.kesu("ledger", "verify")

    def test_it_blocks_a_plan(self):
        hold, = self.place("loans-2019")
        plan = self.plan("loans-2019", code=3)
        self.assertIsNone(plan["erasure"])
        self.assertIn("2026-118", plan["blockers"][0]["what"])
        self.assertIn(hold["id"][:12], plan["blockers"][0]["next"])

    def test_it_stops_an_erasure_at_each_stage(self):
        def planned():
            return self.plan("loans-2019")["erasure"]

        def requested():
            erasure = planned()
            self.request(erasure)
            return erasure

        for stage, step, begin, code in (("planned", self.request, planned, "plan-blocked"),
                                         ("requested", self.approve, requested, "held"),
                                         ("approved", self.run_erasure, lambda: self.approved("loans-2019"), "held")):
            with self.subTest(stage):
                self.box.restore("prepared")
                erasure = begin()
                hold, = self.place("loans-2019")
                entries = self.entries()
                step(erasure, code=3, error=code)
                (self.nothing_changed if stage == "planned" else self.only_refused)(entries)
                self.alive()
                self.release(hold["id"])
                if stage == "planned":
                    self.request(erasure)
                    continue
                # What was approved before the hold serves no more.
                error = step(erasure, code=3, error="plan-changed")
                self.assertIn("erase cancel", str(error if isinstance(error, dict) else error.json))
                self.box.kesu("erase", "cancel", erasure, "--reason", "a hold stood")
                self.run_erasure(self.approved("loans-2019"))

    def test_after_a_hold_an_erasure_is_complete(self):
        self.release(self.place("loans-2019")[0]["id"])
        erasure = self.approved("loans-2019")
        self.run_erasure(erasure)
        bundle = self.box.state / "bundle"
        self.box.kesu("certificate", "bundle", erasure, "-o", bundle)
        authorised = lambda report: [c["level"] for c in report["claims"] if c["id"] == "authorised"]
        words = ("--require", "low", "--allow-test-grade")
        self.assertEqual(authorised(self.box.kesu("verify", bundle, *words, code=7).json), ["proven"])
        # Who released it is in the bundle, and another reader counts it, too.
        consents = sorted(bundle.glob("approvals/release.*"))
        self.assertEqual([p.name.partition(".json")[2] for p in consents], ["", ".sig"])
        self.assertNotIn("release.", (bundle / "MANIFEST").read_text())
        trust = self.box.path / "trust"
        trust.write_text(self.box.run(harness.program("kesu"), "trust", "propose", bundle, "--json").json["trust"])
        second = ("/usr/bin/python3", "-B", harness.SOURCE / "scripts" / "verify_certificate.py", bundle, "--trust", trust, *words, "--json")
        self.assertEqual(authorised(self.box.run(*second).json), ["proven"])
        # Without that, as in bundles of before: the hold counts as standing.
        for path in consents:
            path.unlink()
        for report in (self.box.kesu("verify", bundle, "--trust", trust, *words, code=6).json, self.box.run(*second, code=6).json):
            self.assertEqual((report["verdict"], authorised(report)), ("invalid", ["absent"]))
            self.assertTrue(any(e["what"].startswith("releases nothing: 0 approvals") for e in report["errors"]), report["errors"])
        # Too late.
        error = self.place("loans-2019", code=3, error="state-refused")["error"]
        self.assertIn("since", error["cause"])

    def lose(self, altered=False):
        """What shows who released the newest hold; a backup of the vault would have it."""
        body = [e for e in self.entries() if e["type"] == "hold-released"][-1]["body"]
        for approval in body["approvals"]:
            for name in ("statement", "signature"):
                path = self.box.vault / "evidence" / approval[name]
                path.unlink() if not altered else path.write_bytes(path.read_bytes()[:-2])
        for path in (self.box.vault / "plans").glob("hld-*"):
            path.unlink()

    def test_a_release_whose_evidence_is_lost_is_made_again(self):
        hold = self.place("loans-2019")[0]["id"]
        self.release(hold)
        erasure = self.approved("loans-2019")
        self.lose()
        entries = self.entries()
        said = self.run_erasure(erasure, code=3, error="held").json["error"]
        self.assertIn("kesu hold release", said["next"])
        self.assertIn("is missing", said["cause"])
        self.assertNotIn("destroy-intended", [e["type"] for e in self.entries()])
        self.alive()
        self.box.kesu("erase", "cancel", erasure, "--reason", "to a reader a hold stands")
        blocker, = self.plan("loans-2019", code=3)["blockers"]
        self.assertIn("shows 0 of 1 approvers", blocker["what"])
        self.assertIn(f"kesu hold release {hold[:12]}", blocker["next"])
        self.release(hold, by=AUDITOR, code=3, error="not-enrolled")
        self.release(hold, by=SECOND)
        self.release(hold, by=APPROVER, code=3, error="state-refused")      # one that counts is enough
        self.lose(altered=True)                                             # an altered one shows as little
        self.release(hold, by=APPROVER)
        self.assertEqual([e["type"] for e in self.entries()].count("hold-released"), 3)
        self.assertEqual(self.box.kesu("hold", "list").json[0]["state"], "released")
        erasure = self.approved("loans-2019")
        self.run_erasure(erasure)
        bundle, trust = self.box.state / "bundle", self.box.path / "trust"
        self.box.kesu("certificate", "bundle", erasure, "-o", bundle)
        trust.write_text(self.box.run(harness.program("kesu"), "trust", "propose", bundle, "--json").json["trust"])
        words = (bundle, "--trust", trust, "--require", "low", "--allow-test-grade", "--json")
        for command in ((harness.program("kesu"), "verify"), ("/usr/bin/python3", "-B", harness.SOURCE / "scripts" / "verify_certificate.py")):
            report = self.box.run(*command, *words).json
            self.assertEqual((report["verdict"], [c["level"] for c in report["claims"] if c["id"] == "authorised"]), ("complete", ["proven"]))
            self.assertEqual(sorted(e["what"].partition(":")[0] for e in report["errors"] if e["part"].startswith("entry")), ["releases nothing"] * 2)
        self.assertGreater(len(entries), 0)

    def test_a_release_that_is_lost_after_the_certificate(self):
        """What was certified is as true as before: nothing is withdrawn, and another release would help nobody."""
        hold = self.place("loans-2019")[0]["id"]
        self.release(hold)
        erasure = self.approved("loans-2019")
        self.run_erasure(erasure)
        one, two = self.box.state / "one", self.box.state / "two"
        self.box.kesu("certificate", "bundle", erasure, "-o", one)
        body = [e for e in self.entries() if e["type"] == "hold-released"][-1]
        self.lose()
        entries = len(self.entries())
        error = self.box.kesu("certificate", "bundle", erasure, "-o", two, code=6, error="ledger-damaged").json["error"]
        self.assertIn("as true as before", error["next"])
        self.assertNotIn("withdraw", json.dumps(error))
        approval, = body["body"]["approvals"]
        files = {approval[part]: f"approvals/release.{body['seq']}.{approval['operator']}.json{end}" for part, end in (("statement", ""), ("signature", ".sig"))}
        for digest, name in files.items():
            self.assertIn(f"evidence/{digest} (in a bundle: {name})", error["cause"])
        error = self.release(hold, by=SECOND, code=3, error="state-refused")["error"]
        self.assertIn("serves no erasure", error["message"])
        self.assertIn(approval["statement"], error["next"])
        self.assertEqual(len(self.entries()), entries)
        for digest, name in files.items():
            (self.box.vault / "evidence" / digest).write_bytes((one / name).read_bytes())
        self.box.kesu("certificate", "bundle", erasure, "-o", two)
        self.assertEqual((two / "certificate.json").read_bytes(), (one / "certificate.json").read_bytes())
        self.assertIn("was released", self.release(hold, by=SECOND, code=3, error="state-refused")["error"]["message"])

    def test_as_many_sign_it_again(self):
        """The quorum of now, for a release that a smaller one signed and nobody can show."""
        hold = self.place("loans-2019")[0]["id"]
        self.release(hold)
        self.lose()
        self.box.kesu("vault", "rules", "--quorum", "2", "--reason", "as agreed", *self.signer(APPROVER, "--by"))
        self.assertEqual(self.release(hold, code=4)["approvals"], {"have": 1, "need": 2})
        self.assertTrue(self.plan("loans-2019", code=3)["blockers"])
        self.assertEqual(self.release(hold, by=SECOND)["approvals"], {"have": 2, "need": 2})
        self.assertEqual(self.plan("loans-2019")["blockers"], [])

    def test_a_hold_on_a_key(self):
        self.box.kesu("key", "create", "spare")
        hold, = self.place("spare")
        error = self.box.kesu("key", "destroy", "spare", "-y", code=3, error="held").json["error"]
        self.assertIn("2026-118", error["cause"])
        self.assertEqual(self.box.kesu("key", "show", "spare").json["state"], "active")
        held, = self.place("loans.1")
        self.assertEqual(held["name"], "loans.1")
        self.assertIn(held["id"][:12], self.plan("loans-2019", code=3)["blockers"][0]["what"])
        self.release(hold["id"])
        self.box.kesu("key", "destroy", "spare", "-y")
        error = self.place("spare", code=3, error="state-refused")["error"]
        self.assertIn("was destroyed", error["cause"])

    def test_the_old_version_of_what_was_moved_is_kept_too(self):
        self.box.kesu("key", "rotate", "loans")
        self.box.kesu("rewrap", "loans-2019")
        hold, = self.place("loans-2019")
        self.box.kesu("key", "destroy", "loans", "--version", "1", "-y", code=3, error="held")
        self.release(hold["id"])
        self.box.kesu("key", "destroy", "loans", "--version", "1", "-y")
        self.assertEqual(self.opened(self.out), {"src/a": b"one"})

    def test_nothing_is_sealed_over_what_is_held(self):
        words = ("seal", "loans-2019", self.box.state / "src", "-o", self.out, "--replace")
        self.write("a", b"another")
        self.place("loans-2019")
        before = (self.out / "src" / "a.kesu").read_bytes()
        self.box.kesu(*words, code=3, error="held")
        self.assertEqual((self.out / "src" / "a.kesu").read_bytes(), before)
        self.alive()
        self.release(self.box.kesu("hold", "list").json[0]["id"])
        self.box.kesu(*words)
        self.assertEqual(self.opened(self.out), {"src/a": b"another"})

    def test_a_hold_on_the_key_holds_what_is_sealed_under_it(self):
        self.write("a", b"another")
        self.place("loans")
        self.box.kesu("seal", "loans-2019", self.box.state / "src", "-o", self.out, "--replace", code=3, error="held")
        self.alive()
        self.assertIn("HELD", self.box.kesu("status", json=False).stdout)

    def test_what_is_dead_is_not_held_and_its_end_is_still_shown(self):
        erasure = self.approved("loans-2019")
        command = self.box.kesu_command("erase", "run", erasure, "-y")
        self.box.snapshot("approved")
        calls, _, _ = harness_kill.traced(command, env=self.box.env)
        unlink = next(c.ordinal for c in calls if c.name.startswith("unlink") and c.target.endswith(".object"))
        self.box.restore("approved")
        self.assertTrue(harness_kill.traced(command, at=unlink + 1, env=self.box.env)[1])
        error = self.place("loans-2019", code=3, error="state-refused")["error"]
        self.assertIn("since", error["cause"])
        self.run_erasure(erasure)
        self.assertEqual(self.stage(erasure), "destroyed")

    def test_who_may_and_what_must_be_said(self):
        entries = self.entries()
        self.box.kesu("hold", "place", "loans-2019", "--case", "", "--reason", "x", "--as", AUDITOR, code=2)
        self.box.kesu("hold", "place", "loans-2019", "--case", "1", "--reason", "", "--as", AUDITOR, code=2)
        self.place("nothing-of-that-name", code=2, error="not-found")
        self.place("loans-2019", by="nobody", code=2, error="not-found")
        self.nothing_changed(entries)
        hold, = self.place("loans-2019")
        entries = self.entries()
        self.release(hold["id"], by=OPERATOR, code=3, error="not-enrolled")
        self.box.kesu("hold", "release", hold["id"], "--reason", "x", "--as", APPROVER, code=2)
        self.box.kesu("hold", "release", hold["id"], "--reason", "x", "--as", APPROVER,
                      "--key", self.key_of(SECOND).private, code=6, error="signature-bad")
        self.nothing_changed(entries)

    def test_signed_elsewhere(self):
        hold, = self.place("loans-2019")
        file = self.box.state / "release.json"
        words = ("hold", "release", hold["id"], "--reason", "case closed", "--as", APPROVER)
        name_space = self.box.kesu(*words, "--export", file).json["namespace"]
        statement = json.loads(file.read_text())
        self.assertEqual((statement["case"], statement["hold"], statement["type"]), ("2026-118", hold["id"], name_space))
        self.assertIn("Releases the hold of case 2026-118 on dataset loans-2019", statement["summary"])
        self.box.run("ssh-keygen", "-q", "-Y", "sign", "-n", name_space, "-f", self.key_of(APPROVER).private, file)
        self.assertEqual(self.box.kesu(*words, "--signature", f"{file}.sig").json["state"], "released")


class Quorum(scenario.World):
    quorum = 2

    @classmethod
    def prepare(cls):
        cls.seal("loans-2019", {"a": b"one"})

    def test_as_many_as_an_erasure_takes(self):
        first, = self.box.kesu("hold", "place", "loans-2019", *CASE, "--as", AUDITOR).json
        other, = self.box.kesu("hold", "place", "loans-2019", "--case", "2", "--reason", "r", "--as", AUDITOR).json

        def release(hold, by, **options):
            return self.box.kesu("hold", "release", hold["id"], "--reason", "closed", *self.signer(by), **options).json

        entries = self.entries()
        for _ in range(2):                                             # the same person counts once
            self.assertEqual(release(first, APPROVER, code=4)["approvals"], {"have": 1, "need": 2})
        self.nothing_changed(entries)
        # Nor does what fails, or is only exported, undo it.
        words = ("hold", "release", first["id"], "--as", APPROVER)
        self.box.kesu(*words, "--reason", "closed", "--key", self.key_of(SECOND).private, code=6, error="signature-bad")
        self.box.kesu(*words, "--reason", "other", "--export", self.box.state / "other.json")
        self.assertEqual(self.box.kesu("hold", "release", first["id"], "--reason", "another reason", *self.signer(SECOND), code=4)
                         .json["approvals"], {"have": 1, "need": 2})
        # Consent to one hold is none to another, wherever its files lie.
        plans = self.box.vault / "plans"
        for file in plans.glob(first["id"] + "*"):
            (plans / file.name.replace(first["id"], other["id"])).write_bytes(file.read_bytes())
        self.assertEqual(release(other, SECOND, code=4)["approvals"], {"have": 1, "need": 2})
        self.assertEqual(release(first, SECOND)["state"], "released")
        self.assertEqual([h["id"] for h in self.box.kesu("status").json["holds"]], [other["id"]])
        self.plan("loans-2019", code=3)


class Beside(shim_world.ShimWorld):
    """A hold placed while a command is on its way to destroy."""

    def place(self, name):
        self.box.kesu("hold", "place", name, *CASE, "--as", AUDITOR)

    def test_between_the_decision_and_the_act(self):
        self.box.kesu("key", "create", "spare")
        with self.held("C_FindObjectsInit 1", "key", "destroy", "spare", "-y") as run:
            self.place("spare")
        self.assertEqual(run.returncode, 3, run.out)
        self.assertIn("held", run.out)
        self.assertEqual(self.box.kesu("key", "show", "spare").json["state"], "active")
        self.assertNotIn("destroy-intended", self.types())

    def test_while_the_keys_are_inspected(self):
        self.seal_all()
        erasure = self.approved("loans-2019")
        with self.held("C_FindObjectsInit 1", "erase", "run", erasure, "-y", probe=True) as run:
            self.place("loans-2019")
        self.assertEqual(run.returncode, 3, run.out)
        self.assertNotIn("destroy-intended", self.types())
        self.assertEqual(self.opened(self.out), self.expected)


if __name__ == "__main__":
    scenario.main()
