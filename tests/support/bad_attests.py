"""Attestations of who attended the making of a key, as a dishonest issuer would tell them: he says `attested`, so that a reader
who counts one that does not count calls the bundle complete.

    for name, files, trust, expect in bad_attests.cases(issuer, trust): ...

Written from docs/spec alone (erasure.md, "Key attestation statement"; certificate.md, "Attested births").
"""
import copy
import json
import re

from cryptography.hazmat.primitives.asymmetric import ed25519

import bad_holds
import reissue
from bad_changes import BAD, GOOD, NEW, shifted
from reissue import readable, sha

SPACE = "kesu-key-attest-v1"


class Forger(bad_holds.Forger):
    def __init__(self, issuer):
        super().__init__(issuer)
        o = issuer.original
        self.versions = sorted((k["version"] for k in o.plan["key_versions"]), key=lambda v: o.entries.index(self.created(o, v)))
        self.identity = next(e.body for e in o.entries if e.type == "provider-added")

    @staticmethod
    def created(p, version):
        return next(e for e in p.entries if e.type == "key-created" and e.header["nodes"][0]["id"] == version)

    def seen(self, p, version, at):
        """A transcript in which that key alone is asked for, and found at work."""
        for path in sorted(p.files):
            value = json.loads(p.files[path]) if path.startswith("evidence/") and p.files[path].startswith(b"{") else {}
            answers = (value.get("answer") or {}).get("keys", [])
            if any(k["version"] == version and k["answer"] == "usable" for k in answers):
                value["request"]["keys"] = [k for k in value["request"]["keys"] if k["version"] == version]
                value["answer"]["keys"] = [k for k in answers if k["version"] == version]
                value["request"]["samples"] = value["answer"]["samples"] = []
                value["answer"]["started"] = value["answer"]["ended"] = at
                return value
        raise AssertionError(f"no transcript of {version}")

    def attest(self, p, version, by=None, role="auditor", before=None, statement=lambda s: s, look=lambda t: t, raw=lambda d: d, key=None,
               space=SPACE, body=lambda b: b, nodes=lambda n: n, files=True, again=None, missing_look=False):
        by = by or self.auditor
        created = self.created(p, version)
        born, made = created.header["time"], created.body
        before = p.find(before, 0) if before else p.entries[p.entries.index(created) + 1]
        entry = p.insert(before, "key-attested", nodes([{"id": version}, {"id": by}]))
        seq, at = p.entries.index(entry), entry.header["time"]
        transcript = p.put_evidence(look(self.seen(p, version, at)))
        name = f"{made['name']}.{version.rpartition('.')[2]}"
        s = {"attributes": p.evidence(made["birth"])["attributes"], "birth": made["birth"], "born": born, "canary": made["ref"]["canary"]["digest"],
             "identity": self.identity["identity"], "issued": at, "key": name, "name": self.name(by), "operator": by,
             "organisation": self.genesis["organisation"], "provider": self.identity["name"], "role": role, "transcript": transcript, "type": SPACE,
             "vault": p.plan["vault"], "version": version}
        s = statement(copy.deepcopy(s))
        where = f"{s['provider']} (token {s['identity']['label']}, serial {s['identity']['serial']})"
        s.setdefault("summary", [f"Attended the making of key version {s['key']} in {where}, recorded {s['born']}",
                                 "The token says of it: generated inside, always sensitive, never extractable",
                                 f"Its canary opened: transcript {s['transcript']}", "No data key had been wrapped under it"])
        data = raw(readable(s))
        signature = reissue.ssh_sign(key or self.keys[by], data, space)
        if again is not None:
            data, signature = (p.files[f"approvals/key-attest.{again}.{by}.json{e}"] for e in ("", ".sig"))
        if missing_look:
            del p.files[f"evidence/{transcript}"]
        if files:
            p.files[f"approvals/key-attest.{seq}.{by}.json"], p.files[f"approvals/key-attest.{seq}.{by}.json.sig"] = data, signature
        entry.body = body({"operator": by, "role": role, "statement": sha(data), "signature": sha(signature), "transcript": transcript})
        if entry.body is None:
            entry.digest = "11" * 32
        return seq

    def told(self, edit, steps=(), after=False):
        """The bundle, its certificate saying `attested`; `edit(p)` → [(seq, person, version)] of what is to be counted. `after`: the
        entries of `steps` stand behind what it inserts."""
        counted = []

        def edit_too(p):
            counted[:] = edit(p)
            lines = p.files["approvals/allowed_signers"].decode().splitlines(keepends=True)
            roles = {o: set(q["roles"]) for o, q in self.people.items()}
            for step in steps:
                if step["change"]["what"] == "roles":
                    roles[step["change"]["operator"]] |= {r["role"] for r in step["change"]["roles"]}
            for i, line in enumerate(lines):
                if counted and roles.get(line.split(" ")[0], set()) & {"auditor", "verifier"}:
                    first, *spaces = re.search('namespaces="([^"]*)"', line)[1].split(",")
                    spaces[:] = [x for x in spaces if x != "kesu-change-v1"] + [SPACE] + [x for x in spaces if x == "kesu-change-v1"]
                    lines[i] = re.sub('namespaces="[^"]*"', f'namespaces="{",".join([first, *spaces])}"', line)
            for seq in sorted((e_seq for e_seq in {int(x.split(".")[1]) for x in p.files if x.startswith("approvals/change.")} if after), reverse=True):
                for path in [x for x in p.files if x.startswith(f"approvals/change.{seq}.")]:
                    p.files[path.replace(f"change.{seq}.", f"change.{seq + len(counted)}.")] = p.files.pop(path)
            p.files["approvals/allowed_signers"] = "".join(lines).encode()

        def certificate(c):
            for row in c["evidence_chain"] if after else ():
                row["part"] = re.sub(r"^change (\d+),", lambda m: f"change {int(m[1]) + len(counted)},", row["part"])
            claim = next(x for x in c["claims"] if x["id"] == "key-origin")
            names = {o: self.name(o) for _, o, _ in counted}
            label = {k["version"]: f"{k['name']}.{k['version'].rpartition('.')[2]}" for k in self.issuer.original.plan["key_versions"]}
            detail = claim["detail"]
            for v in sorted({v for *_, v in counted}, key=lambda v: (v.rpartition(".")[0], int(v.rpartition(".")[2]))):
                detail += f"; the making of {label[v]} was attended by {', '.join(names[o] for _, o, w in counted if w == v)}"
            claim.update(level="attested", premises=["program-honest", "token-as-assayed"], detail=detail,
                         rests_on=claim["rests_on"] + [f"signature of {n} (attest)" for n in names.values()])
            for ending in ("", " (digest)"):
                at = next(i for i, r in enumerate(c["evidence_chain"]) if r["part"].startswith("request, ") and r["part"].endswith(")") == bool(ending))
                like = c["evidence_chain"][at]
                c["evidence_chain"][at:at] = [{**like, "part": f"attest {seq}, {self.name(o)}{ending}"} for seq, o, _ in counted]
        return self.made(edit_too, steps, certificate)


