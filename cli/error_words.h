// An error as it is printed.
#pragma once
#include <string>

#include "base/error.h"

namespace kesu::cli {

std::string error_json(const Error& error);  // {"error":{…}}, canonical, without a line's end
std::string error_text(const Error& error);  // for people: lines

}  // namespace kesu::cli
