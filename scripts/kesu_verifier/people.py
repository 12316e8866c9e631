# Officers and what they signed: the genesis statement, request, approvals, verification, validation (docs/spec/erasure.md).
import base64
import re

from . import anchors, persons, rules, ssh
from .base import (Bad, canonical_json, counted, is_id, is_kind, millis_or_none, parse_json, readable_json, sha256_hex)

GENESIS = "approvals/genesis.json"
ROLE_OF = {"request": "operator", "approve": "approver", "verify": "verifier", "validate": "validator"}
LATER = {"erasure-verified": "verify", "erasure-validated": "validate"}
MONTH = 31 * 86400 * 1000
_GENESIS = {"officers": "objects", "organisation": "text", "origin": "text", "profile": "text", "quorum": "number",
            "type": "text", "vault": "text"}
_STATEMENT = {"action": "text", "erasure": "text", "expires": "time", "name": "text", "operator": "text",
              "organisation": "text", "plan": "text", "role": "text", "summary": "texts", "type": "text", "vault": "text"}


class Officer:
    """One officer of the genesis statement. `signed`: his signature under it is good."""

    def __init__(self, name, title, roles, line, key):
        self.name, self.title, self.roles, self.line, self.key = name, title, roles, line, key
        self.operator, self.signed, self.signature = None, False, None


class DoesNotCount(Exception):
    """A statement that is genuine, and of somebody who could not make it, or not then."""


class Act:
    """A request, approval, verification or validation that counts."""

    def __init__(self, action, officer, header, signature):
        self.action, self.officer, self.header, self.signature = action, officer, header, signature
        self.namespace = f"kesu-{action}-v1"


def read_document(files, path, members, optional=()):
    data = files.read(path, 4 << 20)
    value = parse_json(data, path)
    if not isinstance(value, dict) or not set(members) <= set(value) <= set(members) | set(optional):
        raise Bad(path, "its members are not those of a statement")
    for name, kind in members.items():
        if not is_kind(value[name], kind):
            raise Bad(path, f"{name} is not a {kind}")
    if readable_json(value) != data:
        raise Bad(path, "is not in the one form of a statement")
    return data, value


def _plain(text):
    return not re.search("[\x00-\x1f\x7f-\x9f]", text)


def read_genesis(files):
    """The statement, its bytes, and its officers (not yet checked against anything)."""
    data, value = read_document(files, GENESIS, _GENESIS, ("waiting_seconds", "signed_commands", anchors.MEMBER))
    if value["type"] != "kesu-genesis-v1" or not is_id(value["vault"], "vlt"):
        raise Bad(GENESIS, "is no genesis statement")
    if value["quorum"] < 1 or not is_kind(value.get("waiting_seconds", 0), "number") or value.get("waiting_seconds", 0) < 0:
        raise Bad(GENESIS, "its quorum or waiting period is not possible")
    if value.get("signed_commands", True) is not True:
        raise Bad(GENESIS, "signed_commands is not true")
    if anchors.MEMBER in value:
        anchors.check(value[anchors.MEMBER], GENESIS)
    if not value["officers"] or not all(_plain(value[n]) and value[n] for n in ("organisation", "origin")):
        raise Bad(GENESIS, "has no officers, or a text with a control character")
    officers, seen = [], set()
    for n, item in enumerate(value["officers"], 1):
        good = (set(item) == {"name", "public_key", "roles", "title"} and is_kind(item["roles"], "texts")
                and all(is_kind(item[m], "text") for m in ("name", "public_key", "title")))
        if not good or not item["name"] or not item["roles"] or not set(item["roles"]) <= set(rules.ROLES):
            raise Bad(GENESIS, f"officer {n} is malformed")
        if not all(_plain(item[m]) for m in ("name", "public_key", "title")):
            raise Bad(GENESIS, f"officer {n}'s name has a control character, or his title or key")
        try:
            key = persons.key_of(item["public_key"])
        except ssh.SshError as error:
            raise Bad(GENESIS, f"officer {n}: {error}") from None
        if item["name"] in seen or key.blob in seen or len(set(item["roles"])) != len(item["roles"]):
            raise Bad(GENESIS, f"officer {n}: a name, key or role stands twice")
        seen |= {item["name"], key.blob}
        officers.append(Officer(item["name"], item["title"], item["roles"], item["public_key"], key))
    return data, value, officers


