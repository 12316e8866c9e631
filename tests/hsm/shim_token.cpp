// Applying the script to the token.
#include "shim_token.h"

#include <fcntl.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <chrono>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <fstream>
#include <mutex>
#include <sstream>
#include <stdexcept>
#include <thread>

namespace shim {

CK_FUNCTION_LIST* real = nullptr;

namespace {
std::recursive_mutex lock;
Script script;
State state;
std::string read_stamp;      // of the script that was read
uint64_t seen_removals = 0;  // of those in the state: our sessions ended with each
std::map<CK_OBJECT_HANDLE, CK_OBJECT_HANDLE> real_of, shown_of;
std::map<CK_OBJECT_HANDLE, std::string> identity_of;  // of numbers that were given out
CK_OBJECT_HANDLE fresh_number = 1'000'000;
bool tracking = false, renumbered = false;

int64_t now_ms() {
  return std::chrono::duration_cast<std::chrono::milliseconds>(
             std::chrono::system_clock::now().time_since_epoch())
      .count();
}

std::string slurp(const std::string& path) {
  std::ifstream in(path);
  std::stringstream out;
  out << in.rdbuf();
  return out.str();
}

// By the variable, or beside the token's configuration: the probe gets no variable of ours.
std::string script_path() {
  const char* named = std::getenv("KESU_SHIM_SCRIPT");
  if (named != nullptr && *named != '\0') return named;
  const char* config = std::getenv("SOFTHSM2_CONF");
  std::string beside = config == nullptr ? "" : std::string(config) + ".shim";
  return !beside.empty() && access(beside.c_str(), R_OK) == 0 ? beside : "";
}

std::string stamp_of(const std::string& path) {
  struct stat st {};
  if (path.empty() || stat(path.c_str(), &st) != 0) return path;
  return path + " " + std::to_string(st.st_ino) + " " + std::to_string(st.st_size) + " " +
         std::to_string(st.st_mtim.tv_sec) + "." + std::to_string(st.st_mtim.tv_nsec);
}

// The state for one call: from the file, locked, and back to it.
class Shared {
 public:
  Shared() {
    if (script.state_file.empty()) return;
    fd_ = open(script.state_file.c_str(), O_RDWR | O_CREAT | O_CLOEXEC, 0600);
    if (fd_ < 0 || flock(fd_, LOCK_EX) != 0) {
      std::fprintf(stderr, "shim: cannot use the state file %s\n", script.state_file.c_str());
      std::abort();
    }
    state = State::parse(slurp(script.state_file));
  }
  ~Shared() {
    if (fd_ < 0) return;
    std::string text = state.text();
    if (ftruncate(fd_, 0) != 0 ||
        pwrite(fd_, text.data(), text.size(), 0) != static_cast<ssize_t>(text.size()))
      std::abort();
    close(fd_);
  }
  Shared(const Shared&) = delete;
  Shared& operator=(const Shared&) = delete;

