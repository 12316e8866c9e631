// RFC 3161 time-stamps: answers, tokens, and the chains that lead to the reader's anchors (docs/spec/certificate.md,
// "Time-stamps").
import { concat, hex, refuse, Refused, same } from './bytes.js';
import { Der } from './der.js';
import { digest, sha256 } from './hash.js';
import { judge_revocation, tells_against } from './chain.js';
import { name_text } from './names.js';
import { hash_of, issued_by, parse_certificate, pem_blocks_of, read_attributes, readable, signature_algorithm, verify_signature } from './pki.js';

const kTstInfo = '1.2.840.113549.1.9.16.1.4', kStampUse = '1.3.6.1.5.5.7.3.8';
const kStampAttribute = '1.2.840.113549.1.9.16.2.14';
export const kMinute = 60000;
const kNotOfRules = 'not of the rules: those in force at the request name other time-stamp authorities';

// TimeStampResp → the token's bytes.
export function token_of_answer(bytes) {
  const [status, token, ...more] = Der.whole(bytes).items();
  if (status.items()[0].small() > 1) refuse('the authority refused');
  if (!token || more.length) refuse('has no token, or more than one');
  return token.raw;
}

function parse_tst_info(bytes) {
  const f = Der.whole(bytes).items();
  if (f[0].small() !== 1) refuse('TSTInfo of another version');
  const imprint = f[2].items(), out = { policy: f[1].oid(), hash: hash_of(imprint[0]), imprint: imprint[1].is(4).body, serial: f[3].is(2).body, time: f[4].is(0x18).time(), accuracy: null };
  let at = 5;
  if (f[at]?.tag === 0x30) {
    out.accuracy = 0;
    for (const e of f[at++].items()) {
      const n = e.body.reduce((x, b) => x * 256 + b, 0);
      if (e.body.length === 0 || e.body.length > 4) refuse('an accuracy out of form');
      if (e.tag === 2) out.accuracy += 1000 * n;
      else if (e.tag === 0x80) out.accuracy += n;
      else if (e.tag === 0x81) out.accuracy += n > 0 ? n / 1000 : 0;
      else refuse('an accuracy out of form');
    }
    out.accuracy = Math.ceil(out.accuracy);
  }
  if (f[at]?.tag === 1) ++at;
  if (f[at]?.tag === 2) ++at;
  if (f[at]?.tag === 0xa0) ++at;
  if (f[at]?.tag === 0xa1) {
    for (const x of Der.sequence_of(f[at].body)) {
      const parts = x.items();
      if (parts.length === 3 && parts[1].is(1).body[0]) refuse('a critical extension');
    }
    ++at;
  }
  if (at !== f.length) refuse('TSTInfo out of form');
  return out;
}

// A token that is good in itself: → {time, accuracy, policy, serial, certificate, pool, algorithm}; refused otherwise.
export async function check_token(bytes, content) {
  const [type, wrapped] = Der.whole(bytes).items();
  if (type.oid() !== '1.2.840.113549.1.7.2') refuse('CMS: no signed data');
  const f = Der.whole(wrapped.is(0xa0).body).items();
  const inner = f[2].items();
  if (inner[0].oid() !== kTstInfo || inner.length !== 2) refuse('is no time-stamp token');
  const info = Der.whole(inner[1].is(0xa0).body).is(4).body, tst = parse_tst_info(info);
  const pool = readable(f.filter((e) => e.tag === 0xa0).flatMap((e) => Der.sequence_of(e.body)).filter((e) => e.tag === 0x30).map((e) => e.raw));
  const signers = f[f.length - 1].items(0x31);
  if (signers.length !== 1) refuse('CMS: not one signer');
  const s = signers[0].items(), sid = s[1].items();
  const certificate = pool.find((c) => same(c.issuer, sid[0].raw) && same(c.serial, sid[1].raw)) ?? refuse('its signer\'s certificate is not inside');
  const hash = hash_of(s[2]), attributes = read_attributes(s[3].is(0xa0).body), algorithm = signature_algorithm(s[4], hash);
  if (algorithm.hash !== hash || algorithm.scheme === 'Ed25519') refuse('signed by an algorithm that is not supported');
  if (attributes.get('1.2.840.113549.1.9.3')?.oid() !== kTstInfo) refuse('the content type is not signed');
  const sum = attributes.get('1.2.840.113549.1.9.4');
  if (!sum || !same(sum.is(4).body, await digest(hash, info))) refuse('it is signed over other content');
  await check_named(attributes, certificate);
  if (!(await verify_signature(certificate.key, algorithm, s[5].is(4).body, concat(Uint8Array.of(0x31), s[3].raw.subarray(1))))) refuse('its signature is not good');
  if (!same(tst.imprint, await digest(tst.hash, content))) refuse('it is over other bytes');
  if (tst.accuracy !== null && tst.accuracy > kMinute) refuse('its accuracy is worse than a minute');
  if (!certificate.extended_critical || certificate.extended?.length !== 1 || certificate.extended[0] !== kStampUse)
    refuse('its certificate is not for time-stamping alone');
  if (certificate.critical.length || tst.time < certificate.not_before || tst.time > certificate.not_after) refuse('its certificate was not valid at its time');
  const k = certificate.key;
  const kind = k.kind === 'EC' ? 'ECDSA ' + k.curve : (algorithm.scheme === 'RSA-PSS' ? 'RSA-PSS ' : 'RSA ') + k.bits;
  return { ...tst, certificate, pool, algorithm: kind + ', ' + hash };
}

