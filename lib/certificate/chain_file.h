// Files of certificates that readers take: chains beside time-stamps, and anchors of a trust file.
#pragma once
#include <vector>

#include "base/bytes.h"

namespace kesu {

// The certificates (DER) of a PEM file of at most 1 MiB, 1 to 64; what stands between them is passed over
// (docs/spec/certificate.md, "Time-stamps"). Throws Error bad_input where it is no such file.
std::vector<Bytes> certificates_in(ByteView pem);

}  // namespace kesu
