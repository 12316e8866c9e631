# Notices of disablement, superseding records, failure reports (docs/spec/notices.md): what they say, who signed them and
# when, whether they were superseded as far as that can be known. Never a verdict on an erasure.
import os

from . import cms, crl, notes, x509
from .base import HEX64, Bad, is_id, is_kind, millis_or_none, parse_json, sha256_hex
from .bundle import HEADERS, folded
from .names import utc
from .stamps import MINUTE, Token, token_of_answer, token_row
from .x509 import X509Error

DOCUMENT, P7S, TSR, CHAIN = "notice.json", "notice.json.p7s", "notice.json.p7s.tsr", "tsa.pem"
MOST = 16 << 20
NO_CERTIFICATE, INVALID = "no-certificate", "invalid"
EXITS = {NO_CERTIFICATE: 7, INVALID: 6}
# type -> word, stages, outcomes, type of its entry in the ledger
KINDS = {"kesu-notice-v1": ("notice", {"requested", "approved", "running"}, {"withheld"}, "notice-issued"),
         "kesu-superseding-v1": ("superseding", {"cancelled", "rejected"}, {"in-use"}, "notice-superseded"),
         "kesu-failure-v1": ("failure", {"running", "failed"}, {"destroyed", "not-destroyed", "not-tried", "unknown"}, "failure-reported")}


def is_notice(path):
    """What holds a certificate, too, is a bundle with a file that it may not have."""
    return os.path.isfile(os.path.join(path, DOCUMENT)) and not os.path.exists(os.path.join(path, "certificate.json"))


def counted(n, noun):
    return f"{n} {noun}{'' if n == 1 else 's'}"


def statement(d):
    """The two texts that the other members give."""
    who, erasure, stage, keys = d["organisation"], d["erasure"], d["stage"], d["keys"]
    names = [row["name"] for row in d["datasets"]]
    en, ja, running = ", ".join(names), "、".join(names), stage == "running"
    if d["type"] == "kesu-notice-v1":
        return {"en": f"{who} gives notice that {en} is to be made unreadable by erasure {erasure}, which is {stage}. Since its request kesu seals "
                      f"nothing more into it and protects nothing new under {counted(len(keys), 'key version')}; "
                      + ("opening is refused, too. " if running else "until the erasure runs, opening goes on. ")
                      + "The keys exist: their provider would still act for whoever may use them. Nothing has been destroyed, and this can be taken "
                        "back until the destruction of the first key version begins.",
                "ja": f"{who}は、消去{erasure}（段階：{stage}）により{ja}を読めなくする予定であることを通知する。申請の時から kesu はこれに新たな封入を行わず、"
                      f"{len(keys)}個の鍵バージョンで新たな保護を行わない。" + ("復号も拒む。" if running else "消去の実行までは復号できる。")
                      + "鍵は存在し、プロバイダーは権限を持つ者の求めに応じる。何も破棄されておらず、最初の鍵バージョンの破棄が始まるまで取り消すことができる。"}
    if d["type"] == "kesu-superseding-v1":
        n = len(d["supersedes"])
        return {"en": f"{who} declares that erasure {erasure} of {en} is {stage}: {counted(n, 'notice')} issued before {'has' if n == 1 else 'have'} "
                      "no effect any more. Its keys were not destroyed by it and serve again.",
                "ja": f"{who}は、{ja}の消去{erasure}が{stage}となったことを表明する。先に発行した通知{n}件は効力を失った。"
                      "この消去による鍵の破棄は行われず、鍵は再び使用できる。"}
    gone, unknown = (sum(k["outcome"] == o for k in keys) for o in ("destroyed", "unknown"))
    left = len(keys) - gone - unknown
    return {"en": f"{who} reports that erasure {erasure} of {en} began and is not complete: of {counted(len(keys), 'key version')} {gone} destroyed, "
                  f"{left} not destroyed, {unknown} unknown. What was destroyed cannot be brought back. None of this data may be taken for unreadable"
                  + ("." if left + unknown else ": the inspection after destruction has not shown every key absent."),
            "ja": f"{who}は、{ja}の消去{erasure}が開始されたが完了していないことを報告する。鍵バージョン{len(keys)}個のうち、破棄済み{gone}個、"
                  f"未破棄{left}個、不明{unknown}個。破棄されたものは元に戻せない。対象データを読めなくなったものとして扱ってはならない"
                  + ("。" if left + unknown else "（破棄後の検査により全鍵の不在が示されていない）。")}


