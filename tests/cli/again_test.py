"""The same command again, where the first one was killed after its entry and before it could say so: nothing is there twice, and
what it says is so. And what a kill left beside files is cleared, of nobody who still writes."""
import fcntl
import os
import pathlib
import sys
import time

sys.path.insert(0, str(pathlib.Path(__file__).parents[1] / "support"))
import harness_kill
import scenario
from scenario import APPROVER, AUDITOR, BOTH
from witness_test import Desk

NEW = "Jiro Suzuki"


class World(scenario.World):
    def types(self, kind):
        return [e for e in self.entries() if e["type"] == kind]

    def killed_at(self, call, under, *words, vault=True, at=1):
        """Killed before the at-th such call on what lies there."""
        *_, killed, result = harness_kill.traced(self.box.kesu_command(*words, vault=vault), at, env=self.box.env, cwd=self.box.path,
                                                 only=("--call", call, "--under", str(under)))
        self.assertTrue(killed, result)


class Again(World):
    def test_a_hold(self):
        self.box.kesu("key", "rotate", "loans")
        words = ("hold", "place", "loans", "--case", "2026-118", "--reason", "court order", "--as", AUDITOR)
        first = self.box.kesu(*words).json
        again = self.box.kesu(*words)
        self.assertEqual(again.json, first)
        self.assertIn("placed before", again.stderr)
        self.assertEqual(len(self.types("hold-placed")), 2)                     # two versions
        # A version that came since is held, too; somebody else's hold, and another case's, are others.
        self.box.kesu("key", "rotate", "loans")
        held = self.box.kesu(*words).json
        self.assertEqual(([h["id"] for h in held[:2]], [h["name"] for h in held]),
                         ([h["id"] for h in first], ["loans.1", "loans.2", "loans.3"]))
        self.assertEqual(len(self.box.kesu(*words[:-1], APPROVER).json), 3)
        self.assertEqual(len(self.types("hold-placed")), 6)
        for h in held:
            self.box.kesu("hold", "release", h["id"], "--reason", "closed", *self.signer(APPROVER))
        self.assertEqual(len(self.box.kesu(*words).json), 3)                    # released: placed anew
        self.assertEqual(len(self.types("hold-placed")), 9)
        self.box.kesu("ledger", "verify")

    def test_a_contact_and_a_setting(self):
        for words, kind in ((("vault", "contact", "--contact", "+81 3 0000", "--place", "Tokyo"), "contact-recorded"),
                            (("vault", "contact", "--of", APPROVER, "--contact", "sato@bank.example"), "contact-recorded"),
                            (("dataset", "update", "loans-2019", "--contact", "desk", "--region", "jp", "--reason", "r"), "dataset-updated")):
            before = len(self.types(kind))
            first = self.box.kesu(*words).json
            self.assertEqual(self.box.kesu(*words).json, first)
            self.assertEqual(len(self.types(kind)), before + 1)
        self.box.kesu("dataset", "update", "loans-2019", "--contact", "desk", "--region", "us", "--reason", "r")
        self.assertEqual(len(self.types("dataset-updated")), 2)

    def test_a_copy(self):
        words = ("copy", "add", "loans.1", "--kind", "backup", "--place", "room B", "--custodian", "C", "--medium", "tape 17")
        copy = self.box.kesu(*words).json["id"]
        refused = self.box.kesu(*words, code=3, error="already-exists").json["error"]
        self.assertIn(copy[:12], refused["message"])
        self.box.kesu(*words[:-1], "tape 18")
        self.assertEqual(len(self.box.kesu("copy", "list").json), 2)
        self.box.kesu("copy", "destroy", copy, "--how", "shredded", "--as", BOTH)
        self.box.kesu(*words)                                                   # it was made anew

    def test_an_exception(self):
        words = ("policy", "except", "RSA-OAEP:bits=4096,hash=SHA-256", "--purpose", "wrap", "--reason", "r", *self.signer(APPROVER))
        self.box.kesu(*words, "--until", "2031-06-30")
        refused = self.box.kesu(*words, "--until", "2031-06-30", code=2, error="bad-input").json["error"]
        self.assertIn("as it is", refused["message"])
        self.assertEqual(len(self.types("exception-recorded")), 1)
        self.box.kesu(*words, "--until", "2032-06-30")

    def by(self):
        return ("--reason", "as agreed", "--by", APPROVER, "--key", self.key_of(APPROVER).private)

    def test_a_signature_under_a_change(self):
        key = self.box.officer("suzuki")
        add = ("operator", "add", NEW, "--title", "Deputy", "--key-file", key.public, "--role", "approver", *self.by())
        change = self.box.kesu(*add, code=4).json["change"]
        sign = ("operator", "sign", change, "--as", NEW, "--key", key.private)
        plans = self.box.vault / "plans"
        self.killed_at("unlink", plans, *sign)                                  # recorded, and what was signed is left
        self.assertEqual(len(list(plans.glob("change-*"))), 3)
        entry = self.types("rules-changed")[0]["seq"]
        for _ in range(2):
            refused = self.box.kesu(*sign, code=3, error="already-exists").json["error"]
            self.assertIn(f"entry {entry}", refused["message"])
            self.box.kesu("operator", "sign", change[:8], "--as", NEW, "--key", key.private, code=3, error="already-exists")
            # The next proposal clears what can serve no more.
            later = self.box.kesu("operator", "revoke", NEW, *self.by()).json
            self.assertIsNotNone(later["entry"])
            self.assertEqual(list(plans.glob("change-*")), [])
            self.box.restore("prepared")
            change = self.box.kesu(*add, code=4).json["change"]
            sign = ("operator", "sign", change, "--as", NEW, "--key", key.private)
            self.killed_at("unlink", plans, *sign, at=2)                         # the statement is gone, signatures are not
            entry = self.types("rules-changed")[0]["seq"]
        # What cannot be cleared is no failure of the change.
        (plans / "change-0123456789abcdef.dir").mkdir()
        self.assertEqual(self.box.kesu("operator", "revoke", AUDITOR, *self.by(), code=(0, 3)).code, 0)
        self.box.kesu("operator", "sign", "ffff" + change[4:], "--as", NEW, "--key", key.private, code=2, error="not-found")


