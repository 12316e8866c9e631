#include "app/reseal_stream.h"

#include <algorithm>
#include <cstring>
#include <thread>

#include "app/inventory_look.h"
#include "base/interrupt.h"

namespace kesu {

namespace {
constexpr size_t kRoom = 4u << 20;  // bytes of a pipe

Error other_object(const std::string& place, const std::string& why) {
  return Error(Code::sealed_damaged, place + " is not the object that was sealed there").cause(why);
}
}  // namespace

PlainPipe::~PlainPipe() {
  for (Bytes& piece : pieces_) wipe(piece);
}

void PlainPipe::put(ByteView piece) {
  if (piece.empty()) return;
  std::unique_lock lock(mutex_);
  moved_.wait(lock, [&] { return held_ < kRoom || closed_; });
  if (closed_) throw Error(Code::interrupted, "sealing ended before all was opened");
  pieces_.push_back(to_bytes(piece));
  held_ += piece.size();
  moved_.notify_all();
}

void PlainPipe::end(std::exception_ptr failure) {
  std::lock_guard lock(mutex_);
  ended_ = true;
  failure_ = failure;
  moved_.notify_all();
}

void PlainPipe::close() {
  std::lock_guard lock(mutex_);
  closed_ = true;
  moved_.notify_all();
}

size_t PlainPipe::take(std::span<uint8_t> out) {
  std::unique_lock lock(mutex_);
  moved_.wait(lock, [&] { return !pieces_.empty() || ended_; });
  // What comes before damage is sealed with it, and thrown away with it: the failure is as good at once.
  if (failure_) std::rethrow_exception(failure_);
  if (pieces_.empty()) return 0;
  Bytes& first = pieces_.front();
  const size_t n = std::min(out.size(), first.size() - at_);
  std::memcpy(out.data(), first.data() + at_, n);
  at_ += n;
  held_ -= n;
  if (at_ == first.size()) {
    wipe(first);
    pieces_.pop_front();
    at_ = 0;
  }
  moved_.notify_all();
  return n;
}

Digest32 digest_of(const SealedInput& in, const UnwrapKey& unwrap, const Bytes& salt, Crew* crew,
                   uint64_t& bytes) {
  HmacSha256 mac{std::span<const uint8_t>(salt)};
  bytes = open_object(
              in, unwrap, [](const Metadata&) {}, [&](ByteView piece) { mac.update(piece); }, crew)
              .plain_bytes;
  return mac.finish();
}

void ResealOrigin::read(SealSource& source, unsigned worker, Crew& crew, const SealBytes& seal) {
  const ResealedObject& o = *source.from;
  const SealedFileAt file(o.at);
  const ObjectInfo info = inspect_object(file.input());
  const ObjectHeader& h = info.region.header;
  if (h.vault != vault_.id() || h.dataset.str() != from_ || h.object != o.was.object)
    throw other_object(o.at, "its header names another object, dataset or vault");
  if (info.payload_size != o.was.bytes)
    throw other_object(o.at, "its payload has " + std::to_string(info.payload_size) +
                                 " bytes, the inventory says " + std::to_string(o.was.bytes));
  if (!h.payload_bound && inventory_leaf(h, {}) != o.was.leaf)
    throw other_object(o.at, "its header is not the one that was sealed");
  if (crew.size() == 1)
    read_small(source, worker, file.input(), info.payload_size, seal);
  else
    read_large(source, worker, file.input(), seal);
}

// What the metadata says is known now: under which name it goes, and whether that is free.
void ResealOrigin::begin(SealSource& source, const Metadata& m) {
  const ResealedObject& o = *source.from;
  if (m.name != o.was.name) throw other_object(o.at, "the name sealed in it is not the one in the inventory");
  source.kind = m.kind;
  if (m.kind == "manifest") return;  // each has a place of its own
  std::lock_guard lock(mutex_);
  if (o.taken || !names_.insert(KnownObjects::key_of(m.name)).second)
    throw Error(Code::already_exists, "another object of that name is in the dataset already: " + m.name)
        .cause("nothing is sealed over")
        .next("reseal it to another place: --into DIR2");
}

void ResealOrigin::read_small(SealSource& source, unsigned worker, const SealedInput& in, uint64_t size,
                              const SealBytes& seal) {
  ResealedObject& o = *source.from;
  struct Plain {
    Bytes bytes;
    ~Plain() { wipe(bytes); }
  } plain;
  plain.bytes.resize(size);
  size_t have = 0;
  Metadata metadata;
  open_object(
      in, [&](const Slot& slot, ByteView aad) { return lanes_.unwrap(worker, slot, aad); },
      [&](const Metadata& m) { begin(source, metadata = m); },
      [&](ByteView piece) {
        if (piece.size() > size - have) throw Error(Code::conflict, o.at + " changed while it was read");
        std::copy(piece.begin(), piece.end(), plain.bytes.begin() + static_cast<ptrdiff_t>(have));
        have += piece.size();
      });
  if (have != size) throw Error(Code::conflict, o.at + " changed while it was read");
  HmacSha256 mac{std::span<const uint8_t>(o.was.salt)};
  o.digest = mac.update(plain.bytes).finish();
  size_t at = 0;
  seal(metadata, [&](std::span<uint8_t> out) {
    const size_t n = std::min(out.size(), plain.bytes.size() - at);
    std::memcpy(out.data(), plain.bytes.data() + at, n);
    at += n;
    return n;
  });
}

// Opened by threads of its own, a few MiB ahead of those that seal.
void ResealOrigin::read_large(SealSource& source, unsigned worker, const SealedInput& in,
                              const SealBytes& seal) {
  ResealedObject& o = *source.from;
  PlainPipe pipe;
  std::mutex mutex;
  std::condition_variable known;
  std::optional<Metadata> metadata;
  std::exception_ptr failure;
  bool ended = false;
  HmacSha256 mac{std::span<const uint8_t>(o.was.salt)};
  std::thread opener([&] {
    std::exception_ptr why;
    try {
      open_object(
          in, [&](const Slot& slot, ByteView aad) { return lanes_.unwrap(worker, slot, aad); },
          [&](const Metadata& m) {
            // From here on this lane's provider is the sealing thread's.
            std::lock_guard lock(mutex);
            metadata = m;
            known.notify_all();
          },
          [&](ByteView piece) {
            mac.update(piece);
            pipe.put(piece);
          },
          &opening_);
    } catch (...) {
      why = std::current_exception();
    }
    pipe.end(why);
    std::lock_guard lock(mutex);
    failure = why;
    ended = true;
    known.notify_all();
  });
  struct Join {
    PlainPipe& pipe;
    std::thread& thread;
    ~Join() {
      pipe.close();
      thread.join();
    }
  } join{pipe, opener};
  {
    std::unique_lock lock(mutex);
    known.wait(lock, [&] { return metadata || ended; });
    if (!metadata) std::rethrow_exception(failure);
  }
  begin(source, *metadata);
  seal(*metadata, [&](std::span<uint8_t> out) { return pipe.take(out); });
  {
    std::unique_lock lock(mutex);
    known.wait(lock, [&] { return ended; });
    if (failure) std::rethrow_exception(failure);
  }
  o.digest = mac.finish();
}

void ResealOrigin::check(const SealSource& source, unsigned worker, Crew& crew, const SealedInput& part) {
  const ResealedObject& o = *source.from;
  uint64_t bytes = 0;
  const Digest32 now = digest_of(
      part, [&](const Slot& slot, ByteView aad) { return lanes_.unwrap(worker, slot, aad); }, o.was.salt,
      &crew, bytes);
  if (bytes != o.was.bytes || now != o.digest)
    throw Error(Code::conflict, "what was sealed of " + o.at + " does not open to the same bytes")
        .cause("memory or disk at fault, or the file was changed meanwhile")
        .next("the same command again");
}

void ResealOrigin::intended(const std::vector<const SealSource*>& sources, Json& body) {
  Json objects(Json::Array{});
  for (const SealSource* s : sources) objects.push(hex(s->from->was.object.bytes()));
  body.set("reseals", Json::object({{"dataset", from_}, {"objects", objects}}));
}

std::vector<Event> ResealOrigin::sealed(const BatchId& batch, const std::vector<Sealed>& objects) {
  Json rows(Json::Array{});
  for (const Sealed& s : objects) {
    rows.push(link_row(s.from->was.object, s.object->object, static_cast<int64_t>(s.from->was.bytes),
                       s.from->digest));
    links_.add(s.from->was.object, s.object->object);
  }
  const std::string document = vault_.store().put_blob(as_bytes(rows.canonical()));
  links_.add_document(document);
  return {links_entry(vault_, from_, to_, batch.str(), document)};
}

}  // namespace kesu
