// How damage to a sealed object is told; for lib/seal itself.
#pragma once
#include <string_view>

#include "base/error.h"

namespace kesu {

// Error sealed_damaged: the message ends with `field` (docs/spec/sealed-object.md, "Fields in errors"), the
// cause names the byte in the file and the reason.
Error damaged(std::string_view field, uint64_t offset, std::string_view why);

}  // namespace kesu
