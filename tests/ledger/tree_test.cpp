// The tree against known roots, and every proof of every tree of up to 70 leaves.
#include "ledger/tree.h"

#include <gtest/gtest.h>

#include <random>

#include "base/error.h"
#include "crypto/hash.h"
#include "ledger_vectors.h"

namespace kesu {
namespace {

constexpr uint64_t kSizes = 70;

std::vector<Digest32> leaves_of(uint64_t count) {
  std::vector<Digest32> out;
  for (uint64_t i = 0; i < count; ++i) out.push_back(leaf_data_hash(as_bytes("leaf " + std::to_string(i))));
  return out;
}

// RFC 6962 §2.1, word for word: the tests' own way to a root.
Digest32 defined_root(std::span<const Digest32> leaves) {
  if (leaves.empty()) return sha256(ByteView());
  if (leaves.size() == 1) return leaves[0];
  size_t k = 1;
  while (k * 2 < leaves.size()) k *= 2;
  return node_hash(defined_root(leaves.first(k)), defined_root(leaves.subspan(k)));
}

TEST(Tree, KnownRootsOfTheWellKnownInputs) {
  Json vectors = ledger_vectors("rfc6962.json");
  std::vector<Digest32> leaves;
  for (const Json& input : vectors.at("inputs").as_array())
    leaves.push_back(leaf_data_hash(*unhex(input.as_string())));
  const auto& roots = vectors.at("roots").as_array();
  ASSERT_EQ(roots.size(), leaves.size() + 1);
  for (size_t n = 0; n < roots.size(); ++n)
    EXPECT_EQ(hex(tree_root(std::span(leaves).first(n))), roots[n].as_string()) << n;
  for (const Json& v : vectors.at("inclusion").as_array()) {
    auto proof = inclusion_proof(std::span(leaves).first(static_cast<size_t>(v.num("size"))),
                                 static_cast<uint64_t>(v.num("index")));
    ASSERT_EQ(proof.size(), v.at("proof").size());
    for (size_t i = 0; i < proof.size(); ++i)
      EXPECT_EQ(hex(proof[i]), v.at("proof").as_array()[i].as_string());
  }
  for (const Json& v : vectors.at("consistency").as_array()) {
    auto proof = consistency_proof(std::span(leaves).first(static_cast<size_t>(v.num("size"))),
                                   static_cast<uint64_t>(v.num("old")));
    ASSERT_EQ(proof.size(), v.at("proof").size());
    for (size_t i = 0; i < proof.size(); ++i)
      EXPECT_EQ(hex(proof[i]), v.at("proof").as_array()[i].as_string());
  }
}

TEST(Tree, RootIsTheDefinedOne) {
  auto leaves = leaves_of(kSizes);
  for (uint64_t n = 0; n <= kSizes; ++n)
    EXPECT_EQ(tree_root(std::span(leaves).first(n)), defined_root(std::span(leaves).first(n))) << n;
}

TEST(Tree, EveryInclusionProofHoldsAndNoOtherPlace) {
  auto leaves = leaves_of(kSizes);
  for (uint64_t n = 1; n <= kSizes; ++n) {
    auto tree = std::span(leaves).first(n);
    Digest32 root = defined_root(tree);
    for (uint64_t i = 0; i < n; ++i) {
      auto proof = inclusion_proof(tree, i);
      EXPECT_TRUE(verify_inclusion(leaves[i], i, n, proof, root)) << i << " of " << n;
      for (uint64_t other = 0; other < n; ++other) {
        if (other == i) continue;
        EXPECT_FALSE(verify_inclusion(leaves[i], other, n, proof, root))
            << i << " at " << other << " of " << n;
      }
      EXPECT_FALSE(verify_inclusion(leaves[i], i, n, proof, node_hash(root, root)));
      auto longer = proof;
      longer.push_back(root);
      EXPECT_FALSE(verify_inclusion(leaves[i], i, n, longer, root));
      if (!proof.empty()) {
        auto changed = proof;
        changed[i % changed.size()][7] ^= 1;
        EXPECT_FALSE(verify_inclusion(leaves[i], i, n, changed, root));
        EXPECT_FALSE(verify_inclusion(leaves[i], i, n, std::span(proof).first(proof.size() - 1), root));
      }
    }
    EXPECT_FALSE(verify_inclusion(leaves[0], n, n, {}, root));
    EXPECT_THROW(inclusion_proof(tree, n), Error);
  }
}

TEST(Tree, EveryConsistencyProofHoldsAndNoOtherPair) {
  auto leaves = leaves_of(kSizes);
  std::vector<Digest32> roots;
  for (uint64_t n = 0; n <= kSizes; ++n) roots.push_back(defined_root(std::span(leaves).first(n)));
  for (uint64_t n = 0; n <= kSizes; ++n) {
    for (uint64_t m = 0; m <= n; ++m) {
      auto proof = consistency_proof(std::span(leaves).first(n), m);
      EXPECT_TRUE(verify_consistency(m, roots[m], n, roots[n], proof)) << m << " in " << n;
      if (m == 0 || m == n) continue;
      EXPECT_FALSE(verify_consistency(m, roots[m - 1], n, roots[n], proof)) << m << " in " << n;
      EXPECT_FALSE(verify_consistency(m, roots[m], n, roots[n - 1], proof)) << m << " in " << n;
      EXPECT_FALSE(verify_consistency(n, roots[n], m, roots[m], proof)) << "a tree that shrinks";
      EXPECT_FALSE(verify_consistency(m, roots[m], n, roots[n], {}));
      auto changed = proof;
      changed[m % changed.size()][3] ^= 0x80;
      EXPECT_FALSE(verify_consistency(m, roots[m], n, roots[n], changed)) << m << " in " << n;
      changed = proof;
      changed.push_back(roots[m]);
      EXPECT_FALSE(verify_consistency(m, roots[m], n, roots[n], changed));
    }
    EXPECT_THROW(consistency_proof(std::span(leaves).first(n), n + 1), Error);
  }
}

TEST(Tree, HeadGoesOnFromItsSubtrees) {
  auto leaves = leaves_of(kSizes);
  TreeHead head;
  for (uint64_t n = 0; n < kSizes; ++n) {
    TreeHead resumed = TreeHead::from(head.size(), head.subtrees());
    EXPECT_EQ(resumed, head);
    EXPECT_EQ(resumed.root(), defined_root(std::span(leaves).first(n)));
    head.add(leaves[n]);
    resumed.add(leaves[n]);
    EXPECT_EQ(resumed, head);
  }
  EXPECT_THROW(TreeHead::from(3, {leaves[0]}), Error);
  EXPECT_THROW(TreeHead::from(0, {leaves[0]}), Error);
}

TEST(Tree, RandomTreesOfManySizes) {
  std::mt19937_64 dice(20261121);
  auto leaves = leaves_of(3000);
  for (int round = 0; round < 40; ++round) {
    uint64_t n = 1 + dice() % leaves.size(), m = dice() % (n + 1), i = dice() % n;
    auto tree = std::span(leaves).first(n);
    Digest32 root = tree_root(tree), old_root = tree_root(tree.first(m));
    EXPECT_TRUE(verify_inclusion(leaves[i], i, n, inclusion_proof(tree, i), root)) << i << " of " << n;
    EXPECT_TRUE(verify_consistency(m, old_root, n, root, consistency_proof(tree, m))) << m << " in " << n;
  }
}

}  // namespace
}  // namespace kesu
