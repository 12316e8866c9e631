// README.txt of a bundle. For lib/certificate itself.
#pragma once
#include <string>

namespace kesu {

std::string readme_text(const std::string& certificate, const std::string& organisation, bool more_acts,
                        bool under_authority, bool certificates);
// What is added where there are time-stamps.
std::string readme_stamps();
// What to add where the bundle has signed commands.
std::string readme_commands();

}  // namespace kesu
