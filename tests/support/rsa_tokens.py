"""Time-stamp tokens signed by RSA, and authorities with RSA keys, honest and odd: what a bank's ECDSA authority (tsa.Tsa) never makes.

    made = rsa_tokens.Authorities()
    for name, token, good in made.tokens(tsa, data): ...
    for name, token, counts in made.paths(tsa, data): ...      # good ones; whether their path to one of made.trusted counts

Written from docs/spec/certificate.md ("Time-stamps", "Keys and signatures of a path"), RFC 4055 and RFC 8017 alone.
"""
import base64
import itertools
import time

from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec, padding, rsa

import bad_tokens
import reissue
from bad_tokens import NULL

der, oid = reissue.der, reissue.oid
HASHES = {"sha1": ("1.3.14.3.2.26", hashes.SHA1, "1.2.840.113549.1.1.5"), "sha224": ("2.16.840.1.101.3.4.2.4", hashes.SHA224, "1.2.840.113549.1.1.14"),
          "sha256": ("2.16.840.1.101.3.4.2.1", hashes.SHA256, "1.2.840.113549.1.1.11"), "sha384": ("2.16.840.1.101.3.4.2.2", hashes.SHA384, "1.2.840.113549.1.1.12"),
          "sha512": ("2.16.840.1.101.3.4.2.3", hashes.SHA512, "1.2.840.113549.1.1.13")}
RSA, PSS, MGF1 = "1.2.840.113549.1.1.1", "1.2.840.113549.1.1.10", "1.2.840.113549.1.1.8"
ECDSA = {"sha1": "1.2.840.10045.4.1", "sha256": "1.2.840.10045.4.3.2", "sha384": "1.2.840.10045.4.3.3"}


def digest(name, *parameters):
    return der(0x30, oid(HASHES[name][0]), *parameters)


class Way:
    """How something is signed: the AlgorithmIdentifier that says so, and what makes the signature."""

    def __init__(self, algorithm, sign):
        self.algorithm, self.sign = algorithm, sign


def pkcs1(h, *parameters, named=None):
    return Way(der(0x30, oid(named or HASHES[h][2]), *(parameters or (NULL,))), lambda key, data: key.sign(data, padding.PKCS1v15(), HASHES[h][1]()))


def pss_parameters(h, salt, mask=None, null=()):
    return [der(0xa0, digest(h, *null)), der(0xa1, der(0x30, oid(MGF1), digest(mask or h, *null))), der(0xa2, der(2, bytes([salt])))]


def pss(h, salt=None, mask=None, parameters=None, null=()):
    """`parameters`: what is written instead of what was done."""
    salt = HASHES[h][1].digest_size if salt is None else salt
    written = pss_parameters(h, salt, mask, null) if parameters is None else parameters
    return Way(der(0x30, oid(PSS), der(0x30, *written)), lambda key, data: key.sign(data, padding.PSS(padding.MGF1(HASHES[mask or h][1]()), salt), HASHES[h][1]()))


def ecdsa(h):
    return Way(der(0x30, oid(ECDSA[h])), lambda key, data: key.sign(data, ec.ECDSA(HASHES[h][1]())))


def name(text):
    return der(0x30, der(0x31, der(0x30, oid("2.5.4.3"), der(12, text.encode()))))


def spki(key):
    return key.public_key().public_bytes(serialization.Encoding.DER, serialization.PublicFormat.SubjectPublicKeyInfo)


def extension(kind, content, critical=True):
    return der(0x30, oid(kind), *([der(1, b"\xff")] if critical else []), der(4, content))


class Holder:
    """A name (text, or DER), its key, and a certificate of it; `above`: who signed that (else itself), in which way; `extensions`: which it has."""
    numbers = itertools.count(4097)
    STAMPS = [extension("2.5.29.15", der(3, b"\7\x80")), extension("2.5.29.37", der(0x30, oid("1.3.6.1.5.5.7.3.8")))]
    CA, SIGNS = extension("2.5.29.19", der(0x30, der(1, b"\xff"))), extension("2.5.29.15", der(3, b"\1\6"))

    def __init__(self, text, key, above=None, way=None, extensions=(CA, SIGNS), key_info=None, years=(-1, 9), version=3):
        self.name, self.key, above = text if isinstance(text, bytes) else name(text), key, above or self
        self.serial, self.issuer = der(2, next(self.numbers).to_bytes(2, "big")), above.name
        way = way or pkcs1("sha256")
        valid = der(0x30, *(der(0x17, time.strftime("%y%m%d000000Z", time.gmtime(time.time() + n * 365 * 86400)).encode()) for n in years))
        body = der(0x30, *([der(0xa0, der(2, b"\2"))] if version == 3 else []), self.serial, way.algorithm, self.issuer, valid, self.name,
                   key_info or spki(key), *([der(0xa3, der(0x30, *extensions))] if version == 3 else []))
        self.der = der(0x30, body, way.algorithm, der(3, b"\0" + way.sign(above.key, body)))

    @property
    def pem(self):
        text = base64.b64encode(self.der).decode()
        return "-----BEGIN CERTIFICATE-----\n" + "".join(text[at:at + 64] + "\n" for at in range(0, len(text), 64)) + "-----END CERTIFICATE-----\n"


