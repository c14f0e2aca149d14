// System calls that libc does not wrap, as plain functions that set errno. None allocates or takes
// a lock, so all may be used between clone and exec, where a Result cannot be made.
#pragma once

#include <fcntl.h>
#include <linux/capability.h>
#include <linux/mount.h>
#include <linux/openat2.h>
#include <linux/sched.h>
#include <linux/seccomp.h>
#include <sys/syscall.h>
#include <sys/types.h>
#include <unistd.h>

#include <cerrno>
#include <cstdint>

namespace kist::os::kernel {

inline pid_t clone3(clone_args& args) {
  return static_cast<pid_t>(::syscall(SYS_clone3, &args, sizeof args));
}

inline int pivot_root(const char* new_root, const char* put_old) {
  return static_cast<int>(::syscall(SYS_pivot_root, new_root, put_old));
}

/// Resolves `path` as if `root` were "/": no link and no ".." leads out, and links of /proc that
/// jump to an open file are refused. Retries when a rename raced with the walk.
inline int open_in_root(int root, const char* path, uint64_t flags, mode_t mode = 0) {
  open_how how = {};
  how.flags = flags | O_CLOEXEC;
  how.mode = mode;
  how.resolve = RESOLVE_IN_ROOT | RESOLVE_NO_MAGICLINKS;
  long fd;
  do fd = ::syscall(SYS_openat2, root, path, &how, sizeof how);
  while (fd < 0 && errno == EAGAIN);
  return static_cast<int>(fd);
}

inline int fsopen(const char* type) {
  return static_cast<int>(::syscall(SYS_fsopen, type, FSOPEN_CLOEXEC));
}
inline int fsconfig_string(int context, const char* key, const char* value) {
  return static_cast<int>(::syscall(SYS_fsconfig, context, FSCONFIG_SET_STRING, key, value, 0));
}
inline int fsconfig_flag(int context, const char* key) {
  return static_cast<int>(::syscall(SYS_fsconfig, context, FSCONFIG_SET_FLAG, key, nullptr, 0));
}
inline int fsconfig_create(int context) {
  return static_cast<int>(
      ::syscall(SYS_fsconfig, context, FSCONFIG_CMD_CREATE, nullptr, nullptr, 0));
}
inline int fsmount(int context, unsigned attributes = 0) {
  return static_cast<int>(::syscall(SYS_fsmount, context, FSMOUNT_CLOEXEC, attributes));
}
/// A detached copy of the mount at `path`; `recursive` brings what is mounted below it.
inline int clone_tree(int folder, const char* path, bool recursive, unsigned at_flags = 0) {
  constexpr unsigned kRecursive = 0x8000;  // AT_RECURSIVE
  const unsigned flags =
      OPEN_TREE_CLONE | OPEN_TREE_CLOEXEC | at_flags | (recursive ? kRecursive : 0);
  return static_cast<int>(::syscall(SYS_open_tree, folder, path, flags));
}
/// Attaches the detached mount `tree` on what `target` is open on.
inline int attach(int tree, int target) {
  return static_cast<int>(::syscall(SYS_move_mount, tree, "", target, "",
                                    MOVE_MOUNT_F_EMPTY_PATH | MOVE_MOUNT_T_EMPTY_PATH));
}
inline int set_mount_attributes(int folder, const char* path, uint64_t attributes, bool recursive) {
  mount_attr wanted = {};
  wanted.attr_set = attributes;
  const unsigned flags = (*path == '\0' ? 0x1000u : 0u) | (recursive ? 0x8000u : 0u);
  return static_cast<int>(
      ::syscall(SYS_mount_setattr, folder, path, flags, &wanted, sizeof wanted));
}

inline int close_range(unsigned first, unsigned last, unsigned flags) {
  return static_cast<int>(::syscall(SYS_close_range, first, last, flags));
}

/// Sets the effective and permitted sets to `bits` and the inheritable set to nothing.
inline int set_capabilities(uint64_t bits) {
  __user_cap_header_struct header = {_LINUX_CAPABILITY_VERSION_3, 0};
  __user_cap_data_struct data[2] = {};
  for (int i = 0; i < 2; ++i) {
    data[i].effective = static_cast<uint32_t>(bits >> (32 * i));
    data[i].permitted = data[i].effective;
  }
  return static_cast<int>(::syscall(SYS_capset, &header, data));
}

/// The permitted set.
inline uint64_t capabilities() {
  __user_cap_header_struct header = {_LINUX_CAPABILITY_VERSION_3, 0};
  __user_cap_data_struct data[2] = {};
  if (::syscall(SYS_capget, &header, data) != 0) return 0;
  return data[0].permitted | static_cast<uint64_t>(data[1].permitted) << 32;
}

}  // namespace kist::os::kernel
