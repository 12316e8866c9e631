"""Signed commands: where the rules ask for it, who runs a command that writes signs it before anything is done, every entry names
that statement, and all readers of a bundle hold the entries against it."""
import contextlib
import hashlib
import json
import os
import pathlib
import re
import shutil
import sqlite3
import sys

sys.path.insert(0, str(pathlib.Path(__file__).parents[1] / "support"))
import debian_python  # noqa: F401
from cryptography.hazmat.primitives.serialization import load_ssh_private_key
import bad_commands
import certified
import harness
import reissue
import scenario
from clock_test import at
from scenario import APPROVER, AUDITOR, OPERATOR, SECOND

LOW = ("--require", "low", "--allow-test-grade")
SECOND_READER = harness.SOURCE / "scripts" / "verify_certificate.py"
NEW, NEWKEY = "鈴木 次郎", "suzuki"
NOBODY = {"KESU_OPERATOR": "", "KESU_OPERATOR_KEY": ""}


class Signing(scenario.World):
    """A vault that asks for signed commands from its genesis on; the operator's key lies at hand."""
    @classmethod
    def write_genesis(cls, path, officers, quorum=1, sign=True, words=("--signed-commands",)):
        return super().write_genesis(path, officers, quorum, sign, words)

    def commands(self, entries=None):
        """What each entry names, by its number."""
        return {e["seq"]: e["body"].get("command") for e in entries or self.entries()}

    def statement(self, digest):
        return json.loads((self.box.vault / "evidence" / digest).read_bytes())

    def by(self, name):
        return ("--reason", "as agreed", "--by", name, "--key", self.key_of(name).private)

    def as_(self, name):
        return {"KESU_OPERATOR": "", "KESU_OPERATOR_KEY": str(self.key_of(name).private)}


class Doctor(Signing):
    """Whether whoever asks could sign: kesu doctor says so before a command is refused."""
    def said(self, result, *words, env=NOBODY, name="signed-commands", **options):
        report = self.box.kesu("doctor", *words, env=env, code=8 if result == "fail" else 0, **options).json["checks"]
        check = next(c for c in report if c["check"] == name)
        self.assertEqual(check["result"], result, check)
        return check

    def test_who_could_sign(self):
        before = {p.name: p.read_bytes() for p in self.box.vault.rglob("*") if p.is_file() and not p.name.startswith("ledger.db")}
        self.assertIn("--operator-key", self.said("warn")["next"])
        self.assertIn(f"{OPERATOR} can sign as operator, with ", self.said("ok", env=self.as_(OPERATOR))["detail"])
        self.assertIn("only what that role does", self.said("warn", env=self.as_(APPROVER))["detail"])
        self.said("fail", env={**NOBODY, "KESU_OPERATOR_KEY": str(self.box.path / "none")})
        stranger = self.box.officer("stranger").private
        self.assertIn("nobody's", self.said("fail", env={**NOBODY, "KESU_OPERATOR_KEY": str(stranger)})["detail"])
        # A key beside which somebody else's public half lies signs for nobody.
        liar = self.box.path / "liar"
        liar.write_bytes(stranger.read_bytes())
        liar.chmod(0o600)
        liar.with_name("liar.pub").write_bytes(self.key_of(OPERATOR).public.read_bytes())
        self.assertIn("match", self.said("fail", env={**NOBODY, "KESU_OPERATOR_KEY": str(liar)})["detail"])
        self.assertIn("not tried", self.said("ok", "--offline", env=self.as_(OPERATOR))["detail"])
        self.assertIn("no agent", self.said("fail", env={**NOBODY, "KESU_OPERATOR": OPERATOR, "SSH_AUTH_SOCK": ""})["detail"])
        self.said("ok", name="commands-named")
        after = {p.name: p.read_bytes() for p in self.box.vault.rglob("*") if p.is_file() and not p.name.startswith("ledger.db")}
        self.assertEqual(after, before)                     # it changes nothing

    def test_an_entry_that_names_none(self):
        """Written past the program, by whoever has the files: the body without the member."""
        last = next(e["seq"] for e in self.entries() if e["type"] == "dataset-added")
        with contextlib.closing(sqlite3.connect(self.box.vault / "ledger.db", isolation_level=None)) as db:
            header, salt, body = db.execute("SELECT header, salt, json_remove(body, '$.command') FROM entries WHERE seq = ?", (last,)).fetchone()
            leaf = hashlib.sha256(b"\0" + header.encode() + hashlib.sha256(salt + body.encode()).digest()).digest()
            db.execute("UPDATE entries SET body = ?, leaf = ? WHERE seq = ?", (body, leaf, last))
        check = self.said("fail", name="commands-named")
        self.assertIn(f"1 entry names no signed command, which the rules asked for, the first: entry {last}", check["detail"])
        self.assertIn("kesu ledger verify", check["next"])

    def test_an_agent(self):
        agent = self.box.path / "agent"
        said = self.box.run("ssh-agent", "-a", agent).stdout
        pid = int(re.search(r"SSH_AGENT_PID=(\d+)", said)[1])
        self.addCleanup(os.kill, pid, 15)
        env = {**NOBODY, "KESU_OPERATOR": OPERATOR, "SSH_AUTH_SOCK": str(agent)}
        self.assertIn("holds no keys", self.said("fail", env=env)["detail"])
        self.box.run("ssh-add", "-q", self.key_of(APPROVER).private, env=env)
        self.assertIn("holds other keys", self.said("fail", env=env)["detail"])
        self.box.run("ssh-add", "-q", self.key_of(OPERATOR).private, env=env)
        self.assertIn("with the key that the agent holds", self.said("ok", env=env)["detail"])


