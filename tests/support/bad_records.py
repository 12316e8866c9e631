"""What an issuer who holds the vault's keys could say twice, out of form, or otherwise than its record: every reader says the same of it.

    for case in bad_records.cases(issuer): ...     # .name .files .verdict: that of kesu, of the second reader and of the page

Written from docs/spec/certificate.md ("Said once, and in form") alone.
"""
import collections
import copy
import json

import reissue
from reissue import canonical, sha

Case = collections.namedtuple("Case", "name files verdict")
INVALID, COMPLETE = "invalid", "complete"


def replaced(p, change, which):
    """The evidence that `which` takes, changed, under its new digest everywhere."""
    path = next(f for f in sorted(p.files) if f.startswith("evidence/") and p.files[f][:1] == b"{" and which(json.loads(p.files[f])))
    data = change(json.loads(p.files.pop(path)))
    data = data if isinstance(data, bytes) else canonical(data)
    p.files[f"evidence/{sha(data)}"] = data
    for e in p.entries:
        if e.body:
            e.body = json.loads(json.dumps(e.body).replace(path[9:], sha(data)))
    p.certificate = json.loads(json.dumps(p.certificate).replace(path[9:], sha(data)))


def evidence(which, change):
    def edit(p):
        replaced(p, change, which)
    return edit


def member(*path, value=None, drop=False):
    """A change of a JSON document at one place."""
    def change(v):
        at = v
        for k in path[:-1]:
            at = at[k]
        if drop:
            del at[path[-1]]
        else:
            at[path[-1]] = value(at[path[-1]]) if callable(value) else value
        return v
    return change


def is_receipt(v):
    return "accepted" in v


def is_birth_of(purpose):
    return lambda v: "left_out" in v and v["ref"]["purpose"] == purpose


def is_transcript(opened):
    """The one before (a sample opened) or after the destruction."""
    return lambda v: "request" in v and any(s["answer"] == "opened" for s in (v["answer"] or {}).get("samples", [])) == opened and v["request"]["samples"]


def entry(kind, change, of=lambda e: True):
    def edit(p):
        change(next(e for e in p.entries if e.type == kind and of(e)), p)
    return edit


def again(kind):
    def change(e, p):
        p.entries.insert(p.entries.index(e) + 1, copy.deepcopy(e))
    return entry(kind, change)


def of_control(e):
    return e.body and e.body.get("purpose") == "control"


def body(**members):
    def change(e, p):
        e.body = {**e.body, **members}
    return change


def without(name):
    def change(e, p):
        e.body = {k: v for k, v in e.body.items() if k != name}
    return change


def closed(e, p):
    e.leaf()
    e.body = None


def digest(e, p):
    e.header["nodes"] = [{**e.header["nodes"][0], "d": "0" * 64}, *e.header["nodes"][1:]]


def another_person(e, p):
    requester = p.find("erasure-requested").body["operator"]
    e.header["nodes"] = [n if not n["id"].startswith("opr-") else {"id": requester} for n in e.header["nodes"]]


def spaced(v):
    return json.dumps(v, sort_keys=True, ensure_ascii=False).encode()


def plans():
    """Plans that are none (docs/spec/erasure.md)."""
    for name, value in (("created", "soon"), ("policy_digest", "b5"), ("policy_digest", "0" * 64), ("exceptions", {}), ("windows", ""), ("exceptions", ["x"]),
                        ("waiting_seconds", -1), ("waiting_seconds", "0"), ("organisation", None), ("datasets", {})):
        yield f"a plan whose {name} is {value!r}", lambda p, n=name, v=value: p.plan.update({n: v}), INVALID
    for name in ("exceptions", "windows", "copies", "created", "policy_digest"):
        yield f"a plan without {name}", lambda p, n=name: p.plan.pop(n), INVALID
    yield "a plan with a member more", lambda p: p.plan.update(x=1), INVALID
    for name in ("datasets", "key_versions", "providers", "order"):
        yield f"a plan with a member more in {name}", lambda p, n=name: p.plan[n][0].update(x=1), INVALID
        yield f"a plan with {name} twice", lambda p, n=name: p.plan[n].append(p.plan[n][0]), INVALID
    yield "a plan whose canary is none", lambda p: p.plan["key_versions"][0].update(canary="x"), INVALID
    yield "a plan with a version beyond all numbers", lambda p: p.plan["order"][0].update(version="key-" + "0" * 32 + ".4294967296"), INVALID


