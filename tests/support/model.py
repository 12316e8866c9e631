"""What an operator was promised, as a small model, and random whole commands on one vault that are held against it.

The model knows of each dataset which contents each sealed name may have: one after a command that ended with 0, the one
before or the new one after a command that was killed or failed. It asks the files themselves, not what kesu says of them.
More of the deeds are in model_deeds.py, where a kill hits is drawn by kill_draw.py. tests/cli/model_test.py runs it; a course of events is given by its seed alone, but for where a kill by time hits.
"""
import collections
import contextlib
import os
import pathlib
import random
import shutil
import subprocess
import threading
import time

import harness
import kill_draw
import kill_world
import model_deeds

LIMIT = 60  # seconds that a command may take


class Difference(harness.HarnessError):
    """What is there is not what was promised."""


class Key:
    def __init__(self, name, provider):
        self.name, self.provider = name, provider
        self.versions, self.turns = 1, 0   # None: a killed rotation may or may not have made one; rotations that came to an end


class Dataset:
    def __init__(self, name, box, key, opaque):
        self.name, self.source, self.out = name, box.path / "src" / name, box.state / "out" / name
        self.names = {}        # name -> the (content, mode, mtime) it may have; None among them: it may not be there
        self.streams = {}      # name -> the contents it may have
        self.pipes = []        # (file, content) of what went to standard output and was kept
        self.adopted = 0       # of these, with a place since
        self.keys, self.used = [key], set()   # all it ever had; (key, turn) to which its data keys moved for certain
        self.erased, self.opaque = False, opaque


def looked_at(root):
    """name -> (content, mode, modification time) of the files below a directory."""
    return {str(p.relative_to(root)): (p.read_bytes(), p.stat().st_mode & 0o7777, p.stat().st_mtime_ns)
            for p in root.rglob("*") if p.is_file()}


def twice(dataset, result):
    """Under hidden names, what was killed before the older object went left both; the same command again removes the older."""
    may = dataset.names | dataset.streams
    parts = [(f["code"], f["why"]) for f in result.json.get("failed", [])]
    if result.error_code:
        parts = [(result.error_code, result.json["error"]["message"])]
    return dataset.opaque and all(c == "already-exists" and any(len(m) > 1 and f"/{n} is already" in why for n, m in may.items())
                                  for c, why in parts)


