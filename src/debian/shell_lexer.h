// The words and operators of a shell script; for shell_syntax.cpp only.
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "debian/shell_syntax.h"

namespace kist::debian {

struct ShellToken {
  enum class Kind { word, op, newline, redirect, end };
  Kind kind = Kind::end;
  std::string text;  // Operators: as written. Words: the text when it is one unquoted literal, which
                     // is how reserved words look; else "".
  ShellWord word;
  int line = 0;
};

/// Errors: unsupported (an unfinished quote or substitution).
Result<std::vector<ShellToken>> lex_shell(std::string_view script);

}  // namespace kist::debian
