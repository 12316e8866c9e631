"""Trusted time: certificates under a real time-stamp authority (openssl ts), and everything that one can do wrong."""
import json
import pathlib
import re
import shutil
import socket
import sys

sys.path.insert(0, str(pathlib.Path(__file__).parents[1] / "support"))
import harness
import scenario
import tsa
from clock_test import library

LOW = ("--require", "low", "--allow-test-grade")
STAMPS = ["time/certificate.json.p7s.tsr", "time/checkpoint-b.pem", "time/checkpoint-b.tsr", "trust/tsa.pem"]


class Timed(scenario.World):
    """A vault with an erasure that is done and not certified; one authority for the class, and another's root."""

    @classmethod
    def prepare(cls):
        box = cls.box
        cls.tsa = tsa.Tsa(box.path / "tsa")
        cls.server = tsa._Serving(cls.tsa)
        cls.addClassCleanup(cls.server.close)
        cls.seal("loans-2019", {"a": b"one", "b": b"two"})
        case = cls("setUp")
        cls.erasure = case.approved("loans-2019")
        case.run_erasure(cls.erasure)

    def setUp(self):
        super().setUp()
        self.tsa.mode = "good"
        self.tsa.offset = None
        for name in ("bundle", "again", "other"):
            shutil.rmtree(self.box.path / name, ignore_errors=True)
        self.bundle = self.box.path / "bundle"
        self.trust = self.box.path / "trust"

    def configure(self, *urls, **members):
        """kesu.toml with one authority for each URL."""
        path = self.box.vault / "kesu.toml"
        text = path.read_text().partition("[[time.authority]]")[0]
        members = {"ca": str(self.tsa.root), **members}
        for url in urls:
            text += f'[[time.authority]]\nurl = "{url}"\n'
            text += "".join(f"{k} = {json.dumps(v)}\n" for k, v in members.items())
        path.write_text(text)

    def issue(self, out="bundle", **options):
        return self.box.kesu("certificate", "bundle", self.erasure, "-o", self.box.path / out, **options)

    def files(self, out="bundle"):
        root = self.box.path / out
        return sorted(str(p.relative_to(root)) for p in root.rglob("*") if p.is_file())

    def write_trust(self, *lines):
        proposed = self.box.kesu("trust", "propose", self.bundle, vault=False).json["trust"]
        self.trust.write_text(proposed + "".join(line + "\n" for line in lines))

    def verify(self, *words, code=0, anchor=True, bundle=None, env=None):
        self.write_trust(*([f"tsa-ca {self.tsa.root}"] if anchor is True else [f"tsa-ca {anchor}"] if anchor else []))
        return self.box.kesu("verify", bundle or self.bundle, "--trust", self.trust, *(words or LOW), code=code, vault=False,
                             env=env).json

    def levels(self, report):
        return {c["id"]: c["level"] for c in report["claims"] if c["id"] in ("logged", "dated")}

    def types(self):
        return [e["type"] for e in self.entries()]

    def due(self):
        return [d for d in self.box.kesu("status").json["due"] if d["what"] == "certificate"]

    def openssl(self, *words, code=0):
        return self.box.run("openssl", *words, cwd=self.bundle, code=code)

    def ts_verify(self, data, stamp, chain, anchor=None, code=0):
        return self.openssl("ts", "-verify", "-data", data, "-in", stamp, "-CAfile", anchor or self.tsa.root,
                            "-untrusted", chain, code=code)


