"""kesu-verify.html with an authority's chain, revocation lists and witnesses: its report is that of `kesu verify`."""
import base64
import hashlib
import pathlib
import sys
import types

ROOT = pathlib.Path(__file__).resolve().parents[2]
sys.path[:0] = [str(ROOT / "tests" / "support"), str(ROOT / "scripts")]
import debian_python  # noqa: F401
from cryptography import x509
from cryptography.hazmat.primitives.serialization import load_pem_private_key
import harness
import reissue
import rsa_tokens
import scenario
import small_ca
import verify_page
from kesu_verifier import trust as trust_file
from kesu_verifier import verify as second


class VerifyPageChain(verify_page.Driver, scenario.World):
    @classmethod
    def prepare(cls):
        box = cls.box
        # The root of many an authority is old: it signed itself with SHA-1, which nobody looks at.
        cls.ca, cls.other = small_ca.Ca(box.path / "ca"), small_ca.Ca(box.path / "other-ca")
        cls.root_key = load_pem_private_key(cls.ca.root.key.read_bytes(), None)
        cls.ca.root.pem.write_text(cls.root(way=rsa_tokens.ecdsa("sha1")))
        cls.seal("loans-2019", {"a": b"one"})
        case = cls("setUp")
        erasure = case.approved("loans-2019")
        case.run_erasure(erasure)
        cls.leaf, chain = cls.ca.issue(box.kesu("certificate", "request").json["request"])
        pem = box.path / "chain.pem"
        pem.write_text(chain)
        box.kesu("certificate", "install", pem)
        cls.witnesses = [cls.witness(name) for name in ("w1", "w2")]
        with open(box.vault / "kesu.toml", "a") as config:
            config.write("".join(f'[[witness]]\nvkey = "{v}"\n' for _, v in cls.witnesses))
        cls.issue(erasure, "uncosigned")
        log = box.kesu("ledger", "checkpoint", "--export", box.path / "request").json["vkey"]
        for i, (directory, _) in enumerate(cls.witnesses):
            answer = box.path / f"answer{i}"
            box.kesu("ledger", "cosign", box.path / "request", "--witness", directory, "--first", log, "-o", answer, vault=False)
            box.kesu("ledger", "checkpoint", "--attach", answer)
        cls.issue(erasure)
        cls.known = "".join(line + "\n" for line in cls.trust.splitlines() if not line.startswith("signer "))
        cls.trust = cls.known
        cls.open_page()

    @classmethod
    def root(cls, **options):
        """The root's certificate in another form: same name, same key."""
        name = x509.load_pem_x509_certificate(cls.ca.sub.pem.read_bytes()).issuer.public_bytes()
        identifier = x509.SubjectKeyIdentifier.from_public_key(cls.root_key.public_key()).digest
        options["extensions"] = [*options.get("extensions", (rsa_tokens.Holder.CA, rsa_tokens.Holder.SIGNS)),
                                 rsa_tokens.extension("2.5.29.14", reissue.der(4, identifier), False)]
        return rsa_tokens.Holder(name, cls.root_key, **{"way": rsa_tokens.ecdsa("sha384"), **options}).pem

    @classmethod
    def witness(cls, name):
        secret, directory = cls.box.path / f"{name}.pass", cls.box.path / name
        secret.write_text("correct horse battery\n")
        secret.chmod(0o600)
        made = cls.box.kesu("ledger", "witness", "init", directory, "--name", name, "--passphrase-source", f"file:{secret}", vault=False)
        return directory, made.json["vkey"]

    def both(self, *lines, lists=None, own=None, anchor=None, profile="low"):
        """The page's report, which must be kesu's."""
        crl = self.bundle / "trust" / "signer.crl"
        crl.unlink(missing_ok=True)
        if lists is not None:
            crl.write_text(lists)
        files = [self.elsewhere / "root.pem"]
        files[0].write_text((anchor or self.ca).anchor.read_text())
        if own is not None:
            files.append(self.elsewhere / "own.crl")
            files[1].write_text(own)
        trust = self.known + "signer-ca root.pem\n" + ("signer-crl own.crl\n" if own is not None else "") + "".join(x + "\n" for x in lines)
        self.said = self.check(trust=trust, trust_files=files, profile=profile)
        kesu = self.kesu_verify(self.bundle, trust, "--require", profile, "--allow-test-grade")
        page = self.saved()
        same = ("verdict", "signer_known", "revocation", "log_known", "as_of") if kesu["verdict"] != "complete" else tuple(kesu)
        if kesu["verdict"] != "invalid":
            same = (*same, "shortfalls")
        for member in same:
            self.assertEqual(page[member], kesu[member], member)
        self.assertEqual({e["part"] for e in page["errors"]} & {"trust/signer.crl"}, {e["part"] for e in kesu["errors"]} & {"trust/signer.crl"})
        return page

    def test_chain_and_revocation(self):
        good = self.ca.lists()
        report = self.both(lists=good)
        self.assertEqual((report["verdict"], report["revocation"]), ("complete", {"state": "good", "why": ""}))
        self.assertIn("signer not revoked", self.said["text"])
        self.assertEqual(self.both(lists=self.ca.lists(last=-1))["revocation"]["state"], "earlier")
        self.assertIn("no newer list is shown", self.said["text"])
        for lists, word in ((None, "there is no revocation list"), (self.ca.lists(last=-1), "was published at"), (good, None)):
            short = [x for x in self.both(lists=lists, profile="standard")["shortfalls"] if "was revoked is not shown" in x]
            self.assertEqual(len(short), 1 if word else 0)
            self.assertTrue(all(word in x and x in self.said["text"] for x in short))
        self.assertEqual(self.both()["revocation"]["state"], "not-shown")
        self.assertIn("is not shown", self.said["text"])
        self.assertEqual(self.both(own=good)["revocation"]["state"], "good")
        self.assertEqual(self.both(lists=self.other.lists())["revocation"]["state"], "not-shown")
        self.assertEqual(self.both(lists=self.ca.sub.crl(last=-30, until=-2) + self.ca.root.crl())["revocation"]["state"], "not-shown")
        report = self.both(lists=good, anchor=self.other)
        self.assertEqual((report["verdict"], report["signer_known"]), ("incomplete", False))
        for bad in ("hello", good[:400], self.ca.sub.crl(extensions="v3_crl_partial")):
            self.assertEqual(self.both(lists=bad)["verdict"], "invalid")
        (self.bundle / "trust" / "signer.crl").write_bytes(b"# Soci\xe9t\xe9\n" + good.encode())
        self.red("trust/signer.crl")
        for section, known in (("v3_ca_names", False), ("v3_ca_names_plain", False), ("v3_ca_policy", False), ("v3_ca_any_policy", False),
                               ("v3_ca_read_over", True)):
            anchor = types.SimpleNamespace(anchor=self.ca.sub.again(self.ca.root, section))
            report = self.both(lists=good, anchor=anchor)
            self.assertEqual((report["signer_known"], report["errors"]), (known, []), section)
        self.ca.sub.revoke(self.leaf, small_ca.stamp(-1))
        report = self.both(lists=good + self.ca.sub.crl(signed=("-md", "sha224")))
        self.assertEqual((report["verdict"], report["revocation"]["state"]), ("incomplete", "in-doubt"))
        self.assertIn(report["revocation"]["why"], self.said["text"])
        for lists, own in ((self.ca.lists(), None), (good, self.ca.lists())):
            report = self.both(lists=lists, own=own)
            self.assertEqual((report["verdict"], report["revocation"]["state"]), ("incomplete", "revoked"))
            self.assertIn("was revoked at", self.said["text"])

    def test_anchors(self):
        """An anchor is trusted as it is, whoever signed it; that it is valid, an authority, and without other critical extensions is asked."""
        ca, usage = rsa_tokens.Holder.CA, rsa_tokens.Holder.SIGNS
        servers = rsa_tokens.extension("2.5.29.37", reissue.der(0x30, reissue.oid("1.3.6.1.5.5.7.3.1")))
        path = self.elsewhere / "other-root.pem"
        for name, known, options in (("SHA-1", True, {"way": rsa_tokens.ecdsa("sha1")}), ("SHA-384", True, {}), ("its signature is not good", True, {
                "way": rsa_tokens.Way(rsa_tokens.ecdsa("sha384").algorithm, lambda *_: bytes(96))}), ("its end has come", False, {"years": (-5, -1)}),
                ("of later", False, {"years": (1, 9)}), ("version 1", False, {"version": 1}), ("no authority", False, {"extensions": [usage]}),
                ("critical extension", False, {"extensions": [ca, rsa_tokens.extension("1.2.3", b"x")]}), ("for servers", True, {"extensions": [ca, servers]})):
            with self.subTest(name):
                path.write_text(self.root(**options))
                self.assertEqual(self.both(lists=self.ca.lists(), anchor=types.SimpleNamespace(anchor=path))["signer_known"], known)
                (self.elsewhere / "python").write_text(self.known + f"signer-ca {path}\n")
                python = second.verify(reissue.read(self.bundle), trust_file.read_trust(str(self.elsewhere / "python")), trust_file.Tables(), require="low", allow_test_grade=True)
                self.assertEqual((python["signer_known"], python["verdict"], python["errors"]), (known, "complete" if known else "incomplete", []))

    def test_a_chain_that_was_changed(self):
        pem = self.bundle / "trust" / "signer.pem"
        text = pem.read_text()
        one = text.index("-----END CERTIFICATE-----\n") + 26
        for changed in (text[:one], text[one:] + text[:one], text + self.other.anchor.read_text()):
            pem.write_text(changed)
            self.red("trust/signer.pem")

    def test_witnesses(self):
        lines = [f"witness {v}" for _, v in self.witnesses]

        def logged(report):
            return next(c["level"] for c in report["claims"] if c["id"] == "logged")

        def short(*trust):
            return [s for s in self.both(*trust, profile="high")["shortfalls"] if "witness" in s]
        self.assertEqual(logged(self.both()), "asserted")
        self.assertEqual(logged(self.both(lines[0])), "attested")
        self.assertEqual(logged(self.both(lines[0], "quorum 2")), "asserted")
        self.assertEqual(logged(self.both(*lines, "quorum 2")), "attested")
        name, _, data = self.witnesses[0][1].split("+", 2)
        b = self.bundle / "ledger" / "checkpoint-b"
        line = next(x for x in b.read_text().split("\n") if x.startswith(f"\u2014 {name} "))
        key_id = hashlib.sha256(b"alias\n" + base64.b64decode(data)).digest()[:4]
        value = base64.b64encode(key_id + base64.b64decode(line.rsplit(" ", 1)[1])[4:]).decode()
        b.write_text(b.read_text() + f"\u2014 alias {value}\n")
        alias = f"witness alias+{key_id.hex()}+{data}"
        self.assertEqual(logged(self.both(alias)), "attested")
        self.assertEqual(logged(self.both(lines[0], alias, "quorum 2")), "asserted")
        self.assertEqual(short(), ["0 trusted witnesses; profile high asks for 1"])
        self.assertEqual(short(lines[0]), [])
        self.assertEqual(short(lines[0], "quorum 2"), ["1 trusted witness; the trust file asks for 2"])


if __name__ == "__main__":
    harness.main()
