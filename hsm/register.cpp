// Which scheme goes to which adapter. A new provider is one more row.
#include "hsm/register.h"

#include <algorithm>

#include "base/error.h"
#include "hsm/pkcs11/pkcs11.h"
#include "hsm/pkcs11/test_token.h"
#include "hsm/soft/soft.h"

namespace kesu {

namespace {
struct Row {
  std::string_view scheme;
  std::unique_ptr<ProviderFactory> (*make)();
};
constexpr Row kRows[] = {{"pkcs11:", pkcs11_factory}, {"soft:", soft_factory}};

class RegisteredFactory final : public ProviderFactory {
 public:
  RegisteredFactory() {
    for (const Row& row : kRows) factories_.emplace_back(row.scheme, row.make());
  }
  std::unique_ptr<Provider> open(const std::string& uri) override {
    for (auto& [scheme, factory] : factories_)
      if (uri.starts_with(scheme)) return factory->open(uri);
    std::string known;
    for (const Row& row : kRows) known.append(known.empty() ? "" : ", ").append(row.scheme);
    throw Error(Code::bad_input, "no provider is known for this URI").cause("known schemes: " + known);
  }
  std::optional<Container> container_at(const std::string& uri) override {
    for (auto& [scheme, factory] : factories_)
      if (uri.starts_with(scheme)) return factory->container_at(uri);
    return std::nullopt;
  }
  void record_calls() override {
    for (auto& [scheme, factory] : factories_) factory->record_calls();
  }
  Json calls() const override {
    Json all = Json::array({});
    for (const auto& [scheme, factory] : factories_) {
      const Json calls = factory->calls();
      for (const Json& call : calls.as_array()) all.push(call);
    }
    return all;
  }

 private:
  std::vector<std::pair<std::string_view, std::unique_ptr<ProviderFactory>>> factories_;
};
}  // namespace

std::unique_ptr<ProviderFactory> provider_factory() { return std::make_unique<RegisteredFactory>(); }

std::pair<std::string, ObjectSelector> parse_object_uri(const std::string& uri) {
  if (uri.starts_with("pkcs11:")) return pkcs11_object_uri(uri);
  throw Error(Code::bad_input, "this is no URI of a token's key")
      .next("write it like 'pkcs11:token=LABEL;object=KEY;id=%01%02'");
}

bool object_uri_fits(const std::string& token_part, const ProviderIdentity& identity) {
  return pkcs11_token_fits(token_part, identity);
}

std::vector<std::string> provider_schemes() {
  std::vector<std::string> out;
  for (const Row& row : kRows) out.emplace_back(row.scheme);
  return out;
}

void make_test_token(const std::string& module_path, const std::string& label, const Secret& so_pin,
                     const Secret& pin) {
  make_pkcs11_test_token(module_path, label, so_pin, pin);
}

}  // namespace kesu
