// Keys, signatures, X.509 certificates and the detached CMS over certificate.json. A closed set of algorithms: ECDSA on
// P-256, P-384 and P-521, Ed25519, RSA (PSS and PKCS #1 v1.5) from 2048 bits; anything else is refused by name.
import { hex, refuse, same, Refused, Unsupported, concat, pem_blocks } from './bytes.js';
import { Der, der } from './der.js';
import { digest } from './hash.js';

export const kCurves = { '1.2.840.10045.3.1.7': ['P-256', 32], '1.3.132.0.34': ['P-384', 48], '1.3.132.0.35': ['P-521', 66] };
const kHashes = { '2.16.840.1.101.3.4.2.1': 'SHA-256', '2.16.840.1.101.3.4.2.2': 'SHA-384', '2.16.840.1.101.3.4.2.3': 'SHA-512' };
const kEcdsa = { '1.2.840.10045.4.3.2': 'SHA-256', '1.2.840.10045.4.3.3': 'SHA-384', '1.2.840.10045.4.3.4': 'SHA-512' };
const kRsa = { '1.2.840.113549.1.1.11': 'SHA-256', '1.2.840.113549.1.1.12': 'SHA-384', '1.2.840.113549.1.1.13': 'SHA-512' };
const kPss = '1.2.840.113549.1.1.10', kMgf1 = '1.2.840.113549.1.1.8', kEd25519 = '1.3.101.112';
export const kTstInfo = '1.2.840.113549.1.9.16.1.4';
// Extensions that a path may have as critical beside those that are judged; and one that binds, critical or not.
const kReadOver = ['2.5.29.17', '2.5.29.31', '2.5.29.32'], kNameConstraints = '2.5.29.30';
const kMostCertificates = 32, kMostInFile = 64, kMostCms = 1 << 20, kRsaKey = '1.2.840.113549.1.1.1', kEcKey = '1.2.840.10045.2.1';

// A key of another kind or size: nothing else is wrong with its certificate.
class NoPath extends Refused {}
const no_path = (what) => { throw new NoPath(what); };

// SubjectPublicKeyInfo → {kind, spki, curve?, bits?}.
export function parse_spki(bytes) {
  const [algorithm, key] = Der.whole(bytes).items();
  const parts = algorithm.items();
  const oid = parts[0].oid();
  if (oid === kEcKey) {
    const curve = kCurves[parts[1].oid()] ?? no_path('a curve that is not supported');
    if (key.bits().length !== 1 + 2 * curve[1]) refuse('a public key of the wrong length');
    return { kind: 'EC', spki: bytes, curve: curve[0], size: curve[1] };
  }
  if (oid === kEd25519) {
    if (key.bits().length !== 32) refuse('a public key of the wrong length');
    return { kind: 'Ed25519', spki: bytes, raw: key.bits() };
  }
  if (oid === kRsaKey) {
    const [n] = Der.whole(key.bits()).items();
    const modulus = n.unsigned();
    const bits = 8 * (modulus.length - 1) + modulus[0].toString(2).length;
    if (bits < 2048 || bits > 16384) no_path('an RSA key of fewer than 2048 bits, or more than 16384');
    return { kind: 'RSA', spki: bytes, bits };
  }
  return no_path('a public key of a kind that is not supported (' + oid + ')');
}

// AlgorithmIdentifier of a signature → {scheme, hash, salt?}; `hash` of a bare key algorithm from elsewhere.
export function signature_algorithm(element, hash_named = null) {
  const parts = element.items();
  const oid = parts[0].oid();
  if ((oid in kEcdsa || oid === kEd25519) && parts.length > 1) refuse('an algorithm with parameters that are not supported');
  if (oid in kRsa || oid === kRsaKey) plain_or_null(parts);
  if (oid in kEcdsa) return { scheme: 'ECDSA', hash: kEcdsa[oid] };
  if (oid in kRsa) return { scheme: 'RSA-PKCS1', hash: kRsa[oid] };
  if (oid === kRsaKey && hash_named) return { scheme: 'RSA-PKCS1', hash: hash_named };
  if (oid === kEd25519) return { scheme: 'Ed25519', hash: null };
  if (oid !== kPss) return refuse('a signature algorithm that is not supported (' + oid + ')');
  if (parts.length !== 2) refuse('RSA-PSS without parameters');
  const rest = parts[1].items(), at = (tag) => (rest[0]?.tag === tag ? Der.whole(rest.shift().body) : null);
  const [hash, mgf, salt] = [at(0xa0), at(0xa1), at(0xa2)], [name, of, ...more] = mgf?.items() ?? [];
  if (rest.length) refuse('RSA-PSS with parameters that are not supported');
  if (!hash || !of || more.length || name.oid() !== kMgf1 || hash_of(hash) !== hash_of(of)) refuse('RSA-PSS with SHA-1, or with another mask generation');
  return { scheme: 'RSA-PSS', hash: hash_of(hash), salt: salt ? salt.small() : 20 };
}
function plain_or_null(parts) {
  if (parts.length > 2 || (parts[1] && (parts[1].tag !== 5 || parts[1].body.length))) refuse('an algorithm with parameters that are not supported');
}
export function hash_of(element) {
  const oid = element.items()[0].oid();
  plain_or_null(element.items());
  return kHashes[oid] ?? refuse('a digest that is not supported (' + oid + ')');
}

