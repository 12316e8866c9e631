// Looks through every regular file at the places, on all processors, for what an index of windows or of
// fingerprints knows. For scanning itself; the use case stands in scan.h.
#pragma once
#include <deque>
#include <map>
#include <mutex>
#include <optional>
#include <vector>

#include "app/datasets.h"
#include "app/scan.h"
#include "app/tree_read.h"
#include "base/crew.h"
#include "seal/print_index.h"
#include "seal/windows.h"

namespace kesu {

// The errors that say something of a file alone.
bool of_the_file(const Error& e);

class ScanLook {
 public:
  // What is looked for: both kinds may be there. `objects` are the objects that they number. All outlive it.
  struct For {
    const Windows* windows = nullptr;
    std::vector<const PrintIndex*> prints;
    const std::vector<ObjectId>* objects = nullptr;
  };
  ScanLook(For what, Crew& crew, KeyHolder& holder, ScanResult& result, Progress& progress);
  ~ScanLook();  // what was read is zeroed
  // At result.places. Counts, what could not be read and what was found go to the result. Errors:
  // interrupted; those of memory and the disk.
  void look();

 private:
  struct Unit {
    size_t place = 0;
    size_t file = 0;
    uint64_t at = 0, size = 0;
  };
  struct Hit {
    uint64_t offset;
    uint32_t object;
    uint32_t bytes;
  };
  struct Seen {
    std::vector<Hit> hits;
    std::vector<Digest32> blocks;               // where the file may be, whole, an object: by windows
    std::vector<std::vector<Digest32>> values;  // and by each index of fingerprints
  };
  struct Worker {
    std::vector<TreeOpener> openers;  // one a place
    std::optional<Windows::Scanner> windows;
    std::deque<PrintIndex::Scanner> prints;  // they do not move
    Bytes buffer;
  };
  using Found = std::map<std::pair<size_t, uint32_t>, ScanHit>;  // by file and object

  void fail(const std::string& path, const Error& e);
  void add(size_t place, const TreeFile& f);
  void look_through(size_t place);
  Found look_through(size_t place, const std::vector<size_t>& which,
                     std::vector<std::optional<Error>>& errors);
  bool refresh(size_t place, TreeFile& f, std::optional<Error>& error);
  struct stat stat_of(const Fd& fd, size_t place, const TreeFile& f) const;
  void refuse_changed(const Fd& fd, size_t place, const TreeFile& f) const;
  Error changed(size_t place, const TreeFile& f) const;
  void look_at(const Unit& unit, Worker& worker, Seen& seen);

  const For what_;
  const uint64_t window_;  // bytes by which parts of a file overlap, and one
  Crew& crew_;
  KeyHolder& holder_;
  ScanResult& result_;
  Progress& progress_;
  std::mutex mutex_;
  std::deque<Worker> workers_;
  std::vector<TreeFile> files_;
  uint64_t waiting_ = 0;
};

}  // namespace kesu
