// SHA-2 (FIPS 180-4): one-shot and incremental. Built for many tiny inputs (tree nodes) as well as for long
// ones.
#pragma once
#include <initializer_list>
#include <memory>

#include "base/bytes.h"

namespace kesu {

enum class HashAlg { sha256, sha384, sha512 };

constexpr size_t digest_size(HashAlg alg) {
  return alg == HashAlg::sha256 ? 32 : alg == HashAlg::sha384 ? 48 : 64;
}
std::string_view hash_name(HashAlg alg);  // "SHA-256", …

// SHA-256 of one view, or of the concatenation of several. No allocation; a context per thread is reused.
Digest32 sha256(ByteView data);
Digest32 sha256(std::initializer_list<ByteView> parts);
Digest32 sha256(std::span<const ByteView> parts);

// digest_size(alg) bytes.
Bytes hash(HashAlg alg, ByteView data);

// Incremental; finish() gives the digest and starts anew. Moved-from objects may only be assigned or
// destroyed.
class Hasher {
 public:
  explicit Hasher(HashAlg alg);
  Hasher(Hasher&&) noexcept;
  Hasher& operator=(Hasher&&) noexcept;
  ~Hasher();

  HashAlg alg() const { return alg_; }
  Hasher& update(ByteView data);
  Bytes finish();
  // Writes digest_size(alg()) bytes to the start of `out`; Error bad_input when it is smaller.
  void finish(std::span<uint8_t> out);

 private:
  struct State;
  HashAlg alg_;
  std::unique_ptr<State> state_;
};

class Sha256 {
 public:
  Sha256() : hasher_(HashAlg::sha256) {}
  Sha256& update(ByteView data) { return hasher_.update(data), *this; }
  Digest32 finish() {
    Digest32 out;
    hasher_.finish(out);
    return out;
  }

 private:
  Hasher hasher_;
};

}  // namespace kesu
