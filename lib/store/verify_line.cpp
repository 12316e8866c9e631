#include "store/verify_line_impl.h"

#include <algorithm>

#include "base/interrupt.h"

namespace kesu {

std::string words_of(const Error& e) {
  return e.cause().empty() ? e.message() : e.message() + ": " + e.cause();
}

// Parses and recomputes; every way in which the row is not a whole entry becomes a finding.
Decoded decoded(RawEntry raw, const std::function<bool(const Header&)>& wants_body) {
  Decoded out;
  out.raw = std::move(raw);
  const RawEntry& r = out.raw;
  auto wrong = [&](std::string& where, std::string why) {
    where = std::move(why);
    out.whole = false;
  };
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
    for (const NodeMention& m : header.nodes) out.streams.push_back(*StreamKey::of(m.id));
    for (const auto& [from, to] : header.edges) {
      out.streams.push_back(*StreamKey::of(from));
      out.streams.push_back(*StreamKey::of(to));
    }
    std::sort(out.streams.begin(), out.streams.end());
    out.streams.erase(std::unique(out.streams.begin(), out.streams.end()), out.streams.end());
    if (static_cast<int64_t>(header.seq) != r.row)
      wrong(out.in_header, "it stands at another place: its header says entry " + std::to_string(header.seq));
  } catch (const Error& e) {
    wrong(out.in_header, words_of(e));
  }
  const bool wanted = out.whole && (!wants_body || wants_body(header));
  if (wanted || !is_canonical_json_object(r.body)) try {
      out.entry.entry.body = parse_canonical_json(r.body, "ledger body");
      if (!out.entry.entry.body.is_object()) wrong(out.in_body, "its body is no object");
    } catch (const Error& e) {
      wrong(out.in_body, words_of(e));
    }
  return out;
}

void Line::lead(const std::function<void(const std::function<void(RawEntry)>&)>& give) {
  struct End {
    Line& line;
    ~End() {
      std::lock_guard lock(line.mutex_);
      line.over_ = true;
      line.changed_.notify_all();
    }
  } end{*this};
  give([this](RawEntry raw) {
    bytes_ += raw.body.size();
    filling_.push_back(std::move(raw));
    if (filling_.size() < kRows && bytes_ < kBytes) return;
    check_interrupted();
    push();
    take_done(kAhead);
  });
  finish();
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
  if (filling_.empty()) return;
  auto chunk = std::make_unique<Chunk>();
  chunk->rows = std::exchange(filling_, {});
  bytes_ = 0;
  std::lock_guard lock(mutex_);
  order_.push_back(std::move(chunk));
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
    chunk.out.reserve(chunk.rows.size());
    for (RawEntry& raw : chunk.rows) chunk.out.push_back(decoded(std::move(raw), wants_body_));
    chunk.rows.clear();
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
      chunk.reset();
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
