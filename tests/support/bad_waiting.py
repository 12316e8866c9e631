"""Bundles with time-stamps of the waiting period, honest and forged, by an issuer who holds every key but those of the officers.

    for case in bad_waiting.cases(issuer, trust, bank, rogue): ...     # .name .files .trust .expect

`level`: of *authorised*. `expect`: None: invalid; or (why the period is not shown, "" where it is; what the issuer says of it; whether each row of `time` about
it counts). `bank` and `rogue` are time-stamp authorities (tsa.Tsa). The vault's waiting period is SECONDS. Written from docs/spec alone.
"""
import collections
import datetime
import json
import os
import re
import ssl
import time

from cryptography import x509
from cryptography.hazmat.primitives.asymmetric import ed25519

import bad_anchors
import bad_tokens
import reissue
from clock_test import at
from bad_tokens import GRANTED, der
from reissue import sha

Case = collections.namedtuple("Case", "name files trust expect level", defaults=("proven",))
SECONDS = 2
NONE = "no time-stamp that counts is over a checkpoint with the approvals"
STAMPED, STARTED, INTENDED, DONE, ISSUED = "erasure-stamped", "erasure-started", "destroy-intended", "destroy-done", "certificate-issued"
APPROVED = "erasure-approved"
ERA, OTHER = "era-" + "7" * 32, "bank.example/kesu/vlt-" + "0" * 32
BY_HOST = ", by the host's clock"


def some(n):
    return f"{n} of {SECONDS} seconds lie between the time-stamps that count"


def millis(text):
    return round(datetime.datetime.strptime(text, "%Y-%m-%dT%H:%M:%S.%f%z").timestamp() * 1000)


