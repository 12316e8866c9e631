// A transcript of kesu-probe, judged again from its request, its enumeration and its trials (docs/spec/provider-port.md,
// "The four answers"). What the record does not bear out is unknown.
import { refuse, Refused } from './bytes.js';
import { kind_of } from './header.js';
import { equal, int_of, is_sha256, is_time, list_of, members, parse_json, text_of } from './json.js';

const kRef = ['version', 'purpose', 'label', 'id', 'check_value', 'canary', 'public_key'];
const kIdentity = ['kind', 'label', 'serial', 'manufacturer', 'model', 'firmware', 'hardware', 'module_path', 'module_sha256',
  'library_manufacturer', 'library_description', 'library_version'];
const kPurposes = ['wrap', 'sign-ledger', 'sign-certificate', 'control'];
const kRefTexts = ['version', 'label'], kRefHex = ['id', 'check_value', 'public_key'];
const kObject = ['class', 'key_type', 'label', 'id', 'check_value'];

export function same_place(a, b) {
  return !!a && !!b && a.kind === b.kind && a.serial === b.serial && a.manufacturer === b.manufacturer;
}
const texts = (o, ...names) => names.forEach((n) => text_of(o, n));
const hexes = (o, ...names) => names.forEach((n) => /^([0-9a-f]{2})*$/.test(text_of(o, n)) || refuse(n + ' is not lower-case hexadecimal'));
const numbers = (o, ...names) => names.forEach((n) => int_of(o, n));
const flags = (o, ...names) => names.forEach((n) => typeof o[n] === 'boolean' || refuse(n + ' is not true or false'));
const times = (o, ...names) => names.forEach((n) => is_time(o[n]) || refuse(n + ' is no time'));
const a_digest = (v) => is_sha256(v) || refuse('a digest out of form');
export const a_version = (v) => (typeof v === 'string' && kind_of(v) === 'ver') || refuse('a version out of form');

export function check_ref(r) {
  members(r, kRef);
  texts(r, ...kRefTexts);
  hexes(r, ...kRefHex);
  a_version(r.version);
  if (!kPurposes.includes(r.purpose)) refuse('purpose is none');
  if (r.canary === null) return;
  members(r.canary, ['mechanism', 'nonce', 'ciphertext', 'digest']);
  texts(r.canary, 'mechanism');
  hexes(r.canary, 'nonce', 'ciphertext');
  a_digest(r.canary.digest);
}
export function check_birth(b) {
  members(b, ['ref', 'attributes', 'left_out']);
  check_ref(b.ref);
  if (!list_of(b, 'left_out').every((t) => typeof t === 'string')) refuse('left_out is no list of texts');
}
export function check_receipt(r) {
  members(r, ['accepted', 'at', 'before', 'call', 'irreversible_at', 'result']);
  flags(r, 'accepted');
  times(r, 'at', ...(r.irreversible_at === null ? [] : ['irreversible_at']));
  texts(r, 'call', 'result');
}
function check_identity(i) {
  members(i, kIdentity);
  texts(i, ...kIdentity);
}
function check_object(o) {
  members(o, kObject);
  texts(o, 'class', 'key_type', 'label');
  hexes(o, 'id', 'check_value');
}
function check_trials(list) {
  for (const t of list) {
    members(t, ['object', 'mechanism', 'outcome', 'result', 'digest']);
    check_object(t.object);
    texts(t, 'mechanism', 'result');
    if (t.digest !== null) a_digest(t.digest);
    if (!['opened', 'failed', 'refused', 'not-tried'].includes(t.outcome)) refuse('an outcome that is none');
  }
}

// Form only; a transcript that is not in form is refused.
const kAnswers = ['usable', 'absent', 'refused', 'unknown'];
const one_of = (value, list) => list.includes(value) || refuse('an answer that is none');

