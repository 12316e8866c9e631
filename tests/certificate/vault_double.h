// A vault in memory with keys of its own: a whole erasure from genesis to inspection, every step of which a
// test may change, as an unfaithful issuer could.
#pragma once
#include <functional>
#include <map>

#include "base/error.h"
#include "certificate/collect_impl.h"
#include "certificate/issue_impl.h"
#include "certificate/trust.h"
#include "certificate/verify.h"
#include "crypto/cms.h"
#include "crypto/hash.h"
#include "crypto/random.h"
#include "crypto/x509.h"
#include "erasure/samples.h"
#include "erasure/statement.h"
#include "inventory/segment.h"
#include "ledger/tree.h"
#include "policy/policy.h"
#include "provider/probe.h"
#include "seal/object.h"
#include "support/test_keys.h"

namespace kesu::test {

inline void put_string(ByteWriter& w, ByteView v) { w.u32(static_cast<uint32_t>(v.size())).raw(v); }

// What ssh-keygen -Y sign makes (OpenSSH's PROTOCOL.sshsig).
inline std::string ssh_sign(const SigningKey& key, std::string_view message, std::string_view ns) {
  SshPublicKey pub = SshPublicKey::from_public_key(key.public_key());
  ByteWriter to_sign, sig, blob;
  to_sign.raw(as_bytes("SSHSIG"));
  put_string(to_sign, as_bytes(ns));
  put_string(to_sign, {});
  put_string(to_sign, as_bytes("sha512"));
  put_string(to_sign, hash(HashAlg::sha512, as_bytes(message)));
  put_string(sig, as_bytes("ssh-ed25519"));
  put_string(sig, key.sign(SigAlg::ed25519, to_sign.bytes()));
  blob.raw(as_bytes("SSHSIG")).u32(1);
  put_string(blob, pub.blob);
  put_string(blob, as_bytes(ns));
  put_string(blob, {});
  put_string(blob, as_bytes("sha512"));
  put_string(blob, sig.bytes());
  std::string out = "-----BEGIN SSH SIGNATURE-----\n", b64 = base64(blob.bytes());
  for (size_t at = 0; at < b64.size(); at += 70) out += b64.substr(at, 70) + "\n";
  return out + "-----END SSH SIGNATURE-----\n";
}

struct Officer {
  std::string name, title;
  std::vector<std::string> roles;
  SigningKey key = SigningKey::ed25519();
  OperatorId id = system_random().id<OperatorId>();
  std::string line() const { return SshPublicKey::from_public_key(key.public_key(), "officer").line(); }
};

inline Json texts(const std::vector<std::string>& list) {
  Json out((Json::Array()));
  for (const std::string& s : list) out.push(s);
  return out;
}

inline ProviderIdentity identity() {
  return {.kind = "pkcs11",
          .label = "bank",
          .serial = "9f01",
          .manufacturer = "SoftHSM project",
          .model = "SoftHSM v2",
          .firmware = "2.6",
          .hardware = "2.6",
          .module_path = "/usr/lib/softhsm/libsofthsm2.so",
          .module_sha256 = std::string(64, 'a'),
          .library_manufacturer = "SoftHSM",
          .library_description = "Implementation of PKCS11",
          .library_version = "2.6"};
}

class TestVault : public LedgerSource {
 public:
  // What a test may change; names of moments: after-genesis, after-seal, before-request, before-start,
  // after-destroy, after-inspect, before-b.
  std::map<std::string, std::function<void()>> at;
  std::function<void(Json& plan)> edit_plan;
  std::function<void(Statement& s, std::string& ns, const SigningKey*& key)> edit_statement;
  std::function<void(Event& event)> edit_event;
  std::function<void(ProbeReport& report, const std::string& when)> edit_probe;
  std::function<void(Json& certificate)> edit_certificate;
  std::function<void(BundleFiles& files)> edit_files;  // before MANIFEST
  std::vector<std::string> approvers = {"Sato"};
  std::string requester = "Tanaka", history = "unknown";
  bool bind_payload = true, lose_receipt = false;
  int64_t quorum = 1, waiting = 0;
  std::vector<uint64_t> leave_out;  // entries that are missing in headers.gz

  std::vector<Officer> officers = {{"Tanaka", "Key operator", {"operator"}},
                                   {"Sato", "CISO", {"approver"}},
                                   {"Suzuki", "Auditor", {"approver", "operator"}}};
  VaultId vault = system_random().id<VaultId>();
  ErasureId erasure = system_random().id<ErasureId>();
  DatasetId dataset = system_random().id<DatasetId>();
  CertificateId certificate = system_random().id<CertificateId>();
  ProviderIdentity token = identity();
  ProviderId provider = system_random().id<ProviderId>();
  DatasetKeyId dataset_key = system_random().id<DatasetKeyId>();
  VersionRef control{system_random().id<KeyId>(), 1}, wrap{system_random().id<KeyId>(), 1};
  VersionRef ledger_version{system_random().id<KeyId>(), 1},
      certificate_version{system_random().id<KeyId>(), 1};
  SigningKey ledger_key = SigningKey::ed25519(), certificate_key = SigningKey::ec(KeyKind::p384);
  std::string organisation = "株式会社例";
  Millis now = 1795252320000;
  std::vector<Bytes> objects;  // sealed files
  std::map<std::string, KeyRef> refs;
  Json plan;
  Bytes certificate_der;

