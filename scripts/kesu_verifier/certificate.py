# certificate.json: every member recomputed from the rest of the bundle, and compared.
from .base import counted, first_difference, is_id, is_kind, maybe, same_json
from .facts import NEVER
from .people import ROLE_OF
from .policy import NO_LIMIT
from .trust import LEVELS

PART = "certificate.json"
OWN_WORD = ("id", "issued", "program")
FIRST_WITH_RECORD = 3
METHOD = {"id": "cryptographic-erase",
          "en": "Cryptographic erase: the keys of encrypted data were discarded, by destroying every key version "
                "from which a data key could ever be reached.",
          "ja": "暗号化消去：データキーに到達し得たすべての鍵バージョンを破棄し、暗号化されたデータの鍵を廃棄した。"}
INSPECTION = {"id": "inspection",
              "en": "Every object of each provider enumerated before and after, each key, canary and sampled object "
                    "tried with the keys before and after, beside a control key.",
              "ja": "破棄の前後に、鍵の保管装置の全オブジェクトを列挙し、各鍵・カナリア・標本の復号を対照鍵とともに試行した。"}
NO_INSPECTION = {"id": "none", "en": "No inspection is shown.", "ja": "検査は示されていない。"}


def evidence_chain(claims, signed, policy):
    """What the evidence rests on, weakest first. `signed`: the CMS that is good, or None."""
    parts = [("ledger tree", "Merkle-Tree-SHA-256", "hash"), ("ledger bodies", "SHA-256", "hash"),
             ("checkpoint signatures", "Ed25519", "signature"), ("inventory tree", "Merkle-Tree-SHA-256", "hash"),
             ("transcripts, receipts, births", "SHA-256", "hash"), ("plan", "SHA-256", "hash"),
             ("MANIFEST", "SHA-512", "hash")]
    if signed:
        parts += [("certificate signature", claims.signer_algorithm, "signature"),
                  ("certificate digest (CMS)", f"SHA-{signed.digest[3:]}", "hash"),
                  ("signer's certificate, named in CMS", f"SHA-{signed.named_with[3:]}", "hash")]
    officers = [o for o in claims.people.officers if o.signed]
    said = [(f"genesis, {o.name}", o.signature) for o in sorted(officers, key=lambda o: o.operator)]
    changes = claims.people.rules.changes if claims.people.rules else []
    said += [(f"change {c.seq}, {name}", signature) for c in changes if c.counts for _, name, _, signature in sorted(c.all, key=lambda s: s[0])]
    said += [(f"attest {a.header.seq}, {a.officer.name}", a.signature) for a in claims.attested.all]
    ran = {}
    for c in claims.commands.all:
        ran.setdefault(c.officer.operator, (f"commands, {c.officer.name}", c.signature))
    said += ran.values()
    said += [(f"{a.action}, {a.officer.name}", a.signature) for a in claims.people.acts]
    for name, signature in said:
        parts += [(name, signature.algorithm(), "signature"), (f"{name} (digest)", f"SHA-{signature.digest[3:]}", "hash")]
    rows = []
    for part, algorithm, purpose in parts:
        v = policy.judge(algorithm, purpose)
        rows.append((v.strength, v.new, v.process, {
            "part": part, "algorithm": algorithm, "purpose": purpose, "category": v.category, "strength_bits": v.strength,
            "horizon_year_new": None if v.new == NO_LIMIT else v.new,
            "horizon_year_process": None if v.process == NO_LIMIT else v.process}))
    return [row[3] for row in sorted(rows, key=lambda row: row[:3])]


def limits(facts, claims, tables):
    kinds = []
    for place in facts.providers():
        shown = facts.provider(place)
        kind = shown["identity"].get("kind") if shown else None
        if kind in tables.providers["kinds"] and kind not in kinds:
            kinds.append(kind)
    out = list(tables.providers["limits"])
    for kind in sorted(kinds):
        out += tables.providers["kinds"][kind]["limits"]
    return [{n: item[n] for n in ("id", "en", "ja")} for item in out + claims.limits]


def premises(tables, results):
    wanted = {p for r in results for p in r["premises"]}
    return [{"id": name, "en": text["en"], "ja": text["ja"]} for name, text in sorted(tables.claims["premises"].items())
            if name in wanted]


def _grouped(n):
    return f"{n:,}"


def statement(organisation, facts):
    names = [facts.dataset(ds)["name"] for ds in facts.scope]
    objects, size = sum(map(facts.objects, facts.scope)), sum(map(facts.bytes, facts.scope))
    n, when = len(facts.versions), facts.erased_at()
    en = (f"{organisation} declares that the data of {', '.join(names)} ({_grouped(objects)} object{'s' if objects != 1 else ''}, "
          f"{_grouped(size)} byte{'s' if size != 1 else ''}) was kept only in encrypted form under "
          f"{counted(n, 'key version')}, and that the last of these was destroyed on {when}. What is proven, attested, "
          "recorded, only asserted or not shown at all is stated claim by claim; the limits are part of this statement.")
    ja = (f"{organisation}は、{'、'.join(names)}のデータ（{_grouped(objects)}オブジェクト、{_grouped(size)}バイト）が{n}個の"
          f"鍵バージョンで暗号化された形でのみ保持され、その最後の鍵が{when}に破棄されたことを表明する。"
          "証明・証言・記録・申告・根拠なしの別は項目ごとに示す。限界の記載は本表明の一部である。")
    return {"en": en, "ja": ja}


