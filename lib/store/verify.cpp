// The full check: everything recomputed from the bytes on disk, every difference named.
#include <algorithm>
#include <bit>
#include <map>
#include <set>

#include "base/error.h"
#include "crypto/hash.h"
#include "ledger/checkpoint.h"
#include "store/store.h"

namespace kesu {

namespace {

std::string entries_text(uint64_t from, uint64_t to) {  // [from, to)
  return to - from == 1 ? "entry " + std::to_string(from)
                        : "entries " + std::to_string(from) + " to " + std::to_string(to - 1);
}

std::string words_of(const Error& e) {
  return e.cause().empty() ? e.message() : e.message() + ": " + e.cause();
}

class Check {
 public:
  Check(Store& store, const BlobsOf& named_blobs, const SegmentsOf& named_segments)
      : store_(store), named_blobs_(named_blobs), named_segments_(named_segments) {}

  void note(std::string what, std::string why, Severity severity = Severity::failure) {
    findings_.push_back({std::move(what), std::move(why), severity});
  }

  void entry(const RawEntry& raw);
  void ledger_end(const RawState& state);
  void checkpoints(const RawState& state,
                   const std::function<std::string(const SavedCheckpoint&)>& verify_note);
  void head(const RawState& state);
  void streams(const RawState& state);
  void blobs();
  void segments();
  std::vector<LedgerFinding> take() { return std::move(findings_); }

 private:
  std::optional<StoredEntry> decoded(const RawEntry& raw, const std::string& what);
  void header_in_order(const Header& header, const std::string& what);
  void checkpoint(const SavedCheckpoint& saved, TreeHead& tree, uint64_t& matched);

  Store& store_;
  const BlobsOf& named_blobs_;
  const SegmentsOf& named_segments_;
  std::vector<LedgerFinding> findings_;

