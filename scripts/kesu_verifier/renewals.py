# Renewals: manifests over the whole bundle, time-stamped before what they renew has ended (docs/spec/certificate.md, "Renewals").
import hashlib
import re

from . import cms, x509
from .base import Bad, maybe, sha256_hex, sha512_hex
from .bundle import BODIES, HEADERS, MAX_FILE, OUTSIDE
from .ledger import MAX_BODY, MAX_HEADER
from .stamps import P7S, Token, token_of_answer, token_row, utc
from .x509 import X509Error

NAME = re.compile(r"renewal/([1-9][0-9]{0,3})\.(ledger|manifest|manifest\.tsr|tsa\.pem)")
PARTS = ("ledger", "manifest", "manifest.tsr", "tsa.pem")
MAX_RENEWALS, MAX_PEM = 1000, 1 << 20
ENDED = "its authority's certificate or an algorithm has ended, and no renewal covers it until now"
LATE = "it was made after what it renews had ended"


def covers(path, n):
    """Whether renewal n hashes a file of the bundle: "must", "may" or None."""
    if path in ("MANIFEST", "ledger/checkpoint-a"):
        return "must"
    if path.startswith("approvals/release."):
        return "may"
    found = NAME.fullmatch(path)
    if found:
        return "must" if int(found[1]) < n or (int(found[1]) == n and found[2] == "ledger") else None
    return None if path.startswith((*OUTSIDE, "renewal/")) else "must"


def last_year(policy, token):
    """The last year in which the policy takes the token's signature and digests; 0: none."""
    key = token.signer.key
    name = key.name if key.kind == "ECDSA" else f"RSA-PSS:bits={key.bits},hash=SHA-384"
    queries = ((name, "signature"), (token.algorithm.rsplit(" ", 1)[1], "hash"), (token.imprint, "hash"))
    return min(policy.judge(query, purpose).process for query, purpose in queries)


def year_of(millis):
    return int(utc(millis)[:4])


def stands(trust, policy, token, chain, at):
    """Whether a good token leads to the reader's anchors as of that time, and the policy takes its algorithms then."""
    try:
        x509.find_chain(token.signer, [*token.certificates, *chain], trust.tsa_cas, at, x509.TIME_STAMPING)
    except X509Error:
        return False
    return year_of(at) <= last_year(policy, token)


