"""Each profile from end to end, with real parts: a vault of that profile whose bundle is complete for it by all three readers
(kesu verify, scripts/verify_certificate.py, kesu-verify.html in Chromium), and incomplete where TEST GRADE is not allowed."""
import json
import os
import pathlib
import re
import shutil
import sys
import unittest
import uuid

sys.path.insert(0, str(pathlib.Path(__file__).parents[1] / "support"))
import harness
import scenario
import tsa
import verify_page
from clock_test import at
from restart_test import BOOT_ID, namespace_problem
from scenario import APPROVER, AUDITOR, CHUNK, OPERATOR, SECOND

VERIFIER, VALIDATOR = "森 雪", "阿部 健"
SECOND_READER = harness.SOURCE / "scripts" / "verify_certificate.py"


class Profile(verify_page.Driver):
    """What the classes below do; not a test by itself."""
    make_vault = False
    officers = (*scenario.World.officers, (VERIFIER, "Verifier", "verifier", "mori"), (VALIDATOR, "Validator", "validator", "abe"))
    profile, days, approvers, stamped, witnessed, later_acts = "low", 0, (APPROVER,), False, False, False

    @classmethod
    def setUpClass(cls):
        if cls.days and (why := namespace_problem()):
            raise unittest.SkipTest(why)
        super().setUpClass()

    @classmethod
    def write_genesis(cls, path, officers, quorum=1, sign=True, words=()):
        return super().write_genesis(path, officers, len(cls.approvers), sign, ("--profile", cls.profile, *words))

    @classmethod
    def on(cls, start, *words, **options):
        """kesu after the waiting period, in another start of the machine: within one it would see that the clock was set."""
        if not cls.days:
            return cls.box.kesu(*words, **options)
        other, probe = cls.box.path / "boot_id", harness.program("kesu-probe")
        other.write_text(f"{start}\n")
        # kesu-probe gets no environment but a few names: so the later time is laid around it.
        real, wrapper = cls.box.path / "real-probe", cls.box.path / "later-probe"
        if not wrapper.exists():
            shutil.copy2(probe, real)
            wrapper.write_text("#!/bin/sh\n" + "".join(f"export {k}='{v}'\n" for k, v in cls.later.items()) + f'exec {real} "$@"\n')
            wrapper.chmod(0o755)
        return cls.box.run("unshare", "-m", "sh", "-c", 'mount --bind "$0" "$1" && mount --bind "$2" "$3" && shift 3 && exec "$@"', other,
                           BOOT_ID, wrapper, probe, *cls.box.kesu_command(*words), env=cls.later, **options)

    @classmethod
    def prepare(cls):
        box, cls.later = cls.box, at(f"+{cls.days}d") if cls.days else {}
        cls.elsewhere = box.path / "elsewhere"
        cls.elsewhere.mkdir()
        box.kesu("init", box.vault, "--genesis", cls.genesis, "--provider", box.token_uri)
        cls.said = box.text("key", "create", "loans").stdout
        if cls.later_acts:
            box.kesu("key", "attest", "loans", *cls.signer(AUDITOR))
        box.kesu("dataset", "add", "loans-2019", "--key", "loans", "--chunk", str(CHUNK), "--plaintext-history", "none", "--history-by", OPERATOR)
        if cls.later_acts:      # its fingerprints are taken by profile, under a key that an auditor attends, too
            refused = box.kesu("seal", "loans-2019", harness.__file__, "-o", cls.out, code=3, error="state-refused")
            assert "--fingerprints-of loans-2019" in refused.stdout, refused
            box.kesu("key", "create", "prints", "--fingerprints-of", "loans-2019")
            refused = box.kesu("seal", "loans-2019", harness.__file__, "-o", cls.out, code=3, error="state-refused")
            assert "kesu key attest prints" in refused.stdout, refused
            box.kesu("key", "attest", "prints", *cls.signer(AUDITOR))
        cls.seal("loans-2019", {"a": b"one person's data", "b": b"two" * 1000})
        if cls.later_acts:
            places = box.path / "places"
            places.mkdir()
            (places / "unrelated").write_bytes(b"nothing of it" * 100)
            box.kesu("inventory", "scan", "loans-2019", places)
        config, anchors = "", []
        if cls.stamped:
            authority = cls.authority = tsa.Tsa(box.path / "tsa")
            server = tsa._Serving(authority)
            cls.addClassCleanup(server.close)
            config += f'[[time.authority]]\nurl = "{server.url}"\nca = "{authority.root}"\n'
            # Lists that are out when the bundle is made: a bar that asks for time-stamps asks for them.
            (box.path / "lists.pem").write_text(authority.lists(cls.days + 0.02))
            config += f'[certificate]\ncrl = "{box.path / "lists.pem"}"\n'
            anchors.append(f"tsa-ca {authority.root}")
            cls.root = pathlib.Path(authority.root).read_text()
        if cls.witnessed:
            secret = box.path / "witness.pass"
            secret.write_text("correct horse battery\n")
            secret.chmod(0o600)
            made = box.kesu("ledger", "witness", "init", box.path / "witness", "--name", "witness.example/w1", "--passphrase-source",
                            f"file:{secret}", vault=False).json
            config += f'[[witness]]\nvkey = "{made["vkey"]}"\n'
            anchors.append(f"witness {made['vkey']}")
        toml = box.vault / "kesu.toml"
        toml.write_text(toml.read_text() + config)
        cls.erase()
        bundle = cls.elsewhere / "issued"
        cls.on(cls.starts[1], "certificate", "bundle", cls.erasure, "-o", bundle if not cls.witnessed else cls.elsewhere / "first")
        if cls.witnessed:
            said = cls.on(cls.starts[1], "ledger", "checkpoint", "--export", box.path / "request", "--since", "0").json
            line = box.kesu("ledger", "cosign", box.path / "request", "--witness", box.path / "witness", "--first", said["vkey"], vault=False,
                            env=cls.later).json["signature"]
            (box.path / "answer").write_text(line)
            cls.on(cls.starts[1], "ledger", "checkpoint", "--attach", box.path / "answer")
            cls.on(cls.starts[1], "certificate", "bundle", cls.erasure, "-o", bundle)
        cls.anchors = anchors
        cls.proposed = box.run(harness.program("kesu"), "trust", "propose", bundle, "--json").json["trust"]
        cls.open_page()

    @classmethod
    def erase(cls):
        box, case = cls.box, cls("setUp")
        cls.starts = str(uuid.uuid4()), str(uuid.uuid4())
        cls.erasure = erasure = case.plan("loans-2019")["erasure"]
        case.request(erasure)
        for who in cls.approvers:
            case.approve(erasure, who)
        if cls.days:
            case.run_erasure(erasure, code=4, error="waiting")
            cls.authority.offset = {**os.environ, **cls.later}
        if cls.profile == "high":
            cls.on(cls.starts[0], "erase", "run", erasure, "-y", code=4, error="restart-needed")
        cls.on(cls.starts[1], "erase", "run", erasure, "-y")
        if cls.later_acts:
            cls.on(cls.starts[1], "erase", "verify", erasure, *cls.signer(VERIFIER))
            cls.on(cls.starts[1], "erase", "validate", erasure, *cls.signer(VALIDATOR))

    def both(self, *words, code, trust=None):
        path = self.elsewhere / "trust"
        path.write_text(trust or self.proposed + "".join(f"{a}\n" for a in self.anchors))
        words = (self.bundle, "--trust", path, "--require", self.profile, *words, "--json")
        report = self.box.run(harness.program("kesu"), "verify", *words, code=None, env=self.later).json
        self.assertEqual(report["verdict"], {0: "complete", 7: "incomplete"}[code], (report["errors"], report["shortfalls"]))
        other = self.box.run("/usr/bin/python3", "-B", SECOND_READER, *words, code=code, env=self.later).json
        for member in report:
            self.assertEqual(other[member], report[member], member)
        return report

    def by_page(self, **options):
        trust = self.proposed + "".join("tsa-ca root.pem\n" if a.startswith("tsa-ca") else f"{a}\n" for a in self.anchors)
        return self.check(self.bundle, trust=trust + (self.root if self.stamped else ""), profile=self.profile, **options)

    def test_complete_by_all_three_readers(self):
        self.assertEqual("kesu key attest loans.1" in self.said, self.profile == "high")  # while it can still be had
        report = self.both("--allow-test-grade", code=0)
        self.assertEqual((report["verdict"], report["errors"], report["shortfalls"], report["test_grade"]), ("complete", [], [], True))
        bar = json.loads((harness.SOURCE / "docs" / "spec" / "profiles.json").read_text())["profiles"][self.profile]["claims"]
        order = ("absent", "asserted", "recorded", "attested", "proven")
        for claim in report["claims"]:
            self.assertEqual(claim["least"], bar[claim["id"]])
            self.assertGreaterEqual(order.index(claim["level"]), order.index(claim["least"]), claim["id"])
        said = self.by_page()
        self.assertEqual((said["verdict"], said["errors"]), ("complete", []))
        self.assertEqual(said["levels"], {c["id"]: c["level"] for c in report["claims"]})
        self.assertEqual(self.saved(), report)

    def test_test_grade_stays_what_it_is(self):
        report = self.both(code=7)
        self.assertEqual((report["verdict"], len(report["shortfalls"])), ("incomplete", 1))
        self.assertIn("TEST GRADE", report["shortfalls"][0])
        self.assertEqual(self.by_page(test_grade=False)["verdict"], "incomplete")


