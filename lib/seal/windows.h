// Copies of plaintext, looked for in any bytes at any offset, by keyed values alone
// (docs/spec/fingerprints.md, "Scan"). Nothing of the plaintext is kept.
#pragma once
#include <array>
#include <functional>
#include <mutex>
#include <optional>

#include <vector>

#include "crypto/mac.h"
#include "seal/fingerprint.h"

namespace kesu {

constexpr size_t kMinWindow = 512, kMaxWindow = kFingerprintBlock;
// The smallest power of two from kMinWindow to kMaxWindow of which `bytes` has at most 2^20.
size_t window_for(uint64_t bytes);

class Windows {
 public:
  // `key`: as a fingerprint key, 64 bytes; it outlives this. `window`: a power of two, as above.
  Windows(const Secret& key, size_t window);
  ~Windows();  // zeroes what could recognise plaintext without the key
  size_t window() const { return window_; }

  // Takes the windows of objects; each thread has its own.
  class Taker {
   public:
    explicit Taker(Windows& windows);
    ~Taker();
    void begin(uint32_t object);
    void feed(ByteView piece);
    void end();  // the object was authentic to its end; what was begun and not ended counts for nothing

   private:
    void take();
    Windows& all_;
    Fingerprinter with_;
    HmacSha256 whole_;  // of the object's file value, until a window of its own is met
    Bytes rest_;
    uint32_t object_ = 0;
    uint64_t bytes_ = 0;
    struct Found {
      uint64_t weak;
      std::array<uint8_t, 12> strong;
    };
    std::vector<Found> found_;
    int64_t common_ = 0;
    friend class Windows;
  };
  // After the last taker: looking begins.
  void finish();
  size_t count() const { return count_; }     // distinct windows that are looked for
  int64_t common() const { return common_; }  // windows that were left out: they are everywhere
  // Objects that gave no window to look for, and are found where a whole file equals them.
  int64_t whole_only() const { return static_cast<int64_t>(wholes_.size()); }
  bool whole(uint64_t size) const;  // whether a file of this size may be one of these

  // Looks through bytes; each thread has its own.
  class Scanner {
   public:
    explicit Scanner(const Windows& windows) : all_(windows), with_(windows.key_) {}
    // Calls `hit` with offsets in `bytes`, ascending, windows not overlapping, and the object.
    void scan(ByteView bytes, const std::function<void(size_t offset, uint32_t object)>& hit);
    // The block values of a part of a file that begins at a multiple of the window.
    void blocks(ByteView part, std::vector<Digest32>& out);
    // Of a whole file, by all its blocks: the object without windows that it equals.
    std::optional<uint32_t> whole(uint64_t size, std::span<const Digest32> blocks);
    std::optional<uint32_t> whole(ByteView file);

   private:
    const Windows& all_;
    Fingerprinter with_;
  };

 private:
  struct Entry {
    uint64_t weak = 0;  // 0: free
    std::array<uint8_t, 12> strong{};
    uint32_t object = 0;
  };
  struct Whole {
    uint64_t size;
    Digest32 value;
    uint32_t object;
    auto operator<=>(const Whole&) const = default;
  };
  uint64_t weak_of(const uint8_t* window) const;
  bool maybe(uint64_t weak) const {
    const uint64_t bit = (weak * kMix) >> shift_;
    return filter_[bit >> 6] >> (bit & 63) & 1;
  }
  static constexpr uint64_t kMix = 0x9e3779b97f4a7c15;
  const Secret& key_;
  const size_t window_;
  std::array<uint64_t, 256> table_{};
  std::mutex mutex_;
  std::vector<Entry> taken_, slots_;
  std::vector<Whole> wholes_;
  std::vector<uint64_t> filter_;
  unsigned shift_ = 63;
  size_t count_ = 0;
  int64_t common_ = 0;
};

}  // namespace kesu
