// The text of requirements files below their meaning: encoding, continued lines, quoted words.
// Module-private.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "base/result.h"

namespace kist::python {

/// A line after joining and without its comment; `number` is that of its first piece, from 1.
struct RequirementsLine {
  uint32_t number;
  std::string text;
};

/// UTF-8, of UTF-8 or UTF-16 with or without a mark. Errors: invalid (neither).
Result<std::string> decode_requirements(std::string bytes, const std::string& path);

/// Lines joined at '\', without comments, blanks left out.
std::vector<RequirementsLine> logical_lines(std::string_view text);

/// Words as a shell would split them, for options.
std::vector<std::string> shell_words(std::string_view text);

}  // namespace kist::python
