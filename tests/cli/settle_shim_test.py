"""What interrupted commands left open, settled while the token counts PINs, answers wrongly, or shows nothing: at most one
wrong PIN in a command, no sealed object deleted, nothing called "never made" that may be there."""
import os
import pathlib
import shutil
import subprocess
import sys
import time

sys.path.insert(0, str(pathlib.Path(__file__).parents[1] / "support"))
import harness
import harness_kill
import scenario
import shim_world

UNCOUNTED = "C_GetTokenInfo * flags -PIN_COUNT_LOW"


class Settle(shim_world.ShimWorld):
    def setUp(self):
        super().setUp()
        self.set_pin(self.pin)
        self.addCleanup(self.set_pin, self.pin)
        self.addCleanup(lambda: self.everywhere().unlink(missing_ok=True))

    def set_pin(self, pin):
        self.pin_file.write_text(pin, encoding="ascii")
        os.chmod(self.pin_file, 0o600)

    def killed(self, commands, env, kind):
        """Runs them until each has appended an entry of this type, and kills them: one begins after the other, for logins
        at the same moment disturb each other in SoftHSM."""
        env = {**self.box.env, **{k: str(v) for k, v in env.items()}}
        runs = []
        try:
            for command in commands:
                wanted = self.types().count(kind) + 1
                runs.append(subprocess.Popen(self.box.kesu_command(*command), env=env, cwd=self.box.path,
                                             stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL))
                end = time.monotonic() + 60
                while self.types().count(kind) < wanted:
                    self.assertIsNone(runs[-1].poll())
                    self.assertLess(time.monotonic(), end, "what was waited for did not happen")
                    time.sleep(0.02)
        finally:
            for run in runs:
                run.kill()
                run.wait()

    def questions(self):
        return [q["question"] for q in self.box.kesu("status").json["questions"]]

    def ends(self, *types):
        return [e for e in self.entries() if e["type"] in types]

    # PINs.

    def five_open_destructions(self):
        names = "abcde"
        self.box.kesu("key", "create", *names)
        self.killed([("key", "destroy", name, "-y") for name in names], self.script("C_DestroyObject 1+ delay 60000"), "destroy-intended")
        self.assertEqual(len(self.questions()), 5)

    def test_one_wrong_pin_in_a_command(self):
        self.five_open_destructions()
        self.box.snapshot("open")
        # Those that need the token themselves, and one that does not.
        for command, code, error in ((("key", "create", "f"), 5, "pin-wrong"),
                                     (("dataset", "add", "d", "--key", "loans"), 0, None),
                                     (("key", "destroy", "loans", "-y"), None, None)):
            with self.subTest(command):
                self.box.restore("open")
                self.set_pin("wrong")
                self.script(UNCOUNTED, probe=True)
                self.box.kesu(*command, code=code, error=error)
                self.assertEqual(self.counted("C_Login"), 1)
                self.assertEqual(len(self.questions()), 5)
        self.set_pin(self.pin)
        self.box.kesu("key", "create", "g")
        self.assertEqual(self.questions(), [])
        self.assertEqual(len(self.ends("destroy-done", "destroy-failed")), 5)

    def test_a_locked_pin_is_asked_about_once(self):
        self.five_open_destructions()
        for flag, error in (("PIN_LOCKED", "pin-locked"), ("PIN_COUNT_LOW", "pin-count-low")):
            with self.subTest(flag):
                self.script(f"C_GetTokenInfo * flags +{flag}", probe=True)
                self.box.kesu("key", "create", "f", code=5, error=error)
                self.assertEqual((self.counted("C_Login"), self.counted("C_Initialize")), (0, 1))

    def test_one_wrong_pin_for_open_inspections(self):
        # Destroyed versions that reached data, whose inspection afterwards did not come about.
        self.seal_all()
        for _ in range(3):
            self.box.kesu("key", "rotate", "loans")
            self.box.kesu("rewrap", "loans-2019")
        place = self.box.path / "bin"
        shutil.rmtree(place, ignore_errors=True)
        place.mkdir()
        shutil.copy2(harness.program("kesu"), place / "kesu")
        probe, before = place / "kesu-probe", place / "before"
        # It answers only before a destruction: when the version at stake is not destroyed yet.
        probe.write_text("#!/bin/sh\nin=$(cat)\nn=$(cat {0}/n 2>/dev/null || echo 0); n=$((n+1)); echo $n > {0}/n\n"
                         "grep -qx $n {1} || exit 1\nprintf %s \"$in\" | {2}\n".format(place, before, harness.program("kesu-probe")))
        probe.chmod(0o755)
        for number in (1, 2):
            # Asked first about what is due already.
            before.write_text(f"{number}\n")
            (place / "n").unlink(missing_ok=True)
            command = [str(place / "kesu"), *self.box.kesu_command("key", "destroy", "loans", "--version", str(number), "-y")[1:]]
            self.box.run(*command, code=5, error="outcome-unknown")
        self.assertEqual(len([q for q in self.questions() if "inspected" in q]), 2)
        self.set_pin("wrong")
        self.script(UNCOUNTED, probe=True)
        self.box.kesu("dataset", "add", "d", "--key", "loans")
        self.assertEqual(self.counted("C_Login"), 1)
        self.set_pin(self.pin)
        self.box.kesu("key", "create", "g")
        self.assertEqual(self.questions(), [])

    # Sealing.

    def half_sealed(self):
        """An interrupted batch: what stands under final names, and the part files."""
        harness_kill.kill_while_publishing(self.box.kesu_command("seal", "loans-2019", self.box.state / "src", "-o", self.out),
                                           self.out, 37, env=self.box.env, cwd=self.box.path)
        whole = self.files_below(self.out)
        names = [n for n in whole if n.endswith(".kesu")]
        self.assertIn(len(names), range(30, 38))  # another thread's may not have happened yet
        return {n: whole[n] for n in names}

    def after(self, kept):
        """Everything in `kept` stands as it was; sealing again ends with every file, once."""
        now = self.files_below(self.out)
        self.assertEqual([n for n in kept if now.get(n) != kept[n]], [])
        result = self.seal_all().json
        self.assertEqual((result["sealed"] + result["unchanged"], result["failed"]), (50, []))
        self.assertEqual(self.opened(self.out), self.expected)
        self.assertEqual(self.questions(), [])
        self.box.kesu("ledger", "verify")
        return result

    def test_one_wrong_answer_deletes_nothing(self):
        for answer in ("CKR_GENERAL_ERROR", "CKR_ENCRYPTED_DATA_INVALID"):
            for call in (5, 20):
                with self.subTest(answer=answer, call=call):
                    self.box.restore("prepared")
                    whole = self.half_sealed()
                    self.box.kesu("key", "create", "f", env=self.script(f"C_Decrypt {call} return {answer}"))
                    self.assertGreaterEqual(self.counted("C_Decrypt"), call)
                    done, = self.ends("seal-done")
                    self.assertEqual((done["nodes"][0]["n"], done["body"].get("set_aside")), (len(whole), None))
                    self.assertEqual(self.after(whole)["unchanged"], len(whole))

    def test_wrong_answers_leave_the_question_open(self):
        for answer in ("CKR_GENERAL_ERROR", "CKR_ENCRYPTED_DATA_INVALID", "CKR_OK"):
            for calls in ("3+", "6+", "5-60"):
                with self.subTest(answer=answer, calls=calls):
                    self.box.restore("prepared")
                    whole = self.half_sealed()
                    before = sorted(self.files_below(self.out))
                    self.box.kesu("dataset", "add", "d", "--key", "loans", env=self.script(f"C_Decrypt {calls} return {answer}"))
                    self.assertEqual(sorted(self.files_below(self.out)), before)
                    self.assertEqual(self.ends("seal-done", "seal-abandoned"), [])
                    self.box.kesu("dataset", "add", "e", "--key", "loans")
                    done, = self.ends("seal-done")
                    self.assertEqual(done["nodes"][0]["n"], len(whole))
                    self.after(whole)

    def test_what_does_not_open_is_set_aside(self):
        whole = self.half_sealed()
        names = sorted(whole)
        flipped, short = names[3], names[7]
        data = bytearray(whole[flipped])
        data[-1] ^= 1
        changed = {flipped: bytes(data), short: whole[short][:-5]}
        for name, content in changed.items():
            (self.out / name).write_bytes(content)
        listed = next(e["body"]["objects"] for e in self.entries() if e["type"] == "seal-intended")
        objects = {name: next(o for o in listed if bytes.fromhex(o) in whole[name][:128]) for name in changed}
        # A name that is taken is not written over.
        taken = (self.out / flipped).parent / f"{objects[flipped]}.kesu-damaged"
        taken.write_bytes(b"somebody's")
        parts = [p.name for p in self.out.rglob("*.kesu-part")]
        said = self.box.kesu("dataset", "add", "d", "--key", "loans").stderr
        done, = self.ends("seal-done")
        self.assertEqual(done["body"]["set_aside"], sorted(objects.values()))
        self.assertEqual(sorted(f".{o}.kesu-part" for o in done["body"]["removed"]), sorted(parts))
        self.assertEqual(done["nodes"][0]["n"], len(whole) - 2)
        aside = {p.name: p.read_bytes() for p in self.out.rglob("*.kesu-damaged")}
        wanted = {taken.name: b"somebody's", f"{objects[flipped]}.2.kesu-damaged": changed[flipped],
                  f"{objects[short]}.kesu-damaged": changed[short]}
        self.assertEqual(sorted(aside), sorted(wanted))
        self.assertTrue(aside == wanted)
        for name in changed:
            self.assertIn(str(self.out / name), said)
            self.assertFalse((self.out / name).exists())
        self.after({n: c for n, c in whole.items() if n not in changed})

    def test_a_batch_of_which_nothing_opens(self):
        whole = self.half_sealed()
        for name, content in whole.items():
            (self.out / name).write_bytes(content[:-1] + bytes([content[-1] ^ 1]))
        self.box.kesu("dataset", "add", "d", "--key", "loans")
        end, = self.ends("seal-abandoned")
        self.assertEqual(len(end["body"]["set_aside"]), len(whole))
        self.assertEqual(len(list(self.out.rglob("*.kesu-damaged"))), len(whole))
        self.after({})

    # Births.

    def test_a_key_that_a_search_does_not_find_may_be_there(self):
        for lie, probe in (("C_FindObjects * return CKR_OK", False), ("C_FindObjects * return CKR_OK", True),
                           ("C_FindObjects 2+ return CKR_OK", False), ("C_Login * return CKR_OK", True)):
            with self.subTest(lie, probe=probe):
                self.box.restore("prepared")
                self.everywhere().unlink(missing_ok=True)
                self.box.kesu("key", "create", "k", code=5, env=self.script("C_GenerateKey 1 then CKR_DEVICE_ERROR"))
                self.box.kesu("dataset", "add", "d", "--key", "loans", env=self.script(lie, probe=probe))
                self.assertNotIn("key-abandoned", self.types())
                self.everywhere().unlink(missing_ok=True)
                self.box.kesu("dataset", "add", "e", "--key", "loans")
                self.assertEqual(self.questions(), [])
                self.assertEqual(self.box.kesu("key", "show", "k").json["state"], "active")

    def test_two_that_settle_one_birth(self):
        """The slower one finds it settled, and leaves the key as it is."""
        self.killed([("key", "create", "k")], self.script("C_GenerateKey 1 delay 60000"), "key-intended")
        self.box.kesu("key", "create", "k2", env=self.script("C_GenerateKey 1 then CKR_DEVICE_ERROR"), code=5)
        with self.held("C_FindObjectsInit 1", "inventory", "settle", "loans-2019") as slower:
            self.box.kesu("inventory", "settle", "loans-2019")
        self.assertEqual(slower.returncode, 0, slower.out)
        made = self.ends("key-created")
        self.assertEqual(len({e["nodes"][0]["id"] for e in made}), len(made))
        self.assertEqual(self.box.kesu("key", "show", "k2").json["state"], "active")
        self.assertEqual(self.questions(), [])

    def test_a_rotation_beside_another(self):
        with self.held("C_GenerateKey 1", "key", "rotate", "loans") as first:
            self.box.kesu("key", "rotate", "loans", code=1, error="conflict")
        self.assertEqual(first.returncode, 0, first.out)
        self.box.kesu("key", "rotate", "loans")
        self.assertEqual(len(self.box.kesu("key", "show", "loans").json["versions"]), 3)

    def test_a_key_that_was_not_made(self):
        self.box.kesu("key", "create", "k", code=5, env=self.script("C_GenerateKey 1 return CKR_DEVICE_ERROR"))
        # An inspection that cannot answer is none.
        self.script("C_FindObjects 2+ return CKR_DEVICE_MEMORY", probe=True)
        self.box.kesu("dataset", "add", "d", "--key", "loans")
        self.assertNotIn("key-abandoned", self.types())
        self.everywhere().unlink()
        self.box.kesu("dataset", "add", "e", "--key", "loans")
        self.assertEqual(self.types().count("key-abandoned"), 1)
        self.assertEqual(self.questions(), [])


if __name__ == "__main__":
    scenario.main()
