"""Waiting periods end by the time of others: time-stamps of the approvals and of the moment before the destruction, from a real
authority (openssl ts), and hosts whose clock says something else."""
import json
import pathlib
import shutil
import signal
import socket
import subprocess
import sys
import time

sys.path.insert(0, str(pathlib.Path(__file__).parents[1] / "support"))
import harness
import scenario
import tsa
from clock_test import library, seconds

SECOND_READER = harness.SOURCE / "scripts" / "verify_certificate.py"


class Stamped(scenario.World):
    """Both of the kernel's clocks are faked together, as after a new start of the machine: no command sees a jump."""
    quorum, profile = 1, "low"

    @classmethod
    def host_at(cls, offset):
        cls.box.env.update({"LD_PRELOAD": library(), "FAKETIME": offset, "NO_FAKE_STAT": "1"})

    @classmethod
    def authority_at(cls, offset):
        cls.tsa.offset = {**cls.box.env, "LD_PRELOAD": library(), "FAKETIME": offset, "NO_FAKE_STAT": "1"}

    @classmethod
    def start_authority(cls):
        cls.tsa = tsa.Tsa(cls.box.path / "tsa")
        cls.server = tsa._Serving(cls.tsa)
        cls.addClassCleanup(cls.server.close)

    @classmethod
    def configure(cls, *urls, ca=None):
        path = cls.box.vault / "kesu.toml"
        text = path.read_text().partition("[[time.authority]]")[0]
        path.write_text(text + "".join(f'[[time.authority]]\nurl = "{u}"\nca = "{ca or cls.tsa.root}"\n' for u in urls))

    def of(self, type_):
        return [e for e in self.entries() if e["type"] == type_]

    def closed_port(self):
        taken = socket.socket()
        self.addCleanup(taken.close)
        taken.bind(("127.0.0.1", 0))
        return f"http://127.0.0.1:{taken.getsockname()[1]}/"

    def not_begun(self):
        self.assertEqual([e for e in self.entries() if e["type"] in ("erasure-started", "destroy-intended")], [])
        self.assertIn(f"kesu:{self.version_of('loans')}", self.token_labels())

    def report(self, erasure, require):
        """What both readers say of the bundle, alike."""
        bundle, trust = self.box.path / f"bundle-{erasure}", self.box.path / "trust"
        self.box.kesu("certificate", "bundle", erasure, "-o", bundle)
        trust.write_text(self.box.kesu("trust", "propose", bundle, vault=False).json["trust"] + f"tsa-ca {self.tsa.root}\n")
        words = (bundle, "--trust", trust, "--require", require, "--allow-test-grade", "--json")
        said = self.box.run(harness.program("kesu"), "verify", *words, code=(0, 7)).json
        other = self.box.run("/usr/bin/python3", "-B", SECOND_READER, *words, code=(0, 7)).json
        for member in said:
            self.assertEqual(other[member], said[member], member)
        return said

    def claim(self, report):
        return next(c for c in report["claims"] if c["id"] == "authorised")


class StandardVault(Stamped):
    """A vault made 30 hours ago; its profile asks for a day between approvals and destruction."""
    quorum = 2

    @classmethod
    def write_genesis(cls, path, officers, quorum=1, sign=True, words=()):
        cls.host_at("-30h")
        return super().write_genesis(path, officers, quorum, sign, ("--profile", "standard", *words))

    @classmethod
    def prepare(cls):
        cls.start_authority()
        cls.box.kesu("key", "create", "told")
        cls.box.kesu("dataset", "add", "told", "--key", "told", "--plaintext-history", "none", "--history-by", scenario.OPERATOR)
        cls.seal("told", {"a": b"one"})
        cls.configure(cls.server.url)

    def setUp(self):
        super().setUp()
        self.tsa.mode = "good"
        self.host_at("-30h")
        self.authority_at("-30h")

    def twice_approved(self, **options):
        erasure = self.plan("told")["erasure"]
        self.request(erasure)
        self.approve(erasure, scenario.APPROVER)
        self.assertEqual(self.of("erasure-stamped"), [])                    # one of two: nothing waits yet
        self.approve(erasure, scenario.SECOND, **options)
        return erasure


