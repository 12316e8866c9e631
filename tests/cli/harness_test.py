"""The harness itself: exit codes and JSON, tokens, officers, snapshots, and above all that kill tests kill everywhere."""
import mmap
import os
import pathlib
import re
import stat
import subprocess
import sys
import tempfile
import unittest
from unittest import mock

sys.path.insert(0, str(pathlib.Path(__file__).parents[1] / "support"))
import harness
import harness_kill
import litter

# The main thread writes 2 bytes, a second thread 3, a child process 2, the main thread 1; each byte is one call.
THREADED = """
import os, sys, threading
fd = os.open(sys.argv[1], os.O_CREAT | os.O_WRONLY | os.O_TRUNC | os.O_APPEND, 0o600)
for _ in range(2): os.write(fd, b"m")
os.write(1, b"not counted")
thread = threading.Thread(target=lambda: [os.write(fd, b"t") for _ in range(3)])
thread.start(); thread.join()
child = os.fork()
if child == 0:
    for _ in range(2): os.write(fd, b"c")
    os._exit(0)
os.waitpid(child, 0)
os.write(fd, b"M")
os.fsync(fd)
os.rename(sys.argv[1], sys.argv[1] + ".done")
"""
WHOLE = "mmtttccM"


class Results(harness.TestCase):
    def run_python(self, script, **options):
        return self.box.run(sys.executable, "-c", script, **options)

    def test_exit_code_is_demanded(self):
        self.assertEqual(self.run_python("raise SystemExit(3)", code=3).code, 3)
        self.assertEqual(self.run_python("raise SystemExit(4)", code=(3, 4)).code, 4)
        self.assertEqual(self.run_python("raise SystemExit(9)", code=None).code, 9)
        with self.assertRaisesRegex(harness.HarnessError, "exit code 3, expected 0"):
            self.run_python("raise SystemExit(3)")

    def test_error_code_is_demanded(self):
        code = "print('{\"error\":{\"code\":\"held\"}}'); raise SystemExit(3)"
        self.assertEqual(self.run_python(code, code=3, error="held").error_code, "held")
        with self.assertRaisesRegex(harness.HarnessError, "error.code held, expected frozen"):
            self.run_python(code, code=3, error="frozen")
        with self.assertRaisesRegex(harness.HarnessError, "error.code None, expected held"):
            self.run_python("print('{}')", error="held")
        pretty = "import json; print(json.dumps({'error': {'code': 'held'}}, indent=1)); raise SystemExit(3)"
        self.run_python(pretty, code=3, error="held")

    def test_json_document_and_stream(self):
        self.assertEqual(self.run_python("print('{\"a\": 1}')").json, {"a": 1})
        self.assertEqual(self.run_python("print('{\"a\": 1}\\n{\"a\": 2}')").lines, [{"a": 1}, {"a": 2}])
        with self.assertRaisesRegex(harness.HarnessError, "not one JSON document"):
            self.run_python("print('{\"a\": 1}\\n{\"a\": 2}')").json

    def test_environment_is_its_own(self):
        with mock.patch.dict(os.environ, {"KESU_VAULT": "/nowhere", "SOFTHSM2_CONF": "/nowhere"}):
            box = harness.Sandbox()
            self.addCleanup(box.close)
            seen = box.run(sys.executable, "-c", "import os, json; print(json.dumps(dict(os.environ)))").json
        self.assertNotIn("KESU_VAULT", seen)
        self.assertNotIn("SOFTHSM2_CONF", seen)
        self.assertTrue(seen["HOME"].startswith(str(box.path)))


