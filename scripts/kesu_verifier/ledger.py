# Headers and bodies of the ledger (docs/spec/ledger.md), and the disclosure graph that folding them gives.
import re

from .base import (HEX64, HEX128, MAX_INT, Bad, ID, canonical_json, is_id, is_version, member,
                   millis_or_none, parse_json, sha256)

HEADERS, BODIES = "ledger/headers.gz", "ledger/bodies.jsonl"
MAX_HEADER = 512
MAX_BODY = 16 << 20
ENDED = {"destroyed", "verified", "validated", "certified"}
AFTER = {("destroyed", "verified"), ("verified", "validated")}  # all that follows a destruction
DEAD = {"absent", "destroyed", "destroyed-compromised"}

STATES = {
    "vlt": {"open", "closed"}, "prv": {"open", "closed"},
    "key": {"intended", "absent", "pre-activation", "active", "suspended", "deactivated", "compromised", "destroying",
            "destroyed", "destroyed-compromised"},
    "ds": {"open", "frozen", "held", "erased"}, "dsk": {"active"}, "bat": {"intended", "sealed", "abandoned"},
    "prc": {"alive", "ended"},
    "era": {"requested", "approved", "waiting", "withheld", "disabled", "scheduled", "running", "destroyed", "verified",
            "validated", "certified", "rejected", "cancelled", "failed"},
    "cer": {"issued", "superseded", "withdrawn"}, "cpy": {"open", "ended"}, "hld": {"placed", "released"},
    "opr": {"enrolled", "revoked"}, "doc": {"attached"}, "obj": set()}


# One row of the table of types: node kind -> (states, members that are there, members that may be); edges.
def _row(*nodes, edges=()):
    out = {}
    for kind, states, members, *more in nodes:
        out.setdefault(kind, []).append((set(states.split()), set(members.split()), set((more or [""])[0].split())))
    return out, set(edges)


_REWRAP = _row(("bat", "", "n"), edges=[("key", "bat"), ("dsk", "bat")])
TYPES = {
    "genesis": _row(("vlt", "open", "d")),
    "vault-closed": _row(("vlt", "closed", "")),
    "operator-enrolled": _row(("opr", "enrolled", "")),
    "operator-revoked": _row(("opr", "revoked", "")),
    "rules-changed": _row(("vlt", "", "d"), ("opr", "enrolled revoked", ""), ("opr", "", "")),
    "provider-added": _row(("prv", "open", "d")),
    "provider-closed": _row(("prv", "closed", "", "d")),
    "provider-rekeyed": _row(("prv", "", "")),
    "key-intended": _row(("key", "intended", "of:prv")),
    "key-created": _row(("key", "pre-activation active", "of:prv d")),
    "key-abandoned": _row(("key", "absent", "")),
    "key-state-changed": _row(("key", "active suspended deactivated compromised destroyed-compromised", "")),
    "key-inspected": _row(("key", "", "")),
    "key-attested": _row(("key", "", ""), ("opr", "", "")),
    "ledger-key-set": _row(("key", "", "")),
    "dataset-added": _row(("ds", "open", "")),
    "dataset-updated": _row(("ds", "", "")),
    "dataset-frozen": _row(("ds", "frozen", "of:era")),
    "dataset-unfrozen": _row(("ds", "open", "of:era")),
    "dataset-key-created": _row(("dsk", "active", "of:ds"), edges=[("key", "dsk")]),
    "dataset-key-rewrapped": _row(("dsk", "", ""), edges=[("key", "dsk")]),
    "fingerprint-key-created": _row(("dsk", "active", "of:ds"), edges=[("key", "dsk")]),
    "process-started": _row(("prc", "alive", "t"), edges=[("prc", "ds")]),
    "process-ended": _row(("prc", "ended", "")),
    "seal-intended": _row(("bat", "intended", "of:ds n"), edges=[("key", "bat"), ("dsk", "bat")]),
    "seal-done": _row(("bat", "sealed", "of:ds n b d")),
    "seal-abandoned": _row(("bat", "abandoned", "of:ds")),
    "objects-opened": _row(("prc", "", ""), ("ds", "", "n"), edges=[("prc", "ds")]),
    "residue-scanned": _row(("ds", "", "n b d")),
    "rewrap-intended": _REWRAP,
    "rewrap-done": _row(("bat", "", "n")),
    "copy-registered": _row(("cpy", "open", ""), edges=[("cpy", "key")]),
    "copy-ended": _row(("cpy", "ended", "")),
    "hold-placed": _row(("hld", "placed", "of:ds,key")),
    "hold-released": _row(("hld", "released", "", "of:ds,key")),
    "erasure-requested": _row(("era", "requested", "d")),
    "erasure-approved": _row(("era", "requested approved", ""), ("opr", "", "")),
    "erasure-rejected": _row(("era", "rejected", "")),
    "erasure-cancelled": _row(("era", "cancelled", "")),
    "erasure-failed": _row(("era", "failed", "")),
    "erasure-stamped": _row(("era", "", "d")),
    "erasure-started": _row(("era", "running", "")),
    "destroy-intended": _row(("key", "destroying", "", "of:era")),
    "destroy-done": _row(("key", "destroyed destroyed-compromised", "", "of:era")),
    "destroy-failed": _row(("key", "pre-activation active suspended deactivated compromised", "", "of:era")),
    "erasure-inspected": _row(("era", "destroyed", "")),
    "dataset-erased": _row(("ds", "erased", "of:era n b d")),
    "erasure-verified": _row(("era", "verified", ""), ("opr", "", "")),
    "erasure-validated": _row(("era", "validated", ""), ("opr", "", "")),
    "certificate-issued": _row(("cer", "issued", "of:era d")),
    "certificate-renewed": _row(("cer", "", "d")),
    "certificate-withdrawn": _row(("cer", "withdrawn", "")),
    "document-attached": _row(("doc", "attached", "d")),
    "notice-issued": _row(("doc", "attached", "of:era d")),
    "notice-superseded": _row(("doc", "attached", "of:era d")),
    "failure-reported": _row(("doc", "attached", "of:era d")),
    "contact-recorded": _row(),
    "exception-recorded": _row(),
    "finding-recorded": _row()}
