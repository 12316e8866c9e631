#include "app/version.h"

#include "app/vault.h"
#include "base/libraries.h"
#include "crypto/libraries.h"
#include "policy/policy.h"

namespace kesu {

Json program_facts() {
  const size_t space = kProgram.find(' ');
  // One number for each page of docs/spec that fixes bytes.
  Json formats = Json::object({{"ledger", kLedgerVersion},
                               {"sealed_object", 1},
                               {"inventory", 1},
                               {"probe", 1},
                               {"statement", 1},
                               {"plan", 1},
                               {"certificate", 1},
                               {"vault", 1}});
  Json libraries = Json::object({{"openssl", openssl_library()},
                                 {"sqlite", sqlite_library()},
                                 {"libsodium", sodium_library()},
                                 {"libgcrypt", gcrypt_library()}});
  if (const std::string wide = wide_library(); !wide.empty()) libraries.set("libipsec-mb", wide);
  return Json::object({{"program", kProgram.substr(0, space)},
                       {"version", kProgram.substr(space + 1)},
                       {"formats", formats},
                       {"policy_edition", policy::policy_edition()},
                       {"libraries", std::move(libraries)},
                       {"compiler", "g++ " __VERSION__}});
}

}  // namespace kesu