class Issued(Timed):
    def test_a_closed_ledger_asks_once(self):
        """Nothing can be recorded any more: the same stamp is given again all the same, while it is good."""
        self.configure(self.server.url)
        self.issue()
        self.box.kesu("vault", "close", "--reason", "over", "-y")
        entries, asked = self.entries(), self.tsa.asked
        self.issue("again")
        self.assertEqual(self.tsa.asked - asked, 1)                        # over a checkpoint that no stamp is of yet
        report = self.verify(bundle=self.box.path / "again")
        self.assertEqual(self.levels(report), {"logged": "proven", "dated": "attested"})
        again = {name: (self.box.path / "again" / name).read_bytes() for name in self.files("again")}

        def other(more):
            asked = self.tsa.asked
            shutil.rmtree(self.box.path / "other", ignore_errors=True)
            self.issue("other")
            self.assertEqual(self.tsa.asked - asked, more)
            return {name: (self.box.path / "other" / name).read_bytes() for name in self.files("other")}
        self.assertEqual(other(0), again)
        stamp, = (self.box.vault / "stamps").glob("*.tsr")
        chain = stamp.with_suffix(".pem")
        self.assertEqual([f.stat().st_mode & 0o777 for f in (stamp, chain)], [0o600] * 2)
        for name, spoil in (("altered", lambda: stamp.write_bytes(stamp.read_bytes()[:-1] + b"?")), ("of something else", lambda: stamp.write_bytes(
                self.tsa.reply(self.tsa.query(b"other")))), ("half of it", chain.unlink), ("gone", lambda: shutil.rmtree(stamp.parent))):
            with self.subTest(name):
                spoil()
                made = other(1)
                self.assertNotEqual(made["time/checkpoint-b.tsr"], again["time/checkpoint-b.tsr"])
                self.assertEqual(other(0), made)
        with self.subTest("it cannot be kept"):
            shutil.rmtree(stamp.parent)
            stamp.parent.write_text("no directory")
            shutil.rmtree(self.box.path / "other")
            self.assertIn("could not be kept", self.issue("other").stderr)
            self.verify(bundle=self.box.path / "other")
        self.nothing_changed(entries)

    def test_stamped(self):
        self.configure(self.server.url)
        asked = self.tsa.asked
        self.issue()
        self.assertEqual(self.tsa.asked - asked, 3)
        self.assertEqual([f for f in self.files() if f.startswith("time/") or f == "trust/tsa.pem"], STAMPS)
        manifest = (self.bundle / "MANIFEST").read_text()
        self.assertIn("  time/certificate.json.p7s.tsr\n", manifest)
        self.assertIn("  trust/tsa.pem\n", manifest)
        self.assertNotIn("checkpoint-b", manifest)
        report = self.verify()
        self.assertEqual((report["verdict"], report["errors"]), ("complete", []))
        self.assertEqual(self.levels(report), {"logged": "proven", "dated": "attested"})
        self.assertEqual([t["over"] for t in report["time"]], ["signature", "certificate.json.p7s", "ledger/checkpoint-b"])
        for stamp in report["time"]:
            self.assertEqual(sorted(stamp), ["accuracy_ms", "algorithm", "at", "authority", "certificate_until", "over", "policy",
                                             "revocation", "trusted", "why"])
            self.assertEqual((stamp["trusted"], stamp["why"], stamp["accuracy_ms"], stamp["policy"]),
                             (True, "", 1000, "1.3.6.1.4.1.99999.1"))
            self.assertEqual(stamp["authority"], "CN=Test Time,O=Test")
            self.assertEqual(stamp["algorithm"], "ECDSA P-256, SHA-256")
        # The issuer said neither: it does not know whom the reader trusts.
        document = json.loads((self.bundle / "certificate.json").read_bytes())
        self.assertEqual({c["id"]: c["level"] for c in document["claims"] if c["id"] in ("logged", "dated")},
                         {"logged": "asserted", "dated": "absent"})
        text = self.box.text("verify", self.bundle, "--trust", self.trust, *LOW, vault=False).stdout
        self.assertRegex(text, r"certificate\.json\.p7s +20\d\d-.* ± 1 s +CN=Test Time,O=Test\n")
        self.assertEqual(self.due(), [])
        self.box.kesu("ledger", "verify")

        with self.subTest("stock tools accept what was issued"):
            self.ts_verify("certificate.json.p7s", "time/certificate.json.p7s.tsr", "trust/tsa.pem")
            self.ts_verify("ledger/checkpoint-b", "time/checkpoint-b.tsr", "time/checkpoint-b.pem")
            self.ts_verify("certificate.json", "time/certificate.json.p7s.tsr", "trust/tsa.pem", code=1)
            self.openssl("cms", "-verify", "-binary", "-cades", "-inform", "DER", "-in", "certificate.json.p7s", "-content",
                         "certificate.json", "-CAfile", "trust/signer.pem", "-purpose", "any", "-out", "/dev/null")
            printed = self.openssl("cms", "-cmsout", "-print", "-inform", "DER", "-in", "certificate.json.p7s").stdout
            self.assertIn("id-smime-aa-timeStampToken", printed)
            self.openssl("ts", "-reply", "-in", "time/certificate.json.p7s.tsr", "-text")
            self.box.run("sha512sum", "--quiet", "-c", "MANIFEST", cwd=self.bundle)

        with self.subTest("the README's lines"):
            readme = (self.bundle / "README.txt").read_text()
            for lines in re.findall(r"    (openssl ts -verify(?:.*\\\n)?.*)", readme):
                self.box.run("sh", "-c", lines.replace("ROOT.pem", str(self.tsa.root)), cwd=self.bundle)
            self.assertEqual(readme.count("openssl ts -verify"), 2)

        with self.subTest("the same again: nothing new is asked or recorded, and every byte is the same"):
            asked, entries = self.tsa.asked, len(self.entries())
            self.issue("again")
            self.assertEqual((self.tsa.asked, len(self.entries())), (asked, entries))
            for name in self.files():
                self.assertEqual((self.bundle / name).read_bytes(), (self.box.path / "again" / name).read_bytes(), name)

        with self.subTest("after more was recorded: the same MANIFEST, a newer checkpoint with a stamp of its own"):
            self.box.kesu("key", "create", "more")
            self.issue("other")
            self.assertEqual(self.tsa.asked, asked + 1)
            self.assertEqual((self.box.path / "other" / "MANIFEST").read_bytes(), (self.bundle / "MANIFEST").read_bytes())
            report = self.verify(bundle=self.box.path / "other")
            self.assertEqual(self.levels(report), {"logged": "proven", "dated": "attested"})
            self.assertEqual(self.types()[-1], "document-attached")

        with self.subTest("once the authority's certificate has ended"):
            later = {"LD_PRELOAD": library(), "FAKETIME": "+30y", "NO_FAKE_STAT": "1"}
            self.assertEqual(self.levels(self.verify(env=later)), {"logged": "proven", "dated": "attested"})

    def test_readers_anchors(self):
        self.configure(self.server.url)
        self.issue()
        other = tsa.Tsa(self.box.path / "other-tsa", "Other").root if not (self.box.path / "other-tsa").exists() else \
            self.box.path / "other-tsa" / "root.pem"
        for anchor, why in ((None, "names no time-stamp authority"), (other, "its chain does not lead to a tsa-ca of the trust file")):
            with self.subTest(why):
                report = self.verify(anchor=anchor)                       # enough for the bar low, which asks for none
                self.assertEqual(self.levels(report), {"logged": "asserted", "dated": "absent"})
                self.assertEqual([t["trusted"] for t in report["time"]], [False] * 3)
                self.assertIn(why, report["time"][0]["why"])
                short = self.verify("--require", "standard", "--allow-test-grade", anchor=anchor, code=7)
                self.assertEqual(short["errors"], [])
                self.assertEqual(len([s for s in short["shortfalls"] if "CN=Test Time" in s]), 3, short["shortfalls"])
        self.assertIn("# time-stamps lead to CN=Test Root,O=Test, sha256:", self.trust.read_text())
        # An intermediate of the reader's choice is an anchor as good as a root.
        self.assertEqual(self.levels(self.verify(anchor=self.tsa.intermediate)), {"logged": "proven", "dated": "attested"})

    def test_tampered(self):
        self.configure(self.server.url)
        self.issue()
        keep = {name: (self.bundle / name).read_bytes() for name in self.files()}

        def tampered(**changes):
            for name, data in keep.items():
                path = self.bundle / name
                path.write_bytes(data)
            for name, data in changes.items():
                path = self.bundle / name
                path.unlink() if data is None else path.write_bytes(data)

        signature, checkpoint, chain = STAMPS[0], STAMPS[2], STAMPS[3]
        other = self.tsa.reply(self.tsa.query(b"other bytes"))
        for what, changes in {
            "over other bytes": {signature: other}, "B over other bytes": {checkpoint: other}, "swapped": {
                signature: keep[checkpoint], checkpoint: keep[signature]},
            "garbage": {checkpoint: b"\x30\x03abc"}, "empty": {checkpoint: b""},
            "cut": {checkpoint: keep[checkpoint][:-1]}, "longer": {checkpoint: keep[checkpoint] + b"\0"},
            "a refusal": {checkpoint: self.tsa.reply(self.tsa.query(keep["ledger/checkpoint-b"]), "rejected")},
            "no EKU": {checkpoint: self.tsa.reply(self.tsa.query(keep["ledger/checkpoint-b"]), "no-eku")},
            "expired": {checkpoint: self.tsa.reply(self.tsa.query(keep["ledger/checkpoint-b"]), "expired")},
            "SHA-1": {checkpoint: self.tsa.reply(self.tsa.query(keep["ledger/checkpoint-b"]), "sha1")},
            "stripped": {signature: None}, "chain stripped": {chain: None}, "chain without its token": {checkpoint: None},
            "B's chain is none": {STAMPS[1]: b"nothing"},
        }.items():
            with self.subTest(what):
                tampered(**changes)
                report = self.verify(code=6)
                self.assertTrue(any(e["part"] in changes or e["part"] in STAMPS or e["part"] == "MANIFEST"
                                    for e in report["errors"]), report["errors"])
        with self.subTest("stripped with its chain: less is shown, nothing is wrong"):
            tampered(**{checkpoint: None, STAMPS[1]: None})
            self.assertEqual(self.levels(self.verify()), {"logged": "asserted", "dated": "attested"})
        with self.subTest("another honest token over the same checkpoint"):
            tampered(**{checkpoint: self.tsa.reply(self.tsa.query(keep["ledger/checkpoint-b"]))})
            self.assertEqual(self.levels(self.verify()), {"logged": "proven", "dated": "attested"})
        with self.subTest("a token from before the ledger's last entry"):
            early = {"LD_PRELOAD": library(), "FAKETIME": "-1h", "NO_FAKE_STAT": "1", **self.box.env}
            tampered(**{checkpoint: self.tsa.reply(self.tsa.query(keep["ledger/checkpoint-b"]), env=early)})
            report = self.verify(code=6)
            self.assertTrue(any("later than its time-stamp" in e["what"] for e in report["errors"]), report["errors"])

    def test_unstamped_as_before(self):
        self.issue()
        self.assertEqual([f for f in self.files() if f in STAMPS], [])
        self.assertFalse((self.bundle / "time").exists())
        report = self.verify()
        self.assertEqual((self.levels(report), report["time"]), ({"logged": "asserted", "dated": "absent"}, []))
        self.assertEqual(self.due(), [])
        # Configured later: the signature is as it was issued, the checkpoint that covers it gets its stamp.
        self.configure(self.server.url)
        self.issue("again")
        self.assertEqual([f for f in self.files("again") if f in STAMPS], STAMPS[1:3])
        self.assertEqual(self.levels(self.verify(bundle=self.box.path / "again")), {"logged": "proven", "dated": "absent"})


