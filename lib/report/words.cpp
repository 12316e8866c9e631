// Small texts that every part of the document uses.
#include "report/blocks.h"

namespace kesu::report {

namespace {

// U+200E, U+200F, U+202A to U+202E, U+2066 to U+2069, and C1 controls: bytes of their UTF-8 form.
bool unseen(std::string_view rest, size_t& bytes) {
  auto at = [&](size_t i) { return i < rest.size() ? static_cast<unsigned char>(rest[i]) : 0u; };
  bytes = 1;
  if (at(0) < 0x20 || at(0) == 0x7f) return true;
  if (at(0) == 0xc2 && at(1) >= 0x80 && at(1) < 0xa0) return bytes = 2, true;
  bool marks = at(0) == 0xe2 &&
               ((at(1) == 0x80 && (at(2) == 0x8e || at(2) == 0x8f || (at(2) >= 0xa8 && at(2) <= 0xae))) ||
                (at(1) == 0x81 && at(2) >= 0xa6 && at(2) <= 0xa9));
  return marks ? (bytes = 3, true) : false;
}

std::string zoned(Millis t, const char* zone) {
  return utc_text(t).substr(0, 10) + " " + utc_text(t).substr(11, 8) + zone;
}
constexpr Millis kJapan = 9LL * 3600 * 1000;

}  // namespace

std::string shown(std::string_view text) {
  if (!is_utf8(text)) return "\xef\xbf\xbd";
  std::string out;
  for (size_t i = 0, n = 0; i < text.size(); i += n) {
    if (unseen(text.substr(i), n)) {
      out += "\xef\xbf\xbd";
      continue;
    }
    n = 1;
    out += text[i];
  }
  return out;
}

std::string grouped(int64_t n) {
  std::string digits = std::to_string(n), out;
  for (size_t i = 0; i < digits.size(); ++i) {
    if (i && (digits.size() - i) % 3 == 0) out += ',';
    out += digits[i];
  }
  return out;
}

std::string short_instant(Millis t) { return zoned(t + kJapan, ""); }
std::string instant(Millis t) { return zoned(t + kJapan, " +09:00") + " (" + zoned(t, " UTC") + ")"; }

Caption caption() {
  return {
      "このページ自体は何も証明しない。一式を「kesu verify 一式 --trust "
      "信頼ファイル」または検証ページ（kesu-verify.html）"
      "で確認すること。",
      "This page cannot vouch for itself. Check the bundle with kesu verify BUNDLE --trust FILE, or with the "
      "verifier page (kesu-verify.html)."};
}

Document compose(const Model& model, ReportLanguage language) {
  Words w{language};
  Document out{language, w("暗号化消去証明書", "Certificate of Cryptographic Erasure"), {}};
  for (auto part : {first_page, sections, closing})
    for (Block& block : part(model, w)) out.blocks.push_back(std::move(block));
  return out;
}

}  // namespace kesu::report
