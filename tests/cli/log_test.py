"""--verbose and KESU_LOG: every call to a provider, and nothing that has to stay inside."""
import base64
import os
import pathlib
import re
import sys

sys.path.insert(0, str(pathlib.Path(__file__).parents[1] / "support"))
import scenario

LINE = re.compile(r"^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z [a-z0-9-]+ \S+( [a-z_]+=.*)? ms=\d+\.\d{3}$")
PLAIN = b"plaintext-that-must-not-appear-anywhere-0123456789"


class Log(scenario.World):
    def test_a_whole_life_leaves_no_secret(self):
        box, log = self.box, self.box.path / "kesu.log"
        seen, traced = b"", {"KESU_LOG": log}

        def run(*words, **options):
            nonlocal seen
            result = box.kesu(*words, "--verbose", env=traced, **options)
            seen += result.raw + result.stderr.encode()
            return result

        self.write("a.txt", PLAIN)
        run("key", "create", "k2")
        run("key", "rotate", "loans")
        run("seal", "loans-2019", box.state / "src", "-o", self.out)
        run("open", self.out, "-o", box.path / "opened")
        erasure = run("erase", "plan", "loans-2019").json["erasure"]
        run("erase", "request", erasure, *self.signer(scenario.OPERATOR), "--reason", "contract ended")
        run("erase", "approve", erasure, *self.signer(scenario.APPROVER))
        run("erase", "run", erasure, "-y")
        run("certificate", "bundle", erasure, "-o", box.path / "bundle")
        run("key", "show", "nobody", code=2)
        text = log.read_text()
        self.assertEqual(log.stat().st_mode & 0o777, 0o600)
        for line in text.splitlines():
            self.assertRegex(line, LINE)
        self.assertEqual(text.count(" kesu begin command="), 10)
        self.assertIn("command=erase run", text)
        self.assertRegex(text, r"kesu end exit=2 error=not-found")
        self.assertIn(" probe ", text)                                   # what the other process asked
        self.assertNotIn("nobody", text)                                 # words, not what was typed behind them
        # Each line of the file stood on stderr, too.
        missing = [line for line in text.splitlines() if line[24:].encode() not in seen]
        self.assertEqual(missing, [])
        haystacks = {"log": text.encode(), "output": seen}
        for path in box.vault.rglob("*"):
            if path.is_file():
                haystacks[str(path)] = path.read_bytes()
        pin = self.pin.strip().encode()
        canary = b"".join(bytes([b]) for b in PLAIN)
        for what, secret in (("PIN", pin), ("plaintext", canary)):
            forms = {secret, secret.hex().encode(), secret.hex().upper().encode(), base64.b64encode(secret).rstrip(b"=")}
            for where, data in haystacks.items():
                for form in forms:
                    self.assertNotIn(form, data, f"{what} in {where}")

    def test_known_key_bytes(self):
        """An imported key, whose bytes the test knows, never shows."""
        helped = self.box.text("key", "--help", code=0).stdout
        if not re.search(r"^  import\b", helped, re.M):
            self.skipTest("this program has no key import")
        log, key = self.box.path / "import.log", bytes(range(7, 39))
        file = self.box.path / "key.bin"
        file.write_bytes(key)
        file.chmod(0o600)
        result = self.box.kesu("key", "import", "brought", "--from", f"file:{file}", "--origin-place", "a safe",
                               "--custodian", "Vault Keeper", "--verbose", env={"KESU_LOG": log}, code=None)
        data = log.read_bytes() + result.raw + result.stderr.encode()
        for path in self.box.vault.rglob("*"):
            if path.is_file():
                data += path.read_bytes()
        for form in (key, key.hex().encode(), base64.b64encode(key).rstrip(b"=")):
            self.assertNotIn(form, data)

    def test_a_log_that_is_not_ones_own(self):
        box = self.box
        target, link = box.path / "target", box.path / "link"
        target.write_text("mine\n")
        link.symlink_to(target)
        box.kesu("status", env={"KESU_LOG": link}, code=2, error="bad-input")
        self.assertEqual(target.read_text(), "mine\n")
        os.mkfifo(box.path / "pipe")
        box.kesu("status", env={"KESU_LOG": box.path / "pipe"}, code=(1, 2))
        box.kesu("status", env={"KESU_LOG": box.path / "no" / "such" / "place"}, code=(1, 2))
        if os.geteuid() == 0:
            target.chmod(0o666)
            os.chown(target, 12345, 12345)
            box.kesu("status", env={"KESU_LOG": target}, code=2, error="bad-input")
            self.assertEqual(target.read_text(), "mine\n")
            os.chown(target, 0, 0)
        box.kesu("status", env={"KESU_LOG": target})
        self.assertEqual(target.stat().st_mode & 0o777, 0o600)
        self.assertTrue(target.read_text().startswith("mine\n"))          # appended
        box.kesu("status", env={"KESU_LOG": ""})

    def test_a_log_on_a_full_disk_ends_nothing(self):
        log = self.box.path / "full.log"
        log.touch()
        os.truncate(log, 2 << 20)                                         # past the limit of 1 MiB: no line fits
        result = self.box.run("sh", "-c", "ulimit -f 2048; exec \"$@\"", "sh", *self.box.kesu_command("status"),
                              env={"KESU_LOG": log})
        self.assertEqual(log.stat().st_size, 2 << 20)
        self.assertEqual(result.json["organisation"], "Example Bank")


if __name__ == "__main__":
    scenario.main()
