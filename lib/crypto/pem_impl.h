// PEM (RFC 7468) as certificates, requests and revocation lists come in it. Private to lib/crypto.
#pragma once
#include <string>
#include <string_view>

#include "base/bytes.h"
#include "base/error.h"

namespace kesu::pem {

// Each block of this label, decoded; other text is passed over. `bad` makes the error of a block without an
// end, or that is not base64.
template <class Bad, class Each>
void each_block(std::string_view text, std::string_view label, const Bad& bad, const Each& each) {
  const std::string begin = "-----BEGIN " + std::string(label) + "-----",
                    end = "-----END " + std::string(label) + "-----";
  for (size_t at = 0; (at = text.find(begin, at)) != std::string_view::npos;) {
    at += begin.size();
    const size_t to = text.find(end, at);
    if (to == std::string_view::npos) throw bad("the PEM text has no end line");
    std::string body;
    for (char c : text.substr(at, to - at))
      if (c != '\n' && c != '\r') body += c;
    const auto der = unbase64(body);
    if (!der) throw bad("the PEM text is not base64");
    each(*der);
    at = to + end.size();
  }
}

// Lines of 64 characters.
inline std::string block(std::string_view label, ByteView der) {
  std::string out = "-----BEGIN " + std::string(label) + "-----\n";
  const std::string b64 = base64(der);
  for (size_t at = 0; at < b64.size(); at += 64) out += b64.substr(at, 64) + "\n";
  return out + "-----END " + std::string(label) + "-----\n";
}

}  // namespace kesu::pem
