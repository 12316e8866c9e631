"""A vault whose clock goes back and forth: nothing crashes, nothing goes back in the ledger, each jump is named once."""
import datetime
import os
import pathlib
import sqlite3
import sys
import time

sys.path.insert(0, str(pathlib.Path(__file__).parents[1] / "support"))
import harness_kill
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


def seconds(text):
    return datetime.datetime.strptime(text, "%Y-%m-%dT%H:%M:%S.%fZ").replace(tzinfo=datetime.timezone.utc).timestamp()


class Certified(scenario.World):
    def certified(self, erasure, **options):
        """The claims of this erasure's certificate, as a reader finds them."""
        bundle = self.box.path / f"bundle-{erasure}"
        self.box.kesu("certificate", "bundle", erasure, "-o", bundle, **options)
        report = self.box.kesu("verify", bundle, "--require", "low", "--allow-test-grade", code=(0, 7), vault=False).json
        return {c["id"]: c for c in report["claims"]}

    def types(self):
        return [e["type"] for e in self.entries()]


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


class LossOfPower(scenario.World):
    def test_names_without_content_that_say_whose_they_are(self):
        """Sealed while the clock was ahead, cut off by a loss of power, and the clock set right: what bears an object's
        identifier and holds nothing is that batch's, whatever its time says."""
        for i in range(3):
            self.write(f"f{i}", b"%d" % i)
        words = ("seal", "loans-2019", self.box.state / "src", "-o", self.out, "--opaque-names")
        harness_kill.kill_while_publishing(self.box.kesu_command(*words), self.out, 2, cwd=self.box.path,
                                           env=self.box.env | at("+2d") | {"KESU_THREADS": "1"})
        mine = self.out / ("ab" * 16 + ".kesu")                  # of no batch
        mine.touch()
        hollow = [p for p in self.out.glob("*.kesu") if p != mine]
        self.assertEqual(len(hollow), 2)
        for path in hollow:
            os.truncate(path, 0)
        result = self.box.kesu(*words)
        self.assertEqual((result.json["sealed"], result.json["failed"]), (3, []))
        self.assertIn("2 files", result.stderr)
        self.assertEqual([p.exists() for p in (*hollow, mine)], [False, False, True])
        mine.unlink()
        self.assertEqual(len(self.opened(self.out)), 3)