function ecdsa_raw(signature, size) {
  const parts = Der.whole(signature).items();
  if (parts.length !== 2) refuse('DER: a signature out of form');
  const out = new Uint8Array(2 * size);
  for (const [i, p] of parts.entries()) {
    const n = p.unsigned();
    if (n.length > size) refuse('DER: a signature out of range');
    out.set(n, size * (i + 1) - n.length);
  }
  return out;
}

async function subtle_verify(import_as, spki, use, signature, message, format = 'spki') {
  let key;
  try {
    key = await crypto.subtle.importKey(format, spki, import_as, false, ['verify']);
  } catch (e) {
    if (e.name === 'NotSupportedError') throw new Unsupported('this browser cannot check ' + import_as.name + ' signatures');
    return false;
  }
  return crypto.subtle.verify(use, key, signature, message);
}

// `signature` as X.509 and CMS have it (ECDSA: DER).
export async function verify_signature(key, algorithm, signature, message) {
  const { scheme, hash } = algorithm;
  try {
    if (scheme === 'ECDSA' && key.kind === 'EC')
      return await subtle_verify({ name: 'ECDSA', namedCurve: key.curve }, key.spki, { name: 'ECDSA', hash },
        ecdsa_raw(signature, key.size), message);
    if (scheme === 'Ed25519' && key.kind === 'Ed25519') return await verify_ed25519(key.raw, signature, message);
    if (scheme === 'RSA-PSS' && key.kind === 'RSA')
      return await subtle_verify({ name: 'RSA-PSS', hash }, key.spki, { name: 'RSA-PSS', saltLength: algorithm.salt }, signature, message);
    if (scheme === 'RSA-PKCS1' && key.kind === 'RSA')
      return await subtle_verify({ name: 'RSASSA-PKCS1-v1_5', hash }, key.spki, { name: 'RSASSA-PKCS1-v1_5' }, signature, message);
  } catch (e) {
    if (!(e instanceof Refused)) throw e;
  }
  return false;
}

export async function verify_ed25519(raw_key, signature, message) {
  if (signature.length !== 64) return false;
  return subtle_verify({ name: 'Ed25519' }, raw_key, { name: 'Ed25519' }, signature, message, 'raw');
}

// X.509 certificate.
export function parse_certificate(bytes) {
  const [tbs, algorithm, signature, ...more] = Der.whole(bytes).items();
  if (more.length) refuse('X.509: more than a certificate has');
  const f = tbs.items();
  let at = 0;
  const version = f[0].tag === 0xa0 ? Der.whole(f[at++].body).small() + 1 : 1;
  const serial = f[at++];
  if (!same(f[at++].raw, algorithm.raw)) refuse('X.509: two signature algorithms');
  const issuer = f[at++], validity = f[at++].items(), subject = f[at++], spki = f[at++];
  const out = { der: bytes, tbs: tbs.raw, algorithm, signature: signature.bits(), version, serial: serial.raw, issuer: issuer.raw,
    subject: subject.raw, not_before: validity[0].time(), not_after: validity[1].time(), key: parse_spki(spki.raw), spki: spki.raw,
    ca: false, usage: null, extended: null, key_id: null, authority: [null, null, null], critical: [], unique: false, twice: false };
  const seen = new Set();
  for (const e of f.slice(at)) {
    if (e.tag === 0x81 || e.tag === 0x82) out.unique = true;
    if (e.tag !== 0xa3) continue;
    for (const x of Der.whole(e.body).items()) {
      const parts = x.items();
      const oid = parts[0].oid(), critical = parts.length === 3, value = parts[parts.length - 1].is(4).body;
      out.twice ||= seen.has(oid);
      seen.add(oid);
      if (oid === '2.5.29.19') {
        const flags = Der.whole(value).items();
        out.ca = flags.length > 0 && flags[0].tag === 1 && flags[0].body[0] === 255;
        if (flags[1]) out.path_length = flags[1].small();
      } else if (oid === '2.5.29.15') out.usage = Der.whole(value).is(3).body;
      else if (oid === '2.5.29.37') {
        out.extended = Der.whole(value).items().map((o) => o.oid());
        out.extended_critical = critical;
      }
      else if (oid === '2.5.29.14') out.key_id = Der.whole(value).is(4).body;
      else if (oid === '2.5.29.35' && !critical) out.authority = authority_key(value);
      else if (oid === kNameConstraints || (critical && !kReadOver.includes(oid))) out.critical.push(oid);
    }
  }
  return out;
}

