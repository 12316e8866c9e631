# People and rules after genesis: the rules-changed entries below checkpoint A, followed over all headers (docs/spec/erasure.md).
import re

from . import anchors, persons, ssh
from .base import Bad, canonical_json, is_id, is_kind, millis_or_none, parse_json, readable_json, sha256_hex

ROLES = ("operator", "approver", "verifier", "validator", "auditor")
NAMESPACE = "kesu-change-v1"
MONTH = 31 * 86400 * 1000
CLOCK = ("clock-jumped", "clock-behind")
_TOP = {"change": "object", "from": "object", "issued": "time", "organisation": "text", "reason": "text",
        "summary": "texts", "type": "text", "vault": "text"}
_RULES = {"profile": "text", "quorum": "number", "waiting_seconds": "number"}
SIGNED = "signed_commands"                              # there, and true, or not there
_CHANGE = {"enrol": {"what": "text", "operator": "text", "name": "text", "title": "text", "public_key": "text",
                     "fingerprint": "text", "roles": "objects"},
           "roles": {"what": "text", "operator": "text", "name": "text", "roles": "objects"},
           "revoke": {"what": "text", "operator": "text", "name": "text"},
           "rules": {"what": "text", **_RULES}}
BODIES = "ledger/bodies.jsonl"


def path_of(seq):
    return f"approvals/change.{seq}.json"


def signature_path(seq, operator):
    return f"approvals/change.{seq}.{operator}.sig"


def _members(value, kinds, optional, part):
    if not isinstance(value, dict) or not set(kinds) <= set(value) <= set(kinds) | set(optional):
        raise Bad(part, "its members are not those of a change statement")
    for name, kind in kinds.items():
        if not is_kind(value[name], kind):
            raise Bad(part, f"{name} is not a {kind}")
        if kind == "text" and (not value[name] or re.search("[\x00-\x1f\x7f-\x9f]", value[name])) and name != "organisation":
            raise Bad(part, f"{name} is empty, or has a control character")
    for name in optional:
        if name in value and not is_kind(value[name], "time"):
            raise Bad(part, f"{name} is not a time")
        if name in value and millis_or_none(value[name]) <= 0:
            raise Bad(part, f"{name} is not after 1970-01-01T00:00:00.000Z")


class Terms:
    """What a person may do: role -> its end or None; the end of the enrolment or None."""

    def __init__(self, roles, until=None):
        self.roles, self.until = roles, until

    @classmethod
    def read(cls, change, part):
        roles = {}
        for item in change["roles"]:
            _members(item, {"role": "text"}, ("until",), part)
            if item["role"] not in ROLES or item["role"] in roles:
                raise Bad(part, "a role is unknown, or stands twice")
            roles[item["role"]] = item.get("until")
        if not roles or list(roles) != [r for r in ROLES if r in roles]:
            raise Bad(part, "has no roles, or not in their order")
        return cls(roles, change.get("until"))

    def text(self):
        return ", ".join(role + (f" until {until}" if until else "") for role, until in self.roles.items())


def _rules_of(r):
    return {name: r[name] for name in (*_RULES, SIGNED, anchors.MEMBER) if name in r}


def _rules_text(r):
    return f"quorum {r['quorum']}, waiting period {r['waiting_seconds']} s, profile {r['profile']}" + (
        ", commands signed by their operators" if r.get(SIGNED) else "")


def _summary(change, terms, before):
    what = change["what"]
    if what == "revoke":
        return [f"Revokes {change['name']}: from then on no signature of theirs counts",
                "Approvals of theirs are void where the erasure has not begun", "Takes effect at once"]
    end = f"The enrolment ends {terms.until}" if terms and terms.until else ""
    if what == "enrol":
        out = [f"Enrols {change['name']} ({change['title']}) as {terms.text()}", f"With the key {change['fingerprint']}"]
        if change["public_key"].startswith(persons.WORD + " "):
            out.append("In the certificate sha256:" + persons.key_of(change["public_key"]).certificate.digest.hex())
        out += [end] if end else []
    elif what == "roles":
        out = [f"Gives {change['name']} these roles and no others: {terms.text()}", end or "The enrolment has no end"]
    else:
        off = ", commands no longer signed" if before.get(SIGNED) and not change.get(SIGNED) else ""
        out = [f"Sets {_rules_text(change)}{off}", f"Until now: {_rules_text(before)}"]
        out += anchors.lines(change.get(anchors.MEMBER), before.get(anchors.MEMBER))
    return out + [f"Takes effect {before['waiting_seconds']} s after it is recorded; "
                  "erasures requested before then keep what was in force"]


