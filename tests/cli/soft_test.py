"""The keystore file as a vault's provider: init without a token, a month of work, re-keying, files that come back."""
import json
import os
import pathlib
import pty
import select
import sys
import time

sys.path.insert(0, str(pathlib.Path(__file__).parents[1] / "support"))
import harness
import harness_kill
import scenario
import slots

PASSPHRASE, NEXT = "correct horse battery", "another horse, another battery"


def of_type(entries, kind):
    return [e for e in entries if e["type"] == kind]


class Soft(scenario.World):
    make_vault = False

    @classmethod
    def prepare(cls):
        box = cls.box
        cls.first, cls.second = box.path / "passphrase", box.path / "passphrase-2"
        cls.secret(cls.first, PASSPHRASE)
        cls.secret(cls.second, NEXT)
        # As few rounds of PBKDF2 as are allowed: the commands are many.
        cls.uri = f"soft:./keystore?passphrase-source=file:{cls.first}"
        box.kesu("init", box.vault, "--genesis", cls.genesis, "--provider", cls.uri + "&iterations=210000", vault=False)
        box.kesu("key", "create", "loans")
        box.kesu("dataset", "add", "loans-2019", "--key", "loans", "--chunk", str(scenario.CHUNK))
        cls.keystore = box.vault / "keystore"

    @staticmethod
    def secret(path, text):
        path.write_text(text + "\n")
        path.chmod(0o600)

    def put_back(self, data):
        self.keystore.write_bytes(data)
        self.keystore.chmod(0o600)

    def rekey(self, **options):
        return self.box.kesu("provider", "rekey", "soft1", "--passphrase-source", f"file:{self.second}", "-y", **options)

    # Many files, and a passphrase that is not the one.

    def test_many_files(self):
        files = {f"{n // 500}/{n:04}": b"%d" % n for n in range(2500)}
        for name, data in files.items():
            self.write(name, data)
        command = ("seal", "loans-2019", self.box.state / "src", "-o", self.out)
        self.secret(self.first, "another one")
        try:
            refused = self.box.kesu(*command, code=5, error="pin-wrong").json["error"]
            self.assertIn("keystore", refused["message"])
            self.assertEqual(self.files_below(self.out), {})
            self.assertEqual(of_type(self.entries(), "seal-intended"), [])
        finally:
            self.secret(self.first, PASSPHRASE)
        self.assertEqual(self.box.kesu(*command).json["sealed"], 2500)
        entries = self.entries()
        for kind in ("seal-intended", "seal-done"):
            self.assertEqual([e["nodes"][0]["n"] for e in of_type(entries, kind)], [1000, 1000, 500, 1])
        self.assertEqual(self.opened(self.out), {f"src/{name}": data for name, data in files.items()})
        self.assertEqual(self.box.kesu("status").json["questions"], [])

    # The month.

    def test_month(self):
        box = self.box
        self.seal("loans-2019", {"a.txt": b"one", "b.txt": b"two"})
        self.assertEqual(self.opened(self.out), {"src/a.txt": b"one", "src/b.txt": b"two"})
        self.assertEqual(box.kesu("provider", "test", "soft1").json["findings"], [])
        old = self.keystore.read_bytes()
        done = self.rekey().json
        self.assertEqual((done["generation"], done["place"]), (2, str(self.keystore)))
        self.assertNotEqual(self.keystore.read_bytes(), old)
        entries = self.entries()
        copies = of_type(entries, "copy-registered")
        rekeyed = of_type(entries, "provider-rekeyed")
        self.assertEqual(len(rekeyed), 1)
        self.assertLess(copies[-1]["seq"], rekeyed[0]["seq"])
        self.assertEqual(rekeyed[0]["body"]["generation"], 2)
        self.assertEqual({c["body"]["generation"] for c in copies}, {1})
        # Every version that the file held: control, ledger, certificate, loans.
        reached = {edge[1] for c in copies for edge in c["edges"]}
        made = {e["nodes"][0]["id"] for e in of_type(entries, "key-created")}
        self.assertEqual(reached, made)
        self.assertEqual(len(made), 4)
        self.first.unlink()
        self.addCleanup(self.secret, self.first, PASSPHRASE)
        self.assertEqual(self.opened(self.out), {"src/a.txt": b"one", "src/b.txt": b"two"})
        shown = box.kesu("provider", "show", "soft1").json
        self.assertEqual((shown["generation"], shown["open_copies"], shown["test_grade"]), (2, 1, True))
        self.assertIn("passphrase-2", shown["uri"])
        plan = box.kesu("erase", "plan", "loans-2019", code=3).json
        self.assertEqual([c["id"] for c in plan["copies"]], [done["copy"]])
        self.assertTrue(any(done["copy"] in b["what"] for b in plan["blockers"]), plan["blockers"])
        box.kesu("ledger", "verify")
        self.assertEqual(box.kesu("status").json["questions"], [])

    def test_erasure(self):
        self.seal("loans-2019", {"a.txt": b"one"})
        version = self.version_of("loans")
        erasure = self.approved("loans-2019")
        self.run_erasure(erasure)
        self.assertEqual(self.stage(erasure), "destroyed")
        result = of_type(self.entries(), "erasure-inspected")[0]["body"]["result"]
        self.assertEqual((result["absent"], result["usable"], result["unknown"]), (1, 0, 0))
        self.box.kesu("open", self.out, "-o", self.box.state / "opened", code=(3, 5, 6))
        bundle = self.box.state / "bundle"
        self.box.kesu("certificate", "bundle", erasure, "-o", bundle)
        text = (bundle / "certificate.json").read_text()
        self.assertIn("keystore-copies", text)
        self.box.kesu("trust", "propose", bundle)
        self.assertIn(version, [n["id"] for e in of_type(self.entries(), "destroy-done") for n in e["nodes"]])

    # A token has come: away from the file.

    def test_from_the_keystore_to_a_token(self):
        box = self.box
        files = {f"{i}.txt": b"%d " % i * 900 for i in range(5)}
        self.seal("loans-2019", files)
        wanted = {f"src/{name}": data for name, data in files.items()}
        soft = self.version_of("loans")
        old = self.keystore.read_bytes()
        box.kesu("provider", "add", "token", box.token_uri)
        box.kesu("key", "create", "loans-hsm", "--provider", "token")
        box.kesu("dataset", "update", "loans-2019", "--key", "loans-hsm", "--reason", "the token has come")
        inside = self.version_of("loans-hsm")
        self.assertEqual(box.kesu("rewrap", "loans-2019").json["moved"], 6)  # and the tree's manifest
        self.assertEqual(dict(slots.by_version(self.out)), {inside: 6})
        box.kesu("key", "destroy", "loans", "-y")
        self.assertEqual(self.opened(self.out), wanted)

        # The file of before: the ledger believes neither that file nor that the key is gone from the world.
        self.put_back(old)
        for _ in range(2):                         # said each time, recorded once
            found, = box.kesu("provider", "test", "soft1", code=8).json["findings"]
            self.assertIn("loans.1 was destroyed, and works again", found)
        entries = self.entries()
        self.assertEqual([e["nodes"][0]["id"] for e in of_type(entries, "finding-recorded")], [soft])
        copy, = of_type(entries, "copy-registered")
        self.assertEqual(copy["edges"], [[copy["nodes"][0]["id"], soft]])
        due = box.kesu("status", "--check", code=8).json["due"]
        self.assertEqual({d["what"] for d in due} & {"copy", "finding"}, {"copy", "finding"})
        self.assertEqual(self.opened(self.out, name="again"), wanted)
        plan = self.plan("loans-2019", code=3)
        self.assertTrue(any(copy["nodes"][0]["id"] in b["what"] for b in plan["blockers"]), plan["blockers"])

    def test_from_the_keystore_to_a_token_and_erased(self):
        box = self.box
        self.seal("loans-2019", {"a.txt": b"one"})
        soft = self.version_of("loans")
        box.kesu("provider", "add", "token", box.token_uri)
        box.kesu("key", "create", "loans-hsm", "--provider", "token")
        box.kesu("dataset", "update", "loans-2019", "--key", "loans-hsm", "--reason", "the token has come")
        box.kesu("rewrap", "loans-2019")
        box.kesu("key", "destroy", "loans", "-y")
        erasure = self.approved("loans-2019")
        self.run_erasure(erasure)
        box.kesu("certificate", "bundle", erasure, "-o", box.state / "bundle")
        report = box.kesu("verify", box.state / "bundle", "--require", "low", "--allow-test-grade", code=7).json
        levels = {c["id"]: c["level"] for c in report["claims"]}
        self.assertEqual({v["version"] for v in self.certificate("bundle")["keys"]}, {soft, self.version_of("loans-hsm")})
        # The data was under a key of a file once: moving to a token does not undo that.
        self.assertEqual(levels["key-origin"], "asserted")
        self.assertEqual(levels["verified-gone"], "recorded")
        self.assertIn("keystore-copies", [limit["id"] for limit in report["limits"]])

    def certificate(self, bundle):
        return json.loads((self.box.state / bundle / "certificate.json").read_text())

    # Files that come back.

    def test_an_older_generation_is_refused_and_found(self):
        old = self.keystore.read_bytes()
        copy = self.rekey().json["copy"]
        new = self.keystore.read_bytes()
        self.put_back(old)
        refused = self.box.kesu("key", "create", "trial", code=3, error="container-old")
        self.assertIn("generation 1", refused.json["error"]["cause"])
        self.assertIn("generation 2", refused.json["error"]["cause"])
        self.box.kesu("provider", "test", "soft1", code=3, error="container-old")
        self.box.kesu("key", "create", "trial", code=3, error="container-old")
        entries = self.entries()
        found = of_type(entries, "finding-recorded")
        self.assertEqual([f["body"]["what"] for f in found], ["container-old"])
        self.assertEqual({e["nodes"][0]["id"] for e in of_type(entries, "copy-registered")}, {copy})
        self.put_back(new)
        self.box.kesu("key", "create", "trial")
        self.box.kesu("ledger", "verify")

    def test_an_old_file_whose_end_was_recorded_is_a_living_path_again(self):
        box = self.box
        self.seal("loans-2019", {"a.txt": b"one"})
        old = self.keystore.read_bytes()
        copy = self.rekey().json["copy"]
        new = self.keystore.read_bytes()
        self.assertEqual([c["id"] for c in self.plan("loans-2019", code=3)["copies"] if c["state"] == "open"], [copy])
        box.kesu("copy", "destroy", copy, "--how", "every backup shredded", "--as", scenario.OPERATOR)
        self.assertEqual(self.plan("loans-2019")["blockers"], [])
        self.put_back(old)
        box.kesu("key", "create", "trial", code=3, error="container-old")
        self.put_back(new)
        plan = self.plan("loans-2019", code=3)
        alive = [c["id"] for c in plan["copies"] if c["state"] == "open"]
        self.assertEqual(len(alive), 1)
        self.assertNotEqual(alive, [copy])
        self.assertTrue(any(alive[0] in b["what"] for b in plan["blockers"]), plan["blockers"])

    def test_the_same_generation_revives_a_destroyed_key_and_is_not_called_absent(self):
        box = self.box
        self.seal("loans-2019", {"a.txt": b"one"})
        erasure = self.approved("loans-2019")
        old = self.keystore.read_bytes()
        command = box.kesu_command("erase", "run", erasure, "-y")
        box.snapshot("approved")
        calls, _, _ = harness_kill.traced(command, env=box.env, cwd=box.path)
        renamed = [c.ordinal for c in calls if c.name.startswith("rename") and c.target.endswith("/keystore")]
        self.assertEqual(len(renamed), 1, [c for c in calls if "keystore" in c.target])
        box.restore("approved")
        _, killed, _ = harness_kill.traced(command, at=renamed[0] + 2, env=box.env, cwd=box.path)
        self.assertTrue(killed)
        self.assertNotEqual(self.keystore.read_bytes(), old)
        self.put_back(old)  # a backup from before, put back in between
        box.kesu("erase", "run", erasure, "-y")
        entries = self.entries()
        self.assertEqual(len(of_type(entries, "destroy-failed")), 1)      # the inspection saw it alive
        self.assertEqual(len(of_type(entries, "destroy-done")), 1)        # and it was destroyed again
        self.assertFalse(of_type(entries, "destroy-done")[0]["body"]["receipt_lost"])
        self.assertEqual(self.stage(erasure), "destroyed")
        box.kesu("certificate", "bundle", erasure, "-o", box.state / "bundle")
        self.assertEqual([d for d in box.kesu("status").json["due"] if d["what"] == "certificate"], [])
        # Put back after the end: the key is there again, and whoever holds the certificate is to be told.
        self.put_back(old)
        found, = box.kesu("provider", "test", "soft1", code=8).json["findings"]
        self.assertIn("loans.1 was destroyed, and works again", found)
        due, = [d for d in box.kesu("status").json["due"] if d["what"] == "certificate"]
        self.assertIn("of which a copy was found since", due["detail"])

    # Re-keying that does not take place.

    def test_a_rekey_that_is_refused_leaves_no_open_copy(self):
        box, before = self.box, self.keystore.read_bytes()
        weak = box.path / "weak"
        self.secret(weak, "short")
        box.kesu("provider", "rekey", "soft1", "--passphrase-source", f"file:{weak}", "-y", code=3, error="policy-refused")
        self.assertEqual(self.keystore.read_bytes(), before)
        entries = self.entries()
        self.assertEqual({e["nodes"][0]["id"] for e in of_type(entries, "copy-registered")},
                         {e["nodes"][0]["id"] for e in of_type(entries, "copy-ended")})
        box.kesu("provider", "rekey", "soft1", "--passphrase-source", "file:/nonexistent/p", "-y", code=2, error="pin-missing")
        self.assertEqual(len(self.entries()), len(entries))
        box.kesu("provider", "rekey", "soft1", "--passphrase-source", f"file:{self.second}", code=3, error="not-confirmed")
        self.assertEqual(self.rekey().json["generation"], 2)

    # Init.

    def genesis_for(self, name):
        return self.write_genesis(self.box.path / f"{name}.json", self.officers)

    def init(self, directory, genesis, *words, **options):
        return self.box.kesu("init", directory, "--genesis", genesis, *words, vault=False, **options)

    def test_init_without_a_provider(self):
        box, directory, genesis = self.box, self.box.state / "other", self.genesis_for("other")
        # Without a terminal nobody can be asked.
        asked = box.kesu_command("init", directory, "--genesis", genesis, vault=False)
        said = box.run("setsid", "--wait", *asked, code=2, error="pin-missing")
        self.assertIn("passphrase-source", said.json["error"]["next"])
        self.assertFalse(directory.exists())
        weak = box.path / "weak"
        self.secret(weak, "short")
        self.init(directory, genesis, "--passphrase-source", f"file:{weak}", code=3, error="policy-refused")
        self.assertFalse(directory.exists())
        made = self.init(directory, genesis, "--passphrase-source", f"file:{self.first}", json=False)
        self.assertIn("TEST GRADE", made.stdout)
        self.assertIn("token", made.stdout)
        self.assertEqual(oct((directory / "keystore").stat().st_mode & 0o777), "0o600")
        listed = box.run(harness.program("kesu"), "provider", "list", "--vault", directory, "--json").json
        self.assertEqual([(p["name"], p["test_grade"], p["identity"]["kind"]) for p in listed], [("soft1", True, "soft")])
        # Again: nothing new. With something else: said, not passed over.
        self.init(directory, genesis, "--passphrase-source", f"file:{self.first}")
        self.init(directory, genesis)
        refused = self.init(directory, genesis, "--passphrase-source", f"file:{self.second}", code=3, error="already-exists")
        self.assertIn("soft1", refused.json["error"]["cause"])
        self.init(directory, genesis, "--provider", box.token_uri, code=3, error="already-exists")
        self.init(directory, genesis, "--provider", box.token_uri, "--provider-name", "hsm9", code=3, error="already-exists")

    def test_unsafe_files(self):
        self.keystore.chmod(0o640)
        self.box.kesu("key", "create", "trial", code=3, error="pin-source-unsafe")
        self.keystore.chmod(0o600)
        kept = self.keystore.read_bytes()
        self.put_back(kept[:600] + bytes([kept[600] ^ 1]) + kept[601:])
        damaged = self.box.kesu("key", "create", "trial", code=6, error="container-damaged")
        self.assertIn("record 0", damaged.json["error"]["message"])
        self.keystore.unlink()
        self.box.kesu("key", "create", "trial", code=5, error="token-absent")
        self.put_back(kept)
        self.box.kesu("key", "create", "trial")

    # A person at a terminal.

    def at_terminal(self, answers, *words):
        """Runs kesu on a terminal of its own; answers each prompt in turn. (exit code, what the terminal showed)"""
        pid, terminal = pty.fork()
        if pid == 0:
            os.execve(harness.program("kesu"), ["kesu", *map(os.fspath, words)], self.box.env)
        shown, answers, end = b"", list(answers), time.monotonic() + 60
        while time.monotonic() < end:
            if not select.select([terminal], [], [], 0.2)[0]:
                continue
            try:
                data = os.read(terminal, 4096)
            except OSError:
                break
            if not data:
                break
            shown += data
            if answers and shown.endswith(b": "):
                os.write(terminal, answers.pop(0).encode() + b"\n")
        _, status = os.waitpid(pid, 0)
        os.close(terminal)
        return os.waitstatus_to_exitcode(status), shown.decode(errors="replace")

    def test_prompts(self):
        directory, genesis = self.box.state / "asked", self.genesis_for("asked")
        code, shown = self.at_terminal([PASSPHRASE, "something else entirely"], "init", directory, "--genesis", genesis)
        self.assertEqual(code, 3, shown)
        self.assertFalse((directory / "keystore").exists())
        code, shown = self.at_terminal([PASSPHRASE, PASSPHRASE], "init", directory, "--genesis", genesis)
        self.assertEqual(code, 0, shown)
        self.assertNotIn(PASSPHRASE, shown)
        code, shown = self.at_terminal([PASSPHRASE], "provider", "test", "soft1", "--vault", directory)
        self.assertEqual(code, 0, shown)
        code, shown = self.at_terminal(["not the one, surely"], "provider", "test", "soft1", "--vault", directory)
        self.assertEqual(code, 5, shown)
        self.assertIn("pin-wrong", shown)


main = scenario.main
if __name__ == "__main__":
    main()
