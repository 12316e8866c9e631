// The policy's words, its query form, and the tables that the command line prints.
#include <algorithm>
#include <array>
#include <charconv>

#include "base/error.h"
#include "policy/data.h"

namespace kesu::policy {

namespace {

constexpr std::array<std::string_view, 5> kCategories = {"listed", "outside-categories", "candidate",
                                                         "monitored", "not-listed"};
constexpr std::array<std::string_view, 14> kPurposes = {
    "payload",      "wrap",           "signature",   "hash",     "mac",     "kdf",     "random",
    "key-exchange", "storage-device", "entity-auth", "keystore", "sharing", "channel", "fingerprint"};
constexpr std::array<std::string_view, 2> kModes = {"new", "processing"};
constexpr std::array<std::string_view, 2> kProfiles = {"current", "pqc"};

template <class T, size_t N>
T word(const std::array<std::string_view, N>& words, std::string_view wanted, const std::string& what) {
  std::string accepted;
  for (size_t i = 0; i < N; ++i) {
    if (words[i] == wanted) return static_cast<T>(i);
    accepted += (i ? ", " : "") + std::string(words[i]);
  }
  throw Error(Code::usage, "\"" + std::string(wanted) + "\" is no " + what).next("use one of: " + accepted);
}

int64_t count(std::string_view member, std::string_view value) {
  int64_t n = 0;
  auto [end, failed] = std::from_chars(value.data(), value.data() + value.size(), n);
  bool fits = n > 0 && n <= (member == "blocks" ? INT64_MAX : 1000000);
  if (failed != std::errc() || end != value.data() + value.size() || !fits)
    throw Error(Code::usage,
                "\"" + std::string(value) + "\" is no value for the parameter " + std::string(member));
  return n;
}

Json texts(const std::vector<std::string>& items) {
  Json::Array out;
  for (const std::string& item : items) out.emplace_back(item);
  return Json(std::move(out));
}

AlgorithmRow algorithm_row(const std::string& name, const std::vector<std::string>& aliases,
                           const std::string& use, const Algorithm& a, const Parameters& set) {
  // Judged for the nearest end, so that the row shows the algorithm and not the year.
  Verdict v = evaluate({.algorithm = name, .end_year = data().periods.front().from});
  std::vector<std::string> open;
  for (const std::string& member : a.params) {
    bool fixed = (member == "bits" && (set.bits || a.sizes.size() == 1)) ||
                 (member == "subgroup" && set.subgroup) || (member == "curve" && !set.curve.empty()) ||
                 (member == "hash" && !set.hash.empty()) || (member == "mgf" && !set.mgf.empty()) ||
                 (member == "with" && !set.with.empty());
    if (!fixed) open.push_back(member);
  }
  return {v.algorithm,
          aliases,
          a.purposes,
          use,
          v.category,
          v.strength_bits,
          v.horizon_year_new,
          v.horizon_year_process,
          open,
          v.allowed ? "" : v.reason};
}

}  // namespace

std::string_view text(Category category) { return kCategories[static_cast<size_t>(category)]; }
std::string_view text(Purpose purpose) { return kPurposes[static_cast<size_t>(purpose)]; }
std::string_view text(Mode mode) { return kModes[static_cast<size_t>(mode)]; }
std::string_view text(Profile profile) { return kProfiles[static_cast<size_t>(profile)]; }
Purpose purpose_from(std::string_view w) { return word<Purpose>(kPurposes, w, "purpose"); }
Mode mode_from(std::string_view w) { return word<Mode>(kModes, w, "mode"); }
Profile profile_from(std::string_view w) { return word<Profile>(kProfiles, w, "policy profile"); }

Query parse_query(std::string_view form) {
  Query q;
  size_t colon = form.find(':');
  q.algorithm = std::string(form.substr(0, colon));
  if (q.algorithm.empty())
    throw Error(Code::usage, "an algorithm's name is missing").next("kesu policy algorithms");
  if (colon == std::string_view::npos) return q;
  std::string_view rest = form.substr(colon + 1);
  std::vector<std::string_view> seen;
  for (bool more = true; more;) {
    size_t comma = rest.find(',');
    std::string_view one = rest.substr(0, comma);
    more = comma != std::string_view::npos;
    if (more) rest.remove_prefix(comma + 1);
    size_t equals = one.find('=');
    std::string_view member = one.substr(0, equals);
    std::string_view value = equals == std::string_view::npos ? "" : one.substr(equals + 1);
    if (value.empty() || std::find(seen.begin(), seen.end(), member) != seen.end())
      throw Error(Code::usage, "\"" + std::string(one) + "\" is no parameter, or stands twice")
          .next("NAME:member=value,…");
    seen.push_back(member);
    Parameters& p = q.parameters;
    if (member == "bits")
      p.bits = static_cast<int>(count(member, value));
    else if (member == "subgroup")
      p.subgroup = static_cast<int>(count(member, value));
    else if (member == "iv")
      p.iv = static_cast<int>(count(member, value));
    else if (member == "output")
      p.output = static_cast<int>(count(member, value));
    else if (member == "blocks")
      p.blocks = count(member, value);
    else if (member == "curve")
      p.curve = value;
    else if (member == "hash")
      p.hash = value;
    else if (member == "mgf")
      p.mgf = value;
    else if (member == "with")
      p.with = value;
    else
      throw Error(Code::usage, "unknown parameter \"" + std::string(member) + "\"")
          .next("use bits, subgroup, iv, output, blocks, curve, hash, mgf, with");
  }
  return q;
}

std::string query_text(const Query& query) {
  const Parameters& p = query.parameters;
  std::string out = query.algorithm;
  char before = ':';
  auto add = [&](std::string_view member, const std::string& value) {
    if (value.empty()) return;
    out += before + std::string(member) + "=" + value;
    before = ',';
  };
  auto digits = [](const auto& n) { return n ? std::to_string(*n) : std::string(); };
  add("bits", digits(p.bits));
  add("subgroup", digits(p.subgroup));
  add("iv", digits(p.iv));
  add("output", digits(p.output));
  add("blocks", digits(p.blocks));
  add("curve", p.curve);
  add("hash", p.hash);
  add("mgf", p.mgf);
  add("with", p.with);
  return out;
}

std::string horizon_text(int year) {
  if (year == 0) return "none";
  return year == kNoLimit ? "no limit known" : std::to_string(year);
}

Json to_json(const Verdict& v) {
  auto horizon = [](int year) { return year == kNoLimit ? Json() : Json(year); };
  return Json::object({{"algorithm", v.algorithm},
                       {"purpose", text(v.purpose)},
                       {"category", text(v.category)},
                       {"allowed", v.allowed},
                       {"exception_possible", v.exception_possible},
                       {"strength_bits", v.strength_bits},
                       {"reason", v.reason},
                       {"findings", texts(v.findings)},
                       {"citations", texts(v.citations)},
                       {"horizon_year_new", horizon(v.horizon_year_new)},
                       {"horizon_year_process", horizon(v.horizon_year_process)},
                       {"period_word", v.period_word},
                       {"period_reading", v.period_reading},
                       {"edition", policy_edition()}});
}

std::vector<AlgorithmRow> algorithms() {
  const Data& d = data();
  std::vector<AlgorithmRow> rows;
  for (const Algorithm& a : d.algorithms) rows.push_back(algorithm_row(a.name, a.aliases, a.use, a, {}));
  for (const NameLine& n : d.names)
    rows.push_back(
        algorithm_row(n.name, n.aliases, n.use, d.algorithms[d.algorithm_by_name.at(fold(n.of))], n.set));
  return rows;
}

std::vector<Edition> editions() { return data().editions; }
std::vector<PeriodRow> periods() { return data().periods; }

std::vector<ListRow> lists() {
  std::vector<ListRow> rows;
  for (const EntryLine& e : data().entries) {
    ListRow row{e.list, e.table, e.category, e.name, e.spec, e.cite, {}};
    for (int note : e.notes) row.notes.push_back(std::to_string(note) + ": " + data().notes.at(note).text);
    rows.push_back(std::move(row));
  }
  return rows;
}

std::string policy_edition() {
  std::string out;
  for (const Edition& e : data().editions)
    out += (out.empty() ? "" : "; ") + e.document + (e.date.empty() ? "" : " (" + e.date + ")");
  return out;
}

}  // namespace kesu::policy
