// Reading JSON members strictly, with the member's name in every error.
#pragma once
#include <algorithm>
#include <initializer_list>
#include <string>
#include <utility>

#include "base/clock.h"
#include "base/error.h"
#include "base/ids.h"
#include "base/json.h"

namespace kesu {

template <class T, size_t N>
std::string_view name_of(const std::pair<T, std::string_view> (&names)[N], T value) {
  for (const auto& [known, name] : names)
    if (known == value) return name;
  return names[N - 1].second;
}

template <class T, size_t N>
std::optional<T> value_of(const std::pair<T, std::string_view> (&names)[N], std::string_view text) {
  for (const auto& [value, name] : names)
    if (name == text) return value;
  return std::nullopt;
}

inline void only_members(const Json& value, std::string_view what,
                         std::initializer_list<std::string_view> names) {
  for (const auto& [name, member] : value.as_object())
    if (std::find(names.begin(), names.end(), name) == names.end())
      throw Error(Code::bad_input, std::string(what) + ": unknown member '" + name + "'");
}

[[noreturn]] inline void bad_member(std::string_view member, std::string_view wanted) {
  throw Error(Code::bad_input, "member '" + std::string(member) + "' must be " + std::string(wanted));
}

inline Bytes hex_member(const Json& value, std::string_view member) {
  auto bytes = unhex(value.str(member));
  if (!bytes) bad_member(member, "lower-case hexadecimal");
  return *std::move(bytes);
}

inline Digest32 digest_member(const Json& value, std::string_view member) {
  auto digest = unhex32(value.str(member));
  if (!digest) bad_member(member, "64 lower-case hexadecimal digits");
  return *digest;
}

inline Millis utc_member(const Json& value, std::string_view member) {
  auto time = parse_utc(value.str(member));
  if (!time) bad_member(member, "a time like 2026-01-31T00:00:00.000Z");
  return *time;
}

inline VersionRef version_member(const Json& value, std::string_view member) {
  auto version = VersionRef::parse(value.str(member));
  if (!version) bad_member(member, "a key version, key-<32 hex digits>.<number>");
  return *version;
}

template <class T, size_t N>
T named_member(const std::pair<T, std::string_view> (&names)[N], const Json& value, std::string_view member) {
  if (auto found = value_of(names, value.str(member))) return *found;
  std::string list;
  for (const auto& row : names) list.append(list.empty() ? "" : ", ").append(row.second);
  bad_member(member, "one of " + list);
}

inline Json text_array(const std::vector<std::string>& texts) {
  Json out = Json::array({});
  for (const std::string& text : texts) out.push(text);
  return out;
}

inline std::vector<std::string> text_vector(const Json& value) {
  std::vector<std::string> out;
  for (const Json& item : value.as_array()) out.push_back(item.as_string());
  return out;
}

}  // namespace kesu
