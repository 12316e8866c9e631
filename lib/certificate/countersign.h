// Countersignatures: others who checked a bundle sign certificate.json, each in a file of its own
// (docs/spec/certificate.md, "Countersignatures"). Pure.
#pragma once
#include <optional>
#include <string>

#include "certificate/bundle.h"
#include "crypto/x509.h"

namespace kesu {

// "certificate.json.<n>.p7s" for n from 2 to 33 → n.
std::optional<int> countersignature_number(std::string_view path);

// Adds the signature (DER) as the bundle's next countersignature and returns its path. Errors: signature_bad,
// already_exists (that certificate has signed already, or 32 have).
std::string add_countersignature(BundleFiles& files, ByteView cms);

// The same signature (DER) over `certificate` with `token`, an RFC 3161 TimeStampResp or the token alone, as
// its signature-time-stamp. Errors: signature_bad where one of the two is not good, or the token is not over
// this signature; already_exists where there is a time-stamp.
Bytes stamp_countersignature(ByteView certificate, ByteView cms, ByteView token);
// What that token has to be over. Errors: as above.
Bytes countersignature_value(ByteView certificate, ByteView cms);

// Whether a reader takes each countersignature there, with its time-stamp. Errors: signature_bad, which names
// the file.
void check_countersignatures(const BundleFiles& files);
// The first number that is missing below those that are there, as a path; empty: there is no gap.
std::string missing_countersignature(const BundleFiles& files);

// How many countersignatures a bundle has; those of `from` into `to`, but the ones of somebody whose is
// there, and how many that were. Errors: bad_input where certificate.json is not the same; as
// add_countersignature and check_countersignatures, and then nothing was taken.
int countersignatures_of(const BundleFiles& files);
int carry_countersignatures(BundleFiles& to, const BundleFiles& from);

}  // namespace kesu
