"""Ctrl-C while a command waits for another process that writes to the vault: it ends then and there, with nothing done, if it has
written nothing yet; else when what it began has its end."""
import contextlib
import pathlib
import signal
import sqlite3
import subprocess
import sys
import time

sys.path.insert(0, str(pathlib.Path(__file__).parents[1] / "support"))
import scenario


class Waits(scenario.World):
    @classmethod
    def prepare(cls):
        cls.seal("loans-2019", {"a": b"one", "b": b"two"})

    @contextlib.contextmanager
    def writing(self):
        """Another process has the ledger's write lock."""
        db = sqlite3.connect(self.box.vault / "ledger.db", isolation_level=None)
        db.execute("BEGIN IMMEDIATE")
        yield db
        db.close()

    def begun(self, *words):
        process = subprocess.Popen([str(w) for w in self.box.kesu_command(*words)], env=self.box.env, stdout=subprocess.PIPE,
                                   stderr=subprocess.PIPE)
        self.addCleanup(process.kill)
        return process

    def test_nothing_was_begun(self):
        entries = self.entries()
        self.write("c", b"three", below="more")
        seal = ("seal", "loans-2019", self.box.state / "more", "-o", self.out)
        for words, sign in ((seal, signal.SIGINT),
                            (("inventory", "check", "loans-2019"), signal.SIGTERM),
                            (("inventory", "scan", "loans-2019", self.box.state / "src"), signal.SIGHUP)):
            with self.writing():
                process = self.begun(*words)
                time.sleep(.7)
                self.assertIsNone(process.poll())
                sent = time.monotonic()
                process.send_signal(sign)
                out, err = process.communicate(timeout=20)
                self.assertLess(time.monotonic() - sent, 5)
            self.assertEqual(process.returncode, 130, (out, err))
            self.assertIn(b'"code":"interrupted"', out)
            self.assertIn(b"nothing was recorded", out)
            self.nothing_changed(entries)
            self.assertEqual(self.box.kesu("status").json["questions"], [])
        self.assertEqual(self.box.kesu(*seal).json["sealed"], 1)

    def test_something_was_begun(self):
        """The lock is taken between its entries: it waits on, and says how what it began ended."""
        for i in range(400):
            self.write(f"f{i}", b"%d" % i, below="more")
        before = len(self.entries())
        process = self.begun("seal", "loans-2019", self.box.state / "more", "-o", self.out)
        log = self.box.vault / "ledger.db-wal"
        end = time.monotonic() + 60
        while time.monotonic() < end and not (log.exists() and log.read_bytes().count(b"seal-intended")):
            time.sleep(.001)
        with self.writing() as db:
            process.send_signal(signal.SIGINT)
            time.sleep(1)
            self.assertIsNone(process.poll())
            db.execute("ROLLBACK")
        out, err = process.communicate(timeout=60)
        self.assertIn(process.returncode, (0, 130), (out, err))
        types = [e["type"] for e in self.entries()[before:]]
        self.assertEqual((types.count("seal-intended"), types.count("process-started")),
                         (types.count("seal-done") + types.count("seal-abandoned"), types.count("process-ended")))
        self.assertEqual(self.box.kesu("status").json["questions"], [])


if __name__ == "__main__":
    scenario.main()
