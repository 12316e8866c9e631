# A bundle as one zip file, in the one form that docs/spec/certificate.md gives it.
import struct
import zlib

from .base import Bad

LOCAL, CENTRAL, END = b"PK\x03\x04", b"PK\x01\x02", b"PK\x05\x06"
DATE = 0x0021


def _local(name, data):
    return LOCAL + struct.pack("<HHHHHIIIHH", 10, 0, 0, 0, DATE, zlib.crc32(data), len(data), len(data), len(name), 0) + name


def _central(name, data, offset):
    return CENTRAL + struct.pack("<HHHHHHIIIHHHHHII", 10, 10, 0, 0, 0, DATE, zlib.crc32(data), len(data), len(data), len(name), 0,
                                 0, 0, 0, 0, offset) + name


def members(data, most_files, most_bytes):
    """Path -> content. The file must be byte for byte what these members give; Bad otherwise."""
    if len(data) > most_bytes + most_files * 600 + 22:
        raise Bad("bundle", "the zip file is too long")
    out, at, central, last = {}, 0, [], b""
    view = memoryview(data)
    while view[at:at + 4] == LOCAL:
        if len(out) >= most_files:
            raise Bad("bundle", f"the zip file has more than {most_files} members")
        if at + 30 > len(data):
            raise Bad("bundle", "the zip file is cut off")
        size, length = struct.unpack("<I", view[at + 18:at + 22])[0], struct.unpack("<H", view[at + 26:at + 28])[0]
        name, content = bytes(view[at + 30:at + 30 + length]), bytes(view[at + 30 + length:at + 30 + length + size])
        if name <= last or len(name) != length or len(content) != size or any(not 0x21 <= c <= 0x7e for c in name):
            raise Bad("bundle", f"member {len(out) + 1} of the zip file is out of order, cut off or has another name than it may")
        if view[at:at + 30 + length] != _local(name, content):
            raise Bad(name.decode(), "does not stand in the zip file in the form that a bundle has")
        out[name.decode()] = content
        central.append(_central(name, content, at))
        at, last = at + 30 + length + size, name
    directory = b"".join(central)
    end = END + struct.pack("<HHHHIIH", 0, 0, len(out), len(out), len(directory), at, 0)
    if not out or view[at:] != directory + end:
        raise Bad("bundle", "the zip file's directory is not that of its members, or something else stands in it")
    return out
