// kesu doctor: where the vault's rules ask for signed commands, whether whoever asks could sign one now, and
// whether entries name none.
#include <algorithm>

#include "app/doctor.h"
#include "app/people.h"
#include "app/signed_command.h"
#include "base/process.h"

namespace kesu {

namespace {
using enum CheckResult;

constexpr uint64_t kLookedAt = 10'000;                      // newest entries
constexpr std::string_view kTrialSpace = "kesu-doctor-v1";  // of which nothing is read: it serves nowhere

// Whether the agent lists this key; it is not asked to sign, so nobody has to touch anything.
bool agent_holds(const std::string& public_key, std::string& why) {
  const ProgramResult said =
      run_program({.argv = {"ssh-add", "-L"}, .environment = whole_environment(), .timeout = 10'000});
  const size_t end = public_key.find(' ', public_key.find(' ') + 1);
  if (said.exit == 0 && to_text(said.out).find(public_key.substr(0, end)) != std::string::npos) return true;
  why = said.exit == 0   ? "the agent holds other keys (ssh-add -L)"
        : said.exit == 1 ? "the agent holds no keys (ssh-add -L)"
                         : "there is no agent that answers (SSH_AUTH_SOCK)";
  return false;
}

Check could_sign(Vault& vault, const std::string& name, bool offline) {
  const State& state = vault.state();
  CommandOrder order = vault.env().command.value_or(CommandOrder{});
  const std::string who_next =
      "--operator NAME with an agent, or --operator-key FILE (KESU_OPERATOR, KESU_OPERATOR_KEY)";
  if (order.person.empty() && order.key_file.empty())
    return {name, warn, "the rules in force ask for them, and nobody is named who would sign", who_next};
  try {
    order.command = "key rotate";  // takes the role operator, as most do
    std::string limits;
    WhoSigns who;
    try {
      who = who_signs(vault, order);
    } catch (const Error& e) {
      if (e.code() != Code::not_enrolled) throw;
      order.command = "erase approve";  // any role
      who = who_signs(vault, order);
      limits = ", and so only what that role does";
    }
    const OperatorRecord& person = state.operators.at(who.person);
    std::string how, why;
    if (order.key_file.empty()) {
      if (!agent_holds(person.public_key, why))
        return {name, fail, person.name + " cannot sign: " + why, who_next};
      how = "with the key that the agent holds";
    } else if (person.public_key.starts_with("sk-")) {
      how = "with a security key, which was not asked";
    } else if (offline) {
      how = "with " + order.key_file + ", which was not tried (--offline)";
    } else {
      const std::string text = "kesu doctor: whether this key signs\n";
      why = signature_problem(text, ssh_sign(text, order.key_file, std::string(kTrialSpace)),
                              std::string(kTrialSpace), person.public_key);
      if (!why.empty())
        return {name, fail, order.key_file + " is not the key of " + person.name + ": " + why, who_next};
      how = "with " + order.key_file;
    }
    return {
        name, limits.empty() ? ok : warn, person.name + " can sign as " + who.role + ", " + how + limits,
        limits.empty() ? "" : "somebody with the role operator runs the other commands: kesu operator list"};
  } catch (const Error& e) {
    return {name, fail, e.message() + (e.cause().empty() ? "" : ": " + e.cause()),
            e.next().empty() ? who_next : e.next()};
  }
}

Check named_by_entries(Vault& vault, const std::string& name) {
  const uint64_t size = vault.state().size, from = size > kLookedAt ? size - kLookedAt : 0;
  uint64_t none = 0, first = 0;
  vault.store().read(from, size, [&](const StoredEntry& e) {
    const Header& h = e.entry.header;
    if (h.type == "genesis" || h.type == "operator-enrolled" ||
        !rules_in_force(vault.state(), {h.seq, h.time}).signed_commands ||
        (e.entry.body.is_object() && e.entry.body.find("command") != nullptr))
      return true;
    if (none++ == 0) first = h.seq;
    return true;
  });
  const std::string looked = from ? "the newest " + std::to_string(kLookedAt) + " entries" : "every entry";
  if (!none) return {name, ok, looked + ", as far as the rules asked for one, names a signed command", ""};
  return {
      name, fail,
      std::to_string(none) + (none == 1 ? " entry names" : " entries name") +
          " no signed command, which the rules asked for, the first: entry " + std::to_string(first),
      "kesu ledger verify names each; no command of kesu writes such an entry, and certificates about what "
      "it names fall to asserted"};
}
}  // namespace

std::vector<Check> examine_commands(Vault& vault, bool offline) {
  const std::string name = "signed-commands";
  std::vector<Check> out;
  if (vault.state().vault.closed)
    out.push_back({name, ok, "the vault is closed: nothing is added to it", ""});
  else if (!commands_are_signed(vault.state(), moment_now(vault)))
    out.push_back({name, ok, "the rules in force ask for none", ""});
  else
    out.push_back(could_sign(vault, name, offline));
  out.push_back(named_by_entries(vault, "commands-named"));
  return out;
}

}  // namespace kesu
