// The provider port: a place where keys live (docs/spec/provider-port.md). Adapters stand in hsm/. Every
// adapter implements all of it; what a provider cannot do is said by its capabilities and refused with
// mechanism_absent. One Provider object is one session of a login and serves one thread; several may be open
// at once.
#pragma once
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "base/clock.h"
#include "base/ids.h"
#include "base/json.h"
#include "base/random.h"
#include "base/secret.h"

namespace kesu {

enum class KeyPurpose { wrap, sign_ledger, sign_certificate, control };
// "wrap", "sign-ledger", "sign-certificate", "control"
std::string_view purpose_text(KeyPurpose purpose);
std::optional<KeyPurpose> parse_purpose(std::string_view text);

// Wrap algorithms as the sealed object's slot numbers them (docs/spec/sealed-object.md).
enum class WrapAlg : uint16_t { aes256_gcm = 1, rsa_oaep_sha256 = 2 };

// Who answers: token serial and label, manufacturer, model, firmware; module path, its SHA-256, library
// version. Two identities are the same place only if `kind`, `serial` and `manufacturer` agree.
struct ProviderIdentity {
  std::string kind;  // "pkcs11"
  std::string label, serial, manufacturer, model, firmware, hardware;
  std::string module_path, module_sha256, library_manufacturer, library_description, library_version;
  Json to_json() const;
  static ProviderIdentity from_json(const Json& value);
  bool same_place(const ProviderIdentity& other) const {
    return kind == other.kind && serial == other.serial && manufacturer == other.manufacturer;
  }
};

// What the provider can do, as data (docs/spec/provider-port.md, table "capabilities").
struct Capabilities {
  bool wrap_aes256_gcm = false;
  bool sign_ed25519 = false;            // EdDSA over the message
  bool sign_ecdsa_p384 = false;         // ECDSA over a digest that the caller made
  bool enumerates_all = false;          // a full enumeration of its objects is possible
  bool disables = false;                // the provider itself can refuse use, reversibly
  bool imports = false;                 // import_key
  bool adopts = false;                  // adopt
  bool rekeys = false;                  // it lies in a container with generations: container, rekey
  std::string destroys;                 // "immediate" or "scheduled"
  std::vector<std::string> mechanisms;  // names, for the record
  Json to_json() const;
  static Capabilities from_json(const Json& value);
};

// 32 random bytes encrypted at birth: the first thing opened in each session, the first dead-key probe after.
struct Canary {
  std::string mechanism;  // "CKM_AES_GCM"
  Bytes nonce, ciphertext;
  Digest32 digest{};  // SHA-256 of the 32 bytes; the bytes themselves are kept nowhere
  Json to_json() const;
  static Canary from_json(const Json& value);
};

// The additional data of every canary: by it no canary passes for a wrapped key.
constexpr std::string_view kCanaryAad = "kesu-canary-v1";

// How the ledger knows one key version. find() demands exactly one object with this label, id and, where the
// provider gives one, check value; use demands that the canary opens.
struct KeyRef {
  VersionRef version;
  KeyPurpose purpose = KeyPurpose::wrap;
  std::string label;
  Bytes id;                      // CKA_ID: 16 bytes key id, 4 bytes version big-endian
  std::string check_value;       // hex, empty where the provider gives none
  std::optional<Canary> canary;  // wrap and control keys
  Bytes public_key;              // DER SubjectPublicKeyInfo, signing keys
  Json to_json() const;
  static KeyRef from_json(const Json& value);
};
// The label and id that a version's provider object carries from birth: "kesu:" + key-<32 hex>.<n>.
std::string object_label(const VersionRef& version);
Bytes object_id(const VersionRef& version);

// A key's birth, read back from the provider after generation.
struct Birth {
  KeyRef ref;
  Json attributes;                    // every attribute the provider gives, verbatim, hex for bytes
  std::vector<std::string> left_out;  // attributes of our template that the provider rejected
  Json to_json() const;
  static Birth from_json(const Json& value);
};

struct WrappedKey {
  WrapAlg algorithm = WrapAlg::aes256_gcm;
  Bytes nonce;  // 12 bytes for AES-256-GCM
  Bytes blob;   // ciphertext ‖ tag
};

// What the provider said when it was told to destroy.
struct Receipt {
  std::string call;       // "C_DestroyObject"
  std::string result;     // the provider's own word: "CKR_OK"
  bool accepted = false;  // the provider says it is done (or scheduled)
  Millis at = 0;
  std::optional<Millis> irreversible_at;  // scheduled destruction: when the customer can no longer undo it
  Json before;                            // attributes of the object just before
  Json to_json() const;
  static Receipt from_json(const Json& value);
};

// The four answers to "is this key there?". Only a full enumeration that also shows a living control key may
// say absent; every doubt is unknown (docs/spec/provider-port.md).
enum class ProbeAnswer { usable, refused, absent, unknown };
std::string_view probe_text(ProbeAnswer answer);
std::optional<ProbeAnswer> parse_probe(std::string_view text);

// One object of an enumeration.
struct ObjectSeen {
  std::string object_class, key_type, label;
  Bytes id;
  std::string check_value;
  Json to_json() const;
  static ObjectSeen from_json(const Json& value);
  bool operator==(const ObjectSeen&) const = default;
};
struct Enumeration {
  bool complete = false;  // false: something failed on the way, `why` says what
  std::string why;
  std::vector<ObjectSeen> objects;
  Json to_json() const;
  static Enumeration from_json(const Json& value);
};

// One key of the provider tried on one ciphertext (the probe).
enum class TrialOutcome {
  opened,     // it authenticated under this key
  failed,     // the provider says that it does not authenticate
  refused,    // the provider does not let this key decrypt
  not_tried,  // no mechanism for it, or the attempt went wrong: nothing follows from it
};
struct Trial {
  ObjectSeen object;
  TrialOutcome outcome = TrialOutcome::not_tried;
  std::string mechanism, result;   // "CKM_AES_GCM", the provider's own word
  std::optional<Digest32> digest;  // SHA-256 of what came out, when opened
  Json to_json() const;
  static Trial from_json(const Json& value);
};

// How many sessions the provider itself says stand at the token, this one included. What it counts is its own
// affair; SoftHSM2 does not say.
struct TokenSessions {
  int64_t sessions = 0, rw_sessions = 0;
  bool operator==(const TokenSessions&) const = default;
};

// An object that kesu did not make, by the provider's own names. Empty members match anything; not both
// empty.
struct ObjectSelector {
  std::string label;
  Bytes id;
};

// Where keys lie in a file: which generation of that file answers. Each re-keying begins a new one; what was
// the file before may survive in backups, and opens with the passphrase of its time.
struct Container {
  int64_t generation = 0;  // from 1
  std::string place;       // absolute path
  std::string serial;      // of the provider's identity; not authenticated where container_at() says it
};

class Provider {
 public:
  virtual ~Provider() = default;

