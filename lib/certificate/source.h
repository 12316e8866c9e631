// What the issuer reads of a vault: implemented by the application over its store.
#pragma once
#include <cstdint>
#include <string>
#include <string_view>

#include "base/bytes.h"

namespace kesu {

class LedgerSource {
 public:
  struct OpenedBody {
    Bytes salt;
    std::string canonical;
  };
  virtual ~LedgerSource() = default;
  virtual uint64_t size() = 0;                   // entries
  virtual std::string header(uint64_t seq) = 0;  // canonical
  virtual Digest32 body_hash(uint64_t seq) = 0;
  virtual OpenedBody body(uint64_t seq) = 0;
  virtual Bytes blob(std::string_view digest) = 0;  // evidence by hex SHA-256; throws not_found
  virtual Bytes segment(std::string_view dataset,
                        std::string_view batch) = 0;  // inventory segment; throws not_found
};

}  // namespace kesu
