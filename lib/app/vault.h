// An open vault: store, state, providers. Every use case starts here. One thread.
#pragma once
#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <set>
#include <string>
#include <vector>

#include "app/command_order.h"
#include "app/state.h"
#include "base/clock.h"
#include "base/error.h"
#include "base/random.h"
#include "ledger/graph.h"
#include "provider/probe.h"
#include "store/store.h"

namespace kesu {

constexpr std::string_view kProgram = "kesu 0.1.0";

// What the outside gives a vault; all outlive it.
struct Environment {
  Clock& clock;
  Random& random;
  ProviderFactory& providers;
  std::string probe_program;  // path of kesu-probe
  std::function<void(const std::string&)> notice = [](const std::string&) {
  };  // one line for the person, not an error
  // What this process runs, and for whom. Without it a vault whose rules ask for signed commands takes no
  // entry.
  std::optional<CommandOrder> command = std::nullopt;
};

enum class Access { read, write };

class Vault {
 public:
  // Finds the ledger, folds what registers.db does not yet stand for. Throws vault_absent, vault_newer,
  // ledger_damaged … For writing, where the rules ask for it, the environment's command is signed first, so
  // that what nobody answers for does nothing: command_unsigned, not_enrolled, signature_bad.
  Vault(std::string directory, Environment& env, Access access);
  ~Vault();  // saves registers when they moved; never throws
  Vault(const Vault&) = delete;
  Vault& operator=(const Vault&) = delete;

  const std::string& directory() const { return directory_; }
  Environment& env() { return env_; }
  Store& store() { return *store_; }
  State& state() { return state_; }
  VaultId id() const { return *VaultId::parse(state_.vault.id); }
  Millis now();  // max(clock, last entry): what decisions use

  // Appends, then folds. `streams`: what was decided on (kWholeLedger: everything); when one moved since this
  // state was read: Error conflict. A closed vault: vault_closed. Where the rules ask for it, each entry
  // names a command that was signed, or nothing is appended: errors as of sign_command().
  AppendResult append(std::vector<Event> events, const std::vector<std::string>& streams);
  // Decides, appends; when a stream moved meanwhile, folds and decides anew. `decide` throws its refusal;
  // where it gives no events, there was nothing to do.
  AppendResult decide(const std::vector<std::string>& streams,
                      const std::function<std::vector<Event>()>& decide);
  // Folds the whole ledger anew, believing no register: before anything irreversible, and before anything is
  // certified.
  void rebuild();
  // Folds what others appended meanwhile.
  void refresh();
  // Folded from all headers on first use, kept up to date.
  const Graph& graph();

  // Where tombstones of destroyed versions are kept, by kesu.toml; empty: nowhere (app/tombstones.h).
  const std::string& tombstones() const { return tombstones_; }
  // Versions that a tombstone says were destroyed, of which this ledger does not know it: an old copy of the
  // vault. Looked for on first use.
  const std::set<std::string>& revived();

  // Opened on first use, and shown to be the same token that the ledger knows (token_changed otherwise).
  // A token that counts wrong PINs locks after a few: once a login or a probe at a provider ended with
  // pin_wrong, pin_locked or pin_count_low, this and probe() throw that again, and nothing is tried there.
  Provider& provider(const std::string& id);
  std::string provider_uri(const ProviderRecord& record);  // kesu.toml may override what the ledger says
  // From here this run may spend one attempt at a token that counts wrong PINs (never its last one). Recorded
  // nowhere.
  void try_pin(const ProviderRecord& record);
  bool provider_open(const std::string& id) const { return open_.contains(id); }
  void close_providers() { open_.clear(); }  // before a probe that wants every session closed

  // Runs kesu-probe for one provider and keeps the transcript as evidence.
  struct Probed {
    ProbeReport report;    // judged from what the transcript recorded
    std::string remains;   // of an inspection before: what would_remain() says
    std::string evidence;  // hex SHA-256 of the transcript
    const ProbeKey& key(const VersionRef& version) const;
  };
  Probed probe(const ProviderRecord& record, const std::vector<KeyRef>& keys,
               const std::vector<ProbeSample>& samples);

  // Signs the tree head with the ledger key, keeps the note. Nothing when there is one for this size already.
  SavedCheckpoint checkpoint();

  // An identifier, its first digits (at least 4), or a name. Errors: not_found, identifier_ambiguous (with
  // candidates).
  ProviderRecord& find_provider(const std::string& text);
  KeyRecord& find_key(const std::string& text);
  DatasetRecord& find_dataset(const std::string& text);
  ErasureRecord& find_erasure(const std::string& text);
  OperatorRecord& find_operator(const std::string& text);
  CertificateRecord& find_certificate(const std::string& text);
  HoldRecord& find_hold(const std::string& text);

 private:
  void load();
  std::vector<BatchRecord> batches_of(const std::string& dataset, uint64_t size);
  void fold(const StoredEntry& entry);
  bool folds_any_of(const std::vector<std::string>& streams);
  void refuse_closed();
  void name_command(std::vector<Event>& events);
  void refuse_refused(const std::string& provider);
  void remember_refusal(const std::string& provider, const Error& error);

  std::string directory_;
  Environment& env_;
  std::unique_ptr<Store> store_;
  State state_;
  std::optional<Graph> graph_;
  State then_;  // folded again, where the registers no longer tell of the batches at rest; else empty
  bool registers_moved_ = false, registers_whole_ = false;
  std::optional<SignedCommand> command_;  // that this process acts under
  Json command_member_;                   // as entries name it; null: its blobs are not kept yet
  std::map<std::string, std::unique_ptr<Provider>> open_;
  std::map<std::string, std::string> uri_overrides_;
  std::map<std::string, Error> refused_;  // by provider: how its login ended
  std::string tombstones_;
  std::optional<std::set<std::string>> revived_;
};

// The nearest directory with a kesu.toml, from `from` upwards. Throws vault_absent.
std::string find_vault(const std::string& from);
// The text of a new kesu.toml.
std::string config_text(const VaultId& id, const std::string& organisation);

}  // namespace kesu
