# CMS SignedData (RFC 5652) with one signer, signed attributes and signing-certificate (RFC 5035), detached or with
# its content inside: certificate.json.p7s, and time-stamp tokens.
import hashlib

from . import der, x509
from .der import DerError
from .x509 import X509Error

SIGNED_DATA, DATA, TST_INFO = "1.2.840.113549.1.7.2", "1.2.840.113549.1.7.1", "1.2.840.113549.1.9.16.1.4"
CONTENT_TYPE, MESSAGE_DIGEST = "1.2.840.113549.1.9.3", "1.2.840.113549.1.9.4"
SIGNING_CERTIFICATE, SIGNING_CERTIFICATE_V2 = "1.2.840.113549.1.9.16.2.12", "1.2.840.113549.1.9.16.2.47"
SIGNATURE_TIME_STAMP = "1.2.840.113549.1.9.16.2.14"
MAX_BYTES, MAX_CARRIED, MAX_ATTRIBUTES = 1 << 20, 32, 32


class Carried:
    """A certificate that came along: issuer and serial number. Nothing else of it is read, so it may be of any kind."""

    def __init__(self, data):
        self.der = data
        t = der.parse(data).reader("a certificate that came along").next(der.SEQUENCE).reader("a certificate's body")
        t.optional(0xa0)
        self.serial = t.next(der.INTEGER).whole
        t.next(der.SEQUENCE)
        self.issuer = t.next(der.SEQUENCE).whole


def readable(carried):
    """Those that can be part of a chain; what cannot be read leads nowhere."""
    out = []
    for c in carried:
        try:
            out.append(x509.Certificate(c.der))
        except X509Error:
            pass
    return out


def chain_file(data):
    """A file of certificates for chains of time-stamp authorities, one to 64."""
    try:
        return readable([Carried(c) for c in x509.pem_certificates(data, "it")])
    except DerError as error:
        raise X509Error(f"has a certificate that is none: {error}") from None


