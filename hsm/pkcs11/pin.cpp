// Where a PIN comes from: the sources of provider/login_secret.h.
#include "hsm/pkcs11/uri.h"
#include "provider/login_secret.h"

namespace kesu::p11 {

Secret read_pin(const std::string& pin_source) { return read_login_secret(pin_source, "PIN"); }

std::string pin_source_stamp(const std::string& pin_source) { return login_source_stamp(pin_source); }

}  // namespace kesu::p11
