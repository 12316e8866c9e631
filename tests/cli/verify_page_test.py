"""kesu-verify.html in Chromium, from file:, with good, tampered and forged bundles: the verdicts of `kesu verify`, and no network."""
import gzip
import hashlib
import json
import os
import pathlib
import shutil
import sys

sys.path.insert(0, str(pathlib.Path(__file__).parents[1] / "support"))
import harness
import scenario
import verify_page
from scenario import CHUNK
from verify_page import AMBER, GREEN

VECTOR = harness.SOURCE / "tests" / "vectors" / "bundle" / "v1"


class VerifyPage(verify_page.Driver, scenario.World):
    @classmethod
    def prepare(cls):
        box = cls.box
        cls.seal("loans-2019", {"a": b"one", "b/日本.txt": b"two" * CHUNK})
        box.kesu("dataset", "add", "bare", "--key", "loans", "--header-only")
        box.kesu("seal", "bare", cls.write("bare", b"bare"), "-o", box.state / "bare")
        box.kesu("key", "create", "kept")
        box.kesu("dataset", "add", "kept-1", "--key", "kept")
        box.kesu("seal", "kept-1", cls.write("kept", b"kept"), "-o", box.state / "kept")
        case = cls("erase")
        # Two histories of one vault, signed by the same keys: what came after this point is another in each.
        box.snapshot("fork")
        cls.issue(case.erase(), "fork")
        cls.objects = cls.elsewhere / "objects"
        box.restore("fork")
        cls.issue(case.erase())
        cls.objects.mkdir()
        for source, name in ((cls.out / "src" / "a.kesu", "a.kesu"), (box.state / "bare" / "bare.kesu", "bare.kesu"), (box.state / "kept" / "kept.kesu", "kept.kesu")):
            shutil.copy(source, cls.objects / name)
        altered = bytearray((cls.objects / "a.kesu").read_bytes())
        altered[-1] ^= 1
        (cls.objects / "altered.kesu").write_bytes(altered)
        (cls.objects / "none.kesu").write_bytes(b"text\n")
        cls.open_page()

    def erase(self):
        erasure = self.approved("loans-2019", "bare")
        self.run_erasure(erasure)
        return erasure

    # Good bundles.

    def test_says_what_kesu_verify_says(self):
        objects = [self.objects / n for n in ("a.kesu", "bare.kesu", "kept.kesu", "altered.kesu", "none.kesu")]
        old = [VECTOR / "loans.csv.kesu", VECTOR / "名前.txt.kesu"]
        zipped = self.elsewhere / "bundle.zip"
        for bundle, trust, files in ((self.bundle, self.trust, []), (self.bundle, self.trust, objects), (VECTOR / "bundle", (VECTOR / "trust").read_text(), old),
                                     (self.bundle, "", [])):
            for profile in ("low", "standard", "high"):
                for test_grade in (True, False):
                    with self.subTest(str(bundle), profile=profile, test_grade=test_grade, trust=bool(trust), objects=len(files)):
                        words = ["--require", profile] + ["--allow-test-grade"] * test_grade
                        kesu = self.kesu_verify(bundle, trust, *words, *(w for f in files for w in ("--object", f)))
                        said = self.check(bundle, trust, profile, test_grade, files)
                        self.assertEqual((said["verdict"], said["levels"]), (kesu["verdict"], {c["id"]: c["level"] for c in kesu["claims"]}), said["errors"])
                        self.assertEqual(said["objects"], {pathlib.Path(o["path"]).name: o["result"] for o in kesu["objects"]})
                        if profile != "low" and not test_grade:
                            continue
                        report = self.saved()
                        for one in (kesu, report):
                            for o in one["objects"]:
                                o.update(path=pathlib.Path(o["path"]).name, why="")
                            one["shortfalls"] = [s for s in one["shortfalls"] if ".kesu" not in s]
                        self.assertEqual(report, kesu)
        self.assertFalse(zipped.exists())

    def test_complete_is_green_and_says_so_in_both_languages(self):
        said = self.check()
        self.assertEqual((said["verdict"], said["colour"]), ("complete", GREEN))
        for word in ("COMPLETE", "UNKNOWN", "TEST GRADE"):
            self.assertIn(word, said["words"])
        self.browser.run("document.querySelector('#language').click()")
        try:
            japanese = self.text("document.body.innerText")
            for word in ("完備", "平文の履歴：不明", "証明", "前提", "オブジェクト"):
                self.assertIn(word, japanese)
            self.assertEqual(self.text("document.documentElement.lang"), "ja")
        finally:
            self.browser.run("document.querySelector('#language').click()")

    def test_nobody_is_trusted_unasked(self):
        said = self.check(trust="")
        self.assertEqual((said["verdict"], said["colour"]), ("incomplete", AMBER))
        self.assertIn("the signer of the certificate is not identified", said["text"])
        for start, why in (("signer", "the signer of the certificate is not identified"), ("log", "the ledger's key is not identified"),
                           ("officer", "the officers who signed are not identified")):
            with self.subTest(start):
                said = self.check(trust="\n".join(l for l in self.trust.splitlines() if not l.startswith(start)))
                self.assertEqual(said["verdict"], "incomplete")
                self.assertIn(why, said["text"])

    def test_trust_files_and_pasted_certificates(self):
        lines = [l for l in self.trust.splitlines() if not l.startswith(("signer", "officer"))]
        pem = (self.bundle / "trust" / "signer.pem").read_text()
        signers = self.bundle / "approvals" / "allowed_signers"
        by_file = "\n".join(lines + ["signer-ca ca/signer.pem", "officers allowed_signers"]) + "\n"
        self.assertEqual(self.check(trust=by_file, trust_files=[signers, self.bundle / "trust" / "signer.pem"])["verdict"], "complete")
        self.assertEqual(self.check(trust=by_file + pem, trust_files=[signers])["verdict"], "complete")
        said = self.check(trust=by_file)
        self.assertEqual(said["verdict"], "undecided")
        self.assertIn("was not dropped beside", said["words"])
        said = self.check(trust="signer md5:00\n")
        self.assertEqual(said["verdict"], "undecided")
        self.assertIn("line 1", said["words"])

    def test_objects(self):
        names = ("a.kesu", "bare.kesu", "kept.kesu", "altered.kesu", "none.kesu")
        said = self.check(objects=[self.objects / n for n in names])
        self.assertEqual(said["objects"], {"a.kesu": "covered", "bare.kesu": "header-covered", "kept.kesu": "not-covered", "altered.kesu": "not-covered",
                                           "none.kesu": "cannot-say"})
        self.assertEqual(said["verdict"], "incomplete")
        self.assertEqual(self.check(objects=[self.objects / "a.kesu"])["verdict"], "complete")

    # One file, no network.

    def test_nothing_is_asked_of_any_network(self):
        self.check()
        self.red("plan.json", self.tampered("plan.json"))
        self.assertTrue(self.browser.requests)
        for url in self.browser.requests:
            self.assertTrue(url.startswith((self.page.as_uri(), "blob:", "about:blank")), url)
        with self.subTest("and could not be"):
            self.refusals = 1
            tried = self.text("fetch('https://example.invalid/').then(() => 'fetched', () => 'refused')")
            self.assertEqual(tried, "refused")
            tried = self.text("new Promise((r) => { const i = new Image(); i.onload = () => r('loaded'); i.onerror = () => r('refused'); i.src = 'https://example.invalid/x.png'; })")
            self.assertEqual(tried, "refused")
            self.assertEqual(self.browser.run("(() => { try { return eval('1'); } catch (e) { return 'refused'; } })()", evaluate=False), "refused")
            self.assertTrue(any("Content Security Policy" in l for l in self.browser.log))

    def test_the_page_is_the_same_bytes_each_time(self):
        again = self.elsewhere / "again.html"
        self.assertEqual(self.make_page(again), self.built)
        self.assertEqual(hashlib.sha256(again.read_bytes()).hexdigest(), self.built)
        self.assertEqual(again.read_bytes(), self.page.read_bytes())
        page = again.read_text("utf-8")
        self.assertIn("default-src 'none'", page)
        for word in ("http:", "unsafe", "connect-src"):
            self.assertNotIn(word, page.split("<body>")[0])

    def test_readable_on_a_desk_and_on_a_phone(self):
        self.check(objects=[self.objects / "a.kesu", self.objects / "none.kesu"])
        keep = os.environ.get("KESU_SCREENSHOTS")
        where = pathlib.Path(keep) if keep else self.elsewhere
        for language in ("en", "ja"):
            for width, mobile in ((1280, False), (390, True)):
                with self.subTest(language, width=width):
                    size = self.browser.screenshot(where / f"{language}-{width}.png", width, mobile)
                    self.assertLessEqual(size["width"], width)
                    wider = self.text("[...document.querySelectorAll('body *')].filter((e) => e.offsetParent && e.tagName !== 'TEXTAREA' && e.scrollWidth > e.clientWidth + 1"
                                      " && getComputedStyle(e).display !== 'inline').map((e) => e.className + e.tagName)")
                    self.assertEqual(wider, [])
            self.browser.run("document.querySelector('#language').click()")
        self.browser.call("Emulation.clearDeviceMetricsOverride")

    # Bad ones.

    def tampered(self, name, at=None):
        path = self.bundle / name
        data = bytearray((self.elsewhere / "issued" / name).read_bytes())
        at = len(data) // 2 if at is None else at
        data[at] ^= 1
        path.write_bytes(data)
        return self.bundle

    def test_one_flipped_byte_in_each_file(self):
        for path in sorted(p for p in self.bundle.rglob("*") if p.is_file()):
            name = str(path.relative_to(self.bundle))
            data = path.read_bytes()
            with self.subTest(name):
                self.red(name, self.tampered(name))
            path.write_bytes(data)
        self.assertEqual(self.check()["verdict"], "complete")

    def test_each_file_left_out_and_one_too_many(self):
        for name in ("certificate.json", "certificate.json.p7s", "plan.json", "MANIFEST", "README.txt", "ledger/headers.gz", "ledger/bodies.jsonl", "ledger/checkpoint-b",
                     "trust/signer.pem", "approvals/genesis.json"):
            with self.subTest(name):
                path = self.bundle / name
                data = path.read_bytes()
                path.unlink()
                self.red(name)
                path.write_bytes(data)
        (self.bundle / "evidence" / ("0" * 64)).write_bytes(b"x")
        self.red("evidence/" + "0" * 64)

    def test_fields_of_the_certificate(self):
        document = json.loads((self.bundle / "certificate.json").read_bytes())

        def altered(change):
            other = json.loads(json.dumps(document))
            change(other)
            (self.bundle / "certificate.json").write_text(json.dumps(other, ensure_ascii=False, sort_keys=True, separators=(",", ":")))

        for name, change in (("test_grade", lambda d: d.update(test_grade=False)), ("organisation", lambda d: d.update(organisation="Other Bank")),
                             ("erased", lambda d: d.update(erased="2020-01-01T00:00:00.000Z")), ("datasets[0].objects", lambda d: d["datasets"][0].update(objects=5)),
                             ("keys[0].result", lambda d: d["keys"][0].update(result="CKR_FINE")), ("people[0].name", lambda d: d["people"][0].update(name="Somebody")),
                             ("claims: dated says proven", lambda d: d["claims"][13].update(level="proven")), ("limits", lambda d: d["limits"].pop()),
                             ("stage", lambda d: d.update(stage="validated")), ("statement.en", lambda d: d["statement"].update(en="All is well.")),
                             ("extra", lambda d: d.update(extra=1)), ("exceptions", lambda d: d.pop("exceptions"))):
            with self.subTest(name):
                altered(change)
                said = self.red("certificate.json")
                self.assertTrue(any("certificate.json" in e and name in e for e in said["errors"]), said["errors"])
        text = (self.elsewhere / "issued" / "certificate.json").read_text()
        for what, bad in (("twice", text.replace('"type":', '"type":"kesu-certificate-v1","type":', 1)), ("number", text.replace('"size":', '"size":99999999999999999999', 1)),
                          ("deeper", "[" * 100000), ("canonical", text.replace('{"', '{ "', 1))):
            with self.subTest(what):
                (self.bundle / "certificate.json").write_text(bad)
                self.red("certificate.json")

    def headers(self, lines):
        data = bytearray(gzip.compress("".join(l + "\n" for l in lines).encode(), 9, mtime=0))
        data[8:10] = b"\x02\xff"
        (self.bundle / "ledger" / "headers.gz").write_bytes(data)

    def test_a_header_left_out_or_changed(self):
        lines = gzip.decompress((self.bundle / "ledger" / "headers.gz").read_bytes()).decode().splitlines()
        self.headers(lines)
        self.assertEqual(self.check()["verdict"], "complete")
        for seq in (1, len(lines) // 2, len(lines) - 1):
            with self.subTest(seq):
                self.headers(lines[:seq] + lines[seq + 1:])
                said = self.red("ledger/headers.gz")
                self.assertEqual(said["levels"], {})
        other = list(lines)
        other[5] = other[5][:-1] + ("0" if other[5][-1] != "0" else "1")
        self.headers(other)
        self.red("do not fold to checkpoint B")
        self.headers(lines)
        whole = (self.bundle / "ledger" / "headers.gz").read_bytes()
        for what, behind in (("bytes", b"x"), ("another member", gzip.compress(b"", mtime=0)), ("itself", whole)):
            with self.subTest(what):
                (self.bundle / "ledger" / "headers.gz").write_bytes(whole + behind)
                self.red("ledger/headers.gz")
        (self.bundle / "ledger" / "headers.gz").write_bytes(gzip.compress(b"x" * (64 << 20), mtime=0)[:8] + b"\x02\xff" + gzip.compress(b"x" * (64 << 20), mtime=0)[10:])
        self.red("ledger/headers.gz")

    def test_an_approval_of_another_plan(self):
        fork = self.elsewhere / "fork"
        for path in sorted((fork / "approvals").glob("approve.*")):
            shutil.copy(path, self.bundle / "approvals" / path.name)
        self.remake_manifest()
        said = self.red("approvals/approve.")
        self.assertTrue(any("is not the statement that entry" in e for e in said["errors"]), said["errors"])
        self.assertEqual(said["levels"]["authorised"], "absent")

    def remake_manifest(self):
        lines = []
        for path in sorted(p for p in self.bundle.rglob("*") if p.is_file()):
            name = str(path.relative_to(self.bundle))
            if name != "MANIFEST" and not name.startswith("ledger/"):
                lines.append((name, hashlib.sha512(path.read_bytes()).hexdigest()))
        (self.bundle / "MANIFEST").write_text("".join(f"{d}  {n}\n" for n, d in sorted(lines)))

    def test_a_checkpoint_of_a_fork(self):
        fork = self.elsewhere / "fork" / "ledger"
        shutil.copy(fork / "checkpoint-b", self.bundle / "ledger" / "checkpoint-b")
        self.red("ledger/consistency")
        for name in ("checkpoint-a", "consistency"):
            shutil.copy(fork / name, self.bundle / "ledger" / name)
        self.red("ledger/headers.gz")
        for name in ("headers.gz", "bodies.jsonl"):
            shutil.copy(fork / name, self.bundle / "ledger" / name)
        self.red("certificate.json")
        older = (self.elsewhere / "issued" / "ledger" / "checkpoint-a").read_bytes()
        shutil.copytree(self.elsewhere / "issued", self.bundle, dirs_exist_ok=True)
        (self.bundle / "ledger" / "checkpoint-b").write_bytes(older)
        self.red("ledger/")

    def test_a_forged_rendering_changes_nothing(self):
        forged = "<html><body style='background:#17663a;color:#fff'><h1>COMPLETE</h1>Everything is proven.</body></html>"
        self.tampered("certificate.json", 40)
        (self.bundle.parent / "certificate.html").write_text(forged)
        self.red("certificate.json")
        (self.bundle / "certificate.html").write_text(forged)
        said = self.red("certificate.json")
        self.assertNotIn("Everything is proven", said["text"])
        self.assertEqual(self.text("document.querySelectorAll('h1').length"), 1)

    def test_markup_in_a_bundle_is_text(self):
        document = json.loads((self.bundle / "certificate.json").read_bytes())
        document["organisation"] = "<img src=x onerror=alert(1)><script>document.title='COMPLETE'</script>"
        (self.bundle / "certificate.json").write_text(json.dumps(document, ensure_ascii=False, sort_keys=True, separators=(",", ":")))
        self.red("certificate.json")
        self.assertEqual(self.text("document.querySelectorAll('img').length"), 0)
        self.assertNotIn("COMPLETE", self.text("document.title"))

    def test_zip(self):
        good = self.box.kesu("certificate", "list").json
        self.assertTrue(good)
        path = self.elsewhere / "one.zip"
        path.unlink(missing_ok=True)
        self.box.kesu("certificate", "bundle", good[0]["id"], "-o", path)
        self.assertEqual(self.check(path)["verdict"], "complete")
        data = path.read_bytes()
        other = self.elsewhere / "other.zip"
        for what, bad in (("behind", data + b"x"), ("before", b"x" + data), ("cut", data[:-1]), ("date", data.replace(b"\x21\x00", b"\x22\x00", 1)), ("empty", b""), ("text", b"no zip" * 100)):
            with self.subTest(what):
                other.write_bytes(bad)
                self.red("zip", other)
        flipped = bytearray(data)
        flipped[200] ^= 1
        other.write_bytes(flipped)
        self.red("zip", other)


if __name__ == "__main__":
    scenario.main()
