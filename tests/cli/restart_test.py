"""Profile high asks for a restart of the host between the last destruction and the inspection after."""
import json
import os
import pathlib
import subprocess
import sys
import unittest
import uuid

sys.path.insert(0, str(pathlib.Path(__file__).parents[1] / "support"))
import scenario
import tsa
from clock_test import at

BOOT_ID = "/proc/sys/kernel/random/boot_id"


def namespace_problem():
    """Why no other boot_id can be shown here; empty: it can."""
    tried = subprocess.run(["unshare", "-m", "mount", "--bind", "/dev/null", BOOT_ID], capture_output=True, text=True)
    return tried.stderr.strip() if tried.returncode else ""


class Restart(scenario.World):
    quorum = 2

    @classmethod
    def write_genesis(cls, path, officers, quorum=1, sign=True, words=()):
        return super().write_genesis(path, officers, quorum, sign, ("--profile", "high", *words))

    @classmethod
    def prepare(cls):
        cls.seal("loans-2019", {"a.txt": b"one", "b.txt": b"two"})
        cls.authority = tsa.Tsa(cls.box.path / "tsa")
        server = tsa._Serving(cls.authority)
        cls.addClassCleanup(server.close)
        with open(cls.box.vault / "kesu.toml", "a") as config:
            config.write(f'[[time.authority]]\nurl = "{server.url}"\nca = "{cls.authority.root}"\n')

    def setUp(self):
        if why := namespace_problem():
            print(f"skipped: another boot_id cannot be mounted here: {why}", file=sys.stderr)
            raise unittest.SkipTest(why)
        super().setUp()

    def after_restart(self, *words, boot=None, **options):
        """kesu as on the same host, started anew: another boot_id over the kernel's."""
        other = self.box.path / "boot_id"
        other.write_text(f"{boot or uuid.uuid4()}\n")
        return self.box.run("unshare", "-m", "sh", "-c", 'mount --bind "$0" "$1" && shift && exec "$@"', other, BOOT_ID,
                            *self.box.kesu_command(*words), **options)

    def test_no_inspection_before_the_restart(self):
        erasure = self.plan("loans-2019")["erasure"]
        self.request(erasure)
        self.approve(erasure, scenario.APPROVER)
        self.approve(erasure, scenario.SECOND)
        self.run_erasure(erasure, code=4, error="waiting")
        # Four days later, in a new start of the machine: within one start kesu would see that the clock was set.
        later, boot = at("+4d"), str(uuid.uuid4())
        self.authority.offset = {**os.environ, **later}
        refused = self.after_restart("erase", "run", erasure, "-y", boot=boot, code=4, error="restart-needed", env=later)
        self.assertIn("restart the host", refused.stdout + refused.stderr)
        types = [e["type"] for e in self.entries()]
        self.assertIn("destroy-done", types)
        self.assertEqual({e["body"]["what"] for e in self.entries() if e["type"] == "finding-recorded"}, {"destruction-refused"})
        self.assertNotIn("erasure-inspected", types)
        self.assertEqual(self.stage(erasure), "running")
        # The same start of the machine: still not, however often it is asked.
        for _ in range(2):
            self.after_restart("erase", "run", erasure, "-y", boot=boot, code=4, error="restart-needed", env=later)
        # Another start, with a clock that is behind what was destroyed: an inspection could show nothing.
        refused = self.after_restart("erase", "run", erasure, "-y", code=4, error="waiting").json["error"]
        self.assertIn("behind the ledger", refused["message"])
        self.assertNotIn("erasure-inspected", [e["type"] for e in self.entries()])
        self.assertEqual(len([e for e in self.entries() if e["body"].get("what") == "destruction-refused"]), 1)   # no destruction was refused now
        done = self.after_restart("erase", "run", erasure, "-y", env=later).json
        self.assertEqual(done["stage"], "destroyed")
        inspected = next(e for e in self.entries() if e["type"] == "erasure-inspected")
        after = inspected["body"]["inspections"][0]["after"]
        answer = json.loads((self.box.vault / "evidence" / after).read_bytes())["answer"]
        destroyed = next(e for e in self.entries() if e["type"] == "destroy-intended")
        self.assertNotEqual(answer["boot_id"], destroyed["body"]["actor"]["boot_id"])
        self.assertEqual(self.stage(erasure), "destroyed")
        self.box.kesu("ledger", "verify")
        # The reader sees it, too: of the ledger's own, what is missing is not the restart.
        self.after_restart("certificate", "bundle", erasure, "-o", self.box.path / "bundle", env=later)
        report = self.box.kesu("verify", self.box.path / "bundle", "--require", "high", vault=False, code=7).json
        self.assertTrue(report["shortfalls"])
        self.assertEqual([s for s in report["shortfalls"] if "restart" in s], [])


if __name__ == "__main__":
    scenario.main()
