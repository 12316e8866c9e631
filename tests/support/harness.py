"""For the scenario tests of tests/cli: runs kesu as a person would, on a private token, in a directory of its own.

A scenario file looks like this:

    import sys, pathlib
    sys.path.insert(0, str(pathlib.Path(__file__).parents[1] / "support"))
    import harness

    class Erase(harness.TestCase):
        def test_refused_while_held(self):
            officer = self.box.officer("alice")
            self.box.kesu("key", "create", "k1")                        # fails the test unless the exit code is 0
            r = self.box.kesu("key", "destroy", "k1", code=3, error="held")
            self.assertEqual(r.json["error"]["code"], "held")

    if __name__ == "__main__":
        harness.main()

Programs are taken from KESU_BIN_DIR, else build/bin. KESU_KEEP=1 keeps the directories of a run. Needs only the
standard library. Kill tests are in harness_kill.py.
"""
import contextlib
import json
import os
import shlex
import shutil
import subprocess
import sys
import tempfile
import unittest
from pathlib import Path

import litter

SOURCE = Path(__file__).resolve().parents[2]
BIN = Path(os.environ.get("KESU_BIN_DIR") or SOURCE / "build" / "bin").resolve()


class HarnessError(AssertionError):
    """What a run did is not what the test demands, or the machine lacks something the harness needs."""


def program(name):
    """The path of a built program; fails the test when it was not built."""
    path = BIN / name
    if not path.is_file():
        raise HarnessError(f"{path} is not built; run scripts/build, or set KESU_BIN_DIR")
    return str(path)


class Result:
    """What one run of a program left: exit code, output, and its JSON where it printed any."""

    def __init__(self, command, done):
        self.command = command
        self.code = done.returncode
        self.raw = done.stdout
        self.stdout = done.stdout.decode("utf-8", "replace")
        self.stderr = done.stderr.decode("utf-8", "replace")

    @property
    def json(self):
        """The one JSON document on stdout."""
        try:
            return json.loads(self.stdout)
        except ValueError as error:
            raise HarnessError(f"stdout is not one JSON document ({error})\n{self}") from None

    @property
    def lines(self):
        """The JSON documents of a stream, one per line."""
        try:
            return [json.loads(line) for line in self.stdout.splitlines() if line.strip()]
        except ValueError as error:
            raise HarnessError(f"stdout is not one JSON document a line ({error})\n{self}") from None

    @property
    def error_code(self):
        """`error.code` of a failed run with --json, else None."""
        with contextlib.suppress(ValueError, HarnessError, AttributeError, IndexError):
            # A stream that fails half-way ends with its error.
            document = json.loads(self.stdout) if self.stdout.lstrip().startswith("{\n") else self.lines[-1]
            return document.get("error", {}).get("code")
        return None

    def expect(self, code=0, error=None):
        """Fails the test unless the exit code (a number or several), and error.code if given, are as expected."""
        codes = (code,) if isinstance(code, int) else tuple(code)
        if self.code not in codes:
            raise HarnessError(f"exit code {self.code}, expected {' or '.join(map(str, codes))}\n{self}")
        if error is not None and self.error_code != error:
            raise HarnessError(f"error.code {self.error_code}, expected {error}\n{self}")
        return self

    def __str__(self):
        def cut(text):
            return text if len(text) < 6000 else text[:3000] + "\n[…]\n" + text[-3000:]
        return f"$ {shlex.join(self.command)}\n[exit {self.code}]\n{cut(self.stdout)}\n[stderr]\n{cut(self.stderr)}"


class Officer:
    """A person with an SSH key (Ed25519, no passphrase)."""

    def __init__(self, box, name):
        self.name = name
        self.private = box.path / "officers" / name
        self.public = Path(f"{self.private}.pub")
        self._box = box
        self.private.parent.mkdir(exist_ok=True)
        box.run("ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-C", name, "-f", self.private)
        self.line = self.public.read_text().strip()

    def sign(self, namespace, data):
        """An armoured SSH signature (SSHSIG) of some bytes, as bytes."""
        return self._box.run("ssh-keygen", "-q", "-Y", "sign", "-f", self.private, "-n", namespace, stdin=data).raw


