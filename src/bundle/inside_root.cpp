// The root. It is attached on top of "/" itself: a process whose root is the mount below does not see
// what is stacked on it, so every path of the host still means what it meant until pivot_root lifts
// the new root off and puts it under.
#include <fcntl.h>
#include <linux/magic.h>
#include <linux/sched.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>

#include "base/text.h"
#include "bundle/cgroup_host.h"
#include "bundle/inside.h"
#include "bundle/mount_calls.h"
#include "os/files.h"
#include "os/kernel.h"

namespace kist::bundle {
namespace {

Result<void> propagate(unsigned long flags) {
  if (::mount(nullptr, "/", nullptr, flags, nullptr) != 0)
    return Error::from_errno(errno, "set the propagation of the mounts");
  return {};
}

// /dev/null of the host, looked at: one that the image brings along may be anything.
Result<os::Fd> host_null() {
  os::Fd tree = TRY(copy_mount(nullptr, "/dev/null", false));
  struct stat st = {};
  if (::fstat(tree.get(), &st) != 0 || !S_ISCHR(st.st_mode) || st.st_rdev != makedev(1, 3))
    return Error(Code::denied, "the host's /dev/null is not the null device");
  return tree;
}

// For folders: an empty one. One tmpfs serves all.
class EmptyFolder {
 public:
  Result<os::Fd> tree() {
    if (first_.is_open()) return copy_mount(&first_, "", false);
    const os::Fd context(os::kernel::fsopen("tmpfs"));
    if (!context.is_open()) return Error::from_errno(errno, "open a tmpfs");
    if (os::kernel::fsconfig_string(context.get(), "mode", "0755") != 0 ||
        os::kernel::fsconfig_string(context.get(), "nr_blocks", "1") != 0 ||
        os::kernel::fsconfig_create(context.get()) != 0)
      return Error::from_errno(errno, "mount a tmpfs");
    constexpr unsigned kAttributes =
        MOUNT_ATTR_RDONLY | MOUNT_ATTR_NOSUID | MOUNT_ATTR_NODEV | MOUNT_ATTR_NOEXEC;
    first_ = os::Fd(os::kernel::fsmount(context.get(), kAttributes));
    if (!first_.is_open()) return Error::from_errno(errno, "mount a tmpfs");
    return os::Fd(::fcntl(first_.get(), F_DUPFD_CLOEXEC, 0));
  }

