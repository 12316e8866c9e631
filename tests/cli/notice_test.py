"""Documents of stages at which there is nothing to certify: notice of disablement, superseding record, failure report.
Each is signed and recorded, and nobody, person or program, can take it for a certificate."""
import hashlib
import json
import pathlib
import shutil
import sys

sys.path.insert(0, str(pathlib.Path(__file__).parents[1] / "support"))
import harness
import harness_kill
import reissue
import scenario
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ec
from scenario import APPROVER

ROOT = pathlib.Path(__file__).resolve().parents[2]
SCRIPT = ROOT / "scripts" / "verify_certificate.py"


class Notice(scenario.World):
    @classmethod
    def prepare(cls):
        cls.box.kesu("vault", "contact", "--contact", "+81 3 0000 0000")
        cls.seal("loans-2019", {"a": b"one", "b": b"two"})

    def issue(self, erasure, command="notice", name="notice", **options):
        path = self.box.state / name
        issued = self.box.kesu("certificate", command, erasure, "-o", path, **options).json
        return path, issued

    def document(self, path):
        text = (path / "notice.json").read_bytes()
        report = self.box.run(harness.program("kesu"), "verify", path, "--json", code=7).json
        self.assertEqual((report["verdict"], report["errors"]), ("no-certificate", []))
        # Stock tools check it, too.
        self.box.run("openssl", "cms", "-verify", "-cades", "-binary", "-content", path / "notice.json", "-inform", "DER", "-in",
                     path / "notice.json.p7s", "-CAfile", path / "signer.pem", "-purpose", "any", "-out", "/dev/null")
        document = json.loads(text)
        self.assertEqual(text.decode(), json.dumps(document, ensure_ascii=False, sort_keys=True, separators=(",", ":")))
        entry = [e for e in self.entries() if e["nodes"][0]["id"] == document["id"]][0]
        self.assertEqual(entry["nodes"][0]["of"], document["erasure"])
        self.assertEqual(entry["nodes"][0]["d"], self.box.run("sha256sum", path / "notice.json").stdout.split()[0])
        self.assertEqual(entry["body"]["stage"], document["stage"])
        html = (path / "notice.html").read_text()
        for part in ("消去の証明書ではない", "This is no certificate", document["statement"]["ja"][:20], document["id"], "loans-2019"):
            self.assertIn(part, html)
        self.assertNotIn("<script", html)
        return document, report, entry

    def due(self):
        return [d for d in self.box.kesu("status").json["due"] if "superseding" in d["next"]]

    def never_erased(self, document):
        for said in document["statement"].values():
            self.assertNotIn("erased", said)
            self.assertNotIn("消去した", said)
            self.assertNotIn("消去済み", said)

    def test_a_notice_at_each_stage_before(self):
        erasure = self.plan("loans-2019")["erasure"]
        self.request(erasure)
        document, report, _ = self.document(self.issue(erasure)[0])
        self.assertEqual((document["type"], document["stage"], document["reversible_until"]), ("kesu-notice-v1", "requested", None))
        self.assertEqual((report["document"], report["signer_known"]), ("notice", False))
        self.approve(erasure)
        document, _, _ = self.document(self.issue(erasure, name="second")[0])
        approved = [e for e in self.entries() if e["type"] == "erasure-approved"][0]
        self.assertEqual((document["stage"], document["reversible_until"]), ("approved", approved["time"]))
        key, = document["keys"]
        self.assertEqual((key["name"], key["outcome"], key["state"], key["time"]), ("loans.1", "withheld", "active", None))
        dataset, = document["datasets"]
        self.assertEqual((dataset["name"], dataset["state"], dataset["objects"]), ("loans-2019", "frozen", 2 + 1))
        self.assertEqual(document["contact"]["contact"], "+81 3 0000 0000")
        self.assertIn("Nothing has been destroyed", document["statement"]["en"])
        self.never_erased(document)
        self.assertEqual(self.opened(self.out), {"src/a": b"one", "src/b": b"two"})      # as the notice says
        trust = self.box.path / "trust"
        trust.write_text(f"signer sha256:{document['signer']['certificate']}\n")
        report = self.box.run(harness.program("kesu"), "verify", self.box.state / "second", "--trust", trust, "--json", code=7).json
        self.assertTrue(report["signer_known"])
        text = self.box.run(harness.program("kesu"), "verify", self.box.state / "second", code=7).stdout
        self.assertIn("this is no certificate", text)
        self.assertNotIn("COMPLETE", text)
        # Once it has run, no notice would be true; the certificate needs no superseding record.
        self.run_erasure(erasure)
        self.issue(erasure, name="late", code=3, error="state-refused")
        self.assertEqual(self.due(), [])
        self.box.kesu("certificate", "bundle", erasure, "-o", self.box.state / "bundle")
        self.box.kesu("ledger", "verify")

    def test_cancelled_it_is_superseded(self):
        erasure = self.plan("loans-2019")["erasure"]
        self.request(erasure)
        first, _, _ = self.document(self.issue(erasure)[0])
        self.approve(erasure)
        second, _, _ = self.document(self.issue(erasure, name="second")[0])
        self.assertEqual(self.due(), [])
        self.box.kesu("erase", "cancel", erasure, "--reason", "contract goes on")
        due, = self.due()
        self.assertTrue(due["overdue"])
        self.assertIn(f"kesu certificate notice {erasure[:12]}", due["next"])
        document, report, entry = self.document(self.issue(erasure, name="superseding")[0])
        self.assertEqual((document["type"], report["document"], document["stage"]), ("kesu-superseding-v1", "superseding", "cancelled"))
        self.assertEqual({n["id"] for n in document["supersedes"]}, {first["id"], second["id"]})
        self.assertEqual((entry["type"], entry["body"]["notice"] in (first["id"], second["id"])), ("notice-superseded", True))
        self.assertEqual([k["outcome"] for k in document["keys"]], ["in-use"])
        self.never_erased(document)
        self.assertEqual(self.due(), [])
        (self.box.vault / "registers.db").unlink()
        self.assertEqual(self.due(), [])
        again, _, _ = self.document(self.issue(erasure, name="again")[0])        # there is one, and it is written out
        self.assertEqual(again, document)

    def test_the_same_once_more(self):
        """A kill may come before it was written out: what was recorded is, with the same bytes, and not another one."""
        erasure = self.plan("loans-2019")["erasure"]
        self.request(erasure)

        def killed_and_again(name):
            path = self.box.state / name
            words = ("certificate", "notice", erasure, "-o", path)
            for call, under, at in (("renameat2", f"{path.parent}/.{name}.part-", 3), ("renameat2", str(path), 1)):
                *_, killed, result = harness_kill.traced(self.box.kesu_command(*words), at, env=self.box.env,
                                                         only=("--call", call, "--under", under))
                self.assertTrue(killed, result)
                self.assertFalse(path.exists())                                  # whole, or not there
            said = self.box.kesu(*words).json
            self.assertEqual(list(path.parent.glob(f".{name}*")), [])
            self.issue(erasure, name=f"{name}-again")
            self.assertEqual(self.files_below(path), self.files_below(self.box.state / f"{name}-again"))
            document, _, _ = self.document(path)
            self.assertEqual(document["id"], said["id"])
            return document

        first = killed_and_again("first")
        self.approve(erasure)
        second = killed_and_again("second")                                      # it says something else
        self.assertNotEqual(first["id"], second["id"])
        self.box.kesu("erase", "cancel", erasure, "--reason", "contract goes on")
        last = killed_and_again("last")
        self.assertEqual({n["id"] for n in last["supersedes"]}, {first["id"], second["id"]})
        types = [e["type"] for e in self.entries()]
        self.assertEqual((types.count("notice-issued"), types.count("notice-superseded")), (2, 1))

    def test_rejected_without_a_notice_nothing_is_due(self):
        erasure = self.plan("loans-2019")["erasure"]
        self.request(erasure)
        self.box.kesu("erase", "reject", erasure, *self.signer(APPROVER))
        self.assertEqual(self.due(), [])
        self.issue(erasure, code=3, error="state-refused")

    def test_a_run_that_did_not_end(self):
        self.box.kesu("key", "rotate", "loans")
        self.seal("loans-2019", {"c": b"three"}, below="more")
        erasure = self.approved("loans-2019")
        self.issue(erasure, command="failure", name="early", code=3, error="state-refused")
        self.box.snapshot("approved-two")
        versions = [self.version_of("loans", n) for n in (1, 2)]
        command = self.box.kesu_command("erase", "run", erasure, "-y")
        # Killed when the second key's object file is about to go: the ledger knows of the first, and asks about the second.
        under = ("--call", "unlink", "--under", f"{self.box.state / 'token'}/")
        calls, _, _ = harness_kill.traced(command, env=self.box.env, only=under)
        calls = [c for c in calls if c.name == "unlink" and c.target.startswith(under[-1])]
        objects = [n for n, c in enumerate(calls, 1) if c.target.endswith(".object")]
        self.assertEqual(len(objects), 2, calls)
        self.box.restore("approved-two")
        _, killed, _ = harness_kill.traced(command, at=objects[1], env=self.box.env, only=under)
        self.assertTrue(killed)
        self.issue(erasure, name="late", code=3, error="state-refused")      # a notice would be a lie
        self.box.restore("approved-two")
        harness_kill.traced(command, at=objects[1], env=self.box.env, only=under)
        document, report, entry = self.document(self.issue(erasure, command="failure", name="failure")[0])
        self.assertEqual((document["type"], report["document"], entry["type"]), ("kesu-failure-v1", "failure", "failure-reported"))
        said = {k["version"]: k for k in document["keys"]}
        done, = (e for e in self.entries() if e["type"] == "destroy-done")
        self.assertEqual({v: said[v]["outcome"] for v in versions}, {versions[0]: "destroyed", versions[1]: "unknown"})
        self.assertEqual((said[versions[0]]["evidence"], said[versions[0]]["time"]), ([done["body"]["receipt"]], done["time"]))
        self.assertIn("1 destroyed, 0 not destroyed, 1 unknown", document["statement"]["en"])
        # It is finished all the same.
        self.run_erasure(erasure)
        self.issue(erasure, command="failure", name="done", code=3, error="state-refused")
        self.box.kesu("certificate", "bundle", erasure, "-o", self.box.state / "bundle")

    def test_nobody_takes_it_for_a_certificate(self):
        erasure = self.approved("loans-2019")
        path, _ = self.issue(erasure)
        # As it is, under a certificate's names, and in the place of one in a real bundle.
        fake = self.box.state / "fake"
        fake.mkdir()
        for name, other in (("notice.json", "certificate.json"), ("notice.json.p7s", "certificate.json.p7s")):
            shutil.copy(path / name, fake / other)
        self.run_erasure(erasure)
        bundle = self.box.state / "bundle"
        self.box.kesu("certificate", "bundle", erasure, "-o", bundle)
        shutil.copy(path / "notice.json", bundle / "certificate.json")
        shutil.copy(path / "notice.json.p7s", bundle / "certificate.json.p7s")
        kesu = harness.program("kesu")
        for directory in (fake, bundle):
            self.assertEqual(self.box.run(kesu, "verify", directory, "--json", code=6).json["verdict"], "invalid")
            self.box.run("/usr/bin/python3", "-B", SCRIPT, directory, code=6)
        self.assertIn("NO CERTIFICATE", self.box.run("/usr/bin/python3", "-B", SCRIPT, path, code=7).stdout)

    def test_altered(self):
        path, _ = self.issue(self.approved("loans-2019"))
        good = (path / "notice.json").read_text()
        for change in (good.replace("approved", "destroyed"), good.replace("kesu-notice-v1", "kesu-certificate-v1"), "{}", good + "\n"):
            (path / "notice.json").write_text(change)
            report = self.box.run(harness.program("kesu"), "verify", path, "--json", code=6).json
            self.assertEqual(report["verdict"], "invalid")
            self.assertTrue(report["errors"])
        # Signed, by somebody who words it himself.
        key = ec.generate_private_key(ec.SECP384R1())
        certificate = reissue.signer_certificate(key)
        der = certificate.public_bytes(serialization.Encoding.DER)
        document = json.loads(good)
        document["signer"]["certificate"] = hashlib.sha256(der).hexdigest()
        lie = {"en": "All of it is erased.", "ja": "消去済み"}
        destroyed = [{**k, "outcome": "destroyed"} for k in document["keys"]]
        for more, word in (({}, None), ({"statement": lie}, "statement"), ({"stage": "destroyed"}, "stage"), ({"keys": destroyed}, "outcome"),
                           ({"keys": []}, "keys"), ({"stage": "running"}, "statement")):
            data = reissue.canonical({**document, **more})
            (path / "notice.json").write_bytes(data)
            (path / "notice.json.p7s").write_bytes(reissue.cms(key, certificate, data))
            report = self.box.run(harness.program("kesu"), "verify", path, "--json", code=6 if word else 7).json
            self.assertEqual([word in e["what"] for e in report["errors"]], [True] if word else [], report["errors"])
        (path / "notice.json").write_text(good)
        (path / "notice.json.p7s").unlink()
        self.box.run(harness.program("kesu"), "verify", path, code=6)


if __name__ == "__main__":
    scenario.main()
