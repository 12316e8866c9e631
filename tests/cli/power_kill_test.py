"""The power is cut around every sync and change of a name that a command makes on its disk (tests/support/power.py): what it
had said holds, and the same command again reaches its end."""
import pathlib
import shutil
import sys

sys.path.insert(0, str(pathlib.Path(__file__).parents[1] / "support"))
import harness
import harness_kill
import kill_world
import power
from kill_world import FILES, content

SHARD = harness_kill.shard_of_environment()


class Sealing(power.World):
    def setUp(self):
        super().setUp()
        self.command = ("seal", "loans-2019", self.source, "-o", self.out)

    def cut(self, *words, check, **options):
        self.each_cut(*words, check=check, at=power.around_syncs, shard=SHARD, **options)
        self.after_success(*words, check=check)

    def whole(self, sealed, version=1):
        self.opens_to(sealed, self.wanted(version), facts=version == 1)
        checked = self.box.kesu("inventory", "check", "loans-2019").json
        self.assertEqual((checked["missing"], checked["damaged"]), ([], []))
        self.settled()

    def test_sources_removed(self):
        """What is not in its place any more is sealed and opens, before anything was settled."""
        words = (*self.command, "--remove-source")

        def check(call):
            gone = [n for n in FILES if not (self.source / n).exists()]
            for name in set(FILES) - set(gone):
                self.assertEqual((self.source / name).read_bytes(), content(name, FILES[name][0]))
            if gone:
                target = self.box.path / "at-once"
                shutil.rmtree(target, ignore_errors=True)
                self.box.kesu("open", self.out, "-o", target)
                for name in gone:
                    self.assertEqual((target / "loans" / name).read_bytes(), content(name, FILES[name][0]), name)
            if call:
                self.assertEqual(self.box.kesu(*words).json["failed"], [])
            self.assertEqual([p for p in self.source.rglob("*") if p.is_file()], [])
            self.whole(self.out)

        self.cut(*words, check=check)

    def test_sealed_over(self):
        self.box.kesu(*self.command)
        for name, (size, mode, mtime) in FILES.items():
            self.write_source(name, content(name, size, 2), mode, mtime + 1_000_000_000)

        def check(call):
            if call:
                self.assertEqual(self.box.kesu(*self.command, "--replace").json["failed"], [])
            self.whole(self.out, 2)

        self.cut(*self.command, "--replace", check=check)

    def test_rewrap(self):
        """The older version is destroyed at once: everything opens by the newer one."""
        self.box.kesu(*self.command)
        self.box.kesu("key", "rotate", "loans")

        def check(call):
            if call:
                self.assertEqual(self.box.kesu("rewrap", "loans-2019").json["failed"], [])
            self.box.kesu("key", "destroy", "loans", "--version", "1", "-y")
            self.whole(self.out)

        self.cut("rewrap", "loans-2019", check=check)

    def test_erase(self):
        self.box.kesu(*self.command)
        erasure = self.approve_erasure("loans-2019")

        def check(call):
            if call:
                self.box.kesu("erase", "run", erasure, "-y", code=(0, 3))
            self.assertEqual(self.box.kesu("erase", "status", erasure).json["stage"], "destroyed")
            self.assertEqual(len(kill_world.of_type(self.settled(), "destroy-done")), 1)
            self.token_matches_ledger(self.entries())

        self.cut("erase", "run", erasure, "-y", check=check)

    def test_a_key_of_a_keystore_file(self):
        """The keystore lies on the disk, too: what is destroyed does not come back, what was made is there."""
        box = self.box
        secret = box.path / "passphrase"
        secret.write_text("correct horse battery staple 9\n")
        secret.chmod(0o600)
        box.kesu("provider", "add", "soft1", f"soft:{self.disk}/keys.soft?passphrase-source=file:{secret}")
        box.kesu("key", "create", "trial", "--provider", "soft1")
        size = (self.disk / "keys.soft").stat().st_size

        def check(call):
            if call:
                box.kesu("key", "destroy", "trial", "-y", code=(0, 3))
            version, = kill_world.versions_of(self.settled(), "trial")
            self.assertEqual(kill_world.key_states(self.entries())[version], "destroyed")
            self.assertLess((self.disk / "keys.soft").stat().st_size, size)

        self.cut("key", "destroy", "trial", "-y", check=check)


if __name__ == "__main__":
    harness.main()
