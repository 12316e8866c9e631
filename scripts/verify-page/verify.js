// The verification of one bundle, from files to the report (docs/spec/certificate.md, "Verification").
import { Attested } from './attest.js';
import { hex, refuse, Refused, unhex, utf8 } from './bytes.js';
import { Bundle } from './bundle.js';
import { Commands, command_sizes } from './commands.js';
import { check_certificate, evidence_chain, expected_certificate, all_limits, exceptions_of, grade } from './recompute.js';
import { check_cms, fingerprint, issued_by, parse_cms, parse_spki } from './pki.js';
import { check_plan, read_plan } from './plan.js';
import { Facts, count } from './facts.js';
import { find_conditions, judge_claim } from './conditions.js';
import { fold_headers, read_bodies, read_checkpoints } from './fold.js';
import { judge_revocation, parse_lists, signer_chain, signer_path, tells_against, unshown } from './chain.js';
import { Holds } from './holds.js';
import { inspect, removed_by_others } from './inspect.js';
import { judge_object } from './objects.js';
import { canonical, equal, parse_json, is_object, is_time, text_of } from './json.js';
import { name_text } from './names.js';
import { People } from './people.js';
import { read_countersignature } from './persons.js';
import { Policy } from './policy.js';
import { check_birth, check_ref } from './probe.js';
import { kEnded, read_renewals, stands } from './renewals.js';
import { counts_not, countersignature_time, kMinute, read_stamps } from './time.js';
import { self_test, sha256 } from './hash.js';
import { read_waiting, unshown_wait, waiting_sizes } from './waiting.js';

const kOrderOfVerify = ['absent', 'asserted', 'recorded', 'attested', 'proven'];

// `texts`: the built-in data, as it stands in the repository: {claims, profiles, providers, policy}.
export function load_tables(texts) {
  return { claims: JSON.parse(texts.claims), profiles: JSON.parse(texts.profiles), providers: JSON.parse(texts.providers), policy: new Policy(texts.policy),
    profiles_digest: hex(sha256(utf8(texts.profiles))) };
}

// `input`: {files: Map path → Blob, objects: [[name, Blob]], trust, profile, allow_test_grade}; `progress(text, n)`.
export async function verify(input, tables, progress = () => {}) {
  await self_test();
  const report = { verdict: 'invalid', certificate: '', organisation: '', erased: '', issued: '', claimed_profile: '', required_profile: input.profile, as_of: 0,
    withdrawn: false, test_grade: true, signer_known: false, revocation: { state: 'not-asked', why: '' }, log_known: false, officers_known: false, claims: [], premises: [], limits: [], exceptions: [],
    evidence_chain: [], objects: [], time: [], shortfalls: [], errors: [] };
  // What is genuine and does not count is told, and makes nothing invalid by itself.
  const noted = new Set();
  const note = (part, what) => {
    if (!report.errors.some((e) => e.part === part && e.what === what)) (report.errors.push({ part, what }), noted.add(part + '\n' + what));
  };
  const error = (part, what) => {
    noted.delete(part + '\n' + what);
    if (!report.errors.some((e) => e.part === part && e.what === what)) report.errors.push({ part, what });
  };
  const bundle = new Bundle(input.files, error);
  bundle.check_layout();
  const f = await guarded(error, 'bundle', () => read_all(bundle, tables, error, report, progress));
  if (f) f.note = note;
  if (f) await guarded(error, 'certificate.json', () => judge(f, input, tables, report, progress));
  const bar = tables.profiles.profiles[input.profile];
  if (f?.done) shortfalls(f, input, bar, report);
  else if (report.errors.length === 0) error('bundle', 'cannot be read, so nothing can be shown');
  report.verdict = report.errors.some((e) => !noted.has(e.part + '\n' + e.what)) ? 'invalid' : report.shortfalls.length ? 'incomplete' : 'complete';
  return { report, view: f?.done ? f.view : null };
}

async function guarded(error, part, call) {
  try {
    return await call();
  } catch (e) {
    if (e instanceof Refused) error(e.part ?? part, e.message);
    else if (e instanceof TypeError || e instanceof RangeError) error(part, 'is not in the form that it should have (' + e.message + ')');
    else throw e;
    return null;
  }
}
async function of_part(part, call) {
  try {
    return await call();
  } catch (e) {
    if (e instanceof Refused && !e.part) e.part = part;
    throw e;
  }
}

