// Commands that were signed by who ran them, and whether the opened entries name them as the rules in force asked
// (docs/spec/certificate.md, "Signed commands").
import { hex, Refused, refuse } from './bytes.js';
import { kind_of } from './header.js';
import { sha256 } from './hash.js';
import { equal, is_object, is_sha256, is_time, members, parse_json } from './json.js';
import { person_signature } from './persons.js';
import { officer_line_covers } from './ssh.js';

const kCommandSpace = 'kesu-command-v1';
const kCommandLife = 86400000;
const kSigningRoles = ['operator', 'approver', 'verifier', 'validator', 'auditor'];
const kOfficersCommands = ['certificate withdraw', 'erase approve', 'erase reject', 'erase validate', 'erase verify', 'hold place', 'hold release', 'key attest', 'key extend',
  'operator add', 'operator grant', 'operator renew', 'operator review', 'operator revoke', 'operator sign', 'operator withdraw', 'policy except', 'vault rules'];
const kCommandTexts = ['command', 'name', 'operator', 'organisation', 'process', 'role', 'type', 'vault'];
const command_path = (statement) => 'approvals/command.' + statement + '.json';

// Where statements say that they were signed, so that the roots there are computed.
export async function command_sizes(bundle) {
  const out = [];
  for (const path of bundle.paths('approvals/command.')) {
    if (!path.endsWith('.json')) continue;
    try {
      out.push(parse_json(await bundle.bytes(path), true).ledger?.size);
    } catch (e) {
      if (!(e instanceof Refused)) throw e;
    }
  }
  return out;
}

export class Commands {
  constructor(facts, people) {
    Object.assign(this, { f: facts, people });
    this.all = [];  // one for each statement that counts: {officer, entry, with: how it was signed}
    this.unsigned = new Set();  // entries without what was asked for
    this.read = new Map();
    this.wrong = new Set();
  }
  by_person() {
    return this.all.filter((c, i) => this.all.findIndex((x) => x.officer === c.officer) === i);
  }
  known(trust) {
    return this.all.every((c) => trust.officers.some((l) => officer_line_covers(l, c.officer.key, kCommandSpace, Date.parse(c.entry.time))));
  }
  async follow() {
    const f = this.f, seen = new Set(), counted = new Set(), rules = this.people.rules;
    for (const [seq, one] of f.bodies) {
      const h = one.header, body = is_object(one.body) ? one.body : {};
      if (!h || seq >= f.checkpoints.a.size || h.type === 'genesis' || h.type === 'operator-enrolled') continue;
      const asked = rules?.at(seq, Date.parse(h.time)).signed_commands === true, said = body.command;
      if (!Object.hasOwn(body, 'command')) {
        if (!asked) continue;
        this.unsigned.add(seq);
        f.note('ledger/bodies.jsonl', 'entry ' + seq + ' (' + h.type + ') names no signed command, which the rules in force asked for');
        continue;
      }
      if (!is_object(said) || !equal(Object.keys(said).sort(), ['operator', 'signature', 'statement']) || kind_of(said.operator) !== 'opr' || !is_sha256(said.statement) ||
          !is_sha256(said.signature)) {
        f.error('entry ' + seq, 'command: is not a person, a statement and a signature');
        continue;
      }
      const path = command_path(said.statement), mark = path + said.signature + said.operator;
      seen.add(path).add(path + '.sig');
      if (this.wrong.has(mark)) continue;
      try {
        const { s, officer, with: how } = await this.genuine(h, said, path), why = this.doubt(h, s, officer);
        if (why) {
          if (asked) this.unsigned.add(seq);
          f.note(path, 'does not count for entry ' + seq + ': ' + why);
        } else if (!counted.has(said.statement)) {
          counted.add(said.statement);
          this.all.push({ officer, entry: h, with: how });
        }
      } catch (e) {
        if (!(e instanceof Refused)) throw e;
        this.wrong.add(mark);
        f.error(e.part ?? path, e.message);
      }
    }
    for (const path of f.bundle.paths('approvals/command.')) if (!seen.has(path)) f.error(path, 'no opened entry of the ledger names it');
  }
  async genuine(h, said, path) {
    for (const name of [path, path + '.sig']) if (!this.f.bundle.has(name)) refuse('it or its signature is missing; entry ' + h.seq + ' names it');
    if (!this.read.has(said.statement)) this.read.set(said.statement, await this.statement(h, said, path));
    const one = this.read.get(said.statement);
    if (one.sum !== said.signature) refuse('statement or signature is not what entry ' + h.seq + ' names');
    if (one.s.operator !== said.operator) refuse('it is by another person than entry ' + h.seq + ' names');
    if (one.s.ledger.size > h.seq) refuse('it was signed after entry ' + h.seq + ', which names it');
    return one;
  }
  async statement(h, said, path) {
    const f = this.f, raw = await f.bundle.bytes(path), raw_sig = await f.bundle.bytes(path + '.sig'), sum = hex(sha256(raw_sig));
    if (hex(sha256(raw)) !== said.statement || sum !== said.signature) refuse('statement or signature is not what entry ' + h.seq + ' names');
    const s = parse_json(raw, true);
    members(s, [...kCommandTexts, 'about', 'issued', 'ledger', 'summary']);
    if (!is_object(s.ledger)) refuse('is not in the one form of a signed command');
    members(s.ledger, ['root', 'size']);
    const { size, root } = s.ledger;
    if (kCommandTexts.some((n) => typeof s[n] !== 'string') || s.type !== kCommandSpace || !kSigningRoles.includes(s.role) || !is_time(s.issued) || !is_sha256(s.process) || !is_sha256(root) ||
        !Number.isSafeInteger(size) || size < 0 || s.command.length > 64 || !/^[a-z-]+( [a-z-]+)*$/.test(s.command) || !Array.isArray(s.about) || s.about.length > 64 ||
        s.about.some((x, i) => typeof x !== 'string' || (i > 0 && s.about[i - 1] >= x)) ||
        !equal(s.summary, ['Runs kesu ' + s.command + ' as ' + s.role, 'Every entry that this run adds to the ledger, from entry ' + size + ' on, names this statement']))
      refuse('is not in the one form of a signed command');
    if (s.vault !== f.vault || s.organisation !== this.people.genesis?.organisation) refuse('it is for another vault or organisation');
    const officer = this.people.officers.get(s.operator);
    if (!officer || s.name !== officer.name) refuse(s.operator + ' is not enrolled, or has another name');
    if (f.roots.get(size) !== root && !(size === 0 && root === hex(sha256(new Uint8Array(0))))) refuse('it was signed for another ledger of ' + size + ' entries');
    if (officer.key.certificate) refuse(officer.name + ' is enrolled with a certificate, and signs no commands');
    return { s, officer, with: await person_signature(raw_sig, kCommandSpace, raw, officer.key, officer.name), sum };
  }
  doubt(h, s, officer) {
    const rules = this.people.rules, at = Date.parse(h.time), issued = Date.parse(s.issued);
    if (s.role !== 'operator' && !kOfficersCommands.includes(s.command)) return 'kesu ' + s.command + ' takes the role operator';
    const why = rules ? rules.role_problem(officer.id, s.role, h.seq, at, at) : 'cannot be judged';
    if (why) return officer.name + ' ' + why;
    if (rules.revoked_before(officer.id, h.seq)) return officer.name + ' was revoked before';
    return issued > at || at - issued > kCommandLife ? 'it was not signed within 24 hours before the entry' : '';
  }
}
