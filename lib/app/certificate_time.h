// The time-stamps of a certificate's bundle: fetched when it is issued, kept, and given again
// (docs/spec/certificate.md, "Time-stamps").
#pragma once
#include <optional>
#include <string>

#include "app/vault.h"
#include "certificate/bundle.h"
#include "erasure/anchors.h"

namespace kesu {

// The time-stamps of certificate.json.p7s, which is in `files`: one inside it, one beside it, with what
// belongs to them; `issued` is the time that the certificate bears, `anchors` those of the erasure's rules
// (app/anchors.h). not_asked where kesu.toml names no authority, none where
// none answered and the vault's profile does not ask for one (then a notice says so). Errors: of
// fetch_stamp where the profile does, and of authorities_of_rules; nothing is recorded then.
enum class Stamped { not_asked, none, yes };
Stamped stamp_signature(Vault& vault, BundleFiles& files, Millis issued, const Anchors& anchors);

// Whether the profile in force asks for time-stamps, and so for what shows that nobody was revoked.
bool profile_asks_for_stamps(Vault& vault);

// A signed document's signature with a token inside it, and the answer over that beside it.
struct SignatureStamps {
  Bytes signature, answer;
  std::string chain;  // PEM, of both
};
// As above, for any document; `what` says whose signature it is. nullopt: no authority is configured, or none
// answered and `must` is false (then a notice says so). Nothing is recorded but a clock that differs. Errors:
// also those of authorities_of_rules.
std::optional<SignatureStamps> fetch_signature_stamps(Vault& vault, const Anchors& anchors, ByteView document,
                                                      ByteView signature, Millis issued,
                                                      const std::string& what, bool must);

// The same from what was kept, into a bundle that is made again.
void restore_signature_stamp(Vault& vault, const CertificateRecord& certificate, BundleFiles& files);

// Checkpoint B of a bundle whose entry `covers` is certificate-issued: the one that witnesses cosigned, where
// there is one (app/witnessing.h). With a stamp in `files` where there is one: that of this checkpoint, or of
// the newest one, if nothing but stamps was recorded since, or one fetched now, which is kept and recorded.
// Where no authority answers, or none is of the rules (anchors_of_stamp): without, and a notice says so; with
// `must` Error time_unavailable, waiting or policy_refused.
SavedCheckpoint stamped_checkpoint(Vault& vault, BundleFiles& files, uint64_t covers, bool must = false);

}  // namespace kesu
