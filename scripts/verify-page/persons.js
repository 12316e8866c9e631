// What people are enrolled with and sign with (docs/spec/erasure.md, "Keys of people"): an SSH key and SSHSIG, or an X.509
// certificate and detached CMS.
import { base64, concat, from_utf8, hex, refuse, Refused, same, u32be, unbase64, utf8 } from './bytes.js';
import { Der } from './der.js';
import { digest, sha256 } from './hash.js';
import { parse_json } from './json.js';
import { check_cms, form_problem, names_certificate, parse_certificate, parse_cms, readable, verify_signature } from './pki.js';
import { parse_key_blob, parse_key_line, parse_sshsig, verify_sshsig } from './ssh.js';

const kX509 = 'x509 ', kMaxCertificate = 8192, kMaxCms = 65536, kMaxCarried = 8, kLeastRsa = 3072;
const wire = (bytes) => concat(u32be(bytes.length), bytes);
const wire_number = (n) => wire(n[0] & 128 ? concat(Uint8Array.of(0), n) : n);

// A certificate's key in SSH's form: the same key is one key.
function ssh_blob(key) {
  if (key.kind === 'EC') {
    const name = 'nistp' + key.curve.slice(2), point = Der.whole(key.spki).items()[1].bits();
    return concat(wire(utf8('ecdsa-sha2-' + name)), wire(utf8(name)), wire(point));
  }
  if (key.kind !== 'RSA' || key.bits < kLeastRsa) refuse('a certificate with a key that is not ECDSA or RSA from 3072 bits');
  const [n, e] = Der.whole(Der.whole(key.spki).items()[1].bits()).items();
  return concat(wire(utf8('ssh-rsa')), wire_number(e.unsigned()), wire_number(n.unsigned()));
}

// The key of a person, from what enrols him: as ssh.js has it; `certificate` where he has one.
export function person_key(line) {
  if (!line.startsWith(kX509)) return parse_key_line(line);
  const bytes = unbase64(line.slice(kX509.length));
  if (bytes.length > kMaxCertificate) refuse('a certificate larger than 8 KiB');
  const certificate = parse_certificate(bytes);
  const why = form_problem(certificate);
  if (why) refuse('a certificate that is not supported: ' + why);
  if (certificate.usage && !(certificate.usage[1] & 0xc0)) refuse('the key usage of the certificate does not allow signing');
  return { ...parse_key_blob(ssh_blob(certificate.key)), certificate };
}

// As allowed_signers has it.
export function person_ssh_line(key, line) {
  return key.certificate ? key.type + ' ' + base64(key.blob) : line.replace(/^(\S+ \S+) $/, '$1');
}

function pem_text(label, bytes) {
  return '-----BEGIN ' + label + '-----\n' + (base64(bytes).match(/.{1,64}/g) ?? []).map((l) => l + '\n').join('') + '-----END ' + label + '-----\n';
}
export const certificate_pem = (key) => pem_text('CERTIFICATE', key.certificate.der);
export const certificate_sum = (key) => hex(sha256(key.certificate.der));

// Why a certificate was not valid at that time (ms); "" where it was, and of an SSH key. Its last second is part of it.
export function certificate_problem(key, time) {
  if (!key.certificate) return '';
  if (time < key.certificate.not_before) return 'cannot sign: the certificate was not valid yet';
  return time > key.certificate.not_after + 999 ? 'cannot sign: the certificate had ended' : '';
}

// What a statement says that it is, as a namespace of SSHSIG would say it.
function namespace_of(message) {
  try {
    const doc = parse_json(message, true);
    return doc?.type === 'kesu-statement-v1' ? 'kesu-' + doc.action + '-v1' : doc?.type;
  } catch (e) {
    if (!(e instanceof Refused)) throw e;
    return '';
  }
}

