"""What others do while a destruction is decided, begun, interrupted: nothing that is to be kept dies with it."""
import contextlib
import json
import os
import pathlib
import shutil
import signal
import sqlite3
import subprocess
import sys
import time

sys.path.insert(0, str(pathlib.Path(__file__).parents[1] / "support"))
import harness
import harness_kill
import scenario


class Race(scenario.World):
    @classmethod
    def prepare(cls):
        cls.seal("loans-2019", {"a": b"one", "b": b"two"})
        # kesu with a probe that waits while a file is there: the time that a slow HSM takes.
        cls.slow = cls.box.path / "slow"
        cls.bin = cls.box.path / "bin"
        cls.bin.mkdir()
        shutil.copy2(harness.program("kesu"), cls.bin / "kesu")
        probe = cls.bin / "kesu-probe"
        probe.write_text(f"#!/bin/sh\nwhile [ -e {cls.slow} ]; do sleep 0.05; done\nexec {harness.program('kesu-probe')}\n")
        probe.chmod(0o755)

    def begin(self, *words):
        environment = dict(os.environ, SOFTHSM2_CONF=self.box.env["SOFTHSM2_CONF"], KESU_VAULT=str(self.box.vault))
        process = subprocess.Popen([str(self.bin / "kesu"), *words], env=environment, stdout=subprocess.PIPE,
                                   stderr=subprocess.STDOUT)
        # No run outlives its test: it would go on in the next one's vault.
        self.addCleanup(process.wait)
        self.addCleanup(process.kill)
        return process

    def wait_for(self, what, seconds=20):
        end = time.monotonic() + seconds
        while not what():
            self.assertLess(time.monotonic(), end, "what was waited for did not happen")
            time.sleep(0.02)

    def types(self):
        return [e["type"] for e in self.box.kesu("ledger", "show").json]

    def test_nothing_new_hangs_on_the_keys_while_the_run_looks(self):
        erasure = self.approved("loans-2019")
        self.slow.touch()
        try:
            before = self.types().count("process-ended")
            run = self.begin("erase", "run", erasure, "--yes")
            self.wait_for(lambda: self.types().count("process-ended") > before)   # samples drawn, the probe waits
            self.box.kesu("dataset", "add", "ds2", "--key", "loans", code=3, error="frozen")
            self.box.kesu("key", "rotate", "loans", code=3, error="frozen")
        finally:
            self.slow.unlink()
        out, _ = run.communicate(timeout=60)
        self.assertEqual(run.returncode, 0, out.decode())
        self.box.kesu("ledger", "verify")

    def test_a_reader_while_the_run_looks_spoils_nothing(self):
        """Whichever wins: the erasure can be finished, and is certified whole. Kills in between: erase_kill_test."""
        erasure = self.approved("loans-2019")
        self.slow.touch()
        try:
            before = self.types().count("process-ended")
            run = self.begin("erase", "run", erasure, "--yes")
            self.wait_for(lambda: self.types().count("process-ended") > before)
            reader = self.begin("open", str(self.out), "-o", str(self.box.path / "held"))
            reader.wait(timeout=30)
        finally:
            self.slow.unlink()
        out, _ = run.communicate(timeout=60)
        self.assertIn(run.returncode, (0, 3, 4), out.decode())
        if run.returncode:
            self.run_erasure(erasure)
        self.assertEqual(self.stage(erasure), "destroyed")
        bundle, trust = self.box.path / "bundle", self.box.path / "trust"
        self.box.kesu("certificate", "bundle", erasure, "-o", bundle)
        trust.write_text(self.box.text("trust", "propose", bundle).stdout)
        self.box.kesu("verify", bundle, "--trust", trust, "--require", "low", "--allow-test-grade")

    def test_destroying_and_sealing_at_the_same_time_loses_no_data(self):
        self.box.kesu("key", "create", "idle")
        for i in range(12):
            self.box.kesu("key", "rotate", "idle")
        destroyer = self.begin("key", "destroy", "idle", "--yes")
        added = self.box.kesu("dataset", "add", "dsx", "--key", "idle", code=None)
        sealed = self.box.kesu("seal", "dsx", self.write("kept", b"kept", below="kept"), "-o", self.box.state / "kept-out", code=None) if added.code == 0 else None
        destroyer.wait(timeout=60)
        if sealed is not None and sealed.code == 0:
            self.assertEqual(self.opened(self.box.state / "kept-out"), {"kept": b"kept"})
        self.box.kesu("ledger", "verify")

    def half_published(self, place):
        """Of 300 files, 40 under their final names when the command is killed."""
        self.box.kesu("dataset", "add", "big", "--key", "loans")
        files = [str(self.write(f"f{i:03}", b"x" * 20000, below="many")) for i in range(300)]
        harness_kill.kill_while_publishing(self.box.kesu_command("seal", "big", *files, "-o", place), place, 40,
                                           env=self.box.env, cwd=self.box.path, call="linkat")
        self.assertEqual(self.types()[-1], "seal-intended")
        whole = sum(1 for _ in place.rglob("*.kesu"))
        self.assertIn(whole, range(30, 41))  # another thread's may not have happened yet
        return whole

    def test_a_place_that_is_away_leaves_the_question_open(self):
        place = self.box.state / "place"
        whole = self.half_published(place)
        away = self.box.state / "away"
        place.rename(away)
        place.mkdir()
        self.box.kesu("key", "create", "other")        # any command that writes would settle
        self.assertNotIn("seal-abandoned", self.types())
        self.assertEqual(self.box.kesu("inventory", "settle", "big", code=4).json["open"], 1)
        plan = self.box.kesu("erase", "plan", "big", "loans-2019", code=3).json
        self.assertTrue(any("open question" in b["what"] for b in plan["blockers"]), plan["blockers"])
        place.rmdir()
        away.rename(place)
        self.assertEqual(self.box.kesu("inventory", "settle", "big").json["open"], 0)
        self.assertEqual(next(d["objects"] for d in self.box.kesu("dataset", "list").json if d["name"] == "big"), whole)

    def test_what_lies_in_a_lost_place_is_given_up_on_somebodys_word_only(self):
        place = self.box.state / "place"
        self.half_published(place)
        shutil.rmtree(place)
        answer = self.box.kesu("inventory", "settle", "big", "--location-lost", "disk 7 failed").json
        self.assertEqual((answer["given_up"], answer["open"]), (1, 0))
        self.assertIn("seal-abandoned", self.types())

    def test_an_altered_register_approves_nothing(self):
        erasure = self.plan("loans-2019")["erasure"]
        self.request(erasure)
        with contextlib.closing(sqlite3.connect(self.box.vault / "registers.db")) as db, db:
            changed = db.execute("UPDATE rows SET json = replace(json, '\"stage\":\"requested\"', '\"stage\":\"approved\"') "
                                 "WHERE kind = 'erasure'").rowcount
        self.assertEqual(changed, 1)
        self.assertEqual(self.stage(erasure), "approved")          # registers are believed for showing
        self.run_erasure(erasure, code=4, error="approvals-missing")
        self.assertEqual(self.opened(self.out), {"src/a": b"one", "src/b": b"two"})

    def object_at(self, name):
        with open(self.out / "src" / f"{name}.kesu", "rb") as file:
            return file.read(64)[48:64]

    @contextlib.contextmanager
    def stopped(self, *words, when):
        """A command that sleeps from the moment on at which when() is true, or has ended by then."""
        process = subprocess.Popen(self.box.kesu_command(*words), env=self.box.env, stdout=subprocess.PIPE, stderr=subprocess.PIPE)
        self.addCleanup(process.wait)
        self.addCleanup(process.kill)
        while process.poll() is None and not when():
            pass
        process.send_signal(signal.SIGSTOP)
        yield process
        process.send_signal(signal.SIGCONT)
        self.ended = process, *process.communicate(timeout=60)

    def test_a_check_while_another_seals_over(self):
        """What another command is sealing over, or has sealed over since the check began, is no damage."""
        self.box.kesu("dataset", "add", "many", "--key", "loans")
        names = [f"f{i:03}" for i in range(300)]
        self.seal("many", {n: b"v0" for n in names})
        log = self.box.vault / "ledger.db-wal"
        caught = 0
        for turn in range(12):
            for name in names:
                self.write(name, b"turn %d" % turn)
            before = self.object_at(names[0])
            with self.stopped("seal", "many", self.box.state / "src", "-o", self.out, "--replace",
                              when=lambda: self.object_at(names[0]) != before):
                result = self.box.kesu("inventory", "check", "many", code=None)
                if result.error_code != "store-busy":       # else it sleeps inside an append
                    self.assertEqual(result.json["damaged"], [])
                    over = result.json["missing"]
                    self.assertEqual({m["code"] for m in over} | {"conflict"}, {"conflict"})
                    self.assertEqual(result.code, 8 if over else 0)
                    caught += bool(over)
            self.assertEqual(self.ended[0].returncode, 0, self.ended)
            result = self.box.kesu("inventory", "check", "many").json
            self.assertEqual(result["good"], len(names) + 2 + turn)   # and a manifest of each sealing
            if caught:
                break
        self.assertTrue(caught)
        before = result
        started = (log.read_bytes() if log.exists() else b"").count(b"process-started")
        with self.stopped("inventory", "check", "many",
                          when=lambda: log.exists() and log.read_bytes().count(b"process-started") > started):
            for name in names[:10]:
                self.write(name, b"while it sleeps")
            self.box.kesu("seal", "many", self.box.state / "src", "-o", self.out, "--replace")
        process, out, _ = self.ended
        result = json.loads(out)
        self.assertEqual((process.returncode, result["damaged"], result["missing"]), (0, [], []))
        self.assertEqual((result["good"], result["superseded"]), (before["good"] - 10, before["superseded"] + 10))

    def test_a_rewrap_while_another_seals_over(self):
        """What is sealed over while data keys are moved is no more missing than what was before."""
        self.box.kesu("dataset", "add", "many", "--key", "loans")
        names = [f"f{i:03}" for i in range(400)]
        self.seal("many", {n: b"v0" for n in names[:200]})
        for name in names[200:]:
            self.write(name, b"v0")
        self.box.kesu("seal", "many", self.box.state / "src", "-o", self.out)      # a second batch
        log = self.box.vault / "ledger.db-wal"
        intended = lambda: (log.read_bytes() if log.exists() else b"").count(b"rewrap-intended")
        known, caught, being = 0, 0, 0
        for turn in range(12):
            for name in names:
                self.write(name, b"turn %d" % turn)
            self.box.kesu("key", "rotate", "loans")
            before = intended()
            with self.stopped("rewrap", "many", when=lambda: intended() > before):
                sealed = self.box.kesu("seal", "many", self.box.state / "src", "-o", self.out, "--replace", code=None)
            process, out, err = self.ended
            if sealed.code == 0:                                           # else it sleeps inside an append
                result = json.loads(out)
                self.assertEqual((process.returncode, result["missing"], result["failed"]), (0, [], []), (out, err))
                caught += result["superseded"] > known
            if caught:
                break
            self.box.kesu("key", "rotate", "loans")
            known = self.box.kesu("rewrap", "many").json["superseded"]
        self.assertTrue(caught)
        for turn in range(12):
            for name in names:
                self.write(name, b"again %d" % turn)
            self.box.kesu("key", "rotate", "loans")
            before = self.object_at(names[0])
            with self.stopped("seal", "many", self.box.state / "src", "-o", self.out, "--replace",
                              when=lambda: self.object_at(names[0]) != before):
                result = self.box.kesu("rewrap", "many", code=None)
                if result.error_code is None:
                    self.assertEqual({m["code"] for m in result.json["missing"]} | {"conflict"}, {"conflict"})
                    self.assertEqual(result.code, 8 if result.json["missing"] else 0)
                    being += bool(result.json["missing"])
            self.assertEqual(self.ended[0].returncode, 0, self.ended)
            if being:
                break
        self.assertTrue(being)

    def test_a_writer_that_sleeps_is_named(self):
        """Stopped inside an append, it is waited for, and whoever waits knows for whom."""
        busy = sqlite3.connect(self.box.vault / "ledger.db", isolation_level=None)
        busy.execute("PRAGMA locking_mode=NORMAL")
        busy.execute("BEGIN IMMEDIATE")
        command = self.box.kesu_command("dataset", "add", "ds9", "--key", "loans")
        with subprocess.Popen(command, env=self.box.env, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as process:
            begun = time.monotonic()
            said = process.stderr.readline()
            self.assertLess(time.monotonic() - begun, 10)
            self.assertIn(f"another process ({os.getpid()}) is writing to ", said)
            self.assertIn("waiting for it, for 30 seconds at most", said)
            busy.execute("ROLLBACK")
            busy.close()
            _, err = process.communicate(timeout=60)
            self.assertEqual((process.returncode, err), (0, ""))


if __name__ == "__main__":
    harness.main()
