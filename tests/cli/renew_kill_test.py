"""`kesu certificate renew --due`, killed before its state-changing calls.

End state: the certificate was renewed, once; its bundle verifies, also for a reader who requires renewals; what was issued
stands as it was. The same command is run again, and then once more, which does nothing.
"""
import os
import pathlib
import shutil
import sys
import time

sys.path.insert(0, str(pathlib.Path(__file__).parents[1] / "support"))
import harness
import harness_kill
import kill_world
import tsa


def day(days):
    return time.strftime("%Y%m%d000000Z", time.gmtime(time.time() + days * 86400))


class Renewal(kill_world.World):
    every = 1 if os.environ.get("KESU_KILLS") == "all" else 7

    def setUp(self):
        super().setUp()
        self.prepare_vault()
        self.box.kesu("seal", "loans-2019", self.source, "-o", self.out)
        self.erasure = self.approve_erasure("loans-2019")
        self.box.kesu("erase", "run", self.erasure, "-y")
        authority = tsa.Tsa(self.box.path / "tsa")
        authority.certify("tsa", "tsa", "/O=Test/CN=Short Time", "v3_tsa", dates=(day(-3), day(100)))
        server = tsa._Serving(authority)
        self.addCleanup(server.close)
        with open(self.box.vault / "kesu.toml", "a") as config:
            config.write(f'[[time.authority]]\nurl = "{server.url}"\nca = "{authority.root}"\n')
        self.anchor = f"tsa-ca {authority.root}\ntsa-renewal required\n"
        self.bundle = self.box.state / "bundle"
        self.box.kesu("certificate", "bundle", self.erasure, "-o", self.box.state / "issued")
        authority.certify("tsa", "tsa", "/O=Test/CN=Long Time", "v3_tsa", dates=(day(-3), day(4000)))

    def renewals(self, entries):
        return kill_world.of_type(entries, "certificate-renewed")

    def verifies(self):
        shutil.rmtree(self.bundle, ignore_errors=True)
        self.box.kesu("certificate", "bundle", self.erasure, "-o", self.bundle)
        trust = self.box.path / "trust"
        trust.write_text(self.box.kesu("trust", "propose", self.bundle).json["trust"] + self.anchor)
        report = self.box.kesu("verify", self.bundle, "--trust", trust, "--require", "low", "--allow-test-grade").json
        levels = {c["id"]: c["level"] for c in report["claims"]}
        self.assertEqual((levels["dated"], levels["logged"]), ("attested", "proven"))
        return [r["over"] for r in report["time"] if r["over"].startswith("renewal/") and r["trusted"]]

    def test_renewed_and_not_written(self):
        """The bundle is written by the same command, and nothing is renewed a second time."""
        certificate = kill_world.of_type(self.entries(), "certificate-issued")[0]["nodes"][0]["id"]
        out = self.box.state / "renewed"
        command = ("certificate", "renew", certificate, "-o", out)
        harness_kill.traced(self.box.kesu_command(*command), at=1, env=self.box.env, only=("--call", "renameat2", "--under", str(out)))
        self.assertFalse(out.exists())
        self.assertEqual(len(self.renewals(self.consistent())), 1)
        row, = self.box.kesu(*command).json["certificates"]
        self.assertEqual((row["outcome"], row["n"]), ("renewed", 1))
        entries = self.settled()
        self.assertEqual(len(self.renewals(entries)), 1)
        self.assertEqual([p.name for p in self.box.state.iterdir() if "renewed" in p.name], ["renewed"])
        self.assertEqual(self.verifies(), ["renewal/1.manifest"])

    def test_renew(self):
        command = ("certificate", "renew", "--due")

        def check(call):
            before = len(self.renewals(self.consistent()))
            self.assertLessEqual(before, 1)
            row, = self.box.kesu(*command).json["certificates"]
            self.assertIn(row["outcome"], ("renewed", "not-due") if before else ("renewed",))
            entries = self.settled()
            self.assertEqual(len(self.renewals(entries)), 1)
            self.assertEqual([r["outcome"] for r in self.box.kesu(*command).json["certificates"]], ["not-due"])
            self.assertEqual(self.verifies(), ["renewal/1.manifest"])
            for name in ("MANIFEST", "certificate.json", "certificate.json.p7s"):
                self.assertEqual((self.bundle / name).read_bytes(), (self.box.state / "issued" / name).read_bytes())

        self.each_kill(*command, check=check, expect=("write", "openat", "fsync"), only=lambda call: call.ordinal % self.every == 0)


if __name__ == "__main__":
    harness.main()
