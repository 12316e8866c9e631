"""Legal holds, requests and approvals as a dishonest issuer would tell them, who holds every key but those of the people.

    for name, files, trust, expect in bad_holds.cases(issuer, trust): ...

Written from docs/spec alone (erasure.md, "Holds"; certificate.md, "Holds").
"""
import copy

from cryptography.hazmat.primitives.asymmetric import ed25519

import bad_changes
import reissue
from bad_changes import BAD, GOOD, NAME, NEW, shifted
from reissue import readable, sha

HOLD, OTHER = "hld-" + "5" * 32, "hld-" + "6" * 32
REQUEST, APPROVE, EARLY = "erasure-requested", "erasure-approved", "provider-added"


class Forger(bad_changes.Forger):
    def made(self, edit, steps=(), edit_certificate=None, **more):
        """A bundle with `edit(parts)` made after the changes of `steps`."""
        issue, out = self.issuer.issue, None

        def issue_too(edit=None, edit_certificate=None, **options):
            def both(p):
                before(p)
                after(p)

            def certificate(c):
                told(c)
                mine(c)
            before, after, told, mine = edit, self.edit, edit_certificate, self.certificate
            return issue(edit=both, edit_certificate=certificate, **options)
        self.edit, self.certificate = edit, edit_certificate or (lambda c: None)
        self.issuer.issue = issue_too
        try:
            out = self.bundle(list(steps), **more)
        finally:
            del self.issuer.issue
        return out

    def allowed_signers(self, done):
        enrolled = next((i for i, d in enumerate(done) if d[1].get("operator") == NEW and d[1]["what"] == "enrol"), 0)
        return super().allowed_signers([d for i, d in enumerate(done) if i >= enrolled or d[1].get("operator") != NEW])

    def place(self, p, before=REQUEST, hold=HOLD, of=None, **body):
        return p.insert(p.find(before), "hold-placed", [{"id": hold, "is": "placed", "of": of or p.plan["datasets"][0]["id"]}, {"id": p.plan["vault"]}],
                        body={"case": "2026-1", "reason": "court order", "operator": self.auditor, **body})

    def release(self, p, before=REQUEST, signers=None, hold=HOLD, of=None, statement=lambda s: s, keys=None, space="kesu-release-v1",
                body=lambda b: b, nodes=(), raw=lambda d: d, files=True, again=None):
        of = of or p.plan["datasets"][0]["id"]
        entry = p.insert(p.find(before), "hold-released", [{"id": hold, "is": "released", "of": of}, *nodes, {"id": p.plan["vault"]}])
        seq, approvals = p.entries.index(entry), []
        thing = "dataset loans-2019" if of.startswith("ds-") else "key version loans.1"
        for o in [self.approver] if signers is None else signers:
            s = {"case": "2026-1", "detail": thing.split(" ")[-1], "hold": hold, "issued": entry.header["time"], "name": self.name(o), "operator": o,
                 "organisation": self.genesis["organisation"], "reason": "case closed", "role": "approver", "subject": of,
                 "summary": [f"Releases the hold of case 2026-1 on {thing}", f"From then on {thing} can be erased"],
                 "type": "kesu-release-v1", "vault": p.plan["vault"]}
            data = raw(readable(statement(s)))
            signature = reissue.ssh_sign((keys or self.keys)[o], data, space)
            if again is not None:
                data, signature = (p.files[f"approvals/release.{again}.{o}.json{e}"] for e in ("", ".sig"))
            if files:
                p.files[f"approvals/release.{seq}.{o}.json"], p.files[f"approvals/release.{seq}.{o}.json.sig"] = data, signature
            approvals.append({"operator": o, "statement": sha(data), "signature": sha(signature)})
        entry.body = body({"reason": "case closed", "operator": self.approver, "approvals": approvals})
        if entry.body is None:
            entry.digest = "11" * 32
        return seq


