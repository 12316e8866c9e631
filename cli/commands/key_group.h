// Commands of the group `kesu key`, one file for each few of them.
#pragma once
#include "../context.h"

namespace kesu::cli {

void setup_key_list(CLI::App& group, Context& context);
void setup_key_states(CLI::App& group,
                      Context& context);  // activate, suspend, resume, deactivate, compromise
void setup_key_destroy(CLI::App& group, Context& context);

}  // namespace kesu::cli
