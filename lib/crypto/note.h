// C2SP signed notes (c2sp.org/signed-note) with Ed25519 keys, and witnesses' cosignatures
// (c2sp.org/tlog-cosignature).
#pragma once
#include <string>
#include <string_view>
#include <vector>

#include "base/bytes.h"
#include "base/clock.h"
#include "crypto/sign.h"

namespace kesu {

inline constexpr size_t kMaxNote = 1u << 20;       // bytes of a whole note
inline constexpr size_t kMaxNoteSignatures = 100;  // lines
inline constexpr size_t kMaxNoteName = 255;        // bytes of a key's name

enum class NoteKeyType : uint8_t {
  ed25519 = 0x01,         // signs the text
  cosignature_v1 = 0x04,  // Ed25519 over a time and the text
};

// Non-empty UTF-8 without spaces (of Unicode), control characters and '+'.
bool is_note_name(std::string_view name);

// A key that verifies lines of a note: `<name>+<8 hex digits of the id>+<base64(type ‖ 32 bytes)>`.
struct NoteKey {
  std::string name;
  NoteKeyType type = NoteKeyType::ed25519;
  PublicKey key;

  // Throws Error bad_input when the name is no note name or the key not Ed25519.
  static NoteKey make(std::string_view name, const PublicKey& key, NoteKeyType type = NoteKeyType::ed25519);
  // Strict; the id must be that of name and key. Throws Error bad_input naming the part.
  static NoteKey parse(std::string_view vkey);
  std::string vkey() const;
  // First 4 bytes of SHA-256(name ‖ 0x0A ‖ type ‖ key), big-endian.
  uint32_t id() const;
};

// One line "— name base64(id ‖ signature)"; of any key type, also unknown ones.
struct NoteSignature {
  std::string name;
  uint32_t id = 0;
  Bytes signature;
  bool operator==(const NoteSignature&) const = default;
};

struct Note {
  std::string text;  // ends with a line feed, which is signed too
  std::vector<NoteSignature> signatures;

  // text, empty line, signature lines.
  std::string str() const;
  // Strict: UTF-8, no control characters but the line feed, one to kMaxNoteSignatures signature lines,
  // canonical base64, at most kMaxNote bytes. Throws Error bad_input naming the line. Nothing is verified.
  static Note parse(std::string_view note);
};

enum class NoteVerdict {
  good,
  absent,
  bad
};  // absent: no line of this key; bad: a line of it that does not verify

// A line under `key` over `text`; `sign` gets the message and gives 64 bytes of Ed25519. The line is verified
// before it is returned: Error signature_bad when it is not good. bad_input when the text is no note text.
NoteSignature sign_note(std::string_view text, const NoteKey& key, const Signer& sign);
// The same for a witness: signature = time in seconds (8 bytes, big-endian) ‖ Ed25519 over time and text.
NoteSignature cosign_note(std::string_view text, const NoteKey& key, uint64_t time_seconds,
                          const Signer& sign);

// Lines of other keys are not looked at; several lines of this key must all be good. cosignature_v1 keys give
// the latest of their times in `time_seconds` if it is not null.
NoteVerdict verify_note(const Note& note, const NoteKey& key, uint64_t* time_seconds = nullptr);

}  // namespace kesu
