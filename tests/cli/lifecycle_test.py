"""Key states by command, every cell of the standard's table; cryptoperiods and their exceptions; copies."""
import pathlib
import sys
import time

sys.path.insert(0, str(pathlib.Path(__file__).parents[1] / "support"))
import scenario
import clock_test

# NIST SP 800-57 Pt 1 Rev. 5 §7.3, from its text: state -> {command: state afterwards}. What is not here is refused.
TABLE = {
    "pre-activation": {"activate": "active", "compromise": "compromised"},
    "active": {"suspend": "suspended", "deactivate": "deactivated", "compromise": "compromised"},
    "suspended": {"resume": "active", "deactivate": "deactivated", "compromise": "compromised"},
    "deactivated": {"compromise": "compromised"},
    "compromised": {},
    "destroyed": {"compromise": "destroyed-compromised"},
    "destroyed-compromised": {},
}
COMMANDS = ("activate", "suspend", "resume", "deactivate", "compromise")
MAY_BE_DESTROYED = {"pre-activation", "active", "suspended", "deactivated", "compromised"}


class States(scenario.World):
    def act(self, command, key, **options):
        return self.box.kesu("key", command, key, "--reason", f"{command} it", "-y", **options)

    def state(self, key, number=1):
        return self.box.kesu("key", "show", key).json["versions"][number - 1]

    def in_state(self, name, state):
        self.box.kesu("key", "create", name, *["--pre-activation"] * (state == "pre-activation"))
        for command in {"suspended": ["suspend"], "deactivated": ["deactivate"], "compromised": ["compromise"],
                        "destroyed": ["destroy"], "destroyed-compromised": ["destroy", "compromise"]}.get(state, []):
            if command == "destroy":
                self.box.kesu("key", "destroy", name, "-y")
            else:
                self.act(command, name)
        self.assertEqual(self.state(name)["state"], state)

    def test_every_cell(self):
        for state, allowed in TABLE.items():
            self.in_state(state[:6], state)
            self.box.snapshot("cell")
            for command in COMMANDS:
                with self.subTest(state=state, command=command):
                    self.box.restore("cell")
                    before = self.entries()
                    if command in allowed:
                        self.act(command, state[:6])
                        version = self.state(state[:6])
                        self.assertEqual((version["state"], version["reason"]), (allowed[command], f"{command} it"))
                        last = self.entries()[-1]
                        self.assertEqual((last["type"], last["body"]["from"], last["body"]["reason"]),
                                         ("key-state-changed", state, f"{command} it"))
                        self.assertIn("pid", last["body"]["actor"])
                    else:
                        error = self.act(command, state[:6], code=3, error="state-refused").json["error"]
                        self.assertIn(f"possible from {state}", error["next"])
                        self.nothing_changed(before)
            with self.subTest(state=state, command="destroy"):
                self.box.restore("cell")
                self.box.kesu("key", "destroy", state[:6], "-y", code=0 if state in MAY_BE_DESTROYED else 3)
                after = "destroyed-compromised" if state in ("compromised", "destroyed-compromised") else "destroyed"
                self.assertEqual(self.state(state[:6])["state"], after)
            self.box.restore("prepared")

    def test_the_vaults_own_keys_know_only_compromise(self):
        for name in ("ledger", "certificate", "control-hsm1"):
            for command in COMMANDS[:-1]:
                self.act(command, name, code=3, error="state-refused")
            self.box.kesu("key", "rotate", name, code=3, error="state-refused")
            self.act("compromise", name)
            self.assertEqual(self.state(name)["state"], "compromised")

    def test_activating_the_second_deactivates_the_first_in_one_append(self):
        self.box.kesu("key", "rotate", "loans", "--pre-activation")
        self.assertEqual([self.state("loans", n)["state"] for n in (1, 2)], ["active", "pre-activation"])
        self.box.kesu("key", "rotate", "loans", code=3, error="state-refused")
        size = len(self.entries())
        self.act("activate", "loans.2")
        self.assertEqual([self.state("loans", n)["state"] for n in (1, 2)], ["deactivated", "active"])
        new = self.entries()[size:]
        self.assertEqual([e["type"] for e in new], ["key-state-changed"] * 2)
        self.assertEqual(new[0]["time"], new[1]["time"])

    def test_rotate_from_every_living_state(self):
        for command in ("suspend", "deactivate", "compromise"):
            self.box.restore("prepared")
            self.act(command, "loans")
            before = self.state("loans")["state"]
            self.box.kesu("key", "rotate", "loans")
            self.assertEqual([self.state("loans", n)["state"] for n in (1, 2)], [before, "active"])
        self.box.restore("prepared")
        self.act("suspend", "loans")
        self.box.kesu("key", "rotate", "loans")
        self.act("resume", "loans.1", code=3, error="state-refused")       # version 2 is active
        self.box.kesu("key", "create", "gone")
        self.box.kesu("key", "destroy", "gone", "-y")
        self.box.kesu("key", "rotate", "gone", code=3, error="state-refused")

    def test_words_for_versions(self):
        self.box.kesu("key", "rotate", "loans")
        key = self.box.kesu("key", "show", "loans").json["id"]
        for word in ("loans.2", f"{key}.2", f"{key[:12]}.2"):
            self.assertEqual(self.box.kesu("key", "show", word).json["id"], key)
        self.act("compromise", "loans", code=2, error="usage")             # which?
        self.act("compromise", "loans.3", code=2, error="not-found")
        self.box.kesu("key", "compromise", "loans.1", "--version", "2", "--reason", "r", "-y", code=2, error="usage")
        self.box.kesu("key", "compromise", "loans", "--all-versions", "--reason", "r", "-y")
        self.assertEqual([self.state("loans", n)["state"] for n in (1, 2)], ["compromised"] * 2)
        self.box.kesu("key", "create", "loans.7", code=2, error="usage")
        self.box.kesu("key", "rotate", "loans.1", code=2, error="usage")

    def test_compromise(self):
        self.box.kesu("key", "compromise", "loans", "--reason", "r", code=3, error="not-confirmed")
        self.box.kesu("key", "compromise", "loans", "--reason", "r", "--occurred", "2099-01-01", "-y", code=2,
                      error="bad-input")
        self.box.kesu("key", "compromise", "loans", "--reason", "r", "--occurred", "2019-11-20", "-y", code=2,
                      error="bad-input")  # before it was made
        today = time.strftime("%Y-%m-%d")
        self.box.kesu("key", "compromise", "loans", "--reason", "r", "--occurred", today, "-y")
        self.assertEqual(self.state("loans")["occurred"], f"{today}T00:00:00.000Z")

    def test_what_each_state_opens(self):
        self.seal("loans-2019", {"a.txt": b"one"})
        source = self.write("b.txt", b"two", below="more")
        self.act("suspend", "loans")
        self.box.kesu("open", self.out / "src" / "a.txt.kesu", "-o", self.box.path / "o1", code=3, error="state-refused")
        self.box.kesu("seal", "loans-2019", source, "-o", self.out, code=3, error="state-refused")
        self.act("resume", "loans")
        self.assertEqual(len(self.opened(self.out)), 1)
        self.act("deactivate", "loans")
        self.assertEqual(len(self.opened(self.out)), 1)
        self.box.kesu("seal", "loans-2019", source, "-o", self.out, code=3, error="state-refused")
        self.act("compromise", "loans")
        self.box.kesu("open", self.out / "src" / "a.txt.kesu", "-o", self.box.path / "o2", code=3, error="state-refused")
        self.box.kesu("open", self.out, "-o", self.box.path / "o3", "--accept-compromised", "court order 7")
        said = [e["body"]["purpose"] for e in self.entries() if e["type"] == "objects-opened"]
        self.assertIn("court order 7", said[-1])

    def test_reserved_keys_move_nowhere_but_to_compromised(self):
        self.seal("loans-2019", {"a.txt": b"one"})
        erasure = self.approved("loans-2019")
        for command in ("suspend", "deactivate"):
            self.act(command, "loans", code=3, error="frozen")
        self.act("compromise", "loans")
        self.run_erasure(erasure, code=3, error="plan-changed")
        self.box.kesu("erase", "cancel", erasure, "--reason", "compromised")
        self.run_erasure(self.approved("loans-2019"))
        self.assertEqual(self.state("loans")["state"], "destroyed-compromised")

    def test_an_erasure_takes_suspended_keys(self):
        self.seal("loans-2019", {"a.txt": b"one"})
        self.act("suspend", "loans")
        self.run_erasure(self.approved("loans-2019"))
        self.assertEqual(self.state("loans")["state"], "destroyed")

    def test_many_names_in_one_create(self):
        names = [f"k{i}" for i in range(1000)]
        made = self.box.kesu("key", "create", *names, timeout=600).json
        self.assertEqual([k["name"] for k in made], names)
        self.assertEqual({k["state"] for k in made}, {"active"})
        self.box.kesu("key", "create", "new", "k7", code=3, error="already-exists")
        self.box.kesu("key", "show", "new", code=2, error="not-found")     # nothing was made
        self.box.kesu("key", "create", "twice", "twice", code=2, error="usage")


