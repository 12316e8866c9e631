// What the vault's ledger says, as records: State = fold of evolve over all entries. Pure: no files, no
// clock. Registers are these records as rows; deleting them is harmless.
#pragma once
#include <functional>
#include <map>
#include <optional>
#include <set>
#include <string>
#include <tuple>
#include <vector>

#include "app/batches.h"
#include "app/rules_record.h"
#include "base/ids.h"
#include "keys/state.h"
#include "provider/provider.h"
#include "store/store.h"

namespace kesu {

struct VaultRecord {
  std::string id, organisation, origin, profile, statement;
  int64_t quorum = 1, waiting_seconds = 0;
  bool signed_commands = false;
  std::string ledger_version;  // `key-….n` that signs checkpoints
  std::string vkey;
  std::string signer_version, signer_certificate;  // certificate key, and the blob of its certificate
  Millis closed = 0;                               // no entry follows
  // Of the last actor that the ledger knows: on which start of which machine it ran, and that machine's wall
  // clock minus its time since boot, in milliseconds (app/clock_watch.h).
  std::string boot_id;
  int64_t clock = 0;
  // The newest checkpoint that has a time-stamp: its size (0: none has), and the blobs of answer and chain.
  uint64_t stamped_size = 0;
  std::string stamp, stamp_chain;
  Anchors anchors = {};  // of the genesis statement
};

struct OperatorRecord {
  std::string id, name, title, public_key, fingerprint, state;
  std::vector<std::string> roles;
  bool has_role(std::string_view role) const;
};

struct ProviderRecord {
  std::string id, name, uri, state, grade_reason;
  ProviderIdentity identity;
  Json capabilities;
  bool test_grade = true;
  std::string control;     // `key-….n` of its control key
  int64_t generation = 0;  // of its container (a keystore file); 0: it has none
};

// Wraps with one AES-256-GCM key under random nonces (SP 800-38D §8.3 allows 2^32; kesu stops at half).
constexpr int64_t kWrapQuota = int64_t{1} << 31;

// Who attended the making of a version, by a signed statement.
struct AttestationRecord {
  std::string operator_id, role, statement;
  Millis time = 0;
};

struct VersionRecord {
  std::string id;                   // `key-….n`
  std::string state, state_before;  // state_before: what it was when `destroying` began
  std::string provider, erasure, birth;
  std::optional<KeyRef> ref;
  std::string origin = "generated";  // or imported, adopted
  std::string reason;                // of the last change of state
  Millis created = 0, activated = 0, deactivated = 0, destroyed = 0;
  Millis compromised = 0;  // when that was recorded; 0: never
  Millis occurred = 0;     // when the compromise happened, as far as known
  // Cryptoperiod in seconds from activation (SP 800-57 Pt 1 Rev. 5 §5.3); 0: no end. An exception moves an
  // end.
  int64_t originator = 0, recipient = 0;
  Millis originator_exception = 0, recipient_exception = 0;
  int64_t wraps = 0, wrap_quota = kWrapQuota;  // reserved so far, and how many there may be
  std::string inspected;                       // answer of the key-inspected entry, if there is one
  std::string
      before;  // evidence of the inspection before a destruction outside an erasure; then one after is due
  bool receipt_lost = false;
  std::vector<AttestationRecord> attested;
  uint64_t bracket = 0;  // seq of an open key-intended or destroy-intended
  Json actor;            // who opened it
  Millis since = 0;      // when
  uint32_t number() const { return VersionRef::parse(id)->version; }
  // The end of the originator- or recipient-usage period; 0: it has none, or has not begun.
  Millis protect_until() const;
  Millis process_until() const;
  // Destroyed outside an erasure, and not yet looked for again.
  bool inspection_due() const { return destroyed && erasure.empty() && inspected.empty() && !before.empty(); }
  int64_t wraps_left() const { return wraps < wrap_quota ? wrap_quota - wraps : 0; }
  VersionRef version() const { return *VersionRef::parse(id); }
};

struct KeyRecord {
  std::string id, name;
  KeyPurpose purpose = KeyPurpose::wrap;
  std::string provider;
  std::string fingerprints_of;  // the dataset whose fingerprint key it wraps, and nothing else; mostly empty
  std::vector<VersionRecord> versions;
  const VersionRecord* active() const;
  const VersionRecord* find(std::string_view version) const;
  std::string state() const;  // the newest version's
};

struct DatasetKeyRecord {
  std::string id, version;
  WrappedKey wrapped;
  bool rewrapped =
      false;  // a second wrap of a key made under another version: opens old names, seals no new ones
};
struct DatasetRecord {
  std::string id, name, key, state, erasure;
  Json settings;  // the body of dataset-added
  std::vector<DatasetKeyRecord> keys;
  std::vector<DatasetKeyRecord> fingerprint_keys;  // each under a version of its own; the last one is used
  Batches batches;
  // Of sealed batches.
  int64_t objects() const { return batches.sums().objects; }
  int64_t bytes() const { return batches.sums().bytes; }
};

struct ProcessRecord {
  std::string id, purpose, dataset;
  Json actor;
  Millis until = 0;
};

struct ApprovalRecord {
  std::string operator_id, role, statement, signature;
  Millis time = 0;
};
struct CopyRecord {
  std::string id, state, kind, place, custodian, medium, provider, how;
  int64_t generation = 0;
  std::vector<std::string> versions;
  Millis registered = 0, ended = 0;
  Json share, actor;     // of a key share that kesu made (docs/spec/events.md), else null: which, and by whom
  bool writing = false;  // it was registered, and its set is not known to be written
};
struct FindingRecord {
  std::string node, what, detail;
  Millis time = 0;
};
struct ExceptionRecord {
  std::string what, subject, detail, reason, approver;
  Millis time = 0, until = 0;  // until: 0, open-ended
};
struct HoldRecord {
  std::string id, subject;  // subject: the dataset or key version
  std::string case_number, reason, placed_by, release_reason;
  Millis placed = 0, released = 0;  // released: 0, in force
};
// How an organisation (the vault) or a person is reached, and where each acts; empty texts: not recorded.
struct ContactRecord {
  std::string node, contact, place;
  Millis time = 0;
};
// A document about an erasure that has no certificate (docs/spec/notices.md).
struct NoticeRecord {
  std::string id, erasure, type;  // type of the entry: notice-issued, notice-superseded, failure-reported
  std::string document, signature;
  std::string notice;  // of a superseding record: the notice that it takes back
  Millis issued = 0;
};
struct ErasureRecord {
  std::string id, stage, plan, reason;
  std::vector<std::string> datasets, versions;
  ApprovalRecord request;
  std::vector<ApprovalRecord> approvals;
  ApprovalRecord verified, validated;  // the last of each; time 0: none
  Json started;                        // body of the newest erasure-started
  Json inspected;                      // body of erasure-inspected
  std::string certificate;
  Millis requested = 0, approved = 0, finished = 0;
  uint64_t requested_seq = 0;  // its entry: people and rules are those in force then (app/rules.h)
};
// A certificate-renewed entry: digests of the files renewal/<n>.*.
struct RenewalRecord {
  uint64_t seq = 0;
  Millis time = 0;
  std::string ledger, manifest, stamp, stamp_chain;
};
struct CertificateRecord {
  std::string id, erasure, state, document, signature, manifest;
  uint64_t seq = 0;
  Millis issued = 0;
  bool stamp_asked = false;        // a time authority was configured when it was issued
  std::string stamp, stamp_chain;  // blobs of the answer over its signature, and of the chains; empty: none
  Millis withdrawn = 0;            // 0: it is not
  std::string withdraw_reason;
  std::vector<RenewalRecord> renewals = {};  // the first one first

