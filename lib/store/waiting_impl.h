// Saying that a database is waited for.
#pragma once
#include <string>

#include "base/clock.h"

namespace kesu {

// Waited for longer than a person would without being told: says so where somebody listens.
void said_waiting(const std::string& path, Millis at_most) noexcept;

}  // namespace kesu
