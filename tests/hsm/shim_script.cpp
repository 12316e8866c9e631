// Reading the shim's script, and its state.
#include "shim_script.h"

#include <algorithm>
#include <charconv>
#include <sstream>
#include <stdexcept>

#include "hsm/pkcs11/cryptoki_impl.h"

namespace shim {

namespace {
using kesu::p11::attribute_name;
using kesu::p11::rv_name;

constexpr const char* kCalls[] = {"*",
                                  "C_Initialize",
                                  "C_Finalize",
                                  "C_GetInfo",
                                  "C_GetSlotList",
                                  "C_GetTokenInfo",
                                  "C_GetMechanismList",
                                  "C_OpenSession",
                                  "C_CloseSession",
                                  "C_CloseAllSessions",
                                  "C_GetSessionInfo",
                                  "C_Login",
                                  "C_Logout",
                                  "C_CreateObject",
                                  "C_DestroyObject",
                                  "C_FindObjectsInit",
                                  "C_FindObjects",
                                  "C_FindObjectsFinal",
                                  "C_GetAttributeValue",
                                  "C_GenerateKey",
                                  "C_GenerateKeyPair",
                                  "C_GenerateRandom",
                                  "C_EncryptInit",
                                  "C_Encrypt",
                                  "C_DecryptInit",
                                  "C_Decrypt",
                                  "C_SignInit",
                                  "C_Sign",
                                  "C_DeriveKey",
                                  "C_WrapKey",
                                  "C_UnwrapKey"};

struct Flag {
  const char* name;
  CK_FLAGS bit;
};
constexpr Flag kFlags[] = {
    {"PIN_COUNT_LOW", CKF_USER_PIN_COUNT_LOW}, {"PIN_FINAL_TRY", CKF_USER_PIN_FINAL_TRY},
    {"PIN_LOCKED", CKF_USER_PIN_LOCKED},       {"LOGIN_REQUIRED", CKF_LOGIN_REQUIRED},
    {"WRITE_PROTECTED", CKF_WRITE_PROTECTED},  {"TOKEN_INITIALIZED", CKF_TOKEN_INITIALIZED}};

[[noreturn]] void bad(const std::string& why) { throw std::runtime_error(why); }

uint64_t number(const std::string& text) {
  uint64_t out = 0;
  auto [end, ec] = std::from_chars(text.data(), text.data() + text.size(), out);
  if (ec != std::errc() || end != text.data() + text.size()) bad("'" + text + "' is no number");
  return out;
}

CK_RV answer(const std::string& name) {
  for (CK_RV rv = 0; rv < 0x400; ++rv)
    if (rv_name(rv) == name) return rv;
  bad("'" + name + "' is no answer known here");
}

CK_ATTRIBUTE_TYPE attribute(const std::string& name) {
  auto [begin, end] = kesu::p11::readable_attributes();
  for (auto* row = begin; row != end; ++row)
    if (row->name == name) return row->type;
  bad("'" + name + "' is no attribute known here");
}

std::vector<std::string> split(const std::string& text, char at) {
  std::vector<std::string> out;
  std::stringstream in(text);
  for (std::string part; std::getline(in, part, at);) out.push_back(part);
  return out;
}

void set_when(Rule& rule, const std::string& text) {
  size_t dash = text.find('-');
  if (text == "*") return;
  if (text.ends_with('+')) {
    rule.from = number(text.substr(0, text.size() - 1));
  } else if (dash != std::string::npos) {
    rule.from = number(text.substr(0, dash));
    rule.to = number(text.substr(dash + 1));
  } else {
    rule.from = rule.to = number(text);
  }
  if (rule.from == 0 || rule.from > rule.to) bad("'" + text + "' is no time: calls are counted from 1");
}

std::vector<uint8_t> bytes(const std::string& text) {
  if (text == "true" || text == "false") return {static_cast<uint8_t>(text == "true" ? 1 : 0)};
  std::vector<uint8_t> out;
  if (text.size() % 2 != 0) bad("'" + text + "' is neither true, false nor hexadecimal");
  for (size_t i = 0; i < text.size(); i += 2) {
    uint8_t byte = 0;
    auto [end, ec] = std::from_chars(text.data() + i, text.data() + i + 2, byte, 16);
    if (ec != std::errc() || end != text.data() + i + 2)
      bad("'" + text + "' is neither true, false nor hexadecimal");
    out.push_back(byte);
  }
  return out;
}

void set_flags(Rule& rule, const std::string& text) {
  for (const std::string& part : split(text, ',')) {
    auto flag = std::find_if(std::begin(kFlags), std::end(kFlags),
                             [&](const Flag& f) { return part.size() > 1 && part.substr(1) == f.name; });
    if (flag == std::end(kFlags) || (part[0] != '+' && part[0] != '-'))
      bad("'" + part + "' is no flag known here");
    (part[0] == '+' ? rule.set : rule.clear) |= flag->bit;
  }
}

void only(const Rule& rule, std::initializer_list<const char*> calls, const std::string& word) {
  if (std::none_of(calls.begin(), calls.end(), [&](const char* c) { return rule.call == c; }))
    bad("'" + word + "' does not go with " + rule.call);
}

void set_action(Rule& rule, const std::vector<std::string>& words) {
  const std::string& word = words[2];
  auto want = [&](size_t least, size_t most) {
    if (words.size() - 3 < least || words.size() - 3 > most)
      bad("'" + word + "' with too few or too many words");
  };
  if (word == "return" || word == "then") {
    want(1, 1);
    rule.what = word == "return" ? Do::answer : Do::answer_then;
    rule.rv = answer(words[3]);
  } else if (word == "delay") {
    want(1, 1);
    rule.what = Do::delay;
    rule.number = static_cast<int64_t>(number(words[3]));
  } else if (word == "wait") {
    want(1, 1);
    rule.what = Do::wait;
    rule.text = words[3];
    if (rule.text[0] != '/') bad("'wait' wants an absolute path");
  } else if (word == "lie") {
    want(2, 2);
    only(rule, {"C_GetAttributeValue"}, word);
    rule.what = Do::lie;
    rule.types = {attribute(words[3])};
    rule.value = bytes(words[4]);
  } else if (word == "flags") {
    want(1, 1);
    only(rule, {"C_GetTokenInfo"}, word);
    rule.what = Do::flags;
    set_flags(rule, words[3]);
  } else if (word == "sessions") {
    want(2, 2);
    only(rule, {"C_GetTokenInfo"}, word);
    rule.what = Do::sessions;
    rule.number = static_cast<int64_t>(number(words[3]));
    rule.second = static_cast<int64_t>(number(words[4]));
  } else if (word == "remove") {
    want(0, 0);
    rule.what = Do::remove;
  } else if (word == "return-token") {
    want(0, 2);
    rule.what = Do::return_token;
    if (words.size() == 5) {
      rule.number = static_cast<int64_t>(number(words[3]));
      rule.in_calls = words[4] == "calls";
      if (words[4] != "calls" && words[4] != "ms") bad("'" + words[4] + "' is neither calls nor ms");
      if (rule.number == 0) bad("return-token after nothing");
    } else if (words.size() == 4) {
      bad("'return-token' wants a number and calls or ms, or nothing");
    }
  } else if (word == "logout" || word == "drop-sessions" || word == "short-gcm" || word == "renumber") {
    want(0, 0);
    if (word == "short-gcm") only(rule, {"C_EncryptInit", "C_DecryptInit"}, word);
    if (word == "renumber") only(rule, {"C_Login"}, word);
    rule.what = word == "logout"          ? Do::logout
                : word == "drop-sessions" ? Do::drop_sessions
                : word == "short-gcm"     ? Do::short_gcm
                                          : Do::renumber;
  } else if (word == "serial" || word == "swap-token") {
    want(1, 1);
    rule.what = word == "serial" ? Do::serial : Do::swap_token;
    rule.text = words[3];
  } else if (word == "reject") {
    want(1, 1);
    only(rule, {"C_GenerateKey", "C_GenerateKeyPair", "C_CreateObject"}, word);
    rule.what = Do::reject;
    for (const std::string& name : split(words[3], ',')) rule.types.push_back(attribute(name));
  } else {
    bad("'" + word + "' is no action known here");
  }
}
}  // namespace

Script Script::parse(const std::string& text) {
  Script out;
  std::stringstream in(text);
  size_t line = 0;
  for (std::string row; std::getline(in, row);) {
    ++line;
    std::stringstream cut(row.substr(0, row.find('#')));
    std::vector<std::string> words;
    for (std::string word; cut >> word;) words.push_back(word);
    if (words.empty()) continue;
    try {
      if (words[0] == "state") {
        if (words.size() != 2 || words[1][0] != '/') bad("'state' wants one absolute path");
        out.state_file = words[1];
        continue;
      }
      if (words.size() < 3) bad("a rule is: call, when, action");
      Rule rule;
      rule.line = line;
      rule.call = words[0];
      if (std::find(std::begin(kCalls), std::end(kCalls), rule.call) == std::end(kCalls))
        bad("'" + rule.call + "' is no call known here");
      set_when(rule, words[1]);
      set_action(rule, words);
      out.rules.push_back(std::move(rule));
    } catch (const std::runtime_error& error) {
      bad("line " + std::to_string(line) + ": " + error.what());
    }
  }
  return out;
}

std::string State::text() const {
  std::stringstream out;
  out << "gone " << gone << "\nback_calls " << back_calls << "\nback_at " << back_at << "\nremovals "
      << removals << "\n";
  if (!serial.empty()) out << "serial " << serial << "\n";
  if (!swap.empty()) out << "swap " << swap << "\n";
  for (const auto& [call, count] : counts) out << "count " << count << " " << call << "\n";
  return out.str();
}

State State::parse(const std::string& text) {
  State out;
  std::stringstream in(text);
  for (std::string row; std::getline(in, row);) {
    std::stringstream line(row);
    std::string word;
    line >> word;
    if (word == "gone") line >> out.gone;
    if (word == "back_calls") line >> out.back_calls;
    if (word == "back_at") line >> out.back_at;
    if (word == "removals") line >> out.removals;
    if (word == "serial") line >> out.serial;
    if (word == "swap") line >> out.swap;
    if (word == "count") {
      uint64_t count = 0;
      std::string call;
      line >> count >> call;
      out.counts[call] = count;
    }
  }
  return out;
}

}  // namespace shim
