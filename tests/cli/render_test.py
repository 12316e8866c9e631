"""Renderings of a certificate: what stands on the pages, that it is the same each time, and that nothing in it is believed."""
import html.parser
import json
import pathlib
import re
import shutil
import sys

sys.path.insert(0, str(pathlib.Path(__file__).parents[1] / "support"))
import harness
import scenario

# Characters outside the first JIS levels, and what would be markup in HTML.
REQUESTER, APPROVING = "髙橋 一郎", "山﨑 花子"
SCRIPT = "<script>alert(1)<b onclick='x'>&amp;\""
LONG = "長い名前のデータセット" * 3
CAPTIONS = ("このページ自体は何も証明しない。", "This page cannot vouch for itself.")
LEVELS = {"proven": "証明", "attested": "第三者が証明", "recorded": "記録", "asserted": "申告", "absent": "なし"}


class Page(html.parser.HTMLParser):
    """Elements, attributes and text of a page."""

    def __init__(self, text):
        super().__init__()
        self.tags, self.text, self.open = [], [], []
        self.feed(text)
        self.close()

    def handle_starttag(self, tag, attrs):
        self.tags.append((tag, dict(attrs)))
        if tag not in ("meta", "br", "col", "path", "circle", "rect"):
            self.open.append(tag)

    def handle_endtag(self, tag):
        if tag not in ("path", "circle", "rect"):
            assert self.open.pop() == tag, f"</{tag}> ends another element"

    def handle_data(self, data):
        if "style" not in self.open:
            self.text.append(data)


def squeezed(text):
    return re.sub(r"\s+", "", text)


