#include "app/lanes.h"

#include "provider/wrap_checked.h"

namespace kesu {

Lanes::Lanes(Vault& vault, unsigned count) : vault_(vault), count_(count ? count : 1) {}
Lanes::~Lanes() = default;

void Lanes::allow(const VersionRecord& version, ProcessFor why) {
  if (!version.ref) return;
  Allowed a{*version.ref, version.provider, std::nullopt};
  try {
    refuse_to_process(vault_, version, why);
  } catch (const Error& e) {
    a.refusal = e;
  }
  versions_.insert_or_assign(version.id, std::move(a));
}

void Lanes::allow_all(const DatasetRecord& dataset, ProcessFor why) {
  for (auto& [id, key] : vault_.state().keys)
    if (key.purpose == KeyPurpose::wrap)
      for (const VersionRecord& v : key.versions) allow(v, why);
  (void)dataset;
}

const Lanes::Allowed& Lanes::allowed(const VersionRef& version) const {
  auto it = versions_.find(version.str());
  if (it == versions_.end())
    throw Error(Code::object_absent, "key version " + version.brief() + " is not in this vault");
  if (it->second.refusal) throw *it->second.refusal;
  return it->second;
}

Provider& Lanes::session(unsigned, const std::string& provider) { return vault_.provider(provider); }

WrappedKey Lanes::wrap(unsigned lane, const VersionRef& version, const Secret& key, ByteView aad,
                       const std::string& what) {
  const Allowed& a = allowed(version);
  std::lock_guard lock(mutex_);
  return wrap_checked(session(lane, a.provider), a.ref, key, aad, what);
}

void Lanes::expect(const VersionRecord&, int64_t) {}
WrappedKey Lanes::wrap_later(unsigned lane, const VersionRef& version, const Secret& key, ByteView aad,
                             const std::string& what) {
  return wrap(lane, version, key, aad, what);
}
void Lanes::confirm(unsigned) {}
size_t Lanes::good(unsigned) const { return 0; }

Secret Lanes::unwrap(unsigned lane, const Slot& slot, ByteView aad) {
  const Allowed& a = allowed(slot.version);
  std::lock_guard lock(mutex_);
  return session(lane, a.provider).unwrap(a.ref, slot.wrapped, aad);
}

}  // namespace kesu
