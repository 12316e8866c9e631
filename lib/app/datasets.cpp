#include "app/datasets.h"

#include <algorithm>

#include "app/actor.h"
#include "app/exceptions.h"
#include "app/holds.h"
#include "app/key_states.h"
#include "app/keys.h"
#include "app/rules.h"
#include "app/settle.h"
#include "base/plain_text.h"
#include "policy/policy.h"

namespace kesu {

namespace {
constexpr Millis kLease =
    12 * 3600 * 1000LL;  // longest time a killed process counts as holding keys when it cannot be asked

constexpr std::pair<std::string_view, AeadAlg> kAlgorithms[] = {
    {"AES-256-GCM", AeadAlg::aes256_gcm},
    {"ChaCha20-Poly1305", AeadAlg::chacha20_poly1305},
    {"Camellia-256-GCM", AeadAlg::camellia256_gcm},
    {"AES-128-GCM", AeadAlg::aes128_gcm}};
AeadAlg algorithm_of(const std::string& name) {
  std::string known;
  for (auto& [text, alg] : kAlgorithms) {
    if (text == name) return alg;
    known += (known.empty() ? "" : ", ") + std::string(text);
  }
  throw Error(Code::bad_input, "no content algorithm is called " + name).next("one of " + known);
}

// The active version of a key that data may be sealed under.
std::string sealing_version(const State& state, const KeyRecord& key) {
  if (key.purpose != KeyPurpose::wrap || !key.active())
    throw Error(Code::state_refused, key.name + " cannot seal")
        .cause(key.purpose != KeyPurpose::wrap ? "it is no key for wrapping" : "it is " + key.state())
        .next(key.purpose == KeyPurpose::wrap ? how_to_activate(state, key) : "kesu key create NAME");
  refuse_of_fingerprints(state, key, "seal data");
  refuse_reserved(state, key);
  return key.active()->id;
}
}  // namespace

void refuse_weak(const State& state, const std::string& algorithm, policy::Purpose purpose,
                 const std::string& until, Millis now) {
  policy::Query query = policy::parse_query(algorithm);
  query.purpose = purpose;
  query.now_year = year_of(now);
  if (until != "open-ended") {
    if (until.size() != 4 || until.find_first_not_of("0123456789") != std::string::npos)
      throw Error(Code::bad_input, "--unreadable-until takes a year or open-ended, not " + until);
    query.end_year = std::stoi(until);
  }
  policy::Verdict v = policy::evaluate(query);
  if (v.allowed || (v.exception_possible && excepted(state, algorithm, purpose, now))) return;
  std::string cited;
  for (const std::string& c : v.citations) cited += (cited.empty() ? "" : "; ") + c;
  throw Error(Code::policy_refused, algorithm + " is refused where data must stay unreadable " +
                                        (until == "open-ended" ? "without end" : "until " + until))
      .cause(v.reason + " [" + cited + "]")
      .next("kesu policy check " + algorithm + ", or an end date with --unreadable-until YEAR" +
            (v.exception_possible ? ", or an approver's exception: kesu policy except" : ""));
}

void refuse_reserved(const State& state, const KeyRecord& key) {
  if (const ErasureRecord* e = state.reserving(key.id))
    throw Error(Code::frozen, "key " + key.name + " is to be destroyed by erasure " + e->id.substr(0, 12) +
                                  ": it takes nothing new")
        .next("kesu erase status " + e->id.substr(0, 12) + ", or another key");
}

std::string add_dataset(Vault& vault, const DatasetDraft& d) {
  settle(vault);
  const State& state = vault.state();
  refuse_bad_name(d.name, "a dataset's name");
  if (d.name.starts_with("ds-") || d.name.find('/') != std::string::npos)
    throw Error(Code::usage, "a dataset's name cannot begin with ds-, or hold a slash");
  for (auto& [id, other] : state.datasets)
    if (other.name == d.name)
      throw Error(Code::already_exists, "a dataset is called " + d.name + " already")
          .cause(id + ", " + other.state)
          .next("choose another name");
  const std::string key_id = vault.find_key(d.key).id;
  auto usable_key = [&] { return sealing_version(vault.state(), vault.state().keys.at(key_id)); };
  const std::string version = usable_key();
  if (d.history != "none" && d.history != "disposed" && d.history != "unknown")
    throw Error(Code::bad_input, "--plaintext-history takes none, disposed or unknown");
  if (d.history != "unknown" && d.history_by.empty())
    throw Error(Code::bad_input,
                "who says so? --plaintext-history " + d.history + " needs --history-by PERSON");
  algorithm_of(d.algorithm);
  if (d.chunk < kMinChunk || d.chunk > kMaxChunk || (d.chunk & (d.chunk - 1)))
    throw Error(Code::bad_input, "--chunk takes a power of two from 16384 to 4194304");
  refuse_weak(state, d.algorithm, policy::Purpose::payload, d.unreadable_until, vault.now());
  refuse_weak(state, "AES-256-GCM", policy::Purpose::wrap, d.unreadable_until, vault.now());

  Json locations(Json::Array{});
  for (const std::string& l : d.locations) locations.push(l);
  std::string id = vault.env().random.id<DatasetId>().str();
  Json settings = Json::object(
      {{"name", d.name},
       {"key", key_id},
       {"class", d.data_class},
       {"region", d.region},
       {"owner", d.owner},
       {"contract", d.contract},
       {"retention", d.retention},
       {"service", d.service},
       {"contact", d.contact},
       {"asset", d.asset},
       {"destination", d.destination},
       {"locations", locations},
       {"unreadable_until", d.unreadable_until},
       {"content_algorithm", d.algorithm},
       {"chunk", d.chunk},
       {"bind_payload", d.bind_payload},
       {"fingerprints", d.fingerprints.value_or(rules_in_force(state, moment_now(vault)).profile == "high")},
       {"plaintext_history",
        Json::object({{"statement", d.history}, {"by", d.history_by}, {"detail", d.history_detail}})}});
  // The vault is named so that a request to destroy the key, decided at the same time, decides anew.
  vault.decide({id, version, state.vault.id}, [&] {
    usable_key();
    return std::vector<Event>{{.type = "dataset-added",
                               .nodes = {{.id = id, .is = "open"}, {.id = state.vault.id}},
                               .body = settings}};
  });
  return id;
}

bool DatasetChanges::empty() const {
  if (keep_as) return false;
  return !key && !owner && !data_class && !region && !contract && !retention && !unreadable_until &&
         !service && !contact && !asset && !destination && !fingerprints && locations.empty();
}

void update_dataset(Vault& vault, const std::string& id, const DatasetChanges& c, const std::string& reason) {
  if (c.empty()) throw Error(Code::usage, "what is to change?").next("kesu dataset update --help");
  if (reason.empty()) throw Error(Code::usage, "why? --reason TEXT stays in the ledger with the change");
  settle(vault);
  const std::string key_id = c.key ? vault.find_key(*c.key).id : "";
  std::string keep_as;
  if (c.keep_as && !c.keep_as->empty()) keep_as = vault.find_dataset(*c.keep_as).id;
  if (keep_as == id) throw Error(Code::usage, "a dataset is kept as another one, not as itself");
  std::vector<std::string> streams = {id, vault.state().vault.id};
  if (c.key) streams.push_back(sealing_version(vault.state(), vault.state().keys.at(key_id)));
  vault.decide(streams, [&] {
    const State& state = vault.state();
    const DatasetRecord& d = state.datasets.at(id);
    if (d.state != "open")
      throw Error(d.state == "frozen" ? Code::frozen : Code::state_refused,
                  "dataset " + d.name + " is " + d.state)
          .cause(d.erasure.empty() ? "" : "by erasure " + d.erasure);
    Json changes = Json::object({});
    auto change = [&](const char* member, const std::optional<std::string>& value) {
      if (value) changes.set(member, *value);
    };
    if (c.key) {
      sealing_version(state, state.keys.at(key_id));
      changes.set("key", key_id);
    }
    change("owner", c.owner);
    change("class", c.data_class);
    change("region", c.region);
    change("contract", c.contract);
    change("retention", c.retention);
    change("service", c.service);
    change("contact", c.contact);
    change("asset", c.asset);
    change("destination", c.destination);
    if (c.unreadable_until) {
      refuse_weak(state, d.settings.str("content_algorithm"), policy::Purpose::payload, *c.unreadable_until,
                  vault.now());
      refuse_weak(state, "AES-256-GCM", policy::Purpose::wrap, *c.unreadable_until, vault.now());
      changes.set("unreadable_until", *c.unreadable_until);
    }
    if (!c.locations.empty()) {
      Json locations(Json::Array{});
      for (const std::string& l : c.locations) locations.push(l);
      changes.set("locations", locations);
    }
    if (c.fingerprints) changes.set("fingerprints", *c.fingerprints);
    if (c.keep_as) {
      if (!keep_as.empty() && state.datasets.at(keep_as).state == "erased")
        throw Error(Code::state_refused, "dataset " + state.datasets.at(keep_as).name + " is erased");
      changes.set("keep_as", keep_as);
    }
    // The same again, of a run that was killed before it could say so.
    const Json::Object& all = changes.as_object();
    if (std::all_of(all.begin(), all.end(), [&](const auto& one) {
          const Json* now = d.settings.find(one.first);
          return now != nullptr && *now == one.second;
        }))
      return std::vector<Event>();
    // The vault is named so that a request to destroy the key, decided at the same time, decides anew.
    return std::vector<Event>{
        {.type = "dataset-updated",
         .nodes = {{.id = id}, {.id = state.vault.id}},
         .body = Json::object({{"changes", changes}, {"reason", reason}, {"actor", this_process()}})}};
  });
}

AeadAlg content_algorithm(const DatasetRecord& dataset) {
  return algorithm_of(dataset.settings.str("content_algorithm"));
}

Json dataset_json(const State& state, const DatasetRecord& d) {
  auto key = state.keys.find(d.key);
  return Json::object({{"id", d.id},
                       {"name", d.name},
                       {"key", key == state.keys.end() ? d.key : key->second.name},
                       {"region", d.settings.str_or("region", "")},
                       {"class", d.settings.str_or("class", "")},
                       {"objects", d.objects()},
                       {"bytes", d.bytes()},
                       {"protection", "sealed"},
                       {"state", d.state == "open" && !holds_on(state, {d.id}).empty() ? "held" : d.state}});
}

KeyHolder::KeyHolder(Vault& vault, const std::string& dataset, const std::string& purpose,
                     const std::string& own_erasure)
    : vault_(vault),
      id_(vault.env().random.id<ProcessId>().str()),
      dataset_(dataset),
      purpose_(purpose),
      own_erasure_(own_erasure) {
  record();
}

void KeyHolder::record() {
  Json body = this_process();
  body.set("purpose", purpose_);
  Millis until = vault_.now() + kLease;
  std::vector<std::string> streams = {dataset_};
  if (const std::string& erasure = vault_.state().datasets.at(dataset_).erasure; !erasure.empty())
    streams.push_back(erasure);
  vault_.decide(streams, [&] {
    const DatasetRecord& d = vault_.state().datasets.at(dataset_);
    if (d.state == "erased")
      throw Error(Code::state_refused, "dataset " + d.name + " was erased by " + d.erasure)
          .next("kesu dataset add makes another");
    auto e = vault_.state().erasures.find(d.erasure);
    if (e != vault_.state().erasures.end() && d.erasure != own_erasure_ &&
        (e->second.stage == "running" || e->second.finished))
      throw Error(Code::frozen, "dataset " + d.name + " is being erased by " + d.erasure)
          .next("kesu erase status " + d.erasure.substr(0, 12));
    if (!d.erasure.empty() && streams.size() == 1)
      throw Error(Code::frozen, "dataset " + d.name + " was frozen meanwhile by " + d.erasure)
          .next("run the same command again");
    return std::vector<Event>{{.type = "process-started",
                               .nodes = {{.id = id_, .is = "alive", .t = until}},
                               .edges = {{id_, dataset_}},
                               .body = body}};
  });
  until_ = until;
}

void KeyHolder::keep() {
  if (vault_.now() > until_ - kLease / 2) record();
}

KeyHolder::~KeyHolder() {
  try {
    end("returned");
  } catch (const std::exception&) {  // the ledger cannot be written now; settle() records the end
  }
}

void KeyHolder::end(const std::string& how) {
  if (id_.empty()) return;
  std::string id = std::exchange(id_, "");
  vault_.append({{.type = "process-ended",
                  .nodes = {{.id = id, .is = "ended"}},
                  .body = Json::object({{"how", how}, {"detail", "its data keys were zeroed"}})}},
                {id});
}

Secret open_dataset_key(Vault& vault, const DatasetRecord& dataset, const std::string& id, ProcessFor why) {
  std::exception_ptr first;
  for (auto k = dataset.keys.rbegin(); k != dataset.keys.rend(); ++k) {
    if (k->id != id) continue;
    const VersionRecord* v = vault.state().version(k->version);
    if (!v || !v->ref)
      throw Error(Code::ledger_damaged, "dataset key " + id + " names no key version that was made");
    try {
      refuse_to_process(vault, *v, why);
      return vault.provider(v->provider)
          .unwrap(*v->ref, k->wrapped,
                  dataset_key_aad(vault.id(), *DatasetId::parse(dataset.id), *DatasetKeyId::parse(id),
                                  v->version()));
    } catch (const Error&) {
      if (!first) first = std::current_exception();
    }
  }
  if (first) std::rethrow_exception(first);
  throw Error(Code::ledger_damaged, "dataset " + dataset.name + " has no dataset key " + id);
}

std::vector<BatchRecord> sealed_batches(const DatasetRecord& dataset) {
  std::vector<BatchRecord> batches = dataset.batches.all();
  std::erase_if(batches, [](const BatchRecord& b) { return b.state != "sealed"; });
  std::sort(batches.begin(), batches.end(), [](auto& x, auto& y) { return x.done_seq < y.done_seq; });
  return batches;
}

std::vector<Digest32> dataset_leaves(Vault& vault, const DatasetRecord& dataset) {
  std::vector<Digest32> out;
  for (const BatchRecord& b : sealed_batches(dataset))
    for (auto& [id, leaf] : parse_segment_leaves(vault.store().segment(dataset.id, b.id)).objects)
      out.push_back(leaf);
  return out;
}

}  // namespace kesu
