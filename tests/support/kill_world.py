"""The prepared state of the kill tests, what must hold at every kill point, and an independent look into the token.

A kill point is one copy of the same vault, token and sealed files, and one command that died on it. After each:
consistent() must hold, at once and without anything having been settled; the test then runs the command again and
says what its end state is.
"""
import contextlib
import json
import os
import re
import shutil
import struct
from pathlib import Path

import harness
import harness_kill

MODULE = "/usr/lib/softhsm/libsofthsm2.so"
CHUNK = 16384
# Entries that open a question about a node, and those that answer it.
OPENS = {"key-intended": "key-", "destroy-intended": "key-", "seal-intended": "bat-",
         "rewrap-intended": "bat-", "process-started": "prc-"}
CLOSES = {"key-created", "key-abandoned", "destroy-done", "destroy-failed", "seal-done", "seal-abandoned",
          "rewrap-done", "key-inspected", "process-ended"}
LEFTOVER = re.compile(r"\.kesu-part$|\.kesu-open$|\.tmp\d|\.part-\d")
# name below the source directory -> (size, mode, mtime in ns)
FILES = {
    "empty.csv": (0, 0o644, 1_700_000_000_000_000_001),
    "small.txt": (11, 0o600, 1_600_000_000_123_456_789),
    "one-chunk.bin": (CHUNK, 0o640, 1_500_000_000_000_000_000),
    "2019/chunks.bin": (3 * CHUNK + 17, 0o444, 1_650_000_000_999_999_999),
    "2019/貸付.csv": (777, 0o644, 1_690_000_000_500_000_000),
}


