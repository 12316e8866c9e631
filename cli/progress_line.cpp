#include "progress_line.h"

#include <unistd.h>

#include <algorithm>
#include <chrono>
#include <csignal>
#include <iostream>

namespace kesu::cli {

namespace {
using Clock = std::chrono::steady_clock;
constexpr auto kFirst = std::chrono::milliseconds(1000), kEach = std::chrono::milliseconds(250);

std::string time_text(double seconds) {
  const auto s = static_cast<int64_t>(seconds + 0.5);
  if (s < 100) return std::to_string(s) + " s";
  if (s < 6000) return std::to_string((s + 30) / 60) + " min";
  return std::to_string((s + 1800) / 3600) + " h";
}
}  // namespace

std::string progress_text(const std::string& what, const Progress& p, double seconds) {
  const int64_t files = p.files, bytes = p.bytes, total_files = p.total_files, total_bytes = p.total_bytes;
  std::string out = what + " " + grouped(files);
  if (total_files) out += " of " + grouped(total_files);
  out += " files, " + human_bytes(bytes);
  if (total_bytes) out += " of " + human_bytes(total_bytes);
  if (seconds > 0) {
    // Many small files cost by their number, few large ones by their size: both are shown, the slower counts.
    out += ", " + human_bytes(static_cast<int64_t>(static_cast<double>(bytes) / seconds)) + "/s, " +
           grouped(static_cast<int64_t>(static_cast<double>(files) / seconds)) + " files/s";
    double left = 0;
    if (files && total_files > files)
      left = seconds * static_cast<double>(total_files - files) / static_cast<double>(files);
    if (bytes && total_bytes > bytes)
      left = std::max(left, seconds * static_cast<double>(total_bytes - bytes) / static_cast<double>(bytes));
    if (total_files || total_bytes) out += ", " + time_text(left) + " left";
  }
  return out;
}

ProgressLine::ProgressLine(const Context& c, std::string what, const Progress& progress)
    : what_(std::move(what)), progress_(progress) {
  if (c.json || c.quiet || !::isatty(2)) return;
  // Signals are for the thread that works.
  sigset_t all, before;
  sigfillset(&all);
  ::pthread_sigmask(SIG_SETMASK, &all, &before);
  thread_ = std::thread([this] { run(); });
  ::pthread_sigmask(SIG_SETMASK, &before, nullptr);
}

ProgressLine::~ProgressLine() {
  if (!thread_.joinable()) return;
  {
    std::lock_guard lock(mutex_);
    ends_ = true;
  }
  told_.notify_one();
  thread_.join();
}

void ProgressLine::run() {
  const auto began = Clock::now();
  std::unique_lock lock(mutex_);
  size_t width = 0;
  auto show = [&] {
    std::string text =
        progress_text(what_, progress_, std::chrono::duration<double>(Clock::now() - began).count());
    const size_t now = text.size();
    if (now < width) text.append(width - now, ' ');
    width = now;
    std::cerr << "\r" + text << std::flush;
  };
  for (auto wait = kFirst; !told_.wait_for(lock, wait, [&] { return ends_; }); wait = kEach) show();
  if (!width) return;
  show();
  std::cerr << "\n" << std::flush;
}

}  // namespace kesu::cli
