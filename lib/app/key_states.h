// Use cases that move key versions between states, and the one place that asks whether a version may be used
// now: its state and its cryptoperiod (SP 800-57 Pt 1 Rev. 5 §5.3, §7.2).
#pragma once
#include <string>

#include "app/vault.h"

namespace kesu {

// May `version` wrap or sign now? Errors: state_refused; period_over when its originator-usage period has
// ended (next: kesu key rotate).
void refuse_to_protect(Vault& vault, const VersionRecord& version);
// May it open what it wrapped? Errors: state_refused; period_over when its recipient-usage period has ended
// (next: kesu rewrap, or an exception). Re-wrapping, erasing and inspecting do not ask for the period.
enum class ProcessFor { opening, moving };
void refuse_to_process(Vault& vault, const VersionRecord& version, ProcessFor why);

}  // namespace kesu
