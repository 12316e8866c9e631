"""Certificates under a certification authority: requests, chains, revocation lists; a real openssl authority, two readers."""
import http.server
import json
import pathlib
import re
import shutil
import sys
import threading

ROOT = pathlib.Path(__file__).resolve().parents[2]
sys.path.insert(0, str(ROOT / "tests" / "support"))
import debian_python  # noqa: F401
import harness
import scenario
import small_ca
import tsa
from clock_test import at as at_time

LOW = ("--require", "low", "--allow-test-grade")


# Sections of small_ca's configuration, and the extension that no path may have there.
CRITICAL = {"v3_ca_names": "2.5.29.30", "v3_ca_names_plain": "2.5.29.30", "v3_ca_policy": "2.5.29.36", "v3_ca_any_policy": "2.5.29.54"}


class Base(scenario.World):
    @classmethod
    def prepare(cls):
        box = cls.box
        cls.ca = small_ca.Ca(box.path / "ca")
        cls.other = small_ca.Ca(box.path / "other-ca")
        cls.seal("loans-2019", {"a": b"one", "b": b"two"})
        case = cls("setUp")
        cls.erasure = case.approved("loans-2019")
        case.run_erasure(cls.erasure)
        cls.csr = box.kesu("certificate", "request").json["request"]

    def setUp(self):
        super().setUp()
        self.bundle = self.box.path / "bundle"
        shutil.rmtree(self.bundle, ignore_errors=True)

    def file(self, name, text):
        path = self.box.path / name
        path.write_text(text)
        return path

    def install(self, chain, **options):
        return self.box.kesu("certificate", "install", self.file("chain.pem", chain), **options).json

    def issue(self, out=None, **options):
        out = out or self.bundle
        shutil.rmtree(out, ignore_errors=True)
        return self.box.kesu("certificate", "bundle", self.erasure, "-o", out, **options)

    def configure(self, *lists, stamps=None):
        path = self.box.vault / "kesu.toml"
        text = re.split(r"\[certificate\]|\[\[", path.read_text())[0]
        if lists:
            text += f"[certificate]\ncrl = {json.dumps([str(x) for x in lists])}\n"
        if stamps:
            text += f'[[time.authority]]\nurl = "{stamps[0].url}"\nca = "{stamps[1].root}"\n'
        path.write_text(text)

    def verify(self, *lines, code=0, bundle=None, anchor=True, env=None, bar=LOW):
        """The report; the second reader's is the same where both say it in the same words."""
        bundle = bundle or self.bundle
        proposed = self.box.kesu("trust", "propose", bundle, vault=False).json["trust"]
        kept = [line for line in proposed.splitlines() if not line.startswith("signer ")]
        trust = self.file("trust", "\n".join([*kept, *([f"signer-ca {self.ca.anchor}"] if anchor is True else [anchor] if anchor else []),
                                              *lines, ""]))
        report = self.box.kesu("verify", bundle, "--trust", trust, *bar, code=code, vault=False, env=env).json
        second = self.box.run("/usr/bin/python3", "-B", ROOT / "scripts" / "verify_certificate.py", bundle, "--trust", trust, "--json", *bar,
                              code=code).json
        for member in ("verdict", "signer_known", "revocation", "claims", "shortfalls", "time"):
            self.assertEqual(second[member], report[member], member)
        parts = {e["part"] for e in second["errors"]}, {e["part"] for e in report["errors"]}
        self.assertTrue(parts[0] & parts[1] or parts[0] == parts[1], parts)
        return report


