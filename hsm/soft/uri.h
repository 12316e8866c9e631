// URIs of keystore files.
#pragma once
#include <cstdint>
#include <string>

namespace kesu::soft {

constexpr uint32_t kDefaultIterations = 600'000, kLeastIterations = 210'000, kMostIterations = 100'000'000;

struct Uri {
  std::string path;               // absolute
  std::string passphrase_source;  // as provider/login_secret.h has them
  bool create = false;
  uint32_t iterations = kDefaultIterations;
  uint64_t generation = 0;  // that the file must be of; 0: any. Added by kesu for the probe, never recorded

  // Throws Error bad_input naming what does not fit: a relative path, an attribute that is not known or
  // stands twice, a passphrase in the URI, iterations without create; policy_refused for too few iterations.
  static Uri parse(const std::string& text);
};

}  // namespace kesu::soft
