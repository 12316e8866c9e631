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
  std::string header(uint64_t seq) override { return at(seq).header; }
  Digest32 body_hash(uint64_t seq) override { return at(seq).body_hash; }
  // Asked of few entries, here and there: each is read for itself.
  OpenedBody body(uint64_t seq) override {
    if (seq >= size_) throw Error(Code::not_found, "no entry " + std::to_string(seq));
    OpenedBody out;
    store_.read(
        seq, seq + 1,
        [&](const StoredEntry& e) {
          out = {e.entry.salt, e.canonical_body};
          return false;
        },
        [](const Header&) { return false; });
    return out;
  }
  Bytes blob(std::string_view digest) override { return store_.blob(digest); }
  Bytes segment(std::string_view dataset, std::string_view batch) override {
    return store_.segment(dataset, batch);
  }

 private:
  // Headers and body hashes are asked for in order: what is read ahead grows while that goes on. Bodies are
  // not kept with them: those of sealings list up to a thousand objects each.
  struct Line {
    std::string header;
    Digest32 body_hash;
  };
  const Line& at(uint64_t seq) {
    constexpr uint64_t kPage = 1024;
    if (seq >= size_) throw Error(Code::not_found, "no entry " + std::to_string(seq));
    if (seq < first_ || seq >= first_ + page_.size()) {
      const uint64_t ahead = seq == first_ + page_.size() ? std::min<uint64_t>(2 * page_.size(), kPage) : 1;
      page_.clear();
      first_ = seq;
      store_.read(
          seq, std::min(seq + std::max<uint64_t>(ahead, 1), size_),
          [&](const StoredEntry& e) {
            page_.push_back({e.canonical_header, kesu::body_hash(e.entry.salt, e.canonical_body)});
            return true;
          },
          [](const Header&) { return false; });
    }
    return page_.at(static_cast<size_t>(seq - first_));
  }
  Store& store_;
  uint64_t size_, first_ = 0;
  std::vector<Line> page_;
};

}  // namespace kesu
