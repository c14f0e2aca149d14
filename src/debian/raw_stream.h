// One compressed stream that is not an archive: package indexes.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>

#include "base/result.h"

namespace kist::debian {

/// Unpacks xz or gzip, whichever it is. Errors: corrupt (neither, damaged, truncated), invalid
/// (unpacks to more than `limit_bytes`).
Result<std::string> decompress_whole(std::string_view bytes, uint64_t limit_bytes);

}  // namespace kist::debian
