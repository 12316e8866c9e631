"""inventory check, prove, adopt, remove: what is altered, gone or left over is found, and nothing else."""
import json
import os
import pathlib
import shutil
import sqlite3
import sys

sys.path.insert(0, str(pathlib.Path(__file__).parents[1] / "support"))
import proof as proofs
import scenario
from scenario import CHUNK

FILES = {"a": b"a" * (3 * CHUNK + 5), "b": b"b" * CHUNK, "c": b"", "日本": b"jp"}


class Base(scenario.World):
    @classmethod
    def prepare(cls):
        # Files, not their directory: without a tree there is no manifest.
        cls.box.kesu("seal", "loans-2019", *(cls.write(name, data) for name, data in FILES.items()), "-o", cls.out / "src")

    def place(self, name):
        return self.out / "src" / f"{name}.kesu"

    def flip(self, path, at):
        with open(path, "r+b") as file:
            file.seek(at)
            byte = file.read(1)[0]
            file.seek(at)
            file.write(bytes([byte ^ 1]))

    def check(self, *words, code=0, **options):
        return self.box.kesu("inventory", "check", "loans-2019", *words, code=code, **options).json

    def objects(self):
        return {o["name"].split("/")[-1]: o["object"] for o in self.box.kesu("inventory", "list", "loans-2019").json}

    def entries(self, kind):
        return [e for e in self.box.kesu("ledger", "show", "--bodies").json if e["type"] == kind]

    def left_alone(self):
        """Every file of the ledger, for tests that nothing is written."""
        return {p: p.read_bytes() for p in self.box.vault.rglob("*") if p.is_file()
                and p.name not in ("registers.db", "ledger.db-shm", "ledger.db-wal")}


