// RFC 6962 §2.1: roots, audit paths, consistency proofs. Proofs are checked by the iterations of RFC 9162
// §2.1.3 and §2.1.4, written from other equations than the ones that make them.
#include "ledger/tree.h"

#include <bit>
#include <cstring>

#include "base/error.h"
#include "crypto/hash.h"

namespace kesu {

namespace {

// Largest power of two smaller than n; n > 1.
uint64_t split(uint64_t n) { return uint64_t{1} << (std::bit_width(n - 1) - 1); }

using Leaves = std::span<const Digest32>;

void path(Leaves leaves, uint64_t index, std::vector<Digest32>& out) {
  if (leaves.size() == 1) return;
  uint64_t k = split(leaves.size());
  if (index < k) {
    path(leaves.first(k), index, out);
    out.push_back(tree_root(leaves.subspan(k)));
  } else {
    path(leaves.subspan(k), index - k, out);
    out.push_back(tree_root(leaves.first(k)));
  }
}

void subproof(Leaves leaves, uint64_t old_size, bool whole, std::vector<Digest32>& out) {
  if (old_size == leaves.size()) {
    if (!whole) out.push_back(tree_root(leaves));
    return;
  }
  uint64_t k = split(leaves.size());
  if (old_size <= k) {
    subproof(leaves.first(k), old_size, whole, out);
    out.push_back(tree_root(leaves.subspan(k)));
  } else {
    subproof(leaves.subspan(k), old_size - k, false, out);
    out.push_back(tree_root(leaves.first(k)));
  }
}

}  // namespace

Digest32 node_hash(const Digest32& left, const Digest32& right) {
  std::array<uint8_t, 65> data;
  data[0] = 0x01;
  std::memcpy(&data[1], left.data(), 32);
  std::memcpy(&data[33], right.data(), 32);
  return sha256(ByteView(data));
}

Digest32 leaf_data_hash(ByteView data) {
  static constexpr uint8_t kLeaf[] = {0x00};
  return sha256({ByteView(kLeaf), data});
}

TreeHead TreeHead::from(uint64_t size, std::vector<Digest32> subtrees) {
  if (subtrees.size() != static_cast<size_t>(std::popcount(size)))
    throw Error(Code::bad_input, "tree head: " + std::to_string(subtrees.size()) +
                                     " subtrees do not make a tree of " + std::to_string(size) + " leaves");
  TreeHead head;
  head.size_ = size;
  head.stack_ = std::move(subtrees);
  return head;
}

void TreeHead::add(const Digest32& leaf) {
  Digest32 node = leaf;
  // Each trailing one bit of the size is a complete subtree of that height, which the new leaf completes
  // further.
  for (uint64_t bits = size_; bits & 1; bits >>= 1) {
    node = node_hash(stack_.back(), node);
    stack_.pop_back();
  }
  stack_.push_back(node);
  ++size_;
}

Digest32 TreeHead::root() const {
  if (stack_.empty()) return sha256(ByteView());
  Digest32 node = stack_.back();
  for (size_t i = stack_.size() - 1; i-- > 0;) node = node_hash(stack_[i], node);
  return node;
}

Digest32 tree_root(Leaves leaves) {
  TreeHead head;
  for (const Digest32& leaf : leaves) head.add(leaf);
  return head.root();
}

std::vector<Digest32> inclusion_proof(Leaves leaves, uint64_t index) {
  if (index >= leaves.size())
    throw Error(Code::bad_input, "inclusion proof: no leaf " + std::to_string(index));
  std::vector<Digest32> out;
  path(leaves, index, out);
  return out;
}

std::vector<Digest32> consistency_proof(Leaves leaves, uint64_t old_size) {
  if (old_size > leaves.size())
    throw Error(Code::bad_input,
                "consistency proof: the tree never had " + std::to_string(old_size) + " leaves");
  std::vector<Digest32> out;
  if (old_size > 0) subproof(leaves, old_size, true, out);
  return out;
}

bool verify_inclusion(const Digest32& leaf, uint64_t index, uint64_t size, Leaves proof,
                      const Digest32& root) {
  if (index >= size) return false;
  uint64_t node = index, last = size - 1;
  Digest32 sum = leaf;
  for (const Digest32& sibling : proof) {
    if (last == 0) return false;
    if ((node & 1) || node == last) {
      sum = node_hash(sibling, sum);
      while (!(node & 1) && node != 0) node >>= 1, last >>= 1;
    } else {
      sum = node_hash(sum, sibling);
    }
    node >>= 1;
    last >>= 1;
  }
  return last == 0 && sum == root;
}

bool verify_consistency(uint64_t old_size, const Digest32& old_root, uint64_t size, const Digest32& root,
                        Leaves proof) {
  if (old_size > size) return false;
  if (old_size == 0) return proof.empty() && old_root == sha256(ByteView());
  if (old_size == size) return proof.empty() && old_root == root;
  if (proof.empty()) return false;
  uint64_t node = old_size - 1, last = size - 1;
  while (node & 1) node >>= 1, last >>= 1;
  // A complete old tree is itself the first node of the path, and is left out of the proof.
  bool complete = std::has_single_bit(old_size);
  Digest32 old_sum = complete ? old_root : proof.front(), sum = old_sum;
  for (const Digest32& sibling : proof.subspan(complete ? 0 : 1)) {
    if (last == 0) return false;
    if ((node & 1) || node == last) {
      old_sum = node_hash(sibling, old_sum);
      sum = node_hash(sibling, sum);
      while (!(node & 1) && node != 0) node >>= 1, last >>= 1;
    } else {
      sum = node_hash(sum, sibling);
    }
    node >>= 1;
    last >>= 1;
  }
  return last == 0 && old_sum == old_root && sum == root;
}

}  // namespace kesu
