// Leftovers: which may go, and their removal, recorded.
#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <map>
#include <set>

#include "app/actor.h"
#include "app/inventory_check.h"
#include "app/inventory_look.h"
#include "app/inventory_orphans.h"
#include "app/settle.h"
#include "base/files.h"
#include "base/interrupt.h"

namespace kesu {

namespace {
using FileId = std::pair<uint64_t, uint64_t>;  // device, inode

// Files that processes of this host have open, as far as this user may see.
std::set<FileId> open_files_here() {
  std::set<FileId> out;
  for (const std::string& pid : list_directory("/proc")) {
    if (pid.find_first_not_of("0123456789") != std::string::npos) continue;
    const std::string dir = "/proc/" + pid + "/fd";
    try {
      for (const std::string& fd : list_directory(dir)) {
        struct stat st {};
        if (::stat(path_join(dir, fd).c_str(), &st) == 0) out.emplace(st.st_dev, st.st_ino);
      }
    } catch (const Error&) {  // it ended, or is somebody else's
    }
  }
  return out;
}

class Finder {
 public:
  Finder(Vault& vault, const std::vector<std::string>& named, bool force, LeftoverList& out)
      : vault_(vault), force_(force), out_(out), in_use_(open_files_here()) {
    for (const std::string& path : named) named_.insert(absolute_path(path));
    for (auto& [id, d] : vault.state().datasets) {
      for (const BatchRecord& b : batches_intended(d)) intended_.insert(b.objects.begin(), b.objects.end());
      for (const std::string& line : living_holders(vault, id))
        if (holders_.empty()) holders_ = line;
    }
  }

  void look(const std::string& path) {
    const NamedFile named = name_says(path);
    if (named.kind == Leftover::none) return;
    struct stat st {};
    const Fd at(open_path(path, O_PATH | O_NOFOLLOW));
    if (!at.ok() || ::fstat(at.get(), &st) != 0) throw file_error(errno, "look at", path);
    LeftoverFile f{.path = path,
                   .object = named.object,
                   .kind = "",
                   .why = "",
                   .bytes = st.st_size,
                   .device = st.st_dev,
                   .inode = st.st_ino};
    if (in_use_.contains({f.device, f.inode})) return keep(f, "a process has it open");
    if (!f.object.empty() && intended_.contains(f.object))
      return keep(f, "its batch is being sealed, or was interrupted: kesu inventory settle");
    if (named.kind == Leftover::part || named.kind == Leftover::opening) {
      f.kind = named.kind == Leftover::part ? "part" : "opening";
      if (!holders_.empty() && !force_) return keep(f, "it may be of a process that runs: " + holders_);
      return remove(f, named.kind == Leftover::part ? "never had its final name"
                                                    : "plaintext of an opening that did not end");
    }
    f.kind = named.kind == Leftover::set_aside ? "set-aside" : "unopenable";
    sealed(std::move(f));
  }

  void end() {
    for (auto& [dataset, holder] : holding_) holder->end("returned");
  }

 private:
  void keep(LeftoverFile& f, const std::string& why) {
    f.why = why;
    out_.keep.push_back(f);
  }
  void remove(LeftoverFile& f, const std::string& why) {
    f.why = why;
    out_.remove.push_back(f);
  }

  void sealed(LeftoverFile f) {
    const bool aside = f.kind == "set-aside";
    ObjectHeader h;
    try {
      h = header_at(f.path);
    } catch (const Error& e) {
      if (e.code() != Code::sealed_damaged) throw;
      // Another program's, or another vault's: nothing says that it is ours. What settling set aside has its
      // name.
      return aside ? remove(f, "it has no header that can be read")
                   : keep(f, "it is no sealed object that can be read");
    }
    if (h.vault != vault_.id()) return keep(f, "it was sealed by another vault");
    f.object = hex(h.object.bytes());
    auto d = vault_.state().datasets.find(h.dataset.str());
    if (d == vault_.state().datasets.end())
      return keep(f, "it names a dataset that this vault does not know");
    if (intended_.contains(f.object))
      return keep(f, "its batch is being sealed, or was interrupted: kesu inventory settle");
    if (counted(d->second, h.object)) {  // said where somebody asked for this one
      if (named_.contains(f.path)) keep(f, "the inventory of " + d->second.name + " counts it");
      return;
    }
    if (d->second.state == "erased")
      return remove(f, "dataset " + d->second.name + " was erased: nobody can open it");
    const std::string why = opens(h.dataset.str(), h.object, f.path);
    if (!why.empty()) return remove(f, why);
    f.kind = "unrecorded";
    if (!force_) return keep(f, "it opens, and no inventory counts it: kesu inventory adopt; or --force");
    remove(f, "it opens, and no inventory counts it");
  }

  bool counted(const DatasetRecord& d, const ObjectId& object) {
    auto it = known_.find(d.id);
    if (it == known_.end()) {
      it = known_.emplace(d.id, std::vector<ObjectId>()).first;
      for (const BatchRecord& b : batches_sealed(d))
        for (auto& [id, leaf] : batch_rows(vault_, d, b).rows) it->second.push_back(id);
      std::sort(it->second.begin(), it->second.end());
    }
    return std::binary_search(it->second.begin(), it->second.end(), object);
  }

