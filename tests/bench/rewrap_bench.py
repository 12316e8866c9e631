#!/usr/bin/env python3
"""`kesu rewrap` of many objects against a bare loop of as many decryptions and encryptions in a SoftHSM2 token.

Usage: rewrap_bench.py [--json] [--rounds N] [OBJECTS ...]      (20000 and 200000; everything in /dev/shm)
KESU_BIN_DIR names the built programs, wrap_bench among them. In turn: the bare loop on one session of a token of its own
(wrap_bench --bare), then the whole command; the median of the ratios, and the command's peak memory (GNU time's figure,
by wait4).
"""
import argparse
import json
import os
import pathlib
import statistics
import subprocess
import sys
import time

sys.path.insert(0, str(pathlib.Path(__file__).parents[1] / "support"))
import harness
import scenario


def bare(count):
    tool = harness.program("wrap_bench")
    return float(subprocess.run([tool, "--bare", str(count), "/dev/shm"], check=True, capture_output=True, text=True).stdout)


def run(box, *words):
    """(seconds, peak memory in MiB, what it printed)"""
    began = time.monotonic()
    knobs = {name: value for name, value in os.environ.items() if name in ("KESU_THREADS", "KESU_PROVER")}
    process = subprocess.Popen(box.kesu_command(*words), env={**box.env, **knobs}, cwd=box.path, stdout=subprocess.PIPE)
    text = process.stdout.read()
    _, status, usage = os.wait4(process.pid, 0)
    process.returncode = os.waitstatus_to_exitcode(status)
    took = time.monotonic() - began
    if process.returncode:
        sys.exit(f"rewrap_bench: {words[0]} ended with {process.returncode}: {text[:500]}")
    return took, usage.ru_maxrss / 1024, json.loads(text)


def measure(count, rounds):
    box = harness.Sandbox(ram=True)
    try:
        box.token()
        scenario.World.box = box
        genesis = scenario.World.write_genesis(box.path / "genesis.json", scenario.World.officers)
        box.kesu("init", box.vault, "--genesis", genesis, "--provider", box.token_uri)
        box.kesu("key", "create", "loans")
        box.kesu("dataset", "add", "many", "--key", "loans", "--chunk", "16384")
        source = box.state / "src"
        for i in range(count):
            if i % 1000 == 0:
                (source / f"{i // 1000:04}").mkdir(parents=True)
            (source / f"{i // 1000:04}" / f"{i % 1000:03}").write_bytes(b"%d" % i)
        sealed, seal_memory, _ = run(box, "seal", "many", source, "-o", box.state / "out")
        rows = []
        for _ in range(rounds):
            box.kesu("key", "rotate", "loans")
            loop = bare(count)
            took, memory, result = run(box, "rewrap", "many")
            moved = result["moved"]
            if moved < count:
                sys.exit(f"rewrap_bench: {moved} of {count} were moved")
            rows.append((loop / took * moved / count, loop, took, memory))
        ratio, loop, took, memory = (statistics.median(r[i] for r in rows) for i in range(4))
        return {"case": f"rewrap {count}", "against": "bare decrypt + encrypt", "ratio": round(ratio, 3),
                "bare_s": round(loop, 2), "ours_s": round(took, 2), "peak_mib": round(memory, 1),
                "seal_s": round(sealed, 2), "seal_peak_mib": round(seal_memory, 1), "reach": 0.7}
    finally:
        box.close()


def main():
    options = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    options.add_argument("--json", action="store_true")
    options.add_argument("--rounds", type=int, default=3)
    options.add_argument("objects", nargs="*", type=int, default=[20_000, 200_000])
    given = options.parse_args()
    for count in given.objects:
        row = measure(count, given.rounds)
        if given.json:
            print(json.dumps(row), flush=True)
        else:
            print(f"{row['case']:<16} {row['ours_s']:7.2f} s   {row['against']} {row['bare_s']:7.2f} s   ratio {row['ratio']:.3f}   "
                  f"peak {row['peak_mib']:.0f} MiB   (sealing them took {row['seal_s']:.1f} s)", flush=True)


if __name__ == "__main__":
    main()
