#include "app/lanes.h"

#include <cstdlib>
#include <set>

#include "crypto/mac.h"

namespace kesu {

namespace {
// Below this the other process's start and login cost more than it saves.
constexpr int64_t kProverFrom = 2000;

int64_t prover_from() {
  if (const char* text = std::getenv("KESU_PROVER"); text && *text) {
    char* end = nullptr;
    const long long n = std::strtoll(text, &end, 10);
    if (!*end && n >= 0) return n;
  }
  return kProverFrom;
}
}  // namespace

Lanes::Lanes(Vault& vault, unsigned count) : vault_(vault), lanes_(count ? count : 1) {}
Lanes::~Lanes() { say_of_processes(); }

void Lanes::say_of_processes() noexcept try {
  constexpr std::string_view kHere = "; what it was to do is done here, more slowly, and nothing is left out";
  const auto say = [&](const auto& process, bool& said) {
    if (!process || said || process->why_dead().empty()) return;
    said = true;
    vault_.env().notice("a process beside this one (kesu-probe, " + std::to_string(process->process()) +
                        ") " + process->why_dead() + " and is asked no more" + std::string(kHere));
  };
  for (auto& [id, place] : places_) say(place->prover, place->said);
  for (Lane& lane : lanes_) say(lane.mover, lane.said);
  if (!done_here_ || said_done_here_) return;
  said_done_here_ = true;
  vault_.env().notice(
      "a process beside this one (kesu-probe) says no to what succeeds here: perhaps it lost its "
      "login at the provider" +
      std::string(kHere));
} catch (...) {  // a notice that cannot be given stops no work
}

LoginProcess::Waits Lanes::say_waits() {
  return [this](pid_t process) {
    vault_.env().notice("waiting for the login of a process beside this one (kesu-probe, " +
                        std::to_string(process) +
                        "), for 10 seconds at most: then what it was to do is done here, more slowly");
  };
}

Lanes::Place& Lanes::place(const std::string& provider) {
  std::unique_ptr<Place>& slot = places_[provider];
  if (slot) return *slot;
  slot = std::make_unique<Place>();
  try {
    slot->shared = &vault_.provider(provider);
    if (slot->shared->scales())
      for (size_t i = 1; i < lanes_.size(); ++i) slot->others.push_back(slot->shared->another());
  } catch (const Error& e) {
    slot->refusal = e;
  }
  return *slot;
}

void Lanes::allow(const VersionRecord& version, ProcessFor why) {
  say_of_processes();
  if (!version.ref) return;
  Allowed a{*version.ref, nullptr, std::nullopt};
  try {
    refuse_to_process(vault_, version, why);
    a.place = &place(version.provider);
    a.refusal = a.place->refusal;
  } catch (const Error& e) {
    a.refusal = e;
  }
  versions_.insert_or_assign(version.version(), std::move(a));
}

void Lanes::allow_all(const DatasetRecord& dataset, ProcessFor why) {
  // Every version that ever wrapped for the dataset wrapped a dataset key first.
  std::set<std::string> known{dataset.key};
  for (const DatasetKeyRecord& k : dataset.keys) known.insert(VersionRef::parse(k.version)->key.str());
  for (auto& [id, key] : vault_.state().keys) {
    if (key.purpose != KeyPurpose::wrap) continue;
    for (const VersionRecord& v : key.versions)
      // A provider is not opened, and nobody asked for its PIN, for the sake of a key that the ledger never
      // saw with this dataset.
      if (known.contains(id) || vault_.provider_open(v.provider)) allow(v, why);
  }
}

Lanes::Place* Lanes::worth_a_process(const VersionRef& version, int64_t count) {
  const int64_t from = prover_from();
  auto it = versions_.find(version);
  if (it == versions_.end() || it->second.refusal || from == 0 || count < from) return nullptr;
  Place& p = *it->second.place;
  // Lanes that have sessions of their own do as much as other processes could.
  return p.others.empty() && !p.shared->scales() ? &p : nullptr;
}

Rewrapper::Versions Lanes::versions_at(const Place& place) const {
  Rewrapper::Versions out;
  for (auto& [id, allowed] : versions_)
    if (allowed.place == &place && !allowed.refusal) out.emplace_back(id, allowed.ref);
  return out;
}

void Lanes::expect(const VersionRecord& version, int64_t wraps) {
  Place* p = worth_a_process(version.version(), wraps);
  if (!p || p->prover) return;
  std::vector<KeyRef> refs;
  std::map<VersionRef, size_t> there;
  for (auto& [id, ref] : versions_at(*p)) {
    there.emplace(id, refs.size());
    refs.push_back(ref);
  }
  p->prover = Prover::start(vault_.env().probe_program,
                            vault_.provider_uri(vault_.state().providers.at(version.provider)),
                            p->shared->identity(), refs, say_waits());
  if (p->prover) p->proven_there = std::move(there);
}

void Lanes::expect_moves(const VersionRecord& version, int64_t wraps, unsigned processes) {
  Place* p = worth_a_process(version.version(), wraps);
  if (!p) return;
  const Rewrapper::Versions versions = versions_at(*p);
  for (auto& [id, ref] : versions) p->moved_there.insert(id);
  moves_to_ = version.version();
  for (size_t i = 0; i < std::min<size_t>(processes, lanes_.size()); ++i) {
    // One after the other: were the PIN wrong by now, that would be one attempt.
    lanes_[i].mover = Rewrapper::start(vault_.env().probe_program,
                                       vault_.provider_uri(vault_.state().providers.at(version.provider)),
                                       p->shared->identity(), versions, version.version(), say_waits());
    if (!lanes_[i].mover) return;
  }
}

Rewrapper* Lanes::beside(unsigned lane, const Region& region) {
  Rewrapper* mover = lanes_[lane].mover.get();
  if (!mover || mover->dead()) return nullptr;
  const auto known = [this](const VersionRef& version) {
    const auto it = versions_.find(version);
    return it != versions_.end() && !it->second.refusal && it->second.place->moved_there.contains(version);
  };
  if (!known(moves_to_)) return nullptr;
  for (const Slot* slot : region.usable())
    if (!known(slot->version)) return nullptr;
  return mover;
}

const Lanes::Allowed& Lanes::allowed(const VersionRef& version) const {
  auto it = versions_.find(version);
  if (it == versions_.end())
    throw Error(Code::object_absent, "key version " + version.brief() + " is not in this vault")
        .cause("or no object of this dataset was ever under it, as far as the ledger knows");
  if (it->second.refusal) throw Error(*it->second.refusal);
  return it->second;
}

Lanes::Turn Lanes::turn(unsigned lane, const Allowed& version) const {
  Place& p = *version.place;
  if (lanes_[lane].stays == &p) return {std::unique_lock<std::mutex>(), *p.shared};
  if (p.others.empty()) return {std::unique_lock(p.turn), *p.shared};
  return {std::unique_lock<std::mutex>(), lane ? *p.others.at(lane - 1) : *p.shared};
}

Lanes::Stay::Stay(Lanes& lanes, unsigned lane, const VersionRef& version) : mark_(lanes.lanes_[lane].stays) {
  Place& p = *lanes.allowed(version).place;
  if (!p.others.empty()) return;  // each lane has a session of its own
  lock_ = std::unique_lock(p.turn);
  mark_ = &p;
}
Lanes::Stay::~Stay() { mark_ = nullptr; }

WrappedKey Lanes::wrap(unsigned lane, const VersionRef& version, const Secret& key, ByteView aad,
                       const std::string& what) {
  const Allowed& a = allowed(version);
  Turn t = turn(lane, a);
  return wrap_checked(t.provider, a.ref, key, aad, what);
}

WrappedKey Lanes::wrap_later(unsigned lane, const VersionRef& version, const Secret& key, ByteView aad,
                             const std::string& what) {
  const Allowed& a = allowed(version);
  const Place& place = *a.place;
  const auto there = place.proven_there.find(version);
  if (!place.prover || there == place.proven_there.end()) return wrap(lane, version, key, aad, what);
  WrappedKey wrapped;
  {
    Turn t = turn(lane, a);
    wrapped = t.provider.wrap(a.ref, key, aad);
  }
  WrapClaim claim{wrapped, to_bytes(aad), hmac_sha256(place.prover->tag_key(), key.reveal()), what};
  Pending& p = lanes_[lane].pending.emplace_back();
  p.version = &a;
  p.claim.wrap = std::move(claim);
  place.prover->submit(there->second, p.claim);
  return wrapped;
}

void Lanes::confirm(unsigned lane) {
  Lane& l = lanes_[lane];
  l.good = 0;
  std::exception_ptr first;
  for (Pending& p : l.pending) {
    Prover& prover = *p.version->place->prover;
    prover.wait(p.claim);  // all of them: the prover holds on to each until then
    if (first) continue;
    try {
      if (p.claim.verdict != Prover::Verdict::proven) {
        Turn t = turn(lane, *p.version);
        prove_wrap(t.provider, p.version->ref, p.claim.wrap, prover.tag_key());
        if (!prover.dead()) done_here();
      }
      ++l.good;
    } catch (...) {
      first = std::current_exception();
    }
  }
  l.pending.clear();
  if (first) std::rethrow_exception(first);
}

Secret Lanes::unwrap(unsigned lane, const Slot& slot, ByteView aad) {
  const Allowed& a = allowed(slot.version);
  Turn t = turn(lane, a);
  return t.provider.unwrap(a.ref, slot.wrapped, aad);
}

}  // namespace kesu
