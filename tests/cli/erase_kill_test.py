"""`kesu erase run`, killed before each of its state-changing calls.

The plan destroys two versions of one key; another key and its dataset stay. End state: the erasure is destroyed and
inspected once, its dataset erased, each of its versions destroyed by one recorded destruction and gone from the token,
a receipt that the kill swallowed recorded as lost, everything else as before. The command is run again while `kesu
status` says that it is due; once it has run it is refused, which is checked too. The checkpoint that ends an
undisturbed run is not part of the end state: the certificate makes its own.
"""
import pathlib
import sys

sys.path.insert(0, str(pathlib.Path(__file__).parents[1] / "support"))
import harness
import harness_kill
import kill_world


class EraseRun(kill_world.World):
    def setUp(self):
        super().setUp()
        self.prepare_vault()
        box = self.box
        box.kesu("seal", "loans-2019", self.source, "-o", self.out)
        box.kesu("key", "rotate", "loans")
        size, mode, mtime = kill_world.FILES["small.txt"]
        self.write_source("small.txt", kill_world.content("small.txt", size, 2), mode, mtime)
        again = box.kesu("seal", "loans-2019", self.source, "-o", self.out, "--replace")
        self.assertEqual(again.json["sealed"], 1)
        box.kesu("key", "create", "kept")
        box.kesu("dataset", "add", "kept-1", "--key", "kept")
        self.kept = box.state / "kept"
        box.kesu("seal", "kept-1", self.source, "-o", self.kept)
        self.kept_wanted = self.wanted(1)
        self.kept_wanted["small.txt"] = [kill_world.content("small.txt", size, 2)]
        self.erasure = self.approve_erasure("loans-2019")
        self.doomed = kill_world.versions_of(self.entries(), "loans")
        self.assertEqual(len(self.doomed), 2)
        self.bystanders = [o for o in self.token_objects() if o[1] not in [f"kesu:{v}" for v in self.doomed]]
        self.due = f"kesu erase run {self.erasure[:12]}"
        self.lost, self.said = 0, set()

    def look_at_the_token(self, entries):
        """What is gone is announced first, one at a time; what is said to be gone is gone. Returns the versions that
        the token no longer holds and the ledger does not call destroyed yet."""
        states, objects = kill_world.key_states(entries), self.token_objects()
        here = {label.removeprefix("kesu:") for _, label in objects}
        self.assertEqual([o for o in objects if o[1].removeprefix("kesu:") not in self.doomed], self.bystanders)
        unsaid = []
        for version in self.doomed:
            if states[version] == "destroyed":
                self.assertNotIn(version, here)
            elif version not in here:
                self.assertEqual(states[version], "destroying")
                unsaid.append(version)
        self.assertLessEqual(sum(states[v] == "destroying" for v in self.doomed), 1)
        nodes = {n["id"]: n["is"] for e in entries for n in e["nodes"] if n.get("is")}
        if nodes[self.erasure] == "destroyed" or kill_world.of_type(entries, "dataset-erased"):
            self.assertFalse(here & set(self.doomed))
        # The same, as kesu says it to people.
        status = self.box.kesu("erase", "status", self.erasure).json
        for step in status["steps"]:
            self.assertEqual(step["state"], states[step["version"]])
            if step["state"] == "destroyed" or step["done"]:
                self.assertNotIn(step["version"], here)
        shown = self.box.kesu("key", "show", "loans").json
        self.assertEqual([v["state"] for v in shown["versions"]], [states[v] for v in self.doomed])
        return unsaid

    def check(self, call):
        box, entries = self.box, self.consistent()
        unsaid = self.look_at_the_token(entries)
        self.lost += len(unsaid)
        # Run again while it is due.
        due = [e["next"] for e in box.kesu("status").json["erasures"] if e["id"] == self.erasure]
        if due == [self.due]:
            box.kesu("erase", "run", self.erasure, "-y")
        else:
            self.assertEqual(due, [f"kesu certificate bundle {self.erasure[:12]} -o DIR"])
            box.kesu("erase", "run", self.erasure, "-y", code=3, error="state-refused")
        self.end_state(unsaid)

    def end_state(self, unsaid):
        box, entries = self.box, self.settled()
        self.assertEqual(self.look_at_the_token(entries), [])
        self.token_matches_ledger(entries)
        status = box.kesu("erase", "status", self.erasure).json
        self.assertEqual(status["stage"], "destroyed")
        self.assertEqual({s["version"]: s["state"] for s in status["steps"]}, dict.fromkeys(self.doomed, "destroyed"))
        of_type = kill_world.of_type
        inspected = of_type(entries, "erasure-inspected")
        self.assertEqual([e["body"]["result"] for e in inspected], [{"absent": 2, "refused": 0, "unknown": 0, "usable": 0}])
        erased = [n for e in of_type(entries, "dataset-erased") for n in e["nodes"]]
        self.assertEqual([(n["is"], n["of"], n["n"]) for n in erased], [("erased", self.erasure, 8)])  # six files, and the manifests of two trees
        done = of_type(entries, "destroy-done")
        self.assertEqual(sorted(e["nodes"][0]["id"] for e in done), sorted(self.doomed))
        for entry in done:
            version, body = entry["nodes"][0]["id"], entry["body"]
            self.assertEqual(body["receipt_lost"], version in unsaid, version)
            self.assertEqual(body["receipt"] is None, version in unsaid, version)
            self.assertEqual("transcript" in body, version in unsaid, version)
        # Each destruction that was announced ended, and what was not done was announced again.
        failed = [e["nodes"][0]["id"] for e in of_type(entries, "destroy-failed")]
        announced = [e["nodes"][0]["id"] for e in of_type(entries, "destroy-intended")]
        self.assertEqual(sorted(announced), sorted(failed + self.doomed))
        self.assertEqual(box.kesu("open", self.out, "-o", box.path / "none", code=3).json["opened"], 0)
        self.opens_to(self.kept, self.kept_wanted)

    def test_run(self):
        self.each_kill("erase", "run", self.erasure, "-y", json=False, check=self.check, watch=self.say_nothing_false,
                       expect=("write", "openat", "fsync", "rename", "unlink"), thorough=("the token", "ledger.db"))
        self.assertTrue(any("destroy   key-" in text for text in self.said))  # there was something to read
        print(f"receipts lost and recorded as lost: {self.lost}", flush=True)
        if harness_kill.shard_of_environment()[1] == 1:
            self.assertGreater(self.lost, 0)

    def say_nothing_false(self, call, result):
        """What the killed command printed claims no end while a key is there."""
        if call is not None and set(self.token_labels()) & {f"kesu:{v}" for v in self.doomed}:
            self.assertNotRegex(result.stdout.lower(), r"destroyed|absent|erased|gone")
            self.said.add(result.stdout)


if __name__ == "__main__":
    harness.main()
