// Where everything lies in a store, and what a folder of it is called. docs/formats/store.md.
#pragma once

#include <optional>
#include <string>
#include <string_view>

#include "base/result.h"
#include "oci/digest.h"

namespace kist::store {

inline constexpr std::string_view kObjectsFolder = "objects";
inline constexpr std::string_view kTreesFolder = "trees";
inline constexpr std::string_view kNamesFolder = "names";
inline constexpr std::string_view kRootsFolder = "roots";
inline constexpr std::string_view kStagingFolder = "staging";
inline constexpr std::string_view kProjectsFolder = "projects";
inline constexpr std::string_view kContainersFolder = "containers/ids";
inline constexpr std::string_view kImagesFolder = "images";
inline constexpr std::string_view kImageRecordsFolder = "images/records";
inline constexpr std::string_view kCacheFolder = "cache";
inline constexpr std::string_view kQuarantineFolder = "quarantine";
inline constexpr std::string_view kLockFile = "lock";
inline constexpr std::string_view kRecoveryLockFile = "recovery.lock";
inline constexpr std::string_view kVersionFile = "version";

/// The permission bits that an object with this mode in its tree has on disk. 07000 never sits in
/// a store, where a setuid file of root's would be one for every user of the machine; its owner may
/// always read it, since fsck and layers must.
constexpr uint32_t disk_mode(uint32_t mode) { return (mode & 0777) | 0400; }

/// Below objects/: "ab/<62 hex>", followed by ".755" for a mode other than 0644. A further inode of
/// the same, for when the first has no room for more links, ends in ".~1", ".~2" ….
std::string object_name(const oci::Digest& object, uint32_t mode);
struct ObjectName {
  oci::Digest digest;
  uint32_t mode;
  bool is_spare;
};
/// The reverse, for the file `file` in the shard `shard` ("ab"); empty when it is not an object.
std::optional<ObjectName> parse_object_name(std::string_view shard, std::string_view file);

/// Below trees/: "ab/<62 hex>".
std::string tree_name(const oci::Digest& tree);

/// "wheel/numpy-2.1.0": letters, digits, '.', '-', '_', '+' and '/'; no component is empty, starts
/// with '.' or is longer than 200 bytes. Errors: invalid.
Result<void> check_name(std::string_view name);

/// Makes all folders and, last, the version file. Harmless when two processes do it at once.
Result<void> make_layout(const std::string& home);
/// not_found: no store here. Errors: not_found, unsupported, corrupt.
Result<void> check_version(const std::string& home);

/// Tells whether two moments lie in the same run of the kernel, and so whether what was written in
/// the first is still seen in the second without having been synced. Empty when unknown.
std::string boot_id();

/// `what` failed with `err` below `home`; a full disk gets the free space and a hint.
Error disk_error(int err, const std::string& home, std::string_view what);

}  // namespace kist::store
