// Where the secret of a login comes from: a PIN, a passphrase. Never the command line, never a URI.
#pragma once
#include <string>
#include <string_view>

#include "base/secret.h"

namespace kesu {

// Reads the secret from `source`: "file:/path" (regular, of the user or root, closed to group and others),
// "env:NAME", "fd:N", or "prompt": asked on /dev/tty without echo. Bytes up to the first line feed, a
// carriage return before it dropped; at most 4,096. `what` names it in messages ("PIN", "passphrase"), `of`
// says whose it is for the prompt. Errors: pin_missing (no source, file, variable or terminal, nothing in
// it), pin_source_unsafe (with the reason), bad_input (none of these forms).
Secret read_login_secret(const std::string& source, std::string_view what, const std::string& of = {});

// All bytes of a file or descriptor as they are, of the same sources but env and prompt: raw key material.
Secret read_secret_bytes(const std::string& source, std::string_view what);

// Asks twice and compares: for a secret that begins to count with this. Sources but "prompt" are read once.
// Errors as above; not_confirmed when the two differ.
Secret read_new_login_secret(const std::string& source, std::string_view what, const std::string& of = {});

// The source as it is recorded: a bare absolute path, file:/path and file:///path all become "file:/path".
// Empty when the text is none of the forms (a relative path, for instance).
std::string login_source(std::string_view text);

// Changes when a secret's file is replaced or edited: by it a wrong one is recognised and not tried again.
std::string login_source_stamp(const std::string& source);

}  // namespace kesu
