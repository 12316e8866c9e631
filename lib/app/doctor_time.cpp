// kesu doctor, others' words: do the time authorities of kesu.toml answer, do their answers count, is this
// clock theirs; are there as many witnesses as the profile asks for?
#include "app/anchors.h"
#include "app/clock_watch.h"
#include "app/doctor.h"
#include "app/rules.h"
#include "app/time_authority.h"
#include "app/witnessing.h"
#include "certificate/claims.h"

namespace kesu {

namespace {
using enum CheckResult;

Check ask(Environment& env, const TimeAuthority& authority) {
  const std::string check = "time-authority " + authority.url;
  try {
    const Stamp stamp = ask_authority(env, authority, env.random.bytes(32));
    const std::string who = stamp.check.authority->subject + ", policy " + stamp.check.policy;
    if (const Millis off = stamp.clock_off())
      return {check, fail,
              who + ": this clock is " + std::to_string((std::llabs(off) + 30'000) / 60'000) + " min " +
                  (off > 0 ? "ahead of" : "behind") + " it",
              "set the clock right; times that contradict a time-stamp are no evidence"};
    constexpr Millis kSoon = 90 * 86'400'000LL;
    const Millis ends = stamp.check.authority->not_after;
    const std::string until = who + ", its certificate ends " + utc_text(ends).substr(0, 10);
    return {check, ends - stamp.check.time < kSoon ? warn : ok, until,
            ends - stamp.check.time < kSoon ? "ask the authority when it changes its certificate" : ""};
  } catch (const Error& e) {
    return {check, fail, e.message() + (e.cause().empty() ? "" : ": " + e.cause()),
            e.next().empty() ? "correct [[time.authority]] in kesu.toml, or ask the authority" : e.next()};
  }
}
}  // namespace

std::vector<Check> examine_time(Vault& vault, bool offline) {
  std::vector<Check> out;
  try {
    const std::vector<TimeAuthority> authorities = time_authorities(vault.directory());
    const Profile* profile = find_profile(rules_in_force(vault.state(), moment_now(vault)).profile);
    if (authorities.empty() && profile && profile->timestamp)
      out.push_back(
          {"time-authorities", warn,
           "profile " + profile->name +
               " asks for time-stamps, and kesu.toml names no authority: no erasure can be requested, "
               "and certificates of this vault cannot reach it",
           "add [[time.authority]] with url and ca to kesu.toml"});
    const Anchors bound = anchors_now(vault);
    if (!authorities.empty() && profile && profile->timestamp && bound.time_authorities.empty())
      out.push_back(
          {"time-authority-rules", warn,
           "the rules bind no time-stamp authority: who writes kesu.toml says by whose time waiting "
           "periods end",
           "kesu vault rules --time-authority CA.pem, which approvers sign"});
    for (TimeAuthority a : authorities) {
      a.anchors = bound.allowed(a.anchors);
      if (a.anchors.empty()) continue;  // anchor_checks names it
      out.push_back(offline ? Check{"time-authority " + a.url, ok, "not asked (--offline)", ""}
                            : ask(vault.env(), a));
    }
  } catch (const Error& e) {
    out.push_back(
        {"time-authorities", fail, e.message() + (e.cause().empty() ? "" : ": " + e.cause()), e.next()});
  }
  try {
    const Anchors bound = anchors_now(vault);
    const auto named =
        static_cast<int64_t>(witnesses_of_rules(configured_witnesses(vault.directory()), bound).size());
    const int64_t wanted = witnesses_wanted(vault, bound, static_cast<size_t>(named));
    const std::string count = std::to_string(named) + (named == 1 ? " witness" : " witnesses") +
                              " in kesu.toml" + (bound.witnesses.empty() ? "" : " that the rules name");
    if (named < wanted)
      out.push_back({"witnesses", warn,
                     count + ", and profile or rules ask for the cosignatures of " + std::to_string(wanted),
                     "add [[witness]] with the vkey of one (docs/witness.md) to kesu.toml"});
    else if (named > 0)
      out.push_back({"witnesses", ok, count, ""});
  } catch (const Error& e) {
    out.push_back({"witnesses", fail, e.message(), e.next()});
  }
  try {
    for (Check& c : anchor_checks(vault)) out.push_back(std::move(c));
  } catch (const Error&) {  // said above
  }
  return out;
}

}  // namespace kesu
