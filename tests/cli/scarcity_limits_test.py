"""Limits of a process: memory that may be locked, open files, threads and processes, address space, size of a file.

Whatever the limit: the command works (with fewer threads), or ends with an error that names what is short and what to
do; no crash, nothing half done, no secret in memory that is not locked. The same command without the limit finishes.
"""
import os
import pathlib
import shutil
import sys

sys.path.insert(0, str(pathlib.Path(__file__).parents[1] / "support"))
import harness
import kill_world

# What may end a command whose machine gives too little. A token's module answers for itself: its errors are its own.
CODES = {"out-of-memory", "memory-lock", "io-failed", "disk-full", "store-unavailable", "provider-unavailable",
         "provider-failed", "module-absent", "outcome-unknown", "token-absent", "key-mismatch", "session-lost", "failed"}
NOBODY = 65534


class Limits(kill_world.World):
    def setUp(self):
        super().setUp()
        self.prepare_vault()
        self.target = self.box.path / "opened"

    def limited(self, *words, limits=(), drop=(), user=None):
        """Runs kesu under prlimit; `drop`: capabilities that root would pass the limit with."""
        wrapped = ["prlimit", *[f"--{name}={value}:{value}" for name, value in limits]]
        if drop:
            wrapped = ["setpriv", f"--bounding-set={','.join('-' + d for d in drop)}", f"--inh-caps={','.join('-' + d for d in drop)}",
                       *wrapped]
        if user:
            wrapped = ["setpriv", f"--reuid={user}", f"--regid={user}", "--clear-groups", *wrapped]
        return self.box.run(*wrapped, *self.box.kesu_command(*words), code=None)

    def named(self, result, codes=CODES):
        """Done, or an error for a person; returns its code or None."""
        if "error while loading shared libraries" in result.stderr or "failed to map segment" in result.stderr:
            return "not started"
        self.assertLess(result.code, 126, result)
        if not result.stdout and result.code in (1, 5):
            return "no memory to say why"
        if not result.stdout and result.code == -6 and "std::bad_alloc" in result.stderr:
            # SoftHSM2's C_Initialize ends the process itself, and its exit handlers throw when nothing is left.
            return "ended by the token's library"
        if result.code == 0:
            return None
        document = result.json
        parts = [document["error"]] if "error" in document else document["failed"]
        for part in parts:
            self.assertIn(part["code"], codes, result)
            self.assertNotIn("unexpected", part.get("message", ""), result)
        if "error" in document:
            self.assertTrue(document["error"]["next"], result)
        return parts[0]["code"]

    def whole(self):
        """Everything is as in a vault that met no limit."""
        again = self.box.kesu("seal", "loans-2019", self.source, "-o", self.out).json
        self.assertEqual((again["sealed"] + again["unchanged"], again["failed"]), (5, []))
        self.opens_to(self.out, self.wanted(1))
        self.settled()

    def sweep(self, name, values, commands, codes=CODES, **options):
        ends = {}
        for value in values:
            self.box.snapshot()
            for words in commands:
                result = self.limited(*words, limits=[(name, value)], **options)
                with self.subTest(limit=value, command=words[0]):
                    ends[f"{value} {words[0]}"] = self.named(result, codes)
                    shutil.rmtree(self.target, ignore_errors=True)
                    self.verify_ledger()
                    self.assertEqual(self.leftovers(), [])
            self.whole()
            self.box.restore()
        print(f"{name}: {ends}", flush=True)
        return ends

    def commands(self):
        return [("seal", "loans-2019", self.source, "-o", self.out), ("open", self.out, "-o", self.target),
                ("key", "rotate", "loans"), ("rewrap", "loans-2019"), ("status",)]


class Memory(Limits):
    def test_no_memory_may_be_locked(self):
        """A PIN, a data key: never in memory that can be swapped."""
        for words in self.commands()[:4]:
            with self.subTest(words[0]):
                self.box.kesu("seal", "loans-2019", self.source, "-o", self.out) if words[0] == "open" else None
                result = self.limited(*words, limits=[("memlock", 0)], drop=["ipc_lock"])
                self.assertEqual(self.named(result.expect(1), {"memory-lock"}), "memory-lock")
                if "error" in result.json:
                    self.assertIn("ulimit -l", result.json["error"]["next"])
        self.whole()

    def test_little_memory_may_be_locked(self):
        ends = self.sweep("memlock", (4096, 32768, 65536, 131072, 1 << 20), self.commands(), drop=["ipc_lock"])
        self.assertEqual(ends["4096 seal"], "memory-lock")
        self.assertIsNone(ends["1048576 seal"])

    def test_address_space(self):
        values = [mib << 20 for mib in (16, 22, 26, 40, 96)]
        ends = self.sweep("as", values, self.commands())
        self.assertIsNone(ends[f"{values[-1]} seal"])
        self.assertTrue(any(ends.values()), ends)

    def test_stack(self):
        """Whoever lowers it for all (a service's unit, a shell) has commands that work, not ones that crash."""
        ends = self.sweep("stack", (49_152, 65_536, 98_304, 1 << 20), self.commands())
        self.assertEqual(set(ends.values()), {None})


