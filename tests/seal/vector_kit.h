// Reads a scenario of tests/vectors: a file, what is changed in it, what must come of it
// (tests/vectors/sealed/README.md).
#pragma once
#include "base/files.h"
#include "base/json.h"
#include "seal/support.h"

namespace kesu::test {

inline Bytes unhex_or_throw(const std::string& text) {
  auto bytes = unhex(text);
  if (!bytes) throw Error(Code::bad_input, "not hexadecimal: " + text);
  return std::move(*bytes);
}

// Edits apply in order; "copy" reads from the file as it was before all of them.
inline Bytes edited(const Bytes& whole, const Json* edits) {
  Bytes out = whole;
  if (!edits) return out;
  for (const Json& e : edits->as_array()) {
    if (e.has("truncate")) {
      out.resize(static_cast<size_t>(e.num("truncate")));
    } else if (e.has("append")) {
      const Bytes more = unhex_or_throw(e.str("append"));
      out.insert(out.end(), more.begin(), more.end());
    } else if (e.has("copy")) {
      const size_t from = static_cast<size_t>(e.num("copy")), at = static_cast<size_t>(e.num("at"));
      const size_t length = static_cast<size_t>(e.num("length"));
      out.resize(std::max(out.size(), at + length));
      std::copy_n(whole.begin() + from, length, out.begin() + at);
    } else {
      const Bytes with = unhex_or_throw(e.has("xor") ? e.str("xor") : e.str("set"));
      const size_t at = static_cast<size_t>(e.num("at"));
      for (size_t i = 0; i < with.size(); ++i)
        out.at(at + i) = e.has("xor") ? static_cast<uint8_t>(out.at(at + i) ^ with[i]) : with[i];
    }
  }
  return out;
}

struct Scenario {
  std::string name;
  Json json;
  Bytes file;  // edited
};
inline std::vector<Scenario> scenarios(const std::string& folder) {
  const std::string dir = path_join(KESU_VECTORS, folder);
  std::vector<Scenario> out;
  for (const std::string& name : list_directory(dir)) {
    if (!name.ends_with(".json")) continue;
    Scenario s;
    s.name = name;
    s.json = parse_json(as_text(read_file(path_join(dir, name))), name);
    s.file = edited(read_file(path_join(dir, s.json.str("file"))), s.json.find("edits"));
    out.push_back(std::move(s));
  }
  return out;
}

// Compares with what is committed, or, when KESU_WRITE_VECTORS is set, writes it.
inline void expect_committed(const std::string& folder, const std::string& name, ByteView content) {
  const std::string path = path_join(path_join(KESU_VECTORS, folder), name);
  if (::getenv("KESU_WRITE_VECTORS")) {
    write_file_durable(path, content);
    return;
  }
  const auto there = read_file_if_there(path);
  ASSERT_TRUE(there) << path << " is missing: run with KESU_WRITE_VECTORS=1";
  EXPECT_TRUE(std::ranges::equal(*there, content)) << path << " is not what this program writes";
}
inline void expect_committed(const std::string& folder, const std::string& name, const Json& json) {
  expect_committed(folder, name, as_bytes(json.pretty()));
}

}  // namespace kesu::test
