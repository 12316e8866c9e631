// The three lines of a checkpoint, written and strictly read.
#include "ledger/checkpoint.h"

#include <charconv>

#include "base/error.h"

namespace kesu {

namespace {

[[noreturn]] void refuse(const std::string& why) { throw Error(Code::bad_input, "checkpoint: " + why); }

// The origin is also the name of the note's key: no space, no '+', nothing that breaks the line.
void check_origin(std::string_view origin) {
  if (origin.empty() || !is_utf8(origin)) refuse("the origin is empty or not UTF-8");
  for (unsigned char c : origin)
    if (c <= 0x20 || c == '+' || c == 0x7f)
      refuse("the origin has a space, a plus sign or a control character");
}

std::string_view take_line(std::string_view& text, std::string_view what) {
  size_t end = text.find('\n');
  if (end == std::string_view::npos) refuse("no line feed after the " + std::string(what));
  std::string_view line = text.substr(0, end);
  text.remove_prefix(end + 1);
  return line;
}

}  // namespace

std::string Checkpoint::text() const {
  check_origin(origin);
  return origin + "\n" + std::to_string(size) + "\n" + base64(root) + "\n";
}

Checkpoint Checkpoint::parse_text(std::string_view text) {
  Checkpoint out;
  out.origin = take_line(text, "origin");
  check_origin(out.origin);
  std::string_view number = take_line(text, "size");
  auto [end, ec] = std::from_chars(number.data(), number.data() + number.size(), out.size);
  if (number.empty() || ec != std::errc() || end != number.data() + number.size() ||
      (number.size() > 1 && number[0] == '0'))
    refuse("the size is no decimal number");
  auto root = unbase64(take_line(text, "root"));
  if (!root || root->size() != 32) refuse("the root is not the base64 of 32 bytes");
  std::copy(root->begin(), root->end(), out.root.begin());
  if (!text.empty()) refuse("extension lines are not used here");
  return out;
}

}  // namespace kesu