async function verify_person_cms(raw, namespace, message, certificate) {
  const text = from_utf8(raw), m = /^-----BEGIN CMS-----\n([A-Za-z0-9+/=\n]+)-----END CMS-----\n$/.exec(text);
  if (!m || raw.length > kMaxCms) refuse('is no CMS signature in its one form');
  const bytes = unbase64(m[1].replace(/\n/g, ''));
  if (pem_text('CMS', bytes) !== text) refuse('is no CMS signature in its one form');
  if (namespace_of(message) !== namespace) refuse('the signed statement is another than one for ' + namespace);
  const cms = parse_cms(bytes);
  if (cms.certificates.length > kMaxCarried) refuse('more than 8 certificates came along');
  const [issuer, serial] = cms.sid.items();
  if (!same(issuer.raw, certificate.issuer) || !same(serial.raw, certificate.serial)) refuse('it is made with another certificate than the enrolled one');
  if (cms.carried.some((c) => same(c.issuer, certificate.issuer) && same(c.serial, certificate.serial) && !same(c.der, certificate.der)))
    refuse('it carries another certificate under the issuer and number of the enrolled one');
  const type = cms.attributes.get('1.2.840.113549.1.9.3'), sum = cms.attributes.get('1.2.840.113549.1.9.4');
  if (!type || type.oid() !== '1.2.840.113549.1.7.1') refuse('the content type is not signed');
  if (!sum || !same(sum.is(4).body, await digest(cms.hash, message))) refuse('the signature is over other content');
  const naming = cms.attributes.get('1.2.840.113549.1.9.16.2.47');
  if (naming && !(await names_certificate(naming, certificate))) refuse('signing-certificate-v2 names another certificate');
  const a = cms.algorithm, key = certificate.key;
  if (a.hash !== cms.hash || (a.scheme === 'RSA-PSS' && a.salt !== Number(a.hash.slice(4)) / 8)) refuse('the signature\'s algorithm does not fit its digest');
  if (!(await verify_signature(key, a, cms.signature, cms.signed))) refuse('its signature is not good');
  const sha = a.hash.replace('-', '');
  return { hash: sha.toLowerCase(), carried: readable(cms.certificates), algorithm: key.kind === 'EC' ? 'ECDSA-P' + key.curve.slice(2) :
    a.scheme === 'RSA-PSS' ? 'RSA-PSS:bits=' + key.bits + ',hash=' + a.hash : 'RSASSA-PKCS1-v1_5-' + sha + ':bits=' + key.bits };
}

// {cms, signer, wrong: reasons} of somebody's detached CMS over `content`, his certificate inside.
export async function read_countersignature(bytes, content) {
  const cms = parse_cms(bytes), [issuer, serial] = cms.sid.items();
  const mine = cms.carried.filter((c) => same(c.issuer, issuer.raw) && same(c.serial, serial.raw));
  if (mine.length !== 1) refuse('the signer\'s certificate is not inside, or not once');
  const signer = parse_certificate(mine[0].der), a = cms.algorithm, k = signer.key;
  if (a.hash !== cms.hash || (a.scheme === 'RSA-PSS' && a.salt !== Number(a.hash.slice(4)) / 8)) refuse('the signature\'s algorithm does not fit its digest');
  if ((k.kind !== 'EC' && (k.kind !== 'RSA' || k.bits < kLeastRsa)) || (signer.usage && !(signer.usage[1] & 0xc0)))
    refuse('the signer\'s key is not ECDSA or RSA from 3072 bits, or may not sign');
  return { cms, signer, wrong: await check_cms(cms, content, [signer, ...cms.carried]) };
}

// {hash, algorithm, carried}, when `raw` is this person's signature over `message` for `namespace`; refuses otherwise.
export async function person_signature(raw, namespace, message, key, name) {
  if (key.certificate) return verify_person_cms(raw, namespace, message, key.certificate);
  const sig = parse_sshsig(from_utf8(raw));
  if (!same(sig.key.blob, key.blob)) refuse('is made with another key than that of ' + name);
  if (!(await verify_sshsig(sig, namespace, message))) refuse('is no good signature of ' + name);
  return { hash: sig.hash, algorithm: sig.algorithm, carried: [] };
}
