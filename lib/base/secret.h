// Key material, PINs and passphrases. Small ones lie in a guarded, locked slab of the thread (one guarded
// page for each would cost more than a token operation); they are zeroed when released, have no copy, cannot
// be compared with ==, logged or serialised. The one way to the bytes is reveal(): search for that word to
// find every use.
#pragma once
#include <cstddef>
#include <cstdint>
#include <span>

namespace kesu {

class Secret {
 public:
  Secret() = default;
  // `size` bytes, zero, locked. Throws Error memory_lock when it cannot be locked (RLIMIT_MEMLOCK),
  // out_of_memory.
  explicit Secret(size_t size);
  // Copies `bytes` in; the caller clears its own copy (wipe()).
  static Secret from(std::span<const uint8_t> bytes);

  Secret(Secret&& other) noexcept;
  Secret& operator=(Secret&& other) noexcept;
  Secret(const Secret&) = delete;
  Secret& operator=(const Secret&) = delete;
  ~Secret();

  bool operator==(const Secret&) const = delete;

  size_t size() const { return size_; }
  bool empty() const { return size_ == 0; }

  std::span<const uint8_t> reveal() const { return {data_, size_}; }
  std::span<uint8_t> reveal() { return {data_, size_}; }

 private:
  void release() noexcept;
  uint8_t* data_ = nullptr;
  size_t size_ = 0;
  void* home_ = nullptr;  // the slab the bytes lie in, or nullptr for an allocation of its own
};

// Zeroes memory in a way that the compiler does not remove.
void wipe(std::span<uint8_t> memory);

// For the whole process: no core dumps, not traceable by others (prctl PR_SET_DUMPABLE 0, RLIMIT_CORE 0).
// Called first in main.
void harden_process();

}  // namespace kesu
