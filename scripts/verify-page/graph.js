// What all headers, folded in order, say: states, edges, and what reaches what (docs/spec/ledger.md, "Graph").
import { refuse } from './bytes.js';
import { kind_of } from './header.js';

const kDead = ['absent', 'destroyed', 'destroyed-compromised'];
const push = (list, one) => (list === kNone ? [one] : (list.push(one), list));
const kNext = { destroyed: ['destroyed-compromised'], 'destroyed-compromised': [], absent: [], validated: [] };
// An erasure that has destroyed is verified, then validated; nothing else follows.
const kErasureNext = { destroyed: ['verified'], verified: ['validated'] };

// What entries of these types say is in the graph; the entries themselves are not asked for again.
const kFolded = ['process-started', 'process-ended', 'objects-opened', 'rewrap-intended'];
const kNone = Object.freeze([]);

export class Graph {
  nodes = new Map();
  entries = new Map();  // by type, in order
  time = '';
  add(h) {
    if (h.time < this.time) refuse('its time is before that of the entry before');
    if (this.closed) refuse('stands behind vault-closed');
    if (h.type === 'finding-recorded') h.before = this.time;
    this.time = h.time;
    if (h.type === 'vault-closed') this.closed = true;
    const kept = !kFolded.includes(h.type);
    if (kept) {
      if (!this.entries.has(h.type)) this.entries.set(h.type, []);
      this.entries.get(h.type).push(h);
    }
    for (const item of h.nodes) {
      const n = this.node(item.id);
      if (kept) n.entries.push(h);
      if (item.is !== undefined) {
        const next = (kind_of(item.id) === 'era' && kErasureNext[n.is]) || kNext[n.is];
        if (next && !next.includes(item.is)) refuse(item.id + ' is ' + n.is + ' and cannot become ' + item.is);
        n.is = item.is;
        n.n = item.n, n.b = item.b, n.d = item.d;
        if (n.states) n.states.push([h.seq, item.is]);
      }
      if (h.type === 'process-ended' && kind_of(item.id) === 'prc') n.ended = [...(n.ended ?? kNone), h.seq];
      if (item.t !== undefined) n.t = item.t;
      if (item.of !== undefined) {
        n.of = item.of;
        const kind = kind_of(item.id);
        if (kind === 'bat' || kind === 'dsk') this.place(item.id, n, item.of);
      }
    }
    for (const [from, to] of h.edges) {
      const f = this.node(from), t = this.node(to);
      if (h.type === 'process-started') f.began = [...(f.began ?? kNone), [h.seq, to]];
      f.to = push(f.to, to);
      f.first_edge ??= h.seq;
      t.from = push(t.from, from);
    }
  }
  node(id) {
    let n = this.nodes.get(id);
    if (!n) {
      const kind = kind_of(id);
      n = { id, is: undefined, of: undefined, t: undefined, n: undefined, b: undefined, d: undefined, entries: [], to: kNone, from: kNone,
        states: ['era', 'ver', 'cpy'].includes(kind) ? [] : null, data: kind === 'ds' ? new Set() : null, datasets: kNone };
      this.nodes.set(id, n);
    }
    return n;
  }
  // Batches and dataset keys stay in every dataset that they were ever placed in.
  place(id, n, dataset) {
    const ds = this.node(dataset);
    if (ds.data.has(id)) return;
    ds.data.add(id);
    n.datasets = push(n.datasets, dataset);
  }
  of_type(...types) {
    return types.flatMap((t) => this.entries.get(t) ?? []).sort((a, b) => a.seq - b.seq);
  }
  // Entries of a type with that node in it.
  about(id, ...types) {
    return (this.nodes.get(id)?.entries ?? kNone).filter((h) => types.includes(h.type));
  }
  item(h, id) {
    return h.nodes.find((x) => x.id === id);
  }
  state_at(id, size) {
    let is;
    for (const [seq, state] of this.nodes.get(id)?.states ?? []) if (seq < size) is = state;
    return is;
  }
  // Everything that reaches or ever reached a data key of these datasets.
  reachers(datasets) {
    const found = new Set(), queue = [];
    for (const ds of datasets) {
      const n = this.node(ds);
      queue.push(...n.data);
      for (const from of n.from) found.add(from);
    }
    const seen = new Set(queue);
    while (queue.length) {
      for (const from of this.node(queue.pop()).from) {
        if (kind_of(from) !== 'dsk' && kind_of(from) !== 'bat') found.add(from);
        if (!seen.has(from)) seen.add(from), queue.push(from);
      }
    }
    return found;
  }
  // Datasets with a data key that these ever reached.
  reached(ids) {
    const out = new Set(), queue = [...ids], seen = new Set(queue);
    while (queue.length) {
      const n = this.node(queue.pop());
      for (const ds of n.datasets) out.add(ds);
      for (const to of n.to) if (!seen.has(to)) seen.add(to), queue.push(to);
    }
    return out;
  }
  living(id) {
    const n = this.node(id), kind = kind_of(id);
    if (kind === 'ver') return !kDead.includes(n.is);
    if (kind === 'cpy') return n.is !== 'ended';
    if (kind === 'prc') return n.is === 'alive' && !(n.t !== undefined && n.t <= this.time);
    return false;
  }
}
