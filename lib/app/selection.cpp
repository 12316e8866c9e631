#include "app/selection.h"

#include <unistd.h>

#include <algorithm>
#include <cerrno>

#include "base/files.h"
#include "seal/files.h"
#include "seal/tree_manifest.h"

namespace kesu {

namespace {
constexpr uint32_t kStray = 0x110000;  // plus a byte that is no UTF-8
constexpr size_t kMaxPattern = 4096, kMaxNames = 1u << 30;

// The character at `at`, which moves behind it.
uint32_t next_character(std::string_view text, size_t& at) {
  const auto byte = [&](size_t i) { return static_cast<uint8_t>(text[i]); };
  const uint8_t first = byte(at);
  const size_t length = first < 0x80 ? 1 : first < 0xe0 ? 2 : first < 0xf0 ? 3 : 4;
  if (length == 1 || at + length > text.size() || !is_utf8(text.substr(at, length)))
    return ++at, first < 0x80 ? first : kStray + first;
  uint32_t c = first & (0xffu >> (length + 1));
  for (size_t i = 1; i < length; ++i) c = c << 6 | (byte(at + i) & 0x3fu);
  at += length;
  return c;
}

Error bad_pattern(std::string_view pattern, const char* why) {
  return Error(Code::usage, "\"" + std::string(pattern) + "\" is no pattern").cause(why);
}
}  // namespace

Glob::Glob(std::string_view pattern) {
  const std::string_view given = pattern;
  if (pattern.size() > kMaxPattern) throw bad_pattern(given.substr(0, 60), "it is too long");
  if (pattern.ends_with('/') && !pattern.ends_with("\\/")) {
    directories_ = true;
    pattern.remove_suffix(1);
  }
  whole_ = pattern.find('/') != std::string_view::npos;
  if (pattern.starts_with('/')) pattern.remove_prefix(1);
  if (pattern.empty()) throw bad_pattern(given, "it is empty");
  for (size_t at = 0; at < pattern.size();) {
    const bool begins = at == 0 || pattern[at - 1] == '/';
    if (begins && pattern.substr(at).starts_with("**/")) {
      tokens_.push_back({Token::dirs, 0, false, {}});
      tokens_.push_back({Token::dirs_inside, 0, false, {}});
      at += 3;
    } else if (pattern.substr(at).starts_with("**")) {
      tokens_.push_back({Token::all, 0, false, {}});
      at += 2;
    } else if (pattern[at] == '*') {
      tokens_.push_back({Token::star, 0, false, {}});
      ++at;
    } else if (pattern[at] == '?') {
      tokens_.push_back({Token::any, 0, false, {}});
      ++at;
    } else if (pattern[at] == '[') {
      Token t{Token::set, 0, false, {}};
      ++at;
      if (at < pattern.size() && (pattern[at] == '!' || pattern[at] == '^')) t.negated = true, ++at;
      const auto member = [&] {
        if (at < pattern.size() && pattern[at] == '\\') ++at;
        if (at >= pattern.size()) throw bad_pattern(given, "\"[\" without \"]\"");
        return next_character(pattern, at);
      };
      do {
        const uint32_t low = member();
        uint32_t high = low;
        if (at + 1 < pattern.size() && pattern[at] == '-' && pattern[at + 1] != ']') {
          ++at;
          high = member();
        }
        if (high < low) throw bad_pattern(given, "a range in \"[…]\" that runs backwards");
        t.ranges.emplace_back(low, high);
      } while (at < pattern.size() && pattern[at] != ']');
      if (at == pattern.size()) throw bad_pattern(given, "\"[\" without \"]\"");
      ++at;
      tokens_.push_back(std::move(t));
    } else {
      if (pattern[at] == '\\' && ++at == pattern.size()) throw bad_pattern(given, "\"\\\" at its end");
      tokens_.push_back({Token::one, next_character(pattern, at), false, {}});
    }
  }
}

bool Glob::matches(std::string_view name, bool directory) const {
  if (directories_ && !directory) return false;
  if (!whole_) name.remove_prefix(name.rfind('/') == std::string_view::npos ? 0 : name.rfind('/') + 1);
  return matches_text(name);
}

// All places in the pattern at once that the text so far can have led to: no pattern makes it slow.
bool Glob::matches_text(std::string_view text) const {
  std::vector<char> now(tokens_.size() + 1, 0), then(now);
  const auto reach = [&](std::vector<char>& set, size_t i) {
    for (;; ++i) {
      set[i] = 1;
      if (i == tokens_.size()) return;
      if (tokens_[i].kind == Token::dirs) {
        set[++i] = 1;  // inside; or no directory at all:
        continue;
      }
      if (tokens_[i].kind != Token::star && tokens_[i].kind != Token::all) return;
    }
  };
  reach(now, 0);
  for (size_t at = 0; at < text.size();) {
    const uint32_t c = next_character(text, at);
    std::fill(then.begin(), then.end(), 0);
    bool alive = false;
    for (size_t i = 0; i < tokens_.size(); ++i) {
      if (!now[i]) continue;
      const Token& t = tokens_[i];
      switch (t.kind) {
        case Token::one:
          if (c == t.character) reach(then, i + 1), alive = true;
          break;
        case Token::any:
          if (c != '/') reach(then, i + 1), alive = true;
          break;
        case Token::set: {
          const bool in = std::any_of(t.ranges.begin(), t.ranges.end(),
                                      [&](const auto& r) { return r.first <= c && c <= r.second; });
          if (c != '/' && in != t.negated) reach(then, i + 1), alive = true;
          break;
        }
        case Token::star:
          if (c != '/') reach(then, i), alive = true;
          break;
        case Token::all:
          reach(then, i), alive = true;
          break;
        case Token::dirs:
          break;
        case Token::dirs_inside:
          alive = true;
          if (c == '/')
            reach(then, i - 1);
          else
            then[i] = 1;
          break;
      }
    }
    if (!alive) return false;
    std::swap(now, then);
  }
  return now[tokens_.size()] != 0;
}

namespace {
// Whether every line that has something in it ends with CR LF: a list from another system, whose names would
// all be sought with a CR at their ends.
bool all_end_with_cr(std::string_view text) {
  bool any = false;
  while (!text.empty()) {
    const size_t end = std::min(text.find('\n'), text.size());
    if (end > 0 && text[end - 1] != '\r') return false;
    any = any || end > 0;
    text.remove_prefix(std::min(end + 1, text.size()));
  }
  return any;
}
}  // namespace

void Selection::only(std::string_view text, bool null_separated) {
  listed_ = true;
  const char separator = null_separated ? '\0' : '\n';
  if (!null_separated && all_end_with_cr(text))
    throw Error(Code::bad_input, "the lines of the list end with CR LF")
        .cause("a CR is a byte of a name here")
        .next("write it with LF alone (tr -d '\\r' <LIST); names that do end with CR: --null");
  while (!text.empty()) {
    const size_t end = std::min(text.find(separator), text.size());
    std::string_view name = text.substr(0, end);
    text.remove_prefix(std::min(end + 1, text.size()));
    if (name.empty()) continue;
    while (name.starts_with("./")) name.remove_prefix(2);
    while (name.size() > 1 && name.ends_with('/')) name.remove_suffix(1);
    if (name.empty() || name == ".") {
      names_.emplace_back();
      continue;
    }
    try {
      names_.push_back(safe_relative_path(std::string(name)));
    } catch (const Error& e) {
      throw Error(Code::bad_input, "the list names " + std::string(name))
          .cause(e.cause())
          .next("names in it are relative to the source, and stay below it");
    }
  }
  std::sort(names_.begin(), names_.end(), tree_before);
  names_.erase(std::unique(names_.begin(), names_.end()), names_.end());
}

bool Selection::excluded(std::string_view name, bool directory) const {
  return std::any_of(excludes_.begin(), excludes_.end(),
                     [&](const Glob& g) { return g.matches(name, directory); });
}

bool Selection::included(std::string_view name, bool directory) const {
  return includes_.empty() || std::any_of(includes_.begin(), includes_.end(),
                                          [&](const Glob& g) { return g.matches(name, directory); });
}

std::string read_names(const std::string& path) {
  if (path != "-") return to_text(read_file(path, kMaxNames));
  std::string out;
  char buffer[1 << 16];
  for (;;) {
    const ssize_t n = ::read(STDIN_FILENO, buffer, sizeof buffer);
    if (n < 0 && errno == EINTR) continue;
    if (n < 0) throw file_error(errno, "read", "standard input");
    if (n == 0) return out;
    if (out.size() + static_cast<size_t>(n) > kMaxNames)
      throw Error(Code::bad_input, "the list of names on standard input is too long");
    out.append(buffer, static_cast<size_t>(n));
  }
}

}  // namespace kesu
