// Which command this process runs, and who answers for it: what the outside gives a vault whose rules ask for
// signed commands (docs/spec/erasure.md, "Signed commands").
#pragma once
#include <optional>
#include <string>
#include <vector>

#include "base/clock.h"

namespace kesu {

// A statement that was signed, and serves for what this process appends.
struct SignedCommand {
  std::string person, role, command, text, armored;
  Millis issued = 0;
};

struct CommandOrder {
  std::string command;             // "key rotate"
  std::vector<std::string> named;  // what stands behind it; of these, what the vault knows by name is signed
  // Name or identifier, and an SSH key file (a .pub where an agent holds the key). One is enough: the person
  // follows from the key, and the key from the person, if an agent holds it.
  std::string person, key_file;
  std::optional<SignedCommand> made;  // signed before there was a vault (kesu init)
};

}  // namespace kesu
