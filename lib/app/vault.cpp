#include "app/vault.h"

#include <toml++/toml.h>
#include <unistd.h>

#include <algorithm>

#include "app/answers.h"
#include "app/containers.h"
#include "app/holds.h"
#include "app/signed_command.h"
#include "app/tombstones.h"
#include "base/files.h"
#include "base/trace.h"
#include "crypto/note.h"
#include "ledger/checkpoint.h"
#include "store/waiting.h"

namespace kesu {

namespace {
constexpr size_t kShortest = 4;  // digits of an abbreviated identifier

// People have no list of their own.
template <class Map>
std::string where_listed(const Map& records, std::string_view what) {
  std::string out = "kesu " + std::string(what == "erasure" ? "erase" : what) + " list shows those there are";
  if constexpr (requires { records.begin()->second.public_key; }) {
    out.clear();
    for (auto& [id, person] : records) out += (out.empty() ? "one of " : ", ") + person.name;
  }
  return out;
}

template <class Map>
auto& find_in(Map& records, std::string_view prefix, const std::string& text, const char* what) {
  auto exact = records.find(text);
  if (exact != records.end()) return exact->second;
  std::vector<std::string> hits;
  for (auto& [id, record] : records) {
    bool named = false;
    if constexpr (requires { record.name; }) named = record.name == text;
    if (named) return record;
    if (text.starts_with(prefix) && text.size() >= prefix.size() + kShortest && id.starts_with(text))
      hits.push_back(id);
  }
  if (hits.size() == 1) return records.find(hits[0])->second;
  if (hits.empty())
    throw Error(Code::not_found, std::string("no ") + what + " is called " + text)
        .next(where_listed(records, what));
  std::string all;
  for (const std::string& h : hits) all += (all.empty() ? "" : ", ") + h;
  throw Error(Code::identifier_ambiguous,
              text + " could be " + std::to_string(hits.size()) + " " + what + "s")
      .cause(all)
      .next("type more of its digits");
}
}  // namespace

Vault::Vault(std::string directory, Environment& env, Access access)
    : directory_(std::move(directory)), env_(env) {
  std::string config_path = path_join(directory_, "kesu.toml");
  errno = 0;
  if (!exists(config_path) && errno == EACCES)
    throw Error(Code::store_unavailable, "the vault at " + directory_ + " may not be read")
        .cause("this user has no right to search that directory")
        .next("run it as the vault's owner");
  if (!exists(config_path))
    throw Error(Code::vault_absent, "no vault at " + directory_)
        .cause("there is no kesu.toml")
        .next("kesu init makes one; --vault DIR names another place");
  try {
    toml::table config = toml::parse(to_text(read_file(config_path, 1 << 20)), config_path);
    if (auto format = config["vault"]["format"].value<int64_t>(); format && *format > 1)
      throw Error(Code::vault_newer, "the vault at " + directory_ + " has format " + std::to_string(*format))
          .next("use a newer kesu");
    if (auto* providers = config["provider"].as_table())
      for (auto&& [name, table] : *providers)
        if (auto uri = table.is_table() ? (*table.as_table())["uri"].value<std::string>() : std::nullopt)
          uri_overrides_[std::string(name.str())] = *uri;
    tombstones_ = tombstone_directory(directory_, config["vault"]["tombstones"].value<std::string>());
  } catch (const toml::parse_error& e) {
    throw Error(Code::bad_input, config_path + " is not TOML").cause(std::string(e.description()));
  }
  say_of_waiting(env_.notice);  // a copy: it outlives this vault
  store_ = open_sqlite_store(directory_, env_.clock, env_.random,
                             {.create = false, .read_only = access == Access::read, .allow_network = false});
  load();
  if (access == Access::write && env_.command && !state_.vault.closed &&
      commands_are_signed(state_, moment_now(*this)))
    command_ = env_.command->made ? *env_.command->made : sign_command(*this, *env_.command);
}

Vault::~Vault() {
  if (!registers_moved_ || store_->read_only()) return;
  try {
    Store::Registers r;
    r.size = state_.size;
    r.root = state_.size ? hex(store_->entry(state_.size - 1).leaf) : "";
    store_->save_registers(r, registers_whole_, [&](const Store::RowSink& take) {
      registers_whole_ ? state_.each_row(take) : state_.each_changed(take);
    });
  } catch (const std::exception&) {  // registers are derived: the next command folds again
  }
}

void Vault::load() {
  auto registers = store_->load_registers(State::kAtRest);
  // `root` is the leaf of the last entry they stand for: another ledger, or an older copy of it, does not
  // match.
  if (registers && registers->size > 0 && registers->size <= store_->size()) {
    try {
      StoredEntry last = store_->entry(registers->size - 1);
      if (hex(last.leaf) == registers->root) {
        state_ = State::from_registers(
            *registers, [this, size = registers->size](const std::string& dataset) -> Batches::Loader {
              return [=, this] { return batches_of(dataset, size); };
            });
        state_.time = last.entry.header.time;
      }
    } catch (const Error&) {
      state_ = State();
    }
  }
  registers_whole_ = state_.size == 0;
  refresh();
}

// The batches at rest of a dataset, as the registers had them when the ledger had `size` entries. Where
// another process has saved later ones meanwhile, the ledger tells.
std::vector<BatchRecord> Vault::batches_of(const std::string& dataset, uint64_t size) {
  std::vector<BatchRecord> out;
  if (store_->more_registers(State::kAtRest, dataset + "/", [&](std::string_view, std::string_view row) {
        out.push_back(State::batch_from(row));
      }))
    return out;
  out.clear();
  if (then_.size > size) then_ = State();
  store_->read(
      then_.size, size,  // once for all datasets
      [&](const StoredEntry& e) {
        then_.evolve(e);
        return true;
      },
      State::wants_body);
  for (BatchRecord& b : then_.datasets.at(dataset).batches.all())
    if (!b.is_open()) out.push_back(std::move(b));
  return out;
}

void Vault::rebuild() {
  if (registers_whole_) return refresh();  // nothing in it is a register's
  state_ = State();
  then_ = State();
  graph_.reset();
  registers_whole_ = true;
  refresh();
}

void Vault::refresh() {
  store_->read(
      state_.size, store_->size(),
      [&](const StoredEntry& e) {
        fold(e);
        return true;
      },
      State::wants_body);
}

void Vault::fold(const StoredEntry& entry) {
  if (graph_) graph_->fold(entry.entry.header);
  state_.evolve(entry);
  registers_moved_ = true;
}

const Graph& Vault::graph() {
  if (!graph_) {
    graph_.emplace();
    store_->read(
        0, state_.size,
        [&](const StoredEntry& e) {
          graph_->fold(e.entry.header);
          return true;
        },
        [](const Header&) { return false; });
  }
  return *graph_;
}

const std::set<std::string>& Vault::revived() {
  if (!revived_) revived_ = revived_versions(*this);
  return *revived_;
}

Millis Vault::now() { return std::max(env_.clock.now(), state_.time); }

void Vault::refuse_closed() {
  if (!state_.vault.closed) return;
  throw Error(Code::vault_closed, "the vault " + directory_ + " was closed: nothing is added to it any more")
      .cause("closed on " + local_text(state_.vault.closed))
      .next(
          "reading, kesu ledger verify and the certificates that were issued go on working; new keys and "
          "data "
          "belong in a new vault: kesu init");
}

AppendResult Vault::append(std::vector<Event> events, const std::vector<std::string>& streams) {
  StreamVersions expected;
  for (const std::string& s : streams)
    expected.emplace_back(s, s == kWholeLedger ? store_->size() : store_->stream_version(s));
  constexpr int kTries = 100;
  for (int i = 0;; ++i) {
    // Whatever an append decides on, it rests on the vault not being closed: so each one names the vault,
    // too.
    const uint64_t of_vault = store_->stream_version(state_.vault.id);
    if (folds_any_of(streams))
      throw Error(Code::conflict, "another process changed the same things meanwhile")
          .next("run the same command again: it decides anew");
    refuse_closed();
    refuse_answered(state_, events);
    refuse_held(*this, events);
    name_command(events);
    if (i == 0) bury(*this, events);
    StreamVersions all = expected;
    all.emplace_back(state_.vault.id, of_vault);
    try {
      AppendResult result = store_->append(events, all);
      refresh();
      return result;
    } catch (const Error& e) {
      if (e.code() != Code::conflict || i == kTries) throw;
      // Only the vault's own stream moved: nothing that was decided on.
      for (auto& [stream, version] : expected)
        if ((stream == kWholeLedger ? store_->size() : store_->stream_version(stream)) != version) throw;
    }
  }
}

// Under the rules that ask for it, each entry names the signed command that it belongs to.
void Vault::name_command(std::vector<Event>& events) {
  const Moment now = moment_now(*this);
  if (!commands_are_signed(state_, now)) return;
  if (!command_ || is_stale(*command_, now.time)) {
    if (!env_.command)
      throw Error(Code::command_unsigned, "the rules of this vault ask for signed commands; this is none")
          .next("kesu vault rules shows them");
    command_ = sign_command(*this, *env_.command);
    command_member_ = Json();
  }
  if (const std::string why = command_problem(state_, *command_, now); !why.empty())
    throw Error(Code::not_enrolled, "who signed kesu " + command_->command + " cannot answer for it any more")
        .cause(why)
        .next("the same command again, run by somebody who may: it goes on where this one stopped");
  if (command_member_.is_null())
    command_member_ = Json::object({{"operator", command_->person},
                                    {"statement", store_->put_blob(as_bytes(command_->text))},
                                    {"signature", store_->put_blob(as_bytes(command_->armored))}});
  for (Event& e : events) e.body.set("command", command_member_);
}

// Folds what others appended since this state was read; true when it touched one of these streams: what was
// decided on them is stale then.
bool Vault::folds_any_of(const std::vector<std::string>& streams) {
  bool touched = false;
  store_->read(state_.size, store_->size(), [&](const StoredEntry& e) {
    for (const std::string& s : streams) {
      touched |= s == kWholeLedger;
      for (const NodeMention& node : e.entry.header.nodes) touched |= node.id == s;
      for (const Edge& edge : e.entry.header.edges) touched |= edge.first == s || edge.second == s;
    }
    fold(e);
    return true;
  });
  return touched;
}

AppendResult Vault::decide(const std::vector<std::string>& streams,
                           const std::function<std::vector<Event>()>& decide) {
  constexpr int kTries = 100;
  for (int i = 0;; ++i) {
    refresh();
    try {
      std::vector<Event> events = decide();
      return events.empty() ? AppendResult{} : append(std::move(events), streams);
    } catch (const Error& e) {
      if (e.code() != Code::conflict || i == kTries) throw;
    }
  }
}

std::string Vault::provider_uri(const ProviderRecord& record) {
  auto it = uri_overrides_.find(record.name);
  return resolve_provider_uri(directory_, it == uri_overrides_.end() ? record.uri : it->second);
}

void Vault::try_pin(const ProviderRecord& record) {
  std::string uri = provider_uri(record);
  if (!uri.starts_with("pkcs11:"))
    throw Error(Code::usage, "provider " + record.name + " counts no wrong PINs")
        .next("kesu provider test " + record.name);
  // That its count is low was no attempt.
  if (auto it = refused_.find(record.id); it != refused_.end() && it->second.code() == Code::pin_count_low)
    refused_.erase(it);
  uri_overrides_[record.name] = uri + (uri.find('?') == std::string::npos ? "?" : "&") + "x-kesu-try-pin=1";
}

void Vault::remember_refusal(const std::string& provider, const Error& e) {
  if (e.code() == Code::pin_wrong || e.code() == Code::pin_locked || e.code() == Code::pin_count_low)
    refused_.emplace(provider, e);
}

void Vault::refuse_refused(const std::string& provider) {
  if (auto it = refused_.find(provider); it != refused_.end()) throw it->second;
}

Provider& Vault::provider(const std::string& id) {
  refuse_refused(id);
  auto it = open_.find(id);
  if (it != open_.end()) return *it->second;
  const ProviderRecord& record = state_.providers.at(id);
  refuse_old_container(*this, record);
  std::unique_ptr<Provider> provider;
  try {
    provider = env_.providers.open(provider_uri(record));
  } catch (const Error& e) {
    remember_refusal(id, e);
    throw;
  }
  ProviderIdentity identity = provider->identity();
  if (!identity.same_place(record.identity))
    throw Error(Code::token_changed,
                "provider " + record.name + " is another token than the one the ledger knows")
        .tried("token serial " + identity.serial + ", manufacturer " + identity.manufacturer)
        .cause("the ledger knows serial " + record.identity.serial + ", manufacturer " +
               record.identity.manufacturer)
        .next("connect that token, or correct [provider." + record.name + "] uri in kesu.toml");
  return *(open_[id] = std::move(provider));
}

const ProbeKey& Vault::Probed::key(const VersionRef& version) const {
  for (const ProbeKey& k : report.keys)
    if (k.version == version) return k;
  throw Error(Code::outcome_unknown, "kesu-probe gave no answer about " + version.brief());
}

namespace {
// The probe is another process: its calls stand in its answer.
void trace_probe(const ProbeTranscript& t, std::chrono::steady_clock::duration took) {
  const Json* calls = t.answer.is_object() ? t.answer.find("calls") : nullptr;
  if (calls && calls->is_array())
    for (const Json& c : calls->as_array()) {
      if (!c.is_object()) continue;
      trace("probe", c.str_or("call", "?"), {{"rv", c.str_or("rv", "")}, {"times", c.num_or("times", 1)}},
            std::chrono::milliseconds(c.num_or("ms", 0)));
    }
  trace("probe", "end", {{"exit", static_cast<int64_t>(t.exit)}, {"timed_out", t.timed_out ? "yes" : ""}},
        took);
}

// The login's refusal as the probe met it.
std::optional<Error> refusal_in(const ProbeReport& report, const std::string& provider) {
  for (auto [code, next] :
       {std::pair(Code::pin_wrong, std::string("correct the PIN source, then run the command again")),
        std::pair(Code::pin_locked,
                  std::string("have the token's security officer unlock it or set a new PIN")),
        std::pair(Code::pin_count_low, "kesu provider test " + provider + " says what to do")})
    if (report.error_code == code_text(code))
      return Error(code, report.error_message)
          .tried("kesu-probe's login at provider " + provider + "; after that none")
          .next(next);
  return std::nullopt;
}
}  // namespace

Vault::Probed Vault::probe(const ProviderRecord& record, const std::vector<KeyRef>& keys,
                           const std::vector<ProbeSample>& samples) {
  refuse_refused(record.id);
  ProbeRequest request{.uri = expecting_uri(record, provider_uri(record)),
                       .identity = record.identity,
                       .keys = keys,
                       .control = std::nullopt,
                       .samples = samples};
  const VersionRecord* control = state_.version(record.control);
  if (control && control->ref) request.control = *control->ref;
  constexpr Millis kTimeout = 120'000;
  const auto began = std::chrono::steady_clock::now();
  const auto probe = [&] { return run_probe(env_.probe_program, request.to_json(), kTimeout); };
  ProbeTranscript transcript = probe();
  ProbeReport report = read_probe(transcript);
  // Another process may have written to the token just then: it is not seen, or does not answer about a key.
  const auto open = [](const ProbeKey& key) { return key.answer == ProbeAnswer::unknown; };
  const bool unclear = (request.control && report.control == ProbeAnswer::unknown) ||
                       std::any_of(report.keys.begin(), report.keys.end(), open);
  if (unclear && (report.error_code.empty() || report.error_code == code_text(Code::token_absent))) {
    transcript = probe();
    report = read_probe(transcript);
  }
  if (tracing()) trace_probe(transcript, std::chrono::steady_clock::now() - began);
  std::string remains = would_remain(request, report);
  Probed out{std::move(report), std::move(remains),
             store_->put_blob(as_bytes(transcript.to_json().canonical()))};
  if (auto refusal = refusal_in(out.report, record.name)) remember_refusal(record.id, *refusal);
  return out;
}

SavedCheckpoint Vault::checkpoint() {
  refresh();
  for (const SavedCheckpoint& c : store_->checkpoints())
    if (c.size == state_.size) return c;
  const VersionRecord* key = state_.version(state_.vault.ledger_version);
  if (!key || !key->ref)
    throw Error(Code::state_refused, "the vault has no ledger key yet")
        .next("kesu init finishes what it began: run it again");
  Checkpoint head;
  NoteKey note_key = NoteKey::parse(state_.vault.vkey);
  head.origin = note_key.name;
  head.size = state_.size;
  head.root = tree_root(store_->leaves(state_.size));
  Provider& signer = provider(key->provider);
  Note note{
      head.text(),
      {sign_note(head.text(), note_key, [&](ByteView message) { return signer.sign(*key->ref, message); })}};
  SavedCheckpoint saved{head.size, note.str()};
  store_->save_checkpoint(saved);
  return saved;
}

ProviderRecord& Vault::find_provider(const std::string& t) {
  return find_in(state_.providers, "prv-", t, "provider");
}
KeyRecord& Vault::find_key(const std::string& t) { return find_in(state_.keys, "key-", t, "key"); }
DatasetRecord& Vault::find_dataset(const std::string& t) {
  return find_in(state_.datasets, "ds-", t, "dataset");
}
ErasureRecord& Vault::find_erasure(const std::string& t) {
  return find_in(state_.erasures, "era-", t, "erasure");
}
OperatorRecord& Vault::find_operator(const std::string& t) {
  for (auto& [id, person] : state_.operators)  // of several of one name at most one is not revoked
    if (person.name == t && person.state != "revoked") return person;
  return find_in(state_.operators, "opr-", t, "operator");
}
HoldRecord& Vault::find_hold(const std::string& t) { return find_in(state_.holds, "hld-", t, "hold"); }
CertificateRecord& Vault::find_certificate(const std::string& t) {
  return find_in(state_.certificates, "cer-", t, "certificate");
}

std::string find_vault(const std::string& from) {
  for (std::string dir = absolute_path(from);; dir = dir_name(dir)) {
    if (exists(path_join(dir, "kesu.toml"))) return dir;
    if (dir == "/") break;
  }
  throw Error(Code::vault_absent, "no vault here")
      .tried(absolute_path(from) + " and the directories above it")
      .next("--vault DIR or KESU_VAULT names it; kesu init makes one");
}

std::string config_text(const VaultId& id, const std::string& organisation) {
  return "# kesu vault of " + organisation +
         ". What happened stands in ledger.db; this file only says where things are.\n"
         "[vault]\nformat = 1\nid = \"" +
         id.str() +
         "\"\nstore = \"sqlite\"\n\n"
         "# When a token's module or PIN file moved, say so here; the ledger keeps the first place:\n"
         "# [provider.NAME]\n# uri = \"pkcs11:token=…?module-path=…&pin-source=file:/…\"\n";
}

}  // namespace kesu