def cases(issuer, trust):
    f = Forger(issuer)
    trust += f"officer {f.line}\n"
    first, *rest = f.versions
    stranger = ed25519.Ed25519PrivateKey.generate()

    def one(name, expect=BAD, steps=(), after=False, **how):
        def edit(p):
            by = how.get("by") or f.auditor
            if how.get("before") == "erasure-requested":  # behind the others: in the ledger's order, so that the numbers stand
                others = [(f.attest(p, v), f.auditor, v) for v in rest]
                return [*others, (f.attest(p, first, **how), by, first)]
            return [(f.attest(p, first, **how), by, first)] + [(f.attest(p, v), f.auditor, v) for v in rest]
        return f"attested: {name}", f.told(edit, steps, after), trust, expect

    def says(**members):
        return {"statement": lambda s: {**s, **members}}

    def token(**members):
        return {"statement": lambda s: {**s, "attributes": {**s["attributes"], **members}}}

    def looked(change):
        return {"look": lambda t: (change(t), t)[1]}

    yield one("by the auditor", GOOD)
    yield ("attested: by nobody", f.told(lambda p: []), trust, BAD)
    if rest:
        yield ("attested: one version only", f.told(lambda p: [(f.attest(p, first), f.auditor, first)]), trust, BAD)
    yield one("no files", files=False)
    yield one("the entry closed", body=lambda b: None)
    yield one("the entry closed, no files", body=lambda b: None, files=False)
    yield one("after something was wrapped", before="seal-done")
    yield one("when all was sealed", before="erasure-requested")
    for name, by, role in (("the operator himself", f.request, "operator"), ("the operator, as auditor", f.request, "auditor"), ("the approver", f.approver, "approver"),
                           ("another approver, as auditor", f.second, "auditor"), ("the auditor, as verifier", f.auditor, "verifier"),
                           ("the auditor, as validator", f.auditor, "validator")):
        yield one(f"by {name}", by=by, role=role)
    yield one("by somebody not enrolled", by=NEW)
    early = {"before": "provider-added"}
    for name, operator, roles in (("an operator who is auditor, too", f.request, ("operator", "auditor")),
                                  ("the approver, who is auditor, too", f.approver, ("approver", "auditor"))):
        yield one(f"by {name}", by=operator, steps=[{"change": f.roles(operator, *roles), "signers": [f.approver], **early}])
    yield one("by another approver, who is auditor, too", GOOD, by=f.second,
              steps=[{"change": f.roles(f.second, "approver", "auditor"), "signers": [f.approver], **early}])
    yield one("by somebody revoked", steps=[{"change": f.revoke(f.auditor), "signers": [f.approver], **early}])
    yield one("by somebody who was auditor", steps=[{"change": f.roles(f.auditor, "validator"), "signers": [f.approver], **early}])
    yield one("by somebody revoked later", GOOD, steps=[{"change": f.revoke(f.auditor), "signers": [f.approver]}], after=True)
    other = {"vault": "vlt-" + "0" * 32, "organisation": "Other Bank", "version": f"key-{'0' * 32}.1", "name": "x", "operator": f.second, "type": "kesu-statement-v1",
             "birth": "0" * 64, "born": "2020-01-01T00:00:00.000Z", "canary": "0" * 64, "key": "other.1", "provider": "other", "transcript": "0" * 64,
             "issued": "2000-01-01T00:00:00.000Z", "summary": ["Attended nothing: a drill"], "note": "x"}
    for member, value in other.items():
        yield one(f"another {member}", **says(**{member: value}))
    yield one("issued in time to come", **says(issued="2099-01-01T00:00:00.000Z"))
    yield one("no time", **says(issued="soon"))
    yield one("another token", statement=lambda s: {**s, "identity": {**s["identity"], "serial": "0000"}})
    for name, members in (("readable", {"CKA_SENSITIVE": False}), ("extractable", {"CKA_EXTRACTABLE": True}), ("made elsewhere", {"CKA_LOCAL": False}),
                          ("once extractable", {"CKA_NEVER_EXTRACTABLE": False}), ("once readable", {"CKA_ALWAYS_SENSITIVE": False}),
                          ("of another name", {"CKA_LABEL": "x"}), ("of another id", {"CKA_ID": "00"})):
        yield one(name, **token(**members))
    yield one("no attributes", **says(attributes={}))
    yield one("attributes are no object", **says(attributes=[]))
    yield one("not the one form", raw=lambda d: d.replace(b"  ", b" ", 1))
    yield one("another namespace", space="kesu-approve-v1")
    yield one("another key", key=stranger)
    yield one("nothing was seen", missing_look=True)

    def rename(t):
        for key in t["request"]["keys"]:
            key["canary"]["digest"] = "0" * 64

    def none_opened(t):
        for k in t["answer"]["keys"]:
            k["canary"] = "failed"
            for trial in k["by"]:
                trial.update(outcome="failed", digest=None)
    for name, change in (("seen before the birth", lambda t: t["answer"].update(started=shifted(t["answer"]["started"], -1))),
                         ("seen after it was signed", lambda t: t["answer"].update(ended=shifted(t["answer"]["ended"], 1))),
                         ("its canary did not open", none_opened), ("another canary was opened", rename),
                         ("another place was seen", lambda t: t["answer"].update(same_place=False)),
                         ("another token was seen", lambda t: [t[s]["identity"].update(serial="0000") for s in ("request", "answer")]),
                         ("nothing was answered", lambda t: t.update(answer=None, exit=1)),
                         ("nothing was asked", lambda t: (t["request"].update(keys=[]), t["answer"].update(keys=[])))):
        yield one(name, **looked(change))
    for name, change in (("another statement in the entry", lambda b: {**b, "statement": "0" * 64}), ("another signature in the entry", lambda b: {**b, "signature": "0" * 64}),
                         ("another transcript in the entry", lambda b: {**b, "transcript": "0" * 64}), ("another role in the entry", lambda b: {**b, "role": "verifier"}),
                         ("nobody in the entry", lambda b: {k: v for k, v in b.items() if k != "operator"})):
        yield one(name, body=change)
    yield one("the header names nobody", nodes=lambda n: n[:1])
    yield one("the header names another", nodes=lambda n: [n[0], {"id": f.second}])
    yield one("the header names another key", nodes=lambda n: [{"id": f"key-{'0' * 32}.1"}, n[1]])

    def stray(p):
        told = [(f.attest(p, v), f.auditor, v) for v in f.versions]
        p.files.update({f"approvals/key-attest.1.{f.auditor}.json": b"{}\n"})
        return told
    yield ("attested: a file of no entry", f.told(stray), trust, BAD)

    def late(p):
        for e in p.entries[:p.entries.index(f.created(p, first)) + 1]:
            e.header = {**e.header, "time": shifted(e.header["time"], -2)}
        seq = f.attest(p, first)
        p.entries[seq].header["time"] = p.entries[seq + 1].header["time"]
        return [(seq, f.auditor, first)] + [(f.attest(p, v), f.auditor, v) for v in rest]
    yield ("attested: two days later", f.told(late), trust, BAD)
    if rest:
        def replayed(p):
            seq = f.attest(p, first)
            return [(seq, f.auditor, first)] + [(f.attest(p, v, again=seq), f.auditor, v) for v in rest]
        yield ("attested: the other version's again", f.told(replayed), trust, BAD)
