"""A month of an operator's work, on two providers, day by day; and a vault with 2,000 keys that can be read."""
import os
import pathlib
import sqlite3
import sys
import time

sys.path.insert(0, str(pathlib.Path(__file__).parents[1] / "support"))
import scenario
from clock_test import at

PASSPHRASE = b"a month of long days\n"


def rows(vault):
    with sqlite3.connect(f"file:{vault}/registers.db?mode=ro", uri=True) as db:
        return db.execute("SELECT kind, id, json FROM rows ORDER BY kind, id").fetchall()


class Month(scenario.World):
    """One token, one keystore file."""

    def on(self, day):
        """From here on commands run on this day."""
        self.day = at(f"+{day}d")

    def do(self, *words, **options):
        return self.box.kesu(*words, env=self.day, **options)

    def state_of(self, key, number=1):
        versions = self.do("key", "show", key).json["versions"]
        return next(v["state"] for v in versions if v["version"] == number)

    def source(self, name, files):
        for f, data in files.items():
            self.write(f, data, below=name)
        return self.box.state / name

    def contents(self, name):
        target = self.box.path / name
        self.do("open", self.out, "-o", target)
        return self.files_below(target)

    def test_a_month(self):
        phrase = self.box.state / "phrase"
        phrase.write_bytes(PASSPHRASE)
        phrase.chmod(0o600)
        store = self.box.state / "keystore"
        self.on(0)
        self.do("provider", "add", "file", f"soft:{store}?passphrase-source=file:{phrase}&iterations=210000")
        self.do("key", "create", "mail", "--provider", "file")
        self.do("key", "create", "next-year", "--pre-activation", "--provider", "file")
        self.do("dataset", "add", "mail-archive", "--key", "mail", "--chunk", "16384", "--contract", "CLOUD-2023-11")
        loans = {f"{i}.csv": b"loan %d\n" % i for i in range(6)}
        mail = {f"{i}.eml": b"mail %d\n" % i for i in range(4)}
        expected = {f"loans/{n}": d for n, d in loans.items()} | {f"mail/{n}": d for n, d in mail.items()}
        self.do("seal", "loans-2019", self.source("loans", loans), "-o", self.out)
        self.do("seal", "mail-archive", self.source("mail", mail), "-o", self.out)
        self.assertEqual(self.contents("day-0"), expected)

        self.on(3)                                            # rotate, move, retire
        self.do("key", "rotate", "loans")
        self.do("key", "destroy", "loans", "--version", "1", "-y", code=3, error="in-use")
        self.assertEqual(self.do("rewrap", "loans-2019").json["moved"], 7)  # six files, and their tree's manifest
        destroyed = self.do("key", "destroy", "loans", "--version", "1", "-y").json["versions"]
        self.assertEqual([v["outcome"] for v in destroyed], ["destroyed"])
        self.assertEqual(self.contents("day-3"), expected)

        self.on(5)                                            # a pause, and its end
        self.do("key", "suspend", "mail", "--reason", "audit")
        self.do("open", self.out / "mail", "-o", self.box.path / "no", code=3)
        self.write("5.eml", b"later\n", below="mail")
        self.do("seal", "mail-archive", self.box.state / "mail", "-o", self.out, code=3, error="state-refused")
        self.on(6)
        self.do("key", "resume", "mail", "--reason", "audit over")
        self.do("seal", "mail-archive", self.box.state / "mail", "-o", self.out)
        expected["mail/5.eml"] = b"later\n"

        self.on(9)                                            # the keystore gets another passphrase
        other = self.box.state / "phrase-2"
        other.write_bytes(b"another long passphrase\n")
        other.chmod(0o600)
        self.do("provider", "rekey", "file", "--passphrase-source", f"file:{other}", "--reason", "staff left", "-y")
        phrase.unlink()
        old, = [c for c in self.do("copy", "list").json if c["kind"] == "keystore-file"]
        self.assertEqual(old["state"], "open")
        self.assertEqual(self.contents("day-9"), expected)

        self.on(12)                                           # somebody saw the mail key: away from it
        self.do("key", "compromise", "mail", "--version", "1", "--reason", "laptop stolen",
                "--occurred", time.strftime("%Y-%m-%d", time.gmtime(time.time() + 10 * 86400)), "-y")
        self.assertEqual(self.state_of("mail"), "compromised")
        self.do("key", "rotate", "mail")
        self.do("rewrap", "mail-archive")
        self.assertEqual(self.contents("day-12"), expected)
        due = self.do("dataset", "show", "mail-archive").json["reseal_due"]
        self.assertTrue(due["due"], due)                      # re-wrapping never clears that
        self.assertEqual(due["objects"], 7)                  # five files, and the manifests of two seals
        self.do("key", "destroy", "mail", "--version", "1", "-y")
        self.assertEqual(self.state_of("mail"), "destroyed-compromised")

        self.on(15)                                           # material from a partner, and it again
        raw = self.box.state / "partner.key"
        raw.write_bytes(os.urandom(32))
        raw.chmod(0o600)
        self.do("key", "import", "partner", "--from", f"file:{raw}", "--origin-place", "partner's HSM",
                "--custodian", "Partner Ltd", "--provider", "file")
        self.do("key", "deactivate", "partner", "--reason", "contract ended")
        self.do("key", "destroy", "partner", "-y")
        self.do("key", "import", "again", "--from", f"file:{raw}", "--origin-place", "partner's HSM",
                "--custodian", "Partner Ltd", "--provider", "file", code=3, error="key-known")

        self.on(20)
        self.do("key", "activate", "next-year", "--reason", "the year begins")
        self.do("key", "extend", "next-year", "--recipient-until", "2040-12-31", "--reason", "records are kept 10 years",
                *self.signer(scenario.APPROVER))

        self.on(25)                                           # the mail goes
        plan = self.do("erase", "plan", "mail-archive", code=3).json
        self.assertTrue(any(old["id"] in b["what"] for b in plan["blockers"]), plan["blockers"])
        self.do("copy", "destroy", old["id"], "--how", "backup tape 12 shredded", "--as", scenario.OPERATOR)
        erasure = self.do("erase", "plan", "mail-archive").json["erasure"]
        self.do("erase", "request", erasure, *self.signer(scenario.OPERATOR), "--reason", "contract ended")
        self.do("erase", "approve", erasure, *self.signer(scenario.APPROVER))
        self.do("erase", "run", erasure, "-y")
        self.do("certificate", "bundle", erasure, "-o", self.box.path / "bundle")
        verdict = self.do("verify", self.box.path / "bundle", "--allow-test-grade", "--require", "low", code=7).json
        levels = {c["id"]: c["level"] for c in verdict["claims"]}
        # Keys of a file could leave with it, and one was compromised: the certificate says so for ever.
        self.assertIn(levels["key-origin"], ("asserted", "absent"))
        self.assertEqual(levels["uncompromised"], "absent")
        self.assertIn(levels["exclusivity"], ("proven", "asserted"))

        self.on(30)
        self.do("open", self.out / "loans", "-o", self.box.path / "day-30")
        self.assertEqual(self.files_below(self.box.path / "day-30"),
                         {n: d for n, d in expected.items() if n.startswith("loans/")})
        self.do("open", self.out / "mail", "-o", self.box.path / "gone", code=(3, 5))
        self.assertFalse(self.files_below(self.box.path / "gone"))
        self.do("ledger", "checkpoint")
        self.do("ledger", "verify")
        before = rows(self.box.vault)
        (self.box.vault / "registers.db").unlink()
        self.do("ledger", "checkpoint")
        self.assertEqual(rows(self.box.vault), before)
        self.do("status", "--check", code=(0, 4, 8))


