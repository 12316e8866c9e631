"""Records said twice, out of form or otherwise than their entries, and honest histories that are rare: kesu verify,
scripts/verify_certificate.py and the verifier page in Chromium say the same of each bundle."""
import json
import pathlib
import shutil
import sys

sys.path[:0] = [str(pathlib.Path(__file__).parents[1] / "support"), str(pathlib.Path(__file__).parents[2] / "scripts")]
import debian_python  # noqa: F401
import bad_records
import harness
import reissue
import scenario
import signed_records
import tsa
import verify_page
from kesu_verifier import trust as trust_file
from kesu_verifier import verify as second

LOW = ("--require", "low", "--allow-test-grade")


class RecordsReaders(verify_page.Driver, scenario.World):
    @classmethod
    def prepare(cls):
        case, box = cls("setUp"), cls.box
        cls.seal("loans-2019", {"a": b"one", "b": b"two"})
        box.kesu("dataset", "update", "loans-2019", "--owner", "Ledgers", "--reason", "moved")
        box.kesu("open", cls.out, "-o", box.state / "opened")
        cls.erased, cls.tables = {}, trust_file.Tables()
        erasure = case.approved("loans-2019")
        case.run_erasure(erasure)
        cls.issue(erasure)
        cls.open_page()

    def reports(self, bundle, trust, profile="low", trust_files=()):
        """Of the three readers."""
        path = self.elsewhere / "trust"
        path.write_text(trust)
        words = (bundle, "--trust", path, "--require", profile, "--allow-test-grade", "--json")
        kesu = self.box.run(harness.program("kesu"), "verify", *words, code=(0, 6, 7)).json
        mine = second.verify(str(bundle), trust_file.read_trust(str(path)), self.tables, require=profile, allow_test_grade=True)
        page = self.check(bundle, trust=trust + "".join(pathlib.Path(p).read_text() for p in trust_files), profile=profile)
        return kesu, mine, page

    def test_what_is_said_twice_or_out_of_form(self):
        issuer = reissue.Issuer(reissue.read(self.bundle), reissue.keys_by_operator(self.bundle, self))
        trust = issuer.trust(self.trust)
        for n, case in enumerate(bad_records.cases(issuer)):
            with self.subTest(case.name):
                bundle = self.elsewhere / f"case-{n}"
                reissue.write(case.files, bundle)
                kesu, mine, page = self.reports(bundle, trust)
                shutil.rmtree(bundle)
                self.assertEqual([r["verdict"] for r in (kesu, mine, page)], [case.verdict] * 3,
                                 [(r["errors"][:3], r.get("shortfalls")) for r in (kesu, mine, page)])
                if case.verdict == bad_records.INVALID:
                    parts = [{e["part"] for e in r["errors"]} for r in (kesu, mine)] + [set(page["parts"])]
                    self.assertTrue(set.intersection(*parts), parts)

    def test_withdrawn_and_issued_anew(self):
        issuer = signed_records.Issuer(reissue.read(self.bundle), reissue.keys_by_operator(self.bundle, self))
        trust = issuer.trust(self.trust)
        for n, (name, files, verdict, absent) in enumerate(bad_records.withdrawn_cases(issuer)):
            with self.subTest(name):
                bundle = self.elsewhere / f"withdrawn-{n}"
                reissue.write(files, bundle)
                kesu, mine, page = self.reports(bundle, trust)
                self.assertEqual([r["verdict"] for r in (kesu, mine, page)], [verdict] * 3, [r["errors"][:4] for r in (kesu, mine, page)])
                if verdict != bad_records.INVALID:
                    levels = {c["id"]: c["level"] for c in kesu["claims"]}
                    self.assertEqual([{c["id"]: c["level"] for c in mine["claims"]}, page["levels"]], [levels] * 2)
                    self.assertLessEqual(set(absent), {c for c, level in levels.items() if level == "absent"})

    def test_the_certificate_says_nothing_of_its_stamps(self):
        """`dated` is the reader's own: what the certificate says of it would be true for one reader and a forgery to another."""
        authority = tsa.Tsa(self.elsewhere / "tsa")
        issuer = reissue.Issuer(reissue.read(self.bundle), reissue.keys_by_operator(self.bundle, self))
        trust = issuer.trust(self.trust)
        known = trust + f"tsa-ca {authority.root}\n"
        for name, words, verdict in (("nothing", {}, "complete"), ("dated", {"dated": {"level": "attested"}}, "invalid"),
                                     ("its words", {"dated": {"detail": "in time", "rests_on": ["time-stamps over the signature"]}}, "invalid")):
            with self.subTest(name):
                bundle = self.elsewhere / f"stamped-{name}"
                reissue.write(bad_records.stamped(issuer, authority, words), bundle)
                for lines, files in ((trust, ()), (known, (authority.root,))):
                    kesu, mine, page = self.reports(bundle, lines, trust_files=files)
                    self.assertEqual([r["verdict"] for r in (kesu, mine, page)], [verdict] * 3, (kesu["errors"], mine["errors"], page["errors"]))

    # Honest ones.

    def same(self, name, verdict, *datasets, profile="low"):
        erasure = self.approved(*datasets)
        self.run_erasure(erasure)
        bundle = self.elsewhere / name
        self.box.kesu("certificate", "bundle", erasure, "-o", bundle)
        trust = self.box.run(harness.program("kesu"), "trust", "propose", bundle, "--json").json["trust"]
        kesu, mine, page = self.reports(bundle, trust, profile)
        self.assertEqual((kesu["verdict"], kesu["errors"]), (verdict, []), kesu["shortfalls"])
        self.assertEqual(mine, kesu)
        self.assertEqual((page["verdict"], page["errors"]), (verdict, []))
        self.assertEqual({**self.saved(), "shortfalls": kesu["shortfalls"]}, kesu)
        return kesu

    def fresh(self, name, key=None, *words):
        """A dataset under a key of its own."""
        if key is None:
            key = self.box.kesu("key", "create", name).json["name"]
        self.box.kesu("dataset", "add", name, "--key", key, "--chunk", str(scenario.CHUNK), *words)
        self.box.kesu("seal", name, self.write(f"{name}.txt", name.encode(), below=name).parent, "-o", self.box.state / f"out-{name}")
        return name

    def test_a_key_that_was_imported(self):
        key = self.box.state / "key.bin"
        key.write_bytes(bytes(range(7, 39)))
        key.chmod(0o600)
        copy = self.box.kesu("key", "import", "legacy", "--from", f"file:{key}", "--origin-place", "safe 2", "--custodian", "C").json["copy"]
        self.fresh("old", "legacy")
        self.box.kesu("copy", "destroy", copy, "--how", "shredded", "--as", scenario.OPERATOR)
        report = self.same("imported", "incomplete", "old")
        self.assertIn("was imported: what it was before is somebody's word", json.dumps(report))

    def test_a_key_that_was_adopted(self):
        self.pkcs11_tool("--keygen", "--key-type", "AES:32", "--label", "archive", "--id", "a1b2", "--sensitive")
        self.box.kesu("key", "adopt", "archive", "pkcs11:token=kesu-test;object=archive")
        self.fresh("kept", "archive")
        self.same("adopted", "incomplete", "kept")

    def test_a_version_destroyed_before_and_a_compromise(self):
        self.fresh("rotated")
        self.box.kesu("key", "rotate", "rotated")
        self.box.kesu("rewrap", "rotated")
        self.box.kesu("key", "destroy", "rotated.1", "-y")
        self.same("before", "complete", "rotated")
        self.fresh("lost")
        self.box.kesu("key", "compromise", "lost", "--reason", "stolen", "-y")
        self.same("compromised", "incomplete", "lost")

    def test_everything_more_than_once(self):
        """What a certificate lists comes in one order to all: of the ledger, or of identifiers, which are random."""
        box, by, names = self.box, ("--as", scenario.OPERATOR), ("one", "two", "three")
        for name in ("first", "second"):
            box.kesu("key", "create", name)
        for name, key in zip(names, ("first", "second", "first")):
            self.fresh(name, key, "--owner", name)
        for turn in range(2):
            for name in names:
                box.kesu("dataset", "update", name, "--owner", f"{name} {turn}", "--fingerprints", "on" if turn else "off", "--reason", "moved")
            for key in ("second", "first"):
                box.kesu("key", "rotate", key)
            for name in reversed(names):
                box.kesu("seal", name, self.write(f"{name}-{turn}.txt", b"more", below=f"{name}-{turn}").parent, "-o", box.state / f"more-{name}")
                box.kesu("rewrap", name)
                box.kesu("open", box.state / f"more-{name}", "-o", box.state / f"opened-{name}-{turn}")
                box.kesu("inventory", "scan", name, box.path, code=(0, 8))
            for key in ("first", "second"):
                box.kesu("key", "destroy", f"{key}.{turn + 1}", "-y")
        copies = [box.kesu("copy", "add", key, "--kind", "backup", "--place", place, "--custodian", "C", "--medium", "tape").json["id"]
                  for place in ("safe 1", "safe 2") for key in ("second.3", "first.3")]
        for copy in sorted(copies):
            box.kesu("copy", "destroy", copy, "--how", "shredded", *by)
        holds = [box.kesu("hold", "place", name, "--case", "2026-118", "--reason", reason, *by).json for reason in ("order", "appeal") for name in names]
        for hold in sorted(h["id"] for held in holds for h in (held if isinstance(held, list) else [held])):
            box.kesu("hold", "release", hold, "--reason", "closed", *self.signer(scenario.APPROVER))
        for person in (scenario.APPROVER, scenario.OPERATOR):
            for place in ("Tokyo", "Osaka"):
                box.kesu("vault", "contact", "--of", person, "--place", place)
        for _ in range(2):
            box.kesu("erase", "cancel", self.approved("one", "three"), "--reason", "not yet")
        self.same("many", "complete", *names)

    def test_payloads_that_are_not_bound(self):
        self.fresh("bare", None, "--header-only")
        report = self.same("bare", "incomplete", "bare", profile="standard")
        self.assertIn("the payloads of bare are not bound to the inventory; profile standard asks for it", report["shortfalls"])


if __name__ == "__main__":
    scenario.main()
