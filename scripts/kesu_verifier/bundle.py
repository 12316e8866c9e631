# The bundle as files: what may be there, its limits, MANIFEST; the ledger's files up to the roots (docs/spec/certificate.md).
import hashlib
import os
import re
import stat
import zlib

from . import notes
from .base import MAX_JSON, Bad, base64_strict, is_kind, parse_json, sha512_hex
from .ledger import BODIES, HEADERS, MAX_BODY, MAX_HEADER, Graph, Header, body_hash, leaf_hash

MAX_FILES, MAX_FILE, MAX_ALL, MAX_HEADERS = 20_000, 1 << 30, 2 << 30, 20_000_000
_OPR, _DS = "opr-[0-9a-f]{32}", "ds-[0-9a-f]{32}"
NAMES = re.compile(
    r"certificate\.(json(\.p7s)?|pdf|html)|certificate\.json\.([2-9]|[12][0-9]|3[0-3])\.p7s|plan\.json|MANIFEST|README\.txt|approvals/(genesis\.json|allowed_signers"
    rf"|genesis\.{_OPR}\.sig|certificate\.{_OPR}\.pem|change\.(0|[1-9][0-9]{{0,14}})\.(json|{_OPR}\.sig)|(release|key-attest)\.(0|[1-9][0-9]{{0,14}})\.{_OPR}\.json(\.sig)?|command\.[0-9a-f]{{64}}\.json(\.sig)?|(request|approve|verify|validate)\.{_OPR}\.json(\.sig)?)|evidence/[0-9a-f]{{64}}"
    rf"|inventory/{_DS}\.leaves|ledger/(headers\.gz|bodies\.jsonl|checkpoint-[ab]|consistency)"
    r"|trust/(signer\.(pem|crl)|ledger\.vkey|tsa\.pem)|time/(certificate\.json\.p7s\.tsr|checkpoint-b\.(tsr|pem))"
    r"|renewal/([1-9][0-9]{0,2}|1000)\.(ledger|manifest|manifest\.tsr|tsa\.pem)")
REQUIRED = ("MANIFEST", "README.txt", "approvals/allowed_signers", "approvals/genesis.json", "certificate.json",
            "certificate.json.p7s", BODIES, "ledger/checkpoint-a", "ledger/checkpoint-b", "ledger/consistency", HEADERS,
            "plan.json", "trust/ledger.vkey", "trust/signer.pem")
GZIP_START = re.compile(rb"\x1f\x8b\x08\x00\x00\x00\x00\x00[\x00\x02\x04]\xff", re.S)
# Of MANIFEST: what comes after it, and what entries of the ledger name.
OUTSIDE = ("ledger/", "time/checkpoint-b.", "trust/signer.crl", "approvals/release.", "renewal/",
           *(f"certificate.json.{n}." for n in range(2, 34)))
PIECE = 1 << 20


