// Commands of other files in the groups `kesu dataset` and `kesu policy`.
#pragma once
#include "../context.h"

namespace kesu::cli {

void setup_dataset_inspect(CLI::App& group, Context& context);
void setup_policy_evidence(CLI::App& group, Context& context);

}  // namespace kesu::cli
