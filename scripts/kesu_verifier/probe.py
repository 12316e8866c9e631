# Inspections: kesu-probe's transcripts, every answer judged again from what they record (docs/spec/provider-port.md).
import re
from collections import Counter

from .base import Bad, is_kind, is_version, millis_or_none, parse_json

_REF = {"version": "text", "purpose": "text", "label": "text", "id": "text", "check_value": "text", "public_key": "text"}
_IDENTITY = ("kind", "label", "serial", "manufacturer", "model", "firmware", "hardware", "module_path", "module_sha256",
             "library_manufacturer", "library_description", "library_version")
_OBJECT = {"class": "text", "key_type": "text", "label": "text", "id": "text", "check_value": "text"}
_ANSWER = {"v": "number", "program": "text", "host": "text", "boot_id": "text", "pid": "number", "environment": "texts",
           "started": "time", "ended": "time", "same_place": "bool", "control": "text", "keys": "objects",
           "samples": "objects"}
_RECEIPT = {"accepted": "bool", "at": "time", "call": "text", "result": "text"}
PURPOSES = ("wrap", "sign-ledger", "sign-certificate", "control")
TRIED = ("opened", "failed", "not-tried")
ANSWERS = ("usable", "refused", "absent", "unknown")
OUTCOMES = ("opened", "failed", "refused", "not-tried")


class Unreadable(Exception):
    """A record that is not in its form."""


def _members(value, kinds, optional=()):
    """Exactly these members, of these kinds; `optional` name those that are of any kind."""
    if not isinstance(value, dict) or not set(kinds) <= set(value) <= set(kinds) | set(optional):
        raise Unreadable("its members are not those of its record")
    for name, kind in kinds.items():
        if not is_kind(value[name], kind):
            raise Unreadable(f"{name} is not a {kind}")
    return value


def read_reference(value):
    _members(value, _REF, ("canary",))
    canary = value.get("canary")
    if "canary" not in value or not is_version(value["version"]):
        raise Unreadable("a key reference is malformed")
    if canary is not None:
        _members(canary, {"mechanism": "text", "nonce": "text", "ciphertext": "text", "digest": "digest"})
    _hex(value, "id", "check_value", "public_key")
    _hex(canary or {}, *(("nonce", "ciphertext") if canary else ()))
    if value["purpose"] not in PURPOSES:
        raise Unreadable(f"purpose is not one of {', '.join(PURPOSES)}")
    return value


def _hex(value, *names):
    for name in names:
        if not re.fullmatch("([0-9a-f]{2})*", value[name]):
            raise Unreadable(f"{name} is not lower-case hexadecimal")


def read_birth(value):
    """A birth record."""
    _members(value, {"ref": "object", "left_out": "texts"}, ("attributes",))
    if "attributes" not in value:
        raise Unreadable("its members are not those of its record")
    read_reference(value["ref"])
    return value


def read_receipt(value):
    _members(value, _RECEIPT, ("before", "irreversible_at"))
    if not {"before", "irreversible_at"} <= set(value) or value["irreversible_at"] is not None and not is_kind(value["irreversible_at"], "time"):
        raise Unreadable("its members are not those of its record")
    return value


def read_identity(value):
    return _members(value, dict.fromkeys(_IDENTITY, "text"))


def same_place(left, right):
    return bool(left and right) and all(left.get(n) == right.get(n) for n in ("kind", "serial", "manufacturer"))


def _object(value):
    _members(value, _OBJECT)
    _hex(value, "id", "check_value")
    return tuple(value[name] for name in _OBJECT)


def _trials(value):
    if not is_kind(value, "objects"):
        raise Unreadable("trials are no list")
    out = []
    for trial in value:
        _members(trial, {"object": "object", "mechanism": "text", "outcome": "text", "result": "text"}, ("digest",))
        digest = trial.get("digest")
        if "digest" not in trial or trial["outcome"] not in OUTCOMES or digest is not None and not is_kind(digest, "digest"):
            raise Unreadable("a trial is malformed")
        out.append((_object(trial["object"]), trial["outcome"], digest))
    return out


