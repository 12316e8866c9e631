// From a URI to a provider: module, token, one attempt to log in.
#include <mutex>
#include <set>

#include "hsm/pkcs11/pkcs11.h"
#include "hsm/pkcs11/provider_impl.h"

namespace kesu::p11 {

namespace {
class Pkcs11Factory final : public ProviderFactory {
 public:
  std::unique_ptr<Provider> open(const std::string& text) override {
    Uri uri = Uri::parse(text);
    std::shared_ptr<Module> module = Module::get(uri.module_path, log_.get());
    TokenFound token = find_token(*module, uri, log_.get());
    auto session = std::make_unique<Session>(module, token.slot, log_.get());
    login(*session, uri, token.info, text);
    return make_provider(log_, std::move(session), token.info);
  }
  void record_calls() override { log_ = std::make_shared<CallLog>(); }
  Json calls() const override { return log_ ? log_->to_json() : Json::array({}); }

 private:
  // A PIN that a token refused is not tried again by this process unless its source has changed: many workers
  // with one wrong PIN must not lock the token.
  static void login(Session& session, const Uri& uri, const CK_TOKEN_INFO& token, const std::string& text) {
    static auto* refused = new std::set<std::string>;
    static auto* mutex = new std::mutex;
    std::lock_guard lock(*mutex);
    std::string stamp = padded_text(token.serialNumber) + " " + text + " " + pin_source_stamp(uri.pin_source);
    if (refused->contains(stamp))
      throw Error(Code::pin_wrong, "token " + padded_text(token.label) + " refused this PIN before")
          .tried("nothing: a wrong PIN is tried once and not again, for the token may lock")
          .next("correct the PIN source, then run the command again");
    Secret pin = read_pin(uri.pin_source);
    try {
      session.login(pin, token);
    } catch (const Error& error) {
      if (error.code() == Code::pin_wrong) refused->insert(stamp);
      throw;
    }
  }

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
