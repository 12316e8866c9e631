// The shim's script (SHIM.md): its rules, how often each call was made, and what became of the token.
#pragma once
#include <p11-kit/pkcs11.h>

#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <vector>

namespace shim {

enum class Do {
  answer,       // return CKR_…: the call is not made
  answer_then,  // then CKR_…: it is made, its answer replaced
  delay,
  wait,
  lie,
  flags,
  sessions,
  remove,
  return_token,
  logout,
  drop_sessions,
  serial,
  swap_token,
  renumber,
  reject,
  short_gcm
};

struct Rule {
  std::string call;
  uint64_t from = 1, to = UINT64_MAX;
  Do what = Do::answer;
  CK_RV rv = CKR_OK;
  int64_t number = 0;     // milliseconds, calls, or sessions
  int64_t second = 0;     // of them with writing
  bool in_calls = false;  // what `number` counts
  std::string text;
  std::vector<CK_ATTRIBUTE_TYPE> types;
  std::vector<uint8_t> value;
  CK_FLAGS set = 0, clear = 0;
  size_t line = 0;
};

struct Script {
  std::vector<Rule> rules;
  std::string state_file;
  // Throws std::runtime_error that names the line.
  static Script parse(const std::string& text);
};

// What a script has come to; kept in the state file when one is named, so that several processes share it.
struct State {
  std::map<std::string, uint64_t> counts;
  bool gone = false;
  int64_t back_calls = 0, back_at = 0;  // 0: not by this
  uint64_t removals = 0;                // each ends all sessions of all processes
  std::string serial, swap;             // empty: the token's own
  std::string text() const;
  static State parse(const std::string& text);
};

}  // namespace shim
