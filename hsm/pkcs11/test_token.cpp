// Initialises an empty slot of a software token, for demonstrations and tests. Real tokens are initialised by
// their owner's own ceremony and tools.
#include "hsm/pkcs11/test_token.h"

#include <algorithm>

#include "hsm/pkcs11/module_impl.h"

namespace kesu {

namespace {
using namespace p11;

CK_SLOT_ID empty_slot(Module& module) {
  CK_ULONG count = 0;
  CK_RV rv = module.functions()->C_GetSlotList(CK_TRUE, nullptr, &count);
  std::vector<CK_SLOT_ID> slots(count);
  if (rv == CKR_OK) rv = module.functions()->C_GetSlotList(CK_TRUE, slots.data(), &count);
  if (rv != CKR_OK) throw call_error("C_GetSlotList", rv, "list slots");
  for (CK_SLOT_ID slot : slots) {
    CK_TOKEN_INFO info{};
    if (module.functions()->C_GetTokenInfo(slot, &info) == CKR_OK && !(info.flags & CKF_TOKEN_INITIALIZED))
      return slot;
  }
  throw Error(Code::token_absent, "no slot without a token")
      .tried(module.path())
      .next("give the module a token directory of its own");
}

CK_UTF8CHAR* bytes_of(const Secret& pin) { return const_cast<CK_UTF8CHAR*>(pin.reveal().data()); }
}  // namespace

void make_pkcs11_test_token(const std::string& module_path, const std::string& label, const Secret& so_pin,
                            const Secret& pin) {
  auto module = Module::get(module_path, nullptr);
  CK_SLOT_ID slot = empty_slot(*module);
  CK_UTF8CHAR padded[32];
  std::fill(std::begin(padded), std::end(padded), ' ');
  std::copy_n(label.begin(), std::min<size_t>(label.size(), sizeof padded), padded);
  auto must = [](const char* call, CK_RV rv) {
    if (rv != CKR_OK) throw call_error(call, rv, "initialise a test token");
  };
  must("C_InitToken", module->functions()->C_InitToken(slot, bytes_of(so_pin), so_pin.size(), padded));
  CK_SESSION_HANDLE session = 0;
  must("C_OpenSession", module->functions()->C_OpenSession(slot, CKF_SERIAL_SESSION | CKF_RW_SESSION, nullptr,
                                                           nullptr, &session));
  CK_RV rv = module->functions()->C_Login(session, CKU_SO, bytes_of(so_pin), so_pin.size());
  if (rv == CKR_OK) rv = module->functions()->C_InitPIN(session, bytes_of(pin), pin.size());
  module->functions()->C_CloseSession(session);
  must("C_InitPIN", rv);
}

}  // namespace kesu
