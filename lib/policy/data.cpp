// Reads the policy's data lines, strictly: a line that says something this reader does not know is an error.
#include "policy/data.h"

#include <set>

#include "base/error.h"

namespace kesu {
extern const std::string_view embedded_policy;
}

namespace kesu::policy {

namespace {

std::vector<std::string> strings(const Json& line, std::string_view key) {
  std::vector<std::string> out;
  if (const Json* v = line.find(key))
    for (const Json& item : v->as_array()) out.push_back(item.as_string());
  return out;
}

std::vector<int> numbers(const Json& line, std::string_view key) {
  std::vector<int> out;
  if (const Json* v = line.find(key))
    for (const Json& item : v->as_array()) out.push_back(static_cast<int>(item.as_int()));
  return out;
}

int number(const Json& line, std::string_view key) { return static_cast<int>(line.num_or(key, 0)); }

void only(const Json& line, std::initializer_list<std::string_view> members) {
  for (const auto& [key, value] : line.as_object()) {
    bool known = key == "kind" || key == "cite";
    for (std::string_view member : members) known = known || key == member;
    if (!known) throw Error(Code::bad_input, "unknown member \"" + key + "\"");
  }
}

Category category_word(const std::string& word) {
  for (Category c : {Category::outside_categories, Category::not_listed})
    if (text(c) == word) return c;
  throw Error(Code::bad_input,
              "a verdict in the data is outside-categories or not-listed, not \"" + word + "\"");
}

Parameters preset(const Json& set) {
  only(set, {"bits", "subgroup", "curve", "hash", "mgf", "with"});
  Parameters p;
  if (set.has("bits")) p.bits = number(set, "bits");
  if (set.has("subgroup")) p.subgroup = number(set, "subgroup");
  p.curve = set.str_or("curve", "");
  p.hash = set.str_or("hash", "");
  p.mgf = set.str_or("mgf", "");
  p.with = set.str_or("with", "");
  return p;
}

Algorithm algorithm(const Json& j) {
  only(j, {"name",   "verdict",   "allow",        "why",        "parts",        "family",     "purposes",
           "params", "hash_role", "hash_default", "hashes",     "open_ended",   "exception",  "part",
           "exempt", "sizes",     "iv",           "min_output", "min_bits_new", "max_blocks", "fixed",
           "remark", "reading",   "aliases",      "use"});
  Algorithm a;
  a.name = j.str("name");
  a.family = j.str("family");
  a.why = j.str_or("why", "");
  a.hash_role = j.str_or("hash_role", "");
  a.hash_default = j.str_or("hash_default", "");
  a.open_ended = j.str_or("open_ended", "");
  a.remark = j.str_or("remark", "");
  a.reading = j.str_or("reading", "");
  a.use = j.str("use");
  a.cite = j.str("cite");
  if (j.has("verdict")) {
    a.verdict = category_word(j.str("verdict"));
    if (a.why.empty()) throw Error(Code::bad_input, "a stated verdict needs its \"why\"");
  }
  a.allow = j.flag("allow");
  a.exception = j.flag("exception");
  a.part = j.flag("part");
  a.exempt = j.flag("exempt");
  a.parts = strings(j, "parts");
  a.params = strings(j, "params");
  a.hashes = strings(j, "hashes");
  a.aliases = strings(j, "aliases");
  for (const std::string& word : strings(j, "purposes")) a.purposes.push_back(purpose_from(word));
  if (a.purposes.empty()) throw Error(Code::bad_input, "an algorithm needs a purpose");
  if (!a.verdict && a.parts.empty()) throw Error(Code::bad_input, "neither parts nor a verdict");
  a.sizes = numbers(j, "sizes");
  a.iv = number(j, "iv");
  a.min_output = number(j, "min_output");
  a.min_bits_new = number(j, "min_bits_new");
  a.fixed = number(j, "fixed");
  a.max_blocks = j.num_or("max_blocks", 0);
  return a;
}

PeriodRow period(const Json& j) {
  only(j, {"strength", "mode", "from", "to", "cell", "reading"});
  PeriodRow row{number(j, "strength"), mode_from(j.str("mode")), number(j, "from"), number(j, "to"),
                j.str("cell"),         j.str("reading"),         j.str("cite")};
  if (row.strength_bits <= 0 || row.from <= 0 || row.to < row.from)
    throw Error(Code::bad_input, "a bad period");
  return row;
}

void read_line(Data& d, const Json& j) {
  const std::string& kind = j.str("kind");
  const std::string& cite = j.str("cite");
  if (cite.empty()) throw Error(Code::bad_input, "the citation is empty");
  if (kind == "edition") {
    only(j, {"id", "document", "title", "date", "seen"});
    d.editions.push_back({j.str("document"), j.str("title"), j.str("date"), j.str("seen")});
  } else if (kind == "rule") {
    only(j, {"id", "text"});
    d.rules[j.str("id")] = {j.str("text"), cite};
  } else if (kind == "note") {
    only(j, {"n", "text"});
    d.notes[number(j, "n")] = {j.str("text"), cite};
  } else if (kind == "word") {
    only(j, {"word", "new", "processing", "meaning", "reading"});
    d.words.push_back({j.str("word"), j.str("meaning"), j.str("reading"), cite, j.at("new").as_bool(),
                       j.at("processing").as_bool()});
  } else if (kind == "period") {
    d.periods.push_back(period(j));
  } else if (kind == "strength") {
    only(j, {"family", "curve", "aliases", "at_least", "exactly", "subgroup", "bits", "reading"});
    d.strengths.push_back({j.str("family"), j.str_or("curve", ""), j.str("reading"), cite,
                           strings(j, "aliases"), number(j, "at_least"), number(j, "exactly"),
                           number(j, "subgroup"), static_cast<int>(j.num("bits"))});
  } else if (kind == "hash") {
    only(j, {"name", "collision", "preimage", "xof", "reading"});
    d.hashes.push_back({j.str("name"), j.str("reading"), cite, static_cast<int>(j.num("collision")),
                        static_cast<int>(j.num("preimage")), j.flag("xof")});
  } else if (kind == "entry") {
    only(j, {"list", "table", "category", "name", "spec", "notes", "nist_category"});
    d.entries.push_back({j.str("list"), j.str("category"), j.str("name"), j.str("spec"), cite,
                         number(j, "table"), numbers(j, "notes")});
  } else if (kind == "algorithm") {
    d.algorithms.push_back(algorithm(j));
  } else if (kind == "name") {
    only(j, {"name", "of", "set", "aliases", "use"});
    d.names.push_back(
        {j.str("name"), j.str("of"), j.str("use"), cite, strings(j, "aliases"), preset(j.at("set"))});
  } else {
    throw Error(Code::bad_input, "unknown kind \"" + kind + "\"");
  }
}

void add_name(Data& d, std::map<std::string, size_t>& to, const std::string& name, size_t at) {
  std::string key = fold(name);
  if (d.algorithm_by_name.count(key) || d.name_by_name.count(key))
    throw Error(Code::bad_input, "policy data: the name \"" + name + "\" stands twice");
  to[key] = at;
}

void link(Data& d) {
  for (size_t i = 0; i < d.algorithms.size(); ++i) {
    add_name(d, d.algorithm_by_name, d.algorithms[i].name, i);
    for (const std::string& alias : d.algorithms[i].aliases) add_name(d, d.algorithm_by_name, alias, i);
  }
  for (size_t i = 0; i < d.names.size(); ++i) {
    add_name(d, d.name_by_name, d.names[i].name, i);
    for (const std::string& alias : d.names[i].aliases) add_name(d, d.name_by_name, alias, i);
    if (!d.algorithm_by_name.count(fold(d.names[i].of)))
      throw Error(Code::bad_input, "policy data: \"" + d.names[i].name + "\" names an unknown algorithm");
  }
  for (const Algorithm& a : d.algorithms)
    for (const std::string& part : a.parts)
      if (part.find('{') == std::string::npos && !d.entry(part, 0))
        throw Error(Code::bad_input,
                    "policy data: " + a.name + " has the part \"" + part + "\", which no list holds");
  for (const EntryLine& e : d.entries)
    for (int note : e.notes)
      if (!d.notes.count(note))
        throw Error(Code::bad_input, "policy data: " + e.name + " cites a missing note");
  for (const PeriodRow& p : d.periods) d.word(p.word);
}

}  // namespace

std::string fold(std::string_view text) {
  std::string out(text);
  for (char& c : out)
    if (c >= 'A' && c <= 'Z') c = static_cast<char>(c - 'A' + 'a');
  return out;
}

const RuleLine& Data::rule(const std::string& id) const {
  auto it = rules.find(id);
  if (it == rules.end()) throw Error(Code::failed, "policy data: the rule \"" + id + "\" is missing");
  return it->second;
}

const WordLine& Data::word(const std::string& wanted) const {
  for (const WordLine& w : words)
    if (w.word == wanted) return w;
  throw Error(Code::bad_input, "policy data: the period word \"" + wanted + "\" is not defined");
}

const HashLine* Data::hash(std::string_view name) const {
  for (const HashLine& h : hashes)
    if (h.name == name) return &h;
  return nullptr;
}

const EntryLine* Data::entry(std::string_view name, int table) const {
  for (const EntryLine& e : entries)
    if (e.name == name && (table == 2 ? e.table == 2 : e.table != 2)) return &e;
  return nullptr;
}

const EntryLine* Data::entry_folded(std::string_view name) const {
  for (const EntryLine& e : entries)
    if (fold(e.name) == fold(name)) return &e;
  return nullptr;
}

Data load_data(std::string_view text) {
  Data d;
  for (size_t line = 1; !text.empty(); ++line) {
    size_t end = text.find('\n');
    std::string_view one = text.substr(0, end);
    text.remove_prefix(end == std::string_view::npos ? text.size() : end + 1);
    try {
      read_line(d, parse_json(one, "policy data"));
    } catch (const Error& e) {
      throw Error(Code::bad_input, "policy data, line " + std::to_string(line) + ": " + e.message());
    }
  }
  link(d);
  return d;
}

const Data& data() {
  static const Data loaded = load_data(embedded_policy);
  return loaded;
}

std::string_view policy_data() { return embedded_policy; }

}  // namespace kesu::policy
