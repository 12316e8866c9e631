"""Files of a keystore beside the one in use: an older one that came back, a link, a second name, one left behind."""
import pathlib
import shutil
import sys

sys.path.insert(0, str(pathlib.Path(__file__).parents[1] / "support"))
import scenario
import soft_test


class Copies(scenario.World):
    make_vault = False
    secret = staticmethod(soft_test.Soft.secret)

    @classmethod
    def prepare(cls):
        soft_test.Soft.prepare.__func__(cls)

    rekey = soft_test.Soft.rekey

    def open_copies(self):
        return [c for c in self.box.kesu("copy", "list").json if c["state"] == "open"]

    def test_an_older_file_holds_what_was_destroyed_before_the_rekeying(self):
        box = self.box
        self.seal("loans-2019", {"a.txt": b"one"})
        soft = self.version_of("loans")
        old = self.keystore.read_bytes()
        box.kesu("provider", "add", "token", box.token_uri)
        box.kesu("key", "create", "loans-hsm", "--provider", "token")
        box.kesu("dataset", "update", "loans-2019", "--key", "loans-hsm", "--reason", "the token has come")
        box.kesu("rewrap", "loans-2019")
        box.kesu("key", "destroy", "loans", "-y")
        copy = self.rekey().json["copy"]
        self.assertEqual(self.plan("loans-2019")["blockers"], [])        # the file as it was then held loans no more
        new = self.keystore.read_bytes()
        self.keystore.write_bytes(old)
        for _ in range(2):
            box.kesu("key", "create", "trial", "--provider", "soft1", code=3, error="container-old")
        self.keystore.write_bytes(new)
        found, = self.open_copies()
        self.assertEqual(found["id"], copy)
        self.assertIn(soft, [v["version"] for v in found["versions"]])
        blocker, = self.plan("loans-2019", code=3)["blockers"]
        self.assertIn(copy, blocker["what"])

    def test_an_older_file_holds_nothing_that_was_made_after_it(self):
        box = self.box
        self.seal("loans-2019", {"a.txt": b"one"})
        old, held = self.keystore.read_bytes(), self.version_of("loans")
        ended = self.rekey().json["copy"]
        box.kesu("copy", "destroy", ended, "--how", "every backup shredded", "--as", scenario.OPERATOR)
        box.kesu("key", "create", "later")
        new = self.keystore.read_bytes()
        self.keystore.write_bytes(old)
        for _ in range(2):
            box.kesu("key", "create", "trial", code=3, error="container-old")
        self.keystore.write_bytes(new)
        found, = self.open_copies()
        versions = [v["version"] for v in found["versions"]]
        self.assertIn(held, versions)
        self.assertNotIn(self.version_of("later"), versions)

    def test_a_link_is_refused(self):
        real = self.box.state / "real"
        self.keystore.rename(real)
        self.keystore.symlink_to(real)
        error = self.box.kesu("key", "create", "trial", code=3, error="pin-source-unsafe").json["error"]
        self.assertIn("is a symbolic link", error["message"])
        self.keystore.unlink()
        self.keystore.hardlink_to(real)
        error = self.box.kesu("key", "create", "trial", code=3, error="pin-source-unsafe").json["error"]
        self.assertIn("has 2 names", error["message"])
        real.unlink()
        self.box.kesu("key", "create", "trial")

    def test_a_file_that_was_left_behind_is_a_copy(self):
        self.seal("loans-2019", {"a.txt": b"one"})
        moved = self.box.state / "moved"
        shutil.copy2(self.keystore, moved)
        with open(self.box.vault / "kesu.toml", "a", encoding="utf-8") as config:
            config.write(f'\n[provider.soft1]\nuri = "soft:{moved}?passphrase-source=file:{self.first}"\n')
        for name in ("one", "two"):
            self.box.kesu("key", "create", name)
        left, = self.open_copies()
        self.assertEqual((left["kind"], left["place"]), ("keystore-file", str(self.keystore)))
        self.assertIn(self.version_of("loans"), [v["version"] for v in left["versions"]])
        found, = soft_test.of_type(self.entries(), "finding-recorded")
        self.assertEqual(found["body"]["what"], "container-left-behind")
        blocker, = self.plan("loans-2019", code=3)["blockers"]
        self.assertIn(left["id"], blocker["what"])
        # Moved, not copied: nothing is left behind.
        self.keystore.unlink()
        self.box.kesu("copy", "destroy", left["id"], "--how", "removed", "--as", scenario.OPERATOR)
        self.box.kesu("key", "create", "three")
        self.assertEqual(self.open_copies(), [])
        # A link to the file in use is no second file.
        self.keystore.symlink_to(moved)
        self.box.kesu("key", "create", "four")
        self.assertEqual(self.open_copies(), [])
        self.keystore.unlink()
        # What cannot be looked at may be one.
        shutil.copy2(moved, self.keystore)
        self.keystore.chmod(0o644)
        for name in ("five", "six"):
            self.box.kesu("key", "create", name)
        left, = self.open_copies()
        self.assertEqual(left["place"], str(self.keystore))
        self.assertIn(self.version_of("loans"), [v["version"] for v in left["versions"]])


if __name__ == "__main__":
    scenario.main()
