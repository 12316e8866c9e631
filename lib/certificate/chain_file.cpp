// Files of certificates.
#include "certificate/chain_file.h"

#include "base/error.h"
#include "crypto/x509.h"

namespace kesu {

namespace {
constexpr size_t kMost = 64, kMostBytes = size_t{1} << 20;
}  // namespace

std::vector<Bytes> certificates_in(ByteView pem) {
  std::vector<Bytes> out;
  if (pem.size() > kMostBytes) throw Error(Code::bad_input, "is longer than 1 MiB");
  for (Certificate& c : Certificate::parse_pem(as_text(pem))) out.push_back(std::move(c.der));
  if (out.size() > kMost) throw Error(Code::bad_input, "holds more than 64 certificates");
  return out;
}

}  // namespace kesu
