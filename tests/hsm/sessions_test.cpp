// Several sessions of one login, used by several threads, and the process that proves wraps.
#include <signal.h>

#include <atomic>
#include <deque>
#include <set>
#include <thread>

#include "beside.h"
#include "crypto/mac.h"
#include "provider/prover.h"
#include "shim_fixture.h"

namespace kesu::test {
namespace {

constexpr std::string_view kAad = "the slot";
using Sessions = Contract;
INSTANTIATE_TEST_SUITE_P(Every, Sessions, testing::ValuesIn(kProviders),
                         [](const auto& row) { return row.param.name; });

int64_t times(const ProviderFactory& factory, const std::string& call) {
  int64_t n = 0;
  const Json calls = factory.calls();
  for (const Json& row : calls.as_array())
    if (row.str("call") == call) n += row.num("times");
  return n;
}

TEST_P(Sessions, OfOneLoginServeThreadsAtOnce) {
  auto factory = provider_factory();
  factory->record_calls();
  auto first = factory->open(uri_);
  const KeyRef ref = first->generate(version(1), KeyPurpose::wrap).ref;
  constexpr unsigned kThreads = 4, kWraps = 150;
  std::vector<std::unique_ptr<Provider>> others;
  for (unsigned i = 1; i < kThreads; ++i) others.push_back(first->another());
  EXPECT_LE(times(*factory, "C_Login"), 1);
  std::vector<std::vector<WrappedKey>> made(kThreads);
  std::atomic<int> wrong{0};
  const auto all = [&](const std::function<void(unsigned, Provider&)>& work) {
    std::vector<std::thread> threads;
    for (unsigned i = 0; i < kThreads; ++i)
      threads.emplace_back([&, i] {
        try {
          work(i, i ? *others[i - 1] : *first);
        } catch (const Error& e) {
          ++wrong;
          ADD_FAILURE() << e.message() << "; " << e.cause();
        }
      });
    for (std::thread& t : threads) t.join();
  };
  all([&](unsigned i, Provider& p) {
    for (unsigned n = 0; n < kWraps; ++n)
      made[i].push_back(
          p.wrap(ref, secret("key " + std::to_string(i) + "." + std::to_string(n)), as_bytes(kAad)));
  });
  // Each opens what another wrapped.
  all([&](unsigned i, Provider& p) {
    const unsigned of = (i + 1) % kThreads;
    for (unsigned n = 0; n < kWraps; ++n)
      if (to_text(to_bytes(p.unwrap(ref, made[of][n], as_bytes(kAad)).reveal())) !=
          "key " + std::to_string(of) + "." + std::to_string(n))
        ++wrong;
  });
  EXPECT_EQ(wrong, 0);
  std::set<Bytes> nonces;
  for (auto& some : made)
    for (const WrappedKey& w : some) nonces.insert(w.nonce);
  EXPECT_EQ(nonces.size(), size_t{kThreads} * kWraps);
}

TEST_P(Sessions, LiveWithoutTheOneTheyCameFrom) {
  auto first = open();
  const KeyRef ref = first->generate(version(1), KeyPurpose::wrap).ref;
  const WrappedKey wrapped = first->wrap(ref, secret("abc"), as_bytes(kAad));
  auto second = first->another();
  first.reset();
  EXPECT_EQ(second->unwrap(ref, wrapped, as_bytes(kAad)).size(), 3u);
  auto third = second->another();
  second.reset();
  EXPECT_EQ(third->unwrap(ref, wrapped, as_bytes(kAad)).size(), 3u);
}

TEST_P(Sessions, SeeADestroyedKeyGone) {
  auto first = open();
  const KeyRef ref = first->generate(version(1), KeyPurpose::wrap).ref;
  auto second = first->another();
  const WrappedKey wrapped = second->wrap(ref, secret("abc"), as_bytes(kAad));
  EXPECT_TRUE(first->destroy_object(ref).accepted);
  EXPECT_EQ(code_of([&] { second->unwrap(ref, wrapped, as_bytes(kAad)); }), "object-absent");
}

class Proofs : public Sessions {
 protected:
  // Submits `n` claims, of which the one at `bad` lies; how many were proven, and the verdict on that one.
  std::pair<int, Prover::Verdict> prove(Prover& prover, Provider& provider, const KeyRef& ref, int n,
                                        int bad) {
    std::deque<Prover::Claim> claims;
    for (int i = 0; i < n; ++i) {
      const Secret key = secret("key " + std::to_string(i));
      Prover::Claim& c = claims.emplace_back();
      const Secret other = secret("another");
      c.wrap = {provider.wrap(ref, i == bad ? other : key, as_bytes(kAad)), to_bytes(as_bytes(kAad)),
                hmac_sha256(prover.tag_key(), key.reveal()), "one"};
      prover.submit(0, c);
    }
    std::pair<int, Prover::Verdict> out{0, Prover::Verdict::open};
    for (int i = 0; i < n; ++i) {
      prover.wait(claims[static_cast<size_t>(i)]);
      out.first += claims[static_cast<size_t>(i)].verdict == Prover::Verdict::proven;
      if (i == bad) out.second = claims[static_cast<size_t>(i)].verdict;
    }
    return out;
  }
};
INSTANTIATE_TEST_SUITE_P(Every, Proofs, testing::ValuesIn(kProviders),
                         [](const auto& row) { return row.param.name; });

TEST_P(Proofs, AreMadeByAProcessWithALoginOfItsOwn) {
  auto provider = open();
  const KeyRef ref = provider->generate(version(1), KeyPurpose::wrap).ref;
  auto prover = Prover::start(kProbe, uri_, provider->identity(), {ref});
  ASSERT_NE(prover, nullptr);
  EXPECT_EQ(prove(*prover, *provider, ref, 400, -1).first, 400);
  const auto [proven, verdict] = prove(*prover, *provider, ref, 100, 77);
  EXPECT_EQ(proven, 99);
  EXPECT_EQ(verdict, Prover::Verdict::none);
  // What it did not say is said here, by name.
  WrapClaim claim{provider->wrap(ref, secret("another"), as_bytes(kAad)), to_bytes(as_bytes(kAad)),
                  hmac_sha256(prover->tag_key(), secret("it").reveal()), "loans/07"};
  const Error error = error_of([&] { prove_wrap(*provider, ref, claim, prover->tag_key()); });
  EXPECT_EQ(error.code(), Code::provider_failed);
  EXPECT_NE(error.message().find("loans/07"), std::string::npos);
}

// Each takes answers that are the other's, and must not wait for them afterwards.
TEST_P(Proofs, AreWaitedForByThreadsAtOnce) {
  auto provider = open();
  const KeyRef ref = provider->generate(version(1), KeyPurpose::wrap).ref;
  auto prover = Prover::start(kProbe, uri_, provider->identity(), {ref});
  ASSERT_NE(prover, nullptr);
  std::vector<std::unique_ptr<Provider>> sessions;
  for (int i = 0; i < 3; ++i) sessions.push_back(provider->another());
  std::atomic<int> proven{0};
  std::vector<std::thread> threads;
  for (auto& session : sessions)
    threads.emplace_back([&, one = session.get()] {
      for (int group = 0; group < 40; ++group) proven += prove(*prover, *one, ref, 8, -1).first;
    });
  for (std::thread& t : threads) t.join();
  EXPECT_EQ(proven, 3 * 40 * 8);
}

TEST_P(Proofs, OfAnotherPlaceOrWithoutASecretToReadAgainDoNotBegin) {
  auto provider = open();
  const KeyRef ref = provider->generate(version(1), KeyPurpose::wrap).ref;
  ProviderIdentity other = provider->identity();
  other.serial += "0";
  EXPECT_EQ(Prover::start(kProbe, uri_, other, {ref}), nullptr);
  EXPECT_EQ(Prover::start("/nonexistent/kesu-probe", uri_, provider->identity(), {ref}), nullptr);
  EXPECT_FALSE(LoginProcess::possible("pkcs11:token=t1?pin-source=prompt&module-path=/m"));
  EXPECT_FALSE(LoginProcess::possible("pkcs11:token=t1?pin-source=fd:7&module-path=/m"));
  EXPECT_FALSE(LoginProcess::possible("soft:/k?passphrase-source=prompt"));
  EXPECT_TRUE(LoginProcess::possible("pkcs11:token=t1?pin-source=env:PIN&module-path=/m"));
}

TEST_P(Proofs, AProcessThatDiedSaysNothing) {
  auto provider = open();
  const KeyRef ref = provider->generate(version(1), KeyPurpose::wrap).ref;
  auto prover = Prover::start("/bin/true", uri_, provider->identity(), {ref});
  EXPECT_EQ(prover, nullptr);
  prover = Prover::start(kProbe, uri_, provider->identity(), {ref});
  ASSERT_NE(prover, nullptr);
  EXPECT_EQ(prove(*prover, *provider, ref, 10, -1).first, 10);
  ::kill(prover->process(), SIGKILL);
  EXPECT_EQ(prove(*prover, *provider, ref, 300, 3).second, Prover::Verdict::none);
  EXPECT_EQ(prove(*prover, *provider, ref, 10, 3).first, 0);
}

class WrongSecond : public SoftHsm {};
TEST_F(WrongSecond, LoginOfTheProvingProcessIsSaid) {
  auto provider = open();
  const KeyRef ref = provider->generate(version(1), KeyPurpose::wrap).ref;
  write_pin("another-pin");
  EXPECT_EQ(code_of([&] { Prover::start(kProbe, uri(), provider->identity(), {ref}); }), "pin-wrong");
}

// Every session loses its login at once, and the PIN is wrong by now: one attempt for all of them.
class LostTogether : public ShimToken {};
TEST_F(LostTogether, SessionsTryAWrongPinOnce) {
  auto factory = provider_factory();
  factory->record_calls();
  auto first = factory->open(shim_uri());
  const KeyRef ref = first->generate(version(1), KeyPurpose::wrap).ref;
  std::vector<std::unique_ptr<Provider>> all;
  for (int i = 0; i < 3; ++i) all.push_back(first->another());
  all.push_back(std::move(first));
  for (auto& p : all) p->wrap(ref, secret("x"), {});
  const int64_t before = times(*factory, "C_Login");
  write_pin("another-pin");
  script("C_EncryptInit 1 logout");
  std::atomic<int> refused{0};
  std::vector<std::thread> threads;
  for (auto& p : all)
    threads.emplace_back([&, one = p.get()] {
      for (int i = 0; i < 3; ++i) {
        try {
          one->wrap(ref, secret("x"), {});
        } catch (const Error&) {
          ++refused;
        }
      }
    });
  for (std::thread& t : threads) t.join();
  EXPECT_GT(refused, 0);
  EXPECT_EQ(times(*factory, "C_Login") - before, 1);
}

}  // namespace
}  // namespace kesu::test
