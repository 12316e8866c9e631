# Time-stamps: RFC 3161 answers and tokens over the signature, its file and checkpoint B (docs/spec/certificate.md).
import hashlib

from . import anchors, cms, crl, der, x509
from .base import Bad
from .names import distinguished_name, utc
from .x509 import X509Error

TSR, CHAIN = "time/certificate.json.p7s.tsr", "trust/tsa.pem"
B_TSR, B_CHAIN = "time/checkpoint-b.tsr", "time/checkpoint-b.pem"
P7S, CHECKPOINT = "certificate.json.p7s", "ledger/checkpoint-b"
MINUTE = 60_000
MAX_BYTES, MAX_NUMBER = 1 << 18, 64


class Token:
    """A token that is good over some bytes; X509Error says why not."""

    def __init__(self, data, stamped):
        try:
            self._read(data, stamped)
        except der.DerError as error:
            raise X509Error(f"the token is malformed: {error}") from None
        except IndexError:
            raise X509Error("the token is malformed: something in it is empty") from None

    def _read(self, data, stamped):
        if len(data) > MAX_BYTES:
            raise X509Error(f"the token is longer than {MAX_BYTES} bytes")
        signed = cms.SignedData(data)
        self.signer = signed.verify(content_type=cms.TST_INFO, allow_v1=True)
        self.certificates = signed.certificates
        if signed.algorithm.kind not in ("ECDSA", "RSA", "PSS"):
            raise X509Error("the token is signed with an algorithm that is not supported")
        if signed.algorithm.kind == "PSS" and signed.algorithm.salt != hashlib.new(signed.digest).digest_size:
            raise X509Error("the token is signed with another salt than its digest's length")
        key = self.signer.key
        name = f"ECDSA P-{key.bits}" if key.kind == "ECDSA" else f"RSA-{key.bits}"
        self.algorithm = f"{name}, SHA-{signed.digest[3:]}"
        r = der.parse(signed.content).reader("a TSTInfo")
        if r.next(der.INTEGER).integer() != 1:
            raise X509Error("the token is of another version")
        self.policy = r.next(der.OID).oid()
        imprint = r.next(der.SEQUENCE).reader("an imprint")
        digest = x509.digest_algorithm(imprint.next(der.SEQUENCE), "the imprint")
        self.imprint = f"SHA-{digest[3:]}"
        said = imprint.next(der.OCTET_STRING).content
        imprint.end()
        if said != hashlib.new(digest, stamped).digest():
            raise X509Error("the token is over other bytes")
        self._number(r.next(der.INTEGER))
        self.at = r.next(der.GENERALIZED_TIME, "the token's time").time()
        self.accuracy = self._accuracy(r.optional(der.SEQUENCE))
        ordering = r.optional(der.BOOLEAN)
        if ordering is not None:
            ordering.boolean()
        nonce = r.optional(der.INTEGER)
        if nonce is not None:
            self._number(nonce)
        r.optional(0xa0)
        self._extensions(r.optional(0xa1))
        r.end()
        if self.signer.purposes != {x509.TIME_STAMPING} or not self.signer.purposes_critical:
            raise X509Error("its certificate is not for time-stamping alone")
        if not self.signer.may_sign():
            raise X509Error("its certificate is not for signatures")
        if not self.signer.not_before <= self.at <= self.signer.not_after:
            raise X509Error("its certificate was not valid at its time")

    @staticmethod
    def _accuracy(value):
        """Milliseconds, rounded up; None where the token says none, or zero."""
        if value is None:
            return None
        r = value.reader("an accuracy")
        seconds, millis, micros = r.optional(der.INTEGER), r.optional(0x80), r.optional(0x81)
        r.end()
        seconds, millis, micros = (0 if v is None else der.small_number(v.content, "an accuracy") for v in (seconds, millis, micros))
        total = seconds * 1000 + millis + (micros > 0)
        if millis > 999 or micros > 999 or total > MINUTE:
            raise X509Error("the token's accuracy is out of range, or more than a minute")
        return total or None

    @staticmethod
    def _number(value):
        """A number that nothing is reckoned with, in whatever form its authority writes it."""
        if not 1 <= len(value.content) <= MAX_NUMBER:
            raise X509Error("a number in the token is empty or too long")

    @staticmethod
    def _extensions(value):
        for item in value.items() if value is not None else ():
            e = item.reader("an extension")
            e.next(der.OID)
            if e.optional(der.BOOLEAN) is not None:
                raise X509Error("an extension of the token is critical, and not known here")
            e.next(der.OCTET_STRING)
            e.end()


