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
Lanes::~Lanes() = default;

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

void Lanes::expect(const VersionRecord& version, int64_t wraps) {
  const int64_t from = prover_from();
  auto it = versions_.find(version.version());
  if (it == versions_.end() || it->second.refusal || from == 0 || wraps < from) return;
  Place& p = *it->second.place;
  // Lanes that have sessions of their own prove as fast as another process could.
  if (p.prover || !p.others.empty() || p.shared->scales()) return;
  std::vector<KeyRef> refs;
  std::map<VersionRef, size_t> there;
  for (auto& [id, allowed] : versions_)
    if (allowed.place == &p && !allowed.refusal) {
      there.emplace(id, refs.size());
      refs.push_back(allowed.ref);
    }
  p.prover = Prover::start(vault_.env().probe_program,
                           vault_.provider_uri(vault_.state().providers.at(version.provider)),
                           p.shared->identity(), refs);
  if (p.prover) p.proven_there = std::move(there);
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

const size_t* Lanes::proven_beside(const Allowed& a, const VersionRef& version) const {
  if (!a.place->prover) return nullptr;
  auto there = a.place->proven_there.find(version);
  return there == a.place->proven_there.end() ? nullptr : &there->second;
}

WrappedKey Lanes::wrap_later(unsigned lane, const VersionRef& version, const Secret& key, ByteView aad,
                             const std::string& what) {
  WrappedKey wrapped = wrap_unproven(lane, version, key, aad, what);
  prove_later(lane, version, wrapped, key, aad, what);
  return wrapped;
}

WrappedKey Lanes::wrap_unproven(unsigned lane, const VersionRef& version, const Secret& key, ByteView aad,
                                const std::string& what) {
  const Allowed& a = allowed(version);
  if (!proven_beside(a, version)) return wrap(lane, version, key, aad, what);
  Turn t = turn(lane, a);
  return t.provider.wrap(a.ref, key, aad);
}

void Lanes::prove_later(unsigned lane, const VersionRef& version, const WrappedKey& wrapped,
                        const Secret& key, ByteView aad, const std::string& what) {
  const Allowed& a = allowed(version);
  const size_t* there = proven_beside(a, version);
  if (!there) return;  // it was proven when it was wrapped
  Prover& prover = *a.place->prover;
  WrapClaim claim{wrapped, to_bytes(aad), hmac_sha256(prover.tag_key(), key.reveal()), what};
  Pending& p = lanes_[lane].pending.emplace_back();
  p.version = &a;
  p.claim.wrap = std::move(claim);
  prover.submit(*there, p.claim);
}

void Lanes::hand_over(unsigned lane) {
  const Lane& l = lanes_[lane];
  if (!l.pending.empty()) l.pending.back().version->place->prover->hand_over();
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