class SignedData:
    """Parsed; nothing is verified before verify()."""

    def __init__(self, data):
        if len(data) > MAX_BYTES:
            raise X509Error(f"is longer than {MAX_BYTES} bytes")
        try:
            self._parse(data)
        except DerError as error:
            raise X509Error(f"is not CMS in DER: {error}") from None

    def _parse(self, data):
        r = der.parse(data).reader("a ContentInfo")
        if r.next(der.OID).oid() != SIGNED_DATA:
            raise X509Error("is not CMS SignedData")
        holder = r.next(0xa0, "the content").items()
        r.end()
        if len(holder) != 1:
            raise X509Error("is not CMS SignedData")
        s = holder[0].reader("SignedData")
        self.version = s.next(der.INTEGER).integer()
        digests = s.next(der.SET).items()
        e = s.next(der.SEQUENCE).reader("the encapsulated content")
        self.content_type = e.next(der.OID).oid()
        inside = e.optional(0xa0)
        e.end()
        self.content = None
        if inside:
            parts = inside.items()
            if len(parts) != 1:
                raise X509Error("the content inside is not one OCTET STRING")
            self.content = parts[0].expect(der.OCTET_STRING, "the content inside").content
        certificates = s.optional(0xa0)
        s.optional(0xa1)  # revocation lists that came along are not read
        self.carried = [Carried(c.expect(der.SEQUENCE, "a certificate").whole) for c in (certificates.items() if certificates else [])]
        signers = s.next(der.SET).items()
        s.end()
        if len(signers) != 1 or len(self.carried) > MAX_CARRIED:
            raise X509Error(f"has not exactly one signer, or more than {MAX_CARRIED} certificates")
        self._signer(signers[0])
        if [x509.digest_algorithm(d, "the digests") for d in digests] != [self.digest]:
            raise X509Error("the digest algorithms do not agree")
        if self.algorithm.digest not in (None, self.digest):
            raise X509Error("the signature algorithm does not fit the digest")

    def _signer(self, value):
        r = value.reader("a SignerInfo")
        if r.next(der.INTEGER).integer() != 1:
            raise X509Error("the signer is not named by issuer and serial number")
        who = r.next(der.SEQUENCE).reader("the signer's name")
        self.issuer, self.serial = who.next(der.SEQUENCE).whole, who.next(der.INTEGER).whole
        who.end()
        self.digest = x509.digest_algorithm(r.next(der.SEQUENCE), "the signer's digest")
        signed = r.next(0xa0, "the signed attributes")
        self.algorithm = x509.signature_algorithm(r.next(der.SEQUENCE), self.digest)
        self.signature = r.next(der.OCTET_STRING).content
        unsigned = r.optional(0xa1)
        r.end()
        # What is signed is the SET, not the tag it has here (RFC 5652, 5.4); DER has it in order. Tokens are as authorities make them.
        encodings = [item.whole for item in signed.items()]
        if self.content_type != TST_INFO and encodings != sorted(encodings):
            raise X509Error("the signed attributes are not in DER's order")
        self.to_sign = der.wrap(der.SET, signed.content)
        self.signed, self.unsigned = self._attributes(signed), self._attributes(unsigned) if unsigned else {}

    @staticmethod
    def _attributes(value):
        out = {}
        for item in value.items():
            r = item.reader("an attribute")
            oid = r.next(der.OID).oid()
            values = r.next(der.SET).items()
            r.end()
            if oid in out or len(values) != 1 or len(out) == MAX_ATTRIBUTES:
                raise X509Error(f"the attribute {oid} stands twice, or has not one value, or there are more than {MAX_ATTRIBUTES}")
            out[oid] = values
        return out

    @property
    def certificates(self):
        return readable(self.carried)

    def one(self, oid, what):
        values = self.signed.get(oid)
        if not values or len(values) != 1:
            raise X509Error(f"the signed attribute {what} is not there once")
        return values[0]

    def names_certificate(self, signer, allow_v1=False):
        """The digest by which the signed attributes name this certificate; an error where one of them names another."""
        kinds = [SIGNING_CERTIFICATE_V2] + [SIGNING_CERTIFICATE] * allow_v1
        found = [self._names(self.signed[kind][0], signer, kind == SIGNING_CERTIFICATE) for kind in kinds if kind in self.signed]
        if not found:
            raise X509Error("the signed attribute signing-certificate-v2 is not there once")
        return found[0]

    @staticmethod
    def _names(value, signer, v1):
        first = value.reader().next(der.SEQUENCE).items()[0].reader("an ESSCertID")
        algorithm = None if v1 else first.optional(der.SEQUENCE)
        name = "sha1" if v1 else x509.digest_algorithm(algorithm, "ESSCertIDv2") if algorithm else "sha256"
        good = first.next(der.OCTET_STRING).content == hashlib.new(name, signer.der).digest()
        by = first.optional(der.SEQUENCE)
        first.end()
        if by is not None:
            r = by.reader("an issuer and serial number")
            names, serial = r.next(der.SEQUENCE).items(), r.next().whole
            good = good and len(names) == 1 and names[0].expect(0xa4).content == signer.issuer and serial == signer.serial
        if not good:
            raise X509Error("signing-certificate names another certificate")
        return name

    def verify(self, content=None, content_type=DATA, allow_v1=False):
        """The signer's certificate, when the signature is good over `content` (else over what is inside)."""
        try:
            return self._verify(content, content_type, allow_v1)
        except DerError as error:
            raise X509Error(f"is malformed: {error}") from None
        except IndexError:
            raise X509Error("an attribute is empty") from None

    def _verify(self, content, content_type, allow_v1):
        if (content is None) == (self.content is None):
            raise X509Error("the content is inside where it was to be beside, or the other way round")
        content = self.content if content is None else content
        if self.content_type != content_type or self.one(CONTENT_TYPE, "contentType").oid() != content_type:
            raise X509Error("the content is of another type")
        digest = self.one(MESSAGE_DIGEST, "messageDigest").expect(der.OCTET_STRING, "messageDigest").content
        if digest != hashlib.new(self.digest, content).digest():
            raise X509Error("the content is not what was signed")
        if self.version != (1 if content_type == DATA else 3):
            raise X509Error("SignedData is of another version")
        own = [c.der for c in self.carried if (c.issuer, c.serial) == (self.issuer, self.serial)]
        if len(own) != 1:
            raise X509Error("the signer's certificate is not in it, or not once")
        signer = x509.Certificate(own[0])
        if content_type == DATA and signer.form_problem:
            raise X509Error(f"the signer's certificate: {signer.form_problem}")
        self.named_with = self.names_certificate(signer, allow_v1)
        if not signer.key.verify(self.signature, self.to_sign, self.algorithm):
            raise X509Error("the signature does not verify")
        return signer
