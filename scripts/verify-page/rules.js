// People and rules after genesis: the rules-changed entries below checkpoint A, followed over all headers (docs/spec/erasure.md).
import { anchor_lines, check_anchors, kAnchors } from './anchors.js';
import { hex, same, Refused, refuse } from './bytes.js';
import { sha256 } from './hash.js';
import { equal, is_object, is_time, members, parse_json } from './json.js';
import { kind_of } from './header.js';
import { certificate_problem, certificate_sum, person_key, person_signature } from './persons.js';
import { ssh_fingerprint } from './ssh.js';

export const kChangeSpace = 'kesu-change-v1';
const kRoles = ['operator', 'approver', 'verifier', 'validator', 'auditor'];
const kChangeAge = 31 * 86400000;
const kRules = ['profile', 'quorum', 'waiting_seconds'];
const kSignedRule = 'signed_commands';  // there, and true, or not there
const kChangeMembers = { enrol: ['what', 'operator', 'name', 'title', 'public_key', 'fingerprint', 'roles'], roles: ['what', 'operator', 'name', 'roles'],
  revoke: ['what', 'operator', 'name'], rules: ['what', ...kRules] };
const millis = (t) => Date.parse(t);

function plain(o, ...names) {
  for (const n of names) if (typeof o[n] !== 'string' || !o[n] || /[\u0000-\u001f\u007f-\u009f]/.test(o[n])) refuse(n + ' is empty, or has a control character');
}
function check_rules(o) {
  plain(o, 'profile');
  if (Object.hasOwn(o, kSignedRule) && o[kSignedRule] !== true) refuse(kSignedRule + ' is not true');
  if (Object.hasOwn(o, kAnchors)) check_anchors(o[kAnchors]);
  if (!Number.isSafeInteger(o.quorum) || o.quorum < 1 || !Number.isSafeInteger(o.waiting_seconds) || o.waiting_seconds < 0) refuse('its quorum or waiting period is not possible');
}
function check_end(until) {
  if (!is_time(until) || millis(until) <= 0) refuse('until is no time after 1970-01-01T00:00:00.000Z');
}
function terms_of(change) {
  if (!Array.isArray(change.roles) || !change.roles.length) refuse('has no roles');
  const roles = new Map();
  for (const item of change.roles) {
    members(item, ['role'], ['until']);
    if (!kRoles.includes(item.role) || roles.has(item.role)) refuse('a role is unknown, or stands twice');
    if (item.until !== undefined) check_end(item.until);
    roles.set(item.role, item.until ?? null);
  }
  if (!equal([...roles.keys()], kRoles.filter((r) => roles.has(r)))) refuse('its roles are not in their order');
  if (change.until !== undefined) check_end(change.until);
  return { roles, until: change.until ?? null };
}
const roles_text = (terms) => [...terms.roles].map(([r, until]) => r + (until ? ' until ' + until : '')).join(', ');
const rules_text = (r) => 'quorum ' + r.quorum + ', waiting period ' + r.waiting_seconds + ' s, profile ' + r.profile + (r[kSignedRule] ? ', commands signed by their operators' : '');
const members_of_rules = (r) => Object.fromEntries([...kRules, kSignedRule, kAnchors].filter((n) => Object.hasOwn(r, n)).map((n) => [n, r[n]]));

function summary_of(change, terms, from) {
  if (change.what === 'revoke')
    return ['Revokes ' + change.name + ': from then on no signature of theirs counts', 'Approvals of theirs are void where the erasure has not begun', 'Takes effect at once'];
  const out = [], end = terms?.until ? 'The enrolment ends ' + terms.until : '';
  if (change.what === 'enrol') {
    out.push('Enrols ' + change.name + ' (' + change.title + ') as ' + roles_text(terms), 'With the key ' + change.fingerprint);
    if (change.public_key.startsWith('x509 ')) out.push('In the certificate sha256:' + certificate_sum(person_key(change.public_key)));
    if (end) out.push(end);
  } else if (change.what === 'roles') {
    out.push('Gives ' + change.name + ' these roles and no others: ' + roles_text(terms), end || 'The enrolment has no end');
  } else {
    out.push('Sets ' + rules_text(change) + (from[kSignedRule] && !change[kSignedRule] ? ', commands no longer signed' : ''), 'Until now: ' + rules_text(from), ...anchor_lines(change[kAnchors], from[kAnchors]));
  }
  return [...out, 'Takes effect ' + from.waiting_seconds + ' s after it is recorded; erasures requested before then keep what was in force'];
}

