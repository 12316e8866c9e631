// Time-stamps of the waiting period: that it passed by the time of others (docs/spec/certificate.md, "Time-stamps of the
// waiting period").
import { hex, refuse, Refused } from './bytes.js';
import { chain_file } from './pki.js';
import { check_token, kMinute, token_of_answer } from './time.js';
import { note_signed_by, parse_note } from './note.js';

const kStamped = 'erasure-stamped', kMostStamped = 64;
const kNamed = ['checkpoint', 'document', 'authority'];

// Where checkpoints say that they are of, so that the roots there are computed; whether it is true is asked later.
export function waiting_sizes(bodies) {
  return [...bodies.values()].filter((b) => b.body?.checkpoint !== undefined).map((b) => b.body.size);
}

// One entry → {seq, size, over, t, begin, end}, null where something that it names is not in the bundle.
async function read_one(f, h) {
  const b = f.body(h), { bundle } = f;
  if (!b) refuse('entry ' + h.seq + ' (' + kStamped + ') is not opened');
  if (!kNamed.every((name) => typeof b[name] === 'string') || !Number.isSafeInteger(b.size)) refuse('has not the members of ' + kStamped);
  if (f.graph.item(h, f.era).d !== b.document) refuse('d is not its document');
  const [over, answer, authority] = kNamed.map((name) => 'evidence/' + b[name]);
  if (![over, answer, authority].every((path) => bundle.has(path))) return null;
  const data = await bundle.bytes(over), note = parse_note(data), key = f.checkpoints.vkey;
  if (note.origin !== key.name || !(await note_signed_by(note, key))) refuse('its checkpoint is not signed by the ledger key');
  if (note.size !== b.size || note.size < 1 || note.size > h.seq) refuse('its checkpoint is of another size than it says, or one that it cannot be of');
  if (f.roots.get(note.size) !== hex(note.root)) refuse('its checkpoint is of another history than the headers');
  const extra = chain_file(await bundle.bytes(authority)), t = { ...(await check_token(token_of_answer(await bundle.bytes(answer)), data)), extra };
  const accuracy = t.accuracy ?? 0;
  if (Date.parse(f.times.get(note.size)) > t.time + accuracy + kMinute) refuse('the last entry that its checkpoint covers is later than its time-stamp');
  return { seq: h.seq, size: note.size, over, t, begin: t.time - accuracy, end: t.time + accuracy };
}

// The good ones, in the ledger's order.
export async function read_waiting(f) {
  const out = [], entries = f.graph.about(f.era, kStamped).filter((h) => h.seq < f.checkpoints.a.size);
  if (entries.length > kMostStamped) return f.error('ledger/headers.gz', 'has more than 64 ' + kStamped + ' of the erasure'), out;
  for (const h of entries) {
    try {
      const one = await read_one(f, h);
      if (one) out.push(one);
    } catch (e) {
      if (!(e instanceof Refused) && !(e instanceof TypeError)) throw e;
      f.error('entry ' + h.seq, e.message);
    }
  }
  return out;
}

// What those that count show: {from, to, ms}; null where none is over a checkpoint with the approvals.
function waited_between(f, c, counts) {
  const mine = f.waiting.filter((s) => f.first_intended && s.seq < f.first_intended.seq && counts(s));
  const begun = mine.filter((s) => s.size > c.reached.seq);
  if (!begun.length) return null;
  const from = begun.reduce((best, s) => (s.end < best.end ? s : best)), to = mine.reduce((best, s) => (s.begin > best.begin ? s : best));
  return { from, to, ms: Math.max(0, to.begin - from.end) };
}

// `c`: conditions, with the approval that reached the quorum, and seconds. Whoever's tokens they are: what that is worth to a
// reader says the report.
export function waiting_words(f, c) {
  if (!c.reached || c.waiting <= 0) return '';
  const shown = waited_between(f, c, () => true), at = (s) => new Date(s.t.time).toISOString();
  if (shown && shown.ms >= c.waiting * 1000) return ', time-stamped from ' + at(shown.from) + ' to ' + at(shown.to);
  return f.body(f.started)?.waited_by === 'host' ? ', by the host\'s clock' : '';
}

// Why those that count do not show the waiting period; '' where they do, or there is none.
export function unshown_wait(f, c, counts) {
  if (!c.reached || c.waiting <= 0) return '';
  const shown = waited_between(f, c, counts);
  if (!shown) return 'no time-stamp that counts is over a checkpoint with the approvals';
  return shown.ms >= c.waiting * 1000 ? '' : Math.floor(shown.ms / 1000) + ' of ' + c.waiting + ' seconds lie between the time-stamps that count';
}
