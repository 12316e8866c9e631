// Runs apart from the page, so that the page stays alive: takes files, gives the report.
import { from_utf8, Refused, Unsupported } from './bytes.js';
import { load_tables, verify } from './verify.js';
import { parse_trust } from './trust.js';
import { is_notice, verify_notice } from './notice.js';
import { read_zip } from './zip.js';

async function trust_of(message) {
  const files = new Map();
  for (const [name, blob] of message.trust_files) files.set(name, new Uint8Array(await blob.arrayBuffer()));
  let text = message.trust_text;
  // A dropped file that is itself a trust file is read as one: those that no line names and that are no PEM or allowed_signers.
  for (const [name, bytes] of files) {
    const content = from_utf8(bytes);
    if (/^\s*(signer|signer-ca|signer-crl|log|officers?|witness|quorum|tsa-ca|tsa-renewal)\s/m.test(content)) text += '\n' + content + '\n';
    else files.set(name, bytes);
  }
  return parse_trust(text, files);
}

export async function run(message, tell) {
  const tables = load_tables(kBuiltIn);
  const trust = await trust_of(message);
  let files;
  try {
    files = message.zip ? await read_zip(message.zip) : new Map(message.files);
  } catch (e) {
    if (!(e instanceof Refused)) throw e;
    files = new Map();
    const out = await verify({ files, objects: [], trust, profile: message.profile, allow_test_grade: message.allow_test_grade }, tables, tell);
    out.report.errors = [{ part: message.zip.name ?? 'bundle', what: e.message }];
    return out;
  }
  if (!message.zip && is_notice(files)) return { report: await verify_notice(files, trust), view: null };
  return verify({ files, objects: message.objects, trust, profile: message.profile, allow_test_grade: message.allow_test_grade }, tables, tell);
}

self.onmessage = async ({ data }) => {
  let last = 0;
  const tell = (what, n) => {
    if (Date.now() - last < 200) return;
    last = Date.now();
    self.postMessage({ progress: what, n });
  };
  try {
    const { report, view } = await run(data, tell);
    self.postMessage({ report, view });
  } catch (e) {
    const kind = e instanceof Unsupported ? 'unsupported' : e instanceof Refused ? 'refused' : 'failed';
    self.postMessage({ failed: kind, message: e.message });
  }
};
