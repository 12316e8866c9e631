// DER (X.690) as far as X.509 certificates and CMS need it; anything not in the distinguished form is refused.
import { refuse, same } from './bytes.js';

export class Der {
  // One element that fills `bytes` whole.
  static whole(bytes) {
    const all = Der.sequence_of(bytes);
    if (all.length !== 1) refuse('DER: more than one element');
    return all[0];
  }
  static sequence_of(bytes) {
    const out = [];
    for (let at = 0; at < bytes.length;) {
      const e = new Der(bytes, at);
      out.push(e);
      at = e.end;
    }
    return out;
  }
  constructor(bytes, at) {
    if (at + 2 > bytes.length) refuse('DER: cut off');
    this.tag = bytes[at];
    if ((this.tag & 31) === 31) refuse('DER: a tag of several bytes');
    let size = bytes[at + 1], body = at + 2;
    if (size >= 128) {
      const n = size - 128;
      if (n < 1 || n > 4 || body + n > bytes.length) refuse('DER: a length out of form');
      size = 0;
      for (let i = 0; i < n; ++i) size = size * 256 + bytes[body + i];
      if (size < 128 || bytes[body] === 0) refuse('DER: a length longer than needed');
      body += n;
    }
    this.end = body + size;
    if (this.end > bytes.length) refuse('DER: cut off');
    this.raw = bytes.subarray(at, this.end);
    this.body = bytes.subarray(body, this.end);
  }
  is(tag) {
    if (this.tag !== tag) refuse('DER: another element than expected (0x' + this.tag.toString(16) + ')');
    return this;
  }
  items(tag = 0x30) {
    this.is(tag);
    return Der.sequence_of(this.body);
  }
  oid() {
    this.is(6);
    if (!this.body.length) refuse('DER: an identifier out of form');
    const out = [];
    let n = 0;
    for (const [i, b] of this.body.entries()) {
      if (n === 0 && b === 0x80) refuse('DER: an identifier out of form');
      n = n * 128 + (b & 127);
      if (n > Number.MAX_SAFE_INTEGER / 256) refuse('DER: an identifier too large');
      if (b & 128) {
        if (i === this.body.length - 1) refuse('DER: an identifier cut off');
        continue;
      }
      if (out.length === 0) out.push(Math.min(2, Math.floor(n / 40)), n - 40 * Math.min(2, Math.floor(n / 40)));
      else out.push(n);
      n = 0;
    }
    return out.join('.');
  }
  // Bytes of a positive integer without the sign's zero.
  unsigned() {
    this.is(2);
    const b = this.body;
    if (b.length === 0 || b[0] & 128 || (b.length > 1 && b[0] === 0 && !(b[1] & 128))) refuse('DER: an integer out of form');
    return b[0] === 0 && b.length > 1 ? b.subarray(1) : b;
  }
  small() {
    const b = this.unsigned();
    if (b.length > 6) refuse('DER: an integer too large');
    return b.reduce((n, x) => n * 256 + x, 0);
  }
  bits() {
    this.is(3);
    if (this.body.length < 1 || this.body[0] !== 0) refuse('DER: a bit string that is not of whole bytes');
    return this.body.subarray(1);
  }
  time() {
    const text = String.fromCharCode(...this.body);
    let m = this.tag === 0x17 && /^(\d\d)(\d\d)(\d\d)(\d\d)(\d\d)(\d\d)Z$/.exec(text);
    if (m) m[1] = (m[1] < 50 ? '20' : '19') + m[1];
    else m = this.tag === 0x18 && /^(\d{4})(\d\d)(\d\d)(\d\d)(\d\d)(\d\d)(?:\.(\d{0,8}[1-9]))?Z$/.exec(text);
    if (!m) refuse('DER: a time out of form');
    const [year, month, day, hour, minute, second] = m.slice(1, 7).map(Number), out = new Date(0);
    out.setUTCFullYear(year, month - 1, day);
    if (out.getUTCMonth() !== month - 1 || out.getUTCDate() !== day || hour > 23 || minute > 59 || second > 59) refuse('DER: a time that is not in the calendar');
    out.setUTCHours(hour, minute, second);
    return out.getTime() + Number(((m[7] ?? '') + '000').slice(0, 3));
  }
}

export function der(tag, body) {
  const n = body.length;
  const head = n < 128 ? [tag, n] : n < 256 ? [tag, 129, n] : n < 65536 ? [tag, 130, n >> 8, n & 255]
    : [tag, 131, n >> 16, (n >> 8) & 255, n & 255];
  const out = new Uint8Array(head.length + n);
  out.set(head);
  out.set(body, head.length);
  return out;
}

export function same_der(a, b) {
  return same(a.raw, b.raw);
}
