// Reading text that is in canonical form already (RFC 8785), as almost all that is read is: one pass, no
// second text to compare with. It accepts exactly what parse_canonical_json accepts; whatever it does not
// accept goes to the general reader, which also has the words for what is wrong.
#include "base/json_canonical_impl.h"

namespace kesu {

namespace {
constexpr int64_t kMaxInteger = 9007199254740991;  // 2^53 − 1

bool is_plain(char c) {  // stands for itself in a string, whatever comes next
  auto u = static_cast<uint8_t>(c);
  return u >= 0x20 && u < 0x80 && c != '"' && c != '\\';
}

class Reader {
 public:
  Reader(std::string_view text, int max_depth) : text_(text), max_depth_(max_depth) {}

  // Reads the whole text; `out` may be null: then it is only looked at.
  bool whole(Json* out) { return value(out) && at_ == text_.size(); }

 private:
  // A string: what it says is a view into the text, or into `own` where it has escapes.
  struct Text {
    std::string_view view;
    std::string own;
  };

  bool take(char c) {
    if (at_ == text_.size() || text_[at_] != c) return false;
    ++at_;
    return true;
  }
  bool take(std::string_view word) {
    if (text_.substr(at_, word.size()) != word) return false;
    at_ += word.size();
    return true;
  }

  bool value(Json* out) {
    if (at_ == text_.size()) return false;
    switch (text_[at_]) {
      case '{':
        return object(out);
      case '[':
        return array(out);
      case '"': {
        Text text;
        if (!string(text)) return false;
        if (out) *out = Json(text.view);
        return true;
      }
      case 't':
        if (out) *out = Json(true);
        return take("true");
      case 'f':
        if (out) *out = Json(false);
        return take("false");
      case 'n':
        if (out) *out = Json();
        return take("null");
      default:
        return number(out);
    }
  }

  bool object(Json* out) {
    if (depth_ == max_depth_) return false;
    ++depth_;
    ++at_;
    Json::Object members;
    Text before, name;
    for (bool first = true; !take('}'); first = false) {
      if (!first && !take(',')) return false;
      if (!string(name) || !take(':')) return false;
      // Ascending, so that no name stands there twice.
      if (!first && !Utf16Less()(before.view, name.view)) return false;
      if (out) {
        auto member = members.emplace_hint(members.end(), std::string(name.view), Json());
        if (!value(&member->second)) return false;
      } else if (!value(nullptr)) {
        return false;
      }
      const bool owned = name.view.data() == name.own.data();
      std::swap(before, name);
      if (owned) before.view = before.own;  // a short text lies inside the string that was moved
    }
    --depth_;
    if (out) *out = Json(std::move(members));
    return true;
  }

  bool array(Json* out) {
    if (depth_ == max_depth_) return false;
    ++depth_;
    ++at_;
    Json::Array items;
    for (bool first = true; !take(']'); first = false) {
      if (!first && !take(',')) return false;
      if (!value(out ? &items.emplace_back() : nullptr)) return false;
    }
    --depth_;
    if (out) *out = Json(std::move(items));
    return true;
  }

  bool number(Json* out) {
    const bool negative = take('-');
    const size_t digits = at_;
    int64_t n = 0;
    while (at_ < text_.size() && text_[at_] >= '0' && text_[at_] <= '9') {
      n = n * 10 + (text_[at_++] - '0');
      if (n > kMaxInteger) return false;
    }
    const size_t count = at_ - digits;
    if (count == 0 || (text_[digits] == '0' && (count > 1 || negative))) return false;
    if (out) *out = Json(negative ? -n : n);
    return true;
  }

  bool string(Text& out) {
    if (!take('"')) return false;
    const size_t start = at_;
    bool escaped = false, ascii = true;
    for (;; ++at_) {
      while (at_ < text_.size() && is_plain(text_[at_])) ++at_;
      if (at_ == text_.size()) return false;
      const char c = text_[at_];
      if (c == '"') break;
      if (static_cast<uint8_t>(c) < 0x20) return false;
      if (c == '\\') {
        if (!escaped) out.own.assign(text_.substr(start, at_ - start));
        escaped = true;
        if (!escape(out.own)) return false;
        const size_t next = at_ + 1;
        size_t end = next;
        while (end < text_.size() && text_[end] != '"' && text_[end] != '\\' &&
               static_cast<uint8_t>(text_[end]) >= 0x20)
          ascii &= static_cast<uint8_t>(text_[end++]) < 0x80;
        out.own.append(text_.substr(next, end - next));
        at_ = end - 1;
      } else {
        ascii = false;
      }
    }
    out.view = escaped ? std::string_view(out.own) : text_.substr(start, at_ - start);
    ++at_;
    return ascii || is_utf8(out.view);
  }

  // Appends what the escape at at_ says; at_ is at its last character afterwards. Only those that the
  // canonical form has.
  bool escape(std::string& out) {
    if (++at_ == text_.size()) return false;
    constexpr std::string_view kLetters = "\"\\bfnrt", kSaid = "\"\\\b\f\n\r\t";
    if (size_t i = kLetters.find(text_[at_]); i != std::string_view::npos) {
      out.push_back(kSaid[i]);
      return true;
    }
    if (text_.substr(at_, 3) != "u00" || text_.size() - at_ < 5) return false;
    const char high = text_[at_ + 3], low = text_[at_ + 4];
    if (high != '0' && high != '1') return false;
    const bool decimal = low >= '0' && low <= '9';
    if (!decimal && (low < 'a' || low > 'f')) return false;
    const char said = static_cast<char>((high - '0') * 16 + (decimal ? low - '0' : low - 'a' + 10));
    if (kSaid.find(said) != std::string_view::npos) return false;  // has a letter of its own
    out.push_back(said);
    at_ += 4;
    return true;
  }

  std::string_view text_;
  size_t at_ = 0;
  int depth_ = 0, max_depth_;
};
}  // namespace

bool read_canonical(std::string_view text, const JsonLimits& limits, Json* out) {
  return text.size() <= limits.max_bytes && Reader(text, limits.max_depth).whole(out);
}

bool is_canonical_json_object(std::string_view text, const JsonLimits& limits) {
  return text.starts_with('{') && read_canonical(text, limits, nullptr);
}

}  // namespace kesu
