"""Bundles whose rules bind trust anchors, honest and forged, by an issuer who holds every key but those of the officers.

    for case in bad_anchors.cases(issuer, trust, bank, rogue): ...     # .name .files .trust .expect

`expect`: (level of dated, level of logged), or None: invalid. `bank` and `rogue` are time-stamp authorities (tsa.Tsa). The reader's
trust file names both, and both witnesses: what does not count does so by the rules alone. Written from docs/spec alone.
"""
import base64
import collections
import hashlib
import json
import os
import pathlib
import sys
import time

from cryptography.hazmat.primitives.asymmetric import ed25519

sys.path.insert(0, str(pathlib.Path(__file__).parents[1] / "cli"))
import bad_changes
import countersigned
import reissue
import renewals
from clock_test import at

Case = collections.namedtuple("Case", "name files trust expect")
STAMP = "1.2.840.113549.1.9.16.2.14"
TSR, CHAIN = "time/certificate.json.p7s.tsr", "trust/tsa.pem"


class Witness:
    def __init__(self, name):
        self.name, self.key = name, ed25519.Ed25519PrivateKey.generate()
        public = b"\x04" + self.key.public_key().public_bytes(*reissue.RAW)
        self.id = hashlib.sha256(name.encode() + b"\n" + public).digest()[:4]
        self.vkey = f"{name}+{self.id.hex()}+{base64.b64encode(public).decode()}"

    def line(self, note, at=None, name=None, bad=False):
        """A cosignature of a note (C2SP tlog-cosignature)."""
        text, at = note.decode().rpartition("\n\n")[0] + "\n", int(time.time()) if at is None else at
        value = at.to_bytes(8, "big") + self.key.sign(f"cosignature/v1\ntime {at}\n{text}".encode())
        value = value[:-1] + bytes([value[-1] ^ bad])
        return f"\u2014 {name or self.name} {base64.b64encode(self.id + value).decode()}\n".encode()


class Maker:
    """A forger's bundles, with tokens of the authorities that it is told."""

    def __init__(self, issuer, trust, bank, rogue):
        self.issuer, self.forger, self.bank, self.rogue = issuer, bad_changes.Forger(issuer), bank, rogue
        self.w1, self.w2 = Witness("witness.example/w1"), Witness("witness.example/w2")
        self.trust = trust + f"tsa-ca {bank.root}\ntsa-ca {rogue.root}\nwitness {self.w1.vkey}\nwitness {self.w2.vkey}\n"

    def anchors(self, time=None, witnesses=None, quorum=1):
        out = {"time_authorities": sorted(({"name": f"CN={n}", "sha256": t.digest(n)} for t, n in time), key=lambda t: t["sha256"])} if time else {}
        return out | ({"witnesses": sorted(w.vkey for w in witnesses), "witness_quorum": quorum} if witnesses else {})

    def rules(self, anchors, **more):
        change = {"what": "rules", "profile": "low", "quorum": 1, "waiting_seconds": 0} | ({"anchors": anchors} if anchors is not None else {})
        return {"change": change, "signers": [self.forger.approver], **more}

    def genesis(self, anchors, said=True):
        """An edit: the genesis statement with these anchors, signed by every officer; entry 0 says the same, or what `said` lists."""
        def edit(p):
            entry, data = p.entries[0], p.files["approvals/genesis.json"]
            if anchors is not None:
                data = p.files["approvals/genesis.json"] = reissue.readable({**json.loads(data), "anchors": anchors})
            entry.header["nodes"] = [{**entry.header["nodes"][0], "d": reissue.sha(data)}]
            for s in entry.body["signatures"]:
                path = f"approvals/genesis.{s['operator']}.sig"
                p.files[path] = reissue.ssh_sign(self.issuer.officers[s["operator"]], data, "kesu-genesis-v1")
                s["signature"] = reissue.sha(p.files[path])
            entry.body["statement"] = reissue.sha(data)
            for value in [anchors] if said is True else said:
                entry.body["anchors"] = value
        return edit

    def bundle(self, steps, inside=None, beside=None, over_b=None, cosigned=(), edit_files=None, first=None):
        issuer, own = self.issuer, type(self.issuer).issue

        def sign(data):
            token = (lambda value: reissue.der(0xa1, reissue.der(0x30, reissue.oid(STAMP), reissue.der(0x31, inside.stamp(value)[1])))) if inside else b""
            return reissue.cms(issuer.certificate_key, issuer.certificate, data, unsigned=token)

        def stamps(files):
            if beside:
                files[TSR] = beside.stamp(files["certificate.json.p7s"])[0]
            if inside or beside:
                files[CHAIN] = b"".join(t.chain for t in {id(t): t for t in (inside, beside) if t}.values())
        issuer.issue = lambda edit=None, edit_certificate=None, edit_files=None: own(
            issuer, lambda p: (first and first(p), edit and edit(p)), edit_certificate, lambda f: (stamps(f), edit_files and edit_files(f)), sign)
        try:
            files = self.forger.bundle(steps, None, edit_files)
        finally:
            del issuer.issue
        note = files["ledger/checkpoint-b"]
        files["ledger/checkpoint-b"] = note = note + b"".join(w.line(note) for w in cosigned)
        if over_b:
            files["time/checkpoint-b.tsr"], files["time/checkpoint-b.pem"] = over_b.stamp(note)[0], over_b.chain
        return files


