// Commands of `kesu certificate` about the certificate that it signs under.
#pragma once
#include "../context.h"

namespace kesu::cli {

void setup_signer(CLI::App* group, Context& context);  // request, install

}  // namespace kesu::cli
