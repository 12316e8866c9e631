// kesu key activate, suspend, resume, deactivate, compromise
#include "app/key_states.h"

#include "../context.h"
#include "app/keys.h"
#include "key_group.h"

namespace kesu::cli {

namespace {
struct Options {
  std::string key, reason, occurred;
  uint32_t version = 0;
  bool all = false;
};

// What is recorded stands, whether or not the ledger's key can sign its head now.
void sign_head(Context& c, Vault& v) {
  try {
    v.checkpoint();
  } catch (const Error& e) {
    if (e.exit() != Exit::unavailable) throw;
    c.env().notice("recorded; the ledger's head is signed when its provider answers again: " + e.message());
  }
}

std::string said(const State& s, const std::vector<std::string>& ids) {
  std::string out;
  for (const std::string& id : ids) {
    const VersionRecord& v = *s.version(id);
    out += "Key version " + version_name(s, v) + " is " + v.state + "\n";
  }
  return out;
}

// What a person should know beside the new state.
std::string consequence(const State& s, const KeyRecord& k, KeyAct act) {
  const ErasureRecord* e = s.reserving(k.id);
  if (act == KeyAct::compromise && e)
    return "Erasure " + brief(e->id) +
           " was planned before: unless its destruction has begun, plan it anew\n";
  if (act == KeyAct::compromise && k.purpose != KeyPurpose::wrap)
    return "It goes on signing or controlling: what rests on it from now on rests on a compromised key\n";
  if (act == KeyAct::compromise)
    return "It protects nothing, and opens only to be moved away from: kesu rewrap DATASET, then kesu key "
           "destroy; fresh data keys need kesu seal into another dataset\n";
  if (act == KeyAct::suspend && !k.active())
    return "Until kesu key resume, nothing is sealed or opened with it\n";
  return "";
}
}  // namespace

void setup_key_states(CLI::App& group, Context& c) {
  auto o = std::make_shared<Options>();
  auto add = [&](const char* name, KeyAct act, const char* help) {
    CLI::App* cmd = group.add_subcommand(name, help);
    cmd->add_option("KEY", o->key, "a key, or one version as in loans.2")->required();
    cmd->add_option("--version", o->version, "which version")->check(CLI::PositiveNumber);
    cmd->add_option("--reason", o->reason, "why; stays in the ledger")->required();
    if (act == KeyAct::compromise) {
      cmd->add_option("--occurred", o->occurred, "when it happened, a day or a time (default: not known)");
      cmd->add_flag("--all-versions", o->all, "every version that is not yet marked");
    }
    on_run(cmd, [&c, o, act] {
      Vault& v = c.open(Access::write);
      StateOrder order{.which = find_key_word(v, o->key, o->version),
                       .act = act,
                       .all_versions = o->all,
                       .reason = o->reason,
                       .occurred = o->occurred.empty() ? 0 : read_time(o->occurred, false)};
      if (act == KeyAct::compromise) {
        std::string names;
        for (const std::string& id : versions_meant(v.state(), order))
          names += (names.empty() ? "" : ", ") + version_name(v.state(), *v.state().version(id));
        c.confirm("Record for ever that " + names + " is compromised?");
      }
      std::vector<std::string> moved = change_state(v, order);
      sign_head(c, v);
      const KeyRecord& k = v.state().keys.at(order.which.key);
      c.show(key_json(v.state(), k), said(v.state(), moved) + consequence(v.state(), k, act));
    });
  };
  add("activate", KeyAct::activate,
      "a version that was made with --pre-activation protects from now on; the one active before only opens");
  add("suspend", KeyAct::suspend,
      "stop using the active version for a while\n\n  kesu key suspend loans --reason \"audit of the token "
      "room\"");
  add("resume", KeyAct::resume, "go on with a suspended version");
  add("deactivate", KeyAct::deactivate,
      "a version protects nothing new from now on, for good; it still opens");
  add("compromise", KeyAct::compromise,
      "record that others may have a version\n\n  kesu key compromise loans.1 --reason \"backup tape lost\" "
      "--occurred 2026-11-20");
}

}  // namespace kesu::cli
