// Fingerprints of plaintext, by which surviving copies can be recognised without keeping any plaintext
// (docs/spec/fingerprints.md).
#pragma once
#include <memory>
#include <vector>

#include "base/crew.h"
#include "crypto/aead.h"
#include "seal/object.h"

namespace kesu {

constexpr size_t kFingerprintKeyBytes = 64;      // K1 ‖ K2
constexpr size_t kFingerprintBlock = 64 * 1024;  // aligned to the payload's start; the last may be shorter

// One key, many blocks. Each thread has its own. The expanded keys are zeroed on destruction.
class Fingerprinter {
 public:
  // Error bad_input unless the key has 64 bytes.
  explicit Fingerprinter(const Secret& key, AeadUse use = AeadUse::little);
  ~Fingerprinter();
  // Of one block, 1 to kFingerprintBlock bytes.
  Digest32 block(ByteView plain);
  // Of a file, by the values of all its blocks; an empty file has none.
  Digest32 file(std::span<const Digest32> blocks);

 private:
  struct State;
  std::unique_ptr<State> state_;
};

// Whether it is the same 64 bytes over and over: zeros, and what is like them everywhere. Of whole blocks.
bool repeats(ByteView block);

// What sealing reports with SealRequest::fingerprint_key, of plaintext that is not being sealed.
// `plain.read` is called by several threads at once.
Fingerprints fingerprints_of(const SealedInput& plain, const Secret& key, Crew* crew = nullptr);

}  // namespace kesu
