"""`kesu reseal`, killed before each of its state-changing calls, and while what it left is settled.

After each kill: every object opens at its old place; the ledger verifies and asks exactly what is open. The same command
again reaches the end: every object of the first dataset has exactly one in the second, which opens to identical bytes,
name, mode and mtime; the links name each once; no temporary file; nothing is open.
"""
import json
import pathlib
import sys

sys.path.insert(0, str(pathlib.Path(__file__).parents[1] / "support"))
import harness
import harness_kill
import kill_world

ALL = 6                                                    # five files and the manifest of their tree
CALLS = ("write", "openat", "fsync", "renameat2", "syncfs")


class Reseal(kill_world.World):
    def setUp(self):
        super().setUp()
        self.prepare_vault()
        box = self.box
        self.old = box.path / "old"                        # outside of what is put back: reseal only reads it
        box.kesu("key", "create", "archive")
        box.kesu("dataset", "add", "kept", "--key", "archive", "--chunk", str(kill_world.CHUNK))
        box.kesu("seal", "loans-2019", self.source, "-o", self.old)
        self.out.mkdir(parents=True, exist_ok=True)
        self.command = ("reseal", "loans-2019", "--to", "kept", "--into", self.out)

    def links(self, entries):
        documents = [e["body"]["document"] for e in entries
                     if e["type"] == "document-attached" and e["body"]["what"] == "resealed"]
        return [row for d in documents for row in json.loads((self.box.vault / "evidence" / d).read_bytes())]

    def check(self, call):
        self.consistent()
        result = self.box.kesu(*self.command).json
        self.assertEqual((result["objects"], result["resealed"] + result["already"], result["left"], result["failed"]),
                         (ALL, ALL, 0, []))
        self.assertTrue(result["complete"])
        listed = {d: self.box.kesu("inventory", "list", d).json for d in ("loans-2019", "kept")}
        for rows in listed.values():
            self.assertEqual((len(rows), len({r["object"] for r in rows})), (ALL, ALL))
            self.assertTrue(all(r["current"] for r in rows))
        self.assertEqual(sorted(r["name"] for r in listed["kept"]), sorted(r["name"] for r in listed["loans-2019"]))
        entries = self.settled()
        links = self.links(entries)
        self.assertEqual((len(links), len({r["old"] for r in links}), len({r["new"] for r in links})), (ALL, ALL, ALL))
        self.assertEqual({"obj-" + r["new"] for r in links}, {r["object"] for r in listed["kept"]})
        done = [e for e in entries if e["type"] == "document-attached" and e["body"]["what"] == "reseal-complete"]
        self.assertEqual(len(done), 1)
        self.assertEqual(sorted(kill_world.object_id(p) for p in self.out.rglob("*.kesu")), sorted(r["object"] for r in listed["kept"]))
        self.opens_to(self.old, self.wanted(1))
        self.opens_to(self.out, self.wanted(1))

    def test_each_call(self):
        self.each_kill(*self.command, check=self.check, prepare=self.restore_around_out, expect=CALLS)

    def test_settling_is_killed_too(self):
        self.box.snapshot()
        # Killed before the fifth final name: objects stand, nothing of them is recorded.
        harness_kill.kill_while_publishing(self.box.kesu_command(*self.command), self.out, 4, env=self.box.env, cwd=self.box.path)
        self.assertTrue(list(self.out.rglob("*.kesu")))
        self.each_kill(*self.command, check=self.check, prepare=self.restore_around_out, expect=("write", "openat", "fsync"))


if __name__ == "__main__":
    harness.main()
