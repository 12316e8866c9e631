"""`kesu certificate renew`: what a renewal adds, when it is due, when it is refused, and what both verifiers make of it."""
import json
import pathlib
import shutil
import socket
import sys
import zipfile

sys.path.insert(0, str(pathlib.Path(__file__).parents[1] / "support"))
import countersigned
import harness
import reissue
import renew_world
import renewals
import scenario
from clock_test import at
from renew_world import LOW, REQUIRED, day

PARTS = ("ledger", "manifest", "manifest.tsr", "tsa.pem")
ENDED = "its authority's certificate or an algorithm has ended, and no renewal covers it until now"
LATE = "it was made after what it renews had ended"


class Reader(renew_world.World):
    def both(self, bundle, trust=None, code=7, env=None):
        """The report, the same of both verifiers in all that does not depend on their own words."""
        path = self.box.path / "trust"
        path.write_text(self.trust if trust is None else trust)
        words = (bundle, "--trust", path, *LOW, "--json")
        first = self.box.run(harness.program("kesu"), "verify", *words, code=None, env=env)
        second = self.box.run("/usr/bin/python3", "-B", harness.SOURCE / "scripts" / "verify_certificate.py", *words, code=None,
                              env=env)
        report, codes = first.json, (first.code, second.code)
        second = second.json
        self.assertEqual(codes, (code, code), [report[n] + second[n] for n in ("errors", "shortfalls")])
        for member in ("verdict", "claims", "withdrawn", "signer_known"):
            self.assertEqual(report[member], second[member], member)
        plain = lambda rows: [{k: v for k, v in r.items() if k != "why"} for r in rows]
        self.assertEqual(plain(report["time"]), plain(second["time"]))
        if code == 7:
            self.assertEqual((report["errors"], second["errors"]), ([], []))
            self.assertEqual((report["shortfalls"], second["shortfalls"]), (renew_world.SHORT, renew_world.SHORT))
        elif code == 6:
            parts = lambda r: {e["part"] for e in r["errors"]}
            self.assertEqual(parts(report), parts(second))
        return report

    def levels(self, report):
        return tuple(c["level"] for c in report["claims"] if c["id"] in ("logged", "dated"))

    def rows(self, report):
        return {r["over"]: (r["trusted"], r["why"]) for r in report["time"]}


