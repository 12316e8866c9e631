"""Keyed fingerprints taken at sealing: the scan needs no sealed file, and their key dies with the dataset."""
import json
import os
import pathlib
import shutil
import subprocess
import sys

sys.path.insert(0, str(pathlib.Path(__file__).parents[1] / "support"))
import harness
import scenario

VERIFIER = harness.SOURCE / "scripts" / "verify_certificate.py"
BLOCK = 65536
BIG = os.urandom(5 * BLOCK + 1234)
LARGE = os.urandom(9 << 20)                     # all processors work at this one
FILES = {"big.bin": BIG, "large.bin": LARGE, "memo.txt": b"a short memo about one person", "zeros": bytes(3 * BLOCK), "empty": b""}


class Printed(scenario.World):
    @classmethod
    def prepare(cls):
        cls.box.kesu("dataset", "update", "loans-2019", "--fingerprints", "on", "--reason", "residue")
        cls.seal("loans-2019", FILES)
        shutil.rmtree(cls.box.state / "src")
        cls.places = cls.box.state / "places"
        cls.places.mkdir()
        (cls.places / "unrelated").write_bytes(os.urandom(200_000))

    def scan(self, *words, **options):
        return self.box.kesu("inventory", "scan", "loans-2019", *words, self.places, **options).json

    def put(self, name, data):
        path = self.places / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(data)
        return path

    def found(self, result):
        return {(os.path.relpath(h["path"], self.places), os.path.basename(h["name"]), h["bytes"]) for h in result["found"]}

    def of_type(self, kind):
        return [e for e in self.entries() if e["type"] == kind]

    def key_version(self):
        return self.of_type("fingerprint-key-created")[-1]["body"]["version"]

    def residue(self, bundle):
        trust = ("--require", "low", "--allow-test-grade")
        report = self.box.kesu("verify", bundle, *trust, vault=False, code=(0, 7)).json
        other = json.loads(subprocess.run([sys.executable, "-B", VERIFIER, bundle, *trust, "--json"], capture_output=True,
                                          check=False).stdout)
        self.assertEqual((report["errors"], other["errors"]), ([], []))
        claims = [{c["id"]: c["level"] for c in r["claims"]} for r in (report, other)]
        self.assertEqual(claims[0], claims[1])
        details = [next(c["detail"] for c in r["claims"] if c["id"] == "residue") for r in (report, other)]
        self.assertEqual(details[0], details[1])
        algorithms = [next(c["rests_on"] for c in r["claims"] if c["id"] == "algorithms") for r in (report, other)]
        self.assertEqual(algorithms[0], algorithms[1])
        return claims[0], details[0]


