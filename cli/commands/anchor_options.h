// Options that name trust anchors: of kesu vault rules and kesu init --draft.
#pragma once
#include <memory>

#include "../context.h"
#include "app/rules_change.h"

namespace kesu::cli {

void anchor_options(CLI::App* cmd, const std::shared_ptr<AnchorOrder>& order);

}  // namespace kesu::cli