class Signer(Base):
    def test_the_request(self):
        path = self.file("vault.csr", self.csr)
        said = self.box.run("openssl", "req", "-in", path, "-noout", "-verify", "-subject", "-nameopt", "utf8,sep_comma_plus", "-text").stdout
        self.assertIn(f"O=Example Bank,CN={self.box.kesu('status').json['vault']}", said)
        self.assertIn("Digital Signature, Non Repudiation", said)
        self.assertIn("ASN1 OID: secp384r1", said)
        birth = self.box.kesu("key", "list", "--purpose", "sign").json
        self.assertTrue(birth)
        text = self.box.text("certificate", "request", "-o", self.box.path / "again.csr").stdout
        self.assertIn("certificate install", text)
        self.assertIn("BEGIN CERTIFICATE REQUEST", (self.box.path / "again.csr").read_text())
        self.box.kesu("certificate", "request", "-o", self.box.path / "again.csr", code=3, error="already-exists")
        (self.box.path / "again.csr").unlink()

    def test_a_chain_signs(self):
        leaf, chain = self.ca.issue(self.csr)
        said = self.install(chain)
        self.assertEqual((said["certificates"], said["again"], said["issuer"]), (3, False, "CN=Test Issuing,O=Test CA"))
        self.assertTrue(self.install(chain)["again"])
        lists = self.file("lists.pem", self.ca.lists(last=-1))
        self.configure(lists)
        self.issue()
        report = self.verify()
        self.assertEqual((report["verdict"], report["signer_known"], report["revocation"]["state"]), ("complete", True, "earlier"))
        self.assertRegex(report["revocation"]["why"], "^the revocation list of CN=Test Issuing,O=Test CA was published at 2.*Z, before the signature$")
        lists.write_text(self.ca.lists())
        self.issue()
        pem = (self.bundle / "trust" / "signer.pem").read_text()
        self.assertEqual(pem, chain)
        self.assertNotIn("signer.crl", (self.bundle / "MANIFEST").read_text())
        document = json.loads((self.bundle / "certificate.json").read_bytes())
        self.assertFalse(document["signer"]["self_signed"])
        report = self.verify()
        self.assertEqual((report["verdict"], report["signer_known"], report["revocation"], report["errors"]),
                         ("complete", True, {"state": "good", "why": ""}, []))
        with self.subTest("stock tools"):
            cms = ("openssl", "cms", "-verify", "-binary", "-cades", "-inform", "DER", "-in", self.bundle / "certificate.json.p7s", "-content",
                   self.bundle / "certificate.json", "-CAfile", self.ca.anchor, "-purpose", "any", "-out", "/dev/null")
            self.box.run(*cms)
            self.box.run("openssl", "verify", "-CAfile", self.ca.anchor, "-untrusted", self.bundle / "trust" / "signer.pem", "-CRLfile",
                         self.bundle / "trust" / "signer.crl", "-crl_check_all", self.file("leaf.pem", leaf))
        with self.subTest("the README's lines"):
            lines = re.findall(r"^    ((?:openssl|sha512sum)(?:.*\\\n)?.*)", (self.bundle / "README.txt").read_text(), re.M)
            self.assertEqual(len([line for line in lines if "ROOT.pem" in line]), 2)
            for line in lines:
                self.box.run("sh", "-c", line.replace("ROOT.pem", str(self.ca.anchor)), cwd=self.bundle)
            self.box.run("sh", "-c", lines[1].replace("ROOT.pem", str(self.other.anchor)), cwd=self.bundle, code=4)
        with self.subTest("only the reader's anchor makes it known"):
            report = self.verify(code=7, anchor=None)
            self.assertEqual((report["signer_known"], report["revocation"]["state"]), (False, "not-asked"))
            self.assertFalse(self.verify(code=7, anchor=f"signer-ca {self.other.anchor}")["signer_known"])
            self.assertTrue(self.verify(anchor=f"signer-ca {self.ca.sub.pem}")["signer_known"])
        with self.subTest("the same again, byte for byte"):
            again = self.box.path / "again"
            self.issue(again)
            for path in self.bundle.rglob("*"):
                if path.is_file():
                    self.assertEqual(path.read_bytes(), (again / path.relative_to(self.bundle)).read_bytes(), path)
        with self.subTest("zip"):
            self.box.kesu("certificate", "bundle", self.erasure, "-o", self.box.path / "b.zip")
            self.assertTrue(self.verify(bundle=self.box.path / "b.zip")["signer_known"])
            (self.box.path / "b.zip").unlink()
        self.assertEqual([d for d in self.box.kesu("status").json["due"] if "signer's certificate" in d["detail"]], [])
        self.box.kesu("ledger", "verify")

    def test_what_is_not_installed(self):
        key = self.box.path / "key.pem"
        self.box.run("openssl", "genpkey", "-algorithm", "EC", "-pkeyopt", "ec_paramgen_curve:P-384", "-out", key)
        foreign = self.box.run("openssl", "req", "-new", "-key", key, "-subj", "/CN=someone").stdout
        leaf, chain = self.ca.issue(self.csr)
        sub, root = self.ca.sub.pem.read_text(), self.ca.root.pem.read_text()
        cases = (("another key's", self.ca.issue(foreign)[1], 3, "key-mismatch", "another key"),
                 ("out of order", leaf + root + sub, 2, "bad-input", "out of order"),
                 ("intermediate missing", leaf + root, 2, "bad-input", "missing there or out of order"),
                 ("alone", leaf, 2, "bad-input", "is missing"),
                 ("the issuers first", sub + root + leaf, 2, "bad-input", "out of order"),
                 ("ended", self.ca.issue(self.csr, start=-30, end=-1)[1], 2, "bad-input", "does not hold now"),
                 ("not begun", self.ca.issue(self.csr, start=5)[1], 2, "bad-input", "does not hold now"),
                 ("for TLS servers", self.ca.issue(self.csr, "v3_tls")[1], 2, "bad-input", "another purpose"),
                 ("for encryption", self.ca.issue(self.csr, "v3_encipher")[1], 2, "bad-input", "digitalSignature"),
                 ("an authority's", self.ca.issue(self.csr, "v3_is_ca")[1], 2, "bad-input", "authority's certificate"),
                 ("issuer of the same name", leaf + self.other.sub.pem.read_text() + self.other.root.pem.read_text(), 2, "bad-input", "does not hold now"),
                 *((f"with {x}", leaf + self.ca.sub.again(self.ca.root, x).read_text() + root, 2, "bad-input", "does not hold now")
                   for x in CRITICAL),
                 ("no certificate", "hello", 2, "bad-input", "no certificate"),
                 ("cut off", chain[:900], 2, "bad-input", ""))
        entries = len(self.entries())
        for what, text, code, error, said in cases:
            with self.subTest(what):
                result = self.install(text, code=code, error=error)["error"]
                self.assertIn(said, result["message"])
                if what[5:] in CRITICAL:
                    self.assertIn(f"extension {CRITICAL[what[5:]]} is not supported", result["cause"])
        weak = self.box.path / "weak"
        shutil.rmtree(weak, ignore_errors=True)
        self.assertEqual(len(self.entries()), entries)
        self.assertEqual(self.install(self.ca.issue(self.csr, "v3_document")[1])["certificates"], 3)

    def test_after_its_end_nothing_is_signed(self):
        self.install(self.ca.issue(self.csr, end=20)[1])
        due = [d for d in self.box.kesu("status").json["due"] if "signer's certificate" in d["detail"]]
        self.assertEqual([d["overdue"] for d in due], [False])
        later = at_time("+21d")
        error = self.issue(code=3, error="state-refused", env=later).json["error"]
        self.assertIn("not valid now", error["message"])
        self.assertIn("certificate request", error["next"])

    def test_after_its_end_what_was_signed_stands(self):
        self.install(self.ca.issue(self.csr, end=20)[1])
        later = at_time("+21d")
        self.issue()
        self.assertTrue(self.verify(env=later)["signer_known"])
        self.issue(env=later)

    def test_a_chain_without_its_root(self):
        leaf, _ = self.ca.issue(self.csr)
        self.assertEqual(self.install(leaf + self.ca.sub.pem.read_text())["certificates"], 2)
        self.issue()
        self.assertTrue(self.verify()["signer_known"])
        line = re.findall(r"^    (openssl cms(?:.*\\\n)?.*)", (self.bundle / "README.txt").read_text(), re.M)[0]
        self.box.run("sh", "-c", line.replace("ROOT.pem", str(self.ca.anchor)), cwd=self.bundle)

    def test_until_when_it_lasts(self):
        self.install(self.ca.issue(self.csr, end=100)[1])
        self.issue()
        (row,) = self.box.kesu("certificate", "list").json
        self.assertIn("the signer's certificate (CN=vlt-", row["renew_why"])
        self.assertEqual(row["renew_before"][:10], self.box.run("date", "-u", "-d", "+100 days", "+%Y-%m-%d").stdout.strip())
        due = [d for d in self.box.kesu("status").json["due"] if "rests on what ends" in d["detail"]]
        self.assertEqual([(d["what"], d["node"], d["at"]) for d in due], [("certificate", row["id"], row["renew_before"])])

    def test_a_bundles_chain_that_is_changed(self):
        leaf, chain = self.ca.issue(self.csr)
        self.install(chain)
        self.issue()
        pem = self.bundle / "trust" / "signer.pem"
        blocks = re.findall(r"-----BEGIN CERTIFICATE-----.*?-----END CERTIFICATE-----\n", pem.read_text(), re.S)
        foreign = self.other.sub.pem.read_text() + self.other.root.pem.read_text()
        for what, text in (("order", blocks[0] + blocks[2] + blocks[1]), ("issuers left out", blocks[0]), ("another authority's", blocks[0] + foreign),
                           ("none", "")):
            with self.subTest(what):
                pem.write_text(text)
                report = self.verify(code=6)
                self.assertTrue({"trust/signer.pem", "MANIFEST"} & {e["part"] for e in report["errors"]}, report["errors"])


