// Reading a header that is in canonical form and plain, as every header is that this program wrote: straight
// from its bytes, without a tree of values between. Whatever it does not take goes to the general reader.
#include "ledger/header_reader_impl.h"

namespace kesu {

namespace {
constexpr int64_t kMaxInteger = (int64_t{1} << 53) - 1;

class Scanner {
 public:
  explicit Scanner(std::string_view text) : text_(text) {}
  bool done() const { return at_ == text_.size(); }

  bool take(std::string_view word) {
    if (text_.substr(at_, word.size()) != word) return false;
    at_ += word.size();
    return true;
  }
  // "text": not empty, printable ASCII, no escapes.
  bool text(std::string& out) {
    std::string_view found;
    if (!text(found)) return false;
    out.assign(found);
    return true;
  }
  bool text(std::string_view& out) {
    if (!take("\"")) return false;
    const size_t start = at_;
    while (at_ < text_.size() && text_[at_] > 0x20 && text_[at_] < 0x7f && text_[at_] != '"' &&
           text_[at_] != '\\')
      ++at_;
    out = text_.substr(start, at_ - start);
    return !out.empty() && take("\"");
  }
  // Not negative, without leading zeros.
  bool number(int64_t& out) {
    const size_t start = at_;
    for (out = 0; at_ < text_.size() && text_[at_] >= '0' && text_[at_] <= '9'; ++at_) {
      out = out * 10 + (text_[at_] - '0');
      if (out > kMaxInteger) return false;
    }
    return at_ > start && (text_[start] != '0' || at_ == start + 1);
  }
  bool time(Millis& out) {
    std::string_view found;
    if (!text(found)) return false;
    auto t = parse_utc(found);
    out = t.value_or(0);
    return t.has_value();
  }

 private:
  std::string_view text_;
  size_t at_ = 0;
};

bool read_mention(Scanner& s, NodeMention& m) {
  if (s.take("\"b\":") && !(s.number(m.b.emplace()) && s.take(","))) return false;
  if (s.take("\"d\":") && !(s.text(m.d) && s.take(","))) return false;
  if (!s.take("\"id\":") || !s.text(m.id)) return false;
  if (s.take(",\"is\":") && !s.text(m.is)) return false;
  if (s.take(",\"n\":") && !s.number(m.n.emplace())) return false;
  if (s.take(",\"of\":") && !s.text(m.of)) return false;
  if (s.take(",\"t\":") && !s.time(m.t.emplace())) return false;
  return s.take("}");
}
}  // namespace

bool read_plain_header(std::string_view text, Header& h) {
  if (text.size() > kMaxHeaderBytes) return false;
  Scanner s(text);
  if (!s.take("{\"edges\":[")) return false;
  while (s.take(h.edges.empty() ? "[" : ",[")) {
    Edge& e = h.edges.emplace_back();
    if (!s.text(e.first) || !s.take(",") || !s.text(e.second) || !s.take("]")) return false;
  }
  if (!s.take("],\"nodes\":[")) return false;
  while (s.take(h.nodes.empty() ? "{" : ",{"))
    if (!read_mention(s, h.nodes.emplace_back())) return false;
  int64_t seq = 0;
  if (!s.take("],\"seq\":") || !s.number(seq)) return false;
  h.seq = static_cast<uint64_t>(seq);
  return s.take(",\"time\":") && s.time(h.time) && s.take(",\"type\":") && s.text(h.type) &&
         s.take(",\"v\":") && s.number(h.v) && s.take("}") && s.done() && header_problem(h).empty();
}

}  // namespace kesu
