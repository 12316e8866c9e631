"""Officers who sign with X.509 certificates and stock openssl, on machines of their own: refused is what is not theirs, and
two readers say of the bundle what they say of one with SSH keys alone."""
import datetime
import json
import pathlib
import re
import shutil
import sys

ROOT = pathlib.Path(__file__).resolve().parents[2]
sys.path[:0] = [str(ROOT / "tests" / "support"), str(ROOT / "scripts")]
import debian_python  # noqa: F401
from cryptography.hazmat.primitives.asymmetric import ec
import bad_certificates
import certified
import harness
import reissue
import scenario
from certified import CARDS, VALIDATOR, VERIFIER, openssl
from kesu_verifier import trust as trust_file
from kesu_verifier import verify
from scenario import APPROVER, SECOND

SECOND_VERIFIER = ROOT / "scripts" / "verify_certificate.py"
LOW = ("--require", "low", "--allow-test-grade")


class OfficerCertificates(certified.World):
    @classmethod
    def prepare(cls):
        super().prepare()
        cls.box.snapshot("sealed")
        case = cls("setUp")
        cls.bundle, cls.plain = cls.box.path / "bundle", cls.box.path / "plain"
        cls.box.kesu("certificate", "bundle", case.erased(), "-o", cls.bundle)
        cls.box.kesu("certificate", "bundle", case.erased("small"), "-o", cls.plain)
        cls.proposed = cls.box.run(harness.program("kesu"), "trust", "propose", cls.bundle, "--json").json["trust"]
        cls.box.restore("sealed")

    def setUp(self):
        super().setUp()
        self.trust = self.box.path / "trust"
        self.trust.write_text(self.proposed)

    def both(self, bundle, *words, trust=None, code=0):
        words = (bundle, "--trust", trust or self.trust, *LOW, *words, "--json")
        first = self.box.run(harness.program("kesu"), "verify", *words, code=code).json
        second = self.box.run("/usr/bin/python3", "-B", SECOND_VERIFIER, *words, code=code).json
        return first, second

    # What is issued.

    def test_both_readers_find_it_complete(self):
        first, second = self.both(self.bundle)
        self.assertEqual(first, second)
        self.assertEqual((first["verdict"], first["errors"], first["officers_known"]), ("complete", [], True))
        levels = {c["id"]: c["level"] for c in first["claims"]}
        self.assertEqual((levels["authorised"], levels["validated"]), ("proven", "attested"))
        certificate = json.loads((self.bundle / "certificate.json").read_bytes())
        self.assertEqual(certificate["stage"], "validated")
        digests = {p["name"]: p.get("certificate") for p in certificate["people"]}
        for name, digest in digests.items():
            own = openssl("x509", "-in", self.machine(name) / "cert.pem", "-noout", "-fingerprint", "-sha256") if name in CARDS else ""
            self.assertEqual(digest, own.partition("=")[2].strip().replace(":", "").lower() or None)
        named = {(c["part"], c["algorithm"]) for c in certificate["evidence_chain"]}
        for row in ((f"approve, {APPROVER}", "ECDSA-P384"), (f"approve, {APPROVER} (digest)", "SHA-384"),
                    (f"verify, {VERIFIER}", "RSA-PSS:bits=3072,hash=SHA-256"), (f"validate, {VALIDATOR}", "ECDSA-P521"),
                    (f"approve, {SECOND}", "Ed25519")):
            self.assertIn(row, named)

    def test_the_reader_may_ask_for_an_authority(self):
        for name, anchors, code in (("root", [self.ca.anchor], 7), ("all", [self.ca.anchor, *(self.machine(n) / "cert.pem" for n in (VERIFIER, VALIDATOR))], 0),
                                    ("another", [self.machine(n) / "cert.pem" for n in (VERIFIER, VALIDATOR)], 7)):
            with self.subTest(name):
                asked = self.box.path / "asked"
                asked.write_text(self.proposed + "".join(f"officers-ca {a}\n" for a in anchors))
                first, second = self.both(self.bundle, trust=asked, code=code)
                self.assertEqual(first, second)
                self.assertEqual(first["officers_known"], code == 0)
        # It makes nobody known.
        nobody = "".join(l + "\n" for l in self.proposed.splitlines() if not l.startswith("officer ")) + f"officers-ca {self.ca.anchor}\n"
        (self.box.path / "asked").write_text(nobody)
        self.assertFalse(self.both(self.bundle, trust=self.box.path / "asked", code=7)[0]["officers_known"])

    def test_stock_tools(self):
        page = (harness.SOURCE / "docs" / "verify-by-hand.md").read_text()
        readme = [l[4:] for l in (self.bundle / "README.txt").read_text().splitlines() if l.startswith("    ")]
        for script in (re.search(r"^```sh\n(.*?)^```", page, re.S | re.M)[1], "\n".join(l for l in readme if not l.startswith("kesu "))):
            self.box.run("bash", "-euo", "pipefail", "-c", script, cwd=self.bundle)
            altered = self.box.path / "altered"
            shutil.rmtree(altered, ignore_errors=True)
            shutil.copytree(self.bundle, altered)
            approval = next(p for p in altered.glob("approvals/approve.*.sig") if b"CMS" in p.read_bytes())
            shutil.copy(next(altered.glob("approvals/verify.*.sig")), approval)
            for line in (l for l in script.split("\n") if "MANIFEST" in l):
                script = script.replace(line + "\n", "")
            self.assertNotEqual(self.box.run("bash", "-euo", "pipefail", "-c", script, cwd=altered, code=None).code, 0)

    def test_bundled_anew_it_is_the_same(self):
        erasure = self.erased()
        one, two = self.box.path / "one", self.box.path / "two"
        for directory in (one, two):
            self.box.kesu("certificate", "bundle", erasure, "-o", directory)
        self.assertEqual((one / "MANIFEST").read_bytes(), (two / "MANIFEST").read_bytes())

    # What is refused, here.

    def test_only_his_signature_over_this_statement(self):
        erasure = self.plan("loans-2019")["erasure"]
        self.request(erasure)
        before = self.entries()
        statement, rejection = (self.statement(a, erasure, APPROVER) for a in ("approve", "reject"))
        sig = lambda name, path, *words: self.travel(name, path, *words, out=self.box.path / "some.sig")
        refused = lambda file, *words: self.act("approve", erasure, APPROVER, "--signature", file, *words, code=6, error="signature-bad")
        refused(sig(VERIFIER, statement))                                        # another's
        refused(sig(APPROVER, rejection))                                        # another act
        changed = self.box.path / "changed.json"
        changed.write_bytes(statement.read_bytes().replace(b"Cannot be undone", b"Can be undone"))
        refused(sig(APPROVER, changed))                                          # other content
        refused(sig(APPROVER, statement, "-md", "sha1", "-outform", "DER"))      # a digest that is too weak
        refused(sig(APPROVER, statement, "-noattr", "-outform", "PEM"))          # nothing says that it is over data
        refused(sig(APPROVER, statement, "-keyid", "-outform", "PEM"))           # names no issuer and number
        refused(sig(APPROVER, statement, "-nodetach", "-outform", "PEM"))        # the content inside
        refused(sig(APPROVER, statement, "-outform", "SMIME"))                   # no form that is kept
        attached = self.box.path / "both.sig"
        openssl("cms", "-sign", "-binary", "-in", statement, "-signer", self.machine(APPROVER) / "cert.pem", "-inkey", self.machine(APPROVER) / "key.pem",
                "-signer", self.machine(VERIFIER) / "cert.pem", "-inkey", self.machine(VERIFIER) / "key.pem", "-outform", "PEM", "-out", attached)
        refused(attached)                                                        # two signers
        ssh = self.box.path / "ssh.sig"
        ssh.write_bytes(self.box.officer("sato").sign("kesu-approve-v1", statement.read_bytes()))
        refused(ssh)                                                             # of another kind
        # Another certificate of the same key is not the one that was enrolled.
        other = self.box.path / "other.pem"
        certified.self_signed(self.machine(APPROVER) / "key.pem", other, APPROVER)
        openssl("cms", "-sign", "-binary", "-in", statement, "-signer", other, "-inkey", self.machine(APPROVER) / "key.pem", "-outform", "PEM", "-out", attached)
        refused(attached)
        said = self.box.kesu("erase", "approve", erasure, *self.signer(SECOND)[:1], APPROVER, "--key", self.machine(APPROVER) / "key.pem", code=2).json
        self.assertIn("openssl cms -sign", said["error"]["next"])
        self.nothing_changed(before)
        self.assertEqual(self.act("approve", erasure, APPROVER).json["approvals"]["have"], 1)

    def test_an_ssh_officer_does_not_sign_with_cms(self):
        erasure = self.plan("loans-2019")["erasure"]
        self.request(erasure)
        statement = self.statement("approve", erasure, SECOND)
        self.act("approve", erasure, SECOND, "--signature", self.travel(APPROVER, statement), code=6, error="signature-bad")

    # Who is enrolled.

    def test_one_key_is_one_key(self):
        key, cert, ssh = (self.box.path / n for n in ("one.key", "one.pem", "one.pub"))
        certified.new_key(key, ("EC", "ec_paramgen_curve:P-256"))
        certified.self_signed(key, cert, "One")
        spki = openssl("pkey", "-in", key, "-pubout")
        (self.box.path / "spki").write_text(spki)
        ssh.write_text(self.box.run("ssh-keygen", "-i", "-m", "PKCS8", "-f", self.box.path / "spki").stdout)
        people = ("--officer", f"One;Operator;operator;{ssh}", "--officer", f"Two;CISO;approver;{cert}")
        said = self.box.kesu("init", "--draft", self.box.path / "g.json", "--org", "B", "--origin", "b.example", *people, vault=False, code=2).json
        self.assertIn("also another officer's", said["error"]["message"])

    def test_what_no_certificate_may_be(self):
        key = self.box.path / "k.pem"
        kinds = {"Ed25519": ("ED25519", None), "RSA-2048": ("RSA", "rsa_keygen_bits:2048"), "P-256": ("EC", "ec_paramgen_curve:P-256")}
        for name, (algorithm, option) in kinds.items():
            openssl("genpkey", "-algorithm", algorithm, *(("-pkeyopt", option) if option else ()), "-out", key)
            for words in ((), ("usage",), ("private",), ("two",)) if name == "P-256" else ((),):
                cert = self.box.path / "c.pem"
                openssl("req", "-x509", "-key", key, "-subj", "/CN=x", "-days", 30, "-out", cert,
                        *(("-addext", "keyUsage=critical,keyEncipherment") if words == ("usage",) else ()))
                if words == ("private",):
                    cert.write_text(cert.read_text() + key.read_text())
                if words == ("two",):
                    cert.write_text(2 * cert.read_text())
                good = name == "P-256" and not words
                with self.subTest((name, words)):
                    self.box.kesu("operator", "add", "新人", "--title", "x", "--key-file", cert, "--role", "approver", "--reason", "r", "--by", SECOND,
                                  "--export", self.box.path / "x", code=0 if good else 2)

    def test_what_no_reader_takes_is_not_enrolled(self):
        key, cert = ec.generate_private_key(ec.SECP384R1()), self.box.path / "odd.pem"
        now = datetime.datetime.now(datetime.timezone.utc)
        said = {"version 1": "version 3", "version 2": "version 3", "SHA-1": "signed with an algorithm", "unique identifiers": "unique identifiers",
                "an extension twice": "extension"}
        for name, how in (*bad_certificates.ODD_KINDS, ("nothing", {})):
            data = bad_certificates.raw_certificate(key, now - datetime.timedelta(days=1), now + datetime.timedelta(days=30), **how)
            cert.write_bytes(bad_certificates.pem(data, "CERTIFICATE"))
            with self.subTest(name):
                answer = self.box.kesu("operator", "add", "新人", "--title", "x", "--key-file", cert, "--role", "approver", "--reason", "r", "--by", SECOND,
                                       "--export", self.box.path / "x", code=2 if how else 0).json
                if how:
                    self.assertIn(said[name], json.dumps(answer["error"], ensure_ascii=False))

    def test_odd_certificates_may_come_along(self):
        """openssl cms -certfile with an authority's old root: whatever kesu takes here, every reader of the bundle takes."""
        erasure = self.plan("small")["erasure"]
        self.request(erasure)
        now, other = datetime.datetime.now(datetime.timezone.utc), ec.generate_private_key(ec.SECP384R1())
        odd = self.box.path / "odd.pem"
        odd.write_bytes(b"".join(bad_certificates.pem(bad_certificates.raw_certificate(other, now, now, serial=n, **how), "CERTIFICATE")
                                 for n, (_, how) in enumerate(bad_certificates.ODD_KINDS, 7)))
        signature, statement = self.box.path / "odd.sig", self.statement("approve", erasure, APPROVER)
        place = self.machine(APPROVER)
        openssl("cms", "-sign", "-binary", "-md", "sha384", "-in", statement, "-signer", place / "cert.pem", "-inkey", place / "key.pem",
                "-certfile", odd, "-outform", "PEM", "-out", signature)
        self.act("approve", erasure, APPROVER, "--signature", signature)
        self.act("approve", erasure, SECOND)
        self.run_erasure(erasure)
        bundle = self.box.path / "odd"
        self.box.kesu("certificate", "bundle", erasure, "-o", bundle)
        asked = self.box.path / "asked"
        proposed = self.box.run(harness.program("kesu"), "trust", "propose", bundle, "--json").json["trust"]
        for anchors, code in (("", 0), (f"officers-ca {place / 'cert.pem'}\n", 0), (f"officers-ca {self.ca.anchor}\n", 7)):
            asked.write_text(proposed + anchors)
            first, second = self.both(bundle, trust=asked, code=code)
            self.assertEqual(first, second)

    def test_enrolled_later_and_revoked(self):
        """The approver with a certificate signs that somebody with another one is enrolled, who signs too, approves, is revoked."""
        box, name = self.box, "新人 花"
        place = box.path / "machines" / "new"
        if not place.exists():
            place.mkdir()
            certified.new_key(place / "key.pem", ("EC", "ec_paramgen_curve:P-256"))
            certified.self_signed(place / "key.pem", place / "cert.pem", name)
        CARDS[name] = ("new", None, ("-md", "sha256", "-outform", "PEM"), False)
        self.addCleanup(CARDS.pop, name)
        export = box.path / "change.json"
        add = ("operator", "add", name, "--title", "Deputy", "--key-file", place / "cert.pem", "--role", "approver", "--reason", "as agreed", "--by", APPROVER)
        box.kesu(*add, "--export", export)
        self.assertRegex(export.read_text(), '"In the certificate sha256:[0-9a-f]{64}"')
        change = box.kesu(*add, "--signature", self.travel(APPROVER, export), code=4).json["change"]
        box.kesu("operator", "sign", change, "--as", SECOND, "--key", box.officer("second").private, code=4)
        box.kesu("operator", "sign", change, "--as", name, "--signature", self.travel(name, export))
        row = next(p for p in box.kesu("operator", "list").json if p["name"] == name)
        self.assertEqual((row["key_type"], row["certificate"]["subject"]), ("x509", f"CN={name},O=Example Bank"))
        self.assertIn("x509 SHA256:", next(l for l in box.text("operator", "review").stdout.splitlines() if name in l))
        self.assertIn((name, "the certificate"), [(d["name"], d["detail"][:15]) for d in box.kesu("status").json["due"]])
        erasure = self.plan("loans-2019")["erasure"]
        self.request(erasure)
        self.act("approve", erasure, name)
        self.act("approve", erasure, SECOND)
        before = box.path / "before-revoked"
        self.box.snapshot("approved")
        self.run_erasure(erasure)
        box.kesu("certificate", "bundle", erasure, "-o", before)
        self.trust.write_text(box.run(harness.program("kesu"), "trust", "propose", before, "--json").json["trust"])
        first, second = self.both(before)
        self.assertEqual((first, first["verdict"]), (second, "complete"))
        box.restore("approved")
        revoke = ("operator", "revoke", name, "--reason", "left", "--by", APPROVER)
        box.kesu(*revoke, "--export", export)
        change = box.kesu(*revoke, "--signature", self.travel(APPROVER, export), code=4).json["change"]
        box.kesu("operator", "sign", change, "--as", SECOND, "--key", box.officer("second").private)
        self.box.kesu("erase", "approve", erasure, "--as", name, "--export", box.path / "x", code=None)
        self.run_erasure(erasure, code=4)                    # his approval died with him
        self.act("approve", erasure, APPROVER)
        self.run_erasure(erasure)
        after = box.path / "after-revoked"
        box.kesu("certificate", "bundle", erasure, "-o", after)
        self.trust.write_text(box.run(harness.program("kesu"), "trust", "propose", after, "--json").json["trust"])
        first, second = self.both(after)
        self.assertEqual((first["verdict"], second["verdict"]), ("complete", "complete"))
        self.assertEqual([e["part"] for e in first["errors"]], [e["part"] for e in second["errors"]])

    def test_a_certificate_that_is_over_signs_nothing(self):
        key, cert = self.box.path / "late.key", self.box.path / "late.pem"
        certified.new_key(key, ("EC", "ec_paramgen_curve:P-256"))
        request = openssl("req", "-new", "-key", key, "-subj", "/CN=late")
        cert.write_text(self.ca.issue(request, start=-300, end=-200)[0])
        said = self.box.kesu("operator", "add", "Late", "--title", "x", "--key-file", cert, "--role", "approver", "--reason", "r", "--by", SECOND,
                             "--export", self.box.path / "x", code=2).json
        self.assertIn("had ended", said["error"]["cause"])

    # What nobody may believe.

    def test_forged_bundles(self):
        issuer = bad_certificates.issuer(reissue.read(self.plain), self)
        folder, tried = self.box.path / "forged", 0
        path = self.box.path / "forged-trust"
        path.write_text(issuer.trust(self.proposed))
        trust, tables = trust_file.read_trust(str(path)), trust_file.Tables()
        for name, files, good in bad_certificates.cases(issuer):
            with self.subTest(name):
                shutil.rmtree(folder, ignore_errors=True)
                reissue.write(files, folder)
                first = self.box.run(harness.program("kesu"), "verify", folder, "--trust", path, *LOW, "--json", code=0 if good else 6).json
                second = verify.verify(dict(files), trust, tables, require="low", allow_test_grade=True)
                self.assertEqual((second["verdict"], first["verdict"]), 2 * ("complete" if good else "invalid",), second["errors"])
                tried += 1
        self.assertGreater(tried, 60)


if __name__ == "__main__":
    scenario.main()