class Notice:
    def __init__(self, files, trust, extract=None):
        self.files, self.trust, self.extract = files, trust, extract
        self.errors, self.rows, self.document, self.kind = [], [], None, None
        self.times, self.signer_known, self.revocation = {}, False, ("not-asked", "")
        self.standing = {"state": "unknown", "by": "", "as_of": 0, "log_known": False}

    def bad(self, part, what):
        if {"part": part, "what": what} not in self.errors:
            self.errors.append({"part": part, "what": what})

    def run(self):
        try:
            if DOCUMENT not in self.files:
                raise Bad(DOCUMENT, "is missing")
            d = self._read()
            self.kind = KINDS[d["type"]][0]
            self._signature(d)
            if self.extract is not None:
                self._standing(d)
            self.document = d
        except Bad as error:
            self.bad(error.part, error.what)
        except X509Error as error:
            self.bad(P7S, str(error))
        except Exception as error:  # nothing that it holds may end the reader in another way
            self.bad(DOCUMENT, f"cannot be read ({type(error).__name__}: {str(error)[:120]})")
        return self.report()

    def _read(self):
        d = parse_json(self.files[DOCUMENT], DOCUMENT, canonical=True, limit=MOST)
        if not isinstance(d, dict) or not isinstance(d.get("type"), str) or d["type"] not in KINDS:
            raise Bad(DOCUMENT, "type: is none of these documents")
        for name in ("organisation", "stage"):
            if not isinstance(d.get(name), str):
                raise Bad(DOCUMENT, f"{name} is no text")
        if not is_kind(d.get("issued"), "time"):
            raise Bad(DOCUMENT, "issued: is no time")
        if not is_id(d.get("id"), "doc") or not is_id(d.get("erasure"), "era"):
            raise Bad(DOCUMENT, "id or erasure: no identifier")
        ledger = d["ledger"]
        if not (isinstance(ledger["origin"], str) and ledger["origin"] and is_kind(ledger["size"], "number") and ledger["size"] > 0
                and isinstance(ledger["root"], str) and HEX64.fullmatch(ledger["root"])):
            raise Bad(DOCUMENT, "ledger: is no checkpoint")
        word, stages, outcomes, _ = KINDS[d["type"]]
        if d["stage"] not in stages:
            raise Bad(DOCUMENT, f"stage: is none of a {word}")
        if not is_kind(d.get("keys"), "objects") or not is_kind(d.get("datasets"), "objects") or not d["keys"] or not d["datasets"]:
            raise Bad(DOCUMENT, "keys or datasets: are empty")
        if any(k.get("outcome") not in outcomes for k in d["keys"]):
            raise Bad(DOCUMENT, f"outcome: is none of a {word}")
        if not all(isinstance(row.get("name"), str) for row in d["datasets"]):
            raise Bad(DOCUMENT, "datasets: one has no name")
        if d.get("statement") != statement(d):
            raise Bad(DOCUMENT, "statement: is not what the other members give")
        if word == "superseding":
            self._supersedes(d)
        return d

    @staticmethod
    def _supersedes(d):
        seen, issued = {d["id"]}, millis_or_none(d["issued"])
        if not is_kind(d["supersedes"], "objects") or not d["supersedes"]:
            raise Bad(DOCUMENT, "supersedes: is empty")
        for n in d["supersedes"]:
            good = is_id(n.get("id"), "doc") and n["id"] not in seen and isinstance(n.get("document"), str) and HEX64.fullmatch(n["document"])
            if not good or not is_kind(n.get("issued"), "time") or millis_or_none(n["issued"]) > issued:
                raise Bad(DOCUMENT, "supersedes: names what no notice before it can be")
            seen.add(n["id"])

    def _signature(self, d):
        signed = cms.SignedData(self.files.get(P7S, b""))
        signer = signed.verify(self.files[DOCUMENT])
        issued = millis_or_none(d["issued"])
        if signer.digest.hex() != d["signer"]["certificate"]:
            self.bad(P7S, "is not made with the certificate that notice.json names")
        if not signer.valid_at(issued):
            self.bad(P7S, "its certificate was not valid when the document was issued")
        self._stamps(signed, issued)
        self._known(signed, signer, issued)

    def _stamps(self, signed, issued):
        chain = []
        if CHAIN in self.files:
            if TSR not in self.files:
                self.bad(CHAIN, "is a chain without its token")
            try:
                chain = cms.chain_file(self.files[CHAIN])
            except X509Error as error:
                self.bad(CHAIN, str(error))
        inside = signed.unsigned.get(cms.SIGNATURE_TIME_STAMP)
        if inside:
            self._take("signature", P7S, lambda: inside[0].whole, signed.signature, issued, chain)
        if TSR in self.files:
            self._take(P7S, TSR, lambda: token_of_answer(self.files[TSR]), self.files[P7S], issued, chain)

    def _take(self, over, part, data, stamped, issued, chain):
        try:
            token = Token(data(), stamped)
        except X509Error as error:
            self.bad(part, str(error))
            return
        if issued > token.at + (token.accuracy or 0) + MINUTE:
            self.bad(DOCUMENT, f"issued is later than the time-stamp over {over}, {utc(token.at)}")
        self.rows.append(token_row(over, token, chain, self.trust, self.trust.signer_crls))
        if self.rows[-1]["trusted"]:
            self.times[over] = token.at

    def _known(self, signed, signer, issued):
        trust, dated = self.trust, {"signature", P7S} <= set(self.times)
        if signer.digest in trust.signers:
            self.signer_known = True
        elif trust.signer_cas:
            at = self.times[P7S] if dated else issued
            try:
                path = x509.find_chain(signer, signed.certificates, trust.signer_cas, at)
                if len(path) > 1:
                    self.revocation = crl.judge(path, trust.signer_crls, at, dated)
                self.signer_known = not crl.against(self.revocation)
            except X509Error:
                pass

    # What came after it.

    def _standing(self, d):
        size, erasure = d["ledger"]["size"], d["erasure"]
        try:
            key = notes.VerifierKey(self.extract.read("trust/ledger.vkey", 4096).decode("ascii").rstrip("\n"), (notes.ED25519,))
            part = "ledger/checkpoint-b"
            _, b = notes.read_checkpoint(self.extract.read(part, notes.MAX_NOTE), key, part)
            if b.size < size or b.origin != d["ledger"]["origin"]:
                raise Bad(HEADERS, "are of another ledger than the document's, or older than it")
            ledger = folded(self.extract, b, {b.size, size})
            if ledger.roots[b.size] != b.root:
                raise Bad(HEADERS, "the headers do not fold to its checkpoint's root")
            if ledger.roots[size].hex() != d["ledger"]["root"]:
                raise Bad(HEADERS, "are of another ledger than the document's, or older than it")
            self._follow(d, erasure, [ledger.headers[n] for n in sorted(ledger.headers)])
        except Bad as error:
            self.bad(error.part if error.part == DOCUMENT else f"--ledger {error.part}", error.what)
            return
        except (notes.NoteError, UnicodeDecodeError) as error:
            self.bad("--ledger trust/ledger.vkey", str(error))
            return
        self.standing["as_of"] = b.size
        self.standing["log_known"] = any((k.name, k.key) == (key.name, key.key) for k in self.trust.logs)

    def _follow(self, d, erasure, headers):
        recorded, ended, by, before = False, False, "", {}
        sha = sha256_hex(self.files[DOCUMENT])
        for h in headers:
            mine = next((n for n in h.nodes if n["id"] == d["id"]), None)
            if mine is not None:
                if h.type != KINDS[d["type"]][3] or mine.get("of") != erasure or mine.get("d") != sha:
                    raise Bad(HEADERS, f"entry {h.seq} names this identifier for another document")
                recorded = True
            elif h.type == "notice-issued" and not recorded and h.nodes[0].get("of") == erasure:
                before[h.nodes[0]["id"]] = h.nodes[0].get("d")
            elif h.type == "notice-superseded" and recorded and h.nodes[0].get("of") == erasure:
                by = h.nodes[0]["id"]
            elif h.type in ("erasure-cancelled", "erasure-rejected") and any(n["id"] == erasure for n in h.nodes):
                ended = ended or recorded
        state = "not-recorded"
        if recorded and self.kind == "notice":
            state = "superseded" if by else "ended" if ended else "in-force"
            self.standing["by"] = by
        elif recorded:
            state = "not-applicable"
            for n in d.get("supersedes", []) if self.kind == "superseding" else []:
                if before.get(n["id"]) != n["document"]:
                    raise Bad(DOCUMENT, f"supersedes: {n['id']} is no notice of this erasure in the ledger")
        self.standing["state"] = state

    def report(self):
        d, good = self.document if not self.errors else {}, not self.errors
        if not good:
            self.signer_known = False
            self.standing = {"state": "unknown", "by": "", "as_of": 0, "log_known": False}
        return {"verdict": NO_CERTIFICATE if good else INVALID, "document": self.kind,
                **{name: d.get(name, "") for name in ("id", "organisation", "erasure", "stage", "issued")},
                "signer_known": self.signer_known, "revocation": {"state": self.revocation[0], "why": self.revocation[1]},
                "time": self.rows, "superseded": self.standing, "sha256": sha256_hex(self.files.get(DOCUMENT, b"")),
                "statement": d.get("statement"), "errors": self.errors}


