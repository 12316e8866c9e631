"""`kesu seal`, killed before each of its state-changing calls: first sealing, changed sources, and while settling.

End state: every file is sealed exactly once as the current object of its name, and opens to identical bytes, name,
mode and mtime; the inventory counts what an undisturbed run counts; no temporary file; nothing is open. One run after
the kill must reach it.
"""
import pathlib
import shutil
import sys

sys.path.insert(0, str(pathlib.Path(__file__).parents[1] / "support"))
import harness
import harness_kill
import kill_world
from kill_world import FILES, content

CALLS = ("write", "openat", "fsync", "renameat2", "syncfs")


def of_a_file(path):
    """Not a tree manifest: each sealing of a tree that changed leaves one more."""
    path = str(path)
    return path.endswith(".kesu") and ".kesu-tree-" not in path


class Seal(kill_world.World):
    def setUp(self):
        super().setUp()
        self.prepare_vault()
        self.command = ("seal", "loans-2019", self.source, "-o", self.out)

    def keep_standing(self):
        """Copies aside what stands under final names at the moment of the kill; its objects' identifiers by name."""
        kept = self.box.path / "standing"
        shutil.rmtree(kept, ignore_errors=True)
        found = {}
        for path in sorted((self.out / "loans").rglob("*.kesu")):
            name = str(path.relative_to(self.out / "loans").with_suffix(""))
            if not of_a_file(path):
                continue
            copy = kept / path.relative_to(self.out)
            copy.parent.mkdir(parents=True, exist_ok=True)
            shutil.copy2(path, copy)
            found[name] = kill_world.object_id(path)
        self.standing = kept
        return found

    def end_state(self, rows, versions, superseded=0):
        names = sorted(f"{name}.kesu" for name in FILES)
        self.assertEqual(sorted(str(p.relative_to(self.out / "loans")) for p in self.out.rglob("*") if p.is_file()
                                if p.parent != self.out / "loans" or of_a_file(p)), names)
        everything = self.box.kesu("inventory", "list", "loans-2019").json
        listed = [r for r in everything if r["name"] != "loans"]
        manifests = sorted(kill_world.object_id(p) for p in self.out.rglob(".kesu-tree-*"))
        self.assertEqual(manifests, sorted(r["object"] for r in everything if r["name"] == "loans"))
        self.assertTrue(manifests)
        current = {r["name"]: r["object"] for r in listed if r["current"]}
        self.assertEqual(current, {f"loans/{name}": kill_world.object_id(self.out / "loans" / f"{name}.kesu") for name in FILES})
        self.assertEqual((len(listed), len({r["object"] for r in listed})), (rows, rows))
        self.assertEqual(sum(not r["current"] for r in listed), superseded)
        shown = self.box.kesu("dataset", "show", "loans-2019").json
        self.assertEqual((shown["objects"], shown["state"]), (len(everything), "open"))
        self.opens_to(self.out, {n: c[-1:] for n, c in versions.items()})
        self.settled()

    def check_first(self, call):
        self.consistent()
        found = self.keep_standing()
        result = self.box.kesu(*self.command).json
        self.assertEqual((result["sealed"] + result["unchanged"], result["failed"]), (5, []))
        # What stood whole was kept, not sealed a second time.
        self.assertGreaterEqual(result["unchanged"], len(found))
        for name, identifier in found.items():
            self.assertEqual(kill_world.object_id(self.out / "loans" / f"{name}.kesu"), identifier)
        versions = self.wanted(1)
        if found:
            self.assertEqual(sorted(self.opens_to(self.standing, versions, complete=False)), sorted(found))
        self.end_state(5, versions)

    def test_first_sealing(self):
        self.each_kill(*self.command, check=self.check_first, expect=CALLS)

    def test_changed_sources_replace(self):
        self.command += ("--replace",)
        self.box.kesu(*self.command)
        before = {name: kill_world.object_id(self.out / "loans" / f"{name}.kesu") for name in FILES}
        changed = ("small.txt", "2019/chunks.bin")
        for name in changed:
            size, mode, mtime = FILES[name]
            self.write_source(name, content(name, size, 2), mode, mtime)
        self.command += ("--replace",)
        versions = self.wanted(1)
        for name in changed:
            versions[name].append(content(name, FILES[name][0], 2))

        def check(call):
            self.consistent()
            # At every moment each name stands, whole, as the old or the new object.
            found = self.keep_standing()
            self.assertEqual(sorted(found), sorted(FILES))
            result = self.box.kesu(*self.command).json
            self.assertEqual((result["sealed"] + result["unchanged"], result["failed"]), (5, []))
            opened = self.opens_to(self.standing, versions)
            for name, identifier in found.items():
                self.assertEqual(opened[name].read_bytes(), versions[name][0 if identifier == before[name] else -1], name)
            for name in FILES:
                now = kill_world.object_id(self.out / "loans" / f"{name}.kesu")
                self.assertEqual(now != before[name], name in changed, name)
                if found[name] != before[name]:
                    self.assertEqual(now, found[name])
            self.end_state(7, versions, superseded=2)

        self.each_kill(*self.command, check=check, expect=CALLS)

    def test_settling_is_killed_too(self):
        """The run that settles an interrupted batch is killed in turn: the third run still reaches the end."""
        self.box.snapshot()
        # Killed before the fifth final name: four objects stand, a part file is left.
        harness_kill.kill_while_publishing(self.box.kesu_command(*self.command), self.out, 4, env=self.box.env, cwd=self.box.path)
        self.assertIn(len(self.keep_standing()), (3, 4))  # another thread's may not have happened yet
        self.assertTrue(self.leftovers())
        self.each_kill(*self.command, check=self.check_first, prepare=self.restore_around_out,
                       expect=("write", "openat", "fsync", "unlink", "syncfs"))

    def test_setting_aside_is_killed_too(self):
        """An object that does not open any more: at every kill point it lies there once, and the end of its batch lists it."""
        self.box.snapshot()
        harness_kill.kill_while_publishing(self.box.kesu_command(*self.command), self.out, 4, env=self.box.env, cwd=self.box.path)
        parts = [p.name[1:33] for p in self.out.rglob("*.kesu-part")]
        whole = len(list(self.out.rglob("*.kesu")))
        self.assertIn((len(parts), whole), ((1, 4), (2, 3)))  # another thread's may not have happened yet
        broken = sorted(self.out.rglob("*.kesu"))[0]
        data = broken.read_bytes()
        data = data[:-1] + bytes([data[-1] ^ 1])
        broken.write_bytes(data)
        listed = next(e["body"]["objects"] for e in self.entries() if e["type"] == "seal-intended")
        damaged, = [o for o in listed if bytes.fromhex(o) in data[:128]]

        def standing():
            return [p for p in self.out.rglob("*.kesu*") if p.is_file() and p.read_bytes() == data]

        def check(call):
            self.consistent()
            self.assertEqual(len(standing()), 1)
            self.assertEqual(self.box.kesu("inventory", "settle", "loans-2019").json["open"], 0)
            end, = [e for e in self.settled() if e["type"] == "seal-done"]
            self.assertEqual((end["nodes"][0]["n"], end["body"]["set_aside"]), (whole - 1, [damaged]))
            self.assertEqual([p.name for p in standing()], [f"{damaged}.kesu-damaged"])
            due, = [d for d in self.box.kesu("status").json["due"] if d["what"] == "finding"]
            self.assertEqual((due["name"], due["overdue"]), ("loans-2019", False))
            self.assertIn(f"1 object of an interrupted sealing did not open; kept as *.kesu-damaged below {self.out}",
                          due["detail"])
            self.assertIn("kesu inventory check loans-2019 PATH", due["next"])
            again = self.box.kesu(*self.command).json
            self.assertEqual((again["sealed"], again["unchanged"], again["failed"]), (6 - whole, whole - 1, []))

        self.each_kill("inventory", "settle", "loans-2019", check=check, prepare=self.restore_around_out,
                       expect=("write", "openat", "fsync", "renameat2", "unlink", "syncfs"))


if __name__ == "__main__":
    harness.main()