 private:
  os::Fd first_;
};

// What is below /proc must be on a procfs: a neighbour with a shared volume could swap the folder
// for another, and the real one would stay in sight. Empty: there is no such path, or it cannot be.
Result<std::optional<os::Fd>> open_protected(const os::Fd& root, const std::string& path) {
  auto target = open_inside(root, path, O_PATH);
  if (!target) {
    // A user without privileges may not look into some of these; neither may the container then.
    if (target.error().code() == Code::not_found || target.error().code() == Code::denied)
      return std::optional<os::Fd>();
    return std::move(target).error();
  }
  if (path.starts_with("/proc/")) {
    const auto proc = open_inside(root, "/proc", O_PATH, true);
    if (!proc || (is_on(*proc, PROC_SUPER_MAGIC) && !is_on(*target, PROC_SUPER_MAGIC)))
      return Error(Code::denied, "'{}' leads away from /proc", printable(path));
  }
  return std::optional<os::Fd>(std::move(*target));
}

Result<void> hide(const os::Fd& root, const std::string& path, EmptyFolder& empty) {
  const std::optional<os::Fd> target = TRY(open_protected(root, path));
  if (!target) return {};
  if (!is_folder(*target)) {
    const os::Fd null = TRY(host_null());
    // It is the host's node: written to it may be, changed not.
    mount_attr change = {};
    change.attr_set = MOUNT_ATTR_RDONLY | MOUNT_ATTR_NOSUID | MOUNT_ATTR_NOEXEC;
    TRY(change_mount(null, change, false));
    return attach_mount(null, *target);
  }
  const os::Fd tree = TRY(empty.tree());
  return attach_mount(tree, *target);
}

Result<void> make_read_only(const os::Fd& root, const std::string& path) {
  const std::optional<os::Fd> target = TRY(open_protected(root, path));
  if (!target) return {};
  const os::Fd tree = TRY(copy_mount(&*target, "", true));
  mount_attr change = {};
  change.attr_set = MOUNT_ATTR_RDONLY;
  TRY(change_mount(tree, change, true));
  return attach_mount(tree, *target);
}

}  // namespace

Result<os::Fd> open_root(const InitPlan& plan) {
  const bool own_mounts = plan.spec->find_namespace(CLONE_NEWNS) != nullptr;
  if (!own_mounts) return os::open_file(plan.root, O_PATH | O_DIRECTORY);
  const unsigned long wanted = plan.spec->root_propagation;
  // With the host's mounts behind it, as without a pivot, nothing may come back to them.
  const bool shared = (wanted & MS_SHARED) != 0 && !plan.options->no_pivot;
  TRY(propagate(shared ? MS_SHARED | MS_REC
                       : (wanted & (MS_PRIVATE | MS_UNBINDABLE)) != 0 ? MS_PRIVATE | MS_REC
                                                                     : MS_SLAVE | MS_REC));
  // Or attaching would show on the host, on top of its own root.
  if (shared) TRY(propagate(MS_PRIVATE));
  os::Fd root = TRY(plan.options->mount_root ? plan.options->mount_root()
                                             : copy_mount(nullptr, plan.root, true),
                    "opening the root file system");
  // The kernel refuses pivot_root to a shared mount; enter_root makes it shared again.
  if (shared) TRY(set_propagation(root, MS_PRIVATE));
  if (!is_folder(root))
    return Error(Code::invalid, "root.path: '{}' is not a folder", printable(plan.root));
  // Where its name says that it is: hooks that enter the namespace look for it there, and so do sources
  // of mounts. One that is made here, or would be seen outside, has no such name.
  const char* place = shared || plan.options->mount_root ? "/" : plan.root.c_str();
  if (::syscall(SYS_move_mount, root.get(), "", AT_FDCWD, place, MOVE_MOUNT_F_EMPTY_PATH) != 0)
    return Error::from_errno(errno, "mount the root file system");
  return root;
}

Result<void> hide_paths(const InitPlan& plan, const os::Fd& root) {
  for (const std::string& path : plan.spec->readonly_paths)
    TRY(make_read_only(root, path), "linux.readonlyPaths: '{}'", printable(path));
  EmptyFolder empty;
  for (const std::string& path : plan.spec->masked_paths)
    TRY(hide(root, path, empty), "linux.maskedPaths: '{}'", printable(path));
  return {};
}

// Without a pivot the host's mounts stay behind the root. Nobody gets there, but the kernel lets a user
// namespace mount a whole procfs where one is to be seen, masks or not (runc's msMoveRoot).
Result<void> take_kernel_mounts_away(const InitPlan& plan) {
  const std::string text = TRY(os::read_file("/proc/self/mountinfo", 64 << 20));
  std::vector<std::string> places;
  for (const std::string_view line : lines(text)) {
    const auto fields = split(line, ' ');
    const auto dash = std::find(fields.begin(), fields.end(), "-");
    if (fields.size() < 5 || dash == fields.end() || dash + 1 == fields.end()) continue;
    if (*(dash + 1) != "proc" && *(dash + 1) != "sysfs") continue;
    const std::string place = unescaped_path(fields[4]);
    if (!place.starts_with(plan.root + "/")) places.push_back(place);
  }
  // The last first: they may lie on each other.
  for (auto place = places.rbegin(); place != places.rend(); ++place)
    if (::umount2(place->c_str(), MNT_DETACH) != 0 &&
        ::mount("tmpfs", place->c_str(), "tmpfs", MS_RDONLY, "size=4k") != 0 && errno != ENOENT)
      return Error::from_errno(errno, "cover '{}'", printable(*place));
  return {};
}

Result<void> enter_root(const InitPlan& plan, const os::Fd& root) {
  if (::fchdir(root.get()) != 0) return Error::from_errno(errno, "enter the root file system");
  const bool own_mounts = plan.spec->find_namespace(CLONE_NEWNS) != nullptr;
  if (plan.options->no_pivot || !own_mounts) {
    if (own_mounts) {
      TRY(take_kernel_mounts_away(plan));
      if (!plan.options->mount_root &&
          ::syscall(SYS_move_mount, root.get(), "", AT_FDCWD, "/", MOVE_MOUNT_F_EMPTY_PATH) != 0)
        return Error::from_errno(errno, "move the root file system");
    }
    if (::chroot(".") != 0) return Error::from_errno(errno, "make it the root");
  } else {
    if (os::kernel::pivot_root(".", ".") != 0)
      return Error::from_errno(errno, "switch to the root file system")
          .hint("`--no-pivot` where the root is on a ramdisk");
    // The old root is now on top of the new one, and "." is in it.
    if (::umount2(".", MNT_DETACH) != 0)
      return Error::from_errno(errno, "let go of the host's mounts");
  }
  if (::chdir("/") != 0) return Error::from_errno(errno, "enter the root");
  if (own_mounts && plan.spec->root_propagation != 0) return propagate(plan.spec->root_propagation);
  return {};
}

}  // namespace kist::bundle
