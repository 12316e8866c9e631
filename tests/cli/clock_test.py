"""A vault whose clock goes back and forth: nothing crashes, nothing goes back in the ledger, each jump is named once."""
import datetime
import pathlib
import sqlite3
import sys

sys.path.insert(0, str(pathlib.Path(__file__).parents[1] / "support"))
import scenario


def library():
    found = sorted(pathlib.Path("/usr/lib").glob("*/faketime/libfaketime.so.1"))
    if not found:
        raise AssertionError("libfaketime is not installed; run scripts/setup test")
    return str(found[0])


def at(offset):
    """The environment of another time: "+365d", "-2h"."""
    return {"LD_PRELOAD": library(), "FAKETIME": offset, "FAKETIME_DONT_FAKE_MONOTONIC": "1",
            "FAKETIME_DONT_RESET": "1", "NO_FAKE_STAT": "1"}


def rows(vault):
    with sqlite3.connect(f"file:{vault}/registers.db?mode=ro", uri=True) as db:
        return db.execute("SELECT kind, id, json FROM rows ORDER BY kind, id").fetchall()


class Clock(scenario.World):
    @classmethod
    def prepare(cls):
        cls.seal("loans-2019", {"a.txt": b"one"})

    def findings(self):
        return [e["body"]["what"] for e in self.entries() if e["type"] == "finding-recorded"]

    def sane(self):
        """Times never fall, the ledger verifies, and the registers rebuild to the same rows."""
        entries = self.entries()
        times = [e["time"] for e in entries]
        self.assertEqual(times, sorted(times))
        self.box.kesu("ledger", "verify")
        before = rows(self.box.vault)
        (self.box.vault / "registers.db").unlink()
        self.box.kesu("dataset", "add", f"again-{len(entries)}", "--key", "loans")
        after = rows(self.box.vault)                     # and what that command added
        self.assertEqual([r for r in before if r[0] != "vault" and r not in after], [])
        for words in (("status",), ("key", "list"), ("doctor", "--offline")):
            text = self.box.text(*words, code=(0, 8)).stdout
            self.assertNotRegex(text, r"(^| )-\d+ (s|min|h|days?|years?)\b", words)

    def test_no_finding_while_the_clock_stands(self):
        self.box.kesu("key", "create", "k2")
        self.box.kesu("key", "rotate", "k2")
        self.assertEqual(self.findings(), [])

    def test_forward_a_year_and_back(self):
        self.box.kesu("key", "create", "k-now")
        self.box.kesu("key", "create", "k-next-year", env=at("+365d"))
        self.assertEqual(self.findings(), ["clock-jumped"])
        self.box.kesu("key", "rotate", "k-next-year", env=at("+365d"))
        self.assertEqual(self.findings(), ["clock-jumped"])                 # named once
        self.box.kesu("key", "create", "k-back")
        self.assertEqual(self.findings(), ["clock-jumped"] * 2)
        self.box.kesu("key", "create", "k-back-2")
        self.assertEqual(self.findings(), ["clock-jumped"] * 2)
        detail = self.entries()[-1]
        year = str(datetime.datetime.utcnow().year + 1)
        self.assertEqual(detail["time"][:4], year)                         # the ledger's time does not go back
        self.seal("loans-2019", {"b.txt": b"two"})
        self.assertEqual(self.opened(self.out)["src/b.txt"], b"two")
        status = self.box.kesu("status", "--check", code=8).json
        self.assertIn("clock-jumped", [d["name"] for d in status["due"] if d["what"] == "finding"])
        checks = {c["check"]: c for c in self.box.kesu("doctor", "--offline", code=8).json["checks"]}
        self.assertEqual(checks["clock-history"]["result"], "fail")        # it is behind still
        self.sane()

    def test_before_genesis(self):
        self.box.kesu("key", "create", "early", env=at("-3650d"))
        finding, = [e for e in self.entries() if e["type"] == "finding-recorded"]
        self.assertEqual(finding["body"]["what"], "clock-jumped")
        self.assertIn("behind", finding["body"]["detail"])
        self.box.kesu("key", "create", "early-2", env=at("-3650d"))
        self.assertEqual(len(self.findings()), 1)
        shown = self.box.text("status", env=at("-3650d")).stdout
        self.assertIn("clock-jumped", shown)
        self.sane()

    def test_a_reader_says_it_and_writes_nothing(self):
        entries = self.entries()
        status = self.box.kesu("status", env=at("+2h")).json
        self.assertIn("clock-jumped", [d["name"] for d in status["due"]])
        self.nothing_changed(entries)

    def test_synchronisation_is_no_jump(self):
        self.box.kesu("key", "create", "k3", env=at("+3s"))
        self.assertEqual(self.findings(), [])


if __name__ == "__main__":
    scenario.main()
