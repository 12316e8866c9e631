#include "app/tombstones.h"

#include <unistd.h>

#include <algorithm>

#include "app/key_states.h"
#include "base/files.h"
#include "crypto/note.h"

namespace kesu {

namespace {
constexpr std::string_view kType = "kesu-tombstone-v1", kEnding = ".tombstone";
constexpr size_t kMaxFile = 65536;

std::string file_of(Vault& vault, const std::string& version) {
  return path_join(vault.tombstones(), vault.state().vault.id + "." + version + std::string(kEnding));
}

// The version that a file name is about; empty: none of this vault.
std::string version_in(Vault& vault, const std::string& name) {
  const std::string prefix = vault.state().vault.id + ".";
  if (!name.starts_with(prefix) || !name.ends_with(kEnding) || name.size() <= prefix.size() + kEnding.size())
    return "";
  const std::string version = name.substr(prefix.size(), name.size() - prefix.size() - kEnding.size());
  return VersionRef::parse(version) ? version : "";
}

bool is_gone(const VersionRecord& v) {
  return v.state == "destroyed" || v.state == "destroyed-compromised" || v.state == "absent";
}

// First line: what it is, so that it can be taken for no checkpoint. Second: the datum.
std::string text_of(Vault& vault, const VersionRecord& v, const Json& receipt) {
  const ProviderRecord& p = vault.state().providers.at(v.provider);
  return std::string(kType) + "\n" +
         Json::object({{"vault", vault.state().vault.id},
                       {"version", v.id},
                       {"provider", Json::object({{"id", p.id},
                                                  {"name", p.name},
                                                  {"serial", p.identity.serial},
                                                  {"label", p.identity.label}})},
                       {"label", v.ref ? v.ref->label : ""},
                       {"id", v.ref ? hex(v.ref->id) : ""},
                       {"erasure", v.erasure},
                       {"intended", Json::object({{"entry", v.bracket}, {"time", utc_text(v.since)}})},
                       {"receipt", receipt}})
             .canonical() +
         "\n";
}

void write_one(Vault& vault, const std::string& version, const Json& receipt) {
  const VersionRecord& v = *vault.state().version(version);
  const std::string path = file_of(vault, version), text = text_of(vault, v, receipt);
  if (exists(path)) return;
  const VersionRecord* key = vault.state().version(vault.state().vault.ledger_version);
  if (!key || !key->ref) throw Error(Code::state_refused, "the vault has no ledger key yet");
  Provider& signer = vault.provider(key->provider);
  const Note note{text, {sign_note(text, NoteKey::parse(vault.state().vault.vkey), [&](ByteView message) {
                    return signer.sign(*key->ref, message);
                  })}};
  write_file_durable(path, as_bytes(note.str()), 0644);
}

bool says_destroyed(Vault& vault, const std::string& version) {
  try {
    const Note note = Note::parse(as_text(read_file(file_of(vault, version), kMaxFile)));
    if (verify_note(note, NoteKey::parse(vault.state().vault.vkey)) != NoteVerdict::good) return false;
    const std::string_view text = note.text;
    const size_t line = text.find('\n');
    if (text.substr(0, line) != kType) return false;
    const Json said = parse_canonical_json(text.substr(line + 1, text.size() - line - 2), "tombstone");
    return said.str("vault") == vault.state().vault.id && said.str("version") == version;
  } catch (const Error&) {
    return false;
  }
}

// Whether an entry that is not folded yet tells of its end: another process is destroying it now.
bool known_by_now(Vault& vault, const std::string& version) {
  bool found = false;
  vault.store().read(
      vault.state().size, vault.store().size(),
      [&](const StoredEntry& e) {
        const Header& h = e.entry.header;
        found = found || (h.type.starts_with("destroy-") &&
                          std::any_of(h.nodes.begin(), h.nodes.end(),
                                      [&](const NodeMention& n) { return n.id == version; }));
        return !found;
      },
      [](const Header&) { return false; });
  return found;
}

std::string not_written(Vault& vault, const Error& e) {
  return "no tombstone was written in " + vault.tombstones() + ": " + e.message() +
         (e.cause().empty() ? "" : ": " + e.cause());
}
}  // namespace

std::string tombstone_directory(const std::string& vault_directory,
                                const std::optional<std::string>& configured) {
  if (!configured || configured->empty()) return "";
  const std::string path =
      absolute_path(configured->starts_with("/") ? *configured : path_join(vault_directory, *configured));
  auto real = [](const std::string& p) {
    char* resolved = ::realpath(p.c_str(), nullptr);
    std::string out = resolved ? resolved : p;
    ::free(resolved);
    return out;
  };
  const std::string inside = real(absolute_path(vault_directory));
  if (const std::string place = real(path); place == inside || place.starts_with(inside + "/"))
    throw Error(Code::bad_input, "kesu.toml: tombstones lie inside the vault: " + path)
        .cause("an old copy of the vault would bring old tombstones with it")
        .next("name a directory elsewhere, best on another disk");
  return path;
}

void bury(Vault& vault, const std::vector<Event>& events) {
  if (vault.tombstones().empty()) return;
  for (const Event& e : events) {
    if (e.type != "destroy-done") continue;
    for (const NodeMention& node : e.nodes) {
      if (!vault.state().version(node.id)) continue;
      try {
        const Json* receipt = e.body.find("receipt");
        write_one(vault, node.id, receipt ? *receipt : Json());
      } catch (const Error& error) {
        vault.env().notice(not_written(vault, error) +
                           "; the key is destroyed all the same, and kesu status "
                           "says so until the tombstone is there");
      }
    }
  }
}

std::vector<std::string> unburied(Vault& vault) {
  std::vector<std::string> out;
  if (vault.tombstones().empty()) return out;
  std::set<std::string> there;
  bool listed = false;
  for (auto& [id, key] : vault.state().keys)
    for (const VersionRecord& v : key.versions) {
      if (!v.destroyed) continue;
      if (!listed)
        for (const std::string& name : list_directory(vault.tombstones()))
          there.insert(version_in(vault, name));
      listed = true;
      if (!there.contains(v.id)) out.push_back(v.id);
    }
  return out;
}

size_t write_tombstones(Vault& vault) {
  const std::vector<std::string> missing = unburied(vault);
  if (missing.empty()) return 0;
  std::map<std::string, Json> receipts;
  vault.store().read(
      0, vault.store().size(),
      [&](const StoredEntry& e) {
        if (e.entry.header.type == "destroy-done")
          for (const NodeMention& n : e.entry.header.nodes) receipts[n.id] = e.entry.body.at("receipt");
        return true;
      },
      [](const Header& h) { return h.type == "destroy-done"; });
  for (const std::string& version : missing) write_one(vault, version, receipts[version]);
  return missing.size();
}

void finish_tombstones(Vault& vault) {
  if (vault.tombstones().empty() || vault.state().vault.closed) return;
  try {
    write_tombstones(vault);
  } catch (const Error& error) {
    vault.env().notice(not_written(vault, error));
  }
}

std::set<std::string> revived_versions(Vault& vault) {
  std::set<std::string> out;
  if (vault.tombstones().empty()) return out;
  std::vector<std::string> names;
  try {
    names = list_directory(vault.tombstones());
  } catch (const Error& error) {
    vault.env().notice("tombstones cannot be read, so nothing shows whether this vault is an old copy: " +
                       error.message() + (error.cause().empty() ? "" : ": " + error.cause()));
    return out;
  }
  for (const std::string& name : names) {
    const std::string version = version_in(vault, name);
    const VersionRecord* v = version.empty() ? nullptr : vault.state().version(version);
    // Being destroyed: the tombstone comes before the ledger's last word.
    if (!v || is_gone(*v) || v->state == "destroying" || !says_destroyed(vault, version)) continue;
    if (!known_by_now(vault, version)) out.insert(version);
  }
  return out;
}

std::vector<Due> tombstones_due(Vault& vault) {
  std::vector<Due> out;
  if (vault.tombstones().empty()) return out;
  for (const std::string& version : vault.revived())
    out.push_back(
        {"tombstone", version, version_name(vault.state(), *vault.state().version(version)), 0, true,
         "was destroyed, says its tombstone, and this copy of the vault does not know it: it is used "
         "for nothing here",
         "bring back the vault's newest copy; " + file_of(vault, version)});
  try {
    for (const std::string& version : unburied(vault)) {
      const VersionRecord& v = *vault.state().version(version);
      out.push_back({"tombstone", version, version_name(vault.state(), v), v.destroyed, false,
                     "was destroyed and has no tombstone in " + vault.tombstones(),
                     "kesu ledger checkpoint, as any command that writes, writes it"});
    }
  } catch (const Error& e) {
    out.push_back({"tombstone", vault.state().vault.id, vault.tombstones(), 0, true,
                   "cannot be read: " + e.message() + (e.cause().empty() ? "" : ": " + e.cause()),
                   "mount or make it, or correct tombstones in kesu.toml"});
  }
  return out;
}

void refuse_buried(Vault& vault, const VersionRecord& v) {
  if (vault.tombstones().empty() || !vault.revived().contains(v.id)) return;
  throw Error(Code::version_buried, "key version " + version_name(vault.state(), v) +
                                        " was destroyed, and this copy of the vault does not know it")
      .tried("using it; the ledger here says " + v.state)
      .cause("its tombstone: " + file_of(vault, v.id))
      .next(
          "bring back the vault's newest copy, whose ledger goes on from here; kesu status names all such "
          "versions");
}

}  // namespace kesu
