#include "app/sealing.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <unistd.h>

#include <algorithm>
#include <filesystem>
#include <functional>
#include <set>

#include "app/actor.h"
#include "app/inventory_check.h"
#include "app/place_id.h"
#include "app/rules.h"
#include "app/seal_remove.h"
#include "app/seal_turns.h"
#include "app/sealed_name.h"
#include "app/sealer.h"
#include "app/settle.h"
#include "app/tree_read.h"
#include "base/durable_directories.h"
#include "base/interrupt.h"

namespace kesu {

Json intended_body(const std::string& location, const PlaceMark& place, const Json& objects,
                   const std::string& version, const std::string& dataset_key) {
  Json out = Json::object({{"actor", this_process()},
                           {"location", location},
                           {"location_inode", place.inode},
                           {"objects", objects},
                           {"version", version},
                           {"dataset_key", dataset_key}});
  if (!place.born.empty()) out.set("location_born", place.born);
  if (!place.filesystem.empty()) out.set("location_filesystem", place.filesystem);
  return out;
}

Error quota_used_up(const State& state, const VersionRecord& v) {
  return Error(Code::wrap_quota,
               "key version " + version_name(state, v) + " may wrap no more data keys: its quota is " +
                   std::to_string(v.wrap_quota) + ", " + std::to_string(v.wraps) + " are used")
      .cause("wraps under one AES-256-GCM key with random nonces are counted, NIST SP 800-38D §8.3")
      .next("kesu key rotate " + state.key_of(v.id)->name + ", then the same command again");
}

const VersionRecord& protecting_version(Vault& vault, const DatasetRecord& d) {
  if (d.state != "open")
    throw Error(d.state == "frozen" ? Code::frozen : Code::state_refused,
                "dataset " + d.name + " is " + d.state)
        .cause(d.erasure.empty() ? "" : "by erasure " + d.erasure)
        .next(d.state == "frozen" ? "it takes no new objects until that erasure is cancelled"
                                  : "kesu dataset add makes another");
  const KeyRecord& key = vault.state().keys.at(d.key);
  refuse_reserved(vault.state(), key);
  const VersionRecord* active = key.active();
  if (!active)
    throw Error(Code::state_refused, "the key of dataset " + d.name + " has no active version")
        .cause(key.name + " is " + key.state())
        .next(how_to_activate(vault.state(), key));
  refuse_to_protect(vault, *active);
  if (active->wraps_left() == 0) throw quota_used_up(vault.state(), *active);
  return *active;
}

Event seal_done(Vault& vault, const SegmentHeader& header, const std::vector<SegmentObject>& objects,
                const Secret& dataset_key, int64_t bytes, const std::string& version,
                const DatasetRecord& dataset, bool interrupted) {
  std::string ds = header.dataset.str(), batch = header.batch.str();
  bool written = vault.store().has_segment(ds, batch);
  Bytes segment = written ? vault.store().segment(ds, batch)
                          : write_segment(header, objects, dataset_key, vault.env().random);
  std::string digest = vault.store().put_segment(ds, batch, segment);
  SegmentLeaves listed = parse_segment_leaves(segment);
  int64_t replaced = std::count_if(objects.begin(), objects.end(),
                                   [](const SegmentObject& o) { return o.supersedes.has_value(); });
  // Whoever sees the place reads no name of a source there.
  const bool opaque = std::all_of(objects.begin(), objects.end(), shows_no_name);
  return {.type = "seal-done",
          .nodes = {{.id = header.batch.str(),
                     .is = "sealed",
                     .of = header.dataset.str(),
                     .n = static_cast<int64_t>(listed.objects.size()),
                     .b = bytes,
                     .d = hex(listed.root())}},
          .body = Json::object({{"segment", digest},
                                {"version", version},
                                {"dataset_key", header.dataset_key.str()},
                                {"content_algorithm", dataset.settings.str("content_algorithm")},
                                {"wrap_algorithm", "AES-256-GCM"},
                                {"chunk", dataset.settings.num("chunk")},
                                {"interrupted", interrupted},
                                {"opaque_names", opaque},
                                {"replaced", replaced}})};
}

namespace {
// As absolute_path, and without links in what is there of it.
std::string real_path(const std::string& path) {
  std::string there = absolute_path(path), rest;
  std::error_code none;
  while (there != "/" && !std::filesystem::exists(std::filesystem::symlink_status(there, none))) {
    rest = rest.empty() ? base_name(there) : path_join(base_name(there), rest);
    there = dir_name(there);
  }
  const auto real = std::filesystem::canonical(there, none);
  if (none) return absolute_path(path);
  return rest.empty() ? real.string() : path_join(real.string(), rest);
}

// A source as named.
struct Top {
  std::string path;  // absolute; "-": standard input
  std::string base;
  bool directory = false;
};

// The deepest directory that is there, of `path` and those above it.
std::string existing(std::string path) {
  while (path != "/" && !exists(path)) path = dir_name(path);
  return path;
}

// Whether `place` (absolute), or what is there of it, lies in `directory` on any way that leads there.
bool lies_in(const std::string& place, const std::string& directory) {
  if ((place + "/").starts_with(real_path(directory) + "/")) return true;
  const auto wanted = place_id_of(directory);
  for (std::string at = existing(place); wanted; at = dir_name(at)) {
    const auto id = place_id_of(at);
    if (id && id->same_directory(*wanted)) return true;
    if (at == "/") break;
  }
  return false;
}

bool is_directory(const std::string& path) {
  struct stat st {};
  return ::stat(path.c_str(), &st) == 0 && S_ISDIR(st.st_mode);
}

Error needs(const std::string& what, const std::string& next) { return Error(Code::usage, what).next(next); }

Error inside(const std::string& out, const std::string& source) {
  return needs("-o " + out + " lies inside " + source, "choose a directory outside");
}

// Standard input is one source of its own; a sealed object to standard output is one object.
std::vector<Top> tops_of(const SealOrder& order) {
  std::vector<Top> out;
  const bool from_stdin = std::count(order.sources.begin(), order.sources.end(), "-") > 0;
  if (from_stdin) {
    if (order.sources.size() > 1)
      throw needs("standard input is sealed alone, without other sources",
                  "kesu seal DATASET - --name NAME -o DIR");
    if (order.name.empty())
      throw needs("what standard input is to be called is not known", "--name NAME says it");
    if (!order.selection.everything() || order.remove_source)
      throw needs("of standard input there is nothing to choose or to remove", "leave those options out");
    try {
      safe_relative_path(order.name);
      if (!may_be_file_name(order.name))
        throw Error(Code::usage, "").cause("a part of it is longer than a name may be, 255 bytes");
    } catch (const Error& e) {
      throw Error(Code::usage, "--name " + order.name + " is no name below a directory").cause(e.cause());
    }
    return {{"-", order.name, false}};
  }
  if (!order.name.empty())
    throw needs("--name is for standard input", "kesu seal DATASET - --name NAME -o DIR");
  if (order.selection.names() && order.sources.size() > 1)
    throw needs("--files-from names files below one source", "one SRC, or a list for each");
  const std::string place = order.out == "-" ? "-" : real_path(order.out);
  std::set<std::string> bases;
  for (const std::string& source : order.sources) {
    Top top{absolute_path(source), "", false};
    top.base = base_name(top.path);
    top.directory = is_directory(top.path);
    if (!bases.insert(top.base).second)
      throw needs("two sources are called " + top.base, "seal them one after the other, to different -o DIR");
    if (place != "-" && lies_in(place, top.path)) throw inside(order.out, source);
    if (order.selection.names() && !top.directory)
      throw needs("--files-from names files below a directory", source + " is none");
    out.push_back(std::move(top));
  }
  if (order.out == "-" && (out.size() != 1 || out[0].directory))
    throw needs("standard output takes one sealed file", "name one file, or -o DIR");
  if (order.out == "-" && order.remove_source)
    throw needs("where standard output goes is not known, so that nothing can be checked there",
                "leave --remove-source out");
  return out;
}

// Calls `file` for each regular file; what else there is goes to the result. Throws where the place to seal
// to is met, which a mount can make a directory of the source.
template <class Result, class F>
std::optional<TreeManifest> walk(const Top& top, const SealOrder& order, Result* result, F file) {
  TreeSinks sinks;
  const auto out = order.out == "-" ? std::nullopt : place_id_of(real_path(order.out));
  if (out)
    sinks.directory = [&](const std::string& path, const PlaceId& id) {
      if (id.same_directory(*out))
        throw inside(order.out, top.path).cause("it is " + path + " there, by a mount");
    };
  sinks.file = [&](const TreeFile& f) { file(f); };
  sinks.skipped = [&](const std::string& path, const std::string& what) {
    if (!result) return;
    if (path != top.path) return result->skipped.push_back({path, what});
    // What somebody named was not sealed: that is no success.
    const Error e =
        Error(Code::bad_input, path + " is " + what).cause("only files and directories are sealed");
    result->failed.push_back({path, text_of(e), e.code()});
  };
  sinks.failed = [&](const std::string& path, const Error& e) {
    if (result) result->failed.push_back({path, text_of(e), e.code()});
  };
  return read_tree(top.path, order.selection, sinks).manifest;
}

SealTarget target_of(Vault& vault, const DatasetRecord& dataset, const SealOrder& order) {
  SealTarget t;
  t.vault = vault.id();
  t.dataset = *DatasetId::parse(dataset.id);
  t.algorithm = content_algorithm(dataset);
  t.chunk = static_cast<uint32_t>(dataset.settings.num("chunk"));
  t.bind_payload = dataset.settings.flag("bind_payload");
  t.out = order.out == "-" ? "-" : real_path(order.out);
  t.replace = order.replace;
  t.opaque = order.opaque.value_or(rules_in_force(vault.state(), moment_now(vault)).profile == "high");
  return t;
}

// The next run would take sealed files that lie among their sources for sources, seal them again and, with
// --remove-source, remove them. What is mounted below the place is refused for itself.
void refuse_among(const std::vector<Top>& tops, const SealTarget& target) {
  const auto out = target.opaque || target.out == "-" ? std::nullopt : place_id_of(target.out);
  if (!out) return;
  for (const Top& top : tops) {
    const auto below = top.directory ? place_id_of(path_join(target.out, top.base)) : std::nullopt;
    const auto source = below ? place_id_of(top.path) : std::nullopt;
    if (source && below->same_directory(*source) && below->same_mount(*out))
      throw needs("in " + target.out + " the sealed files would lie among their sources, in " + top.path,
                  "choose another -o DIR, or hidden names: --opaque-names");
  }
}

void seal_all(Sealer& sealer, Vault& vault, const std::vector<Top>& tops, const SealOrder& order,
              SealResult& result) {
  // Sources of one batch may come from several tops; those of one stand together.
  std::vector<std::pair<std::string, std::unique_ptr<TreeOpener>>> openers(sealer.crew().size());
  sealer.open_with([&](const SealSource& s, unsigned worker) {
    auto& [top, opener] = openers.at(worker);
    if (!opener || top != s.top) opener = std::make_unique<TreeOpener>(top = s.top);
    return opener->open(s.file);
  });
  for (const Top& top : tops) {
    if (top.path == "-") {
      sealer.open_with([](const SealSource&, unsigned) {
        Fd fd(::fcntl(STDIN_FILENO, F_DUPFD_CLOEXEC, 3));
        if (!fd.ok()) throw file_error(errno, "read", "standard input");
        return fd;
      });
      SealSource s;
      s.path = "standard input";
      s.file.name = top.base;
      sealer.add(std::move(s));
      sealer.flush();
      continue;
    }
    const size_t failed = result.failed.size();
    const auto manifest =
        walk(top, order, &result, [&](const TreeFile& f) { sealer.add(source_of(top.path, f)); });
    if (manifest || order.remove_source) sealer.flush();
    bool kept = false;  // the tree's manifest is sealed as it is
    if (manifest && order.out != "-") {
      const bool whole = order.replace && order.selection.everything() && !order.remove_source &&
                         result.failed.size() == failed;
      kept = sealer.add_manifest(top.path, *manifest, whole);
    }
    if (order.remove_source && manifest && !kept) {
      const Error e =
          Error(Code::failed, "its files are kept")
              .cause("the manifest of the tree was not sealed, and with it owners, links, attributes");
      result.failed.push_back({top.path, text_of(e), e.code()});
    } else if (order.remove_source) {
      remove_sources(vault, sealer, top.path, order.selection, kept ? &*manifest : nullptr, result);
    }
  }
  sealer.flush();
}

// What stays sealed when the rest did not come to its end.
Error& add_tried(Error& e, const SealResult& r) {
  return e.tried("sealed " + std::to_string(r.sealed) + (r.sealed == 1 ? " file" : " files") +
                 ", which stay" +
                 (r.unchanged ? ", " + std::to_string(r.unchanged) + " were unchanged" : "") +
                 (r.failed.empty() ? "" : ", " + std::to_string(r.failed.size()) + " failed"));
}
}  // namespace

SealResult seal_files(Vault& vault, DatasetRecord& dataset, const SealOrder& order, Progress& progress) {
  const std::string id = dataset.id;
  const std::vector<Top> tops = tops_of(order);
  settle(vault);
  const DatasetRecord& now = vault.state().datasets.at(id);
  if (now.state != "open") protecting_version(vault, now);  // says why, before any key is asked for
  const SealTarget target = target_of(vault, now, order);
  refuse_among(tops, target);
  if (target.out != "-") make_directories_durable(target.out);
  SealTurns turns(vault.directory());
  if (target.opaque && target.out != "-") {
    std::set<std::string> roots;  // one named twice is not in its own way
    for (const Top& top : tops)
      if (roots.insert(top.base).second) turns.take(id, target.out, top.base);
    vault.refresh();  // what the one before has sealed is known
  }
  CatchInterrupts interrupts;
  SealResult result;
  try {
    Sealer sealer(vault, target, result, progress);
    try {
      seal_all(sealer, vault, tops, order, result);
    } catch (const Error&) {
      try {
        sealer.drain();
      } catch (const Error&) {  // the first error is the one
      }
      throw;
    }
    sealer.end();
  } catch (Error& e) {
    if (result.sealed && (e.code() == Code::wrap_quota || e.code() == Code::interrupted)) {
      try {
        vault.checkpoint();
      } catch (const Error&) {  // the same token may not sign now: that is not what went wrong first
      }
    }
    throw add_tried(e, result);
  }
  if (result.batches) vault.checkpoint();
  return result;
}

void count_sources(const SealOrder& order, Progress& progress) {
  int64_t files = 0, bytes = 0;
  for (const Top& top : tops_of(order)) {
    if (top.path == "-") return;
    walk<SealResult>(top, order, nullptr, [&](const TreeFile& f) {
      ++files;
      bytes += static_cast<int64_t>(f.size);
    });
  }
  progress.total_files = files;
  progress.total_bytes = bytes;
}

namespace {
// Directories that will be made for files, which come in the order of their tree.
class DirectoriesToMake {
 public:
  explicit DirectoriesToMake(std::string out) : out_(std::move(out)) {}
  // How many more for this one.
  int64_t add(const std::string& name) {
    const size_t end = name.rfind('/') == std::string::npos ? 0 : name.rfind('/') + 1;
    int64_t more = 0;
    for (size_t slash = name.find('/'); slash < end; slash = name.find('/', slash + 1))
      if (last_.compare(0, slash + 1, name, 0, slash + 1) != 0)
        more += !exists(path_join(out_, name.substr(0, slash)));
    last_ = name.substr(0, end);
    return more;
  }

