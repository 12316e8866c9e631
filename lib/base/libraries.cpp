// The version of libsodium.
#include "base/libraries.h"

#include <sodium.h>

namespace kesu {

std::string sodium_library() { return sodium_version_string(); }

}  // namespace kesu
