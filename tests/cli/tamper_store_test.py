"""Databases of a vault that their owner altered past kesu: named by `ledger verify`, believed by nothing that matters."""
import contextlib
import json
import pathlib
import sqlite3
import struct
import sys

sys.path.insert(0, str(pathlib.Path(__file__).parents[1] / "support"))
import harness_kill
import scenario


def journal(pages):
    """SQLite's rollback journal that puts `pages` back, as a process killed in a save leaves one (sqlite.org/fileformat)."""
    size, nonce = len(pages[0]), 12345
    out = bytes.fromhex("d9d505f920a163d7") + struct.pack(">5I", len(pages), nonce, len(pages), 512, size)
    out = out.ljust(512, b"\0")
    for number, page in enumerate(pages, 1):
        checksum = (nonce + sum(page[i] for i in range(size - 200, 0, -200))) & 0xffffffff
        out += struct.pack(">I", number) + page + struct.pack(">I", checksum)
    return out


class Altered(scenario.World):
    @classmethod
    def prepare(cls):
        for i in range(3):
            cls.seal("loans-2019", {f"d/a{i}{j}.txt": b"one%d%d" % (i, j) for j in range(3)})
        cls.objects = len(cls.box.kesu("inventory", "list", "loans-2019").json)
        cls.batch_count = len(cls.batches())
        with cls.sqlite("ledger.db") as db:
            db.execute("PRAGMA wal_checkpoint(TRUNCATE)")

    @classmethod
    @contextlib.contextmanager
    def sqlite(cls, name):
        db = sqlite3.connect(cls.box.vault / name, isolation_level=None)
        try:
            yield db
        finally:
            db.close()

    def sql(self, name, *statements):
        with self.sqlite(name) as db:
            for statement in statements:
                db.execute(statement)

    @property
    def registers(self):
        return self.box.vault / "registers.db"

    def finds(self, *named):
        """`ledger verify` fails, and each text stands in one of its findings."""
        report = self.box.kesu("ledger", "verify", code=6).json
        found = [f"{f['what']}: {f['why']}" for f in report["findings"]]
        for text in named:
            self.assertTrue(any(text in f for f in found), f"{text!r} is not named in {found}")
        return found

    def whole(self):
        report = self.box.kesu("ledger", "verify").json
        self.assertEqual((report["ok"], report["findings"], report["notes"]), (True, [], []))
        return report

    @classmethod
    def rows(cls):
        with cls.sqlite("registers.db") as db:
            return db.execute("SELECT kind, id, json FROM rows ORDER BY kind, id").fetchall()

    @classmethod
    def batches(cls):
        return [(row, text) for kind, row, text in cls.rows() if kind == "batch"]

    def one_missing(self):
        """Takes away the row of the batch with the most bytes; returns its identifier."""
        gone = max(self.batches(), key=lambda row: json.loads(row[1])["bytes"])[0]
        self.sql("registers.db", f"DELETE FROM rows WHERE kind = 'batch' AND id = '{gone}'")
        return gone

    # Registers that have as many rows of batches as there are batches.

    def test_one_row_for_another_in_a_table_without_a_key(self):
        gone = self.one_missing()
        with self.sqlite("registers.db") as db:
            rows = db.execute("SELECT kind, id, json FROM rows").fetchall()
            db.execute("DROP TABLE rows")
            db.execute("CREATE TABLE rows(kind TEXT, id TEXT, json TEXT NOT NULL)")
            for row in [*rows, next(r for r in rows if r[0] == "batch")]:
                db.execute("INSERT INTO rows VALUES(?, ?, ?)", row)
        self.assertEqual((len(self.batches()), gone in dict(self.batches())), (self.batch_count, False))
        self.finds("registers.db: not compared, and no command goes by it: table rows is defined otherwise")
        self.assertEqual(len(self.box.kesu("inventory", "list", "loans-2019").json), self.objects)
        self.whole()                                      # that command has made them anew

    def test_one_row_for_another_in_the_file(self):
        gone = self.one_missing()
        twin, text = self.batches()[0]
        other = twin[:-1] + ("0" if twin[-1] != "0" else "1")
        with self.sqlite("registers.db") as db:
            db.execute("INSERT INTO rows VALUES('batch', ?, ?)", (other, text.replace(twin[-36:], other[-36:])))
        data = self.registers.read_bytes()
        self.assertIn(other[-36:].encode(), data)
        self.registers.write_bytes(data.replace(other[-36:].encode(), twin[-36:].encode()))
        self.assertEqual([len(self.batches()), self.batches().count((twin, text))], [self.batch_count, 2])
        self.finds(f"register batch {twin}: stands there twice", f"register batch {gone}: is missing")

    def test_adopting_counts_nothing_twice(self):
        before = self.box.kesu("erase", "plan", "loans-2019").json["objects"]
        gone = self.one_missing()
        self.finds(f"register batch {gone}: is missing")
        answer = self.box.kesu("inventory", "adopt", "loans-2019", self.out).json
        self.assertEqual((answer["adopted"], answer["known"], answer["failed"]), (0, self.objects, []))
        self.whole()
        self.assertEqual(self.box.kesu("erase", "plan", "loans-2019").json["objects"], before)

    def test_removing_takes_nothing_that_counts(self):
        self.one_missing()
        files = self.files_below(self.out)
        answer = self.box.kesu("inventory", "remove", self.out, "--force", "--reason", "tidy", "-y").json
        self.assertEqual((answer["removed"], answer["failed"]), ([], []))
        self.assertEqual(self.files_below(self.out), files)
        self.whole()

    # What lies beside registers.db.

    def forged(self):
        """The bytes of a registers.db without one batch; the vault's own stays as it is."""
        mine = self.registers.read_bytes()
        self.one_missing()
        data = self.registers.read_bytes()
        self.registers.write_bytes(mine)
        return data

    def test_a_journal_is_not_put_back(self):
        forged = self.forged()
        pages = [forged[at:at + 4096] for at in range(0, len(forged), 4096)]
        beside = self.box.vault / "registers.db-journal"
        beside.write_bytes(journal(pages))
        # As a kill leaves one: nothing is wrong, for nothing is believed.
        report = self.box.kesu("ledger", "verify").json
        self.assertEqual((report["registers"], [n["what"] for n in report["notes"]]), (0, ["registers.db"]))
        self.assertIn("journal of a save that did not end", report["notes"][0]["why"])
        self.box.kesu("status", "--check")
        self.assertTrue(beside.exists())                  # looking changes nothing
        checked = self.box.kesu("inventory", "check", "loans-2019").json
        self.assertEqual((checked["objects"], checked["good"]), (self.objects, self.objects))
        self.assertFalse(beside.exists())
        self.assertEqual(self.whole()["registers"], len(self.rows()))
        self.assertEqual(len(self.batches()), self.batch_count)

    def test_the_journal_would_have_been_put_back(self):
        """That is: by who opens the file as SQLite does. Else the test before this one shows nothing."""
        forged = self.forged()
        pages = [forged[at:at + 4096] for at in range(0, len(forged), 4096)]
        (self.box.vault / "registers.db-journal").write_bytes(journal(pages))
        self.assertEqual(len(self.batches()), self.batch_count - 1)

    def test_a_write_ahead_log(self):
        forged = self.box.path / "forged.db"
        forged.write_bytes(self.registers.read_bytes())
        with contextlib.closing(sqlite3.connect(forged, isolation_level=None)) as db:
            db.execute("PRAGMA journal_mode=WAL")
            db.execute("DELETE FROM rows WHERE kind = 'batch'")
            log = pathlib.Path(f"{forged}-wal").read_bytes()
        (self.box.vault / "registers.db-wal").write_bytes(log)
        self.finds("registers.db: not compared")
        self.assertEqual(len(self.box.kesu("inventory", "list", "loans-2019").json), self.objects)
        self.whole()
        self.assertFalse((self.box.vault / "registers.db-wal").exists())

    def test_registers_that_are_none(self):
        for what, statement in (("it does not say what it stands for", "DELETE FROM standing"),
                                ("stands for 0 entries", "UPDATE standing SET size = 0"),
                                ("stands for another entry", "UPDATE standing SET root = replace(root, substr(root, 1, 1), 'x')"),
                                ("trigger t of rows", "CREATE TRIGGER t AFTER INSERT ON rows BEGIN DELETE FROM rows; END"),
                                ("index i of rows", "CREATE INDEX i ON rows(json)"),
                                ("its application_id is 7", "PRAGMA application_id = 7")):
            with self.subTest(what):
                self.box.restore("prepared")
                self.sql("registers.db", statement)
                self.finds(what)
        for content in (b"rubbish" * 1000, self.registers.read_bytes()[:5000]):
            with self.subTest(content[:10]):
                self.box.restore("prepared")
                self.registers.write_bytes(content)
                self.finds("registers.db: not compared, and no command goes by it")
        # Rows of batches lie on pages that others do not need.
        self.box.restore("prepared")
        data, count, torn = self.registers.read_bytes(), len(self.rows()), 0
        for at in range(4096, len(data), 4096):
            with self.subTest(at):
                self.registers.write_bytes(data[:at] + b"\xa5" * 64 + data[at + 64:])
                report = self.box.kesu("ledger", "verify", code=(0, 6)).json
                torn += any(f["what"] == "registers.db" for f in report["findings"])
                if report["ok"]:                          # a page that holds nothing any more
                    self.assertEqual(report["registers"], count)
        self.assertGreater(torn, 0)
        self.registers.unlink()
        self.assertEqual(self.whole()["registers"], 0)
        self.registers.write_bytes(b"")                   # as a kill leaves it
        self.assertEqual(self.whole()["registers"], 0)
        # Another kesu's, as after an update: nothing is wrong, and nothing is believed.
        self.registers.write_bytes(data)
        self.sql("registers.db", "PRAGMA user_version = 3", "DELETE FROM rows WHERE kind = 'batch'")
        self.assertIn("is of version 3", self.box.kesu("ledger", "verify").json["notes"][0]["why"])
        self.assertEqual(len(self.box.kesu("inventory", "list", "loans-2019").json), self.objects)
        self.whole()

    # Questions.

    def test_a_question_is_asked_and_settled_whatever_the_registers_say(self):
        place = self.box.state / "place"
        for i in range(300):
            self.write(f"f{i:03}", b"x" * 2000, below="many")
        harness_kill.kill_while_publishing(
            self.box.kesu_command("seal", "loans-2019", self.box.state / "many", "-o", place), place, 40,
            env=self.box.env, cwd=self.box.path, call="linkat")
        self.box.kesu("provider", "test", "hsm1")         # saves registers, and settles nothing
        asked = self.box.kesu("status", "--check", code=8).json["questions"]
        self.assertEqual({q["node"][:4] for q in asked}, {"bat-", "prc-"})
        self.sql("registers.db", "DELETE FROM rows WHERE kind IN ('open-batch', 'process')")
        self.assertEqual(self.box.kesu("status").json["questions"], [])      # registers are believed for showing
        self.assertEqual(self.box.kesu("status", "--check", code=8).json["questions"], asked)
        self.assertEqual(self.box.kesu("inventory", "settle", "loans-2019").json["open"], 0)
        self.box.kesu("status", "--check")
        self.assertGreater(len(self.box.kesu("inventory", "list", "loans-2019").json), self.objects)
        self.whole()

    # The ledger's own tables.

    def test_tables_that_are_not_kesus(self):
        for named, *statements in (
                ("ledger.db: trigger t of checkpoints", "CREATE TRIGGER t BEFORE INSERT ON checkpoints BEGIN SELECT RAISE(IGNORE); END"),
                ("ledger.db: trigger t of entries", "CREATE TRIGGER t AFTER INSERT ON entries BEGIN DELETE FROM streams; END"),
                ("ledger.db: table x", "CREATE TABLE x(a)"), ("ledger.db: view v", "CREATE VIEW v AS SELECT * FROM entries"),
                ("ledger.db: index i of streams", "CREATE INDEX i ON streams(version)"),
                ("ledger.db: its user_version is 0", "PRAGMA user_version = 0"),
                ("ledger.db: table streams is defined otherwise", "CREATE TABLE s(id TEXT, version INTEGER NOT NULL)",
                 "INSERT INTO s SELECT * FROM streams", "DROP TABLE streams", "ALTER TABLE s RENAME TO streams"),
                ("table checkpoints is missing", "DROP TABLE checkpoints")):
            with self.subTest(named):
                self.box.restore("prepared")
                self.sql("ledger.db", *statements)
                if "missing" in named:
                    self.assertIn(named, self.box.kesu("ledger", "verify", code=6, error="ledger-damaged").stdout)
                else:
                    self.finds(named)
                # Nothing is written to such a ledger, and nothing is said to be.
                for words in (("ledger", "checkpoint"), ("key", "create", "other")):
                    self.box.kesu(*words, code=6, error="ledger-damaged")

    def test_values_of_another_type(self):
        key = self.version_of("loans")
        for named, *statements in (
                (f"stream {key}: its identifier is not stored as text", f"UPDATE streams SET id = CAST(id AS BLOB) WHERE id = '{key}'"),
                (f"stream {key}: its identifier is not stored as text", f"UPDATE streams SET version = version - 1 WHERE id = '{key}'",
                 f"INSERT INTO streams VALUES(CAST('{key}' AS BLOB), 1)"),
                (f"stream {key}: its version is not stored as an integer", f"UPDATE streams SET version = version + 0.5 WHERE id = '{key}'"),
                ("tree head: its size and time are not stored as integers", "UPDATE head SET time = time + 0.4"),
                ("tree head: its size and time", "UPDATE head SET subtrees = CAST(subtrees AS TEXT)"),
                ("entry 3: its header is not stored as text", "UPDATE entries SET header = CAST(header AS BLOB) WHERE seq = 3"),
                ("entry 3: its body is not stored as text", "UPDATE entries SET body = CAST(body AS BLOB) WHERE seq = 3"),
                ("entry 3: its salt is not stored as bytes", "UPDATE entries SET salt = CAST(salt AS TEXT) WHERE seq = 3"),
                ("entry 3: its leaf is not stored as bytes", "UPDATE entries SET leaf = CAST(leaf AS TEXT) WHERE seq = 3"),
                ("checkpoint row 1: ", "UPDATE checkpoints SET note = CAST(note AS BLOB) WHERE id = 1")):
            with self.subTest(named):
                self.box.restore("prepared")
                self.sql("ledger.db", *statements)
                found = self.finds(named)
                subject = named.split(":")[0]
                self.assertEqual({f.split(":")[0] for f in found}, {subject}, found)

    def test_streams_in_another_order(self):
        """Two rows changed places in the file: each is there, and a look-up finds neither."""
        with self.sqlite("ledger.db") as db:
            ids = [i for (i,) in db.execute("SELECT id FROM streams WHERE id LIKE 'bat-%' ORDER BY id")]
            versions = dict(db.execute("SELECT id, version FROM streams"))
        first, last = ids[0].encode(), ids[-1].encode()
        self.assertEqual(versions[ids[0]], versions[ids[-1]])
        path = self.box.vault / "ledger.db"
        data = path.read_bytes()
        for number in range(1, len(data) // 4096):        # pages of streams: with both, and no entry's text
            page = data[number * 4096:(number + 1) * 4096]
            if page.count(first) == page.count(last) == 1 and b'"type"' not in page:
                page = page.replace(first, b"@").replace(last, first).replace(b"@", last)
                data = data[:number * 4096] + page + data[(number + 1) * 4096:]
                break
        else:
            self.fail("no page has both streams")
        path.write_bytes(data)
        self.finds("the table has it twice, or at a place where it is not found")

    def test_no_checkpoint_is_worth_a_note(self):
        self.sql("ledger.db", "DELETE FROM checkpoints")
        report = self.box.kesu("ledger", "verify").json
        self.assertEqual([n["what"] for n in report["notes"]], ["checkpoints"])
        self.box.kesu("ledger", "checkpoint")
        self.whole()


if __name__ == "__main__":
    scenario.main()
