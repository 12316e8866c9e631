// Merkle tree of RFC 6962 §2 over SHA-256. Pure.
#pragma once
#include <cstdint>
#include <optional>
#include <vector>

#include "base/bytes.h"

namespace kesu {

Digest32 node_hash(const Digest32& left, const Digest32& right);  // SHA-256(0x01 ‖ left ‖ right)
Digest32 leaf_data_hash(ByteView data);                           // SHA-256(0x00 ‖ data)

// Root of a tree that only grows: keeps the O(log n) complete subtrees.
class TreeHead {
 public:
  // Goes on from what size() and subtrees() gave. Throws bad_input when the two do not fit.
  static TreeHead from(uint64_t size, std::vector<Digest32> subtrees);
  void add(const Digest32& leaf);
  uint64_t size() const { return size_; }
  Digest32 root() const;  // SHA-256 of nothing for the empty tree
  // Roots of the complete subtrees, largest first: one for each one bit of size().
  const std::vector<Digest32>& subtrees() const { return stack_; }
  bool operator==(const TreeHead&) const = default;

 private:
  std::vector<Digest32> stack_;
  uint64_t size_ = 0;
};

Digest32 tree_root(std::span<const Digest32> leaves);
// RFC 6962 §2.1.1 and §2.1.2 proofs, from all leaves. Throw bad_input when an index lies outside.
std::vector<Digest32> inclusion_proof(std::span<const Digest32> leaves, uint64_t index);
std::vector<Digest32> consistency_proof(std::span<const Digest32> leaves, uint64_t old_size);
// RFC 9162 §2.1.3.2 and §2.1.4.2: whether the proof leads from leaf to root, from the old tree to the new.
// The empty tree is a prefix of every tree, with an empty proof; a tree is its own.
bool verify_inclusion(const Digest32& leaf, uint64_t index, uint64_t size, std::span<const Digest32> proof,
                      const Digest32& root);
bool verify_consistency(uint64_t old_size, const Digest32& old_root, uint64_t size, const Digest32& root,
                        std::span<const Digest32> proof);

}  // namespace kesu
