// A bundle as a directory on disk: read without following anything, written whole or not at all.
#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <cstdio>
#include <filesystem>

#include "base/error.h"
#include "base/files.h"
#include "base/rename_new.h"
#include "base/sync_together.h"
#include "certificate/bundle.h"
#include "certificate/bundle_impl.h"

namespace kesu {

using namespace bundle_place;

namespace {

constexpr std::string_view kFolders[] = {"approvals", "evidence", "inventory", "ledger",
                                         "renewal",   "time",     "trust"};

struct Reading {
  BundleFiles files;
  size_t bytes = 0;
};

void read_one(Reading& reading, int directory, const std::string& name, const std::string& inside) {
  if (std::string why = bundle_name_problem(inside); !why.empty()) throw refused(shown(inside), "is " + why);
  Fd fd(openat(directory, name.c_str(), O_RDONLY | O_NOFOLLOW | O_NONBLOCK | O_CLOEXEC));
  if (!fd.ok()) {
    if (errno == ELOOP) throw refused(inside, "is a symbolic link");
    throw file_error(errno, "open", inside);
  }
  struct stat st {};
  if (fstat(fd.get(), &st) != 0) throw file_error(errno, "look at", inside);
  if (!S_ISREG(st.st_mode)) throw refused(inside, "is not a regular file");
  size_t size = static_cast<size_t>(st.st_size);
  if (size > kMaxBundleFile)
    throw refused(inside, "is larger than " + std::to_string(kMaxBundleFile) + " bytes");
  if (size > kMaxBundleBytes - reading.bytes) throw refused(inside, "makes the bundle larger than it may be");
  if (reading.files.size() >= kMaxBundleFiles) throw refused(inside, "is one file too many");
  Bytes content(size);
  for (size_t at = 0; at < size;) {
    ssize_t got = read(fd.get(), content.data() + at, size - at);
    if (got < 0 && errno == EINTR) continue;
    if (got < 0) throw file_error(errno, "read", inside);
    if (got == 0) throw refused(inside, "became shorter while it was read");
    at += static_cast<size_t>(got);
  }
  reading.bytes += size;
  reading.files.emplace(inside, std::move(content));
}

bool is_folder(std::string_view name) {
  for (std::string_view folder : kFolders)
    if (name == folder) return true;
  return false;
}

// All files and the directories they are in, durable on return. They are below a directory that has no final
// name yet, so none needs a temporary name.
void write_files(const std::string& directory, const std::vector<std::string_view>& folders,
                 const BundleFiles& files) {
  constexpr size_t kGroup = 64;  // descriptors at once
  OpenPaths open_files;
  for (const auto& [name, content] : files) {
    if (open_files.size() == kGroup) {
      sync_together(open_files);
      open_files.clear();
    }
    std::string path = path_join(directory, name);
    Fd fd(::open(path.c_str(), O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0644));
    if (!fd.ok()) throw file_error(errno, "create", path);
    write_all(fd.get(), content, path);
    open_files.emplace_back(std::move(fd), std::move(path));
  }
  for (std::string_view folder : folders) open_files.push_back(open_directory(path_join(directory, folder)));
  open_files.push_back(open_directory(directory));
  sync_together(open_files);
}

}  // namespace

BundleFiles read_bundle_directory(const std::string& path) {
  Fd top(open(path.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC));
  if (!top.ok()) throw file_error(errno, "open the bundle", path);
  Reading reading;
  for (const std::string& name : list_directory(path)) {
    if (!is_folder(name)) {
      read_one(reading, top.get(), name, name);
      continue;
    }
    Fd folder(openat(top.get(), name.c_str(), O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC));
    if (!folder.ok()) throw refused(name, "is not a directory");
    for (const std::string& file : list_directory(path_join(path, name)))
      read_one(reading, folder.get(), file, name + "/" + file);
  }
  return std::move(reading.files);
}

namespace {
bool has_folder(const BundleFiles& files, std::string_view folder) {
  auto it = files.lower_bound(std::string(folder) + "/");
  return it != files.end() && it->first.starts_with(std::string(folder) + "/");
}
}  // namespace

void write_bundle_directory(const std::string& path, const BundleFiles& files) {
  std::string target = new_target(path);
  for (const auto& [name, content] : files)
    if (std::string why = bundle_name_problem(name); !why.empty()) throw refused(shown(name), "is " + why);
  std::string part = part_of(target);
  try {
    make_directories(part);
    std::vector<std::string_view> folders;  // `time`, `renewal` only where there is something in them
    for (std::string_view folder : kFolders)
      if ((folder != "time" && folder != "renewal") || has_folder(files, folder)) folders.push_back(folder);
    for (std::string_view folder : folders) make_directories(path_join(part, folder));
    write_files(part, folders, files);
    settle(part, target);
  } catch (...) {
    remove_quietly(part);
    throw;
  }
}

namespace bundle_place {

Error refused(const std::string& name, const std::string& why) {
  return Error(Code::bad_input, "bundle: " + name + " " + why);
}

std::string shown(std::string_view name) {
  std::string out;
  for (unsigned char c : name.substr(0, 200)) out += c >= 0x20 && c < 0x7f ? static_cast<char>(c) : '?';
  return out;
}

void remove_quietly(const std::string& path) {
  std::error_code ignored;
  std::filesystem::remove_all(path, ignored);
}

std::string new_target(const std::string& path) {
  std::string target = absolute_path(path);
  while (target.size() > 1 && target.back() == '/') target.pop_back();
  if (exists(target))
    throw Error(Code::already_exists, target + " is there already").next("give another name");
  return target;
}

std::string part_of(const std::string& target) {
  std::string begin = "." + base_name(target) + ".part-", directory = dir_name(target);
  for (const std::string& name : list_directory(directory)) {
    if (!name.starts_with(begin)) continue;
    std::string pid = name.substr(begin.size());
    if (!pid.empty() && pid.find_first_not_of("0123456789") == std::string::npos && !exists("/proc/" + pid))
      remove_quietly(path_join(directory, name));
  }
  std::string part = path_join(directory, begin + std::to_string(getpid()));
  remove_quietly(part);
  return part;
}

void settle(const std::string& part, const std::string& target) {
  if (const int why = rename_new(AT_FDCWD, part, target); why != 0) {
    if (why == EEXIST || why == ENOTEMPTY)
      throw Error(Code::already_exists, target + " is there already").next("give another name");
    throw file_error(why, "rename", target);
  }
  sync_directory(dir_name(target));
}

}  // namespace bundle_place

}  // namespace kesu
