// certificate.json against what the bundle gives: every member but those that are the issuer's own word.
import { hex } from './bytes.js';
import { canonical, equal, is_object } from './json.js';
import { count, grouped, kNever } from './facts.js';

const kMembers = ['type', 'id', 'vault', 'organisation', 'erasure', 'stage', 'issued', 'erased', 'program', 'profile', 'tables', 'policy', 'plan', 'test_grade',
  'datasets', 'keys', 'providers', 'copies', 'people', 'claims', 'premises', 'limits', 'inspection', 'ledger', 'signer', 'statement'];
const kLater = ['exceptions', 'evidence_chain'], kRecord = ['contact', 'method', 'verification'];
const kMethod = { id: 'cryptographic-erase', en: 'Cryptographic erase: the keys of encrypted data were discarded, by destroying every key version from which a data key could ever be reached.',
  ja: '暗号化消去：データキーに到達し得たすべての鍵バージョンを破棄し、暗号化されたデータの鍵を廃棄した。' };
const kInspection = { id: 'inspection', en: 'Every object of each provider enumerated before and after, each key, canary and sampled object tried with the keys before and after, beside a control key.',
  ja: '破棄の前後に、鍵の保管装置の全オブジェクトを列挙し、各鍵・カナリア・標本の復号を対照鍵とともに試行した。' };
const kNoInspection = { id: 'none', en: 'No inspection is shown.', ja: '検査は示されていない。' };
const kOrder = ['absent', 'asserted', 'recorded', 'attested', 'proven'];

export function grade(identity, table) {
  for (const row of table.validated)
    if (['manufacturer', 'model', 'firmware'].every((n) => row.match[n] === identity[n])) return { test: false, reason: row.certificate };
  for (const row of table.known_test_grade)
    if (Object.entries(row.match).every(([n, text]) => String(identity[n] ?? '').startsWith(text))) return { test: true, reason: row.reason };
  return { test: true, reason: null };
}

export function evidence_chain(f, people, cms_names) {
  const parts = [['ledger tree', 'Merkle-Tree-SHA-256', 'hash'], ['ledger bodies', 'SHA-256', 'hash'], ['checkpoint signatures', 'Ed25519', 'signature'],
    ['inventory tree', 'Merkle-Tree-SHA-256', 'hash'], ['transcripts, receipts, births', 'SHA-256', 'hash'], ['plan', 'SHA-256', 'hash'],
    ['MANIFEST', 'SHA-512', 'hash'], ...cms_names.map(([name, purpose, part]) => [part, name, purpose])];
  const sums = { sha256: 'SHA-256', sha384: 'SHA-384', sha512: 'SHA-512' };
  const by_name = [...people.officers.values()].filter((o) => o.signed).sort((a, b) => (a.id < b.id ? -1 : 1));
  const signed = [...by_name.map((o) => ['genesis, ' + o.name, o.with]),
    ...people.change_signers().map((one) => ['change ' + one.seq + ', ' + one.name, one.with]),
    ...f.attested.all.map((a) => ['attest ' + a.entry.seq + ', ' + a.officer.name, a.with]),
    ...f.commands.by_person().map((c) => ['commands, ' + c.officer.name, c.with]),
    ...people.counted.map((one) => [one.action + ', ' + one.officer.name, one.with])];
  for (const [part, { algorithm, hash }] of signed) parts.push([part, algorithm, 'signature'], [part + ' (digest)', sums[hash], 'hash']);
  const rows = parts.map(([part, algorithm, purpose]) => {
    const v = f.policy.judge(algorithm, purpose, null);
    return { part, algorithm, purpose, category: v.category, strength_bits: v.bits, horizon_year_new: v.horizon_new, horizon_year_process: v.horizon_process };
  });
  const year = (y) => y ?? 9999;
  return rows.map((r, i) => [r, i]).sort(([a, i], [b, j]) => a.strength_bits - b.strength_bits || year(a.horizon_year_new) - year(b.horizon_year_new) ||
    year(a.horizon_year_process) - year(b.horizon_year_process) || i - j).map(([r]) => r);
}

export function exceptions_of(f) {
  const scope = new Set([...f.datasets, ...f.versions, ...f.copies, f.vault]);
  return f.graph.of_type('exception-recorded').filter((h) => h.nodes.some((x) => scope.has(x.id))).map((h) => {
    const b = f.body(h) ?? {};
    const who = typeof b.operator === 'string' ? f.body(f.graph.about(b.operator, 'operator-enrolled')[0])?.name : '';
    return { what: b.what ?? '', subject: b.subject ?? '', detail: b.detail ?? '', until: b.until ?? null, reason: b.reason ?? '', approver: who ?? '', entry: h.seq };
  });
}

