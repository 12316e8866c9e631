"""What the command line does when the token fails as tokens do: logins lost half-way, tokens removed and swapped, PINs
counted, answers that are lost and answers that lie. The token is SoftHSM2 behind tests/hsm/SHIM.md's module."""
import os
import pathlib
import sys

sys.path.insert(0, str(pathlib.Path(__file__).parents[1] / "support"))
import scenario
import shim_world
import slots


class Shim(shim_world.ShimWorld):
    # Lost and replaced.

    def test_sessions_dropped_in_the_middle_of_sealing(self):
        for loss in ("drop-sessions", "logout", "return CKR_DEVICE_ERROR", "return-token 1 calls"):
            with self.subTest(loss):
                self.box.restore("prepared")
                env = self.script(f"C_EncryptInit 20 {loss}", f"C_EncryptInit 35 {loss}", "C_Login 2+ renumber")
                self.assertEqual(self.seal_all(env=env).json["sealed"], 50)
                self.assertGreater(self.counted("C_EncryptInit"), 50)
                self.assertEqual(self.opened(self.out), self.expected)
                self.box.kesu("ledger", "verify")

    def test_sessions_dropped_in_the_middle_of_opening(self):
        self.seal_all()
        target = self.box.state / "opened-again"
        self.box.kesu("open", self.out, "-o", target, env=self.script("C_DecryptInit 10 drop-sessions", "C_Decrypt 30 logout"))
        self.assertEqual(self.files_below(target), self.expected)

    # Gone.

    def test_token_removed_in_the_middle_of_sealing(self):
        removed = self.seal_all(env=self.script("C_EncryptInit 25 remove"), code=5)
        self.assertIn(removed.error_code, ("token-absent", "session-lost"))
        done = sum(e["nodes"][0].get("n", 0) for e in self.entries() if e["type"] == "seal-done")
        self.assertTrue(0 < done < 50, done)
        self.assertEqual(len(self.files_below(self.out)), done)
        # The same command, later.
        result = self.seal_all().json
        self.assertEqual((result["unchanged"], result["sealed"]), (done, 50 - done))
        self.assertEqual(self.opened(self.out), self.expected)
        self.assertEqual([q for q in self.box.kesu("status").json["questions"] if "sealed" in q["question"]], [])

    def test_token_that_returns_while_the_command_runs(self):
        env = self.script("C_EncryptInit 25 return-token 1 calls")
        self.assertEqual(self.seal_all(env=env).json["sealed"], 50)

    def test_another_token_in_its_place(self):
        self.box.run("softhsm2-util", "--init-token", "--free", "--label", "other", "--pin", self.pin, "--so-pin", "0000")
        # Told at once, or first that the login is lost, when another thread of the command met that before.
        changed = self.seal_all(env=self.script("C_EncryptInit 25 swap-token other"), code=(3, 5))
        self.assertIn(changed.error_code, ("token-changed", "session-lost"))
        entries = self.entries()
        env = self.script("C_Initialize * swap-token other")
        self.box.kesu("key", "create", "new", env=env, code=3, error="token-changed")
        self.assertNotIn("key-created", [e["type"] for e in self.entries()[len(entries):]])
        self.assertEqual(self.seal_all().json["sealed"] + sum(
            e["nodes"][0].get("n", 0) for e in entries if e["type"] == "seal-done"), 50)
        self.assertEqual(self.opened(self.out), self.expected)

    def test_an_inspection_that_another_process_disturbed_is_made_again(self):
        self.seal_all()
        self.box.kesu("key", "rotate", "loans")
        self.box.kesu("rewrap", "loans-2019")
        self.box.snapshot("rewrapped")
        self.addCleanup(lambda: self.everywhere().unlink(missing_ok=True))
        for number in range(9, 30, 4):
            with self.subTest(number):
                self.box.restore("rewrapped")
                self.script(f"C_GetAttributeValue {number}-{number + 1} return CKR_OBJECT_HANDLE_INVALID", probe=True)
                self.box.kesu("key", "destroy", "loans", "--version", "1", "-y")
                self.assertGreaterEqual(self.counted("C_GetAttributeValue"), number)
                self.everywhere().unlink()
                self.assertEqual(self.box.kesu("status").json["questions"], [])

    def test_rewraps_that_never_happened(self):
        """The token says that it encrypted, and did not: no slot rests on that, whoever asked it."""
        self.seal_all()
        self.box.kesu("key", "rotate", "loans")
        self.box.snapshot("rotated")
        self.addCleanup(lambda: self.everywhere().unlink(missing_ok=True))
        for beside in ("0", "1"):
            with self.subTest(beside=beside):
                self.box.restore("rotated")
                self.script("C_Encrypt 20+ return CKR_OK", probe=True)
                refused = self.box.kesu("rewrap", "loans-2019", env={"KESU_PROVER": beside}, code=5, error="provider-failed").json["error"]
                self.assertRegex(refused["message"], r"\.kesu")
                self.everywhere().unlink()
                moved = slots.by_version(self.out)[self.version_of("loans", 2)]
                self.assertTrue(0 < moved < 20, moved)
                self.assertEqual(self.box.kesu("rewrap", "loans-2019").json["moved"], 51 - moved)
                self.box.kesu("key", "destroy", "loans", "--version", "1", "-y")
                self.assertEqual(self.opened(self.out), self.expected)

    # PINs.

    def test_locked(self):
        env = self.script("C_GetTokenInfo * flags +PIN_LOCKED")
        self.assertTrue(self.seal_all(env=env, code=5, error="pin-locked").json["error"]["next"])
        self.assertEqual(self.counted("C_Login"), 0)

    def test_counted(self):
        env = self.script("C_GetTokenInfo * flags +PIN_COUNT_LOW")
        error = self.seal_all(env=env, code=5, error="pin-count-low").json["error"]
        self.assertIn("--try-pin", error["next"])
        entries = self.entries()
        self.box.kesu("provider", "test", "hsm1", env=env, code=5, error="pin-count-low")
        self.assertEqual(self.counted("C_Login"), 0)
        self.box.kesu("provider", "test", "hsm1", "--try-pin", env=env)
        self.assertEqual(self.counted("C_Login"), 1)
        # Recorded nowhere, and good for one run.
        self.assertNotIn("x-kesu-try-pin", self.box.kesu("provider", "list").stdout)
        self.nothing_changed(entries)
        self.box.kesu("provider", "test", "hsm1", env=env, code=5, error="pin-count-low")

    def test_last_attempt(self):
        env = self.script("C_GetTokenInfo * flags +PIN_COUNT_LOW,+PIN_FINAL_TRY")
        error = self.box.kesu("provider", "test", "hsm1", "--try-pin", env=env, code=5, error="pin-count-low").json["error"]
        self.assertNotIn("--try-pin", error["next"])
        self.assertEqual(self.counted("C_Login"), 0)

    def test_changed_while_the_command_runs(self):
        self.pin_file.write_text("wrong", encoding="ascii")
        os.chmod(self.pin_file, 0o600)
        self.addCleanup(self.pin_file.write_text, self.pin)
        self.box.kesu("provider", "test", "hsm1", code=5, error="pin-wrong")
        self.box.kesu("provider", "test", "hsm1", code=5, error="pin-count-low")
        self.pin_file.write_text(self.pin, encoding="ascii")
        self.box.kesu("provider", "test", "hsm1", code=5, error="pin-count-low")
        self.box.kesu("provider", "test", "hsm1", "--try-pin")
        self.box.kesu("provider", "test", "hsm1")

    # Destruction.

    def test_destroyed_and_not_said(self):
        self.seal_all()
        erasure = self.approved("loans-2019")
        label = f"kesu:{self.version_of('loans')}"
        for said in ("CKR_DEVICE_ERROR", "CKR_OBJECT_HANDLE_INVALID", "CKR_FUNCTION_FAILED"):
            with self.subTest(said):
                self.box.snapshot("approved")
                env = self.script(f"C_DestroyObject 1 then {said}")
                self.run_erasure(erasure, env=env, code=5, error="outcome-unknown")
                self.assertEqual(self.counted("C_DestroyObject"), 1)
                self.assertNotIn(label, self.token_labels())
                self.assertEqual(self.run_erasure(erasure).json["stage"], "destroyed")
                ends = [e["body"] for e in self.entries() if e["type"] == "destroy-done"]
                self.assertEqual([e["receipt_lost"] for e in ends], [True])
                self.box.restore("approved")

    def test_said_and_not_destroyed(self):
        self.seal_all()
        erasure = self.approved("loans-2019")
        # One that no data ever reached is looked for just the same.
        self.box.kesu("key", "create", "unused")
        refused = self.box.kesu("key", "destroy", "unused", "-y", env=self.script("C_DestroyObject * return CKR_OK"), code=8)
        self.assertEqual(refused.json["versions"][0]["outcome"], "refused by the provider")
        self.box.kesu("key", "destroy", "unused", "-y")

        env = self.script("C_DestroyObject * return CKR_OK")
        self.run_erasure(erasure, env=env, code=5, error="provider-failed")
        failed = [e for e in self.entries() if e["type"] == "destroy-failed"][-1]
        self.assertIn("the object is there as before", failed["body"]["result"])
        self.assertIn(f"kesu:{self.version_of('loans')}", self.token_labels())
        self.assertNotIn("erasure-inspected", self.types())
        self.assertNotIn("dataset-erased", self.types())
        self.assertEqual(self.stage(erasure), "running")
        self.box.kesu("certificate", "bundle", erasure, "-o", self.box.state / "bundle", code=3, error="state-refused")
        self.assertFalse((self.box.state / "bundle").exists())
        # The same command, at a token that does what it says, ends it.
        self.assertEqual(self.run_erasure(erasure).json["stage"], "destroyed")
        self.box.kesu("certificate", "bundle", erasure, "-o", self.box.state / "bundle")

    def test_not_destroyed_and_not_said(self):
        self.seal_all()
        erasure = self.approved("loans-2019")
        self.run_erasure(erasure, env=self.script("C_DestroyObject 1 return CKR_DEVICE_REMOVED"), code=5,
                         error="outcome-unknown")
        self.assertEqual(self.run_erasure(erasure).json["stage"], "destroyed")

    # The inspection.

    def test_inspection_that_fails_is_no_absence(self):
        self.seal_all()
        erasure = self.approved("loans-2019")
        self.script("C_FindObjects 4+ return CKR_DEVICE_MEMORY", probe=True)
        self.run_erasure(erasure, code=(3, 5))
        self.assertNotIn("erasure-inspected", self.types())
        self.assertNotIn("destroy-intended", self.types())
        self.everywhere().unlink()
        self.assertEqual(self.run_erasure(erasure).json["stage"], "destroyed")

    def test_script_that_is_not_understood(self):
        env = self.script("C_Encrypt 3 explode")
        result = self.box.kesu("provider", "test", "hsm1", env=env, code=5, error="module-absent")
        self.assertIn("line 2", result.stderr)


if __name__ == "__main__":
    scenario.main()
