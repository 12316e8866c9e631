"""For scripts/bench: vaults to measure in, made as a person would make them, in a directory of their own."""
import os
import shutil
import sys
import tempfile
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[2] / "support"))
import harness

import measure

OPERATOR, APPROVER = "Bench Operator", "Bench Approver"


class World:
    """A vault with the key `bench` and the dataset `bench`, in a new directory below `base`.

    `keys` is "softhsm" (a SoftHSM2 token) or "soft" (a keystore under a passphrase); `words` go to `dataset add`.
    """

    def __init__(self, base, keys="softhsm", words=()):
        before = tempfile.tempdir
        tempfile.tempdir = str(base)
        try:
            self.box = harness.Sandbox()
        finally:
            tempfile.tempdir = before
        self.path = self.box.path
        self.keys = keys
        init = ["--genesis", self._genesis()]
        if keys == "softhsm":
            init += ["--provider", self.box.token()]
        else:
            passphrase = self.path / "passphrase"
            passphrase.write_text("a passphrase of many words that nobody else has thought of\n")
            passphrase.chmod(0o600)
            init += ["--passphrase-source", f"file:{passphrase}"]
        self.box.kesu("init", self.box.vault, *init)
        self.box.kesu("key", "create", "bench")
        self.box.kesu("dataset", "add", "bench", "--key", "bench", "--contract", "BENCH", *words)

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.box.close()

    def _genesis(self):
        path = self.path / "genesis.json"
        people = ((OPERATOR, "operator"), (APPROVER, "approver"))
        words = [w for name, role in people
                 for w in ("--officer", f"{name};{role};{role};{self.box.officer(role).public}")]
        self.box.kesu("init", "--draft", path, "--org", "Example Bank", "--origin", "bank.example", "--quorum", "1",
                      *words, vault=False)
        for _, role in people:
            signature = self.box.officer(role).sign("kesu-genesis-v1", path.read_bytes())
            Path(f"{path}.{role}.sig").write_bytes(signature)
        return path

    def command(self, *words, json=True):
        return self.box.kesu_command(*words, json=json)

    def measured(self, *words, **options):
        """Runs kesu and gives what it took."""
        return measure.run(self.command(*words), env=self.box.env, **options)

    def dataset(self, name, *words):
        """Another dataset with a key of its own."""
        self.box.kesu("key", "create", name)
        self.box.kesu("dataset", "add", name, "--key", name, "--contract", f"BENCH-{name}", *words)

    def approved(self, *datasets):
        """Plans, requests and approves an erasure; gives its identifier."""
        erasure = self.box.kesu("erase", "plan", *datasets).json["erasure"]
        for verb, name, role in (("request", OPERATOR, "operator"), ("approve", APPROVER, "approver")):
            words = ("--reason", "measured") if verb == "request" else ()
            self.box.kesu("erase", verb, erasure, "--as", name, "--key", self.box.officer(role).private, *words)
        return erasure


def random_file(path, size):
    """A file of random bytes: the same MiB over and over would be, too, but compresses on some file systems."""
    block = os.urandom(min(size, 16 << 20)) or b""
    with open(path, "wb") as file:
        left = size
        while left > 0:
            left -= file.write(block[:min(left, len(block))])
    return path


def tree_of_files(root, count, size, a_directory=500):
    """A tree of `count` files of `size` random bytes, `a_directory` of them in each directory."""
    root = Path(root)
    pool = os.urandom(1 << 20)
    for i in range(count):
        directory = root / f"{i // a_directory:04d}"
        if i % a_directory == 0:
            directory.mkdir(parents=True)
        at = (i * 4099) % (len(pool) - size)
        (directory / f"{i:06d}.dat").write_bytes(pool[at:at + size])
    return root


def remove(path):
    """Removes a file or a tree, if it is there."""
    path = Path(path)
    if path.is_dir() and not path.is_symlink():
        shutil.rmtree(path)
    else:
        path.unlink(missing_ok=True)
