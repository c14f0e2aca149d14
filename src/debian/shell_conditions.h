// The conditions of maintainer scripts: `[ … ]` and `dpkg --compare-versions`, as far as they can be
// decided from words of which some are not known.
#pragma once

#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "debian/shell_trace.h"

namespace kist::debian {

enum class Verdict { yes, no, unknown };

constexpr Verdict verdict(bool value) { return value ? Verdict::yes : Verdict::no; }
constexpr Verdict invert(Verdict value) {
  if (value == Verdict::unknown) return value;
  return verdict(value == Verdict::no);
}

/// Stands in an argument for what is not known, and equals nothing that a script can write.
constexpr std::string_view kUnknownMark = "\x01unknown";

/// The arguments of `test`, without a closing bracket (POSIX test, with the old -a and -o).
Verdict test_condition(const std::vector<std::optional<std::string>>& arguments,
                       const ShellWorld& world);

/// The words of `dpkg …`; empty for everything but --compare-versions, which is no condition.
std::optional<Verdict> compare_versions_condition(
    const std::vector<std::optional<std::string>>& words);

}  // namespace kist::debian