class Prints(Printed):
    def test_the_key_is_a_node_of_its_own(self):
        made, = self.of_type("fingerprint-key-created")
        version = made["body"]["version"]
        node, = made["nodes"]
        dataset = self.box.kesu("dataset", "show", "loans-2019").json["id"]
        self.assertEqual((node["is"], node["of"], made["edges"]), ("active", dataset, [[version, node["id"]]]))
        intended = next(e for e in self.of_type("key-intended") if e["nodes"][0]["id"] == version)
        self.assertEqual((intended["body"]["name"], intended["body"]["fingerprints_of"]), ("fingerprints-loans-2019", dataset))
        for done in self.of_type("seal-done"):
            self.assertEqual(done["body"]["fingerprints"]["key"], node["id"])
            blob = (self.box.vault / "evidence" / done["body"]["fingerprints"]["values"]).read_bytes()
            self.assertEqual(blob[:8], b"KESU-FPR")
        # Another sealing uses the same one.
        self.seal("loans-2019", {"later": b"later"}, below="later")
        self.assertEqual(len(self.of_type("fingerprint-key-created")), 1)
        # It serves for nothing else, and does not go before the dataset.
        for words in (("key", "rotate", "fingerprints-loans-2019"), ("dataset", "add", "x", "--key", "fingerprints-loans-2019"),
                      ("dataset", "update", "loans-2019", "--key", "fingerprints-loans-2019", "--reason", "x"),
                      ("key", "destroy", "fingerprints-loans-2019", "--version", "1", "--yes")):
            self.box.kesu(*words, code=3)
        self.box.kesu("ledger", "verify")
        self.assertEqual(self.box.kesu("status").json["due"], [])

    def test_no_sealed_file_is_needed(self):
        shutil.rmtree(self.out)
        result = self.scan()
        self.assertEqual((result["hits"], result["objects"], result["stored"], result["without"], result["window"]),
                         (0, 6, 6, [], BLOCK))
        self.assertEqual(result["common"], 3)
        self.put("copy.bin", BIG)
        self.put("cut/short.bin", LARGE[:40 * BLOCK + 99])
        self.put("memo (1).txt", FILES["memo.txt"])
        self.put("zeros again", FILES["zeros"])
        self.put("more zeros", bytes(10 * BLOCK))
        self.put("middle.bin", os.urandom(BLOCK) + BIG[BLOCK:2 * BLOCK] + os.urandom(77))
        self.put("shifted.bin", b"x" + BIG)             # is not found, and the page says so
        self.put("inside.txt", b"before " + FILES["memo.txt"])
        opened = len(self.of_type("objects-opened"))
        result = self.scan(code=8)
        self.assertEqual(self.found(result), {
            ("copy.bin", "big.bin", 5 * BLOCK), ("cut/short.bin", "large.bin", 40 * BLOCK), ("middle.bin", "big.bin", BLOCK),
            ("memo (1).txt", "memo.txt", len(FILES["memo.txt"])), ("zeros again", "zeros", 3 * BLOCK)})
        self.assertEqual(len(self.of_type("objects-opened")), opened)       # no data key was unwrapped
        record = (self.box.vault / "evidence" / result["document"]).read_text()
        self.assertEqual((json.loads(record)["stored"], json.loads(record)["hits"]), (6, 5))
        self.assertNotIn("memo", record)
        said = self.box.kesu("inventory", "scan", "loans-2019", self.places, code=8, json=False).stdout
        self.assertIn("6 of them by fingerprints taken at sealing", said)

    def test_from_sealed_finds_more(self):
        self.put("shifted.bin", b"x" + BIG)
        self.assertEqual(self.scan()["hits"], 0)
        result = self.scan("--from-sealed", code=8)
        self.assertEqual((result["hits"], result["stored"]), (1, 0))

    def test_sealed_over(self):
        path = self.write("memo.txt", b"another memo", mtime=1_710_000_000_000_000_000)
        self.box.kesu("seal", "loans-2019", path.parent, "-o", self.out, "--replace")
        shutil.rmtree(path.parent)
        self.put("old memo", FILES["memo.txt"])
        self.put("new memo", b"another memo")
        result = self.scan(code=8)
        self.assertEqual((result["superseded"], result["hits"]), (0, 2))

    def test_some_have_none(self):
        self.box.kesu("dataset", "update", "loans-2019", "--fingerprints", "off", "--reason", "slow")
        other = os.urandom(100_000)
        self.seal("loans-2019", {"without.bin": other}, below="more")
        self.put("a", other)
        self.put("b", BIG)
        self.put("c", b"shifted" + other)
        result = self.scan(code=8)
        self.assertEqual((result["objects"], result["stored"]), (8, 6))
        self.assertEqual({(n, o) for n, o, _ in self.found(result)}, {("a", "without.bin"), ("b", "big.bin"), ("c", "without.bin")})
        said = self.box.kesu("inventory", "scan", "loans-2019", self.places, code=8, json=False).stdout
        self.assertIn("2 by their sealed files", said)

    def test_from_a_pipe_and_by_reseal(self):
        data = os.urandom(3 * BLOCK)
        self.box.kesu("seal", "loans-2019", "-", "--name", "dump.sql", "-o", self.out, stdin=data)
        self.box.kesu("key", "create", "archive")
        self.box.kesu("dataset", "add", "kept", "--key", "archive", "--fingerprints", "on")
        self.box.kesu("reseal", "loans-2019", "--to", "kept", "--into", self.box.state / "new")
        shutil.rmtree(self.box.state / "new")
        shutil.rmtree(self.out)
        self.put("dump", data)
        self.put("big", BIG)
        self.assertEqual({(n, o) for n, o, _ in self.found(self.scan(code=8))}, {("dump", "dump.sql"), ("big", "big.bin")})
        result = self.box.kesu("inventory", "scan", "kept", self.places, code=8).json
        self.assertEqual((result["hits"], result["objects"], result["stored"]), (2, 7, 7))
        keys = {e["nodes"][0]["of"]: e["body"]["version"] for e in self.of_type("fingerprint-key-created")}
        self.assertEqual((len(keys), len(set(keys.values()))), (2, 2))

    def test_after_rotation_and_compromise(self):
        self.box.kesu("key", "rotate", "loans")
        self.box.kesu("rewrap", "loans-2019", self.out)
        self.box.kesu("key", "compromise", "fingerprints-loans-2019", "--reason", "lost", "-y")
        self.seal("loans-2019", {"later.bin": LARGE[:2 * BLOCK]}, below="later")
        self.assertEqual(len(self.of_type("fingerprint-key-created")), 2)
        self.assertEqual(self.key_version(), next(
            e["nodes"][0]["id"] for e in self.of_type("key-intended") if e["body"]["name"] == "fingerprints-loans-2019-2"))
        self.put("a", BIG)
        self.put("b", LARGE[:2 * BLOCK])
        result = self.scan(code=8)
        self.assertEqual((result["stored"], result["objects"]), (8, 8))
        self.assertEqual({n for n, _, _ in self.found(result)}, {"a", "b"})
        self.assertEqual(len(self.plan("loans-2019")["key_versions"]), 4)

    def test_a_damaged_blob_is_said(self):
        values = self.of_type("seal-done")[0]["body"]["fingerprints"]["values"]
        path = self.box.vault / "evidence" / values
        path.chmod(0o600)
        whole = path.read_bytes()
        path.write_bytes(whole[:-1] + bytes([whole[-1] ^ 1]))
        self.scan(code=6)
        self.assertIn(values, str(self.box.kesu("ledger", "verify", code=6).json["findings"]))
        self.assertEqual(self.scan("--from-sealed")["objects"], 6)

    # The certificate.

    def test_the_key_dies_with_the_dataset(self):
        self.scan()
        version = self.key_version()
        plan = self.plan("loans-2019")
        self.assertIn(version, [v["version"] for v in plan["key_versions"]])
        self.assertEqual(plan["shared"], [])
        erasure = self.approved("loans-2019")
        self.run_erasure(erasure)
        done, = [e for e in self.of_type("destroy-done") if e["nodes"][0]["id"] == version]
        inspected, = self.of_type("erasure-inspected")
        self.assertLess(done["seq"], inspected["seq"])          # before stage destroyed
        refused = self.box.kesu("inventory", "scan", "loans-2019", self.places, code=3)
        self.assertIn("fingerprint key is destroyed", refused.stdout)
        bundle = self.box.path / "bundle"
        self.box.kesu("certificate", "bundle", erasure, "-o", bundle)
        claims, detail = self.residue(bundle)
        self.assertEqual(claims["residue"], "recorded")
        self.assertEqual((claims["exclusivity"], claims["algorithms"]), ("proven", "proven"))
        self.assertIn(", for 6 objects, 6 of them by fingerprints taken at sealing, in blocks of 65536 bytes from a file's "
                      "start, 3 of them only as whole files, 3 common windows not looked for", detail)
        # What was taken is no evidence for readers: the bundle does not carry it.
        values = [e["body"]["fingerprints"]["values"] for e in self.of_type("seal-done")]
        self.assertEqual([v for v in values if (bundle / "evidence" / v).exists()], [])