export function parse_transcript(bytes) {
  const t = parse_json(bytes);
  members(t, ['request', 'answer', 'exit', 'stderr', 'timed_out']);
  numbers(t, 'exit');
  texts(t, 'stderr');
  flags(t, 'timed_out');
  const q = t.request;
  members(q, ['v', 'uri', 'identity', 'keys', 'control', 'samples', 'try_remaining']);
  if (q.v !== 1) refuse('a request of another version');
  texts(q, 'uri');
  flags(q, 'try_remaining');
  check_identity(q.identity);
  for (const k of list_of(q, 'keys')) check_ref(k);
  if (new Set(q.keys.map((k) => k.version)).size !== q.keys.length) refuse('a key is asked for twice');
  if (q.control !== null) check_ref(q.control);
  for (const s of list_of(q, 'samples')) {
    members(s, ['id', 'key', 'aad', 'algorithm', 'nonce', 'blob']);
    texts(s, 'id');
    hexes(s, 'aad', 'nonce', 'blob');
    a_version(s.key);
    if (![1, 2].includes(s.algorithm)) refuse('a sample of another algorithm');
  }
  // An answer that cannot be read is none.
  try {
    if (t.answer !== null) check_answer(t.answer);
  } catch (e) {
    if (!(e instanceof Refused)) throw e;
    t.answer = null;
  }
  return t;
}

function check_answer(a) {
  members(a, ['v', 'program', 'host', 'boot_id', 'pid', 'environment', 'started', 'ended', 'identity', 'same_place', 'enumeration',
    'control', 'keys', 'samples', 'error', 'calls'], ['token_sessions']);
  if (a.v !== 1) refuse('an answer of another version');
  one_of(a.control, kAnswers);
  texts(a, 'boot_id', 'host', 'program');
  numbers(a, 'pid');
  flags(a, 'same_place');
  times(a, 'started', 'ended');
  if (!list_of(a, 'environment').every((n) => typeof n === 'string')) refuse('environment is no list of texts');
  if (a.error !== null) members(a.error, ['code', 'message']), texts(a.error, 'code', 'message');
  if (a.token_sessions !== undefined && a.token_sessions !== null) members(a.token_sessions, ['sessions', 'rw_sessions']), numbers(a.token_sessions, 'sessions', 'rw_sessions');
  if (a.identity !== null) check_identity(a.identity);
  if (a.enumeration !== null) {
    members(a.enumeration, ['complete', 'why', 'objects']);
    flags(a.enumeration, 'complete');
    texts(a.enumeration, 'why');
    for (const o of list_of(a.enumeration, 'objects')) check_object(o);
  }
  for (const k of list_of(a, 'keys')) {
    members(k, ['version', 'answer', 'why', 'found', 'canary', 'by']);
    a_version(k.version);
    texts(k, 'why');
    numbers(k, 'found');
    one_of(k.answer, kAnswers);
    one_of(k.canary, ['opened', 'failed', 'not-tried']);
    check_trials(list_of(k, 'by'));
  }
  for (const s of list_of(a, 'samples')) {
    members(s, ['id', 'answer', 'by']);
    texts(s, 'id');
    one_of(s.answer, ['opened', 'failed', 'not-tried']);
    check_trials(list_of(s, 'by'));
  }
}

const same_object = (a, b) => kObject.every((n) => a[n] === b[n]);
const is_key = (ref, o) => o.label === ref.label && o.id === ref.id;
const is_secret = (o) => o.class === 'CKO_SECRET_KEY';
const expected_class = (ref) => (ref.purpose.startsWith('sign-') ? 'CKO_PRIVATE_KEY' : 'CKO_SECRET_KEY');

