"""`kesu rewrap`, killed before each of its state-changing calls and at random instants; destroying the old version, too.

After each kill: every object opens byte for byte, at once and without anything settled; the ledger verifies and asks
exactly what is open. The same command again reaches the end: the census of the ledger is what the slots in the files
say, both under the new version alone.
"""
import os
import pathlib
import random
import subprocess
import sys
import time

sys.path.insert(0, str(pathlib.Path(__file__).parents[1] / "support"))
import harness
import harness_kill
import kill_world
import slots

INSTANTS = 400 if os.environ.get("KESU_KILLS") == "all" else 100
ALL = 6                                                    # five files and the manifest of their tree
CALLS = ("pwrite64", "openat", "fdatasync", "syncfs")


class Rewrap(kill_world.World):
    def setUp(self):
        super().setUp()
        self.prepare_vault()
        self.box.kesu("seal", "loans-2019", self.source, "-o", self.out)
        self.box.kesu("key", "rotate", "loans")
        self.first, self.second = kill_world.versions_of(self.entries(), "loans")
        self.command = ("rewrap", "loans-2019")

    def agree(self):
        """The ledger's census is what the slots say."""
        in_files = slots.by_version(self.out)
        self.assertEqual(slots.census(self.box, "loans"), in_files)
        return in_files

    def check_moved(self, call):
        self.consistent()
        self.opens_to(self.out, self.wanted(1))
        self.agree()                               # opening settled what the kill left
        result = self.box.kesu(*self.command).json
        self.assertEqual((result["missing"], result["failed"]), ([], []))
        self.assertEqual(result["moved"] + result["already"], ALL)
        self.assertEqual(self.agree(), {self.second: ALL})
        self.opens_to(self.out, self.wanted(1))
        self.settled()

    def test_each_call(self):
        self.each_kill(*self.command, check=self.check_moved, prepare=self.restore_around_out, expect=CALLS)

    def test_settling_is_killed_too(self):
        self.box.snapshot()
        # Killed before the last slot: the others are written, nothing of it is durable or recorded.
        harness_kill.traced(self.box.kesu_command(*self.command), at=ALL, env=self.box.env, cwd=self.box.path,
                            only=("--call", "pwrite64", "--under", f"{self.out}/"))
        self.assertEqual(slots.by_version(self.out), {self.first: 1, self.second: ALL - 1})
        self.each_kill(*self.command, check=self.check_moved, prepare=self.restore_around_out, expect=("pwrite64", "fdatasync", "syncfs"))

    def test_random_instants(self):
        self.box.snapshot()
        took = []
        for _ in range(3):
            self.restore_around_out()
            began = time.monotonic()
            self.box.kesu(*self.command)
            took.append(time.monotonic() - began)
        whole = min(took)                          # the rest of a busy machine lengthens a run, never shortens it
        index, count = harness_kill.shard_of_environment()
        chance = random.Random(int(os.environ.get("KESU_SEED", "20191121")))
        waits = [chance.uniform(0, whole) for _ in range(INSTANTS)][index::count]
        killed = between = cut = 0
        for i, wait in enumerate(waits):
            self.restore_around_out()
            # In turn with and without processes that carry objects over; those end by themselves.
            process = subprocess.Popen(self.box.kesu_command(*self.command), env={**self.box.env, "KESU_PROVER": str(i % 2)},
                                       cwd=self.box.path, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
            time.sleep(wait)
            killed += process.poll() is None
            process.kill()
            process.wait()
            cut += kill_world.mend_cut_token(self.box)
            between += 0 < slots.by_version(self.out)[self.second] < ALL
            self.verify_ledger()
            self.opens_to(self.out, self.wanted(1))
            self.assertEqual(self.box.kesu(*self.command).json["failed"], [])
            self.assertEqual(self.agree(), {self.second: ALL})
            self.settled()
        print(f"shard {index}/{count}: {killed} of {len(waits)} random kills hit a running command, "
              f"{between} between two objects, {cut} cut token.object inside a login", flush=True)
        self.assertLess(cut, len(waits) // 10)
        self.assertGreater(killed, len(waits) // 4)

    def test_torn_slots_are_survived(self):
        """A slot that is half written counts for nothing: the other opens, and the next run writes it anew."""
        self.box.snapshot()
        harness_kill.traced(self.box.kesu_command(*self.command), at=1, only=("--call", "syncfs"), env=self.box.env, cwd=self.box.path)
        # The manifest is a batch of its own, which is moved while the files' is made durable.
        waiting = slots.by_version(self.out).get(self.first, 0)
        self.assertIn(waiting, (0, 1))
        files = sorted(p for p in self.out.rglob("*.kesu") if not p.name.startswith(".kesu-tree-"))
        for path in files[:3]:                     # a power cut before the sync
            slots.tear(path, slots.slots_of(path)[0].index)
        now = {self.first: 3 + waiting, self.second: ALL - 3 - waiting}
        self.assertEqual(slots.by_version(self.out), now)
        self.opens_to(self.out, self.wanted(1))
        self.assertEqual(self.agree(), now)
        self.assertEqual(self.box.kesu(*self.command).json["moved"], 3 + waiting)
        self.assertEqual(self.agree(), {self.second: ALL})
        self.settled()

    def test_destroying_the_old_version(self):
        self.box.kesu(*self.command)
        lost = []

        def check(call):
            entries = self.consistent()
            states = kill_world.key_states(entries)
            labels = self.token_labels()
            if f"kesu:{self.first}" not in labels and states[self.first] == "destroying":
                lost.append(call)
            again = self.box.kesu("key", "destroy", "loans", "--version", "1", "-y", code=(0, 3))
            if again.code:
                self.assertEqual(again.error_code, "state-refused")
            entries = self.settled()
            looked = kill_world.of_type(entries, "key-inspected")
            self.assertEqual([(e["nodes"][0]["id"], e["body"]["answer"]) for e in looked], [(self.first, "absent")])
            self.assertNotEqual(looked[0]["body"]["before"], looked[0]["body"]["after"])
            self.assertEqual(kill_world.key_states(entries)[self.first], "destroyed")
            self.token_matches_ledger(entries)
            self.opens_to(self.out, self.wanted(1))

        self.each_kill("key", "destroy", "loans", "--version", "1", "-y", check=check,
                       expect=("write", "openat", "fsync", "unlink"), thorough=("the token",))
        print(f"receipts lost and recorded as lost: {len(lost)}", flush=True)


if __name__ == "__main__":
    harness.main()
