// Lanes: several threads at one provider, whether its sessions add up or not; whose error it is, and when.
#include "app/lanes.h"

#include <gtest/gtest.h>

#include <atomic>
#include <chrono>
#include <set>
#include <thread>

#include "base/crew.h"
#include "base/files.h"
#include "crypto/hash.h"
#include "crypto/random.h"
#include "seal/support.h"

namespace kesu {
namespace {
using namespace test;

// What all sessions of the scripted provider have in common.
struct Script {
  bool scales = false, wraps_wrongly = false;
  std::optional<Code> opens_with;  // open() fails
  std::atomic<int> inside{0}, most{0}, sessions{0}, calls{0};
  std::mutex mutex;
  std::map<const Provider*, std::set<std::thread::id>> users;

  struct Call {
    Call(Script& s, const Provider* p) : script(s) {
      const int now = ++s.inside;
      for (int most = s.most; now > most && !s.most.compare_exchange_weak(most, now);) {
      }
      ++s.calls;
      {
        std::lock_guard lock(s.mutex);
        s.users[p].insert(std::this_thread::get_id());
      }
      std::this_thread::sleep_for(std::chrono::microseconds(200));
    }
    ~Call() { --script.inside; }
    Script& script;
  };
};

class Scripted final : public Provider {
 public:
  explicit Scripted(Script& script) : script_(script) { ++script_.sessions; }
  std::unique_ptr<Provider> another() override { return std::make_unique<Scripted>(script_); }
  bool scales() const override { return script_.scales; }
  ProviderIdentity identity() override {
    ProviderIdentity out;
    out.kind = "scripted";
    return out;
  }
  Capabilities capabilities() override { return {}; }
  Birth generate(const VersionRef&, KeyPurpose) override { throw Error(Code::mechanism_absent, "scripted"); }
  std::optional<Birth> recover(const VersionRef&, KeyPurpose) override { return std::nullopt; }
  Json describe(const KeyRef&) override { return {}; }
  Bytes sign(const KeyRef&, ByteView) override { return {}; }
  Enumeration enumerate() override { return {}; }
  Receipt destroy_object(const KeyRef&) override { throw Error(Code::mechanism_absent, "scripted"); }

  WrappedKey wrap(const KeyRef& ref, const Secret& key, ByteView aad) override {
    Script::Call call(script_, this);
    WrappedKey out;
    out.blob = to_bytes(key.reveal());
    if (script_.wraps_wrongly) out.blob[0] ^= 1;
    out.nonce = to_bytes(sha256({as_bytes(ref.label), aad}));
    return out;
  }
  Secret unwrap(const KeyRef& ref, const WrappedKey& wrapped, ByteView aad) override {
    Script::Call call(script_, this);
    if (wrapped.nonce != to_bytes(sha256({as_bytes(ref.label), aad})))
      throw Error(Code::sealed_damaged, "it does not authenticate");
    return Secret::from(wrapped.blob);
  }

 private:
  Script& script_;
};

class Factory final : public ProviderFactory {
 public:
  explicit Factory(Script& script) : script_(script) {}
  std::unique_ptr<Provider> open(const std::string&) override {
    if (script_.opens_with) throw Error(*script_.opens_with, "scripted");
    return std::make_unique<Scripted>(script_);
  }

