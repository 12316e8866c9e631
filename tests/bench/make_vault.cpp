// Makes a small vault large: adds keys, datasets and years of use to one that `kesu init` made, through the
// store, many entries a commit. What it adds is what the commands would have recorded, with births, segments
// and digests that the full check accepts; the keys themselves exist nowhere. For measurements, not a test.
// Usage: make_vault VAULT [KEYS [ENTRIES [DATASETS]]]      (10000, 1000000, 100)
#include <cstdio>
#include <cstdlib>
#include <fstream>

#include "app/actor.h"
#include "app/vault.h"
#include "base/files.h"
#include "crypto/hash.h"
#include "crypto/random.h"
#include "inventory/segment.h"

namespace {

using namespace kesu;

constexpr size_t kGroup = 8192;  // entries in one commit

class NoProviders final : public ProviderFactory {
 public:
  std::unique_ptr<Provider> open(const std::string& uri) override {
    throw Error(Code::usage, "make_vault opens no provider: " + uri);
  }
};

class Maker {
 public:
  Maker(Vault& vault, uint64_t keys, uint64_t entries, uint64_t datasets)
      : vault_(vault), store_(vault.store()), entries_(entries), actor_(this_process()) {
    const ProviderRecord& provider = vault.state().providers.begin()->second;
    provider_ = provider.id;
    const VersionRecord& control = *vault.state().version(provider.control);
    birth_ = parse_json(to_text(store_.blob(control.birth)), "the control key's birth");
    ref_ = *control.ref;
    sets_.resize(std::max<uint64_t>(datasets, 1));
    if (keys < sets_.size()) throw Error(Code::usage, "more datasets than keys");
    for (uint64_t i = 0; i < keys; ++i) make_key(i);
    for (size_t i = 0; i < sets_.size(); ++i) make_dataset(i);
  }

  void run() {
    for (uint64_t job = 0; made() + 16 < entries_; ++job) {
      // Three seal jobs of two batches to two readings; every tenth batch is re-wrapped later on.
      Set& set = sets_[job % sets_.size()];
      if (job % 5 < 3)
        seal_job(set);
      else
        reading(set);
      if (job % 10 == 9 && set.rotated && !set.batches.empty()) rewrap_one(set);
      if (job == 2000)
        for (size_t i = 0; i < sets_.size(); i += 5) rotate(sets_[i]);
    }
    for (size_t i = 3; i < sets_.size(); i += 40) change(version_of(sets_[i]), "compromised");
    while (made() < entries_) {
      std::string process = start(sets_[0], "open");
      if (made() < entries_) end(process);
    }
    flush();
    vault_.refresh();  // registers are saved when the vault is closed, as by any command that writes
  }

 private:
  struct Set {
    KeyId key;
    uint32_t version = 1;
    std::string id, dataset_key, directory;
    bool rotated = false;
    std::vector<std::pair<std::string, int64_t>> batches;  // sealed and not re-wrapped, with their objects
  };

  uint64_t made() const { return store_size_ + events_.size(); }
  template <class T>
  T fresh() {
    return vault_.env().random.id<T>();
  }

  void add(Event event) {
    events_.push_back(std::move(event));
    if (events_.size() >= kGroup) flush();
  }
  void flush() {
    if (!events_.empty()) store_.append(std::exchange(events_, {}));
    store_size_ = store_.size();
  }

  // Beside the store: its durable writes, one sync each, would take most of the time.
  std::string keep(const std::string& text) {
    std::string digest = hex(sha256(as_bytes(text)));
    std::ofstream(path_join(vault_.directory(), "evidence/" + digest), std::ios::binary) << text;
    return digest;
  }

  std::string make_version(const KeyId& key, uint32_t number, const std::string& name,
                           const std::string& initial) {
    VersionRef version{key, number};
    KeyRef ref = ref_;
    ref.version = version;
    ref.purpose = KeyPurpose::wrap;
    ref.label = object_label(version);
    ref.id = object_id(version);
    birth_.set("ref", ref.to_json());
    std::string birth = keep(birth_.canonical());
    add({.type = "key-intended",
         .nodes = {{.id = version.str(), .is = "intended", .of = provider_}, {.id = vault_.id().str()}},
         .body = Json::object(
             {{"name", name},
              {"purpose", "wrap"},
              {"origin", "generated"},
              {"initial", initial},
              {"label", ref.label},
              {"id", hex(ref.id)},
              {"wrap_quota", kWrapQuota},
              {"periods", Json::object({{"originator", 63'072'000}, {"recipient", 157'680'000}})},
              {"actor", actor_}})});
    add({.type = "key-created",
         .nodes = {{.id = version.str(),
                    .is = initial,
                    .of = provider_,
                    .d = hex(sha256(as_bytes(version.str())))}},
         .body = Json::object({{"name", name},
                               {"purpose", "wrap"},
                               {"origin", "generated"},
                               {"ref", ref.to_json()},
                               {"birth", birth},
                               {"left_out", Json(Json::Array{})},
                               {"interrupted", false}})});
    return version.str();
  }

