// `key destroy`: versions on which nothing that is kept depends.
#include "app/key_destroy.h"

#include "app/actor.h"
#include "app/settle.h"
#include "erasure/destroy_version.h"

namespace kesu {

std::vector<DestroyPreview> preview_destroy_key(Vault& vault, const KeyRecord& key, uint32_t number) {
  std::vector<DestroyPreview> out;
  const State& state = vault.state();
  for (const VersionRecord& v : key.versions) {
    if (number && v.number() != number) continue;
    auto moved = parse_key_state(v.state);
    if (!moved || !may_move(*moved, KeyState::destroying)) continue;
    std::string kept_by;
    if (state.vault.ledger_version == v.id) kept_by = "it signs the ledger's checkpoints";
    for (auto& [id, p] : state.providers)
      if (p.control == v.id) kept_by = "it is the control key of provider " + p.name;
    if (key.purpose == KeyPurpose::sign_certificate && kept_by.empty()) kept_by = "it signs certificates";
    std::set<std::string> datasets;
    for (const std::string& reached : vault.graph().reached(v.id))
      if (const GraphNode* node = vault.graph().find(reached)) datasets.insert(node->of);
    for (const std::string& id : datasets) {
      auto d = state.datasets.find(id);
      std::string name = d == state.datasets.end() ? id : d->second.name;
      kept_by += (kept_by.empty() ? "it reaches data keys of " : ", ") + name;
    }
    if (const ErasureRecord* e = state.reserving(key.id); e && kept_by.empty())
      kept_by = "erasure " + e->id.substr(0, 12) + " will destroy it";
    if (v.number() == key.versions.back().number() && v.state == "active" && kept_by.empty())
      for (auto& [id, d] : state.datasets)
        if (d.key == key.id && d.state == "open") kept_by = "dataset " + d.name + " is sealed under it";
    out.push_back({v.id, v.state, kept_by});
  }
  return out;
}

std::vector<DestroyedVersion> destroy_key(Vault& vault, KeyRecord& found, uint32_t number) {
  const std::string id = found.id, name = found.name;
  vault.rebuild();
  settle(vault);
  std::vector<DestroyPreview> plan = preview_destroy_key(vault, vault.state().keys.at(id), number);
  if (plan.empty())
    throw Error(Code::state_refused, name + " has no version that could be destroyed")
        .cause("it is " + vault.state().keys.at(id).state())
        .next("kesu key show " + name);
  for (const DestroyPreview& p : plan)
    if (!p.kept_by.empty()) {
      Error e(Code::in_use,
              VersionRef::parse(p.version)->brief() + " of " + name + " is not destroyed: " + p.kept_by);
      std::string datasets;
      for (auto& [ds, d] : vault.state().datasets)
        if (d.key == id && d.state != "erased") datasets += " " + d.name;
      if (!datasets.empty())
        e.next("data sealed under it goes by an approved erasure: kesu erase plan" + datasets);
      throw e;
    }
  vault.checkpoint();  // before anything irreversible
  std::vector<DestroyedVersion> out;
  for (const DestroyPreview& p : plan) {
    const VersionRecord v = *vault.state().version(p.version);
    // Decided again at the very append that begins it: a dataset added or sealed meanwhile keeps the key
    // alive.
    auto append = [&](std::vector<Event> events) {
      if (events.at(0).type != "destroy-intended") return void(vault.append(std::move(events), {v.id}));
      vault.decide({v.id, vault.state().vault.id}, [&] {
        for (const DestroyPreview& now : preview_destroy_key(vault, vault.state().keys.at(id), v.number()))
          if (!now.kept_by.empty())
            throw Error(Code::in_use, v.version().brief() + " is not destroyed: " + now.kept_by)
                .next("kesu key show " + id.substr(0, 12));
        return events;
      });
    };
    Recorder recorder{append, [&](ByteView b) { return vault.store().put_blob(b); }};
    DestroyOrder order{*v.ref, v.state, std::nullopt, this_process()};
    bool gone = destroy_version(vault.provider(v.provider), order, recorder) == DestroyOutcome::destroyed;
    out.push_back({v.id, gone ? "destroyed" : "refused by the provider"});
  }
  return out;
}

}  // namespace kesu