class Sandbox:
    """A temporary directory with its own environment, token and officers. `ram` asks for one in memory.

    state/ is what snapshot() copies and restore() brings back at the same path: put the vault there. The SoftHSM
    token lies in it too, so that keys and vault go back together.
    """

    def __init__(self, ram=False):
        base = None
        if ram and os.path.isdir("/dev/shm") and shutil.disk_usage("/dev/shm").free > 48 << 20:
            base = "/dev/shm"
        self.path = Path(tempfile.mkdtemp(prefix="kesu-test-", dir=base)).resolve()
        self.state = self.path / "state"
        self.state.mkdir()
        (self.path / "home").mkdir()
        (self.path / "tmp").mkdir()
        # Nothing of the developer's own set-up reaches a test.
        self.env = {"PATH": os.environ.get("PATH", "/usr/bin:/bin"), "HOME": str(self.path / "home"),
                    "TMPDIR": str(self.path / "tmp"), "LC_ALL": "C.UTF-8", "TZ": "UTC", "NO_COLOR": "1"}
        for name in ("ASAN_OPTIONS", "UBSAN_OPTIONS", "LLVM_PROFILE_FILE"):
            if name in os.environ:
                self.env[name] = os.environ[name]
        self.vault = self.state / "vault"
        self.token_uri = None
        self._officers = {}

    def close(self):
        if os.environ.get("KESU_KEEP"):
            print(f"kept: {self.path}", file=sys.stderr)
        else:
            shutil.rmtree(self.path, ignore_errors=True)

    def token(self, label="kesu-test"):
        """Makes a SoftHSM token (once per label) and puts SOFTHSM2_CONF and KESU_TOKEN_URI into the environment."""
        made = self.run(SOURCE / "scripts" / "softhsm-env", self.state / "token", label)
        for line in made.stdout.splitlines():
            name, _, value = line.removeprefix("export ").partition("=")
            self.env[name] = shlex.split(value)[0]
        self.token_uri = self.env["KESU_TOKEN_URI"]
        return self.token_uri

    def officer(self, name):
        if name not in self._officers:
            self._officers[name] = Officer(self, name)
        return self._officers[name]

    def run(self, *command, stdin=b"", code=0, error=None, env=None, cwd=None, timeout=120):
        """Runs any program; code=None takes every exit code. stdin is bytes or text; env adds to the environment."""
        words = [os.fspath(word) for word in command]
        data = stdin.encode() if isinstance(stdin, str) else stdin
        environment = {**self.env, **{k: str(v) for k, v in (env or {}).items()}}
        try:
            done = subprocess.run(words, input=data, capture_output=True, env=environment, cwd=cwd or self.path,
                                  timeout=timeout, check=False)
        except FileNotFoundError:
            raise HarnessError(f"{words[0]} is not installed; run scripts/setup test") from None
        except subprocess.TimeoutExpired:
            raise HarnessError(f"no end after {timeout} s: {shlex.join(words)}") from None
        result = Result(words, done)
        return result if code is None else result.expect(code, error)

    def kesu_command(self, *words, json=True, vault=True):
        """The words of a kesu command line: with --vault (unless the vault is not there yet) and --json."""
        command = [program("kesu"), *map(os.fspath, words)]
        if vault and (self.vault / "kesu.toml").exists():
            command += ["--vault", str(self.vault)]
        return command + (["--json"] if json else [])

    def kesu(self, *words, json=True, vault=True, **options):
        """Runs kesu and demands exit code 0, or what `code` and `error` say. See run() for the options."""
        return self.run(*self.kesu_command(*words, json=json, vault=vault), **options)

    def text(self, *words, **options):
        """Like kesu(), as a person reads it: without --json."""
        return self.kesu(*words, json=False, **options)

    def snapshot(self, name="snapshot"):
        """Copies state/ aside, for restore()."""
        copy = self.path / name
        shutil.rmtree(copy, ignore_errors=True)
        copy_tree(self.state, copy)

    def restore(self, name="snapshot"):
        """Puts state/ back to what it was at snapshot(), at the same path."""
        shutil.rmtree(self.state)
        copy_tree(self.path / name, self.state)


def copy_tree(source, target):
    """A copy with times, modes and links, sharing blocks where the file system can. The target must not exist."""
    subprocess.run(["cp", "-a", "--reflink=auto", "--", os.fspath(source), os.fspath(target)], check=True)


class TestCase(unittest.TestCase):
    """A test case with a fresh sandbox, self.box, per test. Set ram = True in a class that runs many commands."""
    maxDiff = None
    ram = False

    def setUp(self):
        super().setUp()
        self.box = Sandbox(ram=self.ram)
        self.addCleanup(self.box.close)


class _Recorder(unittest.TextTestResult):
    passed = 0

    def addSuccess(self, test):
        super().addSuccess(test)
        self.passed += 1


def main(module="__main__"):
    """Runs the test cases of a scenario file; prints their numbers in the form that scripts/test-summary reads.

    Exit code 1 when a case failed or none ran, 77 (CTest's "skipped") when every case was skipped.
    """
    litter.sweep()                                         # of earlier tests that were killed
    runner = unittest.TextTestRunner(stream=sys.stdout, verbosity=2, resultclass=_Recorder)
    outcome = unittest.main(module=module, testRunner=runner, exit=False).result
    for test, reason in outcome.skipped:
        print(f"harness: skipped {test.id()}: {reason}")
    litter.sweep()
    failed = len(outcome.failures) + len(outcome.errors) + len(outcome.unexpectedSuccesses)
    passed = outcome.passed + len(outcome.expectedFailures)
    print(f"harness: {passed} passed, {failed} failed, {len(outcome.skipped)} skipped", flush=True)
    if failed or not outcome.testsRun:
        sys.exit(1)
    sys.exit(77 if not passed else 0)
