// What this program is made of: for people who report a fault, and for auditors.
#pragma once
#include "base/json.h"

namespace kesu {

// {"program","version","formats":{NAME: n},"policy_edition","libraries":{NAME: version},"compiler"}
Json program_facts();

}  // namespace kesu