// As ssh-keygen reads it, which has no year 10000.
export const ssh_time = (ms, up) => new Date(Math.min(Math.floor((ms + (up ? 999 : 0)) / 1000), 253402300799) * 1000).toISOString().replace(/[-:T]/g, '').slice(0, 14) + 'Z';

export class Rules {
  // `people`: operator → officer; newcomers are put there.
  constructor(facts, genesis, genesis_body, people) {
    Object.assign(this, { f: facts, people, genesis });
    this.changes = [];
    this.revoked = new Map();
    this.seen = new Set();
    this.first = { profile: genesis.profile, quorum: genesis.quorum, waiting_seconds: Math.max(genesis.waiting_seconds ?? 0, genesis_body.waiting_seconds ?? 0),
      ...(genesis[kSignedRule] === true || genesis_body[kSignedRule] === true ? { [kSignedRule]: true } : {}),
      ...(Object.hasOwn(genesis, kAnchors) ? { [kAnchors]: genesis[kAnchors] } : {}) };
  }
  in_force(seq, at) {
    return this.changes.filter((c) => c.counts && c.seq < seq && c.effective <= at);
  }
  at(seq, at) {
    const c = this.in_force(seq, at).filter((x) => x.what === 'rules').pop();
    return c ? members_of_rules(c.change) : this.first;
  }
  terms(operator, seq, at) {
    const officer = this.people.get(operator);
    if (!officer) return null;
    let out = officer.signed ? { roles: new Map(officer.roles.map((r) => [r, null])), until: null } : null;
    for (const c of this.in_force(seq, at)) if (c.operator === operator && (c.what === 'enrol' || (c.what === 'roles' && out))) out = c.terms;
    return out;
  }
  // Why this person cannot sign in this role at `when`; "" when he can. Revocations are the caller's question.
  role_problem(operator, role, seq, at, when) {
    const terms = this.terms(operator, seq, at);
    if (!terms)
      return this.changes.some((c) => c.what === 'enrol' && c.operator === operator) ? 'was not enrolled by what was in force when it was requested'
        : 'is not an officer of the genesis statement, or did not sign it';
    if (!terms.roles.has(role)) return 'does not have the role';
    return [terms.until, terms.roles.get(role)].some((end) => end && when >= millis(end)) ? 'signed after the end of the enrolment or role' : '';
  }
  // The same, and of whoever signs with a certificate: it was valid at `when`.
  signing_problem(operator, role, seq, at, when) {
    return this.role_problem(operator, role, seq, at, when) || certificate_problem(this.people.get(operator).key, when);
  }
  revoked_before(operator, seq) {
    return this.revoked.has(operator) && this.revoked.get(operator) < seq;
  }

