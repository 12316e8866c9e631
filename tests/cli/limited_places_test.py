"""Places whose file system can do less: no names kept free by rename, no links, one name for several (exFAT, object stores by FUSE)."""
import os
import pathlib
import sys

sys.path.insert(0, str(pathlib.Path(__file__).parents[1] / "support"))
import harness
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


if __name__ == "__main__":
    scenario.main()