 private:
  Script& script_;
};

class LanesTest : public testing::Test {
 protected:
  LanesTest() {
    const std::string vault = random_.id<VaultId>().str(), provider = random_.id<ProviderId>().str();
    auto store = open_sqlite_store(dir_.path(), clock_, random_, {.create = true});
    ProviderIdentity identity;
    identity.kind = "scripted";
    std::vector<Event> events = {
        {.type = "genesis",
         .nodes = {{.id = vault, .is = "open", .d = std::string(64, '0')}},
         .body = Json::object({{"organisation", "Bank"},
                               {"origin", "bank.example"},
                               {"profile", "low"},
                               {"statement", std::string(64, '0')},
                               {"quorum", 1},
                               {"waiting_seconds", 0}})},
        {.type = "provider-added",
         .nodes = {{.id = provider, .is = "open", .d = std::string(64, '0')}},
         .body = Json::object({{"name", "p"},
                               {"uri", "scripted:"},
                               {"identity", identity.to_json()},
                               {"capabilities", Json::object({})},
                               {"grade", Json::object({{"test", true}, {"reason", "a script"}})}})}};
    const KeyId key = random_.id<KeyId>();
    for (uint32_t n : {1u, 2u}) {
      KeyRef ref;
      ref.version = {key, n};
      ref.label = object_label(ref.version);
      ref.id = object_id(ref.version);
      versions_[n - 1] = ref.version;
      events.push_back({.type = "key-intended",
                        .nodes = {{.id = ref.version.str(), .is = "intended", .of = provider}},
                        .body = Json::object({{"name", "loans"},
                                              {"purpose", "wrap"},
                                              {"actor", Json::object({{"host", "h"}, {"pid", 1}})}})});
      events.push_back({.type = "key-created",
                        .nodes = {{.id = ref.version.str(),
                                   .is = n == 2 ? "active" : "pre-activation",
                                   .of = provider,
                                   .d = std::string(64, '1')}},
                        .body = Json::object({{"ref", ref.to_json()}, {"birth", std::string(64, '1')}})});
    }
    store->append(std::move(events));
    store.reset();
    write_file_durable(dir_ / "kesu.toml", as_bytes(config_text(*VaultId::parse(vault), "Bank")));
    vault_.emplace(dir_.path(), env_, Access::write);
  }

  const VersionRecord& record(size_t i) { return *vault_->state().version(versions_[i].str()); }
  Secret key() { return Secret::from(random_.bytes(64)); }
  // Every lane wraps and opens its own keys; each gives back what was wrapped there.
  void use(Lanes& lanes, size_t each = 12) {
    Crew crew(lanes.size());
    crew.run([&](unsigned lane) {
      SystemRandom random;
      for (size_t i = 0; i < each; ++i) {
        const Secret secret = Secret::from(random.bytes(64));
        const std::string aad = std::to_string(lane) + "/" + std::to_string(i);
        Slot slot;
        slot.version = versions_[1];
        slot.wrapped = i % 2 ? lanes.wrap(lane, versions_[1], secret, as_bytes(aad), "x")
                             : lanes.wrap_later(lane, versions_[1], secret, as_bytes(aad), "x");
        const Secret back = lanes.unwrap(lane, slot, as_bytes(aad));
        EXPECT_EQ(to_bytes(back.reveal()), to_bytes(secret.reveal()));
        if (i % 5 == 4) lanes.confirm(lane);
      }
      lanes.confirm(lane);
    });
  }

