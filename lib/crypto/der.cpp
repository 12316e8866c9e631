// DER reader and writer.
#include <algorithm>

#include "base/error.h"
#include "crypto/der_impl.h"

namespace kesu::der {

namespace {
void put_head(ByteWriter& out, uint8_t tag, size_t size) {
  out.u8(tag);
  if (size < 0x80) {
    out.u8(static_cast<uint8_t>(size));
  } else if (size < 0x100) {
    out.u8(0x81).u8(static_cast<uint8_t>(size));
  } else if (size < 0x10000) {
    out.u8(0x82).u16(static_cast<uint16_t>(size));
  } else if (size < 0x1000000) {
    out.u8(0x83).u8(static_cast<uint8_t>(size >> 16)).u16(static_cast<uint16_t>(size));
  } else {
    out.u8(0x84).u32(static_cast<uint32_t>(size));
  }
}

void put_base128(ByteWriter& out, uint64_t value) {
  int groups = 1;
  for (uint64_t v = value; v >= 0x80; v >>= 7) ++groups;
  while (groups--) out.u8(static_cast<uint8_t>((value >> (7 * groups) & 0x7F) | (groups ? 0x80 : 0)));
}
}  // namespace

Bytes tlv(uint8_t tag, std::initializer_list<ByteView> parts) {
  size_t size = 0;
  for (ByteView p : parts) size += p.size();
  if (size > UINT32_MAX) throw Error(Code::bad_input, "DER: an element is too large");
  ByteWriter out;
  put_head(out, tag, size);
  for (ByteView p : parts) out.raw(p);
  return std::move(out).bytes();
}

Bytes tlv(uint8_t tag, ByteView content) { return tlv(tag, {content}); }

Bytes set_of(std::vector<Bytes> elements, uint8_t tag) {
  std::ranges::sort(elements, {}, [](const Bytes& e) { return as_text(e); });
  ByteWriter content;
  for (const Bytes& e : elements) content.raw(e);
  return tlv(tag, content.bytes());
}

Bytes oid(std::string_view dotted) {
  std::vector<uint64_t> arcs(1);
  for (char c : dotted) {
    if (c == '.') {
      arcs.push_back(0);
    } else {
      arcs.back() = arcs.back() * 10 + static_cast<uint64_t>(c - '0');
    }
  }
  ByteWriter out;
  put_base128(out, arcs[0] * 40 + arcs[1]);
  for (size_t i = 2; i < arcs.size(); ++i) put_base128(out, arcs[i]);
  return tlv(kOid, out.bytes());
}

Bytes integer(ByteView v) {
  while (v.size() > 1 && v[0] == 0) v = v.subspan(1);
  static constexpr uint8_t kZero[] = {0};
  if (v.empty()) v = kZero;
  return v[0] >= 0x80 ? tlv(kInteger, {ByteView(kZero), v}) : tlv(kInteger, v);
}

Bytes integer(uint64_t value) { return integer(ByteWriter().u64(value).bytes()); }

Bytes bit_string(ByteView whole_bytes) {
  static constexpr uint8_t kNoUnused[] = {0};
  return tlv(kBitString, {ByteView(kNoUnused), whole_bytes});
}

Bytes named_bits(uint32_t bits) {
  Bytes content{0};
  int used = 0;
  for (int i = 0; i < 32; ++i)
    if (bits >> i & 1) used = i + 1;
  content.resize(1 + static_cast<size_t>(used + 7) / 8);
  content[0] = static_cast<uint8_t>((8 - used % 8) % 8);
  for (int i = 0; i < used; ++i)
    if (bits >> i & 1) content[1 + static_cast<size_t>(i) / 8] |= static_cast<uint8_t>(0x80 >> i % 8);
  return tlv(kBitString, content);
}

Bytes boolean(bool value) {
  const uint8_t content[] = {static_cast<uint8_t>(value ? 0xFF : 0x00)};
  return tlv(kBoolean, content);
}

Bytes time(Millis t) {
  std::string digits;
  for (char c : utc_text(t).substr(0, 19))
    if (c >= '0' && c <= '9') digits += c;
  digits += 'Z';
  const bool utc = digits >= "1950" && digits < "2050";
  return utc ? tlv(kUtcTime, as_bytes(std::string_view(digits).substr(2)))
             : tlv(kGeneralizedTime, as_bytes(digits));
}

void Reader::bad(std::string_view field, std::string_view why) const {
  throw Error(Code::bad_input, std::string(what_) + ": " + std::string(field) + " " + std::string(why));
}

Element Reader::next(std::string_view field) {
  ByteReader head(in_);
  Element e;
  e.tag = head.u8();
  size_t size = head.u8();
  if (size == 0x80) bad(field, "has an indefinite length");
  if (size > 0x80) {
    const size_t count = size & 0x7F;
    if (count > 4) bad(field, "has a length that is too long");
    size = 0;
    for (size_t i = 0; i < count; ++i) size = size << 8 | head.u8();
    if (size < 0x80 || size >> (8 * (count - 1)) == 0) bad(field, "has a length that is not minimal");
  }
  if (head.failed() || size > head.left()) bad(field, "is missing or runs past the end");
  if ((e.tag & 0x1F) == 0x1F) bad(field, "has a tag number above 30");
  e.content = head.raw(size);
  e.whole = in_.first(head.offset());
  in_ = in_.subspan(head.offset());
  return e;
}

ByteView Reader::next(uint8_t tag, std::string_view field) {
  const Element e = next(field);
  if (e.tag != tag) bad(field, "is of another type");
  return e.content;
}

void Reader::end(std::string_view field) const {
  if (!in_.empty()) bad(field, "is followed by bytes too many");
}

std::string oid_text(ByteView content) {
  std::string out;
  uint64_t value = 0;
  bool inside = false;
  for (uint8_t b : content) {
    if (!inside && b == 0x80) return {};
    if (value >> 56) return {};
    value = value << 7 | (b & 0x7F);
    inside = b & 0x80;
    if (inside) continue;
    if (out.empty()) {
      const uint64_t top = std::min<uint64_t>(value / 40, 2);
      out = std::to_string(top) + "." + std::to_string(value - 40 * top);
    } else {
      out += "." + std::to_string(value);
    }
    value = 0;
  }
  return inside ? std::string() : out;
}

std::optional<Millis> parse_time(const Element& e) {
  std::string text = to_text(e.content);
  if (e.tag == kUtcTime) {
    if (text.size() != 13) return std::nullopt;
    text = (text[0] >= '5' ? "19" : "20") + text;
  } else if (e.tag != kGeneralizedTime) {
    return std::nullopt;
  }
  if (text.size() != 15 || text.back() != 'Z') return std::nullopt;
  return parse_utc(text.substr(0, 4) + "-" + text.substr(4, 2) + "-" + text.substr(6, 2) + "T" +
                   text.substr(8, 2) + ":" + text.substr(10, 2) + ":" + text.substr(12, 2) + ".000Z");
}

}  // namespace kesu::der
