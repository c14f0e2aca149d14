#include "bundle/mount_calls.h"

#include <fcntl.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <sys/vfs.h>
#include <unistd.h>

#include <cerrno>
#include <climits>

#include "base/text.h"
#include "os/kernel.h"

namespace kist::bundle {
namespace {

namespace kernel = os::kernel;

constexpr int kMaxSteps = 100;  // Folders to make and dangling links to follow, in one path.
constexpr unsigned kEmptyPath = 0x1000;
constexpr unsigned kRecursive = 0x8000;

int open_how(const os::Fd& root, const std::string& path, int flags, bool no_links) {
  struct open_how how = {};
  how.flags = static_cast<uint64_t>(flags) | O_CLOEXEC;
  how.resolve = RESOLVE_IN_ROOT | RESOLVE_NO_MAGICLINKS | (no_links ? RESOLVE_NO_SYMLINKS : 0);
  long fd;
  do fd = ::syscall(SYS_openat2, root.get(), path.c_str(), &how, sizeof how);
  while (fd < 0 && (errno == EAGAIN || errno == EINTR));
  return static_cast<int>(fd);
}

std::string read_link_at(const os::Fd& folder, const std::string& name) {
  char text[PATH_MAX];
  const ssize_t got = ::readlinkat(folder.get(), name.c_str(), text, sizeof text);
  return got > 0 ? std::string(text, static_cast<size_t>(got)) : std::string();
}

Result<os::Fd> make_steps(const os::Fd& root, const std::string& path, bool folder, int& steps) {
  const int found = open_how(root, path, O_PATH, false);
  if (found >= 0) return os::Fd(found);
  if (errno != ENOENT) return Error::from_errno(errno, "open '{}' inside", printable(path));
  if (--steps < 0) return Error::from_errno(ELOOP, "create '{}' inside", printable(path));
  size_t end = path.size();
  while (end > 0 && path[end - 1] == '/') --end;
  const size_t slash = path.substr(0, end).rfind('/');
  const std::string above = slash == std::string::npos ? "" : path.substr(0, slash);
  const std::string name =
      path.substr(slash == std::string::npos ? 0 : slash + 1,
                  end - (slash == std::string::npos ? 0 : slash + 1));
  const os::Fd parent = TRY(make_steps(root, above.empty() ? "/" : above, true, steps));
  const int made = folder ? ::mkdirat(parent.get(), name.c_str(), 0755)
                          : ::mknodat(parent.get(), name.c_str(), S_IFREG | 0644, 0);
  if (made == 0) {
    os::Fd fd(::openat(parent.get(), name.c_str(), O_PATH | O_NOFOLLOW | O_CLOEXEC));
    if (!fd.is_open()) return Error::from_errno(errno, "open '{}' inside", printable(path));
    return fd;
  }
  if (errno != EEXIST) return Error::from_errno(errno, "create '{}' inside", printable(path));
  const std::string link = read_link_at(parent, name);
  if (link.empty()) return make_steps(root, path, folder, steps);  // Somebody else made it.
  return make_steps(root, link[0] == '/' ? link : above + "/" + link, folder, steps);
}

}  // namespace

Result<os::Fd> copy_mount(const os::Fd* folder, const std::string& path, bool recursive) {
  os::Fd tree(kernel::clone_tree(folder == nullptr ? AT_FDCWD : folder->get(), path.c_str(),
                                 recursive, path.empty() ? kEmptyPath : 0));
  if (!tree.is_open()) return Error::from_errno(errno, "open the mount of '{}'", printable(path));
  return tree;
}

Result<void> attach_mount(const os::Fd& tree, const os::Fd& target) {
  if (kernel::attach(tree.get(), target.get()) != 0) return Error::from_errno(errno, "mount");
  return {};
}

Result<void> change_mount(const os::Fd& mount, const mount_attr& change, bool recursive) {
  if (change.attr_set == 0 && change.attr_clr == 0 && change.propagation == 0) return {};
  if (::syscall(SYS_mount_setattr, mount.get(), "", kEmptyPath | (recursive ? kRecursive : 0),
                &change, sizeof change) != 0)
    return Error::from_errno(errno, "change the attributes of a mount");
  return {};
}

Result<void> set_propagation(const os::Fd& mount, unsigned long propagation) {
  mount_attr change = {};
  change.propagation = propagation & ~static_cast<unsigned long>(MS_REC);
  return change_mount(mount, change, (propagation & MS_REC) != 0);
}

Result<void> mount_on(const os::Fd& target, const std::string& type, const std::string& source,
                      unsigned long flags, const std::string& data) {
  if (::fchdir(target.get()) != 0) return Error::from_errno(errno, "enter the mount target");
  if (::mount(source.c_str(), ".", type.c_str(), flags, data.c_str()) != 0)
    return Error::from_errno(errno, "mount '{}' of type '{}' with '{}'", printable(source),
                             printable(type), printable(data));
  return {};
}

Result<os::Fd> open_inside(const os::Fd& root, const std::string& path, int flags, bool no_links) {
  os::Fd fd(open_how(root, path, flags, no_links));
  if (!fd.is_open()) return Error::from_errno(errno, "open '{}' inside", printable(path));
  return fd;
}

Result<os::Fd> make_inside(const os::Fd& root, const std::string& path, bool folder) {
  int steps = kMaxSteps;
  return make_steps(root, path, folder, steps);
}

bool is_folder(const os::Fd& fd) {
  struct stat st = {};
  return ::fstat(fd.get(), &st) == 0 && S_ISDIR(st.st_mode);
}

bool is_on(const os::Fd& fd, long magic) {
  struct statfs fs = {};
  return ::fstatfs(fd.get(), &fs) == 0 && fs.f_type == magic;
}

}  // namespace kist::bundle