class People:
    """Everything that persons signed. `bad(part, what)` takes what is wrong."""

    def __init__(self, files, ledger, plan, plan_digest, bad, note):
        self.files, self.ledger, self.plan, self.plan_digest = files, ledger, plan, plan_digest
        self.bad, self.note = bad, note
        self.officers, self.genesis, self.by_operator, self.acts = [], None, {}, []
        self.verified = self.validated = None
        self.request, self.approvals, self.seen = None, [], set()
        self.rules, self.asked = None, (ledger.a.size, ledger.graph.last)
        try:
            data, self.genesis, self.officers = read_genesis(files)
        except Bad as error:
            bad(error.part, error.what)
        else:
            self._genesis(data)
        self._strange_signatures()
        self.known = bool(self.officers) and all(o.signed for o in self.officers)

    # Genesis.

    def _genesis(self, data):
        first = self.ledger.headers.get(0)
        body = self.ledger.bodies.get(0)
        if body is None:
            self.bad("ledger/bodies.jsonl", "entry 0 (genesis) is not opened")
        if first is None:
            return
        digest = sha256_hex(data)
        if first.nodes[0].get("d") != digest or body is not None and body.get("statement") != digest:
            self.bad(GENESIS, "is not the statement that the ledger's first entry names")
        if self.genesis["vault"] != first.nodes[0]["id"] or self.plan and self.genesis["vault"] != self.plan.get("vault"):
            self.bad(GENESIS, "vault is not that of the ledger or the plan")
        if self.plan and self.genesis["organisation"] != self.plan.get("organisation"):
            self.bad(GENESIS, "organisation is not that of the ledger or the plan")
        origin = f"{self.genesis['origin']}/kesu/{self.genesis['vault']}"
        if origin != self.ledger.key.name or body is not None and body.get("origin") != origin:
            self.bad(GENESIS, "origin is not that of the ledger or the plan")
        for name in ("organisation", "profile"):
            if body is not None and body.get(name) != self.genesis[name]:
                self.bad(GENESIS, f"{name} is not that of the ledger's first entry")
        if body is not None:
            waiting = body.get("waiting_seconds")
            if not is_kind(waiting, "number") or waiting < self.genesis.get("waiting_seconds", 0):
                self.bad(GENESIS, "waiting_seconds is above that of the ledger's first entry, or that has none")
            if body.get("quorum") != self.genesis["quorum"]:
                self.bad(GENESIS, "quorum is not that of the ledger's first entry")
        if body is not None and canonical_json([body[n] for n in (anchors.MEMBER,) if n in body]) != \
                canonical_json([self.genesis[n] for n in (anchors.MEMBER,) if n in self.genesis]):
            self.bad(GENESIS, "anchors are not those of the ledger's first entry")
        self._enrolled()
        self._genesis_signatures(data, body)
        self.rules = rules.Rules(self.files, self.ledger, self.genesis, self.by_operator, self._newcomer, self.bad, self.note)
        self._allowed_signers()

    def _newcomer(self, c):
        officer = Officer(c.change["name"], c.change["title"], list(c.terms.roles), c.change["public_key"], c.key)
        officer.operator = c.operator
        self.by_operator[c.operator] = officer

    def _enrolled(self):
        seen = set()
        for header in self.ledger.of_type("operator-enrolled"):
            for item in header.nodes:
                if item["id"] in seen and "is" in item:
                    self.bad(f"entry {header.seq}", f"{item['id']} is enrolled a second time")
                seen.add(item["id"])
        for seq, officer in enumerate(self.officers, 1):
            header, body = self.ledger.headers.get(seq), self.ledger.bodies.get(seq)
            if header is None or header.type != "operator-enrolled":
                self.bad(GENESIS, f"{officer.name} is not enrolled at entry {seq}")
                continue
            officer.operator = header.nodes[0]["id"]
            self.by_operator[officer.operator] = officer
            if body is None:
                self.bad(GENESIS, f"{officer.name} is not enrolled at entry {seq}: it is not opened")
                continue
            said = {"name": officer.name, "title": officer.title, "roles": officer.roles, "public_key": officer.line,
                    "fingerprint": officer.key.fingerprint}
            if any(body.get(name) != value for name, value in said.items()):
                self.bad(GENESIS, f"{officer.name} is enrolled with another name, title, key or roles")

    def _genesis_signatures(self, data, body):
        said = body.get("signatures") if body else []
        said = said if is_kind(said, "objects") else [{}]
        listed = {item.get("operator"): item.get("signature") for item in said if is_kind(item.get("operator"), "text")}
        if body and (len(said) != len(self.officers) or any(o.operator and i.get("operator") != o.operator for o, i in zip(self.officers, said))):
            self.bad(GENESIS, "the ledger's first entry does not name one signature of each officer, in their order")
        for officer in self.officers:
            if officer.operator is None:
                continue
            path = f"approvals/genesis.{officer.operator}.sig"
            self.seen.add(path)
            if path not in self.files:
                self.bad(path, f"is missing: {officer.name}'s signature under the genesis statement")
                continue
            try:
                armoured = self.files.read(path, ssh.MAX_SIGNATURE)
                if body is not None and listed.get(officer.operator) != sha256_hex(armoured):
                    raise ssh.SshError("is not the signature that the ledger's first entry names")
                officer.signature = persons.verified(armoured, data, "kesu-genesis-v1", officer.key, officer.name)
                why = persons.validity_problem(officer.key, self.ledger.headers[0].millis)
                if why:
                    raise ssh.SshError(why)
                officer.signed = True
            except (Bad, ssh.SshError) as error:
                self.bad(path, getattr(error, "what", str(error)))

    def _allowed_signers(self):
        path = "approvals/allowed_signers"
        lines, certificates, erasure = [], {}, self.plan.get("erasure", "")
        later = any(self.ledger.about(erasure, kind) for kind in LATER)
        attested = any(h.seq in self.ledger.bodies for h in self.ledger.of_type("key-attested"))
        commanded = bool(self.ledger.a) and any("command" in b for seq, b in self.ledger.bodies.items() if seq < self.ledger.a.size)
        changes = self.rules.changes
        shown = [c for c in changes if c.counted or c.what == "revoke"]
        for officer in self.officers + [self.by_operator[c.operator] for c in shown if c.what == "enrol"]:
            mine = [c for c in shown if c.operator == officer.operator]
            first = next((i for i, c in enumerate(mine) if c.what == "enrol"), 0)
            mine = mine[first:]
            new = any(c.what == "enrol" for c in mine) and officer not in self.officers
            roles = set(officer.roles).union(*(c.terms.roles for c in mine if c.terms))
            spaces = [rules.NAMESPACE if new else "kesu-genesis-v1"]
            spaces += [f"kesu-{action}-v1" for action, role in ROLE_OF.items()
                       if role in roles and (later or action in ("request", "approve"))]
            spaces += ["kesu-key-attest-v1"] if attested and roles & {"auditor", "verifier"} else []
            spaces += [rules.NAMESPACE] if shown and not new and "approver" in roles else []
            spaces += ["kesu-command-v1"] if commanded else []
            options = f'namespaces="{",".join(spaces)}"'
            if new:
                options += f',valid-after="{rules.ssh_time(mine[0].header.millis)}"'
            ends = [rules.ssh_time(millis_or_none(c.terms.until), True) for c in mine if c.terms][-1:] if any(
                c.terms and c.terms.until for c in [c for c in mine if c.terms][-1:]) else []
            ends += [rules.ssh_time(c.header.millis, True) for c in mine if c.what == "revoke"][:1]
            if ends:
                options += f',valid-before="{min(ends)}"'
            words = officer.line.split(" ", 2)
            if officer.key.certificate is not None:
                words = [officer.key.type, base64.b64encode(officer.key.blob).decode()]
                certificates[f"approvals/certificate.{officer.operator}.pem"] = persons.pem(officer.key.certificate)
            line = " ".join(words[:2] if words[2:] == [""] else words)     # no blank where no comment follows
            lines.append(f"{officer.operator} {options} {line}\n")
        if path in self.files and self.files.read(path) != "".join(lines).encode():
            self.bad(path, "does not name the officers and those enrolled since, and only them")
        there = {p for p in self.files.paths() if p.startswith("approvals/certificate.")}
        for path in sorted(there | set(certificates)):
            if path not in certificates:
                self.bad(path, "is of nobody who is enrolled with a certificate")
            elif path not in there or self.files.read(path, 1 << 16) != certificates[path]:
                self.bad(path, "is not the certificate that the ledger enrols")

    def in_force(self):
        """The rules by which this erasure is judged."""
        return self.rules.at(*self.asked) if self.rules else {}

    def _strange_signatures(self):
        for path in self.files.paths():
            if re.fullmatch(r"approvals/genesis\.opr-[0-9a-f]{32}\.sig", path) and path not in self.seen:
                self.bad(path, "is of no officer of the genesis statement")

    # Request and approvals.

    def read_acts(self, erasure, summary, started):
        """`started`: the entry erasure-started that counts, or None; `summary`: what every statement has to say."""
        self.summary, self.started, self.erasure = summary, started, erasure
        for header in self.ledger.about(erasure, "erasure-requested")[:1]:
            self.asked = (header.seq, header.millis)
        in_force = self.in_force()
        if in_force and self.plan.get("profile") != in_force["profile"]:
            self.bad("plan.json", "profile: is not that of the rules in force at the request")
        for name in ("quorum", "waiting_seconds"):
            if in_force and self.plan.get(name, 0) < in_force[name]:
                self.bad("plan.json", f"{name}: is below that of the rules in force at the request")
        asked = self.ledger.about(erasure, "erasure-requested")
        for header in asked[1:]:
            self.bad("ledger/headers.gz", f"entry {header.seq} requests the erasure a second time, after entry {asked[0].seq}")
        for header in asked:
            act = self._act(header, "request")
            if act and self.request is None:
                self.request = act
        approved = self.ledger.about(erasure, "erasure-approved")
        who = [(self.ledger.bodies.get(h.seq) or {}).get("operator") for h in approved]
        for at, header in enumerate(approved):
            if isinstance(who[at], str) and who[at] in who[at + 1:]:
                continue                                # whoever approves anew has one approval: the last
            act = self._act(header, "approve")
            if act and self._may_count(act):
                self.approvals.append(act)
        for path in self.files.paths():
            if re.fullmatch(r"approvals/(request|approve)\..*", path) and path not in self.seen:
                self.bad(path, "no entry of the ledger names it")
        self.acts = ([self.request] if self.request else []) + self.approvals

    def read_later_acts(self, plan, names, done):
        """What came of it: a verification after `done` (the last destruction, an entry or None), a validation after that.
        `names`: of the plan's providers."""
        versions = {v["version"]: v["name"] for v in plan["key_versions"]}
        order = [s["version"] for s in plan["order"]]
        absent = (f"Inspected after destruction: {len(order)} key version{'' if len(order) == 1 else 's'} absent: "
                  + ", ".join(f"{versions[v]}.{v.partition('.')[2]}" for v in order if v in versions))
        # Whoever asked for it, whether that counts or not.
        asked = [(self.ledger.bodies.get(h.seq) or {}).get("operator") for h in self.ledger.about(self.erasure, "erasure-requested")]
        judged = [self.by_operator[o] for o in asked if isinstance(o, str) and o in self.by_operator]
        statement, after = "", done.seq if done else 1 << 62  # none shown: nothing is after it
        counting = True
        for kind, action in LATER.items():
            found = self.ledger.about(self.erasure, kind)
            for header in found:
                body = self.ledger.bodies.get(header.seq) or {}
                if action == "verify":
                    looks = body.get("inspections") if is_kind(body.get("inspections"), "objects") else []
                    self.summary = [absent] + [f"In {names.get(i.get('provider'), '')}: transcript {i.get('after')}" for i in looks]
                else:
                    self.summary = [f"Accepts the erasure of dataset {d['name']}, {counted(d['objects'], 'object')}, "
                                    f"{counted(d['bytes'], 'byte')}" for d in plan["datasets"]]
                    name = self._name_of(statement[0]) if statement else ""
                    self.summary.append(f"Rests on the verification of {name}: statement {statement[1] if statement else ''}")
                act = self._act(header, action)
            if not found:
                counting = False
                continue
            statement = ((self.ledger.bodies.get(found[-1].seq) or {}).get("operator"),
                         (self.ledger.bodies.get(found[-1].seq) or {}).get("statement"))
            if not counting or act is None or self._took_part(act, judged, after):
                counting = False                          # what judges it is read all the same
                continue
            if action == "verify":
                self.verified = act
            else:
                self.validated = act
            self.acts.append(act)
            judged.append(act.officer)
            after = act.header.seq
        for path in self.files.paths():
            if re.fullmatch(r"approvals/(verify|validate)\..*", path) and path not in self.seen:
                self.bad(path, "no entry of the ledger names it")

    def _name_of(self, operator):
        officer = self.by_operator.get(operator)
        return officer.name if officer else ""

    def _took_part(self, act, judged, after):
        mine, path = act.officer, f"approvals/{act.action}.{act.officer.operator}.json"
        if any(o is mine or o.name == mine.name or o.key.blob == mine.key.blob for o in judged):
            self.note(path, f"does not count: {mine.name}, or the same key, took part in what it judges")
            return True
        if act.header.seq < after:
            self.note(path, "does not count: it came before what it judges")
            return True
        return False

    def _act(self, header, action):
        body = self.ledger.bodies.get(header.seq)
        if body is None:
            self.bad("ledger/bodies.jsonl", f"entry {header.seq} ({header.type}) is not opened")
            return None
        operator = body.get("operator")
        if not is_id(operator, "opr"):
            self.bad("ledger/bodies.jsonl", f"entry {header.seq}: operator is no person")
            return None
        path = f"approvals/{action}.{operator}.json"
        self.seen |= {path, path + ".sig"}
        try:
            return self._statement(header, body, action, operator, path)
        except DoesNotCount as error:
            self.note(path, str(error))
        except Bad as error:
            self.bad(error.part, error.what)
        except ssh.SshError as error:
            self.bad(path + ".sig", str(error))
        return None

    def _statement(self, header, body, action, operator, path):
        if action != "request" and operator not in header.named():
            raise Bad(path, f"the header of entry {header.seq} names another person")
        for name in (path, path + ".sig"):
            if name not in self.files:
                raise Bad(name, f"is missing; entry {header.seq} names it")
        armoured = self.files.read(path + ".sig", ssh.MAX_SIGNATURE)
        data = self.files.read(path, 4 << 20)
        if sha256_hex(data) != body.get("statement") or sha256_hex(armoured) != body.get("signature"):
            raise Bad(path, f"statement or signature is not what entry {header.seq} names")
        _, s = read_document(self.files, path, _STATEMENT)
        officer, key = self.by_operator.get(operator), None
        if officer is not None and not any(
                h.seq < header.seq for h in self.ledger.about(operator, "operator-enrolled", "rules-changed")):
            raise Bad(path, f"{operator} is not enrolled")
        if officer is None:
            key = self._enrolled_later(operator, header, path)
        name = officer.name if officer else key[0]
        self._says(header, path, s, action, operator, name)
        signature = persons.verified(armoured, data, f"kesu-{action}-v1", officer.key if officer else key[1], name)
        self._counts(header, s, action, operator, officer, name)
        return Act(action, officer, header, signature)

    def _enrolled_later(self, operator, header, path):
        """Name and key of somebody enrolled by an entry, who is no officer of the genesis statement."""
        for h in self.ledger.about(operator, "operator-enrolled"):
            body = self.ledger.bodies.get(h.seq)
            if h.seq < header.seq and body and is_kind(body.get("name"), "text") and is_kind(body.get("public_key"), "text"):
                return body["name"], persons.key_of(body["public_key"])
        raise Bad(path, f"{operator} is not enrolled")

    def _says(self, header, path, s, action, operator, name):
        if s["type"] != "kesu-statement-v1" or s["action"] != action:
            raise Bad(path, f"its action is {s['action'][:20]}")
        if s["erasure"] != self.erasure:
            raise Bad(path, f"it is for another erasure, {s['erasure'][:40]}")
        if not self.genesis or (s["vault"], s["organisation"]) != (self.genesis["vault"], self.genesis["organisation"]):
            raise Bad(path, "it is for another vault or organisation")
        if s["plan"] != self.plan_digest:
            raise Bad(path, "it is for another plan")
        if s["operator"] != operator or s["name"] != name:
            raise Bad(path, f"the name is not that of {operator}")
        if s["role"] != ROLE_OF[action]:
            raise Bad(path, f"its role is {s['role'][:20]}")
        if s["summary"] != self.summary:
            raise Bad(path, "its summary, which the officer read, is not that of the plan")
        if millis_or_none(s["expires"]) > header.millis + MONTH:
            raise Bad(path, f"it expires more than 31 days after entry {header.seq}, which carries it")

    def _counts(self, header, s, action, operator, officer, name):
        why = "is not an officer of the genesis statement, or did not sign it"
        if officer is not None and self.rules is not None:
            why = self.rules.signing_problem(operator, s["role"], *self.asked, header.millis)
        if why:
            raise DoesNotCount(f"{name} {why}")
        if self.rules.revoked_before(operator, header.seq):
            raise DoesNotCount(f"{name} was revoked before")
        if action in ("request", "approve") and self.started is not None and self.rules.revoked_before(operator, self.started.seq):
            raise DoesNotCount(f"{name} was revoked before the erasure ran")
        expires = millis_or_none(s["expires"])
        if expires <= header.millis or action == "approve" and self.started is not None and expires <= self.started.millis:
            raise DoesNotCount("had expired when the erasure ran")

    def _may_count(self, act):
        others = ([self.request] if self.request else []) + self.approvals
        mine = act.officer
        if any(o.officer is mine or o.officer.name == mine.name or o.officer.key.blob == mine.key.blob for o in others):
            self.note(f"approvals/approve.{mine.operator}.json",
                      f"does not count: {mine.name} or the same key requested it, or approved it already")
            return False
        if self.started is not None and act.header.seq > self.started.seq:
            self.note(f"approvals/approve.{mine.operator}.json", "does not count: it came after the erasure ran")
            return False
        return True
