// The full check: everything recomputed from the bytes on disk, every difference named.
#include <algorithm>
#include <bit>
#include <map>
#include <unordered_map>

#include "base/crew.h"
#include "base/error.h"
#include "base/interrupt.h"
#include "crypto/hash.h"
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
  Check(Store& store, const BlobsOf& named_blobs, const SegmentsOf& named_segments,
        const std::function<void(const StoredEntry*)>& each)
      : store_(store), named_blobs_(named_blobs), named_segments_(named_segments), each_(each) {
    try {
      leaves_.reserve(store.size());
    } catch (const Error&) {  // the tree head is damaged: said when it is looked at
    }
  }

  void note(std::string what, std::string why, Severity severity = Severity::failure) {
    findings_.push_back({std::move(what), std::move(why), severity});
  }

  void entry(Decoded& entry);
  void stream(std::string_view id, int64_t version);
  void ledger_end(const RawState& state);
  void checkpoints(const RawState& state,
                   const std::function<std::string(const SavedCheckpoint&)>& verify_note);
  void head(const RawState& state);
  void streams();
  void blobs();
  void segments();
  std::vector<LedgerFinding> take() { return std::move(findings_); }

 private:
  struct Segment {
    uint64_t seq = 0;
    Digest32 digest{};
    bool stated = false, lies = false;
  };
  using SegmentKey = std::pair<StreamKey, StreamKey>;
  struct HashSegmentKey {
    size_t operator()(const SegmentKey& k) const { return HashStreamKey()(k.second); }
  };

  void name_segment(const std::string& name, const std::string& digest, uint64_t seq);
  void header_in_order(const Decoded& entry, const std::string& what);
  void checkpoint(const SavedCheckpoint& saved, uint64_t& matched);

  Store& store_;
  const BlobsOf& named_blobs_;
  const SegmentsOf& named_segments_;
  const std::function<void(const StoredEntry*)>& each_;
  std::vector<LedgerFinding> findings_;

  uint64_t next_ = 0;  // seq that should come next
  std::optional<uint64_t> first_missing_;
  Millis last_time_ = 0;
  std::vector<Digest32> leaves_;  // as stored, while nothing is missing
  TreeHead tree_;                 // of the first of them: it grows along with checkpoints, then to the end
  std::unordered_map<StreamKey, int64_t, HashStreamKey> streams_;
  std::map<std::string, std::string> wrong_streams_;                  // name → what is wrong
  std::map<Digest32, uint64_t> blobs_;                                // digest → first entry that names it
  std::unordered_map<SegmentKey, Segment, HashSegmentKey> segments_;  // by dataset and batch
  std::map<std::string, uint64_t> no_segments_;  // names that cannot be a segment's → entry
};

// Times and streams go by every header that can be read, also of an entry that is otherwise broken.
void Check::header_in_order(const Decoded& d, const std::string& what) {
  const Header& header = d.entry.entry.header;
  if (header.time < last_time_)
    note(what, "its time " + utc_text(header.time) + " is before that of the entry before, " +
                   utc_text(last_time_));
  last_time_ = std::max(last_time_, header.time);
  for (const StreamKey& key : d.streams) ++streams_[key];
}

void Check::entry(Decoded& d) {
  const RawEntry& raw = d.raw;
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
    leaves_.push_back(leaf);
  }
  if (each_) {
    d.entry.entry.salt = std::move(d.raw.salt);
    d.entry.canonical_header = std::move(d.raw.header);
    d.entry.canonical_body = std::move(d.raw.body);
    each_(d.whole ? &d.entry : nullptr);
  }
  if (!d.whole) return;
  for (const std::string& digest : named_blobs_(d.entry))
    if (auto bytes = unhex32(digest)) blobs_.emplace(*bytes, seq);
  for (auto& [name, digest] : named_segments_(d.entry)) name_segment(name, digest, seq);
}

void Check::name_segment(const std::string& name, const std::string& digest, uint64_t seq) {
  const size_t slash = std::min(name.find('/'), name.size());
  auto dataset = StreamKey::of(name.substr(0, slash));
  auto batch = slash == name.size() ? std::nullopt : StreamKey::of(name.substr(slash + 1));
  const auto stated = digest.empty() ? std::nullopt : unhex32(digest);
  if (!dataset || !batch || (!digest.empty() && !stated)) {
    no_segments_.emplace(name, seq);
    return;
  }
  auto [it, fresh] = segments_.try_emplace({*dataset, *batch}, Segment{seq, {}, false, false});
  Segment& s = it->second;
  if (!stated) return;
  if (!s.stated) {
    s.seq = seq;
    s.digest = *stated;
    s.stated = true;
  } else if (s.digest != *stated) {
    note("segment " + name, "entries " + std::to_string(s.seq) + " and " + std::to_string(seq) +
                                " name it with different digests");
  }
}

