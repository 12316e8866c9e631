// The words that were typed, looked at before any command sees them.
#pragma once
#include <CLI/CLI.hpp>

namespace kesu::cli {

// Throws usage for a word where a command is expected and none is called that: "kesu key blah".
void refuse_unknown_command(CLI::App& app, int argc, const char* const* argv);
// Throws usage for an option that was given and is empty (an unset variable of a script), bad_input for words
// of people that are not plain text (base/plain_text.h).
void refuse_bad_words(CLI::App& app);

}  // namespace kesu::cli
