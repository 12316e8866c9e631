#include "app/people_review.h"

#include <algorithm>

#include "app/rules.h"
#include "app/rules_change.h"
#include "base/files.h"
#include "base/leftovers.h"
#include "certificate/evidence_chain.h"
#include "crypto/hash.h"
#include "crypto/person_key.h"

namespace kesu {

namespace {
constexpr Millis kOneDay = 86'400'000LL, kNoticeBefore = 30 * kOneDay, kStatementServes = 31 * kOneDay;
constexpr int kYearsBefore = 2;  // an algorithm that ends so soon is named

struct LastUse {
  Millis time = 0;
  std::string signature;  // digest of the last one that is kept
};

// Whoever an entry names as the one who signed, wherever in its body.
void take_uses(const Json& value, Millis time, std::map<std::string, LastUse>& out) {
  if (value.is_array())
    for (const Json& inner : value.as_array()) take_uses(inner, time, out);
  if (!value.is_object()) return;
  const Json *who = value.find("operator"), *signature = value.find("signature");
  if (who && who->is_string() && signature && signature->is_string())
    out[who->as_string()] = {time, signature->as_string()};
  for (const auto& [name, inner] : value.as_object()) take_uses(inner, time, out);
}

std::map<std::string, LastUse> last_uses(Vault& vault) {
  std::map<std::string, LastUse> out;
  vault.store().read(0, vault.state().size, [&](const StoredEntry& e) {
    // Who is enrolled signs nothing of his own by it.
    if (e.entry.header.type != "operator-enrolled") take_uses(e.entry.body, e.entry.header.time, out);
    return true;
  });
  return out;
}

Millis started(Vault& vault) {
  Millis out = 0;
  vault.store().read(0, 1, [&](const StoredEntry& e) {
    out = e.entry.header.time;
    return false;
  });
  return out;
}

// The newest that is recorded; nullptr: none.
const NoticeRecord* last_review(const State& state) {
  const NoticeRecord* out = nullptr;
  for (const auto& [id, n] : state.notices)
    if (n.type == "people-reviewed" && (!out || n.issued >= out->issued)) out = &n;
  return out;
}

Millis next_review(Vault& vault) {
  const NoticeRecord* last = last_review(vault.state());
  return (last ? last->issued : started(vault)) +
         review_interval(rules_in_force(vault.state(), moment_now(vault)).profile);
}

// Whether a security key said that it was touched, and that it was unlocked, when it signed last.
void take_flags(Vault& vault, const SshPublicKey& key, const LastUse& use, ReviewedPerson& out) {
  Json present, verified;
  if (key.is_security_key() && !use.signature.empty()) {
    const SshSignature s = parse_sshsig(as_text(vault.store().blob(use.signature)));
    present = Json((s.sk_flags & 1) != 0);
    verified = Json((s.sk_flags & 4) != 0);
    out.line += std::string(s.sk_flags & 1 ? ", touched" : ", NOT touched") +
                (s.sk_flags & 4 ? " and unlocked" : ", not unlocked") + " when it signed last";
    if (!(s.sk_flags & 4)) out.remarks.push_back("the security key does not ask for PIN or finger");
  }
  out.row.set("present", present).set("verified", verified);
}

void judge_key(const SshPublicKey& key, Millis now, ReviewedPerson& out) {
  const policy::Verdict v =
      judge_evidence({{"", ssh_algorithm(key), policy::Purpose::signature}}).front().verdict;
  const int end = v.horizon_year_new;
  const bool limited = end != policy::kNoLimit;
  out.row.set("strength_bits", v.strength_bits).set("horizon_year_new", limited ? Json(end) : Json());
  // The year of the last new signature is what counts here, not how long data has to stay safe.
  const int left = end - year_of(now);
  if (limited && left < 0) out.remarks.push_back("the policy refuses new signatures with such a key");
  if (limited && left >= 0 && left <= kYearsBefore)
    out.remarks.push_back("the policy allows such a key until " + std::to_string(end));
}

ReviewedPerson reviewed(Vault& vault, const OperatorRecord& p, const LastUse& use, Millis interval) {
  const Moment now = moment_now(vault);
  ReviewedPerson out{operator_json(vault.state(), p, now), "", {}};
  const PersonKey key = PersonKey::parse_line(p.public_key);
  const std::string& state = out.row.str("state");
  std::string roles;
  for (const Json& r : out.row.at("roles").as_array()) {
    roles += (roles.empty() ? "" : ", ") + r.str("role");
    if (!r.at("until").is_string()) continue;
    const Millis until = *parse_utc(r.str("until"));
    roles += " until " + r.str("until");
    if (state == "enrolled" && until <= now.time) out.remarks.push_back(r.str("role") + " is over");
    if (state == "enrolled" && until > now.time && until - now.time <= kNoticeBefore)
      out.remarks.push_back(r.str("role") + " ends soon");
  }
  out.line = p.name + " (" + p.id.substr(0, 12) + "), " + p.title + ": " + state + "; " +
             (roles.empty() ? "no role" : roles);
  if (out.row.at("until").is_string()) out.line += "; enrolled until " + out.row.str("until");
  out.line += "; " + person_key_type(key) + " " + p.fingerprint +
              (key.certificate ? ", valid until " + utc_text(key.certificate->not_after) : "") + "; " +
              (use.time ? "signed last " + utc_text(use.time) : "never signed");
  out.row.set("last_used", use.time ? Json(utc_text(use.time)) : Json());
  take_flags(vault, key.ssh, use, out);
  if (state == "enrolled") {
    judge_key(key.ssh, now.time, out);
    if (key.certificate && key.certificate->not_after - now.time <= kNoticeBefore)
      out.remarks.push_back(key.certificate->not_after <= now.time ? "the certificate is over"
                                                                   : "the certificate ends soon");
    if (now.time - use.time > interval)
      out.remarks.push_back(use.time ? "signed nothing since the last review was due"
                                     : "never signed anything");
  } else {
    out.row.set("strength_bits", Json()).set("horizon_year_new", Json());
  }
  for (const std::string& remark : out.remarks) out.line += "; " + remark;
  Json remarks((Json::Array()));
  for (const std::string& remark : out.remarks) remarks.push(remark);
  out.row.set("remarks", remarks);
  return out;
}

// The role in which a person may review; throws not_enrolled.
std::string reviewer_role(Vault& vault, const OperatorRecord& person) {
  const Moment now = moment_now(vault);
  for (const char* role : {"auditor", "approver"})
    if (role_problem(vault.state(), person, role, now, now.time).empty()) return role;
  needs_role(vault.state(), person, "approver", now, now.time, "an approver or an auditor reviews");
  throw Error(Code::not_enrolled, person.name + " neither approves nor audits");
}

std::string text_of(Vault& vault, const OperatorRecord& person, const std::string& note, Millis issued) {
  Json people((Json::Array()));
  for (const ReviewedPerson& p : review_people(vault).people) people.push(p.line);
  return Json::object(
             {{"issued", utc_text(issued)},
              {"name", person.name},
              {"note", note},
              {"operator", person.id},
              {"organisation", vault.state().vault.organisation},
              {"people", people},
              {"role", reviewer_role(vault, person)},
              {"summary", Json(Json::Array{"Has looked at everybody named here, their roles and keys",
                                           "Lets them go on as they are, but for what the note says"})},
              {"type", kReviewNamespace},
              {"vault", vault.state().vault.id}})
      .pretty();
}

// The one that was written before, while what it says is so; else a new one.
std::string statement_for(Vault& vault, const OperatorRecord& person, const std::string& note) {
  const Millis now = vault.now();
  const std::string path = path_join(path_join(vault.directory(), "plans"), "review-" + person.id + ".json");
  if (auto before = read_file_if_there(path, 1 << 20)) try {
      const auto issued = parse_utc(parse_json(as_text(*before), "review", {}).str("issued"));
      const NoticeRecord* last = last_review(vault.state());
      if (issued && (!last || *issued > last->issued) && *issued <= now &&
          now - *issued <= kStatementServes && text_of(vault, person, note, *issued) == as_text(*before))
        return to_text(*before);
    } catch (const Error&) {  // not ours any more: written anew
    }
  const std::string text = text_of(vault, person, note, now);
  make_directories(dir_name(path));
  write_file_durable(path, as_bytes(text), 0644);
  return text;
}
}  // namespace

Millis review_interval(std::string_view profile) {
  return (profile == "high" ? 91 : profile == "standard" ? 182 : 365) * kOneDay;
}

PeopleReview review_people(Vault& vault) {
  PeopleReview out{{}, 0, next_review(vault), ""};
  if (const NoticeRecord* last = last_review(vault.state())) {
    const auto who = vault.state().operators.find(last->notice);
    out.last = last->issued;
    out.last_by = who == vault.state().operators.end() ? last->notice : who->second.name;
  }
  const Millis interval = review_interval(rules_in_force(vault.state(), moment_now(vault)).profile);
  std::map<std::string, LastUse> uses = last_uses(vault);
  for (const auto& [id, p] : vault.state().operators)
    out.people.push_back(reviewed(vault, p, uses[id], interval));
  return out;
}

Json to_json(const PeopleReview& review) {
  Json people((Json::Array()));
  for (const ReviewedPerson& p : review.people) people.push(p.row);
  return Json::object({{"people", people},
                       {"last", review.last ? Json(utc_text(review.last)) : Json()},
                       {"last_by", review.last ? Json(review.last_by) : Json()},
                       {"next", utc_text(review.next)}});
}

std::string export_review(Vault& vault, const OperatorRecord& person, const std::string& note,
                          const std::string& file) {
  write_output(file, as_bytes(statement_for(vault, person, note)), 0644);
  return std::string(kReviewNamespace);
}

void record_review(Vault& vault, const OperatorRecord& found, const std::string& note,
                   const SignatureSource& source) {
  const std::string who = found.id;
  vault.rebuild();  // who may do what is the ledger's to say, not a register's
  const OperatorRecord person = vault.find_operator(who);
  const std::string text = statement_for(vault, person, note);
  const Millis issued = *parse_utc(parse_json(text, "review", {}).str("issued"));
  const std::string armored = obtain_signature(text, std::string(kReviewNamespace), person, source,
                                               "the same command with --export FILE");
  const std::string document = vault.store().put_blob(as_bytes(text));
  const std::string id = vault.env().random.id<DocumentId>().str();
  const Event event{.type = "document-attached",
                    .nodes = {{.id = id, .is = "attached", .d = document}},
                    .body = Json::object({{"what", "people-reviewed"},
                                          {"detail", note},
                                          {"operator", person.id},
                                          {"document", document},
                                          {"signature", vault.store().put_blob(as_bytes(armored))}})};
  vault.decide({vault.state().vault.id, id}, [&] {
    if (text_of(vault, vault.find_operator(who), note, issued) != text)
      throw Error(Code::conflict, "people, their roles or what they signed changed meanwhile")
          .next("run the same command again: there is a new statement to sign");
    return std::vector<Event>{event};
  });
}

void add_review_due(Vault& vault, std::vector<Due>& due) {
  const VaultRecord& v = vault.state().vault;
  if (v.closed) return;
  const Millis at = next_review(vault), now = vault.now();
  if (at - now > kNoticeBefore) return;
  due.push_back({"people-review", v.id, "people", at, at <= now,
                 std::string("people and their rights ") + (at <= now ? "were" : "are") +
                     " to be reviewed by " + local_text(at).substr(0, 10),
                 "kesu operator review; then the same with --record --as NAME --key FILE"});
}

}  // namespace kesu
