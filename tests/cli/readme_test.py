"""README.txt of a bundle, typed as it stands there: on one with statements of every kind, of which some people are revoked since."""
import pathlib
import re
import shutil
import sys

sys.path.insert(0, str(pathlib.Path(__file__).parents[1] / "support"))
import harness
import scenario
from scenario import APPROVER, AUDITOR, OPERATOR, SECOND

VERIFIER, VALIDATOR = "森 雪", "阿部 健"
LOW = ("--require", "low", "--allow-test-grade")


class Readme(scenario.World):
    officers = (*scenario.World.officers, (VERIFIER, "Verifier", "verifier", "mori"), (VALIDATOR, "Validator", "validator", "abe"))

    @classmethod
    def write_genesis(cls, path, officers, quorum=1, sign=True, words=("--signed-commands",)):
        return super().write_genesis(path, officers, quorum, sign, words)

    @classmethod
    def prepare(cls):
        box = cls.box
        box.kesu("key", "attest", "loans", *cls.signer(AUDITOR))
        cls.seal("loans-2019", {"a": b"one", "b": b"two"})
        for by in (APPROVER, SECOND):
            hold = box.kesu("hold", "place", "loans-2019", "--case", "2026-118", "--reason", "court order", "--as", AUDITOR).json[0]["id"]
            box.kesu("hold", "release", hold, "--reason", "case closed", *cls.signer(by))
        case = cls("setUp")
        cls.erasure = case.approved("loans-2019")
        case.run_erasure(cls.erasure)
        box.kesu("erase", "verify", cls.erasure, *cls.signer(VERIFIER))
        box.kesu("erase", "validate", cls.erasure, *cls.signer(VALIDATOR))
        for name in (AUDITOR, VERIFIER):
            box.kesu("operator", "revoke", name, "--reason", "left", *cls.signer(APPROVER, "--by"))
        box.kesu("certificate", "bundle", cls.erasure, "-o", box.path / "issued")

    def setUp(self):
        super().setUp()
        if (self.box.path / "issued").is_dir():
            self.bundle = self.box.path / "bundle"
            shutil.rmtree(self.bundle, ignore_errors=True)
            shutil.copytree(self.box.path / "issued", self.bundle)

    def recipe(self):
        lines = [l[4:] for l in (self.bundle / "README.txt").read_text().splitlines() if l.startswith("    ")]
        return "\n".join(l for l in lines if not l.startswith("kesu "))

    def by_hand(self):
        return re.search(r"^```sh\n(.*?)^```", (harness.SOURCE / "docs" / "verify-by-hand.md").read_text(), re.S | re.M)[1]

    def statements(self):
        return sorted(p for p in self.bundle.glob("approvals/*.json") if p.with_name(p.name + ".sig").exists())

    def test_every_statement_is_checked(self):
        kinds = [p.name.split(".")[0] for p in self.statements()]
        for kind, least in (("request", 1), ("approve", 1), ("verify", 1), ("validate", 1), ("key-attest", 1), ("release", 2), ("command", 5)):
            self.assertGreaterEqual(kinds.count(kind), least, kind)
        self.assertIn("valid-before", (self.bundle / "approvals" / "allowed_signers").read_text())
        said = self.box.run("bash", "-euo", "pipefail", "-c", self.recipe(), cwd=self.bundle).stdout
        # Each statement, and the statement of genesis by each of its officers.
        self.assertEqual(said.count('Good "kesu-'), len(self.statements()) + len(self.officers))
        size = (self.bundle / "ledger" / "checkpoint-b").read_text().split("\n")[1]
        self.assertIn(f"\n{size}\n{size}\n1\n", said)
        self.assertEqual(said.count("approvals/request"), 2)                   # of MANIFEST: none without the plan's digest
        said = self.box.run("bash", "-euo", "pipefail", "-c", self.by_hand(), cwd=self.bundle).stdout
        self.assertEqual(said.count('Good "kesu-release-v1"'), 2)

    def test_what_is_altered_is_found(self):
        for statement in {p.name.split(".")[0]: p for p in self.statements()}.values():
            kind = statement.name.split(".")[0]
            whole = statement.read_bytes()
            statement.write_bytes(whole.replace(b'"type": "kesu', b'"type": "Kesu'))
            for name, script in (("README", self.recipe()), ("by hand", self.by_hand())):
                if kind == "command" and name == "by hand":
                    continue
                with self.subTest(kind, by=name):
                    script = "\n".join(l for l in script.split("\n") if "MANIFEST" not in l and not l.startswith("grep -q"))
                    self.assertNotEqual(self.box.run("bash", "-euo", "pipefail", "-c", script, cwd=self.bundle, code=None).code, 0)
            statement.write_bytes(whole)

    def test_the_readers_take_it_and_the_text_is_kept(self):
        trust = self.box.path / "trust"
        trust.write_text(self.box.kesu("trust", "propose", self.bundle, vault=False).json["trust"])
        self.box.kesu("verify", self.bundle, "--trust", trust, *LOW, vault=False)
        self.box.run("/usr/bin/python3", "-B", harness.SOURCE / "scripts" / "verify_certificate.py", self.bundle, "--trust", trust, *LOW)
        again = self.box.path / "again"
        self.box.kesu("certificate", "bundle", self.erasure, "-o", again)
        for name in ("MANIFEST", "README.txt"):
            self.assertEqual((again / name).read_bytes(), (self.bundle / name).read_bytes())


if __name__ == "__main__":
    scenario.main()