def honest(m):
    """(name, steps, tokens and cosignatures, dated, logged)."""
    bank, rogue, w1, w2 = m.bank, m.rogue, m.w1, m.w2
    time_of = lambda n="root": m.anchors(time=[(bank, n)])  # noqa: E731
    whole = m.anchors(time=[(bank, "root")], witnesses=[w1])
    stamped = lambda t: {"inside": t, "beside": t, "over_b": t}  # noqa: E731
    yield "nothing bound", [], {**stamped(rogue), "cosigned": [w2]}, "attested", "proven"
    yield "all of the rules", [m.rules(whole)], {**stamped(bank), "cosigned": [w1]}, "attested", "proven"
    yield "all of others", [m.rules(whole)], {**stamped(rogue), "cosigned": [w2]}, "absent", "asserted"
    yield "the token inside of another", [m.rules(whole)], {**stamped(bank), "inside": rogue}, "absent", "proven"
    yield "the token beside of another", [m.rules(whole)], {**stamped(bank), "beside": rogue}, "absent", "proven"
    yield "the token over B of another", [m.rules(whole)], {**stamped(bank), "over_b": rogue}, "attested", "asserted"
    yield "the token over B of another, a witness of the rules", [m.rules(whole)], {**stamped(bank), "over_b": rogue, "cosigned": [w1]}, "attested", "attested"
    for n in ("intermediate", "tsa"):
        yield f"bound by the {n} certificate", [m.rules(time_of(n))], stamped(bank), "attested", "proven"
    yield "one of two is bound", [m.rules(m.anchors(time=[(bank, "root"), (rogue, "intermediate")]))], stamped(rogue), "attested", "proven"
    yield "only witnesses bound", [m.rules(m.anchors(witnesses=[w1]))], {"inside": rogue, "beside": rogue, "cosigned": [w2]}, "attested", "asserted"
    yield "two witnesses, one signed", [m.rules(m.anchors(witnesses=[w1, w2], quorum=2))], {"cosigned": [w1]}, "absent", "asserted"
    yield "two witnesses, both signed", [m.rules(m.anchors(witnesses=[w1, w2], quorum=2))], {"cosigned": [w1, w2]}, "absent", "attested"
    genesis = {"first": m.genesis(whole)}
    yield "all of the rules of genesis", [], {**stamped(bank), "cosigned": [w1], **genesis}, "attested", "proven"
    yield "all of another than genesis says", [], {**stamped(rogue), "cosigned": [w2], **genesis}, "absent", "asserted"
    late = {"before": "erasure-approved"}
    yield "bound after the request", [m.rules(whole, **late)], {**stamped(rogue), "cosigned": [w2]}, "attested", "proven"
    off = {"from": {"anchors": whole}}
    yield "taken off before the request", [m.rules(whole), m.rules(None, **off)], {**stamped(rogue), "cosigned": [w2]}, "attested", "proven"
    yield "taken off after the request", [m.rules(whole), m.rules(None, **late, **off)], {**stamped(rogue), "cosigned": [w2]}, "absent", "asserted"


