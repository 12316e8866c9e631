// `erase run`: inspect, destroy, inspect again. Every step is recorded before and after; interrupted
// anywhere, the same command goes on from what the ledger and the provider say.
#include <fcntl.h>
#include <unistd.h>

#include <algorithm>
#include <optional>
#include <set>

#include "app/actor.h"
#include "app/certificate.h"
#include "app/clock_watch.h"
#include "app/datasets.h"
#include "app/erase.h"
#include "app/holds.h"
#include "app/inspection.h"
#include "app/inventory_reader.h"
#include "app/refusals.h"
#include "app/reseal.h"
#include "app/rewrap.h"
#include "app/rules.h"
#include "app/settle.h"
#include "app/waiting_stamps.h"
#include "app/work_lock.h"
#include "base/files.h"
#include "certificate/claims.h"
#include "erasure/destroy_version.h"
#include "erasure/kill_set.h"
#include "erasure/samples.h"
#include "seal/files.h"

namespace kesu {

namespace {
bool is_destroyed(const VersionRecord& v) {
  return v.state == "destroyed" || v.state == "destroyed-compromised";
}

struct Run {
  Vault& vault;
  std::string id;
  Json plan;
  const std::function<void(const std::string&)>& say;
  const std::vector<std::string>& paths;  // sealed files that lie elsewhere

