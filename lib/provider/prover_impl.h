// What goes over the socket between a process and the one that proves its wraps. Both are this build of kesu
// on this machine: numbers in its byte order.
#pragma once
#include <cstring>
#include <span>
#include <stdexcept>

#include "provider/wrap_checked.h"

namespace kesu::proof_wire {

constexpr uint8_t kProven = 'y', kNotSaid = 'n';
constexpr size_t kTagKey = 32;
constexpr size_t kFixed = 14 + 32;  // of a claim: size, key, algorithm, three lengths, tag

inline void put16(Bytes& out, size_t n) {
  out.push_back(static_cast<uint8_t>(n));
  out.push_back(static_cast<uint8_t>(n >> 8));
}
inline void put32(Bytes& out, uint32_t n) {
  put16(out, n & 0xffff);
  put16(out, n >> 16);
}
inline size_t get16(const uint8_t* at) { return static_cast<size_t>(at[0] | at[1] << 8); }
inline uint32_t get32(const uint8_t* at) { return static_cast<uint32_t>(get16(at) | get16(at + 2) << 16); }

inline void put_claim(Bytes& out, uint16_t key, const WrapClaim& claim) {
  const WrappedKey& w = claim.wrapped;
  put32(out, static_cast<uint32_t>(kFixed + w.nonce.size() + claim.aad.size() + w.blob.size()));
  put16(out, key);
  put16(out, static_cast<size_t>(w.algorithm));
  put16(out, w.nonce.size());
  put16(out, claim.aad.size());
  put16(out, w.blob.size());
  for (ByteView part : {ByteView(claim.tag), ByteView(w.nonce), ByteView(claim.aad), ByteView(w.blob)})
    out.insert(out.end(), part.begin(), part.end());
}

struct Claim {
  size_t key = 0;
  WrapClaim wrap;
};
// The claim at the begin of `bytes`, of `size` bytes as its first four say; false where it is none.
inline bool get_claim(std::span<const uint8_t> bytes, Claim& out) {
  if (bytes.size() < kFixed) return false;
  const uint8_t* at = bytes.data();
  const size_t nonce = get16(at + 8), aad = get16(at + 10), blob = get16(at + 12);
  if (bytes.size() != kFixed + nonce + aad + blob) return false;
  out.key = get16(at + 4);
  out.wrap.wrapped.algorithm = static_cast<WrapAlg>(get16(at + 6));
  std::memcpy(out.wrap.tag.data(), at + 14, 32);
  at += kFixed;
  out.wrap.wrapped.nonce.assign(at, at + nonce);
  out.wrap.aad.assign(at + nonce, at + nonce + aad);
  out.wrap.wrapped.blob.assign(at + nonce + aad, at + nonce + aad + blob);
  return true;
}

}  // namespace kesu::proof_wire