  async follow() {
    const f = this.f, size = f.checkpoints.a.size;
    let since = 0;
    for (const h of f.graph.of_type('rules-changed', 'operator-revoked', 'finding-recorded')) {
      if (h.seq >= size) break;
      if (h.type === 'rules-changed') {
        try {
          await this.change(h, since);
        } catch (e) {
          if (!(e instanceof Refused)) throw e;
          f.error('approvals/change.' + h.seq + '.json', e.message);
        }
        since = h.seq;
      } else if (h.type === 'finding-recorded' && this.clock_was_set(h)) {
        for (const c of this.changes) if (c.what !== 'revoke' && c.effective > millis(h.before)) c.effective = millis(h.time) + c.waiting * 1000;
        this.order();
      }
      if (h.type === 'operator-revoked') f.error('ledger/headers.gz', 'entry ' + h.seq + ' (operator-revoked) revokes without a statement: nobody writes that');
      const newest = this.changes[this.changes.length - 1], counts = newest?.seq === h.seq && newest.counts;
      for (const item of h.nodes) {
        if (item.is !== 'revoked') continue;
        if (!this.revoked.has(item.id)) this.revoked.set(item.id, h.seq);
        this.take_back(item.id, h, counts);
      }
    }
    for (const path of f.bundle.paths('approvals/change.')) if (!this.seen.has(path)) f.error(path, 'no entry of the ledger names it');
  }
  clock_was_set(h) {
    return h.nodes[0].id === this.f.vault && (!this.f.body(h) || ['clock-jumped', 'clock-behind'].includes(this.f.body(h).what));
  }
  order() {
    let last = 0;
    for (const c of this.changes) if (c.counts && c.what !== 'revoke') last = c.effective = Math.max(c.effective, last);
  }
  // A revocation that does not count itself may make an enrolment void, and nothing else.
  take_back(operator, h, counts) {
    for (const c of this.changes) {
      if (c.seq >= h.seq || c.effective <= millis(h.time) || !c.signers.includes(operator) || !(counts || c.what === 'enrol')) continue;
      c.signers = c.signers.filter((s) => s !== operator);
      if (!c.counts || c.signers.length >= c.quorum) continue;
      c.counts = false;
      this.f.note('approvals/change.' + c.seq + '.json', 'does not count: one who signed it was revoked before it took effect');
    }
  }

  async change(h, since) {
    const f = this.f, body = f.body(h), path = 'approvals/change.' + h.seq + '.json';
    this.seen.add(path);
    if (!body) return f.error('ledger/bodies.jsonl', 'entry ' + h.seq + ' (rules-changed) is not opened');
    if (!f.bundle.has(path)) refuse('is missing; entry ' + h.seq + ' names it');
    const raw = await f.bundle.bytes(path), sum = hex(sha256(raw));
    if (sum !== body.statement) refuse('is not the statement that entry ' + h.seq + ' names');
    const s = parse_json(raw, true);
    members(s, ['change', 'from', 'issued', 'organisation', 'reason', 'summary', 'type', 'vault']);
    plain(s, 'reason');
    const change = s.change, from = s.from;
    if (!is_object(change) || !Object.hasOwn(kChangeMembers, change.what)) refuse('its change is of no known kind');
    members(change, kChangeMembers[change.what], change.what === 'enrol' || change.what === 'roles' ? ['until'] : change.what === 'rules' ? [kSignedRule, kAnchors] : []);
    members(from, [...kRules, 'since'], [kSignedRule, kAnchors]);
    check_rules(from);
    if (!Number.isSafeInteger(from.since) || from.since < 0) refuse('since is no number of an entry');
    if (change.what === 'rules') check_rules(change);
    else plain(change, 'name');
    if (change.what !== 'rules' && kind_of(change.operator) !== 'opr') refuse('operator is no person');
    const terms = change.roles ? terms_of(change) : null;
    if (s.type !== kChangeSpace || !is_time(s.issued) || !equal(s.summary, summary_of(change, terms, from))) refuse('its summary is not what it does');
    if (s.vault !== f.vault || s.organisation !== this.genesis.organisation) refuse('it is for another vault or organisation');
    let key = null;
    if (change.what === 'enrol') {
      plain(change, 'title', 'public_key', 'fingerprint');
      key = person_key(change.public_key);
      if (ssh_fingerprint(key) !== change.fingerprint) refuse('fingerprint: is not that of public_key');
    }
    const is = { enrol: 'enrolled', revoke: 'revoked' }[change.what];
    const should = [{ id: f.vault, d: sum }, ...(change.what === 'rules' ? [] : [is ? { id: change.operator, is } : { id: change.operator }])];
    const by_id = (a, b) => (a.id < b.id ? -1 : 1);
    if (!equal([...h.nodes].sort(by_id), should.sort(by_id)) || !equal(body.change, change) || body.reason !== s.reason) refuse('entry ' + h.seq + ' says something else than it does');
    const at = millis(h.time), rules = this.at(h.seq, at);
    const c = { seq: h.seq, time: at, what: change.what, operator: change.operator, change, terms, key, signers: [], waiting: rules.waiting_seconds, quorum: rules.quorum,
      effective: at + (change.what === 'revoke' ? 0 : rules.waiting_seconds * 1000), counts: false };
    c.all = await this.signatures(c, body, raw);
    const why = this.doubt(c, s, h, since, rules);
    c.counts = c.counted = !why;
    if (why) f.note(path, 'does not count: ' + why);
    if (c.what === 'enrol') {
      if (this.people.has(c.operator)) f.error(path, c.operator + ' is enrolled a second time');
      else this.people.set(c.operator, { id: c.operator, name: change.name, title: change.title, roles: [...terms.roles.keys()], line: change.public_key, key, signed: false });
    }
    this.changes.push(c);
    this.order();
  }

