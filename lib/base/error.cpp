#include "base/error.h"

namespace kesu {

namespace {
struct Row {
  Code code;
  std::string_view text;
  Exit exit;
};
constexpr Row kRows[] = {
    {Code::failed, "failed", Exit::failed},
    {Code::io_failed, "io-failed", Exit::failed},
    {Code::disk_full, "disk-full", Exit::failed},
    {Code::interrupted, "interrupted", Exit::interrupted},
    {Code::usage, "usage", Exit::usage},
    {Code::bad_identifier, "bad-identifier", Exit::usage},
    {Code::identifier_ambiguous, "identifier-ambiguous", Exit::usage},
    {Code::not_found, "not-found", Exit::usage},
    {Code::already_exists, "already-exists", Exit::refused},
    {Code::bad_input, "bad-input", Exit::usage},
    {Code::policy_refused, "policy-refused", Exit::refused},
    {Code::wrap_quota, "wrap-quota", Exit::refused},
    {Code::period_over, "period-over", Exit::refused},
    {Code::state_refused, "state-refused", Exit::refused},
    {Code::frozen, "frozen", Exit::refused},
    {Code::held, "held", Exit::refused},
    {Code::in_use, "in-use", Exit::refused},
    {Code::requester_is_approver, "requester-is-approver", Exit::refused},
    {Code::not_enrolled, "not-enrolled", Exit::refused},
    {Code::command_unsigned, "command-unsigned", Exit::refused},
    {Code::signature_bad, "signature-bad", Exit::invalid},
    {Code::plan_changed, "plan-changed", Exit::refused},
    {Code::plan_blocked, "plan-blocked", Exit::refused},
    {Code::conflict, "conflict", Exit::failed},
    {Code::approvals_missing, "approvals-missing", Exit::not_yet},
    {Code::waiting, "waiting", Exit::not_yet},
    {Code::restart_needed, "restart-needed", Exit::not_yet},
    {Code::processes_alive, "processes-alive", Exit::not_yet},
    {Code::not_confirmed, "not-confirmed", Exit::refused},
    {Code::store_unavailable, "store-unavailable", Exit::unavailable},
    {Code::store_busy, "store-busy", Exit::unavailable},
    {Code::vault_absent, "vault-absent", Exit::usage},
    {Code::vault_newer, "vault-newer", Exit::refused},
    {Code::vault_closed, "vault-closed", Exit::refused},
    {Code::network_filesystem, "network-filesystem", Exit::refused},
    {Code::read_only, "read-only", Exit::refused},
    {Code::provider_unavailable, "provider-unavailable", Exit::unavailable},
    {Code::module_absent, "module-absent", Exit::unavailable},
    {Code::token_absent, "token-absent", Exit::unavailable},
    {Code::token_ambiguous, "token-ambiguous", Exit::refused},
    {Code::token_changed, "token-changed", Exit::refused},
    {Code::pin_missing, "pin-missing", Exit::usage},
    {Code::pin_wrong, "pin-wrong", Exit::unavailable},
    {Code::pin_locked, "pin-locked", Exit::unavailable},
    {Code::pin_count_low, "pin-count-low", Exit::unavailable},
    {Code::pin_source_unsafe, "pin-source-unsafe", Exit::refused},
    {Code::session_lost, "session-lost", Exit::unavailable},
    {Code::object_absent, "object-absent", Exit::unavailable},
    {Code::object_ambiguous, "object-ambiguous", Exit::refused},
    {Code::key_mismatch, "key-mismatch", Exit::refused},
    {Code::key_known, "key-known", Exit::refused},
    {Code::container_old, "container-old", Exit::refused},
    {Code::container_damaged, "container-damaged", Exit::invalid},
    {Code::mechanism_absent, "mechanism-absent", Exit::refused},
    {Code::provider_failed, "provider-failed", Exit::unavailable},
    {Code::outcome_unknown, "outcome-unknown", Exit::unavailable},
    {Code::sealed_damaged, "sealed-damaged", Exit::invalid},
    {Code::ledger_damaged, "ledger-damaged", Exit::invalid},
    {Code::bundle_invalid, "bundle-invalid", Exit::invalid},
    {Code::bundle_incomplete, "bundle-incomplete", Exit::incomplete},
    {Code::test_grade, "test-grade", Exit::incomplete},
    {Code::out_of_memory, "out-of-memory", Exit::failed},
    {Code::memory_lock, "memory-lock", Exit::failed},
    {Code::not_covered, "not-covered", Exit::incomplete},
    {Code::network_unavailable, "network-unavailable", Exit::unavailable},
    {Code::time_unavailable, "time-unavailable", Exit::unavailable},
    {Code::version_buried, "version-buried", Exit::refused},
    {Code::partial, "partial", Exit::partial},
};
const Row& row(Code code) {
  for (const Row& r : kRows)
    if (r.code == code) return r;
  return kRows[0];
}
}  // namespace

std::string_view code_text(Code code) { return row(code).text; }
Exit exit_of(Code code) { return row(code).exit; }

}  // namespace kesu
