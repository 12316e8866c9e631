"""Where checkpoint A lies, to three readers: it covers the whole erasure, or what took an approval away could be left out."""
import pathlib
import shutil
import sys

ROOT = pathlib.Path(__file__).resolve().parents[2]
sys.path[:0] = [str(ROOT / "tests" / "support"), str(ROOT / "scripts")]
import debian_python  # noqa: F401
import reissue
import scenario
import verify_page
from certificate_facts_test import VALIDATOR, VERIFIER
from kesu_verifier import trust as trust_file
from kesu_verifier import verify as second

LOW = ("--require", "low", "--allow-test-grade")
PART = "ledger/checkpoint-a"


class CheckpointAReaders(verify_page.Driver, scenario.World):
    officers = (*scenario.World.officers, (VERIFIER, "Verifier", "verifier", "mori"), (VALIDATOR, "Validator", "validator", "abe"))

    @classmethod
    def prepare(cls):
        cls.seal("loans-2019", {"a": b"one", "b": b"two"})
        cls.box.kesu("key", "rotate", "loans")
        cls.seal("loans-2019", {"c": b"three"})
        case = cls("setUp")
        erasure = case.approved("loans-2019")
        case.run_erasure(erasure)
        cls.issue(erasure)
        cls.open_page()

    def three(self, files):
        where, path = self.elsewhere / "case", self.elsewhere / "second-trust"      # kesu_verify writes its own
        shutil.rmtree(where, ignore_errors=True)
        reissue.write(files, where)
        kesu, python, page = verify_page.together(
            lambda: self.kesu_verify(where, self.reader, *LOW),
            lambda: second.verify(dict(files), trust_file.read_trust(str(path)), self.tables, require="low", allow_test_grade=True),
            lambda: self.check(where, trust=self.reader))
        return [(r["verdict"], {e["part"] for e in r["errors"]}) for r in (kesu, python)] + [(page["verdict"], set(page["parts"]))]

    def test_they_agree(self):
        issuer = reissue.Issuer(reissue.read(self.bundle), reissue.keys_by_operator(self.bundle, self))
        self.reader, self.tables = issuer.trust(self.trust), trust_file.Tables()
        (self.elsewhere / "second-trust").write_text(self.reader)

        def until(kind, stage, nth=-1, more=0):
            def edit(p):
                p.size_a, p.certificate["stage"] = p.find(kind, nth).was + more, stage
            return issuer.issue(edit)
        self.assertEqual(self.three(issuer.issue()), [("complete", set())] * 3)
        for kind, stage, nth, good in (("erasure-requested", "", -1, False), ("erasure-approved", "requested", -1, False), ("erasure-started", "approved", -1, False),
                                       ("destroy-intended", "running", 0, False), ("destroy-done", "running", 0, False), ("destroy-done", "running", -1, False),
                                       ("erasure-inspected", "running", -1, False), ("dataset-erased", "destroyed", -1, True)):
            with self.subTest(f"up to {kind} {nth}"):
                said = self.three(until(kind, stage, nth))
                if good:
                    self.assertEqual(said, [("complete", set())] * 3)
                else:
                    self.assertEqual([(verdict, PART in parts) for verdict, parts in said], [("invalid", True)] * 3, said)


if __name__ == "__main__":
    scenario.main()
