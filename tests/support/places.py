"""Small file systems for the scarcity tests: a tmpfs with a size, an ext4 in a loop file, with few inodes or a quota."""
import ctypes
import os
import struct
import subprocess

Q_SETQUOTA, PRJQUOTA, QIF_BLIMITS = 0x800008, 2, 1


class Unusable(Exception):
    """The machine cannot do that; the reason."""


def run(*words):
    try:
        done = subprocess.run([str(w) for w in words], capture_output=True, text=True, check=False)
    except FileNotFoundError:
        raise Unusable(f"{words[0]} is not installed") from None
    if done.returncode:
        raise Unusable(f"{' '.join(map(str, words))}: {done.stderr.strip() or done.stdout.strip()}")
    return done.stdout


def unusable():
    """Why nothing can be mounted here; empty if it can."""
    return "" if os.geteuid() == 0 else "mounting needs root"


def needed(test):
    """Skips a test that mounts something where nothing can be mounted."""
    if why := unusable():
        test.skipTest(why)


def tmpfs(place, _image, size):
    run("mount", "-t", "tmpfs", "-o", f"size={size},mode=0700", "kesu-test", place)


def grow_tmpfs(place, size):
    run("mount", "-o", f"remount,size={size}", place)


def ext4(place, image, size, inodes=None, project=None, block_limit=None, block=4096, keep_own=False):
    """Without a journal and reserved blocks. project: a project quota of block_limit bytes on everything in it. keep_own:
    with lost+found."""
    with open(image, "wb") as file:
        file.truncate(size)
    features = ["-O", "^has_journal" + (",project,quota" if project else "")]
    run("mkfs.ext4", "-q", "-F", "-m", "0", "-b", block, *features, *(["-E", "quotatype=prjquota"] if project else []),
        *(["-N", inodes] if inodes else []), image)
    run("mount", "-o", "loop" + (",prjquota" if project else ""), image, place)
    try:
        if not keep_own:
            os.rmdir(place / "lost+found")
        if project:
            run("chattr", "+P", "-p", project, place)
            set_quota(place, project, block_limit)
    except Unusable:
        unmount(place)
        raise


def disk(place, image, kind, size, make=(), mount="loop"):
    """An XFS (from 300 MiB) or btrfs (from 110 MiB) in a loop file that takes what is written to it."""
    with open(image, "wb") as file:
        file.truncate(size)
    run(f"mkfs.{kind}", "-q", "-f", *make, image)
    run("mount", "-t", kind, "-o", mount, image, place)


def fill(place):
    """Writes until nothing is left, to the last block; the file that has it all."""
    filler = place / "filler"
    with open(filler, "wb", buffering=0) as file:
        for size in (1 << 20, 1 << 16, 4096):
            try:
                while True:
                    file.write(bytes(size))
            except OSError:
                pass
            try:
                os.fsync(file.fileno())
            except OSError:
                pass
    return filler


def set_quota(place, project, block_limit):
    """quotactl(2) itself: Debian's setquota is in a package of its own."""
    device = run("findmnt", "-no", "SOURCE", place).strip()
    limits = struct.pack("=8QI4x", block_limit // 1024, block_limit // 1024, 0, 0, 0, 0, 0, 0, QIF_BLIMITS)
    libc = ctypes.CDLL(None, use_errno=True)
    if libc.quotactl(Q_SETQUOTA << 8 | PRJQUOTA, device.encode(), project, limits):
        raise Unusable(f"quotactl: {os.strerror(ctypes.get_errno())}")


def unmount(place):
    subprocess.run(["umount", "-l", str(place)], capture_output=True, check=False)
