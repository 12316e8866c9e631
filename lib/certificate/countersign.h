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

}  // namespace kesu
