// Requests for cosignatures, written and strictly read.
#include "ledger/cosign_request.h"

#include <charconv>

#include "base/error.h"

namespace kesu {

namespace {
constexpr size_t kMaxProof = 63;  // hashes
[[noreturn]] void refuse(const std::string& why) {
  throw Error(Code::bad_input, "request for a cosignature: " + why);
}
}  // namespace

std::string CosignRequest::text() const {
  std::string out = "old " + std::to_string(old_size) + "\n";
  for (const Digest32& node : proof) out += base64(node) + "\n";
  return out + "\n" + note;
}

CosignRequest CosignRequest::parse(std::string_view text) {
  CosignRequest out;
  auto line = [&]() {
    const size_t end = text.find('\n');
    if (end == std::string_view::npos) refuse("it ends before the checkpoint");
    const std::string_view one = text.substr(0, end);
    text.remove_prefix(end + 1);
    return one;
  };
  std::string_view first = line();
  if (!first.starts_with("old ")) refuse("it does not begin with old <size>");
  first.remove_prefix(4);
  auto [end, ec] = std::from_chars(first.data(), first.data() + first.size(), out.old_size);
  if (first.empty() || ec != std::errc() || end != first.data() + first.size() ||
      (first.size() > 1 && first[0] == '0'))
    refuse("the old size is no decimal number");
  for (std::string_view one = line(); !one.empty(); one = line()) {
    const auto node = unbase64(one);
    if (!node || node->size() != 32) refuse("a line of the proof is not the base64 of 32 bytes");
    if (out.proof.size() == kMaxProof) refuse("the proof has more than 63 hashes");
    std::copy(node->begin(), node->end(), out.proof.emplace_back().begin());
  }
  out.note = std::string(text);
  return out;
}

}  // namespace kesu
