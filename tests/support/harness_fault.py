"""Lets the state-changing system calls of a command fail, one after the other: a full disk, a quota, a broken one.

    sweep = harness_fault.sweep(command, under=[vault, out], prepare=box.restore, check=self.check, env=box.env)

Every point is one run in which one call (mode "once"), or every call that needs space from there on (mode "on"),
returns an error instead of being made; the tracer fail_at does it. By default the points are a sample in which every
kind of call on every kind of file occurs, with errors in turn; KESU_FAULTS=all takes every call.
"""
import collections
import os
import random
import re
import subprocess
import tempfile
from pathlib import Path

import harness

Call = collections.namedtuple("Call", "ordinal name task target failed")
Fault = collections.namedtuple("Fault", "call error mode")

# What each kind of call can meet.
SPACE = ("ENOSPC", "EDQUOT", "EIO")
ERRORS = {"openat": (*SPACE, "EMFILE", "ENOMEM"), "open": (*SPACE, "EMFILE", "ENOMEM"), "unlink": ("EIO",),
          "unlinkat": ("EIO",), "rmdir": ("EIO",), "fchmod": ("EIO",), "chmod": ("EIO",), "fchmodat": ("EIO",),
          "ftruncate": ("EIO", "ENOSPC"), "fsync": ("EIO", "ENOSPC", "EDQUOT"), "fdatasync": ("EIO", "ENOSPC", "EDQUOT")}
FREEING = ("unlink", "unlinkat", "rmdir", "fchmod", "chmod", "fchmodat", "ftruncate")


def traced(command, at=0, error="ENOSPC", mode="once", under=(), env=None, cwd=None, timeout=60):
    """Runs a command under fail_at. Returns (calls, harness.Result)."""
    environment = dict(os.environ if env is None else env)
    environment["ASAN_OPTIONS"] = environment.get("ASAN_OPTIONS", "") + ":detect_leaks=0"
    with tempfile.TemporaryDirectory(prefix="kesu-fault-") as directory:
        report = Path(directory) / "report"
        words = [harness.program("fail_at"), "--at", str(at), "--error", error, *(["--from"] if mode == "on" else []),
                 *(w for root in under for w in ("--under", os.fspath(root))), "--report", str(report), "--",
                 *map(os.fspath, command)]
        try:
            done = subprocess.run(words, stdin=subprocess.DEVNULL, capture_output=True, env=environment, cwd=cwd,
                                  timeout=timeout, check=False)
        except subprocess.TimeoutExpired:
            raise harness.HarnessError(f"no end after {timeout} s: {' '.join(words)}") from None
        lines = report.read_text(encoding="utf-8", errors="replace").split("\n") if report.exists() else []
    result = harness.Result(words, done)
    if len(lines) < 2 or not lines[-2].startswith("exit "):
        raise harness.HarnessError(f"the tracer did not come to an end (is ptrace allowed here?)\n{result}")
    calls = []
    for line in lines:
        word, _, rest = line.partition(" ")
        if word in ("call", "failed"):
            ordinal, name, task, target = (rest.split(" ", 3) + [""])[:4]
            calls.append(Call(int(ordinal), name, int(task), target, word == "failed"))
    return calls, result


def kind_of(call):
    """Calls of one kind meet the same code: the call, and its file without what is random in the name."""
    target = re.sub(r"[0-9a-f]{16,}", "#", call.target)
    return call.name, re.sub(r"\d+", "#", os.path.basename(target)), target.count("/")


def points(calls, seed, most):
    """The sample: of each kind the first and a random one, up to `most`; with KESU_FAULTS=all every call."""
    chance = random.Random(seed)
    if os.environ.get("KESU_FAULTS") == "all":
        chosen = list(calls)
    else:
        kinds = collections.defaultdict(list)
        for call in calls:
            kinds[kind_of(call)].append(call)
        first = [group[0] for group in kinds.values()]
        more = [chance.choice(group[1:]) for group in kinds.values() if len(group) > 1]
        chance.shuffle(more)
        if len(first) > most:
            first = chance.sample(first, most)
        chosen = sorted({c.ordinal: c for c in first + more[:most - len(first)]}.values())
    found = []
    for i, call in enumerate(chosen):
        mode = "once" if call.name in FREEING or i % 2 else "on"
        errors = [e for e in ERRORS.get(call.name, SPACE) if mode == "once" or e in SPACE]
        found.append(Fault(call, chance.choice(errors), mode))
    return found


def sweep(command, under, prepare, check, env=None, cwd=None, seed=20191121, most=24, timeout=60):
    """Runs `command` once for each point. prepare() restores the state before each run; check(fault, result) is called
    after it and raises when the state is not acceptable. Returns the number of points by call and by exit code."""
    prepare()
    baseline, result = traced(command, under=under, env=env, cwd=cwd, timeout=timeout)
    result.expect(0)
    chosen = points(baseline, seed, most)
    by_call, by_end, failures = collections.Counter(), collections.Counter(), []
    for fault in chosen:
        prepare()
        calls, result = traced(command, at=fault.call.ordinal, error=fault.error, mode=fault.mode, under=under, env=env,
                               cwd=cwd, timeout=timeout)
        hit = next((c for c in calls if c.failed), None)
        if hit is None:
            by_end["not reached"] += 1
            continue
        by_call[hit.name] += 1
        by_end[f"{result.code} {result.error_code or ''}".strip()] += 1
        try:
            check(Fault(hit, fault.error, fault.mode), result)
        except Exception as error:
            where = f"{hit.name} {hit.target} (call {hit.ordinal}) returned {fault.error}, {fault.mode}"
            made = "\n".join(f"  {'FAILED ' if c.failed else ''}{c.ordinal} {c.name} {c.target}" for c in calls[-8:])
            failure = f"{where}\n{type(error).__name__}: {error}\nthe last calls:\n{made}\n{result}"
            if not os.environ.get("KESU_FAULTS_ALL_FAILURES"):
                raise harness.HarnessError(failure) from error
            failures.append(failure)
    said = ", ".join(f"{n} {c}" for n, c in sorted(by_call.items()))
    ends = ", ".join(f"{n} × {c}" for n, c in sorted(by_end.items()))
    print(f"{sum(by_call.values())} of {len(baseline)} calls failed: {said}; ends: {ends}", flush=True)
    if failures:
        raise harness.HarnessError(f"{len(failures)} failures\n" + "\n\n=====\n".join(failures))
    if not by_call:
        raise harness.HarnessError("not one call failed")
    return by_call, by_end
