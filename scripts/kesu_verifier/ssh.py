# SSH public keys, SSHSIG (OpenSSH's PROTOCOL.sshsig), and the options of allowed_signers lines.
import base64
import hashlib
import re
import struct

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec, padding, rsa
from cryptography.hazmat.primitives.asymmetric.utils import encode_dss_signature

from .base import base64_strict, seconds_of
from .x509 import ed25519_verify

TYPES = {"ssh-ed25519", "ecdsa-sha2-nistp256", "ecdsa-sha2-nistp384", "ecdsa-sha2-nistp521", "ssh-rsa",
         "sk-ssh-ed25519@openssh.com", "sk-ecdsa-sha2-nistp256@openssh.com"}
_CURVES = {"nistp256": ec.SECP256R1, "nistp384": ec.SECP384R1, "nistp521": ec.SECP521R1}
_EC_HASH = {"nistp256": hashes.SHA256, "nistp384": hashes.SHA384, "nistp521": hashes.SHA512}
BEGIN, END = "-----BEGIN SSH SIGNATURE-----", "-----END SSH SIGNATURE-----"
MAX_SIGNATURE = 64 << 10
MIN_RSA, MAX_RSA = 3072, 16384


class SshError(Exception):
    """A key or signature that is malformed, not supported, or not good."""


class Wire:
    """SSH's strings and numbers."""

    def __init__(self, data, what):
        self.data, self.at, self.what = data, 0, what

    def take(self, n):
        if n > len(self.data) - self.at:
            raise SshError(f"{self.what} is cut off")
        self.at += n
        return self.data[self.at - n:self.at]

    def u32(self):
        return struct.unpack(">I", self.take(4))[0]

    def string(self):
        return self.take(self.u32())

    def text(self):
        try:
            return self.string().decode("ascii")
        except UnicodeDecodeError:
            raise SshError(f"{self.what} is not ASCII") from None

    def number(self):
        data = self.string()
        if not data or len(data) > 2100 or data[0] & 0x80 or len(data) > 1 and data[0] == 0 and not data[1] & 0x80:
            raise SshError(f"{self.what} has a number that is not in its one form")
        return int.from_bytes(data, "big")

    def end(self):
        if self.at != len(self.data):
            raise SshError(f"{self.what} has bytes behind its end")


class PublicKey:
    certificate = None     # of whoever is enrolled with one: persons.py

    def __init__(self, blob, comment=""):
        self.blob, self.comment, self.application = bytes(blob), comment, None
        wire = Wire(self.blob, "the public key")
        self.type = wire.text()
        if self.type not in TYPES:
            raise SshError(f'the key type "{self.type[:40]}" is not supported')
        if self.type == "ssh-rsa":
            exponent, modulus = wire.number(), wire.number()
            self.bits = modulus.bit_length()
            if not MIN_RSA <= self.bits <= MAX_RSA or exponent < 3 or not exponent & 1 or exponent.bit_length() > 64:
                raise SshError(f"an RSA key of {self.bits} bits is not supported")
            try:
                self.key = rsa.RSAPublicNumbers(exponent, modulus).public_key()
            except ValueError:
                raise SshError("the RSA key is malformed") from None
        elif "ed25519" in self.type:
            self.key = wire.string()
            if len(self.key) != 32:
                raise SshError("the Ed25519 key has not 32 bytes")
        else:
            curve = wire.text()
            if curve not in self.type:
                raise SshError("the key's curve is not that of its type")
            self.curve = curve
            try:
                self.key = ec.EllipticCurvePublicKey.from_encoded_point(_CURVES[curve](), wire.string())
            except ValueError:
                raise SshError("the key is no point of its curve") from None
        if self.type.startswith("sk-"):
            self.application = wire.string()
        wire.end()

    @classmethod
    def line(cls, text):
        """"type base64 [comment]"."""
        words = text.rstrip("\n").split(" ", 2)
        blob = base64_strict(words[1]) if len(words) > 1 and words[1] else None
        if blob is None or any(ord(c) < 0x20 or ord(c) == 0x7f for c in text.rstrip("\n")):
            raise SshError("is no line of an SSH public key")
        key = cls(blob, words[2] if len(words) > 2 else "")
        if key.type != words[0]:
            raise SshError("names another type than the key has")
        return key

    @property
    def fingerprint(self):
        return "SHA256:" + base64.b64encode(hashlib.sha256(self.blob).digest()).decode().rstrip("=")

    def algorithm(self, digest):
        """The policy's name of a signature under this key (docs/spec/policy.md)."""
        if self.type == "ssh-rsa":
            return f"RSASSA-PKCS1-v1_5-{digest.upper()}:bits={self.bits}"
        if "ed25519" in self.type:
            return "Ed25519"
        return "ECDSA-P" + self.curve[5:]


def _check_raw(key, name, raw, data):
    if key.type == "ssh-rsa":
        digest = {"rsa-sha2-512": hashes.SHA512, "rsa-sha2-256": hashes.SHA256}.get(name)
        if not digest or len(raw) != (key.bits + 7) // 8:
            raise SshError(f'the signature algorithm "{name[:40]}" is not supported')
        key.key.verify(raw, data, padding.PKCS1v15(), digest())
        return
    if name != key.type:
        raise SshError("the signature is of another kind than the key")
    if "ed25519" in name:
        if len(raw) != 64 or not ed25519_verify(key.key, raw, data):
            raise InvalidSignature
        return
    wire = Wire(raw, "the signature")
    r, s = wire.number(), wire.number()
    wire.end()
    key.key.verify(encode_dss_signature(r, s), data, ec.ECDSA(_EC_HASH[key.curve]()))


