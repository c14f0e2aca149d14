// Numbers of the command line, within bounds that the error names.
#pragma once

#include <cstdint>
#include <string_view>

#include "base/result.h"

namespace kist::container_cli {

/// Errors: invalid ("FLAG: 'x' is no number from A to B").
Result<int64_t> whole_number(std::string_view text, std::string_view flag, int64_t least, int64_t most);
Result<uint64_t> count(std::string_view text, std::string_view flag, uint64_t least, uint64_t most);

}  // namespace kist::container_cli
