"""Bundles that were changed at random places and issued anew by somebody who holds every key: `kesu verify`,
scripts/verify_certificate.py and the verifier page must say the same of each, and none may stumble.

What the corpus of bad bundles (second_verifier_test.py) changes one by one and on purpose is mixed here: records spliced
from one entry into another, closed, doubled, moved, members exchanged with those of the same name elsewhere, two changes
at once. KESU_BUNDLES=N for more of them, KESU_SEED for others.
"""
import collections
import copy
import json
import os
import pathlib
import random
import shutil
import sys

ROOT = pathlib.Path(__file__).resolve().parents[2]
sys.path[:0] = [str(ROOT / "tests" / "support"), str(ROOT / "scripts")]
import debian_python  # noqa: F401
import harness
import reissue
import scenario
import verify_page
from kesu_verifier import trust as trust_file
from kesu_verifier import verify as second
from scenario import CHUNK

BUNDLES = int(os.environ.get("KESU_BUNDLES", "80"))
SEED = int(os.environ.get("KESU_SEED", "1"))
LOW = ("--require", "low", "--allow-test-grade")
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
        return out

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
        if isinstance(which, str) and which.startswith("approvals/"):
            p.files[which] = reissue.readable(document)   # the issuer signs it anew
        if isinstance(which, str) and which.startswith("evidence/"):
            del p.files[which]
            new = p.put_evidence(document)
            for e in p.entries:
                if e.body is not None:
                    e.body = json.loads(json.dumps(e.body).replace(which[9:], new))
            p.certificate = json.loads(json.dumps(p.certificate).replace(which[9:], new))
        return f"{which}: {told}"

    def change(self, p):
        how = self.chance.random()
        if how < 0.25:
            return self.entry(p)
        kinds = {}
        for which in self.documents(p):
            kinds.setdefault(which.split("/")[0] if isinstance(which, str) else which[0], []).append(which)
        return self.in_document(p, self.chance.choice(kinds[self.chance.choice(sorted(kinds))]))


class ChangedBundles(verify_page.Driver, scenario.World):
    @classmethod
    def prepare(cls):
        box = cls.box
        box.kesu("dataset", "update", "loans-2019", "--fingerprints", "on", "--reason", "residue")
        cls.seal("loans-2019", {"a": b"one", "b": b"two" * CHUNK})
        box.kesu("key", "rotate", "loans")
        cls.seal("loans-2019", {"c": b"three"})
        box.kesu("rewrap", "loans-2019")
        box.kesu("key", "destroy", "loans.1", "-y")
        box.kesu("dataset", "add", "old", "--key", "loans", "--header-only")
        box.kesu("seal", "old", cls.write("old", b"old"), "-o", box.state / "old")
        copy = box.kesu("copy", "add", "loans.2", "--kind", "backup", "--place", "safe 2", "--custodian", "C", "--medium", "tape").json
        box.kesu("copy", "destroy", copy["id"], "--how", "shredded", "--as", scenario.OPERATOR)
        box.kesu("inventory", "scan", "loans-2019", box.state / "old")
        case = cls("test_all_say_the_same")
        erasure = case.approved("loans-2019", "old")
        case.run_erasure(erasure)
        cls.issue(erasure)
        cls.open_page()

    def reports(self, files, path, trust, tables):
        """Of kesu, of the second reader and of the page: each its verdict, its levels and what it calls wrong."""
        bundle = self.elsewhere / "changed"
        reissue.write(files, bundle)
        try:
            kesu = self.box.run(harness.program("kesu"), "verify", bundle, "--trust", path, *LOW, "--json", code=(0, 6, 7)).json
            page = self.check(bundle, trust=path.read_text())
        finally:
            shutil.rmtree(bundle)
        mine = second.verify(files, trust, tables, require="low", allow_test_grade=True)
        self.assertEqual([e for e in mine["errors"] if e["what"].startswith("cannot be read (")], [])
        out = [(r.get("verdict", "invalid"), {c["id"]: c["level"] for c in r.get("claims", ())}, r.get("errors", r)) for r in (kesu, mine)]
        return [*out, (page["verdict"], page["levels"], page["errors"])]

    def test_all_say_the_same(self):
        chance = random.Random(SEED)
        issuer = reissue.Issuer(reissue.read(self.bundle), reissue.keys_by_operator(self.bundle, self))
        mutator, path, seen = Mutator(chance, issuer.original), self.box.path / "trust", collections.Counter()
        path.write_text(issuer.trust(self.trust))
        trust, tables = trust_file.read_trust(str(path)), trust_file.Tables()
        for number in range(BUNDLES):
            told = []

            def edit(p):
                for _ in range(chance.choice((1, 1, 2, 3)) if number else 0):
                    told.append(mutator.change(p))
            try:
                files = issuer.issue(edit)
            except (KeyError, IndexError, TypeError, AttributeError, ValueError, StopIteration):
                seen["not to be issued"] += 1             # this issuer does not know what to do with it
                continue
            with self.subTest(number=number, told=told):
                reports = self.reports(files, path, trust, tables)
                (first, levels, _), *others = reports
                seen[first] += 1
                self.assertEqual([verdict for verdict, *_ in others], [first] * 2, [said[:3] for *_, said in reports])
                if first != "invalid":
                    self.assertEqual([those for _, those, _ in others], [levels] * 2)
                if not number:
                    self.assertEqual(first, "complete")
        print(f"{BUNDLES} bundles, seed {SEED}: " + ", ".join(f"{n} {what}" for what, n in sorted(seen.items())))
        self.assertGreater(seen["invalid"], BUNDLES // 2)


if __name__ == "__main__":
    scenario.main()
