// A transcript of kesu-probe, judged again from its request, its enumeration and its trials (docs/spec/provider-port.md,
// "The four answers"). What the record does not bear out is unknown.
import { refuse } from './bytes.js';
import { equal, is_object, is_time, list_of, members, parse_json } from './json.js';

const kRef = ['version', 'purpose', 'label', 'id', 'check_value', 'canary', 'public_key'];
const kIdentity = ['kind', 'label', 'serial', 'manufacturer', 'model', 'firmware', 'hardware', 'module_path', 'module_sha256',
  'library_manufacturer', 'library_description', 'library_version'];
const kObject = ['class', 'key_type', 'label', 'id', 'check_value'];

export function same_place(a, b) {
  return !!a && !!b && a.kind === b.kind && a.serial === b.serial && a.manufacturer === b.manufacturer;
}
function check_ref(r) {
  members(r, kRef);
  if (r.canary !== null) members(r.canary, ['mechanism', 'nonce', 'ciphertext', 'digest']);
}
function check_object(o) {
  members(o, kObject);
  for (const name of kObject) if (typeof o[name] !== 'string') refuse(name + ' is no text');
}
function check_trials(list) {
  for (const t of list) {
    members(t, ['object', 'mechanism', 'outcome', 'result', 'digest']);
    check_object(t.object);
    if (!['opened', 'failed', 'refused', 'not-tried'].includes(t.outcome)) refuse('an outcome that is none');
  }
}

// Form only; a transcript that is not in form is refused.
const kAnswers = ['usable', 'absent', 'refused', 'unknown'];
const one_of = (value, list) => list.includes(value) || refuse('an answer that is none');

export function parse_transcript(bytes) {
  const t = parse_json(bytes);
  members(t, ['request', 'answer', 'exit', 'stderr', 'timed_out']);
  const q = t.request;
  if (q.v !== 1 || (t.answer !== null && t.answer.v !== 1)) refuse('a request or an answer of another version');
  members(q, ['v', 'uri', 'identity', 'keys', 'control', 'samples', 'try_remaining']);
  members(q.identity, kIdentity);
  for (const k of list_of(q, 'keys')) check_ref(k);
  if (q.control !== null) check_ref(q.control);
  for (const s of list_of(q, 'samples')) members(s, ['id', 'key', 'aad', 'algorithm', 'nonce', 'blob']);
  const a = t.answer;
  if (a === null) return t;
  members(a, ['v', 'program', 'host', 'boot_id', 'pid', 'environment', 'started', 'ended', 'identity', 'same_place', 'enumeration',
    'control', 'keys', 'samples', 'error', 'calls'], ['token_sessions']);
  one_of(a.control, kAnswers);
  if (!is_time(a.started) || !is_time(a.ended)) refuse('a time out of form');
  if (a.identity !== null) members(a.identity, kIdentity);
  if (a.enumeration !== null) {
    members(a.enumeration, ['complete', 'why', 'objects']);
    for (const o of list_of(a.enumeration, 'objects')) check_object(o);
  }
  for (const k of list_of(a, 'keys')) {
    members(k, ['version', 'answer', 'why', 'found', 'canary', 'by']);
    one_of(k.answer, kAnswers);
    one_of(k.canary, ['opened', 'failed', 'not-tried']);
    check_trials(list_of(k, 'by'));
  }
  for (const s of list_of(a, 'samples')) {
    members(s, ['id', 'answer', 'by']);
    one_of(s.answer, ['opened', 'failed', 'not-tried']);
    check_trials(list_of(s, 'by'));
  }
  return t;
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
  if (samples.some(([, r]) => r.by.some((t) => t.outcome === 'opened' && is_key(ref, t.object)))) return 'usable';
  const e = answer.enumeration;
  const objects = e?.objects ?? [];
  const own = objects.filter((o) => o.class === expected_class(ref) && is_key(ref, o));
  if (own.length) return record.by.some((t) => t.outcome === 'refused' && is_key(ref, t.object)) ? 'refused' : 'unknown';
  if (objects.some((o) => (ref.label && o.label === ref.label) || (ref.id && o.id === ref.id) ||
      (ref.check_value && o.check_value === ref.check_value))) return 'unknown';
  if (answer.error !== null || !e || !e.complete || !control_good) return 'unknown';
  if (signing) return ref.label && ref.id ? 'absent' : 'unknown';
  if (!request.try_remaining || !ref.canary) return 'unknown';
  // Every secret key of the enumeration was tried, and each AES key is excluded.
  const secrets = objects.filter(is_secret);
  if (!record.by.every((t) => secrets.some((o) => same_object(o, t.object)))) return 'unknown';
  for (const o of secrets) {
    const alike = secrets.filter((x) => same_object(x, o)).length;
    const trials = record.by.filter((t) => same_object(t.object, o));
    if (trials.length < alike) return 'unknown';
    if (o.key_type !== 'CKK_AES') continue;
    const differs = o.check_value !== '' && ref.check_value !== '' && o.check_value !== ref.check_value;
    if (!differs && trials.filter((t) => t.outcome === 'failed').length < alike) return 'unknown';
  }
  return 'absent';
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
    else if (out.complete && r.by.length && secrets.every((o) => o.key_type !== 'CKK_AES' || excluded(o, secrets, r.by))) answer = 'failed';
    out.samples[i].answer = agreed(answer, r.answer, 'not-tried');
  }
  return out;
}
function agreed(judged, said, otherwise) {
  return judged === said ? judged : otherwise;
}
function excluded(o, secrets, by) {
  const alike = secrets.filter((x) => same_object(x, o)).length;
  return by.filter((t) => same_object(t.object, o) && t.outcome === 'failed').length >= alike;
}