// Everything that must be read before anything can be shown: null where it cannot.
async function read_all(bundle, tables, error, report, progress) {
  if (bundle.has('MANIFEST')) await guarded(error, 'MANIFEST', () => bundle.check_manifest());
  const give_up = (part) => (error(part, 'cannot be read, so nothing can be shown'), null);
  const checkpoints = await read_checkpoints(bundle, error);
  if (!checkpoints) return give_up('ledger/headers.gz');
  report.as_of = checkpoints.b.size;
  const bodies = await guarded(error, 'ledger/bodies.jsonl', () => read_bodies(bundle));
  const plan = await guarded(error, 'plan.json', () => read_plan(bundle));
  if (!bodies) return give_up('ledger/bodies.jsonl');
  const sizes = [checkpoints.a.size, plan?.plan.ledger?.size, ...[...bodies.values()].map((b) => b.body?.head?.size), ...waiting_sizes(bodies), ...(await command_sizes(bundle))].filter(Number.isInteger);
  const folded = await guarded(error, 'ledger/headers.gz', () => fold_headers(bundle, checkpoints, bodies, sizes, (n) => progress('headers', n)));
  if (!folded) return give_up('ledger/headers.gz');
  for (const n of folded.body_wrong) error('ledger/bodies.jsonl', 'the body of entry ' + n + ' is not what its header\'s hash says');
  for (const [n, b] of bodies) if (!b.header) error('ledger/bodies.jsonl', 'has a body of entry ' + n + ', which is not there');
  if (folded.body_wrong.length) return give_up('ledger/bodies.jsonl');
  const certificate = await guarded(error, 'certificate.json', async () => {
    const c = parse_json(await bundle.bytes('certificate.json'));
    if (!is_object(c)) refuse('is no JSON object');
    for (const name of ['type', 'id', 'issued', 'organisation', 'profile', 'program']) text_of(c, name);
    if (c.type !== 'kesu-certificate-v1') refuse('type is not what the bundle gives');
    if (!is_time(c.issued)) refuse('issued is no time');
    return c;
  });
  if (!certificate) return give_up('certificate.json');
  if (!plan) return give_up('certificate.json');
  progress('claims', 0);
  return new Facts({ bundle, error, graph: folded.graph, roots: folded.roots, times: folded.times, bodies, checkpoints, certificate, plan: plan.plan, plan_digest: plan.digest, tables,
    policy: tables.policy });
}

async function judge(f, input, tables, report, progress) {
  const { certificate: c, error, bundle } = f;
  Object.assign(report, { certificate: c.id, organisation: c.organisation, issued: c.issued, claimed_profile: c.profile });
  await f.gather();
  f.providers_of_run = [...new Set(f.by_run.map((v) => f.version.get(v).provider))].sort();
  f.providers = [...new Set(f.versions.map((v) => f.version.get(v).provider))].sort();
  for (const path of bundle.paths('evidence/'))
    if (hex(sha256(await bundle.bytes(path))) !== path.slice(9)) error(path, 'is not what its name says');
  const known_inventories = new Set(f.datasets.map((ds) => 'inventory/' + ds + '.leaves'));
  for (const path of bundle.paths('inventory/')) if (!known_inventories.has(path)) error(path, 'is of no dataset of this erasure');
  const people = new People(f);
  await people.read_genesis();
  await people.read_approvals();
  f.holds = new Holds(f, people);
  await f.holds.follow();
  f.attested = new Attested(f, people);
  await f.attested.follow();
  f.commands = new Commands(f, people);
  await f.commands.follow();
  check_plan(f, people);
  const signer = await read_signer(f);
  await check_issued(f);
  check_reach(f);
  await check_ledger_key(f);
  await check_references(f);
  check_once(f);
  for (const v of f.versions) {
    const done = f.version.get(v).done_body;
    if (done?.receipt_lost && done.transcript) await f.transcript(done.transcript);
  }
  const inspection = await inspect(f);
  inspection.removed = await removed_by_others(f, inspection);
  const verified = f.graph.about(f.era, 'erasure-verified').pop();
  const again = verified ? await inspect(f, verified) : null;
  f.lists = [...input.trust.signer_crls, ...(await own_lists(f))];
  const bound = people.in_force()?.anchors;
  f.waiting = await read_waiting(f);
  const stamps = await read_stamps(f, signer.cms, input.trust, f.lists, bound);
  await read_renewals(f, stamps, input.trust, f.lists, bound, Date.now());
  const found = await find_conditions(f, people, inspection, input.trust, signer.names, stamps, again);
  f.stamps = stamps;
  report.time = stamps.rows;
  const claims = tables.claims.claims.map((d) => {
    const row = judge_claim(d, found.holds), absent = row.level === 'absent';
    return { id: d.id, level: row.level, rests_on: absent ? [] : found.rests[d.id] ?? [], detail: found.detail[d.id] ?? '', premises: row.premises, says: row.says,
      title: d.title };
  });
  f.premises_of = (list) => [...new Set((list ?? []).flatMap((x) => (Array.isArray(x?.premises) ? x.premises : [])))].filter((id) => tables.claims.premises[id]);
  const chain = evidence_chain(f, people, signer.names);
  const expected = expected_certificate(f, people, inspection, found, signer.certificate);
  delete expected.times;
  check_certificate(f, expected, claims, chain, found);
  await fill(f, input, report, { people, inspection, found, claims, chain, signer, tables });
  await read_countersignatures(f, input.trust, report);
  report.signer_known = await signer_known(f, input.trust, report);
  for (const [i, [name, file]] of input.objects.entries())
    report.objects.push(await judge_object(f, name, file, (part) => progress('objects', i + part)));
  f.done = true;
  f.view = { claims, certificate: c, datasets: expected.datasets, keys: expected.keys, people: expected.people, holds: [...found.holds], stage: expected.stage };
}

