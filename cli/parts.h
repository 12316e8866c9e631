// What a command did not do of its work, part by part, as JSON and as lines.
#pragma once
#include <string>
#include <vector>

#include "app/sealing.h"

namespace kesu::cli {

Json parts_json(const std::vector<Skipped>& parts);
// The first 20, each behind `word`, and how many more there are.
std::string parts_text(const std::vector<Skipped>& parts, const std::string& word);

// One part that failed alone, where nothing was done, is the command's own error.
void fail_alone(const std::vector<Skipped>& failed, int64_t done);

}  // namespace kesu::cli
