// The rule for `absent`, one doubt at a time, on a provider that is nothing but its answers.
#include <gtest/gtest.h>

#include <functional>

#include "base/error.h"
#include "provider/probe.h"

namespace kesu {
namespace {

VersionRef version(uint8_t mark) {
  std::array<uint8_t, 16> bytes{};
  bytes.fill(mark);
  return {KeyId(bytes), 1};
}

KeyRef wrap_ref(uint8_t mark) {
  KeyRef ref;
  ref.version = version(mark);
  ref.label = object_label(ref.version);
  ref.id = object_id(ref.version);
  ref.check_value = hex(Bytes(3, mark));
  ref.canary = Canary{"CKM_AES_GCM", Bytes(12, mark), Bytes(48, mark), Digest32{mark}};
  return ref;
}

struct FakeKey {
  ObjectSeen object;
  uint8_t material;  // which canary it opens: that of wrap_ref(material)
  TrialOutcome otherwise = TrialOutcome::failed;
};

struct World {
  ProviderIdentity identity;
  std::vector<FakeKey> keys;
  bool complete = true;
  int fail_after_trials = -1;        // then try_keys throws session_lost
  std::vector<FakeKey> added_later;  // appear after the first enumeration
  uint8_t restless = 0;              // not 0: another object after each enumeration, marked from here
  bool open_fails = false;
};

FakeKey fake(uint8_t mark) {
  KeyRef ref = wrap_ref(mark);
  return {{"CKO_SECRET_KEY", "CKK_AES", ref.label, ref.id, ref.check_value}, mark};
}

class FakeProvider final : public Provider {
 public:
  explicit FakeProvider(World& world) : world_(world) {}
  ProviderIdentity identity() override { return world_.identity; }
  Capabilities capabilities() override { return {}; }
  Birth generate(const VersionRef&, KeyPurpose) override { throw Error(Code::mechanism_absent, "fake"); }
  std::optional<Birth> recover(const VersionRef&, KeyPurpose) override { return std::nullopt; }
  Json describe(const KeyRef&) override { return {}; }
  WrappedKey wrap(const KeyRef&, const Secret&, ByteView) override { return {}; }
  Secret unwrap(const KeyRef&, const WrappedKey&, ByteView) override { return {}; }
  Bytes sign(const KeyRef&, ByteView) override { throw Error(Code::object_absent, "fake"); }
  Receipt destroy_object(const KeyRef&) override { return {}; }
  Enumeration enumerate() override {
    Enumeration out{world_.complete, world_.complete ? "" : "fake", {}};
    for (const FakeKey& key : world_.keys) out.objects.push_back(key.object);
    world_.keys.insert(world_.keys.end(), world_.added_later.begin(), world_.added_later.end());
    world_.added_later.clear();
    if (world_.restless) world_.keys.push_back(fake(world_.restless++));
    return out;
  }
  std::vector<Trial> try_keys(const WrappedKey& wrapped, ByteView, const KeyRef* only) override {
    if (world_.fail_after_trials >= 0 && world_.fail_after_trials-- == 0)
      throw Error(Code::session_lost, "fake");
    std::vector<Trial> out;
    for (const FakeKey& key : world_.keys) {
      if (key.object.object_class != "CKO_SECRET_KEY") continue;
      if (only != nullptr && (key.object.label != only->label || key.object.id != only->id)) continue;
      Trial trial{key.object, key.otherwise, "CKM_AES_GCM", "fake", std::nullopt};
      if (key.otherwise == TrialOutcome::failed && wrapped.nonce == Bytes(12, key.material)) {
        trial.outcome = TrialOutcome::opened;
        trial.digest = Digest32{key.material};
      }
      out.push_back(trial);
    }
    return out;
  }

 private:
  World& world_;
};

class FakeFactory final : public ProviderFactory {
 public:
  explicit FakeFactory(World& world) : world_(world) {}
  std::unique_ptr<Provider> open(const std::string&) override {
    if (world_.open_fails) throw Error(Code::pin_wrong, "fake");
    return std::make_unique<FakeProvider>(world_);
  }

 private:
  World& world_;
};

class ProbeRules : public testing::Test {
 protected:
  ProbeRules() {
    world_.identity.kind = "pkcs11";
    world_.identity.serial = "01";
    request_.identity = world_.identity;
    request_.keys = {wrap_ref(1)};
    request_.control = wrap_ref(0xcc);
    request_.samples = {{"obj-1", version(1), {}, {WrapAlg::aes256_gcm, Bytes(12, 1), Bytes(32)}}};
    world_.keys = {fake(2), fake(0xcc)};  // the key is gone; another and the control key are there
  }
  ProbeReport report() {
    FakeFactory factory(world_);
    return inspect(factory, request_);
  }
  ProbeAnswer answer() { return report().keys.at(0).answer; }

