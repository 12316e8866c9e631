# Distinguished names and times as text.
import re

from . import der

_NAMES = {"2.5.4.3": "CN", "2.5.4.6": "C", "2.5.4.7": "L", "2.5.4.8": "ST", "2.5.4.10": "O", "2.5.4.11": "OU",
          "2.5.4.5": "serialNumber"}


def utc(millis):
    days, rest = divmod(millis, 86400_000)
    z = days + 719468
    era = z // 146097
    doe = z - era * 146097
    yoe = (doe - doe // 1460 + doe // 36524 - doe // 146096) // 365
    doy = doe - (365 * yoe + yoe // 4 - yoe // 100)
    mp = (5 * doy + 2) // 153
    month = mp + (3 if mp < 10 else -9)
    year = yoe + era * 400 + (month <= 2)
    return (f"{year:04}-{month:02}-{doy - (153 * mp + 2) // 5 + 1:02}T{rest // 3600_000:02}:{rest // 60_000 % 60:02}:"
            f"{rest // 1000 % 60:02}.{rest % 1000:03}Z")


def distinguished_name(encoded):
    """As RFC 4514 writes it: the most specific first, what means something in such a text behind a backslash."""
    parts = []
    for rdn in der.parse(encoded).items():
        pairs = []
        for item in rdn.items():
            r = item.reader("a name")
            oid, value = r.next(der.OID).oid(), r.next()
            text = value.content.decode("utf-16-be" if value.tag == 0x1e else "utf-8", "replace")
            text = re.sub(r'^[ #]|[,+"\\<>;]| $', r"\\\g<0>", "".join(c if c.isprintable() else "?" for c in text))
            pairs.append(f"{_NAMES.get(oid, oid)}={text}")
        parts.append("+".join(pairs))
    return ",".join(reversed(parts))