  void change(const std::string& version, const std::string& to) {
    add({.type = "key-state-changed",
         .nodes = {{.id = version, .is = to}},
         .body = Json::object({{"from", "active"}, {"reason", "for the measurement"}, {"actor", actor_}})});
  }

  void make_key(uint64_t i) {
    KeyId key = fresh<KeyId>();
    const std::string name = "key-of-customer-" + std::to_string(i);
    std::string version = make_version(key, 1, name, i % 20 == 13 ? "pre-activation" : "active");
    if (i < sets_.size()) {
      sets_[i].key = key;
      return;
    }
    if (i % 20 == 7) {
      make_version(key, 2, name, "active");
      change(version, "deactivated");
    }
    if (i % 30 == 11) change(version, "suspended");
    if (i % 50 == 21) change(version, "compromised");
    if (i % 20 == 3) {
      add({.type = "destroy-intended",
           .nodes = {{.id = version, .is = "destroying"}},
           .body = Json::object({{"ref", ref_.to_json()},
                                 {"attributes", birth_.at("attributes")},
                                 {"from", "active"},
                                 {"actor", actor_}})});
      add({.type = "destroy-done",
           .nodes = {{.id = version, .is = "destroyed"}},
           .body = Json::object({{"receipt", Json()}, {"receipt_lost", false}})});
    }
  }

  Json wrapped() {
    auto& random = vault_.env().random;
    return Json::object(
        {{"algorithm", 1}, {"nonce", hex(random.bytes(12))}, {"blob", hex(random.bytes(64 + 16))}});
  }

  void make_dataset(size_t i) {
    Set& set = sets_[i];
    set.id = fresh<DatasetId>().str();
    set.dataset_key = fresh<DatasetKeyId>().str();
    set.directory = "/srv/sealed/dataset-" + std::to_string(i);
    make_directories(path_join(vault_.directory(), "inventory/" + set.id), 0700);
    Json history = Json::object({{"statement", "none"}, {"by", "A. Operator"}, {"detail", ""}});
    add({.type = "dataset-added",
         .nodes = {{.id = set.id, .is = "open"}, {.id = set.key.str() + ".1"}, {.id = vault_.id().str()}},
         .body = Json::object({{"name", "dataset-" + std::to_string(i)},
                               {"key", set.key.str()},
                               {"class", "confidential"},
                               {"region", "JP"},
                               {"owner", "A. Owner"},
                               {"contract", "CLOUD-2023-11"},
                               {"locations", Json::array({"file:///srv/sealed"})},
                               {"unreadable_until", "open-ended"},
                               {"content_algorithm", "AES-256-GCM"},
                               {"chunk", 1048576},
                               {"bind_payload", false},
                               {"plaintext_history", history}})});
    add({.type = "dataset-key-created",
         .nodes = {{.id = set.dataset_key, .is = "active", .of = set.id}},
         .edges = {{set.key.str() + ".1", set.dataset_key}},
         .body = Json::object({{"version", set.key.str() + ".1"}, {"wrapped", wrapped()}})});
  }

  std::string version_of(const Set& set) const { return set.key.str() + "." + std::to_string(set.version); }

  std::string start(const Set& set, const std::string& purpose) {
    Json body = actor_;
    body.set("purpose", purpose);
    std::string process = fresh<ProcessId>().str();
    add({.type = "process-started",
         .nodes = {{.id = process, .is = "alive", .t = vault_.env().clock.now() + 12 * 3600 * 1000LL}},
         .edges = {{process, set.id}},
         .body = std::move(body)});
    return process;
  }
  void end(const std::string& process) {
    add({.type = "process-ended",
         .nodes = {{.id = process, .is = "ended"}},
         .body = Json::object({{"how", "returned"}, {"detail", "its data keys were zeroed"}})});
  }

  void seal_job(Set& set) {
    std::string process = start(set, "seal");
    seal_batch(set);
    seal_batch(set);
    end(process);
  }

