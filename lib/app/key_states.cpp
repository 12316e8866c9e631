#include "app/key_states.h"

#include <ctime>

#include "app/actor.h"
#include "app/datasets.h"
#include "app/settle.h"
#include "app/tombstones.h"

namespace kesu {

namespace {
struct Step {
  KeyAct act;
  KeyState to;
  const char* done;  // "it cannot be …"
};
constexpr Step kSteps[] = {{KeyAct::activate, KeyState::active, "activated"},
                           {KeyAct::suspend, KeyState::suspended, "suspended"},
                           {KeyAct::resume, KeyState::active, "resumed"},
                           {KeyAct::deactivate, KeyState::deactivated, "deactivated"},
                           {KeyAct::compromise, KeyState::compromised, "marked compromised"}};
const Step& step_of(KeyAct act) {
  for (const Step& s : kSteps)
    if (s.act == act) return s;
  throw Error(Code::failed, "no such change of a key's state");
}

// Where `act` would bring a version in this state; nullopt: the table knows no such way.
std::optional<KeyState> target(KeyAct act, KeyState from) {
  KeyState to = step_of(act).to;
  if (act == KeyAct::compromise && from == KeyState::destroyed) to = KeyState::destroyed_compromised;
  if (act == KeyAct::activate && from != KeyState::pre_activation) return std::nullopt;
  if (act == KeyAct::resume && from != KeyState::suspended) return std::nullopt;
  // A way out of kesu's own brackets is the provider's answer, never a command.
  if (from == KeyState::intended || from == KeyState::destroying) return std::nullopt;
  return may_move(from, to) ? std::optional(to) : std::nullopt;
}

std::string possible_from(KeyState from) {
  if (from == KeyState::destroying || from == KeyState::intended)
    return "nothing until its provider has answered: the next command that writes asks it";
  std::string out;
  for (KeyState to : moves_from(from)) {
    const char* command = to == KeyState::active && from == KeyState::suspended ? "kesu key resume"
                          : to == KeyState::active                              ? "kesu key activate"
                          : to == KeyState::suspended                           ? "kesu key suspend"
                          : to == KeyState::deactivated                         ? "kesu key deactivate"
                          : to == KeyState::compromised || to == KeyState::destroyed_compromised
                              ? "kesu key compromise"
                              : "kesu key destroy, or an erasure";
    std::string name(to == KeyState::destroying ? "destroyed" : state_text(to));
    out += (out.empty() ? "" : "; ") + name + " (" + command + ")";
  }
  return out.empty() ? "nothing any more" : out;
}

Error forbidden(const State& state, const VersionRecord& v, KeyAct act) {
  KeyState from = parse_key_state(v.state).value_or(KeyState::absent);
  return Error(Code::state_refused, "key version " + version_name(state, v) + " is " + v.state +
                                        ": it cannot be " + step_of(act).done)
      .cause("the transitions of NIST SP 800-57 Part 1 Rev. 5 §7.3 (docs/spec/keys.md)")
      .next("possible from " + v.state + ": " + possible_from(from));
}

Error in_state(const State& state, const VersionRecord& v, const char* cannot, const std::string& next) {
  return Error(Code::state_refused,
               "key version " + version_name(state, v) + " is " + v.state + " and " + cannot)
      .cause(v.reason)
      .next(next.empty() ? "kesu key show " + state.key_of(v.id)->name : next);
}

UsagePhase phase_of(Vault& vault, const VersionRecord& v) {
  return phase_at(vault.now(), v.protect_until(), v.process_until());
}

std::string all_of(const State& state, const std::vector<const VersionRecord*>& versions) {
  std::string out;
  for (const VersionRecord* v : versions)
    out += (out.empty() ? "" : ", ") + version_name(state, *v) + " (" + v->state + ")";
  return out;
}
}  // namespace

std::string version_name(const State& state, const VersionRecord& v) {
  const KeyRecord* key = state.key_of(v.id);
  return (key ? key->name : v.version().key.brief()) + "." + std::to_string(v.number());
}

std::string how_to_activate(const State& state, const KeyRecord& key) {
  std::string out = "kesu key rotate " + key.name;
  for (const VersionRecord& v : key.versions) {
    if (v.state == "suspended") out = how_to_end_suspension(state, v);
    if (v.state == "pre-activation") out = "kesu key activate " + version_name(state, v) + " --reason TEXT";
  }
  return out;
}

std::string how_to_end_suspension(const State& state, const VersionRecord& v) {
  const KeyRecord* key = state.key_of(v.id);
  const std::string command = key && key->active() ? "kesu key deactivate " : "kesu key resume ";
  return command + version_name(state, v) + " --reason TEXT";
}

void refuse_to_protect(Vault& vault, const VersionRecord& v) {
  auto state = parse_key_state(v.state);
  UsagePhase phase = phase_of(vault, v);
  if (state && may_protect(*state, phase)) return refuse_buried(vault, v);
  if (state && may_protect(*state))
    throw Error(Code::period_over, "the period in which key version " + version_name(vault.state(), v) +
                                       " protects new data ended at " + local_text(v.protect_until()))
        .cause("its originator-usage period, NIST SP 800-57 Part 1 Rev. 5 §5.3")
        .next("kesu key rotate " + vault.state().key_of(v.id)->name +
              "; or an approver's exception: kesu key extend");
  throw in_state(vault.state(), v, "protects nothing new",
                 v.state == "suspended" ? how_to_end_suspension(vault.state(), v) : "");
}

void refuse_to_process(Vault& vault, const VersionRecord& v, ProcessFor why) {
  auto state = parse_key_state(v.state);
  UsagePhase phase = phase_of(vault, v);
  if (state && may_process(*state, phase, why)) {
    if (why != ProcessFor::erasing) refuse_buried(vault, v);  // what came back may be destroyed again
    return;
  }
  if (state && may_process(*state, UsagePhase::originating, why))
    throw Error(Code::period_over, "the period in which key version " + version_name(vault.state(), v) +
                                       " opens what it protected ended at " + local_text(v.process_until()))
        .cause("its recipient-usage period, NIST SP 800-57 Part 1 Rev. 5 §5.3")
        .next(
            "kesu rewrap DATASET moves its data keys to the active version; or an approver's exception: "
            "kesu key extend");
  std::string next;
  if (v.state == "suspended") next = how_to_end_suspension(vault.state(), v);
  if (v.state == "compromised")
    next =
        "kesu rewrap DATASET moves its data keys away; kesu open --accept-compromised REASON opens, and is "
        "recorded";
  if (v.state == "pre-activation") next = how_to_activate(vault.state(), *vault.state().key_of(v.id));
  throw in_state(vault.state(), v, "opens nothing", next);
}

KeyWord find_key_word(Vault& vault, const std::string& text, uint32_t number) {
  KeyWord out;
  size_t dot = text.rfind('.');
  std::string digits = dot == std::string::npos ? "" : text.substr(dot + 1);
  bool numbered = !digits.empty() && digits.size() < 10 && digits[0] != '0' &&
                  digits.find_first_not_of("0123456789") == std::string::npos;
  if (!numbered) {
    out.key = vault.find_key(text).id;
  } else {
    for (auto& [id, k] : vault.state().keys)  // a name may end like a version's number
      if (k.name == text) out.key = id;
    if (out.key.empty()) {
      out.key = vault.find_key(text.substr(0, dot)).id;
      out.number = static_cast<uint32_t>(std::stoul(digits));
    }
  }
  if (number && out.number && number != out.number)
    throw Error(Code::usage, text + " and --version " + std::to_string(number) + " name two versions");
  if (number) out.number = number;
  const KeyRecord& key = vault.state().keys.at(out.key);
  if (out.number && !key.find(key.id + "." + std::to_string(out.number)))
    throw Error(Code::not_found, key.name + " has no version " + std::to_string(out.number))
        .next("kesu key show " + key.name);
  return out;
}

std::vector<std::string> key_streams(const State& state, const KeyRecord& key) {
  std::vector<std::string> out = {state.vault.id};
  for (const VersionRecord& v : key.versions) out.push_back(v.id);
  return out;
}

std::vector<std::string> versions_meant(const State& state, const StateOrder& order) {
  const KeyRecord& key = state.keys.at(order.which.key);
  if (key.purpose != KeyPurpose::wrap && order.act != KeyAct::compromise)
    throw Error(Code::state_refused, key.name + " is a " + std::string(purpose_text(key.purpose)) +
                                         " key of the vault itself: it cannot be " + step_of(order.act).done)
        .cause("the vault works with it as long as it lives, and this program does not rotate it")
        .next("only a compromise of it can be recorded: kesu key compromise " + key.name);
  auto leads = [&](const VersionRecord& v) {
    auto from = parse_key_state(v.state);
    return from && target(order.act, *from);
  };
  if (order.which.number) {
    const VersionRecord& v = *key.find(key.id + "." + std::to_string(order.which.number));
    if (!leads(v)) throw forbidden(state, v, order.act);
    return {v.id};
  }
  std::vector<const VersionRecord*> fit;
  for (const VersionRecord& v : key.versions)
    if (leads(v)) fit.push_back(&v);
  if (fit.empty()) throw forbidden(state, key.versions.back(), order.act);
  if (fit.size() > 1 && !order.all_versions)
    throw Error(Code::usage, "which version of " + key.name + "?")
        .cause(all_of(state, fit))
        .next("name one, as in " + version_name(state, *fit.back()) +
              (order.act == KeyAct::compromise ? ", or say --all-versions" : ""));
  std::vector<std::string> out;
  for (const VersionRecord* v : fit) out.push_back(v->id);
  return out;
}

namespace {
Event moved(const VersionRecord& v, KeyState to, const std::string& reason, Millis occurred) {
  Json body = Json::object({{"from", v.state}, {"reason", reason}, {"actor", this_process()}});
  if (occurred) body.set("occurred", utc_text(occurred));
  return {.type = "key-state-changed",
          .nodes = {{.id = v.id, .is = std::string(state_text(to))}},
          .body = std::move(body)};
}

void refuse_to_resume(Vault& vault, const KeyRecord& key, const VersionRecord& v) {
  const State& state = vault.state();
  if (const VersionRecord* other = key.active())
    throw Error(Code::state_refused, "key version " + version_name(state, v) +
                                         " cannot be resumed: " + version_name(state, *other) + " is active")
        .cause("one version of a key is active at a time")
        .next(how_to_end_suspension(state, v) + ": it then opens what it sealed");
  if (phase_of(vault, v) != UsagePhase::originating)
    throw Error(Code::period_over, "key version " + version_name(state, v) +
                                       " cannot be resumed: its period for protecting new data ended at " +
                                       local_text(v.protect_until()))
        .cause("NIST SP 800-57 Part 1 Rev. 5 §7.3, transition 10")
        .next("kesu key deactivate " + version_name(state, v) +
              " --reason TEXT lets it open what it sealed; or an approver's exception: kesu key extend");
}
}  // namespace

std::vector<std::string> change_state(Vault& vault, const StateOrder& order) {
  if (order.reason.empty())
    throw Error(Code::usage, "why? --reason TEXT stays in the ledger with the change");
  if (order.occurred > vault.now())
    throw Error(Code::bad_input, "a compromise cannot have occurred in the future")
        .cause("now is " + utc_text(vault.now()))
        .next("--occurred with the time when it happened, or leave it out");
  settle(vault);
  std::vector<std::string> meant;
  vault.decide(key_streams(vault.state(), vault.state().keys.at(order.which.key)), [&] {
    const State& state = vault.state();
    const KeyRecord& key = state.keys.at(order.which.key);
    meant = versions_meant(state, order);
    if (order.act != KeyAct::compromise) refuse_reserved(state, key);
    std::vector<Event> events;
    for (const std::string& id : meant) {
      const VersionRecord& v = *state.version(id);
      if (order.act == KeyAct::resume) refuse_to_resume(vault, key, v);
      // A day stands for its first instant: that of the birth is not before it.
      if (order.occurred && order.occurred + kDay * 1000 <= v.created && v.origin == "generated")
        throw Error(Code::bad_input,
                    "a compromise of " + version_name(state, v) + " cannot have occurred before it was made")
            .cause("it was generated at " + utc_text(v.created))
            .next("--occurred with the time when it happened, or leave it out");
      KeyState to = *target(order.act, *parse_key_state(v.state));
      if (const VersionRecord* before = key.active(); order.act == KeyAct::activate && before)
        events.push_back(moved(*before, KeyState::deactivated,
                               "replaced: version " + std::to_string(v.number()) + " is active", 0));
      events.push_back(moved(v, to, order.reason, order.occurred));
    }
    return events;
  });
  return meant;
}

Millis read_time(const std::string& text, bool end_of_day) {
  static constexpr const char* kRest[] = {"", ":00.000Z", ".000Z"};
  if (auto exact = parse_utc(text)) return *exact;
  if (text.size() > 11 && text.back() == 'Z')
    for (const char* rest : kRest)
      if (auto t = parse_utc(text.substr(0, text.size() - 1) + rest)) return *t;
  if (auto day = parse_utc(text + "T12:00:00.000Z"); day && text.size() == 10) {
    // The calendar of where the command runs: what is printed there is what is typed there.
    std::tm tm{};
    tm.tm_year = std::stoi(text.substr(0, 4)) - 1900;
    tm.tm_mon = std::stoi(text.substr(5, 2)) - 1;
    tm.tm_mday = std::stoi(text.substr(8, 2)) + (end_of_day ? 1 : 0);
    tm.tm_isdst = -1;
    return static_cast<Millis>(std::mktime(&tm)) * 1000;
  }
  throw Error(Code::bad_input, text + " is no time")
      .next("a day such as 2026-11-21 (local time), or a time such as 2026-11-21T09:12:00Z");
}

}  // namespace kesu
