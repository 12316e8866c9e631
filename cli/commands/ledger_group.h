// Commands of `kesu ledger` that stand in files of their own.
#pragma once
#include "../context.h"

namespace kesu::cli {

void setup_witness(CLI::App* group, Context& context);  // cosign, witness
void setup_ledger_extract(CLI::App& group, Context& context);

}  // namespace kesu::cli
