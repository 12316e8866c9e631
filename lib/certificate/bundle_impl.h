// What the two forms of a bundle on disk share: directory and zip. For lib/certificate itself.
#pragma once
#include <string>
#include <string_view>

#include "base/error.h"

namespace kesu::bundle_place {

// bad_input: "bundle: NAME WHY".
Error refused(const std::string& name, const std::string& why);
// For errors about names that nobody checked yet: printable ASCII, not long.
std::string shown(std::string_view name);
// Absolute, without a slash at the end. Throws already_exists when something is there.
std::string new_target(const std::string& path);
// The name under which `target` is made, beside it. What processes that were killed, and this one, left there
// is removed.
std::string part_of(const std::string& target);
// Gives the part its name, unless something is there by now (already_exists), and makes that durable.
void settle(const std::string& part, const std::string& target);
void remove_quietly(const std::string& path);
// Whether MANIFEST lists a file of that path.
bool in_manifest(std::string_view path);

}  // namespace kesu::bundle_place
