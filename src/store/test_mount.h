// Mounts roots for tests, without giving them a place: a detached mount is read through its
// descriptor and is gone when that is closed.
#pragma once

#include <dirent.h>
#include <sys/mount.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <sys/xattr.h>
#include <unistd.h>

#include <algorithm>
#include <cstring>
#include <functional>

#include "base/text.h"
#include "os/files.h"
#include "store/root.h"

namespace kist::store {

inline Result<void> configure(const os::Fd& fs, const char* key, const char* value) {
  const unsigned command = value != nullptr ? FSCONFIG_SET_STRING : FSCONFIG_SET_FLAG;
  if (::fsconfig(fs.get(), command, key, value, 0) != 0)
    return Error::from_errno(errno, "fsconfig {}", key);
  return {};
}

inline Result<void> configure(const os::Fd& fs, const char* key, const os::Fd& fd) {
  if (::fsconfig(fs.get(), FSCONFIG_SET_FD, key, nullptr, fd.get()) != 0)
    return Error::from_errno(errno, "fsconfig {} by descriptor", key);
  return {};
}

inline Result<os::Fd> finish_mount(const os::Fd& fs) {
  if (::fsconfig(fs.get(), FSCONFIG_CMD_CREATE, nullptr, nullptr, 0) != 0)
    return Error::from_errno(errno, "fsconfig create");
  os::Fd mount(::fsmount(fs.get(), FSMOUNT_CLOEXEC, MOUNT_ATTR_RDONLY));
  if (!mount.is_open()) return Error::from_errno(errno, "fsmount");
  return mount;
}

inline Result<os::Fd> open_fs(const char* type) {
  os::Fd fs(::fsopen(type, FSOPEN_CLOEXEC));
  if (!fs.is_open()) return Error::from_errno(errno, "fsopen {}", type);
  return fs;
}

inline Result<os::Fd> mount_root(const Root& root) {
  const os::Fd overlay = TRY(open_fs("overlay"));
  if (!root.erofs_image.empty()) {
    const os::Fd erofs = TRY(open_fs("erofs"));
    TRY(configure(erofs, "source", root.erofs_image.c_str()));
    const os::Fd image = TRY(finish_mount(erofs));
    const os::Fd objects = TRY(os::open_file(root.objects, O_PATH | O_DIRECTORY));
    TRY(configure(overlay, "metacopy", "on"));
    TRY(configure(overlay, "redirect_dir", "on"));
    TRY(configure(overlay, "lowerdir+", image));
    TRY(configure(overlay, "datadir+", objects));
    return TRY(finish_mount(overlay));
  }
  TRY(configure(overlay, "userxattr", nullptr));
  for (const std::string& path : root.lowers) {
    const os::Fd lower = TRY(os::open_file(path, O_PATH | O_DIRECTORY));
    TRY(configure(overlay, "lowerdir+", lower));
  }
  // overlayfs wants two layers when there is no upper.
  if (root.lowers.size() == 1) {
    const std::string empty = os::join(root.folder, "empty-for-test");
    TRY(os::make_folders(empty));
    const os::Fd lower = TRY(os::open_file(empty, O_PATH | O_DIRECTORY));
    TRY(configure(overlay, "lowerdir+", lower));
  }
  return TRY(finish_mount(overlay));
}

/// Why EROFS cannot be mounted from a file of this store; empty: it can.
inline std::string no_erofs_because(const Root& root) {
  const auto mounted = mount_root(root);
  if (mounted.has_value()) return "";
  const std::string said = mounted.error().message();
  if (said.find("fsopen erofs") != std::string::npos) return "this kernel has no EROFS";
  if (said.find("Block device required") != std::string::npos ||
      said.find("not supported") != std::string::npos)
    return "EROFS cannot be mounted from a file here (Linux 6.12 on a disk file system can): " + said;
  return "";
}

/// A line for each entry: all that a program can see of it and that both variants promise.
inline void list_into(const os::Fd& folder, const std::string& above, std::string& out) {
  const os::Fd fd(::openat(folder.get(), ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC));
  std::vector<std::string> names;
  DIR* const dir = ::fdopendir(::dup(fd.get()));
  while (const dirent* entry = ::readdir(dir)) {
    const std::string_view name = entry->d_name;
    if (name != "." && name != "..") names.emplace_back(name);
  }
  ::closedir(dir);
  std::sort(names.begin(), names.end());
  for (const std::string& name : names) {
    struct stat st = {};
    EXPECT_EQ(::fstatat(folder.get(), name.c_str(), &st, AT_SYMLINK_NOFOLLOW), 0) << name;
    out += fmt::format("{}{} {:o}", above, name, st.st_mode);
    if (S_ISLNK(st.st_mode)) {
      std::string target(5000, '\0');
      const ssize_t got = ::readlinkat(folder.get(), name.c_str(), target.data(), target.size());
      target.resize(static_cast<size_t>(std::max<ssize_t>(got, 0)));
      out += fmt::format(" size {} time {} -> {}\n", st.st_size, st.st_mtim.tv_sec, target);
      continue;
    }
    const os::Fd child(::openat(folder.get(), name.c_str(), O_RDONLY | O_NOFOLLOW | O_CLOEXEC));
    EXPECT_TRUE(child.is_open()) << above << name << ": " << std::strerror(errno);
    if (!child.is_open()) continue;
    if (S_ISREG(st.st_mode)) {
      const std::string bytes = must(os::read_all(child));
      EXPECT_EQ(bytes.size(), static_cast<size_t>(st.st_size)) << name;
      out += fmt::format(" size {} {}", st.st_size, oci::Sha256::of(bytes).hex());
    } else {
      out += fmt::format(" time {}", st.st_mtim.tv_sec);
    }
    std::string attributes(100'000, '\0');
    const ssize_t got = ::flistxattr(child.get(), attributes.data(), attributes.size());
    attributes.resize(static_cast<size_t>(std::max<ssize_t>(got, 0)));
    std::vector<std::string> shown;
    for (size_t at = 0; at < attributes.size(); at = attributes.find('\0', at) + 1) {
      const std::string key = attributes.c_str() + at;
      std::string value(70'000, '\0');
      const ssize_t length = ::fgetxattr(child.get(), key.c_str(), value.data(), value.size());
      value.resize(static_cast<size_t>(std::max<ssize_t>(length, 0)));
      shown.push_back(fmt::format(" {}={}", key, oci::Sha256::of(value).hex().substr(0, 8)));
    }
    std::sort(shown.begin(), shown.end());
    for (const std::string& line : shown) out += line;
    out += '\n';
    if (S_ISDIR(st.st_mode)) list_into(child, above + name + "/", out);
  }
}

/// The first lines in which two listings differ, shortened; empty when they are equal.
inline std::string difference(const std::string& got, const std::string& wanted) {
  std::string out;
  std::vector<std::string_view> sides[2] = {lines(got), lines(wanted)};
  const auto only_in = [&](int side, const char* mark) {
    int shown = 0;
    for (const std::string_view line : sides[side]) {
      const auto& other = sides[1 - side];
      if (std::find(other.begin(), other.end(), line) == other.end() && ++shown <= 5)
        out += fmt::format("{} {}\n", mark, printable(line, 400));
    }
  };
  only_in(0, "got");
  only_in(1, "wanted");
  return out.empty() && got != wanted ? "another order" : out;
}

/// Runs `work` in a child, as another user if `uid` is not 0, in which it may call
/// enter_user_namespace(), and returns what it returned.
inline std::string in_child(uid_t uid, const std::function<std::string()>& work) {
  int ends[2];
  EXPECT_EQ(::pipe(ends), 0);
  const pid_t pid = ::fork();
  if (pid == 0) {
    ::close(ends[0]);
    if (uid != 0 && (::setresgid(uid, uid, uid) != 0 || ::setresuid(uid, uid, uid) != 0))
      ::_exit(9);
    // Changing the user made /proc/self root's; a program that is executed gets its own again.
    ::prctl(PR_SET_DUMPABLE, 1);
    const std::string text = work();
    (void)os::write_all(os::Fd(ends[1]), text).has_value();
    ::_exit(testing::Test::HasFailure() ? 1 : 0);
  }
  ::close(ends[1]);
  std::string text = must(os::read_all(os::Fd(ends[0])));
  int status = 0;
  ::waitpid(pid, &status, 0);
  EXPECT_EQ(status, 0);
  return text;
}

inline Result<void> enter_user_namespace() {
  const uid_t uid = ::getuid();
  const gid_t gid = ::getgid();
  if (::unshare(CLONE_NEWUSER | CLONE_NEWNS) != 0) return Error::from_errno(errno, "unshare");
  const auto write = [](const char* path, const std::string& text) -> Result<void> {
    const os::Fd fd = TRY(os::open_file(path, O_WRONLY));
    return os::write_all(fd, text);
  };
  TRY(write("/proc/self/setgroups", "deny"));
  TRY(write("/proc/self/uid_map", fmt::format("{} {} 1", uid, uid)));
  return write("/proc/self/gid_map", fmt::format("{} {} 1", gid, gid));
}

}  // namespace kist::store
