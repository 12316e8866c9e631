#include "app/close.h"

#include "app/actor.h"
#include "app/holds.h"
#include "app/key_states.h"
#include "app/settle.h"

namespace kesu {

namespace {
bool exists_still(const VersionRecord& v) {
  auto state = parse_key_state(v.state);
  return state && may_exist(*state);
}

std::vector<std::string> left_versions(const State& state) {
  std::vector<std::string> out;
  for (auto& [id, key] : state.keys)
    for (const VersionRecord& v : key.versions)
      if (exists_still(v)) out.push_back(v.id);
  return out;
}

Error refusal(const std::vector<CloseBlocker>& blockers) {
  constexpr size_t kShown = 12;
  std::string list;
  for (size_t i = 0; i < blockers.size() && i < kShown; ++i)
    list += (i ? "; " : "") + blockers[i].what + " (" + blockers[i].next + ")";
  if (blockers.size() > kShown) list += "; and " + std::to_string(blockers.size() - kShown) + " more";
  return Error(Code::state_refused, "the vault cannot be closed yet: " + std::to_string(blockers.size()) +
                                        (blockers.size() == 1 ? " thing stands" : " things stand") +
                                        " in the way")
      .cause(list)
      .next(blockers[0].next);
}
}  // namespace

std::vector<CloseBlocker> close_blockers(Vault& vault) {
  const State& s = vault.state();
  std::vector<CloseBlocker> out;
  for (auto& [id, d] : s.datasets)
    if (d.state != "erased")
      out.push_back({"dataset " + d.name + " is " + d.state + ", not erased", "kesu erase plan " + d.name});
  for (auto& [id, e] : s.erasures) {
    std::string brief = id.substr(0, 12);
    if (e.stage == "requested" || e.stage == "approved" || e.stage == "running")
      out.push_back({"erasure " + brief + " is " + e.stage, "kesu erase status " + brief});
    if (e.finished && e.certificate.empty())
      out.push_back({"erasure " + brief + " has no certificate, and none could be issued later",
                     "kesu certificate bundle " + brief + " -o DIR"});
  }
  for (auto& [id, hold] : s.holds)
    if (!hold.released && !s.datasets.contains(hold.subject) && exists_still(*s.version(hold.subject)))
      out.push_back({hold_text(s, hold), "kesu hold release " + id.substr(0, 12)});
  for (const Question& q : open_questions(vault))
    out.push_back({"an open question: " + q.what, "kesu status"});
  for (auto& [id, c] : s.copies)
    if (c.state == "open")
      out.push_back({"a copy of a key is open: " + c.kind + " at " + c.place,
                     "end it with what shows that it is gone"});
  for (auto& [id, key] : s.keys)
    for (const VersionRecord& v : key.versions)
      if (key.purpose == KeyPurpose::wrap && exists_still(v))
        out.push_back({"key version " + version_name(s, v) + " is " + v.state + " and may exist",
                       "kesu key destroy " + version_name(s, v)});
  return out;
}

Closed close_vault(Vault& vault, const std::string& reason) {
  if (reason.empty())
    throw Error(Code::usage, "why is the vault closed?")
        .next("--reason TEXT: it stays in the ledger's last entry");
  settle(vault);
  Closed out;
  if (!vault.state().vault.closed) {
    vault.rebuild();  // nothing that ends the ledger rests on a register
    vault.decide({std::string(kWholeLedger), vault.state().vault.id}, [&] {
      if (auto blockers = close_blockers(vault); !blockers.empty()) throw refusal(blockers);
      Json left(Json::Array{});
      for (const std::string& v : left_versions(vault.state())) left.push(v);
      return std::vector<Event>{
          {.type = "vault-closed",
           .nodes = {{.id = vault.state().vault.id, .is = "closed"}},
           .body = Json::object({{"reason", reason}, {"left", left}, {"actor", this_process()}})}};
    });
    out.now = true;
  }
  out.checkpoint = vault.checkpoint().size;
  out.at = vault.state().vault.closed;
  out.left = left_versions(vault.state());
  return out;
}

}  // namespace kesu
