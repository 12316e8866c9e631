"""docs/spec/interface.md is what the program does: its error codes, its commands, and the members of every result."""
import pathlib
import os
import re
import shutil
import sys
import time

sys.path.insert(0, str(pathlib.Path(__file__).parents[1] / "support"))
import harness
import scenario
import small_ca

PAGE = harness.SOURCE / "docs" / "spec" / "interface.md"
EXITS = {"done": 0, "failed": 1, "usage": 2, "refused": 3, "not_yet": 4, "unavailable": 5, "invalid": 6, "incomplete": 7,
         "partial": 8, "interrupted": 130}


def rows(title):
    section = PAGE.read_text().split(f"\n## {title}\n")[1].split("\n## ")[0]
    return [[c.strip() for c in re.split(r"(?<!\\)\|", line)[1:-1]] for line in section.splitlines()
            if line.startswith("| ")][2:]


def shape(text):
    """The members of a document as the page writes it: name -> nested members, [members] or None."""
    tokens = re.findall(r'"(\w+)"\??|([{}\[\],:])|(\w+)', text)
    at = 0

    def value():
        nonlocal at
        token = tokens[at]
        at += 1
        if token[1] == "{":
            members = {}
            while tokens[at][1] != "}":
                if tokens[at][1] == ",":
                    at += 1
                name = tokens[at][0] or None
                at += 1
                inner = None
                if tokens[at][1] == ":":
                    at += 1
                    inner = value()
                members[name] = inner
            at += 1
            return members
        if token[1] == "[":
            inner = None if tokens[at][1] == "]" else value()
            at += 1
            return [inner]
        return None
    return value()


