// Time-stamps of the waiting period: entries held against what they name, and how much time the tokens show
// to have passed (docs/spec/certificate.md, "Time-stamps of the waiting period").
#include <algorithm>
#include <map>

#include "certificate/chain_file.h"
#include "certificate/conditions_impl.h"
#include "ledger/tree.h"

namespace kesu::dossier {

namespace {
constexpr size_t kMaxStamps = 64;

// What the entry says of that node; null where it does not name it.
const NodeMention* mention(const Header& h, const std::string& node) {
  const auto it =
      std::find_if(h.nodes.begin(), h.nodes.end(), [&](const NodeMention& m) { return m.id == node; });
  return it == h.nodes.end() ? nullptr : &*it;
}

// Roots of the tree at these sizes, in one walk over the leaves.
std::map<uint64_t, Digest32> roots_at(const std::vector<Digest32>& leaves, std::map<uint64_t, Digest32> out) {
  TreeHead head;
  size_t next = 0;
  for (auto& [size, root] : out) {
    for (; next < std::min<uint64_t>(size, leaves.size()); ++next) head.add(leaves[next]);
    root = head.root();
  }
  return out;
}

Checkpoint checkpoint_in(const Dossier& d, ByteView file) {
  const Note note = Note::parse(as_text(file));
  const Checkpoint out = Checkpoint::parse_text(note.text);
  if (!d.ledger_key || out.origin != d.ledger_key->name ||
      verify_note(note, *d.ledger_key) != NoteVerdict::good)
    throw Error(Code::bad_input, "is not signed by the ledger key");
  return out;
}

struct Part {
  const Header* entry;
  std::string name;  // of the checkpoint's file
  ByteView note, answer, chain;
  Checkpoint checkpoint;
};

void take(Dossier& d, const Part& p, const Digest32& root) {
  const std::string entry = brief_number(p.entry->seq);
  if (p.checkpoint.size == 0 || p.checkpoint.size > p.entry->seq)
    throw Error(Code::bad_input,
                "is of " + std::to_string(p.checkpoint.size) + " entries, which " + entry + " cannot follow");
  if (p.checkpoint.root != root) throw Error(Code::bad_input, "is of another history than the headers'");
  const TimestampAnswer answer = parse_timestamp_answer(p.answer);
  if (!answer.granted) throw Error(Code::bad_input, "its answer holds a refusal: " + answer.refusal);
  StampFacts s{
      StampFacts::Over::waiting, p.name, verify_timestamp(answer.token, {.data = p.note}), false, "", {},
      certificates_in(p.chain)};
  if (!s.token.ok) throw Error(Code::bad_input, "its time-stamp: " + s.token.reason);
  const Millis last = d.header(p.checkpoint.size - 1)->time;
  if (contradicts(last, s))
    throw Error(Code::bad_input, "the time of the last entry that it covers, " + utc_text(last) +
                                     ", is later than its time-stamp of " + utc_text(s.token.time));
  d.waiting.push_back({p.entry->seq, p.checkpoint.size, std::move(s)});
}
}  // namespace

void read_waiting_stamps(Dossier& d) {
  std::vector<Part> parts;
  std::map<uint64_t, Digest32> roots;
  size_t count = 0;
  for (const Header& h : d.headers) {
    if (h.seq >= d.a.size || h.type != "erasure-stamped") continue;
    const NodeMention* own = mention(h, d.erasure);
    if (!own) continue;
    const std::string entry = brief_number(h.seq) + " (" + h.type + ")";
    const Json* body = d.body(h.seq);
    if (!body) {
      d.findings.bad(std::string(bundle::kBodies), entry + " is not opened");
      continue;
    }
    if (++count > kMaxStamps)
      return d.findings.bad(std::string(bundle::kHeaders), "more than 64 erasure-stamped");
    d.findings.guard(entry, [&] {
      if (own->d != body->str("document")) throw Error(Code::bad_input, "d is not its document");
      const auto note = d.evidence(body->str("checkpoint")), answer = d.evidence(body->str("document")),
                 chain = d.evidence(body->str("authority"));
      const int64_t size = body->num("size");
      if (!note || !answer || !chain || !d.headers_complete) return;
      Part part{&h, "evidence/" + body->str("checkpoint"), *note, *answer, *chain, checkpoint_in(d, *note)};
      if (size < 0 || part.checkpoint.size != static_cast<uint64_t>(size))
        throw Error(Code::bad_input, "its checkpoint is of another size");
      roots[part.checkpoint.size];
      parts.push_back(std::move(part));
    });
  }
  roots = roots_at(d.leaves, std::move(roots));
  for (const Part& p : parts) d.findings.guard(p.name, [&] { take(d, p, roots.at(p.checkpoint.size)); });
}

Millis WaitingShown::between() const {
  if (!from || !to) return 0;
  const auto &a = from->stamp.token, &b = to->stamp.token;
  return std::max<Millis>(0, (b.time - b.accuracy) - (a.time + a.accuracy));
}

WaitingShown waiting_shown(const Dossier& d, const Waiting& waiting,
                           const std::function<bool(size_t)>& counts) {
  WaitingShown out;
  auto end = [](const WaitingStamp& w) { return w.stamp.token.time + w.stamp.token.accuracy; };
  auto beginning = [](const WaitingStamp& w) { return w.stamp.token.time - w.stamp.token.accuracy; };
  for (size_t i = 0; i < d.waiting.size(); ++i) {
    const WaitingStamp& w = d.waiting[i];
    if (!d.first_intended || w.seq >= *d.first_intended || !counts(i)) continue;
    if (w.size > waiting.reached && (!out.from || end(w) < end(*out.from))) out.from = &w;
    if (!out.to || beginning(w) > beginning(*out.to)) out.to = &w;
  }
  return out;
}

std::string waiting_problem(const Dossier& d) {
  const Waiting waiting = waiting_of(d);
  if (!waiting.approved || waiting.seconds == 0) return "";
  std::vector<bool> trusted;
  for (const StampFacts& s : d.stamps)
    if (s.over == StampFacts::Over::waiting) trusted.push_back(s.trusted);
  const WaitingShown shown =
      waiting_shown(d, waiting, [&](size_t i) { return i < trusted.size() && trusted[i]; });
  if (!shown.from) return "no time-stamp that counts is over a checkpoint with the approvals";
  if (shown.between() / 1000 >= waiting.seconds) return "";
  return std::to_string(shown.between() / 1000) + " of " + std::to_string(waiting.seconds) +
         " seconds lie between the time-stamps that count";
}

}  // namespace kesu::dossier
