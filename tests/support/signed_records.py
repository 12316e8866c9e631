"""An issuer who signs anew what people signed after genesis, too: changes of people and rules, releases of holds, attended births,
verification and validation. With every key, as reissue.Issuer does it for requests, approvals and commands.
"""
import json
import re

import reissue
from reissue import readable, sha

KINDS = {"rules-changed": "change", "hold-released": "release", "key-attested": "key-attest"}
STATEMENT = re.compile(r"approvals/(?:(change|release|key-attest)\.\d+(?:\.(opr-\w+))?|(verify|validate)\.(opr-\w+))\.json$")


class Issuer(reissue.Issuer):
    """`parts.signer`, path → operator, has somebody else sign there."""

    def issue(self, edit=None, *words, withdrawn=False, **options):
        def both(p):
            p.signer = {}
            if edit:
                edit(p)
            if withdrawn:
                self._withdraw(p)
            p.kept = {path: p.files.pop(path) for path in list(p.files)
                      if path.startswith(tuple(f"approvals/{k}." for k in (*KINDS.values(), "verify", "validate")))}
            for e in p.entries:
                if e.type in KINDS:
                    e.at_fold = lambda files, leaves, e=e: self._numbered(p, e, files, len(leaves))
                elif e.type in ("erasure-verified", "erasure-validated"):
                    e.at_fold = lambda files, leaves, e=e: self._of_erasure(p, e, files)
        return super().issue(both, *words, **options)

    @staticmethod
    def _withdraw(p):
        """At the end, above checkpoint A: what certificate.json says then makes nothing invalid, so that all else shows."""
        header = {"v": 1, "seq": 0, "type": "certificate-withdrawn", "nodes": [{"id": p.certificate["id"], "is": "withdrawn"}], "edges": [],
                  "time": p.entries[-1].header["time"]}
        entry = reissue.Entry(header, digest="11" * 32)
        entry.was = 1 << 40
        p.entries.append(entry)

    def _sign(self, p, path, signature, old, data, operator, space):
        """As it was where nothing changed; else by the person, or by somebody else."""
        who = p.signer.get(path, operator)
        if data == old and who == operator or who not in self.officers:
            return signature
        return reissue.ssh_sign(self.officers[who], data, space)

    @staticmethod
    def _named(e, names):
        """The entry names the new digests where it named the old ones."""
        swap = lambda value: json.loads(re.sub("[0-9a-f]{64}", lambda m: names.get(m[0], m[0]), json.dumps(value)))  # noqa: E731
        e.header["nodes"] = swap(e.header["nodes"])
        if e.body is not None:
            e.body = swap(e.body)

    def _numbered(self, p, e, files, seq):
        kind = KINDS[e.type]
        mine = {path: data for path, data in p.kept.items() if path.startswith(f"approvals/{kind}.{e.was}.")}
        names, out = {}, lambda path: path.replace(f".{e.was}.", f".{seq}.", 1)
        was = lambda path: self.original.files.get(path)  # noqa: E731
        for path, data in mine.items():
            if path.endswith(".json"):
                names[sha(was(path) or data)] = sha(data)
            elif path.endswith(".sig"):
                statement = path[:-4] if kind != "change" else f"approvals/change.{e.was}.json"
                operator = re.search(r"opr-\w+", path)[0]
                new = self._sign(p, path, data, was(statement), mine.get(statement, b""), operator, f"kesu-{kind}-v1")
                names[sha(data)], data = sha(new), new
            files[out(path)] = data
        self._named(e, names)

    def _of_erasure(self, p, e, files):
        operator = (e.body or {}).get("operator", "")
        path = f"approvals/{'verify' if e.type == 'erasure-verified' else 'validate'}.{operator}.json"
        if path not in p.kept:
            return
        old, plan, names = p.kept[path], sha(files.get("plan.json", b"")), getattr(p, "renamed", {})
        text = old.decode().replace(self.original.certificate["plan"], plan)
        for a, b in names.items():
            text = text.replace(a, b)
        data = text.encode()
        signature = self._sign(p, path + ".sig", p.kept.get(path + ".sig", b""), b"", data, operator, f"kesu-{path[10:].split('.')[0]}-v1")
        p.renamed = {**names, sha(self.original.files.get(path, old)): sha(data)}
        self._named(e, {sha(self.original.files.get(path, old)): sha(data), sha(p.kept.get(path + ".sig", b"")): sha(signature)})
        files[path], files[path + ".sig"] = data, signature


def documents(p):
    """Statements that can be changed in place, by path."""
    return {path: json.loads(data) for path, data in p.files.items() if STATEMENT.match(path)}


def put(p, path, document):
    p.files[path] = readable(document)
