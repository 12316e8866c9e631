#include "app/init.h"

#include <algorithm>

#include "app/keys.h"
#include "app/people.h"
#include "app/settle.h"
#include "base/files.h"
#include "certificate/claims.h"
#include "crypto/hash.h"
#include "crypto/note.h"
#include "crypto/sshsig.h"

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
  std::vector<std::string> files = request.signature_files;
  if (files.empty()) {
    std::string dir = dir_name(request.genesis_file), base = base_name(request.genesis_file);
    for (const std::string& name : list_directory(dir))
      if (name.starts_with(base) && name.ends_with(".sig")) files.push_back(path_join(dir, name));
  }
  std::vector<std::string> armored;
  for (const std::string& f : files) armored.push_back(to_text(read_file(f, 65536)));
  for (const GenesisOfficer& officer : out.genesis.officers) {
    auto good = std::find_if(armored.begin(), armored.end(), [&](const std::string& sig) {
      return signature_problem(out.text, sig, std::string(kGenesisNamespace), officer.public_key).empty();
    });
    if (good == armored.end())
      throw Error(Code::signature_bad, "the genesis statement has no good signature of " + officer.name)
          .tried(files.empty() ? "no signature files beside " + request.genesis_file
                               : std::to_string(files.size()) + " signature file(s)")
          .next("ssh-keygen -Y sign -n " + std::string(kGenesisNamespace) + " -f KEY " +
                request.genesis_file + " (one file per officer: rename each to " +
                base_name(request.genesis_file) + ".NAME.sig)");
    out.signatures.push_back(*good);
  }
  return out;
}

// Genesis, its officers: one append, so that a vault either has its people or is not there.
void append_genesis(Environment& env, Store& store, const SignedGenesis& g) {
  std::string statement = store.put_blob(as_bytes(g.text));
  Json signatures(Json::Array{});
  std::vector<Event> events(1);
  for (size_t i = 0; i < g.genesis.officers.size(); ++i) {
    const GenesisOfficer& o = g.genesis.officers[i];
    std::string id = env.random.id<OperatorId>().str();
    signatures.push(
        Json::object({{"operator", id}, {"signature", store.put_blob(as_bytes(g.signatures[i]))}}));
    Json roles(Json::Array{});
    for (const std::string& r : o.roles) roles.push(r);
    events.push_back(
        {.type = "operator-enrolled",
         .nodes = {{.id = id, .is = "enrolled"}},
         .body = Json::object({{"name", o.name},
                               {"title", o.title},
                               {"roles", roles},
                               {"public_key", o.public_key},
                               {"fingerprint", SshPublicKey::parse_line(o.public_key).fingerprint()}})});
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
  store.append(std::move(events), {{g.genesis.vault.str(), 0}});
}
}  // namespace

Genesis draft_genesis(const std::string& organisation, const std::string& origin, const std::string& profile,
                      int64_t quorum, const std::vector<OfficerDraft>& officers, Random& random) {
  Genesis g{random.id<VaultId>(), organisation, origin, profile, quorum, 0, {}};
  for (const OfficerDraft& d : officers) {
    std::string line = to_text(read_file(d.key_file, 65536));
    while (!line.empty() && (line.back() == '\n' || line.back() == '\r')) line.pop_back();
    SshPublicKey::parse_line(line);
    GenesisOfficer o{d.name, d.title, line, {}};
    for (size_t at = 0; at <= d.roles.size();) {
      size_t comma = std::min(d.roles.find(',', at), d.roles.size());
      o.roles.push_back(d.roles.substr(at, comma - at));
      at = comma + 1;
    }
    g.officers.push_back(std::move(o));
  }
  rules_of(profile);
  return Genesis::parse(g.text());  // throws where it is not complete
}

std::string init_vault(Environment& env, const InitRequest& request) {
  if (request.provider_uri.empty())
    throw Error(Code::usage, "where will the keys live?")
        .next("--provider 'pkcs11:token=LABEL?module-path=/usr/lib/…/lib….so&pin-source=file:/…'");
  SignedGenesis g = read_genesis(request);
  const Profile& rules = rules_of(g.genesis.profile);
  if (g.genesis.quorum < rules.quorum)
    throw Error(Code::policy_refused, "profile " + g.genesis.profile + " asks for a quorum of " +
                                          std::to_string(rules.quorum) + "; the statement says " +
                                          std::to_string(g.genesis.quorum));
  std::string config = path_join(request.directory, "kesu.toml");
  std::string ledger = path_join(request.directory, "ledger.db");
  if (!exists(ledger)) {
    auto ours = [](const std::string& name) { return name.starts_with("kesu.toml.tmp"); };  // left by a kill
    auto there = exists(request.directory) ? list_directory(request.directory) : std::vector<std::string>();
    if (!std::all_of(there.begin(), there.end(), ours) && !exists(config))
      throw Error(Code::already_exists, request.directory + " is not empty").next("choose a new directory");
    env.providers.open(request.provider_uri);  // a wrong PIN or token is noticed before anything is made
    make_directories(request.directory, 0700);
  }
  if (!exists(config))
    write_file_durable(config, as_bytes(config_text(g.genesis.vault, g.genesis.organisation)), 0600);
  {
    auto store = open_sqlite_store(request.directory, env.clock, env.random, {.create = !exists(ledger)});
    if (store->size() == 0) append_genesis(env, *store, g);
  }
  Vault vault(request.directory, env, Access::write);
  if (vault.state().vault.id != g.genesis.vault.str())
    throw Error(Code::already_exists, "another vault is at " + request.directory)
        .cause(vault.state().vault.id)
        .next("choose a new directory");
  settle(vault);
  std::string provider;
  for (auto& [id, p] : vault.state().providers)
    if (p.name == request.provider_name) provider = id;
  if (provider.empty()) provider = add_provider(vault, request.provider_name, request.provider_uri);
  if (vault.state().providers.at(provider).control.empty())
    create_key(vault, "control-" + request.provider_name, provider, KeyPurpose::control);
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