async function check_named(attributes, certificate) {
  const v2 = attributes.get('1.2.840.113549.1.9.16.2.47'), v1 = attributes.get('1.2.840.113549.1.9.16.2.12');
  if (!v2 && !v1) refuse('it does not name its certificate');
  const id = (v2 ?? v1).items()[0].items()[0].items();
  const named = !v2 ? 'SHA-1' : id[0].tag === 0x30 ? hash_of(id[0]) : 'SHA-256';
  const value = id[0].tag === 0x30 ? id[1] : id[0];
  if (!same(value.is(4).body, await digest(named, certificate.der))) refuse('it names another certificate');
}

// The path to an anchor as of that time: {why, path}; why is '' when there is one. Closed rules: signatures, validity,
// basicConstraints, keyUsage; anything critical beside these ends the search.
export async function stamp_path(certificate, pool, anchors, time) {
  const valid = (c) => c.critical.length === 0 && c.not_before <= time && time <= c.not_after;
  const walk = async (path) => {
    const c = path[path.length - 1], depth = path.length - 1;
    if (!valid(c)) return null;
    if (anchors.some((a) => same(a.der, c.der))) return path;
    if (depth > 8) return null;
    for (const up of [...anchors, ...pool]) {
      if (path.includes(up) || !valid(up) || !up.ca || (up.usage && !(up.usage[1] & 4)) || (up.path_length !== undefined && up.path_length < depth)) continue;
      const found = (await issued_by(c, up)) && (await walk([...path, up]));
      if (found) return found;
    }
    return null;
  };
  if (anchors.length === 0) return { why: 'the trust file names no time-stamp authority (tsa-ca)', path: [] };
  const path = await walk([certificate]);
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

// The time-stamp that a countersignature has inside, as a row; null where it has none. `lasts`: whether it must and does stand
// at the reader's own time.
export async function countersignature_time(cms, part, trust, lists, lasts) {
  const token = cms.unsigned.get(kStampAttribute);
  if (!token) return null;
  const t = { ...(await check_token(token.raw, cms.signature)), extra: readable(cms.certificates) };
  const row = await token_row(part, t, t.extra, trust, lists), why = row.trusted ? await lasts(t) : row.why;
  return { row: { ...row, trusted: row.trusted && why === '', why }, t };
}

// All time-stamps of a bundle; `bound`: anchors of the rules. → {rows (of the report), signature: bool, checkpoint: bool, why: [text], second: time in ms or null}.
export async function read_stamps(f, cms, trust, lists, bound) {
  const { bundle, error } = f, out = { rows: [], signature: false, checkpoint: false, why: [], second: null, tokens: [], unbound: null };
  const chains = async (path) => {
    if (!bundle.has(path)) return [];
    try {
      return pem_blocks_of(await bundle.text(path)).map((b) => parse_certificate(b));
    } catch (e) {
      if (!(e instanceof Refused)) throw e;
      return error(path, e.message), [];
    }
  };
  const one = async (part, over, token, content, extra) => {
    try {
      const t = await check_token(await token(), await content());
      const row = await token_row(over, t, extra, trust, lists), of_rules = await stamp_of_rules(bound, t, [...extra, ...trust.tsa_cas], t.time);
      if (!of_rules) Object.assign(row, { trusted: false, why: kNotOfRules, revocation: { state: 'not-asked', why: '' } });
      if (!of_rules && over === 'ledger/checkpoint-b') out.unbound = t;
      out.rows.push(row);
      if (!row.trusted) out.why.push('the time-stamp over ' + over + ' is of ' + row.authority + ' and does not count: ' + row.why);
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
  if (bundle.has('trust/tsa.pem') && !own && !bundle.has(answer)) error('trust/tsa.pem', 'is a chain without its time-stamp');
  const b = 'time/checkpoint-b.tsr';
  let third = null;
  if (bundle.has(b)) third = await one(b, 'ledger/checkpoint-b', async () => token_of_answer(await bundle.bytes(b)), () => bundle.bytes('ledger/checkpoint-b'), await chains('time/checkpoint-b.pem'));
  else if (bundle.has('time/checkpoint-b.pem')) error('time/checkpoint-b.pem', 'is a chain without its time-stamp');
  for (const t of [first?.t, second?.t]) later('certificate.json', 'issued', Date.parse(f.certificate.issued), t);
  later('ledger/headers.gz', 'the last entry', Date.parse(f.graph.time), third?.t);
  out.later = first?.trusted && second?.trusted ? second.t : null;
  out.third = third?.trusted ? third.t : null;
  out.signature = !!first?.trusted && !!second?.trusted;
  out.checkpoint = !!third?.trusted;
  if (out.signature) out.second = second.t.time;
  return out;
}
