// The statement with which a person answers for what one process of kesu adds to the ledger
// (docs/spec/erasure.md, "Signed commands"). Pure: bytes in, values out.
#pragma once
#include <string>
#include <string_view>
#include <vector>

#include "base/clock.h"
#include "base/ids.h"

namespace kesu {

struct CommandStatement {
  VaultId vault;
  std::string organisation;
  OperatorId operator_id;
  std::string name, role;
  std::string command;             // its words without what was typed behind them: "key rotate"
  std::vector<std::string> about;  // identifiers of what was named behind them, ascending, each once
  uint64_t size = 0;               // the ledger when it was signed: entries, and their root in hex
  std::string root;
  std::string process;  // hex SHA-256 of the canonical `actor` (docs/spec/events.md)
  Millis issued = 0;

  // What a person reads: wholly determined by the members above.
  std::vector<std::string> summary() const;
  std::string text() const;  // the bytes that are signed
  // Strict: text() of the result equals the input, a command that could be one. Throws bad_input.
  static CommandStatement parse(std::string_view text);
};
constexpr std::string_view kCommandNamespace = "kesu-command-v1";
// A statement serves for entries at most this long after `issued`.
constexpr Millis kMaxCommandLife = 24LL * 3600 * 1000;
constexpr size_t kMaxCommandAbout = 64;

// Commands with which people do what another role than operator is for: whoever has any role may sign them.
// All others take the role operator.
bool any_role_signs(std::string_view command);

}  // namespace kesu
