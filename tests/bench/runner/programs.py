"""For scripts/bench: rows from the measuring programs of tests/bench, which print one JSON document a line.

Each line: "case", "against" (what the bare loop does), "ratio" (above 1: ours is faster), one member "ours_UNIT" and
one "bare_UNIT", and "reach" (what the ratio is meant to be; 0: nothing asked). "note" may say more.
"""
import json
import subprocess

from rows import Row

SCALE = {"us": "µs", "per_s": "/s", "mib_s": "MiB/s", "gib_s": "GiB/s"}


class NotThereYet(Exception):
    """This tree has no program that measures this."""


def member(line, name):
    """(number, unit) of the member `name`_UNIT."""
    for key, value in line.items():
        if key.startswith(name + "_"):
            unit = key[len(name) + 1:]
            return value, SCALE.get(unit, unit)
    return None, ""


def text(value, unit):
    return "–" if value is None else f"{value:,.4g} {unit}"


def rows_of(bench, program, *words, env=None):
    """Runs a measuring program with --json and gives its rows."""
    path = bench.kesu.parent / program
    if not path.is_file():
        raise NotThereYet(f"{program} is not built")
    command = [str(path), "--json", *map(str, words)]
    done = subprocess.run(command, capture_output=True, env=env, check=False)
    if done.returncode != 0:
        raise NotThereYet(f"{program} ended with exit code {done.returncode}: {done.stderr.decode()[-500:].strip()}")
    out = []
    for line in done.stdout.decode().splitlines():
        try:
            found = json.loads(line)
            ratio = float(found["ratio"])
        except (ValueError, KeyError, TypeError):
            continue
        ours, theirs = member(found, "ours"), member(found, "bare")
        out.append(Row(found["case"], text(*ours), found.get("against", "a bare loop"), text(*theirs), ratio, "×",
                       target=found.get("reach", 0), command=bench.said(command),
                       beside="in the same program, in turn", note=found.get("note", "")))
    if not out:
        raise NotThereYet(f"{program} prints no JSON")
    return out
