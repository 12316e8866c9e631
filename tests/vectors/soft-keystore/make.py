#!/usr/bin/env python3
"""Makes the vectors of this directory from docs/spec/soft-keystore.md alone, sharing no code with kesu: run it here.

`keystore` is a good file; vectors.json says what is in it, and how altered ones are judged: each of `cases` takes the
file, replaces bytes (`at`, `hex`), cuts or extends it to `size`, and ends as `expect` says.
"""
import hashlib
import json
import pathlib
import struct

from cryptography.hazmat.primitives import serialization as form
from cryptography.hazmat.primitives.asymmetric import ec, ed25519
from cryptography.hazmat.primitives.ciphers import Cipher, algorithms, modes
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

HERE = pathlib.Path(__file__).parent
BLOCK, PLAIN = 512, 484
PASSPHRASE = b"correct horse battery"


def fixed(name, size):
    """Bytes that look random and are the same for ever."""
    return hashlib.shake_256(b"kesu soft keystore " + name.encode()).digest(size)


CONTAINER = fixed("container key", 32)
HEADER = {"version": 1, "reserved": 0, "iterations": 210000, "id": fixed("id", 16), "generation": 2, "revision": 5,
          "salt": fixed("salt", 32), "zeros": bytes(8), "nonce": fixed("nonce", 12), "tail": bytes(332)}
KEK = hashlib.pbkdf2_hmac("sha512", PASSPHRASE, HEADER["salt"], HEADER["iterations"], 32)


def header(**changes):
    h = {**HEADER, **changes}
    kek = KEK if h["iterations"] == HEADER["iterations"] else hashlib.pbkdf2_hmac("sha512", PASSPHRASE, h["salt"], max(h["iterations"], 1), 32)
    front = b"kesu-ks\n" + struct.pack(">HHI", h["version"], h["reserved"], h["iterations"]) + h["id"]
    front += struct.pack(">QQ", h["generation"], h["revision"]) + h["salt"] + h["zeros"]
    assert len(front) == 88
    summed = front + h["nonce"] + AESGCM(kek).encrypt(h["nonce"], CONTAINER, b"kesu-keystore-v1" + front)
    assert len(summed) == 148
    return summed + hashlib.sha256(summed).digest() + h["tail"]


def check_value(key):
    return Cipher(algorithms.AES(key), modes.ECB()).encryptor().update(bytes(16))[:3]


def spki(public):
    return public.public_bytes(form.Encoding.DER, form.PublicFormat.SubjectPublicKeyInfo)


def label_of(mark, version):
    return b"kesu:key-" + (bytes([mark]) * 16).hex().encode() + b"." + str(version).encode()


def fields(mark, kind, purpose, origin=1, version=1):
    secret = fixed(f"key {mark}", 48 if kind == 3 else 32)
    public = b""
    if kind == 2:
        public = spki(ed25519.Ed25519PrivateKey.from_private_bytes(secret).public_key())
    if kind == 3:
        public = spki(ec.derive_private_key(int.from_bytes(secret, "big"), ec.SECP384R1()).public_key())
    return {"kind": kind, "purpose": purpose, "origin": origin, "label": label_of(mark, version),
            "id": bytes([mark]) * 16 + struct.pack(">I", version), "made": 1_795_252_320_123, "secret": secret,
            "check": check_value(secret) if kind == 1 else bytes(3), "public": public, "tail": b"", "after_label": b"",
            "after_secret": b""}


RECORDS = [fields(0x11, 1, 1), fields(0x22, 1, 2, origin=2), fields(0x33, 2, 3), fields(0x44, 3, 4)]


def record(position, f, at=None, head=HEADER):
    """`at`: the position it is bound to, where that is not its own."""
    plain = bytes([f["kind"], f["purpose"], f["origin"], len(f["label"])]) + f["id"] + struct.pack(">Q", f["made"])
    plain += (f["label"] + f["after_label"]).ljust(64, b"\0") + f["check"] + bytes([len(f["public"])])
    plain += (f["secret"] + f["after_secret"]).ljust(64, b"\0") + f["public"]
    plain = plain.ljust(PLAIN - len(f["tail"]), b"\0") + f["tail"]
    assert len(plain) == PLAIN, len(plain)
    aad = b"kesu-soft-record-v1" + head["id"] + struct.pack(">QQQ", head["generation"], head["revision"], position if at is None else at)
    nonce = fixed(f"record nonce {position}", 12)
    return nonce + AESGCM(CONTAINER).encrypt(nonce, plain, aad)


def block(number):
    return (number + 1) * BLOCK


good = header() + b"".join(record(i, f) for i, f in enumerate(RECORDS))
(HERE / "keystore").write_bytes(good)
cases = []


def case(about, expect, *edits, size=None, passphrase=None):
    row = {"about": about, "expect": expect, "edits": [{"at": at, "hex": data.hex()} for at, data in edits]}
    if size is not None:
        row["size"] = size
    if passphrase is not None:
        row["passphrase"] = passphrase
    cases.append(row)


def flip(at):
    return at, bytes([good[at] ^ 1])


def resummed(at, new=None):
    """The header with a byte altered, or some replaced, and a checksum that fits."""
    new = new or bytes([good[at] ^ 1])
    front = good[:at] + new + good[at + len(new):148]
    return front + hashlib.sha256(front).digest() + good[180:512]


