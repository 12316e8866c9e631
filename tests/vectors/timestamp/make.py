#!/usr/bin/env python3
"""Makes the time-stamps of this directory anew with openssl(1): answers of a test authority to requests over data.bin.

Usage: tests/vectors/timestamp/make.py. Keys are made and thrown away, so every run gives other bytes.
"""
import pathlib
import sys
import tempfile

HERE = pathlib.Path(__file__).resolve().parent
sys.path.insert(0, str(HERE.parents[1] / "support"))
import tsa  # noqa: E402

DATA = "kesu time-stamp vector: 消去\n".encode()


def main():
    with tempfile.TemporaryDirectory() as directory:
        authority = tsa.Tsa(directory)
        query = authority.query(DATA)
        good = authority.reply(query)
        info = authority.tst_info(good)
        out = {"data.bin": DATA, "query.tsq": query, "good.tsr": good,
               "policy.tsr": authority.reply(authority.query(DATA, "1.3.6.1.4.1.99999.2")),
               "root.pem": authority.root.read_bytes(), "intermediate.pem": authority.intermediate.read_bytes()}
        for mode in ("inaccurate", "sha1", "ess-sha1", "rejected", "expired", "wrong-nonce", "wrong-imprint", "no-eku"):
            out[mode + ".tsr"] = authority.reply(query, mode)
        # What an authority may say and openssl's does not: made by hand, signed by the same key.
        at = info.index(b"\x18\x0f") + 16                             # genTime's Z
        fraction = info[:at] + b".25Z" + info[at + 1:]
        fraction = fraction.replace(b"\x18\x0f", b"\x18\x12", 1)
        out["fraction.tsr"] = authority.wrap(tsa.sequence(body_of(fraction)))
        bad_fraction = info[:at] + b".50Z" + info[at + 1:]
        out["bad-fraction.tsr"] = authority.wrap(tsa.sequence(body_of(bad_fraction.replace(b"\x18\x0f", b"\x18\x12", 1))))
        critical = bytes.fromhex("a10d300b06032a0304 0101ff 040100".replace(" ", ""))
        out["critical-extension.tsr"] = authority.wrap(tsa.sequence(body_of(info) + critical))
        out["no-nonce.tsr"] = authority.wrap(tsa.sequence(without_nonce(body_of(info))))
        # An authority whose certificate ends within a year of the token: good for ever after.
        authority.certify("tsa", "tsa", "/O=Test/CN=Test Short Time", "v3_tsa", dates=("20260101000000Z", "20270101000000Z"))
        out["short.tsr"] = authority.reply(query)
        for name, content in out.items():
            (HERE / name).write_bytes(content)


def body_of(sequence):
    """The content of a SEQUENCE, whatever length it says."""
    return sequence[3:] if sequence[1] == 0x81 else sequence[4:] if sequence[1] == 0x82 else sequence[2:]


def without_nonce(body):
    """TSTInfo ends with the nonce here: an INTEGER of at most 10 bytes with its head."""
    for size in range(3, 12):
        if body[-size] == 2 and body[-size + 1] == size - 2:
            return body[:-size]
    raise AssertionError("no nonce at the end")


if __name__ == "__main__":
    main()
