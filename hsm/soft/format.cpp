// Header and records of a keystore file.
#include "hsm/soft/format.h"

#include <algorithm>

#include "base/error.h"
#include "crypto/hash.h"
#include "crypto/pbkdf2.h"
#include "hsm/soft/uri.h"

namespace kesu::soft {

namespace {
constexpr std::string_view kMagic = "kesu-ks\n", kHeaderAad = "kesu-keystore-v1",
                           kRecordAad = "kesu-soft-record-v1";
constexpr uint16_t kVersion = 1;
constexpr size_t kAuthenticated = 88, kSummed = 148, kHeaderUsed = 180;
constexpr size_t kNonce = 12, kPlain = kBlock - kNonce - kAeadTag, kLabelRoom = 64, kSecretRoom = 64,
                 kSpkiRoom = 160;

bool all_zero(ByteView bytes) {
  return std::all_of(bytes.begin(), bytes.end(), [](uint8_t b) { return b == 0; });
}

template <size_t N>
void copy_into(std::array<uint8_t, N>& to, ByteView from) {
  std::copy_n(from.begin(), N, to.begin());
}

constexpr std::pair<uint8_t, KeyPurpose> kPurposes[] = {{1, KeyPurpose::wrap},
                                                        {2, KeyPurpose::control},
                                                        {3, KeyPurpose::sign_ledger},
                                                        {4, KeyPurpose::sign_certificate}};

struct Wiped {
  explicit Wiped(Secret& s) : secret(s) {}
  ~Wiped() { wipe(secret.reveal()); }
  Wiped(const Wiped&) = delete;
  Wiped& operator=(const Wiped&) = delete;
  Secret& secret;
};

Kind kind_for(KeyPurpose purpose) {
  return purpose == KeyPurpose::sign_ledger        ? Kind::ed25519
         : purpose == KeyPurpose::sign_certificate ? Kind::p384
                                                   : Kind::aes256;
}
}  // namespace

Error damaged(const std::string& path, const std::string& where, const std::string& why) {
  return Error(Code::container_damaged, "the keystore " + path + " is damaged: " + where)
      .tried("reading it")
      .cause(why)
      .next(
          "put back a backup of this very generation and revision if there is one; nothing was changed, and "
          "nothing "
          "is known about its keys from this");
}

Header Header::parse(ByteView block, const std::string& path) {
  if (block.size() < kMagic.size() || as_text(block.first(kMagic.size())) != kMagic)
    throw damaged(path, "magic", "it does not begin as a keystore does");
  if (block.size() < kBlock) throw damaged(path, "header", "it is shorter than a header");
  ByteReader in(block.first(kBlock));
  in.raw(kMagic.size());
  uint16_t version = in.u16(), reserved = in.u16();
  if (version != kVersion)
    throw damaged(path, "version", "it is " + std::to_string(version) + ", and this program knows 1");
  const Digest32 sum = sha256(block.first(kSummed));
  if (!std::ranges::equal(sum, block.subspan(kSummed, sum.size())))
    throw damaged(path, "header checksum", "the header is not as it was written");
  if (reserved != 0) throw damaged(path, "reserved bytes", "they are not zero");
  Header out;
  out.iterations = in.u32();
  copy_into(out.id, in.raw(16));
  out.generation = in.u64();
  out.revision = in.u64();
  copy_into(out.salt, in.raw(32));
  in.raw(8);  // zeros, room up to the nonce
  copy_into(out.nonce, in.raw(12));
  copy_into(out.wrapped, in.raw(48));
  if (out.iterations < kLeastIterations || out.iterations > kMostIterations)
    throw damaged(path, "iterations", std::to_string(out.iterations) + " is outside what is accepted");
  constexpr uint64_t kMost = uint64_t{1} << 53;
  if (out.generation == 0 || out.generation >= kMost) throw damaged(path, "generation", "out of range");
  if (out.revision < out.generation || out.revision >= kMost) throw damaged(path, "revision", "out of range");
  if (!all_zero(block.subspan(80, 8)) || !all_zero(block.subspan(kHeaderUsed, kBlock - kHeaderUsed)))
    throw damaged(path, "reserved bytes", "they are not zero");
  return out;
}

Bytes Header::aad() const {
  Bytes all = bytes();
  Bytes out = to_bytes(as_bytes(kHeaderAad));
  out.insert(out.end(), all.begin(), all.begin() + kAuthenticated);
  return out;
}

Bytes Header::bytes() const {
  ByteWriter out;
  out.raw(as_bytes(kMagic))
      .u16(kVersion)
      .u16(0)
      .u32(iterations)
      .raw(id)
      .u64(generation)
      .u64(revision)
      .raw(salt);
  out.zeros(kAuthenticated - out.size()).raw(nonce).raw(wrapped);
  const Digest32 sum = sha256(out.bytes());
  out.raw(sum).zeros(kBlock - kHeaderUsed);
  return std::move(out).bytes();
}

Secret derive(const Secret& passphrase, const Header& header) {
  return pbkdf2_sha512(passphrase, header.salt, header.iterations, 32);
}

void wrap_container_key(Header& header, const Secret& kek, const Secret& container_key, Random& random) {
  random.fill(header.nonce);
  Aead(AeadAlg::aes256_gcm, kek).seal(header.nonce, header.aad(), container_key.reveal(), header.wrapped);
}

std::optional<Secret> unwrap_container_key(const Header& header, const Secret& kek) {
  Secret out(32);
  if (!Aead(AeadAlg::aes256_gcm, kek).open(header.nonce, header.aad(), header.wrapped, out.reveal()))
    return std::nullopt;
  return out;
}

Sealer::Sealer(const Header& header, const Secret& container_key)
    : aead_(AeadAlg::aes256_gcm, container_key), plain_(kPlain) {
  ByteWriter out;
  out.raw(as_bytes(kRecordAad)).raw(header.id).u64(header.generation).u64(header.revision);
  bound_ = std::move(out).bytes();
}

Bytes Sealer::aad(uint64_t position) const {
  ByteWriter out;
  out.raw(bound_).u64(position);
  return std::move(out).bytes();
}

Bytes Sealer::seal(uint64_t position, const Entry& entry, const Secret& key, Random& random) {
  if (entry.label.size() > kLabelRoom || entry.id.size() != 20 || entry.public_key.size() > kSpkiRoom ||
      key.size() != entry.secret_size())
    throw Error(Code::bad_input, "a key that does not fit a keystore record");
  ByteWriter out;
  uint8_t purpose = 0;
  for (auto& [number, p] : kPurposes)
    if (p == entry.purpose) purpose = number;
  out.u8(static_cast<uint8_t>(entry.kind)).u8(purpose).u8(entry.imported ? 2 : 1);
  out.u8(static_cast<uint8_t>(entry.label.size())).raw(entry.id).u64(static_cast<uint64_t>(entry.made));
  out.raw(as_bytes(entry.label)).zeros(kLabelRoom - entry.label.size());
  Bytes check = entry.check_value;
  check.resize(3);
  out.raw(check).u8(static_cast<uint8_t>(entry.public_key.size()));
  const size_t at = out.size();
  out.zeros(kSecretRoom).raw(entry.public_key).zeros(kPlain - at - kSecretRoom - entry.public_key.size());
  // The key's bytes join the rest in guarded memory only.
  const Wiped after(plain_);
  std::ranges::copy(out.bytes(), plain_.reveal().begin());
  std::ranges::copy(key.reveal(), plain_.reveal().begin() + static_cast<std::ptrdiff_t>(at));
  Bytes record(kBlock);
  random.fill(std::span(record).first(kNonce));
  aead_.seal(std::span<const uint8_t, kNonce>(record.data(), kNonce), aad(position), plain_.reveal(),
             std::span(record).subspan(kNonce));
  return record;
}

Entry Sealer::open(uint64_t position, Block record, const std::string& path, Secret* key) {
  const std::string where = "record " + std::to_string(position);
  const Wiped after(plain_);
  if (!aead_.open(record.first<kNonce>(), aad(position), record.subspan(kNonce), plain_.reveal()))
    throw damaged(path, where, "it does not authenticate: altered, or moved from another place or file");
  auto bad = [&](const char* field) { return damaged(path, where + ", " + field, "it cannot be so"); };
  std::span<const uint8_t> bytes = plain_.reveal();
  Entry out;
  if (bytes[0] < 1 || bytes[0] > 3) throw bad("kind");
  out.kind = static_cast<Kind>(bytes[0]);
  auto purpose = std::ranges::find(kPurposes, bytes[1], [](const auto& row) { return row.first; });
  if (purpose == std::end(kPurposes)) throw bad("purpose");
  out.purpose = purpose->second;
  if (kind_for(out.purpose) != out.kind) throw bad("purpose");
  if (bytes[2] != 1 && bytes[2] != 2) throw bad("origin");
  out.imported = bytes[2] == 2;
  const size_t label = bytes[3], spki = bytes[99];
  if (label == 0 || label > kLabelRoom) throw bad("label");
  out.id = to_bytes(bytes.subspan(4, 20));
  ByteReader time(bytes.subspan(24, 8));
  const uint64_t made = time.u64();
  if (made >= uint64_t{1} << 53) throw bad("time");
  out.made = static_cast<Millis>(made);
  out.label = to_text(bytes.subspan(32, label));
  if (!is_utf8(out.label) || !all_zero(bytes.subspan(32 + label, kLabelRoom - label))) throw bad("label");
  const bool pair = out.kind != Kind::aes256;
  if (spki > kSpkiRoom || (spki > 0) != pair) throw bad("public key");
  if (!pair)
    out.check_value = to_bytes(bytes.subspan(96, 3));
  else if (!all_zero(bytes.subspan(96, 3)))
    throw bad("check value");
  out.public_key = to_bytes(bytes.subspan(164, spki));
  if (!all_zero(bytes.subspan(100 + out.secret_size(), kSecretRoom - out.secret_size())) ||
      !all_zero(bytes.subspan(164 + spki)))
    throw bad("reserved bytes");
  if (key) *key = Secret::from(bytes.subspan(100, out.secret_size()));
  return out;
}

}  // namespace kesu::soft
