"""Keys, datasets and providers: names, identifiers, rotation, destruction, and the JSON that scripts rely on."""
import pathlib
import re
import sqlite3
import sys

sys.path.insert(0, str(pathlib.Path(__file__).parents[1] / "support"))
import scenario

TIME = re.compile(r"^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z$")


class Keys(scenario.World):
    def keys(self):
        return {k["name"]: k for k in self.box.kesu("key", "list").json}

    def test_json_of_keys(self):
        keys = self.keys()
        self.assertEqual(sorted(keys), ["certificate", "control-hsm1", "ledger", "loans"])
        for key in keys.values():
            self.assertEqual(sorted(key), ["algorithm", "id", "name", "provider", "purpose", "role", "state", "versions"])
            self.assertRegex(key["id"], r"^key-[0-9a-f]{32}$")
            self.assertIn(key["purpose"], ("wrap", "sign"))
            version, = key["versions"]
            self.assertLessEqual({"created", "origin", "protect_until", "provider_ref", "state", "version"}, set(version))
            self.assertEqual((version["version"], version["state"]), (1, "active"))
            self.assertRegex(version["created"], TIME)
            self.assertEqual(version["provider_ref"], f"kesu:{key['id']}.1")
        self.assertEqual({n: (k["purpose"], k["algorithm"]) for n, k in keys.items()},
                         {"loans": ("wrap", "AES-256"), "control-hsm1": ("wrap", "AES-256"),
                          "ledger": ("sign", "Ed25519"), "certificate": ("sign", "ECDSA P-384")})
        self.assertEqual(self.box.kesu("key", "show", "loans").json, keys["loans"])

    def test_names_and_identifiers(self):
        key = self.keys()["loans"]
        for name in (key["id"], key["id"][:12], key["id"][:8], "loans"):
            self.assertEqual(self.box.kesu("key", "show", name).json, key)
        for nobody in (key["id"][:7], "key-", "nobody", "LOANS", key["id"] + "0"):
            with self.subTest(nobody):
                self.box.kesu("key", "show", nobody, code=2, error="not-found")
        self.box.kesu("key", "show", "", code=2, error="usage")

    def test_ambiguous_identifiers_are_refused_with_their_candidates(self):
        # Identifiers are random: the neighbour that cannot be waited for is written into the registers.
        key = self.keys()["loans"]
        twin = key["id"][:-1] + ("0" if key["id"][-1] != "0" else "1")
        with sqlite3.connect(self.box.vault / "registers.db") as db:
            db.execute("INSERT INTO rows SELECT kind, ?, replace(json, ?, ?) FROM rows WHERE kind='key' AND id=?",
                       (twin, '"loans"', '"loans-twin"', key["id"]))
        result = self.box.kesu("key", "show", key["id"][:12], code=2, error="identifier-ambiguous")
        for candidate in (key["id"], twin):
            self.assertIn(candidate, result.json["error"]["cause"])
        self.box.kesu("key", "rotate", key["id"][:12], code=2, error="identifier-ambiguous")
        self.assertEqual(self.box.kesu("key", "show", key["id"]).json["name"], "loans")

    def test_names_are_not_given_twice(self):
        entries, labels = self.entries(), self.token_labels()
        self.box.kesu("key", "create", "loans", code=3, error="already-exists")
        self.box.kesu("key", "create", "key-1234", code=2, error="usage")
        self.box.kesu("key", "create", "", code=2, error="usage")
        self.box.kesu("key", "create", "x", "--provider", "nobody", code=2, error="not-found")
        self.box.kesu("dataset", "add", "loans-2019", "--key", "loans", code=3, error="already-exists")
        self.box.kesu("provider", "add", "hsm1", self.box.token_uri, code=3, error="already-exists")
        self.box.kesu("provider", "add", "hsm2", self.box.token_uri, code=3, error="already-exists")
        self.nothing_changed(entries)
        self.assertEqual(self.token_labels(), labels)

    def test_names_may_be_japanese(self):
        made = self.box.kesu("key", "create", "貸付").json
        self.assertEqual(self.box.kesu("key", "show", "貸付").json["id"], made["id"])
        # Columns line up though its characters are wide.
        lines = self.box.text("key", "list").stdout.splitlines()
        column = lines[0].index("ID")
        row = next(l for l in lines if l.startswith("貸付"))
        self.assertEqual(row.index("key-"), column - 2)

    def test_rotate(self):
        rotated = self.box.kesu("key", "rotate", "loans").json
        self.assertEqual([(v["version"], v["state"]) for v in rotated["versions"]], [(1, "deactivated"), (2, "active")])
        self.assertEqual(rotated["state"], "active")
        self.assertIn(f"kesu:{rotated['id']}.2", self.token_labels())
        for name in ("ledger", "certificate", "control-hsm1"):
            self.box.kesu("key", "rotate", name, code=3, error="state-refused")
        self.box.kesu("key", "rotate", "nobody", code=2, error="not-found")

    def test_what_was_sealed_before_rotation_opens_after(self):
        self.seal("loans-2019", {"a": b"one"})
        self.box.kesu("key", "rotate", "loans")
        self.write("b", b"two")
        self.box.kesu("seal", "loans-2019", self.box.state / "src", "-o", self.out)
        infos = {n: self.box.kesu("info", self.out / "src" / f"{n}.kesu").json["slots"][0] for n in "ab"}
        self.assertEqual({n: (i["key_version"][-2:], i["state"]) for n, i in infos.items()},
                         {"a": (".1", "deactivated"), "b": (".2", "active")})
        self.assertEqual(self.opened(self.out), {"src/a": b"one", "src/b": b"two"})

    # Destruction of what nothing needs.

    def test_destroy_an_unused_key(self):
        self.box.kesu("key", "create", "trial")
        trial = self.keys()["trial"]
        entries, labels = self.entries(), self.token_labels()
        dry = self.box.kesu("key", "destroy", "trial", "--dry-run").json
        self.assertEqual((dry["key"], dry["versions"]), (trial["id"], [
            {"version": f"{trial['id']}.1", "state": "active", "kept_by": "", "next": "", "reached_data": False, "given_up": 0}]))
        self.assertEqual([(c["version"], c["objects"]) for c in dry["census"]], [(f"{trial['id']}.1", 0)])
        self.box.kesu("key", "destroy", "trial", code=3, error="not-confirmed")
        self.nothing_changed(entries)
        self.assertEqual(self.token_labels(), labels)
        done = self.box.kesu("key", "destroy", "trial", "-y").json
        self.assertEqual(done, {"versions": [{"version": f"{trial['id']}.1", "outcome": "destroyed", "inspected": None}]})
        self.assertNotIn(f"kesu:{trial['id']}.1", self.token_labels())
        self.assertEqual(self.keys()["trial"]["state"], "destroyed")
        self.box.kesu("key", "destroy", "trial", "-y", code=3, error="state-refused")
        self.box.kesu("key", "rotate", "trial", code=3, error="state-refused")
        self.box.kesu("dataset", "add", "d", "--key", "trial", code=3, error="state-refused")
        self.box.kesu("key", "create", "trial", code=3, error="already-exists")
        self.box.kesu("ledger", "verify")

    def test_destroy_one_version(self):
        self.box.kesu("key", "create", "trial")
        self.box.kesu("key", "rotate", "trial")
        self.box.kesu("key", "destroy", "trial", "--version", "1", "-y")
        self.assertEqual([v["state"] for v in self.keys()["trial"]["versions"]], ["destroyed", "active"])
        self.box.kesu("key", "destroy", "trial", "--version", "7", "-y", code=2, error="not-found")

    def test_keys_in_use_are_kept(self):
        self.seal("loans-2019", {"a": b"one"})
        self.box.kesu("key", "rotate", "loans")
        entries, labels = self.entries(), self.token_labels()
        for words in (("loans",), ("loans", "--version", "1"), ("loans", "--version", "2")):
            with self.subTest(words):
                error = self.box.kesu("key", "destroy", *words, "-y", code=3, error="in-use").json["error"]
                self.assertIn("kesu key rotate loans" if words[-1] == "2" else "kesu erase plan loans-2019", error["next"])
        self.assertIn("loans-2019", self.box.kesu("key", "destroy", "loans", "--dry-run").json["versions"][0]["kept_by"])
        for name in ("ledger", "certificate", "control-hsm1"):
            with self.subTest(name):
                self.box.kesu("key", "destroy", name, "-y", code=3, error="in-use")
        self.only_refused(entries)
        self.assertEqual(self.token_labels(), labels)

    # Datasets.

    def test_json_of_datasets(self):
        self.box.kesu("dataset", "add", "kyc", "--key", "loans", "--class", "secret", "--region", "ap-northeast-1",
                      "--owner", "CISO", "--location", "s3://a", "--location", "s3://b", "--plaintext-history",
                      "disposed", "--history-by", "佐藤 花子", "--history-detail", "2024-04-01")
        rows = {d["name"]: d for d in self.box.kesu("dataset", "list").json}
        for row in rows.values():
            self.assertEqual(sorted(row), ["bytes", "class", "id", "key", "name", "objects", "protection", "region", "reseal_due",
                                           "state", "strength"])
        self.assertEqual({k: v for k, v in rows["kyc"].items() if k not in ("id", "reseal_due", "strength")},
                         {"name": "kyc", "key": "loans", "region": "ap-northeast-1", "class": "secret", "objects": 0,
                          "bytes": 0, "protection": "sealed", "state": "open"})
        shown = self.box.kesu("dataset", "show", "kyc").json
        self.assertEqual(shown["settings"]["locations"], ["s3://a", "s3://b"])
        self.assertEqual(shown["settings"]["plaintext_history"],
                         {"statement": "disposed", "by": "佐藤 花子", "detail": "2024-04-01"})
        self.assertEqual(shown["batches"], [])

    def test_policy_judges_datasets(self):
        entries = self.entries()
        error = self.box.kesu("dataset", "add", "d", "--key", "loans", "--algorithm", "AES-128-GCM", code=3,
                              error="policy-refused").json["error"]
        self.assertIn("CRYPTREC", error["cause"])
        self.assertIn("kesu policy check AES-128-GCM", error["next"])
        self.box.kesu("dataset", "add", "d", "--key", "loans", "--algorithm", "AES-128-GCM", "--unreadable-until", "2065",
                      code=3, error="policy-refused")
        self.nothing_changed(entries)
        self.box.kesu("dataset", "add", "d", "--key", "loans", "--algorithm", "AES-128-GCM", "--unreadable-until", "2035")

    def test_impossible_datasets(self):
        entries = self.entries()
        add = ("dataset", "add")
        for words, error in (((*add, "d", "--key", "nobody"), "not-found"), ((*add, "a/b", "--key", "loans"), "usage"),
                             ((*add, "ds-1", "--key", "loans"), "usage"), ((*add, "d"), "usage"),
                             ((*add, "d", "--key", "loans", "--algorithm", "AES-256-CBC"), "bad-input"),
                             ((*add, "d", "--key", "loans", "--chunk", "1000"), "bad-input"),
                             ((*add, "d", "--key", "loans", "--chunk", "8388608"), "bad-input"),
                             ((*add, "d", "--key", "loans", "--unreadable-until", "soon"), "bad-input"),
                             ((*add, "d", "--key", "loans", "--plaintext-history", "none"), "bad-input"),
                             ((*add, "d", "--key", "loans", "--plaintext-history", "perhaps"), "bad-input")):
            with self.subTest(words):
                self.box.kesu(*words, code=2, error=error)
        self.box.kesu(*add, "d", "--key", "ledger", code=3, error="state-refused")
        self.nothing_changed(entries)

    # Providers and status.

    def test_providers(self):
        row, = self.box.kesu("provider", "list").json
        self.assertEqual(sorted(row), ["grade_reason", "id", "identity", "name", "test_grade", "uri"])
        self.assertTrue(row["test_grade"])
        self.assertNotIn(self.pin, str(row))
        tested = self.box.kesu("provider", "test", "hsm1").json
        self.assertEqual((tested["findings"], tested["keys_tried"]), ([], 4))
        self.box.token("other")
        self.box.kesu("provider", "add", "hsm2", self.box.token_uri)
        self.assertEqual(len(self.box.kesu("provider", "list").json), 2)
        self.box.kesu("key", "create", "which", code=2, error="usage")
        self.assertEqual(self.box.kesu("key", "create", "which", "--provider", "hsm2").json["provider"], "hsm2")
        self.box.kesu("seal", "loans-2019", self.write("a"), "-o", self.out)

    def test_status(self):
        status = self.box.kesu("status").json
        self.assertEqual(sorted(status), ["bytes", "closed", "datasets", "directory", "due", "erasures", "holds", "key_versions", "ledger",
                                          "objects", "organisation", "profile", "providers", "questions", "read_only",
                                          "silent", "vault"])
        self.assertEqual((status["key_versions"], status["datasets"], status["questions"]), ({"active": 1}, {"open": 1}, []))
        self.box.kesu("status", "--check")
        self.assertIn("TEST GRADE", self.box.text("status").stdout)
        self.assertEqual(self.box.text("status", "--quiet").stdout, "")

    def test_every_command_that_only_looks_leaves_the_ledger_alone(self):
        entries = self.entries()
        for words in (("status",), ("key", "list"), ("dataset", "list"), ("dataset", "show", "loans-2019"),
                      ("provider", "list"), ("provider", "test", "hsm1"), ("ledger", "show"), ("ledger", "verify"),
                      ("erase", "list"), ("certificate", "list")):
            self.box.kesu(*words)
            self.box.text(*words)
        self.box.kesu("erase", "plan", "loans-2019", code=3)  # nothing is sealed there
        self.nothing_changed(entries)


if __name__ == "__main__":
    scenario.main()
