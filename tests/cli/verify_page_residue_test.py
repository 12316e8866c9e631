"""kesu-verify.html with a scan for surviving plaintext in the bundle: what `kesu verify` says, and red where its record was altered."""
import json
import pathlib
import sys

sys.path.insert(0, str(pathlib.Path(__file__).parents[1] / "support"))
import scenario
import verify_page


class Scanned(verify_page.Driver, scenario.World):
    fingerprints = False                # taken at sealing
    place = b"nothing of it" * 100      # what stands in the one file of the place that is looked through

    @classmethod
    def prepare(cls):
        box = cls.box
        if cls.fingerprints:
            box.kesu("dataset", "update", "loans-2019", "--fingerprints", "on", "--reason", "residue")
        cls.seal("loans-2019", {"a": b"one person's data", "b": b"two" * 1000})
        places = box.path / "places"
        places.mkdir()
        (places / "unrelated").write_bytes(cls.place)
        cls.record = box.kesu("inventory", "scan", "loans-2019", places, code=0 if cls.place else 8).json["document"]
        case = cls("setUp")
        erasure = case.approved("loans-2019")
        case.run_erasure(erasure)
        cls.issue(erasure)
        cls.open_page()


class VerifyPageResidue(Scanned):
    def test_as_kesu_verify(self):
        said = self.check()
        self.assertEqual((said["verdict"], said["errors"], said["levels"]["residue"]), ("complete", [], "recorded"))
        kesu = self.kesu_verify(self.bundle, self.trust, "--require", "low", "--allow-test-grade")
        self.assertEqual(self.saved(), kesu)
        claim = next(c for c in kesu["claims"] if c["id"] == "residue")
        self.assertEqual(claim["detail"], "loans-2019: 1 file, 1300 bytes in 1 place, for 3 objects, 2 of them only as whole files")

    def test_an_altered_record_is_red(self):
        path = self.bundle / "evidence" / self.record
        record = json.loads(path.read_text())
        record["files"] = 1_000_000
        path.write_text(json.dumps(record, separators=(",", ":"), sort_keys=True))
        self.red(f"evidence/{self.record}")


class VerifyPageFingerprints(Scanned):
    fingerprints = True

    def test_as_kesu_verify(self):
        said = self.check()
        self.assertEqual((said["verdict"], said["errors"], said["levels"]["residue"]), ("complete", [], "recorded"))
        kesu = self.kesu_verify(self.bundle, self.trust, "--require", "low", "--allow-test-grade")
        self.assertEqual(self.saved(), kesu)
        claim = next(c for c in kesu["claims"] if c["id"] == "residue")
        self.assertEqual(claim["detail"], "loans-2019: 1 file, 1300 bytes in 1 place, for 3 objects, 3 of them by fingerprints taken "
                         "at sealing, in blocks of 65536 bytes from a file's start, 3 of them only as whole files")


class VerifyPageNothingRead(Scanned):
    place = b""

    def test_it_says_nothing(self):
        said = self.check()
        self.assertEqual((said["verdict"], said["errors"], said["levels"]["residue"]), ("complete", [], "absent"))
        self.assertEqual(self.saved(), self.kesu_verify(self.bundle, self.trust, "--require", "low", "--allow-test-grade"))


if __name__ == "__main__":
    scenario.main()
