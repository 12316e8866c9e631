# From facts to conditions, and from conditions to claims (docs/spec/certificate.md, "From evidence to level").
from . import residue, waiting
from .anchors import MEMBER, witnesses_of_rules
from .base import counted, is_kind, maybe
from .facts import DESTROYED
from .names import utc
from .notes import NoteError

WRAPS = {1: "AES-256-GCM"}
CLOCK = ("clock-jumped", "clock-behind")
SENSITIVE = {"CKA_SENSITIVE": True, "CKA_ALWAYS_SENSITIVE": True, "CKA_EXTRACTABLE": False, "CKA_NEVER_EXTRACTABLE": True}


class Claims:
    """`conditions` that hold, and for each claim what it rests on and its detail."""

    def __init__(self, facts, gone, people, holds, attested, commands, stamped, signer_algorithm, trust, tables):
        self.facts, self.gone, self.people, self.tables = facts, gone, people, tables
        self.holds, self.attested, self.commands, self.stamped = holds, attested, commands, stamped
        self.reached = None                               # the approval that reached the quorum
        self.ledger, self.trust, self.signer_algorithm = facts.ledger, trust, signer_algorithm
        self.conditions, self.details, self.rests, self.limits = set(), {}, {}, []
        self.bound = people.in_force().get(MEMBER)
        if self.ledger.complete:
            self.conditions.add("headers-complete")
        for part in (self._scope, self._history, self._brackets, self._algorithms, self._origin, self._compromise,
                     self._exclusivity, self._copies, self._destroyed, self._verified, self._authorised, self._logged):
            part()

    def _hold(self, name, value):
        if value:
            self.conditions.add(name)

    def results(self):
        """[{id, level, rests_on, premises, detail}] in the order of the table."""
        out = []
        for claim in self.tables.claims["claims"]:
            row = self.tables.evaluate(claim, self.conditions)
            rests = self.rests.get(claim["id"], []) if row["level"] != "absent" else []
            out.append({"id": claim["id"], "level": row["level"], "rests_on": rests, "premises": row["premises"],
                        "detail": self.details.get(claim["id"], "")})
        return out

    def say(self, claim, detail, rests=()):
        self.details[claim], self.rests[claim] = detail, list(rests)

    def _scope(self):
        f = self.facts
        self._hold("inventory-complete", f.inventory_good and f.scope)
        others = f.other_datasets()
        self._hold("no-other-data", not others)
        batches = sum(len(f.sealed(ds)) for ds in f.scope)
        objects, size = sum(map(f.objects, f.scope)), sum(map(f.bytes, f.scope))
        self.say("scope", f"{counted(objects, 'object')}, {counted(size, 'byte')}",
                  [f"inventory roots of {counted(len(f.scope), 'dataset')}",
                   f"{counted(batches, 'batch', 'batches')} in the ledger"])
        if others:
            names = ", ".join(others)
            self.limits.append({
                "id": "other-data-lost",
                "en": "The destroyed keys also reached datasets that were to be kept, of which the approved plan says "
                      f"nothing: {names}.",
                "ja": f"破棄された鍵は、保持すべき別のデータセットにも到達していたが、承認された計画にその記載はない：{names}。"})
        given_up = [item for ds in f.scope for item in f.abandoned(ds)]
        if given_up:
            n, objects = len(given_up), sum(item["n"] for item in given_up)
            self.limits.append({
                "id": "abandoned-batches",
                "en": f"Interrupted batches that were given up ({n}, of {objects} objects at most) are not counted: such "
                      "objects were never seen whole. Their keys were destroyed with the others.",
                "ja": f"中断して放棄されたバッチ（{n}件、最大{objects}オブジェクト）は数に含まない。完全な形では確認されていないが、"
                      "その鍵も他と共に破棄された。"})

        named = sum(n.n or 0 for ds in f.scope for n in f.sealed(ds)
                    if (f.body(f._last(n.id, "seal-done")) or {}).get("opaque_names") is False)
        if named:
            self.limits.append({
                "id": "file-names-readable",
                "en": f"The names of files and directories at the places sealed to are not covered: {named} objects were sealed "
                      "under the names of their sources. Whoever reads those places reads the names, also after the keys "
                      "are gone.",
                "ja": f"暗号化ファイルの保存先におけるファイル名・ディレクトリ名は対象外である：{named}件は元の名前のまま保存された。"
                      "鍵の破棄後も、その場所を読める者は名前を読むことができる。"})

    def _history(self):
        said, by = [], []
        for ds in self.facts.scope:
            shown = self.facts.dataset(ds)
            history = shown["plaintext_history"] if isinstance(shown["plaintext_history"], dict) else {}
            statement = maybe(history, "statement", "text", "unknown") if shown["shown"] else "unknown"
            more = maybe(history, "detail", "text")
            said.append((shown["name"], statement, f", {more}" if more and shown["shown"] else ""))
            if maybe(history, "by", "text") and history["by"] not in by:
                by.append(history["by"])
        states = {s for _, s, _ in said}
        self._hold("history-none", said and states == {"none"})
        self._hold("history-disposed", said and states <= {"none", "disposed"})
        self.say("plaintext-history", "; ".join(f"{n}: {s}{more}" for n, s, more in said), [f"statement of {b}" for b in by])

    def _brackets(self):
        good = bool(self.facts.scope)
        for ds in self.facts.scope:
            added = self.ledger.about(ds, "dataset-added")
            for node in self.facts.sealed(ds):
                done = self.facts._last(node.id, "seal-done")
                begun = [h for h in self.ledger.about(node.id, "seal-intended") if h.seq < done.seq]
                good = good and bool(begun) and bool(added) and added[0].seq < begun[0].seq
        self._hold("sealed-in-brackets", good)
        self.say("sealed-before-placed", "", ["seal-intended and seal-done entries"])

    # Algorithms.

    def _algorithms(self):
        policy = self.tables.policy
        used, known = self._used()
        self._hold("algorithms-known", known)
        listed = strong = True
        for name, purpose, until in used:
            verdict = policy.judge(name, purpose, until=until)
            listed = listed and verdict.listed
            if purpose in ("payload", "wrap"):
                strong = strong and verdict.allowed
        self._hold("algorithms-listed", known and listed)
        self._hold("algorithms-strong", known and strong)
        detail = "not every batch's algorithms are shown"
        if known:
            detail = ", ".join(sorted({f"{name} ({purpose}, until {until or 'open-ended'})" if purpose in ("payload", "wrap")
                                       else f"{name} ({purpose})" for name, purpose, until in used}))
            excepted = self._by_exception()
            if excepted and not (listed and strong):
                detail += "; by recorded exception only " + ", ".join(excepted)
        self.say("algorithms", detail, [f"policy {self.facts.plan.get('policy_digest', '')[:16]}"])

    def _used(self):
        """[(name, purpose, end year)] of every batch, dataset key and re-wrap, and of the bundle's signatures and hashes;
        and whether all of them are shown."""
        used, known, f = set(), bool(self.facts.scope), self.facts
        for ds in f.scope:
            until = f.dataset(ds)["unreadable_until"]
            until = int(until) if isinstance(until, str) and until.isdigit() and len(until) < 6 else until
            if not is_kind(until, "number"):
                known = known and until == "open-ended"
                until = None
            for node in f.sealed(ds):
                body = f.body(f._last(node.id, "seal-done")) or {}
                used.add((body.get("content_algorithm"), "payload", until))
                used.add((body.get("wrap_algorithm"), "wrap", until))
                for h in self.ledger.about(node.id, "rewrap-done"):
                    used.add(((f.body(h) or {}).get("wrap_algorithm"), "wrap", until))
            for key in (n for n in f.graph.nodes.values() if n.kind == "dsk" and ds in n.datasets):
                for h in self.ledger.about(key.id, "dataset-key-created", "dataset-key-rewrapped",
                                           "fingerprint-key-created"):
                    name = (maybe(f.body(h), "wrapped", "object") or {}).get("algorithm")
                    used.add((WRAPS.get(name) if is_kind(name, "number") else name, "wrap", until))
            known = known and f.dataset(ds)["shown"]
        if not all(isinstance(name, str) and name for name, _, _ in used):
            return set(), False
        # The officers' signatures are judged in the evidence chain; their kinds are all listed.
        signatures = {"Ed25519"}
        if self.signer_algorithm:
            signatures.add(self.signer_algorithm)
        return (used | {(s, "signature", None) for s in signatures}
                | {("SHA-256", "hash", None), ("SHA-512", "hash", None)}), known

    def _by_exception(self):
        return [f"(entry {e['entry']}): {e['detail']}" for e in self.facts_exceptions() if e["what"] == "algorithm"]

    def facts_exceptions(self):
        """Every exception about a dataset, key version or copy in scope, or about the vault."""
        f = self.facts
        scope = {*f.scope, *f.versions, *f.copies, f.plan.get("vault", "")}
        out = []
        for header in self.ledger.of_type("exception-recorded"):
            if not scope & {i["id"] for i in header.nodes}:
                continue
            body = f.body(header) or {}
            if body and (not maybe(body, "what", "text") or "until" not in body):
                f.bad(f"entry {header.seq}", "an exception without what or until")
            officer = self.people.by_operator.get(body.get("operator"))
            subject = next(i["id"] for i in header.nodes if i["id"] in scope)
            out.append({"what": maybe(body, "what", "text", ""), "subject": maybe(body, "subject", "text", subject if not body else ""),
                        "detail": maybe(body, "detail", "text", ""), "until": maybe(body, "until", "text"),
                        "reason": maybe(body, "reason", "text", ""), "approver": officer.name if officer else "",
                        "entry": header.seq})
        return out

    # Keys.

    def origin_said(self, version):
        """"generated", another word, or "" where either of the two entries is not shown."""
        created, intended = self.facts.opened(version, "key-created")[1], self.facts.opened(version, "key-intended")[1]
        words = [maybe(b, "origin", "text", "generated") for b in (intended, created) if b]
        other = [w for w in words if w != "generated"]
        return other[0] if other else "generated" if len(words) == 2 else ""

    def _origin(self):
        f, detail = self.facts, counted(len(self.facts.versions), "key version")
        inside, software, stated = [], [], []
        for v in f.versions:
            said = self.origin_said(v)
            two = all(f.body(f._last(v, kind)) is not None for kind in ("key-intended", "key-created"))
            self._missing_origin(v)
            ref = f.reference(v)
            if f.opened(v, "destroy-intended")[1] and "attributes" not in f.opened(v, "destroy-intended")[1]:
                f.bad(f"entry {f._last(v, 'destroy-intended').seq}", "attributes is missing")
            birth, intended = f.birth(v), f.opened(v, "destroy-intended")[1]
            attributes = [maybe(birth, "attributes", "object") or {},
                          maybe(f.opened(v, "destroy-intended")[1], "attributes", "object") or {}]
            of_it = bool(ref) and intended.get("ref") == ref and all(a.get("CKA_LABEL") == ref.get("label") and a.get("CKA_ID") == ref.get("id")
                                      for a in attributes)
            shown = f.provider(f.graph.nodes[v].provider)
            kind = shown["identity"].get("kind") if shown else None
            born = of_it and all(all(a.get(n) is value for n, value in SENSITIVE.items()) and a.get("CKA_LOCAL") is True
                                 for a in attributes)
            inside.append(two and said == "generated" and born and kind is not None and kind != "soft")
            software.append(two and said == "generated" and of_it and kind == "soft")
            stated.append(two and said not in ("", "generated") and of_it and kind is not None)
            name = f.name(v)
            if self.attested.of(v):
                detail += f"; the making of {name} was attended by {', '.join(a.officer.name for a in self.attested.of(v))}"
            if said not in ("", "generated"):
                detail += f"; {name} was {said}: what it was before is somebody's word"
            elif not two:
                detail += f"; where {name} came from is not shown"
            elif kind == "soft":
                detail += f"; {name} lay in a software keystore and could leave with its file"
        n = range(len(f.versions))
        self._hold("birth-recorded", f.versions and all(inside))
        self._hold("birth-attested", f.versions and all(map(self.attested.of, f.versions)))
        self._hold("birth-in-software", f.versions and all(inside[i] or software[i] for i in n))
        self._hold("origin-stated", f.versions and all(inside[i] or software[i] or stated[i] for i in n))
        signers = {a.officer.operator: f"signature of {a.officer.name} (attest)" for a in self.attested.all}
        self.say("key-origin", detail, ["attributes at birth and before destruction", *signers.values()])

    def _missing_origin(self, v):
        for kind in ("key-intended", "key-created"):
            header = self.facts._last(v, kind)
            if header is not None and self.facts.body(header) is None:
                why = f": where {v} came from is not shown" if kind == "key-intended" else ""
                self.facts.note("ledger/bodies.jsonl", f"entry {header.seq} ({kind}) is not opened{why}")

    def _compromise(self):
        f, marked = self.facts, False
        wanted = {*f.versions, *f.copies, *f.processes}
        for header in self.ledger.headers.values():
            for item in header.nodes:
                if item["id"] in wanted and (header.type == "finding-recorded"
                                             or item.get("is") in ("compromised", "destroyed-compromised")):
                    marked = True
        self._hold("never-compromised", not marked and f.versions)
        self.say("uncompromised", "a compromise or a finding is recorded" if marked else "", ["every header of the ledger"])

    def _exclusivity(self):
        f, living = self.facts, self.facts.living()
        self._hold("all-reachers-dead", not living and f.versions)
        detail = counted(len(living), "living path") + (": " + ", ".join(living) if living else "")
        self.say("exclusivity", detail, [
            f"disclosure graph: {counted(len(f.versions), 'key version')}, {counted(len(f.copies), 'copy', 'copies')}, "
            + counted(len(f.processes), "process", "processes")])

    def _copies(self):
        f = self.facts
        ended = all(f.graph.state(c) == "ended" for c in f.copies)
        origins = set()
        for c in f.copies:
            if f.opened(c, "copy-registered")[1].get("kind") == "import-origin":
                origins |= f.graph.out.get(c, set())
        brought = all(v in origins for v in f.versions if self.origin_said(v) not in ("generated", "adopted"))
        self._hold("no-copies", f.versions and not f.copies and brought)
        self._hold("copies-ended", f.copies and ended and brought)
        documents = [maybe(f.opened(c, "copy-ended")[1], "document", "digest") for c in f.copies]
        self._hold("copies-documented", f.copies and all(d and f.evidence(d, "the document of a copy's end") is not None
                                                         for d in documents))
        custodians = []
        for c in f.copies:
            who = maybe(f.opened(c, "copy-registered")[1], "custodian", "text", "")
            if who:
                custodians.append(who)
        self.say("copies", ", ".join(f"{c} {f.graph.state(c)}" for c in f.copies) or "none registered",
                  [f"statement of {who}" for who in custodians])

    def _destroyed(self):
        f, g = self.facts, self.gone
        n, total = sum(map(f.destroyed, f.versions)), len(f.versions)
        lost = [v for v in f.versions if g.lost[v]]
        self._hold("all-destroyed", total and n == total)
        kept = {v: g.receipts[v] and not g.lost[v] for v in f.versions}
        self._hold("receipts", total and all(kept.values()))
        self._hold("receipts-or-settled", total and all(kept[v] or g.settled(v) for v in f.versions))
        gone = sum(f.graph.state(v) in DESTROYED and f.body(f.done[v]) is not None for v in f.versions)
        detail = f"{gone} of {counted(total, 'key version')} destroyed"
        if lost:
            detail += f", {counted(len(lost), 'receipt')} lost and settled by inspection"
        self.say("destroyed", detail, [counted(sum(g.receipts.values()), "provider receipt")])

    def _verified(self):
        f, g = self.facts, self.gone
        self._hold("final-state-absent", g.final_state_absent())
        self._hold("enumeration-pair", g.enumeration_pair())
        self._hold("canaries-dead", g.canaries_dead())
        self._hold("samples-dead", g.samples_dead())
        detail = f"{counted(g.canaries(), 'canary', 'canaries')}, {counted(g.samples(), 'sample')}"
        rests = [f"enumerations of {i.provider} before and after" for i in g.inspections]
        verified = self.people.verified
        if verified and g.shown_again(verified.header):
            self.conditions.add("inspected-by-other")
            rests.append(f"signature of {verified.officer.name} (verify)")
        for v, (why, _, _) in g.earlier.items():
            detail += f"; {f.name(v)} was destroyed before this erasure, and " + (
                f"that it is gone is not shown: {why}" if why else "inspected then")
            rests.append(f"inspections of {f.name(v)} before and after")
        self.say("verified-gone", detail, rests)
        self.say("irreversible", "", ["the provider's answers after destruction"])
        if g.removed:
            names = ", ".join(g.removed)
            self.limits.append({
                "id": "removed-by-others",
                "en": f"Between the two inspections others removed objects that kesu did not: {names}.",
                "ja": f"二回の検査の間に、kesu 以外によって削除されたオブジェクトがある：{names}。"})

    # Authorisation.

    def bars(self):
        """(quorum, waiting seconds) that hold: the highest of plan, rules in force at the request and the plan's profile."""
        plan, genesis = self.facts.plan, self.people.in_force()
        profile = self.tables.profile(plan.get("profile")) or {}
        return (max(plan.get("quorum", 0), genesis.get("quorum", 0), profile.get("quorum", 0)),
                max(plan.get("waiting_seconds", 0), genesis.get("waiting_seconds", 0), profile.get("waiting_seconds", 0)))

    def _authorised(self):
        f, p = self.facts, self.people
        quorum, waiting = self.bars()
        approvals = [a for a in p.approvals if f.started is None or a.header.seq < f.started.seq]
        self._hold("requested-signed", p.request)
        ended = any(item.get("is") in ("rejected", "cancelled") for h in self.ledger.headers.values()
                    for item in h.nodes if item["id"] == f.erasure)
        reached = len(approvals) >= quorum and quorum > 0
        self._hold("quorum-approved", p.request and reached and f.started is not None and not ended)
        if reached and not ended:
            self.reached = sorted(approvals, key=lambda a: a.header.seq)[quorum - 1].header
        waited, said = self._waited(waiting)
        self._hold("waited", waited)
        self._hold("no-hold", not self._held())
        self._hold("officers-known", p.known)
        self._hold("commands-signed", not self.commands.unsigned)
        self.say("authorised", f"{counted(len(p.approvals), 'approval')}, quorum {quorum}, waiting period "
                                f"{counted(waiting, 'second')}{self._by_whose_time(waiting)}{said}",
                  [f"signature of {a.officer.name} ({a.action})" for a in p.acts if a.action in ("request", "approve")])

    def between(self, counts):
        """What time-stamps of the waiting period show at which `counts` is true: (from, to), or None."""
        intended = self.facts.first_intended()
        return self.stamped.between(self.reached.seq, intended and intended.seq, counts) if self.reached else None

    def _by_whose_time(self, seconds):
        """Whoever's time-stamps they are: what that is worth to a reader says his report."""
        if self.reached is None or seconds <= 0:
            return ""
        pair = self.between(lambda stamp: True)
        if pair and waiting.passed(pair) >= seconds * 1000:
            return f", time-stamped from {utc(pair[0].token.at)} to {utc(pair[1].token.at)}"
        return ", by the host's clock" if (self.facts.body(self.facts.started) or {}).get("waited_by") == "host" else ""

    def unshown_wait(self, counts):
        """Why time-stamps at which `counts` is true do not show the waiting period; "" where they do, or there is none."""
        seconds = self.bars()[1]
        if self.reached is None or seconds <= 0:
            return ""
        pair = self.between(counts)
        if pair is None:
            return "no time-stamp that counts is over a checkpoint with the approvals"
        if waiting.passed(pair) >= seconds * 1000:
            return ""
        return f"{waiting.passed(pair) // 1000} of {seconds} seconds lie between the time-stamps that count"

    def _waited(self, waiting):
        f, intended, begin = self.facts, self.facts.first_intended(), self.reached
        if intended is None or begin is None or begin.seq > intended.seq:
            return False, ""
        if waiting <= 0:
            return True, ""
        newest, what = None, ""
        for header in self.ledger.about(f.plan.get("vault", ""), "finding-recorded"):
            body = f.body(header)
            if begin.seq < header.seq < intended.seq and (body is None or body.get("what") in CLOCK):
                newest, what = header, body["what"] if body else "a finding that is not shown"
        since = newest.millis if newest else begin.millis
        waited = intended.millis - since >= waiting * 1000
        if newest is None:
            return waited, ""
        return waited, (f", counted from entry {newest.seq} ({what})" if waited else
                        f"; the clock was set at entry {newest.seq} ({what}), after which it did not pass")

    def _held(self):
        f, done = self.facts, self.facts.last_done()
        return self.holds.between(f.requested.seq if f.requested else 0, done.seq if done else self.ledger.b.size)

    def _logged(self):
        last = self.facts.ledger.of_type("ledger-key-set")
        body = self.facts.body(last[-1]) if last else None
        signed = bool(body) and body.get("vkey") == self.ledger.key.text
        if last and body is None:
            self.facts.bad("ledger/bodies.jsonl", f"entry {last[-1].seq} (ledger-key-set) is not opened")
        elif last and not signed:
            self.facts.bad("trust/ledger.vkey", f"is not the key that entry {last[-1].seq} sets")
        self._hold("checkpoints-signed", signed)
        self._hold("checkpoint-b-witnessed", self.witnesses() >= self.trust.quorum and self.trust.witnesses)
        self.say("logged", "", [f"checkpoints of {self.ledger.key.name}"])
        self.say("dated", "")
        self._residue()
        validated = self.people.validated
        self._hold("validated-signed", validated)
        self.say("validated", "", [f"signature of {validated.officer.name} (validate)"] if validated else [])
        born = False
        for h in last:
            version = h.nodes[0]["id"]
            ref = self.facts.reference(version)
            spki = "302a300506032b6570032100" + self.ledger.key.key.hex()
            self.facts.birth(version)
            born = born or ref.get("public_key") == spki and ref.get("purpose") == "sign-ledger"
        if not born:
            self.facts.bad("trust/ledger.vkey", "the ledger does not show the birth of the key that signs it")

    def _residue(self):
        scans = [residue.scan_of(self.facts, ds) for ds in self.facts.scope]
        if not scans or None in scans:
            self.say("residue", "")
            return
        self._hold("residue-scanned", True)
        words, rests = [], []
        for ds, (header, record) in zip(self.facts.scope, scans):
            name = self.facts.dataset(ds)["name"]
            rests.append(f"scan for {name}, entry {header.seq}")
            only = f", {record['stored']} of them by fingerprints taken at sealing, in blocks of 65536 bytes from a file's " \
                   "start" if record.get("stored") else ""
            only += f", {record['whole']} of them only as whole files" if record["whole"] else ""
            only += f", {counted(record['common'], 'common window')} not looked for" if record["common"] else ""
            over = f", {record['superseded']} sealed over not looked for" if record["superseded"] else ""
            words.append(f"{name}: {counted(record['files'], 'file')}, {counted(record['bytes'], 'byte')} in "
                         f"{counted(len(record['places']), 'place')}, for {counted(record['objects'], 'object')}{only}{over}")
        self.say("residue", "; ".join(words), rests)

    def short_of_rules(self):
        """Where too few of the witnesses of the rules signed checkpoint B, in words."""
        named, signed = witnesses_of_rules(self.bound, self.ledger.note_b)
        return f"{signed} of the {self.bound['witness_quorum']} witnesses that the rules ask for signed, so none counts" if named == set() else ""

    def witnesses(self):
        """How many different witnesses of the reader signed checkpoint B: of those that the rules at the request name, where they do."""
        found, (named, _) = set(), witnesses_of_rules(self.bound, self.ledger.note_b)
        for key in self.trust.witnesses:
            if named is not None and key.key not in named:
                continue
            try:
                if self.ledger.note_b.signed_by(key):
                    found.add(key.key)  # one witness under two names is one
            except NoteError:  # a cosignature that is not good is none
                continue
        return len(found)


