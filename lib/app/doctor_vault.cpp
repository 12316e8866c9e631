// kesu doctor, a vault: modes, database, registers, checkpoint, leftovers, providers and what they need.
#include <sys/stat.h>
#include <unistd.h>

#include <cstring>

#include "app/actor.h"
#include "app/clock_watch.h"
#include "app/doctor.h"
#include "app/rules.h"
#include "app/settle.h"
#include "app/write_places.h"
#include "base/files.h"
#include "base/leftovers.h"

namespace kesu {

namespace {
using enum CheckResult;

std::string said(const Error& e) { return e.message() + (e.cause().empty() ? "" : ": " + e.cause()); }

std::string mode_text(mode_t mode) {
  char text[8];
  std::snprintf(text, sizeof text, "%03o", static_cast<unsigned>(mode & 0777));
  return text;
}

Check modes(const std::string& directory) {
  std::string readable, writable, foreign;
  auto look = [&](const std::string& path) {
    struct stat st {};
    if (::lstat(path.c_str(), &st) != 0 || S_ISLNK(st.st_mode)) return;
    const bool foreign_owner = st.st_uid != ::geteuid();
    if (!foreign_owner && !(st.st_mode & 066)) return;
    std::string& list = foreign_owner ? foreign : (st.st_mode & 022) ? writable : readable;
    if (list.size() < 300) list += (list.empty() ? "" : ", ") + path + " (" + mode_text(st.st_mode) + ")";
  };
  look(directory);
  struct stat top {};
  const bool closed = ::stat(directory.c_str(), &top) == 0 && !(top.st_mode & 077);
  for (const char* name :
       {"ledger.db", "registers.db", "proofs.db", "kesu.toml", "evidence", "inventory", "plans", "stamps"})
    look(path_join(directory, name));
  const std::string next = "chmod -R go-rwx " + directory;
  if (!foreign.empty())
    return {"vault-modes", fail, "belongs to another user: " + foreign,
            "run kesu as its owner, or chown -R it"};
  if (!writable.empty() && !closed)
    return {"vault-modes", fail, "others may change it: " + writable, next + ", then kesu ledger verify"};
  if (!closed) return {"vault-modes", warn, "others may read it: " + readable, next};
  return {"vault-modes", ok, directory + " is closed to others (" + mode_text(top.st_mode) + ")", ""};
}

Check database(Vault& vault) {
  std::string problem = vault.store().database_problem();
  if (!problem.empty())
    return {"database", fail, "ledger.db: " + problem,
            "kesu ledger verify says which entries; restore ledger.db from a "
            "backup that reaches as far"};
  return {"database", ok, "ledger.db is sound, " + std::to_string(vault.state().size) + " entries", ""};
}

Check registers(Vault& vault) {
  auto r = vault.store().load_registers();
  const std::string heals = "nothing: the next command that writes makes them anew from the ledger";
  if (!r) {
    const auto why = vault.store().registers_finding();
    return {"registers", warn, why ? "registers.db: " + why->why : "there is no registers.db", heals};
  }
  if (r->size > vault.store().size() || (r->size && hex(vault.store().entry(r->size - 1).leaf) != r->root))
    return {"registers", warn, "registers.db stands for another ledger", heals};
  return {"registers", ok,
          "they stand for " + std::to_string(r->size) + " of " + std::to_string(vault.store().size()) +
              " entries",
          ""};
}

Check checkpoint(Vault& vault) {
  uint64_t covered = 0;
  for (const SavedCheckpoint& c : vault.store().checkpoints()) covered = std::max(covered, c.size);
  const uint64_t size = vault.state().size;
  if (!covered) return {"checkpoint", warn, "there is none", "kesu ledger checkpoint"};
  if (covered >= size)
    return {"checkpoint", ok, "the newest covers all " + std::to_string(size) + " entries", ""};
  const Millis since = vault.now() - vault.store().entry(covered).entry.header.time;
  std::string words = std::to_string(size - covered) + " of " + std::to_string(size) +
                      " entries are under no checkpoint yet, the oldest for " + length_text(since);
  return {"checkpoint", since > 86'400'000 ? warn : ok, words, "kesu ledger checkpoint"};
}

Check leftovers(Vault& vault) {
  size_t n = 0;
  std::string first;
  const auto count = [&](const std::string& place, const std::string& begin) {
    for (const std::string& name : left_behind(place, begin))
      if (!n++) first = path_join(place, name);
  };
  for (const std::string& place : write_places(vault.directory())) count(place, "");
  if (!vault.tombstones().empty()) count(vault.tombstones(), vault.state().vault.id + ".");
  if (n)
    return {"leftovers", warn,
            std::to_string(n) + " temporary files of interrupted commands, such as " + first,
            "nothing: the next command that writes removes them"};
  return {"leftovers", ok, "no temporary files of interrupted commands", ""};
}

Check questions(Vault& vault) {
  auto open = open_questions(vault);
  if (open.empty()) return {"questions", ok, "none open", ""};
  return {"questions", warn, std::to_string(open.size()) + " open, such as: " + open[0].what, "kesu status"};
}

Check clock_history(Vault& vault) {
  const Json me = this_process();
  ClockFinding now = clock_finding(vault.state(), me.str("boot_id"), me.num("clock"), vault.env().clock.now(),
                                   me.str("host"));
  const std::string next =
      "set the clock right; the ledger's times never go back, so periods and waiting times count "
      "from its last entry till the clock is past it";
  if (!now.what.empty()) return {"clock-history", fail, now.detail, next};
  const Millis behind = vault.state().time - vault.env().clock.now();
  if (behind > kClockSlack)
    return {"clock-history", fail,
            "the clock is " + length_text(behind) + " behind the ledger's last entry (recorded)", next};
  size_t n = 0;
  std::string last;
  for (auto& [seq, f] : vault.state().findings)
    if (f.what == "clock-jumped" || f.what == "clock-behind") ++n, last = f.detail;
  if (!n) return {"clock-history", ok, "the ledger knows of no jump", ""};
  return {"clock-history", warn, std::to_string(n) + (n == 1 ? " finding: " : " findings, such as: ") + last,
          "kesu ledger show names each; nothing else is to do while the clock is right now"};
}

// What is to be said of a PIN's or passphrase's file without reading it.
Check source_file(const std::string& name, const std::string& path) {
  const std::string check = "pin-source " + name;
  struct stat st {};
  if (::stat(path.c_str(), &st) != 0)
    return {check, fail, path + ": " + std::strerror(errno),
            "make the file (mode 600), or say in kesu.toml where it is"};
  if (!S_ISREG(st.st_mode))
    return {check, fail, path + " is not a regular file", "name a regular file of mode 600"};
  if (st.st_uid != ::geteuid() && st.st_uid != 0)
    return {check, fail, path + " belongs to another user", "chown it to the user that runs kesu"};
  if (st.st_mode & 077)
    return {check, fail, path + " has mode " + mode_text(st.st_mode) + ": others could read or write it",
            "chmod 600 " + path + ", and change what stands in it if others may have read it"};
  if (::access(path.c_str(), R_OK) != 0)
    return {check, fail, path + ": this user cannot read it",
            "run kesu as the user that the file belongs to"};
  return {check, ok, path + ", mode " + mode_text(st.st_mode), ""};
}

void provider_files(Vault& vault, const ProviderRecord& p, std::vector<Check>& out) {
  UriFiles files = files_of_uri(vault.provider_uri(p));
  for (const std::string& path : files.sources) out.push_back(source_file(p.name, path));
  for (const std::string& path : files.modules)
    out.push_back(::access(path.c_str(), R_OK) == 0
                      ? Check{"module " + p.name, ok, path, ""}
                      : Check{"module " + p.name, fail, path + ": " + std::strerror(errno),
                              "install it, or say in kesu.toml where it is: [provider." + p.name + "] uri"});
}

void provider_answers(Vault& vault, const ProviderRecord& p, std::vector<Check>& out) {
  try {
    Provider& provider = vault.provider(p.id);
    ProviderIdentity id = provider.identity();
    out.push_back(
        {"provider " + p.name, ok, id.kind + ", " + id.label + ", serial " + id.serial + ": logged in", ""});
    const VersionRecord* control = vault.state().version(p.control);
    if (!control || !control->ref) {
      out.push_back({"control-key " + p.name, fail,
                     "it has none, so nothing in it can ever be shown to be gone",
                     "kesu provider add or kesu init finishes what it began: run it again"});
      return;
    }
    // A session's first use opens the key's canary: another key under its name does not pass.
    provider.wrap(*control->ref, Secret(32), as_bytes("kesu doctor"));
    out.push_back({"control-key " + p.name, ok, "opens its canary", ""});
  } catch (const Error& e) {
    out.push_back(
        {"provider " + p.name, fail, said(e) + " [" + std::string(code_text(e.code())) + "]", e.next()});
  }
}
}  // namespace

UriFiles files_of_uri(const std::string& uri) {
  UriFiles out;
  auto decoded = [](const std::string& text) {
    std::string plain;
    for (size_t i = 0; i < text.size(); ++i) {
      auto byte = text[i] == '%' ? unhex(text.substr(i + 1, 2)) : std::nullopt;
      if (byte && byte->size() == 1) {
        plain.push_back(static_cast<char>((*byte)[0]));
        i += 2;
      } else {
        plain.push_back(text[i]);
      }
    }
    return plain;
  };
  for (size_t at = 0; at < uri.size();) {
    size_t end = std::min(uri.find_first_of("?&;", at), uri.size());
    std::string part = uri.substr(at, end - at);
    at = end + 1;
    size_t equals = part.find('=');
    if (equals == std::string::npos) continue;
    std::string name = part.substr(0, equals), value = decoded(part.substr(equals + 1));
    if (name == "module-path") out.modules.push_back(value);
    if (!name.ends_with("-source")) continue;
    if (value.starts_with("file:")) value = value.substr(5);
    if (value.starts_with("//")) value = value.substr(2);
    if (value.starts_with("/")) out.sources.push_back(value);
  }
  return out;
}

std::vector<Check> examine_vault(Environment& env, const std::string& directory, bool offline) {
  std::vector<Check> out;
  try {
    Vault vault(directory, env, Access::read);
    const State& s = vault.state();
    out.push_back({"vault", ok,
                   s.vault.organisation + ", " + s.vault.id.substr(0, 12) + ", profile " +
                       rules_in_force(s, moment_now(vault)).profile +
                       (s.vault.closed ? ", closed on " + local_text(s.vault.closed) : ""),
                   ""});
    out.push_back(modes(directory));
    for (auto part : {database, registers, checkpoint}) {
      try {
        out.push_back(part(vault));
      } catch (const Error& e) {
        out.push_back({"database", fail, said(e), e.next()});
      }
    }
    out.push_back(leftovers(vault));
    out.push_back(questions(vault));
    out.push_back(clock_history(vault));
    out.push_back(examine_tombstones(vault));
    try {
      for (Check& c : examine_commands(vault, offline)) out.push_back(std::move(c));
    } catch (const Error& e) {
      out.push_back({"commands-named", fail, said(e), "kesu ledger verify"});
    }
    for (auto& [id, p] : s.providers) {
      if (p.state != "open") continue;
      provider_files(vault, p, out);
      if (offline)
        out.push_back({"provider " + p.name, ok, "not asked (--offline)", ""});
      else
        provider_answers(vault, p, out);
    }
    for (Check& c : examine_time(vault, offline)) out.push_back(std::move(c));
  } catch (const Error& e) {
    out.push_back({"vault", fail, said(e) + " [" + std::string(code_text(e.code())) + "]",
                   e.next().empty() ? "kesu ledger verify" : e.next()});
  }
  return out;
}

}  // namespace kesu
