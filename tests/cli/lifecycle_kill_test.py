"""`kesu key create --pre-activation`, `activate`, `compromise`, `import` and `adopt`, killed before each of their
state-changing calls. At every point the ledger verifies and status shows its open questions; the same command again
finishes, or says that it was done; no key comes to be twice, and no two versions of a key are active."""
import pathlib
import sys

sys.path.insert(0, str(pathlib.Path(__file__).parents[1] / "support"))
import harness
import kill_world

EXPECT = ("write", "openat", "fdatasync")


class Lifecycle(kill_world.World):
    def setUp(self):
        super().setUp()
        self.prepare_vault()

    def states(self, entries, name):
        states = kill_world.key_states(entries)
        return [states[v] for v in kill_world.versions_of(entries, name)]

    def end_state(self):
        entries = self.settled()
        self.assertEqual(self.box.kesu("provider", "test", "hsm1").json["findings"], [])
        return entries

    def again(self, *words, refused):
        result = self.box.kesu(*words, code=(0, 3))
        if result.code:
            self.assertIn(result.error_code, refused)

    def test_create_pre_activation(self):
        words = ("key", "create", "later", "--pre-activation")

        def check(call):
            self.consistent()
            self.clear_torn()
            self.again(*words, refused={"already-exists"})
            states = sorted(self.states(self.end_state(), "later"))
            self.assertEqual(states, ["absent"] * (len(states) - 1) + ["pre-activation"])
        self.each_kill(*words, check=check, expect=EXPECT)

    def test_activate(self):
        self.box.kesu("key", "rotate", "loans", "--pre-activation")
        words = ("key", "activate", "loans.2", "--reason", "turn")

        def check(call):
            # Both moves are one append: at no moment two active versions, or none.
            self.assertIn(self.states(self.consistent(), "loans"), (["active", "pre-activation"], ["deactivated", "active"]))
            self.again(*words, refused={"state-refused"})
            self.assertEqual(self.states(self.end_state(), "loans"), ["deactivated", "active"])
        self.each_kill(*words, check=check, expect=EXPECT)

    def test_compromise(self):
        self.box.kesu("key", "rotate", "loans")
        words = ("key", "compromise", "loans", "--all-versions", "--reason", "lost", "-y")

        def check(call):
            self.assertIn(self.states(self.consistent(), "loans"), (["deactivated", "active"], ["compromised"] * 2))
            self.again(*words, refused={"state-refused"})
            entries = self.end_state()
            self.assertEqual(self.states(entries, "loans"), ["compromised"] * 2)
            self.assertEqual(len([e for e in kill_world.of_type(entries, "key-state-changed")
                                  if e["body"]["reason"] == "lost"]), 2)
        self.each_kill(*words, check=check, expect=EXPECT)

    def test_import(self):
        material = self.box.path / "material"
        material.write_bytes(bytes(range(107, 139)))
        material.chmod(0o600)
        words = ("key", "import", "legacy", "--from", f"file:{material}", "--origin-place", "p", "--custodian", "c")

        def check(call):
            entries = self.consistent()
            # Announced with its origin, or not at all.
            self.assertEqual(len(kill_world.of_type(entries, "copy-registered")),
                             len(kill_world.versions_of(entries, "legacy")))
            self.clear_torn()
            self.again(*words, refused={"already-exists"})
            states = sorted(self.states(self.end_state(), "legacy"))
            self.assertEqual(states, ["absent"] * (len(states) - 1) + ["active"])
            # What did not come to be has no copy: one is open, and nothing destroyed comes back from it.
            copy, = [c for c in self.box.kesu("copy", "list").json if c["state"] == "open"]
            self.assertEqual([v["state"] for v in copy["versions"]], ["active"])
            self.assertEqual([d["overdue"] for d in self.box.kesu("status").json["due"] if d["what"] == "copy"], [False])
            self.box.kesu("key", "import", "twin", *words[3:], code=3, error="key-known")
        self.each_kill(*words, check=check, expect=EXPECT)

    def test_adopt(self):
        self.box.run("pkcs11-tool", "--module", kill_world.MODULE, "--token-label", "kesu-test", "--login", "--pin",
                     "env:KESU_TEST_PIN", "--keygen", "--key-type", "AES:32", "--label", "archive", "--id", "a1b2",
                     "--sensitive", env={"KESU_TEST_PIN": self.pin})
        words = ("key", "adopt", "archive", "pkcs11:token=kesu-test;object=archive")

        def check(call):
            self.assertIn(self.states(self.consistent(), "archive"), ([], ["active"]))
            self.again(*words, refused={"already-exists"})
            self.assertEqual(self.states(self.end_state(), "archive"), ["active"])
        self.each_kill(*words, check=check, expect=EXPECT)


if __name__ == "__main__":
    harness.main()
