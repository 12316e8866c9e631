"""More of what people do to one vault, for the course of tests/support/model.py: selections, pipes, resumed openings, files that
are older, moved or in the way, old copies of the vault, two commands at once of which one is killed, keys of two providers,
datasets under one key, and erasures that something comes in between of."""
import re
import shutil
import threading

import harness
import harness_kill
import kill_world
import proof as proofs

# What `kesu seal` is told to take, and whether a name is then taken (docs/spec/selection.md).
SELECTIONS = (
    (("--include", "*.csv"), lambda n: n.endswith(".csv")),
    (("--include", "sub/"), lambda n: n.startswith("sub/")),
    (("--include", "sub/**", "--exclude", "sub/d"), lambda n: n.startswith("sub/") and n != "sub/d"),
    (("--exclude", "sub/"), lambda n: not n.startswith("sub/")),
    (("--exclude", "?"), lambda n: len(n.split("/")[-1]) != 1),
    (("--exclude", "/a", "--exclude", "貸*"), lambda n: n != "a" and n != "sub/貸付"),
)
PLAIN = re.compile(rb"d\d+/[a-z./_\x80-\xff ]+ v\d+ ")  # what kill_world.content() makes of the sources here
TOGETHER = 30  # seconds that two commands may wait for each other


class Deeds:
    """Of model.Course, which has the fields."""

    # Selections.

    def selection(self, there):
        """(options, those of `there` that they leave)."""
        if self.chance.random() < 0.25:
            names = sorted(self.chance.sample(sorted(there), self.chance.randint(1, len(there))))
            ending, words = self.chance.choice((("\n", []), ("\0", ["--null"])))
            path = self.box.path / "list"
            path.write_text("".join(self.chance.choice(("", "./")) + n + ending for n in names))
            return ["--files-from", path, *words], {n: there[n] for n in names}
        options, takes = self.chance.choice(SELECTIONS)
        return list(options), {n: s for n, s in there.items() if takes(n)}

    # Pipes.

    def stream(self, dataset):
        """A file that is to come through a pipe, and its content."""
        path, size = self.box.path / "stream", self.chance.choice((0, 5, 16384, 50_000))
        path.write_bytes(kill_world.content(f"{dataset.name}/stream", size, self.chance.randrange(10**9)))
        return path, path.read_bytes()

    def do_stream(self, dataset):
        """From standard input to a place."""
        path, data = self.stream(dataset)
        name = self.chance.choice(("s.sql", "t"))
        words = ("seal", dataset.name, "-", "--name", name, "-o", dataset.out, "--replace")
        code = self.hit(*words, stdin=path)
        if code == 0:
            dataset.streams[name] = [data]
            return
        dataset.streams.setdefault(name, [None]).append(data)
        self.look(dataset)
        self.kesu(*words, stdin=data).expect()
        dataset.streams[name] = [data]

    def do_pipe(self, dataset):
        """From standard input to standard output; what came out opens as often as it is whole, and is counted, though nowhere."""
        path, data = self.stream(dataset)
        self.hit("seal", dataset.name, "-", "--name", "p", "-o", "-", stdin=path, json=False)
        sealed = self.printed
        result = self.kesu("open", "-", "-o", "-", stdin=sealed, json=False)
        if result.code == 0:
            self.demand("what came through two pipes", result.raw, data)
            path = self.kept(dataset) / f"{len(dataset.pipes)}.kesu"
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes(sealed)
            dataset.pipes.append((path, data))
            if self.code != 0:  # whole, and given up or counted: what is not counted is taken in where it now lies
                taken = self.kesu("inventory", "adopt", dataset.name, path).expect((0, 3))
                dataset.adopted += taken.json["adopted"] if taken.code == 0 else 0
        elif self.code == 0:
            raise self.Difference(f"a stream that was sealed does not open\n{result}")

    def look_pipes(self, dataset):
        for path, data in dataset.pipes:
            result = self.kesu("open", "-", "-o", "-", stdin=path.read_bytes(), json=False)
            self.demand("a sealed stream opens", result.code, 3 if dataset.erased else 0)
            self.demand("a sealed stream", result.raw, b"" if dataset.erased else data)

    def do_resume(self, dataset):
        """An opening that was killed is finished by --resume, and leaves nothing but what was sealed."""
        if not self.files(dataset):
            return
        target = self.box.path / "resumed"
        shutil.rmtree(target, ignore_errors=True)
        words = ("open", dataset.out, "-o", target)
        if self.hit(*words) != 0:
            self.ended(*words, "--resume")
        self.same(dataset, target)
        left = [str(p) for p in target.rglob("*") if kill_world.LEFTOVER.search(p.name)]
        self.demand("temporary files of an opening", left, [])
        self.ended(*words, "--resume")
        self.same(dataset, target)

    # Files that are not what they were.

    def do_older(self, dataset):
        """An older sealed file is put back over its successor: genuine, and told."""
        path, name = self.one_sealed(dataset) or (None, None)
        if not path or dataset.opaque or not dataset.source.exists():
            return
        old, source = path.read_bytes(), dataset.source / name
        source.parent.mkdir(parents=True, exist_ok=True)
        source.write_bytes(kill_world.content(f"{dataset.name}/{name}", 700, self.chance.randrange(10**9)))
        there = self.looked_at(dataset.source)
        self.ended("seal", dataset.name, dataset.source, "-o", dataset.out, "--replace")
        self.sealed(dataset, there, True, False)
        new = path.read_bytes()
        path.write_bytes(old)
        self.done.append(f"(put an older {path.name} back)")
        report = self.checked(dataset, code=6)
        self.demand("older", [d["path"] for d in report["damaged"]], [str(path)])
        self.kesu(*self.rewrapping(dataset)).expect((0, 8))
        self.demand("the older file after a re-wrapping", path.read_bytes()[:128], old[:128])
        path.write_bytes(new)
        self.ended(*self.rewrapping(dataset))
        dataset.used.add(self.now(dataset))

    def do_prove(self, dataset):
        path, _ = self.one_sealed(dataset) or (None, None)
        if not path:
            return
        whole = path.read_bytes()
        shown = self.kesu("inventory", "prove", path).expect().json
        self.demand("a proof", proofs.check(shown, shown["vkey"], whole), "object")
        moved = path.with_name("moved-elsewhere.kesu")
        path.rename(moved)
        self.kesu("inventory", "prove", moved).expect()
        report = self.checked(dataset, code=8)
        self.demand("moved: missing, and a copy", ([m["path"] for m in report["missing"]], [o["code"] for o in report["orphans"]]),
                    ([str(path)], ["copy"]))
        self.kesu("inventory", "adopt", dataset.name, moved).expect(3)
        moved.rename(path)
        torn = bytearray(whole)
        torn[self.chance.choice((16, 40, len(torn) - 1))] ^= 4
        path.write_bytes(torn)
        self.kesu("inventory", "prove", path).expect((6, 7))
        path.write_bytes(whole)

    def do_leftovers(self, dataset):
        """Parts and torn files that are nobody's objects are removed, and nothing else."""
        if not self.files(dataset):
            return
        before = {p: p.read_bytes() for p in self.files(dataset)}
        some = self.chance.choice(sorted(before))
        junk = [dataset.out / f".{self.chance.getrandbits(128):032x}.kesu-part", some.with_name(f"{self.chance.getrandbits(128):032x}.kesu-damaged")]
        for path in junk:
            path.write_bytes(before[some][:-20])
        words = ("inventory", "remove", dataset.out, "--reason", "after the cut", "-y")
        if self.hit(*words) != 0:
            self.ended(*words)
        self.demand("after inventory remove", {p: p.read_bytes() for p in self.files(dataset)} == before, True)
        self.demand("a part that nobody writes", junk[0].exists(), False)
        for path in junk:
            path.unlink(missing_ok=True)

    def do_foreign(self, dataset):
        """--replace goes over no object of another dataset."""
        other = self.chance.choice([d for d in self.living() if d is not dataset])
        path, name = self.one_sealed(other) or (None, None)
        if not path or other.opaque:
            return
        source = self.box.path / "foreign" / path.name.removesuffix(".kesu")
        source.parent.mkdir(exist_ok=True)
        source.write_bytes(b"another dataset's")
        self.kesu("seal", dataset.name, source, "-o", path.parent, "--replace", *(["--plain-names"] if dataset.opaque else [])).expect(3)
        self.look(other)

    # Old copies of the vault.

    def do_backup(self, dataset):
        self.ended("inventory", "settle", dataset.name)
        shutil.rmtree(self.backup, ignore_errors=True)
        harness.copy_tree(self.box.vault, self.backup)
        self.since = {d for d in self.datasets if d.erased}

    def do_old_vault(self, dataset):
        """An old copy in the vault's place opens nothing that was erased since, and takes nothing away from the vault."""
        if not self.backup.exists():
            return
        now = self.box.path / "vault-of-now"
        self.box.vault.rename(now)
        harness.copy_tree(self.backup, self.box.vault)
        self.done.append("(an old copy of the vault in its place)")
        for one in self.datasets:
            if one.erased and one not in self.since and self.files(one):
                target = self.box.path / "buried"
                shutil.rmtree(target, ignore_errors=True)
                result = self.kesu("open", one.out, "-o", target)
                self.demand("opened under a tombstone", (result.code in (3, 6, 8), self.looked_at(target) if target.exists() else {}), (True, {}))
        self.kesu("ledger", "verify").expect()
        self.kesu("status", "--check")
        shutil.rmtree(self.box.vault)  # what the old copy now says is not kept
        now.rename(self.box.vault)

    # Two commands at once.

    def commands_for(self, dataset):
        """A command on this dataset that changes no name's content for certain, and what is to be noted when it ended."""
        there = self.change(dataset)
        return {"seal": ("seal", dataset.name, dataset.source, "-o", dataset.out, *self.shape(dataset), "--replace"),
                "rewrap": self.rewrapping(dataset), "settle": ("inventory", "settle", dataset.name),
                "check": ("inventory", "check", dataset.name, dataset.out)}, there

    def do_together(self, dataset):
        """Two commands on one dataset at the same moment; one may be killed. Then the same again end both."""
        commands, there = self.commands_for(dataset)
        first, second = self.chance.choice((("seal", "seal"), ("seal", "rewrap"), ("rewrap", "seal"), ("seal", "check"), ("rewrap", "rewrap"),
                                            ("seal", "settle"), ("rewrap", "settle")))
        if not self.files(dataset):
            first, second = "seal", "seal"
        kill, results = self.chance.random() < 0.6, {}
        point = self.draw.point(first)

        def one():
            command = self.box.kesu_command(*commands[first])
            if kill and point:
                _, killed, result = harness_kill.traced(command, point[2], only=("--call", point[1], "--under", point[0]), timeout=TOGETHER,
                                                        env=self.box.env, cwd=self.box.path)
                results[0] = None if killed else result.code, result
            else:
                result = self.box.run(*command, code=None, timeout=TOGETHER)
                results[0] = result.code, result

        def two():
            result = self.box.kesu(*commands[second], code=None, timeout=TOGETHER)
            results[1] = result.code, result
        hands = [threading.Thread(target=one), threading.Thread(target=two)]
        for hand in hands:
            hand.start()
        for hand in hands:
            hand.join()
        self.commands += 2
        self.done.append(f"(at once on {dataset.name}: {first} [{point if kill else 'plain'}], {second} -> {[r and r[0] for r in results.values()]})")
        self.demand("commands that came to an end", sorted(results), [0, 1])
        for code, result in results.values():
            if code == 6 and "check" not in (first, second):
                raise self.Difference(f"two at once\n{result}")
        if "seal" in (first, second):
            self.sealed(dataset, there, False, False)
        self.settle(dataset)
        self.look(dataset)
        for one in (first, second):  # what has no place stays missing
            self.kesu(*commands[one]).expect((0, 8) if one == "check" and dataset.pipes else 0)
        if "seal" in (first, second):
            self.sealed(dataset, there, True, False)
        if "rewrap" in (first, second) and self.files(dataset):
            dataset.used.add(self.now(dataset))

    # Keys.

    def do_rekey(self, dataset):
        """The dataset goes over to another key; what is sealed follows with the next re-wrapping."""
        key = self.new_key()
        words = ("dataset", "update", dataset.name, "--key", key.name, "--reason", "another key")
        if self.hit(*words) != 0:
            self.ended(*words)
        dataset.keys.append(key)
        self.demand("its key", self.kesu("dataset", "show", dataset.name).expect().json["key"], key.name)

    # Erasures.

    def between(self, doomed, erasure):
        """Something in between of approval and run, which is refused or makes the run refused. True: cancelled, plan anew."""
        one, what = doomed[0], self.chance.choice(("rotate", "seal", "rewrap", "cancel", "stream"))
        if what == "rotate":
            self.kesu("key", "rotate", one.keys[-1].name).expect(3, "frozen")
        elif what == "seal":
            self.change(one)
            result = self.kesu("seal", one.name, one.source, "-o", one.out, *self.shape(one), "--replace")
            if result.code == 0 and result.json["sealed"] + result.json["manifests"]:
                raise self.Difference(f"sealed into a frozen dataset\n{result}")
        elif what == "stream":
            self.kesu("seal", one.name, "-", "--name", "late", "-o", one.out, stdin=b"late").expect(3, "frozen")
        elif what == "rewrap":
            self.kesu(*self.rewrapping(one)).expect((0, 3))
        else:
            if self.hit("erase", "cancel", erasure, "--reason", "not yet") != 0:
                self.kesu("erase", "cancel", erasure, "--reason", "not yet").expect((0, 3))
            self.demand("stage", self.kesu("erase", "status", erasure).expect().json["stage"], "cancelled")
            self.kesu("erase", "run", erasure, "-y").expect(3)
            return True
        for d in doomed:
            self.look(d)
        return False

    def plaintext_left(self):
        """No file of the state holds a source's text."""
        found = [str(p) for p in self.box.state.rglob("*") if p.is_file() and PLAIN.search(p.read_bytes())]
        self.demand("files with plaintext", found, [])
