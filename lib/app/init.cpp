#include "app/init.h"

#include <algorithm>
#include <filesystem>

#include "app/actor.h"
#include "app/containers.h"
#include "app/keys.h"
#include "app/people.h"
#include "app/rules_change.h"
#include "app/settle.h"
#include "app/signed_command.h"
#include "base/files.h"
#include "certificate/claims.h"
#include "crypto/hash.h"
#include "crypto/note.h"
#include "crypto/person_key.h"

namespace kesu {

namespace {
struct SignedGenesis {
  Genesis genesis;
  std::string text;
  std::vector<std::string> signatures;  // one per officer, in order
};

const Profile& rules_of(const std::string& profile) {
  if (const Profile* p = find_profile(profile)) return *p;
  std::string known;
  for (const std::string& n : profile_names()) known += (known.empty() ? "" : ", ") + n;
  throw Error(Code::bad_input, "no profile is called " + profile).next("one of " + known);
}

SignedGenesis read_genesis(const InitRequest& request) {
  SignedGenesis out;
  out.text = to_text(read_file(request.genesis_file, 1 << 20));
  out.genesis = Genesis::parse(out.text);
  if (out.genesis.waiting_seconds > kMaxWaitingSeconds)
    throw Error(Code::bad_input, "the genesis statement asks for a waiting period of more than 13 days")
        .cause("an approval serves for 14 days: nothing approved could ever run")
        .next("\"waiting_seconds\": " + std::to_string(kMaxWaitingSeconds) + " or less; then sign it anew");
  std::vector<std::string> files = request.signature_files;
  if (files.empty()) {
    std::string dir = dir_name(request.genesis_file), base = base_name(request.genesis_file);
    for (const std::string& name : list_directory(dir))
      if (name.starts_with(base) && (name.ends_with(".sig") || name.ends_with(".p7s")))
        files.push_back(path_join(dir, name));
  }
  std::vector<std::string> armored;
  for (const std::string& f : files)
    armored.push_back(person_signature_text(read_file(f, kMaxPersonSignature)));
  for (const GenesisOfficer& officer : out.genesis.officers) {
    auto good = std::find_if(armored.begin(), armored.end(), [&](const std::string& sig) {
      return signature_problem(out.text, sig, std::string(kGenesisNamespace), officer.public_key).empty();
    });
    if (good == armored.end())
      throw Error(Code::signature_bad, "the genesis statement has no good signature of " + officer.name)
          .tried(files.empty() ? "no signature files beside " + request.genesis_file
                               : std::to_string(files.size()) + " signature file(s)")
          .next(signing_recipe(std::string(kGenesisNamespace),
                               PersonKey::parse_line(officer.public_key).certificate.has_value(),
                               request.genesis_file) +
                " (one file per officer: rename each to " + base_name(request.genesis_file) + ".NAME.sig)");
    out.signatures.push_back(*good);
  }
  return out;
}

bool asks_for_signatures(const Genesis& g) {
  return g.signed_commands || rules_of(g.profile).signed_commands;
}

// Where the rules ask for it, what follows genesis is signed, too: before there is anything at all.
SignedCommand sign_init(Environment& env, const SignedGenesis& g, const std::vector<std::string>& ids) {
  const CommandOrder none{.command = "init", .named = {}, .person = "", .key_file = "", .made = {}};
  const CommandOrder& order = env.command ? *env.command : none;
  const std::string next = "--operator NAME --operator-key FILE (KESU_OPERATOR, KESU_OPERATOR_KEY)";
  const auto& officers = g.genesis.officers;
  auto who = std::find_if(officers.begin(), officers.end(),
                          [&](const GenesisOfficer& o) { return o.name == order.person; });
  if (order.person.empty() || order.key_file.empty())
    throw Error(Code::command_unsigned,
                "the commands of this vault are signed by their operators, this one, too")
        .cause(order.person.empty() ? "nobody is named" : "no key is named")
        .next(next);
  if (who == officers.end())
    throw Error(Code::not_enrolled, "the genesis statement names no " + order.person).next(next);
  if (PersonKey::parse_line(who->public_key).certificate) throw certificate_signs_none(who->name);
  if (role_to_sign(order.command, who->roles).empty())
    throw Error(Code::not_enrolled, who->name + " is not enrolled as operator").next(next);
  CommandStatement s;
  s.vault = g.genesis.vault;
  s.organisation = g.genesis.organisation;
  s.operator_id = *OperatorId::parse(ids.at(static_cast<size_t>(who - officers.begin())));
  s.name = who->name;
  s.role = role_to_sign(order.command, who->roles);
  s.command = order.command;
  s.root = hex(TreeHead().root());
  s.process = hex(sha256(as_bytes(this_process().canonical())));
  s.issued = env.clock.now();
  return sign_statement(s, order.key_file, who->public_key);
}

// Genesis, its officers: one append, so that a vault either has its people or is not there. `ids`: theirs.
void append_genesis(Environment& env, Store& store, const SignedGenesis& g,
                    const std::vector<std::string>& ids) {
  std::string statement = store.put_blob(as_bytes(g.text));
  Json signatures(Json::Array{});
  std::vector<Event> events(1);
  for (size_t i = 0; i < g.genesis.officers.size(); ++i) {
    const GenesisOfficer& o = g.genesis.officers[i];
    const PersonKey key = PersonKey::parse_line(o.public_key);
    if (const std::string why = key.validity_problem(env.clock.now()); !why.empty())
      throw Error(Code::signature_bad, o.name + " cannot sign the genesis statement now").cause(why);
    const std::string& id = ids.at(i);
    signatures.push(
        Json::object({{"operator", id}, {"signature", store.put_blob(as_bytes(g.signatures[i]))}}));
    Json roles(Json::Array{});
    for (const std::string& r : o.roles) roles.push(r);
    events.push_back({.type = "operator-enrolled",
                      .nodes = {{.id = id, .is = "enrolled"}},
                      .body = Json::object({{"name", o.name},
                                            {"title", o.title},
                                            {"roles", roles},
                                            {"public_key", o.public_key},
                                            {"fingerprint", key.fingerprint()}})});
  }
  events[0] = {
      .type = "genesis",
      .nodes = {{.id = g.genesis.vault.str(), .is = "open", .d = statement}},
      .body = Json::object({{"organisation", g.genesis.organisation},
                            {"origin", g.genesis.origin + "/kesu/" + g.genesis.vault.str()},
                            {"program", kProgram},
                            {"profile", g.genesis.profile},
                            {"quorum", g.genesis.quorum},
                            {"waiting_seconds", std::max(g.genesis.waiting_seconds,
                                                         rules_of(g.genesis.profile).waiting_seconds)},
                            {"statement", statement},
                            {"signatures", signatures}})};
  if (asks_for_signatures(g.genesis)) events[0].body.set("signed_commands", true);
  if (!g.genesis.anchors.empty()) events[0].body.set("anchors", g.genesis.anchors.to_json());
  store.append(std::move(events), {{g.genesis.vault.str(), 0}});
}
}  // namespace

Genesis draft_genesis(const std::string& organisation, const std::string& origin, const std::string& profile,
                      int64_t quorum, bool signed_commands, const std::vector<OfficerDraft>& officers,
                      Random& random, const Anchors& anchors) {
  Genesis g{random.id<VaultId>(), organisation, origin, profile, quorum, 0, false, {}};
  for (const OfficerDraft& d : officers) {
    const Bytes file = read_file(d.key_file, 65536);
    GenesisOfficer o{d.name, d.title, PersonKey::from_file(as_text(file)).line(), {}};
    for (size_t at = 0; at <= d.roles.size();) {
      size_t comma = std::min(d.roles.find(',', at), d.roles.size());
      o.roles.push_back(d.roles.substr(at, comma - at));
      at = comma + 1;
    }
    g.officers.push_back(std::move(o));
  }
  g.signed_commands = signed_commands || rules_of(profile).signed_commands;
  g.anchors = anchors;
  return Genesis::parse(g.text());  // throws where it is not complete
}

namespace {
// The URI that is meant, from what was given and what the vault already has.
std::string meant_uri(const InitRequest& request) {
  if (!request.provider_uri.empty() && !request.passphrase_source.empty())
    throw Error(Code::usage, "--passphrase-source belongs to the keystore that init makes itself")
        .next("put it into the URI: --provider 'soft:/path?passphrase-source=file:/…'");
  if (!request.provider_uri.empty()) return request.provider_uri;
  const std::string& source = request.passphrase_source;
  return std::string(kDefaultProvider) + "?passphrase-source=" + (source.empty() ? "prompt" : source);
}

// A vault that has its provider keeps it: another one that was asked for is not passed over in silence.
void refuse_other_provider(Vault& vault, const std::string& uri, const ProviderRecord& there) {
  const std::string meant = recorded_uri(uri);
  if (meant == there.uri || resolve_provider_uri(vault.directory(), meant) == vault.provider_uri(there))
    return;
  throw Error(Code::already_exists, "the vault at " + vault.directory() + " has its provider already")
      .tried(meant)
      .cause(there.name + " is " + there.uri)
      .next("for one more: kesu provider add NAME URI; for another passphrase: kesu provider rekey " +
            there.name + "; for a new place of the same one: kesu.toml");
}
}  // namespace

std::string init_vault(Environment& env, const InitRequest& request) {
  const std::string uri = meant_uri(request);
  SignedGenesis g = read_genesis(request);
  const Profile& rules = rules_of(g.genesis.profile);
  if (g.genesis.quorum < rules.quorum)
    throw Error(Code::policy_refused, "profile " + g.genesis.profile + " asks for a quorum of " +
                                          std::to_string(rules.quorum) + "; the statement says " +
                                          std::to_string(g.genesis.quorum));
  std::string config = path_join(request.directory, "kesu.toml");
  std::string ledger = path_join(request.directory, "ledger.db");
  std::vector<std::string> ids;
  for (size_t i = 0; i < g.genesis.officers.size(); ++i) ids.push_back(env.random.id<OperatorId>().str());
  std::optional<SignedCommand> command;
  if (!exists(ledger) && asks_for_signatures(g.genesis)) command = sign_init(env, g, ids);
  if (!exists(ledger)) {
    refuse_network_filesystem(request.directory);  // before a keystore or a directory is made there
    // What a kill left: a keystore in the vault's directory is made before the vault is.
    const std::string own = creating_uri(request.directory, uri);
    const bool inside = own.starts_with(resolve_provider_uri(request.directory, "soft:./"));
    const std::string keystore = inside ? base_name(own.substr(0, own.find('?'))) : std::string();
    auto ours = [&](const std::string& name) {
      return name.starts_with("kesu.toml.tmp") ||
             (inside &&
              (name == keystore || name == keystore + ".lock" || name.starts_with(keystore + ".tmp")));
    };
    auto there = exists(request.directory) ? list_directory(request.directory) : std::vector<std::string>();
    if (!std::all_of(there.begin(), there.end(), ours) && !exists(config))
      throw Error(Code::already_exists, request.directory + " is not empty").next("choose a new directory");
    if (inside) make_directories(request.directory, 0700);
    try {
      env.providers.open(own);  // a wrong PIN or token is noticed before anything is made
    } catch (const Error&) {
      std::error_code ignored;
      if (inside && there.empty())
        std::filesystem::remove(request.directory, ignored);  // only if it is empty
      throw;
    }
    make_directories(request.directory, 0700);
  }
  if (!exists(config))
    write_file_durable(config, as_bytes(config_text(g.genesis.vault, g.genesis.organisation)), 0600);
  {
    auto store = open_sqlite_store(request.directory, env.clock, env.random, {.create = !exists(ledger)});
    if (store->size() > 0)
      command.reset();
    else
      append_genesis(env, *store, g, ids);
  }
  if (command) env.command->made = command;
  Vault vault(request.directory, env, Access::write);
  if (vault.state().vault.id != g.genesis.vault.str())
    throw Error(Code::already_exists, "another vault is at " + request.directory)
        .cause(vault.state().vault.id)
        .next("choose a new directory");
  settle(vault);
  std::string provider;
  for (auto& [id, p] : vault.state().providers)
    if (request.provider_name.empty() || p.name == request.provider_name) provider = id;
  if (provider.empty()) {
    const std::string name = !request.provider_name.empty() ? request.provider_name
                             : uri.starts_with("soft:")     ? "soft1"
                                                            : "hsm1";
    if (!vault.state().providers.empty())
      refuse_other_provider(vault, uri, vault.state().providers.begin()->second);
    provider = add_provider(vault, name, uri);
  }
  if (!request.provider_uri.empty() || !request.passphrase_source.empty())
    refuse_other_provider(vault, uri, vault.state().providers.at(provider));
  if (vault.state().providers.at(provider).control.empty())
    create_key(vault, "control-" + vault.state().providers.at(provider).name, provider, KeyPurpose::control);
  if (vault.state().vault.ledger_version.empty()) {
    std::string key_id;
    for (auto& [id, k] : vault.state().keys)
      if (k.purpose == KeyPurpose::sign_ledger && k.active()) key_id = id;
    if (key_id.empty()) key_id = create_key(vault, "ledger", provider, KeyPurpose::sign_ledger);
    const VersionRecord& v = *vault.state().keys.at(key_id).active();
    NoteKey key = NoteKey::make(vault.state().vault.origin, PublicKey::from_spki(v.ref->public_key));
    vault.append(
        {{.type = "ledger-key-set", .nodes = {{.id = v.id}}, .body = Json::object({{"vkey", key.vkey()}})}},
        {v.id});
  }
  bool has_certificate_key = false;
  for (auto& [id, k] : vault.state().keys)
    has_certificate_key |= k.purpose == KeyPurpose::sign_certificate && k.active();
  if (!has_certificate_key) create_key(vault, "certificate", provider, KeyPurpose::sign_certificate);
  vault.checkpoint();
  return vault.state().vault.id;
}

}  // namespace kesu
