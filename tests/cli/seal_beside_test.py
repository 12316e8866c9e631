"""Sealing many files with a token that does one operation at a time in a process: another process proves the wraps."""
import os
import pathlib
import shutil
import subprocess
import sys
import time

sys.path.insert(0, str(pathlib.Path(__file__).parents[1] / "support"))
import harness
import scenario

FROM = 2000  # files; docs/spec/provider-port.md, "Processes beside"


class Beside(scenario.World):
    @classmethod
    def prepare(cls):
        cls.bin, cls.log = cls.box.path / "bin", cls.box.path / "started"
        cls.bin.mkdir()
        shutil.copy2(harness.program("kesu"), cls.bin / "kesu")
        cls.tree = cls.box.path / "tree"
        for n in range(FROM):
            path = cls.tree / f"{n // 500}" / f"{n:04}"
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes(b"%d" % n)

    def setUp(self):
        super().setUp()
        self.probe("")

    def probe(self, instead):
        """A kesu-probe that says in what mode it was started; `instead`: what it does there in the mode `prove`."""
        if instead:
            instead = f'[ "$1" = prove ] && exec {instead}\n'
        (self.bin / "kesu-probe").write_text(f'#!/bin/sh\necho "$1" >> "{self.log}"\n{instead}'
                                             f'exec "{os.fspath(harness.program("kesu-probe"))}" "$@"\n')
        (self.bin / "kesu-probe").chmod(0o755)

    def sealed(self, *words, **env):
        self.log.unlink(missing_ok=True)
        command = self.box.kesu_command("seal", "loans-2019", self.tree, "-o", self.out, *words)
        result = self.box.run(self.bin / "kesu", *command[1:], env={**self.box.env, **env}).json
        started = self.log.read_text().split() if self.log.exists() else []
        return result["sealed"], started

    def test_from_so_many_on(self):
        self.assertEqual(self.sealed(), (FROM, ["prove"]))
        # Two batches, each intended before its files had names.
        self.assertEqual([e["nodes"][0]["n"] for e in self.entries() if e["type"] == "seal-done"], [1000, 1000, 1])

    def test_not_for_fewer_and_not_where_it_is_not_wanted(self):
        self.assertEqual(self.sealed("--exclude", "0/0007"), (FROM - 1, []))
        self.box.restore("prepared")
        self.assertEqual(self.sealed(KESU_PROVER="0"), (FROM, []))

    def test_one_that_is_of_no_use_is_told(self):
        """It logs in, and then says nothing, says no to everything, or ends: all is sealed, and proven here."""
        for does, notice in (("time.sleep(3600)", "was silent for 10 seconds and is asked no more"), ("say_no()", "says no to what succeeds here"),
                             ("sys.exit()", "ended and is asked no more")):
            with self.subTest(does):
                self.box.restore("prepared")
                stand_in = self.box.path / "stand-in.py"
                stand_in.write_text("import socket, struct, sys, time\n"
                                    "parent = socket.socket(fileno=0)\n"
                                    "def read(n):\n"
                                    "    out = parent.recv(n, socket.MSG_WAITALL)\n"
                                    "    return out if len(out) == n else sys.exit()\n"
                                    "def say_no():\n"
                                    "    while True:\n"
                                    "        read(struct.unpack('=I', read(4))[0] - 4)\n"
                                    "        parent.sendall(b'n')\n"
                                    "read(struct.unpack('=I', read(4))[0] + 32)\n"
                                    "said = b'{\"code\":\"\",\"message\":\"\"}'\n"
                                    "parent.sendall(struct.pack('=I', len(said)) + said)\n"
                                    f"{does}\n")
                self.probe(f"{sys.executable} {stand_in}")
                begun, command = time.monotonic(), self.box.kesu_command("seal", "loans-2019", self.tree, "-o", self.out)
                done = self.box.run(self.bin / "kesu", *command[1:])
                self.assertEqual(done.json["sealed"], FROM)
                self.assertEqual([notice in line for line in done.stderr.splitlines() if "process beside" in line], [True], done.stderr)
                self.assertLess(time.monotonic() - begun, 55)

    def test_a_login_that_hangs_is_told_and_not_waited_for_long(self):
        self.probe("sleep 60")
        command = self.box.kesu_command("seal", "loans-2019", self.tree, "-o", self.out)
        begun = time.monotonic()
        process = subprocess.Popen([self.bin / "kesu", *command[1:]], env=self.box.env, cwd=self.box.path, stdin=subprocess.DEVNULL,
                                   stdout=subprocess.PIPE, stderr=subprocess.PIPE)
        said = process.stderr.readline().decode()
        told = time.monotonic() - begun
        self.assertIn("waiting for the login of a process beside this one (kesu-probe, ", said)
        out, err = process.communicate(timeout=60)
        self.assertEqual((process.returncode, err), (0, b""))
        self.assertIn(b'"sealed":%d' % FROM, out)
        self.assertLess(told, 8)
        self.assertLess(time.monotonic() - begun, 28)    # it waited for 30 seconds once

    def test_a_pin_that_became_wrong_ends_it_and_leaves_no_question(self):
        answer = self.box.path / "answer.py"
        answer.write_text("import json, socket\n"
                          "said = json.dumps({'code': 'pin-wrong', 'message': 'not that one'}).encode()\n"
                          "parent = socket.socket(fileno=0)\n"
                          "parent.sendall(len(said).to_bytes(4, 'little') + said)\n"
                          "while parent.recv(65536):\n    pass\n")
        self.probe(f"{sys.executable} {answer}")
        command = self.box.kesu_command("seal", "loans-2019", self.tree, "-o", self.out)
        self.box.run(self.bin / "kesu", *command[1:], code=5, error="pin-wrong")
        self.assertEqual(self.box.kesu("status").json["questions"], [])
        self.assertEqual(self.files_below(self.out), {})
        self.assertEqual(sum(e["type"] == "seal-abandoned" for e in self.entries()), 1)


if __name__ == "__main__":
    harness.main()
