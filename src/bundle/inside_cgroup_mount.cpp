// A mount of type "cgroup" shows the container its cgroups: with version 2 one tree, with version 1 a
// folder for each hierarchy of the host. In a cgroup namespace a fresh mount has the container's own
// cgroup as its top; without one (or where the kernel refuses a fresh mount) the folder is bound.
#include <fcntl.h>
#include <linux/sched.h>
#include <sys/mount.h>
#include <unistd.h>

#include <cerrno>

#include "base/text.h"
#include "bundle/inside.h"
#include "bundle/mount_calls.h"
#include "os/files.h"

namespace kist::bundle {
namespace {

constexpr unsigned long kFlags = MS_NOSUID | MS_NODEV | MS_NOEXEC;

std::string folder_of(const InitPlan& plan, const Hierarchy& hierarchy) {
  for (const CgroupFolder& folder : plan.cgroups)
    if (folder.mount_point == hierarchy.mount_point) return folder.path;
  return hierarchy.mount_point;
}

Result<void> bind_folder(const std::string& folder, const os::Fd& target, bool read_only) {
  const os::Fd tree = TRY(copy_mount(nullptr, folder, true));
  mount_attr change = {};
  change.attr_set = MOUNT_ATTR_NOSUID | MOUNT_ATTR_NODEV | MOUNT_ATTR_NOEXEC |
                    (read_only ? MOUNT_ATTR_RDONLY : 0);
  TRY(change_mount(tree, change, true));
  return attach_mount(tree, target);
}

Result<void> mount_hierarchy(const InitPlan& plan, const Hierarchy& hierarchy,
                             const os::Fd& target, unsigned long flags) {
  const bool own_view = plan.spec->find_namespace(CLONE_NEWCGROUP) != nullptr;
  if (own_view) {
    std::string data;
    for (const std::string& controller : hierarchy.controllers)
      data += (data.empty() ? "" : ",") + controller;
    const bool v2 = hierarchy.version == 2;
    if (mount_on(target, v2 ? "cgroup2" : "cgroup", "cgroup", flags, v2 ? std::string() : data))
      return {};
  }
  return bind_folder(folder_of(plan, hierarchy), target, (flags & MS_RDONLY) != 0);
}

// "/sys/fs/cgroup/cpu,cpuacct" has the links "cpu" and "cpuacct" beside it.
Result<void> link_controllers(const os::Fd& folder, const Hierarchy& hierarchy,
                              const std::string& name) {
  for (const std::string& controller : hierarchy.controllers)
    if (controller != name && controller.find('=') == std::string::npos &&
        ::symlinkat(name.c_str(), folder.get(), controller.c_str()) != 0 && errno != EEXIST)
      return Error::from_errno(errno, "link '{}'", printable(controller));
  return {};
}

}  // namespace

Result<void> mount_cgroups(const InitPlan& plan, const os::Fd& root, const Mount& mount) {
  const os::Fd target = TRY(make_inside(root, mount.destination, true));
  const unsigned long flags = kFlags | mount.options.flags;
  if (plan.hierarchies.empty()) return {};
  if (plan.hierarchies.size() == 1 && plan.hierarchies[0].version == 2) {
    TRY(mount_hierarchy(plan, plan.hierarchies[0], target, flags));
  } else {
    TRY(mount_on(target, "tmpfs", "tmpfs", kFlags, "mode=755"));
    const os::Fd top = TRY(open_inside(root, mount.destination, O_PATH | O_DIRECTORY));
    for (const Hierarchy& hierarchy : plan.hierarchies) {
      const std::string name(os::name_of(hierarchy.mount_point));
      if (::mkdirat(top.get(), name.c_str(), 0755) != 0 && errno != EEXIST)
        return Error::from_errno(errno, "create '{}'", printable(name));
      const os::Fd place = TRY(os::open_at(top, name, O_PATH | O_NOFOLLOW | O_DIRECTORY));
      TRY(mount_hierarchy(plan, hierarchy, place, flags), "the hierarchy '{}'", printable(name));
      TRY(link_controllers(top, hierarchy, name));
    }
    if ((mount.options.flags & MS_RDONLY) != 0) {
      mount_attr read_only = {};
      read_only.attr_set = MOUNT_ATTR_RDONLY;
      TRY(change_mount(top, read_only, false));
    }
  }
  for (const unsigned long propagation : mount.options.propagation) {
    const os::Fd top = TRY(open_inside(root, mount.destination, O_PATH));
    TRY(set_propagation(top, propagation));
  }
  return {};
}

}  // namespace kist::bundle