// What the certificate should say; undefined where the specification does not fix the words.
export function expected_certificate(f, people, inspection, found, signer) {
  const times = f.versions.map((v) => f.version.get(v).done).filter((h) => h);
  const erased = f.last_done?.time ?? kNever;
  const datasets = f.datasets.map((ds) => {
    const b = f.dataset_body(ds) ?? {}, inv = f.inventory.get(ds), batches = f.batches.get(ds);
    const out = { id: ds, name: b.name, class: b.class, region: b.region, owner: b.owner, contract: b.contract, locations: b.locations, protection: 'sealed',
      objects: inv.objects, bytes: inv.bytes, batches: batches.sealed.length, inventory_root: inv.root, plaintext_history: b.plaintext_history };
    if (batches.abandoned.length) out.abandoned = batches.abandoned.map((x) => ({ batch: x.id, n: f.graph.item(x.intended, x.id)?.n ?? 0 }));
    return out;
  });
  const keys = f.versions.map((v) => {
    const one = f.version.get(v);
    const out = { version: v, name: one.name, provider: one.provider, destroyed: one.done?.time ?? kNever, result: one.receipt?.result ?? '',
      receipt_lost: one.done_body?.receipt_lost ?? false };
    if (one.origin) out.origin = one.origin;
    if (one.earlier) {
      const b = f.body(f.graph.about(v, 'key-inspected').pop()) ?? {};
      out.inspection = { before: b.before ?? '', after: b.after ?? '' };
    }
    return out;
  });
  const providers = f.providers.map((id) => {
    const b = f.last_body(id, 'provider-added') ?? {}, g = grade(b.identity ?? {}, f.tables.providers);
    return { id, name: b.name, kind: b.identity?.kind, identity: b.identity, test_grade: g.test, reason: g.reason ?? undefined };
  });
  const objects = datasets.reduce((n, d) => n + d.objects, 0), bytes = datasets.reduce((n, d) => n + d.bytes, 0);
  const shas = (which) => inspection.pairs.map((p) => p[which]);
  const out = { type: 'kesu-certificate-v1', vault: f.vault, erasure: f.era, organisation: people.genesis?.organisation, stage: f.graph.state_at(f.era, f.checkpoints.a.size), erased,
    profile: f.plan.profile, plan: f.plan_digest, test_grade: providers.some((p) => p.test_grade), datasets, keys, providers,
    exceptions: exceptions_of(f), people: people.to_certificate(), inspection: { before: shas('before_sha'), after: shas('after_sha'), samples: inspection.sampled },
    ledger: { origin: f.checkpoints.a.origin, size: f.checkpoints.a.size, root: hex(f.checkpoints.a.root) }, signer,
    statement: statement(people.genesis?.organisation, datasets, objects, bytes, keys.length, erased), times };
  if (f.certificate.tables?.claims >= 3) add_record(f, out, inspection);
  return out;
}

// What SP 800-88 Rev. 2 section 4.6 asks for besides; certificates of older tables do not have it.
function add_record(f, out, inspection) {
  const contacts = new Map();
  for (const h of f.graph.of_type('contact-recorded')) {
    if (h.seq >= f.checkpoints.a.size) continue;
    const b = f.body(h);
    if (typeof b?.contact !== 'string' || typeof b.place !== 'string') f.error('ledger/bodies.jsonl', 'entry ' + h.seq + ' (contact-recorded) is not opened');
    else contacts.set(h.nodes[0].id, { contact: b.contact, place: b.place });
  }
  const of = (node) => contacts.get(node) ?? { contact: '', place: '' };
  for (const d of out.datasets) {
    const b = f.dataset_body(d.id) ?? {};
    for (const name of ['service', 'contact', 'asset', 'destination']) d[name] = b[name] ?? '';
  }
  for (const p of out.people) Object.assign(p, of(p.operator));
  Object.assign(out, { contact: of(f.vault), method: kMethod, verification: inspection.pairs.length ? kInspection : kNoInspection });
}

