"""Kills a command before each of its state-changing system calls in turn, and has the state checked after each.

    box.snapshot()
    points = harness_kill.kill_at_each_syscall(
        box.kesu_command("key", "create", "k1"), prepare=box.restore, check=self.consistent, env=box.env,
        expect=("pwrite64", "fdatasync", "openat"))

Under CTest a kill test runs as several shards (KESU_SHARD=I/N, from 0): shard I takes points I+1, I+1+N, …
Most calls of a command are made by SQLite and SoftHSM, whose stretches look alike in every test; of those a sample is
taken (see `sampled`). Tests that pass thorough=True take every point, and KESU_KILLS=all makes all tests do so.
Why not `strace -e inject=CALL:signal=SIGKILL:when=N`: its N counts per thread, so with a leader thread and child
processes the N-th call of a later thread is masked by an earlier thread's, and a hit in a child leaves the command
alive. The tracer kill_at counts over the whole process tree and kills all of it (harness_test.py shows that it
misses no call). The kill comes before the call; the state after the last call is that of the undisturbed run.
"""
import collections
import os
import random
import subprocess
import tempfile
from pathlib import Path

import harness

Call = collections.namedtuple("Call", "ordinal name task target")


class Points:
    """What kill_at_each_syscall did: the calls of the undisturbed run, and the kills made, by system call."""

    def __init__(self, baseline):
        self.baseline = baseline
        self.killed = collections.Counter()
        self.passed_over = collections.Counter()
        self.left_out = collections.Counter()
        self.undisturbed = 0

    def __str__(self):
        parts = [f"{name} {number}" for name, number in sorted(self.killed.items())]
        text = f"{sum(self.killed.values())} of {len(self.baseline)} kill points: " + ", ".join(parts)
        if self.passed_over:
            text += "; passed over (KESU_KILLS=all takes them): " + ", ".join(
                f"{n} in {place}" for place, n in sorted(self.passed_over.items()))
        if self.left_out:
            text += "; not checked: " + ", ".join(f"{what} {n}" for what, n in sorted(self.left_out.items()))
        return text


def shard_of_environment():
    """(index, count) from KESU_SHARD=I/N; (0, 1) when it is not set."""
    index, _, count = os.environ.get("KESU_SHARD", "0/1").partition("/")
    if not 0 <= int(index) < int(count):
        raise harness.HarnessError(f"KESU_SHARD={index}/{count}: the index counts from 0")
    return int(index), int(count)


ONE_IN = 8
# What the kill tests do not have to show again and again, by a part of the path. Of each: whose calls they are.
ALIKE = (("/registers.db", "registers.db"),     # derived: saved by a rollback journal at the end of every command
         ("/ledger.db", "ledger.db"),           # SQLite's log: opened, written, synced, folded into the database
         ("/token/", "the token"),              # SoftHSM writes an object attribute by attribute
         (".part-", "an unnamed bundle"))       # files below a directory that has no final name yet


def alike(call):
    """Whose stretch of calls it belongs to; None: the command's own, of which every point is taken."""
    return next((place for part, place in ALIKE if part in call.target), None)


def sampled(calls, whole=()):
    """Of each stretch of calls in one place: its first and last, of the ledger's each sync and what follows it, and one
    in ONE_IN of the rest, by chance (KESU_SEED). `whole`: places of which every call is taken."""
    chance = random.Random(f"{os.environ.get('KESU_SEED', '20191121')} {len(calls)}")
    places = [alike(c) for c in calls]
    out = []
    for i, (call, place) in enumerate(zip(calls, places)):
        inside = 0 < i < len(calls) - 1 and places[i - 1] == place == places[i + 1]
        synced = place == "ledger.db" and ("sync" in call.name or "sync" in calls[i - 1].name)
        drawn = chance.randrange(ONE_IN) == 0
        if place is None or place in whole or not inside or synced or drawn:
            out.append(call)
    return out


def kill_while_publishing(command, out, published, env=None, cwd=None, call="renameat2"):
    """Runs a sealing into the directory `out`, killed when so many of its objects bear their final names. `call`: what gives
    them; linkat where 64 or more are sealed at once."""
    *_, killed, result = traced(command, published + 1, env, cwd, only=("--call", call, "--under", f"{out}/"))
    if not killed:
        raise harness.HarnessError(f"it ended before the kill\n{result}")