// Checkpoint A covers the whole erasure.
function check_reach(f) {
  const a = f.checkpoints.a.size, state = f.graph.state_at(f.era, a), no = (what) => f.error('ledger/checkpoint-a', 'does not cover ' + what);
  if (!['destroyed', 'verified', 'validated'].includes(state)) no('the erasure, which is ' + (state || 'not there') + ' as of it');
  for (const v of f.versions)
    for (const h of f.graph.about(v, 'destroy-intended', 'destroy-done')) if (h.seq >= a) no('entry ' + h.seq + ' (' + h.type + ')');
}

// The certificate's signature and who made it.
async function read_signer(f) {
  const { bundle, error } = f, c = f.certificate;
  const out = { names: [], certificate: undefined, x509: null };
  const chain = await guarded(error, 'trust/signer.pem', async () => of_part('trust/signer.pem', async () => signer_chain(await bundle.text('trust/signer.pem'))));
  if (!chain) return out;
  const x509 = chain[0];
  out.x509 = x509;
  out.chain = chain;
  const cms = await guarded(error, 'certificate.json.p7s', async () => parse_cms(await bundle.bytes('certificate.json.p7s')));
  if (cms) {
    const wrong = await guarded(error, 'certificate.json.p7s', async () => check_cms(cms, await bundle.bytes('certificate.json'), chain));
    for (const what of wrong ?? []) error('certificate.json.p7s', what);
    const k = x509.key, curve = { 'P-256': 'ECDSA-P256', 'P-384': 'ECDSA-P384', 'P-521': 'ECDSA-P521' }[k.curve];
    const name = k.kind === 'EC' ? curve : k.kind === 'Ed25519' ? 'Ed25519' : (cms.algorithm.scheme === 'RSA-PSS' ? 'RSA-PSS' : 'RSASSA-PKCS1-v1_5') + '-' +
      cms.hash.replace('-', '') + ':bits=' + k.bits;
    out.names = [[name, 'signature', 'certificate signature'], [cms.hash, 'hash', 'certificate digest (CMS)'],
      [cms.certificate_hash ?? 'SHA-256', 'hash', 'signer\'s certificate, named in CMS']];
  }
  const sum = await fingerprint(x509);
  const said = is_object(c.signer) ? c.signer.version : '';
  const created = f.body(f.graph.about(said, 'key-created').pop());
  if (!created || created.purpose !== 'sign-certificate' || created.ref?.public_key !== hex(x509.spki)) error('certificate.json', 'signer.version is not what the bundle gives');
  out.certificate = { certificate: sum, self_signed: await issued_by(x509, x509), version: undefined };
  out.sum = sum;
  out.cms = cms;
  return out;
}

