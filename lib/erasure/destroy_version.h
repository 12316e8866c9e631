// The one function through which every destruction passes, and the only caller of the port's destroy_object.
#pragma once
#include <functional>
#include <optional>
#include <string>
#include <vector>

#include "ledger/entry.h"
#include "provider/provider.h"

namespace kesu {

struct Recorder {
  std::function<void(std::vector<Event>)> append;      // durable on return; throws when it is not
  std::function<std::string(ByteView)> keep_evidence;  // durable on return; hex SHA-256
};

struct DestroyOrder {
  KeyRef ref;
  std::string state;                   // the version's state now
  std::optional<std::string> erasure;  // `era-…`; none for a version that reaches nothing
  Json actor;                          // who acts: host, boot id, pid, start ticks
  std::string before = {};  // evidence of an inspection just before; empty: none is to follow, either
};

enum class DestroyOutcome { destroyed, refused };

// Records `destroy-intended`, tells the provider, records `destroy-done` with the receipt. When the provider
// refuses and still shows the object: `destroy-failed`, the version's old state again. When the outcome
// cannot be learned, Error outcome_unknown: the question stays open in the ledger until a probe settles it.
DestroyOutcome destroy_version(Provider& provider, const DestroyOrder& order, const Recorder& recorder);

// The events that settle an interrupted destruction, from what a probe answered: absent → destroyed, receipt
// lost; usable or refused → what it was before; unknown → none, the question stays.
std::vector<Event> settle_destruction(const VersionRef& version, const std::string& state_before,
                                      const std::optional<std::string>& erasure, ProbeAnswer answer,
                                      const std::string& transcript);

}  // namespace kesu