  World world_;
  ProbeRequest request_;
};

TEST_F(ProbeRules, AbsentNeedsAllOfIt) {
  ProbeReport good = report();
  EXPECT_EQ(good.keys.at(0).answer, ProbeAnswer::absent) << good.keys.at(0).why;
  EXPECT_EQ(good.samples.at(0).answer, "failed");
}

TEST_F(ProbeRules, NoControl) {
  request_.control.reset();
  EXPECT_EQ(answer(), ProbeAnswer::unknown);
}
TEST_F(ProbeRules, ControlGone) {
  world_.keys.pop_back();
  EXPECT_EQ(answer(), ProbeAnswer::unknown);
}
TEST_F(ProbeRules, ControlTwice) {
  world_.keys.push_back(fake(0xcc));
  EXPECT_EQ(answer(), ProbeAnswer::unknown);
}
TEST_F(ProbeRules, ControlSwapped) {
  world_.keys[1].material = 9;
  EXPECT_EQ(answer(), ProbeAnswer::unknown);
}
TEST_F(ProbeRules, OtherPlace) {
  world_.identity.serial = "02";
  EXPECT_EQ(answer(), ProbeAnswer::unknown);
}
TEST_F(ProbeRules, NotAllListed) {
  world_.complete = false;
  EXPECT_EQ(answer(), ProbeAnswer::unknown);
}
TEST_F(ProbeRules, OthersNotTried) {
  request_.try_remaining = false;
  EXPECT_EQ(answer(), ProbeAnswer::unknown);
}
TEST_F(ProbeRules, NoCanary) {
  request_.keys[0].canary.reset();
  EXPECT_EQ(answer(), ProbeAnswer::unknown);
}
TEST_F(ProbeRules, LoginFailed) {
  world_.open_fails = true;
  EXPECT_EQ(answer(), ProbeAnswer::unknown);
}
TEST_F(ProbeRules, ObjectsChangedOnceIsLookedAtAgain) {
  const ProbeAnswer undisturbed = answer();
  world_.added_later = {fake(5)};
  const ProbeReport again = report();
  EXPECT_EQ(again.keys.at(0).answer, undisturbed);
  EXPECT_EQ(again.keys.size(), request_.keys.size());
  EXPECT_EQ(again.samples.size(), request_.samples.size());
}
TEST_F(ProbeRules, ObjectsThatKeepChangingShowNothing) {
  world_.restless = 20;
  EXPECT_EQ(answer(), ProbeAnswer::unknown);
}

TEST_F(ProbeRules, SessionLostAnywhereOnTheWay) {
  for (int trials = 0; trials < 4; ++trials) {
    World fresh = world_;
    world_.fail_after_trials = trials;
    ProbeReport broken = report();
    EXPECT_EQ(broken.keys.at(0).answer, ProbeAnswer::unknown) << trials;
    EXPECT_EQ(broken.error_code, "session-lost") << trials;
    world_ = fresh;
  }
}

TEST_F(ProbeRules, WhatIsLeftCarriesSomethingOfTheKey) {
  for (int what = 0; what < 4; ++what) {
    World fresh = world_;
    ObjectSeen& object = world_.keys[0].object;
    if (what == 0) object.label = wrap_ref(1).label;
    if (what == 1) object.id = wrap_ref(1).id;
    if (what == 2) object.check_value = wrap_ref(1).check_value;
    if (what == 3) world_.keys.push_back({{"CKO_DATA", "", wrap_ref(1).label, {}, ""}, 0});
    EXPECT_EQ(answer(), ProbeAnswer::unknown) << what;
    world_ = fresh;
  }
}

// An adopted key may have no id, as other objects have none.
TEST_F(ProbeRules, WhatTheKeyLacksIsOnNoOther) {
  request_.keys[0].id = {};
  world_.keys.push_back({{"CKO_CERTIFICATE", "", "somebody", {}, ""}, 0});
  EXPECT_EQ(answer(), ProbeAnswer::absent) << report().keys.at(0).why;
  world_.keys[0].object.id = {};
  EXPECT_EQ(answer(), ProbeAnswer::absent) << report().keys.at(0).why;
  world_.keys[0].material = 1;  // and it is that one, under another label
  EXPECT_EQ(answer(), ProbeAnswer::usable);
}

TEST_F(ProbeRules, WhatCannotBeTriedIsADoubtUnlessCheckValuesDiffer) {
  for (TrialOutcome outcome : {TrialOutcome::refused, TrialOutcome::not_tried}) {
    world_.keys[0].otherwise = outcome;
    world_.keys[0].object.check_value = "020202";
    EXPECT_EQ(answer(), ProbeAnswer::absent);
    world_.keys[0].object.check_value = "";
    EXPECT_EQ(answer(), ProbeAnswer::unknown);
    EXPECT_EQ(report().samples.at(0).answer, "not-tried");
  }
}

// Several trials of one object, and objects that look alike.
TEST_F(ProbeRules, TheTrialsMustBeOfTheObjectsAndEachMustTell) {
  ProbeReport base = report();
  const KeyRef& ref = request_.keys[0];
  auto judged = [&](const ProbeReport& changed) {
    ProbeKey key = changed.keys[0];
    judge_key(request_, changed, ref, key);
    return key.answer;
  };
  auto sampled = [&](const ProbeReport& changed) {
    return judge_sample(request_, changed, request_.samples[0], changed.keys[0].by);
  };
  const Trial failed = base.keys[0].by[0];
  Trial refused = failed, not_tried = failed;
  refused.outcome = TrialOutcome::refused;
  not_tried.outcome = TrialOutcome::not_tried;

  ProbeReport several = base;  // the last of three tells
  several.keys[0].by.insert(several.keys[0].by.begin(), {refused, not_tried});
  EXPECT_EQ(judged(several), ProbeAnswer::absent);
  EXPECT_EQ(sampled(several), "failed");

  ProbeReport silent = base;  // two trials and none tells
  silent.keys[0].by[0] = refused;
  silent.keys[0].by[0].object.check_value = silent.enumeration->objects[0].check_value = "";
  silent.keys[0].by.push_back(silent.keys[0].by[0]);
  EXPECT_EQ(judged(silent), ProbeAnswer::unknown);
  EXPECT_EQ(sampled(silent), "not-tried");

  ProbeReport twins = base;  // two objects that look the same: two trials must tell
  twins.keys[0].by[0].object.check_value = twins.enumeration->objects[0].check_value = "";
  twins.enumeration->objects.push_back(twins.enumeration->objects[0]);
  EXPECT_EQ(judged(twins), ProbeAnswer::unknown);
  Trial second = twins.keys[0].by[0];
  second.outcome = TrialOutcome::refused;
  twins.keys[0].by.push_back(second);
  EXPECT_EQ(judged(twins), ProbeAnswer::unknown);
  EXPECT_EQ(sampled(twins), "not-tried");
  second.outcome = TrialOutcome::failed;
  twins.keys[0].by.push_back(second);
  EXPECT_EQ(judged(twins), ProbeAnswer::absent);
  EXPECT_EQ(sampled(twins), "failed");

  ProbeReport foreign = base;  // a trial of something that the enumeration does not show
  foreign.keys[0].by.push_back(failed);
  foreign.keys[0].by.back().object.label = "never seen";
  EXPECT_EQ(judged(foreign), ProbeAnswer::unknown);
  EXPECT_EQ(sampled(foreign), "not-tried");
  // A reader believes no answer about a sample either.
  foreign.samples[0] = {"obj-1", "failed", foreign.keys[0].by};
  EXPECT_EQ(read_probe({request_.to_json(), foreign.to_json(), 0, "", false}).samples.at(0).answer,
            "not-tried");
}

TEST_F(ProbeRules, AKeyUnderAnotherNameIsUsable) {
  world_.keys[0].material = 1;
  world_.keys[0].object.check_value = "";
  EXPECT_EQ(answer(), ProbeAnswer::usable);
  // Found by the sample alone, where the canary did not show it.
  request_.keys[0].canary->nonce = Bytes(12, 7);
  EXPECT_EQ(answer(), ProbeAnswer::usable);
}

TEST_F(ProbeRules, PresentUsableRefusedOrAnother) {
  world_.keys.push_back(fake(1));
  EXPECT_EQ(answer(), ProbeAnswer::usable);
  world_.keys.back().otherwise = TrialOutcome::refused;
  EXPECT_EQ(answer(), ProbeAnswer::refused);
  world_.keys.back().otherwise = TrialOutcome::not_tried;
  EXPECT_EQ(answer(), ProbeAnswer::unknown);
  world_.keys.back() = fake(1);
  world_.keys.back().material = 9;
  EXPECT_EQ(answer(), ProbeAnswer::unknown);
  request_.control.reset();
  world_.keys.back().material = 1;
  EXPECT_EQ(answer(), ProbeAnswer::usable);  // needs no control
}

// What is told before a destruction is what would be told after it.
TEST_F(ProbeRules, WhatWouldRemain) {
  world_.keys.push_back(fake(1));
  const auto remains = [this] { return would_remain(request_, report()); };
  EXPECT_EQ(report().keys.at(0).answer, ProbeAnswer::usable);
  EXPECT_EQ(remains(), "");
  const World clear = world_;

  const auto refused = [&](const std::string& why, const std::function<void()>& change) {
    change();
    EXPECT_EQ(report().keys.at(0).answer, ProbeAnswer::usable) << why;
    EXPECT_NE(remains().find(why), std::string::npos) << why << " / " << remains();
    world_ = clear;
  };
  refused("could not be tried", [this] {
    world_.keys[0].otherwise = TrialOutcome::not_tried;
    world_.keys[0].object.check_value = "";
  });
  refused("relabelled", [this] { world_.keys[0].material = 1; });
  refused("its label is on another object", [this] {
    world_.keys.push_back({{"CKO_DATA", "", wrap_ref(1).label, {}, ""}, 0});
  });
  refused("2 objects carry", [this] { world_.keys.push_back(fake(1)); });
  refused("not all objects", [this] { world_.complete = false; });
  EXPECT_EQ(remains(), "");

  // Of two that go, neither is in the other's way.
  request_.keys.push_back(wrap_ref(2));
  EXPECT_EQ(remains(), "");
}

TEST_F(ProbeRules, AReaderBelievesTheRecordNotTheWord) {
  ProbeTranscript transcript{request_.to_json(), report().to_json(), 0, "", false};
  EXPECT_EQ(read_probe(transcript).keys.at(0).answer, ProbeAnswer::absent);

  auto altered = [&](const std::function<void(ProbeReport&)>& change) {
    ProbeReport changed = report();
    change(changed);
    ProbeTranscript t = transcript;
    t.answer = changed.to_json();
    return read_probe(t).keys.at(0).answer;
  };
  EXPECT_EQ(altered([](ProbeReport& r) { r.same_place = false; }), ProbeAnswer::unknown);
  EXPECT_EQ(altered([](ProbeReport& r) { r.identity->serial = "02"; }), ProbeAnswer::unknown);
  EXPECT_EQ(altered([](ProbeReport& r) { r.identity.reset(); }), ProbeAnswer::unknown);
  EXPECT_EQ(altered([](ProbeReport& r) { r.enumeration->complete = false; }), ProbeAnswer::unknown);
  EXPECT_EQ(altered([](ProbeReport& r) { r.enumeration->objects.pop_back(); }), ProbeAnswer::unknown);
  EXPECT_EQ(altered([](ProbeReport& r) { r.control = ProbeAnswer::unknown; }), ProbeAnswer::unknown);
  EXPECT_EQ(altered([](ProbeReport& r) { r.keys[0].by.pop_back(); }), ProbeAnswer::unknown);
  EXPECT_EQ(altered([](ProbeReport& r) {
              r.keys[0].by[0].outcome = TrialOutcome::not_tried;
              r.keys[0].by[0].object.check_value = "";
            }),
            ProbeAnswer::unknown);
  EXPECT_EQ(altered([](ProbeReport& r) { r.error_code = "session-lost"; }), ProbeAnswer::unknown);
  EXPECT_EQ(altered([](ProbeReport& r) { r.keys[0].answer = ProbeAnswer::usable; }), ProbeAnswer::unknown);
  EXPECT_EQ(altered([](ProbeReport& r) { r.keys[0].version = version(7); }), ProbeAnswer::unknown);
  EXPECT_EQ(altered([](ProbeReport& r) { r.keys.clear(); }), ProbeAnswer::unknown);

  ProbeTranscript late = transcript;
  late.timed_out = true;
  EXPECT_EQ(read_probe(late).keys.at(0).answer, ProbeAnswer::unknown);
  ProbeTranscript failed = transcript;
  failed.exit = 1;
  EXPECT_EQ(read_probe(failed).keys.at(0).answer, ProbeAnswer::unknown);
  ProbeTranscript silent = transcript;
  silent.answer = Json();
  EXPECT_EQ(read_probe(silent).keys.at(0).answer, ProbeAnswer::unknown);
}

}  // namespace
}  // namespace kesu
