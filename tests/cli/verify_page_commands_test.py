"""kesu-verify.html with signed commands: what `kesu verify` says; forged ones are red, unsigned entries amber."""
import pathlib
import shutil
import sys

sys.path.insert(0, str(pathlib.Path(__file__).parents[1] / "support"))
import debian_python  # noqa: F401
from cryptography.hazmat.primitives.serialization import load_ssh_private_key
import bad_commands
import reissue
import scenario
import verify_page


class VerifyPageCommands(verify_page.Driver, scenario.World):
    @classmethod
    def write_genesis(cls, path, officers, quorum=1, sign=True, words=("--signed-commands",)):
        return super().write_genesis(path, officers, quorum, sign, words)

    @classmethod
    def prepare(cls):
        case = cls("setUp")
        cls.seal("loans-2019", {"a": b"one", "b": b"two"})
        erasure = case.plan("loans-2019")["erasure"]
        case.request(erasure)
        case.approve(erasure, env={"KESU_OPERATOR": "", "KESU_OPERATOR_KEY": ""})
        case.run_erasure(erasure)
        cls.issue(erasure)
        cls.open_page()

    def test_as_kesu_verify(self):
        said = self.check()
        self.assertEqual((said["verdict"], said["errors"]), ("complete", []))
        self.assertEqual(self.saved()["evidence_chain"], self.report()["evidence_chain"])

    def report(self):
        path = self.elsewhere / "trust"
        path.write_text(self.trust)
        return self.box.kesu("verify", self.bundle, "--trust", path, "--require", "low", "--allow-test-grade", vault=False).json

    def test_forged(self):
        keys = [load_ssh_private_key(self.box.officer(key).private.read_bytes(), None) for *_, key in self.officers]
        verdicts = {0: "complete", 6: "invalid", 7: "incomplete"}
        for name, files, trust, code in bad_commands.cases(reissue.read(self.bundle), self.trust, keys):
            with self.subTest(name):
                folder = self.elsewhere / "forged"
                shutil.rmtree(folder, ignore_errors=True)
                reissue.write(files, folder)
                said = self.check(folder, trust=trust)
                self.assertEqual(said["verdict"], verdicts[code], said["errors"])
                if code == 7:
                    self.assertEqual(said["levels"]["authorised"], "asserted")


if __name__ == "__main__":
    scenario.main()