def traced(command, at=0, env=None, cwd=None, timeout=120, only=()):
    """Runs a command under the tracer, killed before call `at` (0: never) of those that `only` (options of kill_at)
    leaves. Returns (calls, killed, exit code)."""
    environment = dict(os.environ if env is None else env)
    # LeakSanitizer cannot work under a tracer.
    environment["ASAN_OPTIONS"] = environment.get("ASAN_OPTIONS", "") + ":detect_leaks=0"
    with tempfile.TemporaryDirectory(prefix="kesu-kill-") as directory:
        report = Path(directory) / "report"
        words = [harness.program("kill_at"), "--at", str(at), *only, "--report", str(report), "--", *map(os.fspath, command)]
        try:
            done = subprocess.run(words, stdin=subprocess.DEVNULL, capture_output=True, env=environment, cwd=cwd,
                                  timeout=timeout, check=False)
        except subprocess.TimeoutExpired:
            raise harness.HarnessError(f"no end after {timeout} s: {' '.join(words)}") from None
        lines = report.read_text(encoding="utf-8", errors="replace").split("\n") if report.exists() else []
    result = harness.Result(words, done)
    end = lines[-2].split() if len(lines) > 1 else []
    if end[:1] not in (["killed"], ["exit"]):
        raise harness.HarnessError(f"the tracer did not come to an end (is ptrace allowed here?)\n{result}")
    calls = []
    for line in lines:
        if line.startswith("call "):
            _, ordinal, name, task, target = (line.split(" ", 4) + [""])[:5]
            calls.append(Call(int(ordinal), name, int(task), target))
    killed = end[0] == "killed"
    if not killed and at == 0 and int(end[1]) != 0:
        raise harness.HarnessError(f"the undisturbed run must succeed\n{result}")
    return calls, killed, result


def kill_at_each_syscall(command, prepare, check, env=None, cwd=None, expect=(), only=None, shard=None, timeout=120,
                         watch=None, leave_out=None, thorough=False):
    """Runs `command` again and again, each time killed before its next state-changing call, until one run ends by itself.

    prepare()            restores the state before every run
    check(call)          is called after every run: with the Call that did not happen, or with None when the run was
                         undisturbed; it raises (assert) when the state is not acceptable
    expect               system calls of which at least one kill must have been made (over all shards together)
    leave_out(call)      True: the state after this kill is not checked; such points are counted and printed
    watch(call, result)  is called before check, with what the run printed before it died
    only                 a function of a Call: False leaves that point out (by the undisturbed run's calls)
    thorough             True: every point, whatever its place; or the names of places of which every point is taken
    Returns Points. Prints how many kills each system call got.
    """
    index, count = shard or shard_of_environment()
    prepare()
    baseline, _, result = traced(command, env=env, cwd=cwd, timeout=timeout)
    if watch:
        watch(None, result)
    check(None)
    points = Points(baseline)
    points.undisturbed = 1
    candidates = [c for c in baseline if only is None or only(c)]
    every = thorough is True or os.environ.get("KESU_KILLS") == "all"
    taken = candidates if every else sampled(candidates, thorough or ())
    chosen = [c.ordinal for c in taken]
    points.passed_over.update(alike(c) for c in set(candidates) - set(taken))
    missing = set(expect) - {c.name for c in baseline if c.ordinal in set(chosen)}
    if missing:
        raise harness.HarnessError(f"no kill point for {', '.join(sorted(missing))}; the command calls "
                                   f"{dict(collections.Counter(c.name for c in baseline))}")
    if not chosen:
        raise harness.HarnessError("the command changes nothing: there is no kill point")
    # Threads may interleave in another way and make a few calls more or fewer: go on past the baseline's last
    # call until a run ends by itself.
    ordinals = iter(chosen[index::count])
    beyond = index + 1 + -(-max(len(baseline) - index, 0) // count) * count
    while True:
        at = next(ordinals, None)
        within = at is not None
        if not within:
            if only is not None:
                break
            at, beyond = beyond, beyond + count
        prepare()
        calls, killed, result = traced(command, at=at, env=env, cwd=cwd, timeout=timeout)
        call = calls[-1] if killed else None
        if call and leave_out and leave_out(call):
            points.left_out[f"{call.name} {os.path.basename(call.target)}"] += 1
            continue
        try:
            if watch:
                watch(call, result)
            check(call)
        except Exception as error:
            where = f"killed before call {call.ordinal}: {call.name} {call.target}" if call else "undisturbed"
            made = "\n".join(f"  {c.ordinal} {c.name} task {c.task} {c.target}" for c in calls[-12:])
            raise harness.HarnessError(f"{where}\n{error}\nthe last calls:\n{made}\n{result}") from error
        if killed:
            points.killed[call.name] += 1
        else:
            points.undisturbed += 1
            if not within:
                break
    print(f"shard {index}/{count}: {points}", flush=True)
    if not points.killed and len(chosen) > index:
        raise harness.HarnessError("not one kill was made")
    return points
