// What the seal tests share: software wrap keys, a fixed generator, objects in memory, directories that go
// away.
#pragma once
#include <gtest/gtest.h>
#include <stdlib.h>

#include <filesystem>
#include <map>
#include <set>

#include "base/error.h"
#include "base/files.h"
#include "crypto/hash.h"
#include "crypto/random.h"
#include "seal/object.h"

namespace kesu::test {

// SHA-256 of seed and counter, block after block: the same bytes in every run.
class FixedRandom final : public Random {
 public:
  explicit FixedRandom(std::string seed) : seed_(std::move(seed)) {}
  void fill(std::span<uint8_t> out) override {
    for (size_t i = 0; i < out.size(); i += 32) {
      ByteWriter w;
      w.raw(as_bytes(seed_)).u64(counter_++);
      const Digest32 block = sha256(w.bytes());
      std::copy_n(block.begin(), std::min<size_t>(32, out.size() - i), out.begin() + i);
    }
  }

 private:
  std::string seed_;
  uint64_t counter_ = 0;
};

// Wrap keys in memory, AES-256-GCM with the AAD as the format has it. Keeps digests of the data keys that it
// saw.
class Keys {
 public:
  explicit Keys(Random& random = system_random()) : random_(random) {}

  VersionRef make(VersionRef version) {
    keys_.emplace(version, random_.secret(32));
    return version;
  }
  void drop(const VersionRef& version) { keys_.erase(version); }
  const Secret& key(const VersionRef& version) const { return keys_.at(version); }
  void set(const VersionRef& version, ByteView key) { keys_.insert_or_assign(version, Secret::from(key)); }

  WrapKey wrap(const VersionRef& version) {
    return [this, version](const Secret& data_key, ByteView aad) {
      seen.push_back(sha256(data_key.reveal()));
      WrappedKey w;
      w.nonce = random_.bytes(12);
      w.blob = Aead(AeadAlg::aes256_gcm, keys_.at(version))
                   .seal(AeadNonce(w.nonce.data(), 12), aad, data_key.reveal());
      return w;
    };
  }
  UnwrapKey unwrap() {
    return [this](const Slot& slot, ByteView aad) {
      ++unwraps;
      const auto it = keys_.find(slot.version);
      if (it == keys_.end()) throw Error(Code::object_absent, slot.version.str() + " is not here");
      if (slot.wrapped.nonce.size() != 12)
        throw Error(Code::sealed_damaged, "the wrap does not authenticate");
      auto key = Aead(AeadAlg::aes256_gcm, it->second)
                     .open(AeadNonce(slot.wrapped.nonce.data(), 12), aad, slot.wrapped.blob);
      if (!key) throw Error(Code::sealed_damaged, "the wrap does not authenticate");
      Secret out = Secret::from(*key);
      wipe(*key);
      return out;
    };
  }

  std::vector<Digest32> seen;
  int unwraps = 0;

