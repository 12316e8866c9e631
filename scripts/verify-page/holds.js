// Legal holds on what is in scope, and whether those who released them were those who may (docs/spec/erasure.md, "Holds").
import { hex, same, Refused, refuse } from './bytes.js';
import { kind_of } from './header.js';
import { sha256 } from './hash.js';
import { equal, is_time, members, parse_json } from './json.js';
import { person_signature } from './persons.js';

const kSpace = 'kesu-release-v1';
const kAge = 31 * 86400000;
const path_of = (seq, operator) => 'approvals/release.' + seq + '.' + operator + '.json';

export class Holds {
  constructor(facts, people) {
    Object.assign(this, { f: facts, people });
    this.all = [];  // {id, subject, placed, released}: entries; the release that counts, or null
    this.seen = new Set();
  }
  // Whether one of them stood after entry `begin` and was placed before entry `end`.
  between(begin, end) {
    return this.all.some((h) => h.placed.seq < end && (!h.released || h.released.seq > begin));
  }
  async follow() {
    const f = this.f, scope = new Set([...f.datasets, ...f.versions]), standing = new Map(), ours = new Set();
    for (const h of f.graph.of_type('hold-placed', 'hold-released'))
      for (const item of h.nodes)
        if (h.type === 'hold-placed' && item.is === 'placed' && scope.has(item.of)) {
          ours.add(item.id);
          if (standing.has(item.id)) continue;
          standing.set(item.id, { id: item.id, subject: item.of, placed: h, released: null });
          this.all.push(standing.get(item.id));
        } else if (h.type === 'hold-released' && item.is === 'released' && ours.has(item.id)) {
          const named = this.named(h), hold = standing.get(item.id);
          if (!hold || !(await this.releases(h, named, hold))) continue;
          hold.released = h;
          standing.delete(item.id);
        }
    for (const path of f.bundle.paths('approvals/release.')) if (!this.seen.has(path)) f.error(path, 'no entry about what is in scope names it');
  }
  // What an opened release names; null where it is not opened, or malformed.
  named(h) {
    const f = this.f, body = h.seq < f.checkpoints.a.size ? f.body(h) : null;
    if (!body) return null;
    if (!Array.isArray(body.approvals) || typeof body.reason !== 'string' || body.approvals.some((i) => kind_of(i?.operator ?? '') !== 'opr'))
      return f.error('entry ' + h.seq, 'approvals or reason is not that of a release'), null;
    for (const item of body.approvals) this.seen.add(path_of(h.seq, item.operator)).add(path_of(h.seq, item.operator) + '.sig');
    return body.approvals;
  }
  async releases(h, named, hold) {
    const f = this.f, rules = this.people.rules;
    if (h.seq >= f.checkpoints.a.size) return true;  // nothing was destroyed after checkpoint A: it changes nothing
    const closed = [h, hold.placed].find((x) => !f.body(x));
    if (closed) return f.note('ledger/bodies.jsonl', 'entry ' + closed.seq + ' (' + closed.type + ') is not opened: the hold counts as not released'), false;
    const counted = [];
    for (const item of named ?? []) {
      const o = await this.consent(h, item, hold);
      if (o && !counted.some((x) => x.id === o.id || x.name === o.name || same(x.key.blob, o.key.blob))) counted.push(o);
    }
    const quorum = Math.max(1, rules?.at(h.seq, Date.parse(h.time)).quorum ?? 1);
    if (named && rules && counted.length >= quorum) return true;
    f.note('entry ' + h.seq, 'releases nothing: ' + counted.length + ' approvals of the release count, the quorum was ' + quorum);
    return false;
  }
  async consent(h, item, hold) {
    const f = this.f, path = path_of(h.seq, item.operator), rules = this.people.rules;
    for (const name of [path, path + '.sig']) if (!f.bundle.has(name)) return f.note(name, 'is missing; entry ' + h.seq + ' names it'), null;
    try {
      const raw = await f.bundle.bytes(path), raw_sig = await f.bundle.bytes(path + '.sig');
      if (hex(sha256(raw)) !== item.statement || hex(sha256(raw_sig)) !== item.signature) refuse('statement or signature is not what entry ' + h.seq + ' names');
      const s = parse_json(raw, true), officer = this.people.officers.get(item.operator);
      members(s, ['case', 'detail', 'hold', 'issued', 'name', 'operator', 'organisation', 'reason', 'role', 'subject', 'summary', 'type', 'vault']);
      const thing = (hold.subject.startsWith('ds-') ? 'dataset ' : 'key version ') + s.detail;
      if (typeof s.detail !== 'string' || s.type !== kSpace || s.role !== 'approver' || !is_time(s.issued) ||
          !equal(s.summary, ['Releases the hold of case ' + s.case + ' on ' + thing, 'From then on ' + thing + ' can be erased'])) refuse('is not in the one form of a release');
      if (s.vault !== f.vault || s.organisation !== this.people.genesis?.organisation) refuse('it is for another vault or organisation');
      if (s.hold !== hold.id || s.subject !== hold.subject) refuse('it is of another hold');
      if (s.case !== f.body(hold.placed).case) refuse('it is of another case');
      if (s.reason !== f.body(h).reason) refuse('its reason is not that of entry ' + h.seq);
      if (!officer || s.operator !== officer.id || s.name !== officer.name) refuse(item.operator + ' is not enrolled, or it is of somebody else');
      await person_signature(raw_sig, kSpace, raw, officer.key, officer.name);
      const issued = Date.parse(s.issued), at = Date.parse(h.time);
      let why = rules ? rules.signing_problem(officer.id, 'approver', h.seq, at, at) : 'cannot be judged';
      if (rules?.revoked_before(officer.id, h.seq)) why = 'was revoked before';
      if (why) return f.note(path, 'does not count: ' + officer.name + ' ' + why), null;
      if (issued < Date.parse(hold.placed.time) || issued > at || at - issued > kAge)
        return f.note(path, 'does not count: it was not issued after the hold and within 31 days before entry ' + h.seq), null;
      return officer;
    } catch (e) {
      if (!(e instanceof Refused)) throw e;
      return f.error(path, e.message), null;
    }
  }
}
