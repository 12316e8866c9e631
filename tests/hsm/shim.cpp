// A PKCS #11 module for tests: SoftHSM2 with one fault, named by the variable KESU_SHIM.
#include <dlfcn.h>
#include <p11-kit/pkcs11.h>

#include <cstdlib>
#include <cstring>
#include <string>
#include <vector>

namespace {

CK_FUNCTION_LIST* real = nullptr;

bool fault(const char* name) {
  const char* set = std::getenv("KESU_SHIM");
  return set != nullptr && std::strcmp(set, name) == 0;
}

// "reject:172,40000600": templates with one of these attributes are rejected.
bool rejected(const CK_ATTRIBUTE* items, CK_ULONG count) {
  const char* set = std::getenv("KESU_SHIM");
  if (set == nullptr || std::strncmp(set, "reject:", 7) != 0) return false;
  std::vector<CK_ATTRIBUTE_TYPE> types;
  for (const char* at = set + 7; *at != '\0';) {
    char* end = nullptr;
    types.push_back(std::strtoul(at, &end, 16));
    at = *end == ',' ? end + 1 : end;
  }
  for (CK_ULONG i = 0; i < count; ++i)
    for (CK_ATTRIBUTE_TYPE type : types)
      if (items[i].type == type) return true;
  return false;
}

CK_RV token_info(CK_SLOT_ID slot, CK_TOKEN_INFO* info) {
  CK_RV rv = real->C_GetTokenInfo(slot, info);
  if (fault("final-try")) info->flags |= CKF_USER_PIN_FINAL_TRY;
  if (fault("pin-locked-flag")) info->flags |= CKF_USER_PIN_LOCKED;
  return rv;
}

CK_RV login(CK_SESSION_HANDLE session, CK_USER_TYPE user, CK_UTF8CHAR* pin, CK_ULONG size) {
  if (fault("pin-locked")) return CKR_PIN_LOCKED;
  return real->C_Login(session, user, pin, size);
}

CK_RV generate_key(CK_SESSION_HANDLE session, CK_MECHANISM* how, CK_ATTRIBUTE* items, CK_ULONG count,
                   CK_OBJECT_HANDLE* key) {
  if (rejected(items, count)) return CKR_ATTRIBUTE_TYPE_INVALID;
  if (fault("generate-nothing")) return CKR_FUNCTION_FAILED;
  CK_RV rv = real->C_GenerateKey(session, how, items, count, key);
  return fault("generate-unsaid") ? CKR_FUNCTION_FAILED : rv;
}

CK_RV generate_pair(CK_SESSION_HANDLE session, CK_MECHANISM* how, CK_ATTRIBUTE* open, CK_ULONG open_count,
                    CK_ATTRIBUTE* secret, CK_ULONG secret_count, CK_OBJECT_HANDLE* open_key,
                    CK_OBJECT_HANDLE* secret_key) {
  if (rejected(open, open_count) || rejected(secret, secret_count)) return CKR_TEMPLATE_INCONSISTENT;
  return real->C_GenerateKeyPair(session, how, open, open_count, secret, secret_count, open_key, secret_key);
}

struct ShortParams {
  CK_BYTE* iv;
  CK_ULONG iv_size;
  CK_BYTE* aad;
  CK_ULONG aad_size, tag_bits;
};

template <class F>
CK_RV crypt_init(F next, CK_SESSION_HANDLE session, CK_MECHANISM* how, CK_OBJECT_HANDLE key) {
  if (fault("removed")) return CKR_DEVICE_REMOVED;
  if (fault("not-permitted")) return CKR_KEY_FUNCTION_NOT_PERMITTED;
  if (!fault("short-gcm")) return next(session, how, key);
  if (how->ulParameterLen != sizeof(ShortParams)) return CKR_MECHANISM_PARAM_INVALID;
  auto* given = static_cast<ShortParams*>(how->pParameter);
  CK_GCM_PARAMS params{given->iv,  given->iv_size,  given->iv_size * 8,
                       given->aad, given->aad_size, given->tag_bits};
  CK_MECHANISM longer{how->mechanism, &params, sizeof params};
  return next(session, &longer, key);
}
CK_RV encrypt_init(CK_SESSION_HANDLE session, CK_MECHANISM* how, CK_OBJECT_HANDLE key) {
  return crypt_init(real->C_EncryptInit, session, how, key);
}
CK_RV decrypt_init(CK_SESSION_HANDLE session, CK_MECHANISM* how, CK_OBJECT_HANDLE key) {
  return crypt_init(real->C_DecryptInit, session, how, key);
}

CK_RV attribute(CK_SESSION_HANDLE session, CK_OBJECT_HANDLE object, CK_ATTRIBUTE* items, CK_ULONG count) {
  CK_RV rv = real->C_GetAttributeValue(session, object, items, count);
  if (fault("insensitive") && rv == CKR_OK && items[0].type == CKA_SENSITIVE && items[0].pValue != nullptr)
    *static_cast<CK_BBOOL*>(items[0].pValue) = CK_FALSE;
  return rv;
}

CK_RV destroy(CK_SESSION_HANDLE session, CK_OBJECT_HANDLE object) {
  if (fault("destroy-refused")) return CKR_TOKEN_WRITE_PROTECTED;
  CK_RV rv = real->C_DestroyObject(session, object);
  return fault("destroy-unsaid") ? CKR_DEVICE_ERROR : rv;
}

CK_RV find(CK_SESSION_HANDLE session, CK_OBJECT_HANDLE* objects, CK_ULONG room, CK_ULONG* count) {
  if (fault("find-fails")) return CKR_DEVICE_MEMORY;
  return real->C_FindObjects(session, objects, room, count);
}

}  // namespace

extern "C" __attribute__((visibility("default"))) CK_RV C_GetFunctionList(CK_FUNCTION_LIST** list) {
  static CK_FUNCTION_LIST mine;
  void* library = dlopen("/usr/lib/softhsm/libsofthsm2.so", RTLD_NOW | RTLD_LOCAL);
  if (library == nullptr) return CKR_GENERAL_ERROR;
  auto get = reinterpret_cast<CK_RV (*)(CK_FUNCTION_LIST**)>(dlsym(library, "C_GetFunctionList"));
  if (get == nullptr || get(&real) != CKR_OK) return CKR_GENERAL_ERROR;
  mine = *real;
  mine.C_GetFunctionList = C_GetFunctionList;
  mine.C_GetTokenInfo = token_info;
  mine.C_Login = login;
  mine.C_GenerateKey = generate_key;
  mine.C_GenerateKeyPair = generate_pair;
  mine.C_EncryptInit = encrypt_init;
  mine.C_DecryptInit = decrypt_init;
  mine.C_GetAttributeValue = attribute;
  mine.C_DestroyObject = destroy;
  mine.C_FindObjects = find;
  *list = &mine;
  return CKR_OK;
}
