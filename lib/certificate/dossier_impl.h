// A bundle as the reader understands it: everything parsed, held against everything else, and nothing
// believed that the writer left. The issuer runs the same reader over its draft. For lib/certificate itself.
#pragma once
#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <set>
#include <string>
#include <vector>

#include "base/clock.h"
#include "base/error.h"
#include "base/json.h"
#include "certificate/bundle.h"
#include "certificate/grade.h"
#include "certificate/rules_impl.h"
#include "crypto/crl.h"
#include "crypto/note.h"
#include "crypto/person_key.h"
#include "crypto/timestamp.h"
#include "crypto/x509.h"
#include "erasure/kill_set.h"
#include "erasure/statement.h"
#include "ledger/checkpoint.h"
#include "ledger/entry.h"
#include "ledger/graph.h"
#include "provider/provider.h"

namespace kesu::dossier {

// `hard`: forged, altered or inconsistent. Otherwise something is missing or does not count, which lowers
// claims.
struct Finding {
  std::string part, what;
  bool hard = true;
};
class Findings {
 public:
  void bad(std::string part, std::string what) { add({std::move(part), std::move(what), true}); }
  void weak(std::string part, std::string what) { add({std::move(part), std::move(what), false}); }
  bool any_hard() const { return hard_; }
  const std::vector<Finding>& all() const { return all_; }
  // Runs `check`; what it throws becomes a finding about `part`. False when it threw.
  bool guard(const std::string& part, const std::function<void()>& check);
  // What is found in `check` is weak, whatever it is.
  void weakly(const std::function<void()>& check);

