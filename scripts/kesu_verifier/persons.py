# What people are enrolled with and sign with (docs/spec/erasure.md, "Keys of people"): an SSH key and SSHSIG, or an X.509
# certificate and detached CMS.
import base64
import hashlib
import re
import struct

from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

from . import cms, der, ssh, x509
from .base import Bad, base64_strict, parse_json
from .ssh import SshError

WORD = "x509"
MAX_CERTIFICATE, MAX_SIGNATURE, MAX_CARRIED = 8192, 64 << 10, 8
BEGIN, END = "-----BEGIN CMS-----\n", "-----END CMS-----\n"
_NIST = {256: "nistp256", 384: "nistp384", 521: "nistp521"}


def _string(data):
    return struct.pack(">I", len(data)) + data


def _number(value):
    return _string(value.to_bytes(value.bit_length() // 8 + 1, "big"))


def _ssh_blob(key):
    """A certificate's key in SSH's form: the same key is one key."""
    if key.kind == "RSA":
        numbers = key.key.public_numbers()
        return _string(b"ssh-rsa") + _number(numbers.e) + _number(numbers.n)
    if key.kind != "ECDSA":
        raise SshError(f"a certificate with an {key.kind} key is not supported")
    curve = _NIST[key.bits]
    point = key.key.public_bytes(Encoding.X962, PublicFormat.UncompressedPoint)
    return _string(f"ecdsa-sha2-{curve}".encode()) + _string(curve.encode()) + _string(point)


def key_of(line):
    """The key of a person, from what enrols him; `certificate` is None where it is an SSH key."""
    if not line.startswith(WORD + " "):
        return ssh.PublicKey.line(line)
    data = base64_strict(line[len(WORD) + 1:])
    if data is None or len(data) > MAX_CERTIFICATE:
        raise SshError("is no certificate, or one larger than 8 KiB")
    try:
        certificate = x509.Certificate(data)
    except x509.X509Error as error:
        raise SshError(str(error)) from None
    if certificate.form_problem:
        raise SshError(f"the certificate: {certificate.form_problem}")
    if not certificate.may_sign():
        raise SshError("the key usage of the certificate does not allow signing")
    key = ssh.PublicKey(_ssh_blob(certificate.key))
    key.certificate = certificate
    return key


def pem(certificate):
    text = base64.b64encode(certificate.der).decode()
    lines = "".join(text[at:at + 64] + "\n" for at in range(0, len(text), 64))
    return f"-----BEGIN CERTIFICATE-----\n{lines}-----END CERTIFICATE-----\n".encode()


def validity_problem(key, millis):
    certificate = key.certificate
    if certificate is None or certificate.valid_at(millis):
        return ""
    return "cannot sign: the certificate " + ("was not valid yet" if millis < certificate.not_before else "had ended")


class Cms:
    """A parsed CMS of a person, as it is kept: PEM in one form."""

    def __init__(self, data):
        try:
            text = data.decode("ascii")
        except UnicodeDecodeError:
            text = ""
        inner = base64_strict(text[len(BEGIN):-len(END)].replace("\n", "")) if text.startswith(BEGIN) and text.endswith(END) else None
        if not inner or len(data) > MAX_SIGNATURE or re.sub("(.{64})(?=.)", r"\1\n", text[len(BEGIN):-len(END)].replace("\n", "")) + "\n" \
                != text[len(BEGIN):-len(END)]:
            raise SshError("is no CMS signature in its one form")
        try:
            self.signed = cms.SignedData(inner)
        except x509.X509Error as error:
            raise SshError(str(error)) from None
        self.digest = self.signed.digest

    def check(self, message, namespace, certificate):
        try:
            self._check(message, namespace, certificate)
        except (x509.X509Error, der.DerError, IndexError) as error:
            raise SshError(f"the signature is not good: {error}") from None

    def _check(self, message, namespace, certificate):
        s, own = self.signed, _namespace_of(message)
        if own != namespace:
            raise SshError(f'the signed statement is one of "{own[:40]}", not of "{namespace}"')
        if s.version != 1 or s.content is not None or s.content_type != cms.DATA:
            raise SshError("is no detached CMS over data")
        if len(s.carried) > MAX_CARRIED:
            raise SshError("more than 8 certificates came along")
        if (s.issuer, s.serial) != (certificate.issuer, certificate.serial):
            raise SshError("it is made with another certificate than the enrolled one")
        if any((c.issuer, c.serial) == (certificate.issuer, certificate.serial) and c.der != certificate.der for c in s.carried):
            raise SshError("it carries another certificate under the issuer and number of the enrolled one")
        if s.one(cms.CONTENT_TYPE, "contentType").oid() != cms.DATA:
            raise SshError("the content is of another type")
        if s.one(cms.MESSAGE_DIGEST, "messageDigest").expect(der.OCTET_STRING, "messageDigest").content != hashlib.new(s.digest, message).digest():
            raise SshError("the content is not what was signed")
        if cms.SIGNING_CERTIFICATE_V2 in s.signed:
            s.names_certificate(certificate)
        check_kind(s, certificate)
        a = s.algorithm
        if not certificate.key.verify(s.signature, s.to_sign, a):
            raise SshError("the signature does not verify")
        self.key = certificate.key

    def algorithm(self):
        """The policy's name of it (docs/spec/policy.md)."""
        if self.key.kind == "ECDSA":
            return self.key.name
        if self.signed.algorithm.kind == "PSS":
            return f"RSA-PSS:bits={self.key.bits},hash=SHA-{self.digest[3:]}"
        return f"RSASSA-PKCS1-v1_5-{self.digest.upper()}:bits={self.key.bits}"


def check_kind(signed, certificate):
    """A CMS by one signer, of the kinds that people's certificates may make; SshError names what is not."""
    a, key = signed.algorithm, certificate.key
    if signed.version != 1 or a.digest != signed.digest or a.kind == "PSS" and a.salt != hashlib.new(signed.digest).digest_size:
        raise SshError("the signature's algorithm does not fit its digest")
    if key.kind not in ("ECDSA", "RSA") or key.kind == "RSA" and key.bits < ssh.MIN_RSA or not certificate.may_sign():
        raise SshError("the signer's key is not ECDSA or RSA from 3072 bits, or may not sign")


def _namespace_of(message):
    """What a statement says that it is, as a namespace of SSHSIG would say it."""
    try:
        doc = parse_json(message, "statement")
    except Bad:
        return ""
    kind = doc.get("type") if isinstance(doc, dict) else None
    if kind == "kesu-statement-v1":
        return f"kesu-{doc.get('action')}-v1"
    return kind if isinstance(kind, str) else ""


def verified(data, message, namespace, key, name):
    """The signature, when it is this person's over `message`; SshError says why not."""
    if key.certificate is not None:
        signature = Cms(data)
        signature.check(message, namespace, key.certificate)
        return signature
    signature = ssh.Signature(data)
    signature.check(message, namespace)
    if signature.key.blob != key.blob:
        raise SshError(f"is made with another key than {name}'s")
    return signature


def leads_to(key, signature, anchors, millis):
    """Whether a certificate leads to one of the reader's authorities by what came along in its signature; an SSH key need not."""
    if key.certificate is None or not anchors:
        return True
    try:
        x509.find_chain(key.certificate, signature.signed.certificates, anchors, millis)
    except x509.X509Error:
        return False
    return True
