"""seal's options: what is chosen, dry runs, pipes, hidden names, sources removed after a check, Ctrl-C."""
import mmap
import os
import pathlib
import shutil
import signal
import subprocess
import sys
import time

sys.path.insert(0, str(pathlib.Path(__file__).parents[1] / "support"))
import harness
import scenario
from scenario import CHUNK


class Options(scenario.World):
    def tree(self, **files):
        shutil.rmtree(self.box.state / "src", ignore_errors=True)
        for name, data in files.items():
            self.write(name, data)
        return self.box.state / "src"

    def source(self, files):
        shutil.rmtree(self.box.state / "src", ignore_errors=True)
        for name, data in files.items():
            self.write(name, data)
        return self.box.state / "src"

    def sealed(self, *words, **options):
        return self.box.kesu("seal", "loans-2019", *words, "-o", self.out, **options).json

    # What is chosen.

    def test_include_and_exclude(self):
        src = self.source({"a.csv": b"1", "b.tmp": b"2", "sub/c.csv": b"3", "sub/d.tmp": b"4", "cache/e.csv": b"5"})
        result = self.sealed(src, "--include", "*.csv", "--exclude", "cache/")
        self.assertEqual(result["sealed"], 2)
        self.assertEqual(self.opened(self.out), {"src/a.csv": b"1", "src/sub/c.csv": b"3"})

    def test_files_from(self):
        src = self.source({"a": b"1", "sub/new\nline": b"2", "c": b"3"})
        names = self.box.path / "names"
        names.write_bytes(b"a\0sub/new\nline\0")
        self.assertEqual(self.sealed(src, "--files-from", names, "--null")["sealed"], 2)
        self.assertEqual(self.opened(self.out), {"src/a": b"1", "src/sub/new\nline": b"2"})
        names.write_bytes(b"c\nnot-there\n")
        result = self.sealed(src, "--files-from", names, code=8)
        self.assertEqual(result["sealed"], 1)
        self.assertIn("not-there", result["failed"][0]["path"])

    def test_a_name_outside_the_source_is_refused(self):
        src = self.source({"a": b"1"})
        names = self.box.path / "names"
        for bad in (b"../secret\n", b"/etc/passwd\n", b"sub/../../x\n"):
            names.write_bytes(bad)
            self.box.kesu("seal", "loans-2019", src, "--files-from", names, "-o", self.out, code=2)
        self.assertFalse(self.files_below(self.out) if self.out.exists() else {})

    # Dry run.

    def test_dry_run_changes_nothing_and_forecasts_the_space(self):
        src = self.source({"a": os.urandom(3 * CHUNK), "sub/b": b"", "c": b"x" * 100})
        before = self.box.kesu("ledger", "show").stdout
        forecast = self.sealed(src, "--dry-run")
        self.assertEqual((forecast["files"], forecast["bytes"], forecast["there"]), (3, 3 * CHUNK + 100, 0))
        self.assertTrue(forecast["fits"])
        self.assertFalse(self.out.exists())
        self.assertEqual(self.box.kesu("ledger", "show").stdout, before)
        self.sealed(src)
        really = sum(p.stat().st_size for p in self.out.rglob("*.kesu") if ".kesu-tree" not in p.name)
        self.assertEqual(forecast["sealed_bytes"], really)
        again = self.sealed(src, "--dry-run")
        self.assertEqual((again["there"], again["new_bytes"]), (3, 0))

    # Pipes.

    def pipe(self, *words, data=b"", code=0):
        done = subprocess.run([harness.program("kesu"), "--vault", str(self.box.vault), *map(str, words)], input=data,
                              env={**os.environ, **self.box.env}, capture_output=True)
        self.assertEqual(done.returncode, code, done.stderr.decode())
        return done

    def test_standard_input(self):
        for size in (0, 1, CHUNK, 5 * CHUNK + 7):
            data = os.urandom(size)
            name = f"dump-{size}.sql"
            self.pipe("seal", "loans-2019", "-", "--name", name, "-o", self.out, data=data)
            self.assertEqual(self.opened(self.out / f"{name}.kesu"), {name: data})
        listed = {o["name"]: o["bytes"] for o in self.box.kesu("inventory", "list", "loans-2019").json}
        self.assertEqual(listed[f"dump-{5 * CHUNK + 7}.sql"], 5 * CHUNK + 7)

    def test_standard_input_is_read_from_where_it_stands(self):
        whole = self.box.path / "whole"
        whole.write_bytes(b"header\n" + b"body" * CHUNK)
        for out in ("-", self.out):
            with open(whole, "rb", buffering=0) as file:
                file.read(7)
                done = subprocess.run([harness.program("kesu"), "--vault", str(self.box.vault), "seal", "loans-2019", "-", "--name",
                                       "rest", "-o", str(out)], stdin=file, env={**os.environ, **self.box.env}, capture_output=True)
            self.assertEqual(done.returncode, 0, done.stderr)
            if out == "-":
                self.assertEqual(self.pipe("open", "-", "-o", "-", data=done.stdout).stdout, b"body" * CHUNK)
        self.assertEqual(self.opened(self.out / "rest.kesu"), {"rest": b"body" * CHUNK})

    # What must not be lost.

    def test_an_older_manifest_is_not_forgotten(self):
        src = self.source({"a.csv": b"1", "b": b"2"})
        (src / "link").symlink_to("b")
        (src / "empty").mkdir()
        self.sealed(src, "--remove-source")
        self.assertFalse(os.path.lexists(src / "link"))
        self.write("c.csv", b"3")                                    # next month: the same directory, other files
        self.sealed(src, "--include", "*.csv", "--remove-source")
        self.assertEqual(self.opened(self.out), {"src/a.csv": b"1", "src/b": b"2", "src/link": b"2", "src/c.csv": b"3"})
        self.assertEqual(os.readlink(self.box.path / "opened" / "src" / "link"), "b")
        self.assertTrue((self.box.path / "opened" / "src" / "empty").is_dir())

    def test_unchanged_means_that_the_object_is_in_its_place(self):
        src = self.source({"a": b"one"})
        self.sealed(src)
        place = self.out / "src" / "a.kesu"
        for spoilt in (b"", place.read_bytes()[:-1]):
            place.write_bytes(spoilt)
            result = self.sealed(src, code=(3, 8))
            self.assertEqual(result.get("unchanged", 0), 0, result)

    def test_another_file_system_below_out_is_refused(self):
        src = self.source({"a": b"one"})
        mount = self.out / "src"
        mount.mkdir(parents=True)
        done = subprocess.run(["mount", "-t", "tmpfs", "tmpfs", mount], capture_output=True)
        if done.returncode:
            self.skipTest(f"no mounts here: {done.stderr.decode().strip()}")
        try:
            self.box.kesu("seal", "loans-2019", src / "a", "-o", self.out)
            error = self.box.kesu("seal", "loans-2019", src, "-o", self.out, code=(3, 8)).stdout
            self.assertIn("another file system", error)
            self.assertEqual(list(mount.iterdir()), [])
        finally:
            subprocess.run(["umount", mount], check=True)

    def test_standard_input_wants_a_name(self):
        done = self.pipe("seal", "loans-2019", "-", "-o", self.out, data=b"x", code=2)
        self.assertIn(b"--name", done.stderr)
        self.pipe("seal", "loans-2019", "-", "--name", "../x", "-o", self.out, data=b"x", code=2)

    def test_both_ends_are_pipes(self):
        data = os.urandom(4 * CHUNK + 3)
        sealed = self.pipe("seal", "loans-2019", "-", "--name", "dump", "-o", "-", data=data).stdout
        self.assertTrue(sealed.startswith(b"KESU-OBJ"))
        self.assertNotIn(data[:64], sealed)
        plain = self.pipe("open", "-", "-o", "-", data=sealed)
        self.assertEqual(plain.stdout, data)
        # It is in the inventory, and the bytes that came out are a sealed file like any other.
        self.assertEqual([(o["name"], o["place"]) for o in self.box.kesu("inventory", "list", "loans-2019").json],
                         [("dump", "")])
        kept = self.box.path / "kept.kesu"
        kept.write_bytes(sealed)
        self.assertEqual(self.opened(kept), {"dump": data})
        # Cut or altered on its way: said at the end, exit 6.
        self.pipe("open", "-", "-o", "-", data=sealed[:-1], code=6)
        self.pipe("open", "-", "-o", "-", data=sealed[:-1] + bytes([sealed[-1] ^ 1]), code=6)
        self.pipe("open", "-", "-o", "-", data=sealed + b"x", code=6)

    def test_what_went_to_a_pipe_is_erased_where_it_is_shown(self):
        """It has no place: the samples of an erasure are taken from the files that are named."""
        kept = self.box.path / "kept" / "dump.kesu"
        kept.parent.mkdir()
        kept.write_bytes(self.pipe("seal", "loans-2019", "-", "--name", "dump", "-o", "-", data=b"all of it").stdout)
        erasure = self.approved("loans-2019")
        self.run_erasure(erasure, code=5, error="object-absent")
        self.assertEqual(self.opened(kept), {"dump": b"all of it"})
        whole = kept.read_bytes()
        kept.write_bytes(whole[:200])                        # what is no sealed file any more shows nothing
        self.box.kesu("erase", "run", erasure, kept.parent, "-y", code=5, error="object-absent")
        kept.write_bytes(whole)
        self.box.kesu("erase", "run", erasure, kept.parent, "-y")
        self.box.kesu("open", kept, "-o", self.box.path / "none", code=3)
        bundle = self.box.path / "bundle"
        self.box.kesu("certificate", "bundle", erasure, "-o", bundle)
        report = self.box.kesu("verify", bundle, "--allow-test-grade", "--object", kept, vault=False, code=(0, 7)).json
        self.assertEqual((report["errors"], [o["result"] for o in report["objects"]]), ([], ["covered"]))
        claims = {c["id"]: c["detail"] for c in report["claims"]}
        self.assertIn("1 sample", claims["verified-gone"])

    def test_a_file_to_a_pipe(self):
        data = os.urandom(2 * CHUNK + 5)
        source = self.write("ledger.csv", data, below="piped")
        sealed = self.pipe("seal", "loans-2019", str(source), "-o", "-", data=b"").stdout
        self.assertEqual(self.pipe("open", "-", "-o", "-", data=sealed).stdout, data)
        self.pipe("seal", "loans-2019", str(source.parent), "-o", "-", data=b"", code=2)

    def test_a_reader_that_goes_away_is_an_error_and_no_object(self):
        done = subprocess.run(["bash", "-o", "pipefail", "-c", '"$@" </dev/zero | head -c 100000 >/dev/null', "sh",
                               harness.program("kesu"), "--vault", str(self.box.vault), "seal", "loans-2019", "-",
                               "--name", "z", "-o", "-"], env={**os.environ, **self.box.env}, capture_output=True)
        self.assertNotEqual(done.returncode, 0)
        self.assertIn(b"standard output", done.stderr)
        self.assertEqual(self.box.kesu("inventory", "list", "loans-2019").json, [])
        self.assertEqual(self.box.kesu("status").json["questions"], [])

    # Hidden names.

    def test_opaque_names(self):
        files = {"loans/tanaka-taro.csv": b"1", "loans/suzuki.csv": b"2", "x": b"3"}
        src = self.source(files)
        self.sealed(src, "--opaque-names")
        names = [str(p.relative_to(self.out)) for p in self.out.rglob("*")]
        self.assertTrue(names)
        for name in names:
            self.assertRegex(name, r"\A[0-9a-f]{32}\.kesu\Z")
        self.assertEqual(self.opened(self.out), {f"src/{n}": d for n, d in files.items()})
        again = self.sealed(src, "--opaque-names")
        self.assertEqual((again["sealed"], again["unchanged"]), (0, 3))
        self.assertEqual(sorted(str(p.relative_to(self.out)) for p in self.out.rglob("*")), sorted(names))
        self.write("x", b"changed")
        refused = self.sealed(src, "--opaque-names", code=8)
        self.assertEqual([f["code"] for f in refused["failed"]], ["already-exists"])
        self.sealed(src, "--opaque-names", "--replace")
        self.assertEqual(self.opened(self.out)["src/x"], b"changed")

    # Sources removed.

    def test_two_at_once_under_hidden_names(self):
        """Nothing at a place would tell the second of the first: both objects would stand, and the older be restored."""
        def words(name):
            return "seal", "loans-2019", "-", "--name", name, "-o", self.out, "--opaque-names", "--replace"
        first = subprocess.Popen(self.box.kesu_command(*words("dump")), stdin=subprocess.PIPE, stdout=subprocess.DEVNULL, env=self.box.env)
        try:
            first.stdin.write(b"one" * 100_000)              # more than a pipe holds: it has begun to read
            first.stdin.flush()
            self.box.kesu(*words("dump"), stdin=b"two", code=1, error="conflict")
            self.box.kesu(*words("another"), stdin=b"beside")
            first.stdin.close()
            self.assertEqual(first.wait(60), 0)
        finally:
            first.kill()
            first.wait()
        self.assertEqual(self.opened(self.out), {"dump": b"one" * 100_000, "another": b"beside"})
        self.box.kesu(*words("dump"), stdin=b"two")
        self.assertEqual(self.opened(self.out), {"dump": b"two", "another": b"beside"})

    def test_remove_source(self):
        src = self.source({"a": b"one", "sub/b": b"two"})
        (src / "link").symlink_to("a")
        result = self.sealed(src, "--remove-source")
        self.assertEqual((result["sealed"], result["removed"]), (2, 3))
        self.assertEqual([p for p in src.rglob("*") if not p.is_dir() or p.is_symlink()], [])
        self.assertEqual(self.opened(self.out), {"src/a": b"one", "src/sub/b": b"two", "src/link": b"one"})

    def test_what_was_not_sealed_is_not_removed(self):
        src = self.source({"a": b"one", "b": b"two"})
        self.sealed(src)
        self.write("a", b"changed since")
        result = self.sealed(src, "--remove-source", code=8)
        self.assertEqual((result["sealed"], result["unchanged"], result["removed"]), (0, 1, 1))
        self.assertEqual(self.files_below(src), {"a": b"changed since"})

    def test_a_sealed_file_that_does_not_open_keeps_its_source(self):
        src = self.source({"a": os.urandom(2 * CHUNK)})
        self.sealed(src)
        sealed = self.out / "src" / "a.kesu"
        data = bytearray(sealed.read_bytes())
        data[-1] ^= 1
        sealed.write_bytes(data)
        result = self.sealed(src, "--remove-source", code=6)
        self.assertEqual(result["removed"], 0)
        self.assertIn("a", self.files_below(src))

    def test_what_somebody_has_open_for_writing_is_not_removed(self):
        """What he writes next would be lost, with nothing to tell by: size and times are still the same."""
        src = self.source({"a": b"one", "b": b"two", "c": b"three", "mapped": b"m" * 4096})
        os.link(src / "b", src / "b2")
        with open(src / "b2", "ab"), open(src / "c", "rb"):
            with open(src / "mapped", "r+b") as file:
                mapped = mmap.mmap(file.fileno(), 0)
            result = self.sealed(src, "--remove-source", code=8)
            self.assertEqual((result["sealed"], result["removed"]), (4, 2))
            self.assertEqual({f["code"] for f in result["failed"]}, {"conflict"})
            self.assertEqual(sorted(os.listdir(src)), ["b", "b2", "mapped"])
            mapped.close()
        self.assertEqual(self.sealed(src, "--remove-source")["removed"], 3)
        self.assertEqual(os.listdir(src), [])

    # Ctrl-C.

    def interrupted(self, *words, after, sign=signal.SIGINT):
        process = subprocess.Popen([harness.program("kesu"), "--vault", str(self.box.vault), *map(str, words)],
                                   env={**os.environ, **self.box.env}, stdout=subprocess.PIPE, stderr=subprocess.PIPE)
        end = time.monotonic() + 30
        while not after() and process.poll() is None and time.monotonic() < end:
            time.sleep(0.001)
        process.send_signal(sign)
        out, err = process.communicate(timeout=30)
        return process.returncode, err.decode()

    def test_ctrl_c_between_files(self):
        src = self.source({f"f{i:04}": os.urandom(2000) for i in range(3000)})
        for sign, whole in ((signal.SIGINT, 0), (signal.SIGTERM, 1000)):
            code, err = self.interrupted("seal", "loans-2019", src, "-o", self.out, sign=sign,
                                         after=lambda: len(list(self.out.rglob("*.kesu*"))) > whole + 20)
            if code == 0:
                continue  # it was done before the signal came
            self.assertEqual(code, 130, err)
            self.assertIn("same command", err)
            self.assertEqual(list(self.out.rglob(".*part")), [])
            self.assertEqual(self.box.kesu("status").json["questions"], [])
        result = self.sealed(src)
        self.assertEqual(result["sealed"] + result["unchanged"], 3000)
        self.assertEqual(len(self.opened(self.out)), 3000)

    def test_ctrl_c_inside_a_large_file(self):
        src = self.write("large")
        with open(src, "r+b") as file:
            file.truncate(8 << 30)
        code, err = self.interrupted("seal", "loans-2019", src, "-o", self.out,
                                     after=lambda: list(self.out.rglob(".*part")))
        self.assertEqual(code, 130, err)
        self.assertEqual([p for p in self.out.rglob("*") if p.is_file()], [])
        self.assertEqual(self.box.kesu("status").json["questions"], [])


if __name__ == "__main__":
    scenario.main()
