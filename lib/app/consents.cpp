#include "app/consents.h"

#include <set>

#include "app/rules.h"
#include "base/files.h"
#include "crypto/hash.h"

namespace kesu {

namespace {
constexpr size_t kMaxFile = size_t{1} << 18;

std::string plans_path(Vault& vault, const std::string& name) {
  return path_join(path_join(vault.directory(), "plans"), name);
}
std::string draft_path(Vault& vault, const ConsentForm& form, const std::string& person) {
  return plans_path(
      vault, form.subject + "." + person + "." + hex(sha256(as_bytes(form.reason))).substr(0, 16) + ".json");
}
std::string consent_path(Vault& vault, const ConsentForm& form, const std::string& person) {
  return plans_path(vault, form.subject + "." + person + ".consent");
}

// Exactly what this person would sign, issued in time.
bool fits(Vault& vault, const ConsentForm& form, const OperatorRecord& person, const std::string& text) {
  try {
    const Millis issued = form.issued_of(text), now = vault.now();
    return form.text(person, issued) == text && issued >= form.not_before && issued <= now &&
           now - issued <= form.max_age;
  } catch (const Error&) {  // no statement of this form
    return false;
  }
}
}  // namespace

std::string consent_text(Vault& vault, const ConsentForm& form, const OperatorRecord& person) {
  const std::string path = draft_path(vault, form, person.id);
  if (auto before = read_file_if_there(path, kMaxFile))
    if (std::string text = to_text(*before); fits(vault, form, person, text)) return text;
  const std::string text = form.text(person, vault.now());
  make_directories(dir_name(path), 0700);
  write_file_durable(path, as_bytes(text), 0600);
  return text;
}

void keep_consent(Vault& vault, const ConsentForm& form, const OperatorRecord& person,
                  const std::string& text, const std::string& armored) {
  write_file_durable(consent_path(vault, form, person.id),
                     as_bytes(Json::object({{"statement", text}, {"signature", armored}}).canonical()), 0600);
}

std::vector<Consent> consents(Vault& vault, const ConsentForm& form) {
  std::vector<Consent> out;
  std::set<std::string> keys;
  const Moment now = moment_now(vault);
  for (auto& [id, person] : vault.state().operators) {
    if (!role_problem(vault.state(), person, "approver", now, now.time).empty()) continue;
    const auto file = read_file_if_there(consent_path(vault, form, id), kMaxFile);
    if (!file) continue;
    try {
      const Json both = parse_json(as_text(*file), "consent");
      const std::string text = both.str("statement"), armored = both.str("signature");
      if (fits(vault, form, person, text) &&
          signature_problem(text, armored, form.name_space, person.public_key).empty() &&
          keys.insert(person.fingerprint).second)
        out.push_back({id, text, armored});
    } catch (const Error&) {  // no consent: it does not count
    }
  }
  return out;
}

Json approvals_json(Vault& vault, const std::vector<Consent>& consents) {
  Json out(Json::Array{});
  for (const Consent& c : consents)
    out.push(Json::object({{"operator", c.person},
                           {"statement", vault.store().put_blob(as_bytes(c.text))},
                           {"signature", vault.store().put_blob(as_bytes(c.armored))}}));
  return out;
}

}  // namespace kesu
