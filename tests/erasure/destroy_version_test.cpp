// The order of records and effect. The provider here is scripted, because a real token cannot be made to
// refuse, or to lose its answer, on demand; hsm_test destroys in a real one.
#include "erasure/destroy_version.h"

#include <gtest/gtest.h>

#include "base/error.h"

namespace kesu {
namespace {

class ScriptedProvider final : public Provider {
 public:
  enum class Ending { accepts, refuses, breaks };
  Ending ending = Ending::accepts;
  std::vector<std::string>* journal = nullptr;
  bool there = true;

  ProviderIdentity identity() override { return {}; }
  Capabilities capabilities() override { return {}; }
  Birth generate(const VersionRef&, KeyPurpose) override { throw Error(Code::mechanism_absent, "scripted"); }
  std::optional<Birth> recover(const VersionRef&, KeyPurpose) override { return std::nullopt; }
  Json describe(const KeyRef&) override {
    if (!there) throw Error(Code::object_absent, "not found");
    return Json::object({{"CKA_TOKEN", true}});
  }
  WrappedKey wrap(const KeyRef&, const Secret&, ByteView) override { return {}; }
  Secret unwrap(const KeyRef&, const WrappedKey&, ByteView) override { return {}; }
  Bytes sign(const KeyRef&, ByteView) override { return {}; }
  Enumeration enumerate() override { return {}; }
  Receipt destroy_object(const KeyRef&) override {
    journal->push_back("destroy");
    if (ending == Ending::breaks) throw Error(Code::outcome_unknown, "the line went dead");
    Receipt r;
    r.call = "C_DestroyObject";
    r.accepted = ending == Ending::accepts;
    r.result = r.accepted ? "CKR_OK" : "CKR_ACTION_PROHIBITED";
    if (r.accepted) there = false;
    return r;
  }
};

class DestroyVersionTest : public testing::Test {
 protected:
  DestroyOutcome run(ScriptedProvider::Ending ending, const std::string& state = "active") {
    provider_.ending = ending;
    provider_.journal = &journal_;
    Recorder recorder{[&](std::vector<Event> events) {
                        for (Event& e : events) {
                          journal_.push_back(e.type + ":" + e.nodes.at(0).is);
                          events_.push_back(std::move(e));
                        }
                      },
                      [&](ByteView) {
                        journal_.push_back("evidence");
                        return std::string(64, 'e');
                      }};
    DestroyOrder order;
    order.ref.version = *VersionRef::parse("key-00112233445566778899aabbccddeeff.1");
    order.state = state;
    order.erasure = "era-00112233445566778899aabbccddeeff";
    return destroy_version(provider_, order, recorder);
  }
  using Journal = std::vector<std::string>;
  ScriptedProvider provider_;
  Journal journal_;
  std::vector<Event> events_;
};

TEST_F(DestroyVersionTest, IntentBeforeEvidenceAfter) {
  EXPECT_EQ(run(ScriptedProvider::Ending::accepts), DestroyOutcome::destroyed);
  EXPECT_EQ(journal_,
            (Journal{"destroy-intended:destroying", "destroy", "evidence", "destroy-done:destroyed"}));
  EXPECT_EQ(events_[1].body.str("receipt"), std::string(64, 'e'));
  EXPECT_FALSE(events_[1].body.flag("receipt_lost"));
  EXPECT_EQ(events_[1].nodes[0].of, "era-00112233445566778899aabbccddeeff");
}

TEST_F(DestroyVersionTest, ACompromisedKeyStaysSo) {
  run(ScriptedProvider::Ending::accepts, "compromised");
  EXPECT_EQ(journal_.back(), "destroy-done:destroyed-compromised");
}

TEST_F(DestroyVersionTest, ARefusalIsNoDestruction) {
  EXPECT_EQ(run(ScriptedProvider::Ending::refuses), DestroyOutcome::refused);
  EXPECT_EQ(journal_,
            (Journal{"destroy-intended:destroying", "destroy", "evidence", "destroy-failed:active"}));
}

TEST_F(DestroyVersionTest, ALostAnswerStaysAQuestion) {
  EXPECT_THROW(run(ScriptedProvider::Ending::breaks), Error);
  EXPECT_EQ(journal_, (Journal{"destroy-intended:destroying", "destroy"}));
}

TEST_F(DestroyVersionTest, NothingIsIntendedForWhatIsNotThere) {
  provider_.there = false;
  EXPECT_THROW(run(ScriptedProvider::Ending::accepts), Error);
  EXPECT_TRUE(journal_.empty());
}

TEST(SettleDestruction, UnknownIsNeverGone) {
  VersionRef v = *VersionRef::parse("key-00112233445566778899aabbccddeeff.1");
  EXPECT_TRUE(settle_destruction(v, "active", std::nullopt, ProbeAnswer::unknown, "t").empty());
  auto absent = settle_destruction(v, "active", std::nullopt, ProbeAnswer::absent, "t");
  ASSERT_EQ(absent.size(), 1u);
  EXPECT_EQ(absent[0].type, "destroy-done");
  EXPECT_TRUE(absent[0].body.flag("receipt_lost"));
  for (ProbeAnswer a : {ProbeAnswer::usable, ProbeAnswer::refused}) {
    auto back = settle_destruction(v, "suspended", std::nullopt, a, "t");
    ASSERT_EQ(back.size(), 1u);
    EXPECT_EQ(back[0].type, "destroy-failed");
    EXPECT_EQ(back[0].nodes[0].is, "suspended");
  }
}

}  // namespace
}  // namespace kesu
