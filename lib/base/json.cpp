#include "base/json.h"

#include <algorithm>
#include <nlohmann/json.hpp>

#include "base/error.h"
#include "base/json_canonical_impl.h"

namespace kesu {

namespace {
constexpr int64_t kMaxInteger = 9007199254740991;  // 2^53 − 1

[[noreturn]] void wrong_kind(const char* wanted) {
  throw Error(Code::bad_input, std::string("JSON value is not ") + wanted);
}

std::u16string utf16(std::string_view s) {
  std::u16string out;
  for (size_t i = 0; i < s.size();) {
    auto c = static_cast<uint8_t>(s[i]);
    int more = c < 0x80 ? 0 : c < 0xe0 ? 1 : c < 0xf0 ? 2 : 3;
    uint32_t cp = more == 0 ? c : more == 1 ? c & 0x1fu : more == 2 ? c & 0x0fu : c & 0x07u;
    for (int k = 1; k <= more && i + static_cast<size_t>(k) < s.size(); ++k)
      cp = cp << 6 | (static_cast<uint8_t>(s[i + static_cast<size_t>(k)]) & 0x3fu);
    i += static_cast<size_t>(more) + 1;
    if (cp < 0x10000) {
      out.push_back(static_cast<char16_t>(cp));
    } else {
      out.push_back(static_cast<char16_t>(0xd800 + ((cp - 0x10000) >> 10)));
      out.push_back(static_cast<char16_t>(0xdc00 + ((cp - 0x10000) & 0x3ff)));
    }
  }
  return out;
}

void write_string(std::string& out, const std::string& s) {
  if (!is_utf8(s)) throw Error(Code::bad_input, "JSON string is not UTF-8");
  out.push_back('"');
  for (char c : s) {
    switch (c) {
      case '"':
        out += "\\\"";
        break;
      case '\\':
        out += "\\\\";
        break;
      case '\b':
        out += "\\b";
        break;
      case '\f':
        out += "\\f";
        break;
      case '\n':
        out += "\\n";
        break;
      case '\r':
        out += "\\r";
        break;
      case '\t':
        out += "\\t";
        break;
      default:
        if (static_cast<uint8_t>(c) < 0x20) {
          out += "\\u00";
          out += hex(ByteView(reinterpret_cast<const uint8_t*>(&c), 1));
        } else {
          out.push_back(c);
        }
    }
  }
  out.push_back('"');
}

// indent < 0: canonical, on one line.
void write(std::string& out, const Json& v, int indent) {
  auto line = [&](int level) {
    if (indent < 0) return;
    out.push_back('\n');
    out.append(static_cast<size_t>(level) * 2, ' ');
  };
  int inner = indent < 0 ? indent : indent + 1;
  if (v.is_null()) {
    out += "null";
  } else if (v.is_bool()) {
    out += v.as_bool() ? "true" : "false";
  } else if (v.is_int()) {
    int64_t n = v.as_int();
    if (n > kMaxInteger || n < -kMaxInteger) throw Error(Code::bad_input, "JSON integer outside ±(2^53 − 1)");
    out += std::to_string(n);
  } else if (v.is_string()) {
    write_string(out, v.as_string());
  } else if (v.is_array()) {
    out.push_back('[');
    bool first = true;
    for (const Json& item : v.as_array()) {
      if (!first) out.push_back(',');
      first = false;
      line(inner);
      write(out, item, inner);
    }
    if (!first) line(indent);
    out.push_back(']');
  } else {
    out.push_back('{');
    bool first = true;
    for (const auto& [key, value] : v.as_object()) {
      if (!first) out.push_back(',');
      first = false;
      line(inner);
      write_string(out, key);
      out += indent < 0 ? ":" : ": ";
      write(out, value, inner);
    }
    if (!first) line(indent);
    out.push_back('}');
  }
}

// Builds a Json from the events of the library's parser, refusing what our reader does not accept.
class Builder : public nlohmann::json_sax<nlohmann::json> {
 public:
  explicit Builder(int max_depth) : max_depth_(max_depth) {}
  Json take() { return std::move(root_); }
  const std::string& problem() const { return problem_; }

  bool null() override { return put(Json()); }
  bool boolean(bool v) override { return put(Json(v)); }
  bool number_integer(number_integer_t v) override {
    if (v < -kMaxInteger || v > kMaxInteger) return refuse("an integer outside ±(2^53 − 1)");
    return put(Json(static_cast<int64_t>(v)));
  }
  bool number_unsigned(number_unsigned_t v) override {
    if (v > static_cast<uint64_t>(kMaxInteger)) return refuse("an integer outside ±(2^53 − 1)");
    return put(Json(static_cast<int64_t>(v)));
  }
  bool number_float(number_float_t, const string_t& text) override {
    return refuse("the number " + text.substr(0, 40) + ", which is not an integer");
  }
  bool string(string_t& v) override { return put(Json(std::move(v))); }
  bool binary(binary_t&) override { return refuse("binary"); }
  bool start_object(size_t) override { return open(Json(Json::Object{})); }
  bool start_array(size_t) override { return open(Json(Json::Array{})); }
  bool end_object() override { return close(); }
  bool end_array() override { return close(); }
  bool key(string_t& k) override {
    if (stack_.back().as_object().contains(k)) return refuse("member \"" + k.substr(0, 80) + "\" twice");
    keys_.back() = std::move(k);
    return true;
  }
  bool parse_error(size_t position, const std::string&, const nlohmann::json::exception& e) override {
    std::string text = e.what();
    return refuse("at byte " + std::to_string(position) + ": " + text.substr(0, 200));
  }