// certificate-issued binds MANIFEST, which binds everything else.
async function check_issued(f) {
  const { certificate: c, error, bundle } = f;
  const h = f.graph.about(c.id, 'certificate-issued').pop();
  if (!h) return error('ledger/headers.gz', 'no entry says that this certificate was issued');
  const item = f.graph.item(h, c.id), raw = await bundle.bytes('MANIFEST');
  if (h.seq < f.checkpoints.a.size) error('ledger/headers.gz', 'certificate-issued stands before checkpoint A');
  if (item.of !== f.era) error('ledger/headers.gz', 'certificate-issued is of another erasure');
  if (item.d !== hex(new Uint8Array(await crypto.subtle.digest('SHA-512', raw)))) error('MANIFEST', 'is not what certificate-issued says');
  const b = f.body(h);
  if (!b) return error('ledger/bodies.jsonl', 'certificate-issued is not opened');
  const sums = { certificate: 'certificate.json', signature: 'certificate.json.p7s', manifest: 'MANIFEST' };
  for (const [name, path] of Object.entries(sums))
    if (b[name] !== hex(sha256(await bundle.bytes(path)))) return error('ledger/bodies.jsonl', 'certificate-issued names another certificate, signature or MANIFEST');
}

async function check_ledger_key(f) {
  const entry = f.graph.of_type('ledger-key-set').filter((h) => h.seq < f.checkpoints.a.size).pop(), b = entry && f.body(entry);
  if (entry && !b) return f.error('ledger/bodies.jsonl', 'entry ' + entry.seq + ' (ledger-key-set) is not opened');
  if (!b || b.vkey !== f.checkpoints.vkey.text) return f.error('trust/ledger.vkey', 'is not the key that the ledger names (ledger-key-set)');
  const created = f.body(f.graph.about(entry.nodes[0].id, 'key-created').pop());
  const key = created && (await guarded(f.error, 'ledger/bodies.jsonl', () => parse_spki(unhex(created.ref.public_key))));
  if (!key || key.kind !== 'Ed25519' || hex(key.raw) !== hex(f.checkpoints.vkey.key)) f.error('trust/ledger.vkey', 'is not the key whose birth the ledger shows');
  const origin = f.body(f.graph.of_type('genesis')[0])?.origin;
  if (origin !== undefined && origin !== f.checkpoints.vkey.name) f.error('trust/ledger.vkey', 'is of another origin than entry 0 says');
}

async function fill(f, input, report, { people, inspection, found, claims, chain, signer, tables }) {
  const bar = tables.profiles.profiles[input.profile];
  const graded = f.providers.map((id) => grade(f.last_body(id, 'provider-added')?.identity ?? {}, tables.providers));
  report.erased = typeof f.certificate.erased === 'string' ? f.certificate.erased : '';
  report.test_grade = graded.length === 0 || graded.some((g) => g.test);
  report.withdrawn = f.graph.node(f.certificate.id).is === 'withdrawn';
  report.claims = claims.map((x) => ({ id: x.id, level: x.level, least: bar.claims[x.id], rests_on: x.rests_on, detail: x.detail }));
  const ids = [...new Set(claims.flatMap((x) => x.premises))].sort();
  report.premises = ids.map((id) => ({ id, ...tables.claims.premises[id] }));
  report.limits = all_limits(f, found);
  report.exceptions = exceptions_of(f);
  report.evidence_chain = chain;
  report.log_known = input.trust.logs.some((k) => k.text === f.checkpoints.vkey.text);
  report.officers_known = people.known(input.trust) && f.attested.known(input.trust) && f.commands.known(input.trust) && (await officers_lead(f, people, input.trust.officers_cas));
  f.signer = signer;
  f.people = people;
  f.inspection = inspection;
  f.found = found;
}

