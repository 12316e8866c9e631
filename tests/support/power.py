"""A vault on a disk whose power is cut: an ext4 or XFS in a loop file, shut down as by EXT4_IOC_SHUTDOWN without its log,
so that what was not made durable is lost; btrfs, which has no such call, goes on in what its file holds at that moment.
What the disk holds is copied aside and put back as the file system's own blocks.

Two kinds of loss. "all": nothing since the last sync is there. "content": the file system wrote its log by itself a
moment before (as it does every few seconds, and whenever anybody syncs anything): names are there, and of the files
that bear them only the bytes that were synced. The token is no part of the disk: a device keeps what it was told.
"""
import fcntl
import os
import shutil
import struct
import subprocess
import time

import harness
import harness_kill
import kill_world
import places

SHUTDOWN, WITHOUT_LOG = 0x8004587D, 2                     # of ext4 and of XFS
START_SYNC, WAIT_SYNC = 0x80089418, 0x40089416            # of btrfs: a transaction, without the bytes that wait
LOSSES = ("all", "content")


# File system -> its size, how it is made, how it is mounted. The log is written when somebody syncs, and not by the
# clock; no file is looked after because it was renamed.
KINDS = {"ext4": ("64M", ("mkfs.ext4", "-q", "-F", "-m", "0", "-b", "4096", "-J", "size=4"), "commit=300,noauto_da_alloc"),
         "xfs": ("300M", ("mkfs.xfs", "-q", "-f"), "nodiscard"),
         "btrfs": ("128M", ("mkfs.btrfs", "-q", "-f"), "commit=300")}


class World(kill_world.World):
    """A vault, `source` and `out` on such a disk; skipped where nothing can be mounted."""
    filesystem = os.environ.get("KESU_POWER", "ext4")

    def setUp(self):
        super().setUp()
        places.needed(self)
        box = self.box
        self.disk, self.image, self.kept = box.state / "disk", box.path / "image", box.path / "kept"
        self.disk.mkdir()
        try:
            size, make, _ = KINDS[self.filesystem]
            places.run("truncate", "-s", size, self.image)
            places.run(*make, self.image)
            self.mount()
        except places.Unusable as error:
            self.skipTest(str(error))
        self.addCleanup(places.unmount, self.disk)
        if self.filesystem == "ext4":
            os.rmdir(self.disk / "lost+found")
        box.vault = self.disk / "vault"
        self.prepare_vault()
        shutil.move(self.source, self.disk / "loans")
        self.source, self.out = self.disk / "loans", self.disk / "out"

    def mount(self):
        places.run("mount", "-t", self.filesystem, "-o", f"loop,{KINDS[self.filesystem][2]}", self.image, self.disk)

    def unmount(self):
        end = time.monotonic() + 10
        while subprocess.run(["umount", self.disk], capture_output=True, check=False).returncode:
            if time.monotonic() > end:
                raise harness.HarnessError(f"{self.disk} stays in use")
            time.sleep(.02)

    def keep(self):
        self.unmount()
        shutil.rmtree(self.kept, ignore_errors=True)
        self.kept.mkdir()
        subprocess.run(["cp", "--sparse=always", self.image, self.kept / "image"], check=True)
        harness.copy_tree(self.box.state / "token", self.kept / "token")
        self.mount()

    def bring_back(self):
        self.unmount()
        subprocess.run(["cp", "--sparse=always", self.kept / "image", self.image], check=True)
        shutil.rmtree(self.box.state / "token")
        harness.copy_tree(self.kept / "token", self.box.state / "token")
        self.mount()

    def cut_power(self, loss):
        if self.filesystem == "btrfs":
            return self.cut_btrfs(loss)
        if loss == "content":
            fd = os.open(self.disk / "another's", os.O_CREAT | os.O_WRONLY, 0o600)
            os.write(fd, b"x")
            os.fsync(fd)
            os.close(fd)
        fd = os.open(self.disk, os.O_RDONLY)
        try:
            fcntl.ioctl(fd, SHUTDOWN, struct.pack("I", WITHOUT_LOG))
        except OSError as error:
            self.skipTest(f"shutting a file system down: {error.strerror}")
        finally:
            os.close(fd)
        self.unmount()
        self.mount()

    def cut_btrfs(self, loss):
        if loss == "content":
            fd = os.open(self.disk, os.O_RDONLY)
            number = bytearray(8)
            fcntl.ioctl(fd, START_SYNC, number)
            fcntl.ioctl(fd, WAIT_SYNC, bytes(number))
            os.close(fd)
        left = self.box.path / "left"
        subprocess.run(["cp", "--sparse=always", self.image, left], check=True)
        self.unmount()
        os.replace(left, self.image)
        return self.mount()

    def after_success(self, *words, check):
        """Done, exit code 0, and the power is gone at once: what it said holds."""
        for loss in LOSSES:
            self.bring_back()
            self.box.kesu(*words)
            entries = self.entries()
            self.cut_power(loss)
            self.verify_ledger()
            self.assertEqual(len(self.entries()), len(entries))
            check(None)

    def each_cut(self, *words, check, at, stdin=None, losses=LOSSES, shard=(0, 1)):
        """Cuts the power before each call of `kesu WORDS` of which at(calls, index) is true. Returns how often.
        `stdin`: a file; check(call) as in harness_kill."""
        self.keep()
        command = self.box.kesu_command(*words)
        if stdin:
            command = ["sh", "-c", 'exec "$@" <"$0"', str(stdin), *command]
        calls, _, _ = harness_kill.traced(command, env=self.box.env, cwd=self.box.path)
        chosen = [c.ordinal for i, c in enumerate(calls) if at(calls, i) and not kill_world.cuts_the_token(c)][shard[0]::shard[1]]
        cuts = 0
        for loss in losses:
            for ordinal in chosen:
                self.bring_back()
                made, killed, result = harness_kill.traced(command, at=ordinal, env=self.box.env, cwd=self.box.path)
                if not killed or kill_world.cuts_the_token(made[-1]):
                    continue
                call = made[-1]
                self.died_inside_the_token = str(self.box.state / "token") in call.target
                self.cut_power(loss)
                cuts += 1
                try:
                    self.verify_ledger()
                    check(call)
                except Exception as error:
                    raise harness.HarnessError(f"{loss} lost before call {call.ordinal}, {call.name} {call.target}\n{error}\n{result}") from error
        print(f"{words[0]}: the power was cut {cuts} times", flush=True)
        self.assertGreater(cuts, 0)
        return cuts


def around_syncs(calls, i):
    """Before each sync of the disk's and after it, and before each call that changes names."""
    if "/token/" in calls[i].target:
        return False
    return ("sync" in calls[i].name or (i > 0 and "sync" in calls[i - 1].name) or
            calls[i].name.startswith(("rename", "link", "unlink", "mkdir")))
