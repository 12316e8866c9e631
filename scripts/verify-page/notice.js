// Notices of disablement, superseding records, failure reports (docs/spec/notices.md): what they say, who signed them and
// when. Never a verdict on an erasure; what came after one only a newer extract of the ledger shows, which this page does
// not take.
import { hex, refuse, Refused, same } from './bytes.js';
import { judge_revocation, signer_path, tells_against } from './chain.js';
import { canonical, equal, is_object, is_sha256, is_time, list_of, parse_json, text_of } from './json.js';
import { chain_file, check_cms, fingerprint, parse_cms, readable } from './pki.js';
import { check_token, token_of_answer, token_row } from './time.js';
import { self_test, sha256 } from './hash.js';

const kDocument = 'notice.json', kP7s = 'notice.json.p7s', kTsr = 'notice.json.p7s.tsr', kTsaChain = 'tsa.pem', kMost = 16 * 2 ** 20;
const kKindsOfNotice = {
  'kesu-notice-v1': { word: 'notice', stages: ['requested', 'approved', 'running'], outcomes: ['withheld'], say: disablement },
  'kesu-superseding-v1': { word: 'superseding', stages: ['cancelled', 'rejected'], outcomes: ['in-use'], say: superseding },
  'kesu-failure-v1': { word: 'failure', stages: ['running', 'failed'], outcomes: ['destroyed', 'not-destroyed', 'not-tried', 'unknown'], say: failure },
};

// What holds a certificate, too, is a bundle with a file that it may not have.
export function is_notice(files) {
  return files.has(kDocument) && !files.has('certificate.json');
}

const counted_en = (n, noun) => n + ' ' + noun + (n === 1 ? '' : 's');
const names_of = (d, between) => d.datasets.map((x) => x.name).join(between);

function disablement(d) {
  const n = d.keys.length, running = d.stage === 'running';
  return { en: d.organisation + ' gives notice that ' + names_of(d, ', ') + ' is to be made unreadable by erasure ' + d.erasure + ', which is ' + d.stage +
    '. Since its request kesu seals nothing more into it and protects nothing new under ' + counted_en(n, 'key version') + '; ' +
    (running ? 'opening is refused, too. ' : 'until the erasure runs, opening goes on. ') + 'The keys exist: their provider would still act for whoever may use them. ' +
    'Nothing has been destroyed, and this can be taken back until the destruction of the first key version begins.',
  ja: d.organisation + 'は、消去' + d.erasure + '（段階：' + d.stage + '）により' + names_of(d, '、') + 'を読めなくする予定であることを通知する。' +
    '申請の時から kesu はこれに新たな封入を行わず、' + n + '個の鍵バージョンで新たな保護を行わない。' + (running ? '復号も拒む。' : '消去の実行までは復号できる。') +
    '鍵は存在し、プロバイダーは権限を持つ者の求めに応じる。何も破棄されておらず、最初の鍵バージョンの破棄が始まるまで取り消すことができる。' };
}

function superseding(d) {
  const n = list_of(d, 'supersedes').length;
  return { en: d.organisation + ' declares that erasure ' + d.erasure + ' of ' + names_of(d, ', ') + ' is ' + d.stage + ': ' + counted_en(n, 'notice') + ' issued before ' +
    (n === 1 ? 'has' : 'have') + ' no effect any more. Its keys were not destroyed by it and serve again.',
  ja: d.organisation + 'は、' + names_of(d, '、') + 'の消去' + d.erasure + 'が' + d.stage + 'となったことを表明する。先に発行した通知' + n + '件は効力を失った。' +
    'この消去による鍵の破棄は行われず、鍵は再び使用できる。' };
}

function failure(d) {
  const all = d.keys.length, gone = d.keys.filter((k) => k.outcome === 'destroyed').length, unknown = d.keys.filter((k) => k.outcome === 'unknown').length;
  const left = all - gone - unknown, none = left + unknown === 0;
  return { en: d.organisation + ' reports that erasure ' + d.erasure + ' of ' + names_of(d, ', ') + ' began and is not complete: of ' + counted_en(all, 'key version') + ' ' + gone +
    ' destroyed, ' + left + ' not destroyed, ' + unknown + ' unknown. What was destroyed cannot be brought back. None of this data may be taken for unreadable' +
    (none ? ': the inspection after destruction has not shown every key absent.' : '.'),
  ja: d.organisation + 'は、' + names_of(d, '、') + 'の消去' + d.erasure + 'が開始されたが完了していないことを報告する。鍵バージョン' + all + '個のうち、破棄済み' + gone +
    '個、未破棄' + left + '個、不明' + unknown + '個。破棄されたものは元に戻せない。対象データを読めなくなったものとして扱ってはならない' +
    (none ? '（破棄後の検査により全鍵の不在が示されていない）。' : '。') };
}

