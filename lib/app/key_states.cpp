#include "app/key_states.h"

namespace kesu {

namespace {
std::string named(const State& state, const VersionRecord& v) {
  const KeyRecord* key = state.key_of(v.id);
  return (key ? key->name : v.version().brief()) + "." + std::to_string(v.number());
}
Error in_state(const State& state, const VersionRecord& v, const char* cannot) {
  return Error(Code::state_refused, "key version " + named(state, v) + " is " + v.state + " and " + cannot)
      .next("kesu key show " + state.key_of(v.id)->name);
}
}  // namespace

void refuse_to_protect(Vault& vault, const VersionRecord& v) {
  auto state = parse_key_state(v.state);
  if (!state || !may_protect(*state)) throw in_state(vault.state(), v, "protects nothing new");
  Millis until = v.protect_until();
  if (until && vault.now() >= until)
    throw Error(Code::period_over, "the period in which key version " + named(vault.state(), v) +
                                       " protects new data ended at " + local_text(until))
        .next("kesu key rotate " + vault.state().key_of(v.id)->name);
}

void refuse_to_process(Vault& vault, const VersionRecord& v, ProcessFor why) {
  auto state = parse_key_state(v.state);
  if (!state || !may_process(*state)) throw in_state(vault.state(), v, "opens nothing");
  Millis until = v.process_until();
  if (why == ProcessFor::opening && until && vault.now() >= until)
    throw Error(Code::period_over, "the period in which key version " + named(vault.state(), v) +
                                       " opens what it protected ended at " + local_text(until))
        .next("kesu rewrap DATASET moves its data keys to the active version; or an approver's exception: "
              "kesu key extend");
}

}  // namespace kesu
