#include "app/due.h"

#include <algorithm>
#include <tuple>

#include "app/clock_watch.h"
#include "app/key_states.h"
#include "app/notices.h"
#include "app/rules.h"
#include "crypto/person_key.h"

namespace kesu {

namespace {
std::string many(int64_t n, const char* one, const char* more) {
  return std::to_string(n) + " " + (n == 1 ? one : more);
}
std::string day(Millis t) { return local_text(t).substr(0, 10); }

// Which datasets' objects and names lie on a version that is not erased with them.
struct Use {
  std::map<std::string, int64_t> objects;       // by dataset's name
  std::map<std::string, int64_t> dataset_keys;  // likewise: keys of names
};

std::map<std::string, Use> uses_of(const State& state) {
  std::map<std::string, Use> out;
  for (auto& [id, d] : state.datasets) {
    if (d.state == "erased") continue;
    for (auto& [by, sums] : d.batches.under()) out[by.first].objects[d.name] += sums.objects;
    std::map<std::string, std::string> newest;  // a dataset key's names open by any of its wraps
    for (const DatasetKeyRecord& k : d.keys) newest[k.id] = k.version;
    for (auto& [key, version] : newest) ++out[version].dataset_keys[d.name];
  }
  return out;
}

class List {
 public:
  List(const State& state, Millis now) : state_(state), now_(now), uses_(uses_of(state)) {}

  void keys() {
    for (auto& [id, key] : state_.keys)
      for (const VersionRecord& v : key.versions) {
        if (key.purpose == KeyPurpose::wrap) wrap_version(key, v);
        if (v.inspection_due())
          add({"inspection", v.id, version_name(state_, v), v.destroyed, false,
               "was destroyed, and nobody has looked since whether it is gone",
               "kesu key destroy " + key.name + " --version " + std::to_string(v.number()) + " looks"});
      }
  }

  void datasets() {
    StrengthJudge judge(state_, year_of(now_));
    for (auto& [id, d] : state_.datasets) {
      if (d.state == "erased") continue;
      rewrap(d);
      if (d.state == "open") no_active(d);
      suspended(d);
      ResealDue reseal = judge.reseal_due(d);
      if (!reseal.due) continue;
      std::string why = reseal.reasons.empty() ? "" : reseal.reasons[0];
      if (reseal.reasons.size() > 1)
        why += "; and " + std::to_string(reseal.reasons.size() - 1) + " more reasons";
      add({"reseal", id, d.name, 0, true, "has to be sealed anew: " + why,
           "kesu dataset inspect " + d.name +
               "; then kesu reseal it into a new dataset under another key, and kesu erase plan " + d.name});
    }
  }

  // Enrolments and roles that end, changes that have not taken effect, approvers that are too few.
  void people() {
    const Moment now{state_.size, now_};
    const auto ends = [&](const OperatorRecord& p, const std::string& what, Millis end) {
      if (!end || end - now_ > kEnrolmentNotice || now_ - end > kFindingShown) return;
      add({"enrolment", p.id, p.name, end, false, what + (end <= now_ ? " ended " : " ends ") + day(end),
           what == "the certificate" ? "kesu operator revoke, then kesu operator add with the new certificate"
                                     : "kesu operator renew or grant, or let it end"});
    };
    for (auto& [id, p] : state_.operators) {
      const Terms terms = terms_in_force(state_, p, now);
      if (!terms.roles.empty()) ends(p, "the enrolment", terms.until);
      if (!terms.roles.empty() && p.public_key.starts_with(std::string(kX509Word) + " "))
        ends(p, "the certificate", PersonKey::parse_line(p.public_key).certificate->not_after);
      for (auto& [role, end] : terms.roles) ends(p, "the role " + role, end);
    }
    for (auto& [seq, c] : state_.changes)
      if (is_pending(c, now_))
        add({"rules", state_.vault.id, "entry " + std::to_string(seq), c.effective, false,
             change_text(c.change) + ", from " + local_text(c.effective) + " on",
             "nothing; kesu operator revoke of those who signed it ends it"});
    const int64_t there = approvers_in_force(state_, now), need = rules_in_force(state_, now).quorum;
    if (there < need)
      add({"rules", state_.vault.id, "approvers", 0, true,
           std::to_string(there) + " in force, and an erasure takes " + std::to_string(need),
           "kesu operator add, grant or renew"});
  }