class ManyKeys(scenario.World):
    """2,000 keys in a keystore file."""

    @classmethod
    def prepare(cls):
        phrase = cls.box.state / "phrase"
        phrase.write_bytes(PASSPHRASE)
        phrase.chmod(0o600)
        cls.box.kesu("provider", "add", "file",
                     f"soft:{cls.box.state}/keystore?passphrase-source=file:{phrase}&iterations=210000")
        names = [f"app-{i:04}" for i in range(2000)]
        begun = time.monotonic()
        cls.box.kesu("key", "create", *names, "--provider", "file")
        print(f"2,000 keys made in {time.monotonic() - begun:.1f} s", file=sys.stderr)
        cls.box.kesu("key", "suspend", "app-1234", "--reason", "audit")

    def test_the_list_can_be_read(self):
        text = self.box.text("key", "list", "--limit", "50").stdout.splitlines()
        self.assertRegex(text[-1], r"50 of 2,0\d\d keys")
        self.assertLess(len(text), 60)
        one = self.box.kesu("key", "list", "--state", "suspended").json
        self.assertEqual([k["name"] for k in one], ["app-1234"])
        self.assertEqual(len(self.box.kesu("key", "list", "--name", "app-00*").json), 100)
        for words in (("status",), ("key", "list"), ("key", "show", "app-0042")):
            begun = time.monotonic()
            out = self.box.text(*words).stdout
            print(f"kesu {' '.join(words)} at 2,000 keys: {time.monotonic() - begun:.2f} s", file=sys.stderr)
            if words == ("status",):
                self.assertLess(len(out.splitlines()), 50, out)


if __name__ == "__main__":
    scenario.main()
