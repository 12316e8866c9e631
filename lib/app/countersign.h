// Use cases: somebody who checked a bundle signs its certificate.json, with a time-stamp of his own; and his
// signature goes along when the bundle is written again (docs/spec/certificate.md, "Countersignatures").
#pragma once
#include <optional>
#include <string>

#include "app/vault.h"
#include "certificate/verify.h"

namespace kesu {

struct CountersignRequest {
  std::string bundle, out;
  std::string signature;  // file: CMS, DER or PEM
  std::string token;      // file: a TimeStampResp or its token, over the signature's value
  std::string tsa_url;    // or an authority that is asked for it,
  std::string tsa_ca;     // and the PEM file with whom its answer is checked
  std::string from;       // another bundle of the same certificate, whose countersignatures are taken along
};
struct Countersigned {
  std::string path;            // in the bundle; empty without a signature
  std::optional<int> carried;  // how many were taken along, where `from` was named
  VerifyReport report;         // of the new bundle, without anybody trusted
};
// The bundle with that signature as a file more, at `out`. Needs no vault; asks the network only for
// `tsa_url`. Errors: bundle_invalid, signature_bad (the signature or the token is not good), already_exists,
// bad_input (`from` is of another certificate), those of ask_authority; usage without a signature (next: what
// to type).
Countersigned countersign_bundle(Environment& env, const CountersignRequest& request);

// certificate.json and the countersignatures of the bundle there, each one that a reader takes; none where
// `path` is empty. A notice says where their numbers have a gap. Errors: bundle_invalid; bad_input where
// `document` (SHA-256, hex) is not its certificate.json; signature_bad.
BundleFiles read_countersigned(Environment& env, const std::string& path, const std::string& document);

// Error already_exists where something is at `path`; it says when that has countersignatures to take along.
void refuse_existing(const std::string& path);

}  // namespace kesu