class Authorities(Timed):
    def refused_by(self, mode, why, **members):
        """Under profile low: issued without, and the notice says why."""
        with self.subTest(mode):
            self.box.restore("prepared")
            shutil.rmtree(self.bundle, ignore_errors=True)
            self.configure(f"{self.server.url}?{mode}", **members)
            done = self.issue()
            self.assertIn("the certificate has no time-stamp", done.stderr)
            self.assertRegex(done.stderr, why)
            self.assertEqual([f for f in self.files() if f in STAMPS], [])
            due, = self.due()
            self.assertIn("no time-stamp", due["detail"])

    def test_answers_that_do_not_count(self):
        for mode, why in (("wrong-nonce", "nonce"), ("wrong-imprint", "over other bytes"),
                          ("rejected", "refuses: rejected.*algorithm not supported"), ("expired", "not valid at the token's time"),
                          ("no-eku", "extended key usage"), ("sha1", "digest algorithm"), ("inaccurate", "accuracy"),
                          ("huge", "longer than 262144 bytes"), ("garbage", "time-stamp answer"), ("http-500", "HTTP status 500"),
                          ("redirect", "redirects")):
            self.refused_by(mode, why)
        self.refused_by("slow", "[Tt]imed? ?out|timeout", timeout=1)
        self.refused_by("good", "policy not supported", policy="1.2.3.4")

    def test_an_authority_under_another_ca(self):
        other = tsa.Tsa(self.box.path / "foreign", "Foreign")
        self.configure(self.server.url, ca=str(other.root))
        self.assertIn("does not lead to ca", self.issue().stderr)

    def test_the_next_one_is_asked(self):
        with socket.socket() as closed:
            closed.bind(("127.0.0.1", 0))
            nobody = f"http://127.0.0.1:{closed.getsockname()[1]}/"
            self.configure(f"{self.server.url}?wrong-nonce", nobody, f"{self.server.url}?ess-sha1", policy="1.3.6.1.4.1.99999.2")
            self.assertNotIn("no time-stamp", self.issue().stderr)
        report = self.verify()
        self.assertEqual({t["policy"] for t in report["time"]}, {"1.3.6.1.4.1.99999.2"})
        self.assertEqual(self.levels(report), {"logged": "proven", "dated": "attested"})

    def test_offline_then_online(self):
        with socket.socket() as closed:
            closed.bind(("127.0.0.1", 0))
            self.configure(f"http://127.0.0.1:{closed.getsockname()[1]}/")
            self.assertIn("no time-stamp", self.issue().stderr)
        due, = self.due()
        self.assertIn("certificate bundle", due["next"])
        self.configure(self.server.url)
        self.issue("again")
        self.assertEqual(self.due(), [])
        self.assertEqual((self.bundle / "MANIFEST").read_bytes(), (self.box.path / "again" / "MANIFEST").read_bytes())
        self.assertEqual(self.levels(self.verify(bundle=self.box.path / "again")), {"logged": "proven", "dated": "absent"})
        self.box.kesu("ledger", "verify")

    def test_checkpoint_stamp_missed(self):
        """The authority goes away between the signature's stamps and the checkpoint's."""
        self.configure(self.server.url)
        answers = iter(("good", "good"))
        honest, self.tsa.reply = self.tsa.reply, lambda query, mode="good", env=None: honest(query, next(answers, "rejected"))
        try:
            self.assertIn("has no time-stamp yet", self.issue().stderr)
            self.assertEqual([f for f in self.files() if f in STAMPS], [STAMPS[0], STAMPS[3]])
            self.assertEqual(self.levels(self.verify()), {"logged": "asserted", "dated": "attested"})
            self.assertEqual(len(self.due()), 1)
        finally:
            del self.tsa.reply
        self.issue("again")
        self.assertEqual((self.files("again") == sorted({*self.files(), *STAMPS}), self.due()), (True, []))

    def test_tls(self):
        self.box.run("openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes", "-subj", "/CN=localhost",
                     "-addext", "subjectAltName=DNS:localhost", "-days", "30", "-keyout", "tls.key", "-out", "tls.pem")
        with self.tsa.serve(tls=(self.box.path / "tls.pem", self.box.path / "tls.key")) as url:
            self.configure(url)
            self.assertRegex(self.issue().stderr, "certificate")           # nobody vouches for it
            self.configure(url, tls_ca=str(self.box.path / "tls.pem"))
            self.issue("again")
            self.assertEqual([f for f in self.files("again") if f in STAMPS], STAMPS[1:3])
            # Another name than its certificate's.
            shutil.rmtree(self.box.path / "again")
            self.box.kesu("key", "create", "more")
            self.configure(url.replace("localhost", "127.0.0.1"), tls_ca=str(self.box.path / "tls.pem"))
            self.assertRegex(self.issue("again").stderr, "SSL|subject|name")

    def test_configuration(self):
        path = self.box.vault / "kesu.toml"
        plain = path.read_text()
        good = f'url = "{self.server.url}"\nca = "{self.tsa.root}"\n'
        for text, why in (
                ("[time]\nauthority = 1\n", "tables"), ("[time]\nurl = 1\n", "tables"), ("[[time.authority]]\n", "no url"),
                ('[[time.authority]]\nurl = "ftp://x/"\n', "http or https"), ('[[time.authority]]\nurl = "file:///etc"\n', "http or https"),
                ('[[time.authority]]\nurl = "http://user:pw@x/"\n', "credentials"), ('[[time.authority]]\nurl = "http://x/"\n', "no ca"),
                ('[[time.authority]]\nurl = "http://x/"\nca = "missing.pem"\n', "missing.pem"),
                (f"[[time.authority]]\n{good}polcy = \"1.2\"\n", "polcy"), (f"[[time.authority]]\n{good}policy = \"x\"\n", "policy"),
                (f"[[time.authority]]\n{good}timeout = 0\n", "timeout"), (f"[[time.authority]]\n{good}[[time.authority]]\n", "2: has no url")):
            with self.subTest(text):
                path.write_text(plain + text)
                error = self.issue(code=2, error="bad-input").json["error"]
                self.assertIn(why, error["message"])
                self.assertIn("kesu.toml", error["message"])
                self.assertNotIn("certificate-issued", self.types())
        # Relative to the vault.
        shutil.copy(self.tsa.root, self.box.vault / "tsa.pem")
        path.write_text(plain + f'[[time.authority]]\nurl = "{self.server.url}"\nca = "tsa.pem"\n')
        self.issue()
        self.assertEqual([f for f in self.files() if f in STAMPS], STAMPS)

    def test_doctor(self):
        def checks(code=(0, 8), *words):
            found = self.box.kesu("doctor", *words, code=code).json["checks"]
            return [c for c in found if c["check"].startswith("time-authorit")]
        self.assertEqual(checks(), [])
        self.configure(self.server.url)
        check, = checks()
        self.assertEqual((check["check"], check["result"]), (f"time-authority {self.server.url}", "ok"))
        self.assertIn("CN=Test Time", check["detail"])
        self.configure(f"{self.server.url}?wrong-nonce", self.server.url)
        self.assertEqual([c["result"] for c in checks(8)], ["fail", "ok"])
        self.assertEqual([c["detail"] for c in checks((0, 8), "--offline")], ["not asked (--offline)"] * 2)
        self.tsa.offset = {**self.box.env, "LD_PRELOAD": library(), "FAKETIME": "+1h", "NO_FAKE_STAT": "1"}
        self.configure(self.server.url)
        check, = checks(8)
        self.assertEqual(check["result"], "fail")
        self.assertIn("60 min behind", check["detail"])
        self.configure(self.server.url, ca="missing.pem")
        check, = checks(8)
        self.assertEqual((check["check"], check["result"]), ("time-authorities", "fail"))