  // LedgerSource
  uint64_t size() override { return entries_.size(); }
  std::string header(uint64_t seq) override { return entries_.at(seq).header.canonical(); }
  Digest32 body_hash(uint64_t seq) override {
    return kesu::body_hash(entries_.at(seq).salt, entries_.at(seq).body.canonical());
  }
  OpenedBody body(uint64_t seq) override {
    return {entries_.at(seq).salt, entries_.at(seq).body.canonical()};
  }
  Bytes blob(std::string_view digest) override {
    auto it = blobs_.find(std::string(digest));
    if (it == blobs_.end()) throw Error(Code::not_found, "no blob");
    return it->second;
  }
  Bytes segment(std::string_view, std::string_view batch) override {
    return segments_.at(std::string(batch));
  }

  const std::vector<Entry>& entries() const { return entries_; }
  std::string put_blob(std::string_view content) {
    std::string digest = hex(sha256(as_bytes(content)));
    blobs_[digest] = to_bytes(as_bytes(content));
    return digest;
  }
  // Where the first entry of that type stands.
  uint64_t find(std::string_view type) const {
    for (const Entry& e : entries_)
      if (e.header.type == type) return e.header.seq;
    throw Error(Code::not_found, "no entry");
  }

  void append(std::string type, std::vector<NodeMention> nodes, std::vector<Edge> edges = {},
              Json body = Json(Json::Object{})) {
    Event event{std::move(type), std::move(nodes), std::move(edges), std::move(body)};
    if (edit_event) edit_event(event);
    now += 10;
    Header h;
    h.seq = entries_.size();
    h.time = now;
    h.type = event.type;
    h.nodes = event.nodes;
    h.edges = event.edges;
    entries_.push_back({h, system_random().bytes(kSaltBytes), event.body});
    h.canonical();
  }

  // From genesis to the inspection after.
  void live();
  // live(), then the bundle. `checked`: through the issuer's public functions, which refuse what is
  // inconsistent.
  BundleFiles bundle(bool checked = true);
  TrustAnchors trust() const;
  static VerifyOptions low() { return {.required_profile = "low", .allow_test_grade = true}; }
  std::string checkpoint();
  Officer& officer(std::string_view name);
  void make_key(const VersionRef& version, KeyPurpose purpose, const std::string& name,
                const SigningKey* key);
  // To be called after the sealing: a version that was once a slot of the objects and is destroyed before the
  // erasure is asked for, with inspections of its own. `edit_inspected` may change what is recorded of them.
  void rewrap_and_destroy(const VersionRef& older);
  std::function<void(Event& inspected)> edit_inspected;
  std::function<std::string(const std::string& digest)> name_before;  // in destroy-intended, of the older one
  bool sample_older = true;  // the erasure's samples hold its slots, too

 private:
  void happens(const std::string& moment) {
    if (auto it = at.find(moment); it != at.end()) it->second();
  }
  void genesis();
  void seal();
  void make_plan();
  void sign(const std::string& action, Officer& who);
  std::string probe(const std::string& when);
  std::string probe(const std::string& when, bool gone, const std::vector<KeyRef>& keys,
                    const std::vector<ProbeSample>& samples);
  void run();

  std::vector<Entry> entries_;
  std::map<std::string, Bytes> blobs_, segments_;
  std::vector<ProbeSample> samples_;
  std::vector<VersionRef> older_;  // destroyed before the erasure
  std::vector<std::pair<ObjectId, WrappedKey>> wrapped_;
};

inline Json attributes(const KeyRef& ref) {
  return Json::object({{"CKA_LABEL", ref.label},
                       {"CKA_ID", hex(ref.id)},
                       {"CKA_LOCAL", true},
                       {"CKA_SENSITIVE", true},
                       {"CKA_ALWAYS_SENSITIVE", true},
                       {"CKA_EXTRACTABLE", false},
                       {"CKA_NEVER_EXTRACTABLE", true}});
}

// The report as text, with everything in it: for messages of failed tests.
inline std::string shown(const VerifyReport& r) {
  std::string out = render_report(r);
  for (const std::string& s : r.shortfalls) out += "    short: " + s + "\n";
  return out;
}
inline bool names_part(const VerifyReport& r, std::string_view part) {
  for (const VerifyError& e : r.errors)
    if (e.part.find(part) != std::string::npos || e.what.find(part) != std::string::npos) return true;
  return false;
}
inline Level level_of(const VerifyReport& r, std::string_view claim) {
  for (const ClaimResult& c : r.claims)
    if (c.id == claim) return c.level;
  return Level::absent;
}

}  // namespace kesu::test
