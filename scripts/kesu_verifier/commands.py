# Commands that were signed by who ran them, and whether the opened entries name them as the rules in force asked
# (docs/spec/certificate.md, "Signed commands").
import re

from . import persons, ssh
from .base import Bad, is_id, is_kind, millis_or_none, sha256_hex
from .people import read_document
from .rules import ROLES

NAMESPACE = "kesu-command-v1"
DAY = 86400 * 1000
ANY_ROLE = {"certificate withdraw", "erase approve", "erase reject", "erase validate", "erase verify", "hold place", "hold release", "key attest",
            "key extend", "operator add", "operator grant", "operator renew", "operator review", "operator revoke", "operator sign",
            "operator withdraw", "policy except", "vault rules"}
_STATEMENT = {"about": "texts", "command": "text", "issued": "time", "ledger": "object", "name": "text", "operator": "text", "organisation": "text",
              "process": "digest", "role": "text", "summary": "texts", "type": "text", "vault": "text"}
BODIES = "ledger/bodies.jsonl"


def path_of(statement):
    return f"approvals/command.{statement}.json"


class Signed:
    """One statement whose signature counts for an entry: the first that names it."""

    def __init__(self, officer, header, signature):
        self.officer, self.header, self.signature = officer, header, signature


class Commands:
    """`all`: those that count, in the ledger's order; `unsigned`: entries without what was asked for."""

    def __init__(self, files, ledger, people, bad, note):
        self.files, self.ledger, self.people, self.bad, self.note = files, ledger, people, bad, note
        self.all, self.unsigned, self._read, self._wrong = [], set(), {}, set()
        seen, counted = set(), set()
        for seq in sorted(ledger.bodies):
            header, body = ledger.headers[seq], ledger.bodies[seq]
            if seq >= ledger.a.size or header.type in ("genesis", "operator-enrolled"):
                continue
            asked = bool(people.rules and people.rules.at(seq, header.millis).get("signed_commands"))
            if "command" not in body:
                if asked:
                    self.unsigned.add(seq)
                    note(BODIES, f"entry {seq} ({header.type}) names no signed command, which the rules in force asked for")
                continue
            said = body["command"]
            if not isinstance(said, dict) or set(said) != {"operator", "statement", "signature"} or not is_id(said["operator"], "opr") \
                    or not is_kind(said["statement"], "digest") or not is_kind(said["signature"], "digest"):
                bad(f"entry {seq}", "command: is not a person, a statement and a signature")
                continue
            path = path_of(said["statement"])
            seen |= {path, path + ".sig"}
            try:
                one = self._genuine(header, said, path)
            except Bad as error:
                self._wrong.add((path, said["signature"], said["operator"]))
                bad(error.part, error.what)
                continue
            except ssh.SshError as error:
                self._wrong.add((path, said["signature"], said["operator"]))
                bad(path + ".sig", str(error))
                continue
            if one is None:
                continue
            why = self._doubt(header, said["operator"], one[0])
            if why:
                self.unsigned |= {seq} if asked else set()
                note(path, f"does not count for entry {seq}: {why}")
            elif said["statement"] not in counted:
                counted.add(said["statement"])
                self.all.append(Signed(people.by_operator[said["operator"]], header, one[1]))
        for path in files.paths():
            if path.startswith("approvals/command.") and path not in seen:
                bad(path, "no opened entry of the ledger names it")

    def _genuine(self, header, said, path):
        """(statement, signature); None where it was found wrong before."""
        if (path, said["signature"], said["operator"]) in self._wrong:
            return None
        for name in (path, path + ".sig"):
            if name not in self.files:
                raise Bad(name, f"is missing; entry {header.seq} names it")
        if said["statement"] not in self._read:
            self._read[said["statement"]] = self._statement(header, said, path)
        s, signature, digest = self._read[said["statement"]]
        if said["signature"] != digest:
            raise Bad(path, f"statement or signature is not what entry {header.seq} names")
        if s["operator"] != said["operator"]:
            raise Bad(path, f"it is by another person than entry {header.seq} names")
        if s["ledger"]["size"] > header.seq:
            raise Bad(path, f"it was signed after entry {header.seq}, which names it")
        return s, signature

    def _statement(self, header, said, path):
        armoured, data = self.files.read(path + ".sig", ssh.MAX_SIGNATURE), self.files.read(path, 1 << 16)
        if sha256_hex(data) != said["statement"] or sha256_hex(armoured) != said["signature"]:
            raise Bad(path, f"statement or signature is not what entry {header.seq} names")
        _, s = read_document(self.files, path, _STATEMENT)
        at = s["ledger"]
        form = set(at) == {"root", "size"} and is_kind(at["size"], "number") and at["size"] >= 0 and is_kind(at["root"], "digest")
        if not form or s["type"] != NAMESPACE or s["role"] not in ROLES or len(s["command"]) > 64 \
                or not re.fullmatch("[a-z-]+( [a-z-]+)*", s["command"]) or len(s["about"]) > 64 \
                or any(a >= b for a, b in zip(s["about"], s["about"][1:])) or s["summary"] != [
                    f"Runs kesu {s['command']} as {s['role']}",
                    f"Every entry that this run adds to the ledger, from entry {at['size']} on, names this statement"]:
            raise Bad(path, "is not in the one form of a signed command")
        genesis, officer = self.people.genesis, self.people.by_operator.get(s["operator"])
        if not genesis or (s["vault"], s["organisation"]) != (genesis["vault"], genesis["organisation"]):
            raise Bad(path, "it is for another vault or organisation")
        if officer is None or s["name"] != officer.name:
            raise Bad(path, f"{s['operator'][:40]} is not enrolled, or has another name")
        if self.ledger.complete and (at["size"] not in self.ledger.roots or self.ledger.roots[at["size"]].hex() != at["root"]):
            raise Bad(path, f"it was signed for another ledger of {at['size']} entries")
        if officer.key.certificate:
            raise ssh.SshError(f"{officer.name} is enrolled with a certificate, and signs no commands")
        signature = persons.verified(armoured, data, NAMESPACE, officer.key, officer.name)
        return s, signature, sha256_hex(armoured)

    def _doubt(self, header, operator, s):
        rules, name = self.people.rules, self.people.by_operator[operator].name
        if s["role"] != "operator" and s["command"] not in ANY_ROLE:
            return f"kesu {s['command']} takes the role operator"
        why = rules.role_problem(operator, s["role"], header.seq, header.millis, header.millis) if rules else "cannot be judged"
        if why:
            return f"{name} {why}"
        if rules.revoked_before(operator, header.seq):
            return f"{name} was revoked before"
        issued = millis_or_none(s["issued"])
        if issued > header.millis or header.millis - issued > DAY:
            return "it was not signed within 24 hours before the entry"
        return ""