  // The last entry that a bundle of it has to cover.
  uint64_t newest_entry() const { return renewals.empty() ? seq : renewals.back().seq; }
};

class State {
 public:
  uint64_t size = 0;  // ledger entries folded in
  Millis time = 0;    // of the last
  VaultRecord vault;
  std::map<std::string, OperatorRecord> operators;
  std::map<std::string, ProviderRecord> providers;
  std::map<std::string, KeyRecord> keys;
  std::map<std::string, DatasetRecord> datasets;
  std::map<std::string, ProcessRecord> processes;  // that have not ended
  std::map<std::string, ErasureRecord> erasures;
  std::map<std::string, CertificateRecord> certificates;
  std::map<std::string, CopyRecord> copies;
  std::map<std::string, HoldRecord> holds;
  std::map<std::string, FindingRecord> findings;      // by number of the entry
  std::map<std::string, ExceptionRecord> exceptions;  // likewise
  std::map<uint64_t, ChangeRecord> changes;           // of people and rules, by number of the entry
  std::map<std::string, ContactRecord> contacts;      // by node: the vault or an operator
  std::map<std::string, NoticeRecord> notices;

  // (state, entry) → state. Entries come in order. The second takes what it keeps out of the entry's body.
  void evolve(const StoredEntry& entry) { evolve(entry.entry.header, entry.entry.body, nullptr); }
  void evolve(StoredEntry&& entry) { evolve(entry.entry.header, entry.entry.body, &entry.entry.body); }

