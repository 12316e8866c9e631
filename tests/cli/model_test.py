"""Random whole commands on one vault, some killed or failed, held against a model of what was promised (tests/support/model.py).

KESU_MODEL_STEPS=400 KESU_MODEL_SEED=7 for a long course; a failing one prints its seed and what was done.
"""
import os
import pathlib
import shutil
import sys

sys.path.insert(0, str(pathlib.Path(__file__).parents[1] / "support"))
import harness
import model
import scenario

STEPS = int(os.environ.get("KESU_MODEL_STEPS", "14"))
SEEDS = [os.environ["KESU_MODEL_SEED"]] if "KESU_MODEL_SEED" in os.environ else ["1", "2"]


class Model(scenario.World):
    make_vault = False
    holder = scenario.APPROVER

    @classmethod
    def prepare(cls):
        box = cls.box
        passphrase = box.path / "passphrase"
        passphrase.write_text("correct horse battery\n")
        passphrase.chmod(0o600)
        box.kesu("init", box.vault, "--genesis", cls.genesis, "--provider",
                 f"soft:./keystore?passphrase-source=file:{passphrase}&iterations=210000", vault=False)
        box.kesu("provider", "add", "hsm", box.token_uri)
        stones, config = box.state / "stones", box.vault / "kesu.toml"
        stones.mkdir()
        config.write_text(config.read_text().replace("[vault]\n", f'[vault]\ntombstones = "{stones}"\n', 1))

    def test_courses(self):
        for seed in SEEDS:
            with self.subTest(seed=seed):
                self.box.restore("prepared")
                for left in ("src", "opened", "backup", "foreign", "resumed"):
                    shutil.rmtree(self.box.path / left, ignore_errors=True)
                for left in self.box.path.glob("bundle-*"):
                    shutil.rmtree(left)
                course = model.Course(self, seed)
                course.run(STEPS)
                print(f"seed {seed}: {STEPS} steps, {course.commands} commands, {course.disturbed} disturbed {dict(course.ways)}", flush=True)
                self.assertGreater(course.commands, STEPS)


if __name__ == "__main__":
    harness.main()
