// What the inspections before and after show: places, enumerations, canaries, samples; and versions that were destroyed
// before the erasure (docs/spec/certificate.md).
import { hex, utf8, concat, unhex } from './bytes.js';
import { equal } from './json.js';
import { kind_of } from './header.js';
import { same_place } from './probe.js';
import { key_id, label_of } from './facts.js';

const kSeen = ['class', 'key_type', 'label', 'id', 'check_value'];
const inspect_same_object = (a, b) => kSeen.every((n) => a[n] === b[n]);

// Objects of `a` that have no like in `b`.
function missing_in(a, b) {
  const rest = [...b], out = [];
  for (const o of a) {
    const at = rest.findIndex((x) => inspect_same_object(x, o));
    if (at < 0) out.push(o);
    else rest.splice(at, 1);
  }
  return out;
}
const is_of = (ref, o) => o.label === ref.label && o.id === ref.id;
export function seen_again(ref, objects) {
  return objects.some((o) => o.label === ref.label || o.id === ref.id || (ref.check_value && o.check_value === ref.check_value));
}

function good_control(f, t) {
  const c = t.request.control;
  if (!c || t.control !== 'usable') return false;
  const h = f.graph.about(c.version, 'key-created').pop();
  const b = f.body(h);
  return !!b && b.purpose === 'control' && equal(b.ref, c) && f.graph.living(c.version);
}

// One version that an earlier command destroyed: why it does not count as gone; '' when it does.
async function earlier_why(f, v) {
  const one = f.version.get(v), g = f.graph;
  const looks = g.about(v, 'key-inspected').filter((h) => one.done && h.seq > one.done.seq);
  const bodies = looks.map((h) => f.body(h)).filter((b) => b);
  if (bodies.length === 0) return 'no inspection of it is in the bundle';
  for (const b of bodies) {
    const is = b.answer === 'usable' ? b.answer : (await f.transcript(b.after))?.keys.get(v);
    if (is === 'usable' || is === 'refused') return 'an inspection after its destruction found it ' + is;
  }
  const b = bodies[bodies.length - 1];
  if (b.answer !== 'absent') return 'its inspection answered ' + (typeof b.answer === 'string' ? b.answer : 'nothing');
  if (b.provider !== one.provider) return 'another provider was inspected';
  const before = await f.transcript(b.before), after = await f.transcript(b.after);
  if (!before || !after) return 'a transcript of its inspection is missing';
  if (one.intended_body?.before !== undefined && one.intended_body.before !== b.before) return 'its inspection before is not the one that its destruction rested on';
  if (!before.ok || !after.ok || !before.complete || !after.complete || !same_place(before.place, after.place) || !same_place(before.place, one.provider_body?.identity))
    return 'its inspections did not see the whole of the same place';
  const asks = (t) => t.request.keys.length === 1 && t.request.keys[0].version === v && equal(t.request.keys[0], one.ref);
  if (!good_control(f, before) || !good_control(f, after) || !asks(before) || !asks(after) || !before.canaries.get(v) || before.keys.get(v) !== 'usable' ||
      after.keys.get(v) !== 'absent' || seen_again(one.ref, after.objects))
    return 'its inspections do not show it usable before and absent after, with a living control';
  if (!one.intended || !(before.ended <= one.intended.time && after.started >= one.done.time)) return 'its inspections were not made before and after its destruction';
  return '';
}

// → what the claims about the end of the keys rest on; `why` says what is missing.
export async function inspect(f, by = f.inspected) {
  const out = { pairs: [], complete: true, absent: true, canaries: true, samples: true, sampled: 0, why: [], boots: [], earlier: [] };
  const no = (what, ...names) => {
    for (const n of names) out[n] = false;
    if (!out.why.includes(what)) out.why.push(what);
  };
  for (const v of f.older) {
    const why = await earlier_why(f, v);
    out.earlier.push([v, why]);
    if (why) no(f.name_of(v) + ' was destroyed before this erasure: ' + why, 'complete', 'absent', 'canaries', 'samples');
  }
  const said = f.body(by), began = f.body(f.started);
  const rows = Array.isArray(said?.inspections) ? said.inspections : [];
  if (rows.length === 0) no('no inspection is shown', 'complete', 'absent', 'canaries', 'samples');
  for (const row of rows) {
    const start = (began?.inspections ?? []).find((x) => x.provider === row.provider);
    if (!start || start.transcript !== row.before) {
      f.error('entry ' + by.seq, 'before: is not the transcript of the erasure\'s start');
      no('the inspection before is not that of the start', 'complete', 'absent', 'canaries', 'samples');
      continue;
    }
    const before = await f.transcript(row.before), after = await f.transcript(row.after);
    if (!before || !after) {
      no('a transcript is missing', 'complete', 'absent', 'canaries', 'samples');
      continue;
    }
    out.pairs.push({ provider: row.provider, before, after, before_sha: row.before, after_sha: row.after });
    out.boots.push(after.boot_id);
  }
  for (const p of f.providers_of_run) if (!rows.some((r) => r.provider === p)) no('no inspection of ' + p + ' is shown', 'complete', 'absent', 'canaries', 'samples');
  for (const pair of out.pairs) check_pair(f, pair, out, no);
  check_versions(f, out, no);
  check_samples(f, out, no, began);
  return out;
}

