"""Random changes of a bundle's parts: records spliced from one entry into another, closed, doubled, moved, members exchanged
with those of the same name elsewhere, one value exchanged for another wherever it stands, files lost, exchanged, signed by others.
"""
import copy
import json

import reissue
import signed_records

HEX = set("0123456789abcdef")


def places(value, path=()):
    """Paths of all members and items, the outer ones too."""
    for key in (list(value) if isinstance(value, dict) else range(len(value)) if isinstance(value, list) else ()):
        yield (*path, key)
        yield from places(value[key], (*path, key))


def at(value, path):
    for step in path:
        value = value[step]
    return value


class Mutator:
    """Random changes of a bundle's parts. Each says in a word what it did, so that a case can be told."""

    def __init__(self, chance, original):
        self.chance = chance
        self.known = {}                                   # member name -> values that it has anywhere
        for document in self.documents(original).values():
            for path in places(document):
                self.known.setdefault(self.name(path), []).append(at(document, path))

    @staticmethod
    def name(path):
        return next((step for step in reversed(path) if isinstance(step, str)), "")

    @staticmethod
    def documents(p):
        """What can be changed in place; evidence is taken out and put back."""
        out = {"plan": p.plan, "certificate": p.certificate}
        for i, e in enumerate(p.entries):
            out["header", i] = e.header
            if e.body is not None:
                out["body", i] = e.body
        for key, statement in p.statements.items():
            out["statement", *key] = statement
        for path, data in p.files.items():
            if path.startswith("evidence/") and data[:1] == b"{" or path.startswith("approvals/command.") and path.endswith(".json"):
                out[path] = json.loads(data)
        return {**out, **signed_records.documents(p)}

    def value(self, name, old):
        """Another value for it: mostly one that is said under this name elsewhere, else a near or a strange one."""
        others = [v for v in self.known.get(name, ()) if v != old]
        if others and self.chance.random() < 0.6:
            return copy.deepcopy(self.chance.choice(others))
        if isinstance(old, bool):
            return not old
        if isinstance(old, int):
            return self.chance.choice((old + 1, old - 1, 0, -1, 1 << 53, old * 1000))
        if isinstance(old, str):
            if old and set(old) <= HEX:
                return self.chance.choice((old[:-1] + ("0" if old[-1] != "0" else "1"), old.upper(), old[:-2], "0" * len(old)))
            return self.chance.choice((old + "x", "", old.upper(), old.replace("-", "_"), "\u202e" + old, old[:-1], " " + old))
        return self.chance.choice((None, "", 0, [], {}))

    def member(self, document):
        """Changes one place of a document: leaves it out, doubles it, adds to it, gives it another value."""
        paths = list(places(document))
        if not paths:
            document["x"] = 1
            return "x added"
        path = self.chance.choice(paths)
        parent, key, told = at(document, path[:-1]), path[-1], ".".join(map(str, path))
        how = self.chance.random()
        if how < 0.2:
            del parent[key]
            return f"{told} left out"
        if how < 0.3 and isinstance(parent, list):
            parent.insert(self.chance.randrange(len(parent) + 1), copy.deepcopy(parent[key]))
            return f"{told} twice"
        if how < 0.35 and isinstance(parent, list):
            parent.reverse()
            return f"{told[:told.rfind('.')]} turned around"
        if how < 0.4 and isinstance(parent[key], dict):
            parent[key]["x"] = self.chance.choice((1, "x", None, []))
            return f"{told}.x added"
        old = parent[key]
        parent[key] = self.value(self.name(path), old)
        return f"{told}: {str(old)[:40]!r} -> {str(parent[key])[:60]!r}"

    def entry(self, p):
        i = self.chance.randrange(len(p.entries))
        e, how = p.entries[i], self.chance.choice(("close", "twice", "move", "drop", "body"))
        told = f"entry {i} ({e.type})"
        if how == "close" and e.body is not None:
            e.leaf()
            e.body = None
            return f"{told} closed"
        if how == "twice":
            p.entries.insert(self.chance.randrange(len(p.entries) + 1), copy.deepcopy(e))
            return f"{told} twice"
        if how == "move":
            p.entries.insert(self.chance.randrange(len(p.entries)), p.entries.pop(i))
            return f"{told} moved to {p.entries.index(e)}"
        if how == "drop":
            del p.entries[i]
            return f"{told} left out"
        like = [o for o in p.entries if o is not e and o.type == e.type and o.body is not None]
        if like and e.body is not None:
            e.body = copy.deepcopy(self.chance.choice(like).body)
            return f"{told} with another's body"
        return self.in_document(p, ("header", i))

    def in_document(self, p, which):
        documents = self.documents(p)
        document = documents[which]
        told = self.member(document)
        self.put(p, which, document)
        return f"{which}: {told}"

    @staticmethod
    def put(p, which, document):
        """Where a change of it has consequences that an issuer would see to."""
        if isinstance(which, str) and which.startswith("approvals/"):
            signed_records.put(p, which, document)        # the issuer signs it anew
        if isinstance(which, str) and which.startswith("evidence/"):
            del p.files[which]
            new = p.put_evidence(document)
            swap = lambda value: json.loads(json.dumps(value).replace(which[9:], new))  # noqa: E731
            for e in p.entries:
                if e.body is not None:
                    e.body = swap(e.body)
            for path, other in signed_records.documents(p).items():
                if which[9:] in json.dumps(other):
                    signed_records.put(p, path, swap(other))
            p.certificate = swap(p.certificate)

    def everywhere(self, p):
        """One text or number in place of another wherever the same member has it: what a liar would do who keeps his story straight."""
        documents = self.documents(p)
        of = self.chance.choice(list(documents.values()))
        paths = [path for path in places(of) if isinstance(at(of, path), (str, int)) and isinstance(path[-1], str)]
        if not paths:
            return "nothing"
        path = self.chance.choice(paths)
        name, old = path[-1], at(of, path)
        new = self.value(name, old)
        for evidence in (True, False):                    # its digest changes, and is named by the others
            for which, document in self.documents(p).items():
                hits = [path for path in places(document)
                        if path[-1] == name and at(document, path) == old and type(at(document, path)) is type(old)]
                for path in hits:
                    at(document, path[:-1])[name] = copy.deepcopy(new)
                if hits and evidence == str(which).startswith("evidence/"):
                    self.put(p, which, document)
        return f"everywhere {name}: {str(old)[:40]!r} -> {str(new)[:60]!r}"

    def file(self, p):
        """A file of the bundle lost, twice, of another's content; or signed by another person."""
        paths = sorted(path for path in p.files if not path.startswith("ledger/") and path not in ("MANIFEST", "plan.json"))
        signed = [path for path in paths if path.endswith(".sig")]
        how, path = self.chance.choice(("lost", "extra", "exchanged", "exchanged", "signer", "signer")), self.chance.choice(paths)
        if how == "lost":
            del p.files[path]
            return f"{path} lost"
        if how == "extra":
            new = self.chance.choice((path + ".x", path.replace(".json", ".1.json"), "evidence/" + "0" * 64, f"x{path}"))
            p.files[new] = p.files[path]
            return f"{new} more"
        if how == "signer" and signed:
            path = self.chance.choice(signed)
            p.signer[path] = self.chance.choice(sorted({who for _, who in p.statements}))
            return f"{path} by {p.signer[path]}"
        like = [o for o in paths if o != path and o.split("/")[0] == path.split("/")[0] and o.rpartition(".")[2] == path.rpartition(".")[2]]
        if not like:
            return "nothing"
        other = self.chance.choice(like)
        p.files[path], p.files[other] = p.files[other], p.files[path]
        return f"{path} and {other} exchanged"

    def time(self, p):
        """An entry's time is that of another, or near it."""
        e, o = self.chance.choice(p.entries), self.chance.choice(p.entries)
        e.header["time"] = o.header["time"]
        return f"entry {p.entries.index(e)} ({e.type}) at the time of {p.entries.index(o)}"

    def change(self, p):
        how = self.chance.random()
        for limit, change in ((0.22, self.entry), (0.4, self.everywhere), (0.45, self.file), (0.5, self.time)):
            if how < limit:
                return change(p)
        kinds = {}
        for which in self.documents(p):
            kinds.setdefault(which.split("/")[0] if isinstance(which, str) else which[0], []).append(which)
        return self.in_document(p, self.chance.choice(kinds[self.chance.choice(sorted(kinds))]))
