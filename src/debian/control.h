// Paragraphs of "Name: value" fields (deb822(5)): control files, Packages, Release, .sources.
#pragma once

#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "base/result.h"

namespace kist::debian {

/// One paragraph. Fields keep their order; names compare without regard to case.
class Paragraph {
 public:
  /// "" when there is no such field. A folded value keeps its newlines and leading spaces, except
  /// that the first line is trimmed.
  std::string_view get(std::string_view name) const;
  bool has(std::string_view name) const;
  void set(std::string_view name, std::string value);
  const std::vector<std::pair<std::string, std::string>>& fields() const { return fields_; }
  /// The words of a value, over all of its lines.
  std::vector<std::string> words(std::string_view name) const;
  /// "Name: value\n…", without an empty line at the end.
  std::string text() const;

 private:
  std::vector<std::pair<std::string, std::string>> fields_;
};

/// All paragraphs. With `comments`, lines that start with '#' are left out, as in .sources files.
/// Errors: invalid (names the line).
Result<std::vector<Paragraph>> parse_paragraphs(std::string_view text, bool comments = false);
/// The only paragraph of a text. Errors: invalid, also when there is none or a second one.
Result<Paragraph> parse_paragraph(std::string_view text);

/// "libc6 (>= 2.34)", "python3:any", "a | b": one alternative of one relation.
struct Relation {
  std::string name;   // Without ":any" or an architecture.
  std::string op;     // "", "<<", "<=", "=", ">=", ">>".
  std::string version;
};
/// "a, b | c" as {{a}, {b, c}}. What cannot be understood is left out: these come from packages
/// whose relations the solver has read already.
std::vector<std::vector<Relation>> parse_relations(std::string_view text);

/// deb-version(7) order: negative, 0 or positive. Pure; any bytes are accepted.
int compare_versions(std::string_view a, std::string_view b);

}  // namespace kist::debian
