// Canonical JSON (RFC 8785, integers within ±(2^53 − 1)) read in its one form: what is written otherwise is refused where
// it stands. `pretty`: the form of statements, indented by two spaces, a line feed at the end. JSON.parse is not used: it
// keeps the last of two members of one name and rounds large numbers.
import { from_utf8, refuse } from './bytes.js';

const kDepth = 32;
const kShort = { '"': '"', '\\': '\\', b: '\b', f: '\f', n: '\n', r: '\r', t: '\t' };
const kPlain = /[^"\\\u0000-\u001f]*/y;
const kNumber = /0|-?[1-9][0-9]*/y;

class Reader {
  constructor(text, pretty) {
    this.text = text;
    this.pretty = pretty;
    this.at = 0;
  }
  no(what) {
    refuse('not acceptable JSON: ' + what + ' at character ' + this.at);
  }
  expect(literal) {
    if (!this.text.startsWith(literal, this.at)) this.no('another form than the canonical one');
    this.at += literal.length;
  }
  gap(depth) {
    if (this.pretty) this.expect('\n' + '  '.repeat(depth));
  }
  value(depth) {
    if (depth > kDepth) this.no('deeper than ' + kDepth + ' levels');
    const c = this.text[this.at];
    if (c === '"') return this.string();
    if (c === '{') return this.object(depth);
    if (c === '[') return this.array(depth);
    if (c === 't') return this.expect('true'), true;
    if (c === 'f') return this.expect('false'), false;
    if (c === 'n') return this.expect('null'), null;
    kNumber.lastIndex = this.at;
    const m = kNumber.exec(this.text);
    if (!m) this.no('no value');
    const n = Number(m[0]);
    if (!Number.isSafeInteger(n)) this.no('a number out of range');
    this.at += m[0].length;
    if (/[0-9.eE+-]/.test(this.text[this.at] ?? '')) this.no('a number that is no plain integer');
    return n;
  }
  string() {
    let out = '';
    ++this.at;
    for (;;) {
      kPlain.lastIndex = this.at;
      const run = kPlain.exec(this.text)[0];
      out += run;
      this.at += run.length;
      const c = this.text[this.at];
      if (c === '"') break;
      if (c !== '\\') this.no('a control character, or the end, within a string');
      const e = this.text[this.at + 1];
      if (e === 'u') {
        const four = this.text.substr(this.at + 2, 4);
        const code = parseInt(four, 16);
        if (!/^00[01][0-9a-f]$/.test(four) || [8, 9, 10, 12, 13].includes(code)) this.no('an escape that is not canonical');
        out += String.fromCharCode(code);
        this.at += 6;
      } else {
        if (!(e in kShort)) this.no('an escape that is not canonical');
        out += kShort[e];
        this.at += 2;
      }
    }
    ++this.at;
    return out;
  }
  object(depth) {
    // No prototype: a member may have any name.
    const out = Object.create(null);
    this.expect('{');
    if (this.text[this.at] === '}') return ++this.at, out;
    for (let last = null; ; this.expect(',')) {
      this.gap(depth + 1);
      if (this.text[this.at] !== '"') this.no('no name of a member');
      const name = this.string();
      if (last !== null && !(last < name)) this.no(last === name ? 'a member twice' : 'members out of order');
      last = name;
      this.expect(this.pretty ? ': ' : ':');
      out[name] = this.value(depth + 1);
      if (this.text[this.at] !== ',') break;
    }
    this.gap(depth);
    this.expect('}');
    return out;
  }
  array(depth) {
    const out = [];
    this.expect('[');
    if (this.text[this.at] === ']') return ++this.at, out;
    for (;; this.expect(',')) {
      this.gap(depth + 1);
      out.push(this.value(depth + 1));
      if (this.text[this.at] !== ',') break;
    }
    this.gap(depth);
    this.expect(']');
    return out;
  }
}

export function parse_json_text(text, pretty = false) {
  const r = new Reader(text, pretty);
  const out = r.value(0);
  if (pretty) r.expect('\n');
  if (r.at !== text.length) r.no('more after the value');
  return out;
}

export function parse_json(bytes, pretty = false) {
  return parse_json_text(from_utf8(bytes), pretty);
}

export function canonical(value) {
  if (Array.isArray(value)) return '[' + value.map(canonical).join(',') + ']';
  if (value !== null && typeof value === 'object')
    return '{' + Object.keys(value).sort().map((k) => JSON.stringify(k) + ':' + canonical(value[k])).join(',') + '}';
  return JSON.stringify(value);
}

export function equal(a, b) {
  return canonical(a ?? null) === canonical(b ?? null);
}

// Members by kind, for readers of what somebody else wrote: a wrong kind is refused, by name.
export function is_object(v) {
  return v !== null && typeof v === 'object' && !Array.isArray(v);
}
export function text_of(o, name) {
  if (!is_object(o) || typeof o[name] !== 'string') refuse(name + ' is missing or no text');
  return o[name];
}
export function int_of(o, name) {
  if (!is_object(o) || typeof o[name] !== 'number') refuse(name + ' is missing or no number');
  return o[name];
}
export function list_of(o, name) {
  if (!is_object(o) || !Array.isArray(o[name])) refuse(name + ' is missing or no list');
  return o[name];
}
export function members(o, required, optional = []) {
  if (!is_object(o)) refuse('is no JSON object');
  for (const name of required) if (!(name in o)) refuse(name + ' is missing');
  for (const name of Object.keys(o))
    if (!required.includes(name) && !optional.includes(name)) refuse(name + ' is no member of this');
}

const kTime = /^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z$/;
export function is_time(text) {
  return typeof text === 'string' && kTime.test(text) && !Number.isNaN(Date.parse(text)) && new Date(text).toISOString() === text;
}
export function is_sha256(text) {
  return typeof text === 'string' && /^[0-9a-f]{64}$/.test(text);
}
