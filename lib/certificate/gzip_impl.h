// gzip() of a text that comes in pieces. For lib/certificate itself.
#pragma once
#include <memory>
#include <string_view>

#include "base/bytes.h"

namespace kesu {

// What gzip() makes of all pieces together; what is too large for a bundle's file is left so.
class GzipWriter {
 public:
  explicit GzipWriter(bool kept = true);
  GzipWriter(const GzipWriter&) = delete;
  GzipWriter& operator=(const GzipWriter&) = delete;
  ~GzipWriter();
  void add(std::string_view text);
  Bytes finish();  // once

 private:
  void deflate_all(std::string_view text, bool last);
  struct Stream;
  std::unique_ptr<Stream> stream_;
  Bytes out_;
};

}  // namespace kesu
