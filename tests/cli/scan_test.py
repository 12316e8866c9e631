"""`kesu inventory scan`: surviving copies are found wherever they stand, what cannot be found is said, and a certificate
carries what was looked through."""
import gzip
import json
import os
import pathlib
import signal
import subprocess
import sys
import tarfile
import time

sys.path.insert(0, str(pathlib.Path(__file__).parents[1] / "support"))
import harness
import scenario

VERIFIER = harness.SOURCE / "scripts" / "verify_certificate.py"
RECORDS = "".join(f"{i:06},loan {i * 7919 % 100003},{i * i % 9973}\n" for i in range(20000)).encode()
FILES = {"records.csv": RECORDS, "memo.txt": b"a short memo about one person", "zeros": bytes(100_000), "empty": b"",
         "photo.bin": bytes((i * i * 31 + (i >> 7) * 17) & 255 for i in range(300_000))}


class Scan(scenario.World):
    @classmethod
    def prepare(cls):
        cls.seal("loans-2019", FILES)
        import shutil
        shutil.rmtree(cls.box.state / "src")
        cls.places = cls.box.state / "places"
        cls.places.mkdir()
        (cls.places / "unrelated").write_bytes(os.urandom(200_000))
        (cls.places / "more zeros").write_bytes(bytes(1_000_000))
        (cls.places / "nothing").write_bytes(b"")

    def scan(self, *places, **options):
        return self.box.kesu("inventory", "scan", "loans-2019", *(places or (self.places,)), **options).json

    def found(self, result):
        return {(os.path.relpath(h["path"], self.places), h["name"]) for h in result["found"]}

    def put(self, name, data):
        path = self.places / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(data)
        return path

    def test_nothing_is_nothing(self):
        result = self.scan()
        self.assertEqual((result["hits"], result["found"], result["files"], result["unreadable"], result["without"]),
                         (0, [], 3, [], []))
        self.assertEqual((result["bytes"], result["objects"], result["window"]), (1_200_000, 6, 512))
        self.assertGreaterEqual(result["common"], 195)          # of `zeros`
        entry, = [e for e in self.entries() if e["type"] == "residue-scanned"]
        item = entry["nodes"][0]
        self.assertEqual((item["n"], item["b"], item["d"]), (0, 1_200_000, result["document"]))
        record = json.loads((self.box.vault / "evidence" / item["d"]).read_bytes())
        self.assertEqual((record["places"], record["hits"], record["files"]), ([str(self.places)], 0, 3))
        self.assertEqual(self.box.kesu("status").json["questions"], [])
        self.box.kesu("ledger", "verify")

    def test_copies_in_every_guise(self):
        self.put("copy.csv", RECORDS)
        self.put("deep/a/b/shifted.log", b"x" * 12_345 + RECORDS[5000:9000] + b"tail")
        self.put("memo (1).txt", FILES["memo.txt"])
        self.put("image.raw", os.urandom(5 << 20) + FILES["photo.bin"] + os.urandom(100))
        with tarfile.open(self.places / "backup.tar", "w") as tar:
            tar.add(self.put("in-tar.csv", RECORDS), "records.csv")
        (self.places / "in-tar.csv").unlink()
        self.put("packed.gz", gzip.compress(RECORDS))            # is not found, and the page says so
        self.put("inside.txt", b"before " + FILES["memo.txt"])   # likewise
        os.symlink(self.places / "copy.csv", self.places / "link")
        os.mkfifo(self.places / "fifo")
        result = self.scan(code=8)
        self.assertEqual(self.found(result), {
            ("copy.csv", "src/records.csv"), ("deep/a/b/shifted.log", "src/records.csv"), ("memo (1).txt", "src/memo.txt"),
            ("image.raw", "src/photo.bin"), ("backup.tar", "src/records.csv")})
        self.assertEqual((result["hits"], result["special"]), (5, 1))
        by_path = {os.path.basename(h["path"]): h for h in result["found"]}
        self.assertEqual((by_path["memo (1).txt"]["whole"], by_path["copy.csv"]["whole"]), (True, False))
        self.assertEqual((by_path["copy.csv"]["offset"], by_path["copy.csv"]["windows"]), (0, len(RECORDS) // 512))
        # The first whole window of what was taken from byte 5000 on begins at 5120.
        self.assertEqual(by_path["shifted.log"]["offset"], 12_345 + 120)
        self.assertEqual(by_path["image.raw"]["offset"], 5 << 20)
        # What was found where is printed; the record has none of it.
        record = (self.box.vault / "evidence" / result["document"]).read_text()
        for word in ("copy.csv", "records", "memo", "obj-"):
            self.assertNotIn(word, record)
        self.assertEqual(json.loads(record)["hits"], 5)

    def test_what_repeats_is_found_whole(self):
        """Objects whose every window is common: no window of theirs is looked for, a whole copy is found all the same."""
        periodic = {f"rec{n}": os.urandom(n) * (5_000_000 // n) for n in (64, 128, 256)}
        self.seal("loans-2019", periodic, below="periodic")
        for name, data in periodic.items():
            self.put(f"copy of {name}", data)
        self.put("cut short", periodic["rec128"][:-1])          # is not found, and the page says so
        self.put("zeros again", FILES["zeros"])
        result = self.scan(code=8)
        self.assertEqual({os.path.basename(h["path"]): (os.path.basename(h["name"]), h["whole"], h["windows"])
                          for h in result["found"]},
                         {**{f"copy of {name}": (name, True, 0) for name in periodic}, "zeros again": ("zeros", True, 0)})
        self.assertGreaterEqual(result["whole"], 5)
        record = json.loads((self.box.vault / "evidence" / result["document"]).read_bytes())
        self.assertEqual(record["whole"], result["whole"])

    def test_what_changes_meanwhile_is_read_again_or_said(self):
        """One file grows by a copy after it was listed, and is read again; another never stands still."""
        if os.geteuid() != 0:
            print("files that change: only root sees what a running kesu has open", flush=True)
            return
        with open(self.places / "a-big", "wb") as file:
            file.truncate(600 << 20)
        once, always = self.put("b.log", os.urandom(1000)), self.put("c.log", b"")
        os.truncate(always, 64 << 20)
        process = subprocess.Popen([harness.program("kesu"), "--vault", str(self.box.vault), "--json", "inventory", "scan",
                                    "loans-2019", str(self.places)], env={**os.environ, **self.box.env},
                                   stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)

        def reads_the_big_one():
            try:
                return any("a-big" in os.readlink(f"/proc/{process.pid}/fd/{fd}") for fd in os.listdir(f"/proc/{process.pid}/fd"))
            except OSError:             # not ours to look at, or just closed
                return False
        while process.poll() is None and not reads_the_big_one():
            time.sleep(0.001)
        process.send_signal(signal.SIGSTOP)
        with open(once, "ab") as file:
            file.write(RECORDS)
        process.send_signal(signal.SIGCONT)
        with open(always, "ab") as file:
            while process.poll() is None:
                file.write(b"x")
                file.flush()
                time.sleep(0.001)
        out, err = process.communicate(timeout=60)
        self.assertEqual(process.returncode, 8, err)
        result = json.loads(out)
        self.assertIn(("b.log", "src/records.csv"), self.found(result))
        self.assertEqual([(os.path.basename(u["path"]), u["code"]) for u in result["unreadable"]], [("c.log", "conflict")])
        self.assertIn("changed while it was read", result["unreadable"][0]["why"])
        self.assertEqual(result["files"], 5)

    def test_an_empty_place_says_nothing(self):
        empty = self.box.path / "empty place"
        empty.mkdir()
        result = self.scan(empty, code=8)
        self.assertEqual((result["files"], result["bytes"], result["hits"]), (0, 0, 0))
        self.assertEqual(self.claim(self.erased("empty"))["level"], "absent")
        self.box.restore("prepared")
        (empty / "of no bytes").write_bytes(b"")
        said = self.box.kesu("inventory", "scan", "loans-2019", empty, code=8, json=False).stdout
        self.assertIn("nothing was read", said)
        self.assertEqual(self.claim(self.erased("no bytes"))["level"], "absent")

    def test_borders_of_parts(self):
        """A window that lies across the border of two parts of a file is seen."""
        for before in ((4 << 20) - 1, (4 << 20) - 511, (4 << 20) - 512, 4 << 20):
            (self.places / "big").write_bytes(os.urandom(before) + RECORDS[:512] + os.urandom(1000))
            hit, = self.scan(code=8)["found"]
            self.assertEqual((hit["offset"], hit["windows"]), (before, 1))

    def test_what_cannot_be_read_or_opened_is_said(self):
        gone = self.out / "src" / "memo.txt.kesu"
        gone.rename(self.box.path / "away.kesu")
        result = self.scan(code=8)
        self.assertEqual((result["objects"], [w["code"] for w in result["without"]], result["hits"]), (5, ["not-found"], 0))
        self.box.kesu("inventory", "scan", "loans-2019", self.places / "not there", code=2)
        if os.geteuid() == 0:
            print("unreadable files: not tried as root", flush=True)
            return
        self.put("secret", b"x").chmod(0)
        self.assertEqual(len(self.scan(code=8)["unreadable"]), 1)

    def test_sealed_files_are_not_plaintext(self):
        self.assertEqual(self.scan(self.out)["hits"], 0)

    def test_ctrl_c_records_nothing(self):
        with open(self.places / "huge", "wb") as file:
            file.truncate(64 << 30)
        process = subprocess.Popen([harness.program("kesu"), "--vault", str(self.box.vault), "inventory", "scan", "loans-2019",
                                    str(self.places)], env={**os.environ, **self.box.env}, stdout=subprocess.PIPE,
                                   stderr=subprocess.PIPE)
        time.sleep(1.5)
        process.send_signal(signal.SIGINT)
        _, err = process.communicate(timeout=60)
        self.assertEqual(process.returncode, 130, err)
        self.assertEqual([e for e in self.entries() if e["type"] == "residue-scanned"], [])

    # The certificate.

    def claim(self, bundle):
        trust = self.box.path / "trust"
        report = self.box.kesu("verify", bundle, "--require", "low", "--allow-test-grade", vault=False, code=(0, 7)).json
        other = json.loads(subprocess.run([sys.executable, "-B", VERIFIER, bundle, "--require", "low", "--allow-test-grade", "--json"],
                                          capture_output=True, check=False).stdout)
        both = [next(c for c in r["claims"] if c["id"] == "residue") for r in (report, other)]
        for c in both:
            c.pop("least", None)
        self.assertEqual(both[0], both[1])
        self.assertEqual(report["errors"], [])
        return both[0]

    def erased(self, name):
        erasure = self.approved("loans-2019")
        self.run_erasure(erasure)
        bundle = self.box.path / name
        import shutil
        shutil.rmtree(bundle, ignore_errors=True)
        self.box.kesu("certificate", "bundle", erasure, "-o", bundle)
        return bundle

    def test_the_certificate_says_where_was_looked(self):
        self.put("copy", RECORDS)
        self.scan(code=8)
        (self.places / "copy").unlink()
        result = self.scan()
        bundle = self.erased("clean")
        claim = self.claim(bundle)
        self.assertEqual(claim["level"], "recorded")
        self.assertEqual(claim["detail"], f"loans-2019: 3 files, 1200000 bytes in 1 place, for 6 objects, {result['whole']} of "
                         f"them only as whole files, {result['common']} common windows not looked for")
        self.assertIn(result["whole"], (2, 3))              # memo.txt, zeros, and the manifest while that is short
        self.assertTrue((bundle / "evidence" / result["document"]).exists())
        self.assertEqual(len(claim["rests_on"]), 1)

    def test_without_a_scan_it_is_absent(self):
        claim = self.claim(self.erased("none"))
        self.assertEqual((claim["level"], claim["detail"], claim["rests_on"]), ("absent", "", []))

    def test_a_scan_that_does_not_count(self):
        """The last one found something; or something was sealed after it."""
        self.scan()
        self.put("copy", RECORDS)
        self.scan(code=8)
        self.assertEqual(self.claim(self.erased("found"))["level"], "absent")
        self.box.restore("prepared")
        self.scan()
        self.seal("loans-2019", {"late": b"sealed after the scan"}, below="late")
        self.assertEqual(self.claim(self.erased("late"))["level"], "absent")


if __name__ == "__main__":
    scenario.main()
