// From something that writes to something that can be read.
#pragma once

#include <functional>
#include <string_view>

#include "archive/decompress.h"
#include "base/result.h"

namespace kist::archive {

/// Writes all its bytes to what it is given, and stops at that one's error.
using Writer = std::function<Result<void>(const std::function<Result<void>(std::string_view)>& output)>;

/// What `writer` writes, on a thread of its own that runs at most so many pieces of 256 KiB ahead. The thread ends with
/// the last copy of what is returned, at the writer's next piece. Errors: those of `writer`.
Source turn_around(Writer writer, size_t most_pieces = 8);

}  // namespace kist::archive
