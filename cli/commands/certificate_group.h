// Commands of other files in the group `kesu certificate`.
#pragma once
#include <optional>

#include "../context.h"

namespace kesu::cli {

// Behind a bundle that was written: how many countersignatures were taken along, where that was asked for.
std::string carried_text(std::optional<int> carried);

void setup_certificate_stages(CLI::App& group, Context& context);

}  // namespace kesu::cli
