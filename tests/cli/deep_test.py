"""Paths longer than the system takes at once (PATH_MAX, 4096): what sealing makes, every other command reaches."""
import json
import os
import pathlib
import shutil
import subprocess
import sys

sys.path.insert(0, str(pathlib.Path(__file__).parents[1] / "support"))
import proof as proofs
import scenario

NAME = "d" * 240
LEVELS = 20  # 4820 bytes below the source


class At:
    """A file deep below a directory, by descriptors: no path of it can be given to the system."""

    def __init__(self, root, levels=LEVELS, make=False):
        self.fd = os.open(root, os.O_RDONLY | os.O_DIRECTORY)
        for _ in range(levels):
            if make and NAME not in os.listdir(self.fd):
                os.mkdir(NAME, dir_fd=self.fd)
            below = os.open(NAME, os.O_RDONLY | os.O_DIRECTORY, dir_fd=self.fd)
            os.close(self.fd)
            self.fd = below

    def __enter__(self):
        return self

    def __exit__(self, *_):
        os.close(self.fd)

    def write(self, name, data):
        with open(os.open(name, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o644, dir_fd=self.fd), "wb") as file:
            file.write(data)

    def read(self, name):
        with open(os.open(name, os.O_RDONLY, dir_fd=self.fd), "rb") as file:
            return file.read()

    def flip(self, name, at):
        with open(os.open(name, os.O_RDWR, dir_fd=self.fd), "r+b") as file:
            file.seek(at)
            byte = file.read(1)[0]
            file.seek(at)
            file.write(bytes([byte ^ 1]))

    def unlink(self, name):
        os.unlink(name, dir_fd=self.fd)

    def names(self):
        return sorted(os.listdir(self.fd))


class Deep(scenario.World):
    def setUp(self):
        super().setUp()
        self.tree = self.box.path / "tree"
        self.into = self.box.path / "into"
        for path in (self.tree, self.into):
            shutil.rmtree(path, ignore_errors=True)
            path.mkdir()
        with At(self.tree, make=True) as at:
            at.write("deep", b"at the bottom")
        (self.tree / "flat").write_bytes(b"at the top")
        result = self.box.kesu("seal", "loans-2019", self.tree, "-o", self.into).json
        self.assertEqual((result["sealed"], result["failed"]), (2, []))
        self.place = os.path.join(self.into, "tree", *[NAME] * LEVELS, "deep.kesu")

    def sealed(self):
        return At(self.into / "tree")

    def check(self, *words, code=0):
        return self.box.kesu("inventory", "check", "loans-2019", *words, code=code).json

    def assertGood(self, result, objects=3):
        self.assertEqual((result["objects"], result["good"], result["missing"], result["damaged"], result["orphans"]),
                         (objects, objects, [], [], []))

    def test_check(self):
        for words in ((), ("--quick",), (self.into,), ("--quick", self.into)):
            with self.subTest(words):
                self.assertGood(self.check(*words))
        with self.sealed() as at:
            at.write("odd.kesu", b"junk")
            at.write("." + "ab" * 16 + ".kesu-part", b"p")
            for words in ((self.into,), ("--quick", self.into)):
                self.assertEqual(sorted(r["code"] for r in self.check(*words)["orphans"]), ["part", "unreadable"])
            at.flip("deep.kesu", 4096 + 3)
        row, = self.check(code=6)["damaged"]
        self.assertEqual((row["path"], row["code"]), (self.place, "sealed-damaged"))

    def test_named_by_a_long_path(self):
        proof = self.box.kesu("inventory", "prove", self.place).json
        with self.sealed() as at:
            self.assertEqual(proofs.check(proof, proof["vkey"], at.read("deep.kesu"), proof["checkpoint"]), "object")
        self.assertEqual(self.box.kesu("info", self.place).json["object"], proof["object"])
        self.assertEqual(self.box.kesu("inventory", "adopt", "loans-2019", self.place).json["known"], 1)
        result = self.check("--quick", os.path.dirname(self.place), code=8)
        self.assertEqual((result["good"], len(result["missing"])), (1, 2))

    def test_adopt_and_remove(self):
        kept = self.box.path / "vault-kept"
        shutil.copytree(self.box.vault, kept)
        with At(self.tree) as at:
            at.write("lost", b"lost and found")
        self.box.kesu("seal", "loans-2019", self.tree, "-o", self.into)
        shutil.rmtree(self.box.vault)
        kept.rename(self.box.vault)
        result = self.box.kesu("inventory", "adopt", "loans-2019", self.into).json
        # The manifest of the second sealing, too.
        self.assertEqual((result["adopted"], result["known"], result["failed"]), (2, 3, []))
        self.assertGood(self.check(self.into), 5)
        part = "." + "ab" * 16 + ".kesu-part"
        with self.sealed() as at:
            at.write(part, b"left")
            result = self.box.kesu("inventory", "remove", self.into, "--reason", "power cut", "-y").json
            self.assertEqual([r["path"] for r in result["removed"]], [os.path.join(os.path.dirname(self.place), part)])
            self.assertEqual((result["failed"], at.names()), ([], ["deep.kesu", "lost.kesu"]))

    def test_rewrap(self):
        for words in ((), (self.into,), (self.place,)):
            with self.subTest(words):
                self.box.kesu("key", "rotate", "loans")
                result = self.box.kesu("rewrap", "loans-2019", *words).json
                self.assertEqual((result["moved"], result["missing"], result["failed"]), (1 if words == (self.place,) else 3, [], []))
        slots = {s["key_version"] for s in self.box.kesu("info", self.place).json["slots"]}
        self.assertIn(self.version_of("loans", 4), slots)

    def test_an_erasure_takes_its_samples_there(self):
        shutil.rmtree(self.tree)
        shutil.rmtree(self.into)
        self.box.restore("prepared")
        self.tree.mkdir()
        self.into.mkdir()
        with At(self.tree, make=True) as at:
            at.write("deep", b"at the bottom")
        self.box.kesu("seal", "loans-2019", self.tree, "-o", self.into)
        self.run_erasure(self.approved("loans-2019"))
        self.box.kesu("open", self.into, "-o", self.box.path / "none", code=3)