class Maker(bad_tokens.Maker):
    """Tokens of another authority than the one whose TSTInfo it takes over."""

    def __init__(self, of, info, above=()):
        self.leaf, self.key, self.serial, self.info = of.der, of.key, of.serial, info
        self.issuer = above[0].der if above else b""
        self.above = [h.der for h in above]
        self.sid = der(0x30, of.issuer, of.serial)
        self.by = der(0x30, der(0x30, der(0xa4, of.issuer)), of.serial)

    def token(self, info=None, **o):
        way = o.pop("way", pkcs1("sha256"))
        return super().token(info, **{"certificates": [self.leaf, *self.above], **o}, algorithm=way.algorithm, sign=lambda data: way.sign(self.key, data))


class Authorities:
    def __init__(self):
        self.key = {bits: rsa.generate_private_key(65537, bits) for bits in (1024, 1536, 2048, 3072)}
        self.curve = ec.generate_private_key(ec.SECP256R1())
        large, ca, purpose = self.key[3072], Holder.CA, lambda oid_: extension("2.5.29.37", der(0x30, oid(oid_)))
        self.root = Holder("RSA Root", large, way=pss("sha384"))
        # {what it is: (anchor, whether paths to it count)}: an anchor is trusted as it is, whoever signed it, and is judged else.
        self.anchors = {"signed with SHA-1": (Holder("SHA-1 Root", large, way=pkcs1("sha1")), True), "signed with MD5, it says": (Holder(
            "MD5 Root", large, way=Way(der(0x30, oid("1.2.840.113549.1.1.4"), NULL), pkcs1("sha1").sign)), True),
            "signed by somebody else": (Holder("Crossed Root", large, self.root, pkcs1("sha1")), True), "its own signature not good": (Holder(
                "Odd Root", large, way=Way(pkcs1("sha256").algorithm, lambda *_: bytes(384))), True), "whose certificate has ended": (Holder("Former Root", large, years=(-5, -1)), False),
            "whose certificate is of later": (Holder("Later Root", large, years=(1, 9)), False), "of version 1": (Holder("Root 1", large, version=1), False),
            "that does not say it is one": (Holder("Root without", large, extensions=[Holder.SIGNS]), False), "whose key is not for certificates": (Holder("Root for else", large, extensions=[
                ca, extension("2.5.29.15", der(3, b"\7\x80"))]), False), "for servers": (Holder("Server Root", large, extensions=[ca, purpose("1.3.6.1.5.5.7.3.1")]), False),
            "for time-stamps": (Holder("Time Root", large, extensions=[ca, purpose("1.3.6.1.5.5.7.3.8")]), True), "for anything": (Holder("Any Root", large, extensions=[
                ca, purpose("2.5.29.37.0")]), True), "with a critical extension": (Holder("Root with more", large, extensions=[ca, extension("1.2.3", b"x")]), False),
            **{f"of RSA {bits}": (Holder(f"Root {bits}", self.key[bits]), False) for bits in (1024, 1536)}}
        self.trusted = [self.root, *(holder for holder, _ in self.anchors.values())]
        self.sub = Holder("RSA Time CA", self.key[2048], self.root, pss("sha384"))

    def of(self, bits, info, **options):
        return Maker(Holder(f"Time {bits}", self.key[bits], self.sub, extensions=Holder.STAMPS, **options), info, [self.sub])

    def tokens(self, tsa, data):
        """(name, token, good), all of authorities under the first root."""
        info = bad_tokens.Maker(tsa, data).info
        small, large = self.of(2048, info), self.of(3072, info)
        curve = Maker(Holder("Time on a curve", self.curve, self.sub, extensions=Holder.STAMPS), info, [self.sub])
        for h in ("sha256", "sha384", "sha512"):
            for m, bits in ((small, 2048), (large, 3072)):
                yield f"RSA {bits}, PKCS #1, {h}", m.token(hash=h, way=pkcs1(h)), True
                yield f"RSA {bits}, PSS, {h}", m.token(hash=h, way=pss(h)), True
            yield f"rsaEncryption beside {h}", small.token(hash=h, way=pkcs1(h, named=RSA)), True
        yield "PSS, its digests with NULL", small.token(way=pss("sha256", null=(NULL,))), True
        yield "ECDSA under an RSA path", curve.token(way=ecdsa("sha256")), True
        yield "PKCS #1 without NULL", small.token(way=Way(der(0x30, oid(HASHES["sha256"][2])), pkcs1("sha256").sign)), True
        # Salts and masks.
        for salt in (0, 20, 31, 33, 64):
            yield f"PSS with a salt of {salt}", small.token(way=pss("sha256", salt)), False
        yield "PSS that says 32 and has 20", small.token(way=pss("sha256", 20, parameters=pss_parameters("sha256", 32))), False
        yield "PSS that says 20 and has 32", small.token(way=pss("sha256", 32, parameters=pss_parameters("sha256", 20))), False
        yield "PSS that leaves its salt at the default", small.token(way=pss("sha256", 20, parameters=pss_parameters("sha256", 20)[:2])), False
        for mask in ("sha1", "sha384", "sha512"):
            yield f"PSS with {mask} in its mask", small.token(way=pss("sha256", mask=mask)), False
        yield "PSS that says SHA-256 in its mask and has SHA-1", small.token(way=pss("sha256", mask="sha1", parameters=pss_parameters("sha256", 32))), False
        yield "PSS that says SHA-384 in its mask and has SHA-256", small.token(way=pss("sha256", parameters=pss_parameters("sha256", 32, "sha384"))), False
        yield "PSS that leaves its mask at the default", small.token(way=pss("sha256", mask="sha1", parameters=[pss_parameters("sha256", 32)[n] for n in (0, 2)])), False
        yield "PSS by default, SHA-1", small.token(hash="sha1", way=pss("sha1", 20, parameters=[])), False
        yield "PSS without parameters", small.token(way=Way(der(0x30, oid(PSS)), pss("sha256").sign)), False
        yield "PSS with NULL for parameters", small.token(way=Way(der(0x30, oid(PSS), NULL), pss("sha256").sign)), False
        # Forms of the parameters.
        one, two, three = pss_parameters("sha256", 32)
        wrong_mask = der(0xa1, der(0x30, oid("1.2.840.113549.1.1.9"), digest("sha256")))
        for text, parameters in (("out of order", [two, one, three]), ("with one twice", [one, one, two, three]), ("with the trailer", [one, two, three, der(0xa3, der(2, b"\1"))]),
                                 ("with more behind", [one, two, three, NULL]), ("with another mask function", [one, wrong_mask, three]),
                                 ("with two digests in one place", [der(0xa0, digest("sha256") * 2), two, three]), ("with an empty digest", [der(0xa0), two, three]),
                                 ("with a mask of no digest", [one, der(0xa1, der(0x30, oid(MGF1))), three]),
                                 ("with a mask of two digests", [one, der(0xa1, der(0x30, oid(MGF1), digest("sha256") * 2)), three]),
                                 ("with two salts", [one, two, der(0xa2, der(2, b"\x20") * 2)]), ("with a salt not in its shortest form", [one, two, der(0xa2, der(2, b"\0\x20"))]),
                                 ("with an empty salt", [one, two, der(0xa2)])):
            yield f"PSS {text}", small.token(way=pss("sha256", parameters=parameters)), False
        yield "PSS with more beside its parameters", small.token(way=Way(der(0x30, oid(PSS), der(0x30, one, two, three), NULL), pss("sha256").sign)), False
        # Digests, kinds and sizes.
        for h in ("sha1", "sha224"):
            yield f"PKCS #1 with {h}", small.token(hash=h, digest=digest(h), digests=[digest(h)], way=pkcs1(h)), False
            yield f"PSS with {h}", small.token(hash=h, digest=digest(h), digests=[digest(h)], way=pss(h)), False
            yield f"PKCS #1 with {h} beside SHA-256", small.token(way=pkcs1(h)), False
        yield "PKCS #1 with SHA-384 beside SHA-256", small.token(way=pkcs1("sha384")), False
        yield "PSS with SHA-384 beside SHA-256", small.token(way=pss("sha384")), False
        yield "PKCS #1, named as PSS", small.token(way=Way(pss("sha256").algorithm, pkcs1("sha256").sign)), False
        yield "PSS, named as PKCS #1", small.token(way=Way(pkcs1("sha256").algorithm, pss("sha256").sign)), False
        yield "PKCS #1 with parameters", small.token(way=pkcs1("sha256", der(4, b"x"))), False
        yield "PKCS #1 with two NULLs", small.token(way=pkcs1("sha256", NULL, NULL)), False
        yield "by RSA, named as ECDSA", small.token(way=Way(ecdsa("sha256").algorithm, pkcs1("sha256").sign)), False
        yield "by ECDSA, named as RSA", curve.token(way=Way(pkcs1("sha256").algorithm, ecdsa("sha256").sign)), False
        for bits in (1024, 1536):
            for text, way in (("PKCS #1", pkcs1("sha256")), ("PSS", pss("sha256"))):
                yield f"RSA {bits}, {text}", self.of(bits, info).token(way=way), False
        bare = der(0x30, der(0x30, oid(PSS)), bad_tokens.parts(bad_tokens.parts(spki(self.key[2048]))[0][1])[1][2])
        yield "a key for PSS alone", self.of(2048, info, key_info=bare).token(way=pss("sha256")), False
        broken = bytearray(pkcs1("sha256").sign(self.key[2048], b""))
        yield "a signature over something else", small.token(way=Way(pkcs1("sha256").algorithm, lambda *_: bytes(broken))), False
        yield "a signature that is too short", small.token(way=Way(pkcs1("sha256").algorithm, lambda key, data: pkcs1("sha256").sign(key, data)[:-1])), False
        yield "a signature with a zero before it", small.token(way=Way(pkcs1("sha256").algorithm, lambda key, data: b"\0" + pkcs1("sha256").sign(key, data))), False

    def paths(self, tsa, data):
        """(name, token, whether its path counts): the tokens themselves are good."""
        info = bad_tokens.Maker(tsa, data).info

        def under(text, key, way, above=None, leaf_way=None):
            sub = Holder(f"CA, {text}", key, above or self.root, way)
            return Maker(Holder(f"Time, {text}", self.key[2048], sub, leaf_way, extensions=Holder.STAMPS), info, [sub]).token()
        key, one, two, three = self.key[2048], *pss_parameters("sha256", 32)
        for text, way in (("PKCS #1, SHA-512", pkcs1("sha512")), ("PSS, SHA-256", pss("sha256")), ("PSS, a salt of 20", pss("sha256", 20)),
                          ("PSS, no salt", pss("sha384", 0)), ("PSS, a salt of 100", pss("sha512", 100)),
                          ("PSS, its salt of 20 left out", pss("sha256", 20, parameters=pss_parameters("sha256", 20)[:2]))):
            yield f"a CA signed with {text}", under(text, key, way), True
        yield "a CA of ECDSA", under("ECDSA", self.curve, pkcs1("sha256"), leaf_way=ecdsa("sha256")), True
        yield from self.issuers(info)
        for text, (anchor, counts) in self.anchors.items():
            yield f"under a root {text}", under(f"root {text}", key, pkcs1("sha256"), anchor), counts
        yield "a leaf right under a root signed with SHA-1", Maker(Holder("Time of the old root", key, self.trusted[1], extensions=Holder.STAMPS), info).token(), True
        for text, purpose, counts in (("servers", "1.3.6.1.5.5.7.3.1", False), ("time-stamps", "1.3.6.1.5.5.7.3.8", True), ("anything", "2.5.29.37.0", True)):
            sub = Holder(f"CA for {text}", key, self.root, extensions=[Holder.CA, extension("2.5.29.37", der(0x30, oid(purpose)), False)])
            yield f"a CA for {text}", Maker(Holder("Time", key, sub, extensions=Holder.STAMPS), info, [sub]).token(), counts
        above = [self.root]
        for n in range(1, 9):
            above.append(Holder(f"CA {n}", key, above[-1]))
            if n >= 7:
                yield f"a path of {n + 2}", Maker(Holder(f"Time below {n}", key, above[-1], extensions=Holder.STAMPS), info, above[:0:-1]).token(), n == 7
        for text, way in (("SHA-1", pkcs1("sha1")), ("SHA-224", pkcs1("sha224")), ("PSS by default", pss("sha1", 20, parameters=[])), ("PSS with SHA-1 in its mask", pss("sha256", mask="sha1")),
                          ("PSS with SHA-384 in its mask", pss("sha256", mask="sha384")), ("PSS that says SHA-384 in its mask", pss("sha256", parameters=pss_parameters("sha256", 32, "sha384"))),
                          ("PSS with the trailer", pss("sha256", parameters=[one, two, three, der(0xa3, der(2, b"\1"))])),
                          ("PSS with an empty digest", pss("sha256", parameters=[der(0xa0), two, three])), ("PSS out of order", pss("sha256", parameters=[two, one, three])),
                          ("PSS, another salt than said", pss("sha256", 20, parameters=[one, two, three]))):
            yield f"a CA signed with {text}", under(text, key, way), False
            yield f"a leaf signed with {text}", under(f"leaf {text}", key, pkcs1("sha256"), leaf_way=way), False
        for bits in (1024, 1536):
            yield f"a CA of RSA {bits}", under(f"RSA {bits}", self.key[bits], pkcs1("sha256")), False

    def issuers(self, info):
        """Whose a certificate is: names and key identifiers, of the leaf against its issuer's and of that against the root's."""
        key, at, names = self.key[2048], lambda tag, *content: der(tag, *content), lambda *all_: der(0xa1, *(der(0xa4, n) for n in all_))  # noqa: E731
        own = lambda identifier: extension("2.5.29.14", der(4, identifier), False)  # noqa: E731
        says = lambda *content: extension("2.5.29.35", der(0x30, *content), False)  # noqa: E731
        number = lambda holder: der(0x82, bad_tokens.parts(holder.serial)[0][1])  # noqa: E731

        def leaf(text, sub, *extensions, above=None, along=None):
            return Maker(Holder(f"Time, {text}", key, above or sub, extensions=[*Holder.STAMPS, *extensions]), info, along or [sub]).token()
        ca = lambda text, *extensions, **o: Holder(f"CA, {text}", key, self.root, extensions=[Holder.CA, Holder.SIGNS, *extensions], **o)  # noqa: E731
        with_, without = ca("with an identifier", own(b"its key")), ca("without one")
        root, other = self.root.name, name("Somebody else")
        for text, sub, content, counts in (
                ("its key", with_, [at(0x80, b"its key")], True), ("another key", with_, [at(0x80, b"the key")], False), ("a longer one", with_, [at(0x80, b"its key ")], False),
                ("a key of one who says none", without, [at(0x80, b"the key")], True), ("nothing", with_, [], True), ("name and number", without, [names(root), number(without)], True),
                ("all three", with_, [at(0x80, b"its key"), names(root), number(with_)], True), ("another number", without, [names(root), number(with_)], False),
                ("another number beside its key", with_, [at(0x80, b"its key"), names(root), number(without)], False), ("the number alone", without, [number(without)], True),
                ("another name", without, [names(other), number(without)], False), ("the issuer's own name", without, [names(without.name), number(without)], False),
                ("the name alone", without, [names(root)], True), ("another name first", without, [names(other, root), number(without)], False),
                ("another name behind", without, [names(root, other), number(without)], True), ("a name of another kind", without, [der(0xa1, der(0x82, b"example")), number(without)], True),
                ("a name of another kind first", without, [der(0xa1, der(0x82, b"example"), der(0xa4, other)), number(without)], False),
                ("the name in other letters", without, [names(name("rsa root")), number(without)], False)):
            yield f"a leaf that names {text}", leaf(f"names {text}", sub, says(*content)), counts
        for text, content, counts in (("a key", at(0x80, b"x"), True), ("its number", number(self.root), True), ("another number", number(without), False)):
            sub = ca(f"that names {text}", says(content))
            yield f"a CA that names {text}", leaf(f"under one that names {text}", sub), counts
        for text, content in (("a number first", der(0x30, number(without), names(root))), ("more than there is", der(0x30, at(0x80, b"x"), at(0x83, b"x"))), ("no sequence", der(4, b"x"))):
            sub = ca(f"whose identifier has {text}", extension("2.5.29.35", content, False))
            yield f"a CA whose authority key identifier has {text}", leaf(f"under one with {text}", sub), False
        sub = ca("whose own identifier is none", extension("2.5.29.14", der(0x30), False))
        yield "a CA whose key identifier is no octet string", leaf("under none", sub), False
        # Names by their bytes; of several issuers of one name the one that signed.
        upper = type("Said", (), {"name": name("CA, WITHOUT ONE"), "key": key})
        yield "an issuer in other letters", leaf("of other letters", without, above=upper), False
        twice = [Holder("CA, twice", k, self.root) for k in (self.key[3072], key, self.curve)]
        for text, order in (("before", (1, 0, 2)), ("between", (0, 1, 2)), ("behind", (0, 2, 1))):
            yield f"others of the name stand {text}", leaf(f"of three, {text}", twice[1], along=[twice[n] for n in order]), True
        right, wrong = ca("in two forms", own(b"right")), ca("in two forms", own(b"wrong"))
        for along in ([right, wrong], [wrong, right]):
            yield f"two forms of one issuer, {len(along[0].der)} first", leaf("of two forms", right, says(at(0x80, b"right")), along=along), True
