// A SoftHSM2 token of a test's own, and the module's bare functions for what kesu itself never does.
#pragma once
#include <dlfcn.h>
#include <gtest/gtest.h>
#include <p11-kit/pkcs11.h>
#include <unistd.h>

#include <algorithm>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <string>
#include <vector>

#include "base/clock.h"
#include "base/error.h"
#include "base/files.h"
#include "hsm/register.h"

namespace kesu::test {

constexpr const char* kModule = "/usr/lib/softhsm/libsofthsm2.so";
constexpr const char* kPin = "correct-pin-4711";

inline int run(const std::string& command) {
  int status = std::system((command + " >/dev/null 2>&1").c_str());
  return WIFEXITED(status) ? WEXITSTATUS(status) : -1;
}

class SoftHsm : public testing::Test {
 protected:
  void SetUp() override {
    // In memory where that is possible: the token writes a file for each key.
    std::string pattern =
        (access("/dev/shm", W_OK) == 0 ? "/dev/shm/" : testing::TempDir()) + "kesu-hsm-XXXXXX";
    ASSERT_NE(mkdtemp(pattern.data()), nullptr);
    dir_ = pattern;
    std::filesystem::create_directories(dir_ + "/tokens");
    std::ofstream(dir_ + "/softhsm2.conf") << "directories.tokendir = " << dir_ << "/tokens\n"
                                           << "objectstore.backend = file\nlog.level = ERROR\n";
    setenv("SOFTHSM2_CONF", (dir_ + "/softhsm2.conf").c_str(), 1);
    add_token("t1");
    write_pin(kPin);
  }
  void TearDown() override { std::filesystem::remove_all(dir_); }

  void add_token(const std::string& label) {
    ASSERT_EQ(run("softhsm2-util --init-token --free --label " + label + " --so-pin 12345678 --pin " + kPin),
              0);
  }
  void write_pin(const std::string& pin, unsigned mode = 0600) {
    write_file_durable(pin_path(), as_bytes(pin + "\n"), mode);
  }
  std::string pin_path() const { return dir_ + "/pin"; }
  std::string uri(const std::string& token = "t1") const {
    return "pkcs11:token=" + token + "?module-path=" + kModule + "&pin-source=file:" + pin_path();
  }
  std::unique_ptr<Provider> open() { return provider_factory()->open(uri()); }
  // The command line of another program that does something to the token.
  std::string tool(const std::string& what) const {
    return "pkcs11-tool --module " + std::string(kModule) + " --token-label t1 --login --pin " + kPin + " " +
           what;
  }

  static VersionRef version(uint8_t mark, uint32_t number = 1) {
    std::array<uint8_t, 16> bytes{};
    bytes.fill(mark);
    return {KeyId(bytes), number};
  }
  static Secret secret(std::string_view text) { return Secret::from(as_bytes(text)); }

  std::string dir_;
};

template <class F>
Error error_of(F&& action) {
  try {
    action();
  } catch (const Error& error) {
    return error;
  }
  ADD_FAILURE() << "no error was raised";
  return Error(Code::failed, "no error was raised");
}
template <class F>
std::string code_of(F&& action) {
  return std::string(code_text(error_of(std::forward<F>(action)).code()));
}

// The module of this process, which a Provider has initialised and logged in, used past kesu.
class Raw {
 public:
  Raw() {
    void* library = dlopen(kModule, RTLD_NOW | RTLD_LOCAL);
    auto get = reinterpret_cast<CK_RV (*)(CK_FUNCTION_LIST**)>(dlsym(library, "C_GetFunctionList"));
    EXPECT_EQ(get(&f), CKR_OK);
    CK_SLOT_ID slots[16];
    CK_ULONG count = 16;
    EXPECT_EQ(f->C_GetSlotList(CK_TRUE, slots, &count), CKR_OK);
    for (CK_ULONG i = 0; i < count; ++i) {
      CK_TOKEN_INFO info;
      if (f->C_GetTokenInfo(slots[i], &info) == CKR_OK && (info.flags & CKF_TOKEN_INITIALIZED) != 0)
        slot = slots[i];
    }
    EXPECT_EQ(f->C_OpenSession(slot, CKF_SERIAL_SESSION | CKF_RW_SESSION, nullptr, nullptr, &session),
              CKR_OK);
  }
  ~Raw() { f->C_CloseSession(session); }
  Raw(const Raw&) = delete;
  Raw& operator=(const Raw&) = delete;