  // A further session of this login, for another thread: nothing is asked of a person, and no PIN is given
  // while the login stands. Neither depends on the life of the other. Called by the thread that this one
  // serves. Errors: mechanism_absent where an adapter has no such thing; session_lost, and those of a login,
  // where the login was lost and is not to be had again.
  virtual std::unique_ptr<Provider> another();
  // Do several sessions of one process, used at once, do more together than one does?
  virtual bool scales() const { return false; }

  virtual ProviderIdentity identity() = 0;
  virtual Capabilities capabilities() = 0;

  // Makes one key whose object carries object_label and object_id, reads all attributes back and, for wrap
  // and control keys, encrypts a canary. Template: docs/spec/provider-port.md. Errors: already_exists when an
  // object with that label or id is there; mechanism_absent; provider_failed; outcome_unknown.
  virtual Birth generate(const VersionRef& version, KeyPurpose purpose) = 0;
  // The birth record of an object that generate() left behind when it was interrupted: found by label and id,
  // exactly one, its attributes read, a canary made. nullopt when a complete enumeration does not show it.
  virtual std::optional<Birth> recover(const VersionRef& version, KeyPurpose purpose) = 0;
  // Brings in 32 bytes that were made elsewhere, as a wrap key under object_label and object_id, never to
  // come out again as far as the provider can promise that. Birth as in generate(). Errors: mechanism_absent
  // where capabilities().imports is false; already_exists; bad_input (not 32 bytes); provider_failed;
  // outcome_unknown.
  virtual Birth import_key(const VersionRef& version, const Secret& key);
  // Takes a wrap key that the provider already holds: exactly one secret key fits `what`, AES-256, for
  // encryption and decryption, sensitive, not extractable. Nothing of it is changed; the reference carries
  // its own label and id. The same call again gives the same object with a new canary. Errors:
  // mechanism_absent where capabilities().adopts is false; object_absent, object_ambiguous (candidates in
  // `cause`); policy_refused naming the attribute that does not fit.
  virtual Birth adopt(const VersionRef& version, const ObjectSelector& what);
  // The 32 bytes of a wrap key, after its canary opened. Whoever has them has the key: the only caller is
  // app/key_share.cpp, which has registered where they go; scripts/check-layers sees to it. Errors:
  // mechanism_absent where keys do not come out (every token), and for keys that do not wrap; those of
  // unwrap.
  virtual Secret export_key(const KeyRef& ref);