class Requests(Desk, World):
    def test_a_request_to_witnesses(self):
        request = self.box.state / "request"
        words = ("ledger", "checkpoint", "--export", request)
        first = self.box.kesu(*words).json
        text = request.read_bytes()
        self.assertEqual(self.box.kesu(*words).json, first)                     # the same one stands there
        self.assertEqual(request.read_bytes(), text)
        self.box.kesu(*words, "--since", "1", code=3, error="already-exists")
        self.box.kesu("key", "create", "more")
        for _ in range(2):
            self.box.kesu(*words, code=3, error="already-exists")               # of what the ledger was
            self.box.kesu("ledger", "checkpoint")
        self.assertEqual(request.read_bytes(), text)

    def test_a_witness(self):
        witness, _ = self.make_witness("witness.example/bank", "state/w1")
        request, answer = self.box.state / "request", self.box.state / "answer"
        vkey = self.box.kesu("ledger", "checkpoint", "--export", request).json["vkey"]
        words = ("ledger", "cosign", request, "--witness", witness, "--first", vkey, "-o", answer)
        self.killed_at("rename", f"{witness}/logs/", *words, vault=False)
        self.killed_at("rename", f"{witness}/witness.json", *words, vault=False)
        self.killed_at("renameat2", answer, *words, vault=False)
        self.box.kesu(*words, vault=False)
        self.assertEqual([p for p in self.box.state.rglob("*.tmp*")], [])


class Pages(World):
    def test_pages_half_written(self):
        self.seal("loans-2019", {"a": b"one"})
        erasure = self.approved("loans-2019")
        self.run_erasure(erasure)
        bundle, pages = self.box.state / "bundle", self.box.state / "pages"
        self.box.kesu("certificate", "bundle", erasure, "-o", bundle)
        words = ("certificate", "render", bundle, "-o", pages)
        self.killed_at("renameat2", pages / "certificate.pdf", *words)
        html = (pages / "certificate.html").read_bytes()
        self.box.kesu(*words)
        self.assertEqual(sorted(p.name for p in pages.iterdir()), ["certificate.html", "certificate.pdf"])
        self.assertEqual((pages / "certificate.html").read_bytes(), html)
        self.box.kesu(*words, code=3, error="already-exists")
        (pages / "certificate.pdf").unlink()
        (pages / "certificate.html").write_bytes(html + b"\n")
        self.box.kesu(*words, code=3, error="already-exists")                   # not what it would write
        self.assertEqual([p.name for p in pages.iterdir()], ["certificate.html"])


