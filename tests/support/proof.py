#!/usr/bin/env python3
"""Checks a proof of `kesu inventory prove` by docs/spec/inventory.md ("Proof") alone.

    proof.py proof.json [--file FILE] [--checkpoint NOTE] --vkey VKEY

Shares no code with kesu; needs python3-cryptography for the note's signature.
"""
import argparse
import base64
import hashlib
import json
import pathlib
import struct
import sys


class Refused(Exception):
    pass


def demand(good, why):
    if not good:
        raise Refused(why)


def sha256(*parts):
    return hashlib.sha256(b"".join(parts)).digest()


def climb(leaf, index, size, path):
    """RFC 9162, 2.1.3.2: the root that the path leads to."""
    demand(0 <= index < size, "the index lies outside the tree")
    fn, sn, node = index, size - 1, leaf
    for step in path:
        demand(sn > 0, "the path is too long")
        if fn & 1 or fn == sn:
            node = sha256(b"\1", step, node)
            while fn and not fn & 1:
                fn, sn = fn >> 1, sn >> 1
        else:
            node = sha256(b"\1", node, step)
        fn, sn = fn >> 1, sn >> 1
    demand(sn == 0, "the path is too short")
    return node


def payload_root(sealed, header):
    chunk = struct.unpack(">I", header[12:16])[0]
    metadata = struct.unpack(">I", header[64:68])[0]
    at, leaves = 4096, []
    records = [metadata]
    rest = len(sealed) - at - metadata
    demand(rest >= 16, "the file is cut")
    while rest > 0:
        records.append(min(rest, chunk + 16))
        rest -= records[-1]
    for n in records:
        leaves.append(sha256(b"\0", sealed[at:at + n]))
        at += n

    def root(part):
        if len(part) == 1:
            return part[0]
        k = 1
        while k * 2 < len(part):
            k *= 2
        return sha256(b"\1", root(part[:k]), root(part[k:]))
    return root(leaves)


def open_note(note, vkey):
    from cryptography.exceptions import InvalidSignature
    from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey
    name, key_id, key = vkey.split("+", 2)
    text, _, signatures = note.partition("\n\n")
    text += "\n"
    blob = base64.b64decode(key)
    demand(blob[0] == 1, "another kind of key")
    demand(sha256(name.encode() + b"\n" + blob)[:4].hex() == key_id, "the vkey does not fit its identifier")
    for line in signatures.splitlines():
        dash, who, signature = line.split(" ")
        raw = base64.b64decode(signature)
        if dash == "—" and who == name and raw[:4].hex() == key_id:
            try:
                Ed25519PublicKey.from_public_bytes(blob[1:]).verify(raw[4:], text.encode())
            except InvalidSignature:
                raise Refused("the checkpoint's signature is bad") from None
            origin, size, root = text.splitlines()
            demand(origin == name, "another ledger's checkpoint")
            return int(size), base64.b64decode(root)
    raise Refused("the checkpoint is not signed by that key")


def check(proof, vkey, sealed=None, checkpoint=None):
    """"object" or "header": what is shown to be covered. Raises Refused. `checkpoint`: a note that the reader has already."""
    demand(proof["format"] == "kesu-inventory-proof-v1", "another format")
    header, root = bytes.fromhex(proof["header"]), bytes.fromhex(proof["payload_root"])
    demand(len(header) == 128 and len(root) == 32, "lengths")
    bound = bool(header[69] & 1)
    demand(bound or root == bytes(32), "a payload root where none is bound")
    for name, at in (("vault", 16), ("dataset", 32), ("object", 48)):
        demand(proof[name].split("-")[1] == header[at:at + 16].hex(), f"the header names another {name}")
    if sealed is not None:
        demand(sealed[:128] == header, "the file has another header")
        demand(not bound or payload_root(sealed, header) == root, "the file has another payload")
    leaf = sha256(b"\0kesu-inventory-v1", header, root)
    demand(leaf.hex() == proof["leaf"], "leaf")
    path = [bytes.fromhex(p) for p in proof["path"]]
    batch_root = climb(leaf, proof["index"], proof["size"], path)
    demand(batch_root.hex() == proof["batch_root"], "the path does not lead to the batch's root")
    entry = proof["entry"]
    head = json.loads(entry["header"])
    demand(head["seq"] == entry["seq"] and head["type"] == "seal-done", "no seal-done entry")
    demand(any(n.get("id") == proof["batch"] and n.get("is") == "sealed" and n.get("of") == proof["dataset"]
               and n.get("n") == proof["size"] and n.get("d") == proof["batch_root"] for n in head["nodes"]),
           "the entry does not commit to this batch")
    entry_leaf = sha256(b"\0", entry["header"].encode(), bytes.fromhex(entry["body_hash"]))
    demand(entry_leaf.hex() == entry["leaf"], "the entry's leaf")
    size, tree = open_note(checkpoint or proof["checkpoint"], vkey)
    demand(size == entry["size"], "a checkpoint of another size")
    demand(climb(entry_leaf, entry["seq"], size, [bytes.fromhex(p) for p in entry["path"]]) == tree,
           "the entry is not in the ledger of that checkpoint")
    demand(proof["covers"] == ("object" if bound else "header"), "covers")
    return proof["covers"]


def main():
    options = argparse.ArgumentParser()
    options.add_argument("proof")
    options.add_argument("--file")
    options.add_argument("--checkpoint")
    options.add_argument("--vkey", required=True)
    o = options.parse_args()
    try:
        covered = check(json.loads(pathlib.Path(o.proof).read_text()), o.vkey,
                        pathlib.Path(o.file).read_bytes() if o.file else None,
                        pathlib.Path(o.checkpoint).read_text() if o.checkpoint else None)
    except (Refused, KeyError, ValueError, TypeError) as why:
        sys.exit(f"refused: {why}")
    print("covered" if covered == "object" else "header covered, payload not bound")


if __name__ == "__main__":
    main()
