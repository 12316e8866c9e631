"""`kesu reseal`: objects of one dataset sealed anew into another, linked, and what is to be kept keeps its erasure waiting."""
import contextlib
import hashlib
import hmac
import json
import os
import pathlib
import re
import shutil
import signal
import subprocess
import sys
import time

sys.path.insert(0, str(pathlib.Path(__file__).parents[1] / "support"))
import harness
import scenario
from scenario import CHUNK

LARGE = (9 << 20) + 12345                       # more than what is opened in one piece
FILES = {"a.csv": b"one", "empty": b"", "sub/b.bin": bytes(range(256)) * 300, "sub/large": b"0123456789abcdef" * (LARGE // 16)}


class Reseal(scenario.World):
    @classmethod
    def prepare(cls):
        box = cls.box
        box.kesu("key", "create", "archive")
        box.kesu("dataset", "add", "kept", "--key", "archive", "--chunk", "65536", "--algorithm", "ChaCha20-Poly1305")
        src = box.state / "src"
        for name, data in FILES.items():
            cls.write(name, data, mode=0o640)
        os.link(src / "a.csv", src / "another-name")
        os.symlink("a.csv", src / "link")
        (src / "nothing").mkdir()
        box.kesu("seal", "loans-2019", src, "-o", cls.out)
        shutil.rmtree(src)
        cls.new = box.state / "new"

    def reseal(self, *words, into=True, **options):
        return self.box.kesu("reseal", "loans-2019", "--to", "kept", *(("--into", self.new) if into else ()), *words,
                             **options).json

    def objects(self, dataset):
        return {r["object"].removeprefix("obj-"): r for r in self.box.kesu("inventory", "list", dataset).json}

    def documents(self, what):
        return [e for e in self.entries() if e["type"] == "document-attached" and e["body"]["what"] == what]

    def blob(self, digest):
        return json.loads((self.box.vault / "evidence" / digest).read_bytes())

    def opens_as_sealed(self, sealed):
        target = self.box.path / "tree"
        shutil.rmtree(target, ignore_errors=True)
        self.box.kesu("open", sealed, "-o", target)
        root = target / "src"
        self.assertEqual({n: (root / n).read_bytes() for n in FILES}, FILES)
        for name in FILES:
            stat = (root / name).stat()
            self.assertEqual((stat.st_mode & 0o7777, stat.st_mtime_ns), (0o640, 1_700_000_000_123_456_789), name)
        self.assertEqual(os.readlink(root / "link"), "a.csv")
        self.assertTrue((root / "nothing").is_dir())
        self.assertEqual((root / "another-name").stat().st_ino, (root / "a.csv").stat().st_ino)

    def test_everything_moves_and_is_linked(self):
        before = self.objects("loans-2019")
        result = self.reseal()
        self.assertEqual((result["objects"], result["resealed"], result["left"], result["complete"], result["failed"]),
                         (5, 5, 0, True, []))
        self.assertEqual(self.objects("loans-2019"), before)
        now = self.objects("kept")
        self.assertEqual(sorted(r["name"] for r in now.values()), sorted(r["name"] for r in before.values()))
        self.assertFalse(set(now) & set(before))
        shutil.move(self.out, self.box.path / "away")    # nothing of the new ones rests on the old ones
        self.opens_as_sealed(self.new)
        self.assertEqual(self.box.kesu("inventory", "check", "kept").json["good"], 5)
        info = self.box.kesu("info", self.new / "src" / "a.csv.kesu").json
        self.assertIn("ChaCha20-Poly1305", json.dumps(info))
        rows = [row for e in self.documents("resealed") for row in self.blob(e["body"]["document"])]
        self.assertEqual({r["old"] for r in rows}, set(before))
        self.assertEqual({r["new"] for r in rows}, set(now))
        self.assertEqual({before[r["old"]]["name"]: now[r["new"]]["name"] for r in rows},
                         {r["name"]: r["name"] for r in before.values()})
        done, = self.documents("reseal-complete")
        kinds = [n["id"].split("-")[0] for n in done["nodes"]]
        self.assertEqual(kinds, ["doc", "ds", "ds"])
        summary = self.blob(done["body"]["document"])
        self.assertEqual((summary["objects"], summary["format"]), (5, "kesu-reseal-v1"))
        self.assertEqual(summary["documents"], [e["body"]["document"] for e in self.documents("resealed")])
        self.box.kesu("ledger", "verify")

    def test_digests_are_under_a_salt(self):
        """The link's digest is no plain digest of the file: it needs the salt in the sealed inventory."""
        self.reseal()
        rows = [row for e in self.documents("resealed") for row in self.blob(e["body"]["document"])]
        plain = {hashlib.sha256(data).hexdigest() for data in FILES.values()}
        empty = hmac.new(b"", b"one", hashlib.sha256).hexdigest()
        self.assertEqual(len({r["digest"] for r in rows}), 5)
        self.assertFalse({r["digest"] for r in rows} & (plain | {empty}))

    def test_again_there_is_nothing_to_do(self):
        self.reseal()
        entries = len(self.documents("resealed")) + len(self.documents("reseal-complete"))
        again = self.reseal(into=False)          # where it was sealed to last
        self.assertEqual((again["resealed"], again["already"], again["left"], again["complete"]), (0, 5, 0, True))
        self.assertEqual(again["place"], str(self.new))
        self.assertEqual(len(self.documents("resealed")) + len(self.documents("reseal-complete")), entries)
        self.assertEqual(len(self.objects("kept")), 5)

    def test_what_is_missing_is_left_and_found_elsewhere(self):
        moved = self.box.path / "elsewhere"
        moved.mkdir()
        shutil.move(self.out / "src" / "a.csv.kesu", moved / "x.kesu")
        result = self.reseal(code=8)
        self.assertEqual((result["resealed"], result["left"], result["complete"]), (4, 1, False))
        self.assertEqual([f["code"] for f in result["failed"]], ["not-found"])
        self.assertEqual(self.documents("reseal-complete"), [])
        result = self.reseal(moved)
        self.assertEqual((result["resealed"], result["already"], result["complete"]), (1, 4, True))
        self.opens_as_sealed(self.new)

    def test_damage_is_said_and_nothing_is_sealed_of_it(self):
        for name in ("a.csv", "sub/large"):
            path = self.out / "src" / f"{name}.kesu"
            data = bytearray(path.read_bytes())
            data[-20] ^= 1
            path.write_bytes(data)
        result = self.reseal(code=6)
        self.assertEqual((result["resealed"], result["left"], result["complete"]), (3, 2, False))
        self.assertEqual({f["code"] for f in result["failed"]}, {"sealed-damaged"})
        self.assertEqual(sorted(r["name"] for r in self.objects("kept").values()), ["src", "src/empty", "src/sub/b.bin"])
        self.assertEqual([p for p in self.new.rglob("*") if "part" in p.name], [])

    def test_hidden_names(self):
        result = self.reseal("--opaque-names")
        self.assertTrue(result["complete"])
        self.assertEqual({p.stem for p in self.new.iterdir()}, set(self.objects("kept")))
        self.opens_as_sealed(self.new)

    def test_names_that_are_taken_stay(self):
        """Two current objects of one name cannot both go to one place: the second is said, never sealed over the first."""
        self.write("a.csv", b"other")
        other = self.box.state / "other"
        self.box.kesu("seal", "loans-2019", self.box.state / "src", "-o", other)
        for words in ((), ("--opaque-names",)):
            into = self.box.path / f"into{len(words)}"
            shutil.rmtree(self.box.path / "o", ignore_errors=True)
            self.box.restore("prepared")
            self.write("a.csv", b"other")
            self.box.kesu("seal", "loans-2019", self.box.state / "src", "-o", other)
            result = self.box.kesu("reseal", "loans-2019", "--to", "kept", "--into", into, *words, code=8).json
            self.assertEqual(([f["code"] for f in result["failed"]], result["left"]), (["already-exists"], 1))
            names = sorted(r["name"] for r in self.objects("kept").values())
            self.assertEqual(names.count("src/a.csv"), 1)
            self.assertEqual(names.count("src"), 2)
        # Under hidden names, too, another directory is another place: what lies elsewhere takes no name there.
        result = self.box.kesu("reseal", "loans-2019", "--to", "kept", "--into", self.box.path / "second", "--opaque-names").json
        self.assertEqual((result["resealed"], result["complete"]), (1, True))
        self.box.kesu("inventory", "check", "kept")

    def test_refusals(self):
        self.box.kesu("reseal", "loans-2019", "--to", "loans-2019", "--into", self.new, code=2)
        self.box.kesu("reseal", "loans-2019", "--to", "kept", code=2)      # no place
        self.box.kesu("reseal", "loans-2019", "--to", "nothing-there", "--into", self.new, code=2)

    def test_the_plan_waits_for_what_is_kept(self):
        self.box.kesu("dataset", "update", "loans-2019", "--keep-as", "kept", "--reason", "contract of the archive")
        plan = self.plan("loans-2019", code=3)
        self.assertIn("kesu reseal loans-2019 --to kept", json.dumps(plan["blockers"]))
        moved = self.box.path / "moved.kesu"
        shutil.move(self.out / "src" / "a.csv.kesu", moved)
        self.reseal(code=8)
        self.assertTrue(self.plan("loans-2019", code=3)["blockers"])
        shutil.move(moved, self.out / "src" / "a.csv.kesu")
        self.assertTrue(self.reseal()["complete"])
        self.assertEqual(self.plan("loans-2019")["blockers"], [])
        self.seal("loans-2019", {"late": b"late"}, below="late")
        self.assertIn("after it was resealed", json.dumps(self.plan("loans-2019", code=3)["blockers"]))
        self.assertTrue(self.reseal()["complete"])
        erasure = self.plan("loans-2019")["erasure"]
        # Samples of the new place have to open, now and when it runs.
        kept = self.box.path / "kept"
        shutil.move(self.new, kept)
        refused = self.box.kesu("erase", "request", erasure, *self.signer(scenario.OPERATOR), "--reason", "ended", code=3)
        self.assertEqual(refused.error_code, "plan-blocked")
        shutil.move(kept, self.new)
        self.request(erasure)
        self.approve(erasure)
        damaged = self.new / "src" / "a.csv.kesu"
        whole = damaged.read_bytes()
        damaged.write_bytes(whole[:-1] + bytes([whole[-1] ^ 1]))
        self.assertEqual(self.run_erasure(erasure, code=3).error_code, "plan-blocked")
        self.assertEqual(self.stage(erasure), "approved")
        damaged.write_bytes(whole)
        self.run_erasure(erasure)
        self.assertEqual(self.box.kesu("dataset", "show", "loans-2019").json["state"], "erased")
        self.opens_as_sealed(self.new)

    def test_a_declaration_can_be_taken_back(self):
        self.box.kesu("dataset", "update", "loans-2019", "--keep-as", "kept", "--reason", "r")
        self.plan("loans-2019", code=3)
        self.box.kesu("dataset", "update", "loans-2019", "--keep-as", "loans-2019", "--reason", "r", code=2)
        self.box.kesu("dataset", "update", "loans-2019", "--not-kept", "--reason", "ended")
        self.plan("loans-2019")

    def test_ctrl_c(self):
        many = {f"f{i:04}": os.urandom(3000) for i in range(2500)}
        self.seal("loans-2019", many, below="many")
        process = subprocess.Popen([harness.program("kesu"), "--vault", str(self.box.vault), "reseal", "loans-2019", "--to", "kept",
                                    "--into", str(self.new)], env={**os.environ, **self.box.env}, stdout=subprocess.PIPE,
                                   stderr=subprocess.PIPE)
        end = time.monotonic() + 30
        while process.poll() is None and time.monotonic() < end and len(list(self.new.rglob("*.kesu"))) < 1100:
            time.sleep(0.002)
        process.send_signal(signal.SIGINT)
        _, err = process.communicate(timeout=60)
        if process.returncode:
            self.assertEqual(process.returncode, 130, err)
            self.assertIn("same command", err.decode())
            self.assertEqual(list(self.new.rglob(".*part")), [])
            self.assertEqual(self.box.kesu("status").json["questions"], [])
        result = self.reseal()
        self.assertEqual((result["resealed"] + result["already"], result["complete"]), (2506, True))
        self.assertEqual(len(self.objects("kept")), 2506)
        self.assertEqual({n: d for n, d in self.opened(self.new / "many").items() if n != "many"},
                         {f"many/{n}": d for n, d in many.items()})

    def start(self, *words):
        return subprocess.Popen([harness.program("kesu"), "--vault", str(self.box.vault), "--json", "reseal", "loans-2019", "--to", "kept",
                                 "--into", str(self.new), *words], env={**os.environ, **self.box.env}, stdout=subprocess.PIPE,
                                stderr=subprocess.PIPE)

    def at_work(self, process):
        """Waits until it has an intended batch: its list of what to move is made."""
        end = time.monotonic() + 30
        while process.poll() is None and time.monotonic() < end and not list(self.new.rglob("*part*")):
            time.sleep(0.002)
        self.assertIsNone(process.poll(), "it ended before anything else could be done")

    @contextlib.contextmanager
    def standing(self, process):
        """Stopped at work while what is in it is done, and holding no lock that another process would wait for."""
        self.at_work(process)
        stat = pathlib.Path(f"/proc/{process.pid}/stat")
        for _ in range(1000):
            process.send_signal(signal.SIGSTOP)
            while (state := stat.read_text().rpartition(")")[2].split()[0]) not in "TtZ":
                time.sleep(0.001)
            self.assertNotEqual(state, "Z", "it ended before anything else could be done")
            if not re.search(rf"POSIX .* WRITE {process.pid} ", pathlib.Path("/proc/locks").read_text()):
                break
            process.send_signal(signal.SIGCONT)
            time.sleep(0.005)
        try:
            yield
        finally:
            process.send_signal(signal.SIGCONT)

    def linked(self):
        return [row for e in self.documents("resealed") for row in self.blob(e["body"]["document"])]

    def keep(self):
        self.box.kesu("dataset", "update", "loans-2019", "--keep-as", "kept", "--reason", "contract of the archive")

    def state_of(self, dataset):
        return self.box.kesu("dataset", "show", dataset).json["state"]

    def test_what_is_sealed_meanwhile_is_not_complete(self):
        """Added while it ran: never said to be moved, so that no erasure takes the only copy."""
        self.seal("loans-2019", {"big": os.urandom(1 << 20) * 160}, below="big")
        self.keep()
        process = self.start()
        with self.standing(process):
            self.seal("loans-2019", {"late.txt": b"the only copy"}, below="late")
        out, err = process.communicate(timeout=120)
        result = json.loads(out)
        self.assertEqual((process.returncode, result["complete"]), (8, False), err)
        self.assertGreater(result["left"], 0)
        self.assertEqual([f["code"] for f in result["failed"]], ["conflict"])
        self.assertEqual(self.documents("reseal-complete"), [])
        self.assertIn("is not resealed there", json.dumps(self.plan("loans-2019", code=3)["blockers"]))
        self.assertTrue(self.reseal()["complete"])
        self.assertEqual({r["old"] for r in self.linked()}, set(self.objects("loans-2019")))
        self.assertEqual(self.plan("loans-2019")["blockers"], [])

    def test_only_one_at_a_time(self):
        self.seal("loans-2019", {"big": os.urandom(1 << 20) * 160}, below="big")
        process = self.start()
        with self.standing(process):
            refused = self.box.kesu("reseal", "loans-2019", "--to", "kept", "--into", self.box.path / "second", "--opaque-names", code=1)
        self.assertEqual(refused.error_code, "conflict")
        self.assertIn(f"process {process.pid}", refused.stdout)
        out, err = process.communicate(timeout=120)
        self.assertTrue(json.loads(out)["complete"], err)
        self.assertEqual(len(self.objects("kept")), len(self.objects("loans-2019")))

    def test_what_it_is_kept_as_may_not_die(self):
        self.keep()
        self.assertTrue(self.reseal()["complete"])
        both = self.plan("loans-2019", "kept", code=3)
        self.assertIn("which the same plan erases", json.dumps(both["blockers"]))
        self.assertIn("loans-2019 is to be kept as kept", json.dumps(self.plan("kept", code=3)["blockers"]))
        # Requested before it was declared: it is on its way, and nothing rests on it.
        self.box.kesu("dataset", "update", "loans-2019", "--not-kept", "--reason", "r")
        theirs, ours = self.approved("kept"), self.approved("loans-2019")
        self.assertEqual(self.state_of("kept"), "frozen")
        self.box.kesu("erase", "cancel", ours, "--reason", "r")
        self.keep()
        self.assertIn(theirs[:12], json.dumps(self.plan("loans-2019", code=3)["blockers"]))
        refused = self.run_erasure(theirs, code=3)                     # decided again when it runs
        self.assertEqual(refused.error_code, "plan-blocked")
        self.assertIn("loans-2019 is to be kept as kept", refused.stdout)
        self.assertEqual((self.state_of("kept"), self.state_of("loans-2019")), ("frozen", "open"))
        self.box.kesu("erase", "cancel", theirs, "--reason", "r")
        self.run_erasure(self.approved("loans-2019"))
        self.assertEqual((self.state_of("kept"), self.state_of("loans-2019")), ("open", "erased"))
        self.assertEqual(self.plan("kept")["blockers"], [])

    def test_what_is_lost_afterwards_is_sealed_anew(self):
        """Each kind of loss: gone, cut off, another header; no chance of the draw lets the erasure pass."""
        self.seal("loans-2019", {f"f{i}": os.urandom(300) for i in range(40)}, below="many")
        self.keep()
        self.assertTrue(self.reseal()["complete"])
        erasure = self.plan("loans-2019")["erasure"]
        before, place = self.objects("kept"), self.new / "src"
        (place / "a.csv.kesu").unlink()
        for i in range(3):
            refused = self.box.kesu("erase", "request", erasure, *self.signer(scenario.OPERATOR), "--reason", "ended", code=3)
            self.assertEqual(refused.error_code, "plan-blocked")
            self.assertIn("a.csv.kesu", refused.stdout)
        whole = (place / "sub/b.bin.kesu").read_bytes()
        (place / "sub/b.bin.kesu").write_bytes(whole[:-100])
        (place / "empty.kesu").write_bytes(b"something else")
        result = self.reseal()
        self.assertEqual((result["resealed"], result["left"], result["complete"], result["failed"]), (3, 0, True, []))
        self.assertEqual(result["already"], result["objects"] - 3)
        aside = [p for p in self.new.rglob("*.kesu-damaged")]
        self.assertEqual(len(aside), 2)                                # beside it, not removed
        self.assertIn(whole[:-100], [p.read_bytes() for p in aside])
        now = self.objects("kept")
        self.assertEqual(len(set(now) - set(before)), 3)
        self.assertEqual(sorted(now[o]["name"] for o in now if not now[o]["current"]), ["src/a.csv", "src/empty", "src/sub/b.bin"])
        last = {r["old"]: r["new"] for r in self.linked()}             # the last link of an old object counts
        self.assertEqual(set(last.values()), {o for o in now if now[o]["current"]})
        self.box.kesu("inventory", "check", "kept")
        again = self.reseal()
        self.assertEqual((again["resealed"], again["complete"]), (0, True))
        self.opens_as_sealed(self.new)
        self.run_erasure(self.approved("loans-2019"))
        self.opens_as_sealed(self.new)

    def test_what_was_sealed_over_afterwards_goes_elsewhere(self):
        self.keep()
        self.assertTrue(self.reseal()["complete"])
        erasure = self.plan("loans-2019")["erasure"]
        self.write("a.csv", b"something else")
        self.box.kesu("seal", "kept", self.box.state / "src", "-o", self.new, "--replace")
        refused = self.box.kesu("erase", "request", erasure, *self.signer(scenario.OPERATOR), "--reason", "ended", code=3)
        self.assertEqual(refused.error_code, "plan-blocked")
        result = self.reseal(code=8)
        self.assertEqual((result["complete"], [f["code"] for f in result["failed"]]), (False, ["already-exists"]))
        second = self.box.path / "elsewhere"
        result = self.box.kesu("reseal", "loans-2019", "--to", "kept", "--into", second, "--plain-names").json
        self.assertEqual((result["resealed"], result["complete"]), (1, True))
        self.assertEqual(self.plan("loans-2019")["blockers"], [])
        self.request(erasure)

    def test_a_target_that_is_not_mounted_is_no_loss(self):
        self.assertTrue(self.reseal()["complete"])
        away, elsewhere = self.box.path / "away", self.box.state / "elsewhere"
        for left in ("empty", "nothing"):                              # a mount point with nothing on it; its disk away, too
            self.new.rename(away)
            if left == "empty":
                self.new.mkdir()
            before = self.entries()
            for into in (True, False):
                said = self.reseal(into=into, code=5, error="object-absent")["error"]
                self.assertIn("mount it there again", said["next"])
                self.assertIn("not known to be the directory", said["cause"])
            self.assertEqual(self.new.exists(), left == "empty")       # nothing is made there
            self.assertEqual([e for e in self.entries()[len(before):] if e["type"] == "seal-intended"], [])
            if left == "empty":
                self.new.rmdir()
            away.rename(self.new)
        again = self.reseal()
        self.assertEqual((again["resealed"], again["complete"]), (0, True))
        lost = next(self.new.rglob("a.csv.kesu"))                      # the place it was: what is gone there is lost
        lost.unlink()
        self.assertEqual(self.reseal()["resealed"], 1)
        self.new.rename(away)
        result = self.box.kesu("reseal", "loans-2019", "--to", "kept", "--into", elsewhere).json
        self.assertEqual((result["resealed"], result["complete"]), (len(self.objects("loans-2019")), True))
        self.opens_as_sealed(elsewhere)

    def test_what_an_interrupted_run_left_and_lost_is_sealed_anew(self):
        many = {f"f{i:04}": os.urandom(3000) for i in range(900)}
        self.seal("loans-2019", many, below="many")
        self.box.snapshot("many")
        for _ in range(60):
            self.box.restore("many")
            shutil.rmtree(self.new, ignore_errors=True)
            process = self.start()
            while process.poll() is None and len(list(self.new.rglob("f*.kesu"))) < 200:
                pass
            process.send_signal(signal.SIGKILL)
            process.communicate()
            self.box.kesu("key", "create", "settles")
            kept = self.objects("kept")
            if len(kept) > 4 and not self.documents("resealed"):
                break
        else:
            self.fail("it was never killed between final names and the entry")
        names = sorted(r["name"] for r in kept.values() if "/f" in r["name"])
        (self.new / f"{names[0]}.kesu").unlink()
        other = self.new / f"{names[1]}.kesu"                          # header and length as they were
        whole = other.read_bytes()
        other.write_bytes(whole[:-1] + bytes([whole[-1] ^ 1]))
        result = self.reseal()
        self.assertEqual((result["left"], result["complete"], result["failed"]), (0, True, []))
        self.assertGreaterEqual(result["already"], len(kept) - 2)
        self.assertEqual(len(list(self.new.rglob("*.kesu-damaged"))), 1)
        self.box.kesu("inventory", "check", "kept")
        rows = self.linked()
        self.assertEqual(sorted(r["old"] for r in rows), sorted(self.objects("loans-2019")))
        self.assertEqual({n: d for n, d in self.opened(self.new / "many").items() if n != "many"},
                         {f"many/{n}": d for n, d in many.items()})


if __name__ == "__main__":
    scenario.main()
