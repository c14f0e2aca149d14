// Checks that a store holds what its names promise, and puts it right. docs/formats/store.md.
#pragma once

#include <cstdint>
#include <functional>
#include <string>
#include <vector>

#include "base/progress.h"
#include "os/workers.h"
#include "store/store.h"

namespace kist::store {

enum class FsckLevel {
  quick,  // Trees are hashed; every object that they need must exist and have its size.
  full,   // Every object is hashed too, some 1.7 GB a second and core.
};

struct FsckOptions {
  FsckLevel level = FsckLevel::quick;
  /// Damaged files go to quarantine/, names whose tree is not whole are removed (their packages are
  /// then fetched again by whoever needs them), roots that show damage too unless they are in use. A
  /// full repair removes all roots that are not in use; the next run makes its own from the tree.
  bool is_repair = false;
  /// After a repair: fetch and install these names at once, so that environments are whole again.
  /// It may write to the store. An error of it is reported, not returned.
  std::function<Result<void>(const std::vector<std::string>& names)> refetch;
};

struct Damage {
  enum class What { object, tree, name };
  What what;
  std::string path;                // Below the store's folder.
  std::string reason;              // "missing", "3 bytes, want 7", "has the content of sha256:…".
  std::vector<std::string> names;  // That need it, sorted.
  std::vector<std::string> environments;  // "<project key>/<environment>", sorted.
  std::vector<std::string> images;        // Hex of their manifests' digests, sorted.
  std::vector<std::string> containers;    // "<id>", sorted.
  bool is_repaired = false;               // Is there again and good, or is not needed any more.
};

struct FsckReport {
  uint64_t objects = 0;  // Looked at.
  uint64_t trees = 0;
  uint64_t hashed_bytes = 0;
  std::vector<Damage> damages;             // By path.
  std::vector<std::string> removed_names;  // By a repair, sorted.
  uint64_t removed_roots = 0;
  uint64_t damaged_roots_in_use = 0;  // Left: stop what runs in them and check again.
  std::string refetch_error;          // Rendered; empty when all went well.

  bool is_clean() const;  // Nothing damaged, or all repaired.
};

/// Others may read and write the store meanwhile; gc waits. Errors: unavailable, denied (repair of
/// a read-only store). Damage is not an error but a result.
Result<FsckReport> check_store(const Store& store, const FsckOptions& options, os::Workers& workers,
                               Progress& progress);

}  // namespace kist::store
