// plan.json: that it is the plan that was asked for and started, and that it says what the ledger shows.
import { hex, refuse } from './bytes.js';
import { sha256 } from './hash.js';
import { kind_of } from './header.js';
import { equal, is_object, is_sha256, is_time, members, parse_json } from './json.js';

const is_text = (v) => typeof v === 'string', is_count = (v) => typeof v === 'number' && v >= 0, of_kind = (kind) => (v) => kind_of(v) === kind;
const is_list = Array.isArray, is_none = (v) => is_list(v) && v.length === 0, is_version = of_kind('ver');
// Members of a plan, each of its kind; then those of the items of its lists, where the first stands once.
const kPlanForm = { type: (v) => v === 'kesu-plan-v1', vault: of_kind('vlt'), organisation: is_text, erasure: of_kind('era'), created: is_time, ledger: is_object,
  profile: is_text, profile_digest: is_sha256, policy_digest: is_sha256, quorum: is_count, waiting_seconds: is_count,
  datasets: is_list, key_versions: is_list, providers: is_list, copies: is_list, order: is_list, exceptions: is_none, windows: is_none };
const kItemForms = {
  datasets: { id: of_kind('ds'), name: is_text, objects: is_count, bytes: is_count, inventory_root: is_sha256, batches: is_count },
  key_versions: { version: is_version, name: is_text, provider: of_kind('prv'), label: is_text, canary: (v) => v === '' || is_sha256(v) },
  providers: { id: of_kind('prv'), name: is_text, kind: is_text, serial: is_text, label: is_text, manufacturer: is_text, control: is_version },
  copies: { id: of_kind('cpy'), state: is_text },
  order: { version: is_version, step: (v) => v === 'destroy' },
};

function check_form(value, form, what) {
  members(value, Object.keys(form));
  for (const name of Object.keys(form)) if (!form[name](value[name])) refuse(what + name + ' is out of form');
}

// The table of profiles that was published before the one that is built in.
const kPublished = '882f2f35a0c5492fc87118f008a22666acc35b447aefa5c98e919a7e0b302eae';

export async function read_plan(bundle) {
  const raw = await bundle.bytes('plan.json'), plan = parse_json(raw);
  check_form(plan, kPlanForm, '');
  check_form(plan.ledger, { size: is_count, root: is_sha256 }, 'ledger: ');
  for (const [name, form] of Object.entries(kItemForms)) {
    for (const item of plan[name]) check_form(item, form, name + ': ');
    const first = plan[name].map((item) => item[Object.keys(form)[0]]);
    if (new Set(first).size !== first.length) refuse(name + ': one stands there twice');
  }
  const ids = plan.datasets.map((d) => d.id);
  if (!ids.length || !equal(ids, [...ids].sort())) refuse('datasets are not in order, or none');
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
  if (people.genesis && p.organisation !== people.genesis.organisation) no('organisation: is of another organisation');
  const rules = people.in_force();
  if (rules && p.profile !== rules.profile) no('profile: is not that of the rules in force at the request');
  for (const n of ['quorum', 'waiting_seconds']) if (rules && !(p[n] >= rules[n])) no(n + ': is below that of the rules in force at the request');
  if (f.roots.get(p.ledger.size) !== p.ledger.root || !p.ledger.size || p.ledger.size > f.requested.seq) no('ledger: is not the ledger\'s root of that size before the request');
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
    if (!b || (b.name !== q.name || b.identity?.serial !== q.serial || b.identity?.label !== q.label || b.identity?.manufacturer !== q.manufacturer || b.identity?.kind !== q.kind))
      no('providers: ' + q.id + ' is not as the ledger shows it');
    const made = f.graph.about(q.control, 'key-created').pop(), control = made && f.body(made);
    if (!made || f.graph.item(made, q.control).of !== q.id || (control && control.purpose !== 'control')) no('providers: control of ' + q.id + ' is not what the ledger shows');
  }
  for (const id of new Set(f.by_run.map((v) => f.version.get(v).provider))) if (!p.providers.some((q) => q.id === id)) no('providers: ' + id + ' is not in the plan');
  const before = f.copies.filter((id) => (f.graph.node(id).entries[0]?.seq ?? 0) < f.checkpoints.a.size);
  if (!equal(p.copies.map((x) => x.id).sort(), before)) no('copies: are not those of the ledger');
}
