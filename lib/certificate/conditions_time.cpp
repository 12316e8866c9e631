// Time-stamps of a bundle: over the signature, over the whole signature file, over checkpoint B.
#include <algorithm>

#include "certificate/chain_file.h"
#include "certificate/conditions_impl.h"
#include "certificate/rules_impl.h"

namespace kesu::dossier {

namespace {
using Over = StampFacts::Over;
constexpr size_t kMaxInside = 8;

// What the rules bind counts besides the reader's anchors, and never in their place.
constexpr std::string_view kNotOfRules =
    "not of the rules: those in force at the request name other time-stamp authorities";

// The certificates that a file offers for chains; a file that is no list of them is a finding.
std::vector<Bytes> chain_in(Dossier& d, std::string_view path, std::string_view stamp) {
  std::vector<Bytes> out;
  auto file = d.file(path);
  if (!file) return out;
  d.findings.guard(std::string(path), [&] {
    if (!d.file(stamp)) throw Error(Code::bad_input, "is there, and " + std::string(stamp) + " is not");
    out = certificates_in(*file);
  });
  return out;
}

struct Reading {
  Dossier& d;
  const std::vector<Bytes>& anchors;
  const std::vector<Crl>& lists;
  const Anchors& bound;

  // `others`: of its own chain file, and of no other: those beside checkpoint B are not in MANIFEST.
  void token(Over over, std::string_view part, ByteView token, ByteView data,
             const std::vector<Bytes>& others) {
    StampFacts s{over, std::string(part), verify_timestamp(token, {.data = data}), false, "", {}, others};
    if (!s.token.ok) {
      d.findings.bad(s.part, (over == Over::signature ? "its time-stamp: " : "") + s.token.reason);
      return;
    }
    take(std::move(s));
  }

  // A good one: whether it counts.
  void take(StampFacts s) {
    s.of_rules = stamp_of_rules(s, bound, anchors, s.token.time);
    if (s.of_rules)
      judge_stamp(s, anchors, lists);
    else
      s.why = kNotOfRules;
    d.stamps.push_back(std::move(s));
  }

  void file(Over over, std::string_view part, std::string_view of, const std::vector<Bytes>& others) {
    auto answer = d.file(part), data = d.file(of);
    if (!answer || !data) return;
    d.findings.guard(std::string(part), [&] {
      const TimestampAnswer a = parse_timestamp_answer(*answer);
      if (!a.granted) throw Error(Code::bad_input, "holds a refusal: " + a.refusal);
      token(over, part, a.token, *data, others);
    });
  }
};

bool trusted(const Dossier& d, Over over) {
  return std::any_of(d.stamps.begin(), d.stamps.end(),
                     [&](const StampFacts& s) { return s.over == over && s.trusted; });
}
}  // namespace

bool contradicts(Millis host, const StampFacts& s) {
  return host > s.token.time + s.token.accuracy + kStampSlack;
}

bool stamp_of_rules(const StampFacts& s, const Anchors& bound, const std::vector<Bytes>& anchors, Millis at) {
  if (bound.time_authorities.empty()) return true;
  std::vector<Bytes> others = s.token.certificates;
  others.insert(others.end(), s.others.begin(), s.others.end());
  std::vector<Bytes> known = others;
  known.insert(known.end(), anchors.begin(), anchors.end());
  return verify_chain(s.token.authority->der, others, bound.allowed(known), at, ChainPurpose::timestamping)
      .ok;
}

std::string no_path_text(const std::vector<Bytes>& anchors) {
  return anchors.empty() ? "the trust file names no time-stamp authority (tsa-ca)"
                         : "its chain does not lead to a tsa-ca of the trust file as of its time";
}

void judge_stamp(StampFacts& s, const std::vector<Bytes>& anchors, const std::vector<Crl>& lists) {
  const ChainCheck chain = timestamp_chain(s.token, s.others, anchors);
  s.trusted = chain.ok;
  if (!chain.ok) s.why = no_path_text(anchors);
  if (chain.ok && chain.chain.size() > 1) {
    // Whenever it was revoked: who has an authority's key dates tokens as he likes.
    s.revocation = check_revocation(chain.chain, lists, s.token.time, false);
    s.trusted = !tells_against(s.revocation.state);
    if (!s.trusted) s.why = s.revocation.why;
  }
}

void read_stamps(Dossier& d, const CmsCheck& cms, std::optional<Millis> issued,
                 const std::vector<Bytes>& anchors, const std::vector<Crl>& lists, ReaderEvidence& reader) {
  const std::vector<Bytes> others = chain_in(d, bundle::kStampChain, bundle::kSignatureStamp);
  const std::vector<Bytes> others_b = chain_in(d, bundle::kCheckpointStampChain, bundle::kCheckpointStamp);
  const Anchors bound = rules_at(d, moment_of_request(d)).anchors;
  Reading reading{d, anchors, lists, bound};
  if (cms.timestamps.size() > kMaxInside)
    d.findings.bad(std::string(bundle::kSignature), "holds more than 8 time-stamps");
  else
    for (const Bytes& token : cms.timestamps)
      reading.token(Over::signature, bundle::kSignature, token, cms.signature, others);
  reading.file(Over::signature_file, bundle::kSignatureStamp, bundle::kSignature, others);
  reading.file(Over::checkpoint_b, bundle::kCheckpointStamp, bundle::kCheckpointB, others_b);
  for (const WaitingStamp& w : d.waiting) reading.take(w.stamp);

  // An honest host may be a little ahead; one that is further ahead than that wrote times that were not.
  for (const StampFacts& s : d.stamps) {
    if (s.over == Over::waiting) continue;
    if (s.over == Over::checkpoint_b ? contradicts(d.as_of, s) : issued && contradicts(*issued, s))
      d.findings.bad(s.over == Over::checkpoint_b ? std::string(bundle::kHeaders) : "certificate.json",
                     (s.over == Over::checkpoint_b ? "the last entry's time, " + utc_text(d.as_of)
                                                   : "issued: " + utc_text(*issued)) +
                         ", is later than its time-stamp of " + utc_text(s.token.time));
  }
  reader.signature_stamped = trusted(d, Over::signature) && trusted(d, Over::signature_file);
  reader.checkpoint_b_stamped = trusted(d, Over::checkpoint_b);
}

std::optional<Millis> stamped_at(const Dossier& d) {
  if (!trusted(d, Over::signature)) return std::nullopt;
  for (const StampFacts& s : d.stamps)
    if (s.over == Over::signature_file && s.trusted) return s.token.time;
  return std::nullopt;
}

}  // namespace kesu::dossier
