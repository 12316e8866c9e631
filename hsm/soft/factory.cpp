// From a URI to an open keystore: the file, its passphrase once, the derived key.
#include <map>

#include "base/error.h"
#include "crypto/random.h"
#include "hsm/soft/provider.h"
#include "hsm/soft/soft.h"
#include "hsm/soft/uri.h"
#include "provider/login_secret.h"

namespace kesu::soft {

namespace {
// Keys derived from passphrases, by keystore, salt and source: a person is not asked, a descriptor not read a
// second time in one process, and PBKDF2 does not go round again. A changed file counts as another source; a
// variable is read anew each time.
class Derived {
 public:
  const Secret* find(const Header& header, const std::string& source) const {
    auto it = all_.find(name(header, source));
    return it == all_.end() ? nullptr : &it->second;
  }
  void keep(const Header& header, const std::string& source, Secret kek) {
    if (!source.starts_with("env:")) all_.insert_or_assign(name(header, source), std::move(kek));
  }

 private:
  static std::string name(const Header& header, const std::string& source) {
    return hex(header.id) + hex(header.salt) + " " + login_source_stamp(source);
  }
  std::map<std::string, Secret> all_;
};

class SoftFactory final : public ProviderFactory {
 public:
  std::unique_ptr<Provider> open(const std::string& text) override {
    const Uri uri = Uri::parse(text);
    auto header = Keystore::look(uri.path);
    const std::string of = "keystore " + uri.path;
    if (!header && !uri.create)
      throw Error(Code::token_absent, "there is no keystore " + uri.path)
          .tried("opening it")
          .cause("nothing is known about its keys from this")
          .next("put the file back, or correct the path in the provider's URI");
    if (header && uri.generation != 0 && header->generation != uri.generation)
      throw Error(Code::container_old, "another generation of the keystore stands at " + uri.path)
          .tried("looking at its header")
          .cause("generation " + std::to_string(header->generation) + ", the ledger knows " +
                 std::to_string(uri.generation))
          .next("put the right file back; nothing is known about its keys from this");
    if (!header) {
      const Secret passphrase = read_new_login_secret(uri.passphrase_source, "passphrase", of);
      Keystore::create(uri.path, passphrase, uri.iterations, system_random());
      header = Keystore::look(uri.path);
      if (!header) throw Error(Code::io_failed, "the keystore " + uri.path + " vanished as it was made");
      derived_->keep(*header, uri.passphrase_source, derive(passphrase, *header));
    }
    const Secret* known = derived_->find(*header, uri.passphrase_source);
    Secret kek = known ? Secret::from(known->reveal())
                       : derive(read_login_secret(uri.passphrase_source, "passphrase", of), *header);
    auto keystore = std::make_unique<Keystore>(uri.path, Secret::from(kek.reveal()), system_random());
    // Only what opened is kept, and only if the file was not re-keyed in between.
    if (!known && keystore->header().salt == header->salt)
      derived_->keep(*header, uri.passphrase_source, std::move(kek));
    auto derived = derived_;
    return make_provider(std::move(keystore), log_,
                         [derived](const std::string& source, const Header& now, Secret fresh) {
                           derived->keep(now, source, std::move(fresh));
                         });
  }
  std::optional<Container> container_at(const std::string& text) override {
    const Uri uri = Uri::parse(text);
    auto header = Keystore::look(uri.path);
    if (!header) return std::nullopt;
    return Container{static_cast<int64_t>(header->generation), uri.path, hex(header->id)};
  }
  void record_calls() override { log_ = std::make_shared<CallLog>(); }
  Json calls() const override { return log_ ? log_->to_json() : Json::array({}); }

 private:
  std::shared_ptr<CallLog> log_;
  std::shared_ptr<Derived> derived_ = std::make_shared<Derived>();
};
}  // namespace

}  // namespace kesu::soft

namespace kesu {
std::unique_ptr<ProviderFactory> soft_factory() { return std::make_unique<soft::SoftFactory>(); }
}  // namespace kesu
