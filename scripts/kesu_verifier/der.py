# DER, strictly: definite and shortest lengths, no trailing bytes, bounded depth. Only what certificates and CMS need.
from .base import seconds_of

SEQUENCE, SET, INTEGER, BIT_STRING, OCTET_STRING, NULL, OID, BOOLEAN, UTF8_STRING = 0x30, 0x31, 2, 3, 4, 5, 6, 1, 12
UTC_TIME, GENERALIZED_TIME = 0x17, 0x18
MAX_DEPTH = 40


class DerError(Exception):
    """Bytes that are not the one encoding of what was expected."""


class Value:
    """One element: its tag, its content and its whole encoding."""
    __slots__ = ("tag", "content", "whole", "depth")

    def __init__(self, tag, content, whole, depth):
        self.tag, self.content, self.whole, self.depth = tag, content, whole, depth

    def items(self):
        """The elements of a constructed one."""
        if not self.tag & 0x20:
            raise DerError("an element is primitive where others were to stand in it")
        out, at = [], 0
        while at < len(self.content):
            item, at = _read(self.content, at, self.depth + 1)
            out.append(item)
        return out

    def expect(self, tag, what="an element"):
        if self.tag != tag:
            raise DerError(f"{what} has the tag {self.tag:#x}, not {tag:#x}")
        return self

    def reader(self, what="a sequence", tag=SEQUENCE):
        return Reader(self.expect(tag, what).items(), what)

    def integer(self, what="an integer"):
        content = self.expect(INTEGER, what).content
        if not content or len(content) > 1 and (content[0] == 0 and content[1] < 0x80
                                                or content[0] == 0xff and content[1] >= 0x80):
            raise DerError(f"{what} is not in its shortest form")
        if len(content) > 2100:
            raise DerError(f"{what} is too long")
        return int.from_bytes(content, "big", signed=True)

    def boolean(self, what="a boolean"):
        content = self.expect(BOOLEAN, what).content
        if content not in (b"\x00", b"\xff"):
            raise DerError(f"{what} is neither true nor false")
        return content == b"\xff"

    def oid(self, what="an object identifier"):
        content = self.expect(OID, what).content
        if not content or content[-1] & 0x80 or len(content) > 64:
            raise DerError(f"{what} is cut off")
        numbers, number, first = [], 0, True
        for byte in content:
            if first and byte == 0x80:
                raise DerError(f"{what} is not in its shortest form")
            number = number << 7 | byte & 0x7f
            first = not byte & 0x80
            if first:
                numbers.append(number)
                number = 0
        head = min(numbers[0] // 40, 2)
        return ".".join(map(str, [head, numbers[0] - 40 * head, *numbers[1:]]))

    def bits(self, what="a bit string"):
        """Whole bytes."""
        content = self.expect(BIT_STRING, what).content
        if not content or content[0] != 0:
            raise DerError(f"{what} is not of whole bytes")
        return content[1:]

    def named_bits(self, what="a bit string"):
        content = self.expect(BIT_STRING, what).content
        unused = content[0] if content else 8
        if unused > 7 or len(content) == 1 and unused or unused and content[-1] & (1 << unused) - 1:
            raise DerError(f"{what} is malformed")
        if len(content) > 1 and not content[-1] & 1 << unused:
            raise DerError(f"{what} ends with zeros")
        return {8 * i + j for i, byte in enumerate(content[1:]) for j in range(8) if byte & 0x80 >> j}

    def time(self, what="a time"):
        """Milliseconds since 1970. UTCTime to 2049, GeneralizedTime with or without a fraction; Z always."""
        try:
            text = self.content.decode("ascii")
        except UnicodeDecodeError:
            raise DerError(f"{what} is not ASCII") from None
        if self.tag == UTC_TIME and len(text) == 13:
            text = ("19" if text[0] in "56789" else "20") + text
        elif self.tag != GENERALIZED_TIME:
            raise DerError(f"{what} is no time")
        whole, _, fraction = text[:-1].partition(".")
        good = len(whole) == 14 and text.endswith("Z") and (whole + (fraction or "0")).isdigit()
        if not good or ("." in text) != bool(fraction) or fraction.endswith("0") or len(fraction) > 9:
            raise DerError(f"{what} is not in the form that DER asks for")
        seconds = seconds_of(int(whole[:4]), *(int(whole[i:i + 2]) for i in range(4, 14, 2)))
        if seconds is None:
            raise DerError(f"{what} is not in the calendar")
        return seconds * 1000 + int((fraction + "000")[:3])


def small_number(content, what="a number"):
    """A whole number of at most five bytes in its shortest form, whatever its tag."""
    if not 1 <= len(content) <= 5 or content[0] & 0x80 or len(content) > 1 and content[0] == 0 and content[1] < 0x80:
        raise DerError(f"{what} is no small whole number")
    return int.from_bytes(content, "big")


class Reader:
    """The elements of a sequence, one after the other."""

    def __init__(self, items, what):
        self.rest, self.what = list(reversed(items)), what

    def next(self, tag=None, what=None):
        if not self.rest:
            raise DerError(f"{self.what} ends before {what or 'an element'}")
        item = self.rest.pop()
        return item if tag is None else item.expect(tag, what or self.what)

    def optional(self, tag):
        return self.rest.pop() if self.rest and self.rest[-1].tag == tag else None

    def end(self):
        if self.rest:
            raise DerError(f"{self.what} has more elements than it may")


def _read(data, at, depth):
    if depth > MAX_DEPTH:
        raise DerError("elements are nested too deep")
    if at + 2 > len(data):
        raise DerError("an element is cut off")
    tag, length, begin = data[at], data[at + 1], at + 2
    if tag & 0x1f == 0x1f:
        raise DerError("a tag has more than one byte")
    if length & 0x80:
        n = length & 0x7f
        if not 1 <= n <= 4 or begin + n > len(data):
            raise DerError("a length is indefinite, too long or cut off")
        length = int.from_bytes(data[begin:begin + n], "big")
        if length < 0x80 or data[begin] == 0:
            raise DerError("a length is not in its shortest form")
        begin += n
    if begin + length > len(data):
        raise DerError("an element is cut off")
    return Value(tag, data[begin:begin + length], data[at:begin + length], depth), begin + length


def parse(data):
    """The one element that the bytes are."""
    value, end = _read(bytes(data), 0, 0)
    if end != len(data):
        raise DerError("bytes follow the last element")
    return value


def wrap(tag, content):
    """The encoding of one element."""
    n = len(content)
    if n < 0x80:
        return bytes([tag, n]) + content
    length = n.to_bytes((n.bit_length() + 7) // 8, "big")
    return bytes([tag, 0x80 | len(length)]) + length + content
