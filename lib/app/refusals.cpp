#include "app/refusals.h"

#include <vector>

#include "app/actor.h"

namespace kesu {

namespace {
constexpr std::string_view kRefused = "destruction-refused";
}  // namespace

bool is_refusal(Code code) {
  switch (code) {
    case Code::held:
    case Code::approvals_missing:
    case Code::requester_is_approver:
    case Code::signature_bad:
    case Code::plan_changed:
    case Code::waiting:
      return true;
    default:
      return false;
  }
}

void record_refusal(Vault& vault, const std::string& node, const std::string& attempt, const Error& why) {
  if (!is_refusal(why.code()) || vault.store().read_only() || vault.state().vault.closed) return;
  const std::string detail =
      attempt + " was refused: " + why.message() + " (" + std::string(code_text(why.code())) + ")";
  try {
    vault.decide({node}, [&] {
      const FindingRecord* newest = nullptr;
      uint64_t last = 0;
      for (auto& [seq, f] : vault.state().findings)
        if (const uint64_t n = std::stoull(seq); f.node == node && n >= last) newest = &f, last = n;
      if (newest && newest->detail == detail) return std::vector<Event>{};
      return std::vector<Event>{
          {.type = "finding-recorded",
           .nodes = {{.id = node}},
           .body = Json::object({{"what", kRefused}, {"detail", detail}, {"actor", this_process()}})}};
    });
  } catch (const Error& e) {
    vault.env().notice("the refusal could not be recorded: " + e.message());
  }
}

}  // namespace kesu
