// A ledger header: its one form, its members, and the table of types (docs/spec/ledger.md).
import { refuse } from './bytes.js';
import { parse_json_text, members, is_time } from './json.js';

const kId = /^(vlt|prv|ds|dsk|obj|bat|prc|era|cer|cpy|hld|doc|opr)-[0-9a-f]{32}$/;
const kVersion = /^key-[0-9a-f]{32}\.[1-9][0-9]{0,9}$/;
const kKey = /^key-[0-9a-f]{32}$/;

// Kind of an identifier: its prefix; `ver` for a key version.
export function kind_of(id) {
  if (typeof id !== 'string') return null;
  const m = kId.exec(id);
  if (m) return m[1];
  return kVersion.test(id) ? 'ver' : kKey.test(id) ? 'key' : null;
}

const live = ['pre-activation', 'active', 'suspended', 'deactivated', 'compromised'];
// kind, states (null: no state), members besides, those that may be left out, kinds of `of`; then edges' kinds.
const row = (kind, is, need = '', may = '', of = '', from = '', to = '') => ({ kind, is, need, may, of, from, to });
const kTypes = {
  genesis: [row('vlt', ['open'], 'd')],
  'vault-closed': [row('vlt', ['closed'])],
  'operator-enrolled': [row('opr', ['enrolled'])],
  'operator-revoked': [row('opr', ['revoked'])],
  'rules-changed': [row('vlt', null, 'd'), row('opr', ['enrolled', 'revoked']), row('opr', null)],
  'provider-added': [row('prv', ['open'], 'd')],
  'provider-closed': [row('prv', ['closed'], '', 'd')],
  'provider-rekeyed': [row('prv', null)],
  'key-intended': [row('ver', ['intended'], 'of', '', 'prv')],
  'key-created': [row('ver', ['pre-activation', 'active'], 'of d', '', 'prv')],
  'key-abandoned': [row('ver', ['absent'])],
  'key-state-changed': [row('ver', ['active', 'suspended', 'deactivated', 'compromised', 'destroyed-compromised'])],
  'key-inspected': [row('ver', null)],
  'key-attested': [row('ver', null), row('opr', null)],
  'ledger-key-set': [row('ver', null)],
  'dataset-added': [row('ds', ['open'])],
  'dataset-updated': [row('ds', null)],
  'dataset-frozen': [row('ds', ['frozen'], 'of', '', 'era')],
  'dataset-unfrozen': [row('ds', ['open'], 'of', '', 'era')],
  'dataset-key-created': [row('dsk', ['active'], 'of', '', 'ds', 'ver', 'dsk')],
  'dataset-key-rewrapped': [row('dsk', null, '', '', '', 'ver', 'dsk')],
  'fingerprint-key-created': [row('dsk', ['active'], 'of', '', 'ds', 'ver', 'dsk')],
  'process-started': [row('prc', ['alive'], 't', '', '', 'prc', 'ds')],
  'process-ended': [row('prc', ['ended'])],
  'seal-intended': [row('bat', ['intended'], 'of n', '', 'ds', 'ver dsk', 'bat')],
  'seal-done': [row('bat', ['sealed'], 'of n b d', '', 'ds')],
  'seal-abandoned': [row('bat', ['abandoned'], 'of', '', 'ds')],
  'objects-opened': [row('prc', null, '', '', '', 'prc', 'ds'), row('ds', null, 'n')],
  'residue-scanned': [row('ds', null, 'n b d')],
  'rewrap-intended': [row('bat', null, 'n', '', '', 'ver dsk', 'bat')],
  'rewrap-done': [row('bat', null, 'n')],
  'copy-registered': [row('cpy', ['open'], '', '', '', 'cpy', 'ver')],
  'copy-ended': [row('cpy', ['ended'])],
  'hold-placed': [row('hld', ['placed'], 'of', '', 'ds ver')],
  'hold-released': [row('hld', ['released'], '', 'of', 'ds ver')],
  'erasure-requested': [row('era', ['requested'], 'd')],
  'erasure-approved': [row('era', ['requested', 'approved']), row('opr', null)],
  'erasure-rejected': [row('era', ['rejected'])],
  'erasure-cancelled': [row('era', ['cancelled'])],
  'erasure-failed': [row('era', ['failed'])],
  'erasure-stamped': [row('era', null, 'd')],
  'erasure-started': [row('era', ['running'])],
  'destroy-intended': [row('ver', ['destroying'], '', 'of', 'era')],
  'destroy-done': [row('ver', ['destroyed', 'destroyed-compromised'], '', 'of', 'era')],
  'destroy-failed': [row('ver', live, '', 'of', 'era')],
  'erasure-inspected': [row('era', ['destroyed'])],
  'dataset-erased': [row('ds', ['erased'], 'of n b d', '', 'era')],
  'erasure-verified': [row('era', ['verified']), row('opr', null)],
  'erasure-validated': [row('era', ['validated']), row('opr', null)],
  'certificate-issued': [row('cer', ['issued'], 'of d', '', 'era')],
  'certificate-renewed': [row('cer', null, 'd')],
  'certificate-withdrawn': [row('cer', ['withdrawn'])],
  'document-attached': [row('doc', ['attached'], 'd')],
  'notice-issued': [row('doc', ['attached'], 'of d', '', 'era')],
  'notice-superseded': [row('doc', ['attached'], 'of d', '', 'era')],
  'failure-reported': [row('doc', ['attached'], 'of d', '', 'era')],
  'contact-recorded': [row('any', null)],
  'exception-recorded': [row('any', null)],
  'finding-recorded': [row('any', null)],
};
for (const rows of Object.values(kTypes))
  for (const r of rows) for (const name of ['need', 'may', 'of', 'from', 'to']) r[name] = r[name] === '' ? [] : r[name].split(' ');
