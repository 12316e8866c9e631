# X.509: a closed subset of RFC 5280. What is outside of it is refused by name, never skipped.
#   keys          RSA 2048 to 16384 bits, ECDSA P-256, P-384 and P-521, Ed25519
#   signatures    RSA PKCS #1 v1.5 and PSS (MGF1 and digest alike), ECDSA, each with SHA-256/384/512; Ed25519
#   extensions    basicConstraints, keyUsage, extKeyUsage are judged; alternative names, policies and CRL locations are read
#                 over; any other that is critical, and name constraints, refuse every path with the certificate
from cryptography.exceptions import InvalidSignature, UnsupportedAlgorithm
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, padding, rsa
from cryptography.hazmat.primitives.serialization import load_der_public_key

from . import der
from .base import base64_strict, sha256

HASHES = {"2.16.840.1.101.3.4.2.1": "sha256", "2.16.840.1.101.3.4.2.2": "sha384", "2.16.840.1.101.3.4.2.3": "sha512"}
_HASH = {"sha256": hashes.SHA256, "sha384": hashes.SHA384, "sha512": hashes.SHA512}
_ECDSA = {"1.2.840.10045.4.3.2": "sha256", "1.2.840.10045.4.3.3": "sha384", "1.2.840.10045.4.3.4": "sha512"}
_RSA = {"1.2.840.113549.1.1.11": "sha256", "1.2.840.113549.1.1.12": "sha384", "1.2.840.113549.1.1.13": "sha512"}
RSA_ENCRYPTION, RSA_PSS, ED25519, MGF1 = ("1.2.840.113549.1.1.1", "1.2.840.113549.1.1.10", "1.3.101.112",
                                          "1.2.840.113549.1.1.8")
_KEY_OIDS = {RSA_ENCRYPTION: "RSA", "1.2.840.10045.2.1": "ECDSA", ED25519: "Ed25519"}
_READ_OVER, _NAME_CONSTRAINTS = {"2.5.29.17", "2.5.29.31", "2.5.29.32"}, "2.5.29.30"
_CURVES = {"secp256r1": 256, "secp384r1": 384, "secp521r1": 521}
DIGITAL_SIGNATURE, NON_REPUDIATION, KEY_CERT_SIGN, CRL_SIGN = 0, 1, 5, 6
TIME_STAMPING = "1.3.6.1.5.5.7.3.8"
# Purposes that the signer of a certificate may have, where it states any: e-mail, documents, any.
SIGNING = {"1.3.6.1.5.5.7.3.4", "1.3.6.1.5.5.7.3.36", "1.3.6.1.4.1.311.10.3.12", "2.5.29.37.0"}
MAX_CHAIN, MAX_PEM = 9, 64


class X509Error(Exception):
    """A certificate, signature or chain outside of the subset, or not good."""


class NoPath(X509Error):
    """A certificate that no path may have, and nothing else is wrong with it: a key of another kind or size."""


class Algorithm:
    """A signature algorithm as an AlgorithmIdentifier names it."""

    def __init__(self, kind, digest=None, salt=None):
        self.kind, self.digest, self.salt = kind, digest, salt


def _digest_oid(value, what):
    r = value.reader(what)
    oid = r.next(der.OID).oid()
    if r.rest and r.next(der.NULL).content:
        raise X509Error(f"{what}: a NULL with content")
    r.end()
    if oid not in HASHES:
        raise X509Error(f"{what}: the digest {oid} is not supported")
    return HASHES[oid]


digest_algorithm = _digest_oid


def _only(value, what):
    items = value.items()
    if len(items) != 1:
        raise X509Error(f"{what}: not one element")
    return items[0]


