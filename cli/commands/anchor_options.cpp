#include "anchor_options.h"

namespace kesu::cli {

void anchor_options(CLI::App* cmd, const std::shared_ptr<AnchorOrder>& o) {
  cmd->add_option("--time-authority", o->time_files,
                  "PEM file of a time-stamp authority's root certificate: only time-stamps under such a one "
                  "count; repeated, it names all");
  cmd->add_option("--witness", o->witnesses,
                  "vkey of a witness: only cosignatures of such a one count; repeated, it names all");
  cmd->add_option("--witness-quorum", o->witness_quorum, "how many of these witnesses must sign (default 1)")
      ->check(CLI::PositiveNumber);
}

}  // namespace kesu::cli