  // "": its data key opens, so that what is whole in it can be read. Else why not. A provider that does not
  // answer says nothing.
  std::string opens(const std::string& dataset, const ObjectId& object, const std::string& path) {
    SealedFileAt file(path);
    std::vector<VersionRef> slots;
    try {
      for (const Slot* s : inspect_region(file.input()).usable()) slots.push_back(s->version);
    } catch (const Error& e) {
      if (e.code() != Code::sealed_damaged) throw;
      return "none of its slots is whole";
    }
    auto& holder = holding_[dataset];
    if (!holder) holder = std::make_unique<KeyHolder>(vault_, dataset, "remove");
    holder->keep();
    Json versions(Json::Array{});
    for (const VersionRef& v : slots) versions.push(v.str());
    Json objects(Json::Array{});
    objects.push(hex(object.bytes()));
    vault_.append(
        {{.type = "objects-opened",
          .nodes = {{.id = holder->id()}, {.id = dataset, .n = 1}},
          .edges = {{holder->id(), dataset}},
          .body = Json::object({{"purpose", "remove"}, {"objects", objects}, {"versions", versions}})}},
        {});
    const DatasetRecord d = vault_.state().datasets.at(dataset);
    std::string refusal;
    const Region region = inspect_region(file.input());
    for (const Slot* s : region.usable()) {
      const VersionRecord* v = vault_.state().version(s->version.str());
      if (!v || !v->ref || v->destroyed) {
        refusal = "the key version of its slot is destroyed, or not of this vault";
        continue;
      }
      // Whatever else stands against using the version now may change: then it is still somebody's data.
      try {
        const ObjectHeader& h = region.header;
        Secret key = unwrap_slot(vault_, d, *s, wrap_aad(h.vault, h.dataset, h.object, s->version),
                                 ProcessFor::moving);
        if (slot_hmac(h.object, *s, key) == s->hmac && commitment_of(h, key) == h.commitment) return "";
        refusal = "its header was altered: its data key does not fit it";
      } catch (const Error& e) {
        if (e.code() == Code::state_refused || e.code() == Code::period_over) return "";
        if (e.code() != Code::sealed_damaged) throw;
        refusal = "its slot does not open under " + s->version.brief();
      }
    }
    return refusal;
  }

  static Region inspect_region(const SealedInput& in) {
    if (in.size < kRegionBytes) throw Error(Code::sealed_damaged, "it is shorter than a header region");
    Bytes region(kRegionBytes);
    in.read(0, region);
    return parse_region(region);
  }

  Vault& vault_;
  bool force_;
  LeftoverList& out_;
  std::set<FileId> in_use_;
  std::set<std::string> named_, intended_;
  std::string holders_;
  std::map<std::string, std::vector<ObjectId>> known_;
  std::map<std::string, std::unique_ptr<KeyHolder>> holding_;
};

void record(Vault& vault, const char* what, const std::string& reason, const Json& files) {
  const std::string text = files.canonical();
  const std::string kept = vault.store().put_blob(as_bytes(text));
  const std::string id = vault.env().random.id<DocumentId>().str();
  vault.append({{.type = "document-attached",
                 .nodes = {{.id = id, .is = "attached", .d = kept}},
                 .body = Json::object(
                     {{"what", what}, {"detail", reason}, {"document", kept}, {"actor", this_process()}})}},
               {id});
}
}  // namespace

LeftoverList find_leftovers(Vault& vault, const std::vector<std::string>& paths, bool force) {
  CatchInterrupts catching;
  vault.rebuild();  // what a register left out would be removed
  settle(vault);
  LeftoverList out;
  Finder finder(vault, paths, force, out);
  const auto failed = [&](const std::string& path, const Error& e) {
    const bool named = std::any_of(paths.begin(), paths.end(),
                                   [&](const std::string& p) { return absolute_path(p) == path; });
    if (named || (e.code() != Code::io_failed && e.code() != Code::not_found)) throw e;
    out.failed.push_back({path, e.message() + (e.cause().empty() ? "" : ": " + e.cause()), e.code()});
  };
  walk_files(
      paths,
      [&](const std::string& path) {
        try {
          finder.look(path);
        } catch (const Error& e) {
          failed(path, e);
        }
      },
      failed);
  finder.end();
  return out;
}

std::vector<Skipped> remove_leftovers(Vault& vault, const std::vector<LeftoverFile>& files,
                                      const std::string& reason) {
  if (reason.empty()) throw Error(Code::usage, "a removal needs a reason").next("--reason TEXT");
  CatchInterrupts catching;
  std::vector<Skipped> failed;
  if (files.empty()) return failed;
  const auto row = [](const LeftoverFile& f) {
    return Json::object({{"path", name_to_json(f.path)},
                         {"object", f.object},
                         {"kind", f.kind},
                         {"why", f.why},
                         {"bytes", f.bytes}});
  };
  Json intended(Json::Array{}), removed(Json::Array{});
  for (const LeftoverFile& f : files) intended.push(row(f));
  record(vault, "leftovers-to-remove", reason, intended);
  const std::set<FileId> in_use = open_files_here();
  for (const LeftoverFile& f : files) {
    if (interrupted()) break;
    struct stat st {};
    const Fd directory(open_path(dir_name(f.path), O_PATH | O_DIRECTORY));
    const std::string leaf = base_name(f.path);
    if (::fstatat(directory.get(), leaf.c_str(), &st, AT_SYMLINK_NOFOLLOW) != 0 || st.st_dev != f.device ||
        st.st_ino != f.inode || st.st_size != f.bytes || in_use.contains({f.device, f.inode})) {
      failed.push_back(
          {f.path, "it is not what was looked at before, or a process has it open", Code::conflict});
      continue;
    }
    if (::unlinkat(directory.get(), leaf.c_str(), 0) != 0)
      failed.push_back({f.path, file_error(errno, "remove", f.path).cause(), Code::io_failed});
    else
      removed.push(row(f));
  }
  record(vault, "leftovers-removed", reason, removed);
  check_interrupted();
  return failed;
}

}  // namespace kesu
