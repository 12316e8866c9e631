// The process that carries sealed objects over to another key version.
#include "seal/rewrapper.h"

#include <signal.h>

#include "../seal/support.h"
#include "beside.h"
#include "shim_fixture.h"

namespace kesu::test {
namespace {

class Carried : public Contract {
 protected:
  void SetUp() override {
    Contract::SetUp();
    provider_ = open();
    versions_[0] = version(1), versions_[1] = version(2);
    for (int i : {0, 1}) refs_[i] = provider_->generate(versions_[i], KeyPurpose::wrap).ref;
  }
  Bytes seal(int n) {
    FixedRandom random("object " + std::to_string(n));
    MemorySink sink;
    seal_object(
        request_for(random, versions_[0]), memory_source(pattern(1000)), sink.sink(),
        [&](const Secret& key, ByteView aad) { return provider_->wrap(refs_[0], key, aad); }, random);
    return std::move(sink.data);
  }
  std::unique_ptr<Rewrapper> start(const std::string& program = kProbe) {
    return Rewrapper::start(program, uri_, provider_->identity(),
                            {{versions_[0], refs_[0]}, {versions_[1], refs_[1]}}, versions_[1]);
  }
  static ByteView region(const Bytes& sealed) { return ByteView(sealed).first(kRegionBytes); }
  // What is in it, by the second version's key alone.
  Bytes opened_by_second(ByteView sealed) {
    return open_bytes(sealed,
                      [&](const Slot& slot, ByteView aad) {
                        if (slot.version != versions_[1]) throw Error(Code::object_absent, "it is gone");
                        return provider_->unwrap(refs_[1], slot.wrapped, aad);
                      })
        .plain;
  }
  static void write(Bytes& sealed, const Rewrapper::Written& w) {
    ASSERT_EQ(w.slot.size(), kSlotBytes);
    std::ranges::copy(w.slot, sealed.begin() + static_cast<ptrdiff_t>(w.offset));
  }

  std::unique_ptr<Provider> provider_;
  VersionRef versions_[2];
  KeyRef refs_[2];
};
// Where lanes have sessions of their own no process is started.
INSTANTIATE_TEST_SUITE_P(Every, Carried, testing::Values(kProviders[0], kProviders[1]),
                         [](const auto& row) { return row.param.name; });

TEST_P(Carried, OpenWithTheOtherVersionAlone) {
  const auto beside = start();
  ASSERT_NE(beside, nullptr);
  for (int round = 0; round < 3; ++round) {
    std::vector<Bytes> objects;
    for (size_t n = 0; n < Rewrapper::kOpen; ++n) {
      objects.push_back(seal(static_cast<int>(n)));
      beside->submit(region(objects.back()));
    }
    EXPECT_THROW(beside->submit(region(objects[0])), Error);  // it would be more than it holds
    for (Bytes& sealed : objects) {
      const auto written = beside->take();
      ASSERT_TRUE(written);
      write(sealed, *written);
      EXPECT_EQ(opened_by_second(sealed), pattern(1000));
      // The older way in stays.
      EXPECT_EQ(parse_region(region(sealed)).usable().size(), 2u);
    }
  }
  EXPECT_THROW(beside->take(), Error);
  EXPECT_FALSE(beside->dead());
}

TEST_P(Carried, NotWhatDoesNotOpenOrFitItsKey) {
  const auto beside = start();
  ASSERT_NE(beside, nullptr);
  const Bytes good = seal(1);
  const auto spoilt = [&](size_t at) {
    Bytes out = good;
    out[at] ^= 1;
    return out;
  };
  Bytes foreign = good;
  Slot slot = *parse_region(region(good)).slots[0];
  slot.version = version(3);
  std::ranges::copy(slot_bytes(slot), foreign.begin() + 1024);
  const Bytes cases[] = {spoilt(0), spoilt(96), spoilt(1024 + 80 + 20), foreign, Bytes(kRegionBytes)};
  for (const Bytes& bad : cases) beside->submit(region(bad));
  beside->submit(region(good));
  for (size_t i = 0; i < std::size(cases); ++i) EXPECT_FALSE(beside->take()) << i;
  EXPECT_TRUE(beside->take());
  EXPECT_FALSE(beside->dead());  // nothing was wrapped for them
}

TEST_P(Carried, NothingByAProcessThatDied) {
  EXPECT_EQ(start("/bin/true"), nullptr);
  EXPECT_EQ(start("/nonexistent/kesu-probe"), nullptr);
  const auto beside = start();
  ASSERT_NE(beside, nullptr);
  const Bytes sealed = seal(1);
  beside->submit(region(sealed));
  EXPECT_TRUE(beside->take());
  ::kill(beside->process(), SIGKILL);
  for (int i = 0; i < 40; ++i) beside->submit(region(sealed));
  for (int i = 0; i < 40; ++i) EXPECT_FALSE(beside->take());
  EXPECT_TRUE(beside->dead());
}

// The encryption did not take place though the token says so: nothing comes of it, and no more is asked.
class CarriedWrongly : public ShimToken {};
TEST_F(CarriedWrongly, WrapsAreFoundOutAndNoMoreIsAskedFor) {
  auto provider = provider_factory()->open(shim_uri());
  const KeyRef first = provider->generate(version(1), KeyPurpose::wrap).ref;
  const KeyRef second = provider->generate(version(2), KeyPurpose::wrap).ref;
  FixedRandom random("object");
  MemorySink sink;
  seal_object(
      request_for(random, version(1)), memory_source(pattern(10)), sink.sink(),
      [&](const Secret& key, ByteView aad) { return provider->wrap(first, key, aad); }, random);
  // The process beside has no variable but SOFTHSM2_CONF.
  std::ofstream(std::string(std::getenv("SOFTHSM2_CONF")) + ".shim") << "C_Encrypt 2+ return CKR_OK\n";
  const auto beside = Rewrapper::start(kProbe, shim_uri(), provider->identity(),
                                       {{version(1), first}, {version(2), second}}, version(2));
  ASSERT_NE(beside, nullptr);
  const ByteView region = ByteView(sink.data).first(kRegionBytes);
  for (int i = 0; i < 3; ++i) beside->submit(region);
  EXPECT_TRUE(beside->take());
  EXPECT_FALSE(beside->take());
  EXPECT_TRUE(beside->dead());
  EXPECT_FALSE(beside->take());
}

}  // namespace
}  // namespace kesu::test
