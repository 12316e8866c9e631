// Where random bytes come from; replaceable, so that tests and vectors can be exact.
#pragma once
#include "base/bytes.h"
#include "base/ids.h"
#include "base/secret.h"

namespace kesu {

class Random {
 public:
  virtual ~Random() = default;
  // Fills `out`; throws Error failed when the generator cannot give.
  virtual void fill(std::span<uint8_t> out) = 0;

  template <class T>
  T id() {
    std::array<uint8_t, 16> b;
    fill(b);
    return T(b);
  }
  Bytes bytes(size_t count) {
    Bytes b(count);
    fill(b);
    return b;
  }
  Secret secret(size_t count) {
    Secret s(count);
    fill(s.reveal());
    return s;
  }
};

}  // namespace kesu
