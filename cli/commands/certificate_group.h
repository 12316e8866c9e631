// Commands of other files in the group `kesu certificate`.
#pragma once
#include "../context.h"

namespace kesu::cli {

void setup_certificate_stages(CLI::App& group, Context& context);

}  // namespace kesu::cli
