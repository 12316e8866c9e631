// What the signed ledger says of one erasure: its datasets, the versions and copies that ever reached them, its entries.
import { hex, refuse, unhex, utf8 } from './bytes.js';
import { Tree, sha256 } from './hash.js';
import { is_object, is_sha256, parse_json } from './json.js';
import { kind_of } from './header.js';
import { lines_of } from './bytes.js';
import { check_birth, check_receipt, judge_transcript, parse_transcript } from './probe.js';

export const kNever = '1970-01-01T00:00:00.000Z'; // the time of what did not happen

export class Facts {
  constructor(ctx) {
    Object.assign(this, ctx);  // bundle, error, graph, bodies, checkpoints, roots, certificate, plan, tables, policy
    this.transcripts = new Map();
    this.evidence_read = new Map();
  }
  body(h) {
    const b = h && this.bodies.get(h.seq)?.body;
    return is_object(b) ? b : null;
  }
  last_body(id, type) {
    return this.body(this.graph.about(id, type).pop());
  }

  async gather() {
    const g = this.graph;
    this.vault = g.of_type('genesis')[0].nodes[0].id;
    this.era = this.plan.erasure;
    if (kind_of(this.era) !== 'era' || !g.nodes.has(this.era)) refuse('names an erasure that the ledger does not know');
    this.requested = g.about(this.era, 'erasure-requested')[0] ?? refuse('names an erasure that was never requested');
    const erased = g.of_type('dataset-frozen', 'dataset-erased').flatMap((h) => h.nodes).filter((x) => x.of === this.era);
    this.datasets = [...new Set(erased.map((x) => x.id))].sort();
    this.reachers = [...g.reachers(this.datasets)];
    this.versions = this.reachers.filter((id) => kind_of(id) === 'ver').sort(by_version);
    this.copies = this.reachers.filter((id) => kind_of(id) === 'cpy').sort();
    this.processes = this.reachers.filter((id) => kind_of(id) === 'prc');
    this.version = new Map();
    for (const v of this.versions) this.version.set(v, await this.of_version(v));
    this.by_run = this.versions.filter((v) => !this.version.get(v).earlier);
    this.older = this.versions.filter((v) => this.version.get(v).earlier);
    const first = this.by_run.map((v) => this.version.get(v).intended).filter((h) => h).sort((a, b) => a.seq - b.seq)[0];
    // The run that counts: the last start before the last destroy-intended of the first version to go.
    const starts = g.about(this.era, 'erasure-started');
    const tries = this.by_run.flatMap((v) => g.about(v, 'destroy-intended')).filter((h) => h.seq > this.requested.seq);
    this.first_intended = tries.sort((a, b) => a.seq - b.seq)[0] ?? null;
    this.started = starts.filter((h) => !first || h.seq < first.seq).pop() ?? null;
    this.inspected = g.about(this.era, 'erasure-inspected').pop() ?? null;
    this.last_done = this.versions.map((v) => this.version.get(v).done).filter((h) => h).sort((a, b) => a.seq - b.seq).pop() ?? null;
    this.batches = new Map();
    for (const ds of this.datasets) this.batches.set(ds, this.batches_of(ds));
    await this.read_inventories();
  }

  async of_version(v) {
    const g = this.graph;
    const last = (type) => g.about(v, type).pop() ?? null;
    const out = { id: v, created: last('key-created'), key_intended: last('key-intended'), intended: last('destroy-intended'), done: last('destroy-done') };
    out.created_body = this.body(out.created);
    out.intended_body = this.body(out.intended);
    out.done_body = this.body(out.done);
    // The header alone is the ledger's word: what counts is an entry that says how it ended.
    if (!out.done_body) out.done = null;
    out.ref = out.created_body?.ref ?? null;
    out.name = out.created_body?.name ?? this.body(out.key_intended)?.name ?? '';
    out.provider = g.node(v).of ?? '';
    for (const h of [out.key_intended, out.created]) {
      const item = h && g.item(h, v);
      if (item?.of) out.provider = item.of;
    }
    out.origins = [this.body(out.key_intended)?.origin, out.created_body?.origin];
    out.shown = !!this.body(out.key_intended) && !!out.created_body;
    out.origin = out.origins.find((o) => o !== undefined && o !== 'generated') ?? null;
    const item = out.done && g.item(out.done, v);
    out.earlier = !!item && item.of !== this.era && out.done.seq < this.requested.seq;
    out.birth = await this.json_evidence(out.created_body?.birth, 'birth', check_birth);
    out.receipt = await this.json_evidence(out.done_body?.receipt, 'receipt', check_receipt);
    const a = out.receipt?.before ?? {};
    if (out.receipt && !(out.ref && a.CKA_LABEL === out.ref.label && a.CKA_ID === out.ref.id)) {
      this.error('evidence/' + out.done_body.receipt, 'the receipt is not of ' + v);
      out.receipt = null;
    }
    const provider = this.last_body(out.provider, 'provider-added');
    out.provider_body = provider;
    return out;
  }
  name_of(v) {
    const one = this.version.get(v);
    return (one?.name || v.slice(0, v.lastIndexOf('.'))) + v.slice(v.lastIndexOf('.'));
  }