  // nullopt where keys do not lie in a file.
  virtual std::optional<Container> container() { return std::nullopt; }
  // Puts every key under a fresh container key and the new passphrase (`passphrase_source` as in the URI), in
  // one atomic step; gives the new generation. Errors: mechanism_absent, pin_missing, pin_source_unsafe,
  // policy_refused (a weak passphrase), disk_full, io_failed: the old generation stands untouched then.
  virtual Container rekey(const std::string& passphrase_source);

  // All attributes as they are now. Errors: object_absent, object_ambiguous.
  virtual Json describe(const KeyRef& ref) = 0;

  // A session's first use of `ref` opens its canary; another key under the same label is key_mismatch.
  virtual WrappedKey wrap(const KeyRef& ref, const Secret& key, ByteView aad) = 0;
  // Errors: key_mismatch, object_absent, provider_failed; sealed_damaged when the blob does not authenticate.
  virtual Secret unwrap(const KeyRef& ref, const WrappedKey& wrapped, ByteView aad) = 0;
  // Ed25519 (sign_ledger): `data` is the message, the result 64 bytes. ECDSA P-384 (sign_certificate): `data`
  // is the SHA-384 digest, the result r ‖ s, 96 bytes.
  virtual Bytes sign(const KeyRef& ref, ByteView data) = 0;

  virtual Enumeration enumerate() = 0;
  // Tries every symmetric key that can be seen, whatever its name, on one ciphertext, by every mechanism that
  // its attributes allow until one tells; with `only` just those of that label and id. One Trial for each key
  // and mechanism tried, at least one for each key. What comes out is kept nowhere but as its digest. The
  // default tries nothing.
  virtual std::vector<Trial> try_keys(const WrappedKey& wrapped, ByteView aad, const KeyRef* only) {
    return (void)wrapped, (void)aad, (void)only, std::vector<Trial>();
  }

  // nullopt where the provider does not say.
  virtual std::optional<TokenSessions> token_sessions() { return std::nullopt; }

  // Destroys exactly the object that `ref` names, after its canary opened (signing keys: after a signature
  // verified). Irreversible. Its only caller is erasure/destroy_version.cpp; scripts/check-layers sees to it.
  // Errors before the call left us: as unwrap. After that: outcome_unknown, never a guess.
  virtual Receipt destroy_object(const KeyRef& ref) = 0;
};

// Opens a provider by URI: finds the module, the one token that matches, logs in once.
// Errors: module_absent, token_absent, token_ambiguous, pin_missing, pin_wrong (tried once, never again),
// pin_locked, pin_source_unsafe, provider_unavailable, bad_input (URI).
class ProviderFactory {
 public:
  virtual ~ProviderFactory() = default;
  virtual std::unique_ptr<Provider> open(const std::string& uri) = 0;

  // What the container (Provider::container) at this URI says of itself, without a secret and so not
  // authenticated: enough to see that an older one was put back. nullopt: no container there, or not of that
  // kind. Errors: bad_input, container_damaged, pin_source_unsafe, provider_unavailable.
  virtual std::optional<Container> container_at(const std::string& uri) { return (void)uri, std::nullopt; }

  // After record_calls(), calls() gives what this factory's providers asked of theirs, in order, without
  // arguments:
  // [{"call","ms","rv","times"}]; equal neighbours are one row. For the probe's transcript.
  virtual void record_calls() {}
  virtual Json calls() const { return Json::array({}); }
};

}  // namespace kesu