 private:
  std::string out_, last_;
};
}  // namespace

SealForecast forecast_seal(Vault& vault, const DatasetRecord& dataset, const SealOrder& order) {
  const SealTarget target = target_of(vault, dataset, order);
  refuse_among(tops_of(order), target);
  SealForecast out;
  int64_t block = 1;
  if (target.out != "-") {
    out.place = existing(target.out);
    struct statvfs fs {};
    if (::statvfs(out.place.c_str(), &fs) != 0) throw file_error(errno, "look at the space of", out.place);
    block = std::max<int64_t>(1, static_cast<int64_t>(fs.f_frsize));
    out.free_bytes = static_cast<int64_t>(fs.f_bavail) * block;
    out.free_files = fs.f_files ? static_cast<int64_t>(fs.f_favail) : -1;
  }
  const auto size_of = [&](const Metadata& metadata, uint64_t bytes) {
    ObjectHeader header;
    header.chunk = target.chunk;
    header.metadata_size = static_cast<uint32_t>(metadata.plaintext().size() + kTagBytes);
    return static_cast<int64_t>(sealed_size(header, bytes));
  };
  const auto make = [&](int64_t bytes) {
    out.needed_bytes += (bytes + block - 1) / block * block;
    ++out.new_files;
  };
  for (const Top& top : tops_of(order)) {
    if (top.path == "-") continue;  // how long it is will only be known at its end
    DirectoriesToMake directories(target.out);
    const auto manifest = walk(top, order, &out, [&](const TreeFile& f) {
      const int64_t sealed =
          size_of({.kind = "file", .name = f.name, .mode = f.mode, .mtime = f.mtime, .size = f.size}, f.size);
      ++out.files;
      out.bytes += static_cast<int64_t>(f.size);
      out.sealed_bytes += sealed;
      const bool there =
          target.out != "-" && !target.opaque && exists(path_join(target.out, f.name) + ".kesu");
      out.there += there;
      if (there || target.out == "-") return;
      out.new_bytes += sealed;
      make(sealed);
      for (int64_t n = target.opaque ? 0 : directories.add(f.name); n > 0; --n) make(block);
    });
    if (manifest && target.out != "-")
      make(size_of(
          {.kind = "manifest", .name = top.base, .mode = 0600, .mtime = {}, .size = manifest->bytes()},
          manifest->bytes()));
  }
  return out;
}

std::vector<std::string> sealed_files(const std::vector<std::string>& roots, std::vector<Skipped>& failed) {
  std::vector<std::string> out;
  for (const std::string& named : roots) {
    const std::string root = absolute_path(named);
    walk_files(
        {root},
        [&](const std::string& path) {
          if (path == root || path.ends_with(".kesu")) out.push_back(path);
        },
        [&](const std::string& path, const Error& e) {
          if (path == root) throw e;
          failed.push_back({path, text_of(e), e.code()});
        });
  }
  return out;
}

Exit exit_of_parts(int64_t done, const std::vector<Skipped>& failed) {
  if (failed.empty()) return Exit::done;
  for (const Skipped& f : failed)
    if (f.code == Code::sealed_damaged) return Exit::invalid;
  bool same = std::all_of(failed.begin(), failed.end(),
                          [&](const Skipped& f) { return exit_of(f.code) == exit_of(failed[0].code); });
  return done == 0 && same ? exit_of(failed[0].code) : Exit::partial;
}

}  // namespace kesu
