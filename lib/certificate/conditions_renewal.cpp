// Renewals of a bundle: their files and entries held against each other, and which of them count.
#include <algorithm>

#include "certificate/chain_file.h"
#include "certificate/conditions_impl.h"
#include "certificate/renewal_impl.h"
#include "certificate/rules_impl.h"
#include "crypto/hash.h"

namespace kesu::dossier {

namespace {
using Over = StampFacts::Over;
constexpr std::string_view kFiles[] = {"ledger", "manifest", "manifest.tsr", "tsa.pem"};

int year_of(Millis at) { return std::stoi(utc_text(at).substr(0, 4)); }

void lapsed(StampFacts& s, std::string_view why) {
  s.trusted = false;
  s.why = why;
}

struct Reading {
  Dossier& d;

  // Every file that it has to hash, and only what it may, as it is.
  void manifest(uint64_t n) {
    std::string path = renewal_path(n, "manifest");
    BundleFiles covered;
    std::map<std::string, bool> required;
    for (const auto& [name, content] : *d.files)
      if (const Covered how = covered_by_renewal(name, n); how != Covered::no)
        required[name] = how == Covered::must;
    std::string_view text = as_text(*d.file(path));
    std::string last;
    for (size_t line = 1; !text.empty(); ++line) {
      const size_t end = text.find('\n');
      const std::string_view row = text.substr(0, end);
      const auto digest =
          row.size() > 130 && row.substr(128, 2) == "  " ? unhex(row.substr(0, 128)) : std::nullopt;
      const std::string name = digest ? std::string(row.substr(130)) : "";
      if (end == std::string_view::npos || !digest || name <= last)
        throw Error(Code::bad_input, "line " + std::to_string(line) + " is malformed or out of order");
      last = name;
      text.remove_prefix(end + 1);
      if (covered_by_renewal(name, n) == Covered::no)
        throw Error(Code::bad_input, "lists " + name + ", which it may not");
      const auto file = d.file(name);
      if (!file) throw Error(Code::bad_input, "lists " + name + ", which is missing");
      if (hash(HashAlg::sha512, *file) != *digest)
        throw Error(Code::bad_input, name + " is not what it says");
      required.erase(name);
    }
    for (const auto& [name, must] : required)
      if (must) throw Error(Code::bad_input, "leaves out " + name);
  }

  void ledger(uint64_t n, uint64_t issued, uint64_t entry) {
    const RenewalLedger said = parse_renewal_ledger(as_text(*d.file(renewal_path(n, "ledger"))));
    if (said.size <= issued || said.size > entry)
      throw Error(Code::bad_input, "is not of a ledger between certificate-issued and certificate-renewed");
    if (header_digests(*d.file(bundle::kHeaders), {said.size}).at(said.size) != said.headers)
      throw Error(Code::bad_input, "is over other headers");
    const auto is = body_digests(as_text(*d.file(bundle::kBodies)));
    for (const auto& [seq, digest] : said.bodies)
      if (auto it = is.find(seq); seq >= said.size || it == is.end() || it->second != digest)
        throw Error(Code::bad_input, "is over another body of " + brief_number(seq));
  }

  void entry(uint64_t n, const Header& h) {
    const Json* body = d.body(h.seq);
    if (!body) throw Error(Code::bad_input, "its certificate-renewed is not opened");
    auto sum = [&](std::string_view name) { return hex(sha256(*d.file(renewal_path(n, name)))); };
    if (body->num("n") != static_cast<int64_t>(n) ||
        h.nodes.front().d != hex(hash(HashAlg::sha512, *d.file(renewal_path(n, "manifest")))) ||
        body->str("ledger") != sum("ledger") || body->str("manifest") != sum("manifest") ||
        body->at("time").str("manifest") != sum("manifest.tsr") ||
        body->at("time").str("authority") != sum("tsa.pem"))
      throw Error(Code::bad_input, brief_number(h.seq) + " names another renewal than this");
  }

