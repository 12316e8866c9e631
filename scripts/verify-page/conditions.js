// Which conditions of docs/spec/certificate.md hold, and what each claim says besides its level.
import { witnesses_of_rules } from './anchors.js';
import { hex } from './bytes.js';
import { count } from './facts.js';
import { equal } from './json.js';
import { kind_of } from './header.js';
import { note_cosigned_by } from './note.js';
import { exceptions_of } from './recompute.js';
import { residue } from './residue.js';
import { waiting_words } from './waiting.js';
import { name_text } from './names.js';

const kWraps = { 1: 'AES-256-GCM' };

// → {holds: Set, rests: claim → [text], detail: claim → text, limits: [], waited_from, witnesses, restart}
export async function find_conditions(f, people, inspection, trust, cms_names, stamps, again) {
  const c = { holds: new Set(['headers-complete', 'checkpoints-signed']), rests: {}, detail: {}, limits: [], f, people, inspection };
  scope(c);
  history(c);
  algorithms(c, cms_names);
  origin(c);
  graph(c);
  copies(c);
  destroyed(c);
  gone(c);
  authorised(c);
  looked_again(c, again);
  await residue(c);
  await logged(c, trust, stamps);
  return c;
}

function hold(c, name, when) {
  if (when) c.holds.add(name);
}

function scope(c) {
  const { f } = c;
  let good = f.datasets.length > 0, objects = 0, bytes = 0, batches = 0, bracketed = true;
  for (const ds of f.datasets) {
    const inv = f.inventory.get(ds), b = f.batches.get(ds);
    good &&= inv.good && inv.erased && b.open.length === 0;
    objects += inv.objects, bytes += inv.bytes, batches += b.sealed.length;
    const added = f.graph.about(ds, 'dataset-added')[0];
    bracketed &&= !!added && b.sealed.every((x) => x.intended && x.intended.seq < x.done.seq && added.seq < x.intended.seq);
    const given_up = b.abandoned.length;
    if (given_up) c.limits.push({ id: 'abandoned-batches', dataset: ds, batches: given_up,
      n: b.abandoned.reduce((n, x) => n + (f.graph.item(x.intended, x.id)?.n ?? 0), 0) });
  }
  let readable = 0;
  for (const ds of f.datasets) for (const b of f.batches.get(ds).sealed) if (f.body(b.done)?.opaque_names === false) readable += b.item.n;
  if (readable) c.limits.push({ id: 'file-names-readable', n: readable });
  const kills = [...f.versions, ...f.copies];
  const others = [...f.graph.reached(kills)].filter((ds) => !f.datasets.includes(ds) && f.graph.node(ds).is !== 'erased').sort();
  if (others.length) c.limits.push({ id: 'other-data-lost', datasets: others });
  hold(c, 'inventory-complete', good);
  hold(c, 'no-other-data', others.length === 0);
  hold(c, 'sealed-in-brackets', bracketed && f.datasets.length > 0);
  c.detail.scope = count(objects, 'object') + ', ' + count(bytes, 'byte');
  c.rests.scope = ['inventory roots of ' + count(f.datasets.length, 'dataset'), count(batches, 'batch') + ' in the ledger'];
  c.rests['sealed-before-placed'] = ['seal-intended and seal-done entries'];
}

function history(c) {
  const { f } = c;
  const text = (t) => (typeof t === 'string' && t !== '' ? t : null);
  const all = f.datasets.map((ds) => [f.dataset_body(ds)?.name ?? ds, f.dataset_body(ds)?.plaintext_history ?? {}]);
  const said = all.map(([name, h]) => [name, text(h.statement) ?? 'unknown', text(h.detail)]);
  hold(c, 'history-none', said.every(([, s]) => s === 'none'));
  hold(c, 'history-disposed', said.every(([, s]) => s === 'none' || s === 'disposed'));
  c.rests['plaintext-history'] = [...new Set(all.map(([, h]) => text(h.by)).filter((b) => b))].map((b) => 'statement of ' + b);
  c.detail['plaintext-history'] = said.map(([name, s, more]) => name + ': ' + s + (more ? ', ' + more : '')).join('; ');
}

