"""A signed command, killed before each of its state-changing calls, those of ssh-keygen between signing and appending among them:
no entry ever stands without the command that it belongs to, and a statement that no entry names harms nothing."""
import pathlib
import sys

sys.path.insert(0, str(pathlib.Path(__file__).parents[1] / "support"))
import harness
import kill_world


class Commands(kill_world.World):
    genesis_words = ("--signed-commands",)

    def test_signed_and_not_appended(self):
        box = self.box
        box.env |= {"KESU_OPERATOR": "Ichiro Tanaka", "KESU_OPERATOR_KEY": str(box.officer("alice").private)}
        self.prepare_vault()
        words = ("key", "suspend", "loans", "--reason", "a drill")

        def check(call):
            entries = self.consistent()
            self.assertEqual({e["type"] for e in entries if "command" not in e["body"]}, {"genesis", "operator-enrolled"})
            suspended = sum(e["type"] == "key-state-changed" for e in entries)
            box.kesu(*words, code=(0, 3) if suspended else 0)
            entries = self.settled()
            self.assertEqual(sum(e["type"] == "key-state-changed" for e in entries), 1)
            self.assertTrue(all("command" in e["body"] for e in entries[3:]))

        self.each_kill(*words, check=check, expect=("write", "openat"))


if __name__ == "__main__":
    harness.main()