  uint64_t next_ = 0;  // seq that should come next
  std::optional<uint64_t> first_missing_;
  Millis last_time_ = 0;
  std::vector<Digest32> leaves_;  // as stored, while nothing is missing
  std::map<std::string, int64_t> streams_;
  std::map<std::string, uint64_t> blobs_;                             // digest → first entry that names it
  std::map<std::string, std::pair<uint64_t, std::string>> segments_;  // dataset/batch → (entry, digest)
};

// Parses and recomputes; every way in which the row is not a whole entry becomes a finding.
std::optional<StoredEntry> Check::decoded(const RawEntry& raw, const std::string& what) {
  StoredEntry out;
  out.canonical_header = raw.header;
  out.canonical_body = raw.body;
  out.entry.salt = raw.salt;
  out.leaf = leaf_hash(raw.header, body_hash(raw.salt, raw.body));
  bool whole = true;
  auto wrong = [&](std::string why) {
    note(what, std::move(why));
    whole = false;
  };
  if (raw.leaf.size() != 32)
    wrong("its stored leaf has " + std::to_string(raw.leaf.size()) + " bytes");
  else if (!std::equal(raw.leaf.begin(), raw.leaf.end(), out.leaf.begin()))
    wrong("it was changed: header, salt and body do not give its leaf");
  if (raw.salt.size() != kSaltBytes) wrong("its salt has " + std::to_string(raw.salt.size()) + " bytes");
  try {
    out.entry.header = Header::parse(raw.header);
    header_in_order(out.entry.header, what);
    if (static_cast<int64_t>(out.entry.header.seq) != raw.row)
      wrong("it stands at another place: its header says entry " + std::to_string(out.entry.header.seq));
  } catch (const Error& e) {
    wrong(words_of(e));
  }
  try {
    out.entry.body = parse_canonical_json(raw.body, "ledger body");
    if (!out.entry.body.is_object()) wrong("its body is no object");
  } catch (const Error& e) {
    wrong(words_of(e));
  }
  if (!whole) return std::nullopt;
  return out;
}

// Times and streams go by every header that can be read, also of an entry that is otherwise broken.
void Check::header_in_order(const Header& header, const std::string& what) {
  if (header.time < last_time_)
    note(what, "its time " + utc_text(header.time) + " is before that of the entry before, " +
                   utc_text(last_time_));
  last_time_ = std::max(last_time_, header.time);
  std::set<std::string_view> named;
  for (const NodeMention& m : header.nodes) named.insert(m.id);
  for (const auto& [from, to] : header.edges) named.insert({from, to});
  for (std::string_view id : named) ++streams_[std::string(id)];
}

void Check::entry(const RawEntry& raw) {
  if (raw.row < 0)
    return note("entry " + std::to_string(raw.row), "it was inserted: no entry has this number");
  uint64_t seq = static_cast<uint64_t>(raw.row);
  std::string what = "entry " + std::to_string(seq);
  if (seq > next_) {
    note(entries_text(next_, seq), "missing: removed from the ledger");
    if (!first_missing_) first_missing_ = next_;
  }
  next_ = seq + 1;
  auto entry = decoded(raw, what);
  if (!first_missing_) {
    // The stored leaf, where it is one: a checkpoint that still matches then says that only the entry was
    // changed.
    Digest32 leaf = leaf_hash(raw.header, body_hash(raw.salt, raw.body));
    if (raw.leaf.size() == 32) std::copy(raw.leaf.begin(), raw.leaf.end(), leaf.begin());
    leaves_.push_back(leaf);
  }
  if (!entry) return;
  for (std::string& digest : named_blobs_(*entry)) blobs_.emplace(std::move(digest), seq);
  for (auto& [name, digest] : named_segments_(*entry)) {
    auto [it, fresh] = segments_.try_emplace(name, seq, digest);
    if (fresh || digest.empty() || it->second.second == digest) continue;
    if (it->second.second.empty())
      it->second = {seq, digest};
    else
      note("segment " + name, "entries " + std::to_string(it->second.first) + " and " + std::to_string(seq) +
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

void Check::checkpoint(const SavedCheckpoint& saved, TreeHead& tree, uint64_t& matched) {
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
  while (tree.size() < point.size) tree.add(leaves_[tree.size()]);
  if (tree.root() != point.root)
    return note(what, "the entries give another root: among " +
                          entries_text(std::min(matched, point.size - 1), point.size) +
                          (matched ? " (what is before matches an earlier checkpoint)" : "") +
                          " something was changed, inserted, removed or put in another order");
  matched = std::max(matched, point.size);
}

void Check::checkpoints(const RawState& state,
                        const std::function<std::string(const SavedCheckpoint&)>& verify_note) {
  uint64_t matched = 0;
  TreeHead tree;  // grows along with the checkpoints, which come by size
  for (const SavedCheckpoint& saved : state.checkpoints) {
    if (auto why = verify_note(saved); !why.empty()) note("checkpoint " + std::to_string(saved.size), why);
    checkpoint(saved, tree, matched);
  }
}

void Check::head(const RawState& state) {
  if (!state.head_present || first_missing_) return;
  if (state.size != static_cast<int64_t>(next_)) return;  // named already
  TreeHead tree;
  for (const Digest32& leaf : leaves_) tree.add(leaf);
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

void Check::streams(const RawState& state) {
  std::map<std::string, int64_t> stored(state.streams.begin(), state.streams.end());
  for (const auto& [id, version] : streams_) {
    auto it = stored.find(id);
    int64_t there = it == stored.end() ? 0 : it->second;
    if (there != version)
      note("stream " + id,
           "the table says " + std::to_string(there) + ", the entries " + std::to_string(version));
  }
  for (const auto& [id, version] : stored)
    if (!streams_.contains(id))
      note("stream " + id, "the table says " + std::to_string(version) + ", no entry names it");
}

void Check::blobs() {
  std::vector<std::string> there = store_.blobs();
  std::set<std::string> lying(there.begin(), there.end());
  for (const auto& [digest, seq] : blobs_)
    if (!lying.contains(digest))
      note("blob " + digest, "missing; entry " + std::to_string(seq) + " names it");
  for (const std::string& digest : lying) {
    try {
      store_.blob(digest);
    } catch (const Error& e) {
      if (e.code() == Code::not_found) continue;  // of no entry, and gone since
      note("blob " + digest, words_of(e));
      continue;
    }
    if (!blobs_.contains(digest))
      note("blob " + digest, "no entry names it: an interrupted command left it", Severity::note);
  }
}

void Check::segments() {
  std::set<std::string> lying;
  for (const auto& [dataset, batch] : store_.segments()) {
    std::string name = dataset + "/" + batch, what = "segment " + dataset + " " + batch;
    lying.insert(name);
    auto named = segments_.find(name);
    if (named == segments_.end()) {
      note(what, "no entry names it: an interrupted command left it", Severity::note);
      continue;
    }
    const auto& [seq, digest] = named->second;
    try {
      if (!digest.empty() && hex(sha256(store_.segment(dataset, batch))) != digest)
        note(what, "altered: not the bytes that entry " + std::to_string(seq) + " names");
    } catch (const Error& e) {
      note(what, words_of(e));
    }
  }
  for (const auto& [name, by] : segments_) {
    if (lying.contains(name)) continue;
    size_t slash = name.find('/');
    note(
        "segment " + name.substr(0, slash) + " " + (slash == std::string::npos ? "" : name.substr(slash + 1)),
        "missing; entry " + std::to_string(by.first) + " names it");
  }
}

}  // namespace

std::vector<LedgerFinding> verify_store(Store& store,
                                        const std::function<std::string(const SavedCheckpoint&)>& verify_note,
                                        const BlobsOf& named_blobs, const SegmentsOf& named_segments) {
  Check check(store, named_blobs, named_segments);
  RawState state;
  try {
    state = store.read_raw([&](const RawEntry& raw) { check.entry(raw); });
  } catch (const Error& e) {
    if (e.code() != Code::ledger_damaged) throw;
    // The database itself is torn: what was read until here is all there is to say.
    check.note("ledger", words_of(e));
    return check.take();
  }
  check.ledger_end(state);
  check.checkpoints(state, verify_note);
  check.head(state);
  check.streams(state);
  check.blobs();
  check.segments();
  return check.take();
}

}  // namespace kesu
