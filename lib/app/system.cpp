#include "app/system.h"

#include "crypto/random.h"

namespace kesu {

Environment system_environment(ProviderFactory& providers, std::string probe_program) {
  static SystemClock clock;
  return {clock, system_random(), providers, std::move(probe_program)};
}

}  // namespace kesu
