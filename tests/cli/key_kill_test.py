"""`kesu key rotate`, `kesu key create` and `kesu key destroy`, killed before each of their state-changing calls.

Rotating is no command that may be typed twice for one effect: a second rotate after one that was settled as done is
one more version. So the next writing command (here: opening what is sealed) settles, and rotate is run again only if
the key still has its first version active. End state: one active version, the one before deactivated, every version
that never came to be recorded absent; the token holds the ledger's objects and no others; what was sealed opens.
"""
import pathlib
import sys

sys.path.insert(0, str(pathlib.Path(__file__).parents[1] / "support"))
import harness
import kill_world


class Keys(kill_world.World):
    def setUp(self):
        super().setUp()
        self.prepare_vault()

    def token_end_state(self):
        entries = self.settled()
        self.token_matches_ledger(entries)
        self.assertEqual(self.box.kesu("provider", "test", "hsm1").json["findings"], [])
        return entries

    def states(self, entries, name):
        states = kill_world.key_states(entries)
        return {v: states[v] for v in kill_world.versions_of(entries, name)}

    def token_agrees_at_kill(self, entries):
        """Whatever the moment: no object that the ledger has not announced, none missing that it vouches for."""
        states, labels = kill_world.key_states(entries), self.token_labels()
        self.assertEqual(len(labels), len(set(labels)))
        self.assertLessEqual(set(labels), {f"kesu:{v}" for v in states})
        for version, state in states.items():
            if state in ("active", "deactivated"):
                self.assertIn(f"kesu:{version}", labels)
            if state in ("absent", "destroyed"):
                self.assertNotIn(f"kesu:{version}", labels)
        return labels

    def test_rotate(self):
        self.box.kesu("seal", "loans-2019", self.source, "-o", self.out)
        first = kill_world.versions_of(self.entries(), "loans")[0]

        def check(call):
            entries = self.consistent()
            self.token_agrees_at_kill(entries)
            self.clear_torn()
            self.opens_to(self.out, self.wanted(1))
            if self.states(self.entries(), "loans")[first] == "active":
                self.box.kesu("key", "rotate", "loans")
            entries = self.token_end_state()
            states = self.states(entries, "loans")
            self.assertEqual(states.pop(first), "deactivated")
            self.assertEqual(sorted(states.values()), ["absent"] * (len(states) - 1) + ["active"])
            self.assertLessEqual(len(states), 2)
            self.opens_to(self.out, self.wanted(1))

        self.each_kill("key", "rotate", "loans", check=check, expect=("write", "openat", "fsync"))

    def test_create(self):
        def check(call):
            entries = self.consistent()
            self.token_agrees_at_kill(entries)
            self.clear_torn()
            again = self.box.kesu("key", "create", "trial", code=(0, 3))
            if again.code:
                self.assertEqual(again.error_code, "already-exists")
            entries = self.token_end_state()
            states = sorted(self.states(entries, "trial").values())
            self.assertEqual(states, ["absent"] * (len(states) - 1) + ["active"])
            self.assertLessEqual(len(states), 2)

        self.each_kill("key", "create", "trial", check=check, expect=("write", "openat", "fsync"), thorough=True)

    def test_destroy(self):
        self.box.kesu("key", "create", "trial")
        self.box.kesu("key", "rotate", "trial")
        doomed = kill_world.versions_of(self.entries(), "trial")
        self.assertEqual(len(doomed), 2)
        lost = []

        def check(call):
            entries = self.consistent()
            labels = self.token_agrees_at_kill(entries)
            states = self.states(entries, "trial")
            # Gone from the token, and the ledger does not say so yet: this receipt is lost.
            gone = [v for v in doomed if f"kesu:{v}" not in labels and states[v] == "destroying"]
            self.assertEqual([v for v in doomed if f"kesu:{v}" not in labels and states[v] != "destroyed"], gone)
            self.assertLessEqual(len(gone), 1)
            lost.extend(gone)
            again = self.box.kesu("key", "destroy", "trial", "-y", code=(0, 3))
            if again.code:
                self.assertEqual(again.error_code, "state-refused")
            entries = self.token_end_state()
            self.assertEqual(self.states(entries, "trial"), dict.fromkeys(doomed, "destroyed"))
            done = {e["nodes"][0]["id"]: e["body"] for e in kill_world.of_type(entries, "destroy-done")}
            self.assertEqual(len(kill_world.of_type(entries, "destroy-done")), 2)
            for version in doomed:
                self.assertEqual(done[version]["receipt_lost"], version in gone, version)
                self.assertEqual(done[version]["receipt"] is None, version in gone, version)
            self.assertEqual({e["nodes"][0]["id"] for e in kill_world.of_type(entries, "destroy-intended")}, set(doomed))

        self.each_kill("key", "destroy", "trial", "-y", check=check, expect=("write", "openat", "fsync", "unlink"), thorough=True)
        print(f"receipts lost and recorded as lost: {len(lost)}", flush=True)
        self.assertTrue(lost or harness_shards() > 1)


def harness_shards():
    import harness_kill
    return harness_kill.shard_of_environment()[1]


if __name__ == "__main__":
    harness.main()
