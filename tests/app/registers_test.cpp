// Registers: a state that was saved and read any number of times on the way is the state of one fold.
#include <gtest/gtest.h>

#include <map>
#include <random>

#include "app/census.h"
#include "app/state.h"
#include "base/error.h"
#include "ledger/graph.h"

namespace kesu {
namespace {

std::string id(std::string_view kind, uint64_t number) {
  std::string digits = std::to_string(number);
  return std::string(kind) + "-" + std::string(32 - digits.size(), '0') + digits;
}
std::string sha(uint64_t number) { return id("", number).substr(1) + std::string(32, 'a'); }

// A ledger with every kind of entry that the state looks at, in an order that commands could have written.
class Story {
 public:
  explicit Story(uint32_t seed) : random_(seed) {
    add("genesis", {{.id = id("vlt", 1), .is = "open"}}, {},
        {{"organisation", "Bank"},
         {"origin", "bank.example"},
         {"profile", "low"},
         {"statement", sha(1)},
         {"quorum", 1},
         {"waiting_seconds", 0}});
    add("operator-enrolled", {{.id = id("opr", 1), .is = "enrolled"}}, {},
        {{"name", "Op"},
         {"title", ""},
         {"public_key", "k"},
         {"fingerprint", "f"},
         {"roles", Json::array({"operator"})}});
    ProviderIdentity identity;
    identity.kind = "soft";
    add("provider-added", {{.id = id("prv", 1), .is = "open"}}, {},
        {{"name", "soft1"},
         {"uri", "soft:x"},
         {"identity", identity.to_json()},
         {"capabilities", Json::object({})},
         {"grade", Json::object({{"test", true}, {"reason", "a file"}})},
         {"generation", 1}});
    make_version("control", id("key", 0) + ".1");
    for (uint64_t d = 0; d < 3; ++d) {
      make_version("wrap", key(d));
      add("dataset-added", {{.id = id("ds", d), .is = "open"}}, {},
          {{"name", "d" + std::to_string(d)}, {"key", id("key", d + 1)}});
      add("dataset-key-created", {{.id = id("dsk", d), .is = "active", .of = id("ds", d)}},
          {{key(d), id("dsk", d)}}, {{"version", key(d)}, {"wrapped", wrapped()}});
      add("fingerprint-key-created", {{.id = id("dsk", d + 100), .is = "active", .of = id("ds", d)}},
          {{key(d), id("dsk", d + 100)}}, {{"version", key(d)}, {"wrapped", wrapped()}});
    }
    for (int i = 0; i < 150; ++i) something();
  }
  std::vector<StoredEntry> entries;

 private:
  using Members = std::vector<std::pair<std::string, Json>>;
  void add(const std::string& type, std::vector<NodeMention> nodes, std::vector<Edge> edges,
           const Members& body) {
    StoredEntry e;
    e.entry.header = {kLedgerVersion, entries.size(),   static_cast<Millis>(1000 * entries.size()),
                      type,           std::move(nodes), std::move(edges)};
    e.entry.body = Json(Json::Object{});
    for (auto& [name, value] : body) e.entry.body.set(name, value);
    if (!State::wants_body(e.entry.header)) e.entry.body = Json();
    entries.push_back(std::move(e));
  }
  uint64_t below(uint64_t n) { return random_() % n; }
  std::string key(uint64_t d) const { return id("key", d + 1) + "." + std::to_string(version_[d]); }
  Json actor() {
    return Json::object({{"host", "h"}, {"pid", below(1000)}, {"boot_id", "b"}, {"clock", below(3)}});
  }
  Json wrapped() { return Json::object({{"algorithm", 1}, {"nonce", "00"}, {"blob", "aabb"}}); }

  void make_version(const std::string& purpose, const std::string& version) {
    KeyRef ref;
    ref.version = *VersionRef::parse(version);
    ref.purpose = *parse_purpose(purpose);
    ref.label = object_label(ref.version);
    ref.id = object_id(ref.version);
    add("key-intended", {{.id = version, .is = "intended", .of = id("prv", 1)}}, {},
        {{"name", version.substr(30)},
         {"purpose", purpose},
         {"actor", actor()},
         {"periods", Json::object({{"originator", below(5)}, {"recipient", 9}})}});
    add("key-created", {{.id = version, .is = "active", .of = id("prv", 1)}}, {},
        {{"ref", ref.to_json()}, {"birth", sha(7)}});
  }

