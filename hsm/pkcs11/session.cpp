// Sessions: login, search, attributes, AES-GCM, signatures.
#include "hsm/pkcs11/session_impl.h"

#include <algorithm>
#include <array>
#include <cstring>

#include "crypto/random.h"

namespace kesu::p11 {

namespace {
// Cryptoki's pointers are not const; it does not write through those that only carry input.
CK_BYTE* in_pointer(std::span<const uint8_t> bytes) { return const_cast<CK_BYTE*>(bytes.data()); }

template <class T>
Bytes bytes_of(const T& value) {
  const auto* begin = reinterpret_cast<const uint8_t*>(&value);
  return Bytes(begin, begin + sizeof value);
}

std::optional<CK_ULONG> as_number(const Bytes& value) {
  if (value.size() != sizeof(CK_ULONG)) return std::nullopt;
  CK_ULONG number = 0;
  std::memcpy(&number, value.data(), sizeof number);
  return number;
}

Json shown(Form form, const Bytes& value) {
  auto number = as_number(value);
  switch (form) {
    case Form::flag:
      if (value.size() == 1) return Json(value[0] != CK_FALSE);
      break;
    case Form::number:
      // All ones is Cryptoki's "no information"; it would not fit a JSON integer either.
      if (number) return *number == kUnavailable ? Json("unavailable") : Json(static_cast<int64_t>(*number));
      break;
    case Form::object_class:
      if (number) return Json(class_name(*number));
      break;
    case Form::key_type:
      if (number) return Json(key_type_name(*number));
      break;
    case Form::mechanism:
      if (number) return *number == kUnavailable ? Json("unavailable") : Json(mechanism_name(*number));
      break;
    case Form::mechanisms: {
      if (value.size() % sizeof(CK_ULONG) != 0) break;
      Json list = Json::array({});
      for (size_t at = 0; at < value.size(); at += sizeof(CK_ULONG)) {
        CK_ULONG one = 0;
        std::memcpy(&one, value.data() + at, sizeof one);
        list.push(mechanism_name(one));
      }
      return list;
    }
    case Form::text:
    case Form::date:
      return Json(shown_text(value));
    case Form::bytes:
      break;
  }
  return Json(hex(value));
}
}  // namespace

Template& Template::flag(CK_ATTRIBUTE_TYPE type, bool value) {
  CK_BBOOL byte = value ? CK_TRUE : CK_FALSE;
  return bytes(type, {&byte, 1});
}
Template& Template::number(CK_ATTRIBUTE_TYPE type, CK_ULONG value) { return bytes(type, bytes_of(value)); }
Template& Template::bytes(CK_ATTRIBUTE_TYPE type, ByteView value) {
  items_.emplace_back(type, to_bytes(value));
  return *this;
}
void Template::remove(CK_ATTRIBUTE_TYPE type) {
  std::erase_if(items_, [type](const auto& item) { return item.first == type; });
}
std::vector<CK_ATTRIBUTE> Template::view() {
  std::vector<CK_ATTRIBUTE> out;
  for (auto& [type, value] : items_) out.push_back({type, value.data(), value.size()});
  return out;
}

Session::Session(std::shared_ptr<Module> module, CK_SLOT_ID slot, CallLog* log)
    : module_(std::move(module)), slot_(slot), log_(log), handle_(open()) {}

Session::~Session() {
  // Closing the process's last session at the token logs out; an explicit logout would end other providers'
  // logins.
  close(handle_);
}

void Session::close(CK_SESSION_HANDLE handle) {
  if (handle != CK_INVALID_HANDLE && module_->disown(handle, this))
    P11_CALL(*module_, log_, C_CloseSession, handle);
}

CK_SESSION_HANDLE Session::open() {
  CK_SESSION_HANDLE handle = CK_INVALID_HANDLE;
  CK_RV rv = P11_CALL(*module_, log_, C_OpenSession, slot_, CKF_SERIAL_SESSION | CKF_RW_SESSION, nullptr,
                      nullptr, &handle);
  if (rv != CKR_OK) throw call_error("C_OpenSession", rv, "opening a session with the token");
  module_->own(handle, this);
  return handle;
}

void Session::renew() {
  CK_SESSION_HANDLE fresh = open();  // first: closing the last session would log out
  if (fresh != handle_) close(handle_);
  handle_ = fresh;
}

bool Session::logged_in() {
  CK_SESSION_INFO info{};
  if (!module_->owns(handle_, this)) return false;
  if (P11_CALL(*module_, log_, C_GetSessionInfo, handle_, &info) != CKR_OK) return false;
  return info.state == CKS_RW_USER_FUNCTIONS || info.state == CKS_RO_USER_FUNCTIONS;
}

bool Session::login(const Secret& pin, const CK_TOKEN_INFO& token) {
  std::string name = "token " + padded_text(token.label);
  CK_RV rv = P11_CALL(*module_, log_, C_Login, handle_, CKU_USER, in_pointer(pin.reveal()), pin.size());
  switch (rv) {
    case CKR_OK:
      return true;
    case CKR_USER_ALREADY_LOGGED_IN:
      return false;  // another provider of this process: the login is the process's
    case CKR_PIN_INCORRECT:
    case CKR_PIN_INVALID:
    case CKR_PIN_LEN_RANGE:
      throw Error(Code::pin_wrong, name + " does not accept the PIN")
          .tried("logging in once; kesu does not try again")
          .cause("C_Login answered " + rv_name(rv) + "; the token may lock after a few more wrong ones")
          .next("correct the PIN source, then run the command again");
    case CKR_PIN_EXPIRED:
      throw Error(Code::pin_wrong, "the PIN of " + name + " has expired")
          .tried("logging in once; kesu does not try again")
          .cause("C_Login answered CKR_PIN_EXPIRED")
          .next("set a new PIN with the vendor's tool");
    case CKR_USER_PIN_NOT_INITIALIZED:
      throw Error(Code::pin_missing, name + " has no user PIN yet")
          .next("have the token's security officer set one");
    default:
      throw call_error("C_Login", rv, "logging in at " + name);
  }
}

std::vector<CK_OBJECT_HANDLE> Session::find(Template what) {
  auto view = what.view();
  CK_RV rv =
      P11_CALL(*module_, log_, C_FindObjectsInit, handle_, view.empty() ? nullptr : view.data(), view.size());
  if (rv != CKR_OK) throw call_error("C_FindObjectsInit", rv, "searching for objects");
  std::vector<CK_OBJECT_HANDLE> out;
  std::array<CK_OBJECT_HANDLE, 64> some{};
  for (;;) {
    CK_ULONG count = 0;
    rv = P11_CALL(*module_, log_, C_FindObjects, handle_, some.data(), some.size(), &count);
    if (rv != CKR_OK || count == 0) break;
    out.insert(out.end(), some.begin(),
               some.begin() + static_cast<long>(std::min<size_t>(count, some.size())));
  }
  CK_RV final = P11_CALL(*module_, log_, C_FindObjectsFinal, handle_);
  if (rv != CKR_OK) throw call_error("C_FindObjects", rv, "searching for objects");
  if (final != CKR_OK) throw call_error("C_FindObjectsFinal", final, "searching for objects");
  return out;
}

std::optional<Bytes> Session::attribute(CK_OBJECT_HANDLE object, CK_ATTRIBUTE_TYPE type) {
  Bytes value(256);  // enough for nearly all, so that one call does
  for (int round = 0; round < 3; ++round) {
    CK_ATTRIBUTE item{type, value.data(), value.size()};
    CK_RV rv = P11_CALL(*module_, log_, C_GetAttributeValue, handle_, object, &item, 1);
    if (rv == CKR_ATTRIBUTE_TYPE_INVALID || rv == CKR_ATTRIBUTE_SENSITIVE) return std::nullopt;
    if (rv == CKR_OK) {
      if (item.ulValueLen == kUnavailable) return std::nullopt;
      value.resize(std::min<size_t>(value.size(), item.ulValueLen));
      return value;
    }
    if (rv != CKR_BUFFER_TOO_SMALL)
      throw call_error("C_GetAttributeValue", rv, "reading " + attribute_name(type) + " of an object");
    CK_ATTRIBUTE asked{type, nullptr, 0};
    rv = P11_CALL(*module_, log_, C_GetAttributeValue, handle_, object, &asked, 1);
    if (rv != CKR_OK || asked.ulValueLen == kUnavailable || asked.ulValueLen > (1u << 20))
      throw call_error("C_GetAttributeValue", rv, "reading the size of " + attribute_name(type));
    value.assign(asked.ulValueLen, 0);
  }
  throw Error(Code::provider_failed, "the size of " + attribute_name(type) + " changes while it is read");
}

std::optional<bool> Session::flag(CK_OBJECT_HANDLE object, CK_ATTRIBUTE_TYPE type) {
  auto value = attribute(object, type);
  if (!value || value->size() != 1) return std::nullopt;
  return value->front() != CK_FALSE;
}

std::optional<CK_ULONG> Session::number(CK_OBJECT_HANDLE object, CK_ATTRIBUTE_TYPE type) {
  auto value = attribute(object, type);
  return value ? as_number(*value) : std::nullopt;
}

Json Session::attributes(CK_OBJECT_HANDLE object) {
  Json out = Json::object({});
  auto [begin, end] = readable_attributes();
  for (const AttributeRow* row = begin; row != end; ++row)
    if (auto value = attribute(object, row->type)) out.set(row->name, shown(row->form, *value));
  return out;
}

void Session::random(std::span<uint8_t> out) {
  CK_RV rv = P11_CALL(*module_, log_, C_GenerateRandom, handle_, out.data(), out.size());
  if (rv != CKR_OK) throw call_error("C_GenerateRandom", rv, "asking the token for random bytes");
  // The host's generator over it: two nonces alike under one key would give both away, and a token that fails
  // without saying so gives the same bytes again.
  std::array<uint8_t, 64> own{};
  for (size_t at = 0; at < out.size(); at += own.size()) {
    const size_t n = std::min(own.size(), out.size() - at);
    system_random().fill({own.data(), n});
    for (size_t i = 0; i < n; ++i) out[at + i] ^= own[i];
  }
  wipe(own);
}

Session::Done Session::gcm(bool encrypt, CK_OBJECT_HANDLE key, ByteView nonce, ByteView aad,
                           std::span<const uint8_t> in, std::span<uint8_t> out) {
  const char* init_name = encrypt ? "C_EncryptInit" : "C_DecryptInit";
  CK_GCM_PARAMS params{in_pointer(nonce), nonce.size(), nonce.size() * 8, in_pointer(aad), aad.size(), 128};
  ShortGcmParams short_params{in_pointer(nonce), nonce.size(), in_pointer(aad), aad.size(), 128};
  auto init = [&](bool use_short) {
    CK_MECHANISM mechanism{CKM_AES_GCM, &params, sizeof params};
    if (use_short) mechanism = {CKM_AES_GCM, &short_params, sizeof short_params};
    return encrypt ? P11_CALL(*module_, log_, C_EncryptInit, handle_, &mechanism, key)
                   : P11_CALL(*module_, log_, C_DecryptInit, handle_, &mechanism, key);
  };
  CK_RV rv = init(module_->short_gcm_params);
  if ((rv == CKR_MECHANISM_PARAM_INVALID || rv == CKR_ARGUMENTS_BAD) && !module_->short_gcm_params) {
    CK_RV again = init(true);
    if (again == CKR_OK) module_->short_gcm_params = true, rv = again;
  }
  if (rv != CKR_OK) return {init_name, rv, 0};
  CK_ULONG size = out.size();
  rv = encrypt ? P11_CALL(*module_, log_, C_Encrypt, handle_, in_pointer(in), in.size(), out.data(), &size)
               : P11_CALL(*module_, log_, C_Decrypt, handle_, in_pointer(in), in.size(), out.data(), &size);
  const char* name = encrypt ? "C_Encrypt" : "C_Decrypt";
  if (rv != CKR_OK) {
    // What a failed operation leaves in a session differs between modules. Where not even a new session
    // opens, the module's first answer is still the one to report.
    try {
      renew();
    } catch (const Error&) {
    }
    return {name, rv, 0};
  }
  return {name, rv, std::min<size_t>(size, out.size())};
}

Bytes Session::sign(CK_OBJECT_HANDLE key, CK_MECHANISM_TYPE mechanism, ByteView data, size_t size) {
  CK_MECHANISM how{mechanism, nullptr, 0};
  CK_RV rv = P11_CALL(*module_, log_, C_SignInit, handle_, &how, key);
  if (rv != CKR_OK) throw call_error("C_SignInit", rv, "signing with " + mechanism_name(mechanism));
  Bytes out(size + 64);
  CK_ULONG written = out.size();
  rv = P11_CALL(*module_, log_, C_Sign, handle_, in_pointer(data), data.size(), out.data(), &written);
  if (rv != CKR_OK) {
    CallError error = call_error("C_Sign", rv, "signing with " + mechanism_name(mechanism));
    if (error.code() != Code::session_lost && error.code() != Code::provider_unavailable) renew();
    throw error;
  }
  if (written != size)
    throw Error(Code::provider_failed, mechanism_name(mechanism) + " gave " + std::to_string(written) +
                                           " bytes instead of " + std::to_string(size));
  out.resize(size);
  return out;
}

}  // namespace kesu::p11
