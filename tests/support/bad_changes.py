"""Changes of people and rules after genesis, forged: bundles of an issuer who holds every key but those of the people.

    for name, files, trust, expect in bad_changes.cases(issuer, trust): ...

Each is told as its issuer would: certificate.json, allowed_signers and trust say what he wants to be believed, so that a
reader who counts a signature that does not count calls the bundle complete. Written from docs/spec alone.
"""
import base64
import datetime
import hashlib
import json

from cryptography.hazmat.primitives.asymmetric import ed25519

import reissue
from reissue import readable, sha

GOOD, BAD = "good", "bad"
ROLES = ("operator", "approver", "verifier", "validator", "auditor")
NEW, NAME = "opr-" + "3" * 32, "Mallory"
SPACES = {"operator": "kesu-request-v1", "approver": "kesu-approve-v1"}


def fingerprint(line):
    return "SHA256:" + base64.b64encode(hashlib.sha256(base64.b64decode(line.split()[1])).digest()).decode().rstrip("=")


def shifted(time, days):
    at = datetime.datetime.strptime(time, "%Y-%m-%dT%H:%M:%S.%fZ") + datetime.timedelta(days=days)
    return at.strftime("%Y-%m-%dT%H:%M:%S.") + f"{at.microsecond // 1000:03}Z"


def roles_text(change):
    return ", ".join(r["role"] + (f" until {r['until']}" if "until" in r else "") for r in change["roles"])


def rules_text(r):
    return f"quorum {r['quorum']}, waiting period {r['waiting_seconds']} s, profile {r['profile']}"


def anchor_lines(to, before):
    """Of well-formed anchors; whatever else a forger puts there has the lines of none."""
    try:
        under = lambda a: [f"under sha256:{t['sha256']}, \"{t['name']}\"" for t in (a or {}).get("time_authorities", [])]  # noqa: E731
        of = lambda a: list((a or {}).get("witnesses", []))  # noqa: E731
        out = [f"Time-stamps count only {t}" for t in under(to)]
        out += ["Time-stamps count under any authority from then on"] if under(before) and not out else []
        out += [f"Cosignatures count only of {w}" for w in of(to)]
        out += [f"At least {to['witness_quorum']} of these witnesses must sign"] if of(to) else (
            ["Cosignatures count of any witness from then on"] if of(before) else [])
        out += [f"Until now: time-stamps {t}" for t in under(before)] + [f"Until now: cosignatures of {w}" for w in of(before)]
        return out + ([f"Until now: at least {before['witness_quorum']} of these witnesses"] if of(before) else [])
    except (AttributeError, KeyError, TypeError):
        return []


def summary(change, before):
    end = [f"The enrolment ends {change['until']}"] if "until" in change else []
    if change["what"] == "revoke":
        return [f"Revokes {change['name']}: from then on no signature of theirs counts",
                "Approvals of theirs are void where the erasure has not begun", "Takes effect at once"]
    lines = {"enrol": lambda: [f"Enrols {change['name']} ({change['title']}) as {roles_text(change)}",
                               f"With the key {change['fingerprint']}", *end],
             "roles": lambda: [f"Gives {change['name']} these roles and no others: {roles_text(change)}",
                               *(end or ["The enrolment has no end"])],
             "rules": lambda: [f"Sets {rules_text(change)}", f"Until now: {rules_text(before)}",
                               *anchor_lines(change.get("anchors"), before.get("anchors"))]}[change["what"]]()
    return lines + [f"Takes effect {before['waiting_seconds']} s after it is recorded; erasures requested before then keep what was in force"]


