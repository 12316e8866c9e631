"""A place is known again by more than its inode: another disk at its path, or what a mount or a right hides, is not it.

Needs root, mount and mkfs.ext4; skipped where they do not work.
"""
import os
import pathlib
import shutil
import sys

sys.path.insert(0, str(pathlib.Path(__file__).parents[1] / "support"))
import harness
import harness_kill
import kill_world
import places
from kill_world import FILES
from mounted import Mounted

USER = 65534
DEEP = [name for name in FILES if name.startswith("2019/")]


class Disks(Mounted):
    """Disks that are mounted at self.out, one at a time."""

    def image(self, name, **options):
        """A new ext4, mounted at self.out."""
        self.out.mkdir(exist_ok=True)
        self.usable(places.ext4, self.out, self.box.path / f"{name}.img", 64 << 20, **options)
        self.addCleanup(places.unmount, self.out)

    def take_out(self):
        self.usable(places.run, "umount", self.out)

    def put_in(self, name):
        self.mount("-o", "loop", self.box.path / f"{name}.img", self.out)

    def moved_device(self, name):
        """The same disk again, under another device number."""
        before = os.stat(self.out).st_dev
        self.take_out()
        other = self.usable(places.run, "losetup", "-f", "--show", self.box.path / "other.img").strip()
        self.addCleanup(places.run, "losetup", "-d", other)
        self.put_in(name)
        return before != os.stat(self.out).st_dev

    def last_end(self):
        return [e for e in self.entries() if e["type"] in ("seal-done", "seal-abandoned")][-1]


class AnotherDisk(Disks):
    def test_another_disk_at_the_place(self):
        """Made within the same second: their roots have the same inode and time of birth."""
        self.image("a")
        self.take_out()
        self.image("b")
        inode = os.stat(self.out).st_ino
        self.take_out()
        self.put_in("a")
        self.assertEqual(os.stat(self.out).st_ino, inode)
        self.interrupted(3)
        self.take_out()
        for there in (lambda: self.put_in("b"), lambda: self.mount("-t", "tmpfs", "kesu-test", self.out), None):
            if there:
                there()
            still_open, result = self.settle(code=4)
            self.assertEqual(still_open, 1)
            self.assertIn(str(self.out), result.stderr)
            self.consistent()
            if there:
                self.take_out()
        self.put_in("a")
        self.assertEqual(self.settle()[0], 0)
        self.assertEqual((self.last_end()["type"], self.last_end()["nodes"][0]["n"]), ("seal-done", len(self.standing)))
        self.settled()

    def test_another_tmpfs_at_the_place(self):
        self.out.mkdir()
        kept = self.box.path / "kept"
        self.mount("-t", "tmpfs", "kesu-test", self.out)
        inode = os.stat(self.out).st_ino
        self.interrupted(3)
        self.bind(self.out, kept)
        self.take_out()
        self.mount("-t", "tmpfs", "kesu-test", self.out)
        self.assertEqual(os.stat(self.out).st_ino, inode)
        self.assertEqual(self.settle(code=4)[0], 1)
        self.take_out()
        self.bind(kept, self.out)
        self.assertEqual(self.settle()[0], 0)
        self.assertEqual(self.last_end()["nodes"][0]["n"], len(self.standing))

    def test_the_same_disk_again(self):
        """Under another device number, with nothing whole on it: no question is left."""
        with open(self.box.path / "other.img", "wb") as file:
            file.truncate(1 << 20)
        self.image("a")
        self.interrupted(0)
        self.assertTrue(list(self.out.rglob("*.kesu-part")))
        self.assertTrue(self.moved_device("a"))
        self.assertEqual(self.settle()[0], 0)
        self.assertEqual(self.last_end()["type"], "seal-abandoned")
        self.settled()

    def test_made_anew(self):
        """A file system gives a number that became free to the next directory."""
        self.image("a")
        self.out = self.out / "sealed"
        self.command = ("seal", "loans-2019", self.source, "-o", self.out)
        self.out.mkdir()
        self.interrupted(3)
        inode = os.stat(self.out).st_ino
        shutil.copytree(self.out, self.box.path / "elsewhere")
        shutil.rmtree(self.out)
        self.out.mkdir()
        self.assertEqual(os.stat(self.out).st_ino, inode)
        self.assertEqual(self.settle(code=4)[0], 1)
        # A copy says what it holds.
        shutil.rmtree(self.out)
        shutil.copytree(self.box.path / "elsewhere", self.out)
        self.assertEqual(self.settle()[0], 0)
        self.assertEqual(self.last_end()["nodes"][0]["n"], len(self.standing))