class Files:
    """A bundle's files by path: from a directory, or as given (`contents`: path -> bytes)."""

    def __init__(self, directory=None, contents=None):
        self.directory, self.contents, self.sizes = directory, contents, {}
        if contents is not None:
            self.sizes = {path: len(data) for path, data in contents.items()}
        else:
            self._walk(directory, "")
        self._limits()

    def _walk(self, directory, below):
        try:
            entries = sorted(os.scandir(directory), key=lambda e: os.fsencode(e.name))
        except OSError as error:
            raise Bad(below.rstrip("/") or "bundle", f"cannot be read: {error.strerror}") from None
        for entry in entries:
            path = below + entry.name
            if not re.fullmatch(r"[!-~]+", entry.name) or len(path) > 200 or path.count("/") > 3:
                raise Bad("bundle", f"{ascii(path)[:240]} is no name of a bundle's file")
            try:
                status = entry.stat(follow_symlinks=False)
            except OSError as error:
                raise Bad(path, f"cannot be read: {error.strerror}") from None
            if stat.S_ISDIR(status.st_mode):
                self._walk(entry.path, path + "/")
            elif not stat.S_ISREG(status.st_mode):
                raise Bad(path, "is neither a file nor a directory")
            else:
                self.sizes[path] = status.st_size
            if len(self.sizes) > MAX_FILES:
                raise Bad("bundle", f"has more than {MAX_FILES} files")

    def _limits(self):
        if len(self.sizes) > MAX_FILES:
            raise Bad("bundle", f"has more than {MAX_FILES} files")
        for path, size in self.sizes.items():
            if size > MAX_FILE:
                raise Bad(path, f"is longer than {MAX_FILE} bytes")
        if sum(self.sizes.values()) > MAX_ALL:
            raise Bad("bundle", f"has more than {MAX_ALL} bytes")

    def __contains__(self, path):
        return path in self.sizes

    def paths(self):
        return sorted(self.sizes)

    def pieces(self, path):
        """The content, a MiB at a time, never more than was counted."""
        if path not in self.sizes:
            raise Bad(path, "is missing")
        if self.contents is not None:
            data = self.contents[path]
            yield from (data[at:at + PIECE] for at in range(0, len(data), PIECE))
            return
        left = self.sizes[path]
        try:
            fd = os.open(os.path.join(self.directory, path), os.O_RDONLY | os.O_NOFOLLOW | os.O_CLOEXEC | os.O_NONBLOCK)
        except OSError as error:
            raise Bad(path, f"cannot be read: {error.strerror}") from None
        with open(fd, "rb") as file:
            while True:
                data = file.read(PIECE)
                left -= len(data)
                if left < 0:
                    raise Bad(path, "grew while it was read")
                if not data:
                    return
                yield data

    def read(self, path, limit=MAX_JSON):
        if path not in self.sizes:
            raise Bad(path, "is missing")
        if self.sizes[path] > limit:
            raise Bad(path, f"is longer than {limit} bytes")
        return b"".join(self.pieces(path))

    def lines(self, path, limit, pieces=None):
        """Lines without their ends; Bad where the last has none, or one is longer than `limit`."""
        rest = b""
        for piece in pieces if pieces is not None else self.pieces(path):
            rest += piece
            whole = rest.split(b"\n")
            rest = whole.pop()
            for line in whole:
                if len(line) > limit:
                    raise Bad(path, f"a line is longer than {limit} bytes")
                yield line
            if len(rest) > limit:
                raise Bad(path, f"a line is longer than {limit} bytes")
        if rest:
            raise Bad(path, "the last line has no end")

    def gunzip(self, path):
        """The pieces inside the one gzip member."""
        inflate, crc, size, tail, begun = zlib.decompressobj(-15), 0, 0, b"", b""
        started = False
        for piece in self.pieces(path):
            if not started:
                begun += piece
                if len(begun) < 10:
                    continue
                if not GZIP_START.match(begun):
                    raise Bad(path, "gzip: another start than that of one member without name or time")
                piece, started = begun[10:], True
            if inflate.eof:
                tail += piece
            while piece and not inflate.eof:
                try:
                    out = inflate.decompress(piece, PIECE)
                except zlib.error:
                    raise Bad(path, "gzip: is no deflate data") from None
                piece = inflate.unconsumed_tail
                crc, size = zlib.crc32(out, crc), size + len(out)
                yield out
            if inflate.eof and not tail:
                tail = inflate.unused_data
            if len(tail) > 8:
                raise Bad(path, "gzip: something stands behind the one member")
        if not inflate.eof or len(tail) != 8:
            raise Bad(path, "gzip: ends early, or is no gzip data")
        if tail != crc.to_bytes(4, "little") + (size & 0xffffffff).to_bytes(4, "little"):
            raise Bad(path, "gzip: its check value is not that of its data")


def check_names(files, bad):
    for path in files.paths():
        if not NAMES.fullmatch(path):
            bad(path, "is not a file of a version 1 bundle")
    for path in REQUIRED:
        if path not in files:
            bad(path, "is missing")


def check_manifest(files, bad):
    """Every file but MANIFEST and those of OUTSIDE, by its SHA-512."""
    if "MANIFEST" not in files:
        return
    listed, last = {}, ""
    try:
        for n, line in enumerate(files.lines("MANIFEST", 512), 1):
            found = re.fullmatch(rb"([0-9a-f]{128})  ([!-~]{1,200})", line)
            path = found[2].decode() if found else ""
            if not found or path <= last or path == "MANIFEST" or path.startswith(OUTSIDE):
                raise Bad("MANIFEST", f"line {n} is malformed, or out of order")
            listed[path], last = found[1].decode(), path
    except Bad as error:
        bad(error.part, error.what)
        return
    for path in files.paths():
        if path == "MANIFEST" or path.startswith(OUTSIDE):
            continue
        if path not in listed:
            bad(path, "is not in MANIFEST")
            continue
        digest = hashlib.sha512()
        for piece in files.pieces(path):
            digest.update(piece)
        if digest.hexdigest() != listed[path]:
            bad(path, "is not what MANIFEST says")
    for path in listed:
        if path not in files:
            bad(path, "is missing; MANIFEST lists it")


