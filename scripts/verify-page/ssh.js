// OpenSSH public keys, SSHSIG signatures (OpenSSH's PROTOCOL.sshsig) and allowed_signers files.
import { base64, concat, from_utf8, refuse, same, starts_with, u32be, unbase64, utf8 } from './bytes.js';
import { digest, sha256 } from './hash.js';
import { der } from './der.js';
import { parse_spki, verify_ed25519, verify_signature } from './pki.js';

class Wire {
  constructor(bytes) {
    this.bytes = bytes;
    this.at = 0;
  }
  u32() {
    if (this.at + 4 > this.bytes.length) refuse('SSH: cut off');
    const b = this.bytes, i = this.at;
    this.at += 4;
    return ((b[i] << 24) | (b[i + 1] << 16) | (b[i + 2] << 8) | b[i + 3]) >>> 0;
  }
  string() {
    const n = this.u32();
    if (this.at + n > this.bytes.length) refuse('SSH: cut off');
    return this.bytes.subarray(this.at, (this.at += n));
  }
  text() {
    return from_utf8(this.string());
  }
  end() {
    if (this.at !== this.bytes.length) refuse('SSH: more than there should be');
  }
}
const string = (bytes) => concat(u32be(bytes.length), bytes);

const kEcdsaOfSsh = {
  'ecdsa-sha2-nistp256': { curve: 'nistp256', name: 'ECDSA-P256', hash: 'SHA-256', size: 32, oid: '06082a8648ce3d030107' },
  'ecdsa-sha2-nistp384': { curve: 'nistp384', name: 'ECDSA-P384', hash: 'SHA-384', size: 48, oid: '06052b81040022' },
  'ecdsa-sha2-nistp521': { curve: 'nistp521', name: 'ECDSA-P521', hash: 'SHA-512', size: 66, oid: '06052b81040023' } };
const bytes_of = (h) => Uint8Array.from(h.match(/../g), (x) => parseInt(x, 16));

// The blob of a public key → {type, blob, key, algorithm: its name for the policy, of RSA without the digest, which the signature
// names}.
export function parse_key_blob(blob) {
  const w = new Wire(blob), type = w.text();
  if (type === 'ssh-ed25519') {
    const raw = w.string();
    w.end();
    if (raw.length !== 32) refuse('SSH: a key of the wrong length');
    return { type, blob, raw, algorithm: 'Ed25519' };
  }
  if (type in kEcdsaOfSsh) {
    const c = kEcdsaOfSsh[type];
    if (w.text() !== c.curve) refuse('SSH: two curves');
    const point = w.string();
    w.end();
    const spki = der(0x30, concat(der(0x30, concat(bytes_of('06072a8648ce3d0201'), bytes_of(c.oid))), der(3, concat(Uint8Array.of(0), point))));
    return { type, blob, ec: parse_spki(spki), algorithm: c.name, curve: c };
  }
  if (type === 'ssh-rsa') {
    const e = w.string(), n = w.string();
    w.end();
    const key = der(0x30, concat(der(2, n), der(2, e)));
    const rsa = parse_spki(der(0x30, concat(der(0x30, bytes_of('06092a864886f70d0101010500')), der(3, concat(Uint8Array.of(0), key)))));
    return { type, blob, rsa, algorithm: 'RSASSA-PKCS1-v1_5' };
  }
  return refuse('a key of type ' + JSON.stringify(type) + ' is not supported');
}

// "ssh-ed25519 AAAA… comment".
export function parse_key_line(line) {
  const [type, b64] = line.split(' ');
  const key = parse_key_blob(unbase64(b64 ?? ''));
  if (key.type !== type) refuse('SSH: two types of key in one line');
  return key;
}

export function ssh_fingerprint(key) {
  return 'SHA256:' + base64(sha256(key.blob)).replace(/=+$/, '');
}

export function parse_sshsig(text) {
  const m = /^-----BEGIN SSH SIGNATURE-----\n([A-Za-z0-9+/=\n]+)-----END SSH SIGNATURE-----\n?$/.exec(text);
  if (!m) refuse('is no SSH signature');
  const blob = unbase64(m[1].replace(/\n/g, ''));
  if (!starts_with(blob, utf8('SSHSIG'))) refuse('is no SSH signature');
  const w = new Wire(blob.subarray(6));
  if (w.u32() !== 1) refuse('is an SSH signature of another version');
  const key = parse_key_blob(w.string());
  const out = { key, namespace: w.text(), reserved: w.string(), hash: w.text(), signature: w.string() };
  w.end();
  const rsa_digest = { 'rsa-sha2-256': 'SHA256', 'rsa-sha2-512': 'SHA512' }[new Wire(out.signature).text()];
  out.algorithm = key.rsa ? key.algorithm + '-' + rsa_digest + ':bits=' + key.rsa.bits : key.algorithm;
  return out;
}

