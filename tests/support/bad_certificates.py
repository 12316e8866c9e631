"""Signatures of an officer with an X.509 certificate, forged or only odd: bundles of an issuer who holds every other key.

    issuer = bad_certificates.issuer(files, world)
    for name, files, good in bad_certificates.cases(issuer): ...

`world`: a certified.World, whose approver has a P-384 certificate. Written from docs/spec alone.
"""
import base64
import datetime
import json
import random

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import load_pem_private_key, load_ssh_private_key
from cryptography.x509.oid import NameOID

import certified
import reissue
from reissue import DATA, SHA384, der, oid, readable, sha
from scenario import APPROVER, OPERATOR, SECOND

DER, PEM = serialization.Encoding.DER, serialization.Encoding.PEM


def pem(data, label="CMS", width=64, end="\n"):
    text = base64.b64encode(data).decode()
    lines = [text[at:at + width] for at in range(0, len(text), width)]
    return end.join([f"-----BEGIN {label}-----", *lines, f"-----END {label}-----", ""]).encode()


class Signs:
    """Stands for a private key where reissue.py signs: a function of the statement's bytes."""

    def __init__(self, sign):
        self.sign_person = sign


def card(key, certificate, **options):
    return Signs(lambda data: pem(reissue.cms(key, certificate, data, **options)))


def issuer(files, world):
    """The issuer, who cannot sign for the approver but through `issuer.key`, which the cases misuse."""
    ids = [line.split()[0] for line in files["approvals/allowed_signers"].decode().splitlines()]
    keys, by_name = {}, {}
    place = world.machine(APPROVER)
    key = load_pem_private_key((place / "key.pem").read_bytes(), None)
    certificate = x509.load_pem_x509_certificate((place / "cert.pem").read_bytes())

    def elsewhere(name):
        def sign(data):
            path = world.box.path / "to-be-signed"
            path.write_bytes(data)
            return world.travel(name, path).read_bytes()
        return Signs(sign)

    for operator, (name, _, _, file) in zip(ids, world.officers):
        by_name[name] = operator
        keys[operator] = card(key, certificate) if name == APPROVER else elsewhere(name) if name in certified.CARDS else \
            load_ssh_private_key(world.box.officer(file).private.read_bytes(), None)
    out = reissue.Issuer(files, keys)
    out.key, out.enrolled, out.by_name = key, certificate, by_name
    return out


def made(key, start, end, like=None, serial=None, issuer=None, usage=(True, True, False)):
    """A certificate over `key`; `like`: of the same issuer and serial number as that one."""
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "made")])
    return (x509.CertificateBuilder().subject_name(name).issuer_name(like.issuer if like else issuer or name).public_key(key.public_key())
            .serial_number(like.serial_number if like else serial or x509.random_serial_number()).not_valid_before(start).not_valid_after(end)
            .add_extension(x509.KeyUsage(*usage, False, False, False, False, False, False), True).sign(key, hashes.SHA384()))


