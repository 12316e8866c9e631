// Fingerprints: a universal hash under a PRF.
#include "seal/fingerprint.h"

#include <algorithm>
#include <array>
#include <cstring>

#include "base/error.h"
#include "base/interrupt.h"
#include "crypto/aead.h"
#include "crypto/mac.h"
#include "seal/engine_impl.h"

namespace kesu {

namespace {
// What K1 gives for one block, one nonce for all: safe because nothing is encrypted under K1, and no value
// of it leaves except through the HMAC.
constexpr std::array<uint8_t, 12> kNoNonce{};

const Secret& checked(const Secret& key) {
  if (key.size() != kFingerprintKeyBytes)
    throw Error(Code::bad_input, "a fingerprint key has 64 bytes, not " + std::to_string(key.size()));
  return key;
}
}  // namespace

struct Fingerprinter::State {
  State(const Secret& key, AeadUse use)
      : gmac(AeadAlg::aes256_gcm, key.reveal().first(32), use), hmac(key.reveal().subspan(32)) {}
  Aead gmac;
  HmacSha256 hmac;
};

Fingerprinter::Fingerprinter(const Secret& key, AeadUse use)
    : state_(std::make_unique<State>(checked(key), use)) {}
Fingerprinter::~Fingerprinter() = default;

Digest32 Fingerprinter::block(ByteView plain) {
  std::array<uint8_t, kAeadTag> tag;
  state_->gmac.seal(kNoNonce, plain, {}, tag);
  const Digest32 out = state_->hmac.update(tag).finish();
  wipe(tag);
  return out;
}

Digest32 Fingerprinter::file(std::span<const Digest32> blocks) {
  for (const Digest32& b : blocks) state_->hmac.update(b);
  return state_->hmac.finish();
}

bool repeats(ByteView block) {
  constexpr size_t kPeriod = 64;
  return block.size() > kPeriod &&
         std::memcmp(block.data(), block.data() + kPeriod, block.size() - kPeriod) == 0;
}

void BlockPrints::add(const Run& run, size_t chunk, Fingerprinter& with) {
  std::vector<Digest32> own;
  std::vector<uint8_t> common;
  own.reserve((run.plain + kFingerprintBlock - 1) / kFingerprintBlock);
  const auto take = [&](ByteView block) {
    own.push_back(with.block(block));
    common.push_back(repeats(block));
  };
  for (size_t at = 0; at < run.plain; at += kFingerprintBlock) {
    const size_t size = std::min(kFingerprintBlock, run.plain - at);
    if (chunk >= kFingerprintBlock) {
      take(run.piece(at / chunk, chunk).subspan(at % chunk, size));
      continue;
    }
    // Smaller chunks lie apart: room for their tags is between them.
    Bytes whole;
    whole.reserve(size);
    for (size_t i = at / chunk; whole.size() < size; ++i) {
      const auto piece = run.piece(i, chunk);
      whole.insert(whole.end(), piece.begin(), piece.end());
    }
    take(whole);
    wipe(whole);
  }
  const size_t per_run = std::max<size_t>(1, kDefaultChunk / chunk) * chunk / kFingerprintBlock;
  std::lock_guard lock(mutex_);
  const size_t first = run.number * per_run;
  if (blocks_.size() < first + own.size()) {
    blocks_.resize(first + own.size());
    common_.resize(first + own.size());
  }
  std::ranges::copy(own, blocks_.begin() + static_cast<ptrdiff_t>(first));
  std::ranges::copy(common, common_.begin() + static_cast<ptrdiff_t>(first));
}

Fingerprints BlockPrints::finish(const Secret& key) {
  const Digest32 file = Fingerprinter(key).file(blocks_);
  return {std::move(blocks_), file, std::move(common_)};
}

Fingerprints fingerprints_of(const SealedInput& plain, const Secret& key, Crew* crew) {
  checked(key);
  std::vector<Digest32> blocks((plain.size + kFingerprintBlock - 1) / kFingerprintBlock);
  std::vector<uint8_t> common(blocks.size());
  const size_t runs = (plain.size + kDefaultChunk - 1) / kDefaultChunk;
  CrewFor chosen(crew, plain.size >= kWorthThreads);
  std::atomic<size_t> next{0};
  (*chosen).run([&](unsigned) {
    Fingerprinter with(key);
    RunBuffer buffer;
    for (size_t run; !(*chosen).stopped() && (run = next++) < runs;) {
      const uint64_t start = uint64_t{run} * kDefaultChunk;
      const auto bytes = buffer.take(std::min<uint64_t>(kDefaultChunk, plain.size - start));
      plain.read(start, bytes);
      for (size_t at = 0; at < bytes.size(); at += kFingerprintBlock) {
        const ByteView block = bytes.subspan(at, std::min(kFingerprintBlock, bytes.size() - at));
        blocks[(start + at) / kFingerprintBlock] = with.block(block);
        common[(start + at) / kFingerprintBlock] = repeats(block);
      }
    }
  });
  if ((*chosen).stopped()) check_interrupted();
  const Digest32 file = Fingerprinter(key).file(blocks);
  return {std::move(blocks), file, std::move(common)};
}

}  // namespace kesu
