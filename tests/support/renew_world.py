"""A certificate that was issued 400 days ago, renewed 250 days ago and again 150 days ago: each time by an authority whose
certificate ends some day. The first ended 100 days ago, the second 60 days ago, the third lasts. At elsewhere/: issued, once,
twice. Whoever verifies does it today."""
import os
import pathlib
import sys
import time

sys.path.insert(0, str(pathlib.Path(__file__).parents[1] / "cli"))
import harness
import scenario
import tsa
from clock_test import at
from cryptography.hazmat.primitives.serialization import load_ssh_private_key

LOW = ("--require", "low", "--allow-test-grade")
REQUIRED = "tsa-renewal required\n"
SHORT = ["verified-gone is absent; profile low asks for recorded"]
ISSUED, ONCE, TWICE = -400, -250, -150


def day(days):
    return time.strftime("%Y%m%d000000Z", time.gmtime(time.time() + days * 86400))


class World(scenario.World):
    make_vault = False

    @classmethod
    def travel(cls, days):
        """From here on it is that many days from today; 0: today, without faketime."""
        fake = at(f"{days}d")
        for name in fake:
            cls.box.env.pop(name, None)
        if days:
            cls.box.env.update(fake)
        cls.tsa.offset = {**os.environ, **fake} if days else None

    @classmethod
    def authority(cls, name, start, end):
        """The authority signs under a new certificate."""
        cls.tsa.certify("tsa", "tsa", f"/O=Test/CN={name}", "v3_tsa", dates=(day(start), day(end)))

    @classmethod
    def prepare(cls):
        box = cls.box
        cls.tsa = tsa.Tsa(box.path / "tsa")
        cls.tsa.certify("root", "root", "/O=Test/CN=Test Root", "v3_root", "root", dates=(day(-1000), day(9000)))
        cls.tsa.certify("intermediate", "intermediate", "/O=Test/CN=Test Time CA", "v3_ca", "root", dates=(day(-1000), day(9000)))
        cls.authority("First Time", -900, -100)
        cls.server = tsa._Serving(cls.tsa)
        cls.addClassCleanup(cls.server.close)
        cls.travel(ISSUED)
        cls.genesis = cls.write_genesis(box.path / "past.json", cls.officers, cls.quorum)
        box.kesu("init", box.vault, "--genesis", cls.genesis, "--provider", box.token_uri)
        box.kesu("key", "create", "loans")
        box.kesu("dataset", "add", "loans-2019", "--key", "loans", "--chunk", str(scenario.CHUNK))
        cls.seal("loans-2019", {"a": b"one", "b": b"two"})
        case = cls("setUp")
        cls.erasure = case.approved("loans-2019")
        case.run_erasure(cls.erasure)
        cls.configure(cls.server.url)
        cls.elsewhere = box.path / "elsewhere"
        cls.elsewhere.mkdir()
        cls.certificate = box.kesu("certificate", "bundle", cls.erasure, "-o", cls.elsewhere / "issued").json["certificate"]
        cls.history(box)
        cls.travel(0)
        cls.trust = box.run(harness.program("kesu"), "trust", "propose", cls.elsewhere / "issued", "--json").json["trust"]
        cls.trust += f"tsa-ca {cls.tsa.root}\n"

    @classmethod
    def history(cls, box):
        for days, name, start, end, out in ((ONCE, "Second Time", -260, -60, "once"), (TWICE, "Third Time", -160, 4000, "twice")):
            cls.travel(days)
            cls.authority(name, start, end)
            box.kesu("certificate", "renew", cls.certificate, "-o", cls.elsewhere / out)

    @classmethod
    def configure(cls, *urls):
        path = cls.box.vault / "kesu.toml"
        text = path.read_text().partition("[[time.authority]]")[0]
        path.write_text(text + "".join(f'[[time.authority]]\nurl = "{u}"\nca = "{cls.tsa.root}"\n' for u in urls))

    def officer_keys(self, files):
        """Operator → private key, for who signs anew."""
        operators = [line.split()[0] for line in files["approvals/allowed_signers"].decode().splitlines()]
        return {o: load_ssh_private_key(self.box.officer(key).private.read_bytes(), None)
                for o, (*_, key) in zip(operators, self.officers)}
