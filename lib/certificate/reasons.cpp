// What each claim rests on, and its detail, in words: the same for issuer and reader.
#include <algorithm>

#include "certificate/conditions_impl.h"

namespace kesu::dossier {

namespace {

std::string count(int64_t n, const char* one, const char* many) {
  return std::to_string(n) + " " + (n == 1 ? one : many);
}
std::string count(size_t n, const char* one, const char* many) {
  return count(static_cast<int64_t>(n), one, many);
}

std::string joined(const std::vector<std::string>& parts, const char* between = "; ") {
  std::string out;
  for (const std::string& p : parts) out += (out.empty() ? "" : between) + p;
  return out;
}

Reason scope(const Dossier& d) {
  int64_t objects = 0, bytes = 0;
  size_t batches = 0;
  for (const DatasetFacts& s : d.datasets)
    objects += s.objects, bytes += s.bytes, batches += s.batches.size();
  return {{"inventory roots of " + count(d.datasets.size(), "dataset", "datasets"),
           count(batches, "batch", "batches") + " in the ledger"},
          count(objects, "object", "objects") + ", " + count(bytes, "byte", "bytes")};
}

Reason history(const Dossier& d) {
  Reason out;
  std::vector<std::string> parts;
  for (const DatasetFacts& s : d.datasets) {
    const Json* h = s.settings.find("plaintext_history");
    std::string statement = h ? h->str_or("statement", "unknown") : "unknown",
                by = h ? h->str_or("by", "") : "", detail = h ? h->str_or("detail", "") : "";
    if (!by.empty()) out.rests_on.push_back("statement of " + by);
    parts.push_back(s.settings.str_or("name", s.id) + ": " + statement +
                    (detail.empty() ? "" : ", " + detail));
  }
  out.detail = joined(parts);
  return out;
}

Reason algorithms(const Dossier& d, const std::set<std::string>& conditions) {
  Reason out{{"policy " + d.plan.str_or("policy_digest", "").substr(0, 16)}, {}};
  auto used = algorithms_of(d);
  if (!used) return {{}, "not every batch's algorithms are shown"};
  std::vector<std::string> parts;
  for (const AlgorithmUse& use : *used)
    parts.push_back(use.name + " (" + use.purpose + (use.until.empty() ? "" : ", until " + use.until) + ")");
  out.detail = joined(parts, ", ");
  if (conditions.contains("algorithms-listed") && conditions.contains("algorithms-strong")) return out;
  for (const ExceptionFacts& e : d.exceptions)
    if (e.what == "algorithm")
      out.detail += "; by recorded exception only (" + brief_number(e.seq) + "): " + e.detail;
  return out;
}

Reason living(const Dossier& d) {
  auto paths = living_paths(d.graph, d.datasets_in_scope, d.as_of);
  size_t shown = std::min<size_t>(paths.size(), 5);
  Reason out{{"disclosure graph: " + count(d.kill.versions.size(), "key version", "key versions") + ", " +
              count(d.kill.copies.size(), "copy", "copies") + ", " +
              count(d.kill.processes.size(), "process", "processes")},
             count(paths.size(), "living path", "living paths")};
  if (shown) out.detail += ": " + joined({paths.begin(), paths.begin() + static_cast<long>(shown)}, ", ");
  return out;
}

Reason destroyed(const Dossier& d) {
  size_t receipts = 0, lost = 0, done = 0;
  for (const std::string& v : d.kill.versions) {
    auto it = d.keys.find(v);
    if (it == d.keys.end()) continue;
    done += it->second.done.has_value();
    receipts += it->second.receipt.has_value() && it->second.receipt->accepted;
    lost += it->second.receipt_lost;
  }
  return {{count(receipts, "provider receipt", "provider receipts")},
          std::to_string(done) + " of " + count(d.kill.versions.size(), "key version", "key versions") +
              " destroyed" +
              (lost ? ", " + count(lost, "receipt", "receipts") + " lost and settled by inspection" : "")};
}

Reason copies(const Dossier& d) {
  std::vector<std::string> parts, on;
  for (const CopyFacts& c : d.copies) {
    parts.push_back(c.id + " " + c.state);
    if (!c.custodian.empty()) on.push_back("statement of " + c.custodian);
  }
  return {on, d.copies.empty() ? "none registered" : joined(parts, ", ")};
}

// By whose time, whoever's tokens they are: what the claim is worth to a reader says his report.
std::string waiting_words(const Dossier& d, const Waiting& waiting) {
  if (!waiting.approved || waiting.seconds == 0) return "";
  const WaitingShown all = waiting_shown(d, waiting, [](size_t) { return true; });
  if (all.from && all.between() / 1000 >= waiting.seconds)
    return ", time-stamped from " + utc_text(all.from->stamp.token.time) + " to " +
           utc_text(all.to->stamp.token.time);
  const Json* started = d.started ? d.body(*d.started) : nullptr;
  const Json* by = started ? started->find("waited_by") : nullptr;
  return by && by->is_string() && by->as_string() == "host" ? ", by the host's clock" : "";
}

Reason authorised(const Dossier& d) {
  Reason out;
  size_t approvals = 0;
  for (const SignedAct& act : d.acts) {
    if (!act.counted || (act.action != "request" && act.action != "approve")) continue;
    auto it = d.people.find(act.operator_id);
    out.rests_on.push_back("signature of " + (it == d.people.end() ? act.operator_id : it->second.name) +
                           " (" + act.action + ")");
    approvals += act.action == "approve";
  }
  const Bars bars = bars_of(d);
  out.detail = count(approvals, "approval", "approvals") + ", quorum " + std::to_string(bars.quorum) +
               ", waiting period " + count(bars.waiting_seconds, "second", "seconds");
  const Waiting waiting = waiting_of(d);
  out.detail += waiting_words(d, waiting);
  if (!waiting.anew) return out;
  const std::string finding =
      brief_number(waiting.anew->seq) + " (" +
      (waiting.anew->what.empty() ? "a finding that is not shown" : waiting.anew->what) + ")";
  out.detail += waiting.passed ? ", counted from " + finding
                               : "; the clock was set at " + finding + ", after which it did not pass";
  return out;
}

Reason validated(const Dossier& d) {
  Reason out;
  for (const SignedAct& act : d.acts)
    if (act.counted && act.action == "validate")
      out.rests_on.push_back("signature of " + d.people.at(act.operator_id).name + " (validate)");
  return out;
}

// "loans.1"
std::string brief_name(const KeyFacts& key) {
  auto ref = VersionRef::parse(key.version);
  return key.name.empty() || !ref ? key.version : key.name + "." + std::to_string(ref->version);
}

Reason inspected(const Dossier& d, const std::set<std::string>& conditions) {
  Reason out;
  for (const Inspection& i : d.inspections)
    out.rests_on.push_back("enumerations of " + i.provider + " before and after");
  for (const SignedAct& act : d.acts)
    if (act.counted && act.action == "verify" && conditions.contains("inspected-by-other"))
      out.rests_on.push_back("signature of " + d.people.at(act.operator_id).name + " (verify)");
  out.detail =
      count(d.kill.versions.size(), "canary", "canaries") + ", " + count(d.samples, "sample", "samples");
  for (const KeyFacts* key : destroyed_earlier(d)) {
    std::string problem = earlier_problem(d, *key);
    out.detail +=
        "; " + brief_name(*key) + " was destroyed before this erasure" +
        (problem.empty() ? ", and inspected then" : ", and that it is gone is not shown: " + problem);
    if (problem.empty()) out.rests_on.push_back("inspections of " + brief_name(*key) + " before and after");
  }
  return out;
}

Reason origin(const Dossier& d) {
  Reason out{{"attributes at birth and before destruction"},
             count(d.kill.versions.size(), "key version", "key versions")};
  std::set<std::string> named;
  for (const Attested& a : d.attested)
    if (a.counted && named.insert(a.operator_id).second)
      out.rests_on.push_back("signature of " + d.people.at(a.operator_id).name + " (attest)");
  for (const std::string& version : d.kill.versions) {
    auto it = d.keys.find(version);
    if (it == d.keys.end()) continue;
    const KeyFacts& key = it->second;
    auto p = d.providers.find(key.provider);
    std::vector<std::string> attended;
    for (const Attested& a : d.attested)
      if (a.counted && a.version == version) attended.push_back(d.people.at(a.operator_id).name);
    if (!attended.empty())
      out.detail += "; the making of " + brief_name(key) + " was attended by " + joined(attended, ", ");
    if (key.origin.empty())
      out.detail += "; where " + brief_name(key) + " came from is not shown";
    else if (key.origin != "generated")
      out.detail += "; " + brief_name(key) + " was " + key.origin + ": what it was before is somebody's word";
    else if (p != d.providers.end() && p->second.identity.kind == kSoftKind)
      out.detail += "; " + brief_name(key) + " lay in a software keystore and could leave with its file";
  }
  return out;
}

// "2026-11-21T09:12:00.000Z, by CN=…" of the first trusted token over that.
std::string stamp_text(const Dossier& d, StampFacts::Over over) {
  for (const StampFacts& s : d.stamps)
    if (s.over == over && s.trusted) return utc_text(s.token.time) + ", by " + s.token.authority->subject;
  return "";
}

// The issuer, who has no reader's anchors, says neither: a level that is higher here may say more
// (docs/spec).
Reason logged(const Dossier& d, const std::set<std::string>& conditions) {
  Reason out{{"checkpoints of " + d.a.origin}, ""};
  if (conditions.contains("headers-complete") && conditions.contains("checkpoints-signed") &&
      conditions.contains("checkpoint-b-stamped"))
    out.detail = "checkpoint B stamped at " + stamp_text(d, StampFacts::Over::checkpoint_b);
  return out;
}

Reason dated(const Dossier& d, const std::set<std::string>& conditions) {
  if (!conditions.contains("signature-stamped")) return {};
  std::string renewed;  // by the last that counts
  for (const StampFacts& s : d.stamps)
    if (s.over == StampFacts::Over::renewal && s.trusted)
      renewed = ", renewed at " + utc_text(s.token.time) + ", by " + s.token.authority->subject;
  return {{"time-stamps over the signature"},
          "stamped at " + stamp_text(d, StampFacts::Over::signature_file) + renewed};
}

}  // namespace

Reason reason_for(const Dossier& d, const std::string& claim, const std::set<std::string>& conditions) {
  if (claim == "scope") return scope(d);
  if (claim == "plaintext-history") return history(d);
  if (claim == "sealed-before-placed") return {{"seal-intended and seal-done entries"}, ""};
  if (claim == "algorithms") return algorithms(d, conditions);
  if (claim == "key-origin") return origin(d);
  if (claim == "uncompromised")
    return {{"every header of the ledger"},
            conditions.contains("never-compromised") ? "" : "a compromise or a finding is recorded"};
  if (claim == "exclusivity") return living(d);
  if (claim == "copies") return copies(d);
  if (claim == "destroyed") return destroyed(d);
  if (claim == "irreversible") return {{"the provider's answers after destruction"}, ""};
  if (claim == "verified-gone") return inspected(d, conditions);
  if (claim == "authorised") return authorised(d);
  if (claim == "logged") return logged(d, conditions);
  if (claim == "dated") return dated(d, conditions);
  if (claim == "residue") return residue_reason(d);
  if (claim == "validated") return validated(d);
  return {};
}

}  // namespace kesu::dossier
