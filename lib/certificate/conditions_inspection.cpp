// Conditions about what the providers showed before and after destruction.
#include <algorithm>

#include "certificate/conditions_impl.h"
#include "erasure/samples.h"

namespace kesu::dossier {

namespace {

// Destroyed by this erasure: these were there at its start.
std::vector<const KeyFacts*> destroyed_here(const Dossier& d, const std::string& provider) {
  std::vector<const KeyFacts*> out;
  for (const std::string& version : d.kill.versions) {
    auto it = d.keys.find(version);
    if (it != d.keys.end() && it->second.provider == provider && d.started &&
        (!it->second.done || *it->second.done > *d.started))
      out.push_back(&it->second);
  }
  return out;
}

// Inspections after the destruction, and the entry that names them.
struct Looked {
  const std::vector<Inspection>& all;
  std::optional<uint64_t> entry;
};

const Inspection* inspection_of(const Looked& looked, const std::string& provider) {
  for (const Inspection& i : looked.all)
    if (i.provider == provider) return &i;
  return nullptr;
}

bool every_provider(const Dossier& d, const Looked& looked,
                    const std::function<bool(const Inspection&, const std::string&)>& holds) {
  std::set<std::string> wanted;
  for (const std::string& version : d.kill.versions) {
    auto it = d.keys.find(version);
    wanted.insert(it == d.keys.end() ? std::string() : it->second.provider);
  }
  return !wanted.empty() && std::all_of(wanted.begin(), wanted.end(), [&](const std::string& id) {
    const Inspection* i = inspection_of(looked, id);
    return i && i->before && i->after && holds(*i, id);
  });
}

// Both transcripts asked for exactly the keys that the ledger knows by these references.
bool asked_for(const Probe& p, const KeyFacts& key) {
  auto it = p.asked.find(key.version);
  return key.ref && it != p.asked.end() && it->second.to_json() == key.ref->to_json();
}

std::string answer_for(const Probe& p, const std::string& version) {
  auto it = p.keys.find(version);
  return it == p.keys.end() ? "unknown" : it->second.first;
}

bool names(const ObjectSeen& object, const KeyRef& ref) {
  return (!ref.label.empty() && object.label == ref.label) || (!ref.id.empty() && object.id == ref.id) ||
         (!ref.check_value.empty() && object.check_value == ref.check_value);
}

bool seen(const Probe& p, const KeyRef& ref) {
  return std::any_of(p.objects.begin(), p.objects.end(), [&](const ObjectSeen& o) { return names(o, ref); });
}

// The control key is one that the ledger knows as such, not of the kill set, and it answered.
bool control_lives(const Dossier& d, const Probe& p) {
  if (p.control != "usable" || !p.control_ref) return false;
  auto it = d.keys.find(p.control_ref->version.str());
  if (it == d.keys.end() || !it->second.ref || it->second.ref->purpose != KeyPurpose::control) return false;
  if (std::find(d.kill.versions.begin(), d.kill.versions.end(), it->first) != d.kill.versions.end())
    return false;
  return it->second.ref->to_json() == p.control_ref->to_json() && seen(p, *p.control_ref);
}

bool complete_at_place(const Probe& p) { return p.answered && p.same_place && p.complete; }

// The key was there and used before, is absent after, in inspections of this very key, with a living control.
bool shown_gone(const Dossier& d, const KeyFacts& key, const Probe& before, const Probe& after) {
  if (!key.ref || !asked_for(before, key) || !asked_for(after, key)) return false;
  if (!control_lives(d, before) || !control_lives(d, after)) return false;
  const auto &was = before.keys.at(key.version), &is = after.keys.at(key.version);
  return was.first == "usable" && was.second == "opened" && seen(before, *key.ref) && after.tries_remaining &&
         is.first == "absent" && is.second != "opened" && !seen(after, *key.ref);
}

bool in_order(const Dossier& d, const Inspection& i, const Looked& looked) {
  const Header* start = d.started ? d.header(*d.started) : nullptr;
  // Where no destruction is shown, nothing was inspected after it.
  return start && d.last_done && i.before->ended <= start->time && i.after->ended >= d.last_done_at &&
         looked.entry && *looked.entry > d.last_done;
}

bool pair_holds(const Dossier& d, const Looked& looked, const Inspection& i, const std::string& provider) {
  const Probe &before = *i.before, &after = *i.after;
  if (!complete_at_place(before) || !complete_at_place(after) || !after.tries_remaining) return false;
  if (!control_lives(d, before) || !control_lives(d, after) || !in_order(d, i, looked)) return false;
  for (const KeyFacts* key : destroyed_here(d, provider)) {
    if (!asked_for(before, *key) || !asked_for(after, *key)) return false;
    if (!seen(before, *key->ref) || seen(after, *key->ref)) return false;
  }
  // What was destroyed earlier has not come back.
  for (const KeyFacts* key : destroyed_earlier(d))
    if (key->provider == provider && (!key->ref || seen(before, *key->ref) || seen(after, *key->ref)))
      return false;
  return true;
}

bool is_earlier(const Dossier& d, const std::string& version) {
  auto it = d.keys.find(version);
  return it != d.keys.end() && d.started && it->second.done && *it->second.done < *d.started;
}

// k = min(n − r, 16) objects of each dataset, each asked for before and after; r were sealed over at their
// places. A slot of a version that was destroyed before the erasure opens neither before nor after, and draws
// nothing.
bool samples_hold(const Dossier& d, const Looked& looked) {
  std::map<std::string, std::set<std::string>> drawn;
  std::map<Sample, bool> dead;
  for (const Inspection& i : looked.all) {
    if (!i.before || !i.after || !i.after->tries_remaining) return false;
    for (const auto& [sample, answer] : i.before->samples) {
      auto after = i.after->samples.find(sample);
      bool earlier = is_earlier(d, sample.key);
      if (answer != (earlier ? "failed" : "opened") || after == i.after->samples.end() ||
          after->second != "failed")
        return false;
      if (std::find(d.kill.versions.begin(), d.kill.versions.end(), sample.key) == d.kill.versions.end())
        return false;
      if (!earlier) drawn[sample.dataset].insert(sample.object);
    }
    if (i.before->sample_request != i.after->sample_request) return false;  // the same wraps, both times
  }
  const Json* body = d.started ? d.body(*d.started) : nullptr;
  if (!body || body->at("samples").str("rule") != kSampleRule) return false;
  for (const auto& [dataset, objects] : drawn)
    if (!d.datasets_in_scope.contains(dataset)) return false;
  return std::all_of(d.datasets.begin(), d.datasets.end(), [&](const DatasetFacts& set) {
    int64_t standing = set.objects;
    for (const BatchFacts& batch : set.batches) standing -= batch.replaced;
    return standing >= 0 && (standing > 0 || set.objects == 0) &&
           drawn[set.id].size() == std::min<uint64_t>(static_cast<uint64_t>(standing), kMaxSamples);
  });
}

}  // namespace

std::vector<const KeyFacts*> destroyed_earlier(const Dossier& d) {
  std::vector<const KeyFacts*> out;
  for (const std::string& version : d.kill.versions)
    if (is_earlier(d, version)) out.push_back(&d.keys.at(version));
  return out;
}

std::string earlier_problem(const Dossier& d, const KeyFacts& key) {
  std::vector<const KeyLook*> after;
  for (const KeyLook& look : key.looks)
    if (key.done && look.seq > *key.done) after.push_back(&look);
  if (after.empty()) return "no inspection of it is in the bundle";
  // The last one counts; one that saw the key again cannot be made good by another that did not.
  for (const KeyLook* look : after) {
    if (look->answer == "usable") return "an inspection after its destruction found it usable";
    if (!look->after) continue;
    auto is = look->after->keys.find(key.version);
    if (is != look->after->keys.end() && (is->second.first == "usable" || is->second.first == "refused"))
      return "an inspection after its destruction found it " + is->second.first;
  }
  const KeyLook& look = *after.back();
  if (look.answer != "absent") return "its inspection answered " + look.answer;
  if (look.provider != key.provider) return "another provider was inspected";
  if (!look.before || !look.after) return "a transcript of its inspection is missing";
  if (!key.before_digest.empty() && key.before_digest != look.before_digest)
    return "its inspection before is not the one that its destruction rested on";
  if (!complete_at_place(*look.before) || !complete_at_place(*look.after))
    return "its inspections did not see the whole of the same place";
  if (!shown_gone(d, key, *look.before, *look.after))
    return "its inspections do not show it usable before and absent after, with a living control";
  if (look.before->ended > key.intended_at || look.after->started < key.destroyed_at)
    return "its inspections were not made before and after its destruction";
  return "";
}

bool restart_shown(const Dossier& d) {
  std::set<std::string> destroying;
  for (const std::string& version : d.kill.versions) {
    auto it = d.keys.find(version);
    destroying.insert(it == d.keys.end() ? std::string() : it->second.intended_boot);
  }
  return !d.inspections.empty() && !destroying.contains("") &&
         std::all_of(d.inspections.begin(), d.inspections.end(), [&](const Inspection& i) {
           return i.after && !i.after->boot_id.empty() && !destroying.contains(i.after->boot_id);
         });
}

namespace {
std::set<std::string> conditions_of_looks(const Dossier& d, const Looked& looked) {
  std::set<std::string> out;
  if (every_provider(d, looked, [&](const Inspection& i, const std::string& provider) {
        return pair_holds(d, looked, i, provider);
      }))
    out.insert("enumeration-pair");
  if (every_provider(d, looked, [&](const Inspection& i, const std::string& provider) {
        auto keys = destroyed_here(d, provider);
        return std::all_of(keys.begin(), keys.end(), [&](const KeyFacts* k) {
          return asked_for(*i.after, *k) && answer_for(*i.after, k->version) == "absent";
        });
      }))
    out.insert("final-state-absent");
  if (every_provider(d, looked, [&](const Inspection& i, const std::string& provider) {
        auto keys = destroyed_here(d, provider);
        return i.after->tries_remaining && std::all_of(keys.begin(), keys.end(), [&](const KeyFacts* k) {
                 auto before = i.before->keys.find(k->version), after = i.after->keys.find(k->version);
                 return before != i.before->keys.end() && before->second.first == "usable" &&
                        before->second.second == "opened" && after != i.after->keys.end() &&
                        after->second.first == "absent" && after->second.second != "opened";
               });
      }))
    out.insert("canaries-dead");
  if (samples_hold(d, looked)) out.insert("samples-dead");
  return out;
}

// Inspections of the same keys as the erasure's own, made anew after these and before the entry that names
// them.
bool made_anew(const Dossier& d, uint64_t entry) {
  const Header* named = d.header(entry);
  return d.verifications.size() == d.inspections.size() &&
         std::all_of(d.verifications.begin(), d.verifications.end(), [&](const Inspection& v) {
           const Inspection* own = inspection_of({d.inspections, d.inspected}, v.provider);
           return own != nullptr && own->before_digest == v.before_digest && own->after && v.after &&
                  own->after_digest != v.after_digest && v.after->started >= own->after->ended &&
                  named != nullptr && v.after->ended <= named->time;
         });
}
}  // namespace

void inspection_conditions(const Dossier& d, std::set<std::string>& out) {
  // Versions that died before this erasure have inspections of their own; without them nothing here holds.
  for (const KeyFacts* key : destroyed_earlier(d))
    if (!earlier_problem(d, *key).empty()) return;
  out.merge(conditions_of_looks(d, {d.inspections, d.inspected}));
  for (const SignedAct& act : d.acts) {
    if (act.action != "verify" || !act.counted || !made_anew(d, act.seq)) continue;
    const std::set<std::string> again = conditions_of_looks(d, {d.verifications, act.seq});
    if (again.size() == 4) out.insert("inspected-by-other");
  }
}

}  // namespace kesu::dossier