function algorithms(c, cms_names) {
  const { f, people } = c;
  let known = true;
  const used = new Map();  // text → verdict
  const add = (name, purpose, until) => {
    if (typeof name !== 'string' || name === '') return void (known = false);
    const end = until === undefined ? '' : ', until ' + until;
    const year = until === undefined || until === 'open-ended' ? null : Number(until);
    used.set(name + ' (' + purpose + end + ')', { ...f.policy.judge(name, purpose, year), end });
  };
  for (const ds of f.datasets) {
    const until = f.dataset_body(ds)?.unreadable_until;
    if (until === undefined) known = false;
    for (const id of f.graph.node(ds).data) {
      if (kind_of(id) === 'dsk') {
        for (const h of f.graph.about(id, 'dataset-key-created', 'dataset-key-rewrapped', 'fingerprint-key-created')) {
          const a = f.body(h)?.wrapped?.algorithm;
          add(kWraps[a] ?? a, 'wrap', until);
        }
        continue;
      }
      for (const h of f.graph.about(id, 'rewrap-done')) add(f.body(h)?.wrap_algorithm, 'wrap', until);
    }
    for (const b of f.batches.get(ds).sealed) {
      const body = f.body(b.done);
      add(body?.content_algorithm, 'payload', until);
      add(body?.wrap_algorithm, 'wrap', until);
    }
  }
  // The digest within CMS is the signature's own; it stands in the evidence chain.
  for (const [name, purpose] of cms_names) if (purpose === 'signature') add(name, purpose);
  for (const name of ['SHA-256', 'SHA-512']) add(name, 'hash');
  add('Ed25519', 'signature');
  const all = [...used.values()];
  hold(c, 'algorithms-known', known && f.datasets.length > 0);
  hold(c, 'algorithms-listed', all.every((v) => v.listed));
  hold(c, 'algorithms-strong', all.every((v) => v.end === '' || v.strong));
  const excepted = exceptions_of(f).filter((e) => e.what === 'algorithm').map((e) => '; by recorded exception only (entry ' + e.entry + '): ' + e.detail).join('');
  const weak = !['algorithms-known', 'algorithms-listed', 'algorithms-strong'].every((n) => c.holds.has(n));
  c.detail.algorithms = known ? [...used.keys()].sort().join(', ') + (weak ? excepted : '') : 'not every batch\'s algorithms are shown';
  c.rests.algorithms = ['policy ' + String(f.plan.policy_digest).slice(0, 16)];
}

// Attributes of a key that was generated inside and could not leave, under its own name.
function never_outside(a, ref) {
  return a && a.CKA_LOCAL === true && a.CKA_SENSITIVE === true && a.CKA_ALWAYS_SENSITIVE === true && a.CKA_EXTRACTABLE === false &&
    a.CKA_NEVER_EXTRACTABLE === true && a.CKA_LABEL === ref.label && a.CKA_ID === ref.id;
}
function origin(c) {
  const { f } = c;
  let inside = f.versions.length > 0, software = inside, stated = inside;
  const said = [];
  for (const v of f.versions) {
    const one = f.version.get(v), ref = one.ref, birth = one.birth, ends = one.intended_body;
    const of_it = !!ref && !!birth && !!ends && equal(birth.ref, ref) && equal(ends.ref, ref) &&
      birth.attributes?.CKA_LABEL === ref.label && birth.attributes?.CKA_ID === ref.id &&
      ends.attributes?.CKA_LABEL === ref.label && ends.attributes?.CKA_ID === ref.id;
    const shown = f.body(one.key_intended) && one.created_body;
    const kind = one.provider_body?.identity?.kind;
    const brought = one.origins.some((o) => o !== undefined && o !== 'generated');
    const recorded = of_it && shown && !brought && kind !== undefined && kind !== 'soft' && never_outside(birth.attributes, ref) &&
      never_outside(ends.attributes, ref);
    const in_software = of_it && shown && !brought && kind === 'soft';
    const by = f.attested.of(v);
    if (by.length) said.push('the making of ' + f.name_of(v) + ' was attended by ' + by.map((a) => a.officer.name).join(', '));
    if (brought) said.push(f.name_of(v) + ' was ' + one.origin + ': what it was before is somebody\'s word');
    else if (!shown) said.push('where ' + f.name_of(v) + ' came from is not shown');
    else if (kind === 'soft') said.push(f.name_of(v) + ' lay in a software keystore and could leave with its file');
    inside &&= recorded;
    software &&= recorded || in_software;
    stated &&= recorded || in_software || (of_it && shown && brought && kind !== undefined);
  }
  hold(c, 'birth-recorded', inside);
  hold(c, 'birth-attested', f.versions.length > 0 && f.versions.every((v) => f.attested.of(v).length > 0));
  hold(c, 'birth-in-software', software);
  hold(c, 'origin-stated', stated);
  c.detail['key-origin'] = [count(f.versions.length, 'key version'), ...said].join('; ');
  const signers = new Map(f.attested.all.map((a) => [a.officer.id, 'signature of ' + a.officer.name + ' (attest)']));
  c.rests['key-origin'] = ['attributes at birth and before destruction', ...signers.values()];
}

