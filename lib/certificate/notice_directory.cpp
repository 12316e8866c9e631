#include "certificate/notice_directory.h"

#include "base/files.h"
#include "certificate/bundle_impl.h"

namespace kesu {

void write_notice_directory(const std::string& path, const BundleFiles& files) {
  const std::string target = bundle_place::new_target(path);
  make_directories(dir_name(target));
  const std::string part = bundle_place::part_of(target);
  try {
    make_directories(part);
    for (auto& [name, content] : files) write_file_durable(path_join(part, name), content, 0644, false);
    bundle_place::settle(part, target);
  } catch (...) {
    bundle_place::remove_quietly(part);
    throw;
  }
}

}  // namespace kesu