class Renewals:
    """Reads renewal/*; adds a row to the stamps for each, and takes rows back where the reader wants all to last."""

    def __init__(self, files, ledger, certificate, stamps, trust, policy, bad, now):
        self.files, self.ledger, self.stamps, self.trust, self.policy, self.bad = files, ledger, stamps, trust, policy, bad
        about = [h for h in ledger.headers.values() if h.nodes and h.nodes[0]["id"] == certificate]
        self.entries = [h for h in about if h.type == "certificate-renewed"]
        self.issued = max((h.seq for h in about if h.type == "certificate-issued"), default=0)
        self.last = None                                  # (time, authority) of the last that counts
        own = [stamps.tokens[over] for over in ("signature", P7S) if over in stamps.tokens]
        counted = {"signature", P7S} & set(stamps.tokens) <= stamps.trusted
        self.front = [(t, stamps.chains[over]) for over, t in stamps.tokens.items() if over in ("signature", P7S)] if counted else []
        self.before = max((t.at - (t.accuracy or 0) for t in own), default=0)
        last = max((int(NAME.fullmatch(p)[1]) for p in files.paths() if NAME.fullmatch(p)), default=0)
        if ledger.complete:
            last = max(last, len(self.entries))
        for n in range(1, min(last, MAX_RENEWALS) + 1):
            self._one(n)
        if self.last:
            stamps.renewed_by(*self.front[0])
        if trust.renewal_required:
            self._must_last(now)

    def stands(self, token, chain, at):
        return stands(self.trust, self.policy, token, chain, at)

    def _read(self, n, name):
        return self.files.read(f"renewal/{n}.{name}", MAX_FILE)

    def _guarded(self, part, step, *words):
        try:
            step(*words)
            return True
        except Bad as error:
            self.bad(error.part, error.what)
        except (X509Error, ValueError, KeyError) as error:
            self.bad(part, str(error))
        return False

    def _one(self, n):
        missing = [name for name in PARTS if f"renewal/{n}.{name}" not in self.files]
        for name in missing:
            self.bad(f"renewal/{n}.{name}", "is missing")
        if missing:
            return
        part = f"renewal/{n}.manifest"
        good = self._guarded(part, self._manifest, n, part)
        if self.ledger.complete:
            if n > len(self.entries):
                self.bad(part, "no entry says that the certificate was renewed so")
                return
            good &= self._guarded(part, self._entry, n, part, self.entries[n - 1])
            good &= self._guarded(f"renewal/{n}.ledger", self._ledger, n, f"renewal/{n}.ledger", self.entries[n - 1].seq)
        self._stamp(n, part, good and self.ledger.complete)

    def _manifest(self, n, part):
        wanted, last = {p for p in self.files.paths() if covers(p, n) == "must"}, ""
        for line in self.files.lines(part, 512):
            found = re.fullmatch(rb"([0-9a-f]{128})  ([!-~]{1,200})", line)
            path = found[2].decode() if found else ""
            if not found or path <= last:
                raise Bad(part, "a line is malformed, or out of order")
            last = path
            if covers(path, n) is None:
                raise Bad(part, f"lists {path}, which it may not")
            if path not in self.files:
                raise Bad(part, f"lists {path}, which is missing")
            digest = hashlib.sha512()
            for piece in self.files.pieces(path):
                digest.update(piece)
            if digest.hexdigest() != found[1].decode():
                raise Bad(part, f"{path} is not what it says")
            wanted.discard(path)
        if wanted:
            raise Bad(part, f"leaves out {min(wanted)}")

    def _entry(self, n, part, header):
        body = self.ledger.bodies.get(header.seq)
        if body is None:
            raise Bad(part, "its certificate-renewed is not opened")
        data = {name: self._read(n, name) for name in PARTS}
        time = maybe(body, "time", "object") or {}
        same = (body.get("n") == n and header.nodes[0].get("d") == sha512_hex(data["manifest"])
                and body.get("ledger") == sha256_hex(data["ledger"]) and body.get("manifest") == sha256_hex(data["manifest"])
                and time.get("manifest") == sha256_hex(data["manifest.tsr"]) and time.get("authority") == sha256_hex(data["tsa.pem"]))
        if not same:
            raise Bad(part, f"entry {header.seq} names another renewal than this")

    def _ledger(self, n, part, entry):
        lines, size, headers, bodies = list(self.files.lines(part, 512)), 0, b"", {}
        for i, line in enumerate(lines):
            found = re.fullmatch(rb"([0-9a-f]{128})  (headers|body) (0|[1-9][0-9]{0,14})", line)
            if not found or (found[2] == b"headers") != (i == 0) or bodies and int(found[3]) <= max(bodies):
                raise Bad(part, f"line {i + 1} is malformed, or out of order")
            if i == 0:
                headers, size = found[1], int(found[3])
            else:
                bodies[int(found[3])] = found[1]
        if not lines or not self.issued < size <= entry:
            raise Bad(part, "is not of a ledger between certificate-issued and certificate-renewed")
        digest, left = hashlib.sha512(), size
        for line in self.files.lines(HEADERS, MAX_HEADER + 65, self.files.gunzip(HEADERS)):
            if left:
                digest.update(line + b"\n")
                left -= 1
        if left or digest.hexdigest().encode() != headers:
            raise Bad(part, "is over other headers")
        shown = {}
        for line in self.files.lines(BODIES, MAX_BODY + 200):
            shown[int(re.search(rb'"seq":([0-9]{1,15})\}$', line)[1])] = hashlib.sha512(line + b"\n").hexdigest().encode()
        for seq, said in bodies.items():
            if seq >= size or shown.get(seq) != said:
                raise Bad(part, f"is over another body of entry {seq}")

    def _stamp(self, n, part, good):
        tsr, pem = f"renewal/{n}.manifest.tsr", f"renewal/{n}.tsa.pem"
        try:
            chain = cms.chain_file(self.files.read(pem, MAX_PEM))
        except (X509Error, Bad) as error:
            self.bad(pem, getattr(error, "what", str(error)))
            return
        try:
            token = Token(token_of_answer(self.files.read(tsr, cms.MAX_BYTES)), self._read(n, "manifest"))
        except (X509Error, Bad) as error:
            self.bad(tsr, getattr(error, "what", str(error)))
            return
        if token.at + (token.accuracy or 0) < self.before:
            self.bad(tsr, "is older than what it renews")
        self.before = max(self.before, token.at - (token.accuracy or 0))
        row = token_row(part, token, chain, self.trust, self.stamps.lists)
        why = row["why"]
        if not why and year_of(token.at) > last_year(self.policy, token):
            why = "an algorithm of it was past its period when it was made"
        if not why and not good:
            why = "not all headers of the ledger are there, or something in it is not good"
        if not why and not all(self.stands(*one, token.at) for one in self.front):
            why = LATE
        self.stamps.rows.append({**row, "trusted": not why, "why": why})
        if not why:
            self.front = [(token, chain)]
            self.last = (row["at"], row["authority"])

    def _must_last(self, now):
        """Those that do not stand at the reader's time count no more."""
        stamps = self.stamps
        lost = {"signature", P7S} if not all(self.stands(*one, now) for one in self.front) else set()
        b = "ledger/checkpoint-b"
        if b in stamps.tokens and not self.stands(stamps.tokens[b], stamps.chains[b], now):
            lost.add(b)
        for row in stamps.rows:
            if row["over"] in lost and row["trusted"]:
                row["trusted"], row["why"] = False, ENDED
        stamps.trusted -= lost
        # The tokens over the signature are later than those of the waiting period, and cover them.
        lasts = {"signature", P7S} <= stamps.trusted
        for stamp, row in stamps.waiting:
            if row["trusted"] and not lasts and not self.stands(stamp.token, stamp.chain, now):
                row["trusted"], row["why"] = False, ENDED

    def text(self):
        return f", renewed at {self.last[0]}, by {self.last[1]}" if self.last else ""

