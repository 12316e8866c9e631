"""scripts/verify_certificate.py beside `kesu verify`: good bundles, and a corpus of bad ones, must come out alike."""
import concurrent.futures
import io
import json
import os
import pathlib
import shutil
import sys
import warnings
import zipfile

ROOT = pathlib.Path(__file__).resolve().parents[2]
sys.path[:0] = [str(ROOT / "tests" / "support"), str(ROOT / "scripts")]
import debian_python  # noqa: F401
import bad_bundles
import harness
import reissue
import scenario
from kesu_verifier import trust as trust_file
from kesu_verifier import verify as second
from kesu_verifier.base import Bad
from kesu_verifier.ledger import Header
from scenario import CHUNK

SCRIPT = ROOT / "scripts" / "verify_certificate.py"
VECTOR = ROOT / "tests" / "vectors" / "bundle" / "v1"
LOW = ("--require", "low", "--allow-test-grade")
SEED = int(os.environ.get("KESU_SEED", "1"))


class SecondVerifier(scenario.World):
    @classmethod
    def prepare(cls):
        box = cls.box
        cls.seal("loans-2019", {"a": b"one", "b/日本.txt": b"two" * CHUNK})
        box.kesu("dataset", "add", "bare", "--key", "loans", "--header-only")
        box.kesu("seal", "bare", cls.write("bare", b"bare"), "-o", box.state / "bare")
        box.kesu("key", "rotate", "loans")
        cls.seal("loans-2019", {"c": b"three"})
        for dataset in ("loans-2019", "bare"):
            box.kesu("rewrap", dataset)
        box.kesu("key", "destroy", "loans.1", "-y")
        box.kesu("key", "create", "small")
        box.kesu("dataset", "add", "small", "--key", "small")
        box.kesu("seal", "small", cls.write("small", b"small"), "-o", box.state / "small")
        case = cls("issue")
        cls.other = case.issue("other", "small")
        cls.good = case.issue("good", "loans-2019", "bare")
        cls.trust = box.path / "trust"
        cls.trust.write_text(box.run(harness.program("kesu"), "trust", "propose", cls.good, "--json").json["trust"])
        cls.tables = trust_file.Tables()

    def issue(self, name, *datasets):
        erasure = self.approved(*datasets)
        self.run_erasure(erasure)
        bundle = self.box.path / name
        self.box.kesu("certificate", "bundle", erasure, "-o", bundle)
        return bundle

    def both(self, bundle, *words, trust=None, code=0):
        """The report of each program on a bundle; both must end with that exit code."""
        words = (bundle, "--trust", trust or self.trust, *words, "--json")
        first = self.box.run(harness.program("kesu"), "verify", *words, code=code).json
        mine = self.box.run("/usr/bin/python3", "-B", SCRIPT, *words, code=code).json
        return first, mine

    def test_the_bundle_that_is_kept_gives_the_same_report(self):
        for words, code in ((LOW, 0), (("--require", "low"), 7), ((), 7), (("--require", "standard"), 7)):
            objects = ("--object", VECTOR / "loans.csv.kesu", "--object", VECTOR / "名前.txt.kesu")
            first, mine = self.both(VECTOR / "bundle", *words, *objects, trust=VECTOR / "trust", code=code)
            self.assertEqual(mine, first)

    def test_good_bundles_give_the_same_report(self):
        for bundle in (self.good, self.other):
            first, mine = self.both(bundle, *LOW)
            self.assertEqual(mine, first)
            self.assertEqual((mine["verdict"], mine["errors"]), ("complete", []))

    def test_the_same_is_missed(self):
        """Whatever bar they do not meet, by the same words: payloads that are not bound among it."""
        for bar in ("standard", "high"):
            first, mine = self.both(self.good, "--require", bar, code=7)
            self.assertEqual(mine, first)
            self.assertIn(f"the payloads of bare are not bound to the inventory; profile {bar} asks for it", mine["shortfalls"])
            self.assertIn("TEST GRADE: a provider without a validation certificate held the keys", mine["shortfalls"])

    def test_headers(self):
        """What is a header and what is none, by the vectors that kesu's own reader keeps."""
        for case in json.loads((ROOT / "tests" / "vectors" / "ledger" / "headers.json").read_text())["cases"]:
            with self.subTest(case["name"]):
                try:
                    Header(case["header"].encode(), "it")
                    said = "accepted"
                except Bad:
                    said = "refused"
                self.assertEqual(said, "accepted" if case["outcome"] == "accepted" else "refused")

    def test_objects(self):
        paths = sorted(self.out.rglob("*.kesu")) + [self.box.state / "bare" / "bare.kesu"]
        damaged = self.box.path / "damaged.kesu"
        self.assertGreater(len(paths), 3)
        data = paths[0].read_bytes()
        for what, content in (("as it is", data), ("bit", data[:-1] + bytes([data[-1] ^ 1])), ("slot", data[:1100] + b"x" + data[1101:]),
                              ("header", b"x" + data[1:]), ("cut", data[:-1]), ("longer", data + b"x"), ("short", data[:4000]),
                              ("empty", b""), ("zeros", bytes(8192))):
            damaged.write_bytes(content)
            with self.subTest(what):
                first, mine = self.both(self.good, *LOW, "--object", damaged, code=0 if what == "as it is" else 7)
                self.assertEqual([o["result"] for o in mine["objects"]], [o["result"] for o in first["objects"]])
        words = [w for p in paths for w in ("--object", p)]
        first, mine = self.both(self.good, *LOW, *words, code=7)
        self.assertEqual(mine, first)
        self.assertEqual({o["result"] for o in mine["objects"]}, {"covered", "header-covered"})

    def test_trust(self):
        lines = [l for l in self.trust.read_text().splitlines() if not l.startswith("#")]
        other, keys = self.box.path / "other-trust", self.box.path / "keys"
        officers = [l.removeprefix("officer ") for l in lines if l.startswith("officer ")]
        (self.box.path / "ca.pem").write_bytes((self.good / "trust" / "signer.pem").read_bytes())
        cases = {"nobody": [], "no signer": [l for l in lines if not l.startswith("signer")], "no log": [l for l in lines if not l.startswith("log")],
                 "as CA": [l for l in lines if not l.startswith("signer")] + ["signer-ca ca.pem"],
                 "one officer less": lines[:-1], "a file": [l for l in lines if not l.startswith("officer")] + ["officers keys"]}
        keys.write_text("".join(f'a namespaces="kesu-*,!kesu-genesis-v1",valid-after="20200101Z" {line}\n' for line in officers))
        for what, text in cases.items():
            with self.subTest(what):
                other.write_text("\n".join(text) + "\n")
                first, mine = self.both(self.good, *LOW, trust=other, code=(0, 7))
                self.assertEqual(mine, first)
        for bad in ("signer md5:00", "log x", "officer ssh-dss AAAA", "quorum 0", "trusted yes", "signer-ca missing", "witness x"):
            with self.subTest(bad):
                other.write_text(f"{bad}\n")
                refused = self.box.run("/usr/bin/python3", "-B", SCRIPT, self.good, "--trust", other, code=2)
                self.assertIn("line 1", refused.stderr)

    def test_it_runs_alone_in_a_directory(self):
        """The script, its parts and the tables, copied somewhere: nothing else is read."""
        alone = self.box.path / "alone"
        alone.mkdir()
        shutil.copy(SCRIPT, alone)
        shutil.copytree(ROOT / "scripts" / "kesu_verifier", alone / "kesu_verifier", ignore=shutil.ignore_patterns("__pycache__"))
        run = lambda code, *words: self.box.run("/usr/bin/python3", "-I", "-B", alone / SCRIPT.name, self.good, "--trust", self.trust, *LOW, *words,
                                                code=code)
        self.assertIn("--tables", run(2).stderr)
        tables = self.box.path / "tables"
        tables.mkdir()
        for table in ("docs/spec/claims.json", "docs/spec/profiles.json", "docs/spec/providers.json", "lib/policy/data/policy.jsonl"):
            shutil.copy(ROOT / table, tables)
        self.assertIn("COMPLETE for profile low", run(0, "--tables", tables).stdout)
        for table in tables.iterdir():
            shutil.copy(table, alone)
        self.assertIn("COMPLETE for profile low", run(0).stdout)

    def test_zip_files(self):
        """One form only: whatever else a zip file may hold is refused by both."""
        one = self.box.path / "one.zip"
        erasure = json.loads((self.good / "certificate.json").read_bytes())["erasure"]
        self.box.kesu("certificate", "bundle", erasure, "-o", one)
        first, mine = self.both(one, *LOW)
        self.assertEqual((mine, mine["verdict"]), (first, "complete"))
        good, bad = one.read_bytes(), {}
        for at in (0, 6, 8, 14, 20, 40, len(good) // 2, len(good) - 60, len(good) - 10, len(good) - 1):
            bad[f"bit of byte {at}"] = good[:at] + bytes([good[at] ^ 1]) + good[at + 1:]
        bad |= {"before": b"x" + good, "behind": good + b"x", "cut": good[:-1], "half": good[:len(good) // 2], "empty": b"", "text": b"no zip"}
        files = reissue.read(self.good)
        for what, method, names in (("repacked", zipfile.ZIP_STORED, ()), ("compressed", zipfile.ZIP_DEFLATED, ()),
                                    ("traversal", zipfile.ZIP_STORED, ("../../etc/passwd",)), ("twice", zipfile.ZIP_STORED, ("plan.json",)),
                                    ("absolute", zipfile.ZIP_STORED, ("/plan.json",)), ("bomb", zipfile.ZIP_DEFLATED, ("evidence/bomb",))):
            out = io.BytesIO()
            with zipfile.ZipFile(out, "w", method) as z, warnings.catch_warnings():
                warnings.simplefilter("ignore")
                for path in sorted(files):
                    z.writestr(path, files[path])
                for path in names:
                    z.writestr(path, b"\0" * (1 << 24 if what == "bomb" else 1))
            bad[what] = out.getvalue()
        for what, data in bad.items():
            with self.subTest(what):
                one.write_bytes(data)
                words = (one, "--trust", self.trust, *LOW, "--json")
                self.box.run(harness.program("kesu"), "verify", *words, code=6)
                report = self.box.run("/usr/bin/python3", "-B", SCRIPT, *words, code=6).json
                self.assertTrue(report["errors"][0]["part"])

    def test_usage(self):
        for words in ((), ("--require", "lax"), ("--trust", "missing")):
            self.box.run("/usr/bin/python3", "-B", SCRIPT, self.box.path / "nothing" if not words else self.good, *words, code=2)
        link = self.box.path / "linked"
        shutil.copytree(self.good, link)
        (link / "link").symlink_to("plan.json")
        report = self.box.run("/usr/bin/python3", "-B", SCRIPT, link, "--json", code=6).json
        self.assertEqual([e["part"] for e in report["errors"]], ["link"])

    # The corpus.

    def first(self, number, case, directory):
        """kesu's report; the one of an error where the directory could not be read at all."""
        bundle, trust = directory / str(number), directory / f"{number}.trust"
        trust.write_text(case.trust)
        reissue.write(case.files, bundle)
        result = self.box.run(harness.program("kesu"), "verify", bundle, "--trust", trust, *LOW, "--json", code=(0, 6, 7))
        shutil.rmtree(bundle)
        report = result.json
        if "error" in report:
            self.assertEqual(result.code, 6)
            report = {"verdict": "invalid", "errors": [{"part": "bundle", "what": report["error"]["message"]}], "claims": []}
        self.assertEqual(result.code, second.EXITS[report["verdict"]])
        return report

    def mine(self, case, trusts):
        if case.trust not in trusts:
            path = self.box.path / f"trust-{len(trusts)}"
            path.write_text(case.trust)
            trusts[case.trust] = trust_file.read_trust(str(path))
        return second.verify(dict(case.files), trusts[case.trust], self.tables, require="low", allow_test_grade=True)

    def agree(self, case, first, mine):
        self.assertEqual(mine["verdict"], first["verdict"], f"kesu: {first['errors'][:3]} second: {mine['errors'][:3]}")
        if case.expect == bad_bundles.GOOD:
            self.assertEqual(mine["verdict"], "complete", (mine["errors"], mine["shortfalls"]))
        if case.expect == bad_bundles.BAD:
            self.assertNotEqual(mine["verdict"], "complete")
        if mine["verdict"] == "invalid":
            for report in (first, mine):
                self.assertTrue(report["errors"])
                self.assertTrue(all(e["part"] and e["what"] for e in report["errors"]))
        else:
            levels = [{c["id"]: c["level"] for c in r["claims"]} for r in (mine, first)]
            self.assertEqual(*levels)
        unforeseen = [e for e in mine["errors"] if e["what"].startswith("cannot be read (")]
        self.assertEqual(unforeseen, [])

    def test_corpus_of_bad_bundles(self):
        files, other = reissue.read(self.good), reissue.read(self.other)
        issuer, trust, cases = bad_bundles.corpus(files, self.trust.read_text(), reissue.keys_by_operator(self.good, self), other, seed=SEED)
        good = bad_bundles.Case("issued anew, unchanged", issuer.issue(), trust, bad_bundles.SAME)
        directory = self.box.path / "corpus"
        directory.mkdir()
        trusts = {}
        with concurrent.futures.ThreadPoolExecutor(2) as pool:
            self.assertEqual(self.first(0, good, directory)["verdict"], "complete")
            self.assertEqual(self.mine(good, trusts)["verdict"], "complete")
            running = [pool.submit(self.first, n, case, directory) for n, case in enumerate(cases, 1)]
            for case, first in zip(cases, running):
                with self.subTest(case.name):
                    self.agree(case, first.result(), self.mine(case, trusts))
        bad = sum(case.expect == bad_bundles.BAD for case in cases)
        print(f"{len(cases)} bundles, {bad} of them bad, seed {SEED}")
        self.assertGreater(bad, 1000)


if __name__ == "__main__":
    scenario.main()
