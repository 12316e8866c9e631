# Who attended the making of key versions, and whether what they signed counts (docs/spec/certificate.md, "Attested births").
from . import persons, ssh
from .base import Bad, is_id, maybe, millis_or_none, sha256_hex
from .bundle import BODIES
from .people import read_document
from .probe import same_place

NAMESPACE = "kesu-key-attest-v1"
DAY = 86400 * 1000
ROLES = ("auditor", "verifier")
INSIDE = {"CKA_LOCAL": True, "CKA_SENSITIVE": True, "CKA_ALWAYS_SENSITIVE": True, "CKA_EXTRACTABLE": False, "CKA_NEVER_EXTRACTABLE": True}
_STATEMENT = {"attributes": "object", "birth": "text", "born": "time", "canary": "text", "identity": "object", "issued": "time", "key": "text",
              "name": "text", "operator": "text", "organisation": "text", "provider": "text", "role": "text", "summary": "texts",
              "transcript": "text", "type": "text", "vault": "text", "version": "text"}


class Attestation:
    """One that counts."""

    def __init__(self, version, officer, header, signature):
        self.version, self.officer, self.header, self.signature = version, officer, header, signature


class Attested:
    """`all`: those that count, in the ledger's order."""

    def __init__(self, facts, gone, people, bad, note):
        self.gone, self.facts, self.people, self.bad, self.note = gone, facts, people, bad, note
        self.ledger, self.files = facts.ledger, facts.files
        self.all, seen = [], set()
        for header in self.ledger.of_type("key-attested"):
            body, version = self.ledger.bodies.get(header.seq), header.nodes[0]["id"]
            if body is None:
                if version in facts.versions:
                    note(BODIES, f"entry {header.seq} (key-attested) is not opened")
                continue
            operator = body.get("operator")
            if not is_id(operator, "opr"):
                bad(f"entry {header.seq}", "operator is no person")
                continue
            path = f"approvals/key-attest.{header.seq}.{operator}.json"
            seen |= {path, path + ".sig"}
            try:
                self._read(header, body, version, operator, path)
            except Bad as error:
                bad(error.part, error.what)
            except ssh.SshError as error:
                bad(path + ".sig", str(error))
        for path in self.files.paths():
            if path.startswith("approvals/key-attest.") and path not in seen:
                bad(path, "no opened entry of the ledger names it")

    def of(self, version):
        return [a for a in self.all if a.version == version]

    def _read(self, header, body, version, operator, path):
        for name in (path, path + ".sig"):
            if name not in self.files:
                raise Bad(name, f"is missing; entry {header.seq} names it")
        armoured = self.files.read(path + ".sig", ssh.MAX_SIGNATURE)
        data = self.files.read(path, 1 << 16)
        if sha256_hex(data) != body.get("statement") or sha256_hex(armoured) != body.get("signature"):
            raise Bad(path, f"statement or signature is not what entry {header.seq} names")
        _, s = read_document(self.files, path, _STATEMENT)
        officer = self.people.by_operator.get(operator)
        self._says(header, body, version, operator, officer, path, s)
        signature = persons.verified(armoured, data, NAMESPACE, officer.key, officer.name)
        why = self._doubt(header, version, officer, s)
        if why:
            self.note(path, f"does not count: {why}")
        else:
            self.all.append(Attestation(version, officer, header, signature))

    def _says(self, header, body, version, operator, officer, path, s):
        genesis, number = self.people.genesis, version.rpartition(".")[2]
        where = f"{s['provider']} (token {maybe(s['identity'], 'label', 'text', '')}, serial {maybe(s['identity'], 'serial', 'text', '')})"
        if s["type"] != NAMESPACE or s["role"] not in ROLES or s["summary"] != [
                f"Attended the making of key version {s['key']} in {where}, recorded {s['born']}",
                "The token says of it: generated inside, always sensitive, never extractable",
                f"Its canary opened: transcript {s['transcript']}", "No data key had been wrapped under it"]:
            raise Bad(path, "is not in the one form of an attestation")
        if not genesis or (s["vault"], s["organisation"]) != (genesis["vault"], genesis["organisation"]):
            raise Bad(path, "it is for another vault or organisation")
        if s["version"] != version:
            raise Bad(path, "it is of another key version")
        if s["operator"] != operator or not any(i["id"] == operator for i in header.nodes):
            raise Bad(path, f"it is by another person than entry {header.seq} names")
        if (s["role"], s["transcript"]) != (body.get("role"), body.get("transcript")):
            raise Bad(path, f"role or transcript is not that of entry {header.seq}")
        if officer is None or s["name"] != officer.name or not any(
                h.seq < header.seq for h in self.ledger.about(operator, "operator-enrolled", "rules-changed")):
            raise Bad(path, f"{operator} is not enrolled, or it is of somebody else")
        created, made = self.facts.opened(version, "key-created")
        ref = self.facts.reference(version) if made else {}
        if ref and (s["birth"], s["born"], s["canary"], s["key"]) != (
                made.get("birth"), created.time, (ref.get("canary") or {}).get("digest"), f"{made.get('name')}.{number}"):
            raise Bad(path, "it is not of the birth that the ledger records")
        shown = self._provider(created)
        if ref and shown and (s["identity"], s["provider"]) != (shown["identity"], shown["name"]):
            raise Bad(path, "it is of another provider than the ledger records")

    def _provider(self, created):
        place = next((i.get("of") for i in created.nodes if i.get("of")), None) if created is not None else None
        return self.facts.provider(place) if place else None

    def _doubt(self, header, version, officer, s):
        rules, facts, who = self.people.rules, self.facts, officer.operator
        if version not in facts.versions:
            return "the key is not of this erasure"
        why = rules.signing_problem(who, s["role"], header.seq, header.millis, header.millis) if rules else "cannot be judged"
        if why or rules.revoked_before(who, header.seq):
            return f"{officer.name} {why or 'was revoked before'}"
        created, made = facts.opened(version, "key-created")
        intended = facts.opened(version, "key-intended")[1]
        if not made or not facts.reference(version) or not self._provider(created):
            return "the birth of the key is not shown"
        if not intended or any(b.get("origin", "generated") != "generated" for b in (made, intended)):
            return "the key is not shown to be generated"
        for at in (created, header):
            if not rules.role_problem(who, "operator", at.seq, at.millis, at.millis):
                return f"{officer.name} had the role operator"
        for h in self.ledger.about(facts.erasure, "erasure-requested", "erasure-approved"):
            other = self.people.by_operator.get((self.ledger.bodies.get(h.seq) or {}).get("operator"))
            if other and (other is officer or other.name == officer.name or other.key.blob == officer.key.blob):
                return f"{officer.name}, or the same key, requested or approved the erasure"
        issued = millis_or_none(s["issued"])
        if created.seq > header.seq or not created.millis <= issued <= header.millis or header.millis - created.millis > DAY:
            return "it was not made within 24 hours after the birth"
        if any(h.seq < header.seq and any(e[0] == version for e in h.edges) for h in self.ledger.headers.values()):
            return "something was wrapped under the key before"
        ref, a = facts.reference(version), s["attributes"]
        if (a.get("CKA_LABEL"), a.get("CKA_ID")) != (ref.get("label"), ref.get("id")) or any(
                a.get(n) is not value for n, value in INSIDE.items()):
            return "its attributes do not say that the key was generated inside and cannot leave"
        return self._look(version, ref, created, issued, s)

    def _look(self, version, ref, created, issued, s):
        look = self.gone.transcript(s["transcript"], f"what was seen when {version} was attested")
        if look is None or not look.readable:
            return "its transcript is missing, or cannot be read"
        if not look.at_place or not same_place(look.identity, s["identity"]):
            return "another place was inspected"
        if look.wanted.get(version) != ref or look.answer(version) != "usable" or not look.canary_opened(version):
            return "its transcript does not show the key usable, with its canary opened"
        if look.started < created.millis or look.ended > issued:
            return "its transcript is not from between the birth and the statement"
        return ""
