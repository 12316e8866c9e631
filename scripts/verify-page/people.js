// Who signed what: the genesis statement and its officers, the request and the approvals (docs/spec/erasure.md).
import { check_anchors, kAnchors } from './anchors.js';
import { from_utf8, hex, same, Refused, refuse } from './bytes.js';
import { sha256 } from './hash.js';
import { equal, is_object, is_time, list_of, members, parse_json, text_of } from './json.js';
import { count } from './facts.js';
import { Rules, kChangeSpace, ssh_time } from './rules.js';
import { certificate_pem, certificate_problem, certificate_sum, person_key, person_signature, person_ssh_line } from './persons.js';
import { officer_line_covers, ssh_fingerprint } from './ssh.js';

const kMonth = 31 * 86400000;
const kControl = /[\u0000-\u001f\u007f]/;
const kSpaces = { operator: 'kesu-request-v1', approver: 'kesu-approve-v1', verifier: 'kesu-verify-v1', validator: 'kesu-validate-v1' };

export class People {
  constructor(facts) {
    this.f = facts;
    this.officers = new Map();  // operator → {id, name, title, roles, key, line, signed, hash}
    this.counted = [];
    this.approvals = [];
    this.request = null;
    this.genesis_good = false;
    this.genesis = null;
  }

  async read_genesis() {
    const f = this.f, path = 'approvals/genesis.json', entry = f.graph.of_type('genesis')[0], body = f.body(entry);
    if (!body) return f.error('ledger/bodies.jsonl', 'entry 0 (genesis) is not opened');
    const raw = await f.bundle.bytes(path);
    try {
      const g = parse_json(raw, true);
      members(g, ['officers', 'organisation', 'origin', 'profile', 'quorum', 'type', 'vault'], ['waiting_seconds', 'signed_commands', kAnchors]);
      if (Object.hasOwn(g, kAnchors)) check_anchors(g[kAnchors]);
      if (Object.hasOwn(g, kAnchors) !== Object.hasOwn(body, kAnchors) || !equal(g[kAnchors] ?? null, body[kAnchors] ?? null)) refuse('anchors are not those of entry 0');
      if (Object.hasOwn(g, 'signed_commands') && g.signed_commands !== true) refuse('signed_commands is not true');
      if (g.type !== 'kesu-genesis-v1' || g.vault !== f.vault) refuse('is not the genesis statement of this vault');
      const sum = hex(sha256(raw));
      if (sum !== f.graph.item(entry, f.vault).d || sum !== body.statement) refuse('is not what entry 0 names');
      for (const name of ['organisation', 'quorum', 'profile']) if (!equal(g[name], body[name])) refuse(name + ' is not that of entry 0');
      if (!Number.isSafeInteger(body.waiting_seconds) || body.waiting_seconds < (g.waiting_seconds ?? 0)) refuse('waiting_seconds is above that of entry 0, or that has none');
      if (body.origin !== g.origin + '/kesu/' + f.vault) refuse('origin is not that of entry 0');
      for (const t of [g.organisation, g.origin]) if (kControl.test(t)) refuse('has a control character');
      this.genesis = g;
      this.enrol(g);
    } catch (e) {
      if (!(e instanceof Refused)) throw e;
      return f.error(path, e.message);
    }
    await this.check_genesis_signatures(raw, body);
    this.first = [...this.officers.values()];
    this.rules = new Rules(f, this.genesis, body, this.officers);
    await this.rules.follow();
    await this.check_allowed_signers();
  }
  // The rules by which this erasure is judged: those in force when it was requested.
  in_force() {
    return this.rules ? this.rules.at(this.f.requested.seq, Date.parse(this.f.requested.time)) : null;
  }
  change_signers() {
    return (this.rules?.changes ?? []).filter((c) => c.counts).flatMap((c) => [...c.all].sort((a, b) => (a.id < b.id ? -1 : 1)).map((one) => ({ seq: c.seq, ...one })));
  }
  enrol(g) {
    const f = this.f, entries = f.graph.of_type('operator-enrolled');
    for (const [i, o] of g.officers.entries()) {
      members(o, ['name', 'public_key', 'roles', 'title']);
      const h = entries[i], b = f.body(h);
      if (!h || h.seq !== i + 1) refuse('the first officers\' entries do not follow it');
      if (!b) refuse('entry ' + h.seq + ' (operator-enrolled) is not opened');
      for (const name of ['name', 'title', 'roles', 'public_key']) if (!equal(o[name], b[name])) refuse(name + ' of officer ' + (i + 1) + ' is not that of entry ' + h.seq);
      if ([o.name, o.title, o.public_key].some((t) => kControl.test(t))) refuse('has a control character');
      const key = person_key(o.public_key), id = h.nodes[0].id;
      if (b.fingerprint !== ssh_fingerprint(key)) refuse('the fingerprint of officer ' + (i + 1) + ' is another in entry ' + h.seq);
      this.officers.set(id, { id, name: o.name, title: o.title, roles: o.roles, line: o.public_key, key, signed: false });
    }
  }
  async check_genesis_signatures(raw, body) {
    const f = this.f;
    let good = true;
    const bad = (id, what) => (f.error('approvals/genesis.' + id + '.sig', what), (good = false));
    if (!equal(list_of(body, 'signatures').map((s) => s?.operator ?? null), [...this.officers.keys()])) {
      f.error('approvals/genesis.json', 'entry 0 does not name one signature of each officer, in their order');
      good = false;
    }
    for (const o of this.officers.values()) {
      const path = 'approvals/genesis.' + o.id + '.sig', named = (body.signatures ?? []).find((s) => s.operator === o.id);
      if (!f.bundle.has(path)) {
        bad(o.id, 'is missing');
        continue;
      }
      const text = await f.bundle.bytes(path);
      try {
        if (!named || named.signature !== hex(sha256(text))) refuse('is not the signature that entry 0 names');
        o.with = await person_signature(text, 'kesu-genesis-v1', raw, o.key, o.name);
        const problem = certificate_problem(o.key, Date.parse(f.graph.of_type('genesis')[0].time));
        if (problem) refuse(problem);
        o.signed = true;
      } catch (e) {
        if (!(e instanceof Refused)) throw e;
        bad(o.id, e.message);
      }
    }
    for (const path of f.bundle.paths('approvals/genesis.opr-'))
      if (!this.officers.has(path.slice(18, -4))) f.error(path, 'is of no officer of the genesis statement');
    this.genesis_good = good && this.officers.size > 0;
  }
  async check_allowed_signers() {
    let text = '';
    const certificates = new Map();
    const after = this.f.graph.about(this.f.era, 'erasure-verified', 'erasure-validated').length > 0;
    const attested = this.f.graph.of_type('key-attested').some((h) => this.f.body(h));
    const commands = [...this.f.bodies.values()].some((b) => b.seq < this.f.checkpoints.a.size && is_object(b.body) && Object.hasOwn(b.body, 'command'));
    const roles = ['operator', 'approver', ...(after ? ['verifier', 'validator'] : [])];
    const changes = this.rules.changes.filter((c) => c.counted || c.what === 'revoke');
    for (const o of this.officers.values()) {
      const later = !this.first.includes(o), all = changes.filter((c) => c.operator === o.id), from = all.findIndex((c) => c.what === 'enrol');
      if (later && from < 0) continue;
      const mine = all.slice(Math.max(from, 0)), given = mine.filter((c) => c.terms);
      const ever = new Set([...o.roles, ...given.flatMap((c) => [...c.terms.roles.keys()])]);
      const spaces = [later ? kChangeSpace : 'kesu-genesis-v1', ...roles.filter((r) => ever.has(r)).map((r) => kSpaces[r])];
      if (attested && (ever.has('auditor') || ever.has('verifier'))) spaces.push('kesu-key-attest-v1');
      if (changes.length && !later && ever.has('approver')) spaces.push(kChangeSpace);
      if (commands) spaces.push('kesu-command-v1');
      const until = given[given.length - 1]?.terms.until, revoked = mine.find((c) => c.what === 'revoke');
      const ends = [...(until ? [ssh_time(Date.parse(until), true)] : []), ...(revoked ? [ssh_time(revoked.time, true)] : [])].sort();
      text += o.id + ' namespaces="' + spaces.join(',') + '"' + (later ? ',valid-after="' + ssh_time(mine[0].time) + '"' : '') +
        (ends.length ? ',valid-before="' + ends[0] + '"' : '') + ' ' + person_ssh_line(o.key, o.line) + '\n';
      if (o.key.certificate) certificates.set('approvals/certificate.' + o.id + '.pem', certificate_pem(o.key));
    }
    if (from_utf8(await this.f.bundle.bytes('approvals/allowed_signers')) !== text)
      this.f.error('approvals/allowed_signers', 'is not what the genesis statement and the changes since give');
    for (const path of this.f.bundle.paths('approvals/certificate.')) if (!certificates.has(path)) this.f.error(path, 'is of nobody who is enrolled with a certificate');
    for (const [path, pem] of certificates)
      if (!this.f.bundle.has(path) || from_utf8(await this.f.bundle.bytes(path)) !== pem) this.f.error(path, 'is not the certificate that the ledger enrols');
  }

