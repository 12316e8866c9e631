#include "app/refusals.h"

#include <algorithm>
#include <vector>

#include "app/actor.h"
#include "crypto/person_key.h"

namespace kesu {

namespace {
constexpr std::string_view kRefused = "destruction-refused";
constexpr Millis kSaidAgain = 24LL * 3600 * 1000;

std::string detail_of(Attempt attempt, const std::string& of, const Error& why) {
  const std::string code = " (" + std::string(code_text(why.code())) + ")";
  if (attempt == Attempt::key_destroy)  // every bundle of the vault shows it: no names of keys and datasets
    return "key destroy of " + of + " was refused: " +
           (why.code() == Code::held ? "a legal hold is in force" : "something that is kept depends on it") +
           code;
  // Whose key it was, why somebody has not the role.
  const bool because = why.code() == Code::not_enrolled || why.code() == Code::signature_bad;
  return (attempt == Attempt::erase_run ? "erase run" : "erase approve as " + of) +
         " was refused: " + why.message() + (because && !why.cause().empty() ? ": " + why.cause() : "") +
         code;
}

bool is_over(const ErasureRecord& e) {
  return e.stage != "requested" && e.stage != "approved" && e.stage != "running";
}
}  // namespace

bool is_refusal(Attempt attempt, const Error& why) {
  switch (why.code()) {
    case Code::held:
      return true;
    case Code::in_use:
      return attempt == Attempt::key_destroy;
    case Code::plan_changed:
      return attempt != Attempt::key_destroy;
    case Code::approvals_missing:
    case Code::waiting:
      return attempt == Attempt::erase_run;
    case Code::requester_is_approver:
    case Code::not_enrolled:
      return attempt == Attempt::erase_approve;
    case Code::signature_bad:
      return attempt == Attempt::erase_run ||
             (attempt == Attempt::erase_approve && why.cause().starts_with(kMadeWithAnotherKey));
    default:
      return false;
  }
}

void record_refusal(Vault& vault, const std::string& node, Attempt attempt, const std::string& of,
                    const Error& why) {
  if (!is_refusal(attempt, why) || vault.store().read_only() || vault.state().vault.closed) return;
  const std::string detail = detail_of(attempt, of, why);
  try {
    vault.decide({node}, [&] {
      const auto erasure = vault.state().erasures.find(node);
      if (erasure != vault.state().erasures.end() && is_over(erasure->second)) return std::vector<Event>{};
      const Millis now = std::max(vault.now(), vault.state().time);
      for (const auto& [seq, f] : vault.state().findings)
        if (f.node == node && f.what == kRefused && f.detail == detail && now - f.time < kSaidAgain)
          return std::vector<Event>{};
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
