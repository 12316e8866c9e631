// kesu copy: the group; add, list, destroy
#include "app/copies.h"

#include "../context.h"
#include "key_group.h"

namespace kesu::cli {

namespace {
std::string versions_text(const Json& copy) {
  std::string out;
  for (const Json& v : copy.at("versions").as_array())
    out += (out.empty() ? "" : ", ") + (v.at("name").is_null() ? v.str("version") : v.str("name")) + " (" +
           (v.at("state").is_null() ? std::string("?") : v.str("state")) + ")";
  return out;
}
}  // namespace

void setup_copy(CLI::App& app, Context& c) {
  CLI::App* group = app.add_subcommand("copy", "copies of key material outside its provider");
  group->require_subcommand(1);
  struct Options {
    std::string key, how, person, document, id;
    uint32_t version = 0;
    bool all = false;
    CopyDraft draft;
  };
  auto o = std::make_shared<Options>();
  std::string kinds;
  for (const std::string& k : copy_kinds()) kinds += (kinds.empty() ? "" : ", ") + k;

  CLI::App* cmd = group->add_subcommand(
      "add",
      "register a copy that there is: while it is open, no erasure of what it reaches can run\n\n  kesu copy "
      "add "
      "loans.1 --kind backup --place \"vault room B\" --custodian \"Ichiro Tanaka\" --medium \"tape 17\"");
  cmd->add_option("KEY", o->key, "a key, or one version as in loans.2")->required();
  cmd->add_option("--version", o->version, "which version")->check(CLI::PositiveNumber);
  cmd->add_flag("--all-versions", o->all, "of every version");
  cmd->add_option("--kind", o->draft.kind, kinds)->required();
  cmd->add_option("--place", o->draft.place, "where it lies")->required();
  cmd->add_option("--custodian", o->draft.custodian, "who answers for it")->required();
  cmd->add_option("--medium", o->draft.medium, "on what");
  on_run(cmd, [&c, o] {
    Vault& v = c.open(Access::write);
    KeyWord word = find_key_word(v, o->key, o->version);
    std::string id = add_copy(v, word, o->all, o->draft);
    v.checkpoint();
    Json j = copy_json(v.state(), v.state().copies.at(id));
    std::string text = "Copy " + brief(id) + " of " + versions_text(j) + ": " + o->draft.kind + " at " +
                       o->draft.place + ", " + o->draft.custodian + ", open\n";
    if (const ErasureRecord* e = v.state().reserving(word.key))
      text += "Erasure " + brief(e->id) + " was planned before: plan it anew once the copy has ended\n";
    c.show(j, text);
  });

  setup_copy_share(*group, c);
  cmd = group->add_subcommand("list", "all copies, with their state");
  on_run(cmd, [&c] {
    Vault& v = c.open(Access::read);
    Json out(Json::Array{});
    Table t({"ID", "STATE", "KIND", "OF", "PLACE", "CUSTODIAN", "SINCE", "ENDED"});
    for (auto& [id, copy] : v.state().copies) {
      Json j = copy_json(v.state(), copy);
      t.add({brief(id), copy.state, copy.kind, versions_text(j), copy.place, copy.custodian,
             local_text(copy.registered), copy.ended ? local_text(copy.ended) + ", " + copy.how : "-"});
      out.push(std::move(j));
    }
    c.show(out, t.str());
  });

  cmd = group->add_subcommand("destroy",
                              "record that a copy is no more, on somebody's word\n\n  kesu copy destroy "
                              "cpy-4f1c --how \"tape shredded\" --as "
                              "\"Ichiro Tanaka\" --document protocol.pdf");
  cmd->add_option("ID", o->id)->required();
  cmd->add_option("--how", o->how, "how it ended")->required();
  cmd->add_option("--as", o->person, "who says so: an operator or approver")->required();
  cmd->add_option("--document", o->document, "a file that shows it; kept as evidence");
  on_run(cmd, [&c, o] {
    Vault& v = c.open(Access::write);
    std::string id = find_copy(v.state(), o->id).id;
    end_copy(v, id, o->how, v.find_operator(o->person), o->document);
    v.checkpoint();
    c.show(copy_json(v.state(), v.state().copies.at(id)), "Copy " + brief(id) + " has ended: " + o->how +
                                                              ", as " + v.find_operator(o->person).name +
                                                              " says\n");
  });
}

}  // namespace kesu::cli
