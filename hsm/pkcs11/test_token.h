// A token for demonstrations and tests (hsm/register.h, make_test_token).
#pragma once
#include <string>

#include "base/secret.h"

namespace kesu {

void make_pkcs11_test_token(const std::string& module_path, const std::string& label, const Secret& so_pin,
                            const Secret& pin);

}  // namespace kesu
