// From a dossier to the conditions of docs/spec/certificate.md, and what each claim rests on, in words. For
// lib/certificate itself.
#pragma once
#include <functional>
#include <set>
#include <string>
#include <vector>

#include "certificate/dossier_impl.h"
#include "crypto/cms.h"

namespace kesu::dossier {

// Keys in a file of the program's own: they can leave with it.
constexpr std::string_view kSoftKind = "soft";

// `witnesses`: how many cosignatures of checkpoint B verify to keys that the reader trusts; `witness_quorum`
// how many the reader wants. Stamped: by authorities whom the reader trusts.
struct ReaderEvidence {
  int64_t witnesses = 0, witness_quorum = 1;
  bool signature_stamped = false, checkpoint_b_stamped = false;
};
std::set<std::string> conditions_of(const Dossier& d, const ReaderEvidence& reader = {});

// The parts of it, by what they look at.
void scope_conditions(const Dossier& d, std::set<std::string>& out);
void key_conditions(const Dossier& d, std::set<std::string>& out);
void inspection_conditions(const Dossier& d, std::set<std::string>& out);
void people_conditions(const Dossier& d, std::set<std::string>& out);

// Reads the time-stamps, holds the host's times against theirs (findings for what is wrong), and says which
// the reader's `anchors` (DER) bear out. `cms`: what verify_detached said of the signature; `issued` of the
// certificate, where it has one.
void read_stamps(Dossier& d, const CmsCheck& cms, std::optional<Millis> issued,
                 const std::vector<Bytes>& anchors, const std::vector<Crl>& lists, ReaderEvidence& reader);
// Whether a host's time is later than a token's by more than an honest clock explains.
bool contradicts(Millis host, const StampFacts& s);
// Whether a good token counts as of its own time: its chain, among `s.others`, and what lists say of it.
// Why a good token leads to none of these, to a reader of a report.
std::string no_path_text(const std::vector<Bytes>& anchors);
void judge_stamp(StampFacts& s, const std::vector<Bytes>& anchors, const std::vector<Crl>& lists);
// Whether a good token leads, as of `at`, to a certificate that the rules bind, or these bind none; from its
// own certificates, `s.others` and the reader's `anchors`.
bool stamp_of_rules(const StampFacts& s, const Anchors& bound, const std::vector<Bytes>& anchors, Millis at);
// Whether a good token still stands at `at`: its chain leads to the anchors then, and the policy takes its
// algorithms in that year; and what is said of one that had to and does not.
bool stamp_stands(const StampFacts& s, const std::vector<Bytes>& anchors, Millis at);
constexpr std::string_view kStampEnded =
    "its authority's certificate or an algorithm has ended, and no renewal covers it until now";
// After read_stamps: the renewals of `certificate` (docs/spec/certificate.md, "Renewals"), findings for what
// is wrong in them, and which of them count. `must_last`: the reader's time where it wants every time-stamp
// to stand until then; those that do not count no more.
void read_renewals(Dossier& d, const std::string& certificate, const std::vector<Bytes>& anchors,
                   const std::vector<Crl>& lists, std::optional<Millis> must_last, ReaderEvidence& reader);
// Host times may be later than a token's time by its accuracy and this; more contradicts it.
constexpr Millis kStampSlack = 60'000;
// The time of the trusted token over certificate.json.p7s, if both tokens over the signature are trusted.
std::optional<Millis> stamped_at(const Dossier& d);

// Why a version that was destroyed before this erasure began does not count as shown to be gone; empty when
// its own two inspections show it. `key` was destroyed before.
std::string earlier_problem(const Dossier& d, const KeyFacts& key);
// Was every inspection after made in another start of the machine than each destruction (profile `restart`)?
bool restart_shown(const Dossier& d);
// What an erasure takes: the highest of plan, rules in force at the request and the plan's profile.
struct Bars {
  int64_t quorum = 0, waiting_seconds = 0;
};
Bars bars_of(const Dossier& d);
// The waiting period as the ledger shows it, from the approval that reached the quorum, or from the newest
// finding about the clock between it and the first destroy-intended: a clock that was set waited for nobody.
struct Waiting {
  bool approved = false;             // enough approvals that count; without, nothing else is set
  int64_t seconds = 0;               // asked for
  uint64_t reached = 0;              // the approval that reached the quorum
  const ClockFacts* anew = nullptr;  // the finding that it counts from, if any; in the dossier
  bool passed = false;               // before the first destroy-intended
};
Waiting waiting_of(const Dossier& d);

// What time-stamps of the waiting period show: those of d.waiting at which `counts`, called with their
// positions, is true, in entries below the first destroy-intended.
struct WaitingShown {
  const WaitingStamp* from = nullptr;  // over a checkpoint with the approvals, the earliest end; null: none
  const WaitingStamp* to = nullptr;    // of all the latest beginning
  Millis between() const;              // 0 where there are not both
};
WaitingShown waiting_shown(const Dossier& d, const Waiting& waiting,
                           const std::function<bool(size_t)>& counts);
// Why those that count by the reader's anchors (d.stamps) do not show the whole period; empty: they do, or
// there is none to show.
std::string waiting_problem(const Dossier& d);
// The versions of the kill set that were.
std::vector<const KeyFacts*> destroyed_earlier(const Dossier& d);

struct AlgorithmUse {
  std::string name;     // "AES-256-GCM"
  std::string purpose;  // payload, wrap, signature, hash
  std::string until;    // "open-ended", a year, or empty where strength is not asked
  auto operator<=>(const AlgorithmUse&) const = default;
};
// Everything that kesu applied; nullopt when an algorithm of a batch or dataset key is not shown.
std::optional<std::set<AlgorithmUse>> algorithms_of(const Dossier& d);

struct Reason {
  std::vector<std::string> rests_on;
  std::string detail;
};
// The claim "residue": whether the condition holds, and what it rests on then.
bool residue_scanned(const Dossier& d);
Reason residue_reason(const Dossier& d);
Reason reason_for(const Dossier& d, const std::string& claim, const std::set<std::string>& conditions);

}  // namespace kesu::dossier