const kStretched = ['dsk', 'bat', 'cpy', 'prc', 'ds'];

function check_item(item, rows, type) {
  members(item, ['id'], ['is', 'of', 'n', 'b', 'd', 't']);
  const kind = kind_of(item.id);
  if (!kind || kind === 'key') refuse('an identifier out of form');
  const names = Object.keys(item).filter((n) => n !== 'id');
  if ('of' in item && !kind_of(item.of)) refuse('an identifier out of form');
  for (const n of ['n', 'b']) if (n in item && (!Number.isInteger(item[n]) || item[n] < 0)) refuse('a count out of range');
  if ('d' in item && !(kind === 'cer' ? /^[0-9a-f]{128}$/ : /^[0-9a-f]{64}$/).test(item.d)) refuse('a digest out of form');
  if ('t' in item && !is_time(item.t)) refuse('a time out of form');
  const own = rows.filter((x) => x.kind === kind);
  if (names.length === 0 && (own.length === 0 || own.some((x) => !x.is && !x.need.length))) return;
  const r = own[0];
  if (!r) refuse('says something of ' + item.id + ', which ' + type + ' does not');
  const wanted = [...(r.is ? ['is'] : []), ...r.need];
  for (const n of wanted) if (!(n in item)) refuse(n + ' of ' + item.id + ' is missing');
  for (const n of names) if (!wanted.includes(n) && !r.may.includes(n)) refuse(n + ' of ' + item.id + ' does not belong to ' + type);
  if (r.is && !r.is.includes(item.is)) refuse(type + ' does not make ' + item.id + ' ' + item.is);
  if ('of' in item && !r.of.includes(kind_of(item.of))) refuse('of names another kind of node');
}

// `text`: the canonical header. Checked whole; refused by name.
export function parse_header(text) {
  if (text.length > 512) refuse('a header of more than 512 bytes');
  const h = parse_json_text(text);
  members(h, ['v', 'seq', 'time', 'type', 'nodes', 'edges']);
  if (h.v !== 1) refuse('written by version ' + h.v + ' of the ledger; this page reads version 1');
  if (!Number.isInteger(h.seq) || h.seq < 0) refuse('seq out of range');
  if (!is_time(h.time)) refuse('a time out of form');
  const rows = Object.hasOwn(kTypes, h.type) ? kTypes[h.type] : refuse('the type ' + JSON.stringify(h.type) + ' is not known');
  if ((h.type === 'genesis') !== (h.seq === 0)) refuse('genesis is entry 0, and no other');
  if (!Array.isArray(h.nodes) || h.nodes.length < 1 || h.nodes.length > 6) refuse('not 1 to 6 nodes');
  if (!Array.isArray(h.edges)) refuse('edges is no list');
  const ids = new Set();
  for (const item of h.nodes) {
    check_item(item, rows, h.type);
    if (ids.has(item.id)) refuse(item.id + ' stands twice');
    ids.add(item.id);
  }
  const first = rows[0];
  if (!h.nodes.some((x) => first.kind === 'any' || (kind_of(x.id) === first.kind && (first.is || first.need.length ? Object.keys(x).length > 1 : true))))
    refuse('no node as ' + h.type + ' needs it');
  const seen = new Set(), ends = new Set();
  for (const e of h.edges) {
    if (!Array.isArray(e) || e.length !== 2) refuse('an edge out of form');
    const [from, to] = e;
    if (!first.from.includes(kind_of(from)) || !first.to.includes(kind_of(to))) refuse('an edge that ' + h.type + ' does not have');
    const key = from + ' ' + to;
    if (seen.has(key)) refuse('an edge twice');
    seen.add(key);
    ends.add(from).add(to);
    // What stretches: the new or moved node of the two is among the entry's nodes.
    const own = h.type === 'copy-registered' || h.type === 'process-started' ? from : to;
    if (!ids.has(own)) refuse('an edge to or from ' + own + ', which is not among the nodes');
  }
  if (first.from.length && h.type !== 'process-started')
    for (const x of h.nodes) {
      const kind = kind_of(x.id);
      const must = h.type === 'objects-opened' ? kind === 'ds' : kStretched.includes(kind) && (first.to.includes(kind) || first.from.includes(kind));
      if (must && !ends.has(x.id)) refuse(x.id + ' is the end of no edge');
    }
  return h;
}
