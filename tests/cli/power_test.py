"""Loss of power where it would hurt most: names are on the disk and what they name is not. What a command replaces is
there until what replaces it is; what it leaves without content is in nobody's way. power_kill_test.py takes all points."""
import pathlib
import shutil
import sys

sys.path.insert(0, str(pathlib.Path(__file__).parents[1] / "support"))
import harness
import kill_world
import power
from kill_world import FILES


def names_given(calls, i):
    """Before and after the final names of objects are given, until they are durable."""
    before = calls[i - 1] if i else None
    return ((".kesu" in calls[i].target and calls[i].name.startswith(("renameat", "unlinkat")))
            or calls[i].name == "syncfs" or (before is not None and before.name.startswith("renameat")))


class Power(power.World):
    def test_the_older_object_goes_last(self):
        """A stream is sealed over an older object: its source is not there a second time."""
        box = self.box
        old, new = kill_world.content("old", 60_000), kill_world.content("new", 60_000)
        (box.path / "new").write_bytes(new)
        words = ("seal", "loans-2019", "-", "--name", "dump", "-o", self.out)
        box.kesu(*words, stdin=old)
        seen = set()

        def check(_call):
            box.kesu("inventory", "settle", "loans-2019")
            target = box.path / "opened"
            shutil.rmtree(target, ignore_errors=True)
            box.kesu("open", self.out, "-o", target)
            data = (target / "dump").read_bytes()
            self.assertIn(data, (old, new))
            seen.add(data)
            self.settled()

        self.each_cut(*words, "--replace", check=check, at=names_given, stdin=box.path / "new", losses=("content",))
        self.assertEqual(seen, {old, new})

    def test_names_without_content_are_in_nobodys_way(self):
        box = self.box
        words = ("seal", "loans-2019", self.source, "-o", self.out)
        mine = self.out / "loans" / "mine.kesu"
        mine.parent.mkdir(parents=True)
        mine.write_bytes(b"")                                     # of before: not of that batch
        said = []

        def check(_call):
            standing = [p for p in self.out.rglob("*.kesu") if p != mine]
            hollow = [p for p in standing if not p.stat().st_size]
            result = box.kesu(*words)
            self.assertEqual((result.json["failed"], result.json["sealed"] + result.json["unchanged"]), ([], len(FILES)))
            self.assertEqual("no content" in result.stderr, bool(hollow))
            ends = [e["body"] for e in self.entries() if e["type"] in ("seal-done", "seal-abandoned")]
            self.assertEqual(sum(b.get("hollow", 0) for b in ends), len(hollow))
            said.extend(hollow)
            self.assertEqual(mine.read_bytes(), b"")
            mine.unlink()
            self.opens_to(self.out, self.wanted(1))
            self.settled()

        self.each_cut(*words, check=check, at=lambda calls, i: calls[i].name == "syncfs", losses=("content",))
        self.assertTrue(said)

    def test_what_was_opened_has_its_name_when_it_has_its_bytes(self):
        box = self.box
        large = self.source / "large"
        large.write_bytes(kill_world.content("large", 5 << 20))
        box.kesu("seal", "loans-2019", self.source, "-o", self.out)
        target = self.disk / "opened"
        command = ("open", self.out, "-o", target)
        already = []

        def check(call):
            wanted = {n: kill_world.content(n, size) for n, (size, _, _) in FILES.items()} | {"large": large.read_bytes()}
            for name, data in wanted.items():
                path = target / "loans" / name
                if path.exists():
                    self.assertEqual(path.read_bytes(), data, name)
            if call:
                already.append(box.kesu(*command, "--resume").json["already"])
            self.assertEqual({n: (target / "loans" / n).read_bytes() for n in wanted}, wanted)
            self.assertEqual([p for p in target.rglob("*.kesu-open")], [])
            self.settled()

        def named(calls, i):
            return calls[i].name == "syncfs" or any(c.name.startswith("renameat") for c in calls[max(i - 1, 0):i + 1])

        self.each_cut(*command, check=check, at=named, losses=("content",))
        self.assertIn(len(FILES) + 1, already)
        self.after_success(*command, check=check)


if __name__ == "__main__":
    harness.main()
