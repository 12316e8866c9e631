// Both sides of a process that re-wraps: they are one build of kesu on one machine, and speak so.
#include "seal/rewrapper.h"

#include <cstring>
#include <map>

#include "base/error.h"
#include "provider/wrap_checked.h"

namespace kesu {

namespace {
// A request: its size in four bytes, the header region. An answer: a verdict, the slot's index, the slot.
constexpr size_t kRequest = 4 + kRegionBytes;
constexpr size_t kAnswer = 2 + kSlotBytes;
// done; not done, and nothing was wrapped; failed from the wrapping on.
constexpr uint8_t kDone = 'y', kNothing = 'n', kFailed = 'f';
constexpr size_t kSent = 16 * kRequest;  // bytes that are collected before they are sent

using Keys = std::map<VersionRef, KeyRef>;

const KeyRef& key_of(const Keys& keys, const VersionRef& version) {
  const auto it = keys.find(version);
  if (it == keys.end())
    throw Error(Code::object_absent, "key version " + version.brief() + " is not known here");
  return it->second;
}

void carry_over(Provider& provider, const Keys& keys, const VersionRef& to, ByteView bytes, uint8_t* answer) {
  answer[0] = kNothing;
  try {
    const Region region = parse_region(bytes);
    const OpenedKey opened = open_key(region, [&](const Slot& slot, ByteView aad) {
      return provider.unwrap(key_of(keys, slot.version), slot.wrapped, aad);
    });
    check_key(region, opened);
    const ObjectHeader& h = region.header;
    const Bytes aad = wrap_aad(h.vault, h.dataset, h.object, to);
    answer[0] = kFailed;
    const NextSlot next = next_slot(
        region, opened, to, wrap_checked(provider, key_of(keys, to), opened.data_key, aad, "an object"));
    const auto slot = slot_bytes(next.slot);
    answer[1] = static_cast<uint8_t>(next.index);
    std::memcpy(answer + 2, slot.data(), slot.size());
    answer[0] = kDone;
  } catch (const Error&) {  // the parent finds out for itself, and names the file
  }
}
}  // namespace

std::unique_ptr<Rewrapper> Rewrapper::start(const std::string& program, const std::string& uri,
                                            const ProviderIdentity& identity, const Versions& versions,
                                            const VersionRef& to, const LoginProcess::Waits& waits) {
  Json refs = Json::array({});
  for (auto& [version, ref] : versions)
    refs.push(Json::object({{"version", version.str()}, {"ref", ref.to_json()}}));
  std::unique_ptr<Rewrapper> made(new Rewrapper);
  made->process_ = LoginProcess::start(program, "rewrap", uri, identity,
                                       Json::object({{"keys", refs}, {"to", to.str()}}), {}, waits);
  return made->process_ ? std::move(made) : nullptr;
}

void Rewrapper::submit(ByteView region) {
  if (region.size() != kRegionBytes || open_ == kOpen)
    throw Error(Code::failed, "a process that re-wraps cannot take this object now");
  const auto size = static_cast<uint32_t>(kRequest);
  const size_t at = out_.size();
  out_.resize(at + kRequest);
  std::memcpy(out_.data() + at, &size, sizeof size);
  std::memcpy(out_.data() + at + sizeof size, region.data(), region.size());
  ++open_;
  if (out_.size() >= kSent) hand_over();
}

void Rewrapper::hand_over() {
  process_->send(out_);
  out_.clear();
}

std::optional<Rewrapper::Written> Rewrapper::take() {
  if (open_ == 0) throw Error(Code::failed, "a process that re-wraps was asked for nothing");
  --open_;
  hand_over();
  while (in_.size() - read_ < kAnswer) {
    in_.erase(in_.begin(), in_.begin() + static_cast<ptrdiff_t>(read_));
    read_ = 0;
    const size_t held = in_.size();
    in_.resize(held + 16 * kAnswer);
    const size_t got = process_->receive(std::span(in_).subspan(held));
    in_.resize(held + got);
    if (got) continue;
    if (!process_->dead()) (void)process_->readable();
    if (process_->dead()) return std::nullopt;
  }
  const uint8_t* answer = in_.data() + read_;
  read_ += kAnswer;
  if (answer[0] == kDone && answer[1] <= 1)
    return Written{1024 + answer[1] * kSlotBytes, Bytes(answer + 2, answer + kAnswer)};
  if (answer[0] == kFailed) process_->give_up("failed at a wrap that it had begun");
  if (answer[0] != kNothing) process_->give_up();
  return std::nullopt;
}

void serve_rewraps(ProviderFactory& factory, int fd) {
  const auto parent = log_in_beside(factory, fd, 0);
  if (!parent) return;
  Keys keys;
  for (const Json& key : parent->request.at("keys").as_array())
    keys.emplace(*VersionRef::parse(key.str("version")), KeyRef::from_json(key.at("ref")));
  const VersionRef to = *VersionRef::parse(parent->request.str("to"));
  serve_frames(fd, kRequest, kRequest, [&](std::span<const uint8_t> frame, Bytes& answers) {
    const size_t at = answers.size();
    answers.resize(at + kAnswer);
    carry_over(*parent->provider, keys, to, frame.subspan(4), answers.data() + at);
    return true;
  });
}

}  // namespace kesu