function read_document(bytes) {
  if (bytes.length > kMost) refuse('is longer than a notice may be');
  const d = parse_json(bytes);
  const kind = kKindsOfNotice[text_of(d, 'type')] ?? refuse('type is none of these documents');
  for (const name of ['organisation', 'stage']) text_of(d, name);
  if (!is_time(d.issued)) refuse('issued is no time');
  if (!/^doc-[0-9a-f]{32}$/.test(text_of(d, 'id')) || !/^era-[0-9a-f]{32}$/.test(text_of(d, 'erasure'))) refuse('id or erasure is no identifier');
  const l = d.ledger;
  if (!is_object(l) || !text_of(l, 'origin') || !Number.isInteger(l.size) || l.size < 1 || !is_sha256(l.root)) refuse('ledger is no checkpoint');
  if (!is_object(d.signer) || !is_sha256(d.signer.certificate)) refuse('signer names no certificate');
  if (!kind.stages.includes(d.stage)) refuse('stage is none of a ' + kind.word);
  if (!list_of(d, 'keys').length || !list_of(d, 'datasets').length) refuse('keys or datasets are empty');
  for (const k of d.keys) if (!kind.outcomes.includes(text_of(k, 'outcome'))) refuse('outcome is none of a ' + kind.word);
  for (const x of d.datasets) text_of(x, 'name');
  if (!equal(d.statement, kind.say(d))) refuse('statement is not what the other members give');
  if (kind.word === 'superseding') check_supersedes(d);
  return [d, kind];
}

function check_supersedes(d) {
  const seen = new Set([d.id]);
  if (d.supersedes.length === 0) refuse('supersedes is empty');
  for (const n of d.supersedes) {
    const good = is_object(n) && /^doc-[0-9a-f]{32}$/.test(n.id) && !seen.has(n.id) && is_sha256(n.document) && is_time(n.issued);
    if (!good || Date.parse(n.issued) > Date.parse(d.issued)) refuse('supersedes names what no notice before it can be');
    seen.add(n.id);
  }
}

// `files`: Map path → Blob. → the report; canonical(report) is what `kesu verify` says.
export async function verify_notice(files, trust) {
  await self_test();
  const report = { verdict: 'invalid', document: null, id: '', organisation: '', erasure: '', stage: '', issued: '', signer_known: false,
    revocation: { state: 'not-asked', why: '' }, time: [], superseded: { state: 'unknown', by: '', as_of: 0, log_known: false }, sha256: '', statement: null, errors: [] };
  const bad = (part, what) => report.errors.push({ part, what });
  const bytes = async (name) => (files.has(name) ? new Uint8Array(await files.get(name).slice(0, kMost + 1).arrayBuffer()) : null);
  const step = async (part, call) => {
    try {
      return await call();
    } catch (e) {
      if (!(e instanceof Refused) && !(e instanceof TypeError) && !(e instanceof RangeError)) throw e;
      return bad(part, e instanceof Refused ? e.message : 'is not in the form that it should have (' + e.message + ')'), null;
    }
  };
  const text = await bytes(kDocument);
  report.sha256 = hex(sha256(text));
  const read = await step(kDocument, async () => read_document(text));
  if (read) {
    report.document = read[1].word;
    await step(kP7s, async () => judge_signature(read[0], text, bytes, trust, report, bad, step));
  }
  if (report.errors.length) return Object.assign(report, { signer_known: false });
  const d = read[0];
  return Object.assign(report, { verdict: 'no-certificate', id: d.id, organisation: d.organisation, erasure: d.erasure, stage: d.stage, issued: d.issued,
    statement: JSON.parse(canonical(d.statement)) });
}

async function judge_signature(d, text, bytes, trust, report, bad, step) {
  const whole = (await bytes(kP7s)) ?? refuse('is missing'), cms = parse_cms(whole), all = readable(cms.certificates);
  const [issuer, serial] = cms.sid.items();
  const signer = all.find((c) => same(c.issuer, issuer.raw) && same(c.serial, serial.raw)) ?? refuse('its signer\'s certificate is not inside');
  for (const what of await check_cms(cms, text, [signer, ...cms.carried])) bad(kP7s, what);
  const issued = Date.parse(d.issued), sum = await fingerprint(signer);
  if (signer.usage && !(signer.usage[1] & 0xc0)) bad(kP7s, 'its certificate is not for signatures');
  if (sum !== d.signer.certificate) bad(kP7s, 'is not made with the certificate that notice.json names');
  if (issued < signer.not_before || issued > signer.not_after + 999) bad(kP7s, 'its certificate was not valid when the document was issued');
  const counted = await read_tokens(cms, whole, issued, bytes, trust, report, bad, step);
  const dated = counted.has('signature') && counted.has(kP7s), time = dated ? counted.get(kP7s) : issued;
  if (trust.signers.includes(sum)) return void (report.signer_known = true);
  const path = await signer_path(signer, all, trust.signer_cas, time);
  if (!path) return;
  if (path.length > 1) report.revocation = await judge_revocation(path, trust.signer_crls, time, dated);
  report.signer_known = !tells_against(report.revocation);
}

// → times of the tokens that count, by what they are over.
async function read_tokens(cms, whole, issued, bytes, trust, report, bad, step) {
  const counted = new Map(), answer = await bytes(kTsr), pem = await bytes(kTsaChain);
  if (pem && !answer) bad(kTsaChain, 'is a chain without its time-stamp');
  const extra = (pem && (await step(kTsaChain, async () => chain_file(pem)))) ?? [];
  const one = async (over, part, token, content) => {
    const t = await step(part, async () => check_token(await token(), content));
    if (!t) return;
    if (issued > t.time + (t.accuracy ?? 0) + 60000) bad(kDocument, 'issued is later than the time-stamp over ' + over);
    const row = await token_row(over, t, extra, trust, trust.signer_crls);
    if (row.trusted) counted.set(over, t.time);
    report.time.push(row);
  };
  const own = cms.unsigned.get('1.2.840.113549.1.9.16.2.14');
  if (own) await one('signature', kP7s, async () => own.raw, cms.signature);
  if (answer) await one(kP7s, kTsr, async () => token_of_answer(answer), whole);
  return counted;
}
