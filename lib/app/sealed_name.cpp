#include "app/sealed_name.h"

#include <algorithm>

#include "base/files.h"

namespace kesu {

namespace {
constexpr size_t kLongestName = 255;

std::string_view directory_part(std::string_view name) {
  const size_t slash = name.rfind('/');
  return slash == std::string_view::npos ? std::string_view() : name.substr(0, slash);
}
}  // namespace

bool may_be_file_name(std::string_view name) {
  for (size_t at = 0; at <= name.size();) {
    const size_t slash = std::min(name.find('/', at), name.size());
    if (slash - at > kLongestName) return false;
    at = slash + 1;
  }
  return true;
}

bool too_long_for_ending(std::string_view name) {
  const size_t slash = name.rfind('/');
  const size_t leaf = slash == std::string_view::npos ? name.size() : name.size() - slash - 1;
  return leaf + kSealedEnding.size() > kLongestName;
}

std::string file_name_of(const ObjectId& object) { return hex(object.bytes()).append(kSealedEnding); }

bool lies_under_identifier(const SegmentObject& o) {
  const std::string_view place = o.place;
  const std::string file = file_name_of(o.object);
  if (!place.ends_with(file)) return false;
  const std::string_view before = place.substr(0, place.size() - file.size());
  return before.ends_with('/') || before.ends_with(std::string("/").append(kManifestName));
}

bool shows_no_name(const SegmentObject& o) {
  if (o.place.empty()) return true;
  if (base_name(o.place) != file_name_of(o.object)) return false;
  const std::string_view directory = directory_part(o.name);
  if (!too_long_for_ending(o.name) || directory.empty()) return true;
  return !dir_name(o.place).ends_with(std::string("/").append(directory));
}

}  // namespace kesu
