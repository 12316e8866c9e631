// ledger/: both notes, all headers folded to their roots as they are decompressed, and the opened bodies.
import { concat, hex, lines_of, refuse, same, unbase64, unhex, Unsupported, utf8 } from './bytes.js';
import { consistent, sha256, Tree } from './hash.js';
import { canonical, members, parse_json_text, is_sha256 } from './json.js';
import { parse_header } from './header.js';
import { Graph } from './graph.js';
import { note_signed_by, parse_note, parse_vkey } from './note.js';

const kLine = 512 + 1 + 64;

// → {vkey, a, b}; what is not good is told, and null given back.
export async function read_checkpoints(bundle, error) {
  const out = {};
  const part = async (path, read) => {
    try {
      return await read(path);
    } catch (e) {
      if (e instanceof Unsupported) throw e;
      error(path, e.message);
      return null;
    }
  };
  out.vkey = await part('trust/ledger.vkey', async (p) => {
    const lines = lines_of(await bundle.text(p));
    if (lines.length !== 1) refuse('is not one line');
    const key = parse_vkey(lines[0]);
    if (key.type !== 1) refuse('is not a key that signs checkpoints');
    return key;
  });
  for (const [name, path] of [['a', 'ledger/checkpoint-a'], ['b', 'ledger/checkpoint-b']])
    out[name] = await part(path, async (p) => {
      const note = parse_note(await bundle.bytes(p));
      if (!out.vkey) refuse('cannot be checked without trust/ledger.vkey');
      if (note.origin !== out.vkey.name) refuse('is of another ledger');
      if (!(await note_signed_by(note, out.vkey))) refuse('is not signed by the ledger key');
      return note;
    });
  if (!out.a || !out.b) return null;
  if (out.a.signatures.length !== 1) error('ledger/checkpoint-a', 'has more signatures than the ledger key\'s');
  const good = await part('ledger/consistency', async (p) => {
    const proof = lines_of(await bundle.text(p)).map((l) => unbase64(l));
    if (proof.some((x) => x.length !== 32)) refuse('has a line out of form');
    if (!consistent(out.a.size, out.b.size, out.a.root, out.b.root, proof)) refuse('does not lead from checkpoint A to checkpoint B');
    return true;
  });
  return good ? out : null;
}

export async function read_bodies(bundle) {
  const out = new Map();
  let last = -1;
  for (const [i, line] of lines_of(await bundle.text('ledger/bodies.jsonl')).entries()) {
    let one;
    try {
      one = parse_json_text(line);
      members(one, ['body', 'salt', 'seq']);
      if (!Number.isInteger(one.seq) || one.seq <= last) refuse('seq is not above that of the line before');
      if (typeof one.salt !== 'string' || one.salt.length !== 32) refuse('the salt has not 16 bytes');
      one.hash = sha256(concat(unhex(one.salt), utf8(canonical(one.body))));
    } catch (e) {
      refuse('line ' + (i + 1) + ': ' + e.message);
    }
    last = one.seq;
    out.set(one.seq, one);
  }
  return out;
}

// Decompressed lines as {text, bytes}, a few thousand at a time.
export async function* header_lines(blob) {
  const start = new Uint8Array(await blob.slice(0, 10).arrayBuffer());
  if (!same(start, Uint8Array.of(0x1f, 0x8b, 8, 0, 0, 0, 0, 0, 2, 0xff))) refuse('gzip: another start than 1f 8b 08 00 00 00 00 00 02 ff');
  const reader = blob.stream().pipeThrough(new DecompressionStream('gzip')).getReader();
  let rest = new Uint8Array(0);
  for (;;) {
    let next;
    try {
      next = await reader.read();
    } catch (e) {
      refuse('gzip: damaged, cut off, or with more behind it');
    }
    if (next.done) break;
    const bytes = rest.length ? concat(rest, next.value) : next.value;
    const end = bytes.lastIndexOf(10) + 1;
    if (bytes.length - end > kLine) {
      reader.cancel().catch(() => {});
      refuse('has a line that is too long');
    }
    rest = bytes.slice(end);
    if (end) {
      const more = yield bytes.subarray(0, end);
      if (more === false) return void reader.cancel().catch(() => {});
    }
  }
  if (rest.length) refuse('does not end with a line feed');
}

// → {graph, roots: size → root, and times: size → time of the last entry (of the sizes asked for), size}. `progress(n)` is told how far it is.
export async function fold_headers(bundle, checkpoints, bodies, sizes, progress) {
  const tree = new Tree(), graph = new Graph(), roots = new Map(), times = new Map(), wanted = new Set(sizes);
  const leaf = new Uint8Array(1 + 512 + 32);
  const ascii = new TextDecoder('latin1');
  let n = 0;
  const body_wrong = [];
  const lines = header_lines(bundle.blob('ledger/headers.gz'));
  for (let step = await lines.next(); !step.done; step = await lines.next()) {
    const block = step.value, text = ascii.decode(block);
    for (let at = 0; at < block.length;) {
      const end = block.indexOf(10, at), tab = end - 65;
      if (n >= checkpoints.b.size) {
        await lines.return();
        refuse('has more headers than checkpoint B says (' + checkpoints.b.size + ')');
      }
      try {
        if (end - at > kLine || tab <= at || block[tab] !== 9) refuse('is out of form');
        const hash_text = text.slice(tab + 1, end);
        if (!is_sha256(hash_text)) refuse('is out of form');
        const h = parse_header(text.slice(at, tab));
        if (h.seq !== n) refuse('is entry ' + h.seq + ', not ' + n);
        graph.add(h);
        leaf.set(block.subarray(at, tab), 1);
        for (let i = 0; i < 32; ++i) leaf[1 + tab - at + i] = parseInt(text.substr(tab + 1 + 2 * i, 2), 16);
        tree.add(sha256(leaf.subarray(0, 1 + tab - at + 32)));
        const body = bodies.get(n);
        if (body) {
          body.header = h;
          if (hex(body.hash) !== hash_text) body_wrong.push(n);
        }
      } catch (e) {
        await lines.return();
        refuse('line ' + (n + 1) + ': ' + e.message);
      }
      ++n;
      if (wanted.has(n)) roots.set(n, hex(tree.root())), times.set(n, graph.time);
      at = end + 1;
    }
    progress(n);
  }
  if (n < checkpoints.b.size) refuse('has ' + n + ' headers; checkpoint B says ' + checkpoints.b.size);
  if (!same(tree.root(), checkpoints.b.root)) refuse('the headers do not fold to checkpoint B');
  if (roots.get(checkpoints.a.size) !== hex(checkpoints.a.root)) refuse('the headers do not fold to checkpoint A');
  return { graph, roots, times, size: n, body_wrong };
}
