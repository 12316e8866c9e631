// Bytes and text: hexadecimal, base64, strict UTF-8. All refuse what is not in the one form.

export class Refused extends Error {}
// What this browser cannot do is no statement about the bundle.
export class Unsupported extends Error {}

export function refuse(what) {
  throw new Refused(what);
}

export function hex(bytes) {
  let out = '';
  for (const b of bytes) out += (b < 16 ? '0' : '') + b.toString(16);
  return out;
}

export function unhex(text) {
  if (typeof text !== 'string' || text.length % 2 || !/^[0-9a-f]*$/.test(text)) refuse('is not lower-case hexadecimal');
  const out = new Uint8Array(text.length / 2);
  for (let i = 0; i < out.length; ++i) out[i] = parseInt(text.substr(2 * i, 2), 16);
  return out;
}

export function base64(bytes) {
  let binary = '';
  for (let i = 0; i < bytes.length; i += 4096) binary += String.fromCharCode(...bytes.subarray(i, i + 4096));
  return btoa(binary);
}

// `padding`: with it (RFC 4648), or without (fingerprints).
export function unbase64(text) {
  if (text.length % 4 || !/^[A-Za-z0-9+/]*={0,2}$/.test(text)) refuse('is not base64');
  const out = Uint8Array.from(atob(text), (c) => c.charCodeAt(0));
  if (base64(out) !== text) refuse('is not base64 in its one form');
  return out;
}

export function utf8(text) {
  return new TextEncoder().encode(text);
}

export function from_utf8(bytes) {
  try {
    return new TextDecoder('utf-8', { fatal: true, ignoreBOM: true }).decode(bytes);
  } catch (e) {
    return refuse('is not UTF-8');
  }
}

export function concat(...parts) {
  let size = 0;
  for (const p of parts) size += p.length;
  const out = new Uint8Array(size);
  let at = 0;
  for (const p of parts) {
    out.set(p, at);
    at += p.length;
  }
  return out;
}

export function same(a, b) {
  if (a.length !== b.length) return false;
  for (let i = 0; i < a.length; ++i) if (a[i] !== b[i]) return false;
  return true;
}

export function u32be(n) {
  return Uint8Array.of((n >>> 24) & 255, (n >>> 16) & 255, (n >>> 8) & 255, n & 255);
}

export function starts_with(bytes, prefix) {
  return bytes.length >= prefix.length && same(bytes.subarray(0, prefix.length), prefix);
}

// Lines that each end with a line feed; nothing after the last one.
export function lines_of(text) {
  if (text === '') return [];
  if (!text.endsWith('\n')) refuse('does not end with a line feed');
  return text.slice(0, -1).split('\n');
}

// The bytes between the lines of a PEM block; all blocks of that label. What stands between them is passed over.
export function pem_blocks(text, label) {
  const out = [], begin = '-----BEGIN ' + label + '-----', end = '-----END ' + label + '-----';
  for (let at = 0; (at = text.indexOf(begin, at)) >= 0;) {
    const from = at + begin.length, to = text.indexOf(end, from);
    if (to < 0) refuse('has a PEM block without an end');
    out.push(unbase64(text.slice(from, to).replace(/[\r\n]/g, '')));
    at = to + end.length;
  }
  return out;
}
