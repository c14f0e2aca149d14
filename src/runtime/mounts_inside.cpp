// What is seen inside besides the root: /proc, /sys, /dev, /tmp, /run, and what the caller asks
// for.
#include <fcntl.h>
#include <linux/fs.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <climits>
#include <cstdio>
#include <cstring>

#include "os/kernel.h"
#include "runtime/inside.h"

namespace kist::runtime {
namespace {

namespace kernel = os::kernel;

// A path in a buffer of our own, since nothing may be allocated here.
struct PathBuffer {
  char text[PATH_MAX];
  bool set(const char* folder, size_t folder_size, const char* name) {
    const size_t name_size = std::strlen(name);
    if (folder_size + 1 + name_size >= sizeof text) return false;
    std::memcpy(text, folder, folder_size);
    text[folder_size] = '/';
    std::memcpy(text + folder_size + 1, name, name_size + 1);
    return true;
  }
};

constexpr int kMaxSteps = 100;  // Folders to make and dangling links to follow, in one path.

// Opens `path` inside the root and makes what is missing, following links that dangle (as
// /etc/resolv.conf often does) inside the root too. -1 with errno.
int open_or_make(int root, const char* path, bool folder, int& steps) {
  const int found = kernel::open_in_root(root, path, O_PATH);
  if (found >= 0 || errno != ENOENT) return found;
  if (--steps < 0) return errno = ELOOP, -1;
  size_t size = std::strlen(path);
  while (size > 0 && path[size - 1] == '/') --size;
  size_t name = size;
  while (name > 0 && path[name - 1] != '/') --name;
  PathBuffer part;
  if (!part.set(path, name, "")) return errno = ENAMETOOLONG, -1;
  const int parent = open_or_make(root, part.text, true, steps);
  if (parent < 0) return -1;
  std::memcpy(part.text, path + name, size - name);
  part.text[size - name] = '\0';
  const int made =
      folder ? ::mkdirat(parent, part.text, 0755) : ::mknodat(parent, part.text, S_IFREG | 0644, 0);
  if (made == 0) {
    const int fd = ::openat(parent, part.text, O_PATH | O_NOFOLLOW | O_CLOEXEC);
    ::close(parent);
    return fd;
  }
  if (errno != EEXIST) return -1;
  PathBuffer link;
  const ssize_t got = ::readlinkat(parent, part.text, link.text, sizeof link.text - 1);
  ::close(parent);
  if (got <= 0) return -1;
  link.text[got] = '\0';
  if (link.text[0] == '/') return open_or_make(root, link.text, folder, steps);
  PathBuffer joined;
  if (!joined.set(path, name, link.text)) return errno = ENAMETOOLONG, -1;
  return open_or_make(root, joined.text, folder, steps);
}

bool is_folder(int fd) {
  struct stat st = {};
  return ::fstat(fd, &st) == 0 && S_ISDIR(st.st_mode);
}

void mount_tmpfs(int target, unsigned long flags, const char* options, const char* shown,
                 const Reporter& report) {
  report.check(::fchdir(target), "enter", shown);
  report.check(::mount("tmpfs", ".", "tmpfs", flags, options), "mount a tmpfs on", shown);
  ::close(target);
}

// A bind of `source`, relative to the current folder, over `target` in it.
void bind_here(const char* source, const char* target, const Reporter& report) {
  report.check(::mount(source, target, nullptr, MS_BIND, nullptr), "mount over", target);
}

// The folders that the kernel fills: never through a link, or the image could say where /proc is.
int open_system_folder(const Root& root, const char* name, const Reporter& report) {
  const int fd = ::openat(root.root, name, O_PATH | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
  if (fd >= 0) return fd;
  if (errno == ENOTDIR || errno == ELOOP)
    report.fail(0, "the root has something else than a folder at", name);
  report.check(::mkdirat(root.root, name, 0755), "create in the root", name);
  return report.check(::openat(root.root, name, O_PATH | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC),
                      "open", name);
}

// Docker's lists. A file is hidden under /dev/null, a folder under an empty one.
constexpr const char* kMaskedFiles[] = {"kcore",       "keys",        "latency_stats", "timer_list",
                                        "timer_stats", "sched_debug", "interrupts"};
constexpr const char* kMaskedFolders[] = {"acpi", "asound", "scsi"};
constexpr const char* kReadOnly[] = {"bus", "fs", "irq", "sys", "sysrq-trigger"};

void mount_proc(const Root& root, const Reporter& report) {
  const int target = open_system_folder(root, "proc", report);
  report.check(::fchdir(target), "enter", "/proc");
  report.check(::mount("proc", ".", "proc", MS_NOSUID | MS_NODEV | MS_NOEXEC, nullptr), "mount",
               "/proc");
  ::close(target);
  const int proc = open_system_folder(root, "proc", report);
  report.check(::fchdir(proc), "enter", "/proc");
  for (const char* name : kMaskedFiles) {
    if (::mount("/dev/null", name, nullptr, MS_BIND, nullptr) != 0) {
      if (errno == ENOENT) continue;
      report.fail(errno, "hide /proc's", name);
    }
    // It is the host's node, which a root inside could give another mode through this name.
    report.check(kernel::set_mount_attributes(proc, name, MOUNT_ATTR_RDONLY, false), "hide /proc's", name);
  }
  for (const char* name : kReadOnly) {
    if (::mount(name, name, nullptr, MS_BIND | MS_REC, nullptr) != 0) {
      if (errno == ENOENT) continue;
      report.fail(errno, "protect /proc's", name);
    }
    report.check(kernel::set_mount_attributes(proc, name, MOUNT_ATTR_RDONLY, false),
                 "protect /proc's", name);
  }
  for (const char* name : kMaskedFolders) {
    const int hidden = ::openat(proc, name, O_PATH | O_CLOEXEC);
    if (hidden < 0) continue;
    const int empty =
        report.check(kernel::clone_tree(root.scratch, "empty", false), "open a tmpfs");
    report.check(kernel::attach(empty, hidden), "hide /proc's", name);
    ::close(empty);
    ::close(hidden);
  }
  ::close(proc);
}

// The host's mount shows the container as a cgroup far below the root of its own namespace.
void mount_own_cgroup(int sys, unsigned flags, const Reporter& report) {
  const int target = ::openat(sys, "fs/cgroup", O_PATH | O_CLOEXEC);
  if (target < 0) return;
  const int context = report.check(kernel::fsopen("cgroup2"), "open", "cgroup2");
  report.check(kernel::fsconfig_create(context), "make", "cgroup2");
  const int tree = report.check(kernel::fsmount(context, flags), "mount", "cgroup2");
  report.check(kernel::attach(tree, target), "mount", "/sys/fs/cgroup");
  ::close(tree);
  ::close(context);
  ::close(target);
}

void mount_sys(const Plan& plan, const Root& root, const Reporter& report) {
  constexpr uint64_t kFlags =
      MOUNT_ATTR_RDONLY | MOUNT_ATTR_NOSUID | MOUNT_ATTR_NODEV | MOUNT_ATTR_NOEXEC;
  const int target = open_system_folder(root, "sys", report);
  // A fresh sysfs would have to belong to a network namespace of ours.
  const int tree = report.check(kernel::clone_tree(AT_FDCWD, "/sys", true), "open", "/sys");
  report.check(kernel::set_mount_attributes(tree, "", kFlags, true), "protect", "/sys");
  report.check(kernel::attach(tree, target), "mount", "/sys");
  if (plan.cgroup_namespace) mount_own_cgroup(tree, kFlags, report);
  const int firmware = ::openat(tree, "firmware", O_PATH | O_CLOEXEC);
  if (firmware >= 0) {
    const int empty =
        report.check(kernel::clone_tree(root.scratch, "empty", false), "open a tmpfs");
    report.check(kernel::attach(empty, firmware), "hide", "/sys/firmware");
    ::close(empty);
    ::close(firmware);
  }
  ::close(tree);
  ::close(target);
}

void make_devices(const Plan& plan, const Reporter& report) {
  constexpr struct {
    const char* name;
    const char* host;
    unsigned minor;
    unsigned major;
  } kDevices[] = {{"null", "/dev/null", 3, 1},       {"zero", "/dev/zero", 5, 1},
                  {"full", "/dev/full", 7, 1},       {"random", "/dev/random", 8, 1},
                  {"urandom", "/dev/urandom", 9, 1}, {"tty", "/dev/tty", 0, 5}};
  for (const auto& device : kDevices) {
    // A node is cheaper than a mount, to make and to take away, but only root may make one.
    if (!plan.user_namespace &&
        ::mknod(device.name, S_IFCHR | 0666, (device.major << 8) | device.minor) == 0)
      continue;
    report.check(::mknod(device.name, S_IFREG | 0666, 0), "create /dev's", device.name);
    bind_here(device.host, device.name, report);
  }
  constexpr const char* kLinks[][2] = {{"/proc/self/fd", "fd"},       {"/proc/self/fd/0", "stdin"},
                                       {"/proc/self/fd/1", "stdout"}, {"/proc/self/fd/2", "stderr"},
                                       {"/proc/kcore", "core"},       {"pts/ptmx", "ptmx"}};
  for (const auto& link : kLinks)
    report.check(::symlink(link[0], link[1]), "create /dev's", link[1]);
}

void mount_dev(const Plan& plan, const Root& root, const Reporter& report) {
  mount_tmpfs(open_system_folder(root, "dev", report), MS_NOSUID | MS_STRICTATIME,
              "mode=755,size=65536k", "/dev", report);
  const int dev = open_system_folder(root, "dev", report);
  report.check(::fchdir(dev), "enter", "/dev");
  ::close(dev);
  make_devices(plan, report);
  constexpr unsigned long kFlags = MS_NOSUID | MS_NODEV | MS_NOEXEC;
  for (const char* name : {"pts", "shm", "mqueue"})
    report.check(::mkdir(name, 0755), "create /dev's", name);
  report.check(::mount("devpts", "pts", "devpts", MS_NOSUID | MS_NOEXEC, plan.devpts_options),
               "mount", "/dev/pts");
  report.check(::mount("shm", "shm", "tmpfs", kFlags, plan.shm_options.c_str()), "mount",
               "/dev/shm");
  // Not every kernel has POSIX message queues.
  if (::mount("mqueue", "mqueue", "mqueue", kFlags, nullptr) != 0 && errno != ENODEV)
    report.fail(errno, "mount", "/dev/mqueue");
  if (!plan.terminal.empty()) {
    report.check(::mknod("console", S_IFREG | 0600, 0), "create /dev's", "console");
    // The host may have hidden the terminal's name from us: then there is just no /dev/console.
    if (::mount(plan.terminal.c_str(), "console", nullptr, MS_BIND, nullptr) != 0)
      ::unlink("console");
  }
}

void mount_host_file(const Root& root, const char* path, const Reporter& report) {
  const int source = kernel::clone_tree(AT_FDCWD, path, false);
  if (source < 0) return;  // The host has none.
  int steps = kMaxSteps;
  const int target = open_or_make(root.root, path, false, steps);
  // A root that belongs to somebody else, and lacks the file, stays without it.
  if (target < 0 && (errno == EACCES || errno == EOVERFLOW)) return;
  report.check(target, "create the mount target", path);
  report.check(kernel::set_mount_attributes(source, "", MOUNT_ATTR_RDONLY, false), "protect", path);
  report.check(kernel::attach(source, target), "mount", path);
  ::close(source);
  ::close(target);
}

// Replaces the source by an overlay over it whose writes go to the scratch tmpfs. Leaves it as it
// is, read-only, where that cannot be.
void discard_writes(PlannedMount& planned, size_t index, const Root& root,
                    const Reporter& report) {
  char folder[32];
  char part[48];
  std::snprintf(folder, sizeof folder, "writes-%zu", index);
  report.check(::fchdir(root.scratch), "enter a tmpfs");
  report.check(::mkdir(folder, 0755), "create a folder in a tmpfs");
  for (const char* name : {"upper", "work", "merged"}) {
    std::snprintf(part, sizeof part, "%s/%s", folder, name);
    report.check(::mkdir(part, 0755), "create a folder in a tmpfs");
  }
  if (::mount("overlay", part, "overlay", 0, planned.options.c_str()) == 0) {
    ::close(planned.source);
    planned.source = report.check(kernel::clone_tree(AT_FDCWD, part, false), "open an overlay");
    return;
  }
  report.check(kernel::set_mount_attributes(planned.source, "", MOUNT_ATTR_RDONLY, true),
               "make read-only", planned.mount->source.c_str());
}

}  // namespace

int open_target(const Root& root, const char* path, bool folder, const Reporter& report) {
  int steps = kMaxSteps;
  return report.check(open_or_make(root.root, path, folder, steps), "create the mount target",
                      path);
}

void open_mount_sources(const Plan& plan, const Reporter& report) {
  for (PlannedMount& planned : plan.mounts) {
    const Mount& mount = *planned.mount;
    if (mount.type != Mount::Type::bind) continue;
    // Without privilege over the host's mounts the kernel refuses to show what they cover.
    const bool recursive = mount.recursive || plan.user_namespace;
    planned.source = report.check(kernel::clone_tree(AT_FDCWD, mount.source.c_str(), recursive),
                                  "open the mount source", mount.source.c_str());
    if (mount.read_only)
      report.check(kernel::set_mount_attributes(planned.source, "", MOUNT_ATTR_RDONLY, recursive),
                   "make read-only", mount.source.c_str());
  }
}

void mount_system_folders(const Plan& plan, const Root& root, const Reporter& report) {
  report.check(::mkdirat(root.scratch, "empty", 0555), "create a folder in a tmpfs");
  mount_proc(root, report);
  mount_sys(plan, root, report);
  mount_dev(plan, root, report);
  constexpr unsigned long kFlags = MS_NOSUID | MS_NODEV;
  mount_tmpfs(open_system_folder(root, "tmp", report), kFlags, "mode=1777", "/tmp", report);
  mount_tmpfs(open_system_folder(root, "run", report), kFlags, "mode=755", "/run", report);
  if (!plan.spec->host_network_files) return;
  mount_host_file(root, "/etc/resolv.conf", report);
  mount_host_file(root, "/etc/hosts", report);
}

void mount_user_folders(const Plan& plan, const Root& root, const Reporter& report) {
  for (PlannedMount& planned : plan.mounts) {
    const Mount& mount = *planned.mount;
    const char* shown = mount.target.c_str();
    const bool folder = planned.source < 0 || is_folder(planned.source);
    if (folder && mount.discard_writes && planned.source >= 0)
      discard_writes(planned, static_cast<size_t>(&planned - plan.mounts.data()), root, report);
    const int target = open_target(root, shown, folder, report);
    if (planned.source < 0) {
      mount_tmpfs(target, MS_NOSUID | MS_NODEV | (mount.read_only ? MS_RDONLY : 0),
                  planned.options.c_str(), shown, report);
      continue;
    }
    report.check(kernel::attach(planned.source, target), "mount on", shown);
    ::close(planned.source);
    ::close(target);
  }
}

}  // namespace kist::runtime
