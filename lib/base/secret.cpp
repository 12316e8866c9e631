#include "base/secret.h"

#include <sodium.h>
#include <sys/prctl.h>
#include <sys/resource.h>

#include <algorithm>
#include <array>
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

void* guarded(size_t size) {
  init_sodium();
  void* p = sodium_malloc(size);
  if (!p)
    throw Error(Code::failed, "no guarded memory for a secret")
        .tried(std::to_string(size) + " bytes")
        .next("raise the limit of locked memory (ulimit -l) and try again");
  return p;
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
std::shared_ptr<Slab>& thread_slab() {
  thread_local std::shared_ptr<Slab> slab = std::make_shared<Slab>();
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
