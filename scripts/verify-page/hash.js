// SHA-256 in plain JavaScript, for trees: WebCrypto takes one call a digest, and each call waits. Everything else uses
// WebCrypto. self_test() holds the two against each other before anything is judged.
import { refuse, same, Unsupported } from './bytes.js';

function primes_fractions(count, root) {
  const out = new Int32Array(count);
  for (let n = 2, found = 0; found < count; ++n) {
    let prime = true;
    for (let d = 2; d * d <= n && prime; ++d) prime = n % d !== 0;
    if (!prime) continue;
    const x = Math.pow(n, 1 / root);
    out[found++] = (x - Math.floor(x)) * 0x100000000;
  }
  return out;
}
const kRound = primes_fractions(64, 3);
const kStart = primes_fractions(8, 2);
const schedule = new Int32Array(64);
const state = new Int32Array(8);

function compress(block, at) {
  const w = schedule;
  for (let i = 0; i < 16; ++i, at += 4)
    w[i] = (block[at] << 24) | (block[at + 1] << 16) | (block[at + 2] << 8) | block[at + 3];
  for (let i = 16; i < 64; ++i) {
    const x = w[i - 15], y = w[i - 2];
    const s0 = ((x >>> 7) | (x << 25)) ^ ((x >>> 18) | (x << 14)) ^ (x >>> 3);
    const s1 = ((y >>> 17) | (y << 15)) ^ ((y >>> 19) | (y << 13)) ^ (y >>> 10);
    w[i] = (w[i - 16] + s0 + w[i - 7] + s1) | 0;
  }
  let a = state[0], b = state[1], c = state[2], d = state[3], e = state[4], f = state[5], g = state[6], h = state[7];
  for (let i = 0; i < 64; ++i) {
    const s1 = ((e >>> 6) | (e << 26)) ^ ((e >>> 11) | (e << 21)) ^ ((e >>> 25) | (e << 7));
    const t1 = (h + s1 + ((e & f) ^ (~e & g)) + kRound[i] + w[i]) | 0;
    const s0 = ((a >>> 2) | (a << 30)) ^ ((a >>> 13) | (a << 19)) ^ ((a >>> 22) | (a << 10));
    const t2 = (s0 + ((a & b) ^ (a & c) ^ (b & c))) | 0;
    h = g, g = f, f = e, e = (d + t1) | 0, d = c, c = b, b = a, a = (t1 + t2) | 0;
  }
  state[0] += a, state[1] += b, state[2] += c, state[3] += d, state[4] += e, state[5] += f, state[6] += g, state[7] += h;
}

const tail = new Uint8Array(128);

export function sha256(bytes) {
  state.set(kStart);
  const whole = bytes.length - (bytes.length % 64);
  for (let at = 0; at < whole; at += 64) compress(bytes, at);
  tail.fill(0);
  tail.set(bytes.subarray(whole));
  const rest = bytes.length - whole;
  tail[rest] = 0x80;
  const size = rest < 56 ? 64 : 128;
  const high = Math.floor(bytes.length / 0x20000000), low = (bytes.length << 3) >>> 0;
  for (let i = 0; i < 4; ++i) {
    tail[size - 5 - i] = (high >>> (8 * i)) & 255;
    tail[size - 1 - i] = (low >>> (8 * i)) & 255;
  }
  for (let at = 0; at < size; at += 64) compress(tail, at);
  const out = new Uint8Array(32);
  for (let i = 0; i < 8; ++i) {
    out[4 * i] = state[i] >>> 24;
    out[4 * i + 1] = (state[i] >>> 16) & 255;
    out[4 * i + 2] = (state[i] >>> 8) & 255;
    out[4 * i + 3] = state[i] & 255;
  }
  return out;
}

// `name`: SHA-256, SHA-384, SHA-512.
export async function digest(name, bytes) {
  return new Uint8Array(await crypto.subtle.digest(name, bytes));
}

const pair = new Uint8Array(65);
pair[0] = 1;

export function node_hash(left, right) {
  pair.set(left, 1);
  pair.set(right, 33);
  return sha256(pair);
}

// RFC 6962 §2.1, a leaf at a time: the roots of the whole subtrees so far, largest first.
export class Tree {
  size = 0;
  roots = [];
  add(leaf) {
    let node = leaf;
    for (let n = this.size; n % 2 === 1; n = Math.floor(n / 2)) node = node_hash(this.roots.pop(), node);
    this.roots.push(node);
    ++this.size;
  }
  root() {
    if (this.size === 0) return sha256(new Uint8Array(0));
    let node = this.roots[this.roots.length - 1];
    for (let i = this.roots.length - 2; i >= 0; --i) node = node_hash(this.roots[i], node);
    return node;
  }
}

// RFC 9162 §2.1.4.2: that the tree of `first` leaves is the beginning of that of `second`.
export function consistent(first, second, first_root, second_root, proof) {
  if (first > second || first < 1) return false;
  if (first === second) return proof.length === 0 && same(first_root, second_root);
  const path = [...proof];
  let power = first;
  while (power % 2 === 0) power /= 2;
  if (power === 1) path.unshift(first_root);
  if (path.length === 0) return false;
  let fn = first - 1, sn = second - 1;
  while (fn % 2 === 1) fn = (fn - 1) / 2, sn = Math.floor(sn / 2);
  let fr = path[0], sr = path[0];
  for (const c of path.slice(1)) {
    if (sn === 0) return false;
    if (fn % 2 === 1 || fn === sn) {
      fr = node_hash(c, fr);
      sr = node_hash(c, sr);
      while (fn % 2 === 0 && fn !== 0) fn /= 2, sn = Math.floor(sn / 2);
    } else {
      sr = node_hash(sr, c);
    }
    fn = Math.floor(fn / 2);
    sn = Math.floor(sn / 2);
  }
  return sn === 0 && same(fr, first_root) && same(sr, second_root);
}

export async function self_test() {
  if (!globalThis.crypto || !crypto.subtle) throw new Unsupported('this browser offers no WebCrypto for this page');
  for (const size of [0, 1, 55, 56, 63, 64, 65, 119, 120, 1000, 4096]) {
    const bytes = new Uint8Array(size).map((_, i) => (i * 7 + size) & 255);
    if (!same(sha256(bytes), await digest('SHA-256', bytes))) refuse('SHA-256 of this page and of the browser differ');
  }
}
