// The algorithms that the evidence itself rests on, each judged by the policy: signatures and digests of the
// ledger, the certificate and the officers (docs/spec/certificate.md, "Evidence chain"). Pure.
#pragma once
#include <string>
#include <vector>

#include "base/json.h"
#include "crypto/hash.h"
#include "crypto/person_key.h"
#include "policy/policy.h"

namespace kesu {

struct EvidencePart {
  std::string part;       // "checkpoint signatures", "approve, Hanako Sato", …
  std::string algorithm;  // as the policy is asked for it
  policy::Purpose purpose = policy::Purpose::hash;
};
struct EvidenceLink {
  EvidencePart part;
  policy::Verdict verdict;  // for new signatures and digests, without an end year: bits and horizons
};

// Weakest first; of equal strength, what lasts shorter first, else in the order given.
std::vector<EvidenceLink> judge_evidence(const std::vector<EvidencePart>& parts);
// [{"part","algorithm","purpose","category","strength_bits","horizon_year_new"?,"horizon_year_process"?}];
// null: no limit known.
Json evidence_json(const std::vector<EvidenceLink>& links);
// One line for each algorithm, for a terminal: what it serves, its bits, until when it may be verified.
std::string evidence_text(const std::vector<EvidenceLink>& links, const std::string& indent);

// Names that the policy knows. Of an RSA key its real size, whatever it is.
std::string certificate_algorithm(const PublicKey& key);
HashAlg certificate_digest(const PublicKey& key);  // what is signed with it here
std::string ssh_algorithm(const SshPublicKey& key, HashAlg rsa_hash = HashAlg::sha512);
// Of a signature that this person made, be it SSHSIG or CMS.
std::string person_algorithm(const PersonKey& key, const SignedWith& with);
std::string hash_algorithm(HashAlg alg);

// What every vault and bundle uses: tree, checkpoints, digests; then the certificate's key, where there is
// one.
std::vector<EvidencePart> evidence_parts(const PublicKey* certificate_key);

}  // namespace kesu
