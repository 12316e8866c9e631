"""Witnesses: `kesu ledger cosign` on another party's machine, and what a vault and its readers do with cosignatures.

The witness is tried against a log that shares no code with kesu (support/small_log.py), and against a real vault.
"""
import base64
import fcntl
import json
import os
import pathlib
import shutil
import stat
import sys
import time

ROOT = pathlib.Path(__file__).resolve().parents[2]
sys.path[:0] = [str(ROOT / "tests" / "support"), str(ROOT / "scripts")]
import debian_python  # noqa: F401
import harness
import scenario
import small_log
import tsa
from clock_test import at as at_time
from kesu_verifier import notes

LOW = ("--require", "low", "--allow-test-grade")
NAME = "witness.example/w1"


class Desk:
    """What both test classes do at a witness's machine."""

    def make_witness(self, name=NAME, folder="witness"):
        box, directory = self.box, self.box.path / folder
        secret = box.path / f"{folder}.pass"
        secret.write_text("correct horse battery\n")
        secret.chmod(0o600)
        made = box.kesu("ledger", "witness", "init", directory, "--name", name, "--passphrase-source", f"file:{secret}",
                        vault=False).json
        return directory, made["vkey"]

    def cosign(self, text, *words, directory=None, **options):
        request = self.box.path / "request"
        request.write_text(text)
        return self.box.kesu("ledger", "cosign", request, "--witness", directory or self.witness, *words, vault=False, **options)

    def refused(self, text, code, error, *words):
        result = self.cosign(text, *words, code=code, error=error)
        self.assertNotIn("cosignature", result.stdout.split('"error"')[0])
        return result.json["error"]