 private:
  void add(Finding f);
  bool weakly_ = false;
  std::vector<Finding> all_;
  bool hard_ = false;
};

struct Person {
  std::string id, name, title, public_key, fingerprint;
  std::vector<std::string> roles;
  std::optional<PersonKey> key;
  bool genesis_officer = false;  // named by the genesis statement, with the same key and roles
  bool genesis_signed = false;
  uint64_t enrolled = 0;
  std::optional<uint64_t> revoked;
  bool has_role(std::string_view role) const;
};

struct SignedAct {  // a request, an approval, a verification, a validation
  std::string action, operator_id, part;
  std::string statement;  // SHA-256 that its entry names
  uint64_t seq = 0;
  Millis time = 0, expires = 0;
  bool valid = false;    // signature, statement, person, role all good
  bool counted = false;  // and it counts: distinct person and key, not the requester, in time
};

// A key-attested entry whose statement is genuine.
struct Attested {
  std::string version, operator_id, part;
  uint64_t seq = 0;
  Millis time = 0;
  bool counted = false;  // and it counts ("Attested births")
};

// A signed command that counts for the first of the opened entries that name it.
struct CommandFacts {
  std::string operator_id, part;
  uint64_t seq = 0;
  Millis time = 0;
};

struct Probe;
// A key-inspected entry: the two inspections around a destruction outside an erasure.
struct KeyLook {
  uint64_t seq = 0;
  std::string provider, answer, before_digest, after_digest;
  std::shared_ptr<const Probe> before, after;  // null: missing or not readable
};

struct KeyFacts {
  std::string version, name, provider;
  std::optional<KeyRef> ref;
  std::optional<Birth> birth;
  uint64_t created = 0;
  Millis born = 0;           // time of `created`, where it is opened
  std::string birth_digest;  // of the birth record that it names
  // generated, imported, adopted …: what key-intended and key-created both say, or the one of them that does
  // not say generated; empty: one of them is not shown, so that nothing can be said.
  std::string origin;
  bool birth_shown = false;       // its record is of this key, and of the object of its name
  bool birth_good = false;        // and it says: generated inside, never out
  bool attributes_shown = false;  // read just before destruction, of the same object
  bool attributes_again = false;  // and they say the same as at birth
  Millis intended_at = 0;
  std::string before_digest;   // the inspection that destroy-intended rests on, where it names one
  std::string intended_boot;   // which start of the machine sent that; empty: not shown
  std::vector<KeyLook> looks;  // of the kill set's versions, in the ledger's order
  std::optional<uint64_t> intended, done;  // entries of its destruction
  Millis destroyed_at = 0;
  std::optional<Receipt> receipt;
  bool receipt_lost = false, settled = false;
};

struct ProviderFacts {
  std::string id, name;
  ProviderIdentity identity;
  ProviderGrade grade;
};

struct CopyFacts {
  std::string id, kind, place, custodian, state, document;
  bool documented = false;
  std::set<std::string> versions;  // that it is a copy of
};

// An exception-recorded entry about something in scope.
struct ExceptionFacts {
  uint64_t seq = 0;
  std::string what, subject, detail, until, reason, approver;  // until: a time, or empty: without end
  bool shown = false;                                          // its body is in the bundle
};

// A finding-recorded entry about the vault's clock, or about the vault and not shown.
struct ClockFacts {
  uint64_t seq = 0;
  Millis time = 0;
  std::string what;  // clock-jumped, clock-behind; empty: not shown
};

// Of the vault (the organisation) or a person, as of checkpoint A.
struct Contact {
  std::string contact, place;  // empty: not recorded
};

// A legal hold on something in scope, as long as it stood.
struct HoldFacts {
  std::string id, subject;
  uint64_t placed = 0;
  std::optional<uint64_t> released;  // the release that counts
};

struct BatchFacts {
  std::string id, state, content_algorithm, wrap_algorithm;
  std::set<std::string> rewrap_algorithms;  // of its rewrap-done entries; "" where one is not shown
  int64_t n = 0, b = 0;
  int64_t replaced = 0;         // objects sealed over older ones at the same place
  bool readable_names = false;  // the files at the place bear the names of their sources
  uint64_t intended = 0, done = 0;
  std::string_view leaves;  // in the bundle's file: `n` digests in hex, each with a line feed
  bool has(const Digest32& leaf) const;
};
struct DatasetFacts {
  std::string id;
  Json settings = Json(Json::Object{});  // dataset-added, changed by dataset-updated
  uint64_t added = 0;
  std::vector<BatchFacts> batches;  // sealed ones, in the order of their seal-done
  // Interrupted ones that were given up, with the number of objects that they were to have.
  std::vector<std::pair<std::string, int64_t>> abandoned;
  bool open_batch = false;  // one is intended and neither sealed nor abandoned
  bool erased = false, inventory_good = false;
  int64_t objects = 0, bytes = 0;
  Digest32 root{};
};

struct Sample {
  std::string object, key, dataset;
  bool operator<(const Sample& o) const { return std::tie(object, key) < std::tie(o.object, o.key); }
};
// One run of kesu-probe as its transcript tells it.
struct Probe {
  bool answered = false;
  bool same_place = false, complete = false, tries_remaining = false;
  ProviderIdentity place;
  std::string control;  // usable, refused, absent, unknown
  std::optional<KeyRef> control_ref;
  std::vector<ObjectSeen> objects;
  std::map<std::string, std::pair<std::string, std::string>> keys;  // version → answer, canary
  std::map<std::string, KeyRef> asked;
  std::map<Sample, std::string> samples;  // → opened, failed, not-tried
  std::string sample_request;             // all that was asked of them, as JSON
  Millis started = 0, ended = 0;
  std::string boot_id;  // of the machine that it ran on
};
struct Inspection {
  std::string provider, before_digest, after_digest;
  std::optional<Probe> before, after;
};

// A good time-stamp of the bundle; what is wrong with others is a finding.
struct StampFacts {
  enum class Over { signature, signature_file, checkpoint_b, waiting, renewal };
  Over over = Over::signature;
  std::string part;  // the file that it lies in; of a renewal or the waiting period, the one that it is over
  TimestampCheck token;
  bool trusted =
      false;        // its authority's chain ends at an anchor of the reader, and no list tells against it
  std::string why;  // else why not
  RevocationCheck revocation;
  std::vector<Bytes> others = {};  // certificates for its chain, beside its own
  bool of_rules = true;            // under an authority that the rules at the request name, if any
};

// A good time-stamp of an erasure-stamped entry (docs/spec/certificate.md, "Time-stamps of the waiting
// period").
struct WaitingStamp {
  uint64_t seq = 0;   // of the entry
  uint64_t size = 0;  // of the checkpoint that it is over
  StampFacts stamp;
};

struct Dossier {
  const BundleFiles* files = nullptr;
  Findings findings;

  // The ledger
  Checkpoint a, b;
  std::optional<Note> note_a, note_b;
  std::string vkey;
  std::optional<NoteKey> ledger_key;
  // Without nodes where nothing asks for them again: whoever asks more of sealing, opening, re-wrapping or
  // processes out of scope has to say so in let_go() (dossier_ledger.cpp).
  std::vector<Header> headers;
  std::set<std::string> processes_in_scope;
  std::vector<Digest32> body_hashes, leaves;
  std::map<uint64_t, Json> bodies;
  bool headers_complete = false, checkpoints_signed = false;
  Graph graph;
  Millis as_of = 0;  // time of the last entry

