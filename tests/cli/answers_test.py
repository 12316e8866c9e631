"""Whoever settles looks for a while before answering: what another process answered or began anew meanwhile is that
process's to end. Commands are held at a call of the token's library, others run beside them."""
import pathlib
import subprocess
import sys

sys.path.insert(0, str(pathlib.Path(__file__).parents[1] / "support"))
import harness_kill
import scenario
import shim_world
from clock_test import at


class Answers(shim_world.ShimWorld):
    def setUp(self):
        super().setUp()
        self.addCleanup(lambda: self.everywhere().unlink(missing_ok=True))

    def of(self, node, *types):
        """Types of the entries about it."""
        return [e["type"] for e in self.entries() if e["type"] in types and any(n["id"] == node for n in e["nodes"])]

    def two_open_destructions(self, second):
        """Two interrupted destructions; `second` commands the one that is settled last. Returns both versions."""
        for name in ("a", "b"):
            self.box.kesu("key", "create", name)
        names = sorted(("a", "b"), key=self.version_of)
        with self.held("C_DestroyObject 1", "key", "destroy", names[0], "-y", gate="killed-1") as run:
            with self.held("C_DestroyObject 1", *second(names[1]), gate="killed-2") as beside:
                run.kill()
                beside.kill()
        self.assertEqual(len(self.box.kesu("status").json["questions"]), 2)
        return [self.version_of(n) for n in names]

    def destroyed_beside_a_settling(self, second):
        _, last = self.two_open_destructions(second)
        name = next(n for n in ("a", "b") if self.version_of(n) == last)
        with self.held("C_FindObjectsInit 1", "inventory", "settle", "loans-2019", probe=True, gate="settling") as settling:
            with self.held("C_DestroyObject 1", *second(name)) as run:
                settling.end()
        self.assertEqual((settling.returncode, run.returncode), (0, 0), (settling.out, run.out))
        self.assertEqual(self.of(last, "destroy-intended", "destroy-failed", "destroy-done"),
                         ["destroy-intended", "destroy-failed", "destroy-intended", "destroy-done"])
        done = [e for e in self.entries() if e["type"] == "destroy-done" and e["nodes"][0]["id"] == last]
        self.assertFalse(done[0]["body"]["receipt_lost"])
        self.assertEqual(self.box.kesu("status").json["questions"], [])
        self.box.kesu("ledger", "verify")

    def test_a_destruction_begun_anew(self):
        self.destroyed_beside_a_settling(lambda name: ("key", "destroy", name, "-y"))

    def test_an_erasure_gone_on_with(self):
        self.erasures = {}

        def command(name):
            if name not in self.erasures:
                self.box.kesu("dataset", "add", f"of-{name}", "--key", name)
                self.write("row", b"1", below=f"src-{name}")
                self.box.kesu("seal", f"of-{name}", self.box.state / f"src-{name}", "-o", self.box.state / f"out-{name}")
                self.erasures[name] = self.approved(f"of-{name}")
            return "erase", "run", self.erasures[name], "-y"

        self.destroyed_beside_a_settling(command)
        erasure, = self.erasures.values()
        self.assertEqual(self.box.kesu("erase", "status", erasure).json["stage"], "destroyed")
        self.box.kesu("certificate", "bundle", erasure, "-o", self.box.state / "bundle")

    def test_an_end_that_was_answered_for(self):
        """A process that cannot be seen from here has its time; when it ends after that all the same, nothing is lost."""
        apart = ("unshare", "--pid", "--fork")
        if subprocess.run([*apart, "true"], capture_output=True, check=False).returncode:
            self.skipTest("no process namespaces here")
        self.box.kesu("key", "create", "a")
        with self.held("C_DestroyObject 1", "key", "destroy", "a", "-y", around=apart) as run:
            self.box.kesu("inventory", "settle", "loans-2019")
            self.assertEqual(self.of(self.version_of("a"), "destroy-failed"), [])
            self.box.kesu("inventory", "settle", "loans-2019", env=at("+13h"))
            self.assertEqual(self.of(self.version_of("a"), "destroy-failed"), ["destroy-failed"])
        self.assertEqual(run.returncode, 5, run.out)
        self.assertIn('"outcome-unknown"', run.out)
        found, = [e["body"] for e in self.entries() if e["type"] == "finding-recorded" and
                  e["body"]["what"] == "destruction-answered-by-another"]
        self.assertIn('"receipt":"', found["detail"])
        self.assertEqual(self.of(self.version_of("a"), "destroy-done"), [])

    def test_a_rewrap_begun_anew(self):
        batches = {}
        for name in ("x", "y"):
            self.box.kesu("dataset", "add", name, "--key", "loans")
            self.box.kesu("seal", name, self.box.state / "src", "-o", self.box.state / f"out-{name}")
            batches[name] = next(e["nodes"][0]["id"] for e in reversed(self.entries())
                                 if e["type"] == "seal-done" and e["nodes"][0]["n"] >= 50)
        self.box.kesu("key", "rotate", "loans")
        with self.held("C_EncryptInit 20", "rewrap", "x", gate="killed-1") as run:
            with self.held("C_EncryptInit 20", "rewrap", "y", gate="killed-2") as beside:
                run.kill()
                beside.kill()
        self.assertLess(set(batches.values()), {q["node"] for q in self.box.kesu("status").json["questions"]})
        ids = {d["name"]: d["id"] for d in self.box.kesu("dataset", "list").json}
        first, last = sorted(batches, key=ids.get)
        with self.held("C_DecryptInit 1", "inventory", "settle", "loans-2019", gate="settling") as settling:
            self.assertEqual(self.of(batches[first], "rewrap-done"), [])
            with self.held("C_EncryptInit 20", "rewrap", last) as run:
                settling.end()
        self.assertEqual((settling.returncode, run.returncode), (0, 0), (settling.out, run.out))
        for batch in batches.values():
            of_it = self.of(batch, "rewrap-intended", "rewrap-done")
            self.assertEqual(of_it, ["rewrap-intended", "rewrap-done"] * (len(of_it) // 2), batch)
        self.assertEqual(self.box.kesu("status").json["questions"], [])
        shown = self.box.kesu("rewrap", last, "--dry-run").json
        self.assertEqual(shown["to_move"], 0)

    def test_two_adoptions_of_the_same_objects(self):
        away = self.box.state / "away"
        harness_kill.kill_while_publishing(self.box.kesu_command("seal", "loans-2019", self.box.state / "src", "-o", self.out),
                                           self.out, 30, env=self.box.env, cwd=self.box.path)
        self.out.rename(away)
        self.box.kesu("inventory", "settle", "loans-2019", "--location-lost", "given up too early")
        away.rename(self.out)
        # Both have seen that nobody counts the objects; one is killed when it has said that it will.
        with self.held("C_DecryptInit 3", "inventory", "adopt", "loans-2019", self.out) as slower:
            _, killed, _ = harness_kill.traced(self.box.kesu_command("inventory", "adopt", "loans-2019", self.out), at=1,
                                               env=self.box.env, cwd=self.box.path, only=("--call", "syncfs"))
            self.assertTrue(killed)
        self.assertEqual(slower.returncode, 1, slower.out)
        self.assertIn('"conflict"', slower.out)
        self.box.kesu("inventory", "adopt", "loans-2019", self.out)
        whole = len(list(self.out.rglob("*.kesu")))
        listed = [o["object"] for o in self.box.kesu("inventory", "list", "loans-2019").json]
        self.assertEqual((len(listed), len(set(listed))), (whole, whole))
        self.assertEqual(self.box.kesu("erase", "plan", "loans-2019").json["objects"], whole)


if __name__ == "__main__":
    scenario.main()
