# Trust anchors that the rules bind: under which certificates time-stamps count, and whose cosignatures (docs/spec/erasure.md, "Anchors").
import re

from . import notes, x509
from .base import Bad, is_kind
from .x509 import X509Error

MEMBER, MOST = "anchors", 16
NOT_OF_RULES = "not of the rules: those in force at the request name other time-stamp authorities"


def check(value, part):
    """Refuses what is not in the one form of anchors."""
    if not isinstance(value, dict) or not value or not set(value) <= {"time_authorities", "witness_quorum", "witnesses"}:
        raise Bad(part, "its anchors have other members than they may")
    if ("witnesses" in value) != ("witness_quorum" in value):
        raise Bad(part, "its anchors have witnesses without a quorum, or a quorum without witnesses")
    for name, kind in (("time_authorities", "objects"), ("witnesses", "texts")):
        if name in value and (not is_kind(value[name], kind) or not 1 <= len(value[name]) <= MOST):
            raise Bad(part, f"its {name} are none, too many, or of another kind")
    digests = []
    for item in value.get("time_authorities", []):
        if set(item) != {"name", "sha256"} or not is_kind(item["name"], "text") or not is_kind(item["sha256"], "digest"):
            raise Bad(part, "a time-stamp authority in it is malformed")
        if not 1 <= len(item["name"].encode()) <= 256 or re.search("[\x00-\x1f\x7f-\x9f]", item["name"]):
            raise Bad(part, "the name of a time-stamp authority is empty, too long, or has a control character")
        if '"' in item["name"] or re.search("(?ai:sha256:)", item["name"]):
            raise Bad(part, "the name of a time-stamp authority has a quotation mark, or sha256: in it, as only a digest may")
        digests.append(item["sha256"])
    keys = []
    for vkey in value.get("witnesses", []):
        try:
            if not re.fullmatch("[!-~]+", vkey):
                raise notes.NoteError("has other characters than those of ASCII")
            keys.append(notes.VerifierKey(vkey, (notes.COSIGNATURE,)).key)
        except notes.NoteError as error:
            raise Bad(part, f"a witness's vkey {error}") from None
    for listed in (digests, value.get("witnesses", [])):
        if any(a >= b for a, b in zip(listed, listed[1:])):
            raise Bad(part, "its anchors are not in order, or one stands twice")
    if len(set(keys)) != len(keys):
        raise Bad(part, "a witness in it stands twice")
    if "witness_quorum" in value and not (is_kind(value["witness_quorum"], "number") and 1 <= value["witness_quorum"] <= len(keys)):
        raise Bad(part, "witness_quorum is not from 1 to their number")


def _under(authority):
    return f'sha256:{authority["sha256"]}, "{authority["name"]}"'


def lines(to, before):
    """What a person reads of them in a statement."""
    to, before = to or {}, before or {}
    out = [f"Time-stamps count only under {_under(t)}" for t in to.get("time_authorities", [])]
    if before.get("time_authorities") and not out:
        out.append("Time-stamps count under any authority from then on")
    out += [f"Cosignatures count only of {w}" for w in to.get("witnesses", [])]
    if to.get("witnesses"):
        out.append(f"At least {to['witness_quorum']} of these witnesses must sign")
    elif before.get("witnesses"):
        out.append("Cosignatures count of any witness from then on")
    out += [f"Until now: time-stamps under {_under(t)}" for t in before.get("time_authorities", [])]
    out += [f"Until now: cosignatures of {w}" for w in before.get("witnesses", [])]
    return out + ([f"Until now: at least {before['witness_quorum']} of these witnesses"] if before.get("witnesses") else [])


def stamp_of_rules(bound, token, known, at):
    """Whether a good token leads, as of that time, to a certificate that the anchors name; `known`: where that may be found."""
    named = {t["sha256"] for t in (bound or {}).get("time_authorities", [])}
    if not named:
        return True
    try:
        pool = [*token.certificates, *known]
        x509.find_chain(token.signer, pool, [c for c in [token.signer, *pool] if c.digest.hex() in named], at, x509.TIME_STAMPING)
    except X509Error:
        return False
    return True


def witnesses_of_rules(bound, note):
    """The public keys of the witnesses that the anchors name, or None where they name none; empty where too few of them signed; and
    how many did."""
    if not (bound or {}).get("witnesses"):
        return None, 0
    keys = [notes.VerifierKey(vkey, (notes.COSIGNATURE,)) for vkey in bound["witnesses"]]
    signed = sum(_signed(note, k) for k in keys)
    return {k.key for k in keys} if signed >= bound["witness_quorum"] else set(), signed


def _signed(note, key):
    try:
        return note.signed_by(key)
    except notes.NoteError:                                # a cosignature that is not good is none
        return False
