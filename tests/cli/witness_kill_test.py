"""`kesu ledger cosign` and `ledger witness init`, killed before each of their state-changing calls.

End state: the witness never has two memories of one log, what it remembers was whole at every moment, and no signature
left it that it does not remember.
"""
import json
import os
import pathlib
import sys

sys.path.insert(0, str(pathlib.Path(__file__).parents[1] / "support"))
import debian_python  # noqa: F401
import harness
import harness_kill
import small_log


class Killed(harness.TestCase):
    ram = True

    def setUp(self):
        super().setUp()
        self.secret = self.box.path / "pass"
        self.secret.write_text("correct horse battery\n")
        self.secret.chmod(0o600)
        self.witness = self.box.state / "witness"
        self.init = self.box.kesu_command("ledger", "witness", "init", self.witness, "--name", "w", "--provider",
                                          f"soft:./keystore?passphrase-source=file:{self.secret}&iterations=210000")
        self.request, self.answer = self.box.path / "request", self.box.state / "answer"
        self.log = small_log.Log().add(5)

    def vkey(self):
        return self.box.kesu("ledger", "witness", "show", self.witness).json["vkey"]

    def cosign_command(self, *words):
        return self.box.kesu_command("ledger", "cosign", self.request, "--witness", self.witness, "-o", self.answer, *words)

    def each_kill(self, command, check, expect):
        harness_kill.kill_at_each_syscall(command, prepare=self.box.restore, check=check, env=self.box.env, expect=expect)

    def test_cosign(self):
        self.box.run(*self.init)
        vkey = self.vkey()
        for first in (True, False):
            words = ("--first", self.log.vkey) if first else ()
            old = 0 if first else 5
            if not first:
                self.box.restore()
                self.request.write_text(self.log.request())
                self.box.run(*self.cosign_command("--first", self.log.vkey))
                self.answer.unlink()
                self.log.add(4)
            self.box.snapshot()
            self.request.write_text(self.log.request(old))

            def check(call):
                logs = self.box.kesu("ledger", "witness", "show", self.witness).json["logs"]
                files = list((self.witness / "logs").glob("*.json")) if (self.witness / "logs").exists() else []
                self.assertLessEqual(len(files), 1)
                size = json.loads(files[0].read_text())["size"] if files else 0
                self.assertIn(size, (old, len(self.log.leaves)))
                given = self.answer.read_text() if self.answer.exists() else ""
                if given:
                    # What was given out is remembered.
                    self.assertEqual((size, [r["size"] for r in logs]), (len(self.log.leaves), [size]))
                    self.answer.unlink()
                # A fork of what it has seen does not pass in between.
                fork = small_log.Log(key=self.log.key).add(max(size, 1), b"fork").add(1)
                if size:
                    request = self.box.path / "fork"
                    request.write_text(fork.request(size))
                    self.box.kesu("ledger", "cosign", request, "--witness", self.witness, code=6, error="ledger-damaged")
                if size and size != len(self.log.leaves):
                    # Nothing newer, before somebody has explained the fork.
                    self.box.run(*self.cosign_command(*words), code=3)
                    self.assertFalse(self.answer.exists())
                    self.box.run(*self.cosign_command(*words, "--go-on", "the request was damaged on its way"))
                else:
                    self.box.run(*self.cosign_command(*words))
                line = self.answer.read_text()
                self.assertIsNotNone(small_log.cosigned_at(self.log.text(), line, vkey))
                if given:
                    self.assertEqual(line, given)
                self.assertEqual([(r["size"], len(r["since"])) for r in self.box.kesu("ledger", "witness", "show", self.witness).json["logs"]],
                                 [(len(self.log.leaves), 1)])
            self.each_kill(self.cosign_command(*words), check, ("write", "fsync"))

    def test_init(self):
        self.box.snapshot()

        def check(call):
            if not (self.witness / "witness.json").exists():
                self.request.write_text(self.log.request())
                self.box.run(*self.cosign_command("--first", self.log.vkey), code=2)
                self.box.run(*self.init)
            self.assertFalse((self.witness / "witness.begun").exists() and call is None)
            # One key was made, and it works.
            self.assertEqual(os.path.getsize(self.witness / "keystore"), 1024)
            self.request.write_text(self.log.request())
            self.box.run(*self.cosign_command("--first", self.log.vkey))
            self.assertIsNotNone(small_log.cosigned_at(self.log.text(), self.answer.read_text(), self.vkey()))
        self.each_kill(self.init, check, ("write", "fsync"))


if __name__ == "__main__":
    harness.main()
