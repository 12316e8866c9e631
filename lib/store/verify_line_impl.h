// One entry's own check, and the line of threads that does it for a whole ledger. Not installed.
#pragma once
#include <condition_variable>
#include <deque>
#include <memory>
#include <mutex>
#include <optional>

#include "base/error.h"
#include "crypto/tally.h"
#include "ledger/packed_id.h"
#include "store/store.h"

namespace kesu {

std::string words_of(const Error& error);

// What an entry says of a batch's segment.
struct NamedSegment {
  PackedId dataset, batch;
  std::optional<Digest32> digest;  // none: the entry does not state it
};

// What can be said of one entry without the others.
struct Decoded {
  RawRow raw;
  StoredEntry entry;  // its texts and its salt are left in `raw`
  bool header_good = false, whole = true;
  std::vector<std::string> before;  // what is wrong, in the order in which it is said:
  std::string in_header, in_body;
  Tally streams;  // of those that the header names, each once
  std::vector<Digest32> blobs;
  std::vector<NamedSegment> segments;
  std::vector<std::string> no_segments;  // names that cannot be a segment's
};

// What the check of one entry goes by.
struct EntryRules {
  const BlobsOf& blobs;
  const SegmentsOf& segments;
  const std::function<bool(const Header&)>& wants_body;
  const TallyOf tally;
};

// Parses and recomputes; every way in which the row is not a whole entry is written down.
void decode(const RawRow& raw, const EntryRules& rules, Decoded& out);

// The streams that a header names, each once.
std::vector<std::string_view> streams_of(const Header& header);

// Checks entries on all processors, and hands them on in their order, in the caller's thread. Holds a few
// hundred at a time.
class Line {
 public:
  Line(const EntryRules& rules, std::function<void(Decoded&)> next) : rules_(rules), next_(std::move(next)) {}

  // For worker 0: takes all that `give` pushes.
  void lead(const std::function<void(const std::function<void(const RawRow&)>&)>& give);
  // For the others.
  void help();
  // Until all that was pushed is handed on.
  void finish();

 private:
  static constexpr size_t kRows = 256, kBytes = 1 << 20, kAhead = 6;
  struct Place {  // of a row in a chunk's bytes: where it begins, and how long its parts are
    int64_t row;
    size_t at, header, body, salt, leaf;
    std::string_view odd;
  };
  struct Chunk {
    std::string bytes;  // of all rows, one after the other
    std::vector<Place> rows;
    // Filled by the thread that checks the chunk, and emptied by the next one that does: taking entries apart
    // costs as much as putting them together.
    std::vector<Decoded> out;
    std::exception_ptr error;
    enum { waiting, taken, done } state = waiting;
  };

  void add(const RawRow& row);
  void push();
  Chunk* waiting();
  void check(Chunk& chunk, std::unique_lock<std::mutex>& lock);
  void take_done(size_t left);

  const EntryRules& rules_;
  std::function<void(Decoded&)> next_;
  std::unique_ptr<Chunk> filling_;
  std::mutex mutex_;
  std::condition_variable changed_;
  std::deque<std::unique_ptr<Chunk>> order_;   // those under way, in the ledger's order
  std::vector<std::unique_ptr<Chunk>> spare_;  // only the caller's thread
  bool over_ = false;
};

}  // namespace kesu
