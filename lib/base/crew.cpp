#include "base/crew.h"

#include <sched.h>

#include <algorithm>
#include <cstdlib>
#include <utility>

#include "base/interrupt.h"

namespace kesu {

unsigned processors() {
  if (const char* text = std::getenv("KESU_THREADS"); text && *text) {
    char* end = nullptr;
    const long n = std::strtol(text, &end, 10);
    if (!*end && n >= 1 && n <= 256) return static_cast<unsigned>(n);
  }
  cpu_set_t set;
  CPU_ZERO(&set);
  if (::sched_getaffinity(0, sizeof set, &set) != 0) return 1;
  return static_cast<unsigned>(std::max(1, CPU_COUNT(&set)));
}

void Crew::note(std::exception_ptr error) {
  std::lock_guard lock(mutex_);
  if (!error_) error_ = std::move(error);
  failed_ = true;
}

bool Crew::stopped() const { return failed_.load(std::memory_order_relaxed) || interrupted(); }

void Crew::run(const std::function<void(unsigned)>& work) {
  error_ = nullptr;
  failed_ = false;
  const auto guarded = [&](unsigned worker) {
    try {
      work(worker);
    } catch (...) {
      note(std::current_exception());
    }
  };
  std::vector<std::thread> threads;
  try {
    for (unsigned worker = 1; worker < size_; ++worker) threads.emplace_back(guarded, worker);
  } catch (const std::exception&) {  // no more threads to be had: fewer do it
    if (threads.size() + 1 < size_) size_ = static_cast<unsigned>(threads.size()) + 1;
  }
  guarded(0);
  for (std::thread& t : threads) t.join();
  if (error_) std::rethrow_exception(std::exchange(error_, nullptr));
}

void Crew::each(size_t count, const std::function<void(unsigned, size_t)>& work) {
  std::atomic<size_t> next{0};
  const auto some = [&](unsigned worker) {
    for (size_t i; !stopped() && (i = next++) < count;) work(worker, i);
  };
  if (count > 1) return run(some);
  error_ = nullptr;
  failed_ = false;
  some(0);
}

}  // namespace kesu
