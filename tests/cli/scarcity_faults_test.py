"""A full disk, a quota, a broken disk, too few descriptors, at every kind of write that the commands make: one call
fails (or everything that needs space from it on), and then

- the command ends by itself, with an error that names the place and the next step, or has done its whole work;
- the ledger verifies, nothing half done stands under a final name, no plaintext and no temporary file is left;
- the same command without the fault reaches the end that an undisturbed run reaches.

KESU_FAULTS=all takes every call instead of a sample.
"""
import os
import pathlib
import shutil
import sys

sys.path.insert(0, str(pathlib.Path(__file__).parents[1] / "support"))
import harness
import harness_fault
import kill_world
import slots
from kill_world import FILES

# The codes that a place for files, or the vault in it, may end with.
PLACE = ("disk-full", "io-failed", "store-unavailable", "read-only", "partial", "interrupted")


class Faults(kill_world.World):
    def setUp(self):
        super().setUp()
        self.prepare_vault()
        self.opened_at = self.box.state / "opened"
        self.seed = int(os.environ.get("KESU_SEED", "20191121"))

    def each_fault(self, *words, check, under=(), prepare=None, most=24):
        box = self.box
        box.snapshot()

        def checked(fault, result):
            self.named(fault, result)
            if fault.call.name not in ("unlink", "unlinkat"):
                self.assertEqual(self.leftovers(), [])
            check(fault, result)

        return harness_fault.sweep(box.kesu_command(*words), under=[box.vault, *under], prepare=prepare or self.restore_around_out,
                                   check=checked, env=box.env, cwd=box.path, seed=self.seed, most=most)

    def named(self, fault, result):
        """The end is one that a person can act upon."""
        self.assertIn(result.code, (0, 1, 5, 8))
        if result.code == 0:
            return
        if "error" not in result.json:
            self.assertTrue(result.json["failed"])
            for part in result.json["failed"]:
                self.assertIn(part["code"], PLACE)
                self.assertIn("/", part["why"] + str(part["path"]))
            return
        error = result.json["error"]
        self.assertIn(error["code"], PLACE)
        if fault.error in ("ENOSPC", "EDQUOT") and fault.call.name != "unlink":
            self.assertEqual(error["code"], "disk-full", error)
        self.assertIn(str(self.box.state), error["message"] + error["cause"] + error["tried"])
        self.assertTrue(error["next"], error)

    def restore_around_out(self):
        self.out.mkdir(exist_ok=True)
        (self.box.path / "snapshot" / self.out.name).mkdir(exist_ok=True)
        super().restore_around_out()
        shutil.rmtree(self.box.path / "opened", ignore_errors=True)

    def quiet_questions(self):
        """The ledger verifies, and what is open is said to be settled by the next command."""
        self.consistent()


class Seal(Faults):
    def check_sealed(self, fault, result):
        self.quiet_questions()
        sealed = {p: kill_world.object_id(p) for p in self.out.rglob("*.kesu")}
        if sealed:
            self.opens_to(self.out, self.wanted(1), complete=False)   # what stands under a final name is whole
        again = self.box.kesu(*self.command).json
        self.assertEqual((again["sealed"] + again["unchanged"], again["failed"]), (5, []))
        for path, identifier in sealed.items():
            self.assertEqual(kill_world.object_id(path), identifier)
        rows = self.box.kesu("inventory", "list", "loans-2019").json
        self.assertEqual({r["name"]: r["object"] for r in rows if "/" in r["name"]},       # without the tree's own row
                         {f"loans/{n}": kill_world.object_id(self.out / "loans" / f"{n}.kesu") for n in FILES})
        self.assertEqual(len({r["object"] for r in rows}), len(rows))
        self.assertEqual(len({r["name"] for r in rows}), len(rows))
        self.opens_to(self.out, self.wanted(1))
        self.settled()

    def test_seal(self):
        self.command = ("seal", "loans-2019", self.source, "-o", self.out)
        self.each_fault(*self.command, under=[self.out], check=self.check_sealed, most=40)


