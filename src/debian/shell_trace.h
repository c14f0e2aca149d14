// What a maintainer script would do, found by walking it instead of running it: commands that are
// sure to be reached, and those that may be, with their arguments where these can be known.
#pragma once

#include <functional>
#include <map>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "base/result.h"

namespace kist::debian {

/// The world as far as a script can ask about it.
struct ShellWorld {
  std::vector<std::string> arguments;             // $1 …
  std::map<std::string, std::string> variables;   // Set at the start; others are unset, so "".
  std::map<std::string, std::string> defaults;    // debconf questions and their default answers.
  std::function<bool(const std::string&)> exists;             // A path, links followed.
  std::function<bool(const std::string&)> is_folder;
};

/// One command, in the order of the script. A word that cannot be known is empty.
struct ShellEffect {
  std::vector<std::optional<std::string>> words;
  std::vector<std::optional<std::string>> writes;  // Files that its output goes to.
};

/// Builtins, tests and calls of the script's own functions are followed and do not appear in the
/// result. Both ways are taken where a condition cannot be known, so the result has at least all
/// that would run.
///
/// Errors: unsupported (syntax that is not understood, or more than 20,000 steps).
Result<std::vector<ShellEffect>> trace_shell(std::string_view script, const ShellWorld& world);

}  // namespace kist::debian
