"""For scripts/bench: runs commands and says what they took; alternating pairs, medians; what machine this is."""
import contextlib
import os
import platform
import shlex
import statistics
import subprocess
import tempfile
import time
from pathlib import Path


class CommandFailed(Exception):
    """A measured command ended otherwise than with exit code 0."""


class NoHugePages(Exception):
    """This machine, or this user, has no memory of huge pages to measure in."""


class Cost:
    """What one run took: seconds on the wall and of both cores, and the peak of resident memory in bytes."""

    def __init__(self, wall, cpu, peak, out=b""):
        self.wall, self.cpu, self.peak, self.out = wall, cpu, peak, out


def run(command, env=None, stdin=None, stdout=None, cwd=None):
    """Runs one command to its end; its output goes to the file `stdout` or is kept. Throws CommandFailed.

    Through time(1): a process begins with the peak of the one that forked it, and this one is larger than kesu.
    """
    with (tempfile.TemporaryFile() as kept, tempfile.TemporaryFile() as errors,
          tempfile.NamedTemporaryFile("r") as peak):
        source = open(stdin, "rb") if stdin else subprocess.DEVNULL
        target = open(stdout, "wb") if stdout else kept
        try:
            began = time.monotonic()
            child = subprocess.Popen(["time", "-q", "-f", "%M", "-o", peak.name, *map(str, command)], stdin=source, stdout=target, stderr=errors,
                                     env=env, cwd=cwd)
            # wait4 counts the processes that the command itself waited for, too (kesu-probe).
            _, status, used = os.wait4(child.pid, 0)
            wall = time.monotonic() - began
            child.returncode = os.waitstatus_to_exitcode(status)
        finally:
            for file in (source, target):
                if hasattr(file, "close") and file is not kept:
                    file.close()
        kept.seek(0)
        out = kept.read()
        if child.returncode != 0:
            errors.seek(0)
            raise CommandFailed(f"$ {shlex.join(map(os.fspath, command))}\nexit {child.returncode}\n"
                                f"{(out + errors.read())[-3000:].decode('utf-8', 'replace')}")
        return Cost(wall, used.ru_utime + used.ru_stime, int(peak.read()) * 1024, out)


def alternate(rounds, works, before=None):
    """Runs each of `works` (name -> function giving a Cost) once a round, the order turned around every other
    round, and gives name -> list of Costs. `before(name)`, not measured, prepares each run."""
    costs = {name: [] for name in works}
    for turn in range(rounds):
        for name in (list(works) if turn % 2 == 0 else reversed(list(works))):
            if before:
                before(name)
            costs[name].append(works[name]())
    return costs


def median(costs, of="wall"):
    return statistics.median(getattr(c, of) for c in costs)


def paired_ratio(ours, against, of="wall"):
    """How often `ours` fits into `against`: the median of the rounds' own ratios."""
    return statistics.median(getattr(a, of) / getattr(o, of) for o, a in zip(ours, against))


def file_system(path):
    """The type of the file system that a path lies on, as the kernel names it."""
    best, kind = "", "unknown"
    real = os.path.realpath(path)
    for line in Path("/proc/self/mounts").read_text().splitlines():
        where, what = line.split()[1:3]
        where = where.encode().decode("unicode_escape")
        if (real + "/").startswith(where.rstrip("/") + "/") and len(where) >= len(best):
            best, kind = where, what
    return kind


def in_memory(path):
    return file_system(path) in ("tmpfs", "ramfs")


def facts(ram, disk, kesu):
    """Rows (what, value) about this machine and the programs measured."""
    cpu = next((l.split(":", 1)[1].strip() for l in Path("/proc/cpuinfo").read_text().splitlines()
                if l.startswith("model name")), platform.machine())
    memory = next(int(l.split()[1]) for l in Path("/proc/meminfo").read_text().splitlines()
                  if l.startswith("MemTotal"))
    release = next((l.split("=", 1)[1].strip('"') for l in Path("/etc/os-release").read_text().splitlines()
                    if l.startswith("PRETTY_NAME=")), platform.system())
    rows = [("CPU", f"{cpu}, {len(os.sched_getaffinity(0))} cores for this process"),
            ("memory", f"{memory / (1 << 20):.1f} GiB"),
            ("system", f"{release}, kernel {platform.release()}"),
            ("in memory", f"{ram}: {file_system(ram)}"),
            ("on disk", f"{disk}: {file_system(disk)}" +
             (" (in memory: durable figures say nothing here)" if in_memory(disk) else "")),
            ("load before", " ".join(f"{x:.1f}" for x in os.getloadavg()) +
             " (1, 5, 15 minutes); above 0.5 others were at work, and figures against the clock are too low")]
    for words in ((kesu, "--version"), ("age", "--version"), ("gpg", "--version"), ("shred", "--version"),
                  ("cp", "--version")):
        try:
            said = subprocess.run(words, capture_output=True, check=False).stdout.decode().splitlines()
        except FileNotFoundError:
            said = ["not installed"]
        rows.append((os.path.basename(words[0]), said[0] if said else "?"))
    return rows


def settle_disk(path):
    """Writes back what is dirty on the file system of a path, so that no run pays for another's."""
    subprocess.run(["sync", "-f", os.fspath(path)], check=True)


def warm(directory, size):
    """Touches as much of the memory behind a directory as a case will need: the first write to pages that the
    machine has never had costs a virtual machine several times the later ones."""
    if not in_memory(directory):
        return
    path = Path(directory) / "warm"
    block = bytes(1 << 20)
    with open(path, "wb") as file:
        for _ in range(size >> 20):
            file.write(block)
    path.unlink()


@contextlib.contextmanager
def huge_pages(directory):
    """A new tmpfs of huge pages below `directory`, gone afterwards. Throws NoHugePages."""
    path = Path(tempfile.mkdtemp(prefix="huge-", dir=directory))
    done = subprocess.run(["mount", "-t", "tmpfs", "-o", "huge=always,mode=700", "tmpfs", path], capture_output=True, check=False)
    if done.returncode != 0:
        path.rmdir()
        raise NoHugePages(done.stderr.decode().strip() or f"mount ended with exit code {done.returncode}")
    try:
        yield path
    finally:
        # What a stopped measurement left in use goes with its last user.
        subprocess.run(["umount", "--lazy", path], check=True)
        path.rmdir()
