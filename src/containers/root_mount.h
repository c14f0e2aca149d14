// The root of a container, mounted: a writable overlay over what a store shows of an image.
#pragma once

#include <string>

#include "base/result.h"
#include "os/fd.h"
#include "runtime/container.h"

namespace kist::containers {

struct RootMount {
  runtime::RootSource source;
  std::string upper;  // Folder of the host for what is written; empty: memory.
  std::string work;   // Beside it.
  bool in_user_namespace = false;
  /// A folder that nobody looks into, for the mounts that it is made of. They stay, for a mount namespace
  /// whose mounts all go together soon. Empty: /proc is covered for a moment instead.
  std::string place;
};

/// Called in a mount namespace of its own, with all capabilities over it; leaves no mount behind but
/// those in `place` and the one that it returns, which is attached nowhere.
/// Errors: not_found, unsupported (Linux before 6.12 for an EROFS image, 6.7 for folders).
Result<os::Fd> mount_root(const RootMount& root);
/// The same without what is written: the image alone, read-only.
Result<os::Fd> mount_image(const RootMount& root);

}  // namespace kist::containers
