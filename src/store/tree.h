// A tree: what installing a package gives, as data. Trees merge into trees; a tree becomes a root
// (root.h) to run in and layers (layer.h) to ship. docs/formats/tree.md describes the bytes.
#pragma once

#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "base/result.h"
#include "oci/digest.h"

namespace kist::store {

/// 1980-01-01T00:00:00Z, the time of everything that kist assembles: a constant, so that equal
/// content is equal bytes, and not 0, because Python's zipfile refuses what is older than 1980.
inline constexpr int64_t kTreeTime = 315532800;

enum class Kind : uint8_t { folder = 1, file = 2, symlink = 3 };

struct Entry {
  std::string path;  // Relative to the root, "usr/bin/env": no leading, trailing or double slash,
                     // no "." or "..", no NUL; any other byte may occur. The root itself has none.
  Kind kind = Kind::file;
  uint32_t mode = 0644;  // Permission bits, 0 to 07777. 0777 for symlinks.
  uint32_t uid = 0;
  uint32_t gid = 0;
  int64_t mtime_s = kTreeTime;
  std::string target;                                       // Symlinks only; not empty.
  std::optional<oci::Digest> object;                        // Files only.
  uint64_t size_bytes = 0;                                  // Files only: the length of the object.
  std::vector<std::pair<std::string, std::string>> xattrs;  // Sorted by name.

  bool operator==(const Entry&) const = default;
};

/// Orders paths so that a folder comes before what is in it and a subtree is contiguous: bytewise,
/// with '/' before every other byte.
bool path_less(std::string_view a, std::string_view b);

/// A sorted list of entries, each path once, each parent present and a folder. A value: immutable.
class Tree {
 public:
  Tree() = default;

  /// Sorts and checks; adds missing parent folders with mode 0755.
  /// Errors: invalid (a bad path, a path twice with different entries, a file used as a folder).
  static Result<Tree> make(std::vector<Entry> entries);
  /// Reads what encode() wrote. Hostile bytes are refused: counts, lengths, order and paths are
  /// checked. Errors: corrupt, unsupported (a later version).
  static Result<Tree> decode(std::string_view bytes);

  std::string encode() const;
  /// sha256 of encode().
  oci::Digest digest() const;
  const std::vector<Entry>& entries() const { return entries_; }
  bool empty() const { return entries_.empty(); }
  /// Null when there is no such path.
  const Entry* find(std::string_view path) const;
  /// Sum of the sizes of all files.
  uint64_t size_bytes() const;

 private:
  std::vector<Entry> entries_;
};

/// One part of a merge; `name` is for messages ("numpy 2.1.0").
struct Part {
  std::string name;
  const Tree* tree;
};

/// A path at which two parts disagree.
struct Conflict {
  std::string path;
  std::string first;
  std::string second;
};

/// Everything of all parts in one tree. Equal entries merge; folders merge and keep the mode of the
/// first part. A real difference is a conflict, and all of them are found, in path order.
/// Errors: exists (the message names path and both parts of the first conflict, and how many more).
Result<Tree> merge(std::span<const Part> parts);
std::vector<Conflict> find_conflicts(std::span<const Part> parts);

/// How to get from one tree to another.
struct Change {
  enum class What { added, removed, changed };
  What what;
  const Entry* before;  // Null when added.
  const Entry* after;   // Null when removed.
};
/// In path order. Points into both trees.
std::vector<Change> diff(const Tree& before, const Tree& after);

}  // namespace kist::store