def signature_algorithm(value, digest=None):
    """`digest`: what a CMS SignerInfo names beside rsaEncryption."""
    r = value.reader("a signature algorithm")
    oid = r.next(der.OID).oid()
    if oid in _ECDSA:
        r.end()
        return Algorithm("ECDSA", _ECDSA[oid])
    if oid == ED25519:
        r.end()
        return Algorithm("Ed25519")
    if oid in _RSA or oid == RSA_ENCRYPTION and digest:
        if r.rest and r.next(der.NULL).content:
            raise X509Error("a signature algorithm: a NULL with content")
        r.end()
        return Algorithm("RSA", _RSA.get(oid, digest))
    if oid == RSA_PSS:
        p = r.next(der.SEQUENCE, "the parameters of RSA-PSS").reader()
        r.end()
        hash_at, mgf_at, salt_at = p.optional(0xa0), p.optional(0xa1), p.optional(0xa2)
        p.end()
        if not (hash_at and mgf_at):
            raise X509Error("RSA-PSS with default parameters means SHA-1, which is not supported")
        name = _digest_oid(_only(hash_at, "RSA-PSS"), "RSA-PSS")
        mgf = _only(mgf_at, "MGF1").reader("MGF1")
        if mgf.next(der.OID).oid() != MGF1 or _digest_oid(mgf.next(), "MGF1") != name:
            raise X509Error("RSA-PSS with another mask generation is not supported")
        mgf.end()
        salt = _only(salt_at, "the salt's length").integer("the salt's length") if salt_at else 20
        if not 0 <= salt <= 512:
            raise X509Error("RSA-PSS: the salt's length is not possible")
        return Algorithm("PSS", name, salt)
    raise X509Error(f"the signature algorithm {oid} is not supported")


class PublicKey:
    def __init__(self, spki):
        """From a DER SubjectPublicKeyInfo."""
        value = der.parse(spki)
        r = value.reader("a public key")
        oid = r.next(der.SEQUENCE).reader("a key's algorithm").next(der.OID).oid()
        if oid not in _KEY_OIDS:
            raise NoPath(f"keys of the kind {oid} are not supported")
        self.kind, self.spki = _KEY_OIDS[oid], bytes(spki)
        try:
            self.key = load_der_public_key(self.spki)
        except (ValueError, TypeError, UnsupportedAlgorithm):
            raise NoPath("a public key is malformed, or on a curve that is not supported") from None
        if self.kind == "RSA":
            self.bits = self.key.key_size if isinstance(self.key, rsa.RSAPublicKey) else 0
            if not 2048 <= self.bits <= 16384:
                raise NoPath(f"an RSA key of {self.bits} bits is not supported")
            self.name = f"RSA:bits={self.bits}"
        elif self.kind == "ECDSA":
            curve = getattr(getattr(self.key, "curve", None), "name", "?")
            if curve not in _CURVES:
                raise NoPath(f"the curve {curve} is not supported")
            self.bits = _CURVES[curve]
            self.name = f"ECDSA-P{self.bits}"
        else:
            self.bits, self.name = 256, "Ed25519"

    def verify(self, signature, data, algorithm):
        """Whether the signature is good. Refuses an algorithm that is not the key's."""
        if algorithm.kind.replace("PSS", "RSA") != self.kind:
            raise X509Error(f"an {algorithm.kind} signature under an {self.kind} key")
        try:
            if self.kind == "ECDSA":
                self.key.verify(signature, data, ec.ECDSA(_HASH[algorithm.digest]()))
            elif self.kind == "Ed25519":
                self.key.verify(signature, data)
            else:
                h = _HASH[algorithm.digest]()
                pad = (padding.PKCS1v15() if algorithm.kind == "RSA"
                       else padding.PSS(padding.MGF1(_HASH[algorithm.digest]()), algorithm.salt))
                self.key.verify(signature, data, pad, h)
        except InvalidSignature:
            return False
        except (ValueError, TypeError, UnsupportedAlgorithm):
            return False
        return True


def ed25519_verify(key, signature, data):
    try:
        ed25519.Ed25519PublicKey.from_public_bytes(key).verify(signature, data)
    except (InvalidSignature, ValueError):
        return False
    return True


