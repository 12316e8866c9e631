#include "erasure/anchors.h"

#include <algorithm>
#include <set>

#include "base/error.h"
#include "crypto/hash.h"
#include "crypto/note.h"

namespace kesu {

namespace {
constexpr size_t kMaxName = 256;

struct Reader {
  const std::string& what;

  [[noreturn]] void refuse(const std::string& why) const {
    throw Error(Code::bad_input, what + ": anchors: " + why);
  }
  void only(const Json& doc, const std::set<std::string, std::less<>>& members) const {
    for (const auto& [name, value] : doc.as_object())
      if (!members.contains(name)) refuse("\"" + name + "\" does not belong there");
  }
  const Json::Array& some(const Json& doc, const char* member) const {
    const Json::Array& list = doc.at(member).as_array();
    if (list.empty() || list.size() > kMaxAnchors)
      refuse(std::string("\"") + member + "\" has none, or more than 16");
    return list;
  }
  TimeAnchor authority(const Json& item) const {
    only(item, {"name", "sha256"});
    TimeAnchor t{item.str("name"), item.str("sha256")};
    if (t.name.empty() || t.name.size() > kMaxName) refuse("a name is empty, or longer than 256 bytes");
    for (size_t i = 0; i < t.name.size(); ++i) {
      auto c = static_cast<unsigned char>(t.name[i]);
      bool c1 = c == 0xc2 && i + 1 < t.name.size() && static_cast<unsigned char>(t.name[i + 1]) < 0xa0;
      if (c < 0x20 || c == 0x7f || c1) refuse("a name has a control character");
    }
    // An authority has the name that it likes: what people compare is the digest, and only that looks like
    // one.
    std::string small = t.name;
    for (char& c : small)
      if (c >= 'A' && c <= 'Z') c = static_cast<char>(c - 'A' + 'a');
    if (small.find("sha256:") != std::string::npos || small.find('"') != std::string::npos)
      refuse("the name " + t.name + " has \"sha256:\" in it, as only a digest may, or a quotation mark");
    const auto digest = unhex(t.sha256);
    if (!digest || digest->size() != 32 || hex(*digest) != t.sha256) refuse("a digest is no SHA-256 in hex");
    return t;
  }
  // Names as C2SP has them are wider; these are the same in every program.
  NoteKey witness(const std::string& vkey) const {
    const bool ascii = std::all_of(vkey.begin(), vkey.end(), [](char c) { return c > 0x20 && c < 0x7f; });
    if (!ascii) refuse("a witness's vkey has other characters than those of ASCII");
    NoteKey key = NoteKey::parse(vkey);
    if (key.type != NoteKeyType::cosignature_v1 || key.vkey() != vkey)
      refuse("\"" + vkey + "\" is no vkey of a witness (type 04) in its one form");
    return key;
  }
};
}  // namespace

std::vector<Bytes> Anchors::allowed(const std::vector<Bytes>& certificates) const {
  if (time_authorities.empty()) return certificates;
  std::vector<Bytes> out;
  for (const Bytes& der : certificates)
    if (const std::string digest = hex(kesu::sha256(der));
        std::any_of(time_authorities.begin(), time_authorities.end(),
                    [&](const TimeAnchor& t) { return t.sha256 == digest; }))
      out.push_back(der);
  return out;
}

std::vector<Bytes> Anchors::witness_keys() const {
  std::vector<Bytes> out;
  for (const std::string& vkey : witnesses) out.push_back(NoteKey::parse(vkey).key.spki());
  return out;
}

Json Anchors::to_json() const {
  Json out = Json::object({});
  Json authorities(Json::Array{}), keys(Json::Array{});
  for (const TimeAnchor& t : time_authorities)
    authorities.push(Json::object({{"name", t.name}, {"sha256", t.sha256}}));
  for (const std::string& vkey : witnesses) keys.push(vkey);
  if (!time_authorities.empty()) out.set("time_authorities", std::move(authorities));
  if (!witnesses.empty()) out.set("witness_quorum", witness_quorum).set("witnesses", std::move(keys));
  return out;
}

Anchors Anchors::from_json(const Json& doc, const std::string& what) {
  const Reader r{what};
  r.only(doc, {"time_authorities", "witness_quorum", "witnesses"});
  Anchors out;
  if (doc.find("time_authorities"))
    for (const Json& item : r.some(doc, "time_authorities")) {
      TimeAnchor t = r.authority(item);
      if (!out.time_authorities.empty() && t.sha256 <= out.time_authorities.back().sha256)
        r.refuse("the time-stamp authorities are not in order, or one stands twice");
      out.time_authorities.push_back(std::move(t));
    }
  if (doc.find("witnesses")) {
    std::set<Bytes> keys;
    for (const Json& item : r.some(doc, "witnesses")) {
      const std::string& vkey = item.as_string();
      if (!keys.insert(r.witness(vkey).key.spki()).second ||
          (!out.witnesses.empty() && vkey <= out.witnesses.back()))
        r.refuse("the witnesses are not in order, or one stands twice");
      out.witnesses.push_back(vkey);
    }
    out.witness_quorum = doc.num("witness_quorum");
    if (out.witness_quorum < 1 || out.witness_quorum > static_cast<int64_t>(out.witnesses.size()))
      r.refuse("\"witness_quorum\" is not from 1 to their number");
  } else if (doc.find("witness_quorum")) {
    r.refuse("\"witness_quorum\" without witnesses");
  }
  if (out.empty()) r.refuse("bind nothing");
  return out;
}

std::vector<std::string> anchor_lines(const Anchors& to, const Anchors& from) {
  std::vector<std::string> out;
  auto under = [](const TimeAnchor& t) { return "sha256:" + t.sha256 + ", \"" + t.name + "\""; };
  for (const TimeAnchor& t : to.time_authorities) out.push_back("Time-stamps count only under " + under(t));
  if (to.time_authorities.empty() && !from.time_authorities.empty())
    out.emplace_back("Time-stamps count under any authority from then on");
  for (const std::string& w : to.witnesses) out.push_back("Cosignatures count only of " + w);
  if (!to.witnesses.empty())
    out.push_back("At least " + std::to_string(to.witness_quorum) + " of these witnesses must sign");
  else if (!from.witnesses.empty())
    out.emplace_back("Cosignatures count of any witness from then on");
  for (const TimeAnchor& t : from.time_authorities) out.push_back("Until now: time-stamps under " + under(t));
  for (const std::string& w : from.witnesses) out.push_back("Until now: cosignatures of " + w);
  if (!from.witnesses.empty())
    out.push_back("Until now: at least " + std::to_string(from.witness_quorum) + " of these witnesses");
  return out;
}

}  // namespace kesu
