// kesu operator list, review, add, grant, withdraw, renew, revoke, sign, changes; kesu vault rules
#include "../context.h"
#include "anchor_options.h"
#include "app/key_states.h"
#include "app/people_review.h"
#include "app/rules_change.h"

namespace kesu::cli {

namespace {
struct Options {
  Newcomer newcomer;
  std::string person, role, until, reason, by, change, key, signature, export_to, profile;
  std::string signed_commands;
  AnchorOrder anchors;
  int64_t quorum = 0, waiting = -1;
};
using Shared = std::shared_ptr<Options>;

Millis end_of(const std::string& text) { return text.empty() ? 0 : read_time(text, true); }

std::string progress_text(Vault& v, const Proposal& p) {
  std::string out;
  for (const std::string& line : p.statement.summary()) out += "  " + line + "\n";
  if (p.entry)
    return "Recorded as entry " + std::to_string(*p.entry) + ":\n" + out + "  in force      from " +
           local_text(p.effective) + " on\n";
  out = "Not recorded yet: change " + p.id + "\n" + out + "  approvals     " +
        std::to_string(p.signed_by.size()) + " of " + std::to_string(p.need) + "\n";
  if (p.newcomer_missing)
    out += "  missing       " + p.statement.change.name + "'s own signature: kesu operator sign " + p.id +
           " --as \"" + p.statement.change.name + "\" --key FILE\n";
  if (static_cast<int64_t>(p.signed_by.size()) < p.need)
    out += "  missing       approvers: kesu operator sign " + p.id + " --as APPROVER --key FILE\n";
  (void)v;
  return out;
}

void sign(Context& c, Vault& v, const Options& o, const std::string& id, const std::string& person) {
  if (!o.export_to.empty()) return c.show_statement(person, o.export_to, export_change(v, id, o.export_to));
  const Proposal p = sign_change(v, id, person, {o.key, o.signature});
  if (p.entry) v.checkpoint();
  c.show(proposal_json(v.state(), p), progress_text(v, p));
  if (!p.entry) c.exit = Exit::not_yet;
}

void signing_options(CLI::App* cmd, const Shared& o) {
  cmd->add_option("--key", o->key, "SSH key to sign with, or its .pub when an agent holds it");
  cmd->add_option("--signature", o->signature, "a signature made elsewhere over the exported statement");
  cmd->add_option("--export", o->export_to, "write the statement to be signed elsewhere, and stop");
}

// A command that proposes a change and signs it for the first approver; `make` says what is meant.
void on_change(CLI::App* cmd, Context& c, const Shared& o,
               const std::function<RuleChange(Vault&, const OperatorRecord*)>& make) {
  cmd->add_option("--reason", o->reason, "why; it is part of what is signed")->required();
  cmd->add_option("--by", o->by, "the approver who signs; others follow with kesu operator sign")->required();
  signing_options(cmd, o);
  on_run(cmd, [&c, o, make] {
    Vault& v = c.open(Access::write);
    v.rebuild();
    const std::string by = v.find_operator(o->by).id;
    const OperatorRecord person = o->person.empty() ? OperatorRecord() : v.find_operator(o->person);
    sign(c, v, *o, propose_change(v, make(v, o->person.empty() ? nullptr : &person), o->reason), by);
  });
}

void list_people(Context& c) {
  Vault& v = c.open(Access::read);
  const Moment now = moment_now(v);
  Json out(Json::Array{});
  Table t({"ID", "NAME", "STATE", "ROLES", "UNTIL", "KEY"});
  for (const auto& [id, p] : v.state().operators) {
    Json j = operator_json(v.state(), p, now);
    std::string roles;
    for (const Json& r : j.at("roles").as_array())
      roles += (roles.empty() ? "" : ", ") + r.str("role") +
               (r.at("until").is_string() ? " until " + local_text(*parse_utc(r.str("until"))) : "");
    t.add({brief(id), p.name, j.str("state"), roles,
           j.at("until").is_string() ? local_text(*parse_utc(j.str("until"))) : "-",
           j.str("key_type") + (j.flag("security_key") ? " (FIDO)" : "") + " " + p.fingerprint});
    out.push(std::move(j));
  }
  c.show(out, t.str());
}

void list_changes(Context& c) {
  Vault& v = c.open(Access::read);
  Json open(Json::Array{}), recorded(Json::Array{});
  std::string text;
  for (const Proposal& p : proposals(v)) {
    open.push(proposal_json(v.state(), p));
    text += progress_text(v, p);
  }
  for (const auto& [seq, change] : v.state().changes) {
    Json j = change_record_json(v.state(), change, v.now());
    text += "Entry " + std::to_string(seq) + ", " + j.str("state") + " from " + local_text(change.effective) +
            ": " + j.str("text") + "\n";
    recorded.push(std::move(j));
  }
  c.show(Json::object({{"proposed", open}, {"recorded", recorded}}), text.empty() ? "None.\n" : text);
}

void setup_review(CLI::App& group, Context& c) {
  struct Review {
    bool record = false;
    std::string person, key, signature, export_to, note;
  };
  auto o = std::make_shared<Review>();
  CLI::App* cmd = group.add_subcommand(
      "review",
      "everybody who may act here: roles, keys, last use, and what stands out; with --record the review is "
      "signed and kept\n\n  kesu operator review --record --as \"Hanako Sato\" --key ~/.ssh/id_ed25519");
  cmd->add_flag("--record", o->record, "record that these people and rights were reviewed");
  cmd->add_option("--as", o->person, "who reviews: an auditor or an approver");
  cmd->add_option("--note", o->note, "what the reviewer found; it is part of what is signed");
  cmd->add_option("--key", o->key, "SSH key to sign with, or its .pub when an agent holds it");
  cmd->add_option("--signature", o->signature, "a signature made elsewhere over the exported statement");
  cmd->add_option("--export", o->export_to, "write the statement to be signed elsewhere, and stop");
  on_run(cmd, [&c, o] {
    if (!o->record && (!o->person.empty() || !o->export_to.empty() || !o->note.empty()))
      throw Error(Code::usage, "without --record nothing is signed or kept").next("--record");
    if (o->record && o->person.empty()) throw Error(Code::usage, "who reviews?").next("--as NAME --key FILE");
    Vault& v = c.open(o->record ? Access::write : Access::read);
    if (o->record) {
      const OperatorRecord person = v.find_operator(o->person);
      if (!o->export_to.empty())
        return c.show_statement(person.name, o->export_to, export_review(v, person, o->note, o->export_to));
      record_review(v, person, o->note, {o->key, o->signature});
      v.checkpoint();
    }
    const PeopleReview review = review_people(v);
    std::string text;
    for (const ReviewedPerson& p : review.people) text += p.line + "\n";
    text += review.last ? "last review   " + local_text(review.last) + ", by " + review.last_by + "\n"
                        : std::string("last review   none is recorded\n");
    c.show(to_json(review), text + "next review   by " + local_text(review.next) + "\n");
  });
}

// By name and whole: who signs a change compares them.
std::string anchor_rows(const Anchors& anchors) {
  std::string out;
  for (const std::string& line : anchor_lines(anchors, {})) out += line + "\n";
  return out;
}

void setup_vault_rules(CLI::App& group, Context& c) {
  auto o = std::make_shared<Options>();
  CLI::App* cmd = group.add_subcommand(
      "rules",
      "show quorum, waiting period, profile, whether commands are signed, and whose time-stamps and "
      "cosignatures count; with options change them, by "
      "approvers' signatures\n\n  kesu "
      "vault rules --quorum 2 --reason \"four eyes\" --by \"Hanako Sato\" --key ~/.ssh/id_ed25519");
  cmd->add_option("--quorum", o->quorum, "approvals that an erasure takes")->check(CLI::PositiveNumber);
  cmd->add_option("--waiting", o->waiting, "seconds between the last approval and the first destruction")
      ->check(CLI::NonNegativeNumber);
  cmd->add_option("--profile", o->profile, "low, standard or high");
  cmd->add_option("--signed-commands", o->signed_commands,
                  "on: each command that writes is signed by who runs it; off")
      ->check(CLI::IsMember({"on", "off"}));
  anchor_options(cmd, std::shared_ptr<AnchorOrder>(o, &o->anchors));
  cmd->add_flag("--any-time-authority", o->anchors.any_time, "name no time-stamp authority any more");
  cmd->add_flag("--any-witness", o->anchors.any_witness, "name no witness any more");
  cmd->add_option("--reason", o->reason, "why; it is part of what is signed");
  cmd->add_option("--by", o->by, "the approver who signs; others follow with kesu operator sign");
  signing_options(cmd, o);
  on_run(cmd, [&c, o] {
    if (!o->quorum && o->waiting < 0 && o->profile.empty() && o->signed_commands.empty() &&
        o->anchors.empty()) {
      Vault& v = c.open(Access::read);
      const Rules now = rules_in_force(v.state(), moment_now(v));
      return c.show(Json::object({{"quorum", now.quorum},
                                  {"waiting_seconds", now.waiting_seconds},
                                  {"profile", now.profile},
                                  {"signed_commands", now.signed_commands},
                                  {"anchors", now.anchors.empty() ? Json() : now.anchors.to_json()}}),
                    "quorum " + std::to_string(now.quorum) + ", waiting period " +
                        std::to_string(now.waiting_seconds) + " s, profile " + now.profile + ", commands " +
                        (now.signed_commands ? "signed by their operators" : "not signed") + "\n" +
                        anchor_rows(now.anchors));
    }
    if (o->by.empty() || o->reason.empty())
      throw Error(Code::usage, "who changes the rules, and why?").next("--by APPROVER --reason TEXT");
    Vault& v = c.open(Access::write);
    v.rebuild();
    RulesOrder order{std::nullopt, std::nullopt, o->profile};
    if (o->quorum) order.quorum = o->quorum;
    if (o->waiting >= 0) order.waiting_seconds = o->waiting;
    if (!o->signed_commands.empty()) order.signed_commands = o->signed_commands == "on";
    order.anchors = o->anchors;
    const std::string by = v.find_operator(o->by).id;
    sign(c, v, *o, propose_change(v, rules_change(v, order), o->reason), by);
  });
}
}  // namespace

void setup_operator(CLI::App& app, Context& c) {
  setup_vault_rules(*app.get_subcommand("vault"), c);  // made by setup_status
  CLI::App* group = app.add_subcommand("operator", "people: who may ask, approve, verify, validate");
  group->require_subcommand(1);

  on_run(group->add_subcommand("list", "everybody who was ever enrolled"), [&c] { list_people(c); });
  setup_review(*group, c);
  on_run(group->add_subcommand("changes", "changes of people and rules: proposed, waiting, in force"),
         [&c] { list_changes(c); });

  auto o = std::make_shared<Options>();
  CLI::App* cmd = group->add_subcommand("add",
                                        "enrol a person: signed by as many approvers as an erasure takes, "
                                        "and by the newcomer\n\n  kesu operator "
                                        "add \"Jiro Suzuki\" --title \"Deputy CISO\" --key-file suzuki.pub "
                                        "--role approver --reason \"new deputy\" "
                                        "--by \"Hanako Sato\" --key ~/.ssh/id_ed25519");
  cmd->add_option("NAME", o->newcomer.name)->required();
  cmd->add_option("--title", o->newcomer.title)->required();
  cmd->add_option("--key-file", o->newcomer.key_file,
                  "the newcomer's SSH public key (sk- keys too), or X.509 certificate (PEM)")
      ->required();
  cmd->add_option("--role", o->newcomer.roles, "operator, approver, verifier, validator or auditor")
      ->required()
      ->take_all();
  cmd->add_option("--until", o->until, "the enrolment ends with this day, or at a time");
  on_change(cmd, c, o, [o](Vault& v, const OperatorRecord*) {
    o->newcomer.until = end_of(o->until);
    return enrol_change(v, o->newcomer);
  });

  const auto person_change = [&](const char* name, const char* help) {
    auto options = std::make_shared<Options>();
    CLI::App* sub = group->add_subcommand(name, help);
    sub->add_option("NAME", options->person, "who")->required();
    return std::pair(sub, options);
  };

  auto [grant, g] = person_change("grant", "give a person one more role, for ever or until a day");
  grant->add_option("ROLE", g->role)->required();
  grant->add_option("--until", g->until, "the role ends with this day, or at a time");
  on_change(grant, c, g, [g = g](Vault& v, const OperatorRecord* p) {
    return grant_change(v, *p, g->role, end_of(g->until));
  });

  auto [withdraw, w] = person_change("withdraw", "take one role from a person, after the waiting period");
  withdraw->add_option("ROLE", w->role)->required();
  on_change(withdraw, c, w,
            [w = w](Vault& v, const OperatorRecord* p) { return withdraw_change(v, *p, w->role); });

  auto [renew, r] = person_change("renew", "let an enrolment end another day, or never");
  renew->add_option("--until", r->until, "the new end (default: none)");
  on_change(renew, c, r,
            [r = r](Vault& v, const OperatorRecord* p) { return renew_change(v, *p, end_of(r->until)); });

  auto [revoke, x] =
      person_change("revoke", "end an enrolment at once and for ever; approvals of that person die with it");
  on_change(revoke, c, x, [](Vault& v, const OperatorRecord* p) { return revoke_change(v, *p); });

  auto s = std::make_shared<Options>();
  cmd = group->add_subcommand("sign", "sign a proposed change: approvers, and the newcomer");
  cmd->add_option("CHANGE", s->change, "its first digits (kesu operator changes)")->required();
  cmd->add_option("--as", s->by, "who signs")->required();
  signing_options(cmd, s);
  on_run(cmd, [&c, s] { sign(c, c.open(Access::write), *s, s->change, s->by); });
}

}  // namespace kesu::cli
