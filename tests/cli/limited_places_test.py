"""Places whose file system can do less: no names kept free by rename, no links, one name for several (exFAT, object stores by FUSE)."""
import os
import pathlib
import sys

sys.path.insert(0, str(pathlib.Path(__file__).parents[1] / "support"))
import harness
import places
import scenario

NEITHER = ("renameat2:error=EINVAL", "link,linkat:error=EPERM")


class Limited(scenario.World):
    def there(self, *words, without=NEITHER, code=0):
        """Runs kesu where some system calls are what such a file system answers."""
        inject = [w for rule in without for w in ("-e", f"inject={rule}")]
        return self.box.run("strace", "-f", "-o", "/dev/null", *inject, *self.box.kesu_command(*words), code=code)

    def test_neither_links_nor_renames_that_do_not_replace(self):
        files = {f"f{i}": b"%d" % i for i in range(80)} | {"sub/large": os.urandom(300_000)}
        self.seal("loans-2019", files)
        src, out, to = self.box.state / "src", self.box.path / "there", self.box.path / "opened-there"
        self.assertEqual(self.there("seal", "loans-2019", src, "-o", out).json["sealed"], 81)
        self.assertEqual(self.there("seal", "loans-2019", src, "-o", out).json["unchanged"], 81)
        self.assertEqual([p.name for p in out.rglob(".*") if "part" in p.name], [])
        self.assertEqual(self.there("open", out, "-o", to).json["opened"], 81)
        self.assertEqual(self.files_below(to / "src"), files)
        # What is there stays.
        (to / "src/f1").write_bytes(b"mine")
        again = self.there("open", out / "src/f1.kesu", "-o", to, code=None)
        self.assertEqual((again.code, (to / "src/f1").read_bytes()), (3, b"mine"), again)

    def test_no_modes(self):
        """The bytes come back; that the mode did not is said."""
        self.seal("loans-2019", {"a": b"one", "b": b"two"})
        to = self.box.path / "no-modes"
        r = self.there("open", self.out, "-o", to, without=["fchmod:error=EPERM"], code=8)
        self.assertEqual((r.json["opened"], self.files_below(to / "src")), (2, {"a": b"one", "b": b"two"}))
        said = [f["why"] for f in r.json["failed"]]
        for name in ("a", "b"):
            self.assertTrue(any(f"set the mode of {to}/src/{name}: " in why for why in said), said)
        to = self.box.path / "no-modes-stream"
        inject = ("strace", "-f", "-o", "/dev/null", "-e", "inject=fchmod:error=EPERM")
        with self.subTest("from a pipe"):
            r = self.box.run(*inject, *self.box.kesu_command("open", "-", "-o", to), code=8,
                             stdin=(self.out / "src/a.kesu").read_bytes())
            self.assertEqual((r.json["opened"], self.files_below(to)), (1, {"src/a": b"one"}))
            self.assertIn(f"set the mode of {to}/src/a: ", r.json["failed"][0]["why"])

    def test_by_force_two_names_that_are_one_there(self):
        """As where upper and lower case are one, here by a mount: the second does not replace the first."""
        places.needed(self)
        self.seal("loans-2019", {"D/x": b"upper", "d/x": b"lower"})
        for before in (False, True):
            with self.subTest(there_before=before):
                to = self.box.path / f"forced-{before}"
                for name in ("D", "d"):
                    (to / "src" / name).mkdir(parents=True)
                if before:
                    (to / "src/D/x").write_bytes(b"old")
                places.run("mount", "--bind", to / "src/D", to / "src/d")
                self.addCleanup(places.unmount, to / "src/d")
                r = self.box.kesu("open", self.out, "-o", to, "--force", code=8).json
                self.assertEqual((r["opened"], [f["code"] for f in r["failed"]]), (1, ["already-exists"]), r)
                self.assertIn((to / "src/d/x").read_bytes(), (b"upper", b"lower"))


if __name__ == "__main__":
    scenario.main()