class Vault(Signing):
    def test_every_entry_names_who_ran_it(self):
        self.seal("loans-2019", {"secret-name.txt": b"one", "b": b"two"})
        entries = self.entries()
        named = self.commands(entries)
        kinds = {e["seq"]: e["type"] for e in entries}
        self.assertEqual({kinds[n] for n, c in named.items() if c is None}, {"genesis", "operator-enrolled"})
        self.assertTrue(entries[0]["body"]["signed_commands"])
        self.assertTrue(json.loads((self.genesis).read_bytes())["signed_commands"])
        said = {c["statement"]: self.statement(c["statement"]) for c in named.values() if c}
        self.assertEqual([s["command"] for s in said.values()], ["init", "key create", "dataset add", "seal"])
        self.assertEqual(len(said), len({s["process"] for s in said.values()}))
        last = list(said.values())[-1]
        dataset = self.box.kesu("dataset", "show", "loans-2019").json
        self.assertEqual((last["about"], last["role"], last["name"]), ([dataset["id"]], "operator", OPERATOR))
        self.assertNotIn("command", dataset["settings"])
        self.assertEqual(last["ledger"]["size"], min(n for n, c in named.items() if c and said[c["statement"]] is last))
        for n, c in named.items():
            if c is None:
                continue
            text = (self.box.vault / "evidence" / c["statement"]).read_bytes()
            self.assertNotIn(b"secret-name", text)
            signature = self.box.vault / "evidence" / c["signature"]
            signers = self.box.path / "signers"
            signers.write_text(f"{c['operator']} {self.key_of(OPERATOR).line}\n")
            self.box.run("ssh-keygen", "-Y", "verify", "-f", signers, "-I", c["operator"], "-n", "kesu-command-v1", "-s", signature, stdin=text)
        report = self.box.kesu("ledger", "verify").json
        self.assertEqual((report["findings"], report["notes"]), ([], []))
        # Reading takes no signature.
        for words in (("status",), ("key", "list"), ("ledger", "verify"), ("vault", "rules")):
            self.box.kesu(*words, env=NOBODY)

    def test_refused_before_anything_is_done(self):
        before, objects = self.entries(), self.token_labels()
        seal = ("seal", "loans-2019", self.write("a"), "-o", self.out)
        create = ("key", "create", "more")
        alone = {"SSH_AUTH_SOCK": str(self.box.path / "no-agent"), "KESU_OPERATOR_KEY": ""}
        stranger = self.box.officer("stranger").private
        for what, env, code, error in (
                ("nobody", NOBODY, 3, "command-unsigned"), ("no agent", {**NOBODY, **alone, "KESU_OPERATOR": OPERATOR}, 3, "command-unsigned"),
                ("no such key", {**NOBODY, "KESU_OPERATOR_KEY": "/nowhere"}, 3, "command-unsigned"),
                ("nobody's key", {**NOBODY, "KESU_OPERATOR_KEY": str(stranger)}, 3, "not-enrolled"),
                ("another's key", {"KESU_OPERATOR": OPERATOR, "KESU_OPERATOR_KEY": str(self.key_of(APPROVER).private)}, 6, "signature-bad"),
                ("an approver", self.as_(APPROVER), 3, "not-enrolled"), ("an auditor", self.as_(AUDITOR), 3, "not-enrolled")):
            with self.subTest(what):
                for words in (seal, create, ("ledger", "checkpoint")):
                    said = self.box.kesu(*words, env=env, code=code, error=error)
                    self.assertTrue(said.json["error"]["next"])
        self.nothing_changed(before)
        self.assertEqual(self.token_labels(), objects)
        self.assertFalse(self.out.exists())

    def test_init_signs_before_there_is_anything(self):
        for env, error in ((NOBODY, "command-unsigned"), ({"KESU_OPERATOR": APPROVER}, "not-enrolled"),
                           ({"KESU_OPERATOR": OPERATOR, "KESU_OPERATOR_KEY": "/nowhere"}, "command-unsigned")):
            self.box.run(harness.program("kesu"), "init", self.box.path / "other", "--genesis", self.genesis, "--provider", self.box.token_uri, "--json",
                         env=env, code=3, error=error)
            self.assertFalse((self.box.path / "other").exists())

    def test_by_an_agent(self):
        socket = self.box.path / "agent"
        said = self.box.run("ssh-agent", "-a", socket).stdout
        agent = re.search(r"SSH_AGENT_PID=(\d+)", said)[1]
        self.addCleanup(os.kill, int(agent), 15)
        env = {"SSH_AUTH_SOCK": str(socket)}
        self.box.run("ssh-add", self.key_of(OPERATOR).private, env=env)
        self.box.kesu("--operator", OPERATOR, "key", "create", "by-name", env={**NOBODY, **env})
        self.box.kesu("key", "create", "by-pub", "--operator-key", self.key_of(OPERATOR).public, env={**NOBODY, **env})
        self.box.run("ssh-add", "-D", env=env)
        self.box.kesu("--operator", OPERATOR, "key", "create", "away", env={**NOBODY, **env}, code=3, error="command-unsigned")
        self.box.kesu("ledger", "verify")

    def test_an_officer_signs_what_is_his(self):
        self.seal("loans-2019", {"a": b"one"})
        erasure = self.plan("loans-2019", env=NOBODY)["erasure"]
        self.request(erasure, env=NOBODY)
        self.approve(erasure, env=NOBODY)
        self.box.kesu("key", "attest", "loans", *self.signer(AUDITOR), code=3, error="state-refused", env=NOBODY)
        said = [(s["command"], s["role"], s["name"], s["about"]) for s in
                (self.statement(c["statement"]) for c in list(self.commands().values())[-1:])]
        self.assertEqual(said, [("erase approve", "approver", APPROVER, [erasure])])
        before = self.entries()
        self.run_erasure(erasure, env=self.as_(APPROVER), code=3, error="not-enrolled")
        self.nothing_changed(before)

    def test_revoked_and_expired(self):
        by = self.by(APPROVER)
        self.box.kesu("operator", "grant", AUDITOR, "operator", "--until", "2039-12-31", *by)
        self.box.kesu("key", "create", "one", env=self.as_(AUDITOR))
        self.box.kesu("key", "create", "two", env={**self.as_(AUDITOR), **at("+15y")}, code=3, error="not-enrolled")
        self.box.kesu("operator", "revoke", OPERATOR, *by)
        before = self.entries()
        self.box.kesu("key", "create", "two", code=3, error="not-enrolled")
        self.nothing_changed(before)
        self.box.kesu("key", "create", "two", env=self.as_(AUDITOR))
        self.box.kesu("ledger", "verify")


