// A wrapping key in shares, any `threshold` of which give it back: the share file's bytes, splitting, putting
// together (docs/spec/key-shares.md). Pure: no files.
#pragma once
#include <array>
#include <cstdint>
#include <string>
#include <vector>

#include "base/ids.h"
#include "base/random.h"
#include "base/secret.h"

namespace kesu {

// What all shares of a set have in common.
struct ShareHead {
  VaultId vault;
  VersionRef version;
  std::array<uint8_t, 16> set{};
  int threshold = 0, shares = 0;  // 2 ≤ threshold ≤ shares ≤ 255
  bool operator==(const ShareHead&) const = default;
};

struct KeyShare {
  ShareHead head;
  int index = 0;  // 1 to head.shares
  Secret value;   // 64 bytes: of the key and of its check value
};

// `head.shares` shares of `key`, coefficients from `random`. Throws Error bad_input for a key that has not 32
// bytes, and for numbers out of range.
std::vector<KeyShare> split_key(const Secret& key, const ShareHead& head, Random& random);

// The file of one share, byte for byte.
Secret share_file(const KeyShare& share);
// The inverse, strict. Throws Error bad_input; `name` is what the error calls it, and nothing of the share's
// value stands in it.
KeyShare parse_share(const Secret& file, const std::string& name);

// The key. Throws Error bad_input: shares of different sets, one twice, fewer than the threshold, a check
// value that does not fit, or, where there are more than needed, one that is not on the others' polynomial.
Secret combine_key(const std::vector<KeyShare>& shares);

}  // namespace kesu
