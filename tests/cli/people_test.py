"""People and rules after genesis: who is enrolled, revoked, given roles; what quorum and waiting period hold; which erasures
that serves, and that both verifiers say the same of it."""
import gzip
import hashlib
import json
import pathlib
import shutil
import sys
import time

sys.path.insert(0, str(pathlib.Path(__file__).parents[1] / "support"))
import bad_changes
import harness
import reissue
import scenario
from cryptography.hazmat.primitives.serialization import load_ssh_private_key
from clock_test import at
from scenario import APPROVER, AUDITOR, BOTH, OPERATOR, SECOND

ROOT = pathlib.Path(__file__).resolve().parents[2]
SCRIPT = ROOT / "scripts" / "verify_certificate.py"
NEW, NEWKEY = "鈴木 次郎", "suzuki"
WHY = ("--reason", "as agreed")


class People(scenario.World):
    @classmethod
    def prepare(cls):
        cls.seal("loans-2019", {"a": b"one", "b": b"two"})
        cls.box.officer(NEWKEY)

    # What people do.

    def by(self, name):
        return (*WHY, "--by", name, "--key", self.key_of(name).private)

    def change(self, *words, by=APPROVER, **options):
        return self.box.kesu(*words, *self.by(by), **options).json

    def sign(self, change, name, key=None, **options):
        key = key or self.key_of(name).private
        return self.box.kesu("operator", "sign", change, "--as", name, "--key", key, **options).json

    def add(self, *more, name=NEW, key=NEWKEY, by=APPROVER, code=4, **options):
        return self.change("operator", "add", name, "--title", "Deputy", "--key-file", self.box.officer(key).public,
                           *(more or ("--role", "approver")), by=by, code=code, **options)

    def added(self, *more, name=NEW, key=NEWKEY, by=APPROVER):
        """Enrols somebody where one approver is enough; the newcomer signs, too."""
        return self.sign(self.add(*more, name=name, key=key, by=by)["change"], name, self.box.officer(key).private)

    def as_new(self, key=NEWKEY):
        return ("--as", NEW, "--key", self.box.officer(key).private)

    def person(self, name):
        return next(p for p in self.box.kesu("operator", "list").json if p["name"] == name)

    def requested(self):
        erasure = self.plan("loans-2019")["erasure"]
        self.request(erasure)
        return erasure

    def issued(self, erasure, name="bundle"):
        bundle = self.box.state / name
        self.box.kesu("certificate", "bundle", erasure, "-o", bundle)
        return bundle

    def judged(self, bundle, code=0):
        """What both verifiers say; they agree in verdict and claims."""
        trust = self.box.path / "trust"
        trust.write_text(self.box.run(harness.program("kesu"), "trust", "propose", bundle, "--json").json["trust"])
        words = (bundle, "--trust", trust, "--require", "low", "--allow-test-grade", "--json")
        first = self.box.run(harness.program("kesu"), "verify", *words, code=code).json
        mine = self.box.run("/usr/bin/python3", "-B", SCRIPT, *words, code=code).json
        self.assertEqual((mine["verdict"], mine["claims"]), (first["verdict"], first["claims"]), (first["errors"], mine["errors"]))
        self.assertEqual(mine["evidence_chain"], first["evidence_chain"])
        return first


