"""The first sealing that takes fingerprints, killed before each call that makes something durable: what an interrupted batch
had taken never counts, one key is made, and the scan knows every object all the same.
"""
import pathlib
import sys

sys.path.insert(0, str(pathlib.Path(__file__).parents[1] / "support"))
import kill_world
from kill_world import FILES, content

CALLS = ("fsync", "renameat2", "syncfs")


class Prints(kill_world.World):
    def test_first_sealing(self):
        self.prepare_vault()
        box = self.box
        box.kesu("dataset", "update", "loans-2019", "--fingerprints", "on", "--reason", "residue")
        places = box.state / "places"
        places.mkdir()
        for name, (size, *_) in FILES.items():
            (places / name.replace("/", "-")).write_bytes(content(name, size))
        command = ("seal", "loans-2019", self.source, "-o", self.out)

        def check(call):
            self.consistent()
            box.kesu(*command)
            self.clear_torn()
            entries = self.settled()
            made = [e for e in entries if e["type"] == "fingerprint-key-created"]
            done = [e for e in entries if e["type"] == "seal-done"]
            # What was settled was sealed by a process that had its key, or none was needed any more.
            self.assertLessEqual(len(made), 1)
            for e in done:
                self.assertEqual("fingerprints" in e["body"], not e["body"]["interrupted"], e)
            states = kill_world.key_states(entries)
            ours = {e["nodes"][0]["id"] for e in entries if e["type"] == "key-intended" and "fingerprints_of" in e["body"]}
            alive = [v for v in ours if states[v] == "active"]
            self.assertLessEqual(len(alive), 1, states)
            self.assertEqual([e["body"]["version"] for e in made], alive if made else [])
            result = box.kesu("inventory", "scan", "loans-2019", places, code=8).json
            objects = box.kesu("inventory", "list", "loans-2019").json
            self.assertEqual((result["objects"], result["superseded"], result["without"]), (len(objects), 0, []))
            self.assertEqual(result["stored"], sum(e["nodes"][0]["n"] for e in done if "fingerprints" in e["body"]))
            self.assertEqual({pathlib.Path(h["path"]).name for h in result["found"]},
                             {n.replace("/", "-") for n, (size, *_) in FILES.items() if size})

        self.each_kill(*command, check=check, expect=CALLS, only=lambda c: c.name in CALLS)


if __name__ == "__main__":
    kill_world.harness.main()
