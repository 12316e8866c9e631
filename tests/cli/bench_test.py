"""scripts/bench at its smallest: two cases run, and the document says what was measured and nothing else. No times."""
import json
import re
import subprocess
import sys
import tempfile
import unittest
from pathlib import Path
from xml.etree import ElementTree

sys.path.insert(0, str(Path(__file__).parents[1] / "support"))
sys.path.insert(0, str(Path(__file__).parents[1] / "bench" / "runner"))
import cases_seal
import cases_seal
import harness
import measure
import report
from rows import Row


def row(value, sense="≥", target=3.0, **more):
    return Row("seal | open", "10 MiB/s", "age", "5 MiB/s", value, "×", sense, target, command="kesu seal a",
               beside="age -o b", **more)


def section(*rows, case="whole"):
    return report.Section(case, list(rows), [], "2026-01-01 00:00 UTC", "abc", "0.0 0.0 0.0", "$RAM on tmpfs", False)


class Document(unittest.TestCase):
    def test_what_is_missed_is_said(self):
        text = report.document([section(row(2.5), row(3.0), row(9.0, target=0))], [("CPU", "some | thing")])
        self.assertIn("1 of 2 targets reached", text)
        self.assertIn("- seal | open, against age: 2.50×, wanted ≥ 3×", text)
        self.assertEqual(text.count("**no**"), 1)
        self.assertIn("some \\| thing", text)

    def test_each_figure_has_its_command_once(self):
        text = report.document([section(row(4.0), row(5.0))], [])
        self.assertEqual(text.count("    a1: kesu seal a\n"), 1)
        self.assertEqual(text.count("[a1]"), 2)
        self.assertEqual(text.count("    a2: age -o b\n"), 1)

    def test_every_table_row_has_the_columns_of_its_head(self):
        text = report.document([section(row(4.0), row(0.1, "≤", 1.5, note="a note"))], [("CPU", "x")])
        widths = {}
        for line in text.splitlines():
            if line.startswith("|"):
                widths.setdefault(len(re.findall(r"(?<!\\)\|", line)), []).append(line)
        self.assertEqual(sorted(widths), [3, 8])
        self.assertIn("a note.", text)

    def test_a_limit_is_kept_in_its_own_sense(self):
        self.assertTrue(row(1.5, "≤", 1.5).reached)
        self.assertFalse(row(1.51, "≤", 1.5).reached)
        self.assertFalse(row(2.99).reached)
        self.assertIsNone(row(2.99, target=0).reached)
        self.assertAlmostEqual(row(3.0, "≤", 1.5).score, 0.5)

    def test_the_plot_is_xml_with_a_bar_for_each_target(self):
        plot = report.plot([section(row(2.5), row(6.0), row(1.0, target=0))])
        names = [e.tag.rsplit("}", 1)[1] + "." + e.get("class", "") for e in ElementTree.fromstring(plot).iter()]
        self.assertEqual((names.count("rect.yes"), names.count("rect.no")), (1, 1))
        self.assertIn("prefers-color-scheme: dark", plot)

    def test_figures_are_kept_as_they_were(self):
        kept = section(row(2.5, note="說"))
        self.assertEqual(report.Section.from_json(kept.to_json()), kept)

    def test_one_case_taken_anew_leaves_the_others(self):
        # 2.9996 is shown as 3.00, and was not reached.
        old = [section(row(2.5), row(2.9996), row(1.5004, "≤", 1.5, note="a | note"), row(9.0, target=0)),
               section(Row("erase", "2 s", "–", "", 546.0, "ms", "≤", 500.0), case="erase")]
        with tempfile.TemporaryDirectory() as place:
            document, kept = Path(place) / "benchmarks.md", Path(place) / "kept"
            document.write_text(report.document(old, [("CPU", "x")]))
            kept.mkdir()
            self.assertEqual(report.document(report.load_sections(kept, document), [("CPU", "x")]), document.read_text())
            new = section(row(7.25), case="erase")
            (kept / "erase.json").write_text(new.to_json())
            self.assertEqual(report.document(report.load_sections(kept, document), []), report.document([old[0], new], []))


class Measuring(unittest.TestCase):
    def test_a_command_that_fails_is_no_figure(self):
        with self.assertRaisesRegex(measure.CommandFailed, "exit 3"):
            measure.run(["sh", "-c", "exit 3"])

    def test_the_order_of_a_pair_is_turned_around(self):
        seen = []
        works = {name: lambda name=name: seen.append(name) or measure.Cost(1, 1, 1) for name in "ab"}
        measure.alternate(2, works)
        self.assertEqual(seen, list("abba"))

    def test_the_peak_is_the_commands_own(self):
        hoard = bytearray(b"x") * (256 << 20)
        small = measure.run(["true"]).peak
        large = measure.run([sys.executable, "-c", "b = bytearray(b'x') * (100 << 20)"]).peak
        self.assertLess(small, 32 << 20)
        self.assertGreater(large, 100 << 20)
        del hoard

    def test_to_standard_output_is_said_outright(self):
        # Left alone, `gpg --symmetric FILE` writes FILE.gpg, and its figure would be one of writing.
        self.assertEqual(cases_seal._to_stdout(["gpg", "--quiet", "-o", "x.sealed", "--symmetric", "x"]),
                         ["gpg", "--quiet", "-o", "-", "--symmetric", "x"])

    def test_memory_of_huge_pages_is_there_and_gone_afterwards(self):
        with tempfile.TemporaryDirectory() as place:
            try:
                with measure.huge_pages(place) as huge:
                    mounted = next(l for l in Path("/proc/self/mounts").read_text().splitlines() if str(huge) in l)
                    self.assertIn("huge=always", mounted)
            except measure.NoHugePages as why:
                self.skipTest(f"no memory of huge pages: {why}")
            self.assertEqual(list(Path(place).iterdir()), [])


class Script(harness.TestCase):
    ram = True

    def test_two_small_cases(self):
        box = self.box
        done = box.run(harness.SOURCE / "scripts" / "bench", "--tiny", "--bin", harness.BIN, "--ram", box.path, "--disk",
                       box.path, "--keep", box.path / "kept", "--out", box.path / "docs", "small", "erase")
        self.assertIn("written:", done.stdout)
        text = (box.path / "docs" / "benchmarks.md").read_text()
        self.assertEqual(re.findall(r"^## (.*)$", text, re.M),
                         [report.TITLES["small"], report.TITLES["erase"], "Machine"])
        kept = {p.stem: json.loads(p.read_text()) for p in (box.path / "kept").iterdir()}
        self.assertEqual(set(kept), {"small", "erase"})
        # What is written is what was kept, row by row, and each command in it is one that a person could type.
        for case in kept.values():
            for entry in case["rows"]:
                self.assertIn(f"| {entry['what']}", text)
        self.assertRegex(text, r"kesu erase run era-[0-9a-f]{8} -y --vault \$DISK/state/vault")
        self.assertNotIn(str(box.path / "kesu-"), text)
        self.assertEqual([p.name for p in box.path.iterdir() if p.name.startswith("kesu-bench-")], [])

    def test_a_case_that_there_is_not(self):
        self.box.run(harness.SOURCE / "scripts" / "bench", "--bin", harness.BIN, "nothing", code=2)


if __name__ == "__main__":
    harness.main()
