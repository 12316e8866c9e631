// Parser of soft: URIs.
#include "hsm/soft/uri.h"

#include <charconv>
#include <set>
#include <string_view>

#include "base/bytes.h"
#include "base/error.h"
#include "provider/login_secret.h"

namespace kesu::soft {

namespace {
constexpr std::string_view kScheme = "soft:";
constexpr size_t kMaxUri = 4096;

Error bad(std::string why) {
  return Error(Code::bad_input, "not a usable keystore URI: " + std::move(why))
      .next("write it like soft:/var/lib/kesu/keystore?passphrase-source=file:/etc/kesu/passphrase");
}

// Percent-encoding, so that a path may hold a question mark.
std::string decoded(std::string_view text) {
  std::string out;
  for (size_t i = 0; i < text.size(); ++i) {
    char c = text[i];
    if (c == '%') {
      std::string digits(text.substr(i + 1, 2));
      for (char& d : digits)
        if (d >= 'A' && d <= 'F') d = static_cast<char>(d - 'A' + 'a');
      auto byte = digits.size() == 2 ? unhex(digits) : std::nullopt;
      if (!byte) throw bad("it has a % that two hexadecimal digits do not follow");
      c = static_cast<char>(byte->front());
      i += 2;
    }
    if (static_cast<unsigned char>(c) < 0x20 || c == 0x7f) throw bad("it has a control character");
    out += c;
  }
  return out;
}

uint64_t number_of(const std::string& name, const std::string& value) {
  uint64_t n = 0;
  auto [stop, ec] = std::from_chars(value.data(), value.data() + value.size(), n);
  if (ec != std::errc() || stop != value.data() + value.size() || n == 0)
    throw bad("'" + name + "' is not a number from 1");
  return n;
}

uint32_t iterations_of(const std::string& value) {
  const uint64_t n = number_of("iterations", value);
  if (n < kLeastIterations || n > kMostIterations)
    throw Error(Code::policy_refused, "'iterations' must be from " + std::to_string(kLeastIterations) +
                                          " to " + std::to_string(kMostIterations))
        .tried(value)
        .next("leave it out: " + std::to_string(kDefaultIterations) + " is what kesu takes");
  return static_cast<uint32_t>(n);
}
}  // namespace

Uri Uri::parse(const std::string& text) {
  if (!text.starts_with(kScheme)) throw bad("it does not begin with soft:");
  if (text.size() > kMaxUri) throw bad("it is longer than 4,096 characters");
  std::string_view rest = std::string_view(text).substr(kScheme.size());
  const size_t mark = rest.find('?');
  Uri out;
  out.path = decoded(rest.substr(0, mark));
  if (!out.path.starts_with("/")) throw bad("its path is not absolute");
  if (out.path.ends_with("/")) throw bad("its path names a directory");
  std::string_view query = mark == std::string_view::npos ? std::string_view() : rest.substr(mark + 1);
  std::set<std::string> seen;
  bool counted = false;
  while (!query.empty()) {
    std::string_view item = query.substr(0, query.find('&'));
    query.remove_prefix(std::min(item.size() + 1, query.size()));
    const size_t equals = item.find('=');
    const std::string name(item.substr(0, equals));
    // Refused before its value is looked at, so that no message can repeat it.
    if (name == "passphrase")
      throw bad("'passphrase' puts the passphrase into the URI, and a URI is stored, shown and logged");
    if (equals == std::string_view::npos || !seen.insert(name).second)
      throw bad("an attribute of its query is not name=value, or stands twice");
    const std::string value = decoded(item.substr(equals + 1));
    if (name == "passphrase-source") {
      out.passphrase_source = login_source(value);
      if (out.passphrase_source.empty())
        throw bad("'passphrase-source' must be file: with an absolute path, env:NAME, fd:N or prompt");
    } else if (name == "create" && value == "yes") {
      out.create = true;
    } else if (name == "generation") {
      out.generation = number_of(name, value);
    } else if (name == "iterations") {
      out.iterations = iterations_of(value);
      counted = true;
    } else {
      throw bad("'" + name + "' is not known here; the query has passphrase-source");
    }
  }
  if (counted && !out.create) throw bad("'iterations' only has a meaning when the file is made");
  return out;
}

}  // namespace kesu::soft