function graph(c) {
  const { f } = c;
  const hurt = [...f.versions, ...f.copies].filter((id) => {
    const n = f.graph.node(id);
    return f.graph.about(id, 'finding-recorded').length || n.states.some(([, s]) => s === 'compromised' || s === 'destroyed-compromised');
  });
  hold(c, 'never-compromised', f.versions.length > 0 && hurt.length === 0);
  c.detail.uncompromised = hurt.length ? 'a compromise or a finding is recorded' : '';
  c.rests.uncompromised = ['every header of the ledger'];
  const living = f.reachers.filter((id) => f.graph.living(id)).sort();
  hold(c, 'all-reachers-dead', f.versions.length > 0 && living.length === 0);
  c.detail.exclusivity = living.length === 0 ? '0 living paths' : count(living.length, 'living path') + ': ' + living.join(', ');
  c.rests.exclusivity = ['disclosure graph: ' + [count(f.versions.length, 'key version'), count(f.copies.length, 'copy'),
    count(f.processes.length, 'process')].join(', ')];
}

function copies(c) {
  const { f } = c;
  const of_copy = (id) => ({ id, body: f.last_body(id, 'copy-registered'), end: f.last_body(id, 'copy-ended'), is: f.graph.node(id).is });
  const all = f.copies.map(of_copy);
  const origins = f.versions.every((v) => {
    const o = f.version.get(v).origin;
    return f.version.get(v).shown && (!o || o === 'adopted') || all.some((x) => x.body?.kind === 'import-origin' && f.graph.node(x.id).to.includes(v));
  });
  hold(c, 'no-copies', all.length === 0 && origins);
  hold(c, 'copies-ended', all.length > 0 && origins && all.every((x) => x.is === 'ended'));
  hold(c, 'copies-documented', all.length > 0 && all.every((x) => x.end?.document && f.bundle.has('evidence/' + x.end.document)));
  c.detail.copies = all.map((x) => x.id + ' ' + x.is).join(', ') || 'none registered';
  c.rests.copies = all.filter((x) => x.body?.custodian).map((x) => 'statement of ' + x.body.custodian);
  c.copies = all;
}

function destroyed(c) {
  const { f } = c;
  let all = f.versions.length > 0, receipts = all, settled = all, n = 0, lost = 0, got = 0;
  for (const v of f.versions) {
    const one = f.version.get(v), is = f.graph.node(v).is;
    const gone = (is === 'destroyed' || is === 'destroyed-compromised') && !!one.done_body;
    if (gone) ++n;
    all &&= gone;
    const accepted = one.receipt?.accepted === true, without = one.done_body?.receipt_lost === true;
    if (accepted) ++got;
    receipts &&= accepted && !without;
    let end = accepted && !without;
    if (without) {
      const t = f.transcripts.get(one.done_body.transcript);
      end = !!t && t.keys.get(v) === 'absent' && equal(t.refs.get(v), one.ref);
      ++lost;
    }
    settled &&= end;
  }
  hold(c, 'all-destroyed', all);
  hold(c, 'receipts', receipts);
  hold(c, 'receipts-or-settled', settled);
  c.detail.destroyed = n + ' of ' + count(f.versions.length, 'key version') + ' destroyed' + (lost ? ', ' + count(lost, 'receipt') + ' lost and settled by inspection' : '');
  c.rests.destroyed = [count(got, 'provider receipt')];
}

function gone(c) {
  const { f, inspection: i } = c;
  hold(c, 'final-state-absent', i.pairs.length > 0 && i.absent);
  hold(c, 'enumeration-pair', i.pairs.length > 0 && i.complete);
  hold(c, 'canaries-dead', i.pairs.length > 0 && i.canaries);
  hold(c, 'samples-dead', i.pairs.length > 0 && i.samples);
  if (i.removed.length) c.limits.push({ id: 'removed-by-others', subject: i.removed.join(', ') });
  c.rests.irreversible = ['the provider\'s answers after destruction'];
  c.rests['verified-gone'] = i.pairs.map((p) => 'enumerations of ' + p.provider + ' before and after');
  const earlier = i.earlier.map(([v, why]) => f.name_of(v) + ' was destroyed before this erasure, and ' + (why ? 'that it is gone is not shown: ' + why : 'inspected then'));
  c.detail['verified-gone'] = [count(f.versions.length, 'canary').replace('canarys', 'canaries') + ', ' + count(i.sampled, 'sample'), ...earlier].join('; ');
}

