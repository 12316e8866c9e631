// The policy: which algorithm may serve which purpose until which year, and on whose word
// (docs/spec/policy.md). Pure functions over data compiled in; nothing here reads a file or a clock.
#pragma once
#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "base/json.h"

namespace kesu::policy {

// A verdict's first word. The order is from best to worst, `outside_categories` apart.
enum class Category {
  listed,              // 電子政府推奨暗号リスト
  outside_categories,  // the lists have no category for such a thing
  candidate,           // 推奨候補暗号リスト
  monitored,           // 運用監視暗号リスト
  not_listed,          // on none of them, or unknown to the registry
};

enum class Purpose {
  payload,
  wrap,
  signature,
  hash,
  mac,
  kdf,
  random,
  key_exchange,
  storage_device,
  entity_auth,
  keystore,
  sharing,      // secret sharing
  channel,      // a protocol such as TLS
  fingerprint,  // block fingerprints of the residue scan
};

enum class Mode {
  generate,  // 新規生成: encrypt, wrap, sign, …
  process,   // 処理: decrypt, unwrap, verify what exists
};

enum class Profile {
  current,  // table 1
  pqc,      // table 2 as well
};

std::string_view text(Category category);  // "listed", "outside-categories", …
std::string_view text(Purpose purpose);    // "payload", "key-exchange", …
std::string_view text(Mode mode);          // "new", "processing"
std::string_view text(Profile profile);    // "current", "pqc"
// The inverse; throws Error usage naming the accepted words.
Purpose purpose_from(std::string_view word);
Mode mode_from(std::string_view word);
Profile profile_from(std::string_view word);

// What a name leaves open. A value may also stand in the name ("AES-256-GCM"); then both must agree.
struct Parameters {
  std::optional<int> bits;        // key bits; RSA modulus, DH and DSA L, ML-KEM parameter set
  std::optional<int> subgroup;    // DH and DSA N
  std::optional<int> iv;          // bits of the nonce
  std::optional<int> output;      // bits of a SHAKE output or of a MAC as sent
  std::optional<int64_t> blocks;  // blocks that one key of a 64-bit block cipher meets
  std::string curve;              // "P-256", or a registered alias
  std::string hash;               // hash of a signature, MAC, KDF, OAEP label
  std::string mgf;                // hash of MGF1
  std::string with;               // the algorithm that entity authentication or STREAM runs on
  bool operator==(const Parameters&) const = default;
};

struct Query {
  std::string algorithm;  // registered name or alias, any letter case
  Parameters parameters = {};
  std::optional<Purpose> purpose = {};  // nullopt: the first purpose that the registry names
  Mode mode = Mode::generate;
  std::optional<int> end_year = {};  // last year of use or of wanted secrecy; nullopt: open-ended
  int now_year = 0;  // the present year (UTC); 0: not said, then an end that has passed is not noticed
  Profile profile = Profile::current;
};

// Reads "NAME[:member=value,…]", for example "RSA-OAEP:bits=3072,hash=SHA-256"; members are those of
// Parameters. Throws Error usage naming the member that it does not know or cannot read.
Query parse_query(std::string_view text);
// The same form back, parameters in the order of the struct.
std::string query_text(const Query& query);

// A horizon without a known last year.
inline constexpr int kNoLimit = 9999;

struct Verdict {
  std::string algorithm;  // as registered; as asked when unknown
  Purpose purpose = Purpose::payload;
  Category category = Category::not_listed;
  bool allowed = false;
  bool exception_possible = false;  // every refusal is one that a recorded exception may lift
  int strength_bits = 0;  // a row of LS-0003: 112, 128, 192, 256; 0: below the lowest row, or not known
  std::string reason;     // one sentence
  std::vector<std::string> findings;   // refusals first, then remarks
  std::vector<std::string> citations;  // document, edition, table, note; no duplicates
  int horizon_year_new = 0;  // last end year allowed for new generation; 0: none; kNoLimit: no limit known.
  int horizon_year_process = 0;  // the same for processing. Where only an exception is missing: under it.
  std::string
      period_word;  // the cell of the period table: 利用可, 移行完遂期間, 許容, 利用不可; "-": none applies
  std::string period_reading;  // how sure that cell is
};

// Never throws for what a query says: what cannot be judged is refused with its finding.
Verdict evaluate(const Query& query);

// "2040", "none", "no limit known".
std::string horizon_text(int year);
Json to_json(const Verdict& verdict);

struct ChainLink {
  std::string name;  // for a person: "wrap hsm1/kek-2 AES-256-GCM"
  Verdict verdict;
};
struct Chain {
  int strength_bits = 0;  // of the weakest link; 0 for an empty chain, which proves nothing
  std::string weakest;    // name of the first weakest link
  bool allowed = false;   // every link is
  int horizon_year_new = 0;
  int horizon_year_process = 0;
};
// A chain (payload, wraps, random generator, …) is as strong, and lasts as long, as its weakest link.
Chain chain_strength(std::span<const ChainLink> links);
// Weakest of the values; 0 when there are none.
int chain_strength(std::span<const int> strength_bits);

// What `kesu policy algorithms` prints: one row per registered algorithm and named form, in the order of the
// data.
struct AlgorithmRow {
  std::string name;
  std::vector<std::string> aliases;
  std::vector<Purpose> purposes;
  std::string use;                           // what kesu does with it; "judged": only judges it
  Category category = Category::not_listed;  // as the verdict for new generation
  int strength_bits = 0;                     // 0: depends on parameters, or none
  int horizon_year_new = 0;
  int horizon_year_process = 0;
  std::vector<std::string> parameters;  // members of Parameters that the name leaves open
  std::string reason;                   // of a refusal; empty when the row stands as it is
};
std::vector<AlgorithmRow> algorithms();

// What `kesu policy show` prints.
struct Edition {
  std::string document, title, date, seen;
};
struct ListRow {
  std::string list;  // "recommended", "candidate", "monitored"
  int table = 0;     // 1, 2; 0 on the other lists
  std::string category, name, specification, citation;
  std::vector<std::string> notes;  // "7: …"
};
struct PeriodRow {
  int strength_bits = 0;
  Mode mode = Mode::generate;
  int from = 0, to = 0;
  std::string word, reading, citation;
};
std::vector<Edition> editions();
std::vector<ListRow> lists();
std::vector<PeriodRow> periods();

// The embedded data, byte for byte: its SHA-256 is the policy digest that plans and certificates name.
std::string_view policy_data();
// "CRYPTREC LS-0001-2022R2 (2026-03-30); CRYPTREC LS-0003-2022R1".
std::string policy_edition();

}  // namespace kesu::policy
