// Use cases: issue the certificate of an erasure, write its bundle, verify a bundle.
#pragma once
#include <optional>
#include <string>
#include <vector>

#include "app/vault.h"
#include "certificate/verify.h"

namespace kesu {

// Issues the certificate when the erasure has none yet, then writes its bundle to `path`: a directory, or one
// zip file where it ends in ".zip". Interrupted, the same command goes on: what was signed is kept and never
// signed twice. One that was withdrawn is written only where `withdrawn` says so, and verifies as such. The
// countersignatures of the bundle `countersigned` of the same certificate are taken along: the vault has
// none. Errors: state_refused (not destroyed yet; withdrawn), already_exists (something is at `path`),
// bad_input
// (`countersigned` is of another certificate), provider errors.
struct BundleWish {
  bool withdrawn = false;
  std::string countersigned;
};
struct WrittenBundle {
  std::string certificate;     // identifier
  std::optional<int> carried;  // how many were taken along, where that was asked for
};
WrittenBundle write_certificate_bundle(Vault& vault, ErasureRecord& erasure, const std::string& path,
                                       const BundleWish& wish = {});

// Before anything is destroyed, at `head`: would the ledger's reader count the request and the approvals, and
// is every file there that the bundle will carry? Errors: approvals_missing; ledger_damaged, not_found naming
// the part.
void rehearse_certificate(Vault& vault, const std::string& erasure, const SavedCheckpoint& head);

// Checkpoint B with its stamp, the signer's lists, the final ledger files, what others signed in
// `countersigned` (read_countersigned); then the bundle at `path`, durable. How many were taken along;
// nothing where `countersigned` is empty. Errors: conflict, already_exists, and what files throw.
std::optional<int> finish_and_write(Vault& vault, const CertificateRecord& certificate, BundleFiles& files,
                                    const std::string& path, const BundleFiles& countersigned = {});

// Its bundle's files as they were when it was issued, and its renewals, without the final ledger files.
// Errors: ledger_damaged.
BundleFiles issued_files(Vault& vault, const CertificateRecord& certificate);
// The files of a bundle, directory or zip file. What cannot be a bundle at all is bundle_invalid.
BundleFiles open_bundle(const std::string& path);

// Who signs what this vault issues: its certificate key (`key-….n`), the certificate that names its public
// half (DER), its issuers', and a signature with it. The vault outlives it. Errors: state_refused, provider
// errors.
struct DocumentSigner {
  std::string version;
  Bytes certificate;
  std::vector<Bytes> issuers;
  Signer sign;
};
DocumentSigner document_signer(Vault& vault);

// certificate.json of an issued certificate.
Json certificate_document(Vault& vault, const CertificateRecord& certificate);

struct VerifyRequest {
  std::string bundle, trust_file, required_profile = "high";
  bool allow_test_grade = false;
  std::vector<std::string> objects;
  std::string ledger;  // a newer ledger extract, or a later bundle of the same vault; empty: none
};
// Needs no vault. Without `trust_file`: $XDG_CONFIG_HOME/kesu/trust or ~/.config/kesu/trust, if there.
VerifyReport verify_bundle_at(const VerifyRequest& request, Millis now);
// Lines for a trust file, from what a bundle offers: to be compared with what is known from elsewhere.
std::string trust_proposal(const std::string& bundle);
// `named`, or the default one where that is empty; nobody is trusted where there is none.
// The ledger's files of an extract, or of a later bundle (directory or zip file); what is not there is said
// by who reads it.
BundleFiles read_extract_files(const std::string& path);
TrustAnchors read_trust_file(const std::string& named);
// The trust file that verify would use by default; empty when there is none. And its text.
std::string default_trust_file();

}  // namespace kesu