class Standard(StandardVault):
    def test_shown_to_a_reader(self):
        erasure = self.twice_approved()
        first, = self.of("erasure-stamped")
        self.assertEqual((first["nodes"][0]["id"], first["nodes"][0]["d"]), (erasure, first["body"]["document"]))
        self.assertGreater(first["body"]["size"], self.of("erasure-approved")[1]["seq"])
        until = self.box.kesu("erase", "status", erasure).json["waiting_until"]
        self.assertAlmostEqual(seconds(until), time.time() - 30 * 3600 + 86400, delta=20)
        asked, entries = self.tsa.asked, self.entries()
        self.run_erasure(erasure, code=4, error="waiting")
        self.assertEqual(self.tsa.asked, asked)                             # the host's own clock says that it is too early
        self.only_refused(entries)
        self.host_at("+0")
        self.authority_at("+0")
        self.run_erasure(erasure)
        first, second = self.of("erasure-stamped")
        started, = self.of("erasure-started")
        self.assertLess(second["seq"], started["seq"])
        self.assertEqual(started["body"]["waited_by"], "time-stamps")
        (self.box.path / "lists.pem").write_text(self.tsa.lists(0.01))
        with open(self.box.vault / "kesu.toml", "a") as config:
            config.write(f'[certificate]\ncrl = "{self.box.path / "lists.pem"}"\n')
        report = self.report(erasure, "standard")
        self.assertEqual((report["verdict"], report["shortfalls"], report["errors"]), ("complete", [], []))
        self.assertRegex(self.claim(report)["detail"], r"waiting period 86400 seconds, time-stamped from 20\d\d-\S+Z to 20\d\d-\S+Z$")
        shown = [r["over"] for r in report["time"]]
        self.assertEqual(shown[3:], [f"evidence/{e['body']['checkpoint']}" for e in (first, second)])
        self.assertEqual([r["trusted"] for r in report["time"]], [True] * 5)

    def test_only_this_host_says_that_it_is_over(self):
        """Its clock was set forward and the machine started anew, so that no command sees it; the authority's was not."""
        erasure = self.twice_approved()
        self.host_at("+0")
        error = self.run_erasure(erasure, code=4, error="waiting").json["error"]
        self.assertRegex(error["cause"], "it is 20.* at http://.*, and a time authority says that the approvals were there at 20")
        self.not_begun()
        self.assertEqual([e["body"]["what"] for e in self.of("finding-recorded")], ["clock-jumped", "destruction-refused"])
        self.assertEqual(len(self.of("erasure-stamped")), 1)

    def test_a_moment_too_early_by_the_authority(self):
        """Within what two clocks may differ there is no finding, and the authority's decides all the same."""
        erasure = self.twice_approved()
        self.host_at(f"-{6 * 3600 - 30}s")                                  # the period ends at six hours ago
        self.authority_at(f"-{6 * 3600 + 25}s")
        entries = self.entries()
        error = self.run_erasure(erasure, code=4, error="waiting").json["error"]
        self.assertIn("the approvals were there at", error["cause"])
        self.only_refused(entries)
        self.not_begun()
        self.authority_at(f"-{6 * 3600 - 30}s")
        self.run_erasure(erasure)
        self.assertEqual(len(self.of("erasure-stamped")), 2)

    def test_no_authority_answers(self):
        self.configure(self.closed_port())
        erasure = self.twice_approved()
        self.assertEqual(self.of("erasure-stamped"), [])
        status = self.box.kesu("erase", "status", erasure).json
        self.assertEqual((status["stage"], status["waiting_until"], status["waiting_for"]), ("approved", None, "time-stamp"))
        self.assertIn("kesu erase run", self.box.text("erase", "status", erasure).stdout)
        due = lambda: next(d for d in self.box.kesu("status").json["due"] if d["what"] == "erasure")  # noqa: E731
        self.assertIn("its waiting period has not begun", due()["detail"])
        self.host_at("+0")                                                  # a day by this host, and nobody else says so
        self.run_erasure(erasure, code=5, error="time-unavailable")
        self.not_begun()
        self.authority_at("+0")
        self.configure(self.server.url)
        asked = self.tsa.asked
        error = self.run_erasure(erasure, code=4, error="waiting").json["error"]   # it begins now
        self.assertIn("the approvals were there at", error["cause"])
        self.assertEqual(due()["detail"], "is approved and has not begun")
        self.assertEqual(self.tsa.asked, asked + 1)                         # for the first; the second is a day away by all clocks
        self.assertEqual(len(self.of("erasure-stamped")), 1)
        until = self.box.kesu("erase", "status", erasure).json["waiting_until"]
        self.assertAlmostEqual(seconds(until), time.time() + 86400, delta=20)
        self.not_begun()
        # And the second one, when the day is over by all clocks.
        self.host_at("+25h")
        self.configure(self.closed_port())
        self.run_erasure(erasure, code=5, error="time-unavailable")
        self.not_begun()
        self.configure(self.server.url)
        self.authority_at("+25h")
        self.run_erasure(erasure)
        self.assertEqual(len(self.of("erasure-stamped")), 2)

    def test_a_notice_says_until_when(self):
        """By the authority's time, where that is later than the ledger's; and that nothing waits yet."""
        def notice(name):
            self.box.kesu("certificate", "notice", erasure, "-o", self.box.state / name)
            document = json.loads((self.box.state / name / "notice.json").read_bytes())
            return document, (self.box.state / name / "notice.html").read_text()
        self.configure(self.closed_port())
        erasure = self.twice_approved()
        document, html = notice("unbegun")
        self.assertEqual((document["stage"], document["reversible_until"]), ("approved", None))
        self.assertIn("its waiting period has not begun: the approvals have no time-stamp", html)
        self.assertIn("待機期間がまだ始まっていない", html)
        self.configure(self.server.url)
        for clock in (self.host_at, self.authority_at):
            clock("-20h")
        self.run_erasure(erasure, code=4, error="waiting")                  # it begins, ten hours after the approvals
        document, html = notice("begun")
        until = self.box.kesu("erase", "status", erasure).json["waiting_until"]
        self.assertAlmostEqual(seconds(until), time.time() + 4 * 3600, delta=30)
        self.assertEqual(document["reversible_until"], until)
        self.assertNotIn("has not begun", html)

    def test_approving_says_that_nothing_waits_yet(self):
        self.configure(f"{self.server.url}?garbage")
        erasure = self.plan("told")["erasure"]
        self.request(erasure)
        self.approve(erasure, scenario.APPROVER)
        said = self.box.text("erase", "approve", erasure, *self.signer(scenario.SECOND)).stderr
        self.assertIn("the approvals have no time-stamp", said)
        self.assertIn(f"kesu erase run {erasure[:12]} asks for it again", said)

    def test_no_authority_is_named(self):
        self.configure()
        plan = self.plan("told", code=3)
        self.assertTrue(any("names no time-stamp authority" in b["what"] for b in plan["blockers"]), plan["blockers"])
        self.configure(self.server.url)
        erasure = self.twice_approved()
        self.configure()
        self.host_at("+0")
        error = self.run_erasure(erasure, code=3, error="policy-refused").json["error"]
        self.assertIn("[[time.authority]]", error["next"])
        self.not_begun()

    def test_ahead_by_minutes_is_a_new_wait(self):
        """It is found while the second time-stamp is asked for, and no key is used any more."""
        erasure = self.twice_approved()
        entries = len(self.entries())
        self.host_at("+2m")
        self.authority_at("+0")
        error = self.run_erasure(erasure, code=4, error="waiting").json["error"]
        self.assertIn("clock-jumped", error["cause"])
        self.assertEqual([e["body"].get("what", e["type"]) for e in self.entries()[entries:]],
                         ["clock-jumped", "erasure-stamped", "destruction-refused"])
        self.not_begun()

    def test_behind_by_minutes_is_no_new_wait(self):
        """A host that is a little slow gains nothing by it, and does not have to wait a day again."""
        erasure = self.twice_approved()
        self.host_at("-5m")
        self.authority_at("+0")
        self.run_erasure(erasure)
        self.assertEqual(self.of("finding-recorded"), [])

    def approved_by_and_by(self):
        """By three, an hour between them, where two are enough; the end of the first one's approval."""
        erasure = self.plan("told")["erasure"]
        self.request(erasure)
        for hours, person in ((-30, scenario.APPROVER), (-29, scenario.SECOND), (-28, scenario.BOTH)):
            self.host_at(f"{hours}h")
            self.authority_at(f"{hours}h")
            self.approve(erasure, person)
        self.assertEqual(len(self.of("erasure-stamped")), 1)
        return erasure, seconds(self.of("erasure-approved")[0]["time"]) + 14 * 86400

    def test_an_approval_that_ends_while_the_authority_is_asked(self):
        """Then others reached the quorum, and no time-stamp says that they were there: a reader would find nothing shown."""
        erasure, ends = self.approved_by_and_by()
        self.tsa.mode = "slow"
        for clock in (self.host_at, self.authority_at):
            clock(f"+{ends - 2.5 - time.time():.2f}s")
        error = self.run_erasure(erasure, code=4, error="waiting").json["error"]
        self.assertIn("counts no more", error["message"])
        self.not_begun()
        self.tsa.mode = "good"
        error = self.run_erasure(erasure, code=4, error="waiting").json["error"]   # the period of the two others begins
        self.assertIn("the approvals were there at", error["cause"])
        self.not_begun()

    def test_one_of_two_anew(self):
        """Where approvals have expired, nothing waits for a time-stamp before there are enough again."""
        erasure = self.twice_approved()
        for clock in (self.host_at, self.authority_at):
            clock("+15d")
        said = lambda: [self.box.kesu("erase", "status", erasure).json[n] for n in ("waiting_until", "waiting_for")]  # noqa: E731
        self.assertEqual(said(), [None, None])
        self.approve(erasure, scenario.SECOND)
        self.assertEqual((said(), len(self.of("erasure-stamped"))), ([None, None], 1))
        self.approve(erasure, scenario.APPROVER)
        self.assertEqual(len(self.of("erasure-stamped")), 2)
        self.assertAlmostEqual(seconds(said()[0]), time.time() + 16 * 86400, delta=20)

    def test_an_altered_statement(self):
        """The run refuses; whoever looks at the erasure, or gives it up, is told what there is."""
        erasure = self.twice_approved()
        statement = self.box.vault / "evidence" / self.of("erasure-approved")[0]["body"]["statement"]
        statement.chmod(0o600)
        statement.write_bytes(statement.read_bytes().replace(b"approve", b"reprove", 1))
        self.box.kesu("erase", "status", erasure)
        self.box.kesu("erase", "list")
        self.run_erasure(erasure, code=6, error="ledger-damaged")
        self.not_begun()
        self.assertEqual(self.box.kesu("erase", "cancel", erasure, "--reason", "given up").json["stage"], "cancelled")

    def test_what_is_lost_shows_nothing(self):
        erasure = self.twice_approved()
        first, = self.of("erasure-stamped")
        (self.box.vault / "evidence" / first["body"]["document"]).unlink()
        self.assertEqual(self.box.kesu("erase", "status", erasure).json["waiting_for"], "time-stamp")
        self.host_at("+0")
        self.authority_at("+0")
        self.run_erasure(erasure, code=4, error="waiting")                  # stamped anew: the period begins now
        self.assertEqual(len(self.of("erasure-stamped")), 2)
        self.not_begun()


