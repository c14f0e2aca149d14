// What every entry of a tree must satisfy, shared by the reader of trees and by Tree::make. The
// limits are those of Linux file systems, so that every tree can become a root.
#pragma once

#include <cstddef>
#include <string_view>

#include "base/result.h"
#include "store/tree.h"

namespace kist::store {

inline constexpr size_t kMaxPathBytes = 4095;  // PATH_MAX without its NUL.
inline constexpr size_t kMaxNameBytes = 255;   // NAME_MAX.
inline constexpr size_t kMaxTargetBytes = 4095;
inline constexpr size_t kMaxXattrs = 64;           // Of one entry.
inline constexpr size_t kMaxXattrNameBytes = 255;  // XATTR_NAME_MAX.
inline constexpr size_t kMaxXattrBytes = 65536;    // XATTR_SIZE_MAX.
inline constexpr size_t kMaxEntries = 4'000'000;
inline constexpr uint64_t kMaxFileBytes = 1ull << 50;

/// How many leading bytes are equal.
size_t common_prefix(std::string_view a, std::string_view b);

/// `from`: bytes before it are known to be good (a shared prefix); 0 checks everything.
/// Errors: invalid.
Result<void> check_path(std::string_view path, size_t from = 0);

/// Everything but the path. Errors: invalid (the message names the path).
Result<void> check_fields(const Entry& entry);

/// "file", "folder", "symlink".
std::string_view kind_name(Kind kind);

}  // namespace kist::store