  summary() {
    const p = this.f.plan, out = [];
    const names = p.order.map((step) => p.key_versions.find((k) => k.version === step.version)).map((v) => (v ? v.name + v.version.slice(v.version.lastIndexOf('.')) : ''));
    const where = p.providers.map((q) => q.name + ' (token ' + q.label + ', serial ' + q.serial + ')');
    out.push('Destroys ' + count(p.order.length, 'key version') + ': ' + names.join(', ') + ' in ' + where.join(', '));
    for (const d of p.datasets) out.push('Makes unreadable for ever: dataset ' + d.name + ', ' + count(d.objects, 'object') + ', ' + count(d.bytes, 'byte'));
    out.push('Cannot be undone once it has run');
    return out;
  }

  // One statement; what is wrong with it is told, and null given back.
  async statement(entry, action, role, summary) {
    const f = this.f, body = f.body(entry);
    if (!body) return f.error('ledger/bodies.jsonl', 'entry ' + entry.seq + ' (' + entry.type + ') is not opened'), null;
    const path = 'approvals/' + action + '.' + body.operator + '.json';
    try {
      if (action !== 'request' && !entry.nodes.some((x) => x.id === body.operator)) refuse('the header of entry ' + entry.seq + ' names another person');
      if (!f.bundle.has(path)) refuse('is missing');
      if (!f.bundle.has(path + '.sig')) refuse('its signature is missing');
      const raw = await f.bundle.bytes(path), raw_sig = await f.bundle.bytes(path + '.sig');
      this.seen.add(path).add(path + '.sig');
      if (hex(sha256(raw)) !== body.statement) refuse('is not the statement that entry ' + entry.seq + ' names');
      if (hex(sha256(raw_sig)) !== body.signature) refuse('its signature is not the one that entry ' + entry.seq + ' names');
      const s = parse_json(raw, true);
      members(s, ['action', 'erasure', 'expires', 'name', 'operator', 'organisation', 'plan', 'role', 'summary', 'type', 'vault']);
      list_of(s, 'summary');
      const officer = this.officers.get(body.operator);
      if (s.type !== 'kesu-statement-v1') refuse('is no statement of version 1');
      if (s.action !== action) refuse('its action is ' + s.action);
      if (s.role !== role) refuse('its role is ' + s.role);
      if (s.vault !== f.vault) refuse('it is for another vault');
      if (s.erasure !== f.era) refuse('it is for another erasure');
      if (s.plan !== f.plan_digest) refuse('it is for another plan');
      if (s.operator !== body.operator) refuse('it is of another officer than entry ' + entry.seq + ' says');
      if (!f.graph.about(body.operator, 'operator-enrolled', 'rules-changed').some((h) => h.seq < entry.seq)) refuse(text_of(s, 'name') + ' is not enrolled');
      if (!officer) refuse(s.name + ' is not an officer of the genesis statement, or did not sign it');
      if (s.name !== officer.name) refuse('the name is not that of ' + officer.name);
      if (this.genesis && s.organisation !== this.genesis.organisation) refuse('it is of another organisation');
      if (!equal(s.summary, summary)) refuse('its summary is not what the plan does');
      if (!is_time(s.expires) || Date.parse(s.expires) > Date.parse(entry.time) + kMonth) refuse('it expires more than 31 days after it was recorded');
      // Before the run a statement must hold until the run; after it, at its entry.
      const at = action === 'verify' || action === 'validate' ? entry : f.started;
      const how = await person_signature(raw_sig, 'kesu-' + action + '-v1', raw, officer.key, officer.name);
      // Genuine so far; what follows makes it count for nothing.
      const problem = this.rules.signing_problem(body.operator, role, f.requested.seq, Date.parse(f.requested.time), Date.parse(entry.time));
      if (problem) return f.note(path, officer.name + ' ' + problem), null;
      if (this.rules.revoked_before(body.operator, entry.seq)) return f.note(path, officer.name + ' was revoked before'), null;
      if (at && this.rules.revoked_before(body.operator, at.seq)) return f.note(path, officer.name + ' was revoked before the erasure ran'), null;
      if (s.expires <= entry.time && action !== 'approve') return f.note(path, 'had expired when it was recorded'), null;
      if (at && s.expires <= at.time && action !== 'request') return f.note(path, 'had expired when the erasure ran'), null;
      return { officer, entry, action, role, with: how, statement: s, sum: body.statement, body };
    } catch (e) {
      if (!(e instanceof Refused)) throw e;
      return f.error(path, e.message), null;
    }
  }

