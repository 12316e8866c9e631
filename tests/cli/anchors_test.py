"""Trust anchors bound by the quorum: kesu.toml says where to reach authorities and witnesses, and no longer whose word counts."""
import json
import pathlib
import shutil
import sys
import time

ROOT = pathlib.Path(__file__).resolve().parents[2]
sys.path[:0] = [str(ROOT / "tests" / "support"), str(ROOT / "scripts")]
import debian_python  # noqa: F401
import scenario
import tsa
from kesu_verifier import trust as trust_file
from kesu_verifier import verify as second
from scenario import APPROVER, SECOND
from witness_test import Desk

LOW = ("--require", "low", "--allow-test-grade")


class World(Desk, scenario.World):
    @classmethod
    def prepare(cls):
        box = cls.box
        cls.bank, cls.rogue = tsa.Tsa(box.path / "bank", "Bank"), tsa.Tsa(box.path / "rogue", "Rogue")
        cls.servers = {t: tsa._Serving(t) for t in (cls.bank, cls.rogue)}
        for server in cls.servers.values():
            cls.addClassCleanup(server.close)
        case = cls("setUp")
        cls.witness, cls.vkey = case.make_witness("witness.example/bank", "state/w1")
        cls.other, cls.other_vkey = case.make_witness("witness.example/other", "state/w2")
        cls.seal("loans-2019", {"a": b"one", "b": b"two"})
        cls.more()

    @classmethod
    def more(cls):
        pass

    def setUp(self):
        super().setUp()
        self.bundle, self.trust = self.box.path / "bundle", self.box.path / "trust"
        shutil.rmtree(self.bundle, ignore_errors=True)

    def configure(self, *authorities, witnesses=(), ca=None):
        path = self.box.vault / "kesu.toml"
        text = path.read_text().partition("[[time.authority]]")[0].partition("[[witness]]")[0]
        text += "".join(f'[[time.authority]]\nurl = "{self.servers[t].url}"\nca = "{ca or t.root}"\n' for t in authorities)
        path.write_text(text + "".join(f'[[witness]]\nvkey = "{v}"\n' for v in witnesses))

    def rules(self, *words, by=APPROVER, **options):
        return self.box.kesu("vault", "rules", *words, "--reason", "as agreed", "--by", by, "--key", self.key_of(by).private, **options).json

    def bind(self):
        return self.rules("--time-authority", self.bank.root, "--witness", self.vkey)

    def done(self):
        erasure = self.approved("loans-2019")
        self.run_erasure(erasure)
        return erasure

    def issue(self, erasure, **options):
        shutil.rmtree(self.bundle, ignore_errors=True)
        return self.box.kesu("certificate", "bundle", erasure, "-o", self.bundle, **options)

    def cosigned(self, directory, **options):
        """Checkpoint → that witness → back."""
        request, answer = self.box.path / "to-witness", self.box.path / "answer"
        for path in (request, answer):
            path.unlink(missing_ok=True)
        self.box.kesu("ledger", "checkpoint", "--export", request, "--since", "0")
        first = () if (directory / "logs").exists() else ("--first", self.box.kesu("ledger", "checkpoint").json["vkey"])
        self.box.kesu("ledger", "cosign", request, "--witness", directory, *first, "-o", answer, vault=False)
        return self.box.kesu("ledger", "checkpoint", "--attach", answer, **options)

    def read(self, **options):
        """(dated, logged) of two readers who trust everybody; and kesu's report."""
        if "trust" not in options:
            proposed = self.box.kesu("trust", "propose", self.bundle, vault=False).json["trust"]
            self.proposed = proposed
            self.trust.write_text(proposed + f"tsa-ca {self.bank.root}\ntsa-ca {self.rogue.root}\nwitness {self.vkey}\nwitness {self.other_vkey}\n")
        report = self.box.kesu("verify", self.bundle, "--trust", self.trust, *LOW, vault=False).json
        mine = second.verify(str(self.bundle), trust_file.read_trust(str(self.trust)), trust_file.Tables(), require="low", allow_test_grade=True)
        levels = [tuple(next(c["level"] for c in r["claims"] if c["id"] == name) for name in ("dated", "logged")) for r in (report, mine)]
        self.assertEqual(levels[0], levels[1])
        rows = [[{k: v for k, v in t.items() if k != "why"} for t in r["time"]] for r in (report, mine)]
        self.assertEqual(*rows)
        return levels[0], report

    def until(self, what):
        for _ in range(100):
            if what():
                return
            time.sleep(0.1)
        self.fail("it never came")

    def due(self):
        return [d for d in self.box.kesu("status").json["due"] if d["what"] == "anchors"]


