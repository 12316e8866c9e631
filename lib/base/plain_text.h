// Words that people give to things: shown in lists, errors, plans and certificates, so that they must be what
// they look like.
#pragma once
#include <string>
#include <string_view>

namespace kesu {

// UTF-8 without control characters and without marks that change the direction of writing.
bool is_plain_text(std::string_view text);
// Throws bad_input unless `text` is plain, not blank, and of at most `longest` bytes. `what`: "a key's name".
void refuse_unplain(std::string_view text, const std::string& what, size_t longest = 1024);
// For names: at most 128 bytes, no blank at either end, not "." or "..".
void refuse_bad_name(std::string_view name, const std::string& what);

}  // namespace kesu
