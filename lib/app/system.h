// The environment that programs run in: the system's clock and generator.
#pragma once
#include <string>

#include "app/vault.h"

namespace kesu {

Environment system_environment(ProviderFactory& providers, std::string probe_program);

}  // namespace kesu
