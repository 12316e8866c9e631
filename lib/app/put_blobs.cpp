#include "app/put_blobs.h"

#include <future>

namespace kesu {

std::vector<std::string> put_blobs(Store& store, const std::vector<ByteView>& contents) {
  std::vector<std::future<std::string>> puts;
  puts.reserve(contents.size());
  // Where no thread is to be had, one after the other.
  for (ByteView content : contents)
    puts.push_back(std::async(std::launch::async | std::launch::deferred,
                              [&store, content] { return store.put_blob(content); }));
  std::vector<std::string> out;
  for (std::future<std::string>& put : puts) out.push_back(put.get());
  return out;
}

}  // namespace kesu
