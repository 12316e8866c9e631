"""Time-stamp tokens and answers over one text, honest and odd, signed with the key of a real authority (tsa.Tsa).

    for name, token, good in bad_tokens.tokens(tsa, data): ...
    for name, answer, good in bad_tokens.answers(tsa, data): ...

`good`: what docs/spec/certificate.md ("Time-stamps") says of it, to every reader. Written from that page, RFC 3161, RFC 5652 and
RFC 5035 alone. chains() are files of certificates as they may stand beside tokens.
"""
import hashlib
import ssl
import time

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec

import reissue
from bad_certificates import attribute
from countersigned import parts

der, oid = reissue.der, reissue.oid
TST, DATA, SIGNED_DATA = "1.2.840.113549.1.9.16.1.4", "1.2.840.113549.1.7.1", "1.2.840.113549.1.7.2"
V1, V2 = "1.2.840.113549.1.9.16.2.12", "1.2.840.113549.1.9.16.2.47"
SHA = {"sha1": ("1.3.14.3.2.26", hashes.SHA1, "1.2.840.10045.4.1"), "sha224": ("2.16.840.1.101.3.4.2.4", hashes.SHA224, "1.2.840.10045.4.3.1"),
       "sha256": ("2.16.840.1.101.3.4.2.1", hashes.SHA256, "1.2.840.10045.4.3.2"),
       "sha384": ("2.16.840.1.101.3.4.2.2", hashes.SHA384, "1.2.840.10045.4.3.3"),
       "sha512": ("2.16.840.1.101.3.4.2.3", hashes.SHA512, "1.2.840.10045.4.3.4")}
NULL, GRANTED = der(5), der(0x30, der(2, b"\0"))


def algorithm(name, *parameters):
    return der(0x30, oid(SHA[name][0]), *parameters)


