// A vault and its witnesses: whom kesu.toml names, requests to them, their cosignatures, and which checkpoint
// a bundle carries (docs/spec/ledger.md, "Witnesses").
#pragma once
#include <optional>
#include <string>
#include <vector>

#include "app/due.h"
#include "app/vault.h"
#include "crypto/note.h"
#include "erasure/anchors.h"

namespace kesu {

// [[witness]] of kesu.toml, in the file's order. Errors: bad_input naming kesu.toml and the table.
std::vector<NoteKey> configured_witnesses(const std::string& vault_directory);
// How many cosignatures the checkpoint of a certificate wants: the profile's witness_quorum, or that of
// `anchors` (app/anchors.h); at least one where kesu.toml names a witness.
int64_t witnesses_wanted(Vault& vault, const Anchors& anchors, size_t configured);

struct ExportedCheckpoint {
  SavedCheckpoint checkpoint;
  uint64_t since = 0;
  size_t proof = 0;  // hashes in it
};
// Signs the tree head now and writes a request for witnesses to `file` (which must not be there). Without
// `since`: from the newest size that all witnesses of kesu.toml have cosigned, else 0. Errors: bad_input
// (`since` is no size that the ledger had), already_exists.
ExportedCheckpoint export_checkpoint(Vault& vault, const std::string& file, std::optional<uint64_t> since);

struct Attached {
  SavedCheckpoint checkpoint;  // with every cosignature that is known of it
  struct Line {
    std::string name;
    Millis time;
  };
  std::vector<Line> witnesses;  // all whose cosignature it bears
  int64_t wanted = 0;
};
// Keeps the cosignatures of a witness's answer, or of a whole note. Errors: state_refused (kesu.toml names no
// witness), policy_refused (the rules name others), bad_input, signature_bad (a line of a known witness fits
// no checkpoint of this vault; or there is none of a known one): nothing is kept then.
Attached attach_cosignatures(Vault& vault, const std::string& file);

// The certificate whose newest entry this is; null: none.
const CertificateRecord* certificate_at(const State& state, uint64_t seq);
// Whether a checkpoint of that size still says all about the certificate that its readers have to learn.
bool says_all(Vault& vault, const CertificateRecord& certificate, uint64_t size);

// The checkpoint B, with cosignatures, of a bundle whose entry `covers` is certificate-issued; none: no
// witness has signed one that still says all about it.
std::optional<SavedCheckpoint> cosigned_checkpoint(Vault& vault, uint64_t covers);

// Certificates whose checkpoint lacks cosignatures.
void add_witness_due(Vault& vault, std::vector<Due>& due);

}  // namespace kesu
