// Evidence blobs, several at once.
#pragma once
#include <string>
#include <vector>

#include "base/bytes.h"
#include "store/store.h"

namespace kesu {

// Store::put_blob of each, at the same time: one after the other each waits twice for the device. All are
// durable on return. Returns the digests in the same order. Throws the first Error, after all have ended.
std::vector<std::string> put_blobs(Store& store, const std::vector<ByteView>& contents);

}  // namespace kesu
