"""File systems that are really small: as the vault's place, as the place of sealed files, of opened files, of a bundle.

Blocks run out, inodes run out (ext4 in a loop file), a quota is reached. The command says which place and what to do;
then space is made and the same command finishes. Needs root, mount and mkfs.ext4; skipped where they do not work.
"""
import os
import pathlib
import shutil
import subprocess
import sys
import unittest

sys.path.insert(0, str(pathlib.Path(__file__).parents[1] / "support"))
import harness
import kill_world
import places


class Small(kill_world.World):
    SIZE = 3 << 20

    def setUp(self):
        super().setUp()
        places.needed(self)
        self.mounts = []
        self.addCleanup(self.unmount_all)
        self.prepare_vault()

    def unmount_all(self):
        for place in reversed(self.mounts):
            places.unmount(place)

    def mount(self, kind, name, **options):
        place = self.box.state / name
        place.mkdir(exist_ok=True)
        try:
            getattr(places, kind)(place, self.box.path / f"{name}.img", **options)
        except places.Unusable as error:
            self.skipTest(str(error))
        self.mounts.append(place)
        return place

    def refused(self, *words, place=None, codes=("disk-full",)):
        """The command fails as a person can act upon: which place, what next."""
        result = self.box.kesu(*words, code=(1, 8))
        if "error" in result.json:
            error = result.json["error"]
            self.assertIn(error["code"], codes, error)
            if place:
                self.assertIn(str(place), error["message"] + error["cause"])
            self.assertIn("space", error["next"])
        else:
            self.assertEqual({f["code"] for f in result.json["failed"]}, set(codes))
        return result

    def write_files(self, count, size, below="many"):
        root = self.box.path / below
        root.mkdir(exist_ok=True)
        for i in range(count):
            (root / f"f{i:04}").write_bytes(kill_world.content(f"f{i:04}", size))
        return root

    def sealed_is_whole(self, source, out):
        target = self.box.path / "opened"
        shutil.rmtree(target, ignore_errors=True)
        self.box.kesu("open", out, "-o", target)
        opened = {p.name: p.read_bytes() for p in target.rglob("*") if p.is_file()}
        self.assertEqual(opened, {p.name: p.read_bytes() for p in source.iterdir()})
        rows = self.box.kesu("inventory", "list", "loans-2019").json
        self.assertEqual(sorted(r["name"] for r in rows if r["current"] and "/" in r["name"]), sorted(f"{source.name}/{n}" for n in opened))

    def seal_into(self, out, source, make_space):
        command = ("seal", "loans-2019", source, "-o", out)
        self.refused(*command, place=out)
        self.verify_ledger()
        self.assertEqual(self.leftovers(), [])
        standing = {p: kill_world.object_id(p) for p in out.rglob("*.kesu")}
        self.refused(*command, place=out)                  # and again the same: still no space
        make_space()
        done = self.box.kesu(*command).json
        self.assertEqual((done["sealed"] + done["unchanged"], done["failed"]), (len(list(source.iterdir())), []))
        for path, identifier in standing.items():
            self.assertEqual(kill_world.object_id(path), identifier)
        self.sealed_is_whole(source, out)
        self.settled()


class Out(Small):
    """The place of sealed files."""

    def test_tmpfs(self):
        out = self.mount("tmpfs", "small", size=self.SIZE)
        self.seal_into(out, self.write_files(40, 200_000), lambda: places.grow_tmpfs(out, 64 << 20))

    def test_ext4_without_inodes(self):
        out = self.mount("ext4", "inodes", size=32 << 20, inodes=32)
        filler = [out / f"x{i}" for i in range(10)]
        for path in filler:
            path.touch()
        source = self.write_files(14, 1000)
        self.seal_into(out, source, lambda: [p.unlink() for p in filler])

    def test_ext4_quota(self):
        out = self.mount("ext4", "quota", size=64 << 20, project=42, block_limit=2 << 20)
        self.seal_into(out, self.write_files(40, 200_000), lambda: places.set_quota(out, 42, 60 << 20))


class Opened(Small):
    """The place of opened files."""

    def test_open(self):
        source = self.write_files(40, 200_000)
        self.box.kesu("seal", "loans-2019", source, "-o", self.out)
        for kind, options in (("tmpfs", {"size": self.SIZE}), ("ext4", {"size": 4 << 20})):
            with self.subTest(kind):
                place = self.mount(kind, f"opened-{kind}", **options)
                command = ("open", self.out, "-o", place)
                self.refused(*command, place=place)
                self.assertEqual(self.leftovers(), [])
                for path in place.rglob("*"):
                    if path.is_file():
                        self.assertEqual(path.read_bytes(), (source / path.name).read_bytes())
                        path.unlink()
                self.consistent()
                if kind == "tmpfs":
                    places.grow_tmpfs(place, 64 << 20)
                    self.assertEqual(self.box.kesu(*command).json["opened"], 40)


