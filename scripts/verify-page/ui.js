// The page: what was dropped, the worker, and the report in words. All text goes in as text, never as markup.
import { kWords } from './words.js';
import { reason_in_japanese } from './reasons.js';

const $ = (id) => document.getElementById(id);
const chosen = { files: null, zip: null, trust: [], objects: [] };
let language = (navigator.language || '').startsWith('ja') ? 'ja' : 'en';
let shown = null, worker = null;

function el(name, attributes = {}, ...children) {
  const out = document.createElement(name);
  for (const [k, v] of Object.entries(attributes)) out.setAttribute(k, v);
  out.append(...children.filter((c) => c !== null && c !== undefined));
  return out;
}

function show_language() {
  const w = kWords[language];
  document.documentElement.lang = language;
  document.title = w.title;
  for (const e of document.querySelectorAll('[data-w]')) e.textContent = w[e.dataset.w];
  $('language').textContent = language === 'ja' ? 'English' : '日本語';
  show_chosen();
  if (shown) show_result(shown);
}
function show_chosen() {
  const w = kWords[language];
  const list = (items) => (items.length ? items.map((f) => f[0]).join(', ') : w.none);
  $('bundle-chosen').textContent = chosen.zip ? chosen.zip.name : chosen.files ? w.files(chosen.files.length) : w.none;
  $('trust-chosen').textContent = list(chosen.trust);
  $('objects-chosen').textContent = list(chosen.objects);
  $('check').disabled = !(chosen.zip || chosen.files);
}

// Paths below the chosen folder: without the folder's own name.
function set_folder(list) {
  const cut = list.map(([path, file]) => [path.slice(path.indexOf('/') + 1), file]);
  chosen.files = cut;
  chosen.zip = null;
  show_chosen();
}
function set_zip(file) {
  chosen.zip = file;
  chosen.files = null;
  show_chosen();
}

// A dropped folder, as [path, File]. By handles where there are any: Chromium's older entries fail on pages from file:.
async function walk(entry, path, out) {
  const name = path + entry.name;
  if (entry.kind === 'file') out.push([name, await entry.getFile()]);
  else if (entry.kind === 'directory') {
    for await (const e of entry.values()) await walk(e, name + '/', out);
  } else if (entry.isFile) out.push([name, await new Promise((yes, no) => entry.file(yes, no))]);
  else {
    const reader = entry.createReader();
    for (;;) {
      const some = await new Promise((yes, no) => reader.readEntries(yes, no));
      if (some.length === 0) break;
      for (const e of some) await walk(e, name + '/', out);
    }
  }
}
function drop_zone(id, take) {
  const zone = $(id);
  zone.addEventListener('dragover', (e) => (e.preventDefault(), zone.classList.add('over')));
  zone.addEventListener('dragleave', () => zone.classList.remove('over'));
  zone.addEventListener('drop', async (e) => {
    e.preventDefault();
    zone.classList.remove('over');
    // Both lists must be taken before anything is waited for.
    const files = [...e.dataTransfer.files], items = [...e.dataTransfer.items].filter((i) => i.kind === 'file');
    const entries = await Promise.all(items.map((i) => (i.getAsFileSystemHandle ? i.getAsFileSystemHandle() : i.webkitGetAsEntry())));
    const folders = entries.filter((x) => x && (x.kind === 'directory' || x.isDirectory));
    try {
      await take(folders, files);
    } catch (error) {
      show_result({ failed: 'unreadable', message: String(error.message) });
    }
  });
}
const named = (files) => files.map((f) => [f.name, f]);
function chosen_by(id, take) {
  $(id).addEventListener('change', (e) => (take([...e.target.files]), (e.target.value = '')));
}

