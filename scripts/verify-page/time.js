// RFC 3161 time-stamps: answers, tokens, and the chains that lead to the reader's anchors (docs/spec/certificate.md,
// "Time-stamps").
import { hex, refuse, Refused, same } from './bytes.js';
import { Der } from './der.js';
import { digest, sha256 } from './hash.js';
import { judge_revocation, path_to, tells_against } from './chain.js';
import { name_text } from './names.js';
import { chain_file, hash_of, kTstInfo, names_certificate, parse_cms, readable, verify_signature } from './pki.js';

const kStampUse = '1.3.6.1.5.5.7.3.8', kAnyUse = '2.5.29.37.0';
const kStampAttribute = '1.2.840.113549.1.9.16.2.14';
const kMostBytes = 1 << 18, kMostNumber = 64;
export const kMinute = 60000;
const kNotOfRules = 'not of the rules: those in force at the request name other time-stamp authorities';

// TimeStampResp → the token's bytes.
export function token_of_answer(bytes) {
  if (bytes.length > kMostBytes) refuse('the answer is larger than it may be');
  const [status, token, ...more] = Der.whole(bytes).items(), s = in_order(status.items());
  if (s.next(2).small() > 1) refuse('the authority refused');
  for (const text of s.optional(0x30)?.items() ?? []) text.is(0x0c);
  s.optional(3);
  s.end('a status');
  if (!token || more.length) refuse('has no token, or more than one');
  return token.is(0x30).raw;
}

// Elements one after the other.
function in_order(items) {
  const rest = [...items];
  const next = (tag) => (rest.shift() ?? refuse('DER: an element is missing')).is(tag);
  return { next, optional: (tag) => (rest[0]?.tag === tag ? rest.shift() : undefined), end: (what) => rest.length && refuse(what + ' has more elements than it may') };
}

// A small whole number in its shortest form, whatever its tag.
function little(e) {
  const b = e.body;
  if (b.length < 1 || b.length > 5 || b[0] & 128 || (b.length > 1 && b[0] === 0 && !(b[1] & 128))) refuse('an accuracy out of form');
  return b.reduce((n, x) => n * 256 + x, 0);
}

// Milliseconds, rounded up; null where none is said, or zero.
function accuracy_of(element) {
  if (!element) return null;
  const r = in_order(element.items()), [seconds, millis, micros] = [2, 0x80, 0x81].map((tag) => r.optional(tag)).map((e) => (e ? little(e) : 0));
  r.end('an accuracy');
  if (millis > 999 || micros > 999) refuse('an accuracy out of range');
  return 1000 * seconds + millis + (micros ? 1 : 0) || null;
}

function number_of(element) {
  if (element.body.length < 1 || element.body.length > kMostNumber) refuse('a number in TSTInfo is empty or too long');
  return element.body;
}

// TSTInfo (RFC 3161, 2.4.2), each element in its place.
function parse_tst_info(bytes) {
  const r = in_order(Der.whole(bytes).items());
  if (r.next(2).small() !== 1) refuse('TSTInfo of another version');
  const policy = r.next(6).oid(), imprint = in_order(r.next(0x30).items()), hash = hash_of(imprint.next(0x30));
  const out = { policy, hash, imprint: imprint.next(4).body };
  imprint.end('an imprint');
  Object.assign(out, { serial: number_of(r.next(2)), time: r.next(0x18).time(), accuracy: accuracy_of(r.optional(0x30)) });
  const ordering = r.optional(1);
  if (ordering && (ordering.body.length !== 1 || (ordering.body[0] !== 0 && ordering.body[0] !== 255))) refuse('an ordering that is neither true nor false');
  const nonce = r.optional(2);
  if (nonce) number_of(nonce);
  r.optional(0xa0);
  for (const x of Der.sequence_of(r.optional(0xa1)?.body ?? [])) {
    const extension = in_order(x.items());
    extension.next(6);
    if (extension.optional(1)) refuse('a critical extension');
    extension.next(4);
    extension.end('an extension');
  }
  r.end('TSTInfo');
  return out;
}

