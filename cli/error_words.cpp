#include "error_words.h"

#include "base/json.h"
#include "context.h"

namespace kesu::cli {

namespace {
std::string utf8(const std::string& text) { return is_utf8(text) ? text : printable(text, true); }
}  // namespace

std::string error_json(const Error& e) {
  Json members = Json::object({{"code", code_text(e.code())},
                               {"message", utf8(e.message())},
                               {"tried", utf8(e.tried())},
                               {"cause", utf8(e.cause())},
                               {"next", utf8(e.next())}});
  return Json::object({{"error", members}}).canonical();
}

std::string error_text(const Error& e) {
  std::string text =
      "kesu: " + printable(e.message(), false) + " [" + std::string(code_text(e.code())) + "]\n";
  if (!e.tried().empty()) text += "  tried  " + e.tried() + "\n";
  if (!e.cause().empty()) text += "  cause  " + e.cause() + "\n";
  if (!e.next().empty()) text += "  next   " + e.next() + "\n";
  return printable(text, true);
}

}  // namespace kesu::cli
