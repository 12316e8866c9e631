// Making a bundle (docs/spec/certificate.md). Order, without circles: draft → sign certificate.json →
// time-stamp the signature inside, then its file → MANIFEST → append certificate-issued → checkpoint B →
// time-stamp that → finish. Pure but for what the source reads.
#pragma once
#include <map>
#include <string>
#include <utility>
#include <vector>

#include "base/clock.h"
#include "certificate/bundle.h"
#include "certificate/source.h"
#include "ledger/entry.h"

namespace kesu {

struct IssueRequest {
  std::string erasure;      // `era-…`
  std::string certificate;  // `cer-…`, new
  std::string program;      // name and version
  Millis issued = 0;
  Bytes signer_certificate;              // DER, for a certificate key of this vault
  std::string vkey;                      // of the ledger key
  std::string checkpoint;                // A: the signed note for source.size()
  std::vector<Bytes> signer_chain = {};  // DER, its issuers in order; none: self-signed
};

// Before anything is destroyed: the files that a bundle about `erasure` will carry, as far as there are any
// yet, read as a stranger would. Errors: not_found (evidence missing), ledger_damaged (something contradicts,
// naming the part), approvals_missing (request or approvals would not count, saying why), held (a hold on
// what is in scope would count as in force between request and destruction, naming it and why).
void rehearse_bundle(LedgerSource& source, const std::string& erasure, const std::string& vkey,
                     const std::string& checkpoint);

// Everything but signature, MANIFEST and the final ledger files; certificate.json is what is to be signed.
// Levels are those that the verifier computes from this very draft. Errors: not_found (no such erasure,
// evidence missing), state_refused (the erasure has destroyed nothing yet), ledger_damaged (the vault
// contradicts itself, naming the part).
BundleFiles draft_bundle(LedgerSource& source, const IssueRequest& request);

// The inventories may be far larger than all else: they can be put away while nothing reads them, and come
// back as they were. Which batches each lists, in order, and how many leaves they have.
using InventoryOrder = std::map<std::string, std::vector<std::pair<std::string, size_t>>>;  // by dataset
InventoryOrder put_away_inventory(BundleFiles& draft);
void bring_inventory(BundleFiles& draft, LedgerSource& source, const InventoryOrder& order);

// The detached CMS over certificate.json (crypto/cms.h). Throws signature_bad when it does not verify.
void add_signature(BundleFiles& files, ByteView cms);
// Before MANIFEST: the authority's answer (TimeStampResp) over certificate.json.p7s, which has a time-stamp
// inside already, and the chains of both authorities as PEM. Throws bad_input where it is not good or no
// token is inside.
void add_stamp(BundleFiles& files, ByteView answer, std::string_view chain);
// After it, with checkpoint B in its place by finish_bundle: the answer over B, and its authority's chain.
void add_checkpoint_stamp(BundleFiles& files, ByteView answer, std::string_view chain);
// In a bundle that is made again: README.txt as the program of its time wrote it, the one that its MANIFEST
// names; as of now where it names another.
void restore_readme(BundleFiles& files, ByteView manifest);
// Writes MANIFEST and gives the entry to append: certificate-issued with its SHA-512.
Event seal_manifest(BundleFiles& files);
// Replaces the draft's ledger files by those of the ledger with that entry; `checkpoint` is B. What a reader
// would refuse is refused here: Error conflict when the ledger moved meanwhile in a way that matters, naming
// it.
void finish_bundle(BundleFiles& files, LedgerSource& source, const std::string& checkpoint);

}  // namespace kesu
