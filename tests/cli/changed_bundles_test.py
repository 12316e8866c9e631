"""Bundles that were changed at random places and issued anew by somebody who holds every key: `kesu verify`,
scripts/verify_certificate.py and the verifier page must say the same of each, and none may stumble.

What the corpora of bad bundles change one by one and on purpose is mixed here (tests/support/mutator.py), one to three changes at
once. Half of the bundles are withdrawn: what certificate.json says makes those not invalid, so that all else is seen.
KESU_BUNDLES=N for more of them in each world (from 60 on all that a certificate rests on), KESU_SEED for others.
"""
import collections
import os
import pathlib
import random
import shutil
import sys

ROOT = pathlib.Path(__file__).resolve().parents[2]
sys.path[:0] = [str(ROOT / "tests" / "support"), str(ROOT / "scripts")]
import debian_python  # noqa: F401
from cryptography.hazmat.primitives.serialization import load_ssh_private_key
import harness
import mutator
import reissue
import scenario
import signed_records
import undermined
import verify_page
from kesu_verifier import trust as trust_file
from kesu_verifier import verify as second
from scenario import APPROVER, AUDITOR, BOTH, CHUNK, OPERATOR, SECOND

BUNDLES = int(os.environ.get("KESU_BUNDLES", "8"))
SEED = int(os.environ.get("KESU_SEED", "1"))
LOW = ("--require", "low", "--allow-test-grade")
VERIFIER, VALIDATOR, NEW = "森 雪", "阿部 健", "鈴木 次郎"