class Revoked(Base):
    @classmethod
    def prepare(cls):
        super().prepare()
        cls.tsa = tsa.Tsa(cls.box.path / "tsa")
        cls.server = tsa._Serving(cls.tsa)
        cls.addClassCleanup(cls.server.close)

    def signed(self, stamps=False):
        leaf, chain = self.ca.issue(self.csr)
        self.install(chain)
        self.configure(stamps=(self.server, self.tsa) if stamps else None)
        self.issue()
        return leaf

    def with_lists(self, text, *lines, code=0, bar=LOW, anchor=True):
        path = self.bundle / "trust" / "signer.crl"
        path.unlink(missing_ok=True)
        if text is not None:
            path.write_text(text)
        report = self.verify(*lines, code=code, bar=bar, anchor=anchor)
        return report["revocation"]["state"], report["revocation"]["why"], report

    def test_revocation(self):
        leaf = self.signed()
        good = self.ca.lists()
        self.assertEqual(self.with_lists(good)[:2], ("good", ""))
        self.assertEqual(self.with_lists(None)[:2], ("not-shown", "there is no revocation list of CN=Test Issuing,O=Test CA"))
        self.assertEqual(self.with_lists(self.ca.sub.crl())[:2], ("not-shown", "there is no revocation list of CN=Test Root,O=Test CA"))
        with self.subTest("of another authority"):
            self.assertEqual(self.with_lists(self.other.lists())[:2],
                             ("not-shown", "the revocation list of CN=Test Issuing,O=Test CA is not signed by it"))
        with self.subTest("ended before"):
            state, why, report = self.with_lists(self.ca.sub.crl(last=-30, until=-2) + self.ca.root.crl())
            self.assertEqual((state, report["verdict"]), ("not-shown", "complete"))
            self.assertIn("the revocation list of CN=Test Issuing,O=Test CA ended at 2", why)
        with self.subTest("the reader's own list"):
            own = self.file("own.crl", good)
            self.assertEqual(self.with_lists(None, f"signer-crl {own}")[0], "good")
        with self.subTest("of some certificates only"):
            report = self.with_lists(self.ca.sub.crl(extensions="v3_crl_partial"), code=6)[2]
            self.assertEqual({e["part"] for e in report["errors"]}, {"trust/signer.crl"})
        for junk in ("", "hello", good[:300], good.replace("A", "B", 40)):
            with self.subTest(junk=junk[:20]):
                report = self.with_lists(junk, code=6)[2]
                self.assertEqual({e["part"] for e in report["errors"]}, {"trust/signer.crl"})
        with self.subTest("revoked: without a time-stamp any revocation counts"):
            for when in (small_ca.stamp(-1), small_ca.stamp(1)):
                self.ca.sub.revoke(leaf, when)
                state, why, report = self.with_lists(self.ca.lists(), code=7)
                self.assertEqual((state, report["signer_known"]), ("revoked", False))
                self.assertIn("CN=vlt-", why)
                self.assertIn("the signer of the certificate is not identified: " + why, report["shortfalls"])
            self.assertEqual(self.with_lists(good, f"signer-crl {self.file('own.crl', self.ca.lists())}", code=7)[0], "revoked")

    def short(self, lists, *lines, bar="standard"):
        """What a bar misses about revocation."""
        report = self.with_lists(lists, *lines, code=7, bar=("--require", bar, "--allow-test-grade"))[2]
        return [s for s in report["shortfalls"] if "revoked" in s], report

    def test_a_bar_that_asks_for_time_stamps_asks_for_lists(self):
        anchor = f"tsa-ca {self.tsa.root}"
        leaf = self.signed(stamps=True)
        both = self.ca.lists() + self.tsa.lists()
        said = [f"whether the {whose} was revoked is not shown: there is no revocation list of {issuer}; profile standard asks for it" for whose, issuer in
                (("signer's certificate", "CN=Test Issuing,O=Test CA"),
                 *((f"authority of the time-stamp over {over}", "CN=Test Time CA,O=Test") for over in ("signature", "certificate.json.p7s", "ledger/checkpoint-b")))]
        self.assertEqual(self.short(None, anchor)[0], said)
        self.assertEqual(self.short(None, anchor, bar="high")[0], [s.replace("standard", "high") for s in said])
        self.assertEqual(self.with_lists(None, anchor)[2]["verdict"], "complete")                 # at low it is said, and no more
        self.assertEqual(self.short(self.ca.lists(), anchor)[0], said[1:])
        self.assertEqual(self.short(self.tsa.lists(), anchor)[0], said[:1])
        short, report = self.short(both, anchor)
        self.assertEqual((short, [t["revocation"]["state"] for t in report["time"]], report["revocation"]["state"]), ([], ["good"] * 3, "good"))
        with self.subTest("the reader's own lists"):
            self.assertEqual(self.short(None, anchor, f"signer-crl {self.file('own.crl', both)}")[0], [])
        with self.subTest("lists of before"):
            short = self.short(self.ca.lists(last=-1) + self.tsa.lists(-1), anchor)[0]
            self.assertEqual([s.partition(" was revoked")[0] for s in short], [s.partition(" was revoked")[0] for s in said])
            self.assertTrue(all("before the signature; profile standard asks for it" in s for s in short))
            self.assertEqual(self.short(self.ca.sub.crl() + self.ca.root.crl(last=-9) + self.tsa.lists(), anchor)[0], [])   # authorities' own come seldom
        with self.subTest("without tsa-ca a time-stamp counts for nothing, and nothing is asked of its authority"):
            self.assertEqual(self.short(self.ca.lists())[0], [])
        with self.subTest("a certificate that the reader names"):
            document = json.loads((self.bundle / "certificate.json").read_bytes())
            line = f"signer sha256:{document['signer']['certificate']}"
            self.assertEqual(self.short(self.tsa.lists(), anchor, line)[0], [])
            self.assertEqual(self.short(self.ca.lists(), f"tsa-ca {self.tsa.dir / 'tsa.pem'}")[0], [])
        with self.subTest("kesu says what readers will miss, and bundles the same certificate with newer lists"):
            lists = self.file("all.pem", self.ca.lists(last=-1) + self.tsa.lists(-1))
            self.configure(lists, stamps=(self.server, self.tsa))
            self.assertIn("will miss a revocation list", self.issue().stderr)
            self.assertIn("X509 CRL", (self.bundle / "trust" / "signer.crl").read_text())
            lists.write_text(both)
            self.assertNotIn("will miss", self.issue().stderr)
            self.assertEqual((self.bundle / "trust" / "signer.crl").read_text().count("BEGIN X509 CRL"), 4)
        with self.subTest("an authority that was revoked, whenever"):
            for when in (small_ca.stamp(-1), small_ca.stamp(1)):
                self.tsa.revoke("tsa", when)
                report = self.with_lists(self.ca.lists() + self.tsa.lists(), anchor)[2]
                self.assertEqual([(t["trusted"], t["revocation"]["state"], t["why"] == t["revocation"]["why"]) for t in report["time"]], [(False, "revoked", True)] * 3)
                self.assertEqual(next(c["level"] for c in report["claims"] if c["id"] == "dated"), "absent")
            self.assertTrue(all(t["trusted"] for t in self.with_lists(self.ca.lists() + self.tsa.lists(), f"tsa-ca {self.tsa.dir / 'tsa.pem'}")[2]["time"]))

    def test_keys_of_a_path(self):
        """The closed list of curves: all readers take P-521, and nothing is installed under another."""
        for curve in ("P-521", "brainpoolP384r1"):
            with self.subTest(curve):
                made = type("Kind", (small_ca.Authority,), {"kind": ("EC", f"ec_paramgen_curve:{curve}")})
                root = made(self.box.path / curve, "Kind Root")
                chain = root.sign(self.csr, "v3_good", -1, 300) + root.pem.read_text()
                if curve == "P-521":
                    self.install(chain)
                    self.issue()
                    self.assertEqual(self.with_lists(root.crl(), anchor=f"signer-ca {root.pem}")[0], "good")
                else:
                    self.assertIn("a kind that is not used here", json.dumps(self.install(chain, code=None)["error"]))

    def test_constraints_that_nobody_judges(self):
        """An anchor of the same name and key as the one that signed, and more in it."""
        self.install(self.ca.issue(self.csr)[1])
        self.issue()
        for section in CRITICAL:
            with self.subTest(section):
                report = self.verify(code=7, anchor=f"signer-ca {self.ca.sub.again(self.ca.root, section)}")
                self.assertEqual((report["signer_known"], report["revocation"]["state"], report["errors"]), (False, "not-asked", []))
        self.assertTrue(self.verify(anchor=f"signer-ca {self.ca.sub.again(self.ca.root, 'v3_ca_read_over')}")["signer_known"])

    def test_lists_whose_signature_cannot_be_judged(self):
        leaf, chain = self.ca.issue(self.csr)
        self.install(chain)
        self.issue()
        path = self.bundle / "trust" / "signer.crl"
        root = self.ca.root.crl()
        path.write_text(self.ca.sub.crl(signed=("-md", "sha224")) + root)
        self.assertEqual(self.verify()["revocation"]["state"], "not-shown")
        path.write_text(self.ca.lists())
        self.assertEqual(self.verify()["revocation"]["state"], "good")
        path.write_bytes(b"# Soci\xe9t\xe9\n" + self.ca.lists().encode())
        self.assertIn("trust/signer.crl", [e["part"] for e in self.verify(code=6)["errors"]])
        good = self.ca.lists()
        self.ca.sub.revoke(leaf, small_ca.stamp(-1))
        for digest, state in (("sha1", "in-doubt"), ("sha224", "in-doubt"), ("sha3-256", "in-doubt"), ("sha256", "revoked"), ("sha512", "revoked")):
            for more in ("", good):  # a list that counts, and does not have it, changes nothing
                with self.subTest(digest, more=bool(more)):
                    path.write_text(more + self.ca.sub.crl(signed=("-md", digest)) + root)
                    report = self.verify(code=7)
                    self.assertEqual((report["signer_known"], report["revocation"]["state"]), (False, state))
                    self.assertIn(f"the signer of the certificate is not identified: {report['revocation']['why']}", report["shortfalls"])

    def test_lists_signed_by_rsa(self):
        class Rsa(small_ca.Authority):
            kind = ("RSA", "rsa_keygen_bits:7680")  # fewer are refused by the policy
        authority = Rsa(self.box.path / "rsa", "Rsa Root")
        leaf = authority.sign(self.csr, "v3_good", -1, 300)
        self.install(leaf + authority.pem.read_text())
        self.issue()
        authority.revoke(leaf, small_ca.stamp(-1))
        pss = ("-sigopt", "rsa_padding_mode:pss", "-sigopt")
        for signed, state in ((("-md", "sha384"), "revoked"), (("-md", "sha256", *pss, "rsa_pss_saltlen:32"), "revoked"),
                              (("-md", "sha512", *pss, "rsa_pss_saltlen:20"), "revoked"), (("-md", "sha224"), "in-doubt"),
                              (("-md", "sha1", *pss, "rsa_pss_saltlen:20"), "in-doubt"), (("-md", "sha224", *pss, "rsa_pss_saltlen:28"), "in-doubt"),
                              (("-md", "sha256", *pss, "rsa_pss_saltlen:32", "-sigopt", "rsa_mgf1_md:sha1"), "in-doubt")):
            with self.subTest(signed):
                (self.bundle / "trust" / "signer.crl").write_text(authority.crl(signed=signed))
                self.assertEqual(self.verify(code=7, anchor=f"signer-ca {authority.pem}")["revocation"]["state"], state)

    def test_the_time_stamp_decides(self):
        leaf = self.signed(stamps=True)
        anchor = f"tsa-ca {self.tsa.root}"
        self.ca.sub.revoke(leaf, small_ca.stamp(1))
        later = self.ca.lists()
        self.assertEqual(self.with_lists(later, anchor)[:2], ("good", ""))
        self.assertEqual(self.with_lists(later, code=7)[0], "revoked")  # without the anchor the time is the issuer's word
        self.ca.sub.revoke(leaf, small_ca.stamp(-1))
        self.assertEqual(self.with_lists(self.ca.lists(), anchor, code=7)[0], "revoked")

    def test_an_issuer_that_was_revoked(self):
        ca = small_ca.Ca(self.box.state / "third-ca")
        self.install(ca.issue(self.csr)[1])
        self.issue()
        ca.root.revoke(ca.sub.pem.read_text(), small_ca.stamp(-1))
        (self.bundle / "trust" / "signer.crl").write_text(ca.lists())
        report = self.verify(code=7, anchor=f"signer-ca {ca.anchor}")
        self.assertEqual(report["revocation"]["state"], "revoked")
        self.assertIn("CN=Test Issuing", report["revocation"]["why"])

    def test_lists_are_fetched_each_time(self):
        leaf, chain = self.ca.issue(self.csr)
        self.install(chain)
        lists = {"/sub": self.ca.sub.crl(last=.001).encode(), "/foreign": self.other.sub.crl(last=.001).encode()}

        class Serving(http.server.BaseHTTPRequestHandler):
            def do_GET(self):
                body = lists.get(self.path)
                self.send_response(200 if body else 404)
                self.end_headers()
                self.wfile.write(body or b"")

            def log_message(self, *words):
                pass
        server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Serving)
        threading.Thread(target=server.serve_forever, daemon=True).start()
        self.addCleanup(server.server_close)
        self.addCleanup(server.shutdown)
        url = f"http://127.0.0.1:{server.server_port}"
        root = self.box.path / "root.der"
        self.ca.root.crl(last=.001)
        self.box.run("openssl", "crl", "-in", self.ca.root.dir / "crl.pem", "-outform", "DER", "-out", root)
        self.configure(f"{url}/sub", root)
        self.issue()
        self.assertEqual(self.verify()["revocation"]["state"], "good")
        self.ca.sub.revoke(leaf, small_ca.stamp(-1))
        lists["/sub"] = self.ca.sub.crl().encode()
        said = self.issue()
        self.assertIn("was revoked at", said.stderr)
        self.assertEqual(self.verify(code=7)["revocation"]["state"], "revoked")
        for source, words in ((f"{url}/none", "404"), (self.box.path / "none", "none"), ("http://127.0.0.1:1/x", "lacks")):
            self.configure(source)
            said = self.issue()
            self.assertIn(words, said.stderr)
            self.assertFalse((self.bundle / "trust" / "signer.crl").exists())
        self.configure()
        path = self.box.vault / "kesu.toml"
        path.write_text(path.read_text() + "[certificate]\ncrls = 1\n")
        self.issue(code=2, error="bad-input")


if __name__ == "__main__":
    harness.main()
