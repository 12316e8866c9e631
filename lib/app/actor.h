// Which process acts, so that a later one can tell whether it still runs (docs/spec/events.md, `actor`).
#pragma once
#include <optional>

#include "base/json.h"

namespace kesu {

Json this_process();
bool is_this_process(const Json& actor);
// true: it has ended; false: it runs; nullopt: cannot be told from here (another host, another process
// namespace).
std::optional<bool> has_ended(const Json& actor);

}  // namespace kesu
