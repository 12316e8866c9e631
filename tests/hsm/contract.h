// What every provider is held to, whatever it is: a table of providers, each with a place of its own for
// every test. A new provider is one more row of kProviders (beside.h).
#pragma once
#include <fstream>
#include <functional>

#include "softhsm_fixture.h"

namespace kesu::test {

struct ContractProvider {
  std::string name;
  // The URI of an empty place below a directory, made now. The SoftHSM2 fixture has set one up there.
  std::function<std::string(const std::string& directory)> make;
  bool sensitive = true;  // it says of its keys that their bytes stay inside; software cannot
  uint32_t many = 100;    // keys that it makes in a test's time: SoftHSM2 reads every file for each new one
};
inline void PrintTo(const ContractProvider& p, std::ostream* out) { *out << p.name; }

class Contract : public SoftHsm, public testing::WithParamInterface<ContractProvider> {
 protected:
  void SetUp() override {
    SoftHsm::SetUp();
    uri_ = GetParam().make(dir_);
  }
  std::unique_ptr<Provider> open() {
    auto factory = provider_factory();
    return factory->open(uri_);
  }
  // What capabilities deny is refused with mechanism_absent, and that is the end of it.
  template <class F>
  bool able(bool can, F&& action) {
    if (can) return true;
    EXPECT_EQ(code_of(std::forward<F>(action)), "mechanism-absent");
    return false;
  }
  static ObjectSeen seen_of(const KeyRef& ref, const Enumeration& all) {
    for (const ObjectSeen& object : all.objects)
      if (object.label == ref.label && object.id == ref.id && object.object_class != "CKO_PUBLIC_KEY")
        return object;
    return {};
  }
  std::string uri_;
};

}  // namespace kesu::test
