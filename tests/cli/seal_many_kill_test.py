"""`kesu seal` of many small files: their parts bear no names, and they get their final ones group by group.

Killed before some of these, or refused some, or without room for open files: what stands is whole, nothing else is left,
and the same command again seals the rest once.
"""
import pathlib
import sys

sys.path.insert(0, str(pathlib.Path(__file__).parents[1] / "support"))
import harness
import harness_fault
import harness_kill
import kill_world

MANY = 150


class Many(kill_world.World):
    def setUp(self):
        super().setUp()
        self.prepare_vault()
        self.out.mkdir()

    def tree(self, name):
        root = self.box.path / name
        wanted = {}
        for i in range(MANY):
            path = root / f"{i // 60}" / f"{i:03}.dat"
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes(kill_world.content(path.name, 500 + i))
            wanted[str(path.relative_to(root.parent))] = path.read_bytes()
        return root, wanted

    def standing(self, name):
        return {str(p.relative_to(self.out))[:-len(".kesu")]: p for p in (self.out / name).rglob("*.kesu")
                if ".kesu-tree-" not in p.name}

    def limited(self, files, command):
        """With so few files open at once; 400: two threads give names to some 36 at a time."""
        return ["sh", "-c", f'ulimit -n {files}; exec "$@"', "sh", *self.box.kesu_command(*command)]

    def end(self, command, name, wanted, kept):
        """The same command once more: all of them, each once, what stood kept."""
        result = self.box.kesu(*command).json
        self.assertEqual((result["sealed"] + result["unchanged"], result["failed"]), (MANY, []))
        self.assertGreaterEqual(result["unchanged"], len(kept))
        now = self.standing(name)
        self.assertEqual(sorted(now), sorted(wanted))
        for path, identifier in kept.items():
            self.assertEqual(kill_world.object_id(now[path]), identifier)
        self.assertEqual([p for p in self.out.rglob(".*") if ".kesu-tree-" not in p.name], [])
        listed = [r["object"] for r in self.box.kesu("inventory", "list", "loans-2019").json
                  if r["name"].startswith(f"{name}/")]
        self.assertEqual(sorted(listed), sorted(kill_world.object_id(p) for p in now.values()))
        back = self.box.path / f"{name}-back"
        self.box.kesu("open", self.out / name, "-o", back)
        self.assertEqual({str(p.relative_to(back)): p.read_bytes() for p in back.rglob("*.dat")}, wanted)
        self.assertEqual(self.box.kesu("status").json["questions"], [])

    def killed_at(self, name, at, only=()):
        """Killed before that call below where it seals to; what stands is whole, and the same command ends the work."""
        source, wanted = self.tree(name)
        command = ("seal", "loans-2019", source, "-o", self.out)
        calls, killed, result = harness_kill.traced(self.limited(400, command), at, {**self.box.env, "KESU_THREADS": "2"},
                                                    self.box.path, only=(*only, "--under", f"{self.out}/"))
        self.assertTrue(killed, result)
        self.consistent()
        # The other thread's last call was made, or was not yet.
        named = sum(c.name == "linkat" for c in calls[:-1])
        kept = {n: kill_world.object_id(p) for n, p in self.standing(name).items()}
        self.assertIn(len(kept), (named - 1, named), [c.name for c in calls[-3:]])
        self.assertEqual(self.leftovers(), [])
        self.end(command, name, wanted, kept)

    def test_killed_while_they_get_their_names(self):
        for at in (1, 2, MANY // 2, MANY):
            with self.subTest(at=at):
                self.killed_at(f"many-{at}", at, ("--call", "linkat"))

    def test_killed_at_whatever_else_is_done_to_them(self):
        """Before a name is given and right after, and in between: nothing is written to what has its name."""
        source, _ = self.tree("whole")
        calls, *_ = harness_kill.traced(self.limited(400, ("seal", "loans-2019", source, "-o", self.out)), 0,
                                        {**self.box.env, "KESU_THREADS": "2"}, self.box.path,
                                        only=("--under", f"{self.out}/"))
        calls = [c.name for c in calls if c.target.startswith(f"{self.out}/")]
        links = [at for at, name in enumerate(calls, 1) if name == "linkat"]
        self.assertEqual(len(links), MANY)
        # The other thread makes parts meanwhile, and directories.
        self.assertLessEqual(set(calls[links[0]:links[-1]]), {"linkat", "openat", "pwrite64", "mkdirat"})
        for at in (10, *range(links[0], links[0] + 4), (links[0] + links[-1]) // 2, links[-1]):
            with self.subTest(at=at):
                self.killed_at(f"at-{at}", at)

    def test_a_name_that_is_refused_is_given_to_a_copy(self):
        source, wanted = self.tree("many")
        command = ("seal", "loans-2019", source, "-o", self.out)
        self.box.snapshot()
        env = {**self.box.env, "KESU_THREADS": "1"}
        calls, _ = harness_fault.traced(self.box.kesu_command(*command), under=(self.out,), env=env)
        links = [c for c in calls if c.name == "linkat"]
        self.assertEqual(len(links), MANY)
        self.box.restore()
        calls, result = harness_fault.traced(self.box.kesu_command(*command), at=links[MANY // 2].ordinal, error="EACCES",
                                             under=(self.out,), env=env)
        failed, = [c for c in calls if c.failed]
        self.assertEqual((result.code, failed.name), (0, "linkat"), result)
        self.assertEqual([c.target for c in calls if c.name == "renameat2" and "/.kesu-tree-" not in c.target],
                         [failed.target])
        self.end(command, source.name, wanted,
                 {n: kill_world.object_id(p) for n, p in self.standing(source.name).items()})

    def test_where_few_files_may_be_open_parts_have_names(self):
        source, wanted = self.tree("many")
        command = ("seal", "loans-2019", source, "-o", self.out)
        calls, result = harness_fault.traced(self.limited(128, command), under=(self.out,), env=self.box.env)
        self.assertEqual(result.code, 0, result)
        self.assertEqual([c for c in calls if c.name == "linkat"], [])
        self.end(command, source.name, wanted,
                 {n: kill_world.object_id(p) for n, p in self.standing(source.name).items()})


if __name__ == "__main__":
    harness.main()
