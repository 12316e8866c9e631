"""A software token is a directory: whoever kept a copy of it has its keys back. Shown here, and said by the certificate."""
import pathlib
import shutil
import sys

sys.path.insert(0, str(pathlib.Path(__file__).parents[1] / "support"))
import harness
import scenario


class TokenCopy(scenario.World):
    def test_a_restored_token_directory_revives_a_destroyed_key(self):
        box, token = self.box, self.box.state / "token"
        self.seal("loans-2019", {"a.txt": b"one person's data"})
        version = self.version_of("loans")
        kept = box.path / "kept"                     # of token and vault, before the erasure
        shutil.rmtree(kept, ignore_errors=True)
        for name in ("token", "vault"):
            shutil.copytree({"token": token, "vault": box.vault}[name], kept / name, symlinks=True)
        erasure = self.approved("loans-2019")
        self.run_erasure(erasure)
        self.assertNotIn(f"kesu:{version}", self.token_labels())
        bundle = box.path / "bundle"
        box.kesu("certificate", "bundle", erasure, "-o", bundle)
        report = box.kesu("verify", bundle, "--require", "low", "--allow-test-grade", vault=False, code=(0, 7)).json
        self.assertTrue(report["test_grade"])
        # The copy is put back: the key is there again, works, and the ledger says so.
        shutil.rmtree(token)
        shutil.copytree(kept / "token", token, symlinks=True)
        self.assertIn(f"kesu:{version}", self.token_labels())
        silent = box.kesu("status", "--check", code=8).json["silent"]
        self.assertIn("key-known", [s["code"] for s in silent])
        refused = box.kesu("open", self.out, "-o", box.path / "opened", code=(3, 8))
        self.assertIn("erased", refused.stdout + refused.stderr)
        # Who has an older copy of the vault, too, or the few bytes of it that a wrap needs, reads what was erased.
        shutil.rmtree(box.vault)
        shutil.copytree(kept / "vault", box.vault, symlinks=True)
        self.assertEqual(self.opened(self.out), {"src/a.txt": b"one person's data"})
        # The certificate said that this can be.
        limits = " ".join(limit["en"] for limit in report["limits"])
        self.assertRegex(limits, "cop(y|ies)")
        self.assertTrue(any("token" in limit["en"] and "directory" in limit["en"] for limit in report["limits"]), report["limits"])


if __name__ == "__main__":
    scenario.main()