// A token that is good in itself: → {time, accuracy, policy, serial, certificate, pool, algorithm}; refused otherwise.
export async function check_token(bytes, content) {
  if (bytes.length > kMostBytes) refuse('the token is larger than it may be');
  const cms = parse_cms(bytes, true), tst = parse_tst_info(cms.content), { hash, algorithm, attributes } = cms;
  const [issuer, serial] = cms.sid.items(), own = cms.carried.filter((c) => same(c.issuer, issuer.raw) && same(c.serial, serial.raw));
  if (own.length !== 1) refuse('its signer\'s certificate is not inside, or not once');
  const certificate = readable([own[0].der])[0] ?? refuse('its signer\'s certificate cannot be read');
  const salt = Number(hash.slice(4)) / 8;
  if (algorithm.hash !== hash || algorithm.scheme === 'Ed25519' || (algorithm.scheme === 'RSA-PSS' && algorithm.salt !== salt)) refuse('signed by an algorithm that is not supported');
  if (attributes.get('1.2.840.113549.1.9.3')?.oid() !== kTstInfo) refuse('the content type is not signed');
  const sum = attributes.get('1.2.840.113549.1.9.4');
  if (!sum || !same(sum.is(4).body, await digest(hash, cms.content))) refuse('it is signed over other content');
  const v2 = attributes.get('1.2.840.113549.1.9.16.2.47'), v1 = attributes.get('1.2.840.113549.1.9.16.2.12');
  if (!v2 && !v1) refuse('it does not name its certificate');
  if ((v2 && !(await names_certificate(v2, certificate))) || (v1 && !(await names_certificate(v1, certificate, true)))) refuse('it names another certificate');
  if (!(await verify_signature(certificate.key, algorithm, cms.signature, cms.signed))) refuse('its signature is not good');
  if (!same(tst.imprint, await digest(tst.hash, content))) refuse('it is over other bytes');
  if (tst.accuracy > kMinute) refuse('its accuracy is worse than a minute');
  if (certificate.usage && !(certificate.usage[1] & 0xc0)) refuse('its certificate is not for signatures');
  if (!certificate.extended_critical || certificate.extended?.length !== 1 || certificate.extended[0] !== kStampUse)
    refuse('its certificate is not for time-stamping alone');
  if (tst.time < certificate.not_before || tst.time > certificate.not_after) refuse('its certificate was not valid at its time');
  const k = certificate.key;
  const kind = k.kind === 'EC' ? 'ECDSA ' + k.curve : 'RSA-' + k.bits;
  return { ...tst, certificate, pool: readable(cms.certificates), algorithm: kind + ', ' + hash };
}

// The path to an anchor as of that time: {why, path}; why is '' when there is one. An issuer that says what it is for says
// time-stamping.
export async function stamp_path(certificate, pool, anchors, time) {
  if (anchors.length === 0) return { why: 'the trust file names no time-stamp authority (tsa-ca)', path: [] };
  const stamps = (c) => !c.extended || c.extended.includes(kStampUse) || c.extended.includes(kAnyUse);
  const path = await path_to(certificate, pool, anchors, time, stamps);
  return path ? { why: '', path } : { why: 'its chain does not lead to a tsa-ca of the trust file as of its time', path: [] };
}

// Whether a good token leads, as of that time, to a certificate that the anchors name; `known`: where that may be found.
export async function stamp_of_rules(bound, t, known, time) {
  const named = (bound?.time_authorities ?? []).map((x) => x.sha256);
  if (!named.length) return true;
  const pool = [...t.pool, ...known], anchors = [t.certificate, ...pool].filter((c) => named.includes(hex(sha256(c.der))));
  return anchors.length > 0 && (await stamp_path(t.certificate, pool, anchors, time)).why === '';
}

// What a report says of a good token. A revocation counts whenever it was: who has an authority's key dates tokens as he likes.
export async function token_row(over, t, extra, trust, lists) {
  const { why, path } = await stamp_path(t.certificate, [...t.pool, ...extra], trust.tsa_cas, t.time);
  const revocation = path.length > 1 ? await judge_revocation(path, lists, t.time, false) : { state: 'not-asked', why: '' };
  const against = why || (tells_against(revocation) ? revocation.why : '');
  return { over, at: new Date(t.time).toISOString(), accuracy_ms: t.accuracy, authority: name_text(t.certificate.subject), policy: t.policy, algorithm: t.algorithm,
    certificate_until: new Date(t.certificate.not_after).toISOString(), trusted: against === '', why: against, revocation };
}