def forged(m):
    """(name, steps, edit_files): invalid."""
    w1, w2, good = m.w1, m.w2, m.anchors(time=[(m.bank, "root")], witnesses=[m.w1])
    authority = good["time_authorities"][0]
    low = Witness("witness.example/w1")
    low.id = b"\x00" * 4
    wrong = {"empty": {}, "no object": [], "null": None, "a member more": {**good, "note": "x"}, "no authorities": {"time_authorities": []},
             "no quorum": {"witnesses": [w1.vkey]}, "a quorum alone": {"witness_quorum": 1}, "a quorum of none": {**good, "witness_quorum": 0},
             "a quorum above": {**good, "witness_quorum": 2}, "a quorum that is true": {**good, "witness_quorum": True},
             "twice": {"time_authorities": [authority] * 2}, "not in order": {"witnesses": sorted((w1.vkey, w2.vkey), reverse=True), "witness_quorum": 1},
             "too many": {"time_authorities": [{"name": "x", "sha256": f"{n:064x}"} for n in range(17)]},
             "a digest in capitals": {"time_authorities": [{**authority, "sha256": "AB" * 32}]}, "half a digest": {"time_authorities": [{**authority, "sha256": "ab" * 16}]},
             "no name": {"time_authorities": [{**authority, "name": ""}]}, "a long name": {"time_authorities": [{**authority, "name": "x" * 257}]},
             "a name with another digest": {"time_authorities": [{**authority, "name": f"CN=Bank Root,sha256:{m.bank.digest()}"}]},
             "a name with a digest in capitals": {"time_authorities": [{**authority, "name": f"SHA256:{m.bank.digest()}"}]},
             "a name that ends its quotation": {"time_authorities": [{**authority, "name": 'Bank", of the rules'}]},
             "a name of two lines": {"time_authorities": [{**authority, "name": "x\ny"}]}, "a log's key": {"witnesses": [m.issuer.vkey], "witness_quorum": 1},
             "a key id of another": {"witnesses": [w1.vkey.replace(w1.id.hex(), "00000000")], "witness_quorum": 1},
             "one key under two names": {"witnesses": sorted((w1.vkey, renamed(w1))), "witness_quorum": 1}}
    for name, anchors in wrong.items():
        yield f"anchors: {name}", [{**m.rules(None), "change": {**m.rules(None)["change"], "anchors": anchors}}], None
    yield "the anchors in `from` left out", [m.rules(good), m.rules(None)], None
    yield "anchors left out in the entry", [m.rules(good, body=lambda b: {**b, "change": {k: v for k, v in b["change"].items() if k != "anchors"}})], None
    other = m.anchors(time=[(m.rogue, "root")])
    yield "other anchors in the entry", [m.rules(good, body=lambda b: {**b, "change": {**b["change"], "anchors": other}})], None
    yield "the summary without them", [m.rules(good, statement=lambda s: {**s, "summary": [line for line in s["summary"] if "count only" not in line]})], None

    def edited(files, done):
        path = f"approvals/change.{done[0][0]}.json"
        files[path] = files[path].replace(authority["sha256"].encode(), m.rogue.digest().encode())
    yield "the statement edited after it was signed", [m.rules(good)], edited
    yield "signed by nobody who may", [m.rules(good, signers=[m.forger.auditor])], None


def forged_genesis(m):
    """(name, edit): invalid."""
    good = m.anchors(time=[(m.bank, "root")], witnesses=[m.w1])
    yield "anchors in entry 0 alone", m.genesis(None, [good])
    yield "anchors in the genesis statement alone", m.genesis(good, [])
    yield "other anchors in entry 0", m.genesis(good, [m.anchors(time=[(m.rogue, "root")])])
    yield "a quorum in entry 0 that is true", m.genesis(good, [{**good, "witness_quorum": True}])
    yield "no anchors in entry 0, as null", m.genesis(None, [None])
    yield "no anchors in entry 0, as 0", m.genesis(None, [0])
    yield "anchors of genesis that bind nothing", m.genesis({}, [{}])

    def closed(p):
        m.genesis(good)(p)
        p.entries[0].body, p.entries[0].digest = None, "11" * 32
    yield "entry 0 is not opened", closed


