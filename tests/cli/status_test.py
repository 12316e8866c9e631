"""kesu status, status --check and vault close: what is due, what the exit code says, and the end of a vault."""
import os
import pathlib
import sys

sys.path.insert(0, str(pathlib.Path(__file__).parents[1] / "support"))
import scenario
from clock_test import at


class Status(scenario.World):
    def due(self, *words, code=0, **options):
        status = self.box.kesu("status", *words, code=code, **options).json
        return [(d["what"], d["name"], d["overdue"]) for d in status["due"]]

    def test_nothing_is_due(self):
        entries = self.entries()
        status = self.box.kesu("status", "--check").json
        self.assertEqual((status["due"], status["silent"], status["closed"]), ([], [], None))
        self.assertIn("due          nothing", self.box.text("status").stdout)
        self.nothing_changed(entries)

    def test_periods(self):
        self.box.kesu("key", "create", "cards", "--originator-period", "100d")
        self.assertEqual(self.due(), [])
        soon = [d for d in self.due(env=at("+20d")) if d[0] != "finding"]
        self.assertEqual(soon, [("originator-period", "cards.1", False)])
        late = [d for d in self.due("--check", code=8, env=at("+101d")) if d[0] != "finding"]
        self.assertEqual(late, [("originator-period", "cards.1", True)])
        self.assertIn("kesu key rotate cards", self.box.text("status", env=at("+101d")).stdout)

    def test_what_waits_for_a_person(self):
        self.box.kesu("key", "create", "later", "--pre-activation")
        self.assertEqual(self.due("--check", code=4), [("pre-activation", "later.1", False)])
        self.box.kesu("key", "activate", "later", "--reason", "begins")
        self.box.kesu("status", "--check")
        self.seal("loans-2019", {"a": b"a"})
        self.box.kesu("key", "rotate", "loans")
        self.assertEqual(self.due("--check", code=4), [("rewrap", "loans-2019", False)])
        self.box.kesu("key", "compromise", "loans.1", "--reason", "seen elsewhere", "-y")
        self.assertEqual({d[0]: d[2] for d in self.due("--check", code=8)}["rewrap"], True)
        self.assertIn("reseal", [d[0] for d in self.due()])

    def test_a_key_without_an_active_version(self):
        self.box.kesu("key", "suspend", "loans", "--reason", "looked into")
        self.assertEqual(self.due("--check", code=4), [("no-active-version", "loans-2019", False)])
        self.assertEqual(self.box.kesu("status").json["due"][0]["next"], "kesu key resume loans.1 --reason TEXT")

    def test_a_silent_provider(self):
        entries = self.entries()
        os.rename(self.pin_file, f"{self.pin_file}.away")
        status = self.box.kesu("status", "--check", code=5).json
        silent, = status["silent"]
        self.assertEqual((silent["provider"], silent["code"]), ("hsm1", "pin-missing"))
        self.assertTrue(silent["next"])
        self.assertIn("SILENT", self.box.text("status", "--check", code=5).stdout)
        self.box.kesu("key", "list")                                      # needs no provider
        self.box.kesu("status")                                           # asks none
        os.rename(f"{self.pin_file}.away", self.pin_file)
        self.nothing_changed(entries)

    def test_erasures_on_their_way(self):
        self.seal("loans-2019", {"a": b"a"})
        erasure = self.plan("loans-2019")["erasure"]
        self.request(erasure)
        self.assertEqual(self.due("--check", code=4), [("erasure", erasure[:12], False)])
        self.approve(erasure)
        self.run_erasure(erasure)
        status = self.box.kesu("status", "--check", code=4).json
        self.assertIn("certificate bundle", status["due"][0]["next"])
        self.box.kesu("certificate", "bundle", erasure, "-o", self.box.path / "b0")
        self.box.kesu("status", "--check")

    # The end of a vault.

    def test_closing_is_refused_while_anything_lives(self):
        entries = self.entries()
        self.box.kesu("vault", "close", "-y", code=2, error="usage")
        refused = self.box.kesu("vault", "close", "--reason", "over", "-y", code=3, error="state-refused").json["error"]
        self.assertIn("dataset loans-2019 is open", refused["cause"])
        self.assertIn("loans.1 is active", refused["cause"])
        self.box.kesu("vault", "close", "--reason", "over", code=3, error="not-confirmed")
        self.nothing_changed(entries)

    def test_close(self):
        self.seal("loans-2019", {"a": b"a"})
        erasure = self.approved("loans-2019")
        self.run_erasure(erasure)
        refused = self.box.kesu("vault", "close", "--reason", "over", "-y", code=3, error="state-refused").json["error"]
        self.assertIn("no certificate", refused["cause"])
        self.box.kesu("certificate", "bundle", erasure, "-o", self.box.path / "b1")
        done = self.box.kesu("vault", "close", "--reason", "the contract is over", "-y").json
        entries = self.entries()
        last = entries[-1]
        self.assertEqual((last["type"], last["nodes"][0]["is"]), ("vault-closed", "closed"))
        self.assertEqual(last["body"]["reason"], "the contract is over")
        self.assertEqual(last["body"]["left"], done["left"])
        self.assertEqual(len(done["left"]), 3)                            # control, ledger, certificate
        self.assertEqual(done["checkpoint"], len(entries))
        for words in (("key", "create", "x"), ("key", "rotate", "loans"), ("dataset", "add", "d", "--key", "loans"),
                      ("seal", "loans-2019", self.box.state / "src", "-o", self.out)):
            with self.subTest(words):
                result = self.box.kesu(*words, code=3)
                self.assertIn(result.error_code, ("vault-closed", "state-refused", "frozen"))
        self.box.kesu("key", "create", "x", code=3, error="vault-closed")
        self.box.kesu("provider", "add", "hsm2", self.box.token_uri, code=3)
        self.box.kesu("vault", "close", "--reason", "again", "-y")        # finishes what is missing: nothing
        status = self.box.kesu("status", "--check").json
        self.assertEqual(status["closed"], last["time"])
        for words in (("key", "list"), ("ledger", "verify"), ("ledger", "checkpoint"), ("doctor",), ("dataset", "list"),
                      ("certificate", "list"), ("erase", "status", erasure)):
            self.box.kesu(*words)
        self.box.kesu("certificate", "bundle", erasure, "-o", self.box.path / "b2")
        first, again = ({n: b for n, b in self.files_below(self.box.path / d).items() if "checkpoint" not in n}
                        for d in ("b1", "b2"))
        self.assertIn("certificate.json", first)
        self.assertEqual(first["certificate.json"], again["certificate.json"])
        self.nothing_changed(entries)


