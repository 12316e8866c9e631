#include "app/waiting_stamps.h"

#include <algorithm>
#include <vector>

#include "app/anchors.h"
#include "app/clock_watch.h"
#include "app/rules.h"
#include "app/time_authority.h"
#include "certificate/claims.h"
#include "erasure/statement.h"

namespace kesu {

namespace {
constexpr std::string_view kStamped = "erasure-stamped", kApproved = "erasure-approved";

std::string brief(const std::string& id) { return id.substr(0, 12); }

WaitingByStamps demand_of(const State& state, const Moment& asked) {
  const Rules rules = rules_in_force(state, asked);
  const Profile* profile = find_profile(rules.profile);
  WaitingByStamps out;
  out.length = rules.waiting_seconds * 1000;
  out.demanded = profile && profile->timestamp;
  return out;
}

// Approved, and nothing is destroyed yet.
bool may_wait(const ErasureRecord& e) { return e.stage == "approved" || e.stage == "running"; }

bool still_counts(Vault& vault, const ApprovalRecord& a) {
  if (vault.state().operators.at(a.operator_id).state != "enrolled" || !vault.store().has_blob(a.statement))
    return false;
  try {
    return Statement::parse(to_text(vault.store().blob(a.statement))).expires > vault.now();
  } catch (const Error& e) {
    if (e.code() != Code::bad_input && e.code() != Code::ledger_damaged) throw;
    return false;
  }
}

// Nothing that comes behind it changes what was waited for.
bool ends_erasure(std::string_view type) {
  return type == "erasure-inspected" || type == "erasure-cancelled" || type == "erasure-rejected";
}

// The times between which a recorded time-stamp lies, where it counts.
struct Span {
  Millis earliest = 0, latest = 0;
};
std::optional<Span> span_of(Vault& vault, const Json& body, const Anchors& anchors) {
  const std::string note = body.str("checkpoint"), answer = body.str("document"),
                    chain = body.str("authority");
  for (const std::string& digest : {note, answer, chain})
    if (!vault.store().has_blob(digest)) return std::nullopt;
  try {
    const TimestampCheck check = verify_timestamp(parse_timestamp_answer(vault.store().blob(answer)).token,
                                                  {.data = vault.store().blob(note)});
    if (!check.ok || !is_of_rules(check, as_text(vault.store().blob(chain)), anchors)) return std::nullopt;
    return Span{check.time - check.accuracy, check.time + check.accuracy};
  } catch (const Error& e) {
    if (e.code() != Code::bad_input && e.code() != Code::ledger_damaged) throw;
    return std::nullopt;
  }
}

Error not_over(Millis end, const std::string& cause) {
  return Error(Code::waiting, "the waiting period ends " + local_text(end + 59'999))
      .cause(cause)
      .next("run it then");
}

void record(Vault& vault, const std::string& id, const SavedCheckpoint& checkpoint, const Stamp& stamp) {
  const std::string note = vault.store().put_blob(as_bytes(checkpoint.note)),
                    answer = vault.store().put_blob(stamp.answer),
                    chain = vault.store().put_blob(as_bytes(chain_pem({stamp.chain})));
  vault.decide({id}, [&] {
    if (!may_wait(vault.state().erasures.at(id))) return std::vector<Event>{};
    return std::vector<Event>{
        {.type = std::string(kStamped),
         .nodes = {{.id = id, .d = answer}},
         .body = Json::object(
             {{"size", checkpoint.size}, {"checkpoint", note}, {"document", answer}, {"authority", chain}})}};
  });
}

constexpr const char* kConfigure =
    "name one in kesu.toml: [[time.authority]] with url and ca (docs/spec/store.md)";

std::string none_text(Vault& vault, const std::string& erasure) {
  const Moment asked = moment_of(vault.state(), erasure, moment_now(vault));
  return "profile " + rules_in_force(vault.state(), asked).profile +
         " has the waiting period shown by time-stamps, and kesu.toml names no time-stamp authority";
}
}  // namespace

WaitingByStamps waiting_by_stamps(Vault& vault, const ErasureRecord& erasure) {
  const State& state = vault.state();
  const Moment asked{erasure.requested_seq, erasure.requested};
  WaitingByStamps out = demand_of(state, asked);
  if (!out.length) return out;
  const int64_t quorum = rules_in_force(state, asked).quorum;
  const Anchors anchors = rules_in_force(state, asked).anchors;
  int64_t counted = 0;
  uint64_t reached = 0;
  vault.store().read(
      erasure.requested_seq, state.size,
      [&](const StoredEntry& e) {
        const Header& h = e.entry.header;
        if ((h.type != kApproved && h.type != kStamped && !ends_erasure(h.type)) ||
            std::none_of(h.nodes.begin(), h.nodes.end(),
                         [&](const NodeMention& n) { return n.id == erasure.id; }))
          return true;
        if (ends_erasure(h.type)) return false;  // of an old one, not the whole ledger behind it
        const Json& body = e.entry.body;
        if (h.type == kApproved) {
          const bool current =
              std::any_of(erasure.approvals.begin(), erasure.approvals.end(), [&](const ApprovalRecord& a) {
                return a.statement == body.str("statement") && still_counts(vault, a);
              });
          if (current && ++counted == quorum) reached = h.seq, out.approved = true;
        } else if (const auto span = span_of(vault, body, anchors)) {
          // One over the approvals stands behind the last of them.
          if (reached && static_cast<uint64_t>(body.num("size")) > reached &&
              (!out.from || span->latest < *out.from))
            out.from = span->latest;
          if (!out.to || span->earliest > *out.to) out.to = span->earliest;
        }
        return true;
      },
      [](const Header& h) { return h.type == kApproved || h.type == kStamped; });
  return out;
}

std::optional<Millis> waiting_until(const State& state, const ErasureRecord& erasure,
                                    const WaitingByStamps& stamps) {
  if (erasure.stage == "approved" && stamps.length && stamps.demanded && !stamps.from) return std::nullopt;
  const Millis shown = stamps.from ? *stamps.from + stamps.length : 0;
  return std::max({waiting_end(state, erasure).at, shown, erasure.approved});
}

std::optional<NoAuthority> waiting_authority_problem(Vault& vault, const std::string& erasure) {
  const Moment asked = moment_of(vault.state(), erasure, moment_now(vault));
  const WaitingByStamps demand = demand_of(vault.state(), asked);
  if (!demand.length || !demand.demanded) return std::nullopt;
  try {
    if (!authorities_of_rules(vault, rules_in_force(vault.state(), asked).anchors).empty())
      return std::nullopt;
  } catch (const Error& e) {
    if (e.code() != Code::policy_refused) throw;
    return NoAuthority{e.message() + ": the waiting period could not be shown to pass", e.next()};
  }
  return NoAuthority{none_text(vault, erasure), kConfigure};
}

void begin_waiting(Vault& vault, const std::string& id, bool must) {
  const ErasureRecord& e = vault.state().erasures.at(id);
  if (!may_wait(e)) return;
  const WaitingByStamps w = waiting_by_stamps(vault, e);
  if (!w.length || w.from || !w.approved) return;
  try {
    const std::vector<TimeAuthority> authorities = authorities_of_rules(vault, anchors_at_request(vault, id));
    if (authorities.empty()) {
      if (!w.demanded) return;
      throw Error(Code::policy_refused, none_text(vault, id))
          .next(std::string(kConfigure) + "; then kesu erase run " + brief(id));
    }
    const SavedCheckpoint covered = vault.checkpoint();
    record(vault, id, covered,
           fetch_stamp(vault, authorities, as_bytes(covered.note), vault.state().time, "the approvals"));
  } catch (const Error& why) {
    if (must) throw;
    if (why.code() == Code::interrupted)
      throw Error(Code::interrupted, "interrupted while a time authority was asked; the approval is recorded")
          .next("kesu erase run " + brief(id) + " asks again");
    vault.env().notice("the approvals have no time-stamp" +
                       std::string(w.demanded ? ", and the waiting period begins with one: " : ": ") +
                       why.message() + (why.cause().empty() ? "" : ": " + why.cause()) +
                       (w.demanded ? "; kesu erase run " + brief(id) + " asks for it again"
                                   : "; the ledger's own time decides alone"));
  }
}

void say_unbegun_waiting(Vault& vault, std::vector<Due>& due) {
  for (Due& row : due) {
    if (row.what != "erasure") continue;
    const ErasureRecord& e = vault.state().erasures.at(row.node);
    if (e.stage != "approved") continue;
    const WaitingByStamps w = waiting_by_stamps(vault, e);
    if (!w.length || !w.demanded || !w.approved || w.from) continue;
    row.overdue = true;
    row.detail =
        "is approved, and its waiting period has not begun: no time-stamp of the approvals is recorded";
    row.next = "kesu erase run " + brief(row.node) + " asks for it";
  }
}

std::string end_waiting(Vault& vault, const std::string& id) {
  const ErasureRecord e = vault.state().erasures.at(id);
  const WaitingByStamps w = waiting_by_stamps(vault, e);
  if (!w.length) return "";
  if (w.passed()) return "time-stamps";
  if (!w.from && w.demanded)
    throw Error(Code::waiting, "the waiting period has not begun: no time-stamp of the approvals is recorded")
        .next("run the same command again");
  // Where none of the approvals could be had and none is asked for, the ledger's time of them stands, as far
  // as two clocks may differ.
  const Millis end = w.from ? *w.from + w.length : e.approved + w.length - kAuthoritySlack;
  const std::string there =
      w.from ? "a time authority says that the approvals were there at " + utc_text(*w.from)
             : "the last approval was recorded at " + utc_text(e.approved);
  if (vault.now() < end) throw not_over(end, there);
  try {
    const std::vector<TimeAuthority> authorities = authorities_of_rules(vault, anchors_at_request(vault, id));
    if (authorities.empty() && w.demanded)
      throw Error(Code::policy_refused, none_text(vault, id)).next(kConfigure);
    if (authorities.empty()) return "host";
    const SavedCheckpoint head = vault.checkpoint();
    const Stamp stamp = fetch_stamp(vault, authorities, as_bytes(head.note), vault.state().time,
                                    "the end of the waiting period", AheadOnly::yes);
    const Millis earliest = stamp.check.time - stamp.check.accuracy;
    if (earliest < end)
      throw not_over(end, "it is " + utc_text(earliest) + " at " + stamp.url + ", and " + there);
    if (!w.from) return "host";
    record(vault, id, head, stamp);
    return "time-stamps";
  } catch (const Error& why) {
    if (w.demanded || (why.code() != Code::time_unavailable && why.code() != Code::policy_refused)) throw;
    vault.env().notice("the waiting period is over by this host's clock alone: " + why.message() +
                       (why.cause().empty() ? "" : ": " + why.cause()));
    return "host";
  }
}

}  // namespace kesu