class Another:
    """Tokens of an authority under another of its certificates, in another time, or `alone`: neither they nor their chain file have the
    certificate's issuer."""

    def __init__(self, of, certificate="tsa", env=None, alone=False):
        self.of, self.certificate, self.env, self.alone = of, certificate, env, alone
        self.chain = b"".join((of.dir / f"{n}.pem").read_bytes() for n in (certificate, "intermediate", "root")[:1 if alone else 3])

    def reply(self, query, env=None):
        return self.of.reply(query, env=env or self.env)

    def query(self, data):
        return self.of.query(data)

    @property
    def intermediate(self):
        return self.of.intermediate

    def stamp(self, data):
        answer = self.reply(self.query(data))
        if self.certificate != "tsa" or self.alone:
            answer = self.of.wrap(self.of.tst_info(answer), self.certificate, chain=not self.alone)
        return answer, countersigned.token_of(answer)


def renewed(m, files, by, over_b):
    """The bundle with a renewal by these authorities, one after the other, and checkpoint B stamped by another."""
    f = renewals.Forger.__new__(renewals.Forger)
    f.issuer, f.files, f.n, f.certificate = m.issuer, dict(files), 0, json.loads(files["certificate.json"])["id"]
    for f.tsa in by:
        f.renew(None)
    f.files["time/checkpoint-b.tsr"], f.files["time/checkpoint-b.pem"] = over_b.stamp(f.files["ledger/checkpoint-b"])[0], over_b.chain
    return f.files


def renewals_of(m):
    """(name, files, dated, logged): when a renewal lets the reader alone say who may stamp checkpoint B."""
    bank, rogue, rules = m.bank, m.rogue, [m.rules(m.anchors(time=[(m.bank, "root")]))]
    day = lambda n: time.strftime("%Y%m%d000000Z", time.gmtime(time.time() + n * 86400))  # noqa: E731
    bank.certify("short", "tsa", "/O=Bank/CN=Bank Short Time", "v3_tsa", dates=(day(-3), day(5)))
    later = lambda t: Another(t, env={**os.environ, **at("+10d")})  # noqa: E731
    long, short = (m.bundle(rules, inside=t, beside=t) for t in (bank, Another(bank, "short")))
    yield "renewed at once by another, as is B, of another", renewed(m, long, [rogue], rogue), "attested", "asserted"
    yield "renewed at once by the rules', then by another, B of another", renewed(m, long, [bank, rogue], rogue), "attested", "asserted"
    yield "renewed by the rules', B by the rules'", renewed(m, long, [bank], bank), "attested", "proven"
    yield "renewed by the rules', B by one that they do not name", renewed(m, long, [bank], rogue), "attested", "proven"
    yield "renewed by another, B when the rules' are over", renewed(m, short, [rogue], later(rogue)), "attested", "proven"
    yield "renewed by another, B before the rules' are over, of another", renewed(m, short, [rogue], rogue), "attested", "asserted"
    yield "renewed by another, B later and the rules' not over, of another", renewed(m, long, [rogue], later(rogue)), "attested", "asserted"


NO_NAMES = (0x01, 0x1f, 0x2b, 0x7f, 0x80, 0x85, 0x9f, 0xa0, 0x1680, 0x2000, 0x200a, 0x2028, 0x2029, 0x202f, 0x205f, 0x3000)
NAMES = (0x22, 0xa1, 0x180e, 0x200b, 0x2060, 0x3001, 0xfeff, 0xe000, 0x1f600)


