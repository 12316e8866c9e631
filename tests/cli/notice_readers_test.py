"""Notices, superseding records and failure reports, stamped: `kesu verify`, the second reader and the page say the same of
each, take no bad one, and tell what a newer extract of the ledger shows."""
import json
import pathlib
import shutil
import sys

ROOT = pathlib.Path(__file__).resolve().parents[2]
sys.path[:0] = [str(ROOT / "tests" / "support"), str(ROOT / "scripts")]
import debian_python  # noqa: F401
import bad_notices
import bad_tokens
import countersigned
import harness
import scenario
import tsa
import verify_page
from kesu_verifier import notices

SCRIPT = ROOT / "scripts" / "verify_certificate.py"
PARTS = (bad_notices.DOCUMENT, bad_notices.P7S, bad_notices.TSR, bad_notices.CHAIN)
UNKNOWN = {"state": "unknown", "by": "", "as_of": 0, "log_known": False}


class NoticeReaders(verify_page.Driver, scenario.World):
    @classmethod
    def prepare(cls):
        box = cls.box
        cls.tsa = tsa.Tsa(box.path / "tsa")
        cls.server = tsa._Serving(cls.tsa)
        cls.addClassCleanup(cls.server.close)
        config = box.vault / "kesu.toml"
        config.write_text(config.read_text() + f'[[time.authority]]\nurl = "{cls.server.url}"\nca = "{cls.tsa.root}"\n')
        cls.seal("loans-2019", {"a": b"one", "b": b"two"})
        cls.elsewhere = box.path / "elsewhere"
        cls.elsewhere.mkdir()
        cls.case = cls("setUp")
        erasure = cls.case.approved("loans-2019")
        issue = lambda name: box.kesu("certificate", "notice", erasure, "-o", cls.elsewhere / name)  # noqa: E731
        issue("notice")
        cls.tsa.mode = "http-500"
        box.kesu("vault", "contact", "--contact", "another desk")       # else it is the same notice, written out again
        cls.late = issue("unstamped")
        cls.tsa.mode = "good"
        box.kesu("ledger", "extract", "-o", cls.elsewhere / "during")
        box.kesu("erase", "cancel", erasure, "--reason", "contract goes on")
        box.kesu("ledger", "extract", "-o", cls.elsewhere / "cancelled.zip")
        issue("superseding")
        box.kesu("ledger", "extract", "-o", cls.elsewhere / "after")
        cls.good = {name: cls.files_of(cls.elsewhere / name) for name in ("notice", "unstamped", "superseding")}
        cls.documents = {name: json.loads(files["notice.json"]) for name, files in cls.good.items()}
        cls.log = (cls.elsewhere / "after" / "trust" / "ledger.vkey").read_text().strip()
        cls.known = f"signer sha256:{cls.documents['notice']['signer']['certificate']}\ntsa-ca {cls.tsa.root}\nlog {cls.log}\n"
        cls.open_page()

    @staticmethod
    def files_of(path):
        return {name: (path / name).read_bytes() for name in PARTS if (path / name).exists()}

    def put(self, files, name="made"):
        path = self.elsewhere / name
        shutil.rmtree(path, ignore_errors=True)
        path.mkdir()
        for file, data in files.items():
            (path / file).write_bytes(data)
        return path

    def readers(self, path, *words, trust="", page=True):
        """The report of all three, which is one but for the words of errors."""
        file = self.elsewhere / "trust"
        file.write_text(trust)
        first = self.box.run(harness.program("kesu"), "verify", path, "--trust", file, "--json", *words, code=None)
        second = self.box.run("/usr/bin/python3", "-B", SCRIPT, path, "--trust", file, "--json", *words, code=None)
        self.assertEqual(first.code, second.code, (first.stdout, second.stdout))
        mine, his = first.json, second.json
        self.assertEqual(first.code, {"no-certificate": 7, "invalid": 6}[mine["verdict"]])
        reports = [his]
        if page:
            said = self.check(path, trust=trust.replace(str(self.tsa.root), "root.pem") + pathlib.Path(self.tsa.root).read_text())
            self.assertEqual((said["verdict"], said["colour"]), (mine["verdict"], verify_page.RED if mine["errors"] else verify_page.AMBER), said)
            self.assertNotIn("COMPLETE", said["text"])
            self.assertNotIn("COMPLETE", said["words"])
            reports.append(self.saved())
        for report in reports:
            for member in set(mine) - {"errors"} - ({"document", "time", "revocation"} if mine["errors"] else set()):
                self.assertEqual(report[member], mine[member], member)
            self.assertEqual(bool(report["errors"]), bool(mine["errors"]))
            if mine["errors"]:
                self.assertTrue({e["part"] for e in report["errors"]} & {e["part"] for e in mine["errors"]}, (report["errors"], mine["errors"]))
        return mine

    def test_good_ones_are_stamped_and_read_alike(self):
        for name, word in (("notice", "notice"), ("superseding", "superseding")):
            with self.subTest(name):
                report = self.readers(self.elsewhere / name, trust=self.known)
                self.assertEqual((report["document"], report["signer_known"], report["superseded"]), (word, True, UNKNOWN))
                self.assertEqual([(t["over"], t["trusted"], t["why"]) for t in report["time"]], [("signature", True, ""), ("notice.json.p7s", True, "")])
                self.assertEqual(report["statement"], self.documents[name]["statement"])
                text = self.box.run("/usr/bin/python3", "-B", SCRIPT, self.elsewhere / name, code=7).stdout
                self.assertTrue(text.endswith("NO CERTIFICATE\n"))
        with self.subTest("nobody's anchors"):
            report = self.readers(self.elsewhere / "notice")
            self.assertFalse(report["signer_known"] or report["time"][0]["trusted"])
        with self.subTest("no authority answered: it is issued all the same, and says so"):
            report = self.readers(self.elsewhere / "unstamped", trust=self.known)
            self.assertEqual((report["verdict"], report["time"], report["signer_known"]), ("no-certificate", [], True))
            self.assertIn("has no time-stamp", self.late.stderr)
        with self.subTest("what was fetched is in the ledger, and stock tools take it"):
            entry = [e for e in self.entries() if e["type"] == "notice-issued"]
            self.assertEqual([bool(e["body"].get("time")) for e in entry], [True, False])
            self.assertEqual(self.box.run("sha256sum", self.elsewhere / "notice" / "notice.json.p7s.tsr").stdout.split()[0], entry[0]["body"]["time"]["signature"])
            self.box.run("openssl", "ts", "-verify", "-data", "notice.json.p7s", "-in", "notice.json.p7s.tsr", "-CAfile", self.tsa.root, "-untrusted", "tsa.pem",
                         cwd=self.elsewhere / "notice")
            self.box.kesu("ledger", "verify")

    def test_every_wording(self):
        signer, base = bad_notices.Signer(), self.documents["notice"]
        keys = [base["keys"][0] | {"outcome": o} for o in ("destroyed", "not-destroyed", "unknown", "not-tried")]
        two = [*base["datasets"], base["datasets"][0] | {"name": "給与 <2020>"}]
        for changes in ({"stage": "running", "datasets": two}, {"stage": "requested", "keys": keys[:1] * 2},
                        {"type": "kesu-failure-v1", "stage": "failed", "keys": keys}, {"type": "kesu-failure-v1", "stage": "running", "keys": keys[:1]}):
            document = base | changes
            if document["type"] == "kesu-notice-v1":
                document["keys"] = [k | {"outcome": "withheld"} for k in document["keys"]]
            document["statement"] = notices.statement(document)
            report = self.readers(self.put(signer.files(document)), trust=f"signer sha256:{signer.digest}\n")
            self.assertEqual((report["verdict"], report["signer_known"], report["statement"]), ("no-certificate", True, document["statement"]), report)

    def test_bad_ones(self):
        cases = [*bad_notices.altered(self.good["notice"], self.good["superseding"]),
                 *bad_notices.worded(self.documents["notice"], self.documents["superseding"], notices.statement)]
        self.assertGreater(len(cases), 40)
        for name, files, part in cases:
            with self.subTest(name):
                report = self.readers(self.put(files), trust=self.known)
                self.assertEqual((report["verdict"], report["signer_known"], report["id"], report["statement"], report["superseded"]),
                                 ("invalid", False, "", None, UNKNOWN))
                self.assertTrue(any(part in e["part"] for e in report["errors"]), (part, report["errors"]))

    def test_chain_files_and_what_stands_unsigned(self):
        """As of a certificate."""
        signer = bad_notices.Signer()
        files, trust = signer.files(self.documents["notice"]), self.known + f"signer sha256:{signer.digest}\n"
        answer, value = self.tsa.stamp(files[bad_notices.P7S])[0], countersigned.value_of(files[bad_notices.P7S])
        cases = [(name, {bad_notices.TSR: answer, bad_notices.CHAIN: chain}, bad_notices.CHAIN, good) for name, chain, good in bad_tokens.chains(self.tsa)]
        cases += [(name, {bad_notices.P7S: countersigned.with_unsigned(files[bad_notices.P7S], *attributes(value))}, bad_notices.P7S, good)
                  for name, attributes, good in bad_tokens.unsigned_of(self.tsa)]
        for name, changed, part, good in cases:
            with self.subTest(name):
                report = self.readers(self.put(files | changed), trust=trust)
                self.assertEqual((report["verdict"], [e["part"] for e in report["errors"]]), ("no-certificate", []) if good else ("invalid", [part]))

    def test_what_an_extract_shows(self):
        notice, record = self.elsewhere / "notice", self.elsewhere / "superseding"
        after = ("--ledger", self.elsewhere / "after")
        states = [self.readers(notice, "--ledger", self.elsewhere / e, trust=self.known, page=False)["superseded"] for e in ("during", "cancelled.zip", "after")]
        self.assertEqual([s["state"] for s in states], ["in-force", "ended", "superseded"])
        self.assertEqual(states[2]["by"], self.documents["superseding"]["id"])
        self.assertTrue(all(s["log_known"] and s["as_of"] for s in states))
        self.assertFalse(self.readers(notice, *after, page=False)["superseded"]["log_known"])
        self.assertEqual(self.readers(record, *after, page=False)["superseded"]["state"], "not-applicable")
        # The record is newer than these.
        report = self.readers(record, "--ledger", self.elsewhere / "during", page=False)
        self.assertEqual((report["verdict"], report["errors"][0]["part"]), ("invalid", "--ledger ledger/headers.gz"))
        with self.subTest("somebody else's document"):
            signer = bad_notices.Signer()
            mine = self.put(signer.files(self.documents["notice"], id=bad_notices.IDENTIFIER))
            self.assertEqual(self.readers(mine, *after, page=False)["superseded"]["state"], "not-recorded")
            report = self.readers(self.put(signer.files(self.documents["notice"], program="other")), *after, page=False)
            self.assertIn("another document", report["errors"][0]["what"])
        with self.subTest("a record that names another notice"):
            # Its own header is of the true one: what it says is not believed before that is noticed either.
            for change in ({"id": bad_notices.IDENTIFIER}, {"document": "0" * 64}):
                document = self.documents["superseding"]
                lie = signer.files(document, supersedes=[n | change for n in document["supersedes"][:1]] + document["supersedes"][1:])
                self.assertEqual(self.readers(self.put(lie), page=False)["verdict"], "no-certificate")
                self.assertEqual(self.readers(self.put(lie), *after, page=False)["verdict"], "invalid")
        with self.subTest("another ledger, or an altered extract"):
            broken = self.elsewhere / "broken"
            shutil.rmtree(broken, ignore_errors=True)
            shutil.copytree(self.elsewhere / "after", broken)
            (broken / "ledger" / "checkpoint-b").write_bytes((self.elsewhere / "during" / "ledger" / "checkpoint-b").read_bytes())
            self.assertEqual(self.readers(notice, "--ledger", broken, page=False)["verdict"], "invalid")
            report = self.readers(self.put(signer.files(self.documents["notice"], ledger=self.documents["notice"]["ledger"] | {"root": "0" * 64})), *after, page=False)
            self.assertEqual(report["errors"][0]["part"], "--ledger ledger/headers.gz")

    def test_with_a_certificate_beside_it_it_is_a_bad_bundle(self):
        path = self.put(self.good["notice"] | {"certificate.json": self.good["notice"]["notice.json"], "certificate.json.p7s": self.good["notice"]["notice.json.p7s"]})
        self.box.run(harness.program("kesu"), "verify", path, "--json", code=6)
        self.assertEqual(self.box.run("/usr/bin/python3", "-B", SCRIPT, path, "--json", code=6).json["verdict"], "invalid")
        self.red("notice.json", path, trust=self.known.replace(str(self.tsa.root), "root.pem") + pathlib.Path(self.tsa.root).read_text())


if __name__ == "__main__":
    scenario.main()
