// The one HTTP client, over libcurl, with one TLS policy; nothing else of the program opens a connection.
// libcurl is loaded when the first request is made: commands that need no network start without it.
#pragma once
#include <atomic>
#include <string>

#include "base/bytes.h"
#include "base/clock.h"

namespace kesu {

struct HttpRequest {
  std::string url;           // http:// or https://, without credentials
  std::string content_type;  // of the body; also what is accepted back is the caller's to judge
  Bytes body;
  std::string ca_file;          // PEM; empty: the system's certificate authorities
  Millis timeout = 20'000;      // for the whole exchange
  size_t max_answer = 1 << 20;  // bytes of the answer's body
  bool get = false;             // without a body
  int tries = 3;                // where nobody answers, or with 429, 502, 503 or 504; in between it waits
  // Once true, the request is given up as one that nobody answers; set by another thread, seen in a second.
  const std::atomic<bool>* stop = nullptr;
};
struct HttpAnswer {
  int status = 0;
  Bytes body;
};

// "" when a request may go to `url`, else why not: another scheme, credentials, control characters.
std::string url_problem(std::string_view url);

// POST, or GET where the request says so. TLS 1.2 or newer, certificate and name verified; no redirect is
// followed, no cookie or credential is kept or sent; the environment's proxies are used. Any status is an
// answer. Errors: bad_input (url_problem), network_unavailable (nobody answers, TLS fails, too slow, too
// long, libcurl is not installed), interrupted.
HttpAnswer http_post(const HttpRequest& request);
// Under the same rules: what stands at `url`, at most so many bytes.
HttpAnswer http_get(const std::string& url, size_t max_answer);

}  // namespace kesu
