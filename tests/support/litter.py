"""Takes away what libfaketime leaves in /dev/shm when a process that it runs in is killed.

It gives each such process `faketime_shm_<pid>` and `sem.faketime_sem_<pid>`, which the processes below it use, too, and
removes them at an end that a killed process does not reach.
"""
import os
import re
import time
from pathlib import Path

SHARED = Path("/dev/shm")
NAMES = re.compile(r"(?:faketime_shm|sem\.faketime_sem)_([0-9]+)$")
# A process that inherited the name may be just starting.
AGE_SECONDS = 5


def runs(pid):
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    except OSError:
        pass
    return True


def mapped():
    """Names of such files that a running process has in its memory."""
    found = set()
    for maps in Path("/proc").glob("[0-9]*/maps"):
        try:
            text = maps.read_text(errors="replace")
        except OSError:
            continue                                       # it has ended, or is somebody else's
        found.update(re.findall(r"/dev/shm/((?:faketime_shm|sem\.faketime_sem)_[0-9]+)", text))
    return found


def sweep(directory=SHARED):
    """Removes this user's, of processes that have ended, which no process uses any more. Returns their names."""
    try:
        names = os.listdir(directory)
    except OSError:
        return []
    old = []
    for name in names:
        match = NAMES.fullmatch(name)
        try:
            stat = match and os.lstat(directory / name)
        except OSError:
            continue
        if match and stat.st_uid == os.geteuid() and time.time() - stat.st_mtime > AGE_SECONDS and not runs(int(match[1])):
            old.append(name)
    gone = sorted(set(old) - mapped()) if old else []
    for name in gone:
        try:
            os.unlink(directory / name)
        except OSError:
            pass                                           # another test's harness was faster
    return gone