def cases(issuer, trust):
    f = Forger(issuer)
    trust += f"officer {f.line}\n"
    one = lambda name, edit, expect=BAD, steps=(), **more: (f"holds: {name}", f.made(edit, steps, **more), trust, expect)
    version = issuer.original.plan["order"][0]["version"]

    def both(**options):
        return lambda p: (f.place(p), f.release(p, **options))

    yield one("placed", lambda p: f.place(p))
    yield one("placed and released", both(), GOOD)
    yield one("on the key, and released", lambda p: (f.place(p, of=version), f.release(p, of=version)), GOOD)
    yield one("released by another approver", both(signers=[f.second]), GOOD)
    yield one("released by two", both(signers=[f.approver, f.second]), GOOD)
    yield one("released after the request", lambda p: (f.place(p), f.release(p, before=APPROVE)))
    yield one("placed and released after the request", lambda p: (f.place(p, APPROVE), f.release(p, APPROVE)))
    for name, signers in (("nobody", []), ("the operator", [f.request]), ("an auditor", [f.auditor]), ("somebody not enrolled", [NEW])):
        yield one(f"released by {name}", both(signers=signers))
    edits = {"another hold": {"hold": OTHER}, "another subject": {"subject": "ds-" + "0" * 32}, "another case": {"case": "2026-2"}, "another reason": {"reason": "x"},
             "another vault": {"vault": "vlt-" + "0" * 32}, "another organisation": {"organisation": "Other Bank"}, "another name": {"name": "x"},
             "another role": {"role": "auditor"}, "another type": {"type": "kesu-exception-v1"}, "another operator": {"operator": f.second},
             "a drill": {"summary": ["Releases nothing: a drill"]}, "issued long ago": {"issued": "2000-01-01T00:00:00.000Z"},
             "issued in time to come": {"issued": "2099-01-01T00:00:00.000Z"}, "no time": {"issued": "soon"}, "a member more": {"note": "x"}}
    for name, members in edits.items():
        yield one(f"released: {name}", both(statement=lambda s, m=members: {**s, **m}))
    yield one("issued before the hold", both(statement=lambda s: {**s, "issued": shifted(s["issued"], -1)}))
    yield one("released: not the one form", both(raw=lambda d: d.replace(b"  ", b" ", 1)))
    yield one("released: another namespace", both(space="kesu-approve-v1"))
    yield one("released: another key", both(keys={f.approver: ed25519.Ed25519PrivateKey.generate()}))
    yield one("released: no files", both(files=False))
    yield one("released: files of another entry", lambda p: (f.place(p), p.files.update({f"approvals/release.1.{f.approver}.json": b"{}\n"}), f.release(p)))
    yield one("released: the entry closed", both(body=lambda b: None, files=False))
    yield one("released: the entry closed, its files there", both(body=lambda b: None))

    def closed(p):
        entry = f.place(p)
        f.release(p)
        entry.body, entry.digest = None, "11" * 32
    yield one("placed: the entry closed", closed)
    for name, change in (("another statement", lambda b: {**b, "approvals": [{**a, "statement": "0" * 64} for a in b["approvals"]]}),
                         ("another reason in the entry", lambda b: {**b, "reason": "x"}), ("no approvals", lambda b: {k: v for k, v in b.items() if k != "approvals"})):
        yield one(f"released: {name}", both(body=change))

    def again(last):
        def edit(p):
            f.place(p, EARLY)
            seq = f.release(p, EARLY)
            f.place(p)
            if last == "replayed":
                f.release(p, again=seq)
            elif last:
                f.release(p)
        return edit
    yield one("placed, released, placed", again(""))
    yield one("placed and released twice", again("signed"), GOOD)
    yield one("placed again, the release replayed", again("replayed"))
    yield one("named in another's release", lambda p: (f.place(p), f.place(p, hold=OTHER), f.release(p, hold=OTHER, nodes=[{"id": HOLD}])))

    two = {"change": {"what": "rules", "profile": "low", "quorum": 2, "waiting_seconds": 0}, "signers": [f.approver]}
    gone = {"change": f.revoke(f.second), "signers": [f.approver]}
    yield one("released by somebody revoked", both(signers=[f.second]), BAD, [gone])
    yield one("released by one of two who is revoked", both(signers=[f.approver, f.second]), GOOD, [gone])
    # A quorum of two that was in force then, and no more at the request.
    back = {"change": {**two["change"], "quorum": 1}, "signers": [f.approver, f.second], "from": {"quorum": 2}}
    for name, signers, expect in (("one", [f.approver], BAD), ("one twice", [f.approver, f.approver], BAD), ("two", [f.approver, f.second], GOOD)):
        def between(p, signers=signers):
            last = [e for e in p.entries if e.type == "rules-changed"][-1]
            # Before the last change: it moves up, and its files with it.
            old = p.entries.index(last)
            p.entries.remove(last)
            f.place(p)
            f.release(p, signers=signers)
            p.entries.insert(p.entries.index(p.find(REQUEST)), last)
            new = p.entries.index(last)
            for path in [x for x in p.files if x.startswith(f"approvals/change.{old}.")]:
                p.files[path.replace(f"change.{old}.", f"change.{new}.")] = p.files.pop(path)

        def chain(c):
            seqs = sorted({int(r["part"].split(" ")[1].rstrip(",")) for r in c["evidence_chain"] if r["part"].startswith("change ")})
            for row in c["evidence_chain"]:
                row["part"] = row["part"].replace(f"change {seqs[-1]},", f"change {seqs[-1] + 2},")
        yield one(f"released by {name}, a quorum of two", between, expect, [two, back], edit_certificate=chain)

    # What else is said of a request and its approvals.

    def asked_again(opened):
        def edit(p):
            asked, approved = p.find(REQUEST), p.find(APPROVE)
            entry = p.insert(approved, REQUEST, asked.header["nodes"], body=copy.deepcopy(asked.body))
            if not opened:
                entry.body, entry.digest = None, "11" * 32
        return edit
    yield one("requested a second time", asked_again(True))
    yield one("requested a second time, the entry closed", asked_again(False))
    yield one("placed and released after the request, requested a second time", lambda p: (f.place(p, APPROVE), f.release(p, APPROVE), asked_again(False)(p)))
    started = issuer.original.find("erasure-started").header["time"]

    def late(p):
        entry = p.find(APPROVE)
        p.entries.remove(entry)
        p.entries.insert(p.entries.index(p.find("erasure-started")) + 1, entry)
        entry.header = {**entry.header, "time": started}
    yield one("approved when the erasure had started", late, edit_certificate=lambda c: [r.update(signed=started) for r in c["people"] if r["action"] == "approve"])
    # Revoked before he was known.
    steps = [{"change": {"what": "revoke", "operator": NEW, "name": NAME}, "signers": [f.approver]}, {"change": f.enrol(), "signers": [f.approver, NEW]}]
    yield one("revoked, then enrolled", lambda p: None, BAD, steps, approve_by=NEW)