class Clocks(Timed):
    def authority_at(self, offset):
        self.tsa.offset = {**self.box.env, "LD_PRELOAD": library(), "FAKETIME": offset, "NO_FAKE_STAT": "1"}

    def findings(self):
        return [e["body"] for e in self.entries() if e["type"] == "finding-recorded"]

    def test_a_host_behind(self):
        self.configure(self.server.url)
        self.authority_at("+2h")
        self.assertIn("120 min behind the time authority", self.issue().stderr)
        finding, = self.findings()                                         # three tokens, one finding
        self.assertEqual(finding["what"], "clock-behind")
        self.assertEqual(sorted(finding), ["actor", "authority_time", "detail", "host_time", "what"])
        self.assertEqual(self.levels(self.verify()), {"logged": "proven", "dated": "attested"})

    def test_a_host_ahead(self):
        """Its times would be later than the authority's: no stamp can bear them out."""
        self.configure(self.server.url)
        self.authority_at("-2h")
        self.assertIn("120 min ahead of the time authority", self.issue().stderr)
        self.assertEqual([f["what"] for f in self.findings()], ["clock-jumped"])
        self.assertEqual([f for f in self.files() if f in STAMPS], [])
        self.assertEqual(len(self.due()), 1)

    def test_within_a_minute(self):
        self.configure(self.server.url)
        for offset in ("-40s", "+40s"):
            self.authority_at(offset)
            self.issue("again")
            shutil.rmtree(self.box.path / "again")
            self.box.kesu("key", "create", f"k{offset[1:]}{offset[0] == '-'}")
        self.assertEqual(self.findings(), [])


