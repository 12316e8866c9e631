// A witness: another party's machine, without a vault. It remembers what it saw of each log, and cosigns only
// what grew out of that (docs/spec/ledger.md, "Witnesses").
#pragma once
#include <string>

#include "app/vault.h"

namespace kesu {

struct WitnessInit {
  std::string directory, name;
  std::string provider_uri;       // where its key is made; empty: a keystore file in the directory
  std::string passphrase_source;  // of that keystore; empty: asked on the terminal
};
// Makes the directory and the key. Killed, the same call goes on. Returns the vkey that vaults and readers
// are told. Errors: already_exists (a witness is there), bad_input, usage, network_filesystem, provider
// errors.
std::string init_witness(Environment& env, const WitnessInit& request);

struct Cosigned {
  std::string origin, witness, line;  // `line`: what the vault attaches
  uint64_t size = 0, before = 0;      // before: what was seen last; 0: nothing
  std::string root;                   // hex
  Millis time = 0;
  bool again = false;  // had signed just this before: the same bytes
};
// Checks the request against what this witness saw and cosigns. What it saw is durable when this returns.
// `first` is the vkey of a log that it has never seen; else empty. While another history of the log is kept
// in refused/ nothing newer is cosigned, unless `go_on` says why its operator's explanation is enough: that
// is recorded. Errors, by docs/spec/ledger.md: signature_bad, ledger_damaged (another history: evidence is
// kept), state_refused, bad_input; conflict when another process is at work there.
Cosigned cosign(Environment& env, const std::string& directory, const std::string& request_file,
                const std::string& first, const std::string& go_on);

// {"name","vkey","logs":[{"origin","vkey","size","root","cosigned","since":[],"stopped"}],"went_on":[],"refusals"};
// of a log whose state is gone size, root and cosigned are null.
Json witness_json(const std::string& directory);

}  // namespace kesu