class Seen:
    """An enumeration: objects as (class, key_type, label, id, check_value)."""

    def __init__(self, value):
        _members(value, {"complete": "bool", "why": "text", "objects": "objects"})
        self.complete, self.objects = value["complete"], [_object(o) for o in value["objects"]]


class Transcript:
    """One inspection; throws Unreadable or Bad where the record is not in form. `readable` is False where its answer is none."""

    def __init__(self, data, part):
        self.readable, self.keys, self.samples, self.enumeration = False, {}, [], None
        self.started = self.ended = None
        self.boot_id, self.control, self.control_ref, self.identity, self.same = "", "unknown", None, None, False
        self.wanted, self.sample_requests, self.error, self.try_remaining = {}, [], True, False
        value = parse_json(data, part, canonical=True)
        _members(value, {"request": "object", "exit": "number", "stderr": "text", "timed_out": "bool"}, ("answer",))
        if "answer" not in value:
            raise Unreadable("its members are not those of its record")
        self._request(value["request"])
        if value["exit"] == 0 and not value["timed_out"]:
            try:  # an answer that cannot be read is none
                self._answer(value["answer"], [ref["version"] for ref in value["request"]["keys"]])
            except Unreadable as error:
                self.why = str(error)

    def _request(self, request):
        _members(request, {"v": "number", "uri": "text", "identity": "object", "keys": "objects",
                           "samples": "objects", "try_remaining": "bool"}, ("control",))
        if request["v"] != 1 or "control" not in request:
            raise Unreadable("its request is of another version")
        self.asked = read_identity(request["identity"])
        self.wanted = {ref.get("version"): read_reference(ref) for ref in request["keys"]}
        if len(self.wanted) != len(request["keys"]):
            raise Unreadable("a key is asked for twice")
        if request["control"] is not None:
            self.control_ref = read_reference(request["control"])
        self.try_remaining = request["try_remaining"]
        for s in request["samples"]:
            self.sample_requests.append(_members(s, {"id": "text", "key": "text", "aad": "text", "algorithm": "number",
                                                     "nonce": "text", "blob": "text"}))
            _hex(s, "aad", "nonce", "blob")
            if s["algorithm"] not in (1, 2) or not is_version(s["key"]):
                raise Unreadable("a sample is malformed")

    def _answer(self, answer, wanted):
        _members(answer, _ANSWER, ("identity", "enumeration", "error", "token_sessions", "calls"))
        if answer["v"] != 1 or not {"identity", "enumeration", "error", "calls"} <= set(answer) or answer["control"] not in ANSWERS:
            raise Unreadable("its members are not those of its record")
        if answer.get("token_sessions") is not None:
            _members(answer["token_sessions"], {"sessions": "number", "rw_sessions": "number"})
        keys = {}
        for key in answer["keys"]:
            _members(key, {"version": "text", "answer": "text", "why": "text", "found": "number", "canary": "text",
                           "by": "list"})
            if key["answer"] not in ANSWERS or key["canary"] not in TRIED:
                raise Unreadable("an answer is none")
            keys[key["version"]] = (key["answer"], _trials(key["by"]))
        if [k["version"] for k in answer["keys"]] != wanted or len(keys) != len(wanted):
            raise Unreadable("the answer is for other keys")
        samples = []
        for s in answer["samples"]:
            _members(s, {"id": "text", "answer": "text", "by": "list"})
            if s["answer"] not in TRIED:
                raise Unreadable("an answer is none")
            samples.append((s["id"], s["answer"], _trials(s["by"])))
        if [s[0] for s in samples] != [s["id"] for s in self.sample_requests]:
            raise Unreadable("the answer is for other samples")
        self.identity = None if answer.get("identity") is None else read_identity(answer["identity"])
        self.enumeration = None if answer.get("enumeration") is None else Seen(answer["enumeration"])
        if answer.get("error") is not None:
            _members(answer["error"], {"code": "text", "message": "text"})
        self.error = answer.get("error") is not None
        self.started, self.ended = millis_or_none(answer["started"]), millis_or_none(answer["ended"])
        self.same, self.control, self.boot_id = answer["same_place"], answer["control"], answer["boot_id"]
        self.keys, self.samples = keys, samples
        self.readable = True

    # What the record bears out.

    @property
    def at_place(self):
        return self.readable and self.same and same_place(self.identity, self.asked)

    @property
    def whole(self):
        """The place answered, and all of its objects are listed."""
        return self.at_place and not self.error and self.enumeration is not None and self.enumeration.complete

    @property
    def control_lives(self):
        ref = self.control_ref
        if ref is None or self.control != "usable" or not self.enumeration:
            return False
        found = [o for o in self.enumeration.objects if (o[0], o[2], o[3]) == ("CKO_SECRET_KEY", ref["label"], ref["id"])]
        return len(found) == 1

    def answer(self, version):
        """usable, refused, absent or unknown: what the record gives, where it is also what was said."""
        if not self.readable or version not in self.keys:
            return "unknown"
        said, trials = self.keys[version]
        computed = self._judge(self.wanted[version], trials)
        return computed if computed == said else "unknown"

    def canary_opened(self, version):
        """Whether a trial of the record opened the key's canary."""
        ref = self.wanted.get(version)
        return (self.at_place and ref is not None and ref["canary"] is not None and version in self.keys
                and any(t[1] == "opened" and t[2] == ref["canary"]["digest"] for t in self.keys[version][1]))

    def _judge(self, ref, trials):
        signs = ref["purpose"].startswith("sign")
        if not self.at_place:
            return "unknown"
        if ref["canary"] and any(t[1] == "opened" and t[2] == ref["canary"]["digest"] for t in trials):
            return "usable"
        if signs and any(t[1] == "opened" for t in trials):
            return "usable"
        for request, (_, _, by) in zip(self.sample_requests, self.samples):
            if request["key"] == ref["version"] and any(t[1] == "opened" for t in by):
                return "usable"
        objects = self.enumeration.objects if self.enumeration else []
        kind = "CKO_PRIVATE_KEY" if signs else "CKO_SECRET_KEY"
        own = [o for o in objects if (o[0], o[2], o[3]) == (kind, ref["label"], ref["id"])]
        if own:
            return "refused" if any(t[0] in own and t[1] == "refused" for t in trials) else "unknown"
        for o in objects:
            if (ref["label"] and o[2] == ref["label"] or ref["id"] and o[3] == ref["id"]
                    or ref["check_value"] and o[4] == ref["check_value"]):
                return "unknown"
        if self.error or not self.whole or not self.control_lives:
            return "unknown"
        if signs:
            return "absent" if ref["label"] and ref["id"] else "unknown"
        if not self.try_remaining or not ref["canary"] or not self._all_tried(trials, ref["check_value"]):
            return "unknown"
        return "absent"

    def _all_tried(self, trials, check_value):
        """Whether the trials are on exactly the secret keys that are there, and each AES key failed or cannot be it."""
        secrets = Counter(o for o in self.enumeration.objects if o[0] == "CKO_SECRET_KEY")
        tried = Counter(t[0] for t in trials)
        if set(tried) != set(secrets) or any(tried[o] < n for o, n in secrets.items()):
            return False
        failed = Counter(t[0] for t in trials if t[1] == "failed")
        return all(failed[o] >= n or o[1] != "CKK_AES" or check_value and o[4] and o[4] != check_value
                   for o, n in secrets.items())

    def sample(self, index):
        """opened, failed or not-tried: what the record gives, where it is also what was said."""
        _, said, trials = self.samples[index]
        if not self.at_place:
            return "not-tried"
        if any(t[1] == "opened" for t in trials):
            computed = "opened"
        elif self.whole and self._all_tried(trials, self._check_value(self.sample_requests[index]["key"])):
            computed = "failed"
        else:
            computed = "not-tried"
        return computed if computed == said else "not-tried"

    def _check_value(self, version):
        return self.wanted[version]["check_value"] if version in self.wanted else ""
