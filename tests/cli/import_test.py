"""Keys that were made elsewhere: imported with their origin as an open copy, adopted where they lie; what the vault has
ever known is refused, whatever it is called."""
import os
import pathlib
import sys

sys.path.insert(0, str(pathlib.Path(__file__).parents[1] / "support"))
import scenario


class Import(scenario.World):
    material = bytes(range(7, 39))

    def key_file(self, data=None, name="key.bin", mode=0o600):
        path = self.box.state / name
        path.write_bytes(self.material if data is None else data)
        path.chmod(mode)
        return f"file:{path}"

    def bring(self, name, source, **options):
        return self.box.kesu("key", "import", name, "--from", source, "--origin-place", "safe 2", "--custodian", "C",
                             **options)

    def test_import_seals_opens_and_is_erased(self):
        made = self.bring("legacy", self.key_file()).json
        version, = made["versions"]
        self.assertEqual((version["origin"], version["state"]), ("imported", "active"))
        copy, = self.box.kesu("copy", "list").json
        self.assertEqual((copy["id"], copy["kind"], copy["state"]), (made["copy"], "import-origin", "open"))
        kinds = [e["type"] for e in self.entries()]
        self.assertEqual(kinds[-3:], ["key-intended", "copy-registered", "key-created"])
        self.box.kesu("dataset", "add", "old", "--key", "legacy", "--chunk", str(scenario.CHUNK))
        self.seal("old", {"a.txt": b"one"})
        self.assertEqual(list(self.opened(self.out).values()), [b"one"])
        self.plan("old", code=3)
        self.box.kesu("copy", "destroy", made["copy"], "--how", "shredded", "--as", scenario.OPERATOR)
        self.run_erasure(self.approved("old"))
        for name in ("legacy", "other"):                                   # dead material never comes back
            source = self.key_file(self.material.hex().encode() + b"\n")
            if name == "other":
                error = self.bring(name, source, code=3, error="key-known").json["error"]
                self.assertIn("legacy.1, destroyed on", error["message"])
            else:
                self.bring(name, source, code=3, error="already-exists")
        self.box.kesu("ledger", "verify")
        self.assertNotIn(self.material.hex(), str(self.entries()))

    def test_living_material_is_not_there_twice(self):
        self.bring("legacy", self.key_file())
        before = self.entries()
        error = self.bring("again", self.key_file(), code=3, error="key-known").json["error"]
        self.assertIn("legacy.1, which is active", error["message"])
        self.nothing_changed(before)

    def test_sources(self):
        before = self.entries()
        for data in (b"", b"short", os.urandom(31), os.urandom(33), b"a" * 32, bytes(32), b"00" * 32, b"zz" * 32, b"ab" * 31):
            self.bring("bad", self.key_file(data), code=(2,))
        self.bring("bad", self.key_file(mode=0o644), code=3, error="pin-source-unsafe")
        self.bring("bad", "file:/nowhere/key", code=2)
        self.bring("bad", "env:NOT_THERE", code=2)
        self.nothing_changed(before)
        self.bring("hex", "env:KESU_TEST_KEY", env={"KESU_TEST_KEY": os.urandom(32).hex()})
        with_line_feeds = bytes([10, 13]) + os.urandom(28) + bytes([13, 10])
        self.bring("raw", self.key_file(with_line_feeds))
        error = self.bring("same", self.key_file(with_line_feeds.hex().encode()), code=3, error="key-known").json["error"]
        self.assertIn("raw.1", error["message"])

    def test_material_that_is_met_again_is_on_record(self):
        made = self.bring("legacy", self.key_file()).json
        legacy = self.version_of("legacy")
        self.box.kesu("dataset", "add", "old", "--key", "legacy", "--chunk", str(scenario.CHUNK))
        self.seal("old", {"a.txt": b"one"})
        before = self.entries()
        self.bring("again", self.key_file(), code=3, error="key-known")
        self.nothing_changed(before)                                       # its origin is an open copy already
        self.box.kesu("copy", "destroy", made["copy"], "--how", "shredded", "--as", scenario.OPERATOR)
        self.assertEqual(self.plan("old")["blockers"], [])
        for _ in range(2):                                                 # it was not: it is offered again
            self.bring("again", self.key_file(), code=3, error="key-known")
        copy, = [c for c in self.box.kesu("copy", "list").json if c["state"] == "open"]
        self.assertEqual((copy["kind"], [v["version"] for v in copy["versions"]]), ("import-origin", [legacy]))
        blocker, = self.plan("old", code=3)["blockers"]
        self.assertIn(copy["id"], blocker["what"])
        self.box.kesu("copy", "destroy", copy["id"], "--how", "shredded", "--as", scenario.OPERATOR)
        # And it stands in the token under another name.
        self.key_file()
        self.pkcs11_tool("--write-object", self.box.state / "key.bin", "--type", "secrkey", "--key-type", "AES:32", "--label", "twin",
                         "--id", "a1b4", "--sensitive", "--usage-decrypt")
        self.adopt("twin", "pkcs11:token=kesu-test;object=twin", code=3, error="key-known")
        copy, = [c for c in self.box.kesu("copy", "list").json if c["state"] == "open"]
        self.assertEqual((copy["kind"], copy["place"]), ("replica", "provider hsm1, object twin"))
        self.assertEqual([e["type"] for e in self.entries() if e["type"] == "finding-recorded"], [])

    def test_dead_material_that_is_met_again_is_a_finding(self):
        made = self.bring("legacy", self.key_file()).json
        self.box.kesu("copy", "destroy", made["copy"], "--how", "shredded", "--as", scenario.OPERATOR)
        self.box.kesu("key", "destroy", "legacy", "-y")
        self.bring("again", self.key_file(), code=3, error="key-known")
        found, = [e for e in self.entries() if e["type"] == "finding-recorded"]
        self.assertEqual((found["body"]["what"], found["nodes"][0]["id"]), ("destroyed-key-back", self.version_of("legacy")))
        self.assertEqual(len([c for c in self.box.kesu("copy", "list").json if c["state"] == "open"]), 1)

    def adopt(self, name, uri, **options):
        return self.box.kesu("key", "adopt", name, uri, **options)

    def test_adopt(self):
        self.pkcs11_tool("--keygen", "--key-type", "AES:32", "--label", "archive", "--id", "a1b2", "--sensitive")
        uri = "pkcs11:token=kesu-test;object=archive"
        before = self.entries()
        self.adopt("x", "pkcs11:token=kesu-test;object=nothing", code=(3, 5))
        self.adopt("x", "pkcs11:token=other;object=archive", code=2, error="not-found")
        self.adopt("x", f"pkcs11:token=kesu-test;object=kesu:{self.version_of('loans')}", code=3)
        # Nor a key of another vault that stands in the same token.
        other = f"kesu:key-{'ab' * 16}.1"
        self.pkcs11_tool("--keygen", "--key-type", "AES:32", "--label", other, "--id", "a1b3", "--sensitive")
        self.adopt("x", f"pkcs11:token=kesu-test;object={other}", code=3, error="key-known")
        self.nothing_changed(before)
        version, = self.adopt("archive", uri).json["versions"]
        self.assertEqual((version["origin"], version["provider_ref"]), ("adopted", "archive"))
        new = self.entries()[len(before):]
        self.assertEqual([e["type"] for e in new], ["key-intended", "key-created"])
        self.adopt("again", uri, code=3, error="already-exists")
        self.box.kesu("dataset", "add", "old", "--key", "archive", "--chunk", str(scenario.CHUNK))
        self.seal("old", {"a.txt": b"one"})
        self.assertEqual(list(self.opened(self.out).values()), [b"one"])
        self.run_erasure(self.approved("old"))
        self.assertNotIn("archive", self.token_labels())


if __name__ == "__main__":
    scenario.main()