def edits():
    yield "unchanged", lambda p: None, COMPLETE
    for kind in ("operator-enrolled", "dataset-added", "provider-added", "key-created", "seal-done", "destroy-done", "certificate-issued"):
        yield f"a second {kind}", again(kind), INVALID
    yield "no ledger-key-set", entry("ledger-key-set", lambda e, p: p.entries.remove(e)), INVALID
    yield "a ledger-key-set that is closed", entry("ledger-key-set", closed), INVALID
    yield "a ledger-key-set of another key", entry("ledger-key-set", lambda e, p: e.body.update(vkey="x")), INVALID
    yield "an approval whose header names another person", entry("erasure-approved", another_person), INVALID
    yield "a plan by a table of profiles of nobody", lambda p: p.plan.update(profile_digest="0" * 64), INVALID
    yield "a plan with a control key of nobody", lambda p: p.plan["providers"][0].update(control="key-" + "0" * 32 + ".1"), INVALID
    yield "a plan with a control key of another kind", lambda p: p.plan["providers"][0].update(control=p.plan["order"][0]["version"]), INVALID
    yield from plans()
    yield "the first entry's signatures, one twice", entry("genesis", lambda e, p: e.body["signatures"].append(e.body["signatures"][0])), INVALID
    yield "the first entry's signatures in another order", entry("genesis", lambda e, p: e.body["signatures"].reverse()), INVALID
    yield "a dataset-updated that is closed", entry("dataset-updated", closed), INVALID
    yield "a dataset-updated that changes a list", entry("dataset-updated", body(changes=[])), INVALID
    yield "an opening that names no process", entry("objects-opened", lambda e, p: e.header["nodes"].pop(0)), INVALID
    yield "an opening that names no dataset", entry("objects-opened", lambda e, p: e.header["nodes"].pop(1)), INVALID
    yield "an opening by an object", entry("objects-opened", lambda e, p: e.header["nodes"][0].update(id="obj-" + "0" * 32)), INVALID
    yield "an addition that names another dataset, too", entry("dataset-added", lambda e, p: e.header["nodes"].append({"id": "ds-" + "0" * 32})), INVALID
    yield "an identity of another digest", entry("provider-added", digest), INVALID
    yield "a birth of another digest", entry("key-created", digest, of_control), INVALID
    yield "a control key of another purpose", entry("key-created", body(purpose="wrap"), of_control), INVALID
    yield "a control key without a name", entry("key-created", without("name"), of_control), INVALID
    yield "a receipt without its result", evidence(is_receipt, member("result", drop=True)), INVALID
    yield "a receipt with a member more", evidence(is_receipt, lambda v: {**v, "x": 1}), INVALID
    yield "a receipt without a time", evidence(is_receipt, member("at", value="soon")), INVALID
    yield "a receipt that is not canonical", evidence(is_receipt, spaced), INVALID
    yield "a receipt of another key", evidence(is_receipt, member("before", "CKA_LABEL", value="x")), INVALID
    yield "a birth without left_out", evidence(is_birth_of("wrap"), member("left_out", drop=True)), INVALID
    yield "a control key's birth of another reference", evidence(is_birth_of("control"), member("ref", "check_value", value="000000")), INVALID
    yield "a birth of no purpose", evidence(is_birth_of("control"), member("ref", "purpose", value="controls")), INVALID
    for name, opened in (("before", True), ("after", False)):
        yield f"{name}: another sample", evidence(is_transcript(opened), member("request", "samples", 0, "blob", value=lambda b: "00" * (len(b) // 2))), INVALID
        yield f"{name}: a sample of another vault", evidence(is_transcript(opened), member("request", "samples", 0, "aad", value=lambda a: "00" * (len(a) // 2))), INVALID
        yield f"{name}: a request with a member more", evidence(is_transcript(opened), member("request", "x", value=1)), INVALID
        yield f"{name}: a key asked for twice", evidence(is_transcript(opened), member("request", "keys", value=lambda k: k + k)), INVALID
        yield f"{name}: not canonical", evidence(is_transcript(opened), spaced), INVALID
        yield f"{name}: an object of no check value", evidence(is_transcript(opened), member("answer", "enumeration", "objects", 0, "check_value", value="CKM")), INVALID
        yield f"{name}: an answer without its process", evidence(is_transcript(opened), member("answer", "pid", drop=True)), INVALID
        yield f"{name}: calls of any kind", evidence(is_transcript(opened), member("answer", "calls", value=["x", 1])), COMPLETE


def told(c):
    """What certificate.json may not say otherwise, by name."""
    def limit(words):
        next(x for x in c["limits"] if x["id"] == "file-names-readable")["en"] = words

    def claim(name, **members):
        next(x for x in c["claims"] if x["id"] == name).update(members)
    return {"a limit in other words": lambda: limit("No file name can be read."),
            "limits in another order": lambda: c["limits"].reverse(),
            "the evidence chain in another order": lambda: c["evidence_chain"].reverse(),
            "validated, by its own word": lambda: claim("validated", rests_on=["signature of the auditor"]),
            "plaintext history, by its own word": lambda: claim("plaintext-history", rests_on=["statement of the auditor"]),
            "dated, by its own word": lambda: claim("dated", detail="stamped in time"),
            "ledger stamped, by its own word": lambda: claim("logged", detail="checkpoint B stamped in time")}


def cases(issuer):
    for name, edit, verdict in edits():
        yield Case(name, issuer.issue(edit), verdict)
    for name in told(copy.deepcopy(issuer.original.certificate)):
        yield Case(name, issuer.issue(edit_certificate=lambda c, n=name: told(c)[n]()), INVALID)


def left_out(*path):
    def edit(p):
        at = p.certificate
        for k in path[:-1]:
            at = at[k]
        del at[path[-1]]
    return edit


def withdrawn_cases(issuer):
    """(name, files, verdict, levels that are "absent" to all): what certificate.json says makes these not invalid."""
    wrapped = lambda e: e.body.get("purpose") == "wrap"  # noqa: E731
    for name, edit, verdict, absent in (
            ("unchanged", lambda p: None, "incomplete", ()),
            ("the birth of the key closed", entry("key-created", closed, wrapped), INVALID, ()),
            ("the birth of the key named by nobody", entry("key-created", without("birth"), wrapped), INVALID, ()),
            ("the provider closed", entry("provider-added", closed), INVALID, ()),
            ("planned on an empty ledger", lambda p: p.plan["ledger"].update(size=-1), INVALID, ()),
            ("no destruction", lambda p: [p.entries.remove(e) for e in list(p.entries) if e.type == "destroy-done"], "incomplete", ("destroyed", "verified-gone")),
            ("a claim without a level", left_out("claims", 1, "level"), "incomplete", ()),
            ("a claim that is none", lambda p: p.certificate["claims"].__setitem__(3, "x"), "incomplete", ()),
            ("no erasure", left_out("erasure"), "incomplete", ()),
            ("no premises", left_out("premises"), "incomplete", ())):
        yield name, issuer.issue(edit, withdrawn=True), verdict, absent


def stamped(issuer, authority, words):
    """A bundle with time-stamps whose certificate.json says of `dated` and `logged` what only a reader can; with `words`, or without."""
    def sign(data):
        token = lambda value: reissue.der(0xa1, reissue.der(0x30, reissue.oid("1.2.840.113549.1.9.16.2.14"), reissue.der(0x31, authority.stamp(value)[1])))  # noqa: E731
        return reissue.cms(issuer.certificate_key, issuer.certificate, data, unsigned=token)

    def beside(files):
        files["time/certificate.json.p7s.tsr"], files["trust/tsa.pem"] = authority.stamp(files["certificate.json.p7s"])[0], authority.chain

    def say(c):
        for claim in c["claims"]:
            if claim["id"] in words:
                claim.update(words[claim["id"]])
        kept = {p["id"]: p for p in c["premises"]}
        c["premises"] = [kept[i] for i in sorted({i for claim in c["claims"] for i in claim["premises"]})]
    return issuer.issue(None, say, beside, sign)