class Renewed(Reader):
    def bundle(self, name="twice"):
        """A copy that may be changed."""
        target = self.box.path / "bundle"
        shutil.rmtree(target, ignore_errors=True)
        shutil.copytree(self.elsewhere / name, target)
        return target

    def test_without_the_word_a_token_counts_as_of_its_own_time(self):
        for name, stamps in (("issued", 3), ("once", 4), ("twice", 5)):
            with self.subTest(name):
                report = self.both(self.elsewhere / name)
                self.assertEqual((self.levels(report), len(report["time"])), (("proven", "attested"), stamps))
                self.assertEqual({r["why"] for r in report["time"]}, {""})

    def test_a_reader_who_requires_renewal(self):
        """Today, after the first and the second authority's ends: only an unbroken chain up to now counts."""
        strict = self.trust + REQUIRED
        report = self.both(self.elsewhere / "issued", strict)
        self.assertEqual(self.levels(report), ("asserted", "absent"))
        self.assertEqual(set(self.rows(report).values()), {(False, ENDED)})
        report = self.both(self.elsewhere / "once", strict)
        self.assertEqual(self.levels(report), ("asserted", "absent"))
        self.assertEqual(self.rows(report)["renewal/1.manifest"], (True, ""))
        report = self.both(self.elsewhere / "twice", strict)
        self.assertEqual(self.levels(report), ("proven", "attested"))
        self.assertEqual(list(self.rows(report)), ["signature", "certificate.json.p7s", "ledger/checkpoint-b", "renewal/1.manifest",
                                                   "renewal/2.manifest"])
        detail = {c["id"]: c["detail"] for c in report["claims"]}["dated"]
        second = report["time"][-1]
        self.assertIn(f", renewed at {second['at']}, by CN=Third Time,O=Test", detail)

        with self.subTest("who verified before that end needed none"):
            for name, days in (("issued", -110), ("once", -70), ("twice", 0)):
                self.assertEqual(self.levels(self.both(self.elsewhere / name, strict, env=at(f"{days:+}d"))), ("proven", "attested"))

        with self.subTest("when even the third has ended, and when its algorithm has"):
            for env in (at("+4200d"), at("+30000d")):
                self.assertEqual(self.levels(self.both(self.elsewhere / "twice", strict, env=env)), ("asserted", "absent"))

        with self.subTest("an authority that the reader does not trust renews nothing"):
            report = self.both(self.elsewhere / "twice", strict.replace(f"tsa-ca {self.tsa.root}\n", ""))
            self.assertEqual(self.levels(report), ("asserted", "absent"))

        with self.subTest("the standard bar says why"):
            path = self.box.path / "trust"
            path.write_text(strict)
            words = ("verify", self.elsewhere / "issued", "--trust", path, "--require", "standard", "--allow-test-grade", "--json")
            report = self.box.run(harness.program("kesu"), *words, code=7).json
            self.assertIn(f"the time-stamp over certificate.json.p7s is of CN=First Time,O=Test and does not count: {ENDED}", report["shortfalls"])
        path.write_text(self.trust + "tsa-renewal wanted\n")
        self.box.run(harness.program("kesu"), "verify", self.elsewhere / "issued", "--trust", path, code=2)

    def test_an_authority_that_was_revoked_renews_nothing(self):
        self.tsa.revoke("tsa", renew_world.day(-10))  # the third's: whenever that was
        lists = self.box.path / "lists.pem"
        lists.write_text(self.tsa.lists())
        trust = self.trust + f"signer-crl {lists}\n"
        report = self.both(self.elsewhere / "twice", trust)
        rows = {r["over"]: (r["trusted"], r["revocation"]["state"]) for r in report["time"]}
        self.assertEqual((rows["renewal/2.manifest"], rows["renewal/1.manifest"][0], rows["signature"][0]), ((False, "revoked"), True, True))
        self.assertEqual(self.levels(report)[1], "attested")
        # Without the third, what the second renewed has ended.
        self.assertEqual(self.levels(self.both(self.elsewhere / "twice", trust + REQUIRED))[1], "absent")

    def test_what_is_in_it(self):
        bundle = self.bundle()
        self.assertEqual((bundle / "MANIFEST").read_bytes(), (self.elsewhere / "issued" / "MANIFEST").read_bytes())
        listed = [line.split("  ")[1] for line in (bundle / "renewal/2.manifest").read_text().splitlines()]
        self.assertEqual(listed, sorted(listed))
        for name in ("MANIFEST", "certificate.json", "certificate.json.p7s", "time/certificate.json.p7s.tsr", "trust/tsa.pem", "plan.json",
                     "ledger/checkpoint-a", "renewal/1.ledger", "renewal/1.manifest", "renewal/1.manifest.tsr", "renewal/1.tsa.pem",
                     "renewal/2.ledger"):
            self.assertIn(name, listed)
        entries = [e for e in self.entries() if e["type"] == "certificate-renewed"]
        self.assertEqual([e["body"]["n"] for e in entries], [1, 2])
        self.assertEqual({e["nodes"][0]["id"] for e in entries}, {self.certificate})
        self.box.kesu("ledger", "verify")
        row, = self.box.kesu("certificate", "list").json
        self.assertEqual((row["renewals"], row["state"]), (2, "issued"))
        self.assertTrue(row["renew_before"].startswith(f"{day(4000)[:4]}-"))
        self.assertIn("CN=Third Time", row["renew_why"])

        with self.subTest("written again it is the same, byte for byte"):
            again = self.box.path / "again"
            self.travel(renew_world.TWICE)
            self.addCleanup(self.travel, 0)
            self.box.kesu("certificate", "bundle", self.erasure, "-o", again)
            self.assertEqual({n: reissue.sha(d) for n, d in self.files_below(again).items()},
                             {n: reissue.sha(d) for n, d in self.files_below(self.elsewhere / "twice").items()})

        with self.subTest("by hand, as docs/verify-by-hand.md says"):
            text = (harness.SOURCE / "docs" / "verify-by-hand.md").read_text()
            part = text.partition("<!-- renewal -->")[2].partition("<!-- /renewal -->")[0]
            recipe = part.partition("```sh\n")[2].partition("```")[0]
            self.assertIn("openssl ts -verify", recipe)
            done = self.box.run("sh", "-ec", recipe.replace("ROOT.pem", str(self.tsa.root)), cwd=bundle)
            self.assertEqual(done.stdout.count("Verification: OK"), 2)
            (bundle / "plan.json").write_bytes(b"{}")
            self.box.run("sh", "-ec", recipe.replace("ROOT.pem", str(self.tsa.root)), cwd=bundle, code=1)

    def test_tampering(self):
        """Whoever has the bundle alone can change nothing in a renewal."""
        def edit(name, change):
            return lambda b: (b / name).write_text(change((b / name).read_text()))

        def each(b, n, do):
            for name in PARTS:
                do(b / f"renewal/{n}.{name}", name)

        def swap(b):
            each(b, 1, lambda p, name: p.rename(b / f"renewal/3.{name}"))
            each(b, 2, lambda p, name: p.rename(b / f"renewal/1.{name}"))
            each(b, 3, lambda p, name: p.rename(b / f"renewal/2.{name}"))

        def flipped(text):
            return ("0" if text[0] != "0" else "1") + text[1:]

        copy = lambda a, b: lambda x: (x / b).write_bytes((x / a).read_bytes())
        cases = {
            "a file left out": edit("renewal/2.manifest", lambda t: t.partition("\n")[2]),
            "over other bytes": edit("renewal/2.manifest", flipped),
            "token over other bytes": copy("renewal/1.manifest.tsr", "renewal/2.manifest.tsr"),
            "another chain": copy("renewal/1.tsa.pem", "renewal/2.tsa.pem"),
            "reordered": swap,
            "the last one removed": lambda b: each(b, 2, lambda p, _: p.unlink()),
            "the first one removed": lambda b: each(b, 1, lambda p, _: p.unlink()),
            "one more than were made": lambda b: each(b, 2, lambda p, name: shutil.copy(p, b / f"renewal/3.{name}")),
            "a file of it removed": lambda b: (b / "renewal/1.ledger").unlink(),
            "another ledger": edit("renewal/1.ledger", flipped),
            "what it covers": edit("README.txt", lambda t: t + " "),
        }
        for name, change in cases.items():
            with self.subTest(name):
                bundle = self.bundle()
                change(bundle)
                report = self.both(bundle, self.trust + REQUIRED, code=6)
                self.assertEqual(report["verdict"], "invalid")

        with self.subTest("a file that is none"):
            (self.bundle() / "renewal/1.other").write_text("x")
            self.box.run(harness.program("kesu"), "verify", self.box.path / "bundle", "--json", code=6, error="bundle-invalid")
            script = harness.SOURCE / "scripts" / "verify_certificate.py"
            self.box.run("/usr/bin/python3", "-B", script, self.box.path / "bundle", code=6)

    def test_an_unfaithful_issuer(self):
        """Who holds every key of the vault, but not the authority's."""
        files = reissue.read(self.elsewhere / "issued")
        keys = self.officer_keys(files)
        drop = lambda text: "".join(l + "\n" for l in text.splitlines() if not l.endswith("  plan.json"))
        other = lambda text: "".join(("0" * 128 + l[128:] if l.endswith("  plan.json") else l) + "\n" for l in text.splitlines())
        more = lambda text: text + "0" * 128 + "  trust/signer.crl\n"

        def judged(name, days, code=7, **wrong):
            """One honest renewal while the second authority lasted, and another one by the third, changed."""
            forger = renewals.Forger(files, keys, self.tsa)
            self.authority("Second Time", -260, -60)
            forger.renew({**at("-250d"), "PATH": "/usr/bin:/bin"})
            self.authority("Third Time", -300, 4000)
            forger.renew({**at(f"{days}d"), "PATH": "/usr/bin:/bin"}, **wrong)
            bundle = self.box.path / "forged"
            shutil.rmtree(bundle, ignore_errors=True)
            reissue.write(forger.files, bundle)
            return self.both(bundle, forger.issuer.trust(self.trust), code=code)

        with self.subTest("as it should be"):
            self.assertEqual(self.rows(judged("good", -150)), {"renewal/1.manifest": (True, ""), "renewal/2.manifest": (True, "")})
        with self.subTest("after the end of what it renews"):
            self.assertEqual(self.rows(judged("late", -50)), {"renewal/1.manifest": (True, ""), "renewal/2.manifest": (False, LATE)})
        cases = {
            "leaves a file out": ("renewal/2.manifest", {"manifest": drop}),
            "over other bytes": ("renewal/2.manifest", {"manifest": other}),
            "one that it may not list": ("renewal/2.manifest", {"manifest": more}),
            "token over other bytes": ("renewal/2.manifest.tsr", {"token_over": b"other"}),
            "other headers": ("renewal/2.ledger", {"ledger": lambda t: "0" * 128 + t[128:]}),
            "fewer headers": ("renewal/2.ledger", {"ledger": lambda t: t.partition("  headers ")[0] + "  headers 5\n"}),
            "another body": ("renewal/2.ledger", {"ledger": lambda t: t[:-1].rpartition("\n")[0] + "\n" + "0" * 128 + t[:-1].rpartition("\n")[2][128:] + "\n"}),
            "another number": ("renewal/2.manifest", {"body": lambda b: b.update(n=3)}),
            "another token": ("renewal/2.manifest", {"body": lambda b: b["time"].update(manifest="0" * 64)}),
        }
        for name, (part, wrong) in cases.items():
            with self.subTest(name):
                report = judged(name, -150, code=6, **wrong)
                self.assertEqual({e["part"] for e in report["errors"]}, {part})
        with self.subTest("older than what it renews"):
            report = judged("old", -255, code=6)
            self.assertEqual({e["part"] for e in report["errors"]}, {"renewal/2.manifest.tsr"})