void Check::ledger_end(const RawState& state) {
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
  if (point.size > leaves_.size())
    return note(what, "cannot match: " + entries_text(*first_missing_, *first_missing_ + 1) +
                          " before it is missing");
  while (tree_.size() < point.size) tree_.add(leaves_[tree_.size()]);
  if (tree_.root() != point.root)
    return note(what, "the entries give another root: among " +
                          entries_text(std::min(matched, point.size - 1), point.size) +
                          (matched ? " (what is before matches an earlier checkpoint)" : "") +
                          " something was changed, inserted, removed or put in another order");
  matched = std::max(matched, point.size);
}

void Check::checkpoints(const RawState& state,
                        const std::function<std::string(const SavedCheckpoint&)>& verify_note) {
  uint64_t matched = 0;
  for (const SavedCheckpoint& saved : state.checkpoints) {
    if (auto why = verify_note(saved); !why.empty()) note("checkpoint " + std::to_string(saved.size), why);
    checkpoint(saved, matched);  // they come by size
  }
}

void Check::head(const RawState& state) {
  if (!state.head_present || first_missing_) return;
  if (state.size != static_cast<int64_t>(next_)) return;  // named already
  while (tree_.size() < leaves_.size()) tree_.add(leaves_[tree_.size()]);
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
void Check::stream(std::string_view id, int64_t version) {
  const std::string table = "the table says " + std::to_string(version);
  auto key = StreamKey::of(id);
  auto it = key ? streams_.find(*key) : streams_.end();
  if (it == streams_.end() || key->text() != id) {
    wrong_streams_[std::string(id)] = table + ", no entry names it";
    return;
  }
  if (it->second != version)
    wrong_streams_[std::string(id)] = table + ", the entries " + std::to_string(it->second);
  streams_.erase(it);
}

void Check::streams() {
  for (const auto& [key, version] : streams_)
    wrong_streams_[key.text()] = "the table says 0, the entries " + std::to_string(version);
  for (auto& [id, why] : wrong_streams_) note("stream " + id, std::move(why));
  streams_ = {};  // the files come now, and need room of their own
  leaves_ = {};
}

void Check::blobs() {
  std::vector<std::string> there = store_.blobs();
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

void Check::segments() {
  const auto lying = store_.segments();
  std::vector<std::string> altered(lying.size());
  Crew crew;
  crew.each(lying.size(), [&](unsigned, size_t i) {
    const auto& [dataset, batch] = lying[i];
    auto named = segments_.find({*StreamKey::of(dataset), *StreamKey::of(batch)});
    if (named == segments_.end()) return;
    Segment& s = named->second;
    s.lies = true;
    try {
      if (s.stated && sha256(store_.segment(dataset, batch)) != s.digest)
        altered[i] = "altered: not the bytes that entry " + std::to_string(s.seq) + " names";
    } catch (const Error& e) {
      altered[i] = words_of(e);
    }
  });
  check_interrupted();
  for (size_t i = 0; i < lying.size(); ++i) {
    const auto& [dataset, batch] = lying[i];
    const std::string what = "segment " + dataset + " " + batch;
    if (!altered[i].empty())
      note(what, std::move(altered[i]));
    else if (!segments_.contains({*StreamKey::of(dataset), *StreamKey::of(batch)}))
      note(what, "no entry names it: an interrupted command left it", Severity::note);
  }
  std::map<std::string, uint64_t> missing;
  for (const auto& [name, seq] : no_segments_) {
    const size_t slash = std::min(name.find('/'), name.size());
    missing[name.substr(0, slash) + " " + name.substr(std::min(slash + 1, name.size()))] = seq;
  }
  for (const auto& [key, s] : segments_)
    if (!s.lies) missing[key.first.text() + " " + key.second.text()] = s.seq;
  for (const auto& [name, seq] : missing)
    note("segment " + name, "missing; entry " + std::to_string(seq) + " names it");
}

}  // namespace

std::vector<LedgerFinding> verify_store(Store& store,
                                        const std::function<std::string(const SavedCheckpoint&)>& verify_note,
                                        const BlobsOf& named_blobs, const SegmentsOf& named_segments,
                                        const std::function<bool(const Header&)>& wants_body,
                                        const std::function<void(const StoredEntry*)>& each) {
  Check check(store, named_blobs, named_segments, each);
  RawState state;
  {
    std::optional<Error> torn;
    Line line(wants_body, [&](Decoded& d) { check.entry(d); });
    Crew crew;
    crew.run([&](unsigned worker) {
      if (worker != 0) return line.help();
      line.lead([&](const std::function<void(RawEntry)>& take) {
        try {
          state = store.read_raw(take, [&](std::string_view id, int64_t version) {
            line.finish();
            check.stream(id, version);
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
  check.ledger_end(state);
  check.checkpoints(state, verify_note);
  check.head(state);
  check.streams();
  check.blobs();
  check.segments();
  return check.take();
}

}  // namespace kesu
