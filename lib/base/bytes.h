// Byte strings and their text forms. Nothing here is secret: secrets live in base/secret.h.
#pragma once
#include <array>
#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

namespace kesu {

using Bytes = std::vector<uint8_t>;
using ByteView = std::span<const uint8_t>;
using Digest32 = std::array<uint8_t, 32>;

// A view over the characters of `s`; `s` keeps ownership and must outlive the view.
inline ByteView as_bytes(std::string_view s) {
  return {reinterpret_cast<const uint8_t*>(s.data()), s.size()};
}
inline std::string_view as_text(ByteView b) { return {reinterpret_cast<const char*>(b.data()), b.size()}; }
inline Bytes to_bytes(ByteView b) { return {b.begin(), b.end()}; }
inline std::string to_text(ByteView b) { return std::string(as_text(b)); }

// Lower-case hexadecimal.
std::string hex(ByteView bytes);
// Strict: lower-case digits only, even length; anything else gives nullopt.
std::optional<Bytes> unhex(std::string_view text);
// As unhex, and exactly 32 bytes.
std::optional<Digest32> unhex32(std::string_view text);

// RFC 4648 §4 with padding.
std::string base64(ByteView bytes);
// Strict: no line breaks, padding required, unused bits zero; anything else gives nullopt.
std::optional<Bytes> unbase64(std::string_view text);

// Appends to a byte string, integers big-endian.
class ByteWriter {
 public:
  ByteWriter& u8(uint8_t v);
  ByteWriter& u16(uint16_t v);
  ByteWriter& u32(uint32_t v);
  ByteWriter& u64(uint64_t v);
  ByteWriter& raw(ByteView v);
  ByteWriter& zeros(size_t count);
  size_t size() const { return out_.size(); }
  const Bytes& bytes() const& { return out_; }
  Bytes bytes() && { return std::move(out_); }

 private:
  Bytes out_;
};

// Reads what ByteWriter wrote. Reading past the end sets failed() and yields zeros; nothing throws, so that
// a parser checks once at its end and names the field itself.
class ByteReader {
 public:
  explicit ByteReader(ByteView in) : in_(in) {}
  uint8_t u8();
  uint16_t u16();
  uint32_t u32();
  uint64_t u64();
  ByteView raw(size_t count);
  size_t offset() const { return at_; }
  size_t left() const { return in_.size() - at_; }
  bool failed() const { return failed_; }

 private:
  ByteView in_;
  size_t at_ = 0;
  bool failed_ = false;
};

// True when both are equal; takes the same time for all contents of one length.
bool equal_constant_time(ByteView a, ByteView b);

// True when `text` is well-formed UTF-8 (no surrogates, no overlong forms, at most U+10FFFF).
bool is_utf8(std::string_view text);

}  // namespace kesu
