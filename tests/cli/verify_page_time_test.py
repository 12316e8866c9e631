"""kesu-verify.html with time-stamps: a real authority's tokens count by the reader's anchor, and by nothing else."""
import pathlib
import sys

sys.path.insert(0, str(pathlib.Path(__file__).parents[1] / "support"))
import harness
import scenario
import tsa
import verify_page

STAMPS = ("time/certificate.json.p7s.tsr", "time/checkpoint-b.tsr", "trust/tsa.pem", "time/checkpoint-b.pem")


class VerifyPageTime(verify_page.Driver, scenario.World):
    @classmethod
    def prepare(cls):
        box = cls.box
        cls.tsa = tsa.Tsa(box.path / "tsa")
        cls.server = tsa._Serving(cls.tsa)
        cls.addClassCleanup(cls.server.close)
        cls.seal("loans-2019", {"a": b"one", "b": b"two"})
        case = cls("setUp")
        erasure = case.approved("loans-2019")
        case.run_erasure(erasure)
        config = box.vault / "kesu.toml"
        config.write_text(config.read_text() + f'[[time.authority]]\nurl = "{cls.server.url}"\nca = "{cls.tsa.root}"\n')
        cls.issue(erasure)
        cls.anchored = cls.trust + "\ntsa-ca root.pem\n"
        cls.open_page()

    def timed(self, **options):
        return self.check(trust=self.anchored + pathlib.Path(self.tsa.root).read_text(), **options)

    def test_the_readers_anchor_makes_them_count(self):
        said = self.timed()
        self.assertEqual((said["verdict"], said["levels"]["dated"], said["levels"]["logged"]), ("complete", "attested", "proven"), said["errors"])
        path = self.elsewhere / "trust"
        path.write_text(self.trust + f"\ntsa-ca {self.tsa.root}\n")
        kesu = self.box.run(harness.program("kesu"), "verify", self.bundle, "--trust", path, "--json", "--require", "low", "--allow-test-grade").json
        self.assertEqual(self.saved(), kesu)

    def test_an_authority_and_its_lists(self):
        name = "own.crl"
        path = self.elsewhere / name

        def told(lists):
            path.write_text(lists)
            trust = self.trust + f"\ntsa-ca root.pem\nsigner-crl {name}\n"
            (self.elsewhere / "root.pem").write_text(pathlib.Path(self.tsa.root).read_text())
            said = self.check(trust=trust, trust_files=[path, self.elsewhere / "root.pem"], profile="standard")
            kesu, page = self.kesu_verify(self.bundle, trust, "--require", "standard", "--allow-test-grade"), self.saved()
            pick = lambda r: ([t["revocation"] for t in r["time"]], [t["trusted"] for t in r["time"]], sorted(x for x in r["shortfalls"] if "revoked" in x))  # noqa: E731
            self.assertEqual(pick(page), pick(kesu))
            return said, page
        said, page = told(self.tsa.lists(-1))
        self.assertEqual([t["revocation"]["state"] for t in page["time"]], ["earlier"] * 3)
        self.assertIn("before the signature", said["text"])
        self.assertEqual([t["revocation"] for t in told(self.tsa.lists())[1]["time"]], [{"state": "good", "why": ""}] * 3)
        (self.tsa.dir / "index.before").write_text((self.tsa.dir / "index").read_text())
        self.tsa.revoke("tsa", "20370101000000Z")
        said, page = told(self.tsa.lists())
        (self.tsa.dir / "index").write_text((self.tsa.dir / "index.before").read_text())
        self.assertEqual(([t["trusted"] for t in page["time"]], said["levels"]["dated"]), ([False] * 3, "absent"))

    def test_without_it_they_are_shown_and_count_for_nothing(self):
        said = self.check(profile="standard")
        self.assertEqual((said["verdict"], said["levels"]["dated"], said["levels"]["logged"]), ("incomplete", "absent", "asserted"))
        self.assertIn("names no time-stamp authority", said["text"])
        other = (self.bundle / "trust" / "signer.pem").read_text()
        said = self.check(trust=self.anchored + other)
        self.assertEqual(said["levels"]["dated"], "absent")

    def test_a_stamp_that_is_altered_swapped_or_left_out(self):
        for name in STAMPS:
            path = self.bundle / name
            data = path.read_bytes()
            with self.subTest(name, what="altered"):
                # The last bytes of an answer are the authority's signature; of a chain, the end of its last certificate.
                at = len(data) - (10 if name.endswith(".tsr") else 30)
                path.write_bytes(data[:at] + (b"\x00" if name.endswith(".tsr") and data[at] else b"!") + data[at + 1:])
                self.red(name, trust=self.anchored + pathlib.Path(self.tsa.root).read_text())
            path.write_bytes(data)
        a, b = (self.bundle / n for n in STAMPS[:2])
        keep = b.read_bytes()
        b.write_bytes(a.read_bytes())
        self.red("over other bytes")
        b.unlink()
        self.red("time/checkpoint-b.pem")
        (self.bundle / "time" / "checkpoint-b.pem").unlink()
        self.assertEqual(self.timed()["levels"]["logged"], "asserted")
        b.write_bytes(keep)
        self.assertEqual(self.timed()["levels"]["logged"], "proven")


if __name__ == "__main__":
    scenario.main()
