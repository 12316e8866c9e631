// What all headers, folded in order, say: states, edges, and what reaches what (docs/spec/ledger.md, "Graph").
import { refuse } from './bytes.js';
import { kind_of } from './header.js';

const kDead = ['absent', 'destroyed', 'destroyed-compromised'];
const kNext = { destroyed: ['destroyed-compromised'], 'destroyed-compromised': [], absent: [] };

export class Graph {
  nodes = new Map();
  // Entries by type, but for those that come by the thousand and matter only for their nodes.
  entries = new Map();
  holds = new Map();
  time = '';
  add(h) {
    if (h.time < this.time) refuse('its time is before that of the entry before');
    if (this.closed) refuse('stands behind vault-closed');
    this.time = h.time;
    if (h.type === 'vault-closed') this.closed = true;
    if (!this.entries.has(h.type)) this.entries.set(h.type, []);
    this.entries.get(h.type).push(h);
    for (const item of h.nodes) {
      const n = this.node(item.id);
      n.seqs.push(h.seq);
      if (item.is !== undefined) {
        if (n.is in kNext && !kNext[n.is].includes(item.is)) refuse(item.id + ' is ' + n.is + ' and cannot become ' + item.is);
        n.is = item.is;
        n.n = item.n, n.b = item.b, n.d = item.d;
        n.states.push([h.seq, item.is]);
      }
      if (item.t !== undefined) n.t = item.t;
      if (item.of !== undefined) {
        n.of = item.of;
        const kind = kind_of(item.id);
        if (kind === 'bat' || kind === 'dsk') this.node(item.of).data.add(item.id), n.datasets.add(item.of);
      }
      if (h.type === 'finding-recorded') n.findings.push(h.seq);
    }
    for (const [from, to] of h.edges) {
      const f = this.node(from), t = this.node(to);
      f.to.add(to);
      t.from.add(from);
      if (!f.seqs.includes(h.seq)) f.seqs.push(h.seq);
      if (!t.seqs.includes(h.seq)) t.seqs.push(h.seq);
    }
  }
  node(id) {
    let n = this.nodes.get(id);
    if (!n) {
      n = { id, is: undefined, of: undefined, t: undefined, states: [], seqs: [], findings: [], to: new Set(), from: new Set() };
      const kind = kind_of(id);
      if (kind === 'ds') n.data = new Set();
      if (kind === 'bat' || kind === 'dsk') n.datasets = new Set();
      this.nodes.set(id, n);
    }
    return n;
  }
  of_type(...types) {
    return types.flatMap((t) => this.entries.get(t) ?? []).sort((a, b) => a.seq - b.seq);
  }
  // Entries of a type with that node in it.
  about(id, ...types) {
    const n = this.nodes.get(id);
    return n ? this.of_type(...types).filter((h) => h.nodes.some((x) => x.id === id)) : [];
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
      for (const ds of n.datasets ?? []) out.add(ds);
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
