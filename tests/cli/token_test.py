"""What a token does behind kesu's back: keys swapped, deleted, changed, the token away. Never opened, never certified."""
import pathlib
import struct
import sys

sys.path.insert(0, str(pathlib.Path(__file__).parents[1] / "support"))
import harness_kill
import scenario


class Token(scenario.World):
    @classmethod
    def prepare(cls):
        cls.seal("loans-2019", {"a": b"one", "b": b"two"})

    def setUp(self):
        super().setUp()
        self.version = self.version_of("loans")
        self.label = f"kesu:{self.version}"
        intended = next(e for e in self.entries() if e["type"] == "key-intended" and e["body"]["label"] == self.label)
        self.id = intended["body"]["id"]

    def delete(self):
        self.pkcs11_tool("--delete-object", "--type", "secrkey", "--label", self.label)

    def make(self, label=None, identifier=None):
        self.pkcs11_tool("--keygen", "--key-type", "AES:32", "--label", label or self.label, "--id", identifier or self.id)

    def away(self):
        real = self.box.state / "token" / "tokens"
        real.rename(real.with_name("away"))
        real.mkdir()

    def back(self):
        real = self.box.state / "token" / "tokens"
        real.rmdir()
        real.with_name("away").rename(real)

    def nothing_opens(self, code, error):
        target = self.box.state / "none"
        result = self.box.kesu("open", self.out / "src" / "a.kesu", "-o", target, code=code, error=error)
        self.assertEqual(self.files_below(target), {})
        return result.json["error"]

    def not_erased(self, erasure):
        """Nothing was certified or called gone."""
        self.assertNotIn(self.stage(erasure), ("destroyed", "certified"))
        self.assertEqual(self.box.kesu("dataset", "show", "loans-2019").json["state"], "frozen")
        self.assertNotEqual(self.box.kesu("key", "show", "loans").json["versions"][0]["state"], "destroyed")
        self.box.kesu("certificate", "bundle", erasure, "-o", self.box.state / "bundle", code=3, error="state-refused")
        self.assertFalse((self.box.state / "bundle").exists())
        self.assertNotIn("erasure-inspected", [e["type"] for e in self.entries()])
        self.box.kesu("ledger", "verify")

    # Swapped.

    def test_another_key_under_the_same_name(self):
        erasure = self.approved("loans-2019")
        self.delete()
        self.make()
        self.nothing_opens(3, "key-mismatch")
        self.run_erasure(erasure, code=3)
        self.assertIn(self.label, self.token_labels())
        self.not_erased(erasure)
        findings = self.box.kesu("provider", "test", "hsm1", code=8).json["findings"]
        self.assertEqual(len(findings), 1)
        self.assertIn("loans", findings[0])

    def test_another_key_refuses_to_seal(self):
        self.delete()
        self.make()
        self.write("c")
        result = self.box.kesu("seal", "loans-2019", self.box.state / "src", "-o", self.box.state / "new", code=3)
        self.assertEqual(result.error_code, "key-mismatch")
        self.assertEqual(self.files_below(self.box.state / "new"), {})

    def test_a_second_key_of_the_same_name(self):
        self.make()
        self.nothing_opens(3, "object-ambiguous")
        erasure = self.approved("loans-2019")
        self.assertIn(self.run_erasure(erasure, code=(3, 5)).error_code, ("object-ambiguous", "key-mismatch"))
        self.assertEqual(self.token_labels().count(self.label), 2)
        self.not_erased(erasure)

    def test_only_label_or_only_id(self):
        for label, identifier in ((self.label, "ff" * 16), ("other", self.id)):
            with self.subTest(label):
                self.box.restore("prepared")
                self.delete()
                self.make(label, identifier)
                self.nothing_opens(3, "key-mismatch")

    def test_the_key_refuses_changes(self):
        # Born with CKA_MODIFIABLE=false: nobody gives it another identifier.
        result = self.pkcs11_tool("--set-id", "ff" * 16, "--id", self.id, "--type", "secrkey", code=None)
        self.assertNotEqual(result.code, 0, result)
        self.assertEqual(self.opened(self.out), {"src/a": b"one", "src/b": b"two"})

    def test_other_objects_do_not_matter(self):
        self.make("somebody-else", "01")
        self.box.kesu("provider", "test", "hsm1")
        self.run_erasure(self.approved("loans-2019"))
        self.assertIn("somebody-else", self.token_labels())

    # Deleted.

    def test_deleted_before_the_erasure(self):
        erasure = self.approved("loans-2019")
        self.delete()
        error = self.nothing_opens(5, "object-absent")
        self.assertIn(self.label, error["message"])
        error = self.run_erasure(erasure, code=(3, 5)).json["error"]
        self.assertTrue(error["message"] and error["next"], error)
        self.not_erased(erasure)
        self.box.kesu("erase", "cancel", erasure, "--reason", "its key was deleted behind our back")

    def test_control_key_deleted(self):
        # Without a living key nothing can be shown about dead ones.
        control = next(k for k in self.box.kesu("key", "list").json if k["role"] == "control")
        self.pkcs11_tool("--delete-object", "--type", "secrkey", "--label", control["versions"][0]["provider_ref"])
        erasure = self.approved("loans-2019")
        self.run_erasure(erasure, code=5, error="provider-unavailable")
        self.assertIn(self.label, self.token_labels())
        self.not_erased(erasure)

    # Away.

    def test_token_away(self):
        erasure = self.approved("loans-2019")
        self.away()
        self.nothing_opens(5, "token-absent")
        self.run_erasure(erasure, code=5, error="token-absent")
        self.assertEqual(self.box.kesu("key", "show", "loans").json["state"], "active")
        self.box.kesu("key", "create", "new", code=5, error="token-absent")
        self.assertNotIn("new", [k["name"] for k in self.box.kesu("key", "list").json])
        self.box.kesu("status")                                       # looking needs no token
        self.box.kesu("ledger", "verify")
        self.not_erased(erasure)
        self.back()
        self.assertEqual(self.opened(self.out), {"src/a": b"one", "src/b": b"two"})
        self.run_erasure(erasure)

    def half_made(self):
        """What a kill inside SoftHSM's key generation leaves: an AES key without name and value, that is not the token's."""
        def key(data):
            return data[8:].find(struct.pack(">QQQ", 0, 2, 4)) >= 0        # CKA_CLASS: CKO_SECRET_KEY
        whole = next(p for p in self.box.state.rglob("*.object") if p.name != "token.object" and key(p.read_bytes()))
        data = whole.read_bytes()
        at = data.index(struct.pack(">QQ", 1, 1)) + 16                          # CKA_TOKEN
        data = data[:at] + b"\0" + data[at + 1:]
        for kind in (3, 0x11, 0x90, 0x102):                                     # label, value, check value, id
            at = data.index(struct.pack(">QQ", kind, 3)) + 16
            data = data[:at] + bytes(8) + data[at + 8 + struct.unpack_from(">Q", data, at)[0]:]
        path = whole.with_name("00000000-0000-4000-8000-000000000000.object")
        path.write_bytes(data)
        path.with_suffix(".lock").touch()
        return path

    def test_a_key_object_that_is_half_made(self):
        erasure = self.approved("loans-2019")
        path = self.half_made()
        # What cannot be tried would keep the end from being shown: it is named before anything is destroyed.
        error = self.run_erasure(erasure, code=3, error="object-ambiguous").json["error"]
        self.assertIn("CKO_SECRET_KEY label ''", error["cause"])
        self.assertEqual(self.stage(erasure), "approved")
        self.assertEqual(self.opened(self.out), {"src/a": b"one", "src/b": b"two"})
        path.unlink()
        self.run_erasure(erasure)
        self.assertEqual(self.stage(erasure), "destroyed")

    def test_a_key_object_that_is_half_made_meanwhile(self):
        erasure = self.approved("loans-2019")
        command = self.box.kesu_command("erase", "run", erasure, "-y")
        self.box.snapshot("approved")
        calls, _, _ = harness_kill.traced(command, env=self.box.env)
        unlink = next(c.ordinal for c in calls if c.name.startswith("unlink") and c.target.endswith(".object"))
        self.box.restore("approved")
        self.assertTrue(harness_kill.traced(command, at=unlink + 1, env=self.box.env)[1])
        path = self.half_made()
        # Not a lost login: what cannot be tried is named, and nothing is called gone before it is removed.
        looked = self.run_erasure(erasure, code=5, error="outcome-unknown")
        self.assertIn("CKO_SECRET_KEY label ''", looked.stderr)
        self.assertEqual(self.stage(erasure), "running")
        path.unlink()
        self.run_erasure(erasure)
        self.assertEqual(self.stage(erasure), "destroyed")

    def test_token_away_in_the_middle_of_a_destruction(self):
        erasure = self.approved("loans-2019")
        command = self.box.kesu_command("erase", "run", erasure, "-y")
        self.box.snapshot("approved")
        calls, _, _ = harness_kill.traced(command, env=self.box.env)
        unlink = next(c.ordinal for c in calls if c.name.startswith("unlink") and c.target.endswith(".object"))
        for at, there in ((unlink, True), (unlink + 1, False)):
            with self.subTest("before" if there else "after"):
                self.box.restore("approved")
                _, killed, _ = harness_kill.traced(command, at=at, env=self.box.env)
                self.assertTrue(killed)
                self.assertEqual(self.label in self.token_labels(), there)
                self.away()
                for _ in range(2):
                    self.run_erasure(erasure, code=5)
                    version, = self.box.kesu("key", "show", "loans").json["versions"]
                    self.assertEqual(version["state"], "destroying")
                    self.assertTrue(self.box.kesu("status").json["questions"])
                    self.not_erased(erasure)
                self.box.kesu("erase", "cancel", erasure, "--reason", "too late", code=3, error="state-refused")
                self.back()
                done = self.run_erasure(erasure).json
                self.assertEqual((done["stage"], done["steps"][0]["state"]), ("destroyed", "destroyed"))
                ends = [e["body"] for e in self.entries() if e["type"] == "destroy-done"]
                self.assertEqual([e["receipt_lost"] for e in ends], [not there])
                self.assertNotIn(self.label, self.token_labels())

    def test_configuration_lost(self):
        erasure = self.approved("loans-2019")
        target = self.box.state / "none"
        for value in ("/nowhere.conf", ""):
            with self.subTest(value):
                env = {"SOFTHSM2_CONF": value}
                self.box.kesu("open", self.out, "-o", target, code=5, env=env)
                self.run_erasure(erasure, code=5, env=env)
                self.not_erased(erasure)
        self.assertEqual(self.files_below(target), {})
        self.run_erasure(erasure)

    def test_another_token_of_the_same_label(self):
        self.away()
        self.box.run("softhsm2-util", "--init-token", "--free", "--label", "kesu-test", "--pin", self.pin, "--so-pin", "0000")
        self.nothing_opens(3, "token-changed")
        self.box.kesu("key", "create", "new", code=3, error="token-changed")

    # PIN.

    def test_changed_pin(self):
        erasure = self.approved("loans-2019")
        other = "f" * 32
        # pkcs11-tool changes the token's PIN; the file still has the old one.
        self.pkcs11_tool("--change-pin", "--new-pin", other)
        self.nothing_opens(5, "pin-wrong")
        self.run_erasure(erasure, code=5)
        self.not_erased(erasure)
        self.pin_file.write_text(other)
        # The token counts the wrong one: the next attempt is asked for.
        self.nothing_opens(5, "pin-count-low")
        self.box.kesu("provider", "test", "hsm1", "--try-pin")
        self.run_erasure(erasure)

    def test_unsafe_pin_file(self):
        self.pin_file.chmod(0o644)
        self.nothing_opens(3, "pin-source-unsafe")

    def test_moved_pin_file(self):
        moved = self.box.state / "moved.pin"
        self.pin_file.rename(moved)
        self.nothing_opens(2, "pin-missing")
        uri = self.box.token_uri.replace(str(self.pin_file), str(moved))
        with open(self.box.vault / "kesu.toml", "a", encoding="utf-8") as config:
            config.write(f'\n[provider.hsm1]\nuri = "{uri}"\n')
        self.assertEqual(self.opened(self.out), {"src/a": b"one", "src/b": b"two"})

    def test_no_secret_is_ever_printed(self):
        moved = self.box.state / "wrong.pin"
        moved.write_text("0123456789abcdef-secret")
        moved.chmod(0o600)
        uri = self.box.token_uri.replace(str(self.pin_file), str(moved))
        with open(self.box.vault / "kesu.toml", "a", encoding="utf-8") as config:
            config.write(f'\n[provider.hsm1]\nuri = "{uri}"\n')
        log = self.box.state / "kesu.log"
        for words in (("open", self.out), ("provider", "test", "hsm1"), ("provider", "list"), ("status",)):
            result = self.box.kesu(*words, code=None, env={"KESU_LOG": log})
            self.assertNotIn("0123456789abcdef-secret", result.stdout + result.stderr)
        for path in [*self.box.vault.rglob("*"), log]:
            if path.is_file():
                self.assertNotIn(b"0123456789abcdef-secret", path.read_bytes())
                self.assertNotIn(self.pin.encode(), path.read_bytes())


if __name__ == "__main__":
    scenario.main()
