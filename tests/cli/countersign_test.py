"""`kesu certificate countersign`: an auditor signs certificate.json with openssl on his own machine; three readers show whose it is,
refuse what is not good, and never think more of the certificate for it."""
import hashlib
import pathlib
import re
import shutil
import ssl
import sys
import time

ROOT = pathlib.Path(__file__).resolve().parents[2]
sys.path[:0] = [str(ROOT / "tests" / "support"), str(ROOT / "scripts")]
import debian_python  # noqa: F401
import certified
import chromium
import countersigned
import harness
import reissue
import scenario
import tsa
import verify_page
from clock_test import library
from kesu_verifier import trust as trust_file
from kesu_verifier import verify

LOW = ("--require", "low", "--allow-test-grade")
VALIDATOR_KEY = ("RSA", "rsa_keygen_bits:3072")


class Countersign(verify_page.Driver, scenario.World):
    @classmethod
    def setUpClass(cls):
        cls.page_there = bool(chromium.program())
        super(verify_page.Driver, cls).setUpClass()

    @classmethod
    def prepare(cls):
        cls.seal("loans-2019", {"a": b"one", "b": b"two"})
        case = cls("issue")
        erasure = case.approved("loans-2019")
        case.run_erasure(erasure)
        cls.issue(erasure)
        cls.auditor = countersigned.person(cls.box.path / "auditor", "監査 役")
        cls.validator = countersigned.person(cls.box.path / "validator", "V", VALIDATOR_KEY)
        cls.tsa, cls.stranger = tsa.Tsa(cls.box.path / "tsa"), tsa.Tsa(cls.box.path / "stranger", "Stranger")
        cls.server = tsa._Serving(cls.tsa)
        cls.addClassCleanup(cls.server.close)
        cls.tables = trust_file.Tables()
        if cls.page_there:
            cls.open_page()

    def setUp(self):
        if self.page_there:
            super().setUp()
        else:
            scenario.World.setUp(self)
            self.bundle = self.elsewhere / "issued"
        self.out = self.box.path / "countersigned"
        shutil.rmtree(self.out, ignore_errors=True)

    def tearDown(self):
        if self.page_there:
            super().tearDown()

    def digest(self, place):
        return hashlib.sha256(ssl.PEM_cert_to_DER_cert((place / "cert.pem").read_text())).hexdigest()

    def readers(self, bundle, trust):
        """The reports of all three."""
        path = self.elsewhere / "trust"
        path.write_text(trust)

        def kesu():
            return self.box.run(harness.program("kesu"), "verify", bundle, "--trust", path, "--json", *LOW, code=None).json

        def second():
            return verify.verify(str(bundle), trust_file.read_trust(str(path)), self.tables, require="low", allow_test_grade=True)

        def page():
            text, report = self.check(bundle, trust=trust, trust_files=[self.tsa.root])["text"], self.saved()
            self.assertEqual("Whether these certificates were revoked is not asked." in text, "countersignatures" in report)
            return report
        return verify_page.together(kesu, second, *([page] if self.page_there else []))

    def test_an_auditor_and_a_validator(self):
        before = self.kesu_verify(self.bundle, self.trust, *LOW)
        self.assertEqual((before["verdict"], "countersignatures" in before), ("complete", False))
        for n, (place, form) in enumerate(((self.auditor, "DER"), (self.validator, "PEM")), 2):
            signature = self.box.path / "from-there"
            content = (self.bundle / "certificate.json").read_bytes()
            signature.write_bytes(countersigned.sign(place, content, "-cades", "-md", "sha384", "-outform", form))
            source = self.bundle if n == 2 else self.out
            target = self.out if n == 2 else self.box.path / "both.zip"
            target.unlink(missing_ok=True) if target.suffix else None
            done = self.box.run(harness.program("kesu"), "certificate", "countersign", source, "--signature", signature, "-o", target, "--json").json
            self.assertEqual((done["file"], done["certificate"]), (f"certificate.json.{n}.p7s", self.digest(place)))
        trust = self.trust + f"countersigner sha256:{self.digest(self.auditor)}\n"
        for report in self.readers(target, trust):
            rows = report.pop("countersignatures")
            self.assertEqual([(r["file"], r["certificate"], r["known"]) for r in rows],
                             [("certificate.json.2.p7s", self.digest(self.auditor), True), ("certificate.json.3.p7s", self.digest(self.validator), False)])
            self.assertEqual([(r["time"], r["valid"]) for r in rows], [(None, None)] * 2)
            self.assertEqual(rows[0]["signer"], "CN=監査 役,O=Example Bank")
            self.assertEqual(report, before)                 # nothing else is said because of it
        said = self.box.run(harness.program("kesu"), "verify", target, *LOW, code=7).stdout
        self.assertRegex(said, r"countersigned by\n +CN=監査 役.*, time not shown\n.*time not shown\n    whether these certificates were revoked is not asked\n")

    def test_stock_tools(self):
        page = (harness.SOURCE / "docs" / "verify-by-hand.md").read_text()
        line = re.search(r"^`(openssl cms [^`]*certificate\.json\.2\.p7s[^`]*)`", page, re.M)[1]
        (self.bundle / "certificate.json.2.p7s").write_bytes(countersigned.sign(self.auditor, (self.bundle / "certificate.json").read_bytes()))
        said = self.box.run("bash", "-euo", "pipefail", "-c", line, cwd=self.bundle).stdout
        self.assertIn(self.digest(self.auditor), said.replace(":", "").lower())
        (self.bundle / "certificate.json.2.p7s").unlink()

    def countersign(self, *words, **options):
        return self.box.run(harness.program("kesu"), "certificate", "countersign", *words, "--json", **options)

    def anchored(self):
        return self.trust + f"tsa-ca {self.tsa.root}\ncountersigner sha256:{self.digest(self.auditor)}\n"

    def one_row(self, bundle, trust=None, also=""):
        """What the three readers say of the one countersignature: the same."""
        rows = [r["countersignatures"] for r in self.readers(bundle, trust or self.anchored() + also)]
        self.assertEqual((len(rows[0]), rows[1:]), (1, rows[:1] * (len(rows) - 1)))
        return rows[0][0]

    def test_a_time_stamp_of_its_own(self):
        before, name = self.kesu_verify(self.bundle, self.anchored(), *LOW), "certificate.json.2.p7s"
        signature = self.box.path / "unstamped"
        signature.write_bytes(countersigned.sign(self.auditor, (self.bundle / "certificate.json").read_bytes()))
        done = self.countersign(self.bundle, "--signature", signature, "--tsa", self.server.url, "--tsa-ca", self.tsa.root, "-o", self.out).json
        row = self.one_row(self.out)
        self.assertEqual((row["known"], row["valid"], row["time"]["trusted"], row["time"]["over"], row["time"]["at"]), (True, True, True, name, done["time"]))
        self.assertEqual(sorted(row["time"]), ["accuracy_ms", "algorithm", "at", "authority", "certificate_until", "over", "policy", "revocation", "trusted", "why"])
        text = lambda trust: (self.kesu_verify(self.out, trust), self.box.run(harness.program("kesu"), "verify", self.out, "--trust", self.elsewhere / "trust", *LOW, code=None).stdout)[1]
        self.assertRegex(text(self.anchored()), r"countersigned by\n +CN=監査 役.*, at 20.*, by CN=Test Time,O=Test\n")
        # Nothing else is said because of it; and nobody's word is taken for when but that of an authority whom the reader names.
        after = self.kesu_verify(self.out, self.anchored(), *LOW)
        after.pop("countersignatures")
        self.assertEqual(after, before)
        other = self.one_row(self.out, self.trust)
        self.assertEqual((other["valid"], other["time"]["trusted"], other["time"]["why"]), (None, False, "the trust file names no time-stamp authority (tsa-ca)"))
        self.assertRegex(text(self.trust), r"CN=監査 役.*, time not shown \(not counted: .*names no time-stamp authority")
        if self.page_there:
            self.assertIn("time not shown", self.check(self.out)["text"])
            self.assertIn(done["time"], self.check(self.out, trust=self.anchored(), trust_files=[self.tsa.root])["text"])
        # Whoever wants time-stamps to last gets this one's end, too: nothing renews it.
        self.assertTrue(self.one_row(self.out, also="tsa-renewal required\n")["time"]["trusted"])
        path = self.elsewhere / "trust"
        path.write_text(self.anchored() + "tsa-renewal required\n")
        later = self.box.run(harness.program("kesu"), "verify", self.out, "--trust", path, *LOW, "--json", code=None,
                             env={"LD_PRELOAD": library(), "FAKETIME": "+30y", "NO_FAKE_STAT": "1"}).json
        second = verify.verify(str(self.out), trust_file.read_trust(str(path)), trust_file.Tables(), require="low", allow_test_grade=True,
                               now=int((time.time() + 30 * 365.25 * 86400) * 1000))
        for report in (later, second):
            row = report["countersignatures"][0]
            self.assertEqual((row["time"]["trusted"], row["valid"], "no renewal covers it" in row["time"]["why"]), (False, None, True), report["errors"])

    def test_a_certificate_that_had_ended(self):
        self.tsa.certify("former", "tsa", "/O=Example Bank/CN=Former", "v3_plain", dates=("20200101000000Z", "20210101000000Z"))
        former = self.box.path / "former"
        former.mkdir()
        shutil.copy(self.tsa.dir / "former.pem", former / "cert.pem")
        shutil.copy(self.tsa.dir / "tsa.key", former / "key.pem")
        files = reissue.read(self.elsewhere / "issued")
        signature = countersigned.sign(former, files["certificate.json"])
        token = countersigned.token_of(self.tsa.reply(self.tsa.query(countersigned.value_of(signature))))
        shutil.rmtree(self.out, ignore_errors=True)
        reissue.write({**files, "certificate.json.2.p7s": countersigned.with_token(signature, token)}, self.out)
        row = self.one_row(self.out)
        self.assertEqual((row["time"]["trusted"], row["valid"]), (True, False))
        said = self.box.run(harness.program("kesu"), "verify", self.out, "--trust", self.elsewhere / "trust", *LOW, code=0).stdout
        self.assertIn("ITS CERTIFICATE WAS NOT VALID THEN", said)
        if self.page_there:
            self.assertIn("ITS CERTIFICATE WAS NOT VALID THEN", self.check(self.out, trust=self.anchored(), trust_files=[self.tsa.root])["text"])

    def test_its_token_from_another_machine(self):
        """The recipe's lines, literally; what comes back is an answer, or its token alone."""
        page = (harness.SOURCE / "docs" / "verify-by-hand.md").read_text()
        lines = re.search(r"<!-- countersign -->.*?```sh\n(.*?)```", page, re.S)[1]
        for place in (self.auditor, self.validator):
            there = self.box.path / f"there-{place.name}"
            there.mkdir()
            (there / "auditor.p7s").write_bytes(countersigned.sign(place, (self.bundle / "certificate.json").read_bytes()))
            self.box.run("bash", "-euo", "pipefail", "-c", lines.replace("https://tsa.example/tsr", self.server.url), cwd=there)
            shutil.rmtree(self.out, ignore_errors=True)
            self.countersign(self.bundle, "--signature", there / "auditor.p7s", "--token", there / "auditor.tsr", "-o", self.out)
            self.assertTrue(self.one_row(self.out)["time"]["trusted"])
            with self.subTest("checked by hand"):
                lines_of_check = re.search(r"<!-- countersigned -->.*?```sh\n(.*?)```", page, re.S)[1]
                said = self.box.run("bash", "-euo", "pipefail", "-c", lines_of_check.replace("ROOT.pem", str(self.tsa.root)).replace("../value", str(there / "value2"))
                                    .replace("../token", str(there / "token2")), cwd=self.out).stdout
                self.assertIn("Time stamp: ", said)
        token = there / "token"
        token.write_bytes(countersigned.token_of((there / "auditor.tsr").read_bytes()))
        shutil.rmtree(self.out)
        self.countersign(self.bundle, "--signature", there / "auditor.p7s", "--token", token, "-o", self.out)
        stamped = self.out / "certificate.json.2.p7s"
        with self.subTest("one that has a time-stamp already"):
            again = self.box.path / "again-stamped"
            self.countersign(self.bundle, "--signature", stamped, "--token", token, "-o", again, code=3, error="already-exists")
            self.countersign(self.bundle, "--signature", stamped, "-o", again)
            self.assertEqual((again / "certificate.json.2.p7s").read_bytes(), stamped.read_bytes())

    def test_time_stamps_that_are_refused(self):
        signature, token = self.box.path / "to-stamp", self.box.path / "bad-token"
        signature.write_bytes(countersigned.sign(self.auditor, (self.bundle / "certificate.json").read_bytes()))
        words = (self.bundle, "--signature", signature, "-o", self.out)
        for data in (b"text", self.tsa.reply(self.tsa.query(b"other")), self.tsa.reply(self.tsa.query(signature.read_bytes())),
                     self.tsa.reply(self.tsa.query(countersigned.value_of(signature.read_bytes())), "inaccurate"),
                     self.tsa.reply(self.tsa.query(countersigned.value_of(signature.read_bytes())), "rejected")):
            token.write_bytes(data)
            self.countersign(*words, "--token", token, code=6, error="signature-bad")
        old = self.tsa.reply(self.tsa.query(countersigned.value_of(signature.read_bytes())), env=self.an_hour_ago())
        token.write_bytes(old)
        self.countersign(*words, "--token", token, code=6, error="bundle-invalid")
        self.countersign(*words, "--tsa", self.server.url, code=2)
        self.countersign(*words, "--tsa", self.server.url, "--tsa-ca", self.tsa.root, "--token", token, code=2)
        self.countersign(*words, "--tsa", self.server.url, "--tsa-ca", self.stranger.root, code=5, error="time-unavailable")
        self.countersign(*words, "--tsa", self.server.url + "?wrong-imprint", "--tsa-ca", self.tsa.root, code=5, error="time-unavailable")
        self.countersign(*words, "--tsa", "http://127.0.0.1:1/", "--tsa-ca", self.tsa.root, code=5, error="network-unavailable")
        self.countersign(self.bundle, "--tsa", self.server.url, "--tsa-ca", self.tsa.root, "-o", self.out, code=2)
        self.assertFalse(self.out.exists())

    def an_hour_ago(self):
        return {**self.box.env, "LD_PRELOAD": library(), "FAKETIME": "-1h", "NO_FAKE_STAT": "1"}

    def at_once(self, cases, trust):
        """Countersignatures, up to 32 as (name, file, …), in one bundle → which names each reader refuses, and the reports."""
        self.assertLessEqual(len(cases), 32)
        folder, names = self.elsewhere / "at-once", {f"certificate.json.{n}.p7s": case[0] for n, case in enumerate(cases, 2)}
        shutil.rmtree(folder, ignore_errors=True)
        reissue.write({**reissue.read(self.elsewhere / "issued"), **{path: case[1] for path, case in zip(names, cases)}}, folder)
        reports = self.readers(folder, trust)
        for report in reports:
            self.assertEqual(report["verdict"], "invalid" if report["errors"] else "complete")
            self.assertLessEqual({e["part"] for e in report["errors"]}, set(names))
        return [{names[e["part"]] for e in report["errors"]} for report in reports], reports

    def all_refused(self, cases, trust):
        for at in range(0, len(cases), 32):
            for refused in self.at_once(cases[at:at + 32], trust)[0]:
                self.assertEqual({name for name, *_ in cases[at:at + 32]} - refused, set(), "they are taken")

    def all_taken(self, cases, trust):
        """→ {name: row}, of which the readers say the same."""
        refused, reports = self.at_once(cases, trust)
        self.assertEqual(refused, [set()] * len(refused))
        rows = [report["countersignatures"] for report in reports]
        for row in (row for report in rows for row in report if row["time"]):
            self.assertEqual(row["time"]["trusted"], row["time"].pop("why") == "")
        self.assertEqual(rows, rows[:1] * len(rows))
        return {name: row for (name, *_), row in zip(cases, rows[0])}

    def alone(self, cases):
        """(name, file, wanted) of those cases that change nothing but the one countersignature; and the others."""
        files, at = reissue.read(self.elsewhere / "issued"), "certificate.json.2.p7s"
        one = lambda changed: {n for n in changed if changed[n] != files.get(n)} == {at}  # noqa: E731
        cases = list(cases)
        return [(n, changed[at], w) for n, changed, w in cases if one(changed)], [c for c in cases if not one(c[1])]

    def test_good_and_bad_time_stamps(self):
        files = reissue.read(self.elsewhere / "issued")
        cases, others = self.alone(countersigned.stamped_cases(files, self.auditor, self.tsa, self.stranger, self.an_hour_ago()))
        self.assertEqual((len(cases) > 25, others), (True, []))
        self.all_refused([c for c in cases if c[2] is None], self.anchored())
        damaged = [c for c in cases if c[2] == "alike"]
        refused, _ = self.at_once(damaged, self.anchored())
        self.assertEqual(refused, refused[:1] * len(refused))
        rows = self.all_taken([c for c in cases if c[2] in ("counts", "not") or c[2] and c[0] not in refused[0]], self.anchored())
        for name, _, wanted in cases:
            if wanted in ("counts", "not"):
                self.assertEqual(rows[name]["time"]["trusted"], wanted == "counts", name)

    def test_taken_along_into_a_new_bundle(self):
        content = (self.bundle / "certificate.json").read_bytes()
        signature, both = self.box.path / "one", self.box.path / "both"
        signature.write_bytes(countersigned.sign(self.auditor, content))
        self.countersign(self.bundle, "--signature", signature, "--tsa", self.server.url, "--tsa-ca", self.tsa.root, "-o", self.out)
        signature.write_bytes(countersigned.sign(self.validator, content))
        shutil.rmtree(both, ignore_errors=True)
        self.countersign(self.out, "--signature", signature, "-o", both)
        there = {n: (both / n).read_bytes() for n in ("certificate.json.2.p7s", "certificate.json.3.p7s")}
        erasure = self.box.kesu("certificate", "list").json[0]["erasure"]
        plain, new = self.box.path / "written-plain", self.box.path / "written-new"
        said = self.box.kesu("certificate", "bundle", erasure, "-o", both, code=None).json["error"]
        self.assertEqual((said["code"], f"--countersigned {both}" in said["next"]), ("already-exists", True), said)
        self.box.kesu("key", "create", "later")                                    # the ledger goes on: a newer checkpoint B
        self.assertIsNone(self.box.kesu("certificate", "bundle", erasure, "-o", plain).json["carried"])
        self.assertFalse((plain / "certificate.json.2.p7s").exists())
        self.assertEqual(self.box.kesu("certificate", "bundle", erasure, "--countersigned", both, "-o", new).json["carried"], 2)
        self.assertEqual({n: (new / n).read_bytes() for n in there}, there)
        self.assertEqual([r["time"] is None for r in self.kesu_verify(new, self.anchored(), *LOW)["countersignatures"]], [False, True])
        with self.subTest("without the vault"):
            target = self.box.path / "carried.zip"
            self.assertEqual(self.countersign(plain, "--from", both, "-o", target).json["carried"], 2)
            self.assertEqual(len(self.kesu_verify(target, self.anchored(), *LOW)["countersignatures"]), 2)
            # What is there stays, and is not there twice; beside it a new one.
            self.assertEqual(self.countersign(self.out, "--from", both, "-o", self.box.path / "more").json["carried"], 1)
        with self.subTest("nothing is there"):
            for done in (self.box.kesu("certificate", "bundle", erasure, "--countersigned", self.box.path / "nowhere", "-o", self.box.path / "no", code=2),
                         self.countersign(plain, "--from", self.box.path / "nowhere", "-o", self.box.path / "no", code=2),
                         self.countersign(self.box.path / "nowhere", "--from", both, "-o", self.box.path / "no", code=2)):
                self.assertEqual(done.error_code, "not-found")
                self.assertIn("nowhere", done.json["error"]["message"])
                self.assertIn("name a bundle that is there", done.json["error"]["next"])
        with self.subTest("another certificate's, or an altered one"):
            other = self.box.path / "of-another"
            shutil.copytree(both, other)
            (other / "certificate.json").write_bytes(content[:-1] + b" }")
            self.box.kesu("certificate", "bundle", erasure, "--countersigned", other, "-o", self.box.path / "no", code=2, error="bad-input")
            self.countersign(plain, "--from", other, "-o", self.box.path / "no", code=2, error="bad-input")
            (other / "certificate.json").write_bytes(content)
            (other / "certificate.json.3.p7s").write_bytes(there["certificate.json.3.p7s"][:-1] + b"?")
            self.box.kesu("certificate", "bundle", erasure, "--countersigned", other, "-o", self.box.path / "no", code=6, error="signature-bad")
            self.assertFalse((self.box.path / "no").exists())

    def test_only_good_ones_are_taken_along(self):
        """A bundle that nobody would accept is not written, and no renewal is recorded for its sake."""
        erasure, certificate = (self.box.kesu("certificate", "list").json[0][k] for k in ("erasure", "id"))
        files = reissue.read(self.elsewhere / "issued")
        bad = ("an hour before the certificate", "over other bytes", "no token", "too inaccurate")
        cases = {name: case for name, case, _ in countersigned.stamped_cases(files, self.auditor, self.tsa, self.stranger, self.an_hour_ago())
                 if name in (*bad, "its own time-stamp", "by an authority that nobody named")}
        entries = len(self.entries())
        for name, case in cases.items():
            with self.subTest(name):
                old, new = self.box.path / "of-old", self.box.path / "of-new"
                for path in (old, new):
                    shutil.rmtree(path, ignore_errors=True)
                reissue.write(case, old)
                if name not in bad:
                    self.assertEqual(self.box.kesu("certificate", "bundle", erasure, "--countersigned", old, "-o", new).json["carried"], 1)
                    self.assertEqual(len(self.kesu_verify(new, self.anchored(), *LOW)["countersignatures"]), 1)
                    continue
                for done in (self.box.kesu("certificate", "bundle", erasure, "--countersigned", old, "-o", new, code=6, error="signature-bad"),
                             self.box.kesu("certificate", "renew", certificate, "--countersigned", old, "-o", new, code=6, error="signature-bad"),
                             self.countersign(self.bundle, "--from", old, "-o", new, code=6, error="signature-bad")):
                    error = done.json["error"]
                    self.assertTrue(error["message"].startswith("certificate.json.2.p7s is no good"), error)
                    self.assertEqual(error["tried"], str(old))
                    self.assertIn("its time-stamp", error["cause"])
                self.assertFalse(new.exists())
        self.assertEqual(len(cases), 6)
        self.assertEqual(len(self.entries()), entries)
        with self.subTest("a number is missing"):
            old, new = self.box.path / "gap", self.box.path / "no-gap"
            reissue.write({**files, "certificate.json.3.p7s": countersigned.sign(self.auditor, files["certificate.json"])}, old)
            done = self.box.kesu("certificate", "bundle", erasure, "--countersigned", old, "-o", new)
            self.assertEqual(done.json["carried"], 1)
            self.assertIn("has no certificate.json.2.p7s", done.stderr)
            self.assertTrue((new / "certificate.json.2.p7s").exists())

    def test_what_is_refused(self):
        content = (self.bundle / "certificate.json").read_bytes()
        file = self.box.path / "signature"
        run = lambda *words, **options: self.box.run(harness.program("kesu"), "certificate", "countersign", *words, "-o", self.out, "--json", **options)
        self.assertIn("openssl cms -sign", run(self.bundle, code=2).json["error"]["next"])
        for data in (countersigned.sign(self.auditor, content + b" "), countersigned.sign(self.auditor, content, "-md", "sha384", "-outform", "DER"), b"text"):
            file.write_bytes(data)
            run(self.bundle, "--signature", file, code=6, error="signature-bad")
        file.write_bytes(countersigned.sign(self.auditor, content))
        altered = self.elsewhere / "altered"
        shutil.rmtree(altered, ignore_errors=True)
        shutil.copytree(self.bundle, altered)
        (altered / "plan.json").write_bytes(b"{}")
        run(altered, "--signature", file, code=6, error="bundle-invalid")
        self.assertFalse(self.out.exists())
        run(self.bundle, "--signature", file)
        again = self.box.path / "again"
        said = self.box.run(harness.program("kesu"), "certificate", "countersign", self.out, "--signature", file, "-o", again, "--json", code=None)
        self.assertEqual(said.error_code, "already-exists")
        self.assertFalse(again.exists())
        self.assertEqual(run(self.bundle, "--signature", file, code=None).error_code, "already-exists")

    def test_good_and_bad_ones(self):
        files, folder = reissue.read(self.elsewhere / "issued"), self.elsewhere / "case"
        cases, others = self.alone(countersigned.cases(files, self.auditor, self.validator))
        self.assertGreater(len(cases) + len(others), 25)
        self.all_refused([c for c in cases if not c[2]], self.trust)
        self.all_taken([c for c in cases if c[2]], self.trust)
        for name, changed, rows in others:
            with self.subTest(name):
                shutil.rmtree(folder, ignore_errors=True)
                reissue.write(changed, folder)
                for report in self.readers(folder, self.trust):
                    if "error" in report:                    # no file of a bundle at all
                        report = {"verdict": "invalid" if report["error"]["code"] == "bundle-invalid" else "?", "errors": report}
                    self.assertEqual(report["verdict"], "complete" if rows else "invalid", report["errors"])
                    if rows:
                        self.assertEqual([r["file"] for r in report["countersignatures"]], rows)


if __name__ == "__main__":
    scenario.main()
