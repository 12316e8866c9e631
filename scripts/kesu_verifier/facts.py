# What a bundle shows of one erasure, before any claim: plan, scope, kill set, keys, inventory.
from .base import Bad, canonical_json, is_id, is_kind, is_version, maybe, parse_json, sha256_hex
from .bundle import BODIES
from .ledger import version_order
from .notes import Tree
from .probe import Unreadable, read_birth, read_reference

PLAN = "plan.json"
_PLAN = {"type": "text", "vault": "text", "organisation": "text", "erasure": "text", "created": "time",
         "ledger": "object", "profile": "text", "profile_digest": "digest", "policy_digest": "digest",
         "quorum": "number", "waiting_seconds": "number", "datasets": "objects", "key_versions": "objects",
         "providers": "objects", "copies": "objects", "order": "objects", "exceptions": "list", "windows": "list"}


def _text(value):
    return isinstance(value, str)


def _count(value):
    return is_kind(value, "number") and value >= 0


def _id(kind):
    return lambda value: is_id(value, kind)


# Of the items of its lists; the first of each stands once.
_ITEMS = {"datasets": {"id": _id("ds"), "name": _text, "objects": _count, "bytes": _count, "inventory_root": lambda v: is_kind(v, "digest"),
                       "batches": _count},
          "key_versions": {"version": is_version, "name": _text, "provider": _id("prv"), "label": _text,
                           "canary": lambda v: v == "" or is_kind(v, "digest")},
          "providers": {"id": _id("prv"), "name": _text, "kind": _text, "serial": _text, "label": _text, "manufacturer": _text,
                        "control": is_version},
          "copies": {"id": _id("cpy"), "state": _text},
          "order": {"version": is_version, "step": lambda v: v == "destroy"}}
NEVER = "1970-01-01T00:00:00.000Z"  # the time of what did not happen
DESTROYED = ("destroyed", "destroyed-compromised")


