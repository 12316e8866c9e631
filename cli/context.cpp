#include "context.h"

#include <unistd.h>

#include <cstdio>
#include <cstdlib>
#include <iostream>
#include <set>

#include "app/clock_watch.h"
#include "app/people.h"
#include "app/system.h"
#include "app/tombstones.h"
#include "base/files.h"
#include "base/trace.h"
#include "bus_error.h"
#include "error_words.h"
#include "hsm/register.h"

namespace kesu::cli {

namespace {
SystemClock g_clock;

bool is_wide(uint32_t cp) {
  return (cp >= 0x1100 && cp <= 0x115f) || (cp >= 0x2e80 && cp <= 0xa4cf) || (cp >= 0xac00 && cp <= 0xd7a3) ||
         (cp >= 0xf900 && cp <= 0xfaff) || (cp >= 0xfe30 && cp <= 0xfe6f) || (cp >= 0xff00 && cp <= 0xff60) ||
         (cp >= 0xffe0 && cp <= 0xffe6) || (cp >= 0x20000 && cp <= 0x3fffd);
}

bool misleads(uint32_t cp) {  // direction marks: they show a name other than it is
  return cp == 0x200e || cp == 0x200f || (cp >= 0x202a && cp <= 0x202e) || (cp >= 0x2066 && cp <= 0x2069);
}

// Strings that are bytes (names) become {"b64": …}; all others stay.
Json writable(const Json& j) {
  if (j.is_string()) return name_to_json(j.as_string());
  if (j.is_array()) {
    Json out(Json::Array{});
    for (const Json& inner : j.as_array()) out.push(writable(inner));
    return out;
  }
  if (!j.is_object()) return j;
  Json out(Json::Object{});
  for (auto& [member, inner] : j.as_object()) out.set(member, writable(inner));
  return out;
}

}  // namespace

std::string program_path() {
  char path[4096];
  ssize_t n = ::readlink("/proc/self/exe", path, sizeof path - 1);
  return n > 0 ? std::string(path, static_cast<size_t>(n)) : "kesu";
}

std::string printable(std::string_view text, bool lines) {
  std::string out;
  char code[16];
  for (size_t i = 0; i < text.size();) {
    auto c = static_cast<uint8_t>(text[i]);
    size_t length = c < 0x80 ? 1 : c < 0xe0 ? 2 : c < 0xf0 ? 3 : 4;
    std::string_view one = text.substr(i, length);
    if (!is_utf8(one)) {
      std::snprintf(code, sizeof code, "\\x%02x", c);
      out += code;
      ++i;
      continue;
    }
    uint32_t cp = length == 1 ? c : c & (0xffu >> (length + 1));
    for (size_t k = 1; k < length; ++k) cp = cp << 6 | (static_cast<uint8_t>(one[k]) & 0x3fu);
    bool control = cp < 0x20 || (cp >= 0x7f && cp < 0xa0);
    if ((control && !(lines && cp == '\n')) || misleads(cp)) {
      std::snprintf(code, sizeof code, cp < 0x80 ? "\\x%02x" : "\\u{%x}", static_cast<unsigned>(cp));
      out += code;
    } else {
      out += one;
    }
    i += length;
  }
  return out;
}

void Table::add(std::vector<std::string> row) {
  for (std::string& cell : row) cell = printable(cell, false);
  rows_.push_back(std::move(row));
}

size_t display_width(std::string_view text) {
  size_t width = 0;
  for (size_t i = 0; i < text.size();) {
    auto c = static_cast<uint8_t>(text[i]);
    size_t length = c < 0x80 ? 1 : c < 0xe0 ? 2 : c < 0xf0 ? 3 : 4;
    uint32_t cp = length == 1 ? c : c & (0xffu >> (length + 1));
    for (size_t k = 1; k < length && i + k < text.size(); ++k)
      cp = cp << 6 | (static_cast<uint8_t>(text[i + k]) & 0x3fu);
    width += is_wide(cp) ? 2 : 1;
    i += length;
  }
  return width;
}

std::string Table::str() const {
  std::vector<size_t> widths;
  for (auto& row : rows_)
    for (size_t c = 0; c < row.size(); ++c) {
      if (widths.size() <= c) widths.push_back(0);
      widths[c] = std::max(widths[c], display_width(row[c]));
    }
  std::string out;
  for (auto& row : rows_) {
    std::string line;
    for (size_t c = 0; c < row.size(); ++c) {
      line += row[c];
      if (c + 1 < row.size()) line.append(widths[c] - display_width(row[c]) + 2, ' ');
    }
    while (!line.empty() && line.back() == ' ') line.pop_back();
    out += line + "\n";
  }
  return out;
}

Environment& Context::env() {
  if (!env_) {
    static std::unique_ptr<ProviderFactory> factory = provider_factory();
    env_ = std::make_unique<Environment>(
        system_environment(*factory, path_join(dir_name(program_path()), "kesu-probe")));
    env_->command = command_;
    // The same line again tells nobody anything: what is asked for three times is said once.
    env_->notice = [this, said = std::set<std::string>()](const std::string& line) mutable {
      if (!quiet && said.insert(line).second) std::cerr << "kesu: " << printable(line, true) << "\n";
    };
  }
  return *env_;
}

void Context::begin_command(CLI::App& app, const std::string& words) {
  command_.command = words;
  std::string signer, key;
  bool signs = false;
  for (CLI::App* at = &app; at != nullptr;) {
    for (const CLI::Option* option : at->get_options([](const CLI::Option* o) { return o->count() > 0; })) {
      const std::string name = option->get_lnames().empty() ? "" : option->get_lnames().front();
      if (name == "as" || name == "by") signer = option->results().front();
      if (name == "key") key = option->results().front();
      if (name != "vault" && name != "operator" && name != "operator-key")
        for (const std::string& value : option->results()) command_.named.push_back(value);
    }
    signs = signs || at->get_option_no_throw("--signature") != nullptr;
    auto taken = at->get_subcommands();
    at = taken.empty() ? nullptr : taken.front();
  }
  const auto given = [](const std::string& option, const char* variable) {
    const char* from = std::getenv(variable);
    return !option.empty() || from == nullptr ? option : std::string(from);
  };
  command_.person = given(operator_option, "KESU_OPERATOR");
  command_.key_file = given(operator_key_option, "KESU_OPERATOR_KEY");
  // Who signs a statement with a key at hand signs the command with it, unless somebody else runs it.
  if (command_.person.empty() && command_.key_file.empty() && signs && !signer.empty() && !key.empty()) {
    command_.person = signer;
    command_.key_file = key;
  }
}

std::string Context::vault_directory() const {
  const char* from = std::getenv("KESU_VAULT");
  std::string out = !vault_option.empty() ? absolute_path(vault_option)
                    : from && *from       ? absolute_path(from)
                                          : find_vault(".");
  bus_errors_are_of(out);
  return out;
}

Vault& Context::open(Access access) {
  vault_ = std::make_unique<Vault>(vault_directory(), env(), access);
  if (access == Access::write) {
    watch_clock(*vault_);
    finish_tombstones(*vault_);
  }
  return *vault_;
}
void Context::begin_trace(const std::string& words) const {
  if (verbose) trace_to_stderr();
  if (const char* log = std::getenv("KESU_LOG"); log && *log) trace_to_file(log);
  trace("kesu", "begin",
        {{"command", words}, {"version", kProgram}, {"process", static_cast<int64_t>(::getpid())}}, {});
}
void Context::close() { vault_.reset(); }

void Context::show(const Json& document, const std::string& text) {
  if (json)
    std::cout << writable(document).canonical() << "\n";
  else if (!quiet)
    std::cout << printable(text, true) << std::flush;
}

void Context::show_statement(const std::string& person, const std::string& file,
                             const std::string& name_space) {
  show(Json::object({{"statement", file}, {"namespace", name_space}}),
       "Statement for " + person + ": " + file + "\nnext   " + signing_recipe(name_space, false, file) +
           ", then the same command with --signature " + file +
           ".sig\n       or, with a certificate: " + signing_recipe(name_space, true, file) + "\n");
}
void Context::say(const std::string& line) {
  if (!json && !quiet) std::cout << printable(line, true) << "\n" << std::flush;
}

void Context::confirm(const std::string& question) {
  if (yes) return;
  if (!::isatty(0) || json)
    throw Error(Code::not_confirmed, question + ": nobody could be asked").next("--yes says yes beforehand");
  std::cerr << printable(question, true) << " [yes/no] " << std::flush;
  std::string answer;
  std::getline(std::cin, answer);
  if (answer != "yes" && answer != "y")
    throw Error(Code::not_confirmed, "not confirmed: nothing was changed");
}

std::function<void(int64_t, int64_t)> Context::progress(const std::string& what) {
  if (quiet || json || !::isatty(2)) return [](int64_t, int64_t) {};
  Millis start = g_clock.now();
  auto last = std::make_shared<Millis>(0);
  return [=](int64_t done, int64_t total) {
    Millis now = g_clock.now();
    if (now - start < 1000 || (now - *last < 200 && done != total)) return;
    *last = now;
    Millis left = done ? (now - start) * (total - done) / done / 1000 : 0;
    std::cerr << "\r" << what << " " << grouped(done) << " of " << grouped(total) << ", "
              << done * 1000 / (now - start) << "/s, " << left << " s left   " << (done == total ? "\n" : "")
              << std::flush;
  };
}

void on_run(CLI::App* command, std::function<void()> body) { command->callback(std::move(body)); }

std::string grouped(int64_t n) {
  std::string digits = std::to_string(n < 0 ? -n : n), out;
  for (size_t i = 0; i < digits.size(); ++i) {
    if (i && (digits.size() - i) % 3 == 0) out.push_back(',');
    out.push_back(digits[i]);
  }
  return n < 0 ? "-" + out : out;
}

std::string human_bytes(int64_t n) {
  static constexpr const char* kUnits[] = {"bytes", "KiB", "MiB", "GiB", "TiB", "PiB"};
  if (n < 1024) return grouped(n) + (n == 1 ? " byte" : " bytes");
  double v = static_cast<double>(n);
  int unit = 0;
  while (v >= 1024 && unit < 5) {
    v /= 1024;
    ++unit;
  }
  char text[40];
  std::snprintf(text, sizeof text, "%.2f %s", v, kUnits[unit]);
  return text;
}

std::string brief(const std::string& id) {
  size_t dash = id.find('-');
  if (dash == std::string::npos || id.size() < dash + 9) return id;
  size_t dot = id.find('.');
  return id.substr(0, dash + 9) + (dot == std::string::npos ? "" : id.substr(dot));
}

std::string first_line(const std::string& text) { return text.substr(0, text.find('\n')); }

void print_error(const Error& e, bool json) {
  if (json)
    std::cout << error_json(e) << "\n";
  else
    std::cerr << error_text(e);
}

}  // namespace kesu::cli