class Ledger:
    """Headers, opened bodies and graph of a bundle whose checkpoints are good and which folds to them."""

    def __init__(self):
        self.headers, self.bodies, self.graph, self.roots = {}, {}, Graph(), {}
        self.a = self.b = self.note_b = self.key = None
        self.complete = self.usable = False

    def of_type(self, *types):
        return [h for h in self.by_type if h.type in types]

    def about(self, node, *types):
        """The headers of these types that have the node among their items, in order."""
        known = self.graph.nodes.get(node)
        return [self.headers[seq] for seq in (known.entries if known else ()) if self.headers[seq].type in types
                and any(item["id"] == node for item in self.headers[seq].nodes)]


def _body(line, n):
    part = f"{BODIES} line {n}"
    value = parse_json(line, part, canonical=True)
    good = (isinstance(value, dict) and set(value) == {"body", "salt", "seq"} and isinstance(value["body"], dict)
            and is_kind(value["salt"], "text") and re.fullmatch("[0-9a-f]{32}", value["salt"])
            and is_kind(value["seq"], "number") and value["seq"] >= 0)
    if not good:
        raise Bad(part, "is no opened body")
    return value["seq"], bytes.fromhex(value["salt"]), value["body"]


def _read_bodies(files, bad):
    out, last = {}, -1
    try:
        for n, line in enumerate(files.lines(BODIES, MAX_BODY + 200), 1):
            seq, salt, body = _body(line, n)
            if seq <= last:
                raise Bad(f"{BODIES} line {n}", "is out of order")
            out[seq], last = (n, body_hash(salt, body), body), seq
    except Bad as error:
        bad(error.part, error.what)
        return None
    return out


def _read_headers(files, ledger, bodies, bad):
    """Folds all headers; returns the digest of each body that is opened, and the first entry that is missing."""
    tree = notes.Tree(ledger.roots)
    digests, first_missing, last, n = {}, None, -1, 0
    for line in files.lines(HEADERS, MAX_HEADER + 65, files.gunzip(HEADERS)):
        n += 1
        if n > min(ledger.b.size, MAX_HEADERS):
            raise Bad(HEADERS, f"more headers than checkpoint B's size, {ledger.b.size}")
        text, tab, digest = line.partition(b"\t")
        if not tab or not re.fullmatch(b"[0-9a-f]{64}", digest):
            raise Bad(HEADERS, f"line {n}: no body hash at its end")
        header = Header(text, f"line {n}")
        if header.seq <= last or header.seq >= ledger.b.size:
            raise Bad(HEADERS, f"line {n}: out of order: seq {header.seq} after {last}")
        if header.seq != last + 1 and first_missing is None:
            first_missing = last + 1
        last = header.seq
        body = bytes.fromhex(digest.decode())
        if first_missing is None:
            tree.add(leaf_hash(text, body))
        if header.seq in bodies:
            digests[header.seq] = body
        ledger.headers[header.seq] = header
        ledger.graph.fold(header, n)
    if first_missing is None and n < ledger.b.size:
        first_missing = last + 1
    ledger.roots = tree.roots
    return digests, first_missing, n


