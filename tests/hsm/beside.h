// The providers that are tried, each with a login whose secret can be read again: a process of ours can log
// in besides.
#pragma once
#include "contract.h"

namespace kesu::test {

inline const std::string kProbe = std::string(KESU_BIN) + "/kesu-probe";

inline std::string pin_file(const std::string& dir) { return "file:" + dir + "/pin"; }
inline std::string on_module(const std::string& dir, const std::string& module) {
  return "pkcs11:token=t1?module-path=" + module + "&pin-source=" + pin_file(dir);
}

inline const ContractProvider kProviders[] = {
    {"SoftHsm2", [](const std::string& dir) { return on_module(dir, kModule); }},
    {"Shim", [](const std::string& dir) { return on_module(dir, KESU_P11_SHIM); }},
    {"Soft",
     [](const std::string& dir) {
       write_file_durable(dir + "/passphrase", as_bytes("correct horse battery staple 4711\n"), 0600);
       std::string uri = "soft:" + dir + "/keystore?passphrase-source=file:" + dir + "/passphrase";
       provider_factory()->open(uri + "&create=yes");
       return uri;
     },
     false, 1000},
};

}  // namespace kesu::test
