// Conditions about keys, copies and people: birth, compromise, destruction, authorisation, holds.
#include <algorithm>

#include "certificate/conditions_impl.h"

namespace kesu::dossier {

namespace {

bool every_key(const Dossier& d, const std::function<bool(const KeyFacts&)>& holds) {
  return !d.kill.versions.empty() &&
         std::all_of(d.kill.versions.begin(), d.kill.versions.end(), [&](const std::string& v) {
           auto it = d.keys.find(v);
           return it != d.keys.end() && holds(it->second);
         });
}

bool is_destroyed(const std::string& state) {
  return state == "destroyed" || state == "destroyed-compromised";
}

bool never_compromised(const Dossier& d) {
  std::set<std::string> nodes(d.kill.versions.begin(), d.kill.versions.end());
  nodes.insert(d.kill.copies.begin(), d.kill.copies.end());
  nodes.insert(d.kill.processes.begin(), d.kill.processes.end());
  for (const std::string& id : nodes) {
    const auto node = d.graph.find(id);
    if (!node) continue;
    for (const auto& [seq, state] : node->states)
      if (state == "compromised" || state == "destroyed-compromised") return false;
  }
  for (const Header& h : d.headers)
    if (h.type == "finding-recorded")
      for (const NodeMention& m : h.nodes)
        if (nodes.contains(m.id)) return false;
  return true;
}

// Whether a hold on something in scope was in force between the request and the last destruction.
bool held(const Dossier& d) {
  const uint64_t end = d.last_done ? d.last_done : d.b.size;
  return std::any_of(d.holds.begin(), d.holds.end(), [&](const HoldFacts& hold) {
    return hold.placed < end && (!hold.released || *hold.released > d.requested);
  });
}

bool copies_all(const Dossier& d, const std::function<bool(const CopyFacts&)>& holds) {
  return !d.copies.empty() && std::all_of(d.copies.begin(), d.copies.end(), holds);
}

// What was imported lay somewhere else before: that place is a copy, and somebody has to answer for it.
bool imports_have_origins(const Dossier& d) {
  return every_key(d, [&](const KeyFacts& k) {
    return k.origin == "generated" || k.origin == "adopted" ||
           std::any_of(d.copies.begin(), d.copies.end(), [&](const CopyFacts& c) {
             return c.kind == "import-origin" && c.versions.contains(k.version);
           });
  });
}

// The kind of provider that holds it; empty when that is not shown.
std::string kind_of(const Dossier& d, const KeyFacts& k) {
  auto p = d.providers.find(k.provider);
  return p == d.providers.end() ? "" : p->second.identity.kind;
}

bool born_inside(const Dossier& d, const KeyFacts& k) {
  std::string kind = kind_of(d, k);
  return k.origin == "generated" && k.birth_good && k.attributes_again && !kind.empty() && kind != kSoftKind;
}

bool born_in_software(const Dossier& d, const KeyFacts& k) {
  return k.origin == "generated" && k.birth_shown && k.attributes_shown && kind_of(d, k) == kSoftKind;
}

// Its origin is said, and where it is now is shown.
bool brought_in(const Dossier& d, const KeyFacts& k) {
  return !k.origin.empty() && k.origin != "generated" && k.birth_shown && k.attributes_shown &&
         !kind_of(d, k).empty();
}

}  // namespace

void key_conditions(const Dossier& d, std::set<std::string>& out) {
  if (every_key(d, [&](const KeyFacts& k) { return born_inside(d, k); })) out.insert("birth-recorded");
  if (every_key(d, [&](const KeyFacts& k) {
        return std::any_of(d.attested.begin(), d.attested.end(),
                           [&](const Attested& a) { return a.counted && a.version == k.version; });
      }))
    out.insert("birth-attested");
  if (every_key(d, [&](const KeyFacts& k) { return born_inside(d, k) || born_in_software(d, k); }))
    out.insert("birth-in-software");
  if (every_key(d, [&](const KeyFacts& k) {
        return born_inside(d, k) || born_in_software(d, k) || brought_in(d, k);
      }))
    out.insert("origin-stated");
  if (never_compromised(d)) out.insert("never-compromised");
  if (!d.kill.versions.empty() && living_paths(d.graph, d.datasets_in_scope, d.as_of).empty())
    out.insert("all-reachers-dead");
  bool origins = imports_have_origins(d);
  if (d.kill.copies.empty() && origins) out.insert("no-copies");
  if (origins && copies_all(d, [](const CopyFacts& c) { return c.state == "ended"; }))
    out.insert("copies-ended");
  if (copies_all(d, [](const CopyFacts& c) { return c.documented; })) out.insert("copies-documented");
  if (every_key(d, [&](const KeyFacts& k) {
        const auto node = d.graph.find(k.version);
        return node && is_destroyed(node->state) && k.done;
      }))
    out.insert("all-destroyed");
  auto received = [](const KeyFacts& k) { return k.receipt && k.receipt->accepted && !k.receipt_lost; };
  if (every_key(d, received)) out.insert("receipts");
  if (every_key(d, [&](const KeyFacts& k) { return received(k) || (k.receipt_lost && k.settled); }))
    out.insert("receipts-or-settled");
}

Bars bars_of(const Dossier& d) {
  const Profile* profile = find_profile(d.plan.str_or("profile", ""));
  const Rules rules = rules_at(d, moment_of_request(d));
  return {std::max({d.plan.num_or("quorum", 0), profile ? profile->quorum : 0, rules.quorum}),
          std::max({d.plan.num_or("waiting_seconds", 0), profile ? profile->waiting_seconds : 0,
                    rules.waiting_seconds})};
}

Waiting waiting_of(const Dossier& d) {
  Waiting out;
  if (!find_profile(d.plan.str_or("profile", "")) || !d.genesis) return out;
  if (const auto era = d.graph.find(d.erasure))
    for (const auto& [seq, state] : era->states)
      if (state == "rejected" || state == "cancelled") return out;
  const auto [quorum, seconds] = bars_of(d);
  std::vector<const SignedAct*> approvals;
  for (const SignedAct& act : d.acts)
    if (act.counted && act.action == "approve") approvals.push_back(&act);
  if (quorum < 1 || static_cast<int64_t>(approvals.size()) < quorum) return out;
  out.approved = true;
  out.seconds = seconds;
  const SignedAct* reached = approvals[static_cast<size_t>(quorum - 1)];
  out.reached = reached->seq;
  if (!d.first_intended || *d.first_intended <= reached->seq) return out;
  Millis from = reached->time;
  for (const ClockFacts& f : d.clock_findings)
    if (out.seconds > 0 && f.seq > reached->seq && f.seq < *d.first_intended) out.anew = &f, from = f.time;
  out.passed = (d.first_intended_at - from) / 1000 >= out.seconds;
  return out;
}

void people_conditions(const Dossier& d, std::set<std::string>& out) {
  if (d.officers_known) out.insert("officers-known");
  if (!held(d)) out.insert("no-hold");
  if (d.unsigned_entries.empty()) out.insert("commands-signed");
  for (const SignedAct& act : d.acts)
    if (act.counted && act.action == "request") out.insert("requested-signed");
  for (const SignedAct& act : d.acts)
    if (act.counted && act.action == "validate") out.insert("validated-signed");
  const Waiting waiting = waiting_of(d);
  if (waiting.approved) out.insert("quorum-approved");
  if (waiting.passed) out.insert("waited");
}

std::set<std::string> conditions_of(const Dossier& d, const ReaderEvidence& reader) {
  std::set<std::string> out;
  scope_conditions(d, out);
  key_conditions(d, out);
  inspection_conditions(d, out);
  people_conditions(d, out);
  if (residue_scanned(d)) out.insert("residue-scanned");
  if (reader.witness_quorum > 0 && reader.witnesses >= reader.witness_quorum)
    out.insert("checkpoint-b-witnessed");
  if (reader.signature_stamped) out.insert("signature-stamped");
  if (reader.checkpoint_b_stamped) out.insert("checkpoint-b-stamped");
  return out;
}

}  // namespace kesu::dossier
