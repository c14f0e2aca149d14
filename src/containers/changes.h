// What a container changed of its image.
#pragma once

#include <string>
#include <vector>

#include "containers/files.h"

namespace kist::containers {

struct Change {
  char kind;         // As docker: 'A' added, 'C' changed, 'D' deleted.
  std::string path;  // "/etc/hosts"
  bool operator==(const Change&) const = default;
};

/// Sorted by path, folders before what is in them. A folder is changed when something in it is. What the
/// runtime put there as a place to mount on (/etc/hosts, /dev …) is none.
///
/// Looks where overlayfs has written; where it cannot say what (a folder that was renamed, or replaced),
/// and where what was written is in memory, it compares with the image.
/// Errors: invalid (deeper than 300 folders), denied.
Result<std::vector<Change>> changes_of(const ContainerFiles& files);

/// The same over three folders: for tests. `upper` null: compare all.
Result<std::vector<Change>> find_changes(const os::Fd& image, const os::Fd& root, const os::Fd* upper);

}  // namespace kist::containers
