// A SoftHSM2 token behind the shim, with a script that each test writes (SHIM.md).
#pragma once
#include "softhsm_fixture.h"

namespace kesu::test {

class ShimToken : public SoftHsm {
 protected:
  void SetUp() override {
    SoftHsm::SetUp();
    setenv("KESU_SHIM_SCRIPT", (dir_ + "/script").c_str(), 1);
    script("");
  }
  void TearDown() override {
    unsetenv("KESU_SHIM_SCRIPT");
    SoftHsm::TearDown();
  }
  // From the next call on; counts begin at 1 again.
  void script(const std::string& text) {
    std::ofstream(dir_ + "/script.new") << text << "\n# " << ++scripts_ << "\n";
    std::filesystem::rename(dir_ + "/script.new", dir_ + "/script");
  }
  std::string shim_uri(const std::string& token = "t1") const {
    return "pkcs11:token=" + token + "?module-path=" + KESU_P11_SHIM + "&pin-source=file:" + pin_path();
  }
  std::unique_ptr<Provider> open_shim() { return provider_factory()->open(shim_uri()); }

  static int64_t times(const ProviderFactory& factory, std::string_view name) {
    int64_t count = 0;
    const Json calls = factory.calls();
    for (const Json& call : calls.as_array())
      if (call.str("call") == name) count += call.num("times");
    return count;
  }

 private:
  int scripts_ = 0;
};

}  // namespace kesu::test
