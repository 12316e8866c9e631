"""`kesu inventory adopt` and `kesu inventory remove`, killed before each of their state-changing calls.

Adopting, end state: every sealed file that no inventory counted is counted once, none was touched, nothing is open.
Removing, end state: the leftovers are gone, whatever an inventory counts stands, and each removal was recorded before
it happened. One run after the kill must reach it.
"""
import json
import pathlib
import shutil
import sys

sys.path.insert(0, str(pathlib.Path(__file__).parents[1] / "support"))
import harness
import kill_world
import proof as proofs
from kill_world import FILES

PART, OPENING, ASIDE = "." + "ab" * 16 + ".kesu-part", "." + "cd" * 16 + ".kesu-open", "ef" * 16 + ".kesu-damaged"


class Inventory(kill_world.World):
    def setUp(self):
        super().setUp()
        self.prepare_vault()

    def seal(self, *names):
        """Files one by one: no manifest."""
        self.box.kesu("seal", "loans-2019", *(self.source / n for n in names), "-o", self.out)

    def forget(self, seal):
        """Runs seal() in a copy of the vault that is thrown away: what it sealed, no inventory counts."""
        kept = self.box.path / "vault-kept"
        shutil.copytree(self.box.vault, kept)
        seal()
        shutil.rmtree(self.box.vault)
        kept.rename(self.box.vault)

    def standing(self):
        return {p.relative_to(self.out): p.read_bytes() for p in self.out.rglob("*") if p.is_file()}

    def whole(self, objects):
        checked = self.box.kesu("inventory", "check", "loans-2019", self.out).json
        self.assertEqual((checked["objects"], checked["good"], checked["orphans"]), (objects, objects, []))

    def test_adopt(self):
        self.seal("empty.csv", "small.txt")
        rest = [n for n in FILES if n not in ("empty.csv", "small.txt")]
        self.forget(lambda: self.seal(*rest))
        files = self.standing()

        def check(call):
            self.consistent()
            result = self.box.kesu("inventory", "adopt", "loans-2019", self.out).json
            self.assertEqual((result["adopted"] + result["known"], result["failed"]), (len(FILES), []))
            self.assertEqual(self.standing(), files)
            entries = self.settled()
            counted = [n for e in kill_world.of_type(entries, "seal-done") for n in (e["nodes"][0]["n"],)]
            self.assertEqual(sum(counted), len(FILES))
            listed = self.box.kesu("inventory", "list", "loans-2019").json
            self.assertEqual(sorted(o["object"] for o in listed),
                             sorted(kill_world.object_id(self.out / p) for p in files))
            self.whole(len(FILES))

        self.each_kill("inventory", "adopt", "loans-2019", self.out, check=check, expect=("write", "openat", "fsync", "syncfs"))

    def test_remove(self):
        self.seal("empty.csv", "small.txt")
        self.forget(lambda: self.seal("one-chunk.bin"))
        broken = self.out / "one-chunk.bin.kesu"     # its commitment: its data key does not fit it any more
        data = broken.read_bytes()
        broken.write_bytes(data[:100] + bytes([data[100] ^ 1]) + data[101:])
        for name in (PART, OPENING, ASIDE):
            (self.out / name).write_bytes(b"left " + name.encode())
        (self.out / "plain.txt").write_bytes(b"nothing of ours")
        junk = {pathlib.Path(n) for n in (PART, OPENING, ASIDE, "one-chunk.bin.kesu")}
        files = self.standing()
        staying = {n: d for n, d in files.items() if n not in junk}
        self.assertEqual(len(staying), 3)

        def recorded(what):
            out = set()
            for e in self.entries():
                if e["type"] == "document-attached" and e["body"]["what"] == what:
                    document = json.loads((self.box.vault / "evidence" / e["body"]["document"]).read_text())
                    out |= {pathlib.Path(row["path"]).relative_to(self.out) for row in document}
            return out

        command = ("inventory", "remove", self.out, "--reason", "power cut", "-y")

        def check(call):
            self.consistent()
            now = self.standing()
            self.assertEqual({n: d for n, d in now.items() if n not in junk}, staying)
            # Whatever is gone was recorded before.
            self.assertLessEqual(set(files) - set(now), recorded("leftovers-to-remove"))
            result = self.box.kesu(*command).json
            self.assertEqual((len(result["removed"]), result["failed"]), (len(junk & set(now)), []))
            self.assertEqual(self.standing(), staying)
            self.assertEqual(recorded("leftovers-to-remove"), junk)
            self.settled()
            self.whole(2)

        self.each_kill(*command, check=check, expect=("write", "openat", "fsync", "unlinkat"))

    def test_prove(self):
        """Killed while it keeps what it looked up (proofs.db): the next proof is the same, and the index made anew or whole."""
        for name in ("empty.csv", "small.txt", "one-chunk.bin"):
            self.seal(name)
        self.box.kesu("ledger", "checkpoint")
        path = self.out / "empty.csv.kesu"                # in the oldest batch: the newer ones come into the index, too
        index = self.box.vault / "proofs.db"
        good = self.box.kesu("inventory", "prove", path).json
        self.assertEqual(proofs.check(good, good["vkey"], path.read_bytes()), "object")
        self.assertTrue(index.exists())
        index.unlink()

        def check(call):
            self.consistent()
            for other in ("small.txt", "empty.csv"):
                proof = self.box.kesu("inventory", "prove", self.out / f"{other}.kesu").json
                proofs.check(proof, proof["vkey"], (self.out / f"{other}.kesu").read_bytes())
            self.assertEqual(proof, good)

        self.each_kill("inventory", "prove", path, check=check, expect=("openat", "pwrite64", "unlink"))


if __name__ == "__main__":
    harness.main()
