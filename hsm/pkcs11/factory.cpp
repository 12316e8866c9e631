// From a URI to a provider: module, token, one attempt to log in.
#include "hsm/pkcs11/pkcs11.h"
#include "hsm/pkcs11/provider_impl.h"

namespace kesu::p11 {

namespace {
class Pkcs11Factory final : public ProviderFactory {
 public:
  std::unique_ptr<Provider> open(const std::string& text) override {
    return std::make_unique<Pkcs11Provider>(std::make_unique<Connection>(Uri::parse(text), log_));
  }
  void record_calls() override { log_ = std::make_shared<CallLog>(); }
  Json calls() const override { return log_ ? log_->to_json() : Json::array({}); }

 private:
  std::shared_ptr<CallLog> log_;
};
}  // namespace

}  // namespace kesu::p11

namespace kesu {
std::unique_ptr<ProviderFactory> pkcs11_factory() { return std::make_unique<p11::Pkcs11Factory>(); }

std::pair<std::string, ObjectSelector> pkcs11_object_uri(const std::string& uri) {
  auto [token, what] = p11::parse_object_uri(uri);
  std::string part = p11::token_part(token);
  return {part, what};
}

bool pkcs11_token_fits(const std::string& token_part, const ProviderIdentity& identity) {
  p11::Uri wanted = p11::parse_token_part(token_part);
  auto fits = [](const std::string& name, const std::string& there) { return name.empty() || name == there; };
  return identity.kind == "pkcs11" && fits(wanted.token, identity.label) &&
         fits(wanted.serial, identity.serial) && fits(wanted.manufacturer, identity.manufacturer) &&
         fits(wanted.model, identity.model);
}
}  // namespace kesu
