// Headers: canonical bytes, the strict reader, the rules of a type; body and leaf hashes.
#include "ledger/entry.h"

#include <algorithm>

#include "base/error.h"
#include "base/ids.h"
#include "crypto/hash.h"
#include "ledger/entry_types.h"
#include "ledger/header_reader_impl.h"

namespace kesu {

namespace {

constexpr int64_t kMaxInteger = (int64_t{1} << 53) - 1;
constexpr Millis kMaxTime = 253402300799999;  // 9999-12-31T23:59:59.999Z
constexpr size_t kMaxNodes = 6;

bool is_hex(std::string_view text) {
  return std::all_of(text.begin(), text.end(),
                     [](char c) { return (c >= '0' && c <= '9') || (c >= 'a' && c <= 'f'); });
}

bool in_range(int64_t v) { return v >= 0 && v <= kMaxInteger; }

std::string quoted(std::string_view text) { return "\"" + std::string(text) + "\""; }

uint8_t members_of(const NodeMention& m) {
  using namespace entry_types;
  return static_cast<uint8_t>((m.of.empty() ? 0 : kOf) | (m.n ? kCount : 0) | (m.b ? kBytes : 0) |
                              (m.d.empty() ? 0 : kDigest) | (m.t ? kUntil : 0));
}

bool follows(const entry_types::NodeRule& rule, std::string_view kind, const NodeMention& m,
             uint8_t members) {
  if (rule.kind != kind) return false;
  if (rule.states.empty() ? !m.is.empty() : !entry_types::lists(rule.states, m.is)) return false;
  if ((members & rule.needs) != rule.needs || (members & ~(rule.needs | rule.may)) != 0) return false;
  return m.of.empty() || entry_types::lists(rule.of, node_kind(m.of));
}

// What is wrong with the values of one item, whatever its type.
std::string item_problem(const NodeMention& m, std::string_view kind) {
  if (kind.empty()) return "nodes: " + quoted(m.id) + " is no identifier";
  if (!m.is.empty() && !entry_types::lists(entry_types::states_of(kind), m.is))
    return "nodes: " + m.id + " cannot be " + quoted(m.is);
  if (!m.of.empty() && node_kind(m.of).empty()) return "of: " + quoted(m.of) + " is no identifier";
  if (m.n && !in_range(*m.n)) return "n: out of range";
  if (m.b && !in_range(*m.b)) return "b: out of range";
  if (!m.d.empty() && (m.d.size() != (kind == "cer" ? 128u : 64u) || !is_hex(m.d)))
    return "d: " + quoted(m.d) + " is no digest";
  if (m.t && (*m.t < 0 || *m.t > kMaxTime)) return "t: out of range";
  return {};
}

std::string place_problem(uint64_t seq, Millis time, bool genesis) {
  if (seq > static_cast<uint64_t>(kMaxInteger)) return "seq: out of range";
  if (time < 0 || time > kMaxTime) return "time: out of range";
  if (genesis != (seq == 0)) return "type: genesis is entry 0, and only that";
  return {};
}

std::string nodes_problem(const Header& header) {
  if (header.nodes.empty() || header.nodes.size() > kMaxNodes) return "nodes: 1 to 6 items";
  auto rules = entry_types::node_rules(header.type);
  bool subject = rules.empty();
  for (size_t i = 0; i < header.nodes.size(); ++i) {
    const NodeMention& m = header.nodes[i];
    std::string_view kind = node_kind(m.id);
    if (auto problem = item_problem(m, kind); !problem.empty()) return problem;
    for (size_t k = 0; k < i; ++k)
      if (header.nodes[k].id == m.id) return "nodes: " + m.id + " stands there twice";
    uint8_t members = members_of(m);
    auto rule =
        std::find_if(rules.begin(), rules.end(), [&](const auto& r) { return follows(r, kind, m, members); });
    if (rule != rules.end()) {
      subject = subject || rule->kind == rules.front().kind;
    } else if (!m.is.empty() || members != 0 ||
               std::any_of(rules.begin(), rules.end(), [&](const auto& r) { return r.kind == kind; })) {
      return "nodes: " + header.type + " may not say this of " + m.id +
             (m.is.empty() ? std::string() : " (" + m.is + ")");
    }
  }
  if (!subject)
    return "nodes: " + header.type + " says nothing of a node of kind " + quoted(rules.front().kind);
  return {};
}

std::string edges_problem(const Header& header) {
  const entry_types::EdgeRule* rule = entry_types::edge_rule(header.type);
  if (!rule) return header.edges.empty() ? std::string() : "edges: " + header.type + " has none";
  bool at_from = rule->subject == entry_types::Subject::from;
  auto subject_of = [&](const Edge& e) -> const std::string& { return at_from ? e.first : e.second; };
  for (size_t i = 0; i < header.edges.size(); ++i) {
    const Edge& e = header.edges[i];
    if (!entry_types::lists(rule->from, node_kind(e.first)) ||
        !entry_types::lists(rule->to, node_kind(e.second)))
      return "edges: " + header.type + " cannot lead from " + quoted(e.first) + " to " + quoted(e.second);
    auto named = [&](const NodeMention& m) { return m.id == subject_of(e); };
    if (std::none_of(header.nodes.begin(), header.nodes.end(), named))
      return "edges: " + subject_of(e) + " is not among the nodes";
    if (std::find(header.edges.begin(), header.edges.begin() + static_cast<long>(i), e) !=
        header.edges.begin() + static_cast<long>(i))
      return "edges: one stands there twice";
  }
  if (!rule->needed) return {};
  std::string_view subject_kind = at_from ? rule->from : rule->to;
  for (const NodeMention& m : header.nodes) {
    if (node_kind(m.id) != subject_kind) continue;
    auto ends = [&](const Edge& e) { return subject_of(e) == m.id; };
    if (std::none_of(header.edges.begin(), header.edges.end(), ends)) return "edges: none with " + m.id;
  }
  return {};
}

void put_member(std::string& out, std::string_view name, std::string_view text) {
  out.append(out.back() == '{' ? "\"" : ",\"").append(name).append("\":\"").append(text).append("\"");
}
void put_member(std::string& out, std::string_view name, int64_t number) {
  out.append(out.back() == '{' ? "\"" : ",\"").append(name).append("\":").append(std::to_string(number));
}

// Everything in a header that keeps the rules is ASCII without quotes or control characters, so nothing is
// escaped.
std::string bytes_before_seq(const Header& h) {
  std::string out;
  out.reserve(kMaxHeaderBytes);
  out += "{\"edges\":[";
  for (const Edge& e : h.edges) {
    if (out.back() == ']') out += ',';
    out.append("[\"").append(e.first).append("\",\"").append(e.second).append("\"]");
  }
  out += "],\"nodes\":[";
  for (const NodeMention& m : h.nodes) {
    if (out.back() == '}') out += ',';
    out += '{';
    if (m.b) put_member(out, "b", *m.b);
    if (!m.d.empty()) put_member(out, "d", m.d);
    put_member(out, "id", m.id);
    if (!m.is.empty()) put_member(out, "is", m.is);
    if (m.n) put_member(out, "n", *m.n);
    if (!m.of.empty()) put_member(out, "of", m.of);
    if (m.t) put_member(out, "t", utc_text(*m.t));
    out += '}';
  }
  return out += ']';
}

std::string bytes_after_time(const Header& h) {
  return ",\"type\":\"" + h.type + "\",\"v\":" + std::to_string(h.v) + "}";
}

[[noreturn]] void refuse(const std::string& why) { throw Error(Code::bad_input, "ledger header: " + why); }

Millis time_member(const Json& object, std::string_view name) {
  auto t = parse_utc(object.str(name));
  if (!t) refuse(std::string(name) + ": " + quoted(object.str(name)) + " is no time");
  return *t;
}

const std::string& text_member(const Json& value, std::string_view name) {
  const std::string& text = value.as_string();
  if (text.empty()) refuse(std::string(name) + ": empty");
  return text;
}

NodeMention parse_mention(const Json& item) {
  NodeMention m;
  for (const auto& [name, value] : item.as_object()) {
    if (name == "id")
      m.id = text_member(value, name);
    else if (name == "is")
      m.is = text_member(value, name);
    else if (name == "of")
      m.of = text_member(value, name);
    else if (name == "n")
      m.n = value.as_int();
    else if (name == "b")
      m.b = value.as_int();
    else if (name == "d")
      m.d = text_member(value, name);
    else if (name == "t")
      m.t = time_member(item, name);
    else
      refuse("nodes: unknown member " + quoted(name));
  }
  if (m.id.empty()) refuse("nodes: an item without id");
  return m;
}

Header parse_members(const Json& json) {
  for (const auto& [name, value] : json.as_object())
    if (name != "v" && name != "seq" && name != "time" && name != "type" && name != "nodes" &&
        name != "edges")
      refuse("unknown member " + quoted(name));
  Header h;
  h.v = json.num("v");
  int64_t seq = json.num("seq");
  if (seq < 0) refuse("seq: negative");
  h.seq = static_cast<uint64_t>(seq);
  h.time = time_member(json, "time");
  h.type = json.str("type");
  for (const Json& item : json.at("nodes").as_array()) h.nodes.push_back(parse_mention(item));
  for (const Json& item : json.at("edges").as_array()) {
    if (item.as_array().size() != 2) refuse("edges: a pair has two ends");
    h.edges.emplace_back(item.as_array()[0].as_string(), item.as_array()[1].as_string());
  }
  return h;
}

}  // namespace

std::string_view node_kind(std::string_view id) {
  size_t dash = id.find('-');
  if (dash == std::string_view::npos) return {};
  std::string_view kind = id.substr(0, dash), digits = id.substr(dash + 1);
  if (digits.size() < 32) return {};
  if (kind == "key") return VersionRef::parse(id) ? kind : std::string_view();
  constexpr std::string_view kKinds = "vlt|prv|ds|dsk|obj|bat|prc|era|cer|cpy|hld|doc|opr";
  return entry_types::lists(kKinds, kind) && digits.size() == 32 && is_hex(digits) ? kind
                                                                                   : std::string_view();
}

bool is_known_type(std::string_view type) { return entry_types::known(type); }

std::string header_problem(const Header& header) {
  if (header.v != kLedgerVersion) return "v: " + std::to_string(header.v);
  if (!is_known_type(header.type)) return "type: " + quoted(header.type) + " is not known";
  if (auto problem = place_problem(header.seq, header.time, header.type == "genesis"); !problem.empty())
    return problem;
  if (auto problem = nodes_problem(header); !problem.empty()) return problem;
  return edges_problem(header);
}

std::string Header::canonical() const { return HeaderFrame(*this).at(seq, time); }

HeaderFrame::HeaderFrame(Header header) : genesis_(header.type == "genesis") {
  // The ends of the range hold for every seq and time in it.
  header.seq = genesis_ ? 0 : 1;
  header.time = 0;
  if (auto problem = header_problem(header); !problem.empty()) refuse(problem);
  before_ = bytes_before_seq(header);
  after_ = bytes_after_time(header);
}

std::string HeaderFrame::at(uint64_t seq, Millis time) const {
  if (auto problem = place_problem(seq, time, genesis_); !problem.empty()) refuse(problem);
  std::string out;
  out.reserve(kMaxHeaderBytes);
  out += before_;
  put_member(out, "seq", static_cast<int64_t>(seq));
  put_member(out, "time", utc_text(time));
  out += after_;
  if (out.size() > kMaxHeaderBytes)
    refuse(std::to_string(out.size()) + " bytes; at most " + std::to_string(kMaxHeaderBytes) +
           " (an act on many nodes is several entries)");
  return out;
}

Header Header::parse(std::string_view text) {
  if (Header plain; read_plain_header(text, plain)) return plain;
  JsonLimits limits;
  limits.max_bytes = 65536;  // so that the version of a newer, larger header is still read
  limits.max_depth = 8;
  Json json = parse_json(text, "ledger header", limits);
  if (!json.is_object()) refuse("not an object");
  if (const Json* v = json.find("v"); v && v->is_int() && v->as_int() > kLedgerVersion)
    throw Error(Code::vault_newer, "this ledger has entries of version " + std::to_string(v->as_int()))
        .cause("this program knows version " + std::to_string(kLedgerVersion))
        .next("use a newer kesu");
  Header h = parse_members(json);
  if (h.canonical() != text) refuse("not in canonical form");
  return h;
}

Digest32 body_hash(ByteView salt, std::string_view canonical_body) {
  return sha256({salt, as_bytes(canonical_body)});
}

Digest32 leaf_hash(std::string_view canonical_header, const Digest32& body_hash) {
  static constexpr uint8_t kLeaf[] = {0x00};
  return sha256({ByteView(kLeaf), as_bytes(canonical_header), ByteView(body_hash)});
}

}  // namespace kesu
