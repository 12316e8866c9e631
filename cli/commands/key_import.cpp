// kesu key import, adopt
#include "app/key_import.h"

#include "../context.h"
#include "hsm/register.h"
#include "key_group.h"

namespace kesu::cli {

namespace {
struct Options {
  std::string name, uri;
  ImportDraft draft;
  PeriodWords periods;
};

// The provider whose token the URI names: the one that was said, else the only one that fits.
std::string provider_of(Vault& v, const std::string& said, const std::string& token_part) {
  std::string fits;
  for (auto& [id, p] : v.state().providers) {
    if (!object_uri_fits(token_part, p.identity)) continue;
    if (!said.empty() && v.find_provider(said).id != id) continue;
    if (!fits.empty())
      throw Error(Code::usage,
                  "which provider? The URI fits " + v.state().providers.at(fits).name + " and " + p.name)
          .next("--provider NAME, or the token's serial in the URI");
    fits = id;
  }
  if (fits.empty())
    throw Error(Code::not_found, said.empty() ? "the URI names the token of no provider of this vault"
                                              : "the URI does not name the token of provider " + said)
        .next("kesu provider list shows their tokens; kesu provider add NAME URI adds one");
  return fits;
}
}  // namespace

void setup_key_import(CLI::App& group, Context& c) {
  auto o = std::make_shared<Options>();
  CLI::App* cmd = group.add_subcommand("import",
                                       "bring in an AES-256 key that was made elsewhere; where it came from "
                                       "stays a registered copy\n\n  kesu key "
                                       "import legacy --from file:/root/legacy.key --origin-place \"safe 2, "
                                       "Osaka\" --custodian \"Ichiro Tanaka\"");
  cmd->add_option("NAME", o->name)->required();
  cmd->add_option("--from", o->draft.source,
                  "file:/path or fd:N (32 raw bytes or 64 hex digits), env:NAME or prompt (64 hex digits)")
      ->required();
  cmd->add_option("--origin-place", o->draft.place, "where the material lies or lay outside")->required();
  cmd->add_option("--custodian", o->draft.custodian, "who answers for that")->required();
  cmd->add_option("--provider", o->draft.key.provider, "which, where there are several");
  cmd->add_flag("--pre-activation", o->draft.key.pre_activation, "not to be used before kesu key activate");
  period_options(cmd, o->periods);
  on_run(cmd, [&c, o] {
    read_periods(o->draft.key, o->periods);
    Vault& v = c.open(Access::write);
    Imported made = import_key(v, o->name, o->draft);
    const KeyRecord& k = v.state().keys.at(made.key);
    notice_periods(c, k.versions.back());
    v.checkpoint();
    Json j = key_json(v.state(), k);
    j.set("copy", made.copy);
    c.show(j, "Key " + k.name + " (" + brief(k.id) + "), imported, version 1 is " + k.state() +
                  "\nIts origin at " + o->draft.place + " is copy " + brief(made.copy) +
                  ", open: no erasure of its data can run before that has ended\nnext   kesu copy destroy " +
                  brief(made.copy) + " --how TEXT --as PERSON\n");
  });

  cmd = group.add_subcommand(
      "adopt",
      "take a key that a provider's token already holds; nothing changes there\n\n  kesu key adopt archive "
      "'pkcs11:token=bank;object=archive-2015'");
  cmd->add_option("NAME", o->name)->required();
  cmd->add_option("URI", o->uri, "the object: pkcs11:token=…;object=LABEL;id=%01%02")->required();
  cmd->add_option("--provider", o->draft.key.provider, "which, where several fit");
  cmd->add_flag("--pre-activation", o->draft.key.pre_activation, "not to be used before kesu key activate");
  period_options(cmd, o->periods);
  on_run(cmd, [&c, o] {
    read_periods(o->draft.key, o->periods);
    auto [token_part, what] = parse_object_uri(o->uri);
    Vault& v = c.open(Access::write);
    o->draft.key.provider = provider_of(v, o->draft.key.provider, token_part);
    const KeyRecord& k = v.state().keys.at(adopt_key(v, o->name, what, o->draft.key));
    notice_periods(c, k.versions.back());
    v.checkpoint();
    c.show(key_json(v.state(), k), "Key " + k.name + " (" + brief(k.id) + "), adopted, version 1 is " +
                                       k.state() + "; the object is " + k.versions.back().ref->label +
                                       "\nWhat became of it before today, kesu cannot know: register the "
                                       "copies there are, kesu copy add " +
                                       k.name + ".1\n");
  });
}

}  // namespace kesu::cli