class Check(Base):
    def assertGood(self, result, objects=len(FILES), **more):
        self.assertEqual((result["objects"], result["good"], result["missing"], result["damaged"]), (objects, objects, [], []), result)
        for name, value in more.items():
            self.assertEqual(result[name], value, name)

    def test_all_good_is_recorded_before(self):
        before = len(self.entries("objects-opened"))
        self.assertGood(self.check(self.out), bytes=sum(map(len, FILES.values())), not_covered=0, orphans=[], superseded=0, torn=[],
                        quick=False)
        opened, = self.entries("objects-opened")[before:]
        self.assertEqual(opened["body"]["purpose"], "check")
        self.assertEqual(sorted("obj-" + o for o in opened["body"]["objects"]), sorted(self.objects().values()))
        self.assertIn("4 good", self.box.text("inventory", "check", "loans-2019").stdout)

    def test_quick_opens_no_data_key(self):
        before = len(self.entries("objects-opened"))
        self.assertGood(self.check("--quick"), quick=True, not_covered=len(FILES))
        self.assertEqual(len(self.entries("objects-opened")), before)
        self.assertIn("does not show", self.box.text("inventory", "check", "loans-2019", "--quick").stdout)

    def test_one_altered_byte_anywhere(self):
        whole = self.place("a").read_bytes()
        metadata = int.from_bytes(whole[64:68], "big")
        payload = 4096 + metadata
        places = [0, 9, 17, 33, 49, 69, 100, 127, 200, 1024, 1024 + 8, 1024 + 100, 1024 + 1000, 2048, 3071, 3500, 4095, 4096, payload - 1,
                  payload, payload + CHUNK + 3, len(whole) - 1]
        for at in places:
            with self.subTest(at):
                self.flip(self.place("a"), at)
                result = self.check(code=6)
                self.assertEqual([(r["path"], r["code"]) for r in result["damaged"]], [(str(self.place("a")), "sealed-damaged")])
                self.assertEqual((result["good"], result["missing"]), (len(FILES) - 1, []))
                self.flip(self.place("a"), at)
        self.assertGood(self.check())

    def test_cut_and_lengthened(self):
        whole = self.place("b").read_bytes()
        for size in (0, 127, 4095, len(whole) - 1, len(whole) - 16, len(whole) + 1):
            for words in ((), ("--quick",)):
                with self.subTest((size, words)):
                    self.place("b").write_bytes((whole + b"x")[:size])
                    row, = self.check(*words, code=6)["damaged"]
                    self.assertEqual((row["path"], row["object"]), (str(self.place("b")), self.objects()["b"]))

    def test_swapped(self):
        a, b = self.place("a"), self.place("b")
        a.rename(self.out / "x")
        b.rename(a)
        (self.out / "x").rename(b)
        for words in ((), ("--quick",)):
            result = self.check(*words, code=6)
            self.assertEqual({(r["path"], r["object"]) for r in result["damaged"]},
                             {(str(a), self.objects()["a"]), (str(b), self.objects()["b"])})
            self.assertTrue(all("another object" in r["what"] for r in result["damaged"]))

    def test_missing_and_unreadable(self):
        os.unlink(self.place("a"))
        os.unlink(self.place("b"))
        os.symlink(self.place("c"), self.place("b"))
        for words in ((), ("--quick",)):
            result = self.check(*words, code=8)
            self.assertEqual(sorted((r["path"], r["code"]) for r in result["missing"]),
                             [(str(self.place("a")), "not-found"), (str(self.place("b")), "io-failed")])
            self.assertEqual((result["good"], result["damaged"]), (2, []))
        self.flip(self.place("c"), 5000 - 900)
        self.check(code=6)

    def test_sealed_to_a_pipe(self):
        """It has no place: unknown until somebody says where it lies, then held against the inventory as all are."""
        dump = self.box.path / "kept" / "dump.kesu"
        dump.parent.mkdir()
        sealed = self.box.run(*self.box.kesu_command("seal", "loans-2019", "-", "--name", "dump", "-o", "-", json=False), stdin=b"all of it")
        dump.write_bytes(sealed.raw)
        row, = self.check(code=8)["missing"]
        self.assertEqual((row["object"], row["code"]), (self.objects()["dump"], "not-found"))
        self.assertIn("sealed to a pipe", row["what"])
        row, = self.check(self.out, code=8)["missing"]
        self.assertIn("below the paths", row["what"])
        self.assertGood(self.check(self.out, dump.parent), len(FILES) + 1, orphans=[])
        self.assertGood(self.check("--quick", self.out, dump), len(FILES) + 1, orphans=[])
        self.flip(dump, len(sealed.raw) - 1)
        row, = self.check(dump, code=6)["damaged"]
        self.assertEqual((row["path"], row["object"]), (str(dump), self.objects()["dump"]))

    def test_superseded(self):
        self.write("a", b"new content")
        # Files put back have other inodes: some of the others are sealed anew, too.
        sealed = self.box.kesu("seal", "loans-2019", *(self.box.state / "src" / n for n in FILES), "-o", self.out / "src",
                               "--replace").json["sealed"]
        self.assertGreater(sealed, 0)
        for words in ((), ("--quick",)):
            self.assertGood(self.check(*words, self.out), superseded=sealed, orphans=[])

    def test_rewrapped_is_not_altered_and_each_slot_counts(self):
        self.box.kesu("key", "rotate", "loans")
        self.box.kesu("rewrap", "loans-2019")
        self.assertGood(self.check(), torn=[])
        slots = self.box.kesu("info", self.place("a")).json["slots"]
        self.assertEqual(len(slots), 2)
        newest = 0 if int.from_bytes(self.place("a").read_bytes()[1024 + 8:1024 + 16], "big") == slots[0]["generation"] else 1
        # The older slot, torn: it opens through the newest, and that is said.
        self.flip(self.place("a"), 1024 * (2 - newest) + 500)
        self.assertGood(self.check())
        self.assertEqual([r["path"] for r in self.check()["torn"]], [str(self.place("a"))])
        self.flip(self.place("a"), 1024 * (2 - newest) + 500)
        # The newest, torn: the object would die with the older version.
        self.flip(self.place("a"), 1024 * (1 + newest) + 500)
        row, = self.check(code=6)["damaged"]
        self.assertIn("newest slot", row["what"])

    def test_unbound_payload(self):
        self.box.kesu("dataset", "add", "loose", "--key", "loans", "--header-only")
        self.write("u", b"u" * 100)
        loose = self.box.state / "loose"
        self.box.kesu("seal", "loose", self.box.state / "src" / "u", "-o", loose)
        result = self.box.kesu("inventory", "check", "loose").json
        self.assertEqual((result["good"], result["not_covered"]), (1, 1))
        self.flip(loose / "u.kesu", 100)
        self.box.kesu("inventory", "check", "loose", "--quick", code=6)
        self.flip(loose / "u.kesu", 100)
        self.flip(loose / "u.kesu", (loose / "u.kesu").stat().st_size - 1)
        self.box.kesu("inventory", "check", "loose", code=6)

    def test_orphans(self):
        self.box.kesu("dataset", "add", "other", "--key", "loans")
        self.write("o", b"other")
        self.box.kesu("seal", "other", self.box.state / "src" / "o", "-o", self.out)
        shutil.copy(self.place("a"), self.out / "copy.kesu")
        (self.out / "junk.kesu").write_bytes(b"junk")
        (self.out / ("." + "ab" * 16 + ".kesu-part")).write_bytes(b"p")
        (self.out / ("." + "ab" * 16 + ".kesu-open")).write_bytes(b"p")
        (self.out / ("cd" * 16 + ".kesu-damaged")).write_bytes(b"p")
        (self.out / "plain.txt").write_bytes(b"nothing of ours")
        unknown = bytearray(self.place("b").read_bytes())
        unknown[48:64] = bytes(16)
        (self.out / "unknown.kesu").write_bytes(unknown)
        result = self.check(self.out)
        self.assertGood(result)
        self.assertEqual({pathlib.Path(r["path"]).name: r["code"] for r in result["orphans"]},
                         {"o.kesu": "other-dataset", "copy.kesu": "copy", "junk.kesu": "unreadable",
                          "." + "ab" * 16 + ".kesu-part": "part", "." + "ab" * 16 + ".kesu-open": "opening",
                          "cd" * 16 + ".kesu-damaged": "set-aside", "unknown.kesu": "unknown-object"})

    def test_quick_without_key_on_a_read_only_vault(self):
        self.pin_file.rename(self.pin_file.with_suffix(".away"))
        before = self.left_alone()
        try:
            self.assertGood(self.check("--quick", self.out), quick=True)
            self.assertEqual(self.left_alone(), before)
            os.unlink(self.place("c"))
            result = self.check("--quick", self.out, code=8)
            row, = result["missing"]
            self.assertEqual((result["objects"], result["good"], row["code"]), (4, 3, "not-found"))
            with open(self.place("b"), "ab") as file:
                file.write(b"longer")
            self.assertEqual([r["path"] for r in self.check("--quick", self.out, code=6)["damaged"]], [str(self.place("b"))])
        finally:
            self.pin_file.with_suffix(".away").rename(self.pin_file)

    def test_erased(self):
        self.run_erasure(self.approved("loans-2019"))
        self.check(code=3, error="state-refused")
        self.assertGood(self.check("--quick", self.out))


