"""Renewals of a bundle by an issuer who holds every key and is not honest (docs/spec/certificate.md, "Renewals").

    forger = renewals.Forger(files, officers, tsa)      # a bundle without stamps, issued anew under keys of its own
    forger.renew(env)                                   # an honest renewal, by the authority in that time
    forger.renew(env, manifest=lambda text: …, token_over=b"…")
    forger.files
Written from docs/spec alone; shares no code with any verifier.
"""
import gzip
import hashlib
import json

import reissue

STAMPS = ("time/certificate.json.p7s.tsr", "trust/tsa.pem", "time/checkpoint-b.tsr", "time/checkpoint-b.pem")
NOT_COVERED = ("ledger/", "time/checkpoint-b.", "trust/signer.crl", "renewal/")


def sha512(data):
    return hashlib.sha512(data).hexdigest()


def unstamped(files):
    for name in STAMPS:
        files.pop(name, None)


class Forger:
    def __init__(self, files, officers, tsa):
        self.issuer, self.tsa = reissue.Issuer(files, officers), tsa
        self.files = self.issuer.issue(edit_files=unstamped)
        self.certificate = json.loads(self.files["certificate.json"])["id"]
        self.n = 0

    def covered(self, n):
        chosen = [p for p in self.files if not p.startswith(NOT_COVERED)] + ["ledger/checkpoint-a"]
        for path in self.files:
            folder, _, name = path.partition("/")
            m, _, name = name.partition(".")
            if folder == "renewal" and (int(m) < n or name == "ledger" and int(m) == n):
                chosen.append(path)
        return sorted(chosen)

    def renew(self, env, manifest=None, ledger=None, token_over=None, body=None):
        """One more renewal. `manifest(text)`, `ledger(text)` give what is written in their place; `body(dict)` changes
        the entry's."""
        self.n += 1
        of, lines = f"renewal/{self.n}.", gzip.decompress(self.files["ledger/headers.gz"]).decode().splitlines()
        text = sha512("".join(line + "\n" for line in lines).encode()) + f"  headers {len(lines)}\n"
        for line in self.files["ledger/bodies.jsonl"].decode().splitlines():
            text += sha512((line + "\n").encode()) + f"  body {json.loads(line)['seq']}\n"
        self.files[of + "ledger"] = (ledger(text) if ledger else text).encode()
        text = "".join(f"{sha512(self.files[p])}  {p}\n" for p in self.covered(self.n))
        self.files[of + "manifest"] = (manifest(text) if manifest else text).encode()
        over = self.files[of + "manifest"] if token_over is None else token_over
        self.files[of + "manifest.tsr"] = self.tsa.reply(self.tsa.query(over), env=env)
        self.files[of + "tsa.pem"] = self.tsa.intermediate.read_bytes()
        sum_of = lambda name: reissue.sha(self.files[of + name])
        said = {"n": self.n, "ledger": sum_of("ledger"), "manifest": sum_of("manifest"),
                "time": {"manifest": sum_of("manifest.tsr"), "authority": sum_of("tsa.pem")}}
        if body:
            body(said)
        self._append(lines, sha512(self.files[of + "manifest"]), said)

    def _append(self, lines, digest, body):
        last = json.loads(lines[-1].split("\t")[0])
        header = {"v": 1, "seq": len(lines), "type": "certificate-renewed", "time": last["time"], "edges": [],
                  "nodes": [{"id": self.certificate, "d": digest}]}
        entry = reissue.Entry(header, body=body, salt="00" * 16)
        leaves = []
        for line in lines:
            text, body_hash = line.split("\t")
            leaves.append(hashlib.sha256(b"\x00" + text.encode() + bytes.fromhex(body_hash)).digest())
        leaves.append(entry.leaf())
        lines = [*lines, reissue.canonical(header).decode() + "\t" + entry.digest]
        files, size_a = self.files, int(self.files["ledger/checkpoint-a"].decode().split("\n")[1])
        files["ledger/headers.gz"] = reissue.gz("".join(line + "\n" for line in lines).encode())
        files["ledger/bodies.jsonl"] += reissue.canonical({"body": body, "salt": entry.salt, "seq": header["seq"]}) + b"\n"
        files["ledger/checkpoint-b"] = reissue.note(self.issuer.ledger_key, self.issuer.original.origin, len(leaves), reissue.root(leaves))
        proof = reissue.consistency(size_a, leaves)
        files["ledger/consistency"] = b"".join(reissue.base64.b64encode(n) + b"\n" for n in proof)
