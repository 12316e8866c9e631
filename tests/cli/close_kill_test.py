"""`kesu vault close`, killed before each of its state-changing calls: closed or not closed, never half; again finishes."""
import pathlib
import sys

sys.path.insert(0, str(pathlib.Path(__file__).parents[1] / "support"))
import harness
import kill_world


class Close(kill_world.World):
    def test_close(self):
        self.prepare_vault()
        self.box.kesu("seal", "loans-2019", self.source, "-o", self.out)
        erasure = self.approve_erasure("loans-2019")
        self.box.kesu("erase", "run", erasure, "-y")
        self.box.kesu("certificate", "bundle", erasure, "-o", self.box.path / "bundle")

        def check(call):
            entries = self.consistent()
            closed = [e for e in entries if e["type"] == "vault-closed"]
            self.assertLessEqual(len(closed), 1)
            done = self.box.kesu("vault", "close", "--reason", "over", "-y").json
            entries = self.settled()
            self.assertEqual([e["type"] for e in entries].count("vault-closed"), 1)
            self.assertEqual(entries[-1]["type"], "vault-closed")
            self.assertEqual((done["checkpoint"], self.checkpoint), (len(entries), len(entries)))
            self.box.kesu("key", "create", "late", code=3, error="vault-closed")

        self.each_kill("vault", "close", "--reason", "over", "-y", check=check, expect=("write", "openat"), thorough=True)


if __name__ == "__main__":
    harness.main()