  void rest() {
    for (auto& [id, c] : state_.copies) copy(c);
    for (auto& [id, e] : state_.erasures) erasure(e);
    for (auto& [id, c] : state_.certificates) certificate(c);
    for (auto& [seq, x] : state_.exceptions) {
      if (!x.until || x.until <= now_ || x.until - now_ > kExceptionNotice) continue;
      add({"exception", x.subject, name_of(x.subject), x.until, false,
           "the exception (" + x.what + ") ends " + day(x.until), "do what it put off, or ask for another"});
    }
    for (auto& [seq, f] : state_.findings) {
      if (now_ - f.time > kFindingShown || f.what == "destruction-refused") continue;
      if (f.what == "set-aside") {
        auto d = state_.datasets.find(f.node);
        if (d != state_.datasets.end() && d->second.state != "erased")
          add({"finding", f.node, d->second.name, f.time, false, f.detail,
               "kesu inventory check " + d->second.name +
                   " PATH says which; seal their sources again, then kesu inventory remove PATH"});
        continue;
      }
      add({"finding", f.node, f.what, f.time, true, f.detail, "kesu ledger show --entry " + seq});
    }
  }

  std::vector<Due> take() {
    auto rank = [](const Due& d) {
      return std::make_tuple(!d.overdue, d.at ? d.at : INT64_MAX, d.what, d.name);
    };
    std::sort(out_.begin(), out_.end(), [&](const Due& a, const Due& b) { return rank(a) < rank(b); });
    return std::move(out_);
  }

 private:
  void add(Due due) { out_.push_back(std::move(due)); }

  std::string name_of(const std::string& node) const {
    if (const VersionRecord* v = state_.version(node)) return version_name(state_, *v);
    return node.substr(0, 12);
  }

  const VersionRecord* waiting(const KeyRecord& key) const {
    for (const VersionRecord& v : key.versions)
      if (v.state == "pre-activation") return &v;
    return nullptr;
  }

  void wrap_version(const KeyRecord& key, const VersionRecord& v) {
    const std::string name = version_name(state_, v);
    const VersionRecord* successor = waiting(key);
    const std::string rotate =
        successor ? "kesu key activate " + version_name(state_, *successor) + " --reason TEXT"
                  : "kesu key rotate " + key.name;
    const Millis protects = v.protect_until(), opens = v.process_until();
    if (v.state == "active" && protects && protects - now_ <= kOriginatorNotice)
      add({"originator-period", v.id, name, protects, protects <= now_,
           protects <= now_ ? "protects nothing new since " + day(protects)
                            : "protects new data until " + day(protects),
           rotate});
    auto use = uses_.find(v.id);
    auto state = parse_key_state(v.state);
    if (use != uses_.end() && state && may_exist(*state) && opens && opens - now_ <= kRecipientNotice) {
      std::string datasets;
      int64_t n = 0;
      for (auto& [d, objects] : use->second.objects) datasets += " " + d, n += objects;
      for (auto& [d, keys] : use->second.dataset_keys)
        if (!use->second.objects.contains(d)) datasets += " " + d;
      add({"recipient-period", v.id, name, opens, opens <= now_,
           (opens <= now_ ? "opens nothing since " + day(opens) : "opens until " + day(opens)) + ", and " +
               (n ? many(n, "object is", "objects are") : std::string("keys of names are")) + " on it",
           (v.state == "active" ? rotate + ", then " : "") + "kesu rewrap" + datasets});
    }
    if ((v.state == "active" || v.state == "suspended") && v.wraps >= v.wrap_quota / 4 * 3)
      add({"wrap-quota", v.id, name, 0, v.wraps_left() == 0,
           "has wrapped " + std::to_string(v.wraps) + " of the " + std::to_string(v.wrap_quota) +
               " data keys that it may",
           rotate});
    if (v.state == "pre-activation")
      add({"pre-activation", v.id, name, v.created, false, "waits for its activation",
           "kesu key activate " + name + " --reason TEXT"});
  }

