"""Mounts give one directory two paths, and hide what lies below them: nothing is judged by a path alone."""
import pathlib
import sys

sys.path.insert(0, str(pathlib.Path(__file__).parents[1] / "support"))
import harness
import kill_world
import places
from kill_world import FILES
from mounted import Mounted


class Settling(Mounted):
    """An interrupted sealing, and then something is mounted below the place: what it hides is not gone."""

    def test_what_is_hidden_is_unknown(self):
        for kind in ("other", "same"):
            with self.subTest(kind):
                self.out = self.box.state / kind
                self.command = ("seal", "loans-2019", self.source, "-o", self.out)
                self.interrupted(3)
                hiding = self.out / "loans" / "2019"
                parts = len(list(self.out.rglob("*.kesu-part")))
                self.assertTrue([p for p in hiding.rglob("*.kesu*")])
                if kind == "other":
                    self.mount("-t", "tmpfs", "kesu-test", hiding)
                else:  # of the same file system: no device tells
                    self.bind(self.box.path / "empty", hiding)
                still_open, result = self.settle(code=4)
                self.assertEqual(still_open, 1)
                self.assertIn(str(hiding), result.stderr)
                self.consistent()
                places.unmount(hiding)
                self.assertEqual(len(list(self.out.rglob("*.kesu-part"))), parts)
                self.assertEqual(self.settle()[0], 0)
                done = kill_world.of_type(self.entries(), "seal-done")[-1]
                self.assertEqual((done["nodes"][0]["n"], done["body"]["interrupted"]), (len(self.standing), True))
                self.settled()

    def test_given_up_keeps_what_is_seen(self):
        self.interrupted(3)
        hiding = self.out / "loans" / "2019"
        hidden = [p for p in self.standing if "2019" in str(p)]
        self.mount("-t", "tmpfs", "kesu-test", hiding)
        self.settle(code=4)
        still_open, result = self.settle("--location-lost", "disk 7 failed")
        self.assertEqual((still_open, result.json["given_up"]), (0, 1))
        entries = self.settled()
        seen = len(self.standing) - len(hidden)
        last = [e for e in entries if e["type"] in ("seal-done", "seal-abandoned")][-1]
        self.assertEqual(last["type"], "seal-done" if seen else "seal-abandoned")
        self.assertEqual(last["body"]["why"], "declared lost: disk 7 failed")
        self.assertEqual(len(self.box.kesu("inventory", "list", "loans-2019").json), seen)
        # It comes back: counted by no inventory, and adopted.
        places.unmount(hiding)
        self.assertEqual(self.box.kesu("inventory", "adopt", "loans-2019", self.out).json["adopted"], len(hidden))
        self.opens_to(self.out, self.wanted(1), complete=False)

    def test_a_mount_that_hides_nothing(self):
        """All objects are found: whatever is mounted beside them, the batch ends."""
        self.out.mkdir()
        (self.out / "beside").mkdir()
        self.mount("-t", "tmpfs", "kesu-test", self.out / "beside")
        self.interrupted(4)
        self.assertEqual(len(list(self.out.rglob("*.kesu-part"))), len(FILES) - len(self.standing))
        self.assertEqual(self.settle()[0], 0)
        self.assertEqual(len(self.box.kesu("inventory", "list", "loans-2019").json), len(self.standing))


class Inside(Mounted):
    """-o inside the source, on a way that no path shows."""

    def refused(self, out, sealed=0):
        r = self.box.kesu("seal", "loans-2019", self.source, "-o", out, code=2, error="usage")
        self.assertIn("lies inside", r.json["error"]["message"])
        return r

    def nothing_sealed(self):
        self.assertFalse(list(self.box.path.rglob("*.kesu")))
        self.assertEqual(self.box.kesu("inventory", "list", "loans-2019").json, [])

    def test_the_source_itself_and_below_it(self):
        twin = self.bind(self.source, self.box.path / "twin")
        for out in (self.source, twin, twin / "out", twin / "2019" / "out"):
            with self.subTest(out):
                self.refused(out)
                self.nothing_sealed()
        # And the source by its other path.
        self.source = twin
        self.refused(self.box.path / "loans" / "new")
        self.nothing_sealed()

    def test_a_directory_of_the_source_by_another_path(self):
        below = self.source / "2019" / "sealed"
        below.mkdir()
        place = self.bind(below, self.box.path / "place")
        (self.source / "2019" / "a").write_bytes(b"a")
        for out in (place, place / "deeper"):
            with self.subTest(out):
                self.assertIn("by a mount", self.refused(out).json["error"]["cause"])
                self.box.kesu("seal", "loans-2019", self.source, "-o", out, "--dry-run", code=2 if out.exists() else 0)
        # What is left out is not met: that is a way to say that it is meant.
        result = self.box.kesu("seal", "loans-2019", self.source, "-o", place, "--exclude", "sealed/", "--exclude", ".kesu*").json
        self.assertEqual((result["sealed"] + result["unchanged"], result["failed"]), (6, []))
        self.assertTrue(self.box.kesu("inventory", "check", "loans-2019").json["good"] >= 6)

    def test_a_mount_below_the_place_is_not_sealed_into(self):
        """Also of the same file system: what lies there may be the source."""
        self.bind(self.source, self.out / "loans")
        r = self.box.kesu(*self.command, code=(3, 8))
        self.assertEqual({f["code"] for f in r.json["failed"]}, {"policy-refused"})
        self.assertFalse(list(self.source.rglob("*.kesu*")))


if __name__ == "__main__":
    harness.main()