export const counts_not = (row) => 'the time-stamp over ' + row.over + ' is of ' + row.authority + ' and does not count: ' + row.why;

// The time-stamp that a countersignature has inside, as a row; null where it has none. `lasts`: whether it must and does stand
// at the reader's own time.
export async function countersignature_time(cms, part, trust, lists, lasts) {
  const token = cms.unsigned.get(kStampAttribute);
  if (!token) return null;
  const t = { ...(await check_token(token.raw, cms.signature)), extra: readable(cms.certificates) };
  const row = await token_row(part, t, t.extra, trust, lists), why = row.trusted ? await lasts(t) : row.why;
  return { row: { ...row, trusted: row.trusted && why === '', why }, t };
}

// All time-stamps of a bundle; `bound`: anchors of the rules. → {rows (of the report), signature: bool, checkpoint: bool, second: time in ms or null}.
export async function read_stamps(f, cms, trust, lists, bound) {
  const { bundle, error } = f, out = { rows: [], signature: false, checkpoint: false, second: null, tokens: [], unbound: null };
  const chains = async (path) => {
    if (!bundle.has(path)) return [];
    try {
      return chain_file(await bundle.bytes(path));
    } catch (e) {
      if (!(e instanceof Refused)) throw e;
      return error(path, e.message), [];
    }
  };
  const judged = async (over, t, extra) => {
    const row = await token_row(over, t, extra, trust, lists), of_rules = await stamp_of_rules(bound, t, [...extra, ...trust.tsa_cas], t.time);
    if (!of_rules) Object.assign(row, { trusted: false, why: kNotOfRules, revocation: { state: 'not-asked', why: '' } });
    return { row, of_rules };
  };
  const one = async (part, over, token, content, extra) => {
    try {
      const t = await check_token(await token(), await content());
      const { row, of_rules } = await judged(over, t, extra);
      if (!of_rules && over === 'ledger/checkpoint-b') out.unbound = t;
      out.rows.push(row);
      t.extra = extra;
      out.tokens.push([over, t]);
      return { t, trusted: row.trusted };
    } catch (e) {
      if (!(e instanceof Refused) && !(e instanceof TypeError)) throw e;
      return error(part, 'time-stamp: ' + e.message), null;
    }
  };
  const later = (part, what, time, t) => {
    if (t && time > t.time + (t.accuracy ?? 0) + kMinute) error(part, what + ' is later than the time-stamp over it');
  };
  const own = cms?.unsigned.get(kStampAttribute), answer = 'time/certificate.json.p7s.tsr';
  const extra = await chains('trust/tsa.pem');
  let first = null, second = null;
  if (own) first = await one('certificate.json.p7s', 'signature', async () => own.raw, async () => cms.signature, extra);
  if (bundle.has(answer))
    second = await one(answer, 'certificate.json.p7s', async () => token_of_answer(await bundle.bytes(answer)), () => bundle.bytes('certificate.json.p7s'), extra);
  if (bundle.has('trust/tsa.pem') && !bundle.has(answer)) error('trust/tsa.pem', 'is a chain without its time-stamp');
  const b = 'time/checkpoint-b.tsr';
  let third = null;
  if (bundle.has(b)) third = await one(b, 'ledger/checkpoint-b', async () => token_of_answer(await bundle.bytes(b)), () => bundle.bytes('ledger/checkpoint-b'), await chains('time/checkpoint-b.pem'));
  else if (bundle.has('time/checkpoint-b.pem')) error('time/checkpoint-b.pem', 'is a chain without its time-stamp');
  for (const t of [first?.t, second?.t]) later('certificate.json', 'issued', Date.parse(f.certificate.issued), t);
  later('ledger/headers.gz', 'the last entry', Date.parse(f.graph.time), third?.t);
  // Of the waiting period, good as they are: whether they count.
  for (const s of f.waiting) out.rows.push((s.row = (await judged(s.over, s.t, s.t.extra)).row));
  out.later = first?.trusted && second?.trusted ? second.t : null;
  out.third = third?.trusted ? third.t : null;
  out.signature = !!first?.trusted && !!second?.trusted;
  out.checkpoint = !!third?.trusted;
  if (out.signature) out.second = second.t.time;
  return out;
}
