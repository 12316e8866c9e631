# What every part of the verifier rests on: named errors, canonical JSON (RFC 8785), identifiers, times.
import base64
import hashlib
import json
import re

MAX_INT = 2 ** 53 - 1
MAX_JSON = 64 << 20
MAX_DEPTH = 32
# Identifiers are a prefix and 128 bits; a key version is a key and a number from 1 (docs/spec/ledger.md).
ID = re.compile(r"(vlt|prv|key|ds|dsk|obj|bat|prc|era|cer|cpy|hld|doc|opr)-[0-9a-f]{32}")
VERSION = re.compile(r"key-[0-9a-f]{32}\.[1-9][0-9]{0,9}")
HEX64 = re.compile(r"[0-9a-f]{64}")
HEX128 = re.compile(r"[0-9a-f]{128}")
TIME = re.compile(r"([0-9]{4})-([0-9]{2})-([0-9]{2})T([0-9]{2}):([0-9]{2}):([0-9]{2})\.([0-9]{3})Z")


class Bad(Exception):
    """A part of the bundle that is not as it has to be. `part` is a path in the bundle."""

    def __init__(self, part, what):
        super().__init__(f"{part}: {what}")
        self.part, self.what = part, what


class Usage(Exception):
    """What the reader asked for cannot be done: options, trust file, tables. Exit code 2."""


def sha256(data):
    return hashlib.sha256(data).digest()


def sha256_hex(data):
    return hashlib.sha256(data).hexdigest()


def sha512_hex(data):
    return hashlib.sha512(data).hexdigest()


# JSON.

def _too_deep(text):
    """Whether brackets nest deeper than a reader's limit, told without recursion."""
    depth = deepest = 0
    for piece in re.finditer(r'"(?:[^"\\]|\\.)*"?|[\[{]|[\]}]', text):
        first = piece.group()[0]
        if first in "[{":
            depth += 1
            deepest = max(deepest, depth)
            if deepest > MAX_DEPTH:
                return True
        elif first in "]}":
            depth -= 1
    return False


def _pairs(pairs):
    out = dict(pairs)
    if len(out) != len(pairs):
        seen = set()
        for name, _ in pairs:
            if name in seen:
                raise ValueError(f'the member "{name[:60]}" stands twice')
            seen.add(name)
    return out


def _integer(text):
    if len(text) > 17 or abs(int(text)) > MAX_INT:
        raise ValueError("a number is beyond 2^53 - 1")
    return int(text)


def _no_number(text):
    raise ValueError("a number is not an integer")


_decoder = json.JSONDecoder(object_pairs_hook=_pairs, parse_int=_integer, parse_float=_no_number,
                            parse_constant=_no_number)


def parse_json(data, part, canonical=False, limit=MAX_JSON):
    """One JSON value; duplicates, other numbers than integers, depth and size are refused."""
    if len(data) > limit:
        raise Bad(part, f"is longer than {limit} bytes")
    try:
        text = data.decode("utf-8")
    except UnicodeDecodeError:
        raise Bad(part, "is not UTF-8") from None
    if len(text) > MAX_DEPTH and _too_deep(text):
        raise Bad(part, f"is nested more than {MAX_DEPTH} levels deep")
    try:
        value = _decoder.decode(text)
        text.encode("utf-8")
        again = canonical_json(value)  # also finds surrogates that stand alone
    except UnicodeEncodeError:
        raise Bad(part, "has half a surrogate pair") from None
    except (ValueError, RecursionError) as error:
        raise Bad(part, f"is not JSON: {error}") from None
    if canonical and again != data:
        raise Bad(part, "is not canonical JSON")
    return value


def _in_order(value):
    if isinstance(value, dict):
        names = sorted(value, key=lambda name: name.encode("utf-16-be", "surrogatepass"))
        return {name: _in_order(value[name]) for name in names}
    if isinstance(value, list):
        return [_in_order(item) for item in value]
    return value


def canonical_json(value):
    return json.dumps(_in_order(value), ensure_ascii=False, separators=(",", ":")).encode("utf-8")