// Of every version that something here rests on: the entry of its birth, its header and its record say one thing.
async function check_references(f) {
  const first = (type) => f.graph.of_type(type).map((h) => h.nodes[0].id);
  const wanted = new Set([...f.versions, ...first('ledger-key-set'), ...f.plan.providers.map((p) => p.control)]);
  for (const h of f.graph.of_type('key-created')) {
    const b = f.body(h), id = h.nodes[0].id;
    if (!b || !(wanted.has(id) || b.purpose === 'sign-certificate')) continue;
    await guarded(f.error, 'entry ' + h.seq, async () => {
      check_ref(b.ref);
      text_of(b, 'name');
      text_of(b, 'birth');
      if (b.ref.version !== id) refuse('ref is of ' + b.ref.version);
      if (b.ref.purpose !== b.purpose) refuse('purpose is not that of ref');
      if (hex(sha256(unhex((b.ref.canary?.digest ?? '') + b.ref.public_key))) !== h.nodes[0].d) refuse('d is not the digest of canary and public key');
    });
    const birth = await f.json_evidence(b.birth, 'birth', check_birth);
    if (birth && !equal(birth.ref, b.ref)) f.error('evidence/' + b.birth, 'the birth record is of another key');
  }
  for (const h of f.providers.flatMap((id) => f.graph.about(id, 'provider-added'))) {
    const b = f.body(h);
    if (b && hex(sha256(utf8(canonical(b.identity ?? null)))) !== h.nodes[0].d) f.error('entry ' + h.seq, 'd is not the digest of identity');
  }
}

// What begins a node is said of it once.
function check_once(f) {
  const about = { 'dataset-added': f.datasets, 'provider-added': f.providers, 'key-created': null, 'seal-done': null, 'certificate-issued': null,
    'operator-enrolled': null };
  for (const [type, ids] of Object.entries(about)) {
    const seen = new Set();
    for (const h of f.graph.of_type(type))
      for (const { id, is } of h.nodes) {
        if (is === undefined || (ids && !ids.includes(id))) continue;
        if (seen.has(id)) f.error('entry ' + h.seq, type === 'operator-enrolled' ? id + ' is enrolled a second time' : 'a second ' + type + ' of ' + id);
        seen.add(id);
      }
  }
}

async function own_lists(f) {
  const part = 'trust/signer.crl';
  return (f.bundle.has(part) && (await guarded(f.error, part, async () => of_part(part, async () => parse_lists(await f.bundle.bytes(part)))))) || [];
}

// A certificate that the reader names is his own decision; a path to his anchor holds unless it is shown to be revoked.
async function signer_known(f, trust, report) {
  const s = f.signer;
  if (!s.x509) return false;
  if (trust.signers.includes(s.sum)) return true;
  const time = f.stamps.second ?? Date.parse(f.certificate.issued);
  const path = await signer_path(s.x509, s.chain, trust.signer_cas, time);
  if (!path) return false;
  if (path.length > 1) report.revocation = await judge_revocation(path, f.lists, time, f.stamps.second !== null);
  return !tells_against(report.revocation);
}

// Others' signatures over certificate.json, each in a file of its own, numbered from 2 on.
async function read_countersignatures(f, trust, report) {
  const there = f.bundle.paths('certificate.json.').filter((p) => /^certificate\.json\.[0-9]+\.p7s$/.test(p)).length, rows = [];
  for (let n = 2; n < 2 + there; ++n) {
    const path = 'certificate.json.' + n + '.p7s';
    if (!f.bundle.has(path)) f.error(path, 'is missing: countersignatures are numbered from 2 on without a gap');
    else await guarded(f.error, path, async () => {
      const { cms, signer, wrong } = await read_countersignature(await f.bundle.bytes(path), await f.bundle.bytes('certificate.json'));
      for (const what of wrong) f.error(path, what);
      if (wrong.length) return;
      const lasts = async (t) => (trust.renewal_required && !(await stands(f, trust, t, Date.now())) ? kEnded : '');
      const stamp = await countersignature_time(cms, path, trust, f.lists, lasts), t = stamp?.t;
      if (t && Date.parse(f.certificate.issued) > t.time + (t.accuracy ?? 0) + kMinute) f.error(path, 'its time-stamp is older than the certificate');
      const sum = await fingerprint(signer);
      rows.push({ file: path, signer: name_text(signer.subject), certificate: sum, known: trust.countersigners.includes(sum), time: stamp?.row ?? null,
        valid: stamp?.row.trusted ? signer.not_before <= t.time && t.time <= signer.not_after + 999 : null });
    });
  }
  if (rows.length) report.countersignatures = rows;
}

