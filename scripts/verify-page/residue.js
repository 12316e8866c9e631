// Scans for what survives of the plaintext (docs/spec/fingerprints.md, "Scan"): the condition residue-scanned.
import { count } from './facts.js';
import { is_object } from './json.js';

const kNumbers = ['objects', 'superseded', 'without', 'common', 'whole', 'files', 'bytes', 'unreadable', 'hits'];
const well_formed = (r) => is_object(r) && r.format === 'kesu-residue-scan-v1' && Array.isArray(r.places) && r.places.length > 0 &&
  typeof r.process === 'string' && kNumbers.every((n) => Number.isSafeInteger(r[n]) && r[n] >= 0) &&
  (!('stored' in r) || (Number.isSafeInteger(r.stored) && r.stored >= 0));

// The last scan of a dataset, where it knew all objects, saw all of its places and found nothing; else null.
async function scan_of(f, ds) {
  const entry = f.graph.about(ds, 'residue-scanned').pop(), first = f.first_intended;
  if (!entry || !first || entry.seq > first.seq) return null;
  const item = f.graph.item(entry, ds), said = f.body(entry);
  if (!item?.d || said?.document !== item.d) return null;
  const record = await f.json_evidence(item.d, 'the record of a scan');
  if (!well_formed(record)) return null;
  const sealed = f.batches.get(ds).sealed;
  if (sealed.some((b) => b.done.seq > entry.seq)) return null;
  const objects = sealed.reduce((n, b) => n + b.item.n, 0), process = record.process;
  const good = record.vault === f.vault && record.dataset === ds && entry.nodes.some((x) => x.id === process) &&
    record.hits === 0 && item.n === 0 && record.bytes === item.b && record.without === 0 && record.unreadable === 0 &&
    record.objects + record.superseded === objects && (record.stored ?? 0) <= record.objects && record.whole <= record.objects && record.files > 0 && record.bytes > 0;
  if (!good) return null;
  const node = f.graph.node(process);
  const began = (node.began ?? []).some(([seq, to]) => seq < entry.seq && to === ds);
  const ended = (node.ended ?? []).some((seq) => seq > entry.seq && seq < first.seq);
  return began && ended ? { entry, record } : null;
}

export async function residue(c) {
  const { f } = c, scans = [];
  for (const ds of f.datasets) scans.push(await scan_of(f, ds));
  c.detail.residue = '', c.rests.residue = [];
  if (!scans.length || scans.includes(null)) return;
  c.holds.add('residue-scanned');
  const names = f.datasets.map((ds) => f.dataset_body(ds)?.name ?? ds);
  c.rests.residue = scans.map((s, i) => 'scan for ' + names[i] + ', entry ' + s.entry.seq);
  c.detail.residue = scans.map(({ record: r }, i) => names[i] + ': ' + count(r.files, 'file') + ', ' + count(r.bytes, 'byte') + ' in ' +
    count(r.places.length, 'place') + ', for ' + count(r.objects, 'object') +
    (r.stored ? ', ' + r.stored + " of them by fingerprints taken at sealing, in blocks of 65536 bytes from a file's start" : '') +
    (r.whole ? ', ' + r.whole + ' of them only as whole files' : '') +
    (r.common ? ', ' + count(r.common, 'common window') + ' not looked for' : '') +
    (r.superseded ? ', ' + r.superseded + ' sealed over not looked for' : '')).join('; ');
}