// True: `bytes` were signed for `namespace` by the key that the signature names.
export async function verify_sshsig(sig, namespace, bytes) {
  const hash = { sha256: 'SHA-256', sha512: 'SHA-512' }[sig.hash];
  if (sig.namespace !== namespace || !hash || sig.reserved.length) return false;
  const message = concat(utf8('SSHSIG'), string(utf8(namespace)), string(sig.reserved), string(utf8(sig.hash)),
    string(await digest(hash, bytes)));
  const w = new Wire(sig.signature), type = w.text(), value = w.string();
  w.end();
  const key = sig.key;
  if (key.raw) return type === 'ssh-ed25519' && verify_ed25519(key.raw, value, message);
  if (key.rsa) {
    const rsa_hash = { 'rsa-sha2-256': 'SHA-256', 'rsa-sha2-512': 'SHA-512' }[type];
    return !!rsa_hash && verify_signature(key.rsa, { scheme: 'RSA-PKCS1', hash: rsa_hash }, value, message);
  }
  if (type !== key.type) return false;
  const pair = new Wire(value), r = pair.string(), s = pair.string();
  pair.end();
  return verify_signature(key.ec, { scheme: 'ECDSA', hash: key.curve.hash }, der(0x30, concat(der(2, r), der(2, s))), message);
}

// allowed_signers: principals [options] key. → {key, namespaces: [pattern] or null, after, before (ms or null)}.
export function parse_allowed_line(line) {
  let rest = line.replace(/^("[^"]*"|\S+)\s+/, '');
  if (rest === line) refuse('no principal and key');
  const out = { key: null, namespaces: null, after: null, before: null };
  if (!/^(ssh-|ecdsa-|sk-)/.test(rest)) {
    for (const seen = new Set(); ;) {
      const m = /^([A-Za-z-]+)(="([^"]*)")?/.exec(rest);
      if (!m) refuse('an option out of form: a quote may be missing');
      const name = m[1].toLowerCase(), value = m[3];
      if (seen.has(name)) refuse(name + ' twice');
      seen.add(name);
      if (name === 'namespaces') {
        if (value === undefined) refuse('namespaces without a quoted value');
        out.namespaces = value.split(',');
        if (out.namespaces.includes('')) refuse('namespaces with an empty pattern');
      } else if (name === 'valid-after' || name === 'valid-before') {
        out[name.slice(6)] = signers_time(value ?? '');
      } else refuse('the option ' + name + ' is not supported');
      rest = rest.slice(m[0].length);
      if (!rest.startsWith(',')) break;
      rest = rest.slice(1);
      if (rest === '' || rest.startsWith(' ')) refuse('a comma without an option');
    }
    if (!/^\s/.test(rest)) refuse('an option out of form: a quote may be missing');
    rest = rest.trimStart();
  }
  out.key = parse_key_line(rest);
  return out;
}
function signers_time(text) {
  const m = /^(\d{4})(\d\d)(\d\d)(?:(\d\d)(\d\d)(\d\d)?)?(Z?)$/.exec(text);
  if (!m) refuse('a time that is not YYYYMMDD[HHMM[SS]]Z');
  if (!m[7]) refuse('a time that is not in UTC (ending in Z)');
  const t = Date.UTC(m[1], m[2] - 1, m[3], m[4] ?? 0, m[5] ?? 0, m[6] ?? 0), d = new Date(t);
  if (d.getUTCMonth() !== m[2] - 1 || d.getUTCDate() !== Number(m[3])) refuse('a time that is not YYYYMMDD[HHMM[SS]]Z');
  return t;
}

export function pattern_list_matches(patterns, text) {
  let found = false;
  for (const p of patterns) {
    const negated = p.startsWith('!');
    const form = (negated ? p.slice(1) : p).replace(/[.+^${}()|[\]\\]/g, '\\$&').replace(/\*/g, '.*').replace(/\?/g, '.');
    if (!new RegExp('^' + form + '$', 's').test(text)) continue;
    if (negated) return false;
    found = true;
  }
  return found;
}

// Whether a line of the reader's stands for that key, for that namespace, at that time (ms).
export function officer_line_covers(line, key, namespace, time) {
  return same(line.key.blob, key.blob) && (!line.namespaces || pattern_list_matches(line.namespaces, namespace)) &&
    (line.after === null || time >= line.after) && (line.before === null || Math.floor(time / 1000) <= Math.floor(line.before / 1000));
}
