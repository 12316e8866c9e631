// What the readers of signed statements share. For lib/erasure itself.
#pragma once
#include <string>
#include <string_view>
#include <vector>

#include "base/clock.h"
#include "base/error.h"
#include "base/json.h"

namespace kesu::statement {

// A statement of this type, as JSON. `what`: "hold statement", for errors.
inline Json parse(std::string_view text, std::string_view type, const std::string& what, int depth = 4) {
  Json doc = parse_json(text, what, {.max_bytes = 65536, .max_depth = depth});
  if (doc.str("type") != type) throw Error(Code::bad_input, what + ": unknown type " + doc.str("type"));
  return doc;
}

inline Json lines(const std::vector<std::string>& summary) {
  Json out(Json::Array{});
  for (const std::string& line : summary) out.push(line);
  return out;
}

inline Millis time_of(const Json& doc, const char* member, const std::string& what) {
  auto t = parse_utc(doc.str(member));
  if (!t) throw Error(Code::bad_input, what + ": \"" + member + "\" is no time");
  return *t;
}

template <class T>
T id_of(const Json& doc, const char* member, const std::string& what) {
  auto id = T::parse(doc.str(member));
  if (!id) throw Error(Code::bad_input, what + ": \"" + member + "\" is no identifier of its kind");
  return *id;
}

// What is signed has one form only: what it renders to.
inline void same_bytes(std::string_view given, const std::string& rendered, const std::string& what) {
  if (given == rendered) return;
  size_t at = 0;
  while (at < given.size() && at < rendered.size() && given[at] == rendered[at]) ++at;
  throw Error(Code::bad_input, "the " + what + " is not in its exact form")
      .cause("first difference at byte " + std::to_string(at))
      .next("members in order, two spaces of indentation, a line feed at the end (docs/spec/erasure.md)");
}

}  // namespace kesu::statement