  const VersionRecord* version(std::string_view id) const;
  VersionRecord* version(std::string_view id);
  const KeyRecord* key_of(std::string_view version) const;
  // The erasure that is requested, approved or running and will destroy a version of this key; nullptr: none.
  // Such a key takes no new versions, datasets or data.
  const ErasureRecord* reserving(std::string_view key) const;

  // Registers: one row per record, and per batch. each_row() visits all, each_row_in_use() all but those of
  // batches at rest, each_changed() those since the last call of clear_changed(); an empty text: the row is
  // to go. A state that was not read from registers keeps no account of changes.
  using RowVisitor = std::function<void(const std::string& kind, const std::string& id, const std::string&)>;
  void each_row(const RowVisitor& visit) const;
  void each_row_in_use(const RowVisitor& visit) const;
  // Of a batch at rest, by the row's id ("<dataset>/<batch>"); of batches in memory.
  std::optional<std::string> row_at_rest(std::string_view id) const;
  void each_changed(const RowVisitor& visit) const;
  void clear_changed() { changed_.clear(); }
  // Rows of this kind are not given to from_registers; `batches` gives those of a dataset when they are asked
  // for (Batches::Loader), and batch_from reads one.
  static constexpr std::string_view kAtRest = "batch";
  static BatchRecord batch_from(std::string_view row);
  static State from_registers(const Store::Registers& registers,
                              const std::function<Batches::Loader(const std::string& dataset)>& batches);
  // Whether evolve() looks into the body of an entry with this header.
  static bool wants_body(const Header& header);

 private:
  void touch(std::string_view kind, const std::string& id) {
    if (tracks_) changed_.emplace(kind, id);
  }
  void touch_batch(const std::string& dataset, const std::string& batch) {
    if (!tracks_) return;
    touch("dataset", dataset);
    touch(kAtRest, dataset + "/" + batch);
  }
  void evolve(const Header& h, const Json& body, Json* own);
  void evolve_clock(const Header& h, const Json& body);
  void evolve_vault(const Header& h, const Json& body);
  void evolve_key(const Header& h, const Json& body);
  void evolve_remark(const Header& h, const Json& body);
  void count_wraps(std::string_view version, int64_t n);
  void evolve_dataset(const Header& h, const Json& body);
  void evolve_seal(const Header& h, const Json& body, Json* own);
  void evolve_process(const Header& h, const Json& body, Json* own);
  void evolve_rewrap(const Header& h, const Json& body);
  DatasetRecord* dataset_of(const Header& h, const std::string& batch);
  void evolve_erasure(const Header& h, const Json& body);
  void evolve_rules(const Header& h, const Json& body);
  bool tracks_ = false;
  std::set<std::pair<std::string, std::string>> changed_;
};

}  // namespace kesu