class Prove(Base):
    def proof(self, path=None, **options):
        return self.box.kesu("inventory", "prove", path or self.place("a"), **options).json

    def test_proof_holds_for_another_reader(self):
        for name in FILES:
            proof = self.proof(self.place(name))
            self.assertEqual(proofs.check(proof, proof["vkey"], self.place(name).read_bytes(), proof["checkpoint"]), "object")
        self.box.kesu("inventory", "prove", self.place("a"), "-o", self.box.path / "proof.json")
        self.assertEqual(json.loads((self.box.path / "proof.json").read_text())["object"], self.objects()["a"])

    def test_many_batches_and_a_rewrap(self):
        for i in range(5):
            self.write(f"more{i}", os.urandom(10))
            self.box.kesu("seal", "loans-2019", self.box.state / "src" / f"more{i}", "-o", self.out)
        self.box.kesu("key", "rotate", "loans")
        self.box.kesu("rewrap", "loans-2019")
        for path in (self.place("b"), self.out / "more3.kesu"):
            proof = self.proof(path)
            self.assertEqual(proofs.check(proof, proof["vkey"], path.read_bytes()), "object")

    def test_altered_proofs_are_refused(self):
        good = self.proof()
        sealed = self.place("a").read_bytes()
        other = self.proof(self.place("b"))

        def refused(proof, file=sealed, vkey=good["vkey"]):
            with self.assertRaises((proofs.Refused, ValueError, KeyError)):
                proofs.check(proof, vkey, file)

        def other_end(text):
            return text[:-1] + ("0" if text[-1] != "0" else "1")
        for name in ("vault", "dataset", "object", "header", "payload_root", "leaf", "batch", "batch_root"):
            refused({**good, name: other_end(good[name])})
        for name in ("index", "size"):
            refused({**good, name: good[name] + 1})
        for i in range(len(good["path"])):
            refused({**good, "path": good["path"][:i] + good["path"][i + 1:]})
        for name in ("index", "path", "leaf", "header", "payload_root"):
            self.assertNotEqual(good[name], other[name])
            refused({**good, name: other[name]})
        for name, value in good["entry"].items():
            changed = value[:-1] if isinstance(value, list) else value + 1 if isinstance(value, int) else other_end(value)
            refused({**good, "entry": {**good["entry"], name: changed}})
        refused({**good, "checkpoint": good["checkpoint"].replace("\n", "\n1", 1)})
        refused({**good, "covers": "header"})
        refused(good, self.place("b").read_bytes())
        refused(good, sealed[:-1] + bytes([sealed[-1] ^ 1]))
        name, _, key = good["vkey"].split("+", 2)
        refused(good, vkey=f"{name}+00000000+{key}")

    def test_header_alone(self):
        self.box.kesu("dataset", "add", "loose", "--key", "loans", "--header-only")
        self.write("u", b"u" * 100)
        loose = self.box.state / "loose"
        self.box.kesu("seal", "loose", self.box.state / "src" / "u", "-o", loose)
        proof = self.proof(loose / "u.kesu")
        self.assertEqual(proof["covers"], "header")
        self.assertEqual(proofs.check(proof, proof["vkey"], (loose / "u.kesu").read_bytes()), "header")
        out = self.box.text("inventory", "prove", loose / "u.kesu", "-o", self.box.path / "p.json").stdout
        self.assertIn("header covered, payload not bound", out)

    def test_refusals(self):
        self.flip(self.place("a"), 5000)
        self.proof(code=6, error="sealed-damaged")
        unknown = bytearray(self.place("b").read_bytes())
        unknown[48:64] = bytes(16)
        (self.out / "unknown.kesu").write_bytes(unknown)
        self.proof(self.out / "unknown.kesu", code=7, error="not-covered")
        unknown[16:32] = bytes(16)
        (self.out / "unknown.kesu").write_bytes(unknown)
        self.proof(self.out / "unknown.kesu", code=7, error="not-covered")
        self.proof(self.out / "nowhere.kesu", code=2, error="not-found")


