"""The number of wraps under one key version: reserved in the ledger before they are made, never exceeded."""
import pathlib
import shutil
import subprocess
import sys

sys.path.insert(0, str(pathlib.Path(__file__).parents[1] / "support"))
import scenario


class Quota(scenario.World):
    @classmethod
    def prepare(cls):
        # The canary, a dataset key, and ten objects.
        cls.box.kesu("key", "create", "small", "--wrap-quota", "12")
        cls.box.kesu("dataset", "add", "few", "--key", "small", "--chunk", str(scenario.CHUNK))

    def files(self, below, count):
        for i in range(count):
            self.write(f"{below}{i:02}", b"%d" % i, below=below)
        return self.box.state / below

    def version(self, key="small", number=1):
        return self.box.kesu("key", "show", key).json["versions"][number - 1]

    def sealed(self, name="few"):
        return self.box.kesu("dataset", "show", name).json["objects"]

    def test_used_up_in_the_middle_of_a_batch(self):
        source = self.files("many", 25)
        error = self.box.kesu("seal", "few", source, "-o", self.out, code=3, error="wrap-quota").json["error"]
        self.assertIn("sealed 10 files, which stay", error["tried"])
        self.assertIn("kesu key rotate small", error["next"])
        self.assertEqual((self.sealed(), self.version()["wraps"]), (10, 12))
        self.assertEqual(len(self.opened(self.out)), 10)
        self.box.kesu("seal", "few", source, "-o", self.out, code=3, error="wrap-quota")
        self.assertEqual(self.version()["wraps"], 12)
        self.box.kesu("key", "rotate", "small", "--wrap-quota", "100")
        rest = self.box.kesu("seal", "few", source, "-o", self.out).json
        self.assertEqual((rest["sealed"], rest["unchanged"]), (15, 10))
        self.assertEqual(len(self.opened(self.out)), 25)

    def test_rewrap_ends_at_the_quota_and_goes_on_under_the_next_version(self):
        self.seal("loans-2019", {f"f{i:02}": b"%d" % i for i in range(12)})
        # Canary, dataset key, five objects.
        self.box.kesu("key", "rotate", "loans", "--wrap-quota", "7")
        error = self.box.kesu("rewrap", "loans-2019", code=3, error="wrap-quota").json["error"]
        self.assertIn("moved 5 data keys", error["tried"])
        self.assertEqual(self.version("loans", 2)["wraps"], 7)
        self.assertEqual(len(self.opened(self.out)), 12)
        self.box.kesu("key", "rotate", "loans", "--wrap-quota", "100")
        self.assertEqual(self.box.kesu("rewrap", "loans-2019").json["moved"], 13)  # and the tree's manifest
        self.assertEqual(len(self.opened(self.out)), 12)

    def test_rewrap_of_an_object_whose_files_take_more_than_is_left(self):
        self.seal("loans-2019", {f"f{i:02}": b"%d" % i for i in range(12)})
        copy = self.box.state / "copy"
        shutil.copytree(self.out, copy)
        # Canary, dataset key, two objects of two files each, and one that no object can use.
        self.box.kesu("key", "rotate", "loans", "--wrap-quota", "7")
        error = self.box.kesu("rewrap", "loans-2019", self.out, copy, code=3, error="wrap-quota").json["error"]
        self.assertIn("moved 4 data keys", error["tried"])
        self.assertEqual(self.version("loans", 2)["wraps"], 6)
        self.assertEqual(self.box.kesu("status").json["questions"], [])

    def test_two_processes_at_the_last_wraps(self):
        self.box.kesu("seal", "few", self.files("first", 1), "-o", self.out / "first")   # the dataset key is there
        sources = [self.files(f"many{i}", 8) for i in range(3)]
        running = [subprocess.Popen(self.box.kesu_command("seal", "few", source, "-o", self.out / str(i)), env=self.box.env,
                                    stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, cwd=self.box.path)
                   for i, source in enumerate(sources)]
        for process in running:
            self.addCleanup(process.kill)
        codes = [process.wait(timeout=120) for process in running]
        self.assertIn(3, codes)
        self.assertLessEqual(self.version()["wraps"], 12)
        self.assertLessEqual(self.sealed(), 10)
        self.assertEqual(len(list(self.out.rglob("*.kesu"))), self.sealed())
        self.box.kesu("ledger", "verify")

    def test_limits(self):
        for quota in ("0", str(2**32 + 1), "many"):
            self.box.kesu("key", "create", "k", "--wrap-quota", quota, code=2)
        self.assertEqual(self.version("loans")["wrap_quota"], 2**31)


if __name__ == "__main__":
    scenario.main()
