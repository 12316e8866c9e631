// The reader of canonical text, for json.cpp. Not installed.
#pragma once
#include "base/json.h"

namespace kesu {

// Whether `text` is within `limits` and in canonical form; its value into `out`, where that is not null.
// After false `out` holds anything.
bool read_canonical(std::string_view text, const JsonLimits& limits, Json* out);

}  // namespace kesu