  struct Batch {
    std::string id;
    uint64_t dataset;
    int64_t n;
    std::string moves_to;
  };
  void intend_batch(uint64_t d) {
    Batch b{id("bat", ++made_), d, static_cast<int64_t>(1 + below(6)), ""};
    Json objects(Json::Array{});
    for (int64_t i = 0; i < b.n; ++i) objects.push(sha(static_cast<uint64_t>(i)).substr(32));
    add("seal-intended", {{.id = b.id, .is = "intended", .of = id("ds", d), .n = b.n}}, {{key(d), b.id}},
        {{"version", key(d)},
         {"dataset_key", id("dsk", d)},
         {"location", "/out/" + std::to_string(below(2))},
         {"location_inode", "5"},
         {"location_born", "1700000000.00000000" + std::to_string(b.n)},
         {"location_filesystem", "00000001deadbeef"},
         {"objects", objects},
         {"actor", actor()}});
    intended_.push_back(b);
  }
  template <class T>
  T take(std::vector<T>& from) {
    std::swap(from[below(from.size())], from.back());
    T out = std::move(from.back());
    from.pop_back();
    return out;
  }

  void something() {
    const uint64_t d = below(3);
    switch (below(16)) {
      case 0:
      case 1:
      case 2:
        return intend_batch(d);
      case 3:
      case 4: {
        if (intended_.empty()) return;
        Batch b = take(intended_);
        add("seal-done",
            {{.id = b.id,
              .is = "sealed",
              .of = id("ds", b.dataset),
              .n = b.n,
              .b = 10 * b.n,
              .d = sha(made_)}},
            {},
            {{"content_algorithm", below(3) ? "AES-256-GCM" : "AES-128-GCM"},
             {"wrap_algorithm", "AES-256-GCM"},
             {"replaced", below(2)}});
        sealed_.push_back(b);
        return;
      }
      case 5: {
        if (intended_.empty() || below(2)) return;
        Batch b = take(intended_);
        add("seal-abandoned", {{.id = b.id, .is = "abandoned", .of = id("ds", b.dataset)}}, {},
            {{"why", "w"}, {"removed", Json(Json::Array{})}});
        return;
      }
      case 6: {
        const std::string before = key(d);
        ++version_[d];
        make_version("wrap", key(d));
        add("key-state-changed", {{.id = before, .is = below(2) ? "deactivated" : "compromised"}}, {},
            {{"from", "active"}, {"reason", "r"}, {"occurred", "2026-01-01T00:00:00.000Z"}});
        add("dataset-key-rewrapped", {{.id = id("dsk", d)}, {.id = id("ds", d)}}, {{key(d), id("dsk", d)}},
            {{"version", key(d)}, {"from", before}, {"wrapped", wrapped()}});
        return;
      }
      case 7:
      case 8: {
        if (sealed_.empty()) return;
        Batch b = take(sealed_);
        b.moves_to = key(b.dataset);
        std::vector<NodeMention> nodes = {{.id = b.id, .n = b.n}};
        if (below(2)) nodes.push_back({.id = id("ds", b.dataset)});
        add("rewrap-intended", nodes, {{b.moves_to, b.id}},
            {{"version", b.moves_to},
             {"objects", Json::array({Json::array({0, b.n - 1})})},
             {"actor", actor()}});
        moving_.push_back(b);
        return;
      }
      case 9:
      case 10: {
        if (moving_.empty()) return;
        Batch b = take(moving_);
        const int64_t first = static_cast<int64_t>(below(static_cast<uint64_t>(b.n)));
        add("rewrap-done", {{.id = b.id, .n = b.n - first}}, {},
            {{"version", b.moves_to},
             {"wrap_algorithm", "AES-256-GCM"},
             {"objects", Json::array({Json::array({first, b.n - 1})})},
             {"interrupted", false}});
        sealed_.push_back(b);
        return;
      }
      case 11:
        add("process-started", {{.id = id("prc", ++processes_), .is = "alive", .t = 5000}},
            {{id("prc", processes_), id("ds", d)}}, {{"purpose", "open"}, {"host", "h"}, {"pid", 1}});
        alive_.push_back(id("prc", processes_));
        return;
      case 12:
        if (alive_.empty()) return;
        add("objects-opened", {{.id = alive_.back()}, {.id = id("ds", d), .n = 1}}, {}, {});
        add("process-ended", {{.id = take(alive_), .is = "ended"}}, {}, {});
        return;
      case 13:
        add("copy-registered", {{.id = id("cpy", below(4)), .is = "open"}}, {{id("cpy", 1), key(d)}},
            {{"kind", "backup"}, {"place", "safe"}, {"custodian", "c"}});
        add("finding-recorded", {{.id = id("vlt", 1)}}, {}, {{"what", "clock-jump"}, {"detail", "d"}});
        if (below(2))
          add("copy-ended", {{.id = id("cpy", below(4)), .is = "ended"}}, {}, {{"how", "shredded"}});
        return;
      case 14:
        add("exception-recorded", {{.id = key(d)}}, {},
            {{"what", "originator-period"},
             {"subject", key(d)},
             {"detail", ""},
             {"until", "2030-01-01T00:00:00.000Z"},
             {"reason", "r"},
             {"operator", id("opr", 1)}});
        return;
      default:
        erasure();
    }
  }