class Long(scenario.World):
    """A thousand files in a batch, and each path near the longest that is taken: the memory is that of short ones,
    and the inventory's segments are such that they are read again."""
    FILES, COMPONENT, DEPTH = 600, "d" * 250, 248                          # 62,248 bytes below the source

    def peak(self, *words):
        """MiB that the command had at most."""
        command = self.box.kesu_command(*words)
        with open(self.box.path / "said", "wb") as said:
            child = subprocess.Popen(command, env=self.box.env, stdout=said, stderr=said)
            _, status, used = os.wait4(child.pid, 0)
            child.returncode = os.waitstatus_to_exitcode(status)
        text = (self.box.path / "said").read_text()
        self.assertEqual(child.returncode, 0, text[:2000])
        return used.ru_maxrss / 1024, json.loads(text)

    def test_memory(self):
        tree, into = self.box.path / "long", self.box.path / "long-sealed"
        tree.mkdir()
        fd = os.open(tree, os.O_RDONLY | os.O_DIRECTORY)
        for _ in range(self.DEPTH):
            os.mkdir(self.COMPONENT, dir_fd=fd)
            below = os.open(self.COMPONENT, os.O_RDONLY | os.O_DIRECTORY, dir_fd=fd)
            os.close(fd)
            fd = below
        self.addCleanup(os.close, fd)
        for i in range(self.FILES):
            os.close(os.open(f"{i:04}", os.O_CREAT | os.O_WRONLY, 0o644, dir_fd=fd))
        for words, member, count in (
                (("seal", "loans-2019", tree, "-o", into), "sealed", self.FILES),
                (("seal", "loans-2019", tree, "-o", into, "--replace"), "unchanged", self.FILES),
                (("inventory", "check", "loans-2019", "--quick"), "good", self.FILES + 1),
                (("key", "rotate", "loans"), "name", "loans"),
                (("rewrap", "loans-2019"), "moved", self.FILES + 1),
                (("open", into, "-o", self.box.path / "long-opened"), "opened", self.FILES)):
            mib, result = self.peak(*words)
            with self.subTest(words[0]):
                self.assertLess(mib, 128)
                self.assertEqual((result.get(member), result.get("failed", [])), (count, []))


if __name__ == "__main__":
    scenario.main()
