// Which libraries this layer works with.
#pragma once
#include <string>

namespace kesu {

std::string sodium_library();  // the version of the libsodium in use, "1.0.18"

}  // namespace kesu