class Maker:
    def __init__(self, tsa, data):
        read = lambda name: ssl.PEM_cert_to_DER_cert((tsa.dir / f"{name}.pem").read_text())  # noqa: E731
        self.leaf, self.issuer = read("tsa"), read("intermediate")
        self.key = serialization.load_pem_private_key((tsa.dir / "tsa.key").read_bytes(), None)
        c = x509.load_der_x509_certificate(self.leaf)
        self.serial = der(2, c.serial_number.to_bytes(c.serial_number.bit_length() // 8 + 1, "big"))
        self.sid = der(0x30, c.issuer.public_bytes(), self.serial)
        self.by = der(0x30, der(0x30, der(0xa4, c.issuer.public_bytes())), self.serial)
        self.info = [p[2] for p in parts(parts(tsa.tst_info(tsa.reply(tsa.query(data))))[0][1])]

    def names(self, kind, *ids):
        return attribute(kind, der(0x30, der(0x30, *(der(0x30, *i) for i in ids))))

    def v2(self, certificate=None, by=(), **how):
        return self.names(V2, [*how.get("named", []), der(4, hashlib.new(how.get("with_", "sha256"), certificate or self.leaf).digest()), *by])

    def v1(self, certificate=None, by=()):
        return self.names(V1, [der(4, hashlib.sha1(certificate or self.leaf).digest()), *by])

    def token(self, info=None, **o):
        """Options change one thing each."""
        h, content = o.get("hash", "sha256"), der(0x30, *(info or self.info))
        signed = [attribute("1.2.840.113549.1.9.3", oid(o.get("signed_type", TST))), attribute("1.2.840.113549.1.9.4", der(4, hashlib.new(h, content).digest())),
                  *o.get("names", [self.v2()]), *o.get("signed", [])]
        signed = b"".join(sorted(signed, reverse=o.get("reverse", False)))
        with_ = o.get("signed_with", h)
        signature = (o.get("sign") or (lambda data: self.key.sign(data, ec.ECDSA(SHA[with_][1]()))))(der(0x31, signed))
        signer = der(0x30, der(2, bytes([o.get("signer_version", 1)])), o.get("sid", self.sid), o.get("digest", algorithm(h)), der(0xa0, signed),
                     o.get("algorithm") or der(0x30, oid(SHA[o.get("signature_named", with_)][2]), *o.get("parameters", [])), der(4, signature), *o.get("unsigned", []))
        certificates = o.get("certificates", [self.leaf, self.issuer])
        inner = der(0x30, oid(o.get("type", TST)), der(0xa0, der(4, content)), *o.get("behind_content", []))
        data = der(0x30, der(2, bytes([o.get("version", 3)])), der(0x31, *o.get("digests", [algorithm(h)])), inner, *([der(0xa0, *certificates)] if certificates else []),
                   *o.get("lists", []), der(0x31, *[signer] * o.get("signers", 1)), *o.get("behind_signers", []))
        return der(0x30, oid(SIGNED_DATA), der(0xa0, data), *o.get("behind", []))


def signed_data(m):
    """(name, options of Maker.token, good)."""
    other = bytes(32)
    null = attribute("1.2.3", NULL)
    yield "as it should be", {}, True
    yield "SHA-384", {"hash": "sha384"}, True
    yield "SHA-1", {"hash": "sha1"}, False
    for version in (1, 4):
        yield f"SignedData {version}", {"version": version}, False
    for version in (0, 3):
        yield f"SignerInfo {version}", {"signer_version": version}, False
    yield "no digest algorithm", {"digests": []}, False
    yield "another digest algorithm", {"digests": [algorithm("sha384")]}, False
    yield "two digest algorithms", {"digests": [algorithm("sha256"), algorithm("sha384")]}, False
    yield "digest algorithms with NULL", {"digests": [algorithm("sha256", NULL)], "digest": algorithm("sha256", NULL)}, True
    yield "a digest algorithm with NULL beside one without", {"digest": algorithm("sha256", NULL)}, True
    yield "content-type of data", {"signed_type": DATA}, False
    yield "content of data", {"type": DATA}, False
    yield "all of data", {"signed_type": DATA, "type": DATA}, False
    yield "signed attributes out of order", {"reverse": True}, True
    yield "message-digest twice", {"signed": [attribute("1.2.840.113549.1.9.4", der(4, other))]}, False
    yield "further signed attributes", {"signed": [attribute(f"1.2.3.{n}", NULL) for n in range(20)]}, True
    yield "33 signed attributes", {"signed": [attribute(f"1.2.3.{n}", NULL) for n in range(30)]}, False
    yield "a signed attribute of no value", {"signed": [attribute("1.2.3")]}, False
    yield "a signed attribute of two values", {"signed": [attribute("1.2.3", NULL, NULL)]}, False
    yield "a signed attribute of three parts", {"signed": [der(0x30, oid("1.2.3"), der(0x31, NULL), NULL)]}, False
    yield "its certificate is not named", {"names": []}, False
    yield "signing-certificate of v1", {"names": [m.v1()]}, True
    yield "v1, with issuer and number", {"names": [m.v1(by=[m.by])]}, True
    yield "v1 and v2", {"names": [m.v1(), m.v2()]}, True
    yield "v1 of another, v2 good", {"names": [m.v1(other), m.v2()]}, False
    yield "v1 good, v2 of another", {"names": [m.v1(), m.v2(other)]}, False
    yield "v2 twice", {"names": [m.v2(), m.v2(other)]}, False
    yield "v2 names the authority's as the second", {"names": [m.names(V2, [der(4, hashlib.sha256(m.issuer).digest())], [der(4, hashlib.sha256(m.leaf).digest())])]}, False
    yield "v2 names the issuer as the second", {"names": [m.names(V2, [der(4, hashlib.sha256(m.leaf).digest())], [der(4, hashlib.sha256(m.issuer).digest())])]}, True
    yield "v2, its default digest written out", {"names": [m.v2(named=[algorithm("sha256")])]}, True
    yield "v2 by SHA-384", {"names": [m.v2(named=[algorithm("sha384")], with_="sha384")]}, True
    yield "v2 by SHA-1", {"names": [m.v2(named=[algorithm("sha1")], with_="sha1")]}, False
    yield "v1 with a digest named", {"names": [m.names(V1, [algorithm("sha256"), der(4, hashlib.sha256(m.leaf).digest())])]}, False
    yield "v2, with issuer and number", {"names": [m.v2(by=[m.by])]}, True
    yield "v2, with another number", {"names": [m.v2(by=[der(0x30, parts(parts(m.by)[0][1])[0][2], der(2, b"\1"))])]}, False
    yield "v2, with another issuer", {"names": [m.v2(by=[der(0x30, der(0x30, der(0xa4, der(0x30))), m.serial)])]}, False
    yield "v2, with two issuers", {"names": [m.v2(by=[der(0x30, der(0x30, *2 * [parts(parts(parts(m.by)[0][1])[0][1])[0][2]]), m.serial)])]}, False
    yield "v2, with more behind the issuer", {"names": [m.v2(by=[m.by, NULL])]}, False
    yield "v2 with policies", {"names": [attribute(V2, der(0x30, der(0x30, der(0x30, der(4, hashlib.sha256(m.leaf).digest()))), der(0x30)))]}, True
    yield "signed with SHA-384 beside SHA-256", {"signed_with": "sha384"}, False
    yield "another signature algorithm named", {"signature_named": "sha384"}, False
    yield "ECDSA with parameters", {"parameters": [NULL]}, False
    yield "an unsigned attribute", {"unsigned": [der(0xa1, null)]}, True
    yield "unsigned attributes, none", {"unsigned": [der(0xa1)]}, True
    yield "an unsigned attribute twice", {"unsigned": [der(0xa1, null, null)]}, False
    yield "an unsigned attribute of two values", {"unsigned": [der(0xa1, attribute("1.2.3", NULL, NULL))]}, False
    yield "more in SignerInfo", {"unsigned": [NULL]}, False
    yield "named by key identifier", {"sid": der(0x80, b"x")}, False
    yield "named by three", {"sid": der(0x30, parts(m.sid)[0][1] + NULL)}, False
    yield "no certificate", {"certificates": []}, False
    yield "its certificate alone", {"certificates": [m.leaf]}, True
    yield "its certificate twice", {"certificates": [m.leaf, m.leaf, m.issuer]}, False
    for name, junk in (("nothing", der(0x30)), ("no body", der(0x30, NULL)), ("another kind", der(0xa1, NULL))):
        yield f"a certificate of {name}", {"certificates": [m.leaf, m.issuer, junk]}, False
    yield "32 certificates", {"certificates": [m.leaf] + [m.issuer] * 31}, True
    yield "33 certificates", {"certificates": [m.leaf] + [m.issuer] * 32}, False
    for name, lists in (("none", b""), ("of NULL", NULL), ("no element", b"\x30")):
        yield f"revocation lists: {name}", {"lists": [der(0xa1, lists)]}, True
    for signers in (0, 2):
        yield f"{signers} signers", {"signers": signers}, False
    for place in ("behind", "behind_signers", "behind_content"):
        yield f"more {place.replace('_', ' ')}", {place: [NULL]}, False


def tst_infos(m):
    """(name, elements of TSTInfo, good)."""
    i = m.info                                            # version, policy, imprint, serial, time, accuracy, nonce
    put = lambda at, *new: [*i[:at], *new, *i[at + 1:]]   # noqa: E731
    now = time.strftime("%Y%m%d%H%M%S", time.gmtime())
    for name, text, good in (("a fraction of 6", now + ".123456Z", True), ("a fraction of 9", now + ".123456789Z", True), ("a fraction of 10", now + ".1234567891Z", False),
                             ("a fraction ending in 0", now + ".10Z", False), ("a comma", now + ",5Z", False), ("no fraction", now + ".Z", False), ("no seconds", now[:12] + "Z", False),
                             ("an offset", now + "+0000", False), ("second 60", now[:12] + "60Z", False), ("30 February", now[:4] + "0230120000Z", False),
                             ("hour 24", now[:8] + "240000Z", False), ("month 13", now[:4] + "13" + now[6:] + "Z", False)):
        yield f"time with {name}", put(4, der(0x18, text.encode())), good
    number = lambda tag, hexed: der(tag, bytes.fromhex(hexed))  # noqa: E731
    for name, inside, good in (("empty", [], True), ("of 0", [number(2, "00")], True), ("0 ms", [number(0x80, "00")], True), ("999 ms", [number(0x80, "03e7")], True),
                               ("1000 ms", [number(0x80, "03e8")], False), ("100000 ms", [number(0x80, "0186a0")], False), ("5000 us", [number(0x81, "1388")], False),
                               ("-1 s", [number(2, "ff")], False), ("-1 ms", [number(0x80, "ff")], False), ("005 ms", [number(0x80, "0005")], False),
                               ("in another order", [number(0x80, "05"), number(2, "01")], False), ("seconds twice", [number(2, "01")] * 2, False), ("no digits", [number(2, "")], False),
                               ("60 s", [number(2, "3c")], True), ("60 s 1 us", [number(2, "3c"), number(0x81, "01")], False), ("61 s", [number(2, "3d")], False)):
        yield f"accuracy {name}", put(5, der(0x30, *inside)), good
    yield "no accuracy", i[:5] + i[6:], True
    for name, ordering, good in (("true", b"\xff", True), ("false", b"\0", True), ("01", b"\1", False), ("empty", b"", False)):
        yield f"ordering {name}", i[:6] + [der(1, ordering)] + i[6:], good
    yield "two orderings", i[:6] + [der(1, b"\xff")] * 2 + i[6:], False
    yield "no nonce", i[:6], True
    yield "two nonces", i + i[-1:], False
    yield "a nonce of 65 bytes", put(6, der(2, b"\1" * 65)), False
    yield "an authority's name", i + [der(0xa0, der(0x82, b"x"))], True
    extension = lambda *more: i + [der(0xa1, der(0x30, oid("1.2.3"), *more))]  # noqa: E731
    value = der(4, b"x")
    yield "no extensions", i + [der(0xa1)], True
    yield "an extension", extension(value), True
    yield "a critical extension", extension(der(1, b"\xff"), value), False
    yield "an extension, critical as false", extension(der(1, b"\0"), value), False
    yield "a critical extension of no value", extension(der(1, b"\xff")), False
    yield "a critical extension of four parts", extension(der(1, b"\xff"), value, NULL), False
    yield "an extension of three parts", extension(value, NULL), False
    yield "an extension of no value", extension(), False
    yield "an extension of nothing", i + [der(0xa1, der(0x30))], False
    yield "an extension that is none", i + [der(0xa1, value)], False
    yield "an extension without a name", i + [der(0xa1, der(0x30, der(1, b"\xff"), value))], False
    yield "the extensions before the nonce", i[:6] + [der(0xa1)] + i[6:], False
    for name, serial, good in (("negative", b"\xff", True), ("0", b"\0", True), ("padded", b"\0\0\1", True), ("empty", b"", False), ("of 64 bytes", b"\1" * 64, True), ("of 65 bytes", b"\1" * 65, False)):
        yield f"serial {name}", put(3, der(2, serial)), good
    yield "serial of octets", put(3, der(4, b"\1")), False
    yield "version 2", put(0, der(2, b"\2")), False
    yield "policy empty", put(1, der(6)), False
    yield "policy not in its shortest form", put(1, der(6, b"\x2a\x80")), False
    imprint = [p[2] for p in parts(parts(i[2])[0][1])]
    kind = parts(parts(imprint[0])[0][1])[0][2]
    yield "imprint's algorithm without NULL", put(2, der(0x30, der(0x30, kind), imprint[1])), True
    yield "imprint's algorithm with parameters", put(2, der(0x30, der(0x30, kind, der(4, b"x")), imprint[1])), False
    yield "imprint of three parts", put(2, der(0x30, *imprint, NULL)), False
    yield "imprint over other bytes", put(2, der(0x30, imprint[0], der(4, bytes(64)))), False
    yield "one element more", i + [NULL], False


def tokens(tsa, data):
    m = Maker(tsa, data)
    for name, options, good in signed_data(m):
        yield f"CMS: {name}", m.token(**options), good
    for name, info, good in tst_infos(m):
        yield f"TSTInfo: {name}", m.token(info), good


def answers(tsa, data):
    m = Maker(tsa, data)
    token = m.token()
    """(name, answer, good)."""
    status = lambda *inside: der(0x30, *inside)  # noqa: E731
    for n, good in ((b"\0", True), (b"\1", True), (b"\2", False), (b"\xff", False), (b"\0\0", False), (b"", False)):
        yield f"status {n.hex()}", der(0x30, status(der(2, n)), token), good
    text, info = der(0x30, der(12, b"granted")), der(3, b"\5\x20")
    yield "a text of the status", der(0x30, status(der(2, b"\0"), text), token), True
    yield "a text of another kind", der(0x30, status(der(2, b"\0"), der(0x30, der(4, b"x"))), token), False
    yield "failure information", der(0x30, status(der(2, b"\0"), info), token), True
    yield "both", der(0x30, status(der(2, b"\0"), text, info), token), True
    yield "both in another order", der(0x30, status(der(2, b"\0"), info, text), token), False
    yield "a status with other parts", der(0x30, status(der(2, b"\0"), NULL, NULL), token), False
    yield "an empty status", der(0x30, status(), token), False
    yield "a status of another kind", der(0x30, status(der(10, b"\0")), token), False
    yield "two tokens", der(0x30, GRANTED, token, token), False
    yield "no token", der(0x30, GRANTED), False
    yield "a token of another kind", der(0x30, GRANTED, der(0x31, parts(token)[0][1])), False
    yield "bytes behind", der(0x30, GRANTED, token) + b"\0", False
    yield "the token alone", token, False
    long = m.token(unsigned=[der(0xa1, attribute("1.2.3", der(4, bytes(1 << 18))))])
    yield "more than 256 KiB", der(0x30, GRANTED, long), False


def chains(tsa):
    """Files of certificates: (name, bytes, good)."""
    own, block = tsa.chain, (tsa.dir / "intermediate.pem").read_bytes()
    count = own.count(b"-----BEGIN")
    yield "as it should be", own, True
    yield "64 certificates", own + block * (64 - count), True
    yield "65 certificates", own + block * (65 - count), False
    yield "words before", b"some words\n" + own, True
    yield "words in UTF-8 behind", own + "木\n".encode(), True
    yield "bytes of no text behind", own + b"\xff\n", True
    yield "CRLF", own.replace(b"\n", b"\r\n"), True
    yield "another block", own + b"-----BEGIN X509 CRL-----\nAAAA\n-----END X509 CRL-----\n", True
    yield "nothing", b"", False
    yield "words alone", b"some words\n", False
    yield "a block that does not end", own + b"-----BEGIN CERTIFICATE-----\nAAAA\n", False
    yield "a block that is not base64", own + b"-----BEGIN CERTIFICATE-----\nA*AA\n-----END CERTIFICATE-----\n", False
    yield "a block of no certificate", own + b"-----BEGIN CERTIFICATE-----\nMAA=\n-----END CERTIFICATE-----\n", False


def unsigned_of(tsa):
    """Unsigned attributes of certificate.json.p7s: (name, attributes over a signature's value, good)."""
    stamp, token = "1.2.840.113549.1.9.16.2.14", lambda value: tsa.stamp(value)[1]
    yield "another beside the token", lambda v: [attribute("1.2.3.4", NULL), attribute(stamp, token(v))], True
    yield "another alone", lambda v: [attribute("1.2.3.4", NULL)], True
    yield "two tokens", lambda v: [attribute(stamp, token(v))] * 2, False
    yield "a token of two values", lambda v: [attribute(stamp, token(v), token(v))], False
    yield "a token of no value", lambda v: [attribute(stamp)], False
