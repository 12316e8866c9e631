// Which libraries this layer works with: the versions in use, not those it was built against.
#pragma once
#include <string>

namespace kesu {

std::string openssl_library();  // "3.0.17"
std::string gcrypt_library();   // "1.10.1"
std::string wide_library();     // of libipsec-mb, "1.3.0"; empty where much AES-GCM runs on OpenSSL, too

}  // namespace kesu