def _keys(facts, gone, claims):
    out = []
    for v in facts.versions:
        done = facts.done[v]
        row = {"version": v, "name": maybe(facts.created(v), "name", "text")
               or maybe(facts.opened(v, "key-intended")[1], "name", "text", ""),
               "provider": facts.graph.nodes[v].provider or "", "destroyed": done.time if done else NEVER,
               "result": gone.results[v], "receipt_lost": gone.lost[v]}
        said = claims.origin_said(v)
        if said not in ("", "generated"):
            row["origin"] = said
        if v in gone.earlier:
            _, before, after = gone.earlier[v]
        if v in gone.earlier and before:
            row["inspection"] = {"before": before, "after": after}
        out.append(row)
    return out


def _datasets(facts):
    out = []
    for ds in facts.scope:
        shown = facts.dataset(ds)
        row = {"id": ds, "objects": facts.objects(ds), "bytes": facts.bytes(ds), "batches": len(facts.sealed(ds)),
               "inventory_root": facts.roots.get(ds, ""), "protection": shown.get("protection", "sealed")}
        row.update({n: shown[n] for n in ("name", "class", "region", "owner", "contract", "locations", "plaintext_history")})
        abandoned = facts.abandoned(ds)
        if abandoned:
            row["abandoned"] = abandoned
        out.append(row)
    return out


def _providers(facts, tables):
    out = []
    for place in facts.providers():
        shown = facts.provider(place)
        header = facts._last(place, "provider-added")
        if header is None or shown is None:
            facts.need(header)
            continue
        test, reason = tables.grade({k: v for k, v in shown["identity"].items() if isinstance(v, str)})
        out.append({"id": place, "name": shown["name"], "kind": shown["identity"].get("kind", ""),
                    "identity": shown["identity"], "test_grade": test, "reason": reason})
    return out


def _copies(facts):
    out = []
    for c in facts.copies:
        body = facts.opened(c, "copy-registered")[1]
        out.append({"id": c, "kind": maybe(body, "kind", "text", ""), "place": maybe(body, "place", "text", ""),
                    "custodian": maybe(body, "custodian", "text", ""), "state": facts.graph.state(c) or ""})
    return out


def _record(facts, gone, out):
    """What SP 800-88 Rev. 2 §4.6 asks for besides ("Record of sanitization")."""
    contacts = facts.contacts()
    nobody = {"contact": "", "place": ""}
    for row in out["datasets"]:
        shown = facts.dataset(row["id"])
        row.update({n: shown[n] for n in ("service", "contact", "asset", "destination")})
    for row in out["people"]:
        row.update(contacts.get(row["operator"], nobody))
    out["contact"] = contacts.get(facts.plan.get("vault"), nobody)
    out["method"] = METHOD
    out["verification"] = INSPECTION if gone.inspections else NO_INSPECTION


def expected(case, stored):
    """What the bundle gives for every member but the issuer's own words."""
    facts, gone, claims, tables = case.facts, case.gone, case.claims, case.tables
    genesis = claims.people.genesis or {}
    organisation = genesis.get("organisation", facts.plan.get("organisation", ""))
    providers = _providers(facts, tables)
    out = {
        "type": "kesu-certificate-v1", "vault": facts.plan.get("vault", ""), "organisation": organisation,
        "erasure": facts.erasure, "stage": facts.stage(), "erased": facts.erased_at(),
        "profile": facts.plan.get("profile", ""), "plan": facts.plan_digest,
        "test_grade": any(p["test_grade"] for p in providers), "datasets": _datasets(facts),
        "keys": _keys(facts, gone, claims), "providers": providers, "copies": _copies(facts),
        "people": [{"operator": a.officer.operator, "name": a.officer.name, "title": a.officer.title,
                    "role": ROLE_OF[a.action], "action": a.action,
                    "fingerprint": a.officer.key.fingerprint, "signed": a.header.time,
                    **({"certificate": a.officer.key.certificate.digest.hex()} if a.officer.key.certificate else {})}
                   for a in claims.people.acts],
        "limits": limits(facts, claims, tables),
        "inspection": {"before": [i.before_digest for i in gone.inspections],
                       "after": [i.after_digest for i in gone.inspections], "samples": gone.samples()},
        "ledger": {"origin": case.ledger.key.name, "size": case.ledger.a.size, "root": case.ledger.a.root.hex()},
        "signer": {"self_signed": case.signer.self_signed if case.signer else False,
                   "certificate": case.signer.digest.hex() if case.signer else "", "version": case.signer_version},
        "statement": statement(organisation, facts)}
    version = maybe(maybe(stored, "tables", "object"), "claims", "number", FIRST_WITH_RECORD)
    if version >= FIRST_WITH_RECORD:
        _record(facts, gone, out)
    if version != 1:
        out["exceptions"] = claims.facts_exceptions()
        out["evidence_chain"] = case.chain
    return out


