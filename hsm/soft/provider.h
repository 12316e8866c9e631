// What the provider and the factory of keystore files share.
#pragma once
#include <chrono>
#include <functional>
#include <memory>
#include <mutex>
#include <string>
#include <vector>

#include "base/json.h"
#include "hsm/soft/keystore.h"
#include "provider/provider.h"

namespace kesu::soft {

// Which calls were made and what they answered, without arguments: for the probe's transcript. Providers of
// several threads may share one.
class CallLog {
 public:
  void add(const char* call, std::string answer, std::chrono::steady_clock::duration took);
  Json to_json() const;

 private:
  struct Row {
    std::string call, answer;
    int64_t times;
    std::chrono::steady_clock::duration took;
  };
  static constexpr size_t kMaxRows = 4096;
  mutable std::mutex mutex_;
  std::vector<Row> rows_;
};

// `log` may be null. `rekeyed` is told the source and the key of a new passphrase.
using Rekeyed = std::function<void(const std::string& source, const Header& header, Secret kek)>;
std::unique_ptr<Provider> make_provider(std::unique_ptr<Keystore> keystore, std::shared_ptr<CallLog> log,
                                        Rekeyed rekeyed);

// Every attribute that a key shows, by its PKCS #11 name. Honest: software holds the bytes, so nothing says
// that they are sensitive, or never came out.
Json attributes(const Entry& entry);

}  // namespace kesu::soft
