"""Trees sealed and opened: everything a file system has comes back exactly; what is in the way, or lies, leads nowhere."""
import os
import pathlib
import signal
import shutil
import socket
import stat
import subprocess
import sys
import time

sys.path.insert(0, str(pathlib.Path(__file__).parents[1] / "support"))
import scenario
from scenario import CHUNK

ROOT = os.geteuid() == 0
NS = 1_700_000_000_123_456_789


def snapshot(root):
    """name -> everything of it that is to be kept, by descriptors: paths may be longer than the system takes."""
    out, inodes = {}, {}
    top = os.open(root, os.O_RDONLY)
    stack = [(top, b"")]
    while stack:
        at, name = stack.pop()
        for leaf in sorted(os.listdir(at)):
            leaf = os.fsencode(leaf)
            full = name + b"/" + leaf if name else leaf
            st = os.lstat(leaf, dir_fd=at)
            facts = [stat.S_IFMT(st.st_mode), st.st_mode & 0o7777, st.st_mtime_ns, (st.st_uid, st.st_gid) if ROOT else None]
            if stat.S_ISDIR(st.st_mode):
                below = os.open(leaf, os.O_RDONLY | os.O_NOFOLLOW, dir_fd=at)
                stack.append((below, full))
                facts.append(xattrs(below))
            elif stat.S_ISLNK(st.st_mode):
                facts.append(os.readlink(leaf, dir_fd=at))
            elif stat.S_ISREG(st.st_mode):
                fd = os.open(leaf, os.O_RDONLY | os.O_NOFOLLOW, dir_fd=at)
                facts += [os.pread(fd, 1 << 20, 0) if st.st_size < 1 << 20 else st.st_size, xattrs(fd),
                          inodes.setdefault(st.st_ino, full)]
                os.close(fd)
            out[full] = facts
        os.close(at)
    return out


def xattrs(fd):
    return {n: os.getxattr(fd, n) for n in os.listxattr(fd) if n.startswith("user.") or n.startswith("system.posix_acl")}


