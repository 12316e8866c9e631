"""Loss of power on XFS and btrfs, whose logs keep other promises than ext4's: on btrfs a sync of one file makes nothing
durable but that file, so that what a command relies on it must have synced itself."""
import pathlib
import shutil
import sys

sys.path.insert(0, str(pathlib.Path(__file__).parents[1] / "support"))
import harness
import power_test


class Xfs(power_test.Power):
    filesystem = "xfs"
    ram = False                                            # its log alone has 64 MiB


class Btrfs(power_test.Power):
    filesystem = "btrfs"

    def removing(self):
        return ("seal", "loans-2019", self.source, "-o", self.out / "new" / "deep", "--remove-source")

    def sources_left(self):
        return [p for p in self.source.rglob("*") if p.is_file()]

    def test_what_was_removed_does_not_come_back(self):
        def check(_call):
            self.assertEqual(self.sources_left(), [])
            self.opens_to(self.out, self.wanted(1))
            self.settled()

        self.keep()
        self.after_success(*self.removing(), check=check)

    def test_the_directory_of_a_batch_is_there_again(self):
        """What a batch in the ledger names is known again: else its question stays open for ever."""
        def check(_call):
            self.assertEqual(self.box.kesu(*self.removing()).json["failed"], [])
            self.assertEqual(self.sources_left(), [])
            self.opens_to(self.out, self.wanted(1))
            self.settled()

        self.each_cut(*self.removing(), check=check, losses=("all",),
                      at=lambda calls, i: calls[i].name.startswith("mkdir") and "/new" in calls[i].target)

    def test_a_new_vault_and_a_new_bundle(self):
        """Exit code 0, in directories that were made for it."""
        box = self.box
        self.keep()
        self.bring_back()
        box.kesu("seal", "loans-2019", self.source, "-o", self.out)
        erasure = self.approve_erasure("loans-2019")
        box.kesu("erase", "run", erasure, "-y")
        bundle, other = self.disk / "a" / "b" / "exit-2026", self.disk / "c" / "vault"
        box.kesu("certificate", "bundle", erasure, "-o", bundle)
        box.kesu("init", other, "--genesis", self.genesis, "--provider", box.token_uri, vault=False)
        (box.path / "trust").write_text(box.kesu("trust", "propose", bundle).json["trust"])
        kept = box.path / "bundle"
        shutil.copytree(bundle, kept)
        self.cut_power("all")
        box.kesu("verify", bundle, "--trust", box.path / "trust", "--require", "low", "--allow-test-grade")
        self.assertEqual(sorted(p.relative_to(bundle) for p in bundle.rglob("*")),
                         sorted(p.relative_to(kept) for p in kept.rglob("*")))
        self.assertTrue(box.kesu("ledger", "verify", "--vault", other, vault=False).json["ok"])
        self.settled()


if __name__ == "__main__":
    harness.main()
