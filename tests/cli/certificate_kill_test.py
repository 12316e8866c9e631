"""`kesu certificate bundle`, killed before each of its state-changing calls.

End state: one certificate was issued, once; the bundle stands whole under its name and verifies; nothing lies beside
it. The command is run again when the bundle does not stand yet; what stands at the moment of a kill must verify.
"""
import hashlib
import os
import pathlib
import shutil
import sys

sys.path.insert(0, str(pathlib.Path(__file__).parents[1] / "support"))
import harness
import harness_kill
import kill_world
import tsa


class Bundle(kill_world.World):
    every = 1                                            # of the kill points
    expect = ("write", "openat", "fsync", "mkdir", "renameat2")

    def setUp(self):
        super().setUp()
        self.prepare_vault()
        self.box.kesu("seal", "loans-2019", self.source, "-o", self.out)
        self.erasure = self.approve_erasure("loans-2019")
        self.box.kesu("erase", "run", self.erasure, "-y")
        self.folder = self.box.state / "certificates"
        self.bundle = self.folder / "exit-2026"
        self.command = ("certificate", "bundle", self.erasure, "-o", self.bundle)

    def verifies(self):
        proposed = self.box.kesu("trust", "propose", self.bundle).json["trust"]
        trust = self.box.path / "trust"
        trust.write_text(proposed)
        return self.box.kesu("verify", self.bundle, "--trust", trust, "--require", "low", "--allow-test-grade").json

    def issued(self, entries):
        return [e["nodes"][0]["id"] for e in kill_world.of_type(entries, "certificate-issued")]

    def test_bundle(self):
        def check(call):
            before = self.issued(self.consistent())
            self.assertLessEqual(len(before), 1)
            if self.bundle.exists():
                self.verifies()
                self.box.kesu(*self.command, code=3, error="already-exists")
            else:
                made = self.box.kesu(*self.command).json["certificate"]
                self.assertIn(made, before or [made])
            entries = self.settled()
            issued = self.issued(entries)
            self.assertEqual(len(issued), 1)
            self.assertIn(issued[0], before or issued)
            self.assertEqual([p.name for p in self.folder.iterdir()], ["exit-2026"])
            self.verifies()
            # The same bundle once more: from what was signed, not signed again.
            signed = ("certificate.json", "certificate.json.p7s", "MANIFEST")
            first = {name: (self.bundle / name).read_bytes() for name in signed}
            shutil.rmtree(self.bundle)
            self.assertEqual(self.box.kesu(*self.command).json["certificate"], issued[0])
            self.assertEqual({name: (self.bundle / name).read_bytes() for name in signed}, first)

        self.each_kill(*self.command, check=check, expect=self.expect, only=lambda call: call.ordinal % self.every == 0)

    def test_every_file_is_durable_before_its_bundle_has_a_name(self):
        calls, _, _ = harness_kill.traced(self.box.kesu_command(*self.command), env=self.box.env)
        named = next(i for i, call in enumerate(calls) if call.name == "renameat2" and call.target == str(self.bundle))
        part = next(call.target for call in calls if call.name == "mkdir" and ".part-" in call.target)
        synced = {call.target.removeprefix(part).lstrip("/") for call in calls[:named]
                  if call.name == "fsync" and call.target.startswith(part)}
        everything = [p.relative_to(self.bundle).as_posix() for p in self.bundle.rglob("*")]
        self.assertGreater(len(everything), 20)
        self.assertEqual(synced, {"", *everything})
        # What the entry names is durable before the entry is: the pages are blobs of the vault.
        for name in ("certificate.json", "certificate.json.p7s", "MANIFEST", "certificate.html", "certificate.pdf"):
            digest = hashlib.sha256((self.bundle / name).read_bytes()).hexdigest()
            self.assertTrue((self.box.vault / "evidence" / digest).is_file(), name)


class Stamped(Bundle):
    """The same under a time-stamp authority: three of its answers are kept, and what is asked again is never signed again.

    Some six minutes for all points (KESU_KILLS=all), so that a sample of one in three is taken otherwise.
    """
    every = 1 if os.environ.get("KESU_KILLS") == "all" else 3
    expect = ("write", "openat", "fsync")

    def setUp(self):
        super().setUp()
        authority = tsa.Tsa(self.box.path / "tsa")
        server = tsa._Serving(authority)
        self.addCleanup(server.close)
        with open(self.box.vault / "kesu.toml", "a") as config:
            config.write(f'[[time.authority]]\nurl = "{server.url}"\nca = "{authority.root}"\n')
        self.anchor = f"tsa-ca {authority.root}\n"

    def verifies(self):
        report = super().verifies()
        trust = self.box.path / "trust"
        trust.write_text(trust.read_text() + self.anchor)
        report = self.box.kesu("verify", self.bundle, "--trust", trust, "--require", "low", "--allow-test-grade").json
        levels = {c["id"]: c["level"] for c in report["claims"]}
        self.assertEqual((levels["dated"], levels["logged"]), ("attested", "proven"))
        return report


if __name__ == "__main__":
    harness.main()
