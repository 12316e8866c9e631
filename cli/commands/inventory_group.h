// Commands of `kesu inventory` that stand in files of their own.
#pragma once
#include "../context.h"

namespace kesu::cli {

void setup_scan(CLI::App& group, Context& context);

}  // namespace kesu::cli
