"""A bundle taken apart, changed and issued anew under a ledger key and a signer of the test's own.

What a dishonest issuer could do who holds every key, so that the recomputation must catch it and not a signature:
all headers are folded again, statements signed again by the officers' keys, checkpoints, proof, CMS and MANIFEST made
anew. Written from docs/spec alone; shares no code with either verifier.
"""
import base64
import copy
import datetime
import gzip
import hashlib
import io
import json
import os
import struct

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec, ed25519
from cryptography.x509.oid import NameOID

RAW = serialization.Encoding.Raw, serialization.PublicFormat.Raw
SPKI = serialization.Encoding.DER, serialization.PublicFormat.SubjectPublicKeyInfo
EARLY, LATE = datetime.datetime(2020, 1, 1), datetime.datetime(2050, 1, 1)



def keys_by_operator(bundle, world):
    """Private keys of the first officers: the lines of allowed_signers are in their order."""
    lines = (bundle / "approvals" / "allowed_signers").read_text().splitlines()
    return {line.split()[0]: serialization.load_ssh_private_key(world.box.officer(key).private.read_bytes(), None)
            for line, (*_, key) in zip(lines, world.officers)}

def canonical(value):
    def ordered(v):
        if isinstance(v, dict):
            return {k: ordered(v[k]) for k in sorted(v, key=lambda k: k.encode("utf-16-be"))}
        return [ordered(i) for i in v] if isinstance(v, list) else v
    return json.dumps(ordered(value), ensure_ascii=False, separators=(",", ":")).encode()


def readable(value):
    return (json.dumps(json.loads(canonical(value)), ensure_ascii=False, indent=2) + "\n").encode()


def sha(data):
    return hashlib.sha256(data).hexdigest()


# Trees (RFC 6962).

def node(left, right):
    return hashlib.sha256(b"\x01" + left + right).digest()


def root(leaves):
    if len(leaves) < 2:
        return leaves[0] if leaves else hashlib.sha256(b"").digest()
    k = 1 << (len(leaves) - 1).bit_length() - 1
    return node(root(leaves[:k]), root(leaves[k:]))


def consistency(m, leaves, whole=True):
    """RFC 6962, 2.1.2."""
    n = len(leaves)
    if m == n:
        return [] if whole else [root(leaves)]
    k = 1 << (n - 1).bit_length() - 1
    if m <= k:
        return consistency(m, leaves[:k], whole) + [root(leaves[k:])]
    return consistency(m - k, leaves[k:], False) + [root(leaves[:k])]


# DER and CMS.

