// The provider over one session that is logged in.
#pragma once
#include <memory>

#include "hsm/pkcs11/session_impl.h"
#include "provider/provider.h"

namespace kesu::p11 {

// `log` may be null; the session logs into it until it closes.
std::unique_ptr<Provider> make_provider(std::shared_ptr<CallLog> log, std::unique_ptr<Session> session,
                                        const CK_TOKEN_INFO& token);

}  // namespace kesu::p11