class Surroundings(harness.TestCase):
    def test_token_is_private_and_made_once(self):
        uri = self.box.token("t-1")
        pin = pathlib.Path(re.search(r"pin-source=file:([^&]+)", uri)[1])
        self.assertEqual(stat.S_IMODE(pin.stat().st_mode), 0o600)
        self.assertRegex(pin.read_text(), r"^[0-9a-f]{32}$")
        before = pin.read_text()
        self.assertEqual(self.box.token("t-1"), uri)
        self.assertEqual(pin.read_text(), before)
        self.box.token("t-2")
        slots = self.box.run("softhsm2-util", "--show-slots").stdout
        self.assertEqual(sorted(re.findall(r"Label: +(\S+)", slots)), ["t-1", "t-2"])
        # The PIN opens the token: a wrong one would not.
        key = self.box.path / "key.pem"
        self.box.run("openssl", "genrsa", "-out", key, "2048")
        put = ["softhsm2-util", "--import", key, "--token", "t-1", "--label", "k", "--id", "01", "--pin"]
        self.box.run(*put, "wrong-pin", code=1)
        self.box.run(*put, before)

    def test_officer_signs(self):
        alice = self.box.officer("alice")
        signature = self.box.path / "signature"
        signature.write_bytes(alice.sign("ns", b"plan"))
        allowed = self.box.path / "allowed"
        allowed.write_text(f"alice {alice.line}\n")
        verify = ["ssh-keygen", "-q", "-Y", "verify", "-f", allowed, "-I", "alice", "-n", "ns", "-s", signature]
        self.box.run(*verify, stdin=b"plan")
        self.box.run(*verify, stdin=b"another plan", code=255)

    def test_snapshot_and_restore(self):
        kept = self.box.state / "a"
        kept.write_text("before")
        self.box.snapshot()
        kept.write_text("after")
        (self.box.state / "b").write_text("new")
        self.box.restore()
        self.assertEqual([p.name for p in self.box.state.iterdir()], ["a"])
        self.assertEqual(kept.read_text(), "before")