class Bound(World):
    def test_a_change_says_what_it_binds(self):
        self.assertIsNone(self.box.kesu("vault", "rules").json["anchors"])
        said = self.bind()
        authority = {"name": "CN=Bank Root,O=Bank", "sha256": self.bank.digest()}
        self.assertEqual(said["summary"], [
            "Sets quorum 1, waiting period 0 s, profile low", "Until now: quorum 1, waiting period 0 s, profile low",
            f'Time-stamps count only under sha256:{self.bank.digest()}, "CN=Bank Root,O=Bank"', f"Cosignatures count only of {self.vkey}",
            "At least 1 of these witnesses must sign",
            "Takes effect 0 s after it is recorded; erasures requested before then keep what was in force"])
        want = {"time_authorities": [authority], "witness_quorum": 1, "witnesses": [self.vkey]}
        self.assertEqual(self.box.kesu("vault", "rules").json["anchors"], want)
        self.assertIn(f'Time-stamps count only under sha256:{self.bank.digest()}, "CN=Bank Root', self.box.text("vault", "rules").stdout)
        self.assertIn("time-stamps only under CN=Bank Root", self.box.text("operator", "changes").stdout)
        self.box.kesu("vault", "rules", "--time-authority", self.bank.root, "--reason", "x", "--by", APPROVER, code=3, error="state-refused")
        two = self.rules("--witness", self.other_vkey, "--witness", self.vkey, "--witness-quorum", "2")
        self.assertIn("Until now: at least 1 of these witnesses", two["summary"])
        self.assertEqual(self.box.kesu("vault", "rules").json["anchors"],
                         {**want, "witness_quorum": 2, "witnesses": sorted((self.vkey, self.other_vkey))})
        # Other rules are changed without touching them; the registers made anew say the same.
        self.rules("--waiting", "60")
        kept = self.box.kesu("vault", "rules").json
        (self.box.vault / "registers.db").unlink()
        self.assertEqual(self.box.kesu("vault", "rules").json, kept)
        self.assertEqual(kept["anchors"]["witness_quorum"], 2)
        self.box.kesu("ledger", "verify")

    def test_taken_off(self):
        self.bind()
        said = self.rules("--any-time-authority")
        self.assertIn("Time-stamps count under any authority from then on", said["summary"])
        self.assertEqual(sorted(self.box.kesu("vault", "rules").json["anchors"]), ["witness_quorum", "witnesses"])
        self.assertIn("Cosignatures count of any witness from then on", self.rules("--any-witness")["summary"])
        self.assertIsNone(self.box.kesu("vault", "rules").json["anchors"])

    def test_what_is_no_anchor(self):
        log = self.box.kesu("ledger", "checkpoint").json["vkey"]
        empty = self.box.path / "empty.pem"
        empty.write_text("no certificate\n")
        # Its subject begins with the digest of another: whoever compares it would see what he looks for.
        self.rogue._openssl("req", "-new", "-x509", "-key", "root.key", "-config", "config", "-subj", f"/description=sha256:{self.bank.digest()}/O=Bank/CN=Bank Root",
                            "-out", "spoof.pem", "-addext", "basicConstraints=critical,CA:TRUE")
        spoof = self.rogue.dir / "spoof.pem"
        for words, code, error in ((("--witness", log), 2, "bad-input"), (("--witness", "x"), 2, "bad-input"), (("--time-authority", empty), 2, "bad-input"), (("--time-authority", spoof), 2, "bad-input"),
                                   (("--time-authority", self.box.path / "nothing.pem"), 2, "not-found"),
                                   (("--witness", self.vkey, "--witness-quorum", "2"), 2, "bad-input"), (("--witness-quorum", "1"), 2, "usage"),
                                   (("--any-witness", "--witness", self.vkey), 2, "usage"), (("--witness", self.vkey, "--witness", self.vkey), 2, "bad-input")):
            with self.subTest(words):
                said = self.rules(*words, code=code, error=error)["error"]
                if error != "usage":                     # which option, what is wrong with it, and what to do
                    self.assertTrue(said["message"].startswith(f"{words[-2]} {words[-1]}: ") and said["next"], said)
        self.assertIsNone(self.box.kesu("vault", "rules").json["anchors"])
        with self.subTest("a genesis statement is signed already: what it does not bind is not bound in silence"):
            for words in (("--time-authority", self.bank.root), ("--witness", self.vkey), ("--witness-quorum", "1")):
                new = self.box.path / "new-vault"
                error = self.box.kesu("init", new, "--genesis", self.genesis, "--provider", self.box.token_uri, *words, vault=False, code=2, error="usage").json["error"]
                self.assertIn("--draft", error["next"])
                self.assertFalse(new.exists())

    def test_an_operator_edits_kesu_toml(self):
        self.bind()
        self.configure(self.bank, witnesses=[self.vkey])
        self.assertEqual(self.due(), [])
        erasure = self.done()
        self.configure(self.rogue, witnesses=[self.other_vkey])
        asked = self.rogue.asked
        error = self.issue(erasure, code=3, error="policy-refused").json["error"]
        self.assertIn(self.servers[self.rogue].url, error["tried"])
        self.assertIn("Bank Root", error["cause"])
        self.assertIn("kesu vault rules --time-authority", error["next"])
        self.assertEqual((self.rogue.asked, "certificate-issued" in [e["type"] for e in self.entries()]), (asked, False))
        with self.subTest("or takes it out: no certificate without a time-stamp, in silence"):
            self.configure(witnesses=[self.vkey])
            error = self.issue(erasure, code=3, error="policy-refused").json["error"]
            self.assertIn("names no time-stamp authority", error["message"])
            self.assertIn("Bank Root", error["cause"])
            checks = self.box.kesu("doctor", code=8).json["checks"]
            self.assertEqual([c["result"] for c in checks if c["check"] == "time-authorities"], ["fail"])
            self.assertNotIn("certificate-issued", [e["type"] for e in self.entries()])
            self.configure(self.rogue, witnesses=[self.other_vkey])
        with self.subTest("doctor and status say so"):
            details = [d["name"] for d in self.due()]
            self.assertEqual(sorted(details), sorted([f"time-authority {self.servers[self.rogue].url}", "time-authorities", "witness witness.example/other", "witnesses"]))
            checks = self.box.kesu("doctor", code=8).json["checks"]
            bad = {c["check"]: c for c in checks if c["result"] == "fail"}
            self.assertIn("not one of this vault's rules", bad[f"time-authority {self.servers[self.rogue].url}"]["detail"])
            self.assertIn("kesu vault rules --witness", bad["witness witness.example/other"]["next"])
            self.assertEqual(self.rogue.asked, asked)
        with self.subTest("a witness of his own"):
            error = self.cosigned(self.other, code=3, error="policy-refused").json["error"]
            self.assertIn("witness.example/other", error["message"])
        with self.subTest("the authority of the rules is asked besides, and alone"):
            self.configure(self.rogue, self.bank, witnesses=[self.vkey])
            notices = self.issue(erasure).stderr
            self.assertEqual(notices.count(self.servers[self.rogue].url), 1, notices)   # three are asked for
            self.assertEqual(self.rogue.asked, asked)
            self.assertEqual(self.read()[0], ("attested", "proven"))
            self.assertIn(f"# if you know this witness, add a line: witness {self.vkey}\n", self.proposed)
            self.assertIn(f'# by the rules of the erasure, besides your own trust: Time-stamps count only under sha256:{self.bank.digest()}, "CN=Bank Root', self.proposed)
        with self.subTest("B alone: the bundle is written, and its other stamp is not taken"):
            self.cosigned(self.witness)
            self.assertEqual(self.issue(erasure).code, 0)
            self.assertEqual(self.read()[0], ("attested", "proven"))
            self.configure(self.rogue, witnesses=[self.vkey])
            self.box.kesu("operator", "review")
            self.issue(erasure)
            self.assertEqual(self.rogue.asked, asked)

    def test_a_notice_does_not_wait_for_it(self):
        self.bind()
        self.configure(self.rogue)
        erasure, notice = self.approved("loans-2019"), self.box.path / "notice"
        asked = self.rogue.asked
        said = self.box.kesu("certificate", "notice", erasure, "-o", notice)
        self.assertIn("the document has no time-stamp", said.stderr)
        self.assertEqual((self.rogue.asked, (notice / "notice.json.p7s.tsr").exists()), (asked, False))
        shutil.rmtree(notice)
        self.configure()
        self.box.kesu("vault", "contact", "--contact", "another desk")  # else it is the same notice, written out again
        self.assertIn("names no time-stamp authority", self.box.kesu("certificate", "notice", erasure, "-o", notice).stderr)
        shutil.rmtree(notice)
        self.configure(self.bank)
        self.box.kesu("certificate", "notice", erasure, "-o", notice)
        self.assertTrue((notice / "notice.json.p7s.tsr").exists())

    def test_a_lost_stamp_of_the_checkpoint_is_fetched_anew(self):
        self.bind()
        self.configure(self.bank)
        erasure = self.done()
        self.issue(erasure)
        stamps = lambda: [e["body"] for e in self.entries() if e["type"] == "document-attached" and e["body"]["what"] == "checkpoint-token"]
        for n in (1, 2):
            self.assertEqual(len(stamps()), n)
            (self.box.vault / "evidence" / stamps()[-1]["document"]).unlink()
            self.assertEqual(self.issue(erasure).code, 0)
            self.assertEqual(self.read()[0], ("attested", "proven"))
        with self.subTest("one that was altered is not passed over"):
            kept = self.box.vault / "evidence" / stamps()[-1]["document"]
            kept.write_bytes(kept.read_bytes() + b"x")
            self.issue(erasure, code=6, error="ledger-damaged")
        with self.subTest("what the certificate needs itself: lost, and what to do"):
            kept.unlink()
            (self.box.vault / "evidence" / stamps()[-1]["authority"]).unlink()      # the chain of the signature's stamp, too
            self.assertIn("from a backup", self.issue(erasure, code=2, error="not-found").json["error"]["next"])

    def test_the_stamp_that_a_closed_vault_keeps_is_of_the_rules(self):
        self.bind()
        self.configure(self.bank)
        erasure = self.done()
        self.issue(erasure)
        self.box.kesu("vault", "close", "--reason", "over", "-y")
        self.issue(erasure)
        kept, = (self.box.vault / "stamps").glob("*.tsr")
        good, asked = kept.read_bytes(), self.bank.asked
        self.assertEqual((self.bundle / "time" / "checkpoint-b.tsr").read_bytes(), good)
        kept.write_bytes(self.rogue.stamp((self.bundle / "ledger" / "checkpoint-b").read_bytes())[0])
        kept.with_suffix(".pem").write_bytes(self.rogue.chain)
        self.issue(erasure)
        self.assertEqual(self.bank.asked - asked, 1)
        self.assertEqual(self.read()[0], ("attested", "proven"))

    def test_a_renewal_is_not_finished_without_the_stamp_of_its_checkpoint(self):
        self.bind()
        self.configure(self.bank)
        self.issue(self.done())
        certificate, out = self.box.kesu("certificate", "list").json[-1]["id"], self.box.path / "renewed"
        renew = lambda *words, **options: self.box.kesu("certificate", "renew", certificate, *words, **options)
        # The authority answers for the renewal, and not any more for the checkpoint that covers it.
        reply, asked = self.bank.reply, []
        self.bank.reply = lambda query, mode="good", env=None: (asked.append(1), reply(query, mode if len(asked) == 1 else "rejected", env))[1]
        try:
            self.assertIn("recorded", renew("-o", out, code=5, error="time-unavailable").json["error"]["message"])
        finally:
            self.bank.reply = reply
        recorded = lambda: [e["type"] for e in self.entries()].count("certificate-renewed")
        self.assertEqual((recorded(), out.exists()), (1, False))
        for authority in ((self.rogue,), ()):
            self.configure(*authority)
            for words in ((certificate,), ("--due",)) if authority else ((certificate,),):
                error = self.box.kesu("certificate", "renew", *words, code=3, error="policy-refused").json["error"]
                self.assertIn("Bank Root", error["cause"])
        self.configure(self.bank)
        done, = renew("-o", out).json["certificates"]
        self.assertEqual((done["outcome"], done["detail"], recorded()), ("renewed", "finished", 1))
        self.assertTrue((out / "time" / "checkpoint-b.tsr").exists())

    def test_a_change_serves_no_erasure_requested_before(self):
        self.rules("--waiting", "2")
        self.bind()
        self.configure(self.bank)
        erasure = self.plan("loans-2019")["erasure"]     # the change has not taken effect: nothing is bound
        self.assertIsNone(self.box.kesu("vault", "rules").json["anchors"])
        self.request(erasure)
        self.assertEqual(self.approve(erasure)["stage"], "approved")
        self.until(lambda: self.box.kesu("vault", "rules").json["anchors"])
        self.until(lambda: "error" not in self.run_erasure(erasure, code=None).json)
        self.configure(self.rogue)
        self.issue(erasure)                              # as nothing was bound when it was asked for
        levels, report = self.read()
        self.assertEqual(levels, ("attested", "proven"))
        over = {t["over"].partition("/")[0]: t["authority"] for t in report["time"]}
        self.assertEqual(over.pop("evidence"), "CN=Bank Time,O=Bank")          # of the waiting period
        self.assertEqual(set(over.values()), {"CN=Rogue Time,O=Rogue"})

    def test_changed_meanwhile_and_after(self):
        self.bind()
        self.configure(self.bank, witnesses=[self.vkey])
        erasure = self.done()
        self.rules("--time-authority", self.rogue.root, "--witness", self.other_vkey)
        self.configure(self.rogue, witnesses=[self.other_vkey])
        self.issue(erasure, code=3, error="policy-refused")
        self.configure(self.bank, self.rogue, witnesses=[self.vkey, self.other_vkey])
        self.issue(erasure)
        levels, report = self.read()
        self.assertEqual((levels, {t["authority"] for t in report["time"]}), (("attested", "proven"), {"CN=Bank Time,O=Bank"}))
        with self.subTest("cosignatures: both are kept, only those of the request count"):
            self.cosigned(self.other)
            self.assertIn("0 of 1", str(self.box.kesu("status").json["due"]))
            self.cosigned(self.witness)
            self.assertNotIn("of 1 witness", str(self.box.kesu("status").json["due"]))
            self.issue(erasure)
        with self.subTest("the witness is gone: its cosignature was kept"):
            self.configure(self.bank, witnesses=[])
            self.box.kesu("vault", "contact", "--place", "Osaka")
            self.issue(erasure)
            self.assertIn(f"\u2014 {self.vkey.partition('+')[0]} ", (self.bundle / "ledger" / "checkpoint-b").read_text())
        with self.subTest("authority and witness are gone: what was kept of them serves"):
            self.configure(self.rogue, witnesses=[])
            self.box.kesu("vault", "contact", "--place", "Tokyo")
            self.issue(erasure)
            self.assertEqual(self.read()[0], ("attested", "proven"))
            self.assertIn(f"\u2014 {self.vkey.partition('+')[0]} ", (self.bundle / "ledger" / "checkpoint-b").read_text())
        with self.subTest("renewed under the authority of now"):
            self.configure(self.bank)
            number = json.loads((self.bundle / "certificate.json").read_text())["id"]
            error = self.box.kesu("certificate", "renew", number, code=3, error="policy-refused").json["error"]
            self.assertIn("Rogue Root", error["cause"])
            self.configure(self.rogue)
            self.box.kesu("certificate", "renew", number)
            self.issue(erasure)
            levels, report = self.read()
            self.assertEqual({t["over"]: t["authority"] for t in report["time"]}["ledger/checkpoint-b"], "CN=Rogue Time,O=Rogue")
            # The authority of the request could still be asked: another's renewal does not stand in for it.
            self.assertEqual((levels, {t["over"]: t["trusted"] for t in report["time"]}), (("attested", "asserted"), {
                "signature": True, "certificate.json.p7s": True, "renewal/1.manifest": True, "ledger/checkpoint-b": False}))
        with self.subTest("renewed under the authority of now, that of the request in kesu.toml: it is asked for checkpoint B"):
            self.configure(self.rogue, self.bank)
            self.issue(erasure)
            levels, report = self.read()
            # Nothing was recorded since the other's stamp: that one is kept, and is not what the rules ask for.
            self.assertEqual({t["over"]: t["authority"] for t in report["time"]}["ledger/checkpoint-b"], "CN=Bank Time,O=Bank")
            self.box.kesu("vault", "contact", "--place", "Nara")
            self.issue(erasure)
            levels, report = self.read()
            self.assertEqual({t["over"]: t["authority"] for t in report["time"]}["ledger/checkpoint-b"], "CN=Bank Time,O=Bank")
            self.assertEqual((levels, [t["trusted"] for t in report["time"]]), (("attested", "proven"), [True] * 4))
            # Who does not trust the renewal's authority has what the rules name all the same.
            self.trust.write_text(self.trust.read_text().replace(f"tsa-ca {self.rogue.root}\n", ""))
            self.assertEqual(self.read(trust=True)[0], ("attested", "proven"))


