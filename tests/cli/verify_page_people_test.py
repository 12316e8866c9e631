"""kesu-verify.html with people and rules that were changed after genesis: what `kesu verify` says; forged ones are red."""
import base64
import datetime
import gzip
import hashlib
import json
import pathlib
import shutil
import sys

sys.path.insert(0, str(pathlib.Path(__file__).parents[1] / "support"))
import debian_python  # noqa: F401
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import padding
from cryptography.hazmat.primitives.serialization import load_ssh_private_key
import bad_attests
import bad_changes
import bad_holds
import reissue
import scenario
import verify_page
from scenario import APPROVER, AUDITOR, BOTH, OPERATOR, SECOND

NEW, NEWKEY = "鈴木 次郎", "suzuki"


def rsa_officer(box):
    """An officer's key of RSA in place of Ed25519."""
    officer = box.officer(NEWKEY)
    officer.private.unlink()
    officer.public.unlink()
    box.run("ssh-keygen", "-q", "-t", "rsa", "-b", "3072", "-N", "", "-C", NEWKEY, "-f", officer.private)
    return officer


def sign_sha256(officer, message, namespace):
    """SSHSIG by rsa-sha2-256, which ssh-keygen takes but never makes."""
    public = base64.b64decode(officer.public.read_text().split()[1])
    head = reissue.ssh_string(namespace.encode()) + reissue.ssh_string(b"") + reissue.ssh_string(b"sha512")
    made = load_ssh_private_key(officer.private.read_bytes(), None).sign(
        b"SSHSIG" + head + reissue.ssh_string(hashlib.sha512(message).digest()), padding.PKCS1v15(), hashes.SHA256())
    blob = b"SSHSIG\0\0\0\1" + reissue.ssh_string(public) + head + reissue.ssh_string(reissue.ssh_string(b"rsa-sha2-256") + reissue.ssh_string(made))
    text = base64.b64encode(blob).decode()
    return "\n".join(["-----BEGIN SSH SIGNATURE-----", *(text[at:at + 70] for at in range(0, len(text), 70)), "-----END SSH SIGNATURE-----", ""]).encode()


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
        rsa_officer(box)
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
        statement, signature = box.path / "approve.json", box.path / "approve.sig"
        box.kesu("erase", "approve", erasure, "--as", NEW, "--export", statement)
        signature.write_bytes(sign_sha256(box.officer(NEWKEY), statement.read_bytes(), "kesu-approve-v1"))
        box.kesu("erase", "approve", erasure, "--as", NEW, "--signature", signature)
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
        # Signed by one RSA key with two digests, and each is named as it is.
        chain = json.loads((self.bundle / "certificate.json").read_bytes())["evidence_chain"]
        named = {c["algorithm"] for c in chain if NEW in c["part"]}
        self.assertTrue({"RSASSA-PKCS1-v1_5-SHA256:bits=3072", "RSASSA-PKCS1-v1_5-SHA512:bits=3072"} <= named, named)

    def test_a_line_serves_to_the_end_of_its_last_second(self):
        """valid-before of a key in the trust file: that second is part of it, to all readers."""
        times = {}
        for line in gzip.decompress((self.bundle / "ledger" / "headers.gz").read_bytes()).decode().splitlines():
            header = json.loads(line.split("\t")[0])
            if header["type"] == "erasure-approved":
                times[header["seq"]] = header["time"]
        self.assertTrue(times)
        last = max(times.values())
        second = datetime.datetime.strptime(last[:19], "%Y-%m-%dT%H:%M:%S")
        others = [l for l in self.trust.splitlines() if not l.startswith("officer ")]
        lines = [l.split(" ", 1)[1] for l in self.trust.splitlines() if l.startswith("officer ")]
        for less, known in ((0, True), (1, False)):
            until = (second - datetime.timedelta(seconds=less)).strftime("%Y%m%d%H%M%SZ")
            file = self.elsewhere / "signers"
            file.write_text("".join(f'x valid-before="{until}" {l}\n' for l in lines))
            trust = "\n".join([*others, "officers signers"]) + "\n"
            self.check(trust=trust, trust_files=[file])
            kesu = self.kesu_verify(self.bundle, trust, "--require", "low", "--allow-test-grade")
            self.assertEqual((kesu["officers_known"], self.saved()), (known, kesu))

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
