"""kesu-verify.html on the bundle of an erasure whose key was in shares: what `kesu verify` says, and red where an end was altered."""
import json
import pathlib
import sys

sys.path.insert(0, str(pathlib.Path(__file__).parents[1] / "support"))
import key_share_test
import scenario
import verify_page


SCRIPT = verify_page.harness.SOURCE / "scripts" / "verify_certificate.py"


class Shared(verify_page.Driver, scenario.World):
    make_vault = False
    documents = True                    # of the shares' ends; else somebody's word alone
    # How, not what is tested there.
    share, plain, end, erased = (getattr(key_share_test.Shares, name) for name in ("share", "plain", "end", "erased"))
    secret = staticmethod(key_share_test.Shares.secret)

    @classmethod
    def prepare(cls):
        key_share_test.Shares.prepare.__func__(cls)
        case = cls("setUp")
        for tape in ("tape 1", "tape 2"):  # of one custodian
            copy = cls.box.kesu("copy", "add", "short.1", "--kind", "backup", "--place", tape, "--custodian", "Ito").json["id"]
            document = cls.box.path / "document"
            document.write_text(f"{tape} was shredded\n")
            case.end(copy, document)
        cls.made, _, erasure = case.erased(cls.documents)
        cls.issue(erasure)
        cls.open_page()


class VerifyPageShares(Shared):
    def test_as_kesu_verify(self):
        said = self.check()
        self.assertEqual((said["verdict"], said["errors"], said["levels"]["copies"], said["levels"]["exclusivity"]),
                         ("incomplete", [], "recorded", "proven"))  # a keystore's key: its origin is asserted
        kesu = self.kesu_verify(self.bundle, self.trust, "--require", "low", "--allow-test-grade")
        self.assertEqual(self.saved(), kesu)
        other = self.box.run(sys.executable, "-B", SCRIPT, self.bundle, "--trust", self.elsewhere / "trust", "--require", "low",
                             "--allow-test-grade", "--json", code=7).json
        for report in (kesu, other):
            self.assertEqual(report["errors"], [])
            claim = next(c for c in report["claims"] if c["id"] == "copies")
            for row in self.made["shares"]:
                self.assertIn(f"{row['copy']} ended", claim["detail"])
            self.assertEqual((len(claim["rests_on"]), claim["rests_on"].count("statement of Ito")), (5, 2))

    def test_an_altered_statement_is_red(self):
        statement = next(p for p in (self.bundle / "evidence").iterdir() if b"was shredded" in p.read_bytes())
        statement.write_bytes(statement.read_bytes().replace(b"was shredded", b"was not seen"))
        self.red(f"evidence/{statement.name}")

    def test_a_copy_left_out_is_red(self):
        path = self.bundle / "certificate.json"
        document = json.loads(path.read_text())
        document["copies"].pop()
        path.write_text(json.dumps(document, separators=(",", ":"), sort_keys=True, ensure_ascii=False))
        self.red("certificate.json")


class VerifyPageWordsAlone(Shared):
    documents = False

    def test_as_kesu_verify(self):
        said = self.check()
        self.assertEqual((said["errors"], said["levels"]["copies"]), ([], "asserted"))
        self.assertEqual(self.saved(), self.kesu_verify(self.bundle, self.trust, "--require", "low", "--allow-test-grade"))


if __name__ == "__main__":
    scenario.main()