class Witness(Desk, harness.TestCase):
    ram = True

    def setUp(self):
        super().setUp()
        self.witness, self.vkey = self.make_witness()
        self.log = small_log.Log().add(5)

    def first(self):
        return self.cosign(self.log.request(), "--first", self.log.vkey).json

    def state_file(self):
        (path,) = (self.witness / "logs").iterdir()
        return path

    def shown(self):
        return self.box.kesu("ledger", "witness", "show", self.witness, vault=False).json

    def test_cosigns_what_grows(self):
        before = int(time.time())
        said = self.first()
        self.assertEqual((said["origin"], said["size"], said["previous"], said["witness"], said["again"]),
                         (self.log.origin, 5, 0, NAME, False))
        at = small_log.cosigned_at(self.log.text(), said["signature"], self.vkey)
        self.assertIsNotNone(at, "the cosignature is not that of C2SP tlog-cosignature")
        self.assertTrue(before <= at <= time.time())
        # The other reader's code, too; and nothing else passes.
        note = notes.Note((self.log.note() + said["signature"]).encode())
        self.assertTrue(note.signed_by(notes.VerifierKey(self.vkey, (notes.COSIGNATURE,))))
        self.assertIsNone(small_log.cosigned_at(self.log.text(4), said["signature"], self.vkey))
        for old, new in ((5, 6), (6, 8), (8, 17), (17, 1000)):
            self.log.add(new - old)
            said = self.cosign(self.log.request(old)).json
            self.assertEqual((said["previous"], said["size"]), (old, new))
            self.assertIsNotNone(small_log.cosigned_at(self.log.text(), said["signature"], self.vkey))
        self.assertEqual([(r["origin"], r["size"], len(r["since"])) for r in self.shown()["logs"]], [(self.log.origin, 1000, 1)])
        other = small_log.Log("log.example/two").add(1)
        self.assertEqual(self.cosign(other.request(), "--first", other.vkey).json["size"], 1)
        self.assertEqual(len(self.shown()["logs"]), 2)

    def test_the_same_again_is_the_same_signature(self):
        said = self.first()
        again = self.cosign(self.log.request()).json
        self.assertEqual((again["signature"], again["again"]), (said["signature"], True))
        # Killed before the answer came out, the very same command is run again.
        self.assertEqual(self.cosign(self.log.request(), "--first", self.log.vkey).json["signature"], said["signature"])
        out = self.box.path / "answer"
        self.cosign(self.log.request(), "-o", out)
        self.assertEqual(out.read_text(), said["signature"])
        self.cosign(self.log.request(), "-o", out, code=3, error="already-exists")

    def test_a_log_is_pinned_by_hand(self):
        error = self.refused(self.log.request(), 3, "state-refused")
        self.assertIn("never seen", error["message"])
        self.refused(self.log.request(), 6, "signature-bad", "--first", small_log.Log().vkey)
        self.refused(self.log.request(), 6, "signature-bad", "--first", small_log.Log("log.example/two").vkey)
        self.refused(self.log.request(), 2, "bad-input", "--first", self.vkey)
        self.assertFalse((self.witness / "logs").exists())
        self.first()
        self.log.add(2)
        self.assertIn("seen", self.refused(self.log.request(5), 3, "state-refused", "--first", self.log.vkey)["message"])

    def fork(self):
        """The same key, another history from entry 3 on."""
        out = small_log.Log(key=self.log.key)
        out.leaves = self.log.leaves[:3]
        return out.add(len(self.log.leaves) - 3, b"rewritten")

    def test_a_rewritten_history_is_refused_and_kept(self):
        self.first()
        state = self.state_file().read_bytes()
        fork = self.fork()
        roots = [small_log.root(x.leaves).hex() for x in (self.log, fork)]
        shown = [("same size", fork.request()), ("same size, with a proof", fork.request(3)),
                 ("grown", fork.add(4).request(5)), ("grown, with the old history's proof", None)]
        self.log.add(4)
        honest = self.log.request(5)
        shown[3] = (shown[3][0], honest[:honest.index("\n\n") + 2] + fork.note())
        for kept, (what, text) in enumerate(shown, 1):
            with self.subTest(what):
                error = self.refused(text, 6, "ledger-damaged")
                self.assertIn("another history", error["message"])
                self.assertIn("size 5, root " + roots[0], error["tried"])
                self.assertIn("size 9, root " + small_log.root(fork.leaves).hex() if "grown" in what else "size 5, root " + roots[1],
                              error["cause"])
                self.assertEqual(self.shown()["refusals"], kept)
                evidence = self.witness / "refused" / f"{small_log.sha(text.encode()).hex()}.json"
                self.assertIn(str(evidence), error["next"])
                document = json.loads(evidence.read_text())
                self.assertEqual((document["request"], document["seen"]["root"]), (text, roots[0]))
                self.assertIn(document["seen"]["note"], self.log.note(5))
                self.refused(text, 6, "ledger-damaged")
                self.assertEqual(self.shown()["refusals"], kept)
        self.assertEqual(self.state_file().read_bytes(), state)
        with self.subTest("nothing newer before somebody explains it"):
            error = self.refused(honest, 3, "state-refused")
            self.assertIn("--go-on", error["next"])
            self.assertIn(str(self.witness / "refused"), error["cause"])
            self.assertTrue(self.shown()["logs"][0]["stopped"])
            self.assertTrue(self.cosign(self.log.request(0, 5)).json["again"])  # what was signed may be had again
            self.assertEqual(self.state_file().read_bytes(), state)
        with self.subTest("nor under a memory that begins anew"):
            kept = self.state_file()
            kept.unlink()
            self.refused(honest.replace("old 5", "old 0", 1), 3, "state-refused", "--first", self.log.vkey)
            kept.write_bytes(state)
        with self.subTest("other logs are not held back"):
            other = small_log.Log("log.example/two").add(1)
            self.assertEqual(self.cosign(other.request(), "--first", other.vkey).json["size"], 1)
            other.add(1)
            self.refused(other.request(1), 3, "state-refused", "--go-on", "no reason")
            self.assertEqual([r["stopped"] for r in self.shown()["logs"]], [True, False])
        with self.subTest("the witness's people say to go on"):
            self.refused(fork.request(5), 6, "ledger-damaged", "--go-on", "the other branch")
            self.assertEqual(self.shown()["went_on"], [])
            self.assertEqual(self.cosign(honest, "--go-on", "a test vault under the same key").json["size"], 9)
            (said,) = self.shown()["went_on"]
            self.assertEqual((said["origin"], said["why"]), (self.log.origin, "a test vault under the same key"))
            self.assertEqual(sorted(said["refused"]), sorted(p.name for p in (self.witness / "refused").iterdir()))
            self.log.add(1)
            self.assertEqual(self.cosign(self.log.request(9)).json["size"], 10)
        with self.subTest("until the next one"):
            fork.add(3)
            self.refused(fork.request(10), 6, "ledger-damaged")
            self.log.add(1)
            self.refused(self.log.request(10), 3, "state-refused")
            self.assertEqual(len(self.shown()["went_on"]), 1)

    def test_a_proof_that_is_none(self):
        self.first()
        self.log.add(6)
        good = self.log.request(5)
        lines = good.split("\n")
        spoilt = lines[:]
        spoilt[1] = small_log.b64(bytes(32))
        self.refused("\n".join(spoilt), 6, "ledger-damaged")
        self.refused("\n".join([lines[0], *lines[2:]]), 6, "ledger-damaged")
        for text in ("", "old x\n\n" + self.log.note(), "old 05\n\n" + self.log.note(), "new 5\n\n" + self.log.note(),
                     good.replace("old 5\n", "old 5\nAAAA\n"), "old 5\n" + "\n".join([small_log.b64(bytes(32))] * 64) + "\n\n" + self.log.note(),
                     good + "x", good[:-1], "old 18446744073709551616\n\n" + self.log.note()):
            self.refused(text, 2, "bad-input")

    def test_an_older_checkpoint(self):
        self.first()
        error = self.refused(self.log.request(0, 4), 3, "state-refused")
        self.assertIn("older", error["message"])
        self.assertIn("set back", error["next"])
        self.log.add(3)
        error = self.refused(self.log.request(3), 3, "state-refused")
        self.assertIn("--since 5", error["next"])
        self.assertEqual(self.cosign(self.log.request(5)).json["size"], 8)

    def test_a_signature_that_is_not_the_logs(self):
        self.first()
        self.log.add(2)
        good = self.log.request(5)
        head, line = good.rsplit(" ", 1)
        raw = bytearray(base64.b64decode(line))
        for at in (4, 40, len(raw) - 1):
            bad = bytearray(raw)
            bad[at] ^= 1
            self.refused(f"{head} {small_log.b64(bytes(bad))}\n", 6, "signature-bad")
        other = small_log.Log()  # the same origin, another key
        other.leaves = self.log.leaves
        self.refused(other.request(5), 6, "signature-bad")
        self.refused(good.replace("\n7\n", "\n6\n"), 6, "signature-bad")
        self.assertEqual(self.cosign(good).json["size"], 7)

    def test_what_it_remembers_is_lost(self):
        self.first()
        kept = self.state_file()
        data = kept.read_bytes()
        kept.unlink()
        error = self.refused(self.log.request(), 6, "ledger-damaged")
        self.assertIn("is gone", error["message"])
        self.assertIn("--first", error["next"])
        self.assertEqual([r["size"] for r in self.shown()["logs"]], [None])
        with self.subTest("another key is not taken for it"):
            self.refused(self.log.request(), 6, "signature-bad", "--first", small_log.Log().vkey)
        with self.subTest("damaged"):
            for bad in (b"", b"{}", data.replace(b'"size": 5', b'"size": 4'), data.replace(b"kesu-witness-log-v1", b"kesu-witness-log-v2"),
                        data.replace(self.log.vkey.encode(), small_log.Log().vkey.encode())):
                kept.write_bytes(bad)
                self.refused(self.log.request(), 6, "ledger-damaged")
                self.refused(self.log.request(), 6, "ledger-damaged", "--first", self.log.vkey)
            kept.unlink()
        self.first()
        self.assertEqual([(r["size"], len(r["since"])) for r in self.shown()["logs"]], [(5, 2)])

    def test_one_at_a_time(self):
        self.first()
        self.log.add(1)
        lock = os.open(self.witness, os.O_RDONLY)
        fcntl.flock(lock, fcntl.LOCK_EX)
        self.refused(self.log.request(5), 1, "conflict")
        os.close(lock)
        self.assertEqual(self.cosign(self.log.request(5)).json["size"], 6)

    def test_its_directory(self):
        self.assertEqual(stat.S_IMODE(self.witness.stat().st_mode), 0o700)
        self.first()
        for path in self.witness.rglob("*"):
            self.assertEqual(stat.S_IMODE(path.stat().st_mode) & 0o077, 0, path)
        self.box.kesu("ledger", "witness", "init", self.witness, "--name", "x", code=3, error="already-exists", vault=False)
        self.box.kesu("ledger", "witness", "init", self.box.path / "w2", "--name", "two words", code=2, error="bad-input", vault=False)
        self.box.kesu("ledger", "witness", "show", self.box.path / "none", code=2, error="not-found", vault=False)
        shutil.rmtree(self.witness)
        self.refused(self.log.request(5), 2, "not-found")
        text = self.box.text("ledger", "witness", "init", self.box.path / "w3", "--name", "w3", "--passphrase-source",
                             f"file:{self.box.path / 'witness.pass'}", vault=False).stdout
        self.assertEqual(small_log.parse_vkey(text.split("\n")[0])[:2], ("w3", 4))

    def test_a_passphrase_that_is_wrong(self):
        (self.box.path / "witness.pass").write_text("another one entirely\n")
        self.refused(self.log.request(), 5, "pin-wrong", "--first", self.log.vkey)
        self.assertFalse((self.witness / "logs").exists())