class SwitchedOn(scenario.World):
    def test_by_the_quorum_and_off_again(self):
        by = ("--reason", "as agreed", "--by", APPROVER, "--key", self.key_of(APPROVER).private)
        self.assertFalse(any("command" in e["body"] for e in self.entries()))
        self.assertFalse(self.box.kesu("vault", "rules").json["signed_commands"])
        said = self.box.kesu("vault", "rules", "--signed-commands", "on", *by).json
        self.assertEqual(said["summary"][:2], ["Sets quorum 1, waiting period 0 s, profile low, commands signed by their operators",
                                               "Until now: quorum 1, waiting period 0 s, profile low"])
        self.assertTrue(self.box.kesu("vault", "rules").json["signed_commands"])
        (self.box.vault / "registers.db").unlink()
        self.box.kesu("key", "create", "more", code=3, error="command-unsigned")
        self.box.kesu("key", "create", "more", "--operator-key", self.key_of(OPERATOR).private)
        self.assertTrue(all("command" in e["body"] for e in self.entries()[said["entry"] + 1:]))
        off = self.box.kesu("vault", "rules", "--signed-commands", "off", *by).json
        self.assertIn("commands no longer signed", off["summary"][0])
        self.box.kesu("key", "create", "unsigned")
        self.assertNotIn("command", self.entries()[-1]["body"])
        self.box.kesu("ledger", "verify")

    def test_with_a_waiting_period(self):
        by = ("--reason", "as agreed", "--by", APPROVER, "--key", self.key_of(APPROVER).private)
        self.box.kesu("vault", "rules", "--waiting", "3600", *by)
        self.box.kesu("vault", "rules", "--signed-commands", "on", *by)
        self.box.kesu("key", "create", "meanwhile")
        self.box.kesu("key", "create", "later", env=at("+2h"), code=3, error="command-unsigned")

    def test_profile_high_asks_for_it(self):
        by = ("--reason", "as agreed", "--by", APPROVER, "--key", self.key_of(APPROVER).private)
        high = ("vault", "rules", "--profile", "high", "--quorum", "2", "--waiting", "259200")
        self.assertIn("signed commands", self.box.kesu(*high, *by, code=3, error="policy-refused").json["error"]["message"])
        self.box.kesu(*high, "--signed-commands", "on", *by)


