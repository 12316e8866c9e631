// The batches of one dataset. A vault has hundreds of thousands: what every command needs of them is kept as
// sums, those at rest are packed, and read from the registers only where somebody asks for each.
#pragma once
#include <array>
#include <compare>
#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <set>
#include <string>
#include <vector>

#include "app/place_id.h"
#include "base/bytes.h"
#include "base/clock.h"
#include "base/json.h"

namespace kesu {

// Positions of objects in a batch's segment, from 0: [first, last], ascending, not touching.
using Positions = std::vector<std::pair<int64_t, int64_t>>;
Positions positions_from(const Json& ranges);  // throws bad_input
Json positions_json(const Positions& positions);
int64_t count_positions(const Positions& positions);

struct RewrapRecord {
  std::string version;  // the new one; empty: none is under way
  Positions objects;
  Json actor;
  Millis since = 0;
};
struct BatchRecord {
  std::string id, state, version, dataset_key, root, location;
  std::string content_algorithm, wrap_algorithm;
  // Where the newest slots are, by the ledger: empty, all under `version`; else each object in exactly one
  // row.
  std::map<std::string, Positions> on;
  std::vector<std::string> reached_by;  // from where an edge ever led to it: versions; ascending
  RewrapRecord rewrap;                  // under way, or interrupted
  std::vector<std::string> objects;     // only while intended
  int64_t n = 0, bytes = 0;
  int64_t replaced = 0;            // objects that its own were sealed over
  uint64_t seq = 0, done_seq = 0;  // of its seal-intended and seal-done
  Json actor;                      // who intended it
  Millis since = 0;                // when
  PlaceMark place;                 // of the location's directory then

  // A process works on it, or left it as a question.
  bool is_open() const { return state == "intended" || !rewrap.version.empty(); }
  // Its objects by the version that their newest slot is under.
  std::map<std::string, int64_t> under() const;
};

// Sealed batches that are alike.
struct BatchKind {
  std::string version, dataset_key, content_algorithm, wrap_algorithm;
  std::vector<std::string> reached_by;
  auto operator<=>(const BatchKind&) const = default;
};
struct BatchSums {
  int64_t batches = 0, objects = 0, bytes = 0, replaced = 0;
  bool operator==(const BatchSums&) const = default;
};
using BatchesByKind = std::map<BatchKind, BatchSums>;
// (version, wrap algorithm) → how many batches have objects under it, how many objects. bytes and replaced:
// 0.
using BatchesUnder = std::map<std::pair<std::string, std::string>, BatchSums>;
// version → objects of batches under it that were abandoned.
using GivenUp = std::map<std::string, int64_t>;

class Batches {
 public:
  // Gives all batches at rest that the registers have of the dataset.
  using Loader = std::function<std::vector<BatchRecord>()>;

  // Sums of the sealed ones, those being re-wrapped among them.
  const BatchesByKind& kinds() const { return kinds_; }
  const BatchesUnder& under() const { return under_; }
  const GivenUp& given_up() const { return given_up_; }
  BatchSums sums() const;
  // In the order they were intended.
  const std::vector<BatchRecord>& open() const { return open_; }

  // Each: the batches at rest are read where they were not yet. In the order they were intended.
  std::vector<BatchRecord> all() const;
  // The same in any order, one after the other.
  void each(const std::function<void(const BatchRecord&)>& visit) const {
    load();
    each_loaded(visit);
  }
  std::optional<BatchRecord> find(const std::string& id) const;
  const BatchRecord* find_open(const std::string& id) const;
  size_t at_rest() const { return count_; }  // of those in memory

  // For State. add() takes one that is not there, replace() one that is; take() takes it out.
  void add(BatchRecord batch);
  void replace(BatchRecord batch);
  std::optional<BatchRecord> take(const std::string& id);
  // As registers give it: sums over all, those that are open, and where the others are.
  void restore(BatchesByKind kinds, BatchesUnder under, GivenUp given_up, Loader loader);
  void restore_open(BatchRecord batch);
  // Calls visit(batch) for each that is in memory, one after the other, without unpacking all at once.
  void each_loaded(const std::function<void(const BatchRecord&)>& visit) const;

 private:
  // What many batches have in common.
  struct Shape {
    std::string state, version, dataset_key, location, content_algorithm, wrap_algorithm;
    PlaceMark place;
    std::map<std::string, Positions> on;
    std::vector<std::string> reached_by;
    auto operator<=>(const Shape&) const = default;
  };
  struct ByShape {
    bool operator()(const std::shared_ptr<const Shape>& a, const std::shared_ptr<const Shape>& b) const {
      return *a < *b;
    }
  };
  using Key = std::array<uint8_t, 16>;
  struct Packed {
    Key id;
    Digest32 root;
    const Shape* shape;
    int64_t n, bytes, replaced;
    uint64_t seq, done_seq;
    Millis since;
  };
  static constexpr size_t kPage = 128;

  static Key key_of(const std::string& id);
  static BatchRecord unpacked(const Packed& packed);
  void put_at_rest(BatchRecord batch) const;
  void take_from_rest(const Key& id);
  Packed& rest(size_t i) const { return pages_[i / kPage][i % kPage]; }
  // Where a batch's place stands in at_, or the empty slot where it belongs.
  size_t slot_of(const Key& id) const;
  void grow() const;
  bool is_at_rest(const Key& id) const { return !at_.empty() && at_[slot_of(id)] != 0; }
  void count(const BatchRecord& batch, int64_t sign);
  void load() const;

  BatchesByKind kinds_;
  BatchesUnder under_;
  GivenUp given_up_;
  std::vector<BatchRecord> open_;
  mutable Loader loader_;                           // empty: all are in memory
  mutable std::vector<std::vector<Packed>> pages_;  // those at rest: nothing moves as they grow
  mutable size_t count_ = 0;
  mutable std::vector<uint32_t> at_;  // by hash: place among those at rest + 1; 0: empty
  mutable std::set<std::shared_ptr<const Shape>, ByShape> shapes_;
  mutable const Shape* last_shape_ = nullptr;
};

}  // namespace kesu