def utc(at, form="%Y-%m-%dT%H:%M:%S."):
    return time.strftime(form, time.gmtime(at // 1000)) + f"{at % 1000:03}"


class Clocked(bad_tokens.Maker):
    """An authority's tokens at any time that it is told, in milliseconds, by its real key under one of its certificates."""

    def __init__(self, tsa, certificate="tsa"):
        super().__init__(tsa, b"x")
        self.tsa, self.policy = tsa, self.info[1]
        pem = (tsa.dir / f"{certificate}.pem").read_text()
        self.leaf, self.chain = ssl.PEM_cert_to_DER_cert(pem), pem.encode() + tsa.chain.partition(b"-----END CERTIFICATE-----\n")[2]
        parsed = x509.load_der_x509_certificate(self.leaf)
        number = parsed.serial_number.to_bytes(parsed.serial_number.bit_length() // 8 + 1, "big")
        self.sid = der(0x30, parsed.issuer.public_bytes(), der(2, number))

    def stamp(self, data, at=None, accuracy=None):
        """(answer, token); accuracy in milliseconds."""
        at = round(time.time() * 1000) if at is None else at
        imprint = der(0x30, bad_tokens.algorithm("sha256"), der(4, bytes.fromhex(sha(data))))
        said = (utc(at, "%Y%m%d%H%M%S.").rstrip("0").rstrip(".") + "Z").encode()
        seconds, rest = divmod(accuracy or 0, 1000)
        within = [der(2, bytes([seconds]))] * bool(seconds) + [der(0x80, rest.to_bytes(2, "big") if rest > 127 else bytes([rest]))] * bool(rest)
        token = self.token([der(2, b"\1"), self.policy, imprint, der(2, b"\5"), der(0x18, said), *([der(0x30, *within)] if within else [])])
        return der(0x30, GRANTED, token), token


class Stamp:
    """One entry to be. `at`: seconds after the approval; `accuracy` in seconds; `before`: the type of the entry that it stands before;
    `over`: that of the first entry that the checkpoint does not cover (with `and_it`, of the last that it does), None: it covers all before
    it. The others change one thing each."""

    def __init__(self, at, accuracy=None, by="bank", before=STARTED, over=None, **change):
        self.at, self.accuracy, self.by, self.before, self.over, self.change = at, accuracy, by, before, over, change


class Maker(bad_anchors.Maker):
    def __init__(self, issuer, trust, bank, rogue):
        super().__init__(issuer, trust, bank, rogue)
        self.trust = re.sub("(?m)^witness .*\n", "", self.trust)
        self.times, self.by = [], {"bank": Clocked(bank), "rogue": Clocked(rogue)}
        self.approved = millis(issuer.original.find(APPROVED).header["time"])
        # Seconds from the approval to the entry before it.
        entries = issuer.original.entries
        self.asked = (millis(entries[entries.index(issuer.original.find(APPROVED)) - 1].header["time"]) - self.approved) / 1000
        self.shown = lambda a, b: f", time-stamped from {utc(self.approved + round(a * 1000))}Z to {utc(self.approved + round(b * 1000))}Z"

    def put(self, p, s):
        """The entry of a Stamp; what rests on the entries before it is made when these are folded."""
        entry = p.insert(p.find(s.before), STAMPED, [{"id": p.plan["erasure"]}])
        change, known = s.change.get, {}

        def at_fold(files, leaves):
            size = len(leaves) if s.over is None else p.entries.index(p.find(s.over)) + change("and_it", False)
            size = change("size", lambda n: n)(size)
            key, origin, of = change("key", self.issuer.ledger_key), change("origin", p.origin), change("leaves", lambda x: x)(leaves)
            note = change("note", lambda d: d)(reissue.note(key, origin, size, reissue.root(of[:size]), p.origin))
            by = self.by[s.by]
            answer, _ = s.change["stamp"](note) if "stamp" in s.change else by.stamp(
                change("stamped", lambda d: d)(note), self.approved + round(s.at * 1000), s.accuracy and round(s.accuracy * 1000))
            names = {"checkpoint": note, "document": change("answer", lambda d: d)(answer), "authority": change("chain", by.chain)}
            known.update({name: sha(data) for name, data in names.items()})
            for name, data in names.items():
                if name not in change("missing", ()):
                    files[f"evidence/{sha(data)}"] = data
            entry.body = change("body", lambda b: b)({"size": size, **known})
            entry.header["nodes"] = change("nodes", lambda n: n)([{"id": p.plan["erasure"], "d": known["document"]}])
            if entry.body is None:
                entry.digest = "11" * 32
        entry.at_fold = at_fold
        return entry

    def real(self, offset):
        """A stamp of the real authority, that long after now; its time goes to `times`."""
        def stamp(data):
            answer = self.bank.reply(self.bank.query(data), env={**os.environ, **at(offset)})
            said = bad_tokens.parts(bad_tokens.parts(self.bank.tst_info(answer))[0][1])[4][1].decode()
            self.times.append(f"{said[:4]}-{said[4:6]}-{said[6:8]}T{said[8:10]}:{said[10:12]}:{said[12:14]}.000Z")
            return answer, b""
        return stamp

    def stamped(self, stamps, words="", waited_by=None, more=None, seconds=SECONDS, **parts):
        """A bundle with these; `words`: what its issuer says of them; `more(p)` edits besides."""
        def first(p):
            start = p.find(STARTED)
            start.body = {k: v for k, v in start.body.items() if k != "waited_by"} | ({"waited_by": waited_by} if waited_by else {})
            tail = more(p) if more else ""
            for s in stamps:
                self.put(p, s)

            def say(files, leaves):
                claim = next(c for c in p.certificate["claims"] if c["id"] == "authorised")
                said = words() if callable(words) else words
                claim["detail"] = re.sub("waiting period .*", f"waiting period {seconds} seconds{said}{tail or ''}", claim["detail"])
            p.find(ISSUED).at_fold = say
        return self.bundle([], first=first, **parts)


def pair(begin=0, end=SECONDS, **more):
    return [Stamp(begin, **more), Stamp(end, **more)]


def honest(m):
    """(name, stamps, options of stamped, why, words, what counts)."""
    s, yes, early = m.shown, [True, True], {"over": APPROVED, "and_it": True}
    yield "none, as before", [], {}, NONE, "", []
    yield "none, by the host's clock", [], {"waited_by": "host"}, NONE, BY_HOST, []
    yield "none, and started as if", [], {"waited_by": "time-stamps"}, NONE, "", []
    yield "none, and by whom is no text", [], {"waited_by": 5}, NONE, "", []
    yield "the whole period", pair(), {"waited_by": "time-stamps"}, "", s(0, SECONDS), yes
    yield "the whole period, the host says less", pair(), {"waited_by": "host"}, "", s(0, SECONDS), yes
    yield "a millisecond less", pair(0, SECONDS - .001), {"waited_by": "host"}, some(1), BY_HOST, yes
    yield "a second less", pair(.5, SECONDS - .5), {}, some(1), "", yes
    yield "the later one recorded first", pair(SECONDS, 0), {}, "", s(0, SECONDS), yes
    yield "accuracy counts at both ends", pair(0, SECONDS + 1, accuracy=.5), {}, "", s(0, SECONDS + 1), yes
    yield "accuracy takes a millisecond away", pair(0, SECONDS + 1 - .001, accuracy=.5), {}, some(1), "", yes
    yield "one alone", [Stamp(SECONDS)], {}, some(0), "", [True]
    yield "begun right after the approval", [Stamp(0, **early), Stamp(SECONDS)], {}, "", s(0, SECONDS), yes
    yield "over a checkpoint before the approval", pair(over=APPROVED), {}, NONE, "", yes
    yield "begun over one with the approval, ended over one before", [Stamp(0), Stamp(SECONDS, over=APPROVED)], {}, "", s(0, SECONDS), yes
    yield "begun over one before the approval, ended over one with it", [Stamp(0, over=APPROVED), Stamp(SECONDS)], {}, some(0), "", yes
    yield "the second behind the first destruction", [Stamp(0), Stamp(SECONDS, before=DONE)], {}, some(0), "", yes
    yield "both behind the first destruction", pair(before=DONE), {}, NONE, "", yes
    yield "the second between start and destruction", [Stamp(0), Stamp(SECONDS, before=INTENDED)], {}, "", s(0, SECONDS), yes
    many = [Stamp(.5), Stamp(0, 1), Stamp(0, .5), Stamp(1), Stamp(SECONDS + .5), Stamp(SECONDS + 1, 1), Stamp(SECONDS + 1, .5)]
    yield "several", many, {}, "", s(.5, SECONDS + .5), [True] * 7
    yield "the host ahead by a minute", pair(-60, SECONDS - 60, **early), {}, "", s(-60, SECONDS - 60), yes
    yield "the host ahead by a minute and the accuracy", pair(-61, SECONDS - 59, accuracy=1, **early), {}, "", s(-61, SECONDS - 59), yes
    yield "of two authorities", [Stamp(0), Stamp(SECONDS, by="rogue")], {}, "", s(0, SECONDS), yes
    for name in ("checkpoint", "document", "authority"):
        yield f"the {name} of the first is missing", [Stamp(0, by="rogue", missing=(name,)), Stamp(SECONDS)], {}, some(0), "", [True]
    yield "64, and nothing of them is kept", 64 * [Stamp(0, missing=("checkpoint", "document", "authority"))], {}, NONE, "", []
    yield "one behind checkpoint A that is not opened", [*pair(), Stamp(0, before=ISSUED, body=lambda b: None)], {}, "", s(0, SECONDS), yes
    real = lambda: f", time-stamped from {m.times[0]} to {m.times[1]}"  # noqa: E731
    yield "by openssl itself", [Stamp(0, stamp=m.real("+0s")), Stamp(0, stamp=m.real("+1h"))], {}, "", real, yes
    yield "of another erasure first", pair(nodes=lambda n: [{"id": ERA, "d": "1" * 64}, *n]), {}, "", s(0, SECONDS), yes
    yield "of another erasure", pair(nodes=lambda n: [{"id": ERA, "d": "1" * 64}], body=lambda b: None), {}, NONE, "", []

    def jumped(p):
        found = p.insert(p.entries[p.entries.index(p.find(APPROVED)) + 1], "finding-recorded", [{"id": p.plan["vault"]}], body={"what": "clock-jumped", "detail": "x"})
        return f", counted from entry {p.entries.index(found)} (clock-jumped)"
    yield "the clock was set", pair(), {"more": jumped}, "", s(0, SECONDS), yes
    yield "the clock was set, by the host's clock", [], {"more": jumped, "waited_by": "host"}, NONE, BY_HOST, []

    def at_once(p):
        g = json.loads(p.files["approvals/genesis.json"])
        p.files["approvals/genesis.json"] = reissue.readable({k: v for k, v in g.items() if k != "waiting_seconds"})
        p.entries[0].body["waiting_seconds"] = 0
        m.genesis(None, [])(p)
        p.plan["waiting_seconds"] = 0
    yield "no waiting period", pair(), {"more": at_once, "seconds": 0, "waited_by": "host"}, "", "", yes
    yield "no waiting period, and none", [], {"more": at_once, "seconds": 0}, "", "", []


def of_others(m):
    """(name, files, trust, why, words, what counts): those who are not of the reader or of the rules, or were revoked."""
    s, rogue = m.shown, f"tsa-ca {m.rogue.root}\n"
    alone, words = m.trust.replace(rogue, ""), s(0, SECONDS)
    yield "of an authority that the reader does not know", m.stamped(pair(by="rogue"), words), alone, NONE, words, [False] * 2
    yield "of no authority at all that he knows", m.stamped(pair(), words), alone.replace(f"tsa-ca {m.bank.root}\n", ""), NONE, words, [False] * 2
    yield "the second of one that he does not know", m.stamped([Stamp(0), Stamp(SECONDS, by="rogue")], words), alone, some(0), words, [True, False]
    three = m.stamped([Stamp(1, by="rogue"), Stamp(0), Stamp(SECONDS)], words)
    yield "one more of one that he does not know", three, alone, "", words, [False, True, True]
    both = m.stamped([Stamp(0, by="rogue"), Stamp(1), Stamp(SECONDS + 1)], s(0, SECONDS + 1))
    yield "earlier ones of one that he does not know", both, alone, "", s(0, SECONDS + 1), [False, True, True]
    bound = {"more": m.genesis(m.anchors(time=[(m.bank, "root")]))}
    yield "of the rules", m.stamped(pair(), words, **bound), m.trust, "", words, [True] * 2
    yield "outside of the rules", m.stamped(pair(by="rogue"), words, **bound), m.trust, NONE, words, [False] * 2
    yield "the second outside of the rules", m.stamped([Stamp(0), Stamp(SECONDS, by="rogue")], words, **bound), m.trust, some(0), words, [True, False]
    index = (m.bank.dir / "index").read_text()
    good = m.bank.lists()
    m.bank.revoke("tsa", "20370101000000Z")
    lists = {"good": good, "revoked": m.bank.lists()}
    (m.bank.dir / "index").write_text(index)
    for name, text in lists.items():
        files = m.stamped(pair(), words)
        files["trust/signer.crl"] = text.encode()
        yield f"lists: {name}", files, m.trust, "" if name == "good" else NONE, words, [name == "good"] * 2


def lasting(m):
    """The same where tokens must last until now: under a certificate that is over soon."""
    s, words = m.shown, m.shown(0, SECONDS)
    over = m.approved // 1000 + SECONDS + 1
    ends = time.strftime("%Y%m%d%H%M%SZ", time.gmtime(over))
    m.bank.certify("short", "tsa", "/O=Bank/CN=Bank Short Time", "v3_tsa", dates=("20200101000000Z", ends))
    m.by["short"] = Clocked(m.bank, "short")
    must, signed = m.trust + "tsa-renewal required\n", {"inside": m.by["bank"], "beside": m.by["bank"]}
    files = m.stamped(pair(by="short"), words)
    yield "their certificate has ended", files, m.trust, "", words, [True] * 2
    yield "their certificate has ended, and they must last", files, must, NONE, words, [False] * 2
    yield "their certificate has ended, and tokens over the signature last", m.stamped(pair(by="short"), words, **signed), must, "", words, [True] * 2
    half = m.stamped(pair(by="short"), words, beside=m.by["bank"])
    yield "their certificate has ended, and one token over the signature lasts", half, must, NONE, words, [False] * 2
    yield "the second has ended", m.stamped([Stamp(0), Stamp(SECONDS, by="short")], words), must, some(0), words, [True, False]
    yield "they last", m.stamped(pair(), words), must, "", words, [True] * 2
    time.sleep(max(0, over + 1 - time.time()))


def ended(m):
    """(name, files, why, words, what counts, level): rejected or cancelled, and run all the same by who holds the ledger's key."""
    words = m.shown(0, SECONDS)

    def ends(kind, before=STARTED, erasure=None, lower=True):
        def more(p):
            era = erasure or p.plan["erasure"]
            p.insert(p.find(before), f"erasure-{kind}", [{"id": era, "is": kind}], body={"reason": "not yet"})
            if lower:
                claim = next(c for c in p.certificate["claims"] if c["id"] == "authorised")
                claim.update(level="absent", rests_on=[], premises=[])
        return {"more": more}
    for kind in ("rejected", "cancelled"):
        yield f"{kind} before it began", m.stamped(pair(), "", **ends(kind)), "", "", [True, True], "absent"
        yield f"{kind} before it began, and by the host's clock", m.stamped([], "", waited_by="host", **ends(kind)), "", "", [], "absent"
        yield f"{kind} before it was approved", m.stamped(pair(), "", **ends(kind, APPROVED)), "", "", [True, True], "absent"
        yield f"{kind} while it ran", m.stamped(pair(), "", **ends(kind, INTENDED)), "", "", [True, True], "absent"
        yield f"another one was {kind}", m.stamped(pair(), words, **ends(kind, erasure=ERA, lower=False)), "", words, [True, True], "proven"
        yield f"{kind}, and said to be authorised", m.stamped(pair(), words, **ends(kind, lower=False)), None, "", [], ""


def forged(m):
    """(name, stamps): invalid by the last of them alone; whoever passes it over, or takes it, finds what the issuer says."""
    early = {"over": APPROVED, "and_it": True}
    one = lambda **change: [*pair(**early), Stamp(1, **{**early, **change})]  # noqa: E731
    without = lambda name: lambda b: {k: v for k, v in b.items() if k != name}  # noqa: E731
    yield "not opened", one(body=lambda b: None)
    for name in ("size", "checkpoint", "document", "authority"):
        yield f"no {name} in the body", one(body=without(name))
    yield "a size as text", one(body=lambda b: {**b, "size": str(b["size"])})
    yield "a document that is null", one(body=lambda b: {**b, "document": None})
    yield "d is another's", one(nodes=lambda n: [{**n[0], "d": "1" * 64}])
    yield "d is another's, and nothing is kept", one(nodes=lambda n: [{**n[0], "d": "1" * 64}], missing=("checkpoint", "document", "authority"))
    yield "d stands at another erasure", one(nodes=lambda n: [{"id": ERA, "d": n[0]["d"]}, {"id": n[0]["id"]}])
    yield "a checkpoint of a fork", one(leaves=lambda x: [bytes(32), *x[1:]])
    yield "a checkpoint of another key", one(key=ed25519.Ed25519PrivateKey.generate())
    yield "a checkpoint of another origin", one(origin=OTHER)
    yield "a checkpoint of another size than it says", one(body=lambda b: {**b, "size": b["size"] - 1})
    yield "a checkpoint of more entries than were there", one(over=None, size=lambda n: n + 1, leaves=lambda x: x + [bytes(32)])
    yield "a checkpoint of no entries", one(size=lambda n: 0)
    yield "no checkpoint", one(note=lambda d: b"checkpoint\n")
    yield "a token over another checkpoint", one(stamped=lambda d: d + b"\n")
    yield "an altered token", one(answer=lambda d: d[:-1] + bytes([d[-1] ^ 1]))
    yield "a refusal", one(answer=lambda d: der(0x30, der(0x30, der(2, b"\2"))))
    yield "no answer", one(answer=lambda d: b"x")
    yield "a token whose accuracy is worse than a minute", [*pair(), Stamp(1, 61)]
    yield "the host ahead by more than a minute", [*pair(), Stamp(m.asked - 60.001, over=APPROVED)]
    yield "the host ahead by more than a minute and the accuracy", [*pair(), Stamp(m.asked - 61.001, 1, over=APPROVED)]
    yield "a chain that is none", one(chain=b"x")
    yield "a chain of 65", one(chain=m.by["bank"].chain + (m.bank.dir / "intermediate.pem").read_bytes() * 62)
    yield "a chain file of more than a MiB", one(chain=m.by["bank"].chain + b"x" * ((1 << 20) + 1 - len(m.by["bank"].chain)))
    yield "65, and nothing of most is kept", [*pair(), *63 * [Stamp(0, missing=("checkpoint", "document", "authority"))]]


def said(m):
    """(name, stamps, words, options): invalid, since the issuer says of them what they do not show."""
    words = m.shown(0, SECONDS)
    yield "words without time-stamps", [], words, {}
    yield "words of a host that does not say so", [], BY_HOST, {}
    yield "words of the host where it is shown", pair(), BY_HOST, {"waited_by": "host"}
    yield "words of other times", pair(), m.shown(0, SECONDS + 1), {}
    yield "no words where it is shown", pair(), "", {}
    first = lambda change: {"more": lambda p: p.entries[0].body.update(change(p.entries[0].body))}  # noqa: E731
    yield "entry 0 asks for less than the officers signed", pair(), words, first(lambda b: {"waiting_seconds": b["waiting_seconds"] - 1})
    yield "entry 0 asks for less than nothing", pair(), words, first(lambda b: {"waiting_seconds": -1})
    yield "entry 0 asks for a text", pair(), words, first(lambda b: {"waiting_seconds": str(b["waiting_seconds"])})
    yield "entry 0 says no waiting period", pair(), words, {"more": lambda p: p.entries[0].body.pop("waiting_seconds") and None}
    yield "entry 0 has another quorum", pair(), words, first(lambda b: {"quorum": b["quorum"] + 1})
    yield "words where a millisecond is missing", pair(0, SECONDS - .001), m.shown(0, SECONDS - .001), {}


def cases(issuer, trust, bank, rogue):
    m = Maker(issuer, trust, bank, rogue)
    last = list(lasting(m))
    for name, stamps, options, why, words, counts in honest(m):
        files = m.stamped(stamps, words, **options)
        yield Case(name, files, m.trust, (why, words() if callable(words) else words, counts))
    for name, files, with_trust, why, words, counts in [*of_others(m), *last]:
        yield Case(name, files, with_trust, (why, words, counts))
    for name, files, why, words, counts, level in ended(m):
        yield Case(name, files, m.trust, None if why is None else (why, words, counts), level)
    for name, stamps in forged(m):
        yield Case(name, m.stamped(stamps, m.shown(0, SECONDS)), m.trust, None)
    for name, stamps, words, options in said(m):
        yield Case(name, m.stamped(stamps, words, **options), m.trust, None)