class Low(Profile, scenario.World):
    pass


class Standard(Profile, scenario.World):
    profile, days, approvers, stamped = "standard", 2, (APPROVER, SECOND), True


class High(Profile, scenario.World):
    profile, days, approvers, stamped, witnessed, later_acts = "high", 4, (APPROVER, SECOND), True, True, True

    def test_what_it_rests_on(self):
        """Each anchor that the reader takes away is missed."""
        claims = {c["id"]: c for c in self.both("--allow-test-grade", code=0)["claims"]}
        self.assertEqual({i: claims[i]["level"] for i in ("key-origin", "verified-gone", "validated", "residue", "logged", "dated")},
                         {"key-origin": "attested", "verified-gone": "attested", "validated": "attested", "residue": "recorded",
                          "logged": "proven", "dated": "attested"})
        self.assertIn(f"the making of loans.1 was attended by {AUDITOR}", claims["key-origin"]["detail"])
        lines = (self.proposed + "".join(f"{a}\n" for a in self.anchors)).splitlines()
        key = self.key_of(AUDITOR).public.read_text().split()[1]
        for what, gone in (("officers who signed", lambda l: key in l), ("trusted witnesses", lambda l: l.startswith("witness")),
                           ("logged is", lambda l: l.startswith("tsa-ca"))):
            with self.subTest(what):
                left = "\n".join(l for l in lines if not gone(l)) + "\n"
                self.assertNotEqual(len(left.splitlines()), len(lines))
                report = self.both("--allow-test-grade", code=7, trust=left)
                self.assertTrue(any(re.search(what, s) for s in report["shortfalls"]), report["shortfalls"])


if __name__ == "__main__":
    scenario.main()