function start() {
  const w = kWords[language];
  stop();
  $('result').replaceChildren(el('p', { class: 'working', role: 'status' }, w.working));
  const source = $('core').textContent;
  const url = URL.createObjectURL(new Blob([source], { type: 'text/javascript' }));
  worker = new Worker(url);
  URL.revokeObjectURL(url);
  worker.onmessage = ({ data }) => {
    if (data.progress) {
      const says = kWords[language][data.progress];
      return void ($('result').firstChild.textContent = typeof says === 'function' ? says(data.n) : says);
    }
    show_result(data);
    stop();
  };
  worker.onerror = (e) => (e.preventDefault(), show_result({ failed: 'failed', message: e.message }), stop());
  worker.postMessage({ files: chosen.files ?? [], zip: chosen.zip, trust_text: $('trust-text').value, trust_files: chosen.trust, objects: chosen.objects,
    profile: $('profile').value, allow_test_grade: $('test-grade').checked });
}
function stop() {
  if (worker) worker.terminate();
  worker = null;
}

function table(heads, rows, kind) {
  return el('table', { class: kind }, el('thead', {}, el('tr', {}, ...heads.map((h) => el('th', { scope: 'col' }, h)))),
    el('tbody', {}, ...rows.map((r) => el('tr', {}, ...r.map((c, i) => el('td', { 'data-head': heads[i] }, c))))));
}
function section(title, ...children) {
  return el('section', {}, el('h2', {}, title), ...children);
}
function bullets(list) {
  return el('ul', {}, ...list.map((x) => el('li', {}, x)));
}

function show_result(data) {
  shown = data;
  const w = kWords[language], into = $('result');
  if (data.failed) {
    into.replaceChildren(el('div', { class: 'verdict undecided', role: 'alert', id: 'verdict', 'data-verdict': 'undecided' }, el('strong', {}, w.undecided), el('p', {}, w[data.failed]), el('p', { class: 'small' }, data.message)));
    return;
  }
  if (data.report.document !== undefined) return show_notice(data.report, w, into);
  const r = data.report, v = data.view, says = w[r.verdict + '_says'];
  const history = r.claims.find((c) => c.id === 'plaintext-history');
  const verdict = el('div', { class: 'verdict ' + r.verdict, role: 'alert', id: 'verdict', 'data-verdict': r.verdict }, el('strong', {}, w[r.verdict]),
    el('p', {}, typeof says === 'function' ? says(r.required_profile) : says));
  if (r.withdrawn) verdict.append(el('p', { class: 'warn' }, w.withdrawn));
  if (r.verdict !== 'invalid' && history && history.level === 'absent') verdict.append(el('p', { class: 'warn' }, w.history_unknown));
  if (r.verdict !== 'invalid' && r.test_grade) verdict.append(el('p', { class: 'warn' }, w.test));
  const parts = [verdict];
  if (r.errors.length) parts.push(errors_of(r, w));
  if (r.shortfalls.length && r.verdict === 'incomplete') parts.push(section(w.shortfalls, bullets(language === 'ja' ? r.shortfalls.map((s) => reason_in_japanese(s, new Map((v?.claims ?? []).map((c) => [c.id, c.title.ja])))) : r.shortfalls)));
  if (r.objects.length) parts.push(section(w.objects_title, table([w.file, w.result, w.detail],
    r.objects.map((o) => [o.path, el('span', { class: 'object ' + o.result }, w[o.result]), o.why || (v?.datasets.find((d) => d.id === o.dataset)?.name ?? o.dataset)]), 'objects')));
  if (v && r.verdict !== 'invalid') parts.push(facts(r, v, w));
  if (r.claims.length) parts.push(claims(r, v, w));
  const own = (x) => x[language];
  if (r.premises.length) parts.push(section(w.premises, bullets(r.premises.map(own))));
  if (r.limits.length) parts.push(section(w.limits, bullets(r.limits.map(own))));
  if (r.countersignatures) parts.push(section(w.countersigned, bullets(r.countersignatures.map((c) => [c.signer, 'sha256:' + c.certificate, c.known ? w.counter_known : w.counter_unknown, ...countersigned_at(c, w)].join(' · '))), el('p', {}, w.counter_revoked)));
  if (v) parts.push(section(w.exceptions, r.exceptions.length ? bullets(r.exceptions.map((x) => [x.what, x.subject, x.detail, x.until ?? '', x.reason, x.approver].filter((t) => t).join(' · '))) : el('p', {}, w.no_entries)));
  if (r.evidence_chain.length) parts.push(section(w.chain, bullets(chain_rows(r.evidence_chain))));
  if (r.time.length) parts.push(stamps_of(r, w));
  parts.push(el('p', { class: 'small' }, w.vouch));
  parts.push(buttons(r, w));
  into.replaceChildren(...parts);
}

