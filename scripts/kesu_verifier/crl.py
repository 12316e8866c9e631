# Certificate revocation lists (RFC 5280 §5), as a closed subset: whole lists of one issuer, no critical extension; and what
# they say of a path at a time (docs/spec/certificate.md, "Signer's certificate").
import base64
import re

from . import der, x509
from .names import distinguished_name, utc
from .x509 import X509Error

MAX_CRL, MAX_LISTS = 16 << 20, 16


def _critical(value):
    for item in value.items() if value is not None else ():
        e = item.reader("an extension")
        oid = e.next(der.OID).oid()
        critical = e.optional(der.BOOLEAN)
        if critical is not None and critical.boolean():
            raise X509Error(f"a revocation list has the critical extension {oid}, which is not supported")


class Crl:
    def __init__(self, data):
        try:
            self._parse(bytes(data))
        except der.DerError as error:
            raise X509Error(f"a revocation list is malformed: {error}") from None

    def _parse(self, data):
        if len(data) > MAX_CRL:
            raise X509Error("a revocation list is longer than 16 MiB")
        r = der.parse(data).reader("a revocation list")
        body, algorithm, signature = r.next(der.SEQUENCE), r.next(der.SEQUENCE), r.next(der.BIT_STRING)
        r.end()
        self.signed, self.signature = body.whole, signature.bits("a signature")
        try:
            self.algorithm = x509.signature_algorithm(algorithm)
        except (X509Error, der.DerError):
            self.algorithm = None  # signed by nobody, as far as this reader can tell
        t = body.reader("a revocation list's body")
        version = t.optional(der.INTEGER)
        if version is not None and version.integer() != 1:
            raise X509Error("a revocation list is of another version")
        if t.next(der.SEQUENCE).whole != algorithm.whole:
            raise X509Error("a revocation list names two signature algorithms")
        self.issuer = t.next(der.SEQUENCE).whole
        self.this_update, self.next_update = t.next().time(), None
        if t.rest and t.rest[-1].tag in (0x17, der.GENERALIZED_TIME):
            self.next_update = t.next().time()
        rows = t.optional(der.SEQUENCE)
        extensions = t.optional(0xa0)
        t.end()
        self.revoked = {}
        for item in rows.items() if rows is not None else ():
            row = item.reader("a revoked certificate")
            serial, when = row.next(der.INTEGER).whole, row.next().time()
            _critical(row.optional(der.SEQUENCE))
            row.end()
            self.revoked.setdefault(serial, when)
        _critical(extensions.items()[0] if extensions is not None else None)

    def signed_by(self, issuer):
        if self.issuer != issuer.subject or self.algorithm is None:
            return False
        if issuer.usage is not None and x509.CRL_SIGN not in issuer.usage:
            return False
        try:
            return issuer.key.verify(self.signature, self.signed, self.algorithm)
        except X509Error:
            return False


def read_lists(data):
    """PEM blocks "X509 CRL", or one list in DER."""
    if data[:1] == b"\x30":
        return [Crl(data)]
    try:
        text = data.decode("utf-8")
    except UnicodeDecodeError:
        raise X509Error("is no revocation list") from None
    blocks = re.findall(r"-----BEGIN X509 CRL-----([A-Za-z0-9+/=\r\n]*)-----END X509 CRL-----", text)
    if not 1 <= len(blocks) <= MAX_LISTS or len(blocks) != text.count("-----BEGIN X509 CRL-----"):
        raise X509Error("is no revocation list, or more than 16")
    try:
        return [Crl(base64.b64decode(b.replace("\n", "").replace("\r", ""), validate=True)) for b in blocks]
    except ValueError:
        raise X509Error("is not base64") from None


def judge(chain, lists, at, dated):
    """(state, why) of a path from the signer to the anchor, when it signed at that time; `dated`: a time-stamp shows it."""
    first, doubt, early = "", "", ""
    for n, (cert, issuer) in enumerate(zip(chain, chain[1:])):
        name = distinguished_name(cert.issuer)
        why, shown, newest = f"there is no revocation list of {name}", False, None
        for crl in lists:
            if crl.issuer != cert.issuer:
                continue
            when = crl.revoked.get(cert.serial)
            named = when is not None and (not dated or when <= at)
            if named and crl.algorithm is None and not doubt:
                doubt = (f"a revocation list of {name} names the certificate of {distinguished_name(cert.subject)}, and is signed by "
                         "an algorithm that is not supported")
            if not crl.signed_by(issuer):
                if not shown:
                    why = f"the revocation list of {name} is not signed by it"
                continue
            if named:
                return "revoked", f"the certificate of {distinguished_name(cert.subject)} was revoked at {utc(when)}"
            if (crl.next_update or 0) < at:
                why = f"the revocation list of {name} ended at {utc(crl.next_update or 0)}"
            elif crl.this_update > cert.not_after:
                why = f"the revocation list of {name} is newer than the certificate's end"
            else:
                shown, newest = True, max(newest or 0, crl.this_update)
        if n == 0 and newest is not None and newest < at // 1000 * 1000:
            early = f"the revocation list of {name} was published at {utc(newest)}, before the signature"
        if not shown and not first:
            first = why
    if doubt:
        return "in-doubt", doubt
    return ("not-shown", first) if first else ("earlier", early) if early else ("good", "")


def against(revocation):
    """Revoked, or named by a list that cannot be judged."""
    return revocation[0] in ("revoked", "in-doubt")


def unshown(revocation):
    return revocation[0] in ("not-shown", "earlier")
