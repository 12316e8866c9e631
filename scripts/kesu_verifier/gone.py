# Whether the keys are gone: receipts, inspections of the erasure and of destructions before it, samples.
import copy
from collections import Counter

from .base import Bad, is_id, is_kind, is_version, maybe
from .bundle import BODIES
from .facts import DESTROYED
from .probe import Transcript, Unreadable, read_receipt, same_place

AAD = b"kesu-wrap-v1"


class Inspection:
    """The two transcripts of one provider in the erasure."""

    def __init__(self, provider, before_digest, after_digest, before, after):
        self.provider, self.before_digest, self.after_digest = provider, before_digest, after_digest
        self.before, self.after = before, after

    @property
    def readable(self):
        return self.before is not None and self.after is not None


class Gone:
    def __init__(self, facts):
        self.facts, self.bad, self.ledger = facts, facts.bad, facts.ledger
        self._transcripts = {}
        self.receipts, self.lost, self.results = {}, {}, {}
        self.inspections, self.started_body, self.inspected = [], {}, None
        self._read_receipts()
        self._read_inspections()
        self.earlier = {v: self._earlier(v) for v in facts.earlier}
        self.removed = self._removed()

    def transcript(self, digest, what):
        if not is_kind(digest, "digest"):
            return None
        if digest not in self._transcripts:
            data, self._transcripts[digest] = self.facts.evidence(digest, what), None
            try:
                if data is not None:
                    transcript = Transcript(data, f"evidence/{digest}")
                    self._check_samples(transcript)
                    self._transcripts[digest] = transcript
            except (Unreadable, Bad) as error:
                self.bad(f"evidence/{digest}", f"transcript: {getattr(error, 'what', str(error))}")
        return self._transcripts[digest]

    def _check_samples(self, transcript):
        """Each is a data key's wrap in this vault, as sealed objects wrap, and stands there once."""
        seen, vault = set(), bytes.fromhex(self.facts.plan["vault"][4:])
        for request in transcript.sample_requests:
            key, number = request["key"][4:].split(".")
            if not is_id(request["id"], "obj"):
                raise Unreadable("a sample is malformed")
            tail = bytes.fromhex(request["id"][4:]) + bytes.fromhex(key) + int(number).to_bytes(4, "big")
            aad = bytes.fromhex(request["aad"])
            if len(aad) != len(AAD) + 68 or aad[:len(AAD) + 16] != AAD + vault or aad[len(AAD) + 32:] != tail:
                raise Unreadable(f"a sample's aad is not that of {request['id']}")
            if (request["id"], request["key"]) in seen:
                raise Unreadable("a sample stands there twice")
            seen.add((request["id"], request["key"]))

    # Receipts.

    def _read_receipts(self):
        for v in self.facts.versions:
            header = self.facts.done[v]
            self.receipts[v], self.lost[v], self.results[v] = False, False, ""
            body = self.facts.need(header)
            if body is None:
                continue
            self.lost[v] = maybe(body, "receipt_lost", "bool", False)
            digest = body.get("receipt")
            if digest is None:
                continue
            receipt = self.facts.evidence_json(digest, f"the receipt of {v}")
            if receipt is None:
                continue
            try:
                read_receipt(receipt)
            except Unreadable as error:
                self.bad(f"evidence/{digest}", f"receipt: {error}")
                continue
            ref = self.facts.reference(v)
            before = maybe(receipt, "before", "object") or {}
            if not ref or before.get("CKA_LABEL") != ref.get("label") or before.get("CKA_ID") != ref.get("id"):
                self.bad(f"evidence/{digest}", f"the receipt is not of {v}")
                continue
            self.results[v] = maybe(receipt, "result", "text", "")
            self.receipts[v] = maybe(receipt, "accepted", "bool", False)

    def settled(self, version):
        """A lost receipt whose end an inspection shows."""
        body = self.facts.body(self.facts.done[version]) or {}
        if not self.lost[version] or body.get("transcript") is None:
            return False
        transcript = self.transcript(body["transcript"], f"the transcript that settled {version}")
        return transcript is not None and transcript.answer(version) == "absent"

    # The erasure's own inspections.

    def _read_inspections(self):
        facts = self.facts
        started = facts.body(facts.started)
        if started is None:
            facts.note(BODIES, "no opened erasure-started")
        self.started_body = started or {}
        if started is not None and started.get("plan") != facts.plan_digest:
            self.bad(f"entry {facts.started.seq}", "another plan was started")
        header = facts._last(facts.erasure, "erasure-inspected")
        body = facts.body(header)
        self.inspected = header
        if body is None:
            facts.note(BODIES, "no opened erasure-inspected")
            return
        first = {i.get("provider"): i.get("transcript") for i in maybe(self.started_body, "inspections", "objects") or []}
        for pair in self._pairs(header, body):
            if first.get(pair.provider) != pair.before_digest:
                self.bad(f"entry {header.seq}", "before: is not the transcript of the erasure's start")
            self.inspections.append(pair)

    def _pairs(self, header, body):
        if not is_kind(body.get("inspections"), "objects"):
            self.bad(f"entry {header.seq}", "inspections are no list")
        for item in maybe(body, "inspections", "objects") or []:
            place, before, after = (item.get(n) for n in ("provider", "before", "after"))
            if not is_id(place, "prv") or not is_kind(before, "digest") or not is_kind(after, "digest"):
                self.bad(f"entry {header.seq}", "an inspection is malformed")
                continue
            yield Inspection(place, before, after, self.transcript(before, f"the transcript before of {place}"),
                             self.transcript(after, f"the transcript after of {place}"))

    def shown_again(self, header):
        """Whether the inspections that an erasure-verified names show the same as the erasure's own, from the same before."""
        again = copy.copy(self)
        again.inspections = list(self._pairs(header, self.facts.need(header) or {}))
        own = {p.provider: p for p in self.inspections}
        if len(again.inspections) != len(self.inspections):
            return False
        for pair in again.inspections:  # made anew: from the same before, after the erasure's own, before the entry
            first = own.get(pair.provider)
            if first is None or first.before_digest != pair.before_digest or first.after_digest == pair.after_digest:
                return False
            if not first.readable or not pair.readable or not first.after.readable or not pair.after.readable:
                return False
            if pair.after.started < first.after.ended or pair.after.ended > header.millis:
                return False
        return all((again.enumeration_pair(), again.final_state_absent(), again.canaries_dead(), again.samples_dead()))

    def _of(self, place):
        found = [i for i in self.inspections if i.provider == place]
        return found[0] if len(found) == 1 else None

    def _by_place(self):
        """Provider -> versions of the kill set that it held and that the erasure itself has to destroy."""
        out = {}
        for v in self.facts.versions:
            if v in self.facts.earlier:
                continue
            node = self.facts.graph.nodes.get(v)
            out.setdefault(node.provider if node else None, []).append(v)
        return out

    def final_state_absent(self):
        facts = self.facts
        for place, versions in self._by_place().items():
            pair = self._of(place)
            if pair is None or not pair.readable or any(pair.after.answer(v) != "absent" for v in versions):
                return False
        return bool(facts.versions) and self.earlier_good()

    def enumeration_pair(self):
        """Full lists before and after, of one place, that differ by exactly the destroyed objects."""
        facts, good = self.facts, bool(self.facts.versions)
        for place, versions in self._by_place().items():
            pair = self._of(place)
            if pair is None or not pair.readable:
                good = False
                continue
            good = self._pair_good(pair, versions) and good
        return good and self.earlier_good() and self._timely() and not facts.graph.closed

    def _pair_good(self, pair, versions):
        before, after = (t.enumeration.objects if t.enumeration else [] for t in (pair.before, pair.after))
        refs = [self.facts.reference(v) for v in versions]
        good = all(t.whole and t.control_lives and self._control_known(t, pair.provider) for t in (pair.before, pair.after))
        good = good and same_place(pair.before.identity, pair.after.identity) and self._place_known(pair)
        for v, ref in zip(versions, refs):
            match = [o for o in before if (o[0], o[2], o[3]) == ("CKO_SECRET_KEY", ref.get("label"), ref.get("id"))]
            good = good and len(match) == 1 and pair.before.wanted.get(v) == ref == pair.after.wanted.get(v)
            good = good and pair.before.answer(v) == "usable" and pair.after.answer(v) == "absent"
        for v in self.facts.earlier:
            ref = self.facts.reference(v)
            seen = any(ref.get("label") and o[2] == ref["label"] or ref.get("id") and o[3] == ref["id"]
                       for o in before + after)
            good = good and not seen
        return good

    def _removed(self):
        """What others took away between two inspections: of the erasure, or around a destruction of one of its versions before."""
        facts, out = self.facts, set()
        own = {r["label"] for r in map(facts.reference, facts.versions) if r}
        pairs = [(p.before, p.after) for p in self.inspections]
        for v in facts.versions:
            for header in self.ledger.about(v, "key-inspected"):
                body = facts.body(header) or {}
                pairs.append([self.transcript(body.get(n), f"the transcript {n} of {v}") for n in ("before", "after")])
        for before, after in pairs:
            if before is None or after is None:
                continue
            was, now = (t.enumeration.objects if t.enumeration else [] for t in (before, after))
            for o in Counter(was) - Counter(now):
                if o[2] not in own and facts.graph.state(o[2].removeprefix("kesu:") if o[2].startswith("kesu:") else "") not in DESTROYED:
                    out.add(o[2] or f"{o[0]} {o[3]}")
        return sorted(out)

    def _place_known(self, pair):
        """The place is the provider that the ledger knows by this name."""
        shown = self.facts.provider(pair.provider)
        return shown is None or same_place(shown["identity"], pair.before.identity)

    def _control_known(self, transcript, place):
        """The control key is one whose birth at this provider the ledger shows, and it lives."""
        ref = transcript.control_ref
        node = self.facts.graph.nodes.get(ref["version"]) if ref else None
        if node is None or node.provider != place or not self.facts.graph.living(node.id, self.facts.now):
            return False
        created = self.facts.created(node.id)
        return created.get("purpose") == "control" and created.get("ref") == ref

    def _timely(self):
        facts, done = self.facts, self.facts.last_done()
        if facts.started is None or done is None:
            return False
        return all(p.before.ended <= facts.started.millis and p.after.ended >= done.millis
                   for p in self.inspections if p.readable and p.before.readable and p.after.readable)

    def canaries_dead(self):
        for place, versions in self._by_place().items():
            pair = self._of(place)
            if pair is None or not pair.readable:
                return False
            for v in versions:
                if not pair.before.canary_opened(v) or pair.after.canary_opened(v) or pair.after.answer(v) != "absent":
                    return False
        return bool(self.facts.versions) and self.earlier_good()

    def canaries(self):
        return len(self.facts.versions)

    # Samples.

    def samples(self):
        return sum(len(p.before.sample_requests) for p in self.inspections if p.before is not None)

    def samples_dead(self):
        facts, body = self.facts, self.started_body
        head, said = maybe(body, "head", "object") or {}, maybe(body, "samples", "object") or {}
        size, root = head.get("size"), head.get("root")
        if size not in self.ledger.roots or self.ledger.roots[size].hex() != root or said.get("seed") != root:
            return False
        if said.get("rule") != "kesu-sample-v1" or not self.earlier_good():
            return False
        opened, objects, good = set(), {}, True
        for pair in self.inspections:
            if not pair.readable or not pair.before.readable or not pair.after.readable:
                return False
            if pair.before.sample_requests != pair.after.sample_requests:
                return False
            for n, request in enumerate(pair.before.sample_requests):
                ds = self._dataset_of(request)
                if ds is None:
                    return False
                objects.setdefault(ds, set()).add(request["id"])
                was, now = pair.before.sample(n), pair.after.sample(n)
                good = good and now == "failed"
                if request["key"] in facts.earlier:
                    good = good and was == "failed"
                elif was == "opened":
                    opened.add(request["id"])
        for ds in facts.scope:
            wanted = min(max(facts.objects(ds) - facts.replaced(ds), 0), 16)
            if len(objects.get(ds, ())) != wanted:
                return False
        return good and set().union(*objects.values()) == opened if objects else good

    def _dataset_of(self, request):
        """The scope's dataset that the sample's AAD names; None where the AAD is not that of a wrap of it."""
        key, number = request["key"].partition(".")[::2] if is_version(request["key"]) else ("", "")
        if not is_id(request["id"], "obj") or request["key"] not in self.facts.versions:
            return None
        tail = bytes.fromhex(request["id"][4:]) + bytes.fromhex(key[4:]) + int(number).to_bytes(4, "big")
        vault = bytes.fromhex(self.facts.plan["vault"][4:])
        for ds in self.facts.scope:
            if request["aad"] == (AAD + vault + bytes.fromhex(ds[3:]) + tail).hex():
                return ds
        return None

    # Versions that were destroyed before the erasure.

    def earlier_good(self):
        return all(not why for why, _, _ in self.earlier.values())

    def _earlier(self, v):
        """(why it is not shown to be gone or "", transcript before, after)."""
        done = self.facts.done[v]
        looks = [(h, self.facts.body(h)) for h in self.ledger.about(v, "key-inspected") if h.seq > done.seq]
        looks = [(h, b) for h, b in looks if b is not None]
        if not looks:
            return "no inspection of it is in the bundle", "", ""
        _, body = looks[-1]
        before_digest, after_digest = (maybe(body, n, "digest", "") for n in ("before", "after"))
        return self._earlier_why(v, done, looks, body, before_digest, after_digest), before_digest, after_digest

    def _earlier_why(self, v, done, looks, body, before_digest, after_digest):
        for _, look in looks:
            later = self.transcript(look.get("after"), f"the transcript after of {v}")
            found = "usable" if look.get("answer") == "usable" else later.answer(v) if later is not None else ""
            if found in ("usable", "refused"):
                return f"an inspection after its destruction found it {found}"
        if body.get("answer") != "absent":
            return f"its inspection answered {maybe(body, 'answer', 'text', 'nothing')}"
        if body.get("provider") != self.facts.graph.nodes[v].provider:
            return "another provider was inspected"
        before = self.transcript(before_digest, f"the transcript before of {v}")
        after = self.transcript(after_digest, f"the transcript after of {v}")
        if before is None or after is None:
            return "a transcript of its inspection is missing"
        intended = [h for h in self.ledger.about(v, "destroy-intended") if h.seq < done.seq]
        named = (self.facts.body(intended[-1]) or {}).get("before") if intended else None
        if named is not None and named != before_digest:
            return "its inspection before is not the one that its destruction rested on"
        if not (before.whole and after.whole and same_place(before.identity, after.identity)):
            return "its inspections did not see the whole of the same place"
        place, ref = self.facts.graph.nodes[v].provider, self.facts.reference(v)
        exact = all(list(t.wanted.values()) == [ref] for t in (before, after))
        alive = all(t.control_lives and self._control_known(t, place) for t in (before, after))
        still = [o for o in after.enumeration.objects if (o[2], o[3]) == (ref.get("label"), ref.get("id"))]
        if not (exact and alive and not still and before.canary_opened(v) and before.answer(v) == "usable"
                and after.answer(v) == "absent"):
            return "its inspections do not show it usable before and absent after, with a living control"
        if not intended or before.ended > intended[-1].millis or after.started < done.millis:
            return "its inspections were not made before and after its destruction"
        return ""
