#include "base/secret.h"

#include <sodium.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/resource.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <cstring>
#include <memory>
#include <mutex>
#include <utility>

#include "base/error.h"
#include "base/libraries.h"

namespace kesu {

namespace {
constexpr size_t kCell = 128;
constexpr size_t kCells = 256;

void init_sodium() {
  static std::once_flag once;
  std::call_once(once, [] {
    if (sodium_init() < 0) throw Error(Code::failed, "libsodium cannot start");
  });
}

// Between guard pages, and locked: never in swap. libsodium goes on where the lock fails, and says nothing,
// so it is asked for again: that is free where it holds.
void* guarded(size_t size) {
  init_sodium();
  void* p = sodium_malloc(size);
  if (!p)
    throw Error(Code::out_of_memory, "no guarded memory for a secret")
        .tried(std::to_string(size) + " bytes")
        .cause(std::strerror(errno))
        .next("end something that uses memory, or raise its limit (ulimit -v), then run it again");
  if (::mlock(p, size) == 0) return p;
  const int why = errno;
  sodium_free(p);
  rlimit limit{};
  ::getrlimit(RLIMIT_MEMLOCK, &limit);
  throw Error(Code::memory_lock, "a secret cannot be kept out of swap: no more memory can be locked")
      .tried("locking " + std::to_string(size) + " bytes, where this process may lock " +
             std::to_string(limit.rlim_cur))
      .cause(std::strerror(why))
      .next(
          "raise that limit (ulimit -l 8192; LimitMEMLOCK=8M of a service), then run the same command again");
}

// Cells in one guarded, locked allocation. Secrets may be released by another thread than the one that made
// them, hence the mutex; it is uncontended in the normal case.
class Slab {
 public:
  Slab() : memory_(static_cast<uint8_t*>(guarded(kCell * kCells))) {
    for (size_t i = 0; i < kCells; ++i) free_[i] = static_cast<uint16_t>(kCells - 1 - i);
    sodium_memzero(memory_, kCell * kCells);
  }
  Slab(const Slab&) = delete;
  Slab& operator=(const Slab&) = delete;
  ~Slab() { sodium_free(memory_); }

  uint8_t* take() {
    std::lock_guard lock(mutex_);
    if (!left_) return nullptr;
    return memory_ + kCell * free_[--left_];
  }
  void give(uint8_t* cell) {
    sodium_memzero(cell, kCell);
    std::lock_guard lock(mutex_);
    free_[left_++] = static_cast<uint16_t>(static_cast<size_t>(cell - memory_) / kCell);
  }

 private:
  std::mutex mutex_;
  uint8_t* memory_;
  std::array<uint16_t, kCells> free_{};
  size_t left_ = kCells;
};

// Each secret keeps its slab alive: a thread may end before its secrets do.
// Where the lock's limit allows no further slab, threads share the last that could be made.
std::shared_ptr<Slab> new_or_shared_slab() {
  static std::mutex mutex;
  static std::weak_ptr<Slab> newest;
  std::lock_guard lock(mutex);
  try {
    auto made = std::make_shared<Slab>();
    newest = made;
    return made;
  } catch (const Error&) {
    if (auto shared = newest.lock()) return shared;
    throw;
  }
}
std::shared_ptr<Slab>& thread_slab() {
  thread_local std::shared_ptr<Slab> slab = new_or_shared_slab();
  return slab;
}
using Home = std::shared_ptr<Slab>;
}  // namespace

Secret::Secret(size_t size) : size_(size) {
  if (size == 0) return;
  if (size <= kCell) {
    Home& slab = thread_slab();
    if (uint8_t* cell = slab->take()) {
      data_ = cell;
      home_ = new Home(slab);
      return;
    }
  }
  data_ = static_cast<uint8_t*>(guarded(size));
  sodium_memzero(data_, size);
}

Secret Secret::from(std::span<const uint8_t> bytes) {
  Secret out(bytes.size());
  if (!bytes.empty()) std::memcpy(out.data_, bytes.data(), bytes.size());
  return out;
}

Secret::Secret(Secret&& other) noexcept
    : data_(std::exchange(other.data_, nullptr)),
      size_(std::exchange(other.size_, 0)),
      home_(std::exchange(other.home_, nullptr)) {}

Secret& Secret::operator=(Secret&& other) noexcept {
  if (this != &other) {
    release();
    data_ = std::exchange(other.data_, nullptr);
    size_ = std::exchange(other.size_, 0);
    home_ = std::exchange(other.home_, nullptr);
  }
  return *this;
}

Secret::~Secret() { release(); }

void Secret::release() noexcept {
  if (!data_) return;
  if (home_) {
    auto* slab = static_cast<Home*>(home_);
    (*slab)->give(data_);
    delete slab;
  } else {
    sodium_free(data_);  // zeroes
  }
  data_ = nullptr;
  size_ = 0;
  home_ = nullptr;
}

void wipe(std::span<uint8_t> memory) { sodium_memzero(memory.data(), memory.size()); }

void harden_process() {
  init_sodium();
  rlimit none{0, 0};
  setrlimit(RLIMIT_CORE, &none);
  prctl(PR_SET_DUMPABLE, 0, 0, 0, 0);
}

std::string sodium_library() { return sodium_version_string(); }

}  // namespace kesu
