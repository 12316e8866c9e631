// Signed notes: text form, key ids, verification of signature and cosignature lines.
#include "crypto/note.h"

#include <algorithm>

#include "base/error.h"

namespace kesu {

namespace {
constexpr std::string_view kDash = "\xE2\x80\x94 ";  // U+2014 and a space

Error bad(std::string what) { return Error(Code::bad_input, "signed note: " + std::move(what)); }

// The code point at `at`, which moves on; `text` is known to be UTF-8.
uint32_t next_point(std::string_view text, size_t& at) {
  const auto lead = static_cast<uint8_t>(text[at++]);
  if (lead < 0x80) return lead;
  const int more = lead >= 0xF0 ? 3 : lead >= 0xE0 ? 2 : 1;
  uint32_t point = lead & (0x3Fu >> more);
  for (int i = 0; i < more; ++i) point = point << 6 | (static_cast<uint8_t>(text[at++]) & 0x3Fu);
  return point;
}

bool is_space_or_control(uint32_t c) {
  return c <= 0x20 || (c >= 0x7F && c <= 0xA0) || c == 0x1680 || (c >= 0x2000 && c <= 0x200A) ||
         c == 0x2028 || c == 0x2029 || c == 0x202F || c == 0x205F || c == 0x3000;
}

void check_text(std::string_view text) {
  if (text.size() > kMaxNote) throw bad("larger than 1 MiB");
  if (text.empty() || text.back() != '\n') throw bad("the text does not end with a line feed");
  if (!is_utf8(text)) throw bad("not UTF-8");
  for (unsigned char c : text)
    if ((c < 0x20 && c != '\n') || c == 0x7F) throw bad("a control character in the text");
}

Bytes key_bytes(NoteKeyType type, const PublicKey& key) {
  return ByteWriter().u8(static_cast<uint8_t>(type)).raw(key.raw()).bytes();
}

Bytes cosigned_message(std::string_view text, uint64_t time_seconds) {
  std::string message = "cosignature/v1\ntime " + std::to_string(time_seconds) + "\n";
  message += text;
  return to_bytes(as_bytes(message));
}

bool good_line(std::string_view text, const NoteKey& key, ByteView signature, uint64_t& time_seconds) {
  if (key.type == NoteKeyType::ed25519) return verify(key.key, SigAlg::ed25519, as_bytes(text), signature);
  if (signature.size() != 8 + 64) return false;
  time_seconds = ByteReader(signature).u64();
  // The time is written in decimal and read by others as a signed number.
  if (time_seconds > INT64_MAX) return false;
  return verify(key.key, SigAlg::ed25519, cosigned_message(text, time_seconds), signature.subspan(8));
}

NoteSignature verified_line(std::string_view text, const NoteKey& key, Bytes signature) {
  uint64_t time = 0;
  if (!good_line(text, key, signature, time))
    throw Error(Code::signature_bad, "the new signature of the note does not verify under its key")
        .tried("signing as " + key.name)
        .next("check that the provider's key is the one that is registered");
  return {key.name, key.id(), std::move(signature)};
}
}  // namespace

bool is_note_name(std::string_view name) {
  if (name.empty() || name.size() > kMaxNoteName || !is_utf8(name)) return false;
  for (size_t at = 0; at < name.size();) {
    const uint32_t c = next_point(name, at);
    if (c == '+' || is_space_or_control(c)) return false;
  }
  return true;
}

NoteKey NoteKey::make(std::string_view name, const PublicKey& key, NoteKeyType type) {
  if (!is_note_name(name)) throw bad("the key's name is empty, too long, or has a space or '+'");
  if (key.kind() != KeyKind::ed25519) throw bad("the key must be Ed25519, not " + key.name());
  return {std::string(name), type, key};
}

NoteKey NoteKey::parse(std::string_view vkey) {
  const size_t first = vkey.find('+');
  const size_t second = first == std::string_view::npos ? first : vkey.find('+', first + 1);
  if (second == std::string_view::npos) throw bad("a verifier key is <name>+<id>+<key>");
  const auto id = unhex(vkey.substr(first + 1, second - first - 1));
  if (!id || id->size() != 4) throw bad("the key's id is not 8 hexadecimal digits");
  const auto key = unbase64(vkey.substr(second + 1));
  if (!key || key->empty()) throw bad("the key is not base64");
  const auto type = static_cast<NoteKeyType>(key->front());
  if (type != NoteKeyType::ed25519 && type != NoteKeyType::cosignature_v1)
    throw bad("key type " + std::to_string(key->front()) + " is not known");
  NoteKey out = make(vkey.substr(0, first), PublicKey::from_ed25519(ByteView(*key).subspan(1)), type);
  if (ByteReader(*id).u32() != out.id()) throw bad("the id is not that of name and key");
  return out;
}

std::string NoteKey::vkey() const {
  return name + "+" + hex(ByteWriter().u32(id()).bytes()) + "+" + base64(key_bytes(type, key));
}

uint32_t NoteKey::id() const {
  return ByteReader(sha256({as_bytes(name), as_bytes("\n"), key_bytes(type, key)})).u32();
}

std::string Note::str() const {
  std::string out = text + "\n";
  for (const NoteSignature& s : signatures) {
    out += kDash;
    out += s.name + " " + base64(ByteWriter().u32(s.id).raw(s.signature).bytes()) + "\n";
  }
  return out;
}

Note Note::parse(std::string_view note) {
  check_text(note);
  const size_t split = note.rfind("\n\n");
  if (split == std::string_view::npos) throw bad("no empty line before the signatures");
  Note out;
  out.text = std::string(note.substr(0, split + 1));
  std::string_view rest = note.substr(split + 2);
  if (rest.empty()) throw bad("no signature");
  while (!rest.empty()) {
    const std::string where = "signature line " + std::to_string(out.signatures.size() + 1);
    if (out.signatures.size() == kMaxNoteSignatures) throw bad("more than 100 signatures");
    const size_t end = rest.find('\n');  // there is one: check_text
    std::string_view line = rest.substr(0, end);
    rest.remove_prefix(end + 1);
    if (!line.starts_with(kDash)) throw bad(where + " does not start with a dash and a space");
    line.remove_prefix(kDash.size());
    const size_t space = line.find(' ');
    if (space == std::string_view::npos || !is_note_name(line.substr(0, space)))
      throw bad(where + " has no name of a key");
    const auto value = unbase64(line.substr(space + 1));
    if (!value || value->size() < 5) throw bad(where + " has no signature in base64");
    ByteReader reader(*value);
    const uint32_t id = reader.u32();
    out.signatures.push_back({std::string(line.substr(0, space)), id, to_bytes(reader.raw(reader.left()))});
  }
  return out;
}

NoteSignature sign_note(std::string_view text, const NoteKey& key, const Signer& sign) {
  check_text(text);
  if (key.type != NoteKeyType::ed25519) throw bad("this key makes cosignatures only");
  return verified_line(text, key, sign(as_bytes(text)));
}

NoteSignature cosign_note(std::string_view text, const NoteKey& key, uint64_t time_seconds,
                          const Signer& sign) {
  check_text(text);
  if (key.type != NoteKeyType::cosignature_v1) throw bad("this key makes no cosignatures");
  const Bytes signature = sign(cosigned_message(text, time_seconds));
  return verified_line(text, key, ByteWriter().u64(time_seconds).raw(signature).bytes());
}

NoteVerdict verify_note(const Note& note, const NoteKey& key, uint64_t* time_seconds) {
  const uint32_t id = key.id();
  bool seen = false;
  uint64_t latest = 0;
  for (const NoteSignature& s : note.signatures) {
    if (s.id != id || s.name != key.name) continue;
    uint64_t time = 0;
    if (!good_line(note.text, key, s.signature, time)) return NoteVerdict::bad;
    latest = std::max(latest, time);
    seen = true;
  }
  if (time_seconds) *time_seconds = latest;
  return seen ? NoteVerdict::good : NoteVerdict::absent;
}

}  // namespace kesu
