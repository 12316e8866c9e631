// plan.json: that it is the plan that was asked for and started, and that it says what the ledger shows.
import { hex, refuse } from './bytes.js';
import { sha256 } from './hash.js';
import { equal, list_of, members, parse_json } from './json.js';

const kPlanMembers = ['type', 'vault', 'organisation', 'erasure', 'created', 'ledger', 'profile', 'profile_digest', 'policy_digest', 'quorum', 'waiting_seconds',
  'datasets', 'key_versions', 'providers', 'copies', 'order', 'exceptions', 'windows'];

// The table of profiles that was published before the one that is built in.
const kPublished = '882f2f35a0c5492fc87118f008a22666acc35b447aefa5c98e919a7e0b302eae';

export async function read_plan(bundle) {
  const raw = await bundle.bytes('plan.json'), plan = parse_json(raw);
  members(plan, kPlanMembers);
  if (plan.type !== 'kesu-plan-v1') refuse('is no plan of version 1');
  for (const name of ['datasets', 'key_versions', 'providers', 'copies', 'order', 'exceptions', 'windows']) list_of(plan, name);
  return { plan, digest: hex(sha256(raw)) };
}

export function check_plan(f, people) {
  const p = f.plan, no = (what) => f.error('plan.json', what), item = f.graph.item(f.requested, f.era);
  if (f.plan_digest !== item.d || (f.body(f.requested) && f.body(f.requested).plan !== f.plan_digest)) no('is not the plan that was requested');
  for (const h of f.graph.about(f.era, 'erasure-started')) {
    const b = f.body(h);
    if (b && b.plan !== f.plan_digest) f.error('entry ' + h.seq, 'another plan was started');
    if (b && f.roots.get(b.head?.size) !== b.head?.root) f.error('entry ' + h.seq, 'head: is not the ledger\'s root of that size');
  }
  if (![f.tables.profiles_digest, kPublished].includes(p.profile_digest)) no('profile_digest: is of no table of profiles that this page knows');
  if (p.vault !== f.vault) no('vault: is for another vault');
  if (p.erasure !== f.era) no('erasure: is for another erasure');
  if (people.genesis && p.organisation !== people.genesis.organisation) no('organisation: is of another organisation');
  const rules = people.in_force();
  if (rules && p.profile !== rules.profile) no('profile: is not that of the rules in force at the request');
  for (const n of ['quorum', 'waiting_seconds']) if (rules && !(p[n] >= rules[n])) no(n + ': is below that of the rules in force at the request');
  if (f.roots.get(p.ledger.size) !== p.ledger.root || p.ledger.size > f.requested.seq) no('ledger: is not the ledger\'s root of that size before the request');
  const names = new Set(f.datasets);
  if (!equal(p.datasets.map((d) => d.id), f.datasets)) no('datasets: are not those that were frozen and erased');
  for (const d of p.datasets.filter((x) => names.has(x.id))) {
    const inv = f.inventory.get(d.id), b = f.dataset_body(d.id);
    const own = { id: d.id, name: b?.name ?? d.name, objects: inv.objects, bytes: inv.bytes, inventory_root: inv.root, batches: f.batches.get(d.id).sealed.length };
    for (const n of Object.keys(own)) if (!equal(d[n], own[n])) no('datasets: ' + n + ' of ' + d.id + ' is not what the ledger shows');
  }
  const planned = p.key_versions.map((k) => k.version);
  for (const v of f.versions) if (!planned.includes(v)) no('key_versions: ' + v + ' reaches the data and is not in the plan');
  for (const k of p.key_versions) {
    const one = f.version.get(k.version);
    if (!one) no('key_versions: ' + k.version + ' does not reach the data');
    else if ((one.ref && (k.label !== one.ref.label || k.canary !== (one.ref.canary?.digest ?? ''))) || k.provider !== one.provider || (one.name && k.name !== one.name))
      no('key_versions: ' + k.version + ' is not as the ledger shows it');
  }
  const steps = p.order.map((s) => s.version);
  if (p.order.some((s) => s.step !== 'destroy') || !equal([...steps].sort(), [...f.by_run].sort())) no('order: does not destroy each version once');
  for (const q of p.providers) {
    const b = f.last_body(q.id, 'provider-added');
    if (b && (b.name !== q.name || b.identity?.serial !== q.serial || b.identity?.label !== q.label || b.identity?.manufacturer !== q.manufacturer || b.identity?.kind !== q.kind))
      no('providers: ' + q.id + ' is not as the ledger shows it');
    const made = f.graph.about(q.control, 'key-created').pop(), control = made && f.body(made);
    if (!made || f.graph.item(made, q.control).of !== q.id || (control && control.purpose !== 'control')) no('providers: control of ' + q.id + ' is not what the ledger shows');
  }
  for (const id of new Set(f.by_run.map((v) => f.version.get(v).provider))) if (!p.providers.some((q) => q.id === id)) no('providers: ' + id + ' is not in the plan');
  const before = f.copies.filter((id) => (f.graph.node(id).entries[0]?.seq ?? 0) < f.checkpoints.a.size);
  if (!equal(p.copies.map((x) => x.id).sort(), before)) no('copies: are not those of the ledger');
}