def cosigned(m):
    """(name, files, logged, None: invalid): cosignature lines, which whoever holds a bundle can write without any key."""
    w, plain = m.w1, m.bundle([])
    bound = m.bundle([m.rules(m.anchors(witnesses=[w]))])

    def with_lines(files, *lines):
        note = files["ledger/checkpoint-b"]
        return {**files, "ledger/checkpoint-b": note + b"".join(w.line(note, **of) for of in lines)}
    yield "a good and a bad line of a witness", with_lines(plain, {}, {"bad": True}), "asserted"
    yield "a bad and a good line of a witness", with_lines(plain, {"bad": True}, {}), "asserted"
    yield "a bad and a good line of a bound witness", with_lines(bound, {"bad": True}, {}), "asserted"
    yield "two good lines of a witness", with_lines(plain, {"at": 5}, {}), "attested"
    yield "a good line of a witness, a bad one under another name", with_lines(plain, {}, {"bad": True, "name": "x"}), "attested"
    for at, level in {0: "attested", 2**53 - 1: "attested", 2**53 + 1: "attested", 2**63 - 1: "attested", 2**63: "asserted", 2**64 - 1: "asserted"}.items():
        yield f"cosigned at {at}", with_lines(plain, {"at": at}), level
    names = {f"x{chr(c)}y": f"U+{c:04X}" for c in (*NO_NAMES, *NAMES)} | {"n" * 255: "255 bytes", "n" * 256: "256 bytes", "\u6728" * 85: "255 bytes in three", "\u6728" * 85 + "n": "256 in three"}
    for name, said in names.items():
        good = len(name.encode()) <= 255 and not any(ord(c) in NO_NAMES for c in name)
        yield f"a cosigner's name: {said}", with_lines(plain, {"name": name}), "asserted" if good else None
    for n, level in ((255, "attested"), (256, None)):
        long = Witness("w" * n)
        yield f"a bound witness's name of {n} bytes", m.bundle([m.rules(m.anchors(witnesses=[long, w]))], cosigned=[w]), level


def renamed(w):
    public = base64.b64decode(w.vkey.split("+", 2)[2])
    name = "witness.example/other"
    return f"{name}+{hashlib.sha256(name.encode() + chr(10).encode() + public).hexdigest()[:8]}+{base64.b64encode(public).decode()}"


def cases(issuer, trust, bank, rogue):
    m = Maker(issuer, trust, bank, rogue)
    for name, steps, parts, dated, logged in honest(m):
        yield Case(name, m.bundle(steps, **parts), m.trust, (dated, logged))
    both = m.bundle([m.rules(m.anchors(time=[(bank, "root")], witnesses=[m.w1, m.w2], quorum=2))], bank, bank, bank, [m.w1, m.w2])
    yield Case("the reader knows no authority of the rules", both, m.trust.replace(f"tsa-ca {bank.root}\n", ""), ("absent", "attested"))
    alone = m.trust.replace(f"witness {m.w2.vkey}\n", "").replace(f"tsa-ca {bank.root}\n", "")
    yield Case("the reader knows one of two witnesses", both, alone, ("absent", "attested"))
    yield Case("the reader asks for more witnesses", both, alone + "quorum 2\n", ("absent", "asserted"))
    one = m.bundle([m.rules(m.anchors(witnesses=[m.w1]))], cosigned=[m.w1, m.w2])
    yield Case("the reader knows only a witness that is not of the rules", one, m.trust.replace(f"witness {m.w1.vkey}\n", ""), ("absent", "asserted"))
    yield Case("the reader knows both", one, m.trust, ("absent", "attested"))
    alone, rules = Another(bank, alone=True), [m.rules(m.anchors(time=[(bank, "intermediate")]))]
    for binds, steps in (("nothing", []), ("the intermediate", rules)):
        more = ", of another" if steps else ""
        yield Case(f"the issuer of the signature's tokens beside B alone, rules bind {binds}{more}", m.bundle(steps, alone, alone, bank), m.trust, ("absent", "proven"))
        yield Case(f"the issuer of B's token beside the signature alone, rules bind {binds}{more}", m.bundle(steps, bank, bank, alone), m.trust, ("attested", "asserted"))
    for name, files, dated, logged in renewals_of(m):
        yield Case(name, files, m.trust, (dated, logged))
    for name, files, logged in cosigned(m):
        yield Case(name, files, m.trust, logged and ("absent", logged))
    for name, steps, edit in forged(m):
        yield Case(name, m.bundle(steps, edit_files=edit), m.trust, None)
    for name, edit in forged_genesis(m):
        yield Case(name, m.bundle([], first=edit), m.trust, None)