class Changes(People):
    # Enrolling.

    def test_added_signs_new_erasures_and_no_old_ones(self):
        old = self.requested()
        self.box.kesu("erase", "cancel", old, "--reason", "later")
        old = self.requested()
        waiting = self.add()
        self.assertEqual((waiting["approvals"]["have"], waiting["newcomer_signed"], waiting["entry"]), (1, False, None))
        self.assertEqual(waiting["summary"][0], f"Enrols {NEW} (Deputy) as approver")
        self.assertEqual(self.add()["change"], waiting["change"])           # typed again, it is the same statement
        self.assertEqual([p["change"] for p in self.box.kesu("operator", "changes").json["proposed"]], [waiting["change"]])
        done = self.sign(waiting["change"], NEW, self.box.officer(NEWKEY).private)
        self.assertIsNotNone(done["entry"])
        person = self.person(NEW)
        self.assertEqual((person["state"], person["roles"], person["security_key"]),
                         ("enrolled", [{"role": "approver", "until": None}], False))
        entry = self.entries()[done["entry"]]
        self.assertEqual([n.get("is") for n in entry["nodes"]], [None, "enrolled"])
        (self.box.vault / "registers.db").unlink()
        self.assertEqual(self.person(NEW), person)
        self.box.kesu("ledger", "verify")
        error = self.box.kesu("erase", "approve", old, *self.as_new(), code=3, error="not-enrolled").json["error"]
        self.assertIn("not in force then", error["cause"])
        self.box.kesu("erase", "cancel", old, "--reason", "the new one approves")
        erasure = self.requested()
        self.box.kesu("erase", "approve", erasure, *self.as_new())
        self.run_erasure(erasure)
        bundle = self.issued(erasure)
        self.assertEqual(sorted(p.name for p in bundle.glob("approvals/change.*")),
                         sorted([f"change.{done['entry']}.json"] + [f"change.{done['entry']}.{p}.sig" for p in
                                 (self.person(APPROVER)["id"], person["id"])]))
        report = self.judged(bundle)
        self.assertEqual((report["verdict"], report["errors"]), ("complete", []))
        self.assertIn(f"change {done['entry']}, {NEW}", [r["part"] for r in report["evidence_chain"]])
        # Without kesu.
        statement = (bundle / "approvals" / f"change.{done['entry']}.json").read_bytes()
        for who in (self.person(APPROVER)["id"], person["id"]):
            self.box.run("ssh-keygen", "-Y", "verify", "-f", bundle / "approvals/allowed_signers", "-I", who, "-n", "kesu-change-v1",
                         "-s", bundle / "approvals" / f"change.{done['entry']}.{who}.sig", stdin=statement)
        self.altered(bundle, done["entry"])

    def altered(self, bundle, entry):
        """The body closed, the statement altered, the header left out, a signature exchanged: nobody calls that good."""
        def manifest(folder):
            lines = []
            for path in sorted(str(p.relative_to(folder)) for p in folder.rglob("*") if p.is_file()):
                if path != "MANIFEST" and not path.startswith(("ledger/", "time/checkpoint-b.")):
                    lines.append(f"{hashlib.sha512((folder / path).read_bytes()).hexdigest()}  {path}\n")
            (folder / "MANIFEST").write_text("".join(lines))

        def closed(folder):
            path = folder / "ledger/bodies.jsonl"
            kept = [line for line in path.read_text().splitlines(True) if f'"seq":{entry}}}' not in line]
            path.write_text("".join(kept))

        def statement(folder):
            path = folder / "approvals" / f"change.{entry}.json"
            path.write_text(path.read_text().replace('"as agreed"', '"as forced"'))
            manifest(folder)

        def header(folder):
            path = folder / "ledger/headers.gz"
            lines = gzip.decompress(path.read_bytes()).splitlines(True)
            packed = gzip.compress(b"".join(lines[:entry] + lines[entry + 1:]), mtime=0)
            path.write_bytes(packed[:8] + b"\x02\xff" + packed[10:])

        def signature(folder):
            path = next((folder / "approvals").glob(f"change.{entry}.*.sig"))
            path.unlink()
            manifest(folder)

        for change in (closed, statement, header, signature):
            with self.subTest(change.__name__):
                folder = self.box.path / "altered"
                shutil.rmtree(folder, ignore_errors=True)
                shutil.copytree(bundle, folder)
                change(folder)
                self.assertEqual(self.judged_bad(folder), ("invalid", "invalid"))

    def judged_bad(self, folder):
        words = (folder, "--require", "low", "--allow-test-grade", "--json")
        return (self.box.run(harness.program("kesu"), "verify", *words, code=6).json["verdict"],
                self.box.run("/usr/bin/python3", "-B", SCRIPT, *words, code=6).json["verdict"])

    def test_a_newcomer_must_sign_and_be_new(self):
        change = self.add()["change"]
        self.sign(change, NEW, self.key_of(SECOND).private, code=6, error="signature-bad")
        self.sign(change, AUDITOR, code=3, error="not-enrolled")
        self.sign(change, OPERATOR, code=3, error="not-enrolled")
        self.assertEqual(len(self.box.kesu("operator", "list").json), len(self.officers))
        self.add(name=SECOND, key="other", code=3, error="already-exists")
        self.add(key="second", code=3, error="already-exists")
        self.add(by=OPERATOR, code=3, error="not-enrolled")
        self.add("--role", "king", code=2, error="usage")

    def test_an_enrolment_ends(self):
        self.added("--role", "approver", "--role", "verifier", "--until", "2031-03-31T12:00:00Z")
        self.assertEqual(self.person(NEW)["until"], "2031-03-31T12:00:00.000Z")
        soon = time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(time.time() + 6))
        self.change("operator", "grant", AUDITOR, "approver", "--until", soon)
        erasure = self.requested()
        time.sleep(7)
        error = self.approve(erasure, AUDITOR, code=3, error="not-enrolled")["error"]
        self.assertIn("ended", error["cause"])
        due = [d for d in self.box.kesu("status").json["due"] if d["what"] == "enrolment"]
        self.assertEqual([d["name"] for d in due], [AUDITOR])
        self.change("operator", "grant", AUDITOR, "approver", "--until", "2001-01-01", code=2, error="bad-input")

    # Revoking.

    def test_revoked_kills_an_approval(self):
        erasure = self.requested()
        self.approve(erasure, SECOND)
        done = self.change("operator", "revoke", SECOND)
        self.assertEqual((self.person(SECOND)["state"], done["effective"] is None), ("revoked", False))
        error = self.run_erasure(erasure, code=4, error="approvals-missing").json["error"]
        self.assertIn(SECOND, error["cause"])
        self.assertEqual(self.box.kesu("erase", "status", erasure).json["approvals"]["have"], 0)
        self.assertEqual(self.opened(self.out)["src/a"], b"one")
        self.approve(erasure, SECOND, code=3, error="not-enrolled")
        self.approve(erasure, APPROVER)
        self.run_erasure(erasure)
        report = self.judged(self.issued(erasure))
        self.assertEqual(report["verdict"], "complete")
        self.assertEqual([e["part"][:18] for e in report["errors"]], ["approvals/approve."])
        self.change("operator", "revoke", SECOND, code=3, error="not-enrolled")

    def test_the_same_person_with_another_key(self):
        self.change("operator", "revoke", SECOND)
        self.add(name=SECOND, key="second", code=3, error="already-exists")
        self.added(name=SECOND, key="again")
        self.assertEqual([p["state"] for p in self.box.kesu("operator", "list").json if p["name"] == SECOND].count("enrolled"), 1)
        erasure = self.requested()
        self.approve(erasure, SECOND, code=6, error="signature-bad")
        self.box.kesu("erase", "approve", erasure, "--as", SECOND, "--key", self.box.officer("again").private)
        self.run_erasure(erasure)
        self.assertEqual(self.judged(self.issued(erasure))["verdict"], "complete")

    def test_a_revoked_requester(self):
        erasure = self.approved("loans-2019")
        self.change("operator", "revoke", OPERATOR)
        self.run_erasure(erasure, code=4, error="approvals-missing")
        self.assertEqual(self.opened(self.out)["src/a"], b"one")

    def test_never_fewer_approvers_than_the_quorum(self):
        self.change("operator", "revoke", SECOND)
        self.change("operator", "revoke", BOTH)
        error = self.change("operator", "revoke", APPROVER, code=3, error="state-refused")["error"]
        self.assertIn("too few approvers", error["message"])
        self.change("operator", "withdraw", APPROVER, "approver", code=3, error="state-refused")
        self.change("vault", "rules", "--quorum", "2", code=3, error="state-refused")

    def test_never_only_approvers_who_end(self):
        self.change("operator", "revoke", SECOND)
        self.change("operator", "renew", BOTH, "--until", "2031-01-01")
        error = self.change("operator", "renew", APPROVER, "--until", "2032-01-01", code=3, error="state-refused")["error"]
        self.assertIn("in the end", error["message"])
        self.change("operator", "grant", APPROVER, "approver", "--until", "2032-01-01", code=3, error="state-refused")
        self.change("vault", "rules", "--quorum", "2", code=3, error="state-refused")   # in force are two, in the end one
        self.change("operator", "renew", BOTH)
        self.assertIsNotNone(self.change("operator", "renew", APPROVER, "--until", "2032-01-01")["entry"])

    def test_odd_lines_and_ends(self):
        """A key file with blanks and no comment, the last moment there is: both readers say the same."""
        odd = self.box.path / "odd.pub"
        odd.write_text(" ".join(self.box.officer(NEWKEY).public.read_text().split()[:2]) + "  \n")
        waiting = self.change("operator", "add", NEW, "--title", "Deputy", "--key-file", odd, "--role", "approver",
                              "--until", "9999-12-31T23:59:59.999Z", code=4)
        self.sign(waiting["change"], NEW, self.box.officer(NEWKEY).private)
        erasure = self.requested()
        self.box.kesu("erase", "approve", erasure, *self.as_new())
        self.run_erasure(erasure)
        bundle = self.issued(erasure)
        self.assertIn('valid-before="99991231235959Z" ssh-ed25519', (bundle / "approvals/allowed_signers").read_text())
        self.assertEqual(self.judged(bundle)["errors"], [])

    def test_an_approval_that_expired_is_given_anew(self):
        erasure = self.approved("loans-2019")
        self.approve(erasure, code=3, error="already-exists")
        later = at("+15d")
        self.run_erasure(erasure, code=4, error="approvals-missing", env=later)
        self.approve(erasure, env=later)
        self.approve(erasure, code=3, error="already-exists", env=later)
        status = self.box.kesu("erase", "status", erasure, env=later).json
        self.assertEqual((status["approvals"]["have"], len(status["approvals"]["by"])), (1, 1))
        self.run_erasure(erasure, env=later)
        bundle = self.box.state / "bundle"
        self.box.kesu("certificate", "bundle", erasure, "-o", bundle, env=later)
        claims = {c["id"]: c["level"] for c in self.judged(bundle, code=7)["claims"]}
        self.assertEqual(claims["authorised"], "proven")

    def test_a_wait_longer_than_approvals_serve(self):
        self.change("vault", "rules", "--waiting", str(13 * 86400 + 1), code=3, error="policy-refused")
        self.assertIsNotNone(self.change("vault", "rules", "--waiting", str(13 * 86400))["entry"])

    # Rules.

    def test_the_quorum_raised_and_lowered(self):
        old = self.approved("loans-2019")
        self.change("vault", "rules", "--quorum", "2")
        self.assertEqual(self.box.kesu("vault", "rules").json, {"quorum": 2, "waiting_seconds": 0, "profile": "low", "signed_commands": False, "anchors": None})
        self.assertEqual(self.box.kesu("erase", "status", old).json["approvals"]["need"], 1)
        self.box.kesu("erase", "cancel", old, "--reason", "anew")
        erasure = self.requested()
        self.assertEqual(self.approve(erasure)["stage"], "requested")
        # Lowering takes the old quorum: two.
        first = self.change("vault", "rules", "--quorum", "1", code=4)
        self.assertEqual(first["approvals"], {"have": 1, "need": 2, "by": [APPROVER]})
        self.assertIsNotNone(self.sign(first["change"], SECOND)["entry"])
        self.run_erasure(erasure, code=4, error="approvals-missing")          # the old rules hold for it
        self.assertEqual(self.approve(erasure, BOTH)["stage"], "approved")
        self.run_erasure(erasure)
        report = self.judged(self.issued(erasure))
        self.assertEqual(report["verdict"], "complete")
        authorised, = (c for c in report["claims"] if c["id"] == "authorised")
        self.assertIn("2 approvals, quorum 2", authorised["detail"])

    def test_a_statement_dies_with_another_change(self):
        stale = self.add()["change"]
        self.change("operator", "grant", AUDITOR, "validator")
        self.sign(stale, NEW, self.box.officer(NEWKEY).private, code=2, error="not-found")
        self.change("operator", "grant", AUDITOR, "validator", code=3, error="state-refused")

    def test_below_the_profile(self):
        self.change("vault", "rules", "--profile", "standard", code=3, error="policy-refused")
        self.change("vault", "rules", "--profile", "none", code=2, error="usage")
        self.change("vault", "rules", "--quorum", "2", "--waiting", "86400", "--profile", "standard")
        self.assertEqual(self.box.kesu("status").json["profile"], "standard")
        first = self.change("vault", "rules", "--quorum", "1", "--waiting", "0", "--profile", "low", code=4)
        done = self.sign(first["change"], SECOND)
        due = [d for d in self.box.kesu("status").json["due"] if d["what"] == "rules"]
        self.assertEqual([d["at"] for d in due], [done["effective"]])
        self.assertEqual(self.box.kesu("vault", "rules").json["profile"], "standard")

    # Hands.

    def test_signed_elsewhere(self):
        statement = self.box.path / "change.json"
        self.box.kesu("operator", "revoke", SECOND, *WHY, "--by", APPROVER, "--export", statement)
        signature = self.box.path / "change.sig"
        signature.write_bytes(self.key_of(APPROVER).sign("kesu-change-v1", statement.read_bytes()))
        self.assertIsNotNone(self.box.kesu("operator", "revoke", SECOND, *WHY, "--by", APPROVER, "--signature", signature).json["entry"])

    def test_interrupted_between_consents_and_entry(self):
        change = self.add()["change"]
        # The newcomer's consent was kept, the entry was not written: as after a crash.
        statement = self.box.vault / "plans" / f"change-{change}.json"
        operator = json.loads(statement.read_text())["change"]["operator"]
        consent = self.box.vault / "plans" / f"change-{change}.{operator}.sig"
        consent.write_bytes(self.box.officer(NEWKEY).sign("kesu-change-v1", statement.read_bytes()))
        done = self.box.kesu("operator", "sign", change, "--as", APPROVER).json   # no second signature is asked for
        self.assertIsNotNone(done["entry"])
        self.assertEqual(self.person(NEW)["state"], "enrolled")
        self.assertFalse(statement.exists())


