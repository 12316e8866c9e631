#include "certificate/evidence_chain.h"

#include <algorithm>

namespace kesu {

namespace {
using policy::Purpose;

Json year_json(int year) { return year == policy::kNoLimit ? Json() : Json(year); }
}  // namespace

std::string hash_algorithm(HashAlg alg) {
  return alg == HashAlg::sha256 ? "SHA-256" : alg == HashAlg::sha384 ? "SHA-384" : "SHA-512";
}

std::string certificate_algorithm(const PublicKey& key) {
  switch (key.kind()) {
    case KeyKind::p256:
      return "ECDSA-P256";
    case KeyKind::p384:
      return "ECDSA-P384";
    case KeyKind::p521:
      return "ECDSA-P521";
    case KeyKind::ed25519:
      return "Ed25519";
    case KeyKind::rsa:
      break;
  }
  return "RSA-PSS:bits=" + std::to_string(key.bits()) + ",hash=SHA-384";
}

HashAlg certificate_digest(const PublicKey& key) {
  switch (key.kind()) {
    case KeyKind::p256:
      return HashAlg::sha256;
    case KeyKind::p521:
    case KeyKind::ed25519:
      return HashAlg::sha512;
    case KeyKind::p384:
    case KeyKind::rsa:
      break;
  }
  return HashAlg::sha384;
}

std::string ssh_algorithm(const SshPublicKey& key, HashAlg rsa_hash) {
  switch (key.type) {
    case SshKeyType::ed25519:
    case SshKeyType::sk_ed25519:
      return "Ed25519";
    case SshKeyType::ecdsa_p256:
    case SshKeyType::sk_ecdsa_p256:
      return "ECDSA-P256";
    case SshKeyType::ecdsa_p384:
      return "ECDSA-P384";
    case SshKeyType::ecdsa_p521:
      return "ECDSA-P521";
    case SshKeyType::rsa:
      break;
  }
  return "RSASSA-PKCS1-v1_5-" + std::string(rsa_hash == HashAlg::sha256 ? "SHA256" : "SHA512") +
         ":bits=" + std::to_string(key.key.bits());
}

std::string person_algorithm(const PersonKey& key, const SignedWith& with) {
  if (!key.certificate || key.ssh.type != SshKeyType::rsa) return ssh_algorithm(key.ssh, with.signature);
  const std::string bits = "bits=" + std::to_string(key.ssh.key.bits());
  if (with.pss) return "RSA-PSS:" + bits + ",hash=" + hash_algorithm(with.signature);
  std::string digest = hash_algorithm(with.signature);
  std::erase(digest, '-');
  return "RSASSA-PKCS1-v1_5-" + digest + ":" + bits;
}

std::vector<EvidencePart> evidence_parts(const PublicKey* certificate_key) {
  std::vector<EvidencePart> out = {{"ledger tree", "Merkle-Tree-SHA-256", Purpose::hash},
                                   {"ledger bodies", "SHA-256", Purpose::hash},
                                   {"checkpoint signatures", "Ed25519", Purpose::signature},
                                   {"inventory tree", "Merkle-Tree-SHA-256", Purpose::hash},
                                   {"transcripts, receipts, births", "SHA-256", Purpose::hash},
                                   {"plan", "SHA-256", Purpose::hash},
                                   {"MANIFEST", "SHA-512", Purpose::hash}};
  if (!certificate_key) return out;
  out.push_back({"certificate signature", certificate_algorithm(*certificate_key), Purpose::signature});
  out.push_back(
      {"certificate digest (CMS)", hash_algorithm(certificate_digest(*certificate_key)), Purpose::hash});
  out.push_back({"signer's certificate, named in CMS", "SHA-256", Purpose::hash});
  return out;
}

std::vector<EvidenceLink> judge_evidence(const std::vector<EvidencePart>& parts) {
  std::vector<EvidenceLink> out;
  for (const EvidencePart& part : parts) {
    policy::Query query = policy::parse_query(part.algorithm);
    query.purpose = part.purpose;
    out.push_back({part, policy::evaluate(query)});
  }
  std::stable_sort(out.begin(), out.end(), [](const EvidenceLink& a, const EvidenceLink& b) {
    return std::tie(a.verdict.strength_bits, a.verdict.horizon_year_process) <
           std::tie(b.verdict.strength_bits, b.verdict.horizon_year_process);
  });
  return out;
}

Json evidence_json(const std::vector<EvidenceLink>& links) {
  Json out((Json::Array()));
  for (const EvidenceLink& l : links)
    out.push(Json::object({{"part", l.part.part},
                           {"algorithm", l.part.algorithm},
                           {"purpose", policy::text(l.part.purpose)},
                           {"category", policy::text(l.verdict.category)},
                           {"strength_bits", l.verdict.strength_bits},
                           {"horizon_year_new", year_json(l.verdict.horizon_year_new)},
                           {"horizon_year_process", year_json(l.verdict.horizon_year_process)}}));
  return out;
}

std::string evidence_text(const std::vector<EvidenceLink>& links, const std::string& indent) {
  std::string out;
  for (size_t i = 0; i < links.size(); ++i) {
    const EvidenceLink& l = links[i];
    auto same = [&](const EvidenceLink& o) { return o.part.algorithm == l.part.algorithm; };
    if (std::any_of(links.begin(), links.begin() + static_cast<long>(i), same)) continue;
    std::string serves;
    for (const EvidenceLink& o : links)
      if (same(o)) serves += (serves.empty() ? "" : "; ") + o.part.part;
    std::string bits =
        l.verdict.strength_bits ? std::to_string(l.verdict.strength_bits) + " bits" : "not known";
    std::string until = l.verdict.horizon_year_process == policy::kNoLimit
                            ? "no limit known"
                            : "until " + policy::horizon_text(l.verdict.horizon_year_process);
    bool listed = l.verdict.category == policy::Category::listed ||
                  l.verdict.category == policy::Category::outside_categories;
    out += indent + l.part.algorithm + ", " + bits + ", " + until + (listed ? "" : ", NOT LISTED") + ": " +
           serves + "\n";
  }
  return out;
}

}  // namespace kesu
