// What lies where sealed objects lie: batches' rows, leftovers by their names.
#include <fcntl.h>
#include <sys/stat.h>

#include <algorithm>
#include <cerrno>

#include "app/datasets.h"
#include "app/inventory_check.h"
#include "app/place_id.h"
#include "base/below.h"
#include "base/interrupt.h"

namespace kesu {

namespace {
template <class Batches>
std::vector<BatchRecord> all_of(const Batches& batches) {
  if constexpr (requires { batches.all(); })
    return batches.all();
  else
    return {batches.begin(), batches.end()};
}

std::vector<BatchRecord> in_state(const DatasetRecord& dataset, std::string_view state) {
  std::vector<BatchRecord> out;
  for (BatchRecord& b : all_of(dataset.batches))
    if (b.state == state) out.push_back(std::move(b));
  return out;
}

bool is_hex32(std::string_view text) {
  return text.size() == 32 && text.find_first_not_of("0123456789abcdef") == std::string_view::npos;
}
}  // namespace

std::vector<BatchRecord> batches_sealed(const DatasetRecord& dataset) {
  std::vector<BatchRecord> out = in_state(dataset, "sealed");
  std::sort(out.begin(), out.end(), [](auto& x, auto& y) { return x.done_seq < y.done_seq; });
  return out;
}

std::vector<BatchRecord> batches_intended(const DatasetRecord& dataset) {
  return in_state(dataset, "intended");
}

BatchRows batch_rows(Vault& vault, const DatasetRecord& dataset, const BatchRecord& batch) {
  BatchRows out{{}, vault.store().segment(dataset.id, batch.id)};
  SegmentLeaves leaves = parse_segment_leaves(out.segment);
  if (hex(leaves.root()) != batch.root || leaves.header.vault != vault.id() ||
      leaves.header.dataset.str() != dataset.id || leaves.header.batch.str() != batch.id)
    throw Error(Code::ledger_damaged, "the segment of " + batch.id + " is not the one that was sealed")
        .cause("its leaves do not give the root in the ledger")
        .next("kesu ledger verify");
  out.rows = std::move(leaves.objects);
  return out;
}

NamedFile name_says(const std::string& path) {
  const std::string name = base_name(path);
  if (name.ends_with(".kesu")) return {Leftover::object, ""};
  for (auto [ending, kind] : {std::pair{std::string_view(".kesu-part"), Leftover::part},
                              {std::string_view(".kesu-open"), Leftover::opening}})
    if (name.size() == 33 + ending.size() && name.ends_with(ending) && name[0] == '.' &&
        is_hex32(std::string_view(name).substr(1, 32)))
      return {kind, name.substr(1, 32)};
  if (name.ends_with(".kesu-damaged") && name.size() >= 45 && is_hex32(std::string_view(name).substr(0, 32)))
    return {Leftover::set_aside, name.substr(0, 32)};
  return {};
}

namespace {
// Without recursion, and by descriptors: a tree may be deeper than the stack, and than any path.
void walk_below(const std::string& root, const std::function<void(const std::string&)>& visit,
                const std::function<void(const std::string&, const Error&)>& failed) {
  struct Frame {
    size_t length;  // of `name` up to this directory
    std::vector<std::string> leaves;
    size_t next = 0;
  };
  Below below(root);
  std::string name;
  std::vector<Frame> frames;
  const auto enter = [&] {
    try {
      frames.push_back({name.size(), list_directory(below.directory(name), path_join(root, name))});
    } catch (const Error& e) {
      failed(name.empty() ? root : path_join(root, name), e);
    }
  };
  enter();
  while (!frames.empty()) {
    check_interrupted();
    Frame& f = frames.back();
    name.resize(f.length);
    if (f.next == f.leaves.size()) {
      frames.pop_back();
      continue;
    }
    const std::string& leaf = f.leaves[f.next++];
    struct stat st {};
    try {
      if (::fstatat(below.directory(name), leaf.c_str(), &st, AT_SYMLINK_NOFOLLOW) != 0)
        throw file_error(errno, "look at", path_join(path_join(root, name), leaf));
    } catch (const Error& e) {
      failed(path_join(path_join(root, name), leaf), e);
      continue;
    }
    if (S_ISDIR(st.st_mode) && is_of_the_filesystem(below.directory(name), leaf, st)) continue;
    if (f.length) name += '/';
    name += leaf;
    if (S_ISDIR(st.st_mode))
      enter();
    else if (S_ISREG(st.st_mode))
      visit(path_join(root, name));
  }
}
}  // namespace

void walk_files(const std::vector<std::string>& roots, const std::function<void(const std::string&)>& visit,
                const std::function<void(const std::string&, const Error&)>& failed) {
  for (const std::string& named : roots) {
    const std::string root = absolute_path(named);
    struct stat st {};
    try {
      const Fd at(open_path(root, O_PATH | O_NOFOLLOW));
      if (!at.ok() || ::fstat(at.get(), &st) != 0) throw file_error(errno, "look at", root);
    } catch (const Error& e) {
      failed(root, e);
      continue;
    }
    if (S_ISDIR(st.st_mode))
      walk_below(root, visit, failed);
    else if (S_ISREG(st.st_mode))
      visit(root);
  }
}

}  // namespace kesu
