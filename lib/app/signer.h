// The certificate under which certificates are signed: made by kesu itself, or by an authority for a request
// that kesu signs with the key in its provider (docs/spec/certificate.md, "Signer's certificate").
#pragma once
#include <string>
#include <vector>

#include "app/due.h"
#include "app/vault.h"
#include "certificate/bundle.h"
#include "crypto/x509.h"

namespace kesu {

struct SignerChain {
  Bytes leaf;                  // DER
  std::vector<Bytes> issuers;  // DER, in order; none: the certificate is kesu's own
};
// What the ledger names for the key version that signs now. Errors: ledger_damaged.
SignerChain recorded_signer(Vault& vault);
// The chain that came along with a signature, in its order again.
SignerChain order_chain(const Bytes& leaf, const std::vector<Bytes>& certificates);
// Throws state_refused when nothing may be signed under it now: it has ended, or not begun.
void refuse_ended_signer(const SignerChain& signer, Millis now);

// A request (PKCS #10, PEM) of organisation and vault for the key that signs certificates now. Errors:
// state_refused (there is none), provider errors.
std::string request_signer_certificate(Vault& vault);

struct InstalledSigner {
  std::string version, subject, issuer;
  Millis not_after = 0;
  size_t certificates = 0;
  bool again = false;  // it was installed already
};
// Takes what the authority gave: PEM, the certificate first, then its issuers in order. Errors: bad_input
// (what is not as it must be, naming the certificate), key_mismatch (it is for another key), policy_refused.
InstalledSigner install_signer_chain(Vault& vault, const std::string& file);

// The revocation lists that kesu.toml names, of issuers of the chains in `files` (the signer's, the
// time-stamps'), as trust/signer.crl. None where kesu.toml names none or none could be had. A notice says
// what was left out, what a list tells against, and what readers of profiles standard and high will miss.
void add_revocation_lists(Vault& vault, BundleFiles& files);

// A chain that ends soon or has ended.
void add_signer_due(Vault& vault, std::vector<Due>& due);

}  // namespace kesu