// AuthorityKeyIdentifier → of the issuer: its key identifier, its own issuer, its serial number; null: not said.
function authority_key(value) {
  const rest = Der.whole(value).items(), at = (tag) => (rest[0]?.tag === tag ? rest.shift() : null);
  const [key, names, serial] = [at(0x80), at(0xa1), at(0x82)];
  if (rest.length) refuse('X.509: an authority key identifier out of form');
  const above = names?.items(0xa1).find((n) => n.tag === 0xa4);
  return [key?.body ?? null, above ? Der.whole(above.body).is(0x30).raw : null, serial?.body ?? null];
}

// Whether what a certificate says of its issuer's key tells of no other.
function names_key_of(certificate, issuer) {
  const [key, above, serial] = certificate.authority;
  return (!key || !issuer.key_id || same(key, issuer.key_id)) && (!above || same(above, issuer.issuer)) &&
    (!serial || same(serial, Der.whole(issuer.serial).body));
}

// Why a certificate whose signature counts is not taken; '' where it is.
export function form_problem(c) {
  if (c.version !== 3) return 'it is not of version 3';
  if (c.unique) return 'it has unique identifiers';
  if (c.twice) return 'it has an extension twice';
  try {
    return signature_algorithm(c.algorithm) ? '' : 'no algorithm';
  } catch (e) {
    if (!(e instanceof Refused)) throw e;
    return e.message;
  }
}

// Those that can be part of a path; what cannot be read leads nowhere.
export function readable(list) {
  return list.flatMap((der) => {
    try {
      return [parse_certificate(der)];
    } catch (e) {
      if (!(e instanceof Refused) && !(e instanceof TypeError)) throw e;
      return [];
    }
  });
}

// Of a certificate that came along, issuer and serial number; nothing else is read, so it may be of any kind.
function carried_one(element) {
  const f = (element.items()[0] ?? refuse('CMS: a certificate that is none')).items(), at = f[0]?.tag === 0xa0 ? 1 : 0;
  if (!f[at + 2]) refuse('CMS: a certificate that is none');
  f[at + 1].is(0x30);
  return { der: element.raw, serial: f[at].is(2).raw, issuer: f[at + 2].is(0x30).raw };
}

export function pem_blocks_of(text) {
  const all = pem_blocks(text, 'CERTIFICATE');
  if (all.length === 0) refuse('has no certificate in PEM');
  return all;
}

// A file of certificates for chains of time-stamp authorities, one to 64; what is a certificate, and of a kind that no path may
// have, leads nowhere.
export function chain_file(bytes) {
  if (bytes.length > 1 << 20) refuse('is longer than 1 MiB');
  const all = pem_blocks_of(new TextDecoder('latin1').decode(bytes));
  if (all.length > kMostInFile) refuse('holds more than 64 certificates');
  for (const der of all) carried_one(Der.whole(der));
  return readable(all);
}

// Those of a file in a trust file; one whose key no path may have leads nowhere.
export function anchors_of(text) {
  const all = pem_blocks_of(text);
  if (all.length > kMostInFile) refuse('holds more than 64 certificates');
  return all.flatMap((der) => {
    try {
      return [parse_certificate(der)];
    } catch (e) {
      if (e instanceof NoPath) return [];
      throw e;
    }
  });
}

export async function issued_by(certificate, issuer) {
  return same(certificate.issuer, issuer.subject) && names_key_of(certificate, issuer) && form_problem(certificate) === '' &&
    verify_signature(issuer.key, signature_algorithm(certificate.algorithm), certificate.signature, certificate.tbs);
}

export async function fingerprint(certificate) {
  return hex(await digest('SHA-256', certificate.der));
}

