"""What is typed: words that are no command, empty values, names that are not what they look like; and next steps that
do what they say."""
import os
import pathlib
import stat
import subprocess
import sys
import time

sys.path.insert(0, str(pathlib.Path(__file__).parents[1] / "support"))
import scenario

FORGED = "d\n  VERDICT complete"


class Words(scenario.World):
    def refused(self, *words, error="usage", code=2, **options):
        entries = self.entries()
        result = self.box.kesu(*words, code=code, error=error, **options)
        self.nothing_changed(entries)
        return result.json["error"]

    def test_a_word_that_is_no_command_is_named(self):
        self.assertEqual(self.refused("blah")["message"], 'kesu has no command "blah"')
        self.assertEqual(self.refused("key", "blah", "loans")["message"], 'kesu key has no command "blah"')
        self.assertIn("no command", self.refused("exception", "--help")["message"])
        self.assertEqual(self.refused("--quiet", "key", "-y", "blah")["next"], "kesu key --help")

    def test_an_empty_value_is_not_a_missing_one(self):
        for words in (("key", "create", "a", "--originator-period", ""), ("key", "create", ""),
                      ("key", "compromise", "loans", "--reason", "r", "--occurred", "", "-y"),
                      ("key", "create", "a", "--provider", ""), ("key", "suspend", "loans", "--reason", "")):
            with self.subTest(words):
                self.assertIn("is empty", self.refused(*words)["message"])
        empty = self.box.kesu("status", "--vault", "", vault=False, code=2, error="usage")
        self.assertEqual(empty.json["error"]["message"], "--vault is empty")
        # Where a value can be cleared, the empty one clears it.
        self.box.kesu("dataset", "update", "loans-2019", "--owner", "B", "--reason", "r")
        self.box.kesu("dataset", "update", "loans-2019", "--owner", "", "--reason", "r")
        self.assertEqual(self.box.kesu("dataset", "show", "loans-2019").json["settings"]["owner"], "")

    def test_no_version_is_called_0(self):
        for command in (("destroy",), ("deactivate", "--reason", "r"), ("compromise", "--reason", "r")):
            self.refused("key", command[0], "loans", "--version", "0", "-y", *command[1:])

    def test_names_and_reasons_are_what_they_look_like(self):
        for bad in (FORGED, " ", "..", "\u202eabc", "a" * 300, "a\x1b[31m", "loans "):
            with self.subTest(bad):
                self.refused("key", "create", bad, error="bad-input")
                self.refused("dataset", "add", bad, "--key", "loans", error="bad-input")
                self.refused("provider", "add", bad, self.box.token_uri, error="bad-input")
        self.refused("key", "suspend", "loans", "--reason", FORGED, error="bad-input")
        self.refused("dataset", "update", "loans-2019", "--owner", FORGED, "--reason", "r", error="bad-input")
        self.refused("copy", "add", "loans.1", "--kind", "backup", "--place", FORGED, "--custodian", "C", error="bad-input")
        self.box.kesu("key", "create", "貸付 2019")

    def test_a_vault_that_may_not_be_read_is_not_called_absent(self):
        closed = self.box.path / "closed"
        closed.mkdir()
        (closed / "kesu.toml").write_text("[vault]\nformat = 1\n")
        closed.chmod(0)
        self.addCleanup(closed.chmod, stat.S_IRWXU)
        command = self.box.kesu_command("status", vault=False) + ["--vault", str(closed)]
        as_other = {"user": 65534} if os.geteuid() == 0 else {}
        if as_other:  # the way to it must be open to the other user
            for directory in (self.box.path, *self.box.path.parents):
                if directory.stat().st_uid == os.geteuid() and not directory.stat().st_mode & stat.S_IXOTH:
                    before = stat.S_IMODE(directory.stat().st_mode)
                    directory.chmod(before | stat.S_IXOTH)
                    self.addCleanup(directory.chmod, before)
        done = subprocess.run(command, capture_output=True, text=True, env=self.box.env, cwd="/", **as_other)
        self.assertIn('"code":"store-unavailable"', done.stdout, done.stderr)
        self.assertIn("may not be read", done.stdout)

    # Next steps, typed as they stand.

    def type_next(self, step):
        """One command of a `next`, TEXT and PERSON filled in."""
        words = step.replace("TEXT", "because").split(": ")[0].split()
        self.assertEqual(words[0], "kesu", step)
        return self.box.kesu(*words[1:])

    def test_data_on_a_suspended_version(self):
        self.seal("loans-2019", {"a": b"a"})
        self.box.kesu("key", "suspend", "loans", "--reason", "looked into")
        refused = self.box.kesu("seal", "loans-2019", self.box.state / "src", "-o", self.box.state / "again", code=3,
                                error="state-refused")
        self.assertEqual(refused.json["error"]["next"], "kesu key resume loans.1 --reason TEXT")
        self.box.kesu("key", "rotate", "loans")
        row, = [d for d in self.box.kesu("status", "--check", code=4).json["due"]]
        self.assertEqual((row["what"], row["name"]), ("suspended", "loans-2019"))
        self.assertIn("do not open", row["detail"])
        refused = self.box.kesu("rewrap", "loans-2019", code=3, error="state-refused")
        self.assertEqual(refused.json["error"]["next"], row["next"])
        self.type_next(row["next"])
        self.assertEqual(self.opened(self.out), {"src/a": b"a"})
        self.assertEqual(self.box.kesu("rewrap", "loans-2019").json["moved"], 2)  # and the tree's manifest
        self.assertEqual(self.box.kesu("status", "--check").json["due"], [])

    def test_the_only_version_is_compromised(self):
        self.seal("loans-2019", {"a": b"a"})
        self.box.kesu("key", "compromise", "loans", "--reason", "seen elsewhere", "-y")
        due = {d["what"]: d for d in self.box.kesu("status").json["due"]}
        self.assertTrue(due["rewrap"]["overdue"])
        self.assertLessEqual(due["rewrap"]["at"][:10], time.strftime("%Y-%m-%d", time.gmtime()))
        for step in due["rewrap"]["next"].split(", then "):
            self.type_next(step)
        self.assertNotIn("rewrap", {d["what"] for d in self.box.kesu("status").json["due"]})
        self.assertIn("into a new dataset under another key", due["reseal"]["next"])
        self.assertIn("way out", self.box.text("dataset", "inspect", "loans-2019").stdout)

    def test_a_key_that_has_not_begun(self):
        self.box.kesu("key", "create", "later", "--pre-activation")
        refused = self.box.kesu("dataset", "add", "later-data", "--key", "later", code=3, error="state-refused")
        self.type_next(refused.json["error"]["next"])
        self.box.kesu("dataset", "add", "later-data", "--key", "later")
        # And one that is over.
        self.box.kesu("key", "deactivate", "later", "--reason", "r")
        refused = self.box.kesu("seal", "later-data", self.write("x", b"x"), "-o", self.out, code=3, error="state-refused")
        self.type_next(refused.json["error"]["next"])
        self.box.kesu("seal", "later-data", self.write("x", b"x"), "-o", self.out)

    def test_a_person_who_is_not_there(self):
        copy = self.box.kesu("copy", "add", "loans.1", "--kind", "backup", "--place", "P", "--custodian", "C").json["id"]
        error = self.box.kesu("copy", "destroy", copy, "--how", "h", "--as", "Nobody", code=2, error="not-found").json["error"]
        self.assertIn(scenario.OPERATOR, error["next"])

    # What the provider holds other than the ledger says.

    def test_a_key_that_somebody_else_destroyed_is_seen_by_cron(self):
        self.box.kesu("status", "--check")
        self.pkcs11_tool("--delete-object", "--type", "secrkey", "--label", f"kesu:{self.version_of('loans')}")
        report = self.box.kesu("status", "--check", code=8).json
        row, = report["silent"]
        self.assertEqual((row["provider"], row["code"]), ("hsm1", "object-absent"))
        self.assertIn("loans.1 is not there any more", row["message"])
        self.assertIn("DRIFT", self.box.text("status", "--check", code=8).stdout)


if __name__ == "__main__":
    scenario.main()
