#include "base/below.h"

#include <fcntl.h>
#include <sys/stat.h>

#include <algorithm>
#include <cerrno>
#include <utility>

#include "base/open_files.h"

namespace kesu {

Below::Below(const std::string& root) : root_(root), top_(open_path(root, O_RDONLY | O_DIRECTORY)) {
  if (!top_.ok()) throw file_error(errno, "open directory", root);
}

int Below::directory(std::string_view relative, bool create) {
  const auto shared = [&](const Mark& m) {
    return relative.size() >= m.length &&
           relative.substr(0, m.length) == std::string_view(at_).substr(0, m.length) &&
           (relative.size() == m.length || relative[m.length] == '/');
  };
  while (!marks_.empty() && !shared(marks_.back())) marks_.pop_back();
  size_t from = marks_.empty() ? 0 : marks_.back().length + 1,
         depth = marks_.empty() ? 0 : marks_.back().depth;
  at_ = relative;
  while (from <= relative.size() && !relative.empty()) {
    const size_t to = std::min(relative.find('/', from), relative.size());
    const std::string component(relative.substr(from, to - from));
    constexpr int kHow = O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC;
    Fd next(::openat(deepest(), component.c_str(), kHow));
    if (!next.ok() && errno == ENOENT && create) {
      if (::mkdirat(deepest(), component.c_str(), 0755) != 0 && errno != EEXIST)
        throw file_error(errno, "create directory", path_join(root_, relative.substr(0, to)));
      next = Fd(::openat(deepest(), component.c_str(), kHow));
    }
    if (!next.ok()) {
      const int why = errno;
      const std::string path = path_join(root_, relative.substr(0, to));
      if (why == ELOOP || why == ENOTDIR)
        throw Error(Code::policy_refused, "nothing is reached through " + path)
            .cause("it is a symbolic link, or no directory")
            .next("choose another directory");
      throw file_error(why, "open directory", path);
    }
    mark(to, ++depth, std::move(next));
    from = to + 1;
  }
  return deepest();
}

// Marks stand close together near the newest and ever farther apart towards the root, so that they are few,
// and coming up step by step from depth n opens about n log n directories.
void Below::mark(size_t length, size_t depth, Fd fd) {
  marks_.push_back({length, depth, std::move(fd)});
  for (size_t i = marks_.size() - 1; i-- > 0;) {
    const size_t before = i ? marks_[i - 1].depth : 0, after = marks_[i + 1].depth;
    if (after - before <= depth - after) marks_.erase(marks_.begin() + static_cast<ptrdiff_t>(i));
  }
  static const size_t most = directories_kept_open();
  while (marks_.size() > most) marks_.erase(marks_.begin());
}

int Below::directory_of(std::string_view name, std::string& leaf, bool create) {
  const size_t slash = name.rfind('/');
  leaf = name.substr(slash == std::string_view::npos ? 0 : slash + 1);
  return directory(slash == std::string_view::npos ? std::string_view() : name.substr(0, slash), create);
}

}  // namespace kesu
