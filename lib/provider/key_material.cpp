#include "provider/key_material.h"

#include <algorithm>
#include <utility>

#include "base/error.h"
#include "provider/login_secret.h"

namespace kesu {

namespace {
constexpr size_t kKeyBytes = 32;

int digit(uint8_t c) {
  if (c >= '0' && c <= '9') return c - '0';
  if (c >= 'a' && c <= 'f') return c - 'a' + 10;
  return c >= 'A' && c <= 'F' ? c - 'A' + 10 : -1;
}

Secret from_hex(std::span<const uint8_t> text) {
  Secret out(kKeyBytes);
  for (size_t i = 0; i < kKeyBytes; ++i)
    out.reveal()[i] = static_cast<uint8_t>(digit(text[2 * i]) << 4 | digit(text[2 * i + 1]));
  return out;
}
}  // namespace

Secret read_key_material(const std::string& source) {
  bool raw = source.starts_with("file:") || source.starts_with("fd:");
  Secret all = raw ? read_secret_bytes(source, "key") : read_login_secret(source, "key");
  std::span<const uint8_t> bytes = std::as_const(all).reveal();
  auto plain = [](uint8_t c) { return c >= 0x20 && c < 0x7f; };
  if (raw && bytes.size() == kKeyBytes && !std::all_of(bytes.begin(), bytes.end(), plain)) return all;
  size_t size = bytes.size();
  auto white = [](uint8_t c) { return c == ' ' || c == '\t' || c == '\r' || c == '\n'; };
  while (size && white(bytes[size - 1])) --size;
  std::span<const uint8_t> text = bytes.first(size);
  if (size == 2 * kKeyBytes && std::all_of(text.begin(), text.end(), [](uint8_t c) { return digit(c) >= 0; }))
    return from_hex(text);
  throw Error(Code::bad_input, "what " + source + " holds is no AES-256 key")
      .cause(std::all_of(text.begin(), text.end(), plain)
                 ? std::to_string(size) + " characters of text; 64 hex digits are wanted"
                 : std::to_string(bytes.size()) + " bytes")
      .next(raw ? "32 raw bytes or 64 hex digits" : "64 hex digits");
}

}  // namespace kesu
