// What the parts of State's fold share: reading an entry's header and body.
#pragma once
#include <string>
#include <vector>

#include "app/state.h"

namespace kesu::fold {

// An array of texts.
std::vector<std::string> strings(const Json& array);
// The first node of a kind that the header names; nullptr: none. need() throws Error ledger_damaged then.
const NodeMention* mention(const Header& h, std::string_view kind);
const NodeMention& need(const Header& h, std::string_view kind);

}  // namespace kesu::fold