class Certificate:
    """A certificate, parsed; its members are what the subset judges."""

    def __init__(self, data):
        try:
            self._parse(bytes(data))
        except der.DerError as error:
            raise X509Error(f"a certificate is malformed: {error}") from None

    def _parse(self, data):
        self.der, self.digest = data, sha256(data)
        r = der.parse(data).reader("a certificate")
        body, algorithm, signature = r.next(der.SEQUENCE), r.next(der.SEQUENCE), r.next(der.BIT_STRING)
        r.end()
        self.signed, self.signature = body.whole, signature.bits("a signature")
        # Whoever signed an anchor, and how, is not asked; nothing else counts that is signed in another way.
        self.algorithm, self.form_problem = None, ""
        try:
            self.algorithm = signature_algorithm(algorithm)
        except (X509Error, der.DerError) as error:
            self.form_problem = str(error)
        t = body.reader("a certificate's body")
        version = t.optional(0xa0)
        if not version or [v.integer() for v in version.items()] != [2]:
            self.form_problem = "it is not of version 3"
        self.serial = t.next(der.INTEGER).whole
        if t.next(der.SEQUENCE).whole != algorithm.whole:
            raise X509Error("a certificate names two signature algorithms")
        self.issuer = t.next(der.SEQUENCE).whole
        validity = t.next(der.SEQUENCE).reader("a validity")
        self.not_before, self.not_after = validity.next().time(), validity.next().time()
        validity.end()
        self.subject = t.next(der.SEQUENCE).whole
        self.spki = t.next(der.SEQUENCE).whole
        self.key = PublicKey(self.spki)
        if t.optional(0x81) or t.optional(0x82):
            raise X509Error("unique identifiers in a certificate are not supported")
        self.ca, self.path_length, self.usage, self.purposes, self.purposes_critical = False, None, None, None, False
        self.refused = ""  # why no path may have it
        self.key_id, self.authority = None, (None, None, None)  # of the issuer: key identifier, its issuer, serial number
        extensions = t.optional(0xa3)
        t.end()
        seen = set()
        for item in extensions.items()[0].items() if extensions else []:
            e = item.reader("an extension")
            oid = e.next(der.OID).oid()
            critical = e.optional(der.BOOLEAN)
            critical = critical is not None and critical.boolean()
            content = e.next(der.OCTET_STRING).content
            e.end()
            if oid in seen:
                raise X509Error(f"the extension {oid} stands twice")
            seen.add(oid)
            self._extension(oid, critical, content)

    def _extension(self, oid, critical, content):
        if oid == "2.5.29.19":
            r = der.parse(content).reader("basicConstraints")
            ca = r.optional(der.BOOLEAN)
            self.ca = ca is not None and ca.boolean()
            if r.rest:
                self.path_length = r.next(der.INTEGER).integer()
                if not self.ca or self.path_length < 0:
                    raise X509Error("basicConstraints has a path length that means nothing")
            r.end()
        elif oid == "2.5.29.15":
            self.usage = der.parse(content).named_bits("keyUsage")
        elif oid == "2.5.29.37":
            self.purposes = {p.oid() for p in der.parse(content).expect(der.SEQUENCE, "extKeyUsage").items()}
            self.purposes_critical = critical
        elif oid == "2.5.29.14":
            self.key_id = der.parse(content).expect(der.OCTET_STRING, "subjectKeyIdentifier").content
        elif oid == "2.5.29.35" and not critical:
            r = der.parse(content).reader("authorityKeyIdentifier")
            key, names, serial = r.optional(0x80), r.optional(0xa1), r.optional(0x82)
            r.end()
            above = next((n.items()[0].whole for n in (names.items() if names else []) if n.tag == 0xa4), None)
            self.authority = (key and key.content, above, serial and serial.content)
        elif oid == _NAME_CONSTRAINTS or critical and oid not in _READ_OVER:
            self.refused = self.refused or f"the {'critical ' if critical else ''}extension {oid} is not supported"

    @property
    def self_issued(self):
        return self.issuer == self.subject

    @property
    def self_signed(self):
        return self.self_issued and self.signed_by(self)

    def names_key_of(self, issuer):
        """Whether authorityKeyIdentifier tells of no other issuer."""
        key, above, serial = self.authority
        return ((key is None or issuer.key_id in (None, key)) and above in (None, issuer.issuer)
                and (serial is None or der.parse(issuer.serial).content == serial))

    def signed_by(self, issuer):
        if self.algorithm is None:
            return False
        try:
            return issuer.key.verify(self.signature, self.signed, self.algorithm)
        except X509Error:
            return False

    def valid_at(self, millis):
        return self.not_before <= millis <= self.not_after + 999

    def may_sign(self):
        return self.usage is None or bool(self.usage & {DIGITAL_SIGNATURE, NON_REPUDIATION})


