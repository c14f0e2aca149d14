// The calls that mounts inside a container are made of. All targets are descriptors, so that nothing
// which the root file system contains (or somebody swaps meanwhile) can lead a mount elsewhere.
#pragma once

#include <linux/mount.h>

#include <string>

#include "base/result.h"
#include "os/fd.h"

namespace kist::bundle {

/// A detached copy of the mount at `path`, relative to `folder` (null: the working directory; "":
/// the folder itself).
Result<os::Fd> copy_mount(const os::Fd* folder, const std::string& path, bool recursive);
Result<void> attach_mount(const os::Fd& tree, const os::Fd& target);
/// mount_setattr(2) on what `mount` is open on. Errors: also unsupported before Linux 5.12.
Result<void> change_mount(const os::Fd& mount, const mount_attr& change, bool recursive);
/// MS_PRIVATE, MS_SLAVE | MS_REC … on what `mount` is open on.
Result<void> set_propagation(const os::Fd& mount, unsigned long propagation);
/// mount(2) on the folder that `target` is open on; changes the working directory.
Result<void> mount_on(const os::Fd& target, const std::string& type, const std::string& source,
                      unsigned long flags, const std::string& data);

/// Opens `path` as if `root` were "/"; O_CLOEXEC is added. Links that jump to open files (those of
/// /proc) are refused. With `no_links` every link is.
Result<os::Fd> open_inside(const os::Fd& root, const std::string& path, int flags,
                           bool no_links = false);
/// O_PATH of `path` inside `root`, made as a folder or an empty file if missing. Links that dangle
/// are followed, inside.
Result<os::Fd> make_inside(const os::Fd& root, const std::string& path, bool folder);

bool is_folder(const os::Fd& fd);
/// Whether `fd` is on a file system with this magic number (PROC_SUPER_MAGIC …).
bool is_on(const os::Fd& fd, long magic);

}  // namespace kist::bundle