class Genesis(World):
    """Bound by the genesis statement."""

    @classmethod
    def write_genesis(cls, path, officers, quorum=1, sign=True, words=()):
        cls.early = tsa.Tsa(cls.box.path / "early", "Early")
        return super().write_genesis(path, officers, quorum, sign, (*words, "--time-authority", cls.early.root))

    def test_from_the_first_entry_on(self):
        self.assertEqual([t["name"] for t in self.box.kesu("vault", "rules").json["anchors"]["time_authorities"]], ["CN=Early Root,O=Early"])
        self.assertEqual(self.entries()[0]["body"]["anchors"], json.loads(self.genesis.read_text())["anchors"])
        self.configure(self.bank)
        erasure = self.done()
        self.issue(erasure, code=3, error="policy-refused")
        with self.subTest("by the old quorum"):
            self.rules("--time-authority", self.bank.root, by=SECOND)
            self.issue(erasure, code=3, error="policy-refused")
        with tsa._Serving(self.early) as url:
            self.servers[self.early] = type("Server", (), {"url": url})
            self.configure(self.early)
            self.issue(erasure)
        proposed = self.box.kesu("trust", "propose", self.bundle, vault=False).json["trust"]
        self.trust.write_text(proposed + f"tsa-ca {self.early.root}\n")
        self.assertEqual(self.read(trust=True)[0], ("attested", "proven"))
        with self.subTest("its authority is gone: the stamp that was kept serves"):
            self.configure(self.bank)
            self.box.kesu("vault", "contact", "--place", "Tokyo")
            self.issue(erasure)
            self.assertEqual(self.read(trust=True)[0], ("attested", "proven"))
        with self.subTest("a stamp over B by another"):
            note = (self.bundle / "ledger" / "checkpoint-b").read_bytes()
            (self.bundle / "time" / "checkpoint-b.tsr").write_bytes(self.bank.stamp(note)[0])
            (self.bundle / "time" / "checkpoint-b.pem").write_bytes(self.bank.chain)
            self.trust.write_text(self.trust.read_text() + f"tsa-ca {self.bank.root}\n")
            levels, report = self.read(trust=True)
            self.assertEqual((levels, report["time"][2]["why"][:16]), (("attested", "asserted"), "not of the rules"))


if __name__ == "__main__":
    scenario.main()
