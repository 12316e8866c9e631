// The part of re-wrapping that several threads do: looking at a batch's files, and moving their slots
// (docs/spec/rewrap.md). They see no vault: what it has to say stands in the task, providers are used by
// lanes.
#pragma once
#include <atomic>
#include <functional>
#include <mutex>
#include <optional>
#include <span>
#include <string>
#include <vector>

#include "app/lanes.h"
#include "app/place_id.h"
#include "app/rewrap.h"
#include "base/crew.h"

namespace kesu {

struct RewrapTask {
  VaultId vault;
  DatasetId dataset;
  VersionRef to;
  std::string from;         // as in RewrapOrder
  bool with_paths = false;  // the order names where files are

  bool is_to_move(const std::string& newest) const {
    return newest != to.str() && (from.empty() || !with_paths || newest == from);
  }
};

// An object of a batch that may have to move, and the paths to look for its files at.
struct RewrapWanted {
  int64_t position = 0;
  ObjectId object;
  std::string on;     // the version that the ledger knows it under
  std::string place;  // of the inventory
  std::vector<std::string> paths;
};

// The files of it that are there.
struct RewrapCandidate {
  struct File {
    std::string path, newest;
    uint64_t size = 0;  // and header region, when it was looked at
    Bytes bytes;
    Region region;
    bool moved = false;
  };
  int64_t position = 0;
  ObjectId object;
  std::vector<File> files;
  bool out_of_reach = false;  // a file may lie at its place, which is not seen now
  std::vector<Skipped> missing, failed;

  // By what was written and what was seen.
  bool is_moved(const RewrapTask& task) const;
  int64_t wraps(const RewrapTask& task) const;
};

class RewrapFiles {
 public:
  // All three outlive it; a lane for each of the crew, and one more for the caller beside them.
  RewrapFiles(const RewrapTask& task, Lanes& lanes, unsigned threads);
  ~RewrapFiles();

  // One candidate for each wanted, in their order. `place`: what was sealed to; null: what is not seen
  // is declared lost. Where a slot says another version than the ledger, the provider is asked which slot
  // opens. `beside`: move() runs in another thread, so this one looks alone. Errors: interrupted; those of a
  // provider that does not answer.
  std::vector<RewrapCandidate> look(const std::vector<RewrapWanted>& wanted, const SealedPlace* place,
                                    bool beside);
  // Moves what is to be moved; what became of each stands in the candidates, also when it throws, and is
  // durable after `durable`. A file at fault is put to `failed`; a provider or disk at fault ends the work,
  // and so does Ctrl-C, with Error interrupted. `done(n)`: n more objects were looked after; any thread, one
  // at a time.
  void move(std::span<RewrapCandidate> work, Durable& durable, const std::function<void(int64_t)>& done);

 private:
  struct Ready;
  Crew crew(size_t work) const;
  RewrapCandidate look_at_one(unsigned lane, const RewrapWanted& wanted, const SealedPlace* place);
  std::string opens_under(unsigned lane, const std::string& path);
  void move_group(Crew& crew, unsigned lane, std::span<RewrapCandidate> group, Durable& durable);
  std::optional<Ready> read(unsigned lane, RewrapCandidate& candidate, RewrapCandidate::File& file);
  std::exception_ptr carry_over(unsigned lane, std::span<Ready> some);
  std::exception_ptr finish(unsigned lane, Durable& durable);
  std::exception_ptr finish(unsigned lane, std::vector<Ready> group, Durable& durable);

  const RewrapTask& task_;
  Lanes& lanes_;
  unsigned threads_;
  std::atomic<bool> ended_{false};          // a provider or disk is at fault: nothing more is carried over
  size_t group_;                            // objects that a thread has under work
  std::vector<std::vector<Ready>> moving_;  // of each lane, what is written next
  std::vector<OpenNearby> nearby_;          // of each lane
};

}  // namespace kesu
