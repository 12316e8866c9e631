// The disclosure graph: who reaches what, ever; who can still give it away.
#include "ledger/graph.h"

#include <gtest/gtest.h>

#include <random>

#include "ledger_vectors.h"

namespace kesu {
namespace {

using Ids = std::set<std::string>;

const std::string kDs = id_of("ds", 1), kOtherDs = id_of("ds", 2), kPrv = id_of("prv", 1),
                  kEra = id_of("era", 1);
const std::string kV1 = id_of("key", 1, 1), kV2 = id_of("key", 1, 2), kCopy = id_of("cpy", 1);
const std::string kPrc = id_of("prc", 1), kDsk = id_of("dsk", 1);
const std::string kB1 = id_of("bat", 1), kB2 = id_of("bat", 2), kB3 = id_of("bat", 3);

// Folds entries as they come, giving them numbers; refuses what a ledger would refuse.
struct Story {
  Graph graph;
  uint64_t seq = 1;
  void tell(std::string type, std::vector<NodeMention> nodes, std::vector<Edge> edges = {}) {
    Header h;
    h.seq = seq++;
    h.type = std::move(type);
    h.nodes = std::move(nodes);
    h.edges = std::move(edges);
    graph.fold(Header::parse(h.canonical()));
  }
  void key(const std::string& id) {
    tell("key-intended", {{.id = id, .is = "intended", .of = kPrv}});
    tell("key-created", {{.id = id, .is = "active", .of = kPrv, .d = std::string(64, 'a')}});
  }
  void seal(const std::string& batch, const std::string& dataset, const std::string& by, int64_t n = 10) {
    tell("seal-intended", {{.id = batch, .is = "intended", .of = dataset, .n = n}}, {{by, batch}});
    tell("seal-done",
         {{.id = batch, .is = "sealed", .of = dataset, .n = n, .b = n * 100, .d = std::string(64, 'b')}});
  }
};

TEST(Graph, ARewrapAddsAWayAndTakesNoneAway) {
  Story s;
  s.key(kV1);
  s.key(kV2);
  s.seal(kB1, kDs, kV1);
  s.seal(kB2, kOtherDs, kV1);
  s.tell("rewrap-intended", {{.id = kB1, .n = 3}}, {{kV2, kB1}});
  EXPECT_EQ(s.graph.reachers(kB1), (Ids{kV1, kV2}));
  EXPECT_EQ(s.graph.reached(kV1), (Ids{kB1, kB2}));
  EXPECT_EQ(s.graph.reached(kV2), (Ids{kB1}));
  s.tell("destroy-done", {{.id = kV1, .is = "destroyed"}});
  EXPECT_EQ(s.graph.reachers(kB1), (Ids{kV1, kV2})) << "ever reachable, also from what is destroyed";
  EXPECT_FALSE(s.graph.living(kV1, 0));
  EXPECT_TRUE(s.graph.living(kV2, 0));
}

TEST(Graph, ACopyReachesWhatItsVersionReaches) {
  Story s;
  s.key(kV1);
  s.tell("copy-registered", {{.id = kCopy, .is = "open"}}, {{kCopy, kV1}});
  s.seal(kB1, kDs, kV1);
  EXPECT_EQ(s.graph.reachers(kB1), (Ids{kV1, kCopy}));
  EXPECT_EQ(s.graph.reached(kCopy), (Ids{kB1}));
  EXPECT_TRUE(s.graph.living(kCopy, 0));
  s.tell("copy-ended", {{.id = kCopy, .is = "ended"}});
  EXPECT_FALSE(s.graph.living(kCopy, 0));
  EXPECT_EQ(s.graph.reachers(kB1), (Ids{kV1, kCopy}));
}

TEST(Graph, AProcessReachesEveryDataKeyOfItsDatasetAlsoLaterOnes) {
  Story s;
  s.key(kV1);
  s.seal(kB1, kDs, kV1);
  s.tell("process-started", {{.id = kPrc, .is = "alive", .t = 1000}}, {{kPrc, kDs}});
  s.seal(kB2, kDs, kV1);
  s.seal(kB3, kOtherDs, kV1);
  s.tell("dataset-key-created", {{.id = kDsk, .is = "active", .of = kDs}}, {{kV1, kDsk}});
  EXPECT_EQ(s.graph.reached(kPrc), (Ids{kB1, kB2, kDsk}));
  EXPECT_EQ(s.graph.reachers(kB2), (Ids{kV1, kPrc}));
  EXPECT_EQ(s.graph.reachers(kB3), (Ids{kV1}));
  EXPECT_EQ(s.graph.reachers(kDsk), (Ids{kV1, kPrc}));
  EXPECT_EQ(s.graph.reachers(kDs), (Ids{kV1, kPrc}));
  EXPECT_EQ(s.graph.data_keys_of(kDs), (std::vector<std::string>{kB1, kB2, kDsk}));
}

TEST(Graph, ADatasetKeyReachesABatchOnlyByAnEdge) {
  Story s;
  s.key(kV1);
  s.key(kV2);
  s.tell("dataset-key-created", {{.id = kDsk, .is = "active", .of = kDs}}, {{kV1, kDsk}});
  s.seal(kB1, kDs, kV2);
  EXPECT_EQ(s.graph.reachers(kB1), (Ids{kV2}));
  EXPECT_EQ(s.graph.reached(kDsk), Ids{});
  s.seal(kB2, kDs, kDsk);
  EXPECT_EQ(s.graph.reachers(kB2), (Ids{kDsk, kV1}));
  EXPECT_EQ(s.graph.reached(kV1), (Ids{kDsk, kB2}));
  EXPECT_EQ(s.graph.reachers(kDs), (Ids{kDsk, kV1, kV2})) << "a data key that opens others counts";
}

TEST(Graph, LivingByState) {
  Story s;
  s.tell("key-intended", {{.id = kV1, .is = "intended", .of = kPrv}});
  EXPECT_TRUE(s.graph.living(kV1, 0)) << "it may have come to be";
  for (const char* state : {"active", "suspended", "deactivated", "compromised"}) {
    s.tell("key-state-changed", {{.id = kV1, .is = state}});
    EXPECT_TRUE(s.graph.living(kV1, 0)) << state;
  }
  s.tell("destroy-intended", {{.id = kV1, .is = "destroying", .of = kEra}});
  EXPECT_TRUE(s.graph.living(kV1, 0));
  s.tell("destroy-done", {{.id = kV1, .is = "destroyed-compromised"}});
  EXPECT_FALSE(s.graph.living(kV1, 0));
  s.tell("key-abandoned", {{.id = kV2, .is = "absent"}});
  EXPECT_FALSE(s.graph.living(kV2, 0));

  s.tell("process-started", {{.id = kPrc, .is = "alive", .t = 1000}});
  EXPECT_TRUE(s.graph.living(kPrc, 999));
  EXPECT_FALSE(s.graph.living(kPrc, 1000));
  s.tell("process-ended", {{.id = kPrc, .is = "ended"}});
  EXPECT_FALSE(s.graph.living(kPrc, 0));

  s.seal(kB1, kDs, kV1);
  for (const std::string& id : {kB1, kDs, kEra, id_of("key", 99, 1)})
    EXPECT_FALSE(s.graph.living(id, 0)) << id;
  EXPECT_TRUE(s.graph.living(kV1, 0) == false);
  s.seal(kB2, kDs, id_of("key", 5, 1));
  EXPECT_TRUE(s.graph.living(id_of("key", 5, 1), 0)) << "an edge alone: nobody has shown that it is gone";
}

TEST(Graph, NodesKeepWhatWasSaid) {
  Story s;
  s.seal(kB1, kDs, kV1, 10);
  s.tell("rewrap-intended", {{.id = kB1, .n = 3}}, {{kV2, kB1}});
  const auto b = s.graph.find(kB1);
  ASSERT_TRUE(b);
  EXPECT_EQ(b->state, "sealed");
  EXPECT_EQ(b->of, kDs);
  EXPECT_EQ(b->n, 10) << "the count of a re-wrap is not the batch's";
  EXPECT_EQ(b->b, 1000);
  EXPECT_EQ(b->first_seq, 1u);
  EXPECT_EQ(b->last_seq, 3u);
  EXPECT_EQ(b->states, (std::vector<std::pair<uint64_t, std::string>>{{1, "intended"}, {2, "sealed"}}));
  EXPECT_EQ(s.graph.find(kV2)->last_seq, 3u);
  EXPECT_FALSE(s.graph.find(kB3));
}

TEST(Graph, ADataKeyStaysInTheDatasetThatItWasIn) {
  Story s;
  s.seal(kB1, kDs, kV1);
  s.tell("seal-intended", {{.id = kB1, .is = "intended", .of = kOtherDs, .n = 1}}, {{kV1, kB1}});
  EXPECT_EQ(s.graph.data_keys_of(kDs), (std::vector<std::string>{kB1}));
  EXPECT_EQ(s.graph.data_keys_of(kOtherDs), (std::vector<std::string>{kB1}));
}

// reachers and reached are two ways to the same relation.
TEST(Graph, BothDirectionsAgree) {
  std::mt19937 dice(7);
  for (int round = 0; round < 30; ++round) {
    Story s;
    auto pick = [&](const char* kind, unsigned count, unsigned version = 0) {
      return id_of(kind, static_cast<unsigned>(dice()) % count, version);
    };
    for (int i = 0; i < 60; ++i) {
      switch (dice() % 4) {
        case 0:
          s.seal(pick("bat", 12), pick("ds", 4), dice() % 2 ? pick("key", 5, 1) : pick("dsk", 4));
          break;
        case 1: {
          std::string dsk = pick("dsk", 4);
          s.tell("dataset-key-created", {{.id = dsk, .is = "active", .of = pick("ds", 4)}},
                 {{pick("key", 5, 1), dsk}});
          break;
        }
        case 2: {
          std::string prc = pick("prc", 4);
          s.tell("process-started", {{.id = prc, .is = "alive", .t = 1}}, {{prc, pick("ds", 4)}});
          break;
        }
        default: {
          std::string cpy = pick("cpy", 4);
          s.tell("copy-registered", {{.id = cpy, .is = "open"}}, {{cpy, pick("key", 5, 1)}});
        }
      }
    }
    for (const std::string& from : s.graph.ids()) {
      if (node_kind(from) == "ds") continue;
      Ids reached = s.graph.reached(from);
      for (const std::string& to : s.graph.ids()) {
        std::string_view kind = node_kind(to);
        if ((kind != "bat" && kind != "dsk") || from == to) continue;
        EXPECT_EQ(reached.contains(to), s.graph.reachers(to).contains(from)) << from << " -> " << to;
      }
    }
  }
}

}  // namespace
}  // namespace kesu
