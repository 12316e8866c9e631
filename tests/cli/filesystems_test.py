"""XFS and btrfs: where a full disk refuses what ext4 still gives, and where a restored file differs from one to the next.

On a full XFS no file is made any more, on a full btrfs none is written over; a ledger is read all the same. What one file
system keeps of a file (times, extended attributes) another may not: that is said, file by file, and the rest is restored.
"""
import os
import pathlib
import subprocess
import sys
import time

sys.path.insert(0, str(pathlib.Path(__file__).parents[1] / "support"))
import harness
import kill_world
import places

SIZES = {"xfs": 300 << 20, "btrfs": 120 << 20}


class World(kill_world.World):
    ram = False                                            # a disk is filled to its end
    def setUp(self):
        super().setUp()
        places.needed(self)
        self.prepare_vault()

    def disk(self, kind, name):
        place = self.box.state / name
        place.mkdir()
        self.addCleanup(places.unmount, place)
        try:
            if kind == "ext4":
                places.ext4(place, self.box.path / f"{name}.img", 16 << 20)
            else:
                places.disk(place, self.box.path / f"{name}.img", kind, SIZES[kind])
        except places.Unusable as error:
            self.skipTest(str(error))
        return place


class FullVault(World):
    def vault_on(self, kind):
        place = self.disk(kind, f"disk-{kind}")
        subprocess.run(["cp", "-a", self.box.vault, place / "vault"], check=True)
        self.box.vault = place / "vault"
        return place

    def full_and_then_not(self, kind):
        place = self.vault_on(kind)
        before = self.entries()
        readers = (("status",), ("ledger", "verify"), ("key", "list"), ("ledger", "show"))
        for beside in ((), ("-shm",), ("-shm", "-wal")):      # as after a backup was put back
            for suffix in beside:
                pathlib.Path(f"{self.box.vault}/ledger.db{suffix}").unlink(missing_ok=True)
            filler = places.fill(place)
            for words in readers:
                with self.subTest((kind, beside, words)):
                    self.box.kesu(*words)
            both = [subprocess.Popen(self.box.kesu_command("ledger", "verify"), env=self.box.env, cwd=self.box.path,
                                     stdout=subprocess.DEVNULL) for _ in range(4)]
            self.assertEqual([p.wait(timeout=60) for p in both], [0] * 4)
            error = self.box.kesu("key", "create", "more", code=1, error="disk-full").json["error"]
            self.assertIn(str(place), error["message"] + error["cause"])
            self.assertEqual(len(self.entries()), len(before))
            filler.unlink()
        # Nothing is left of the copies that were read.
        self.assertEqual(list((self.box.path / "tmp").glob("kesu-*")), [])
        self.box.kesu("key", "create", "more")
        self.settled()

    def test_xfs(self):
        self.full_and_then_not("xfs")

    def test_btrfs(self):
        self.full_and_then_not("btrfs")

    def test_a_ledger_that_is_written_is_not_copied_in_between(self):
        """Who reads a copy waits until nobody has the ledger open, and says so when that does not come."""
        place = self.vault_on("xfs")
        places.fill(place)
        holder = ("import fcntl,os,struct,sys,time;fd=os.open(sys.argv[1],os.O_RDWR);"
                  "fcntl.fcntl(fd,fcntl.F_SETLK,struct.pack('hhqqi4x',fcntl.F_RDLCK,0,0x40000002,510,0));"
                  "print('held',flush=True);time.sleep(float(sys.argv[2]))")
        with subprocess.Popen([sys.executable, "-c", holder, self.box.vault / "ledger.db", "1.5"],
                              stdout=subprocess.PIPE) as process:
            process.stdout.readline()
            began = time.monotonic()
            self.box.kesu("ledger", "verify")
            self.assertGreater(time.monotonic() - began, 1)

    def test_the_end_of_what_is_mapped_is_said(self):
        """A disk that is full while a command runs: btrfs ends it by SIGBUS where SQLite writes what it has mapped."""
        place = self.vault_on("btrfs")
        command = ("seal", "loans-2019", "-", "--name", "dump", "-o", self.out)
        for json in (True, False):
            running = subprocess.Popen(self.box.kesu_command(*command, json=json), env=self.box.env, cwd=self.box.path,
                                       stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE)
            self.addCleanup(running.kill)
            running.stdin.write(b"x" * 3_000_000)
            running.stdin.flush()
            end = time.monotonic() + 60
            while not list(self.out.rglob("*.kesu-part")) and time.monotonic() < end:
                time.sleep(.02)
            os.sync()
            filler = places.fill(place)
            os.sync()
            said, told = running.communicate(timeout=120)
            words = (said if json else told).decode()
            self.assertEqual(running.returncode, 1, words)
            self.assertIn("disk-full", words)
            self.assertIn(str(place), words)
            self.verify_ledger()
            filler.unlink()
            self.box.kesu("inventory", "settle", "loans-2019")
            for sealed in self.out.rglob("*.kesu"):
                self.box.kesu("open", sealed, "-o", self.box.path / f"opened-{json}")
                self.assertEqual((self.box.path / f"opened-{json}" / "dump").stat().st_size, 3_000_000)
                sealed.unlink()
            self.assertEqual(self.leftovers(), [])
            self.verify_ledger()
            self.out = self.box.state / "another"
            command = (*command[:-1], self.out)


