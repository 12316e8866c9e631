// Attributes of keys in a keystore file, and the log of calls.
#include "hsm/soft/provider.h"

namespace kesu::soft {

void CallLog::add(const char* call, std::string answer, std::chrono::steady_clock::duration took) {
  std::lock_guard lock(mutex_);
  if (!rows_.empty() && rows_.back().call == call && rows_.back().answer == answer) {
    ++rows_.back().times;
    rows_.back().took += took;
  } else if (rows_.size() < kMaxRows) {
    rows_.push_back({call, std::move(answer), 1, took});
  } else {
    ++rows_.back().times;
  }
}

Json CallLog::to_json() const {
  Json out = Json::array({});
  std::lock_guard lock(mutex_);
  for (const Row& row : rows_) {
    const int64_t ms = std::chrono::duration_cast<std::chrono::milliseconds>(row.took).count();
    out.push(Json::object({{"call", row.call}, {"ms", ms}, {"rv", row.answer}, {"times", row.times}}));
  }
  return out;
}

Json attributes(const Entry& entry) {
  const bool signs = entry.kind != Kind::aes256;
  Json out = Json::object({{"CKA_CLASS", signs ? "CKO_PRIVATE_KEY" : "CKO_SECRET_KEY"},
                           {"CKA_KEY_TYPE", entry.kind == Kind::aes256    ? "CKK_AES"
                                            : entry.kind == Kind::ed25519 ? "CKK_EC_EDWARDS"
                                                                          : "CKK_EC"},
                           {"CKA_LABEL", entry.label},
                           {"CKA_ID", hex(entry.id)},
                           {"CKA_TOKEN", true},
                           {"CKA_PRIVATE", true},
                           {"CKA_LOCAL", !entry.imported},
                           {"CKA_SENSITIVE", false},
                           {"CKA_ALWAYS_SENSITIVE", false},
                           {"CKA_EXTRACTABLE", true},
                           {"CKA_NEVER_EXTRACTABLE", false},
                           {"CKA_MODIFIABLE", false},
                           {"CKA_COPYABLE", false},
                           {"CKA_SIGN", signs},
                           {"CKA_ENCRYPT", !signs},
                           {"CKA_DECRYPT", !signs},
                           {"KESU_MADE", entry.made}});
  if (!signs) out.set("CKA_VALUE_LEN", int64_t{32}).set("CKA_CHECK_VALUE", hex(entry.check_value));
  if (signs) out.set("CKA_PUBLIC_KEY_INFO", hex(entry.public_key));
  return out;
}

}  // namespace kesu::soft
