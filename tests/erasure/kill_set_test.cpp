#include "erasure/kill_set.h"

#include <gtest/gtest.h>

#include "erasure/samples.h"

namespace kesu {
namespace {

std::string id(const std::string& prefix, int n) {
  char digits[33];
  std::snprintf(digits, sizeof digits, "%032x", n);
  return prefix + "-" + digits;
}
std::string version(int n, int v) { return id("key", n) + "." + std::to_string(v); }

class KillSetTest : public testing::Test {
 protected:
  void add(const std::string& type, std::vector<NodeMention> nodes, std::vector<Edge> edges = {}) {
    Header h;
    h.seq = ++seq_;
    h.time = static_cast<Millis>(seq_);
    h.type = type;
    h.nodes = std::move(nodes);
    h.edges = std::move(edges);
    graph_.fold(h);
  }
  void key(int n, int v) {
    add("key-created",
        {{.id = version(n, v), .is = "active", .of = id("prv", 1), .d = std::string(64, '0')}});
  }
  void batch(int n, int ds, const std::string& from) {
    add("seal-intended", {{.id = id("bat", n), .is = "intended", .of = id("ds", ds), .n = 1}},
        {{from, id("bat", n)}});
  }
  uint64_t seq_ = 0;
  Graph graph_;
};

TEST_F(KillSetTest, EveryVersionThatEverReachedTheDataMustDie) {
  key(1, 1);
  key(1, 2);
  batch(1, 1, version(1, 1));
  batch(2, 1, version(1, 2));
  // A re-wrap adds an edge; the old one stays.
  add("rewrap-intended", {{.id = id("bat", 1), .n = 1}}, {{version(1, 2), id("bat", 1)}});
  KillSet kill = kill_set(graph_, {id("ds", 1)});
  EXPECT_EQ(kill.versions, (std::vector<std::string>{version(1, 1), version(1, 2)}));
  EXPECT_TRUE(kill.kept_datasets.empty());
  EXPECT_EQ(living_paths(graph_, {id("ds", 1)}, 1000).size(), 2u);
}

TEST_F(KillSetTest, WhatWouldBeKeptIsNamed) {
  key(1, 1);
  batch(1, 1, version(1, 1));
  batch(2, 2, version(1, 1));
  EXPECT_EQ(kill_set(graph_, {id("ds", 1)}).kept_datasets, std::set<std::string>{id("ds", 2)});
  EXPECT_TRUE(kill_set(graph_, {id("ds", 1), id("ds", 2)}).kept_datasets.empty());
}

// A ledger that is made to cost: many datasets, data keys, versions and processes, each joined to all.
TEST_F(KillSetTest, TheWorkIsOneSearchWhateverIsJoined) {
  constexpr int kMany = 400;
  std::set<std::string> scope;
  for (int i = 1; i <= kMany; ++i) {
    key(i, 1);
    scope.insert(id("ds", i));
    std::vector<Edge> edges, leases;
    for (int k = 1; k <= i; ++k) edges.push_back({version(k, 1), id("bat", i)});
    for (int k = 1; k <= 40; ++k) leases.push_back({id("prc", k), id("ds", i)});
    add("seal-intended", {{.id = id("bat", i), .is = "intended", .of = id("ds", i), .n = 1}}, edges);
    add("process-started", {}, leases);
  }
  scope.erase(id("ds", 1));
  KillSet kill = kill_set(graph_, scope);
  EXPECT_EQ(kill.versions.size(), 400u);
  EXPECT_EQ(kill.processes.size(), 40u);
  EXPECT_EQ(kill.kept_datasets, std::set<std::string>{id("ds", 1)});
  std::set<std::string> one_by_one;
  for (const std::string& dataset : {id("ds", 2), id("ds", 3)}) one_by_one.merge(graph_.reachers(dataset));
  EXPECT_EQ(graph_.reachers(std::set<std::string>{id("ds", 2), id("ds", 3)}), one_by_one);
}

TEST_F(KillSetTest, CopiesAndProcessesReachWhatTheyHold) {
  key(1, 1);
  batch(1, 1, version(1, 1));
  add("copy-registered", {{.id = id("cpy", 1), .is = "open"}}, {{id("cpy", 1), version(1, 1)}});
  add("process-started", {{.id = id("prc", 1), .is = "alive", .t = 5000}}, {{id("prc", 1), id("ds", 1)}});
  batch(2, 1, version(1, 1));  // a data key that came after the process started
  KillSet kill = kill_set(graph_, {id("ds", 1)});
  EXPECT_EQ(kill.copies, std::vector<std::string>{id("cpy", 1)});
  EXPECT_EQ(kill.processes, std::vector<std::string>{id("prc", 1)});
  add("destroy-done", {{.id = version(1, 1), .is = "destroyed"}});
  EXPECT_EQ(living_paths(graph_, {id("ds", 1)}, 1000),
            (std::vector<std::string>{id("cpy", 1), id("prc", 1)}));
  EXPECT_EQ(living_paths(graph_, {id("ds", 1)}, 6000),
            std::vector<std::string>{id("cpy", 1)});  // the lease is over
  add("copy-ended", {{.id = id("cpy", 1), .is = "ended"}});
  EXPECT_TRUE(living_paths(graph_, {id("ds", 1)}, 6000).empty());
}

TEST_F(KillSetTest, AnInterruptedBatchStillCounts) {
  key(1, 1);
  key(1, 2);
  batch(1, 1, version(1, 1));
  batch(2, 1, version(1, 2));
  add("seal-abandoned", {{.id = id("bat", 2), .is = "abandoned", .of = id("ds", 1)}});
  EXPECT_EQ(kill_set(graph_, {id("ds", 1)}).versions.size(), 2u);
}

TEST(Samples, FollowTheStatedRule) {
  Digest32 seed{};
  seed[0] = 7;
  EXPECT_TRUE(sample_order(seed, id("ds", 1), 0).empty());
  EXPECT_EQ(sample_order(seed, id("ds", 1), 1), std::vector<uint64_t>{0});
  for (uint64_t n : {5u, 16u, 100u, 256u}) {
    auto all = sample_order(seed, id("ds", 1), n);
    EXPECT_EQ(std::set<uint64_t>(all.begin(), all.end()).size(), n);
  }
  auto many = sample_order(seed, id("ds", 1), 1000000);
  EXPECT_EQ(std::set<uint64_t>(many.begin(), many.end()).size(), 16 * kMaxSamples);
  EXPECT_NE(many, sample_order(seed, id("ds", 2), 1000000));
  seed[0] = 8;
  EXPECT_NE(many, sample_order(seed, id("ds", 1), 1000000));
}

}  // namespace
}  // namespace kesu