  void no_active(const DatasetRecord& d) {
    auto it = state_.keys.find(d.key);
    if (it == state_.keys.end() || it->second.active() || state_.reserving(d.key)) return;
    const KeyRecord& key = it->second;
    add({"no-active-version", d.id, d.name, 0, false,
         "takes no new data: its key " + key.name + " has no active version", how_to_activate(state_, key)});
  }

  // Objects and names on a suspended version beside which another is active: nothing else asks about them.
  void suspended(const DatasetRecord& d) {
    for (auto& [id, use] : uses_) {
      const VersionRecord* v = state_.version(id);
      const KeyRecord* key = v ? state_.key_of(id) : nullptr;
      if (!key || v->state != "suspended" || !key->active()) continue;
      auto objects = use.objects.find(d.name);
      if (objects == use.objects.end() && !use.dataset_keys.contains(d.name)) continue;
      add({"suspended", d.id, d.name, v->since, false,
           "has " +
               (objects != use.objects.end() ? many(objects->second, "object", "objects")
                                             : std::string("names")) +
               " on " + version_name(state_, *v) + ", which is suspended: they do not open",
           how_to_end_suspension(state_, *v)});
    }
  }

  // Objects and names on versions that are deactivated or compromised, one row for the dataset.
  void rewrap(const DatasetRecord& d) {
    std::string on;
    Millis at = 0;
    bool overdue = false;
    for (auto& [id, use] : uses_) {
      const VersionRecord* v = state_.version(id);
      if (!v || (v->state != "deactivated" && v->state != "compromised")) continue;
      auto objects = use.objects.find(d.name);
      if (objects == use.objects.end() && !use.dataset_keys.contains(d.name)) continue;
      on +=
          (on.empty() ? "" : ", ") +
          (objects != use.objects.end() ? many(objects->second, "object", "objects") : std::string("names")) +
          " on " + version_name(state_, *v) + " (" + v->state + ")";
      const Millis until = v->process_until();
      Millis since = until ? until : v->deactivated;
      if (v->state == "compromised") since = v->compromised;  // since then it waits
      if (since && (!at || since < at)) at = since;
      overdue |= v->state == "compromised" || (until && until <= now_);
    }
    if (on.empty()) return;
    auto key = state_.keys.find(d.key);
    const bool active = key != state_.keys.end() && key->second.active();
    add({"rewrap", d.id, d.name, at, overdue, "has " + on,
         (active || key == state_.keys.end() ? "" : how_to_activate(state_, key->second) + ", then ") +
             "kesu rewrap " + d.name});
  }

  void copy(const CopyRecord& c) {
    if (c.state != "open") return;
    bool outlives = false;
    std::string names;
    for (const std::string& id : c.versions) {
      const VersionRecord* v = state_.version(id);
      if (!v) continue;
      names += (names.empty() ? "" : ", ") + version_name(state_, *v);
      auto state = parse_key_state(v->state);
      outlives |= state && !may_exist(*state) && *state != KeyState::absent;
      if (names.size() > 60) {
        names += ", …";
        break;
      }
    }
    add({"copy", c.id, c.kind, c.registered, outlives,
         "a copy of " + (names.empty() ? std::string("keys") : names) + " is open at " + c.place +
             (outlives ? ": keys that were destroyed come back from it" : ""),
         "have it destroyed, then kesu copy destroy " + c.id.substr(0, 12) + " --how TEXT --as PERSON"});
  }

