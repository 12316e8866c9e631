"""Time-stamps of the waiting period, to three readers: what they do not show is said, and what was forged is invalid."""
import pathlib
import shutil
import sys
import time

ROOT = pathlib.Path(__file__).resolve().parents[2]
sys.path[:0] = [str(ROOT / "tests" / "support"), str(ROOT / "scripts")]
import debian_python  # noqa: F401
import bad_waiting
import harness
import reissue
import scenario
import tsa
import verify_page
import waiting_test
from kesu_verifier import trust as trust_file
from kesu_verifier import verify as second

BY_HOST, NAMED = "that the waiting period passed is shown by the host's clock alone: ", "the time-stamp over evidence/"
ROW = ("over", "at", "accuracy_ms", "authority", "policy", "algorithm", "certificate_until", "trusted", "revocation")


class WaitingReaders(verify_page.Driver, scenario.World):
    waiting_seconds = bad_waiting.SECONDS

    @classmethod
    def prepare(cls):
        cls.bank, cls.rogue = tsa.Tsa(cls.box.path / "bank", "Bank"), tsa.Tsa(cls.box.path / "rogue", "Rogue")
        cls.seal("loans-2019", {"a": b"one", "b": b"two"})
        case = cls("setUp")
        erasure = case.approved("loans-2019")
        time.sleep(bad_waiting.SECONDS)
        case.run_erasure(erasure)
        cls.issue(erasure)
        cls.open_page()

    def three(self, files, trust, require):
        """Reports of the three readers: kesu's, the second one's, the page's."""
        where, path = self.elsewhere / "one", self.elsewhere / "trust"
        shutil.rmtree(where, ignore_errors=True)
        reissue.write(files, where)
        path.write_text(trust)
        names = [line.split()[1] for line in trust.splitlines() if line.startswith("tsa-ca ")]
        page = self.check(where, trust=trust + "".join(pathlib.Path(n).read_text() for n in names), profile=require)
        return (self.kesu_verify(where, trust, "--require", require, "--allow-test-grade"),
                second.verify(dict(files), trust_file.read_trust(str(path)), self.tables, require=require, allow_test_grade=True),
                self.saved() if page["verdict"] == "incomplete" else page)

    def told(self, report):
        """What a report says of the waiting period: its rows, shortfalls and words."""
        rows = [{name: row[name] for name in ROW} for row in report["time"]]
        short = [s for s in report["shortfalls"] if "waiting period passed" in s or "evidence/" in s]
        claim = next(c for c in report["claims"] if c["id"] == "authorised")
        return rows, short, claim["level"], claim["detail"]

    def expected(self, case, report):
        why, words, counts = case.expect
        rows = [r for r in report["time"] if r["over"].startswith("evidence/")]
        self.assertEqual([r["trusted"] for r in rows], counts)
        self.assertEqual([s[len(BY_HOST):] for s in report["shortfalls"] if s.startswith(BY_HOST)], [f"{why}; profile standard asks for time-stamps"] if why else [])
        # Those that do not count are named where the period is not shown without them.
        self.assertEqual(len([s for s in report["shortfalls"] if s.startswith(NAMED)]), counts.count(False) if why else 0)
        self.assertEqual(len([s for s in report["shortfalls"] if s.startswith("whether the authority of the time-stamp over evidence/")]),
                         sum(r["trusted"] and r["revocation"]["state"] != "good" for r in rows))
        claim = next(c for c in report["claims"] if c["id"] == "authorised")
        self.assertEqual(claim["level"], case.level)
        self.assertIn(words + (", counted from entry" if "the clock was set" in case.name else ""), claim["detail"])
        self.assertEqual(("time-stamped" in claim["detail"], "by the host's clock" in claim["detail"]), ("time-stamped" in words, "by the host" in words))

    def test_they_agree(self):
        self.tables = trust_file.Tables()
        issuer = reissue.Issuer(reissue.read(self.bundle), reissue.keys_by_operator(self.bundle, self))
        for n, case in enumerate(bad_waiting.cases(issuer, issuer.trust(self.trust), self.bank, self.rogue)):
            with self.subTest(case.name):
                reports = self.three(case.files, case.trust, "standard")
                self.assertEqual([r["verdict"] for r in reports], ["incomplete" if case.expect else "invalid"] * 3,
                                 (case.name, [r["errors"] for r in reports]))
                if case.expect:
                    self.assertEqual([self.told(r) for r in reports], [self.told(reports[1])] * 3)
                    self.assertEqual([r["shortfalls"] for r in reports], [reports[1]["shortfalls"]] * 3)
                    self.expected(case, reports[1])
                    if case.name in ("the whole period", "none, by the host's clock", "outside of the rules"):
                        # A bar that asks for no time-stamps asks for none of these.
                        self.assertEqual([r["verdict"] for r in self.three(case.files, case.trust, "low")], ["complete"] * 3)


class CompleteAtStandard(verify_page.Driver, waiting_test.StandardVault):
    """A vault of that profile, its day between approvals and destruction, and nothing missing: then one thing after the other."""
    @classmethod
    def prepare(cls):
        super().prepare()
        cls.authority_at("-30h")
        case = cls("setUp")
        erasure = case.twice_approved()
        for clock in (cls.host_at, cls.authority_at):
            clock("+0")
        case.run_erasure(erasure)
        lists = cls.box.path / "lists.pem"
        lists.write_text(cls.tsa.lists(0.01))
        with open(cls.box.vault / "kesu.toml", "a") as config:
            config.write(f'[certificate]\ncrl = "{lists}"\n')
        cls.issue(erasure)
        cls.open_page()

    def test_they_agree(self):
        self.host_at("+0")
        root, path, where = f"tsa-ca {self.tsa.root}\n", self.elsewhere / "trust", self.elsewhere / "one"
        files, tables, own = reissue.read(self.bundle), trust_file.Tables(), self.trust
        unlisted = {name: data for name, data in files.items() if name != "trust/signer.crl"}
        for name, files, trust, short in (("nothing is missing", files, own + root, 0), ("no lists", unlisted, own + root, 5), ("no authority that the reader knows", files, own, 8)):
            with self.subTest(name):
                shutil.rmtree(where, ignore_errors=True)
                reissue.write(files, where)
                kesu = self.kesu_verify(where, trust, "--require", "standard", "--allow-test-grade")
                python = second.verify(dict(files), trust_file.read_trust(str(path)), tables, require="standard", allow_test_grade=True)
                self.check(where, trust=trust + (self.tsa.root.read_text() if "tsa-ca" in trust else ""), profile="standard")
                page = self.saved()
                self.assertEqual(kesu, python)
                self.assertEqual([(r["verdict"], r["errors"]) for r in (kesu, page)], [("incomplete" if short else "complete", [])] * 2)
                self.assertEqual(kesu["shortfalls"], page["shortfalls"])
                self.assertEqual(len(kesu["shortfalls"]), short, kesu["shortfalls"])
                self.assertEqual([s for s in kesu["shortfalls"] if s.startswith(BY_HOST)], [BY_HOST + bad_waiting.NONE + "; profile standard asks for time-stamps"] if short == 8 else [])


if __name__ == "__main__":
    scenario.main()
