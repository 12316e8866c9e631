// The payload root: Merkle root (RFC 6962 §2.1) over an object's records. A small reader of its own, since
// this layer stands below the ledger's tree.
#pragma once
#include <vector>

#include "crypto/hash.h"

namespace kesu {

class RecordTree {
 public:
  static Digest32 leaf(ByteView record) {
    static constexpr uint8_t kLeaf[] = {0};
    return sha256({ByteView(kLeaf), record});
  }
  void add(ByteView record) { add_leaf(leaf(record)); }
  void add_leaf(Digest32 node) {
    for (uint64_t n = count_++; n & 1; n >>= 1) {
      node = join(stack_.back(), node);
      stack_.pop_back();
    }
    stack_.push_back(node);
  }
  // At least one record has been added.
  Digest32 root() const {
    Digest32 node = stack_.back();
    for (size_t i = stack_.size() - 1; i-- > 0;) node = join(stack_[i], node);
    return node;
  }

 private:
  static Digest32 join(const Digest32& left, const Digest32& right) {
    static constexpr uint8_t kNode[] = {1};
    return sha256({ByteView(kNode), ByteView(left), ByteView(right)});
  }
  std::vector<Digest32> stack_;  // roots of complete subtrees, largest first
  uint64_t count_ = 0;
};

}  // namespace kesu
