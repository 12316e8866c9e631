// The provider over one connection: provider.cpp uses, looks and destroys, provider_births.cpp brings keys
// in.
#pragma once
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "hsm/pkcs11/birth_impl.h"
#include "hsm/pkcs11/connection_impl.h"
#include "provider/provider.h"

namespace kesu::p11 {

class Pkcs11Provider final : public Provider {
 public:
  explicit Pkcs11Provider(std::unique_ptr<Connection> connection) : connection_(std::move(connection)) {}

  std::unique_ptr<Provider> another() override;
  bool scales() const override { return connection_->module().scales(); }
  ProviderIdentity identity() override;
  Capabilities capabilities() override;
  Birth generate(const VersionRef& version, KeyPurpose purpose) override;
  std::optional<Birth> recover(const VersionRef& version, KeyPurpose purpose) override;
  Birth import_key(const VersionRef& version, const Secret& key) override;
  Birth adopt(const VersionRef& version, const ObjectSelector& what) override;
  Json describe(const KeyRef& ref) override;
  WrappedKey wrap(const KeyRef& ref, const Secret& key, ByteView aad) override;
  Secret unwrap(const KeyRef& ref, const WrappedKey& wrapped, ByteView aad) override;
  Bytes sign(const KeyRef& ref, ByteView data) override;
  Enumeration enumerate() override;
  std::vector<Trial> try_keys(const WrappedKey& wrapped, ByteView aad, const KeyRef* only) override;
  std::optional<TokenSessions> token_sessions() override;
  Receipt destroy_object(const KeyRef& ref) override;

 private:
  // Makes a call that has no lasting effect; once more on a new login where the first try lost its own, or
  // where another provider of this process logged in meanwhile, so that a handle may have named another key.
  template <class F>
  auto repeatable(F&& call) -> decltype(call());
  void forget() { checked_.clear(); }
  void follow_logins();

  Session& session() { return connection_->session(); }
  CallLog* log() { return connection_->log(); }
  std::string token_name() const { return "token " + padded_text(connection_->token().label); }

  Capabilities ask_capabilities();
  ObjectSeen seen(CK_OBJECT_HANDLE object);
  void demand_login(const std::string& doing);
  CK_OBJECT_HANDLE locate(const KeyRef& ref);
  CK_OBJECT_HANDLE public_half(const Bytes& id, const std::string& label);
  CK_OBJECT_HANDLE usable(const KeyRef& ref);
  void open_canary(const KeyRef& ref, CK_OBJECT_HANDLE key);
  void check_signature(const KeyRef& ref, CK_OBJECT_HANDLE key);
  WrappedKey wrap_once(const KeyRef& ref, const Secret& key, ByteView aad);
  Secret unwrap_once(const KeyRef& ref, const WrappedKey& wrapped, ByteView aad);
  Enumeration enumerate_once();
  void demand_unnamed(const VersionRef& version);
  Birth birth_of(const NewKey& made, const VersionRef& version, KeyPurpose purpose,
                 std::vector<std::string> left_out);
  std::optional<Birth> recover_once(const VersionRef& version, KeyPurpose purpose);
  Birth adopt_once(const VersionRef& version, const ObjectSelector& what);

  // Twelve bytes that no wrap of this provider had before; drawn in blocks.
  Bytes next_nonce();

  std::unique_ptr<Connection> connection_;
  // Keys that opened their canary, or signed, in this session; by label, id and what they were checked
  // against.
  std::map<std::string, CK_OBJECT_HANDLE> checked_;
  Bytes nonces_;  // not used yet
};

template <class F>
auto Pkcs11Provider::repeatable(F&& call) -> decltype(call()) {
  constexpr int kRounds = 8;
  bool reconnected = false;
  for (int round = 0; round < kRounds; ++round) {
    if (connection_->moved()) follow_logins();
    try {
      auto out = call();
      if (!connection_->moved()) return out;
    } catch (const Error& error) {
      forget();
      if (connection_->moved()) continue;  // whatever it says: it may have been said of another key
      if (!Connection::lost(error)) throw;
      if (reconnected) {
        connection_->failed_again();
        throw;
      }
      connection_->reconnect(error);
      reconnected = true;
    }
  }
  throw Error(Code::session_lost, "other logins at " + token_name() + " go on replacing this one")
      .tried("the same call " + std::to_string(kRounds) + " times")
      .next("run the command again");
}

}  // namespace kesu::p11
