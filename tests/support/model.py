"""What an operator was promised, as a small model, and random whole commands on one vault that are held against it.

The model knows of each dataset which contents each sealed name may have: one after a command that ended with 0, the one
before or the new one after a command that was killed or failed. It asks the files themselves, not what kesu says of them.
tests/cli/model_test.py runs it; a course of events is given by its seed alone, but for where a kill by time hits.
"""
import contextlib
import os
import random
import shutil
import subprocess
import threading

import harness
import harness_fault
import harness_kill
import kill_world

LIMIT = 60  # seconds that a command may take


class Difference(harness.HarnessError):
    """What is there is not what was promised."""


class Dataset:
    def __init__(self, name, box):
        self.name, self.source, self.out = name, box.path / "src" / name, box.state / "out" / name
        self.names = {}        # name -> the (content, mode, mtime) it may have; None among them: it may not be there
        self.versions = 1      # of its key; None: a killed rotation may or may not have made one
        self.turns, self.used = 0, set()   # rotations that came to an end; those after which its data keys moved for certain
        self.erased = False

    def sealed(self):
        return self.out / self.name


class Course:
    """One vault and one random course of commands on it. `world`: a scenario.World whose box holds an initialised vault."""

    deeds = ("seal", "seal", "seal", "refused", "rewrap", "rotate", "damage", "lost", "beside", "erase")

    def __init__(self, world, seed):
        self.world, self.box, self.seed = world, world.box, seed
        self.chance = random.Random(f"model {seed}")
        self.datasets, self.done, self.disturbed, self.commands = [], [], 0, 0
        for _ in range(3):
            self.add_dataset()

    def add_dataset(self):
        dataset = Dataset(f"d{len(self.datasets)}", self.box)
        self.kesu("key", "create", f"k-{dataset.name}").expect()
        self.kesu("dataset", "add", dataset.name, "--key", f"k-{dataset.name}", "--chunk", "16384").expect()
        self.datasets.append(dataset)

    def living(self):
        return [d for d in self.datasets if not d.erased]

    def demand(self, what, found, wanted):
        if found != wanted:
            raise Difference(f"{what}: found {found!r}, the model has {wanted!r}")

    # Commands.

    def kesu(self, *words):
        self.commands += 1
        self.done.append(" ".join(map(str, words)))
        result = self.box.kesu(*words, code=None, timeout=LIMIT)
        self.done[-1] += f" -> {result.code}"
        return result

    def hit(self, *words):
        """A command that may be killed at a call, or at a moment, or meet a failing call. The exit code; None: killed."""
        way = self.chance.choice(("plain", "plain", "call", "call", "time", "fault"))
        if way == "plain":
            return self.kesu(*words).code
        self.commands += 1
        command, at = self.box.kesu_command(*words), self.chance.choice((self.chance.randint(1, 60), self.chance.randint(1, 400)))
        self.done.append(" ".join(map(str, words)))
        options = {"env": self.box.env, "cwd": self.box.path}
        if way == "call":
            _, killed, result = harness_kill.traced(command, at, timeout=LIMIT, **options)
            code = None if killed else result.code
        elif way == "fault":
            error = self.chance.choice(("ENOSPC", "EIO"))
            calls, result = harness_fault.traced(command, at, error, under=(self.box.state,), timeout=LIMIT, **options)
            code, at = result.code, f"{at} {error}" if any(c.failed for c in calls) else "never"
        else:
            at = self.chance.uniform(0.02, 0.6)
            process = subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL,
                                       stderr=subprocess.DEVNULL, **options)
            with contextlib.suppress(subprocess.TimeoutExpired):
                process.wait(timeout=at)
            code = process.poll()
            process.kill()
            process.wait()
        self.disturbed += code != 0
        self.done[-1] += f" [{way} {at}] -> {'killed' if code is None else code}"
        return code

    def ended(self, *words):
        """The same command again reaches its end."""
        return self.kesu(*words).expect()

    # What the operator does.

    def change(self, dataset):
        """New and changed sources. Returns name -> (content, mode, mtime) of all that stand there."""
        dataset.source.mkdir(parents=True, exist_ok=True)
        for _ in range(self.chance.randint(1, 4)):
            name = self.chance.choice(("a", "b", "c.csv", "sub/d", "sub/e e", "sub/貸付"))
            size = self.chance.choice((0, 1, 900, 16384, 40_000))
            path = dataset.source / name
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes(kill_world.content(f"{dataset.name}/{name}", size, self.chance.randrange(10**9)))
            path.chmod(self.chance.choice((0o600, 0o644, 0o750)))
            os.utime(path, ns=(1_700_000_000_000_000_000, self.chance.randrange(1_500_000_000 * 10**9, 1_700_000_000 * 10**9)))
        return looked_at(dataset.source)

    def do_seal(self, dataset):
        there = self.change(dataset)
        remove = self.chance.random() < 0.4
        words = ("seal", dataset.name, dataset.source, "-o", dataset.out, "--replace", *(["--remove-source"] if remove else []))
        code = self.hit(*words)
        self.sealed(dataset, there, code == 0, remove)
        if code != 0:
            self.look(dataset)
            if dataset.source.exists():
                self.ended(*words)
                self.sealed(dataset, there, True, remove)
            else:
                self.settle(dataset)

    def sealed(self, dataset, there, whole, remove):
        left = looked_at(dataset.source) if dataset.source.exists() else {}
        for name, state in there.items():
            if whole or name not in left:  # a source that is gone is recoverable, whatever became of the command
                dataset.names[name] = [state]
            elif state not in dataset.names.setdefault(name, [None]):
                dataset.names[name].append(state)
        if whole and remove:
            self.demand(f"sources of {dataset.name} after --remove-source", sorted(left), [])
        if not remove:
            self.demand(f"sources of {dataset.name}", left, there)

    def do_refused(self, dataset):
        """Without --replace: what stands and differs is not sealed over, and named, exactly."""
        there = self.change(dataset)
        standing = {n for n in there if n in dataset.names}
        differ = {n for n in standing if dataset.names[n] != [there[n]]}
        result = self.kesu("seal", dataset.name, dataset.source, "-o", dataset.out)
        for name in set(there) - standing:
            dataset.names[name] = [there[name]]
        if not differ:
            result.expect(0)
        elif len(there) > 1:
            # When nothing was done at all, the parts' common code.
            result.expect(8 if result.json["sealed"] + result.json["unchanged"] else 3)
            named = {f["path"] for f in result.json["failed"]}
            missing = [n for n in differ if not any(n in p for p in named)]
            self.demand("what the refused sealing does not name", missing, [])
        elif result.code == 0:
            raise Difference(f"a changed source was passed over\n{result}")

    def do_rotate(self, dataset):
        words = ("key", "rotate", f"k-{dataset.name}")
        if self.hit(*words) == 0:
            dataset.versions = dataset.versions and dataset.versions + 1
        else:
            dataset.versions = None
            self.ended(*words)
        dataset.turns += 1

    def do_rewrap(self, dataset):
        if not dataset.sealed().exists():
            return
        if self.hit("rewrap", dataset.name) != 0:
            self.look(dataset)
            self.ended("rewrap", dataset.name)
        dataset.used.add(dataset.turns)

    def one_sealed(self, dataset):
        """Any of its sealed files that holds a name of the model, and that name."""
        found = sorted(n for n in dataset.names if (dataset.sealed() / f"{n}.kesu").is_file())
        name = self.chance.choice(found) if found else None
        return name and (dataset.sealed() / f"{name}.kesu", name)

    def do_damage(self, dataset):
        """A byte of a sealed file is turned: it is named, it opens nowhere, the others do; then it is put back."""
        path, name = self.one_sealed(dataset) or (None, None)
        if not path:
            return
        whole = path.read_bytes()
        torn = bytearray(whole)
        torn[-1 - self.chance.randrange(16)] ^= 1 << self.chance.randrange(8)
        path.write_bytes(torn)
        self.done.append(f"(damaged {path.name})")
        report = self.kesu("inventory", "check", dataset.name, dataset.out).expect(6).json
        self.demand("damaged", [d["path"] for d in report["damaged"]], [str(path)])
        self.look(dataset, without=name)
        path.write_bytes(whole)

    def do_lost(self, dataset):
        path, name = self.one_sealed(dataset) or (None, None)
        if not path:
            return
        kept = self.box.path / "kept-aside"
        shutil.move(path, kept)
        self.done.append(f"(moved {path.name} away)")
        quick = self.chance.choice(([], ["--quick"]))
        report = self.kesu("inventory", "check", dataset.name, dataset.out, *quick).expect(8).json
        if not quick:
            self.demand("missing", len(report["missing"]), 1)
        self.demand("missing or undecided", len(report["missing"]) + report["undecided"] >= 1, True)
        shutil.move(kept, path)

    def do_beside(self, dataset):
        """Two operators at once, each on a dataset of its own."""
        other = self.chance.choice([d for d in self.living() if d is not dataset])
        there = {d: self.change(d) for d in (dataset, other)}
        results = {}

        def seal(one):
            words = ("seal", one.name, one.source, "-o", one.out, "--replace")
            results[one] = self.box.kesu(*words, code=None, timeout=LIMIT)

        threads = [threading.Thread(target=seal, args=(d,)) for d in there]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        self.commands += 2
        self.done.append(f"(side by side: {', '.join(f'seal {d.name} -> {r.code}' for d, r in results.items())})")
        self.demand("commands that came to an end", len(results), 2)
        for one, result in results.items():
            self.sealed(one, there[one], result.code == 0, False)
            if result.code:
                if result.error_code not in ("conflict", "store-busy"):
                    raise Difference(f"side by side\n{result}")
                self.do_seal(one)

    def do_erase(self, dataset):
        if not any(dataset.names.values()) or len(self.datasets) > 8:
            return
        erasure = self.kesu("erase", "plan", dataset.name).expect().json
        doomed = dataset.doomed = len(erasure["key_versions"])
        # A version that no data key was ever under is not in its scope.
        if doomed < max(1, len(dataset.used)) or doomed > (dataset.versions or doomed):
            raise Difference(f"{doomed} key versions in the plan; the model has {dataset.versions}, surely used {dataset.used}")
        erasure = erasure["erasure"]
        self.approve(erasure)
        run = ("erase", "run", erasure, "-y")
        if self.chance.random() < 0.4:
            hold = self.kesu("hold", "place", dataset.name, "--case", "1", "--reason", "court", "--as", self.world.holder).expect().json
            hold = (hold[0] if isinstance(hold, list) else hold)["id"]
            if self.hit(*run) == 0:
                raise Difference("a held dataset was erased")
            self.look(dataset)
            self.kesu("hold", "release", hold, "--reason", "over", *self.world.signer(self.world.holder)).expect()
            self.kesu(*run).expect(3)  # what was approved before a hold serves no more
            self.look(dataset)
            self.kesu("erase", "cancel", erasure, "--reason", "held since").expect()
            erasure = self.kesu("erase", "plan", dataset.name).expect().json["erasure"]
            self.approve(erasure)
            run = ("erase", "run", erasure, "-y")
        bundle = self.box.path / f"bundle-{dataset.name}"
        if self.hit(*run) != 0:
            if self.kesu("erase", "status", erasure).expect().json["stage"] != "destroyed":
                if self.kesu("certificate", "bundle", erasure, "-o", bundle).code == 0 or bundle.exists():
                    raise Difference("a certificate for an erasure that is not completed")
                self.ended(*run)
        self.demand("stage", self.kesu("erase", "status", erasure).expect().json["stage"], "destroyed")
        dataset.erased = True
        self.look(dataset)
        bundling = ("certificate", "bundle", erasure, "-o", bundle)
        if self.hit(*bundling) != 0 and not bundle.exists():
            self.ended(*bundling)
        self.verifies(bundle, dataset)
        self.add_dataset()

    def approve(self, erasure):
        self.world.request(erasure)
        self.world.approve(erasure)

    def verifies(self, bundle, dataset):
        trust = self.box.path / "trust"
        trust.write_text(self.kesu("trust", "propose", bundle).expect().json["trust"])
        low = ("--trust", trust, "--require", "low", "--allow-test-grade")
        script = harness.SOURCE / "scripts" / "verify_certificate.py"
        covered = {path: d is dataset for d in self.datasets if not d.erased or d is dataset
                   for path, _ in [self.one_sealed(d) or (None, None)] if path}
        # A key of a keystore file was never held by a device: genuine, and for that alone short of profile low.
        report = self.kesu("verify", bundle, *low).expect(7).json
        self.demand("shortfalls", [s.split()[0] for s in report["shortfalls"]], ["key-origin"])
        self.demand("errors", report["errors"], [])
        claims = {c["id"]: c for c in report["claims"]}
        self.demand("destroyed", claims["destroyed"]["detail"].split(" key version")[0], f"{dataset.doomed} of {dataset.doomed}")
        files = len(list(dataset.out.rglob("*.kesu")))
        self.demand("objects, as many as there are files", int(claims["scope"]["detail"].split()[0]) >= files, True)
        self.box.run("python3", "-B", script, bundle, *low, code=7, timeout=LIMIT)
        for path, wanted in covered.items():
            report = self.kesu("verify", bundle, *low, "--object", path).expect(7).json
            self.demand(f"{path} is covered", [o["result"] == "covered" for o in report["objects"]], [wanted])

    # What must hold.

    def settle(self, dataset):
        self.kesu("inventory", "settle", dataset.name).expect()

    def look(self, dataset, without=None):
        """Opens everything of a dataset into a fresh place and holds it against the model; `without` a name that must not open."""
        target = self.box.path / "opened"
        shutil.rmtree(target, ignore_errors=True)
        if not any(dataset.out.rglob("*.kesu")):
            self.demand(f"names of {dataset.name} with nothing sealed", [n for n, may in dataset.names.items() if None not in may], [])
            return
        result = self.kesu("open", dataset.out, "-o", target)
        found = looked_at(target / dataset.name) if (target / dataset.name).exists() else {}
        if dataset.erased:
            if result.code == 0 or found or result.json.get("opened"):
                raise Difference(f"{dataset.name} is erased, and {sorted(found)} opened\n{result}")
            return
        if (result.code == 0) != (without is None):
            raise Difference(f"opening {dataset.name}\n{result}")
        for name, may in dataset.names.items():
            if name == without:
                self.demand(f"{dataset.name}/{name}, which was damaged", found.get(name), None)
            elif found.get(name) not in may:
                said = found.get(name) and (found[name][0][:40], *found[name][1:])
                raise Difference(f"{dataset.name}/{name} opened as {said!r}, the model has "
                                 f"{[m and (m[0][:40], *m[1:]) for m in may]}\n{result}")
        self.demand(f"names of {dataset.name} that nobody sealed", sorted(set(found) - set(dataset.names)), [])

    def invariants(self):
        self.demand("findings of ledger verify", self.kesu("ledger", "verify").expect().json["findings"], [])

    def all_invariants(self):
        """With everything settled."""
        self.invariants()
        self.demand("open questions", self.kesu("status").expect().json["questions"], [])
        for dataset in self.datasets:
            self.look(dataset)
            if not dataset.erased and dataset.names:
                report = self.kesu("inventory", "check", dataset.name, dataset.out).expect().json
                self.demand("missing and damaged", (report["missing"], report["damaged"]), ([], []))
                self.demand("orphans", report["orphans"], [])
                self.demand("objects of the inventory, and sealed files", report["objects"], len(list(dataset.out.rglob("*.kesu"))))
        left = [str(p) for p in self.box.state.rglob("*") if kill_world.LEFTOVER.search(p.name)]
        self.demand("temporary files", left, [])

    def run(self, steps):
        try:
            for step in range(steps):
                dataset, deed = self.chance.choice(self.living()), self.chance.choice(self.deeds)
                self.done.append(f"-- {step + 1}: {deed} {dataset.name}")
                getattr(self, f"do_{deed}")(dataset)
                self.invariants()
                if not dataset.erased:
                    self.look(dataset)
            self.done.append("-- the end")
            self.all_invariants()
        except AssertionError as error:
            raise harness.HarnessError(f"seed {self.seed} (KESU_MODEL_SEED={self.seed} KESU_MODEL_STEPS={steps})\n"
                                       + "\n".join(self.done[-60:]) + f"\n{error}") from error


def looked_at(root):
    """name -> (content, mode, modification time) of the files below a directory."""
    return {str(p.relative_to(root)): (p.read_bytes(), p.stat().st_mode & 0o7777, p.stat().st_mtime_ns)
            for p in root.rglob("*") if p.is_file()}
