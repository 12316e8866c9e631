"""A vault on a keystore file: init, a key made, keys destroyed, a re-keying, killed before each state-changing call.

After each kill: the ledger verifies, every older key still works, nothing that the ledger vouches for is missing from
the file, and the next command that writes settles what is open. A re-keying is there or is not, by both the file and
the ledger, and the old file is a registered copy before the new one can stand.
"""
import pathlib
import sys

sys.path.insert(0, str(pathlib.Path(__file__).parents[1] / "support"))
import harness
import kill_world


class World(kill_world.World):
    def prepare_people(self):
        box = self.box
        self.prepare_genesis()
        self.first, self.second = box.path / "passphrase", box.path / "passphrase-2"
        for path, text in ((self.first, "correct horse battery"), (self.second, "another horse, another battery")):
            path.write_text(text + "\n")
            path.chmod(0o600)
        self.keystore = box.vault / "keystore"
        self.init = ("init", box.vault, "--genesis", self.genesis, "--provider",
                     f"soft:./keystore?passphrase-source=file:{self.first}&iterations=210000")

    def prepare_vault(self):
        self.prepare_people()
        self.box.kesu(*self.init)

    def file_matches_ledger(self, entries):
        """Every key of the ledger opens its canary or signs, and the file holds no other."""
        states = kill_world.key_states(entries)
        living = [v for v, s in states.items() if s not in ("absent", "destroyed", "destroyed-compromised")]
        tested = self.box.kesu("provider", "test", "soft1").json
        self.assertEqual((tested["findings"], tested["objects"], tested["keys_tried"]), ([], len(living), len(living)))

    def end_state(self):
        entries = self.settled()
        self.file_matches_ledger(entries)
        return entries

    def states(self, entries, name):
        states = kill_world.key_states(entries)
        return sorted(states[v] for v in kill_world.versions_of(entries, name))


class Init(World):
    def test_init(self):
        self.prepare_people()

        def check(call):
            if (self.box.vault / "ledger.db").exists() and self.box.kesu("ledger", "verify").json["entries"]:
                self.consistent()
            self.box.kesu(*self.init, vault=False)
            entries = self.end_state()
            states, purposes = kill_world.key_states(entries), kill_world.key_purposes(entries)
            active = sorted(purposes[v] for v, state in states.items() if state == "active")
            self.assertEqual(active, ["control", "sign-certificate", "sign-ledger"])
            for kind in ("genesis", "provider-added", "ledger-key-set"):
                self.assertEqual(len(kill_world.of_type(entries, kind)), 1, kind)

        self.each_kill(*self.init, vault=False, check=check, expect=("write", "pwrite64", "openat", "fsync", "fdatasync"))


class Keys(World):
    def setUp(self):
        super().setUp()
        self.prepare_vault()

    def test_create(self):
        def check(call):
            self.consistent()
            again = self.box.kesu("key", "create", "trial", code=(0, 3))
            if again.code:
                self.assertEqual(again.error_code, "already-exists")
            states = self.states(self.end_state(), "trial")
            self.assertEqual(states, ["absent"] * (len(states) - 1) + ["active"])
            self.assertLessEqual(len(states), 2)

        self.each_kill("key", "create", "trial", check=check, expect=("pwrite64", "fdatasync"))

    def test_destroy(self):
        self.box.kesu("key", "create", "trial")
        self.box.kesu("key", "create", "kept")

        def check(call):
            self.consistent()
            again = self.box.kesu("key", "destroy", "trial", "-y", code=(0, 3))
            if again.code:
                self.assertEqual(again.error_code, "state-refused")
            entries = self.end_state()
            self.assertEqual(self.states(entries, "trial"), ["destroyed"])
            self.assertEqual(self.states(entries, "kept"), ["active"])
            self.assertEqual(len(kill_world.of_type(entries, "destroy-done")), 1)

        self.each_kill("key", "destroy", "trial", "-y", check=check, expect=("rename", "fsync"))


class Rekey(World):
    def rekeying(self):
        """An open question of ours that the world's own books do not know: was the provider re-keyed?"""
        return [q for q in self.box.kesu("status").json["questions"] if q["node"].startswith("prv-")]

    def test_rekey(self):
        box = self.box
        self.prepare_vault()
        box.kesu("key", "create", "trial")
        seen = {"open": 0, "new file": 0}

        def check(call):
            self.verify_ledger()
            entries = self.entries()
            file = int.from_bytes(self.keystore.read_bytes()[32:40], "big")
            copies = kill_world.of_type(entries, "copy-registered")
            rekeyed = kill_world.of_type(entries, "provider-rekeyed")
            # The old file is a copy before the new one can stand; the ledger never runs ahead of the file.
            if file == 2:
                self.assertTrue(copies)
            if rekeyed:
                self.assertEqual(file, 2)
            questions = self.rekeying()
            self.assertEqual(len(questions), 1 if copies and not rekeyed else 0)
            seen["open"] += len(questions)
            seen["new file"] += file == 2 and not rekeyed
            # Any command that writes settles it; which passphrase serves, the file says.
            box.kesu("key", "create", "after")
            entries = self.end_state()
            rekeyed = kill_world.of_type(entries, "provider-rekeyed")
            self.assertEqual([r["body"]["generation"] for r in rekeyed], [2] if file == 2 else [])
            self.assertEqual(self.rekeying(), [])
            copies = {e["nodes"][0]["id"] for e in kill_world.of_type(entries, "copy-registered")}
            ended = {e["nodes"][0]["id"] for e in kill_world.of_type(entries, "copy-ended")}
            self.assertEqual(len(copies - ended), 1 if file == 2 else 0)
            self.assertLessEqual(len(copies), 1)
            if file == 2:
                # No double: what the copy reaches is every key that was in the old file, once.
                edges = [tuple(e) for entry in kill_world.of_type(entries, "copy-registered") for e in entry["edges"]]
                self.assertEqual(len(edges), len(set(edges)))
                self.assertEqual(len(edges), 4)
            else:
                box.kesu("provider", "rekey", "soft1", "--passphrase-source", f"file:{self.second}", "-y")
                self.end_state()

        self.each_kill("provider", "rekey", "soft1", "--passphrase-source", f"file:{self.second}", "-y", check=check,
                       expect=("rename", "fsync"))
        print(f"re-keyings that were open after a kill: {seen['open']}, of them with the new file in place: {seen['new file']}",
              flush=True)


if __name__ == "__main__":
    harness.main()
