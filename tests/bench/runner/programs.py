"""For scripts/bench: rows from the measuring programs of tests/bench, which print one JSON document a line."""
import json
import subprocess
import sys
from pathlib import Path

from rows import Row, rate, seconds

MIB = 1 << 20
IN_TURN = "in the same program, in turn"


class NotThereYet(Exception):
    """This tree has no program that measures this."""


def lines_of(bench, program, *words, env=None):
    """Runs a measuring program with --json; gives (its command as text, its JSON documents)."""
    path, script = bench.kesu.parent / program, Path(__file__).parents[1] / f"{program}.py"
    if not path.is_file() and not script.is_file():
        raise NotThereYet(f"{program} is not built")
    command = [str(path)] if path.is_file() else [sys.executable, "-B", str(script)]
    shown = [str(path)] if path.is_file() else [f"tests/bench/{script.name}"]
    words = ["--json", *map(str, words)]
    command, shown = command + words, shown + words
    done = subprocess.run(command, capture_output=True, env=env, check=False)
    if done.returncode != 0:
        raise NotThereYet(f"{program} ended with exit code {done.returncode}: {done.stderr.decode()[-500:].strip()}")
    out = []
    for line in done.stdout.decode().splitlines():
        if line.startswith("{"):
            out.append(json.loads(line))
    if not out:
        raise NotThereYet(f"{program} prints no JSON")
    return bench.said(shown), out


def sealing(bench, *words):
    """seal_bench: {"name", "ours", "bare" (seconds), "ratio"}, and for small files {"us_each", "copy_us_each"}."""
    said, lines = lines_of(bench, "seal_bench", bench.ram, "--mib", bench.size // MIB, "--rounds", bench.rounds + 2, *words)
    for line in lines:
        name = line["name"].replace("-", " ")
        if "us_each" in line:
            yield Row(f"{name}, each", f"{line['us_each']:.1f} µs", "copying the file", f"{line['copy_us_each']:.1f} µs",
                      line["us_each"] / line["copy_us_each"], "×", "≤", command=said, beside=IN_TURN)
        elif "ours" in line:
            yield Row(name, rate(bench.size, line["ours"]), "pread, EVP, pwrite", rate(bench.size, line["bare"]),
                      line["ratio"], "×", target=0.9, command=said, beside=IN_TURN,
                      note="same chunk, same number of threads, the same hash where there is one")


def calls(bench, program, *words):
    """wrap_bench: {"case", "against", "ratio", "bare_us", "ours_us", "reach"}."""
    said, lines = lines_of(bench, program, *words)
    for line in lines:
        if "ours_us" not in line:
            continue
        yield Row(line["case"], f"{line['ours_us']:.1f} µs", line["against"], f"{line['bare_us']:.1f} µs", line["ratio"],
                  "×", target=line.get("reach", 0), command=said, beside=IN_TURN)


def appending(bench, *words):
    """ledger_bench DIRECTORY: appends of many threads and one by one."""
    said, lines = lines_of(bench, "ledger_bench", *words)
    for line in lines:
        if "grouped_per_s" in line:
            yield Row(f"durable appends, {line['threads']} threads", f"{line['grouped_per_s']:,}/s", "one sync each",
                      f"{line['one_sync_each_per_s']:,}/s", float(line["ratio"]), "×", target=10, command=said,
                      beside=IN_TURN)


def hashing(bench, *words):
    """ledger_bench --vault: the check's hashing beside a bare loop over the same bytes."""
    said, lines = lines_of(bench, "ledger_bench", *words)
    for line in lines:
        if "kesu_seconds" in line:
            yield Row(f"ledger verify's hashing, {line['entries']:,} entries", seconds(float(line["kesu_seconds"])),
                      "RFC 6962 over the same bytes", seconds(float(line["bare_seconds"])), float(line["ratio"]), "×",
                      target=0.7, command=said, beside=IN_TURN)
