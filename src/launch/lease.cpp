#include "launch/lease.h"

#include <sys/file.h>
#include <sys/stat.h>

#include "os/files.h"

namespace kist::launch {

os::Fd hold_lease(const std::string& lease_file) {
  auto fd = os::open_file(lease_file, O_RDONLY);
  if (!fd || ::flock(fd->get(), LOCK_SH | LOCK_NB) != 0) return os::Fd();
  // gc may have moved the root away between the two calls.
  struct stat ours = {};
  struct stat named = {};
  if (::fstat(fd->get(), &ours) != 0 || ::stat(lease_file.c_str(), &named) != 0 ||
      ours.st_ino != named.st_ino)
    return os::Fd();
  return std::move(*fd);
}

}  // namespace kist::launch
