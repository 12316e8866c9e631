#include "app/containers.h"

#include <sys/stat.h>

#include <algorithm>
#include <set>

#include "app/actor.h"
#include "app/copies.h"
#include "base/files.h"
#include "provider/login_secret.h"

namespace kesu {

namespace {
constexpr std::string_view kScheme = "soft:", kKind = "keystore-file", kFinding = "container-old";
constexpr Millis kUnseen = 12 * 3600 * 1000LL;

bool is_container(const std::string& uri) { return uri.starts_with(kScheme); }

// The path part and the attributes of a keystore's URI, as they stand in it.
struct Parts {
  std::string path;
  std::vector<std::string> attributes;
  std::string str() const {
    std::string out(kScheme);
    out += path;
    for (size_t i = 0; i < attributes.size(); ++i) out.append(i ? "&" : "?").append(attributes[i]);
    return out;
  }
  void drop(std::string_view name) {
    std::erase_if(attributes, [&](const std::string& a) { return a.starts_with(std::string(name) + "="); });
  }
};
Parts parts_of(const std::string& uri) {
  Parts out;
  const size_t mark = uri.find('?');
  out.path = uri.substr(kScheme.size(), mark == std::string::npos ? mark : mark - kScheme.size());
  for (size_t at = mark; at != std::string::npos && at + 1 < uri.size();) {
    const size_t end = uri.find('&', at + 1);
    out.attributes.push_back(uri.substr(at + 1, end == std::string::npos ? end : end - at - 1));
    at = end;
  }
  return out;
}

// A path as it stands in a URI.
std::string encoded(std::string_view text) {
  std::string out;
  for (char c : text) {
    const auto byte = static_cast<unsigned char>(c);
    if (c == '%' || c == '?' || byte < 0x20 || byte == 0x7f)
      out += "%" + hex(as_bytes(std::string_view(&c, 1)));
    else
      out += c;
  }
  return out;
}

std::string with_source(const std::string& uri, const std::string& source) {
  Parts parts = parts_of(uri);
  parts.drop("passphrase-source");
  // A path in the query may hold '&' as well.
  std::string value = encoded(source);
  for (size_t at = 0; (at = value.find('&', at)) != std::string::npos; at += 3) value.replace(at, 1, "%26");
  parts.attributes.push_back("passphrase-source=" + value);
  return parts.str();
}

bool is_over(const std::string& state) {
  return state == "absent" || state == "destroyed" || state == "destroyed-compromised";
}

// Versions that may lie in the provider's file as it is now.
std::vector<std::string> versions_at(const State& state, const std::string& provider) {
  std::vector<std::string> out;
  for (auto& [id, key] : state.keys)
    for (const VersionRecord& v : key.versions)
      if (v.provider == provider && !is_over(v.state)) out.push_back(v.id);
  return out;
}

CopyDraft draft_of(const ProviderRecord& p, int64_t generation, const std::string& place) {
  return {std::string(kKind), place, "whoever keeps backups of it", "file", p.id, generation};
}

// A re-keying that began and did not end: the copy of the generation that the ledger still calls the
// provider's own, and what was to follow it.
struct Pending {
  std::string provider, copy;
  Json successor;  // {"generation","uri","reason","actor"}
  Millis since = 0;
};

// The first entry that is not older; times never fall, so it is searched by halves.
uint64_t entry_since(Vault& vault, Millis time) {
  uint64_t low = 0, high = vault.state().size;
  while (low < high) {
    const uint64_t middle = low + (high - low) / 2;
    if (vault.store().entry(middle).entry.header.time < time)
      low = middle + 1;
    else
      high = middle;
  }
  return low;
}

// The body that registered the copy.
Json registration(Vault& vault, const CopyRecord& copy) {
  Json body;
  vault.store().read(entry_since(vault, copy.registered), vault.state().size, [&](const StoredEntry& e) {
    const Header& h = e.entry.header;
    if (h.type != "copy-registered" || h.nodes.front().id != copy.id) return true;
    body = e.entry.body;
    return false;
  });
  return body;
}

std::vector<Pending> pending(Vault& vault) {
  std::vector<Pending> out;
  for (auto& [id, copy] : vault.state().copies) {
    if (copy.kind != kKind || copy.state != "open") continue;
    auto p = vault.state().providers.find(copy.provider);
    if (p == vault.state().providers.end() || p->second.generation != copy.generation) continue;
    const Json body = registration(vault, copy);
    if (const Json* next = body.is_object() ? body.find("successor") : nullptr)
      out.push_back({copy.provider, id, *next, copy.registered});
  }
  return out;
}

bool may_settle(Vault& vault, const Pending& p) {
  const Json* actor = p.successor.find("actor");
  if (!actor || is_this_process(*actor)) return true;
  auto ended = has_ended(*actor);
  return ended ? *ended : vault.now() > p.since + kUnseen;
}

// The new generation stands: keys that came between the registration and the new file are added to the copy.
void record_rekeyed(Vault& vault, const Pending& p) {
  vault.decide({p.provider, p.copy}, [&] {
    const ProviderRecord& record = vault.state().providers.at(p.provider);
    if (record.generation >= p.successor.num("generation"))
      throw Error(Code::state_refused, "the re-keying of " + record.name + " is recorded already");
    const CopyRecord& copy = vault.state().copies.at(p.copy);
    std::vector<std::string> late;
    for (const std::string& v : versions_at(vault.state(), p.provider))
      if (std::find(copy.versions.begin(), copy.versions.end(), v) == copy.versions.end()) late.push_back(v);
    auto events = copy_events(p.copy, late, draft_of(record, copy.generation, copy.place));
    events.push_back({.type = "provider-rekeyed",
                      .nodes = {{.id = p.provider}},
                      .body = Json::object({{"generation", p.successor.num("generation")},
                                            {"uri", p.successor.str("uri")},
                                            {"reason", p.successor.str_or("reason", "")},
                                            {"actor", this_process()}})});
    return events;
  });
}

// The file is still the provider's own: no second one came to be.
void record_not_rekeyed(Vault& vault, const std::string& copy, const std::string& why) {
  vault.decide({copy}, [&]() -> std::vector<Event> {
    if (vault.state().copies.at(copy).state != "open")
      throw Error(Code::state_refused, "the end of " + copy + " is recorded already");
    return {
        {.type = "copy-ended",
         .nodes = {{.id = copy, .is = "ended"}},
         .body = Json::object(
             {{"how", "the re-keying did not take place: the file is still the provider's own (" + why + ")"},
              {"actor", this_process()}})}};
  });
}

std::string generations(int64_t there, int64_t known) {
  return "generation " + std::to_string(there) + " stands there, the ledger knows generation " +
         std::to_string(known);
}
}  // namespace

std::string resolve_provider_uri(const std::string& directory, const std::string& uri) {
  if (!uri.starts_with("soft:./")) return uri;
  Parts parts = parts_of(uri);
  parts.path = encoded(absolute_path(directory)) + parts.path.substr(1);
  return parts.str();
}

std::string creating_uri(const std::string& directory, const std::string& uri) {
  if (!is_container(uri)) return uri;
  Parts parts = parts_of(resolve_provider_uri(directory, uri));
  parts.drop("create");
  parts.attributes.push_back("create=yes");
  return parts.str();
}

std::string recorded_uri(const std::string& uri) {
  if (!is_container(uri)) return uri;
  Parts parts = parts_of(uri);
  for (std::string_view name : {"create", "iterations", "generation"}) parts.drop(name);
  return parts.str();
}

std::string expecting_uri(const ProviderRecord& record, const std::string& uri) {
  if (!is_container(uri) || record.generation == 0) return uri;
  Parts parts = parts_of(uri);
  parts.drop("generation");
  parts.attributes.push_back("generation=" + std::to_string(record.generation));
  return parts.str();
}

std::string passphrase_source_of(const std::string& uri) {
  constexpr std::string_view kName = "passphrase-source=";
  if (is_container(uri))
    for (const std::string& a : parts_of(uri).attributes)
      if (a.starts_with(kName)) return a.substr(kName.size());
  return {};
}

Rekeyed rekey_provider(Vault& vault, const std::string& id, const std::string& source,
                       const std::string& reason) {
  settle(vault);
  vault.rebuild();
  const ProviderRecord p = vault.state().providers.at(id);
  if (!is_container(p.uri))
    throw Error(Code::mechanism_absent,
                "the keys of provider " + p.name + " do not lie in a file that could be re-keyed")
        .next("change the PIN with the token's own tool, then correct pin-source in kesu.toml if it moved");
  const std::string from = login_source(source);
  if (from.empty())
    throw Error(Code::usage, "--passphrase-source is none of file:/path, env:NAME, fd:N, prompt");
  if (from.starts_with("file:"))
    read_login_secret(from, "passphrase");  // noticed before anything is recorded
  for (const Pending& open : pending(vault))
    if (open.provider == id)
      throw Error(Code::state_refused, "a re-keying of provider " + p.name + " began and has not ended")
          .next(
              "kesu status says who runs it; the next command that writes settles it when that process is "
              "gone");
  Provider& provider = vault.provider(id);
  const auto now = provider.container();
  if (!now || now->generation != p.generation)
    throw Error(Code::token_changed,
                "the keystore of provider " + p.name + " is not the one that the ledger knows")
        .cause(generations(now ? now->generation : 0, p.generation));

  const std::string copy = vault.env().random.id<CopyId>().str();
  const std::string uri = with_source(recorded_uri(p.uri), from);
  const Json successor = Json::object(
      {{"generation", now->generation + 1}, {"uri", uri}, {"reason", reason}, {"actor", this_process()}});
  vault.decide({id}, [&] {
    const ProviderRecord& known = vault.state().providers.at(id);
    if (known.generation != now->generation)
      throw Error(Code::conflict, "another process re-keyed provider " + p.name).next("kesu provider list");
    for (const Pending& open : pending(vault))
      if (open.provider == id)
        throw Error(Code::conflict, "another process re-keys provider " + p.name).next("kesu status");
    auto versions = versions_at(vault.state(), id);
    if (versions.empty()) throw Error(Code::state_refused, "provider " + p.name + " holds no keys");
    auto events = copy_events(copy, versions, draft_of(known, now->generation, now->place));
    for (Event& e : events) e.body.set("successor", successor);
    events.front().nodes.push_back({.id = id});  // its stream moves: two re-keyings cannot begin at once
    return events;
  });

  Pending begun{id, copy, successor, vault.now()};
  try {
    provider.rekey(from);
  } catch (const Error& error) {
    // Only where the file itself shows it: an unknown outcome stays a question.
    auto there = vault.env().providers.container_at(vault.provider_uri(p));
    if (there && there->generation == now->generation && error.code() != Code::outcome_unknown)
      record_not_rekeyed(vault, copy, error.message());
    throw;
  }
  record_rekeyed(vault, begun);
  if (vault.provider_uri(p) != resolve_provider_uri(vault.directory(), p.uri))
    vault.env().notice("kesu.toml names another place for provider " + p.name +
                       ": put the new passphrase-source there, too");
  return {now->generation, now->generation + 1, copy, now->place, uri};
}

void settle_containers(Vault& vault) {
  for (const Pending& p : pending(vault)) {
    if (!may_settle(vault, p)) continue;
    const ProviderRecord record = vault.state().providers.at(p.provider);
    auto there = vault.env().providers.container_at(vault.provider_uri(record));
    const int64_t wanted = p.successor.num("generation");
    if (!there)
      throw Error(Code::token_absent, "the keystore of provider " + record.name + " is not there")
          .cause("whether its re-keying came to be is not known");
    if (there->generation == wanted) {
      record_rekeyed(vault, p);
      vault.env().notice("settled: provider " + record.name + " was re-keyed, generation " +
                         std::to_string(wanted));
    } else if (there->generation == record.generation) {
      record_not_rekeyed(vault, p.copy, "it was interrupted");
      vault.env().notice("settled: the re-keying of provider " + record.name + " did not happen");
    } else {
      throw Error(Code::container_old,
                  "the keystore of provider " + record.name + " fits neither side of its re-keying")
          .cause(generations(there->generation, record.generation));
    }
  }
}

std::vector<Question> container_questions(Vault& vault) {
  std::vector<Question> out;
  for (const Pending& p : pending(vault)) {
    const Json* actor = p.successor.find("actor");
    out.push_back(
        {p.provider, "was provider " + vault.state().providers.at(p.provider).name + " re-keyed?",
         actor ? actor->str_or("host", "?") + ", process " + std::to_string(actor->num_or("pid", 0)) : "?",
         may_settle(vault, p) && !(actor && is_this_process(*actor))});
  }
  return out;
}

namespace {
// What a file of that generation may hold, however it fares with the ledger since: every version that was
// made, or begun, at the provider before the re-keying that ended the generation.
std::set<std::string> versions_in(Vault& vault, const ProviderRecord& p, int64_t generation) {
  std::set<std::string> out;
  Millis first = INT64_MAX, ended = INT64_MAX;
  for (auto& [id, copy] : vault.state().copies) {
    if (copy.kind != kKind || copy.provider != p.id || copy.generation != generation) continue;
    first = std::min(first, copy.registered);
    out.insert(copy.versions.begin(), copy.versions.end());
  }
  if (generation < p.generation && first != INT64_MAX)  // every re-keying registers one before
    vault.store().read(entry_since(vault, first), vault.state().size, [&](const StoredEntry& e) {
      const Header& h = e.entry.header;
      if (h.type != "provider-rekeyed" || h.nodes.front().id != p.id ||
          e.entry.body.num("generation") <= generation)
        return true;
      ended = h.time;
      return false;
    });
  for (auto& [id, key] : vault.state().keys)
    for (const VersionRecord& v : key.versions)
      if (v.provider == p.id && v.state != "absent" && (v.created ? v.created : v.since) <= ended)
        out.insert(v.id);
  return out;
}

// A file of keystore `p` that is not the one in use: an open copy, with edges to all that it may hold.
// `events` gets what is not on record yet; returns whether an open copy of that place was on record.
bool found_file(Vault& vault, const ProviderRecord& p, const Container& there, const std::string& why,
                std::vector<Event>& events) {
  std::set<std::string> versions = versions_in(vault, p, there.generation);
  std::string known;
  for (auto& [id, copy] : vault.state().copies) {
    if (copy.kind != kKind || copy.provider != p.id || copy.generation != there.generation ||
        copy.place != there.place || copy.state != "open")
      continue;
    known = id;
    for (const std::string& v : copy.versions) versions.erase(v);
  }
  events = copy_events(known.empty() ? vault.env().random.id<CopyId>().str() : known,
                       {versions.begin(), versions.end()}, draft_of(p, there.generation, there.place));
  for (Event& e : events) e.body.set("why", why);
  return !known.empty();
}

bool same_file(const std::string& a, const std::string& b) {
  struct stat first {
  }, second{};
  return ::stat(a.c_str(), &first) == 0 && ::stat(b.c_str(), &second) == 0 && first.st_dev == second.st_dev &&
         first.st_ino == second.st_ino;
}

// The URI in use is kesu.toml's, and a file of the same keystore lies where the ledger says: it was copied,
// not moved.
void register_left_behind(Vault& vault, const ProviderRecord& p) {
  const std::string recorded = resolve_provider_uri(vault.directory(), p.uri), used = vault.provider_uri(p);
  if (recorded == used || !is_container(recorded) || vault.store().read_only() || vault.state().vault.closed)
    return;
  std::optional<Container> left, now;
  try {
    now = vault.env().providers.container_at(used);
  } catch (const Error&) {
    return;  // opening it says what is wrong
  }
  if (!now) return;
  try {
    left = vault.env().providers.container_at(recorded);
  } catch (const Error&) {  // what cannot be looked at may be it
    left = Container{p.generation, parts_of(recorded).path, now->serial};
  }
  if (!left || left->serial != now->serial || same_file(left->place, now->place)) return;
  vault.decide({p.id}, [&] {
    std::vector<Event> events;
    if (!found_file(vault, p, *left, "it lies where the keystore was before kesu.toml moved it", events))
      events.push_back(
          {.type = "finding-recorded",
           .nodes = {{.id = p.id}},
           .body = Json::object({{"what", "container-left-behind"},
                                 {"detail", left->place + " is a file of the keystore that is used at " +
                                                now->place + " now, or cannot be told from one"}})});
    return events;
  });
}
}  // namespace

void refuse_old_container(Vault& vault, const ProviderRecord& given) {
  if (given.generation == 0) return;
  const ProviderRecord p = given;
  register_left_behind(vault, p);
  const auto there = vault.env().providers.container_at(vault.provider_uri(p));
  if (!there || there->generation >= p.generation) return;
  const std::string detail = generations(there->generation, p.generation) + ": " + there->place;
  Error old =
      Error(Code::container_old, "an older file of keystore " + p.name + " was put in the place of the newer")
          .tried("looking at " + there->place)
          .cause(generations(there->generation, p.generation))
          .next(
              "put the newer file back; the older one is a living copy of its keys: kesu copy list, then "
              "destroy it and record its end");
  if (vault.store().read_only() || vault.state().vault.closed) throw old;
  vault.decide({p.id}, [&] {
    std::vector<Event> events;
    const bool open =
        found_file(vault, p, *there, "it was found in the provider's place: still a living path", events);
    bool said = false;
    for (auto& [seq, f] : vault.state().findings)
      said |= f.node == p.id && f.what == kFinding && f.detail == detail;
    if (!said || !open)
      events.push_back({.type = "finding-recorded",
                        .nodes = {{.id = p.id}},
                        .body = Json::object({{"what", kFinding}, {"detail", detail}})});
    return events;  // none: it is known
  });
  throw old;
}

}  // namespace kesu
