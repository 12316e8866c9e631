// Parser of PKCS #11 URIs.
#include "hsm/pkcs11/uri.h"

#include <algorithm>
#include <utility>
#include <vector>

#include "base/bytes.h"
#include "base/error.h"
#include "provider/login_secret.h"

namespace kesu::p11 {

namespace {
constexpr std::string_view kScheme = "pkcs11:";
constexpr size_t kMaxUri = 4096;

Error bad(std::string why) {
  return Error(Code::bad_input, "not a usable PKCS #11 URI: " + std::move(why))
      .next("write it like pkcs11:token=LABEL?module-path=/path/module.so&pin-source=file:/path/pin");
}

// `id` is the one attribute whose value is bytes, not text.
std::string decoded(std::string_view text, const std::string& attribute) {
  bool bytes = attribute == "id";
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
    if (!bytes && (static_cast<unsigned char>(c) < 0x20 || c == 0x7f))
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
    if (name != "id" && !is_utf8(value)) throw bad("'" + name + "' is not UTF-8");
    out.emplace_back(std::move(name), std::move(value));
  }
  return out;
}

std::string pin_source_of(const std::string& value) {
  std::string source = login_source(value);
  if (source.empty()) throw bad("'pin-source' must be file: with an absolute path, env:NAME, fd:N or prompt");
  return source;
}

std::pair<std::string_view, std::string_view> parts(std::string_view rest) {
  if (!rest.starts_with(kScheme)) throw bad("it does not begin with pkcs11:");
  if (rest.size() > kMaxUri) throw bad("it is longer than 4,096 characters");
  rest.remove_prefix(kScheme.size());
  size_t mark = rest.find('?');
  if (mark == std::string_view::npos) return {rest, {}};
  return {rest.substr(0, mark), rest.substr(mark + 1)};
}

bool set_token_part(Uri& out, const std::string& name, const std::string& value) {
  if (name == "token")
    out.token = value;
  else if (name == "serial")
    out.serial = value;
  else if (name == "manufacturer")
    out.manufacturer = value;
  else if (name == "model")
    out.model = value;
  else
    return false;
  return true;
}
}  // namespace

Uri Uri::parse(const std::string& text) {
  auto [path, query] = parts(text);
  Uri out;
  for (auto& [name, value] : attributes(path, ';'))
    if (!set_token_part(out, name, value))
      throw bad("'" + name + "' is not known here; a token is named by token, serial, manufacturer, model");
  for (auto& [name, value] : attributes(query, '&')) {
    if (name == "module-path")
      out.module_path = value;
    else if (name == "pin-source")
      out.pin_source = pin_source_of(value);
    else if (name == "x-kesu-try-pin" && value == "1")
      out.try_pin = true;
    else if (name == "x-kesu-one-login" && value == "1")
      out.one_login = true;
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

std::pair<Uri, ObjectSelector> parse_object_uri(const std::string& text) {
  auto [path, query] = parts(text);
  Uri token;
  ObjectSelector what;
  for (auto& [name, value] : attributes(path, ';')) {
    if (name == "object")
      what.label = value;
    else if (name == "id")
      what.id = to_bytes(as_bytes(value));
    else if (name == "type" && value == "secret-key")
      continue;  // what other tools add; no other kind can be meant
    else if (!set_token_part(token, name, value))
      throw bad("'" + name + "' is not known here; a key is named by object, id and its token's names")
          .next("write it like 'pkcs11:token=LABEL;object=KEY;id=%01%02'");
  }
  if (!attributes(query, '&').empty())
    throw bad("the query has no place here: the provider is registered with its own module and PIN source")
        .next("leave out what follows the question mark; kesu provider list shows the providers");
  if (what.label.empty() && what.id.empty())
    throw bad("it names no object").next("write it like 'pkcs11:token=LABEL;object=KEY;id=%01%02'");
  return {token, what};
}

std::string token_part(const Uri& uri) {
  std::string out;
  auto add = [&out](std::string_view name, const std::string& value) {
    if (value.empty()) return;
    out.append(out.empty() ? "" : ";").append(name).append("=");
    for (char c : value) {
      bool plain = (c >= '0' && c <= '9') || (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || c == '-' ||
                   c == '.' || c == '_' || c == '~';
      out += plain ? std::string(1, c) : "%" + hex(as_bytes(std::string_view(&c, 1)));
    }
  };
  add("token", uri.token);
  add("serial", uri.serial);
  add("manufacturer", uri.manufacturer);
  add("model", uri.model);
  return out;
}

Uri parse_token_part(const std::string& text) {
  Uri out;
  for (auto& [name, value] : attributes(text, ';'))
    if (!set_token_part(out, name, value)) throw bad("'" + name + "' does not name a token");
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