def pem_certificates(data, what):
    """The certificates of a PEM file, one to 64; what stands between them is passed over."""
    out, at, begin, end = [], 0, b"-----BEGIN CERTIFICATE-----", b"-----END CERTIFICATE-----"
    while (at := data.find(begin, at)) >= 0:
        at, to = at + len(begin), data.find(end, at)
        if to < 0:
            raise X509Error(f"{what} has a PEM block without an end")
        block = base64_strict(data[at:to].translate(None, b"\r\n").decode("latin-1"))
        if block is None:
            raise X509Error(f"{what} has a PEM block that is not base64")
        out.append(block)
        at = to + len(end)
    if not 1 <= len(out) <= MAX_PEM:
        raise X509Error(f"{what} has no certificate in PEM, or more than {MAX_PEM}")
    return out


def find_chain(leaf, others, anchors, millis, purpose=None):
    """The chain leaf … anchor that holds at that time. An anchor may be the leaf itself. Refuses with the reason
    why the last path that was tried does not hold. `purpose` is an extKeyUsage that the leaf must have."""
    if purpose:
        if leaf.purposes != {purpose} or not leaf.purposes_critical:
            raise X509Error("the certificate is for another purpose")
    elif leaf.purposes is not None and not leaf.purposes & SIGNING:
        raise X509Error("the certificate is for another purpose")
    if not leaf.may_sign():
        raise X509Error("the certificate's key is not for signatures")
    why = ["no issuer of it is known"]
    trusted = {a.digest for a in anchors}
    candidates = {c.digest: c for c in [*anchors, *others]}

    def walk(chain):
        last = chain[-1]
        if not last.valid_at(millis):
            why[0] = "a certificate was not valid at that time"
            return None
        if last.refused:
            why[0] = last.refused
            return None
        if last.digest in trusted:
            return chain
        if len(chain) >= MAX_CHAIN:
            why[0] = f"the chain has more than {MAX_CHAIN} certificates"
            return None
        below = sum(not c.self_issued for c in chain[1:])
        for issuer in candidates.values():
            if issuer.subject != last.issuer or issuer in chain:
                continue
            if not issuer.ca:
                why[0] = "an issuer is no certification authority"
            elif issuer.usage is not None and KEY_CERT_SIGN not in issuer.usage:
                why[0] = "an issuer's key is not for certificates"
            elif issuer.path_length is not None and below > issuer.path_length:
                why[0] = "the chain is longer than an issuer allows"
            elif purpose and issuer.purposes is not None and not issuer.purposes & {purpose, "2.5.29.37.0"}:
                why[0] = "an issuer is for another purpose"
            elif not last.names_key_of(issuer):
                why[0] = "the certificate names another key of its issuer"
            elif not last.signed_by(issuer):
                why[0] = "an issuer's signature is not good"
            else:
                found = walk([*chain, issuer])
                if found:
                    return found
        return None

    chain = walk([leaf])
    if not chain:
        raise X509Error(why[0])
    return chain