  void erasure() {
    const std::string era = id("era", ++erasures_), ds = id("ds", 2);
    const std::string of = id("opr", 1);
    add("erasure-requested", {{.id = era, .is = "requested"}}, {},
        {{"plan", sha(2)},
         {"reason", "r"},
         {"datasets", Json::array({ds})},
         {"versions", Json::array({id("key", 3) + ".1"})},
         {"operator", of},
         {"statement", sha(3)},
         {"signature", sha(4)}});
    add("dataset-frozen", {{.id = ds, .is = "frozen", .of = era}}, {}, {{"reason", "r"}});
    add("erasure-approved", {{.id = era, .is = "approved"}, {.id = of}}, {},
        {{"operator", of}, {"role", "approver"}, {"statement", sha(5)}, {"signature", sha(6)}});
    if (below(2)) {
      add("erasure-cancelled", {{.id = era, .is = "cancelled"}}, {}, {{"reason", "r"}});
      add("dataset-unfrozen", {{.id = ds, .is = "open", .of = era}}, {}, {{"reason", "r"}});
      return;
    }
    const std::string version = id("key", 3) + ".1";
    add("erasure-started", {{.id = era, .is = "running"}}, {}, {{"plan", sha(2)}});
    add("destroy-intended", {{.id = version, .is = "destroying", .of = era}}, {},
        {{"actor", actor()}, {"from", "active"}});
    add("destroy-done", {{.id = version, .is = "destroyed", .of = era}}, {}, {{"receipt_lost", false}});
    add("erasure-inspected", {{.id = era, .is = "destroyed"}}, {},
        {{"result", Json::object({{"absent", 1}})}});
    add("certificate-issued", {{.id = id("cer", erasures_), .is = "issued", .of = era}}, {},
        {{"certificate", sha(8)}, {"signature", sha(9)}, {"manifest", sha(10)}});
    for (uint64_t n = below(3); n > 0; --n)
      add("certificate-renewed", {{.id = id("cer", erasures_), .d = std::string(128, 'a')}}, {},
          {{"n", n},
           {"ledger", sha(11)},
           {"manifest", sha(12)},
           {"time", Json::object({{"manifest", sha(13)}, {"authority", sha(14)}})}});
    if (below(2))
      add("certificate-withdrawn", {{.id = id("cer", erasures_), .is = "withdrawn"}}, {},
          {{"reason", "issued too early"}});
    add("dataset-unfrozen", {{.id = ds, .is = "open", .of = era}}, {},
        {{"reason", "so that the story goes on"}});
  }

  std::mt19937 random_;
  uint64_t version_[3] = {1, 1, 1};
  uint64_t made_ = 0, processes_ = 0, erasures_ = 0;
  std::vector<Batch> intended_, sealed_, moving_;
  std::vector<std::string> alive_;
};

// registers.db, as far as a state sees it.
class File {
 public:
  void save(const State& state, bool whole) {
    auto take = [&](const std::string& kind, const std::string& row, const std::string& text) {
      if (text.empty())
        rows.erase({kind, row});
      else
        rows[{kind, row}] = text;
    };
    if (whole) rows.clear();
    whole ? state.each_row(take) : state.each_changed(take);
    size_ = state.size;
  }
  State load() {
    Store::Registers out;
    out.size = size_;
    for (auto& [row, text] : rows)
      if (row.first != State::kAtRest) out.rows.emplace_back(row.first, row.second, text);
    return State::from_registers(out, [this](const std::string& dataset) -> Batches::Loader {
      return [this, dataset] {
        ++loads;
        std::vector<BatchRecord> found;
        for (auto& [row, text] : rows)
          if (row.first == State::kAtRest && row.second.starts_with(dataset + "/"))
            found.push_back(State::batch_from(text));
        return found;
      };
    });
  }
  std::map<std::pair<std::string, std::string>, std::string> rows;
  int loads = 0;

