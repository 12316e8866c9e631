# Sealed objects in the reader's hand: whether a leaf of the certificate is theirs (docs/spec/sealed-object.md).
import hashlib
import os
import stat
import struct

from .base import sha256
from .notes import Tree

REGION, SLOT, PREFIX = 4096, 1024, b"\x00kesu-inventory-v1"


class Damaged(Exception):
    pass


def _slot(data, n):
    """(key version, generation), None where it is unused; "torn" where its checksum is not good."""
    if not any(data):
        return None
    if hashlib.sha256(data[:992]).digest() != data[992:]:
        if data[:8] != b"KESUSLOT":
            raise Damaged(f"slot {n} magic")
        return "torn"
    magic, generation, key, number, algorithm, nonce, blob = struct.unpack(">8sQ16sIHHH", data[:42])
    checks = (("magic", magic == b"KESUSLOT"), ("generation", generation), ("key version", number),
              ("wrap algorithm", algorithm in (1, 2)), ("nonce length", nonce <= 32), ("blob length", 1 <= blob <= 848),
              ("reserved bytes", not any(data[42:48]) and not any(data[960:992])),
              ("nonce", not any(data[48 + min(nonce, 32):80])), ("blob", not any(data[80 + min(blob, 848):928])))
    for what, good in checks:
        if not good:
            raise Damaged(f"slot {n} {what}")
    return f"key-{key.hex()}.{number}", generation


class Header:
    def __init__(self, region):
        if len(region) < REGION:
            raise Damaged("header region")
        magic, version, algorithm, chunk = struct.unpack(">8sHHI", region[:16])
        record0, flags = struct.unpack(">IH", region[64:70])
        power = chunk and chunk & (chunk - 1) == 0
        checks = (("magic", magic == b"KESU-OBJ"), ("format version", version == 1), ("content algorithm", algorithm in (1, 2, 3, 4)),
                  ("chunk size", power and 16 << 10 <= chunk <= 4 << 20),
                  ("metadata size", 272 <= record0 <= 65552 and (record0 - 16) % 256 == 0), ("flags", flags in (0, 1)),
                  ("reserved bytes", not any(region[70:96]) and not any(region[128:1024]) and not any(region[3072:4096])))
        for what, good in checks:
            if not good:
                raise Damaged(what)
        self.immutable, self.chunk, self.record0, self.bound = region[:128], chunk, record0, bool(flags)
        self.vault, self.dataset = f"vlt-{region[16:32].hex()}", f"ds-{region[32:48].hex()}"
        self.slots = [_slot(region[1024 + i * SLOT:1024 + (i + 1) * SLOT], i) for i in (0, 1)]
        if self.slots == [None, None]:
            raise Damaged("slots")
        if all(s == "torn" or s is None for s in self.slots):
            raise Damaged(f"slot {0 if self.slots[0] == 'torn' else 1} checksum")
        good = [s for s in self.slots if isinstance(s, tuple)]
        if len(good) == 2 and good[0][1] == good[1][1]:
            raise Damaged("slot 1 generation")


def _payload_root(file, header, size):
    payload = size - REGION - header.record0
    record = header.chunk + 16
    full, rest = divmod(payload, record)
    if payload < 16 or rest and rest < 16 or rest == 16 and full:
        raise Damaged("length")
    tree = Tree()
    for length in [header.record0] + [record] * full + ([rest] if rest else []):
        data = file.read(length)
        if len(data) != length:
            raise Damaged("length")
        tree.add(sha256(b"\x00" + data))
    if file.read(1):
        raise Damaged("length")
    return tree.root()


def cover(path, leaves, destroyed):
    """(result, dataset, why). `leaves`: leaf -> dataset; `destroyed`: key versions that this erasure destroyed."""
    try:
        fd = os.open(path, os.O_RDONLY | os.O_CLOEXEC | os.O_NONBLOCK)
    except OSError as error:
        return "cannot-say", "", f"cannot be read: {error.strerror}"
    with open(fd, "rb") as file:
        status = os.fstat(fd)
        if not stat.S_ISREG(status.st_mode):
            return "cannot-say", "", "is no regular file"
        try:
            header = Header(file.read(REGION))
            root = _payload_root(file, header, status.st_size) if header.bound else bytes(32)
        except Damaged as error:
            return "cannot-say", "", f"sealed object is damaged: {error}"
        except OSError as error:
            return "cannot-say", "", f"cannot be read: {error.strerror}"
    dataset = leaves.get(sha256(PREFIX + header.immutable + root))
    if dataset is None:
        return "not-covered", "", ""
    for n, slot in enumerate(header.slots):
        if slot == "torn":
            return "cannot-say", "", f"slot {n} is torn"
        if slot and slot[0] not in destroyed:
            return "not-covered", "", f"slot {n} names key version {slot[0]}, which this erasure did not destroy"
    return ("covered" if header.bound else "header-covered"), dataset, ""
