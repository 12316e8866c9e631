"""Tombstones: what was destroyed stands in a second directory, too, so that an old copy of vault and token does not make
it live again. Killed at every call there, an erasure goes on; where the place is missing, it ends and says so."""
import json
import pathlib
import shutil
import sys

sys.path.insert(0, str(pathlib.Path(__file__).parents[1] / "support"))
import harness
import harness_kill
import scenario


class Tombstone(scenario.World):
    @classmethod
    def prepare(cls):
        cls.stones = cls.box.state / "stones"
        cls.stones.mkdir()
        cls.configure(cls.stones)
        cls.seal("loans-2019", {"a": b"one"})

    @classmethod
    def configure(cls, place):
        config = cls.box.vault / "kesu.toml"
        lines = [line for line in config.read_text().splitlines() if not line.startswith("tombstones")]
        lines.insert(lines.index("[vault]") + 1, f'tombstones = "{place}"')
        config.write_text("\n".join(lines) + "\n")

    def erase(self):
        erasure = self.approved("loans-2019")
        self.run_erasure(erasure)
        return erasure

    def read(self):
        """The datum of the one tombstone that there is, after its form has been looked at."""
        path, = self.stones.glob("*.tombstone")      # a part file of a killed command may lie beside it
        text, _, signatures = path.read_text().partition("\n\n")
        kind, datum = text.split("\n")
        self.assertEqual((kind, len(signatures.splitlines())), ("kesu-tombstone-v1", 1))
        said = json.loads(datum)
        self.assertEqual(path.name, f"{said['vault']}.{said['version']}.tombstone")
        return said

    def due(self):
        return [d for d in self.box.kesu("status").json["due"] if d["what"] == "tombstone"]

    def checked(self):
        return {c["check"]: c["result"] for c in self.box.kesu("doctor", "--offline", code=None).json["checks"]}["tombstones"]

    def old_copy(self):
        """Vault and token as they were, put back after the erasure. Returns the version that came back."""
        aside = self.box.path / "aside"
        shutil.rmtree(aside, ignore_errors=True)
        aside.mkdir()
        for name in ("vault", "token"):
            harness.copy_tree(self.box.state / name, aside / name)
        version = self.version_of("loans")
        self.erase()
        for name in ("vault", "token"):
            shutil.rmtree(self.box.state / name)
            harness.copy_tree(aside / name, self.box.state / name)
        return version

    def test_each_destruction_leaves_one(self):
        version = self.version_of("loans")
        erasure = self.erase()
        said, entries = self.read(), self.entries()
        done, = (e for e in entries if e["type"] == "destroy-done")
        intended, = (e for e in entries if e["type"] == "destroy-intended")
        self.assertEqual((said["version"], said["erasure"], said["receipt"]), (version, erasure, done["body"]["receipt"]))
        self.assertEqual(said["intended"], {"entry": intended["seq"], "time": intended["time"]})
        self.assertEqual((said["label"], said["id"]), (intended["body"]["ref"]["label"], intended["body"]["ref"]["id"]))
        self.assertEqual((self.due(), self.checked()), ([], "ok"))

    def test_key_destroy_leaves_one_too(self):
        self.box.kesu("key", "create", "spare")
        self.box.kesu("key", "destroy", "spare", "-y")
        self.assertEqual(self.read()["erasure"], "")

    def test_an_old_copy_is_used_for_nothing(self):
        version = self.old_copy()
        self.assertIn(f"kesu:{version}", self.token_labels())                 # the key lives again
        due, = self.due()
        self.assertEqual((due["node"], due["overdue"], self.checked()), (version, True, "fail"))
        entries = self.entries()
        opened = self.box.kesu("open", self.out, "-o", self.box.state / "opened", code=3).json
        self.assertEqual((opened["opened"], {f["code"] for f in opened["failed"]}), (0, {"version-buried"}))
        self.box.kesu("seal", "loans-2019", self.write("b"), "-o", self.out, code=3, error="version-buried")
        self.assertFalse([p for p in (self.box.state / "opened").rglob("*") if p.is_file()])
        self.assertEqual([e for e in self.entries()[len(entries):] if e["type"].startswith("seal-")], [])
        # Other keys serve as before.
        self.box.kesu("key", "create", "other")
        self.box.kesu("dataset", "add", "other", "--key", "other")
        self.box.kesu("seal", "other", self.write("c"), "-o", self.box.state / "other")
        # It is destroyed again.
        self.erase()
        self.assertEqual(self.due(), [])
        self.assertNotIn(f"kesu:{version}", self.token_labels())

    def test_without_the_place_an_old_copy_lives(self):
        """What tombstones are for: nothing else tells."""
        self.old_copy()
        shutil.rmtree(self.stones)
        self.stones.mkdir()
        self.assertEqual(self.opened(self.out), {"src/a": b"one"})

    def test_others_and_forged_ones_count_for_nothing(self):
        version = self.old_copy()
        path, = self.stones.iterdir()
        good = path.read_text()
        path.write_text(good.replace('"erasure":"era-', '"erasure":"era-0', 1))
        self.assertEqual(self.due(), [])
        path.write_text(good)
        path.rename(self.stones / path.name.replace("vlt-", "vlt-0", 1)[:-1])
        (self.stones / "notes.txt").write_text("kept by hand")
        self.assertEqual(self.due(), [])
        other = self.stones / f"{json.loads(good.splitlines()[1])['vault']}.{version[:-1]}2.tombstone"
        other.write_text(good)                                                # of another version than its name says
        self.assertEqual(self.due(), [])

    def test_a_place_that_is_missing(self):
        erasure = self.approved("loans-2019")
        self.stones.rename(self.box.state / "away")
        result = self.run_erasure(erasure)
        self.assertIn("no tombstone was written", result.stderr)
        self.assertEqual(self.stage(erasure), "destroyed")
        self.assertFalse(self.stones.exists())                                # an empty mount point takes none
        self.assertEqual([d["overdue"] for d in self.due()], [True])
        self.assertEqual(self.checked(), "fail")
        (self.box.state / "away").rename(self.stones)
        self.assertEqual([d["overdue"] for d in self.due()], [False])
        self.box.kesu("ledger", "checkpoint")
        done, = (e for e in self.entries() if e["type"] == "destroy-done")
        self.assertEqual((self.read()["receipt"], self.due()), (done["body"]["receipt"], []))

    def test_inside_the_vault_it_is_refused(self):
        (self.box.vault / "stones").mkdir()
        self.configure("stones")
        self.box.kesu("status", code=2, error="bad-input")

    def test_killed_at_each_call_there(self):
        erasure = self.approved("loans-2019")
        self.box.snapshot("approved")
        version = self.version_of("loans")
        command = self.box.kesu_command("erase", "run", erasure, "-y")
        under = ("--under", f"{self.stones}/")
        self.box.restore("approved")
        calls, _, _ = harness_kill.traced(command, env=self.box.env, only=under)
        calls = [c for c in calls if c.target.startswith(f"{self.stones}/")]
        self.assertGreater(len(calls), 1, calls)
        for at in range(1, len(calls) + 1):
            with self.subTest(call=calls[at - 1]):
                self.box.restore("approved")
                _, killed, _ = harness_kill.traced(command, at=at, env=self.box.env, only=under)
                self.assertTrue(killed)
                self.assertNotIn(f"kesu:{version}", self.token_labels())      # it comes after the destruction
                states = [e["type"] for e in self.entries() if e["type"].startswith("destroy-")]
                self.assertEqual(states, ["destroy-intended"])
                self.assertEqual(self.due(), [])                              # its end is a question still
                self.run_erasure(erasure)
                done, = (e for e in self.entries() if e["type"] == "destroy-done")
                self.assertTrue(done["body"]["receipt_lost"])
                self.assertEqual((self.read()["version"], self.due(), self.stage(erasure)), (version, [], "destroyed"))
                self.box.kesu("ledger", "verify")


if __name__ == "__main__":
    scenario.main()
