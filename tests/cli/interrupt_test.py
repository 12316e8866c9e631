"""Ctrl-C in the commands that go over an inventory: exit 130, nothing is left open, and the same command goes on."""
import os
import pathlib
import shutil
import signal
import socket
import subprocess
import sys
import time

sys.path.insert(0, str(pathlib.Path(__file__).parents[1] / "support"))
import harness
import scenario

COUNT = 1500  # two batches
LARGE = 192 << 20


class Interrupted(scenario.World):
    @classmethod
    def prepare(cls):
        for i in range(COUNT):
            cls.write(f"f{i:04}", b"%d" % i)
        cls.write("large")
        with open(cls.box.state / "src" / "large", "r+b") as file:
            file.truncate(LARGE)
        cls.box.kesu("dataset", "add", "many", "--key", "loans")
        cls.box.kesu("dataset", "add", "one", "--key", "loans")
        src = cls.box.state / "src"
        cls.box.kesu("seal", "one", src / "large", "-o", cls.out / "one")
        (src / "large").unlink()
        cls.box.kesu("seal", "many", src, "-o", cls.out / "many")
        shutil.rmtree(src)

    def types(self):
        return [e["type"] for e in self.entries()]

    def stop(self, *words, after, sign=signal.SIGINT):
        """The signal is sent once the ledger has one more entry of type `after` (read from its write-ahead log)."""
        before = self.log().count(after)
        process = subprocess.Popen([str(w) for w in self.box.kesu_command(*words)], env=self.box.env, stdout=subprocess.PIPE,
                                   stderr=subprocess.PIPE)
        end = time.monotonic() + 60
        while self.log().count(after) <= before and process.poll() is None and time.monotonic() < end:
            time.sleep(.001)
        process.send_signal(sign)
        out, err = process.communicate(timeout=60)
        self.assertEqual(process.returncode, 130, (out, err))
        self.assertIn(b'"code":"interrupted"', out)
        self.assertIn(b"same command", out)
        status = self.box.kesu("status").json
        self.assertEqual(status["questions"], [])
        self.box.kesu("ledger", "verify")
        return out

    def log(self):
        path = self.box.vault / "ledger.db-wal"
        return path.read_bytes() if path.exists() else b""

    def stuck(self, *words, stdin, read=True, sign=signal.SIGINT, through="pipe"):
        """One signal, while nobody reads what it writes; or, without `read`, nobody writes what it reads."""
        receives, sends = (end.detach() for end in socket.socketpair()) if through == "socket" else os.pipe()
        with open(stdin, "rb") as file, open(os.devnull, "wb") as null:
            process = subprocess.Popen([str(w) for w in self.box.kesu_command(*words, json=False)], env=self.box.env,
                                       stdin=file if read else receives, stdout=sends if read else null, stderr=subprocess.PIPE)
            try:
                time.sleep(1)
                process.send_signal(sign)
                _, err = process.communicate(timeout=20)
            except subprocess.TimeoutExpired:
                process.kill()
                process.communicate()
                self.fail("it waits on")
            finally:
                os.close(receives)
                os.close(sends)
        self.assertEqual((process.returncode, b"interrupted" in err), (130, True), err)
        self.assertEqual(self.box.kesu("status").json["questions"], [])

    def test_a_reader_that_stopped(self):
        sealed, = (self.out / "one").rglob("large.kesu")
        self.stuck("seal", "one", "-", "--name", "n", "-o", "-", stdin=sealed)
        self.stuck("open", sealed, "-o", "-", stdin=os.devnull, sign=signal.SIGTERM)
        self.stuck("open", "-", "-o", "-", stdin=sealed)
        self.stuck("open", "-", "-o", "-", stdin=sealed, read=False)
        self.stuck("open", sealed, "-o", "-", stdin=os.devnull, through="socket")

    def test_a_reader_behind_a_socket(self):
        sealed, = (self.out / "one").rglob("large.kesu")
        command = [str(w) for w in self.box.kesu_command("open", sealed, "-o", "-", json=False)]
        piped = subprocess.run(command, env=self.box.env, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, check=True).stdout
        receives, sends = socket.socketpair()
        with receives, subprocess.Popen(command, env=self.box.env, stdin=subprocess.DEVNULL, stdout=sends) as process:
            sends.close()
            with receives.makefile("rb") as stream:
                came = stream.read()
            self.assertEqual(process.wait(timeout=60), 0)
        self.assertEqual(len(came), LARGE)
        self.assertTrue(came == piped)

    def check(self, name, objects):
        result = self.box.kesu("inventory", "check", name).json
        self.assertEqual((result["objects"], result["good"], result["missing"], result["damaged"]), (objects, objects, [], []))

    def test_check_between_files(self):
        for sign in (signal.SIGINT, signal.SIGTERM):
            self.stop("inventory", "check", "many", after=b"objects-opened", sign=sign)
        self.check("many", COUNT + 1)

    def test_check_inside_a_large_file(self):
        self.stop("inventory", "check", "one", after=b"objects-opened")
        self.check("one", 1)

    def test_rewrap(self):
        self.box.kesu("key", "rotate", "loans")
        self.stop("rewrap", "many", after=b"rewrap-intended")
        done = [e for e in self.entries() if e["type"] == "rewrap-done"][-1]
        moved = done["nodes"][0]["n"]
        self.assertEqual(done["body"]["interrupted"], False)     # it ended its own batch
        to_move = self.box.kesu("rewrap", "many", "--dry-run").json["to_move"]
        self.assertEqual(to_move, COUNT + 1 - moved)
        result = self.box.kesu("rewrap", "many").json
        self.assertEqual((result["moved"], result["failed"], result["missing"]), (to_move, [], []))
        self.check("many", COUNT + 1)

    def test_adopt(self):
        """Taken back to before the sealing, so that every object is one that no inventory counts."""
        aside = self.box.path / "sealed"
        shutil.rmtree(aside, ignore_errors=True)
        kept = self.box.path / "vault-kept"
        shutil.rmtree(kept, ignore_errors=True)
        shutil.copytree(self.box.vault, kept)
        self.write("more", b"more")
        for i in range(200):
            self.write(f"g{i}", os.urandom(100))
        self.box.kesu("seal", "many", self.box.state / "src", "-o", aside)
        shutil.rmtree(self.box.vault)
        kept.rename(self.box.vault)
        self.stop("inventory", "adopt", "many", aside, after=b"objects-opened")
        result = self.box.kesu("inventory", "adopt", "many", aside).json
        self.assertEqual((result["adopted"] + result["known"], result["failed"]), (202, []))
        self.check("many", COUNT + 1 + 202)


if __name__ == "__main__":
    scenario.main()
