"""Certificate and verification: the whole flow, then the bundle alone on a machine that never saw the vault."""
import json
import pathlib
import re
import shutil
import sys
import zipfile

sys.path.insert(0, str(pathlib.Path(__file__).parents[1] / "support"))
import harness
import scenario
from scenario import CHUNK

LOW = ("--require", "low", "--allow-test-grade")
REPORT = ["as_of", "certificate", "claimed_profile", "claims", "erased", "errors", "evidence_chain", "exceptions", "issued", "limits", "log_known", "objects",
          "officers_known", "organisation", "premises", "required_profile", "revocation", "shortfalls", "signer_known", "test_grade",
          "time", "verdict", "withdrawn"]


class Certificate(scenario.World):
    @classmethod
    def prepare(cls):
        box = cls.box
        cls.seal("loans-2019", {"a": b"one", "b/日本.txt": b"two" * CHUNK})
        box.kesu("dataset", "add", "bare", "--key", "loans", "--header-only")
        box.kesu("seal", "bare", cls.write("bare", b"bare"), "-o", box.state / "bare")
        box.kesu("key", "create", "kept")
        box.kesu("dataset", "add", "kept-1", "--key", "kept")
        box.kesu("seal", "kept-1", cls.write("kept", b"kept"), "-o", box.state / "kept")
        case = cls("whole_flow")
        cls.erasure = case.approved("loans-2019", "bare")
        case.run_erasure(cls.erasure)
        made = box.kesu("certificate", "bundle", cls.erasure, "-o", box.state / "bundle").json
        cls.certificate = made["certificate"]
        # The reader's side: a copy, and a trust file; nothing else of the issuer.
        cls.elsewhere = box.path / "elsewhere"
        shutil.copytree(box.state / "bundle", cls.elsewhere / "issued")
        cls.trust = cls.elsewhere / "trust"
        cls.trust.write_text(box.run(harness.program("kesu"), "trust", "propose", cls.elsewhere / "issued", "--json").json["trust"])

    def whole_flow(self):
        """prepare() borrows a test case's methods."""

    def setUp(self):
        super().setUp()
        self.bundle = self.elsewhere / "bundle"
        shutil.rmtree(self.bundle, ignore_errors=True)
        shutil.copytree(self.elsewhere / "issued", self.bundle)
        self.away = {k: v for k, v in self.box.env.items() if k not in ("SOFTHSM2_CONF", "KESU_TOKEN_URI")}

    def verify(self, *words, code=0, trust=None, json=True, bundle=None):
        """kesu verify with neither vault nor token in sight."""
        command = [harness.program("kesu"), "verify", bundle or self.bundle, "--trust", trust or self.trust, *words]
        env, self.box.env = self.box.env, self.away
        try:
            result = self.box.run(*command, *(["--json"] if json else []), cwd="/", code=code)
        finally:
            self.box.env = env
        return result.json if json else result.stdout

    def files(self):
        return sorted(str(p.relative_to(self.bundle)) for p in self.bundle.rglob("*") if p.is_file())

    def test_complete(self):
        report = self.verify(*LOW)
        self.assertEqual(sorted(report), REPORT)
        self.assertEqual((report["verdict"], report["certificate"], report["required_profile"], report["claimed_profile"]),
                         ("complete", self.certificate, "low", "low"))
        self.assertEqual((report["signer_known"], report["log_known"], report["officers_known"], report["test_grade"]),
                         (True, True, True, True))
        self.assertEqual((report["errors"], report["shortfalls"], report["withdrawn"], report["objects"]), ([], [], False, []))
        levels = {c["id"]: c["level"] for c in report["claims"]}
        self.assertEqual(len(levels), 16)
        self.assertEqual({i: levels[i] for i in ("scope", "destroyed", "verified-gone", "authorised", "exclusivity", "dated")},
                         {"scope": "proven", "destroyed": "recorded", "verified-gone": "recorded", "authorised": "proven",
                          "exclusivity": "proven", "dated": "absent"})
        for claim in report["claims"]:
            self.assertEqual(sorted(claim), ["detail", "id", "least", "level", "rests_on"])
        self.assertTrue(report["limits"] and report["premises"])

    def test_one_zip_file_is_the_same_bundle(self):
        directory, one = self.verify(*LOW), self.elsewhere / "issued.zip"
        one.unlink(missing_ok=True)
        made = self.box.kesu("certificate", "bundle", self.certificate, "-o", one).json
        self.assertEqual(made, {"certificate": self.certificate, "bundle": str(one), "carried": None})
        self.assertEqual(self.verify(*LOW, bundle=one) | {"as_of": 0}, directory | {"as_of": 0})
        self.assertEqual(self.box.kesu("trust", "propose", one).json["trust"], self.trust.read_text())
        before = one.read_bytes()
        self.assertEqual(self.box.kesu("certificate", "bundle", self.certificate, "-o", one, code=3).json["error"]["code"], "already-exists")
        self.assertEqual(one.read_bytes(), before)
        with zipfile.ZipFile(one) as z:
            self.assertEqual(z.namelist(), self.files())
            for name in self.files():
                if not name.startswith("ledger/"):  # which another checkpoint may have made longer
                    self.assertEqual(z.read(name), (self.bundle / name).read_bytes(), name)
        for bad in (before + b"\0", before[:-1], b"PK" + before, before.replace(b"plan.json", b"../an.txt")):
            (self.elsewhere / "bad.zip").write_bytes(bad)
            refused = self.verify(*LOW, bundle=self.elsewhere / "bad.zip", code=6)
            self.assertEqual(refused["error"]["code"], "bundle-invalid")

    def test_seven_where_it_falls_short(self):
        for words, why in (((), "profile high asks"), (("--require", "low"), "TEST GRADE"),
                           (("--require", "standard", "--allow-test-grade"), "profile standard asks")):
            with self.subTest(words):
                report = self.verify(*words, code=7)
                self.assertEqual((report["verdict"], report["errors"]), ("incomplete", []))
                self.assertTrue(any(why in s for s in report["shortfalls"]), report["shortfalls"])
        self.verify("--require", "lax", code=2)

    def test_trust(self):
        lines = [l for l in self.trust.read_text().splitlines() if not l.startswith("#")]
        other = self.elsewhere / "other-trust"
        mallory = self.box.officer("mallory")
        log = next(l for l in lines if l.startswith("log "))
        # The log key of another vault on the same token.
        foreign_log = self.foreign_log_line()
        cases = {"nobody": ([], (False, False, False)),
                 "no signer": ([l for l in lines if not l.startswith("signer")], (False, True, True)),
                 "no log": ([l for l in lines if l != log], (True, False, True)),
                 "other log": ([foreign_log if l == log else l for l in lines], (True, False, True)),
                 "no officers": ([l for l in lines if not l.startswith("officer")], (True, True, False)),
                 "other officer": ([l for l in lines if not l.startswith("officer")] + [f"officer {mallory.line}"],
                                   (True, True, False)),
                 "approver missing": ([l for l in lines if not l.endswith(" sato")], (True, True, False)),
                 "other signer": ([l if not l.startswith("signer") else "signer sha256:" + "0" * 64 for l in lines],
                                  (False, True, True))}
        for what, (text, known) in cases.items():
            with self.subTest(what):
                other.write_text("\n".join(text) + "\n")
                report = self.verify(*LOW, code=7, trust=other)
                self.assertEqual((report["signer_known"], report["log_known"], report["officers_known"]), known)
                self.assertEqual((report["verdict"], report["errors"]), ("incomplete", []))
        other.write_text("signer md5:00\n")
        self.verify(*LOW, code=2, trust=other)
        self.verify(*LOW, code=2, trust=self.elsewhere / "missing")

    def foreign_log_line(self):
        mine, self.box.vault = self.box.vault, self.box.state / "theirs"
        try:
            genesis = self.write_genesis(self.box.state / "theirs.json", self.officers)
            self.box.kesu("init", self.box.vault, "--genesis", genesis, "--provider", self.box.token_uri, vault=False)
            return "log " + self.box.kesu("ledger", "checkpoint").json["vkey"]
        finally:
            self.box.vault = mine

    # Hostile bundles.

    def test_one_flipped_byte_in_each_file(self):
        for name in self.files():
            path = self.bundle / name
            data = path.read_bytes()
            for at in sorted({0, len(data) // 3, len(data) // 2, len(data) - 1}):
                with self.subTest(name, at=at):
                    path.write_bytes(data[:at] + bytes([data[at] ^ 1]) + data[at + 1:])
                    result = self.verify(*LOW, code=6)
                    self.assertTrue("error" in result or (result["verdict"] == "invalid" and result["errors"]), result)
            path.write_bytes(data)
        self.verify(*LOW)

    def test_each_file_cut_short_and_removed(self):
        for name in self.files():
            with self.subTest(name):
                path = self.bundle / name
                data = path.read_bytes()
                path.write_bytes(data[:-1])
                self.verify(*LOW, code=6)
                path.write_bytes(b"")
                self.verify(*LOW, code=6)
                path.unlink()
                self.verify(*LOW, code=6)
                path.write_bytes(data)
        self.verify(*LOW)

    def test_more_than_belongs_there(self):
        extra = self.bundle / "evidence" / ("0" * 64)
        extra.write_bytes(b"x")
        self.verify(*LOW, code=6)
        extra.unlink()
        link = self.bundle / "link"
        link.symlink_to("certificate.json")
        self.verify(*LOW, code=6)
        link.unlink()
        real = self.bundle / "plan.json"
        real.rename(self.elsewhere / "plan-moved.json")
        real.symlink_to(self.elsewhere / "plan-moved.json")
        self.verify(*LOW, code=6)
        self.verify(*LOW, code=2, bundle=self.elsewhere / "nothing")

    def test_a_nicer_certificate_needs_another_signature(self):
        path = self.bundle / "certificate.json"
        document = json.loads(path.read_bytes())
        document["test_grade"] = False
        path.write_text(json.dumps(document, ensure_ascii=False, sort_keys=True, separators=(",", ":")))
        self.verify(*LOW, code=6)

    # Objects in the reader's hand.

    def objects(self, *paths, code):
        words = [w for p in paths for w in ("--object", p)]
        report = self.verify(*LOW, *words, code=code)
        for row in report["objects"]:
            self.assertEqual(sorted(row), ["dataset", "path", "result", "why"])
        return {pathlib.Path(o["path"]).name: (o["result"], o["dataset"]) for o in report["objects"]}

    def test_objects(self):
        a, b = self.out / "src" / "a.kesu", self.out / "src" / "b" / "日本.txt.kesu"
        ids = {d["name"]: d["id"] for d in self.box.kesu("dataset", "list").json}
        covered = ("covered", ids["loans-2019"])
        self.assertEqual(self.objects(a, b, code=0), {"a.kesu": covered, "日本.txt.kesu": covered})
        # Where only the header is bound, nobody can say what payload stood under it: not complete.
        header = self.objects(self.box.state / "bare" / "bare.kesu", code=7)
        self.assertEqual(header, {"bare.kesu": ("header-covered", ids["bare"])})
        kept = self.box.state / "kept" / "kept.kesu"
        self.assertEqual(self.objects(kept, code=7)["kept.kesu"][0], "not-covered")
        self.assertEqual(len(self.objects(a, kept, code=7)), 2)
        # One flipped bit of the payload: it is another object, or none.
        data = bytearray(b.read_bytes())
        data[-1] ^= 1
        altered = self.elsewhere / "altered.kesu"
        altered.write_bytes(data)
        self.assertIn(self.objects(altered, code=7)["altered.kesu"][0], ("not-covered", "cannot-say"))
        for data in (b"text\n", b"", a.read_bytes()[:4000], a.read_bytes()[:-1]):
            altered.write_bytes(data)
            self.assertIn(self.objects(altered, code=7)["altered.kesu"][0], ("not-covered", "cannot-say"))

    # Without kesu.

    def test_stock_tools(self):
        page = (harness.SOURCE / "docs" / "verify-by-hand.md").read_text()
        recipe = re.search(r"^```sh\n(.*?)^```", page, re.S | re.M)[1]
        self.assertGreater(len(recipe.splitlines()), 8)
        self.box.run("bash", "-euo", "pipefail", "-c", recipe, cwd=self.bundle)
        # Each tool says no to what was altered.
        certificate = self.bundle / "certificate.json"
        certificate.write_bytes(certificate.read_bytes().replace(b"Example Bank", b"Example Bonk"))
        self.box.run("sha512sum", "--quiet", "-c", "MANIFEST", cwd=self.bundle, code=1)
        cms = ["openssl", "cms", "-verify", "-binary", "-cades", "-inform", "DER", "-in", "certificate.json.p7s", "-content",
               "certificate.json", "-CAfile", "trust/signer.pem", "-purpose", "any", "-out", "/dev/null"]
        self.assertNotEqual(self.box.run(*cms, cwd=self.bundle, code=None).code, 0)

    def test_the_readme_of_the_bundle_works(self):
        lines = [l[4:] for l in (self.bundle / "README.txt").read_text().splitlines() if l.startswith("    ")]
        script = "\n".join(l for l in lines if not l.startswith("kesu "))
        self.box.run("bash", "-euo", "pipefail", "-c", script, cwd=self.bundle)

    def test_languages(self):
        text = self.verify(*LOW, "--language", "ja", json=False)
        for word in ("トークン", "台帳", "証明"):
            self.assertIn(word, text)
        english = self.verify(*LOW, json=False)
        self.assertNotRegex(english.replace(scenario.OPERATOR, "").replace(scenario.APPROVER, ""), "[ぁ-んァ-ヶ一-龠]")
        self.assertIn("COMPLETE for profile low", english)
        shown = self.box.text("certificate", "show", self.certificate).stdout
        self.assertRegex(shown, "[ぁ-ん]")
        self.assertEqual(self.box.kesu("certificate", "show", self.certificate).json,
                         json.loads((self.bundle / "certificate.json").read_bytes()))

    # The issuer's side again.

    def test_issued_once(self):
        again = self.box.state / "again"
        made = self.box.kesu("certificate", "bundle", self.erasure, "-o", again).json
        self.assertEqual(made["certificate"], self.certificate)
        for name in ("certificate.json", "certificate.json.p7s", "MANIFEST", "plan.json"):
            self.assertEqual((again / name).read_bytes(), (self.bundle / name).read_bytes())
        self.assertEqual(self.verify(*LOW, bundle=again)["verdict"], "complete")
        self.box.kesu("certificate", "bundle", self.certificate, "-o", self.box.state / "by-certificate")
        self.box.kesu("certificate", "bundle", self.erasure, "-o", again, code=3, error="already-exists")
        row, = self.box.kesu("certificate", "list").json
        self.assertEqual(sorted(row), ["erasure", "id", "issued", "renew_before", "renew_why", "renewals", "renewed", "state", "withdraw_reason",
                                       "withdrawn"])
        self.assertEqual((row["id"], row["erasure"], row["state"]), (self.certificate, self.erasure, "issued"))
        self.assertEqual(self.box.kesu("erase", "status", self.erasure).json["certificate"], self.certificate)
        self.box.kesu("certificate", "bundle", "era-00000000", "-o", self.box.state / "x", code=2, error="not-found")
        self.box.kesu("ledger", "verify")

    def test_lost_evidence_is_not_certified_over(self):
        for blob in (self.box.vault / "evidence").iterdir():
            blob.write_bytes(blob.read_bytes() + b" ")
        result = self.box.kesu("certificate", "bundle", self.erasure, "-o", self.box.state / "again", code=6)
        self.assertEqual(result.error_code, "ledger-damaged")
        self.assertFalse((self.box.state / "again").exists())


if __name__ == "__main__":
    scenario.main()