class Restored(World):
    def sealed(self, below):
        self.box.kesu("seal", "loans-2019", below, "-o", self.out)

    def test_attributes_that_one_file_cannot_have(self):
        """ext4 and btrfs call them "no space": the rest of the tree is restored, whatever is free."""
        tree = self.disk("xfs", "from") / "loans"
        (tree / "folder" / "deep").mkdir(parents=True)
        for name in ("a", "folder/b", "z"):
            (tree / name).write_text(name)
        (tree / "link").symlink_to("a")
        for name in ("a", "folder"):
            os.setxattr(tree / name, "user.large", b"v" * 60_000)
            os.setxattr(tree / name, "user.small", b"v")
        self.sealed(tree)
        for kind in ("ext4", "btrfs"):
            with self.subTest(kind):
                to = self.disk(kind, f"to-{kind}") / "opened"
                failed = self.box.kesu("open", self.out, "-o", to, code=8).json["failed"]
                self.assertEqual([(f["path"], f["code"]) for f in failed],
                                 [(str(to / "loans" / name), "io-failed") for name in ("a", "folder")])
                self.assertIn("60000 bytes", failed[0]["why"])
                self.assertEqual(sorted(str(p.relative_to(to / "loans")) for p in (to / "loans").rglob("*")),
                                 ["a", "folder", "folder/b", "folder/deep", "link", "z"])
                for name in ("a", "folder"):
                    self.assertEqual(os.listxattr(to / "loans" / name), ["user.small"])
        to = self.disk("xfs", "to-xfs") / "opened"
        self.box.kesu("open", self.out, "-o", to)
        self.assertEqual(os.getxattr(to / "loans" / "a", "user.large"), b"v" * 60_000)

    def test_attributes_for_which_there_is_no_room(self):
        """Of a disk that is really full that is said: the same command goes on."""
        tree = self.disk("xfs", "from") / "loans"
        tree.mkdir()
        (tree / "a").write_text("a")
        os.setxattr(tree / "a", "user.large", b"v" * 3000)
        self.sealed(tree)
        to = self.disk("ext4", "to")
        (to / "opened").mkdir()
        filler = places.fill(to)
        with open(filler, "r+b") as file:
            file.truncate(filler.stat().st_size - 2 * 4096)   # the directory and the file
        self.box.kesu("open", self.out, "-o", to / "opened", code=1, error="disk-full")

    def test_times_that_a_file_system_does_not_keep(self):
        tree = self.disk("btrfs", "from") / "loans"
        (tree / "folder").mkdir(parents=True)
        seconds = {"far": 20_000_000_000, "early": -5_000_000_000, "1969": -1000, "2050": 2_524_608_000, "folder": 20_000_000_000}
        for name, at in seconds.items():
            if name != "folder":
                (tree / name).write_text(name)
            os.utime(tree / name, ns=(0, at * 10**9 + 5))
        (tree / "link").symlink_to("far")
        os.utime(tree / "link", ns=(0, 20_000_000_000 * 10**9), follow_symlinks=False)
        self.sealed(tree)
        for kind in ("xfs", "ext4"):
            with self.subTest(kind):
                to = self.disk(kind, f"to-{kind}") / "opened"
                failed = self.box.kesu("open", self.out, "-o", to, code=8).json["failed"]
                self.assertEqual(sorted(pathlib.Path(f["path"]).name.removesuffix(".kesu") for f in failed),
                                 ["early", "far", "folder", "link"])
                self.assertEqual({f["why"].split(" of ")[0] for f in failed}, {"cannot set the time"})
                for name in ("far", "early", "1969", "2050"):
                    self.assertEqual((to / "loans" / name).read_text(), name)
                for name in ("1969", "2050"):
                    self.assertEqual((to / "loans" / name).stat().st_mtime_ns, seconds[name] * 10**9 + 5)


if __name__ == "__main__":
    harness.main()