class Change:
    def __init__(self, header, statement, terms, key):
        self.header, self.seq, self.statement, self.change = header, header.seq, statement, statement["change"]
        self.what, self.operator = self.change["what"], self.change.get("operator")
        self.terms, self.key = terms, key
        self.counts, self.counted, self.signers, self.all = False, False, [], []    # counted: when it was recorded
        self.waiting, self.quorum, self.effective = 0, 1, header.millis


class Rules:
    """`people`: by operator; newcomers are put into it by `enrol(change)`. What is wrong goes to `bad`, what does not count to `note`."""

    def __init__(self, files, ledger, genesis, people, enrol, bad, note):
        self.files, self.ledger, self.genesis, self.people, self.enrol = files, ledger, genesis, people, enrol
        self.bad, self.note = bad, note
        self.changes, self.revoked, self.seen = [], {}, set()
        self.size = ledger.a.size if ledger.a else 0
        first = ledger.bodies.get(0) or {}
        waiting = first.get("waiting_seconds") if is_kind(first.get("waiting_seconds"), "number") else 0
        self.first = {"profile": genesis["profile"], "quorum": genesis["quorum"],
                      "waiting_seconds": max(genesis.get("waiting_seconds", 0), waiting),
                      **({SIGNED: True} if genesis.get(SIGNED) is True or first.get(SIGNED) is True else {}),
                      **({anchors.MEMBER: genesis[anchors.MEMBER]} if anchors.MEMBER in genesis else {})}
        self._follow()

    # What was in force.

    def _in_force(self, seq, millis):
        return [c for c in self.changes if c.counts and c.seq < seq and c.effective <= millis]

    def at(self, seq, millis):
        rules = self.first
        for c in self._in_force(seq, millis):
            if c.what == "rules":
                rules = _rules_of(c.change)
        return rules

    def terms(self, operator, seq, millis):
        """None: nothing was in force."""
        officer, out = self.people.get(operator), None
        if officer is None:
            return None
        if officer.signed:
            out = Terms({role: None for role in officer.roles})
        for c in self._in_force(seq, millis):
            if c.operator == operator and (c.what == "enrol" or c.what == "roles" and out is not None):
                out = c.terms
        return out

    def role_problem(self, operator, role, seq, millis, when):
        """Why this person cannot sign in this role at `when`; "" when he can. Revocations are the caller's question."""
        terms = self.terms(operator, seq, millis)
        if terms is None:
            if any(c.what == "enrol" and c.operator == operator for c in self.changes):
                return "was not enrolled by what was in force when it was requested"
            return "is not an officer of the genesis statement, or did not sign it"
        if role not in terms.roles:
            return "does not have the role"
        if any(end and when >= millis_or_none(end) for end in (terms.until, terms.roles[role])):
            return "signed after the end of the enrolment or role"
        return ""

    def signing_problem(self, operator, role, seq, millis, when):
        """The same, and of whoever signs with a certificate: it was valid at `when`."""
        why = self.role_problem(operator, role, seq, millis, when)
        return why or persons.validity_problem(self.people[operator].key, when)

    def revoked_before(self, operator, seq):
        return operator in self.revoked and self.revoked[operator] < seq

    # Following them.

    def _follow(self):
        since, before = 0, 0
        for seq in sorted(self.ledger.headers):
            if seq >= self.size:
                break
            header = self.ledger.headers[seq]
            if header.type == "rules-changed":
                try:
                    self._change(header, since)
                except Bad as error:
                    self.bad(error.part, error.what)
                except ssh.SshError as error:
                    self.bad(path_of(seq), str(error))
                since = seq
            elif self._clock_was_set(header):
                for c in self.changes:
                    if c.what != "revoke" and c.effective > before:
                        c.effective = header.millis + c.waiting * 1000
                self._order()
            if header.type == "operator-revoked":
                self.bad("ledger/headers.gz", f"entry {seq} (operator-revoked) revokes without a statement: nobody writes that")
            counts = any(c.seq == seq and c.counts for c in self.changes[-1:])
            for item in header.nodes:
                if item.get("is") == "revoked":
                    self.revoked.setdefault(item["id"], seq)
                    self._revoke(item["id"], header, counts)
            before = header.millis
        for path in self.files.paths():
            if path.startswith("approvals/change.") and path not in self.seen:
                self.bad(path, "no entry of the ledger names it")

    def _clock_was_set(self, header):
        if header.type != "finding-recorded" or header.nodes[0]["id"] != self.genesis["vault"]:
            return False
        body = self.ledger.bodies.get(header.seq)
        return body is None or body.get("what") in CLOCK

    def _order(self):
        last = 0
        for c in self.changes:
            if c.counts and c.what != "revoke":
                last = c.effective = max(c.effective, last)

    def _revoke(self, operator, header, counts):
        """A revocation that does not count itself may make an enrolment void, and nothing else."""
        for c in self.changes:
            if c.seq >= header.seq or c.effective <= header.millis or operator not in c.signers or not (counts or c.what == "enrol"):
                continue
            c.signers.remove(operator)
            if c.counts and len(c.signers) < c.quorum:
                c.counts = False
                self.note(path_of(c.seq), "does not count: one who signed it was revoked before it took effect")

    def _statement(self, header, body):
        part = path_of(header.seq)
        if part not in self.files:
            raise Bad(part, f"is missing; entry {header.seq} names it")
        data = self.files.read(part, 1 << 16)
        digest = sha256_hex(data)
        if body.get("statement") != digest:
            raise Bad(part, f"is not the statement that entry {header.seq} names")
        s = parse_json(data, part)
        _members(s, _TOP, (), part)
        change, before = s["change"], s["from"]
        what = change.get("what")
        if what not in _CHANGE if isinstance(what, str) else True:
            raise Bad(part, "its change is of no known kind")
        said = lambda r: {n: v for n, v in r.items() if n not in (SIGNED, anchors.MEMBER)}  # noqa: E731
        _members(said(change) if what == "rules" else change, _CHANGE[what], ("until",) if what in ("enrol", "roles") else (), part)
        _members(said(before), {**_RULES, "since": "number"}, (), part)
        if any(r.get(SIGNED, True) is not True for r in (change, before)):
            raise Bad(part, "signed_commands is not true")
        for rules in [before] + ([change] if what == "rules" else []):
            if anchors.MEMBER in rules:
                anchors.check(rules[anchors.MEMBER], part)
            if rules["quorum"] < 1 or rules["waiting_seconds"] < 0 or rules.get("since", 0) < 0:
                raise Bad(part, "a quorum or waiting period in it is not possible")
        if what != "rules" and not is_id(change["operator"], "opr"):
            raise Bad(part, "operator is no person")
        terms = Terms.read(change, part) if "roles" in change else None
        if readable_json(s) != data or s["type"] != NAMESPACE or s["summary"] != _summary(change, terms, before):
            raise Bad(part, "is not in the one form of a statement, or its summary is another")
        if (s["vault"], s["organisation"]) != (self.genesis["vault"], self.genesis["organisation"]):
            raise Bad(part, "it is for another vault or organisation")
        key = None
        if what == "enrol":
            key = persons.key_of(change["public_key"])
            if key.fingerprint != change["fingerprint"]:
                raise Bad(part, "fingerprint: is not that of public_key")
        named = {"id": self.genesis["vault"], "d": digest}
        person = {"id": change.get("operator"), "is": {"enrol": "enrolled", "revoke": "revoked"}.get(what)}
        should = [named] + ([] if what == "rules" else [{k: v for k, v in person.items() if v}])
        same = sorted(map(canonical_json, header.nodes)) == sorted(map(canonical_json, should))
        said = body.get("change")
        if not same or not isinstance(said, dict) or canonical_json(said) != canonical_json(change) \
                or body.get("reason") != s["reason"]:
            raise Bad(part, f"entry {header.seq} says something else than it does")
        return Change(header, s, terms, key)

    def _signers(self, c, body):
        """[(operator, name, key, signature)] of those whose signature is good."""
        out, text = [], self.files.read(path_of(c.seq), 1 << 16)
        listed = body.get("signatures")
        if not is_kind(listed, "objects"):
            raise Bad(path_of(c.seq), f"entry {c.seq} names no signatures")
        for item in listed:
            operator = item.get("operator")
            if not is_id(operator, "opr"):
                raise Bad(path_of(c.seq), f"entry {c.seq} names a signature of nobody")
            path = signature_path(c.seq, operator)
            twice = path in self.seen
            self.seen.add(path)
            officer = self.people.get(operator)
            name, key = (officer.name, officer.key) if officer else (None, None)
            if c.what == "enrol" and operator == c.operator:
                name, key = c.change["name"], c.key
            try:
                if path not in self.files:
                    raise ssh.SshError(f"is missing; entry {c.seq} names it")
                armoured = self.files.read(path, ssh.MAX_SIGNATURE)
                if sha256_hex(armoured) != item.get("signature"):
                    raise ssh.SshError(f"is not the signature that entry {c.seq} names")
                if key is None or twice:
                    raise ssh.SshError("stands twice" if twice else "is of nobody who was enrolled")
                signature = persons.verified(armoured, text, NAMESPACE, key, name)
                out.append((operator, name, key, signature))
            except (Bad, ssh.SshError) as error:
                self.bad(path, getattr(error, "what", str(error)))
        return out

    def _doubt(self, c, since, signers, rules):
        s, h, change = c.statement, c.header, c.change
        if _rules_of(s["from"]) != rules or s["from"]["since"] != since:
            return "it is of rules that were not in force then"
        issued = millis_or_none(s["issued"])
        if issued > h.millis or h.millis - issued > MONTH:
            return f"it was not issued within 31 days before entry {c.seq}"
        if c.what == "enrol":
            for operator, o in self.people.items():
                if operator not in self.revoked and self.terms(operator, c.seq, 1 << 62) is not None and (o.name == change["name"] or o.key.blob == c.key.blob):
                    return f"its name or key is that of {o.name}, who is enrolled"
            if not any(one[0] == c.operator for one in signers):
                return f"{change['name']} did not sign it"
            if persons.validity_problem(c.key, h.millis):
                return f"{change['name']} {persons.validity_problem(c.key, h.millis)}"
        elif c.what != "rules":
            officer = self.people.get(c.operator)
            gone = any(o.counts and o.what == "revoke" and o.operator == c.operator for o in self.changes) \
                if c.what == "revoke" else self.revoked_before(c.operator, c.seq)
            if officer is None or officer.name != change["name"] or gone \
                    or self.terms(c.operator, c.seq, 1 << 62) is None:
                return f"{change['name']} is not enrolled"
        names, keys = set(), set()
        for operator, name, key, _ in signers:
            if c.what == "enrol" and operator == c.operator or self.revoked_before(operator, c.seq) \
                    or self.signing_problem(operator, "approver", c.seq, h.millis, h.millis):
                continue
            if name in names or key.blob in keys:
                continue
            names.add(name)
            keys.add(key.blob)
            c.signers.append(operator)
        if len(c.signers) >= rules["quorum"]:
            return ""
        return f"it has {len(c.signers)} approvals that count, the quorum was {rules['quorum']}"

    def _change(self, header, since):
        body, part = self.ledger.bodies.get(header.seq), path_of(header.seq)
        self.seen.add(part)
        if body is None:
            raise Bad(BODIES, f"entry {header.seq} ({header.type}) is not opened")
        c = self._statement(header, body)
        c.all = signers = self._signers(c, body)
        rules = self.at(c.seq, header.millis)
        c.waiting, c.quorum = rules["waiting_seconds"], rules["quorum"]
        c.effective = header.millis + (0 if c.what == "revoke" else c.waiting * 1000)
        why = self._doubt(c, since, signers, rules)
        c.counts = c.counted = not why
        if why:
            self.note(part, f"does not count: {why}")
        if c.what == "enrol":
            if c.operator in self.people:
                self.bad(part, f"{c.operator} is enrolled a second time")
            else:
                self.enrol(c)
        self.changes.append(c)
        self._order()


def ssh_time(millis, up=False):
    """As ssh-keygen reads it, which has no year 10000."""
    from datetime import datetime, timezone
    seconds = min((millis + (999 if up else 0)) // 1000, 253402300799)
    return datetime.fromtimestamp(seconds, timezone.utc).strftime("%Y%m%d%H%M%SZ")