class Rewrap(Disks):
    """Copies are re-wrapped while what lies at the place is not seen: it does not count as moved."""

    def prepare(self):
        self.box.kesu(*self.command)
        self.copy = self.box.path / "copy"
        shutil.copytree(self.out, self.copy)
        self.box.kesu("key", "rotate", "loans")

    def destroy(self, **expect):
        return self.box.kesu("key", "destroy", "loans", "--version", "1", "-y", **expect)

    def test_another_disk_at_the_place(self):
        self.image("a")
        self.take_out()
        self.image("b")
        self.take_out()
        self.put_in("a")
        self.prepare()
        self.take_out()
        self.put_in("b")
        result = self.box.kesu("rewrap", "loans-2019", self.copy, code=8).json
        self.assertEqual(len(result["missing"]), len(list(self.copy.rglob("*.kesu"))))
        self.destroy(code=3, error="in-use")
        self.take_out()
        self.put_in("a")
        self.opens_to(self.out, self.wanted(1))
        # All of it is there: now it can go.
        self.box.kesu("rewrap", "loans-2019", self.copy)
        self.destroy()
        self.opens_to(self.out, self.wanted(1))

    def test_gone_from_the_same_disk(self):
        """What was removed from the place itself, on a disk that came back under another device number, is gone."""
        with open(self.box.path / "other.img", "wb") as file:
            file.truncate(1 << 20)
        self.image("a")
        self.prepare()
        shutil.rmtree(self.out / "loans")
        self.assertTrue(self.moved_device("a"))
        result = self.box.kesu("rewrap", "loans-2019", self.copy).json
        self.assertEqual(result["missing"], [])
        self.destroy()
        self.opens_to(self.copy, self.wanted(1))

    def test_a_mount_below_the_place(self):
        self.prepare()
        hiding = self.out / "loans" / "2019"
        self.mount("-t", "tmpfs", "kesu-test", hiding)
        result = self.box.kesu("rewrap", "loans-2019", self.copy, code=8).json
        self.assertEqual(sorted(m["path"] for m in result["missing"]), sorted(f"{self.out}/loans/{n}.kesu" for n in DEEP))
        self.destroy(code=3, error="in-use")
        places.unmount(hiding)
        self.opens_to(self.out, self.wanted(1))
        self.box.kesu("rewrap", "loans-2019", self.copy)
        self.destroy()
        self.opens_to(self.out, self.wanted(1))

    def test_declared_lost(self):
        self.prepare()
        hiding = self.out / "loans" / "2019"
        self.mount("-t", "tmpfs", "kesu-test", hiding)
        self.box.kesu("rewrap", "loans-2019", self.copy, "--location-lost", "disk 7 failed")
        self.assertIn("declared lost: disk 7 failed", [e["body"].get("why") for e in kill_world.of_type(self.entries(), "rewrap-done")])
        self.destroy()

    def interrupted_rewrap(self):
        self.prepare()
        *_, killed, result = harness_kill.traced(self.box.kesu_command("rewrap", "loans-2019"), 1, env=self.box.env,
                                                 cwd=self.box.path, only=("--call", "syncfs", "--under", f"{self.out}"))
        self.assertTrue(killed, result)
        self.hiding = self.out / "loans" / "2019"
        self.mount("-t", "tmpfs", "kesu-test", self.hiding)

    def open_rewraps(self):
        return [n for n in kill_world.open_nodes(self.entries()) if n.startswith("bat-")]

    def test_interrupted_and_then_a_mount(self):
        self.interrupted_rewrap()
        result = self.box.kesu("dataset", "add", "other", "--key", "loans")
        self.assertIn(str(self.hiding), result.stderr)
        self.assertEqual(len(self.open_rewraps()), 1)
        result = self.box.kesu("rewrap", "loans-2019", self.copy, code=8).json
        self.assertEqual(len(result["missing"]), len(DEEP))
        self.assertEqual(self.open_rewraps(), [])
        self.destroy(code=3, error="in-use")
        places.unmount(self.hiding)
        self.opens_to(self.out, self.wanted(1))
        self.box.kesu("rewrap", "loans-2019", self.copy)
        self.destroy()
        self.opens_to(self.out, self.wanted(1))

    def test_interrupted_and_given_up(self):
        self.interrupted_rewrap()
        still_open, result = self.settle("--location-lost", "disk 7 failed")
        self.assertEqual((still_open, result.json["given_up"]), (0, 1))
        self.assertEqual(self.open_rewraps(), [])
        done = kill_world.of_type(self.entries(), "rewrap-done")[-1]
        self.assertEqual(done["body"]["why"], "declared lost: disk 7 failed")
        self.destroy(code=3, error="in-use")


