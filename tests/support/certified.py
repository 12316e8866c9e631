"""A world in which some people sign with X.509 certificates, on machines of their own: only statements and signatures travel.

    class Test(certified.World):
        ...self.act("approve", erasure, APPROVER, "--signature", self.travel(APPROVER, statement))
"""
import shutil
import subprocess
import sys
import time

import scenario
import small_ca
from scenario import APPROVER, OPERATOR, SECOND

VERIFIER, VALIDATOR = "森 雪", "阿部 健"
PSS = ("-keyopt", "rsa_padding_mode:pss", "-keyopt", "rsa_pss_saltlen:digest")
# Name -> directory of the machine, kind of key, how openssl signs there, whether an authority issued the certificate.
CARDS = {APPROVER: ("sato", ("EC", "ec_paramgen_curve:P-384"), ("-md", "sha384", "-cades", "-outform", "DER"), True),
         VERIFIER: ("mori", ("RSA", "rsa_keygen_bits:3072"), ("-md", "sha256", "-outform", "PEM", *PSS), False),
         VALIDATOR: ("abe", ("EC", "ec_paramgen_curve:P-521"), ("-md", "sha512", "-outform", "PEM", "-nocerts"), False)}


def openssl(*words, cwd=None):
    done = subprocess.run(["openssl", *map(str, words)], capture_output=True, text=True, check=False, cwd=cwd)
    if done.returncode:
        raise AssertionError(f"openssl {' '.join(map(str, words))}\n{done.stderr}")
    return done.stdout


def new_key(path, kind):
    openssl("genpkey", "-algorithm", kind[0], "-pkeyopt", kind[1], "-out", path)


def self_signed(key, path, name, *words, days=30):
    openssl("req", "-x509", "-utf8", "-key", key, "-subj", f"/O=Example Bank/CN={name}", "-days", days, "-out", path,
            "-addext", "keyUsage=critical,digitalSignature", *words)


class World(scenario.World):
    """Quorum 2: an approver with a certificate under an authority, one with an SSH key; verifier and validator with certificates."""
    make_vault = False
    quorum = 2
    officers = ((OPERATOR, "Key operator", "operator", "tanaka"), (APPROVER, "CISO", "approver", "sato"),
                (SECOND, "Deputy CISO", "approver", "second"), (VERIFIER, "Verifier", "verifier", "mori"),
                (VALIDATOR, "Validator", "validator", "abe"), ("Third Approver", "Board", "approver", "third"))

    @classmethod
    def prepare(cls):
        box = cls.box
        box.kesu("init", box.vault, "--genesis", cls.genesis, "--provider", box.token_uri)
        time.sleep(1)  # certificates are valid by the second: what is signed later is signed in another one
        box.kesu("key", "create", "loans")
        box.kesu("dataset", "add", "loans-2019", "--key", "loans", "--contract", "CLOUD-2023-11")
        cls.seal("loans-2019", {"a": b"one", "b": b"two"})
        box.kesu("key", "create", "small")
        box.kesu("dataset", "add", "small", "--key", "small")
        box.kesu("seal", "small", cls.write("small", b"small"), "-o", box.state / "small")

    # Machines.

    @classmethod
    def machine(cls, name):
        """The directory with somebody's key and certificate, made once."""
        directory, kind, _, issued = CARDS[name]
        place = cls.box.path / "machines" / directory
        if not place.exists():
            place.mkdir(parents=True)
            new_key(place / "key.pem", kind)
            if issued:
                cls.ca = small_ca.Ca(cls.box.path / "ca")
                openssl("req", "-new", "-utf8", "-key", place / "key.pem", "-subj", f"/O=Example Bank/CN={name}", "-out", place / "csr.pem")
                leaf, chain = cls.ca.issue((place / "csr.pem").read_text())
                (place / "cert.pem").write_text(leaf)
                (place / "chain.pem").write_text(chain.removeprefix(leaf))
            else:
                self_signed(place / "key.pem", place / "cert.pem", name)
        return place

    @classmethod
    def travel(cls, name, statement, *words, out=None):
        """What somebody signs on a machine of his own: the statement goes there, the signature comes back."""
        place = cls.machine(name)
        shutil.copy(statement, place / "statement")
        chain = ("-certfile", "chain.pem") if (place / "chain.pem").exists() else ()
        openssl("cms", "-sign", "-binary", "-in", "statement", "-signer", "cert.pem", "-inkey", "key.pem", *chain,
                *(words or CARDS[name][2]), "-out", "signature", cwd=place)
        back = out or statement.with_name(statement.name + ".sig")
        shutil.copy(place / "signature", back)
        return back

    @classmethod
    def write_genesis(cls, path, officers, quorum=1, sign=True, words=()):
        box, people = cls.box, []
        for name, title, roles, key in officers:
            file = cls.machine(name) / "cert.pem" if name in CARDS else box.officer(key).public
            people += ["--officer", f"{name};{title};{roles};{file}"]
        box.kesu("init", "--draft", path, "--org", "Example Bank", "--origin", "bank.example", "--quorum", str(quorum), *words, *people, vault=False)
        for name, _, _, key in officers if sign else ():
            if name in CARDS:
                cls.travel(name, path, out=path.with_name(f"{path.name}.{key}.{'p7s' if name == APPROVER else 'sig'}"))
            else:
                cls.sign_genesis(path, key)
        return path

    # Acts.

    def statement(self, action, erasure, name):
        path = self.box.path / f"{action}.json"
        self.box.kesu("erase", action, erasure, "--as", name, "--export", path)
        return path

    def act(self, action, erasure, name, *words, **options):
        """By whatever the person signs with."""
        if not words:
            words = ("--signature", self.travel(name, self.statement(action, erasure, name))) if name in CARDS else self.signer(name)[2:]
        return self.box.kesu("erase", action, erasure, "--as", name, *words, **options)

    def erased(self, dataset="loans-2019"):
        """Verified and validated, if it is the first dataset."""
        erasure = self.plan(dataset)["erasure"]
        self.request(erasure)
        self.act("approve", erasure, APPROVER)
        self.act("approve", erasure, SECOND)
        self.run_erasure(erasure)
        if dataset != "loans-2019":
            return erasure
        self.act("verify", erasure, VERIFIER)
        self.act("validate", erasure, VALIDATOR)
        return erasure


if __name__ == "__main__":
    sys.exit("support for the tests in tests/cli; run those")
