// The proving process itself: logs in, opens what it is told of, says yes or nothing that counts.
#include "base/error.h"
#include "base/json.h"
#include "provider/prover.h"
#include "provider/prover_impl.h"

namespace kesu {

namespace {
constexpr size_t kLongest = 256u << 10;  // of a claim

uint8_t judge(Provider& provider, const std::vector<KeyRef>& keys, const Secret& tag_key,
              std::span<const uint8_t> frame) {
  proof_wire::Claim claim;
  if (!proof_wire::get_claim(frame, claim) || claim.key >= keys.size()) return proof_wire::kNotSaid;
  try {
    prove_wrap(provider, keys[claim.key], claim.wrap, tag_key);
    return proof_wire::kProven;
  } catch (const Error&) {  // whatever it was, the parent finds out for itself
    return proof_wire::kNotSaid;
  }
}
}  // namespace

void serve_proofs(ProviderFactory& factory, int fd) {
  const auto parent = log_in_beside(factory, fd, proof_wire::kTagKey);
  if (!parent) return;
  std::vector<KeyRef> keys;
  for (const Json& ref : parent->request.at("keys").as_array()) keys.push_back(KeyRef::from_json(ref));
  serve_frames(fd, proof_wire::kFixed, kLongest, [&](std::span<const uint8_t> frame, Bytes& answers) {
    answers.push_back(judge(*parent->provider, keys, parent->secret, frame));
    return true;
  });
}

}  // namespace kesu