class LowVault(Stamped):
    """Three seconds, by a profile that lets the host's own clock do."""
    SECONDS = waiting_seconds = 3

    @classmethod
    def prepare(cls):
        cls.start_authority()
        cls.seal("loans-2019", {"a": b"one"})

    def setUp(self):
        super().setUp()
        self.tsa.offset = None


class Low(LowVault):
    def waited(self):
        erasure = self.approved("loans-2019")
        until = self.box.kesu("erase", "status", erasure).json["waiting_until"]
        time.sleep(max(0, seconds(until) + 1.1 - time.time()))              # and the second's accuracy of the other token
        return erasure

    def test_time_stamps_where_they_can_be_had(self):
        self.configure(self.server.url)
        erasure = self.waited()
        self.run_erasure(erasure)
        self.assertEqual([e["body"]["waited_by"] for e in self.of("erasure-started")], ["time-stamps"])
        self.assertIn(", time-stamped from ", self.claim(self.report(erasure, "low"))["detail"])
        with self.subTest("by hand"):
            bundle = self.box.path / f"bundle-{erasure}"
            shutil.copy(self.tsa.root, bundle / "ROOT.pem")
            text = (harness.SOURCE / "docs" / "verify-by-hand.md").read_text()
            script = text.partition("<!-- waiting -->")[2].partition("<!-- /waiting -->")[0].partition("```sh\n")[2].partition("```")[0]
            recipe = (bundle / "README.txt").read_text().partition("entries and times:\n\n")[2].partition("\n\n")[0]
            for lines in (script, recipe):
                said = self.box.run("sh", "-c", lines, cwd=bundle)
                self.assertEqual((said.stderr + said.stdout).count("Verification: OK"), 2, said)
                for entry in self.of("erasure-stamped"):
                    self.assertRegex(said.stdout, f"entry {entry['seq']}, over {entry['body']['size']} entries: [A-Z][a-z]+ ")

    def test_without_an_authority(self):
        erasure = self.waited()
        self.run_erasure(erasure)
        self.assertEqual([e["body"]["waited_by"] for e in self.of("erasure-started")], ["host"])
        claim = self.claim(self.report(erasure, "low"))
        self.assertEqual((claim["level"], claim["detail"]), ("proven", "1 approval, quorum 1, waiting period 3 seconds, by the host's clock"))
        short = [s for s in self.report_again(erasure, "standard")["shortfalls"] if "host's clock alone" in s]
        self.assertEqual(short, ["that the waiting period passed is shown by the host's clock alone: no time-stamp that counts is over a "
                                 "checkpoint with the approvals; profile standard asks for time-stamps"])

    def report_again(self, erasure, require):
        bundle, trust = self.box.path / f"bundle-{erasure}", self.box.path / "trust"
        words = (bundle, "--trust", trust, "--require", require, "--allow-test-grade", "--json")
        return self.box.run(harness.program("kesu"), "verify", *words, code=7).json

    def test_none_answers(self):
        self.configure(self.closed_port())
        erasure = self.waited()
        self.authority_at("-2h")                                           # it was asked for the time all the same
        self.configure(self.server.url)
        self.run_erasure(erasure, code=4, error="waiting")
        self.not_begun()
        self.tsa.offset = None
        self.configure(self.closed_port())
        time.sleep(self.SECONDS)                                           # the finding that the host is ahead begins it anew
        said = self.box.text("erase", "run", erasure, "-y")
        self.assertIn("the waiting period is over by this host's clock alone", said.stderr)
        self.assertEqual(self.stage(erasure), "destroyed")
        self.assertEqual([e["body"]["waited_by"] for e in self.of("erasure-started")], ["host"])

    def test_one_that_contradicts_is_believed(self):
        self.configure(self.server.url)
        erasure = self.waited()
        self.authority_at("-2h")
        self.run_erasure(erasure, code=4, error="waiting")
        self.not_begun()


