// Providers at which a process of ours can log in besides: the secret of the login can be read again.
#pragma once
#include "contract.h"

namespace kesu::test {

inline const std::string kProbe = std::string(KESU_BIN) + "/kesu-probe";

inline const ContractProvider kPlaces[] = {
    {"SoftHsm2",
     [](const std::string& dir) {
       return "pkcs11:token=t1?module-path=" + std::string(kModule) + "&pin-source=file:" + dir + "/pin";
     }},
    {"Shim",
     [](const std::string& dir) {
       return "pkcs11:token=t1?module-path=" + std::string(KESU_P11_SHIM) + "&pin-source=file:" + dir +
              "/pin";
     }},
    {"Soft",
     [](const std::string& dir) {
       write_file_durable(dir + "/passphrase", as_bytes("correct horse battery staple 4711\n"), 0600);
       std::string uri = "soft:" + dir + "/keystore?passphrase-source=file:" + dir + "/passphrase";
       provider_factory()->open(uri + "&create=yes");
       return uri;
     }},
};

}  // namespace kesu::test
