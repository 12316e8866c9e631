// Threads that do one job together.
#pragma once
#include <atomic>
#include <exception>
#include <functional>
#include <mutex>
#include <thread>
#include <vector>

namespace kesu {

// How many processors this process may use (sched_getaffinity), at least 1; KESU_THREADS, 1 to 256, says
// otherwise.
unsigned processors();

class Crew {
 public:
  explicit Crew(unsigned size = processors()) : size_(size ? size : 1) {}
  unsigned size() const { return size_; }

  // Calls work(0) … work(size − 1), each in a thread of its own, 0 in the caller's; returns when all have
  // ended. The first exception is thrown again here; the others learn of it by stopped().
  void run(const std::function<void(unsigned worker)>& work);
  // Whether work should end early: another worker failed, or Ctrl-C was pressed (base/interrupt.h).
  bool stopped() const;

  // Calls work(worker, i) for each i of [0, count), in ascending order of start, each once; after a failure
  // none is started any more.
  void each(size_t count, const std::function<void(unsigned worker, size_t i)>& work);

 private:
  void note(std::exception_ptr error);
  unsigned size_;
  std::atomic<bool> failed_{false};
  std::mutex mutex_;
  std::exception_ptr error_;
};

}  // namespace kesu
