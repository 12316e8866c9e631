"""Interrupted sealings that were given up, in another order than they began, to three readers: one genuine certificate."""
import pathlib
import sys

ROOT = pathlib.Path(__file__).resolve().parents[2]
sys.path[:0] = [str(ROOT / "tests" / "support"), str(ROOT / "scripts")]
import debian_python  # noqa: F401
import harness_kill
import scenario
import verify_page
from kesu_verifier import trust as trust_file
from kesu_verifier import verify as second

LOW = ("--require", "low", "--allow-test-grade")


class AbandonedReaders(verify_page.Driver, scenario.World):
    @classmethod
    def prepare(cls):
        box = cls.box
        cls.seal("loans-2019", {"a": b"one"})
        source, places = box.state / "src", [box.state / f"place-{i}" for i in range(4)]
        for place in places:
            place.mkdir()
            command = box.kesu_command("seal", "loans-2019", source, "-o", place)
            harness_kill.kill_while_publishing(command, place, 0, env=box.env, cwd=box.path)
            place.rename(f"{place}-aside")                     # while it is not there, its batch stays open
        # The last that began is given up first.
        for place in reversed(places):
            pathlib.Path(f"{place}-aside").rename(place)
            box.kesu("inventory", "settle", "loans-2019", code=(0, 4))
        case = cls("setUp")
        erasure = case.approved("loans-2019")
        case.run_erasure(erasure)
        cls.issue(erasure)
        cls.open_page()

    def test_they_agree(self):
        entries = self.entries()
        began, ended = ([e["nodes"][0]["id"] for e in entries if e["type"] == t] for t in ("seal-intended", "seal-abandoned"))
        self.assertEqual(len(ended), 4)
        self.assertEqual(ended, [b for b in reversed(began) if b in ended])
        files = {str(p.relative_to(self.bundle)): p.read_bytes() for p in self.bundle.rglob("*") if p.is_file()}
        kesu = self.kesu_verify(self.bundle, self.trust, *LOW)
        python = second.verify(files, trust_file.read_trust(str(self.elsewhere / "trust")), trust_file.Tables(), require="low",
                               allow_test_grade=True)
        page = self.check(self.bundle, trust=self.trust)
        self.assertEqual([(r["verdict"], r["errors"]) for r in (kesu, python)], [("complete", [])] * 2)
        self.assertEqual((page["verdict"], page["parts"]), ("complete", []))


if __name__ == "__main__":
    scenario.main()
