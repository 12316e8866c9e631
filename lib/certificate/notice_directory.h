// A notice, superseding record or failure report as a directory (docs/spec/notices.md).
#pragma once
#include <string>

#include "certificate/bundle.h"

namespace kesu {

// Writes `files` (no folders among them) as a new directory at `path`, durable: whole or not at all. What a
// killed run left of one is removed. Throws already_exists, io_failed, disk_full.
void write_notice_directory(const std::string& path, const BundleFiles& files);

}  // namespace kesu
