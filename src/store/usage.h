// What the disk is used for: du.
#pragma once

#include <cstdint>
#include <span>
#include <string>
#include <vector>

#include "store/store.h"

namespace kist::store {

/// Something that needs trees: a package by its name, or an environment of a project.
struct UsageItem {
  std::string name;
  std::vector<oci::Digest> trees;
};

struct Usage {
  std::string name;
  uint64_t files = 0;
  uint64_t apparent_bytes = 0;  // Sum of the sizes of all its files, as a program sees them.
  uint64_t unique_bytes = 0;    // Of contents that no other item has: what removing it would free.
  uint64_t shared_bytes = 0;    // Of its contents that others have too, each counted once.
};

/// One for each item, in the same order; "others" are the other items given, so packages are
/// compared with packages and environments with environments. A tree that is gone counts nothing.
/// Errors: corrupt.
Result<std::vector<Usage>> measure_usage(const Store& store, std::span<const UsageItem> items);

/// Items for all names that begin so ("wheel/", "deb/").
Result<std::vector<UsageItem>> named_items(const Store& store, std::string_view prefix);
/// Items for all environments of projects: "<key>/<environment>".
Result<std::vector<UsageItem>> environment_items(const Store& store);

/// Bytes on the disk, each inode once.
struct StoreSize {
  uint64_t objects = 0;
  uint64_t object_bytes = 0;
  uint64_t trees = 0;
  uint64_t tree_bytes = 0;
  uint64_t roots = 0;
  uint64_t root_bytes = 0;   // What roots take beyond the objects that they link.
  uint64_t other_bytes = 0;  // Unfinished writes and quarantine.
};
Result<StoreSize> measure_store(const Store& store);

}  // namespace kist::store
