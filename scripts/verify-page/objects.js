// "Is this file covered?": a sealed object's header, payload root and slots against the inventory and the keys that died.
import { concat, hex, refuse, same, utf8, Refused } from './bytes.js';
import { sha256, Tree } from './hash.js';

const kChunks = [16384, 4194304];
const zero = (b, from, to) => b.subarray(from, to).every((x) => x === 0);
const u16 = (b, at) => (b[at] << 8) | b[at + 1];
const u32 = (b, at) => ((b[at] << 24) | (b[at + 1] << 16) | (b[at + 2] << 8) | b[at + 3]) >>> 0;

function read_slot(b, n) {
  const at = 1024 * (n + 1), s = b.subarray(at, at + 1024);
  if (zero(s, 0, 1024)) return { empty: true };
  if (!same(sha256(s.subarray(0, 992)), s.subarray(992))) return { torn: same(s.subarray(0, 8), utf8('KESUSLOT')), bad: true };
  const blob = u16(s, 40), nonce = u16(s, 38), version = u32(s, 32);
  const form = same(s.subarray(0, 8), utf8('KESUSLOT')) && !zero(s, 8, 16) && version >= 1 && [1, 2].includes(u16(s, 36)) && nonce <= 32 && blob >= 1 && blob <= 848 &&
    zero(s, 42, 48) && zero(s, 48 + nonce, 80) && zero(s, 80 + blob, 928) && zero(s, 960, 992);
  if (!form) refuse('slot ' + n + ' is damaged');
  return { generation: hex(s.subarray(8, 16)), version: 'key-' + hex(s.subarray(16, 32)) + '.' + version };
}

function read_region(b) {
  if (b.length < 4096) refuse('it is no sealed object');
  if (!same(b.subarray(0, 8), utf8('KESU-OBJ'))) refuse('it is no sealed object');
  const out = { algorithm: u16(b, 10), chunk: u32(b, 12), dataset: 'ds-' + hex(b.subarray(32, 48)), first: u32(b, 64), flags: u16(b, 68), immutable: b.slice(0, 128) };
  out.vault = 'vlt-' + hex(b.subarray(16, 32));
  if (u16(b, 8) !== 1) refuse('it is a sealed object of another version');
  const c = out.chunk;
  if (out.algorithm < 1 || out.algorithm > 4 || (c & (c - 1)) !== 0 || c < kChunks[0] || c > kChunks[1] || out.first < 272 || out.first > 65552 ||
      (out.first - 16) % 256 !== 0 || out.flags > 1 || !zero(b, 70, 96) || !zero(b, 128, 1024) || !zero(b, 3072, 4096)) refuse('its header is damaged');
  out.slots = [read_slot(b, 0), read_slot(b, 1)];
  if (out.slots.every((s) => s.empty)) refuse('both slots are empty');
  if (out.slots.every((s) => s.version) && out.slots[0].generation === out.slots[1].generation) refuse('both slots have one generation');
  const bad = out.slots.findIndex((s) => s.bad);
  if (bad >= 0 && out.slots[bad].torn) refuse('slot ' + bad + ' is torn');
  if (bad >= 0) refuse('slot ' + bad + ' is damaged');
  return out;
}

async function payload_root(file, region, progress) {
  const tree = new Tree(), size = file.size, step = region.chunk + 16;
  const payload = size - 4096 - region.first;
  const last = payload % step === 0 ? step : payload % step;
  if (payload < 16 || last < 16 || (last === 16 && payload > 16)) refuse('its length is that of no sealed object');
  const leaf = async (from, to) => tree.add(sha256(concat(Uint8Array.of(0), new Uint8Array(await file.slice(from, to).arrayBuffer()))));
  await leaf(4096, 4096 + region.first);
  for (let at = 4096 + region.first; at < size; at += step) {
    await leaf(at, Math.min(size, at + step));
    progress(at / size);
  }
  return tree.root();
}

// → {path, result, dataset, why}.
export async function judge_object(f, name, file, progress) {
  const out = { path: name, result: 'cannot-say', dataset: '', why: '' };
  try {
    const region = read_region(new Uint8Array(await file.slice(0, 4096).arrayBuffer()));
    const bound = (region.flags & 1) === 1;
    const root = bound ? await payload_root(file, region, progress) : new Uint8Array(32);
    const leaf = hex(sha256(concat(Uint8Array.of(0), utf8('kesu-inventory-v1'), region.immutable, root)));
    const dataset = f.datasets.find((ds) => f.inventory.get(ds).leaves.has(leaf));
    out.result = 'not-covered';
    if (!dataset || !f.inventory.get(dataset).good || dataset !== region.dataset || region.vault !== f.vault) {
      out.why = f.datasets.includes(region.dataset) ? 'its leaf is not in the inventory: it was altered, or sealed elsewhere' : 'its dataset ' + region.dataset + ' is not of this erasure';
      return out;
    }
    for (const s of region.slots) {
      if (s.empty) continue;
      const is = f.version.has(s.version) && f.graph.node(s.version).is;
      if (is !== 'destroyed' && is !== 'destroyed-compromised') {
        out.why = 'a slot names ' + s.version + ', which is not a destroyed key version of this erasure';
        return out;
      }
    }
    out.dataset = dataset;
    out.result = bound ? 'covered' : 'header-covered';
    if (!bound) out.why = 'its payload is not bound: only the header is covered';
  } catch (e) {
    if (!(e instanceof Refused)) throw e;
    out.result = 'cannot-say';
    out.why = e.message;
  }
  return out;
}