class Silent(LowVault):
    """An authority that takes what it is asked and never answers."""
    def silent(self):
        hears = socket.socket()
        self.addCleanup(hears.close)
        hears.bind(("127.0.0.1", 0))
        hears.listen()
        return f"http://127.0.0.1:{hears.getsockname()[1]}/"

    def requested(self):
        erasure = self.plan("loans-2019")["erasure"]
        self.request(erasure)
        return erasure

    def timed(self, *words):
        began = time.monotonic()
        said = self.box.text(*words).stderr
        return time.monotonic() - began, said

    def test_alone(self):
        """Nobody waits without a word."""
        url = self.silent()
        self.configure(url)
        with open(self.box.vault / "kesu.toml", "a") as config:
            config.write("timeout = 3\n")
        erasure = self.requested()
        took, said = self.timed("erase", "approve", erasure, *self.signer(scenario.APPROVER))
        self.assertEqual(said.count(f"waiting for the time authority {url}: a time-stamp for the approvals, up to 3 s\n"), 1, said)
        self.assertLess(said.index("waiting for"), said.index("the approvals have no time-stamp"))
        self.assertLess(took, 3 + 2)
        self.assertEqual(self.box.text("--quiet", "erase", "status", erasure).stderr, "")

    def test_interrupted(self):
        """Ctrl-C ends the wait for an authority, not the approval."""
        self.configure(self.silent())
        erasure = self.requested()
        command = [str(w) for w in self.box.kesu_command("erase", "approve", erasure, *self.signer(scenario.APPROVER))]
        process = subprocess.Popen(command, env=self.box.env, stdout=subprocess.PIPE, stderr=subprocess.PIPE)
        said = process.stderr.readline()                                    # whom it waits for
        process.send_signal(signal.SIGTERM)                                 # SIGINT may be ignored where tests run
        out, _ = process.communicate(timeout=5)
        self.assertEqual(process.returncode, 130, (said, out))
        self.assertIn("the approval is recorded", json.loads(out)["error"]["message"])
        self.assertEqual(self.stage(erasure), "approved")

    def test_another_one_beside_it(self):
        """The next one is not asked when the first one's 20 s are over."""
        url, asked = self.silent(), self.tsa.asked
        self.configure(url, self.server.url)
        erasure = self.requested()
        took, said = self.timed("erase", "approve", erasure, *self.signer(scenario.APPROVER))
        self.assertLess(took, 8)
        self.assertIn(f"no answer yet; asking {self.server.url}, too, up to 20 s\n", said)
        self.assertNotIn("the approvals have no time-stamp", said)
        self.assertEqual((len(self.of("erasure-stamped")), self.tsa.asked), (1, asked + 1))

    def test_asked_last_by_the_same_command(self):
        """A certificate takes three time-stamps: it waits once for who is silent."""
        self.configure(self.server.url)
        erasure = self.requested()
        self.approve(erasure)
        time.sleep(max(0, seconds(self.box.kesu("erase", "status", erasure).json["waiting_until"]) + 2.1 - time.time()))
        self.run_erasure(erasure)
        self.configure(self.silent(), self.server.url)
        took, said = self.timed("certificate", "bundle", erasure, "-o", self.box.path / "bundle")
        self.assertEqual((said.count("waiting for"), said.count("no answer yet")), (1, 1), said)
        self.assertLess(took, 8)

    def test_a_quick_one_is_asked_alone(self):
        """Nobody pays for tokens that nobody takes."""
        other = tsa.Tsa(self.box.path / "other").serve()
        self.addCleanup(other.close)
        self.configure(self.server.url, other.url)
        asked = self.tsa.asked
        took, said = self.timed("erase", "approve", self.requested(), *self.signer(scenario.APPROVER))
        self.assertEqual((said, self.tsa.asked, other.tsa.asked), ("", asked + 1, 0))


class LowHour(LowVault):
    """Long enough to be told from what two clocks may differ by."""
    SECONDS = waiting_seconds = 3600

    @classmethod
    def write_genesis(cls, *words, **options):
        cls.host_at("+0")
        return super().write_genesis(*words, **options)

    def test_the_second_alone(self):
        """The approvals could not be stamped; what an authority says of the time is believed all the same."""
        self.configure(self.closed_port())
        erasure = self.approved("loans-2019")
        self.configure(self.server.url)
        self.host_at("+2h")
        self.authority_at("+30m")
        error = self.run_erasure(erasure, code=4, error="waiting").json["error"]
        self.assertRegex(error["cause"], "it is 20.* and the last approval was recorded at 20")
        self.not_begun()


if __name__ == "__main__":
    scenario.main()