 private:
  bool refuse(std::string why) {
    problem_ = std::move(why);
    return false;
  }
  bool put(Json v) {
    if (stack_.empty()) {
      root_ = std::move(v);
    } else if (stack_.back().is_array()) {
      stack_.back().push(std::move(v));
    } else {
      stack_.back().as_object().emplace(std::move(keys_.back()), std::move(v));
    }
    return true;
  }
  bool open(Json v) {
    if (static_cast<int>(stack_.size()) >= max_depth_)
      return refuse("nesting deeper than " + std::to_string(max_depth_));
    stack_.push_back(std::move(v));
    keys_.emplace_back();
    return true;
  }
  bool close() {
    Json v = std::move(stack_.back());
    stack_.pop_back();
    keys_.pop_back();
    return put(std::move(v));
  }

  int max_depth_;
  Json root_;
  std::vector<Json> stack_;
  std::vector<std::string> keys_;
  std::string problem_;
};
}  // namespace

bool Utf16Less::operator()(std::string_view a, std::string_view b) const {
  const size_t both = std::min(a.size(), b.size());
  size_t at = 0;
  while (at < both && a[at] == b[at]) ++at;
  if (at == both) return a.size() < b.size();
  // Only two characters beyond ASCII may stand in another order than their bytes.
  const auto x = static_cast<uint8_t>(a[at]), y = static_cast<uint8_t>(b[at]);
  return x < 0x80 || y < 0x80 ? x < y : utf16(a) < utf16(b);
}

bool Json::as_bool() const {
  if (!is_bool()) wrong_kind("true or false");
  return std::get<bool>(v_);
}
int64_t Json::as_int() const {
  if (!is_int()) wrong_kind("an integer");
  return std::get<int64_t>(v_);
}
const std::string& Json::as_string() const {
  if (!is_string()) wrong_kind("a string");
  return std::get<std::string>(v_);
}
const Json::Array& Json::as_array() const {
  if (!is_array()) wrong_kind("an array");
  return std::get<Array>(v_);
}
const Json::Object& Json::as_object() const {
  if (!is_object()) wrong_kind("an object");
  return std::get<Object>(v_);
}
Json::Array& Json::as_array() {
  if (!is_array()) wrong_kind("an array");
  return std::get<Array>(v_);
}
Json::Object& Json::as_object() {
  if (!is_object()) wrong_kind("an object");
  return std::get<Object>(v_);
}

const Json* Json::find(std::string_view key) const {
  if (!is_object()) return nullptr;
  const auto& members = std::get<Object>(v_);
  auto it = members.find(key);
  return it == members.end() ? nullptr : &it->second;
}
const Json& Json::at(std::string_view key) const {
  const Json* v = find(key);
  if (!v) throw Error(Code::bad_input, "JSON member \"" + std::string(key) + "\" is missing");
  return *v;
}
const std::string& Json::str(std::string_view key) const {
  const Json& v = at(key);
  if (!v.is_string())
    throw Error(Code::bad_input, "JSON member \"" + std::string(key) + "\" is not a string");
  return v.as_string();
}
int64_t Json::num(std::string_view key) const {
  const Json& v = at(key);
  if (!v.is_int()) throw Error(Code::bad_input, "JSON member \"" + std::string(key) + "\" is not an integer");
  return v.as_int();
}
bool Json::flag(std::string_view key) const {
  const Json* v = find(key);
  return v && v->as_bool();
}
std::string Json::str_or(std::string_view key, std::string_view other) const {
  const Json* v = find(key);
  return v ? v->as_string() : std::string(other);
}
int64_t Json::num_or(std::string_view key, int64_t other) const {
  const Json* v = find(key);
  return v ? v->as_int() : other;
}

Json& Json::set(std::string_view key, Json value) {
  if (is_null()) v_ = Object{};
  as_object().insert_or_assign(std::string(key), std::move(value));
  return *this;
}
Json& Json::push(Json value) {
  if (is_null()) v_ = Array{};
  as_array().push_back(std::move(value));
  return *this;
}
size_t Json::size() const { return is_array() ? as_array().size() : is_object() ? as_object().size() : 0; }

std::string Json::canonical() const {
  std::string out;
  write(out, *this, -1);
  return out;
}
std::string Json::pretty() const {
  std::string out;
  write(out, *this, 0);
  out.push_back('\n');
  return out;
}

Json parse_json(std::string_view text, std::string_view what, const JsonLimits& limits) {
  if (Json v; read_canonical(text, limits, &v)) return v;
  if (text.size() > limits.max_bytes)
    throw Error(Code::bad_input,
                std::string(what) + ": larger than " + std::to_string(limits.max_bytes) + " bytes");
  Builder builder(limits.max_depth);
  if (!nlohmann::json::sax_parse(text.begin(), text.end(), &builder))
    throw Error(Code::bad_input, std::string(what) + ": not acceptable JSON").cause(builder.problem());
  return builder.take();
}

Json parse_canonical_json(std::string_view text, std::string_view what, const JsonLimits& limits) {
  Json v;
  if (read_canonical(text, limits, &v)) return v;
  v = parse_json(text, what, limits);
  std::string again = v.canonical();
  if (again != text) {
    size_t at = 0;
    while (at < again.size() && at < text.size() && again[at] == text[at]) ++at;
    throw Error(Code::bad_input, std::string(what) + ": not in canonical form (RFC 8785)")
        .cause("first difference at byte " + std::to_string(at));
  }
  return v;
}

Json name_to_json(std::string_view name) {
  if (is_utf8(name)) return Json(name);
  return Json::object({{"b64", base64(as_bytes(name))}});
}

std::string name_from_json(const Json& value) {
  if (value.is_string()) return value.as_string();
  auto bytes = unbase64(value.str("b64"));
  if (!bytes || value.size() != 1) throw Error(Code::bad_input, "a name's \"b64\" is not base64");
  return to_text(*bytes);
}

}  // namespace kesu
