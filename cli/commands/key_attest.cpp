// kesu key attest
#include "app/key_attest.h"

#include "../context.h"
#include "key_group.h"

namespace kesu::cli {

void setup_key_attest(CLI::App& group, Context& c) {
  struct Options {
    std::string name, person, key, signature, export_to;
    uint32_t version = 0;
  };
  auto o = std::make_shared<Options>();
  CLI::App* cmd = group.add_subcommand(
      "attest",
      "an auditor or verifier who attended the making of a key signs what the token says of it: within a "
      "day, and before anything is sealed under it\n\n  kesu key attest loans.1 --as \"Kansa Yaku\" --key "
      "~/.ssh/id_ed25519.pub");
  cmd->add_option("KEY", o->name, "loans, or one version of it: loans.2")->required();
  cmd->add_option("--version", o->version, "which version")->check(CLI::PositiveNumber);
  cmd->add_option("--as", o->person, "who signs: an auditor or a verifier, no operator")->required();
  cmd->add_option("--key", o->key, "SSH key to sign with, or its .pub when an agent holds it");
  cmd->add_option("--signature", o->signature, "a signature made elsewhere over the exported statement");
  cmd->add_option("--export", o->export_to, "write the statement to be signed elsewhere, and stop");
  on_run(cmd, [&c, o] {
    Vault& v = c.open(Access::write);
    const KeyWord which = find_key_word(v, o->name, o->version);
    const OperatorRecord person = v.find_operator(o->person);
    if (!o->export_to.empty())
      return c.show_statement(person.name, o->export_to, export_attestation(v, which, person, o->export_to));
    const std::string id = attest_key(v, which, person, {o->key, o->signature});
    v.checkpoint();
    const State& s = v.state();
    c.show(key_json(s, s.keys.at(which.key)),
           "Attested: " + person.name + " attended the making of " + version_name(s, *s.version(id)) +
               "\n  What was signed is the token's own answer; no vendor attests it\n");
  });
}

}  // namespace kesu::cli
