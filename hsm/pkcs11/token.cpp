// Finding the one token that a URI asks for.
#include <chrono>
#include <thread>

#include "base/error.h"
#include "hsm/pkcs11/session_impl.h"

namespace kesu::p11 {

namespace {
std::vector<CK_SLOT_ID> slots_with_tokens(const Module& module, CallLog* log) {
  // Between the two calls the number may grow; a few rounds settle that.
  for (int round = 0; round < 5; ++round) {
    CK_ULONG count = 0;
    CK_RV rv = P11_CALL(module, log, C_GetSlotList, CK_TRUE, nullptr, &count);
    if (rv != CKR_OK) throw call_error("C_GetSlotList", rv, "counting the slots");
    if (count > 65536) throw Error(Code::provider_failed, "the module claims more than 65,536 slots");
    std::vector<CK_SLOT_ID> slots(count);
    if (count == 0) return slots;
    rv = P11_CALL(module, log, C_GetSlotList, CK_TRUE, slots.data(), &count);
    if (rv == CKR_BUFFER_TOO_SMALL) continue;
    if (rv != CKR_OK) throw call_error("C_GetSlotList", rv, "listing the slots");
    slots.resize(std::min<size_t>(slots.size(), count));
    return slots;
  }
  throw Error(Code::provider_unavailable, "the module's slots change faster than they can be listed");
}

std::string described(const CK_TOKEN_INFO& info) {
  return "token=" + padded_text(info.label) + ";serial=" + padded_text(info.serialNumber) +
         ";manufacturer=" + padded_text(info.manufacturerID) + ";model=" + padded_text(info.model);
}

bool fits(const std::string& wanted, const std::string& there) { return wanted.empty() || wanted == there; }
}  // namespace

std::string TokensSeen::said() const {
  return (all.empty() ? "the module shows no initialised token" : "the module shows " + all) +
         (unreadable.empty() ? "" : "; not readable:" + unreadable);
}

CK_RV token_info(const Module& module, CK_SLOT_ID slot, CK_TOKEN_INFO& info, CallLog* log) {
  CK_RV rv = CKR_GENERAL_ERROR;
  for (int milliseconds : {0, 5, 20, 100}) {
    std::this_thread::sleep_for(std::chrono::milliseconds(milliseconds));
    rv = P11_CALL(module, log, C_GetTokenInfo, slot, &info);
    const bool blank = rv == CKR_OK && (info.flags & CKF_TOKEN_INITIALIZED) != 0 &&
                       padded_text(info.label).empty() && padded_text(info.serialNumber).empty();
    const bool without_pin = rv == CKR_OK && (info.flags & CKF_TOKEN_INITIALIZED) != 0 &&
                             (info.flags & CKF_USER_PIN_INITIALIZED) == 0;
    if (rv != CKR_GENERAL_ERROR && !blank && !without_pin) break;
  }
  return rv;
}

TokensSeen tokens_fitting(const Module& module, const Uri& uri, CallLog* log) {
  TokensSeen out;
  for (CK_SLOT_ID slot : slots_with_tokens(module, log)) {
    TokenFound token{slot, {}};
    CK_RV rv = token_info(module, slot, token.info, log);
    if (rv != CKR_OK) {
      out.unreadable += " slot " + std::to_string(slot) + ": " + rv_name(rv) + ";";
      continue;
    }
    if ((token.info.flags & CKF_TOKEN_INITIALIZED) == 0) continue;
    out.all += (out.all.empty() ? "" : ", ") + described(token.info);
    if (fits(uri.token, padded_text(token.info.label)) &&
        fits(uri.serial, padded_text(token.info.serialNumber)) &&
        fits(uri.manufacturer, padded_text(token.info.manufacturerID)) &&
        fits(uri.model, padded_text(token.info.model)))
      out.fitting.push_back(token);
  }
  return out;
}

TokenFound find_token(const Module& module, const Uri& uri, CallLog* log) {
  TokensSeen seen = tokens_fitting(module, uri, log);
  if (seen.fitting.size() == 1) return seen.fitting.front();
  if (seen.fitting.empty())
    throw Error(Code::token_absent, "no token fits " + wanted_text(uri))
        .tried("listing the tokens of " + module.path())
        .cause(seen.said())
        .next("insert or start the token, or correct the URI; nothing is known about its keys from this");
  std::string candidates;
  for (const TokenFound& token : seen.fitting)
    candidates += (candidates.empty() ? "" : ", ") + described(token.info);
  throw Error(Code::token_ambiguous, std::to_string(seen.fitting.size()) + " tokens fit " + wanted_text(uri))
      .tried("listing the tokens of " + module.path())
      .cause("they are " + candidates)
      .next("add serial=… to the URI");
}

}  // namespace kesu::p11
