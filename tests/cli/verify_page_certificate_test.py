"""kesu-verify.html with officers who sign with X.509 certificates: what `kesu verify` says; forged signatures are red."""
import pathlib
import shutil
import sys

sys.path.insert(0, str(pathlib.Path(__file__).parents[1] / "support"))
import debian_python  # noqa: F401
import bad_certificates
import certified
import reissue
import scenario
import verify_page
from certified import VALIDATOR, VERIFIER


class VerifyPageCertificate(verify_page.Driver, certified.World):
    @classmethod
    def prepare(cls):
        super().prepare()
        case = cls("setUp")
        cls.issue(case.erased("small"), "plain")
        cls.issue(case.erased())
        cls.open_page()

    def test_as_kesu_verify(self):
        said = self.check()
        self.assertEqual((said["verdict"], said["errors"]), ("complete", []))
        self.assertEqual(self.saved(), self.kesu_verify(self.bundle, self.trust, "--require", "low", "--allow-test-grade"))

    def test_an_authority_that_is_asked_for(self):
        own = {n: self.machine(n) / "cert.pem" for n in (VERIFIER, VALIDATOR)}
        files = [self.elsewhere / f"{n}.pem" for n in ("root", "mori", "abe")]
        for source, target in zip((self.ca.anchor, *own.values()), files):
            shutil.copy(source, target)
        for anchors in (files, files[1:]):
            trust = self.trust + "".join(f"officers-ca {a.name}\n" for a in anchors)
            said = self.check(trust=trust, trust_files=anchors)
            self.assertEqual(said["verdict"], "complete" if anchors == files else "incomplete", said["text"])
            self.assertEqual(self.saved(), self.kesu_verify(self.bundle, trust, "--require", "low", "--allow-test-grade"))

    def test_forged_bundles(self):
        issuer, tried = bad_certificates.issuer(reissue.read(self.elsewhere / "plain"), self), 0
        trust, folder = issuer.trust(self.trust), self.elsewhere / "forged"
        for name, files, good in bad_certificates.cases(issuer):
            with self.subTest(name):
                shutil.rmtree(folder, ignore_errors=True)
                reissue.write(files, folder)
                said = self.check(folder, trust=trust)
                self.assertEqual(said["verdict"], "complete" if good else "invalid", said["errors"])
                tried += 1
        self.assertGreater(tried, 60)


if __name__ == "__main__":
    scenario.main()
