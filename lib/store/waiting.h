// Somebody is told when a vault is waited for because another process writes to it.
#pragma once
#include <functional>
#include <string>

namespace kesu {

// From here on `say` is called, from whatever thread, each time a wait for another process's write has taken
// a second and a half; with a text for a person, which names the process where the system does. Process-wide;
// an empty function ends it.
void say_of_waiting(std::function<void(const std::string&)> say);

}  // namespace kesu
