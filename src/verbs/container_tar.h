// Files of a container as a tar, and the reverse. What is read may change meanwhile and may be hostile: no
// link is followed out of the container's root.
#pragma once

#include <functional>
#include <map>
#include <string>

#include "archive/tar_writer.h"
#include "containers/changes.h"

namespace kist::verbs {

/// Writes what a container has into a tar, in the order of names, each inode once.
class ContainerTar {
 public:
  /// Both must outlive this.
  ContainerTar(archive::TarWriter& tar, const os::Fd& root) : tar_(tar), root_(root) {}

  /// `source` (O_PATH) as `path`; a folder with all that is in it. Sockets are passed over.
  Result<void> add_tree(const os::Fd& source, const std::string& path);
  /// The contents of a folder, with `prefix` before each name.
  Result<void> add_contents(const os::Fd& folder, const std::string& prefix, int depth = 0);
  /// What changed, as a layer of an image says it.
  Result<void> add_changes(const std::vector<containers::Change>& changes);

 private:
  Result<void> add(const os::Fd& source, const std::string& path, int depth, bool whole);
  archive::TarWriter& tar_;
  const os::Fd& root_;
  std::map<std::pair<dev_t, ino_t>, std::string> written_;
};

/// Takes a tar apart into the folder `target` of a container; what is there is replaced.
/// `keep_owners`: else all belongs to root. Errors: corrupt, invalid, denied.
Result<void> unpack_into(const os::Fd& root, const std::string& target, archive::TarReader& tar, bool keep_owners);

}  // namespace kist::verbs