class Kills(harness.TestCase):
    ram = True

    def setUp(self):
        super().setUp()
        self.out = self.box.state / "out"
        self.done = self.box.state / "out.done"
        self.command = [sys.executable, "-B", "-c", THREADED, self.out]
        self.box.snapshot()

    def kill(self, check, **options):
        return harness_kill.kill_at_each_syscall(self.command, self.box.restore, check, env=self.box.env, **options)

    def test_every_call_of_every_thread_and_child(self):
        states = []

        def check(call):
            written = self.out.read_text() if self.out.exists() else None
            states.append((call and call.name, self.done.read_text() if self.done.exists() else written))

        points = self.kill(check, expect=("openat", "write", "fsync", "rename"))
        expected = [(None, WHOLE), ("openat", None)]  # undisturbed first; then nothing was created
        expected += [("write", WHOLE[:n]) for n in range(len(WHOLE))]
        expected += [("fsync", WHOLE), ("rename", WHOLE), (None, WHOLE)]
        self.assertEqual(states, expected)
        self.assertEqual(points.killed, {"openat": 1, "write": len(WHOLE), "fsync": 1, "rename": 1})
        self.assertEqual([c.task for c in points.baseline], [0, 0, 0, 1, 1, 1, 2, 2, 0, 0, 0])

    def test_shards_share_the_points(self):
        ordinals = [[], []]
        for index in range(2):
            self.kill(lambda call, index=index: ordinals[index].append(call.ordinal if call else 0), shard=(index, 2))
        self.assertEqual(ordinals, [[0, 1, 3, 5, 7, 9, 11, 0], [0, 2, 4, 6, 8, 10, 0]])

    def test_chosen_points_only(self):
        seen = []
        self.kill(seen.append, only=lambda call: call.name == "rename", shard=(0, 1))
        self.assertEqual([c and c.name for c in seen], [None, "rename"])

    def test_of_libraries_stretches_a_sample(self):
        def stretch(place, names):
            return [harness_kill.Call(len(calls) + i, name, 0, f"/box/{place}") for i, name in enumerate(names, 1)]
        calls = []
        calls += stretch("state/vault/ledger.db-wal", ["pwrite64"] * 40 + ["fdatasync"] + ["pwrite64"] * 40)
        calls += stretch("state/vault/evidence/ab", ["openat", "write", "fsync", "rename"])
        calls += stretch("state/token/x.object", ["write"] * 80)
        taken = harness_kill.sampled(calls)
        self.assertEqual(taken, harness_kill.sampled(calls))
        ordinals = {c.ordinal for c in taken}
        # Ends of stretches, the sync and what follows it, and all that is the command's own.
        self.assertLessEqual({1, 41, 42, 81, 82, 83, 84, 85, 86, 165}, ordinals)
        self.assertLess(10, len(ordinals))
        self.assertLess(len(ordinals), 60)
        self.assertEqual(len([c for c in harness_kill.sampled(calls, ("the token",)) if "/token/" in c.target]), 80)
        # A run with a sample says so, and goes on to the end.
        seen, self.command = [], self.command[:-1] + [self.box.state / "token" / "out"]
        (self.box.state / "token").mkdir()
        self.box.snapshot()
        points = self.kill(seen.append, shard=(0, 1))
        made, passed = sum(points.killed.values()), sum(points.passed_over.values())
        self.assertEqual((made + passed, bool(passed)), (len(points.baseline), True))
        self.assertIn(f"{passed} in the token", str(points))
        self.assertIsNone(seen[-1])
        points = self.kill(lambda call: None, shard=(0, 1), thorough=True)
        self.assertEqual(sum(points.killed.values()), len(points.baseline))

    def test_a_failed_check_names_the_call(self):
        def check(call):
            if call and call.name == "fsync":
                raise AssertionError("state is broken")
        with self.assertRaisesRegex(harness.HarnessError, r"killed before call 10: fsync .*/out\nstate is broken"):
            self.kill(check)

    def test_missing_class_and_failing_command_are_told(self):
        with self.assertRaisesRegex(harness.HarnessError, "no kill point for linkat"):
            self.kill(lambda call: None, expect=("linkat",))
        self.command = ["false"]
        with self.assertRaisesRegex(harness.HarnessError, "undisturbed run must succeed"):
            self.kill(lambda call: None)
        self.command = ["true"]
        with self.assertRaisesRegex(harness.HarnessError, "changes nothing"):
            self.kill(lambda call: None)

    def test_strace_counts_the_same_calls(self):
        log = self.box.path / "strace"
        strace = ["strace", "-f", "-qq", "-o", str(log), "-e", "signal=none", "-e",
                  "trace=write,fsync,rename,openat"]
        try:
            usable = subprocess.run([*strace, "true"], capture_output=True, check=False).returncode == 0
        except FileNotFoundError:
            self.skipTest("strace is not installed; run scripts/setup test")
        if not usable:
            self.skipTest("strace may not trace here")
        self.box.run(*strace, *self.command)
        lines = [l.split(None, 1)[1] for l in log.read_text().splitlines()]
        counted = [l for l in lines if not l.startswith("<...") and "exited with" not in l]
        counted = [l for l in counted if not re.match(r"write\([12],", l)]
        counted = [l.split("(")[0] for l in counted if not l.startswith("openat(") or "O_CREAT" in l or "O_TRUNC" in l]
        self.box.restore()
        calls, killed, _ = harness_kill.traced(self.command, env=self.box.env)
        self.assertFalse(killed)
        self.assertEqual([c.name for c in calls], counted)


class Litter(harness.TestCase):
    def test_what_ended_processes_left_in_shared_memory_goes(self):
        directory = self.box.path / "shm"
        directory.mkdir()
        ended = subprocess.Popen(["true"])
        ended.wait()
        names = {pid: (f"faketime_shm_{pid}", f"sem.faketime_sem_{pid}") for pid in (ended.pid, os.getpid())}
        for name in (*names[ended.pid], *names[os.getpid()], f"other_shm_{ended.pid}", "faketime_shm_x"):
            (directory / name).write_bytes(b"")
        self.assertEqual(litter.sweep(directory), [])               # too fresh
        for path in directory.iterdir():
            os.utime(path, (1, 1))
        with mock.patch.object(litter, "mapped", return_value={names[ended.pid][1]}):
            self.assertEqual(litter.sweep(directory), [names[ended.pid][0]])
        self.assertEqual(litter.sweep(directory), [names[ended.pid][1]])
        self.assertEqual(sorted(p.name for p in directory.iterdir()),
                         sorted((*names[os.getpid()], f"other_shm_{ended.pid}", "faketime_shm_x")))

    def test_what_a_process_uses_is_seen(self):
        name = f"faketime_shm_{os.getpid()}"
        path = litter.SHARED / name
        path.write_bytes(bytes(4096))
        try:
            with open(path, "r+b") as file, mmap.mmap(file.fileno(), 4096):
                self.assertIn(name, litter.mapped())
            self.assertNotIn(name, litter.mapped())
        finally:
            path.unlink()