def token_of_answer(data):
    """The TimeStampToken of a TimeStampResp; a refusal is an error."""
    if len(data) > MAX_BYTES:
        raise X509Error(f"the answer is longer than {MAX_BYTES} bytes")
    try:
        r = der.parse(data).reader("a time-stamp answer")
        s = r.next(der.SEQUENCE).reader("a status")
        status, text = s.next(der.INTEGER).integer(), s.optional(der.SEQUENCE)
        for item in text.items() if text is not None else ():
            item.expect(der.UTF8_STRING, "a status's text")
        s.optional(der.BIT_STRING)
        s.end()
        if status not in (0, 1) or not r.rest:
            raise X509Error("the authority refused")
        token = r.next(der.SEQUENCE)
        r.end()
        return token.whole
    except der.DerError as error:
        raise X509Error(f"is no time-stamp answer: {error}") from None


def token_row(over, token, chain, trust, lists):
    """What a report says of a good token: whether it leads to the reader's anchors, and its authority was revoked. A revocation
    counts whenever it was: who has an authority's key dates tokens as he likes."""
    why = "the trust file names no time-stamp authority (tsa-ca)" if not trust.tsa_cas else ""
    revocation = ("not-asked", "")
    if not why:
        try:
            path = x509.find_chain(token.signer, [*token.certificates, *chain], trust.tsa_cas, token.at, x509.TIME_STAMPING)
            if len(path) > 1:
                revocation = crl.judge(path, lists, token.at, False)
                why = revocation[1] if crl.against(revocation) else ""
        except X509Error:
            why = "its chain does not lead to a tsa-ca of the trust file as of its time"
    return {"over": over, "at": utc(token.at), "accuracy_ms": token.accuracy, "authority": distinguished_name(token.signer.subject),
            "policy": token.policy, "algorithm": token.algorithm, "certificate_until": utc(token.signer.not_after), "trusted": not why,
            "why": why, "revocation": {"state": revocation[0], "why": revocation[1]}}


