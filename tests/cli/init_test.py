"""`kesu init`: who may make a vault, on which token, and that nothing is left behind when it is refused."""
import json
import pathlib
import shutil
import sys

sys.path.insert(0, str(pathlib.Path(__file__).parents[1] / "support"))
import harness
import scenario

SPY = pathlib.Path("/usr/lib/x86_64-linux-gnu/pkcs11/pkcs11-spy.so")


class Init(scenario.World):
    make_vault = False

    def init(self, *words, genesis=None, uri=None, directory=None, **options):
        uri = uri or self.box.token_uri
        return self.box.kesu("init", directory or self.box.vault, "--genesis", genesis or self.genesis,
                             "--provider", uri, *words, vault=False, **options)

    def refused(self, code, error, **options):
        """Refused, and neither vault nor object on the token was made."""
        objects = self.token_labels()
        result = self.init(code=code, error=error, **options)
        self.assertFalse(self.box.vault.exists(), result)
        self.assertEqual(self.token_labels(), objects)
        for member in ("message", "tried", "cause", "next"):
            self.assertIsInstance(result.json["error"][member], str)
        return result

    def rewritten(self, change, sign=True):
        """The genesis statement with members changed, in its exact form; signed anew by all unless told."""
        document = json.loads(self.genesis.read_bytes())
        change(document)
        path = self.box.state / "changed.json"
        path.write_text(json.dumps(document, ensure_ascii=False, indent=2, sort_keys=True) + "\n")
        for *_, key in self.officers if sign else ():
            self.sign_genesis(path, key)
        return path

    def test_draft_names_everybody(self):
        document = json.loads(self.genesis.read_bytes())
        self.assertEqual(sorted(document), ["officers", "organisation", "origin", "profile", "quorum", "type", "vault"])
        self.assertEqual([o["name"] for o in document["officers"]], [name for name, *_ in self.officers])
        self.assertEqual((document["type"], document["profile"], document["quorum"]), ("kesu-genesis-v1", "low", 1))
        self.assertRegex(document["vault"], r"^vlt-[0-9a-f]{32}$")
        # Every draft is another vault's.
        other = self.write_genesis(self.box.state / "other.json", self.officers, sign=False)
        self.assertNotEqual(json.loads(other.read_bytes())["vault"], document["vault"])

    def test_vault_is_made(self):
        made = self.init().json
        self.assertEqual(made["vault"], json.loads(self.genesis.read_bytes())["vault"])
        self.assertEqual(made["directory"], str(self.box.vault))
        roles = sorted(k["role"] for k in self.box.kesu("key", "list").json)
        self.assertEqual(roles, ["control", "sign-certificate", "sign-ledger"])
        kinds = [e["type"] for e in self.entries()]
        self.assertEqual(kinds[:6], ["genesis"] + ["operator-enrolled"] * 5)
        self.assertEqual(kinds.count("genesis"), 1)
        self.box.kesu("ledger", "verify")
        self.assertEqual(self.box.vault.stat().st_mode & 0o777, 0o700)
        # Nobody but its owner reads anything of it.
        self.assertEqual([str(p) for p in self.box.vault.rglob("*") if p.is_file() and p.stat().st_mode & 0o077], [])

    def test_the_vault_is_found_by_option_environment_and_upwards(self):
        self.init()
        want = self.box.kesu("status").json["vault"]
        below = self.box.vault / "plans" / "deep"
        below.mkdir(parents=True)
        kesu = harness.program("kesu")
        self.assertEqual(self.box.run(kesu, "status", "--json", cwd=below).json["vault"], want)
        self.assertEqual(self.box.run(kesu, "status", "--json", env={"KESU_VAULT": self.box.vault}).json["vault"], want)
        self.box.run(kesu, "status", "--json", code=2, error="vault-absent")
        self.box.run(kesu, "status", "--json", "--vault", self.box.path / "none", cwd=below, code=2, error="vault-absent")

    # Who signed.

    def test_each_officer_must_have_signed(self):
        for *_, key in self.officers:
            copy = self.box.state / f"without-{key}" / "genesis.json"
            copy.parent.mkdir()
            shutil.copy(self.genesis, copy)
            for *_, other in self.officers:
                if other != key:
                    shutil.copy(f"{self.genesis}.{other}.sig", copy.parent)
            name = next(n for n, _, _, k in self.officers if k == key)
            result = self.refused(6, "signature-bad", genesis=copy)
            self.assertIn(name, result.json["error"]["message"])

    def test_signatures_of_others_namespaces_and_statements(self):
        copy = self.box.state / "g.json"
        shutil.copy(self.genesis, copy)
        signatures = [f"{self.genesis}.{key}.sig" for *_, key in self.officers[1:]]

        def with_first(path):
            words = [w for s in (path, *signatures) for w in ("--signature", s)]
            return lambda **options: self.init(*words, genesis=copy, **options)

        mallory = self.box.state / "mallory.sig"
        mallory.write_bytes(self.box.officer("mallory").sign("kesu-genesis-v1", copy.read_bytes()))
        with_first(mallory)(code=6, error="signature-bad")
        foreign = self.sign_genesis(copy, "tanaka", "kesu-approve-v1")
        with_first(foreign)(code=6, error="signature-bad")
        altered = bytearray(copy.read_bytes())
        altered[altered.index(b"Example")] ^= 1
        other = self.box.state / "other.sig"
        other.write_bytes(self.box.officer("tanaka").sign("kesu-genesis-v1", bytes(altered)))
        with_first(other)(code=6, error="signature-bad")
        self.assertFalse(self.box.vault.exists())
        good = self.sign_genesis(copy, "tanaka")
        with_first(good)(code=0)

    def test_altered_statement(self):
        path = self.rewritten(lambda d: d.update(organisation="Other Bank"), sign=False)
        for *_, key in self.officers:
            shutil.copy(f"{self.genesis}.{key}.sig", f"{path}.{key}.sig")
        self.refused(6, "signature-bad", genesis=path)

    def test_statement_must_have_its_exact_form(self):
        path = self.box.state / "loose.json"
        path.write_text(json.dumps(json.loads(self.genesis.read_bytes())))
        for *_, key in self.officers:
            self.sign_genesis(path, key)
        self.refused(2, "bad-input", genesis=path)
        self.refused(2, "bad-input", genesis=self.rewritten(lambda d: d.update(surprise=1)))

    def test_impossible_statements(self):
        def duplicate_key(d):
            d["officers"][1]["public_key"] = d["officers"][0]["public_key"]
        def same_key_other_comment(d):
            d["officers"][1]["public_key"] = d["officers"][0]["public_key"] + "-2"
        def duplicate_name(d):
            d["officers"][1]["name"] = d["officers"][0]["name"]
        def no_operator(d):
            for officer in d["officers"]:
                officer["roles"] = ["approver"]
        def unknown_role(d):
            d["officers"][0]["roles"] = ["operator", "king"]
        cases = {"duplicate key": duplicate_key, "comment": same_key_other_comment, "name": duplicate_name,
                 "operator": no_operator, "role": unknown_role,
                 "quorum": lambda d: d.update(quorum=4), "none": lambda d: d.update(quorum=0),
                 "waiting": lambda d: d.update(waiting_seconds=-1), "origin": lambda d: d.update(origin="a b")}
        for name, change in cases.items():
            with self.subTest(name):
                self.refused(2, "bad-input", genesis=self.rewritten(change))

    def test_profile_asks_for_its_quorum(self):
        standard = self.rewritten(lambda d: d.update(profile="standard"))
        self.refused(3, "policy-refused", genesis=standard)
        self.refused(2, "bad-input", genesis=self.rewritten(lambda d: d.update(profile="lax")))
        two = self.rewritten(lambda d: d.update(profile="standard", quorum=2))
        self.init(genesis=two)
        self.assertEqual(self.box.kesu("status").json["profile"], "standard")
        # The waiting period is at least the profile's.
        self.assertEqual(self.entries()[0]["body"]["waiting_seconds"], 86400)

    def test_draft_is_judged_too(self):
        box, person = self.box, f"A;T;operator;{self.key_of(scenario.OPERATOR).public}"
        draft = ("init", "--draft", box.state / "d.json", "--org", "O", "--origin", "o.example")
        box.kesu(*draft, "--officer", person, code=2, error="bad-input", vault=False)   # no approver
        box.kesu(*draft, "--officer", "A;operator", code=2, error="usage", vault=False)
        box.kesu(*draft, "--officer", "A;T;operator;/nowhere.pub", code=2, error="not-found", vault=False)
        box.kesu(*draft, "--officer", f"A;T;operator;{self.genesis}", code=2, vault=False)
        self.assertFalse((box.state / "d.json").exists())

    # The token.

    def uri(self, **parts):
        query = {"module-path": scenario.MODULE, "pin-source": f"file:{self.pin_file}", **parts}
        token = query.pop("token", "kesu-test")
        return f"pkcs11:token={token}?" + "&".join(f"{k}={v}" for k, v in query.items() if v)

    def secret_file(self, text, mode=0o600):
        path = self.box.state / "other.pin"
        path.write_text(text)
        path.chmod(mode)
        return path

    def test_wrong_pin_is_tried_once(self):
        if not SPY.exists():
            self.skipTest(f"{SPY} is not installed; run scripts/setup test")
        log = self.box.path / "spy.log"
        wrong = self.secret_file("9" * 32)
        env = {"PKCS11SPY": scenario.MODULE, "PKCS11SPY_OUTPUT": log}
        result = self.refused(5, "pin-wrong", uri=self.uri(**{"module-path": SPY, "pin-source": f"file:{wrong}"}), env=env)
        self.assertEqual(log.read_text(errors="replace").count("C_Login\n"), 1)
        self.assertNotIn("9" * 32, result.stdout + result.stderr)
        self.init()

    def test_pin_sources(self):
        self.refused(3, "pin-source-unsafe", uri=self.uri(**{"pin-source": f"file:{self.secret_file(self.pin, 0o644)}"}))
        self.refused(3, "pin-source-unsafe", uri=self.uri(**{"pin-source": f"file:{self.secret_file(self.pin, 0o620)}"}))
        self.refused(2, "pin-missing", uri=self.uri(**{"pin-source": "file:/nowhere"}))
        self.refused(2, "pin-missing", uri=self.uri(**{"pin-source": f"file:{self.secret_file('')}"}))
        self.refused(2, "pin-missing", uri=self.uri(**{"pin-source": None}))
        self.refused(2, "pin-missing", uri=self.uri(**{"pin-source": "env:KESU_NOT_SET"}))
        self.refused(2, "pin-missing", uri=self.uri(**{"pin-source": "prompt"}))   # no terminal here
        self.init(uri=self.uri(**{"pin-source": "env:THE_PIN"}), env={"THE_PIN": self.pin})

    def test_pin_value_is_refused_and_not_repeated(self):
        result = self.refused(2, "bad-input", uri=self.uri(**{"pin-source": None, "pin-value": self.pin}))
        self.assertNotIn(self.pin, result.stdout + result.stderr)

    def test_module_and_token(self):
        self.refused(5, "module-absent", uri=self.uri(**{"module-path": "/nowhere/lib.so"}))
        self.refused(5, "module-absent", uri=self.uri(**{"module-path": "/lib/x86_64-linux-gnu/libc.so.6"}))
        self.refused(5, "token-absent", uri=self.uri(token="nobody"))
        for bad in ("pkcs12:token=a", "pkcs11:token=%zz", "hsm1"):
            with self.subTest(bad):
                self.refused(2, "bad-input", uri=bad)

    def test_two_tokens_of_one_label(self):
        box = self.box
        box.run("softhsm2-util", "--init-token", "--free", "--label", "kesu-test", "--pin", "1234", "--so-pin", "5678")
        result = box.kesu("init", box.vault, "--genesis", self.genesis, "--provider", box.token_uri, vault=False, code=3,
                          error="token-ambiguous")
        self.assertFalse(box.vault.exists(), result)
        # The serial tells them apart.
        slots = box.run("softhsm2-util", "--show-slots").stdout
        serials = [line.split(":")[1].strip() for line in slots.splitlines() if "Serial number:" in line]
        codes = []
        for serial in filter(None, serials):
            codes.append(self.init(uri=self.uri(token=f"kesu-test;serial={serial}"), code=None).code)
            shutil.rmtree(box.vault, ignore_errors=True)
        self.assertEqual(sorted(codes), [0, 5])

    # Again.

    def test_init_again_changes_nothing(self):
        first = self.init().json
        entries = self.entries()
        self.assertEqual(self.init().json, first)
        self.nothing_changed(entries)

    def test_interrupted_init_is_finished(self):
        # The second part fails: the vault is there, its token is not. The same command finishes it.
        self.init()
        whole = [e["type"] for e in self.entries()]
        self.box.restore("prepared")
        hidden = self.box.state / "hidden"
        real = self.box.state / "token" / "tokens"
        self.box.vault.mkdir(mode=0o700)
        (self.box.vault / "kesu.toml").write_text("[vault]\nformat = 1\n")
        real.rename(hidden)
        real.mkdir()
        self.init(code=5, error="token-absent")
        real.rmdir()
        hidden.rename(real)
        self.init()
        self.assertEqual([e["type"] for e in self.entries()], whole)
        self.assertEqual(len(self.token_labels()), 1)

    def test_what_is_there_is_not_overwritten(self):
        self.init()
        entries = self.entries()
        other = self.write_genesis(self.box.state / "second.json", self.officers)
        self.init(genesis=other, code=3, error="already-exists")
        self.nothing_changed(entries)
        full = self.box.state / "full"
        full.mkdir()
        (full / "precious").write_text("mine")
        self.init(genesis=other, directory=full, code=3, error="already-exists")
        self.assertEqual([p.name for p in full.iterdir()], ["precious"])

    def test_a_newer_vault_is_left_alone(self):
        self.init()
        config = self.box.vault / "kesu.toml"
        config.write_text(config.read_text().replace("format = 1", "format = 2"))
        self.box.kesu("status", code=3, error="vault-newer")
        config.write_text("[vault\n")
        self.box.kesu("status", code=2, error="bad-input")

    def test_usage(self):
        kesu = harness.program("kesu")
        self.box.run(kesu, "init", self.box.vault, "--json", code=2, error="usage")
        self.box.run("setsid", "--wait", kesu, "init", self.box.vault, "--genesis", self.genesis, "--json", code=2, error="pin-missing")
        self.box.run(kesu, "--json", code=2, error="usage")
        self.box.run(kesu, "frobnicate", "--json", code=2, error="usage")
        self.box.run(kesu, "status", "--frobnicate", "--json", code=2, error="usage")
        version = self.box.run(kesu, "--version").stdout
        self.assertRegex(version, r"^kesu \d+\.\d+\.\d+\n")
        for words in ((), ("init",), ("erase", "run"), ("seal",), ("verify",)):
            self.assertIn("kesu", self.box.run(kesu, *words, "--help").stdout)


if __name__ == "__main__":
    scenario.main()
