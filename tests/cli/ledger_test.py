"""`kesu ledger verify` as a hostile auditor tests it: every kind of tampering with a vault's files is found and named."""
import json
import pathlib
import re
import shutil
import sqlite3
import sys

sys.path.insert(0, str(pathlib.Path(__file__).parents[1] / "support"))
import scenario


class Ledger(scenario.World):
    @classmethod
    def prepare(cls):
        cls.seal("loans-2019", {"a": b"one", "b": b"two"})
        cls.box.kesu("key", "rotate", "loans")
        cls.box.kesu("open", cls.out, "-o", cls.box.path / "opened")
        cls.entry_count = len(cls.box.kesu("ledger", "show").json)
        with cls.sqlite() as db:  # into one file, so that a copy of ledger.db is the ledger
            db.execute("PRAGMA wal_checkpoint(TRUNCATE)")

    @classmethod
    def sqlite(cls, name="ledger.db"):
        return sqlite3.connect(cls.box.vault / name, isolation_level=None)

    def sql(self, *statements, name="ledger.db"):
        with self.sqlite(name) as db:
            for statement in statements:
                db.execute(*statement) if isinstance(statement, tuple) else db.execute(statement)
        db.close()

    def broken(self, *named):
        """Verification fails with exit 6; each text stands in some finding. Returns the findings as text."""
        result = self.box.kesu("ledger", "verify", code=6)
        report = result.json
        self.assertEqual(sorted(report), ["blobs", "checkpoints", "entries", "findings", "notes", "ok", "registers", "root",
                                          "segments"])
        self.assertFalse(report["ok"])
        found = [f"{f['what']}: {f['why']}" for f in report["findings"]]
        for text in named:
            self.assertTrue(any(text in f for f in found), f"{text!r} is not named in {found}")
        self.assertIn("NOT whole", self.box.text("ledger", "verify", code=6).stdout)
        return found

    def whole(self):
        report = self.box.kesu("ledger", "verify").json
        self.assertEqual((report["ok"], report["findings"]), (True, []))
        return report

    def test_whole(self):
        report = self.whole()
        segments = len(list((self.box.vault / "inventory").glob("*/*.seg")))
        self.assertGreater(segments, 0)
        self.assertEqual((report["entries"], report["notes"], report["segments"]), (self.entry_count, [], segments))
        self.assertRegex(report["root"], "^[0-9a-f]{64}$")
        self.assertEqual(self.whole(), report)

    # Entries.

    def test_every_entry_changed(self):
        for seq in range(self.entry_count):
            with self.subTest(seq):
                self.box.restore("prepared")
                self.sql(("UPDATE entries SET body = replace(body, '\"', '\" ') WHERE seq = ?", (seq,)) if seq % 2 else
                         ("UPDATE entries SET salt = zeroblob(16) WHERE seq = ?", (seq,)))
                found = self.broken(f"entry {seq}:")
                others = [f for f in found if (m := re.match(r"entry (\d+):", f)) and int(m[1]) != seq]
                self.assertEqual(others, [])

    def test_header_changed(self):
        self.sql("UPDATE entries SET header = replace(header, '\"key-created\"', '\"key-adopted\"')")
        self.broken("entry")

    def test_changed_with_its_leaf(self):
        # Whoever also computes the leaf again is caught by the checkpoint after it.
        import hashlib
        with self.sqlite() as db:
            header, salt, body = db.execute("SELECT header, salt, body FROM entries WHERE seq = 9").fetchone()
            body = json.dumps(json.loads(body) | {"zz": 1}, separators=(",", ":"), ensure_ascii=False)
            digest = hashlib.sha256(bytes(salt) + body.encode()).digest()
            leaf = hashlib.sha256(b"\0" + header.encode() + digest).digest()
            db.execute("UPDATE entries SET body = ?, leaf = ? WHERE seq = 9", (body, leaf))
        db.close()
        found = self.broken("checkpoint")
        self.assertFalse([f for f in found if f.startswith("entry 9:")], "the test's own leaf hash is not the ledger's")

    def test_removed(self):
        last = self.entry_count - 1
        for seq in (0, 1, 7, last):
            with self.subTest(seq):
                self.box.restore("prepared")
                self.sql(("DELETE FROM entries WHERE seq = ?", (seq,)))
                self.broken(f"entry {seq}: missing")

    def test_end_cut_off_with_the_tree_head(self):
        self.sql("DELETE FROM entries WHERE seq >= 12", "UPDATE head SET size = 12")
        self.broken("removed from the end")

    def test_inserted(self):
        self.sql("INSERT INTO entries SELECT seq + 1, header, salt, leaf, body FROM entries ORDER BY seq DESC LIMIT 1")
        self.broken(f"entry {self.entry_count}")
        self.box.restore("prepared")
        self.sql("INSERT INTO entries SELECT -1, header, salt, leaf, body FROM entries WHERE seq = 0")
        self.broken("entry -1")

    def test_reordered(self):
        self.sql("UPDATE entries SET seq = -10 WHERE seq = 8", "UPDATE entries SET seq = 8 WHERE seq = 9",
                 "UPDATE entries SET seq = 9 WHERE seq = -10")
        self.broken("entry 8", "entry 9", "stands at another place")

    def test_checkpoints(self):
        self.sql("UPDATE checkpoints SET note = replace(note, 'bank.example', 'bonk.example')")
        self.broken("checkpoint")
        self.box.restore("prepared")
        with self.sqlite() as db:
            note = db.execute("SELECT note FROM checkpoints ORDER BY size LIMIT 1").fetchone()[0]
            at = note.rindex(" ") + 12
            other = note[:at] + ("A" if note[at] != "A" else "B") + note[at + 1:]
            db.execute("UPDATE checkpoints SET note = ? WHERE note = ?", (other, note))
        db.close()
        self.broken("checkpoint")

    def test_derived_tables(self):
        for statement in ("UPDATE head SET subtrees = zeroblob(length(subtrees))", "DELETE FROM head",
                          "UPDATE streams SET version = version + 1 WHERE id LIKE 'key-%'", "DELETE FROM streams",
                          "UPDATE head SET time = time + 1"):
            with self.subTest(statement):
                self.box.restore("prepared")
                self.sql(statement)
                self.broken()

    def test_torn_database(self):
        path = self.box.vault / "ledger.db"
        size = path.stat().st_size
        for at in range(4096, size, 4096):
            with self.subTest(at):
                self.box.restore("prepared")
                with open(path, "r+b") as file:
                    file.seek(at)
                    file.write(b"\xa5" * 512)
                result = self.box.kesu("ledger", "verify", code=(0, 6), timeout=30)
                if result.code == 0:  # a page that holds nothing any more
                    self.assertEqual(result.json["entries"], self.entry_count)
                    self.assertTrue(result.json["ok"])
        self.box.restore("prepared")
        path.write_bytes(path.read_bytes()[:size // 2])
        self.box.kesu("ledger", "verify", code=6)
        path.write_bytes(b"")
        self.box.kesu("ledger", "verify", code=(2, 5, 6))
        path.unlink()
        self.assertNotEqual(self.box.kesu("ledger", "verify", code=None).code, 0)

    # Evidence and inventory.

    def test_every_blob_altered_and_removed(self):
        for blob in sorted((self.box.vault / "evidence").iterdir()):
            with self.subTest(blob.name):
                data = blob.read_bytes()
                blob.write_bytes(bytes([data[0] ^ 1]) + data[1:])
                self.broken(f"blob {blob.name}")
                blob.unlink()
                self.broken(f"blob {blob.name}: missing")
                blob.write_bytes(data)
        self.whole()

    def test_a_blob_too_many_is_a_note(self):
        stray = self.box.vault / "evidence" / ("0" * 64)
        stray.write_bytes(b"x")
        report = self.box.kesu("ledger", "verify", code=(0, 6)).json
        self.assertIn("0" * 64, json.dumps(report["notes"] + report["findings"]))

    def test_segment_altered_and_removed(self):
        segment, *_ = (self.box.vault / "inventory").glob("*/*.seg")
        data = segment.read_bytes()
        for at in (0, len(data) // 2, len(data) - 1):
            segment.write_bytes(data[:at] + bytes([data[at] ^ 0x80]) + data[at + 1:])
            self.broken(segment.stem)
        segment.unlink()
        self.broken(segment.stem, "missing")

    # Registers.

    def views(self):
        return [self.box.kesu(*w).json for w in (("key", "list"), ("dataset", "list"), ("status",), ("provider", "list"),
                                                 ("dataset", "show", "loans-2019"), ("erase", "list"))]

    def test_registers_may_be_deleted(self):
        self.approved("loans-2019")
        self.box.kesu("ledger", "checkpoint")
        before = self.views()
        registers = self.box.vault / "registers.db"
        for what in ("deleted", "empty", "rubbish", "unreadable rows"):
            with self.subTest(what):
                if what == "deleted":
                    registers.unlink()
                elif what == "unreadable rows":
                    self.sql("UPDATE rows SET json = '{}'", name="registers.db")
                else:
                    registers.write_bytes(b"" if what == "empty" else b"rubbish" * 1000)
                self.assertEqual(self.views(), before)
                registers.unlink(missing_ok=True)
                self.box.kesu("ledger", "checkpoint")
                self.assertEqual(self.views(), before)
        self.whole()

    def test_altered_registers_are_named(self):
        before = self.whole()["registers"]
        self.assertGreater(before, 5)
        for statement, named in (("UPDATE rows SET json = replace(json, '\"active\"', '\"destroyed\"') WHERE kind = 'key'", "register key"),
                                 ("DELETE FROM rows WHERE kind = 'dataset'", "register dataset"),
                                 ("UPDATE rows SET json = replace(json, 'approver', 'operator') WHERE kind = 'operator'", "register operator"),
                                 ("INSERT INTO rows SELECT kind, id || '0', json FROM rows WHERE kind = 'key'", "register key")):
            with self.subTest(statement):
                self.box.restore("prepared")
                self.sql(statement, name="registers.db")
                self.broken(named)

    # An older state put back.

    def test_an_older_ledger_put_back(self):
        old = (self.box.vault / "ledger.db").read_bytes()
        self.box.kesu("key", "rotate", "loans")
        self.write("c", b"three")
        self.box.kesu("seal", "loans-2019", self.box.state / "src", "-o", self.out, "--replace")
        with self.sqlite() as db:
            db.execute("PRAGMA wal_checkpoint(TRUNCATE)")
        db.close()
        for suffix in ("-wal", "-shm"):
            (self.box.vault / f"ledger.db{suffix}").unlink(missing_ok=True)
        (self.box.vault / "ledger.db").write_bytes(old)
        # Alone the old ledger is whole; what is newer around it gives it away.
        found = self.broken("registers.db: stands for")
        self.assertTrue(found)
        notes = self.box.kesu("ledger", "verify", code=6).json["notes"]
        self.assertTrue(any("no entry names it" in n["why"] for n in notes))
        # The token has a key that this ledger never made: the next version is not put over it.
        self.box.kesu("key", "rotate", "loans", code=3, error="already-exists")

    def test_a_newer_checkpoint_over_an_older_ledger(self):
        self.box.kesu("ledger", "checkpoint")
        with self.sqlite() as db:
            size = db.execute("SELECT size FROM head").fetchone()[0]
            db.execute("DELETE FROM entries WHERE seq = ?", (size - 1,))
            db.execute("UPDATE head SET size = ?", (size - 1,))
        db.close()
        self.broken(f"checkpoint {size}: the ledger ends before it")

    # Looking.

    def test_show(self):
        entries = self.entries()
        self.assertEqual([e["seq"] for e in entries], list(range(self.entry_count)))
        self.assertEqual(self.box.kesu("ledger", "show", "--entry", "3").json, entries[3])
        self.assertEqual([e["seq"] for e in self.box.kesu("ledger", "show", "--from", "5").json][0], 5)
        key = self.version_of("loans")
        touching = self.box.kesu("ledger", "show", "--touching", key).json
        self.assertIn("key-created", [e["type"] for e in touching])
        self.assertTrue(all(key in json.dumps(e) for e in touching))
        self.box.kesu("ledger", "show", "--entry", str(self.entry_count), code=2, error="not-found")
        point = self.box.kesu("ledger", "checkpoint").json
        self.assertEqual(sorted(point), ["note", "size", "vkey"])
        self.assertEqual(point["note"].splitlines()[:2], [entries[0]["body"]["origin"], str(self.entry_count)])

    def test_a_read_only_copy(self):
        copy = self.box.path / "copy"
        shutil.rmtree(copy, ignore_errors=True)
        shutil.copytree(self.box.vault, copy)
        report = self.box.kesu("ledger", "verify").json
        kesu = scenario.harness.program("kesu")
        self.assertEqual(self.box.run(kesu, "ledger", "verify", "--vault", copy, "--json").json, report)


if __name__ == "__main__":
    scenario.main()
