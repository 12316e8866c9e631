#!/usr/bin/env python3
"""A second reader of docs/spec/sealed-object.md and inventory.md, written from those pages alone.

Judges every scenario of tests/vectors/sealed and tests/vectors/inventory: `check_sealed.py` prints what does not end
as it says. Shares no code with kesu; needs python3-cryptography.
"""
import base64
import hashlib
import hmac
import json
import pathlib
import struct
import sys

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers import Cipher, aead, algorithms, modes

HERE = pathlib.Path(__file__).parent
REGION, SLOT, TAG = 4096, 1024, 16


class Damaged(Exception):
    """Its text is the field."""


class Absent(Exception):
    """The key version is not at hand."""


def sha256(*parts):
    return hashlib.sha256(b"".join(parts)).digest()


def mac(key, *parts):
    return hmac.new(key, b"".join(parts), hashlib.sha256).digest()


# --- AEADs ---

def multiply(x, y):
    """In GF(2^128) as NIST SP 800-38D 6.3 writes it."""
    z = 0
    for bit in range(127, -1, -1):
        if x >> bit & 1:
            z ^= y
        y = y >> 1 ^ (0xE1 << 120 if y & 1 else 0)
    return z


class CamelliaGcm:
    """SP 800-38D over Camellia, which the cryptography package has no GCM for. 96-bit nonces, no AAD."""

    def __init__(self, key):
        self.ecb = Cipher(algorithms.Camellia(key), modes.ECB()).encryptor()
        self.h = int.from_bytes(self.ecb.update(bytes(16)), "big")

    def decrypt(self, nonce, sealed, _aad):
        text, tag = sealed[:-TAG], sealed[-TAG:]
        y = 0
        for i in range(0, len(text), 16):
            y = multiply(y ^ int.from_bytes(text[i:i + 16].ljust(16, b"\0"), "big"), self.h)
        y = multiply(y ^ len(text) * 8, self.h)
        counters = b"".join(nonce + struct.pack(">I", n) for n in range(1, 2 + (len(text) + 15) // 16))
        stream = self.ecb.update(counters)
        if not hmac.compare_digest((y ^ int.from_bytes(stream[:16], "big")).to_bytes(16, "big"), tag):
            raise InvalidTag
        return bytes(a ^ b for a, b in zip(text, stream[16:]))


CONTENT = {
    1: lambda k: aead.AESGCM(k),
    2: lambda k: aead.ChaCha20Poly1305(k),
    3: CamelliaGcm,
    4: lambda k: aead.AESGCM(k[:16]),
}


# --- Header region ---

def parse_immutable(b):
    if b[:8] != b"KESU-OBJ":
        raise Damaged("magic")
    version, algorithm, chunk = struct.unpack_from(">HHI", b, 8)
    metadata, flags = struct.unpack_from(">IH", b, 64)
    if version != 1:
        raise Damaged("format version")
    if algorithm not in CONTENT:
        raise Damaged("content algorithm")
    if chunk not in [1 << n for n in range(14, 23)]:
        raise Damaged("chunk size")
    if metadata not in range(16 + 256, 65552 + 1, 256):
        raise Damaged("metadata size")
    if flags not in (0, 1):
        raise Damaged("flags")
    if any(b[70:96]):
        raise Damaged("reserved bytes")
    return {"algorithm": algorithm, "chunk": chunk, "vault": b[16:32], "dataset": b[32:48], "object": b[48:64],
            "metadata": metadata, "bound": bool(flags), "commitment": b[96:128], "bytes": b}


def parse_slot(b, index):
    """None when empty, "torn" when its checksum does not fit."""
    if not any(b):
        return None
    if sha256(b[:992]) != b[992:]:
        return "torn"
    name = f"slot {index} "
    if b[:8] != b"KESUSLOT":
        raise Damaged(name + "magic")
    generation, key, version, algorithm, nonce, blob = struct.unpack_from(">Q16sIHHH", b, 8)
    for field, good in (("generation", generation > 0), ("key version", version > 0),
                        ("wrap algorithm", algorithm in (1, 2)), ("nonce length", nonce <= 32),
                        ("blob length", 1 <= blob <= 848), ("reserved bytes", not any(b[42:48])),
                        ("nonce", not any(b[48 + nonce:80])), ("blob", not any(b[80 + blob:928])),
                        ("reserved bytes", not any(b[960:992]))):
        if not good:
            raise Damaged(name + field)
    return {"index": index, "generation": generation, "key": key, "version": version, "algorithm": algorithm,
            "nonce": b[48:48 + nonce], "blob": b[80:80 + blob], "covered": b[:928], "hmac": b[928:960]}


def parse_region(b):
    if len(b) < REGION:
        raise Damaged("header region")
    header = parse_immutable(b[:128])
    if any(b[128:1024]) or any(b[3072:4096]):
        raise Damaged("reserved bytes")
    raw = [b[1024 + i * SLOT:2048 + i * SLOT] for i in range(2)]
    slots = [parse_slot(raw[i], i) for i in range(2)]
    for i in range(2):
        if slots[i] == "torn":
            if raw[i][:8] != b"KESUSLOT":
                raise Damaged(f"slot {i} magic")
            if not isinstance(slots[1 - i], dict):
                raise Damaged(f"slot {i} checksum")
    good = sorted((s for s in slots if isinstance(s, dict)), key=lambda s: -s["generation"])
    if not good:
        raise Damaged("slots")
    if len(good) == 2 and good[0]["generation"] == good[1]["generation"]:
        raise Damaged("slot 1 generation")
    return header, good


# --- Keys ---

def version_name(slot):
    return f"key-{slot['key'].hex()}.{slot['version']}"


def unwrap(header, slot, wrap_keys):
    key = wrap_keys.get(version_name(slot))
    if key is None:
        raise Absent(version_name(slot))
    aad = b"".join([b"kesu-wrap-v1", header["vault"], header["dataset"], header["object"], slot["key"],
                    struct.pack(">I", slot["version"])])
    try:
        data_key = aead.AESGCM(key).decrypt(slot["nonce"], slot["blob"], aad)
    except InvalidTag:
        raise Damaged("wrapped key") from None
    if len(data_key) != 64:
        raise Damaged("data key")
    return data_key


def commitment(header, data_key):
    return mac(data_key[32:], header["bytes"][:96], bytes(32), sha256(data_key[:32]))


def unlock(header, slots, wrap_keys):
    first = None
    for slot in slots:
        try:
            data_key = unwrap(header, slot, wrap_keys)
        except (Absent, Damaged) as error:
            first = first or error
            continue

        def check(s):
            if mac(data_key[32:], header["object"], s["covered"]) != s["hmac"]:
                raise Damaged(f"slot {s['index']} HMAC")

        check(slot)
        if commitment(header, data_key) != header["commitment"]:
            raise Damaged("commitment")
        for other in slots:
            if other is not slot:
                check(other)
        return slot, data_key
    raise first


# --- Records ---

def records(header, whole):
    """Offsets and lengths of all records, record 0 first."""
    chunk, at = header["chunk"], REGION + header["metadata"]
    left = len(whole) - at
    if left < TAG:
        raise Damaged("length")
    out = [(REGION, header["metadata"])]
    while left > 0:
        size = min(left, chunk + TAG)
        if size < TAG or (size == TAG and len(out) > 1):
            raise Damaged("length")
        out.append((at, size))
        at, left = at + size, left - size
    return out


def merkle(leaves):
    if len(leaves) == 1:
        return leaves[0]
    half = 1
    while half * 2 < len(leaves):
        half *= 2
    return sha256(b"\x01", merkle(leaves[:half]), merkle(leaves[half:]))


def payload_root(header, whole):
    return merkle([sha256(b"\0", whole[at:at + size]) for at, size in records(header, whole)])


def leaf(header, root):
    return sha256(b"\0", b"kesu-inventory-v1", header["bytes"], root if header["bound"] else bytes(32))


def canonical(value):
    """Enough of RFC 8785 here: member names are ASCII, numbers are integers."""
    return json.dumps(value, sort_keys=True, separators=(",", ":"), ensure_ascii=False).encode()


def name_bytes(value):
    return value.encode() if isinstance(value, str) else base64.b64decode(value["b64"])


def parse_metadata(plain):
    size, = struct.unpack_from(">I", plain)
    text = plain[4:4 + size]
    value = json.loads(text)
    padded = -(-(4 + size) // 256) * 256
    known = {"kind", "mode", "mtime", "name"}
    if (len(plain) != padded or any(plain[4 + size:]) or canonical(value) != text
            or set(value) - {"size"} != known or value["kind"] not in ("file", "manifest")):
        raise Damaged("metadata")
    return value


def open_object(whole, wrap_keys):
    header, slots = parse_region(whole[:REGION])
    extents = records(header, whole)
    slot, data_key = unlock(header, slots, wrap_keys)
    content = CONTENT[header["algorithm"]](data_key[:32])

    def record(index, nonce, field):
        at, size = extents[index]
        try:
            return content.decrypt(nonce, whole[at:at + size], None)
        except InvalidTag:
            raise Damaged(field) from None

    metadata = parse_metadata(record(0, b"\x01" + bytes(11), "record 0"))
    length = sum(size - TAG for _, size in extents[1:])
    if metadata.get("size", length) != length:
        raise Damaged("length")
    plain = b""
    for i in range(len(extents) - 1):
        last = i == len(extents) - 2
        plain += record(i + 1, struct.pack(">BHQB", 0, 0, i, last), f"chunk {i}")
    return header, slot, data_key, metadata, plain


# --- Inventory segments ---

def open_segment(b, dataset_key):
    if len(b) < 80:
        raise Damaged("header")
    magic, version, zero, count = struct.unpack_from(">8sHHI", b)
    if magic != b"KESU-SEG":
        raise Damaged("magic")
    if version != 1:
        raise Damaged("version")
    if zero:
        raise Damaged("reserved bytes")
    if not 1 <= count <= 1000:
        raise Damaged("count")
    at = 80 + 48 * count
    if len(b) < at + 12 + 4 + TAG:
        raise Damaged("length")
    rows = [(b[i:i + 16], b[i + 16:i + 48]) for i in range(80, at, 48)]
    if len({r[0] for r in rows}) != count:
        raise Damaged("objects")
    size, = struct.unpack_from(">I", b, at + 12)
    if size != len(b) - at - 16:
        raise Damaged("index length")
    try:
        index = aead.AESGCM(dataset_key[:32]).decrypt(b[at:at + 12], b[at + 16:], b[:at])
    except InvalidTag:
        raise Damaged("index") from None
    objects = json.loads(index)["objects"]
    if canonical({"objects": objects}) != index or [o["object"] for o in objects] != [r[0].hex() for r in rows]:
        raise Damaged("index")
    return rows, objects


# --- Scenarios ---

def edited(whole, edits):
    out = bytearray(whole)
    for e in edits:
        if "truncate" in e:
            del out[e["truncate"]:]
        elif "append" in e:
            out += bytes.fromhex(e["append"])
        elif "copy" in e:
            out[e["at"]:e["at"] + e["length"]] = whole[e["copy"]:e["copy"] + e["length"]]
        elif "set" in e:
            new = bytes.fromhex(e["set"])
            out[e["at"]:e["at"] + len(new)] = new
        else:
            for i, v in enumerate(bytes.fromhex(e["xor"])):
                out[e["at"] + i] ^= v
    return bytes(out)


def load(path):
    scenario = json.loads(path.read_text())
    return scenario, edited((path.parent / scenario["file"]).read_bytes(), scenario.get("edits", []))


def equal(what, got, want):
    if got != want:
        raise AssertionError(f"{what}: {got!r}, not {want!r}")


def judge_sealed(path):
    s, whole = load(path)
    keys = {v: bytes.fromhex(k) for v, k in s["wrap_keys"].items()}
    try:
        header, slot, data_key, metadata, plain = open_object(whole, keys)
    except Damaged as error:
        equal("outcome", f"sealed-damaged: {error}", s["expect"])
        return
    equal("outcome", "opened", s["expect"])
    equal("opens_with", version_name(slot), s["opens_with"])
    equal("data key", data_key.hex(), s["data_key"])
    equal("metadata", metadata, s["metadata"])
    equal("plaintext", (len(plain), sha256(plain).hex()), (s["plain_bytes"], s["plain_sha256"]))
    equal("commitment", commitment(header, data_key).hex(), s["commitment"])
    root = payload_root(header, whole) if header["bound"] else bytes(32)
    equal("payload root", root.hex(), s["payload_root"])
    equal("leaf", leaf(header, root).hex(), s["leaf"])
    for field, prefix in (("vault", "vlt-"), ("dataset", "ds-"), ("object", "obj-")):
        equal(field, prefix + header[field].hex(), s[field])
    equal("shape", (header["algorithm"], header["chunk"], header["bound"]),
          (s["algorithm"], s["chunk"], s["payload_bound"]))


def judge_inventory(path):
    s, whole = load(path)
    try:
        rows, objects = open_segment(whole, bytes.fromhex(s["dataset_key"]))
    except Damaged as error:
        equal("outcome", f"ledger-damaged: {error}", s["expect"])
        return
    equal("outcome", "opened", s["expect"])
    equal("root", merkle([r[1] for r in rows]).hex(), s["root"])
    for (identifier, stored), index, want in zip(rows, objects, s["objects"], strict=True):
        header = parse_immutable(bytes.fromhex(want["immutable"]))
        equal("object", "obj-" + identifier.hex(), want["object"])
        equal("object", header["object"], identifier)
        equal("leaf", leaf(header, bytes.fromhex(want["payload_root"])).hex(), want["leaf"])
        equal("stored leaf", stored.hex(), want["leaf"])
        equal("name", name_bytes(index["name"]), name_bytes(want["name"]))


FOLDERS = (("sealed", judge_sealed), ("inventory", judge_inventory))


def main():
    failed = count = 0
    for folder, judge in FOLDERS:
        for path in sorted((HERE / folder).glob("*.json")):
            count += 1
            try:
                judge(path)
            except AssertionError as error:
                failed += 1
                print(f"{folder}/{path.name}: {error}")
    print(f"{count} scenarios, {failed} not as they say")
    return 1 if failed or not count else 0


if __name__ == "__main__":
    sys.exit(main())
