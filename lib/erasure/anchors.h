// Trust anchors that rules may bind (docs/spec/erasure.md, "Anchors"): under which certificates time-stamps
// count, and whose cosignatures. Pure: values, their JSON, and what a person reads of them.
#pragma once
#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "base/bytes.h"
#include "base/json.h"

namespace kesu {

constexpr size_t kMaxAnchors = 16;  // of each kind, as many as kesu.toml takes

struct TimeAnchor {
  std::string name;    // for people; what binds is the digest
  std::string sha256;  // hex, of the certificate's DER
  bool operator==(const TimeAnchor&) const = default;
};

struct Anchors {
  std::vector<TimeAnchor> time_authorities;  // ascending by digest; empty: time-stamps are not bound
  std::vector<std::string> witnesses;        // vkeys (type 04), ascending; empty: cosignatures are not bound
  int64_t witness_quorum = 0;                // how many of them have to sign; 0 where there are none

  bool operator==(const Anchors&) const = default;
  bool empty() const { return time_authorities.empty() && witnesses.empty(); }
  // Of `certificates` (DER) those under which the rules let time-stamps count; all where they bind none.
  std::vector<Bytes> allowed(const std::vector<Bytes>& certificates) const;
  // The keys (SubjectPublicKeyInfo) of the witnesses.
  std::vector<Bytes> witness_keys() const;

  Json to_json() const;
  // Strict: no other members, at least one kind, in order, nothing twice. Throws bad_input; `what` is whose
  // they are, for the error.
  static Anchors from_json(const Json& doc, const std::string& what);
};

// The lines of a statement's summary for `to` in place of `from`; none where neither binds anything.
std::vector<std::string> anchor_lines(const Anchors& to, const Anchors& from);

}  // namespace kesu
