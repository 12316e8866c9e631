"""Many hands on one vault: two operators and cron at once for some seconds (tests/support/soak.py runs it for an hour),
two runs of one erasure, a vault on a medium that is mounted read-only, and a network file system.
"""
import os
import pathlib
import subprocess
import sys
import threading

sys.path.insert(0, str(pathlib.Path(__file__).parents[1] / "support"))
import fuse_mount
import harness
import kill_world
import places
import soak

SECONDS = float(os.environ.get("KESU_SOAK_SECONDS", "30"))


class Hands(kill_world.World):
    def test_an_hour_made_short(self):
        self.prepare_vault()
        run = soak.Soak(self, int(os.environ.get("KESU_SEED", "20191121")))
        try:
            run.run(SECONDS)
            run.verify()
        finally:
            said, in_the_way = run.said()
            print(said, flush=True)
        self.assertGreater(run.commands, 20)
        self.assertLess(in_the_way, 3 + run.commands // 20)


class TwoRuns(kill_world.World):
    def test_the_second_is_told_who_is_at_work(self):
        """kesu-probe waits, as a slow HSM makes it: the second run meets the first for certain."""
        self.prepare_vault()
        box = self.box
        box.kesu("seal", "loans-2019", self.source, "-o", self.out)
        erasure = self.approve_erasure("loans-2019")
        slow, folder = box.path / "slow", box.path / "bin"
        folder.mkdir()
        program = folder / "kesu"
        program.write_bytes(pathlib.Path(harness.program("kesu")).read_bytes())
        program.chmod(0o755)
        probe = folder / "kesu-probe"
        probe.write_text(f"#!/bin/sh\ntouch {box.path}/asked\nwhile [ -e {slow} ]; do sleep 0.05; done\n"
                         f"exec {harness.program('kesu-probe')} \"$@\"\n")
        probe.chmod(0o755)
        slow.touch()
        first = subprocess.Popen([program, "erase", "run", erasure, "-y", "--json", "--vault", box.vault], env=box.env,
                                 stdout=subprocess.PIPE, stderr=subprocess.DEVNULL)
        self.addCleanup(first.wait)
        self.addCleanup(first.kill)
        asked = threading.Event()
        for _ in range(400):
            if (box.path / "asked").exists():
                break
            asked.wait(0.05)
        refused = box.kesu("erase", "run", erasure, "-y", code=1, error="conflict").json["error"]
        self.assertIn(str(first.pid), refused["message"] + refused["cause"])
        self.assertIn("kesu erase status", refused["next"])
        slow.unlink()
        out, _ = first.communicate(timeout=60)
        self.assertEqual(first.returncode, 0, out)
        box.kesu("erase", "run", erasure, "-y", code=3, error="state-refused")
        self.settled()


class ReadOnly(kill_world.World):
    """A vault on a medium that is mounted read-only: it is read; what would write says so."""

    def test_read_only_mount(self):
        places.needed(self)
        self.prepare_vault()
        box = self.box
        box.kesu("seal", "loans-2019", self.source, "-o", self.out)
        erasure = self.approve_erasure("loans-2019")
        box.kesu("erase", "run", erasure, "-y")
        certificate = box.kesu("certificate", "bundle", erasure, "-o", box.path / "bundle").json["certificate"]
        box.kesu("key", "create", "other")
        box.kesu("dataset", "add", "other", "--key", "other")
        box.kesu("seal", "other", self.source, "-o", box.state / "other")
        entries = len(self.entries())
        try:
            places.run("mount", "--bind", box.vault, box.vault)
        except places.Unusable as error:
            self.skipTest(str(error))
        self.addCleanup(places.unmount, box.vault)
        places.run("mount", "-o", "remount,ro,bind", box.vault)
        sealed = next((box.state / "other").rglob("*.kesu"))
        for words in (("status",), ("ledger", "verify"), ("ledger", "show"), ("key", "list"), ("key", "show", "other"),
                      ("dataset", "list"), ("erase", "list"), ("erase", "status", erasure),
                      ("certificate", "list"), ("certificate", "show", certificate), ("info", sealed), ("provider", "list"),
                      ("policy", "show"), ("dataset", "inspect", "other")):
            with self.subTest(words[:2]):
                box.kesu(*words)
        self.assertTrue(box.kesu("status").json["read_only"])
        # Names are sealed: listing them holds a key, and who holds one is recorded first.
        for words in (("inventory", "list", "other"), ("key", "create", "more"), ("key", "rotate", "other"), ("dataset", "add", "more", "--key", "other"),
                      ("seal", "other", self.source, "-o", box.state / "other"), ("rewrap", "other"),
                      ("open", box.state / "other", "-o", box.path / "opened"), ("erase", "plan", "other")):
            with self.subTest(words[:2]):
                error = box.kesu(*words, code=(3, 5), error="read-only").json["error"]
                self.assertIn(str(box.vault), error["message"] + error["cause"])
                self.assertTrue(error["next"], error)
        self.assertEqual(len(self.entries()), entries)
        self.assertFalse((box.path / "opened").exists() and any((box.path / "opened").rglob("*")))


class NetworkFileSystem(kill_world.World):
    """Shown on FUSE (sshfs and its like); NFS, SMB, 9p, Ceph and AFS are told from it by statfs(2)'s number alone."""

    def test_a_vault_is_refused_there(self):
        places.needed(self)
        box = self.box
        box.token()
        self.prepare_genesis()
        place = box.path / "net"
        place.mkdir()
        try:
            mount = fuse_mount.Mount(place)
        except places.Unusable as error:
            self.skipTest(str(error))
        self.addCleanup(mount.close)
        error = box.kesu("init", place / "vault", "--genesis", self.genesis, "--provider", box.token_uri, code=3,
                         error="network-filesystem").json["error"]
        self.assertIn("fuse", error["message"])
        self.assertIn("local disk", error["next"])


if __name__ == "__main__":
    harness.main()