class Periods(scenario.World):
    @classmethod
    def prepare(cls):
        cls.box.kesu("key", "create", "short", "--originator-period", "10d", "--recipient-period", "20d")
        cls.box.kesu("dataset", "add", "brief", "--key", "short", "--chunk", str(scenario.CHUNK))
        cls.seal("brief", {"a.txt": b"one"})

    def at(self, days, *words, **options):
        return self.box.kesu(*words, env=clock_test.at(f"{days:+d}d"), **options)

    def sealing(self, days, **options):
        return self.at(days, "seal", "brief", self.write(f"d{days}", b"x", below=f"d{days}"), "-o", self.out, **options)

    def opening(self, days, code=0, error=None):
        """Several files that fail are a result with its parts, not one error."""
        result = self.at(days, "open", self.out, "-o", self.box.path / "o", "--force", code=code).json
        codes = {part["code"] for part in result.get("failed", [])} or {result.get("error", {}).get("code")}
        self.assertEqual(codes, {error}, result)

    def extend(self, which, until, days=0, **options):
        options.setdefault("by", scenario.APPROVER)
        by = options.pop("by")
        return self.at(days, "key", "extend", "short", which, until, "--reason", "r", *self.signer(by), **options)

    def test_defaults_and_words(self):
        version, = self.box.kesu("key", "show", "loans").json["versions"]
        self.assertEqual((version["originator_period"], version["recipient_period"]), (63072000, 157680000))
        for bad in (("1x", "2d"), ("2d", "1d"), ("none", "1d")):
            self.box.kesu("key", "create", "bad", "--originator-period", bad[0], "--recipient-period", bad[1], code=2)
        said = self.box.kesu("key", "create", "long", "--originator-period", "3y").stderr
        self.assertIn("5.3.6", said)
        rotated = self.box.kesu("key", "rotate", "short").json["versions"][1]
        self.assertEqual((rotated["originator_period"], rotated["recipient_period"]), (864000, 1728000))

    def test_ends(self):
        self.sealing(9)
        self.sealing(11, code=3, error="period-over")
        self.opening(19)
        self.opening(21, code=3, error="period-over")
        # The ledger has seen day 21: a clock set back brings nothing back.
        self.opening(0, code=3, error="period-over")
        self.sealing(0, code=3, error="period-over")
        self.at(21, "key", "rotate", "short")
        self.sealing(22)

    def test_no_resume_after_the_period(self):
        self.at(1, "key", "suspend", "short", "--reason", "r")
        self.at(11, "key", "resume", "short", "--reason", "r", code=3, error="period-over")
        self.at(11, "key", "deactivate", "short", "--reason", "r")

    def test_exceptions_lift_and_end(self):
        version = self.box.kesu("key", "show", "short").json["versions"][0]
        day = lambda n: f"{scenario_day(version['activated'], n)}"
        self.extend("--originator-until", day(30), code=2, error="bad-input")        # beyond opening
        self.extend("--recipient-until", day(5), code=2, error="bad-input")          # not later
        self.extend("--recipient-until", day(40), by=scenario.OPERATOR, code=3, error="not-enrolled")
        made = self.extend("--recipient-until", day(40)).json
        self.assertEqual((made["what"], made["in_force"]), ("recipient-period", True))
        self.extend("--originator-until", day(30))
        self.sealing(29)
        self.sealing(32, code=3, error="period-over")
        self.opening(39)
        self.opening(42, code=3, error="period-over")
        listed = self.at(42, "policy", "exceptions").json
        self.assertEqual([e["in_force"] for e in listed], [False, False])
        self.box.kesu("ledger", "verify")

    def test_a_statement_serves_once(self):
        version = self.box.kesu("key", "show", "short").json["versions"][0]
        until, file = scenario_day(version["activated"], 40), self.box.state / "statement"
        words = ("key", "extend", "short", "--recipient-until", until, "--reason", "r", "--as", scenario.APPROVER)
        self.box.kesu(*words, "--export", file)
        signature = self.box.state / "statement.sig"
        signature.write_bytes(self.key_of(scenario.APPROVER).sign("kesu-exception-v1", file.read_bytes()))
        wrong = self.box.state / "wrong.sig"
        wrong.write_bytes(self.key_of(scenario.SECOND).sign("kesu-exception-v1", file.read_bytes()))
        self.box.kesu(*words, "--signature", wrong, code=6, error="signature-bad")
        self.box.kesu(*words, "--signature", signature)
        entry = self.entries()[-1]
        self.assertEqual((entry["type"], entry["body"]["what"]), ("exception-recorded", "recipient-period"))
        self.box.kesu(*words, "--signature", signature, code=2, error="bad-input")   # not later than what holds

    def test_algorithms(self):
        words = ("--purpose", "wrap", "--reason", "r", *self.signer(scenario.APPROVER))
        self.box.kesu("policy", "except", "AES-256-GCM", *words, code=3, error="state-refused")
        self.box.kesu("policy", "except", "DES", *words, code=3, error="policy-refused")
        made = self.box.kesu("policy", "except", "AES-KW:bits=256", *words, code=(0, 3))
        if made.code == 0:
            self.assertEqual(self.box.kesu("policy", "exceptions").json, [made.json])


