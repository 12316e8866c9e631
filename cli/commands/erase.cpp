// kesu erase plan, request, approve, reject, cancel, run, verify, validate, status, list
#include "app/erase.h"
#include "../context.h"

namespace kesu::cli {

namespace {
struct Options {
  std::vector<std::string> datasets, except;
  std::string contract, erasure, person, key, signature, export_to, reason;
  bool dry_run = false;
  std::vector<std::string> paths;
};

std::string plan_text(const Plan& plan, const State& s) {
  const Json& d = plan.document;
  std::string out = "Plan " + (plan.blockers.empty() ? brief(plan.erasure()) : "(blocked, not kept)") +
                    "                                        nothing has been changed\n";
  std::string names;
  for (const Json& row : d.at("datasets").as_array()) names += (names.empty() ? "" : " · ") + row.str("name");
  auto line = [&](const std::string& word, const std::string& value) {
    out += "  " + word + std::string(17 - word.size(), ' ') + value + "\n";
  };
  line("datasets", std::to_string(d.at("datasets").size()) + "   " + names);
  std::string root = d.at("datasets").as_array()[0].str("inventory_root");
  line("objects",
       grouped(plan.objects) + "   " + human_bytes(plan.bytes) + "   inventory " + root.substr(0, 8) + "…");
  for (const Json& v : d.at("key_versions").as_array()) {
    const VersionRecord* r = s.version(v.str("version"));
    line("key version", v.str("name") + "." + std::to_string(r->number()) + "   " + r->state + "   in " +
                            s.providers.at(v.str("provider")).name + "   (" + brief(v.str("version")) + ")");
  }
  line("key copies", d.at("copies").size() ? std::to_string(d.at("copies").size()) : "none registered");
  std::string shared;
  for (const std::string& n : plan.shared) shared += (shared.empty() ? "" : " · ") + n;
  line("shared with", shared.empty() ? "nothing that is kept" : shared);
  for (const Blocker& b : plan.blockers) {
    line("blocked by", b.what);
    line("", b.next);
  }
  if (!plan.processes.empty())
    line("waits for",
         std::to_string(plan.processes.size()) + " process(es) that still hold keys of this data");
  line("irreversible", "from the first destroy of `kesu erase run`; until then it can be cancelled");
  line("takes",
       std::to_string(d.num("quorum")) + " approval(s)" +
           (d.num("waiting_seconds") ? ", then " + std::to_string(d.num("waiting_seconds")) + " s of waiting"
                                     : ""));
  line("plan digest", plan.digest());
  if (plan.blockers.empty())
    line("next", "kesu erase request " + brief(plan.erasure()) + " --as PERSON --key SSH_KEY");
  return out;
}

std::string status_text(const Json& j) {
  std::string out = "Erasure " + brief(j.str("id")) + "   " + j.str("stage") + "\n";
  auto line = [&](const std::string& word, const std::string& value) {
    out += "  " + word + std::string(14 - word.size(), ' ') + value + "\n";
  };
  std::string names;
  for (const Json& d : j.at("datasets").as_array()) names += (names.empty() ? "" : " · ") + d.as_string();
  line("datasets", names);
  line("requested", j.str("requested") + "   by " + j.str("requested_by") +
                        (j.str("reason").empty() ? "" : ": " + j.str("reason")));
  line("approvals", std::to_string(j.at("approvals").num("have")) + " of " +
                        std::to_string(j.at("approvals").num("need")));
  for (const Json& a : j.at("approvals").at("by").as_array()) line("", a.str("at") + "   " + a.str("name"));
  if (j.at("waiting_until").is_string()) line("waits until", j.str("waiting_until"));
  if (j.at("waiting_for").is_string())
    line("waits for", "a time-stamp of the approvals, with which the waiting period begins: kesu erase run " +
                          brief(j.str("id")) + " asks for it");
  for (const char* act : {"verified", "validated"})
    if (j.at(act).is_object()) line(act, j.at(act).str("at") + "   " + j.at(act).str("name"));
  for (const Json& s : j.at("steps").as_array())
    line("destroy", s.str("key") + s.str("version").substr(s.str("version").find('.')) + "   " +
                        s.str("state") + (s.at("done").is_string() ? "   " + s.str("done") : ""));
  if (j.at("certificate").is_string()) line("certificate", brief(j.str("certificate")));
  return out;
}

void signer_options(CLI::App* cmd, const std::shared_ptr<Options>& o) {
  cmd->add_option("--as", o->person, "who signs: name or identifier")->required();
  cmd->add_option("--key", o->key, "SSH key to sign with, or its .pub when an agent holds it");
  cmd->add_option("--signature", o->signature, "a signature made elsewhere over the exported statement");
  cmd->add_option("--export", o->export_to, "write the statement to be signed elsewhere, and stop");
}

// True when the statement was only exported.
bool exported(Context& c, Vault& v, const Options& o, const std::string& erasure, const std::string& action) {
  if (o.export_to.empty()) return false;
  const std::string name = v.find_operator(o.person).name;
  c.show_statement(name, o.export_to,
                   export_statement(v, erasure, action, v.find_operator(o.person), o.export_to));
  return true;
}

void show_status(Context& c, Vault& v, const std::string& id, const std::string& next) {
  Json j = erasure_status(v, v.state().erasures.at(id));
  c.show(j, status_text(j) + (next.empty() ? "" : "  next          " + next + "\n"));
}
}  // namespace

void setup_erase(CLI::App& app, Context& c) {
  CLI::App* group =
      app.add_subcommand("erase", "plan, request, approve, run: make data unreadable for ever, and show it");
  group->require_subcommand(1);
  auto o = std::make_shared<Options>();

  CLI::App* cmd = group->add_subcommand("plan",
                                        "what would die and what stands in the way; changes nothing\n\n  "
                                        "kesu erase plan --contract CLOUD-2023-11");
  cmd->add_option("DATASET", o->datasets);
  cmd->add_option("--contract", o->contract, "all datasets of this contract");
  cmd->add_option("--except", o->except, "but not this one; repeated");
  on_run(cmd, [&c, o] {
    Vault& v = c.open(Access::read);
    Plan plan = make_plan(v, choose_datasets(v, o->datasets, o->contract, o->except),
                          c.env().random.id<ErasureId>().str(), v.now());
    if (plan.blockers.empty()) save_plan(v, plan);
    c.show(plan_json(plan, v.state()), plan_text(plan, v.state()));
    if (!plan.blockers.empty()) c.exit = Exit::refused;
  });

  cmd = group->add_subcommand(
      "request",
      "ask for the plan to be run: freezes its datasets\n\n  kesu erase request era-7c1e90b4 --as \"Ichiro "
      "Tanaka\" --key ~/.ssh/id_ed25519 --reason \"contract ended\"");
  cmd->add_option("PLAN", o->erasure)->required();
  signer_options(cmd, o);
  cmd->add_option("--reason", o->reason);
  on_run(cmd, [&c, o] {
    Vault& v = c.open(Access::write);
    std::string id = load_plan(v, o->erasure).str("erasure");
    if (exported(c, v, *o, id, "request")) return;
    request_erasure(v, id, v.find_operator(o->person), {o->key, o->signature}, o->reason);
    show_status(c, v, id, "kesu erase approve " + brief(id) + " --as APPROVER --key SSH_KEY");
  });

  cmd = group->add_subcommand("approve",
                              "approve a requested erasure; not by its requester\n\n  kesu erase approve "
                              "era-7c1e90b4 --as \"Hanako Sato\" --key ~/.ssh/id_ed25519.pub");
  cmd->add_option("ERASURE", o->erasure)->required();
  signer_options(cmd, o);
  on_run(cmd, [&c, o] {
    Vault& v = c.open(Access::write);
    ErasureRecord& e = v.find_erasure(o->erasure);
    std::string id = e.id;
    if (exported(c, v, *o, id, "approve")) return;
    ApprovalCount n = approve_erasure(v, e, v.find_operator(o->person), {o->key, o->signature});
    show_status(c, v, id,
                n.have >= n.need ? "kesu erase run " + brief(id)
                                 : std::to_string(n.need - n.have) + " more approval(s)");
  });

  cmd = group->add_subcommand("reject", "refuse a requested erasure; its datasets are free again");
  cmd->add_option("ERASURE", o->erasure)->required();
  signer_options(cmd, o);
  on_run(cmd, [&c, o] {
    Vault& v = c.open(Access::write);
    ErasureRecord& e = v.find_erasure(o->erasure);
    std::string id = e.id;
    if (exported(c, v, *o, id, "reject")) return;
    reject_erasure(v, e, v.find_operator(o->person), {o->key, o->signature});
    show_status(c, v, id, "");
  });

  cmd = group->add_subcommand("cancel", "give it up, while nothing is destroyed");
  cmd->add_option("ERASURE", o->erasure)->required();
  cmd->add_option("--reason", o->reason)->required();
  on_run(cmd, [&c, o] {
    Vault& v = c.open(Access::write);
    ErasureRecord& e = v.find_erasure(o->erasure);
    std::string id = e.id;
    cancel_erasure(v, e, o->reason);
    show_status(c, v, id, "");
  });

  cmd = group->add_subcommand("run",
                              "inspect, destroy, inspect again; interrupted, the same command goes on\n\n  "
                              "kesu erase run era-7c1e90b4 --dry-run");
  cmd->add_option("ERASURE", o->erasure)->required();
  cmd->add_option(
      "PATH", o->paths,
      "sealed files that are not where they were sealed to, and what was sealed to a pipe: of some "
      "it is shown that they open before and not after");
  cmd->add_flag("--dry-run", o->dry_run, "show the plan again, change nothing");
  on_run(cmd, [&c, o] {
    Vault& v = c.open(o->dry_run ? Access::read : Access::write);
    std::string id = v.find_erasure(o->erasure).id;
    if (o->dry_run) {
      Plan plan = recompute_plan(v, load_plan(v, id));
      return c.show(plan_json(plan, v.state()), plan_text(plan, v.state()));
    }
    const std::string& stage = v.state().erasures.at(id).stage;  // any other is refused
    if (stage == "approved" || stage == "running")
      c.confirm("Erasure " + brief(id) + " destroys keys for ever. Run it?");
    RunResult r = run_erasure(
        v, id, [&c](const std::string& line) { c.say("  " + line); }, o->paths);
    Json j = erasure_status(v, v.state().erasures.at(id));
    std::string text = "Erased: " + grouped(static_cast<int64_t>(r.destroyed.size())) +
                       " key version(s) destroyed" + (r.receipt_lost ? ", a receipt lost" : "") +
                       ", shown absent\n" + status_text(j);
    c.show(j, text + "  next          kesu certificate bundle " + brief(id) + " -o DIR\n");
  });

  const auto later = [&](const char* name, const char* help, auto act, auto write) {
    CLI::App* one = group->add_subcommand(name, help);
    one->add_option("ERASURE", o->erasure)->required();
    signer_options(one, o);
    on_run(one, [&c, o, act, write] {
      Vault& v = c.open(Access::write);
      const std::string id = v.find_erasure(o->erasure).id;
      const OperatorRecord person = v.find_operator(o->person);
      if (!o->export_to.empty())
        return c.show_statement(person.name, o->export_to, write(v, id, person, o->export_to));
      act(v, id, person, SignatureSource{o->key, o->signature});
      show_status(c, v, id, "kesu certificate bundle " + brief(id) + " -o DIR");
    });
  };
  later("verify",
        "inspect again after the run, as somebody who did not request it, and sign what was seen\n\n  kesu "
        "erase verify era-7c1e90b4 --as \"Yuki Mori\" --key ~/.ssh/id_ed25519.pub",
        verify_erasure, export_verification);
  later("validate",
        "accept the result, as somebody who neither requested nor verified it\n\n  kesu erase validate "
        "era-7c1e90b4 --as \"Ken Abe\" --key ~/.ssh/id_ed25519.pub",
        validate_erasure, export_validation);

  cmd = group->add_subcommand("status", "one erasure, step by step");
  cmd->add_option("ERASURE", o->erasure)->required();
  on_run(cmd, [&c, o] {
    Vault& v = c.open(Access::read);
    show_status(c, v, v.find_erasure(o->erasure).id, "");
  });

  cmd = group->add_subcommand("list", "all erasures");
  on_run(cmd, [&c] {
    Vault& v = c.open(Access::read);
    Json out(Json::Array{});
    Table t({"ID", "STAGE", "DATASETS", "REQUESTED", "CERTIFICATE"});
    for (auto& [id, e] : v.state().erasures) {
      Json j = erasure_status(v, e);
      std::string names;
      for (const Json& d : j.at("datasets").as_array()) names += (names.empty() ? "" : " ") + d.as_string();
      t.add({brief(id), e.stage, names, local_text(e.requested),
             e.certificate.empty() ? "-" : brief(e.certificate)});
      out.push(std::move(j));
    }
    c.show(out, t.str());
  });
}

}  // namespace kesu::cli
