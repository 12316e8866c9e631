// Parser of PKCS #11 URIs.
#include "hsm/pkcs11/uri.h"

#include <algorithm>
#include <utility>
#include <vector>

#include "base/bytes.h"
#include "base/error.h"

namespace kesu::p11 {

namespace {
constexpr std::string_view kScheme = "pkcs11:";
constexpr size_t kMaxUri = 4096;

Error bad(std::string why) {
  return Error(Code::bad_input, "not a usable PKCS #11 URI: " + std::move(why))
      .next("write it like pkcs11:token=LABEL?module-path=/path/module.so&pin-source=file:/path/pin");
}

std::string decoded(std::string_view text, const std::string& attribute) {
  std::string out;
  for (size_t i = 0; i < text.size(); ++i) {
    char c = text[i];
    if (c == '%') {
      std::string digits(text.substr(i + 1, 2));
      std::transform(digits.begin(), digits.end(), digits.begin(),
                     [](char d) { return d >= 'A' && d <= 'F' ? static_cast<char>(d - 'A' + 'a') : d; });
      auto byte = digits.size() == 2 ? unhex(digits) : std::nullopt;
      if (!byte) throw bad("'" + attribute + "' has a % that two hexadecimal digits do not follow");
      c = static_cast<char>(byte->front());
      i += 2;
    } else if (static_cast<unsigned char>(c) <= 0x20 || static_cast<unsigned char>(c) >= 0x7f) {
      throw bad("'" + attribute + "' has a character that must be percent-encoded");
    }
    if (static_cast<unsigned char>(c) < 0x20 || c == 0x7f)
      throw bad("'" + attribute + "' has a control character");
    out += c;
  }
  return out;
}

std::vector<std::pair<std::string, std::string>> attributes(std::string_view part, char separator) {
  std::vector<std::pair<std::string, std::string>> out;
  while (!part.empty()) {
    size_t end = std::min(part.find(separator), part.size());
    std::string_view item = part.substr(0, end);
    part.remove_prefix(std::min(end + 1, part.size()));
    size_t equals = item.find('=');
    if (equals == std::string_view::npos || equals == 0)
      throw bad("its attribute number " + std::to_string(out.size() + 1) +
                " is not name=value");  // may hold a PIN
    std::string name(item.substr(0, equals));
    // Refused before its value is looked at, so that no message can repeat it.
    if (name == "pin-value")
      throw bad("'pin-value' puts the PIN into the URI, and a URI is stored, shown and logged")
          .next("put the PIN into a file of mode 600 and name it: pin-source=file:/path");
    for (const auto& other : out)
      if (other.first == name) throw bad("'" + name + "' stands in it twice");
    std::string value = decoded(item.substr(equals + 1), name);
    if (!is_utf8(value)) throw bad("'" + name + "' is not UTF-8");
    out.emplace_back(std::move(name), std::move(value));
  }
  return out;
}

std::string pin_source_of(const std::string& value) {
  if (value.starts_with("env:") || value.starts_with("fd:")) return value;
  std::string path = value;
  if (path.starts_with("file:")) path.erase(0, 5);
  if (path.starts_with("//")) path.erase(0, 2);
  if (!path.starts_with("/")) throw bad("'pin-source' must be file: with an absolute path, env:NAME or fd:N");
  return "file:" + path;
}
}  // namespace

Uri Uri::parse(const std::string& text) {
  std::string_view rest = text;
  if (!rest.starts_with(kScheme)) throw bad("it does not begin with pkcs11:");
  if (rest.size() > kMaxUri) throw bad("it is longer than 4,096 characters");
  rest.remove_prefix(kScheme.size());
  size_t mark = rest.find('?');
  std::string_view path = rest.substr(0, mark);
  std::string_view query = mark == std::string_view::npos ? std::string_view() : rest.substr(mark + 1);

  Uri out;
  for (auto& [name, value] : attributes(path, ';')) {
    if (name == "token")
      out.token = value;
    else if (name == "serial")
      out.serial = value;
    else if (name == "manufacturer")
      out.manufacturer = value;
    else if (name == "model")
      out.model = value;
    else
      throw bad("'" + name + "' is not known here; a token is named by token, serial, manufacturer, model");
  }
  for (auto& [name, value] : attributes(query, '&')) {
    if (name == "module-path")
      out.module_path = value;
    else if (name == "pin-source")
      out.pin_source = pin_source_of(value);
    else if (name == "module-name")
      throw bad("'module-name' depends on where libraries are searched")
          .next("give module-path=/path/module.so");
    else
      throw bad("'" + name + "' is not known here; the query has module-path and pin-source");
  }
  if (out.module_path.empty()) throw bad("'module-path' is missing");
  if (!out.module_path.starts_with("/")) throw bad("'module-path' must be an absolute path");
  return out;
}

std::string wanted_text(const Uri& uri) {
  std::string out;
  auto add = [&out](std::string_view name, const std::string& value) {
    if (!value.empty()) out.append(out.empty() ? "" : ";").append(name).append("=").append(value);
  };
  add("token", uri.token);
  add("serial", uri.serial);
  add("manufacturer", uri.manufacturer);
  add("model", uri.model);
  return out.empty() ? "any token" : out;
}

}  // namespace kesu::p11