 private:
  int fd_ = -1;
};

std::vector<CK_SLOT_ID> all_slots() {
  CK_ULONG count = 0;
  real->C_GetSlotList(CK_TRUE, nullptr, &count);
  std::vector<CK_SLOT_ID> out(count);
  if (count > 0) real->C_GetSlotList(CK_TRUE, out.data(), &count);
  return out;
}

void end_sessions() {
  for (CK_SLOT_ID slot : all_slots()) real->C_CloseAllSessions(slot);
}

void log_out() {
  for (CK_SLOT_ID slot : all_slots()) {
    CK_SESSION_HANDLE session = 0;
    if (real->C_OpenSession(slot, CKF_SERIAL_SESSION | CKF_RW_SESSION, nullptr, nullptr, &session) != CKR_OK)
      continue;
    real->C_Logout(session);
    real->C_CloseSession(session);
  }
}

std::string label_of(CK_SLOT_ID slot) {
  CK_TOKEN_INFO info{};
  if (real->C_GetTokenInfo(slot, &info) != CKR_OK || !(info.flags & CKF_TOKEN_INITIALIZED)) return "";
  std::string text(reinterpret_cast<const char*>(info.label), sizeof info.label);
  return text.substr(0, text.find_last_not_of(' ') + 1);
}

void gone_now(int64_t calls, int64_t ms) {
  state.gone = true;
  ++state.removals;
  state.back_calls = calls;
  state.back_at = ms > 0 ? now_ms() + ms : 0;
}

bool has_type(const Rule& rule, const CK_ATTRIBUTE* items, CK_ULONG count) {
  for (CK_ULONG i = 0; i < count; ++i)
    if (std::find(rule.types.begin(), rule.types.end(), items[i].type) != rule.types.end()) return true;
  return false;
}

struct After {
  int64_t delay = 0;
  std::vector<std::string> waits;
  bool logout = false, drop = false;
};

// FILE.reached says that the call stands still. A test that forgets it is no test.
void wait_for(const std::string& file) {
  std::fclose(std::fopen((file + ".reached").c_str(), "w"));
  for (int i = 0; access(file.c_str(), F_OK) != 0; ++i) {
    if (i == 60'000) std::abort();
    std::this_thread::sleep_for(std::chrono::milliseconds(1));
  }
}

void apply(const Rule& rule, Verdict& out, After& after) {
  switch (rule.what) {
    case Do::answer:
      if (!out.answer) out.answer = rule.rv;
      break;
    case Do::answer_then:
      if (!out.then) out.then = rule.rv;
      break;
    case Do::delay:
      after.delay += rule.number;
      break;
    case Do::wait:
      after.waits.push_back(rule.text);
      break;
    case Do::lie:
      out.lies.push_back(rule);
      break;
    case Do::flags:
      out.set |= rule.set, out.clear |= rule.clear;
      break;
    case Do::sessions:
      out.sessions = {static_cast<CK_ULONG>(rule.number), static_cast<CK_ULONG>(rule.second)};
      break;
    case Do::remove:
      gone_now(0, 0);
      break;
    case Do::return_token:
      if (rule.number == 0)
        state.gone = false;
      else
        gone_now(rule.in_calls ? rule.number : 0, rule.in_calls ? 0 : rule.number);
      break;
    case Do::logout:
      after.logout = true;
      break;
    case Do::drop_sessions:
      after.drop = true;
      break;
    case Do::serial:
      state.serial = rule.text;
      break;
    case Do::swap_token:
      state.swap = rule.text, after.drop = true;
      break;
    case Do::renumber:
      out.renumber = true;
      break;
    case Do::reject:
      out.answer = CKR_ATTRIBUTE_TYPE_INVALID;
      break;
    case Do::short_gcm:
      out.short_gcm = true;
      break;
  }
}
}  // namespace

void load_script() {
  std::lock_guard guard(lock);
  std::string path = script_path(), stamp = stamp_of(path);
  if (stamp == read_stamp) return;
  read_stamp = stamp;
  script = path.empty() ? Script() : Script::parse(slurp(path));
  state = State();
  seen_removals = 0;
  tracking |= !path.empty();  // handles outlive the script that was there when they were given
}

Verdict before(const char* call, const CK_ATTRIBUTE* items, CK_ULONG count) {
  Verdict out;
  After after;
  {
    std::lock_guard guard(lock);
    try {
      load_script();
    } catch (const std::exception& error) {
      std::fprintf(stderr, "shim: %s\n", error.what());
      std::abort();
    }
    if (script.rules.empty()) return out;
    Shared shared;
    if (state.gone && state.back_calls > 0 && --state.back_calls == 0) state.gone = false;
    if (state.gone && state.back_at > 0 && now_ms() >= state.back_at) state.gone = false;
    uint64_t this_call = ++state.counts[call], any_call = ++state.counts["*"];
    for (const Rule& rule : script.rules) {
      if (rule.call != "*" && rule.call != call) continue;
      uint64_t n = rule.call == "*" ? any_call : this_call;
      if (!rule.types.empty()) {
        if (!has_type(rule, items, count)) continue;
        // Of those that ask for the attribute.
        n = ++state.counts["line-" + std::to_string(rule.line)];
      }
      if (n >= rule.from && n <= rule.to) apply(rule, out, after);
    }
    if (state.removals != seen_removals) after.drop = true;
    seen_removals = state.removals;
    bool passes = std::strcmp(call, "C_Initialize") == 0;
    if (after.drop && !passes) end_sessions();
    if (after.logout && !passes) log_out();
  }
  if (after.delay > 0) std::this_thread::sleep_for(std::chrono::milliseconds(after.delay));
  for (const std::string& file : after.waits) wait_for(file);
  return out;
}

bool token_gone() {
  std::lock_guard guard(lock);
  return state.gone;
}

std::vector<CK_SLOT_ID> shown_slots(bool with_token, const std::vector<CK_SLOT_ID>& all) {
  std::lock_guard guard(lock);
  std::vector<CK_SLOT_ID> out;
  if (state.gone && with_token) return out;
  for (CK_SLOT_ID slot : all)
    if (state.swap.empty() || label_of(slot) == state.swap) out.push_back(slot);
  return out;
}

void dress(CK_SLOT_ID slot, CK_TOKEN_INFO& info) {
  std::lock_guard guard(lock);
  auto pad = [](auto& field, const std::string& text) {
    std::memset(field, ' ', sizeof field);
    std::memcpy(field, text.data(), std::min(sizeof field, text.size()));
  };
  if (!state.serial.empty()) pad(info.serialNumber, state.serial);
  if (state.swap.empty() || label_of(slot) != state.swap) return;
  for (CK_SLOT_ID other : all_slots())
    if (std::string label = label_of(other); !label.empty() && label != state.swap)
      return pad(info.label, label);
}

namespace {
std::string identity(CK_SESSION_HANDLE session, CK_OBJECT_HANDLE object) {
  std::string out;
  for (CK_ATTRIBUTE_TYPE type : {CKA_CLASS, CKA_LABEL, CKA_ID}) {
    char value[256];
    CK_ATTRIBUTE item{type, value, sizeof value};
    if (real->C_GetAttributeValue(session, object, &item, 1) == CKR_OK && item.ulValueLen <= sizeof value)
      out.append(value, item.ulValueLen);
    out += '|';
  }
  return out;
}
}  // namespace

CK_OBJECT_HANDLE to_real(CK_OBJECT_HANDLE shown) {
  std::lock_guard guard(lock);
  auto it = real_of.find(shown);
  return it == real_of.end() ? shown : it->second;
}

CK_OBJECT_HANDLE to_shown(CK_SESSION_HANDLE session, CK_OBJECT_HANDLE handle) {
  std::lock_guard guard(lock);
  if (!tracking) return handle;
  CK_OBJECT_HANDLE shown = handle;
  if (auto it = shown_of.find(handle); it != shown_of.end()) {
    shown = it->second;
  } else if (renumbered) {
    shown = fresh_number++;
    real_of[shown] = handle, shown_of[handle] = shown;
  }
  identity_of[shown] = identity(session, handle);
  return shown;
}

void forget_handles() {
  std::lock_guard guard(lock);
  real_of.clear(), shown_of.clear(), identity_of.clear();
  renumbered = false;
}

void renumber(CK_SESSION_HANDLE session) {
  std::lock_guard guard(lock);
  std::map<std::string, CK_OBJECT_HANDLE> there, numbers;
  real->C_FindObjectsInit(session, nullptr, 0);
  CK_OBJECT_HANDLE found[256];
  CK_ULONG count = 0;
  real->C_FindObjects(session, found, 256, &count);
  real->C_FindObjectsFinal(session);
  for (CK_ULONG i = 0; i < count; ++i) there[identity(session, found[i])] = found[i];
  for (const auto& [number, who] : identity_of) numbers[who] = number;
  // Rotated within each class, which the identity begins with.
  std::map<std::string, std::vector<std::string>> classes;
  for (const auto& [who, handle] : there) classes[who.substr(0, sizeof(CK_OBJECT_CLASS))].push_back(who);
  real_of.clear(), shown_of.clear(), identity_of.clear();
  renumbered = true;
  for (const auto& [name, members] : classes)
    for (size_t i = 0; i < members.size(); ++i) {
      auto known = numbers.find(members[i]);
      CK_OBJECT_HANDLE number = known == numbers.end() ? fresh_number++ : known->second;
      const std::string& next = members[(i + 1) % members.size()];
      real_of[number] = there[next], shown_of[there[next]] = number, identity_of[number] = next;
    }
}

}  // namespace shim
