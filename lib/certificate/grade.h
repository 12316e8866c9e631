// Which providers are TEST GRADE, and what can never be known of one (docs/spec/providers.json). Pure.
#pragma once
#include <string>
#include <string_view>
#include <vector>

#include "certificate/claims.h"
#include "provider/provider.h"

namespace kesu {

struct ProviderGrade {
  bool test = true;    // TEST GRADE
  std::string row;     // the validation certificate that the matching row cites; empty for TEST GRADE
  std::string reason;  // one sentence
};
// TEST GRADE unless manufacturer, model and firmware are those of a row that cites a validation certificate.
ProviderGrade grade_provider(const ProviderIdentity& identity);

struct Limit {
  std::string id;
  BilingualText text;
};
// Printed in every certificate, then those of each kind of provider in use; the order is the table's.
std::vector<Limit> limits_for(const std::set<std::string>& kinds);

}  // namespace kesu