def compare(case, stored, bad):
    """Says every member of the certificate that is not what the bundle gives."""
    wanted = expected(case, stored)
    if stored.get("type") != wanted["type"]:
        case.bad(PART, f"type: {str(stored.get('type'))[:60]}")
    other_policy = _policy(case, stored, bad)
    members = {*wanted, *OWN_WORD, "tables", "policy", "claims", "premises"}
    for name in sorted(set(stored) - members):
        bad(PART, f"{name[:60]} is no member of a certificate")
    for name in sorted(members - set(stored)):
        bad(PART, f"{name} is missing")
    if not is_id(stored.get("id"), "cer") or not is_kind(stored.get("issued"), "time") or not is_kind(
            stored.get("program"), "text"):
        case.bad(PART, "id, issued or program is malformed")
    versions = maybe(stored, "tables", "object") or {}
    for name, own in case.tables.versions.items():
        if not is_kind(versions.get(name), "number") or not 1 <= versions[name] <= own:
            bad(PART, f"tables.{name} is not what the bundle gives")
    if set(versions) != set(case.tables.versions):
        bad(PART, "tables is not what the bundle gives")
    for name, value in wanted.items():
        if name not in stored or name == "type":
            continue
        if name == "evidence_chain" and other_policy:
            if _without_verdicts(stored[name]) != _without_verdicts(value):
                bad(PART, "evidence_chain is not what the bundle gives")
            continue
        where = first_difference(stored[name], value, name)
        if where:
            bad(PART, f"{where} is not what the bundle gives")
    _claims(case, stored, other_policy, bad)


def _without_verdicts(chain):
    if not is_kind(chain, "objects"):
        return None
    return sorted((str(link.get("part")), str(link.get("algorithm")), str(link.get("purpose"))) for link in chain)


def _policy(case, stored, bad):
    """Whether the certificate was judged by another policy than the reader's."""
    policy = maybe(stored, "policy", "object") or {}
    if set(policy) != {"edition", "digest"} or not is_kind(policy.get("edition"), "text"):
        bad(PART, "policy is malformed")
    if policy.get("digest") != case.facts.plan.get("policy_digest"):
        bad(PART, "policy.digest is not the plan's")
    return policy.get("digest") != case.tables.policy.digest


def _claims(case, stored, other_policy, bad):
    table = case.tables.claims["claims"]
    said = stored.get("claims")
    if not is_kind(said, "objects") or len(said) != len(table):
        bad(PART, "claims are not those of the table")
        return
    for n, (claim, mine, theirs) in enumerate(zip(table, map(_before_stamps, table, case.results), said)):
        if theirs.get("id") != claim["id"] or theirs.get("level") not in LEVELS:
            bad(PART, f"claims[{n}]: is not {claim['id']} with a level")
            continue
        _claim(bad, claim, mine, theirs, other_policy)
    wanted = premises(case.tables, [c for c in said if is_kind(c.get("premises"), "texts")])
    if not same_json(stored.get("premises"), wanted):
        bad(PART, "premises are not those of its claims")


def _before_stamps(claim, mine):
    """What time-stamps and witnesses add came after the issuer had signed: the certificate says what held without them."""
    most = {"dated": "absent", "logged": "asserted"}.get(claim["id"], "proven")
    if LEVELS.index(mine["level"]) <= LEVELS.index(most):
        return mine
    row = next(r for r in claim["rows"] if r["level"] == most)
    return {**mine, "level": most, "premises": row["premises"], "rests_on": mine["rests_on"][:most != "absent"], "detail": ""}


def _claim(bad, claim, mine, theirs, other_policy):
    name = claim["id"]
    if LEVELS.index(theirs["level"]) > LEVELS.index(mine["level"]):
        bad(PART, f"claims: {name} says {theirs['level']}, the bundle gives {mine['level']}")
    for member in sorted(set(theirs) - set(mine)):
        bad(PART, f"claims: {name}: {member[:60]} is not what the bundle gives")
    rows = [row["premises"] for row in claim["rows"] if row["level"] == theirs["level"]]
    lower = theirs["level"] != mine["level"]
    if not rows:
        bad(PART, f"claims: {name}: level is not what the bundle gives")
    wanted = rows if lower else [mine["premises"]]
    if theirs.get("premises") not in wanted:
        bad(PART, f"claims: {name}: premises is not what the bundle gives")
    for member, nothing in (("rests_on", []), ("detail", "")):
        good = [mine[member]] + ([nothing] if lower else [])
        if other_policy and name == "algorithms" and member == "rests_on" and is_kind(theirs.get(member), "texts"):
            continue
        if not any(same_json(theirs.get(member), value) for value in good):
            where = first_difference(theirs.get(member), mine[member], member) or member
            bad(PART, f"claims: {name}: {where} is not what the bundle gives")