DAMAGED = "container-damaged: "
case("another passphrase", "pin-wrong", passphrase="correct horse batterz")
case("not a keystore", DAMAGED + "magic", flip(0))
case("nothing in it", DAMAGED + "magic", size=0)
case("the header cut", DAMAGED + "header", size=511)
case("an unknown version", DAMAGED + "version", (0, header(version=2)))
case("reserved bytes in front", DAMAGED + "reserved bytes", (0, header(reserved=1)))
case("reserved bytes before the nonce", DAMAGED + "reserved bytes", (0, header(zeros=bytes(7) + b"\1")))
case("reserved bytes behind", DAMAGED + "reserved bytes", (0, header(tail=bytes(331) + b"\1")))
case("too few iterations", DAMAGED + "iterations", (0, header(iterations=209999)))
case("too many iterations", DAMAGED + "iterations", (0, resummed(12, struct.pack(">I", 100_000_001))))
case("generation 0", DAMAGED + "generation", (0, header(generation=0)))
case("a revision below its generation", DAMAGED + "revision", (0, header(generation=3, revision=2)))
for name, at in (("iterations", 15), ("id", 16), ("generation", 39), ("revision", 47), ("salt", 48), ("nonce", 88),
                 ("wrapped key", 100), ("its tag", 147), ("checksum", 148)):
    case(f"a bit of the header: {name}", DAMAGED + "header checksum", flip(at))


for name, at in (("identifier", 16), ("generation", 39), ("revision", 46), ("salt", 48), ("nonce", 88), ("wrapped key", 100)):
    case(f"altered together with its checksum: {name}", "pin-wrong", (0, resummed(at)))
for i in range(len(RECORDS)):
    case(f"a bit of record {i}", DAMAGED + f"record {i}", flip(block(i) + 100))
case("a bit of a record's nonce", DAMAGED + "record 1", flip(block(1)))
case("two records exchanged", DAMAGED + "record 0", (block(0), good[block(1):block(2)]), (block(1), good[block(0):block(1)]))
case("a record of an older revision", DAMAGED + "record 2", (block(2), record(2, RECORDS[2], head={**HEADER, "revision": 4})))
case("a record of an older generation", DAMAGED + "record 2", (block(2), record(2, RECORDS[2], head={**HEADER, "generation": 1})))
case("a record of another keystore", DAMAGED + "record 2", (block(2), record(2, RECORDS[2], head={**HEADER, "id": bytes(16)})))
case("a record of zeros in the middle", DAMAGED + "record 1", (block(1), bytes(BLOCK)))


def inner(about, field, position=0, **changes):
    case(about, DAMAGED + f"record {position}, {field}", (block(position), record(position, {**RECORDS[position], **changes})))


inner("an unknown kind", "kind", kind=4)
inner("an unknown purpose", "purpose", purpose=5)
inner("a purpose of another kind", "purpose", purpose=3)
inner("an unknown origin", "origin", origin=3)
inner("no label", "label", label=b"")
inner("a label that is no UTF-8", "label", label=b"\xff\xfe")
inner("bytes behind the label", "label", after_label=b"\0x")
inner("a time beyond all", "time", made=1 << 53)
inner("a public key of a secret key", "public key", public=b"x")
inner("no public key of a pair", "public key", position=2, public=b"")
inner("a check value of a pair", "check value", position=2, check=b"abc")
inner("bytes behind the key", "reserved bytes", after_secret=b"\0x")
inner("bytes at the end", "reserved bytes", tail=b"x")
case("a label twice", DAMAGED + "record 1", (block(1), record(1, {**RECORDS[1], "label": RECORDS[0]["label"]})))
case("an id twice", DAMAGED + "record 1", (block(1), record(1, {**RECORDS[1], "id": RECORDS[0]["id"]})))
# What a kill or a power cut leaves of an append: it never came to be.
for size in (block(3) + 1, block(3) + 11, block(3) + 511):
    case(f"the last record torn after {size - block(3)} bytes", "3 keys", size=size)
case("the last sector never written", "3 keys", (block(3), bytes(BLOCK)))
case("whole records missing at the end: an older state of the same file", "2 keys", size=block(2))
case("no record", "0 keys", size=BLOCK)
case("as it is", "4 keys")

NAMES = {1: "wrap", 2: "control", 3: "sign-ledger", 4: "sign-certificate"}
document = {
    "passphrase": PASSPHRASE.decode(), "kek": KEK.hex(), "container_key": CONTAINER.hex(), "id": HEADER["id"].hex(),
    "generation": HEADER["generation"], "revision": HEADER["revision"], "iterations": HEADER["iterations"],
    "keys": [{"label": f["label"].decode(), "id": f["id"].hex(), "purpose": NAMES[f["purpose"]], "imported": f["origin"] == 2,
              "made": f["made"], "check_value": f["check"].hex() if f["kind"] == 1 else "", "public_key": f["public"].hex(),
              "secret": f["secret"].hex()} for f in RECORDS],
    "cases": cases,
}
with open(HERE / "vectors.json", "w", encoding="utf-8") as out:
    json.dump(document, out, indent=1, sort_keys=True)
    out.write("\n")
