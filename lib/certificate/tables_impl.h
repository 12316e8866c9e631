// The built-in tables' bytes; for lib/certificate itself.
#pragma once
#include <string_view>

#include "base/json.h"
#include "certificate/claims.h"

namespace kesu {

extern const std::string_view embedded_claims;
extern const std::string_view embedded_profiles;
extern const std::string_view embedded_providers;

BilingualText bilingual(const Json& value);  // {"en":…,"ja":…}

}  // namespace kesu
