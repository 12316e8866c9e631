#include "app/anchors.h"

#include <algorithm>

#include "app/witnessing.h"
#include "crypto/hash.h"

namespace kesu {

namespace {
constexpr const char* kToStamps =
    "put the authority that the rules name back into kesu.toml, its certificate in the file ca; or have the "
    "rules name this one: kesu vault rules --time-authority CA.pem, which approvers sign";
constexpr const char* kToWitness =
    "put the witness that the rules name back into kesu.toml; or have the rules name this one: kesu vault "
    "rules --witness VKEY, which approvers sign";

std::string names(const std::vector<TimeAnchor>& anchors) {
  std::string out;
  for (const TimeAnchor& t : anchors)
    out += (out.empty() ? "" : "; ") + t.name + " (sha256:" + t.sha256.substr(0, 16) + "…)";
  return out;
}

std::string others_text(const TimeAuthority& a) {
  std::string held;
  for (const Bytes& der : a.anchors)
    held += (held.empty() ? "" : "; ") + Certificate::parse(der).subject +
            " (sha256:" + hex(sha256(der)).substr(0, 16) + "…)";
  return a.url + ", whose ca holds " + held;
}

struct Choice {
  std::vector<TimeAuthority> good, others;
};
Choice choose(const std::vector<TimeAuthority>& configured, const Anchors& anchors) {
  Choice out;
  for (const TimeAuthority& a : configured) {
    TimeAuthority bound = a;
    bound.anchors = anchors.allowed(a.anchors);
    (bound.anchors.empty() ? out.others : out.good).push_back(bound.anchors.empty() ? a : bound);
  }
  return out;
}

// What the rules name and no authority of kesu.toml leads to.
std::vector<TimeAnchor> unreached(const std::vector<TimeAuthority>& configured, const Anchors& anchors) {
  std::vector<TimeAnchor> out;
  for (const TimeAnchor& t : anchors.time_authorities)
    if (std::none_of(configured.begin(), configured.end(), [&](const TimeAuthority& a) {
          return std::any_of(a.anchors.begin(), a.anchors.end(),
                             [&](const Bytes& der) { return hex(sha256(der)) == t.sha256; });
        }))
      out.push_back(t);
  return out;
}

bool has(const std::vector<NoteKey>& keys, const NoteKey& key) {
  return std::any_of(keys.begin(), keys.end(), [&](const NoteKey& k) { return k.vkey() == key.vkey(); });
}

std::vector<NoteKey> bound_keys(const Anchors& anchors) {
  std::vector<NoteKey> out;
  for (const std::string& vkey : anchors.witnesses) out.push_back(NoteKey::parse(vkey));
  return out;
}
}  // namespace

Anchors anchors_now(Vault& vault) { return rules_in_force(vault.state(), moment_now(vault)).anchors; }

Anchors anchors_at_request(Vault& vault, const std::string& erasure) {
  return rules_in_force(vault.state(), moment_of(vault.state(), erasure, moment_now(vault))).anchors;
}

Anchors anchors_of_stamp(Vault& vault, const CertificateRecord& certificate) {
  Anchors then = anchors_at_request(vault, certificate.erasure);
  if (certificate.renewals.empty() || !choose(time_authorities(vault.directory()), then).good.empty())
    return then;
  return anchors_now(vault);
}

std::vector<TimeAuthority> authorities_of_rules(Vault& vault, const Anchors& anchors) {
  const std::vector<TimeAuthority> configured = time_authorities(vault.directory());
  if (configured.empty() && !anchors.time_authorities.empty())
    throw Error(
        Code::policy_refused,
        "kesu.toml names no time-stamp authority, and this vault's rules bind whose time-stamps count")
        .cause("the rules name " + names(anchors.time_authorities))
        .next(kToStamps);
  Choice c = choose(configured, anchors);
  for (const TimeAuthority& a : c.others) {
    if (!c.good.empty()) {
      vault.env().notice("not asked, since the rules name other time-stamp authorities: " + others_text(a));
      continue;
    }
    throw Error(Code::policy_refused,
                "the time-stamp authority of kesu.toml is not one of this vault's rules")
        .tried(others_text(a))
        .cause("the rules name " + names(anchors.time_authorities))
        .next(kToStamps);
  }
  return std::move(c.good);
}

bool is_of_rules(const TimestampCheck& token, std::string_view chain, const Anchors& anchors) {
  if (anchors.time_authorities.empty()) return true;
  std::vector<Bytes> others;
  for (const Certificate& c : Certificate::parse_pem(chain)) others.push_back(c.der);
  std::vector<Bytes> all = token.certificates;
  all.insert(all.end(), others.begin(), others.end());
  return timestamp_chain(token, others, anchors.allowed(all)).ok;
}

std::vector<NoteKey> witnesses_of_rules(const std::vector<NoteKey>& keys, const Anchors& anchors) {
  if (anchors.witnesses.empty()) return keys;
  const std::vector<NoteKey> bound = bound_keys(anchors);
  std::vector<NoteKey> out;
  std::copy_if(keys.begin(), keys.end(), std::back_inserter(out),
               [&](const NoteKey& k) { return has(bound, k); });
  return out;
}

std::vector<NoteKey> witnesses_counted(const std::vector<NoteKey>& configured, const Anchors& anchors) {
  return anchors.witnesses.empty() ? configured : bound_keys(anchors);
}

std::vector<NoteKey> witnesses_kept(Vault& vault, const std::vector<NoteKey>& keys) {
  const Anchors now = anchors_now(vault);
  std::vector<NoteKey> out = witnesses_of_rules(keys, now);
  if (now.witnesses.empty()) return out;
  for (const auto& [id, e] : vault.state().erasures)
    if (const Anchors then = anchors_at_request(vault, id); !then.witnesses.empty())
      for (const NoteKey& k : witnesses_of_rules(keys, then))
        if (!has(out, k)) out.push_back(k);
  return out;
}

std::vector<Check> anchor_checks(Vault& vault) {
  std::vector<Check> out;
  const Anchors now = anchors_now(vault);
  if (!now.time_authorities.empty()) {
    const std::vector<TimeAuthority> configured = time_authorities(vault.directory());
    const Choice choice = choose(configured, now);
    for (const TimeAuthority& a : choice.others)
      out.push_back(
          {"time-authority " + a.url, CheckResult::fail,
           "not one of this vault's rules: its ca is not what they name; its time-stamps do not count",
           kToStamps});
    for (const TimeAnchor& t : unreached(configured, now))
      // With none of them left there is no certificate and no renewal.
      out.push_back({"time-authorities", choice.good.empty() ? CheckResult::fail : CheckResult::warn,
                     "the rules name " + t.name + " (sha256:" + t.sha256 +
                         "), and no [[time.authority]] of kesu.toml has it in its ca",
                     "add [[time.authority]] with url and ca to kesu.toml"});
  }
  if (!now.witnesses.empty()) {
    const std::vector<NoteKey> configured = configured_witnesses(vault.directory()), bound = bound_keys(now);
    for (const NoteKey& k : configured)
      if (!has(bound, k))
        out.push_back({"witness " + k.name, CheckResult::fail,
                       "not one of this vault's rules: its cosignatures do not count", kToWitness});
    for (const NoteKey& k : bound)
      if (!has(configured, k))
        out.push_back({"witnesses", CheckResult::warn,
                       "the rules name " + k.vkey() + ", and kesu.toml does not",
                       "add [[witness]] with this vkey to kesu.toml"});
  }
  return out;
}

void add_anchor_due(Vault& vault, std::vector<Due>& due) {
  std::vector<Check> checks;
  try {
    checks = anchor_checks(vault);
  } catch (const Error& e) {
    if (e.code() != Code::bad_input && e.code() != Code::not_found) throw;
    return;  // kesu doctor says what is wrong with kesu.toml
  }
  for (const Check& c : checks)
    due.push_back({"anchors", vault.state().vault.id, c.check, 0, false, c.detail, c.next});
}

}  // namespace kesu
