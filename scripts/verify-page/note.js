// C2SP signed notes, tlog-checkpoints and cosignatures.
import { concat, from_utf8, hex, refuse, same, unbase64, utf8, lines_of } from './bytes.js';
import { sha256 } from './hash.js';
import { verify_ed25519 } from './pki.js';

// Closed, whatever a language takes for a space: docs/spec/ledger.md, "Checkpoint".
const kNoName = /[+\u0000-\u0020\u007f-\u00a0\u1680\u2000-\u200a\u2028\u2029\u202f\u205f\u3000]/u;
const kMaxName = 255, kMaxNote = 1 << 20, kMaxTime = 2n ** 63n - 1n;
const is_name = (text) => text !== '' && !kNoName.test(text) && utf8(text).length <= kMaxName;

// "<name>+<8 hex>+<base64( type ‖ key )>"; type 1: signs notes, 4: cosigns.
export function parse_vkey(text) {
  const m = /^([^+]+)\+([0-9a-f]{8})\+([A-Za-z0-9+/=]+)$/.exec(text);
  if (!m || !is_name(m[1])) refuse('is no vkey');
  const data = unbase64(m[3]);
  if (data.length !== 33 || ![1, 4].includes(data[0])) refuse('is a vkey of a kind that is not supported');
  const id = sha256(concat(utf8(m[1]), Uint8Array.of(10), data)).subarray(0, 4);
  if (hex(id) !== m[2]) refuse('is a vkey with another key id than its key gives');
  return { name: m[1], id, type: data[0], key: data.subarray(1), text };
}

export function parse_note(bytes) {
  if (bytes.length > kMaxNote) refuse('is too long for a note');
  const text = from_utf8(bytes);
  if (/[\u0000-\u0009\u000b-\u001f\u007f]/.test(text)) refuse('has a control character');
  const at = text.lastIndexOf('\n\n');
  if (at < 0) refuse('is no signed note');
  const out = { text: text.slice(0, at + 1), signatures: [] };
  for (const line of lines_of(text.slice(at + 2))) {
    const m = /^— ([^ ]+) ([A-Za-z0-9+/=]+)$/.exec(line);
    if (!m || !is_name(m[1])) refuse('has a signature line out of form');
    const data = unbase64(m[2]);
    if (data.length < 5) refuse('has a signature line out of form');
    out.signatures.push({ name: m[1], id: data.subarray(0, 4), value: data.subarray(4) });
  }
  if (out.signatures.length === 0 || out.signatures.length > 100) refuse('is a note with no signature, or with too many');
  const body = lines_of(out.text);
  if (body.length !== 3) refuse('is no checkpoint of three lines');
  if (!/^(0|[1-9][0-9]*)$/.test(body[1]) || !Number.isSafeInteger(Number(body[1]))) refuse('has a size out of form');
  out.origin = body[0];
  out.size = Number(body[1]);
  out.root = unbase64(body[2]);
  if (out.root.length !== 32) refuse('has a root out of form');
  return out;
}

export async function note_signed_by(note, vkey) {
  let good = false;
  for (const s of note.signatures) {
    if (s.name !== vkey.name || !same(s.id, vkey.id)) continue;
    if (!(await verify_ed25519(vkey.key, s.value, utf8(note.text)))) return false;
    good = true;
  }
  return good;
}

// A cosignature/v1 (type 4): its time and an Ed25519 signature over it and the note; all lines of the key are good.
export async function note_cosigned_by(note, vkey) {
  if (vkey.type === 1) return note_signed_by(note, vkey);
  let good = false;
  for (const s of note.signatures) {
    if (s.name !== vkey.name || !same(s.id, vkey.id)) continue;
    if (s.value.length !== 72) return false;
    const time = s.value.subarray(0, 8).reduce((n, b) => n * 256n + BigInt(b), 0n);
    if (time > kMaxTime || !(await verify_ed25519(vkey.key, s.value.subarray(8), utf8('cosignature/v1\ntime ' + time + '\n' + note.text)))) return false;
    good = true;
  }
  return good;
}