  TempDir dir_;
  SystemClock clock_;
  SystemRandom random_;
  Script script_;
  Factory factory_{script_};
  Environment env_{clock_, random_, factory_, "/nonexistent/kesu-probe"};
  VersionRef versions_[2];
  std::optional<Vault> vault_;
};

// It stands here for the vault's sake: answers_test has the rules.
TEST_F(LanesTest, TheVaultTakesNoAnswerToWhatIsNotOpen) {
  const uint64_t size = vault_->state().size;
  try {
    vault_->append({{.type = "key-abandoned", .nodes = {{.id = versions_[1].str(), .is = "absent"}}}}, {});
    ADD_FAILURE() << "a key that is active was recorded as never made";
  } catch (const Error& e) {
    EXPECT_EQ(e.code(), Code::conflict);
  }
  vault_->refresh();
  EXPECT_EQ(vault_->state().size, size);
  EXPECT_EQ(record(1).state, "active");
}

TEST_F(LanesTest, WhereSessionsDoNotAddUpAllTakeTurnsAtOne) {
  Lanes lanes(*vault_, 4);
  lanes.allow(record(1), ProcessFor::moving);
  use(lanes);
  EXPECT_EQ(script_.most, 1);
  EXPECT_EQ(script_.sessions, 1);
}

TEST_F(LanesTest, WhereTheyDoEachLaneHasItsOwn) {
  script_.scales = true;
  Lanes lanes(*vault_, 4);
  lanes.allow(record(1), ProcessFor::moving);
  use(lanes);
  EXPECT_EQ(script_.sessions, 4);
  EXPECT_EQ(script_.users.size(), 4u);
  for (const auto& [session, threads] : script_.users) EXPECT_EQ(threads.size(), 1u);
  lanes.allow(record(1), ProcessFor::opening);  // again: no further sessions
  EXPECT_EQ(script_.sessions, 4);
}

TEST_F(LanesTest, WhatWasNotAllowedIsRefusedInTheLane) {
  Lanes lanes(*vault_, 2);
  const Secret secret = key();
  EXPECT_EQ(code_of([&] { lanes.wrap(0, versions_[1], secret, {}, "x"); }), Code::object_absent);
  lanes.allow(record(0), ProcessFor::moving);  // pre-activation: kept, and said where it is needed
  lanes.allow(record(1), ProcessFor::moving);
  Slot slot;
  slot.version = versions_[0];
  for (int i = 0; i < 2; ++i) EXPECT_EQ(code_of([&] { lanes.unwrap(1, slot, {}); }), Code::state_refused);
  EXPECT_EQ(script_.calls, 0);
  lanes.wrap(1, versions_[1], secret, {}, "x");
}

TEST_F(LanesTest, AProviderThatDoesNotOpenIsSaidByTheLaneThatNeedsIt) {
  script_.opens_with = Code::token_absent;
  Lanes lanes(*vault_, 3);
  lanes.allow(record(1), ProcessFor::moving);
  const Secret secret = key();
  for (unsigned lane : {0u, 2u})
    EXPECT_EQ(code_of([&] { lanes.wrap_later(lane, versions_[1], secret, {}, "x"); }), Code::token_absent);
  lanes.expect(record(1), 1'000'000);
  lanes.confirm(2);
}

// The first error is thrown, once, and ends the others' work; what the lane did before it stands.
TEST_F(LanesTest, OneFailureEndsTheCrewAndIsSaidOnce) {
  Lanes lanes(*vault_, 3);
  lanes.allow(record(1), ProcessFor::moving);
  const Secret secret = key();
  lanes.wrap_later(0, versions_[1], secret, {}, "good");
  script_.wraps_wrongly = true;
  Crew crew(3);
  std::atomic<int> failures{0};
  std::string message;
  try {
    crew.each(300, [&](unsigned lane, size_t) {
      try {
        lanes.wrap_later(lane, versions_[1], secret, {}, "out/a.kesu");
      } catch (const Error&) {
        ++failures;
        throw;
      }
    });
    FAIL() << "nothing was thrown";
  } catch (const Error& e) {
    EXPECT_EQ(e.code(), Code::provider_failed);
    message = e.message();
  }
  EXPECT_NE(message.find("out/a.kesu"), std::string::npos);
  EXPECT_LE(failures, 3);
  script_.wraps_wrongly = false;
  for (unsigned lane = 0; lane < 3; ++lane) lanes.confirm(lane);  // not said a second time
  lanes.wrap(2, versions_[1], secret, {}, "good again");
}

// Without another process to prove them, wraps are proven at once: nothing waits for confirm().
TEST_F(LanesTest, WithoutAProverALaterWrapIsProvenNow) {
  ::setenv("KESU_PROVER", "1", 1);
  Lanes lanes(*vault_, 2);
  lanes.allow(record(1), ProcessFor::moving);
  lanes.expect(record(1), 10);  // there is no such program: that is no error
  ::unsetenv("KESU_PROVER");
  const int before = script_.calls;
  lanes.wrap_later(1, versions_[1], key(), {}, "x");
  EXPECT_EQ(script_.calls - before, 2);
  lanes.confirm(1);
  EXPECT_EQ(script_.calls - before, 2);
}

TEST_F(LanesTest, WhoStaysKeepsItsTurn) {
  Lanes lanes(*vault_, 2);
  lanes.allow(record(1), ProcessFor::moving);
  const Secret secret = key();
  std::atomic<bool> other{false};
  std::thread thread;
  {
    const Lanes::Stay stay(lanes, 0, versions_[1]);
    thread = std::thread([&] {
      lanes.wrap(1, versions_[1], secret, {}, "x");
      other = true;
    });
    for (int i = 0; i < 20; ++i) {
      lanes.wrap(0, versions_[1], secret, {}, "x");  // its own calls do not wait for it
      EXPECT_FALSE(other);
    }
  }
  thread.join();
  EXPECT_TRUE(other);
  lanes.wrap(0, versions_[1], secret, {}, "x");
  EXPECT_EQ(script_.most, 1);
}

}  // namespace
}  // namespace kesu