  // The plan
  Json plan;
  std::string plan_digest, erasure, vault, organisation;
  std::set<std::string> datasets_in_scope;
  KillSet kill;
  // Datasets out of scope that the kill set's versions or copies also reached and that are not erased: data
  // that this erasure destroyed, wholly or in part, though nobody approved it.
  std::set<std::string> others_lost;

  // The rest
  std::optional<Genesis> genesis;
  Json genesis_body;
  bool officers_known = false;
  std::map<std::string, Person> people;
  std::map<std::string, uint64_t> revoked;         // by operator, known or not: the first entry that says so
  std::vector<ChangeFacts> changes;                // of people and rules, in the ledger's order
  std::vector<SignedAct> acts;                     // in the ledger's order
  std::vector<Attested> attested;                  // likewise
  std::vector<CommandFacts> commands;              // likewise
  std::set<uint64_t> unsigned_entries;             // opened, without the signed command that was asked for
  std::map<std::string, KeyFacts> keys;            // kill set, control, ledger and certificate keys
  std::map<std::string, ProviderFacts> providers;  // those of the kill set
  std::vector<CopyFacts> copies;
  std::vector<ExceptionFacts> exceptions;   // in the ledger's order
  std::vector<ClockFacts> clock_findings;   // likewise
  std::vector<HoldFacts> holds;             // in the order of their placing
  std::map<std::string, Contact> contacts;  // by node
  std::vector<DatasetFacts> datasets;
  std::string ledger_version, certificate_version;
  std::optional<Certificate> signer;
  uint64_t requested = 0;
  std::optional<uint64_t> started;  // the erasure-started that the destruction rests on
  std::optional<uint64_t> first_intended;
  Millis first_intended_at = 0, last_done_at = 0;
  uint64_t last_done = 0;
  std::optional<uint64_t> inspected;
  std::vector<Inspection> inspections;
  std::vector<Inspection> verifications;  // those of the last erasure-verified
  std::set<std::string>
      removed_by_others;  // objects that the enumeration after does not show though kesu left them
  int64_t samples = 0;
  std::vector<StampFacts> stamps;     // of a whole bundle, by the verifier (conditions_time.cpp)
  std::vector<WaitingStamp> waiting;  // in the ledger's order; which count: in `stamps`, in the same order

  std::optional<ByteView> file(std::string_view path) const;
  const Json* body(uint64_t seq) const;
  const Header* header(uint64_t seq) const;
  // The evidence file of that digest, if it is there and is what its name says.
  std::optional<ByteView> evidence(std::string_view digest) const;
  std::string state_at_a(const std::string& node) const;  // as of checkpoint A
};

// The whole reading, in this order.
Dossier read_dossier(const BundleFiles& files);
void read_plan(Dossier& d);
void read_ledger(Dossier& d);
void read_people(Dossier& d);
// A newer extract of the same ledger (docs/spec/certificate.md, "Ledger extract"): its headers, shown to fold
// to its checkpoint, signed by the key of `d`, and to continue the history of `d`, or to be the beginning of
// it. What is wrong becomes a finding of `d` about `--ledger …`; nullopt then.
std::optional<Dossier> read_extract(Dossier& d, const BundleFiles& files);
// An extract for itself, under the key that it offers, which nobody vouches for: checkpoint B, headers,
// leaves. What is wrong stands in its findings.
Dossier read_extract_alone(const BundleFiles& files);
void read_keys(Dossier& d);
void read_exceptions(Dossier& d);
void read_clock_findings(Dossier& d);
void read_contacts(Dossier& d);
void read_inventory(Dossier& d);
void read_acts(Dossier& d);
void read_holds(Dossier& d);
void read_attested(Dossier& d);
void read_commands(Dossier& d);
// Whether an opened entry below checkpoint A names one.
bool names_commands(const Dossier& d);
void read_waiting_stamps(Dossier& d);
void read_inspections(Dossier& d);
// Throws bad_input unless it has the members of a plan, each of its kind (docs/spec/erasure.md, "Plan").
void check_plan_form(const Json& plan);
void check_plan(Dossier& d);
// Whether these are the attributes of the object that `ref` names.
bool of_object(const Json& attributes, const KeyRef& ref);
Probe read_probe(ByteView transcript);  // throws bad_input

constexpr size_t kMaxJson = size_t{64} << 20;
Json read_json(ByteView text, std::string_view what);    // strict and bounded
Json read_record(ByteView text, std::string_view what);  // the same, and canonical
void check_once(Dossier& d);                             // what begins a node is said of it once
std::string brief_number(uint64_t seq);                  // "entry 17"

}  // namespace kesu::dossier
