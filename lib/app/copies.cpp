#include "app/copies.h"
#include "app/rules.h"

#include <algorithm>

#include "app/settle.h"
#include "base/files.h"

namespace kesu {

namespace {
constexpr size_t kEdges = 3;  // a header has 512 bytes

void needs(const std::string& value, const char* option, const char* what) {
  if (value.empty()) throw Error(Code::usage, std::string("which ") + what + "? " + option + " is empty");
}
}  // namespace

const std::vector<std::string>& copy_kinds() {
  static const std::vector<std::string> kinds = {"backup",       "escrow-share",  "replica",      "paper",
                                                 "token-backup", "import-origin", "keystore-file"};
  return kinds;
}

std::vector<Event> copy_events(const std::string& id, const std::vector<std::string>& versions,
                               const CopyDraft& draft) {
  const auto& kinds = copy_kinds();
  if (std::find(kinds.begin(), kinds.end(), draft.kind) == kinds.end()) {
    std::string known;
    for (const std::string& k : kinds) known += (known.empty() ? "" : ", ") + k;
    throw Error(Code::usage, "no kind of copy is called " + draft.kind).next("one of " + known);
  }
  needs(draft.place, "--place", "place");
  needs(draft.custodian, "--custodian", "custodian");
  size_t parts = (versions.size() + kEdges - 1) / kEdges;
  std::vector<Event> out;
  for (size_t part = 0; part < parts; ++part) {
    Json body = Json::object({{"kind", draft.kind},
                              {"place", draft.place},
                              {"custodian", draft.custodian},
                              {"medium", draft.medium}});
    if (!draft.provider.empty()) body.set("provider", draft.provider);
    if (draft.generation) body.set("generation", draft.generation);
    if (parts > 1) body.set("part", static_cast<int64_t>(part + 1)).set("of", static_cast<int64_t>(parts));
    Event event{.type = "copy-registered", .nodes = {{.id = id, .is = "open"}}, .body = std::move(body)};
    for (size_t i = part * kEdges; i < std::min(versions.size(), (part + 1) * kEdges); ++i)
      event.edges.emplace_back(id, versions[i]);
    out.push_back(std::move(event));
  }
  return out;
}

void record_found_copy(Vault& vault, const std::string& version, const CopyDraft& draft,
                       const std::string& detail) {
  if (vault.store().read_only() || vault.state().vault.closed) return;
  vault.decide({version}, [&] {
    for (auto& [id, copy] : vault.state().copies)
      if (copy.state == "open" &&
          (copy.place == draft.place || (copy.kind == "import-origin" && draft.kind == copy.kind)) &&
          std::find(copy.versions.begin(), copy.versions.end(), version) != copy.versions.end())
        return std::vector<Event>{};
    auto events = copy_events(vault.env().random.id<CopyId>().str(), {version}, draft);
    if (vault.state().version(version)->destroyed)
      events.push_back({.type = "finding-recorded",
                        .nodes = {{.id = version}},
                        .body = Json::object({{"what", "destroyed-key-back"}, {"detail", detail}})});
    return events;
  });
}

namespace {
// Told apart by nothing that was typed: the same one, of a run that was killed before it could say so. That
// it is another one must not be guessed either: each that is open has to end.
void refuse_registered(const State& state, const std::vector<std::string>& versions, const CopyDraft& d) {
  for (auto& [id, c] : state.copies)
    if (c.state == "open" && c.kind == d.kind && c.place == d.place && c.custodian == d.custodian &&
        c.medium == d.medium && c.versions == versions)
      throw Error(Code::already_exists, "this copy is registered: " + id.substr(0, 12))
          .cause("the same kind, place, custodian and medium, open since " + local_text(c.registered))
          .next("of another one that lies there, too, --medium or --place has to say which it is");
}
}  // namespace

std::string add_copy(Vault& vault, const KeyWord& which, bool all_versions, const CopyDraft& draft) {
  settle(vault);
  const std::string id = vault.env().random.id<CopyId>().str();
  vault.decide(key_streams(vault.state(), vault.state().keys.at(which.key)), [&] {
    const KeyRecord& key = vault.state().keys.at(which.key);
    std::vector<std::string> versions;
    std::string names;
    for (const VersionRecord& v : key.versions) {
      if (v.state == "absent" || (which.number && v.number() != which.number)) continue;
      versions.push_back(v.id);
      names += (names.empty() ? "" : ", ") + version_name(vault.state(), v) + " (" + v.state + ")";
    }
    if (versions.empty())
      throw Error(Code::state_refused,
                  key.name + " has no such version that ever came to be: there can be no copy")
          .next("kesu key show " + key.name);
    if (versions.size() > 1 && !all_versions)
      throw Error(Code::usage, "a copy of which version of " + key.name + "?")
          .cause(names)
          .next("name one, as in " + key.name + "." + std::to_string(key.versions.back().number()) +
                ", or say --all-versions");
    refuse_registered(vault.state(), versions, draft);
    return copy_events(id, versions, draft);
  });
  return id;
}

void end_copy(Vault& vault, const std::string& id, const std::string& how, const OperatorRecord& found,
              const std::string& document) {
  const OperatorRecord person = found;
  needs(how, "--how", "way of destruction");
  const Moment now = moment_now(vault);
  const std::string why = role_problem(vault.state(), person, "operator", now, now.time);
  if (!why.empty() && !role_problem(vault.state(), person, "approver", now, now.time).empty())
    throw Error(Code::not_enrolled, person.name + " is not enrolled as operator or approver")
        .cause(why)
        .next("the end of a copy is asserted by somebody with one of these roles");
  settle(vault);
  Json body = Json::object({{"how", how}, {"operator", person.id}});
  if (!document.empty()) body.set("document", vault.store().put_blob(read_file(document, 64 << 20)));
  vault.decide({id}, [&] {
    const CopyRecord& copy = vault.state().copies.at(id);
    if (copy.state != "open")
      throw Error(Code::state_refused, "copy " + id.substr(0, 12) + " has ended, " + local_text(copy.ended))
          .cause(copy.how)
          .next("kesu copy list");
    return std::vector<Event>{{.type = "copy-ended", .nodes = {{.id = id, .is = "ended"}}, .body = body}};
  });
}

const CopyRecord& find_copy(const State& state, const std::string& text) {
  if (auto it = state.copies.find(text); it != state.copies.end()) return it->second;
  std::vector<const CopyRecord*> hits;
  std::string all;
  if (text.starts_with("cpy-") && text.size() >= 8)
    for (auto& [id, copy] : state.copies)
      if (id.starts_with(text)) {
        hits.push_back(&copy);
        all += (all.empty() ? "" : ", ") + id;
      }
  if (hits.empty())
    throw Error(Code::not_found, "no copy is called " + text).next("kesu copy list shows those there are");
  if (hits.size() > 1)
    throw Error(Code::identifier_ambiguous, text + " could be " + std::to_string(hits.size()) + " copies")
        .cause(all)
        .next("type more of its digits");
  return *hits[0];
}

Json copy_json(const State& state, const CopyRecord& c) {
  Json versions(Json::Array{});
  for (const std::string& id : c.versions) {
    const VersionRecord* v = state.version(id);
    versions.push(Json::object({{"version", id},
                                {"name", v ? Json(version_name(state, *v)) : Json()},
                                {"state", v ? Json(v->state) : Json()}}));
  }
  return Json::object({{"id", c.id},
                       {"kind", c.kind},
                       {"place", c.place},
                       {"custodian", c.custodian},
                       {"medium", c.medium},
                       {"versions", versions},
                       {"state", c.state},
                       {"registered", utc_text(c.registered)},
                       {"ended", c.ended ? Json(utc_text(c.ended)) : Json()},
                       {"how", c.how.empty() ? Json() : Json(c.how)},
                       {"provider", c.provider.empty() ? Json() : Json(c.provider)},
                       {"generation", c.generation},
                       {"share", c.share}});
}

}  // namespace kesu
