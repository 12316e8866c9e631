// The full check: everything recomputed from the bytes on disk, every difference named.
#include <algorithm>
#include <bit>
#include <deque>
#include <map>
#include <mutex>
#include <set>
#include <tuple>

#include "base/crew.h"
#include "base/error.h"
#include "base/interrupt.h"
#include "crypto/hash.h"
#include "crypto/random.h"
#include "ledger/checkpoint.h"
#include "store/store.h"
#include "store/verify_line_impl.h"

namespace kesu {

namespace {

std::string entries_text(uint64_t from, uint64_t to) {  // [from, to)
  return to - from == 1 ? "entry " + std::to_string(from)
                        : "entries " + std::to_string(from) + " to " + std::to_string(to - 1);
}

class Check {
 public:
  Check(Store& store, const EntryRules& rules, const std::function<void(StoredEntry*)>& each)
      : store_(store), rules_(rules), each_(each) {}

  void note(std::string what, std::string why, Severity severity = Severity::failure) {
    findings_.push_back({std::move(what), std::move(why), severity});
  }

  void begin(const RawState& state);
  void entry(Decoded& entry);
  void stream(const RawStream& stream);
  void ledger_end();
  void checkpoints(const std::function<std::string(const SavedCheckpoint&)>& verify_note);
  void head();
  void streams();
  void blobs(LedgerCounts& counts);
  void segments(LedgerCounts& counts);
  std::vector<LedgerFinding> take() { return std::move(findings_); }

 private:
  // One for each naming; then, sorted, one for each segment.
  struct Segment {
    PackedId dataset, batch;
    Digest32 digest{};
    uint64_t seq = 0;
    bool stated = false, lies = false;
    std::pair<const PackedId&, const PackedId&> key() const { return {dataset, batch}; }
    std::string name(char between) const { return dataset.text() + between + batch.text(); }
  };

  void header_in_order(const Decoded& entry, const std::string& what);
  void checkpoint(const SavedCheckpoint& saved, uint64_t& matched);
  void add_leaf(const Digest32& leaf);
  void sort_segments();
  Segment* find_segment(const PackedId& dataset, const PackedId& batch);

  Store& store_;
  const EntryRules& rules_;
  const std::function<void(StoredEntry*)>& each_;
  std::vector<LedgerFinding> findings_;

