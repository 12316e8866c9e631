// The Cryptoki header (PKCS #11 2.40 as p11-kit ships it), what it lacks of version 3, and names of its
// constants.
#pragma once
#include <p11-kit/pkcs11.h>

#include <string>
#include <string_view>
#include <utility>

namespace kesu::p11 {

constexpr CK_ATTRIBUTE_TYPE kUniqueId = 0x4UL;     // CKA_UNIQUE_ID, version 3
constexpr CK_RV kAeadDecryptFailed = 0x42UL;       // CKR_AEAD_DECRYPT_FAILED, version 3
constexpr CK_RV kOperationCancelFailed = 0x202UL;  // CKR_OPERATION_CANCEL_FAILED, version 3
constexpr CK_ULONG kUnavailable = ~static_cast<CK_ULONG>(0);

// CK_GCM_PARAMS of early headers, without the length of the IV in bits.
struct ShortGcmParams {
  CK_BYTE* iv;
  CK_ULONG iv_size;
  CK_BYTE* aad;
  CK_ULONG aad_size;
  CK_ULONG tag_bits;
};

// "CKR_OK", "CKA_LABEL", …; hexadecimal ("0x80000001") for what has no name here.
std::string rv_name(CK_RV rv);
std::string attribute_name(CK_ATTRIBUTE_TYPE type);
std::string mechanism_name(CK_MECHANISM_TYPE mechanism);
std::string class_name(CK_OBJECT_CLASS object_class);
std::string key_type_name(CK_KEY_TYPE type);

// How the value of an attribute is to be read.
enum class Form { flag, number, object_class, key_type, mechanism, mechanisms, text, date, bytes };
struct AttributeRow {
  CK_ATTRIBUTE_TYPE type;
  std::string_view name;
  Form form;
};
// Every attribute of keys that may be read: none of them holds key material.
std::pair<const AttributeRow*, const AttributeRow*> readable_attributes();

}  // namespace kesu::p11