// CMS SignedData of one signer (RFC 5652) → what it says: detached, or a time-stamp token with its TSTInfo as `content`.
export function parse_cms(bytes, token = false) {
  if (bytes.length > kMostCms) refuse('CMS: larger than it may be');
  const [type, content, ...beyond] = Der.whole(bytes).items();
  if (type.oid() !== '1.2.840.113549.1.7.2' || beyond.length) refuse('CMS: no signed data');
  const f = Der.whole(content.is(0xa0).body).items(), inner = f[2].items();
  if (token && (f[0].small() !== 3 || inner.length !== 2 || inner[0].oid() !== kTstInfo)) refuse('CMS: no time-stamp token');
  if (!token && (f[0].small() !== 1 || inner.length !== 1 || inner[0].oid() !== '1.2.840.113549.1.7.1')) refuse('CMS: not detached, or not over data');
  let at = 3;
  const certificates = f[at]?.tag === 0xa0 ? Der.sequence_of(f[at++].body) : [];
  if (f[at]?.tag === 0xa1) ++at;
  if (at !== f.length - 1 || certificates.length > kMostCertificates) refuse('CMS: out of form, or more than 32 certificates');
  const signers = f[at].items(0x31);
  if (signers.length !== 1) refuse('CMS: not one signer');
  const s = signers[0].items();
  const sid = s[1].is(0x30), hash = hash_of(s[2]), digests = f[1].items(0x31);
  if (s[0].small() !== 1 || s.length > 7 || sid.items().length !== 2) refuse('CMS: a signer of another version, or out of form');
  if (digests.length !== 1 || hash_of(digests[0]) !== hash) refuse('CMS: the digest algorithms do not agree');
  const attributes = s[3].is(0xa0);
  const order = Der.sequence_of(attributes.body).map((a) => hex(a.raw));
  if (!token && order.some((a, i) => i && order[i - 1] > a)) refuse('CMS: the signed attributes are not in DER\'s order');
  return { content: token ? Der.whole(inner[1].is(0xa0).body).is(4).body : null, certificates: certificates.map((c) => c.raw), carried: certificates.map(carried_one), hash, algorithm: signature_algorithm(s[4], hash), signature: s[5].is(4).body,
    signed: concat(Uint8Array.of(0x31), attributes.raw.subarray(1)), sid, attributes: read_attributes(attributes.body),
    unsigned: s[6] ? read_attributes(s[6].is(0xa1).body) : new Map() };
}

// Attributes by identifier, each once and with one value.
export function read_attributes(body) {
  const out = new Map();
  for (const a of Der.sequence_of(body)) {
    const [name, values, ...more] = a.items();
    const oid = name.oid(), all = values.items(0x31);
    if (out.has(oid) || all.length !== 1 || more.length || out.size === 32) refuse('CMS: an attribute twice, with other than one value, or more than 32');
    out.set(oid, all[0]);
  }
  return out;
}

// The digest by which signing-certificate-v2 (RFC 5035; `v1`: signing-certificate) names this certificate first; '' where it
// names another, be it by issuer and serial number, which may stand behind the digest.
export async function names_certificate(value, certificate, v1 = false) {
  const id = ((value.items()[0] ?? refuse('CMS: names no certificate')).items()[0] ?? refuse('CMS: names no certificate')).items();
  const hash = v1 ? 'SHA-1' : id[0]?.tag === 0x30 ? hash_of(id.shift()) : 'SHA-256', [value_of_it, by, ...more] = id;
  if (!value_of_it || more.length) refuse('CMS: names a certificate out of form');
  if (!same(value_of_it.is(4).body, await digest(hash, certificate.der))) return '';
  if (!by) return hash;
  const [names, serial] = by.items(), all = names.items();
  return serial && all.length === 1 && same(all[0].is(0xa4).body, certificate.issuer) && same(serial.raw, certificate.serial) ? hash : '';
}

// → the reasons why the signature is not good; none: good.
export async function check_cms(cms, content, chain) {
  const certificate = chain[0];
  const out = [];
  const type = cms.attributes.get('1.2.840.113549.1.9.3'), sum = cms.attributes.get('1.2.840.113549.1.9.4');
  const signing = cms.attributes.get('1.2.840.113549.1.9.16.2.47');
  const form = form_problem(certificate);
  if (form) out.push('the signer\'s certificate: ' + form);
  if (!type || type.oid() !== '1.2.840.113549.1.7.1') out.push('the content type is not signed');
  if (!sum || !same(sum.is(4).body, await digest(cms.hash, content))) out.push('the signature is over other content');
  if (!signing) out.push('signing-certificate-v2 is missing');
  else {
    cms.certificate_hash = await names_certificate(signing, certificate);
    if (!cms.certificate_hash) out.push('signing-certificate-v2 names another certificate');
  }
  if (cms.sid.tag === 0x30) {
    const [issuer, serial] = cms.sid.items();
    if (!same(issuer.raw, certificate.issuer) || !same(serial.raw, certificate.serial)) out.push('the signer is another certificate');
  }
  for (const c of cms.certificates) if (!chain.some((x) => same(c, x.der))) out.push('it carries another certificate than trust/signer.pem');
  if (cms.algorithm.hash && cms.algorithm.hash !== cms.hash) out.push('two digests');
  if (!(await verify_signature(certificate.key, cms.algorithm, cms.signature, cms.signed))) out.push('the signature is not that of trust/signer.pem');
  return out;
}
