"""Re-wrapping by processes with logins of their own: everything is moved, whatever becomes of them."""
import os
import pathlib
import shutil
import sys
import time

sys.path.insert(0, str(pathlib.Path(__file__).parents[1] / "support"))
import harness
import scenario
import slots

FILES = {f"f{i:03}": b"%d" % i for i in range(300)}
ALL = len(FILES) + 1                                       # and the manifest of the tree
ANSWER = 2 + 1024                                          # bytes: verdict, which slot, the slot

# Stands in for kesu-probe: what it answers in its mode `rewrap` is changed by what `edit` does with each answer (None: it dies).
RELAY = """#!/usr/bin/python3
import os, socket, subprocess, sys, threading
real, log = {real!r}, {log!r}
if sys.argv[1:] != ["rewrap"]:
    os.execv(real, [real, *sys.argv[1:]])
with open(log, "a") as f:
    f.write("x\\n")
parent = socket.socket(fileno=0)
mine, theirs = socket.socketpair()
child = subprocess.Popen([real, "rewrap"], stdin=theirs)
theirs.close()
def forward():
    while data := parent.recv(65536):
        mine.sendall(data)
    mine.shutdown(socket.SHUT_WR)
threading.Thread(target=forward, daemon=True).start()
def exactly(n):
    out = b""
    while len(out) < n:
        more = mine.recv(n - len(out))
        if not more:
            os._exit(0)
        out += more
    return out
def edit(n, answer):
{edit}
head = exactly(4)
parent.sendall(head + exactly(int.from_bytes(head, sys.byteorder)))
n = 0
while True:
    answer = edit(n, exactly({size}))
    if answer is None:
        os._exit(1)
    parent.sendall(answer)
    n += 1
"""


class Beside(scenario.World):
    @classmethod
    def prepare(cls):
        cls.seal("loans-2019", FILES)
        cls.box.kesu("key", "rotate", "loans")
        cls.wanted = {f"src/{name}": data for name, data in FILES.items()}

    def setUp(self):
        super().setUp()
        self.box.env["KESU_PROVER"] = "1"
        self.bin, self.log = self.box.path / "bin", self.box.path / "relayed"
        self.bin.mkdir()
        self.addCleanup(shutil.rmtree, self.bin)
        self.addCleanup(self.log.unlink, missing_ok=True)
        shutil.copy2(harness.program("kesu"), self.bin / "kesu")

    def rewrap(self, edit, **options):
        """kesu rewrap with relays for its processes; `edit`: the body of a function of (n, answer)."""
        text = RELAY.format(real=os.fspath(harness.program("kesu-probe")), log=os.fspath(self.log), edit=edit, size=ANSWER)
        (self.bin / "kesu-probe").write_text(text)
        (self.bin / "kesu-probe").chmod(0o755)
        command = self.box.kesu_command("rewrap", "loans-2019")
        return self.box.run(self.bin / "kesu", *command[1:], **options)

    def all_moved(self, edit, notice=""):
        done = self.rewrap(edit, code=0)
        result = done.json
        said = [line for line in done.stderr.splitlines() if "process beside" in line]
        if notice:
            self.assertTrue(said and all(notice in line and "nothing is left out" in line for line in said), done.stderr)
        else:
            self.assertEqual(said, [])
        self.assertLessEqual(len(said), len(self.log.read_text().split()), "each is said once")
        self.assertEqual((result["moved"], result["failed"], result["missing"]), (ALL, [], []))
        self.assertTrue(self.log.exists(), "no process worked beside")
        self.assertEqual(dict(slots.by_version(self.out)), {self.version_of("loans", 2): ALL})
        # Nothing rests on the older version any more.
        self.box.kesu("key", "destroy", "loans", "--version", "1", "-y")
        self.assertEqual(self.opened(self.out), self.wanted)
        self.box.kesu("ledger", "verify")

    def test_they_move_all(self):
        self.all_moved("    return answer")

    def test_what_they_do_not_say_is_done_here(self):
        self.all_moved("    return answer if n % 3 else b'n' + bytes(len(answer) - 1)", "says no to what succeeds here")

    def test_one_that_lost_its_login(self):
        self.all_moved("    return b'n' + bytes(len(answer) - 1)", "says no to what succeeds here")

    def test_one_that_hangs(self):
        """It is waited for once, and not for each object."""
        begun = time.monotonic()
        self.all_moved("    import time\n    return answer if n < 20 else time.sleep(3600)", "was silent for 10 seconds and is asked no more")
        self.assertLess(time.monotonic() - begun, 55)

    def test_one_that_failed_once_is_asked_no_more(self):
        self.all_moved("    return answer if n < 20 else b'f' + bytes(len(answer) - 1)", "failed at a wrap that it had begun")

    def test_one_that_dies(self):
        self.all_moved("    return answer if n < 50 else None", " ended and is asked no more")

    def test_one_that_babbles(self):
        self.all_moved("    return answer if n < 10 else b'z' * len(answer)", "gave an answer that makes no sense")


if __name__ == "__main__":
    scenario.main()
