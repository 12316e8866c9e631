// Requests to certification authorities, their chains, and revocation lists.
#include "app/signer.h"

#include <toml++/toml.h>

#include <algorithm>

#include "app/certificate_time.h"
#include "app/keys.h"
#include "base/files.h"
#include "certificate/evidence_chain.h"
#include "crypto/cms.h"
#include "crypto/crl.h"
#include "crypto/csr.h"
#include "net/http.h"

namespace kesu {

namespace {
constexpr size_t kMaxChain = 8, kMaxSources = 8;
constexpr Millis kSignerNotice = 90 * 86'400'000LL;

const VersionRecord& signing_version(const State& state) {
  for (auto& [id, key] : state.keys)
    if (key.purpose == KeyPurpose::sign_certificate)
      if (const VersionRecord* v = key.active()) return *v;
  throw Error(Code::state_refused, "the vault has no certificate key")
      .next("kesu init with the same genesis statement finishes what it began");
}

Error unusable(const std::string& file, const std::string& why) {
  return Error(Code::bad_input, file + ": " + why)
      .next("the file holds, in PEM: the certificate for the request, then each issuer's in order");
}

// Whether the certificate says that it is for documents, where it says for what it is.
bool for_documents(const Certificate& c) {
  return c.extended_key_usage.empty() ||
         std::any_of(c.extended_key_usage.begin(), c.extended_key_usage.end(),
                     [](const std::string& oid) { return is_signing_purpose(oid); });
}

void refuse_weak(const std::string& file, const Certificate& c) {
  if (!c.key) throw unusable(file, c.subject + " has a key of a kind that is not used here");
  const policy::Verdict v =
      judge_evidence({{"signer", certificate_algorithm(*c.key), policy::Purpose::signature}}).front().verdict;
  if (v.allowed) return;
  throw Error(Code::policy_refused, "the policy does not allow the key of " + c.subject)
      .tried(certificate_algorithm(*c.key) + " for signatures")
      .cause(v.reason)
      .next("ask the authority for a chain with stronger keys");
}

std::vector<Certificate> read_chain(const std::string& file) {
  std::vector<Certificate> chain;
  try {
    chain = Certificate::parse_pem(as_text(read_file(file, 1 << 20)));
  } catch (const Error& e) {
    if (e.code() != Code::bad_input) throw;
    throw unusable(file, e.message()).cause(e.cause());
  }
  if (chain.size() > kMaxChain) throw unusable(file, "more than 8 certificates");
  if (chain.size() < 2)
    throw unusable(file, chain[0].self_signed
                             ? "a certificate that is signed by itself is nobody else's word"
                             : "the certificate of its issuer, " + chain[0].issuer + ", is missing");
  for (size_t i = 0; i + 1 < chain.size(); ++i)
    if (chain[i].issuer_der != chain[i + 1].subject_der)
      throw unusable(file, "certificate " + std::to_string(i + 2) + " is that of " + chain[i + 1].subject +
                               "; " + chain[i].subject + " was issued by " + chain[i].issuer +
                               ", whose certificate is missing there or out of order");
  return chain;
}

void check_leaf(const std::string& file, const Certificate& leaf) {
  if (leaf.is_ca)
    throw unusable(file, leaf.subject + " is an authority's certificate, not one for signing documents");
  if (!leaf.key_usage || !leaf.may_sign())
    throw unusable(file, "the key usage of " + leaf.subject + " does not say digitalSignature");
  if (!for_documents(leaf))
    throw unusable(file,
                   "the certificate of " + leaf.subject + " is for another purpose (extended key usage)")
        .cause(leaf.extended_key_usage.front());
}

// [certificate] crl of kesu.toml: one text or several.
std::vector<std::string> list_sources(const std::string& directory) {
  const std::string path = path_join(directory, "kesu.toml");
  auto wrong = [&](const std::string& why) {
    return Error(Code::bad_input, path + ": certificate: " + why)
        .next("[certificate] has one member, crl: a file or URL, or an array of these");
  };
  std::vector<std::string> out;
  try {
    const toml::table config = toml::parse(to_text(read_file(path, 1 << 20)), path);
    const toml::node* node = config.get("certificate");
    if (!node) return out;
    if (!node->is_table()) throw wrong("is no table");
    for (auto&& [key, value] : *node->as_table()) {
      if (key.str() != "crl") throw wrong("unknown member " + std::string(key.str()));
      if (value.is_string()) {
        out.push_back(**value.as_string());
        continue;
      }
      if (!value.is_array()) throw wrong("crl is neither text nor an array");
      for (const toml::node& item : *value.as_array()) {
        if (!item.is_string()) throw wrong("crl holds something else than texts");
        out.push_back(**item.as_string());
      }
    }
  } catch (const toml::parse_error& e) {
    throw Error(Code::bad_input, path + " is not TOML").cause(std::string(e.description()));
  }
  if (out.size() > kMaxSources) throw wrong("more than 8 places");
  return out;
}

std::vector<Crl> fetch_lists(Vault& vault, const std::string& source) {
  const bool remote = source.starts_with("http://") || source.starts_with("https://");
  if (!remote)
    return Crl::parse_any(
        read_file(source.starts_with("/") ? source : path_join(vault.directory(), source), kMaxCrl));
  const HttpAnswer answer = http_get(source, kMaxCrl);
  if (answer.status != 200)
    throw Error(Code::network_unavailable,
                source + " answers with HTTP status " + std::to_string(answer.status));
  return Crl::parse_any(answer.body);
}
}  // namespace

SignerChain order_chain(const Bytes& leaf, const std::vector<Bytes>& certificates) {
  SignerChain out{leaf, {}};
  std::vector<Certificate> rest;
  for (const Bytes& der : certificates)
    if (der != leaf) rest.push_back(Certificate::parse(der));
  for (Certificate last = Certificate::parse(leaf); !rest.empty();) {
    auto next = std::find_if(rest.begin(), rest.end(),
                             [&](const Certificate& c) { return c.subject_der == last.issuer_der; });
    if (next == rest.end()) break;
    last = *next;
    out.issuers.push_back(last.der);
    rest.erase(next);
  }
  return out;
}

SignerChain recorded_signer(Vault& vault) {
  const Bytes kept = vault.store().blob(vault.state().vault.signer_certificate);
  if (!kept.empty() && kept[0] == 0x30) return {kept, {}};
  SignerChain out;
  for (const Certificate& c : Certificate::parse_pem(as_text(kept)))
    out.leaf.empty() ? out.leaf = c.der : out.issuers.emplace_back(c.der);
  return out;
}

void refuse_ended_signer(const SignerChain& signer, Millis now) {
  const Certificate leaf = Certificate::parse(signer.leaf);
  if (now >= leaf.not_before && now <= leaf.not_after) return;
  throw Error(Code::state_refused, "the signer's certificate is not valid now: nothing is signed under it")
      .tried(leaf.subject)
      .cause("valid from " + utc_text(leaf.not_before) + " to " + utc_text(leaf.not_after))
      .next("kesu certificate request; then kesu certificate install CHAIN.pem");
}

std::string request_signer_certificate(Vault& vault) {
  const VersionRecord v = signing_version(vault.state());
  SubjectName subject;
  subject.common_name = vault.state().vault.id;
  subject.organization = vault.state().vault.organisation;
  // At most 64 characters (RFC 5280, ub-organization-name).
  size_t characters = 0, end = 0;
  for (; end < subject.organization.size(); ++end)
    if ((subject.organization[end] & 0xC0) != 0x80 && ++characters > 64) break;
  subject.organization.resize(end);
  return certificate_request_pem(build_certificate_request(
      subject, PublicKey::from_spki(v.ref->public_key),
      [&](ByteView digest) { return vault.provider(v.provider).sign(*v.ref, digest); }));
}

InstalledSigner install_signer_chain(Vault& vault, const std::string& file) {
  const std::vector<Certificate> chain = read_chain(file);
  const Certificate& leaf = chain.front();
  check_leaf(file, leaf);
  for (const Certificate& c : chain) refuse_weak(file, c);
  std::vector<Bytes> others;
  for (size_t i = 1; i + 1 < chain.size(); ++i) others.push_back(chain[i].der);
  const ChainCheck check = verify_chain(leaf.der, others, {chain.back().der}, vault.now());
  if (!check.ok) throw unusable(file, "the chain does not hold now").cause(check.reason);
  std::string pem;
  for (const Certificate& c : chain) pem += c.pem();
  const std::string kept = vault.store().put_blob(as_bytes(pem));
  const std::string id = vault.env().random.id<DocumentId>().str();
  InstalledSigner out{.version = {},
                      .subject = leaf.subject,
                      .issuer = leaf.issuer,
                      .not_after = leaf.not_after,
                      .certificates = chain.size()};
  vault.decide({vault.state().vault.id, id}, [&] {
    const VersionRecord& v = signing_version(vault.state());
    if (leaf.key->spki() != v.ref->public_key)
      throw Error(Code::key_mismatch,
                  "the certificate is for another key than the one that signs certificates")
          .tried(leaf.subject + " against " + v.id)
          .next("ask for one for this key: kesu certificate request");
    const VaultRecord& record = vault.state().vault;
    out.version = v.id;
    out.again = record.signer_version == v.id && record.signer_certificate == kept;
    if (out.again) return std::vector<Event>{};
    return std::vector<Event>{
        {.type = "document-attached",
         .nodes = {{.id = id, .is = "attached", .d = kept}},
         .body = Json::object({{"what", "signer-certificate"}, {"detail", v.id}, {"document", kept}})}};
  });
  return out;
}

namespace {
// The certificates that lists in a bundle may be about: the signer's chain, and those of its time-stamps.
std::vector<Certificate> certificates_in(const BundleFiles& files) {
  std::vector<Certificate> out;
  for (std::string_view path : {bundle::kSigner, bundle::kStampChain, bundle::kCheckpointStampChain})
    if (auto it = files.find(std::string(path)); it != files.end())
      for (Certificate& c : Certificate::parse_pem(as_text(it->second))) out.push_back(std::move(c));
  return out;
}

// The first chain of a file: each certificate the issuer's of the one before.
std::vector<Bytes> chain_in(const BundleFiles& files, std::string_view path) {
  std::vector<Bytes> out;
  const auto it = files.find(std::string(path));
  if (it == files.end()) return out;
  Bytes issuer;
  for (const Certificate& c : Certificate::parse_pem(as_text(it->second))) {
    if (!out.empty() && c.subject_der != issuer) break;
    out.push_back(c.der);
    issuer = c.issuer_der;
  }
  return out;
}
}  // namespace

void add_revocation_lists(Vault& vault, BundleFiles& files) {
  const std::vector<std::string> sources = list_sources(vault.directory());
  const std::vector<Certificate> known = certificates_in(files);
  std::string pem;
  std::vector<Crl> lists;
  for (const std::string& source : sources) try {
      bool ours = false;
      for (Crl& list : fetch_lists(vault, source)) {
        if (std::none_of(known.begin(), known.end(),
                         [&](auto& c) { return c.issuer_der == list.issuer_der; }))
          continue;
        ours = true;
        pem += list.pem();
        lists.push_back(std::move(list));
      }
      if (!ours)
        vault.env().notice("the revocation list at " + source +
                           " is of no issuer of the signer's or a time-stamp's chain: left out");
    } catch (const Error& e) {
      if (e.code() == Code::interrupted) throw;
      vault.env().notice("the bundle lacks the revocation list at " + source + ": " + e.message() +
                         (e.cause().empty() ? "" : ": " + e.cause()));
    }
  if (!lists.empty()) files[std::string(bundle::kRevocation)] = to_bytes(as_bytes(pem));
  // As readers will judge, who have their own anchors. Stamps are of about the time that the certificate
  // says.
  const Json certificate =
      parse_canonical_json(as_text(files.at(std::string(bundle::kCertificate))), "certificate.json");
  const Millis at = *parse_utc(certificate.str("issued"));
  bool unshown = false;
  for (std::string_view path : {bundle::kSigner, bundle::kStampChain}) {
    const std::vector<Bytes> chain = chain_in(files, path);
    if (chain.size() < 2) continue;
    const RevocationCheck check = check_revocation(chain, lists, at, false);
    if (tells_against(check.state)) vault.env().notice("readers will see it: " + check.why);
    if (!is_unshown(check.state) || unshown || (sources.empty() && !profile_asks_for_stamps(vault))) continue;
    unshown = true;
    vault.env().notice("readers who ask for profile standard or high will miss a revocation list: " +
                       check.why + "; [certificate] crl in kesu.toml says where lists are, and kesu " +
                       "certificate bundle writes the same certificate with those that are out by then");
  }
}

void add_signer_due(Vault& vault, std::vector<Due>& due) {
  const VaultRecord& record = vault.state().vault;
  if (record.signer_version.empty() || record.closed) return;
  const SignerChain signer = recorded_signer(vault);
  const Certificate leaf = Certificate::parse(signer.leaf);
  const Millis now = vault.now();
  if (leaf.not_after - now > kSignerNotice) return;
  due.push_back({"certificate", record.signer_version, leaf.common_name, leaf.not_after,
                 leaf.not_after <= now,
                 std::string("the signer's certificate ") + (leaf.not_after <= now ? "ended " : "ends ") +
                     local_text(leaf.not_after).substr(0, 10),
                 "kesu certificate request -o REQUEST; then kesu certificate install CHAIN.pem"});
}

}  // namespace kesu