class Forger:
    def __init__(self, issuer):
        self.issuer, original = issuer, issuer.original
        self.genesis = json.loads(original.files["approvals/genesis.json"])
        ids = [line.split()[0] for line in original.files["approvals/allowed_signers"].decode().splitlines()]
        self.people = {o: dict(person) for o, person in zip(ids, self.genesis["officers"])}
        self.request = next(k[1] for k in original.statements if k[0] == "request")
        self.approver = next(k[1] for k in original.statements if k[0] == "approve")
        self.second = next(o for o, p in self.people.items() if p["roles"] == ["approver"] and o != self.approver)
        self.auditor = next(o for o, p in self.people.items() if p["roles"] == ["auditor"])
        self.key = ed25519.Ed25519PrivateKey.generate()
        self.line = reissue.ssh_line(self.key)
        self.keys = {**issuer.officers, NEW: self.key}

    def enrol(self, **more):
        return {"what": "enrol", "operator": NEW, "name": NAME, "title": "Deputy", "public_key": self.line,
                "fingerprint": fingerprint(self.line), "roles": [{"role": "approver"}], **more}

    def roles(self, operator, *roles, **more):
        return {"what": "roles", "operator": operator, "name": self.people[operator]["name"],
                "roles": [r if isinstance(r, dict) else {"role": r} for r in roles], **more}

    def revoke(self, operator):
        return {"what": "revoke", "operator": operator, "name": self.people[operator]["name"]}

    def bundle(self, steps, approve_by=None, edit_files=None):
        """`steps`: {change, signers, before (type of an entry), statement(s), raw, namespace, keys, body, nodes} in order."""
        done = []                                       # (seq, change, signers)

        def edit(p):
            last = 0
            for step in steps:
                before = p.find(step.get("before", "erasure-requested"))
                change = step["change"]
                entry = p.insert(before, "rules-changed", [{"id": p.plan["vault"]}])
                time, seq = entry.header["time"], p.entries.index(entry)
                rules = {"profile": "low", "quorum": 1, "waiting_seconds": 0, **step.get("from", {})}
                s = {"type": "kesu-change-v1", "vault": p.plan["vault"], "organisation": self.genesis["organisation"], "issued": time,
                     "change": change, "reason": "as agreed", "from": {"since": last, **rules}, "summary": summary(change, rules)}
                s = step.get("statement", lambda x: x)(s)
                data = step.get("raw", lambda d: d)(readable(s))
                if "again" in step:
                    data = p.files[f"approvals/change.{done[step['again']][0]}.json"]
                signatures = {o: reissue.ssh_sign(step.get("keys", {}).get(o, self.keys[o]), data, step.get("namespace", "kesu-change-v1"))
                              for o in step["signers"]}
                if "again" in step:
                    old = done[step["again"]][0]
                    signatures = {o: p.files[f"approvals/change.{old}.{o}.sig"] for o in step["signers"]}
                p.files[f"approvals/change.{seq}.json"] = data
                for o, signature in signatures.items():
                    p.files[f"approvals/change.{seq}.{o}.sig"] = signature
                is_ = {"enrol": {"is": "enrolled"}, "revoke": {"is": "revoked"}}.get(change["what"], {})
                entry.header["nodes"] = step.get("nodes", lambda n: n)(
                    [{"id": p.plan["vault"], "d": sha(data)}] + ([{"id": change["operator"], **is_}] if "operator" in change else []))
                entry.body = step.get("body", lambda b: b)({
                    "statement": sha(data), "change": change, "reason": "as agreed",
                    "signatures": [{"operator": o, "signature": sha(d)} for o, d in signatures.items()]})
                if entry.body is None:
                    entry.digest = "11" * 32
                done.append((seq, change, sorted(signatures), time))
                last = seq
            if approve_by:
                name = NAME if approve_by == NEW else self.people[approve_by]["name"]
                statement = {**p.statements.pop(("approve", self.approver)), "operator": approve_by, "name": name}
                p.statements["approve", approve_by] = statement
                p.signing["approve", approve_by] = (self.keys[approve_by], None)
                entry = p.find("erasure-approved")
                entry.body["operator"] = approve_by
                entry.header["nodes"] = [n if n["id"] != self.approver else {"id": approve_by} for n in entry.header["nodes"]]
                for ending in ("json", "json.sig"):
                    p.files.pop(f"approvals/approve.{self.approver}.{ending}", None)
            p.files["approvals/allowed_signers"] = self.allowed_signers(done)

        def certificate(c):
            if approve_by:
                row = next(r for r in c["people"] if r["action"] == "approve")
                old = row["name"]
                line = self.line if approve_by == NEW else self.people[approve_by]["public_key"]
                row.update(operator=approve_by, name=self.name(approve_by), fingerprint=fingerprint(line),
                           title="Deputy" if approve_by == NEW else self.people[approve_by]["title"])
                for claim in c["claims"]:
                    claim["rests_on"] = [t.replace(f"signature of {old} (approve)", f"signature of {row['name']} (approve)")
                                         for t in claim["rests_on"]]
                for link in c["evidence_chain"]:
                    link["part"] = link["part"].replace(f"approve, {old}", f"approve, {row['name']}")
            for ending in ("", " (digest)"):
                at = next(i for i, r in enumerate(c["evidence_chain"]) if r["part"].startswith("request, ") and r["part"].endswith(")") == bool(ending))
                like = c["evidence_chain"][at]
                c["evidence_chain"][at:at] = [{**like, "part": f"change {seq}, {self.name(o)}{ending}"} for seq, _, who, _ in done for o in who]

        return self.issuer.issue(edit=edit, edit_certificate=certificate, edit_files=(lambda f: edit_files(f, done)) if edit_files else None)

    def name(self, operator):
        return NAME if operator == NEW else self.people[operator]["name"]

    def allowed_signers(self, done):
        def ssh_time(time, up):
            at = datetime.datetime.strptime(time, "%Y-%m-%dT%H:%M:%S.%fZ")
            at += datetime.timedelta(seconds=1) if up and at.microsecond else datetime.timedelta()
            return at.strftime("%Y%m%d%H%M%SZ")
        out = ""
        for o in [*self.people, *dict.fromkeys(c["operator"] for _, c, _, _ in done if c["what"] == "enrol")]:
            mine = [(c, t) for _, c, _, t in done if c.get("operator") == o]
            new = o not in self.people
            ever = set([] if new else self.people[o]["roles"]) | {r["role"] for c, _ in mine for r in c.get("roles", [])}
            spaces = ["kesu-change-v1" if new else "kesu-genesis-v1"] + [SPACES[r] for r in ("operator", "approver") if r in ever]
            spaces += ["kesu-change-v1"] if done and not new and "approver" in ever else []
            options = f'namespaces="{",".join(spaces)}"' + (f',valid-after="{ssh_time(mine[0][1], False)}"' if new else "")
            given = [c for c, _ in mine if "roles" in c]
            ends = [ssh_time(given[-1]["until"], True)] if given and "until" in given[-1] else []
            ends += [ssh_time(t, True) for c, t in mine if c["what"] == "revoke"][:1]
            options += f',valid-before="{min(ends)}"' if ends else ""
            line = mine[0][0]["public_key"] if new else self.people[o]["public_key"]
            out += f"{o} {options} {line}\n"
        return out.encode()