function statement(organisation, datasets, objects, bytes, versions, erased) {
  const n = (x, word) => grouped(x) + count(x, word).slice(String(x).length);
  return {
    en: organisation + ' declares that the data of ' + datasets.map((d) => d.name).join(', ') + ' (' + n(objects, 'object') + ', ' + n(bytes, 'byte') +
      ') was kept only in encrypted form under ' + n(versions, 'key version') + ', and that the last of these was destroyed on ' + erased +
      '. What is proven, attested, recorded, only asserted or not shown at all is stated claim by claim; the limits are part of this statement.',
    ja: organisation + 'は、' + datasets.map((d) => d.name).join('、') + 'のデータ（' + grouped(objects) + 'オブジェクト、' + grouped(bytes) + 'バイト）が' + grouped(versions) +
      '個の鍵バージョンで暗号化された形でのみ保持され、その最後の鍵が' + erased +
      'に破棄されたことを表明する。証明・証言・記録・申告・根拠なしの別は項目ごとに示す。限界の記載は本表明の一部である。' };
}

// Tells where `said` differs from `wanted`; members whose wanted value is undefined are not fixed by the specification.
function compare(said, wanted, path, no) {
  if (wanted === undefined) return;
  if (is_object(wanted) && is_object(said)) {
    for (const name of new Set([...Object.keys(wanted), ...Object.keys(said)])) {
      if (!(name in wanted)) no(path + '.' + name);
      else if (wanted[name] !== undefined && !(name in said)) no(path + '.' + name);
      else compare(said[name], wanted[name], path + '.' + name, no);
    }
  } else if (Array.isArray(wanted) && Array.isArray(said) && said.length === wanted.length) {
    for (const [i, one] of wanted.entries()) compare(said[i], one, path + '[' + i + ']', no);
  } else if (!equal(said, wanted)) no(path);
}

export function check_certificate(f, expected, claims, chain, found) {
  // What came to be known since may be that it is not so: it was withdrawn for that, and is genuine.
  const c = f.certificate, say = f.graph.node(c.id)?.is === 'withdrawn' ? f.note : f.error, no = (what) => say('certificate.json', what);
  const differs = (path) => no(path + ' is not what the bundle gives');
  const first_tables = c.tables?.claims === 1;
  for (const name of kMembers) if (!(name in c)) no(name + ' is missing');
  for (const name of kLater) if ((name in c) === first_tables) no(name + (first_tables ? ' does not belong to tables of version 1' : ' is missing'));
  const with_record = c.tables?.claims >= 3;
  for (const name of kRecord) if ((name in c) !== with_record) no(name + (with_record ? ' is missing' : ' does not belong to tables of that version'));
  for (const name of Object.keys(c)) if (![...kMembers, ...kLater, ...kRecord].includes(name)) no(name + ' is no member of a certificate');
  for (const name of ['claims', 'profiles', 'providers']) {
    const v = c.tables?.[name];
    if (!Number.isInteger(v) || v < 1 || v > f.tables[name].version) no('tables: ' + name + ' of version ' + canonical(v ?? null) + '; this page knows 1 to ' + f.tables[name].version);
  }
  if (Object.keys(c.tables ?? {}).length !== 3) differs('tables');
  for (const name of Object.keys(expected)) if (name in c && name !== 'exceptions') compare(c[name], expected[name], name, differs);
  if ('exceptions' in c) compare(c.exceptions, expected.exceptions, 'exceptions', differs);
  check_claims(f, claims, no);
  check_texts(c.premises, f.premises_of(c.claims), 'premises', f.tables.claims.premises, differs);
  compare(c.limits, all_limits(f, found), 'limits', differs);
  compare(c.copies, found.copies.map((x) => ({ id: x.id, kind: x.body?.kind ?? '', place: x.body?.place ?? '', custodian: x.body?.custodian ?? '', state: x.is ?? '' })), 'copies', differs);
  if (c.evidence_chain) {
    const same_policy = c.policy?.digest === f.policy.digest;
    const cut = (rows) => (same_policy ? rows : rows.map((r) => canonical([r?.part, r?.algorithm, r?.purpose])).sort());
    if (!Array.isArray(c.evidence_chain) || !equal(cut(c.evidence_chain), cut(chain))) differs('evidence_chain');
  }
  if (c.policy?.digest !== f.plan.policy_digest) differs('policy.digest');
}

// What time-stamps and witnesses add came after the issuer had signed, and counts by the reader's anchors: the certificate
// can say of these claims what held without them, and no more.
function before_stamps(f, own, i) {
  const most = { dated: 'absent', logged: 'asserted' }[own.id] ?? 'proven';
  if (kOrder.indexOf(own.level) <= kOrder.indexOf(most)) return own;
  const row = f.tables.claims.claims[i].rows.find((r) => r.level === most);
  return { ...own, level: most, premises: row.premises, rests_on: most === 'absent' ? [] : own.rests_on.slice(0, 1), detail: '' };
}

