// The policy's data as read from its lines (docs/spec/policy.md, "Data"). Internal to lib/policy and its
// tests.
#pragma once
#include <map>
#include <string>
#include <string_view>
#include <vector>

#include "policy/policy.h"

namespace kesu::policy {

struct RuleLine {
  std::string text, cite;
};
struct WordLine {
  std::string word, meaning, reading, cite;
  bool generate = false, process = false;
};
struct StrengthLine {
  std::string family, curve, reading, cite;
  std::vector<std::string> aliases;  // of the curve
  int at_least = 0, exactly = 0, subgroup = 0, bits = 0;
};
struct HashLine {
  std::string name, reading, cite;
  int collision = 0, preimage = 0;
  bool xof = false;
};
struct EntryLine {
  std::string list, category, name, spec, cite;
  int table = 0;
  std::vector<int> notes;
};
struct Algorithm {
  std::string name, family, why, hash_role, hash_default, open_ended, remark, reading, use, cite;
  std::optional<Category>
      verdict;  // stated for what the lists do not hold; otherwise it follows from the parts
  bool allow = false, exception = false, part = false, exempt = false;
  std::vector<std::string> parts, params, hashes, aliases;
  std::vector<Purpose> purposes;
  std::vector<int> sizes;
  int iv = 0, min_output = 0, min_bits_new = 0, fixed = 0;
  int64_t max_blocks = 0;
};
struct NameLine {
  std::string name, of, use, cite;
  std::vector<std::string> aliases;
  Parameters set;
};

struct Data {
  std::vector<Edition> editions;
  std::vector<PeriodRow> periods;  // ascending years within one strength and mode
  std::vector<WordLine> words;
  std::vector<StrengthLine> strengths;
  std::vector<HashLine> hashes;
  std::vector<EntryLine> entries;
  std::vector<Algorithm> algorithms;
  std::vector<NameLine> names;
  std::map<std::string, RuleLine> rules;
  std::map<int, RuleLine> notes;
  std::map<std::string, size_t> algorithm_by_name;  // folded names and aliases
  std::map<std::string, size_t> name_by_name;

  const RuleLine& rule(const std::string& id) const;  // throws Error failed when the data has no such rule
  const WordLine& word(const std::string& word) const;
  const HashLine* hash(std::string_view name) const;
  const EntryLine* entry(std::string_view name, int table) const;  // table 0: any but table 2
  const EntryLine* entry_folded(std::string_view name) const;      // any list, any letter case
};

// ASCII letters made small: how names are compared.
std::string fold(std::string_view text);
// Reads one record per line. Throws Error bad_input naming the line: no citation, unknown kind or member, a
// name twice, a reference to nothing.
Data load_data(std::string_view text);
const Data& data();  // the embedded bytes, read once

}  // namespace kesu::policy
