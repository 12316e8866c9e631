// Names of Cryptoki's constants, and the list of attributes that may be read.
#include "hsm/pkcs11/cryptoki_impl.h"

#include <cstdio>
#include <utility>

namespace kesu::p11 {

namespace {
std::string number(unsigned long value) {
  char text[24];
  std::snprintf(text, sizeof text, "0x%lx", value);
  return text;
}
}  // namespace

#define X(name) \
  case name:    \
    return #name;

std::string rv_name(CK_RV rv) {
  switch (rv) {
    X(CKR_OK)
    X(CKR_CANCEL) X(CKR_HOST_MEMORY) X(CKR_SLOT_ID_INVALID) X(CKR_GENERAL_ERROR) X(CKR_FUNCTION_FAILED) X(
        CKR_ARGUMENTS_BAD) X(CKR_NO_EVENT) X(CKR_NEED_TO_CREATE_THREADS) X(CKR_CANT_LOCK)
        X(CKR_ATTRIBUTE_READ_ONLY) X(CKR_ATTRIBUTE_SENSITIVE) X(CKR_ATTRIBUTE_TYPE_INVALID) X(
            CKR_ATTRIBUTE_VALUE_INVALID) X(CKR_ACTION_PROHIBITED) X(CKR_DATA_INVALID) X(CKR_DATA_LEN_RANGE)
            X(CKR_DEVICE_ERROR) X(CKR_DEVICE_MEMORY) X(CKR_DEVICE_REMOVED) X(CKR_ENCRYPTED_DATA_INVALID) X(
                CKR_ENCRYPTED_DATA_LEN_RANGE) X(CKR_FUNCTION_CANCELED) X(CKR_FUNCTION_NOT_PARALLEL)
                X(CKR_FUNCTION_NOT_SUPPORTED) X(CKR_KEY_HANDLE_INVALID) X(CKR_KEY_SIZE_RANGE) X(
                    CKR_KEY_TYPE_INCONSISTENT) X(CKR_KEY_NOT_NEEDED) X(CKR_KEY_CHANGED) X(CKR_KEY_NEEDED)
                    X(CKR_KEY_INDIGESTIBLE) X(CKR_KEY_FUNCTION_NOT_PERMITTED) X(CKR_KEY_NOT_WRAPPABLE) X(
                        CKR_KEY_UNEXTRACTABLE) X(CKR_MECHANISM_INVALID) X(CKR_MECHANISM_PARAM_INVALID)
                        X(CKR_OBJECT_HANDLE_INVALID) X(CKR_OPERATION_ACTIVE) X(CKR_OPERATION_NOT_INITIALIZED) X(
                            CKR_PIN_INCORRECT) X(CKR_PIN_INVALID) X(CKR_PIN_LEN_RANGE) X(CKR_PIN_EXPIRED)
                            X(CKR_PIN_LOCKED) X(CKR_SESSION_CLOSED) X(CKR_SESSION_COUNT) X(
                                CKR_SESSION_HANDLE_INVALID) X(CKR_SESSION_PARALLEL_NOT_SUPPORTED)
                                X(CKR_SESSION_READ_ONLY) X(CKR_SESSION_EXISTS) X(CKR_SESSION_READ_ONLY_EXISTS) X(
                                    CKR_SESSION_READ_WRITE_SO_EXISTS) X(CKR_SIGNATURE_INVALID)
                                    X(CKR_SIGNATURE_LEN_RANGE) X(CKR_TEMPLATE_INCOMPLETE) X(
                                        CKR_TEMPLATE_INCONSISTENT) X(CKR_TOKEN_NOT_PRESENT) X(CKR_TOKEN_NOT_RECOGNIZED)
                                        X(CKR_TOKEN_WRITE_PROTECTED) X(CKR_UNWRAPPING_KEY_SIZE_RANGE) X(
                                            CKR_UNWRAPPING_KEY_TYPE_INCONSISTENT) X(CKR_USER_ALREADY_LOGGED_IN)
                                            X(CKR_USER_NOT_LOGGED_IN) X(CKR_USER_PIN_NOT_INITIALIZED) X(
                                                CKR_USER_TYPE_INVALID) X(CKR_USER_ANOTHER_ALREADY_LOGGED_IN)
                                                X(CKR_USER_TOO_MANY_TYPES) X(CKR_WRAPPED_KEY_INVALID) X(
                                                    CKR_WRAPPED_KEY_LEN_RANGE) X(CKR_WRAPPING_KEY_HANDLE_INVALID)
                                                    X(CKR_WRAPPING_KEY_SIZE_RANGE) X(
                                                        CKR_WRAPPING_KEY_TYPE_INCONSISTENT)
                                                        X(CKR_RANDOM_SEED_NOT_SUPPORTED) X(CKR_RANDOM_NO_RNG) X(
                                                            CKR_DOMAIN_PARAMS_INVALID) X(CKR_CURVE_NOT_SUPPORTED)
                                                            X(CKR_BUFFER_TOO_SMALL) X(CKR_SAVED_STATE_INVALID) X(
                                                                CKR_INFORMATION_SENSITIVE)
                                                                X(CKR_STATE_UNSAVEABLE) X(
                                                                    CKR_CRYPTOKI_NOT_INITIALIZED)
                                                                    X(CKR_CRYPTOKI_ALREADY_INITIALIZED) X(
                                                                        CKR_MUTEX_BAD) X(CKR_MUTEX_NOT_LOCKED)
                                                                        X(CKR_NEW_PIN_MODE) X(CKR_NEXT_OTP) X(
                                                                            CKR_EXCEEDED_MAX_ITERATIONS)
                                                                            X(CKR_FIPS_SELF_TEST_FAILED) X(
                                                                                CKR_LIBRARY_LOAD_FAILED)
                                                                                X(CKR_PIN_TOO_WEAK) X(
                                                                                    CKR_PUBLIC_KEY_INVALID)
                                                                                    X(CKR_FUNCTION_REJECTED) case kAeadDecryptFailed
        : return "CKR_AEAD_DECRYPT_FAILED";
    case kOperationCancelFailed:
      return "CKR_OPERATION_CANCEL_FAILED";
  }
  return number(rv);
}

std::string mechanism_name(CK_MECHANISM_TYPE mechanism) {
  switch (mechanism) {
    X(CKM_RSA_PKCS_KEY_PAIR_GEN)
    X(CKM_RSA_PKCS) X(CKM_RSA_9796) X(CKM_RSA_X_509) X(CKM_MD2_RSA_PKCS) X(CKM_MD5_RSA_PKCS) X(
        CKM_SHA1_RSA_PKCS) X(CKM_RIPEMD128_RSA_PKCS) X(CKM_RIPEMD160_RSA_PKCS) X(CKM_RSA_PKCS_OAEP)
        X(CKM_RSA_X9_31_KEY_PAIR_GEN) X(CKM_RSA_X9_31) X(CKM_SHA1_RSA_X9_31) X(CKM_RSA_PKCS_PSS) X(
            CKM_SHA1_RSA_PKCS_PSS) X(CKM_DSA_KEY_PAIR_GEN) X(CKM_DSA_SHA1) X(CKM_DSA_SHA224) X(CKM_DSA_SHA256)
            X(CKM_DSA_SHA384) X(CKM_DSA_SHA512) X(CKM_DH_PKCS_KEY_PAIR_GEN) X(CKM_DH_PKCS_DERIVE) X(
                CKM_X9_42_DH_DERIVE) X(CKM_X9_42_DH_HYBRID_DERIVE) X(CKM_X9_42_MQV_DERIVE) X(CKM_SHA256_RSA_PKCS)
                X(CKM_SHA384_RSA_PKCS) X(CKM_SHA512_RSA_PKCS) X(CKM_SHA256_RSA_PKCS_PSS) X(
                    CKM_SHA384_RSA_PKCS_PSS) X(CKM_SHA512_RSA_PKCS_PSS) X(CKM_SHA512_224) X(CKM_SHA512_224_HMAC)
                    X(CKM_SHA512_224_HMAC_GENERAL) X(CKM_SHA512_224_KEY_DERIVATION) X(CKM_SHA512_256) X(
                        CKM_SHA512_256_HMAC) X(CKM_SHA512_256_HMAC_GENERAL) X(CKM_SHA512_256_KEY_DERIVATION)
                        X(CKM_SHA512_T) X(CKM_SHA512_T_HMAC) X(CKM_SHA512_T_HMAC_GENERAL) X(
                            CKM_SHA512_T_KEY_DERIVATION) X(CKM_RC2_KEY_GEN) X(CKM_RC2_ECB) X(CKM_RC2_MAC_GENERAL)
                            X(CKM_RC2_CBC_PAD) X(CKM_RC4_KEY_GEN) X(CKM_RC4) X(CKM_DES_KEY_GEN) X(
                                CKM_DES_ECB) X(CKM_DES_CBC) X(CKM_DES_MAC) X(CKM_DES_MAC_GENERAL)
                                X(CKM_DES_CBC_PAD) X(CKM_DES2_KEY_GEN) X(CKM_DES3_KEY_GEN) X(CKM_DES3_ECB) X(
                                    CKM_DES3_CBC) X(CKM_DES3_MAC) X(CKM_DES3_MAC_GENERAL) X(CKM_DES3_CBC_PAD)
                                    X(CKM_DES3_CMAC_GENERAL) X(CKM_DES3_CMAC) X(CKM_CDMF_KEY_GEN) X(
                                        CKM_CDMF_ECB) X(CKM_CDMF_CBC) X(CKM_CDMF_MAC) X(CKM_CDMF_MAC_GENERAL)
                                        X(CKM_CDMF_CBC_PAD) X(CKM_DES_OFB64) X(CKM_DES_OFB8) X(CKM_DES_CFB64) X(
                                            CKM_DES_CFB8) X(CKM_MD2) X(CKM_MD2_HMAC) X(CKM_MD2_HMAC_GENERAL)
                                            X(CKM_MD5) X(CKM_MD5_HMAC) X(CKM_MD5_HMAC_GENERAL) X(CKM_SHA_1) X(
                                                CKM_SHA_1_HMAC) X(CKM_SHA_1_HMAC_GENERAL) X(CKM_RIPEMD128)
                                                X(CKM_RIPEMD128_HMAC) X(CKM_RIPEMD128_HMAC_GENERAL) X(
                                                    CKM_RIPEMD160) X(CKM_RIPEMD160_HMAC)
                                                    X(CKM_RIPEMD160_HMAC_GENERAL) X(CKM_SHA256) X(
                                                        CKM_SHA256_HMAC) X(CKM_SHA256_HMAC_GENERAL) X(CKM_SHA384)
                                                        X(CKM_SHA384_HMAC) X(CKM_SHA384_HMAC_GENERAL) X(
                                                            CKM_SHA512) X(CKM_SHA512_HMAC) X(CKM_SHA512_HMAC_GENERAL)
                                                            X(CKM_SECURID_KEY_GEN) X(CKM_SECURID) X(
                                                                CKM_HOTP_KEY_GEN) X(CKM_HOTP) X(CKM_ACTI)
                                                                X(CKM_ACTI_KEY_GEN) X(CKM_CAST_KEY_GEN) X(
                                                                    CKM_CAST_ECB) X(CKM_CAST_CBC)
                                                                    X(CKM_CAST_MAC) X(CKM_CAST_MAC_GENERAL) X(
                                                                        CKM_CAST_CBC_PAD) X(CKM_CAST3_KEY_GEN)
                                                                        X(CKM_CAST3_ECB) X(CKM_CAST3_CBC) X(
                                                                            CKM_CAST3_MAC) X(CKM_CAST3_MAC_GENERAL)
                                                                            X(CKM_CAST3_CBC_PAD) X(CKM_CAST128_KEY_GEN) X(
                                                                                CKM_CAST128_ECB) X(CKM_CAST128_CBC)
                                                                                X(CKM_CAST128_MAC_GENERAL) X(
                                                                                    CKM_CAST128_CBC_PAD)
                                                                                    X(CKM_RC5_KEY_GEN) X(
                                                                                        CKM_RC5_ECB) X(CKM_RC5_CBC)
                                                                                        X(CKM_RC5_MAC) X(
                                                                                            CKM_RC5_MAC_GENERAL)
                                                                                            X(CKM_RC5_CBC_PAD) X(
                                                                                                CKM_IDEA_KEY_GEN)
                                                                                                X(CKM_IDEA_ECB) X(
                                                                                                    CKM_IDEA_MAC) X(CKM_IDEA_MAC_GENERAL)
                                                                                                    X(CKM_IDEA_CBC_PAD) X(
                                                                                                        CKM_GENERIC_SECRET_KEY_GEN)
                                                                                                        X(CKM_CONCATENATE_BASE_AND_KEY)
                                                                                                            X(CKM_CONCATENATE_BASE_AND_DATA)
                                                                                                                X(CKM_CONCATENATE_DATA_AND_BASE)
                                                                                                                    X(CKM_XOR_BASE_AND_DATA)
                                                                                                                        X(CKM_EXTRACT_KEY_FROM_KEY)
                                                                                                                            X(CKM_SSL3_PRE_MASTER_KEY_GEN)
                                                                                                                                X(
                                                                                                                                    CKM_SSL3_MASTER_KEY_DERIVE) X(CKM_SSL3_KEY_AND_MAC_DERIVE) X(CKM_SSL3_MASTER_KEY_DERIVE_DH) X(CKM_TLS_PRE_MASTER_KEY_GEN) X(CKM_TLS_MASTER_KEY_DERIVE) X(CKM_TLS_KEY_AND_MAC_DERIVE) X(CKM_TLS_MASTER_KEY_DERIVE_DH) X(CKM_TLS_PRF) X(CKM_SSL3_MD5_MAC) X(CKM_SSL3_SHA1_MAC) X(CKM_MD5_KEY_DERIVATION) X(CKM_MD2_KEY_DERIVATION) X(CKM_SHA1_KEY_DERIVATION) X(CKM_SHA256_KEY_DERIVATION) X(CKM_SHA384_KEY_DERIVATION) X(CKM_SHA512_KEY_DERIVATION) X(CKM_PBE_MD2_DES_CBC) X(CKM_PBE_MD5_DES_CBC) X(CKM_PBE_MD5_CAST_CBC) X(CKM_PBE_MD5_CAST3_CBC) X(CKM_PBE_MD5_CAST128_CBC) X(CKM_PBE_SHA1_CAST128_CBC) X(CKM_PBE_SHA1_RC4_128) X(CKM_PBE_SHA1_RC4_40) X(CKM_PBE_SHA1_DES3_EDE_CBC) X(CKM_PBE_SHA1_DES2_EDE_CBC) X(CKM_PBE_SHA1_RC2_128_CBC) X(CKM_PBE_SHA1_RC2_40_CBC) X(CKM_PKCS5_PBKD2) X(CKM_PBA_SHA1_WITH_SHA1_HMAC)
                                                                                                                                    X(CKM_WTLS_PRE_MASTER_KEY_GEN)
                                                                                                                                        X(CKM_WTLS_MASTER_KEY_DERIVE)
                                                                                                                                            X(CKM_WTLS_MASTER_KEY_DERIVE_DH_ECC)
                                                                                                                                                X(CKM_WTLS_PRF)
                                                                                                                                                    X(CKM_WTLS_SERVER_KEY_AND_MAC_DERIVE)
                                                                                                                                                        X(CKM_WTLS_CLIENT_KEY_AND_MAC_DERIVE)
                                                                                                                                                            X(CKM_TLS10_MAC_SERVER)
                                                                                                                                                                X(CKM_TLS10_MAC_CLIENT)
                                                                                                                                                                    X(
                                                                                                                                                                        CKM_TLS12_MAC) X(CKM_TLS12_KDF) X(CKM_TLS12_MASTER_KEY_DERIVE) X(CKM_TLS12_KEY_AND_MAC_DERIVE) X(CKM_TLS12_MASTER_KEY_DERIVE_DH) X(CKM_TLS12_KEY_SAFE_DERIVE) X(CKM_TLS_MAC) X(CKM_TLS_KDF) X(CKM_KEY_WRAP_LYNKS) X(CKM_KEY_WRAP_SET_OAEP)
                                                                                                                                                                        X(CKM_CMS_SIG)
                                                                                                                                                                            X(CKM_KIP_DERIVE)
                                                                                                                                                                                X(CKM_KIP_WRAP) X(
                                                                                                                                                                                    CKM_KIP_MAC)
                                                                                                                                                                                    X(CKM_ARIA_KEY_GEN) X(CKM_ARIA_ECB) X(CKM_ARIA_CBC) X(CKM_ARIA_MAC) X(CKM_ARIA_MAC_GENERAL) X(CKM_ARIA_CBC_PAD) X(
                                                                                                                                                                                        CKM_ARIA_ECB_ENCRYPT_DATA)
                                                                                                                                                                                        X(CKM_ARIA_CBC_ENCRYPT_DATA)
                                                                                                                                                                                            X(CKM_SEED_KEY_GEN)
                                                                                                                                                                                                X(CKM_SEED_ECB)
                                                                                                                                                                                                    X(
                                                                                                                                                                                                        CKM_SEED_CBC) X(CKM_SEED_MAC) X(CKM_SEED_MAC_GENERAL) X(CKM_SEED_CBC_PAD) X(CKM_SEED_ECB_ENCRYPT_DATA) X(CKM_SEED_CBC_ENCRYPT_DATA) X(CKM_SKIPJACK_KEY_GEN) X(CKM_SKIPJACK_ECB64) X(CKM_SKIPJACK_CBC64) X(CKM_SKIPJACK_OFB64) X(CKM_SKIPJACK_CFB64) X(CKM_SKIPJACK_CFB32) X(CKM_SKIPJACK_CFB16)
                                                                                                                                                                                                        X(CKM_SKIPJACK_CFB8)
                                                                                                                                                                                                            X(CKM_SKIPJACK_WRAP)
                                                                                                                                                                                                                X(
                                                                                                                                                                                                                    CKM_SKIPJACK_PRIVATE_WRAP) X(CKM_SKIPJACK_RELAYX) X(CKM_KEA_KEY_PAIR_GEN) X(CKM_KEA_KEY_DERIVE) X(CKM_FORTEZZA_TIMESTAMP)
                                                                                                                                                                                                                    X(CKM_BATON_KEY_GEN)
                                                                                                                                                                                                                        X(CKM_BATON_ECB128) X(
                                                                                                                                                                                                                            CKM_BATON_ECB96)
                                                                                                                                                                                                                            X(CKM_BATON_CBC128) X(CKM_BATON_COUNTER) X(CKM_BATON_SHUFFLE) X(CKM_BATON_WRAP)
                                                                                                                                                                                                                                X(
                                                                                                                                                                                                                                    CKM_EC_KEY_PAIR_GEN) X(CKM_ECDSA) X(CKM_ECDSA_SHA1) X(CKM_ECDSA_SHA224) X(CKM_ECDSA_SHA256) X(CKM_ECDSA_SHA384) X(CKM_ECDSA_SHA512) X(CKM_ECDH1_DERIVE) X(CKM_ECDH1_COFACTOR_DERIVE) X(CKM_ECMQV_DERIVE) X(CKM_ECDH_AES_KEY_WRAP) X(CKM_RSA_AES_KEY_WRAP) X(CKM_JUNIPER_KEY_GEN) X(CKM_JUNIPER_ECB128)
                                                                                                                                                                                                                                    X(CKM_JUNIPER_CBC128) X(CKM_JUNIPER_COUNTER) X(CKM_JUNIPER_SHUFFLE) X(CKM_JUNIPER_WRAP) X(
                                                                                                                                                                                                                                        CKM_FASTHASH) X(CKM_AES_KEY_GEN)
                                                                                                                                                                                                                                        X(CKM_AES_ECB) X(CKM_AES_CBC) X(CKM_AES_MAC) X(CKM_AES_MAC_GENERAL) X(CKM_AES_CBC_PAD) X(CKM_AES_CTR) X(CKM_AES_GCM) X(CKM_AES_CCM) X(CKM_AES_CTS) X(CKM_AES_CMAC) X(CKM_AES_CMAC_GENERAL) X(CKM_AES_XCBC_MAC) X(CKM_AES_XCBC_MAC_96) X(
                                                                                                                                                                                                                                            CKM_AES_GMAC) X(CKM_BLOWFISH_KEY_GEN) X(CKM_BLOWFISH_CBC) X(CKM_TWOFISH_KEY_GEN) X(CKM_TWOFISH_CBC)
                                                                                                                                                                                                                                            X(CKM_BLOWFISH_CBC_PAD) X(CKM_TWOFISH_CBC_PAD) X(CKM_DES_ECB_ENCRYPT_DATA) X(CKM_DES_CBC_ENCRYPT_DATA) X(CKM_DES3_ECB_ENCRYPT_DATA) X(
                                                                                                                                                                                                                                                CKM_DES3_CBC_ENCRYPT_DATA)
                                                                                                                                                                                                                                                X(CKM_AES_ECB_ENCRYPT_DATA) X(CKM_AES_CBC_ENCRYPT_DATA) X(CKM_GOSTR3410_KEY_PAIR_GEN) X(CKM_GOSTR3410) X(CKM_GOSTR3410_WITH_GOSTR3411) X(
                                                                                                                                                                                                                                                    CKM_GOSTR3410_KEY_WRAP) X(CKM_GOSTR3410_DERIVE) X(CKM_GOSTR3411) X(CKM_GOSTR3411_HMAC) X(CKM_GOST28147_KEY_GEN) X(CKM_GOST28147_ECB) X(CKM_GOST28147) X(CKM_GOST28147_MAC) X(CKM_GOST28147_KEY_WRAP)
                                                                                                                                                                                                                                                    X(CKM_DSA_PARAMETER_GEN) X(
                                                                                                                                                                                                                                                        CKM_DH_PKCS_PARAMETER_GEN)
                                                                                                                                                                                                                                                        X(CKM_X9_42_DH_PARAMETER_GEN) X(CKM_DSA_PROBABLISTIC_PARAMETER_GEN) X(CKM_DSA_SHAWE_TAYLOR_PARAMETER_GEN) X(CKM_AES_OFB) X(CKM_AES_CFB64) X(CKM_AES_CFB8) X(CKM_AES_CFB128) X(CKM_AES_CFB1) X(
                                                                                                                                                                                                                                                            CKM_SHA224) X(CKM_SHA224_HMAC) X(CKM_SHA224_HMAC_GENERAL) X(CKM_SHA224_RSA_PKCS) X(CKM_SHA224_RSA_PKCS_PSS) X(CKM_SHA224_KEY_DERIVATION) X(CKM_CAMELLIA_KEY_GEN) X(CKM_CAMELLIA_ECB) X(CKM_CAMELLIA_CBC) X(CKM_CAMELLIA_MAC) X(CKM_CAMELLIA_MAC_GENERAL) X(CKM_CAMELLIA_CBC_PAD) X(CKM_CAMELLIA_ECB_ENCRYPT_DATA) X(CKM_CAMELLIA_CBC_ENCRYPT_DATA) X(CKM_CAMELLIA_CTR) X(CKM_AES_KEY_WRAP)
                                                                                                                                                                                                                                                            X(CKM_AES_KEY_WRAP_PAD) X(CKM_RSA_PKCS_TPM_1_1) X(
                                                                                                                                                                                                                                                                CKM_RSA_PKCS_OAEP_TPM_1_1)
                                                                                                                                                                                                                                                                X(CKM_EC_EDWARDS_KEY_PAIR_GEN)
                                                                                                                                                                                                                                                                    X(CKM_EDDSA)
  }
  return number(mechanism);
}

std::string class_name(CK_OBJECT_CLASS object_class) {
  switch (object_class) {
    X(CKO_DATA)
    X(CKO_CERTIFICATE) X(CKO_PUBLIC_KEY) X(CKO_PRIVATE_KEY) X(CKO_SECRET_KEY) X(CKO_HW_FEATURE)
        X(CKO_DOMAIN_PARAMETERS) X(CKO_MECHANISM) X(CKO_OTP_KEY)
  }
  return number(object_class);
}

std::string key_type_name(CK_KEY_TYPE type) {
  switch (type) {
    X(CKK_RSA)
    X(CKK_DSA) X(CKK_DH) X(CKK_EC) X(CKK_X9_42_DH) X(CKK_KEA) X(CKK_GENERIC_SECRET) X(CKK_RC2) X(CKK_RC4)
        X(CKK_DES) X(CKK_DES2) X(CKK_DES3) X(CKK_CAST) X(CKK_CAST3) X(CKK_CAST128) X(CKK_RC5) X(CKK_IDEA)
            X(CKK_SKIPJACK) X(CKK_BATON) X(CKK_JUNIPER) X(CKK_CDMF) X(CKK_AES) X(CKK_BLOWFISH) X(CKK_TWOFISH)
                X(CKK_SECURID) X(CKK_HOTP) X(CKK_ACTI) X(CKK_CAMELLIA) X(CKK_ARIA) X(CKK_MD5_HMAC)
                    X(CKK_SHA_1_HMAC) X(CKK_RIPEMD128_HMAC) X(CKK_RIPEMD160_HMAC) X(CKK_SHA256_HMAC)
                        X(CKK_SHA384_HMAC) X(CKK_SHA512_HMAC) X(CKK_SHA224_HMAC) X(CKK_SEED) X(CKK_GOSTR3410)
                            X(CKK_GOSTR3411) X(CKK_GOST28147) X(CKK_EC_EDWARDS)
  }
  return number(type);
}

#undef X

#define ROW(name, form) \
  { name, #name, Form::form }
namespace {
constexpr AttributeRow kRows[] = {
    ROW(CKA_CLASS, object_class),
    ROW(CKA_TOKEN, flag),
    ROW(CKA_PRIVATE, flag),
    ROW(CKA_LABEL, text),
    ROW(CKA_KEY_TYPE, key_type),
    ROW(CKA_ID, bytes),
    ROW(CKA_SENSITIVE, flag),
    ROW(CKA_EXTRACTABLE, flag),
    ROW(CKA_ALWAYS_SENSITIVE, flag),
    ROW(CKA_NEVER_EXTRACTABLE, flag),
    ROW(CKA_LOCAL, flag),
    ROW(CKA_KEY_GEN_MECHANISM, mechanism),
    ROW(CKA_ENCRYPT, flag),
    ROW(CKA_DECRYPT, flag),
    ROW(CKA_WRAP, flag),
    ROW(CKA_UNWRAP, flag),
    ROW(CKA_SIGN, flag),
    ROW(CKA_SIGN_RECOVER, flag),
    ROW(CKA_VERIFY, flag),
    ROW(CKA_VERIFY_RECOVER, flag),
    ROW(CKA_DERIVE, flag),
    ROW(CKA_MODIFIABLE, flag),
    ROW(CKA_COPYABLE, flag),
    ROW(CKA_DESTROYABLE, flag),
    ROW(CKA_TRUSTED, flag),
    ROW(CKA_WRAP_WITH_TRUSTED, flag),
    ROW(CKA_ALWAYS_AUTHENTICATE, flag),
    ROW(CKA_ALLOWED_MECHANISMS, mechanisms),
    ROW(CKA_CHECK_VALUE, bytes),
    ROW(CKA_VALUE_LEN, number),
    ROW(CKA_START_DATE, date),
    ROW(CKA_END_DATE, date),
    ROW(CKA_SUBJECT, bytes),
    ROW(CKA_EC_PARAMS, bytes),
    ROW(CKA_EC_POINT, bytes),
    ROW(CKA_MODULUS, bytes),
    ROW(CKA_MODULUS_BITS, number),
    ROW(CKA_PUBLIC_EXPONENT, bytes),
    ROW(CKA_PUBLIC_KEY_INFO, bytes),
    {kUniqueId, "CKA_UNIQUE_ID", Form::text},
};
}  // namespace
#undef ROW

std::pair<const AttributeRow*, const AttributeRow*> readable_attributes() {
  return {std::begin(kRows), std::end(kRows)};
}

std::string attribute_name(CK_ATTRIBUTE_TYPE type) {
  for (const AttributeRow& row : kRows)
    if (row.type == type) return std::string(row.name);
  return number(type);
}

}  // namespace kesu::p11
