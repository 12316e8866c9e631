"""For scripts/bench: the figures as a table on a terminal and as docs/benchmarks.md with docs/benchmarks.svg."""
import dataclasses
import html
import json
import math
import re
from pathlib import Path

from measure import file_system
from rows import Row

# Case -> the heading of its section; in the document's order.
TITLES = {
    "whole": "Whole commands: one large file beside age and gpg",
    "engine": "The sealing engine beside a bare loop",
    "small": "Many small files, durable",
    "wraps": "Wrapping through a token",
    "rewrap": "Re-wrapping",
    "appends": "Durable appends",
    "ledger": "A vault of years",
    "erase": "Erasure, at any size of the data",
    "bundle": "A certificate of a million objects",
    "memory": "Peak memory",
}


@dataclasses.dataclass
class Section:
    """One case's figures, and when, where and with what they were taken."""
    case: str
    rows: list
    missing: list
    taken: str
    commit: str
    load: str
    places: str
    quick: bool

    def to_json(self):
        return json.dumps(dataclasses.asdict(self), ensure_ascii=False, indent=1)

    @staticmethod
    def from_json(text):
        found = json.loads(text)
        found["rows"] = [Row(**row) for row in found["rows"]]
        return Section(**found)


def load_sections(directory, document):
    """Each case's figures, in order: those kept below `directory`, else those that the document has."""
    before = {s.case: s for s in (read_document(document.read_text()) if document.is_file() else [])}
    before |= {case: Section.from_json(kept.read_text()) for case in TITLES
               if (kept := Path(directory) / f"{case}.json").is_file()}
    return [before[case] for case in TITLES if case in before]


_AMOUNT = re.compile(r"(?:([≥≤]) )?([0-9.e+-]+)(×| .+)")


def _row(cells, commands):
    """A line of a table, as the row that it was written from, to the digits that it shows."""
    def marked(cell):
        text, _, mark = cell.removesuffix("]").rpartition(" [") if cell.endswith("]") else (cell, "", "")
        return text.replace("\\|", "|"), commands.get(mark, "")

    (what, command), (against, beside) = marked(cells[0]), marked(cells[2])
    _, value, unit = _AMOUNT.fullmatch(cells[4]).groups()
    asked = _AMOUNT.fullmatch(cells[5])
    row = Row(what, cells[1], against, cells[3], float(value), unit.strip(), command=command, beside=beside)
    if asked:
        row.sense, row.target = asked[1], float(asked[2])
    if row.reached_text() != cells[6]:  # rounded to just what was asked
        row.value *= 1.0001 if (cells[6] == "yes") == (row.sense == "≥") else 0.9999
    return row


def read_document(text):
    """The sections of a docs/benchmarks.md, so that one case taken anew leaves the others as they are."""
    out = []
    for part in text.split("\n## ")[1:]:
        title, *lines = part.split("\n")
        case = next((c for c, t in TITLES.items() if t == title), None)
        taken = next((m for m in (re.fullmatch(r"Taken (.+) at commit (.+?); (.+); load before: (.+)\.", l) for l in lines) if m), None)
        if case is None or taken is None:
            continue
        commands = dict(l.strip().split(": ", 1) for l in lines if re.match(r"    [a-p][0-9]+: ", l))
        table = [re.split(r"(?<!\\) ?\| ?", l)[1:-1] for l in lines if l.startswith("| ")]
        rows = [_row(cells, commands) for cells in table[2:]]
        note = next((l for l in lines[lines.index("") + 2:] if l.endswith(".") and not l.startswith(("    ", "|"))), "")
        if rows and note:
            rows[0].note = note[:-1]
        out.append(Section(case, rows, [], taken[1], taken[2], taken[4], taken[3], False))
    return out


def terminal_lines(section):
    for row in section.rows:
        verdict = {True: "reached", False: "NOT REACHED", None: ""}[row.reached]
        yield (f"  {row.what:<52} {row.ours:>14}   {row.against:>16} {row.theirs:>14}   "
               f"{row.value_text():>10}  {row.target_text():>8}  {verdict}")
    for what in section.missing:
        yield f"  not there yet: {what}"


def _cell(text):
    return text.replace("|", "\\|")


def _section_lines(section, letter):
    commands, seen = [], {}

    def mark(text):
        if not text or text.startswith("in the same program"):
            return ""
        if text not in seen:
            seen[text] = f"{letter}{len(seen) + 1}"
            commands.append(f"    {seen[text]}: {text}")
        return f" [{seen[text]}]"

    yield f"## {TITLES[section.case]}"
    yield ""
    yield f"Taken {section.taken} at commit {section.commit}; {section.places}; load before: {section.load}."
    yield ""
    yield "| what | ours | against | theirs | figure | to reach | reached |"
    yield "| --- | ---: | --- | ---: | ---: | --- | --- |"
    notes = []
    for row in section.rows:
        if row.note and row.note not in notes:
            notes.append(row.note)
        yield (f"| {_cell(row.what)}{mark(row.command)} | {row.ours} | {_cell(row.against)}{mark(row.beside)} | "
               f"{row.theirs} | {row.value_text()} | {row.target_text()} | {row.reached_text()} |")
    yield ""
    if notes:
        yield "; ".join(notes) + "."
        yield ""
    if commands:
        yield from commands
        yield ""


