// Gives back what nothing needs any more. docs/formats/store.md tells what counts as needed.
#pragma once

#include <cstdint>
#include <functional>
#include <string>
#include <vector>

#include "store/store.h"

namespace kist::store {

inline constexpr int64_t kKeepUnusedNames_s = 30 * 86'400;

struct GcOptions {
  /// Only tell what would be done. Waits for writers all the same, since what they are writing
  /// would look like garbage.
  bool is_dry_run = false;
  /// Names that nobody asked for in this time go, unless an environment needs their tree. 0: all.
  int64_t keep_unused_s = kKeepUnusedNames_s;
  /// Called once when others are writing, with who they are ("kist run train.py (pid 812)"), before
  /// waiting for them. An error ends the collection.
  std::function<Result<void>(const std::vector<std::string>& writers)> on_wait;
};

struct GcReport {
  std::vector<std::string> names;  // Dropped, sorted.
  uint64_t roots = 0;              // Dropped, as all below.
  uint64_t trees = 0;
  uint64_t objects = 0;
  uint64_t freed_bytes = 0;   // On the disk: a content that something else links is not freed.
  uint64_t roots_in_use = 0;  // Kept for a running process only.
};

/// Needed are: trees that a file projects/<key>/<environment>.roots lists, trees of names in use,
/// roots that a process holds a Lease on, and what those need. All else goes. Holds the store's
/// exclusive lock. A death at any point is harmless; the next run goes on.
/// Errors: denied (read-only store), corrupt (a needed tree is damaged: nothing is removed then).
Result<GcReport> collect_garbage(const Store& store, const GcOptions& options);

}  // namespace kist::store
