"""The approval that begins a waiting period and the run that ends it, killed before their state-changing calls.

End state: one time-stamp over the approvals and one before the destruction, whatever was lost in between; an erasure that was
approved and has no time-stamp of it does not run.
"""
import os
import pathlib
import sys

sys.path.insert(0, str(pathlib.Path(__file__).parents[1] / "support"))
import harness_kill
import kill_world
import scenario
from waiting_test import StandardVault as _StandardVault


class Waiting(_StandardVault):
    every = 1 if os.environ.get("KESU_KILLS") == "all" else 3

    def kills(self, *words, check, only):
        box, self.points = self.box, 0
        box.snapshot("before")

        def checked(call):
            self.points += call is not None
            box.kesu("ledger", "verify")
            check(call)

        harness_kill.kill_at_each_syscall(box.kesu_command(*words), prepare=lambda: box.restore("before"), check=checked, env=box.env,
                                          expect=("write", "openat", "fsync"), only=only, leave_out=kill_world.cuts_the_token)
        self.assertGreater(self.points, 5)

    def assert_seen(self, wanted, seen):
        if harness_kill.shard_of_environment()[1] == 1:
            self.assertLessEqual(wanted, seen)

    def stamped(self):
        return [e["body"]["size"] for e in self.of("erasure-stamped")]

    def test_approve(self):
        erasure = self.plan("told")["erasure"]
        self.request(erasure)
        self.approve(erasure, scenario.APPROVER)
        seen = set()

        def check(call):
            stage, stamps = self.stage(erasure), self.stamped()
            seen.add((stage, len(stamps)))
            if stage == "requested":
                self.assertEqual(stamps, [])
                self.approve(erasure, scenario.SECOND)
            else:
                self.assertEqual(self.box.kesu("erase", "status", erasure).json["waiting_for"], None if stamps else "time-stamp")
            self.run_erasure(erasure, code=4, error="waiting")              # asks for what is missing
            self.assertEqual(len(self.stamped()), 1)
            self.assertGreater(self.stamped()[0], self.of("erasure-approved")[1]["seq"])
            self.not_begun()

        self.kills("erase", "approve", erasure, *self.signer(scenario.SECOND), check=check, only=lambda call: call.ordinal % self.every == 0)
        self.assert_seen({("requested", 0), ("approved", 0), ("approved", 1)}, seen)

    def test_run(self):
        erasure = self.twice_approved()
        self.host_at("+0")
        self.authority_at("+0")
        seen = set()

        def check(call):
            types = [e["type"] for e in self.entries()]
            seen.add((types.count("erasure-stamped"), "erasure-started" in types, "destroy-intended" in types))
            if "erasure-started" in types:
                self.assertEqual(types.count("erasure-stamped"), 2)
            if self.stage(erasure) != "destroyed":
                self.run_erasure(erasure)
            types = [e["type"] for e in self.entries()]
            self.assertEqual(types.count("erasure-stamped"), 2)
            self.assertLess(max(i for i, t in enumerate(types) if t == "erasure-stamped"), types.index("erasure-started"))
            self.assertEqual({e["body"]["waited_by"] for e in self.of("erasure-started")}, {"time-stamps"})

        self.kills("erase", "run", erasure, "-y", check=check, only=lambda call: call.ordinal % self.every == 0)
        self.assert_seen({(1, False, False), (2, False, False)}, seen)


if __name__ == "__main__":
    scenario.main()