def document(sections, facts):
    """The whole of docs/benchmarks.md."""
    rows = [row for s in sections for row in s.rows]
    missed = [row for row in rows if row.reached is False]
    asked = [row for row in rows if row.reached is not None]
    out = ["# Benchmarks", "",
           "Written by `scripts/bench`; figures are never typed in. Each stands beside a loop that does the same work and",
           "nothing else, or beside another program, run in turn on the same machine: **ratios** carry over to other",
           "machines, absolute figures do not. Medians of alternating pairs. `scripts/bench CASE` takes one section anew.",
           "",
           "![How many times as good as asked; the line is what was asked](benchmarks.svg)", "",
           f"{len(asked) - len(missed)} of {len(asked)} targets reached." +
           ("" if missed else " None is missed."), ""]
    if missed:
        out.append("Not reached:")
        out.append("")
        out += [f"- {r.what}, against {r.against}: {r.value_text()}, wanted {r.target_text()}" if r.against != "–" else
                f"- {r.what}: {r.value_text()}, wanted {r.target_text()}" for r in missed]
        out.append("")
    for letter, section in zip("abcdefghijklmnop", sections):
        out += _section_lines(section, letter)
    out += ["## Machine", "", "| | |", "| --- | --- |"]
    out += [f"| {_cell(what)} | {_cell(value)} |" for what, value in facts]
    out += ["", "In commands, `$RAM` is a directory in memory, `$HUGE` one on a tmpfs mounted with `huge=always`, and `$DISK` one on the",
            "disk, each made for the run; vaults are made as tests/bench/runner/worlds.py shows. kesu is the release build."]
    return "\n".join(out) + "\n"


STYLE = """
text { font: 12px system-ui, sans-serif; fill: #24292f } .title { font-size: 14px; font-weight: 600 }
.dim { fill: #57606a } .grid { stroke: #d0d7de } .line { stroke: #24292f; stroke-width: 1.5 }
.yes { fill: #0a7f8c } .no { fill: #c2410c } .page { fill: #ffffff }
@media (prefers-color-scheme: dark) {
  text { fill: #e6edf3 } .dim { fill: #9198a1 } .grid { stroke: #3d444d } .line { stroke: #e6edf3 }
  .yes { fill: #2fb6c4 } .no { fill: #fb8c4a } .page { fill: #0d1117 }
}"""


def plot(sections):
    """docs/benchmarks.svg: a bar for each target, as long as the figure is better than asked (logarithmic); to the
    right of the line it is reached. What is missed is told by its place, its colour and a word."""
    rows = [r for s in sections for r in s.rows if r.score]
    if not rows:
        return ""
    left, right, step, top = 470, 130, 20, 58
    scores = [min(max(r.score, 0.1), 100) for r in rows]
    low, high = min(*scores, 0.5), max(*scores, 2)
    width = 960
    span = width - left - right

    def x(score):
        return left + span * (math.log(score / low) / math.log(high / low))

    height = top + step * len(rows) + 34
    out = [f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {width} {height}" width="{width}" height="{height}" '
           'role="img" aria-label="Each figure as a multiple of what was asked">',
           f"<style>{STYLE}\n</style>", f'<rect class="page" width="{width}" height="{height}"/>',
           '<text class="title" x="16" y="24">Each figure as a multiple of what was asked</text>',
           f'<text class="dim" x="{width - 16}" y="24" text-anchor="end">logarithmic; right of 1× is reached</text>']
    for tick in (0.1, 0.2, 0.5, 1, 2, 5, 10, 20, 50, 100):
        if low <= tick <= high:
            out.append(f'<line class="{"line" if tick == 1 else "grid"}" x1="{x(tick):.1f}" x2="{x(tick):.1f}" '
                       f'y1="{top - 12}" y2="{height - 24}"/>')
            out.append(f'<text class="dim" x="{x(tick):.1f}" y="{height - 8}" text-anchor="middle">{tick:g}×</text>')
    for i, (row, score) in enumerate(zip(rows, scores)):
        y = top + i * step
        kind = "yes" if row.reached else "no"
        name = row.what + (f" / {row.against}" if row.against not in ("–", "itself") else "")
        if len(name) > 72:
            name = name[:71] + "…"
        a, b = sorted((x(1), x(score)))
        out.append(f'<text x="{left - 10}" y="{y + 4}" text-anchor="end">{html.escape(name)}</text>')
        out.append(f'<rect class="{kind}" x="{a:.1f}" y="{y - 6}" width="{max(b - a, 1.5):.1f}" height="12" rx="1"/>')
        label = row.value_text() + ("" if row.reached else ", missed")
        out.append(f'<text x="{max(x(score), x(1)) + 6:.1f}" y="{y + 4}">{html.escape(label)}</text>')
    return "\n".join(out) + "\n</svg>\n"
