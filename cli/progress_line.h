// How far long work is: one line on standard error, on a terminal only, from the second second on.
#pragma once
#include <condition_variable>
#include <mutex>
#include <string>
#include <thread>

#include "app/progress.h"
#include "context.h"

namespace kesu::cli {

// Written anew a few times a second by a thread of its own, as long as this lives; `progress` outlives it.
// Nothing with --json or --quiet, or where standard error is no terminal.
class ProgressLine {
 public:
  ProgressLine(const Context& context, std::string what, const Progress& progress);
  ~ProgressLine();
  ProgressLine(const ProgressLine&) = delete;
  ProgressLine& operator=(const ProgressLine&) = delete;
  bool shown() const { return thread_.joinable(); }  // somebody looks: totals are worth counting

 private:
  void run();
  std::string what_;
  const Progress& progress_;
  std::mutex mutex_;
  std::condition_variable told_;
  bool ends_ = false;
  std::thread thread_;
};

// "sealed 12,000 of 20,000 files, 1.20 GiB of 3.00 GiB, 410.00 MiB/s, 4 s left"
std::string progress_text(const std::string& what, const Progress& progress, double seconds);

}  // namespace kesu::cli
