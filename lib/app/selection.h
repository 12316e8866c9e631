// What of a source is to be sealed: patterns, and lists of names (docs/spec/selection.md).
#pragma once
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace kesu {

// A pattern for names. `*` and `?` match within one component, `**` over several, `[a-z]` and `[!a-z]` one
// character of a set, `\` takes the next character as it is. Without "/" it is held against the last
// component, else against the whole name; a leading "/" is left out, a trailing one matches directories only.
// Time is bounded by pattern × name.
class Glob {
 public:
  explicit Glob(std::string_view pattern);  // throws usage
  bool matches(std::string_view name, bool directory) const;

 private:
  struct Token {
    enum Kind { one, any, set, star, all, dirs, dirs_inside } kind;
    uint32_t character = 0;
    bool negated = false;
    std::vector<std::pair<uint32_t, uint32_t>> ranges;
  };
  bool matches_text(std::string_view text) const;
  std::vector<Token> tokens_;
  bool whole_ = false, directories_ = false;
};

class Selection {
 public:
  void include(const std::string& pattern) { includes_.emplace_back(pattern); }
  void exclude(const std::string& pattern) { excludes_.emplace_back(pattern); }
  // Only these names below the source and what is below them. `text`: one a line, or NUL-separated; a leading
  // "./" is left out, empty ones are passed over, "." is the source itself. Throws bad_input for a name that
  // is absolute or leaves the source.
  void only(std::string_view text, bool null_separated);

  bool everything() const { return includes_.empty() && excludes_.empty() && !listed_; }
  bool excluded(std::string_view name, bool directory) const;
  // Without include patterns everything is. What is below an included directory is included (the caller's).
  bool included(std::string_view name, bool directory) const;
  bool has_includes() const { return !includes_.empty(); }

  // The names of the list, in manifest order, no two the same; nullptr where there is no list.
  const std::vector<std::string>* names() const { return listed_ ? &names_ : nullptr; }

 private:
  std::vector<Glob> includes_, excludes_;
  std::vector<std::string> names_;
  bool listed_ = false;
};

// The text of a --files-from: a file, or standard input for "-". Errors of read_file.
std::string read_names(const std::string& path);

}  // namespace kesu