def readable_json(value):
    """The form of statements: as canonical, but indented by two spaces and ended by a line feed."""
    return (json.dumps(_in_order(value), ensure_ascii=False, indent=2) + "\n").encode("utf-8")


_KINDS = {"text": str, "list": list, "object": dict, "bool": bool}


def is_kind(value, kind):
    if kind == "number":
        return isinstance(value, int) and not isinstance(value, bool)
    if kind == "texts":
        return isinstance(value, list) and all(isinstance(item, str) for item in value)
    if kind == "objects":
        return isinstance(value, list) and all(isinstance(item, dict) for item in value)
    if kind == "digest":
        return isinstance(value, str) and HEX64.fullmatch(value) is not None
    if kind == "time":
        return isinstance(value, str) and millis_or_none(value) is not None
    return isinstance(value, _KINDS[kind])


def member(value, name, kind, part):
    """A member of an object that must be there and of that kind."""
    if not isinstance(value, dict) or name not in value:
        raise Bad(part, f"{name} is missing")
    if not is_kind(value[name], kind):
        raise Bad(part, f"{name} is not a {kind}")
    return value[name]


def maybe(value, name, kind, default=None):
    """A member where it is there and of that kind; a reader of entries ignores what it does not know."""
    found = value.get(name) if isinstance(value, dict) else None
    return found if found is not None and is_kind(found, kind) else default


def same_json(left, right):
    """Equality that does not take true for 1."""
    return canonical_json(left) == canonical_json(right)


def first_difference(left, right, path=""):
    """Where two JSON values differ first, as certificate.json's paths are written; None where they do not."""
    if isinstance(left, dict) and isinstance(right, dict):
        for name in sorted(set(left) | set(right)):
            below = f"{path}.{name}" if path else name
            if name not in left or name not in right:
                return below
            found = first_difference(left[name], right[name], below)
            if found:
                return found
        return None
    if isinstance(left, list) and isinstance(right, list) and len(left) == len(right):
        for index, pair in enumerate(zip(left, right)):
            found = first_difference(*pair, f"{path}[{index}]")
            if found:
                return found
        return None
    return None if same_json(left, right) else path


# Times are milliseconds since 1970, UTC.

def days_from_civil(year, month, day):
    year -= month <= 2
    era = year // 400
    yoe = year - era * 400
    doy = (153 * (month + (-3 if month > 2 else 9)) + 2) // 5 + day - 1
    return era * 146097 + yoe * 365 + yoe // 4 - yoe // 100 + doy - 719468


def seconds_of(year, month, day, hour, minute, second):
    """None where there is no such day or time."""
    lengths = (31, 29 if year % 4 == 0 and (year % 100 or year % 400 == 0) else 28, 31, 30, 31, 30, 31, 31, 30, 31,
               30, 31)
    if not (1 <= month <= 12 and 1 <= day <= lengths[month - 1] and hour < 24 and minute < 60 and second < 60):
        return None
    return ((days_from_civil(year, month, day) * 24 + hour) * 60 + minute) * 60 + second


def millis_or_none(text):
    found = TIME.fullmatch(text)
    if not found:
        return None
    *fields, milliseconds = map(int, found.groups())
    seconds = seconds_of(*fields)
    return None if seconds is None else seconds * 1000 + milliseconds


def is_id(text, *kinds):
    found = ID.fullmatch(text) if isinstance(text, str) else None
    return bool(found) and (not kinds or found[1] in kinds)


def is_version(text):
    return isinstance(text, str) and VERSION.fullmatch(text) is not None and int(text.rpartition(".")[2]) < 2 ** 32


def base64_strict(text, padded=True):
    """Bytes, or None where the text is not the one form of Base64."""
    try:
        data = base64.b64decode(text if padded else text + "=" * (-len(text) % 4), validate=True)
    except (ValueError, TypeError):
        return None
    again = base64.b64encode(data).decode()
    return data if (again if padded else again.rstrip("=")) == text else None


def counted(n, word, plural=None):
    return f"{n} {word if n == 1 else plural or word + 's'}"
