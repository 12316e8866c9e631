#include "base/ids.h"

#include <charconv>

namespace kesu {

std::optional<VersionRef> VersionRef::parse(std::string_view text) {
  size_t dot = text.find('.');
  if (dot == std::string_view::npos) return std::nullopt;
  auto key = KeyId::parse(text.substr(0, dot));
  std::string_view digits = text.substr(dot + 1);
  if (!key || digits.empty() || digits[0] == '0') return std::nullopt;
  uint32_t n = 0;
  auto [end, ec] = std::from_chars(digits.data(), digits.data() + digits.size(), n);
  if (ec != std::errc() || end != digits.data() + digits.size()) return std::nullopt;
  return VersionRef{*key, n};
}

}  // namespace kesu