  std::vector<CK_OBJECT_HANDLE> find(CK_OBJECT_CLASS object_class, const std::string& label) {
    CK_ATTRIBUTE what[] = {{CKA_CLASS, &object_class, sizeof object_class},
                           {CKA_LABEL, const_cast<char*>(label.data()), label.size()}};
    EXPECT_EQ(f->C_FindObjectsInit(session, what, 2), CKR_OK);
    CK_OBJECT_HANDLE found[16];
    CK_ULONG count = 0;
    EXPECT_EQ(f->C_FindObjects(session, found, 16, &count), CKR_OK);
    f->C_FindObjectsFinal(session);
    return {found, found + count};
  }
  void destroy(CK_OBJECT_CLASS object_class, const std::string& label) {
    for (CK_OBJECT_HANDLE object : find(object_class, label))
      EXPECT_EQ(f->C_DestroyObject(session, object), CKR_OK);
  }
  // A fresh AES key with kesu's flags except that it may be changed and copied afterwards.
  CK_OBJECT_HANDLE make_aes(const std::string& label, Bytes id, bool decrypt = true) {
    CK_BBOOL yes = CK_TRUE, no = CK_FALSE, dec = decrypt ? CK_TRUE : CK_FALSE;
    CK_ULONG size = 32;
    CK_ATTRIBUTE what[] = {{CKA_TOKEN, &yes, 1},
                           {CKA_PRIVATE, &yes, 1},
                           {CKA_SENSITIVE, &yes, 1},
                           {CKA_EXTRACTABLE, &no, 1},
                           {CKA_MODIFIABLE, &yes, 1},
                           {CKA_COPYABLE, &yes, 1},
                           {CKA_ENCRYPT, &yes, 1},
                           {CKA_DECRYPT, &dec, 1},
                           {CKA_VALUE_LEN, &size, sizeof size},
                           {CKA_LABEL, const_cast<char*>(label.data()), label.size()},
                           {CKA_ID, id.data(), id.size()}};
    CK_MECHANISM how{CKM_AES_KEY_GEN, nullptr, 0};
    CK_OBJECT_HANDLE key = CK_INVALID_HANDLE;
    EXPECT_EQ(f->C_GenerateKey(session, &how, what, std::size(what), &key), CKR_OK);
    return key;
  }

  // An AES key of known bytes that may do nothing but what is said, by these mechanisms (none: by any).
  CK_OBJECT_HANDLE bring_aes(const std::string& label, Bytes id, Bytes value,
                             std::initializer_list<CK_ATTRIBUTE_TYPE> may,
                             std::vector<CK_MECHANISM_TYPE> mechanisms = {}) {
    CK_BBOOL yes = CK_TRUE, no = CK_FALSE;
    CK_OBJECT_CLASS secret = CKO_SECRET_KEY;
    CK_KEY_TYPE aes = CKK_AES;
    std::vector<CK_ATTRIBUTE> what = {{CKA_CLASS, &secret, sizeof secret},
                                      {CKA_KEY_TYPE, &aes, sizeof aes},
                                      {CKA_TOKEN, &yes, 1},
                                      {CKA_PRIVATE, &yes, 1},
                                      {CKA_SENSITIVE, &yes, 1},
                                      {CKA_EXTRACTABLE, &no, 1},
                                      {CKA_VALUE, value.data(), value.size()},
                                      {CKA_LABEL, const_cast<char*>(label.data()), label.size()},
                                      {CKA_ID, id.data(), id.size()}};
    for (CK_ATTRIBUTE_TYPE use : {CKA_ENCRYPT, CKA_DECRYPT, CKA_WRAP, CKA_UNWRAP, CKA_DERIVE, CKA_SIGN})
      what.push_back({use, std::find(may.begin(), may.end(), use) != may.end() ? &yes : &no, 1});
    if (!mechanisms.empty())
      what.push_back(
          {CKA_ALLOWED_MECHANISMS, mechanisms.data(), mechanisms.size() * sizeof(CK_MECHANISM_TYPE)});
    CK_OBJECT_HANDLE key = CK_INVALID_HANDLE;
    EXPECT_EQ(f->C_CreateObject(session, what.data(), what.size(), &key), CKR_OK);
    return key;
  }

  CK_FUNCTION_LIST* f = nullptr;
  CK_SLOT_ID slot = 0;
  CK_SESSION_HANDLE session = 0;
};

}  // namespace kesu::test
