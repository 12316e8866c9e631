"""What must not be lost when an old version goes: keys that took over and are gone, places out of reach, forged slots,
one file by two paths, batches that were given up."""
import hashlib
import pathlib
import shutil
import struct
import sys

sys.path.insert(0, str(pathlib.Path(__file__).parents[1] / "support"))
import harness_kill
import scenario
import slots

FILES = {"a.txt": b"one" * 9000, "b.txt": b"two"}
ALL = len(FILES) + 1                                           # and the manifest of the tree


class Loss(scenario.World):
    def setUp(self):
        super().setUp()
        # Here, not before: the directory that was sealed to is then the one that is there.
        self.seal("loans-2019", FILES)
        self.box.kesu("key", "rotate", "loans")
        self.wanted = {f"src/{name}": data for name, data in FILES.items()}
        self.first, self.second = self.version_of("loans", 1), self.version_of("loans", 2)
        self.away = self.box.state / "away"

    def rewrap(self, *words, **options):
        return self.box.kesu("rewrap", "loans-2019", *words, **options).json

    def destroy_first(self, **options):
        return self.box.kesu("key", "destroy", "loans.1", "-y", **options)

    def test_a_version_goes_only_when_those_that_took_over_work(self):
        self.rewrap()
        self.pkcs11_tool("--delete-object", "--type", "secrkey", "--label", f"kesu:{self.second}")
        entries = self.entries()
        error = self.destroy_first(code=3, error="in-use").json["error"]
        self.assertIn("moved to loans.2, which does not work", error["message"])
        self.only_refused(entries)
        self.assertEqual(self.opened(self.out), self.wanted)      # by the older slot, which is all there is

    def test_what_is_out_of_reach_was_not_moved(self):
        copy = self.box.state / "copy"
        shutil.copytree(self.out, copy)
        self.out.rename(self.away)
        self.out.mkdir()                                          # an empty mount point
        self.assertEqual(len(self.rewrap(code=8)["missing"]), ALL)
        result = self.rewrap(copy, code=8)
        self.assertEqual(result["moved"], ALL)                    # the copies
        self.assertEqual(sorted(m["path"] for m in result["missing"]),
                         sorted(str(self.out / path.relative_to(self.away)) for path in self.away.rglob("*.kesu")))
        self.assertIn("opens with the older version alone", result["missing"][0]["why"])
        self.assertEqual(slots.census(self.box, "loans"), {self.first: ALL})
        self.destroy_first(code=3, error="in-use")
        self.out.rmdir()
        self.away.rename(self.out)
        self.assertEqual(self.rewrap()["moved"], ALL)
        self.destroy_first()
        self.assertEqual(self.opened(self.out), self.wanted)
        self.assertEqual(self.opened(copy / "src", name="copy"), self.wanted)

    def test_unless_it_is_declared_lost(self):
        copy = self.box.state / "copy"
        shutil.copytree(self.out, copy)
        self.out.rename(self.away)
        self.box.kesu("rewrap", "loans-2019", "--location-lost", "disk 7 failed", code=2, error="usage")
        self.assertEqual(self.rewrap(copy, "--location-lost", "disk 7 failed")["missing"], [])
        done = [e for e in self.entries() if e["type"] == "rewrap-done"][-1]
        self.assertEqual(done["body"]["why"], "declared lost: disk 7 failed")
        self.destroy_first()
        self.assertEqual(self.opened(copy / "src", name="copy"), self.wanted)

    def test_an_interrupted_rewrap_of_copies_leaves_what_is_out_of_reach(self):
        copy = self.box.state / "copy"
        shutil.copytree(self.out, copy)
        command = self.box.kesu_command("rewrap", "loans-2019", self.out, copy)
        self.rewrap(self.out, copy)
        self.assertTrue([e for e in self.entries() if e["type"] == "rewrap-done"])
        # Another rewrap, to version 3, dies when all slots are written.
        self.box.kesu("key", "rotate", "loans")
        self.assertTrue(harness_kill.traced(command, at=1, env=self.box.env, cwd=self.box.path, only=("--call", "syncfs"))[1])
        self.out.rename(self.away)
        self.rewrap(copy, code=8)
        self.away.rename(self.out)
        self.assertNotEqual(slots.census(self.box, "loans")[f"{self.first.rsplit('.', 1)[0]}.3"], ALL)
        self.assertEqual(self.opened(self.out), self.wanted)

    def test_a_forged_slot_moves_nothing(self):
        kept = {}
        for path in self.out.rglob("*.kesu"):                     # version 1's slot again, calling itself version 2's
            kept[path] = path.read_bytes()
            data = bytearray(path.read_bytes())
            slot = bytearray(data[1024:2048])
            slot[8:16] = struct.pack(">Q", struct.unpack(">Q", slot[8:16])[0] + 1)
            slot[32:36] = struct.pack(">I", 2)
            slot[992:] = hashlib.sha256(bytes(slot[:992])).digest()
            data[2048:3072] = slot
            path.write_bytes(data)
            self.assertEqual(slots.newest(path), self.second)
        result = self.rewrap(code=8)
        self.assertEqual((result["moved"], [f["code"] for f in result["failed"]]), (0, ["sealed-damaged"] * ALL))
        self.assertEqual(slots.census(self.box, "loans"), {self.first: ALL})
        self.destroy_first(code=3, error="in-use")
        for path, data in kept.items():
            path.write_bytes(data)
        self.rewrap()
        self.destroy_first()
        self.assertEqual(self.opened(self.out), self.wanted)

    def test_one_file_by_two_paths_is_written_once(self):
        link = self.box.state / "link.kesu"
        link.hardlink_to(self.out / "src" / "a.txt.kesu")
        self.assertEqual(self.rewrap(self.out, self.out / "src" / "a.txt.kesu", link)["moved"], ALL)
        for path in self.out.rglob("*.kesu"):
            self.assertEqual([s.version for s in slots.slots_of(path)], [self.second, self.first])

    def test_objects_that_were_given_up_are_told(self):
        self.rewrap()
        self.write("c.txt", b"three", below="more")
        command = self.box.kesu_command("seal", "loans-2019", self.box.state / "more", "-o", self.out)
        self.box.snapshot("before")
        calls, _, _ = harness_kill.traced(command, env=self.box.env, cwd=self.box.path)
        self.box.restore("before")
        placed = [c for c in calls if c.name.startswith(("rename", "link")) and c.target.endswith(".kesu")][-1]
        harness_kill.traced(command, at=placed.ordinal + 2, env=self.box.env, cwd=self.box.path)
        self.out.rename(self.away)
        self.box.kesu("inventory", "settle", "loans-2019", "--location-lost", "disk 7 failed")
        self.box.kesu("key", "rotate", "loans")
        shown = self.box.kesu("key", "destroy", "loans.2", "--dry-run").json["versions"][0]
        self.assertEqual(shown["given_up"], 1)
        self.assertIn("1 object of interrupted batches that were given up",
                      self.box.text("key", "destroy", "loans.2", "--dry-run").stdout)


if __name__ == "__main__":
    scenario.main()
