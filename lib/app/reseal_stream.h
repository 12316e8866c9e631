// One object opened here and sealed there, with nothing between but memory. For lib/app/reseal itself.
#pragma once
#include <condition_variable>
#include <deque>
#include <functional>
#include <mutex>
#include <set>
#include <string>

#include "app/known_objects.h"
#include "app/reseal_links.h"
#include "app/seal_origin.h"
#include "crypto/mac.h"

namespace kesu {

// Pieces of plaintext from one thread to another, a few MiB of them at most; wiped when they were taken.
class PlainPipe {
 public:
  ~PlainPipe();
  void put(ByteView piece);              // waits for room; throws interrupted when the other end was closed
  void end(std::exception_ptr failure);  // no more comes; what take() throws then, if anything
  size_t take(std::span<uint8_t> out);   // 0: the end
  void close();                          // whoever takes has gone

 private:
  std::mutex mutex_;
  std::condition_variable moved_;
  std::deque<Bytes> pieces_;
  size_t held_ = 0, at_ = 0;
  bool ended_ = false, closed_ = false;
  std::exception_ptr failure_;
};

// HMAC-SHA-256( salt, plaintext ) of an object, opened to its end. Errors: those of open_object.
Digest32 digest_of(const SealedInput& in, const UnwrapKey& unwrap, const Bytes& salt, Crew* crew,
                   uint64_t& bytes);

// The objects of one dataset, for a sealer of another.
class ResealOrigin : public SealOrigin {
 public:
  // All outlive it. `lanes`: of the sealer; versions of `from` are allowed there.
  ResealOrigin(Vault& vault, Lanes& lanes, const std::string& from, const std::string& to, ResealLinks& links)
      : vault_(vault), lanes_(lanes), from_(from), to_(to), links_(links) {}

  void read(SealSource& source, unsigned worker, Crew& crew, const SealBytes& seal) override;
  void check(const SealSource& source, unsigned worker, Crew& crew, const SealedInput& part) override;
  void intended(const std::vector<const SealSource*>& sources, Json& body) override;
  std::vector<Event> sealed(const BatchId& batch, const std::vector<Sealed>& objects) override;

 private:
  void begin(SealSource& source, const Metadata& metadata);
  void read_small(SealSource& source, unsigned worker, const SealedInput& in, uint64_t size,
                  const SealBytes& seal);
  void read_large(SealSource& source, unsigned worker, const SealedInput& in, const SealBytes& seal);
  Vault& vault_;
  Lanes& lanes_;
  const std::string from_, to_;
  ResealLinks& links_;
  Crew opening_;
  std::mutex mutex_;
  std::set<KnownObjects::Key> names_;  // of files that were begun in this run
};

}  // namespace kesu
