"""`kesu certificate countersign`: an auditor signs certificate.json with openssl on his own machine; three readers show whose it is,
refuse what is not good, and never think more of the certificate for it."""
import pathlib
import re
import shutil
import sys

ROOT = pathlib.Path(__file__).resolve().parents[2]
sys.path[:0] = [str(ROOT / "tests" / "support"), str(ROOT / "scripts")]
import debian_python  # noqa: F401
import certified
import chromium
import countersigned
import harness
import reissue
import scenario
import verify_page
from kesu_verifier import trust as trust_file
from kesu_verifier import verify

LOW = ("--require", "low", "--allow-test-grade")
VALIDATOR_KEY = ("RSA", "rsa_keygen_bits:3072")


class Countersign(verify_page.Driver, scenario.World):
    @classmethod
    def setUpClass(cls):
        cls.page_there = bool(chromium.program())
        super(verify_page.Driver, cls).setUpClass()

    @classmethod
    def prepare(cls):
        cls.seal("loans-2019", {"a": b"one", "b": b"two"})
        case = cls("issue")
        erasure = case.approved("loans-2019")
        case.run_erasure(erasure)
        cls.issue(erasure)
        cls.auditor = countersigned.person(cls.box.path / "auditor", "監査 役")
        cls.validator = countersigned.person(cls.box.path / "validator", "V", VALIDATOR_KEY)
        if cls.page_there:
            cls.open_page()

    def setUp(self):
        if self.page_there:
            super().setUp()
        else:
            scenario.World.setUp(self)
            self.bundle = self.elsewhere / "issued"
        self.out = self.box.path / "countersigned"
        shutil.rmtree(self.out, ignore_errors=True)

    def tearDown(self):
        if self.page_there:
            super().tearDown()

    def digest(self, place):
        text = certified.openssl("x509", "-in", place / "cert.pem", "-noout", "-fingerprint", "-sha256")
        return text.partition("=")[2].strip().replace(":", "").lower()

    def readers(self, bundle, trust):
        """The reports of all three."""
        first = self.kesu_verify(bundle, trust, *LOW)
        path = self.elsewhere / "trust"
        second = verify.verify(str(bundle), trust_file.read_trust(str(path)), trust_file.Tables(), require="low", allow_test_grade=True)
        out = [first, second]
        if self.page_there:
            self.check(bundle, trust=trust)
            out.append(self.saved())
        return out

    def test_an_auditor_and_a_validator(self):
        before = self.kesu_verify(self.bundle, self.trust, *LOW)
        self.assertEqual((before["verdict"], "countersignatures" in before), ("complete", False))
        for n, (place, form) in enumerate(((self.auditor, "DER"), (self.validator, "PEM")), 2):
            signature = self.box.path / "from-there"
            content = (self.bundle / "certificate.json").read_bytes()
            signature.write_bytes(countersigned.sign(place, content, "-cades", "-md", "sha384", "-outform", form))
            source = self.bundle if n == 2 else self.out
            target = self.out if n == 2 else self.box.path / "both.zip"
            target.unlink(missing_ok=True) if target.suffix else None
            done = self.box.run(harness.program("kesu"), "certificate", "countersign", source, "--signature", signature, "-o", target, "--json").json
            self.assertEqual((done["file"], done["certificate"]), (f"certificate.json.{n}.p7s", self.digest(place)))
        trust = self.trust + f"countersigner sha256:{self.digest(self.auditor)}\n"
        for report in self.readers(target, trust):
            rows = report.pop("countersignatures")
            self.assertEqual([(r["file"], r["certificate"], r["known"]) for r in rows],
                             [("certificate.json.2.p7s", self.digest(self.auditor), True), ("certificate.json.3.p7s", self.digest(self.validator), False)])
            self.assertEqual(rows[0]["signer"], "CN=監査 役,O=Example Bank")
            self.assertEqual(report, before)                 # nothing else is said because of it
        self.assertIn("countersigned by", self.box.run(harness.program("kesu"), "verify", target, *LOW, code=7).stdout)

    def test_stock_tools(self):
        page = (harness.SOURCE / "docs" / "verify-by-hand.md").read_text()
        line = re.search(r"^`(openssl cms [^`]*certificate\.json\.2\.p7s[^`]*)`", page, re.M)[1]
        (self.bundle / "certificate.json.2.p7s").write_bytes(countersigned.sign(self.auditor, (self.bundle / "certificate.json").read_bytes()))
        said = self.box.run("bash", "-euo", "pipefail", "-c", line, cwd=self.bundle).stdout
        self.assertIn(self.digest(self.auditor), said.replace(":", "").lower())
        (self.bundle / "certificate.json.2.p7s").unlink()

    def test_what_is_refused(self):
        content = (self.bundle / "certificate.json").read_bytes()
        file = self.box.path / "signature"
        run = lambda *words, **options: self.box.run(harness.program("kesu"), "certificate", "countersign", *words, "-o", self.out, "--json", **options)
        self.assertIn("openssl cms -sign", run(self.bundle, code=2).json["error"]["next"])
        for data in (countersigned.sign(self.auditor, content + b" "), countersigned.sign(self.auditor, content, "-md", "sha384", "-outform", "DER"), b"text"):
            file.write_bytes(data)
            run(self.bundle, "--signature", file, code=6, error="signature-bad")
        file.write_bytes(countersigned.sign(self.auditor, content))
        altered = self.elsewhere / "altered"
        shutil.rmtree(altered, ignore_errors=True)
        shutil.copytree(self.bundle, altered)
        (altered / "plan.json").write_bytes(b"{}")
        run(altered, "--signature", file, code=6, error="bundle-invalid")
        self.assertFalse(self.out.exists())
        run(self.bundle, "--signature", file)
        again = self.box.path / "again"
        said = self.box.run(harness.program("kesu"), "certificate", "countersign", self.out, "--signature", file, "-o", again, "--json", code=None)
        self.assertEqual(said.error_code, "already-exists")
        self.assertFalse(again.exists())
        self.assertEqual(run(self.bundle, "--signature", file, code=None).error_code, "already-exists")

    def test_good_and_bad_ones(self):
        files, tried = reissue.read(self.elsewhere / "issued"), 0
        folder, path = self.elsewhere / "case", self.elsewhere / "trust"
        for name, changed, rows in countersigned.cases(files, self.auditor, self.validator):
            with self.subTest(name):
                shutil.rmtree(folder, ignore_errors=True)
                reissue.write(changed, folder)
                for report in self.readers(folder, self.trust):
                    if "error" in report:                    # no file of a bundle at all
                        report = {"verdict": "invalid" if report["error"]["code"] == "bundle-invalid" else "?", "errors": report}
                    self.assertEqual(report["verdict"], "complete" if rows else "invalid", report["errors"])
                    if rows:
                        self.assertEqual([r["file"] for r in report["countersignatures"]], rows)
                tried += 1
        self.assertGreater(tried, 25)


if __name__ == "__main__":
    scenario.main()