  ErasureRecord& record() { return vault.state().erasures.at(id); }
  std::vector<std::string> order() const {
    std::vector<std::string> out;
    for (const Json& s : plan.at("order").as_array()) out.push_back(s.str("version"));
    return out;
  }
  bool begun() {
    for (const std::string& v : order()) {
      const VersionRecord* r = vault.state().version(v);
      if (r->erasure == id && (r->state == "destroying" || is_destroyed(*r))) return true;
    }
    return false;
  }
  std::vector<std::string> providers() const {
    std::vector<std::string> out;
    for (const Json& p : plan.at("providers").as_array()) out.push_back(p.str("id"));
    return out;
  }
  std::vector<KeyRef> keys_at(const std::string& provider) {
    std::vector<KeyRef> out;
    for (const std::string& v : order())
      if (vault.state().version(v)->provider == provider) out.push_back(*vault.state().version(v)->ref);
    return out;
  }
};

void check_waiting(Run& run) {
  const WaitingEnd end = waiting_end(run.vault.state(), run.record());
  if (run.vault.now() >= end.at) return;
  // To the next whole minute: nobody is told a time at which it is too early.
  Error e(Code::waiting, "the waiting period ends " + local_text(end.at + 59'999));
  if (!end.why.empty()) e.cause("the clock was set since the approval, so the period counts from " + end.why);
  throw e.next("run it then");
}

// An approval may have expired, or its signer been revoked, since the time-stamps were looked at; then others
// reached the quorum, and theirs is another time.
void check_stamped(Run& run, const std::string& waited_by) {
  if (waited_by != "time-stamps" || waiting_by_stamps(run.vault, run.record()).passed()) return;
  throw Error(Code::waiting, "an approval with which the waiting period began counts no more")
      .cause("the others reached the quorum later, and no time-stamps show that the period passed since")
      .next("run the same command again: it says from when on it can be done");
}

void check_permission(Run& run) {
  ErasureRecord& e = run.record();
  if (e.finished)
    throw Error(Code::state_refused, "erasure " + e.id.substr(0, 12) + " has run already")
        .next("kesu certificate bundle " + e.id.substr(0, 12) + " -o DIR");
  const Moment asked = moment_of(run.vault.state(), e.id, moment_now(run.vault));
  const int64_t quorum = rules_in_force(run.vault.state(), asked).quorum;
  if (e.stage == "requested")
    throw Error(Code::approvals_missing, "erasure " + e.id.substr(0, 12) + " has " +
                                             std::to_string(living_approvals(run.vault.state(), e)) + " of " +
                                             std::to_string(quorum) + " approvals")
        .next("kesu erase approve " + e.id.substr(0, 12) + " --as PERSON");
  if (e.stage != "approved" && e.stage != "running")
    throw Error(Code::state_refused, "erasure " + e.id.substr(0, 12) + " is " + e.stage)
        .next("plan anew: kesu erase plan …");
  refuse_held_erasure(run.vault.state(), e, run.plan, run.begun());
  if (run.begun()) return;  // what is begun is finished
  if (static_cast<int64_t>(e.approvals.size()) < quorum)
    throw Error(Code::ledger_damaged,
                "erasure " + e.id.substr(0, 12) + " is " + e.stage + " without its approvals")
        .next("kesu ledger verify");
  const std::string asker = e.request.operator_id;
  if (run.vault.state().operators.at(asker).state != "enrolled")
    throw Error(Code::approvals_missing, run.vault.state().operators.at(asker).name +
                                             ", who requested it, was revoked; the request died with that")
        .next("kesu erase cancel " + e.id.substr(0, 12) + "; then plan and request anew");
  int64_t have = 0;
  std::string dead;
  const auto passed_over = [&](const std::string& why) { dead += (dead.empty() ? "" : "; ") + why; };
  for (const ApprovalRecord& a : e.approvals) {
    Statement s = Statement::parse(to_text(run.vault.store().blob(a.statement)));
    const OperatorRecord& person = run.vault.state().operators.at(a.operator_id);
    if (s.expires <= run.vault.now()) {
      passed_over(person.name + "'s approval expired " + local_text(s.expires));
      continue;
    }
    if (person.state != "enrolled") {
      passed_over(person.name + " was revoked; the approval died with that");
      continue;
    }
    std::string armored = to_text(run.vault.store().blob(a.signature));
    if (std::string why = signature_problem(s.text(), armored, s.signature_namespace(), person.public_key);
        !why.empty())
      throw Error(Code::signature_bad, person.name + "'s approval does not verify").cause(why);
    ++have;
  }
  if (have < quorum)
    throw Error(Code::approvals_missing, "erasure " + e.id.substr(0, 12) + " has " + std::to_string(have) +
                                             " of " + std::to_string(quorum) + " approvals that still count")
        .cause(dead)
        .next("kesu erase approve " + e.id.substr(0, 12) +
              " --as another approver, or plan and approve anew");
}

void check_processes(Run& run) {
  std::string alive;
  for (const std::string& ds : run.record().datasets)
    for (const std::string& p : living_holders(run.vault, ds)) alive += (alive.empty() ? "" : "; ") + p;
  if (!alive.empty())
    throw Error(Code::processes_alive, "processes still hold keys of this data")
        .cause(alive)
        .next("end them, then run the same command again");
}

// Whether the file at `path` is that object; its wrapped data keys are added to `out`.
bool add_sample(const ObjectId& object, const std::string& path, std::vector<ProbeSample>& out) {
  Fd fd(open_path(path, O_RDONLY | O_NOFOLLOW | O_NONBLOCK));
  if (!fd.ok()) return false;
  try {
    ObjectInfo info = inspect_object(file_input(fd.get()));
    const ObjectHeader& header = info.region.header;
    if (header.object != object) return false;
    for (const Slot* slot : info.region.usable())
      out.push_back({object.str(), slot->version,
                     wrap_aad(header.vault, header.dataset, object, slot->version), slot->wrapped});
    return true;
  } catch (const Error&) {  // moved or replaced since: the next of the order serves
    return false;
  }
}

// Wrapped data keys of the sampled objects, from the files themselves (docs/spec/erasure.md, "Samples").
std::vector<ProbeSample> collect_samples(Run& run, const Digest32& seed, int64_t& size) {
  std::vector<ProbeSample> out;
  for (const std::string& ds : run.record().datasets) {
    const DatasetRecord dataset = run.vault.state().datasets.at(ds);
    KeyHolder holder(run.vault, ds, "erase", run.id);
    std::optional<InventoryReader> all(std::in_place, run.vault, dataset, ProcessFor::erasing);
    // What was sealed over stands nowhere any more: it cannot be asked for.
    const auto replaced = std::min(static_cast<uint64_t>(dataset.batches.sums().replaced), all->size());
    const uint64_t want = std::min<uint64_t>(all->size() - replaced, kMaxSamples);
    uint64_t got = 0;
    std::vector<Skipped> others;  // of other datasets, or not to be read: not these
    const PlacesFound found =
        run.paths.empty() ? PlacesFound() : find_objects(run.vault, ds, run.paths, others);
    size += static_cast<int64_t>(want);
    for (uint64_t i : sample_order(seed, ds, all->size())) {
      if (got == want) break;
      const SegmentObject& o = all->at(i);
      const auto elsewhere = found.find(o.object);
      const bool taken =
          add_sample(o.object, o.place, out) ||
          (elsewhere != found.end() &&
           std::any_of(elsewhere->second.begin(), elsewhere->second.end(),
                       [&](const std::string& path) { return add_sample(o.object, path, out); }));
      got += taken ? 1 : 0;
    }
    all.reset();  // and its keys, before it is said that they are gone
    holder.end("released");
    if (got < want)
      throw Error(Code::object_absent, "only " + std::to_string(got) + " of the " + std::to_string(want) +
                                           " sample objects of " + dataset.name +
                                           " that the certificate needs are where they were sealed to")
          .next("bring the sealed files back to their places (kesu inventory list " + dataset.name +
                " --json), or say where they are now: kesu erase run " + run.id.substr(0, 12) + " PATH...");
  }
  return out;
}

std::vector<ProbeSample> samples_of(Run& run, const std::vector<ProbeSample>& all,
                                    const std::string& provider) {
  std::vector<ProbeSample> out;
  for (const ProbeSample& s : all)
    if (const VersionRecord* v = run.vault.state().version(s.key.str()); v && v->provider == provider)
      out.push_back(s);
  return out;
}

// Nothing that is to be kept may hang on the keys of the plan, whatever happened since it was approved.
void check_kept(Run& run) {
  for (const std::string& id : kept_datasets(run.vault, run.record().datasets))
    throw Error(Code::plan_changed, "the same keys now also reach dataset " +
                                        run.vault.state().datasets.at(id).name + ", which would be kept")
        .next("plan anew, with that dataset or after it has a key of its own");
  if (run.begun()) return;
  const std::vector<std::string> scope = run.record().datasets;
  for (const std::string& id : scope)
    if (const auto problem = keep_problem(run.vault, id, scope, run.id))
      throw Error(Code::plan_blocked, problem->what).next(problem->next);
}

// The inspection before: everything that is to die is there and works, and so does the control key.
void start(Run& run, const std::string& waited_by) {
  SavedCheckpoint head = run.vault.checkpoint();
  // Request and approvals by the reader's own rules, and every file that the certificate will need: what is
  // missing now would be found missing when the keys are gone.
  rehearse_certificate(run.vault, run.id, head);
  Digest32 seed = tree_root(run.vault.store().leaves(head.size));
  run.say("inspect   every key of the plan and a sample of objects, before");
  int64_t size = 0;
  std::vector<ProbeSample> samples = collect_samples(run, seed, size);
  run.vault.close_providers();
  Json inspections(Json::Array{});
  for (const std::string& p : run.providers()) {
    const ProviderRecord& provider = run.vault.state().providers.at(p);
    auto probed = run.vault.probe(provider, run.keys_at(p), samples_of(run, samples, p));
    std::vector<VersionRef> keys;
    for (const KeyRef& ref : run.keys_at(p)) keys.push_back(ref.version);
    demand_clear_before(run.vault, provider, probed, keys);
    inspections.push(Json::object({{"provider", p}, {"transcript", probed.evidence}}));
  }
  const Millis looked = run.vault.env().clock.now();  // the erasure starts after that, whoever sets the clock
  Json body = Json::object(
      {{"plan", run.record().plan},
       {"head", Json::object({{"size", head.size}, {"root", hex(seed)}})},
       {"inspections", inspections},
       {"samples",
        Json::object(
            {{"rule", kSampleRule}, {"seed", hex(seed)}, {"size", size}, {"found", samples.size()}})}});
  if (!waited_by.empty()) body.set("waited_by", waited_by);
  run.vault.decide({run.id, run.vault.state().vault.id}, [&] {
    check_permission(run);  // anew: it may have been cancelled or rejected while the keys were inspected
    if (!run.begun()) {
      check_waiting(run);
      check_stamped(run, waited_by);
    }
    recompute_plan(run.vault, run.plan);
    check_kept(run);
    refuse_clock_before(run.vault, std::max(looked, run.vault.state().time),
                        "checking the clock after the inspection before");
    return std::vector<Event>{
        {.type = "erasure-started", .nodes = {{.id = run.id, .is = "running"}}, .body = body}};
  });
}

void destroy_all(Run& run, RunResult& result) {
  auto append = [&](std::vector<Event> events) {
    if (events.at(0).type != "destroy-intended") return record_destruction_end(run.vault, std::move(events));
    run.vault.decide({run.id, events[0].nodes.at(0).id, run.vault.state().vault.id}, [&] {
      if (run.record().stage != "running")
        throw Error(Code::state_refused, "erasure " + run.id.substr(0, 12) + " is " + run.record().stage);
      check_kept(run);
      if (!run.begun()) check_waiting(run);
      const VersionRecord& now = *run.vault.state().version(events[0].nodes.at(0).id);
      if (now.state != events[0].body.str("from"))
        throw Error(Code::conflict, now.version().brief() + " became " + now.state + " meanwhile")
            .next("run the same command again");
      return events;
    });
  };
  Recorder recorder{append, [&](ByteView b) { return run.vault.store().put_blob(b); }};
  for (const std::string& id : run.order()) {
    const VersionRecord v = *run.vault.state().version(id);
    if (!is_destroyed(v)) {
      if (v.state == "destroying")
        throw Error(Code::outcome_unknown,
                    "whether " + v.version().brief() + " was destroyed is still unknown")
            .next("make its provider answer (kesu provider test), then run the same command again");
      run.say("destroy   " + v.version().brief() + " of " + run.vault.state().key_of(id)->name + " in " +
              run.vault.state().providers.at(v.provider).name + "   (cannot be undone)");
      DestroyOrder order{*v.ref, v.state, run.id, this_process()};
      if (destroy_version(run.vault.provider(v.provider), order, recorder) != DestroyOutcome::destroyed)
        throw Error(Code::provider_failed, "the provider refused to destroy " + v.version().brief())
            .next("kesu erase status " + run.id.substr(0, 12) + "; then run the same command again");
    }
    result.destroyed.push_back(id);
    result.receipt_lost |= run.vault.state().version(id)->receipt_lost;
  }
}

// Which starts of a machine destroyed something here.
std::set<std::string> boots_that_destroyed(Run& run) {
  std::set<std::string> out;
  for (const std::string& id : run.order()) out.insert(run.vault.state().version(id)->actor.str("boot_id"));
  return out;
}

// Where the profile asks for it, what the destroying machine's memory held is gone before anything is called
// gone: the start of the machine that inspects is none that destroyed.
void demand_restart(Run& run, const std::string& boot_id) {
  const Profile* profile = find_profile(run.plan.str("profile"));
  if (profile == nullptr || !profile->restart) return;
  if (!boot_id.empty() && !boots_that_destroyed(run).contains(boot_id)) return;
  throw Error(Code::restart_needed, "every key version of the plan is destroyed; profile " + profile->name +
                                        " asks for a restart of this host before the inspection")
      .tried("inspecting after the destruction")
      .cause(boot_id.empty() ? "this machine does not say which start of it this is"
                             : "this is the start of the machine that destroyed: boot_id " + boot_id)
      .next("restart the host, then: kesu erase run " + run.id.substr(0, 12));
}

// The inspection after, in a new process with a login of its own; the same keys, the same samples.
void inspect_after(Run& run, RunResult& result) {
  demand_restart(run, this_process().str("boot_id"));
  Millis last = 0;
  for (const std::string& id : run.order()) last = std::max(last, run.vault.state().version(id)->destroyed);
  const std::string clock = "inspecting after the destruction";
  refuse_clock_before(run.vault, last, clock);
  run.say("inspect   the same keys and samples, after, in a process of its own");
  const InspectedAgain again =
      inspect_again(run.vault, run.record(), run.plan, [&](const Vault::Probed& probed) {
        if (probed.report.error_code.empty()) demand_restart(run, probed.report.boot_id);
        refuse_clock_before(run.vault, last, clock);  // it may have been set back meanwhile
        result.after = probed.evidence;
      });
  for (const Json& i : again.inspections.as_array()) result.before = i.str("before");
  if (!again.doubt.empty())
    throw Error(Code::outcome_unknown,
                "the provider was told to destroy, but the inspection does not show every key absent")
        .cause(again.doubt)
        .next("run the same command again; nothing is certified before it is shown");
  std::vector<Event> events = {
      {.type = "erasure-inspected",
       .nodes = {{.id = run.id, .is = "destroyed"}},
       .body = Json::object({{"inspections", again.inspections}, {"result", again.result()}})}};
  for (const Json& d : run.plan.at("datasets").as_array())
    events.push_back(
        {.type = "dataset-erased",
         .nodes = {{.id = d.str("id"),
                    .is = "erased",
                    .of = run.id,
                    .n = d.num("objects"),
                    .b = d.num("bytes"),
                    .d = d.str("inventory_root")}},
         .body = Json::object({{"reason", "every key version that ever reached it is destroyed"}})});
  run.vault.append(std::move(events), {run.id});
}

RunResult run_now(Vault& vault, const std::string& text, const std::function<void(const std::string&)>& step,
                  const std::vector<std::string>& paths) {
  vault.rebuild();
  watch_clock(vault);  // again: somebody may have set it while a person was asked
  std::string id = vault.find_erasure(text).id;
  const std::string brief = id.substr(0, 12);
  // The plan's own evidence file: it is there as long as the erasure, and no other erasure has it.
  const WorkLock lock(path_join(path_join(vault.directory(), "evidence"), vault.find_erasure(text).plan),
                      "erasure " + brief, "kesu erase status " + brief);
  settle(vault);
  Run run{vault, id, load_plan(vault, id), step, paths};
  check_permission(run);
  RunResult result;
  if (!run.begun()) {  // what is begun is finished
    if (waiting_by_stamps(vault, run.record()).demanded) begin_waiting(vault, id, true);
    check_waiting(run);
    const std::string waited_by = end_waiting(vault, id);
    check_waiting(run);  // the authority may have found that the clock was set
    recompute_plan(vault, run.plan);
    check_processes(run);
    refuse_behind_ledger(vault);
    demand_kept_opens(vault, run.record().datasets, run.id);
    start(run, waited_by);
    check_processes(run);  // from erasure-started on, no process can get at the keys any more
  }
  destroy_all(run, result);
  inspect_after(run, result);
  try {
    vault.checkpoint();
  } catch (const Error& e) {  // it is all done and recorded: run again, it would be refused
    vault.env().notice("no checkpoint was signed after the erasure: " + e.message() +
                       "; kesu certificate bundle " + brief + " -o DIR signs one");
  }
  return result;
}

}  // namespace

RunResult run_erasure(Vault& vault, const std::string& text,
                      const std::function<void(const std::string&)>& step,
                      const std::vector<std::string>& paths) {
  const std::string id = vault.find_erasure(text).id;
  try {
    return run_now(vault, id, step, paths);
  } catch (const Error& e) {
    // Once keys are going, a wait is one for the clock before the inspection: nothing was refused.
    const std::vector<std::string>& versions = vault.state().erasures.at(id).versions;
    const bool going = std::any_of(versions.begin(), versions.end(), [&](const std::string& v) {
      const VersionRecord* r = vault.state().version(v);
      return r && r->erasure == id && (r->state == "destroying" || is_destroyed(*r));
    });
    if (e.code() != Code::waiting || !going) record_refusal(vault, id, Attempt::erase_run, "", e);
    throw;
  }
}

}  // namespace kesu
