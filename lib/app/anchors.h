// Trust anchors that the rules bind, held against kesu.toml, which says only where to reach them
// (docs/spec/erasure.md, "Anchors").
#pragma once
#include <string>
#include <vector>

#include "app/doctor.h"
#include "app/due.h"
#include "app/rules.h"
#include "app/time_authority.h"
#include "crypto/note.h"

namespace kesu {

Anchors anchors_now(Vault& vault);
// Those by which an erasure is judged: in force when it was requested.
Anchors anchors_at_request(Vault& vault, const std::string& erasure);
// Those by which the checkpoint B of a certificate's bundle is stamped: at the request; once it was renewed,
// now.
Anchors anchors_of_stamp(Vault& vault, const CertificateRecord& certificate);

// The time authorities of kesu.toml whose `ca` holds a certificate that `anchors` bind, each with these
// alone; a notice names the others. Empty: `anchors` bind none, and kesu.toml names none. Errors:
// policy_refused (they bind some, and kesu.toml names none of these), and those of time_authorities.
std::vector<TimeAuthority> authorities_of_rules(Vault& vault, const Anchors& anchors);
// Whether a kept token, good in itself, leads to what `anchors` bind over the certificates of its chain file.
bool is_of_rules(const TimestampCheck& token, std::string_view chain, const Anchors& anchors);

// Of `keys` those that `anchors` bind; all where they bind none.
std::vector<NoteKey> witnesses_of_rules(const std::vector<NoteKey>& keys, const Anchors& anchors);
// Whose cosignatures count: of those that `anchors` bind, whether or not kesu.toml still names them; else of
// kesu.toml's.
std::vector<NoteKey> witnesses_counted(const std::vector<NoteKey>& configured, const Anchors& anchors);
// Whose cosignatures the vault keeps: those of the rules in force, and of an erasure's that binds others.
std::vector<NoteKey> witnesses_kept(Vault& vault, const std::vector<NoteKey>& keys);

// Where kesu.toml and the rules in force differ, for doctor and status.
std::vector<Check> anchor_checks(Vault& vault);
void add_anchor_due(Vault& vault, std::vector<Due>& due);

}  // namespace kesu