class Stamps:
    """The time-stamps of a bundle. `bad(part, what)` takes what is not good; `lists`: revocation lists."""

    def __init__(self, files, signed, trust, lists, bad, bound=None):
        self.files, self.trust, self.lists, self.bad, self.rows = files, trust, lists, bad, []
        self.bound, self.unbound = bound, set()           # anchors of the rules; what is not of them
        self.tokens, self.chains, self.trusted, self.renewed = {}, {}, set(), ""
        self.waiting = []                                 # (waiting.Stamp, its row)
        signed_chain = self._chain(CHAIN, (TSR,))
        inside = signed.unsigned.get(cms.SIGNATURE_TIME_STAMP) if signed is not None else None
        if inside is not None:
            self._take("signature", P7S, inside[0].whole, signed.signature, signed_chain)
        for over, part, stamped, chain in (("certificate.json.p7s", TSR, P7S, signed_chain),
                                           ("ledger/checkpoint-b", B_TSR, CHECKPOINT, self._chain(B_CHAIN, (B_TSR,)))):
            if part in files and stamped in files:
                try:
                    token = token_of_answer(files.read(part, cms.MAX_BYTES))
                except (X509Error, Bad) as error:
                    bad(part, getattr(error, "what", str(error)))
                    continue
                self._take(over, part, token, files.read(stamped, cms.MAX_BYTES), chain)

    def _chain(self, path, tokens):
        if path not in self.files:
            return []
        if not any(t in self.files for t in tokens):
            self.bad(path, "is a chain without its token")
        try:
            return cms.chain_file(self.files.read(path, 1 << 20))
        except (X509Error, Bad) as error:
            self.bad(path, getattr(error, "what", str(error)))
            return []

    def _take(self, over, part, data, stamped, chain):
        try:
            token = Token(data, stamped)
        except X509Error as error:
            self.bad(part, str(error))
            return
        self.tokens[over], self.chains[over] = token, chain
        if not self._add(over, token, chain):
            self.unbound.add(over)
        if self.rows[-1]["trusted"]:
            self.trusted.add(over)

    def _add(self, over, token, chain):
        """Its row; whether it is of the rules."""
        self.rows.append(token_row(over, token, chain, self.trust, self.lists))
        of_rules = self._of_rules(token, chain, token.at)
        if not of_rules:
            self.rows[-1].update(trusted=False, why=anchors.NOT_OF_RULES, revocation={"state": "not-asked", "why": ""})
        return of_rules

    def add_waiting(self, good):
        """Those of the waiting period, which are good: whether they count."""
        for stamp in good:
            self._add(stamp.over, stamp.token, stamp.chain)
            self.waiting.append((stamp, self.rows[-1]))

    def counts(self, stamp):
        """Whether one of the waiting period does."""
        return any(row["trusted"] for one, row in self.waiting if one is stamp)

    def _of_rules(self, token, chain, at):
        return anchors.stamp_of_rules(self.bound, token, [*chain, *self.trust.tsa_cas], at)

    def renewed_by(self, token, chain):
        """Once a renewal counts, this the last, who stamped checkpoint B may be the reader's question alone: when the certificates
        that bind the tokens over the signature are over, or the renewal leads to a bound one."""
        over = "ledger/checkpoint-b"
        if over in self.unbound and {"signature", P7S} <= self.trusted:
            at = self.tokens[over].at
            bound_yet = any(self._of_rules(self.tokens[o], self.chains[o], at) for o in ("signature", P7S))
            if bound_yet and not self._of_rules(token, chain, token.at):
                return
            row = token_row(over, self.tokens[over], self.chains[over], self.trust, self.lists)
            self.rows[[r["over"] for r in self.rows].index(over)] = row
            self.trusted |= {over} if row["trusted"] else set()

    def check_host(self, issued, last_entry):
        """Host times that are later than an authority's: the host's clock was ahead."""
        times = (("signature", "certificate.json", issued, "issued"), ("certificate.json.p7s", "certificate.json", issued, "issued"),
                 ("ledger/checkpoint-b", "ledger/headers.gz", last_entry, "the time of the last entry"))
        for over, part, host, what in times:
            token = self.tokens.get(over)
            if token is not None and host is not None and host > token.at + (token.accuracy or 0) + MINUTE:
                self.bad(part, f"{what} is later than the time-stamp over {over}, {utc(token.at)}")

    def conditions(self):
        out = set()
        if {"signature", "certificate.json.p7s"} <= self.trusted:
            out.add("signature-stamped")
        if "ledger/checkpoint-b" in self.trusted:
            out.add("checkpoint-b-stamped")
        return out

    def say(self, claims):
        """What the claims about time rest on, where a time-stamp counts for them."""
        rows = {row["over"]: row for row in self.rows}
        if "signature-stamped" in self.conditions():
            row = rows["certificate.json.p7s"]
            claims.say("dated", f"stamped at {row['at']}, by {row['authority']}{self.renewed}", ["time-stamps over the signature"])
        if "checkpoint-b-stamped" in self.conditions():
            row = rows["ledger/checkpoint-b"]
            claims.say("logged", f"checkpoint B stamped at {row['at']}, by {row['authority']}", claims.rests["logged"])

    def shortfalls(self, below, waited):
        """Those that do not count and are missed: `below`, the claims below the bar; `waited`: the waiting period is shown."""
        of_waiting = [id(row) for _, row in self.waiting]

        def missed(row):
            if id(row) in of_waiting:
                return not waited
            return ("logged" if row["over"] == "ledger/checkpoint-b" else "dated") in below
        return [f"the time-stamp over {r['over']} is of {r['authority']} and does not count: {r['why']}"
                for r in self.rows if not r["trusted"] and missed(r)]

    def signer_time(self):
        """When a signer's chain is judged where both tokens over the signature count."""
        return self.tokens["certificate.json.p7s"].at if "signature-stamped" in self.conditions() else None