 private:
  uint64_t size_ = 0;
};

std::map<std::pair<std::string, std::string>, std::string> rows_of(const State& state) {
  File all;
  all.save(state, true);
  return all.rows;
}

TEST(Registers, ReadAndSavedOnTheWayTheyAreThoseOfOneFold) {
  int loads = 0;
  for (uint32_t seed = 1; seed <= 60; ++seed) {
    SCOPED_TRACE(seed);
    const Story story(seed);
    State whole;
    for (const StoredEntry& e : story.entries) ASSERT_NO_THROW(whole.evolve(e)) << e.entry.header.type;
    std::mt19937 random(seed);
    File file;
    State state;
    bool fresh = true;
    for (const StoredEntry& e : story.entries) {
      state.evolve(e);
      if (random() % 12) continue;
      file.save(state, fresh);
      fresh = false;
      state = file.load();
    }
    file.save(state, fresh);
    const auto expected_rows = rows_of(whole);
    for (auto& [row, text] : expected_rows) EXPECT_EQ(file.rows[row], text) << row.first << " " << row.second;
    for (auto& [row, text] : file.rows)
      ASSERT_TRUE(expected_rows.contains(row)) << row.first << " " << row.second;
    // Asked for one by one, they are the same batches in the same order.
    State read = file.load();
    for (auto& [id, d] : whole.datasets) {
      std::vector<std::string> expected, got;
      for (const BatchRecord& b : d.batches.all()) expected.push_back(b.id);
      const Batches& batches = read.datasets.at(id).batches;
      for (const BatchRecord& b : batches.all()) got.push_back(b.id);
      EXPECT_EQ(got, expected);
      // The sums are those of the batches.
      BatchSums sums;
      std::map<std::string, int64_t> under, summed;
      for (const BatchRecord& b : batches.all()) {
        if (b.state != "sealed") continue;
        sums = {sums.batches + 1, sums.objects + b.n, sums.bytes + b.bytes, sums.replaced + b.replaced};
        for (auto& [version, n] : b.under()) under[version] += n;
      }
      for (auto& [by, s] : batches.under()) summed[by.first] += s.objects;
      EXPECT_EQ(batches.sums(), sums);
      EXPECT_EQ(summed, under);
    }
    loads += file.loads;
  }
  EXPECT_GT(loads, 60);  // of each state three at the end; re-wraps on the way need some, too
}

// What hangs on a version, from every batch and the graph.
Census from_every_batch(const State& state, const Graph& graph, const VersionRecord& version,
                        const std::set<std::string>& going) {
  const std::set<std::string> reached = graph.reached(version.id);
  Census out{version.id, {}, {}};
  auto other_stays = [&](const std::string& on) {
    const VersionRecord* v = state.version(on);
    const bool there = v && on != version.id && !going.contains(on) && stays(*v);
    if (there) out.relies_on.insert(on);
    return there;
  };
  for (auto& [name, d] : state.datasets) {
    if (d.state == "erased") continue;
    CensusRow row{.dataset = name};
    std::set<std::string> in_use;
    int64_t replaced = 0;
    for (const BatchRecord& b : d.batches.all()) {
      if (b.state == "abandoned") {
        out.given_up += b.version == version.id ? b.n : 0;
        continue;
      }
      in_use.insert(b.dataset_key);
      if (b.state == "sealed") replaced += b.replaced;
      if (!reached.contains(b.id)) continue;
      row.open_questions += b.is_open();
      if (b.state != "sealed") continue;
      for (auto& [on, n] : b.under()) {
        if (on == version.id) {
          row.objects += n;
          ++row.batches;
        } else if (!other_stays(on)) {
          row.elsewhere_lost += n;
        }
      }
    }
    for (const std::string& key : in_use) {
      bool opens = false, others = false;
      for (const DatasetKeyRecord& k : d.keys) opens |= k.id == key && k.version == version.id;
      for (const DatasetKeyRecord& k : d.keys)
        others |= opens && !others && k.id == key && other_stays(k.version);
      row.dataset_keys += opens && !others;
    }
    for (const DatasetKeyRecord& k : d.fingerprint_keys) row.fingerprint_keys += k.version == version.id;
    row.superseded_at_most = std::min(row.objects, replaced);
    if (row.holds()) out.rows.push_back(row);
  }
  return out;
}

TEST(Registers, TheCensusBySumsIsThatOfEveryBatchAndTheGraph) {
  int64_t objects = 0, prints = 0, questions = 0, lost = 0, given_up = 0, replaced = 0;
  size_t relied = 0;
  for (uint32_t seed = 1; seed <= 60; ++seed) {
    SCOPED_TRACE(seed);
    const Story story(seed);
    State whole;
    Graph graph;
    for (const StoredEntry& e : story.entries) {
      whole.evolve(e);
      graph.fold(e.entry.header);
    }
    File file;
    file.save(whole, true);
    const State read = file.load();
    for (auto& [id, key] : whole.keys)
      for (const VersionRecord& v : key.versions)
        for (const std::set<std::string>& going : {std::set<std::string>{}, {key.versions.back().id, v.id}}) {
          const Census expected = from_every_batch(whole, graph, v, going), got = census(read, v, going);
          ASSERT_EQ(got.rows, expected.rows) << v.id;
          ASSERT_EQ(got.relies_on, expected.relies_on) << v.id;
          ASSERT_EQ(got.given_up, expected.given_up) << v.id;
          relied += got.relies_on.size();
          given_up += got.given_up;
          for (const CensusRow& row : got.rows) {
            objects += row.objects;
            prints += row.fingerprint_keys;
            questions += row.open_questions;
            lost += row.elsewhere_lost;
            replaced += row.superseded_at_most;
          }
        }
  }
  for (int64_t seen : {objects, prints, questions, lost, given_up, replaced}) EXPECT_GT(seen, 0);
  EXPECT_GT(relied, 0u);
}

// What every command reads does not grow with what has come to rest.
TEST(Registers, WhatHasEndedIsNotReadAgain) {
  const Story story(3);
  State state;
  File file;
  for (const StoredEntry& e : story.entries) state.evolve(e);
  file.save(state, true);
  State read = file.load();
  size_t open = 0;
  for (auto& [id, d] : read.datasets) open += d.batches.open().size();
  size_t rows = 0, at_rest = 0;
  for (auto& [row, text] : file.rows) {
    rows += row.first == "open-batch";
    at_rest += row.first == State::kAtRest;
    EXPECT_NE(text.find(row.first == "process" ? "purpose" : "{"), std::string::npos);
  }
  EXPECT_EQ(open, rows);
  EXPECT_GT(at_rest, rows);
  EXPECT_EQ(file.loads, 0);
  size_t started = 0, ended = 0;
  for (const StoredEntry& e : story.entries) {
    started += e.entry.header.type == "process-started";
    ended += e.entry.header.type == "process-ended";
  }
  EXPECT_GT(ended, 0u);
  EXPECT_EQ(read.processes.size(), started - ended);
}

// Rows are written in canonical form, those of batches member by member; one by one they are what all are. An
// entry that is taken apart gives the same state.
TEST(Registers, RowsAreCanonicalAndOneByOneTheSame) {
  size_t at_rest = 0;
  for (uint32_t seed : {1u, 2u, 5u}) {
    Story story(seed);
    State state, taken;
    for (StoredEntry& e : story.entries) {
      for (NodeMention& m : e.entry.header.nodes)
        if (e.entry.header.type == "seal-intended" && m.id.starts_with("bat-"))
          e.entry.body.set("location", "/out/\"\\\n\x01\u732b/" + m.id.substr(30));
      state.evolve(e);
      StoredEntry copy = e;
      taken.evolve(std::move(copy));
    }
    std::map<std::pair<std::string, std::string>, std::string> rows, in_use;
    state.each_row([&](const std::string& kind, const std::string& row, const std::string& text) {
      EXPECT_NO_THROW(parse_canonical_json(text, kind)) << text;
      EXPECT_TRUE(rows.emplace(std::pair(kind, row), text).second) << row;
    });
    state.each_row_in_use([&](const std::string& kind, const std::string& row, const std::string& text) {
      in_use[{kind, row}] = text;
    });
    std::erase_if(rows, [&](const auto& row) {
      if (row.first.first != State::kAtRest) return false;
      ++at_rest;
      EXPECT_EQ(state.row_at_rest(row.first.second), row.second);
      return true;
    });
    EXPECT_EQ(rows, in_use);
    taken.each_row_in_use([&](const std::string& kind, const std::string& row, const std::string& text) {
      EXPECT_EQ((in_use[{kind, row}]), text);
      in_use.erase({kind, row});
    });
    EXPECT_TRUE(in_use.empty());
  }
  EXPECT_GT(at_rest, 10u);
  const State empty;
  for (const char* row : {"", "/", "ds-1", "ds-1/bat-1"}) EXPECT_FALSE(empty.row_at_rest(row));
}

}  // namespace
}  // namespace kesu