class Render(scenario.World):
    officers = ((REQUESTER, "鍵管理者", "operator", "tanaka"), (APPROVING, "最高情報セキュリティ責任者", "approver", "sato"))

    @classmethod
    def prepare(cls):
        box = cls.box
        for name in (SCRIPT, LONG):
            box.kesu("dataset", "add", name, "--key", "loans", "--contract", "契約 2023-11", "--region", "東京")
        cls.seal("loans-2019", {"a": b"one", "b": b"two"})
        box.kesu("key", "rotate", "loans")
        cls.seal(SCRIPT, {"c": b"three"}, below="src2")
        case = cls("whole_flow")
        cls.erasure = case.plan("loans-2019", SCRIPT, LONG)["erasure"]
        case.request(cls.erasure, by=REQUESTER)
        case.approve(cls.erasure, by=APPROVING)
        case.run_erasure(cls.erasure)
        cls.bundle = box.state / "bundle"
        cls.certificate = box.kesu("certificate", "bundle", cls.erasure, "-o", cls.bundle).json["certificate"]

    def whole_flow(self):
        """prepare() borrows a test case's methods."""

    def render(self, *words, source=None, name="pages", **options):
        out = self.box.path / name
        shutil.rmtree(out, ignore_errors=True)
        return out, self.box.kesu("certificate", "render", source or self.bundle, "-o", out, *words, **options)

    def pdf_text(self, path, *words):
        return self.box.run("pdftotext", "-enc", "UTF-8", *words, path, "-").stdout

    def document(self):
        return json.loads((self.bundle / "certificate.json").read_text())

    def test_the_bundle_has_them_and_they_count_for_nothing(self):
        manifest = (self.bundle / "MANIFEST").read_text()
        for name in ("certificate.pdf", "certificate.html"):
            self.assertIn(f"  {name}\n", manifest)
        body = self.entries()[-1]["body"] if self.entries()[-1]["type"] == "certificate-issued" else None
        body = body or next(e["body"] for e in self.entries() if e["type"] == "certificate-issued")
        self.assertEqual(sorted(body["renderings"]), ["certificate.html", "certificate.pdf"])
        out, result = self.render()
        self.assertEqual(result.json["files"], [str(out / "certificate.html"), str(out / "certificate.pdf")])
        for name in ("certificate.pdf", "certificate.html"):
            self.assertEqual((out / name).read_bytes(), (self.bundle / name).read_bytes(), name)
        # Altered they are noticed, like any file; the verdict itself never reads them.
        altered = self.box.path / "altered"
        shutil.rmtree(altered, ignore_errors=True)
        shutil.copytree(self.bundle, altered)
        page = altered / "certificate.html"
        page.write_text(page.read_text().replace("試験用", "本番用"))
        refused = self.box.kesu("verify", altered, code=6).json
        self.assertEqual(refused["errors"][0]["part"], "certificate.html")
        self.assertEqual(self.render(source=altered, name="never", code=6)[1].json["error"]["code"], "bundle-invalid")
        self.assertFalse((self.box.path / "never").exists())

    def test_the_same_bytes_whatever_the_machine_says(self):
        first, _ = self.render()
        home = self.box.path / "home"
        (home / ".config" / "fontconfig").mkdir(parents=True, exist_ok=True)
        (home / ".config" / "fontconfig" / "fonts.conf").write_text(
            "<fontconfig><match><edit name='family' mode='assign'><string>DejaVu Sans</string></edit></match></fontconfig>")
        env = {"TZ": "America/New_York", "LC_ALL": "de_DE.UTF-8", "LANG": "de_DE.UTF-8", "HOME": str(home),
               "XDG_CONFIG_HOME": str(home / ".config")}
        one = self.box.path / "one.zip"
        one.unlink(missing_ok=True)
        self.box.kesu("certificate", "bundle", self.certificate, "-o", one)
        for words in ((one, "zip"), (self.certificate, "vault"), (self.erasure, "erasure")):
            again, _ = self.render(source=words[0], name=words[1], env=env)
            for name in ("certificate.pdf", "certificate.html"):
                self.assertEqual((again / name).read_bytes(), (first / name).read_bytes(), (words, name))

    def test_the_text_is_there_and_exact(self):
        pdf = self.pdf_text(self.bundle / "certificate.pdf")
        page = Page((self.bundle / "certificate.html").read_text())
        c = self.document()
        for where, text in (("pdf", squeezed(pdf)), ("html", squeezed("".join(page.text)))):
            for wanted in (REQUESTER, APPROVING, "最高情報セキュリティ責任者", SCRIPT, LONG, "契約 2023-11", "東京", "contract ended",
                           self.certificate, c["plan"], c["ledger"]["root"], c["signer"]["certificate"], "TEST GRADE",
                           "段階：破棄済み（destroyed）", "Stage: destroyed", "平文の履歴：不明", "Plaintext history: unknown",
                           c["statement"]["ja"], c["statement"]["en"], "--trust", *CAPTIONS,
                           *(x[lang] for x in c["limits"] + c["premises"] for lang in ("ja", "en"))):
                self.assertIn(squeezed(wanted), text, where)
            sha = self.box.run("sha512sum", self.bundle / "certificate.json").stdout.split()[0]
            self.assertIn(sha, text)
            local = "2026" if c["erased"].startswith("2026") else c["erased"][:4]
            self.assertRegex(text, local + r"-\d\d-\d\d\d\d:\d\d:\d\d\+09:00\(" + c["erased"][:10] + c["erased"][11:19] + r"UTC\)")
            # Never a verdict, and no level that is not the certificate's.
            self.assertNotRegex(text, r"COMPLETE|合格である|[Cc]omplete erasure")

    def test_levels_are_the_certificates(self):
        page = Page((self.bundle / "certificate.html").read_text())
        text = "".join(page.text)
        first = text.index("項目ごとの水準と根拠")
        table = text[first:text.index("鍵の時系列")]
        for claim in self.document()["claims"]:
            end = table.index(f"{claim['id']}" + ("　前提" if claim["premises"] else ""))
            self.assertIn(LEVELS[claim["level"]], table[:end], claim["id"])

    def test_page_one_answers_a_board_member(self):
        pdf = self.bundle / "certificate.pdf"
        one = self.pdf_text(pdf, "-f", "1", "-l", "1")
        for wanted in ("暗号化消去証明書", "何を", "いつ", "誰が", "試験用（TEST GRADE）", "平文の履歴：不明", "3件：", "loans-2019", LONG[:22], SCRIPT, REQUESTER,
                       APPROVING, "理由（台帳の記載、署名の対", "発行者が主張するプロファイル：low", f"{sum(d['objects'] for d in self.document()['datasets'])}オブジェクト"):
            self.assertIn(squeezed(wanted), squeezed(one))
        info = self.box.run("pdfinfo", pdf).stdout
        pages = int(re.search(r"Pages: +(\d+)", info)[1])
        self.assertTrue(6 <= pages <= 16, pages)
        self.assertRegex(info, r"Title: +暗号化消去証明書 " + self.certificate)
        self.assertRegex(info, r"Page size: .*A4")
        for n in range(1, pages + 1):
            text = squeezed(self.pdf_text(pdf, "-f", str(n), "-l", str(n)))
            self.assertIn(f"{n}/{pages}", text)
            for caption in CAPTIONS:
                self.assertIn(squeezed(caption), text, n)
        for row in self.box.run("pdffonts", pdf).stdout.splitlines()[2:]:
            self.assertRegex(row, r"NotoSansCJK.* yes yes yes ")

    def test_the_html_is_harmless(self):
        text = (self.bundle / "certificate.html").read_text()
        page = Page(text)
        self.assertEqual(page.open, [])
        self.assertFalse({tag for tag, _ in page.tags} & {"script", "img", "iframe", "object", "embed", "link", "a", "form", "base"})
        for tag, attributes in page.tags:
            for name in attributes:
                self.assertFalse(name.startswith("on") or name in ("src", "href", "action", "srcdoc"), (tag, name))
        self.assertNotRegex(text, r"url\(|@import|https?:")
        self.assertIn("Content-Security-Policy", text)
        self.assertIn(SCRIPT, "".join(page.text))

    def test_one_language(self):
        for lang, here, other in (("ja", "限界", "Fields of NIST"), ("en", "Fields of NIST", "項目ごとの水準")):
            out, _ = self.render("--lang", lang, name=lang)
            for text in (self.pdf_text(out / "certificate.pdf"), (out / "certificate.html").read_text()):
                self.assertIn(here, text)
                self.assertNotIn(other, text)
                for caption in CAPTIONS:
                    self.assertIn(squeezed(caption), squeezed(text))
        self.assertEqual(self.render("--lang", "fr", code=2)[1].json["error"]["code"], "usage")

    def test_nothing_is_replaced(self):
        out, _ = self.render()
        before = (out / "certificate.pdf").read_bytes()
        again = self.box.kesu("certificate", "render", self.bundle, "-o", out, "--lang", "en", code=3).json
        self.assertEqual(again["error"]["code"], "already-exists")
        self.assertEqual((out / "certificate.pdf").read_bytes(), before)

    def test_without_the_fonts_the_certificate_is_issued_all_the_same(self):
        """In a mount namespace of its own, with nothing where the fonts are."""
        fonts = "/usr/share/fonts/opentype/noto"
        if self.box.run("unshare", "-m", "true", code=None).code != 0:
            self.skipTest("no mount namespace may be made here")
        kesu, vault = harness.program("kesu"), self.box.vault

        def bare(*words, code=0):
            line = f"mount -t tmpfs none {fonts} && exec \"$@\""
            return self.box.run("unshare", "-m", "sh", "-c", line, "sh", kesu, *words, "--vault", vault, "--json", code=code).json
        # What was issued with both is written with both: they are kept, and not made again.
        bare("certificate", "bundle", self.certificate, "-o", self.box.path / "kept")
        for name in ("certificate.pdf", "certificate.html", "MANIFEST"):
            self.assertEqual((self.box.path / "kept" / name).read_bytes(), (self.bundle / name).read_bytes(), name)
        self.assertEqual(bare("certificate", "render", self.certificate, "-o", self.box.path / "n", code=5)["error"]["code"], "module-absent")
        self.box.kesu("key", "create", "other")
        self.box.kesu("dataset", "add", "other", "--key", "other")
        self.seal("other", {"x": b"x"}, below="src3")
        erasure = self.plan("other")["erasure"]
        self.request(erasure, by=REQUESTER)
        self.approve(erasure, by=APPROVING)
        self.run_erasure(erasure)
        bare("certificate", "bundle", erasure, "-o", self.box.path / "without")
        names = {p.name for p in (self.box.path / "without").iterdir()}
        self.assertIn("certificate.html", names)
        self.assertNotIn("certificate.pdf", names)
        report = self.box.run(kesu, "verify", self.box.path / "without", "--require", "low", "--allow-test-grade", "--json", code=7).json
        self.assertEqual(report["errors"], [])


if __name__ == "__main__":
    scenario.main()
