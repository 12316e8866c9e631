# Legal holds on what is in scope, and whether those who released them were those who may (docs/spec/erasure.md, "Holds").
from . import persons, ssh
from .base import Bad, is_id, is_kind, millis_or_none, sha256_hex
from .bundle import BODIES
from .people import read_document

NAMESPACE = "kesu-release-v1"
MONTH = 31 * 86400 * 1000
_STATEMENT = {"case": "text", "detail": "text", "hold": "text", "issued": "time", "name": "text", "operator": "text",
              "organisation": "text", "reason": "text", "role": "text", "subject": "text", "summary": "texts", "type": "text",
              "vault": "text"}


def path_of(seq, operator):
    return f"approvals/release.{seq}.{operator}.json"


class Hold:
    def __init__(self, node, subject, header):
        self.node, self.subject, self.header, self.released = node, subject, header, None


class Holds:
    """`all`: the holds on what is in scope, each with the entry of the release that counts, or None."""

    def __init__(self, facts, people, bad, note):
        self.facts, self.people, self.bad, self.note = facts, people, bad, note
        self.ledger, self.files = facts.ledger, facts.files
        self.all, self.seen = [], set()
        self.size = self.ledger.a.size if self.ledger.a else 0
        self._follow({*facts.scope, *facts.versions})
        for path in self.files.paths():
            if path.startswith("approvals/release.") and path not in self.seen:
                bad(path, "no entry about what is in scope names it")

    def between(self, begin, end):
        """Whether one of them stood after entry `begin` and was placed before entry `end`."""
        return any(h.header.seq < end and (h.released is None or h.released.seq > begin) for h in self.all)

    def _follow(self, scope):
        standing, ours = {}, set()
        for seq in sorted(self.ledger.headers):
            header = self.ledger.headers[seq]
            for item in header.nodes if header.type in ("hold-placed", "hold-released") else ():
                node, state = item["id"], item.get("is")
                if header.type == "hold-placed" and state == "placed" and item.get("of") in scope:
                    ours.add(node)
                    if node not in standing:
                        standing[node] = Hold(node, item["of"], header)
                        self.all.append(standing[node])
                elif header.type == "hold-released" and state == "released" and node in ours:
                    approvals = self._named(header)
                    if node in standing and self._releases(header, approvals, standing[node]):
                        standing.pop(node).released = header

    def _named(self, header):
        """[(operator, item)] that an opened release names; None where it is not opened, or malformed."""
        body = self.ledger.bodies.get(header.seq) if header.seq < self.size else None
        if body is None:
            return None
        listed = body.get("approvals")
        if not is_kind(listed, "objects") or not is_kind(body.get("reason"), "text") or not all(is_id(i.get("operator"), "opr") for i in listed):
            self.bad(f"entry {header.seq}", "approvals or reason is not that of a release")
            return None
        for item in listed:
            path = path_of(header.seq, item["operator"])
            self.seen |= {path, path + ".sig"}
        return listed

    def _releases(self, header, approvals, hold):
        if header.seq >= self.size:  # nothing was destroyed after checkpoint A: it changes nothing
            return True
        for h in (header, hold.header):
            if self.ledger.bodies.get(h.seq) is None:
                self.note(BODIES, f"entry {h.seq} ({h.type}) is not opened: the hold counts as not released")
                return False
        names, keys, persons = set(), set(), set()
        for item in approvals or []:
            officer = self._consent(header, item, hold)
            if officer and not (officer.operator in persons or officer.name in names or officer.key.blob in keys):
                persons.add(officer.operator)
                names.add(officer.name)
                keys.add(officer.key.blob)
        quorum = max(1, self.people.rules.at(header.seq, header.millis)["quorum"]) if self.people.rules else 1
        if approvals is not None and self.people.rules and len(persons) >= quorum:
            return True
        self.note(f"entry {header.seq}", f"releases nothing: {len(persons)} approvals of the release count, the quorum was {quorum}")
        return False

    def _consent(self, header, item, hold):
        path = path_of(header.seq, item["operator"])
        for name in (path, path + ".sig"):
            if name not in self.files:
                self.note(name, f"is missing; entry {header.seq} names it")
                return None
        try:
            return self._officer(header, item, hold, path)
        except Bad as error:
            self.bad(error.part, error.what)
        except ssh.SshError as error:
            self.bad(path + ".sig", str(error))
        return None

    def _officer(self, header, item, hold, path):
        armoured = self.files.read(path + ".sig", ssh.MAX_SIGNATURE)
        data = self.files.read(path, 1 << 16)
        if sha256_hex(data) != item.get("statement") or sha256_hex(armoured) != item.get("signature"):
            raise Bad(path, f"statement or signature is not what entry {header.seq} names")
        _, s = read_document(self.files, path, _STATEMENT)
        operator, officer = item["operator"], self.people.by_operator.get(item["operator"])
        self._says(header, hold, path, s, operator, officer)
        persons.verified(armoured, data, NAMESPACE, officer.key, officer.name)
        why = self._doubt(header, hold, s, operator, officer)
        if why:
            self.note(path, f"does not count: {why}")
        return None if why else officer

    def _says(self, header, hold, path, s, operator, officer):
        thing = ("dataset " if s["subject"].startswith("ds-") else "key version ") + s["detail"]
        if s["type"] != NAMESPACE or s["role"] != "approver" or s["summary"] != [
                f"Releases the hold of case {s['case']} on {thing}", f"From then on {thing} can be erased"]:
            raise Bad(path, "is not in the one form of a release")
        genesis = self.people.genesis
        if not genesis or (s["vault"], s["organisation"]) != (genesis["vault"], genesis["organisation"]):
            raise Bad(path, "it is for another vault or organisation")
        if (s["hold"], s["subject"]) != (hold.node, hold.subject):
            raise Bad(path, "it is of another hold")
        if s["case"] != self.ledger.bodies[hold.header.seq].get("case"):
            raise Bad(path, "it is of another case")
        if s["reason"] != self.ledger.bodies[header.seq].get("reason"):
            raise Bad(path, f"its reason is not that of entry {header.seq}")
        if officer is None or s["operator"] != operator or s["name"] != officer.name:
            raise Bad(path, f"{operator} is not enrolled, or it is of somebody else")

    def _doubt(self, header, hold, s, operator, officer):
        issued, rules = millis_or_none(s["issued"]), self.people.rules
        if not hold.header.millis <= issued <= header.millis or header.millis - issued > MONTH:
            return f"it was not issued after the hold and within 31 days before entry {header.seq}"
        if rules is None or rules.revoked_before(operator, header.seq):
            return f"{officer.name} was revoked before"
        why = rules.signing_problem(operator, "approver", header.seq, header.millis, header.millis)
        return f"{officer.name} {why}" if why else ""
