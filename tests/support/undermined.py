"""What a certificate rests on, taken away from a genuine bundle: (name, edit(parts), claim that cannot stand then).

All readers agreeing is not enough: what all three overlook is no disagreement. Issued anew with every key, with certificate.json as it
was, each is invalid; withdrawn, its claim is lower than it was. What a bundle has nothing of is not tried.
"""
import json

import mutator


def last(p, kind):
    return next((e for e in reversed(p.entries) if e.type == kind), None)


def dropped(kind, which=-1):
    def edit(p):
        found = [e for e in p.entries if e.type == kind]
        entry = found[which]
        p.entries.remove(entry)
        if kind == "hold-released":
            for path in [path for path in p.files if path.startswith(f"approvals/release.{entry.was}.")]:
                del p.files[path]
        if kind == "erasure-approved" and entry.body:
            p.statements.pop(("approve", entry.body["operator"]), None)
        for action, of in (("verify", "erasure-verified"), ("validate", "erasure-validated")):
            if kind == of:
                for path in [path for path in p.files if path.startswith(f"approvals/{action}.")]:
                    del p.files[path]
    return edit


def moved(kind, behind, which=-1):
    def edit(p):
        entry = [e for e in p.entries if e.type == kind][which]
        p.entries.remove(entry)
        p.entries.insert(p.entries.index(last(p, behind)) + 1, entry)
    return edit


def transcripts(change, after=True):
    """Of the inspections that found a key absent, or of the others; a transcript names no time of the erasure."""
    def edit(p):
        for path, value in list(mutator.Mutator.documents(p).items()):
            if str(path).startswith("evidence/") and "answer" in value and "keys" in (value["answer"] or {}):
                if any(k["answer"] == "absent" for k in value["answer"]["keys"]) == after:
                    change(value)
                    mutator.Mutator.put(p, path, value)
    return edit


def answers(to):
    def change(value):
        for key in value["answer"]["keys"]:
            if key["answer"] in ("absent", "usable"):
                key["answer"] = to
    return change


def samples(value):
    for sample in value["answer"]["samples"]:
        sample.update({k: "opened" for k in sample if k == "answer"})


def still_there(value):
    """The token lists an object of the key's label."""
    ref = value["request"]["keys"][0]
    objects = value["answer"]["enumeration"]["objects"]
    objects.append({**objects[0], "label": ref.get("label", ""), "id": ref.get("id", "")})


def record(of, change):
    def edit(p):
        done = False
        for path, value in list(mutator.Mutator.documents(p).items()):
            if str(path).startswith("evidence/") and of(value):
                change(value)
                mutator.Mutator.put(p, path, value)
                done = True
        assert done
    return edit


def less_objects(p):
    path = next(path for path in sorted(p.files) if path.startswith("inventory/"))
    lines = p.files[path].decode().splitlines()
    batch, n = lines[0].split()
    p.files[path] = "\n".join([f"{batch} {int(n) - 1}", *lines[2:], ""]).encode() if int(n) > 1 else "\n".join([*lines[2:], ""]).encode()


def higher_quorum(p):
    """By a change of the rules, if there is one."""
    for path, value in list(mutator.Mutator.documents(p).items()):
        if str(path).startswith("approvals/change.") and value["change"]["what"] == "rules":
            old, value["change"]["quorum"] = value["change"]["quorum"], 4
            value["summary"] = [s.replace(f"Sets quorum {old},", "Sets quorum 4,") for s in value["summary"]]
            mutator.Mutator.put(p, path, value)
    for e in p.entries:
        if e.type == "rules-changed" and e.body and e.body["change"]["what"] == "rules":
            e.body["change"]["quorum"] = 4


def held(p):
    request = last(p, "erasure-requested")
    entry = p.insert(p.entries[p.entries.index(request) + 1], "hold-placed",
                     [{"id": "hld-" + "5" * 32, "is": "placed", "of": p.plan["datasets"][0]["id"]}, {"id": p.plan["vault"]}])
    entry.body = {"case": "2026-1", "reason": "court order", "operator": next(who for _, who in p.statements)}


def another_signer(p):
    path = next(path for path in sorted(p.files) if path.startswith(("approvals/verify.", "approvals/release.")) and path.endswith(".sig"))
    p.signer[path] = next(who for action, who in p.statements if action == "request")
    statement = path[:-4]
    value = json.loads(p.files[statement])
    mutator.Mutator.put(p, statement, value)


def body(kind, **members):
    def edit(p):
        last(p, kind).body.update(members)
    return edit


def no_command(p):
    next(e for e in reversed(p.entries[:p.size_a]) if e.body and "command" in e.body).body.pop("command")


is_birth = lambda v: "attributes" in v and "left_out" in v and v["ref"]["purpose"] == "wrap"  # noqa: E731
is_receipt = lambda v: "accepted" in v and "before" in v  # noqa: E731


def cases(original):
    """Those that this bundle has something of."""
    types = {e.type for e in original.entries}
    for name, needs, edit, claim in (
            ("an approval removed", "erasure-approved", dropped("erasure-approved"), "authorised"),
            ("an approval given after the start", "erasure-started", moved("erasure-approved", "erasure-started"), "authorised"),
            ("the request removed", "erasure-requested", dropped("erasure-requested"), "authorised"),
            ("a release removed", "hold-released", dropped("hold-released"), "authorised"),
            ("a release moved behind the request", "hold-released", moved("hold-released", "erasure-requested"), "authorised"),
            ("a hold after the request", "erasure-requested", held, "authorised"),
            ("another's signature", "erasure-verified", another_signer, "verified-gone"),
            ("a quorum above the approvals", "rules-changed", higher_quorum, "authorised"),
            ("a command unsigned", "genesis" if any(e.body and "command" in e.body for e in original.entries) else "", no_command, "authorised"),
            ("a verification removed", "erasure-verified", dropped("erasure-verified"), "verified-gone"),
            ("a validation removed", "erasure-validated", dropped("erasure-validated"), "validated"),
            ("an attestation removed", "key-attested", dropped("key-attested"), "key-origin"),
            ("keys usable after", "destroy-done", transcripts(answers("usable")), "verified-gone"),
            ("keys unknown after", "destroy-done", transcripts(answers("unknown")), "verified-gone"),
            ("keys absent before", "destroy-done", transcripts(answers("absent"), after=False), "verified-gone"),
            ("an object of the key is listed after", "destroy-done", transcripts(still_there), "verified-gone"),
            ("an object dropped", "seal-done", less_objects, "scope"),
            ("a destruction removed", "destroy-done", dropped("destroy-done"), "destroyed"),
            ("the first destruction removed", "destroy-done", dropped("destroy-done", 0), "destroyed"),
            ("a batch more after the erasure's freeze", "dataset-frozen", moved("seal-done", "dataset-frozen"), "scope"),
            ("an erased dataset is not said to be", "dataset-erased", dropped("dataset-erased"), "scope"),
            ("a receipt that accepts nothing", "destroy-done", record(is_receipt, lambda v: v.update(accepted=False)), "destroyed"),
            ("a receipt lost", "destroy-done", body("destroy-done", receipt=None, receipt_lost=True), "destroyed"),
            ("a key that can be extracted", "key-created", record(is_birth, lambda v: v["attributes"].update(CKA_EXTRACTABLE=True)), "key-origin"),
            ("a key that was outside", "key-created", record(is_birth, lambda v: v["attributes"].update(CKA_NEVER_EXTRACTABLE=False)), "key-origin"),
            ("the end of a copy removed", "copy-destroyed", dropped("copy-destroyed"), "copies")):
        if needs in types:
            yield name, edit, claim