class Sealed(Faults):
    def setUp(self):
        super().setUp()
        self.box.kesu("seal", "loans-2019", self.source, "-o", self.out)

    def test_open(self):
        command = ("open", self.out, "-o", self.opened_at)

        def check(fault, result):
            self.quiet_questions()
            if self.opened_at.exists():
                for path in self.opened_at.rglob("*"):
                    if path.is_file():                     # whole, or not there
                        name = str(path.relative_to(self.opened_at / "loans"))
                        self.assertIn(path.read_bytes(), self.wanted(1)[name])
                        path.unlink()                      # open never replaces
            self.assertEqual(self.box.kesu(*command).json["opened"], 5)
            self.settled()

        self.each_fault(*command, under=[self.opened_at], check=check)

    def test_rotate(self):
        command = ("key", "rotate", "loans")

        def check(fault, result):
            self.quiet_questions()
            if result.code == 0:
                self.assertEqual(len(kill_world.versions_of(self.entries(), "loans")), 2)
            self.box.kesu(*command)
            entries = self.settled()
            states = kill_world.key_states(entries)
            versions = kill_world.versions_of(entries, "loans")
            active = [v for v in versions if states[v] == "active"]
            self.assertEqual(active, versions[-1:])
            self.token_matches_ledger(entries)
            self.opens_to(self.out, self.wanted(1))

        self.each_fault(*command, check=check)

    def test_rewrap(self):
        self.box.kesu("key", "rotate", "loans")
        _, second = kill_world.versions_of(self.entries(), "loans")
        count = len(list(self.out.rglob("*.kesu")))
        command = ("rewrap", "loans-2019")

        def check(fault, result):
            self.quiet_questions()
            self.opens_to(self.out, self.wanted(1))
            self.assertEqual(slots.census(self.box, "loans"), slots.by_version(self.out))
            again = self.box.kesu(*command).json
            self.assertEqual((again["missing"], again["failed"]), ([], []))
            self.assertEqual(slots.by_version(self.out), {second: count})
            self.assertEqual(slots.census(self.box, "loans"), {second: count})
            self.opens_to(self.out, self.wanted(1))
            self.settled()

        self.each_fault(*command, under=[self.out], check=check)


class Erased(Faults):
    def setUp(self):
        super().setUp()
        self.box.kesu("seal", "loans-2019", self.source, "-o", self.out)
        self.erasure = self.approve_erasure("loans-2019")
        self.key, = kill_world.versions_of(self.entries(), "loans")
        self.bundle = self.box.state / "certificates" / "exit-2026"

    def verifies(self):
        trust = self.box.path / "trust"
        trust.write_text(self.box.kesu("trust", "propose", self.bundle).json["trust"])
        self.box.kesu("verify", self.bundle, "--trust", trust, "--require", "low", "--allow-test-grade")

    def finish(self):
        if self.box.kesu("erase", "status", self.erasure).json["stage"] not in ("destroyed", "certified"):
            self.box.kesu("erase", "run", self.erasure, "-y")
        entries = self.settled()
        self.assertEqual(kill_world.key_states(entries)[self.key], "destroyed")
        self.assertEqual(len(kill_world.of_type(entries, "destroy-done")), 1)
        self.assertEqual(len(kill_world.of_type(entries, "erasure-inspected")), 1)
        self.token_matches_ledger(entries)
        self.assertEqual(self.box.kesu("open", self.out, "-o", self.box.path / "none", code=3).json["opened"], 0)
        if not self.bundle.exists():
            self.box.kesu("certificate", "bundle", self.erasure, "-o", self.bundle)
        self.verifies()
        self.assertEqual(len(kill_world.of_type(self.settled(), "certificate-issued")), 1)

    def test_run(self):
        def check(fault, result):
            entries = self.consistent()
            if f"kesu:{self.key}" not in self.token_labels():
                self.assertIn(kill_world.key_states(entries)[self.key], ("destroying", "destroyed"))
            self.finish()

        self.each_fault("erase", "run", self.erasure, "-y", check=check)

    def test_certificate(self):
        self.box.kesu("erase", "run", self.erasure, "-y")
        command = ("certificate", "bundle", self.erasure, "-o", self.bundle)

        def check(fault, result):
            self.quiet_questions()
            if result.code == 0:
                self.assertTrue(self.bundle.exists())
            if self.bundle.exists():
                self.verifies()                            # what stands there is whole
            self.finish()
            self.assertEqual([p.name for p in self.bundle.parent.iterdir()], [self.bundle.name])

        self.each_fault(*command, under=[self.bundle.parent], check=check)


class Ledger(Faults):
    def test_append(self):
        """One entry, and a checkpoint."""
        for words, most in ((("dataset", "add", "more", "--key", "loans"), 16), (("ledger", "checkpoint"), 8)):
            def check(fault, result, words=words):
                before = self.consistent()
                done = [e for e in before if e["type"] == "dataset-added"][1:] if words[0] == "dataset" else []
                again = self.box.kesu(*words, code=(0, 3) if done else 0)
                self.assertEqual(again.code, 3 if done else 0)
                self.settled()

            self.each_fault(*words, check=check, most=most)


if __name__ == "__main__":
    harness.main()
