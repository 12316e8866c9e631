// Which algorithm, for what, until when: docs/spec/policy.md over the policy data, for the algorithms that a bundle
// can show (encryption, wraps, signatures, digests, trees). What the registry does not name is not listed.
import { hex, utf8, lines_of } from './bytes.js';
import { sha256 } from './hash.js';

const kWorst = ['listed', 'outside-categories', 'candidate', 'monitored', 'not-listed'];

export class Policy {
  constructor(text) {
    this.digest = hex(sha256(utf8(text)));
    this.names = new Map();
    this.entries = new Map();
    this.hashes = new Map();
    this.strengths = [];
    this.periods = [];
    this.words = new Map();
    for (const line of lines_of(text)) {
      const d = JSON.parse(line);
      if (d.kind === 'algorithm' || d.kind === 'name') for (const n of [d.name, ...d.aliases]) this.names.set(n.toLowerCase(), d);
      else if (d.kind === 'entry' && d.table !== 2) this.entries.set(d.name, d);
      else if (d.kind === 'hash') this.hashes.set(d.name, d);
      else if (d.kind === 'strength') this.strengths.push(d);
      else if (d.kind === 'period') this.periods.push(d);
      else if (d.kind === 'word') this.words.set(d.word, d);
    }
  }

  category_of(part) {
    const entry = this.entries.get(part);
    if (!entry) return 'not-listed';
    return { recommended: 'listed', listed: 'listed', candidate: 'candidate', monitored: 'monitored' }[entry.list] ?? 'not-listed';
  }

  bits_of(algorithm, p) {
    let bits = 256;
    if (algorithm.family === 'hash') return this.hashes.get(algorithm.name)?.collision ?? 0;
    if (algorithm.family !== 'digest') {
      bits = 0;
      for (const s of this.strengths) {
        if (s.family !== algorithm.family) continue;
        if (s.at_least !== undefined ? Number(p.bits) >= s.at_least : s.exactly !== undefined ? s.exactly === Number(p.bits ?? algorithm.sizes?.[0])
          : [s.curve, ...s.aliases].some((c) => c.toLowerCase() === String(p.curve).toLowerCase())) bits = Math.max(bits, s.bits);
      }
    }
    const hash = p.hash && this.hashes.get(p.hash);
    if (algorithm.hash_role === 'collision') bits = Math.min(bits, hash ? hash.collision : 0);
    return bits;
  }

  // The last year allowed; null: no limit known; 0: none.
  horizon(bits, mode) {
    if (bits >= 192) return null;
    let last = 0;
    for (const c of this.periods)
      if (c.strength === bits && c.mode === mode && this.words.get(c.cell)[mode === 'new' ? 'new' : 'processing']) last = Math.max(last, c.to);
    return last;
  }

  // `until`: a year, or null for open-ended. {category, bits, new, process, listed, strong}.
  judge(query, purpose, until) {
    const [name, extra] = query.split(':');
    const none = { algorithm: name, category: 'not-listed', bits: 0, horizon_new: 0, horizon_process: 0, listed: false, strong: false };
    let d = this.names.get(name.toLowerCase());
    const p = {};
    if (d?.kind === 'name') {
      Object.assign(p, d.set);
      d = this.names.get(d.of.toLowerCase());
    }
    for (const one of extra ? extra.split(',') : []) {
      const [k, v] = one.split('=');
      if (!v || !d?.params.includes(k) || (k in p && String(p[k]) !== v)) return none;
      p[k] = v;
    }
    if (!d || d.verdict === 'not-listed' || !d.purposes.includes(purpose)) return none;
    if (d.hash_default && !p.hash) p.hash = d.hash_default;
    for (const m of ['hash', 'mgf']) if (p[m]) p[m] = this.names.get(p[m].toLowerCase())?.name ?? p[m];
    const out_of_form = d.part || (p.iv && Number(p.iv) !== d.iv) || (p.output && d.min_output) || (p.mgf && p.mgf !== p.hash) ||
      (until !== null && until < 2022);
    const parts = [...(d.parts ?? []), ...(p.hash ? [p.hash] : [])];
    const categories = parts.map((x) => this.category_of(x));
    if (d.verdict === 'outside-categories') categories.push(d.allow ? 'outside-categories' : 'not-listed');
    const category = kWorst[Math.max(...categories.map((c) => kWorst.indexOf(c)))];
    const bits = this.bits_of(d, p);
    const listed = category === 'listed' || category === 'outside-categories';
    const too_small = d.min_bits_new && Number(p.bits ?? 0) < d.min_bits_new;
    const horizon_new = !listed || too_small ? 0 : this.horizon(bits, 'new');
    const open = until === null;
    const strong = listed && !out_of_form && (open ? bits >= 192 && d.open_ended !== 'exception' : !too_small && (horizon_new === null || until <= horizon_new));
    return { algorithm: name, category, bits, horizon_new, horizon_process: this.horizon(bits, 'processing'), listed, strong };
  }
}
