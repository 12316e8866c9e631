"""Slots of sealed files, read here from their bytes (docs/spec/sealed-object.md), and what kesu's census must say then."""
import collections
import hashlib
import struct
from pathlib import Path

Slot = collections.namedtuple("Slot", "index generation version")


def slots_of(path):
    """The slots with a good checksum, newest first."""
    with open(path, "rb") as file:
        region = file.read(4096)
    found = []
    for index in range(2):
        slot = region[1024 + index * 1024:2048 + index * 1024]
        if slot[:8] == b"KESUSLOT" and hashlib.sha256(slot[:992]).digest() == slot[992:]:
            generation, key, version = struct.unpack(">Q16sI", slot[8:36])
            found.append(Slot(index, generation, f"key-{key.hex()}.{version}"))
    return sorted(found, key=lambda s: -s.generation)


def newest(path):
    return slots_of(path)[0].version


def by_version(*roots):
    """version -> number of files below the roots whose newest slot is under it."""
    count = collections.Counter()
    for root in roots:
        for path in Path(root).rglob("*.kesu"):
            count[newest(path)] += 1
    return count


def census(box, *keys):
    """version -> objects, as `kesu key destroy --dry-run` shows it."""
    count = collections.Counter()
    for key in keys:
        for row in box.kesu("key", "destroy", key, "--dry-run").json["census"]:
            if row["objects"]:
                count[row["version"]] += row["objects"]
    return count


def tear(path, index):
    """Leaves the first half of a slot: a write that a power cut tore."""
    with open(path, "r+b") as file:
        file.seek(1024 + index * 1024 + 512)
        file.write(bytes(512))
