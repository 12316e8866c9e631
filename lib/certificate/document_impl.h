// certificate.json as it follows from a dossier: what the issuer writes and what the reader expects to find.
// For lib/certificate itself.
#pragma once
#include "certificate/conditions_impl.h"
#include "certificate/evidence_chain.h"

namespace kesu::dossier {

struct DocumentChoice {  // what does not follow from the bundle
  std::string id, program;
  Millis issued = 0;
};
Json make_document(const Dossier& d, const DocumentChoice& choice, const std::set<std::string>& conditions);

// The members of SP 800-88 Rev. 2 §4.6 that came with tables `claims` 3: added to a document, and taken out
// of one.
void add_record(const Dossier& d, Json& document);
void drop_record(Json& document);

// Members in which the two differ: "datasets[0].objects", …; at most `limit`.
std::vector<std::string> differences(const Json& is, const Json& should, size_t limit = 20);

std::vector<Limit> limits_of(const Dossier& d);  // of the table, and what others removed
std::vector<std::string> premises_of(const std::vector<std::pair<std::string, const ClaimRow*>>& rows);
bool test_grade(const Dossier& d);
// The evidence chain of this bundle: what every bundle uses, the signer's key, and each officer's signature.
std::vector<EvidenceLink> evidence_of(const Dossier& d);
// Makes `should` what a certificate issued with older tables says, or one judged by another policy, as far as
// `is` says that it is one: members that it did not have yet, versions, the policy's verdicts.
void allow_older(const Json& is, Json& should);

}  // namespace kesu::dossier
