#!/usr/bin/env python3
"""Makes the vectors of this directory from docs/spec/ledger.md alone, sharing no code with kesu: run it here."""
import base64, hashlib, json, os

here = os.path.dirname(os.path.abspath(__file__))
sha = lambda *parts: hashlib.sha256(b"".join(parts)).digest()
canonical = lambda value: json.dumps(value, sort_keys=True, separators=(",", ":"), ensure_ascii=False)


def write(name, value):
    with open(os.path.join(here, name), "w", encoding="utf-8") as out:
        json.dump(value, out, indent=1, ensure_ascii=False, sort_keys=True)
        out.write("\n")


# --- RFC 6962 trees over the inputs that the Certificate Transparency project tests with
def node(left, right):
    return sha(b"\x01", left, right)


def split(n):
    k = 1
    while k * 2 < n:
        k *= 2
    return k


def root(leaves):
    if not leaves:
        return sha()
    if len(leaves) == 1:
        return leaves[0]
    k = split(len(leaves))
    return node(root(leaves[:k]), root(leaves[k:]))


def path(m, d):
    if len(d) == 1:
        return []
    k = split(len(d))
    return path(m, d[:k]) + [root(d[k:])] if m < k else path(m - k, d[k:]) + [root(d[:k])]


def subproof(m, d, b):
    if m == len(d):
        return [] if b else [root(d)]
    k = split(len(d))
    if m <= k:
        return subproof(m, d[:k], b) + [root(d[k:])]
    return subproof(m - k, d[k:], False) + [root(d[:k])]


inputs = ["", "00", "10", "2021", "3031", "40414243", "5051525354555657", "606162636465666768696a6b6c6d6e6f"]
leaves = [sha(b"\x00", bytes.fromhex(i)) for i in inputs]
published = [
    "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855",
    "6e340b9cffb37a989ca544e6bb780a2c78901d3fb33738768511a30617afa01d",
    "fac54203e7cc696cf0dfcb42c92a1d9dbaf70ad9e621f4bd8d98662f00e3c125",
    "aeb6bcfe274b70a14fb067a5e5578264db0fa9b51af5e0ba159158f329e06e77",
    "d37ee418976dd95753c1c73862b9398fa2a2cf9b4ff0fdfe8b30cd95209614b7",
    "4e3bbb1f7b478dcfe71fb631631519a3bca12c9aefca1612bfce4c13a86264d4",
    "76e67dadbcdf1e10e1b74ddc608abd2f98dfb16fbce75277b5232a127f2087ef",
    "ddb89be403809e325750d3d263cd78929c2942b7942a34b77e122c9594a74c8c",
    "5dc9da79a70659a9ad559cb701ded9a2ab9d823aad2f4960cfe370eff4604328",
]
assert [root(leaves[:n]).hex() for n in range(9)] == published
write("rfc6962.json", {
    "inputs": inputs,
    "roots": published,
    "inclusion": [{"index": i, "size": n, "proof": [p.hex() for p in path(i, leaves[:n])]}
                  for i, n in [(0, 1), (0, 8), (5, 8), (2, 3), (1, 5)]],
    "consistency": [{"old": m, "size": n, "proof": [p.hex() for p in subproof(m, leaves[:n], True)]}
                    for m, n in [(1, 1), (1, 8), (6, 8), (2, 5)]],
})