def verify(directory, trust, extract=None):
    """The report of a directory; `extract`: the files of a newer ledger extract."""
    files = {}
    for name in (DOCUMENT, P7S, TSR, CHAIN):
        path = os.path.join(directory, name)
        if os.path.isfile(path):
            with open(path, "rb") as file:
                files[name] = file.read(MOST + 1)
    return Notice(files, trust, extract).run()


def show(report):
    """Lines for a person; the last one is the verdict."""
    if report["errors"]:
        return ["This document is forged, altered or not signed: believe nothing that it says.",
                *(f"  error: {e['part']}: {e['what']}" for e in report["errors"]), "INVALID"]
    standing = report["superseded"]
    state = {"unknown": "not known: give --ledger EXTRACT", "superseded": f"SUPERSEDED by {standing['by']}"}.get(standing["state"], standing["state"])
    return [f"{report['document']} {report['id']} of {report['organisation']}: this is no certificate", f"  {report['statement']['en']}",
            f"  stage {report['stage']}, issued {report['issued']}",
            *(f"  stamped {t['at']} by {t['authority']}" + ("" if t["trusted"] else f" (not counted: {t['why']})") for t in report["time"]),
            f"  signer {'known' if report['signer_known'] else 'NOT identified'}; revocation: {report['revocation']['state']} {report['revocation']['why']}".rstrip(),
            f"  superseded: {state}" + (f", as of entry {standing['as_of']}" if standing["as_of"] else "")
            + ("" if standing["log_known"] or not standing["as_of"] else ", by a ledger key that the trust file does not have"),
            "NO CERTIFICATE"]
