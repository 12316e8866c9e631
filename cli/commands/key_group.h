// Commands of the group `kesu key`, one file for each few of them.
#pragma once
#include "../context.h"
#include "app/keys.h"

namespace kesu::cli {

// --originator-period and --recipient-period, as typed.
struct PeriodWords {
  std::string originator, recipient;
};
void period_options(CLI::App* command, PeriodWords& words);
void read_periods(KeyDraft& draft, const PeriodWords& words);  // throws usage
// Periods beyond the standard's suggestion are said where they are chosen.
void notice_periods(Context& context, const VersionRecord& version);

void setup_key_list(CLI::App& group, Context& context);
void setup_key_states(CLI::App& group,
                      Context& context);  // activate, suspend, resume, deactivate, compromise
void setup_key_extend(CLI::App& group, Context& context);
void setup_policy_exceptions(CLI::App& group, Context& context);  // of the group `kesu policy`
void setup_key_import(CLI::App& group, Context& context);         // import, adopt
void setup_key_attest(CLI::App& group, Context& context);
void setup_key_restore(CLI::App& group, Context& context);
void setup_copy_share(CLI::App& group, Context& context);  // of the group `kesu copy`
void setup_key_destroy(CLI::App& group, Context& context);

}  // namespace kesu::cli
