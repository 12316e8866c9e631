// A bundle as one .zip file, which is written in one way only (docs/spec/certificate.md, "As one zip file"): every byte is
// recomputed from the members' names and contents, and another byte is refused.
import { from_utf8, refuse, same } from './bytes.js';

const kFilesOfZip = 20000, kOneOfZip = 2 ** 30, kAllOfZip = 2 ** 31, kPiece = 1 << 20;
const kTable = new Int32Array(256).map((_, i) => {
  let c = i;
  for (let k = 0; k < 8; ++k) c = c & 1 ? (c >>> 1) ^ 0xedb88320 : c >>> 1;
  return c;
});

async function crc32(blob) {
  let c = -1;
  for (let at = 0; at < blob.size; at += kPiece) {
    const bytes = await bytes_at(blob, at, at + kPiece);
    for (let i = 0; i < bytes.length; ++i) c = kTable[(c ^ bytes[i]) & 255] ^ (c >>> 8);
  }
  return (c ^ -1) >>> 0;
}

// What local and central records have alike; `fields`: [value, bytes], little-endian.
function record(fields, name = new Uint8Array(0)) {
  const out = [];
  for (const [value, size] of fields) for (let i = 0; i < size; ++i) out.push(Math.floor(value / 2 ** (8 * i)) & 255);
  return Uint8Array.from([...out, ...name]);
}

// → Map from path to Blob.
export async function read_zip(blob) {
  if (blob.size < 22) refuse('the file is no .zip, or is cut off');
  if (blob.size > kAllOfZip + 2 ** 22) refuse('the .zip is larger than a bundle may be');
  const end = await bytes_at(blob, blob.size - 22, blob.size);
  const count = zip_u16(end, 10), size = zip_u32(end, 12), start = zip_u32(end, 16);
  if (zip_u32(end, 0) !== 0x06054b50 || start + size + 22 !== blob.size)
    refuse('the .zip is not written as bundles are (packed again by another program? Unpack it and choose the folder)');
  if (count > kFilesOfZip) refuse('the .zip has more files than a bundle may have');
  const directory = await bytes_at(blob, start, start + size);
  const out = new Map();
  let at = 0, p = 0, before = '';
  const other = (name) => refuse('the .zip is not written as bundles are, at ' + JSON.stringify(name));
  for (let i = 0; i < count; ++i) {
    if (p + 46 > directory.length) refuse('the .zip has another directory than files');
    const crc = zip_u32(directory, p + 16), plain = zip_u32(directory, p + 24), n = zip_u16(directory, p + 28);
    const raw_name = directory.subarray(p + 46, p + 46 + n), name = from_utf8(raw_name);
    if (!/^[\x21-\x7e]+$/.test(name) || !(before < name) || plain > kOneOfZip) other(name);
    before = name;
    const alike = [[10, 2], [0, 2], [0, 2], [0, 2], [0x0021, 2], [crc, 4], [plain, 4], [plain, 4], [n, 2], [0, 2]];
    const central = record([[0x02014b50, 4], [10, 2], ...alike, [0, 2], [0, 2], [0, 2], [0, 4], [at, 4]], raw_name);
    const local = record([[0x04034b50, 4], ...alike], raw_name);
    const content = blob.slice(at + local.length, at + local.length + plain);
    if (!same(directory.subarray(p, p + central.length), central) || content.size !== plain ||
        !same(await bytes_at(blob, at, at + local.length), local) || (await crc32(content)) !== crc) other(name);
    out.set(name, content);
    at += local.length + plain;
    p += central.length;
  }
  if (at !== start || p !== size || !same(end, record([[0x06054b50, 4], [0, 2], [0, 2], [count, 2], [count, 2], [size, 4], [start, 4], [0, 2]])))
    refuse('the .zip is not written as bundles are');
  return out;
}

async function bytes_at(blob, from, to) {
  return new Uint8Array(await blob.slice(from, Math.min(to, blob.size)).arrayBuffer());
}
function zip_u16(b, at) {
  return b[at] | (b[at + 1] << 8);
}
function zip_u32(b, at) {
  return (b[at] | (b[at + 1] << 8) | (b[at + 2] << 16) | (b[at + 3] << 24)) >>> 0;
}
