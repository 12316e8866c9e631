// The proving process itself: logs in, opens what it is told of, says yes or nothing that counts.
#include <sys/socket.h>
#include <unistd.h>

#include "base/error.h"
#include "base/json.h"
#include "provider/prover.h"
#include "provider/prover_impl.h"

namespace kesu {

namespace {
constexpr size_t kMost = 16u << 20;  // of the keys' references

bool read_all(int fd, std::span<uint8_t> out) {
  while (!out.empty()) {
    const ssize_t n = ::read(fd, out.data(), out.size());
    if (n < 0 && errno == EINTR) continue;
    if (n <= 0) return false;
    out = out.subspan(static_cast<size_t>(n));
  }
  return true;
}

bool write_out(int fd, ByteView bytes) {
  while (!bytes.empty()) {
    const ssize_t n = ::send(fd, bytes.data(), bytes.size(), MSG_NOSIGNAL);
    if (n < 0 && errno == EINTR) continue;
    if (n <= 0) return false;
    bytes = bytes.subspan(static_cast<size_t>(n));
  }
  return true;
}

bool say(int fd, const Json& answer) {
  const std::string text = answer.canonical();
  Bytes out;
  proof_wire::put32(out, static_cast<uint32_t>(text.size()));
  out.insert(out.end(), text.begin(), text.end());
  return write_out(fd, out);
}

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

void serve(Provider& provider, const std::vector<KeyRef>& keys, const Secret& tag_key, int fd) {
  Bytes buffer(256u << 10), answers;
  size_t held = 0;
  for (;;) {
    const ssize_t n = ::read(fd, buffer.data() + held, buffer.size() - held);
    if (n < 0 && errno == EINTR) continue;
    if (n <= 0) return;
    held += static_cast<size_t>(n);
    size_t at = 0;
    answers.clear();
    while (held - at >= 4) {
      const size_t size = proof_wire::get32(buffer.data() + at);
      if (size < proof_wire::kFixed || size > buffer.size()) return;  // no claim: it is not our parent
      if (held - at < size) break;
      answers.push_back(judge(provider, keys, tag_key, {buffer.data() + at, size}));
      at += size;
    }
    std::memmove(buffer.data(), buffer.data() + at, held - at);
    held -= at;
    if (!write_out(fd, answers)) return;
  }
}
}  // namespace

void serve_proofs(ProviderFactory& factory, int fd) {
  uint8_t size[4];
  if (!read_all(fd, size)) return;
  Bytes hello(std::min<size_t>(proof_wire::get32(size), kMost));
  Secret tag_key(proof_wire::kTagKey);
  if (!read_all(fd, hello) || !read_all(fd, tag_key.reveal())) return;
  std::unique_ptr<Provider> provider;
  std::vector<KeyRef> keys;
  try {
    const Json request = parse_json(to_text(hello), "the request");
    for (const Json& ref : request.at("keys").as_array()) keys.push_back(KeyRef::from_json(ref));
    provider = factory.open(request.str("uri"));
    if (!provider->identity().same_place(ProviderIdentity::from_json(request.at("identity"))))
      throw Error(Code::token_changed, "another provider answers");
  } catch (const Error& e) {
    say(fd, Json::object({{"code", code_text(e.code())}, {"message", e.message()}}));
    return;
  }
  if (say(fd, Json::object({{"code", ""}, {"message", ""}}))) serve(*provider, keys, tag_key, fd);
}

}  // namespace kesu
