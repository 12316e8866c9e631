"""The vectors of sealed objects and inventory segments, judged by the second reader in tests/vectors/check_sealed.py."""
import pathlib
import sys
import unittest

VECTORS = pathlib.Path(__file__).parents[1] / "vectors"
sys.path.insert(0, str(VECTORS))
try:
    import check_sealed
except ImportError as error:
    if error.name and error.name.split(".")[0] != "cryptography":
        raise
    print("skipped: python3-cryptography is not installed")
    sys.exit(77)


class SecondReader(unittest.TestCase):
    def judge_all(self, folder, judge, opened, refused):
        seen = {"opened": 0, "refused": 0}
        for path in sorted((VECTORS / folder).glob("*.json")):
            with self.subTest(path.name):
                judge(path)
            scenario, _ = check_sealed.load(path)
            seen["opened" if scenario["expect"] == "opened" else "refused"] += 1
        self.assertEqual(seen["opened"], opened)
        self.assertGreaterEqual(seen["refused"], refused)

    def test_sealed_objects(self):
        self.judge_all("sealed", check_sealed.judge_sealed, opened=10, refused=50)

    def test_inventory_segments(self):
        self.judge_all("inventory", check_sealed.judge_inventory, opened=1, refused=17)

    def test_pages_show_the_committed_bytes(self):
        """The example bytes in both pages are those of the files they name."""
        spec = VECTORS.parents[1] / "docs" / "spec"
        for page, file in (("sealed-object.md", "sealed/aes256-small.kesu"), ("inventory.md", "inventory/two.seg")):
            whole = (VECTORS / file).read_bytes()
            rows = 0
            for line in (spec / page).read_text().split("## Example")[1].splitlines():
                words = line.split()
                if len(words) >= 9 and all(len(w) == 4 and set(w) <= set("0123456789abcdef") for w in words[:9]):
                    at = int(words[0], 16)
                    self.assertEqual("".join(words[1:9]), whole[at:at + 16].hex(), f"{page} {words[0]}")
                    rows += 1
            self.assertGreater(rows, 10)


if __name__ == "__main__":
    unittest.main(verbosity=2)