function check_pair(f, pair, out, no) {
  const { before, after, provider } = pair;
  const place = f.last_body(provider, 'provider-added')?.identity;
  if (!before.ok || !after.ok || !before.complete || !after.complete) return no('an enumeration at ' + provider + ' is not complete', 'complete');
  if (!same_place(before.place, after.place) || !same_place(place, after.place)) return no('the inspections at ' + provider + ' are of two places', 'complete', 'absent');
  if (!good_control(f, before) || !good_control(f, after)) no('no living control key at ' + provider, 'complete');
  if (!f.started || before.ended > f.started.time) no('the inspection before ended after the start', 'complete');
  if (!f.last_done || after.ended < f.last_done.time) no('the inspection after ended before the last destruction', 'complete');
  const refs = f.by_run.filter((v) => f.version.get(v).provider === provider).map((v) => f.version.get(v).ref);
  if (refs.some((r) => !r)) return no('a key reference is not shown', 'complete');
  for (const r of refs) {
    if (before.objects.filter((o) => is_of(r, o)).length < 1) no(r.label + ' is not in the enumeration before', 'complete');
    if (seen_again(r, after.objects)) no(r.label + ' is in the enumeration after', 'complete', 'absent');
  }
  for (const v of f.older) {
    const one = f.version.get(v);
    for (const t of [before, after])
      if ((t.keys.get(v) ?? 'absent') !== 'absent') no(f.name_of(v) + ' was destroyed before this erasure, and is ' + t.keys.get(v), 'complete', 'absent', 'canaries', 'samples');
    if (one.provider === provider && one.ref && (seen_again(one.ref, before.objects) || seen_again(one.ref, after.objects)))
      no(f.name_of(v) + ' was destroyed before this erasure, and was seen again', 'complete', 'absent', 'canaries', 'samples');
  }
}

// What others took away between two inspections: of the erasure, or around a destruction of one of its versions before.
export async function removed_by_others(f, inspection) {
  const own = f.versions.map((v) => f.version.get(v).ref?.label), pairs = inspection.pairs.map((p) => [p.before, p.after]), out = new Set();
  for (const v of f.versions)
    for (const h of f.graph.about(v, 'key-inspected')) {
      const b = f.body(h);
      pairs.push([await f.transcript(b?.before), await f.transcript(b?.after)]);
    }
  const by_kesu = (label) => label.startsWith('kesu:') && ['destroyed', 'destroyed-compromised'].includes(f.graph.nodes.get(label.slice(5))?.is);
  for (const [before, after] of pairs)
    for (const o of before && after ? missing_in(before.objects, after.objects) : [])
      if (!own.includes(o.label) && !by_kesu(o.label)) out.add(o.label || o.class + ' ' + o.id);
  return [...out].sort();
}

function check_versions(f, out, no) {
  for (const v of f.by_run) {
    const one = f.version.get(v), pair = out.pairs.find((p) => p.provider === one.provider);
    if (!pair || !one.ref || !equal(pair.before.refs.get(v), one.ref) || !equal(pair.after.refs.get(v), one.ref) || one.ref.label !== label_of(v) && one.origin !== 'adopted') {
      no('the inspections do not ask for ' + f.name_of(v), 'absent', 'canaries', 'complete');
      continue;
    }
    if (pair.after.keys.get(v) !== 'absent') no(f.name_of(v) + ' is ' + pair.after.keys.get(v) + ' after', 'absent', 'canaries', 'complete');
    if (pair.before.keys.get(v) !== 'usable') no(f.name_of(v) + ' is ' + pair.before.keys.get(v) + ' before', 'canaries');
  }
  if (f.versions.length === 0) no('no key version', 'absent', 'canaries', 'complete');
}

function check_samples(f, out, no, began) {
  const s = began?.samples;
  if (!s) return no('the samples are not shown', 'samples');
  const head = began.head;
  if (s.rule !== 'kesu-sample-v1' || s.seed !== head?.root || f.roots.get(head?.size) !== head?.root) no('the samples\' seed is not the ledger\'s root', 'samples');
  const seen = new Map();  // object → {dataset, before, after}
  for (const { before, after } of out.pairs) {
    if (!equal(before.request.samples, after.request.samples)) {
      no('the samples before and after are not the same', 'samples');
      continue;
    }
    for (const [i, b] of before.samples.entries()) {
      const older = f.older.includes(b.key), a = after.samples[i];
      const datasets = f.datasets.filter((ds) => b.aad === wrap_aad(f.vault, ds, b.id, b.key));
      if (kind_of(b.id) !== 'obj' || datasets.length !== 1 || !f.versions.includes(b.key)) {
        no('a sample is of another dataset or key', 'samples');
        continue;
      }
      const one = seen.get(b.id) ?? { dataset: datasets[0], opened: false };
      if (one.dataset !== datasets[0]) no('a sample stands in two datasets', 'samples');
      if (b.answer === 'opened' && !older) one.opened = true;
      else if (b.answer !== 'failed') no('a sample did not open before', 'samples');
      if (a.answer !== 'failed') no('a sample was not shown closed after', 'samples');
      seen.set(b.id, one);
    }
  }
  for (const one of seen.values()) if (!one.opened) no('a sample did not open before', 'samples');
  for (const ds of f.datasets) {
    const n = f.inventory.get(ds).objects - replaced_in(f, ds);
    if ([...seen.values()].filter((x) => x.dataset === ds).length !== Math.min(n, 16)) no('not as many samples of ' + ds + ' as the rule asks for', 'samples');
  }
  for (const { before } of out.pairs) out.sampled += before.samples.length;
}
function replaced_in(f, ds) {
  let n = 0;
  for (const b of f.batches.get(ds).sealed) {
    const r = f.body(b.done)?.replaced ?? 0;
    n += Array.isArray(r) ? r.length : r;
  }
  return n;
}
function wrap_aad(vault, ds, object, version) {
  const id = (x) => unhex(x.slice(x.indexOf('-') + 1));
  return hex(concat(utf8('kesu-wrap-v1'), id(vault), id(ds), id(object), unhex(key_id(version))));
}
