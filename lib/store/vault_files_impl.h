// Evidence blobs and inventory segments: files that are durable before anything names them. Not installed.
#pragma once
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "base/bytes.h"

namespace kesu {

class VaultFiles {
 public:
  explicit VaultFiles(std::string directory) : directory_(std::move(directory)) {}

  void make_directories() const;
  std::string put_blob(ByteView content) const;
  Bytes blob(std::string_view digest) const;
  bool has_blob(std::string_view digest) const;
  std::vector<std::string> blobs() const;

  std::string put_segment(std::string_view dataset, std::string_view batch, ByteView content) const;
  Bytes segment(std::string_view dataset, std::string_view batch) const;
  bool has_segment(std::string_view dataset, std::string_view batch) const;
  std::vector<std::pair<std::string, std::string>> segments() const;

 private:
  std::string blob_path(std::string_view digest) const;
  std::string segment_path(std::string_view dataset, std::string_view batch) const;
  std::string directory_;
};

}  // namespace kesu