# --- identifiers
def ident(kind, tail):
    return kind + "-" + tail * (32 // len(tail))


VLT, PRV, KEY = ident("vlt", "0123456789abcdef"), ident("prv", "1a"), ident("key", "2b")
V1, V2 = KEY + ".1", KEY + ".2"
DS, DS2, DSK, BAT, PRC = (ident(k, t) for k, t in
                          [("ds", "3c"), ("ds", "4d"), ("dsk", "5e"), ("bat", "6f"), ("prc", "70")])
ERA, CER, CPY, HLD, DOC, OPR = (ident(k, t) for k, t in
                                [("era", "81"), ("cer", "92"), ("cpy", "a3"), ("hld", "b4"), ("doc", "c5"), ("opr", "d6")])
D, D512 = "ab" * 32, "cd" * 64
TIME = "2026-11-21T09:12:00.123Z"


def header(type, nodes, edges=(), seq=7, **more):
    return {"v": 1, "seq": seq, "time": TIME, "type": type, "nodes": nodes, "edges": [list(e) for e in edges], **more}


# --- headers.json: one accepted header for each type and more, then what is refused
good = [
    ("genesis", header("genesis", [{"id": VLT, "is": "open", "d": D}], seq=0)),
    ("vault-closed", header("vault-closed", [{"id": VLT, "is": "closed"}])),
    ("rules-changed", header("rules-changed", [{"id": VLT, "d": D}, {"id": OPR, "is": "enrolled"}])),
    ("rules-changed, roles", header("rules-changed", [{"id": VLT, "d": D}, {"id": OPR}])),
    ("operator-enrolled", header("operator-enrolled", [{"id": OPR, "is": "enrolled"}])),
    ("operator-revoked", header("operator-revoked", [{"id": OPR, "is": "revoked"}])),
    ("provider-added", header("provider-added", [{"id": PRV, "is": "open", "d": D}])),
    ("provider-closed", header("provider-closed", [{"id": PRV, "is": "closed"}])),
    ("provider-closed with its identity", header("provider-closed", [{"id": PRV, "is": "closed", "d": D}])),
    ("provider-rekeyed", header("provider-rekeyed", [{"id": PRV}])),
    ("key-intended", header("key-intended", [{"id": V1, "is": "intended", "of": PRV}])),
    ("key-created", header("key-created", [{"id": V1, "is": "active", "of": PRV, "d": D}])),
    ("key-created, not yet active", header("key-created", [{"id": V1, "is": "pre-activation", "of": PRV, "d": D}])),
    ("key-abandoned", header("key-abandoned", [{"id": V1, "is": "absent"}])),
    ("key-state-changed", header("key-state-changed", [{"id": V1, "is": "suspended"}, {"id": V2, "is": "compromised"}])),
    ("key-inspected", header("key-inspected", [{"id": V1}])),
    ("key-attested", header("key-attested", [{"id": V1}, {"id": OPR}])),
    ("ledger-key-set", header("ledger-key-set", [{"id": V1}])),
    ("dataset-added", header("dataset-added", [{"id": DS, "is": "open"}])),
    ("dataset-updated", header("dataset-updated", [{"id": DS}])),
    ("dataset-frozen", header("dataset-frozen", [{"id": DS, "is": "frozen", "of": ERA}])),
    ("dataset-unfrozen", header("dataset-unfrozen", [{"id": DS, "is": "open", "of": ERA}])),
    ("dataset-key-created", header("dataset-key-created", [{"id": DSK, "is": "active", "of": DS}], [(V1, DSK)])),
    ("dataset-key-rewrapped", header("dataset-key-rewrapped", [{"id": DSK}], [(V2, DSK)])),
    ("fingerprint-key-created", header("fingerprint-key-created", [{"id": DSK, "is": "active", "of": DS}], [(V1, DSK)])),
    ("process-started", header("process-started", [{"id": PRC, "is": "alive", "t": TIME}], [(PRC, DS), (PRC, DS2)])),
    ("process-started without a dataset", header("process-started", [{"id": PRC, "is": "alive", "t": TIME}])),
    ("process-ended", header("process-ended", [{"id": PRC, "is": "ended"}])),
    ("seal-intended", header("seal-intended", [{"id": BAT, "is": "intended", "of": DS, "n": 1000}], [(V1, BAT)])),
    ("seal-intended under a dataset key",
     header("seal-intended", [{"id": BAT, "is": "intended", "of": DS, "n": 1}], [(DSK, BAT)])),
    ("seal-done", header("seal-done", [{"id": BAT, "is": "sealed", "of": DS, "n": 1000, "b": 9007199254740991, "d": D}])),
    ("seal-abandoned", header("seal-abandoned", [{"id": BAT, "is": "abandoned", "of": DS}])),
    ("objects-opened", header("objects-opened", [{"id": PRC}, {"id": DS, "n": 12}], [(PRC, DS)])),
    ("residue-scanned", header("residue-scanned", [{"id": DS, "n": 0, "b": 4096, "d": D}, {"id": PRC}])),
    ("rewrap-intended", header("rewrap-intended", [{"id": BAT, "n": 1000}], [(V2, BAT)])),
    ("rewrap-done", header("rewrap-done", [{"id": BAT, "n": 0}])),
    ("copy-registered", header("copy-registered", [{"id": CPY, "is": "open"}], [(CPY, V1), (CPY, V2)])),
    ("copy-ended", header("copy-ended", [{"id": CPY, "is": "ended"}])),
    ("hold-placed on a dataset", header("hold-placed", [{"id": HLD, "is": "placed", "of": DS}, {"id": DS}])),
    ("hold-placed on a version", header("hold-placed", [{"id": HLD, "is": "placed", "of": V1}])),
    ("hold-released", header("hold-released", [{"id": HLD, "is": "released"}])),
    ("erasure-requested", header("erasure-requested", [{"id": ERA, "is": "requested", "d": D}])),
    ("erasure-approved", header("erasure-approved", [{"id": ERA, "is": "requested"}, {"id": OPR}])),
    ("erasure-approved, quorum reached", header("erasure-approved", [{"id": ERA, "is": "approved"}, {"id": OPR}])),
    ("erasure-rejected", header("erasure-rejected", [{"id": ERA, "is": "rejected"}])),
    ("erasure-cancelled", header("erasure-cancelled", [{"id": ERA, "is": "cancelled"}])),
    ("erasure-failed", header("erasure-failed", [{"id": ERA, "is": "failed"}])),
    ("erasure-stamped", header("erasure-stamped", [{"id": ERA, "d": D}])),
    ("erasure-started", header("erasure-started", [{"id": ERA, "is": "running"}])),
    ("destroy-intended", header("destroy-intended", [{"id": V1, "is": "destroying", "of": ERA}])),
    ("destroy-intended of an unused version", header("destroy-intended", [{"id": V1, "is": "destroying"}])),
    ("destroy-done", header("destroy-done", [{"id": V1, "is": "destroyed"}, {"id": V2, "is": "destroyed-compromised"}])),
    ("destroy-done for an erasure", header("destroy-done", [{"id": V1, "is": "destroyed", "of": ERA}])),
    ("destroy-failed", header("destroy-failed", [{"id": V1, "is": "active"}])),
    ("destroy-failed for an erasure", header("destroy-failed", [{"id": V1, "is": "pre-activation", "of": ERA}])),
    ("erasure-inspected", header("erasure-inspected", [{"id": ERA, "is": "destroyed"}])),
    ("dataset-erased", header("dataset-erased", [{"id": DS, "is": "erased", "of": ERA, "n": 5, "b": 6, "d": D}])),
    ("erasure-verified", header("erasure-verified", [{"id": ERA, "is": "verified"}, {"id": OPR}])),
    ("erasure-validated", header("erasure-validated", [{"id": ERA, "is": "validated"}, {"id": OPR}])),
    ("certificate-issued", header("certificate-issued", [{"id": CER, "is": "issued", "of": ERA, "d": D512}])),
    ("certificate-withdrawn", header("certificate-withdrawn", [{"id": CER, "is": "withdrawn"}])),
    ("certificate-renewed", header("certificate-renewed", [{"id": CER, "d": D512}])),
    ("document-attached, naming what it is about",
     header("document-attached", [{"id": DOC, "is": "attached", "d": D}, {"id": CPY}])),
    ("notice-issued", header("notice-issued", [{"id": DOC, "is": "attached", "of": ERA, "d": D}])),
    ("notice-superseded", header("notice-superseded", [{"id": DOC, "is": "attached", "of": ERA, "d": D}])),
    ("failure-reported", header("failure-reported", [{"id": DOC, "is": "attached", "of": ERA, "d": D}])),
    ("contact-recorded", header("contact-recorded", [{"id": OPR}])),
    ("exception-recorded", header("exception-recorded", [{"id": PRV}])),
    ("finding-recorded, six nodes", header("finding-recorded", [{"id": i} for i in (V1, V2, DS, BAT, PRC, ERA)])),
]
ok = header("seal-intended", [{"id": BAT, "is": "intended", "of": DS, "n": 1}], [(V1, BAT)])


def with_(base, **change):
    return {**base, **change}


def node_with(**change):
    return with_(ok, nodes=[{k: v for k, v in {**ok["nodes"][0], **change}.items() if v is not None}])


without = lambda name: {k: v for k, v in ok.items() if k != name}
bad = [
    ("not JSON", "{", ""),
    ("not an object", "[]", "not an object"),
    ("spaces", canonical(ok).replace(",", ", ", 1), "canonical"),
    ("line feed at the end", canonical(ok) + "\n", "canonical"),
    ("members in another order", '{"v":1,' + canonical(without("v"))[1:], "canonical"),
    ("escaped letter", canonical(ok).replace("seal-intended", "\\u0073eal-intended"), "canonical"),
    ("number with an exponent", canonical(ok).replace('"seq":7', '"seq":7e0'), ""),
    ("member twice", canonical(ok)[:-1] + ',"v":1}', ""),
    ("unknown member", with_(ok, x=1), "unknown member \"x\""),
    *[("without " + m, without(m), m) for m in ("v", "seq", "time", "type", "nodes", "edges")],
    ("version 0", with_(ok, v=0), "v: 0"),
    ("version as text", with_(ok, v="1"), "v"),
    ("negative seq", with_(ok, seq=-1), "seq"),
    ("seq too large", with_(ok, seq=2**53), ""),
    ("time without milliseconds", with_(ok, time="2026-11-21T09:12:00Z"), "time"),
    ("time with an offset", with_(ok, time="2026-11-21T09:12:00.123+09:00"), "time"),
    ("no such day", with_(ok, time="2026-02-30T00:00:00.000Z"), "time"),
    ("unknown type", with_(ok, type="seal"), "type"),
    ("empty type", with_(ok, type=""), "type"),
    ("no nodes", with_(ok, nodes=[]), "1 to 6"),
    ("seven nodes", header("finding-recorded", [{"id": KEY + ".%d" % i} for i in range(1, 8)]), "1 to 6"),
    ("one node twice", header("finding-recorded", [{"id": DS}, {"id": DS}]), "twice"),
    ("item without id", with_(ok, nodes=[{"is": "intended"}]), "without id"),
    ("item that is no object", with_(ok, nodes=["x"]), ""),
    ("unknown member of an item", node_with(x=1), "unknown member \"x\""),
    ("empty text", node_with(of=""), "empty"),
    ("identifier too short", node_with(id=BAT[:-1]), "no identifier"),
    ("identifier in capitals", node_with(id=BAT.upper().replace("BAT", "bat")), "no identifier"),
    ("unknown prefix", node_with(id="xyz" + BAT[3:]), "no identifier"),
    ("key without a version", header("ledger-key-set", [{"id": KEY}]), "no identifier"),
    ("key version 0", header("ledger-key-set", [{"id": KEY + ".0"}]), "no identifier"),
    ("a person's name", header("operator-enrolled", [{"id": "opr-佐藤", "is": "enrolled"}]), "no identifier"),
    ("state of another kind", node_with(**{"is": "destroyed"}), "cannot be"),
    ("state that the type may not set", node_with(**{"is": "sealed"}), "may not say"),
    ("state missing", node_with(**{"is": None}), "may not say"),
    ("of missing", node_with(of=None), "may not say"),
    ("of another kind", node_with(of=ERA), "may not say"),
    ("of is no identifier", node_with(of="ds-1"), "of"),
    ("count missing", node_with(n=None), "may not say"),
    ("count negative", node_with(n=-1), "n: out of range"),
    ("count a fraction", canonical(ok).replace('"n":1', '"n":1.5'), ""),
    ("a member that the type has not", node_with(d=D), "may not say"),
    ("a time-stamp with a state", header("erasure-stamped", [{"id": ERA, "is": "approved", "d": D}]), "may not say"),
    ("a time-stamp without its digest", header("erasure-stamped", [{"id": ERA}]), ""),
    ("digest too short", header("seal-done", [{"id": BAT, "is": "sealed", "of": DS, "n": 1, "b": 1, "d": D[2:]}]), "d:"),
    ("digest in capitals",
     header("seal-done", [{"id": BAT, "is": "sealed", "of": DS, "n": 1, "b": 1, "d": D.upper()}]), "d:"),
    ("a certificate with SHA-256", header("certificate-issued", [{"id": CER, "is": "issued", "of": ERA, "d": D}]), "d:"),
    ("a renewal with SHA-256", header("certificate-renewed", [{"id": CER, "d": D}]), "d:"),
    ("lease as a number", header("process-started", [{"id": PRC, "is": "alive", "t": 1}]), ""),
    ("lease missing", header("process-started", [{"id": PRC, "is": "alive"}]), "may not say"),
    ("nothing of the type's own kind", header("seal-done", [{"id": DS}]), "says nothing"),
    ("a batch beside, named alone",
     header("seal-done", [{"id": BAT, "is": "sealed", "of": DS, "n": 1, "b": 1, "d": D}, {"id": BAT[:-1] + "0"}]), "may not say"),
    ("a dataset beside, named alone", header("dataset-added", [{"id": DS, "is": "open"}, {"id": DS2}]), "may not say"),
    ("an opening that names no process", header("objects-opened", [{"id": DS, "n": 12}], [(PRC, DS)]), "says nothing"),
    ("an opening that counts nothing", header("objects-opened", [{"id": PRC}, {"id": DS}], [(PRC, DS)]), "may not say"),
    ("an opening by an object", header("objects-opened", [{"id": "obj-" + PRC[4:]}, {"id": DS, "n": 12}], [(PRC, DS)]), "says nothing"),
    ("a finding that moves a batch", header("finding-recorded", [{"id": BAT, "of": DS2}]), "may not say"),
    ("a finding that sets a state", header("finding-recorded", [{"id": V1, "is": "destroyed"}]), "may not say"),
    ("a key state that destroys", header("key-state-changed", [{"id": V1, "is": "destroyed"}]), "may not say"),
    ("genesis later", header("genesis", [{"id": VLT, "is": "open", "d": D}]), "genesis"),
    ("entry 0 that is no genesis", with_(ok, seq=0), "genesis"),
    ("sealing without an edge", with_(ok, edges=[]), "edges"),
    ("edge to another batch", with_(ok, edges=[[V1, BAT], [V1, BAT[:-1] + "0"]]), "not among the nodes"),
    ("edge the wrong way", with_(ok, edges=[[BAT, V1]]), "cannot lead"),
    ("edge from a process", with_(ok, edges=[[PRC, BAT]]), "cannot lead"),
    ("edge twice", with_(ok, edges=[[V1, BAT], [V1, BAT]]), "twice"),
    ("edge with three ends", with_(ok, edges=[[V1, BAT, BAT]]), "two ends"),
    ("edge where the type has none", header("seal-abandoned", [{"id": BAT, "is": "abandoned", "of": DS}], [(V1, BAT)]),
     "has none"),
    ("a copy of nothing", header("copy-registered", [{"id": CPY, "is": "open"}]), "edges"),
    ("larger than 512 bytes", header("copy-registered", [{"id": CPY, "is": "open"}],
                                     [(CPY, KEY + ".%d" % i) for i in range(1, 7)]), "bytes"),
]
cases = [{"name": n, "header": canonical(h), "outcome": "accepted"} for n, h in good]
cases += [{"name": n, "header": h if isinstance(h, str) else canonical(h), "outcome": "bad-input", "says": says}
          for n, h, says in bad]
cases += [{"name": n, "header": canonical(h), "outcome": "vault-newer", "says": "version"} for n, h in [
    ("version 2", with_(ok, v=2)), ("version 2, another shape", {"v": 2, "anything": [1, 2]}),
    ("version 2, larger", with_(ok, v=2, more="x" * 600))]]
assert all(len(c["header"].encode()) <= 512 for c in cases if c["outcome"] == "accepted")
write("headers.json", {"cases": cases})

# --- entries.json: the example of the page
story = [
    (with_(header("genesis", [{"id": VLT, "is": "open", "d": sha(b"the genesis statement").hex()}], seq=0),
           time="2026-11-21T09:12:00.000Z"), {"organisation": "株式会社例", "quorum": 2}),
    (with_(header("dataset-added", [{"id": DS, "is": "open"}], seq=1), time="2026-11-21T09:12:00.123Z"),
     {"name": "顧客/2026", "unreadable_until": None}),
    (with_(header("seal-intended", [{"id": BAT, "is": "intended", "of": DS, "n": 2}], [(V1, BAT)], seq=2),
           time="2026-11-21T09:12:01.500Z"), {"objects": [ident("obj", "e7"), ident("obj", "f8")]}),
]
entries, leaves = [], []
for i, (h, b) in enumerate(story):
    salt = bytes(range(16 * i, 16 * i + 16))
    total = sha(salt, canonical(b).encode())
    leaf = sha(b"\x00", canonical(h).encode(), total)
    leaves.append(leaf)
    entries.append({"header": canonical(h), "body": canonical(b), "salt": salt.hex(), "body_hash": total.hex(),
                    "leaf": leaf.hex()})
origin = "example.co.jp/kesu/" + VLT
write("entries.json", {
    "entries": entries,
    "roots": [root(leaves[:n]).hex() for n in range(4)],
    "checkpoint": origin + "\n3\n" + base64.b64encode(root(leaves)).decode() + "\n",
})