class Delayed(People):
    """A vault whose genesis statement asks for a wait."""
    SECONDS = waiting_seconds = 4

    def wait(self):
        time.sleep(self.SECONDS + 0.5)

    def test_takes_effect_after_the_wait(self):
        done = self.added()
        self.assertEqual(self.person(NEW)["state"], "pending")
        self.assertEqual([d["at"] for d in self.box.kesu("status").json["due"] if d["what"] == "rules"], [done["effective"]])
        erasure = self.requested()                       # before it is in force: never by the newcomer
        self.wait()
        self.assertEqual(self.person(NEW)["state"], "enrolled")
        self.box.kesu("erase", "approve", erasure, *self.as_new(), code=3, error="not-enrolled")
        self.box.kesu("erase", "cancel", erasure, "--reason", "anew")
        erasure = self.requested()
        self.box.kesu("erase", "approve", erasure, *self.as_new())
        self.wait()
        self.run_erasure(erasure)
        self.assertEqual(self.judged(self.issued(erasure))["verdict"], "complete")

    def test_a_clock_set_forward_puts_nothing_into_force(self):
        done = self.added()
        later = at("+8d")
        self.box.kesu("key", "create", "other", env=later)
        changed, = self.box.kesu("operator", "changes", env=later).json["recorded"]
        self.assertEqual(changed["state"], "pending")
        self.assertGreater(changed["effective"], done["effective"])
        erasure = self.plan("loans-2019", env=later)["erasure"]
        self.request(erasure, env=later)
        self.wait()
        self.box.kesu("erase", "approve", erasure, *self.as_new(), code=3, error="not-enrolled", env=later)
        self.approve(erasure, env=later)
        self.wait()
        self.run_erasure(erasure, env=later)
        bundle = self.box.state / "bundle"
        self.box.kesu("certificate", "bundle", erasure, "-o", bundle, env=later)
        # The probe runs by the real clock, so that its inspections show nothing: that is all that is missing.
        claims = {c["id"]: c["level"] for c in self.judged(bundle, code=7)["claims"]}
        self.assertEqual((claims["authorised"], claims["verified-gone"]), ("proven", "absent"))
        self.box.kesu("ledger", "verify", env=later)

    def test_revoked_signers_take_their_change_with_them(self):
        self.added(by=SECOND)
        self.change("operator", "revoke", SECOND)
        self.wait()
        self.assertEqual(self.person(NEW)["state"], "void")
        self.assertEqual(self.box.kesu("operator", "changes").json["recorded"][0]["state"], "void")
        erasure = self.requested()
        self.box.kesu("erase", "approve", erasure, *self.as_new(), code=3, error="not-enrolled")
        self.approve(erasure)
        self.wait()
        self.run_erasure(erasure)
        report = self.judged(self.issued(erasure))
        self.assertEqual(report["verdict"], "complete")
        self.assertIn("revoked before it took effect", report["errors"][0]["what"])
        self.assertIsNotNone(self.added()["entry"])      # what is void is in nobody's way

    def test_pending_losses_count(self):
        self.change("vault", "rules", "--quorum", "2")
        self.wait()
        first = self.change("operator", "withdraw", BOTH, "approver", code=4)
        self.assertIsNotNone(self.sign(first["change"], BOTH)["entry"])
        error = self.change("operator", "revoke", SECOND, code=3, error="state-refused")["error"]
        self.assertIn("in the end", error["message"])
        self.change("vault", "rules", "--quorum", "3", code=3, error="state-refused")

    def test_what_is_void_holds_nothing_up(self):
        held = self.added(by=SECOND)
        time.sleep(2)
        last = self.add(name="佐々木 花", key="sasaki", by=APPROVER)
        last = self.sign(last["change"], "佐々木 花", self.box.officer("sasaki").private)
        self.change("operator", "revoke", SECOND)
        raised = self.change("vault", "rules", "--quorum", "2")
        states = {c["entry"]: c for c in self.box.kesu("operator", "changes").json["recorded"]}
        self.assertEqual(states[held["entry"]]["state"], "void")
        for one in (last, raised):
            self.assertEqual(states[one["entry"]]["effective"], one["effective"])
        # A clock that was set makes those wait anew that were pending; what is void, by no means, holds them up.
        self.wait()
        self.assertEqual(self.box.kesu("vault", "rules").json["quorum"], 2)

    def test_a_revocation_that_nobody_signed_gives_nothing(self):
        """It does not make a higher quorum void that a quorum approved and that waits."""
        self.wait()
        erasure = self.approved("loans-2019")
        self.wait()
        self.run_erasure(erasure)
        bundle = self.issued(erasure)
        files = reissue.read(bundle)
        people = [line.split()[0] for line in files["approvals/allowed_signers"].decode().splitlines()]
        keys = {o: load_ssh_private_key(self.box.officer(key).private.read_bytes(), None) for o, (*_, key) in zip(people, self.officers)}
        issuer = reissue.Issuer(files, keys)
        forger = bad_changes.Forger(issuer)
        trust = self.box.path / "trust"
        proposed = self.box.run(harness.program("kesu"), "trust", "propose", bundle, "--json").json["trust"]
        trust.write_text(issuer.trust(proposed))
        words = ("--trust", trust, "--require", "low", "--allow-test-grade", "--json")

        def judged(name, steps, edit=None):
            folder = self.box.path / name
            reissue.write(forger.bundle(steps, edit_files=edit), folder)
            out = []
            for program in ((harness.program("kesu"), "verify"), ("/usr/bin/python3", "-B", SCRIPT)):
                report = self.box.run(*program, folder, *words, code=None).json
                levels = {c["id"]: c["level"] for c in report["claims"]}
                self.assertNotEqual(report["verdict"], "complete", report)
                self.assertEqual(levels["authorised"], "absent", report["errors"])
                out.append(report)
            return out

        wait = {"waiting_seconds": self.SECONDS}
        up = {"change": {"what": "rules", "profile": "low", "quorum": 2, "waiting_seconds": self.SECONDS}, "signers": [forger.second], "from": wait}
        judged("raised", [up])
        judged("unsigned", [up, {"change": forger.revoke(forger.second), "signers": [], "from": wait}])
        # Nor does a header without any statement; it is refused, whatever else there is.
        issue = issuer.issue
        def bare(edit=None, **more):
            def both(parts):
                edit(parts)
                parts.insert(parts.find("erasure-requested"), "operator-revoked", [{"id": forger.second, "is": "revoked"}], body={})
            return issue(edit=both, **more)
        issuer.issue = bare
        for report in judged("bare", [up]):
            self.assertEqual(report["verdict"], "invalid")
            self.assertIn("without a statement", " ".join(e["what"] for e in report["errors"]))
        # An enrolment that nobody signed is proposed to nobody.
        issuer.issue = issue
        folder = self.box.path / "mallory"
        reissue.write(forger.bundle([{"change": forger.enrol(), "signers": [], "from": wait}]), folder)
        said = self.box.run(harness.program("kesu"), "trust", "propose", folder, "--json").json["trust"].splitlines()
        lines = [line for line in said if forger.line.split()[1] in line]
        self.assertEqual([line.startswith("# officer ") for line in lines], [True], said)
        self.assertTrue(any("does not count: Mallory did not sign it" in line for line in said), said)


if __name__ == "__main__":
    scenario.main()
