// Whether everything that kesu stands on is in order: programs, memory, file systems, modes, providers,
// clock, database. Works without a vault, too, changes nothing, and reads no secret.
#pragma once
#include <optional>
#include <string>
#include <vector>

#include "app/vault.h"

namespace kesu {

enum class CheckResult { ok, warn, fail };
std::string_view check_text(CheckResult result);  // "ok", "warn", "fail"

struct Check {
  std::string check;  // which: "probe", "memory-lock", "provider hsm1", … (docs/spec/interface.md)
  CheckResult result = CheckResult::ok;
  std::string detail;
  std::string next;  // what to do; empty where there is nothing to do
};

struct DoctorOrder {
  std::string program;               // path of the running kesu
  std::optional<std::string> vault;  // its directory; without one only the machine is looked at
  bool offline = false;              // providers are not asked
};
// Never throws Error: what goes wrong is a check that fails.
std::vector<Check> examine(Environment& env, const DoctorOrder& order);

// Parts, each for its own file.
std::vector<Check> examine_machine(Environment& env, const DoctorOrder& order);
std::vector<Check> examine_vault(Environment& env, const std::string& directory, bool offline);
std::vector<Check> examine_time(Vault& vault, bool offline);
Check examine_tombstones(Vault& vault);
std::vector<Check> examine_commands(Vault& vault, bool offline);

// The files that a provider's URI names: `sources` of PINs and passphrases, `modules`. Percent-decoded.
struct UriFiles {
  std::vector<std::string> sources, modules;
};
UriFiles files_of_uri(const std::string& uri);

}  // namespace kesu
