"""seal and open: exact bytes, names and times back; what is skipped, refused or failed is said; nothing half done."""
import base64
import os
import pathlib
import shutil
import sys
import threading
import time

sys.path.insert(0, str(pathlib.Path(__file__).parents[1] / "support"))
import scenario
from scenario import CHUNK

SIZES = (0, 1, 15, CHUNK - 1, CHUNK, CHUNK + 1, 3 * CHUNK, 3 * CHUNK + 1)
# As Linux has them: bytes without slash and NUL.
NAMES = (b"plain.txt", "日本語 ファイル.csv".encode(), "か\u3099.txt".encode(), "が.txt".encode(), b"new\nline", b"tab\tquote\"'\\",
         b"\xff\xfe not utf-8", b"-o", b"--help", b" leading and trailing ", b".hidden", b"a.kesu", b"x" * 240, b"\x01\x1b[31m")


def noise(n, seed=b"k"):
    return (seed * (n // len(seed) + 1))[:n]


class Seal(scenario.World):
    def test_every_size(self):
        files = {f"f{n}": os.urandom(n) for n in SIZES}
        result = self.seal("loans-2019", files)
        self.assertEqual((result["sealed"], result["bytes"], result["failed"], result["skipped"]),
                         (len(SIZES), sum(SIZES), [], []))
        self.assertEqual(self.opened(self.out), {f"src/{n}": d for n, d in files.items()})
        for n in SIZES:
            info = self.box.kesu("info", self.out / "src" / f"f{n}.kesu").json
            self.assertEqual((info["payload_bytes"], info["chunk"], info["algorithm"]), (n, CHUNK, "AES-256-GCM"))
            self.assertEqual(info["file_bytes"], (self.out / "src" / f"f{n}.kesu").stat().st_size)
            sealed = (self.out / "src" / f"f{n}.kesu").read_bytes()
            if n > 100:
                self.assertNotIn(files[f"f{n}"][:32], sealed)

    def test_every_algorithm(self):
        for algorithm in ("AES-256-GCM", "ChaCha20-Poly1305", "Camellia-256-GCM", "AES-128-GCM"):
            with self.subTest(algorithm):
                self.box.kesu("dataset", "add", algorithm, "--key", "loans", "--algorithm", algorithm, "--chunk", str(CHUNK),
                              "--unreadable-until", "2035")
                files = {"a": noise(2 * CHUNK + 5), "b": b""}
                shutil.rmtree(self.out, ignore_errors=True)
                self.seal(algorithm, files)
                self.assertEqual(self.box.kesu("info", self.out / "src" / "a.kesu").json["algorithm"], algorithm)
                self.assertEqual(self.opened(self.out), {f"src/{n}": d for n, d in files.items()})

    def test_names_modes_and_times(self):
        shutil.rmtree(self.box.state / "src", ignore_errors=True)
        times = (0, 1, 1_700_000_000_999_999_999, 4_102_444_800_000_000_001)
        modes = (0o644, 0o400, 0o755, 0o600)
        for i, name in enumerate(NAMES):
            self.write(name, name, modes[i % 4], times[i % 4])
        self.box.kesu("seal", "loans-2019", self.box.state / "src", "-o", self.out)
        target = self.box.path / "opened"
        shutil.rmtree(target, ignore_errors=True)
        self.box.kesu("open", self.out, "-o", target)
        root = os.path.join(os.fsencode(target), b"src")
        self.assertEqual(sorted(os.listdir(root)), sorted(NAMES))
        for i, name in enumerate(NAMES):
            st = os.stat(os.path.join(root, name))
            self.assertEqual((st.st_mode & 0o7777, st.st_mtime_ns), (modes[i % 4], times[i % 4]), name)
            with open(os.path.join(root, name), "rb") as file:
                self.assertEqual(file.read(), name)
        # In JSON a name is a string where it is UTF-8, as it is; else its bytes.
        listed = [o["name"] for o in self.box.kesu("inventory", "list", "loans-2019").json if o["name"] != "src"]
        decoded = [base64.b64decode(n["b64"]) if isinstance(n, dict) else n.encode() for n in listed]
        self.assertEqual(sorted(decoded), sorted(b"src/" + n for n in NAMES))
        self.assertEqual(sum(isinstance(n, dict) for n in listed), 1)
        # A name cannot steer a terminal or forge a line of the table.
        text = self.box.text("inventory", "list", "loans-2019").stdout
        self.assertNotIn("\x1b", text)
        self.assertEqual(len(text.splitlines()), len(NAMES) + 2)  # and the heading, and the tree's manifest

    def test_what_is_not_a_regular_file_is_skipped_and_said(self):
        root = self.write("a", b"one").parent
        for n in list(root.iterdir()):
            if n.name != "a":
                n.unlink() if n.is_file() else shutil.rmtree(n)
        (root / "link").symlink_to("a")
        (root / "dangling").symlink_to("/nowhere")
        (root / "dirlink").symlink_to("/")
        os.mkfifo(root / "fifo")
        (root / "empty").mkdir()
        result = self.box.kesu("seal", "loans-2019", root, "-o", self.out).json
        self.assertEqual(result["sealed"], 1)
        self.assertEqual({os.path.basename(s["path"]): s["why"] for s in result["skipped"]},
                         {"fifo": "a FIFO"})
        # Links and empty directories stand in the tree's manifest and come back as what they were.
        self.assertEqual(self.opened(self.out), {"src/a": b"one", "src/link": b"one"})
        opened = self.box.path / "opened" / "src"
        self.assertEqual({n: os.readlink(opened / n) for n in ("link", "dangling", "dirlink")},
                         {"link": "a", "dangling": "/nowhere", "dirlink": "/"})
        self.assertEqual(list((opened / "empty").iterdir()), [])
        self.assertIn("a FIFO", self.box.text("seal", "loans-2019", root, "-o", self.out).stdout)

    def test_named_and_no_file_is_a_failure(self):
        """Met in a tree it is skipped; who names it wants it sealed, and is not told that all is done."""
        path = self.write("a", b"one").parent / "fifo"
        os.mkfifo(path)
        result = self.box.kesu("seal", "loans-2019", path, path.with_name("a"), "-o", self.out, code=8).json
        self.assertEqual((result["sealed"], result["skipped"]), (1, []))
        self.assertEqual([(f["path"], f["code"]) for f in result["failed"]], [(str(path), "bad-input")])
        self.box.kesu("seal", "loans-2019", path, "-o", self.out, code=2, error="bad-input")

    def test_unreadable_files_are_named_and_the_others_done(self):
        self.seal("loans-2019", {"good": b"one"})
        bad = self.write("bad", b"two", mode=0)
        if os.geteuid() == 0:  # it reads everything: what stands at the file's place fails instead
            for place in (self.out / "src", self.box.state / "alone"):
                (place / "bad.kesu").mkdir(parents=True)
        self.write("better", b"three")
        result = self.box.kesu("seal", "loans-2019", bad.parent, "-o", self.out, code=8).json
        self.assertEqual((result["sealed"], result["unchanged"]), (1, 1))
        failed, = result["failed"]
        self.assertEqual(failed["path"], str(bad))
        self.assertTrue(failed["why"])
        self.assertEqual(self.opened(self.out), {"src/good": b"one", "src/better": b"three"})
        self.assertEqual(self.box.kesu("status").json["questions"], [])
        # Alone it is the command's own failure, and no batch is left.
        alone = self.box.kesu("seal", "loans-2019", bad, "-o", self.box.state / "alone", code=None)
        self.assertNotEqual(alone.code, 0)
        self.assertTrue(alone.error_code, alone)
        self.assertEqual(self.files_below(self.box.state / "alone"), {})
        self.box.kesu("ledger", "verify")

    def test_missing_source(self):
        missing = self.box.path / "nothing-here"
        result = self.box.kesu("seal", "loans-2019", missing, "-o", self.out, code=None)
        self.assertNotIn(result.code, (0, 8))
        self.assertIn("nothing-here", result.json["error"]["message"])

    def test_unchanged_and_superseded(self):
        self.assertEqual(self.seal("loans-2019", {"a": b"one", "b": b"two"})["sealed"], 2)
        again = self.box.kesu("seal", "loans-2019", self.box.state / "src", "-o", self.out).json
        self.assertEqual((again["sealed"], again["unchanged"], again["batches"]), (0, 2, 0))
        # Same size, same mtime, other bytes: its ctime gives it away.
        self.write("a", b"ONE")
        # The old ciphertext may be all that is left of another file: it goes only when asked.
        refused = self.box.kesu("seal", "loans-2019", self.box.state / "src", "-o", self.out, code=8).json
        self.assertEqual([f["code"] for f in refused["failed"]], ["already-exists"])
        self.assertEqual(self.opened(self.out), {"src/a": b"one", "src/b": b"two"})
        changed = self.box.kesu("seal", "loans-2019", self.box.state / "src", "-o", self.out, "--replace").json
        self.assertEqual((changed["sealed"], changed["unchanged"]), (1, 1))
        self.assertEqual(self.opened(self.out), {"src/a": b"ONE", "src/b": b"two"})
        listed = self.box.kesu("inventory", "list", "loans-2019").json
        self.assertEqual(sorted((o["name"], o["current"]) for o in listed if o["name"] != "src"),
                         [("src/a", False), ("src/a", True), ("src/b", True)])
        for row in listed:
            self.assertEqual(sorted(row), ["bytes", "current", "leaf", "name", "object", "place"])
        # The old object stays in scope; so do both manifests, since the directory's time changed.
        self.assertEqual(self.plan("loans-2019")["objects"], len(listed))

    def test_the_only_ciphertext_of_older_content_is_kept_unless_told(self):
        self.seal("loans-2019", {"a": b"one"})
        sealed = (self.out / "src" / "a.kesu").read_bytes()
        changed = self.write("a", b"two")
        error = self.box.kesu("seal", "loans-2019", changed.parent, "-o", self.out, code=3, error="already-exists")
        self.assertIn("only ciphertext", error.json["error"]["message"])
        self.assertEqual((self.out / "src" / "a.kesu").read_bytes(), sealed)
        self.assertEqual(self.opened(self.out), {"src/a": b"one"})
        # Another place takes it without a question.
        self.box.kesu("seal", "loans-2019", changed.parent, "-o", self.box.state / "second")
        self.assertEqual(self.opened(self.box.state / "second"), {"src/a": b"two"})
        self.assertEqual(self.opened(self.out), {"src/a": b"one"})

    def test_a_lost_sealed_file_is_sealed_again(self):
        self.seal("loans-2019", {"a": b"one"})
        (self.out / "src" / "a.kesu").unlink()
        self.assertEqual(self.box.kesu("seal", "loans-2019", self.box.state / "src", "-o", self.out).json["sealed"], 1)
        self.assertEqual(self.opened(self.out), {"src/a": b"one"})

    def test_a_foreign_file_in_the_way_is_kept(self):
        for what in ("text", "other-dataset", "link", "directory"):
            with self.subTest(what):
                self.box.restore("prepared")
                place = self.out / "src" / "a.kesu"
                place.parent.mkdir(parents=True)
                precious = self.box.state / "precious"
                precious.write_bytes(b"precious")
                if what == "text":
                    place.write_bytes(b"precious")
                elif what == "link":
                    place.symlink_to(precious)
                elif what == "directory":
                    place.mkdir()
                else:
                    self.box.kesu("dataset", "add", "other", "--key", "loans")
                    self.box.kesu("seal", "other", self.write("a", b"other's"), "-o", self.out / "src")
                before = self.files_below(self.out)
                self.write("a", b"one")
                self.box.kesu("seal", "loans-2019", self.box.state / "src" / "a", "-o", self.out / "src", code=3,
                              error="already-exists")
                self.assertEqual(self.files_below(self.out), before)
                self.assertEqual(precious.read_bytes(), b"precious")
                self.assertEqual(self.box.kesu("status").json["questions"], [])

    def test_out_inside_the_source(self):
        entries = self.entries()
        src = self.write("a").parent
        for out in (src, src / "sealed", src / ".." / "src"):
            self.box.kesu("seal", "loans-2019", src, "-o", out, code=2, error="usage")
        other = self.write("src/a", below="else").parent
        self.box.kesu("seal", "loans-2019", src, other, "-o", self.out, code=2, error="usage")
        # Sealed files among their sources would be sealed again, and removed, by the next run.
        self.box.kesu("seal", "loans-2019", src, "-o", src.parent, code=2, error="usage")
        self.box.kesu("seal", "loans-2019", src, "-o", src.parent, "--dry-run", code=2, error="usage")
        self.nothing_changed(entries)
        self.assertFalse((src / "sealed").exists())
        self.assertEqual(os.listdir(src), ["a"])

    def test_a_source_that_changes_while_it_is_read(self):
        """Whatever the timing: either it is refused and nothing stands, or one consistent state was sealed."""
        path = self.write("growing", noise(8 << 20, b"0"))
        stop = threading.Event()

        def write_on():
            with open(path, "ab") as file:
                while not stop.is_set():
                    file.write(b"x")
                    file.flush()
                    time.sleep(0.0005)
        thread = threading.Thread(target=write_on)
        thread.start()
        try:
            result = self.box.kesu("seal", "loans-2019", path, "-o", self.out, code=(0, 1))
        finally:
            stop.set()
            thread.join()
        if result.code:
            self.assertEqual(result.error_code, "conflict")
            self.assertEqual(self.files_below(self.out), {})
            self.assertEqual(self.box.kesu("status").json["questions"], [])
        else:
            data = self.opened(self.out)["growing"]
            self.assertEqual(data, noise(8 << 20, b"0") + b"x" * (len(data) - (8 << 20)))

    # Opening.

    def test_existing_destinations(self):
        self.seal("loans-2019", {"a": b"sealed", "b": b"other"})
        target = self.box.path / "t"
        shutil.rmtree(target, ignore_errors=True)
        (target / "src").mkdir(parents=True)
        (target / "src" / "a").write_bytes(b"mine")
        one = self.out / "src" / "a.kesu"
        self.box.kesu("open", one, "-o", target, code=3, error="already-exists")
        self.assertEqual((target / "src" / "a").read_bytes(), b"mine")
        result = self.box.kesu("open", self.out, "-o", target, code=8).json
        self.assertEqual((result["opened"], [f["code"] for f in result["failed"]]), (1, ["already-exists"]))
        self.assertEqual(self.files_below(target), {"src/a": b"mine", "src/b": b"other"})
        self.box.kesu("open", self.out, "-o", target, "--force")
        self.assertEqual(self.files_below(target), {"src/a": b"sealed", "src/b": b"other"})

    def test_links_in_the_destination_are_not_followed(self):
        self.seal("loans-2019", {"a": b"sealed"})
        target, elsewhere = self.box.path / "t", self.box.path / "elsewhere"
        for path in (target, elsewhere):
            shutil.rmtree(path, ignore_errors=True)
            path.mkdir()
        (target / "src").symlink_to(elsewhere)
        self.box.kesu("open", self.out, "-o", target, code=3)
        self.box.kesu("open", self.out, "-o", target, "--force", code=3)
        self.assertEqual(self.files_below(elsewhere), {})
        # A link as the file itself is replaced, not written through.
        (target / "src").unlink()
        (target / "src").mkdir()
        (elsewhere / "victim").write_bytes(b"mine")
        (target / "src" / "a").symlink_to(elsewhere / "victim")
        self.box.kesu("open", self.out, "-o", target, "--force", code=(0, 3))
        self.assertEqual((elsewhere / "victim").read_bytes(), b"mine")

    def test_opening_is_recorded_before_anything_leaves(self):
        self.seal("loans-2019", {"a": b"1", "b": b"2"})
        self.opened(self.out)
        kinds = [e["type"] for e in self.entries()][-3:]
        self.assertEqual(kinds, ["process-started", "objects-opened", "process-ended"])
        entry = next(e for e in self.entries() if e["type"] == "objects-opened")
        self.assertEqual(len(entry["body"]["objects"]), 3)  # and the tree's manifest
        self.assertEqual(entry["body"]["versions"], [self.version_of("loans")])

    def test_names_in_messages_do_no_harm(self):
        kesu = scenario.harness.program("kesu")
        for name in (b"\xff", b"\x1b[31m", b"a\nkesu: all is well", "\u202etxt.exe".encode(), "\u009b31m".encode()):
            with self.subTest(name):
                path = os.path.join(os.fsencode(self.box.path), name)
                result = self.box.run(kesu, "info", os.fsdecode(path), "--json", code=2, error="not-found")
                self.assertIn(str(self.box.path), result.json["error"]["message"])
                text = self.box.run(kesu, "info", os.fsdecode(path), code=2).stderr
                self.assertEqual([c for c in text if c in "\x1b\u202e\u009b\ufffd"], [])
                self.assertTrue(all(l.startswith(("kesu: cannot", "  ")) for l in text.splitlines()), text)

    def test_info_needs_no_vault(self):
        self.seal("loans-2019", {"a": b"1"})
        sealed = self.out / "src" / "a.kesu"
        known = self.box.kesu("info", sealed).json
        bare = self.box.run(scenario.harness.program("kesu"), "info", sealed, "--json", cwd="/").json
        self.assertEqual(sorted(known), sorted(bare))
        self.assertEqual((known["dataset_name"], bare["dataset_name"]), ("loans-2019", None))
        self.assertEqual((known["slots"][0]["state"], bare["slots"][0]["state"]), ("active", None))
        self.box.kesu("info", self.box.path / "none", code=2, error="not-found")
        self.box.kesu("info", self.write("text"), code=6, error="sealed-damaged")


if __name__ == "__main__":
    scenario.main()