class ChangedBundles(verify_page.Driver, scenario.World):
    """An erasure, and what readers say of it when it is changed."""
    genuine = "complete"
    people = ()                                           # keys of who was enrolled after genesis, in order

    @classmethod
    def prepare(cls):
        box = cls.box
        box.kesu("dataset", "update", "loans-2019", "--fingerprints", "on", "--reason", "residue")
        cls.seal("loans-2019", {"a": b"one", "b": b"two" * CHUNK})
        box.kesu("key", "rotate", "loans")
        cls.seal("loans-2019", {"c": b"three"})
        box.kesu("rewrap", "loans-2019")
        box.kesu("key", "destroy", "loans.1", "-y")
        box.kesu("dataset", "add", "old", "--key", "loans", "--header-only")
        box.kesu("seal", "old", cls.write("old", b"old"), "-o", box.state / "old")
        copy = box.kesu("copy", "add", "loans.2", "--kind", "backup", "--place", "safe 2", "--custodian", "C", "--medium", "tape").json
        box.kesu("copy", "destroy", copy["id"], "--how", "shredded", "--as", scenario.OPERATOR)
        box.kesu("inventory", "scan", "loans-2019", box.state / "old")
        case = cls("test_all_say_the_same")
        erasure = case.approved("loans-2019", "old")
        case.run_erasure(erasure)
        cls.issue(erasure)
        cls.open_page()

    def issuer(self):
        lines = (self.bundle / "approvals" / "allowed_signers").read_text().splitlines()
        people = [*(key for *_, key in self.officers), *self.people]
        self.assertEqual(len(lines), len(people))
        keys = {line.split()[0]: load_ssh_private_key(self.box.officer(key).private.read_bytes(), None) for line, key in zip(lines, people)}
        return signed_records.Issuer(reissue.read(self.bundle), keys)

    def reports(self, files, path, trust, tables):
        """Of kesu, of the second reader and of the page: each its verdict, its levels and what it calls wrong."""
        bundle = self.elsewhere / "changed"
        reissue.write(files, bundle)
        try:
            kesu = self.box.run(harness.program("kesu"), "verify", bundle, "--trust", path, *LOW, "--json", code=(0, 6, 7)).json
            page = self.check(bundle, trust=path.read_text())
        finally:
            shutil.rmtree(bundle)
        mine = second.verify(files, trust, tables, require="low", allow_test_grade=True)
        self.assertEqual([e for e in mine["errors"] if e["what"].startswith("cannot be read (")], [])
        return kesu, mine, page

    def same(self, kesu, mine, page):
        """Of a genuine one all that they say, but for their words on what is wrong."""
        verdicts = [kesu.get("verdict", "invalid"), mine["verdict"], page["verdict"]]
        self.assertEqual(verdicts, [verdicts[0]] * 3, [[e for e in r.get("errors", [r]) if "certificate.json" not in e][:3] for r in (kesu, mine, page)])
        if verdicts[0] != "invalid":
            plain = lambda r: {**r, "errors": sorted({e["part"] for e in r["errors"]} - {"ledger/bodies.jsonl"})}  # noqa: E731
            self.assertEqual(plain(mine), plain(kesu))
            self.assertEqual({**self.saved(), "errors": []}, {**kesu, "errors": []})
        return verdicts[0]

    def test_all_say_the_same(self):
        chance = random.Random(SEED)
        issuer = self.issuer()
        changer, path, seen = mutator.Mutator(chance, issuer.original), self.box.path / "trust", collections.Counter()
        path.write_text(issuer.trust(self.trust))
        trust, tables = trust_file.read_trust(str(path)), trust_file.Tables()
        for number in range(BUNDLES):
            told = []

            def edit(p):
                for _ in range(chance.choice((1, 1, 2, 3)) if number > 1 else 0):
                    told.append(changer.change(p))
            try:
                files = issuer.issue(edit, withdrawn=bool(number % 2))
            except (KeyError, IndexError, TypeError, AttributeError, ValueError, StopIteration):
                seen["not to be issued"] += 1             # this issuer does not know what to do with it
                continue
            with self.subTest(number=number, told=told):
                verdict = self.same(*self.reports(files, path, trust, tables))
                seen[verdict] += 1
                if number < 2:
                    self.assertEqual(verdict, (self.genuine, "incomplete")[number])
        print(f"{BUNDLES} bundles, seed {SEED}: " + ", ".join(f"{n} {what}" for what, n in sorted(seen.items())))
        self.assertGreater(seen["invalid"], BUNDLES // 8)


    def test_without_what_it_rests_on(self):
        """What all readers overlooked would be no disagreement: each refuses, and nobody counts what cannot stand any more."""
        issuer, path, order = self.issuer(), self.box.path / "trust", ("absent", "asserted", "recorded", "attested", "proven")
        path.write_text(issuer.trust(self.trust))
        trust, tables = trust_file.read_trust(str(path)), trust_file.Tables()
        levels = lambda edit: {c["id"]: c["level"] for c in self.reports(issuer.issue(edit, withdrawn=True), path, trust, tables)[0]["claims"]}  # noqa: E731
        whole = levels(None)
        cases = list(undermined.cases(issuer.original))
        for name, edit, claim in random.Random(SEED).sample(cases, min(len(cases), max(4, BUNDLES // 2))):
            if whole[claim] == "absent":
                continue
            with self.subTest(name):
                self.assertEqual(self.same(*self.reports(issuer.issue(edit), path, trust, tables)), "invalid")
                kesu, *others = self.reports(issuer.issue(edit, withdrawn=True), path, trust, tables)
                if self.same(kesu, *others) != "invalid":
                    level = next(c["level"] for c in kesu["claims"] if c["id"] == claim)
                    self.assertLess(order.index(level), order.index(whole[claim]))


class ChangedPeople(ChangedBundles):
    """People and rules changed, a birth attended, holds set and released, verified and validated."""
    officers = (*scenario.World.officers, (VERIFIER, "Verifier", "verifier", "mori"), (VALIDATOR, "Validator", "validator", "abe"))
    people = ("suzuki",)

    @classmethod
    def prepare(cls):
        box, case = cls.box, cls("test_all_say_the_same")
        by = ("--reason", "as agreed", "--by", APPROVER, "--key", cls.key_of(APPROVER).private)
        cls.kesu_attest("loans", AUDITOR)
        cls.seal("loans-2019", {"a": b"one", "b": b"two"})
        box.kesu("operator", "grant", AUDITOR, "validator", *by)
        change = box.kesu("operator", "add", NEW, "--title", "Deputy", "--key-file", box.officer("suzuki").public, "--role", "approver",
                          "--until", "2040-12-31", *by, code=4).json["change"]
        box.kesu("operator", "sign", change, "--as", NEW, "--key", box.officer("suzuki").private)
        hold = box.kesu("hold", "place", "loans-2019", "--case", "2026-118", "--reason", "order", "--as", OPERATOR).json
        hold = (hold[0] if isinstance(hold, list) else hold)["id"]
        box.kesu("hold", "release", hold, "--reason", "closed", *cls.signer(APPROVER))
        box.kesu("vault", "rules", "--quorum", "2", *by)
        other = box.kesu("hold", "place", "loans-2019", "--case", "2026-119", "--reason", "order", "--as", AUDITOR).json
        other = (other[0] if isinstance(other, list) else other)["id"]
        box.kesu("hold", "release", other, "--reason", "closed", *cls.signer(APPROVER), code=(0, 4))
        box.kesu("hold", "release", other, "--reason", "closed", *cls.signer(SECOND))
        erasure = case.plan("loans-2019")["erasure"]
        case.request(erasure)
        case.approve(erasure, SECOND)
        change = box.kesu("operator", "revoke", SECOND, *by, code=4).json["change"]
        box.kesu("operator", "sign", change, "--as", BOTH, "--key", cls.key_of(BOTH).private)
        box.kesu("erase", "approve", erasure, "--as", NEW, "--key", box.officer("suzuki").private)
        case.approve(erasure)
        case.run_erasure(erasure)
        box.kesu("erase", "verify", erasure, *cls.signer(VERIFIER))
        box.kesu("erase", "validate", erasure, *cls.signer(VALIDATOR))
        cls.issue(erasure)
        cls.open_page()

    @classmethod
    def kesu_attest(cls, key, by):
        cls.box.kesu("key", "attest", key, *cls.signer(by))


class ChangedMany(ChangedBundles):
    """Several datasets and keys, rotated and rewrapped, copies, an imported key, exceptions, cancelled erasures; commands are signed."""
    genuine = "incomplete"                                # what an imported key was before is somebody's word

    @classmethod
    def write_genesis(cls, path, officers, quorum=1, sign=True, words=("--signed-commands",)):
        return super().write_genesis(path, officers, quorum, sign, words)

    @classmethod
    def prepare(cls):
        box, case = cls.box, cls("test_all_say_the_same")
        key = box.state / "key.bin"
        key.write_bytes(bytes(range(7, 39)))
        key.chmod(0o600)
        copy = box.kesu("key", "import", "legacy", "--from", f"file:{key}", "--origin-place", "safe 2", "--custodian", "C").json["copy"]
        box.kesu("dataset", "add", "old", "--key", "legacy", "--owner", "x")
        box.kesu("seal", "old", cls.write("old", b"old", below="old"), "-o", box.state / "old-out")
        box.kesu("copy", "destroy", copy, "--how", "shredded", "--as", OPERATOR)
        box.kesu("exception", "add", "--what", "recipient-period", "--subject", "loans.1", "--until", "2040-01-01", "--reason", "case",
                 *cls.signer(APPROVER), code=None)
        cls.seal("loans-2019", {"a": b"one", "b": b"two"})
        for turn in range(2):
            box.kesu("key", "rotate", "loans")
            cls.seal("loans-2019", {f"c{turn}": b"three"})
            box.kesu("rewrap", "loans-2019")
            box.kesu("key", "destroy", f"loans.{turn + 1}", "-y")
            box.kesu("dataset", "update", "loans-2019", "--owner", f"o {turn}", "--fingerprints", "off" if turn else "on", "--reason", "moved")
        box.kesu("open", cls.out, "-o", box.state / "opened", code=None)
        copies = [box.kesu("copy", "add", "loans.3", "--kind", "backup", "--place", place, "--custodian", "C", "--medium", "tape").json["id"]
                  for place in ("safe 1", "safe 2")]
        box.kesu("copy", "destroy", copies[0], "--how", "shredded", "--as", OPERATOR)
        box.kesu("copy", "destroy", copies[1], "--how", "melted", "--as", OPERATOR)
        box.kesu("erase", "cancel", case.approved("loans-2019"), "--reason", "not yet")
        erasure = case.approved("loans-2019", "old")
        case.run_erasure(erasure)
        cls.issue(erasure)
        cls.open_page()


if __name__ == "__main__":
    scenario.main()
