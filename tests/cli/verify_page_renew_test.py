"""kesu-verify.html with renewals: the same report as `kesu verify`, and what is tampered with is red."""
import pathlib
import shutil
import sys

sys.path.insert(0, str(pathlib.Path(__file__).parents[1] / "support"))
import reissue
import renew_world
import renewals
import scenario
import verify_page
from clock_test import at
from renew_world import LOW, REQUIRED


class VerifyPageRenew(verify_page.Driver, renew_world.World):
    @classmethod
    def prepare(cls):
        super().prepare()
        cls.pasted = cls.trust.replace(str(cls.tsa.root), "root.pem") + pathlib.Path(cls.tsa.root).read_text()
        cls.open_page()

    def setUp(self):
        super().setUp()
        self.bundle = self.elsewhere / "bundle"
        shutil.rmtree(self.bundle, ignore_errors=True)
        shutil.copytree(self.elsewhere / "twice", self.bundle)

    def test_as_kesu_verify(self):
        for name, word, levels in (("twice", "", ("attested", "proven")), ("twice", REQUIRED, ("attested", "proven")),
                                   ("once", REQUIRED, ("absent", "asserted")), ("issued", REQUIRED, ("absent", "asserted")),
                                   ("issued", "", ("attested", "proven"))):
            with self.subTest(name, word=word):
                said = self.check(self.elsewhere / name, trust=word + self.pasted)
                self.assertEqual((said["verdict"], (said["levels"]["dated"], said["levels"]["logged"])), ("incomplete", levels), said["errors"])
                saved, kesu = self.saved(), self.kesu_verify(self.elsewhere / name, word + self.trust, *LOW)
                for report in (saved, kesu):                 # what a probe outside of the past is not able to show
                    report["claims"] = [c for c in report["claims"] if c["id"] != "verified-gone"]
                self.assertEqual({k: (saved[k], v) for k, v in kesu.items() if saved[k] != v}, {})
                self.assertEqual(set(saved), set(kesu))

    def test_an_authority_that_was_revoked_renews_nothing(self):
        self.tsa.revoke("tsa", renew_world.day(-10))
        (self.bundle / "trust" / "signer.crl").write_text(self.tsa.lists())
        said = self.check(trust=REQUIRED + self.pasted)
        kesu = self.kesu_verify(self.bundle, REQUIRED + self.trust, *LOW)
        self.assertEqual(self.saved()["time"], kesu["time"])
        self.assertEqual((said["levels"]["dated"], kesu["time"][-1]["revocation"]["state"]), ("absent", "revoked"))

    def test_tampered_is_red(self):
        b = self.bundle
        manifest, ledger = b / "renewal/2.manifest", b / "renewal/2.ledger"
        digest = ledger.read_text()
        for path, data in ((manifest, manifest.read_text().partition("\n")[2]), (ledger, ("1" if digest[0] == "0" else "0") + digest[1:])):
            keep = path.read_bytes()
            path.write_text(data)
            self.red("renewal/2.", trust=self.pasted)
            path.write_bytes(keep)
        for name in ("ledger", "manifest", "manifest.tsr", "tsa.pem"):
            shutil.copy(b / f"renewal/2.{name}", b / f"renewal/3.{name}")
        self.red("renewal/3.manifest", trust=self.pasted)
        for path in b.glob("renewal/[13].*"):
            path.unlink()
        self.red("renewal/1.", trust=self.pasted)
        shutil.rmtree(b / "renewal")
        self.red("renewal/2.", trust=self.pasted)

    def test_an_unfaithful_issuer(self):
        files = reissue.read(self.elsewhere / "issued")
        keys = self.officer_keys(files)
        drop = lambda text: "".join(l + "\n" for l in text.splitlines() if not l.endswith("  plan.json"))
        for name, days, wrong, part in (("good", -150, {}, None), ("late", -50, {}, None), ("left out", -150, {"manifest": drop}, "renewal/2.manifest"),
                                        ("other bytes", -150, {"token_over": b"other"}, "renewal/2.manifest.tsr"),
                                        ("other headers", -150, {"ledger": lambda t: "0" * 128 + t[128:]}, "renewal/2.ledger")):
            with self.subTest(name):
                forger = renewals.Forger(files, keys, self.tsa)
                self.authority("Second Time", -260, -60)
                forger.renew({**at("-250d"), "PATH": "/usr/bin:/bin"})
                self.authority("Third Time", -300, 4000)
                forger.renew({**at(f"{days}d"), "PATH": "/usr/bin:/bin"}, **wrong)
                folder = self.elsewhere / "forged"
                shutil.rmtree(folder, ignore_errors=True)
                reissue.write(forger.files, folder)
                if part:
                    self.red(part, folder, trust=forger.issuer.trust(self.pasted))
                    continue
                said = self.check(folder, trust=forger.issuer.trust(self.pasted))
                self.assertEqual(said["verdict"], "incomplete", said["errors"])
                kesu = self.kesu_verify(folder, forger.issuer.trust(self.trust), *LOW)
                self.assertEqual(self.saved()["time"], kesu["time"])
                self.assertEqual(kesu["time"][-1]["trusted"], name == "good")


if __name__ == "__main__":
    scenario.main()
