"""Reads key shares and puts keys together: docs/spec/key-shares.md once more, sharing no code with kesu."""
import hashlib
import re

# Each line of a share: what stands in it.
HEAD = (r"kesu-key-share-v1\n"
        r"vault (?P<vault>vlt-[0-9a-f]{32})\n"
        r"version (?P<version>key-[0-9a-f]{32}\.[1-9][0-9]*)\n"
        r"set (?P<set>[0-9a-f]{32})\n"
        r"threshold (?P<threshold>[1-9][0-9]*)\n"
        r"shares (?P<shares>[1-9][0-9]*)\n")
SHARE = re.compile(rf"(?P<head>{HEAD})index (?P<index>[1-9][0-9]*)\nshare (?P<share>[0-9a-f]{{128}})\nsum (?P<sum>[0-9a-f]{{64}})\n")


def multiply(a, b):
    """Russian peasants in GF(2^8), FIPS 197 §4.2."""
    out = 0
    while b:
        if b & 1:
            out ^= a
        a <<= 1
        if a & 0x100:
            a ^= 0x11B
        b >>= 1
    return out


INVERSE = {a: next(b for b in range(1, 256) if multiply(a, b) == 1) for a in range(1, 256)}


def parse(data):
    """The members of one share; ValueError where it is none."""
    found = SHARE.fullmatch(data.decode("ascii"))
    if not found:
        raise ValueError("not a share")
    out = found.groupdict()
    for name in ("threshold", "shares", "index"):
        out[name] = int(out[name])
    if not (2 <= out["threshold"] <= out["shares"] <= 255 and out["index"] <= out["shares"]):
        raise ValueError("numbers out of range")
    if hashlib.sha256(data[:data.index(b"sum ")]).hexdigest() != out["sum"]:
        raise ValueError("damaged")
    out["share"] = bytes.fromhex(out["share"])
    return out


def value_at(points, at):
    """The bytes at `at` of the polynomials through points {index: bytes}."""
    out = bytearray(len(next(iter(points.values()))))
    for i, share in points.items():
        weight = 1
        for j in points:
            if j != i:
                weight = multiply(weight, multiply(at ^ j, INVERSE[i ^ j]))
        for n, byte in enumerate(share):
            out[n] ^= multiply(weight, byte)
    return bytes(out)


def combine(files):
    """The key out of the bytes of share files; ValueError where they do not give one."""
    shares = [parse(data) for data in files]
    heads = {s["head"] for s in shares}
    indices = {s["index"] for s in shares}
    if len(heads) != 1 or len(indices) != len(shares) or len(shares) < shares[0]["threshold"]:
        raise ValueError("not enough different shares of one set")
    used = {s["index"]: s["share"] for s in shares[:shares[0]["threshold"]]}
    both = value_at(used, 0)
    if hashlib.sha256(heads.pop().encode() + both[:32]).digest() != both[32:]:
        raise ValueError("the check value does not fit")
    for s in shares:
        if value_at(used, s["index"]) != s["share"]:
            raise ValueError(f"share {s['index']} is not on the polynomial of the others")
    return both[:32]