class Signature:
    """A parsed SSHSIG: `key`, `namespace`, `digest` (sha256 or sha512), flags of a security key or None."""

    def __init__(self, armoured):
        if len(armoured) > MAX_SIGNATURE:
            raise SshError("the signature is too long")
        try:
            lines = armoured.decode("ascii").replace("\r\n", "\n").split("\n")
        except UnicodeDecodeError:
            raise SshError("the signature is not ASCII") from None
        if lines[-1:] == [""]:
            lines.pop()
        blob = None
        if len(lines) > 2 and lines[0] == BEGIN and lines[-1] == END:
            blob = base64_strict("".join(lines[1:-1]))
        if not blob:
            raise SshError("is no armoured SSH signature")
        wire = Wire(blob, "the signature")
        if wire.take(min(6, len(blob))) != b"SSHSIG" or wire.u32() != 1:
            raise SshError("is no SSHSIG of version 1")
        self.key = PublicKey(wire.string())
        self.namespace = wire.text()
        reserved = wire.string()
        self.digest = wire.text()
        signature = wire.string()
        wire.end()
        if reserved or self.digest not in ("sha256", "sha512"):
            raise SshError("the signature's digest is not supported")
        inner = Wire(signature, "the signature")
        self.name, self.raw = inner.text(), inner.string()
        self.flags = self.counter = None
        if self.key.application is not None:
            self.flags, self.counter = inner.take(1)[0], inner.u32()
        inner.end()

    def check(self, message, namespace):
        if self.namespace != namespace:
            raise SshError(f'the signature is made for the namespace "{self.namespace[:40]}", not for "{namespace}"')
        digest = hashlib.new(self.digest, message).digest()
        data = b"SSHSIG" + b"".join(struct.pack(">I", len(s)) + s for s in
                                    (namespace.encode(), b"", self.digest.encode(), digest))
        if self.key.application is not None:
            if not self.flags & 1:
                raise SshError("the security key was not touched for this signature")
            data = (hashlib.sha256(self.key.application).digest() + bytes([self.flags])
                    + struct.pack(">I", self.counter) + hashlib.sha256(data).digest())
        try:
            _check_raw(self.key, self.name, self.raw, data)
        except (InvalidSignature, ValueError):
            raise SshError("the signature does not verify over this text") from None

    def algorithm(self):
        if self.key.type == "ssh-rsa":
            return self.key.algorithm("sha512" if self.name == "rsa-sha2-512" else "sha256")
        return self.key.algorithm("")


def pattern_list(patterns, text):
    """OpenSSH's match_pattern_list: `*`, `?`, and `!` before a pattern that excludes."""
    found = False
    for pattern in patterns.split(","):
        negated = pattern.startswith("!")
        if _match(pattern[negated:], text):
            if negated:
                return False
            found = True
    return found


def _match(pattern, text):
    p = t = 0
    star, mark = -1, 0
    while t < len(text):
        if p < len(pattern) and pattern[p] == "*":
            star, mark, p = p, t, p + 1
        elif p < len(pattern) and pattern[p] in ("?", text[t]):
            p, t = p + 1, t + 1
        elif star >= 0:
            mark += 1
            p, t = star + 1, mark
        else:
            return False
    return not pattern[p:].strip("*")


class Officer:
    """A key that the reader trusts, and for what."""

    def __init__(self, key, namespaces="", after=None, before=None):
        self.key, self.namespaces, self.after, self.before = key, namespaces, after, before

    def serves(self, namespace, millis):
        second = millis // 1000
        return ((not self.namespaces or pattern_list(self.namespaces, namespace))
                and (self.after is None or second >= self.after // 1000)
                and (self.before is None or second <= self.before // 1000))


def _when(text):
    found = re.fullmatch(r"(\d{4})(\d\d)(\d\d)(?:(\d\d)(\d\d)(\d\d)?)?Z", text)
    if not text.endswith("Z"):
        raise SshError("a time is not UTC: it ends with no Z")
    seconds = seconds_of(*(int(g or 0) for g in found.groups())) if found else None
    if seconds is None:
        raise SshError("a time is not YYYYMMDD[HHMM[SS]]Z")
    return seconds * 1000


def _options(text):
    """The options before the key, where there are any, and the rest of the line."""
    out, at = {}, 0
    while True:
        found = re.compile(r"([A-Za-z-]+)(=?)").match(text, at)
        if not found:
            raise SshError("an option was to follow a comma")
        name, at = found[1].lower(), found.end()
        if name in out:
            raise SshError(f"the option {name} stands twice")
        if name not in ("namespaces", "valid-after", "valid-before"):
            raise SshError(f"the option {name} is not supported")
        if not found[2] or text[at:at + 1] != '"':
            raise SshError(f"the option {name} has no value in quotes")
        end = text.find('"', at + 1)
        if end < 0:
            raise SshError(f"the option {name} has no closing quote")
        out[name], at = text[at + 1:end], end + 1
        if not out[name]:
            raise SshError(f"the option {name} is empty")
        if text[at:at + 1] != ",":
            return out, text[at:]
        at += 1


def allowed_signer(line):
    """One line of an allowed_signers file: principals, options, key."""
    found = re.match(r'(?:"[^"]*"|[^ \t"]+)[ \t]+', line)
    if not found:
        raise SshError("is no line of allowed_signers")
    rest, options = line[found.end():], {}
    if rest.split(" ", 1)[0] not in TYPES:
        options, rest = _options(rest)
    key = PublicKey.line(rest.strip(" \t"))
    after, before = (options.get(n) for n in ("valid-after", "valid-before"))
    return Officer(key, options.get("namespaces", ""), after and _when(after), before and _when(before))