  async read_approvals() {
    const f = this.f;
    this.seen = new Set();
    for (const h of f.graph.about(f.era, 'erasure-requested').slice(1))
      f.error('ledger/headers.gz', 'entry ' + h.seq + ' requests the erasure a second time, after entry ' + f.requested.seq);
    // Those that are read below say it themselves.
    for (const type of ['erasure-verified', 'erasure-validated'])
      for (const h of f.graph.about(f.era, type).slice(0, -1))
        if (!f.body(h)) f.error('ledger/bodies.jsonl', 'entry ' + h.seq + ' (' + h.type + ') is not opened');
    this.request = await this.statement(f.requested, 'request', 'operator', this.summary());
    const approved = f.graph.about(f.era, 'erasure-approved'), who = approved.map((h) => f.body(h)?.operator);
    for (const [at, entry] of approved.entries()) {
      if (typeof who[at] === 'string' && who.includes(who[at], at + 1)) continue; // whoever approves anew has one approval: the last
      const one = await this.statement(entry, 'approve', 'approver', this.summary());
      if (!one) continue;
      const path = 'approvals/approve.' + one.officer.id + '.json', r = this.request;
      if (r && (r.officer.name === one.officer.name || same(r.officer.key.blob, one.officer.key.blob))) f.note(path, 'does not count: ' + one.officer.name + ' or the same key requested it, or approved it already');
      else if (this.approvals.some((a) => a.officer.name === one.officer.name || same(a.officer.key.blob, one.officer.key.blob)))
        f.note(path, 'does not count: ' + one.officer.name + ' or the same key requested it, or approved it already');
      else if (f.started && entry.seq > f.started.seq) f.note(path, 'does not count: it came after the erasure ran');
      else this.approvals.push(one);
    }
    await this.read_later();
    for (const path of f.bundle.paths('approvals/'))
      if (/^approvals\/(request|approve|verify|validate)\./.test(path) && !this.seen.has(path)) f.error(path, 'belongs to no entry of this erasure');
    this.counted = [...(this.request ? [this.request] : []), ...this.approvals, ...(this.verified ? [this.verified] : []), ...(this.validated ? [this.validated] : [])];
  }