class Standard(Timed):
    """A vault whose profile asks for time-stamps: it was made and its erasure approved a day ago. Both of the kernel's
    clocks are faked together, so that nothing jumps; kesu-probe lives in the present."""
    quorum = 2

    @classmethod
    def write_genesis(cls, path, officers, quorum=1, sign=True, words=()):
        cls.box.env.update({"LD_PRELOAD": library(), "FAKETIME": "-25h", "NO_FAKE_STAT": "1"})
        return super().write_genesis(path, officers, quorum, sign, ("--profile", "standard", *words))

    @classmethod
    def prepare(cls):
        box = cls.box
        cls.tsa = tsa.Tsa(box.path / "tsa")
        cls.server = tsa._Serving(cls.tsa)
        cls.addClassCleanup(cls.server.close)
        box.kesu("key", "create", "told")
        box.kesu("dataset", "add", "told", "--key", "told", "--plaintext-history", "none", "--history-by", scenario.OPERATOR)
        cls.seal("told", {"a": b"one"})
        case = cls("setUp")
        case.configure(cls.server.url)
        cls.tsa.offset = dict(box.env)
        cls.erasure = case.plan("told")["erasure"]
        case.request(cls.erasure)
        case.approve(cls.erasure, scenario.APPROVER)
        case.approve(cls.erasure, scenario.SECOND)
        box.env["FAKETIME"] = "+0"
        cls.tsa.offset = None
        case.run_erasure(cls.erasure)
        case.configure()

    def test_nothing_is_issued_without(self):
        with socket.socket() as closed:
            closed.bind(("127.0.0.1", 0))
            self.configure(f"http://127.0.0.1:{closed.getsockname()[1]}/", f"{self.server.url}?garbage")
            error = self.issue(code=5, error="time-unavailable").json["error"]
        self.assertIn("time-stamp answer", error["cause"])
        self.assertNotIn("certificate-issued", self.types())
        self.assertFalse(self.bundle.exists())
        self.box.kesu("ledger", "verify")
        self.configure(self.server.url)                                    # the same command goes on
        self.issue()
        report = self.verify("--require", "standard", "--allow-test-grade", code=7)
        self.assertEqual([s.partition(" is not shown: ")[2][:27] for s in report["shortfalls"]], ["there is no revocation list"] * 5)
        # Once the authority's lists are out, the same certificate has them.
        (self.box.path / "lists.pem").write_text(self.tsa.lists())
        config = self.box.vault / "kesu.toml"
        config.write_text(config.read_text() + f'[certificate]\ncrl = "{self.box.path / "lists.pem"}"\n')
        self.issue("again")
        report = self.verify("--require", "standard", "--allow-test-grade", bundle=self.box.path / "again")
        self.assertEqual(self.levels(report), {"logged": "proven", "dated": "attested"})
        self.assertEqual((report["verdict"], report["shortfalls"]), ("complete", []))

    def test_a_waiting_period_that_only_the_clock_passed(self):
        """The authority lives a day earlier: the host's clock was set, nothing is certified."""
        self.tsa.offset = {**self.box.env, "FAKETIME": "-25h"}
        self.configure(self.server.url)
        error = self.issue(code=4, error="waiting").json["error"]
        self.assertIn("1 day", error["cause"])
        self.assertNotIn("certificate-issued", self.types())
        self.assertEqual([e["body"]["what"] for e in self.entries() if e["type"] == "finding-recorded"], ["clock-jumped"])

    def test_without_an_authority_as_before(self):
        self.issue()
        self.assertEqual(self.levels(self.verify(anchor=None)), {"logged": "asserted", "dated": "absent"})


if __name__ == "__main__":
    harness.main()
