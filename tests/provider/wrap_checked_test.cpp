// A wrap is believed when it opened again. The provider here lies, which no real one does on demand;
// wrap_shim_test.py has a token lie in the middle of sealing and re-wrapping.
#include "provider/wrap_checked.h"

#include <gtest/gtest.h>

#include "base/error.h"

namespace kesu {
namespace {

class LyingProvider final : public Provider {
 public:
  enum class Lie { none, other_bytes, fewer_bytes, does_not_open, is_gone } lie = Lie::none;
  Bytes aad_opened;

  ProviderIdentity identity() override { return {}; }
  Capabilities capabilities() override { return {}; }
  Birth generate(const VersionRef&, KeyPurpose) override { throw Error(Code::mechanism_absent, "scripted"); }
  std::optional<Birth> recover(const VersionRef&, KeyPurpose) override { return std::nullopt; }
  Json describe(const KeyRef&) override { return {}; }
  Bytes sign(const KeyRef&, ByteView) override { return {}; }
  Enumeration enumerate() override { return {}; }
  Receipt destroy_object(const KeyRef&) override { throw Error(Code::mechanism_absent, "scripted"); }

  WrappedKey wrap(const KeyRef&, const Secret& key, ByteView) override {
    WrappedKey out;
    out.blob.assign(key.reveal().begin(), key.reveal().end());
    return out;
  }
  Secret unwrap(const KeyRef&, const WrappedKey& wrapped, ByteView aad) override {
    aad_opened.assign(aad.begin(), aad.end());
    if (lie == Lie::does_not_open) throw Error(Code::sealed_damaged, "it does not authenticate");
    if (lie == Lie::is_gone) throw Error(Code::token_absent, "no token");
    Secret out = Secret::from(ByteView(wrapped.blob).first(wrapped.blob.size() - (lie == Lie::fewer_bytes)));
    if (lie == Lie::other_bytes) out.reveal().back() ^= 1;
    return out;
  }
};

class WrapCheckedTest : public testing::Test {
 protected:
  WrappedKey wrap(LyingProvider::Lie lie) {
    provider_.lie = lie;
    ref_.label = "kesu:key";
    return wrap_checked(provider_, ref_, key_, as_bytes("the aad"), "out/a.kesu");
  }
  LyingProvider provider_;
  KeyRef ref_;
  Secret key_{64};
};

TEST_F(WrapCheckedTest, OneThatOpensIsGivenOn) {
  EXPECT_EQ(wrap(LyingProvider::Lie::none).blob, Bytes(64));
  EXPECT_EQ(to_text(provider_.aad_opened), "the aad");
}

TEST_F(WrapCheckedTest, OneThatOpensToSomethingElseOrNotAtAllIsTheProvidersFault) {
  for (auto lie : {LyingProvider::Lie::other_bytes, LyingProvider::Lie::fewer_bytes,
                   LyingProvider::Lie::does_not_open}) {
    try {
      wrap(lie);
      FAIL() << static_cast<int>(lie);
    } catch (const Error& e) {
      EXPECT_EQ(e.code(), Code::provider_failed);
      EXPECT_NE(e.message().find("out/a.kesu"), std::string::npos) << e.message();
      EXPECT_FALSE(e.next().empty());
    }
  }
}

TEST_F(WrapCheckedTest, NoAnswerIsItsOwnError) {
  try {
    wrap(LyingProvider::Lie::is_gone);
    FAIL();
  } catch (const Error& e) {
    EXPECT_EQ(e.code(), Code::token_absent);
  }
}

}  // namespace
}  // namespace kesu