class Waiting(Certified):
    """A vault that asks for three seconds between approval and destruction."""
    SECONDS = waiting_seconds = 3

    @classmethod
    def prepare(cls):
        cls.seal("loans-2019", {"a.txt": b"one"})

    def test_a_clock_set_forward_is_no_waiting(self):
        erasure = self.approved("loans-2019")
        later = at("+8d")
        error = self.run_erasure(erasure, code=4, error="waiting", env=later).json["error"]
        self.assertIn("clock-jumped", error["cause"])
        found, refused = self.entries()[-2:]
        self.assertEqual((found["body"]["what"], refused["body"]["what"]), ("clock-jumped", "destruction-refused"))
        self.assertIn(f"entry {found['seq']}", error["cause"])
        until = self.box.kesu("erase", "status", erasure, env=later).json["waiting_until"]
        self.assertAlmostEqual(seconds(until), seconds(found["time"]) + self.SECONDS, delta=0.01)
        # Nor is one that is set back: the ledger's time stands still then.
        self.run_erasure(erasure, code=4, error="waiting")
        self.assertNotIn("erasure-started", self.types())
        # Of that clock, too, the whole period counts.
        self.run_erasure(erasure, code=4, error="waiting", env=later)
        found = [e for e in self.entries() if e["body"].get("what") == "clock-jumped"][-1]
        time.sleep(max(0, seconds(found["time"]) + self.SECONDS + 0.1 - (time.time() + 8 * 86400)))
        self.run_erasure(erasure, env=later)
        claim = self.certified(erasure, env=later)["authorised"]
        self.assertEqual(claim["level"], "proven")
        self.assertIn(f"counted from entry {found['seq']} (clock-jumped)", claim["detail"])

    def waited(self):
        """An approved erasure whose waiting period is over."""
        erasure = self.approved("loans-2019")
        self.run_erasure(erasure, code=4, error="waiting")
        until = self.box.kesu("erase", "status", erasure).json["waiting_until"]
        time.sleep(max(0, seconds(until) + 0.1 - time.time()))
        return erasure

    def test_begun_and_nothing_destroyed_yet(self):
        """Killed between erasure-started and destroy-intended; then somebody sets the clock."""
        erasure = self.waited()
        self.box.snapshot("waited")
        command = self.box.kesu_command("erase", "run", erasure, "-y")
        calls, _, _ = harness_kill.traced(command, env=self.box.env)
        low, high = 1, len(calls)                        # the first call after which it has started
        while low < high:
            middle = (low + high) // 2
            self.box.restore("waited")
            harness_kill.traced(command, at=middle, env=self.box.env)
            if "erasure-started" in self.types():
                high = middle
            else:
                low = middle + 1
        self.box.restore("waited")
        self.assertTrue(harness_kill.traced(command, at=low, env=self.box.env)[1])
        self.assertEqual(self.types()[-1], "erasure-started")
        later = at("+8d")
        self.run_erasure(erasure, code=4, error="waiting", env=later)
        self.assertNotIn("destroy-intended", self.types())
        found = next(e for e in self.entries() if e["body"].get("what") == "clock-jumped")
        time.sleep(max(0, seconds(found["time"]) + self.SECONDS + 0.1 - (time.time() + 8 * 86400)))
        self.run_erasure(erasure, env=later)
        claim = self.certified(erasure, env=later)["authorised"]
        self.assertEqual(claim["level"], "proven")
        self.assertIn(f"counted from entry {found['seq']} (clock-jumped)", claim["detail"])

    def test_waiting_is_waiting(self):
        erasure = self.waited()
        self.run_erasure(erasure)
        claim = self.certified(erasure)["authorised"]
        self.assertEqual((claim["level"], "counted from" in claim["detail"]), ("proven", False))


class Behind(Certified):
    """What the clock says must be later than what it follows: otherwise no inspection can show anything gone."""

    @classmethod
    def prepare(cls):
        cls.seal("loans-2019", {"a.txt": b"one"})

    def test_nothing_is_destroyed_before_the_ledgers_time(self):
        erasure = self.approved("loans-2019")
        self.box.kesu("key", "create", "x", env=at("+15s"))
        newest = self.entries()[-1]["time"]
        refused = self.run_erasure(erasure, code=4, error="waiting").json["error"]
        self.assertIn("behind the ledger", refused["message"])
        self.assertIn(newest, refused["cause"])
        self.assertNotIn("erasure-started", self.types())
        self.assertIn(f"kesu:{self.version_of('loans')}", self.token_labels())
        row, = [d for d in self.box.kesu("status").json["due"] if d["name"] == "clock-behind"]
        self.assertEqual(row["at"], newest)
        self.assertIn("nothing can be destroyed", row["detail"])
        time.sleep(max(0, seconds(newest) + 0.1 - time.time()))
        self.run_erasure(erasure)
        claims = self.certified(erasure)
        self.assertEqual(claims["verified-gone"]["level"], "recorded")
        self.assertEqual([d for d in self.box.kesu("status").json["due"] if d["name"] == "clock-behind"], [])

    def test_no_version_goes_either(self):
        self.box.kesu("key", "rotate", "loans")
        self.box.kesu("rewrap", "loans-2019")
        self.box.kesu("key", "create", "x", env=at("+1h"))
        refused = self.box.kesu("key", "destroy", "loans.1", "-y", code=4, error="waiting").json["error"]
        self.assertIn("behind the ledger", refused["message"])
        self.assertIn(f"kesu:{self.version_of('loans')}", self.token_labels())

    def test_a_moment_is_waited_for(self):
        erasure = self.approved("loans-2019")
        self.box.kesu("key", "create", "x", env=at("+1s"))
        self.run_erasure(erasure)
        self.assertEqual(self.certified(erasure)["verified-gone"]["level"], "recorded")


if __name__ == "__main__":
    scenario.main()
