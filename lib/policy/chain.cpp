// The weakest link: docs/spec/policy.md, "Chains".
#include <algorithm>

#include "policy/policy.h"

namespace kesu::policy {

Chain chain_strength(std::span<const ChainLink> links) {
  if (links.empty()) return {};
  Chain chain{kNoLimit, "", true, kNoLimit, kNoLimit};
  for (const ChainLink& link : links) {
    const Verdict& v = link.verdict;
    if (v.strength_bits < chain.strength_bits) {
      chain.strength_bits = v.strength_bits;
      chain.weakest = link.name;
    }
    chain.allowed = chain.allowed && v.allowed;
    chain.horizon_year_new = std::min(chain.horizon_year_new, v.horizon_year_new);
    chain.horizon_year_process = std::min(chain.horizon_year_process, v.horizon_year_process);
  }
  return chain;
}

int chain_strength(std::span<const int> strength_bits) {
  auto least = std::min_element(strength_bits.begin(), strength_bits.end());
  return least == strength_bits.end() ? 0 : *least;
}

}  // namespace kesu::policy
