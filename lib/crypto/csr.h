// Certification requests (PKCS #10, RFC 2986) for keys that live elsewhere.
#pragma once
#include "crypto/x509.h"

namespace kesu {

// Asks for a certificate for signing documents (keyUsage digitalSignature and contentCommitment, no CA, as
// extensionRequest of RFC 2985 §5.4.2). `sign` as for build_self_signed. DER; the same errors.
Bytes build_certificate_request(const SubjectName& subject, const PublicKey& key, const Signer& sign);
std::string certificate_request_pem(ByteView der);

}  // namespace kesu
