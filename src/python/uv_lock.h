// uv.lock (version 1, any revision): one graph for all platforms and Pythons, read for one target.
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "base/result.h"
#include "python/pylock.h"
#include "python/pylock_select.h"
#include "python/tags.h"

namespace kist::python {

struct UvLockRoot {
  /// The project in the lock to start from, normalized; empty: the one at ".".
  std::string project = {};
  std::vector<std::string> extras = {}, groups = {};
};

/// The packages that are reached from the root on the target, with all their files; select() or
/// narrow() then chooses among those. Markers are evaluated, so none are left. The project itself
/// is there as a folder, unless the lock calls it virtual. Paths are relative to the lock's folder.
///
/// Errors: invalid (file, line, column; a dependency that is not in the lock; an unknown extra or
/// group), unsupported (another version; not for this target), corrupt (a file without hash).
Result<Lock> read_uv_lock(std::string_view text, std::string_view file, const Target& target,
                          const UvLockRoot& root);

}  // namespace kist::python