class Files(Limits):
    def test_open_files(self):
        ends = self.sweep("nofile", (5, 6, 8, 10, 12, 14, 16, 20, 24, 32, 64), self.commands())
        self.assertIsNone(ends["64 seal"])
        self.assertTrue(any(ends.values()))

    def test_a_sealed_file_that_could_not_be_opened_is_not_called_damaged(self):
        """Before a source is removed its object is opened again: without a descriptor for it nothing is known of it."""
        short = 0
        for limit in range(12, 24):
            self.box.snapshot()
            result = self.limited("seal", "loans-2019", self.source, "-o", self.out, "--remove-source", limits=[("nofile", limit)])
            with self.subTest(limit=limit):
                self.assertNotIn("sealed-damaged", result.stdout)
                self.assertNotEqual(result.code, 6)
                short += "Too many open files" in result.stdout
            self.box.restore()
        self.assertGreater(short, 0)

    def test_many_threads_share_few_open_files(self):
        """Files under work take what vault and token leave: not all of it, whatever the number of processors."""
        many = self.box.path / "many"
        many.mkdir()
        for i in range(700):
            (many / str(i)).write_bytes(b"%d" % i)
        self.box.kesu("seal", "loans-2019", many, "-o", self.out)
        self.box.kesu("key", "rotate", "loans")
        self.box.env["KESU_THREADS"] = "16"
        moved = self.limited("rewrap", "loans-2019", limits=[("nofile", 400)]).expect(0).json
        self.assertEqual((moved["moved"], moved["failed"], moved["missing"]), (701, [], []))

    def test_a_deep_tree_with_few_open_files(self):
        """Directories on the way are kept open only as far as the vault and the token are left enough."""
        deep = self.box.path / "deep"
        for i in range(120):
            place = deep / "/".join([f"d{i % 3}"] + ["e"] * (i % 40) + [f"x{i}"])
            place.mkdir(parents=True)
            (place / "f").write_bytes(b"%d" % i)
        for threads, files in ((2, 36), (4, 48), (64, 512)):
            with self.subTest(threads=threads, files=files):
                self.box.env["KESU_THREADS"] = str(threads)
                out = self.box.path / f"out-{threads}"
                sealed = self.limited("seal", "loans-2019", deep, "-o", out, limits=[("nofile", files)]).expect(0).json
                self.assertEqual((sealed["sealed"], sealed["failed"]), (120, []))
                shutil.rmtree(self.target, ignore_errors=True)
                opened = self.limited("open", out, "-o", self.target, limits=[("nofile", files)]).expect(0).json
                self.assertEqual((opened["opened"], opened["failed"]), (120, []))

    def test_size_of_a_file(self):
        ends = self.sweep("fsize", (0, 4096, 20_000, 40_000), self.commands())
        self.assertTrue(any(end in ("io-failed", "store-unavailable") for end in ends.values()), ends)


class Threads(Limits):
    def test_no_further_threads_or_processes(self):
        """Work for threads is done by fewer; where a process must be had (kesu-probe), the error names it."""
        if os.geteuid() != 0:
            self.skipTest("another user for the limit needs root")
        os.chmod(self.box.path, 0o755)
        for path in (self.box.state, self.box.path / "loans", self.box.path / "home", self.box.path / "tmp", self.box.path / "officers"):
            for root, folders, files in os.walk(path):
                for name in (".", *folders, *files):
                    os.chown(os.path.join(root, name), NOBODY, NOBODY, follow_symlinks=False)
        self.box.env["KESU_THREADS"] = "8"
        for words in (("seal", "loans-2019", self.source, "-o", self.out), ("open", self.out, "-o", self.box.state / "opened"),
                      ("key", "rotate", "loans"), ("rewrap", "loans-2019")):
            with self.subTest(words[0]):
                result = self.limited(*words, limits=[("nproc", 1)], user=NOBODY)
                result.expect(0)
        self.verify_ledger()


if __name__ == "__main__":
    harness.main()
