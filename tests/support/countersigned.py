"""Countersignatures over a bundle's certificate.json, good ones and bad: (name, files, what stands in the report or None)."""
import base64
import datetime

from cryptography import x509
from cryptography.hazmat.primitives.serialization import load_pem_private_key

import bad_certificates
import certified
import reissue
from bad_certificates import attribute


def person(place, name, kind=("EC", "ec_paramgen_curve:P-384"), *words):
    """Key and self-signed certificate in a directory of its own."""
    place.mkdir(parents=True)
    certified.new_key(place / "key.pem", kind)
    certified.self_signed(place / "key.pem", place / "cert.pem", name, *words)
    return place


def sign(place, content, *words):
    (place / "certificate.json").write_bytes(content)
    certified.openssl("cms", "-sign", "-binary", "-in", "certificate.json", "-signer", "cert.pem", "-inkey", "key.pem",
                      *(words or ("-cades", "-md", "sha384", "-outform", "DER")), "-out", "signature", cwd=place)
    return (place / "signature").read_bytes()


def cases(files, auditor, validator):
    """`auditor`, `validator`: directories of person()."""
    content, at = files["certificate.json"], "certificate.json.2.p7s"
    der, cades = ("-outform", "DER"), ("-cades", "-md", "sha384", "-outform", "DER")
    good, second = sign(auditor, content), sign(validator, content)
    yield "one", {**files, at: good}, [at]
    yield "two", {**files, at: good, "certificate.json.3.p7s": second}, [at, "certificate.json.3.p7s"]
    yield "RSA-PSS", {**files, at: sign(validator, content, *cades, *certified.PSS)}, [at]
    yield "a gap", {**files, "certificate.json.3.p7s": good}, None
    yield "number 1", {**files, "certificate.json.1.p7s": good}, None
    yield "number 34", {**files, "certificate.json.34.p7s": good}, None
    yield "02", {**files, "certificate.json.02.p7s": good}, None
    yield "over other content", {**files, at: sign(auditor, content + b" ")}, None
    yield "over plan.json", {**files, at: sign(auditor, files["plan.json"])}, None
    yield "the signer's own, of another bundle", {**files, at: good[:-1] + bytes([good[-1] ^ 1])}, None
    yield "no signing-certificate-v2", {**files, at: sign(auditor, content, "-md", "sha384", *der)}, None
    yield "no certificate inside", {**files, at: sign(auditor, content, *cades, "-nocerts")}, None
    yield "the content inside", {**files, at: sign(auditor, content, *cades, "-nodetach")}, None
    yield "named by key identifier", {**files, at: sign(auditor, content, *cades, "-keyid")}, None
    # Certificates that came along, and the one that counts, of odd kinds.
    now = datetime.datetime.now(datetime.timezone.utc)
    key = load_pem_private_key((auditor / "key.pem").read_bytes(), None)
    own = x509.load_pem_x509_certificate((auditor / "cert.pem").read_bytes())
    whole = own.public_bytes(bad_certificates.DER)

    def made(certificate, **options):
        names = attribute("1.2.840.113549.1.9.16.2.47", reissue.der(0x30, reissue.der(0x30, reissue.der(0x30, reissue.der(4, bytes.fromhex(reissue.sha(
            certificate.public_bytes(bad_certificates.DER))))))))
        signed = lambda digest: [attribute("1.2.840.113549.1.9.3", reissue.DATA), attribute("1.2.840.113549.1.9.4", reissue.der(4, digest)), names]
        text = bad_certificates.odd_cms(key, certificate, content, attributes=signed, **options)
        return {**files, at: base64.b64decode(b"".join(text.splitlines()[1:-1]))}
    yield "by hand", made(own), [at]
    for kind, how in bad_certificates.ODD_KINDS:
        odd = bad_certificates.raw_certificate(key, now, now + datetime.timedelta(days=1), **how)
        yield f"one with {kind} came along", made(own, carried=[whole, odd]), [at]
        yield f"the signer's with {kind}", made(bad_certificates.Raw(odd)), None
    yield "his own twice", made(own, carried=[whole, whole]), None
    unsigned = lambda *a: {"unsigned": reissue.der(0xa1, *a)}
    null = reissue.der(5)
    for name, how, taken in (("an unsigned attribute", unsigned(attribute("1.2.3.4", null)), True), ("one twice", unsigned(*2 * [attribute("1.2.3.4", null)]), False),
                            ("one without a value", unsigned(attribute("1.2.3.4")), False), ("one with two values", unsigned(attribute("1.2.3.4", null, null)), False),
                            ("digest algorithms twice", {"digests": 2 * reissue.SHA384}, False), ("attributes out of order", {"ordered": False}, False)):
        yield name, made(own, **how), [at] if taken else None
    yield "PEM", {**files, at: sign(auditor, content, "-cades", "-md", "sha384", "-outform", "PEM")}, None
    yield "empty", {**files, at: b""}, None
    for place in range(0, len(good), max(1, len(good) // 12)):
        damaged = bytearray(good)
        damaged[place] ^= 4
        yield f"byte {place} damaged", {**files, at: bytes(damaged)}, None
    manifest = {**files, at: good}
    manifest["MANIFEST"] = reissue.manifest(manifest)
    yield "listed in MANIFEST", manifest, None