class VaultPlace(Small):
    """The vault's own file system is full."""

    def move_vault(self, kind, **options):
        place = self.mount(kind, "disk", **options)
        subprocess.run(["cp", "-a", f"{self.box.vault}/.", str(place)], check=True)
        shutil.rmtree(self.box.vault)
        self.box.vault = place
        return place

    def fill(self, place):
        filler = place / "filler"
        with open(filler, "wb", buffering=0) as file:
            try:
                while True:
                    file.write(b"\0" * 4096)
            except OSError:
                pass
        return filler

    def every_command(self, place, make_full, make_space):
        self.box.kesu("seal", "loans-2019", self.source, "-o", self.out)
        erasure = None
        bundle = self.box.path / "bundle"
        commands = [("key", "create", "more"), ("dataset", "add", "more", "--key", "loans"), ("key", "rotate", "loans"),
                    ("rewrap", "loans-2019"), ("seal", "loans-2019", self.write_files(20, 100), "-o", self.out),
                    ("open", self.out, "-o", self.box.path / "opened-1"), "erase-plan", "erase-run", "certificate"]
        ends = {}
        for command in commands:
            if command == "erase-plan":
                command = ("erase", "plan", "loans-2019", "more")
            elif command == "erase-run":
                erasure = self.approve_erasure("loans-2019", "more")
                command = ("erase", "run", erasure, "-y")
            elif command == "certificate":
                command = ("certificate", "bundle", erasure, "-o", bundle)
            self.box.kesu("status")
            full = make_full()
            before = self.box.kesu("status").json["ledger"]["entries"]     # reading goes on
            result = self.box.kesu(*command, code=(0, 1, 8))
            ends[f"{command[0]} {command[1]}"[:16]] = result.error_code or result.code
            if "error" in result.json:
                error = result.json["error"]
                self.assertEqual(error["code"], "disk-full", error)
                self.assertIn(str(place), error["message"] + error["cause"])
                self.assertIn("space", error["next"])
            self.verify_ledger()
            self.assertGreaterEqual(self.box.kesu("status").json["ledger"]["entries"], before)
            make_space(full)
            if result.code:
                shutil.rmtree(self.box.path / "opened-1", ignore_errors=True)
                # Made before the error, and settled: what was asked for is there.
                self.box.kesu(*command, code=(0, 3) if command[1] in ("create", "add") else 0)
            self.settled()
        print(ends, flush=True)
        self.assertGreaterEqual(sum(e == "disk-full" for e in ends.values()), 6, ends)
        trust = self.box.path / "trust"
        trust.write_text(self.box.kesu("trust", "propose", bundle).json["trust"])
        self.box.kesu("verify", bundle, "--trust", trust, "--require", "low", "--allow-test-grade")

    def test_tmpfs(self):
        place = self.move_vault("tmpfs", size=8 << 20)
        self.every_command(place, lambda: self.fill(place), lambda filler: filler.unlink())

    def test_ext4(self):
        place = self.move_vault("ext4", size=8 << 20)
        self.every_command(place, lambda: self.fill(place), lambda filler: filler.unlink())

    def test_ext4_without_inodes(self):
        place = self.move_vault("ext4", size=8 << 20, inodes=128)

        def fill():
            folder = place / "filler"
            folder.mkdir()
            try:
                for i in range(1000):
                    (folder / str(i)).touch()
            except OSError:
                pass
            return folder

        self.every_command(place, fill, shutil.rmtree)

    def test_blocks_smaller_than_pages(self):
        """What SQLite maps has no room: an error that says so, and not the end of the process by SIGBUS."""
        place = self.move_vault("ext4", size=12 << 20, block=1024)
        filler = place / "filler"
        refused = set()
        for left in (0, 4, 9, 16, 24, 31, 33, 40, 64):
            filler.unlink(missing_ok=True)
            for path in place.glob("*-shm"):       # as after a backup was put back: they are made anew
                path.unlink()
            self.fill(place)
            with open(filler, "r+b") as file:
                file.truncate(filler.stat().st_size - left * 1024)
            for command in (("status",), ("key", "list"), ("dataset", "add", f"left-{left}", "--key", "loans")):
                with self.subTest((left, command)):
                    result = self.box.kesu(*command, code=(0, 1))
                    if result.code:
                        error = result.json["error"]
                        self.assertEqual(error["code"], "disk-full", error)
                        self.assertIn(str(place), error["message"])
                        refused.add(left)
        self.assertIn(16, refused)
        self.assertNotIn(64, refused)
        filler.unlink()
        self.box.kesu("dataset", "add", "more", "--key", "loans")
        self.settled()


class Bundle(Small):
    def test_bundle(self):
        self.box.kesu("seal", "loans-2019", self.source, "-o", self.out)
        erasure = self.approve_erasure("loans-2019")
        self.box.kesu("erase", "run", erasure, "-y")
        place = self.mount("tmpfs", "media", size=64 << 10)
        command = ("certificate", "bundle", erasure, "-o", place / "exit-2026")
        self.refused(*command, place=place)
        self.assertEqual(list(place.iterdir()), [])
        places.grow_tmpfs(place, 4 << 20)
        self.box.kesu(*command)
        self.assertEqual([p.name for p in place.iterdir()], ["exit-2026"])
        trust = self.box.path / "trust"
        trust.write_text(self.box.kesu("trust", "propose", place / "exit-2026").json["trust"])
        self.box.kesu("verify", place / "exit-2026", "--trust", trust, "--require", "low", "--allow-test-grade")
        issued = [e for e in self.settled() if e["type"] == "certificate-issued"]
        self.assertEqual(len(issued), 1)


if __name__ == "__main__":
    harness.main()