_LINKED = {"dataset-key-created", "dataset-key-rewrapped", "fingerprint-key-created", "process-started", "seal-intended", "objects-opened",
           "rewrap-intended", "copy-registered"}


def kind_of(text):
    """The kind of a node: its prefix; `key` is a version here."""
    if is_version(text):
        return "key"
    found = ID.fullmatch(text) if isinstance(text, str) else None
    return found[1] if found and found[1] != "key" else None


class Header:
    __slots__ = ("seq", "time", "millis", "type", "nodes", "edges")

    def __init__(self, text, part):
        """From its canonical bytes; ValueError-free: Bad names the line."""
        if len(text) > MAX_HEADER:
            raise Bad(HEADERS, f"{part} is longer than {MAX_HEADER} bytes")
        try:
            value = parse_json(text, HEADERS, canonical=True)
            self._take(value)
        except Bad as error:
            raise Bad(HEADERS, f"{part}: {error.what}") from None

    def _take(self, h):
        if not isinstance(h, dict) or set(h) != {"v", "seq", "time", "type", "nodes", "edges"}:
            raise Bad(HEADERS, "its members are not those of a header")
        if h["v"] != 1 or isinstance(h["v"], bool):
            raise Bad(HEADERS, "is of a version that this reader does not know")
        self.seq, self.time, self.type = (member(h, *m, HEADERS) for m in
                                          (("seq", "number"), ("time", "time"), ("type", "text")))
        self.millis = millis_or_none(self.time)
        self.nodes, self.edges = member(h, "nodes", "objects", HEADERS), member(h, "edges", "list", HEADERS)
        if self.type not in TYPES:
            raise Bad(HEADERS, f'the type "{self.type[:40]}" is not known')
        if self.seq < 0 or not 1 <= len(self.nodes) <= 6:
            raise Bad(HEADERS, "has no nodes, or more than six")
        self._check()

    def _check(self):
        rows, edge_kinds = TYPES[self.type]
        ids = set()
        for item in self.nodes:
            name = item.get("id")
            kind = kind_of(name)
            if kind is None or name in ids:
                raise Bad(HEADERS, "a node's id is malformed, or stands twice")
            ids.add(name)
            if not set(item) <= {"id", "is", "of", "n", "b", "d", "t"}:
                raise Bad(HEADERS, f"{name} has a member that is not known")
            self._kinds(item, kind)
            if (len(item) > 1 or kind in rows) and not self._follows(item, rows.get(kind, [])):
                raise Bad(HEADERS, f"{name} is not as {self.type} says")
        if rows and self._missing_first(rows):
            raise Bad(HEADERS, f"no node is as {self.type} says")
        if (self.type == "genesis") != (self.seq == 0) or not self.seq and len(self.nodes) != 1:
            raise Bad(HEADERS, "genesis stands elsewhere than alone at the beginning")
        seen = set()
        for edge in self.edges:
            if not (isinstance(edge, list) and len(edge) == 2 and all(isinstance(e, str) for e in edge)):
                raise Bad(HEADERS, "an edge is no pair")
            if (kind_of(edge[0]), kind_of(edge[1])) not in edge_kinds or tuple(edge) in seen:
                raise Bad(HEADERS, f"an edge is not as {self.type} says, or stands twice")
            seen.add(tuple(edge))
            end = edge[0 if self.type in ("process-started", "copy-registered") else 1]
            if end not in ids:
                raise Bad(HEADERS, f"{end} stands at an edge and is not among the nodes")
        if self.type in _LINKED:
            ends = {e for edge in self.edges for e in edge}
            own = {kind[0 if self.type == "copy-registered" else 1] for kind in edge_kinds} if self.type != "process-started" else ()
            for item in self.nodes:
                if kind_of(item["id"]) in own and item["id"] not in ends:
                    raise Bad(HEADERS, f"{item['id']} is the end of no edge")

    def _missing_first(self, rows):
        kind = next(iter(rows))
        return not any(kind_of(item["id"]) == kind and self._follows(item, rows[kind]) for item in self.nodes)

    def _kinds(self, item, kind):
        if "is" in item and (not isinstance(item["is"], str) or item["is"] not in STATES[kind]):
            raise Bad(HEADERS, f"{item['id']} has a state that its kind has not")
        if "of" in item and not (isinstance(item["of"], str) and (kind_of(item["of"]) or is_id(item["of"], "key"))):
            raise Bad(HEADERS, f"{item['id']} belongs to nothing that is named")
        for name in ("n", "b"):
            if name in item and not (isinstance(item[name], int) and not isinstance(item[name], bool)
                                     and 0 <= item[name] <= MAX_INT):
                raise Bad(HEADERS, f"{item['id']} has no count in {name}")
        if "d" in item and not (isinstance(item["d"], str) and (HEX128 if kind == "cer" else HEX64).fullmatch(item["d"])):
            raise Bad(HEADERS, f"{item['id']} has no digest in d")
        if "t" in item and not (isinstance(item["t"], str) and millis_or_none(item["t"]) is not None):
            raise Bad(HEADERS, f"{item['id']} has no time in t")

    @staticmethod
    def _follows(item, rows):
        for states, members, optional in rows:
            have = set(item) - {"id", "is"}
            names = {m.partition(":")[0]: m.partition(":")[2] for m in members | optional}
            must = {m.partition(":")[0] for m in members}
            if (item.get("is") in states if states else "is" not in item) and must <= have <= set(names):
                kinds = names.get("of", "")
                if "of" not in item or not kinds or kind_of(item["of"]) in kinds.split(","):
                    return True
        return False

    def named(self):
        """Every node that the entry names: in an item, or at an end of an edge."""
        return {item["id"] for item in self.nodes} | {end for edge in self.edges for end in edge}