class ProveQuickly(Base):
    """proofs.db and registers.db make it quick, and may say anything: a proof holds, or there is none."""

    @classmethod
    def prepare(cls):
        super().prepare()
        for name in ("late", "later"):
            cls.write(name, name.encode())
            cls.box.kesu("seal", "loans-2019", cls.box.state / "src" / name, "-o", cls.out)
        cls.box.kesu("ledger", "checkpoint")
        cls.box.kesu("inventory", "prove", cls.out / "src" / "a.kesu")  # both batches and the first are known now

    @property
    def index(self):
        return self.box.vault / "proofs.db"

    def sql(self, *statements, file="proofs.db"):
        db = sqlite3.connect(self.box.vault / file, isolation_level=None)
        for statement in statements:
            db.execute(statement)
        rows = db.execute("SELECT count(*) FROM " + ("objects" if file == "proofs.db" else "rows")).fetchone()[0]
        db.close()
        return rows

    def proves(self, path=None):
        path = path or self.place("a")
        proof = self.box.kesu("inventory", "prove", path).json
        self.assertEqual(proofs.check(proof, proof["vkey"], path.read_bytes()), "object")
        return proof

    def test_kept_and_used(self):
        self.assertEqual(self.sql(), len(FILES) + 2)
        first = self.proves()
        segments = self.box.vault / "inventory"
        newest = self.box.kesu("inventory", "prove", self.out / "later.kesu").json["batch"]
        aside = next(segments.rglob(f"{newest}.seg"))
        aside.rename(self.box.path / "aside")  # without the index it would be looked into first
        self.assertEqual(self.proves(), first)
        self.index.unlink()
        self.box.kesu("inventory", "prove", self.place("a"), code=(2, 6))
        (self.box.path / "aside").rename(aside)
        self.assertEqual(self.proves(), first)
        self.assertTrue(self.index.exists())

    def test_what_it_says_wrongly(self):
        good = self.proves()
        for what in ("UPDATE objects SET n = 1 + n % 3", "UPDATE objects SET n = 99", "DELETE FROM objects",
                     "UPDATE batches SET done_seq = done_seq + 1", "UPDATE batches SET done_seq = 1 << 40",
                     "UPDATE batches SET batch = 'bat-' || hex(zeroblob(15)) || '0' || n", "UPDATE batches SET batch = '../../kesu' || n",
                     "DELETE FROM batches", "UPDATE parts SET roots = randomblob(3200)"):
            self.sql(what)
            self.assertEqual(self.proves(), good, what)
            self.assertEqual(self.proves(), good, what)
        for content in (b"", b"no database", self.index.read_bytes()[:5000], (self.box.vault / "ledger.db").read_bytes()):
            self.index.write_bytes(content)
            self.assertEqual(self.proves(), good)
            self.assertEqual(self.proves(), good)

    def test_registers_altered(self):
        good = self.proves()
        registers = (self.box.vault / "registers.db").read_bytes()
        for kind, change in (("batch", "DELETE FROM rows WHERE kind = 'batch'"),
                             ("batch", "UPDATE rows SET json = replace(json, '\"root\":\"', '\"root\":\"00') WHERE kind = 'batch'"),
                             ("batch", "UPDATE rows SET json = replace(json, '\"done_seq\":', '\"done_seq\":1') WHERE kind = 'batch'"),
                             ("dataset", "DELETE FROM rows WHERE kind = 'dataset'"),
                             ("vault", "UPDATE rows SET json = replace(json, 'vlt-', 'vlt-0000') WHERE kind = 'vault'"),
                             ("vault", "UPDATE rows SET json = replace(json, '+', '+0') WHERE kind = 'vault'")):
            for index in (True, False):
                (self.box.vault / "registers.db").write_bytes(registers)
                before = (self.box.vault / "registers.db").read_bytes()
                self.sql(change, file="registers.db")
                self.assertNotEqual((self.box.vault / "registers.db").read_bytes(), before, change)
                if not index:
                    self.index.unlink(missing_ok=True)
                self.assertEqual(self.proves(), good, change)

    def test_no_statement_against_the_ledger(self):
        """The ledger itself altered: no proof, whatever index and registers say."""
        self.proves()
        db = sqlite3.connect(self.box.vault / "ledger.db", isolation_level=None)
        db.execute("UPDATE entries SET leaf = zeroblob(32) WHERE seq = 3")
        db.close()
        self.box.kesu("inventory", "prove", self.place("a"), code=6, error="ledger-damaged")

    def test_not_covered_stays_so(self):
        foreign = bytearray(self.place("b").read_bytes())
        foreign[48:64] = bytes(16)
        (self.out / "foreign.kesu").write_bytes(foreign)
        for _ in range(2):
            self.box.kesu("inventory", "prove", self.out / "foreign.kesu", code=7, error="not-covered")
        self.proves()


