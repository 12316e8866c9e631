// One entry's own check, and the line of threads that does it for a whole ledger. Not installed.
#pragma once
#include <array>
#include <condition_variable>
#include <cstring>
#include <deque>
#include <memory>
#include <mutex>
#include <optional>

#include "base/error.h"
#include "store/store.h"

namespace kesu {

std::string words_of(const Error& error);

// A node's identifier in the ledger, which is a stream's name, in few bytes: its kind, 128 bits, a version.
struct StreamKey {
  std::array<uint8_t, 16> id{};
  uint32_t version = 0;
  char kind[4] = {};

  // nullopt: no identifier.
  static std::optional<StreamKey> of(std::string_view text) {
    const std::string_view prefix = node_kind(text);
    if (prefix.empty()) return std::nullopt;
    StreamKey out;
    std::copy(prefix.begin(), prefix.end(), out.kind);
    const std::string_view digits = text.substr(prefix.size() + 1);
    auto nibble = [](char c) { return static_cast<uint8_t>(c <= '9' ? c - '0' : c - 'a' + 10); };
    for (size_t i = 0; i < 16; ++i)
      out.id[i] = static_cast<uint8_t>(nibble(digits[2 * i]) << 4 | nibble(digits[2 * i + 1]));
    for (size_t i = 33; i < digits.size(); ++i)
      out.version = out.version * 10 + static_cast<uint32_t>(digits[i] - '0');
    return out;
  }
  std::string text() const {
    std::string out = std::string(kind, ::strnlen(kind, sizeof kind)) + "-" + hex(id);
    return version ? out + "." + std::to_string(version) : out;
  }
  auto operator<=>(const StreamKey&) const = default;
};
struct HashStreamKey {
  size_t operator()(const StreamKey& k) const {  // identifiers are random
    uint64_t a, b;
    std::memcpy(&a, k.id.data(), 8);
    std::memcpy(&b, k.id.data() + 8, 8);
    return static_cast<size_t>((a ^ b * 0x9e3779b97f4a7c15u) + k.version + static_cast<uint8_t>(k.kind[0]));
  }
};

// What can be said of one entry without the others.
struct Decoded {
  RawEntry raw;  // its texts are gone where they are not needed any more
  StoredEntry entry;
  bool header_good = false, whole = true;
  std::vector<std::string> before;  // what is wrong, in the order in which it is said:
  std::string in_header, in_body;
  std::vector<StreamKey> streams;  // that the header names, each once
};

// Parses and recomputes; every way in which the row is not a whole entry is written down.
Decoded decoded(RawEntry raw, const std::function<bool(const Header&)>& wants_body);

// Checks entries on all processors, and hands them on in their order, in the caller's thread. Holds a few
// hundred at a time.
class Line {
 public:
  Line(const std::function<bool(const Header&)>& wants_body, std::function<void(Decoded&)> next)
      : wants_body_(wants_body), next_(std::move(next)) {}

  // For worker 0: takes all that `give` pushes.
  void lead(const std::function<void(const std::function<void(RawEntry)>&)>& give);
  // For the others.
  void help();
  // Until all that was pushed is handed on.
  void finish();

 private:
  static constexpr size_t kRows = 256, kBytes = 1 << 20, kAhead = 6;
  struct Chunk {
    std::vector<RawEntry> rows;
    std::vector<Decoded> out;
    std::exception_ptr error;
    enum { waiting, taken, done } state = waiting;
  };

  void push();
  Chunk* waiting();
  void check(Chunk& chunk, std::unique_lock<std::mutex>& lock);
  void take_done(size_t left);

  const std::function<bool(const Header&)>& wants_body_;
  std::function<void(Decoded&)> next_;
  std::vector<RawEntry> filling_;
  size_t bytes_ = 0;
  std::mutex mutex_;
  std::condition_variable changed_;
  std::deque<std::unique_ptr<Chunk>> order_;  // those under way, in the ledger's order
  bool over_ = false;
};

}  // namespace kesu
