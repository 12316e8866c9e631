# The verification of one bundle, from its files to the report (docs/spec/certificate.md, "Verification").
import os
import re
import time

from . import archive, certificate, cms, crl, persons, renewals, stamps, x509
from .attest import NAMESPACE as ATTEST, Attested
from .base import Bad, counted, is_kind, maybe, millis_or_none, parse_json, sha256_hex, sha512_hex
from .bundle import BODIES, HEADERS, MAX_ALL, MAX_FILES, Files, check_manifest, check_names, read_extract, read_ledger
from .claims import Claims
from .commands import NAMESPACE as COMMAND, Commands
from .facts import Facts
from .gone import Gone
from .holds import Holds
from .names import distinguished_name
from .objects import cover
from .people import People
from .trust import LEVELS
from .waiting import Waiting

P7S, PEM, CRL = "certificate.json.p7s", "trust/signer.pem", "trust/signer.crl"
COMPLETE, INCOMPLETE, INVALID = "complete", "incomplete", "invalid"
EXITS = {COMPLETE: 0, INVALID: 6, INCOMPLETE: 7}


class Case:
    """One bundle under verification."""

    def __init__(self, files, trust, tables, require="high", allow_test_grade=False, objects=(), extract=None, now=None):
        self.extract, self.newer = extract, None
        self.now = now if now is not None else int(time.time() * 1000)  # milliseconds
        self.files, self.trust, self.tables = files, trust, tables
        self.require, self.allow_test_grade, self.object_paths = require, allow_test_grade, objects
        self.errors, self.shortfalls, self.results, self.chain, self.object_rows = [], [], [], [], []
        self.hard, self.stamps = False, None
        self.stored, self.signer, self.signed, self.signer_version = {}, None, None, ""
        self.ledger = self.facts = self.gone = self.claims = None
        self.revocation = ("not-asked", "")
        self.signer_known = self.log_known = self.officers_known = False
        self.countersignatures = []

    def bad(self, part, what):
        self.hard = True
        self._say(part, what)

    def note(self, part, what):
        """What is wrong and honestly so: an act that does not count. It lowers claims, and alters nothing."""
        self._say(part, what)

    def _say(self, part, what):
        if {"part": part, "what": what} not in self.errors and len(self.errors) < 1000:
            self.errors.append({"part": part, "what": what})

    def guarded(self, part, step, *words):
        """One step; whatever goes wrong in it is an error that names the part."""
        try:
            return step(*words)
        except Bad as error:
            self.bad(error.part, error.what)
        except x509.X509Error as error:
            self.bad(part, str(error))
        except (RecursionError, MemoryError) as error:
            self.bad(part, f"is more than this reader can hold ({type(error).__name__})")
        except Exception as error:  # a bundle must not be able to end the reader in any other way
            self.bad(part, f"cannot be read ({type(error).__name__}: {str(error)[:120]})")
        return None

    def run(self):
        self.guarded("bundle", check_names, self.files, self.bad)
        self.guarded("MANIFEST", check_manifest, self.files, self.bad)
        self.guarded(P7S, self._signature)
        self.guarded("certificate.json", self._stored)
        self.ledger = self.guarded(HEADERS, read_ledger, self.files, self.bad)
        if self.ledger is not None and self.ledger.usable and self.stored is not None:
            self.guarded("bundle", self._facts)
        return self.report()

    # The certificate's own files.

    def _signature(self):
        pem = self.files.read(PEM, 1 << 20)
        try:
            chain = [x509.Certificate(der) for der in x509.pem_certificates(pem, "it")]
        except x509.X509Error as error:
            raise Bad(PEM, str(error)) from None
        self.signer = chain[0]
        if len(chain) > 8:
            raise Bad(PEM, "has more than 8 certificates")
        if any(a.issuer != b.subject for a, b in zip(chain, chain[1:])):
            raise Bad(PEM, "its certificates are not in order, each the issuer's of the one before")
        signed = cms.SignedData(self.files.read(P7S, cms.MAX_BYTES))
        signer = signed.verify(self.files.read("certificate.json"))
        if signer.der != self.signer.der:
            raise Bad(P7S, "is not made with the certificate in trust/signer.pem")
        if {c.der for c in signed.carried} - {c.der for c in chain}:
            self.bad(P7S, "carries another certificate than trust/signer.pem")
        self.signed, self.signer_chain = signed, chain
        self.signer_algorithm = signer.key.name

    def _stored(self):
        self.stored = None
        value = parse_json(self.files.read("certificate.json"), "certificate.json", canonical=True)
        if not isinstance(value, dict):
            raise Bad("certificate.json", "is no JSON object")
        if value.get("type") != "kesu-certificate-v1":
            self.bad("certificate.json", f"type: {str(value.get('type'))[:60]}")
            raise Bad("certificate.json", "cannot be read, so nothing can be shown")
        self.stored = value

    # Facts, claims, comparison.

    def _facts(self):
        self.facts = facts = Facts(self.files, self.ledger, self.tables, self.bad, self.note)
        facts.read_inventories()
        facts.check_plan()
        facts.check_births()
        facts.check_once()
        people = People(self.files, self.ledger, facts.plan, facts.plan_digest, self.bad, self.note)
        if facts.plan:
            people.read_acts(facts.erasure, facts.summary(), facts.started)
            people.read_later_acts(facts.plan, {p["id"]: p["name"] for p in facts.plan["providers"]}, facts.last_done())
        self.gone = Gone(facts)
        algorithm = self.signer_algorithm if self.signed else ""
        self.attested = Attested(facts, self.gone, people, self.bad, self.note)
        self.commands = Commands(self.files, self.ledger, people, self.bad, self.note)
        self.claims = Claims(facts, self.gone, people, Holds(facts, people, self.bad, self.note), self.attested, self.commands,
                             Waiting(self.files, self.ledger, facts.erasure, self.bad), algorithm, self.trust, self.tables)
        self.lists = [*self.trust.signer_crls, *self._own_lists()]
        self.stamps = stamps.Stamps(self.files, self.signed, self.trust, self.lists, self.bad, self.claims.bound)
        issued = millis_or_none(self.stored["issued"]) if is_kind(self.stored.get("issued"), "time") else None
        self.stamps.check_host(issued, self.ledger.graph.last)
        self.stamps.add_waiting(self.claims.stamped.good)
        self.guarded("renewal", self._renewals)
        self.claims.conditions |= self.stamps.conditions()
        self.stamps.say(self.claims)
        self._named_bodies()
        self._signer_of_ledger()
        self._issued()
        self._reach()
        self._extract()
        self.results = self.claims.results()
        self.chain = certificate.evidence_chain(self.claims, self.signed, self.tables.policy)
        # What came to be known since may be that it is not so: it was withdrawn for that, and is genuine.
        certificate.compare(self, self.stored, self.note if self._withdrawn_by(self.ledger) else self.bad)
        if issued is not None and issued > self.now:
            self.note("certificate.json", "issued: lies in the future of this host's clock")
        self.guarded("certificate.json", self._countersigned)
        self._known(people)
        self._objects()
        self._shortfalls()

    def _renewals(self):
        found = renewals.Renewals(self.files, self.ledger, self.stored.get("id"), self.stamps, self.trust, self.tables.policy, self.bad, self.now)
        self.stamps.renewed = found.text()

    def _named_bodies(self):
        """Bodies that every bundle shows of its erasure, whether or not a claim rests on them."""
        facts = self.facts
        for ds in facts.scope:
            facts.need(facts._last(ds, "dataset-added"))
        for place in facts.providers():
            facts.need(facts._last(place, "provider-added"))

    def _signer_of_ledger(self):
        if self.signer is None:
            return
        for header in self.ledger.of_type("key-created"):
            body = self.ledger.bodies.get(header.seq) or {}
            ref = self.facts.reference(header.nodes[0]["id"]) if body.get("purpose") == "sign-certificate" else {}
            if body.get("purpose") == "sign-certificate" and ref.get("public_key") == self.signer.spki.hex():
                self.signer_version = header.nodes[0]["id"]
                self.facts.birth(self.signer_version)
        if not self.signer_version:
            self.bad(PEM, "its key is no certificate key of this ledger")

    def _issued(self):
        mine = self.stored.get("id")
        found = [h for h in self.ledger.of_type("certificate-issued")
                 if any(i["id"] == mine and i.get("of") == self.facts.erasure for i in h.nodes)]
        if not found:
            self.bad(HEADERS, "no entry says that this certificate was issued")
            return
        manifest = self.files.read("MANIFEST", 1 << 30) if "MANIFEST" in self.files else b""
        if not any(i.get("d") == sha512_hex(manifest) for h in found for i in h.nodes if i["id"] == mine):
            self.bad("MANIFEST", "is not the one that the ledger names")
        header = found[0]
        if header.seq < self.ledger.a.size:
            self.bad(HEADERS, "the certificate was issued before the checkpoint that it cites")
        body = self.ledger.bodies.get(header.seq)
        if body is None:
            self.bad(BODIES, "certificate-issued is not opened")
            return
        names = (("certificate", "certificate.json"), ("signature", P7S), ("manifest", "MANIFEST"))
        if any(path in self.files and body.get(name) != sha256_hex(self.files.read(path, 1 << 30)) for name, path in names):
            self.bad(BODIES, "certificate-issued names another certificate, signature or MANIFEST")

    def _reach(self):
        """Checkpoint A covers the whole erasure."""
        stage, a = self.facts.stage(), self.ledger.a.size
        if not self.ledger.complete:
            return
        if stage not in ("destroyed", "verified", "validated"):
            self.bad("ledger/checkpoint-a", f"does not cover the erasure, which is {stage or 'not there'} as of it")
        for v in self.facts.versions:
            for header in self.ledger.about(v, "destroy-intended", "destroy-done"):
                if header.seq >= a:
                    self.bad("ledger/checkpoint-a", f"does not cover entry {header.seq} ({header.type})")

    def _extract(self):
        """What a newer extract of the ledger says."""
        if self.extract is None:
            return
        try:
            self.newer = read_extract(open_files(self.extract), self.files, self.ledger)
        except Bad as error:
            self.bad(f"--ledger {error.part}", error.what)

    def _own_lists(self):
        try:
            return crl.read_lists(self.files.read(CRL, 1 << 28)) if CRL in self.files else []
        except x509.X509Error as error:
            self.bad(CRL, str(error))
            return []

    def _known(self, people):
        trust = self.trust
        if self.signed and self.signer.digest in trust.signers:
            self.signer_known = True
        elif self.signed and trust.signer_cas and is_kind(self.stored.get("issued"), "time"):
            stamped = self.stamps.signer_time()
            at = stamped or millis_or_none(self.stored["issued"])
            try:
                path = x509.find_chain(self.signer, self.signer_chain, trust.signer_cas, at)
                if len(path) > 1:
                    self.revocation = crl.judge(path, self.lists, at, stamped is not None)
                self.signer_known = not crl.against(self.revocation)
            except x509.X509Error:
                self.signer_known = False
        self.log_known = any((k.name, k.key) == (self.ledger.key.name, self.ledger.key.key) for k in trust.logs)
        self.officers_known = bool(people.request and people.approvals) and all(
            trust.knows_officer(a.officer.key, a.namespace, a.header.millis) for a in people.acts) and all(
            trust.knows_officer(a.officer.key, ATTEST, a.header.millis) for a in self.attested.all) and all(
            persons.leads_to(a.officer.key, a.signature, trust.officers_cas, a.header.millis) for a in people.acts + self.attested.all) and all(
            trust.knows_officer(c.officer.key, COMMAND, c.header.millis) for c in self.commands.all)

    def _countersigned(self):
        """Others' signatures over certificate.json, each in a file of its own."""
        there = sum(bool(re.fullmatch(r"certificate\.json\.[0-9]+\.p7s", p)) for p in self.files.paths())
        for n in range(2, 2 + there):
            path = f"certificate.json.{n}.p7s"
            if path not in self.files:
                self.bad(path, "is missing: countersignatures are numbered from 2 on without a gap")
                continue
            try:
                signed = cms.SignedData(self.files.read(path, 1 << 20))
                signer = signed.verify(content=self.files.read("certificate.json"))
                persons.check_kind(signed, signer)
                stamp = self._stamp_of(path, signed)
            except (x509.X509Error, Bad, persons.SshError) as error:
                self.bad(path, getattr(error, "what", str(error)))
                continue
            counts = stamp is not None and stamp["trusted"]
            self.countersignatures.append({"file": path, "signer": distinguished_name(signer.subject), "certificate": signer.digest.hex(),
                                           "known": signer.digest in self.trust.countersigners, "time": stamp,
                                           "valid": signer.valid_at(millis_or_none(stamp["at"])) if counts else None})

    def _stamp_of(self, path, signed):
        """A countersignature's own time-stamp, as a row of `time` has it; None where it has none."""
        values = signed.unsigned.get(cms.SIGNATURE_TIME_STAMP)
        if values is None:
            return None
        token, chain = stamps.Token(values[0].whole, signed.signature), signed.certificates
        row = stamps.token_row(path, token, chain, self.trust, self.lists)
        if row["trusted"] and self.trust.renewal_required and not renewals.stands(self.trust, self.tables.policy, token, chain, self.now):
            row["trusted"], row["why"] = False, renewals.ENDED
        issued = millis_or_none(self.stored["issued"]) if is_kind(self.stored.get("issued"), "time") else None
        if issued is not None and issued > token.at + (token.accuracy or 0) + stamps.MINUTE:
            self.bad(path, f"its time-stamp of {row['at']} is older than the certificate")
        return row

    def _objects(self):
        destroyed = {v for v in self.facts.versions if self.facts.destroyed(v)}
        for path in self.object_paths:
            result, dataset, why = cover(path, self.facts.leaf_datasets, destroyed)
            self.object_rows.append({"path": path, "result": result, "dataset": dataset, "why": why})

    # What is not enough.

    @property
    def withdrawn(self):
        return bool(self.ledger and self.stored) and any(self._withdrawn_by(ledger) for ledger in (self.ledger, self.newer))

    def _withdrawn_by(self, ledger):
        return ledger is not None and ledger.graph.state(self.stored.get("id")) == "withdrawn"

    @property
    def test_grade(self):
        return bool(self.stored and self.stored.get("test_grade") is True) or any(
            p["test_grade"] for p in (certificate._providers(self.facts, self.tables) if self.facts else ()))

    def _shortfalls(self):
        add, bar, name = self.shortfalls.append, self.tables.profile(self.require), self.require
        if not self.signer_known:
            add("the signer of the certificate is not identified: " + (
                self.revocation[1] if crl.against(self.revocation) else "no line of the trust file names it"))
        if not self.log_known:
            add("the ledger's key is not identified: no log line of the trust file names it")
        if not self.officers_known:
            add("the officers who signed are not identified: the trust file does not have all of their keys for what they "
                "signed, and when, or a certificate of theirs does not lead to an authority that it names")
        below = set()
        for r in self.results:
            least = bar["claims"][r["id"]]
            if LEVELS.index(r["level"]) < LEVELS.index(least):
                below.add(r["id"])
                add(f"{r['id']} is {r['level']}; profile {name} asks for {least}")
        unshown = self.claims.unshown_wait(self.stamps.counts) if bar["timestamp"] else ""
        if bar["timestamp"]:
            self.shortfalls += self.stamps.shortfalls(below, not unshown)
            rows = [(f"authority of the time-stamp over {r['over']}", (r["revocation"]["state"], r["revocation"]["why"]))
                    for r in self.stamps.rows if r["trusted"]]
            for whose, revocation in [("signer's certificate", self.revocation), *rows]:
                if crl.unshown(revocation):
                    add(f"whether the {whose} was revoked is not shown: {revocation[1]}; profile {name} asks for it")
        quorum, waiting = self.claims.bars()
        if quorum < bar["quorum"]:
            add(f"approved by a quorum of {quorum}; profile {name} asks for {bar['quorum']}")
        if waiting < bar["waiting_seconds"]:
            add(f"waiting period of {counted(waiting, 'second')}; profile {name} asks for {bar['waiting_seconds']}")
        if unshown:
            add(f"that the waiting period passed is shown by the host's clock alone: {unshown}; profile {name} asks for time-stamps")
        witnesses = f"{self.claims.witnesses()} trusted witness" + ("" if self.claims.witnesses() == 1 else "es")
        if self.claims.witnesses() < bar["witness_quorum"]:
            said = self.claims.short_of_rules() or witnesses
            add(f"{said}; profile {name} asks for {bar['witness_quorum']}")
        elif bar["witness_quorum"] and self.claims.witnesses() < self.trust.quorum:
            add(f"{witnesses}; the trust file asks for {self.trust.quorum}")
        for ds in self.facts.scope if bar.get("bind_payload") else ():
            settings = self.facts.dataset(ds) or {}
            if settings.get("bind_payload") is not True:
                add(f"the payloads of {settings.get('name', ds)} are not bound to the inventory; profile {name} asks for it")
        if bar.get("restart") and not self._restarted():
            add(f"no restart of the machine is shown between destruction and inspection; profile {name} asks for it")
        if bar.get("signed_commands") and not self.claims.people.in_force().get("signed_commands"):
            add(f"the rules in force at the request do not ask for signed commands; profile {name} asks for them")
        if self.test_grade and not self.allow_test_grade:
            add("TEST GRADE: a provider without a validation certificate held the keys")
        if self.withdrawn:
            add("the certificate was withdrawn")
        if not self.ledger.complete:
            add("not all headers of the ledger are there")
        for row in self.object_rows:
            if row["result"] != "covered":
                add(f"{row['path']}: {row['result']}")

    def _restarted(self):
        facts = self.facts
        before = set()
        for v in facts.versions:
            for header in self.ledger.about(v, "destroy-intended"):
                before.add(maybe(maybe(facts.body(header), "actor", "object"), "boot_id", "text", ""))
        after = {i.after.boot_id if i.after is not None and i.after.readable else "" for i in self.gone.inspections}
        return bool(after) and bool(before) and "" not in before | after and not before & after

    # The report.

    def report(self):
        bar = self.tables.profile(self.require)
        stored = self.stored if self.facts and self.stored else {}
        verdict = INVALID if self.hard or self.claims is None else INCOMPLETE if self.shortfalls else COMPLETE
        if verdict == INVALID and not self.errors:
            self.bad("bundle", "cannot be read")
        claims = [{"id": r["id"], "level": r["level"], "least": bar["claims"][r["id"]], "rests_on": r["rests_on"],
                   "detail": r["detail"]} for r in self.results]
        done = bool(self.results)
        others = {"countersignatures": self.countersignatures} if self.countersignatures else {}
        return {
            **others, "verdict": verdict, "certificate": maybe(stored, "id", "text", ""),
            "organisation": maybe(stored, "organisation", "text", ""), "erased": maybe(stored, "erased", "text", ""),
            "issued": maybe(stored, "issued", "text", ""), "claimed_profile": maybe(stored, "profile", "text", ""),
            "required_profile": self.require, "as_of": max(ledger.b.size for ledger in (self.ledger, self.newer) if ledger) if self.facts else 0,
            "withdrawn": self.withdrawn, "test_grade": self.test_grade, "signer_known": self.signer_known,
            "revocation": {"state": self.revocation[0], "why": self.revocation[1]},
            "log_known": self.log_known, "officers_known": self.officers_known, "claims": claims,
            "premises": certificate.premises(self.tables, self.results),
            "limits": certificate.limits(self.facts, self.claims, self.tables) if done else [],
            "exceptions": self.claims.facts_exceptions() if done else [], "evidence_chain": self.chain,
            "objects": self.object_rows, "time": self.stamps.rows if self.stamps else [], "shortfalls": self.shortfalls, "errors": self.errors}


def _whole(path):
    try:
        with open(path, "rb") as file:
            return file.read(MAX_ALL + MAX_FILES * 600 + 23)
    except OSError as error:
        raise Bad("bundle", f"cannot be read: {error.strerror}") from None


def open_files(files):
    """A directory or zip file by its path, or a dict of contents."""
    if not isinstance(files, dict) and os.path.isfile(files):
        files = archive.members(_whole(files), MAX_FILES, MAX_ALL)
    return Files(contents=files) if isinstance(files, dict) else Files(directory=files)


def verify(files, trust, tables, **options):
    """The report of a bundle (the path of a directory or zip file, or a dict of contents)."""
    try:
        files = open_files(files)
    except Bad as error:
        case = Case(None, trust, tables, **options)
        case.bad(error.part, error.what)
        return case.report()
    return Case(files, trust, tables, **options).run()