class Command(Reader):
    @classmethod
    def history(cls, box):
        """None: the certificate as issued."""

    def tearDown(self):
        self.travel(0)
        self.authority("First Time", -900, -100)

    def renew(self, *words, **options):
        return self.box.kesu("certificate", "renew", *words, **options)

    def outcome(self, *words, **options):
        return [r["outcome"] for r in self.renew(*words, **options).json["certificates"]]

    def recorded(self):
        """All entries but findings: that the clock was set is one, and true here."""
        return [e["leaf"] for e in self.entries() if e["type"] != "finding-recorded"]

    def due(self):
        return [d for d in self.box.kesu("status").json["due"] if d["what"] == "certificate"]

    def test_due_and_idempotent(self):
        self.travel(-390)
        row, = self.box.kesu("certificate", "list").json
        self.assertEqual((row["renewals"], row["renewed"]), (0, None))
        self.assertIn("CN=First Time", row["renew_why"])
        entries = self.recorded()
        self.assertEqual((self.outcome("--due"), self.outcome(self.certificate, "--due")), (["not-due"], ["not-due"]))
        self.assertEqual(self.due(), [])
        self.assertEqual(self.recorded(), entries)

        self.travel(-250)
        self.assertEqual([d["next"] for d in self.due()], [f"kesu certificate renew {self.certificate[:12]}"])
        with self.subTest("an authority that ends no later"):
            self.assertEqual(self.outcome("--due"), ["no-later"])
            self.assertEqual(self.recorded(), entries)
        with self.subTest("no authority answers: nothing is recorded, and the same command does it later"):
            self.authority("Second Time", -260, -60)
            with socket.socket() as closed:
                closed.bind(("127.0.0.1", 0))
                self.configure(f"http://localhost:{closed.getsockname()[1]}/tsr")
                self.renew("--due", code=5, error="time-unavailable")
            self.assertEqual(self.recorded(), entries)
            self.configure(self.server.url)
            done, = self.renew("--due").json["certificates"]
            self.assertEqual((done["outcome"], done["n"]), ("renewed", 1))
            self.assertTrue(done["until"].startswith(f"{day(-60)[:4]}-{day(-60)[4:6]}-{day(-60)[6:8]}"))
        entries = self.recorded()
        self.travel(-230)
        # It ends within half a year again, and the authority has nothing later.
        self.assertEqual((self.outcome("--due"), self.outcome("--due")), (["no-later"], ["no-later"]))
        self.assertEqual(self.recorded(), entries)
        self.authority("Third Time", -260, 4000)
        self.assertEqual((self.outcome("--due"), self.outcome("--due")), (["renewed"], ["not-due"]))
        self.assertEqual(self.due(), [])

        with self.subTest("without --due: anyway, with its bundle"):
            out = self.box.path / "out.zip"
            # What others signed in an older bundle goes along; one of another certificate is refused before anything is recorded.
            place, name, older = countersigned.person(self.box.path / "auditor", "Auditor"), "certificate.json.2.p7s", self.box.path / "older"
            self.box.kesu("certificate", "bundle", self.erasure, "-o", older)
            (older / name).write_bytes(countersigned.sign(place, (older / "certificate.json").read_bytes()))
            other = self.box.path / "of-another"
            shutil.copytree(older, other)
            (other / "certificate.json").write_bytes(b"{}")
            before = self.recorded()
            self.renew(self.certificate, "-o", out, "--countersigned", other, code=2, error="bad-input")
            self.assertEqual(self.recorded(), before)
            said = self.renew(self.certificate, "-o", out, "--countersigned", older).json
            self.assertEqual(([r["outcome"] for r in said["certificates"]], said["carried"]), (["renewed"], 1))
            self.assertEqual(zipfile.ZipFile(out).read(name), (older / name).read_bytes())
            self.assertEqual(self.levels(self.both(out, self.trust + REQUIRED)), ("proven", "attested"))
            self.renew(self.certificate, "-o", out, code=3, error="already-exists")

    def test_refused(self):
        entries = self.recorded()
        self.travel(-200)
        with self.subTest("usage"):
            self.renew(code=2)
            self.renew("--due", "-o", self.box.path / "x", code=2)
        with self.subTest("no time authority"):
            self.configure()
            error = self.renew(self.certificate, code=3, error="state-refused").json["error"]
            self.assertIn("[[time.authority]]", json.dumps(error))
            self.configure(self.server.url)
        with self.subTest("the new one would end earlier"):
            self.authority("Short", -300, -150)
            self.renew(self.certificate, code=3, error="state-refused")
        with self.subTest("past its end"):
            self.travel(-90)
            self.authority("Third Time", -260, 4000)
            error = self.renew(self.certificate, code=3, error="state-refused").json["error"]
            self.assertIn("as of their own time", json.dumps(error))
            row, = self.renew("--due", code=8).json["certificates"]
            self.assertEqual(row["outcome"], "refused")
        self.assertEqual(self.recorded(), entries)
        with self.subTest("withdrawn"):
            self.travel(-200)
            self.box.kesu("certificate", "withdraw", self.certificate, "--reason", "a copy turned up", *self.signer(scenario.APPROVER))
            self.renew(self.certificate, code=3, error="state-refused")
            self.assertEqual(self.renew("--due").json["certificates"], [])


if __name__ == "__main__":
    scenario.main()
