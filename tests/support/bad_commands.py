"""Signed commands, forged: bundles of an issuer who holds every key but those of the people, or some of these, too.

    for name, files, trust, code in bad_commands.cases(files, trust, keys): ...

`keys`: the officers' private keys in the order of genesis, an operator and an approver first; `code`: what `kesu verify` ends with.
Written from docs/spec alone (erasure.md and certificate.md, "Signed commands").
"""
import reissue


def cases(files, trust, keys):
    people = [line.split()[0] for line in files["approvals/allowed_signers"].decode().splitlines()]
    issuer = reissue.Issuer(files, dict(zip(people, keys)))
    trust, approver = issuer.trust(trust), people[1]

    def lowered(c):
        next(x for x in c["claims"] if x["id"] == "authorised")["level"] = "asserted"

    def command(**how):
        def edit(p):
            p.on_command = how.get("statement", p.on_command)
            p.command_key, p.command_space = how.get("key"), how.get("space", p.command_space)
        return edit

    def entry(kind, change):
        def edit(p):
            one = p.find(kind)
            one.body = change({**one.body})
        return edit

    def only(words, change):
        return command(statement=lambda s: change(s) if s["command"] == words else s)

    def says(**members):
        return only("seal", lambda s: {**s, **members})

    def told(**members):
        return entry("seal-done", lambda b: {**b, "command": {**b["command"], **members}})
    def by_approver(p):
        """He signs, in a role that he has, what takes an operator."""
        run = p.find("seal-done").body["command"]
        for e in p.entries:
            if e.body and e.body.get("command") == run:
                e.body = {**e.body, "command": {**run, "operator": approver}}
        says(operator=approver, name="佐藤 花子", role="approver", summary=None)(p)
        p.on_command = lambda s, edit=p.on_command: {**(t := edit(s)), "summary": t["summary"] or ["Runs kesu seal as approver", s["summary"][1]]}
    without = entry("seal-done", lambda b: {k: v for k, v in b.items() if k != "command"})
    nobody = "0" * 64
    for what, edit, certificate, code in (
            ("unchanged", None, None, 0), ("an entry names none", without, lowered, 7), ("an entry names none, and the claim is as it was", without, None, 6),
            ("a role that he has not", only("seal", lambda s: {**s, "role": "auditor", "summary": ["Runs kesu seal as auditor", s["summary"][1]]}), lowered, 7),
            ("an approver's command in another role",
             only("seal", lambda s: {**s, "role": "approver", "summary": ["Runs kesu seal as approver", s["summary"][1]]}), lowered, 7),
            ("by an approver, in that role", by_approver, lowered, 7),
            ("signed long before", says(issued="2020-01-01T00:00:00.000Z"), lowered, 7), ("signed in time to come", says(issued="2099-01-01T00:00:00.000Z"), lowered, 7),
            ("another key", command(key=keys[1]), None, 6), ("another namespace", command(space="kesu-approve-v1"), None, 6),
            ("another vault", says(vault="vlt-" + "0" * 32), None, 6), ("another name", says(name="x"), None, 6), ("another organisation", says(organisation="Other Bank"), None, 6),
            ("another type", says(type="kesu-statement-v1"), None, 6), ("no command", says(command="Seal; rm"), None, 6), ("no role", says(role="king"), None, 6),
            ("another summary", says(summary=["Runs nothing: a drill"]), None, 6), ("no process", says(process="x"), None, 6), ("no time", says(issued="soon"), None, 6),
            ("of another ledger", only("seal", lambda s: {**s, "ledger": {**s["ledger"], "root": nobody}}), None, 6),
            ("of a later ledger", says(ledger={"root": nobody, "size": 10 ** 6}), None, 6), ("a member more", says(note="x"), None, 6),
            ("about that is not in order", says(about=["b", "a"]), None, 6), ("about that stands twice", says(about=["a", "a"]), None, 6),
            ("of another person than the entry names", says(operator=approver, name="佐藤 花子"), None, 6), ("another person in the entry", told(operator=approver), None, 6),
            ("nobody in the entry", told(operator="opr-" + "4" * 32), None, 6), ("another statement in the entry", told(statement=nobody, signature=nobody), None, 6),
            ("a member more in the entry", told(x=1), None, 6), ("a text in the entry", entry("seal-done", lambda b: {**b, "command": "x"}), None, 6)):
        yield f"commands: {what}", issuer.issue(edit=edit, edit_certificate=certificate), trust, code