class List(scenario.World):
    @classmethod
    def prepare(cls):
        cls.box.kesu("key", "create", *[f"cards-{i}" for i in range(8)], "--originator-period", "30d")
        cls.box.kesu("key", "create", "later", "--pre-activation")

    def names(self, *words, **options):
        return [k["name"] for k in self.box.kesu("key", "list", *words, **options).json]

    def test_filters(self):
        cards = [f"cards-{i}" for i in range(8)]
        everything = self.names()
        self.assertEqual(sorted(everything), sorted([*cards, "later", "loans", "ledger", "certificate", "control-hsm1"]))
        self.assertEqual(everything[:9], [*cards[:0], *sorted(everything[:9], key=everything.index)])
        self.assertEqual(sorted(self.names("--due")), sorted([*cards, "later"]))
        self.assertEqual(self.names("--state", "pre-activation"), ["later"])
        self.assertEqual(sorted(self.names("--state", "pre-activation", "--state", "active", "--purpose", "wrap")),
                         sorted([*cards, "later", "loans"]))
        self.assertEqual(sorted(self.names("--name", "cards-*")), cards)
        self.assertEqual(len(self.names("--name", "cards-*", "--limit", "3")), 3)
        self.assertEqual(sorted(self.names("--purpose", "sign")), ["certificate", "ledger"])
        self.assertEqual(self.names("--provider", "hsm1", "--name", "loans"), ["loans"])
        self.box.kesu("key", "list", "--provider", "nobody", code=2, error="not-found")
        self.box.kesu("key", "list", "--state", "asleep", code=2, error="usage")
        self.box.kesu("key", "list", "--purpose", "fun", code=2, error="usage")

    def test_text(self):
        text = self.box.text("key", "list", env=at("+31d")).stdout.splitlines()
        self.assertEqual(text[0].split()[:4], ["NAME", "ID", "VERSION", "STATE"])
        self.assertTrue(text[1].startswith("cards-0"))
        self.assertIn("! originator-period", text[1])
        self.assertRegex(text[-1], r"^10 of 10 keys; 8 overdue; 3 of the vault's own not shown \(--all\)$")
        self.assertIn("ledger", self.box.text("key", "list", "--all").stdout)
        self.assertRegex(self.box.text("key", "list", "--limit", "2").stdout.splitlines()[-1],
                         r"^2 of 10 keys; none overdue; --limit N shows more")


if __name__ == "__main__":
    scenario.main()
