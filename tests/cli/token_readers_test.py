"""Time-stamp tokens, answers and chain files, odd and forged, to three readers: each says of each what docs/spec/certificate.md says."""
import pathlib
import shutil
import sys

ROOT = pathlib.Path(__file__).resolve().parents[2]
sys.path[:0] = [str(ROOT / "tests" / "support"), str(ROOT / "scripts")]
import debian_python  # noqa: F401
import bad_tokens
import countersigned
import harness
import reissue
import rsa_tokens
import scenario
import tsa
import verify_page
from kesu_verifier import trust as trust_file
from kesu_verifier import verify as second

LOW = ("--require", "low", "--allow-test-grade")
B, B_TSR, B_CHAIN = "ledger/checkpoint-b", "time/checkpoint-b.tsr", "time/checkpoint-b.pem"


class TokenReaders(verify_page.Driver, scenario.World):
    @classmethod
    def prepare(cls):
        cls.bank = tsa.Tsa(cls.box.path / "bank", "Bank, Inc.")
        cls.seal("loans-2019", {"a": b"one"})
        case = cls("setUp")
        erasure = case.approved("loans-2019")
        case.run_erasure(erasure)
        cls.issue(erasure)
        cls.open_page()
        cls.tables = trust_file.Tables()

    def setUp(self):
        super().setUp()
        self.files = reissue.read(self.bundle)
        self.where, path = self.elsewhere / "case", self.elsewhere / "trust"
        self.trust_text, self.anchors = self.trust + f"tsa-ca {self.bank.root}\n", self.bank.root.read_text()
        path.write_text(self.trust_text)
        self.reader, self.path = trust_file.read_trust(str(path)), path
        shutil.rmtree(self.where, ignore_errors=True)
        reissue.write(self.files, self.where)

    def three(self, changed):
        """The bundle with these files, to three: {reader: (verdict, parts that are wrong)}, and the reports of the first two."""
        for name, data in changed.items():
            (self.where / name).parent.mkdir(exist_ok=True)
            (self.where / name).write_bytes(data)
        kesu, python, page = verify_page.together(
            lambda: self.box.run(harness.program("kesu"), "verify", self.where, "--trust", self.path, *LOW, "--json", code=None).json,
            lambda: second.verify({**self.files, **changed}, self.reader, self.tables, require="low", allow_test_grade=True),
            lambda: self.check(self.where, trust=self.trust_text + self.anchors))
        self.assertNotIn("error", kesu)
        said = {name: (r["verdict"], {e["part"] for e in r["errors"]}) for name, r in (("kesu", kesu), ("python", python))}
        return {**said, "page": (page["verdict"], set(page["parts"]))}, kesu, python

    def alike(self, changed, bad=()):
        """Complete, or invalid for exactly these parts → the reports."""
        said, kesu, python = self.three(changed)
        wanted = ("invalid", set(bad)) if bad else ("complete", set())
        self.assertEqual(said, {name: wanted for name in said})
        return kesu, python

    def rows(self, *reports):
        facts = ("at", "accuracy_ms", "authority", "policy", "algorithm", "trusted")
        return [[(t["over"], *(t[f] for f in facts)) for t in [*r["time"], *(c["time"] for c in r.get("countersignatures", []))]] for r in reports]

    def judged(self, signature, cases, good):
        """Tokens that are all good, or all bad, each in a countersignature of its own, as many at once as a bundle may have
        → (name, row) of the first reader; the others say the same."""
        out = []
        for at in range(0, len(cases), 32):
            named = {f"certificate.json.{n}.p7s": case for n, case in enumerate(cases[at:at + 32], 2)}
            for path in self.where.glob("certificate.json.*.p7s"):
                path.unlink()
            said, kesu, python = self.three({path: countersigned.with_token(signature, token) for path, (_, token) in named.items()})
            for reader, (verdict, parts) in said.items():
                self.assertEqual([name for path, (name, _) in named.items() if (path in parts) == good], [], (reader, "takes" if not good else "refuses"))
                self.assertEqual(verdict, "complete" if good else "invalid", reader)
                self.assertLessEqual(parts, set(named), reader)
            if good:
                kesu, python, page = self.rows(kesu, python, self.saved())
                self.assertEqual([len(rows) for rows in (kesu, python, page)], [len(named)] * 3)
                self.assertEqual([x for x in zip((name for name, _ in named.values()), kesu, python, page) if x[1] != x[2] or x[1] != x[3]], [])
                out += [(name, row) for row, (name, _) in zip(kesu, named.values())]
        return out

    def over(self):
        signature = countersigned.sign(countersigned.person(self.elsewhere / self.id().rpartition(".")[2], "Auditor"), self.files["certificate.json"])
        return signature, countersigned.value_of(signature)

    def test_tokens(self):
        signature, value = self.over()
        cases = list(bad_tokens.tokens(self.bank, value))
        for good in (True, False):
            rows = self.judged(signature, [(name, token) for name, token, taken in cases if taken == good], good)
            self.assertLessEqual({row[3] for _, row in rows}, {"CN=Bank\\, Inc. Time,O=Bank\\, Inc."})

    def test_tokens_of_rsa(self):
        """RSA, PKCS #1 and PSS: of the authority's key, and in its path."""
        signature, value = self.over()
        made = rsa_tokens.Authorities()
        self.also_trust(*made.trusted)
        cases = list(made.tokens(self.bank, value))
        rows = self.judged(signature, [(name, token) for name, token, good in cases if good], True)
        self.assertEqual({row[6] for _, row in rows}, {True})
        self.assertLessEqual({"RSA-2048, SHA-256", "RSA-2048, SHA-512", "RSA-3072, SHA-384", "ECDSA P-256, SHA-256"}, {row[5] for _, row in rows})
        self.judged(signature, [(name, token) for name, token, good in cases if not good], False)
        cases = list(made.paths(self.bank, value))
        rows = self.judged(signature, [(name, token) for name, token, _ in cases], True)
        self.assertEqual([name for (name, row), (_, _, counts) in zip(rows, cases) if row[6] != counts], [])

    def also_trust(self, *holders):
        """Further anchors: beside the trust file, and behind it for the page."""
        text = self.trust_text
        for n, holder in enumerate(holders):
            (self.elsewhere / f"anchor-{n}.pem").write_text(holder.pem)
            text += f"tsa-ca anchor-{n}.pem\n"
            self.anchors += holder.pem
        self.path.write_text(text)
        self.trust_text, self.reader = text, trust_file.read_trust(str(self.path))

    def test_answers(self):
        for name, answer, good in bad_tokens.answers(self.bank, self.files[B]):
            with self.subTest(name):
                self.alike({B_TSR: answer, B_CHAIN: self.bank.chain}, () if good else [B_TSR])

    def test_chain_files(self):
        answer = self.bank.stamp(self.files[B])[0]
        for name, chain, good in bad_tokens.chains(self.bank):
            with self.subTest(name):
                self.alike({B_TSR: answer, B_CHAIN: chain}, () if good else [B_CHAIN])

    def test_anchors_in_one_file(self):
        """A file of a trust file has 1 to 64 certificates."""
        answer, block = self.bank.stamp(self.files[B])[0], (self.bank.dir / "intermediate.pem").read_bytes()
        file = self.elsewhere / "anchors.pem"
        self.path.write_text(self.trust + "tsa-ca anchors.pem\n")
        reissue.write({**self.files, B_TSR: answer, B_CHAIN: self.bank.chain}, self.where)
        words = ("verify", self.where, "--trust", self.path, *LOW, "--json")
        for most, good in ((64, True), (65, False)):
            file.write_bytes(block * (most - 1) + self.bank.root.read_bytes())
            shown = self.check(self.where, trust=self.path.read_text(), trust_files=[file])
            if good:
                for report in (self.box.run(harness.program("kesu"), *words).json, self.saved(), second.verify(
                        reissue.read(self.where), trust_file.read_trust(str(self.path)), self.tables, require="low", allow_test_grade=True)):
                    self.assertEqual([t["trusted"] for t in report["time"]], [True])
            else:
                self.box.run(harness.program("kesu"), *words, code=2, error="bad-input")
                self.assertRaisesRegex(trust_file.Usage, "more than 64", trust_file.read_trust, str(self.path))
                self.assertIn("more than 64", shown["text"])

    def test_signatures(self):
        """What stands unsigned in certificate.json.p7s, and a chain file without the answer that it belongs to."""
        issuer = reissue.Issuer(self.files, reissue.keys_by_operator(self.bundle, self))
        self.trust_text = issuer.trust(self.trust) + f"tsa-ca {self.bank.root}\n"
        self.path.write_text(self.trust_text)
        self.reader = trust_file.read_trust(str(self.path))
        made = lambda attributes, edit=None: issuer.issue(None, None, edit, lambda data: signed(data, attributes))  # noqa: E731

        def signed(data, attributes):
            plain = reissue.cms(issuer.certificate_key, issuer.certificate, data)
            return countersigned.with_unsigned(plain, *attributes(countersigned.value_of(plain)))
        cases = [(name, made(attributes), [] if good else ["certificate.json.p7s"]) for name, attributes, good in bad_tokens.unsigned_of(self.bank)]
        one = next(bad_tokens.unsigned_of(self.bank))[1]
        cases.append(("a chain file without the answer", made(one, lambda files: files.update({"trust/tsa.pem": self.bank.chain})), ["trust/tsa.pem"]))
        for name, files, bad in cases:
            with self.subTest(name):
                shutil.rmtree(self.where, ignore_errors=True)
                reissue.write(files, self.where)
                self.files = files
                said, *_ = self.three({})
                self.assertEqual({verdict for verdict, _ in said.values()}, {"invalid" if bad else "complete"}, said)
                self.assertTrue(all(set(bad) <= parts for _, parts in said.values()), said)


if __name__ == "__main__":
    scenario.main()
