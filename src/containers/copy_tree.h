// Trees of files from one folder into another, both held by descriptors: what an image has where a
// volume is mounted, and `kist cp`.
//
// Either side may be hostile and may change meanwhile: no link is followed, nothing is opened but what
// was looked at, depth is bounded. Blocks. Threads: any.
#pragma once

#include <sys/types.h>

#include <optional>
#include <string>

#include "base/result.h"
#include "os/fd.h"

namespace kist::containers {

struct CopyOptions {
  /// Of all that is made; none: as the source has them, where we may.
  std::optional<std::pair<uid_t, gid_t>> owner;
  bool hard_links = true;       // Keep files of one inode together. Only into a folder nobody else sees.
  bool overwrite = false;       // Files and links that are there are replaced, folders entered.
  bool devices = true;          // Devices, FIFOs and sockets; else passed over.
};

/// All that is in `from`, into `to`; also mode, owner, times and attributes of the top itself, if
/// `top` says so. Errors: invalid (deeper than 300 folders), exists (a folder where a file is, or the
/// reverse), denied, unavailable.
Result<void> copy_contents(const os::Fd& from, const os::Fd& to, const CopyOptions& options, bool top);
/// What `source` (O_PATH; also a link) is, as `name` in `to`.
Result<void> copy_object(const os::Fd& source, const os::Fd& to, const std::string& name, const CopyOptions& options);

}  // namespace kist::containers