def scenario_day(activated, days):
    import datetime
    return str(datetime.date.fromisoformat(activated[:10]) + datetime.timedelta(days=days))


class Copies(scenario.World):
    def add(self, *words, **options):
        return self.box.kesu("copy", "add", *words, "--kind", "backup", "--place", "room B", "--custodian", "C", **options)

    def test_an_open_copy_blocks_until_it_ends(self):
        self.seal("loans-2019", {"a.txt": b"one"})
        copy = self.add("loans").json
        self.assertEqual([v["name"] for v in copy["versions"]], ["loans.1"])
        blockers = self.plan("loans-2019", code=3)["blockers"]
        self.assertIn(f"kesu copy destroy {copy['id'][:12]}", blockers[0]["next"])
        document = self.write("protocol.txt", b"shredded")
        end = ("copy", "destroy", copy["id"][:12], "--how", "shredded", "--document", document)
        self.box.kesu(*end, "--as", scenario.AUDITOR, code=3, error="not-enrolled")
        ended = self.box.kesu(*end, "--as", scenario.OPERATOR).json
        self.assertEqual((ended["state"], ended["how"]), ("ended", "shredded"))
        self.box.kesu(*end, "--as", scenario.OPERATOR, code=3, error="state-refused")
        self.assertEqual(self.box.kesu("copy", "list").json, [ended])
        self.run_erasure(self.approved("loans-2019"))
        self.box.kesu("ledger", "verify")

    def test_of_many_versions(self):
        for _ in range(4):
            self.box.kesu("key", "rotate", "loans")
        self.add("loans", code=2, error="usage")
        copy = self.add("loans", "--all-versions").json
        self.assertEqual([v["name"] for v in copy["versions"]], [f"loans.{n}" for n in range(1, 6)])
        self.assertEqual(len([e for e in self.entries() if e["type"] == "copy-registered"]), 2)
        self.box.kesu("copy", "add", "loans.1", "--kind", "x", "--place", "p", "--custodian", "c", code=2, error="usage")


if __name__ == "__main__":
    scenario.main()