  // What a certificate said of a key may turn out to be wrong later.
  void certificate(const CertificateRecord& c) {
    auto e = state_.erasures.find(c.erasure);
    if (c.state != "issued" || e == state_.erasures.end()) return;
    if ((c.stamp_asked || !c.renewals.empty()) && state_.vault.stamped_size <= c.newest_entry())
      add({"certificate", c.id, c.id.substr(0, 12), c.issued, false,
           std::string("has no time-stamp over the checkpoint that covers it yet") +
               (c.stamp.empty() ? "; its signature has none either, and gets none any more" : ""),
           "kesu certificate bundle " + e->second.id.substr(0, 12) + " -o DIR fetches it"});
    for (const std::string& id : e->second.versions)
      if (const VersionRecord* v = state_.version(id); v && v->compromised > c.issued)
        add({"certificate", c.id, c.id.substr(0, 12), v->compromised, true,
             "says of " + version_name(state_, *v) + " that it was never compromised, and it was",
             "tell everybody who holds it"});
    for (auto& [id, copy] : state_.copies)
      if (copy.state == "open" && copy.registered > c.issued &&
          std::any_of(copy.versions.begin(), copy.versions.end(), [&](const std::string& v) {
            const auto& gone = e->second.versions;
            return std::find(gone.begin(), gone.end(), v) != gone.end();
          }))
        add({"certificate", c.id, c.id.substr(0, 12), copy.registered, true,
             "calls keys gone of which a copy was found since: " + copy.place,
             "tell everybody who holds it; kesu copy list"});
  }

  void erasure(const ErasureRecord& e) {
    const std::string brief = e.id.substr(0, 12);
    Due due{"erasure", e.id, brief, e.requested, false, "", ""};
    if (e.stage == "cancelled" || e.stage == "rejected") {
      const NoticeRecord* notice = notice_in_force(state_, e.id);
      if (!notice) return;
      due.at = notice->issued;
      due.overdue = true;
      due.detail = "is " + e.stage + ", and a notice of it says that its keys are withheld";
      due.next = "kesu certificate notice " + brief + " -o DIR issues the superseding record";
      return add(std::move(due));
    }
    if (e.stage == "requested") {
      due.detail = "waits for approval " + std::to_string(living_approvals(state_, e) + 1) + " of " +
                   std::to_string(rules_in_force(state_, {e.requested_seq, e.requested}).quorum);
      due.next = "kesu erase approve " + brief;
    } else if (e.stage == "approved" || e.stage == "running") {
      due.detail = e.stage == "running" ? "has begun and is not finished" : "is approved and has not begun";
      due.overdue = e.stage == "running";
      if (e.approved) due.at = e.approved;
      due.next = "kesu erase run " + brief;
    } else if (e.finished && e.certificate.empty()) {
      due.detail = "is done and has no certificate yet";
      if (e.finished) due.at = e.finished;
      due.next = "kesu certificate bundle " + brief + " -o DIR";
    } else {
      return;
    }
    add(std::move(due));
  }

  const State& state_;
  Millis now_;
  std::map<std::string, Use> uses_;
  std::vector<Due> out_;
};
}  // namespace

Json Due::to_json() const {
  return Json::object({{"what", what},
                       {"node", node},
                       {"name", name},
                       {"at", at ? Json(utc_text(at)) : Json()},
                       {"overdue", overdue},
                       {"detail", detail},
                       {"next", next}});
}

std::vector<Due> due_list(const State& state, Millis now) {
  List list(state, now);
  list.keys();
  list.datasets();
  list.people();
  list.rest();
  return list.take();
}

std::string when_text(const Due& due, Millis now) {
  if (!due.at) return due.overdue ? "now" : "";
  if (due.at > now) return "in " + length_text(due.at - now);
  return due.overdue ? length_text(now - due.at) + " ago" : "since " + length_text(now - due.at);
}

std::map<std::string, int64_t> objects_on_versions(const State& state) {
  std::map<std::string, int64_t> out;
  for (auto& [version, use] : uses_of(state))
    for (auto& [dataset, n] : use.objects) out[version] += n;
  return out;
}

}  // namespace kesu
