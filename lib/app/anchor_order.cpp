// What `kesu vault rules` and `kesu init --draft` are told of trust anchors, as the rules have it.
#include <algorithm>
#include <set>

#include "app/rules_change.h"
#include "base/files.h"
#include "crypto/hash.h"
#include "crypto/note.h"
#include "crypto/x509.h"

namespace kesu {

namespace {
// A name is for people, who compare the digest; nothing in it may begin a line.
TimeAnchor anchor_of(const Certificate& c) {
  TimeAnchor out{c.subject, hex(sha256(c.der))};
  auto byte = [&](size_t i) { return static_cast<unsigned char>(out.name[i]); };
  for (size_t i = 0; i < out.name.size(); ++i) {
    if (byte(i) < 0x20 || byte(i) == 0x7f || byte(i) == '"') out.name[i] = '?';
    if (byte(i) == 0xc2 && i + 1 < out.name.size() && byte(i + 1) < 0xa0) out.name.replace(i, 2, "?");
  }
  size_t end = std::min<size_t>(out.name.size(), 200);
  while (end > 0 && end < out.name.size() && (byte(end) & 0xc0) == 0x80) --end;  // no half characters
  out.name.resize(end);
  if (out.name.empty()) out.name = "certificate without a name";
  return out;
}

std::vector<TimeAnchor> read_authorities(const std::vector<std::string>& files) {
  std::vector<TimeAnchor> out;
  for (const std::string& file : files) {
    try {
      for (const Certificate& c : Certificate::parse_pem(as_text(read_file(file, 1 << 20)))) {
        out.push_back(anchor_of(c));
        const Anchors one{.time_authorities = {out.back()}, .witnesses = {}, .witness_quorum = 0};
        Anchors::from_json(one.to_json(), "it");
      }
    } catch (const Error& e) {
      if (e.code() != Code::bad_input && e.code() != Code::not_found) throw;
      throw Error(e.code(), "--time-authority " + file + ": " + e.message())
          .cause(e.cause())
          .next("name a PEM file with the authority's root certificate, as the authority publishes it");
    }
  }
  std::sort(out.begin(), out.end(), [](auto& a, auto& b) { return a.sha256 < b.sha256; });
  out.erase(std::unique(out.begin(), out.end()), out.end());
  return out;
}
void check_witnesses(const std::vector<std::string>& vkeys) {
  std::set<std::string> keys;
  for (const std::string& vkey : vkeys) {
    try {
      const Anchors one{.time_authorities = {}, .witnesses = {vkey}, .witness_quorum = 1};
      Anchors::from_json(one.to_json(), "it");
    } catch (const Error& e) {
      if (e.code() != Code::bad_input) throw;
      throw Error(Code::bad_input, "--witness " + vkey + ": that is no witness's key")
          .cause(e.message() + (e.cause().empty() ? "" : ": " + e.cause()))
          .next("name the vkey as the witness publishes it: NAME+8 hexadecimal digits+base64, of type 04");
    }
    if (!keys.insert(hex(NoteKey::parse(vkey).key.spki())).second)
      throw Error(Code::bad_input, "--witness " + vkey + ": that key is named twice").next("name each once");
  }
}

void check_quorum(int64_t quorum, size_t witnesses) {
  if (quorum <= static_cast<int64_t>(witnesses)) return;
  throw Error(Code::bad_input, "--witness-quorum " + std::to_string(quorum) +
                                   ": more than the witnesses that the rules would name, " +
                                   std::to_string(witnesses))
      .next("name as many, each with --witness VKEY, or ask for fewer");
}
}  // namespace

bool AnchorOrder::empty() const {
  return time_files.empty() && witnesses.empty() && !witness_quorum && !any_time && !any_witness;
}

Anchors ordered_anchors(const Anchors& from, const AnchorOrder& order) {
  if ((order.any_time && !order.time_files.empty()) ||
      (order.any_witness && (!order.witnesses.empty() || order.witness_quorum)))
    throw Error(Code::usage, "some, or any: not both");
  Anchors out = from;
  if (order.any_time || !order.time_files.empty()) out.time_authorities = read_authorities(order.time_files);
  if (order.any_witness || !order.witnesses.empty()) {
    check_witnesses(order.witnesses);
    out.witnesses = order.witnesses;
    std::sort(out.witnesses.begin(), out.witnesses.end());
    out.witness_quorum = std::min<int64_t>(std::max<int64_t>(from.witness_quorum, order.any_witness ? 0 : 1),
                                           static_cast<int64_t>(out.witnesses.size()));
  }
  if (order.witness_quorum) {
    if (out.witnesses.empty())
      throw Error(Code::usage, "--witness-quorum is of witnesses that the rules name").next("--witness VKEY");
    check_quorum(*order.witness_quorum, out.witnesses.size());
    out.witness_quorum = *order.witness_quorum;
  }
  if (!out.empty()) Anchors::from_json(out.to_json(), "the rules");  // vkeys in form, no one twice
  return out;
}

}  // namespace kesu
