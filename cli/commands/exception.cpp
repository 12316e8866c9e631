// kesu key extend; kesu policy except, exceptions
#include "app/exceptions.h"

#include "../context.h"
#include "key_group.h"

namespace kesu::cli {

namespace {
struct Options {
  std::string key, originator_until, recipient_until, until, algorithm, purpose, reason;
  std::string person, key_file, signature, export_to;
  uint32_t version = 0;
};

void signer_options(CLI::App* cmd, const std::shared_ptr<Options>& o) {
  cmd->add_option("--reason", o->reason, "why; the approver signs it, the ledger keeps it")->required();
  cmd->add_option("--as", o->person, "the approver")->required();
  cmd->add_option("--key", o->key_file, "their SSH key, or its .pub when an agent holds it");
  cmd->add_option("--signature", o->signature, "a signature made elsewhere, over what --export wrote");
  cmd->add_option("--export", o->export_to, "only write the statement to be signed");
}

void finish(Context& c, Vault& v, const Options& o, const ExceptionOrder& order) {
  const OperatorRecord person = v.find_operator(o.person);  // what follows folds the ledger anew
  if (!o.export_to.empty())
    return c.show_statement(person.name, o.export_to, export_exception(v, order, person, o.export_to));
  ExceptionRecord e = record_exception(v, order, person, {o.key_file, o.signature});
  v.checkpoint();
  c.show(exception_json(v.state(), e, v.now()), "Exception recorded: " + e.what + " of " + e.detail +
                                                    " until " + local_text(e.until) + ", approved by " +
                                                    person.name + "\n");
}
}  // namespace

void setup_key_extend(CLI::App& group, Context& c) {
  auto o = std::make_shared<Options>();
  CLI::App* cmd = group.add_subcommand("extend",
                                       "let a version protect or open beyond its period, by an approver's "
                                       "signed exception\n\n  kesu key extend "
                                       "loans.1 --recipient-until 2031-03-31 --reason \"retention\" --as "
                                       "\"Hanako Sato\" --key ~/.ssh/id_ed25519");
  cmd->add_option("KEY", o->key, "a key, or one version as in loans.2")->required();
  cmd->add_option("--version", o->version, "which version")->check(CLI::PositiveNumber);
  auto* ends = cmd->add_option_group("end");
  ends->add_option("--originator-until", o->originator_until,
                   "protect new data till the end of this day, or a time");
  ends->add_option("--recipient-until", o->recipient_until, "open till the end of this day, or a time");
  ends->require_option(1);
  signer_options(cmd, o);
  on_run(cmd, [&c, o] {
    Vault& v = c.open(Access::write);
    bool originator = !o->originator_until.empty();
    finish(c, v, *o,
           extend_order(v, find_key_word(v, o->key, o->version), originator,
                        read_time(originator ? o->originator_until : o->recipient_until, true), o->reason));
  });
}

void setup_policy_exceptions(CLI::App& group, Context& c) {
  auto o = std::make_shared<Options>();
  CLI::App* cmd = group.add_subcommand("except",
                                       "let new datasets use an algorithm that the policy refuses and an "
                                       "exception may lift\n\n  kesu policy except "
                                       "RSA-OAEP:bits=4096,hash=SHA-256 --purpose wrap --reason \"no other "
                                       "in that cloud\" --as \"Hanako Sato\" "
                                       "--key ~/.ssh/id_ed25519");
  cmd->add_option("ALG", o->algorithm, "NAME or NAME:bits=…,hash=…")->required();
  cmd->add_option("--purpose", o->purpose, "payload, wrap, …")->required();
  cmd->add_option("--until", o->until, "the last day on which it serves (default: a year from now)");
  signer_options(cmd, o);
  on_run(cmd, [&c, o] {
    Vault& v = c.open(Access::write);
    // To the day, so that the statement to be signed is the same one tomorrow.
    Millis end = o->until.empty() ? read_time(utc_text(v.now() + kYear * 1000).substr(0, 10), true)
                                  : read_time(o->until, true);
    finish(c, v, *o, algorithm_order(v, o->algorithm, o->purpose, end, o->reason));
  });

  cmd = group.add_subcommand("exceptions", "all that were recorded, those in force and those that are over");
  on_run(cmd, [&c] {
    Vault& v = c.open(Access::read);
    Json out(Json::Array{});
    Table t({"WHAT", "OF", "UNTIL", "IN FORCE", "APPROVER", "REASON"});
    for (auto& [seq, e] : v.state().exceptions) {
      Json j = exception_json(v.state(), e, v.now());
      t.add({e.what, e.detail, e.until ? local_text(e.until) : "-", j.flag("in_force") ? "yes" : "over",
             j.str("approver"), e.reason});
      out.push(std::move(j));
    }
    c.show(out, t.str());
  });
}

}  // namespace kesu::cli
