// JSON as kesu writes and reads it: RFC 8785 canonical form, numbers only integers within ±(2^53 − 1).
// The reader is strict and bounded: duplicate keys, fractions, bad UTF-8, deep nesting and trailing bytes are
// errors.
#pragma once
#include <cstdint>
#include <map>
#include <string>
#include <string_view>
#include <variant>
#include <vector>

#include "base/bytes.h"

namespace kesu {

// Orders member names as RFC 8785 §3.2.3 asks: by UTF-16 code units.
struct Utf16Less {
  using is_transparent = void;
  bool operator()(std::string_view a, std::string_view b) const;
};

class Json {
 public:
  using Array = std::vector<Json>;
  using Object = std::map<std::string, Json, Utf16Less>;

  Json() = default;  // null
  Json(bool v) : v_(v) {}
  Json(int v) : v_(static_cast<int64_t>(v)) {}
  Json(int64_t v) : v_(v) {}
  Json(uint64_t v) : v_(static_cast<int64_t>(v)) {}
  Json(uint32_t v) : v_(static_cast<int64_t>(v)) {}
  Json(const char* v) : v_(std::string(v)) {}
  Json(std::string v) : v_(std::move(v)) {}
  Json(std::string_view v) : v_(std::string(v)) {}
  Json(Array v) : v_(std::move(v)) {}
  Json(Object v) : v_(std::move(v)) {}
  static Json array(std::initializer_list<Json> items) { return Json(Array(items)); }
  static Json object(std::initializer_list<Object::value_type> members) { return Json(Object(members)); }

  bool is_null() const { return std::holds_alternative<std::monostate>(v_); }
  bool is_bool() const { return std::holds_alternative<bool>(v_); }
  bool is_int() const { return std::holds_alternative<int64_t>(v_); }
  bool is_string() const { return std::holds_alternative<std::string>(v_); }
  bool is_array() const { return std::holds_alternative<Array>(v_); }
  bool is_object() const { return std::holds_alternative<Object>(v_); }

  // Each throws Error bad_input naming the wanted kind when the value is of another kind.
  bool as_bool() const;
  int64_t as_int() const;
  const std::string& as_string() const;
  const Array& as_array() const;
  const Object& as_object() const;
  Array& as_array();
  Object& as_object();

  // Member of an object. at() throws Error bad_input naming the member when it is missing; find() gives
  // nullptr.
  const Json& at(std::string_view key) const;
  const Json* find(std::string_view key) const;
  bool has(std::string_view key) const { return find(key) != nullptr; }
  // Typed look-ups with the member's name in the error.
  const std::string& str(std::string_view key) const;
  int64_t num(std::string_view key) const;
  bool flag(std::string_view key) const;                                   // false when absent
  std::string str_or(std::string_view key, std::string_view other) const;  // `other` when absent
  int64_t num_or(std::string_view key, int64_t other) const;

  // Adds or replaces a member (a null value becomes an object first); push appends to an array likewise.
  Json& set(std::string_view key, Json value);
  Json& push(Json value);
  size_t size() const;  // elements of an array, members of an object, else 0

  // RFC 8785 bytes. Throws Error bad_input when an integer lies outside ±(2^53 − 1) or a string is not UTF-8.
  std::string canonical() const;
  // The same, indented by two spaces, members in the same order, a line feed at the end: for people, and for
  // statements that people sign.
  std::string pretty() const;

  bool operator==(const Json&) const = default;

 private:
  std::variant<std::monostate, bool, int64_t, std::string, Array, Object> v_;
};

struct JsonLimits {
  size_t max_bytes = 64u << 20;
  int max_depth = 32;
};

// `what` names the document in errors. Throws Error bad_input with the byte offset where it is known.
Json parse_json(std::string_view text, std::string_view what, const JsonLimits& limits = {});
// As parse_json, and the text must be byte for byte its own canonical() form.
Json parse_canonical_json(std::string_view text, std::string_view what, const JsonLimits& limits = {});

// Whether the text is an object that parse_canonical_json would take, without building it.
bool is_canonical_json_object(std::string_view text, const JsonLimits& limits = {});

// A file name is bytes: a JSON string when it is UTF-8, else {"b64": …} (docs/spec/sealed-object.md).
Json name_to_json(std::string_view name);
std::string name_from_json(const Json& value);

}  // namespace kesu
