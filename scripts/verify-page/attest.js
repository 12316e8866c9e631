// Who attended the making of key versions, and whether what they signed counts (docs/spec/certificate.md, "Attested births").
import { hex, same, Refused, refuse } from './bytes.js';
import { kind_of } from './header.js';
import { sha256 } from './hash.js';
import { equal, is_object, is_time, members, parse_json } from './json.js';
import { same_place } from './probe.js';
import { person_signature } from './persons.js';
import { officer_line_covers } from './ssh.js';

const kAttestSpace = 'kesu-key-attest-v1';
const kDay = 86400000;
const kTexts = ['birth', 'canary', 'key', 'name', 'operator', 'organisation', 'provider', 'role', 'transcript', 'type', 'vault', 'version'];

export class Attested {
  constructor(facts, people) {
    Object.assign(this, { f: facts, people });
    this.all = [];  // those that count: {version, officer, entry, with}
  }
  of(version) {
    return this.all.filter((a) => a.version === version);
  }
  // Each of them, by a line of the reader's.
  known(trust) {
    return this.all.every((a) => trust.officers.some((l) => officer_line_covers(l, a.officer.key, kAttestSpace, Date.parse(a.entry.time))));
  }
  async follow() {
    const f = this.f, seen = new Set();
    for (const h of f.graph.of_type('key-attested')) {
      const body = f.body(h), version = h.nodes[0].id;
      if (!body) {
        if (f.version.has(version)) f.note('ledger/bodies.jsonl', 'entry ' + h.seq + ' (key-attested) is not opened');
        continue;
      }
      if (kind_of(body.operator ?? '') !== 'opr') {
        f.error('entry ' + h.seq, 'operator is no person');
        continue;
      }
      const path = 'approvals/key-attest.' + h.seq + '.' + body.operator + '.json';
      seen.add(path).add(path + '.sig');
      try {
        await this.read(h, body, version, path);
      } catch (e) {
        if (!(e instanceof Refused)) throw e;
        f.error(path, e.message);
      }
    }
    for (const path of f.bundle.paths('approvals/key-attest.')) if (!seen.has(path)) f.error(path, 'no opened entry of the ledger names it');
  }
  async read(h, body, version, path) {
    const f = this.f;
    for (const name of [path, path + '.sig']) if (!f.bundle.has(name)) return f.error(name, 'is missing; entry ' + h.seq + ' names it');
    const raw = await f.bundle.bytes(path), raw_sig = await f.bundle.bytes(path + '.sig');
    if (hex(sha256(raw)) !== body.statement || hex(sha256(raw_sig)) !== body.signature) refuse('statement or signature is not what entry ' + h.seq + ' names');
    const s = parse_json(raw, true), officer = this.people.officers.get(body.operator);
    this.says(h, body, version, s, officer);
    const how = await person_signature(raw_sig, kAttestSpace, raw, officer.key, officer.name);
    const why = await this.doubt(h, version, s, officer);
    if (why) f.note(path, 'does not count: ' + why);
    else this.all.push({ version, officer, entry: h, with: how });
  }
  says(h, body, version, s, officer) {
    const f = this.f, g = f.graph;
    members(s, [...kTexts, 'attributes', 'born', 'identity', 'issued', 'summary']);
    const where = s.provider + ' (token ' + (s.identity?.label ?? '') + ', serial ' + (s.identity?.serial ?? '') + ')';
    if (kTexts.some((n) => typeof s[n] !== 'string') || s.type !== kAttestSpace || !['auditor', 'verifier'].includes(s.role) || !is_time(s.issued) || !is_time(s.born) ||
        !is_object(s.attributes) || !is_object(s.identity) ||
        !equal(s.summary, ['Attended the making of key version ' + s.key + ' in ' + where + ', recorded ' + s.born,
          'The token says of it: generated inside, always sensitive, never extractable', 'Its canary opened: transcript ' + s.transcript,
          'No data key had been wrapped under it'])) refuse('is not in the one form of an attestation');
    if (s.vault !== f.vault || s.organisation !== this.people.genesis?.organisation) refuse('it is for another vault or organisation');
    if (s.version !== version) refuse('it is of another key version');
    if (s.operator !== body.operator || !h.nodes.some((x) => x.id === s.operator)) refuse('it is by another person than entry ' + h.seq + ' names');
    if (s.role !== body.role || s.transcript !== body.transcript) refuse('role or transcript is not that of entry ' + h.seq);
    if (!officer || s.name !== officer.name || !g.about(officer.id, 'operator-enrolled', 'rules-changed').some((x) => x.seq < h.seq))
      refuse(s.operator + ' is not enrolled, or it is of somebody else');
    const made = g.about(version, 'key-created').pop(), b = f.body(made);
    if (!b) return;
    if (s.birth !== b.birth || s.born !== made.time || s.canary !== b.ref?.canary?.digest || s.key !== b.name + version.slice(version.lastIndexOf('.')))
      refuse('it is not of the birth that the ledger records');
    const shown = f.last_body(g.item(made, version)?.of, 'provider-added');
    if (shown && (!equal(s.identity, shown.identity) || s.provider !== shown.name)) refuse('it is of another provider than the ledger records');
  }
  async doubt(h, version, s, officer) {
    const f = this.f, rules = this.people.rules, one = f.version.get(version), at = Date.parse(h.time);
    if (!one) return 'the key is not of this erasure';
    const why = rules ? rules.signing_problem(officer.id, s.role, h.seq, at, at) : 'cannot be judged';
    if (why) return officer.name + ' ' + why;
    if (rules.revoked_before(officer.id, h.seq)) return officer.name + ' was revoked before';
    if (!one.created_body || !one.ref || !f.last_body(f.graph.item(one.created, version)?.of, 'provider-added')) return 'the birth of the key is not shown';
    if (!f.body(one.key_intended) || one.origin) return 'the key is not shown to be generated';
    const born = Date.parse(one.created.time), issued = Date.parse(s.issued);
    if (!rules.role_problem(officer.id, 'operator', one.created.seq, born, born) || !rules.role_problem(officer.id, 'operator', h.seq, at, at))
      return officer.name + ' had the role operator';
    for (const act of f.graph.about(f.era, 'erasure-requested', 'erasure-approved')) {
      const other = this.people.officers.get(f.body(act)?.operator);
      if (other && (other.id === officer.id || other.name === officer.name || same(other.key.blob, officer.key.blob)))
        return officer.name + ', or the same key, requested or approved the erasure';
    }
    if (one.created.seq > h.seq || issued < born || issued > at || at - born > kDay) return 'it was not made within 24 hours after the birth';
    if (f.graph.node(version).first_edge < h.seq) return 'something was wrapped under the key before';
    const a = s.attributes;
    if (a.CKA_LABEL !== one.ref.label || a.CKA_ID !== one.ref.id || a.CKA_LOCAL !== true || a.CKA_SENSITIVE !== true || a.CKA_ALWAYS_SENSITIVE !== true ||
        a.CKA_EXTRACTABLE !== false || a.CKA_NEVER_EXTRACTABLE !== true) return 'its attributes do not say that the key was generated inside and cannot leave';
    const look = await f.transcript(s.transcript);
    if (!look) return 'its transcript is missing, or cannot be read';
    if (!look.ok || !same_place(look.place, s.identity)) return 'another place was inspected';
    if (!equal(look.refs.get(version), one.ref) || look.keys.get(version) !== 'usable' || !look.canaries.get(version))
      return 'its transcript does not show the key usable, with its canary opened';
    if (look.started < one.created.time || look.ended > s.issued) return 'its transcript is not from between the birth and the statement';
    return '';
  }
}
