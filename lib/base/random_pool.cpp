// Random bytes in blocks.
#include "base/random_pool.h"

#include <cstring>

#include "base/error.h"

namespace kesu {

namespace {
constexpr size_t kBlock = 2048, kMost = 128;  // bytes of a block, and of a draw that is taken from it
}

void RandomPool::fill(std::span<uint8_t> out) {
  if (block_.empty() && !none_) {
    try {
      block_ = Secret(kBlock);
    } catch (const Error&) {  // what may be locked is little: it is left for keys
      none_ = true;
    }
  }
  if (none_ || out.size() > kMost) return source_.fill(out);
  if (left_ < out.size()) {
    left_ = 0;  // half a block is no block, should the source fail
    source_.fill(block_.reveal());
    left_ = kBlock;
  }
  left_ -= out.size();  // before they are used: nothing brings them back
  const std::span<uint8_t> given = block_.reveal().subspan(left_, out.size());
  if (!out.empty()) std::memcpy(out.data(), given.data(), out.size());
  wipe(given);
}

}  // namespace kesu
