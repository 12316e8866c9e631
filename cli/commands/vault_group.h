// Commands of other files in the group `kesu vault`.
#pragma once
#include "../context.h"

namespace kesu::cli {

void setup_vault_contact(CLI::App& group, Context& context);

}  // namespace kesu::cli
