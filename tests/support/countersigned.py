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


def parts(data):
    """The elements of a DER string as (tag, content, whole)."""
    out, at = [], 0
    while at < len(data):
        size, head = data[at + 1], 2
        if size & 128:
            head += size & 127
            size = int.from_bytes(data[at + 2:at + head], "big")
        out.append((data[at], data[at + head:at + head + size], data[at:at + head + size]))
        at += head + size
    return out


def signed_data(cms):
    """→ (what stands before the SignerInfo in SignedData, the SignerInfo's elements)."""
    kind, holder = parts(parts(cms)[0][1])
    all_of_it = parts(parts(holder[1])[0][1])
    return kind[2], [p[2] for p in all_of_it[:-1]], parts(parts(all_of_it[-1][1])[0][1])


def value_of(cms):
    """The signature's value: what its time-stamp is over."""
    return [p for p in signed_data(cms)[2] if p[0] == 4][0][1]


def with_unsigned(cms, *attributes):
    kind, before, signer = signed_data(cms)
    info = reissue.der(0x30, *[p[2] for p in signer if p[0] != 0xa1], reissue.der(0xa1, *attributes))
    return reissue.der(0x30, kind, reissue.der(0xa0, reissue.der(0x30, *before, reissue.der(0x31, info))))


STAMP = "1.2.840.113549.1.9.16.2.14"


def token_of(answer):
    return parts(parts(answer)[0][1])[1][2]


def with_token(cms, token):
    return with_unsigned(cms, attribute(STAMP, token))


def stamped_cases(files, auditor, tsa, stranger, earlier):
    """Countersignatures with time-stamps of a tsa.Tsa, or of a stranger: (name, files, "counts", "not", None where the
    bundle is invalid, or "alike": as what the readers agree on); `earlier`: the environment of an hour ago."""
    content, at = files["certificate.json"], "certificate.json.2.p7s"
    good = sign(auditor, content)
    value = value_of(good)
    ask = lambda data=value, mode="good", env=None: token_of(tsa.reply(tsa.query(data), mode, env))
    case = lambda token: {**files, at: with_token(good, token)}
    yield "its own time-stamp", case(ask()), "counts"
    yield "by the name of SHA-1 (ESSCertID)", case(ask(mode="ess-sha1")), "counts"
    alone = lambda of: token_of(tsa.wrap(tsa.tst_info(tsa.reply(tsa.query(value_of(of)))), chain=False))
    with_chain = sign(auditor, content, "-cades", "-md", "sha384", "-outform", "DER", "-certfile", str(tsa.intermediate))
    yield "its chain came along in the countersignature", {**files, at: with_token(with_chain, alone(with_chain))}, "counts"
    yield "its chain is nowhere", case(alone(good)), "not"
    yield "by an authority that nobody named", case(token_of(stranger.reply(stranger.query(value)))), "not"
    yield "an hour before the certificate", case(ask(env=earlier)), None
    for name, data in (("certificate.json", content), ("the whole file", good), ("other bytes", value + b" "), ("nothing", b"")):
        yield f"over {name}", case(ask(data)), None
    yield "of another's signature", case(ask(value_of(sign(auditor, content)))), None
    yield "not for time-stamping alone", case(token_of(tsa.reply(tsa.query(value), "no-eku"))), None
    yield "too inaccurate", case(ask(mode="inaccurate")), None
    yield "signed with SHA-1", case(ask(mode="sha1")), None
    yield "by a certificate that had ended", case(ask(mode="expired")), None
    yield "an answer in place of a token", case(tsa.reply(tsa.query(value))), None
    yield "no token", case(reissue.der(5)), None
    yield "an empty one", case(reissue.der(0x30)), None
    yield "two of them", {**files, at: with_unsigned(good, attribute(STAMP, ask()), attribute(STAMP, ask()))}, None
    yield "two values", {**files, at: with_unsigned(good, attribute(STAMP, ask(), ask()))}, None
    yield "another attribute beside it", {**files, at: with_unsigned(good, attribute("1.2.3.4", reissue.der(5)), attribute(STAMP, ask()))}, "counts"
    token = ask()
    for place in range(0, len(token), max(1, len(token) // 8)):
        yield f"its byte {place} damaged", case(token[:place] + bytes([token[place] ^ 4]) + token[place + 1:]), "alike"


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
