"""For the scenario tests: one prepared vault per class, put back before every test, and what people do with it.

    class Erase(scenario.World):
        @classmethod
        def prepare(cls):                       # after the vault itself: one key `loans`, one dataset `loans-2019`
            cls.seal("loans-2019", {"a.txt": b"one"})
"""
import json
import os
import re
import shutil
import sys
from pathlib import Path

import harness

MODULE = "/usr/lib/softhsm/libsofthsm2.so"
CHUNK = 16384
# Names of the people of every vault here, and the roles they have.
OPERATOR, APPROVER, BOTH, SECOND, AUDITOR = "田中 一郎", "佐藤 花子", "Both Ways", "Second Approver", "An Auditor"


class World(harness.TestCase):
    """A vault of profile low with five officers, the key `loans` and the dataset loans-2019 (16 KiB chunks)."""
    make_vault = True
    quorum = 1
    waiting_seconds = None                                                 # else what its genesis statement asks for
    officers = ((OPERATOR, "Key operator", "operator", "tanaka"), (APPROVER, "CISO", "approver", "sato"),
                (BOTH, "Deputy", "operator,approver", "both"), (SECOND, "Deputy CISO", "approver", "second"),
                (AUDITOR, "Auditor", "auditor", "auditor"))

    @classmethod
    def setUpClass(cls):
        super().setUpClass()
        cls.box = box = harness.Sandbox(ram=True)
        cls.addClassCleanup(box.close)
        box.token()
        cls.pin_file = Path(re.search(r"pin-source=file:([^&]+)", box.token_uri)[1])
        cls.pin = cls.pin_file.read_text()
        cls.out = box.state / "out"
        cls.genesis = cls.write_genesis(box.path / "genesis.json", cls.officers, cls.quorum)
        if cls.make_vault:
            box.kesu("init", box.vault, "--genesis", cls.genesis, "--provider", box.token_uri)
            box.kesu("key", "create", "loans")
            box.kesu("dataset", "add", "loans-2019", "--key", "loans", "--chunk", str(CHUNK),
                     "--contract", "CLOUD-2023-11")
        cls.prepare()
        box.snapshot("prepared")

    @classmethod
    def prepare(cls):
        """More that every test of the class begins with."""

    def setUp(self):
        # Not harness.TestCase.setUp: the box is the class's, its state as prepared.
        self.box.restore("prepared")

    # People.

    @classmethod
    def write_genesis(cls, path, officers, quorum=1, sign=True, words=()):
        box = cls.box
        for *_, key in officers:
            box.officer(key)
        people = [w for name, title, roles, key in officers
                  for w in ("--officer", f"{name};{title};{roles};{box.officer(key).public}")]
        box.kesu("init", "--draft", path, "--org", "Example Bank", "--origin", "bank.example", "--quorum", str(quorum),
                 *words, *people, vault=False)
        if cls.waiting_seconds is not None:
            document = json.loads(Path(path).read_bytes()) | {"waiting_seconds": cls.waiting_seconds}
            Path(path).write_text(json.dumps(document, ensure_ascii=False, indent=2, sort_keys=True) + "\n")
        for *_, key in officers if sign else ():
            cls.sign_genesis(path, key)
        if {"high", "--signed-commands"} & set(words):  # commands are signed by who runs them: the first operator
            name, *_, key = next(o for o in officers if "operator" in o[2])
            box.env |= {"KESU_OPERATOR": name, "KESU_OPERATOR_KEY": str(box.officer(key).private)}
        return path

    @classmethod
    def sign_genesis(cls, path, key, name_space="kesu-genesis-v1"):
        signature = Path(f"{path}.{key}.sig")
        signature.write_bytes(cls.box.officer(key).sign(name_space, Path(path).read_bytes()))
        return signature

    @classmethod
    def key_of(cls, name):
        return next(cls.box.officer(key) for n, _, _, key in cls.officers if n == name)

    @classmethod
    def signer(cls, name, word="--as"):
        return (word, name, "--key", cls.key_of(name).private)

    # The daily path.

    @classmethod
    def write(cls, name, data=b"data\n", mode=0o644, mtime=1_700_000_000_123_456_789, below="src"):
        """A source file below state/src/; name may be bytes."""
        path = os.path.join(os.fsencode(cls.box.state / below), os.fsencode(name))
        os.makedirs(os.path.dirname(path), exist_ok=True)
        if os.path.lexists(path):
            os.unlink(path)
        with open(path, "wb") as file:
            file.write(data)
        os.chmod(path, mode)
        os.utime(path, ns=(mtime, mtime))
        return Path(os.fsdecode(path))

    @classmethod
    def seal(cls, dataset, files, below="src", **options):
        """Writes files (name -> bytes) below state/src/ and seals that. Returns the result's JSON."""
        shutil.rmtree(cls.box.state / below, ignore_errors=True)
        for name, data in files.items():
            cls.write(name, data, below=below)
        return cls.box.kesu("seal", dataset, cls.box.state / below, "-o", cls.out, **options).json

    def opened(self, *sources, name="opened", **options):
        """Opens into a fresh directory and returns name -> bytes of what stands there."""
        target = self.box.path / name
        shutil.rmtree(target, ignore_errors=True)
        self.box.kesu("open", *sources, "-o", target, **options)
        return self.files_below(target)

    @staticmethod
    def files_below(root):
        return {str(p.relative_to(root)): p.read_bytes() for p in sorted(Path(root).rglob("*")) if p.is_file()}

    # Erasures.

    def plan(self, *datasets, **options):
        return self.box.kesu("erase", "plan", *datasets, **options).json

    def request(self, erasure, by=OPERATOR, **options):
        return self.box.kesu("erase", "request", erasure, *self.signer(by), "--reason", "contract ended", **options).json

    def approve(self, erasure, by=APPROVER, **options):
        return self.box.kesu("erase", "approve", erasure, *self.signer(by), **options).json

    def approved(self, *datasets):
        erasure = self.plan(*datasets)["erasure"]
        self.request(erasure)
        self.assertEqual(self.approve(erasure)["stage"], "approved")
        return erasure

    def run_erasure(self, erasure, **options):
        return self.box.kesu("erase", "run", erasure, "-y", **options)

    def stage(self, erasure):
        return self.box.kesu("erase", "status", erasure).json["stage"]

    # The vault.

    def entries(self):
        return self.box.kesu("ledger", "show", "--bodies").json

    def nothing_changed(self, entries):
        """No entry came since; the ledger verifies."""
        self.assertEqual([e["leaf"] for e in self.entries()], [e["leaf"] for e in entries])
        self.box.kesu("ledger", "verify")

    def only_refused(self, entries):
        """The same, but that what was tried and refused stands there."""
        now = self.entries()
        self.assertEqual([e["leaf"] for e in now[:len(entries)]], [e["leaf"] for e in entries])
        self.assertEqual({e["body"].get("what") for e in now[len(entries):]}, {"destruction-refused"})
        self.box.kesu("ledger", "verify")

    def version_of(self, key, number=1):
        return f"{self.box.kesu('key', 'show', key).json['id']}.{number}"

    # The token, without kesu.

    def pkcs11_tool(self, *words, **options):
        return self.box.run("pkcs11-tool", "--module", MODULE, "--token-label", "kesu-test", "--login", "--pin",
                            "env:KESU_TEST_PIN", *words, env={"KESU_TEST_PIN": self.pin}, **options)

    def token_labels(self):
        listing = self.pkcs11_tool("--list-objects", "--type", "secrkey").stdout
        return re.findall(r"^ +label: +(\S+)$", listing, re.M)

    def token_files(self):
        """The SoftHSM token's object files."""
        return sorted((self.box.state / "token" / "tokens").glob("*/*.object"))


main = harness.main
if __name__ == "__main__":
    sys.exit("support for the tests in tests/cli; run those")
