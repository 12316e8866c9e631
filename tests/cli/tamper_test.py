"""Sealed files that somebody altered, cut, spliced or swapped: exit 6, each named, and nothing under the final name."""
import os
import pathlib
import shutil
import sys

sys.path.insert(0, str(pathlib.Path(__file__).parents[1] / "support"))
import scenario
from scenario import CHUNK

HEADER = 4096


class Tamper(scenario.World):
    @classmethod
    def prepare(cls):
        cls.seal("loans-2019", {"one": b"x", "three": b"".join(bytes([c]) * CHUNK for c in b"abc"), "twin": b"y",
                                "empty": b""})
        cls.sealed = {n: (cls.out / "src" / f"{n}.kesu").read_bytes() for n in ("one", "three", "twin", "empty")}
        data = cls.sealed["three"]
        record0 = int.from_bytes(data[64:68], "big")
        cls.first = HEADER + record0                      # offset of chunk 0 in all of them: their names are short
        assert len(data) == cls.first + 3 * (CHUNK + 16)

    def setUp(self):
        super().setUp()
        self.altered = self.box.path / "altered"
        self.target = self.box.path / "opened"
        for path in (self.altered, self.target):
            shutil.rmtree(path, ignore_errors=True)
        self.altered.mkdir()

    def put(self, name, data):
        (self.altered / f"{name}.kesu").write_bytes(bytes(data))

    def all_damaged(self, count=None):
        """One command opens all that were put: every one is refused as damaged, and nothing stands."""
        names = sorted(p.name for p in self.altered.iterdir())
        self.assertEqual(len(names), count or len(names))
        result = self.box.kesu("open", self.altered, "-o", self.target, code=6)
        if len(names) == 1:
            self.assertEqual(result.error_code, "sealed-damaged")
            self.assertIn(names[0], result.json["error"]["message"])
        else:
            report = result.json
            self.assertEqual(report["opened"], 0)
            self.assertEqual({os.path.basename(f["path"]): f["code"] for f in report["failed"]},
                             dict.fromkeys(names, "sealed-damaged"))
        self.assertEqual(self.files_below(self.target), {})

    def test_every_byte_of_a_small_object(self):
        data = self.sealed["one"]
        for at in range(len(data)):
            self.put(at, data[:at] + bytes([data[at] ^ 1 << at % 8]) + data[at + 1:])
        self.all_damaged(len(data))

    def test_every_length(self):
        data = self.sealed["three"]
        cuts = {*range(0, 17), 127, 128, 1024, HEADER - 1, HEADER, HEADER + 1, self.first - 1, self.first, len(data) - 1,
                len(data) - 16, len(data) - 17, *(self.first + k * (CHUNK + 16) + d for k in (1, 2) for d in (-1, 0, 1))}
        for cut in cuts:
            self.put(f"cut-{cut}", data[:cut])
        for more in (b"\0", b"\0" * 16, b"\0" * 4096, data[-CHUNK - 16:], data):
            self.put(f"longer-{len(more)}", data + more)
        self.all_damaged(len(cuts) + 5)

    def test_chunks_moved_dropped_doubled(self):
        data, size = self.sealed["three"], CHUNK + 16
        head = data[:self.first]
        chunk = [data[self.first + k * size:self.first + (k + 1) * size] for k in range(3)]
        for order in ((1, 0, 2), (0, 2, 1), (2, 1, 0), (0, 1), (0, 2), (2,), (0, 0, 2), (0, 1, 1, 2), (0, 1, 2, 2)):
            self.put("".join(map(str, order)), head + b"".join(chunk[k] for k in order))
        self.all_damaged(9)

    def test_copies_of_one_object(self):
        # One of them is opened; of the others none disturbs another, whichever thread has it.
        self.seal("loans-2019", {"wide": bytes(3 << 20)})
        data = (self.out / "src" / "wide.kesu").read_bytes()
        for i in range(40):
            self.put(f"copy-{i:02}", data)
        report = self.box.kesu("open", self.altered, "-o", self.target, code=8, env={"KESU_THREADS": 8}).json
        self.assertEqual(report["opened"], 1)
        self.assertEqual([f["code"] for f in report["failed"]], ["already-exists"] * 39)
        self.assertEqual(list(self.files_below(self.target)), ["src/wide"])

    def test_parts_of_other_objects(self):
        one, twin = self.sealed["one"], self.sealed["twin"]
        self.put("header", twin[:HEADER] + one[HEADER:])
        self.put("immutable", twin[:1024] + one[1024:])
        self.put("slot", one[:1024] + twin[1024:2048] + one[2048:])
        self.put("slot-as-second", one[:2048] + twin[1024:2048] + one[3072:])
        self.put("metadata", one[:HEADER] + twin[HEADER:self.first] + one[self.first:])
        self.put("payload", one[:self.first] + twin[self.first:])
        self.put("empty-payload", one[:self.first] + self.sealed["empty"][self.first:])
        self.put("no-slot", one[:1024] + bytes(2048) + one[3072:])
        self.put("no-object", b"")
        self.put("text", b"loans\n" * 1000)
        self.all_damaged(10)

    def test_one_alone_names_itself(self):
        data = bytearray(self.sealed["three"])
        data[-1] ^= 1
        self.put("last", data)
        self.all_damaged(1)

    def test_the_others_are_opened(self):
        self.put("bad", self.sealed["one"][:-1])
        self.put("good", self.sealed["twin"])
        report = self.box.kesu("open", self.altered, "-o", self.target, code=6).json
        self.assertEqual((report["opened"], [f["code"] for f in report["failed"]]), (1, ["sealed-damaged"]))
        self.assertEqual(self.files_below(self.target), {"src/twin": b"y"})

    def test_damage_does_not_touch_what_is_there(self):
        data = bytearray(self.sealed["three"])
        data[-1] ^= 1
        self.put("last", data)
        (self.target / "src").mkdir(parents=True)
        (self.target / "src" / "three").write_bytes(b"mine")
        self.box.kesu("open", self.altered, "-o", self.target, "--force", code=6, error="sealed-damaged")
        self.assertEqual(self.files_below(self.target), {"src/three": b"mine"})

    def test_the_file_name_is_not_believed(self):
        # The name inside is authenticated; that of the file is anybody's.
        self.put("..%2f..%2fetc%2fpasswd", self.sealed["one"])
        link = self.altered / "link.kesu"
        link.symlink_to(self.out / "src" / "twin.kesu")
        self.box.kesu("open", self.altered, "-o", self.target)
        self.assertEqual(self.files_below(self.target), {"src/one": b"x"})

    def test_object_of_another_vault(self):
        theirs = self.box.state / "theirs"
        genesis = self.write_genesis(self.box.state / "theirs.json", self.officers)
        mine, self.box.vault = self.box.vault, theirs
        try:
            self.box.token("theirs")
            self.box.kesu("init", theirs, "--genesis", genesis, "--provider", self.box.token_uri, vault=False)
            self.box.kesu("key", "create", "loans")
            self.box.kesu("dataset", "add", "loans-2019", "--key", "loans")
            self.box.kesu("seal", "loans-2019", self.write("one"), "-o", self.altered)
        finally:
            self.box.vault = mine
            self.box.token()
        error = self.box.kesu("open", self.altered, "-o", self.target, code=3, error="state-refused").json["error"]
        self.assertIn("another vault", error["message"])
        self.assertEqual(self.files_below(self.target), {})

    def test_open_after_erasure(self):
        erasure = self.approved("loans-2019")
        # Frozen: it takes nothing new, and opens.
        self.assertEqual(self.opened(self.out)["src/one"], b"x")
        self.box.kesu("seal", "loans-2019", self.write("new"), "-o", self.out, code=3, error="frozen")
        self.run_erasure(erasure)
        one = self.out / "src" / "one.kesu"
        shutil.rmtree(self.target, ignore_errors=True)
        error = self.box.kesu("open", one, "-o", self.target, code=3, error="state-refused").json["error"]
        self.assertIn(erasure, error["message"])
        self.box.kesu("open", self.out, "-o", self.target, code=3)
        self.assertEqual(self.files_below(self.target), {})
        self.box.kesu("inventory", "list", "loans-2019", code=3, error="state-refused")
        self.box.kesu("seal", "loans-2019", self.write("new"), "-o", self.out, code=3, error="state-refused")
        self.assertEqual(self.box.kesu("info", one).json["slots"][0]["state"], "destroyed")


if __name__ == "__main__":
    scenario.main()