def cases(issuer, trust):
    f = Forger(issuer)
    trust += f"officer {f.line}\n"
    both = [f.approver, NEW]
    enrol = {"change": f.enrol(), "signers": both}
    one = lambda name, steps, by=NEW, expect=BAD, edit_files=None: (f"changes: {name}", f.bundle(steps, by, edit_files), trust, expect)
    began = issuer.original.find("erasure-requested").header["time"]

    yield one("enrolled, and approves", [enrol], expect=GOOD)
    yield one("a role given, and used", [{"change": f.roles(f.auditor, "approver", "auditor"), "signers": [f.approver]}], f.auditor, GOOD)
    yield one("somebody else revoked", [{"change": f.revoke(f.second), "signers": [f.approver]}], None, GOOD)
    yield one("enrolled, revoked, and another enrolment of nobody", [{"change": f.revoke(f.second), "signers": [f.approver]}, enrol], expect=GOOD)

    for name, signers in (("no approver signs", [NEW]), ("the newcomer does not sign", [f.approver]), ("an operator signs", [f.request, NEW]),
                          ("an auditor signs", [f.auditor, NEW]), ("nobody signs", [])):
        yield one(f"enrolled, and {name}", [{**enrol, "signers": signers}])
    yield one("enrolled after the request", [{**enrol, "before": "erasure-approved"}])
    yield one("enrolled after the approval", [{**enrol, "before": "erasure-started"}])
    yield one("signed by somebody revoked", [{"change": f.revoke(f.second), "signers": [f.approver]}, {**enrol, "signers": [f.second, NEW]}])
    yield one("revoked before he approves", [enrol, {"change": {**f.revoke(f.second), "operator": NEW, "name": NAME}, "signers": [f.approver]}])
    for when in ("erasure-requested", "erasure-approved", "erasure-started"):
        revoked = {"change": f.revoke(f.approver), "signers": [f.second], "before": when}
        yield one(f"the approver revoked before {when}", [revoked], None)
        yield one(f"the requester revoked before {when}", [{"change": f.revoke(f.request), "signers": [f.approver], "before": when}], None)
        yield one(f"revoked without a quorum before {when}", [{**revoked, "signers": [f.auditor]}], None)
    grant = {"change": f.roles(f.auditor, "approver", "auditor"), "signers": [f.approver]}
    back = {"change": f.roles(f.auditor, "auditor"), "signers": [f.approver]}
    yield one("a role taken back", [grant, back], f.auditor)
    yield one("a replayed statement", [grant, back, {**grant, "again": 0}], f.auditor)
    yield one("a role that is over", [{"change": f.roles(f.auditor, {"role": "approver", "until": shifted(began, -1)}), "signers": [f.approver]}], f.auditor)
    yield one("an enrolment that is over", [{**enrol, "change": f.enrol(until=shifted(began, -1))}])
    yield one("without the role", [{**enrol, "change": f.enrol(roles=[{"role": "auditor"}])}])
    yield one("the name of another", [{**enrol, "change": f.enrol(name=f.people[f.second]["name"])}])
    yield one("the key of another", [{**enrol, "change": f.enrol(public_key=f.people[f.second]["public_key"],
                                                                 fingerprint=fingerprint(f.people[f.second]["public_key"]))}])
    yield one("enrolled twice", [enrol, enrol])
    yield one("the requester gives himself the role", [{"change": f.roles(f.request, "operator", "approver"), "signers": [f.request]}], f.request)
    yield one("a quorum of two, approved by one", [{"change": {"what": "rules", "profile": "low", "quorum": 2, "waiting_seconds": 0},
                                                    "signers": [f.approver]}], None)
    yield one("a wait that was not kept", [{"change": {"what": "rules", "profile": "low", "quorum": 1, "waiting_seconds": 86400},
                                            "signers": [f.approver]}], None)
    yield one("another profile", [{"change": {"what": "rules", "profile": "standard", "quorum": 1, "waiting_seconds": 0}, "signers": [f.approver]}], None)

    edits = {"another vault": dict(vault="vlt-" + "0" * 32), "another organisation": dict(organisation="Other Bank"), "another type": dict(type="kesu-release-v1"),
             "a member more": dict(note="x"), "a drill": dict(summary=["Enrols nobody: a drill"]), "no summary": dict(summary=[]),
             "issued long ago": dict(issued="2000-01-01T00:00:00.000Z"), "issued in time to come": dict(issued="2099-01-01T00:00:00.000Z"),
             "no time": dict(issued="soon"), "no reason": dict(reason=""), "another reason": dict(reason="x")}
    for name, members in edits.items():
        yield one(name, [{**enrol, "statement": lambda s, m=members: {**s, **m}}])
    for name, members in (("another quorum before", {"quorum": 2}), ("another wait before", {"waiting_seconds": 60}), ("another profile before", {"profile": "high"})):
        yield one(name, [{**enrol, "from": members}])
    yield one("of another change before", [{**enrol, "statement": lambda s: {**s, "from": {**s["from"], "since": 1}}}])
    yield one("not the one form", [{**enrol, "raw": lambda d: d.replace(b"  ", b" ", 1)}])
    yield one("another namespace", [{**enrol, "namespace": "kesu-approve-v1"}])
    stranger = ed25519.Ed25519PrivateKey.generate()
    yield one("an approver's signature by another key", [{**enrol, "keys": {f.approver: stranger}}])
    yield one("the newcomer's signature by another key", [{**enrol, "keys": {NEW: stranger}}])
    for name, change in (("more roles in the entry", lambda b: {**b, "change": f.enrol(roles=[{"role": "operator"}, {"role": "approver"}])}),
                         ("another reason in the entry", lambda b: {**b, "reason": "x"}), ("another statement in the entry", lambda b: {**b, "statement": "0" * 64}),
                         ("no signatures in the entry", lambda b: {**b, "signatures": []}), ("a body that is closed", lambda b: None),
                         ("a signature twice", lambda b: {**b, "signatures": b["signatures"] + b["signatures"][:1]})):
        yield one(name, [{**enrol, "body": change}])
    for name, change in (("a header without the person", lambda n: n[:1]), ("a header with another person", lambda n: [n[0], {**n[1], "id": "opr-" + "4" * 32}]),
                         ("a header with one person more", lambda n: [*n, {"id": "opr-" + "4" * 32, "is": "enrolled"}]),
                         ("a header that says nothing of it", lambda n: [n[0], {"id": n[1]["id"]}]), ("a header of another statement", lambda n: [{**n[0], "d": "0" * 64}, n[1]])):
        yield one(name, [{**enrol, "nodes": change}])
    yield one("no statement file", [enrol], edit_files=lambda files, done: files.pop(f"approvals/change.{done[0][0]}.json"))
    yield one("no signature file", [enrol], edit_files=lambda files, done: files.pop(f"approvals/change.{done[0][0]}.{NEW}.sig"))
    yield one("a file of no entry", [enrol], edit_files=lambda files, done: files.update({"approvals/change.1.json": b"{}\n"}))
    yield one("allowed_signers without the newcomer", [enrol],
              edit_files=lambda files, done: files.update({"approvals/allowed_signers": f.allowed_signers([])}))
