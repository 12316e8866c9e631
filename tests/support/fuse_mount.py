"""A file system of the kind that sshfs, s3fs and others are (FUSE), empty: to show that a vault is refused there.

Speaks the kernel's protocol (linux/fuse.h) itself, as much as looking at an empty directory needs.
"""
import ctypes
import errno
import os
import stat
import struct
import threading

import places

LOOKUP, FORGET, GETATTR, STATFS, RELEASE, INIT, OPENDIR, READDIR, RELEASEDIR, ACCESS = 1, 2, 3, 17, 18, 26, 27, 28, 29, 34


class Mount:
    def __init__(self, place):
        self.place = os.fspath(place)
        try:
            self.fd = os.open("/dev/fuse", os.O_RDWR)
        except OSError as error:
            raise places.Unusable(f"/dev/fuse: {error.strerror}") from None
        options = f"fd={self.fd},rootmode=40000,user_id=0,group_id=0".encode()
        libc = ctypes.CDLL(None, use_errno=True)
        if libc.mount(b"kesu-test", self.place.encode(), b"fuse", 0, options):
            why = os.strerror(ctypes.get_errno())
            os.close(self.fd)
            raise places.Unusable(f"mounting a FUSE file system: {why}")
        threading.Thread(target=self.serve, daemon=True).start()

    def serve(self):
        root = struct.pack("=QQQQQQIIIIIIIIII", 1, 0, 0, 0, 0, 0, 0, 0, 0, stat.S_IFDIR | 0o755, 2, 0, 0, 0, 4096, 0)
        while True:
            try:
                request = os.read(self.fd, 1 << 20)
            except OSError:                        # unmounted
                return
            _, opcode, unique, _ = struct.unpack_from("=IIQQ", request)
            if opcode == FORGET:
                continue
            error, answer = 0, b""
            if opcode == INIT:
                answer = struct.pack("=IIIIHHIIHHI7I", 7, 31, 0, 0, 1, 1, 4096, 1, 0, 0, 0, *[0] * 7)
            elif opcode == GETATTR:
                answer = struct.pack("=QII", 0, 0, 0) + root
            elif opcode == STATFS:
                answer = struct.pack("=QQQQQIIII6I", 1 << 20, 1 << 20, 1 << 20, 1 << 20, 1 << 20, 4096, 255, 4096, 0, *[0] * 6)
            elif opcode == OPENDIR:
                answer = struct.pack("=QII", 1, 0, 0)
            elif opcode == LOOKUP:
                error = errno.ENOENT
            elif opcode not in (ACCESS, READDIR, RELEASEDIR, RELEASE):
                error = errno.EROFS
            os.write(self.fd, struct.pack("=IiQ", 16 + len(answer), -error, unique) + answer)

    def close(self):
        places.unmount(self.place)
        os.close(self.fd)
