# Time-stamps of the waiting period: that it passed by the time of others (docs/spec/certificate.md).
from . import cms, notes
from .base import Bad, is_kind
from .bundle import BODIES, HEADERS
from .names import utc
from .stamps import MINUTE, Token, token_of_answer
from .x509 import X509Error

TYPE, MOST = "erasure-stamped", 64
MEMBERS = ("checkpoint", "document", "authority")


class Stamp:
    """A good token over a checkpoint of `size` entries, in the entry `seq`; `over`: the checkpoint's file."""

    def __init__(self, seq, size, over, token, chain):
        self.seq, self.size, self.over, self.token, self.chain = seq, size, over, token, chain
        self.begin, self.end = token.at - (token.accuracy or 0), token.at + (token.accuracy or 0)


class Waiting:
    """Good tokens of the erasure's entries, in their order; `bad(part, what)` takes what is wrong."""

    def __init__(self, files, ledger, erasure, bad):
        self.files, self.ledger, self.good = files, ledger, []
        entries = [h for h in ledger.about(erasure, TYPE) if h.seq < ledger.a.size]
        if len(entries) > MOST:
            bad(HEADERS, f"has more than {MOST} {TYPE} of the erasure")
            return
        for header in entries:
            try:
                self._entry(header, next(i for i in header.nodes if i["id"] == erasure))
            except Bad as error:
                bad(error.part, error.what)
            except X509Error as error:
                bad(f"entry {header.seq}", str(error))

    def _entry(self, header, item):
        part, body = f"entry {header.seq}", self.ledger.bodies.get(header.seq)
        if body is None:
            raise Bad(BODIES, f"{part} ({TYPE}) is not opened")
        if not all(is_kind(body.get(name), "text") for name in MEMBERS) or not is_kind(body.get("size"), "number"):
            raise Bad(part, f"has not the members of {TYPE}")
        if item.get("d") != body["document"]:
            raise Bad(part, "d is not its document")
        paths = [f"evidence/{body[name]}" for name in MEMBERS]
        if not self.ledger.complete or not all(path in self.files for path in paths):
            return
        data, document, authority = (self.files.read(path, notes.MAX_NOTE) for path in paths)
        _, checkpoint = notes.read_checkpoint(data, self.ledger.key, paths[0])
        if checkpoint.size != body["size"] or not 0 < checkpoint.size <= header.seq:
            raise Bad(paths[0], f"is of another size than {part} says, or one that it cannot be of")
        if self.ledger.roots.get(checkpoint.size) != checkpoint.root:
            raise Bad(paths[0], "is of another history than the headers")
        chain, token = cms.chain_file(authority), Token(token_of_answer(document), data)
        last = self.ledger.headers[checkpoint.size - 1]
        if last.millis > token.at + (token.accuracy or 0) + MINUTE:
            raise Bad(paths[0], f"its last entry, of {last.time}, is later than its time-stamp, {utc(token.at)}")
        self.good.append(Stamp(header.seq, checkpoint.size, paths[0], token, chain))

    def between(self, reached, intended, counts=lambda stamp: True):
        """(from, to) of those that count, in entries below `intended`, for an approval in the entry `reached`; None where there is none."""
        mine = [s for s in self.good if intended is not None and s.seq < intended and counts(s)]
        begun = [s for s in mine if s.size > reached]
        return (min(begun, key=lambda s: s.end), max(mine, key=lambda s: s.begin)) if begun else None


def passed(pair):
    """Milliseconds that lie between the two for certain."""
    return max(0, pair[1].begin - pair[0].end)
