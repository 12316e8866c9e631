#include "app/status.h"

#include <unistd.h>

#include "app/settle.h"

namespace kesu {

StatusReport vault_status(Vault& vault) {
  StatusReport out;
  const State& s = vault.state();
  Json keys(Json::Object{}), datasets(Json::Object{}), erasures(Json::Array{}), questions(Json::Array{}),
      providers(Json::Array{});
  auto bump = [](Json& counts, const std::string& state) { counts.set(state, counts.num_or(state, 0) + 1); };
  for (auto& [id, k] : s.keys)
    for (const VersionRecord& v : k.versions)
      if (k.purpose == KeyPurpose::wrap) bump(keys, v.state);
  int64_t objects = 0, bytes = 0;
  for (auto& [id, d] : s.datasets) {
    bump(datasets, d.state);
    if (d.state != "erased") {
      objects += d.objects();
      bytes += d.bytes();
    }
  }
  for (auto& [id, e] : s.erasures) {
    if (e.stage == "rejected" || e.stage == "cancelled" || (e.stage == "destroyed" && !e.certificate.empty()))
      continue;
    std::string brief = id.substr(0, 12), due;
    if (e.stage == "requested")
      due = "waits for approval " + std::to_string(e.approvals.size() + 1) + " of " +
            std::to_string(s.vault.quorum) + ": kesu erase approve " + brief;
    if (e.stage == "approved" || e.stage == "running") due = "kesu erase run " + brief;
    if (e.stage == "destroyed") due = "kesu certificate bundle " + brief + " -o DIR";
    erasures.push(Json::object({{"id", id}, {"stage", e.stage}, {"next", due}}));
    out.waits_for_person = true;
  }
  for (const Question& q : open_questions(vault)) {
    questions.push(Json::object({{"node", q.node},
                                 {"question", q.what},
                                 {"opened_by", q.since},
                                 {"settled_by_next_command", q.ours_to_settle}}));
    out.overdue |= q.ours_to_settle;
  }
  for (auto& [id, p] : s.providers)
    providers.push(Json::object({{"name", p.name},
                                 {"kind", p.identity.kind},
                                 {"label", p.identity.label},
                                 {"serial", p.identity.serial},
                                 {"test_grade", p.test_grade}}));
  auto checkpoints = vault.store().checkpoints();
  uint64_t covered = 0;
  for (const SavedCheckpoint& c : checkpoints) covered = std::max(covered, c.size);
  out.document = Json::object({{"vault", s.vault.id},
                               {"organisation", s.vault.organisation},
                               {"profile", s.vault.profile},
                               {"directory", vault.directory()},
                               {"ledger", Json::object({{"entries", s.size}, {"checkpoint", covered}})},
                               {"providers", providers},
                               {"key_versions", keys},
                               {"datasets", datasets},
                               {"objects", objects},
                               {"bytes", bytes},
                               {"erasures", erasures},
                               {"questions", questions},
                               {"read_only", ::access(vault.directory().c_str(), W_OK) != 0}});
  return out;
}

}  // namespace kesu