// Where the reader asks for an authority: each certificate leads to it, by what came along in the signature.
async function officers_lead(f, people, anchors) {
  for (const one of anchors.length ? [...people.counted, ...f.attested.all] : []) {
    const { certificate } = one.officer.key;
    if (certificate && !(await signer_path(certificate, one.with.carried, anchors, Date.parse(one.entry.time)))) return false;
  }
  return true;
}

function shortfalls(f, input, bar, report) {
  const out = report.shortfalls, profile = 'profile ' + input.profile;
  if (!report.signer_known)
    out.push('the signer of the certificate is not identified: ' + (tells_against(report.revocation) ? report.revocation.why : 'no line of the trust file names it'));
  if (!report.log_known) out.push('the ledger\'s key is not identified: no log line of the trust file names it');
  if (!report.officers_known)
    out.push('the officers who signed are not identified: the trust file does not have all of their keys for what they signed, and when, or a certificate of theirs does not lead to an authority that it names');
  const below = new Set(report.claims.filter((c) => kOrderOfVerify.indexOf(c.level) < kOrderOfVerify.indexOf(c.least)).map((c) => c.id));
  for (const c of report.claims) if (below.has(c.id)) out.push(c.id + ' is ' + c.level + '; ' + profile + ' asks for ' + c.least);
  const not_waited = bar.timestamp ? unshown_wait(f, f.found, (s) => s.row.trusted) : '';
  if (bar.timestamp) {
    // Those that are missed: of the waiting period where it is not shown without them.
    const missed = (row) => (f.waiting.some((s) => s.row === row) ? not_waited : below.has(row.over === 'ledger/checkpoint-b' ? 'logged' : 'dated'));
    for (const row of f.stamps.rows) if (!row.trusted && missed(row)) out.push(counts_not(row));
    const rows = f.stamps.rows.filter((r) => r.trusted).map((r) => ['authority of the time-stamp over ' + r.over, r.revocation]);
    for (const [whose, x] of [['signer\'s certificate', report.revocation], ...rows])
      if (unshown(x)) out.push('whether the ' + whose + ' was revoked is not shown: ' + x.why + '; ' + profile + ' asks for it');
  }
  if (f.found.quorum < bar.quorum) out.push('approved by a quorum of ' + f.found.quorum + '; ' + profile + ' asks for ' + bar.quorum);
  if (f.found.waiting < bar.waiting_seconds) out.push('waiting period of ' + count(f.found.waiting, 'second') + '; ' + profile + ' asks for ' + bar.waiting_seconds);
  if (not_waited) out.push('that the waiting period passed is shown by the host\'s clock alone: ' + not_waited + '; ' + profile + ' asks for time-stamps');
  if (f.found.witnesses < bar.witness_quorum)
    out.push((f.found.short_of_rules ?? f.found.witnesses + ' trusted witness' + (f.found.witnesses === 1 ? '' : 'es')) + '; ' + profile + ' asks for ' + bar.witness_quorum);
  else if (bar.witness_quorum && f.found.witnesses < (input.trust.quorum ?? 1))
    out.push(f.found.witnesses + ' trusted witness' + (f.found.witnesses === 1 ? '' : 'es') + '; the trust file asks for ' + input.trust.quorum);
  if (bar.bind_payload)
    for (const ds of f.datasets) {
      const b = f.dataset_body(ds);
      if (b?.bind_payload !== true) out.push('the payloads of ' + (b?.name ?? ds) + ' are not bound to the inventory; ' + profile + ' asks for it');
    }
  const boots = f.by_run.map((v) => f.version.get(v).intended_body?.actor?.boot_id ?? '');
  const restarted = f.inspection.boots.length > 0 && boots.every((b) => b) && f.inspection.boots.every((a) => a && !boots.includes(a));
  if (bar.restart && !restarted) out.push('no restart of the machine is shown between destruction and inspection; ' + profile + ' asks for it');
  if (bar.signed_commands && !f.people.in_force()?.signed_commands) out.push('the rules in force at the request do not ask for signed commands; ' + profile + ' asks for them');
  if (report.test_grade && !input.allow_test_grade) out.push('TEST GRADE: a provider without a validation certificate held the keys');
  if (report.withdrawn) out.push('the certificate was withdrawn');
  for (const o of report.objects) if (o.result !== 'covered') out.push(o.path + ': ' + o.result);
}
