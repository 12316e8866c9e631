// DER (ITU-T X.690 §10) as far as certificates and CMS need it: a strict bounded reader and a writer. Private
// to lib/crypto.
#pragma once
#include <initializer_list>
#include <optional>
#include <string_view>
#include <vector>

#include "base/bytes.h"
#include "base/clock.h"

namespace kesu::der {

enum Tag : uint8_t {
  kBoolean = 0x01,
  kInteger = 0x02,
  kBitString = 0x03,
  kOctetString = 0x04,
  kNull = 0x05,
  kOid = 0x06,
  kUtf8 = 0x0C,
  kPrintable = 0x13,
  kUtcTime = 0x17,
  kGeneralizedTime = 0x18,
  kSequence = 0x30,
  kSet = 0x31,
};
constexpr uint8_t context(int n) { return static_cast<uint8_t>(0xA0 | n); }  // constructed
constexpr uint8_t context_primitive(int n) { return static_cast<uint8_t>(0x80 | n); }

// Writing. Every function gives one whole element.
Bytes tlv(uint8_t tag, ByteView content);
Bytes tlv(uint8_t tag, std::initializer_list<ByteView> parts);
inline Bytes seq(std::initializer_list<ByteView> parts) { return tlv(kSequence, parts); }
Bytes set_of(std::vector<Bytes> elements, uint8_t tag = kSet);  // sorted, §11.6
Bytes oid(std::string_view dotted);
Bytes integer(uint64_t value);
Bytes integer(ByteView unsigned_big_endian);
Bytes bit_string(ByteView whole_bytes);
Bytes named_bits(uint32_t bits);  // bit 0 of the ASN.1 list = lowest bit of the argument
inline Bytes octets(ByteView content) { return tlv(kOctetString, content); }
Bytes boolean(bool value);
Bytes time(Millis t);  // RFC 5280 §4.1.2.5: UTCTime until 2049, then GeneralizedTime; whole seconds

struct Element {
  uint8_t tag = 0;
  ByteView content, whole;
};

// Reads elements one after another. Every failure is Error bad_input: "<what>: <field> …". Refuses indefinite
// and non-minimal lengths and tag numbers above 30.
class Reader {
 public:
  Reader(ByteView in, std::string_view what) : in_(in), what_(what) {}

  Element next(std::string_view field);
  ByteView next(uint8_t tag, std::string_view field);  // content of an element that must have this tag
  Reader enter(uint8_t tag, std::string_view field) { return {next(tag, field), what_}; }
  bool at(uint8_t tag) const { return !in_.empty() && in_[0] == tag; }
  bool done() const { return in_.empty(); }
  void end(std::string_view field) const;
  [[noreturn]] void bad(std::string_view field, std::string_view why) const;

 private:
  ByteView in_;
  std::string_view what_;
};

// Dotted text of the content of an OBJECT IDENTIFIER; empty when it is malformed.
std::string oid_text(ByteView content);
// UTCTime or GeneralizedTime as `time` writes them (also GeneralizedTime before 2050); nullopt when not.
std::optional<Millis> parse_time(const Element& e);

}  // namespace kesu::der