def raw_certificate(key, start, end, version=3, digest="SHA384", unique=False, twice=False, serial=1001):
    """DER of a self-signed certificate, also of kinds that no library makes any more."""
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "raw")]).public_bytes()
    algorithm = der(0x30, oid({"SHA384": "1.2.840.10045.4.3.3", "SHA1": "1.2.840.10045.4.1"}[digest]))
    when = b"".join(der(0x17, t.strftime("%y%m%d%H%M%SZ").encode()) for t in (start, end))
    usage = der(0x30, oid("2.5.29.15"), der(1, b"\xff"), der(4, der(3, b"\x07\x80")))
    alike = der(0x30, oid("2.5.29.17"), der(4, der(0x30, der(0x82, b"example"))))
    body = der(0x30, *([der(0xa0, der(2, bytes([version - 1])))] if version > 1 else []), der(2, serial.to_bytes(serial.bit_length() // 8 + 1, "big")), algorithm, name,
               der(0x30, when), name, key.public_key().public_bytes(DER, serialization.PublicFormat.SubjectPublicKeyInfo),
               *([der(0x81, b"\0\1"), der(0x82, b"\0\1")] if unique else []),
               *([der(0xa3, der(0x30, usage, *(2 * [alike] if twice else [])))] if version == 3 else []))
    return der(0x30, body, algorithm, der(3, b"\0" + key.sign(body, ec.ECDSA(getattr(hashes, digest)()))))


ODD_KINDS = (("version 1", {"version": 1}), ("version 2", {"version": 2}), ("SHA-1", {"digest": "SHA1"}), ("unique identifiers", {"unique": True}),
             ("an extension twice", {"twice": True}))


def attribute(name, *values):
    return der(0x30, oid(name), der(0x31, *values))


def odd_cms(key, certificate, content, attributes=None, signers=1, carried=None, ordered=True, serial=None, digest=SHA384,
            digests=None, unsigned=b""):
    """Detached CMS with signed attributes of the caller's, as many signers and certificates as he likes."""
    whole = certificate.public_bytes(DER)
    h = hashes.Hash(hashes.SHA384())
    h.update(content)
    digest_of = h.finalize()
    if attributes is None:
        attributes = [attribute("1.2.840.113549.1.9.3", DATA), attribute("1.2.840.113549.1.9.4", der(4, digest_of))]
    else:
        attributes = attributes(digest_of)
    attributes = b"".join(sorted(attributes, reverse=not ordered))
    n = serial or certificate.serial_number
    who = der(0x30, certificate.issuer.public_bytes(), der(2, n.to_bytes(n.bit_length() // 8 + 1, "big")))
    one = der(0x30, der(2, b"\x01"), who, digest, der(0xa0, attributes), der(0x30, oid("1.2.840.10045.4.3.3")),
              der(4, key.sign(der(0x31, attributes), ec.ECDSA(hashes.SHA384()))), unsigned)
    inside = b"".join([whole] if carried is None else [c if isinstance(c, bytes) else c.public_bytes(DER) for c in carried])
    data = der(0x30, der(2, b"\x01"), der(0x31, digest if digests is None else digests), der(0x30, DATA), *([der(0xa0, inside)] if inside else []), der(0x31, one * signers))
    return pem(der(0x30, oid("1.2.840.113549.1.7.2"), der(0xa0, data)))


class Raw:
    """DER in the place of a certificate: libraries refuse to read some."""

    def __init__(self, data):
        self.data = data
        self.issuer, self.serial_number = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "raw")]), 1001

    def public_bytes(self, encoding):
        return self.data if encoding == DER else pem(self.data, "CERTIFICATE")


def seconds(header):
    return datetime.datetime.strptime(header["time"][:19], "%Y-%m-%dT%H:%M:%S")


class Cases:
    def __init__(self, issuer):
        self.issuer, self.who = issuer, issuer.by_name[APPROVER]
        self.path = f"approvals/certificate.{self.who}.pem"
        entries = issuer.original.entries
        self.genesis = seconds(entries[0].header)
        self.approved = next(seconds(e.header) for e in entries if e.type == "erasure-approved" and e.body and e.body["operator"] == self.who)

    def signed(self, sign, edit=None):
        """The approval with another signature: `sign(bytes of the statement)`."""
        def change(p):
            p.signing["approve", self.who] = (Signs(sign), None)
            if edit:
                edit(p)
        return self.issuer.issue(change)

    def enrolled(self, certificate):
        """Everything as it would be had this certificate been enrolled; its key is the approver's."""
        data = certificate.public_bytes(DER)
        line = "x509 " + base64.b64encode(data).decode()

        def edit(p):
            genesis = json.loads(p.files["approvals/genesis.json"])
            for officer in genesis["officers"]:
                if officer["name"] == APPROVER:
                    officer["public_key"] = line
            text = readable(genesis)
            p.files["approvals/genesis.json"] = text
            first = p.entries[0]
            first.header["nodes"][0]["d"] = first.body["statement"] = sha(text)
            keys = {**self.issuer.officers, self.who: card(self.issuer.key, certificate)}
            for item in first.body["signatures"]:
                signature = reissue.ssh_sign(keys[item["operator"]], text, "kesu-genesis-v1")
                p.files[f"approvals/genesis.{item['operator']}.sig"] = signature
                item["signature"] = sha(signature)
            entry = next(e for e in p.entries if e.type == "operator-enrolled" and e.header["nodes"][0]["id"] == self.who)
            entry.body["public_key"] = line
            p.files[self.path] = certificate.public_bytes(PEM)
            p.signing["approve", self.who] = (keys[self.who], None)

        def people(c):
            for row in c["people"]:
                if row["operator"] == self.who:
                    row["certificate"] = sha(data)
        return self.issuer.issue(edit, edit_certificate=people)

    def all(self):
        i, key, own = self.issuer, self.issuer.key, self.issuer.enrolled
        other = ec.generate_private_key(ec.SECP384R1())
        day, month = datetime.timedelta(days=1), datetime.timedelta(days=30)
        yield "issued anew", i.issue(), True
        # When the enrolled certificate is valid.
        start, end = self.genesis - month, self.approved + month
        yield "another certificate enrolled", self.enrolled(made(key, start, end)), True
        yield "valid from the second of the genesis on", self.enrolled(made(key, self.genesis, end)), True
        yield "valid to the second of the approval", self.enrolled(made(key, start, self.approved)), True
        assert self.approved > self.genesis
        yield "over before the approval", self.enrolled(made(key, start, self.approved - datetime.timedelta(seconds=1))), False
        yield "over long before", self.enrolled(made(key, start - month, start)), False
        yield "not valid yet", self.enrolled(made(key, self.approved + day, end)), False
        yield "a certificate for encipherment", self.enrolled(made(key, start, end, usage=(False, False, True))), False
        # Who signs.
        twin = made(other, start, end, like=own)
        own_twin = made(key, start, end, like=own)
        yield "no certificate came along", self.signed(lambda d: odd_cms(key, own, d, carried=[])), True
        yield "another key under the same name", self.signed(lambda d: odd_cms(other, twin, d)), False
        yield "another key, the enrolled certificate beside it", self.signed(lambda d: odd_cms(other, own, d)), False
        yield "another key, no certificate", self.signed(lambda d: odd_cms(other, own, d, carried=[])), False
        yield "another certificate of the same key", self.signed(lambda d: odd_cms(key, made(key, start, end), d)), False
        yield "another number of the same issuer", self.signed(lambda d: odd_cms(key, own, d, serial=own.serial_number + 1)), False
        yield "a twin of the enrolled one came along", self.signed(lambda d: odd_cms(key, own, d, carried=[own, own_twin])), False
        yield "only a twin came along", self.signed(lambda d: odd_cms(key, own, d, carried=[own_twin])), False
        yield "others came along", self.signed(lambda d: odd_cms(key, own, d, carried=[made(other, start, end) for _ in range(8)])), True
        yield "nine came along", self.signed(lambda d: odd_cms(key, own, d, carried=[made(other, start, end) for _ in range(9)])), False
        # Of what came along only issuer and serial number are read.
        for kind, how in ODD_KINDS:
            odd_one = raw_certificate(other, start, end, **how)
            yield f"one with {kind} came along", self.signed(lambda d, c=odd_one: odd_cms(key, own, d, carried=[own, c])), True
            yield f"enrolled: one with {kind}", self.enrolled(Raw(raw_certificate(key, start, end, **how))), False
        yield "enrolled: a raw one", self.enrolled(Raw(raw_certificate(key, start, end))), True
        head = der(0x30, der(2, b"\1"), der(0x30), der(0x30))
        for kind, c, good in (("nothing but number and issuer", der(0x30, head), True), ("no number", der(0x30, der(0x30, der(0x30), der(0x30))), False),
                              ("nothing in it", der(0x30), False), ("cut off within", der(0x30, head[:-1]), False), ("no X.509 certificate", der(0xa1, head), False)):
            yield f"one with {kind} came along", self.signed(lambda d, c=c: odd_cms(key, own, d, carried=[own, c])), good
        yield "two signers", self.signed(lambda d: odd_cms(key, own, d, signers=2)), False
        yield "no signer", self.signed(lambda d: odd_cms(key, own, d, signers=0)), False
        ssh = next(k for o, k in i.officers.items() if o == i.by_name[SECOND])
        yield "an SSH signature", self.signed(lambda d: reissue.ssh_sign(ssh, d, "kesu-approve-v1")), False
        second = {("approve", i.by_name[SECOND]): (card(key, own), None)}
        yield "a CMS of somebody with an SSH key", i.issue(lambda p: p.signing.update(second)), False
        # What is signed.
        yield "other content", self.signed(lambda d: pem(reissue.cms(key, own, d, digest_of=d + b" "))), False
        yield "the content inside", self.signed(lambda d: pem(reissue.cms(key, own, d, embed=True))), False
        yield "unsigned attributes", self.signed(lambda d: pem(reissue.cms(
            key, own, d, unsigned=der(0xa1, attribute("1.2.840.113549.1.9.6", der(0x30)))))), True
        yield "no signing-certificate-v2", self.signed(lambda d: pem(reissue.cms(key, own, d, name_certificate=False))), True

        def odd(*, kind=DATA, digests=1, kinds=1, more=()):
            return lambda digest: [*[attribute("1.2.840.113549.1.9.3", kind)] * kinds, *[attribute("1.2.840.113549.1.9.4", der(4, digest))] * digests, *more]
        ess = lambda data: attribute("1.2.840.113549.1.9.16.2.47", der(0x30, der(0x30, der(0x30, der(4, data)))))
        for name, attributes, good in (
                ("content-type of another kind", odd(kind=oid("1.2.840.113549.1.7.2")), False), ("no content-type", odd(kinds=0), False),
                ("no message-digest", odd(digests=0), False), ("two message-digests", odd(digests=2), False), ("two content-types", odd(kinds=2), False),
                ("another certificate bound", odd(more=[ess(b"\1" * 32)]), False),
                ("an attribute that nobody knows", odd(more=[attribute("1.2.3.4", der(5))]), True)):
            yield name, self.signed(lambda d, a=attributes: odd_cms(key, own, d, attributes=a)), good
        one, null = "1.2.840.113549.1.9.6", der(5)
        for name, attributes, good in (("one of two", [attribute(one, null)] * 2, False), ("one without a value", [attribute(one)], False),
                                       ("one with two values", [attribute(one, null, null)], False),
                                       ("two kinds", [attribute(one, null), attribute("1.2.3.4", null)], True)):
            yield f"unsigned attributes: {name}", self.signed(lambda d, a=attributes: odd_cms(key, own, d, unsigned=der(0xa1, *a))), good
        for name, more in (("twice", [attribute("1.2.3.4", null)] * 2), ("without a value", [attribute("1.2.3.4")]), ("with two values", [attribute("1.2.3.4", null, null)])):
            yield f"an unknown signed attribute {name}", self.signed(lambda d, a=odd(more=more): odd_cms(key, own, d, attributes=a)), False
        sha512 = der(0x30, oid("2.16.840.1.101.3.4.2.3"))
        for name, digests in (("twice", SHA384 * 2), ("another beside it", SHA384 + sha512), ("none", b""), ("another", sha512)):
            yield f"digest algorithms: {name}", self.signed(lambda d, s=digests: odd_cms(key, own, d, digests=s)), False
        yield "attributes out of order", self.signed(lambda d: odd_cms(key, own, d, ordered=False)), False
        yield "SHA-1 named", self.signed(lambda d: odd_cms(key, own, d, digest=der(0x30, oid("1.3.14.3.2.26")))), False
        # Another act: the statement says so itself, and the signature over it is good.
        for name, change in (("a rejection", {"action": "reject"}), ("a request", {"action": "request"}), ("a release", {"type": "kesu-release-v1"})):
            def edit(p, change=change):
                p.statements["approve", self.who] = {**p.statements["approve", self.who], **change}
            yield name, i.issue(edit), False
        genesis = i.original.files[f"approvals/genesis.{self.who}.sig"]
        yield "his own signature of the genesis statement", self.signed(lambda d: genesis), False
        # The file's form.
        plain = lambda d: reissue.cms(key, own, d)
        for name, form in (("DER", plain), ("label PKCS7", lambda d: pem(plain(d), "PKCS7")), ("lines of 76", lambda d: pem(plain(d), width=76)),
                           ("carriage returns", lambda d: pem(plain(d), end="\r\n")), ("text before", lambda d: b"x\n" + pem(plain(d))),
                           ("text behind", lambda d: pem(plain(d)) + b"\n"), ("twice", lambda d: 2 * pem(plain(d))), ("empty", lambda d: b""),
                           ("bytes behind the DER", lambda d: pem(plain(d) + b"\0"))):
            yield name, self.signed(form), False
        # The certificate's own file.
        change = lambda **more: i.issue(edit_files=lambda files: files.update({self.path: own.public_bytes(PEM), **more}))
        yield "another certificate's file", change(**{self.path: own_twin.public_bytes(PEM)}), False
        yield "its file is missing", i.issue(edit_files=lambda files: files.pop(self.path)), False
        yield "a file of somebody with an SSH key", change(**{f"approvals/certificate.{i.by_name[OPERATOR]}.pem": own.public_bytes(PEM)}), False
        # Bits.
        pick = random.Random(1)
        for _ in range(16):
            place, bit = pick.random(), 1 << pick.randrange(8)

            def flipped(d, place=place, bit=bit):
                raw = bytearray(base64.b64decode(b"".join(odd_cms(key, own, d, carried=[]).splitlines()[1:-1])))
                raw[int(place * len(raw))] ^= bit
                return pem(bytes(raw))
            yield f"bit {bit} of byte {place:.3f}", self.signed(flipped), False


def cases(issuer):
    """(name, files, whether it is good)."""
    return Cases(issuer).all()