class Interface(scenario.World):
    def documented(self, words):
        for commands, document in rows("Results"):
            names = re.findall(r"`([^`]+)`", commands)
            noun = names[0].split()[0]
            if any(n == words or f"{noun} {n}" == words for n in names):
                return shape(re.search(r"`([{\[].*?)`", document)[1])
        self.fail(f"{words} is not on the page")

    def compare(self, where, document, wanted):
        if isinstance(wanted, list):
            self.assertIsInstance(document, list, where)
            for item in document:
                if wanted[0] is not None:
                    self.compare(f"{where}[]", item, wanted[0])
        elif isinstance(wanted, dict):
            self.assertIsInstance(document, dict, where)
            if None not in wanted:                      # {STATE: n}
                self.assertEqual(sorted(document), sorted(wanted), where)
                for name, inner in wanted.items():
                    if inner is not None:
                        self.compare(f"{where}.{name}", document[name], inner)

    def prints(self, page, *words, **options):
        result = self.box.kesu(*words, **options)
        self.compare(page, result.json, self.documented(page))
        return result.json

    def test_error_codes(self):
        source = (harness.SOURCE / "lib" / "base" / "error.cpp").read_text()
        compiled = [(text, EXITS[name]) for text, name in re.findall(r'\{Code::\w+, "([^"]+)", Exit::(\w+)\}', source)]
        self.assertGreater(len(compiled), 50)
        page = [(code.strip("`"), int(exit_code)) for code, exit_code, _ in rows("Errors")]
        self.assertEqual(page, compiled)
        self.assertEqual([int(code) for code, _ in rows("Exit codes")], sorted(EXITS.values()))

    def test_every_command_is_on_the_page(self):
        kesu = harness.program("kesu")

        def commands(words):
            text = self.box.run(kesu, *words, "--help").stdout
            found = re.findall(r"^  ([a-z]+)(?: {2,}|$)", text.split("Subcommands:")[1], re.M) if "Subcommands:" in text else []
            for name in found:
                yield from commands((*words, name))
            if not found:
                yield " ".join(words)
        page = PAGE.read_text()
        found = list(commands(()))
        self.assertGreater(len(found), 30)
        for words in found:
            group, _, name = words.rpartition(" ")
            self.assertTrue(f"`{words}`" in page or f"`kesu {words}`" in page or (group == "erase" and f"`{name}`" in page), words)

    def witness(self, prints, box):
        passphrase = box.path / "witness.pass"
        passphrase.write_text("correct horse battery\n")
        passphrase.chmod(0o600)
        made = prints("ledger witness init", "ledger", "witness", "init", box.path / "witness", "--name", "w", "--passphrase-source",
                      f"file:{passphrase}", vault=False)
        with open(box.vault / "kesu.toml", "a") as config:
            config.write(f'[[witness]]\nvkey = "{made["vkey"]}"\n')
        asked = prints("ledger checkpoint --export", "ledger", "checkpoint", "--export", box.path / "request")
        prints("ledger cosign", "ledger", "cosign", box.path / "request", "--witness", box.path / "witness", "--first", asked["vkey"],
               "-o", box.path / "answer", vault=False)
        prints("ledger witness show", "ledger", "witness", "show", box.path / "witness", vault=False)
        prints("ledger checkpoint --attach", "ledger", "checkpoint", "--attach", box.path / "answer")
        request = prints("certificate request", "certificate", "request")["request"]
        chain = box.path / "chain.pem"
        chain.write_text(small_ca.Ca(box.path / "ca").issue(request)[1])
        prints("certificate install", "certificate", "install", chain)

    def people(self, prints):
        new = self.box.officer("newcomer")
        by = ("--reason", "r", "--by", scenario.APPROVER, "--key", self.key_of(scenario.APPROVER).private)
        waits = prints("operator add", "operator", "add", "New", "--title", "T", "--key-file", new.public, "--role", "auditor", *by, code=4)
        prints("operator changes", "operator", "changes")
        prints("operator sign", "operator", "sign", waits["change"], "--as", "New", "--key", new.private)
        prints("operator grant", "operator", "grant", "New", "validator", "--until", "2040-01-01", *by)
        prints("operator withdraw", "operator", "withdraw", "New", "auditor", *by)
        prints("operator renew", "operator", "renew", "New", "--until", "2039-01-01", *by)
        prints("operator revoke", "operator", "revoke", "New", *by)
        prints("operator list", "operator", "list")
        prints("operator changes", "operator", "changes")
        prints("vault rules --quorum", "vault", "rules", "--waiting", "1", *by)
        prints("vault rules --quorum", "vault", "rules", "--waiting", "0", *by)
        prints("vault rules", "vault", "rules")

    def test_documents(self):
        """Every result, in the order of a working day."""
        box, prints = self.box, self.prints
        prints("--version", "--version", vault=False)
        prints("init --draft", "init", "--draft", box.state / "d.json", "--org", "O", "--origin", "o.example", "--officer",
               f"A;T;operator,approver;{self.key_of(scenario.OPERATOR).public}", vault=False)
        prints("init", "init", box.vault, "--genesis", self.genesis, "--provider", box.token_uri, vault=False)
        self.write("a", b"one")
        self.people(prints)
        time.sleep(1.1)                                  # until the last change is in force
        prints("key create", "key", "create", "trial")
        prints("key rotate", "key", "rotate", "trial")
        prints("key show", "key", "show", "trial")
        prints("key destroy --dry-run", "key", "destroy", "trial", "--dry-run")
        prints("key destroy", "key", "destroy", "trial", "-y")
        prints("dataset add", "dataset", "add", "d2", "--key", "loans")
        prints("seal", "seal", "loans-2019", box.state / "src", "-o", self.out)
        prints("open", "open", self.out, "-o", box.state / "opened")
        prints("info", "info", self.out / "src" / "a.kesu")
        prints("inventory list", "inventory", "list", "loans-2019")
        prints("inventory settle", "inventory", "settle", "loans-2019")
        shutil.copy(self.out / "src" / "a.kesu", self.out / "copy.kesu")
        checked = prints("inventory check", "inventory", "check", "loans-2019", self.out)
        self.assertEqual([r["code"] for r in checked["orphans"]], ["copy"])
        os.unlink(self.out / "copy.kesu")
        prints("inventory adopt", "inventory", "adopt", "loans-2019", self.out)
        (self.out / f".{'ab' * 16}.kesu-part").write_bytes(b"left")
        prints("inventory remove", "inventory", "remove", self.out, "--reason", "r", "-y")
        proof = box.kesu("inventory", "prove", self.out / "src" / "a.kesu").json
        page = (harness.SOURCE / "docs" / "spec" / "inventory.md").read_text().split("## Proof")[1].split("To check it")[0]
        self.assertEqual(sorted(proof), sorted(n for r in re.findall(r"^\| (`.+?`) \|", page, re.M) for n in re.findall(r"`(\w+)`", r)))
        shown = box.kesu("dataset", "show", "loans-2019").json
        self.assertEqual(sorted(shown), sorted([*self.documented("dataset add"), "settings", "batches", "under", "strength",
                                                "reseal_due"]))
        self.compare("batches", shown["batches"], shape('[{"id","state","objects","bytes","key_version","on":{VERSION: n},"root"}]'))
        prints("provider list", "provider", "list")
        prints("provider test", "provider", "test", "hsm1")
        for row in box.kesu("key", "list").json:
            self.compare("key list", row, self.documented("key show"))
        more = shape('{"strength":{"bits","weakest","until"?},"reseal_due":{"due","objects","reasons":[]}}')
        for row in box.kesu("dataset", "list").json:
            self.compare("dataset list", row, {**self.documented("dataset add"), **more})
        inspected = box.kesu("dataset", "inspect", "loans-2019").json
        self.assertEqual(sorted(inspected), sorted([*self.documented("dataset add"), *more]))
        prints("dataset update", "dataset", "update", "d2", "--owner", "Mail", "--reason", "moved")
        self.keys(prints)
        prints("rewrap --dry-run", "rewrap", "loans-2019", "--dry-run")
        prints("rewrap", "rewrap", "loans-2019")
        prints("reseal", "reseal", "loans-2019", "--to", "d2", "--into", box.state / "resealed")
        found = prints("inventory scan", "inventory", "scan", "loans-2019", box.state / "src", code=8)
        self.assertEqual([f["whole"] for f in found["found"]], [True])
        blocked = prints("erase plan", "erase", "plan", "loans-2019", code=3)      # d2 has the same key
        self.assertEqual(blocked["shared"], ["d2"])
        erasure = prints("erase plan", "erase", "plan", "loans-2019", "d2")["erasure"]
        statement = box.state / "statement"
        exported = box.kesu("erase", "request", erasure, "--as", scenario.OPERATOR, "--export", statement).json
        self.assertEqual(sorted(exported), ["namespace", "statement"])
        prints("erase request", "erase", "request", erasure, *self.signer(scenario.OPERATOR))
        prints("status", "status")
        prints("erase approve", "erase", "approve", erasure, *self.signer(scenario.APPROVER))
        prints("erase run --dry-run", "erase", "run", erasure, "--dry-run")
        prints("erase run", "erase", "run", erasure, "-y")
        prints("erase status", "erase", "status", erasure)
        bundle = box.state / "bundle"
        prints("certificate bundle", "certificate", "bundle", erasure, "-o", bundle)
        prints("certificate render", "certificate", "render", bundle, "-o", box.state / "pages")
        prints("certificate list", "certificate", "list")
        name = scenario.APPROVER
        withdrawn = box.kesu("certificate", "withdraw", box.kesu("certificate", "list").json[0]["id"], "--reason", "x", "--by",
                             name, "--key", self.key_of(name).private).json
        self.compare("certificate withdraw", withdrawn, self.documented("certificate withdraw"))
        prints("ledger extract", "ledger", "extract", "-o", box.state / "extract")
        prints("vault contact", "vault", "contact", "--place", "here")
        prints("trust propose", "trust", "propose", bundle)
        prints("ledger show", "ledger", "show")
        prints("ledger verify", "ledger", "verify")
        prints("ledger checkpoint", "ledger", "checkpoint")
        self.witness(prints, box)
        prints("policy check", "policy", "check", "AES-256-GCM")
        prints("policy algorithms", "policy", "algorithms")
        prints("policy show", "policy", "show")
        prints("policy evidence", "policy", "evidence")
        prints("doctor", "doctor", code=(0, 8))
        box.token("second")
        prints("provider add", "provider", "add", "hsm2", box.token_uri)
        prints("provider show", "provider", "show", "hsm2")
        secret = box.state / "passphrase"
        secret.write_text("correct horse battery")
        secret.chmod(0o600)
        box.kesu("provider", "add", "soft1", f"soft:./keys?passphrase-source=file:{secret}&iterations=210000")
        prints("provider rekey", "provider", "rekey", "soft1", "--passphrase-source", f"file:{secret}", "-y")

    def keys(self, prints):
        """A key's life, material from elsewhere, copies, exceptions."""
        box = self.box
        prints("key create", "key", "create", "life", "--pre-activation")
        for act in ("activate", "suspend", "resume", "deactivate", "compromise"):
            prints(f"key {act}", "key", act, "life", "--reason", "interface", "-y")
        material = box.state / "material"
        material.write_bytes(bytes(range(32)))
        material.chmod(0o600)
        imported = box.kesu("key", "import", "brought", "--from", f"file:{material}", "--origin-place", "there",
                            "--custodian", "them").json
        self.assertEqual(sorted(imported), sorted([*self.documented("key create"), "copy"]))
        copy = prints("copy add", "copy", "add", "life", "--version", "1", "--kind", "backup", "--place", "vault B",
                      "--custodian", "C")
        for row in box.kesu("copy", "list").json:
            self.compare("copy list", row, self.documented("copy add"))
        prints("copy destroy", "copy", "destroy", copy["id"], "--how", "shredded", "--as", scenario.OPERATOR)
        prints("key extend", "key", "extend", "loans", "--recipient-until", "2040-01-01", "--reason", "interface",
               *self.signer(scenario.APPROVER))
        prints("policy except", "policy", "except", "RSA-OAEP:bits=3072,hash=SHA-256", "--purpose", "wrap", "--reason",
               "interface", *self.signer(scenario.APPROVER), code=(0, 3))
        for row in box.kesu("policy", "exceptions").json:
            self.compare("policy exceptions", row, self.documented("key extend"))

    def test_states_and_stages_are_those_of_the_page(self):
        words = {row[0]: re.findall(r"`([a-z-]+)`", row[1]) for row in rows("Enumerations")}
        source = (harness.SOURCE / "lib" / "keys" / "state.cpp").read_text()
        self.assertEqual(sorted(words["key and version `state`"]), sorted(set(re.findall(r'"([a-z-]+)"', source)) - {"unknown"}))


if __name__ == "__main__":
    scenario.main()
