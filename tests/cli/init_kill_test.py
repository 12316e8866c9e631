"""`kesu init` and `kesu open`, killed before each of their state-changing calls.

init's end state: the vault of the signed statement with one provider, one active control, ledger and certificate key,
the token's objects exactly the ledger's. open's: every file stands identical, no plaintext lies in a temporary file.
Opening again takes --force, since what the killed run had finished stands already.
"""
import pathlib
import shutil
import sys

sys.path.insert(0, str(pathlib.Path(__file__).parents[1] / "support"))
import harness
import kill_world
from kill_world import FILES, content


class Init(kill_world.World):
    def test_init(self):
        box = self.box
        box.token()
        self.pin = (box.state / "token" / "kesu-test.pin").read_text()
        self.prepare_genesis()
        command = ("init", box.vault, "--genesis", self.genesis, "--provider", box.token_uri)

        def check(call):
            # A vault either has its people, or is not there.
            if (box.vault / "ledger.db").exists() and box.kesu("ledger", "verify").json["entries"]:
                # Inside the making of a key the vault is the same at all points: clear_torn() looks at it once more.
                if not (self.died_inside_the_token and kill_world.open_nodes(self.entries())):
                    self.consistent()
                self.clear_torn(lambda: box.kesu(*command, vault=False, code=None))
            box.kesu(*command, vault=False)
            entries = self.settled()
            self.token_matches_ledger(entries)
            states, purposes = kill_world.key_states(entries), kill_world.key_purposes(entries)
            active = sorted(purposes[v] for v, state in states.items() if state == "active")
            self.assertEqual(active, ["control", "sign-certificate", "sign-ledger"])
            self.assertLessEqual(set(states.values()), {"active", "absent"})
            for kind in ("genesis", "provider-added", "ledger-key-set"):
                self.assertEqual(len(kill_world.of_type(entries, kind)), 1, kind)
            self.assertEqual(box.kesu("provider", "test", "hsm1").json["findings"], [])
            self.assertEqual(self.checkpoint, len(entries))

        self.each_kill(*command, vault=False, check=check, expect=("write", "openat", "fsync", "rename", "mkdir"))


class Open(kill_world.World):
    def test_open(self):
        self.prepare_vault()
        self.box.kesu("seal", "loans-2019", self.source, "-o", self.out)
        target = self.box.state / "restored"

        def check(call):
            entries = self.consistent()
            stands = [p for p in target.rglob("*") if p.is_file() and not p.name.endswith(".kesu-open")]
            if stands:  # nothing left the vault before the entry that says so
                self.assertTrue(kill_world.of_type(entries, "objects-opened"))
            for path in stands:
                name = str(path.relative_to(target / "loans"))
                size, mode, mtime = FILES[name]
                self.assertEqual(path.read_bytes(), content(name, size), name)
                self.assertEqual((path.stat().st_mode & 0o7777, path.stat().st_mtime_ns), (mode, mtime), name)
            self.box.kesu("open", self.out, "-o", target, "--force")
            self.assertEqual(sorted(str(p.relative_to(target / "loans")) for p in target.rglob("*") if p.is_file()), sorted(FILES))
            shutil.rmtree(target)
            self.settled()
            self.opens_to(self.out, self.wanted(1))

        self.each_kill("open", self.out, "-o", target, check=check, expect=("write", "openat", "fdatasync", "renameat2", "syncfs"))


if __name__ == "__main__":
    harness.main()