function buttons(r, w) {
  const save = el('button', { type: 'button', id: 'save' }, w.save), print = el('button', { type: 'button' }, w.print);
  save.addEventListener('click', () => save_report(r));
  print.addEventListener('click', () => window.print());
  return el('p', { class: 'buttons' }, save, print);
}
function errors_of(r, w) {
  return section(w.errors, table([w.part, w.what], r.errors.map((e) => [e.part, e.what]), 'errors'));
}
function stamps_of(r, w) {
  return section(w.time, bullets(r.time.map((t) => [t.over, t.at, t.authority, t.algorithm, t.trusted ? w.counts : w.counts_not + (t.why ? ': ' + t.why : '')].join(' · '))));
}
// When somebody countersigned, as far as a token that counts says it.
function countersigned_at(c, w) {
  const t = c.time, by = t && t.at + ' · ' + t.authority;
  if (!t || !t.trusted) return t ? [w.counter_no_time, w.counts_not + ': ' + by + (t.why ? ' · ' + t.why : '')] : [w.counter_no_time];
  return c.valid ? [by] : [by, w.counter_not_valid];
}
function revocation_of(r, w) {
  return r.revocation.state === 'not-asked' ? '' : ' · ' + w.revocation[r.revocation.state] + (r.revocation.why ? ' (' + r.revocation.why + ')' : '');
}

// A document that is no certificate: never green, whatever it says.
function show_notice(r, w, into) {
  const invalid = r.verdict === 'invalid';
  const parts = [el('div', { class: 'verdict ' + (invalid ? 'invalid' : 'incomplete'), role: 'alert', id: 'verdict', 'data-verdict': r.verdict }, el('strong', {}, w[r.verdict]),
    el('p', {}, invalid ? w.invalid_says : w.no_certificate_says))];
  if (invalid) parts.push(errors_of(r, w));
  else {
    const rows = [[w.document, w.is_notice[r.document] + ', ' + r.id], [w.who.organisation, r.organisation], [w.statement, r.statement[language]], [w.erasure, r.erasure],
      [w.who.stage, r.stage], [w.who.issued, r.issued], [w.signer, w.known.signer_known + ': ' + (r.signer_known ? w.yes : w.no) + revocation_of(r, w)],
      [w.superseded, w.superseded_says]];
    parts.push(section(w.is_notice[r.document], el('dl', {}, ...rows.flatMap(([k, value]) => [el('dt', {}, k), el('dd', {}, value)]))));
    if (r.time.length) parts.push(stamps_of(r, w));
  }
  parts.push(buttons(r, w));
  into.replaceChildren(...parts);
}