def content(name, size, version=1):
    """Bytes that differ between files and versions."""
    block = f"{name} v{version} ".encode()
    return (block * (size // len(block) + 1))[:size]


class World(harness.TestCase):
    """A vault with two officers, the key `loans` and the dataset loans-2019 in chunks of 16 KiB, nothing sealed yet."""
    ram = True

    def prepare_vault(self):
        box = self.box
        box.token()
        self.pin = Path(re.search(r"pin-source=file:([^&]+)", box.token_uri)[1]).read_text()
        self.prepare_genesis()
        box.kesu("init", box.vault, "--genesis", self.genesis, "--provider", box.token_uri)
        box.kesu("key", "create", "loans")
        box.kesu("dataset", "add", "loans-2019", "--key", "loans", "--chunk", str(CHUNK))
        self.source = box.path / "loans"
        self.out = box.state / "out"
        for name, (size, mode, mtime) in FILES.items():
            self.write_source(name, content(name, size), mode, mtime)

    genesis_words = ()

    def prepare_genesis(self):
        box = self.box
        self.alice, self.bob = box.officer("alice"), box.officer("bob")
        self.genesis = box.path / "genesis.json"
        box.kesu("init", "--draft", self.genesis, "--org", "Example Bank", "--origin", "bank.example", *self.genesis_words,
                 "--officer", f"Ichiro Tanaka;Operator;operator;{self.alice.public}",
                 "--officer", f"Hanako Sato;CISO;approver;{self.bob.public}")
        for i, officer in enumerate((self.alice, self.bob)):
            signature = officer.sign("kesu-genesis-v1", self.genesis.read_bytes())
            Path(f"{self.genesis}.{i}.sig").write_bytes(signature)

    def write_source(self, name, data, mode, mtime):
        path = self.source / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.unlink(missing_ok=True)
        path.write_bytes(data)
        path.chmod(mode)
        os.utime(path, ns=(mtime, mtime))

    def approve_erasure(self, *datasets):
        """Plans, requests and approves; returns the erasure's identifier."""
        box = self.box
        erasure = box.kesu("erase", "plan", *datasets).json["erasure"]
        box.kesu("erase", "request", erasure, "--as", "Ichiro Tanaka", "--key", self.alice.private, "--reason", "ended")
        box.kesu("erase", "approve", erasure, "--as", "Hanako Sato", "--key", self.bob.private)
        return erasure

    died_inside_the_token = False
    point = None
    torn = frozenset()  # kill points that left a torn object
    nameless = ()
    checkpoint = 0  # entries under the last checkpoint, as consistent() saw it

    def each_kill(self, *words, check, expect, vault=True, json=True, prepare=None, **options):
        """Kills `kesu WORDS` at every state-changing call of it; see harness_kill."""
        box, self.torn = self.box, set()
        box.snapshot()

        def checked(call):
            self.point = call.ordinal if call else None
            self.died_inside_the_token = call is not None and str(box.state / "token") in call.target
            check(call)

        command = box.kesu_command(*words, vault=vault, json=json)
        points = harness_kill.kill_at_each_syscall(command, prepare=prepare or box.restore, check=checked, env=box.env,
                                                   cwd=box.path, expect=expect, leave_out=cuts_the_token, **options)
        if self.torn:
            print(f"kill points that left a torn object in the token: {len(self.torn)}", flush=True)
        return points

    def restore_around_out(self):
        """Like restore(), and self.out stays the directory that it is: kesu settles a batch only where it was sealed."""
        kept, state = self.box.path / "snapshot", self.box.state
        for path in [p for p in state.iterdir() if p != self.out] + list(self.out.iterdir()):
            shutil.rmtree(path) if path.is_dir() else path.unlink()
        for path in [p for p in kept.iterdir() if p.name != self.out.name]:
            harness.copy_tree(path, state / path.name)
        for path in (kept / self.out.name).iterdir():
            harness.copy_tree(path, self.out / path.name)

    # What holds at every kill point.

    def entries(self):
        return self.box.kesu("ledger", "show", "--bodies").json

    def verify_ledger(self):
        report = self.box.kesu("ledger", "verify").json
        self.assertEqual((report["ok"], report["findings"]), (True, []))

    def consistent(self, entries=None):
        """The ledger verifies, and status shows exactly the questions that the ledger's own entries leave open."""
        self.verify_ledger()
        entries = self.entries() if entries is None else entries
        status = self.box.kesu("status").json
        self.assertEqual(status["ledger"]["entries"], len(entries))
        self.checkpoint = status["ledger"]["checkpoint"]
        asked = {q["node"]: q["settled_by_next_command"] for q in status["questions"]}
        self.assertEqual(asked, dict.fromkeys(open_nodes(entries), True))
        return entries

    def settled(self, entries=None):
        """consistent(), no open question, and no temporary file of kesu's anywhere in the state."""
        entries = self.consistent(entries)
        self.assertEqual(open_nodes(entries), set())
        self.assertEqual(self.leftovers(), [])
        return entries

    def leftovers(self):
        token = self.box.state / "token"
        return [str(p) for p in self.box.state.rglob("*") if LEFTOVER.search(p.name) and token not in p.parents]

    # The token, seen without kesu.

    def token_objects(self):
        """(class, label) of every object that a login shows, sorted; by pkcs11-tool.

        An object without a name (see clear_torn) is not returned; only a kill inside the token may leave one.
        """
        listing = self.box.run("pkcs11-tool", "--module", MODULE, "--token-label", "kesu-test", "--login", "--pin",
                               "env:KESU_TEST_PIN", "--list-objects", env={"KESU_TEST_PIN": self.pin}).stdout
        objects, kind = [], None
        for line in listing.splitlines():
            if not line.startswith(" "):
                kind = line.split(" Object")[0]
                objects.append((kind, ""))
            elif line.strip().startswith("label:"):
                objects[-1] = (kind, line.split(":", 1)[1].strip())
        self.nameless = [o for o in objects if not o[1].startswith("kesu:")]
        if self.nameless:
            self.assertTrue(self.died_inside_the_token, objects)
            self.assertEqual(len(self.nameless), 1)
        return sorted(o for o in objects if o not in self.nameless)

    def clear_torn(self, write=None):
        """SoftHSM writes an object attribute by attribute: a kill inside leaves one that is no key. A token that is a
        device does not do so, but may: kesu must cope. While the object does not say what it is, or carries the key's
        label and does not work, the question stays open and other work goes on; one without a name is nobody's, and
        kesu may settle that the key was never made. The object itself is for a person to remove, as is done here.
        write() runs a command that writes, and so settles.
        """
        if not self.died_inside_the_token:
            return
        asked = {n for n in open_nodes(self.entries()) if n.startswith("key-")}
        self.assertLessEqual(len(asked), 1)
        if not asked:
            return
        tokens = self.box.state / "token" / "tokens"
        objects = [p for p in tokens.rglob("*.object") if p.name != "token.object"]
        newest = max(objects, key=lambda p: p.stat().st_mtime_ns, default=None)
        if write:
            write()
        else:
            self.box.kesu("dataset", "add", f"other-{self.point}", "--key", "loans")
        entries = self.consistent()
        still_asked = {n for n in open_nodes(entries) if n.startswith("key-")}
        labels = self.token_labels()
        if not still_asked and not self.nameless:
            return
        if not still_asked:
            self.assertEqual({key_states(entries)[v] for v in asked}, {"absent"})
        elif not self.nameless:
            self.assertIn(f"kesu:{min(asked)}", labels)
        self.torn.add(self.point)
        newest.unlink()
        self.token_objects()
        self.assertEqual(self.nameless, [])

    def token_labels(self):
        return [label for kind, label in self.token_objects() if kind != "Public Key"]

    def token_matches_ledger(self, entries):
        """The token holds exactly the objects of the versions that the ledger says are there."""
        states, purpose = key_states(entries), key_purposes(entries)
        gone = ("absent", "destroyed", "destroyed-compromised")
        want = []
        for version, state in states.items():
            self.assertNotIn(state, ("intended", "destroying"), version)
            if state in gone:
                continue
            signs = purpose[version].startswith("sign")
            want.append(("Private Key" if signs else "Secret Key", f"kesu:{version}"))
            if signs:
                want.append(("Public Key", f"kesu:{version}"))
        # Of a pair that was cut off in the token the public half may stay: it is no key.
        halves = [("Public Key", f"kesu:{v}") for v, state in states.items() if state == "absent"]
        objects = self.token_objects()
        left = [o for o in objects if o in halves and self.died_inside_the_token]
        self.assertEqual([o for o in objects if o not in left], sorted(want))

    # The data.

    def wanted(self, *versions):
        """name -> the contents that are acceptable (one for each version of the source)."""
        return {name: [content(name, size, v) for v in versions] for name, (size, _, _) in FILES.items()}

    def opens_to(self, sealed, wanted, complete=True, facts=True):
        """Opens everything below `sealed`: wanted is name -> acceptable contents. Returns what was opened."""
        target = self.box.path / "opened"
        shutil.rmtree(target, ignore_errors=True)
        self.box.kesu("open", sealed, "-o", target)
        opened = {str(p.relative_to(target / "loans")): p for p in target.rglob("*") if p.is_file()}
        if complete:
            self.assertEqual(sorted(opened), sorted(wanted))
        for name, path in opened.items():
            self.assertIn(path.read_bytes(), wanted[name], name)
            if facts:
                _, mode, mtime = FILES[name]
                stat = path.stat()
                self.assertEqual((stat.st_mode & 0o7777, stat.st_mtime_ns), (mode, mtime), name)
        return opened


def mend_cut_token(box):
    """Puts token.object back where a kill at a random instant cut it (see cuts_the_token). True: it was cut."""
    cut = False
    for kept in (box.path / "snapshot" / "token").rglob("token.object"):
        now = box.state / "token" / kept.relative_to(box.path / "snapshot" / "token")
        if now.stat().st_size != kept.stat().st_size:
            shutil.copy2(kept, now)
            cut = True
    return cut


def half_made_objects(box):
    """Files of objects that a kill inside SoftHSM's key generation left: whole ones of kesu's have labels."""
    out = []
    for path in (box.state / "token" / "tokens").rglob("*.object"):
        if path.name == "token.object":
            continue
        data, at, label = path.read_bytes(), 8, b""
        with contextlib.suppress(struct.error):
            while at < len(data) and not label:
                kind, form = struct.unpack_from(">QQ", data, at)
                size = {1: 1, 2: 8}.get(form)
                if size is None:
                    size = 8 + struct.unpack_from(">Q", data, at + 16)[0]
                    if kind == 3:  # CKA_LABEL
                        label = data[at + 24:at + 16 + size]
                at += 16 + size
        if not label:
            out.append(path)
    return out


# What SoftHSM, used by two processes, may make of a command: nothing is known from it, and the same command goes on.
DISTURBED = ("token-absent", "provider-failed", "provider-unavailable", "session-lost", "outcome-unknown")


def disturbed(result):
    document = result.json if result.code == 5 else {}
    silent = document.get("silent") if isinstance(document, dict) else None
    if silent:
        return all(part["code"] in (*DISTURBED, "pin-missing") for part in silent)
    return (token_being_rewritten(result) or (result.code == 5 and result.error_code in DISTURBED) or
            result.error_code == "pin-missing")


def token_being_rewritten(result):
    """SoftHSM writes its token's own file anew at each login, not in one step: a neighbour that reads it just then is told
    of a general error, of no token, or of one without a PIN. The same command again goes on."""
    document = result.json if result.code else {}
    parts = (document.get("failed") or document.get("silent")) if isinstance(document, dict) else None
    if parts:
        return all(part["code"] in ("token-absent", "pin-missing") for part in parts)
    if result.code != 5:
        return False
    error = document.get("error", {}) if isinstance(document, dict) else {}
    return (error.get("code") == "provider-failed" and "C_GetTokenInfo" in error["cause"]) or error.get("code") == "token-absent"


def cuts_the_token(call):
    """SoftHSM is a library: killed inside a login it has cut its token's own file and not yet written it again, and
    no token is left. A token that is a device goes on when the program at its other end dies."""
    return call.name == "write" and os.path.basename(call.target) == "token.object"


def open_nodes(entries):
    """Nodes of which the last word is a question."""
    nodes, looked_for = set(), set()
    for entry in entries:
        for node in entry["nodes"]:
            if entry["type"] == "destroy-intended" and entry.get("body", {}).get("before"):
                looked_for.add(node["id"])
            # A version that reached data is looked for after its destruction, too.
            if entry["type"] == "destroy-done" and node["id"] in looked_for and "of" not in node:
                continue
            if entry["type"] in CLOSES:
                nodes.discard(node["id"])
            elif entry["type"] in OPENS and node["id"].startswith(OPENS[entry["type"]]):
                nodes.add(node["id"])
    return nodes


def of_type(entries, kind):
    return [e for e in entries if e["type"] == kind]


def key_states(entries):
    """key version -> its state, folded here from the entries."""
    states = {}
    for entry in entries:
        for node in entry["nodes"]:
            if node["id"].startswith("key-") and node.get("is"):
                states[node["id"]] = node["is"]
    return states


def key_purposes(entries):
    return {e["nodes"][0]["id"]: e["body"]["purpose"] for e in of_type(entries, "key-intended")}


def versions_of(entries, name):
    """The versions of the key called `name`, oldest first."""
    return [e["nodes"][0]["id"] for e in of_type(entries, "key-intended") if e["body"]["name"] == name]


def object_id(path):
    """The object identifier in a sealed file's header (docs/spec/sealed-object.md: 16 bytes at offset 48)."""
    with open(path, "rb") as file:
        return "obj-" + file.read(64)[48:64].hex()
