// Whom the reader trusts (docs/spec/certificate.md, "Verification"). The files that a trust file names are
// read by the caller's function, so that nothing here touches a disk.
#pragma once
#include <functional>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "base/clock.h"
#include "certificate/bundle.h"
#include "crypto/crl.h"
#include "crypto/note.h"
#include "crypto/sshsig.h"

namespace kesu {

// An officer's key and what it is trusted for: all, or what an allowed_signers line's options leave.
struct TrustedOfficer {
  SshPublicKey key;
  std::string namespaces;                           // OpenSSH's pattern list ("kesu-*", "!x"); empty: all
  std::optional<Millis> valid_after, valid_before;  // both included, to the second

  // Whether a signature in `signature_namespace` that the ledger carries at `time` is one of this line.
  bool serves(std::string_view signature_namespace, Millis time) const;
};

struct TrustAnchors {
  std::vector<Digest32> signers;  // SHA-256 of certificates
  std::vector<Bytes> signer_cas;  // DER
  std::vector<Crl> signer_crls;   // the reader's own, beside those of the bundle
  std::vector<NoteKey> logs;
  std::vector<NoteKey> witnesses;
  int64_t witness_quorum = 1;
  std::vector<TrustedOfficer> officers;
  std::vector<Bytes> officers_cas;       // DER: to one of them every officer's certificate has to lead
  std::vector<Digest32> countersigners;  // SHA-256 of certificates
  std::vector<Bytes> tsa_cas;            // DER: of time-stamp authorities
  // A time-stamp counts only while it stands at the reader's own time, or a chain of renewals covers it.
  bool renewal_required = false;

  bool empty() const {
    return signers.empty() && signer_cas.empty() && logs.empty() && officers.empty() && witnesses.empty();
  }
};

// Throws Error bad_input naming the line. Of an `officers` file the options namespaces, valid-after and
// valid-before (in UTC: with Z) count; cert-authority and any other option are refused by name, principals
// are not looked at: the statements name their signers. `read_file` gets the path as written (relative to the
// trust file: the caller's to resolve).
TrustAnchors parse_trust(std::string_view text,
                         const std::function<Bytes(const std::string& path)>& read_file);

// What a bundle offers as identity, as lines of a trust file: for a person to compare with what they know
// from elsewhere. Damaged parts are left out and said in a comment.
std::string propose_trust(const BundleFiles& files);

}  // namespace kesu
