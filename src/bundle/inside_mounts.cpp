// The mounts of the configuration, one after the other. The root is hostile: the image may hold links
// where a mount belongs, and a neighbour with a shared volume may swap them while we look. Every
// target is looked up once, inside the root, and mounted on by its descriptor.
#include <fcntl.h>
#include <linux/magic.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <sys/xattr.h>
#include <unistd.h>

#include <cerrno>

#include "base/text.h"
#include "bundle/inside.h"
#include "bundle/mount_calls.h"
#include "os/files.h"

namespace kist::bundle {
namespace {

Result<void> copy_entry(const os::Fd& from, const os::Fd& to, const std::string& name, int depth);

Result<void> copy_contents(const os::Fd& from, const os::Fd& to, int depth) {
  constexpr int kDeepest = 100;
  if (depth > kDeepest) return Error(Code::invalid, "more than {} folders deep", kDeepest);
  const std::vector<std::string> names =
      TRY(os::list_folder(fmt::format("/proc/self/fd/{}", from.get())));
  for (const std::string& name : names) TRY(copy_entry(from, to, name, depth));
  return {};
}

Result<void> copy_file(const os::Fd& from, const os::Fd& to, const std::string& name, mode_t mode) {
  const os::Fd source = TRY(os::open_at(from, name, O_RDONLY | O_NOFOLLOW));
  const os::Fd copy = TRY(os::open_at(to, name, O_WRONLY | O_CREAT | O_EXCL, mode & 07777));
  constexpr size_t kPart = 1 << 20;
  ssize_t got;
  while ((got = ::copy_file_range(source.get(), nullptr, copy.get(), nullptr, kPart, 0)) > 0) {
  }
  if (got == 0) return {};
  const std::string bytes = TRY(os::read_all(source));
  return os::write_all(copy, bytes);
}

Result<void> copy_entry(const os::Fd& from, const os::Fd& to, const std::string& name, int depth) {
  struct stat st = {};
  if (::fstatat(from.get(), name.c_str(), &st, AT_SYMLINK_NOFOLLOW) != 0)
    return Error::from_errno(errno, "look at '{}'", printable(name));
  if (S_ISDIR(st.st_mode)) {
    if (::mkdirat(to.get(), name.c_str(), 0700) != 0)
      return Error::from_errno(errno, "create '{}'", printable(name));
    const os::Fd source = TRY(os::open_at(from, name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW));
    const os::Fd copy = TRY(os::open_at(to, name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW));
    TRY(copy_contents(source, copy, depth + 1));
  } else if (S_ISLNK(st.st_mode)) {
    std::string link(static_cast<size_t>(st.st_size) + 1, '\0');
    const ssize_t got = ::readlinkat(from.get(), name.c_str(), link.data(), link.size());
    if (got < 0) return Error::from_errno(errno, "read the link '{}'", printable(name));
    link.resize(static_cast<size_t>(got));
    if (::symlinkat(link.c_str(), to.get(), name.c_str()) != 0)
      return Error::from_errno(errno, "create '{}'", printable(name));
  } else if (S_ISREG(st.st_mode)) {
    TRY(copy_file(from, to, name, st.st_mode));
  } else if (::mknodat(to.get(), name.c_str(), st.st_mode, st.st_rdev) != 0) {
    return Error::from_errno(errno, "create '{}'", printable(name));
  }
  if (::fchownat(to.get(), name.c_str(), st.st_uid, st.st_gid, AT_SYMLINK_NOFOLLOW) != 0)
    return Error::from_errno(errno, "change the owner of '{}'", printable(name));
  if (!S_ISLNK(st.st_mode) && ::fchmodat(to.get(), name.c_str(), st.st_mode & 07777, 0) != 0)
    return Error::from_errno(errno, "change the mode of '{}'", printable(name));
  return {};
}

Result<void> change_attributes(const os::Fd& mount, const MountOptions& options, bool recursive) {
  mount_attr change = {};
  change.attr_set = recursive ? options.recursive_set : options.attributes_set;
  change.attr_clr = recursive ? options.recursive_cleared : options.attributes_cleared;
  // The kernel wants the whole field of access times cleared where it sets one.
  return change_mount(mount, change, recursive);
}

Result<void> set_propagations(const os::Fd& mount, const MountOptions& options) {
  for (const unsigned long propagation : options.propagation)
    TRY(set_propagation(mount, propagation));
  return {};
}

// runc's: a path that begins with the root's own is meant to be inside.
std::string destination_of(const InitPlan& plan, const Mount& mount) {
  const bool doubled = plan.root.size() > 1 && mount.destination.starts_with(plan.root + "/");
  return doubled ? mount.destination.substr(plan.root.size()) : mount.destination;
}

Result<void> bind(const InitPlan& plan, const os::Fd& root, size_t index) {
  const Mount& mount = plan.spec->mounts[index];
  os::Fd copied;
  const os::Fd* tree = &plan.sources[index];
  if (!tree->is_open()) {
    // Without privilege over the host's mounts the kernel refuses to show what they cover.
    const bool recursive = mount.options.recursive || plan.user_namespace;
    copied = TRY(copy_mount(nullptr, source_path(plan.options->bundle, mount), recursive));
    tree = &copied;
  }
  TRY(change_attributes(*tree, mount.options, false));
  TRY(change_attributes(*tree, mount.options, true));
  TRY(set_propagations(*tree, mount.options));
  const os::Fd target = TRY(make_inside(root, destination_of(plan, mount), is_folder(*tree)));
  return attach_mount(*tree, target);
}

Result<void> remount(const os::Fd& root, const Mount& mount) {
  const os::Fd target = TRY(open_inside(root, mount.destination, O_PATH));
  if (mount.options.bind) {
    TRY(change_attributes(target, mount.options, false));
    TRY(change_attributes(target, mount.options, true));
    return set_propagations(target, mount.options);
  }
  if (::fchdir(target.get()) != 0) return Error::from_errno(errno, "enter the mount target");
  if (::mount(nullptr, ".", nullptr, mount.options.flags | MS_REMOUNT, mount.options.data.c_str()) !=
      0)
    return Error::from_errno(errno, "mount again");
  return set_propagations(target, mount.options);
}

bool is_kernel_type(const std::string& type) { return type == "proc" || type == "sysfs"; }

// The folders that the kernel fills: never through a link, or the image could say where /proc is,
// and what is written there would land elsewhere.
Result<os::Fd> open_target(const os::Fd& root, const Mount& mount) {
  if (!is_kernel_type(mount.type)) return make_inside(root, mount.destination, true);
  auto found = open_inside(root, mount.destination, O_PATH, true);
  if (!found && found.error().code() == Code::not_found) {
    TRY(make_inside(root, mount.destination, true));
    found = open_inside(root, mount.destination, O_PATH, true);
  }
  if (!found || !is_folder(*found))
    return Error(Code::denied, "{} must be mounted on ordinary directory, not through a link",
                 mount.type);
  return found;
}

bool is_selinux_on() { return os::exists("/sys/fs/selinux/enforce"); }

std::string data_of(const InitPlan& plan, const Mount& mount) {
  std::string data = mount.options.data;
  const std::string& label = plan.spec->mount_label;
  const bool labelled = mount.type == "tmpfs" || mount.type == "mqueue" || mount.type == "devpts";
  if (!label.empty() && labelled && is_selinux_on())
    data += fmt::format("{}context=\"{}\"", data.empty() ? "" : ",", label);
  return data;
}

// A sysfs of its own needs a network namespace of its own: else the host's is shown, read-only.
Result<void> mount_host_sysfs(const InitPlan& plan, const os::Fd& target) {
  const os::Fd tree = TRY(copy_mount(nullptr, "/sys", true));
  mount_attr change = {};
  change.attr_set = MOUNT_ATTR_RDONLY | MOUNT_ATTR_NOSUID | MOUNT_ATTR_NODEV | MOUNT_ATTR_NOEXEC;
  TRY(change_mount(tree, change, true));
  TRY(set_propagation(tree, plan.user_namespace ? MS_SLAVE | MS_REC : MS_PRIVATE | MS_REC));
  return attach_mount(tree, target);
}

Result<void> set_mode(const os::Fd& root, const std::string& path, mode_t mode) {
  const os::Fd top = TRY(open_inside(root, path, O_RDONLY | O_DIRECTORY));
  if (::fchmod(top.get(), mode & 07777) == 0) return {};
  return Error::from_errno(errno, "copy the mode of '{}'", printable(path));
}

// The empty folder's contents, mode and owner are what it covers.
Result<void> copy_up(const os::Fd& root, const Mount& mount, const os::Fd& covered) {
  struct stat st = {};
  const os::Fd top = TRY(open_inside(root, mount.destination, O_RDONLY | O_DIRECTORY));
  if (::fstat(covered.get(), &st) == 0 && mount.options.data.find("mode=") == std::string::npos &&
      (::fchmod(top.get(), st.st_mode & 07777) != 0 || ::fchown(top.get(), st.st_uid, st.st_gid) != 0))
    return Error::from_errno(errno, "copy the mode of '{}'", printable(mount.destination));
  return copy_contents(covered, top, 0);
}

Result<void> mount_new(const InitPlan& plan, const os::Fd& root, const Mount& mount) {
  const bool keeps_mode = mount.type == "tmpfs" && !mount.options.copy_up && mount.options.data.find("mode=") == std::string::npos;
  // As runc: a folder that was there keeps its mode, one that is made for the mount has the usual one.
  const auto before = keeps_mode ? open_inside(root, mount.destination, O_PATH) : Result<os::Fd>(os::Fd());
  struct stat kept = {};
  const bool has_mode = keeps_mode && before && ::fstat(before->get(), &kept) == 0;
  const os::Fd target = TRY(open_target(root, mount));
  os::Fd covered;
  if (mount.options.copy_up && mount.type == "tmpfs")
    covered = TRY(open_inside(root, mount.destination, O_RDONLY | O_DIRECTORY));
  unsigned long flags = mount.options.flags;
  // A read-only tmpfs still gets its folders and devices: see protect_mounts.
  if (mount.type == "tmpfs") flags &= ~static_cast<unsigned long>(MS_RDONLY);
  const Result<void> mounted =
      mount_on(target, mount.type, mount.source.empty() ? mount.type : mount.source, flags,
               data_of(plan, mount));
  if (!mounted) {
    if (mount.type == "sysfs" && plan.user_namespace) return mount_host_sysfs(plan, target);
    // Not every kernel has POSIX message queues.
    if (mount.type == "mqueue" && !os::exists("/proc/sys/fs/mqueue")) return {};
    return mounted.error();
  }
  const os::Fd fresh = TRY(open_inside(root, mount.destination, O_PATH));
  if (covered.is_open()) TRY(copy_up(root, mount, covered), "copying what '{}' covers", printable(mount.destination));
  if (has_mode) TRY(set_mode(root, mount.destination, kept.st_mode));
  TRY(change_attributes(fresh, mount.options, true));
  return set_propagations(fresh, mount.options);
}

Result<void> mount_one(const InitPlan& plan, const os::Fd& root, size_t index) {
  const Mount& mount = plan.spec->mounts[index];
  if (mount.options.remount) return remount(root, mount);
  if (mount.options.bind) return bind(plan, root, index);
  if (mount.type == "cgroup" || mount.type == "cgroup2") return mount_cgroups(plan, root, mount);
  return mount_new(plan, root, mount);
}

}  // namespace

Result<void> mount_all(const InitPlan& plan, const os::Fd& root) {
  const std::vector<Mount>& mounts = plan.spec->mounts;
  for (size_t i = 0; i < mounts.size(); ++i)
    TRY(mount_one(plan, root, i), "mounts[{}]: {} '{}' on '{}'", i,
        mounts[i].options.bind ? "bind" : mounts[i].type, printable(mounts[i].source),
        printable(mounts[i].destination));
  return {};
}

Result<void> protect_mounts(const InitPlan& plan, const os::Fd& root) {
  mount_attr read_only = {};
  read_only.attr_set = MOUNT_ATTR_RDONLY;
  for (const Mount& mount : plan.spec->mounts) {
    if (mount.type != "tmpfs" || (mount.options.flags & MS_RDONLY) == 0 || mount.options.bind ||
        mount.options.remount)
      continue;
    const os::Fd top = TRY(open_inside(root, mount.destination, O_PATH));
    TRY(change_mount(top, read_only, false), "making '{}' read-only", printable(mount.destination));
  }
  if (plan.spec->root_read_only) TRY(change_mount(root, read_only, false), "making the root read-only");
  return {};
}

}  // namespace kist::bundle
