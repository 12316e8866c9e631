// Use case: a key of a keystore file given to custodians in shares, each registered as an open copy before
// its file can exist (docs/spec/key-shares.md). Back: app/key_restore.h.
#pragma once
#include <string>
#include <vector>

#include "app/key_states.h"
#include "app/settle.h"
#include "app/vault.h"

namespace kesu {

struct ShareOrder {
  KeyWord which;                          // a version; the active one where none is named
  std::vector<std::string> certificates;  // PEM files, one certificate each: share i goes to the i-th
  int threshold = 0;                      // how many of them give the key back
  std::string directory;                  // made, or empty
};
struct ShareMade {
  int index = 0;
  std::string copy;         // `cpy-…`
  std::string custodian;    // the certificate's subject
  std::string certificate;  // hex SHA-256 of its DER
  std::string file, sha256;
};
struct SharesMade {
  std::string version, set;  // `set`: 32 hex digits
  std::vector<ShareMade> shares;
};
// Errors: usage (numbers); bad_input (a file that holds no certificate, or several; one twice);
// policy_refused (the key is not RSA or too weak for what the version reaches, the certificate is not valid
// now or not for this); state_refused, frozen, mechanism_absent (keys of that provider do not come out);
// already_exists (the directory is not empty). With all of these nothing is recorded and nothing made but the
// directory. After the copies are registered: disk_full, io_failed: what was never begun is ended again, the
// rest stays open.
SharesMade share_key(Vault& vault, const ShareOrder& order);

// Sets of which it is not known whether they were written: what is seen is recorded, and every copy stays
// open. Called by settle().
void settle_shares(Vault& vault);
// The same as open questions.
std::vector<Question> share_questions(Vault& vault);

}  // namespace kesu
