"""kesu doctor and kesu --version: each check can fail, says what is wrong and what to do, and changes nothing."""
import json
import os
import pathlib
import shutil
import sys

sys.path.insert(0, str(pathlib.Path(__file__).parents[1] / "support"))
import harness
import scenario


class Doctor(scenario.World):
    def checks(self, *words, code=0, **options):
        result = self.box.kesu("doctor", *words, code=code, **options).json["checks"]
        for check in result:
            self.assertEqual(sorted(check), ["check", "detail", "next", "result"])
            self.assertIn(check["result"], ("ok", "warn", "fail"))
            self.assertTrue(check["detail"], check)
            if check["result"] == "fail":
                self.assertTrue(check["next"], check)
        return {c["check"]: c for c in result}

    def assert_check(self, name, result, *words, code=0, **options):
        check = self.checks(*words, code=code, **options)[name]
        self.assertEqual(check["result"], result, check)
        return check

    def test_a_vault_in_order(self):
        def files():      # but SQLite's own index of its log, which readers share, and a log that holds nothing
            return sorted((str(p), p.stat().st_mtime_ns) for p in self.box.vault.rglob("*")
                          if p.suffix != ".db-shm" and not (p.suffix == ".db-wal" and p.stat().st_size == 0))

        before = files()
        checks = self.checks()
        self.assertEqual([c for c in checks.values() if c["result"] == "fail"], [])
        for name in ("program", "probe", "ssh-keygen", "memory-lock", "core-dumps", "temporary-files", "clock", "time-zone",
                     "policy", "vault-file-system", "vault", "vault-modes", "database", "registers", "checkpoint",
                     "leftovers", "questions", "clock-history", "signed-commands", "commands-named", "pin-source hsm1", "module hsm1", "provider hsm1",
                     "control-key hsm1"):
            self.assertIn(name, checks)
        self.assertIn("OpenSSH", checks["ssh-keygen"]["detail"])
        self.assertEqual(checks["control-key hsm1"]["detail"], "opens its canary")
        self.assertIn("ask for none", checks["signed-commands"]["detail"])
        self.assertEqual([f for f in files() if f not in before], [])
        text = self.box.text("doctor").stdout
        self.assertRegex(text.splitlines()[-1], r"^\d+ checks, 0 failed, \d+ with a warning$")
        self.assertNotIn(self.pin.strip(), text + json.dumps(checks))

    def test_without_a_vault(self):
        result = self.box.kesu("doctor", vault=False, cwd="/").json["checks"]
        self.assertEqual([c["check"] for c in result if c["result"] == "fail"], [])
        self.assertEqual(result[-1]["check"], "vault")

    def test_offline_asks_no_provider(self):
        os.rename(self.pin_file, f"{self.pin_file}.away")
        checks = self.checks("--offline", code=8)
        self.assertEqual(checks["pin-source hsm1"]["result"], "fail")
        self.assertIn("not asked", checks["provider hsm1"]["detail"])
        self.assertNotIn("control-key hsm1", checks)
        self.assertEqual(self.checks(code=8)["provider hsm1"]["result"], "fail")
        os.rename(f"{self.pin_file}.away", self.pin_file)

    def test_a_pin_file_open_to_others(self):
        mode = self.pin_file.stat().st_mode & 0o777
        self.addCleanup(os.chmod, self.pin_file, mode)
        os.chmod(self.pin_file, 0o644)
        check = self.assert_check("pin-source hsm1", "fail", "--offline", code=8)
        self.assertIn("644", check["detail"])
        self.assertIn("chmod 600", check["next"])

    def test_modes_of_the_vault(self):
        os.chmod(self.box.vault, 0o755)
        os.chmod(self.box.vault / "ledger.db", 0o644)
        self.assertIn("chmod", self.assert_check("vault-modes", "warn", "--offline")["next"])
        os.chmod(self.box.vault / "ledger.db", 0o666)
        self.assertIn("ledger.db", self.assert_check("vault-modes", "fail", "--offline", code=8)["detail"])

    def test_a_damaged_database(self):
        path = self.box.vault / "ledger.db"
        data = bytearray(path.read_bytes())
        page = 4096
        data[page + 8:page + 64] = b"\xff" * 56          # the header of the second page
        path.write_bytes(data)
        checks = self.checks("--offline", code=8)
        self.assertIn("fail", {c["result"] for n, c in checks.items() if n in ("database", "vault")})

    def test_registers_and_leftovers(self):
        (self.box.vault / "registers.db").unlink()
        (self.box.vault / "evidence" / "x.tmp999999999.0").write_bytes(b"")
        self.assert_check("registers", "warn", "--offline")
        self.assertIn("x.tmp999999999.0", self.assert_check("leftovers", "warn", "--offline")["detail"])
        self.box.kesu("dataset", "add", "d2", "--key", "loans")
        checks = self.checks("--offline")
        self.assertEqual((checks["registers"]["result"], checks["leftovers"]["result"]), ("ok", "ok"))

    def test_the_probe_beside_the_program(self):
        home = self.box.path / "bin"
        home.mkdir()
        shutil.copy2(harness.program("kesu"), home / "kesu")
        command = [home / "kesu", "doctor", "--offline", "--json", "--vault", self.box.vault]
        named = {c["check"]: c for c in self.box.run(*command, code=8).json["checks"]}
        self.assertEqual(named["probe"]["result"], "fail")
        (home / "kesu-probe").write_text("#!/bin/sh\ncat >/dev/null\necho '{\"program\":\"kesu-probe 9.9\"}'\n")
        (home / "kesu-probe").chmod(0o755)
        named = {c["check"]: c for c in self.box.run(*command, code=8).json["checks"]}
        self.assertIn("9.9", named["probe"]["detail"])

    def test_a_module_that_is_gone(self):
        with open(self.box.vault / "kesu.toml", "a", encoding="utf-8") as file:
            file.write(f'[provider.hsm1]\nuri = "{self.box.token_uri.replace(scenario.MODULE, "/nowhere/x.so")}"\n')
        checks = self.checks(code=8)
        self.assertEqual((checks["module hsm1"]["result"], checks["provider hsm1"]["result"]), ("fail", "fail"))

    def test_version(self):
        facts = self.box.kesu("--version", vault=False).json
        self.assertEqual(facts["program"], "kesu")
        always = ["libgcrypt", "libsodium", "openssl", "sqlite"]
        self.assertEqual(sorted(set(facts["libraries"]) - {"libipsec-mb"}), always)
        for version in facts["libraries"].values():
            self.assertRegex(version, r"^\d+\.\d+")
        self.assertEqual(facts["formats"]["ledger"], 1)
        text = self.box.text("--version", vault=False).stdout
        self.assertEqual(text.splitlines()[0], f"kesu {facts['version']}")
        self.assertIn(facts["policy_edition"], text)


if __name__ == "__main__":
    scenario.main()
