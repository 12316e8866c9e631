"""Trust anchors of the rules, to three readers: what is not of the rules supports nothing, and what was forged is invalid."""
import gzip
import json
import pathlib
import shutil
import sys

ROOT = pathlib.Path(__file__).resolve().parents[2]
sys.path[:0] = [str(ROOT / "tests" / "support"), str(ROOT / "scripts")]
import debian_python  # noqa: F401
import bad_anchors
import harness
import reissue
import scenario
import tsa
import verify_page
from kesu_verifier import trust as trust_file
from kesu_verifier import verify as second

LOW = ("--require", "low", "--allow-test-grade")
NOT_OF_RULES = "not of the rules: those in force at the request name other time-stamp authorities"


class AnchorsReaders(verify_page.Driver, scenario.World):
    @classmethod
    def prepare(cls):
        cls.bank, cls.rogue = tsa.Tsa(cls.box.path / "bank", "Bank"), tsa.Tsa(cls.box.path / "rogue", "Rogue")
        cls.seal("loans-2019", {"a": b"one", "b": b"two"})
        case = cls("setUp")
        erasure = case.approved("loans-2019")
        case.run_erasure(erasure)
        cls.issue(erasure)
        cls.open_page()

    def levels(self, report):
        return tuple(next(c["level"] for c in report["claims"] if c["id"] == name) for name in ("dated", "logged"))

    def test_they_agree(self):
        issuer = reissue.Issuer(reissue.read(self.bundle), reissue.keys_by_operator(self.bundle, self))
        tables, where = trust_file.Tables(), self.elsewhere / "case"
        path = self.elsewhere / "trust"
        for case in bad_anchors.cases(issuer, issuer.trust(self.trust), self.bank, self.rogue):
            with self.subTest(case.name):
                shutil.rmtree(where, ignore_errors=True)
                reissue.write(case.files, where)
                path.write_text(case.trust)
                result = self.box.run(harness.program("kesu"), "verify", where, "--trust", path, *LOW, "--json", code=(0, 6))
                kesu = result.json
                python = second.verify(dict(case.files), trust_file.read_trust(str(path)), tables, require="low", allow_test_grade=True)
                names = [line.split()[1] for line in case.trust.splitlines() if line.startswith("tsa-ca ")]
                page = self.check(where, trust=case.trust + "".join(pathlib.Path(n).read_text() for n in names))
                self.assertEqual([r["verdict"] for r in (kesu, python, page)], ["complete" if case.expect else "invalid"] * 3,
                                 (case.name, kesu["errors"], python["errors"], page["errors"]))
                if not case.expect:
                    continue
                self.assertEqual([self.levels(kesu), self.levels(python), (page["levels"]["dated"], page["levels"]["logged"])], [case.expect] * 3)
                self.assertEqual([(t["over"], t["trusted"], t["revocation"]) for t in python["time"]],
                                 [(t["over"], t["trusted"], t["revocation"]) for t in kesu["time"]])
                saved = self.saved()
                short = second.verify(dict(case.files), trust_file.read_trust(str(path)), tables, require="high", allow_test_grade=True)
                self.assertEqual(self.kesu_verify(where, case.trust, "--require", "high", "--allow-test-grade")["shortfalls"], short["shortfalls"])
                told = [[t["over"] for t in r["time"] if t["why"] == NOT_OF_RULES] for r in (kesu, python, saved)]
                self.assertEqual(told, [told[0]] * 3)
                self.assertEqual(bool(told[0]), "of another" in case.name or case.name in ("all of others", "all of another than genesis says", "taken off after the request"))

    def three(self, files, trust, require):
        """Reports of the three readers: kesu's, the second one's, the page's."""
        where, path = self.elsewhere / "one", self.elsewhere / "trust"
        shutil.rmtree(where, ignore_errors=True)
        reissue.write(files, where)
        path.write_text(trust)
        kesu = self.box.run(harness.program("kesu"), "verify", where, "--trust", path, "--require", require, "--allow-test-grade", "--json", code=(0, 6, 7)).json
        python = second.verify(dict(files), trust_file.read_trust(str(path)), trust_file.Tables(), require=require, allow_test_grade=True)
        names = [line.split()[1] for line in trust.splitlines() if line.startswith("tsa-ca ")]
        page = self.check(where, trust=trust + "".join(pathlib.Path(n).read_text() for n in names), profile=require)
        return kesu, python, page

    def maker(self):
        issuer = reissue.Issuer(reissue.read(self.bundle), reissue.keys_by_operator(self.bundle, self))
        return bad_anchors.Maker(issuer, issuer.trust(self.trust), self.bank, self.rogue)

    def test_too_few_of_the_rules_signed(self):
        """The reader trusts one who signed: that two had to is what he is told, not that he trusts nobody."""
        m = self.maker()
        files = m.bundle([m.rules(m.anchors(witnesses=[m.w1, m.w2], quorum=2))], cosigned=[m.w1])
        kesu, python, _ = self.three(files, m.trust, "high")
        for report in (kesu, python, self.saved()):
            self.assertIn("1 of the 2 witnesses that the rules ask for signed, so none counts; profile high asks for 1", report["shortfalls"])
            self.assertFalse([s for s in report["shortfalls"] if "trusted witness" in s])

    def test_headers_cut_before_the_request(self):
        """Invalid; and nobody takes the rules that are shown for none."""
        m = self.maker()
        files = m.bundle([m.rules(m.anchors(time=[(self.bank, "root")]))], inside=self.rogue, beside=self.rogue, over_b=self.rogue)
        lines = gzip.decompress(files["ledger/headers.gz"]).splitlines(True)
        end = next(i for i, line in enumerate(lines) if b'"type":"rules-changed"' in line) + 1
        files["ledger/headers.gz"] = reissue.gz(b"".join(lines[:end]))
        files["ledger/bodies.jsonl"] = b"".join(line + b"\n" for line in files["ledger/bodies.jsonl"].splitlines() if json.loads(line)["seq"] < end)
        kesu, python, page = self.three(files, m.trust, "low")
        self.assertEqual([r["verdict"] for r in (kesu, python, page)], ["invalid"] * 3)
        self.assertEqual([self.levels(kesu)[0], self.levels(python)[0]], ["absent"] * 2)
        self.assertIn(page["levels"].get("dated"), (None, "absent"))


if __name__ == "__main__":
    scenario.main()
