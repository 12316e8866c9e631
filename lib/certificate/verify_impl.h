// The verifier's later steps: trust, profile, objects, and what the report shows. For lib/certificate itself.
#pragma once
#include "certificate/dossier_impl.h"
#include "certificate/verify.h"

namespace kesu {

// Nothing that a bundle holds may steer a terminal or begin a line: control characters (C0, DEL, C1) become
// '?'.
std::string plain(std::string_view text);

// Time-stamps as a report has them, as JSON and as a line for a terminal.
Json revocation_json(const RevocationCheck& check);
Json stamp_json(const StampResult& stamp);
Json stamps_json(const std::vector<StampResult>& stamps);
std::string stamp_line(const StampResult& s);

// A countersignature, likewise.
Json countersignature_json(const CountersignatureResult& c);
std::string countersignature_line(const CountersignatureResult& c, bool ja);

void describe(const dossier::Dossier& d, const Json& certificate, VerifyReport& report);
// The reader's own and the bundle's; what is none in the bundle is a finding.
std::vector<Crl> revocation_lists(dossier::Dossier& d, const TrustAnchors& trust);
void check_trust(dossier::Dossier& d, const TrustAnchors& trust, const std::vector<Crl>& lists,
                 VerifyReport& report);
// How many of the witnesses whom the rules at the request bind signed checkpoint B; 0 where they bind none.
int64_t bound_witnesses_signed(const dossier::Dossier& d, const Anchors& bound);
// `witnesses`: whom the reader trusts and who signed checkpoint B; `quorum`: how many its trust file asks
// for.
void check_profile(dossier::Dossier& d, int64_t witnesses, int64_t quorum, const VerifyOptions& options,
                   VerifyReport& report);
// Others' signatures over certificate.json, with their time-stamps: findings where one is not good, a row
// each where it is. `issued`: of the certificate; `now`: the reader's time, asked where its time-stamps must
// last.
void read_countersignatures(dossier::Dossier& d, const TrustAnchors& trust, const std::vector<Crl>& lists,
                            std::optional<Millis> issued, std::optional<Millis> now, VerifyReport& report);
// A good time-stamp as a report has it.
StampResult stamp_result(const dossier::StampFacts& s, std::string over);
void check_objects(dossier::Dossier& d, const std::vector<ObjectToCheck>& objects, VerifyReport& report);

}  // namespace kesu