class TwoProviders(Printed):
    """The dataset's key moves to another provider: it gets a second fingerprint key there, and both are its own."""

    def setUp(self):
        super().setUp()
        phrase = self.box.state / "phrase"
        phrase.write_text("a passphrase of a dozen letters and more")
        phrase.chmod(0o600)
        self.box.kesu("provider", "add", "file",
                      f"soft:{self.box.state / 'store'}?passphrase-source=file:{phrase}&iterations=210000")
        self.box.kesu("key", "create", "there", "--provider", "file")
        self.first = self.key_version()
        self.box.kesu("dataset", "update", "loans-2019", "--key", "there", "--reason", "moves")

    def test_each_has_its_key(self):
        new = os.urandom(3 * BLOCK)
        self.seal("loans-2019", {"new.bin": new}, below="new")
        one, two = self.of_type("fingerprint-key-created")
        self.assertNotEqual(one["body"]["version"], two["body"]["version"])
        providers = {k["id"]: k["provider"] for k in self.box.kesu("key", "list").json}
        self.assertEqual(len({providers[e["body"]["version"].rpartition(".")[0]] for e in (one, two)}), 2)
        self.assertEqual([e["body"]["fingerprints"]["key"] for e in self.of_type("seal-done")],
                         [one["nodes"][0]["id"]] * (len(self.of_type("seal-done")) - 2) + [two["nodes"][0]["id"]] * 2)
        # One look finds what was sealed under either.
        self.put("old", BIG)
        self.put("fresh", new)
        found = {path for path, _, _ in self.found(self.scan(code=8))}
        self.assertEqual(found, {"old", "fresh"})
        # A third key is not made, neither there nor, when the key comes back, here.
        self.seal("loans-2019", {"more": b"more"}, below="more")
        self.box.kesu("dataset", "update", "loans-2019", "--key", "loans", "--reason", "back")
        self.seal("loans-2019", {"back": b"back"}, below="back")
        self.assertEqual(len(self.of_type("fingerprint-key-created")), 2)
        self.assertEqual(self.of_type("seal-done")[-1]["body"]["fingerprints"]["key"], one["nodes"][0]["id"])

    def test_both_die_with_the_dataset(self):
        self.seal("loans-2019", {"new.bin": os.urandom(3 * BLOCK)}, below="new")
        second = self.key_version()
        self.box.kesu("rewrap", "loans-2019")                       # the data keys move, the fingerprint keys stay
        self.scan()
        plan = self.plan("loans-2019")
        self.assertLessEqual({self.first, second}, {v["version"] for v in plan["key_versions"]})
        erasure = self.approved("loans-2019")
        self.run_erasure(erasure)
        gone = {e["nodes"][0]["id"] for e in self.of_type("destroy-done")}
        self.assertLessEqual({self.first, second}, gone)
        self.box.kesu("inventory", "scan", "loans-2019", self.places, code=3)
        bundle = self.box.path / "two"
        shutil.rmtree(bundle, ignore_errors=True)
        self.box.kesu("certificate", "bundle", erasure, "-o", bundle)
        claims, _ = self.residue(bundle)
        self.assertEqual(claims["residue"], "recorded")
        self.assertEqual(claims["exclusivity"], "proven")

    def test_one_of_them_cannot_be_asked(self):
        """Nothing is said of what was sealed under a key that is out of reach: the scan is refused, not shortened."""
        self.seal("loans-2019", {"new.bin": os.urandom(3 * BLOCK)}, below="new")
        store = self.box.state / "store"
        store.rename(self.box.state / "away")
        scans = len(self.of_type("residue-scanned"))
        self.put("old", BIG)
        result = self.box.kesu("inventory", "scan", "loans-2019", self.places, code=None)
        self.assertNotEqual(result.code, 0)
        self.assertEqual(len(self.of_type("residue-scanned")), scans)
        (self.box.state / "away").rename(store)
        self.scan(code=8)


class ByProfile(scenario.World):
    quorum = 2

    @classmethod
    def write_genesis(cls, path, officers, quorum=1, sign=True, words=()):
        return super().write_genesis(path, officers, quorum, sign, ("--profile", "high", *words))

    def settings(self, dataset):
        return self.box.kesu("dataset", "show", dataset).json["settings"]["fingerprints"]

    def test_on_in_profile_high(self):
        self.assertIs(self.settings("loans-2019"), True)
        self.box.kesu("dataset", "add", "quick", "--key", "loans", "--fingerprints", "off")
        self.assertIs(self.settings("quick"), False)
        self.seal("quick", {"a": b"a"})
        self.assertEqual([e for e in self.entries() if e["type"] == "fingerprint-key-created"], [])


if __name__ == "__main__":
    scenario.main()
