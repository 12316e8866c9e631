// Use cases on the policy: what the lists say, what the registry holds, one verdict. Values ready to print.
#pragma once
#include <string>

#include "base/clock.h"
#include "base/json.h"

namespace kesu {

// {"edition","editions":[…],"lists":[…],"periods":[…]}: each line with its citation.
Json policy_lists();
// [{"name","category","strength_bits","new_until","process_until","purposes","use","reason"}]
Json policy_algorithms();

struct PolicyQuestion {
  std::string algorithm;  // NAME or NAME:bits=…,hash=…
  std::string purpose;    // empty: the first that the registry names
  std::string mode = "new", profile = "current";
  std::string until;  // a year; empty or "open-ended": no end
};
// The verdict (docs/spec/policy.md); "allowed" says whether. Throws Error usage for what cannot be read.
Json policy_verdict(const PolicyQuestion& question, Millis now);

}  // namespace kesu
