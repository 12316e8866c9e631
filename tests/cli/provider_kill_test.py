"""`kesu provider add`, killed before its state-changing calls: without its control key nothing in a provider could ever be shown to
be gone, so the same command goes on to make it."""
import os
import pathlib
import sys

sys.path.insert(0, str(pathlib.Path(__file__).parents[1] / "support"))
import harness
import kill_world


class Add(kill_world.World):
    every = 1 if os.environ.get("KESU_KILLS") == "all" else 2

    def test_add(self):
        self.prepare_vault()
        secret = self.box.path / "passphrase"
        secret.write_text("correct horse battery\n")
        secret.chmod(0o600)
        place = f"soft:{self.box.state}/second?passphrase-source=file:{secret}&iterations=210000"
        words = ("provider", "add", "soft2", place)
        other = (*words[:-1], place.replace("/second?", "/third?"))
        seen = {"not added": 0, "added, to be finished": 0, "finished": 0}

        def check(call):
            entries = self.consistent()
            added = kill_world.of_type(entries, "provider-added")[1:]
            if added:
                # The name is taken, and another place does not finish it.
                self.box.kesu(*other, code=(2, 3, 5))
                self.assertFalse((self.box.state / "third").exists())
            again = self.box.kesu(*words, code=(0, 3))
            if again.code:
                self.assertEqual((again.error_code, len(added)), ("already-exists", 1))
            elif added:
                self.assertEqual(again.json["id"], added[0]["nodes"][0]["id"])
            seen["finished" if again.code else "added, to be finished" if added else "not added"] += 1
            entries = self.settled()
            self.assertEqual(len(kill_world.of_type(entries, "provider-added")), 2)
            states, versions = kill_world.key_states(entries), kill_world.versions_of(entries, "control-soft2")
            self.assertEqual(sorted(states[v] for v in versions), ["absent"] * (len(versions) - 1) + ["active"])
            self.assertEqual(self.box.kesu("provider", "test", "soft2").json["findings"], [])

        ordinary = (lambda call: call.ordinal % self.every == 0 or "/second" in call.target) if self.every > 1 else None
        self.each_kill(*words, check=check, expect=("pwrite64", "openat"), only=ordinary)
        print(seen, flush=True)
        self.assertTrue(seen["added, to be finished"])


if __name__ == "__main__":
    harness.main()