class Bundle(Signing):
    @classmethod
    def prepare(cls):
        case = cls("setUp")
        cls.seal("loans-2019", {"a": b"one", "b": b"two"})
        erasure = case.plan("loans-2019")["erasure"]
        case.request(erasure)
        case.approve(erasure, env=NOBODY)   # who approves signs that command, too
        case.run_erasure(erasure)
        cls.good = cls.box.path / "good"
        cls.box.kesu("certificate", "bundle", erasure, "-o", cls.good)
        cls.erasure = erasure
        cls.trust = cls.box.run(harness.program("kesu"), "trust", "propose", cls.good, "--json").json["trust"]

    def readers(self, bundle, code=0, trust=None, words=LOW, same=True):
        """Both programs' reports; the same verdict, and where nothing is forged the same in all."""
        path = self.box.path / "trust"
        path.write_text(trust or self.trust)
        words = (bundle, "--trust", path, *words, "--json")
        first = self.box.run(harness.program("kesu"), "verify", *words, code=code).json
        mine = self.box.run("/usr/bin/python3", "-B", SECOND_READER, *words, code=code).json
        if same:
            self.assertEqual(mine, first)
        return first, mine

    def test_complete(self):
        report = self.readers(self.good)[0]
        self.assertEqual((report["verdict"], report["errors"]), ("complete", []))
        files = [p.name for p in (self.good / "approvals").glob("command.*.json")]
        self.assertGreater(len(files), 5)
        parts = [r["part"] for r in report["evidence_chain"] if r["part"].startswith("commands, ")]
        self.assertEqual(sorted(parts), sorted(f"commands, {n}{e}" for n in (OPERATOR, APPROVER) for e in ("", " (digest)")))
        readme = (self.good / "README.txt").read_text()
        loop = "\n".join(l for l in readme.split("signed by who ran it")[1].splitlines() if l.startswith(("    for s in", "      ssh-keygen")))
        self.assertEqual(self.box.run("sh", "-ec", loop, cwd=self.good).stdout.count("Good"), len(files))
        again = self.box.path / "again"
        self.box.kesu("certificate", "bundle", self.erasure, "-o", again)
        self.assertEqual((again / "MANIFEST").read_bytes(), (self.good / "MANIFEST").read_bytes())
        # Who does not know who ran the commands does not know enough.
        at_least = "\n".join(l for l in self.trust.splitlines() if self.key_of(OPERATOR).line.split()[1] not in l)
        self.assertIn("officers who signed", self.readers(self.good, 7, at_least)[0]["shortfalls"][0])

    def test_forged(self):
        files = reissue.read(self.good)
        keys = [load_ssh_private_key(self.box.officer(key).private.read_bytes(), None) for *_, key in self.officers]
        folder = self.box.path / "forged"
        for name, forged, trust, code in bad_commands.cases(files, self.trust, keys):
            with self.subTest(name):
                shutil.rmtree(folder, ignore_errors=True)
                reissue.write(forged, folder)
                first, mine = self.readers(folder, code, trust, same=False)
                self.assertEqual(first["verdict"], mine["verdict"])
                if code == 7:
                    levels = [{c["id"]: c["level"] for c in r["claims"]} for r in (first, mine)]
                    self.assertEqual(levels[0], levels[1])
                    self.assertEqual((levels[0]["authorised"], first["shortfalls"]), ("asserted", ["authorised is asserted; profile low asks for proven"]))
                    self.assertEqual(sorted(e["part"] for e in first["errors"]), sorted(e["part"] for e in mine["errors"]))

    def test_files_that_were_changed(self):
        folder = self.box.path / "changed"
        for what in ("statement", "signature", "no statement", "no signature", "one more"):
            with self.subTest(what):
                shutil.rmtree(folder, ignore_errors=True)
                shutil.copytree(self.good, folder)
                path = sorted((folder / "approvals").glob("command.*.json"))[0]
                sig = path.with_name(path.name + ".sig")
                if what == "statement":
                    path.write_bytes(path.read_bytes().replace(b"operator", b"0perator", 1))
                elif what == "signature":
                    sig.write_bytes(sorted((folder / "approvals").glob("command.*.sig"))[1].read_bytes())
                elif what == "one more":
                    digest = hashlib.sha256(b"{}\n").hexdigest()
                    (folder / "approvals" / f"command.{digest}.json").write_bytes(b"{}\n")
                else:
                    (path if what == "no statement" else sig).unlink()
                lines = [f"{hashlib.sha512((folder / p).read_bytes()).hexdigest()}  {p}\n" for p in sorted(str(q.relative_to(folder)) for q in folder.rglob("*") if q.is_file())
                         if p != "MANIFEST" and not p.startswith("ledger/")]
                (folder / "MANIFEST").write_text("".join(lines))  # so that it is not MANIFEST alone that tells
                for report in self.readers(folder, 6, same=False):
                    self.assertTrue(any(e["part"].startswith("approvals/command.") for e in report["errors"]), report["errors"])

    def test_high_asks_for_the_rule(self):
        report = self.readers(self.good, 7, words=("--require", "high", "--allow-test-grade"), same=False)
        for one in report:
            self.assertFalse(any("signed commands" in s for s in one["shortfalls"]))


class AmongCertificates(certified.World):
    """Who is enrolled with a certificate signs no command; what he signs is recorded by somebody who does."""
    @classmethod
    def write_genesis(cls, path, officers, quorum=1, sign=True, words=("--signed-commands",)):
        cls.box.env |= {"KESU_OPERATOR": OPERATOR, "KESU_OPERATOR_KEY": str(cls.box.officer("tanaka").private)}
        return super().write_genesis(path, officers, quorum, sign, words)

    def test_a_certificate_signs_no_command(self):
        for env in ({"KESU_OPERATOR": APPROVER}, {**NOBODY, "KESU_OPERATOR": APPROVER}):
            said = self.box.kesu("hold", "place", "loans-2019", "--case", "1", "--reason", "x", "--as", APPROVER, env=env, code=3, error="not-enrolled")
            self.assertIn("is enrolled with a certificate", said.json["error"]["message"])
        self.box.kesu("hold", "place", "loans-2019", "--case", "1", "--reason", "x", "--as", APPROVER)
        self.box.kesu("ledger", "verify")


if __name__ == "__main__":
    scenario.main()
