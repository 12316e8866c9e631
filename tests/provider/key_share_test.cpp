// Keys in shares: the example bytes of docs/spec/key-shares.md, made elsewhere, and what is refused.
#include <gtest/gtest.h>

#include <algorithm>
#include <set>

#include "base/error.h"
#include "base/files.h"
#include "base/json.h"
#include "crypto/random.h"
#include "provider/key_share.h"

namespace kesu {
namespace {

const Json& vectors() {
  static const Json all =
      parse_json(as_text(read_file(std::string(KESU_VECTORS) + "/key-shares/vectors.json")), "vectors");
  return all;
}
Secret secret_of(std::string_view text) { return Secret::from(as_bytes(text)); }
std::vector<KeyShare> parsed(const Json& files) {
  std::vector<KeyShare> out;
  for (const Json& f : files.as_array()) out.push_back(parse_share(secret_of(f.as_string()), "it"));
  return out;
}
std::string shown(const Secret& s) { return hex(s.reveal()); }
std::string why(const std::vector<KeyShare>& shares) {
  try {
    combine_key(shares);
  } catch (const Error& e) {
    EXPECT_EQ(e.code(), Code::bad_input);
    return e.message();
  }
  return "combined";
}
KeyShare copy_of(const KeyShare& s) { return {s.head, s.index, Secret::from(s.value.reveal())}; }
std::vector<KeyShare> some(const std::vector<KeyShare>& all, std::initializer_list<size_t> which) {
  std::vector<KeyShare> out;
  for (size_t i : which) out.push_back(copy_of(all[i]));
  return out;
}
ShareHead head(int threshold, int shares) {
  return {system_random().id<VaultId>(), {system_random().id<KeyId>(), 7}, {1, 2, 3}, threshold, shares};
}

TEST(KeyShare, TheExampleBytesGiveTheKey) {
  for (const Json& set : vectors().at("sets").as_array()) {
    const auto shares = parsed(set.at("shares"));
    EXPECT_EQ(shares[0].head.threshold, set.num("threshold"));
    EXPECT_EQ(shown(combine_key(shares)), vectors().str("key"));
    for (size_t i = 0; i < shares.size(); ++i) {
      EXPECT_EQ(as_text(share_file(shares[i]).reveal()), set.at("shares").as_array()[i].as_string());
      EXPECT_EQ(shares[i].head.version.str(), "key-1a1a1a1a1a1a1a1a1a1a1a1a1a1a1a1a.1");
    }
  }
}

TEST(KeyShare, WhatIsNoShareIsRefused) {
  ASSERT_GE(vectors().at("refused").as_array().size(), 20u);
  for (const Json& one : vectors().at("refused").as_array()) try {
      parse_share(secret_of(one.str("share")), "it");
      ADD_FAILURE() << one.str("what");
    } catch (const Error& e) {
      EXPECT_EQ(e.code(), Code::bad_input) << one.str("what");
      EXPECT_EQ((e.message() + e.cause()).find("a688c33d"), std::string::npos)
          << "a share's value in an error";
    }
  // Each byte of a share altered or left out, and each prefix.
  const std::string good = vectors().at("other_set").as_array()[0].as_string();
  for (size_t i = 0; i < good.size(); ++i) {
    std::string altered = good;
    altered[i] = static_cast<char>(altered[i] ^ 1);
    EXPECT_THROW(parse_share(secret_of(altered), "it"), Error) << i;
    EXPECT_THROW(parse_share(secret_of(good.substr(0, i)), "it"), Error) << i;
    EXPECT_THROW(parse_share(secret_of(good.substr(0, i) + good.substr(i + 1)), "it"), Error) << i;
  }
}

TEST(KeyShare, RoundTripsThroughFiles) {
  for (auto [k, n] : {std::pair{2, 2}, {3, 5}, {2, 255}}) {
    const Secret key = system_random().secret(32);
    const auto shares = split_key(key, head(k, n), system_random());
    std::vector<KeyShare> back;
    for (size_t i = shares.size() - static_cast<size_t>(k); i < shares.size(); ++i)
      back.push_back(parse_share(share_file(shares[i]), "it"));
    EXPECT_EQ(shown(combine_key(back)), shown(key));
    EXPECT_EQ(shown(combine_key(shares)), shown(key)) << "more than are needed";
  }
}

TEST(KeyShare, SharesOfOneSetAlone) {
  const auto shares = parsed(vectors().at("sets").as_array()[1].at("shares"));
  const auto other = parsed(vectors().at("other_set"));
  EXPECT_EQ(why({}), "no share was given");
  EXPECT_EQ(why(some(shares, {0})), "1 of the 2 shares that are needed were given");
  EXPECT_EQ(why(some(shares, {0, 0})), "share 1 was given twice");
  EXPECT_EQ(why(some(shares, {0, 1, 1})), "share 2 was given twice");
  auto mixed = some(shares, {0});
  mixed.push_back(copy_of(other[1]));
  EXPECT_EQ(why(mixed), "the shares are not all of one set");
  // A share of another set under this set's head: only the check value tells.
  mixed[1].head = shares[0].head;
  EXPECT_EQ(why(mixed), "these shares give no key: the check value does not fit");
  mixed.insert(mixed.begin() + 1, copy_of(shares[2]));
  EXPECT_EQ(why(mixed), "share 2 is not of this set");
  for (size_t byte = 0; byte < 64; ++byte) {
    auto altered = some(shares, {0, 2});
    altered[1].value.reveal()[byte] ^= 0x40;
    EXPECT_EQ(why(altered), "these shares give no key: the check value does not fit") << byte;
  }
  // Whoever raises or lowers a threshold changes the head, which the check is over.
  auto lowered = parsed(vectors().at("sets").as_array()[2].at("shares"));
  for (KeyShare& s : lowered) s.head.threshold = 2;
  EXPECT_EQ(why(lowered), "these shares give no key: the check value does not fit");
  auto index = some(shares, {0, 1});
  index[1].index = 3;
  EXPECT_EQ(why(index), "these shares give no key: the check value does not fit");
}

// Fewer than the threshold agree with every key, its check value included: for any key at all there is a
// share that completes them.
TEST(KeyShare, TooFewSharesAgreeWithEveryKey) {
  const ShareHead h = head(2, 2);
  const auto shares = split_key(system_random().secret(32), h, system_random());
  for (int i = 0; i < 20; ++i) {
    // Another set of the same head gives the two points (0, other key ‖ its check) and (1, its share); the
    // line through (0, other) and (1, ours) is what its holder would see as share 2.
    const Secret other = system_random().secret(32);
    const auto theirs = split_key(other, h, system_random());
    KeyShare completed{h, 2, Secret(64)};
    for (size_t b = 0; b < 64; ++b)
      // Over GF(2^8) in characteristic 2: f(2) of (0, s), (1, y) is f'(2) ⊕ 2·(y ⊕ y').
      completed.value.reveal()[b] = static_cast<uint8_t>(theirs[1].value.reveal()[b] ^ [&] {
        const unsigned d = shares[0].value.reveal()[b] ^ theirs[0].value.reveal()[b];
        return d << 1 ^ (d & 0x80 ? 0x11bu : 0u);
      }());
    std::vector<KeyShare> both;
    both.push_back(copy_of(shares[0]));
    both.push_back(std::move(completed));
    EXPECT_EQ(shown(combine_key(both)), shown(other));
  }
}

TEST(KeyShare, RefusesWhatCannotBeShared) {
  const Secret key(32), small(31);
  for (auto [k, n] : {std::pair{1, 2}, {0, 0}, {4, 3}, {2, 256}, {-2, 2}})
    EXPECT_THROW(split_key(key, head(k, n), system_random()), Error) << k << " of " << n;
  EXPECT_THROW(split_key(small, head(2, 3), system_random()), Error);
}

}  // namespace
}  // namespace kesu
