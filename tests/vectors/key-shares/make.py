#!/usr/bin/env python3
"""Makes vectors.json from docs/spec/key-shares.md. Usage: make.py (writes beside itself); --show prints share 1."""
import hashlib
import json
import sys
from pathlib import Path

import shares

KEY = bytes(range(32))


def head(threshold, number, set_id=bytes(range(0xA0, 0xB0))):
    return (f"kesu-key-share-v1\nvault vlt-{'0123456789abcdef' * 2}\nversion key-{'1a' * 16}.1\nset {set_id.hex()}\n"
            f"threshold {threshold}\nshares {number}\n")


def make(threshold, number, key=KEY, **options):
    """Share files; coefficient j (1 to k − 1) of byte b is byte b of SHA-512("coefficients <j>")."""
    top = head(threshold, number, **options)
    secret = key + hashlib.sha256(top.encode() + key).digest()
    rows = [secret] + [hashlib.sha512(b"coefficients %d" % j).digest() for j in range(1, threshold)]
    out = []
    for i in range(1, number + 1):
        value = bytearray(64)
        for b in range(64):
            power = 1
            for row in rows:
                value[b] ^= shares.multiply(power, row[b])
                power = shares.multiply(power, i)
        out.append(with_sum(f"{top}index {i}\nshare {value.hex()}\n"))
    return out


def with_sum(text):
    return f"{text}sum {hashlib.sha256(text.encode()).hexdigest()}\n"


def altered():
    """(what, share file): each is refused by itself."""
    one = make(2, 3)[0]
    body = one[:one.index("sum ")]
    at = one.index("\nshare ") + 7
    yield "a flipped digit", one[:at] + ("1" if one[at] == "0" else "0") + one[at + 1:]
    yield "no last line feed", one[:-1]
    yield "a byte more", one + "\n"
    yield "carriage returns", one.replace("\n", "\r\n")
    yield "capitals", with_sum(body[:body.index("\nshare ") + 7] + body[body.index("\nshare ") + 7:].upper())
    yield "index 0", with_sum(body.replace("index 1", "index 0"))
    yield "index above", with_sum(body.replace("index 1", "index 4"))
    yield "leading zero", with_sum(body.replace("index 1", "index 01"))
    yield "threshold 1", with_sum(body.replace("threshold 2", "threshold 1"))
    yield "threshold above", with_sum(body.replace("threshold 2", "threshold 4"))
    yield "256 shares", with_sum(body.replace("shares 3", "shares 256"))
    yield "huge number", with_sum(body.replace("index 1", "index 18446744073709551617"))
    yield "negative", with_sum(body.replace("index 1", "index -1"))
    yield "version 2", with_sum(body.replace("kesu-key-share-v1", "kesu-key-share-v2"))
    yield "no set", with_sum("\n".join(line for line in body.split("\n") if not line.startswith("set ")))
    yield "lines exchanged", with_sum(body.replace("threshold 2\nshares 3\n", "shares 3\nthreshold 2\n"))
    yield "short share", with_sum(body[:-3] + "\n")
    yield "not a version", with_sum(body.replace(".1\n", ".0\n", 1))
    yield "nothing", ""
    yield "a zero byte", with_sum(body.replace("vault vlt-0", "vault vlt-\0"))


def main():
    if sys.argv[1:] == ["--show"]:
        return print(make(2, 3)[0], end="")
    refused = []
    for what, text in altered():
        try:
            shares.parse(text.encode())
        except ValueError:
            refused.append({"what": what, "share": text})
        else:
            sys.exit(f"accepted: {what}")
    sets = [{"threshold": k, "shares": make(k, n)} for k, n in ((2, 2), (2, 3), (3, 5), (5, 5))]
    sets.append({"threshold": 2, "shares": [make(2, 255)[i] for i in (0, 127, 254)]})
    for one in sets:
        assert shares.combine([s.encode() for s in one["shares"]]) == KEY
    other = make(2, 3, set_id=bytes(16))
    document = {"key": KEY.hex(), "sets": sets, "other_set": other, "refused": refused}
    Path(__file__).with_name("vectors.json").write_text(json.dumps(document, indent=1, ensure_ascii=False) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
