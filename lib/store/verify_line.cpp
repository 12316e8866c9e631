#include "store/verify_line_impl.h"

#include <algorithm>

#include "base/interrupt.h"

namespace kesu {

std::string words_of(const Error& e) {
  return e.cause().empty() ? e.message() : e.message() + ": " + e.cause();
}

std::vector<std::string_view> streams_of(const Header& header) {
  std::vector<std::string_view> out;
  out.reserve(header.nodes.size() + 2 * header.edges.size());
  auto add = [&](std::string_view id) {
    if (std::find(out.begin(), out.end(), id) == out.end()) out.push_back(id);
  };
  for (const NodeMention& m : header.nodes) add(m.id);
  for (const auto& [from, to] : header.edges) {
    add(from);
    add(to);
  }
  return out;
}

namespace {
void name_segment(const std::string& name, const std::string& digest, Decoded& out) {
  const size_t slash = std::min(name.find('/'), name.size());
  const auto dataset = PackedId::of(std::string_view(name).substr(0, slash));
  const auto batch =
      slash == name.size() ? std::nullopt : PackedId::of(std::string_view(name).substr(slash + 1));
  const auto stated = digest.empty() ? std::nullopt : unhex32(digest);
  if (!dataset || !batch || (!digest.empty() && !stated))
    out.no_segments.push_back(name);
  else
    out.segments.push_back({*dataset, *batch, stated});
}
}  // namespace

// Parses and recomputes; every way in which the row is not a whole entry becomes a finding.
void decode(const RawRow& r, const EntryRules& rules, Decoded& out) {
  out.raw = r;
  auto wrong = [&](std::string& where, std::string why) {
    where = std::move(why);
    out.whole = false;
  };
  if (!r.odd.empty()) out.before.emplace_back(r.odd);  // its bytes may still be whole
  out.entry.leaf = leaf_hash(r.header, body_hash(r.salt, r.body));
  if (r.leaf.size() != 32)
    wrong(out.before.emplace_back(), "its stored leaf has " + std::to_string(r.leaf.size()) + " bytes");
  else if (!std::equal(r.leaf.begin(), r.leaf.end(), out.entry.leaf.begin()))
    wrong(out.before.emplace_back(), "it was changed: header, salt and body do not give its leaf");
  if (r.salt.size() != kSaltBytes)
    wrong(out.before.emplace_back(), "its salt has " + std::to_string(r.salt.size()) + " bytes");
  Header& header = out.entry.entry.header;
  try {
    header = Header::parse(r.header);
    out.header_good = true;
    for (std::string_view stream : streams_of(header)) out.streams += rules.tally(stream);
    if (static_cast<int64_t>(header.seq) != r.row)
      wrong(out.in_header, "it stands at another place: its header says entry " + std::to_string(header.seq));
  } catch (const Error& e) {
    wrong(out.in_header, words_of(e));
  }
  // A body that names the command that it belongs to is looked at whatever its type.
  const bool wanted =
      out.whole && (!rules.wants_body || rules.wants_body(header) || r.body.starts_with("{\"command\":"));
  if (wanted || !is_canonical_json_object(r.body)) try {
      out.entry.entry.body = parse_canonical_json(r.body, "ledger body");
      if (!out.entry.entry.body.is_object()) wrong(out.in_body, "its body is no object");
    } catch (const Error& e) {
      wrong(out.in_body, words_of(e));
    }
  if (!out.whole) return;
  for (const std::string& digest : rules.blobs(out.entry))
    if (auto bytes = unhex32(digest)) out.blobs.push_back(*bytes);
  for (const auto& [name, digest] : rules.segments(out.entry)) name_segment(name, digest, out);
}

void Line::lead(const std::function<void(const std::function<void(const RawRow&)>&)>& give) {
  struct End {
    Line& line;
    ~End() {
      std::lock_guard lock(line.mutex_);
      line.over_ = true;
      line.changed_.notify_all();
    }
  } end{*this};
  give([this](const RawRow& row) {
    add(row);
    if (filling_->rows.size() < kRows && filling_->bytes.size() < kBytes) return;
    check_interrupted();
    push();
    take_done(kAhead);
  });
  finish();
}

void Line::add(const RawRow& row) {
  if (!filling_) {
    if (spare_.empty()) {
      filling_ = std::make_unique<Chunk>();
    } else {
      filling_ = std::move(spare_.back());
      spare_.pop_back();
    }
  }
  std::string& bytes = filling_->bytes;
  filling_->rows.push_back(
      {row.row, bytes.size(), row.header.size(), row.body.size(), row.salt.size(), row.leaf.size(), row.odd});
  bytes.append(row.header).append(row.body).append(as_text(row.salt)).append(as_text(row.leaf));
}

void Line::finish() {
  push();
  take_done(0);
}

void Line::help() {
  std::unique_lock lock(mutex_);
  for (;;) {
    if (Chunk* chunk = waiting()) {
      check(*chunk, lock);
      changed_.notify_all();
    } else if (over_) {
      return;
    } else {
      changed_.wait(lock);
    }
  }
}

void Line::push() {
  if (!filling_) return;
  filling_->state = Chunk::waiting;
  std::lock_guard lock(mutex_);
  order_.push_back(std::move(filling_));
  changed_.notify_one();
}

Line::Chunk* Line::waiting() {
  for (auto& chunk : order_)
    if (chunk->state == Chunk::waiting) return chunk.get();
  return nullptr;
}

void Line::check(Chunk& chunk, std::unique_lock<std::mutex>& lock) {
  chunk.state = Chunk::taken;
  lock.unlock();
  try {
    chunk.out.clear();
    chunk.out.resize(chunk.rows.size());
    for (size_t i = 0; i < chunk.rows.size(); ++i) {
      const Place& p = chunk.rows[i];
      std::string_view rest = std::string_view(chunk.bytes).substr(p.at);
      auto next = [&](size_t size) {
        const std::string_view part = rest.substr(0, size);
        rest.remove_prefix(size);
        return part;
      };
      RawRow row;
      row.row = p.row;
      row.odd = p.odd;
      row.header = next(p.header);
      row.body = next(p.body);
      row.salt = as_bytes(next(p.salt));
      row.leaf = as_bytes(next(p.leaf));
      decode(row, rules_, chunk.out[i]);
    }
  } catch (...) {
    chunk.error = std::current_exception();
  }
  lock.lock();
  chunk.state = Chunk::done;
}

// Hands on what is done, until no more than `left` chunks are under way; does some of it itself meanwhile.
void Line::take_done(size_t left) {
  std::unique_lock lock(mutex_);
  while (!order_.empty()) {
    if (order_.front()->state == Chunk::done) {
      std::unique_ptr<Chunk> chunk = std::move(order_.front());
      order_.pop_front();
      lock.unlock();
      if (chunk->error) std::rethrow_exception(chunk->error);
      for (Decoded& d : chunk->out) next_(d);
      chunk->rows.clear();
      chunk->bytes.clear();
      if (chunk->bytes.capacity() <= 2 * kBytes) spare_.push_back(std::move(chunk));
      lock.lock();
    } else if (order_.size() <= left) {
      return;
    } else if (Chunk* mine = waiting()) {
      check(*mine, lock);
    } else {
      changed_.wait(lock);
    }
  }
}

}  // namespace kesu
