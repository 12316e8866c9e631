"""Keys in shares to custodians: made, opened with stock OpenSSL, put together by kesu and by another reader, ended, put back."""
import hashlib
import json
import os
import pathlib
import shutil
import sys

sys.path[:0] = [str(pathlib.Path(__file__).parents[1] / "support"), str(pathlib.Path(__file__).parents[1] / "vectors" / "key-shares")]
import harness_fault
import scenario
import shares as reader
import soft_test

try:
    from cryptography.hazmat.primitives.asymmetric import ec, ed25519, rsa
    from cryptography.hazmat.primitives.ciphers.aead import AESGCM
    import custodians
except ImportError:
    sys.exit(77)

NAMES = ("sato", "mori", "ueda")


class Shares(scenario.World):
    make_vault = False

    @classmethod
    def prepare(cls):
        soft_test.Soft.prepare.__func__(cls)
        cls.people = custodians.Custodians(cls.box.path / "people")
        for name in NAMES:
            cls.people.make(name)
        cls.box.kesu("key", "create", "short")
        cls.box.kesu("dataset", "add", "short-2019", "--key", "short", "--chunk", str(scenario.CHUNK), "--unreadable-until", "2040")
        cls.directory = cls.box.state / "shares"

    secret = staticmethod(soft_test.Soft.secret)

    def share(self, key="short", to=NAMES, threshold=2, directory=None, **options):
        words = [w for name in to for w in ("--to", name if isinstance(name, pathlib.Path) else self.people.pem(name))]
        return self.box.kesu("copy", "share", key, *words, "--threshold", str(threshold), "-o", directory or self.directory, **options)

    def plain(self, made, *indices, to=NAMES):
        """The shares of these indices, decrypted by their custodians."""
        out = []
        for index in indices:
            row = made["shares"][index - 1]
            out.append(self.people.decrypt(to[index - 1], row["file"], self.box.path / f"share-{index}"))
        return out

    def restore(self, files, key="short", **options):
        words = [w for path in files for w in ("--share", path)]
        return self.box.kesu("key", "restore", key, *words, "--custodian", "C", **options)

    def open_copies(self):
        return [c for c in self.box.kesu("copy", "list").json if c["state"] == "open"]

    def end(self, copy, document=None):
        words = ("--document", document) if document else ()
        self.box.kesu("copy", "destroy", copy, "--how", "shredded", "--as", scenario.OPERATOR, *words)

    def canary_of(self, version):
        created, = [e for e in self.entries() if e["type"] == "key-created" and e["nodes"][0]["id"] == version]
        return created["body"]["ref"]["canary"]

    # Making them.

    def test_made_registered_and_opened_with_stock_openssl(self):
        before = self.entries()
        made = self.share().json
        version = self.version_of("short")
        self.assertEqual(sorted(made), ["name", "set", "shares", "threshold", "version"])
        self.assertEqual(sorted(made["shares"][0]), ["certificate", "copy", "custodian", "file", "index", "sha256"])
        new = self.entries()[len(before):]
        self.assertEqual([e["type"] for e in new], ["copy-registered"] * 3 + ["document-attached"])
        self.assertEqual([e["edges"] for e in new[:3]], [[[row["copy"], version]] for row in made["shares"]])
        self.assertEqual((new[3]["body"]["what"], new[3]["body"]["interrupted"]), ("shares-written", False))
        document = json.loads((self.box.vault / "evidence" / new[3]["body"]["document"]).read_bytes())
        self.assertEqual((document["type"], document["threshold"]), ("kesu-share-set-v1", 2))
        self.assertEqual([s["sha256"] for s in document["shares"]], [row["sha256"] for row in made["shares"]])
        self.assertEqual(sorted(os.listdir(self.directory)), [f"share-{i}-of-3.p7m" for i in (1, 2, 3)])
        self.assertEqual(self.directory.stat().st_mode & 0o777, 0o700)
        for row, name in zip(made["shares"], NAMES):
            file = pathlib.Path(row["file"])
            self.assertEqual(file.stat().st_mode & 0o777, 0o600)
            self.assertEqual(hashlib.sha256(file.read_bytes()).hexdigest(), row["sha256"])
            self.assertEqual(row["custodian"], f"O=Custodians,CN={name}")
            with self.assertRaises(AssertionError):
                self.people.decrypt(NAMES[row["index"] % 3], file, self.box.path / "no")
        plain = [path.read_bytes() for path in self.plain(made, 1, 2, 3)]
        parsed = [reader.parse(p) for p in plain]
        self.assertEqual([(s["index"], s["set"], s["version"]) for s in parsed], [(i, made["set"], version) for i in (1, 2, 3)])
        # Any two, put together by a reader that shares no code, give the key: it opens the canary.
        canary = self.canary_of(version)
        for pair in ((0, 1), (1, 2), (2, 0)):
            key = reader.combine([plain[i] for i in pair])
            opened = AESGCM(key).decrypt(bytes.fromhex(canary["nonce"]), bytes.fromhex(canary["ciphertext"]), b"kesu-canary-v1")
            self.assertEqual(hashlib.sha256(opened).hexdigest(), canary["digest"])
        with self.assertRaises(ValueError):
            reader.combine(plain[:1])
        # Nothing of key or shares is anywhere in the vault but in the keystore, sealed.
        for file in self.box.vault.rglob("*"):
            if file.is_file():
                data = file.read_bytes()
                for word in (key, *(s["share"] for s in parsed)):
                    self.assertNotIn(word, data, file)
                    self.assertNotIn(word.hex().encode(), data, file)
        copies = self.open_copies()
        self.assertEqual({c["kind"] for c in copies}, {"escrow-share"})
        self.assertEqual(sorted(c["share"]["index"] for c in copies), [1, 2, 3])
        self.assertIn("any 2 of which make the key", copies[0]["place"])
        self.assertEqual(self.box.kesu("status").json["questions"], [])
        self.box.kesu("ledger", "verify")
        # Two sets do not mix.
        other = self.share(directory=self.box.state / "others").json
        mixed = [self.plain(made, 1)[0].rename(self.box.path / "mine"), *self.plain(other, 2)]
        with self.assertRaises(ValueError):
            reader.combine([p.read_bytes() for p in mixed])
        self.assertIn("one set", self.restore(mixed, code=2, error="bad-input").json["error"]["message"])

    def test_what_policy_and_numbers_refuse(self):
        people, before = self.people, self.entries()
        weak, curve = people.make("weak", bits=2048), people.make("curve", key=ec.generate_private_key(ec.SECP384R1()))
        small = people.make("small", bits=1024)
        old, early = people.make("old", until=-0.5), people.make("early", begin=1)
        signer = people.make("signer", usage=("digital_signature",))
        edwards = people.write("edwards", custodians.certificate("edwards", ed25519.Ed25519PrivateKey.generate().public_key()))
        for bad in (weak, curve, small, old, early, signer, edwards):
            error = self.share(to=("sato", bad), code=3, error="policy-refused").json["error"]
            self.assertTrue(error["next"], bad)
        self.assertIn("SHA-1", self.share(to=("sato", curve), code=3).json["error"]["cause"])
        twin = people.write("twin", people.pem("sato").read_bytes())
        key = custodians.serialization.load_pem_private_key((people.directory / "sato.key").read_bytes(), None)
        again = people.write("again", custodians.certificate("again", key.public_key()))
        both = people.write("both", people.pem("sato").read_bytes() + people.pem("mori").read_bytes())
        for bad in (twin, again, both, people.write("text", b"no certificate"), people.write("empty", b""),
                    people.write("half", people.pem("mori").read_bytes()[:400]), people.directory / "sato.key"):
            self.share(to=("sato", bad), code=2, error="bad-input")
        self.share(to=("sato", people.directory / "nobody.pem"), code=2, error="not-found")
        forged = people.write("forged", custodians.certificate("x", rsa.generate_private_key(65537, 3072).public_key(),
                                                               common_name="Sato\n\x1b[31mcopy cpy-00 ended"))
        self.share(to=("sato", forged), code=2, error="bad-input")
        for to, threshold in ((NAMES, 1), (NAMES, 0), (NAMES, 4), (("sato",), 1), (("sato",), 2), (("sato",) * 256, 2)):
            self.share(to=to, threshold=threshold, code=2, error="usage")
        self.share(threshold=-1, code=2)
        # Data that is to stay unreadable without end needs an exception that an approver signed.
        error = self.share("loans", code=3, error="policy-refused").json["error"]
        self.assertIn("without end", error["message"])
        self.share("ledger", code=(2, 3))
        self.share("nothing", code=2, error="not-found")
        self.assertFalse(self.directory.exists())
        self.directory.mkdir()
        (self.directory / "there").touch()
        self.share(code=3, error="already-exists")
        self.share(directory=self.directory / "there", code=3, error="already-exists")
        self.share(directory=self.directory / "no" / "such", code=2, error="not-found")
        self.nothing_changed(before)
        (self.directory / "there").unlink()
        self.share()                                                       # an empty directory serves
        self.box.kesu("policy", "except", "RSA-OAEP-SHA256:bits=3072", "--purpose", "wrap", "--reason", "custody",
                      *self.signer(scenario.APPROVER))
        self.share("loans", directory=self.box.state / "long")
        shown = self.box.kesu("dataset", "show", "loans-2019").json["strength"]
        self.assertEqual((shown["bits"], "RSA-OAEP-SHA256:bits=3072" in shown["weakest"]), (128, True))

    def test_keys_in_tokens_do_not_come_out(self):
        self.box.kesu("provider", "add", "token", self.box.token_uri)
        self.box.kesu("key", "create", "inside", "--provider", "token")
        self.box.kesu("dataset", "add", "in", "--key", "inside")           # without end: no exception is asked for in vain
        before = self.entries()
        error = self.share("inside", code=3, error="mechanism-absent").json["error"]
        self.assertIn("token-backup", error["next"])
        self.nothing_changed(before)
        self.assertFalse(self.directory.exists())

    def test_states_and_frozen_keys(self):
        self.box.kesu("key", "rotate", "short")
        self.share("short.1")
        self.box.kesu("key", "compromise", "short.1", "--reason", "r", "-y")
        before = self.entries()
        self.share("short.1", directory=self.box.state / "again", code=3, error="state-refused")
        self.share("short.9", directory=self.box.state / "again", code=2, error="not-found")
        self.nothing_changed(before)
        for copy in self.open_copies():
            self.end(copy["id"])
        self.seal("short-2019", {"a.txt": b"one"})
        self.request(self.plan("short-2019")["erasure"])
        before = self.entries()
        self.share("short", directory=self.box.state / "again", code=3, error="frozen")
        self.nothing_changed(before)

    def test_two_hundred_and_fifty_five_custodians(self):
        made = self.share(to=self.people.many(255), threshold=200).json
        self.assertEqual(sorted(os.listdir(self.directory)), sorted(f"share-{i}-of-255.p7m" for i in range(1, 256)))
        self.assertEqual({c["id"] for c in self.open_copies()}, {row["copy"] for row in made["shares"]})
        self.share(to=self.people.many(256), directory=self.box.state / "more", code=2, error="usage")

    def test_a_full_disk_midway(self):
        command = [str(w) for w in self.box.kesu_command(
            "copy", "share", "short", *(w for n in NAMES for w in ("--to", self.people.pem(n))), "--threshold", "2", "-o", self.directory)]
        self.box.snapshot("before")
        calls, _ = harness_fault.traced(command, under=[self.directory], env=self.box.env)
        self.box.restore("before")
        opens = [c.ordinal for c in calls if c.name in ("openat", "open") and "share-2-of-3" in c.target]
        _, result = harness_fault.traced(command, at=opens[0], under=[self.directory], env=self.box.env)
        self.assertEqual((result.code, result.json["error"]["code"]), (1, "disk-full"), result)
        self.assertIn("kesu copy list", result.json["error"]["next"])
        copies = {c["share"]["index"]: c for c in self.box.kesu("copy", "list").json}
        self.assertEqual({i: c["state"] for i, c in copies.items()}, {1: "open", 2: "open", 3: "ended"})
        self.assertIn("never begun", copies[3]["how"])
        self.assertEqual(os.listdir(self.directory), ["share-1-of-3.p7m"])
        self.assertEqual(self.box.kesu("status").json["questions"], [])
        self.box.kesu("ledger", "verify")

    # The end, and back.

    def erased(self, documents):
        """Sealed, shared, ended; erased. Returns what share made, the plain shares, the erasure."""
        self.seal("short-2019", {"a.txt": b"one"})
        made = self.share().json
        plain = self.plain(made, 1, 2, 3)
        kept = self.box.path / "kept"
        shutil.rmtree(kept, ignore_errors=True)
        shutil.copytree(self.box.vault, kept)
        for number, row in enumerate(made["shares"]):
            blockers = self.plan("short-2019", code=3)["blockers"]
            self.assertEqual(len([b for b in blockers if "copy cpy-" in b["what"]]), 3 - number)
            statement = self.box.path / f"statement-{number}"
            statement.write_text(f"{row['custodian']}: share {row['index']} of set {made['set']} was shredded\n")
            self.end(row["copy"], statement if documents else None)
        erasure = self.approved("short-2019")
        self.run_erasure(erasure)
        return made, plain, erasure

    def levels(self, erasure):
        bundle = self.box.state / "bundle"
        shutil.rmtree(bundle, ignore_errors=True)
        self.box.kesu("certificate", "bundle", erasure, "-o", bundle)
        trust = self.box.state / "trust"
        certificate = json.loads((bundle / "certificate.json").read_text())
        trust.write_text(self.box.kesu("trust", "propose", bundle).json["trust"])
        words = (bundle, "--trust", trust, "--require", "low", "--allow-test-grade")
        ours = self.box.kesu("verify", *words, vault=False, code=(0, 7)).json
        second = self.box.run(sys.executable, "-B", scenario.harness.SOURCE / "scripts" / "verify_certificate.py", *words, "--json",
                              code=(0, 7)).json
        self.assertNotEqual(ours["verdict"], "invalid", ours)
        ours, second = ({c["id"]: c["level"] for c in report["claims"]} for report in (ours, second))
        self.assertEqual(ours, second)
        return ours, certificate

    def test_every_share_is_in_the_certificate(self):
        made, _, erasure = self.erased(documents=True)
        levels, certificate = self.levels(erasure)
        self.assertEqual((levels["copies"], levels["exclusivity"]), ("recorded", "proven"))
        copies = {c["id"]: c for c in certificate["copies"]}
        self.assertEqual(set(copies), {row["copy"] for row in made["shares"]})
        for row in made["shares"]:
            self.assertEqual((copies[row["copy"]]["kind"], copies[row["copy"]]["state"]), ("escrow-share", "ended"))
            self.assertIn(f"share {row['index']} of 3, any 2 of which make the key", copies[row["copy"]]["place"])
        self.assertIn("keystore-copies", [limit["id"] for limit in certificate["limits"]])

    def test_words_alone_are_asserted_and_a_share_that_works_undoes_the_claims(self):
        made, plain, erasure = self.erased(documents=False)
        self.box.snapshot("erased")
        levels, _ = self.levels(erasure)
        self.assertEqual((levels["copies"], levels["exclusivity"]), ("asserted", "proven"))
        self.box.restore("erased")
        # Somebody's word was wrong: two shares still work. kesu does not bring the key back, and says so for good.
        error = self.restore(plain[:2], code=3, error="key-known").json["error"]
        self.assertIn("does not come back", error["message"])
        found, = [e for e in self.entries() if e["type"] == "finding-recorded"]
        self.assertEqual((found["body"]["what"], found["nodes"][0]["id"]), ("destroyed-key-back", self.version_of("short")))
        copy, = self.open_copies()
        self.assertEqual((copy["kind"], copy["medium"]), ("escrow-share", "plain shares"))
        # No certificate can be had now: a copy lives.
        error = self.box.kesu("certificate", "bundle", erasure, "-o", self.box.state / "none", code=4).json["error"]
        self.assertIn(copy["id"], error["cause"])
        # Where the ledger of before the erasure is put back, too, the shares do open what was erased.
        keystore = self.keystore.read_bytes()
        shutil.rmtree(self.box.vault)
        shutil.copytree(self.box.path / "kept", self.box.vault)
        self.keystore.write_bytes(keystore)                                # of after: without the key
        self.box.kesu("open", self.out, "-o", self.box.state / "no", code=(3, 5, 8))
        done = self.restore(plain[:2]).json
        self.assertEqual(sorted(done), ["copy", "name", "provider", "set", "shares", "version"])
        self.assertEqual((done["name"], done["shares"]), ("short.1", [1, 2]))
        self.assertEqual(self.opened(self.out), {"src/a.txt": b"one"})

    def test_put_back_into_a_keystore_that_lacks_the_key(self):
        old = self.keystore.read_bytes()
        self.box.kesu("key", "create", "late")
        self.box.kesu("dataset", "add", "late-2019", "--key", "late", "--chunk", str(scenario.CHUNK), "--unreadable-until", "2040")
        self.seal("late-2019", {"a.txt": b"one"})
        made = self.share("late").json
        plain = self.plain(made, 2, 3, 1)
        present = self.restore(plain[:2], "late", code=3, error="already-exists").json["error"]
        self.assertIn("nothing to put back", present["message"])
        first, = [c for c in self.open_copies() if c["medium"] == "plain shares"]
        self.keystore.write_bytes(old)                                     # a backup of before
        self.assertTrue(self.box.kesu("provider", "test", "soft1", code=8).json["findings"])
        before = self.entries()
        done = self.restore(plain, "late.1").json
        new = self.entries()[len(before):]
        self.assertEqual([e["type"] for e in new], ["copy-registered", "document-attached"])
        self.assertEqual((new[1]["body"]["what"], done["shares"]), ("key-restored", [2, 3, 1]))
        self.assertEqual(self.box.kesu("provider", "test", "soft1").json["findings"], [])
        self.assertEqual(self.opened(self.out), {"src/a.txt": b"one"})
        self.restore(plain, "late.1", code=3, error="already-exists")
        self.assertEqual(len([c for c in self.open_copies() if c["medium"] == "plain shares"]), 2)
        # It is erased like any other, once all that may bring it back has ended.
        for copy in self.open_copies():
            self.end(copy["id"])
        self.run_erasure(self.approved("late-2019"))
        self.box.kesu("ledger", "verify")
        self.assertNotEqual(first["id"], done["copy"])

    def test_hostile_shares(self):
        made = self.share().json
        one, two, three = self.plain(made, 1, 2, 3)
        before, keystore = self.entries(), self.keystore.read_bytes()
        text = two.read_bytes()

        def refused(*files, code=2, error="bad-input"):
            shown = self.restore(files, code=code, error=error)
            for share in (one, two, three):
                self.assertNotIn(reader.parse(share.read_bytes())["share"].hex().encode(), shown.raw)
            return shown.json["error"]

        def changed(name, data):
            path = self.box.path / name
            path.write_bytes(data)
            path.chmod(0o600)
            return path

        def resummed(body):
            body = body[:body.index(b"sum ")]
            return body + b"sum " + hashlib.sha256(body).hexdigest().encode() + b"\n"

        refused(one)
        refused(one, one)
        refused(one, changed("same", one.read_bytes()))
        for name, data in (("cut", text[:-1]), ("more", text + b"\n"), ("nothing", b""), ("long", text * 8),
                           ("crlf", text.replace(b"\n", b"\r\n")), ("flipped", text.replace(b"index 2", b"index 3")),
                           ("cms", pathlib.Path(made["shares"][1]["file"]).read_bytes())):
            refused(one, changed(name, data), error=None)
        at = text.index(b"\nshare ") + 7
        digit = b"0" if text[at:at + 1] != b"0" else b"1"
        altered = changed("altered", resummed(text[:at] + digit + text[at + 1:]))
        self.assertIn("check value", refused(one, altered)["message"])
        self.assertIn("share 2 is not of this set", refused(one, three, altered)["message"])
        refused(one, changed("index", resummed(text.replace(b"index 2", b"index 3"))))
        for share in (one, two):
            changed(f"low-{share.name}", resummed(share.read_bytes().replace(b"threshold 2", b"threshold 3")))
        refused(*(self.box.path / f"low-{share.name}" for share in (one, two)))
        two.chmod(0o644)
        refused(one, two, code=3, error="pin-source-unsafe")
        two.chmod(0o600)
        refused(one, self.box.path / "nowhere", error=None)
        self.restore([one, two], "loans", code=2, error="bad-input")       # of another key
        # Of another vault, and of a key that is another under this name: whole sets, well made.
        import make
        named = reader.parse(one.read_bytes())["head"]
        foreign = []
        make.head = lambda threshold, number, **_: named.replace(named.split("\n")[1], "vault vlt-" + "5a" * 16)
        foreign = [changed(f"foreign-{i}", s.encode()) for i, s in enumerate(make.make(2, 3))]
        self.assertIn("another vault", refused(*foreign[:2])["message"])
        make.head = lambda threshold, number, **_: named
        wrong = [changed(f"wrong-{i}", s.encode()) for i, s in enumerate(make.make(2, 3))]
        self.assertIn("is not key version short.1", refused(*wrong[:2])["message"])
        self.nothing_changed(before)
        self.assertEqual(self.keystore.read_bytes(), keystore)


if __name__ == "__main__":
    scenario.main()
