"""A token that says it wrapped a data key and did not: nothing may rest on such a wrap, least of all the destruction of
the version that opened before."""
import pathlib
import sys

sys.path.insert(0, str(pathlib.Path(__file__).parents[1] / "support"))
import scenario
import shim_world


class WrapShim(shim_world.ShimWorld):
    LIE = "return CKR_OK"  # and what the caller's buffer held is what came out

    def old_version_goes(self):
        """Re-wraps what is left, destroys version 1, opens everything byte for byte with version 2 alone."""
        result = self.box.kesu("rewrap", "loans-2019").json
        self.assertEqual(result["moved"] + result["already"], 51)  # and the manifest of the tree
        self.box.kesu("key", "destroy", "loans", "--version", "1", "-y")
        self.assertEqual(self.opened(self.out), self.expected)
        self.box.kesu("ledger", "verify")
        return result

    def test_rewrap(self):
        self.seal_all()
        self.box.kesu("key", "rotate", "loans")
        self.box.snapshot("rotated")
        # The first wrap is the dataset key's.
        for nth, moved in ((2, 0), (9, 7), (51, 49)):
            with self.subTest(nth=nth):
                self.box.restore("rotated")
                error = self.box.kesu("rewrap", "loans-2019", env=self.script(f"C_Encrypt {nth} {self.LIE}"),
                                      code=5, error="provider-failed").json["error"]
                self.assertIn(f"{moved + 1:02}.csv.kesu", error["message"], error)
                self.assertIn(f"moved {moved} data key", error["tried"])
                self.assertEqual(sum(e["nodes"][0]["n"] for e in self.entries() if e["type"] == "rewrap-done"), moved)
                self.assertEqual(self.types().count("rewrap-intended"), self.types().count("rewrap-done"))
                self.box.kesu("key", "destroy", "loans", "--version", "1", "-y", code=3, error="in-use")
                self.assertEqual(self.opened(self.out, name=f"half-{nth}"), self.expected)
                self.assertEqual(self.old_version_goes()["already"], moved)

    def test_rewrap_of_the_dataset_key(self):
        self.seal_all()
        self.box.kesu("key", "rotate", "loans")
        self.box.kesu("rewrap", "loans-2019", env=self.script(f"C_Encrypt 1 {self.LIE}"), code=5, error="provider-failed")
        self.assertNotIn("dataset-key-rewrapped", self.types())
        self.assertNotIn("rewrap-intended", self.types())
        self.assertEqual(self.old_version_goes()["dataset_keys"], 1)

    def test_every_wrap_of_a_rewrap(self):
        self.seal_all()
        self.box.kesu("key", "rotate", "loans")
        self.box.kesu("rewrap", "loans-2019", env=self.script(f"C_Encrypt 2+ {self.LIE}"), code=5, error="provider-failed")
        self.assertEqual(self.old_version_goes()["moved"], 51)

    def test_a_generator_that_does_nothing_repeats_no_nonce(self):
        self.seal_all(env=self.script("C_GenerateRandom * return CKR_OK"))
        nonces = [path.read_bytes()[1024 + 48:1024 + 60] for path in self.out.rglob("*.kesu")]
        self.assertEqual((len(nonces), len(set(nonces))), (51, 51))
        self.assertNotIn(bytes(12), nonces)

    def test_seal(self):
        # The first wrap is the dataset key's.
        env = {**self.script(f"C_Encrypt 9 {self.LIE}"), "KESU_THREADS": "1"}  # the ninth is the eighth file's then
        error = self.seal_all(env=env, code=5, error="provider-failed").json["error"]
        self.assertIn("/src/08.csv", error["message"])
        done = [e for e in self.entries() if e["type"] == "seal-done"]
        self.assertEqual([e["nodes"][0]["n"] for e in done], [7])
        self.assertEqual(sorted(self.files_below(self.out)), [f"src/{n:02}.csv.kesu" for n in range(1, 8)])
        result = self.seal_all().json
        self.assertEqual((result["unchanged"], result["sealed"]), (7, 43))
        self.assertEqual(self.opened(self.out), self.expected)

    def test_seal_of_many_small_files(self):
        """They get their final names group by group, here of 72: none before its group's wraps are proven."""
        source = self.box.state / "many"
        source.mkdir()
        for n in range(150):
            (source / f"{n:03}.csv").write_bytes(b"row %d\n" % n)
        self.box.snapshot("many")
        command = ["sh", "-c", 'ulimit -n 400; exec "$@"', "sh",
                   *self.box.kesu_command("seal", "loans-2019", source, "-o", self.out)]
        for lie, beside in ((2, "0"), (100, "0"), (100, "1"), (73, "1"), (145, "1")):  # 73, 145: the last of a group
            with self.subTest(lie=lie, beside=beside):
                self.box.restore("many")
                # The first wrap is the dataset key's, the second the first file's.
                env = {**self.script(f"C_Encrypt {lie} {self.LIE}"), "KESU_THREADS": "1", "KESU_PROVER": beside}
                error = self.box.run(*command, env=env, code=5).json["error"]
                self.assertEqual(error["code"], "provider-failed")
                stand = sorted(self.files_below(self.out))
                self.assertEqual(stand, [f"many/{n:03}.csv.kesu" for n in range(len(stand))])
                if beside == "0":
                    self.assertIn(f"/many/{lie - 2:03}.csv", error["message"])
                    self.assertEqual(len(stand), lie - 2)
                else:  # the next wrap is refused, the session was told of one that never was: one good wrap may be its
                    self.assertIn(len(stand), (lie - 3, lie - 2))
                again = self.box.kesu("seal", "loans-2019", source, "-o", self.out).json
                self.assertEqual((again["unchanged"], again["sealed"], again["failed"]),
                                 (len(stand), 150 - len(stand), []))
                self.assertEqual(self.opened(self.out / "many", name=f"back-{lie}-{beside}"),
                                 {f"many/{n:03}.csv": b"row %d\n" % n for n in range(150)})

    def test_seal_of_the_dataset_key(self):
        self.seal_all(env=self.script(f"C_Encrypt 1 {self.LIE}"), code=5, error="provider-failed")
        self.assertNotIn("dataset-key-created", self.types())
        self.assertEqual(self.files_below(self.out), {})
        self.assertEqual(self.seal_all().json["sealed"], 50)
        self.assertEqual(self.opened(self.out), self.expected)

    def test_token_that_does_not_answer_when_asked_to_open(self):
        result = self.seal_all(env=self.script("C_Decrypt 12+ remove"), code=5)
        # The thread whose call it was, or another that found no token any more.
        self.assertIn(result.error_code, ("provider-unavailable", "token-absent"))
        self.seal_all()
        self.assertEqual(self.opened(self.out), self.expected)

    def test_keys_rotated_while_a_rewrap_begins(self):
        """Records of the ledger move in memory when another process adds some: nothing may be read where they were."""
        self.seal_all()
        self.box.kesu("key", "rotate", "loans")
        # The login comes after the target was chosen: what is appended meanwhile is folded after it.
        with self.held("C_Login 1", "rewrap", "loans-2019") as rewrap:
            for _ in range(4):
                self.box.kesu("key", "rotate", "loans")
        self.assertIn(rewrap.returncode, (0, 1), rewrap.out)  # 1: another version is active by now, a conflict
        self.old_version_goes()


if __name__ == "__main__":
    scenario.main()
