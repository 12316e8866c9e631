// PKCS #11 URIs (RFC 7512), the part of them that names a token, a module and where its PIN is.
#pragma once
#include <string>
#include <utility>

#include "base/secret.h"
#include "provider/provider.h"

namespace kesu::p11 {

// Path attributes that are empty match every token. `module_path` is absolute.
struct Uri {
  std::string token, serial, manufacturer, model;
  std::string module_path;
  std::string pin_source;  // "file:/path", "env:NAME", "fd:N" or "prompt"; empty where the URI has none
  // `x-kesu-try-pin=1`: spend one attempt although the token counts failed ones. Added by the command line
  // for one run (provider test --try-pin), never recorded.
  bool try_pin = false;
  // `x-kesu-one-login=1`: a login that is lost is not replaced. Added for a process that helps another one,
  // so that the two of them together try a wrong PIN once.
  bool one_login = false;

  // RFC 7512 §2.3. Throws Error bad_input naming the attribute: unknown, twice, badly encoded, `pin-value`, a
  // relative path.
  static Uri parse(const std::string& text);
};

// The URI of one object: of the token's names only those that it has, no query. Throws Error bad_input as
// Uri::parse, and when it names no object.
std::pair<Uri, ObjectSelector> parse_object_uri(const std::string& text);

// The token's names alone, percent-encoded, in one order: two URIs that ask for the same have the same text.
std::string token_part(const Uri& uri);
Uri parse_token_part(const std::string& text);

// What the URI asks for, for messages: "token=t1;serial=01".
std::string wanted_text(const Uri& uri);

// Reads the PIN; errors as read_login_secret (provider/login_secret.h).
Secret read_pin(const std::string& pin_source);
// Changes when a PIN file is replaced or edited: by it a wrong PIN is recognised and not tried a second time.
std::string pin_source_stamp(const std::string& pin_source);

}  // namespace kesu::p11
