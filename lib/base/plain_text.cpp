#include "base/plain_text.h"

#include "base/bytes.h"
#include "base/error.h"

namespace kesu {

namespace {
bool misleads(uint32_t cp) {
  return cp < 0x20 || (cp >= 0x7f && cp < 0xa0) || cp == 0x200e || cp == 0x200f || cp == 0x61c ||
         (cp >= 0x2028 && cp <= 0x202e) || (cp >= 0x2066 && cp <= 0x2069) || cp == 0xfeff;
}
}  // namespace

bool is_plain_text(std::string_view text) {
  if (!is_utf8(text)) return false;
  for (size_t i = 0; i < text.size();) {
    const auto lead = static_cast<uint8_t>(text[i]);
    const size_t length = lead < 0x80 ? 1 : lead < 0xe0 ? 2 : lead < 0xf0 ? 3 : 4;
    uint32_t cp = length == 1 ? lead : lead & (0xffu >> (length + 1));
    for (size_t k = 1; k < length; ++k) cp = cp << 6 | (static_cast<uint8_t>(text[i + k]) & 0x3fu);
    if (misleads(cp)) return false;
    i += length;
  }
  return true;
}

void refuse_unplain(std::string_view text, const std::string& what, size_t longest) {
  if (!is_plain_text(text))
    throw Error(Code::bad_input,
                what +
                    " holds a line break, another control character, a mark that changes the "
                    "direction of writing, or is not UTF-8")
        .cause("what people read must be what was written")
        .next("write it in one line of plain text");
  if (text.find_first_not_of(' ') == std::string_view::npos) throw Error(Code::bad_input, what + " is blank");
  if (text.size() > longest)
    throw Error(Code::bad_input, what + " is longer than " + std::to_string(longest) + " bytes");
}

void refuse_bad_name(std::string_view name, const std::string& what) {
  refuse_unplain(name, what, 128);
  if (name.front() == ' ' || name.back() == ' ')
    throw Error(Code::bad_input, what + " begins or ends with a blank");
  if (name == "." || name == "..") throw Error(Code::bad_input, what + " cannot be . or ..");
}

}  // namespace kesu
