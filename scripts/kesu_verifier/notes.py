# C2SP signed notes, tlog-checkpoints and cosignatures; RFC 6962 trees.
import re
import struct

from .base import Bad, base64_strict, sha256
from .x509 import ed25519_verify

ED25519, COSIGNATURE = 1, 4
MAX_NOTE = 1 << 20
MAX_SIGNATURES, MAX_NAME = 100, 255
MAX_TIME = (1 << 63) - 1
_SIGNATURE = re.compile("\u2014 ([^ \n]+) ([A-Za-z0-9+/=]+)")
_NAME = re.compile("[^+\x00-\x20\x7f-\xa0\u1680\u2000-\u200a\u2028\u2029\u202f\u205f\u3000]+")


def is_name(text):
    """Whether it can name a key (docs/spec/ledger.md, "Checkpoint"): closed, whatever a language takes for a space."""
    return bool(_NAME.fullmatch(text)) and len(text.encode()) <= MAX_NAME


class NoteError(Exception):
    """A note, verifier key or proof that is malformed or not good."""


class VerifierKey:
    """A vkey: `<name>+<8 hex>+<base64(type ‖ key)>`."""

    def __init__(self, text, kinds):
        name, _, rest = text.partition("+")
        number, _, encoded = rest.partition("+")
        data = base64_strict(encoded)
        if not is_name(name) or not re.fullmatch("[0-9a-f]{8}", number) or data is None:
            raise NoteError("is no verifier key")
        if len(data) != 33 or data[0] not in kinds:
            raise NoteError("is a verifier key of another kind")
        self.name, self.kind, self.key, self.text = name, data[0], data[1:], text
        self.id = sha256(name.encode() + b"\n" + data)[:4]
        if self.id.hex() != number:
            raise NoteError("has an id that is not that of its name and key")


class Note:
    """`text` (with its last line feed), and signatures (name, id, bytes)."""

    def __init__(self, data):
        if len(data) > MAX_NOTE:
            raise NoteError("is too long")
        try:
            whole = data.decode("utf-8")
        except UnicodeDecodeError:
            raise NoteError("is not UTF-8") from None
        if re.search("[\x00-\x09\x0b-\x1f\x7f]", whole):
            raise NoteError("has a control character")
        at = whole.rfind("\n\n")
        if at < 0 or not whole.endswith("\n"):
            raise NoteError("has no signature")
        self.text = whole[:at + 1]
        self.signatures = []
        for line in whole[at + 2:].split("\n")[:-1]:
            found = _SIGNATURE.fullmatch(line)
            raw = base64_strict(found[2]) if found else None
            if raw is None or len(raw) < 5 or not is_name(found[1]):
                raise NoteError("has a signature line that is malformed")
            self.signatures.append((found[1], raw[:4], raw[4:]))
        if not 1 <= len(self.signatures) <= MAX_SIGNATURES:
            raise NoteError(f"has no signature, or more than {MAX_SIGNATURES}")

    def signed_by(self, key):
        """Whether that key signed it: all its signatures are good, and there is one."""
        message = self.text.encode()
        found = False
        for name, number, raw in self.signatures:
            if name != key.name or number != key.id:
                continue
            if key.kind == ED25519:
                good = ed25519_verify(key.key, raw, message)
            else:
                # C2SP tlog-cosignature: timestamp ‖ signature over header, time and note.
                at = struct.unpack(">Q", raw[:8])[0] if len(raw) == 72 else MAX_TIME + 1
                good = at <= MAX_TIME and ed25519_verify(key.key, raw[8:], b"cosignature/v1\ntime %d\n" % at + message)
            if not good:
                raise NoteError(f"the signature of {name} is not good")
            found = True
        return found


class Checkpoint:
    def __init__(self, text):
        lines = text.split("\n")
        if len(lines) != 4 or lines[3]:
            raise NoteError("is no checkpoint of three lines")
        root = base64_strict(lines[2])
        if not lines[0] or not re.fullmatch("0|[1-9][0-9]{0,18}", lines[1]) or root is None or len(root) != 32:
            raise NoteError("has a size or root that is malformed")
        self.origin, self.size, self.root = lines[0], int(lines[1]), root


def read_checkpoint(data, key, part):
    """A checkpoint that the key signed; Bad with its part otherwise."""
    try:
        note = Note(data)
        checkpoint = Checkpoint(note.text)
        if not note.signed_by(key):
            raise NoteError("is not signed by the key in trust/ledger.vkey")
        if checkpoint.origin != key.name:
            raise NoteError("is of another origin than the key")
    except NoteError as error:
        raise Bad(part, str(error)) from None
    return note, checkpoint


# Trees.

def node_hash(left, right):
    return sha256(b"\x01" + left + right)


class Tree:
    """The root of leaves that come one after the other, in little memory; roots at marked sizes are kept."""

    def __init__(self, marks=()):
        self.stack, self.size, self.marks, self.roots = [], 0, set(marks), {}
        if 0 in self.marks:
            self.roots[0] = self.root()

    def add(self, leaf):
        self.size += 1
        n = self.size
        while not n & 1:
            leaf = node_hash(self.stack.pop(), leaf)
            n >>= 1
        self.stack.append(leaf)
        if self.size in self.marks:
            self.roots[self.size] = self.root()

    def root(self):
        if not self.stack:
            return sha256(b"")
        out = self.stack[-1]
        for left in reversed(self.stack[:-1]):
            out = node_hash(left, out)
        return out


def tree_root(leaves):
    tree = Tree()
    for leaf in leaves:
        tree.add(leaf)
    return tree.root()


def check_consistency(first, first_root, second, second_root, proof):
    """RFC 9162, 2.1.4.2. NoteError where the proof does not lead from one tree to the other."""
    if first > second or not first:
        raise NoteError("the first checkpoint is larger than the second, or empty")
    if first == second:
        if proof or first_root != second_root:
            raise NoteError("the proof is of another tree")
        return
    path = list(proof)
    if first & (first - 1) == 0:
        path.insert(0, first_root)
    if not path:
        raise NoteError("the proof is empty")
    fn, sn = first - 1, second - 1
    while fn & 1:
        fn >>= 1
        sn >>= 1
    fr = sr = path[0]
    for node in path[1:]:
        if sn == 0:
            raise NoteError("the proof is too long")
        if fn & 1 or fn == sn:
            fr, sr = node_hash(node, fr), node_hash(node, sr)
            if not fn & 1:
                while fn and not fn & 1:
                    fn >>= 1
                    sn >>= 1
        else:
            sr = node_hash(sr, node)
        fn >>= 1
        sn >>= 1
    if sn or fr != first_root or sr != second_root:
        raise NoteError("the proof does not lead from one checkpoint to the other")