class Facts:
    """Reads everything through the opened bodies of a usable ledger. `bad(part, what)` takes what is wrong, `note` what is only missing."""

    def __init__(self, files, ledger, tables, bad, note):
        self.files, self.ledger, self.tables, self.bad, self.note = files, ledger, tables, bad, note
        self.graph = ledger.graph
        self.now = self.graph.last
        self.plan, self.plan_digest, self.erasure, self.scope = {}, "", "", []
        self.versions, self.copies, self.processes = [], [], []
        self.leaf_datasets, self.inventory_good, self.roots = {}, True, {}
        self._evidence, self._missing = {}, set()
        self._read_plan()
        reach = self.graph.reachers(self.scope)
        self.versions, self.copies, self.processes = reach["key"], reach["cpy"], reach["prc"]
        # Who was told to do what, and when.
        self.order = [s["version"] for s in self.plan.get("order", [])]
        self.requested = next(iter(ledger.about(self.erasure, "erasure-requested")), None)
        self.started = self._started_that_counts()
        self.done = {v: self._last(v, "destroy-done") for v in self.versions}
        # The header alone is the ledger's word: what counts is an entry that says how it ended.
        self.done = {v: h if self.need(h) is not None else None for v, h in self.done.items()}
        self.earlier = [v for v in self.versions if v not in self.order and self.done[v] is not None]
        self._check_evidence_names()

    # Bodies and evidence.

    def body(self, header):
        return self.ledger.bodies.get(header.seq) if header is not None else None

    def opened(self, node, kind):
        """The last entry of that type about a node, and its body; None, {} where it is not shown."""
        header = self._last(node, kind)
        return header, self.body(header) or {}

    def need(self, header):
        """The body of an entry; where it is not opened, that is said."""
        body = self.body(header)
        if body is None and header is not None:
            self.note(BODIES, f"entry {header.seq} ({header.type}) is not opened")
        return body

    def _last(self, node, kind):
        found = self.ledger.about(node, kind)
        return found[-1] if found else None

    def evidence(self, digest, what):
        """An evidence file's bytes; None where it is not there, which is said."""
        if not is_kind(digest, "digest"):
            return None
        path = f"evidence/{digest}"
        if path not in self.files:
            if path not in self._missing:
                self._missing.add(path)
                self.note(path, f"is missing: {what}")
            return None
        if digest not in self._evidence:
            try:
                data = self.files.read(path)
            except Bad as error:
                self.bad(error.part, error.what)
                return None
            self._evidence[digest] = data
        return self._evidence[digest] if digest not in self.wrong_names else None

    def evidence_json(self, digest, what):
        data = self.evidence(digest, what)
        if data is None:
            return None
        try:
            value = parse_json(data, f"evidence/{digest}", canonical=True)
            return value if isinstance(value, dict) else None
        except Bad as error:
            self.bad(error.part, error.what)
            return None

    def _check_evidence_names(self):
        self.wrong_names = set()
        for path in self.files.paths():
            if path.startswith("evidence/"):
                digest = path.partition("/")[2]
                try:
                    if sha256_hex(self.files.read(path, 1 << 30)) != digest:
                        self.wrong_names.add(digest)
                        self.bad(path, "is not what its name says")
                except Bad as error:
                    self.bad(error.part, error.what)

    # The plan.

    def _read_plan(self):
        try:
            data = self.files.read(PLAN)
            plan = parse_json(data, PLAN, canonical=True)
            self._plan_form(plan)
        except Bad as error:
            self.bad(error.part, error.what)
            return
        self.plan, self.plan_digest, self.erasure = plan, sha256_hex(data), plan["erasure"]
        self.scope = [d["id"] for d in plan["datasets"]]

    @staticmethod
    def _plan_form(plan):
        if not isinstance(plan, dict) or set(plan) != set(_PLAN):
            raise Bad(PLAN, "its members are not those of a plan")
        for name, kind in _PLAN.items():
            if not is_kind(plan[name], kind):
                raise Bad(PLAN, f"{name} is not a {kind}")
        if plan["type"] != "kesu-plan-v1" or not is_id(plan["vault"], "vlt") or not is_id(plan["erasure"], "era"):
            raise Bad(PLAN, "is no plan of an erasure")
        if plan["exceptions"] or plan["windows"]:
            raise Bad(PLAN, "exceptions or windows are not empty")
        for name, members in _ITEMS.items():
            for item in plan[name]:
                if set(item) != set(members):
                    raise Bad(PLAN, f"{name}: its members are not those of a plan")
                for member, good in members.items():
                    if not good(item[member]):
                        raise Bad(PLAN, f"{name}: {member} is out of form")
            first = [item[next(iter(members))] for item in plan[name]]
            if len(set(first)) != len(first):
                raise Bad(PLAN, f"{name}: one stands there twice")
        if [d["id"] for d in plan["datasets"]] != sorted(d["id"] for d in plan["datasets"]) or not plan["datasets"]:
            raise Bad(PLAN, "datasets are not in order, or none")
        if plan["quorum"] < 0 or plan["waiting_seconds"] < 0:
            raise Bad(PLAN, "the quorum or the waiting period is not possible")
        if set(plan["ledger"]) != {"size", "root"} or not _count(plan["ledger"]["size"]) or not is_kind(plan["ledger"]["root"], "digest"):
            raise Bad(PLAN, "ledger is malformed")

    def summary(self):
        """What every statement says that the plan does."""
        p, lines = self.plan, []
        names = {k["version"]: f"{k['name']}.{k['version'].rpartition('.')[2]}" for k in p["key_versions"]}
        mine = ", ".join(names.get(v, v) for v in self.order)
        places = ", ".join(f"{q['name']} (token {q['label']}, serial {q['serial']})" for q in p["providers"])
        lines.append(f"Destroys {len(self.order)} key version{'s' if len(self.order) != 1 else ''}: {mine} in {places}")
        for d in p["datasets"]:
            lines.append(f"Makes unreadable for ever: dataset {d['name']}, {d['objects']} object{'s' if d['objects'] != 1 else ''}, "
                         f"{d['bytes']} byte{'s' if d['bytes'] != 1 else ''}")
        return lines + ["Cannot be undone once it has run"]

    def check_plan(self):
        """Every member against what the ledger shows."""
        p = self.plan
        if not p:
            return
        first = self.ledger.headers.get(0)
        if first is not None and p["vault"] != first.nodes[0]["id"]:
            self.bad(PLAN, f"the ledger is of vault {first.nodes[0]['id']}, the plan of {p['vault']}")
        size = p["ledger"]["size"]
        if size == 0 or size > (self.requested.seq if self.requested else self.ledger.a.size):
            self.bad(PLAN, "ledger: its size is not before the request")
        elif size in self.ledger.roots and self.ledger.roots[size].hex() != p["ledger"]["root"]:
            self.bad(PLAN, "ledger: root is not what the ledger shows")
        if self.requested is None:
            self.bad(PLAN, "no entry of the ledger requests this erasure")
        else:
            body = self.body(self.requested) or {}
            said = {next(i.get("d") for i in self.requested.nodes if i["id"] == self.erasure), body.get("plan",
                                                                                                  self.plan_digest)}
            if said != {self.plan_digest}:
                self.bad(PLAN, "is not the plan that was requested")
        if self.tables.profile(p["profile"]) is None:
            self.bad(PLAN, "profile: is not known")
        if p["profile_digest"] not in self.tables.profile_digests:
            self.bad(PLAN, "profile_digest: is of no table of profiles that this reader knows")
        self._plan_datasets()
        self._plan_keys()

    def _plan_datasets(self):
        for d in self.plan["datasets"]:
            shown = {"name": self.dataset(d["id"])["name"], "objects": self.objects(d["id"]), "bytes": self.bytes(d["id"]),
                     "batches": len(self.sealed(d["id"])), "inventory_root": self.roots.get(d["id"], "")}
            for name, value in shown.items():
                if d[name] != value:
                    self.bad(PLAN, f"datasets: {name} of {d['id']} is not what the ledger shows")

    def _plan_keys(self):
        p = self.plan
        planned = [k["version"] for k in p["key_versions"]]
        for v in self.versions:
            if v not in planned:
                self.bad(PLAN, f"key_versions: {v} reaches the data and is not in the plan")
            before = self.done[v] is not None and self.requested is not None and self.done[v].seq < self.requested.seq
            if v not in self.order and not before:
                self.bad(PLAN, f"order: {v} is not destroyed by the plan")
        for k in p["key_versions"]:
            if k["version"] not in self.versions:
                self.bad(PLAN, f"key_versions: {k['version']} does not reach the data")
                continue
            ref = self.reference(k["version"])
            node = self.graph.nodes[k["version"]]
            canary = ref.get("canary") if isinstance(ref.get("canary"), dict) else {}
            shown = {"provider": node.provider, "label": ref.get("label"), "canary": canary.get("digest"),
                     "name": self.created(k["version"]).get("name")}
            for name, value in shown.items():
                if (ref or name == "provider") and k[name] != value:
                    self.bad(PLAN, f"key_versions: {name} of {k['version']} is not what the ledger shows")
        for v in self.order:
            if v not in planned:
                self.bad(PLAN, f"order: {v} is not among key_versions")
        # One that was registered after the certificate can be in neither.
        since = {}
        for header in self.ledger.of_type("copy-registered"):
            since.setdefault(header.nodes[0]["id"], header.seq)
        if {c["id"] for c in p["copies"]} != {c for c in self.copies if c not in since or since[c] < self.ledger.a.size}:
            self.bad(PLAN, "copies: are not those from which the data was ever reachable")
        self._plan_providers()

    def _plan_providers(self):
        holding = set(self.providers())
        for q in self.plan["providers"]:
            if q["id"] not in holding:
                self.bad(PLAN, f"providers: {q['id']} holds none of the keys")
                continue
            shown = self.provider(q["id"])
            if shown is None:
                self.bad(PLAN, f"providers: {q['id']} is not what the ledger shows: its provider-added is not opened")
                continue
            control = self.created(q["control"]) if is_version(q["control"]) else {}
            node = self.graph.nodes.get(q["control"])
            values = {"name": shown["name"], **{n: shown["identity"].get(n, "") for n in ("kind", "serial", "label",
                                                                                       "manufacturer")}}
            for name, value in values.items():
                if q[name] != value:
                    self.bad(PLAN, f"providers: {name} of {q['id']} is not what the ledger shows")
            if control and control.get("purpose") != "control" or node is None or node.provider != q["id"]:
                self.bad(PLAN, f"providers: control of {q['id']} is not what the ledger shows")
        for place in holding - {q["id"] for q in self.plan["providers"]}:
            self.bad(PLAN, f"providers: {place} holds keys and is not in the plan")

    # The graph's nodes, as their bodies describe them.

    def created(self, version):
        return self.opened(version, "key-created")[1]

    def reference(self, version):
        header, body = self.opened(version, "key-created")
        if not body:
            return {}
        try:
            return read_reference(body.get("ref"))
        except Unreadable as error:
            self.bad(f"entry {header.seq}", f"ref: {error}")
            return {}

    def birth(self, version):
        """The birth record that key-created names; None where it is missing, or of another key."""
        body = self.created(version)
        if not body:
            return None
        record = self.evidence_json(body.get("birth"), f"the birth of {version}")
        try:
            if record is not None and read_birth(record)["ref"] != self.reference(version):
                raise Unreadable("the birth record is of another key")
        except Unreadable as error:
            self.bad(f"evidence/{body['birth']}", str(error))
            return None
        return record

    def check_births(self):
        """Of every version that something here rests on: the entry of its birth, its header and its record say one thing."""
        headers = self.ledger.of_type("key-created")
        wanted = {*self.versions, *(h.nodes[0]["id"] for h in self.ledger.of_type("ledger-key-set")),
                  *(p["control"] for p in self.plan.get("providers", [])),
                  *(h.nodes[0]["id"] for h in headers if (self.body(h) or {}).get("purpose") == "sign-certificate")}
        for header in headers:
            version, body = header.nodes[0]["id"], self.body(header)
            if version not in wanted or body is None:
                continue
            try:
                ref = read_reference(body.get("ref"))
                if ref["version"] != version:
                    raise Unreadable(f"ref is of {ref['version']}")
                if not is_kind(body.get("name"), "text"):
                    raise Unreadable("name is missing")
                if not is_kind(body.get("birth"), "text"):
                    raise Unreadable("birth is missing")
                if ref["purpose"] != body.get("purpose"):
                    raise Unreadable("purpose is not that of ref")
                shown = (ref["canary"] or {}).get("digest", "") + ref["public_key"]
                if header.nodes[0].get("d") != sha256_hex(bytes.fromhex(shown)):
                    raise Unreadable("d is not the digest of canary and public key")
            except Unreadable as error:
                self.bad(f"entry {header.seq}", str(error))
        for version in sorted(wanted):
            self.birth(version)
        for place in self.providers():
            for header in self.ledger.about(place, "provider-added"):
                identity = (self.body(header) or {}).get("identity")
                if identity is not None and sha256_hex(canonical_json(identity)) != header.nodes[0].get("d"):
                    self.bad(f"entry {header.seq}", "d is not the digest of identity")

    def check_once(self):
        """What begins a node is said of it once."""
        for kind, wanted in (("dataset-added", self.scope), ("provider-added", self.providers()), ("key-created", None), ("seal-done", None),
                             ("certificate-issued", None)):
            seen = set()
            for header in self.ledger.of_type(kind):
                for item in header.nodes:
                    if "is" not in item or wanted is not None and item["id"] not in wanted:
                        continue
                    if item["id"] in seen:
                        self.bad(f"entry {header.seq}", f"a second {kind} of {item['id']}")
                    seen.add(item["id"])

    def name(self, version):
        """As people write it, loans.2; the version itself where its name is not shown."""
        name = maybe(self.created(version), "name", "text") or maybe(self.opened(version, "key-intended")[1], "name", "text")
        return f"{name}.{version.rpartition('.')[2]}" if name else version

    def providers(self):
        """Those that hold versions of the kill set."""
        out = {self.graph.nodes[v].provider for v in self.versions if self.graph.nodes[v].provider}
        return sorted(out)

    def provider(self, place):
        """Its provider-added body, or None where it is not shown."""
        body = self.opened(place, "provider-added")[1]
        identity = maybe(body, "identity", "object")
        return {"name": maybe(body, "name", "text", ""), "identity": identity} if identity else None

    def dataset(self, ds):
        """What dataset-added says, changed by each dataset-updated."""
        out = {"name": ds, "class": "", "region": "", "owner": "", "contract": "", "locations": [],
               "service": "", "contact": "", "asset": "", "destination": "",
               "bind_payload": False, "unreadable_until": "open-ended", "plaintext_history": {"by": "", "detail": "", "statement": "unknown"},
               "shown": False}
        body = self.opened(ds, "dataset-added")[1]
        out["shown"] = bool(body)
        changes = []
        for header in self.ledger.about(ds, "dataset-updated"):
            change = maybe(self.need(header), "changes", "object")
            if change is None:
                self.bad(BODIES, f"entry {header.seq} ({header.type}) does not say what changed")
            changes.append(change or {})
        for said in [body] + changes:
            out.update({k: v for k, v in said.items() if k in out and k != "shown" or k in ("protection", "bind_payload")})
        return out

    def contacts(self):
        """By node: what contact-recorded says of the vault and of people, as of checkpoint A."""
        out = {}
        for header in self.ledger.of_type("contact-recorded"):
            if header.seq < self.ledger.a.size:
                body = self.need(header)
                said = {n: maybe(body, n, "text") for n in ("contact", "place")}
                if None in said.values():
                    self.bad(BODIES, f"entry {header.seq} ({header.type}) does not say what it should, or is not opened")
                out[header.nodes[0]["id"]] = {n: v or "" for n, v in said.items()}
        return out

    def batches(self, ds):
        return [n for n in self.graph.nodes.values() if n.kind == "bat" and ds in n.datasets]

    def sealed(self, ds):
        """Sealed batches in the order of their seal-done entries."""
        found = [(self._last(n.id, "seal-done").seq, n) for n in self.batches(ds)
                 if n.state == "sealed" and self._last(n.id, "seal-done")]
        return [n for _, n in sorted(found, key=lambda pair: pair[0])]

    def objects(self, ds):
        return sum(n.n or 0 for n in self.sealed(ds))

    def bytes(self, ds):
        return sum(n.b or 0 for n in self.sealed(ds))

    def replaced(self, ds):
        """Objects that were sealed over by newer ones at the same place."""
        return sum(maybe(self.body(self._last(n.id, "seal-done")), "replaced", "number", 0) for n in self.sealed(ds))

    def abandoned(self, ds):
        """Batches that were given up, in the order of their seal-abandoned entries."""
        out = []
        for node in self.batches(ds):
            if node.state == "abandoned":
                header, end = self._last(node.id, "seal-intended"), self._last(node.id, "seal-abandoned")
                n = next((i.get("n", 0) for i in header.nodes if i["id"] == node.id), 0) if header else 0
                out.append((end.seq if end else 0, {"batch": node.id, "n": n}))
        return [item for _, item in sorted(out, key=lambda pair: pair[0])]

    # Inventory.

    def read_inventories(self):
        for path in self.files.paths():
            if path.startswith("inventory/") and path[10:-7] not in self.scope:
                self.bad(path, "is of a dataset that is not in the plan")
        for ds in self.scope:
            try:
                self._inventory(ds, f"inventory/{ds}.leaves")
            except Bad as error:
                self.inventory_good = False
                self.bad(error.part, error.what)
            if any(n.state == "intended" for n in self.batches(ds)):
                self.inventory_good = False

    def _inventory(self, ds, part):
        if part not in self.files:
            raise Bad(part, "is missing")
        wanted = {n.id: n for n in self.sealed(ds)}
        whole, left, batch, tree, seen = Tree(), 0, None, None, []
        for line in self.files.lines(part, 128):
            if left:
                leaf = bytes.fromhex(line.decode()) if len(line) == 64 and not line.strip(b"0123456789abcdef") else None
                if leaf is None:
                    raise Bad(part, f"a leaf of {batch} is malformed")
                tree.add(leaf)
                whole.add(leaf)
                self.leaf_datasets[leaf] = ds
                left -= 1
            else:
                name, _, count = line.partition(b" ")
                batch = name.decode("latin-1")
                if not is_id(batch, "bat") or not count.isdigit() or str(int(count[:9])).encode() != count or count == b"0":
                    raise Bad(part, "a batch's line is malformed")
                if batch not in wanted or batch in seen:
                    raise Bad(part, f"{batch} is no sealed batch of this dataset")
                left, tree = int(count), Tree()
                seen.append(batch)
            if batch and not left and (tree.root().hex(), tree.size) != (wanted[batch].d, wanted[batch].n):
                raise Bad(part, f"the leaves of {batch} do not give the root and count in the ledger")
        if left or seen != list(wanted):
            raise Bad(part, "not every sealed batch is there, in the order of the ledger")
        root = self.roots[ds] = whole.root().hex()
        erased = [i for h in self.ledger.about(ds, "dataset-erased") for i in h.nodes
                  if i["id"] == ds and i.get("of") == self.erasure]
        if not erased:
            self.inventory_good = False
            self.note(part, f"the ledger does not say that {ds} is erased by this erasure")
        if any((i["n"], i["b"], i["d"]) != (whole.size, self.bytes(ds), root) for i in erased):
            raise Bad(part, "count, bytes or root are not those of dataset-erased")

    # Times that decide.

    def _started_that_counts(self):
        """The last erasure-started before the last destroy-intended of the first version to go."""
        started = self.ledger.about(self.erasure, "erasure-started")
        ends = [h for v in self.order for h in self.ledger.about(v, "destroy-done")]
        if not started or not ends:
            return started[-1] if started else None
        first = min(ends, key=lambda h: h.seq)
        version = next(i["id"] for i in first.nodes if i["id"] in self.order)
        begun = [h for h in self.ledger.about(version, "destroy-intended") if h.seq < first.seq]
        limit = begun[-1].seq if begun else first.seq
        return next((h for h in reversed(started) if h.seq < limit), None)

    def first_intended(self):
        found = [h for v in self.order for h in self.ledger.about(v, "destroy-intended")
                 if self.requested is None or h.seq > self.requested.seq]
        return min(found, key=lambda h: h.seq) if found else None

    def last_done(self):
        found = [self.done[v] for v in self.order if self.done.get(v) is not None]
        return max(found, key=lambda h: h.seq) if found else None

    def erased_at(self):
        found = [h for h in self.done.values() if h is not None]
        return max(found, key=lambda h: h.seq).time if found else NEVER

    def stage(self):
        """The erasure's state as of checkpoint A."""
        state = ""
        for header in self.ledger.headers.values():
            if header.seq < self.ledger.a.size:
                for item in header.nodes:
                    if item["id"] == self.erasure and "is" in item:
                        state = item["is"]
        return state

    def living(self):
        return sorted((n for n in self.versions + self.copies + self.processes if self.graph.living(n, self.now)),
                      key=version_order)

    def other_datasets(self):
        """Datasets out of scope that the kill set reached and that were not erased."""
        reached = self.graph.reached_datasets(self.versions + self.copies) - set(self.scope)
        return sorted(ds for ds in reached if self.graph.state(ds) != "erased")

    def destroyed(self, version):
        return self.graph.state(version) in DESTROYED and self.body(self.done.get(version)) is not None




