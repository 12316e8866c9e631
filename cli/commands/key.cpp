// kesu key: the group; create, show, rotate
#include "../context.h"
#include "app/census.h"
#include "app/fingerprints.h"
#include "app/key_states.h"
#include "app/keys.h"
#include "app/rules.h"
#include "key_group.h"

namespace kesu::cli {

namespace {
std::string times_text(const VersionRecord& v) {
  if (v.destroyed) return local_text(v.destroyed);
  if (v.compromised) return local_text(v.compromised);
  return v.deactivated ? local_text(v.deactivated) : "-";
}

std::string key_text(const State& s, const KeyRecord& k) {
  Json j = key_json(s, k);
  std::string out = k.name + "   " + brief(k.id) + "   " + j.str("role") + " " + j.str("algorithm") + " in " +
                    j.str("provider") + "\n";
  Table t({"  VERSION", "STATE", "ORIGIN", "CREATED", "PROTECTS UNTIL", "OPENS UNTIL", "ENDED", "OBJECT"});
  auto until = [](int64_t period, Millis end) {
    return end ? local_text(end) : period ? period_text(period) + " from activation" : std::string("-");
  };
  for (const VersionRecord& v : k.versions)
    t.add({"  " + std::to_string(v.number()), v.state + (v.receipt_lost ? " (receipt lost)" : ""), v.origin,
           v.created ? local_text(v.created) : "-", until(v.originator, v.protect_until()),
           until(v.recipient, v.process_until()), times_text(v), v.ref ? v.ref->label : "-"});
  out += t.str();
  for (const VersionRecord& v : k.versions) {
    std::string line;
    if (!v.reason.empty()) line = v.reason;
    if (v.occurred) line += "; it happened " + local_text(v.occurred);
    if (v.destroyed && !v.erasure.empty()) line += (line.empty() ? "" : "; ") + ("by " + brief(v.erasure));
    for (const AttestationRecord& a : v.attested) {
      auto who = s.operators.find(a.operator_id);
      line += (line.empty() ? "" : "; ") +
              ("attended by " + (who == s.operators.end() ? a.operator_id : who->second.name)) + " (" +
              a.role + ")";
    }
    if (!line.empty()) out += "  " + std::to_string(v.number()) + ": " + line + "\n";
  }
  for (auto& [id, copy] : s.copies)
    if (copy.state == "open" && std::any_of(copy.versions.begin(), copy.versions.end(),
                                            [&](const std::string& v) { return k.find(v); }))
      out += "  copy     " + copy.kind + " at " + copy.place + ", " + copy.custodian + "   open   (" +
             brief(id) + ")\n";
  for (auto& [id, d] : s.datasets)
    if (d.key == k.id)
      out += "  dataset  " + d.name + "   " + d.state + "   " + grouped(d.objects()) + " objects\n";
  return out;
}

// What profile high wants of a new version, while it can still be had.
std::string attest_hint(Vault& v, const VersionRecord& made) {
  const ProviderRecord& p = v.state().providers.at(made.provider);
  if (rules_in_force(v.state(), moment_now(v)).profile != "high" || p.identity.kind == "soft") return "";
  return "next   kesu key attest " + version_name(v.state(), made) +
         " --as AUDITOR, within a day and before anything is sealed under it: profile high asks for it\n";
}

std::optional<int64_t> period_of(const std::string& word, const char* option) {
  if (word.empty()) return std::nullopt;
  if (auto p = parse_period(word)) return p;
  throw Error(Code::usage, std::string(option) + " takes a length, not " + word)
      .next("such as 90d, 2y, 36h, or none");
}
}  // namespace

void period_options(CLI::App* cmd, PeriodWords& words) {
  cmd->add_option("--originator-period", words.originator,
                  "how long it protects new data, from activation: 90d, 2y (suggested), none");
  cmd->add_option("--recipient-period", words.recipient,
                  "how long it opens what it protected, from activation (suggested: 3 years more), or none");
}
void read_periods(KeyDraft& draft, const PeriodWords& words) {
  draft.originator = period_of(words.originator, "--originator-period");
  draft.recipient = period_of(words.recipient, "--recipient-period");
}
// A length beyond the standard's suggestion is the owner's decision; it is said, once, where it is made.
void notice_periods(Context& c, const VersionRecord& v) {
  std::string why = longer_than_suggested("wrap", {v.originator, v.recipient});
  if (!why.empty()) c.env().notice(why);
}

void setup_key(CLI::App& app, Context& c) {
  CLI::App* group = app.add_subcommand("key", "keys and their versions");
  group->require_subcommand(1);
  struct Options {
    std::vector<std::string> names;
    std::string name, fingerprints_of;
    KeyDraft draft;
    PeriodWords periods;
  };
  auto o = std::make_shared<Options>();

  CLI::App* cmd = group->add_subcommand(
      "create",
      "make keys in a provider, active at once\n\n  kesu key create loans cards --originator-period 1y");
  cmd->add_option("NAME", o->names, "one or more")->required();
  cmd->add_option("--provider", o->draft.provider, "which, where there are several");
  cmd->add_flag("--pre-activation", o->draft.pre_activation, "not to be used before kesu key activate");
  period_options(cmd, o->periods);
  cmd->add_option("--wrap-quota", o->draft.wrap_quota,
                  "data keys that one version may wrap (default 2147483648)");
  auto* prints = cmd->add_option("--fingerprints-of", o->fingerprints_of,
                                 "a key for the fingerprints of this dataset alone, beforehand (kesu key "
                                 "attest); else kesu seal makes it");
  for (const char* other : {"--pre-activation", "--originator-period", "--recipient-period", "--wrap-quota"})
    prints->excludes(other);
  on_run(cmd, [&c, o] {
    read_periods(o->draft, o->periods);
    Vault& v = c.open(Access::write);
    const auto make = [&] {
      if (o->fingerprints_of.empty()) return create_keys(v, o->names, o->draft);
      if (o->names.size() != 1) throw Error(Code::usage, "a dataset's fingerprints take one key");
      return std::vector<std::string>{
          make_fingerprint_version(v, v.find_dataset(o->fingerprints_of).id, o->names[0], o->draft.provider)};
    };
    Json all(Json::Array{});
    std::string text;
    for (const std::string& id : make()) {
      const KeyRecord& k = v.state().keys.at(id);
      if (all.size() == 0) notice_periods(c, k.versions.back());
      text += "Key " + k.name + " (" + brief(id) + "), version 1, is " + k.state() + " in " +
              v.state().providers.at(k.provider).name + "\n" + attest_hint(v, k.versions.back());
      all.push(key_json(v.state(), k));
    }
    v.checkpoint();
    c.show(o->names.size() == 1 ? all.as_array().at(0) : all, text);
  });

  cmd = group->add_subcommand("show", "one key: its versions, periods, copies and datasets");
  cmd->add_option("KEY", o->name)->required();
  on_run(cmd, [&c, o] {
    Vault& v = c.open(Access::read);
    const KeyRecord& k = v.state().keys.at(find_key_word(v, o->name).key);
    std::string text = key_text(v.state(), k);
    for (const VersionRecord& version : k.versions)
      if (std::string held = stays(version) ? census_text(v.state(), census(v.state(), version)) : "";
          !held.empty())
        text += "  holds    " + version_name(v.state(), version) + "   " + held + "\n";
    c.show(key_json(v.state(), k), text);
  });

  cmd = group->add_subcommand(
      "rotate", "a new version; one that was active only opens from now on\n\n  kesu key rotate loans");
  cmd->add_option("KEY", o->name)->required();
  cmd->add_flag("--pre-activation", o->draft.pre_activation,
                "the new version waits for kesu key activate; the one before stays as it is till then");
  period_options(cmd, o->periods);
  cmd->add_option("--wrap-quota", o->draft.wrap_quota,
                  "data keys that one version may wrap (default 2147483648)");
  on_run(cmd, [&c, o] {
    read_periods(o->draft, o->periods);
    Vault& v = c.open(Access::write);
    KeyWord word = find_key_word(v, o->name);
    if (word.number)
      throw Error(Code::usage, "a key is rotated, not one of its versions")
          .next("kesu key rotate " + v.state().keys.at(word.key).name);
    const VersionRecord made = *v.state().version(rotate_key(v, word.key, o->draft));
    notice_periods(c, made);
    v.checkpoint();
    const KeyRecord& now = v.state().keys.at(word.key);
    std::string text = "Key " + now.name + ": version " + std::to_string(made.number()) + " is " +
                       made.state + "; what older versions sealed opens as before\n" + attest_hint(v, made);
    for (const VersionRecord& older : now.versions) {
      if (older.state == "suspended")
        text += "but what " + version_name(v.state(), older) +
                " sealed does not: it is suspended   next: " + how_to_end_suspension(v.state(), older) + "\n";
      if (older.state == "compromised")
        text += "but what " + version_name(v.state(), older) +
                " sealed does not: it is compromised   next: kesu rewrap DATASET\n";
    }
    c.show(key_json(v.state(), now), text);
  });

  setup_key_list(*group, c);
  setup_key_states(*group, c);
  setup_key_import(*group, c);
  setup_key_restore(*group, c);
  setup_key_extend(*group, c);
  setup_key_attest(*group, c);
  setup_key_destroy(*group, c);
}

}  // namespace kesu::cli
