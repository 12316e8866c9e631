"""Notices, superseding records and failure reports that are wrong in one way each: (name, files by name, part that a reader
has to name). Some are altered, some are signed anew by somebody who holds a key of his own, so that the reading must catch it
and not the signature."""
import hashlib
import json

import reissue
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ec

DOCUMENT, P7S, TSR, CHAIN = "notice.json", "notice.json.p7s", "notice.json.p7s.tsr", "tsa.pem"
IDENTIFIER = "doc-" + "ab" * 16


class Signer:
    """Signs documents of its own."""

    def __init__(self):
        self.key = ec.generate_private_key(ec.SECP384R1())
        self.certificate = reissue.signer_certificate(self.key)
        self.digest = hashlib.sha256(self.certificate.public_bytes(serialization.Encoding.DER)).hexdigest()

    def files(self, document, **changes):
        document = json.loads(json.dumps(document)) | changes
        document["signer"] = document["signer"] | {"certificate": self.digest}
        data = reissue.canonical(document)
        return {DOCUMENT: data, P7S: reissue.cms(self.key, self.certificate, data)}


def altered(good, other):
    """Of a stamped document's files; `other`: those of another document of the same signer."""
    text = good[DOCUMENT].decode()
    document = json.loads(text)

    def with_text(new):
        return good | {DOCUMENT: new.encode()}

    for old, new in ((f'"stage":"{document["stage"]}"', '"stage":"destroyed"'), (document["type"], "kesu-certificate-v1"),
                     (document["organisation"], "Another Bank"), (document["erasure"], "era-" + "0" * 32), ('"outcome":"', '"outcome":"un'),
                     ('"objects":', '"object":')):
        assert old in text, old
        yield f"altered: {old}", with_text(text.replace(old, new)), ""
    yield "a line feed more", with_text(text + "\n"), DOCUMENT
    yield "no object", with_text("[]"), DOCUMENT
    yield "nothing", with_text(""), DOCUMENT
    yield "not UTF-8", good | {DOCUMENT: b"\xff"}, DOCUMENT
    yield "no signature", {k: v for k, v in good.items() if k != P7S}, P7S
    yield "a signature that is none", good | {P7S: b"\x30\x03\x02\x01\x00"}, P7S
    yield "the signature of another document", good | {P7S: other[P7S]}, P7S
    yield "another document under this signature", good | {DOCUMENT: other[DOCUMENT]}, P7S
    yield "the stamp of another document", good | {TSR: other[TSR]}, TSR
    yield "a stamp that is none", good | {TSR: b"\x30\x00"}, TSR
    answer = bytearray(good[TSR])
    answer[-10] ^= 1
    yield "an altered stamp", good | {TSR: bytes(answer)}, TSR
    yield "a chain without its stamp", {k: v for k, v in good.items() if k != TSR}, CHAIN
    yield "a chain that is none", good | {CHAIN: b"-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n"}, CHAIN
    # The token inside is over the signature's value: one that is cut out of another document does not fit.
    yield "signed anew, the stamp left", good | Signer().files(document), TSR


def worded(notice, superseding, statement):
    """Signed by somebody who words it himself. `statement` makes the text that fits."""
    signer = Signer()

    def wrong(name, document, **changes):
        return name, signer.files(document, **changes), DOCUMENT

    def fitting(document, **changes):
        return changes | {"statement": statement(document | changes)}

    yield wrong("his own words", notice, statement={"en": "All of it is erased.", "ja": "消去済み"})
    yield wrong("one language", notice, statement={"en": notice["statement"]["en"]})
    yield wrong("more in the statement", notice, statement=notice["statement"] | {"fr": ""})
    yield wrong("a stage of its own", notice, **fitting(notice, stage="destroyed"))
    yield wrong("a stage of another type", notice, **fitting(notice, stage="cancelled"))
    yield wrong("an outcome of another type", notice, keys=[{**k, "outcome": "destroyed"} for k in notice["keys"]])
    yield wrong("an outcome that is none", notice, keys=[{**k, "outcome": "withheld in-use"} for k in notice["keys"]])
    yield wrong("no keys", notice, **fitting(notice, keys=[]))
    yield wrong("no datasets", notice, **fitting(notice, datasets=[]))
    yield wrong("passed off as a certificate", notice, type="kesu-certificate-v1")
    yield wrong("no identifier", notice, id="doc-1")
    yield wrong("a certificate's identifier", notice, id="cer-" + notice["id"][4:])
    yield wrong("no time", notice, issued="yesterday")
    yield wrong("no checkpoint", notice, ledger=notice["ledger"] | {"root": ""})
    yield wrong("a notice as a record", notice, type="kesu-superseding-v1")
    first = superseding["supersedes"][0]
    for name, items in (("nothing", []), ("itself", [first | {"id": superseding["id"]}]), ("one twice", [first, first]),
                        ("what is later", [first | {"issued": "2099-01-01T00:00:00.000Z"}]), ("no digest", [first | {"document": "00"}]),
                        ("no identifier", [first | {"id": superseding["erasure"]}])):
        yield wrong(f"supersedes {name}", superseding, **fitting(superseding, supersedes=items))
    data = reissue.canonical(notice | {"signer": notice["signer"] | {"certificate": "0" * 64}})
    yield "another certificate's digest", {DOCUMENT: data, P7S: reissue.cms(signer.key, signer.certificate, data)}, P7S
    good = signer.files(notice)
    yield "no signing-certificate-v2", good | {P7S: reissue.cms(signer.key, signer.certificate, good[DOCUMENT], name_certificate=False)}, P7S
    yield "the content inside", good | {P7S: reissue.cms(signer.key, signer.certificate, good[DOCUMENT], embed=True)}, P7S
