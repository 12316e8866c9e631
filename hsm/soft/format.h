// The bytes of a keystore file (docs/spec/soft-keystore.md): one header, then records, 512 bytes each. Pure.
#pragma once
#include <array>
#include <cstdint>
#include <optional>
#include <string>

#include "base/bytes.h"
#include "base/clock.h"
#include "base/error.h"
#include "base/ids.h"
#include "base/random.h"
#include "base/secret.h"
#include "crypto/aead.h"
#include "provider/provider.h"

namespace kesu::soft {

// A sector: the header and each record is one, so that a record is there whole or not at all.
constexpr size_t kBlock = 512;
using Block = std::span<const uint8_t, kBlock>;

struct Header {
  std::array<uint8_t, 16> id{};  // of the keystore, for ever
  uint64_t generation = 1;       // counts re-keyings, from 1
  uint64_t revision = 1;         // counts rewritings of the file, re-keyings among them, from 1
  uint32_t iterations = 0;
  std::array<uint8_t, 32> salt{};
  std::array<uint8_t, 12> nonce{};
  std::array<uint8_t, 48> wrapped{};  // container key ‖ tag

  // Throws Error container_damaged naming the field; bad_input is left to wrong callers. No secret is needed:
  // what it says is not yet authenticated.
  static Header parse(ByteView block, const std::string& path);
  Bytes bytes() const;  // kBlock
  Bytes aad() const;    // what the wrapped container key authenticates: everything before its nonce
};

// The 32 bytes that unwrap the container key.
Secret derive(const Secret& passphrase, const Header& header);
// Fresh nonce, and the container key under `kek`. Call it when every other field stands.
void wrap_container_key(Header& header, const Secret& kek, const Secret& container_key, Random& random);
// nullopt: the tag does not agree.
std::optional<Secret> unwrap_container_key(const Header& header, const Secret& kek);

enum class Kind : uint8_t { aes256 = 1, ed25519 = 2, p384 = 3 };
// What a record says besides its key.
struct Entry {
  Kind kind = Kind::aes256;
  KeyPurpose purpose = KeyPurpose::wrap;
  bool imported = false;
  Millis made = 0;
  std::string label;
  Bytes id;           // 20 bytes
  Bytes check_value;  // 3 bytes, AES only
  Bytes public_key;   // DER SubjectPublicKeyInfo, pairs only
  size_t secret_size() const { return kind == Kind::p384 ? 48 : 32; }
};

// Records of one file: the container key, and what binds each record to its file and place. One thread.
class Sealer {
 public:
  Sealer(const Header& header, const Secret& container_key);
  Bytes seal(uint64_t position, const Entry& entry, const Secret& key, Random& random);
  // Throws Error container_damaged naming the record, and the field where it authenticates.
  Entry open(uint64_t position, Block record, const std::string& path, Secret* key = nullptr);

 private:
  Bytes aad(uint64_t position) const;
  Aead aead_;
  Bytes bound_;
  Secret plain_;  // one record in clear, wiped after each use: guarded memory is dear to get
};

Error damaged(const std::string& path, const std::string& where, const std::string& why);

}  // namespace kesu::soft
