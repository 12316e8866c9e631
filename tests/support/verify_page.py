"""The verifier page in Chromium, for the scenario files that test it: chooses files, presses buttons, reads what is shown.

    class Page(verify_page.Driver, scenario.World):
        @classmethod
        def prepare(cls):
            cls.issue(erasure)                 # the bundle, and the trust file that it proposes; then
            cls.open_page()
"""
import concurrent.futures
import json
import shutil
import subprocess
import time
import unittest

import chromium
import harness

def together(*jobs):
    """What each gives; all but the last run in threads of their own, while that one asks the browser."""
    with concurrent.futures.ThreadPoolExecutor() as threads:
        others = [threads.submit(job) for job in jobs[:-1]]
        last = jobs[-1]()
        return [*(other.result() for other in others), last]


RED, GREEN, AMBER = "rgb(176, 0, 32)", "rgb(23, 102, 58)", "rgb(138, 83, 0)"


class Driver:
    """A mixin for scenario.World: self.bundle, a copy of what was issued, is checked by self.trust, unless something else is given."""

    @classmethod
    def setUpClass(cls):
        if not chromium.program():
            raise unittest.SkipTest("chromium is not installed (scripts/setup test)")
        super().setUpClass()

    @classmethod
    def issue(cls, erasure, name="issued"):
        cls.elsewhere = cls.box.path / "elsewhere"
        cls.elsewhere.mkdir(exist_ok=True)
        bundle = cls.elsewhere / name
        cls.box.kesu("certificate", "bundle", erasure, "-o", bundle)
        cls.trust = cls.box.run(harness.program("kesu"), "trust", "propose", bundle, "--json").json["trust"]

    @classmethod
    def open_page(cls):
        cls.page = cls.elsewhere / "kesu-verify.html"
        cls.built = cls.make_page(cls.page)
        cls.browser = chromium.Chromium()
        cls.addClassCleanup(cls.browser.close)
        cls.browser.open(cls.page.as_uri())

    @classmethod
    def make_page(cls, path):
        done = subprocess.run([harness.SOURCE / "scripts" / "build-verify-page", path], check=True, capture_output=True, text=True)
        return done.stdout.split()[0]

    def setUp(self):
        super().setUp()
        self.browser.run("1")
        self.browser.log.clear()
        self.refusals = 0
        self.bundle = self.elsewhere / "bundle"
        shutil.rmtree(self.bundle, ignore_errors=True)
        if (self.elsewhere / "issued").is_dir():
            shutil.copytree(self.elsewhere / "issued", self.bundle)

    def tearDown(self):
        # Nothing was thrown, and nothing refused that the test did not try.
        self.browser.run("1")
        self.assertEqual([l for l in self.browser.log if not (self.refusals and "Content Security Policy" in l)], [])

    # The page, as a person uses it.

    def text(self, script):
        return self.browser.run(script)

    def check(self, bundle=None, trust=None, profile="low", test_grade=True, objects=(), trust_files=()):
        """→ what the page says: verdict, its words and colour, the parts that are wrong, levels, objects."""
        b, bundle = self.browser, bundle or self.bundle
        b.run("document.querySelector('#clear').click()")
        zipped = bundle.suffix == ".zip"
        b.choose("#bundle-zip" if zipped else "#bundle-folder", bundle)
        b.until("!document.querySelector('#check').disabled")
        trust = self.trust if trust is None else trust
        b.run(f"document.querySelector('#trust-text').value = {json.dumps(trust)}")
        for selector, paths in (("#objects-files", objects), ("#trust-files", trust_files)):
            if paths:
                b.choose(selector, *paths)
        b.run(f"document.querySelector('#profile').value = '{profile}'; document.querySelector('#test-grade').checked = {json.dumps(test_grade)};"
              "document.querySelector('#check').click()")
        b.until("document.querySelector('#verdict')")
        return json.loads(b.run("""JSON.stringify({verdict: document.querySelector('#verdict').dataset.verdict, words: document.querySelector('#verdict').innerText,
          colour: getComputedStyle(document.querySelector('#verdict')).backgroundColor,
          parts: [...document.querySelectorAll('.errors tbody td:first-child')].map((e) => e.textContent),
          errors: [...document.querySelectorAll('.errors tbody tr')].map((e) => e.innerText),
          levels: Object.fromEntries([...document.querySelectorAll('.claim')].map((e) => [e.dataset.claim, e.dataset.level])),
          objects: Object.fromEntries([...document.querySelectorAll('.objects tbody tr')].map((e) => [e.cells[0].textContent, e.querySelector('.object').className.split(' ')[1]])),
          text: document.querySelector('#result').innerText})"""))

    def saved(self):
        """The report that the page saves, by its button."""
        where = self.elsewhere / "saved"
        shutil.rmtree(where, ignore_errors=True)
        where.mkdir()
        session, self.browser.session = self.browser.session, None
        self.browser.call("Browser.setDownloadBehavior", behavior="allow", downloadPath=str(where))
        self.browser.session = session
        self.browser.run("document.querySelector('#save').click()")
        for _ in range(500):
            # The browser makes an empty file of that name, and puts the whole one in its place.
            texts = [t for t in (f.read_bytes() for f in where.glob("*.report.json")) if t]
            if texts:
                return json.loads(texts[0])
            time.sleep(0.02)
        self.fail("no report was saved")

    def kesu_verify(self, bundle, trust, *words):
        path = self.elsewhere / "trust"
        path.write_text(trust)
        return self.box.run(harness.program("kesu"), "verify", bundle, "--trust", path, "--json", *words, code=None).json

    def red(self, part, bundle=None, **options):
        said = self.check(bundle, **options)
        self.assertEqual((said["verdict"], said["colour"]), ("invalid", RED), said)
        self.assertTrue(said["words"].startswith("INVALID"), said["words"])
        self.assertNotIn("COMPLETE", said["text"])
        self.assertTrue(any(part in e for e in said["errors"]), (part, said["errors"]))
        return said