class Tree(scenario.World):
    @classmethod
    def source(cls, name="src"):
        path = cls.box.state / name
        subprocess.run(["rm", "-rf", path], check=True)
        path.mkdir(parents=True)
        return path

    def target(self, name="opened"):
        path = self.box.path / name
        subprocess.run(["rm", "-rf", path], check=True)
        self.addCleanup(subprocess.run, ["rm", "-rf", path])
        return path

    def same(self, a, b):
        """As assertEqual, but a difference is named, not printed whole."""
        self.assertEqual(sorted(a), sorted(b)) if len(a) < 500 else self.assertEqual(len(a), len(b))
        for name in a:
            self.assertEqual(a[name], b[name], name[:200])

    def round_trip(self, src, *words):
        before = snapshot(src)
        self.box.kesu("seal", "loans-2019", src, "-o", self.out)
        self.same(snapshot(src), before)
        out = self.target()
        result = self.box.kesu("open", self.out, "-o", out, *words).json
        self.assertEqual(result["failed"], [])
        self.same(snapshot(out / src.name), before)
        self.assertEqual(os.stat(out / src.name).st_mtime_ns, os.stat(src).st_mtime_ns)
        self.assertEqual(os.stat(out / src.name).st_mode, os.stat(src).st_mode)
        return result

    def test_everything_comes_back(self):
        src = self.source()
        names = (b"plain", "日本語.csv".encode(), b"new\nline", b"\xff\xfe", b"n" * 240, b"-o", b" ", b"*")
        for i, name in enumerate(names):
            self.write(name, name * 3, (0o644, 0o400, 0o755)[i % 3], NS + i)
        self.write("d/e/f", b"deep")
        os.makedirs(src / "empty" / "emptier")
        os.makedirs(os.fsencode(src) + b"/\xfe dir/" + "空".encode())
        os.symlink("plain", src / "link")
        os.symlink("../../nowhere", src / "d" / "dangling")
        os.symlink("loop", src / "loop")
        os.symlink("/etc", src / "absolute")
        os.symlink(b"\xff\n", os.fsencode(src) + b"/odd")
        os.link(src / "plain", src / "d" / "hard")
        os.link(src / "plain", src / "z-hard")
        with open(src / "sparse", "wb") as f:
            f.seek((8 << 20) - 1)
            f.write(b"x")
        try:
            os.setxattr(src / "plain", "user.checked", b"\0\1\2")
            os.setxattr(src / "d", "user.d", b"dir")
        except OSError as e:
            print(f"without extended attributes: {e}")
        os.chmod(src / "empty", 0o1770)
        os.chmod(src / "d", 0o2755)
        if ROOT:
            for path in (src / "d" / "e" / "f", src / "link", src / "empty"):
                os.lchown(path, 12345, 54321)
            os.chown(src / "plain", 1, 2)
            self.write("suid", b"#!", 0o644)
            os.chown(src / "suid", 3, 3)
            os.chmod(src / "suid", 0o6755)
        for i, path in enumerate(sorted(src.rglob("*"), key=lambda p: -len(p.parts))):
            os.utime(path, ns=(NS, NS + 7 * i), follow_symlinks=False)
        os.utime(src, ns=(NS, 1))
        result = self.round_trip(src)
        self.assertEqual((result["symlinks"], result["links"], result["directories"]), (5, 2, 7))
        if ROOT:
            self.assertEqual(result["notes"], [])

    def test_opened_by_somebody_who_is_not_root(self):
        if not ROOT:
            self.skipTest("what root restores and others do not needs root to be made")
        src = self.source()
        self.write("plain", b"plain", 0o640, NS)
        self.write("d/deep", b"deep", 0o400, NS)
        for name, mode in (("suid", 0o4755), ("sgid", 0o2755), ("capable", 0o755)):
            self.write(name, name.encode(), 0o755, NS)
            os.chown(src / name, 3, 3)
            os.chmod(src / name, mode)
        os.chown(src / "plain", 1, 2)
        os.symlink("plain", src / "link")
        os.lchown(src / "link", 12345, 54321)
        os.link(src / "plain", src / "d" / "hard")
        os.mkfifo(src / "fifo")
        words = ["plain", "d/deep", "suid", "sgid", "capable", "link", "d/hard"]
        refused = []
        try:
            os.setxattr(src / "plain", "user.checked", b"kept")
            os.setxattr(src / "capable", "security.capability", bytes.fromhex("0100000200040000000000000000000000000000"))
            refused = ["capable"]
        except OSError as e:
            print(f"without extended attributes: {e}")
        before = snapshot(src)
        sealed = self.box.kesu("seal", "loans-2019", src, "-o", self.out).json
        self.assertEqual([(s["path"], s["why"]) for s in sealed["skipped"]], [(str(src / "fifo"), "a FIFO")])
        out = self.target("others")
        out.mkdir()
        self.addCleanup(subprocess.run, ["chown", "-Rh", "0:0", self.box.path], check=True)
        subprocess.run(["chown", "-Rh", "65534:65534", self.box.path], check=True)
        command = self.box.kesu_command("open", self.out, "-o", out)
        result = self.box.run("setpriv", "--reuid=65534", "--regid=65534", "--clear-groups", *command,
                              code=8 if refused else 0).json
        self.assertEqual((result["opened"], result["symlinks"], result["links"], result["directories"]), (5, 1, 1, 2))
        self.assertEqual([pathlib.Path(f["path"]).name for f in result["failed"]], refused)
        notes = " ".join(result["notes"])
        self.assertIn("owners of src not restored", notes)
        self.assertIn("bits of 2 files not restored", notes)
        # All else is as it was: contents, times, links, attributes of users, modes but for those bits.
        after = snapshot(out / "src")
        self.assertEqual(sorted(map(os.fsdecode, after)), sorted(words + ["d"]))
        for name, facts in after.items():
            wanted = list(before[name])
            wanted[1] &= 0o777 if stat.S_ISREG(wanted[0]) else 0o7777
            wanted[3] = (65534, 65534)
            self.assertEqual(facts, wanted, name)
        self.assertEqual(os.stat(out / "src").st_mtime_ns, os.stat(src).st_mtime_ns)

    def test_unchanged_trees_are_not_sealed_again(self):
        src = self.source()
        self.write("a")
        os.mkdir(src / "d")
        self.box.kesu("seal", "loans-2019", src, "-o", self.out)
        before = len(self.entries())
        again = self.box.kesu("seal", "loans-2019", src, "-o", self.out).json
        self.assertEqual((again["sealed"], again["unchanged"]), (0, 1))
        self.assertEqual([e["type"] for e in self.entries()[before:] if "seal" in e["type"]], [])

    def test_what_is_no_file_is_skipped(self):
        src = self.source()
        self.write("a")
        os.mkfifo(src / "fifo")
        s = socket.socket(socket.AF_UNIX)
        self.addCleanup(s.close)
        os.chdir(src)
        self.addCleanup(os.chdir, "/")
        s.bind("sock")
        if ROOT:
            os.mknod(src / "null", 0o600 | stat.S_IFCHR, os.makedev(1, 3))
        result = self.box.kesu("seal", "loans-2019", src, "-o", self.out).json
        self.assertEqual((result["sealed"], result["failed"]), (1, []))
        self.assertEqual(sorted(os.path.basename(s["path"]) for s in result["skipped"]), ["fifo"] + ["null"] * ROOT + ["sock"])

    def test_ten_thousand_levels(self):
        src = self.source()
        at = os.open(src, os.O_RDONLY)
        for i in range(10_000):
            os.mkdir("d", dir_fd=at)
            if i in (300, 5000, 9999):
                os.close(os.open("f", os.O_CREAT | os.O_WRONLY, 0o644, dir_fd=at))
            below = os.open("d", os.O_RDONLY, dir_fd=at)
            os.close(at)
            at = below
        os.close(at)
        self.addCleanup(subprocess.run, ["rm", "-rf", src, self.out])
        self.box.kesu("seal", "loans-2019", src, "-o", self.out)
        out = self.target()
        result = self.box.kesu("open", self.out, "-o", out).json
        self.assertEqual((result["opened"], result["directories"], result["failed"]), (3, 10_001, []))
        self.same(snapshot(out / "src"), snapshot(src))

    def test_links_in_the_output_are_not_followed(self):
        src = self.source()
        self.write("d/a", b"data")
        os.mkdir(src / "d" / "e")
        os.symlink("x", src / "l")
        self.box.kesu("seal", "loans-2019", src, "-o", self.out)
        out, elsewhere = self.target(), self.target("elsewhere")
        elsewhere.mkdir()
        (out / "src").mkdir(parents=True)
        os.symlink(elsewhere, out / "src" / "d")
        result = self.box.kesu("open", self.out, "-o", out, "--force", code=None)
        self.assertEqual(list(elsewhere.iterdir()), [])
        self.assertIn(result.code, (3, 8))
        # And the whole of it:
        self.assertTrue((out / "src" / "d").is_symlink())
        shutil.rmtree(out / "src")
        os.symlink(elsewhere, out / "src")
        self.box.kesu("open", self.out, "-o", out, code=None)
        self.assertEqual(list(elsewhere.iterdir()), [])

    def test_what_is_there_is_kept(self):
        src = self.source()
        self.write("a", b"new")
        os.symlink("new", src / "l")
        self.box.kesu("seal", "loans-2019", src, "-o", self.out)
        out = self.target()
        (out / "src").mkdir(parents=True)
        (out / "src" / "a").write_bytes(b"mine")
        os.symlink("mine", out / "src" / "l")
        result = self.box.kesu("open", self.out, "-o", out, code=3).json
        self.assertEqual({f["code"] for f in result["failed"]}, {"already-exists"})
        self.assertEqual(((out / "src" / "a").read_bytes(), os.readlink(out / "src" / "l")), (b"mine", "mine"))
        self.box.kesu("open", self.out, "-o", out, "--force")
        self.assertEqual(((out / "src" / "a").read_bytes(), os.readlink(out / "src" / "l")), (b"new", "new"))

    def test_a_part_of_a_tree(self):
        src = self.source()
        self.write("d/a", b"one")
        self.write("d/b", b"two")
        os.link(src / "d" / "a", src / "hard")
        self.box.kesu("seal", "loans-2019", src, "-o", self.out)
        self.assertEqual(self.opened(self.out / "src" / "d" / "b.kesu"), {"src/d/b": b"two"})
        self.assertEqual(self.opened(self.out / "src" / "d"), {"src/d/a": b"one", "src/d/b": b"two"})
        os.unlink(self.out / "src" / "d" / "a.kesu")
        out = self.target()
        result = self.box.kesu("open", self.out, "-o", out).json
        self.assertEqual((result["opened"], result["links"], result["failed"]), (1, 0, []))
        self.assertIn("1 hard link", result["notes"][0])

    def test_private_directories_stay_private(self):
        src = self.source()
        self.write("private/a", b"one")
        os.chmod(src / "private", 0o700)
        self.round_trip(src)

    def test_resume(self):
        src = self.source()
        for n in range(5):
            self.write(f"f{n}", b"x" * n)
        self.box.kesu("seal", "loans-2019", src, "-o", self.out)
        out = self.target()
        self.box.kesu("open", self.out, "-o", out)
        os.unlink(out / "src" / "f3")
        (out / "src" / "f4").write_bytes(b"other")
        result = self.box.kesu("open", self.out, "-o", out, "--resume", code=8).json
        self.assertEqual((result["opened"], result["already"]), (1, 3))
        self.assertEqual([os.path.basename(f["path"]) for f in result["failed"]], ["f4.kesu"])

    def test_interrupted(self):
        src = self.source()
        for n in range(3):
            with open(self.write(f"f{n}"), "r+b") as f:
                f.truncate(1 << 30)
        self.box.kesu("seal", "loans-2019", src, "-o", self.out, timeout=300)
        out = self.target()
        process = subprocess.Popen([str(w) for w in self.box.kesu_command("open", self.out, "-o", out)],
                                   stdout=subprocess.PIPE, env=self.environment())
        until = time.monotonic() + 60
        while not list(out.rglob(".*.kesu-open")) and process.poll() is None and time.monotonic() < until:
            time.sleep(0.005)
        process.send_signal(signal.SIGINT)
        process.communicate()
        if process.returncode == 0:
            return self.skipTest("it was done before the signal came")
        self.assertEqual(process.returncode, 130)
        self.assertEqual([p for p in out.rglob("*") if p.name.startswith(".")], [])
        for path in out.rglob("f?"):
            self.assertEqual(path.stat().st_size, 1 << 30)
        self.box.kesu("open", self.out, "-o", out, "--resume", timeout=300)
        self.assertEqual(len(list((out / "src").iterdir())), 3)

    def environment(self):
        return dict(self.box.env)

    def test_streams(self):
        data = os.urandom(3 * CHUNK + 5)
        self.seal("loans-2019", {"a": data})
        sealed = self.out / "src" / "a.kesu"
        self.assertEqual(self.raw("open", sealed, "-o", "-").stdout, data)
        self.assertEqual(self.raw("open", "-", "-o", "-", stdin=sealed.read_bytes()).stdout, data)
        out = self.target()
        self.box.kesu("open", "-", "-o", out, stdin=sealed.read_bytes())
        self.assertEqual((out / "src" / "a").read_bytes(), data)
        self.assertEqual((out / "src" / "a").stat().st_mtime_ns, (self.box.state / "src" / "a").stat().st_mtime_ns)
        self.box.kesu("open", "-", "-o", out, stdin=sealed.read_bytes(), code=3, error="already-exists")
        damaged = bytearray(sealed.read_bytes())
        damaged[-1] ^= 1
        shutil.rmtree(out)
        self.box.kesu("open", "-", "-o", out, stdin=bytes(damaged), code=6, error="sealed-damaged")
        self.assertEqual([p for p in out.rglob("*") if not p.is_dir()], [])
        cut = self.raw("open", "-", "-o", "-", stdin=sealed.read_bytes()[:-CHUNK], code=6)
        self.assertTrue(data.startswith(cut.stdout) and len(cut.stdout) < len(data))
        self.box.kesu("open", sealed, "-o", "-", code=2, error="usage")  # --json

    def raw(self, *words, stdin=b"", code=0):
        done = subprocess.run([str(w) for w in self.box.kesu_command(*words, json=False)], input=stdin,
                              capture_output=True, env=self.environment())
        self.assertEqual(done.returncode, code, done.stderr)
        return done

    def test_selection(self):
        src = self.source()
        for name in ("a.csv", "a.txt", "cache/x.csv", "sub/b.csv"):
            self.write(name, name.encode())
        result = self.box.kesu("seal", "loans-2019", src, "-o", self.out, "--include", "*.csv", "--exclude", "cache/").json
        self.assertEqual(result["sealed"], 2)
        self.assertEqual(sorted(self.opened(self.out)), ["src/a.csv", "src/sub/b.csv"])
        shutil.rmtree(self.out)
        result = self.box.kesu("seal", "loans-2019", src, "-o", self.out, "--files-from", "-", stdin=b"cache\nnot/there\n",
                               code=8).json
        self.assertEqual([f["code"] for f in result["failed"]], ["not-found"])
        self.assertEqual(sorted(self.opened(self.out)), ["src/cache/x.csv"])


if __name__ == "__main__":
    scenario.main()