function authorised(c) {
  const { f, people: p } = c;
  const profile = f.tables.profiles.profiles[f.certificate.profile] ?? { quorum: 1, waiting_seconds: 0 };
  const rules = p.in_force();
  const quorum = Math.max(f.plan.quorum ?? 1, rules?.quorum ?? 1, profile.quorum);
  const waiting = Math.max(f.plan.waiting_seconds ?? 0, rules?.waiting_seconds ?? 0, profile.waiting_seconds);
  const stopped = f.graph.about(f.era, 'erasure-rejected', 'erasure-cancelled').length > 0;
  hold(c, 'requested-signed', p.request !== null && p.genesis !== null);
  hold(c, 'quorum-approved', p.genesis !== null && p.approvals.length >= quorum && !stopped);
  hold(c, 'officers-known', p.genesis_good);
  hold(c, 'commands-signed', f.commands.unsigned.size === 0);
  const reached = p.approvals[quorum - 1]?.entry, first = f.first_intended;
  c.waiting = waiting;
  c.reached = stopped ? null : p.approvals[quorum - 1]?.entry ?? null;
  let waited = !!reached && !!first && reached.seq < first.seq, tail = '';
  if (waited && waiting > 0) {
    const clock = f.graph.about(f.vault, 'finding-recorded').filter((h) => h.seq > reached.seq && h.seq < first.seq &&
      (!f.body(h) || ['clock-jumped', 'clock-behind'].includes(f.body(h).what))).pop();
    const from = clock ?? reached;
    waited = Date.parse(first.time) - Date.parse(from.time) >= waiting * 1000;
    if (clock) {
      const named = ' entry ' + clock.seq + ' (' + (f.body(clock)?.what ?? 'a finding that is not shown') + ')';
      tail = waited ? ', counted from' + named : '; ' + named.trim() + ', after which it did not pass';
    }
  }
  hold(c, 'waited', waited);
  const ends = f.last_done?.seq ?? Infinity;
  const held = f.holds.between(f.requested.seq, ends);
  hold(c, 'no-hold', !held);
  c.quorum = quorum;
  c.detail.authorised = count(p.approvals.length, 'approval') + ', quorum ' + quorum + ', waiting period ' + count(waiting, 'second') + waiting_words(f, c) + tail;
  c.rests.authorised = p.counted.filter((one) => ['request', 'approve'].includes(one.action)).map((one) => 'signature of ' + one.officer.name + ' (' + one.action + ')');
}

// Made after the erasure's own, and before the entry that names it.
const anew = (q, own, entry) => !!own && own.after_sha !== q.after_sha && q.after.started >= own.after.ended && q.after.ended <= entry.time;

// The same conditions once more, by the verifier's own inspections.
function looked_again(c, again) {
  const { f, people: p, inspection: i } = c;
  const befores = (x) => x.pairs.map((q) => [q.provider, q.before_sha]).sort();
  const good = !!p.verified && !!again && again.pairs.length > 0 && again.complete && again.absent && again.canaries && again.samples && equal(befores(again), befores(i)) &&
    again.pairs.every((q) => anew(q, i.pairs.find((own) => own.provider === q.provider), p.verified.entry));
  hold(c, 'inspected-by-other', good);
  hold(c, 'validated-signed', !!p.validated);
  if (good) c.rests['verified-gone'].push('signature of ' + p.verified.officer.name + ' (verify)');
  c.rests['verified-gone'].push(...i.earlier.map(([v]) => 'inspections of ' + f.name_of(v) + ' before and after'));
  if (p.validated) c.rests.validated = ['signature of ' + p.validated.officer.name + ' (validate)'];
}

async function logged(c, trust, stamps) {
  const { f } = c;
  const seen = new Set();
  // By key: one witness under two names is one.
  const bound = c.people.in_force()?.anchors, { named, signed } = await witnesses_of_rules(bound, f.checkpoints.b);
  if (named?.size === 0) c.short_of_rules = signed + ' of the ' + bound.witness_quorum + ' witnesses that the rules ask for signed, so none counts';
  for (const w of trust.witnesses) if ((!named || named.has(hex(w.key))) && (await note_cosigned_by(f.checkpoints.b, w))) seen.add(hex(w.key));
  c.witnesses = seen.size;
  hold(c, 'checkpoint-b-witnessed', seen.size >= (trust.quorum ?? 1));
  hold(c, 'signature-stamped', stamps.signature);
  hold(c, 'checkpoint-b-stamped', stamps.checkpoint);
  const by = (t) => 'stamped at ' + new Date(t.time).toISOString() + ', by ' + name_text(t.certificate.subject);
  if (stamps.later) c.detail.dated = by(stamps.later) + (stamps.renewed ? by(stamps.renewed).replace('stamped', ', renewed') : ''), c.rests.dated = ['time-stamps over the signature'];
  if (stamps.third) c.detail.logged = 'checkpoint B ' + by(stamps.third);
  c.rests.logged = ['checkpoints of ' + f.checkpoints.vkey.name];
}

// The first row whose conditions hold.
export function judge_claim(definition, holds) {
  return definition.rows.find((r) => r.when.every((w) => holds.has(w)));
}