  // Evidence that an opened body names; null when there is none, or none in form.
  async json_evidence(sha, what, check = () => {}) {
    if (!is_sha256(sha)) return null;
    const path = 'evidence/' + sha;
    if (!this.bundle.has(path)) return null;
    if (!this.evidence_read.has(sha)) {
      let value = null;
      try {
        const read = parse_json(await this.bundle.bytes(path));
        check(read);
        value = read;
      } catch (e) {
        this.error(path, what + ': ' + e.message);
      }
      this.evidence_read.set(sha, value);
    }
    return this.evidence_read.get(sha);
  }
  async transcript(sha) {
    if (!is_sha256(sha) || !this.bundle.has('evidence/' + sha)) return null;
    if (!this.transcripts.has(sha)) {
      let value = null;
      try {
        const read = parse_transcript(await this.bundle.bytes('evidence/' + sha));
        this.check_samples(read.request.samples);
        value = judge_transcript(read);
      } catch (e) {
        this.error('evidence/' + sha, 'transcript: ' + e.message);
      }
      this.transcripts.set(sha, value);
    }
    return this.transcripts.get(sha);
  }

  // Each sample is a data key's wrap in this vault, as sealed objects wrap, and stands there once.
  check_samples(samples) {
    const seen = new Set(), id = (x) => x.slice(x.indexOf('-') + 1), start = hex(utf8('kesu-wrap-v1')) + id(this.vault);
    for (const s of samples) {
      const tail = kind_of(s.id) === 'obj' ? id(s.id) + key_id(s.key) : refuse('a sample is malformed');
      if (s.aad.length !== 160 || !s.aad.startsWith(start) || !s.aad.endsWith(tail)) refuse('a sample\'s aad is not that of ' + s.id);
      if (seen.has(s.id + s.key)) refuse('a sample stands there twice');
      seen.add(s.id + s.key);
    }
  }

  batches_of(ds) {
    const g = this.graph, out = { sealed: [], open: [], abandoned: [] };
    for (const id of g.node(ds).data) {
      if (kind_of(id) !== 'bat') continue;
      const n = g.node(id), done = g.about(id, 'seal-done').pop() ?? null, intended = g.about(id, 'seal-intended')[0] ?? null;
      const one = { id, done, intended, item: done && g.item(done, id) };
      if (n.is === 'sealed' && done) out.sealed.push(one);
      else if (n.is === 'abandoned') out.abandoned.push(one);
      else out.open.push(one);
    }
    out.sealed.sort((a, b) => a.done.seq - b.done.seq);
    const given_up = (one) => g.about(one.id, 'seal-abandoned').pop()?.seq ?? 0;
    out.abandoned.sort((a, b) => given_up(a) - given_up(b));
    return out;
  }

  async read_inventories() {
    this.inventory = new Map();
    for (const ds of this.datasets) {
      const path = 'inventory/' + ds + '.leaves', whole = new Tree(), leaves = new Set();
      const out = { good: true, objects: 0, bytes: 0, root: '', leaves };
      const bad = (what) => (this.error(path, what), (out.good = false));
      const expected = this.batches.get(ds).sealed;
      let lines = [];
      try {
        lines = lines_of(await this.bundle.text(path));
      } catch (e) {
        bad(e.message);
      }
      let at = 0, i = 0;
      for (; at < lines.length; ++i) {
        const m = /^(bat-[0-9a-f]{32}) ([1-9][0-9]*)$/.exec(lines[at++]);
        const n = m ? Number(m[2]) : 0;
        if (!m || at + n > lines.length) {
          bad('line ' + at + ' is out of form');
          break;
        }
        const tree = new Tree();
        for (const line of lines.slice(at, at + n)) {
          if (!is_sha256(line)) {
            bad('line ' + (at + 1) + ' is out of form');
            break;
          }
          const leaf = unhex(line);
          tree.add(leaf);
          whole.add(leaf);
          leaves.add(line);
        }
        at += n;
        const batch = expected[i];
        if (!batch || batch.id !== m[1]) bad('has ' + m[1] + ' where the ledger has ' + (batch ? batch.id : 'no batch'));
        else if (batch.item.n !== n || batch.item.d !== hex(tree.root())) bad('the leaves of ' + m[1] + ' do not give the root and count in the ledger');
      }
      if (i < expected.length) bad('leaves of ' + expected[i].id + ' are missing');
      for (const b of expected) out.objects += b.item.n, out.bytes += b.item.b;
      out.root = hex(whole.root());
      out.count = whole.size;
      const erased = this.graph.about(ds, 'dataset-erased').pop(), item = erased && this.graph.item(erased, ds);
      if (item && (item.n !== out.objects || item.b !== out.bytes || item.d !== out.root)) bad('count, bytes or root are not those of dataset-erased');
      out.erased = !!item && item.of === this.era;
      this.inventory.set(ds, out);
    }
  }

  // Members of dataset-added, with later changes.
  dataset_body(ds) {
    const first = this.body(this.graph.about(ds, 'dataset-added')[0]);
    if (!first) return null;
    const out = { ...first };
    for (const h of this.graph.about(ds, 'dataset-updated')) {
      const b = this.body(h);
      if (!is_object(b?.changes)) {
        this.error('ledger/bodies.jsonl', 'entry ' + h.seq + ' (dataset-updated) does not say what changed');
        return null;
      }
      Object.assign(out, b.changes);
    }
    return out;
  }
}

export function by_version(a, b) {
  const [ka, na] = a.split('.'), [kb, nb] = b.split('.');
  return ka === kb ? Number(na) - Number(nb) : ka < kb ? -1 : 1;
}
export function label_of(v) {
  return 'kesu:' + v;
}
export function key_id(v) {
  const [key, n] = v.split('.');
  return key.slice(4) + Number(n).toString(16).padStart(8, '0');
}
export function grouped(n) {
  return String(n).replace(/\B(?=(\d{3})+$)/g, ',');
}
export function count(n, word) {
  return n + ' ' + (n === 1 ? word : word === 'batch' ? 'batches' : word === 'copy' ? 'copies' : word === 'process' ? 'processes' : word + 's');
}
