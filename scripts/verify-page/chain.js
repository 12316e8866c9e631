// The signer's certificate: the path to the reader's anchor, and revocation lists (docs/spec/certificate.md, "Signer's
// certificate"). Closed rules; whole lists of one issuer only.
import { from_utf8, hex, pem_blocks, refuse, Refused, same } from './bytes.js';
import { Der } from './der.js';
import { issued_by, parse_certificate, pem_blocks_of, signature_algorithm, verify_signature } from './pki.js';
import { name_text } from './names.js';

const kDocuments = ['1.3.6.1.5.5.7.3.36', '1.3.6.1.4.1.311.10.3.12', '1.3.6.1.5.5.7.3.4', '2.5.29.37.0'];
const kMaxLists = 16, kMaxSigner = 8;

// trust/signer.pem → the certificates, in order.
export function signer_chain(text) {
  const all = pem_blocks_of(text).map(parse_certificate);
  if (all.length > kMaxSigner) refuse('has more than 8 certificates');
  for (let i = 0; i + 1 < all.length; ++i)
    if (!same(all[i].issuer, all[i + 1].subject)) refuse('its certificates are not in order, each the issuer\'s of the one before');
  return all;
}

// From a certificate to an anchor as of that time; null: none. `serves`: whether a certificate may be an issuer in it. Closed
// rules: signatures, validity, basicConstraints, keyUsage; anything critical beside what is judged ends the search.
export async function path_to(certificate, pool, anchors, time, serves = () => true) {
  const valid = (c) => c.critical.length === 0 && c.not_before <= time && time < c.not_after + 1000;
  const walk = async (path) => {
    const last = path[path.length - 1];
    if (!valid(last)) return null;
    if (anchors.some((a) => same(a.der, last.der))) return path;
    if (path.length > kMaxSigner) return null;
    for (const up of [...anchors, ...pool]) {
      if (path.some((c) => same(c.der, up.der)) || !up.ca || (up.usage && !(up.usage[1] & 4)) || !serves(up)) continue;
      if (up.path_length !== undefined && up.path_length < path.slice(1).filter((c) => !same(c.issuer, c.subject)).length) continue;
      if (!(await issued_by(last, up))) continue;
      const found = await walk([...path, up]);
      if (found) return found;
    }
    return null;
  };
  return walk([certificate]);
}

export async function signer_path(certificate, pool, anchors, time) {
  if (certificate.usage && !(certificate.usage[1] & 0xc0)) return null;
  if (certificate.extended && !certificate.extended.some((oid) => kDocuments.includes(oid))) return null;
  return path_to(certificate, pool, anchors, time);
}

function refuse_critical(element) {
  for (const x of element.items()) {
    const parts = x.items();
    if (parts.length === 3 && parts[1].is(1).body[0]) refuse('a revocation list has the critical extension ' + parts[0].oid() + ', which is not supported');
  }
}

function parse_list(bytes) {
  const [body, algorithm, signature, ...more] = Der.whole(bytes).items();
  if (!signature || more.length) refuse('is no revocation list');
  const f = body.items();
  let at = f[0]?.tag === 2 ? 1 : 0;
  if (at && f[0].small() !== 1) refuse('a revocation list of another version');
  if (!f[at + 2] || !same(f[at++].raw, algorithm.raw)) refuse('a revocation list names two signature algorithms');
  const out = { body: body.raw, algorithm, signature: signature.bits(), issuer: f[at++].is(0x30).raw, from: f[at++].time(), until: null, revoked: new Map() };
  if (f[at]?.tag === 0x17 || f[at]?.tag === 0x18) out.until = f[at++].time();
  if (f[at]?.tag === 0x30)
    for (const row of f[at++].items()) {
      const [serial, when, extensions] = row.items();
      if (extensions) refuse_critical(extensions);
      const key = hex(serial.is(2).raw);
      if (!out.revoked.has(key)) out.revoked.set(key, when.time());
    }
  if (f[at]?.tag === 0xa0) refuse_critical(Der.whole(f[at++].body));
  if (at !== f.length) refuse('a revocation list out of form');
  return out;
}

// PEM blocks "X509 CRL", or one list in DER.
export function parse_lists(bytes) {
  if (bytes[0] === 0x30) return [parse_list(bytes)];
  const all = pem_blocks(from_utf8(bytes), 'X509 CRL');
  if (all.length < 1 || all.length > kMaxLists) refuse('is no revocation list, or more than 16');
  return all.map(parse_list);
}

// ECDSA and RSA with SHA-256, -384 or -512, Ed25519; NULL stands behind RSA alone.
function supported(list) {
  try {
    const { scheme } = signature_algorithm(list.algorithm), more = list.algorithm.items().slice(1);
    return scheme === 'RSA-PSS' || more.length === 0 || (scheme === 'RSA-PKCS1' && more.length === 1 && more[0].tag === 5);
  } catch (e) {
    if (e instanceof Refused) return false;
    throw e;
  }
}

async function list_signed_by(list, issuer) {
  if (!same(list.issuer, issuer.subject) || (issuer.usage && !(issuer.usage[1] & 2))) return false;
  try {
    return supported(list) && (await verify_signature(issuer.key, signature_algorithm(list.algorithm), list.signature, list.body));
  } catch (e) {
    if (e instanceof Refused) return false;  // an algorithm that does not count
    throw e;
  }
}

// → {state, why} of the path, for a signature that was there at that time; `dated`: a time-stamp shows it.
export async function judge_revocation(path, lists, time, dated) {
  let first = '', doubt = '', early = '';
  for (let i = 0; i + 1 < path.length; ++i) {
    const cert = path[i], name = name_text(cert.issuer);
    let why = 'there is no revocation list of ' + name, shown = false, newest = null;
    for (const list of lists) {
      if (!same(list.issuer, cert.issuer)) continue;
      const when = list.revoked.get(hex(cert.serial)), named = when !== undefined && (!dated || when <= time);
      if (named && doubt === '' && !supported(list))
        doubt = 'a revocation list of ' + name + ' names the certificate of ' + name_text(cert.subject) + ', and is signed by an algorithm that is not supported';
      if (!(await list_signed_by(list, path[i + 1]))) {
        if (!shown) why = 'the revocation list of ' + name + ' is not signed by it';
        continue;
      }
      if (named)
        return { state: 'revoked', why: 'the certificate of ' + name_text(cert.subject) + ' was revoked at ' + new Date(when).toISOString() };
      if ((list.until ?? 0) < time) why = 'the revocation list of ' + name + ' ended at ' + new Date(list.until ?? 0).toISOString();
      else if (list.from > cert.not_after) why = 'the revocation list of ' + name + ' is newer than the certificate\'s end';
      else {
        shown = true;
        newest = Math.max(newest ?? 0, list.from);
      }
    }
    if (i === 0 && newest !== null && newest < Math.floor(time / 1000) * 1000)
      early = 'the revocation list of ' + name + ' was published at ' + new Date(newest).toISOString() + ', before the signature';
    if (!shown && first === '') first = why;
  }
  if (doubt !== '') return { state: 'in-doubt', why: doubt };
  if (first !== '') return { state: 'not-shown', why: first };
  return early === '' ? { state: 'good', why: '' } : { state: 'earlier', why: early };
}

// Revoked, or named by a list that cannot be judged.
export function tells_against(revocation) {
  return ['revoked', 'in-doubt'].includes(revocation.state);
}
export function unshown(revocation) {
  return ['not-shown', 'earlier'].includes(revocation.state);
}
