"""kesu-verify.html with people and rules that were changed after genesis: what `kesu verify` says; forged ones are red."""
import os
import pathlib
import shutil
import sys

try:
    from cryptography.hazmat.primitives.serialization import load_ssh_private_key
except ImportError:
    # Debian's package belongs to Debian's interpreter.
    if sys.executable == "/usr/bin/python3":
        raise
    os.execv("/usr/bin/python3", ["/usr/bin/python3", "-B", *sys.argv])

sys.path.insert(0, str(pathlib.Path(__file__).parents[1] / "support"))
import bad_attests
import bad_changes
import bad_holds
import reissue
import scenario
import verify_page
from scenario import APPROVER, AUDITOR, BOTH, OPERATOR, SECOND

NEW, NEWKEY = "鈴木 次郎", "suzuki"


class VerifyPagePeople(verify_page.Driver, scenario.World):
    @classmethod
    def prepare(cls):
        box = cls.box
        case = cls("setUp")
        by = ("--reason", "as agreed", "--by", APPROVER, "--key", cls.key_of(APPROVER).private)
        # Before anything was changed: what the forged ones are made of.
        box.kesu("key", "create", "small")
        box.kesu("dataset", "add", "small", "--key", "small")
        box.kesu("seal", "small", cls.write("small", b"small"), "-o", box.state / "small")
        erasure = case.approved("small")
        case.run_erasure(erasure)
        cls.issue(erasure, "plain")
        # Somebody is enrolled and approves, another one's approval dies with his enrolment, the quorum is raised.
        cls.seal("loans-2019", {"a": b"one", "b": b"two"})
        box.officer(NEWKEY)
        box.kesu("operator", "grant", AUDITOR, "validator", *by)
        change = box.kesu("operator", "add", NEW, "--title", "Deputy", "--key-file", box.officer(NEWKEY).public, "--role", "approver",
                          "--until", "2040-12-31", *by, code=4).json["change"]
        box.kesu("operator", "sign", change, "--as", NEW, "--key", box.officer(NEWKEY).private)
        box.kesu("vault", "rules", "--quorum", "2", *by)
        erasure = case.plan("loans-2019")["erasure"]
        case.request(erasure)
        case.approve(erasure, SECOND)
        change = box.kesu("operator", "revoke", SECOND, *by, code=4).json["change"]
        box.kesu("operator", "sign", change, "--as", BOTH, "--key", cls.key_of(BOTH).private)
        box.kesu("erase", "approve", erasure, "--as", NEW, "--key", box.officer(NEWKEY).private)
        case.approve(erasure)
        case.run_erasure(erasure)
        cls.issue(erasure)
        cls.open_page()

    def test_as_kesu_verify(self):
        said = self.check()
        self.assertEqual(said["verdict"], "complete", said["errors"])
        kesu = self.kesu_verify(self.bundle, self.trust, "--require", "low", "--allow-test-grade")
        self.assertEqual(len(kesu["errors"]), 1)             # the approval that died, which makes nothing invalid
        self.assertEqual(self.saved(), kesu)

    def test_altered_is_red(self):
        statement = next(self.bundle.glob("approvals/change.*.json"))
        statement.write_text(statement.read_text().replace("as agreed", "as forced"))
        self.red(f"approvals/{statement.name}")

    def test_forged_changes(self):
        files = reissue.read(self.elsewhere / "plain")
        operators = [line.split()[0] for line in files["approvals/allowed_signers"].decode().splitlines()]
        keys = {o: load_ssh_private_key(self.box.officer(key).private.read_bytes(), None) for o, (*_, key) in zip(operators, self.officers)}
        issuer = reissue.Issuer(files, keys)
        tried = 0
        for name, forged, trust, expect in (case for part in (bad_changes, bad_holds, bad_attests) for case in part.cases(issuer, issuer.trust(self.trust))):
            with self.subTest(name):
                folder = self.elsewhere / "forged"
                shutil.rmtree(folder, ignore_errors=True)
                reissue.write(forged, folder)
                said = self.check(folder, trust=trust)
                self.assertEqual(said["verdict"], "complete" if expect == bad_changes.GOOD else "invalid", said["errors"])
                tried += 1
        self.assertGreater(tried, 170)


if __name__ == "__main__":
    scenario.main()
