#include "app/authority_asking.h"

#include <algorithm>
#include <map>

namespace kesu {

namespace {
using Steady = std::chrono::steady_clock;
constexpr auto kStep = std::chrono::milliseconds(5);
constexpr auto kSayAfter = std::chrono::seconds(1);
constexpr auto kHeadStart = std::chrono::seconds(3);   // before the next one is asked beside it
constexpr auto kRemembered = std::chrono::minutes(5);  // that somebody was silent

// Who did not answer when: one command asks several times, and would wait for the same one each time.
std::mutex g_lock;
std::map<std::string, Steady::time_point> g_silent;

bool was_silent(const std::string& url) {
  const std::lock_guard guard(g_lock);
  const auto it = g_silent.find(url);
  return it != g_silent.end() && Steady::now() - it->second < kRemembered;
}

void note(const std::string& url, bool silent) {
  const std::lock_guard guard(g_lock);
  if (silent)
    g_silent[url] = Steady::now();
  else
    g_silent.erase(url);
}

std::string up_to(const TimeAuthority& a) { return ", up to " + std::to_string(a.timeout / 1000) + " s"; }
}  // namespace

AuthorityAsking::AuthorityAsking(Environment& env, const std::vector<TimeAuthority>& authorities,
                                 ByteView data, std::string what)
    : env_(env), data_(data), what_(std::move(what)) {
  for (const TimeAuthority& a : authorities) waiting_.push_back(&a);
  std::stable_partition(waiting_.begin(), waiting_.end(),
                        [](const TimeAuthority* a) { return !was_silent(a->url); });
}

AuthorityAsking::~AuthorityAsking() {
  stop_ = true;
  for (Try& t : tries_) {
    if (!t.done && Steady::now() - t.began >= kHeadStart) note(t.authority->url, true);
    if (t.thread.joinable()) t.thread.join();
  }
}

void AuthorityAsking::begin() {
  Try& t = tries_.emplace_back();
  t.authority = waiting_.front();
  t.began = Steady::now();
  waiting_.erase(waiting_.begin());
  t.thread = std::thread([this, &t] {
    try {
      t.stamp = ask_authority(env_, *t.authority, data_, &stop_);
    } catch (...) {
      t.error = std::current_exception();
    }
    t.done = true;
  });
}

std::optional<AuthorityAsking::Answer> AuthorityAsking::take() {
  for (Try& t : tries_) {
    if (!t.done || t.taken) continue;
    t.taken = true;
    t.thread.join();
    Answer out{t.authority, std::move(t.stamp), ""};
    try {
      if (t.error) std::rethrow_exception(t.error);
    } catch (const Error& e) {
      if (e.code() != Code::network_unavailable && e.code() != Code::time_unavailable) throw;
      out.why = e.cause().empty() ? e.message() : e.cause();
    }
    note(t.authority->url, !out.stamp);
    return out;
  }
  return std::nullopt;
}

std::optional<AuthorityAsking::Answer> AuthorityAsking::next() {
  for (;;) {
    check_interrupted();
    if (auto answer = take()) return answer;
    const bool asked = std::any_of(tries_.begin(), tries_.end(), [](const Try& t) { return !t.taken; });
    if (!asked && waiting_.empty()) return std::nullopt;
    if (!asked) begin();
    const auto since = Steady::now() - tries_.back().began;
    if (!waiting_.empty() && since >= kHeadStart) {
      begin();
      env_.notice("no answer yet; asking " + tries_.back().authority->url + ", too" +
                  up_to(*tries_.back().authority));
    } else if (!said_ && since >= kSayAfter) {
      said_ = true;
      env_.notice("waiting for the time authority " + tries_.back().authority->url + ": a time-stamp for " +
                  what_ + up_to(*tries_.back().authority));
    }
    std::this_thread::sleep_for(kStep);
  }
}

}  // namespace kesu