function facts(r, v, w) {
  const rows = [['certificate', r.certificate], ['organisation', r.organisation], ['stage', v.stage], ['erased', r.erased], ['issued', r.issued],
    ['profiles', w.claimed(r.claimed_profile, r.required_profile)], ['as_of', String(r.as_of)],
    ['data', el('span', {}, ...v.datasets.map((d) => el('span', { class: 'line' }, w.data_row(d))))],
    ['people', el('span', {}, ...v.people.map((p) => el('span', { class: 'line' }, p.name + ' (' + p.action + ', ' + p.signed + ')')))],
    ['trust', ['signer_known', 'log_known', 'officers_known'].map((k) => w.known[k] + ': ' + (r[k] ? w.yes : w.no)).join(' · ') +
      revocation_of(r, w)]];
  return section(w.facts, el('dl', {}, ...rows.flatMap(([k, value]) => [el('dt', {}, w.who[k]), el('dd', {}, value)])));
}
const kLevels = ['absent', 'asserted', 'recorded', 'attested', 'proven'];
function claims(r, v, w) {
  const cards = r.claims.map((c) => {
    const own = v?.claims.find((x) => x.id === c.id), below = kLevels.indexOf(c.level) < kLevels.indexOf(c.least);
    const card = el('div', { class: 'claim' + (below ? ' below' : ''), 'data-claim': c.id, 'data-level': c.level },
      el('span', { class: 'level ' + c.level }, w.levels[c.level]), el('span', { class: 'asks' }, c.least === 'absent' ? w.not_asked : w.asks + ' ' + w.levels[c.least] + (below ? ' ✗' : ' ✓')),
      el('h3', {}, own ? own.title[language] : c.id), el('p', {}, own ? own.says[language] : ''));
    if (c.rests_on.length) card.append(el('p', { class: 'small' }, w.rests + ': ' + c.rests_on.join('; ')));
    if (c.detail) card.append(el('p', { class: 'small' }, w.detail + ': ' + c.detail));
    return card;
  });
  return section(w.claims_title, el('p', { class: 'small' }, w.level_says), el('div', { class: 'claims' }, ...cards));
}
function chain_rows(chain) {
  const by = new Map();
  for (const l of chain) {
    const key = l.algorithm + ', ' + l.strength_bits + ' bits, ' + l.category + (l.horizon_year_process === null ? '' : ', –' + l.horizon_year_process);
    by.set(key, [...(by.get(key) ?? []), l.part]);
  }
  return [...by].map(([key, list]) => key + ': ' + list.join('; '));
}

function save_report(report) {
  const sorted = (x) => (Array.isArray(x) ? x.map(sorted) : x !== null && typeof x === 'object' ? Object.fromEntries(Object.keys(x).sort().map((k) => [k, sorted(x[k])])) : x);
  const a = el('a', { href: URL.createObjectURL(new Blob([JSON.stringify(sorted(report)) + '\n'], { type: 'application/json' })), download: (report.certificate || report.id || 'kesu') + '.report.json' });
  a.click();
  setTimeout(() => URL.revokeObjectURL(a.href), 60000);
}

drop_zone('bundle-zone', async (entries, files) => {
  if (entries.length) {
    const out = [];
    for (const e of entries) await walk(e, '', out);
    set_folder(out);
  } else if (files.length === 1 && files[0].name.toLowerCase().endsWith('.zip')) set_zip(files[0]);
});
drop_zone('trust-zone', (entries, files) => (chosen.trust.push(...named(files)), show_chosen()));
drop_zone('objects-zone', (entries, files) => (chosen.objects.push(...named(files)), show_chosen()));
for (const kind of ['dragover', 'drop']) window.addEventListener(kind, (e) => e.preventDefault());
chosen_by('bundle-folder', (files) => set_folder(files.map((f) => [f.webkitRelativePath, f])));
chosen_by('bundle-zip', (files) => files.length && set_zip(files[0]));
chosen_by('trust-files', (files) => (chosen.trust.push(...named(files)), show_chosen()));
chosen_by('objects-files', (files) => (chosen.objects.push(...named(files)), show_chosen()));
for (const b of document.querySelectorAll('[data-opens]')) b.addEventListener('click', () => $(b.dataset.opens).click());
$('language').addEventListener('click', () => ((language = language === 'ja' ? 'en' : 'ja'), show_language()));
$('check').addEventListener('click', start);
$('clear').addEventListener('click', () => {
  stop();
  Object.assign(chosen, { files: null, zip: null, trust: [], objects: [] });
  $('trust-text').value = '';
  shown = null;
  $('result').replaceChildren();
  show_chosen();
});
show_language();