class Covered(Mounted):
    """A file that another one is mounted over, as containers do."""

    def test_single_files(self):
        for what in ("file", "device"):
            with self.subTest(what):
                self.out = self.box.state / what
                self.command = ("seal", "loans-2019", self.source, "-o", self.out)
                self.interrupted(3)
                cover = pathlib.Path("/dev/null")
                if what == "file":
                    cover = self.box.path / "cover"
                    cover.write_bytes(b"")
                covered = self.out / self.standing[0]
                self.mount("--bind", cover, covered)
                still_open, result = self.settle(code=4)
                self.assertEqual(still_open, 1)
                self.assertIn(str(covered), result.stderr)
                places.unmount(covered)
                self.assertEqual(self.settle()[0], 0)
                done = kill_world.of_type(self.entries(), "seal-done")[-1]
                self.assertEqual(done["nodes"][0]["n"], len(self.standing))

    def test_a_file_of_a_rewrap(self):
        self.box.kesu(*self.command)
        copy = self.box.path / "copy"
        shutil.copytree(self.out, copy)
        self.box.kesu("key", "rotate", "loans")
        victim, other = (self.out / "loans" / f"{n}.kesu" for n in DEEP)
        self.mount("--bind", other, victim)
        result = self.box.kesu("rewrap", "loans-2019", copy, code=8).json
        self.assertEqual([m["path"] for m in result["missing"]], [str(victim)])
        self.box.kesu("key", "destroy", "loans", "--version", "1", "-y", code=3, error="in-use")


class AsAUser(Disks):
    """kesu run by a user whom some directories are closed to."""

    def give(self, *more):
        for path in (self.box.path, *more):
            places.run("chown", "-R", f"{USER}:{USER}", path)

    def as_user(self, *words, code=0, **expect):
        command = self.box.kesu_command(*words)
        return self.box.run("setpriv", f"--reuid={USER}", f"--regid={USER}", "--clear-groups", *command, code=code, **expect)

    def settle(self, *words, code=0):
        result = self.as_user("inventory", "settle", "loans-2019", *words, code=code)
        return result.json["open"], result

    def test_a_file_systems_own_directory(self):
        """lost+found is root's and closed to others: nothing of kesu's is in it."""
        self.image("a", keep_own=True)
        self.interrupted(3)
        self.give()
        own = self.out / "lost+found"
        os.chown(own, 0, 0)
        self.assertEqual(self.settle()[0], 0)
        self.assertEqual(self.last_end()["nodes"][0]["n"], len(self.standing))
        self.as_user("seal", "loans-2019", self.source, "-o", self.out)
        report = self.as_user("inventory", "check", "loans-2019", self.out).json
        self.assertEqual((report["missing"], report["orphans"]), ([], []))
        self.assertEqual(self.as_user("inventory", "remove", self.out, "--dry-run").json["failed"], [])
        self.as_user("key", "rotate", "loans")
        self.as_user("rewrap", "loans-2019", self.out)

    def test_a_closed_directory_may_hold_objects(self):
        self.interrupted(3)
        closed = self.out / "loans" / "2019"
        hidden = [p for p in self.standing if "2019" in str(p)]
        self.give()
        os.chown(closed, 0, 0)
        closed.chmod(0o700)
        still_open, result = self.settle(code=4)
        self.assertEqual(still_open, 1)
        self.assertIn(str(closed), result.stderr)
        self.assertIn("Permission denied", result.stderr)
        still_open, result = self.settle("--location-lost", "nobody knows whose it is")
        self.assertEqual((still_open, result.json["given_up"]), (0, 1))
        seen = len(self.standing) - len(hidden)
        self.assertEqual(self.last_end()["type"], "seal-done" if seen else "seal-abandoned")
        self.assertEqual(self.last_end()["body"]["why"], "declared lost: nobody knows whose it is")
        # What else lies there is looked at, and the directory is named.
        part = self.out / f".{'0' * 32}.kesu-part"
        part.write_bytes(b"")
        report = self.as_user("inventory", "remove", self.out, "--dry-run", code=8).json
        self.assertEqual(([f["path"] for f in report["failed"]], [f["path"] for f in report["would_remove"]]), ([str(closed)], [str(part)]))
        closed.chmod(0o755)
        adopted = self.as_user("inventory", "adopt", "loans-2019", self.out).json
        self.assertEqual(adopted["adopted"], len(hidden))

    def test_a_closed_place(self):
        self.interrupted(3)
        self.give()
        os.chown(self.out, 0, 0)
        self.out.chmod(0o700)
        self.assertEqual(self.settle(code=4)[0], 1)
        still_open, result = self.settle("--location-lost", "nobody knows whose it is")
        self.assertEqual((still_open, result.json["given_up"]), (0, 1))
        self.assertEqual((self.last_end()["type"], self.last_end()["body"]["why"]),
                         ("seal-abandoned", "declared lost: nobody knows whose it is"))
        self.assertEqual(len(list(self.out.rglob("*.kesu"))), len(self.standing))

    def test_a_closed_file_may_be_an_object(self):
        self.interrupted(3)
        self.give()
        closed = self.out / self.standing[0]
        os.chown(closed, 0, 0)
        closed.chmod(0o600)
        still_open, result = self.settle(code=4)
        self.assertEqual(still_open, 1)
        self.assertIn(str(closed), result.stderr)
        still_open, result = self.settle("--location-lost", "nobody knows whose it is")
        self.assertEqual((still_open, result.json["given_up"]), (0, 1))
        self.assertEqual(self.last_end()["body"]["why"], "declared lost: nobody knows whose it is")


if __name__ == "__main__":
    harness.main()
