// The issuer's steps without its own reader's refusal, so that tests can make what an unfaithful issuer
// would. For lib/certificate itself.
#pragma once
#include "certificate/dossier_impl.h"
#include "certificate/issue.h"

namespace kesu {

// All files but certificate.json, signature and MANIFEST.
BundleFiles collect_draft(LedgerSource& source, const IssueRequest& request);
void write_document(BundleFiles& files, const dossier::Dossier& d, const IssueRequest& request);
void put_final_ledger(BundleFiles& files, LedgerSource& source, const std::string& checkpoint);

}  // namespace kesu