function judge_key(ref, record, answer, request, control_good) {
  const signing = ref.purpose.startsWith('sign-');
  if (!signing && ref.canary && record.by.some((t) => t.outcome === 'opened' && t.digest === ref.canary.digest)) return 'usable';
  if (signing && record.answer === 'usable' && record.found === 1) return 'usable';
  const samples = request.samples.map((s, i) => [s, answer.samples[i]]).filter(([s]) => s.key === ref.version);
  if (samples.some(([, r]) => r.by.some((t) => t.outcome === 'opened'))) return 'usable';
  const e = answer.enumeration;
  const objects = e?.objects ?? [];
  const own = objects.filter((o) => o.class === expected_class(ref) && is_key(ref, o));
  if (own.length) return record.by.some((t) => t.outcome === 'refused' && is_key(ref, t.object)) ? 'refused' : 'unknown';
  if (objects.some((o) => (ref.label && o.label === ref.label) || (ref.id && o.id === ref.id) ||
      (ref.check_value && o.check_value === ref.check_value))) return 'unknown';
  if (answer.error !== null || !e || !e.complete || !control_good) return 'unknown';
  if (signing) return ref.label && ref.id ? 'absent' : 'unknown';
  if (!request.try_remaining || !ref.canary) return 'unknown';
  return all_tried(objects.filter(is_secret), record.by, ref.check_value) ? 'absent' : 'unknown';
}

// Every secret key of the enumeration was tried, and nothing else; each AES key failed, or has another check value.
function all_tried(secrets, by, check_value) {
  if (!by.every((t) => secrets.some((o) => same_object(o, t.object)))) return false;
  return secrets.every((o) => {
    const alike = secrets.filter((x) => same_object(x, o)).length, trials = by.filter((t) => same_object(t.object, o));
    if (trials.length < alike) return false;
    const differs = o.check_value !== '' && check_value !== '' && o.check_value !== check_value;
    return o.key_type !== 'CKK_AES' || differs || trials.filter((t) => t.outcome === 'failed').length >= alike;
  });
}

// → {ok: whether anything can be said, place, started, ended, boot_id, complete, objects, control, keys: version → answer,
// samples: [{id, key, aad, answer}]}.
export function judge_transcript(t) {
  const q = t.request, a = t.answer;
  const out = { ok: false, request: q, place: a?.identity ?? null, started: a?.started ?? '', ended: a?.ended ?? '', boot_id: a?.boot_id ?? '',
    complete: false, objects: [], control: 'unknown', keys: new Map(q.keys.map((k) => [k.version, 'unknown'])), refs: new Map(),
    canaries: new Map(),
    samples: q.samples.map((s) => ({ id: s.id, key: s.key, aad: s.aad, answer: 'not-tried' })), sessions: a?.token_sessions ?? null };
  for (const k of q.keys) out.refs.set(k.version, k);
  if (!a || t.exit !== 0 || t.timed_out || !a.same_place || !same_place(a.identity, q.identity)) return out;
  if (!equal(a.keys.map((k) => k.version), q.keys.map((k) => k.version)) || !equal(a.samples.map((s) => s.id), q.samples.map((s) => s.id)))
    return out;
  out.ok = true;
  const e = a.enumeration;
  out.complete = !!e && e.complete && a.error === null;
  out.objects = e?.objects ?? [];
  const alive = q.control !== null && a.control === 'usable' &&
    out.objects.filter((o) => o.class === 'CKO_SECRET_KEY' && is_key(q.control, o)).length === 1;
  out.control = alive ? 'usable' : 'unknown';
  for (const [i, ref] of q.keys.entries())
    out.canaries.set(ref.version, !!ref.canary && a.keys[i].by.some((t) => t.outcome === 'opened' && t.digest === ref.canary.digest));
  for (const [i, ref] of q.keys.entries()) out.keys.set(ref.version, agreed(judge_key(ref, a.keys[i], a, q, alive), a.keys[i].answer, 'unknown'));
  const secrets = out.objects.filter(is_secret);
  for (const [i, r] of a.samples.entries()) {
    let answer = 'not-tried';
    if (r.by.some((x) => x.outcome === 'opened')) answer = 'opened';
    else if (out.complete && q.try_remaining && all_tried(secrets, r.by, out.refs.get(q.samples[i].key)?.check_value ?? '')) answer = 'failed';
    out.samples[i].answer = agreed(answer, r.answer, 'not-tried');
  }
  return out;
}
function agreed(judged, said, otherwise) {
  return judged === said ? judged : otherwise;
}
