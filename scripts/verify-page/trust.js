// The reader's trust file: one item a line, as docs/spec/certificate.md says. Files that it names are those that were
// dropped beside it (by their last name), or PEM text pasted behind the line.
import { from_utf8, refuse } from './bytes.js';
import { parse_lists } from './chain.js';
import { anchors_of } from './pki.js';
import { parse_vkey } from './note.js';
import { parse_allowed_line, parse_key_line } from './ssh.js';

const kPem = /-----BEGIN CERTIFICATE-----[\s\S]*?-----END CERTIFICATE-----\s*/g;

// `files`: Map from a file's last name to its bytes.
export function parse_trust(text, files) {
  const out = { signers: [], signer_cas: [], logs: [], officers: [], officers_cas: [], countersigners: [], witnesses: [], quorum: null, tsa_cas: [], signer_crls: [], renewal_required: false };
  const pasted = text.match(kPem) ?? [];
  const lines = text.replace(kPem, (block) => '\n'.repeat(block.split('\n').length - 1)).split('\n');
  const named = (path) => {
    const found = files.get(path.split(/[\\/]/).pop());
    if (found) return from_utf8(found);
    return refuse('the file ' + JSON.stringify(path) + ' was not dropped beside the trust file');
  };
  const pem = (path) => anchors_of(!files.has(path.split(/[\\/]/).pop()) && pasted.length ? pasted.shift() : named(path));
  for (const [i, raw] of lines.entries()) {
    const line = raw.trim();
    if (line === '' || line.startsWith('#')) continue;
    const m = /^(\S+)\s+(.+)$/.exec(line) ?? [line, line, ''];
    const rest = m[2];
    try {
      if (m[1] === 'signer' || m[1] === 'countersigner') {
        const s = /^sha256:([0-9a-f]{64})$/i.exec(rest) ?? refuse('a signer is sha256: and 64 hex digits');
        (m[1] === 'signer' ? out.signers : out.countersigners).push(s[1].toLowerCase());
      } else if (m[1] === 'signer-ca') out.signer_cas.push(...pem(rest));
      else if (m[1] === 'signer-crl') out.signer_crls.push(...parse_lists(files.get(rest.split(/[\\/]/).pop()) ?? refuse('the file ' + JSON.stringify(rest) + ' was not dropped beside the trust file')));
      else if (m[1] === 'officers-ca') out.officers_cas.push(...pem(rest));
      else if (m[1] === 'tsa-ca') out.tsa_cas.push(...pem(rest));
      else if (m[1] === 'tsa-renewal') {
        if (rest !== 'required') refuse('tsa-renewal takes the word required');
        out.renewal_required = true;
      } else if (m[1] === 'log') out.logs.push(parse_vkey(rest));
      else if (m[1] === 'witness') out.witnesses.push(parse_vkey(rest));
      else if (m[1] === 'quorum') {
        if (!/^[1-9][0-9]{0,3}$/.test(rest)) refuse('a quorum is a number from 1');
        out.quorum = Number(rest);
      } else if (m[1] === 'officer') out.officers.push({ key: parse_key_line(rest), namespaces: null, after: null, before: null });
      else if (m[1] === 'officers') {
        for (const [n, entry] of named(rest).split('\n').entries()) {
          if (entry.trim() === '' || entry.startsWith('#')) continue;
          try {
            out.officers.push(parse_allowed_line(entry.trim()));
          } catch (e) {
            refuse(rest + ' line ' + (n + 1) + ': ' + e.message);
          }
        }
      } else refuse(JSON.stringify(m[1]) + ' is no item of a trust file');
    } catch (e) {
      refuse('trust file, line ' + (i + 1) + ': ' + e.message);
    }
  }
  return out;
}
