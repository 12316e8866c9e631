// SHA-512 a piece at a time, which WebCrypto cannot: for headers that are larger than what is held at once. Words of 64
// bits are pairs of 32; the constants are computed exactly, from the roots of primes.
import { hex } from './bytes.js';

// The first 64 bits of the fraction of the square (2) or cube (3) root of n.
function root_fraction(n, power) {
  const k = 64n * power, wanted = n << k;
  let low = 0n, high = 1n << 80n;
  while (low + 1n < high) {
    const middle = (low + high) >> 1n;
    if (middle ** power <= wanted) low = middle;
    else high = middle;
  }
  return low & 0xffffffffffffffffn;
}

const kRound512 = new Int32Array(160), kStart512 = new Int32Array(16);
for (let n = 2, found = 0; found < 80; ++n) {
  let prime = true;
  for (let d = 2; d * d <= n && prime; ++d) prime = n % d !== 0;
  if (!prime) continue;
  const put = (to, at, x) => ((to[at] = Number(x >> 32n)), (to[at + 1] = Number(x & 0xffffffffn)));
  put(kRound512, 2 * found, root_fraction(BigInt(n), 3n));
  if (found < 8) put(kStart512, 2 * found, root_fraction(BigInt(n), 2n));
  ++found;
}

export class Sha512 {
  state = Int32Array.from(kStart512);
  words = new Int32Array(160);
  rest = new Uint8Array(128);
  held = 0;
  size = 0;

  update(bytes) {
    this.size += bytes.length;
    let at = 0;
    if (this.held) {
      at = Math.min(128 - this.held, bytes.length);
      this.rest.set(bytes.subarray(0, at), this.held);
      this.held += at;
      if (this.held < 128) return this;
      this.block(this.rest, 0);
      this.held = 0;
    }
    for (; at + 128 <= bytes.length; at += 128) this.block(bytes, at);
    this.rest.set(bytes.subarray(at));
    this.held = bytes.length - at;
    return this;
  }

  // The digest in hexadecimal; nothing may follow.
  finish() {
    const bits = BigInt(this.size) * 8n, size = this.held < 112 ? 128 : 256, last = new Uint8Array(size);
    last.set(this.rest.subarray(0, this.held));
    last[this.held] = 0x80;
    for (let i = 0; i < 16; ++i) last[size - 1 - i] = Number((bits >> BigInt(8 * i)) & 255n);
    for (let at = 0; at < size; at += 128) this.block(last, at);
    const out = new Uint8Array(64);
    for (let i = 0; i < 64; ++i) out[i] = (this.state[i >> 2] >>> (24 - 8 * (i & 3))) & 255;
    return hex(out);
  }

  block(bytes, at) {
    const w = this.words, s = this.state;
    for (let i = 0; i < 32; ++i, at += 4) w[i] = (bytes[at] << 24) | (bytes[at + 1] << 16) | (bytes[at + 2] << 8) | bytes[at + 3];
    for (let i = 32; i < 160; i += 2) {
      const xh = w[i - 30], xl = w[i - 29], yh = w[i - 4], yl = w[i - 3];
      const ah = ((xh >>> 1) | (xl << 31)) ^ ((xh >>> 8) | (xl << 24)) ^ (xh >>> 7);
      const al = ((xl >>> 1) | (xh << 31)) ^ ((xl >>> 8) | (xh << 24)) ^ ((xl >>> 7) | (xh << 25));
      const bh = ((yh >>> 19) | (yl << 13)) ^ ((yl >>> 29) | (yh << 3)) ^ (yh >>> 6);
      const bl = ((yl >>> 19) | (yh << 13)) ^ ((yh >>> 29) | (yl << 3)) ^ ((yl >>> 6) | (yh << 26));
      const low = (w[i - 31] >>> 0) + (al >>> 0) + (w[i - 13] >>> 0) + (bl >>> 0);
      w[i + 1] = low | 0;
      w[i] = (w[i - 32] + ah + w[i - 14] + bh + Math.floor(low / 0x100000000)) | 0;
    }
    const v = Int32Array.from(s);
    for (let i = 0; i < 160; i += 2) {
      const eh = v[8], el = v[9], ah = v[0], al = v[1];
      const s1h = ((eh >>> 14) | (el << 18)) ^ ((eh >>> 18) | (el << 14)) ^ ((el >>> 9) | (eh << 23));
      const s1l = ((el >>> 14) | (eh << 18)) ^ ((el >>> 18) | (eh << 14)) ^ ((eh >>> 9) | (el << 23));
      const ch = (eh & v[10]) ^ (~eh & v[12]), cl = (el & v[11]) ^ (~el & v[13]);
      const low1 = (v[15] >>> 0) + (s1l >>> 0) + (cl >>> 0) + (kRound512[i + 1] >>> 0) + (w[i + 1] >>> 0);
      const t1h = (v[14] + s1h + ch + kRound512[i] + w[i] + Math.floor(low1 / 0x100000000)) | 0, t1l = low1 | 0;
      const s0h = ((ah >>> 28) | (al << 4)) ^ ((al >>> 2) | (ah << 30)) ^ ((al >>> 7) | (ah << 25));
      const s0l = ((al >>> 28) | (ah << 4)) ^ ((ah >>> 2) | (al << 30)) ^ ((ah >>> 7) | (al << 25));
      const mh = (ah & v[2]) ^ (ah & v[4]) ^ (v[2] & v[4]), ml = (al & v[3]) ^ (al & v[5]) ^ (v[3] & v[5]);
      const low2 = (s0l >>> 0) + (ml >>> 0), t2h = (s0h + mh + Math.floor(low2 / 0x100000000)) | 0, t2l = low2 | 0;
      v.copyWithin(2, 0, 14);
      const low3 = (v[9] >>> 0) + (t1l >>> 0), low4 = (t1l >>> 0) + (t2l >>> 0);
      v[8] = (v[8] + t1h + Math.floor(low3 / 0x100000000)) | 0;
      v[9] = low3 | 0;
      v[0] = (t1h + t2h + Math.floor(low4 / 0x100000000)) | 0;
      v[1] = low4 | 0;
    }
    for (let i = 0; i < 16; i += 2) {
      const low = (s[i + 1] >>> 0) + (v[i + 1] >>> 0);
      s[i] = (s[i] + v[i] + Math.floor(low / 0x100000000)) | 0;
      s[i + 1] = low | 0;
    }
  }
}
