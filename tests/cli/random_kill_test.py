"""Kills at random instants over seal, rewrap, rotate, erase run and certificate, while another process is busy on the
same vault. After each: the ledger verifies, and the same command again reaches its end, having settled what was open.
At the end of each vault (one in some tens of kills) everything is looked at: what was sealed opens, each object is in
the inventory once, each destroyed key was destroyed once and is gone, every certificate verifies.

KESU_KILLS=2000 for the long form, KESU_SEED for another course of events. SoftHSM is a library: a kill inside it may
cut its token's own file, or leave an object that is no key; the test mends both, as a person would, and counts them.
"""
import collections
import contextlib
import os
import pathlib
import random
import shutil
import statistics
import subprocess
import sys
import threading
import time

sys.path.insert(0, str(pathlib.Path(__file__).parents[1] / "support"))
import harness
import harness_kill
import kill_world
import slots
from kill_world import content, of_type

SHARD, SHARDS = harness_kill.shard_of_environment()
KILLS = int(os.environ.get("KESU_KILLS", "60").replace("all", "2000")) // SHARDS
OF_ONE_VAULT = 40
WORK = ("seal", "rewrap", "rotate", "erase", "certificate")


class Busy(threading.Thread):
    """Another operator: adds datasets, seals, opens, looks. Stands still while `pause` is held."""

    def __init__(self, test):
        super().__init__(daemon=True)
        self.test, self.box = test, test.box
        self.pause, self.ended = threading.Lock(), threading.Event()
        self.ends, self.unexpected, self.sealed = collections.Counter(), [], 0
        self.token_cut = False

    def command(self, *words):
        result = self.box.kesu(*words, code=None)
        code = result.error_code or result.code
        self.ends[str(code)] += 1
        # What a kill inside the token's library does to others is the library's.
        if code not in (0, 4, 8, "conflict", "store-busy") and not kill_world.disturbed(result):
            self.unexpected.append(result)
        return result.code == 0

    def run(self):
        source = self.box.path / "busy"
        source.mkdir(exist_ok=True)
        number = 0
        while not self.ended.is_set():
            with self.pause:
                number += 1
                kind = number % 4
                if kind == 0 and number <= 80:
                    self.command("dataset", "add", f"busy-{number}", "--key", "loans")
                elif kind == 1:
                    (source / f"b{number}").write_bytes(content(f"b{number}", 2000))
                    self.sealed += self.command("seal", "busy-0", source / f"b{number}", "-o", self.box.state / "busy-out")
                elif kind == 2:
                    self.command("status", "--check")
                elif self.sealed:
                    target = self.box.path / "busy-opened"
                    shutil.rmtree(target, ignore_errors=True)
                    self.command("open", self.box.state / "busy-out", "-o", target)
            time.sleep(0.03)


