"""`kesu policy`: verdicts with their reasons and citations, and the traps that names and parameters set."""
import pathlib
import sys

sys.path.insert(0, str(pathlib.Path(__file__).parents[1] / "support"))
import harness

VERDICT = ["algorithm", "allowed", "category", "citations", "edition", "exception_possible", "findings",
           "horizon_year_new", "horizon_year_process", "mode", "new_until", "period_reading", "period_word",
           "process_until", "purpose", "reason", "strength_bits", "until"]


class Policy(harness.TestCase):
    def judge(self, algorithm, *words, allowed):
        result = self.box.kesu("policy", "check", algorithm, *words, code=0 if allowed else 3)
        verdict = result.json
        self.assertEqual(sorted(verdict), VERDICT)
        self.assertEqual(verdict["allowed"], allowed)
        self.assertTrue(verdict["reason"])
        self.assertTrue(verdict["citations"])
        return verdict

    def test_traps(self):
        """(query, words, allowed, category, strength, exception possible)"""
        cases = [
            # A hash that nobody stated is the standard's default: SHA-1.
            ("RSA-OAEP:bits=3072", ("--until", "2035"), False, "monitored", 128, False),
            ("RSA-OAEP:bits=3072,hash=SHA-1", ("--until", "2035"), False, "monitored", 128, False),
            ("RSA-OAEP:bits=3072,hash=SHA-256", ("--until", "2035"), True, "listed", 128, None),
            ("RSA-OAEP:bits=3072,hash=SHA-256", (), False, "listed", 128, True),
            ("RSA-OAEP:bits=2048,hash=SHA-256", ("--until", "2030"), False, "listed", 112, None),
            # More bits of RSA do not reach the next row.
            ("RSA-OAEP:bits=4096,hash=SHA-256", ("--until", "2035"), True, "listed", 128, None),
            ("RSA-PSS:bits=4096,hash=SHA-512,mgf=SHA-512", (), False, "listed", 128, False),
            ("SHAKE128:output=16", ("--until", "2030"), False, "listed", 0, False),
            ("SHAKE128:output=128", ("--until", "2030"), False, "listed", 0, False),
            ("SHAKE128:output=256", ("--until", "2030"), True, "listed", 128, None),
            ("AES-256-GCM", (), True, "listed", 256, None),
            ("AES-256-GCM:iv=96", (), True, "listed", 256, None),
            ("AES-256-GCM:iv=64", (), False, "listed", 256, False),
            ("AES-256-GCM:iv=128", (), False, "listed", 256, False),
            ("AES-128-GCM", (), False, "listed", 128, False),
            ("AES-128-GCM", ("--until", "2035"), True, "listed", 128, None),
            ("AES-128-GCM", ("--until", "2065"), False, "listed", 128, False),
            ("Ed448", (), True, "listed", 192, None),
            ("Ed25519", (), False, "listed", 128, False),
            # XTS protects storage devices and nothing else.
            ("AES-256-XTS", ("--purpose", "storage-device"), True, "listed", 256, None),
            ("AES-256-XTS", ("--purpose", "payload"), False, "listed", 256, False),
            ("AES-256-KW", ("--purpose", "wrap"), False, "not-listed", 256, True),
            ("AES-256-KWP", ("--purpose", "wrap"), False, "not-listed", 256, True),
            ("AES", (), False, "listed", 0, False),
            ("SHA-1", ("--until", "2030"), False, "monitored", None, False),
            ("MD5", ("--until", "2030"), False, "not-listed", None, False),
            ("ROT13", (), False, "not-listed", 0, False),
            ("aes-256-gcm", (), True, "listed", 256, None)]
        for query, words, allowed, category, strength, exception in cases:
            with self.subTest(query, words=words):
                verdict = self.judge(query, *words, allowed=allowed)
                self.assertEqual(verdict["category"], category)
                if strength is not None:
                    self.assertEqual(verdict["strength_bits"], strength)
                if exception is not None:
                    self.assertEqual(verdict["exception_possible"], exception)

    def test_processing_outlives_new_use(self):
        self.judge("3DES-CBC", "--until", "2030", allowed=False)
        self.judge("3DES-CBC", "--until", "2030", "--mode", "processing", allowed=True)
        self.judge("3DES-CBC", "--until", "2055", "--mode", "processing", allowed=False)

    def test_pqc_profile(self):
        self.judge("AES-256-GCM", "--profile", "pqc", allowed=True)
        self.judge("ECDSA:curve=P-384,hash=SHA-384", "--profile", "pqc", allowed=False)

    def test_usage(self):
        for words in (("AES-256-GCM", "--purpose", "fun"), ("AES-256-GCM", "--until", "20x"),
                      ("AES-256-GCM", "--until", "-1"), ("AES-256-GCM", "--mode", "old"),
                      ("AES-256-GCM", "--profile", "lax"), ("AES-256-GCM:foo=1",), ("AES-256-GCM:bits",)):
            with self.subTest(words):
                self.box.kesu("policy", "check", *words, code=2, error="usage")

    def test_lists(self):
        rows = self.box.kesu("policy", "algorithms").json
        names = {r["name"]: r for r in rows}
        self.assertEqual(len(names), len(rows))
        for row in rows:
            self.assertEqual(sorted(row), ["category", "name", "new_until", "process_until", "purposes", "reason",
                                           "strength_bits", "use"])
        self.assertEqual(names["ML-KEM"]["category"], "not-listed")
        shown = self.box.kesu("policy", "show").json
        self.assertEqual(sorted(shown), ["edition", "editions", "lists", "periods"])
        for table, floor in (("lists", 40), ("periods", 30)):
            self.assertGreater(len(shown[table]), floor)
            self.assertEqual([r for r in shown[table] if not r["citation"]], [])

    def test_text(self):
        text = self.box.text("policy", "check", "AES-256-KW", "--purpose", "wrap", code=3).stdout
        for word in ("REFUSED", "recorded exception", "cited"):
            self.assertIn(word, text)
        self.assertIn("電子政府推奨暗号リスト", self.box.text("policy", "check", "AES-256-GCM").stdout)


if __name__ == "__main__":
    harness.main()
