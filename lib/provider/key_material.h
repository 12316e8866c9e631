// The bytes of a key that was made elsewhere (kesu key import). Never the command line.
#pragma once
#include <string>

#include "base/secret.h"

namespace kesu {

// Reads an AES-256 key: 32 raw bytes or 64 hex digits from "file:/path" (regular, of the user or root, closed
// to group and others) or "fd:N"; 64 hex digits from "env:NAME" or "prompt". White space behind the digits is
// dropped. Errors: as read_login_secret; bad_input when it is neither, or raw bytes that are plain text.
Secret read_key_material(const std::string& source);

}  // namespace kesu
