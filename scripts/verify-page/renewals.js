// Renewals: manifests over the whole bundle, time-stamped before what they renew has ended (docs/spec/certificate.md,
// "Renewals").
import { hex, lines_of, refuse, Refused, utf8 } from './bytes.js';
import { digest, sha256 } from './hash.js';
import { header_lines } from './fold.js';
import { is_object } from './json.js';
import { outside_manifest } from './bundle.js';
import { chain_file } from './pki.js';
import { Sha512 } from './sha512.js';
import { check_token, stamp_of_rules, stamp_path, token_of_answer, token_row } from './time.js';

const kRenewal = /^renewal\/([1-9][0-9]{0,3})\.(ledger|manifest|manifest\.tsr|tsa\.pem)$/;
const kRenewalFiles = ['ledger', 'manifest', 'manifest.tsr', 'tsa.pem'];
export const kEnded = 'its authority\'s certificate or an algorithm has ended, and no renewal covers it until now';
const kOverSignature = ['signature', 'certificate.json.p7s'];

// 'must', 'may' or '' : whether renewal n hashes that file.
function covered(path, n) {
  if (path === 'MANIFEST' || path === 'ledger/checkpoint-a') return 'must';
  if (path.startsWith('approvals/release.')) return 'may';
  const m = kRenewal.exec(path);
  if (m) return Number(m[1]) < n || (Number(m[1]) === n && m[2] === 'ledger') ? 'must' : '';
  return outside_manifest(path) ? '' : 'must';
}

const year_of = (time) => new Date(time).getUTCFullYear();

// The last year in which the policy takes what the token is made with.
function last_year(policy, t) {
  const k = t.certificate.key;
  const signature = k.kind === 'EC' ? { 'P-256': 'ECDSA-P256', 'P-384': 'ECDSA-P384', 'P-521': 'ECDSA-P521' }[k.curve] : 'RSA-PSS:bits=' + k.bits + ',hash=SHA-384';
  const years = [[signature, 'signature'], [t.algorithm.split(' ').pop(), 'hash'], [t.hash, 'hash']].map(([name, purpose]) => policy.judge(name, purpose, null).horizon_process);
  return Math.min(...years.map((y) => y ?? 9999));
}

export async function stands(f, trust, t, time) {
  return (await stamp_path(t.certificate, [...t.pool, ...t.extra], trust.tsa_cas, time)).why === '' && year_of(time) <= last_year(f.policy, t);
}

async function sum512(f, path) {
  return hex(await digest('SHA-512', await f.bundle.bytes(path)));
}

async function check_renewal_manifest(f, n) {
  const missing = new Set([...f.bundle.files.keys()].filter((p) => covered(p, n) === 'must'));
  let before = '';
  for (const line of lines_of(await f.bundle.text('renewal/' + n + '.manifest'))) {
    const m = /^([0-9a-f]{128})  ([\x21-\x7e]+)$/.exec(line) ?? refuse('has a line out of form');
    if (!(before < m[2])) refuse('is not sorted, or has a path twice');
    before = m[2];
    if (covered(m[2], n) === '') refuse('lists ' + m[2] + ', which it may not');
    if (!f.bundle.has(m[2])) refuse('lists ' + m[2] + ', which is missing');
    if ((await sum512(f, m[2])) !== m[1]) refuse(m[2] + ' is not what it says');
    missing.delete(m[2]);
  }
  for (const path of missing) refuse('leaves out ' + path);
}

async function check_renewal_entry(f, n, h) {
  const b = f.body(h), of = (name) => 'renewal/' + n + '.' + name;
  if (!b) refuse('its certificate-renewed is not opened');
  const sum = async (name) => hex(sha256(await f.bundle.bytes(of(name))));
  const time = is_object(b.time) ? b.time : {};
  if (b.n !== n || f.graph.item(h, f.certificate.id).d !== (await sum512(f, of('manifest'))) || b.ledger !== (await sum('ledger')) || b.manifest !== (await sum('manifest')) ||
    time.manifest !== (await sum('manifest.tsr')) || time.authority !== (await sum('tsa.pem'))) refuse('entry ' + h.seq + ' names another renewal than this');
}

// SHA-512 of the first `size` lines of the headers.
async function headers_sum(f, size) {
  const hash = new Sha512();
  let left = size;
  const lines = header_lines(f.bundle.blob('ledger/headers.gz'));
  for (let step = await lines.next(); !step.done; step = await lines.next()) {
    let end = 0;
    for (; left && end < step.value.length; --left) end = step.value.indexOf(10, end) + 1;
    hash.update(step.value.subarray(0, end));
  }
  return left ? '' : hash.finish();
}

async function check_renewal_ledger(f, n, issued, entry) {
  const said = new Map();
  let headers = '', size = 0, last = -1;
  for (const [i, line] of lines_of(await f.bundle.text('renewal/' + n + '.ledger')).entries()) {
    const m = /^([0-9a-f]{128})  (headers|body) (0|[1-9][0-9]{0,14})$/.exec(line);
    if (!m || (m[2] === 'headers') !== (i === 0) || (i > 0 && Number(m[3]) <= last)) refuse('line ' + (i + 1) + ' is out of form');
    if (i === 0) (headers = m[1]), (size = Number(m[3]));
    else said.set((last = Number(m[3])), m[1]);
  }
  if (size <= issued || size > entry) refuse('is not of a ledger between certificate-issued and certificate-renewed');
  if ((await headers_sum(f, size)) !== headers) refuse('is over other headers');
  const shown = new Map();
  for (const line of lines_of(await f.bundle.text('ledger/bodies.jsonl')))
    shown.set(Number(/"seq":([0-9]+)\}$/.exec(line)?.[1]), hex(await digest('SHA-512', utf8(line + '\n'))));
  for (const [seq, sum] of said) if (seq >= size || shown.get(seq) !== sum) refuse('is over another body of entry ' + seq);
}