def read_ledger(files, bad):
    """The ledger's files. `usable` is False where something is not signed, or does not fold: then nothing is shown."""
    ledger = Ledger()
    try:
        text = files.read("trust/ledger.vkey", 4096).decode("utf-8", "strict")
        if not text.endswith("\n") or text.count("\n") != 1:
            raise Bad("trust/ledger.vkey", "is not one line")
        ledger.key = notes.VerifierKey(text[:-1], (notes.ED25519,))
    except (UnicodeDecodeError, notes.NoteError) as error:
        bad("trust/ledger.vkey", "is not UTF-8" if isinstance(error, UnicodeDecodeError) else str(error))
        return ledger
    except Bad as error:
        bad(error.part, error.what)
        return ledger
    for name in ("a", "b"):
        try:
            note, checkpoint = notes.read_checkpoint(files.read(f"ledger/checkpoint-{name}", notes.MAX_NOTE), ledger.key,
                                                     f"ledger/checkpoint-{name}")
            setattr(ledger, name, checkpoint)
            ledger.note_b = note
        except Bad as error:
            bad(error.part, error.what)
    if not ledger.a or not ledger.b:
        return ledger
    _check_proof(files, ledger, bad)
    bodies = _read_bodies(files, bad)
    marks = {ledger.a.size, ledger.b.size}
    marks |= {body["head"]["size"] for _, _, body in (bodies or {}).values()
              if isinstance(body.get("head"), dict) and is_kind(body["head"].get("size"), "number")}
    # Where checkpoints of the waiting period say that they are of; more than that is asked later.
    marks |= {body["size"] for _, _, body in (bodies or {}).values() if is_kind(body.get("size"), "number") and "checkpoint" in body}
    marks |= _plan_size(files) | _command_sizes(files)
    ledger.roots = {m for m in marks if 0 <= m <= ledger.b.size}
    try:
        digests, missing, count = _read_headers(files, ledger, bodies or {}, bad)
    except Bad as error:
        bad(error.part, error.what)
        bad(HEADERS, "cannot be read, so nothing can be shown")
        return ledger
    ledger.complete = missing is None
    if not ledger.complete:
        bad(HEADERS, f"{count} headers of {ledger.b.size}; entry {missing} is the first that is missing")
    for name, checkpoint in (("A", ledger.a), ("B", ledger.b)):
        if checkpoint.size in ledger.roots and ledger.roots[checkpoint.size] != checkpoint.root:
            bad(HEADERS, f"the headers do not fold to checkpoint {name}'s root")
            return ledger
    if bodies is None:
        bodies = {}
    for seq, (n, digest, body) in bodies.items():
        if seq not in ledger.headers:
            bad(BODIES, f"the body of entry {seq} has no header")
        elif digests[seq] != digest:
            bad(f"{BODIES} line {n}", f"the body of entry {seq} is not the one in the ledger")
        else:
            ledger.bodies[seq] = body
    ledger.by_type = list(ledger.headers.values())
    ledger.usable = True
    return ledger


def _plan_size(files):
    """Where the plan says that it was made, so that the root there is computed; whether it is true is asked later."""
    try:
        size = parse_json(files.read("plan.json"), "plan.json")["ledger"]["size"]
        return {size} if is_kind(size, "number") else set()
    except (Bad, KeyError, TypeError):
        return set()


def _command_sizes(files):
    """Where signed commands say that they were signed, so that the roots there are computed."""
    out = set()
    for path in files.paths():
        if path.startswith("approvals/command.") and path.endswith(".json"):
            try:
                size = parse_json(files.read(path, 1 << 16), path)["ledger"]["size"]
                out |= {size} if is_kind(size, "number") else set()
            except (Bad, KeyError, TypeError):
                continue
    return out


def _check_proof(files, ledger, bad):
    part = "ledger/consistency"
    try:
        proof = []
        for n, line in enumerate(files.lines(part, 64) if part in files else (), 1):
            node = base64_strict(line.decode("latin-1"))
            if node is None or len(node) != 32 or n > 128:
                raise Bad(part, f"line {n} is not the base64 of 32 bytes")
            proof.append(node)
        if part in files:
            notes.check_consistency(ledger.a.size, ledger.a.root, ledger.b.size, ledger.b.root, proof)
    except Bad as error:
        bad(error.part, error.what)
    except notes.NoteError as error:
        bad(part, f"checkpoint A is not a prefix of checkpoint B: {error}")


def manifest_digest(files):
    return sha512_hex(files.read("MANIFEST", MAX_FILE)) if "MANIFEST" in files else ""


def folded(files, checkpoint, marks):
    """A ledger of nothing but headers, with the roots of these sizes."""
    out = Ledger()
    out.b, out.roots = checkpoint, marks
    _, missing, _ = _read_headers(files, out, {}, None)
    if missing is not None:
        raise Bad(HEADERS, "are not all the headers of its checkpoint")
    return out


def read_extract(files, of_bundle, ledger):
    """A newer extract of the bundle's ledger: its headers, which fold to its own checkpoint and continue the bundle's."""
    part = "ledger/checkpoint-b"
    _, checkpoint = notes.read_checkpoint(files.read(part, notes.MAX_NOTE), ledger.key, part)
    older = min(checkpoint.size, ledger.b.size)
    out = folded(files, checkpoint, {checkpoint.size, older})
    if out.roots[checkpoint.size] != checkpoint.root:
        raise Bad(HEADERS, "the headers do not fold to its checkpoint's root")
    newer = checkpoint.size >= ledger.b.size
    root = out.roots[older] if newer else folded(of_bundle, ledger.b, {older}).roots[older]
    if root != (ledger.b if newer else checkpoint).root:
        raise Bad(HEADERS, "are of another history than the bundle's")
    return out
