// kesu key list: an operator's view of many keys, those that are due first.
#include <fnmatch.h>
#include <unistd.h>

#include <algorithm>
#include <set>

#include "../context.h"
#include "app/clock_watch.h"
#include "app/due.h"
#include "app/keys.h"
#include "key_group.h"

namespace kesu::cli {

namespace {
struct Filter {
  std::vector<std::string> states;
  std::string provider, purpose, glob;
  bool due = false, all = false;
  int64_t limit = -1;  // -1: not said
};

struct Row {
  const KeyRecord* key = nullptr;
  const VersionRecord* shown = nullptr;  // the active version, else the newest
  const Due* due = nullptr;              // the most urgent thing about one of its versions
};

const VersionRecord* shown_version(const KeyRecord& k) {
  if (const VersionRecord* active = k.active()) return active;
  return k.versions.empty() ? nullptr : &k.versions.back();
}

// The words of --purpose: a role, or "sign" for both that sign.
bool has_purpose(const KeyRecord& k, const std::string& word) {
  return purpose_text(k.purpose) == word || (word == "sign" && (k.purpose == KeyPurpose::sign_ledger ||
                                                                k.purpose == KeyPurpose::sign_certificate));
}

void check_words(const Filter& f) {
  for (const std::string& s : f.states)
    if (!parse_key_state(s))
      throw Error(Code::usage, "no key is ever in state " + s)
          .next(
              "one of pre-activation, active, suspended, deactivated, compromised, destroyed, "
              "destroyed-compromised, intended, absent, destroying");
  if (!f.purpose.empty() && f.purpose != "sign" && !parse_purpose(f.purpose))
    throw Error(Code::usage, "no key has the purpose " + f.purpose)
        .next("wrap, control, sign, sign-ledger or sign-certificate");
}

// In the order in which they are shown: what is overdue, what is due by its time, the rest by name.
std::vector<Row> rows_of(Vault& v, const Filter& f, const std::vector<Due>& due) {
  std::map<std::string, const Due*> first;  // by key; `due` is most urgent first
  for (const Due& d : due)
    if (auto ref = VersionRef::parse(d.node)) first.emplace(ref->key.str(), &d);
  const std::string provider = f.provider.empty() ? "" : v.find_provider(f.provider).id;
  std::vector<Row> out;
  for (auto& [id, k] : v.state().keys) {
    auto it = first.find(id);
    Row row{&k, shown_version(k), it == first.end() ? nullptr : it->second};
    if (!f.states.empty() && std::find(f.states.begin(), f.states.end(), k.state()) == f.states.end())
      continue;
    if (!provider.empty() && k.provider != provider) continue;
    if (!f.purpose.empty() && !has_purpose(k, f.purpose)) continue;
    if (!f.glob.empty() && ::fnmatch(f.glob.c_str(), k.name.c_str(), 0) != 0) continue;
    if (f.due && !row.due) continue;
    out.push_back(row);
  }
  std::sort(out.begin(), out.end(), [](const Row& a, const Row& b) {
    auto rank = [](const Row& r) { return !r.due ? 2 : r.due->overdue ? 0 : 1; };
    if (rank(a) != rank(b)) return rank(a) < rank(b);
    if (a.due && a.due != b.due) return a.due < b.due;  // places in one sorted list
    return std::tie(a.key->name, a.key->id) < std::tie(b.key->name, b.key->id);
  });
  return out;
}

std::string ends_text(const VersionRecord* v, Millis now) {
  if (!v) return "-";
  if (v->destroyed) return "destroyed " + local_text(v->destroyed).substr(0, 10);
  if (Millis until = v->state == "active" ? v->protect_until() : v->process_until())
    return "ends " + local_text(until).substr(0, 10);
  return v->created ? length_text(now - v->created) + " old" : "-";
}

void list(Context& c, const Filter& f) {
  check_words(f);
  Vault& v = c.open(Access::read);
  const Millis now = v.now();
  const auto due = due_list(v.state(), now);
  std::vector<Row> rows = rows_of(v, f, due);
  if (c.json) {
    Json out(Json::Array{});
    for (size_t i = 0; i < rows.size() && (f.limit < 0 || static_cast<int64_t>(i) < f.limit); ++i)
      out.push(key_json(v.state(), *rows[i].key));
    return c.show(out, "");
  }
  size_t own = 0;  // keys with which the vault itself works: shown when asked for
  if (!f.all && f.purpose.empty()) {
    auto vaults = [](const Row& r) { return r.key->purpose != KeyPurpose::wrap; };
    own = static_cast<size_t>(std::count_if(rows.begin(), rows.end(), vaults));
    rows.erase(std::remove_if(rows.begin(), rows.end(), vaults), rows.end());
  }
  const int64_t limit = f.limit >= 0 ? f.limit : ::isatty(1) ? 50 : INT64_MAX;
  const auto objects = objects_on_versions(v.state());
  Table t({"NAME", "ID", "VERSION", "STATE", "AGE OR END", "OBJECTS", "PROVIDER", "DUE"});
  size_t shown = 0, overdue = 0;
  for (const Row& r : rows) {
    overdue += r.due && r.due->overdue;
    if (static_cast<int64_t>(shown) >= limit) continue;
    ++shown;
    int64_t n = 0;
    for (const VersionRecord& version : r.key->versions)
      if (auto it = objects.find(version.id); it != objects.end()) n += it->second;
    auto p = v.state().providers.find(r.key->provider);
    t.add({r.key->name, brief(r.key->id), r.shown ? std::to_string(r.shown->number()) : "-", r.key->state(),
           ends_text(r.shown, now), grouped(n), p == v.state().providers.end() ? "-" : p->second.name,
           r.due ? (r.due->overdue ? "! " : "") + r.due->what + " " + when_text(*r.due, now) : ""});
  }
  std::string text = t.str() + grouped(static_cast<int64_t>(shown)) + " of " +
                     grouped(static_cast<int64_t>(rows.size())) + (rows.size() == 1 ? " key" : " keys");
  text += overdue ? "; " + grouped(static_cast<int64_t>(overdue)) + " overdue" : "; none overdue";
  if (shown < rows.size()) text += "; --limit N shows more";
  if (own) text += "; " + std::to_string(own) + " of the vault's own not shown (--all)";
  c.show(Json(), text + "\n");
}
}  // namespace

void setup_key_list(CLI::App& group, Context& c) {
  auto f = std::make_shared<Filter>();
  CLI::App* cmd = group.add_subcommand(
      "list", "keys, those that are due first\n\n  kesu key list --state active --name 'loans-*' --due");
  cmd->add_option("--state", f->states, "only keys in this state (repeated: or in this)");
  cmd->add_option("--provider", f->provider, "only keys in this provider");
  cmd->add_option("--purpose", f->purpose,
                  "wrap, control, sign, sign-ledger, sign-certificate (text shows wrap alone, unless asked)");
  cmd->add_option("--name", f->glob, "only names that fit this pattern: 'loans-*'");
  cmd->add_flag("--due", f->due, "only keys for which something is due");
  cmd->add_flag("--all", f->all, "the vault's own keys, too: they control and sign");
  cmd->add_option("--limit", f->limit, "at most so many (default: 50 on a terminal, else all)")
      ->check(CLI::NonNegativeNumber);
  on_run(cmd, [&c, f] { list(c, *f); });
}

}  // namespace kesu::cli