class Node:
    __slots__ = ("id", "kind", "state", "n", "b", "d", "t", "of", "provider", "datasets", "entries")

    def __init__(self, name):
        self.id, self.kind, self.state = name, kind_of(name), None
        self.n = self.b = self.d = self.t = self.of = self.provider = None
        self.datasets, self.entries = set(), []


class Graph:
    """What folding headers gives. `entries` of a node: (seq) of the headers that name it, in order."""

    def __init__(self):
        self.nodes, self.into, self.out, self.last = {}, {}, {}, 0
        self.closed = False

    def node(self, name):
        if name not in self.nodes:
            self.nodes[name] = Node(name)
        return self.nodes[name]

    def state(self, name):
        return self.nodes[name].state if name in self.nodes else None

    def fold(self, h, line):
        if self.closed:
            raise Bad(HEADERS, f"line {line}: an entry follows vault-closed")
        if h.millis < self.last:
            raise Bad(HEADERS, f"line {line}: its time is before that of the entry before it")
        self.last = h.millis
        for item in h.nodes:
            node = self.node(item["id"])
            if "is" in item:
                self._move(node, item["is"], line)
                node.n, node.b, node.d = item.get("n"), item.get("b"), item.get("d")
            if "t" in item:
                node.t = millis_or_none(item["t"])
            if "of" in item:
                node.of = item["of"]
                if kind_of(item["of"]) == "prv":
                    node.provider = item["of"]
                if kind_of(item["of"]) == "ds":
                    node.datasets.add(item["of"])
        for name in h.named():
            self.node(name).entries.append(h.seq)
        for begin, end in h.edges:
            self.into.setdefault(end, set()).add(begin)
            self.out.setdefault(begin, set()).add(end)
        self.closed = h.type == "vault-closed"

    @staticmethod
    def _move(node, state, line):
        # What is gone stays gone: a key version, an erased dataset, an ended process or copy.
        if node.kind == "key" and (node.state in ("absent", "destroyed-compromised") or node.state == "destroyed"
                                   and state != "destroyed-compromised"):
            was = "was destroyed" if node.state != "absent" else "never came to be"
            raise Bad(HEADERS, f"line {line}: {node.id} {was} and cannot become {state}")
        # What an erasure destroyed is not undone by another word for it.
        if node.kind == "era" and node.state in ENDED and (node.state, state) not in AFTER:
            raise Bad(HEADERS, f"line {line}: {node.id} was {node.state} and cannot become {state}")
        node.state = state

    # Reaching. An edge from a process to a dataset stands for edges to all its data keys.

    def data_keys(self, dataset):
        return [n.id for n in self.nodes.values() if dataset in n.datasets and n.kind in ("bat", "dsk")]

    def reachers(self, datasets):
        """Key versions, copies, processes from which a data key of these datasets is or was ever reachable."""
        wanted = set(datasets)
        todo = [n.id for n in self.nodes.values() if n.kind in ("bat", "dsk") and n.datasets & wanted] + list(wanted)
        seen = set(todo)
        while todo:
            for begin in self.into.get(todo.pop(), ()):
                if begin not in seen:
                    seen.add(begin)
                    todo.append(begin)
        return {kind: sorted((n for n in seen if kind_of(n) == kind), key=version_order)
                for kind in ("key", "cpy", "prc")}

    def reached_datasets(self, begins):
        """Datasets whose data keys these nodes reach or ever reached."""
        todo, seen = list(begins), set(begins)
        out = set()
        while todo:
            for end in self.out.get(todo.pop(), ()):
                if end not in seen:
                    seen.add(end)
                    todo.append(end)
        for name in seen:
            node = self.nodes.get(name)
            if node and node.kind in ("bat", "dsk"):
                out |= node.datasets
        return out

    def living(self, name, now):
        node = self.nodes.get(name)
        kind = kind_of(name)
        if kind == "key":
            return node is None or node.state not in DEAD
        if kind == "prc":
            return bool(node) and node.state == "alive" and (node.t is None or node.t > now)
        return kind == "cpy" and bool(node) and node.state == "open"


def version_order(name):
    """Sorted by key, then by number."""
    key, _, number = name.partition(".")
    return key, int(number or 0)


def body_hash(salt, body):
    return sha256(salt + canonical_json(body))


def leaf_hash(header_text, body_digest):
    return sha256(b"\x00" + header_text + body_digest)


LINE = re.compile(rb"([^\t\n]{1,%d})\t([0-9a-f]{64})" % (MAX_HEADER * 4))