function check_claims(f, claims, no) {
  const said = f.certificate.claims;
  if (!Array.isArray(said) || !equal(said.map((c) => c?.id), claims.map((c) => c.id))) return no('claims: not the claims of the table, in its order');
  for (const [i, c] of said.entries()) {
    const own = before_stamps(f, claims[i], i), level = kOrder.indexOf(c.level), at = 'claims: ' + c.id;
    for (const name of Object.keys(c)) if (!['id', 'level', 'rests_on', 'premises', 'detail'].includes(name)) no(at + ': ' + name + ' is no member of a claim');
    if (level < 0) no(at + ': level is none');
    else if (level > kOrder.indexOf(own.level)) no(at + ' says ' + c.level + ', the bundle gives ' + own.level);
    else if (c.level === own.level) {
      if (!equal(c.premises, own.premises)) no(at + ': premises is not what the bundle gives');
    } else if (!f.tables.claims.claims[i].rows.some((r) => r.level === c.level)) no(at + ': level is one that no row gives');
    else if (!f.tables.claims.claims[i].rows.some((r) => r.level === c.level && equal(r.premises, c.premises))) no(at + ': premises is not what the bundle gives');
    const lower = level < kOrder.indexOf(own.level);
    if (level > kOrder.indexOf(own.level)) continue;
    if (!(equal(c.rests_on, own.rests_on) || (lower && equal(c.rests_on, [])))) no(at + ': rests_on is not what the bundle gives');
    if (!(c.detail === own.detail || (lower && c.detail === ''))) no(at + ': detail is not what the bundle gives');
  }
}

function check_texts(list, ids, name, table, differs) {
  if (!Array.isArray(list)) return differs(name);
  const wanted = [...ids].sort().map((id) => ({ id, ...table[id] }));
  if (!equal([...list].sort((a, b) => (a?.id < b?.id ? -1 : 1)), wanted)) differs(name);
}

// Those of the providers, then those that the bundle gives, in the order of docs/spec/certificate.md.
export function all_limits(f, found) {
  const row = (id, en, ja) => [{ id, en, ja }], of = (id) => found.limits.filter((l) => l.id === id), sum = (list, name) => list.reduce((n, l) => n + l[name], 0);
  const [lost] = of('other-data-lost'), given_up = of('abandoned-batches'), [names] = of('file-names-readable'), [removed] = of('removed-by-others');
  const data = lost && lost.datasets.slice(0, 20).join(', ') + (lost.datasets.length > 20 ? ', … (' + lost.datasets.length + ')' : '');
  const b = sum(given_up, 'batches'), n = sum(given_up, 'n');
  return [...fixed_limits(f),
    ...(lost ? row(lost.id, 'The destroyed keys also reached datasets that were to be kept, of which the approved plan says nothing: ' + data + '.',
      '破棄された鍵は、保持すべき別のデータセットにも到達していたが、承認された計画にその記載はない：' + data + '。') : []),
    ...(b ? row('abandoned-batches', 'Interrupted batches that were given up (' + b + ', of ' + n + ' objects at most) are not counted: such objects were never seen whole. Their keys were destroyed with the others.',
      '中断して放棄されたバッチ（' + b + '件、最大' + n + 'オブジェクト）は数に含まない。完全な形では確認されていないが、その鍵も他と共に破棄された。') : []),
    ...(names ? row(names.id, 'The names of files and directories at the places sealed to are not covered: ' + names.n + ' objects were sealed under the names of their sources. Whoever reads those places reads the names, also after the keys are gone.',
      '暗号化ファイルの保存先におけるファイル名・ディレクトリ名は対象外である：' + names.n + '件は元の名前のまま保存された。鍵の破棄後も、その場所を読める者は名前を読むことができる。') : []),
    ...(removed ? row(removed.id, 'Between the two inspections others removed objects that kesu did not: ' + removed.subject + '.',
      '二回の検査の間に、kesu 以外によって削除されたオブジェクトがある：' + removed.subject + '。') : [])];
}
export function fixed_limits(f) {
  const t = f.tables.providers, kinds = [...new Set(f.providers.map((id) => f.last_body(id, 'provider-added')?.identity?.kind))].sort();
  return [...t.limits, ...kinds.flatMap((k) => t.kinds[k]?.limits ?? [])];
}