class RandomKills(kill_world.World):
    def begin_vault(self):
        box = self.box
        box.restore("first")
        self.busy = Busy(self)
        self.number, self.wanted_files, self.bundles, self.erased = 0, {}, [], {}
        self.busy.start()

    def setUp(self):
        super().setUp()
        self.prepare_vault()
        self.box.kesu("key", "create", "turning")
        self.box.kesu("dataset", "add", "turning-1", "--key", "turning", "--chunk", "16384")
        self.box.kesu("dataset", "add", "busy-0", "--key", "loans")
        self.box.snapshot("first")
        shutil.copytree(self.box.path / "first", self.box.path / "snapshot")      # where mend_cut_token looks
        self.chance = random.Random(int(os.environ.get("KESU_SEED", "20191121")) + SHARD)
        self.took = {work: collections.deque(maxlen=7) for work in WORK}
        self.killed, self.cut, self.torn_objects = collections.Counter(), 0, 0
        self.retried = self.rewritten = 0

    # One command, killed.

    def kill(self, work, *words):
        """Runs it and kills it at a random instant. True: the kill hit it while it ran."""
        command = self.box.kesu_command(*words)
        whole = statistics.median(self.took[work]) if self.took[work] else None
        began = time.monotonic()
        process = subprocess.Popen(command, env=self.box.env, cwd=self.box.path, stdin=subprocess.DEVNULL,
                                   stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        if whole is None or self.chance.random() < 0.08:
            process.wait(timeout=120)
            self.took[work].append(time.monotonic() - began)
            return False
        wait = self.chance.uniform(0, whole * 1.05)
        with contextlib.suppress(subprocess.TimeoutExpired):
            process.wait(timeout=wait)
        hit = process.poll() is None
        process.kill()
        process.wait()
        self.killed[work] += hit
        return hit

    @contextlib.contextmanager
    def mended(self):
        """The token as a device would have left it; nothing else runs meanwhile."""
        with self.busy.pause:
            if kill_world.mend_cut_token(self.box):
                self.cut += 1
                self.busy.unexpected.clear()
            for result in self.busy.unexpected:
                raise harness.HarnessError(f"the other operator\n{result}")
            self.verify_ledger()
            yield

    def again(self, *words, code=0):
        """The same command, until it is through: a neighbour may be in its way."""
        for tries in range(8):
            # Every login of a neighbour may spoil the handles of a command that works with SoftHSM: with many keys, on a
            # busy machine, no inspection would get through any more. A person would wait till the neighbour is done.
            with self.busy.pause if tries >= 4 else contextlib.nullcontext():
                result = self.box.kesu(*words, code=None)
            if kill_world.disturbed(result):
                self.rewritten += 1
                continue
            if result.error_code not in ("conflict", "store-busy"):
                return result.expect(code)
            self.assertTrue(result.json["error"]["next"], result)
            self.retried += 1
        raise harness.HarnessError(f"in its way eight times\n{result}")

    def open_births(self):
        return {n for n in kill_world.open_nodes(self.entries()) if n.startswith("key-")}

    def remove_torn(self):
        """An object that SoftHSM left half written is removed, as its owner would."""
        for path in kill_world.half_made_objects(self.box):
            path.unlink()
            path.with_suffix(".lock").unlink(missing_ok=True)
            self.torn_objects += 1
        if not self.open_births():
            return
        self.box.kesu("inventory", "settle", "busy-0", code=(0, 4))
        if not self.open_births():
            return
        tokens = self.box.state / "token" / "tokens"
        newest = max((p for p in tokens.rglob("*.object") if p.name != "token.object"), key=lambda p: p.stat().st_mtime_ns)
        newest.unlink()
        self.torn_objects += 1

    # What is killed.

    def sources(self, count):
        folder = self.box.path / f"s{self.number}"
        folder.mkdir()
        made = {}
        for i in range(count):
            name = f"f{i}"
            made[f"{folder.name}/{name}"] = content(f"{folder.name}/{name}", self.chance.choice((0, 10, 5000, 40_000, 200_000)))
            (folder / name).write_bytes(made[f"{folder.name}/{name}"])
        return folder, made

    def do_seal(self):
        folder, made = self.sources(8)
        words = ("seal", "loans-2019", folder, "-o", self.out)
        self.kill("seal", *words)
        with self.mended():
            standing = {p: kill_world.object_id(p) for p in (self.out / folder.name).glob("*.kesu")} if self.out.exists() else {}
        result = self.again(*words).json
        self.assertEqual((result["sealed"] + result["unchanged"], result["failed"]), (8, []))
        for path, identifier in standing.items():
            self.assertEqual(kill_world.object_id(path), identifier)      # whole, kept, not sealed twice
        self.wanted_files.update(made)

    def do_rotate(self):
        self.kill("rotate", "key", "rotate", "turning")
        with self.mended():
            self.remove_torn()
        self.again("key", "rotate", "turning")
        shown = self.box.kesu("key", "show", "turning").json
        self.assertEqual([v["version"] for v in shown["versions"] if v["state"] == "active"],
                         [shown["versions"][-1]["version"]])

    def do_rewrap(self):
        folder, made = self.sources(6)
        place = self.box.state / "turning"
        self.again("seal", "turning-1", folder, "-o", place)
        self.again("key", "rotate", "turning")
        self.wanted_files.update(made)
        self.kill("rewrap", "rewrap", "turning-1")
        with self.mended():
            pass
        result = self.again("rewrap", "turning-1").json
        self.assertEqual((result["missing"], result["failed"]), ([], []))
        shown = self.box.kesu("key", "show", "turning").json
        self.assertEqual(set(slots.by_version(place)), {f"{shown['id']}.{shown['versions'][-1]['version']}"})

    def erasure(self):
        name = f"leaving-{self.number}"
        folder, _ = self.sources(3)
        self.again("key", "create", name)
        self.again("dataset", "add", name, "--key", name, "--chunk", "16384")
        self.again("seal", name, folder, "-o", self.box.state / name)
        for _ in range(3):
            with contextlib.suppress(harness.HarnessError):
                erasure = self.approve_erasure(name)
                break
        self.erased[erasure] = (name, kill_world.versions_of(self.entries(), name))
        return erasure

    def do_erase(self):
        erasure = self.erasure()
        self.kill("erase", "erase", "run", erasure, "-y")
        with self.mended():
            stage = self.box.kesu("erase", "status", erasure).json["stage"]
        if stage != "destroyed":
            self.again("erase", "run", erasure, "-y")
        self.assertEqual(self.box.kesu("erase", "status", erasure).json["stage"], "destroyed")

    def do_certificate(self):
        erasure = self.erasure()
        self.again("erase", "run", erasure, "-y")
        bundle = self.box.state / "bundles" / erasure
        words = ("certificate", "bundle", erasure, "-o", bundle)
        self.kill("certificate", *words)
        with self.mended():
            self.remove_torn()  # the first certificate makes a key
            if bundle.exists():
                self.verifies(bundle)
        if not bundle.exists():
            self.again(*words)
        self.bundles.append(bundle)
        self.verifies(bundle)

    def verifies(self, bundle):
        trust = self.box.path / "trust"
        trust.write_text(self.box.kesu("trust", "propose", bundle).json["trust"])
        self.box.kesu("verify", bundle, "--trust", trust, "--require", "low", "--allow-test-grade")

    # The whole.

    def end_vault(self):
        box = self.box
        self.busy.ended.set()
        self.busy.join(timeout=120)
        self.assertFalse(self.busy.is_alive())
        kill_world.mend_cut_token(box)
        box.kesu("inventory", "settle", "loans-2019")
        box.kesu("inventory", "settle", "turning-1")
        entries = self.settled()
        target = box.path / "opened"
        shutil.rmtree(target, ignore_errors=True)
        places = [p for p in (self.out, box.state / "turning") if p.exists()]
        if places:
            box.kesu("open", *places, "-o", target)
            opened = {str(p.relative_to(target)): p.read_bytes() for p in target.rglob("*") if p.is_file()}
            self.assertEqual(sorted(opened), sorted(self.wanted_files))
            self.assertEqual([n for n, data in opened.items() if data != self.wanted_files[n]], [])
        for dataset in ("loans-2019", "turning-1"):
            rows = box.kesu("inventory", "list", dataset).json
            self.assertEqual(len({r["object"] for r in rows}), len(rows))
            self.assertEqual(len({r["name"] for r in rows if r["current"]}), sum(r["current"] for r in rows))
        states = kill_world.key_states(entries)
        done = collections.Counter(e["nodes"][0]["id"] for e in of_type(entries, "destroy-done"))
        for erasure, (name, versions) in self.erased.items():
            self.assertEqual([(states[v], done[v]) for v in versions], [("destroyed", 1)] * len(versions), name)
            refused = box.kesu("open", box.state / name, "-o", box.path / "none", code=3).json
            self.assertEqual(refused["opened"], 0)
        self.assertEqual(len(done), sum(len(v) for _, v in self.erased.values()))
        for bundle in self.bundles:
            self.verifies(bundle)
        issued = [e["nodes"][0]["id"] for e in of_type(entries, "certificate-issued")]
        self.assertEqual(len(issued), len(self.bundles))
        self.died_inside_the_token = self.torn_objects > 0
        self.token_matches_ledger(entries)
        # What the registers say is what the ledger says.
        before = [box.kesu(*w).json for w in (("key", "list"), ("dataset", "list"))]
        (box.vault / "registers.db").unlink()
        self.assertEqual([box.kesu(*w).json for w in (("key", "list"), ("dataset", "list"))], before)

    def test_kills(self):
        ends, vaults, runs = collections.Counter(), 0, 0
        while sum(self.killed.values()) < KILLS:
            upto = min(KILLS, sum(self.killed.values()) + OF_ONE_VAULT)
            self.begin_vault()
            vaults += 1
            for folder in self.box.path.glob("s[0-9]*"):
                shutil.rmtree(folder)
            try:
                while sum(self.killed.values()) < upto:
                    self.number += 1
                    runs += 1
                    # Each kind is hit, however few kills there are.
                    rest = [w for w in WORK if not self.killed[w]]
                    late = KILLS - sum(self.killed.values()) <= 2 * len(rest)
                    work = self.chance.choice(rest if rest and late else WORK)
                    try:
                        getattr(self, f"do_{work}")()
                    except Exception as error:
                        raise harness.HarnessError(f"vault {vaults}, run {runs}, {work}: {error}") from error
                self.end_vault()
            finally:
                self.busy.ended.set()
                self.busy.join(timeout=120)
            ends.update(self.busy.ends)
            if KILLS > 100:
                print(f"vault {vaults}: {sum(self.killed.values())} kills", flush=True)
        print(f"{sum(self.killed.values())} kills in {runs} runs, {vaults} vaults: {dict(self.killed)}; inside a login's rewriting of "
              f"token.object {self.cut}, torn objects {self.torn_objects}; the other operator: {dict(ends)}; in each other's "
              f"way {self.retried} times, the token's file just being written {self.rewritten} times", flush=True)
        self.assertLess(self.cut, max(3, KILLS // 10))
        self.assertEqual(set(self.killed), set(WORK))


if __name__ == "__main__":
    harness.main()