// Adds a row to the stamps for each renewal; where the reader wants all to last, takes back those that do not.
export async function read_renewals(f, stamps, trust, lists, bound, now) {
  const { bundle, error } = f, id = f.certificate.id;
  const entries = f.graph.about(id, 'certificate-renewed'), issued = f.graph.about(id, 'certificate-issued').pop()?.seq ?? 0;
  const guarded = async (part, call) => {
    try {
      await call();
      return true;
    } catch (e) {
      if (!(e instanceof Refused) && !(e instanceof TypeError)) throw e;
      return error(part, e.message), false;
    }
  };
  const of_signature = stamps.tokens.filter(([over]) => kOverSignature.includes(over)), rows = stamps.rows;
  const row_of = (over) => rows.find((r) => r.over === over);
  let front = of_signature.every(([over]) => row_of(over).trusted) ? of_signature.map(([, t]) => t) : [];
  let before = Math.max(0, ...of_signature.map(([, t]) => t.time - (t.accuracy ?? 0)));
  const count = Math.max(entries.length, 0, ...[...bundle.files.keys()].map((p) => Number(kRenewal.exec(p)?.[1] ?? 0)));
  for (let n = 1; n <= Math.min(count, 1000); ++n) {
    const of = (name) => 'renewal/' + n + '.' + name, part = of('manifest');
    const missing = kRenewalFiles.filter((name) => !bundle.has(of(name)));
    for (const name of missing) error(of(name), 'is missing');
    if (missing.length) continue;
    let good = await guarded(part, () => check_renewal_manifest(f, n));
    if (n > entries.length) {
      error(part, 'no entry says that the certificate was renewed so');
      continue;
    }
    good = (await guarded(part, () => check_renewal_entry(f, n, entries[n - 1]))) && good;
    good = (await guarded(of('ledger'), () => check_renewal_ledger(f, n, issued, entries[n - 1].seq))) && good;
    let t = null;
    await guarded(of('manifest.tsr'), async () => {
      const token = await check_token(token_of_answer(await bundle.bytes(of('manifest.tsr'))), await bundle.bytes(part));
      await guarded(of('tsa.pem'), async () => {
        token.extra = chain_file(await bundle.bytes(of('tsa.pem')));
        t = token;
      });
    });
    if (!t) continue;
    if (t.time + (t.accuracy ?? 0) < before) error(of('manifest.tsr'), 'is older than what it renews');
    before = Math.max(before, t.time - (t.accuracy ?? 0));
    const row = await token_row(part, t, t.extra, trust, lists);
    let why = row.why;
    if (!why && year_of(t.time) > last_year(f.policy, t)) why = 'an algorithm of it was past its period when it was made';
    if (!why && !good) why = 'not all headers of the ledger are there, or something in it is not good';
    for (const one of why ? [] : front) if (!(await stands(f, trust, one, t.time))) why = 'it was made after what it renews had ended';
    rows.push({ ...row, trusted: why === '', why });
    if (why) continue;
    front = [t];
    stamps.renewed = t;
  }
  // Once a renewal counts, who stamped checkpoint B may be the reader's question alone: when the certificates that bind the
  // tokens over the signature are over, or the renewal leads to a bound one.
  const over = 'ledger/checkpoint-b', leads = (t, time) => stamp_of_rules(bound, t, [...t.extra, ...trust.tsa_cas], time);
  let freed = stamps.renewed && stamps.unbound && stamps.signature;
  if (freed && !(await leads(stamps.renewed, stamps.renewed.time)))
    for (const [, t] of of_signature) if (await leads(t, stamps.unbound.time)) freed = false;
  if (freed) {
    const row = await token_row(over, stamps.unbound, stamps.unbound.extra, trust, lists);
    if (row.trusted) Object.assign(stamps, { checkpoint: true, third: stamps.unbound });
    rows[rows.indexOf(row_of(over))] = row;
  }
  if (!trust.renewal_required) return;
  const lost = new Set();
  for (const one of front) if (!(await stands(f, trust, one, now))) kOverSignature.forEach((over) => lost.add(over));
  const b = stamps.tokens.find(([over]) => over === 'ledger/checkpoint-b');
  if (b && !(await stands(f, trust, b[1], now))) lost.add(b[0]);
  for (const row of rows) {
    if (!lost.has(row.over) || !row.trusted) continue;
    Object.assign(row, { trusted: false, why: kEnded });
  }
  // The tokens over the signature are later than those of the waiting period, and cover them.
  const lasts = stamps.signature && !lost.has('signature');
  for (const { row, t } of f.waiting) if (row.trusted && !lasts && !(await stands(f, trust, t, now))) Object.assign(row, { trusted: false, why: kEnded });
  if (lost.has('signature')) Object.assign(stamps, { signature: false, later: null, second: null });
  if (lost.has('ledger/checkpoint-b')) Object.assign(stamps, { checkpoint: false, third: null });
}
