// A PKCS #11 module for tests: SoftHSM2, with the failures that a script asks for (SHIM.md).
#include <dlfcn.h>

#include <algorithm>
#include <cstdio>
#include <cstring>
#include <exception>
#include <tuple>

#include "shim_token.h"

namespace {
using shim::before;
using shim::real;
using shim::to_real;
using shim::to_shown;
using shim::Verdict;

// Makes the call as the script allows; `absent` is the answer while the token is gone.
template <class F>
CK_RV make(const Verdict& verdict, CK_RV absent, F&& call) {
  if (verdict.answer) return *verdict.answer;
  if (absent != CKR_OK && shim::token_gone()) return absent;
  CK_RV rv = call();
  return verdict.then.value_or(rv);
}
constexpr CK_RV kGone = CKR_DEVICE_REMOVED, kEmpty = CKR_TOKEN_NOT_PRESENT;

CK_RV initialize(void* args) {
  shim::forget_handles();  // of an initialisation before
  return make(before("C_Initialize"), CKR_OK, [&] { return real->C_Initialize(args); });
}
CK_RV finalize(void* reserved) {
  return make(before("C_Finalize"), CKR_OK, [&] { return real->C_Finalize(reserved); });
}
CK_RV get_info(CK_INFO* info) {
  return make(before("C_GetInfo"), CKR_OK, [&] { return real->C_GetInfo(info); });
}

CK_RV slot_list(CK_BBOOL with_token, CK_SLOT_ID* slots, CK_ULONG* count) {
  return make(before("C_GetSlotList"), CKR_OK, [&] {
    CK_ULONG size = 0;
    CK_RV rv = real->C_GetSlotList(with_token, nullptr, &size);
    std::vector<CK_SLOT_ID> all(size);
    if (rv == CKR_OK && size > 0) rv = real->C_GetSlotList(with_token, all.data(), &size);
    if (rv != CKR_OK) return rv;
    all.resize(size);
    auto shown = shim::shown_slots(with_token == CK_TRUE, all);
    CK_ULONG room = *count;
    *count = shown.size();
    if (slots == nullptr) return CK_RV{CKR_OK};
    if (room < shown.size()) return CK_RV{CKR_BUFFER_TOO_SMALL};
    std::copy(shown.begin(), shown.end(), slots);
    return CK_RV{CKR_OK};
  });
}

CK_RV token_info(CK_SLOT_ID slot, CK_TOKEN_INFO* info) {
  Verdict verdict = before("C_GetTokenInfo");
  return make(verdict, kEmpty, [&] {
    CK_RV rv = real->C_GetTokenInfo(slot, info);
    if (rv != CKR_OK) return rv;
    shim::dress(slot, *info);
    if (verdict.sessions) std::tie(info->ulSessionCount, info->ulRwSessionCount) = *verdict.sessions;
    info->flags = (info->flags | verdict.set) & ~verdict.clear;
    return rv;
  });
}
CK_RV mechanism_list(CK_SLOT_ID slot, CK_MECHANISM_TYPE* list, CK_ULONG* count) {
  return make(before("C_GetMechanismList"), kEmpty,
              [&] { return real->C_GetMechanismList(slot, list, count); });
}

CK_RV open_session(CK_SLOT_ID slot, CK_FLAGS flags, void* app, CK_NOTIFY notify, CK_SESSION_HANDLE* session) {
  return make(before("C_OpenSession"), kEmpty,
              [&] { return real->C_OpenSession(slot, flags, app, notify, session); });
}
CK_RV close_session(CK_SESSION_HANDLE session) {
  return make(before("C_CloseSession"), kGone, [&] { return real->C_CloseSession(session); });
}
CK_RV close_all(CK_SLOT_ID slot) {
  return make(before("C_CloseAllSessions"), kEmpty, [&] { return real->C_CloseAllSessions(slot); });
}
CK_RV session_info(CK_SESSION_HANDLE session, CK_SESSION_INFO* info) {
  return make(before("C_GetSessionInfo"), kGone, [&] { return real->C_GetSessionInfo(session, info); });
}
CK_RV login(CK_SESSION_HANDLE session, CK_USER_TYPE user, CK_UTF8CHAR* pin, CK_ULONG size) {
  Verdict verdict = before("C_Login");
  return make(verdict, kGone, [&] {
    CK_RV rv = real->C_Login(session, user, pin, size);
    if (rv == CKR_OK && verdict.renumber) shim::renumber(session);
    return rv;
  });
}
CK_RV logout(CK_SESSION_HANDLE session) {
  return make(before("C_Logout"), kGone, [&] { return real->C_Logout(session); });
}

CK_RV create_object(CK_SESSION_HANDLE session, CK_ATTRIBUTE* items, CK_ULONG count,
                    CK_OBJECT_HANDLE* object) {
  return make(before("C_CreateObject", items, count), kGone, [&] {
    CK_RV rv = real->C_CreateObject(session, items, count, object);
    if (rv == CKR_OK) *object = to_shown(session, *object);
    return rv;
  });
}
CK_RV destroy(CK_SESSION_HANDLE session, CK_OBJECT_HANDLE object) {
  return make(before("C_DestroyObject"), kGone,
              [&] { return real->C_DestroyObject(session, to_real(object)); });
}
CK_RV find_init(CK_SESSION_HANDLE session, CK_ATTRIBUTE* items, CK_ULONG count) {
  return make(before("C_FindObjectsInit", items, count), kGone,
              [&] { return real->C_FindObjectsInit(session, items, count); });
}
CK_RV find(CK_SESSION_HANDLE session, CK_OBJECT_HANDLE* objects, CK_ULONG room, CK_ULONG* count) {
  return make(before("C_FindObjects"), kGone, [&] {
    CK_RV rv = real->C_FindObjects(session, objects, room, count);
    for (CK_ULONG i = 0; rv == CKR_OK && i < *count; ++i) objects[i] = to_shown(session, objects[i]);
    return rv;
  });
}
CK_RV find_final(CK_SESSION_HANDLE session) {
  return make(before("C_FindObjectsFinal"), kGone, [&] { return real->C_FindObjectsFinal(session); });
}

CK_RV attribute(CK_SESSION_HANDLE session, CK_OBJECT_HANDLE object, CK_ATTRIBUTE* items, CK_ULONG count) {
  Verdict verdict = before("C_GetAttributeValue", items, count);
  return make(verdict, kGone, [&] {
    std::vector<CK_ULONG> room;
    for (CK_ULONG i = 0; i < count; ++i) room.push_back(items[i].ulValueLen);
    CK_RV rv = real->C_GetAttributeValue(session, to_real(object), items, count);
    for (const shim::Rule& lie : verdict.lies)
      for (CK_ULONG i = 0; i < count; ++i) {
        if (items[i].type != lie.types[0]) continue;
        items[i].ulValueLen = lie.value.size();
        if (items[i].pValue == nullptr) continue;
        if (room[i] < lie.value.size()) return CK_RV{CKR_BUFFER_TOO_SMALL};
        std::copy(lie.value.begin(), lie.value.end(), static_cast<uint8_t*>(items[i].pValue));
        rv = CKR_OK;
      }
    return rv;
  });
}

CK_RV generate_key(CK_SESSION_HANDLE session, CK_MECHANISM* how, CK_ATTRIBUTE* items, CK_ULONG count,
                   CK_OBJECT_HANDLE* key) {
  return make(before("C_GenerateKey", items, count), kGone, [&] {
    CK_RV rv = real->C_GenerateKey(session, how, items, count, key);
    if (rv == CKR_OK) *key = to_shown(session, *key);
    return rv;
  });
}
CK_RV generate_pair(CK_SESSION_HANDLE session, CK_MECHANISM* how, CK_ATTRIBUTE* open, CK_ULONG open_count,
                    CK_ATTRIBUTE* secret, CK_ULONG secret_count, CK_OBJECT_HANDLE* open_key,
                    CK_OBJECT_HANDLE* secret_key) {
  return make(before("C_GenerateKeyPair", secret, secret_count), kGone, [&] {
    CK_RV rv =
        real->C_GenerateKeyPair(session, how, open, open_count, secret, secret_count, open_key, secret_key);
    if (rv == CKR_OK) *open_key = to_shown(session, *open_key), *secret_key = to_shown(session, *secret_key);
    return rv;
  });
}
CK_RV random(CK_SESSION_HANDLE session, CK_BYTE* out, CK_ULONG size) {
  return make(before("C_GenerateRandom"), kGone, [&] { return real->C_GenerateRandom(session, out, size); });
}

// CK_GCM_PARAMS of early headers.
struct ShortParams {
  CK_BYTE* iv;
  CK_ULONG iv_size;
  CK_BYTE* aad;
  CK_ULONG aad_size, tag_bits;
};

template <class F>
CK_RV crypt_init(const char* name, F next, CK_SESSION_HANDLE session, CK_MECHANISM* how,
                 CK_OBJECT_HANDLE key) {
  Verdict verdict = before(name);
  return make(verdict, kGone, [&] {
    if (!verdict.short_gcm) return next(session, how, to_real(key));
    if (how->ulParameterLen != sizeof(ShortParams)) return CK_RV{CKR_MECHANISM_PARAM_INVALID};
    auto* given = static_cast<ShortParams*>(how->pParameter);
    CK_GCM_PARAMS params{given->iv,  given->iv_size,  given->iv_size * 8,
                         given->aad, given->aad_size, given->tag_bits};
    CK_MECHANISM longer{how->mechanism, &params, sizeof params};
    return next(session, &longer, to_real(key));
  });
}
CK_RV encrypt_init(CK_SESSION_HANDLE session, CK_MECHANISM* how, CK_OBJECT_HANDLE key) {
  return crypt_init("C_EncryptInit", real->C_EncryptInit, session, how, key);
}
CK_RV decrypt_init(CK_SESSION_HANDLE session, CK_MECHANISM* how, CK_OBJECT_HANDLE key) {
  return crypt_init("C_DecryptInit", real->C_DecryptInit, session, how, key);
}
CK_RV sign_init(CK_SESSION_HANDLE session, CK_MECHANISM* how, CK_OBJECT_HANDLE key) {
  return crypt_init("C_SignInit", real->C_SignInit, session, how, key);
}
CK_RV encrypt(CK_SESSION_HANDLE session, CK_BYTE* in, CK_ULONG size, CK_BYTE* out, CK_ULONG* out_size) {
  return make(before("C_Encrypt"), kGone, [&] { return real->C_Encrypt(session, in, size, out, out_size); });
}
CK_RV decrypt(CK_SESSION_HANDLE session, CK_BYTE* in, CK_ULONG size, CK_BYTE* out, CK_ULONG* out_size) {
  return make(before("C_Decrypt"), kGone, [&] { return real->C_Decrypt(session, in, size, out, out_size); });
}
CK_RV sign(CK_SESSION_HANDLE session, CK_BYTE* in, CK_ULONG size, CK_BYTE* out, CK_ULONG* out_size) {
  return make(before("C_Sign"), kGone, [&] { return real->C_Sign(session, in, size, out, out_size); });
}

CK_RV derive(CK_SESSION_HANDLE session, CK_MECHANISM* how, CK_OBJECT_HANDLE base, CK_ATTRIBUTE* items,
             CK_ULONG count, CK_OBJECT_HANDLE* key) {
  return make(before("C_DeriveKey"), kGone, [&] {
    CK_RV rv = real->C_DeriveKey(session, how, to_real(base), items, count, key);
    if (rv == CKR_OK) *key = to_shown(session, *key);
    return rv;
  });
}
CK_RV wrap(CK_SESSION_HANDLE session, CK_MECHANISM* how, CK_OBJECT_HANDLE with, CK_OBJECT_HANDLE key,
           CK_BYTE* out, CK_ULONG* size) {
  return make(before("C_WrapKey"), kGone,
              [&] { return real->C_WrapKey(session, how, to_real(with), to_real(key), out, size); });
}
CK_RV unwrap(CK_SESSION_HANDLE session, CK_MECHANISM* how, CK_OBJECT_HANDLE with, CK_BYTE* in, CK_ULONG size,
             CK_ATTRIBUTE* items, CK_ULONG count, CK_OBJECT_HANDLE* key) {
  return make(before("C_UnwrapKey"), kGone, [&] {
    CK_RV rv = real->C_UnwrapKey(session, how, to_real(with), in, size, items, count, key);
    if (rv == CKR_OK) *key = to_shown(session, *key);
    return rv;
  });
}
}  // namespace