  async signatures(c, body, raw) {
    const f = this.f, out = [];
    if (!Array.isArray(body.signatures)) refuse('entry ' + c.seq + ' names no signatures');
    for (const item of body.signatures) {
      const path = 'approvals/change.' + c.seq + '.' + item?.operator + '.sig', officer = this.people.get(item?.operator);
      const mine = c.what === 'enrol' && item?.operator === c.operator, key = mine ? c.key : officer?.key, name = mine ? c.change.name : officer?.name;
      const twice = this.seen.has(path);
      this.seen.add(path);
      try {
        if (kind_of(item?.operator) !== 'opr' || !key) refuse('is of nobody who was enrolled');
        if (twice) refuse('stands twice');
        if (!f.bundle.has(path)) refuse('is missing; entry ' + c.seq + ' names it');
        const text = await f.bundle.bytes(path);
        if (hex(sha256(text)) !== item.signature) refuse('is not the signature that entry ' + c.seq + ' names');
        out.push({ id: item.operator, name, key, with: await person_signature(text, kChangeSpace, raw, key, name) });
      } catch (e) {
        if (!(e instanceof Refused)) throw e;
        f.error(path, e.message);
      }
    }
    return out;
  }

  doubt(c, s, h, since, rules) {
    if (!equal(members_of_rules(s.from), rules) || s.from.since !== since) return 'it is of rules that were not in force then';
    const issued = millis(s.issued);
    if (issued > c.time || c.time - issued > kChangeAge) return 'it was not issued within 31 days before entry ' + c.seq;
    if (c.what === 'enrol') {
      for (const [id, o] of this.people)
        if (!this.revoked.has(id) && this.terms(id, c.seq, Infinity) && (o.name === c.change.name || same(o.key.blob, c.key.blob))) return 'its name or key is that of ' + o.name + ', who is enrolled';
      if (!c.all.some((one) => one.id === c.operator)) return c.change.name + ' did not sign it';
      if (certificate_problem(c.key, c.time)) return c.change.name + ' ' + certificate_problem(c.key, c.time);
    } else if (c.what !== 'rules') {
      const o = this.people.get(c.operator);
      const gone = c.what === 'revoke' ? this.changes.some((x) => x.counts && x.what === 'revoke' && x.operator === c.operator) : this.revoked_before(c.operator, c.seq);
      if (!o || o.name !== c.change.name || gone || !this.terms(c.operator, c.seq, Infinity)) return c.change.name + ' is not enrolled';
    }
    const counted = [];
    for (const one of c.all) {
      if ((c.what === 'enrol' && one.id === c.operator) || this.revoked_before(one.id, c.seq) || this.signing_problem(one.id, 'approver', c.seq, c.time, c.time)) continue;
      if (!counted.some((o) => o.name === one.name || same(o.key.blob, one.key.blob))) counted.push(one);
    }
    c.signers = counted.map((one) => one.id);
    return c.signers.length >= rules.quorum ? '' : 'it has ' + c.signers.length + ' approvals that count, the quorum was ' + rules.quorum;
  }
}