class Orphans(Base):
    def orphan(self):
        """A whole object that no inventory counts: sealed in a copy of the vault which was thrown away."""
        kept = self.box.path / "vault-kept"
        shutil.copytree(self.box.vault, kept)
        self.write("lost", b"lost and found")
        self.box.kesu("seal", "loans-2019", self.box.state / "src" / "lost", "-o", self.out)
        shutil.rmtree(self.box.vault)
        kept.rename(self.box.vault)
        return self.out / "lost.kesu"

    def test_adopt(self):
        path = self.orphan()
        self.assertEqual([r["code"] for r in self.check(self.out)["orphans"]], ["unknown-object"])
        self.box.kesu("inventory", "prove", path, code=7, error="not-covered")
        result = self.box.kesu("inventory", "adopt", "loans-2019", self.out).json
        self.assertEqual((result["adopted"], result["known"], result["failed"]), (1, len(FILES), []))
        checked = self.check(self.out)
        self.assertEqual((checked["good"], checked["orphans"]), (len(FILES) + 1, []))
        proof = self.box.kesu("inventory", "prove", path).json
        self.assertEqual(proofs.check(proof, proof["vkey"], path.read_bytes()), "object")
        self.assertTrue(self.entries("seal-done")[-1]["body"]["adopted"])
        self.assertEqual(self.box.kesu("inventory", "adopt", "loans-2019", path).json["known"], 1)
        self.assertTrue(self.box.kesu("ledger", "verify").json["ok"])
        # It is re-wrapped and erased like any other.
        self.box.kesu("key", "rotate", "loans")
        self.box.kesu("rewrap", "loans-2019")
        self.assertEqual(self.check()["good"], len(FILES) + 1)
        erasure = self.approved("loans-2019")
        self.run_erasure(erasure)
        self.box.kesu("open", path, "-o", self.box.state / "none", code=3)
        bundle = self.box.path / "bundle"
        self.box.kesu("certificate", "bundle", erasure, "-o", bundle)
        report = self.box.kesu("verify", bundle, "--require", "low", "--allow-test-grade", vault=False, code=(0, 7)).json
        self.assertNotEqual(report["verdict"], "invalid")
        self.assertEqual(self.box.kesu("dataset", "show", "loans-2019").json["objects"], len(FILES) + 1)

    def test_adopt_refuses(self):
        path = self.orphan()
        self.flip(path, path.stat().st_size - 1)
        self.box.kesu("inventory", "adopt", "loans-2019", path, code=6, error="sealed-damaged")
        self.box.kesu("dataset", "add", "other", "--key", "loans")
        self.box.kesu("inventory", "adopt", "other", self.place("a"), code=3, error="state-refused")
        copies = self.out / "copies"
        copies.mkdir()
        for name in "xy":
            shutil.copy(self.place("a"), copies / f"{name}.kesu")
        result = self.box.kesu("inventory", "adopt", "loans-2019", copies, code=3).json
        self.assertEqual([(r["code"], str(self.place("a")) in r["why"]) for r in result["failed"]], [("already-exists", True)] * 2)
        self.assertEqual(self.check()["objects"], len(FILES))

    def remove(self, *words, code=0, **options):
        return self.box.kesu("inventory", "remove", self.out, *words, code=code, **options).json

    def test_remove(self):
        path = self.orphan()
        junk = [self.out / ("." + "ab" * 16 + ".kesu-part"), self.out / ("." + "ab" * 16 + ".kesu-open"),
                self.out / ("cd" * 16 + ".kesu-damaged")]
        for p in junk:
            p.write_bytes(b"left")
        self.remove(code=2, error="usage")
        self.remove("--reason", "r", code=3, error="not-confirmed")
        dry = self.remove("--dry-run")
        self.assertEqual(sorted(r["path"] for r in dry["would_remove"]), sorted(map(str, junk)))
        self.assertTrue(all(p.exists() for p in junk))
        before = self.files_below(self.out)
        result = self.remove("--reason", "power cut", "-y")
        self.assertEqual(sorted(r["path"] for r in result["removed"]), sorted(map(str, junk)))
        self.assertEqual([r["path"] for r in result["kept"]], [str(path)])
        self.assertEqual(self.files_below(self.out), {n: d for n, d in before.items() if str(self.out / n) not in map(str, junk)})
        whats = [e["body"]["what"] for e in self.entries("document-attached")]
        self.assertEqual(whats[-2:], ["leftovers-to-remove", "leftovers-removed"])
        self.assertEqual(self.entries("document-attached")[-1]["body"]["detail"], "power cut")
        # What opens goes with --force alone; what an inventory counts never does.
        result = self.remove("--reason", "sealed again elsewhere", "-y", "--force")
        self.assertEqual([r["path"] for r in result["removed"]], [str(path)])
        self.assertEqual(self.check(self.out)["good"], len(FILES))
        self.assertTrue(self.box.kesu("ledger", "verify").json["ok"])

    def test_an_orphan_that_nothing_opens(self):
        path = self.orphan()
        self.flip(path, 100)  # the commitment: its data key does not fit it any more
        self.assertEqual([r["path"] for r in self.remove("--reason", "broken", "-y")["removed"]], [str(path)])

    def test_a_file_that_somebody_has_open_stays(self):
        part = self.out / ("." + "ab" * 16 + ".kesu-part")
        with open(part, "wb"):
            result = self.remove("--reason", "r", "-y")
            self.assertEqual((result["removed"], [r["path"] for r in result["kept"]]), ([], [str(part)]))
        self.assertTrue(part.exists())


if __name__ == "__main__":
    scenario.main()
