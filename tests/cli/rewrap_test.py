"""Rotation made whole: rewrap, census, destroying an old version, moving a dataset to another key."""
import os
import pathlib
import shutil
import subprocess
import sys
import time

sys.path.insert(0, str(pathlib.Path(__file__).parents[1] / "support"))
import harness
import scenario
import slots

FILES = {f"f{i:02}": (b"%d " % i) * (i * 700) for i in range(12)}
ALL = len(FILES) + 1                                       # and the manifest of the tree


class Rewrap(scenario.World):
    @classmethod
    def prepare(cls):
        cls.seal("loans-2019", FILES)
        cls.box.kesu("key", "rotate", "loans")
        cls.wanted = {f"src/{name}": data for name, data in FILES.items()}

    def setUp(self):
        super().setUp()
        self.first, self.second = self.version_of("loans", 1), self.version_of("loans", 2)

    def rewrap(self, *words, dataset="loans-2019", **options):
        return self.box.kesu("rewrap", dataset, *words, **options).json

    def agree(self, *keys, roots=()):
        in_files = slots.by_version(self.out, *roots)
        self.assertEqual(slots.census(self.box, *(keys or ("loans",))), in_files)
        return dict(in_files)

    def types(self):
        return [e["type"] for e in self.entries()]

    def begin(self, *words):
        process = subprocess.Popen(self.box.kesu_command(*words), env=self.box.env, cwd=self.box.path,
                                   stdout=subprocess.PIPE, stderr=subprocess.STDOUT)
        self.addCleanup(process.stdout.close)
        self.addCleanup(process.wait)
        self.addCleanup(process.kill)
        return process

    # The whole way.

    def test_rotate_rewrap_destroy_and_everything_opens_with_version_2_alone(self):
        self.assertEqual(self.agree(), {self.first: ALL})
        before = self.entries()
        preview = self.rewrap("--dry-run")
        self.assertEqual((preview["to_move"], preview["already"], preview["dataset_keys"]), (ALL, 0, 1))
        self.nothing_changed(before)
        moved = self.rewrap()
        self.assertEqual((moved["moved"], moved["already"], moved["version"]), (ALL, 0, self.second))
        self.assertEqual(self.agree(), {self.second: ALL})
        for path in self.out.rglob("*.kesu"):
            self.assertEqual([s.version for s in slots.slots_of(path)], [self.second, self.first])
        again = self.rewrap()
        self.assertEqual((again["moved"], again["already"], again["batches"]), (0, ALL, 0))

        # Who destroys is told what else goes: files that were copied away before.
        shown = self.box.kesu("key", "destroy", "loans.1", "--dry-run", json=False).stdout
        self.assertIn("loans.1   deactivated   would be destroyed\n  Sealed files that were copied away", shown)
        done = self.box.kesu("key", "destroy", "loans.1", "-y").json["versions"]
        self.assertEqual([(d["version"], d["outcome"], d["inspected"]) for d in done], [(self.first, "destroyed", "absent")])
        self.assertNotIn(f"kesu:{self.first}", self.token_labels())
        self.assertEqual(self.opened(self.out), self.wanted)
        names = {r["name"] for r in self.box.kesu("inventory", "list", "loans-2019").json}
        self.assertEqual(len(names), ALL)
        self.assertLess(set(self.wanted), names)
        # New data is sealed under a dataset key of version 2, not the one that came from version 1.
        self.write("new", b"new", below="more")
        self.box.kesu("seal", "loans-2019", self.box.state / "more", "-o", self.out)
        made = [e["body"]["version"] for e in self.entries() if e["type"] == "dataset-key-created"]
        self.assertEqual(made, [self.first, self.second])
        # Registers are derived: deleted and rebuilt, they say the same.
        keys = ("key", "list"), ("dataset", "show", "loans-2019"), ("key", "destroy", "loans", "--dry-run")
        shown = [self.box.kesu(*k).stdout for k in keys]
        (self.box.vault / "registers.db").unlink()
        self.assertEqual([self.box.kesu(*k).stdout for k in keys], shown)
        self.box.kesu("ledger", "verify")

    def test_the_erasure_after_it_kills_every_version_and_is_certified(self):
        self.rewrap()
        self.box.kesu("key", "destroy", "loans", "--version", "1", "-y")
        erasure = self.approved("loans-2019")
        self.run_erasure(erasure)
        self.assertEqual(self.stage(erasure), "destroyed")
        self.assertEqual([s["version"] for s in self.box.kesu("erase", "status", erasure).json["steps"]], [self.second])
        bundle, trust = self.box.state / "bundle", self.box.state / "trust"
        self.box.kesu("certificate", "bundle", erasure, "-o", bundle)
        trust.write_text(self.box.text("trust", "propose", bundle).stdout)
        self.box.kesu("verify", bundle, "--trust", trust, "--require", "low", "--allow-test-grade")

    # What cannot be moved.

    def test_missing_damaged_and_foreign_files_are_listed_and_the_rest_is_done(self):
        files = sorted((self.out / "src").glob("f*.kesu"))
        files[0].unlink()
        with open(files[1], "r+b") as file:
            file.write(b"broken")
        files[2].write_bytes(files[3].read_bytes())
        result = self.rewrap(code=8)
        self.assertEqual(result["moved"], ALL - 3)
        self.assertEqual([p["path"] for p in result["missing"]], [str(files[0]), str(files[2])])
        self.assertEqual([(p["path"], p["code"]) for p in result["failed"]], [(str(files[1]), "sealed-damaged")])
        self.box.kesu("key", "destroy", "loans", "--version", "1", "-y", code=3, error="in-use")
        self.assertEqual(slots.census(self.box, "loans"), {self.first: 3, self.second: ALL - 3})

    def test_moved_files_and_copies_are_found_below_paths(self):
        copies = self.box.state / "copies"
        shutil.copytree(self.out, copies)
        place = self.box.state / "elsewhere"
        place.mkdir()
        moved = sorted((self.out / "src").glob("f*.kesu"))[:4]
        for path in moved:
            path.rename(place / path.name)
        self.assertEqual(len(self.rewrap(code=8)["missing"]), 4)
        # The directory is not the one that was sealed to (the state was restored): whether something lies there
        # elsewhere, only a person knows.
        self.assertEqual(len(self.rewrap(place, code=8)["missing"]), 4)
        self.assertEqual(self.rewrap(place, "--location-lost", "moved elsewhere")["missing"], [])
        self.assertEqual(self.agree(roots=(place,)), {self.second: ALL})
        self.assertEqual(self.rewrap(copies)["moved"], ALL)
        self.assertEqual(slots.by_version(copies), {self.second: ALL})
        self.box.kesu("key", "destroy", "loans", "--version", "1", "-y")
        self.assertEqual(self.opened(copies), self.wanted)
        self.assertEqual(self.opened(self.out, place), self.wanted)

    def test_a_copy_moved_alone_takes_the_original_along(self):
        copies = self.box.state / "copies"
        shutil.copytree(self.out, copies)
        self.assertEqual(self.rewrap(copies)["moved"], 2 * ALL)
        self.assertEqual(self.agree(), {self.second: ALL})

    def test_what_was_sealed_over_keeps_its_version(self):
        # The sources were restored, so that all of them are sealed anew; one object more lies beside them.
        self.seal("loans-2019", {"beside": b"beside"}, below="more")
        self.box.kesu("key", "rotate", "loans")
        self.box.kesu("seal", "loans-2019", self.box.state / "src", "-o", self.out, "--replace")
        result = self.rewrap()
        self.assertEqual((result["moved"], result["already"], result["superseded"]), (3, 12, 12))  # two manifests
        refused = self.box.kesu("key", "destroy", "loans", "--version", "1", "-y", code=3, error="in-use").json["error"]
        self.assertIn("at most 12 of them sealed over", refused["message"])
        self.assertIn("kesu erase plan loans-2019", refused["next"])

    # States and periods.

    def test_compromised_versions_are_moved_away_from(self):
        self.box.kesu("key", "compromise", "loans.1", "--reason", "lost", "-y")
        self.assertEqual(self.rewrap()["moved"], ALL)
        self.assertEqual(self.opened(self.out), self.wanted)
        self.box.kesu("key", "destroy", "loans", "--version", "1", "-y")
        self.assertEqual(self.box.kesu("key", "show", "loans").json["versions"][0]["state"], "destroyed-compromised")
        self.assertEqual(self.opened(self.out), self.wanted)

    def test_suspended_frozen_and_reserved_are_refused(self):
        self.box.kesu("key", "suspend", "loans.2", "--reason", "look")
        self.rewrap(code=3, error="state-refused")
        self.box.kesu("key", "resume", "loans.2", "--reason", "fine")
        self.approved("loans-2019")
        self.rewrap(code=3, error="frozen")
        self.assertEqual(slots.by_version(self.out), {self.first: ALL})

    def test_from_moves_one_version_only(self):
        self.write("later", b"later", below="more")
        self.box.kesu("seal", "loans-2019", self.box.state / "more", "-o", self.out)
        self.box.kesu("key", "rotate", "loans")
        third = self.version_of("loans", 3)
        self.assertEqual(self.rewrap("--from", "loans.2")["moved"], 2)
        self.assertEqual(self.agree(), {self.first: ALL, third: 2})
        self.assertEqual(self.rewrap("--from", "loans.1")["moved"], ALL)
        self.assertEqual(self.agree(), {third: ALL + 2})
        self.rewrap("--from", "loans", code=2, error="usage")

    # Destroying.

    def test_nothing_that_is_kept_hangs_on_a_version_that_goes(self):
        refused = self.box.kesu("key", "destroy", "loans", "--version", "1", "-y", code=3, error="in-use").json["error"]
        self.assertIn(f"{ALL} objects", refused["message"])
        self.assertIn("kesu rewrap loans-2019", refused["next"])
        rows = {r["version"]: r for r in self.box.kesu("key", "destroy", "loans", "--dry-run").json["census"]}
        self.assertEqual((rows[self.first]["objects"], rows[self.first]["dataset_keys"]), (ALL, 1))
        self.rewrap()
        self.box.kesu("key", "destroy", "loans", "--version", "2", "-y", code=3, error="in-use")
        self.box.kesu("key", "destroy", "loans", "-y", code=3, error="in-use")
        self.assertEqual(self.opened(self.out), self.wanted)

    def test_a_key_that_is_not_usable_before_is_not_destroyed(self):
        self.rewrap()
        self.pkcs11_tool("--delete-object", "--type", "secrkey", "--label", f"kesu:{self.first}")
        before = self.entries()
        self.box.kesu("key", "destroy", "loans", "--version", "1", "-y", code=3, error="key-mismatch")
        self.assertNotIn("destroy-intended", [e["type"] for e in self.entries()[len(before):]])

    # Another key.

    def test_a_dataset_moves_to_another_key(self):
        self.box.kesu("key", "create", "vault2")
        self.box.kesu("dataset", "update", "loans-2019", "--key", "vault2", "--owner", "B", "--reason", "moved")
        shown = self.box.kesu("dataset", "show", "loans-2019").json
        self.assertEqual((shown["key"], shown["settings"]["owner"], shown["under"]), ("vault2", "B", {self.first: ALL}))
        other = self.version_of("vault2")
        self.assertEqual(self.rewrap()["moved"], ALL)
        self.assertEqual(self.agree("loans", "vault2"), {other: ALL})
        self.assertEqual(self.box.kesu("dataset", "show", "loans-2019").json["under"], {other: ALL})
        # Edges never go away: an erasure kills both keys, or finds the old one destroyed.
        plan = self.plan("loans-2019")
        self.assertEqual({v["version"] for v in plan["key_versions"]}, {self.first, other})
        self.box.kesu("key", "destroy", "loans", "-y")
        self.assertEqual(self.opened(self.out), self.wanted)
        # What lived beside it under the old key does not stand in the erasure's way.
        erasure = self.approved("loans-2019")
        self.run_erasure(erasure)

    def test_update_is_judged_and_refused_where_it_cannot_be(self):
        update = ("dataset", "update", "loans-2019", "--reason", "r")
        self.box.kesu(*update, code=2, error="usage")
        self.box.kesu(*update, "--key", "nothing", code=2, error="not-found")
        self.box.kesu(*update, "--unreadable-until", "soon", code=2, error="bad-input")
        self.box.kesu(*update, "--unreadable-until", "2040")
        self.assertEqual(self.box.kesu("dataset", "show", "loans-2019").json["settings"]["unreadable_until"], "2040")
        self.approved("loans-2019")
        self.box.kesu(*update, "--owner", "C", code=3, error="frozen")

    # At the same time.

    def test_beside_sealing_and_other_rewraps(self):
        for i in range(400):
            self.write(f"m{i:03}", b"x" * 300, below="many")
        running = [self.begin("seal", "loans-2019", self.box.state / "many", "-o", self.out)]
        running += [self.begin("rewrap", "loans-2019") for _ in range(2)]
        for process in running:
            out, _ = process.communicate(timeout=120)
            self.assertIn(process.returncode, (0, 1), out.decode())
            if process.returncode:
                self.assertIn("conflict", out.decode())
        self.rewrap()
        self.assertEqual(self.agree(), {self.second: 400 + ALL + 1})
        self.box.kesu("ledger", "verify")

    def test_beside_an_erasure_request(self):
        """Whichever is first: the plan that was requested holds, or it is refused and planned anew."""
        for _ in range(6):
            self.box.restore("prepared")
            erasure = self.plan("loans-2019")["erasure"]
            process = self.begin("rewrap", "loans-2019")
            asked = self.box.kesu("erase", "request", erasure, *self.signer(scenario.OPERATOR), code=(0, 3))
            out, _ = process.communicate(timeout=60)
            self.assertIn(process.returncode, (0, 3), out.decode())
            if asked.code:
                self.assertIn(asked.error_code, ("plan-changed", "plan-blocked"))
                self.assertEqual(process.returncode, 0)
            else:
                self.approve(erasure)
                self.assertEqual(self.run_erasure(erasure, code=(0,)).code, 0)
            self.box.kesu("ledger", "verify")


if __name__ == "__main__":
    harness.main()
