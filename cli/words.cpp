#include "words.h"

#include <algorithm>
#include <string>

#include "base/error.h"
#include "base/plain_text.h"

namespace kesu::cli {

namespace {
// Words of people: they stand in lists, plans and certificates. All others are names of files, identifiers,
// numbers and words of a list, or are judged where they are used.
constexpr std::string_view kPeoplesWords[] = {"reason",
                                              "place",
                                              "custodian",
                                              "medium",
                                              "how",
                                              "as",
                                              "org",
                                              "origin",
                                              "officer",
                                              "owner",
                                              "class",
                                              "region",
                                              "contract",
                                              "retention",
                                              "location",
                                              "history-by",
                                              "history-detail",
                                              "origin-place",
                                              "accept-compromised",
                                              "provider-name",
                                              "location-lost"};

// Groups of options are nameless commands to the parser.
bool has_commands(CLI::App* at) {
  return !at->get_subcommands([](CLI::App* sub) { return !sub->get_name().empty(); }).empty();
}
CLI::App* command_called(CLI::App* at, const std::string& word) {
  auto found =
      at->get_subcommands([&](CLI::App* sub) { return !sub->get_name().empty() && sub->check_name(word); });
  return found.empty() ? nullptr : found.front();
}

// Does this option, of this command or of one above it, take the word behind it?
bool takes_a_value(CLI::App* at, const std::string& word) {
  for (; at != nullptr; at = at->get_parent())
    if (const CLI::Option* option = at->get_option_no_throw(word)) return option->get_expected_min() > 0;
  return false;
}

// Where an empty value has a meaning: it clears what was set.
bool may_be_empty(const CLI::App& command, const CLI::Option& option) {
  return command.get_name() == "update" && option.get_name() != "--key" && option.get_name() != "--reason";
}
}  // namespace

void refuse_unknown_command(CLI::App& app, int argc, const char* const* argv) {
  CLI::App* at = &app;
  std::string words = "kesu";
  for (int i = 1; i < argc && has_commands(at); ++i) {
    const std::string word = argv[i];
    if (word.starts_with("-")) {
      i += word.find('=') == std::string::npos && takes_a_value(at, word);
      continue;
    }
    CLI::App* next = command_called(at, word);
    if (next == nullptr)
      throw Error(Code::usage, words + " has no command \"" + word + "\"").next(words + " --help");
    at = next;
    words += " " + word;
  }
}

void refuse_bad_words(CLI::App& app) {
  for (CLI::App* at = &app; at != nullptr;) {
    for (const CLI::Option* option : at->get_options([](const CLI::Option* o) { return o->count() > 0; }))
      for (const std::string& value : option->results()) {
        if (value.empty() && !may_be_empty(*at, *option))
          throw Error(Code::usage, option->get_name() + " is empty")
              .cause("an unset variable of a script?")
              .next("give it a value, or leave it out");
        const auto& names = option->get_lnames();
        if (!value.empty() && !names.empty() &&
            std::find(std::begin(kPeoplesWords), std::end(kPeoplesWords), names[0]) !=
                std::end(kPeoplesWords))
          refuse_unplain(value, option->get_name());
      }
    auto taken = at->get_subcommands();
    at = taken.empty() ? nullptr : taken.front();
  }
}

}  // namespace kesu::cli