  void seal_batch(Set& set) {
    BatchId batch = fresh<BatchId>();
    const int64_t n = 1 + static_cast<int64_t>(++batches_ % 4);
    std::vector<SegmentObject> objects(static_cast<size_t>(n));
    Json ids(Json::Array{});
    for (SegmentObject& o : objects) {
      o.object = fresh<ObjectId>();
      vault_.env().random.fill(o.leaf);
      o.name = "statement-" + o.object.str().substr(4, 8) + ".pdf";
      o.place = set.directory + "/" + o.name + ".kesu";
      o.bytes = 4096;
      o.mode = 0644;
      o.salt = vault_.env().random.bytes(16);
      ids.push(hex(o.object.bytes()));
    }
    Bytes segment =
        write_segment({vault_.id(), *DatasetId::parse(set.id), batch, *DatasetKeyId::parse(set.dataset_key)},
                      objects, names_key_, vault_.env().random);
    std::ofstream(path_join(vault_.directory(), "inventory/" + set.id + "/" + batch.str() + ".seg"),
                  std::ios::binary)
        .write(reinterpret_cast<const char*>(segment.data()), static_cast<std::streamsize>(segment.size()));
    const std::string version = version_of(set);
    add({.type = "seal-intended",
         .nodes = {{.id = batch.str(), .is = "intended", .of = set.id, .n = n}},
         .edges = {{version, batch.str()}},
         .body = Json::object({{"actor", actor_},
                               {"location", set.directory},
                               {"location_inode", "1234567"},
                               {"location_born", "1700000000.123456789"},
                               {"location_filesystem", "4f8423b62c8dfc40"},
                               {"objects", ids},
                               {"version", version},
                               {"dataset_key", set.dataset_key}})});
    add({.type = "seal-done",
         .nodes = {{.id = batch.str(),
                    .is = "sealed",
                    .of = set.id,
                    .n = n,
                    .b = 4096 * n,
                    .d = hex(parse_segment_leaves(segment).root())}},
         .body = Json::object({{"segment", hex(sha256(segment))},
                               {"version", version},
                               {"dataset_key", set.dataset_key},
                               {"content_algorithm", "AES-256-GCM"},
                               {"wrap_algorithm", "AES-256-GCM"},
                               {"chunk", 1048576},
                               {"interrupted", false},
                               {"replaced", 0}})});
    if (batches_ % 10 == 0 && !set.rotated) set.batches.emplace_back(batch.str(), n);
  }

  void reading(const Set& set) {
    std::string process = start(set, "open");
    add({.type = "objects-opened",
         .nodes = {{.id = process}, {.id = set.id, .n = 1}},
         .edges = {{process, set.id}},
         .body = Json::object({{"purpose", "open"},
                               {"objects", Json::array({hex(fresh<ObjectId>().bytes())})},
                               {"versions", Json::array({version_of(set)})}})});
    end(process);
  }

  void rotate(Set& set) {
    std::string before = version_of(set);
    make_version(set.key, ++set.version, "key-of-customer-" + std::to_string(&set - sets_.data()), "active");
    change(before, "deactivated");
    add({.type = "dataset-key-rewrapped",
         .nodes = {{.id = set.dataset_key}, {.id = set.id}},
         .edges = {{version_of(set), set.dataset_key}},
         .body = Json::object({{"version", version_of(set)}, {"from", before}, {"wrapped", wrapped()}})});
    set.rotated = true;
  }

  void rewrap_one(Set& set) {
    auto [batch, n] = set.batches.back();
    set.batches.pop_back();
    Json objects = Json::array({Json::array({0, n - 1})});
    add({.type = "rewrap-intended",
         .nodes = {{.id = batch, .n = n}, {.id = set.id}},
         .edges = {{version_of(set), batch}},
         .body = Json::object({{"version", version_of(set)}, {"objects", objects}, {"actor", actor_}})});
    add({.type = "rewrap-done",
         .nodes = {{.id = batch, .n = n}},
         .body = Json::object({{"version", version_of(set)},
                               {"wrap_algorithm", "AES-256-GCM"},
                               {"objects", objects},
                               {"interrupted", false}})});
  }

  Vault& vault_;
  Store& store_;
  uint64_t entries_, store_size_ = 0, batches_ = 0;
  Json actor_, birth_;
  KeyRef ref_;
  std::string provider_;
  Secret names_key_ = vault_.env().random.secret(64);
  std::vector<Set> sets_;
  std::vector<Event> events_;
};

}  // namespace

int main(int argc, char** argv) {
  auto number = [&](int i, uint64_t other) { return argc > i ? std::strtoull(argv[i], nullptr, 10) : other; };
  if (argc < 2) {
    std::fprintf(stderr, "usage: make_vault VAULT [KEYS [ENTRIES [DATASETS]]]\n");
    return 2;
  }
  try {
    SystemClock clock;
    NoProviders none;
    Environment env{clock, system_random(), none, ""};
    Vault vault(argv[1], env, Access::write);
    Maker(vault, number(2, 10000), number(3, 1000000), number(4, 100)).run();
    std::printf("%s: %llu entries\n", argv[1], static_cast<unsigned long long>(vault.store().size()));
    return 0;
  } catch (const Error& e) {
    std::fprintf(stderr, "%s: %s\n", e.message().c_str(), e.cause().c_str());
    return 1;
  }
}