def der(tag, *parts):
    content = b"".join(parts)
    n = len(content)
    length = bytes([n]) if n < 128 else bytes([0x80 | (n.bit_length() + 7) // 8]) + n.to_bytes((n.bit_length() + 7) // 8, "big")
    return bytes([tag]) + length + content


def oid(text):
    first, second, *rest = map(int, text.split("."))
    out = bytes([40 * first + second])
    for number in rest:
        piece = bytes([number & 0x7f])
        while number > 0x7f:
            number >>= 7
            piece = bytes([number & 0x7f | 0x80]) + piece
        out += piece
    return der(6, out)


SHA384 = der(0x30, oid("2.16.840.1.101.3.4.2.2"))
DATA = oid("1.2.840.113549.1.7.1")


def cms(key, certificate, content, name_certificate=True, embed=False, unsigned=b"", digest_of=None, extra=b""):
    """Detached CMS as docs/spec/certificate.md has it; the options make it wrong in one way each."""
    whole = certificate.public_bytes(serialization.Encoding.DER)
    attribute = lambda name, value: der(0x30, oid(name), der(0x31, value))
    ess = der(0x30, der(0x30, der(0x30, der(4, hashlib.sha256(whole).digest()))))
    attributes = [attribute("1.2.840.113549.1.9.3", DATA),
                  attribute("1.2.840.113549.1.9.5", der(0x17, b"261121035132Z")),
                  attribute("1.2.840.113549.1.9.4", der(4, hashlib.sha384(content if digest_of is None else digest_of).digest()))]
    if name_certificate:
        attributes.append(attribute("1.2.840.113549.1.9.16.2.47", ess))
    attributes = b"".join(sorted(attributes))
    signature = key.sign(der(0x31, attributes), ec.ECDSA(hashes.SHA384()))
    serial = certificate.serial_number
    who = der(0x30, certificate.issuer.public_bytes(), der(2, serial.to_bytes(serial.bit_length() // 8 + 1, "big")))
    if callable(unsigned):                                # of the signature: a time-stamp over it
        unsigned = unsigned(signature)
    signer = der(0x30, der(2, b"\x01"), who, SHA384, der(0xa0, attributes), der(0x30, oid("1.2.840.10045.4.3.3")),
                 der(4, signature), unsigned)
    inside = der(0x30, DATA, der(0xa0, der(4, content)) if embed else b"")
    data = der(0x30, der(2, b"\x01"), der(0x31, SHA384), inside, der(0xa0, whole, extra), der(0x31, signer))
    return der(0x30, oid("1.2.840.113549.1.7.2"), der(0xa0, data))


def signer_certificate(key, ca=False, critical=None):
    name = x509.Name([x509.NameAttribute(NameOID.ORGANIZATION_NAME, "Forger"),
                      x509.NameAttribute(NameOID.COMMON_NAME, "erasures")])
    builder = (x509.CertificateBuilder().subject_name(name).issuer_name(name).public_key(key.public_key())
               .serial_number(x509.random_serial_number()).not_valid_before(EARLY).not_valid_after(LATE)
               .add_extension(x509.BasicConstraints(ca, None), True)
               .add_extension(x509.KeyUsage(True, True, False, False, False, ca, ca, False, False), True))
    if critical:
        builder = builder.add_extension(x509.UnrecognizedExtension(x509.ObjectIdentifier(critical), b"\x05\x00"), True)
    return builder.sign(key, hashes.SHA384())


# SSH signatures.

def ssh_string(data):
    return struct.pack(">I", len(data)) + data


def ssh_sign(key, message, namespace):
    """What ssh-keygen -Y sign makes with an Ed25519 key; a key that signs otherwise (`sign_person`) does that."""
    if hasattr(key, "sign_person"):
        return key.sign_person(message)
    public = ssh_string(b"ssh-ed25519") + ssh_string(key.public_key().public_bytes(*RAW))
    head = ssh_string(namespace.encode()) + ssh_string(b"") + ssh_string(b"sha512")
    signature = key.sign(b"SSHSIG" + head + ssh_string(hashlib.sha512(message).digest()))
    blob = b"SSHSIG" + struct.pack(">I", 1) + ssh_string(public) + head + ssh_string(
        ssh_string(b"ssh-ed25519") + ssh_string(signature))
    text = base64.b64encode(blob).decode()
    lines = [text[at:at + 70] for at in range(0, len(text), 70)]
    return ("-----BEGIN SSH SIGNATURE-----\n" + "\n".join(lines) + "\n-----END SSH SIGNATURE-----\n").encode()


def ssh_line(key, comment="x"):
    blob = ssh_string(b"ssh-ed25519") + ssh_string(key.public_key().public_bytes(*RAW))
    return f"ssh-ed25519 {base64.b64encode(blob).decode()} {comment}"


# Ledger.

class Entry:
    """One entry: its header, and its body with salt where it is opened, else the body's hash alone."""

    def __init__(self, header, digest=None, body=None, salt=None):
        self.header, self.digest, self.body, self.salt = header, digest, body, salt
        self.was = header["seq"]
        self.at_fold = None                               # (files, leaves before it): what rests on those is made then

    @property
    def type(self):
        return self.header["type"]

    def leaf(self):
        digest = bytes.fromhex(self.digest) if self.body is None else hashlib.sha256(
            bytes.fromhex(self.salt) + canonical(self.body)).digest()
        self.digest = digest.hex()
        return hashlib.sha256(b"\x00" + canonical(self.header) + digest).digest()


def note(key, origin, size, tree, name=None):
    text = f"{origin}\n{size}\n{base64.b64encode(tree).decode()}\n"
    public = b"\x01" + key.public_key().public_bytes(*RAW)
    number = hashlib.sha256((name or origin).encode() + b"\n" + public).digest()[:4]
    signature = base64.b64encode(number + key.sign(text.encode())).decode()
    return f"{text}\n\u2014 {name or origin} {signature}\n".encode()


def vkey(key, origin):
    public = b"\x01" + key.public_key().public_bytes(*RAW)
    number = hashlib.sha256(origin.encode() + b"\n" + public).digest()[:4]
    return f"{origin}+{number.hex()}+{base64.b64encode(public).decode()}"


def gz(data, name=None):
    out = io.BytesIO()
    with gzip.GzipFile(name or "", "wb", 9, out, mtime=0) as file:
        file.write(data)
    raw = bytearray(out.getvalue())
    raw[8:10] = b"\x02\xff"
    return bytes(raw)


def header_lines(files):
    return gzip.decompress(files["ledger/headers.gz"]).decode().splitlines()


class Parts:
    """What a bundle consists of, before it is folded and signed. Edits change this."""

    def __init__(self, files):
        self.files = dict(files)
        bodies = {b["seq"]: b for b in map(json.loads, files["ledger/bodies.jsonl"].decode().splitlines())}
        self.entries = []
        for line in header_lines(files):
            text, digest = line.split("\t")
            header = json.loads(text)
            opened = bodies.get(header["seq"], {})
            self.entries.append(Entry(header, digest, opened.get("body"), opened.get("salt")))
        self.plan = json.loads(files["plan.json"])
        self.certificate = json.loads(files["certificate.json"])
        self.origin = files["ledger/checkpoint-a"].decode().split("\n")[0]
        self.size_a = int(files["ledger/checkpoint-a"].decode().split("\n")[1])
        self.statements = {}
        for path, data in files.items():
            if path.startswith(("approvals/request.", "approvals/approve.")) and path.endswith(".json"):
                action, operator = path[10:-5].split(".", 1)
                self.statements[action, operator] = json.loads(data)
        # How a statement is signed: (key or None for the officer's own, namespace or None for the action's).
        self.signing = {}
        # What becomes of a signed command before it is signed anew: the statement, its key, its namespace.
        self.on_command, self.command_key, self.command_space, self.commands = lambda s: s, None, "kesu-command-v1", {}

    def find(self, kind, nth=-1):
        """The last entry of that type: of the erasure that the bundle is about, where there were others."""
        return [e for e in self.entries if e.type == kind][nth]

    def insert(self, before, kind, nodes, edges=(), body=None):
        """An entry more, before the given one."""
        at = self.entries.index(before)
        header = {"v": 1, "seq": before.was, "type": kind, "nodes": nodes, "edges": [list(e) for e in edges],
                  "time": self.entries[at - 1].header["time"]}
        entry = Entry(header, body=body or {}, salt="00" * 16)
        self.entries.insert(at, entry)
        return entry

    def evidence(self, digest):
        return json.loads(self.files[f"evidence/{digest}"])

    def put_evidence(self, value):
        data = value if isinstance(value, bytes) else canonical(value)
        self.files[f"evidence/{sha(data)}"] = data
        return sha(data)


class Issuer:
    """Issues changed parts anew. `officers`: operator id -> Ed25519 private key."""

    def __init__(self, files, officers):
        self.original, self.officers = Parts(files), officers
        self.ledger_key, self.certificate_key = ed25519.Ed25519PrivateKey.generate(), ec.generate_private_key(ec.SECP384R1())
        self.certificate = signer_certificate(self.certificate_key)
        self.vkey = vkey(self.ledger_key, self.original.origin)

    def trust(self, old):
        """The reader's trust file, with the test's signer and log in place of the vault's."""
        digest = sha(self.certificate.public_bytes(serialization.Encoding.DER))
        lines = [l for l in old.splitlines() if not l.startswith(("signer", "log", "#"))]
        return "\n".join([*lines, f"signer sha256:{digest}", f"log {self.vkey}"]) + "\n"

    def _own_keys(self, p):
        for entry in p.entries:
            if entry.type == "key-created" and entry.body and entry.body.get("purpose") in ("sign-ledger", "sign-certificate"):
                mine = self.ledger_key if entry.body["purpose"] == "sign-ledger" else self.certificate_key
                spki = mine.public_key().public_bytes(*SPKI)
                birth = p.evidence(entry.body["birth"])
                birth["ref"]["public_key"] = entry.body["ref"]["public_key"] = spki.hex()
                del p.files[f"evidence/{entry.body['birth']}"]
                entry.body["birth"] = p.put_evidence(birth)
                entry.header["nodes"][0]["d"] = sha(spki)
            if entry.type == "ledger-key-set" and entry.body:
                entry.body["vkey"] = self.vkey

    def issue(self, edit=None, edit_certificate=None, edit_files=None, sign=None):
        """Files of a bundle. `edit(parts)` before folding; `edit_certificate(dict)` before it is signed, `sign(content)`
        in place of its signature; `edit_files(files)` before MANIFEST."""
        p = copy.deepcopy(self.original)
        self._own_keys(p)
        if edit:
            edit(p)
        old_size = {"plan": p.plan["ledger"]["size"], "a": p.size_a}
        started = [e for e in p.entries if e.type == "erasure-started" and e.body]
        for e in started:
            old_size[id(e)] = e.body["head"]["size"]
        place = lambda size: next((i for i, e in enumerate(p.entries) if e.was >= size), len(p.entries))
        for entry in p.entries:
            entry.header = dict(entry.header)
        leaves = []
        files = {k: v for k, v in p.files.items() if not k.startswith(("ledger/", "approvals/request", "approvals/approve", "approvals/command"))
                 and k not in ("MANIFEST", "certificate.json", "certificate.json.p7s", "plan.json")}
        digest = None
        for seq, entry in enumerate(p.entries):
            entry.header["seq"] = seq
            if entry.body and "command" in entry.body and entry.was < p.size_a:
                self._command(p, files, entry, leaves, place)
            if entry.at_fold:
                entry.at_fold(files, leaves)
            about = entry.header["nodes"][0]["id"] == p.plan["erasure"]
            if entry.type == "erasure-requested" and about and digest is None:
                size = min(place(old_size["plan"]), seq)
                p.plan["ledger"] = {"size": size, "root": root(leaves[:size]).hex()}
                files["plan.json"] = canonical(p.plan)
                digest = sha(files["plan.json"])
                entry.header["nodes"][0]["d"] = digest
            if entry.body and about and entry.type in ("erasure-requested", "erasure-approved"):
                self._statement(p, files, entry, digest)
            if entry.body and about and entry.type == "erasure-started":
                size = min(place(old_size[id(entry)]), seq)
                entry.body["plan"] = digest or ""
                entry.body["head"] = {"size": size, "root": root(leaves[:size]).hex()}
                entry.body["samples"]["seed"] = entry.body["head"]["root"]
            if entry.type == "certificate-issued" and entry.header["nodes"][0]["id"] == self.original.certificate["id"]:
                self._certificate(p, files, entry, leaves[:min(place(old_size["a"]), seq)], digest, edit_certificate,
                                  edit_files, sign)
            leaves.append(entry.leaf())
        if digest is None:
            files["plan.json"] = canonical(p.plan)
        if "MANIFEST" not in files:
            self._certificate(p, files, None, leaves, digest, edit_certificate, edit_files, sign)
        self._ledger(p, files, leaves, place(old_size["a"]))
        return files

    def _command(self, p, files, entry, leaves, place):
        said = entry.body["command"]
        path = f"approvals/command.{said['statement'] if isinstance(said, dict) else ''}.json"
        if path not in p.files:
            return
        if path not in p.commands:
            s = json.loads(p.files[path])
            size = min(place(s["ledger"]["size"]), len(leaves))
            s["ledger"] = {"size": size, "root": root(leaves[:size]).hex()}
            s["summary"][1] = f"Every entry that this run adds to the ledger, from entry {size} on, names this statement"
            s = p.on_command(s)
            data = readable(s)
            signature = ssh_sign(p.command_key or self.officers[s["operator"]], data, p.command_space)
            p.commands[path] = {"statement": sha(data), "signature": sha(signature)}
            files[f"approvals/command.{sha(data)}.json"], files[f"approvals/command.{sha(data)}.json.sig"] = data, signature
        entry.body = {**entry.body, "command": {**said, **p.commands[path]}}

    def _statement(self, p, files, entry, digest):
        action = "request" if entry.type == "erasure-requested" else "approve"
        operator = entry.body.get("operator", "")
        s = p.statements.get((action, operator))
        if action == "request":
            entry.body["plan"] = digest or ""
        if s is None:
            return
        s = dict(s)
        if s["plan"] == self.original.certificate["plan"]:
            s["plan"] = digest or ""
        data = readable(s)
        key, namespace = p.signing.get((action, operator), (None, None))
        signature = ssh_sign(key or self.officers[operator], data, namespace or f"kesu-{action}-v1")
        path = f"approvals/{action}.{operator}.json"
        files[path], files[path + ".sig"] = data, signature
        entry.body["statement"], entry.body["signature"] = sha(data), sha(signature)

    def _certificate(self, p, files, entry, leaves, digest, edit_certificate, edit_files, sign):
        c = p.certificate
        c["plan"] = digest or ""
        c["ledger"] = {"origin": p.origin, "size": len(leaves), "root": root(leaves).hex()}
        whole = self.certificate.public_bytes(serialization.Encoding.DER)
        c["signer"]["certificate"] = sha(whole)
        if edit_certificate:
            edit_certificate(c)
        files["certificate.json"] = canonical(c)
        files["certificate.json.p7s"] = (sign or (lambda data: cms(self.certificate_key, self.certificate, data)))(
            files["certificate.json"])
        files["trust/signer.pem"] = self.certificate.public_bytes(serialization.Encoding.PEM)
        files["trust/ledger.vkey"] = (self.vkey + "\n").encode()
        if edit_files:
            edit_files(files)
        files["MANIFEST"] = manifest(files)
        if entry is not None:
            entry.header["nodes"][0]["d"] = hashlib.sha512(files["MANIFEST"]).hexdigest()
            if entry.body:
                entry.body = {**entry.body, "certificate": sha(files["certificate.json"]),
                              "signature": sha(files["certificate.json.p7s"]), "manifest": sha(files["MANIFEST"])}

    def _ledger(self, p, files, leaves, size_a):
        files["ledger/headers.gz"] = gz(b"".join(canonical(e.header) + b"\t" + e.digest.encode() + b"\n" for e in p.entries))
        files["ledger/bodies.jsonl"] = b"".join(
            canonical({"body": e.body, "salt": e.salt, "seq": e.header["seq"]}) + b"\n" for e in p.entries if e.body is not None)
        files["ledger/checkpoint-a"] = note(self.ledger_key, p.origin, size_a, root(leaves[:size_a]))
        files["ledger/checkpoint-b"] = note(self.ledger_key, p.origin, len(leaves), root(leaves))
        files["ledger/consistency"] = b"".join(base64.b64encode(n) + b"\n" for n in consistency(size_a, leaves))


def manifest(files):
    return "".join(f"{hashlib.sha512(files[p]).hexdigest()}  {p}\n" for p in sorted(files)
                   if p != "MANIFEST" and not p.startswith(("ledger/", "time/checkpoint-b.", "approvals/release."))).encode()


def read(directory):
    """A bundle's files, by path."""
    return {os.path.relpath(os.path.join(d, f), directory): open(os.path.join(d, f), "rb").read()
            for d, _, names in os.walk(directory) for f in names}


def write(files, directory):
    for path, data in files.items():
        target = os.path.join(directory, path)
        os.makedirs(os.path.dirname(target), exist_ok=True)
        with open(target, "wb") as file:
            file.write(data)
