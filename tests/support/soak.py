"""Two operators and a cron job on one vault at once: `python3 tests/support/soak.py --minutes 60 [--seed N]`.

Every command is a process of its own, as people and cron start them, and bounded in time: one that takes longer has
met a deadlock. Each exit code must be one that this command may have there; being in each other's way is `conflict` or
`store-busy`, named with a next step, and rare. The end is looked at as a whole (`Soak.verify`): nothing said to be done
is missing from the ledger, nothing happened twice, everything sealed opens with its content.

tests/cli/hands_test.py runs the same for some seconds.
"""
import argparse
import collections
import contextlib
import hashlib
import json
import random
import shutil
import sys
import threading
import time
import traceback
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parent))
import harness
import kill_world

LIMIT = 300  # seconds; a machine that does much else besides may take long over one command
IN_THE_WAY = ("conflict", "store-busy")
DATASETS = ("loans-a", "loans-b", "loans-c")


class Hand(threading.Thread):
    """One person, or cron: does what it does, one thing after the other."""

    def __init__(self, soak, name, seed, deeds, pause=0.0):
        super().__init__(name=name, daemon=True)
        self.soak, self.box, self.chance = soak, soak.box, random.Random(f"{seed}/{name}")
        self.deeds, self.pause, self.number = deeds, pause, 0
        self.error = None

    def run(self):
        try:
            while time.monotonic() < self.soak.until and not self.soak.failed.is_set():
                self.number += 1
                getattr(self, self.chance.choice(self.deeds))()
                time.sleep(self.pause)
        except Exception as error:  # shown by the one who waits for this thread
            self.error = f"{self.name}, deed {self.number}: {error}\n{traceback.format_exc()}"
            self.soak.failed.set()

    def kesu(self, *words, may=(), codes=(0,)):
        """Runs a command. `may`: error codes that are an answer here; being in somebody's way is tried again."""
        end = time.monotonic() + LIMIT
        while True:
            result = self.box.kesu(*words, code=None, timeout=LIMIT)
            self.soak.count(words, result)
            if result.code in codes or result.error_code in may:
                return result
            if time.monotonic() > end:
                break
            if kill_world.disturbed(result):
                continue
            if result.error_code not in IN_THE_WAY:
                break
            if not result.json["error"]["next"]:
                raise harness.HarnessError(f"no next step\n{result}")
            time.sleep(self.chance.uniform(0, 0.2))
        raise harness.HarnessError(f"{self.name}: not an end that this may have\n{result}")

    # An operator's deeds.

    def seal(self):
        dataset = self.chance.choice(DATASETS)
        folder = self.box.path / "src" / f"{self.name}-{self.number}"
        folder.mkdir(parents=True)
        made = {}
        for i in range(self.chance.randint(1, 8)):
            data = kill_world.content(f"{folder.name}/f{i}", self.chance.choice((0, 100, 20_000, 300_000)))
            (folder / f"f{i}").write_bytes(data)
            made[f"{folder.name}/f{i}"] = hashlib.sha256(data).hexdigest()
        result = self.kesu("seal", dataset, folder, "-o", self.soak.out(dataset)).json
        if (result["sealed"], result["failed"]) != (len(made), []):
            raise harness.HarnessError(f"not all of {len(made)} sealed: {result}")
        with self.soak.lock:
            self.soak.sealed[dataset].update(made)
        shutil.rmtree(folder)

    def open(self):
        with self.soak.lock:
            dataset = self.chance.choice(DATASETS)
            names = sorted({n.split("/")[0] for n in self.soak.sealed[dataset]})
        if not names:
            return
        name = self.chance.choice(names)
        target = self.box.path / "opened" / f"{self.name}-{self.number}"
        self.kesu("open", self.soak.out(dataset) / name, "-o", target)
        self.soak.same_content(target, {n: d for n, d in self.soak.sealed[dataset].items() if n.startswith(name + "/")})
        shutil.rmtree(target)

    def rotate(self):
        self.kesu("key", "rotate", self.chance.choice(("loans", "shared")))

    def rewrap(self):
        self.kesu("rewrap", self.chance.choice(DATASETS))

    def create(self):
        name = f"new-{self.name}-{self.number}"
        self.kesu("key", "create", name)
        self.kesu("dataset", "add", name, "--key", name)
        with self.soak.lock:
            self.soak.keys.append(name)

    def leave(self):
        """A dataset with a key of its own is sealed, planned, and erased, or the erasure is cancelled."""
        name = f"exit-{self.name}-{self.number}"
        folder = self.box.path / "src" / name
        folder.mkdir(parents=True)
        (folder / "f").write_bytes(name.encode())
        self.kesu("key", "create", name)
        self.kesu("dataset", "add", name, "--key", name)
        place = self.box.state / "exits" / name
        self.kesu("seal", name, folder, "-o", place)
        erasure = self.kesu("erase", "plan", name).json["erasure"]
        alice, bob = self.soak.world.alice, self.soak.world.bob
        operator, approver = ("--as", "Ichiro Tanaka", "--key", alice.private), ("--as", "Hanako Sato", "--key", bob.private)
        self.kesu("erase", "request", erasure, *operator, "--reason", "ended")
        if self.chance.random() < 0.25:
            self.kesu("erase", "cancel", erasure, "--reason", "kept after all")
            self.kesu("open", place, "-o", self.box.path / "opened" / name)
            self.soak.ended("cancelled", name)
            return
        self.kesu("erase", "approve", erasure, *approver)
        if self.chance.random() < 0.3:
            self.twice(erasure)
        else:
            self.kesu("erase", "run", erasure, "-y")
        bundle = self.box.state / "bundles" / name
        self.kesu("certificate", "bundle", erasure, "-o", bundle)
        self.soak.ended("erased", name)
        with self.soak.lock:
            self.soak.bundles.append(bundle)

    def twice(self, erasure):
        """Both operators run the same erasure: one does it, the other is told who is at work, or that it has run."""
        results = []

        def one():
            results.append(self.box.kesu("erase", "run", erasure, "-y", code=None, timeout=LIMIT))

        threads = [threading.Thread(target=one) for _ in range(2)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        ends = sorted(r.error_code or str(r.code) for r in results)
        self.soak.pairs[tuple(ends)] += 1
        # The token's own file was just being written by a third: nothing is known from that, and the same command goes on.
        if any(map(kill_world.disturbed, results)):
            self.kesu("erase", "run", erasure, "-y")
            return
        if ends not in (["0", "conflict"], ["0", "state-refused"]):
            raise harness.HarnessError("two runs of one erasure\n" + "\n".join(map(str, results)))
        for result in results:
            if result.error_code == "conflict" and "process" not in result.json["error"]["message"] + result.json["error"]["cause"]:
                raise harness.HarnessError(f"it does not say who is at work\n{result}")

    # What cron does.

    def status(self):
        self.kesu("status", "--check", codes=(0, 4, 8))

    def verify(self):
        report = self.kesu("ledger", "verify").json
        if not report["ok"]:
            raise harness.HarnessError(json.dumps(report))

    def doctor(self):
        self.kesu("doctor", codes=(0, 8))

    def settle(self):
        self.kesu("inventory", "settle", self.chance.choice(DATASETS), codes=(0, 4))

    def look(self):
        self.kesu(*self.chance.choice((("key", "list"), ("dataset", "list"), ("erase", "list"), ("certificate", "list"),
                                       ("inventory", "list", self.chance.choice(DATASETS)), ("ledger", "show"), ("status",))))

    def checkpoint(self):
        self.kesu("ledger", "checkpoint")


OPERATOR = ("seal", "seal", "seal", "open", "open", "rotate", "rewrap", "create", "leave", "look")
CRON = ("status", "verify", "doctor", "settle", "look", "checkpoint", "rewrap")


class Soak:
    """`world` is a kill_world.World with an empty vault."""

    def __init__(self, world, seed):
        self.world, self.box, self.seed = world, world.box, seed
        self.lock, self.failed = threading.Lock(), threading.Event()
        self.sealed = {name: {} for name in DATASETS}
        self.keys, self.bundles, self.fates = [], [], {}
        self.ends, self.pairs = collections.Counter(), collections.Counter()
        self.commands = 0
        self.until = 0.0
        self.box.kesu("key", "create", "shared")
        for name, key in zip(DATASETS, ("loans", "loans", "shared")):
            self.box.kesu("dataset", "add", name, "--key", key, "--chunk", str(kill_world.CHUNK))

    def out(self, dataset):
        return self.box.state / "out" / dataset

    def count(self, words, result):
        with self.lock:
            self.commands += 1
            if result.code:
                self.ends[f"{words[0]} {words[1] if words[0] in ('key', 'erase', 'dataset', 'ledger', 'certificate', 'inventory') else ''}".strip()
                          + f": {result.code} {result.error_code or ''}".rstrip()] += 1

    def ended(self, how, name):
        with self.lock:
            self.fates[name] = how

    def same_content(self, target, wanted):
        found = {str(p.relative_to(target)): hashlib.sha256(p.read_bytes()).hexdigest() for p in target.rglob("*") if p.is_file()}
        if found != wanted:
            wrong = sorted(n for n in found.keys() | wanted.keys() if found.get(n) != wanted.get(n))
            raise harness.HarnessError(f"not what was sealed: {wrong[:10]}")

    def run(self, seconds):
        self.until = time.monotonic() + seconds
        hands = [Hand(self, "tanaka", self.seed, OPERATOR), Hand(self, "suzuki", self.seed, OPERATOR),
                 Hand(self, "cron", self.seed, CRON, pause=0.05)]
        for hand in hands:
            hand.start()
        for hand in hands:
            hand.join(timeout=seconds + 6 * LIMIT)
        errors = [hand.error for hand in hands if hand.error]
        errors += [f"{hand.name} does not end" for hand in hands if hand.is_alive()]
        if errors:
            raise harness.HarnessError("\n".join(errors))

    def verify(self):
        """What must hold at the end."""
        test, box = self.world, self.box
        box.kesu("inventory", "settle", DATASETS[0])
        entries = test.settled()
        for dataset in DATASETS:
            wanted = self.sealed[dataset]
            rows = box.kesu("inventory", "list", dataset).json
            test.assertEqual(sorted(r["name"] for r in rows if "/" in r["name"]), sorted(wanted))  # without trees' own rows
            test.assertEqual(len({r["object"] for r in rows}), len(rows))
            test.assertEqual(len({r["name"] for r in rows}), len(rows))
            if wanted:
                target = box.path / "all" / dataset
                box.kesu("open", self.out(dataset), "-o", target)
                self.same_content(target, wanted)
        names = collections.Counter(e["body"]["name"] for e in kill_world.of_type(entries, "key-intended"))
        for name in self.keys:
            test.assertEqual(names[name], 1)
        states = kill_world.key_states(entries)
        done = collections.Counter(e["nodes"][0]["id"] for e in kill_world.of_type(entries, "destroy-done"))
        for name, fate in self.fates.items():
            version, = kill_world.versions_of(entries, name)
            test.assertEqual((states[version], done[version]), ("destroyed", 1) if fate == "erased" else ("active", 0), name)
        test.assertEqual(sum(done.values()), sum(f == "erased" for f in self.fates.values()))
        for bundle in self.bundles:
            trust = box.path / "trust"
            trust.write_text(box.kesu("trust", "propose", bundle).json["trust"])
            box.kesu("verify", bundle, "--trust", trust, "--require", "low", "--allow-test-grade")
        self.quotas(entries)
        test.token_matches_ledger(entries)
        # The registers, kept up by all of them in turn, say what the ledger alone says.
        views = (("key", "list"), ("dataset", "list"), ("erase", "list"), ("certificate", "list"))
        before = [box.kesu(*view).json for view in views]
        (box.vault / "registers.db").unlink()
        test.assertEqual([box.kesu(*view).json for view in views], before)

    def quotas(self, entries):
        """Wraps, counted here from the entries that take them from the quota."""
        used = collections.Counter()
        for entry in entries:
            body = entry.get("body", {})
            if entry["type"] in ("seal-intended", "rewrap-intended"):
                number = entry["nodes"][0].get("n")
                used[body["version"]] += number if number is not None else 0
            if entry["type"] == "dataset-key-created":
                used[body["version"]] += 1
        for key in self.box.kesu("key", "list").json:
            for version in key["versions"]:
                name = f"{key['id']}.{version['version']}"
                if used[name] and not any(e["type"].startswith("dataset-key-rewrap") for e in entries):
                    self.world.assertEqual(version["wraps"], used[name], name)

    def said(self):
        in_the_way = sum(n for end, n in self.ends.items() if end.endswith(IN_THE_WAY))
        return (f"{self.commands} commands; in each other's way {in_the_way}; other ends {dict(sorted(self.ends.items()))}; "
                f"{collections.Counter(self.fates.values())}; two runs at once {dict(self.pairs)}"), in_the_way


class World(kill_world.World):
    def runTest(self):
        pass


def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n", 1)[0])
    parser.add_argument("--minutes", type=float, default=60)
    parser.add_argument("--seed", type=int, default=20191121)
    options = parser.parse_args()
    world = World()
    world.setUp()
    with contextlib.ExitStack() as stack:
        stack.callback(world.doCleanups)
        world.prepare_vault()
        soak = Soak(world, options.seed)
        try:
            soak.run(options.minutes * 60)
            soak.verify()
        finally:
            print(soak.said()[0], flush=True)
    print("all is as it should be")


if __name__ == "__main__":
    main()