class Vault(Desk, scenario.World):
    @classmethod
    def prepare(cls):
        cls.seal("loans-2019", {"a": b"one", "b": b"two"})
        case = cls("setUp")
        cls.erasure = case.approved("loans-2019")
        case.run_erasure(cls.erasure)
        cls.witness, cls.vkey = case.make_witness()
        cls.second, cls.second_vkey = case.make_witness("witness.example/w2", "second")
        cls.tsa = tsa.Tsa(cls.box.path / "tsa")
        cls.server = tsa._Serving(cls.tsa)
        cls.addClassCleanup(cls.server.close)

    def setUp(self):
        super().setUp()
        for directory in (self.witness, self.second):
            for name in ("logs", "refused"):
                shutil.rmtree(directory / name, ignore_errors=True)
            path = directory / "witness.json"
            path.write_text(json.dumps({**json.loads(path.read_text()), "logs": [], "went_on": []}))
        for name in ("bundle", "again", "more", "request", "answer", "whole"):
            shutil.rmtree(self.box.path / name, ignore_errors=True)
            (self.box.path / name).unlink(missing_ok=True)
        self.vault_vkey = self.box.kesu("ledger", "checkpoint").json["vkey"]

    def configure(self, *vkeys, stamps=False):
        path = self.box.vault / "kesu.toml"
        text = path.read_text().partition("[[")[0]
        if stamps:
            text += f'[[time.authority]]\nurl = "{self.server.url}"\nca = "{self.tsa.root}"\n'
        path.write_text(text + "".join(f'[[witness]]\nvkey = "{v}"\n' for v in vkeys))

    def export(self, *words, name="request"):
        path = self.box.path / name
        path.unlink(missing_ok=True)
        said = self.box.kesu("ledger", "checkpoint", "--export", path, *words).json
        return path.read_text(), said

    def attach(self, lines, **options):
        path = self.box.path / "answer"
        path.write_text(lines)
        return self.box.kesu("ledger", "checkpoint", "--attach", path, **options).json

    def round(self, first=False, directory=None):
        """Export, cosign, attach."""
        text, _ = self.export() if not first else self.export("--since", "0")
        line = self.cosign(text, *(("--first", self.vault_vkey) if first else ()), directory=directory).json["signature"]
        return self.attach(line)

    def bundle(self, name="bundle"):
        shutil.rmtree(self.box.path / name, ignore_errors=True)
        self.box.kesu("certificate", "bundle", self.erasure, "-o", self.box.path / name)
        return self.box.path / name

    def trust(self, bundle, *lines):
        path = self.box.path / "trust"
        path.write_text(self.box.kesu("trust", "propose", bundle, vault=False).json["trust"] + "".join(x + "\n" for x in lines))
        return path

    def verify(self, bundle, *lines, words=LOW, code=0):
        trust = self.trust(bundle, *lines)
        report = self.box.kesu("verify", bundle, "--trust", trust, *words, code=code, vault=False).json
        # The second reader says the same.
        other = self.box.run("/usr/bin/python3", "-B", ROOT / "scripts" / "verify_certificate.py", bundle, "--trust", trust, "--json",
                             *words, code=code).json
        for member in ("verdict", "as_of", "claims", "time"):
            self.assertEqual(other[member], report[member], member)
        self.assertEqual(sorted(other["shortfalls"]), sorted(report["shortfalls"]))
        return report

    def logged(self, report):
        return next(c["level"] for c in report["claims"] if c["id"] == "logged")

    def due(self):
        return [d["detail"] for d in self.box.kesu("status").json["due"] if "witness" in d["detail"]]

    def test_from_bundle_to_cosigned_bundle(self):
        self.configure(self.vkey)
        bundle = self.bundle()
        self.assertEqual(self.logged(self.verify(bundle, f"witness {self.vkey}")), "asserted")
        self.assertEqual([d[:10] for d in self.due()], ["has 0 of 1"])
        text, said = self.export()
        self.assertEqual((said["since"], said["vkey"]), (0, self.vault_vkey))
        self.assertTrue(text.startswith("old 0\n\n" + (bundle / "ledger" / "checkpoint-b").read_text().split("\n\n")[0]))
        line = self.cosign(text, "--first", self.vault_vkey).json["signature"]
        entries = len(self.entries())
        kept = self.attach(line)
        self.assertEqual((kept["size"], kept["have"], kept["need"], [w["name"] for w in kept["witnesses"]]), (said["size"], 1, 1, [NAME]))
        self.assertEqual(self.attach(line)["have"], 1)
        self.assertEqual((len(self.entries()), self.due()), (entries, []))
        again = self.bundle("again")
        for path in bundle.rglob("*"):
            if path.is_file() and path.name != "checkpoint-b":
                self.assertEqual(path.read_bytes(), (again / path.relative_to(bundle)).read_bytes(), path)
        b = (again / "ledger" / "checkpoint-b").read_text()
        self.assertEqual(b, (bundle / "ledger" / "checkpoint-b").read_text() + line)
        self.assertIsNotNone(small_log.cosigned_at(b.split("\n\n")[0] + "\n", line, self.vkey))
        report = self.verify(again, f"witness {self.vkey}")
        self.assertEqual((report["verdict"], self.logged(report)), ("complete", "attested"))
        self.assertEqual(self.logged(self.verify(again)), "asserted")
        self.assertEqual(self.logged(self.verify(again, f"witness {self.second_vkey}")), "asserted")
        self.box.kesu("ledger", "verify")
        with self.subTest("a cosignature that was altered counts for nothing"):
            raw = bytearray(base64.b64decode(line.rsplit(" ", 1)[1]))
            raw[-1] ^= 1
            (again / "ledger" / "checkpoint-b").write_text(b.rsplit(" ", 1)[0] + f" {small_log.b64(bytes(raw))}\n")
            self.assertEqual(self.logged(self.verify(again, f"witness {self.vkey}")), "asserted")

        with self.subTest("one witness under two names is one"):
            name, _, data = self.vkey.split("+", 2)
            alias = "witness.example/alias"
            key_id = small_log.sha(alias.encode() + b"\n" + base64.b64decode(data))[:4]
            value = base64.b64decode(line.rsplit(" ", 1)[1])[4:]
            (again / "ledger" / "checkpoint-b").write_text(b + f"\u2014 {alias} {small_log.b64(key_id + value)}\n")
            lines = (f"witness {self.vkey}", f"witness {alias}+{key_id.hex()}+{data}")
            self.assertEqual(self.logged(self.verify(again, *lines)), "attested")
            self.assertEqual(self.logged(self.verify(again, lines[1])), "attested")
            self.assertEqual(self.logged(self.verify(again, *lines, "quorum 2")), "asserted")

        with self.subTest("other work goes on, and the cosigned checkpoint still says all about it"):
            self.box.kesu("key", "create", "more")
            self.assertEqual((self.bundle("more") / "ledger" / "checkpoint-b").read_text(), b)
            text, said = self.export()
            self.assertEqual(said["since"], kept["size"])
            newer = self.round()
            self.assertEqual((self.bundle("more") / "ledger" / "checkpoint-b").read_text(), newer["note"])
        with self.subTest("what is about it makes it stale"):
            later = at_time("+3h")
            self.box.kesu("key", "create", "another", env=later)
            self.assertIn("finding-recorded", [e["type"] for e in self.entries()])
            bundle = self.box.kesu("certificate", "bundle", self.erasure, "-o", self.box.path / "whole", env=later)
            self.assertIn("not seen", bundle.stderr)
            self.assertNotIn(NAME, (self.box.path / "whole" / "ledger" / "checkpoint-b").read_text())

    def test_the_bar_and_the_readers_quorum(self):
        self.configure(self.vkey, self.second_vkey)
        self.bundle()
        self.assertEqual(self.round(first=True)["have"], 1)
        both = self.attach(self.cosign(self.export("--since", "0")[0], "--first", self.vault_vkey, directory=self.second).json["signature"])
        self.assertEqual((both["have"], both["need"]), (2, 1))
        bundle = self.bundle()
        lines = (f"witness {self.vkey}", f"witness {self.second_vkey}")
        high = ("--allow-test-grade",)

        def short(*trust):
            return [s for s in self.verify(bundle, *trust, words=high, code=7)["shortfalls"] if "witness" in s]
        self.assertEqual(short(), ["0 trusted witnesses; profile high asks for 1"])
        self.assertEqual(short(lines[0]), [])
        self.assertEqual(short(*lines, "quorum 2"), [])
        self.assertEqual(short(lines[0], "quorum 2"), ["1 trusted witness; the trust file asks for 2"])
        self.assertEqual(self.logged(self.verify(bundle, lines[0], "quorum 2")), "asserted")
        self.assertEqual(self.logged(self.verify(bundle, *lines, "quorum 2")), "attested")

    def test_with_time_stamps(self):
        self.configure(self.vkey, stamps=True)
        bundle = self.bundle()
        anchor = (f"witness {self.vkey}", f"tsa-ca {self.tsa.root}")
        self.assertEqual(self.logged(self.verify(bundle, *anchor)), "proven")
        self.round(first=True)
        asked = self.tsa.asked
        bundle = self.bundle()
        self.assertEqual(self.tsa.asked, asked + 1)  # over the note with the cosignature
        report = self.verify(bundle, *anchor)
        self.assertEqual((self.logged(report), report["errors"], len(report["time"])), ("proven", [], 3))
        self.assertIn(NAME, (bundle / "ledger" / "checkpoint-b").read_text())
        self.assertEqual(self.logged(self.verify(bundle, anchor[0])), "attested")
        again = self.bundle("again")
        self.assertEqual(self.tsa.asked, asked + 1)
        for path in bundle.rglob("*"):
            if path.is_file():
                self.assertEqual(path.read_bytes(), (again / path.relative_to(bundle)).read_bytes(), path)

    def test_a_renewal_beside_a_witness(self):
        """A renewal is stamped over the last cosigned checkpoint or a newer one, and takes nothing from either."""
        self.configure(self.vkey, self.second_vkey, stamps=True)
        anchors = (f"witness {self.vkey}", f"witness {self.second_vkey}", f"tsa-ca {self.tsa.root}")
        self.bundle()
        text, said = self.export("--since", "0")
        seen = said["size"]
        self.attach(self.cosign(text, "--first", self.vault_vkey).json["signature"])
        certificate = json.loads((self.bundle() / "certificate.json").read_text())["id"]
        renewed, again = self.box.path / "more", self.box.path / "whole"
        self.box.kesu("certificate", "renew", certificate, "-o", renewed)
        before = self.verify(renewed, *anchors, "tsa-renewal required")
        self.assertEqual((before["verdict"], before["errors"]), ("complete", []))
        self.assertIn(self.logged(before), ("attested", "proven"))     # checkpoint B is newer than what the witness saw
        # Both witnesses over the new checkpoint: they stand in the bundle, and the renewal counts as it did.
        text, _ = self.export("--since", str(seen))
        self.attach(self.cosign(text).json["signature"])
        self.round(first=True, directory=self.second)
        whole = self.bundle("again")
        self.box.kesu("certificate", "bundle", self.erasure, "-o", again)
        note = (whole / "ledger" / "checkpoint-b").read_text()
        self.assertIn(NAME, note)
        self.assertIn("witness.example/w2", note)
        self.assertTrue((whole / "renewal" / "1.manifest").exists())
        for path in (p.relative_to(whole) for p in whole.rglob("*") if p.is_file()):
            self.assertEqual((whole / path).read_bytes(), (again / path).read_bytes(), path)
        for lines in (anchors, (*anchors, "quorum 2"), (*anchors, "quorum 2", "tsa-renewal required")):
            report = self.verify(whole, *lines)
            self.assertEqual((report["verdict"], report["errors"], self.logged(report)), ("complete", [], "proven"))
        # A second renewal, over what was cosigned.
        self.box.kesu("certificate", "renew", certificate, "-o", self.box.path / "bundle2")
        report = self.verify(self.box.path / "bundle2", *anchors, "tsa-renewal required")
        self.assertEqual((report["verdict"], report["errors"]), ("complete", []))
        self.box.kesu("ledger", "verify")

    def test_what_is_not_attached(self):
        text, _ = self.export()
        line = self.cosign(text, "--first", self.vault_vkey).json["signature"]
        self.attach(line, code=3, error="state-refused")
        self.configure(self.second_vkey)
        self.attach(line, code=6, error="signature-bad")
        self.configure(self.vkey)
        raw = bytearray(base64.b64decode(line.rsplit(" ", 1)[1]))
        for at in (4, 20, 75):
            bad = bytearray(raw)
            bad[at] ^= 1
            self.attach(f"{line.rsplit(' ', 1)[0]} {small_log.b64(bytes(bad))}\n", code=6, error="signature-bad")
        other = small_log.Log().add(3)
        self.attach(self.cosign(other.request(), "--first", other.vkey).json["signature"], code=6, error="signature-bad")
        for junk in ("", "x", "— \n", line[:-1]):
            self.attach(junk, code=2, error="bad-input")
        self.assertEqual(self.attach(line)["have"], 1)
        for toml, said in (('[[witness]]\nvkey = 1\n', "has no vkey"), ('[[witness]]\nvkey = "x"\n', "witness 1"), ('witness = 1\n', "tables"),
                           ('[[witness]]\nkey = "x"\n', "unknown member"), (f'[[witness]]\nvkey = "{self.vault_vkey}"\n', "type 04"),
                           (f'[[witness]]\nvkey = "{self.vkey}"\n' * 2, "twice")):
            with self.subTest(toml):
                path = self.box.vault / "kesu.toml"
                path.write_text("[vault]\nformat = 1\n" + toml if toml.startswith("[") else toml + "[vault]\nformat = 1\n")
                self.assertIn(said, self.attach(line, code=2, error="bad-input")["error"]["message"])

    def test_a_vault_that_was_set_back(self):
        """The very thing that witnesses are for: an older copy of the vault goes on from there."""
        self.configure(self.vkey)
        self.round(first=True)
        copy = self.box.path / "copy"
        shutil.copytree(self.box.vault, copy)
        self.addCleanup(shutil.rmtree, copy)
        self.box.kesu("key", "create", "one")
        self.round()
        shutil.rmtree(self.box.vault)
        shutil.copytree(copy, self.box.vault)
        text, _ = self.export("--since", "0")
        self.assertIn("older", self.refused(text, 3, "state-refused")["message"])
        for i in range(3):
            self.box.kesu("key", "create", f"other{i}")
        size = json.loads((next((self.witness / "logs").iterdir())).read_text())["size"]
        error = self.refused(self.export("--since", str(size))[0], 6, "ledger-damaged")
        self.assertIn("another history", error["message"])
        self.box.kesu("ledger", "checkpoint", "--export", self.box.path / "x", "--since", "9999", code=2, error="bad-input")

    def test_doctor(self):
        def said():
            checks = self.box.kesu("doctor", "--offline", code=None).json["checks"]
            return [(c["result"], c["detail"]) for c in checks if c["check"] == "witnesses"]
        self.assertEqual(said(), [])
        self.configure(self.vkey, self.second_vkey)
        self.assertEqual(said(), [("ok", "2 witnesses in kesu.toml")])
        self.configure("nobody")
        self.assertEqual([r for r, _ in said()], ["fail"])

    def test_words(self):
        self.box.kesu("ledger", "checkpoint", "--export", "a", "--attach", "b", code=2, error="usage")
        self.box.kesu("ledger", "checkpoint", "--since", "3", code=2, error="usage")
        self.configure(self.vkey)
        text = self.box.text("ledger", "checkpoint", "--export", self.box.path / "request").stdout
        self.assertIn("kesu ledger cosign", text)
        (self.box.path / "other").write_text("of somebody else\n")
        self.box.kesu("ledger", "checkpoint", "--export", self.box.path / "other", code=3, error="already-exists")
        line = self.box.text("ledger", "cosign", self.box.path / "request", "--witness", self.witness, "--first", self.vault_vkey,
                             vault=False).stdout
        (self.box.path / "answer").write_text(line)
        text = self.box.text("ledger", "checkpoint", "--attach", self.box.path / "answer").stdout
        self.assertIn("1 of 1 witness signatures", text)
        text = self.box.text("ledger", "witness", "show", self.witness, vault=False).stdout
        self.assertIn(self.vkey, text)


if __name__ == "__main__":
    harness.main()
