"""`kesu copy share` and `kesu key restore`, killed before each of their state-changing calls.

After each kill of a sharing: no byte of a share is on disk that the ledger does not know as an open copy; `status` asks
where it is not known whether a set was written, and the next command that writes records what it sees and ends no copy.
After each kill of a restoring: the plain shares are a registered copy before the key can be back.
"""
import pathlib
import sys

sys.path.insert(0, str(pathlib.Path(__file__).parents[1] / "support"))
import harness
import kill_world
import soft_kill_test

try:
    import custodians
except ImportError:
    sys.exit(77)


class World(soft_kill_test.World):
    def setUp(self):
        super().setUp()
        self.prepare_vault()
        self.box.kesu("key", "create", "short")
        self.box.kesu("dataset", "add", "short-2019", "--key", "short", "--unreadable-until", "2040")
        self.people = custodians.Custodians(self.box.path / "people")
        self.directory = self.box.state / "shares"
        self.words = ["copy", "share", "short", "--threshold", "2", "-o", self.directory]
        for name in ("sato", "mori"):
            self.words += ["--to", self.people.make(name)]

    def questions(self):
        return [q for q in self.box.kesu("status").json["questions"] if q["node"].startswith("cpy-")]

    def copies(self):
        return self.box.kesu("copy", "list").json


class Share(World):
    def test_share(self):
        box, seen = self.box, {"registered, nothing seen": 0, "some seen": 0, "all seen": 0}

        def check(call):
            self.verify_ledger()
            entries = self.entries()
            registered = kill_world.of_type(entries, "copy-registered")
            written = [e for e in kill_world.of_type(entries, "document-attached") if e["body"]["what"] == "shares-written"]
            files = sorted(p.name for p in self.directory.iterdir()) if self.directory.exists() else []
            # The set is registered whole, in one append, before the first byte of any share.
            self.assertIn(len(registered), (0, 2))
            if files:
                self.assertEqual(len(registered), 2)
            states = [c["state"] for c in self.copies()]
            self.assertEqual(states, ["open"] * len(registered))
            questions = self.questions()
            self.assertEqual(len(questions), 1 if registered and not written else 0)
            if written:
                self.assertFalse(written[0]["body"]["interrupted"])
                self.assertEqual(files, ["share-1-of-2.p7m", "share-2-of-2.p7m"])
            # Any command that writes settles it; no copy ends by that.
            box.kesu("key", "create", "after")
            self.assertEqual(self.questions(), [])
            entries = self.entries()
            written = [e for e in kill_world.of_type(entries, "document-attached") if e["body"]["what"] == "shares-written"]
            self.assertEqual(len(written), 1 if registered else 0)
            self.assertEqual(kill_world.of_type(entries, "copy-ended"), [])
            left = sorted(p.name for p in self.directory.iterdir()) if self.directory.exists() else []
            self.assertEqual([name for name in left if ".tmp" in name], [])
            self.assertEqual([c["state"] for c in self.copies()], ["open"] * len(registered))
            if questions:
                self.assertTrue(written[0]["body"]["interrupted"])
                self.assertIn(f"{len(left)} of 2 files were seen", written[0]["body"]["detail"])
                seen["all seen" if len(left) == 2 else "some seen" if left else "registered, nothing seen"] += 1
            if not registered:
                box.kesu(*self.words)  # the same command again
            self.end_state()

        self.each_kill(*self.words, check=check, expect=("mkdir", "rename", "fsync"))
        print(f"sets that were open after a kill: {seen}", flush=True)


class Restore(World):
    def test_restore(self):
        box = self.box
        old = self.keystore.read_bytes()
        box.kesu("key", "create", "late")
        box.kesu("dataset", "add", "late-2019", "--key", "late", "--unreadable-until", "2040")
        words = ["late" if w == "short" else w for w in self.words]
        made = box.kesu(*words).json
        version, = kill_world.versions_of(self.entries(), "late")
        restore = ["key", "restore", "late", "--custodian", "C"]
        for row, name in zip(made["shares"], ("sato", "mori")):
            restore += ["--share", self.people.decrypt(name, pathlib.Path(row["file"]), box.path / name)]
        self.keystore.write_bytes(old)
        there = {"before": 0, "after": 0}

        def check(call):
            self.verify_ledger()
            entries = self.entries()
            plain = [c for c in self.copies() if c["medium"] == "plain shares"]
            restored = [e for e in kill_world.of_type(entries, "document-attached") if e["body"]["what"] == "key-restored"]
            tested = box.kesu("provider", "test", "soft1", code=(0, 8)).json
            back = not tested["findings"]
            there["after" if back else "before"] += 1
            if back:
                self.assertEqual([c["state"] for c in plain], ["open"])
            if restored:
                self.assertTrue(back)
            again = box.kesu(*restore, code=(0, 3))
            if again.code:
                self.assertEqual(again.error_code, "already-exists")
                self.assertTrue(back)
            entries = self.end_state()
            self.assertEqual(kill_world.key_states(entries)[version], "active")
            self.assertEqual(len([c for c in self.copies() if c["medium"] == "plain shares"]), 1)

        self.each_kill(*restore, check=check, expect=("pwrite64", "fdatasync"))
        print(f"kills with the key not back, and back: {there}", flush=True)
        self.assertTrue(all(there.values()))


if __name__ == "__main__":
    harness.main()