class Course(model_deeds.Deeds):
    """One vault and one random course of commands on it. `world`: a scenario.World whose box holds an initialised vault with
    the providers `soft` (the first) and `hsm`, and tombstones."""

    deeds = ("seal", "seal", "seal", "refused", "rewrap", "rotate", "damage", "lost", "beside", "erase", "stream", "pipe", "resume",
             "older", "prove", "leftovers", "foreign", "backup", "old_vault", "together", "together", "rekey")
    Difference, looked_at = Difference, staticmethod(looked_at)

    def __init__(self, world, seed):
        self.world, self.box, self.seed = world, world.box, seed
        self.chance = random.Random(f"model {seed}")
        self.draw = kill_draw.Draw(seed, (self.box.vault, self.box.path),
                                   alike=(self.box.state / "out", self.box.state / "stones", self.box.path / "src"),
                                   spare=(self.box.state / "token",))
        self.backup, self.keys, self.took = self.box.path / "backup", [], {}
        self.datasets, self.done, self.disturbed, self.commands = [], [], 0, 0
        self.ways, self.printed, self.code, self.since = collections.Counter(), b"", 0, None
        providers = {p["identity"]["kind"]: p for p in self.kesu("provider", "list").expect().json}
        self.soft, self.places = providers["soft"]["id"], [providers[k]["name"] for k in ("soft", "soft", "pkcs11")]
        for _ in range(3):
            self.add_dataset()

    def new_key(self):
        key = Key(f"k{len(self.keys)}", self.chance.choice(self.places))
        self.keys.append(key)
        self.kesu("key", "create", key.name, "--provider", key.provider).expect()
        return key

    def add_dataset(self):
        shared = [k for d in self.living() for k in d.keys[-1:]] if self.chance.random() < 0.15 else []
        dataset = Dataset(f"d{len(self.datasets)}", self.box, self.chance.choice(shared) if shared else self.new_key(),
                          self.chance.random() < 0.4)
        self.kesu("dataset", "add", dataset.name, "--key", dataset.keys[0].name, "--chunk", "16384").expect()
        self.datasets.append(dataset)

    def shape(self, dataset):
        return ["--opaque-names"] if dataset.opaque else []

    def now(self, dataset):
        return dataset.keys[-1], dataset.keys[-1].turns

    @staticmethod
    def files(dataset):
        return sorted(dataset.out.rglob("*.kesu"))

    def living(self):
        return [d for d in self.datasets if not d.erased]

    def demand(self, what, found, wanted):
        if found != wanted:
            raise Difference(f"{what}: found {found!r}, the model has {wanted!r}")

    def kept(self, dataset):
        """Where what was sealed to standard output is kept."""
        return self.box.state / "pipes" / dataset.name

    # Commands.

    def kesu(self, *words, **options):
        self.commands += 1
        self.done.append(" ".join(map(str, words)))
        result = self.box.kesu(*words, code=None, timeout=LIMIT, **options)
        self.done[-1] += f" -> {result.code}"
        return result

    def hit(self, *words, stdin=None, json=True):
        """A command that may be killed at a call, or at a moment, or meet a failing call. The exit code; None: killed.
        What it printed is in self.printed. `stdin`: a file."""
        verb = " ".join(words[:2]) if words[0] in ("key", "erase", "certificate", "inventory", "dataset") else words[0]
        way = self.chance.choice(("plain", "call", "call", "call", "time", "fault"))
        self.commands += 1
        command = self.box.kesu_command(*words, json=json)
        if stdin:
            command = ["sh", "-c", 'exec "$@" <"$0"', str(stdin), *command]
        self.done.append(" ".join(map(str, words)))
        options = {"env": self.box.env, "cwd": self.box.path, "timeout": LIMIT}
        if way in ("call", "plain"):
            # A command of a kind that is new here is watched to its end.
            code, at, result = self.draw.killed(verb, command, never=way == "plain", **options)
            self.printed = result.raw
        elif way == "fault":
            code, at, result = self.draw.failed(verb, command, **options)
            self.printed = result.raw
        else:
            at, started = self.chance.uniform(0.02, 1) * self.took.get(verb, 0.3), time.monotonic()
            del options["timeout"]
            process = subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
                                       stderr=subprocess.DEVNULL, **options)
            # A token whose files were cut in the middle is SoftHSM's matter.
            spared = any(k.provider == "hsm" for k in self.keys) and verb in ("key rotate", "erase run")
            with contextlib.suppress(subprocess.TimeoutExpired):
                process.communicate(timeout=LIMIT if spared else at)
                self.took[verb] = time.monotonic() - started
            code = process.poll()
            process.kill()
            self.printed = process.communicate()[0]
        self.code = code
        self.ways[way, "undisturbed" if code == 0 else "killed" if code is None else code] += 1
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
        everything, remove = self.change(dataset), self.chance.random() < 0.4
        selecting, there = self.selection(everything) if self.chance.random() < 0.3 else ([], everything)
        remove = remove and "--files-from" not in selecting  # the same list again would name what is gone
        words = ("seal", dataset.name, dataset.source, "-o", dataset.out, *self.shape(dataset), "--replace", *selecting,
                 *(["--remove-source"] if remove else []))
        code = self.hit(*words)
        self.sealed(dataset, there, code == 0, remove)
        if code != 0:
            self.look(dataset)
            self.ended(*words)
            self.sealed(dataset, there, True, remove)
        left = looked_at(dataset.source)
        self.demand("sources that were not selected", {n: left.get(n) for n in everything if n not in there},
                    {n: s for n, s in everything.items() if n not in there})

    def sealed(self, dataset, there, whole, remove):
        left = looked_at(dataset.source) if dataset.source.exists() else {}
        for name, state in there.items():
            if whole or name not in left:  # a source that is gone is recoverable, whatever became of the command
                dataset.names[name] = [state]
            elif state not in dataset.names.setdefault(name, [None]):
                dataset.names[name].append(state)
        if whole and remove:
            self.demand(f"sources of {dataset.name} after --remove-source", sorted(set(left) & set(there)), [])
        if not remove:
            self.demand(f"sources of {dataset.name}", {n: left.get(n) for n in there}, there)

    def do_refused(self, dataset):
        """Without --replace: what stands and differs is not sealed over, and named, exactly."""
        there = self.change(dataset)
        standing = {n for n in there if n in dataset.names}
        differ = {n for n in standing if dataset.names[n] != [there[n]]}
        result = self.kesu("seal", dataset.name, dataset.source, "-o", dataset.out, *self.shape(dataset))
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
        key = dataset.keys[-1]
        if self.hit("key", "rotate", key.name) == 0:
            key.versions = key.versions and key.versions + 1
        else:
            key.versions = None
            self.ended("key", "rotate", key.name)
        key.turns += 1

    def do_rewrap(self, dataset):
        if not self.files(dataset):
            return
        words = self.rewrapping(dataset)
        if self.hit(*words) != 0:
            self.look(dataset)
            self.ended(*words)
        dataset.used.add(self.now(dataset))

    def rewrapping(self, dataset):
        """With the files that keep what was sealed to a pipe: on somebody's word that there are no others."""
        return "rewrap", dataset.name, *([dataset.out, self.kept(dataset), "--location-lost", "all copies"] if dataset.pipes else [])

    def one_sealed(self, dataset):
        """Any of its sealed files that holds a name of the model, and that name."""
        if not any(dataset.out.rglob("*.kesu")):
            return None
        if dataset.erased:
            return self.chance.choice(self.files(dataset)), None
        found = {o["name"].partition("/")[2]: o["place"] for o in self.kesu("inventory", "list", dataset.name).expect().json
                 if o["current"] and o["name"].startswith(f"{dataset.name}/")}
        name = self.chance.choice(sorted(found)) if found else None
        return name and (pathlib.Path(found[name]), name)

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
        report = self.checked(dataset, code=6)
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
        report = self.checked(dataset, *quick, code=8)
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
            words = ("seal", one.name, one.source, "-o", one.out, *self.shape(one), "--replace")
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

    def reached(self, dataset):
        """It and the others that a key of it was ever a key of, and theirs."""
        found = [dataset]
        for one in found:
            found += [d for d in self.living() if d not in found and set(d.keys) & set(one.keys)]
        return found

    def planned(self, doomed):
        """An approved erasure of these, its plan held against the model."""
        erasure = self.kesu("erase", "plan", *(d.name for d in doomed)).expect().json
        versions, used = len(erasure["key_versions"]), set().union(*(d.used for d in doomed))
        most = [k.versions for k in {k for d in doomed for k in d.keys}]
        # A version that no data key was ever under is not in its scope.
        if versions < max(1, len(used)) or None not in most and versions > sum(most):
            raise Difference(f"{versions} key versions in the plan; the model has {most}, surely used {len(used)}")
        self.approve(erasure["erasure"])
        return erasure["erasure"], versions, any(v["provider"] == self.soft for v in erasure["key_versions"])

    def do_erase(self, dataset):
        if not any(dataset.names.values()) or len(self.datasets) > 8 or len(self.living()) < 3:
            return
        doomed = self.reached(dataset)
        others = [d for d in self.living() if d not in doomed and any(d.names.values())]
        if others and self.chance.random() < 0.4:
            doomed += [d for d in self.reached(self.chance.choice(others)) if d not in doomed]
        erasure, versions, short = self.planned(doomed)
        run = ("erase", "run", erasure, "-y", *(self.kept(d) for d in doomed if d.pipes))
        if self.chance.random() < 0.5 and self.between(doomed, erasure):
            erasure, versions, short = self.planned(doomed)
        if self.chance.random() < 0.3:
            hold = self.kesu("hold", "place", dataset.name, "--case", "1", "--reason", "court", "--as", self.world.holder).expect().json
            hold = (hold[0] if isinstance(hold, list) else hold)["id"]
            run = ("erase", "run", erasure, "-y", *(self.kept(d) for d in doomed if d.pipes))
            if self.hit(*run) == 0:
                raise Difference("a held dataset was erased")
            self.look(dataset)
            self.kesu("hold", "release", hold, "--reason", "over", *self.world.signer(self.world.holder)).expect()
            self.kesu(*run).expect(3)  # what was approved before a hold serves no more
            self.look(dataset)
            self.kesu("erase", "cancel", erasure, "--reason", "held since").expect()
            erasure, versions, short = self.planned(doomed)
        run = ("erase", "run", erasure, "-y", *(self.kept(d) for d in doomed if d.pipes))
        bundle = self.box.path / f"bundle-{dataset.name}"
        for _ in range(4):  # killed again and again
            if self.hit(*run) == 0 or self.kesu("erase", "status", erasure).expect().json["stage"] == "destroyed":
                break
            if self.kesu("certificate", "bundle", erasure, "-o", bundle).code == 0 or bundle.exists():
                raise Difference("a certificate for an erasure that is not completed")
        else:
            self.ended(*run)
        self.demand("stage", self.kesu("erase", "status", erasure).expect().json["stage"], "destroyed")
        for one in doomed:
            one.erased = True
        for one in self.datasets:
            self.look(one)
            self.look_pipes(one)
        bundling = ("certificate", "bundle", erasure, "-o", bundle)
        if self.hit(*bundling) != 0 and not bundle.exists():
            self.ended(*bundling)
        self.verifies(bundle, doomed, versions, short)
        for _ in doomed:
            self.add_dataset()

    def approve(self, erasure):
        self.world.request(erasure)
        self.world.approve(erasure)

    def verifies(self, bundle, doomed, versions, short):
        trust = self.box.path / "trust"
        trust.write_text(self.kesu("trust", "propose", bundle).expect().json["trust"])
        low = ("--trust", trust, "--require", "low", "--allow-test-grade")
        script = harness.SOURCE / "scripts" / "verify_certificate.py"
        covered = {path: d in doomed for d in self.datasets if not d.erased or d in doomed
                   for path, _ in [self.one_sealed(d) or (None, None)] if path}
        # A key of a keystore file was never held by a device: genuine, and for that alone short of profile low.
        code = 7 if short else 0
        report = self.kesu("verify", bundle, *low).expect(code).json
        self.demand("shortfalls", [s.split()[0] for s in report["shortfalls"]], ["key-origin"] if short else [])
        self.demand("errors", report["errors"], [])
        claims = {c["id"]: c for c in report["claims"]}
        self.demand("destroyed", claims["destroyed"]["detail"].split(" key version")[0], f"{versions} of {versions}")
        files = sum(len(self.files(d)) + len(d.pipes) for d in doomed)
        self.demand("objects, as many as there are files", int(claims["scope"]["detail"].split()[0]) >= files, True)
        self.box.run("python3", "-B", script, bundle, *low, code=code, timeout=LIMIT)
        for path, wanted in covered.items():
            report = self.kesu("verify", bundle, *low, "--object", path).expect(code if wanted else 7).json
            self.demand(f"{path} is covered", [o["result"] == "covered" for o in report["objects"]], [wanted])

    # What must hold.

    def settle(self, dataset):
        self.kesu("inventory", "settle", dataset.name).expect()

    def look(self, dataset, without=None):
        """Opens everything of a dataset into a fresh place and holds it against the model; `without` a name that must not open."""
        target = self.box.path / "opened"
        shutil.rmtree(target, ignore_errors=True)
        if not self.files(dataset):
            names = [n for n, may in (dataset.names | dataset.streams).items() if None not in may]
            self.demand(f"names of {dataset.name} with nothing sealed", names, [])
            return
        result = self.kesu("open", dataset.out, "-o", target)
        if dataset.erased:
            found = looked_at(target) if target.exists() else {}
            if result.code == 0 or found or result.json.get("opened"):
                raise Difference(f"{dataset.name} is erased, and {sorted(found)} opened\n{result}")
            return
        self.same(dataset, target, without, result)

    def same(self, dataset, target, without=None, result=None):
        """What was opened to `target` is what the model has; `result` of the opening."""
        found = looked_at(target / dataset.name) if (target / dataset.name).exists() else {}
        streams = {p.name: p.read_bytes() for p in target.iterdir() if p.is_file()} if target.exists() else {}
        if result and (result.code == 0) != (without is None) and not twice(dataset, result):
            raise Difference(f"opening {dataset.name}\n{result}")
        for name, may in dataset.names.items():
            if name == without:
                self.demand(f"{dataset.name}/{name}, which was damaged", found.get(name), None)
            elif found.get(name) not in may:
                said = found.get(name) and (found[name][0][:40], *found[name][1:])
                raise Difference(f"{dataset.name}/{name} opened as {said!r}, the model has "
                                 f"{[m and (m[0][:40], *m[1:]) for m in may]}\n{result}")
        self.demand(f"names of {dataset.name} that nobody sealed", sorted(set(found) - set(dataset.names)), [])
        wrong = [n for n, may in dataset.streams.items() if streams.get(n) not in may]
        self.demand(f"streams of {dataset.name} that are not what was sealed", wrong, [])
        self.demand(f"streams of {dataset.name} that nobody sealed", sorted(set(streams) - set(dataset.streams)), [])

    def checked(self, dataset, *words, code=0):
        """`inventory check`, what was sealed to a pipe (it has no place) left out of what is missing."""
        report = self.kesu("inventory", "check", dataset.name, dataset.out, *words).expect(code or (8 if len(dataset.pipes) > dataset.adopted and not words else (0, 8) if dataset.pipes else 0)).json
        nowhere = [] if words else [m for m in report["missing"] if not m["path"]]
        self.demand("objects that went to a pipe", len(nowhere) >= len(dataset.pipes) - dataset.adopted or bool(words), True)
        return report | {"missing": [m for m in report["missing"] if m not in nowhere], "objects": report["objects"] - len(nowhere) - dataset.adopted}

    def invariants(self):
        self.demand("findings of ledger verify", self.kesu("ledger", "verify").expect().json["findings"], [])

    def all_invariants(self):
        """With everything settled."""
        self.invariants()
        self.demand("open questions", self.kesu("status").expect().json["questions"], [])
        for dataset in self.datasets:
            self.look(dataset)
            self.look_pipes(dataset)
            if not dataset.erased and self.files(dataset):
                report = self.checked(dataset)
                self.demand("missing and damaged", (report["missing"], report["damaged"]), ([], []))
                self.demand("orphans", report["orphans"], [])
                self.demand("objects of the inventory, and sealed files", report["objects"], len(list(dataset.out.rglob("*.kesu"))))
        left = [str(p) for p in self.box.state.rglob("*") if kill_world.LEFTOVER.search(p.name)]
        self.demand("temporary files", left, [])
        self.plaintext_left()

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