 private:
  Random& random_;
  std::map<VersionRef, Secret> keys_;
};

inline Source memory_source(ByteView data, size_t step = SIZE_MAX) {
  return [data, step, at = size_t{0}](std::span<uint8_t> out) mutable {
    const size_t n = std::min({out.size(), step, data.size() - at});
    std::copy_n(data.begin() + at, n, out.begin());
    at += n;
    return n;
  };
}

// Demands what a Sink is promised: ascending without gaps from 4,096, the header region last and once.
struct MemorySink {
  Bytes data = Bytes(kRegionBytes);
  bool finished = false;
  Sink sink() {
    return [this](uint64_t offset, ByteView bytes) {
      ASSERT_FALSE(finished);
      if (offset == 0) {
        ASSERT_EQ(bytes.size(), kRegionBytes);
        std::ranges::copy(bytes, data.begin());
        finished = true;
        return;
      }
      ASSERT_EQ(offset, data.size());
      data.insert(data.end(), bytes.begin(), bytes.end());
    };
  }
};

inline SealedInput memory_input(ByteView data) {
  SealedInput in;
  in.size = data.size();
  in.read = [data](uint64_t offset, std::span<uint8_t> out) {
    if (offset + out.size() > data.size()) throw Error(Code::failed, "read past the end");
    std::copy_n(data.begin() + offset, out.size(), out.begin());
  };
  return in;
}

struct Opened {
  OpenedObject object;
  Bytes plain;
  int begins = 0;
};
// `partial`, when given, keeps what came out before an error.
inline Opened open_bytes(ByteView sealed, const UnwrapKey& unwrap, Bytes* partial = nullptr) {
  Opened out;
  out.object = open_object(
      memory_input(sealed), unwrap, [&](const Metadata&) { ++out.begins; },
      [&](ByteView plain) {
        out.plain.insert(out.plain.end(), plain.begin(), plain.end());
        if (partial) *partial = out.plain;
      });
  return out;
}

// "sealed-damaged: chunk 0", "object-absent", "opened".
inline std::string outcome(ByteView sealed, const UnwrapKey& unwrap) {
  static constexpr std::string_view kPrefix = "sealed object is damaged: ";
  try {
    open_bytes(sealed, unwrap);
    return "opened";
  } catch (const Error& e) {
    std::string text(code_text(e.code()));
    if (e.message().starts_with(kPrefix)) text += ": " + e.message().substr(kPrefix.size());
    return text;
  }
}

inline Bytes pattern(size_t size, uint8_t seed = 1) {
  Bytes out(size);
  uint32_t x = 0x9e3779b9u * seed;
  for (uint8_t& b : out) {
    x = x * 1664525u + 1013904223u;
    b = static_cast<uint8_t>(x >> 24);
  }
  return out;
}

inline SealRequest request_for(Random& random, const VersionRef& version) {
  SealRequest r;
  r.vault = random.id<VaultId>();
  r.dataset = random.id<DatasetId>();
  r.object = random.id<ObjectId>();
  r.version = version;
  r.chunk = kMinChunk;
  r.metadata.name = "loans/2019/0001.csv";
  r.metadata.mtime = {1795252320, 123456789};
  return r;
}

inline Bytes seal_bytes(const SealRequest& request, ByteView plain, Keys& keys,
                        Random& random = system_random()) {
  MemorySink sink;
  seal_object(request, memory_source(plain), sink.sink(), keys.wrap(request.version), random);
  EXPECT_TRUE(sink.finished);
  return std::move(sink.data);
}

// Runs `act` and gives the code of the Error that it throws; nullopt when it throws none.
template <class F>
std::optional<Code> code_of(F&& act) {
  try {
    act();
  } catch (const Error& e) {
    return e.code();
  }
  return std::nullopt;
}

class TempDir {
 public:
  TempDir() {
    std::string name = (std::filesystem::temp_directory_path() / "kesu-seal-XXXXXX").string();
    if (!::mkdtemp(name.data())) throw Error(Code::io_failed, "no temporary directory");
    path_ = name;
  }
  TempDir(const TempDir&) = delete;
  ~TempDir() { std::filesystem::remove_all(path_); }
  const std::string& path() const { return path_; }
  std::string operator/(std::string_view name) const { return path_join(path_, name); }

 private:
  std::string path_;
};

// The steps of re-wrapping, one after the other, as app/rewrap_files takes them for many objects.
inline NextSlot rewrap_object(const SealedInput& in, const UnwrapKey& unwrap, const VersionRef& version,
                              const WrapKey& wrap) {
  const Region region = inspect_object(in).region;
  const OpenedKey opened = open_key(region, unwrap);
  check_key(region, opened);
  const ObjectHeader& h = region.header;
  return next_slot(region, opened, version,
                   wrap(opened.data_key, wrap_aad(h.vault, h.dataset, h.object, version)));
}

}  // namespace kesu::test