  // The good token over the manifest; nothing where it is not.
  std::optional<StampFacts> stamp(uint64_t n, const std::vector<Bytes>& anchors,
                                  const std::vector<Crl>& lists) {
    std::optional<StampFacts> out;
    const std::string part = renewal_path(n, "manifest.tsr"), chain = renewal_path(n, "tsa.pem");
    StampFacts s{Over::renewal, renewal_path(n, "manifest"), {}, false, "", {}, {}};
    const bool read = d.findings.guard(chain, [&] { s.others = certificates_in(*d.file(chain)); });
    d.findings.guard(part, [&] {
      const TimestampAnswer a = parse_timestamp_answer(*d.file(part));
      if (!a.granted) throw Error(Code::bad_input, "holds a refusal: " + a.refusal);
      s.token = verify_timestamp(a.token, {.data = *d.file(s.part)});
      if (!s.token.ok) throw Error(Code::bad_input, s.token.reason);
      judge_stamp(s, anchors, lists);
      if (s.trusted && year_of(s.token.time) > last_year_of(s.token))
        lapsed(s, "an algorithm of it was past its period when it was made");
      if (read) out = std::move(s);
    });
    return out;
  }
};

bool over_signature(const StampFacts& s) {
  return s.over == Over::signature || s.over == Over::signature_file;
}

// Renewed years later, perhaps when the authorities of the rules are no more, and then only: the ledger up to
// A is under the tokens over the signature, and who saw what came since is the reader's own question. While
// they could be asked, a renewal by another frees nothing: who holds the ledger's key records one when he
// likes.
void free_checkpoint(Dossier& d, const std::vector<Bytes>& anchors, const std::vector<Crl>& lists,
                     ReaderEvidence& reader) {
  const Anchors bound = rules_at(d, moment_of_request(d)).anchors;
  const StampFacts* last = nullptr;
  for (const StampFacts& s : d.stamps)
    if (s.over == Over::renewal && s.trusted) last = &s;
  if (!last) return;
  const bool renewed_by_rules = stamp_of_rules(*last, bound, anchors, last->token.time);
  for (StampFacts& b : d.stamps) {
    if (b.over != Over::checkpoint_b || b.of_rules) continue;
    const bool bound_yet = std::any_of(d.stamps.begin(), d.stamps.end(), [&](const StampFacts& s) {
      return over_signature(s) && stamp_of_rules(s, bound, anchors, b.token.time);
    });
    if (bound_yet && !renewed_by_rules) continue;
    b.why.clear();
    judge_stamp(b, anchors, lists);
    reader.checkpoint_b_stamped |= b.trusted;
  }
}
}  // namespace

bool stamp_stands(const StampFacts& s, const std::vector<Bytes>& anchors, Millis at) {
  std::vector<Bytes> others = s.token.certificates;
  others.insert(others.end(), s.others.begin(), s.others.end());
  return verify_chain(s.token.authority->der, others, anchors, at, ChainPurpose::timestamping).ok &&
         year_of(at) <= last_year_of(s.token);
}

void read_renewals(Dossier& d, const std::string& certificate, const std::vector<Bytes>& anchors,
                   const std::vector<Crl>& lists, std::optional<Millis> must_last, ReaderEvidence& reader) {
  Reading reading{d};
  std::vector<const Header*> entries;
  uint64_t issued = 0;
  for (const Header& h : d.headers)
    if (!h.nodes.empty() && h.nodes.front().id == certificate) {
      if (h.type == "certificate-renewed") entries.push_back(&h);
      if (h.type == "certificate-issued") issued = h.seq;
    }
  uint64_t last = 0;
  for (const auto& [path, content] : *d.files) last = std::max(last, renewal_part(path).first);
  if (d.headers_complete) last = std::max<uint64_t>(last, entries.size());

  // The newest that counts of what is over the signature or over that in turn.
  std::vector<size_t> front;
  for (size_t i = 0; i < d.stamps.size(); ++i)
    if (over_signature(d.stamps[i])) front.push_back(i);
  if (std::any_of(front.begin(), front.end(), [&](size_t i) { return !d.stamps[i].trusted; })) front.clear();
  Millis before = 0;
  for (const StampFacts& s : d.stamps)
    if (over_signature(s)) before = std::max(before, s.token.time - s.token.accuracy);

  for (uint64_t n = 1; n <= std::min(last, kMaxRenewals); ++n) {
    const std::string part = renewal_path(n, "manifest");
    bool there = true;
    for (std::string_view name : kFiles)
      if (!d.file(renewal_path(n, name))) {
        d.findings.bad(renewal_path(n, name), "is missing");
        there = false;
      }
    if (!there) continue;
    bool good = d.findings.guard(part, [&] { reading.manifest(n); });
    if (d.headers_complete) {
      if (n > entries.size()) {
        d.findings.bad(part, "no entry says that the certificate was renewed so");
        continue;
      }
      const Header& h = *entries[static_cast<size_t>(n - 1)];
      good &= d.findings.guard(part, [&] { reading.entry(n, h); });
      good &= d.findings.guard(renewal_path(n, "ledger"), [&] { reading.ledger(n, issued, h.seq); });
    }
    std::optional<StampFacts> s = reading.stamp(n, anchors, lists);
    if (!s) continue;
    if (s->token.time + s->token.accuracy < before)
      d.findings.bad(renewal_path(n, "manifest.tsr"), "is older than what it renews");
    before = std::max(before, s->token.time - s->token.accuracy);
    if (s->trusted && (!good || !d.headers_complete))
      lapsed(*s, "not all headers of the ledger are there, or something in it is not good");
    if (s->trusted && std::any_of(front.begin(), front.end(), [&](size_t i) {
          return !stamp_stands(d.stamps[i], anchors, s->token.time);
        }))
      lapsed(*s, "it was made after what it renews had ended");
    d.stamps.push_back(std::move(*s));
    if (d.stamps.back().trusted) front = {d.stamps.size() - 1};
  }
  if (reader.signature_stamped) free_checkpoint(d, anchors, lists, reader);
  if (!must_last) return;
  const bool lasts = std::all_of(front.begin(), front.end(),
                                 [&](size_t i) { return stamp_stands(d.stamps[i], anchors, *must_last); });
  for (StampFacts& s : d.stamps) {
    if (!s.trusted) continue;
    if (over_signature(s) && !lasts) lapsed(s, kStampEnded), reader.signature_stamped = false;
    if (s.over == Over::checkpoint_b && !stamp_stands(s, anchors, *must_last))
      lapsed(s, kStampEnded), reader.checkpoint_b_stamped = false;
    // The tokens over the signature are later than those of the waiting period, and cover them.
    if (s.over == Over::waiting && !(reader.signature_stamped || stamp_stands(s, anchors, *must_last)))
      lapsed(s, kStampEnded);
  }
}

}  // namespace kesu::dossier
