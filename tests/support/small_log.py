"""A transparency log of its own for tests of witnesses: RFC 6962 trees, C2SP checkpoints, requests, cosignatures; written
from those specifications, with python3-cryptography for Ed25519 alone. It shares no code with kesu."""
import base64
import hashlib
import struct

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric import ed25519
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat


def sha(*parts):
    return hashlib.sha256(b"".join(parts)).digest()


def split(n):
    k = 1
    while 2 * k < n:
        k *= 2
    return k


def root(leaves):
    if not leaves:
        return sha()
    if len(leaves) == 1:
        return leaves[0]
    k = split(len(leaves))
    return sha(b"\x01", root(leaves[:k]), root(leaves[k:]))


def consistency(m, leaves, whole=True):
    """RFC 6962 §2.1.2: SUBPROOF(m, D[n], b)."""
    n = len(leaves)
    if m == n:
        return [] if whole else [root(leaves)]
    k = split(n)
    if m <= k:
        return consistency(m, leaves[:k], whole) + [root(leaves[k:])]
    return consistency(m - k, leaves[k:], False) + [root(leaves[:k])]


def b64(data):
    return base64.b64encode(data).decode()


class Log:
    def __init__(self, origin="log.example/one", key=None):
        self.origin, self.key = origin, key or ed25519.Ed25519PrivateKey.generate()
        self.public = self.key.public_key().public_bytes(Encoding.Raw, PublicFormat.Raw)
        self.leaves = []

    def add(self, count=1, mark=b"entry"):
        for _ in range(count):
            self.leaves.append(sha(b"\x00", mark, str(len(self.leaves)).encode()))
        return self

    @property
    def id(self):
        return sha(self.origin.encode(), b"\n\x01", self.public)[:4]

    @property
    def vkey(self):
        return f"{self.origin}+{self.id.hex()}+{b64(bytes([1]) + self.public)}"

    def text(self, size=None):
        leaves = self.leaves if size is None else self.leaves[:size]
        return f"{self.origin}\n{len(leaves)}\n{b64(root(leaves))}\n"

    def note(self, size=None):
        text = self.text(size)
        return f"{text}\n— {self.origin} {b64(self.id + self.key.sign(text.encode()))}\n"

    def request(self, since=0, size=None):
        leaves = self.leaves if size is None else self.leaves[:size]
        proof = consistency(since, leaves) if 0 < since < len(leaves) else []
        return f"old {since}\n" + "".join(b64(p) + "\n" for p in proof) + "\n" + self.note(size)


def parse_vkey(vkey):
    """name, key type, raw key; checks the id."""
    name, number, data = vkey.split("+", 2)
    raw = base64.b64decode(data, validate=True)
    if sha(name.encode(), b"\n", raw)[:4].hex() != number:
        raise ValueError("the id is not that of name and key")
    return name, raw[0], raw[1:]


def cosigned_at(text, line, vkey):
    """C2SP tlog-cosignature: the time of a good line over this checkpoint's text; None where it is not good."""
    name, kind, key = parse_vkey(vkey)
    dash, said, data = line.rstrip("\n").split(" ")
    raw = base64.b64decode(data, validate=True)
    if (dash, said, kind, len(raw)) != ("—", name, 4, 4 + 8 + 64):
        return None
    if raw[:4] != sha(name.encode(), b"\n\x04", key)[:4]:
        return None
    (time,) = struct.unpack(">Q", raw[4:12])
    try:
        ed25519.Ed25519PublicKey.from_public_bytes(key).verify(raw[12:], f"cosignature/v1\ntime {time}\n{text}".encode())
    except InvalidSignature:
        return None
    return time
