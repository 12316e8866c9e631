// The vault's store as the issuer of bundles reads it, up to a size.
#pragma once
#include <algorithm>
#include <string>
#include <vector>

#include "base/error.h"
#include "certificate/source.h"
#include "ledger/entry.h"
#include "store/store.h"

namespace kesu {

class VaultSource final : public LedgerSource {
 public:
  VaultSource(Store& store, uint64_t size) : store_(store), size_(size) {}
  uint64_t size() override { return size_; }
  std::string header(uint64_t seq) override { return at(seq).canonical_header; }
  Digest32 body_hash(uint64_t seq) override {
    return kesu::body_hash(at(seq).entry.salt, at(seq).canonical_body);
  }
  OpenedBody body(uint64_t seq) override { return {at(seq).entry.salt, at(seq).canonical_body}; }
  Bytes blob(std::string_view digest) override { return store_.blob(digest); }
  Bytes segment(std::string_view dataset, std::string_view batch) override {
    return store_.segment(dataset, batch);
  }

 private:
  // Readers ask for header and body hash of each entry in order, and for bodies here and there: what is read
  // ahead grows while they go on in order.
  const StoredEntry& at(uint64_t seq) {
    constexpr uint64_t kPage = 1024;
    if (seq >= size_) throw Error(Code::not_found, "no entry " + std::to_string(seq));
    if (seq < first_ || seq >= first_ + page_.size()) {
      const uint64_t ahead = seq == first_ + page_.size() ? std::min<uint64_t>(2 * page_.size(), kPage) : 1;
      page_.clear();
      first_ = seq;
      store_.read(seq, std::min(seq + std::max<uint64_t>(ahead, 1), size_), [&](const StoredEntry& e) {
        page_.push_back(e);
        return true;
      });
    }
    return page_.at(static_cast<size_t>(seq - first_));
  }
  Store& store_;
  uint64_t size_, first_ = 0;
  std::vector<StoredEntry> page_;
};

}  // namespace kesu