extern "C" __attribute__((visibility("default"))) CK_RV C_GetFunctionList(CK_FUNCTION_LIST** list) {
  static CK_FUNCTION_LIST mine;
  try {
    shim::load_script();
  } catch (const std::exception& error) {
    std::fprintf(stderr, "shim: %s\n", error.what());
    return CKR_GENERAL_ERROR;
  }
  void* library = dlopen("/usr/lib/softhsm/libsofthsm2.so", RTLD_NOW | RTLD_LOCAL);
  if (library == nullptr) return CKR_GENERAL_ERROR;
  auto get = reinterpret_cast<CK_RV (*)(CK_FUNCTION_LIST**)>(dlsym(library, "C_GetFunctionList"));
  if (get == nullptr || get(&real) != CKR_OK) return CKR_GENERAL_ERROR;
  mine = *real;
  mine.C_GetFunctionList = C_GetFunctionList;
  mine.C_Initialize = initialize;
  mine.C_Finalize = finalize;
  mine.C_GetInfo = get_info;
  mine.C_GetSlotList = slot_list;
  mine.C_GetTokenInfo = token_info;
  mine.C_GetMechanismList = mechanism_list;
  mine.C_OpenSession = open_session;
  mine.C_CloseSession = close_session;
  mine.C_CloseAllSessions = close_all;
  mine.C_GetSessionInfo = session_info;
  mine.C_Login = login;
  mine.C_Logout = logout;
  mine.C_CreateObject = create_object;
  mine.C_DestroyObject = destroy;
  mine.C_FindObjectsInit = find_init;
  mine.C_FindObjects = find;
  mine.C_FindObjectsFinal = find_final;
  mine.C_GetAttributeValue = attribute;
  mine.C_GenerateKey = generate_key;
  mine.C_GenerateKeyPair = generate_pair;
  mine.C_GenerateRandom = random;
  mine.C_EncryptInit = encrypt_init;
  mine.C_Encrypt = encrypt;
  mine.C_DecryptInit = decrypt_init;
  mine.C_Decrypt = decrypt;
  mine.C_SignInit = sign_init;
  mine.C_Sign = sign;
  mine.C_DeriveKey = derive;
  mine.C_WrapKey = wrap;
  mine.C_UnwrapKey = unwrap;
  *list = &mine;
  return CKR_OK;
}