class Summary(unittest.TestCase):
    def summary(self, cases, ctest_status=0):
        with tempfile.NamedTemporaryFile("w", suffix=".xml") as file:
            file.write(f"<testsuite>{cases}</testsuite>")
            file.flush()
            done = subprocess.run([sys.executable, "-B", harness.SOURCE / "scripts/test-summary", file.name,
                                   str(ctest_status)], capture_output=True, text=True, check=False)
        return done.returncode, done.stdout.strip().splitlines()

    def test_counts_reasons_and_exit_code(self):
        cases = """<testcase name="a" status="run"/><testcase name="b" status="run"/>
          <testcase name="c" status="notrun"><skipped message="SKIP_RETURN_CODE=77"/>
            <system-out>[ RUN ] x\nno token module here\n[  SKIPPED ] x</system-out></testcase>
          <testcase name="d" status="run"><system-out>harness: skipped t: no strace
harness: 4 passed, 0 failed, 1 skipped</system-out></testcase>"""
        code, lines = self.summary(cases)
        self.assertEqual(lines, ["skipped: c: no token module here", "skipped: d: t: no strace",
                                 "6 passed, 0 failed, 2 skipped"])
        self.assertEqual(code, 0)

    def test_failures_fail(self):
        code, lines = self.summary("""<testcase name="a" status="fail"><failure message=""/></testcase>
          <testcase name="b" status="fail"><failure/><system-out>harness: 2 passed, 3 failed, 0 skipped</system-out>
          </testcase>""", 8)
        self.assertEqual((code, lines[-1]), (1, "2 passed, 4 failed, 0 skipped"))
        self.assertEqual(lines[:2], ["failed: a", "failed: b"])

    def test_a_failed_case_says_what_was_raised(self):
        code, lines = self.summary("""<testcase name="a" status="fail"><failure/><system-out>..F
======
FAIL: test_x (__main__.X.test_x)
Traceback (most recent call last):
  File "x", line 1, in test_x
AssertionError: 4 != 130 : what
it said

======================================================================
ERROR: test_y (__main__.X.test_y)
Traceback (most recent call last):
subprocess.TimeoutExpired: Command 'kesu' timed out after 30 seconds

harness: 2 passed, 2 failed, 0 skipped</system-out></testcase>""", 8)
        self.assertEqual((code, lines), (1, ["failed: a", "  test_x: AssertionError: 4 != 130 : what it said",
                                             "  test_y: subprocess.TimeoutExpired: Command 'kesu' timed out after 30 seconds",
                                             "2 passed, 2 failed, 0 skipped"]))

    def test_a_scenario_file_that_dies_is_a_failure(self):
        code, lines = self.summary("""<testcase name="a" status="fail"><failure/><system-out>harness: 2 passed, 0 failed,
 0 skipped</system-out></testcase>""", 8)
        self.assertEqual((code, lines[-1]), (1, "0 passed, 1 failed, 0 skipped"))

    def test_nothing_ran(self):
        self.assertEqual(self.summary("")[0], 1)
        self.assertEqual(self.summary("", 0)[1][-1], "0 passed, 0 failed, 0 skipped")

    def test_ctest_status_is_kept(self):
        self.assertEqual(self.summary('<testcase name="a" status="run"/>', 8)[0], 1)


class Layers(unittest.TestCase):
    def test_a_violation_fails_with_file_and_line(self):
        with tempfile.TemporaryDirectory() as directory:
            path = pathlib.Path(directory, "lib/keys/k.cpp")
            path.parent.mkdir(parents=True)
            path.write_text("#include <string>\n#include \"store/store.h\"\n")
            done = subprocess.run([sys.executable, "-B", harness.SOURCE / "scripts/check-layers", directory],
                                  capture_output=True, text=True, check=False)
        self.assertEqual((done.returncode, done.stdout), (1, "lib/keys/k.cpp:2: keys must not include store "
                                                             "(store/store.h)\n"))


if __name__ == "__main__":
    harness.main()