  RawState state_;
  uint64_t next_ = 0;  // seq that should come next
  std::optional<uint64_t> first_missing_;
  Millis last_time_ = 0;
  TreeHead tree_;                       // of the leaves as stored, while nothing is missing
  std::map<uint64_t, Digest32> roots_;  // of the sizes that have checkpoints
  std::map<uint64_t, Digest32>::iterator next_root_ = roots_.end();
  Tally streams_by_entries_, streams_by_table_;
  std::optional<std::string> last_stream_;       // of the table
  std::map<Digest32, uint64_t> blobs_;           // digest → first entry that names it
  std::deque<Segment> segments_;                 // moves nothing as it grows
  std::map<std::string, uint64_t> no_segments_;  // names that cannot be a segment's → entry
};

void Check::begin(const RawState& state) {
  state_ = state;
  for (LedgerFinding& odd : state_.odd) findings_.push_back(std::move(odd));
  for (const SavedCheckpoint& saved : state_.checkpoints) roots_.try_emplace(saved.size);
  next_root_ = roots_.begin();
  if (next_root_ != roots_.end() && next_root_->first == 0) (next_root_++)->second = tree_.root();
}

void Check::add_leaf(const Digest32& leaf) {
  tree_.add(leaf);
  if (next_root_ != roots_.end() && next_root_->first == tree_.size()) (next_root_++)->second = tree_.root();
}

// Times and streams go by every header that can be read, also of an entry that is otherwise broken.
void Check::header_in_order(const Decoded& d, const std::string& what) {
  const Header& header = d.entry.entry.header;
  if (header.time < last_time_)
    note(what, "its time " + utc_text(header.time) + " is before that of the entry before, " +
                   utc_text(last_time_));
  last_time_ = std::max(last_time_, header.time);
  streams_by_entries_ += d.streams;
}

void Check::entry(Decoded& d) {
  const RawRow& raw = d.raw;
  if (raw.row < 0)
    return note("entry " + std::to_string(raw.row), "it was inserted: no entry has this number");
  uint64_t seq = static_cast<uint64_t>(raw.row);
  std::string what = "entry " + std::to_string(seq);
  if (seq > next_) {
    note(entries_text(next_, seq), "missing: removed from the ledger");
    if (!first_missing_) first_missing_ = next_;
    if (each_) each_(nullptr);
  }
  next_ = seq + 1;
  for (std::string& why : d.before) note(what, std::move(why));
  if (d.header_good) header_in_order(d, what);
  if (!d.in_header.empty()) note(what, std::move(d.in_header));
  if (!d.in_body.empty()) note(what, std::move(d.in_body));
  if (!first_missing_) {
    // The stored leaf, where it is one: a checkpoint that still matches then says that only the entry was
    // changed.
    Digest32 leaf = d.entry.leaf;
    if (raw.leaf.size() == 32) std::copy(raw.leaf.begin(), raw.leaf.end(), leaf.begin());
    add_leaf(leaf);
  }
  if (d.whole) {
    for (const Digest32& digest : d.blobs) blobs_.emplace(digest, seq);
    for (const NamedSegment& s : d.segments)
      segments_.push_back({s.dataset, s.batch, s.digest.value_or(Digest32{}), seq, s.digest.has_value()});
    for (const std::string& name : d.no_segments) no_segments_.emplace(name, seq);
  }
  if (each_) each_(d.whole ? &d.entry : nullptr);
}

void Check::ledger_end() {
  const RawState& state = state_;
  if (!state.head_present) return note("tree head", "its row is missing");
  uint64_t size = state.size < 0 ? 0 : static_cast<uint64_t>(state.size);
  if (size > next_) {
    note(entries_text(next_, size), "missing: removed from the end of the ledger");
    if (!first_missing_) first_missing_ = next_;
  } else if (size < next_) {
    note(entries_text(size, next_), "inserted after the end that the tree head says");
  }
}

void Check::checkpoint(const SavedCheckpoint& saved, uint64_t& matched) {
  std::string what = "checkpoint " + std::to_string(saved.size);
  Checkpoint point;
  try {
    size_t end = saved.note.find("\n\n");
    if (end == std::string::npos) return note(what, "it is no signed note");
    point = Checkpoint::parse_text(std::string_view(saved.note).substr(0, end + 1));
  } catch (const Error& e) {
    return note(what, words_of(e));
  }
  if (point.size != saved.size) return note(what, "its note is of size " + std::to_string(point.size));
  if (point.size > next_)
    return note(what,
                "the ledger ends before it: " + entries_text(next_, point.size) + " removed from the end");
  if (point.size > tree_.size())
    return note(what, "cannot match: " + entries_text(*first_missing_, *first_missing_ + 1) +
                          " before it is missing");
  if (roots_.at(point.size) != point.root)
    return note(what, "the entries give another root: among " +
                          entries_text(std::min(matched, point.size - 1), point.size) +
                          (matched ? " (what is before matches an earlier checkpoint)" : "") +
                          " something was changed, inserted, removed or put in another order");
  matched = std::max(matched, point.size);
}

void Check::checkpoints(const std::function<std::string(const SavedCheckpoint&)>& verify_note) {
  uint64_t matched = 0;
  for (const SavedCheckpoint& saved : state_.checkpoints) {
    if (auto why = verify_note(saved); !why.empty()) note("checkpoint " + std::to_string(saved.size), why);
    checkpoint(saved, matched);  // they come by size
  }
}

void Check::head() {
  const RawState& state = state_;
  if (!state.head_present || first_missing_) return;
  if (state.size != static_cast<int64_t>(next_)) return;  // named already
  const TreeHead& tree = tree_;
  if (state.subtrees.size() != 32 * tree.subtrees().size())
    return note("tree head", "it has " + std::to_string(state.subtrees.size()) + " bytes of subtrees");
  uint64_t from = 0;
  for (size_t i = 0; i < tree.subtrees().size(); ++i) {
    uint64_t width = uint64_t{1} << (std::bit_width(tree.size() - from) - 1);
    if (!std::equal(tree.subtrees()[i].begin(), tree.subtrees()[i].end(),
                    state.subtrees.begin() + 32 * static_cast<long>(i)))
      note("tree head", entries_text(from, from + width) + " give another subtree");
    from += width;
  }
  if (state.time != last_time_ && next_ > 0)
    note("tree head", "its time is " + utc_text(state.time) + ", the last entry's " + utc_text(last_time_));
}

// A row of the table, after all entries.
void Check::stream(const RawStream& stream) {
  const auto& [id, version, odd] = stream;
  if (!odd.empty()) note("stream " + std::string(id), std::string(odd));
  // One row each, in order: only so is what a look-up finds the same as what stands here.
  if (last_stream_ && id <= *last_stream_)
    note("stream " + std::string(id), "the table has it twice, or at a place where it is not found");
  last_stream_ = id;
  if (version == 0)
    streams_by_table_ += rules_.tally("");  // no entry names that: such a row is always wrong
  else
    streams_by_table_ += rules_.tally(id).times(version);
}

// Entries and table say the same of all streams when their tallies are equal. To name those of which they do
// not, both are read once more, and counted.
void Check::streams() {
  if (streams_by_entries_ == streams_by_table_) return;
  std::map<PackedId, int64_t> named;
  std::map<std::string, std::string> wrong;  // name → what is wrong
  try {
    store_.read_raw([](const RawState&) {},
                    [&](const RawRow& row) {
                      if (row.row < 0) return;
                      check_interrupted();
                      try {
                        const Header header = Header::parse(row.header);
                        for (std::string_view id : streams_of(header)) ++named[*PackedId::of(id)];
                      } catch (const Error&) {
                      }
                    },
                    [&](const RawStream& row) {
                      const auto& [id, version, odd] = row;
                      const std::string table = "the table says " + std::to_string(version);
                      auto key = PackedId::of(id);
                      auto it = key ? named.find(*key) : named.end();
                      if (it == named.end() || key->text() != id) {
                        wrong[std::string(id)] = table + ", no entry names it";
                        return;
                      }
                      if (it->second != version)
                        wrong[std::string(id)] = table + ", the entries " + std::to_string(it->second);
                      named.erase(it);
                    });
  } catch (const Error& e) {
    if (e.code() != Code::ledger_damaged) throw;
    note("ledger", words_of(e));
  }
  for (const auto& [key, version] : named)
    wrong[key.text()] = "the table says 0, the entries " + std::to_string(version);
  for (auto& [id, why] : wrong) note("stream " + id, std::move(why));
  if (wrong.empty()) note("streams", "the table did not fit the entries; read once more, it does");
}

void Check::blobs(LedgerCounts& counts) {
  std::vector<std::string> there = store_.blobs();
  counts.blobs = there.size();
  std::sort(there.begin(), there.end());
  for (const auto& [digest, seq] : blobs_)
    if (!std::binary_search(there.begin(), there.end(), hex(digest)))
      note("blob " + hex(digest), "missing; entry " + std::to_string(seq) + " names it");
  std::vector<std::optional<Error>> wrong(there.size());
  Crew crew;
  crew.each(there.size(), [&](unsigned, size_t i) {
    try {
      store_.blob(there[i]);
    } catch (const Error& e) {
      wrong[i] = e;
    }
  });
  check_interrupted();
  for (size_t i = 0; i < there.size(); ++i) {
    if (wrong[i] && wrong[i]->code() == Code::not_found) continue;  // of no entry, and gone since
    if (wrong[i])
      note("blob " + there[i], words_of(*wrong[i]));
    else if (!blobs_.contains(*unhex32(there[i])))
      note("blob " + there[i], "no entry names it: an interrupted command left it", Severity::note);
  }
}

// Makes one of all that is said of a segment: by the first that states its digest, else the first that names
// it.
void Check::sort_segments() {
  std::sort(segments_.begin(), segments_.end(), [](const Segment& a, const Segment& b) {
    return std::tie(a.dataset, a.batch, a.seq) < std::tie(b.dataset, b.batch, b.seq);
  });
  auto last = segments_.begin();
  for (auto it = segments_.begin(); it != segments_.end(); ++it) {
    if (it == last) continue;
    if (it->key() != last->key()) {
      *++last = *it;
    } else if (it->stated && !last->stated) {
      *last = *it;
    } else if (it->stated && it->digest != last->digest) {
      note("segment " + it->name('/'), "entries " + std::to_string(last->seq) + " and " +
                                           std::to_string(it->seq) + " name it with different digests");
    }
  }
  if (last != segments_.end()) segments_.erase(last + 1, segments_.end());
}

Check::Segment* Check::find_segment(const PackedId& dataset, const PackedId& batch) {
  const std::pair<const PackedId&, const PackedId&> key(dataset, batch);
  auto it = std::lower_bound(segments_.begin(), segments_.end(), key,
                             [](const Segment& s, const auto& k) { return s.key() < k; });
  return it != segments_.end() && it->key() == key ? &*it : nullptr;
}

void Check::segments(LedgerCounts& counts) {
  sort_segments();
  const auto lying = store_.segments();
  counts.segments = lying.size();
  std::mutex mutex;
  std::map<size_t, std::string> altered;
  std::set<size_t> unnamed;
  Crew crew;
  crew.each(lying.size(), [&](unsigned, size_t i) {
    const auto& [dataset, batch] = lying[i];
    Segment* named = find_segment(*PackedId::of(dataset), *PackedId::of(batch));
    if (!named) {
      std::lock_guard lock(mutex);
      unnamed.insert(i);
      return;
    }
    named->lies = true;
    std::string why;
    try {
      if (named->stated && sha256(store_.segment(dataset, batch)) != named->digest)
        why = "altered: not the bytes that entry " + std::to_string(named->seq) + " names";
    } catch (const Error& e) {
      why = words_of(e);
    }
    if (why.empty()) return;
    std::lock_guard lock(mutex);
    altered.emplace(i, std::move(why));
  });
  check_interrupted();
  auto what = [&](size_t i) { return "segment " + lying[i].first + " " + lying[i].second; };
  for (auto& [i, why] : altered) note(what(i), std::move(why));
  for (size_t i : unnamed) note(what(i), "no entry names it: an interrupted command left it", Severity::note);
  std::map<std::string, uint64_t> missing;
  for (const auto& [name, seq] : no_segments_) {
    const size_t slash = std::min(name.find('/'), name.size());
    missing[name.substr(0, slash) + " " + name.substr(std::min(slash + 1, name.size()))] = seq;
  }
  for (const Segment& s : segments_)
    if (!s.lies) missing[s.name(' ')] = s.seq;
  for (const auto& [name, seq] : missing)
    note("segment " + name, "missing; entry " + std::to_string(seq) + " names it");
}

}  // namespace

std::vector<LedgerFinding> verify_store(Store& store,
                                        const std::function<std::string(const SavedCheckpoint&)>& verify_note,
                                        const BlobsOf& named_blobs, const SegmentsOf& named_segments,
                                        const std::function<bool(const Header&)>& wants_body,
                                        const std::function<void(StoredEntry*)>& each, LedgerCounts* counts) {
  const EntryRules rules{named_blobs, named_segments, wants_body, TallyOf(system_random())};
  Check check(store, rules, each);
  LedgerCounts ours;
  LedgerCounts& counted = counts ? *counts : ours;
  {
    std::optional<Error> torn;
    Line line(rules, [&](Decoded& d) { check.entry(d); });
    Crew crew;
    crew.run([&](unsigned worker) {
      if (worker != 0) return line.help();
      line.lead([&](const std::function<void(const RawRow&)>& take) {
        try {
          store.read_raw(
              [&](const RawState& state) {
                counted.checkpoints = state.checkpoints.size();
                check.begin(state);
              },
              take,
              [&](const RawStream& row) {
                line.finish();
                check.stream(row);
              });
        } catch (const Error& e) {
          if (e.code() != Code::ledger_damaged) throw;
          torn = e;
        }
      });
    });
    if (torn) {
      // The database itself is torn: what was read until here is all there is to say.
      check.note("ledger", words_of(*torn));
      return check.take();
    }
  }
  check.ledger_end();
  check.checkpoints(verify_note);
  check.head();
  check.streams();
  check.blobs(counted);
  check.segments(counted);
  return check.take();
}

}  // namespace kesu
