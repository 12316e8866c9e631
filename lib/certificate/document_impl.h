// certificate.json as it follows from a dossier: what the issuer writes and what the reader expects to find.
// For lib/certificate itself.
#pragma once
#include "certificate/conditions_impl.h"

namespace kesu::dossier {

struct DocumentChoice {  // what does not follow from the bundle
  std::string id, program;
  Millis issued = 0;
};
Json make_document(const Dossier& d, const DocumentChoice& choice, const std::set<std::string>& conditions);

// Members in which the two differ: "datasets[0].objects", …; at most `limit`.
std::vector<std::string> differences(const Json& is, const Json& should, size_t limit = 20);

std::vector<Limit> limits_of(const Dossier& d);  // of the table, and what others removed
std::vector<std::string> premises_of(const std::vector<std::pair<std::string, const ClaimRow*>>& rows);
bool test_grade(const Dossier& d);

}  // namespace kesu::dossier