  // The last verification and the last validation: of other persons, with other names and keys.
  async read_later() {
    const f = this.f, p = f.plan, other = (one, ...than) => than.every((x) => !x || (x.officer.id !== one.officer.id && x.officer.name !== one.officer.name &&
      !same(x.officer.key.blob, one.officer.key.blob)));
    const verified = f.graph.about(f.era, 'erasure-verified').pop(), validated = f.graph.about(f.era, 'erasure-validated').pop();
    this.verified = this.validated = null;
    if (verified) {
      const names = p.order.map((step) => p.key_versions.find((k) => k.version === step.version)).map((v) => (v ? v.name + v.version.slice(v.version.lastIndexOf('.')) : ''));
      const rows = f.body(verified)?.inspections ?? [];
      const one = await this.statement(verified, 'verify', 'verifier', ['Inspected after destruction: ' + count(p.order.length, 'key version') + ' absent: ' + names.join(', '),
        ...rows.map((r) => 'In ' + (f.last_body(r.provider, 'provider-added')?.name ?? '') + ': transcript ' + r.after)]);
      if (one && !other(one, this.request)) f.note('approvals/verify.' + one.officer.id + '.json', 'does not count: ' + one.officer.name + ', or the same key, took part in what it judges');
      else if (one && f.last_done && verified.seq > f.last_done.seq) this.verified = one;
      else if (one) f.note('approvals/verify.' + one.officer.id + '.json', 'does not count: it came before what it judges');
    }
    if (!validated) return;
    const sum = f.body(verified)?.statement ?? '', who = this.verified?.officer.name ?? f.body(f.graph.about(f.body(verified)?.operator, 'operator-enrolled')[0])?.name ?? '';
    const one = await this.statement(validated, 'validate', 'validator', [...p.datasets.map((d) => 'Accepts the erasure of dataset ' + d.name + ', ' + count(d.objects, 'object') + ', ' +
      count(d.bytes, 'byte')), 'Rests on the verification of ' + who + ': statement ' + sum]);
    if (one && !other(one, this.request, this.verified)) f.note('approvals/validate.' + one.officer.id + '.json', 'does not count: ' + one.officer.name + ', or the same key, took part in what it judges');
    else if (one && this.verified && validated.seq > verified.seq) this.validated = one;
    else if (one && this.verified) f.note('approvals/validate.' + one.officer.id + '.json', 'does not count: it came before what it judges');
  }

  // Each person who asked for or approved it, by a line of the reader's.
  known(trust) {
    return this.request !== null && this.approvals.length > 0 && this.counted.every((one) =>
      trust.officers.some((l) => officer_line_covers(l, one.officer.key, 'kesu-' + one.action + '-v1', Date.parse(one.entry.time))));
  }
  to_certificate() {
    return this.counted.map((one) => ({ operator: one.officer.id, name: one.officer.name, title: one.officer.title, role: one.role, action: one.action,
      fingerprint: ssh_fingerprint(one.officer.key), signed: one.entry.time, ...(one.officer.key.certificate ? { certificate: certificate_sum(one.officer.key) } : {}) }));
  }
}
