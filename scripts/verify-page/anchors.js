// Trust anchors that the rules bind: under which certificates time-stamps count, and whose cosignatures (docs/spec/erasure.md,
// "Anchors").
import { hex, refuse, utf8 } from './bytes.js';
import { is_object, is_sha256, members } from './json.js';
import { note_cosigned_by, parse_vkey } from './note.js';
import { sha256 } from './hash.js';

export const kAnchors = 'anchors';
const kMostAnchors = 16;

const rising_order = (list) => list.every((x, i) => i === 0 || list[i - 1] < x);
const some_anchors = (list) => (Array.isArray(list) && list.length >= 1 && list.length <= kMostAnchors) || refuse('its anchors of one kind are none, or more than 16');

function witness_of(vkey) {
  if (typeof vkey !== 'string' || !/^[!-~]+$/.test(vkey)) refuse('a witness\'s vkey has other characters than those of ASCII');
  const key = parse_vkey(vkey);
  if (key.type !== 4) refuse('a vkey in it is of no witness');
  return key;
}

// Refuses what is not in the one form of anchors.
export function check_anchors(o) {
  if (!is_object(o) || !Object.keys(o).length) refuse('its anchors bind nothing');
  members(o, [], ['time_authorities', 'witness_quorum', 'witnesses']);
  if (Object.hasOwn(o, 'witnesses') !== Object.hasOwn(o, 'witness_quorum')) refuse('its anchors have witnesses without a quorum, or a quorum without witnesses');
  if (Object.hasOwn(o, 'time_authorities')) {
    some_anchors(o.time_authorities);
    for (const t of o.time_authorities) {
      members(t, ['name', 'sha256']);
      if (typeof t.name !== 'string' || !t.name || utf8(t.name).length > 256 || /[\u0000-\u001f\u007f-\u009f]/.test(t.name)) refuse('the name of a time-stamp authority is empty, too long, or has a control character');
      if (/"|sha256:/i.test(t.name)) refuse('the name of a time-stamp authority has a quotation mark, or sha256: in it, as only a digest may');
      if (!is_sha256(t.sha256)) refuse('the digest of a time-stamp authority is none');
    }
    if (!rising_order(o.time_authorities.map((t) => t.sha256))) refuse('its time-stamp authorities are not in order, or one stands twice');
  }
  if (Object.hasOwn(o, 'witnesses')) {
    some_anchors(o.witnesses);
    const keys = new Set(o.witnesses.map((w) => hex(witness_of(w).key)));
    if (!rising_order(o.witnesses) || keys.size !== o.witnesses.length) refuse('its witnesses are not in order, or one stands twice');
    if (!Number.isSafeInteger(o.witness_quorum) || o.witness_quorum < 1 || o.witness_quorum > keys.size) refuse('witness_quorum is not from 1 to their number');
  }
}

const under = (t) => 'sha256:' + t.sha256 + ', "' + t.name + '"';

// What a person reads of them in a statement.
export function anchor_lines(to, from) {
  const now = (to?.time_authorities ?? []).map((t) => 'Time-stamps count only under ' + under(t));
  if (!now.length && from?.time_authorities) now.push('Time-stamps count under any authority from then on');
  for (const w of to?.witnesses ?? []) now.push('Cosignatures count only of ' + w);
  if (to?.witnesses) now.push('At least ' + to.witness_quorum + ' of these witnesses must sign');
  else if (from?.witnesses) now.push('Cosignatures count of any witness from then on');
  for (const t of from?.time_authorities ?? []) now.push('Until now: time-stamps under ' + under(t));
  for (const w of from?.witnesses ?? []) now.push('Until now: cosignatures of ' + w);
  return from?.witnesses ? [...now, 'Until now: at least ' + from.witness_quorum + ' of these witnesses'] : now;
}

// The public keys (hex) of the witnesses that the anchors name, null where they name none, empty where too few of them signed;
// and how many did.
export async function witnesses_of_rules(bound, note) {
  if (!bound?.witnesses) return { named: null, signed: 0 };
  const keys = bound.witnesses.map(witness_of);
  let signed = 0;
  for (const k of keys) signed += (await note_cosigned_by(note, k)) ? 1 : 0;
  return { named: new Set(signed >= bound.witness_quorum ? keys.map((k) => hex(k.key)) : []), signed };
}