class Leftovers(World):
    def left(self, place):
        return sorted(p.name for p in place.glob("*.tmp*"))

    def doctor(self):
        return {c["check"]: c["result"] for c in self.box.kesu("doctor", "--offline", code=None).json["checks"]}["leftovers"]

    def test_of_a_plan(self):
        self.seal("loans-2019", {"a": b"one"})
        plans = self.box.vault / "plans"
        self.killed_at("rename", plans, "erase", "plan", "loans-2019")
        name, = self.left(plans)
        self.assertEqual(self.doctor(), "warn")
        # Where every kesu has the same number, as in a container, its own number lives on; and the file of a
        # living writer that cannot be seen from here is locked.
        left, living = plans / f"{name.partition('.tmp')[0]}.tmp1.0", plans / "other.json.tmp999999999.0"
        (plans / name).rename(left)
        with open(living, "wb") as writer:
            fcntl.flock(writer, fcntl.LOCK_EX)
            self.box.kesu("key", "create", "one")
            self.assertEqual(self.left(plans), sorted([left.name, living.name]))
            os.utime(left, (time.time() - 7200,) * 2)
            self.assertEqual(self.doctor(), "warn")
            self.box.kesu("key", "create", "two")
            self.assertEqual((self.left(plans), self.doctor()), ([living.name], "ok"))
        self.box.kesu("key", "create", "three")
        self.assertEqual(self.left(plans), [])

    def test_what_only_looks_alike_stays(self):
        plans = self.box.vault / "plans"
        plans.mkdir(exist_ok=True)
        kept = {"a.tmp12", "a.tmp12.x", "a.tmp.1", ".tmp12.0", "a.tmp999999999.1.2", "a.tmpx.1"}
        for name in kept:
            (plans / name).write_bytes(b"")
        (plans / "a.tmp999999999.1").mkdir()
        (plans / "b.tmp999999999.1").symlink_to("a.tmp12")
        self.box.kesu("key", "create", "one")
        self.assertEqual({p.name for p in plans.iterdir()}, kept | {"a.tmp999999999.1", "b.tmp999999999.1"})

    def test_of_a_statement_to_be_signed(self):
        self.seal("loans-2019", {"a": b"one"})
        erasure, place = self.plan("loans-2019")["erasure"], self.box.state / "usb"
        place.mkdir()
        words = ("erase", "request", erasure, "--as", scenario.OPERATOR, "--reason", "r", "--export", place / "statement")
        self.killed_at("rename", place, *words)
        self.assertEqual(len(self.left(place)), 1)
        (place / "statement.2.tmp999999999.0").write_bytes(b"of another one")
        self.box.kesu(*words)
        self.assertEqual(sorted(p.name for p in place.iterdir()), ["statement", "statement.2.tmp999999999.0"])

    def test_of_a_tombstone(self):
        place = self.box.state / "tombstones"
        place.mkdir()
        config = self.box.vault / "kesu.toml"
        config.write_text(config.read_text().replace("[vault]\n", f'[vault]\ntombstones = "{place}"\n'))
        self.box.kesu("key", "create", "trial")
        foreign = place / "vlt-00000000000000000000000000000000.key.tombstone.tmp999999999.0"
        foreign.write_bytes(b"of another vault")
        self.killed_at("rename", place, "key", "destroy", "trial", "-y")
        self.assertEqual((len(self.left(place)), self.doctor()), (2, "warn"))
        self.box.kesu("key", "create", "other")
        self.assertEqual((self.left(place), self.doctor()), ([foreign.name], "ok"))
        self.assertEqual(len([p for p in place.iterdir() if p.name.endswith(".tombstone")]), 1)


if __name__ == "__main__":
    scenario.main()
