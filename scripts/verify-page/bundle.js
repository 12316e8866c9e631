// The bundle as files: which there may be, which there must be, and what MANIFEST says of them.
import { from_utf8, hex, lines_of, refuse } from './bytes.js';
import { digest } from './hash.js';

const kMust = ['certificate.json', 'certificate.json.p7s', 'plan.json', 'approvals/genesis.json', 'approvals/allowed_signers', 'ledger/headers.gz',
  'ledger/bodies.jsonl', 'ledger/checkpoint-a', 'ledger/checkpoint-b', 'ledger/consistency', 'trust/signer.pem', 'trust/ledger.vkey', 'MANIFEST',
  'README.txt'];
// Renderings are held against MANIFEST like any file, and never read.
const kMay = [/^certificate\.(pdf|html)$/, /^certificate\.json\.([2-9]|[12][0-9]|3[0-3])\.p7s$/, /^time\/(certificate\.json\.p7s\.tsr|checkpoint-b\.(tsr|pem))$/, /^trust\/(tsa\.pem|signer\.crl)$/, /^approvals\/(genesis|request|approve|verify|validate)\.opr-[0-9a-f]{32}\.(sig|json|json\.sig)$/, /^approvals\/certificate\.opr-[0-9a-f]{32}\.pem$/, /^approvals\/change\.(0|[1-9][0-9]{0,14})\.(json|opr-[0-9a-f]{32}\.sig)$/, /^approvals\/(release|key-attest)\.(0|[1-9][0-9]{0,14})\.opr-[0-9a-f]{32}\.json(\.sig)?$/, /^approvals\/command\.[0-9a-f]{64}\.json(\.sig)?$/, /^evidence\/[0-9a-f]{64}$/,
  /^inventory\/ds-[0-9a-f]{32}\.leaves$/, /^renewal\/([1-9][0-9]{0,2}|1000)\.(ledger|manifest|manifest\.tsr|tsa\.pem)$/];
const kOutside = /^(ledger\/|certificate\.json\.([2-9]|[12][0-9]|3[0-3])\.p7s$|time\/checkpoint-b\.|trust\/signer\.crl$|approvals\/release\.|renewal\/)/;
export const outside_manifest = (path) => kOutside.test(path);
const kFiles = 20000, kOne = 2 ** 30, kAll = 2 ** 31;

export class Bundle {
  // `files`: Map from path to Blob. `error(part, what)` is told what is wrong.
  constructor(files, error) {
    this.files = files;
    this.error = error;
    this.read_once = new Map();
  }
  check_layout() {
    let total = 0;
    for (const [path, blob] of this.files) {
      total += blob.size;
      if (!kMust.includes(path) && !kMay.some((form) => form.test(path))) this.error(path, 'is not a file of a version 1 bundle');
      if (blob.size > kOne) this.error(path, 'is larger than a file of a bundle may be');
    }
    if (this.files.size > kFiles || total > kAll) this.error('bundle', 'has more files or bytes than a bundle may have');
    for (const path of kMust) if (!this.files.has(path)) this.error(path, 'is missing');
  }
  has(path) {
    return this.files.has(path);
  }
  blob(path) {
    return this.files.get(path) ?? refuse('is missing');
  }
  async bytes(path) {
    if (!this.read_once.has(path)) this.read_once.set(path, new Uint8Array(await this.blob(path).arrayBuffer()));
    return this.read_once.get(path);
  }
  async text(path) {
    return from_utf8(await this.bytes(path));
  }
  paths(start) {
    return [...this.files.keys()].filter((p) => p.startsWith(start)).sort();
  }
  async check_manifest() {
    const listed = new Map();
    let before = '';
    for (const line of lines_of(await this.text('MANIFEST'))) {
      const m = /^([0-9a-f]{128})  ([\x21-\x7e]+)$/.exec(line) ?? refuse('has a line out of form');
      if (!(before < m[2])) refuse('is not sorted, or has a path twice');
      before = m[2];
      if (m[2] === 'MANIFEST' || kOutside.test(m[2])) refuse('lists itself or a file of the ledger');
      listed.set(m[2], m[1]);
    }
    for (const [path, sum] of listed) {
      if (!this.has(path)) this.error(path, 'is missing; MANIFEST lists it');
      else if (hex(await digest('SHA-512', await this.bytes(path))) !== sum) this.error(path, 'is not what MANIFEST says');
    }
    for (const path of this.files.keys())
      if (path !== 'MANIFEST' && !kOutside.test(path) && !listed.has(path)) this.error(path, 'is not in MANIFEST');
  }
}
